"""A login holds on every manager, and so does its end."""

from collections.abc import Iterator

import pytest

from appliance.api.sessions import SESSION_SECONDS, SessionBook
from appliance.errors import NotPermitted
from appliance.model.cluster import User
from appliance.security.accounts import hash_password
from appliance.store import keys
from appliance.store.memory import MemoryStore
from appliance.store.mirror import Mirror
from appliance.store.state import State
from tests.lab.waiting import eventually

KEPT = hash_password("right")


class Managers:
    """Two of them, each with a copy of one store."""

    def __init__(self) -> None:
        self.now = 0.0
        self.store = MemoryStore(lambda: self.now)
        self.mirrors = [Mirror(self.store, keys.ROOT) for _ in range(2)]
        self.states = [State(mirror) for mirror in self.mirrors]
        self.store.commit([self.states[0].users.put("admin", User(name="admin", password=KEPT, created_at=""))])
        for mirror in self.mirrors:
            mirror.start()
        self.first, self.second = (SessionBook(state, self.store, lambda: self.now) for state in self.states)


@pytest.fixture
def managers() -> Iterator[Managers]:
    managers = Managers()
    yield managers
    for mirror in managers.mirrors:
        mirror.stop()


def test_who_logged_in_at_one_manager_is_logged_in_at_all_and_logged_out_at_all(managers: Managers) -> None:
    session = managers.first.log_in("admin", "right")
    assert managers.first.user_of(session) == "admin"
    eventually(lambda: managers.second.user_of(session) == "admin", 5)
    other = managers.first.log_in("admin", "right")
    managers.second.log_out(session)
    assert managers.second.user_of(session) is None
    eventually(lambda: managers.first.user_of(session) is None, 1)
    assert managers.first.user_of(other) == "admin"


def test_a_session_ends_with_its_time(managers: Managers) -> None:
    session = managers.first.log_in("admin", "right")
    managers.now += SESSION_SECONDS
    eventually(lambda: managers.first.user_of(session) is None, 5)


def test_a_user_who_is_removed_is_nobody_from_then_on(managers: Managers) -> None:
    session = managers.first.log_in("admin", "right")
    managers.store.commit([managers.states[0].users.delete("admin")])
    eventually(lambda: managers.first.user_of(session) is None, 5)


def test_the_store_knows_no_session_that_somebody_could_show(managers: Managers) -> None:
    session = managers.first.log_in("admin", "right")
    for entry in managers.store.list(keys.ROOT).entries:
        assert session not in entry.key and session.encode() not in entry.value
    name = managers.store.list(keys.SESSIONS).entries[0].key.removeprefix(keys.SESSIONS)
    assert managers.first.user_of(name) is None


def test_a_wrong_password_opens_nothing(managers: Managers) -> None:
    with pytest.raises(NotPermitted):
        managers.first.log_in("admin", "wrong")
    with pytest.raises(NotPermitted):
        managers.first.log_in("nobody", "right")
    assert managers.store.list(keys.SESSIONS).entries == () and managers.first.user_of("") is None
