"""What people do to a service as a whole, by the commands."""

from typing import Any

import pytest

from tests.lab.cluster import Cluster, running
from tests.lab.waiting import eventually

FILE = """
service: whole2
variables: {{colour: blue}}
deploys:
  db:
    rank: 0
    stop_grace: 1s
    containers:
      main: {{image: appliance/busybox, command: [sleep, "3600"]}}
  web:
    rank: 1
    replicas: {replicas}
    stop_grace: 1s
    containers:
      main: {{image: appliance/busybox, command: [sleep, "3600"], env: {{COLOUR: "${{colour}}"}}}}
"""
SERVICE = "whole2"


def revision(cluster: Cluster) -> int:
    return int(cluster.manager.ask("history", SERVICE)[-1]["revision"])


def ready(cluster: Cluster) -> set[str]:
    return {row["instance"] for row in cluster.ps(SERVICE) if row["ready"]}


@pytest.fixture(scope="module")
def service(one_node: Cluster) -> Cluster:
    one_node.apply(FILE.format(replicas=1))
    return one_node


def test_a_diff_names_what_restarts_and_the_command_that_applies_it(service: Cluster) -> None:
    place = service.manager.root / "spec.yaml"
    (service.manager.data / "spec.yaml").write_text(FILE.format(replicas=2))
    said = service.manager.appliance("diff", place, "--set", "colour=red").stdout
    assert "whole2/web-0 restart: containers.main.env.COLOUR" in said
    assert "whole2/web-1 will be created" in said
    assert f"--index {revision(service)}" in said


def test_of_two_applies_at_the_same_index_one_wins_and_one_is_told(service: Cluster) -> None:
    place, index = str(service.manager.root / "spec.yaml"), str(revision(service))
    command = service.manager.command("apply", place, "--index", index, "--set")
    applies = [service.manager.spawn(*command, f"colour={colour}") for colour in ("red", "green")]
    codes = sorted(each.wait(60) for each in applies)
    assert codes == [0, 3]
    assert revision(service) == int(index) + 1


def test_a_patch_and_a_rollback_are_revisions_as_well(service: Cluster) -> None:
    service.manager.appliance("patch", SERVICE, "--set", "variables.colour=white", "--wait", timeout=120)
    service.manager.appliance("rollback", SERVICE, "--wait", timeout=120)
    rows: list[dict[str, Any]] = service.manager.ask("history", SERVICE)
    assert rows[-1]["message"].startswith("rollback to revision")
    assert rows[-1]["state"] == "done"


def test_a_service_stops_starts_and_restarts_as_a_whole(service: Cluster) -> None:
    before = running(service.hosts, SERVICE)
    service.manager.appliance("stop", SERVICE, "--wait", timeout=90)
    assert running(service.hosts, SERVICE) == {}
    service.manager.appliance("start", SERVICE, "--wait", timeout=90)
    started = running(service.hosts, SERVICE)
    assert set(started) == set(before)
    service.manager.appliance("restart", SERVICE, "--wait", timeout=90)
    again = running(service.hosts, SERVICE)
    assert all(again[name][1] > started[name][1] for name in started)


def test_a_count_by_hand_stays_until_it_is_taken_back(service: Cluster) -> None:
    service.manager.appliance("scale", f"{SERVICE}/web", "3", "--wait", timeout=90)
    result = service.apply(FILE.format(replicas=1))
    assert "web is scaled by hand to 3; the file says 1" in result.stderr
    assert len(ready(service)) == 4
    service.manager.appliance("scale", f"{SERVICE}/web", "auto", "--wait", timeout=90)
    eventually(lambda: ready(service) == {"whole2/db-0", "whole2/web-0"}, timeout=30)


def test_why_ends_in_a_command_and_a_page(service: Cluster) -> None:
    said = service.manager.appliance("why", SERVICE).stdout
    assert "next: appliance " in said and "docs: appliance docs " in said
