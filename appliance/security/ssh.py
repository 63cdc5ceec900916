"""Keys and certificates of the link, in OpenSSH's formats (PROTOCOL.certkeys of OpenSSH).

One authority of the cluster signs both sides: a node's host key, with the node's id as key id and principal, and a
manager's user key, with the manager's id. Made with `cryptography` alone, so that nothing here loads asyncssh.
"""

import secrets
import time

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    SSHCertificateBuilder,
    SSHCertificateType,
    load_ssh_private_key,
    load_ssh_public_key,
)

from appliance.errors import UsageError

BACKDATED = 3600
"""Seconds before the time of issue from which a certificate is valid: clocks of two hosts differ."""
VALID_DAYS = 3650


def make_ssh_key() -> tuple[str, str]:
    """A new Ed25519 key: (private key in OpenSSH's format, public key as one line)."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
    return private, key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode() + "\n"


def issue_host_certificate(authority: str, public_key: str, node_id: str, *, now: float | None = None) -> str:
    """Certify a node's host key. `authority` is a private key of `make_ssh_key`. Raises UsageError for a bad key."""
    return _issue(authority, public_key, node_id, SSHCertificateType.HOST, now)


def issue_user_certificate(authority: str, public_key: str, manager_id: str, *, now: float | None = None) -> str:
    """Certify the key by which a manager logs in to the nodes' end of the link."""
    return _issue(authority, public_key, manager_id, SSHCertificateType.USER, now)


def _issue(authority: str, public_key: str, name: str, kind: SSHCertificateType, now: float | None) -> str:
    signer = load_ssh_private_key(authority.encode(), None)
    assert isinstance(signer, Ed25519PrivateKey), "the link's authority is always an Ed25519 key"
    issued = int(time.time() if now is None else now)
    builder = (
        SSHCertificateBuilder()
        .public_key(_ed25519(public_key))
        .serial(secrets.randbits(63))
        .type(kind)
        .key_id(name.encode())
        .valid_principals([name.encode()])
        .valid_after(issued - BACKDATED)
        .valid_before(issued + VALID_DAYS * 86_400)
    )
    if kind is SSHCertificateType.USER:
        for extension in (b"permit-port-forwarding", b"permit-pty"):
            builder = builder.add_extension(extension, b"")
    return builder.sign(signer).public_bytes().decode() + "\n"


def _ed25519(public_key: str) -> Ed25519PublicKey:
    try:
        key = load_ssh_public_key(public_key.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise UsageError("The node's public key cannot be read.", why=str(error)) from error
    if not isinstance(key, Ed25519PublicKey):
        raise UsageError("The node's public key is not an Ed25519 key.", why="the link uses no other kind")
    return key
