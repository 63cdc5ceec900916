"""The moments of schedules, above all on the days when clocks are changed."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.orchestrator.schedule import newest_moment, next_moment

BERLIN, NEW_YORK, LORD_HOWE, SHANGHAI = "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Shanghai"
LINES = ["30 2 * * *", "15,45 2 * * *", "0 * * * *", "*/20 * * * *", "45 1 * * 7", "0 0 1 * *", "0 3 29 2 *"]


def moments(line: str, zone: str, after: str, count: int) -> list[str]:
    """The next moments on the zone's clocks, with how far these are from UTC."""
    found = []
    moment: datetime | None = datetime.fromisoformat(after).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    for _ in range(count):
        assert moment is not None
        moment = next_moment(line, zone, moment)
        assert moment is not None
        found.append(moment.astimezone(ZoneInfo(zone)).strftime("%d %H:%M %z"))
    return found


@pytest.mark.parametrize(
    ("line", "zone", "after", "wanted"),
    [
        # Spring: the hour, or half of it, that the clocks leave out.
        ("30 2 * * *", BERLIN, "2026-03-28T12:00", ["29 03:00 +0200", "30 02:30 +0200"]),
        ("15,45 2 * * *", BERLIN, "2026-03-28T12:00", ["29 03:00 +0200", "30 02:15 +0200"]),
        ("0 2,3 * * *", BERLIN, "2026-03-28T12:00", ["29 03:00 +0200", "30 02:00 +0200"]),
        ("0 * * * *", BERLIN, "2026-03-29T00:30", ["29 01:00 +0100", "29 03:00 +0200", "29 04:00 +0200"]),
        ("30 2 * * *", NEW_YORK, "2026-03-07T12:00", ["08 03:00 -0400", "09 02:30 -0400"]),
        ("0 2 * * *", LORD_HOWE, "2026-10-03T12:00", ["04 02:30 +1100", "05 02:00 +1100"]),
        ("30 2 * * *", SHANGHAI, "2026-03-28T12:00", ["29 02:30 +0800", "30 02:30 +0800"]),
        # Autumn: what the clocks show twice.
        ("30 2 * * *", BERLIN, "2026-10-24T12:00", ["25 02:30 +0200", "26 02:30 +0100"]),
        ("0 3 * * *", BERLIN, "2026-10-24T12:00", ["25 03:00 +0100", "26 03:00 +0100"]),
        ("0 * * * *", BERLIN, "2026-10-25T01:30", ["25 02:00 +0200", "25 02:00 +0100", "25 03:00 +0100"]),
        ("30 1 * * *", NEW_YORK, "2026-10-31T12:00", ["01 01:30 -0400", "02 01:30 -0500"]),
        ("45 1 * * *", LORD_HOWE, "2026-04-04T12:00", ["05 01:45 +1100", "06 01:45 +1030"]),
        ("30 2 * * *", SHANGHAI, "2026-10-24T12:00", ["25 02:30 +0800", "26 02:30 +0800"]),
    ],
)
def test_where_the_clocks_are_changed(line: str, zone: str, after: str, wanted: list[str]) -> None:
    assert moments(line, zone, after, len(wanted)) == wanted


def test_a_moment_that_is_over_is_not_due_again_in_the_hour_that_comes_twice() -> None:
    second_pass = datetime(2026, 10, 25, 1, 10, tzinfo=UTC)  # 02:10 for the second time
    assert next_moment("30 2 * * *", BERLIN, second_pass) == datetime(2026, 10, 26, 1, 30, tzinfo=UTC)


def test_the_newest_moment_after_years_away() -> None:
    start, end = datetime(2020, 1, 1, tzinfo=UTC), datetime(2026, 11, 25, tzinfo=UTC)
    assert newest_moment("0 3 29 2 *", "UTC", start, end) == datetime(2024, 2, 29, 3, tzinfo=UTC)
    assert newest_moment("* * * * *", "UTC", start, end) == end


@settings(max_examples=100, deadline=None)
@given(
    line=st.sampled_from(LINES),
    zone=st.sampled_from([BERLIN, NEW_YORK, LORD_HOWE, SHANGHAI, "UTC"]),
    start=st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31), timezones=st.just(UTC)),
    hours=st.integers(0, 24 * 9),
)
def test_the_newest_moment_is_the_last_that_one_meets_on_the_way(
    line: str, zone: str, start: datetime, hours: int
) -> None:
    end, newest = start + timedelta(hours=hours), None
    moment = next_moment(line, zone, start)
    while moment is not None and moment <= end:
        assert newest is None or moment > newest
        newest, moment = moment, next_moment(line, zone, moment)
    assert newest_moment(line, zone, start, end) == newest
