"""The keys and certificates of a node on its disk: made once, read by its roles.

pki/ca.crt            the cluster's authority for TLS, on every node
pki/ca.key            its key, on managers; like ssh-ca, never inside a folder that a sidecar can see
pki/ssh-ca, .pub      the authority that signs the link's certificates, on managers
pki/ssh-ca-old        the authority before, and link/user-old.crt of it, while they are replaced
pki/etcd-believes     fingerprints of the authorities that etcd was started with, once they were replaced
pki/link/revoked      keys of managers and nodes that this node lets in no more
pki/link/             host.key and host.crt: this node towards managers; user.key and user.crt: this manager
                      towards nodes; authority.pub: who signs both
pki/client/           this manager towards etcd
pki/etcd/, pki/web/   what the sidecars see: they read certificate and key anew at every handshake

A certificate is renewed for the key that it has, so that one atomic write is all that readers can meet.
"""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from appliance.errors import LocalStateDamaged
from appliance.host.files import sync_folder, write_atomic, write_if_changed
from appliance.host.layout import Layout
from appliance.model.certificate import USUAL_LIFE, HeldCertificate, Use, Validity
from appliance.model.cluster import ETCD_NAME
from appliance.security.ca import (
    KeyPair,
    addresses_of,
    certificate_of,
    is_issued_by,
    issue,
    make_ca,
    renew,
    validity_of,
)
from appliance.security.key_text import is_whole
from appliance.security.ssh import (
    issue_host_certificate,
    issue_user_certificate,
    key_fingerprint,
    make_ssh_key,
    public_key_of,
    read_certificate,
    renew_certificate,
)

LEAVES: dict[Use, str] = {"etcd": "etcd/etcd", "page": "web/web", "client": "client/client"}
"""A manager's own certificates for TLS, without what is behind the dot."""
COPIES = ("etcd/ca.crt", "client/ca.crt")
"""Of the authorities' certificates (`ca.crt`)."""

_REMEDY = "on an agent, join again; on a manager, restore the file from a backup"


@dataclass(frozen=True)
class LinkKeys:
    """One end of the link: its key and certificate, and the public key of the authority. OpenSSH's text formats."""

    authority: str
    key: str
    certificate: str


def make_cluster_keys(
    layout: Layout,
    cluster_name: str,
    node_id: str,
    address: str,
    now: float,
    *,
    vip: str = "",
    life: float = USUAL_LIFE,
) -> bytes:
    """Everything that a new cluster's first manager needs; returns the authority's certificate (PEM).

    `vip`: the cluster's own address, "" for none; whoever comes by it has to find it in the certificate of the page.
    `life`: seconds that certificates are good for.
    Keys of an earlier try that did not get as far as a node are replaced.
    """
    authority = make_ca(cluster_name, now)
    _write_pair(layout.pki / "ca", authority)
    _make_link_keys(layout, node_id, now, life)
    make_manager_keys(layout, node_id, address, vip, now, life)
    return authority.certificate


BETWEEN = ("etcd-believes", "link/user-old.crt", "ssh-ca-old")
"""What a manager has of the authorities before, while they are replaced."""
SHARED = ("ca.key", "ssh-ca", "ssh-ca.pub", "seal.key")
"""What all managers of a cluster have alike, beside the authority's certificate."""


def read_shared(layout: Layout) -> dict[str, bytes]:
    """Raises LocalStateDamaged."""
    read: dict[str, Callable[[Path], bytes]] = {"seal.key": _content}  # it is bytes without a form
    return {name: read.get(name, _read)(layout.pki / name) for name in SHARED}


def write_shared(layout: Layout, keys: Mapping[str, bytes]) -> None:
    """What another manager sent; nothing else than those."""
    for name in SHARED:
        if name in keys:
            write_if_changed(layout.pki / name, keys[name])


def may_sign(layout: Layout) -> bool:
    """Whether the authority's key is here, as on managers."""
    return (layout.pki / "ca.key").exists()


def make_manager_keys(
    layout: Layout, node_id: str, address: str, vip: str, now: float, life: float = USUAL_LIFE
) -> None:
    """What a manager has of its own, signed with what all managers share. `life`: seconds of the certificates."""
    authority = read_authority_pair(layout)
    client = issue(authority, f"manager {node_id}", now, client=True, life=life)
    _write_pair(layout.pki / LEAVES["client"], client)
    for copy in COPIES:
        write_atomic(layout.pki / copy, read_authority(layout), mode=0o644)
    key, public = make_ssh_key()
    certificate = issue_user_certificate(read_ssh_authority(layout), public, node_id, now, life)
    write_atomic(layout.pki / "link/user.key", key)
    write_atomic(layout.pki / "link/user.crt", certificate, mode=0o644)
    issue_for_address(layout, node_id, address, vip, now, life)


