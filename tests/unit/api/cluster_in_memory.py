"""A cluster in memory behind the real API functions, for tests."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import msgspec

from appliance.api.call import Answer, Call, Route
from appliance.api.context import Context
from appliance.api.event_log import EventLog
from appliance.api.server import all_routes
from appliance.api.sessions import SessionBook
from appliance.delivery.backups import Backups, Rehearsal
from appliance.delivery.joining import JoinAnswer, JoinRequest
from appliance.delivery.node_files import write_identity
from appliance.errors import LinkDown, NotPermitted, SpecInvalid
from appliance.errors import Problem as SpecProblem
from appliance.host.files import write_atomic
from appliance.host.layout import Layout
from appliance.link.adoption import Adoption
from appliance.link.clocks import Clocks
from appliance.link.measurements import Measurements
from appliance.link.ways import Ways
from appliance.model.cluster import Cluster, User
from appliance.model.container import Container
from appliance.model.instance import Binding, Instance, InstanceStatus
from appliance.model.manager import Alive
from appliance.model.node import NodeStatus
from appliance.model.service import Deploy, Rollout, Service, ServiceHead
from appliance.orchestrator.managers import Seen, etcd_states
from appliance.security.accounts import hash_password
from appliance.security.ca import make_ca
from appliance.security.sealing import KEY_BYTES, Seal
from appliance.security.secrets import sealed_secret
from appliance.store import keys
from appliance.store.caretaker import Caretaker
from appliance.store.codec import encode
from appliance.store.disk import DiskState
from appliance.store.memory import MemoryStore
from appliance.store.memory_maintenance import MemoryMaintenance
from appliance.store.memory_members import MemoryMembership
from appliance.store.mirror import Mirror
from appliance.store.state import State
from appliance.store.store import Put
from tests.unit.first_manager import FIRST, FIRST_NODE, only_member

MAINTENANCE_QUOTA = 2**30
NOW = "2026-01-01T00:00:00Z"


def read_service(text: str, file: str, variables: dict[str, str]) -> Service:
    """One line, ``SERVICE DEPLOY REPLICAS IMAGE``, or a service as JSON; the real reader has tests of its own."""
    if text.startswith("{"):
        return msgspec.json.decode(text, type=Service)
    words = text.split()
    if len(words) != 4:
        raise SpecInvalid([SpecProblem("four words are needed", "service", file, 1)])
    name, deploy, replicas, image = words
    container = Container(image=variables.get("image", image))
    one = Deploy(name=deploy, replicas=int(replicas), containers={"main": container})
    return Service(name=name, deploys={deploy: one})


class RoomyDisk:
    def look(self) -> DiskState:
        return DiskState(2**40, {})


def refuse_join(request: JoinRequest) -> JoinAnswer:
    raise NotPermitted(f"no token {request.token}")


@dataclass
class InMemory:
    context: Context
    state: State
    routes: list[Route]
    membership: MemoryMembership
    maintenance: MemoryMaintenance

    def ask(self, method: str, path: str, body: object = None, **query: str) -> Any:
        """The data that the API answers with, as it comes over the wire; raises what it raises."""
        import bottle  # type: ignore[import-untyped]

        router = bottle.Router()
        for route in self.routes:
            router.add(route.path, route.method, route)
        route, arguments = router.match({"REQUEST_METHOD": method, "PATH_INFO": path})
        data = b"" if body is None else msgspec.json.encode(body)
        result = route.answer(Call(path=arguments, query=query, body=data, user="root"))
        return msgspec.json.decode(msgspec.json.encode(result.data if isinstance(result, Answer) else result))

    def write(self, *puts: Put) -> None:
        revision = self.context.store.commit(list(puts))
        assert self.state.copy.wait_for(revision, 5)

    def apply(self, spec: Service | str, **more: object) -> dict[str, Any]:
        text = spec if isinstance(spec, str) else msgspec.json.encode(spec).decode()
        answer: dict[str, Any] = self.ask("POST", "/api/services", {"text": text, "file": "shop.yaml", **more})
        return answer

    def head(self, service: str) -> ServiceHead:
        return self.state.services.all()[service]

    def set_secret(self, service: str, name: str, version: int = 1, text: str = "x") -> None:
        secret = sealed_secret(self.context.seal, service, name, version, text, "root", NOW)
        self.write(self.state.secrets.put(keys.secret_name(service, name, version), secret))

    def roll_out(
        self, service: str, state: Literal["running", "paused", "done", "failed"], previous: int = 0, reason: str = ""
    ) -> None:
        """Record, as the orchestrator does, how far the newest revision is."""
        number = self.head(service).revision
        found = Rollout(service=service, revision=number, state=state, previous=previous, reason=reason)
        self.write(self.state.rollouts.put(service, found))

    def run(
        self,
        instance: str,
        *,
        revision: int = 1,
        node: str = "n1",
        ready: bool = True,
        restart: int = 0,
        generation: int = 0,
    ) -> None:
        """Do what orchestrator, scheduler and node do until the instance runs."""
        service, _, rest = instance.partition("/")
        deploy, _, index = rest.rpartition("-")
        wish = Instance(name=instance, service=service, deploy=deploy, index=int(index), revision=revision)
        seen = InstanceStatus(
            instance=instance,
            node=node,
            state="running",
            ready=ready,
            revision=revision,
            restart=restart,
            generation=generation,
        )
        self.write(
            self.state.instances.put(instance, wish),
            self.state.bindings.put(instance, Binding(instance=instance, node=node, ip="10.0.1.2", bound_at=NOW)),
            self.state.instance_status.put(instance, seen),
        )


def manager_layout(folder: Path) -> Layout:
    """With what a manager has on its disk, as far as backups are made of it."""
    layout = Layout(folder)
    write_atomic(layout.seal_key, bytes(KEY_BYTES))
    write_identity(layout, FIRST)
    return layout


@contextmanager
def in_memory() -> Iterator[InMemory]:
    """One node ``one`` (manager), the user admin with password ``secret``."""
    store = MemoryStore(lambda: 0.0)
    mirror = Mirror(store, keys.ROOT)
    mirror.start()
    state = State(mirror)
    folder = TemporaryDirectory()
    events = EventLog(mirror, state, Path(folder.name) / "events.jsonl")
    events.start()
    maintenance = MemoryMaintenance()
    membership = only_member()

    def look() -> Seen:
        return Seen(membership.list(), membership.troubles(membership.list()))

    context = Context(
        state=state,
        store=store,
        version="0.1.0",
        ca_pem=make_ca("test", 1_767_225_600.0).certificate.decode,
        leader=lambda: "n1",
        bundle_images=frozenset({"appliance/busybox:0.1.0"}),
        join=refuse_join,
        sessions=SessionBook(state, store, lambda: 0.0),
        seal=Seal(bytes(KEY_BYTES)),
        measurements=Measurements(state, lambda: 0.0),
        clocks=Clocks(lambda node, text, warns: None),
        ways=Ways(lambda node, text, warns: None, lambda node: True),
        probe=lambda requests: {node: LinkDown("The node is not connected to this manager.") for node in requests},
        events=events,
        adoption=Adoption(state, store, lambda: None, lambda: None),
        backups=Backups(state, store, manager_layout(Path(folder.name)), FIRST, lambda path: Rehearsal("restorable")),
        caretaker=Caretaker(
            store, maintenance, RoomyDisk(), MAINTENANCE_QUOTA, lambda: None, lambda text, warns: None, lambda: 0.0
        ),
        clock=lambda: 1_767_225_600.0,
        members=look,
        etcd_states=lambda: etcd_states(state.nodes.all(), look()),
        read_service=read_service,
    )
    cluster = InMemory(context, state, all_routes(context), membership, maintenance)
    made = Cluster(
        id="c1",
        name="test",
        url="https://10.0.0.1:8443",
        network="10.0.0.0/16",
        ca_fingerprint="0" * 64,
        created_at=NOW,
    )
    admin = User(name="admin", password=hash_password("secret"), created_at=NOW)
    cluster.write(
        Put(keys.CLUSTER, encode(made)),
        state.nodes.put("n1", FIRST_NODE),
        state.node_status.put("n1", NodeStatus(id="n1", state="ready", since=NOW)),
        state.alive.put("n1", Alive(id="n1", run="r")),
        state.users.put("admin", admin),
    )
    try:
        yield cluster
    finally:
        mirror.stop()
        events.stop()
        store.close()
        folder.cleanup()
