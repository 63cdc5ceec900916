"""How commands talk to this node's manager: JSON over the admin socket, and WebSockets beside it."""

import http.client
import json
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import click

from appliance.errors import ApplianceError, LinkDown, NotPermitted
from appliance.host.layout import Layout
from appliance.host.unix_connection import UnixConnection

PATIENCE = 60.0
"""Seconds an answer may take before the connection is given up."""
_ASK_AGAIN = 0.5
"""Seconds after which a manager that did not answer is asked again."""


class ApiProblem(ApplianceError):
    """What the manager said, with the exit code it gave."""

    def __init__(self, said: dict[str, Any]) -> None:
        super().__init__(
            str(said.get("what") or "The manager refused without saying why."),
            where=str(said.get("where", "")),
            why=str(said.get("why", "")),
            next=str(said.get("next", "")),
            page=str(said.get("page", "")),
        )
        self.exit_code = int(said.get("exit_code", 1))
        self.cause = str(said.get("kind", ""))
        """Its kind, as `appliance/errors.py` names it."""


class NobodyListens(LinkDown):
    """No manager of this node takes calls: nothing has been asked of it."""


class Client:
    """The API over the admin socket below `root`. Every call raises LinkDown when no manager listens there."""

    def __init__(self, root: Path, *, patience: float = PATIENCE) -> None:
        self._layout = Layout(root.resolve())
        self._patience = patience

    @property
    def live_socket(self) -> Path:
        return self._layout.admin_live_socket

    def get(self, *path: str, **query: str) -> Any:
        return self._ask("GET", path, query, None)

    def get_until(self, deadline: float, *path: str, **query: str) -> Any:
        """As `get`, and asked again until `deadline` (of `time.monotonic()`) while no manager answers.

        For commands that wait: what they wait for goes on while their manager is being started anew.
        """
        while True:
            try:
                return self.get(*path, **query)
            except LinkDown:
                if time.monotonic() + _ASK_AGAIN > deadline:
                    raise
            time.sleep(_ASK_AGAIN)

    def post(self, *path: str, body: object = None) -> Any:
        return self._ask("POST", path, {}, body)

    def delete(self, *path: str) -> Any:
        return self._ask("DELETE", path, {}, None)

    def _ask(self, method: str, path: tuple[str, ...], query: dict[str, str], body: object) -> Any:
        url = "/api/" + "/".join(quote(part, safe="/") for part in path)
        connection = UnixConnection(self._layout.admin_socket, self._patience)
        try:
            data = None if body is None else json.dumps(body).encode()
            connection.request(
                method, f"{url}?{urlencode(query)}" if query else url, data, {"Content-Type": "application/json"}
            )
            response = connection.getresponse()
            status, text = response.status, response.read()
        except PermissionError as error:
            raise NotPermitted("Only root may use this node's manager directly.", next="run it with sudo") from error
        except (OSError, http.client.HTTPException) as error:
            raise self.not_running(error) from error
        finally:
            connection.close()
        try:
            answer = json.loads(text)
        except ValueError as error:
            raise ApiProblem({"what": f"The manager's answer was not JSON (HTTP status {status})."}) from error
        if status >= 400:
            raise ApiProblem(answer)
        return answer

    def not_running(self, error: Exception) -> LinkDown:
        """What to say of an error of the connection."""
        kind = NobodyListens if isinstance(error, FileNotFoundError | ConnectionRefusedError) else LinkDown
        return kind(
            "No manager answers on this node.",
            where=str(self._layout.admin_socket),
            why=str(error) or type(error).__name__,
            next="see `appliance status`; on a node that only runs the agent, run this on a manager",
        )


def parse_duration(text: str) -> float:
    """``90``, ``90s``, ``2m``, ``1h`` or ``90d`` in seconds; raises click.BadParameter."""
    units = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
    number, unit = (text[:-1], units[text[-1]]) if text[-1:] in units else (text, 1.0)
    try:
        seconds = float(number) * unit
    except ValueError:
        raise click.BadParameter(f"{text!r} is not a duration such as 90s or 2m") from None
    if seconds < 0:
        raise click.BadParameter("a duration is not negative")
    return seconds


class Duration(click.ParamType[float]):
    """A click type for `parse_duration`."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        return value if isinstance(value, float) else parse_duration(str(value))
