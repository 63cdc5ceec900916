"""Jobs on a real node: once is once, whoever is killed; normal goes on until it succeeds; the clock begins a run."""

import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.lab.cluster import Cluster, fetch
from tests.lab.host import Host
from tests.lab.images import docker_archive
from tests.lab.waiting import eventually

HIT = "#!/bin/sh\nmkdir -p /www/hits\necho -n x >> /www/hits/$QUERY_STRING\n"
SHOW = "#!/bin/sh\n"
TELL = 'printf "Content-type: text/plain\\r\\n\\r\\n"\ncat /www/hits/$QUERY_STRING 2>/dev/null\ntrue\n'

COUNTER = """
service: counter
deploys:
  main:
    stop_grace: 1s
    containers:
      main:
        image: "lab/counter:1"
        command: ["httpd", "-f", "-p", "8080", "-h", "/www"]
        ports: {http: 8080}
        health: {ready: {tcp: 8080, every: 1s}}
"""


class Hits:
    """A service that counts the tries of jobs, outside of them: one ``x`` for each."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.address = f"{cluster.ps('counter')[0]['ip']}:8080/cgi-bin"

    def of(self, name: str) -> str:
        return fetch(self.cluster.manager, f"http://{self.address}/show?{name}")

    def job(self, name: str, until: str, fields: str, seconds: float = 0.0) -> str:
        """A job that counts a try, takes its time, and succeeds when there were as many as in `until`."""
        command = f"n=$$(wget -q -O - http://{self.address}/hit?{name}) || exit 9; sleep {seconds}; test $$n = {until}"
        container = f'{{image: "lab/counter:1", command: ["sh", "-c", "{command}"]}}'
        return f"service: {name}\njobs:\n  it: {{{fields}, container: {container}}}\n"


@pytest.fixture(scope="module")
def hits(one_node: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Hits:
    archive = tmp_path_factory.mktemp("image") / "counter.tar"
    files = {"www/cgi-bin/hit": HIT + TELL, "www/cgi-bin/show": SHOW + TELL}
    one_node.load_image(docker_archive(archive, "lab/counter:1", files=files))
    one_node.apply(COUNTER)
    return Hits(one_node)


def job_of(cluster: Cluster, service: str) -> dict[str, Any]:
    found: dict[str, Any] = cluster.manager.ask("job", "ls", service)[0]
    return found


def apply(cluster: Cluster, text: str) -> None:
    """Without waiting for what becomes of it."""
    (cluster.manager.data / "job.yaml").write_text(text)
    cluster.manager.appliance("apply", cluster.manager.root / "job.yaml")


def test_a_once_job_that_failed_is_run_again_only_by_a_retry(one_node: Cluster, hits: Hits) -> None:
    text = hits.job("single", until="xx", fields="type: once")
    apply(one_node, text)
    eventually(lambda: job_of(one_node, "single")["state"] == "failed", timeout=60)
    apply(one_node, text)
    with pytest.raises(TimeoutError):
        eventually(lambda: hits.of("single") != "x", timeout=8, every=0.5)
    one_node.manager.appliance("job", "retry", "single/it", "--wait", timeout=120)
    found = job_of(one_node, "single")
    assert hits.of("single") == "xx"
    assert [(run["outcome"], run["tries"]) for run in found["runs"]] == [("failed", 1), ("succeeded", 1)]
    refused = one_node.manager.appliance("job", "retry", "single/it", check=False)
    assert refused.returncode == 3
    assert "appliance job run single/it" in refused.stderr
    failed = one_node.manager.appliance("job", "run", "single/it", "--wait", timeout=120, check=False)
    assert failed.returncode == 1
    assert "it ended with code 1" in failed.stderr


def test_a_normal_job_is_tried_until_it_succeeds(one_node: Cluster, hits: Hits) -> None:
    apply(one_node, hits.job("stubborn", until="xxx", fields="type: normal, retries: 6"))
    eventually(lambda: job_of(one_node, "stubborn")["state"] == "succeeded", timeout=90)
    (run,) = job_of(one_node, "stubborn")["runs"]
    assert (hits.of("stubborn"), run["tries"], run["exit_code"]) == ("xxx", 3, 0)


def test_a_run_is_cancelled_by_hand(one_node: Cluster, hits: Hits) -> None:
    apply(one_node, hits.job("slow", until="x", fields="type: once, stop_grace: 1s", seconds=600))
    eventually(lambda: hits.of("slow") == "x", timeout=60)
    one_node.manager.appliance("job", "cancel", "slow/it")
    eventually(lambda: job_of(one_node, "slow")["state"] == "cancelled", timeout=30)


@pytest.fixture(scope="module")
def clock(one_node: Cluster, hits: Hits) -> None:
    """A job with a schedule, whose minute comes while other tests are at work."""
    fields = 'type: normal, schedule: "* * * * *", zone: Europe/Berlin'
    apply(one_node, hits.job("clock", until="x", fields=fields))


@pytest.mark.usefixtures("clock")
def test_killing_the_manager_around_its_start_never_runs_a_once_job_twice(
    one_node: Cluster, hits: Hits, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = int(os.environ.get("SCENARIO_SEED", "3"))
    chance = random.Random(seed)
    moments = [sorted(round(chance.uniform(0.0, 1.5), 2) for _ in range(2)) for _ in range(5)]
    for turn, (short, long) in enumerate(moments):
        names = [f"turn{turn}-{which}" for which in ("early", "late")]
        for name, pause in zip(names, (long - short, short), strict=True):
            apply(one_node, hits.job(name, until="x", fields="type: once", seconds=0.5))
            time.sleep(pause)
        kill_manager(one_node.manager)
        for name in names:
            eventually(lambda: state_of(one_node, name) == "succeeded", timeout=90, every=0.5)  # noqa: B023
            assert hits.of(name) == "x"
            assert len(job_of(one_node, name)["runs"]) == 1
    with capsys.disabled():
        print(f"\nSCENARIO_SEED={seed}: manager killed {len(moments)} times, so many s after two applies: {moments}")


def state_of(cluster: Cluster, service: str) -> str:
    """Empty while no manager answers."""
    result = cluster.manager.appliance("job", "ls", service, "-o", "json", check=False)
    return str(job_of(cluster, service)["state"]) if result.returncode == 0 else ""


def kill_manager(host: Host) -> None:
    """SIGKILL the manager's process; `appliance run` starts it again."""
    for pid in host.pids():
        try:
            words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if "role" in words and words[words.index("role") + 1] == "manager":
            os.kill(pid, signal.SIGKILL)


@pytest.mark.usefixtures("clock")
def test_the_clock_begins_a_run_every_minute(one_node: Cluster, hits: Hits) -> None:
    run = eventually(lambda: job_of(one_node, "clock")["runs"], timeout=70, every=0.5)[0]
    assert (run["reason"], run["due"][-4:]) == ("schedule", ":00Z")
    eventually(lambda: hits.of("clock").startswith("x"), timeout=30)
