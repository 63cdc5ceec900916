"""What an apply would change, without changing it."""

import msgspec

from appliance.api.context import Context
from appliance.api.revisions import Apply, propose
from appliance.model.service import Service


def compare_spec(context: Context, wish: Apply) -> dict[str, object]:
    """Raises what `apply` would raise for this text."""
    from appliance.spec.diff import diff

    wanted = propose(context, wish.text, wish.file, wish.variables)
    head = context.state.services.get(wanted.service)
    known = context.state.revision(wanted.service, head.revision) if head else None
    found = diff(known.spec if known else Service(name=wanted.service), wanted.spec)
    return {
        "service": wanted.service,
        "revision": head.revision if head else 0,
        "index": head.revision if head else 0,
        "changes": [
            {"path": path, "old": msgspec.to_builtins(old), "new": msgspec.to_builtins(new)} for path, old, new in found
        ],
    }
