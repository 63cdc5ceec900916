"""A cluster comes back from one file, onto a fresh host and in place, and what runs does not notice.

The tests are one story and run in this order.
"""

import json
import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.lab.cluster import BUSY, UP_LIMIT, Cluster, running
from tests.lab.host import Host
from tests.lab.images import docker_archive
from tests.lab.waiting import eventually

SPEC = """
service: keep
secrets: [word]
deploys:
  main:
    replicas: 4
    stop_grace: 1s
    placement: {require: {role: worker}, spread: node}
    containers:
      main: {image: "lab/keep:1", command: ["sleep", "1000000"], env: {WORD: {secret: word}}}
"""
LATER = (
    SPEC.replace("service: keep", "service: later")
    .replace("secrets: [word]\n", "")
    .replace(", env: {WORD: {secret: word}}", "")
)


class Story:
    """What one test leaves to the next."""

    def __init__(self, cluster: Cluster, file: Path, key: str) -> None:
        self.cluster = cluster
        self.file = file
        self.key = key
        self.objects = objects(cluster.manager)

    def place(self, host: Host) -> str:
        """The backup where a command on the host finds it, as if from a stick."""
        copy = host.data / "restore.backup"
        copy.write_bytes(self.file.read_bytes())
        return str(host.root / copy.name)


def objects(manager: Host) -> dict[str, Any]:
    """What people see of the cluster, without what moves by itself."""
    return {
        "nodes": sorted((n["id"], n["name"], n["address"], str(n["labels"])) for n in manager.ask("node", "ls")),
        "services": manager.ask("history", "keep"),
        "secrets": manager.ask("secret", "ls"),
        "images": manager.ask("image", "ls"),
        "instances": sorted((row["instance"], row["node"], row["ip"], row["revision"]) for row in manager.ask("ps")),
    }


def settled(cluster: Cluster) -> bool:
    """Healthy, not held, all ready."""
    if cluster.manager.appliance("status", check=False).returncode:
        return False
    if cluster.manager.ask("status")["cluster"]["state"] != "healthy":
        return False
    rows = cluster.ps("keep")
    return len(rows) == 4 and all(row["ready"] for row in rows)


