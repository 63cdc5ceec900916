"""What a person on a node asked of one of its instances: done there at once, and heard by managers when they can."""

from typing import Literal

import msgspec

Desired = Literal["running", "stopped", "removed"]
Action = Literal["restart", "stop", "start"]


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What managers wish of an instance, as far as its node has heard."""

    desired: Desired
    restart: int
    generation: int


class LocalWish(msgspec.Struct, frozen=True, kw_only=True):
    """All that was asked of an instance on its node and that no manager has heard yet, the newest as `action`.

    `number` grows with every wish of the node, and beyond all that managers have heard of the instance. `at` is by the
    node's clock, RFC 3339, and decides nothing. `desired` and `restart`: what came of it. `known`: what was to be
    before the first of them.
    """

    instance: str
    number: int
    action: Action
    at: str
    who: str
    desired: Desired
    restart: int
    known: Known


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """The newest local wish for an instance that managers took in. `why`: why it was not followed, "" : it was."""

    number: int
    action: Action
    at: str
    who: str
    node: str
    why: str = ""
