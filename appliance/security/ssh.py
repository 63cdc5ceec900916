"""Keys and certificates of the link, in OpenSSH's formats (PROTOCOL.certkeys of OpenSSH).

One authority of the cluster signs both sides: a node's host key, with the node's id as key id and principal, and a
manager's user key, with the manager's id. Made with `cryptography` alone, so that nothing here loads asyncssh.
"""

import base64
import hashlib
import secrets
from dataclasses import dataclass
from typing import Literal

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    SSHCertificate,
    SSHCertificateBuilder,
    SSHCertificateType,
    load_ssh_private_key,
    load_ssh_public_identity,
    load_ssh_public_key,
)

from appliance.errors import UsageError
from appliance.model.certificate import USUAL_LIFE, Validity, validity

Kind = Literal["host", "user"]
_TYPES = {"host": SSHCertificateType.HOST, "user": SSHCertificateType.USER}


@dataclass(frozen=True)
class LinkCertificate:
    """What a certificate of the link says: `name` is the node's id; `key` and `authority` are public keys, each a line
    without a comment."""

    kind: Kind
    name: str
    key: str
    authority: str
    validity: Validity


def make_ssh_key() -> tuple[str, str]:
    """A new Ed25519 key: (private key in OpenSSH's format, public key as one line)."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
    return private, key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode() + "\n"


def issue_host_certificate(authority: str, public_key: str, node_id: str, now: float, life: float = USUAL_LIFE) -> str:
    """Certify a node's host key for `life` seconds. `authority` is a private key of `make_ssh_key`.

    Raises UsageError for a bad key.
    """
    return _issue(authority, public_key, node_id, "host", now, life)


def issue_user_certificate(
    authority: str, public_key: str, manager_id: str, now: float, life: float = USUAL_LIFE
) -> str:
    """Certify the key by which a manager logs in to the nodes' end of the link."""
    return _issue(authority, public_key, manager_id, "user", now, life)


def renew_certificate(authority: str, certificate: str, now: float, life: float) -> str:
    """The same kind, name and key for `life` more seconds, signed by `authority`. Raises ValueError."""
    old = read_certificate(certificate)
    return _issue(authority, old.key, old.name, old.kind, now, life)


def read_certificate(text: str) -> LinkCertificate:
    """Raises ValueError for what is no certificate of a link, or carries a wrong signature."""
    try:
        read = load_ssh_public_identity(text.encode())
        if not isinstance(read, SSHCertificate):
            raise ValueError("it is a key without a certificate")
        read.verify_cert_signature()
        (name,) = read.valid_principals
    except (UnsupportedAlgorithm, InvalidSignature) as error:
        raise ValueError(f"it cannot be verified: {error}") from None
    return LinkCertificate(
        kind="host" if read.type is SSHCertificateType.HOST else "user",
        name=name.decode(),
        key=_line(read.public_key()),
        authority=_line(read.signature_key()),
        validity=Validity(begun=float(read.valid_after), over=float(read.valid_before)),
    )


def key_fingerprint(public_key: str) -> str:
    """As ``ssh-keygen -l`` prints it: ``SHA256:`` and base64 of the key's digest."""
    blob = base64.b64decode(public_key.split()[1])
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def public_key_of(private_key: str) -> str:
    """One line, without a comment."""
    return _line(load_ssh_private_key(private_key.encode(), None).public_key())


def _issue(authority: str, public_key: str, name: str, kind: Kind, now: float, life: float) -> str:
    signer = load_ssh_private_key(authority.encode(), None)
    assert isinstance(signer, Ed25519PrivateKey), "the link's authority is always an Ed25519 key"
    good = validity(now, life)
    builder = (
        SSHCertificateBuilder()
        .public_key(_ed25519(public_key))
        .serial(secrets.randbits(63))
        .type(_TYPES[kind])
        .key_id(name.encode())
        .valid_principals([name.encode()])
        .valid_after(max(0, int(good.begun)))
        .valid_before(int(good.over))
    )
    if kind == "user":
        for extension in (b"permit-port-forwarding", b"permit-pty"):
            builder = builder.add_extension(extension, b"")
    return builder.sign(signer).public_bytes().decode() + "\n"


def _line(key: object) -> str:
    """Raises ValueError for a kind of key that the link does not use."""
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError("it is not of an Ed25519 key; the link uses no other kind")
    return key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def _ed25519(public_key: str) -> Ed25519PublicKey:
    try:
        key = load_ssh_public_key(public_key.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise UsageError("The node's public key cannot be read.", why=str(error)) from error
    if not isinstance(key, Ed25519PublicKey):
        raise UsageError("The node's public key is not an Ed25519 key.", why="the link uses no other kind")
    return key
