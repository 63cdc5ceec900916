"""What is wanted of a service now: read, and changed without losing what somebody else changes meanwhile."""

from collections.abc import Callable

from appliance.api.context import Context
from appliance.errors import Conflict, NotFound
from appliance.model.service import Revision, ServiceHead

TRIES = 5
"""So often is a change tried whose service somebody else keeps changing."""


def current(context: Context, service: str) -> tuple[ServiceHead, Revision]:
    """The head and its revision; raises NotFound."""
    head = context.state.services.get(service)
    revision = context.state.revision(service, head.revision) if head else None
    if head is None or revision is None:
        raise NotFound(f"There is no service called {service}.", next="see: appliance ps")
    return head, revision


def change_head(context: Context, service: str, change: Callable[[ServiceHead, Revision], ServiceHead]) -> ServiceHead:
    """Write what `change` makes of the head; it is asked again when somebody else was faster.

    Returns the head as it is then. Raises NotFound, Conflict while the service is being deleted, and what `change`
    raises.
    """
    services = context.state.services
    for _ in range(TRIES):
        # Before the head is read: a change in between then makes the commit fail instead of being lost.
        unchanged = services.unchanged(service)
        head, revision = current(context, service)
        refuse_deleted(head)
        wanted = change(head, revision)
        if wanted == head:
            return head
        try:
            context.commit([services.put(service, wanted)], [unchanged])
        except Conflict:
            context.catch_up(services.prefix + service)
        else:
            return wanted
    raise Conflict(f"{service} is being changed by others all the time.", next="try again")


def refuse_deleted(head: ServiceHead) -> None:
    if head.deleted:
        raise Conflict(f"{head.service} is being deleted.", next="try again when `appliance ps` shows it no more")
