"""How far a member of etcd is, asked of that member itself: it answers without a majority, too."""

from dataclasses import dataclass

import grpc

from appliance.store.etcd_channels import EtcdChannels
from appliance.store.etcd_messages import messages, stubs

LOOK_SECONDS = 3.0


@dataclass(frozen=True)
class Progress:
    """`revision`: of the newest change that it has applied."""

    revision: int
    term: int


def ask_progress(channels: EtcdChannels, endpoint: str) -> Progress | None:
    """None where it does not say: it is not there, or was started and has found no majority since."""
    maintenance = stubs.MaintenanceStub(channels.at(endpoint).channel)
    try:
        answer = maintenance.Status(messages.StatusRequest(), timeout=LOOK_SECONDS)
    except grpc.RpcError:
        return None
    return Progress(int(answer.header.revision), int(answer.raftTerm))