def drop_manager_keys(layout: Layout) -> None:
    """Afterwards this node can sign, unseal and reach etcd no more; that it can sign ends last."""
    for folder in ("client", "etcd", "web"):
        shutil.rmtree(layout.pki / folder, ignore_errors=True)
    for name in ("link/user.key", "link/user.crt", *BETWEEN, *reversed(SHARED)):
        (layout.pki / name).unlink(missing_ok=True)
    sync_folder(layout.pki)


def issue_for_address(
    layout: Layout, node_id: str, address: str, vip: str, now: float, life: float = USUAL_LIFE
) -> None:
    """New keys and certificates of etcd and, last, of the page (for `vip` too, if there is one), at `address`."""
    authority = read_authority_pair(layout)
    addresses = tuple(dict.fromkeys((address, "127.0.0.1")))
    etcd = issue(authority, node_id, now, names=(ETCD_NAME,), addresses=addresses, server=True, client=True, life=life)
    _write_pair(layout.pki / LEAVES["etcd"], etcd)
    named = (*addresses, *([vip] if vip else []))
    _write_pair(layout.pki / LEAVES["page"], issue(authority, address, now, addresses=named, server=True, life=life))


def renew_due(layout: Layout, now: float, life: float | None = None) -> set[Use]:
    """Renew those of this manager's own certificates that are due, or that the authority of now has not signed.

    `life` in seconds, None : as long as the one before, as far as that is usual. Returns which. Raises
    LocalStateDamaged.
    """
    authority, renewed = read_authority_pair(layout), set[Use]()
    for use, name in LEAVES.items():
        pair = read_leaf(layout, use)
        good = validity_of(pair.certificate)
        if good.due_in(now) > 0 and is_issued_by(pair.certificate, authority.certificate):
            continue
        certificate = renew(authority, pair, now, _next_life(good, now, life)).certificate
        write_atomic(layout.pki / f"{name}.crt", certificate, mode=0o644)
        renewed.add(use)
    renewed |= _renew_user(layout, "ssh-ca", "user.crt", now, life)
    if (layout.pki / "ssh-ca-old").exists():
        renewed |= _renew_user(layout, "ssh-ca-old", "user-old.crt", now, life)
    return renewed


def _renew_user(layout: Layout, signer: str, name: str, now: float, life: float | None) -> set[Use]:
    authority = _read(layout.pki / signer).decode()
    path = layout.pki / "link" / name
    text = _read(path).decode()
    known = read_certificate(text)
    if known.validity.due_in(now) > 0 and known.authority == public_key_of(authority):
        return set()
    again = renew_certificate(authority, text, now, _next_life(known.validity, now, life))
    write_atomic(path, again, mode=0o644)
    return {"user"}


def _next_life(before: Validity, now: float, life: float | None) -> float:
    # Of one that was issued by a wrong clock, the long life is not to be passed on.
    return before.next_life(now, life or min(before.life, USUAL_LIFE) or USUAL_LIFE)


def page_life(layout: Layout) -> float:
    """Seconds for which the certificate of the page was issued. Raises LocalStateDamaged."""
    return _leaf_validity(layout, "page").life or USUAL_LIFE


def own_certificates(layout: Layout, node_id: str) -> list[HeldCertificate]:
    """Of a manager, without that of its node. Raises LocalStateDamaged."""
    user = read_certificate(read_user_keys(layout).certificate)
    return [
        *(HeldCertificate(node=node_id, use=use, validity=_leaf_validity(layout, use)) for use in LEAVES),
        HeldCertificate(node=node_id, use="user", validity=user.validity, key=key_fingerprint(user.key)),
    ]


def _leaf_validity(layout: Layout, use: Use) -> Validity:
    return validity_of(read_leaf(layout, use).certificate)


def page_is_for(layout: Layout, address: str) -> bool:
    """False when there is a certificate of the page, and it is for another address. Raises LocalStateDamaged."""
    path = layout.pki / "web/web.crt"
    return not path.exists() or address in addresses_of(_read(path))


def _make_link_keys(layout: Layout, node_id: str, now: float, life: float) -> None:
    authority, authority_public = make_ssh_key()
    write_atomic(layout.pki / "ssh-ca", authority)
    write_atomic(layout.pki / "ssh-ca.pub", authority_public, mode=0o644)
    certificate = issue_host_certificate(authority, make_host_key(layout), node_id, now, life)
    write_host_keys(layout, authority_public, certificate)


def make_host_key(layout: Layout) -> str:
    """This node's own key, made on it and never leaving it; returns the public part."""
    key, public = make_ssh_key()
    write_atomic(layout.pki / "link/host.key", key)
    return public


