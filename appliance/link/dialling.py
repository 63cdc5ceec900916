"""Keeps up a connection to whoever this end has to dial. Both ends do it in the same way."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable

import asyncssh
from asyncssh.connection import SSHConnection

log = logging.getLogger(__name__)

FIRST_BACKOFF = 0.2
LONGEST_BACKOFF = 5.0
PATIENCE = 20.0
"""Seconds for the other end to answer."""


async def keep_dialling[C: SSHConnection](
    reach: Callable[[], Awaitable[C]],
    whom: str,
    *,
    wanted: Callable[[], bool] = lambda: True,
    ended: Callable[[C], None] = lambda connection: None,
    patience: float = PATIENCE,
) -> None:
    """Until cancelled, or not `wanted` any more when a connection has ended. `reach` raises OSError or asyncssh.Error;
    `ended` gets each connection that was there. `whom` is for the log."""
    backoff = FIRST_BACKOFF
    failure = ""
    while wanted():
        try:
            async with asyncio.timeout(patience):
                connection = await reach()
        except (OSError, asyncssh.Error) as error:  # TimeoutError is an OSError
            why = str(error) or f"no answer within {patience:g} s"
            if why != failure:
                failure = why
                log.warning("cannot reach %s: %s; trying again", whom, why)
        else:
            failure = ""
            began = time.monotonic()
            try:
                await connection.wait_closed()
            finally:
                connection.abort()
            ended(connection)
            if time.monotonic() - began > LONGEST_BACKOFF:  # else it was let in and sent away again
                backoff = FIRST_BACKOFF
        await asyncio.sleep(backoff * random.uniform(0.5, 1.0))
        backoff = min(backoff * 2, LONGEST_BACKOFF)
