"""After a restore: managers listen and order nothing until it is known that nothing that runs would have to end.

The state of a backup is older than what runs. Ordering nodes by it at once would remove, move or remake what came
since. So the restored cluster is *held* (`Cluster.held`): nobody decides, and nodes are told nothing of what they have
to run; they go on by themselves, as they do without any manager. It ends by itself once every node has been heard and
runs nothing that the restored state has otherwise; else a person has to agree, who is shown what would happen.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from functools import partial

import msgspec

from appliance.errors import Unavailable
from appliance.link.messages import Picture
from appliance.link.telling import Outlet
from appliance.loop import Loop
from appliance.model.cluster import SYSTEM_SERVICE
from appliance.model.instance import Binding, Instance, InstanceStatus
from appliance.model.node import NodeSpec
from appliance.store import keys
from appliance.store.state import State
from appliance.store.store import Expect, Store

log = logging.getLogger(__name__)

UP = ("running", "starting", "backoff", "stopping")


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """An instance that runs and would not go on as it does. `node` is a name, `would` half a sentence."""

    instance: str
    node: str
    would: str


class Adoption:
    """A component; `hello`, `report` and `gone` are the link's callbacks. `term` as in Election.

    `release` is called when the hold has ended: whoever decides or tells has to look again.
    """

    name = "adoption"

    def __init__(
        self, state: State, store: Store, term: Callable[[], Expect | None], release: Callable[[], None]
    ) -> None:
        self._state = state
        self._store = store
        self._term = term
        self._release = release
        self._lock = threading.Lock()
        self._seen: dict[str, dict[str, InstanceStatus]] = {}
        self._was_held = False
        self._loop = Loop(self.name, self.cycle)

    def start(self) -> None:
        self._was_held = self.held()
        self._loop.follow(partial(self._state.copy.subscribe, keys.CLUSTER))
        self._loop.start()

    def stop(self) -> None:
        self._loop.stop()

    def wake(self) -> None:
        """Call it when this manager begins to lead."""
        self._loop.wake()

    def held(self) -> bool:
        cluster = self._state.cluster()
        return cluster is not None and cluster.held

    def term(self) -> Expect | None:
        """The condition under which a leader decides; None while nobody is to."""
        return None if self.held() else self._term()

    def hello(self, node_id: str, statuses: Iterable[InstanceStatus]) -> None:
        """Everything that a node runs."""
        with self._lock:
            self._seen[node_id] = {}
        self.report(node_id, statuses)

    def report(self, node_id: str, statuses: Iterable[InstanceStatus]) -> None:
        """What has changed on it since. What is seen is kept only as long as it matters."""
        if self.held():
            with self._lock:
                self._seen.setdefault(node_id, {}).update({status.instance: status for status in statuses})
            self._loop.wake()

    def cycle(self) -> None:
        """End the hold where nothing speaks against it; tell the others once it has ended."""
        held = self.held()
        if held and self._term() is not None and not self.unheard() and not self.differences():
            log.info("nothing that runs differs from the restored state: it is adopted")
            self.adopt()
            return
        if self._was_held and not held:
            self._release()
            with self._lock:
                self._seen.clear()
        self._was_held = held

    def unheard(self) -> list[str]:
        """Names of nodes of the restored state that have not been heard since."""
        with self._lock:
            seen = set(self._seen)
        nodes = self._state.nodes.all().values()
        return sorted(node.name for node in nodes if node.id not in seen and not node.evicted)

    def differences(self) -> list[Difference]:
        with self._lock:
            seen = {node: dict(statuses) for node, statuses in self._seen.items()}
        state = self._state
        return differences(state.instances.all(), state.bindings.all(), state.nodes.all(), seen)

    def adopt(self) -> None:
        """From now on the restored state holds. Raises Conflict, Unavailable."""
        cell = self._state.cluster_cell
        expect, cluster = cell.unchanged(), cell.get()
        if cluster is None:
            raise Unavailable("The cluster is still being set up.", next="try again in a moment")
        if cluster.held:
            self._store.commit([cell.put(msgspec.structs.replace(cluster, held=False))], [expect])


class Hold:
    """An Outlet that nobody follows while the cluster is held."""

    def __init__(self, outlet: Outlet, held: Callable[[], bool]) -> None:
        self._outlet = outlet
        self._held = held

    def send(self, node_id: str, message: Picture) -> None:
        self._outlet.send(node_id, message)

    def followers(self) -> set[str]:
        return set() if self._held() else self._outlet.followers()


def differences(
    instances: Mapping[str, Instance],
    bindings: Mapping[str, Binding],
    nodes: Mapping[str, NodeSpec],
    seen: Mapping[str, Mapping[str, InstanceStatus]],
) -> list[Difference]:
    """What runs (by node and instance) and would end, move or be made anew by the state that was restored. Pure."""
    names = {node.id: node.name for node in nodes.values()}
    found = []
    for node_id, statuses in sorted(seen.items()):
        for name, status in sorted(statuses.items()):
            would = _would(instances.get(name), bindings.get(name), names, status) if _runs(status) else ""
            if would:
                found.append(Difference(instance=name, node=names.get(node_id, node_id), would=would))
    return found


def _runs(status: InstanceStatus) -> bool:
    return not status.instance.startswith(f"{SYSTEM_SERVICE}/") and (
        status.state in UP or any(container.state == "running" for container in status.containers)
    )


def _would(instance: Instance | None, binding: Binding | None, names: Mapping[str, str], status: InstanceStatus) -> str:
    if instance is None or binding is None:
        return "be removed: it was not there then"
    if binding.node != status.node:
        return f"be moved to {names.get(binding.node, binding.node)}, where it was then"
    if instance.desired != "running":
        return "be stopped, as it was then"
    if instance.revision != status.revision:
        return f"be made anew by revision {instance.revision}; it runs {status.revision}"
    if (instance.restart, instance.generation) != (status.restart, status.generation):
        return "be restarted: somebody has restarted it since"
    return ""
