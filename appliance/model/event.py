"""Something that happened in the cluster, as people read it."""

from typing import Literal

import msgspec


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """`id` grows within one manager; `subject` is ``shop``, ``shop/web-2``, ``shop/report/7`` or a node's name."""

    id: int
    at: str
    kind: str
    """A word that does not change between releases: applied, rollout, bound, refused, state, restart, job, node, …"""
    level: Literal["info", "warning"]
    subject: str
    message: str
    node: str = ""
