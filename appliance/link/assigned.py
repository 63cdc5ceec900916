"""What each node has to run, worked out anew only where something changed."""

from collections.abc import Callable

from appliance.model.instance import Assignment, Binding, Instance
from appliance.model.service import Revision
from appliance.store.state import State

AssignmentOf = Callable[[Instance, Binding, Revision], Assignment | None]
"""What an instance amounts to on its node; None when the revision does not know it. Pure."""


class Assigned:
    """For one thread."""

    def __init__(self, state: State, assignment_of: AssignmentOf) -> None:
        self._state = state
        self._assignment_of = assignment_of
        self._known: dict[str, _Known] = {}

    def by_node(self) -> dict[str, dict[str, Assignment | None]]:
        """Node → instance → its assignment: the same object as long as nothing changes. None where this copy of the
        store cannot tell yet: what the node was told before holds on."""
        instances = self._state.instances.all()
        revisions: dict[tuple[str, int], Revision | None] = {}
        known: dict[str, _Known] = {}
        found: dict[str, dict[str, Assignment | None]] = {}
        for name, binding in self._state.bindings.all().items():
            instance = instances.get(name)
            revision = None
            if instance is not None:
                key = (instance.service, instance.revision)
                if key not in revisions:
                    revisions[key] = self._state.revision(*key)
                revision = revisions[key]
            known[name] = one = self._joined(name, instance, binding, revision)
            found.setdefault(binding.node, {})[name] = one[3]
        self._known = known
        return found

    def _joined(self, name: str, instance: Instance | None, binding: Binding, revision: Revision | None) -> "_Known":
        before = self._known.get(name)
        # The state hands out the same object as long as the store has the same value.
        if before is not None and before[0] is instance and before[1] is binding and before[2] is revision:
            return before
        made = self._assignment_of(instance, binding, revision) if instance and revision else None
        if before is not None and made == before[3]:
            made = before[3]
        return instance, binding, revision, made


_Known = tuple[Instance | None, Binding, Revision | None, Assignment | None]
