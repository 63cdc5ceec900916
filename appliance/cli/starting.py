"""The steps that `up` and `join` share: check the file, check the host, install, start, wait."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from appliance.cli.preflight import print_findings
from appliance.cli.status import agent_status
from appliance.delivery import launch, preflight
from appliance.delivery.install import install_release, is_installed
from appliance.delivery.journal import record
from appliance.delivery.package import Package
from appliance.delivery.takedown import remember_root
from appliance.errors import Refused, WaitExpired
from appliance.host.clock import time_daemon
from appliance.host.layout import Layout
from appliance.host.lock import only_one
from appliance.model.node import Clock

READY_WITHIN = 150.0
"""Seconds until a start is given up; the work itself goes on."""
_LOOK_AGAIN = 0.1

Seen = dict[str, Any]


def tell(text: str) -> None:
    """A line of progress for people; scripts read stdout only."""
    click.echo(f"{click.style('==>', fg='blue', bold=True)} {text}", err=True)


@contextmanager
def starting(layout: Layout) -> Iterator[None]:
    """Only one `up` or `join` at a time."""
    busy = Refused("Another `up` or `join` is at work on this host.", where=str(layout.run), next="wait until it ends")
    with only_one(layout.run / "starting.lock", busy):
        yield


def check_package(package: Package) -> None:
    """Raises PackageDamaged; nothing has been changed then."""
    tell(f"checking {package.path}")
    package.verify()


def check_host(host: preflight.Host, waived: dict[str, str]) -> None:
    """Raises PreflightRefused; waived checks are written down with their reason."""
    tell("checking this host")
    findings = preflight.examine(host, waived)
    unusual = [finding for finding in findings if finding.outcome != "ok"]
    if unusual and sys.stderr.isatty():
        print_findings(unusual)
    preflight.insist(findings)
    for finding in findings:
        if finding.outcome == "waived":
            record(host.layout, f"preflight check {finding.name} ({finding.found}) {finding.next}")


def clock_of(chosen: Clock | None) -> Clock:
    """Who is to set this host's clock: what a person chose, else whoever does already."""
    if chosen is not None:
        return chosen
    daemon = time_daemon()
    if daemon:
        tell(f"{daemon} keeps this host's clock, so the appliance leaves it alone (--clock ours: it sets it as well)")
    return "host" if daemon else "ours"


def install(layout: Layout, package: Package) -> None:
    """Raises Refused where another release is running: this command does not replace it under its feet."""
    if launch.running(layout) and not is_installed(layout, package.path):
        raise Refused(
            "Another release of the appliance runs on this node.",
            where=str(layout.current),
            why=f"{package.path} is not the file that was installed",
            next="end its processes first (containers go on): appliance stop; then run this again",
        )
    tell(f"installing below {layout.opt}")
    remember_root(layout)
    place = install_release(layout, package.path)
    record(layout, f"installed {place}")


def start(layout: Layout) -> None:
    tell("starting this node's processes")
    launch.start(layout)


def wait_until(layout: Layout, what: str, missing: Callable[[Seen], str]) -> None:
    """Wait until `missing`, given what the agent knows, says that nothing is; raises WaitExpired with what it says."""
    deadline = time.monotonic() + READY_WITHIN
    said = shown = ""
    while left := missing(agent_status(layout) or {}):
        if left != said:
            said = left
            if sys.stderr.isatty():
                shown = f"\r\x1b[K    waiting for {left}"[: os.get_terminal_size(sys.stderr.fileno()).columns]
                click.echo(shown, nl=False, err=True)
            else:
                click.echo(f"    waiting for {left}", err=True)
        if time.monotonic() > deadline:
            raise WaitExpired(
                f"{what} was not ready within {READY_WITHIN:g} s.",
                where=str(layout.logs),
                why=f"still waiting for {left}",
                next="the work goes on; look with `appliance status` and in the logs, then run this again",
                page="troubleshooting",
            )
        time.sleep(_LOOK_AGAIN)
    if shown:
        click.echo("\r\x1b[K", nl=False, err=True)


def instance_trouble(seen: Seen) -> str:
    """The first of the node's sidecars that is not ready, and why; "" when all are."""
    for row in seen.get("instances", []):
        if row["service"] == "system" and not row["ready"]:
            why = f" ({row['message']})" if row["message"] else ""
            return f"{row['deploy']}: {row['state']}{why}"
    return ""


def default_name() -> str:
    """The host's name without its domain, in the form that node names have."""
    name = os.uname().nodename.partition(".")[0].lower()
    kept = "".join(letter if letter.isalnum() and letter.isascii() else "-" for letter in name).strip("-")
    return kept or "node"
