"""Following a service until it is as wished: what `--wait` does."""

import os
import sys
import time
from collections.abc import Iterator
from typing import Any

import click

from appliance.cli.client import Client
from appliance.errors import ApplianceError, Conflict, WaitExpired

_LOOK_AGAIN = 0.1
"""Seconds between two looks at a service that changes all the time."""


def wait_until_done(client: Client, service: str, timeout: float, *, revision: int = 0) -> None:
    """Return when the service is as wished; prints each step on stderr: one line that changes on a terminal, plain
    lines elsewhere.

    `revision`: the one that has to become complete (0 : whichever is wanted); raises ApplianceError saying why when
    its rollout failed, after the service has gone back, and Conflict when a newer one took its place. Raises
    WaitExpired, naming what is missing, after `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    seen, told = "", ""
    while True:
        left = deadline - time.monotonic()
        patience = f"{max(0.0, min(left, 25.0)):.3f}"
        found = client.get_until(deadline, "services", service, "progress", seen=seen, timeout=patience)
        line = line_of(found)
        if line != told:
            _tell(line, last=found["done"])
        told = line
        if revision:
            refuse_failed(found, revision)
        if found["done"]:
            return
        time.sleep(min(_LOOK_AGAIN, max(left, 0.0)))
        if left <= 0:
            raise _expired(found, timeout)
        seen = found["tag"]


def refuse_failed(found: dict[str, Any], revision: int) -> None:
    """Raises when waiting for this revision is over without success."""
    service = found["service"]
    if found["revision"] > revision:
        raise Conflict(
            f"{service} went on to revision {found['revision']} before revision {revision} was complete.",
            next=f"see who made it: appliance history {service}",
        )
    if not (found["failed"] and found["done"]):
        return
    back = found["in_effect"] != found["revision"]
    raise ApplianceError(
        f"The rollout of {service} to revision {revision} failed; "
        + (f"revision {found['in_effect']} is in effect again." if back else "everything stays as it is now."),
        why=found["failed"],
        next=f"correct the file and apply it again; more says: appliance why {service}",
        page="services/#rollouts",
    )


def line_of(found: dict[str, Any]) -> str:
    """``shop: rank 1: 2 of 3 ready; shop/web-2 is starting.``: the lowest rank that is not complete."""
    service = found["service"]
    if found["done"]:
        return f"{service}: {found['ready']} of {found['wanted']} ready"
    return "; ".join([f"{service}: {_where(found)}", *found["waiting"][:1]])


def _where(found: dict[str, Any]) -> str:
    unfinished: Iterator[dict[str, Any]] = (row for row in found["ranks"] if not row["done"])
    row = next(unfinished, None)
    back = f"revision {found['revision']} failed, going back: " if found["failed"] else ""
    if row is None or len(found["ranks"]) == 1:
        return f"{back}{found['ready']} of {found['wanted']} ready"
    return f"{back}rank {row['rank']}: {row['ready']} of {row['wanted']} ready"


def _expired(found: dict[str, Any], timeout: float) -> WaitExpired:
    service = found["service"]
    failed = [f"the rollout failed: {found['failed']}"] if found["failed"] else []
    return WaitExpired(
        f"{service} was not as wished within {timeout:g} s; {found['ready']} of {found['wanted']} are ready.",
        why="\n    ".join([*failed, *found["waiting"][:10]]),
        next=f"the work goes on; look with `appliance ps {service}` and `appliance why {service}`",
    )


def _tell(line: str, *, last: bool) -> None:
    if sys.stderr.isatty():
        width = os.get_terminal_size(sys.stderr.fileno()).columns
        click.echo(f"\r\x1b[K{line[: width - 1]}", nl=last, err=True)
    else:
        click.echo(line, err=True)
