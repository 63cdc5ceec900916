"""When a certificate is due, also for clocks that jump."""

import pytest

from appliance.model.certificate import BACKDATED, DAY, USUAL_LIFE, validity

NOW = 1_800_000_000.0
YEAR = 370 * DAY


def test_it_is_renewed_when_a_third_of_its_life_is_left() -> None:
    good = validity(NOW, 90 * DAY)
    assert good.due_in(NOW) == 60 * DAY
    assert good.due_in(NOW + 59 * DAY) == DAY
    assert good.due_in(NOW + 61 * DAY) == 0


def test_what_its_issuer_meant_can_be_read_from_it() -> None:
    good = validity(NOW, 600)
    assert (good.life, good.issued) == (600, NOW)


@pytest.mark.parametrize("jump", [YEAR, -YEAR, 10 * YEAR, -NOW])
@pytest.mark.parametrize("life", [60, 600, USUAL_LIFE])
def test_whatever_the_clock_says_one_issued_by_it_is_not_due_at_once(jump: float, life: float) -> None:
    assert validity(NOW + jump, life).due_in(NOW + jump) == pytest.approx(life * 2 / 3)


def test_a_clock_a_year_ahead_renews_for_itself_and_everybody_else() -> None:
    assert validity(NOW, USUAL_LIFE).due_in(NOW + YEAR) == 0
    again = validity(NOW + YEAR, USUAL_LIFE)
    assert again.begun < NOW < again.over
    assert again.due_in(NOW) > 0


def test_a_clock_a_year_behind_leaves_what_is_good() -> None:
    assert validity(NOW, USUAL_LIFE).due_in(NOW - YEAR) > 0
    assert not validity(NOW, USUAL_LIFE).is_late(NOW - YEAR)


def test_one_that_is_not_yet_valid_is_due() -> None:
    assert validity(NOW, USUAL_LIFE).due_in(NOW - BACKDATED - 1) == 0


def test_what_a_clock_behind_renews_is_good_by_right_clocks_too_and_due_as_soon_as_it_is_right() -> None:
    ahead = validity(NOW + YEAR, 600)
    assert ahead.next_life(NOW, 600) == 600
    behind = validity(NOW - YEAR, ahead.next_life(NOW - YEAR, 600))
    assert behind.begun < NOW - YEAR < NOW < behind.over
    assert behind.due_in(NOW - YEAR) > 0
    assert behind.due_in(NOW) == 0


def test_it_is_late_when_a_quarter_of_its_life_is_left() -> None:
    good = validity(NOW, 100)
    assert not good.is_late(NOW + 74)
    assert good.is_late(NOW + 76)
