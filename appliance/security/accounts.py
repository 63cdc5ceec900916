"""Passwords of people, and who may try one."""

import base64
import hashlib
import hmac
import secrets
import threading
from collections.abc import Callable

from appliance.errors import NotPermitted

_N, _R, _P = 2**14, 8, 1
"""scrypt's cost: 16 MiB and about 50 ms a try (RFC 7914; the memory bounds what many logins at once can take)."""
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
FAILURES_ALLOWED = 5
LOCKED_SECONDS = 60.0


def new_password() -> str:
    """Readable aloud, no look-alike characters, about 79 bits."""
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(4)) for _ in range(4))


def hash_password(password: str) -> str:
    """``scrypt$N$R$P$SALT$KEY``, salt and key in base64."""
    salt = secrets.token_bytes(16)
    key = hashlib.scrypt(password.encode(), salt=salt, n=_N, r=_R, p=_P)
    return f"scrypt${_N}${_R}${_P}${base64.b64encode(salt).decode()}${base64.b64encode(key).decode()}"


def check_password(password: str, kept: str) -> bool:
    """Whether `password` is the one that `hash_password` made `kept` of."""
    _, n, r, p, salt, key = kept.split("$")
    made = hashlib.scrypt(password.encode(), salt=base64.b64decode(salt), n=int(n), r=int(r), p=int(p))
    return hmac.compare_digest(made, base64.b64decode(key))


class Logins:
    """Thread-safe. `clock` is monotonic. After FAILURES_ALLOWED wrong passwords for a user, that user waits
    LOCKED_SECONDS. Each manager counts by itself."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._nobody = hash_password(secrets.token_hex(16))
        self._failures: dict[str, tuple[int, float]] = {}

    def check(self, user: str, password: str, kept: str | None) -> None:
        """`kept` is the user's password hash, None for an unknown user (who takes as long). Raises NotPermitted."""
        self._refuse_guessing(user)
        right = check_password(password, kept or self._nobody) and kept is not None
        with self._lock:
            now = self._clock()
            if right:
                self._failures.pop(user, None)
                return
            self._failures = {name: f for name, f in self._failures.items() if f[1] + LOCKED_SECONDS > now}
            count = self._failures.get(user, (0, 0.0))[0]
            self._failures[user] = (count + 1, now)
        raise NotPermitted("The user name or the password is wrong.", page="security")

    def _refuse_guessing(self, user: str) -> None:
        with self._lock:
            count, last = self._failures.get(user, (0, 0.0))
            wait = last + LOCKED_SECONDS - self._clock()
        if count >= FAILURES_ALLOWED and wait > 0:
            raise NotPermitted(
                f"Too many wrong passwords for {user}.", next=f"wait {wait:.0f} s and try again", page="security"
            )
