"""Leadership on every kind of store."""

import time
from collections.abc import Iterator, Sequence
from functools import partial

import pytest

from appliance.errors import Conflict, StoreUnavailable
from appliance.store import keys
from appliance.store.election import LEASE_SECONDS, Election
from appliance.store.etcd import EtcdStore
from appliance.store.etcd_channels import EtcdChannels
from appliance.store.memory import MemoryStore
from appliance.store.mirror import Mirror
from appliance.store.store import Delete, Expect, Put, Store
from tests.lab.waiting import eventually


@pytest.fixture(params=["memory", "etcd"])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    made: Store
    if request.param == "memory":
        made = MemoryStore(time.monotonic)
    else:
        made = EtcdStore(EtcdChannels([request.getfixturevalue("etcd_endpoint")]))
    yield made
    made.close()


def test_one_of_two_leads_and_the_other_follows_when_it_stops(store: Store) -> None:
    changes: list[str] = []
    first = Election(store, "m1", lambda: changes.append("m1"))
    second = Election(store, "m2", lambda: changes.append("m2"))
    first.start()
    eventually(lambda: first.term() is not None, timeout=30)
    second.cycle()
    assert second.term() is None
    first.stop()
    assert first.term() is None
    second.cycle()
    assert second.term() is not None
    assert changes == ["m1", "m1", "m2"]
    second.stop()


def test_who_watches_the_leadership_takes_it_as_soon_as_it_is_given_back(store: Store) -> None:
    mirror = Mirror(store, keys.ROOT)
    mirror.start()
    first = Election(store, "m1", lambda: None)
    first.cycle()
    second = Election(store, "m2", lambda: None, watch=partial(mirror.subscribe, keys.LEADER))
    second.start()
    eventually(lambda: mirror.get(keys.LEADER) is not None, 30)
    first.stop()
    eventually(lambda: second.term() is not None, LEASE_SECONDS / 6)
    second.stop()
    mirror.stop()


def test_one_that_may_lead_no_more_hands_the_leadership_on_and_does_not_try_again(store: Store) -> None:
    allowed = {"m1", "m2"}
    first = Election(store, "m1", lambda: None, lambda: "m1" in allowed)
    second = Election(store, "m2", lambda: None, lambda: "m2" in allowed)
    first.cycle()
    assert first.term() is not None
    allowed.remove("m1")
    first.cycle()
    assert first.term() is None and store.get(keys.LEADER) is None
    first.cycle()
    assert store.get(keys.LEADER) is None
    second.cycle()
    assert second.term() is not None
    second.stop()


def test_a_leader_that_lost_its_lease_cannot_write_although_it_believes_it_leads(store: Store) -> None:
    old, new = Election(store, "m1", lambda: None), Election(store, "m2", lambda: None)
    old.cycle()
    term = old.term()
    assert term is not None
    store.commit([Put("/x", b"1")], [term])
    leader = store.get(keys.LEADER)
    assert leader is not None and leader.value == b"m1"
    store.revoke(old._lease)  # what the passing of time does to a manager that is stopped
    new.cycle()
    assert new.term() is not None
    with pytest.raises(Conflict):
        store.commit([Put("/x", b"2")], [term])
    old.cycle()
    assert old.term() is None
    new.stop()


class ForgetfulStore(MemoryStore):
    """Does the first commit and loses the answer, as an outage may."""

    answers = False

    def commit(self, operations: Sequence[Put | Delete], expect: Sequence[Expect] = ()) -> int:
        revision = super().commit(operations, expect)
        if not self.answers:
            self.answers = True
            raise StoreUnavailable("The answer was lost.")
        return revision


def test_a_manager_leads_in_the_end_although_the_answer_to_its_candidacy_was_lost() -> None:
    now = 0.0
    election = Election(ForgetfulStore(lambda: now), "m1", lambda: None)
    with pytest.raises(StoreUnavailable):
        election.cycle()
    election.cycle()
    assert election.term() is None
    now += LEASE_SECONDS
    election.cycle()
    assert election.term() is not None
