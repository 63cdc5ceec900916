"""The moments of a schedule: a cron line read on the clocks of a time zone.

Where those clocks are changed, it goes as in Debian's cron (https://manpages.debian.org/cron). A line with a given
minute and hour means moments of the day: one that the clocks leave out comes as soon as they have jumped, one that they
show twice is the first of the two. A line whose minute or hour begins with ``*`` means moments that pass evenly, and
goes by the time that really passes.
"""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

LOOK_BACK = tuple(timedelta(hours=hours) for hours in (1, 24, 24 * 32, 24 * 366, 24 * 366 * 50))
"""How far back the newest moment is looked for, nearest first: few moments are walked however long nobody looked."""


@lru_cache(maxsize=4096)
def next_moment(line: str, zone: str, after: datetime) -> datetime | None:
    """The first moment later than `after`, in UTC; None when there is none within 50 years."""
    from cronsim import CronSim

    for local in CronSim(line, after.astimezone(ZoneInfo(zone))):
        moment = local.astimezone(UTC)
        # In the hour that the clocks show twice, the line's moment may lie before `after`.
        if moment > after:
            return moment
    return None


def newest_moment(line: str, zone: str, after: datetime, until: datetime) -> datetime | None:
    """The last moment later than `after` and not later than `until`, in UTC; None when there is none."""
    for span in LOOK_BACK:
        newest = None
        moment = next_moment(line, zone, max(after, until - span))
        while moment is not None and moment <= until:
            newest, moment = moment, next_moment(line, zone, moment)
        if newest is not None or until - span <= after:
            return newest
    return None
