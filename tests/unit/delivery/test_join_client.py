"""A host joins over real TLS, and an impostor learns nothing from it."""

import json
import socket
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.serialization import SSHCertificate, load_ssh_private_key, load_ssh_public_identity

from appliance.delivery import node_files, pki
from appliance.delivery.join_client import join
from appliance.delivery.joining import JoinRequest
from appliance.errors import LinkDown, LocalStateDamaged, Refused
from appliance.host.layout import Layout
from appliance.model.identity import NodeIdentity
from appliance.security.ca import KeyPair, issue, make_ca
from appliance.security.tokens import ParsedToken
from tests.unit.delivery.joinable import App, Joinable, Recorder, joinable, says, serving


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Joinable]:
    with joinable(tmp_path / "manager") as cluster:
        yield cluster


@pytest.fixture
def host(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "host")


@pytest.fixture
def manager(cluster: Joinable, tmp_path: Path) -> Iterator[tuple[str, Recorder]]:
    """HOST:PORT of a real manager's API, and what it was sent."""
    recorder = Recorder(cluster.app())
    with serving(recorder, cluster.server_keys(), tmp_path / "server") as at:
        yield at, recorder


def ask(host: Layout, token: ParsedToken, *, name: str = "two", name_given: bool = False) -> NodeIdentity:
    return join(
        host, token, name=name, name_given=name_given, address="10.0.0.2", dial="agent", engine="", clock="host"
    )


def closed_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def test_a_host_becomes_a_node(cluster: Joinable, host: Layout, manager: tuple[str, Recorder]) -> None:
    token = cluster.token(manager[0])
    identity = ask(host, token)
    assert node_files.read_identity(host) == identity
    assert identity.joined_with == token.id
    assert (identity.name, identity.number, identity.cluster_id) == ("two", 2, "c1")
    assert pki.read_authority(host) == cluster.authority
    assert cluster.state.nodes.get(identity.id)
    assert not host.join_file.exists()


def test_its_keys_fit_each_other_and_only_root_reads_them(
    cluster: Joinable, host: Layout, manager: tuple[str, Recorder]
) -> None:
    identity = ask(host, cluster.token(manager[0]))
    keys = pki.read_host_keys(host)
    certificate = load_ssh_public_identity(keys.certificate.encode())
    assert isinstance(certificate, SSHCertificate)
    certificate.verify_cert_signature()
    assert certificate.public_key() == load_ssh_private_key(keys.key.encode(), None).public_key()
    assert certificate.valid_principals == [identity.id.encode()]
    assert stat.S_IMODE((host.pki / "link/host.key").stat().st_mode) == 0o600
    assert not [path for path in host.pki.rglob("*") if path.name in ("ca.key", "ssh-ca", "user.key")]


def stranger(*, shows: bytes) -> tuple[Recorder, KeyPair]:
    """A server with keys of its own authority that takes whatever it gets; `shows` is its /api/ca."""
    own = make_ca("lab", time.time())
    recorder = Recorder(says("200 OK", shows or own.certificate))
    return recorder, issue(own, "127.0.0.1", time.time(), addresses=("127.0.0.1",), server=True)


def test_a_server_with_another_authority_learns_nothing(cluster: Joinable, host: Layout, tmp_path: Path) -> None:
    recorder, keys = stranger(shows=b"")
    with serving(recorder, keys, tmp_path / "s") as at, pytest.raises(Refused) as refused:
        ask(host, cluster.token(at))
    assert at in refused.value.what and "in between" in refused.value.next
    assert (recorder.paths, recorder.bodies) == (["/api/ca"], [b""])
    assert not node_files.is_node(host)


