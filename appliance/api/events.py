"""The cluster's events: what happened, and what happens next to those who wait for it."""

import msgspec

from appliance.api.call import Call, Route
from appliance.api.context import Context
from appliance.errors import UsageError
from appliance.model.event import Event

LONGEST_WAIT = 30.0
MOST = 1000


def routes(context: Context) -> list[Route]:
    def events(call: Call) -> object:
        """`after`: the last id seen; `last` instead: only so many of the newest."""
        subject, after, last = call.query.get("subject", ""), _number(call, "after"), _number(call, "last")
        found = context.events.after(after, call.seconds("timeout", 0.0, LONGEST_WAIT))
        newest = found[-1].id if found else after
        matching = [event for event in found if concerns(event, subject)]
        shown = matching[-last:] if last else matching[:MOST]
        cut = not last and len(matching) > MOST
        return {"events": msgspec.to_builtins(shown), "after": shown[-1].id if cut else newest}

    return [Route("GET", "/api/events", events)]


def concerns(event: Event, subject: str) -> bool:
    """Whether an event is about `subject` (a service, deploy, instance, job, run or node) or a part of it; "" : all."""
    if not subject or subject in (event.subject, event.node):
        return True
    return event.subject.startswith((f"{subject}/", f"{subject}-"))


def _number(call: Call, name: str) -> int:
    text = call.query.get(name, "0")
    if not text.isdecimal():
        raise UsageError(f"{name}={text} is not a number.", next="give the `after` of the last answer")
    return int(text)
