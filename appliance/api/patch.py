"""Single values of a service changed without its file: the newest revision's text with other values in it."""

import msgspec

from appliance.api.context import Context
from appliance.api.heads import current
from appliance.api.revisions import Accepted, accept, propose
from appliance.errors import Refused, UsageError
from appliance.model.service import Revision

VARIABLES = "variables."


class Patch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`set`: dotted path → value, as text; ``variables.NAME`` gives a variable its value as `apply --set` does."""

    set: dict[str, str]
    message: str = ""
    index: int | None = None


def patch(context: Context, service: str, wish: Patch, author: str) -> Accepted:
    """The changed text becomes a new revision, with all that an apply checks."""
    if not wish.set:
        raise UsageError("Nothing is to be changed.", next="name a path and its value: --set deploys.web.replicas=3")
    head, newest = current(context, service)
    source, overrides = patched(newest, wish)
    wanted = propose(context, source, f"{service}, revision {newest.number}", overrides)
    message = wish.message or "patch " + ", ".join(wish.set)
    wanted = msgspec.structs.replace(wanted, author=author, message=message)
    answer = accept(context, wanted, head.revision if wish.index is None else wish.index)
    note = f"The file that was applied does not say this; the text now: appliance history {service} --show "
    said = (*answer.notes, f"{note}{answer.revision}") if source != newest.source else answer.notes
    return msgspec.structs.replace(answer, notes=said)


def patched(newest: Revision, wish: Patch) -> tuple[str, dict[str, str]]:
    """The text and the variables given with it, changed; raises Refused where no text was kept, and SpecInvalid."""
    # Loads the YAML library, which a manager that nobody patches at never needs.
    from appliance.spec.source import set_values

    if not newest.source:
        raise Refused(
            f"Revision {newest.number} of {newest.service} was made by a release that did not keep the file.",
            next="apply the file once; then it can be patched",
        )
    given = {path.removeprefix(VARIABLES): value for path, value in wish.set.items() if path.startswith(VARIABLES)}
    rest = {path: value for path, value in wish.set.items() if not path.startswith(VARIABLES)}
    where = f"{newest.service}, revision {newest.number}"
    return set_values(newest.source, where, rest) if rest else newest.source, newest.overrides | given