@pytest.mark.parametrize("shown", [b"\x00", b"{}", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_what_shows_no_authority_learns_nothing(cluster: Joinable, host: Layout, tmp_path: Path, shown: bytes) -> None:
    recorder, keys = stranger(shows=shown)
    with serving(recorder, keys, tmp_path / "s") as at, pytest.raises(Refused):
        ask(host, cluster.token(at))
    assert recorder.paths == ["/api/ca"]


def test_a_server_that_shows_our_authority_without_its_key_learns_nothing(
    cluster: Joinable, host: Layout, tmp_path: Path
) -> None:
    recorder, keys = stranger(shows=cluster.authority)
    with serving(recorder, keys, tmp_path / "s") as at, pytest.raises(LinkDown) as down:
        ask(host, cluster.token(at))
    assert "certificate verify failed" in down.value.why
    assert recorder.paths == ["/api/ca"]


def test_an_authority_smuggled_in_beside_ours_is_not_trusted(cluster: Joinable, host: Layout, tmp_path: Path) -> None:
    own = make_ca("lab", time.time())
    keys = issue(own, "127.0.0.1", time.time(), addresses=("127.0.0.1",), server=True)
    recorder = Recorder(says("200 OK", cluster.authority + own.certificate))
    with serving(recorder, keys, tmp_path / "s") as at, pytest.raises(LinkDown):
        ask(host, cluster.token(at))
    assert recorder.paths == ["/api/ca"]
    assert not node_files.is_node(host)


def test_a_host_that_was_killed_asks_again_as_the_same(
    cluster: Joinable, host: Layout, manager: tuple[str, Recorder]
) -> None:
    at, recorder = manager
    token = cluster.token(at)
    host.node_file.mkdir(parents=True)  # so the last write fails
    with pytest.raises(OSError):
        ask(host, token)
    host.node_file.rmdir()
    identity = ask(host, token)
    first, second = (msgspec.json.decode(body, type=JoinRequest) for body in recorder.bodies if body)
    assert (first.node_id, first.ssh_key) == (second.node_id, second.ssh_key)
    assert identity.id == first.node_id
    assert sorted(node.name for node in cluster.state.nodes.all().values()) == ["one", "two"]


def test_the_secret_is_not_kept_on_the_host(cluster: Joinable, host: Layout, manager: tuple[str, Recorder]) -> None:
    token = cluster.token(manager[0])
    ask(host, token)
    assert not [path for path in host.root.rglob("*") if path.is_file() and token.secret.encode() in path.read_bytes()]


def test_a_damaged_record_of_the_first_try_is_named(
    cluster: Joinable, host: Layout, manager: tuple[str, Recorder]
) -> None:
    host.join_file.parent.mkdir(parents=True)
    host.join_file.write_bytes(b'{"node_id": "n-\xff"}')
    with pytest.raises(LocalStateDamaged) as damaged:
        ask(host, cluster.token(manager[0]))
    assert damaged.value.where == str(host.join_file)
    assert manager[1].paths == []


def test_a_refusal_arrives_as_the_manager_said_it(
    cluster: Joinable, host: Layout, manager: tuple[str, Recorder]
) -> None:
    with pytest.raises(Refused) as refused:
        ask(host, cluster.token(manager[0]), name="one", name_given=True)
    assert refused.value.what == "There is a node called one already."
    assert refused.value.next == "choose another --name" and manager[0] in refused.value.where
    assert not node_files.is_node(host)


def test_without_any_manager_each_is_named(cluster: Joinable, host: Layout) -> None:
    managers = closed_port(), closed_port()
    with pytest.raises(LinkDown) as down:
        ask(host, cluster.token(*managers))
    assert all(manager in down.value.why for manager in managers)
    assert down.value.retryable


BUSY = json.dumps({"what": "The store does not answer.", "retryable": True}).encode()


@pytest.mark.parametrize(
    "first",
    [says("502 Bad Gateway", b"<html>"), says("503 Service Unavailable", BUSY), says("503 Service Unavailable", b"")],
)
def test_the_next_manager_is_asked_when_the_first_cannot_answer(
    cluster: Joinable, host: Layout, manager: tuple[str, Recorder], tmp_path: Path, first: App
) -> None:
    with serving(first, cluster.server_keys(), tmp_path / "first") as at:
        assert ask(host, cluster.token(closed_port(), at, manager[0])).number == 2


def test_a_manager_whose_store_is_away_is_passed_over(
    cluster: Joinable, host: Layout, manager: tuple[str, Recorder], tmp_path: Path
) -> None:
    def first(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        status, body = ("200 OK", cluster.authority) if environ["PATH_INFO"] == "/api/ca" else ("503 Away", BUSY)
        return says(status, body)(environ, start_response)

    with serving(first, cluster.server_keys(), tmp_path / "first") as at:
        with pytest.raises(LinkDown) as down:
            ask(host, cluster.token(at))
        assert "The store does not answer." in down.value.why
        assert ask(host, cluster.token(at, manager[0])).number == 2


@pytest.mark.parametrize("days", [-4000, 30])
def test_a_host_by_whose_clock_no_certificate_is_valid_hears_of_the_clock(
    host: Layout, tmp_path: Path, days: int
) -> None:
    with (
        joinable(tmp_path / "elsewhere", ahead=days * 24 * 3600.0) as cluster,
        serving(Recorder(cluster.app()), cluster.server_keys(), tmp_path / "server") as at,
        pytest.raises(Refused) as refused,
    ):
        ask(host, cluster.token(at))
    assert "clock of this host" in refused.value.what and "date -u" in refused.value.next
