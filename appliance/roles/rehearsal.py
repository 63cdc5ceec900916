"""Tries out a backup: fills a throwaway etcd from it as a restore would, and reads that as a manager does."""

import json
import subprocess
from pathlib import Path

from appliance.delivery.backup_check import Counts, compare, examine
from appliance.delivery.backup_file import Backup
from appliance.delivery.backups import Rehearsal
from appliance.delivery.package import Package
from appliance.delivery.refill import refill
from appliance.delivery.throwaway_etcd import isolate, throwaway_etcd
from appliance.errors import Refused, StoreUnavailable
from appliance.host.layout import Layout
from appliance.host.lock import only_one
from appliance.roles.run import program
from appliance.store import keys
from appliance.store.etcd import EtcdStore
from appliance.store.etcd_channels import EtcdChannels
from appliance.store.memory import MemoryStore
from appliance.store.mirror import Mirror
from appliance.store.state import State
from appliance.store.store import Store

LONGEST = 300.0
"""Seconds that a rehearsal may take."""


def rehearse(layout: Layout, package: Package, backup: Backup) -> Counts:
    """Raises ApplianceError for what keeps the backup from being restored. The process loses its network for good."""
    busy = Refused("Another rehearsal is at work on this host.", where=str(layout.run), next="wait until it ends")
    with only_one(layout.run / "rehearsal.lock", busy):
        isolate()
        with throwaway_etcd(package, layout.rehearsal, _answers) as endpoint:
            store = EtcdStore(EtcdChannels([endpoint]))
            try:
                return _read_back(store, backup)
            finally:
                store.close()


def look_through(backup: Backup) -> Counts:
    """The same without an etcd, for a restore that must know before it touches anything."""
    return _read_back(MemoryStore(lambda: 0.0), backup)


def rehearse_apart(layout: Layout, backup: Path) -> Rehearsal:
    """In a process of its own, for a manager: the second copy of the state and the loss of the network end with it."""
    command = [*program(layout), "backup", "verify", str(backup), "--root", str(layout.root), "-o", "json"]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LONGEST, check=False
        )
    except subprocess.TimeoutExpired:
        return Rehearsal("", f"it did not end within {LONGEST:g} s")
    if done.returncode:
        return Rehearsal("", " ".join(done.stderr.split()))
    return Rehearsal(str(json.loads(done.stdout)["found"]))


def _read_back(store: Store, backup: Backup) -> Counts:
    refill(store, backup.entries)
    found = {entry.key: entry.value for entry in store.list(keys.ROOT).entries}
    compare(backup.entries, found)
    mirror = Mirror(store, keys.ROOT)
    mirror.start()
    try:
        return examine(backup, State(mirror))
    finally:
        mirror.stop()


def _answers(endpoint: str) -> bool:
    store = EtcdStore(EtcdChannels([endpoint]))
    try:
        store.get(keys.CLUSTER)
    except StoreUnavailable:
        return False
    finally:
        store.close()
    return True


def sentence(backup: Backup, counts: Counts) -> str:
    """What a person reads of a rehearsal that went well."""
    return (
        f"restorable at {backup.header.made_at}: {counts.objects} objects, {counts.services} services, "
        f"{counts.instances} instances, {counts.nodes} nodes, {counts.secrets} secrets"
    )
