"""How the outside reaches a service, as the nodes that serve it have to know it."""

import msgspec


class EntryRule(msgspec.Struct, frozen=True, kw_only=True):
    """Requests for `host` ("" : any) at or below `path` go to one of `backends` (``IP:PORT`` of ready instances)."""

    service: str
    host: str
    path: str
    backends: tuple[str, ...]
