"""What is wanted of a service now: read, and changed without losing what somebody else changes meanwhile."""

from collections.abc import Callable, Collection, Iterator

import msgspec

from appliance.api.context import Context
from appliance.errors import Conflict, NotFound
from appliance.model.service import Revision, Service, ServiceHead
from appliance.store.state import State

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
        wanted = pruned(wanted, deploys_of(context.state, wanted, revision.spec))
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


def pruned(head: ServiceHead, deploys: Collection[str]) -> ServiceHead:
    """The head without what was asked of other deploys and of their instances. Pure.

    What was asked of jobs stays: their counts only ever grow.
    """
    return msgspec.structs.replace(
        head,
        scale={deploy: count for deploy, count in head.scale.items() if deploy in deploys},
        restarts={name: count for name, count in head.restarts.items() if _deploy(name) in deploys},
        stopped=tuple(name for name in head.stopped if _deploy(name) in deploys),
        moves={name: move for name, move in head.moves.items() if _deploy(name) in deploys},
    )


def deploys_of(state: State, head: ServiceHead, spec: Service) -> frozenset[str]:
    """Of the spec, of the revision that the service may go back to, and of instances that are there still: a count that
    is forgotten while its instance lives would restart it."""
    return frozenset((*spec.deploys, *_deploys_left(state, head)))


def _deploys_left(state: State, head: ServiceHead) -> Iterator[str]:
    yield from (each.deploy for _, each in state.instances.below(f"{head.service}/"))
    rollout = state.rollouts.get(head.service)
    for number in (head.revision, rollout.revision, rollout.previous) if rollout else (head.revision,):
        revision = state.revision(head.service, number)
        yield from revision.spec.deploys if revision else ()


def _deploy(instance: str) -> str:
    """``web`` of ``shop/web-2``."""
    return instance.partition("/")[2].rpartition("-")[0]
