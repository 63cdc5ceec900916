"""A host that may not call is called, over real TCP and TLS, and an impostor learns nothing from it."""

import socket
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from appliance.delivery.calls import Calls, waited_for
from appliance.delivery.join_call import Proof, await_call, call
from appliance.delivery.joining import JoinAnswer, JoinRequest
from appliance.errors import NotPermitted, Refused, WaitExpired
from appliance.model.cluster import JoinToken
from appliance.model.node import NodeStatus
from appliance.security.ca import fingerprint, issue, make_ca
from appliance.security.tokens import ParsedToken, create_token
from tests.lab.waiting import eventually
from tests.unit.delivery.joinable import Joinable, joinable

NOW = time.time()
Called = Future[tuple[bytes, JoinAnswer]]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Joinable]:
    with joinable(tmp_path / "manager") as cluster:
        yield cluster


def proof_of(cluster: Joinable) -> Proof:
    pki = cluster.layout.pki
    return Proof(pki / "ca.crt", pki / "web/web.crt", pki / "web/web.key")


def stranger(folder: Path, shows: bytes) -> Proof:
    """A caller with keys of its own authority; `shows` is what it opens with."""
    own = make_ca("lab", NOW)
    keys = issue(own, "127.0.0.1", NOW, addresses=("127.0.0.1",), server=True)
    (folder / "ca").write_bytes(shows or own.certificate)
    (folder / "crt").write_bytes(keys.certificate)
    (folder / "key").write_bytes(keys.key)
    return Proof(folder / "ca", folder / "crt", folder / "key")


def free_port() -> tuple[str, int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.2", 0))
        return "127.0.0.2", int(probe.getsockname()[1])


class Host:
    """A host that waits at `at`; `told` is what its operator reads."""

    def __init__(self, cluster: Joinable, token: ParsedToken, threads: ThreadPoolExecutor) -> None:
        self.at = free_port()
        self.told: list[str] = []
        self.asked = cluster.request(token, address="127.0.0.2", dial="manager")
        expected = fingerprint(cluster.authority)
        self.outcome: Called = threads.submit(
            await_call, self.at, expected, lambda: self.asked, self.told.append, patience=10
        )
        eventually(self._listens, 5)
        self.told.clear()

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(self.at) == 0


@contextmanager
def waiting(cluster: Joinable, token: ParsedToken | None = None) -> Iterator[Host]:
    with ThreadPoolExecutor(1) as threads:
        yield Host(cluster, token or cluster.token(address="127.0.0.2"), threads)


def never(_: JoinRequest) -> JoinAnswer:
    raise AssertionError("a stranger got a request")


def test_a_host_that_is_called_becomes_a_node(cluster: Joinable) -> None:
    with waiting(cluster) as host:
        call(host.at, proof_of(cluster), cluster.joiner.join)
        authority, answer = host.outcome.result(5)
    assert authority == cluster.authority
    assert (answer.node_id, answer.number) == (host.asked.node_id, 2)
    node = cluster.state.nodes.get(answer.node_id)
    assert node and (node.dial, node.address) == ("manager", "127.0.0.2")


@pytest.mark.parametrize("shows_ours", [False, True])
def test_a_caller_that_is_no_manager_learns_nothing_and_the_host_waits_on(
    cluster: Joinable, tmp_path: Path, shows_ours: bool
) -> None:
    impostor = stranger(tmp_path, cluster.authority if shows_ours else b"")
    with waiting(cluster) as host:
        with pytest.raises((OSError, ValueError)):
            call(host.at, impostor, never)
        call(host.at, proof_of(cluster), cluster.joiner.join)
        assert host.outcome.result(5)[1].number == 2


@pytest.mark.parametrize("said", [b"", b"SSH-2.0-x\r\n", b"{}\n", b"\xff" * 100 + b"\n", b'{"authority": "x"}\n'])
def test_what_does_not_open_as_a_manager_does_is_passed_over(cluster: Joinable, said: bytes) -> None:
    with waiting(cluster) as host:
        with socket.create_connection(host.at) as other:
            other.sendall(said)
        call(host.at, proof_of(cluster), cluster.joiner.join)
        assert host.outcome.result(5)[1].number == 2


def test_an_agents_place_is_no_proof_of_a_manager(cluster: Joinable, tmp_path: Path) -> None:
    """A certificate of the right authority that is not one of a manager's page."""
    folder = cluster.layout.pki / "client"
    proof = Proof(cluster.layout.pki / "ca.crt", folder / "client.crt", folder / "client.key")
    with waiting(cluster) as host:
        with pytest.raises((OSError, ValueError)):
            call(host.at, proof, never)
        call(host.at, proof_of(cluster), cluster.joiner.join)
        host.outcome.result(5)


def test_a_refusal_reaches_both_ends(cluster: Joinable) -> None:
    token = cluster.token(address="127.0.0.2")
    cluster.clock.ahead += 3 * 86400
    with waiting(cluster, token) as host:
        with pytest.raises(NotPermitted):
            call(host.at, proof_of(cluster), cluster.joiner.join)
        with pytest.raises(Refused, match="not valid") as refused:
            host.outcome.result(5)
    assert "token create" in refused.value.next


def test_a_token_for_one_address_lets_in_no_host_at_another(cluster: Joinable) -> None:
    token = cluster.token(address="192.0.2.7")
    with pytest.raises(Refused, match=r"192\.0\.2\.7"):
        cluster.joiner.join(cluster.request(token, address="192.0.2.8"))


def test_a_host_that_nobody_calls_says_where_to_look(cluster: Joinable) -> None:
    with pytest.raises(WaitExpired) as expired:
        await_call(free_port(), "ab" * 32, lambda: pytest.fail("asked"), print, patience=0.05)
    assert "token ls" in expired.value.next


def test_managers_call_until_the_host_is_a_node(cluster: Joinable) -> None:
    at = free_port()
    calls = Calls(cluster.state, proof_of(cluster), cluster.joiner.join, cluster.clock, port=at[1])
    assert calls.cycle() is None
    token = cluster.token(address="127.0.0.2")
    assert calls.cycle()  # nobody there yet
    with waiting(cluster, token) as host:
        calls = Calls(cluster.state, proof_of(cluster), cluster.joiner.join, cluster.clock, port=host.at[1])
        assert calls.cycle()
        node = host.outcome.result(5)[1].node_id
    assert calls.cycle()  # let in, but not heard of: its answer may be lost
    cluster.cluster.write(cluster.state.node_status.put(node, NodeStatus(id=node, state="ready", since="")))
    assert calls.cycle() is None


def test_tokens_without_an_address_and_expired_ones_are_not_called() -> None:
    def token(address: str, made: float) -> JoinToken:
        return create_token((), "", "agent", made, address)[1]

    ended = token("192.0.2.2", NOW - 86_400)
    tokens = [token("", NOW), token("192.0.2.1", NOW), token("192.0.2.1", NOW), ended]
    assert waited_for(tokens, {}, NOW) == ["192.0.2.1"]
