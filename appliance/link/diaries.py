"""Takes what happened on nodes into the store, in order and once; every manager makes its events of it there.

The newest number is written together with the happenings. A node tells a happening again until it has heard that it was
taken in; what is known already is left out.
"""

import logging
import threading
from collections.abc import Callable

from appliance.errors import Conflict
from appliance.link.messages import DiaryPage, DiaryTaken
from appliance.loop import Loop
from appliance.model.diary import NodeDiary
from appliance.store.state import State, await_copy
from appliance.store.store import Store

log = logging.getLogger(__name__)

RETRY = 0.2
"""Seconds until a page is tried again that met a conflict."""
REMEMBERED = 20
"""Happenings that stay in the store beside those that are new."""


class Diaries:
    """A component. `heard` and `gone` are the link's callbacks; `tell` sends a node what of its diary was taken in."""

    name = "diaries"

    def __init__(self, state: State, store: Store, tell: Callable[[str, DiaryTaken], None]) -> None:
        self._state = state
        self._store = store
        self._tell = tell
        self._lock = threading.Lock()
        self._pages: dict[str, DiaryPage] = {}
        self._loop = Loop(self.name, self.cycle)

    def start(self) -> None:
        self._loop.start()

    def stop(self) -> None:
        self._loop.stop()

    def heard(self, node_id: str, page: DiaryPage) -> None:
        with self._lock:
            self._pages[node_id] = page
        self._loop.wake()

    def gone(self, node_id: str) -> None:
        with self._lock:
            self._pages.pop(node_id, None)

    def cycle(self) -> float | None:
        """Take in every page that came, and tell its node so; what met a conflict is looked at again."""
        with self._lock:
            pages = dict(self._pages)
        refused = {node for node, page in pages.items() if not self._take_in(node, page)}
        with self._lock:
            self._pages = {
                node: page for node, page in self._pages.items() if node in refused or page is not pages.get(node)
            }
        return RETRY if refused else None

    def _take_in(self, node_id: str, page: DiaryPage) -> bool:
        """False when somebody else wrote this moment."""
        state = self._state
        if not page.happenings:
            return True
        exists, unchanged = state.nodes.unchanged(node_id), state.diaries.unchanged(node_id)
        before = state.diaries.get(node_id)
        after = continued(before, node_id, page)
        if after != before and exists.revision:
            try:
                await_copy(state.copy, self._store.commit([state.diaries.put(node_id, after)], (exists, unchanged)))
            except Conflict:
                return False
        self._tell(node_id, DiaryTaken(volume=after.volume, number=after.last))
        return True


def continued(before: NodeDiary | None, node: str, page: DiaryPage) -> NodeDiary:
    """The diary with what the page has new. Pure."""
    if before is None or before.volume != page.volume:
        before = NodeDiary(node=node, volume=page.volume, last=0)
    new = tuple(each for each in page.happenings if each.number > before.last)
    if not new:
        return before
    return NodeDiary(
        node=node,
        volume=page.volume,
        last=new[-1].number,
        lost=page.lost,
        happenings=(*before.happenings[-REMEMBERED:], *new),
    )
