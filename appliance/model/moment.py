"""Moments as text: RFC 3339 in UTC, as everything that is stored, sent or printed for programs has them."""

from datetime import UTC, datetime
from typing import Literal

Precision = Literal["seconds", "milliseconds"]


def text_of(moment: datetime, precision: Precision = "milliseconds") -> str:
    """``2026-11-25T09:11:14.120Z``; `moment` has a time zone."""
    return moment.astimezone(UTC).isoformat(timespec=precision).replace("+00:00", "Z")


def text_of_seconds(seconds: float, precision: Precision = "milliseconds") -> str:
    """The moment so many seconds after the epoch."""
    return text_of(datetime.fromtimestamp(seconds, UTC), precision)


def now_text() -> str:
    """This moment, by this machine's clock."""
    return text_of(datetime.now(UTC))


def moment_of(text: str) -> datetime:
    """The moment that a text says; ValueError when it says none or names no zone."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} names no time zone")
    return moment


def seconds_of(text: str) -> float:
    """Seconds since the epoch; 0 for an empty text. ValueError as for `moment_of`."""
    return moment_of(text).timestamp() if text else 0.0
