"""Every example of the manual, applied as it stands, does what its section says (docs/examples.md)."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab.cluster import Cluster, fetch
from tests.lab.one_way import VISITOR
from tests.lab.waiting import eventually

PAGE = (Path(__file__).parents[2] / "docs/examples.md").read_text()
EXAMPLES = {
    found[1]: found[2]
    for found in re.finditer(r"^## (.+?)\n.*?^```yaml\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE)
}


def name_of(text: str) -> str:
    return text.splitlines()[0].removeprefix("service: ")


@pytest.fixture
def applied(three_nodes: Cluster) -> Iterator[Callable[[str], str]]:
    """Applies an example and returns its service's name; deletes it afterwards."""
    names: list[str] = []

    def apply(title: str) -> str:
        names.append(name_of(EXAMPLES[title]))
        three_nodes.apply(EXAMPLES[title])
        return names[-1]

    yield apply
    for name in names:
        three_nodes.delete(name)


def row(cluster: Cluster, instance: str) -> dict[str, Any]:
    rows = cluster.ps(instance.partition("/")[0])
    return next(row for row in rows if row["instance"] == instance)


def inside(cluster: Cluster, instance: str, *command: str) -> str:
    return str(cluster.manager.appliance("exec", instance, "--", *command).stdout)


def body(cluster: Cluster, instance: str, port: int = 8080) -> str:
    return inside(cluster, instance, "wget", "-q", "-O", "-", f"http://localhost:{port}/").strip()


def test_every_example_has_a_test() -> None:
    tested = {
        found.replace("_", " ") for found in re.findall(r"^def test_example_(\w+)\(", Path(__file__).read_text(), re.M)
    }
    assert tested == {title.lower() for title in EXAMPLES}


def test_every_row_of_the_kubernetes_page_that_names_an_example_is_tested() -> None:
    kubernetes = Path(__file__).parents[2] / "docs/kubernetes.md"
    linked = set(re.findall(r"\]\(examples\.md#(\w+)\)", kubernetes.read_text()))
    assert linked == {title.lower() for title in EXAMPLES}


def test_example_replicas(three_nodes: Cluster, applied: Callable[[str], str]) -> None:
    name = applied("Replicas")
    assert len({row["node"] for row in three_nodes.ps(name)}) == 3
    setting = "deploys.web.containers.main.env.GREETING=welcome"
    three_nodes.manager.appliance("patch", name, "--set", setting, "--wait", timeout=120)
    assert body(three_nodes, f"{name}/web-2") == "welcome from web-2"
    three_nodes.manager.appliance("rollback", name, "--wait", timeout=120)
    assert body(three_nodes, f"{name}/web-2") == "hello from web-2"


def test_example_container(three_nodes: Cluster, applied: Callable[[str], str]) -> None:
    instance = f"{applied('Container')}/main-0"
    before = row(three_nodes, instance)["containers"][0]
    inside(three_nodes, instance, "rm", "/tmp/well")

    def restarted() -> bool:
        now = row(three_nodes, instance)
        return bool(now["ready"]) and now["containers"][0]["started_at"] > before["started_at"]

    eventually(restarted, timeout=40)
    assert row(three_nodes, instance)["containers"][0]["id"] == before["id"]


def test_example_hooks(three_nodes: Cluster, applied: Callable[[str], str]) -> None:
    instance = f"{applied('Hooks')}/main-0"

    def done() -> list[str]:
        return inside(three_nodes, instance, "cat", "/log/what").split()

    started = eventually(lambda: done() if len(done()) == 3 else [], timeout=10)
    assert (started[0], set(started[1:])) == ("pre", {"main", "after_start"})
    three_nodes.manager.appliance("restart", instance, "--wait", timeout=60)
    again = eventually(lambda: done()[3:] if len(done()) == 8 else [], timeout=10)
    assert (again[:3], set(again[3:])) == (["before_stop", "post", "pre"], {"main", "after_start"})


def test_example_group(three_nodes: Cluster, applied: Callable[[str], str]) -> None:
    instance = f"{applied('Group')}/page-0"
    fetched = f"http://{row(three_nodes, instance)['ip']}:8080/index.html"
    first = fetch(three_nodes.manager, fetched)
    eventually(lambda: fetch(three_nodes.manager, fetched) != first, timeout=10)
    refused = three_nodes.manager.appliance("exec", instance, "-c", "server", "--", "touch", "/www/x", check=False)
    assert refused.returncode != 0


def test_example_names(three_nodes: Cluster, applied: Callable[[str], str]) -> None:
    name = applied("Names")
    assert inside(three_nodes, f"{name}/client-0", "cat", "/tmp/answer").strip() == "found"
    node = three_nodes.host_of(row(three_nodes, f"{name}/server-0")["node"])
    assert fetch(three_nodes.manager, f"http://{node.address}:18090/").strip() == "found"


