"""The keys and certificates of a node on its disk: made once, read by its roles.

pki/ca.crt            the cluster's authority for TLS, on every node
pki/ca.key            its key, on managers; like ssh-ca, never inside a folder that a sidecar can see
pki/ssh-ca, .pub      the authority that signs the link's certificates, on managers
pki/link/             host.key and host.crt: this node towards managers; user.key and user.crt: this manager
                      towards nodes; authority.pub: who signs both
pki/client/           this manager towards etcd
pki/etcd/, pki/web/   what the sidecars see
"""

from dataclasses import dataclass
from pathlib import Path

from appliance.errors import LocalStateDamaged
from appliance.host.files import write_atomic
from appliance.host.layout import Layout
from appliance.model.cluster import ETCD_NAME
from appliance.security.ca import KeyPair, addresses_of, issue, make_ca
from appliance.security.ssh import issue_host_certificate, issue_user_certificate, make_ssh_key


@dataclass(frozen=True)
class LinkKeys:
    """One end of the link: its key and certificate, and the public key of the authority. OpenSSH's text formats."""

    authority: str
    key: str
    certificate: str


def make_cluster_keys(
    layout: Layout, cluster_name: str, node_id: str, address: str, now: float, *, vip: str = ""
) -> bytes:
    """Everything that a new cluster's first manager needs; returns the authority's certificate (PEM).

    `vip`: the cluster's own address, "" for none; whoever comes by it has to find it in the certificate of the page.
    Keys of an earlier try that did not get as far as a node are replaced.
    """
    pki = layout.pki
    authority = make_ca(cluster_name, now)
    _write_pair(pki / "ca", authority)
    _write_pair(pki / "client/client", issue(authority, f"manager {node_id}", now, client=True))
    issue_for_address(layout, node_id, address, vip, now)
    for folder in ("etcd", "client"):
        write_atomic(pki / folder / "ca.crt", authority.certificate, mode=0o644)
    _make_link_keys(layout, node_id)
    return authority.certificate


def issue_for_address(layout: Layout, node_id: str, address: str, vip: str, now: float) -> None:
    """New keys and certificates of etcd and, last, of the page (for `vip` too, if there is one), at `address`."""
    authority = KeyPair(_read(layout.pki / "ca.crt"), _read(layout.pki / "ca.key"))
    addresses = tuple(dict.fromkeys((address, "127.0.0.1")))
    etcd = issue(authority, node_id, now, names=(ETCD_NAME,), addresses=addresses, server=True, client=True)
    _write_pair(layout.pki / "etcd/etcd", etcd)
    _write_pair(
        layout.pki / "web/web",
        issue(authority, address, now, addresses=(*addresses, *([vip] if vip else [])), server=True),
    )


def page_is_for(layout: Layout, address: str) -> bool:
    """False when there is a certificate of the page, and it is for another address. Raises LocalStateDamaged."""
    path = layout.pki / "web/web.crt"
    return not path.exists() or address in addresses_of(_read(path))


def _make_link_keys(layout: Layout, node_id: str) -> None:
    authority, authority_public = make_ssh_key()
    write_atomic(layout.pki / "ssh-ca", authority)
    write_atomic(layout.pki / "ssh-ca.pub", authority_public, mode=0o644)
    write_host_keys(layout, authority_public, issue_host_certificate(authority, make_host_key(layout), node_id))
    key, public = make_ssh_key()
    write_atomic(layout.pki / "link/user.key", key)
    write_atomic(layout.pki / "link/user.crt", issue_user_certificate(authority, public, node_id), mode=0o644)


def make_host_key(layout: Layout) -> str:
    """This node's own key, made on it and never leaving it; returns the public part."""
    key, public = make_ssh_key()
    write_atomic(layout.pki / "link/host.key", key)
    return public


def write_host_keys(layout: Layout, authority: str, certificate: str) -> None:
    """What an authority answered to this node's key."""
    write_atomic(layout.pki / "link/authority.pub", authority, mode=0o644)
    write_atomic(layout.pki / "link/host.crt", certificate, mode=0o644)


def write_authority(layout: Layout, certificate: bytes) -> None:
    write_atomic(layout.pki / "ca.crt", certificate, mode=0o644)


def read_authority(layout: Layout) -> bytes:
    """The cluster's CA certificate (PEM). Raises LocalStateDamaged."""
    return _read(layout.pki / "ca.crt")


def read_authority_pair(layout: Layout) -> KeyPair:
    """The cluster's CA with its key, on a manager. Raises LocalStateDamaged."""
    return KeyPair(_read(layout.pki / "ca.crt"), _read(layout.pki / "ca.key"))


def read_host_keys(layout: Layout) -> LinkKeys:
    """This node towards managers. Raises LocalStateDamaged."""
    return _link_keys(layout, "host")


def read_user_keys(layout: Layout) -> LinkKeys:
    """This manager towards nodes. Raises LocalStateDamaged."""
    return _link_keys(layout, "user")


def read_client_keys(layout: Layout) -> KeyPair:
    """This manager towards etcd. Raises LocalStateDamaged."""
    folder = layout.pki / "client"
    return KeyPair(_read(folder / "client.crt"), _read(folder / "client.key"))


def _link_keys(layout: Layout, who: str) -> LinkKeys:
    folder = layout.pki / "link"
    parts = (_read(folder / name).decode() for name in ("authority.pub", f"{who}.key", f"{who}.crt"))
    return LinkKeys(*parts)


def _write_pair(path: Path, pair: KeyPair) -> None:
    write_atomic(path.with_suffix(".key"), pair.key)
    write_atomic(path.with_suffix(".crt"), pair.certificate, mode=0o644)


def _read(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise LocalStateDamaged("A key of this node is missing.", where=str(path), why=str(error)) from error
    if not content:
        raise LocalStateDamaged("A key of this node is empty.", where=str(path), next="restore it from a backup")
    return content
