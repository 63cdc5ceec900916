"""What a member of etcd says of itself, asked of that member: it answers without a majority, too.

Source: etcd's gRPC API v3, service Maintenance.
"""

from collections.abc import Callable
from dataclasses import dataclass

import grpc

from appliance.errors import StoreUnavailable
from appliance.store import member_messages as messages
from appliance.store.etcd_channels import EtcdChannel


@dataclass(frozen=True)
class MemberStatus:
    """`revision`: of the newest change that it has applied. `leader`: a member's id, 0 while it finds no majority.
    `size` of its file and what is `in_use` of that, in bytes. `errors`: what it finds wrong with itself."""

    revision: int
    leader: int
    size: int
    in_use: int
    errors: tuple[str, ...]


def ask_status(channel: EtcdChannel, seconds: float) -> Callable[[], MemberStatus]:
    """Asks at once; what it returns waits for the answer, for so many seconds, and raises StoreUnavailable."""
    method = channel.method("/etcdserverpb.Maintenance/Status", messages.Empty, messages.Status)
    asked = method.future(messages.Empty(), timeout=seconds)

    def answer() -> MemberStatus:
        try:
            said = asked.result()
        except (grpc.RpcError, grpc.FutureCancelledError) as error:
            raise unavailable(error, channel) from error
        return MemberStatus(
            int(said.header.revision), int(said.leader), int(said.dbSize), int(said.dbSizeInUse), tuple(said.errors)
        )

    return answer


def unavailable(error: Exception, channel: EtcdChannel) -> StoreUnavailable:
    """What a call that failed at this member amounts to."""
    said = f"{error.code().name}: {error.details()}" if isinstance(error, grpc.Call) else "the connection was closed"
    return StoreUnavailable(
        "A member of the store cannot be reached.",
        where=f"etcd at {channel.endpoint}",
        why=said,
        next="tried again by itself",
    )
