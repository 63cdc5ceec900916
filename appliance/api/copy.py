"""What this manager holds in its memory, for whoever wants to compare it with the store or with another manager."""

import hashlib

from appliance.api.call import Call, Route
from appliance.api.context import Context
from appliance.api.rows import Row
from appliance.store import keys
from appliance.store.state import Copy


def routes(context: Context) -> list[Route]:
    def held(_: Call) -> object:
        return copy_row(context.state.copy)

    return [Route("GET", "/api/copy", held, summary="What this manager has in memory, by key and digest")]


def copy_row(copy: Copy) -> Row:
    """Key → the store's revision of its last change and the SHA-256 of its value: secrets and passwords stay inside."""
    entries = {entry.key: [entry.revision, _digest(entry.value)] for entry in copy.below(keys.ROOT)}
    return {"revision": copy.revision, "entries": entries}


def _digest(value: bytes) -> str:
    return hashlib.sha256(value).hexdigest()
