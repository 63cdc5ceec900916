import pytest

from appliance.errors import UsageError
from appliance.security.tokens import LIFETIME, check, create_token, in_force, parse_token

NOW = 1_800_000_000.0


def test_a_token_says_where_the_managers_are_and_whom_to_trust() -> None:
    text, kept = create_token(("10.0.0.1:8443",), "ab" * 32, "agent", NOW)
    parsed = parse_token(f"  {text}\n")
    assert parsed.managers == ("10.0.0.1:8443",)
    assert parsed.authority == "ab" * 32
    assert parsed.id == kept.id


def test_the_store_never_sees_the_secret() -> None:
    text, kept = create_token(("h:1",), "ab" * 32, "agent", NOW)
    assert parse_token(text).secret not in repr(kept)


def test_only_the_right_secret_is_accepted() -> None:
    text, kept = create_token(("h:1",), "ab" * 32, "agent", NOW)
    secret = parse_token(text).secret
    assert check(kept, secret)
    assert not check(kept, secret + "x")


def test_it_is_in_force_for_a_day_also_when_the_clock_that_made_it_was_a_year_ahead() -> None:
    _, kept = create_token(("h:1",), "ab" * 32, "agent", NOW)
    day = LIFETIME.total_seconds()
    assert [in_force(kept, NOW + later) for later in (-60, 0, day - 1, day)] == [True, True, True, False]
    assert not in_force(kept, NOW - 370 * day)


@pytest.mark.parametrize("text", ["", "APPL1.", "APPL1.!!!", "APPL2.e30", "APPL1.e30", "x" * 10_000, "APPL1.e30\0"])
def test_what_is_not_a_whole_token_is_refused_with_the_way_out(text: str) -> None:
    with pytest.raises(UsageError, match="not a join token") as caught:
        parse_token(text)
    assert "token create" in caught.value.next


def test_a_truncated_token_is_refused() -> None:
    text, _ = create_token(("h:1",), "ab" * 32, "agent", NOW)
    for end in range(len(text) - 1):
        with pytest.raises(UsageError):
            parse_token(text[:end])
