"""What etcd lets be done to its members one by one: how large they are, alarms, compaction, defragmentation.

Source: etcd's gRPC API v3, service Maintenance. A member's state is asked of that member itself, not of any.
"""

from collections.abc import Callable
from typing import Any, Protocol

import grpc

from appliance.errors import StoreUnavailable
from appliance.model.store_state import Alarm, MemberState, StoreState
from appliance.store.etcd_channels import EtcdChannel, EtcdChannels
from appliance.store.etcd_members import EtcdMembership
from appliance.store.etcd_messages import messages, stubs
from appliance.store.etcd_status import MemberStatus, ask_status, unavailable
from appliance.store.membership import Member

LOOK_SECONDS = 3.0
DEFRAGMENT_SECONDS = 300.0


class Maintenance(Protocol):
    """Every call may raise StoreUnavailable."""

    def look(self) -> StoreState: ...

    def compact(self, revision: int) -> None:
        """Forget what was before `revision`; that it is forgotten already is no error."""
        ...

    def defragment(self, member: int) -> None:
        """Give a member's free room back to its disk. It answers nobody meanwhile."""
        ...

    def disarm(self, alarm: Alarm) -> None: ...


class EtcdMaintenance:
    """Over the connections that the store uses."""

    def __init__(self, channels: EtcdChannels) -> None:
        self._channels = channels
        self._members = EtcdMembership(channels)

    def look(self) -> StoreState:
        request = messages.AlarmRequest(action=messages.AlarmRequest.GET)
        alarms = self._channels.call(lambda channel: _maintenance(channel).Alarm, request, again=True).alarms
        members = sorted(self._members.list(), key=lambda member: member.name)
        asked = [
            ask_status(self._channels.at(each.endpoint), LOOK_SECONDS) if each.endpoint else None for each in members
        ]
        said = [_said(answer) for answer in asked]
        return StoreState(
            members=tuple(map(_state, members, said)),
            alarms=tuple(Alarm(int(alarm.memberID), messages.AlarmType.Name(alarm.alarm)) for alarm in alarms),
            revision=max(status.revision if status else 0 for status in said),
        )

    def compact(self, revision: int) -> None:
        channel = self._channels.candidates()[0]
        request = messages.CompactionRequest(revision=revision, physical=True)
        try:
            channel.kv.Compact(request, timeout=DEFRAGMENT_SECONDS)
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.OUT_OF_RANGE:
                raise unavailable(error, channel) from error

    def defragment(self, member: int) -> None:
        channel = self._channels.at(next((each.endpoint for each in self._members.list() if each.id == member), ""))
        try:
            _maintenance(channel).Defragment(messages.DefragmentRequest(), timeout=DEFRAGMENT_SECONDS)
        except grpc.RpcError as error:
            raise unavailable(error, channel) from error

    def disarm(self, alarm: Alarm) -> None:
        request = messages.AlarmRequest(
            action=messages.AlarmRequest.DEACTIVATE, memberID=alarm.member, alarm=alarm.kind
        )
        self._channels.call(lambda channel: _maintenance(channel).Alarm, request, again=True)


def _maintenance(channel: EtcdChannel) -> Any:
    return stubs.MaintenanceStub(channel.channel)


def _said(answer: Callable[[], MemberStatus] | None) -> MemberStatus | None:
    """None of a member that does not answer, or has never started."""
    try:
        return answer() if answer is not None else None
    except StoreUnavailable:
        return None


def _state(member: Member, said: MemberStatus | None) -> MemberState:
    if said is None:
        return MemberState(member.id, member.name)
    return MemberState(
        member.id,
        member.name,
        well=said.leader != 0,
        leads=said.leader == member.id,
        size=said.size,
        in_use=said.in_use,
    )
