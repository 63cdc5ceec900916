"""The site's NTP servers, as people name them."""

import re
from collections.abc import Sequence

from appliance.errors import UsageError

_SERVER = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.:-]{0,251}[A-Za-z0-9])?")
"""A name (RFC 1123) or an address; it becomes a word of chrony's configuration."""


def parse_time_servers(given: Sequence[str]) -> tuple[str, ...]:
    """Each once, in their order. Raises UsageError for what is neither a name nor an address."""
    for text in given:
        if not _SERVER.fullmatch(text):
            raise UsageError(f"{text!r} is no time server.", why="that is a host name or an IP address", page="time")
    return tuple(dict.fromkeys(given))
