"""How the outside reaches a service, as the nodes that serve it have to know it."""

from typing import Literal

import msgspec

HTTP_PORT = 80
TLS_PORT = 443

TAKEN_PORTS = frozenset(
    {22, 53, HTTP_PORT, 123, TLS_PORT, 2379, 2380, 2381, 5000, 8443, 8444, 8472, 9090, 9093, 9094, 9100}
)
"""Ports of a node that no rule may ask for: the appliance's own, those of its sidecars, and SSH."""

Tls = Literal["also", "only", "never"]
"""Served with TLS beside plain HTTP; plain HTTP is sent to TLS; no TLS."""


class EntryRule(msgspec.Struct, frozen=True, kw_only=True):
    """Requests for `host` ("" : any) at or below `path` go to one of `backends` (``IP:PORT`` of ready instances).

    With `protocol` ``tcp`` or ``udp``: whatever comes to `port`, without a host and a path. `body`: bytes that a
    request may bring, 0 : any number. `timeout`: seconds that either side may be silent. `sticky`: requests of one
    address go to the same instance as long as the instances stay the same.
    """

    service: str
    host: str = ""
    path: str = "/"
    backends: tuple[str, ...]
    protocol: Literal["http", "tcp", "udp"] = "http"
    port: int = 0
    tls: Tls = "also"
    body: int = 0
    timeout: float = 3600.0
    sticky: bool = False

    @property
    def name(self) -> str:
        """As people read it."""
        return f"{self.host or '*'}{self.path}" if self.protocol == "http" else f"{self.protocol}/{self.port}"


class HostCertificate(msgspec.Struct, frozen=True, kw_only=True):
    """With what requests by TLS for `host` ("" : all other hosts) are answered: certificates, the host's own first,
    and its private key; PEM."""

    host: str
    chain: str
    key: str

    def __repr__(self) -> str:
        return f"HostCertificate({self.host})"  # whatever is logged, the key is not


class IssuedCertificate(msgspec.Struct, frozen=True, kw_only=True):
    """A certificate of the cluster's authority for a host name of the entry. Written by the leader only.

    `addresses`: those that it is good for beside the name. `sealed` is the key, as `security/sealing.py` seals it.
    """

    host: str
    addresses: tuple[str, ...] = ()
    certificate: str
    sealed: bytes
