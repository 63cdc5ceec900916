"""Ends of containers that the engine was not told of, because its containerd was away at that moment.

containerd's shim tells an end a few times and gives up; dockerd then says for ever that the container runs. Asked to
stop it, dockerd finds no process and, ten seconds later, makes up for the end (moby, daemon/kill.go).
"""

import logging
from collections.abc import Callable

from appliance.agent.observed import Observed
from appliance.engine.engine import Engine
from appliance.loop import Loop

log = logging.getLogger(__name__)

LOOK_AGAIN = 5.0
"""Seconds. What is missing at two looks in a row has ended: an end that is told comes sooner."""


class UnheardEnds:
    """A component. `cgroup_of`: the text of a process's /proc/PID/cgroup (cgroups(7)), "" : there is no process."""

    name = "unheard ends"

    def __init__(self, engine: Engine, observed: Observed, cgroup_of: Callable[[int], str]) -> None:
        self._engine = engine
        self._observed = observed
        self._cgroup_of = cgroup_of
        self._missing: set[tuple[str, int]] = set()
        self._loop = Loop(self.name, self.cycle, interval=LOOK_AGAIN, longest_backoff=LOOK_AGAIN)

    def start(self) -> None:
        self._loop.start()

    def stop(self) -> None:
        self._loop.stop(wait=False)  # the engine may take its time to answer

    def cycle(self) -> None:
        """Raises EngineError, EngineUnavailable."""
        before, self._missing = self._missing, self._running_without_process()
        for name, pid in before & self._missing:
            known = self._engine.inspect(name)
            if known is not None and known.state == "running" and known.pid == pid:
                log.warning("%s: the engine says that it runs, and its process is gone; stopping it", name)
                self._engine.stop(name, 0)

    def _running_without_process(self) -> set[tuple[str, int]]:
        """Empty where no container's process can be seen at all: the engine may count processes differently."""
        everything = (each for one in self._observed.instances() for each in self._observed.containers(one).values())
        found = [(each, self._cgroup_of(each.pid)) for each in everything if each.state == "running"]
        if not any(each.id in cgroup for each, cgroup in found):
            return set()
        return {(each.name, each.pid) for each, cgroup in found if not cgroup}
