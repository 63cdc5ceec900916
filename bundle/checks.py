"""`build.py test` and `build.py bench`: everything runs under the Python and the wheels that the product ships."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from bundle.runtime import Workshop
from bundle.wheels import test_environment
from bundle.workshop import CHECKOUT, say, step


def check(workshop: Workshop, package: Path, arguments: Sequence[str]) -> int:
    """Linter, formatter, types, then pytest with `arguments`. Returns the first exit status that is not 0."""
    with step("test environment"):
        environment = test_environment(workshop)
    ruff = [str(environment / "bin" / "ruff")]
    python = [str(workshop.python), "-s"]
    for name, command in (
        ("ruff check", [*ruff, "check", "."]),
        ("ruff format", [*ruff, "format", "--check", "."]),
        ("mypy --strict", [*python, "-m", "mypy"]),
        ("pytest", [*python, "-m", "pytest", "-q", *arguments]),
    ):
        say(f"== {name}")
        status = _run(workshop, environment, package, command)
        if status != 0:
            return status
    return 0


def bench(workshop: Workshop, package: Path, arguments: Sequence[str]) -> int:
    """Run the measurements of tests/bench."""
    with step("test environment"):
        environment = test_environment(workshop)
    command = [str(workshop.python), "-s", "-m", "tests.bench", *arguments]
    return _run(workshop, environment, package, command)


def _run(workshop: Workshop, environment: Path, package: Path, command: Sequence[str]) -> int:
    settings = workshop.environment([environment], APPLIANCE_PACKAGE=str(package))
    settings["PATH"] = os.pathsep.join([str(workshop.python.parent), settings.get("PATH", ""), "/usr/sbin", "/sbin"])
    return subprocess.run(command, cwd=CHECKOUT, env=settings).returncode