def test_example_entry(three_nodes: Cluster, applied: Callable[[str], str]) -> None:
    applied("Entry")
    manager, asking = three_nodes.manager.address, three_nodes.hosts[1]

    def get(path: str, host: str = "front.local") -> str:
        return fetch(asking, f"http://{manager}{path}", "-H", f"Host: {host}").strip()

    assert eventually(lambda: get("/"), timeout=30) == "shop"
    assert eventually(lambda: get("/help/"), timeout=10) == "help"
    unknown = asking.run(
        *VISITOR, "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", f"http://{manager}/", check=False
    )
    assert unknown.stdout == "404"


def test_example_job(three_nodes: Cluster, applied: Callable[[str], str]) -> None:
    name = applied("Job")
    (job,) = three_nodes.manager.ask("job", "ls", name)
    assert (job["job"], [run["exit_code"] for run in job["runs"]]) == ("job/migrate", [0])
    assert "done" in three_nodes.manager.appliance("logs", f"{name}/migrate-0").stdout
    web = row(three_nodes, f"{name}/web-0")["containers"][0]
    assert web["started_at"] > job["runs"][0]["finished_at"]
    three_nodes.manager.appliance("job", "run", f"{name}/migrate", "--wait", timeout=60)
    assert len(three_nodes.manager.ask("job", "ls", name)[0]["runs"]) == 2


def test_example_schedule(three_nodes: Cluster, applied: Callable[[str], str]) -> None:
    name = applied("Schedule")

    def succeeded() -> list[dict[str, Any]]:
        (job,) = three_nodes.manager.ask("job", "ls", name)
        return [run for run in job["runs"] if run["outcome"] == "succeeded"]

    assert eventually(succeeded, timeout=90, every=1)[0]["reason"] == "schedule"


def test_example_identity(three_nodes: Cluster, applied: Callable[[str], str]) -> None:
    instance = f"{applied('Identity')}/store-1"
    before = row(three_nodes, instance)
    three_nodes.manager.appliance("restart", instance, "--wait", timeout=60)
    assert inside(three_nodes, instance, "cat", "/data/log").splitlines() == ["store-1 started"] * 2
    after = row(three_nodes, instance)
    assert (after["node"], after["ip"]) == (before["node"], before["ip"])


def test_example_daemon(three_nodes: Cluster, applied: Callable[[str], str]) -> None:
    tainted = three_nodes.node_name(three_nodes.hosts[2])
    three_nodes.manager.appliance("node", "taint", tainted, "dedicated=db")
    try:
        name = applied("Daemon")
        rows = three_nodes.ps(name)
        assert {row["node"] for row in rows} == {three_nodes.node_name(host) for host in three_nodes.hosts}
        assert all(row["ready"] for row in rows)
        three_nodes.apply(EXAMPLES["Job"])
        assert {row["node"] for row in three_nodes.ps("job")}.isdisjoint({tainted})
        three_nodes.delete("job")
    finally:
        three_nodes.manager.appliance("node", "taint", tainted, "dedicated-")


def test_example_autoscale(three_nodes: Cluster, applied: Callable[[str], str]) -> None:
    name = applied("Autoscale")
    eventually(lambda: len(three_nodes.ps(name)) == 2, timeout=60)
    for instance in ("worker-0", "worker-1"):
        inside(three_nodes, f"{name}/{instance}", "sh", "-c", "echo queue_length 20 > /www/metrics")
    eventually(lambda: len(three_nodes.ps(name)) >= 3, timeout=90, every=1)
    three_nodes.manager.appliance("scale", f"{name}/worker", "2", "--wait", timeout=60)
    assert len([row for row in three_nodes.ps(name) if row["desired"] == "running"]) == 2


def test_example_config(three_nodes: Cluster, applied: Callable[[str], str]) -> None:
    name = applied("Config")
    instance = f"{name}/web-1"
    assert inside(three_nodes, instance, "cat", "/etc/page/page.conf") == f"colour = blue\ninstance = {instance}\n"
    other = row(three_nodes, f"{name}/other-0")["containers"]
    three_nodes.apply(EXAMPLES["Config"], "--set", "colour=green")
    assert "colour = green" in inside(three_nodes, instance, "cat", "/etc/page/page.conf")
    assert row(three_nodes, f"{name}/other-0")["containers"] == other


def test_example_secret(three_nodes: Cluster, applied: Callable[[str], str]) -> None:
    refused = three_nodes.apply(EXAMPLES["Secret"], check=False)
    assert refused.returncode == 3
    assert "appliance secret set secret/password" in refused.stderr
    three_nodes.manager.appliance("secret", "set", "secret/password", input="s3cret")
    name = applied("Secret")
    assert inside(three_nodes, f"{name}/main-0", "cat", "/run/secrets/password") == "s3cret"
    assert inside(three_nodes, f"{name}/main-0", "sh", "-c", "echo $PASSWORD") == "s3cret\n"
