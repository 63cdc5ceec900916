"""What etcd lets be done to its members one by one: how large they are, alarms, compaction, defragmentation.

Source: etcd's gRPC API v3, service Maintenance. A member's state is asked of that member itself, not of any.
"""

from typing import Any, Protocol

import grpc
from google.protobuf.unknown_fields import UnknownFieldSet

from appliance.errors import ApplianceError, StoreUnavailable
from appliance.model.store_state import Alarm, MemberState, StoreState
from appliance.store.etcd_channels import EtcdChannel, EtcdChannels
from appliance.store.etcd_messages import messages, stubs

LOOK_SECONDS = 3.0
DEFRAGMENT_SECONDS = 300.0
_IN_USE = 9
"""Number of StatusResponse's field dbSizeInUse, which the messages of the `etcd3` package are too old to know."""


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

    def look(self) -> StoreState:
        request = messages.AlarmRequest(action=messages.AlarmRequest.GET)
        alarms = self._channels.call(lambda channel: _maintenance(channel).Alarm, request, again=True).alarms
        found = [self._state(member) for member in self._members()]
        return StoreState(
            members=tuple(sorted((state for state, _ in found), key=lambda state: state.name)),
            alarms=tuple(Alarm(int(alarm.memberID), messages.AlarmType.Name(alarm.alarm)) for alarm in alarms),
            revision=max(revision for _, revision in found),
        )

    def compact(self, revision: int) -> None:
        channel = self._channels.candidates()[0]
        request = messages.CompactionRequest(revision=revision, physical=True)
        try:
            channel.kv.Compact(request, timeout=DEFRAGMENT_SECONDS)
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.OUT_OF_RANGE:
                raise _unavailable(error, channel) from error

    def defragment(self, member: int) -> None:
        channel = self._channels.at(next((_endpoint_of(each) for each in self._members() if member == each.ID), ""))
        _call(_maintenance(channel).Defragment, messages.DefragmentRequest(), channel, DEFRAGMENT_SECONDS)

    def disarm(self, alarm: Alarm) -> None:
        request = messages.AlarmRequest(
            action=messages.AlarmRequest.DEACTIVATE, memberID=alarm.member, alarm=alarm.kind
        )
        self._channels.call(lambda channel: _maintenance(channel).Alarm, request, again=True)

    def _members(self) -> list[Any]:
        request = messages.MemberListRequest()
        listed = self._channels.call(lambda each: stubs.ClusterStub(each.channel).MemberList, request, again=True)
        return list(listed.members)

    def _state(self, member: Any) -> tuple[MemberState, int]:
        """What the member says of itself, and its revision."""
        silent = MemberState(int(member.ID), str(member.name))
        endpoint = _endpoint_of(member)
        if not endpoint:  # it has never started
            return silent, 0
        try:
            channel = self._channels.at(endpoint)
            answer = _call(_maintenance(channel).Status, messages.StatusRequest(), channel, LOOK_SECONDS)
        except StoreUnavailable:
            return silent, 0
        unknown: Any = UnknownFieldSet(answer)
        in_use = next((int(each.data) for each in unknown if each.field_number == _IN_USE), 0)
        state = MemberState(
            silent.id,
            silent.name,
            well=bool(answer.leader),
            leads=answer.leader == member.ID,
            size=int(answer.dbSize),
            in_use=in_use,
        )
        return state, int(answer.header.revision)


def _maintenance(channel: EtcdChannel) -> Any:
    return stubs.MaintenanceStub(channel.channel)


def _endpoint_of(member: Any) -> str:
    """ADDRESS:PORT; "" for a member that has not told yet."""
    return str(member.clientURLs[0]).partition("//")[2] if member.clientURLs else ""


def _call(method: Any, request: Any, channel: EtcdChannel, seconds: float) -> Any:
    try:
        return method(request, timeout=seconds)
    except grpc.RpcError as error:
        raise _unavailable(error, channel) from error


def _unavailable(error: Any, channel: EtcdChannel) -> ApplianceError:
    return StoreUnavailable(
        "A member of the store cannot be reached.",
        where=f"etcd at {channel.endpoint}",
        why=f"{error.code().name}: {error.details()}",
        next="tried again by itself",
    )
