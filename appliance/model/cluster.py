"""The cluster: the set of nodes that share one etcd and one CA."""

import msgspec

from appliance.model.certificate import USUAL_LIFE

HTTPS_PORT = 8443
LINK_PORT = 8444
ETCD_CLIENT_PORT = 2379
ETCD_PEER_PORT = 2380
REGISTRY_PORT = 5000
OVERLAY_PORT = 8472
"""UDP: vxlan, as flannel has it."""

INSTANCE_NETWORK = "appliance"
"""The engine's network of a node's instances."""
INSTANCE_BRIDGE = "appliance0"
"""Its bridge on the host."""

MOST_MANAGERS = 5
"""More would make writes slower and nothing safer."""

ETCD_NAME = "etcd.appliance"
"""The DNS name that every etcd member's certificate carries: a client checks one name whichever member it reaches."""

PROGRESS = 5.0
"""Seconds after which etcd tells a watch how far it is when nothing changes."""

DOMAIN = "appliance.internal"
"""The domain of the instances' names. ICANN keeps ``internal`` free for private use (resolution 2024.07.29.06)."""

SYSTEM_SERVICE = "system"
"""The service whose instances are the sidecars; users cannot apply a service of this name."""


def etcd_peer_url(address: str) -> str:
    """Where the other members of etcd reach the one of the manager at this address."""
    return f"https://{address}:{ETCD_PEER_PORT}"


class Cluster(msgspec.Struct, frozen=True, kw_only=True):
    """Written by `up`. `certificate_life`: seconds that certificates are issued for.
    `store_quota`: bytes that etcd may take on each manager, 0 : the usual number.

    `network` is the address range of the overlay in CIDR form; node number N uses its Nth /24.
    `ca_fingerprint` is the lower-case hex SHA-256 of the CA certificate in DER form. `time_servers`: names or addresses
    of the site's NTP servers, which the managers follow. `vip`: the cluster's own address as ``IP/LEN``, which one of
    the managers holds, "" for none. `incarnation` is raised whenever the store is replaced by an older or another one
    (`backup restore`, `recover`): revisions are comparable within one incarnation only.
    `held`: the state is that of a backup, and nothing is decided or ordered before it is known that nothing that runs
    would have to end, or a person has agreed.
    """

    id: str
    name: str
    url: str
    network: str
    ca_fingerprint: str
    created_at: str
    time_servers: tuple[str, ...] = ()
    vip: str = ""
    incarnation: int = 0
    held: bool = False
    certificate_life: float = USUAL_LIFE
    store_quota: int = 0


class User(msgspec.Struct, frozen=True, kw_only=True):
    """A person who may log in. `password` is in the form that `security/accounts.py` writes and checks."""

    name: str
    password: str
    roles: tuple[str, ...] = ("admin",)
    created_at: str


class JoinToken(msgspec.Struct, frozen=True, kw_only=True):
    """A token as the store keeps it: never the secret, only its hash. `used_by` is the node id once used."""

    id: str
    secret_hash: str
    role: str
    created_at: str
    expires_at: str
    used_by: str = ""
    address: str = ""
    """Where managers call the host that is to join, "" : it calls them."""


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """An image that was loaded into the cluster's registry.

    `reference` is what a spec says (``shop/web:1.4``); `pull` is what a node asks its loopback registry for, by
    manifest digest; `id` is the digest of the image's configuration, which is how an image is recognised.
    """

    reference: str
    id: str
    pull: str
    architecture: str
    size: int
    loaded_at: str
