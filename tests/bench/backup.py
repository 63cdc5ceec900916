"""How long a backup of 2,000 objects takes, its rehearsal, and its restore onto a fresh host; and what differs then."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from appliance.cli.client import Client
from appliance.delivery.backup_file import Backup, read_backup
from appliance.security.recovery_key import parse_recovery_text
from appliance.store import keys
from tests.bench import figures
from tests.bench.figures import Figure
from tests.lab.cluster import BUSY, UP_LIMIT, Cluster
from tests.lab.lab import Lab

OBJECTS = 2_000
MOVING = (keys.CLUSTER, keys.ROOT + "status/")
"""What a restore changes on purpose, and what nodes report anew."""


def backup(package: Path, rounds: int) -> list[Figure]:
    """Objects are secrets, written by the API. After a restore, everything is compared but what moves."""
    made, rehearsed, restored, differing = [], [], [], 0
    with Lab(package=package) as lab:
        cluster = Cluster(lab)
        cluster.start(lab.host("m1"))
        manager, kept = cluster.manager, lab.directory / "kept.backup"
        key = manager.ask("backup", "key")["key"]
        _fill(manager.data)
        for _ in range(rounds):
            answer = manager.ask("backup", "create")
            made.append(float(answer["seconds"]))
            shutil.copy(manager.data / "var/lib/appliance/backups" / answer["name"], kept)
            rehearsed.append(float(manager.ask("backup", "verify", answer["name"], timeout=UP_LIMIT)["seconds"]))
            manager.appliance("uninstall", "--purge", "--yes", timeout=UP_LIMIT)
            shutil.copy(kept, manager.data / "kept.backup")
            command = ["backup", "restore", str(manager.root / "kept.backup"), "--key", key, "--yes", *BUSY]
            restored.append(float(manager.ask(*command, timeout=UP_LIMIT)["seconds"]))
            again = manager.data / "var/lib/appliance/backups" / manager.ask("backup", "create")["name"]
            differing += _differing(*(read_backup(path, parse_recovery_text(key)) for path in (kept, again)))
        size = kept.stat().st_size
    return [
        figures.seconds(f"backup of {OBJECTS:,} objects", made, note=f"{size / 1024:.0f} KiB"),
        figures.seconds("… its rehearsal", rehearsed),
        figures.seconds("… its restore onto a fresh host, to ready", restored),
        Figure("… objects that differ afterwards", differing, "", 0),
    ]


def _fill(root: Path) -> None:
    client = Client(root)

    def put(number: int) -> None:
        client.post("secrets", "bench", f"word-{number}", body={"value": f"secret number {number}"})

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(put, range(OBJECTS)))


def _differing(before: Backup, after: Backup) -> int:
    wanted, found = (
        {key: json.loads(value) for key, value in each.entries.items() if not key.startswith(MOVING)}
        for each in (before, after)
    )
    return sum(wanted.get(key) != found.get(key) for key in {*wanted, *found})
