"""Asks nodes to measure the overlay towards others, all at the same time."""

import asyncio
from collections.abc import Mapping
from typing import Protocol

import msgspec

from appliance.errors import ApplianceError, LinkDown
from appliance.link.messages import LARGEST_MESSAGE, ProbeRequest
from appliance.model.decoding import decode
from appliance.model.measurement import Measurement

PATIENCE = 60.0
"""Seconds that a node may take: each halving of packets that are too large waits for echoes that do not come."""

Answers = Mapping[str, tuple[Measurement, ...] | ApplianceError]
"""Node id → what it measured, or why it did not."""


class Channel(Protocol):
    """What a node says (see manager_end.py)."""

    async def read(self) -> tuple[str, bytes] | None: ...

    def close(self) -> None: ...


class Outlet(Protocol):
    @property
    def loop(self) -> asyncio.AbstractEventLoop: ...

    async def open_channel(self, node_id: str, request: ProbeRequest) -> Channel: ...


class Probing:
    def __init__(self, outlet: Outlet) -> None:
        self._outlet = outlet

    def ask(self, requests: Mapping[str, ProbeRequest]) -> Answers:
        """By node id. Blocks; from any thread but the link's."""
        return asyncio.run_coroutine_threadsafe(self._all(requests), self._outlet.loop).result()

    async def _all(self, requests: Mapping[str, ProbeRequest]) -> Answers:
        answers = await asyncio.gather(*(self._one(node, request) for node, request in requests.items()))
        return dict(zip(requests, answers, strict=True))

    async def _one(self, node_id: str, request: ProbeRequest) -> tuple[Measurement, ...] | ApplianceError:
        try:
            async with asyncio.timeout(PATIENCE):
                return await self._measured(node_id, request)
        except ApplianceError as error:
            return error
        except TimeoutError:
            return LinkDown("The node did not say in time what it measured.", where=node_id)
        except msgspec.DecodeError as error:
            return LinkDown("The node's answer is not understood.", where=node_id, why=str(error))

    async def _measured(self, node_id: str, request: ProbeRequest) -> tuple[Measurement, ...]:
        channel = await self._outlet.open_channel(node_id, request)
        try:
            said = b""
            while (piece := await channel.read()) is not None and len(said) <= LARGEST_MESSAGE:
                said += piece[1]
        finally:
            channel.close()
        return decode(said, tuple[Measurement, ...])
