"""`build.py test` and `build.py bench`: everything runs under the Python and the wheels that the product ships."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from bundle.runtime import Workshop
from bundle.wheels import test_environment
from bundle.workshop import CHECKOUT, cache_root, say, step

QUICK = ("tests/unit", "tests/contract")
CORES = os.cpu_count() or 1
WORKERS = min(6, 2 * CORES)
"""Test files that run at the same time. More than cores, because scenarios wait more than they compute."""


def check(workshop: Workshop, package: Path, arguments: Sequence[str], workers: int) -> int:
    """Linter, formatter, types, then the tests. Returns the first exit status that is not 0, and goes no further.

    `arguments` are for one run of pytest, which then does just what they say; without any, all tests run as `parts`
    has it.
    """
    with step("test environment"):
        environment = test_environment(workshop)
    ruff = [str(environment / "bin" / "ruff")]
    python = [str(workshop.python), "-s"]
    pytest = [*python, "-m", "pytest", "-q", "--hypothesis-profile=ci"]
    runs = {"pytest": list(arguments)} if arguments else parts(workers)
    for name, command in (
        ("ruff check", [*ruff, "check", "."]),
        ("ruff format", [*ruff, "format", "--check", "."]),
        ("mypy --strict", [*python, "-m", "mypy"]),
        *((name, [*pytest, *words]) for name, words in runs.items()),
    ):
        say(f"== {name}")
        status = _run(workshop, environment, package, command)
        if status != 0:
            return status
    return 0


def parts(workers: int) -> dict[str, list[str]]:
    """pytest's arguments for each part of a whole run, in order: what fails quickly comes first.

    Tests of one file stay together and in their order; they share a cluster, or tell one story. Those of scenarios
    begin in the order in which they are collected.
    """
    others = ["tests", *(f"--ignore={folder}" for folder in QUICK), "--no-loadscope-reorder"]
    return {
        "pytest, unit and contract": [*QUICK, *_at_a_time(workers)],
        "pytest, scenarios": [*others, "-m", "not timed and not alone", *_at_a_time(workers)],
        "pytest, scenarios that promise seconds": [*others, "-m", "timed", *_at_a_time(min(workers, CORES))],
        "pytest, scenarios that run alone": [*others, "-m", "alone"],
    }


def _at_a_time(files: int) -> list[str]:
    return [f"--numprocesses={files}", "--dist=loadfile"]


def bench(workshop: Workshop, package: Path, arguments: Sequence[str]) -> int:
    """Run the measurements of tests/bench."""
    with step("test environment"):
        environment = test_environment(workshop)
    command = [str(workshop.python), "-s", "-m", "tests.bench", *arguments]
    return _run(workshop, environment, package, command)


def _run(workshop: Workshop, environment: Path, package: Path, command: Sequence[str]) -> int:
    settings = workshop.environment(
        [environment],
        APPLIANCE_PACKAGE=os.environ.get("APPLIANCE_PACKAGE", str(package)),
        HYPOTHESIS_STORAGE_DIRECTORY=str(cache_root() / "hypothesis"),
    )
    settings["PATH"] = os.pathsep.join([str(workshop.python.parent), settings.get("PATH", ""), "/usr/sbin", "/sbin"])
    return subprocess.run(command, cwd=CHECKOUT, env=settings).returncode
