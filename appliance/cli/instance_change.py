"""What `restart`, `start` and `stop` of an instance or a whole service have in common."""

import time
from pathlib import Path
from typing import Any, Literal

import click

from appliance.cli.client import ApiProblem, Client
from appliance.cli.here import answer, ask_node, who
from appliance.cli.output import Format, show
from appliance.cli.waiting import wait_until_done
from appliance.errors import UsageError, WaitExpired

_DONE = {"restart": "restarting", "start": "starting", "stop": "stopping"}
_LOOK_AGAIN = 0.2
"""Seconds between two looks at what a node does by itself."""


def change(
    root: Path,
    thing: str,
    action: Literal["restart", "start", "stop"],
    *,
    wait: bool,
    timeout: float,
    here: bool,
    output: Format,
) -> None:
    """`thing` without a slash is a service."""
    if "/" in thing:
        result = _change_instance(root, thing, action, here=here)
    elif here:
        raise UsageError("A node by itself changes single instances only.", next=f"see: appliance ps {thing} --here")
    else:
        result = Client(root).post("services", thing, action)
    if wait and "number" in result:
        _wait_for_node(root, result, timeout)
    elif wait:
        wait_until_done(Client(root), thing.partition("/")[0], timeout)
    if output == "table":
        click.echo(f"{thing}: {_DONE[action]}")
    else:
        show(result, output)


def _change_instance(root: Path, instance: str, action: str, *, here: bool) -> Any:
    service, name = split_instance(instance)
    request = {"type": "change", "instance": instance, "action": action, "who": who()}
    try:
        return answer(root, request, lambda client: client.post("instances", service, name, action), here=here)
    except ApiProblem as problem:
        if problem.cause == "StoreUnavailable":
            problem.next = f"an instance of this node, by this node alone: appliance {action} {instance} --here"
        raise


def _wait_for_node(root: Path, wish: dict[str, Any], timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while not _is_done(ask_node(root, {"type": "state"}, quiet=True), wish):
        if time.monotonic() > deadline:
            raise WaitExpired(
                f"{wish['instance']} was not as wished within {timeout:g} s.", next="see: appliance ps --here"
            )
        time.sleep(_LOOK_AGAIN)


def _is_done(seen: dict[str, Any], wish: dict[str, Any]) -> bool:
    row = next((row for row in seen["instances"] if row["instance"] == wish["instance"]), None)
    if row is None:
        return False
    if wish["desired"] == "stopped":
        return bool(row["state"] == "stopped")
    return bool(row["ready"]) and row["restart"] >= wish["restart"]


def split_instance(instance: str) -> tuple[str, str]:
    """Service and the rest of the name; raises UsageError for what is no instance's name."""
    service, slash, name = instance.partition("/")
    if not slash or not service or not name or "/" in name:
        raise UsageError(f"{instance!r} is not an instance.", next="for example: shop/web-0; see: appliance ps")
    return service, name
