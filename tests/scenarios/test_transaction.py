"""A service is changed as a whole: whichever rank fails, the others are as they were before."""

import json
from typing import Any

import pytest

from tests.lab.cluster import Cluster, engine_of
from tests.lab.images import docker_archive
from tests.lab.waiting import eventually

RANKS = ("db", "api", "web")
FAILS = "exit 3"
RUNS = "exec sleep 100000"


def deploy(name: str, rank: int, version: str, command: str) -> str:
    return f"""
  {name}:
    rank: {rank}
    stop_grace: 1s
    containers:
      main: {{image: "lab/tool:1", command: ["sh", "-c", "{command}"], env: {{VERSION: "{version}"}}}}"""


def service(versions: dict[str, str], failing: str = "") -> str:
    deploys = (
        deploy(name, rank, versions[name], FAILS if name == failing else RUNS) for rank, name in enumerate(RANKS)
    )
    configs = "".join(
        f'\n  {name}.conf: {{path: /etc/app.conf, text: "{versions[name]}", to: [{name}]}}' for name in RANKS
    )
    return f"service: whole\nconfigs:{configs}\nrollout: {{tries: 3}}\ndeploys:{''.join(deploys)}\n"


@pytest.fixture(scope="module")
def whole(one_node: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    one_node.load_image(docker_archive(tmp_path_factory.mktemp("image") / "tool.tar", "lab/tool:1"))
    one_node.apply(service(dict.fromkeys(RANKS, "1")))
    return one_node


def containers(cluster: Cluster) -> dict[str, str]:
    """Instance → id of its container."""
    return {str(row["instance"]): str(row["containers"][0]["id"]) for row in cluster.ps("whole")}


def environment(cluster: Cluster, container: str) -> list[str]:
    found: dict[str, Any] = engine_of(cluster.manager).request("GET", f"/containers/{container}/json")
    return [each for each in found["Config"]["Env"] if each.startswith("VERSION=")]


def config(cluster: Cluster, instance: str) -> str:
    return str(cluster.manager.appliance("exec", instance, "--", "cat", "/etc/app.conf").stdout)


def rollout(cluster: Cluster) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        cluster.manager.appliance("rollout", "status", "whole", "-o", "json", check=False).stdout
    )
    return found


@pytest.mark.parametrize("failing", RANKS)
def test_a_failure_at_any_rank_leaves_every_rank_as_it_was(whole: Cluster, failing: str) -> None:
    before = containers(whole)
    changed = RANKS[: RANKS.index(failing) + 1]
    whole.apply(service({name: "2" if name in changed else "1" for name in RANKS}, failing), check=False)
    eventually(lambda: rollout(whole)["state"] == "failed", timeout=60)
    eventually(lambda: all(row["ready"] and row["revision"] == 1 for row in whole.ps("whole")), timeout=60)
    after = containers(whole)
    untouched = {f"whole/{name}-0" for name in RANKS if name not in changed}
    assert {name for name in before if before[name] == after[name]} >= untouched
    assert all(environment(whole, container) == ["VERSION=1"] for container in after.values())
    assert {config(whole, instance) for instance in after} == {"1"}
    rank = RANKS.index(failing)
    assert rollout(whole)["reason"].startswith(f"rank {rank}: whole/{failing}-0 failed 3 times in a row")
