"""What a manager does with the store before anybody reads it: fills a new one, and finds the key of its secrets."""

import logging
import time

from appliance.delivery import node_files
from appliance.delivery.backup_file import read_backup
from appliance.delivery.refill import refill
from appliance.delivery.restored_state import restored
from appliance.errors import LocalStateDamaged
from appliance.host.layout import Layout
from appliance.model.identity import FirstState
from appliance.security.recovery_key import recovery_secret
from appliance.security.sealing import Seal, make_seal, read_seal
from appliance.store import keys
from appliance.store.codec import encode
from appliance.store.store import Expect, Put, Store

log = logging.getLogger(__name__)


def fill_if_empty(store: Store, layout: Layout) -> None:
    """Write a new cluster's first state, or that of the backup which is being restored, once.

    The record of it is removed afterwards: a store that is empty later has lost its data, and filling it again would
    tell every node to remove its instances. Raises LocalStateDamaged for such a one.
    """
    if store.get(keys.CLUSTER) is None:
        if layout.restored_file.exists():
            _refill(store, layout)
        else:
            store.commit(*_first_commit(node_files.read_first_state(layout)))
            log.info("the new cluster's first state is in the store")
    layout.cluster_file.unlink(missing_ok=True)
    layout.restored_file.unlink(missing_ok=True)


def open_seal(store: Store, layout: Layout) -> Seal:
    """What secrets are sealed with. Raises LocalStateDamaged where the store has secrets and this node no key."""
    found = read_seal(layout.seal_key)
    if found is None and store.list(keys.SECRETS).entries:
        raise LocalStateDamaged(
            "The key that the cluster's secrets are sealed with is missing.",
            where=str(layout.seal_key),
            why="there are secrets in the store, and nothing else opens them",
            next="restore the file from a backup",
            page="secrets",
        )
    return found or make_seal(layout.seal_key)


def _refill(store: Store, layout: Layout) -> None:
    backup = read_backup(layout.restored_file, recovery_secret(layout.seal_key.read_bytes()))
    refill(store, restored(backup.entries, node_files.read_identity(layout), time.time()))
    log.info("the store is filled with the cluster's state of %s", backup.header.made_at)


def _first_commit(first: FirstState) -> tuple[list[Put], list[Expect]]:
    node = first.node
    puts = [
        Put(keys.CLUSTER, encode(first.cluster)),
        Put(keys.USERS + first.admin.name, encode(first.admin)),
        Put(keys.NODES + node.id, encode(node)),
        Put(f"{keys.NUMBERS}{node.number}", encode(node.id)),
    ]
    return puts, [Expect(put.key, 0) for put in puts]
