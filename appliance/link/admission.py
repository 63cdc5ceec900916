"""Who is let in on the link, and why somebody is not. Pure; asked at every handshake, from memory.

Neither side judges the other by its own clock alone: a clock that is wrong must not end a link. A manager knows from
the store who is a node, so a node's certificate may have expired while the node was off: it gets a new one as soon as
it is connected. To a node a manager's certificate has expired when its own clock says so and the manager's, as far as
it has heard it, does as well.
"""

from collections.abc import Collection

from appliance.model.node import NodeSpec
from appliance.security.ssh import LinkCertificate, key_fingerprint

_STRANGER = "its certificate is not signed by this cluster's authority"
_REVOKED = "its key is revoked"


def why_no_node(
    certificate: LinkCertificate,
    authorities: Collection[str],
    node: NodeSpec | None,
    revoked: Collection[str],
    now: float,
) -> str:
    """ "" where a manager lets it in. `node` is what the store says of the certificate's name, `authorities` are public
    keys, `revoked` fingerprints of keys."""
    if certificate.kind != "host":
        return "it shows a certificate that is not a node's"
    if certificate.authority not in authorities:
        return _STRANGER
    if node is None:
        return f"{certificate.name} is no node of it, or no longer"
    if key_fingerprint(certificate.key) in revoked:
        return _REVOKED
    if node.ssh_key and certificate.key.split()[:2] != node.ssh_key.split()[:2]:
        return f"its key is not the one that {node.name} joined with"
    if not node.ssh_key and certificate.validity.over < now:
        return f"its certificate has expired, and nobody knows which key {node.name} joined with"
    return ""


def why_no_manager(
    certificate: LinkCertificate, authorities: Collection[str], revoked: Collection[str], moment: float
) -> str:
    """ "" where a node lets it in. `moment`: what time it is for this manager, in seconds since the epoch."""
    if certificate.kind != "user":
        return "it shows a certificate that is not a manager's"
    if certificate.authority not in authorities:
        return _STRANGER
    if key_fingerprint(certificate.key) in revoked:
        return _REVOKED
    return "its certificate has expired" if certificate.validity.over < moment else ""
