"""The recovery key, as people write it down and type it in."""

import pytest

from appliance.errors import Refused
from appliance.security.recovery_key import key_id, parse_recovery_text, recovery_secret, recovery_text

SECRET = recovery_secret(bytes(32))
TEXT = recovery_text(SECRET)


def test_it_is_eight_groups_of_four() -> None:
    assert [len(group) for group in TEXT.split("-")] == [4] * 8


def test_it_is_the_same_on_every_manager() -> None:
    assert recovery_secret(bytes(32)) == SECRET != recovery_secret(bytes([1]) * 32)


@pytest.mark.parametrize("typed", [TEXT, TEXT.lower(), TEXT.replace("-", " "), TEXT.replace("-", "") + "\n"])
def test_case_and_grouping_do_not_matter(typed: str) -> None:
    assert parse_recovery_text(typed) == SECRET


def test_digits_that_look_like_letters_are_taken_for_them() -> None:
    secret = next(s for s in (bytes([n]) * 18 for n in range(256)) if {"O", "I", "B"} <= set(recovery_text(s)))
    written = recovery_text(secret).translate(str.maketrans("OIB", "018"))
    assert parse_recovery_text(written) == secret


def test_every_slip_of_one_letter_is_noticed() -> None:
    for place, letter in enumerate(TEXT):
        if letter != "-":
            other = "A" if letter != "A" else "C"
            with pytest.raises(Refused):
                parse_recovery_text(TEXT[:place] + other + TEXT[place + 1 :])


@pytest.mark.parametrize("typed", ["", "AAAA", TEXT[:-1], TEXT + "A", "ß" * 32, "not a key at all"])
def test_what_is_no_key_is_refused(typed: str) -> None:
    with pytest.raises(Refused):
        parse_recovery_text(typed)


def test_the_id_does_not_give_the_key_away() -> None:
    assert key_id(SECRET) not in TEXT.lower()
    assert key_id(SECRET) != key_id(recovery_secret(bytes([1]) * 32))
