"""What the engine was last seen to hold of each instance, and what is remembered of its containers. Thread-safe."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

from appliance.agent.memory import Memory
from appliance.engine.container import INSTANCE_LABEL, ROOT_LABEL, container_name
from appliance.engine.engine import ContainerState, Engine, EngineEvent
from appliance.model.moment import seconds_of, text_of_seconds


class Observed:
    """Filled by one listing, then kept by events and by looking after each action.

    `clock` counts seconds; only its differences matter.
    """

    def __init__(self, engine: Engine, root_id: str, clock: Callable[[], float]) -> None:
        self._engine = engine
        self._root_id = root_id
        self._clock = clock
        self._lock = threading.Lock()
        self._containers: dict[str, dict[str, ContainerState]] = {}
        self._versions: dict[str, int] = {}
        """Instance → how often its containers were seen to change."""
        self._stale: set[str] = set()
        self._deaths: dict[str, int] = {}
        self._ending: set[str] = set()
        self._memory: dict[str, Memory] = {}

    def instances(self) -> set[str]:
        with self._lock:
            return set(self._containers)

    def containers(self, instance: str) -> dict[str, ContainerState]:
        """By engine name."""
        with self._lock:
            return dict(self._containers.get(instance, {}))

    def memory(self) -> dict[str, Memory]:
        with self._lock:
            return dict(self._memory)

    def look_at_everything(self) -> set[str]:
        """Returns the instances of which there is or was anything. What changed meanwhile is looked at again later."""
        with self._lock:
            before = dict(self._versions)
        found: dict[str, dict[str, ContainerState]] = {}
        for container in self._engine.list({ROOT_LABEL: self._root_id}):
            found.setdefault(container.labels[INSTANCE_LABEL], {})[container.name] = container
        with self._lock:
            names = {*found, *self._containers}
            for name in names:
                if self._versions.get(name, 0) == before.get(name, 0):
                    self._containers[name] = found.get(name, {})
                else:
                    self._stale.add(name)
            # The engine is back, or new: whatever failed may succeed now.
            self._memory = {name: replace(memory, not_before=0.0) for name, memory in self._memory.items()}
        return names

    def doubt(self, instance: str) -> None:
        """Its containers are listed again at `refresh`."""
        with self._lock:
            self._stale.add(instance)

    def refresh(self, instance: str) -> None:
        with self._lock:
            if instance not in self._stale:
                return
            self._stale.discard(instance)
        try:
            found = self._engine.list({ROOT_LABEL: self._root_id, INSTANCE_LABEL: instance})
        except Exception:
            self.doubt(instance)
            raise
        with self._lock:
            self._containers[instance] = {container.name: container for container in found}

    def look(self, instance: str, name: str) -> None:
        """Remember the container as it is now; once more if it died while we looked."""
        while True:
            with self._lock:
                deaths = self._deaths.get(name, 0)
            found = self._engine.inspect(name)
            with self._lock:
                if deaths != self._deaths.get(name, 0):
                    continue
                self._changed(instance)
                group = self._containers.setdefault(instance, {})
                if found is None:
                    group.pop(name, None)
                else:
                    group[name] = found
                return

    def happened(self, event: EngineEvent) -> float | None:
        """Take an end or a removal; returns how many seconds a container that ended by itself had lasted."""
        instance = event.labels.get(INSTANCE_LABEL, "")
        with self._lock:
            self._deaths[event.name] = self._deaths.get(event.name, 0) + 1
            group = self._containers.get(instance, {})
            known = group.get(event.name)
            if known is None:
                return None
            self._changed(instance)
            if event.action == "destroy":
                del group[event.name]
                return None
            lasted = event.at - seconds_of(known.started_at)
            if lasted <= 0:  # it ended before the start that we know of, or the clock was set back meanwhile
                self._stale.add(instance)
                return None
            finished = text_of_seconds(event.at)
            group[event.name] = replace(known, state="exited", exit_code=event.exit_code, pid=0, finished_at=finished)
            return None if event.name in self._ending else lasted

    @contextlib.contextmanager
    def ending(self, name: str) -> Iterator[None]:
        """Whoever ends a container on purpose says so, lest it be taken for a crash."""
        with self._lock:
            self._ending.add(name)
        try:
            yield
        finally:
            with self._lock:
                self._ending.discard(name)

    def ended(self, name: str, lasted: float, stable_after: float) -> None:
        with self._lock:
            self._memory[name] = self._memory.get(name, Memory()).after_end(self._clock(), lasted, stable_after)

    def refused(self, name: str) -> None:
        with self._lock:
            self._memory[name] = self._memory.get(name, Memory()).after_refusal(self._clock())

    def forgive(self, name: str) -> None:
        """What comes is not held responsible for what failed; the count of restarts stays."""
        with self._lock:
            if name in self._memory:
                self._memory[name] = Memory(restarts=self._memory[name].restarts)

    def settle(self, instance: str) -> None:
        """All is as it should be: what failed of containers that are not there concerns nobody any more."""
        prefix = container_name(self._root_id, instance, "")
        with self._lock:
            there = self._containers.get(instance, {})
            for name in [name for name in self._memory if name.startswith(prefix) and name not in there]:
                del self._memory[name]

    def forget(self, instance: str) -> None:
        """Nothing of it is left."""
        prefix = container_name(self._root_id, instance, "")
        with self._lock:
            self._containers.pop(instance, None)
            self._versions.pop(instance, None)
            for known in (self._memory, self._deaths):
                for name in [name for name in known if name.startswith(prefix)]:
                    del known[name]

    def _changed(self, instance: str) -> None:
        self._versions[instance] = self._versions.get(instance, 0) + 1
