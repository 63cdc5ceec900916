"""How a person replaces the authorities, and what is said on the way."""

import msgspec
import pytest

from appliance.delivery.rotating import SEALED
from appliance.errors import Refused
from appliance.model.cluster import JoinToken
from appliance.model.rotation import ManagerTrust, NewKeys, NodeTrust, Rotation, Step
from appliance.security.ssh import public_key_of
from appliance.store import keys
from appliance.store.codec import encode
from appliance.store.store import Put
from tests.unit.api.cluster_in_memory import InMemory

ADDRESS = "/api/certificates/rotation"


def rotation(cluster: InMemory) -> Rotation:
    found = cluster.state.rotation()
    assert found
    return found


def go_on(cluster: InMemory, step: Step) -> None:
    cluster.write(Put(keys.ROTATION, encode(msgspec.structs.replace(rotation(cluster), step=step))))


def test_it_is_begun_once_and_says_what_it_waits_for_and_which_tokens_it_costs(cluster: InMemory) -> None:
    assert cluster.ask("GET", ADDRESS)["step"] == ""
    token = JoinToken(id="t1", secret_hash="", role="agent", created_at="", expires_at="")
    cluster.write(cluster.state.tokens.put("t1", token))
    answer = cluster.ask("POST", ADDRESS, {})
    first = rotation(cluster)
    assert (answer["step"], answer["tokens"]) == ("spreading", ["t1"])
    assert "one has not heard of the new authorities" in answer["waits_for"]
    cluster.ask("POST", ADDRESS, {})
    assert rotation(cluster) == first


def test_the_new_keys_are_sealed_and_belong_to_what_is_shown(cluster: InMemory) -> None:
    cluster.ask("POST", ADDRESS, {})
    entry = cluster.context.store.get(keys.ROTATION)
    assert entry and b"PRIVATE KEY" not in entry.value
    new = msgspec.json.decode(cluster.context.seal.unseal(rotation(cluster).sealed, SEALED), type=NewKeys)
    assert public_key_of(new.link) == rotation(cluster).link


def test_the_old_are_not_forgotten_while_somebody_needs_them(cluster: InMemory) -> None:
    with pytest.raises(Refused, match="No change"):
        cluster.ask("POST", ADDRESS, {"finish": True})
    cluster.ask("POST", ADDRESS, {})
    go_on(cluster, "signing")
    with pytest.raises(Refused, match="still needed") as refused:
        cluster.ask("POST", ADDRESS, {"finish": True})
    assert "one has not heard of the new authorities" in refused.value.why


def test_they_are_forgotten_when_nobody_does(cluster: InMemory) -> None:
    cluster.ask("POST", ADDRESS, {})
    go_on(cluster, "signing")
    new = rotation(cluster)
    node = NodeTrust(node="n1", authorities=(new.link,), signed_by=new.link)
    manager = ManagerTrust(node="n1", etcd=(new.fingerprint, "old"), signer=new.fingerprint)
    cluster.write(cluster.state.node_trust.put("n1", node), cluster.state.manager_trust.put("n1", manager))
    assert cluster.ask("POST", ADDRESS, {"finish": True})["step"] == "dropping"
