"""The members of a real etcd (its gRPC API v3, service Cluster), over the connections that its store uses."""

from collections.abc import Iterable
from typing import Any

import grpc

from appliance.errors import Refused, Unavailable
from appliance.store import member_messages as messages
from appliance.store.etcd_channels import EtcdChannel, EtcdChannels
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
        asked = {member.id: self._ask(member) for member in members if member.client_url}
        found = {member.id: "it has never started" for member in members if not member.client_url}
        return found | {number: trouble for number, status in asked.items() if (trouble := _trouble(status))}

    def _ask(self, member: Member) -> Any:
        channel = self._channels.at(member.client_url.partition("://")[2])
        method = _method(channel, "/etcdserverpb.Maintenance/Status", messages.Empty, messages.Status)
        return method.future(messages.Empty(), timeout=LOOK_SECONDS)

    def _call(self, name: str, request: Any, answer: Any, *, again: bool = False) -> Any:
        def method_of(channel: EtcdChannel) -> Any:
            return _method(channel, f"/etcdserverpb.Cluster/{name}", type(request), answer)

        return self._channels.call(method_of, request, again=again)


def _method(channel: EtcdChannel, path: str, request: Any, answer: Any) -> Any:
    return channel.channel.unary_unary(
        path, request_serializer=request.SerializeToString, response_deserializer=answer.FromString
    )


def _trouble(asked: Any) -> str:
    try:
        status = asked.result()
    except grpc.RpcError as error:
        return str(error.details() or error.code().name) if isinstance(error, grpc.Call) else str(error)
    if not status.leader:
        return "it finds no majority of the members"
    return "; ".join(status.errors)


def _member(raw: Any) -> Member:
    return Member(
        id=int(raw.ID),
        name=raw.name,
        peer_url=next(iter(raw.peerURLs), ""),
        client_url=next(iter(raw.clientURLs), ""),
        learner=raw.isLearner,
    )
