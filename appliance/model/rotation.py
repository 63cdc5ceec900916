"""How the cluster's two authorities, for TLS and for the link, are replaced while everything goes on.

The order is what keeps everybody able to talk to everybody: first all learn to believe the new ones as well, then the
new ones sign, and only when nobody shows or needs a signature of the old ones any more are those forgotten. Pure.
"""

from collections.abc import Iterator, Mapping
from typing import Literal

import msgspec

from appliance.model.node import NodeSpec, NodeStatus

Step = Literal["spreading", "signing", "dropping"]


class Rotation(msgspec.Struct, frozen=True, kw_only=True):
    """`spreading`: all learn to believe the new authorities; `signing`: these sign; `dropping`: the old are forgotten.

    `ca`: the new certificate for TLS (PEM) and `fingerprint` its fingerprint; `link`: the new public key for the link.
    `sealed`: the private keys of both (`NewKeys`), as `security/sealing.py` seals them.
    """

    step: Step
    started_at: str
    ca: str
    fingerprint: str
    link: str
    sealed: bytes


class NewKeys(msgspec.Struct, frozen=True, kw_only=True):
    """`ca`: PEM, `link`: OpenSSH's format."""

    ca: str
    link: str

    def __repr__(self) -> str:
        return "NewKeys()"  # whatever is logged, the keys are not


class NodeTrust(msgspec.Struct, frozen=True, kw_only=True):
    """Whom a node believes on the link, as it said: public keys. `signed_by`: who signed what it shows itself."""

    node: str
    authorities: tuple[str, ...]
    signed_by: str


class ManagerTrust(msgspec.Struct, frozen=True, kw_only=True):
    """Of a manager, by itself. `etcd`: fingerprints of the authorities that its etcd believes; `signer`: of the one
    that has signed all its own certificates."""

    node: str
    etcd: tuple[str, ...]
    signer: str


def missing(
    rotation: Rotation,
    nodes: Mapping[str, NodeSpec],
    statuses: Mapping[str, NodeStatus],
    trusts: Mapping[str, NodeTrust],
    managers: Mapping[str, ManagerTrust],
) -> list[str]:
    """What has to happen before the step is done, a sentence each.

    In `spreading` nodes that cannot be reached do not count: they are shown a certificate of the old authority too when
    they come back. In `signing`, after which that ends, they do.
    """
    found = list(_of_managers(rotation, nodes, managers))
    if rotation.step == "dropping":
        return found
    for node in nodes.values():
        status, trust = statuses.get(node.id), trusts.get(node.id)
        reached = status is not None and status.state == "ready"
        if rotation.step == "spreading" and not reached:
            continue
        if trust is None or rotation.link not in trust.authorities:
            away = "" if reached else "; it is not connected"
            found.append(f"{node.name} has not heard of the new authorities{away}")
        elif rotation.step == "signing" and trust.signed_by != rotation.link:
            found.append(f"{node.name} still shows a certificate of the old authority")
    return found


def whose_turn(rotation: Rotation, nodes: Mapping[str, NodeSpec], managers: Mapping[str, ManagerTrust]) -> str:
    """The manager whose etcd is to be started anew now; "" : none. One at a time, so that a quorum stays."""
    ours = sorted(node.id for node in nodes.values() if "manager" in node.roles)
    return next((each for each in ours if not _etcd_is_right(rotation, managers.get(each))), "")


def _of_managers(
    rotation: Rotation, nodes: Mapping[str, NodeSpec], managers: Mapping[str, ManagerTrust]
) -> Iterator[str]:
    for node in nodes.values():
        if "manager" not in node.roles:
            continue
        trust = managers.get(node.id)
        if not _etcd_is_right(rotation, trust):
            yield f"etcd of {node.name} has not been started with the authorities of this step"
        elif rotation.step == "signing" and (trust is None or trust.signer != rotation.fingerprint):
            yield f"{node.name} still has certificates of the old authority"


def _etcd_is_right(rotation: Rotation, trust: ManagerTrust | None) -> bool:
    if trust is None or rotation.fingerprint not in trust.etcd:
        return False
    return rotation.step != "dropping" or trust.etcd == (rotation.fingerprint,)
