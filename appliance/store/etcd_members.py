"""The members of a real etcd (its gRPC API v3, service Cluster), over the connections that its store uses."""

from collections.abc import Callable, Iterable
from typing import Any

from appliance.errors import Refused, StoreUnavailable, Unavailable
from appliance.store import member_messages as messages
from appliance.store.etcd_channels import EtcdChannel, EtcdChannels
from appliance.store.etcd_status import MemberStatus, ask_status
from appliance.store.membership import Member

LOOK_SECONDS = 1.5
"""How long a member may take to say that it serves."""
_NOT_IN_SYNC = "in sync with leader"


class EtcdMembership:
    """Fulfils `Membership`."""

    def __init__(self, channels: EtcdChannels) -> None:
        self._channels = channels

    def list(self) -> tuple[Member, ...]:
        answer = self._call("MemberList", messages.Empty(), messages.MemberList, again=True)
        return tuple(map(_member, answer.members))

    def add_learner(self, peer_url: str) -> Member:
        request = messages.MemberAddRequest(peerURLs=[peer_url], isLearner=True)
        return _member(self._call("MemberAdd", request, messages.MemberAddResponse).member)

    def promote(self, member: int) -> None:
        try:
            self._call("MemberPromote", messages.MemberChange(ID=member), messages.MemberList)
        except Refused as refused:
            if _NOT_IN_SYNC not in refused.why:
                raise
            raise Unavailable("The new member of etcd has not caught up yet.", why=refused.why) from refused

    def remove(self, member: int) -> None:
        if any(known.id == member for known in self.list()):
            self._call("MemberRemove", messages.MemberChange(ID=member), messages.MemberList)

    def set_peer_url(self, member: int, url: str) -> None:
        self._call("MemberUpdate", messages.MemberChange(ID=member, peerURLs=[url]), messages.MemberList)

    def troubles(self, members: Iterable[Member]) -> dict[int, str]:
        asked = {
            member: ask_status(self._channels.at(member.endpoint), LOOK_SECONDS)
            for member in members
            if member.endpoint
        }
        found = {member.id: "it has never started" for member in members if not member.endpoint}
        return found | {member.id: trouble for member, answer in asked.items() if (trouble := _trouble(answer))}

    def _call(self, name: str, request: Any, answer: Any, *, again: bool = False) -> Any:
        def method_of(channel: EtcdChannel) -> Any:
            return channel.method(f"/etcdserverpb.Cluster/{name}", type(request), answer)

        return self._channels.call(method_of, request, again=again)


def _trouble(answer: Callable[[], MemberStatus]) -> str:
    try:
        status = answer()
    except StoreUnavailable as error:
        return error.why
    return "; ".join(status.errors) if status.leader else "it finds no majority of the members"


def _member(raw: Any) -> Member:
    return Member(
        id=int(raw.ID),
        name=raw.name,
        peer_url=next(iter(raw.peerURLs), ""),
        client_url=next(iter(raw.clientURLs), ""),
        learner=raw.isLearner,
    )
