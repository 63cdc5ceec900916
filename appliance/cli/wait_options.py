"""`--wait` and `--timeout`, shared by the commands that change a service."""

from collections.abc import Callable
from typing import Any

import click

from appliance.cli.client import Duration


def wait_options[F: Callable[..., Any]](function: F) -> F:
    """Adds `--wait` and `--timeout`, passed as `wait` and `timeout` (seconds)."""
    timeout = click.option(
        "--timeout", type=Duration(), default="120s", show_default=True, help="How long --wait waits."
    )
    wait = click.option("--wait", is_flag=True, help="Return when it is done; exit 4 when the time runs out.")
    return wait(timeout(function))
