"""Who is let in, as what, and who is not."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import SSHCertificate, load_ssh_public_identity, load_ssh_public_key

from appliance.delivery.joining import LARGEST_SKEW, JoinAnswer
from appliance.errors import Conflict, NotPermitted, Refused, UsageError
from appliance.model.addresses import LARGEST_NUMBER
from appliance.model.node import NodeSpec
from appliance.model.release import Release
from appliance.store import keys
from appliance.store.codec import encode
from appliance.store.store import Delete, Put
from tests.unit.delivery.joinable import FOUNDER, Joinable, joinable


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Joinable]:
    with joinable(tmp_path / "manager") as cluster:
        yield cluster


def let_in(cluster: Joinable, number: int, **said: Any) -> JoinAnswer:
    return cluster.joiner.join(cluster.request(cluster.token(), number, **said))


def test_a_host_becomes_a_node(cluster: Joinable) -> None:
    token = cluster.token()
    asked = cluster.request(token)
    answer = cluster.joiner.join(asked)
    assert (answer.node_id, answer.name, answer.number, answer.roles) == (asked.node_id, "h2", 2, ("agent",))
    assert answer.managers == ("127.0.0.1:8444",)
    node = cluster.state.nodes.get(asked.node_id)
    assert node and (node.name, node.number, node.address) == ("h2", 2, "10.0.0.2")
    used = cluster.state.tokens.get(token.id)
    assert used and used.used_by == asked.node_id


def test_a_token_for_a_manager_says_so_of_its_node_which_is_not_one_yet(cluster: Joinable) -> None:
    answer = cluster.joiner.join(cluster.request(cluster.token(role="manager")))
    node = cluster.state.nodes.get(answer.node_id)
    assert node and node.roles == answer.roles == ("manager", "agent")
    assert answer.managers == ("127.0.0.1:8444",)


def test_there_are_five_managers_at_most(cluster: Joinable) -> None:
    for number in range(2, 6):
        cluster.joiner.join(cluster.request(cluster.token(role="manager"), number))
    with pytest.raises(Refused, match="5 managers"):
        cluster.joiner.join(cluster.request(cluster.token(role="manager"), 6))
    let_in(cluster, 6)


def test_its_certificate_is_for_its_own_key_and_id(cluster: Joinable) -> None:
    asked = cluster.request(cluster.token())
    answer = cluster.joiner.join(asked)
    certificate = load_ssh_public_identity(answer.host_certificate.encode())
    assert isinstance(certificate, SSHCertificate)
    certificate.verify_cert_signature()
    assert certificate.valid_principals == [asked.node_id.encode()]
    assert certificate.public_key() == load_ssh_public_key(asked.ssh_key.encode())
    assert answer.ssh_authority.split()[1] in (cluster.layout.pki / "ssh-ca.pub").read_text()


def test_the_same_host_gets_the_same_answer_again(cluster: Joinable) -> None:
    asked = cluster.request(cluster.token())
    first, second = cluster.joiner.join(asked), cluster.joiner.join(asked)
    assert (first.node_id, first.name, first.number) == (second.node_id, second.name, second.number)
    assert len(cluster.state.nodes.all()) == 2


def test_a_host_that_comes_again_with_another_address_is_found_there(cluster: Joinable) -> None:
    asked = cluster.request(cluster.token())
    number = cluster.joiner.join(asked).number
    later = cluster.token()
    again = cluster.request(later, address="10.0.0.99", dial="manager", ssh_key=asked.ssh_key)
    assert cluster.joiner.join(again).number == number
    node = cluster.state.nodes.get(asked.node_id)
    assert node and (node.address, node.dial, node.name) == ("10.0.0.99", "manager", "h2")
    with pytest.raises(NotPermitted):
        cluster.joiner.join(cluster.request(later, 3))


def test_a_used_token_lets_no_other_host_in(cluster: Joinable) -> None:
    token = cluster.token()
    cluster.joiner.join(cluster.request(token))
    with pytest.raises(NotPermitted) as refused:
        cluster.joiner.join(cluster.request(token, 3))
    assert "another node" in refused.value.what and "token create" in refused.value.next


@pytest.mark.parametrize("victim", [FOUNDER, "n-000000000002"])
def test_a_token_gives_nobody_the_keys_of_a_node_that_exists(cluster: Joinable, victim: str) -> None:
    let_in(cluster, 2)
    with pytest.raises(NotPermitted):
        let_in(cluster, 3, node_id=victim)


def test_two_hosts_with_one_token_at_once_are_one_node(cluster: Joinable) -> None:
    token = cluster.token()

    def ask(number: int) -> bool:
        try:
            cluster.joiner.join(cluster.request(token, number))
        except NotPermitted:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(ask, range(2, 10))) == 1


@pytest.mark.parametrize("said", [{"secret": "wrong"}, {"secret": ""}, {"token": "000000000000"}, {"token": ""}])
def test_a_wrong_token_is_refused(cluster: Joinable, said: dict[str, str]) -> None:
    token = cluster.token()
    request = cluster.request(token)
    wrong = type(request)(**{name: getattr(request, name) for name in request.__struct_fields__} | said)
    with pytest.raises(NotPermitted):
        cluster.joiner.join(wrong)
    assert len(cluster.state.nodes.all()) == 1


def test_a_token_expires_and_can_be_revoked(cluster: Joinable) -> None:
    token, revoked = cluster.token(), cluster.token()
    cluster.cluster.ask("DELETE", f"/api/tokens/{revoked.id}")
    with pytest.raises(NotPermitted):
        cluster.joiner.join(cluster.request(revoked))
    cluster.clock.ahead = 24 * 3600 + 1
    with pytest.raises(NotPermitted) as expired:
        cluster.joiner.join(cluster.request(token))
    assert "expired" in expired.value.why


@pytest.mark.parametrize(("skew", "said"), [(LARGEST_SKEW + 1, "6.0 s ahead"), (-3600, "3600 s behind")])
def test_a_clock_that_is_far_off_is_named_with_its_direction(cluster: Joinable, skew: float, said: str) -> None:
    with pytest.raises(Refused) as refused:
        let_in(cluster, 2, clock=cluster.clock.now + skew)
    assert said in refused.value.what
    (said_to_set,) = re.findall(r"date -u -s @(\d+)", refused.value.next)
    assert float(said_to_set) == pytest.approx(cluster.clock.now, abs=60)
    let_in(cluster, 2, clock=cluster.clock.now + LARGEST_SKEW - 1)


@pytest.mark.parametrize(("release", "said"), [(5, "newer than"), (2, "too old for")])
def test_a_release_that_does_not_fit_is_refused_before_anything_is_written(
    cluster: Joinable, release: int, said: str
) -> None:
    joiner = cluster.joiner_of(Release(number=4, version="0.4.0"))
    token = cluster.token()
    with pytest.raises(Refused) as refused:
        joiner.join(cluster.request(token, release=release, version=f"0.{release}.0"))
    assert said in refused.value.what
    assert f"release {release} (0.{release}.0)" in refused.value.what
    assert "copy the file of release 4 (0.4.0)" in refused.value.next
    joiner.join(cluster.request(token, 3, release=3))
    joiner.join(cluster.request(cluster.token(), 4, release=4))


def test_a_new_manager_is_of_the_release_of_the_others(cluster: Joinable) -> None:
    joiner = cluster.joiner_of(Release(number=4, version="0.4.0"))
    token = cluster.token(role="manager")
    with pytest.raises(Refused) as refused:
        joiner.join(cluster.request(token, release=3, version="0.3.0"))
    assert "0.3.0" in refused.value.why
    joiner.join(cluster.request(token, release=4))


@pytest.mark.parametrize(
    "said",
    [
        {"node_id": "n-2"},
        {"node_id": "../n-000000000002"},
        {"node_id": "n-000000000002\n"},
        {"name": ""},
        {"name": "Two"},
        {"name": "two\n10.0.0.1 one"},
        {"address": "10.0.0.2\nlink delete eth0"},
        {"address": "999.0.0.1"},
        {"address": "two.lan"},
        {"ssh_key": "ssh-rsa AAAA"},
    ],
    ids=str,
)
def test_what_no_host_of_ours_says_is_refused_and_leaves_nothing(cluster: Joinable, said: dict[str, Any]) -> None:
    token = cluster.token()
    with pytest.raises(UsageError):
        cluster.joiner.join(cluster.request(token, **said))
    assert list(cluster.state.nodes.all()) == [FOUNDER]
    unused = cluster.state.tokens.get(token.id)
    assert unused and not unused.used_by


def test_a_taken_name_is_made_unique_unless_a_person_chose_it(cluster: Joinable) -> None:
    assert let_in(cluster, 2, name="one").name == "one-2"
    assert let_in(cluster, 3, name="one").name == "one-3"
    with pytest.raises(Conflict) as taken:
        let_in(cluster, 4, name="one", name_given=True)
    assert "--name" in taken.value.next


def test_the_lowest_free_number_is_given(cluster: Joinable) -> None:
    for number in (2, 3, 4):
        let_in(cluster, number)
    cluster.cluster.ask("DELETE", "/api/nodes/h3")
    assert let_in(cluster, 5).number == 3


def test_a_number_is_never_given_twice(cluster: Joinable) -> None:
    """Another manager has just given number 2, and this one's copy does not show its node yet."""
    cluster.cluster.write(Put(f"{keys.NUMBERS}2", encode("n-ffffffffffff")))
    with pytest.raises(Conflict):
        let_in(cluster, 5)
    assert list(cluster.state.nodes.all()) == [FOUNDER]


