import pytest

from appliance.errors import NotPermitted
from appliance.security.accounts import (
    FAILURES_ALLOWED,
    LOCKED_SECONDS,
    SESSION_SECONDS,
    SessionBook,
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


def test_a_session_ends_with_its_time_or_by_logging_out() -> None:
    clock = Clock()
    book = SessionBook(clock)
    kept = hash_password("right")
    first, second = book.log_in("admin", "right", kept), book.log_in("admin", "right", kept)
    assert book.user_of(first.id) == "admin"
    book.log_out(first.id)
    assert book.user_of(first.id) is None
    assert book.user_of(second.id) == "admin"
    clock.now += SESSION_SECONDS
    assert book.user_of(second.id) is None
    assert book.user_of("") is None


def test_guessing_is_slowed_down_even_with_the_right_password_and_then_allowed_again() -> None:
    clock = Clock()
    book = SessionBook(clock)
    kept = hash_password("right")
    for _ in range(FAILURES_ALLOWED):
        with pytest.raises(NotPermitted, match="wrong"):
            book.log_in("admin", "guess", kept)
    with pytest.raises(NotPermitted, match="Too many"):
        book.log_in("admin", "right", kept)
    clock.now += LOCKED_SECONDS
    assert book.log_in("admin", "right", kept).user == "admin"


def test_an_unknown_user_gets_the_same_answer_as_a_wrong_password() -> None:
    book = SessionBook(Clock())
    with pytest.raises(NotPermitted) as unknown:
        book.log_in("nobody", "x", None)
    with pytest.raises(NotPermitted) as wrong:
        book.log_in("admin", "x", hash_password("right"))
    assert str(unknown.value) == str(wrong.value)
