"""What has to hold: looked at all the time while faults happen, and once more after each has ended."""

import threading
import time
from collections.abc import Sequence

from tests.chaos.client import Client, Unanswered
from tests.chaos.faults import Fault
from tests.chaos.history import History
from tests.chaos.world import World
from tests.chaos.writers import Register
from tests.lab.host import CommandFailed, Host
from tests.lab.waiting import eventually

LOOK_EVERY = 1.0
CONVERGED_WITHIN = 150.0
"""Seconds after the end of the faults of one round until all is as it was; the longest is a host's reboot."""
COPIED_WITHIN = 10.0


class Broken(AssertionError):
    """A promise did not hold; the text says which and how."""


class Watcher:
    """A thread that looks whether any instance runs twice."""

    def __init__(self, world: World, history: History) -> None:
        self.broken: list[str] = []
        self._world = world
        self._history = history
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watcher", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ending.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ending.wait(LOOK_EVERY):
            for instance, places in self._world.containers("keep").items():
                if len(places) > 1:
                    self._broke(f"{instance} runs {len(places)} times: {places}")

    def _broke(self, what: str) -> None:
        self._history.write("broken", what=what)
        self.broken.append(what)


class Promises:
    """`registers`: node label → what its writer was told. All `check_*` raise Broken."""

    def __init__(self, world: World, registers: Sequence[Register], history: History) -> None:
        self._world = world
        self._registers = registers
        self._history = history
        self._containers = world.containers("keep")

    def converged(self) -> float:
        """Wait until every manager sees all nodes and instances well, and the engines run them, which managers hear
        a moment later after a reboot; returns the seconds that took. Raises Broken."""
        begun = time.monotonic()
        trouble = ""

        def well() -> bool:
            nonlocal trouble
            trouble = next(filter(None, map(self._trouble_at, self._world.managers)), "") or self._missing()
            return not trouble

        try:
            eventually(well, timeout=CONVERGED_WITHIN, every=0.5)
        except TimeoutError:
            raise Broken(f"not as before {CONVERGED_WITHIN:g} s after the faults: {trouble}") from None
        return time.monotonic() - begun

    def _trouble_at(self, host: Host) -> str:
        try:
            client = self._world.client(host)
            status, rows = client.get("/api/status"), client.get("/api/ps")
        except Unanswered as error:
            return f"{host.name}: {error}"
        if status["cluster"]["state"] != "healthy":
            return f"{host.name}: the cluster is {status['cluster']['state']}: {status}"
        ill = [row["instance"] for row in rows if not row["ready"] and row["kind"] == "deploy"]
        return f"{host.name}: not ready: {ill}" if ill else ""

    def _missing(self) -> str:
        missing = sorted(self._containers.keys() - self._world.containers("keep").keys())
        return f"not running: {missing}" if missing else ""

    def check(self, faults: Sequence[Fault]) -> None:
        """Everything that holds once the cluster is as before. Writers must be paused."""
        self._check_containers(faults)
        self._check_registers()
        self._check_copies()
        self._check_owners()

    def _check_containers(self, faults: Sequence[Fault]) -> None:
        """Containers of hosts that kept their power are the same ones, started when they were."""
        now = self._world.containers("keep")
        off = {fault.target for fault in faults if fault.kind == "power"}
        for instance, places in self._containers.items():
            ((host, *_),) = places
            found = now.get(instance, [])
            if len(found) != 1 or found[0][0] != host or (host not in off and found != places):
                raise Broken(f"{instance} was {places} and is {found}")
        self._containers = now

    def _check_registers(self) -> None:
        for manager in self._world.managers:
            client = self._world.client(manager)
            for register in self._registers:
                lost = register.lost(_value(client, register))
                if lost:
                    raise Broken(f"at {manager.name}: {lost}")

    def _check_copies(self) -> None:
        """Every manager has in memory what its etcd has, and all have the same."""
        for manager in self._world.managers:
            difference = "not compared"

            def same(manager: Host = manager) -> bool:
                nonlocal difference
                difference = self._difference(manager)
                return not difference

            try:
                eventually(same, timeout=COPIED_WITHIN, every=0.5)
            except TimeoutError:
                raise Broken(f"the copy of {manager.name} is not its store: {difference}") from None

    def _difference(self, host: Host) -> str:
        try:
            store, copy = self._world.store(host), self._world.client(host).get("/api/copy")["entries"]
        except (CommandFailed, Unanswered) as error:
            return str(error)
        different = sorted(key for key in store.keys() | copy.keys() if store.get(key) != copy.get(key))
        return f"{len(different)} keys, such as {different[:3]}" if different else ""

    def _check_owners(self) -> None:
        """The cluster's address is with one host, and stays there."""
        try:
            eventually(lambda: len(self._world.vip_owners()) == 1, timeout=3.0)
        except TimeoutError:
            raise Broken(f"the cluster's address is with {self._world.vip_owners()}") from None


def _value(client: Client, register: Register) -> int:
    node, _, label = register.name.partition("/")
    found = client.get(f"/api/nodes/{node}")["labels"].get(label, "0")
    return int(found)
