"""Times as people read them: in the zone of who reads."""

from datetime import datetime


def local_time(text: str) -> str:
    """``2026-11-25 10:11:14`` of an RFC 3339 text, in this shell's time zone; "" stays empty."""
    return datetime.fromisoformat(text).astimezone().strftime("%Y-%m-%d %H:%M:%S") if text else ""
