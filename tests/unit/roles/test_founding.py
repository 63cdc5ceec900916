"""A host becomes the first manager: all of it, or none of it."""

import json
import ssl
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    SSHCertificate,
    load_pem_private_key,
    load_ssh_private_key,
    load_ssh_public_identity,
    load_ssh_public_key,
)

from appliance.agent.assignments import AssignmentBook
from appliance.delivery import node_files, pki
from appliance.delivery.package import Package
from appliance.host.layout import Layout
from appliance.model.identity import NodeIdentity
from appliance.roles.founding import Wish, found, write_sidecars
from appliance.security.accounts import check_password
from appliance.security.ca import fingerprint
from tests.unit.delivery.synthetic import make_package

WISH = Wish(cluster_name="lab", node_name="one", address="10.0.0.1", network="10.99.0.0/16", engine="", clock="ours")
SIDECARS = ("etcd", "registry", "nginx")


@pytest.fixture
def package(tmp_path: Path) -> Iterator[Package]:
    with Package.open(make_package(tmp_path, names=SIDECARS)) as package:
        yield package


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "host")


def written(layout: Layout) -> list[Path]:
    return sorted(path for path in layout.root.rglob("*") if path.is_file())


def assert_whole(layout: Layout, identity: NodeIdentity) -> None:
    """Everything on the disk belongs to one and the same cluster and node."""
    first = node_files.read_first_state(layout)
    assert node_files.read_identity(layout) == identity
    assert (first.cluster.id, first.node.id) == (identity.cluster_id, identity.id)
    assert (first.node.number, first.node.roles) == (identity.number, identity.roles)
    assert first.cluster.ca_fingerprint == fingerprint(pki.read_authority(layout))
    assert check_password(layout.first_password.read_text().strip(), first.admin.password)
    authority = x509.load_pem_x509_certificate(pki.read_authority(layout))
    for name in ("etcd/etcd", "web/web", "client/client"):
        certificate = x509.load_pem_x509_certificate((layout.pki / f"{name}.crt").read_bytes())
        certificate.verify_directly_issued_by(authority)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(layout.pki / f"{name}.crt", layout.pki / f"{name}.key")  # raises unless they fit
    for name in ("etcd", "client"):
        assert (layout.pki / name / "ca.crt").read_bytes() == pki.read_authority(layout)
    key = load_pem_private_key((layout.pki / "ca.key").read_bytes(), None)
    assert key.public_key() == authority.public_key()
    for link_keys in (pki.read_host_keys(layout), pki.read_user_keys(layout)):
        link = load_ssh_public_identity(link_keys.certificate.encode())
        assert isinstance(link, SSHCertificate)
        link.verify_cert_signature()
        assert link.signature_key() == load_ssh_public_key(link_keys.authority.encode())
        assert link.public_key() == load_ssh_private_key(link_keys.key.encode(), None).public_key()
        assert link.valid_principals == [identity.id.encode()]


def test_what_a_manager_needs_is_on_the_disk(layout: Layout, package: Package) -> None:
    assert_whole(layout, found(layout, WISH, package))


def test_the_sidecars_are_assignments_with_this_package_s_images(layout: Layout, package: Package) -> None:
    found(layout, WISH, package)
    assignments = AssignmentBook(layout.assignments).all()
    assert {name: [c.image_id for c in assignments[name].containers] for name in assignments} == {
        f"system/{name}-1": [f"sha256:{package.image(name).id}"] for name in SIDECARS
    }
    for assignment in assignments.values():
        assert all(Path(mount.source).exists() for c in assignment.containers for mount in c.mounts)


def test_only_root_reads_what_is_secret(layout: Layout, package: Package) -> None:
    found(layout, WISH, package)
    secret = [path for path in written(layout) if path.suffix == ".key" or path.name in ("ssh-ca", "first-password")]
    assert len(secret) == 8 and layout.cluster_file.exists()
    for path in [*secret, layout.cluster_file]:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_the_password_is_nowhere_else(layout: Layout, package: Package) -> None:
    found(layout, WISH, package)
    password = layout.first_password.read_bytes().strip()
    assert [path for path in written(layout) if password in path.read_bytes()] == [layout.first_password]


def test_the_identity_is_written_last_and_a_try_that_broke_off_is_begun_anew(tmp_path: Path, package: Package) -> None:
    """For every file that founding writes: it cannot be written, so nothing later is, and then it can."""
    model = Layout(tmp_path / "model")
    found(model, WISH, package)
    files = [path.relative_to(model.root) for path in written(model) if path != model.node_file]
    assert len(files) > 15
    for number, file in enumerate(files):
        layout = Layout(tmp_path / str(number))
        (layout.root / file).mkdir(parents=True)
        with pytest.raises(OSError):
            found(layout, WISH, package)
        assert not node_files.is_node(layout), file
        (layout.root / file).rmdir()
        assert_whole(layout, found(layout, WISH, package))
        assert [path.relative_to(layout.root) for path in written(layout)] == sorted(
            [*files, model.node_file.relative_to(model.root)]
        )


def test_two_clusters_share_nothing(tmp_path: Path, package: Package) -> None:
    one, two = (found(Layout(tmp_path / name), WISH, package) for name in ("a", "b"))
    assert one.id != two.id and one.cluster_id != two.cluster_id
    assert fingerprint(pki.read_authority(Layout(tmp_path / "a"))) != fingerprint(
        pki.read_authority(Layout(tmp_path / "b"))
    )


def test_writing_the_sidecars_again_changes_nothing(layout: Layout, package: Package) -> None:
    identity = found(layout, WISH, package)
    before = {path: path.read_bytes() for path in written(layout)}
    write_sidecars(layout, identity, package)
    assert {path: path.read_bytes() for path in written(layout)} == before


def test_after_a_restore_etcd_is_another_cluster_to_the_members_of_before(layout: Layout, package: Package) -> None:
    def first_start() -> dict[str, str]:
        read: dict[str, str] = json.loads((layout.sidecar_files / "etcd/etcd.json").read_text())
        return read

    identity = found(layout, WISH, package)
    before = first_start()
    layout.cluster_file.unlink()
    layout.restored_file.write_bytes(b"a backup")
    write_sidecars(layout, identity, package)
    after = first_start()
    assert after["initial-cluster-state"] == "new"
    assert after["initial-cluster-token"] != before["initial-cluster-token"]
