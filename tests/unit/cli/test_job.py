"""How commands put jobs and their runs into lines."""

import pytest

from appliance.cli.job import _print_jobs, _print_runs, _progress, _split
from appliance.errors import UsageError


def run(**more: object) -> dict[str, object]:
    base: dict[str, object] = {"run": "shop/report/7", "number": 7, "reason": "hand", "created_at": "", "due": ""}
    ended = {"started_at": "", "finished_at": "", "exit_code": None, "outcome": "", "tries": 0, "message": ""}
    return base | ended | {"instances": ["shop/report-6"], "ordinal": 1} | more


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({}, "run 7 waiting to start"),
        ({"started_at": "2026-11-25T09:00:00Z", "tries": 1}, "run 7 running"),
        ({"started_at": "2026-11-25T09:00:00Z", "tries": 3, "exit_code": 1}, "run 7 running, try 3"),
        ({"outcome": "failed", "tries": 7, "exit_code": 1}, "run 7 failed, exit code 1"),
        ({"outcome": "skipped"}, "run 7 skipped"),
    ],
)
def test_the_progress_of_a_run(fields: dict[str, object], line: str) -> None:
    assert _progress(run(**fields), retries=6) == line


def test_the_table_shows_the_last_run_that_was_not_skipped(capsys: pytest.CaptureFixture[str]) -> None:
    runs = [run(outcome="failed", exit_code=3, created_at="2026-11-25T09:00:00Z"), run(outcome="skipped")]
    job = {"job": "shop/report", "type": "normal", "state": "failed", "schedule": "0 3 * * *", "zone": "UTC"}
    _print_jobs([job | {"next": "", "runs": runs}, job | {"schedule": "", "next": "", "runs": []}])
    heading, first, second = capsys.readouterr().out.splitlines()
    assert heading.split() == ["JOB", "TYPE", "STATE", "SCHEDULE", "NEXT", "LAST", "RUN", "EXIT"]
    assert "0 3 * * * (UTC)" in first
    assert first.endswith("3")
    assert second.split() == ["shop/report", "normal", "failed"]


def test_every_run_has_a_line_with_its_reason_and_message(capsys: pytest.CaptureFixture[str]) -> None:
    _print_runs([{"runs": [run(), run(outcome="skipped", message="Run 6 had not ended.")]}])
    _, first, second = capsys.readouterr().out.splitlines()
    assert first.split()[:3] == ["shop/report/7", "running", "hand"]
    assert second.endswith("Run 6 had not ended.")


@pytest.mark.parametrize("name", ["shop", "shop/", "/report", "shop/report/7"])
def test_a_job_is_named_with_its_service(name: str) -> None:
    with pytest.raises(UsageError):
        _split(name)
