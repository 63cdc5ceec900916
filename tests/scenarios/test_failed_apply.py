"""An apply that fails, by a command, a hook, a job or readiness: it says so, and the whole service is as it was."""

import re
from typing import Any

import pytest

from tests.lab.cluster import Cluster, engine_of

SERVICE = "trans"
APPLY_LIMIT = 150
FILE = """
service: trans
variables: {tag: "one"}
rollout: {deadline: 20s, tries: 3}
configs:
  app.conf: {path: /etc/app.conf, text: "tag = ${tag}\\n", to: [mid, top]}
  base.conf: {path: /etc/base.conf, text: "base\\n", to: [base]}
deploys:
  base:
    rank: 0
    stop_grace: 1s
    containers:
      main: {image: appliance/busybox, command: [sh, -c, "BASE; sleep 3600"], env: {LAYER: base}}
  mid:
    rank: 1
    stop_grace: 1s
    pre: [{run: [sh, -c, "HOOK"], timeout: 5s}]
    containers:
      main: {image: appliance/busybox, command: [sh, -c, "MID; sleep 3600"], env: {TAG: "${tag}"}}
  top:
    rank: 2
    stop_grace: 1s
    containers:
      main:
        image: appliance/busybox
        command: [sh, -c, "TOP; sleep 3600"]
        env: {TAG: "${tag}"}
        health: {ready: {exec: [sh, -c, "READY"], every: 1s, failures: 1}}
jobs:
  migrate: {type: once, rank: 1, stop_grace: 1s, container: {image: appliance/busybox, command: [sh, -c, "JOB"]}}
"""
FINE = {"BASE": "true", "MID": "true", "TOP": "true", "HOOK": "true", "READY": "true", "JOB": "true"}
FAULTS = {
    "a command that does not run, rank 0": ("BASE", "exit 3", "rank 0"),
    "a pre hook that fails, rank 1": ("HOOK", "exit 4", "rank 1"),
    "a job that fails, rank 1": ("JOB", "exit 5", "rank 1"),
    "readiness that never comes, rank 2": ("READY", "false", "rank 2"),
}


def text(tag: str, **faults: str) -> str:
    made = FILE.replace('{tag: "one"}', f'{{tag: "{tag}"}}')
    for place, command in (FINE | faults).items():
        made = re.sub(rf"\b{place}\b", command, made)
    return made


def seen(cluster: Cluster) -> dict[str, dict[str, Any]]:
    """Instance → what its container is: id, environment, digest of all that it is made of."""
    found = {}
    for row in cluster.ps(SERVICE):
        if row["kind"] != "deploy":
            continue
        [container] = row["containers"]
        inspected = engine_of(cluster.host_of(row["node"])).request("GET", f"/containers/{container['id']}/json")
        found[row["instance"]] = {
            "id": inspected["Id"],
            "env": sorted(inspected["Config"]["Env"]),
            "digest": inspected["Config"]["Labels"]["appliance.digest"],
            "rank": row["rank"],
        }
    return found


def made_of(instance: dict[str, Any]) -> dict[str, Any]:
    return {name: part for name, part in instance.items() if name != "id"}


@pytest.fixture(scope="module")
def complete(one_node: Cluster) -> Cluster:
    one_node.apply(text("one"), timeout=APPLY_LIMIT)
    return one_node


@pytest.mark.parametrize("fault", FAULTS)
def test_a_failure_at_any_rank_takes_the_whole_service_back(complete: Cluster, fault: str) -> None:
    place, command, rank = FAULTS[fault]
    before = seen(complete)
    assert set(before) == {"trans/base-0", "trans/mid-0", "trans/top-0"}
    in_effect = complete.manager.ask("rollout", "status", SERVICE)["in_effect"]
    result = complete.apply(text("two", **{place: command}), "--timeout", "120s", timeout=APPLY_LIMIT, check=False)
    assert result.returncode == 1, result.stderr
    assert f"revision {in_effect} is in effect again" in result.stderr
    assert rank in result.stderr
    after = seen(complete)
    assert {name: made_of(one) for name, one in after.items()} == {name: made_of(one) for name, one in before.items()}
    changed = {"trans/base-0"} if place == "BASE" else set()
    changed |= {name for name, one in before.items() if one["rank"] > 0}
    untouched = set(before) - changed
    assert {name: after[name]["id"] for name in untouched} == {name: before[name]["id"] for name in untouched}
    above = {name for name, one in before.items() if one["rank"] > int(rank[-1])}
    assert {name: after[name]["id"] for name in above} == {name: before[name]["id"] for name in above}


def test_the_failed_revision_is_in_the_history_with_its_reason(complete: Cluster) -> None:
    complete.apply(text("three", HOOK="exit 4"), "--timeout", "120s", timeout=APPLY_LIMIT, check=False)
    newest = complete.manager.ask("history", SERVICE)[-1]
    assert newest["state"] == "failed" and "rank 1" in newest["reason"]


def test_a_change_without_a_fault_reaches_every_rank(complete: Cluster) -> None:
    before = seen(complete)
    complete.apply(text("four"), timeout=APPLY_LIMIT)
    after = seen(complete)
    assert {name for name in before if before[name]["id"] != after[name]["id"]} == {"trans/mid-0", "trans/top-0"}
    assert "TAG=four" in after["trans/top-0"]["env"]


def test_a_stale_index_is_refused_naming_who_was_faster(complete: Cluster) -> None:
    result = complete.apply(text("five"), "--index", "1", check=False)
    assert result.returncode == 3
    assert "root made revision" in result.stderr
