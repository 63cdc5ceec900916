"""`appliance job ...`: runs of jobs."""

import os
import sys
import time
from pathlib import Path
from typing import Any

import click

from appliance.cli.client import Client
from appliance.cli.node_options import root_option
from appliance.cli.output import Format, format_option, show, show_table
from appliance.cli.times import local_time
from appliance.cli.wait_options import wait_options
from appliance.errors import ApplianceError, UsageError, WaitExpired

_COLOURS = {"running": "green", "failed": "red", "unknown": "red", "cancelled": "yellow", "skipped": "yellow"}


@click.group("job")
def command() -> None:
    """List, run, retry and cancel the jobs of services."""


@command.command("ls")
@click.argument("service", default="")
@format_option
@root_option
def list_jobs(service: str, output: Format, root: Path) -> None:
    """List the jobs of SERVICE with their runs, or all jobs with the last run of each."""
    rows = Client(root).get("jobs", **({"service": service} if service else {}))
    if output != "table":
        show(rows, output)
        return
    _print_jobs(rows)
    if service and any(row["runs"] for row in rows):
        click.echo()
        _print_runs(rows)


@command.command("run")
@click.argument("job", metavar="SERVICE/JOB")
@wait_options
@format_option
@root_option
def run(job: str, wait: bool, timeout: float, output: Format, root: Path) -> None:
    """Run a job once more, now."""
    _ask(root, job, wait=wait, timeout=timeout, output=output, retry=False)


@command.command("retry")
@click.argument("job", metavar="SERVICE/JOB")
@wait_options
@format_option
@root_option
def retry(job: str, wait: bool, timeout: float, output: Format, root: Path) -> None:
    """Run a job again whose last run failed, was cancelled or ended nobody knows how."""
    _ask(root, job, wait=wait, timeout=timeout, output=output, retry=True)


@command.command("cancel")
@click.argument("job", metavar="SERVICE/JOB")
@click.option("--run", "number", type=click.IntRange(min=1), help="Only this run (default: all that have not ended).")
@format_option
@root_option
def cancel(job: str, number: int | None, output: Format, root: Path) -> None:
    """Stop runs that have not ended."""
    service, name = _split(job)
    result = Client(root).post("jobs", service, name, "cancel", body={"run": number})
    if output != "table":
        show(result, output)
        return
    for each in result["runs"]:
        click.echo(f"{job}: run {each} is being cancelled")


def _ask(root: Path, job: str, *, wait: bool, timeout: float, output: Format, retry: bool) -> None:
    service, name = _split(job)
    client = Client(root)
    result = client.post("jobs", service, name, "run", body={"retry": retry})
    found = _wait(client, job, result["ordinal"], timeout) if wait else None
    if output != "table":
        show(found or result, output)
    elif found is None:
        click.echo(f"{job}: a run was asked for; see: appliance job ls {service}")
    if found is not None and found["outcome"] != "succeeded":
        raise ApplianceError(
            f"Run {found['number']} of {job}: {found['outcome']}.",
            why=found["message"],
            next=f"see what it wrote: appliance logs {found['instances'][0]}" if found["instances"] else "",
            page="jobs",
        )


def _wait(client: Client, job: str, ordinal: int, timeout: float) -> dict[str, Any]:
    """Follow the run that answers this wish until it has ended; raises WaitExpired."""
    deadline = time.monotonic() + timeout
    seen, said = "", ""
    while True:
        left = max(0.0, deadline - time.monotonic())
        found = client.get("jobs", *_split(job), seen=seen, timeout=f"{min(left, 25.0):.3f}")
        seen = found["tag"]
        runs = [each for each in found["runs"] if each["ordinal"] == ordinal]
        line = f"{job}: {_progress(runs[0], found['retries']) if runs else 'about to begin'}"
        if line != said:
            _tell(line, last=bool(runs and runs[0]["outcome"]))
            said = line
        if runs and runs[0]["outcome"]:
            ended: dict[str, Any] = runs[0]
            return ended
        if left <= 0:
            raise WaitExpired(
                f"{job} has not ended within {timeout:g} s.",
                next=f"it goes on; see: appliance job ls {job.partition('/')[0]}",
            )


def _progress(run: dict[str, Any], retries: int) -> str:
    state = run["outcome"] or ("running" if run["started_at"] else "waiting to start")
    tries = f", try {run['tries']}" if run["tries"] > len(run["instances"]) and retries and not run["outcome"] else ""
    code = "" if run["exit_code"] is None else f", exit code {run['exit_code']}"
    return f"run {run['number']} {state}{tries}{code if run['outcome'] else ''}"


def _tell(line: str, *, last: bool) -> None:
    """On stderr: one line that changes on a terminal, plain lines elsewhere."""
    if sys.stderr.isatty():
        width = os.get_terminal_size(sys.stderr.fileno()).columns
        click.echo(f"\r\x1b[K{line[: width - 1]}", nl=last, err=True)
    else:
        click.echo(line, err=True)


def _print_jobs(rows: list[dict[str, Any]]) -> None:
    headings = ["JOB", "TYPE", "STATE", "SCHEDULE", "NEXT", "LAST RUN", "EXIT"]
    cells = [
        [
            row["job"],
            row["type"],
            _coloured(row["state"]),
            f"{row['schedule']} ({row['zone']})" if row["schedule"] else "",
            local_time(row["next"]),
            local_time(last["started_at"] or last["created_at"]) if last else "",
            _code(last) if last else "",
        ]
        for row in rows
        for last in [next((each for each in reversed(row["runs"]) if each["outcome"] != "skipped"), None)]
    ]
    show_table(headings, cells, empty="There are no jobs.")


def _print_runs(rows: list[dict[str, Any]]) -> None:
    headings = ["RUN", "OUTCOME", "WHY", "STARTED", "ENDED", "TRIES", "EXIT", "INSTANCES", "MESSAGE"]
    cells = [
        [
            run["run"],
            _coloured(run["outcome"] or "running"),
            run["reason"],
            local_time(run["started_at"]),
            local_time(run["finished_at"]),
            str(run["tries"]),
            _code(run),
            ", ".join(run["instances"]),
            run["message"],
        ]
        for row in rows
        for run in row["runs"]
    ]
    show_table(headings, cells)


def _coloured(state: str) -> str:
    return click.style(state, fg=_COLOURS.get(state))


def _code(run: dict[str, Any]) -> str:
    return "" if run["exit_code"] is None else str(run["exit_code"])


def _split(job: str) -> tuple[str, str]:
    service, slash, name = job.partition("/")
    if not slash or not service or not name or "/" in name:
        raise UsageError(f"{job!r} is not SERVICE/JOB.", next="for example: shop/report; see: appliance job ls")
    return service, name
