"""What managers may open on this node: commands in containers, their logs, and measurements of the overlay."""

from collections.abc import Callable

from appliance.agent.assignments import AssignmentBook
from appliance.engine.container import container_name
from appliance.engine.engine import Engine, ExecSession, LogStream
from appliance.engine.hook import one_shots
from appliance.errors import NotFound
from appliance.link.messages import ExecRequest, LogsRequest, ProbeRequest
from appliance.model.measurement import Measurement
from appliance.model.node import Peer


class NodeChannels:
    """Fulfils the link's `Channels`. Only containers of this node's own instances can be reached."""

    def __init__(
        self,
        engine: Engine,
        book: AssignmentBook,
        root_id: str,
        measure: Callable[[tuple[Peer, ...]], tuple[Measurement, ...]] = lambda peers: (),
    ) -> None:
        self._engine = engine
        self._book = book
        self._root_id = root_id
        self._measure = measure

    def open_exec(self, request: ExecRequest) -> ExecSession:
        name = self._container(request.instance, request.container)
        session = self._engine.open_exec(name, request.command, terminal=request.terminal, env=request.env)
        if request.terminal:
            session.resize(request.rows, request.columns)
        return session

    def open_logs(self, request: LogsRequest) -> LogStream:
        name = self._container(request.instance, request.container)
        return self._engine.logs(name, follow=request.follow, tail=request.tail, timestamps=request.timestamps)

    def measure(self, request: ProbeRequest) -> tuple[Measurement, ...]:
        return self._measure(request.peers)

    def _container(self, instance: str, container: str) -> str:
        """The engine's name; raises NotFound for what this node does not have."""
        assignment = self._book.get(instance)
        if assignment is None:
            raise NotFound(f"{instance} is not on this node.", next="see: appliance ps")
        names = [*(planned.name for planned in assignment.containers), *one_shots(assignment.hooks)]
        if container and container not in names:
            raise NotFound(
                f"{instance} has no container called {container}.",
                why=f"it has {', '.join(names)}",
                next="choose one with -c",
            )
        return container_name(self._root_id, instance, container or names[0])
