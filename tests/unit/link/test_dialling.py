"""Whoever cannot be reached is named in the log, once, with a reason."""

import asyncio
from contextlib import suppress

import asyncssh
import pytest

from appliance.link.dialling import keep_dialling


async def nobody() -> asyncssh.SSHClientConnection:
    raise ConnectionRefusedError("refused")


async def silence() -> asyncssh.SSHClientConnection:
    await asyncio.sleep(60)
    raise AssertionError("waited too long")


@pytest.mark.parametrize(("reach", "why"), [(nobody, "refused"), (silence, "no answer within 0.01 s")])
def test_who_is_not_reached_is_named_once_with_a_reason(
    caplog: pytest.LogCaptureFixture, reach: object, why: str
) -> None:
    tries = 0

    def wanted() -> bool:
        nonlocal tries
        tries += 1
        return tries <= 2

    async def dial() -> None:
        with suppress(TimeoutError):
            await keep_dialling(reach, "m1 at 192.0.2.1:22", wanted=wanted, patience=0.01)  # type: ignore[arg-type]

    asyncio.run(dial())
    assert caplog.messages == [f"cannot reach m1 at 192.0.2.1:22: {why}; trying again"]
