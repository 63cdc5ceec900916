"""A few faults in every run; `python -m tests.chaos` makes as many as one has time for."""

import os
from pathlib import Path

import pytest

from tests.chaos.run import chaos

pytestmark = pytest.mark.timed  # five hosts, all of them at work


def test_what_was_promised_holds_while_things_break(
    package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seed, faults = int(os.environ.get("CHAOS_SEED", "7")), int(os.environ.get("CHAOS_FAULTS", "8"))
    happened: list[str] = []
    summary = chaos(
        package,
        seed=seed,
        faults=faults,
        managers=3,
        agents=2,
        log=tmp_path / "history.jsonl",
        tell=happened.append,
    )
    with capsys.disabled():
        print("", *summary.lines(), sep="\n")
    assert not summary.broken, f"{summary.broken}; history and logs: {tmp_path}; faults: {happened}"
    assert summary.faults.total() >= faults
    assert summary.writes["done"] > 0
