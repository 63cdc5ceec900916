"""Members in memory for tests; fulfils the same contract as etcd."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import count

from appliance.errors import Refused, StoreUnavailable, Unavailable
from appliance.store.membership import Member


class MemoryMembership:
    """One voter, `first` (node id) at `peer_url`. `start`, `stop` and `lag` do what happens on the nodes."""

    def __init__(self, first: str, peer_url: str) -> None:
        self._ids = count(2)
        self._members = {1: Member(1, first, peer_url, _client_url(peer_url))}
        self._down: set[int] = set()
        self._behind: set[int] = set()

    def list(self) -> tuple[Member, ...]:
        return tuple(self._members.values())

    def add_learner(self, peer_url: str) -> Member:
        self._needs_majority()
        if any(member.peer_url == peer_url for member in self._members.values()):
            raise _refused("Peer URLs already exists")
        if any(member.learner for member in self._members.values()):
            raise _refused("too many learner members in cluster")
        member = Member(next(self._ids), "", peer_url, learner=True)
        self._members[member.id] = member
        self._behind.add(member.id)
        return member

    def promote(self, member: int) -> None:
        self._needs_majority()
        known = self._members[member]
        if not known.name or member in self._behind | self._down:
            raise Unavailable("The new member of etcd has not caught up yet.")
        self._members[member] = replace(known, learner=False)

    def remove(self, member: int) -> None:
        if member not in self._members:
            return
        self._needs_majority()
        rest = [known for known in self._voters() if known.id != member]
        if not self._members[member].learner and 2 * sum(each.id not in self._down for each in rest) <= len(rest):
            raise _refused("re-configuration failed due to not enough started members")
        del self._members[member]

    def set_peer_url(self, member: int, url: str) -> None:
        self._members[member] = replace(self._members[member], peer_url=url)

    def troubles(self, members: Iterable[Member]) -> dict[int, str]:
        down = {member.id: "connection refused" for member in members if member.id in self._down}
        return {member.id: "it has never started" for member in members if not member.client_url} | down

    def start(self, node: str, peer_url: str) -> None:
        """The member with this URL starts on its node, and at once has caught up."""
        member = next(member for member in self._members.values() if member.peer_url == peer_url)
        self._members[member.id] = replace(member, name=node, client_url=_client_url(peer_url))
        self._down.discard(member.id)
        self._behind.discard(member.id)

    def lag(self, node: str) -> None:
        self._behind.add(self._of(node))

    def stop(self, node: str) -> None:
        self._down.add(self._of(node))

    def _of(self, node: str) -> int:
        return next(member.id for member in self._members.values() if member.name == node)

    def _voters(self) -> tuple[Member, ...]:
        return tuple(member for member in self._members.values() if not member.learner)

    def _needs_majority(self) -> None:
        if 2 * sum(member.id not in self._down for member in self._voters()) <= len(self._voters()):
            raise StoreUnavailable("The store cannot be reached.", why="etcdserver: request timed out")


def _client_url(peer_url: str) -> str:
    return peer_url.replace(":2380", ":2379")


def _refused(why: str) -> Refused:
    return Refused("The store refuses this change.", where="etcd in memory", why=f"etcdserver: {why}")
