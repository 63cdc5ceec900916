"""The control session of one manager, as its node holds it: heartbeats always; reports only while it is followed."""

import asyncio
import logging
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Protocol

import msgspec

from appliance.errors import LinkDown
from appliance.link.comparison import Comparison
from appliance.link.messages import (
    Believes,
    DiaryPage,
    DiaryTaken,
    Echo,
    FromManager,
    Heartbeat,
    Held,
    Hello,
    Picture,
    Report,
    TurnedAway,
    Wishes,
)
from appliance.link.session import HEARTBEAT, Messages, Stream, end_on_failure
from appliance.model.instance import InstanceStatus
from appliance.model.skew import Skew
from appliance.model.stamp import Stamp

log = logging.getLogger(__name__)

ANSWER = 4.0
"""Seconds after a heartbeat without an echo, from which on a manager counts as one that does not answer."""


Standing = Held | Wishes | DiaryPage | Believes
"""Messages that each say all there is to say of their kind."""


class Node(Protocol):
    """What a conversation needs of its node. All is called on the link's loop and must be quick."""

    def hello(self, *, follows: bool) -> Hello:
        """Without turn and base."""
        ...

    def heartbeat(self) -> Heartbeat:
        """Without what the conversation itself adds: tick and skew."""
        ...

    def said(self) -> Mapping[type[Standing], Standing]:
        """Of each kind what is to be known by every manager."""
        ...

    def next_statuses(self) -> tuple[InstanceStatus, ...]:
        """Those that wait to be reported; each is given once."""
        ...

    def take(self, picture: Picture) -> None: ...

    def taken(self, diary: DiaryTaken) -> None:
        """Any manager may have taken in what happened here."""
        ...

    def heard(self, manager: str, clock: float) -> None:
        """The manager's clock, in seconds since the epoch."""
        ...

    def measured(self, skew: Skew) -> None: ...

    def choose(self) -> None:
        """Whether this manager is a good one to follow may have changed."""
        ...

    def clock(self) -> float: ...


class Conversation:
    """`run` is its whole life. `began`: seconds since 1970."""

    def __init__(self, stream: Stream, manager: str, node: Node) -> None:
        self.manager = manager
        self.began = time.time()
        self._stream = stream
        self._messages: Messages[FromManager] = Messages(stream, FromManager)
        self._node = node
        self._comparison = Comparison(node.clock, _tick)
        self._news = asyncio.Event()
        self._base: Stamp | None = None
        self._turn = 0
        self._introduced = False
        self._fresh = True
        self._asked: float | None = None
        self._refused = False
        self.turned_away: TurnedAway | None = None
        """Why the manager does not work with this node, None where it does."""

    @property
    def good(self) -> bool:
        """It answers, and its copy of the store is fresh."""
        return self._fresh and (self._asked is None or time.monotonic() - self._asked < ANSWER)

    def follow(self, turn: int, base: Stamp) -> None:
        """From now on its pictures are taken, unless they are older than `base`, and it is told everything."""
        self._turn, self._base, self._introduced = turn, base, False
        self._news.set()

    def leave(self) -> None:
        """Another is followed from now on."""
        self._base, self._introduced = None, False
        self._news.set()

    def wake(self) -> None:
        """There are statuses, or something else was said."""
        self._news.set()

    async def run(self) -> None:
        """Until the session ends. Raises LinkDown."""
        log.info("connected to manager %s", self.manager)
        tasks = [asyncio.ensure_future(work) for work in (self._tell(), self._beat())]
        for task in tasks:
            end_on_failure(task, self._stream.close)
        try:
            while (message := await self._messages.receive()) is not None:
                self._received(message)
        finally:
            for task in tasks:
                task.cancel()
            log.info("the link to manager %s ended", self.manager)

    def _received(self, message: FromManager) -> None:
        if isinstance(message, Echo):
            self._asked, self._fresh = None, message.fresh
            self._node.heard(self.manager, message.clock)
            answered = self._comparison.answered(message.tick, message.clock)
            if answered and self._base is not None and (skew := self._comparison.skew()) is not None:
                self._node.measured(skew)
            self._node.choose()
        elif isinstance(message, DiaryTaken):
            self._node.taken(message)
        elif isinstance(message, TurnedAway):
            self.turned_away = message
            log.error("manager %s does not work with this node: %s %s", self.manager, message.what, message.why)
            self._node.choose()
        elif self._base is None:
            log.debug("manager %s said something although it is not followed", self.manager)
        elif message.stamp < self._base:
            self._refuse(message)
        else:
            self._node.take(message)

    def _refuse(self, message: Picture) -> None:
        if not self._refused:
            self._refused = True
            log.error(
                "manager %s has an old copy of the store: %s is older than %s, which this node has seen; "
                "nothing of it is taken",
                self.manager,
                message.stamp,
                self._base,
            )
        self._fresh = False
        self._node.choose()

    async def _tell(self) -> None:
        told: dict[type[Standing], Standing] = {}
        with suppress(LinkDown):  # the next hello carries everything
            while True:
                self._news.clear()
                if not self._introduced:
                    self._introduced = True
                    await self._messages.send(self._hello())
                for kind, said in self._node.said().items():
                    if told.get(kind) != said:
                        await self._messages.send(said)
                        told[kind] = said
                while self._base is not None and self._introduced and (statuses := self._node.next_statuses()):
                    await self._messages.send(Report(statuses=statuses))
                await self._news.wait()

    def _hello(self) -> Hello:
        hello = self._node.hello(follows=self._base is not None)
        return msgspec.structs.replace(hello, turn=self._turn, seen=self._base or Stamp())

    async def _beat(self) -> None:
        loop = asyncio.get_running_loop()
        with suppress(LinkDown):
            while True:
                skew, tick = self._comparison.skew(), self._comparison.ask()
                if self._asked is None:
                    self._asked = time.monotonic()
                beat = msgspec.structs.replace(self._node.heartbeat(), tick=tick, skew=skew)
                await self._messages.send(beat)
                loop.call_later(ANSWER * 1.02, self._node.choose)
                await asyncio.sleep(HEARTBEAT)


def _tick() -> float:
    """Neither steps nor whoever keeps the clock right change its pace."""
    return time.clock_gettime(time.CLOCK_MONOTONIC_RAW)