def read_host_public_key(layout: Layout) -> str:
    """Of this node's own key. Raises LocalStateDamaged."""
    return public_key_of(_read(layout.pki / "link/host.key").decode())


def write_host_keys(layout: Layout, authority: str, certificate: str) -> None:
    """What an authority answered to this node's key."""
    write_atomic(layout.pki / "link/authority.pub", authority, mode=0o644)
    write_atomic(layout.pki / "link/host.crt", certificate, mode=0o644)


def write_trust(layout: Layout, authorities: tuple[str, ...], certificate: str, revoked: tuple[str, ...]) -> None:
    """What a manager said of the link. `certificate` "" : the one that is there stays."""
    folder = layout.pki / "link"
    write_if_changed(folder / "authority.pub", "".join(f"{line}\n" for line in authorities), mode=0o644)
    write_if_changed(folder / "revoked", "".join(f"{line}\n" for line in revoked), mode=0o644)
    if certificate:
        write_atomic(folder / "host.crt", certificate, mode=0o644)


def read_revoked(layout: Layout) -> frozenset[str]:
    """Fingerprints of keys that this node lets in no more, as it last heard."""
    try:
        return frozenset((layout.pki / "link/revoked").read_text().split())
    except OSError:
        return frozenset()


def write_authority(layout: Layout, certificate: bytes) -> None:
    write_atomic(layout.pki / "ca.crt", certificate, mode=0o644)


def read_authority(layout: Layout) -> bytes:
    """The certificates of the cluster's authorities for TLS (PEM), whoever signs first. Raises LocalStateDamaged."""
    return _read(layout.pki / "ca.crt")


def read_authority_pair(layout: Layout) -> KeyPair:
    """The authority for TLS that signs now, with its key, on a manager. Raises LocalStateDamaged."""
    key = _read(layout.pki / "ca.key")
    try:
        return KeyPair(certificate_of(key, _read(layout.pki / "ca.crt")), key)
    except ValueError as error:
        raise LocalStateDamaged(
            "The key of the cluster's authority does not belong to its certificate.",
            where=str(layout.pki / "ca.key"),
            why=str(error),
            next="restore both from a backup",
            page="certificates",
        ) from error


def read_host_keys(layout: Layout) -> LinkKeys:
    """This node towards managers. Raises LocalStateDamaged."""
    return _link_keys(layout, "host")


def read_user_keys(layout: Layout) -> LinkKeys:
    """This manager towards nodes. Raises LocalStateDamaged."""
    return _link_keys(layout, "user")


def read_user_certificates(layout: Layout) -> tuple[str, ...]:
    """What this manager shows to nodes, one after the other: while the authorities change, one of each. Raises
    LocalStateDamaged."""
    old = layout.pki / "link/user-old.crt"
    return read_user_keys(layout).certificate, *((old.read_text(),) if old.exists() else ())


def read_leaf(layout: Layout, use: Use) -> KeyPair:
    """One of LEAVES. Raises LocalStateDamaged."""
    path = layout.pki / LEAVES[use]
    return KeyPair(_read(path.with_suffix(".crt")), _read(path.with_suffix(".key")))


def read_link_authorities(layout: Layout) -> str:
    """Public keys of those who sign the link's certificates, a line each, whoever signs now first; on a manager.

    Raises LocalStateDamaged.
    """
    return _read(layout.pki / "ssh-ca.pub").decode()


def read_ssh_authority(layout: Layout) -> str:
    """The private key that signs the link's certificates, on a manager. Raises LocalStateDamaged."""
    return _read(layout.pki / "ssh-ca").decode()


def _link_keys(layout: Layout, who: str) -> LinkKeys:
    folder = layout.pki / "link"
    parts = (_read(folder / name).decode() for name in ("authority.pub", f"{who}.key", f"{who}.crt"))
    return LinkKeys(*parts)


def _write_pair(path: Path, pair: KeyPair) -> None:
    write_atomic(path.with_suffix(".key"), pair.key)
    write_atomic(path.with_suffix(".crt"), pair.certificate, mode=0o644)


def _read(path: Path) -> bytes:
    """A key or certificate as text."""
    content = _content(path)
    if not is_whole(content):
        raise LocalStateDamaged(
            "A key or certificate of this node is damaged.",
            where=str(path),
            why=f"its {len(content)} bytes are neither PEM nor OpenSSH's text",
            next=_REMEDY,
            page="cut-off#damaged-files",
        )
    return content


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise LocalStateDamaged(
            "A key of this node is missing.",
            where=str(path),
            why=str(error),
            next=_REMEDY,
            page="cut-off#damaged-files",
        ) from error
