"""A cluster in memory that hosts can join, and real TLS servers for it and for its impostors."""

import io
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

from appliance import VERSION
from appliance.api.server import all_routes, make_app
from appliance.delivery import pki
from appliance.delivery.joining import Joiner, JoinRequest
from appliance.host.layout import Layout
from appliance.model.node import NodeSpec, Role
from appliance.model.release import Release
from appliance.security.ca import KeyPair, fingerprint
from appliance.security.ssh import make_ssh_key
from appliance.security.tokens import ParsedToken, create_token, parse_token
from appliance.store import keys
from appliance.store.codec import encode
from appliance.store.state import State
from appliance.store.store import Put
from tests.unit.api.cluster_in_memory import InMemory, in_memory

FOUNDER = "n-f00000000000"


@dataclass
class Clock:
    """It runs, as those of the hosts do that join over real connections."""

    ahead: float = 0.0

    @property
    def now(self) -> float:
        return time.time() + self.ahead

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True)
class Joinable:
    """`authority` is the CA certificate (PEM) of the manager, whose files are `layout` and whose node is FOUNDER."""

    cluster: InMemory
    layout: Layout
    authority: bytes
    clock: Clock
    joiner: Joiner

    @property
    def state(self) -> State:
        return self.cluster.state

    def token(self, *managers: str, role: Role = "agent", address: str = "") -> ParsedToken:
        at = managers or ("127.0.0.1:1",)
        text, kept = create_token(at, fingerprint(self.authority), role, self.clock.now, address)
        self.cluster.write(self.state.tokens.put(kept.id, kept))
        return parse_token(text)

    def joiner_of(self, release: Release) -> Joiner:
        """That of a manager of this release."""
        return Joiner(self.state, self.cluster.context.store, self.layout, self.clock, release)

    def request(self, token: ParsedToken, number: int = 2, **changes: Any) -> JoinRequest:
        """What a host called ``h<number>`` asks."""
        said: dict[str, Any] = {
            "node_id": f"n-{number:012x}",
            "name": f"h{number}",
            "name_given": False,
            "address": f"10.0.0.{number}",
            "dial": "agent",
            "ssh_key": make_ssh_key()[1],
            "version": VERSION,
            "clock": self.clock.now,
        }
        return JoinRequest(token=token.id, secret=token.secret, **said | changes)

    def app(self) -> Any:
        """The API as the network sees it."""
        context = replace(self.cluster.context, join=self.joiner.join, ca_pem=self.authority.decode)
        return make_app(context, all_routes(context), admin=False)

    def server_keys(self) -> KeyPair:
        folder = self.layout.pki / "web"
        return KeyPair((folder / "web.crt").read_bytes(), (folder / "web.key").read_bytes())


@contextmanager
def joinable(folder: Path, ahead: float = 0.0) -> Iterator[Joinable]:
    """`ahead`: seconds by which the manager's clock is ahead of this machine's."""
    layout, clock = Layout(folder), Clock(ahead)
    authority = pki.make_cluster_keys(layout, "lab", FOUNDER, "127.0.0.1", clock.now)
    with in_memory() as cluster:
        founder = NodeSpec(id=FOUNDER, name="one", number=1, address="127.0.0.1", roles=("manager", "agent"))
        cluster.context.commit([cluster.state.nodes.delete("n1")], [])
        cluster.write(
            cluster.state.nodes.put(FOUNDER, founder),
            Put(f"{keys.NUMBERS}1", encode(FOUNDER)),
        )
        yield Joinable(cluster, layout, authority, clock, Joiner(cluster.state, cluster.context.store, layout, clock))


App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Recorder:
    """An application that notes what it is sent before it answers."""

    def __init__(self, app: App) -> None:
        self._app = app
        self.paths: list[str] = []
        self.bodies: list[bytes] = []

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        self.paths.append(environ["PATH_INFO"])
        self.bodies.append(body)
        environ["wsgi.input"] = io.BytesIO(body)
        return self._app(environ, start_response)


def says(status: str, body: bytes) -> App:
    """An application that answers everything alike."""

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response(status, [("Content-Length", str(len(body)))])
        return [body]

    return app


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def serving(app: App, server_keys: KeyPair, folder: Path) -> Iterator[str]:
    """Serve `app` over TLS on a port of this machine: ``127.0.0.1:PORT``."""
    folder.mkdir()
    (folder / "crt").write_bytes(server_keys.certificate)
    (folder / "key").write_bytes(server_keys.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "crt", folder / "key")
    with make_server("127.0.0.1", 0, app, handler_class=_Quiet) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