def test_the_network_has_room_for_254_nodes(cluster: Joinable) -> None:
    def node(number: int) -> NodeSpec:
        return NodeSpec(id=f"n-{number:012x}", name=f"h{number}", number=number, address=f"10.0.1.{number}")

    for number in range(2, LARGEST_NUMBER + 1):
        made = node(number)
        cluster.cluster.write(cluster.state.nodes.put(made.id, made))
    with pytest.raises(Refused) as full:
        let_in(cluster, 999, address="10.0.2.1")
    assert "254" in full.value.what
    last = node(LARGEST_NUMBER)
    revision = cluster.cluster.context.store.commit([Delete(f"{keys.NODES}{last.id}")])
    assert cluster.state.copy.wait_for(revision, 5)
    assert let_in(cluster, 999, address="10.0.2.1").number == LARGEST_NUMBER


def test_an_address_that_another_node_has_is_refused(cluster: Joinable) -> None:
    cluster.joiner.join(cluster.request(cluster.token(), 2))
    with pytest.raises(Refused, match="has the address"):
        cluster.joiner.join(cluster.request(cluster.token(), 3, address="10.0.0.2"))
    assert len(cluster.state.nodes.all()) == 2


def test_a_host_that_reaches_something_in_the_clusters_network_is_refused(cluster: Joinable) -> None:
    known = cluster.state.cluster()
    assert known
    part = known.network.replace(".0.0/16", ".200.0/24")
    with pytest.raises(Refused, match="overlaps"):
        cluster.joiner.join(cluster.request(cluster.token(), 2, routes=("192.0.2.0/24", part)))
    assert len(cluster.state.nodes.all()) == 1
