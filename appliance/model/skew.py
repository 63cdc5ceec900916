"""How far a node's clock is off a manager's, as measured over the link. People are told; nothing decides by it."""

import msgspec

SKEW_ALARM = 0.5
"""Seconds of skew from which people are warned."""
SKEW_CALM = 0.25
"""Seconds below which a warned-of clock counts as right again: so that one on the verge does not warn at every beat."""


class Skew(msgspec.Struct, frozen=True, kw_only=True):
    """`offset`: seconds, positive when the node's clock is ahead. The truth is within `error` seconds of it."""

    offset: float
    error: float


def direction(offset: float) -> str:
    """``3.2 s ahead of``, ``120 s behind``."""
    size = abs(offset)
    return f"{size:.{1 if size < 100 else 0}f} s {'ahead of' if offset > 0 else 'behind'}"


def complaint(skew: Skew | None) -> str:
    """What is wrong with a clock, and where the remedy is; "" for nothing. Pure."""
    if skew is None or abs(skew.offset) - skew.error < SKEW_ALARM:
        return ""
    return f"its clock is {direction(skew.offset)} the manager's; see: appliance docs time"
