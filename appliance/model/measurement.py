"""What one node measured of the overlay towards another."""

from typing import Literal

import msgspec

Stream = Literal["passes", "silent", "untried"]


class Measurement(msgspec.Struct, frozen=True, kw_only=True):
    """`node` is the other node's id. Facts only; what they mean says network/diagnosis.py."""

    node: str
    host: bool | None
    """The other host answers an echo at the address by which nodes reach it; some firewalls forbid that. None: it was
    not asked, since this node may begin nothing outside the overlay (`dial` "manager")."""
    overlay: bool
    """It answers an echo through the overlay, at the address of its bridge."""
    latency: float | None = None
    """Seconds of the fastest such echo; None : no answer."""
    size: int = 0
    """Bytes of the largest packet that gets through the overlay uncut and is answered."""
    wanted: int
    """Bytes of the largest packet that instances send: the overlay's MTU."""
    stream: Stream = "untried"
    """Whether a TCP connection through the overlay is made or refused, and not just swallowed."""
    missing: tuple[str, ...] = ()
    """What this node's kernel lacks to reach the other: route, neighbour entry, forwarding entry."""
