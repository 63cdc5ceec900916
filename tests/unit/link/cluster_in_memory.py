"""A manager's copy of a store in memory, with nodes and instances bound to them."""

from collections.abc import Callable, Sequence

import msgspec

from appliance.link.messages import Picture
from appliance.model.container import Container
from appliance.model.instance import Binding, Instance, InstanceState, InstanceStatus
from appliance.model.node import NodeFacts, NodeSpec, NodeState, NodeStatus
from appliance.model.service import Deploy, Revision, Service
from appliance.model.stamp import Stamp
from appliance.store import keys
from appliance.store.codec import encode
from appliance.store.memory import MemoryStore
from appliance.store.mirror import Mirror
from appliance.store.state import State
from appliance.store.store import Delete, Expect, Put

FACTS = NodeFacts(version="1", architecture="x86_64", cpu=1, memory=1, kernel="6", engine="docker", boot_id="b")
NOW = "2026-01-01T00:00:00Z"


class MeddledStore(MemoryStore):
    """Right before the next commit, `before` happens."""

    before: Callable[[], object] | None = None

    def commit(self, operations: Sequence[Put | Delete], expect: Sequence[Expect] = ()) -> int:
        if self.before is not None:
            before, self.before = self.before, None
            before()
        return super().commit(operations, expect)


class ClusterInMemory:
    """Nodes `n1` to `nN` and the first revision of the service ``s``, whose deploy ``web`` has the image ``a:1``."""

    def __init__(self, nodes: int) -> None:
        self.store = MeddledStore(lambda: 0.0)
        self.mirror = Mirror(self.store, keys.ROOT)
        self.state = State(self.mirror)
        self.mirror.start()
        web = Deploy(name="web", replicas=1, containers={"main": Container(image="a:1")})
        spec = Service(name="s", deploys={"web": web})
        revision = Revision(service="s", number=1, spec=spec, author="me", created_at=NOW)
        self.commit(Put(keys.revision_key("s", 1), encode(revision)))
        for number in range(1, nodes + 1):
            node = NodeSpec(id=f"n{number}", name=f"n{number}", number=number, address=f"192.0.2.{number}")
            self.commit(self.state.nodes.put(node.id, node))

    def commit(self, *operations: Put | Delete) -> None:
        """Also wait until the copy has it."""
        assert self.mirror.wait_for(self.store.commit(operations), 5)

    def bind(self, instance: str, node: str, ip: str = "10.42.1.2") -> None:
        binding = Binding(instance=instance, node=node, ip=ip, bound_at=NOW)
        wish = Instance(name=instance, service="s", deploy="web", index=int(instance.rpartition("-")[2]), revision=1)
        self.commit(self.state.bindings.put(instance, binding), self.state.instances.put(instance, wish))

    def forget(self, instance: str) -> None:
        self.commit(self.state.bindings.delete(instance), self.state.instances.delete(instance))

    def label(self, node: str, **labels: str) -> None:
        known = self.state.nodes.get(node)
        assert known
        self.commit(self.state.nodes.put(node, msgspec.structs.replace(known, labels=labels)))

    def set_node(self, node: str, state: NodeState, vtep_mac: str = "") -> None:
        status = NodeStatus(id=node, state=state, since=NOW, facts=FACTS, vtep_mac=vtep_mac)
        self.commit(self.state.node_status.put(node, status))

    def node_states(self) -> dict[str, str]:
        return {name: status.state for name, status in self.state.node_status.all().items()}


def seen(instance: str, node: str, state: InstanceState = "running") -> InstanceStatus:
    return InstanceStatus(instance=instance, node=node, state=state, ip="10.42.1.2", since=NOW)


def unstamped(message: Picture) -> Picture:
    """What it says, however new it is."""
    return msgspec.structs.replace(message, stamp=Stamp())
