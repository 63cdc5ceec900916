"""Who is where: what every node needs to know of all instances to answer for names, balance and policy by itself."""

from typing import Literal

import msgspec


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One instance with an address. `ready`: it serves, on a node that can be reached."""

    instance: str
    service: str
    deploy: str
    index: int
    ip: str
    node: str
    ready: bool


class NamedPort(msgspec.Struct, frozen=True, kw_only=True):
    """A port that the containers of a deploy listen on."""

    name: str
    port: int
    protocol: Literal["tcp", "udp"] = "tcp"


class DeployNames(msgspec.Struct, frozen=True, kw_only=True):
    """What is the same for all instances of a deploy. `virtual` is its stable address, "" for none."""

    virtual: str = ""
    ports: tuple[NamedPort, ...] = ()


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """A service that is isolated: only its own instances, the entry, and those of the services in `allow` get in."""

    allow: tuple[str, ...] = ()


class Directory(msgspec.Struct, frozen=True, kw_only=True):
    """`endpoints` by instance, `deploys` by ``SERVICE/DEPLOY``, `policies` by service."""

    endpoints: dict[str, Endpoint] = {}
    deploys: dict[str, DeployNames] = {}
    policies: dict[str, Policy] = {}


class VirtualAddress(msgspec.Struct, frozen=True, kw_only=True):
    """The stable address of a deploy, decided once. Written by the orchestrator only."""

    service: str
    deploy: str
    ip: str


def gone_and_new(before: Directory, after: Directory) -> tuple[tuple[str, ...], dict[str, Endpoint]]:
    """Names of endpoints that are gone, and those that are new or changed. Pure."""
    gone = tuple(name for name in before.endpoints if name not in after.endpoints)
    return gone, {name: each for name, each in after.endpoints.items() if before.endpoints.get(name) != each}
