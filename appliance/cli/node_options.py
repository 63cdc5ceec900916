"""Options and helpers that the commands about this node share."""

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from appliance.errors import NotPermitted, UsageError
from appliance.host.layout import Layout


def root_option[F: Callable[..., Any]](function: F) -> F:
    """Adds `--root DIR`, passed as `root`."""
    return click.option(
        "--root",
        type=click.Path(path_type=Path),
        envvar="APPLIANCE_ROOT",
        default=Path("/"),
        show_default=True,
        help="Keep everything below this folder.",
    )(function)


def waive_option[F: Callable[..., Any]](function: F) -> F:
    """Adds `--waive NAME=REASON`, passed as `waive`."""
    return click.option(
        "--waive", multiple=True, metavar="NAME=REASON", help="Go on although the preflight check NAME fails."
    )(function)


def clock_option[F: Callable[..., Any]](function: F) -> F:
    """Adds `--clock`, passed as `clock`; None where nobody said."""
    return click.option(
        "--clock",
        type=click.Choice(["ours", "host"]),
        help="Who sets this host's clock, the appliance or the host.  [default: ours, unless a time daemon runs]",
    )(function)


def waivers(given: tuple[str, ...]) -> dict[str, str]:
    """Check name → reason; raises UsageError for one without a reason."""
    result = {}
    for text in given:
        name, _, reason = text.partition("=")
        if not reason.strip():
            raise UsageError(
                f"The waiver {text!r} gives no reason.", next=f"--waive {name}='why it does not matter here'"
            )
        result[name] = reason.strip()
    return result


def layout_of(root: Path) -> Layout:
    """The layout below `root`, for commands that change the node; raises NotPermitted for users who are not root."""
    if os.geteuid() != 0:
        raise NotPermitted("Only root may do this.", next="run it with sudo")
    return Layout(root.resolve())


def log_to_stderr() -> None:
    """For the long-running commands; their output goes to the files under /var/log/appliance."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("asyncssh").setLevel(logging.WARNING)
    logging.getLogger("urllib3").setLevel(logging.ERROR)
