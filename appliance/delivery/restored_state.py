"""The state with which a cluster goes on after a restore, and what that changes of the one it had. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import msgspec

from appliance.errors import Refused
from appliance.model.cluster import HTTPS_PORT, Cluster
from appliance.model.identity import NodeIdentity
from appliance.model.node import NodeSpec
from appliance.store import keys
from appliance.store.codec import decode, rewritten

KINDS = {
    "node": keys.NODES,
    "service": keys.SERVICES,
    "instance": keys.INSTANCES,
    "image": keys.IMAGES,
    "secret": keys.SECRETS,
    "user": keys.USERS,
    "virtual address": keys.VIPS,
}


@dataclass(frozen=True)
class Change:
    """`what`: it is there now and was not then ("goes"), the reverse ("comes back"), or it was another ("changes")."""

    kind: str
    name: str
    what: Literal["goes", "comes back", "changes"]


def changes(now: Mapping[str, bytes], then: Mapping[str, bytes]) -> Iterator[Change]:
    """What a restore changes, in words of people: kind after kind, by name."""
    for kind, prefix in KINDS.items():
        for key in sorted(key for key in {*now, *then} if key.startswith(prefix)):
            if now.get(key) != then.get(key):
                what: Literal["goes", "comes back", "changes"] = (
                    "goes" if key not in then else "comes back" if key not in now else "changes"
                )
                yield Change(kind, key.removeprefix(prefix), what)


def restored(entries: Mapping[str, bytes], identity: NodeIdentity, now: float) -> dict[str, bytes]:
    """`identity`: the manager that restores, the only one from now on.

    The incarnation becomes higher than any that a node may have heard of: that of the backup plus one, or `now`
    (seconds since the epoch), since the same backup may have been restored before. The state is held until it is known
    that nothing that runs would have to end. Raises Refused where the backup does not know this manager.
    """
    cluster = decode(entries.get(keys.CLUSTER, b""), Cluster, where=keys.CLUSTER)
    nodes = {key: decode(value, NodeSpec, where=key) for key, value in entries.items() if key.startswith(keys.NODES)}
    own = nodes.pop(keys.NODES + identity.id, None)
    if own is None:
        raise Refused("The backup does not know the manager that made it.", where=identity.id, page="backup")
    agents = {
        key: rewritten(entries[key], msgspec.structs.replace(node, roles=("agent",)), where=key)
        for key, node in nodes.items()
        if "manager" in node.roles
    }
    mine = msgspec.structs.replace(own, address=identity.address, roles=identity.roles)
    url = cluster.url if cluster.vip else f"https://{identity.address}:{HTTPS_PORT}/"
    incarnation = max(cluster.incarnation + 1, int(now))
    again = msgspec.structs.replace(cluster, url=url, incarnation=incarnation, held=True)
    changed = {keys.NODES + identity.id: mine, keys.CLUSTER: again}
    return {**entries, **agents, **{key: rewritten(entries[key], value, where=key) for key, value in changed.items()}}


def other_managers(entries: Mapping[str, bytes], own: str) -> list[NodeSpec]:
    """Those of the backup's time; they have no part in the restored cluster until they are managers again."""
    nodes = (decode(value, NodeSpec, where=key) for key, value in entries.items() if key.startswith(keys.NODES))
    return [node for node in nodes if "manager" in node.roles and node.id != own]
