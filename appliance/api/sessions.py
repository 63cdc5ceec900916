"""Who is logged in: in the store, so that every manager knows, and none forgets.

The store holds a hash of what the browser shows, under a lease: it vanishes by itself, and nothing is written while a
session is used. Reads come from each manager's copy, so that a request never waits for the store.
"""

import hashlib
import secrets
import time
from collections.abc import Callable

from appliance.model.session import LoginSession
from appliance.security.accounts import Logins
from appliance.store.state import State, await_copy
from appliance.store.store import Store

SESSION_SECONDS = 12 * 3600


class SessionBook:
    """Thread-safe. `clock` is monotonic, in seconds."""

    def __init__(self, state: State, store: Store, clock: Callable[[], float] = time.monotonic) -> None:
        self._state = state
        self._store = store
        self._logins = Logins(clock)

    def log_in(self, user: str, password: str) -> str:
        """The new session's id, a secret. Raises NotPermitted, and StoreUnavailable as every write does."""
        known = self._state.users.get(user)
        self._logins.check(user, password, known.password if known else None)
        session = secrets.token_urlsafe(32)
        lease = self._store.grant(SESSION_SECONDS)
        put = self._state.sessions.put(_name(session), LoginSession(user=user, lease=lease), lease=lease)
        await_copy(self._state.copy, self._store.commit([put]))
        return session

    def user_of(self, session: str) -> str | None:
        """None when the session is unknown, has expired or was ended, or its user is gone."""
        found = self._state.sessions.get(_name(session))
        return found.user if found is not None and self._state.users.get(found.user) is not None else None

    def log_out(self, session: str) -> None:
        """Known to this manager when it returns, to the others within moments. Raises StoreUnavailable."""
        found = self._state.sessions.get(_name(session))
        if found is not None:
            await_copy(self._state.copy, self._store.commit([self._state.sessions.delete(_name(session))]))
            self._store.revoke(found.lease)


def _name(session: str) -> str:
    return hashlib.sha256(session.encode()).hexdigest()
