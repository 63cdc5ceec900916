"""`kill -9` of `up` and `join` at random moments: running the same command again ends in a healthy node.

SCENARIO_SEED repeats a run; SCENARIO_KILLS sets how many moments are tried (half on `up`, half on `join`).
"""

import os
import random
import subprocess
import time

import pytest

from tests.lab.cluster import UP_LIMIT, Cluster, up_arguments
from tests.lab.host import Host
from tests.lab.lab import Lab
from tests.lab.waiting import eventually

SEED = int(os.environ.get("SCENARIO_SEED", random.randrange(1_000_000)))
KILLS = int(os.environ.get("SCENARIO_KILLS", "20"))


def killed_after(host: Host, seconds: float, *command: str) -> bool:
    """Start the command, SIGKILL it after so many seconds; whether it was still at work then."""
    process = host.spawn(*host.command(*command))
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(timeout=10)
        return True
    return False


@pytest.fixture(scope="module")
def moments() -> random.Random:
    print(f"SCENARIO_SEED={SEED}")
    return random.Random(SEED)


@pytest.fixture(scope="module")
def up_seconds(one_node: Cluster, lab: Lab) -> float:
    """How long an undisturbed warm `up` takes here."""
    host = lab.host("timed")
    begun = time.monotonic()
    host.appliance(*up_arguments(host), timeout=UP_LIMIT)
    lab.remove(host)
    return time.monotonic() - begun


@pytest.mark.parametrize("attempt", range(KILLS // 2))
def test_up_finishes_after_a_kill(lab: Lab, up_seconds: float, moments: random.Random, attempt: int) -> None:
    host = lab.host(f"up{attempt}")
    moment = moments.uniform(0, up_seconds)
    print(f"up killed after {moment:.2f} s of {up_seconds:.2f} s (SCENARIO_SEED={SEED})")
    up = up_arguments(host)
    killed_after(host, moment, *up)
    host.appliance(*up, timeout=UP_LIMIT)
    status = host.ask("status")
    assert (status["cluster"]["state"], [node["state"] for node in status["nodes"]]) == ("healthy", ["ready"])
    lab.remove(host)


@pytest.mark.parametrize("attempt", range(KILLS - KILLS // 2))
def test_join_finishes_after_a_kill(one_node: Cluster, moments: random.Random, attempt: int) -> None:
    host = one_node.lab.host(f"join{attempt}")
    join = one_node.join_arguments(host)
    moment = moments.uniform(0, 8)
    print(f"join killed after {moment:.2f} s (SCENARIO_SEED={SEED})")
    killed_after(host, moment, *join)
    host.appliance(*join, timeout=UP_LIMIT)
    eventually(lambda: one_node.node_state(host) == "ready", timeout=60)
    one_node.lab.remove(host)
