"""What happened on a node, in the order in which it happened there, whether or not a manager could hear of it."""

from typing import Literal

import msgspec

HappeningKind = Literal["restart", "job", "hook", "local", "node"]


class Happening(msgspec.Struct, frozen=True, kw_only=True):
    """`number` grows within one diary. `at` is by the node's clock, RFC 3339, for people; nothing is decided by it.

    `instance` "" : the node itself. `alone`: no manager was connected. `bad`: people should look.
    """

    number: int
    at: str
    kind: HappeningKind
    instance: str
    message: str
    alone: bool = False
    bad: bool = False


class NodeDiary(msgspec.Struct, frozen=True, kw_only=True):
    """The newest happenings of a node that managers took in, up to number `last`. Written by who has the node's link.

    `volume` tells the node's diary from one that it had before and lost. `lost`: how many happenings were dropped
    because the node was alone for too long.
    """

    node: str
    volume: str
    last: int
    lost: int = 0
    happenings: tuple[Happening, ...] = ()
