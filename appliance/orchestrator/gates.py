"""After a start of their nodes, the instances of a service start rank by rank: up to which rank they may now. Pure."""

from appliance.model.instance import Instance
from appliance.store.state import State


def gates(state: State) -> dict[str, int]:
    """Service → the highest rank whose instances may start; services of which everything is ready are left out.

    A rank may start once every wanted instance of the ranks below is ready, as nodes say that follow a manager now:
    what others said may be from before a power cut.
    """
    heard = _heard(state)
    statuses = state.instance_status.all()
    ranks = _Ranks(state)
    lowest: dict[str, int] = {}
    for name, instance in state.instances.all().items():
        if instance.run or instance.desired != "running" or not ranks.matter(instance):
            continue
        status = statuses.get(name)
        if status is None or not status.ready or status.state != "running" or status.node not in heard:
            rank = ranks.of(instance)
            lowest[instance.service] = min(rank, lowest.get(instance.service, rank))
    return lowest


def _heard(state: State) -> set[str]:
    """Nodes whose hello was written down by a manager that has not ended since."""
    alive = state.alive.all()
    return {
        node_id
        for node_id, status in state.node_status.all().items()
        if status.state == "ready" and status.manager in alive and alive[status.manager].run == status.run
    }


class _Ranks:
    """Looks each revision up once, since there are many instances of each."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._of: dict[tuple[str, int], dict[str, int]] = {}

    def matter(self, instance: Instance) -> bool:
        """Whether the instance's service has more than one rank."""
        return len(set(self._known(instance).values())) > 1

    def of(self, instance: Instance) -> int:
        return self._known(instance).get(instance.deploy, 0)

    def _known(self, instance: Instance) -> dict[str, int]:
        key = instance.service, instance.revision
        known = self._of.get(key)
        if known is None:
            revision = self._state.revision(*key)
            deploys = revision.spec.deploys.values() if revision else ()
            known = self._of[key] = {deploy.name: deploy.rank for deploy in deploys}
        return known
