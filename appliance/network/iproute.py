"""The programs of iproute2: what they list, as data, and their commands, many in one call."""

import json
import subprocess
from typing import Any

from appliance.errors import ApplianceError

_TIMEOUT = 20.0


def listed(program: str, *words: str) -> list[dict[str, Any]]:
    """What a `show` command lists (`-json`). Raises ApplianceError."""
    text = _run([program, "-json", *words], "")
    return [entry for entry in json.loads(text or "[]") if entry]


def batch(program: str, commands: list[str]) -> None:
    """Do the commands in order (`-batch`), stopping at the first that fails. Raises ApplianceError."""
    if commands:
        _run([program, "-batch", "-"], "\n".join(commands) + "\n")


def _run(command: list[str], given: str) -> str:
    try:
        done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=_TIMEOUT)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ApplianceError("The host's network cannot be set up.", where=command[0], why=str(error)) from error
    if done.returncode:
        raise ApplianceError(
            "The kernel refused a part of the overlay's network.",
            where=" ".join(command),
            why=" ".join((done.stderr or done.stdout).split()),
            next="see that the kernel has vxlan (modprobe vxlan)" if "not supported" in done.stderr else "",
        )
    return done.stdout
