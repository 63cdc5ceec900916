"""One request as the answering functions see it, and the route that leads to one. No HTTP library in sight."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from appliance.errors import UsageError
from appliance.model.decoding import decode

Method = Literal["GET", "POST", "DELETE"]


@dataclass(frozen=True)
class Call:
    """`user` is who asks: "root" over the admin socket, "" where no login is needed."""

    path: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    user: str = ""
    session: str = ""

    def data[T](self, kind: type[T]) -> T:
        """The body as a `kind`; raises UsageError when it is not one."""
        try:
            return decode(self.body or b"{}", kind)
        except ValueError as error:
            raise UsageError("The request's body is not what this address takes.", why=str(error)) from error

    def seconds(self, name: str, default: float, most: float) -> float:
        """A query parameter as seconds between 0 and `most`."""
        text = self.query.get(name, "")
        try:
            value = float(text) if text else default
        except ValueError:
            raise UsageError(f"{name}={text} is not a number of seconds.") from None
        return min(max(value, 0.0), most)


@dataclass(frozen=True)
class Answer:
    """For the few answers that are more than data."""

    data: object
    headers: tuple[tuple[str, str], ...] = ()
    content_type: str = "application/json"


@dataclass(frozen=True)
class Route:
    """`path` in bottle's syntax. `public` routes need no login. `answer` returns data or an `Answer`.

    The rest is for the OpenAPI document: one line on what the route is for, the type of the request's body (None : it
    takes none), and the type of what it answers, as msgspec knows it (None : docs/api.md alone says).
    """

    method: Method
    path: str
    answer: Callable[[Call], object]
    public: bool = False
    summary: str = ""
    body: Any = None
    answers: Any = None
