"""The nodes' subnets as flannel's leases in etcd, so that `etcdctl` and people who know flannel find them there.

/coreos.com/network/config                 the network and its backend
/coreos.com/network/subnets/10.99.7.0-24   who has this subnet, and the MAC of its vxlan device

The layout is that of flannel's etcd manager (github.com/flannel-io/flannel, pkg/subnet/etcd), the values its
`Config`, `LeaseAttrs` and `vxlanLeaseAttrs`. A mirror of our own nodes, never read back (docs/adr/0071-flannel-leases).
"""

import json
from collections.abc import Callable
from itertools import batched

from appliance.loop import Loop
from appliance.model.addresses import subnet_of
from appliance.model.cluster import OVERLAY_PORT
from appliance.network.overlay import VNI
from appliance.store.state import State
from appliance.store.store import MOST_OPERATIONS, Delete, Expect, Put, Store

ROOT = "/coreos.com/network/"
CONFIG = ROOT + "config"
SUBNETS = ROOT + "subnets/"
_LOOK = 300.0
"""Seconds after which a lease that somebody else changed is put right at the latest."""


def leases(state: State) -> dict[str, bytes]:
    """Key → value, of every node whose device is known. Pure."""
    cluster = state.cluster()
    if cluster is None:
        return {}
    backend = {"Type": "vxlan", "VNI": VNI, "Port": OVERLAY_PORT}
    found = {CONFIG: _json({"Network": cluster.network, "SubnetLen": 24, "Backend": backend})}
    statuses = state.node_status.all()
    for node in state.nodes.all().values():
        status = statuses.get(node.id)
        if status is not None and status.vtep_mac:
            subnet = subnet_of(cluster.network, node.number)
            found[f"{SUBNETS}{subnet.network_address}-{subnet.prefixlen}"] = _json(
                {
                    "PublicIP": node.address,
                    "PublicIPv6": None,
                    "BackendType": "vxlan",
                    "BackendData": {"VNI": VNI, "VtepMAC": status.vtep_mac},
                }
            )
    return found


class LeaseMirror:
    """A component: while this manager leads (`term` is not None) it makes the leases what `leases` says."""

    name = "leases"

    def __init__(self, store: Store, state: State, term: Callable[[], Expect | None]) -> None:
        self._store = store
        self._state = state
        self._term = term
        self._loop = Loop(self.name, self.cycle, interval=_LOOK)

    def start(self) -> None:
        self._loop.follow(*(table.subscribe for table in (self._state.nodes, self._state.node_status)))
        self._loop.start()

    def stop(self) -> None:
        self._loop.stop()

    def wake(self) -> None:
        """Call it when this manager begins to lead."""
        self._loop.wake()

    def cycle(self) -> None:
        """Raises Conflict when the leadership ends meanwhile, StoreUnavailable."""
        term = self._term()
        if term is None:
            return
        wanted = leases(self._state)
        if not wanted:
            return
        present = {entry.key: entry.value for entry in self._store.list(ROOT).entries}
        gone: list[Put | Delete] = [Delete(key) for key in present if key.startswith(SUBNETS) and key not in wanted]
        new: list[Put | Delete] = [Put(key, value) for key, value in wanted.items() if present.get(key) != value]
        for operations in batched([*gone, *new], MOST_OPERATIONS, strict=False):
            self._store.commit(operations, [term])


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