@pytest.fixture(scope="module")
def story(three_nodes: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Story:
    """The workload runs on the agents only: the manager's host is going to burn down."""
    cluster, folder = three_nodes, tmp_path_factory.mktemp("backup")
    manager = cluster.manager
    for host in cluster.hosts[1:]:
        manager.appliance("node", "label", cluster.node_name(host), "role=worker")
    cluster.load_image(docker_archive(folder / "keep.tar", "lab/keep:1"))
    manager.appliance("secret", "set", "keep/word", input="open sesame")
    cluster.apply(SPEC)
    made = json.loads(manager.appliance("backup", "create", "-o", "json").stdout)
    shutil.copy(manager.data / "var/lib/appliance/backups" / made["name"], folder / "kept.backup")
    return Story(cluster, folder / "kept.backup", manager.ask("backup", "key")["key"])


def test_a_rehearsal_says_that_it_restores_and_leaves_nothing(story: Story) -> None:
    manager = story.cluster.manager
    found = manager.ask("backup", "verify", story.place(manager))
    assert found["services"] == 1
    assert found["instances"] == 4
    assert found["secrets"] == 1
    assert not (manager.data / "var/lib/appliance/rehearsal").exists()


def test_a_rehearsal_that_was_killed_leaves_nothing_for_long(story: Story) -> None:
    manager = story.cluster.manager
    folder = manager.data / "var/lib/appliance/rehearsal"
    killed = manager.spawn(*manager.command("backup", "verify", story.place(manager)))
    eventually((folder / "data").exists, timeout=60, every=0.01)
    killed.kill()
    assert killed.wait(10) != 0
    manager.ask("backup", "verify", story.place(manager))
    assert not folder.exists()


def test_a_damaged_backup_is_refused_before_anything_is_touched(story: Story) -> None:
    manager = story.cluster.manager
    damaged, whole = manager.data / "damaged.backup", bytearray(story.file.read_bytes())
    whole[random.Random(3).randrange(500, len(whole))] ^= 4
    damaged.write_bytes(whole)
    before = running(story.cluster.hosts, "keep")
    for command in (["verify"], ["restore", "--yes"]):
        refused = manager.appliance("backup", *command, manager.root / damaged.name, check=False)
        assert refused.returncode == 3
        assert "damaged" in refused.stderr
    assert running(story.cluster.hosts, "keep") == before


def test_a_dry_run_names_what_a_restore_in_place_would_change(story: Story) -> None:
    story.cluster.apply(LATER)
    manager = story.cluster.manager
    changes = manager.ask("backup", "restore", story.place(manager), "--dry-run")
    assert {"kind": "service", "name": "later", "what": "goes"} in changes
    assert sum(change["kind"] == "instance" for change in changes) == 4


def test_a_restore_in_place_stops_nothing_that_came_later(story: Story) -> None:
    cluster, agents = story.cluster, story.cluster.hosts[1:]
    before = running(agents, "keep") | running(agents, "later")
    answer = cluster.manager.ask("backup", "restore", story.place(cluster.manager), "--yes", *BUSY, timeout=UP_LIMIT)
    assert answer["held"]
    held = eventually(lambda: _differences(cluster.manager, 4), timeout=60)
    assert {each["instance"].split("/")[0] for each in held} == {"later"}
    assert running(agents, "keep") | running(agents, "later") == before
    assert "nothing is ordered" in cluster.manager.appliance("status").stdout


def test_a_person_lets_the_restored_state_hold(story: Story) -> None:
    cluster, agents = story.cluster, story.cluster.hosts[1:]
    before = running(agents, "keep")
    cluster.manager.appliance("backup", "adopt", "--yes")
    eventually(lambda: not running(agents, "later"), timeout=60)
    eventually(lambda: settled(cluster), timeout=60)
    assert running(agents, "keep") == before
    assert objects(cluster.manager) == story.objects


def test_the_manager_comes_back_on_a_fresh_host(story: Story, capsys: pytest.CaptureFixture[str]) -> None:
    cluster, agents = story.cluster, story.cluster.hosts[1:]
    before = running(agents, "keep")
    cluster.manager.appliance("uninstall", "--purge", "--yes", timeout=120)
    assert not (cluster.manager.data / "var/lib/appliance").exists()
    file = story.place(cluster.manager)
    refused = cluster.manager.appliance("backup", "restore", file, "--yes", check=False)
    assert "recovery key" in refused.stderr
    answer = cluster.manager.ask("backup", "restore", file, "--yes", "--key", story.key, *BUSY, timeout=UP_LIMIT)
    eventually(lambda: settled(cluster), timeout=90, every=0.5)
    with capsys.disabled():
        print(f"\nrestored onto a fresh host in {answer['seconds']} s")
    assert running(agents, "keep") == before
    assert objects(cluster.manager) == story.objects


def test_its_secrets_still_open(story: Story) -> None:
    cluster = story.cluster
    cluster.manager.appliance("scale", "keep/main", "5", "--wait", timeout=60)
    newest = max(cluster.ps("keep"), key=lambda row: int(row["index"]))
    said = cluster.manager.appliance("exec", newest["instance"], "--", "sh", "-c", "echo $WORD").stdout
    assert said.strip() == "open sesame"


def _differences(manager: Host, count: int) -> list[dict[str, str]]:
    """Once there are so many and every node was heard."""
    answer = json.loads(manager.run("curl", "-sS", "--unix-socket", _socket(manager), "http://x/api/adoption").stdout)
    found: list[dict[str, str]] = answer["differences"]
    return found if len(found) == count and not answer["unheard"] else []


def _socket(manager: Host) -> Path:
    return manager.root / "run/appliance/admin.sock"
