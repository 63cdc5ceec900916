"""How far a clock is off, from questions whose ways take any time."""

from hypothesis import given
from hypothesis import strategies as st

from appliance.link.comparison import REMEMBERED, Comparison


class Ends:
    """Our clock, `ahead` seconds of the other's, and the monotonic one, which began at another moment."""

    def __init__(self, ahead: float = 0.0) -> None:
        self.now = 1000.0
        self.ahead = ahead
        self.comparison = Comparison(lambda: self.theirs() + self.ahead, lambda: self.now)

    def theirs(self) -> float:
        return self.now + 1_700_000_000.0

    def exchange(self, there: float, back: float) -> None:
        asked = self.comparison.ask()
        self.now += there
        clock = self.theirs()
        self.now += back
        assert self.comparison.answered(asked, clock)

    def offset(self) -> float:
        skew = self.comparison.skew()
        assert skew
        return skew.offset


def near(value: float, wanted: float) -> bool:
    return abs(value - wanted) < 1e-5


def test_nothing_is_known_before_the_first_answer() -> None:
    assert Ends().comparison.skew() is None


def test_the_way_does_not_count_when_it_takes_as_long_there_as_back() -> None:
    ends = Ends(ahead=3.0)
    ends.exchange(0.4, 0.4)
    assert near(ends.offset(), 3.0)


@given(ahead=st.floats(-1e4, 1e4), ways=st.lists(st.tuples(st.floats(0, 10), st.floats(0, 10)), min_size=1))
def test_the_truth_is_within_the_error_however_unequal_the_ways_are(
    ahead: float, ways: list[tuple[float, float]]
) -> None:
    ends = Ends(ahead)
    for there, back in ways:
        ends.exchange(there, back)
    skew = ends.comparison.skew()
    assert skew and abs(skew.offset - ahead) <= skew.error + 1e-5


def test_the_quickest_of_the_last_answers_counts() -> None:
    ends = Ends()
    ends.exchange(0.0, 0.002)
    ends.exchange(0.0, 5.0)
    assert near(ends.offset(), 0.001)
    for _ in range(REMEMBERED):
        ends.exchange(0.0, 4.0)
    assert near(ends.offset(), 2.0)


def test_a_step_of_our_clock_shows_at_once() -> None:
    ends = Ends()
    ends.exchange(0.001, 0.001)
    ends.ahead = -3600.0
    assert near(ends.offset(), -3600.0)


def test_an_answer_to_no_question_or_to_an_older_one_is_forgotten() -> None:
    comparison = Ends().comparison
    assert not comparison.answered(1000.0, 0.0)
    ends = Ends()
    older = ends.comparison.ask()
    ends.now += 1
    newer = ends.comparison.ask()
    assert not ends.comparison.answered(older, 0.0)
    assert ends.comparison.answered(newer, 0.0)
    assert not ends.comparison.answered(newer, 0.0)
