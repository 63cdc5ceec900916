"""The API's front door: routes and errors as HTTP, on the admin socket (root, no login) and the web socket (login)."""

import logging
import os
import socket
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import bottle  # type: ignore[import-untyped]
import msgspec

from appliance.api import (
    adoption,
    backups,
    certificates,
    cluster,
    copy,
    events,
    images,
    instances,
    jobs,
    join,
    managers,
    net,
    nodes,
    openapi,
    problems,
    rotation,
    secrets,
    services,
    time_servers,
    tokens,
    top,
    users,
    vips,
)
from appliance.api.call import Answer, Call, Route
from appliance.api.context import Context
from appliance.api.progress import Changes
from appliance.errors import ApplianceError, NotPermitted, UsageError

log = logging.getLogger(__name__)

LARGEST_BODY = 4 * 1024 * 1024
THREADS = 12
_JSON = ("application/json", problems.CONTENT_TYPE)
_HEADERS = {
    "Content-Type": "application/json",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
}


def all_routes(context: Context) -> list[Route]:
    """Every address of the API."""
    changes = Changes(context.state)
    found = [
        *cluster.routes(context),
        *copy.routes(context),
        *nodes.routes(context),
        *managers.routes(context),
        *net.routes(context),
        *services.routes(context, changes),
        *instances.routes(context),
        *jobs.routes(context, changes),
        *top.routes(context),
        *events.routes(context),
        *images.routes(context),
        *secrets.routes(context),
        *tokens.routes(context),
        *join.routes(context),
        *time_servers.routes(context),
        *users.routes(context),
        *vips.routes(context),
        *certificates.routes(context),
        *backups.routes(context),
        *adoption.routes(context),
        *rotation.routes(context),
    ]
    return [*found, *openapi.routes(context.version, found)]


def make_app(context: Context, routes: list[Route], *, admin: bool) -> Any:
    """A bottle application. With `admin`, whoever can open the socket is root; otherwise sessions decide."""
    app = bottle.Bottle(catchall=True)
    for route in routes:
        app.route(route.path, route.method, _handler(context, route, admin))
    app.default_error_handler = _http_error
    return app


def _handler(context: Context, route: Route, admin: bool) -> Callable[..., Any]:
    def handle(**path: str) -> Any:
        try:
            user, session = ("root", "") if admin else _who(context, route)
            result = route.answer(Call(path, dict(bottle.request.query.decode()), _body(), user, session))
        except ApplianceError as error:
            return _problem(error)
        except Exception:
            log.exception("%s %s failed", route.method, route.path)
            hidden = ApplianceError("The manager made a mistake.", next="its log says more: manager.log")
            return _problem(hidden)
        return _response(result, 200)

    return handle


def _who(context: Context, route: Route) -> tuple[str, str]:
    """(user, session id) of a request from the network; raises NotPermitted."""
    request = bottle.request
    if route.method != "GET" and route.path != "/api/join":
        _refuse_foreign_pages(request.get_header("Origin", ""), request.get_header("Host", ""))
    session = request.get_cookie(users.COOKIE) or ""
    user = context.sessions.user_of(session) or ""
    if not user and not route.public:
        raise LoginNeeded("You are not logged in.", next="log in and try again", page="security")
    return user, session


class LoginNeeded(NotPermitted):
    http_status = 401


def _refuse_foreign_pages(origin: str, host: str) -> None:
    """A write must come from our own page or from a program that sends our header, which a foreign page cannot."""
    ours = origin == f"https://{host}" if origin else bool(bottle.request.get_header("X-Appliance"))
    if not ours:
        raise NotPermitted(
            "This request did not come from this cluster's own page.",
            why=f"its Origin is {origin}" if origin else "it carries neither an Origin nor the header X-Appliance",
            page="security",
        )


def _body() -> bytes:
    if bottle.request.content_length > LARGEST_BODY:
        raise UsageError(f"The request's body is larger than {LARGEST_BODY} bytes.")
    data = bottle.request.body.read(LARGEST_BODY)
    assert isinstance(data, bytes)
    return data


def _problem(error: ApplianceError) -> Any:
    shown = problems.document(error, bottle.request.path)
    return _response(Answer(shown, content_type=problems.CONTENT_TYPE), error.http_status)


def _response(result: object, status: int) -> Any:
    answer = result if isinstance(result, Answer) else Answer(result)
    response = bottle.HTTPResponse(_bytes_of(answer), status, _HEADERS | {"Content-Type": answer.content_type})
    for name, value in answer.headers:
        response.add_header(name, value)
    return response


def _bytes_of(answer: Answer) -> bytes:
    if isinstance(answer.data, bytes):
        return answer.data
    return msgspec.json.encode(answer.data) if answer.content_type in _JSON else str(answer.data).encode()


def _http_error(error: Any) -> bytes:
    """What bottle itself refuses (no such address, wrong method, a page that failed)."""
    said = ApplianceError(f"{error.status}: {bottle.request.path}", page="api")
    shown = problems.document(said, bottle.request.path)
    bottle.response.content_type = problems.CONTENT_TYPE
    return msgspec.json.encode(msgspec.structs.replace(shown, status=error.status_code))


class ApiServer:
    """Serves both sockets with waitress, each from a thread of its own.

    `pages` adds what people look at (the web pages and the manual) to the web socket's application.
    """

    name = "api"

    def __init__(
        self, context: Context, admin_socket: Path, web_socket: Path, pages: Callable[[Any], None] | None = None
    ) -> None:
        self._context = context
        self._sockets = ((admin_socket, True), (web_socket, False))
        self._pages = pages
        self._servers: list[Any] = []
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        from waitress import create_server  # type: ignore[import-untyped]

        routes = all_routes(self._context)
        for path, admin in self._sockets:
            app = make_app(self._context, routes, admin=admin)
            if self._pages is not None and not admin:
                self._pages(app)
            server = create_server(
                app,
                sockets=[_listen(path)],
                threads=THREADS,
                connection_limit=2000,
                asyncore_use_poll=True,
                asyncore_loop_timeout=30,
                max_request_body_size=LARGEST_BODY,
                channel_timeout=120,
                ident="",
                clear_untrusted_proxy_headers=True,
            )
            thread = threading.Thread(target=server.run, name=f"api {path.name}", daemon=True)
            self._servers.append(server)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """Whoever is connected is hung up on; what is being answered ends with that."""
        for server in self._servers:
            server.trigger.pull_trigger(partial(_hang_up, server))
            server.task_dispatcher.shutdown()
            server.trigger.pull_trigger(partial(_close, server))
        for thread in self._threads:
            thread.join(timeout=5)
        self._servers.clear()
        self._threads.clear()
        for path, _ in self._sockets:
            path.unlink(missing_ok=True)


def _hang_up(server: Any) -> None:
    """In the server's own thread: it would not notice until its next timeout, and live as long as a connection."""
    for channel in tuple(server.active_channels.values()):
        channel.handle_close()


def _close(server: Any) -> None:
    _hang_up(server)
    server.close()


def _listen(path: Path) -> socket.socket:
    """A listening unix socket that only root may open (nginx runs as root in its container)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # The mode is set before anybody can connect: bind creates the socket, and nothing is accepted before listen.
    listener.bind(str(path))
    os.chmod(path, 0o600)  # noqa: PTH101 - beside bind, which takes a string as well
    listener.listen(128)
    listener.setblocking(False)
    return listener
