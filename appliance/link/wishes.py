"""Takes in what people asked of instances on their nodes: it becomes what is wanted, unless that has changed meanwhile.

Each wish is numbered, and the service's head remembers the newest number that was heard of each instance, in the same
commit. So a wish is taken in once, however often and to however many managers its node tells it.
"""

import logging
import threading

import msgspec

from appliance.errors import Conflict
from appliance.link.messages import Wishes
from appliance.loop import Loop
from appliance.model.service import ServiceHead
from appliance.model.wish import Heard, Known, LocalWish
from appliance.store.state import State, await_copy
from appliance.store.store import Store

log = logging.getLogger(__name__)

RETRY = 0.2
"""Seconds until a wish is tried again that met a conflict."""


class WishMerge:
    """A component. `heard` and `gone` are the link's callbacks."""

    name = "wishes"

    def __init__(self, state: State, store: Store) -> None:
        self._state = state
        self._store = store
        self._lock = threading.Lock()
        self._wishes: dict[str, tuple[LocalWish, ...]] = {}
        self._loop = Loop(self.name, self.cycle)

    def start(self) -> None:
        self._loop.start()

    def stop(self) -> None:
        self._loop.stop()

    def heard(self, node_id: str, message: Wishes) -> None:
        with self._lock:
            self._wishes[node_id] = message.wishes
        self._loop.wake()

    def gone(self, node_id: str) -> None:
        """It says everything again when it is back."""
        with self._lock:
            self._wishes.pop(node_id, None)

    def cycle(self) -> float | None:
        """Take in what has not been; what met a conflict is looked at again."""
        with self._lock:
            waiting = [(node, wish) for node, wishes in self._wishes.items() for wish in wishes]
        taken = [self._take_in(node, wish) for node, wish in sorted(waiting, key=lambda each: each[1].number)]
        return None if all(taken) else RETRY

    def _take_in(self, node_id: str, wish: LocalWish) -> bool:
        """False when somebody changed the service this moment."""
        state, service = self._state, wish.instance.partition("/")[0]
        conditions = (state.services.unchanged(service), state.bindings.unchanged(wish.instance))
        binding, head = state.bindings.get(wish.instance), state.services.get(service)
        if head is None or binding is None or binding.node != node_id:
            return True  # the node is about to hear that the instance is not its own any more
        changed = after_wish(head, wish, node_id)
        if changed == head:
            return True
        try:
            await_copy(state.copy, self._store.commit([state.services.put(service, changed)], conditions))
        except Conflict:
            return False
        why = changed.heard[wish.instance].why
        log.info("%s: %s by %s on its node, %s", wish.instance, wish.action, wish.who, why or "followed")
        return True


def after_wish(head: ServiceHead, wish: LocalWish, node: str) -> ServiceHead:
    """The head with the wish taken in: followed, unless managers wanted something else meanwhile. Pure.

    A restart that was done on the node counts as one in any case, so that nobody does it again.
    """
    name = wish.instance
    if name in head.heard and head.heard[name].number >= wish.number:
        return head
    why = _objection(head, wish)
    others = tuple(other for other in head.stopped if other != name)
    stopped = head.stopped if why else (*others, name) if wish.desired == "stopped" else others
    restart = max(head.restarts.get(name, 0), wish.restart)
    heard = Heard(number=wish.number, action=wish.action, at=wish.at, who=wish.who, node=node, why=why)
    return msgspec.structs.replace(
        head,
        stopped=stopped,
        restarts={**head.restarts, name: restart} if restart else head.restarts,
        heard={**head.heard, name: heard},
    )


def _objection(head: ServiceHead, wish: LocalWish) -> str:
    """Why the wish is not followed; "" : it is."""
    now = _known(head, wish.instance)
    if now.desired == wish.desired:
        return ""
    if head.halted:
        return f"{head.service} is stopped as a whole"
    if now == wish.known:
        return ""
    if now.desired != wish.known.desired:
        return f"meanwhile it was {'stopped' if now.desired == 'stopped' else 'started'} on a manager"
    return "meanwhile a manager was asked to restart it"


def _known(head: ServiceHead, instance: str) -> Known:
    """What managers wish of the instance now."""
    return Known(
        desired="stopped" if head.halted or instance in head.stopped else "running",
        restart=head.restarts.get(instance, 0),
        generation=head.generation,
    )
