"""What a node knows of itself and its cluster from its own disk, without asking anybody."""

import msgspec

from appliance.model.cluster import Cluster, User
from appliance.model.node import Clock, Dial, NodeSpec, Role


class NodeIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """`managers`: addresses (HOST:PORT) of the managers' link. `engine`: path of the engine's socket, "" : our own.
    `vip`: the cluster's own address, as this node founded it with; "" on nodes that joined. `store_quota`: bytes that
    etcd may take on this manager, 0 : the usual number. `joined_with`: id of the token that let the node in, "" where
    it was not let in by one, and after a demotion: joining again with that token then has nothing to finish."""

    id: str
    name: str
    number: int
    address: str
    roles: tuple[Role, ...]
    dial: Dial = "agent"
    cluster_id: str
    cluster_name: str
    network: str
    managers: tuple[str, ...]
    engine: str = ""
    clock: Clock = "host"
    vip: str = ""
    store_quota: int = 0
    joined_with: str = ""
    moved: bool = False
    """`address` was set on the node itself, and no manager has confirmed it yet."""


def moved(identity: NodeIdentity, address: str, managers: tuple[str, ...]) -> NodeIdentity:
    """The identity after somebody set the node's address, and maybe the managers' (HOST:PORT), on the node. Pure."""
    own = tuple(
        f"{address}:{port}" if host == identity.address and "manager" in identity.roles else f"{host}:{port}"
        for host, _, port in (manager.rpartition(":") for manager in identity.managers)
    )
    return msgspec.structs.replace(identity, address=address, managers=managers or own, moved=True)


class OwnMember(msgspec.Struct, frozen=True, kw_only=True):
    """Which member of etcd a manager is. `id` is etcd's, in hexadecimal. `peers`: the other members (node id → URL)
    that it joins at its first start; none once it has data, so that it never starts without."""

    id: str
    peers: dict[str, str] = {}


class FirstState(msgspec.Struct, frozen=True, kw_only=True):
    """What the first manager puts into an empty store."""

    cluster: Cluster
    admin: User
    node: NodeSpec
