"""Who is a member of etcd: the interface that a real etcd and the one in memory both fulfil.

A learner receives everything and has no vote; made a voter once it has caught up, it counts for the majority that every
write needs.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Member:
    """`name` is the id of its node, and like `client_url` "" until the member has started for the first time."""

    id: int
    name: str
    peer_url: str
    client_url: str = ""
    learner: bool = False

    @property
    def endpoint(self) -> str:
        """ADDRESS:PORT for clients; "" until it has started for the first time."""
        return self.client_url.partition("://")[2]


class Membership(Protocol):
    """Every call may raise StoreUnavailable (retryable); then a change may or may not have happened.

    etcd refuses by itself what would leave it without a majority, and a second learner: Refused.
    """

    def list(self) -> tuple[Member, ...]: ...

    def add_learner(self, peer_url: str) -> Member:
        """Raises Refused when a member with this URL exists."""
        ...

    def promote(self, member: int) -> None:
        """Make a learner a voter. Raises Unavailable (retryable) as long as it has not caught up."""
        ...

    def remove(self, member: int) -> None:
        """For good: what has its data can never come back as this member. An unknown member is no error."""
        ...

    def set_peer_url(self, member: int, url: str) -> None:
        """Tell the others where they reach this one."""
        ...

    def troubles(self, members: Iterable[Member]) -> dict[int, str]:
        """Member → why it does not serve; those that do are left out. Asks all of them at once, for a second or two."""
        ...
