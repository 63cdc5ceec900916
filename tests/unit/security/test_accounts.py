import pytest

from appliance.errors import NotPermitted
from appliance.security.accounts import (
    FAILURES_ALLOWED,
    LOCKED_SECONDS,
    Logins,
    check_password,
    hash_password,
    new_password,
)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_password_is_recognised_and_its_hash_does_not_show_it() -> None:
    password = new_password()
    kept = hash_password(password)
    assert check_password(password, kept)
    assert not check_password(password + "x", kept)
    assert password not in kept
    assert hash_password(password) != kept


def test_guessing_is_slowed_down_even_with_the_right_password_and_then_allowed_again() -> None:
    clock = Clock()
    logins = Logins(clock)
    kept = hash_password("right")
    for _ in range(FAILURES_ALLOWED):
        with pytest.raises(NotPermitted, match="wrong"):
            logins.check("admin", "guess", kept)
    with pytest.raises(NotPermitted, match="Too many"):
        logins.check("admin", "right", kept)
    clock.now += LOCKED_SECONDS
    logins.check("admin", "right", kept)


def test_an_unknown_user_gets_the_same_answer_as_a_wrong_password() -> None:
    logins = Logins(Clock())
    with pytest.raises(NotPermitted) as unknown:
        logins.check("nobody", "x", None)
    with pytest.raises(NotPermitted) as wrong:
        logins.check("admin", "x", hash_password("right"))
    assert str(unknown.value) == str(wrong.value)
