"""How long a certificate of the cluster is good, and when the next one is due. Pure.

Every certificate is dated back by BACKDATED. So one that was issued by a clock that is a year ahead is not "not yet
valid" to anybody, and what its issuer meant can be read from it: its life is what is left of the whole.
"""

from typing import Literal

import msgspec

DAY = 86_400
BACKDATED = 400 * DAY
"""Seconds before its issue from which a certificate is valid. With the longest life, 825 days in all: what browsers
accept of an authority that a person has installed."""
USUAL_LIFE = 90 * DAY
SHORTEST_LIFE, LONGEST_LIFE = 30, 425 * DAY
WARNED_BEFORE = 1 / 4
"""Part of its life that is left when somebody has to look why a certificate was not renewed."""


class Validity(msgspec.Struct, frozen=True, kw_only=True):
    """From when until when, in seconds since the epoch."""

    begun: float
    over: float

    @property
    def life(self) -> float:
        """Seconds for which it was issued; 0 for one that is not dated back as ours are."""
        return max(0.0, self.over - self.begun - BACKDATED)

    @property
    def issued(self) -> float:
        return self.over - self.life

    @property
    def renewal(self) -> float:
        """The moment at which a third of its life is left."""
        return self.over - self.life / 3

    def due_in(self, now: float) -> float:
        """Seconds until it is to be renewed, 0 when it is time.

        Also one that is not yet valid is renewed: then the clock went back by more than BACKDATED. Whatever the clock
        says, one that is issued by it is not due at once, so whoever renews does not go round and round.
        """
        return 0.0 if now < self.begun else max(0.0, self.renewal - now)

    def next_life(self, now: float, usual: float) -> float:
        """Seconds for which it is renewed now: `usual`, but for one that is not yet valid by this clock.

        Then this clock or its issuer's is wrong, and `usual` after this one may be long over by all others. The longest
        is good for whoever is up to LONGEST_LIFE ahead; it is due again as soon as this clock is right.
        """
        return LONGEST_LIFE if now < self.begun else usual

    def is_late(self, now: float) -> bool:
        """Whether it should have been renewed long ago."""
        return now < self.begun or self.over - now < self.life * WARNED_BEFORE


def validity(issued: float, life: float) -> Validity:
    """Of a certificate that is issued now for `life` seconds."""
    return Validity(begun=issued - BACKDATED, over=issued + life)


Use = Literal["host", "user", "etcd", "client", "page"]
"""A node towards managers; a manager towards nodes; an etcd member; a manager towards etcd; a manager's page."""


class HeldCertificate(msgspec.Struct, frozen=True, kw_only=True):
    """A certificate that a node was given. Written by the manager that issued it. `node` is its id; `key` the
    fingerprint of its key where it is one of the link, else ""."""

    node: str
    use: Use
    validity: Validity
    key: str = ""

    @property
    def name(self) -> str:
        """Within the table of them."""
        return f"{self.node}/{self.use}"


class RevokedKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key of the link that nobody lets in any more. `name` is what its node was called, `at` when it was said."""

    fingerprint: str
    node: str
    name: str
    at: str
