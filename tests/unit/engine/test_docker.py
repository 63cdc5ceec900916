"""What we ask of Docker, as a value: only what no machine of ours can show on a real engine."""

from appliance.engine.docker import create_request
from appliance.engine.engine import ContainerSettings

PLAIN = ContainerSettings(name="a", image="b", labels={})


def test_gpus_are_requested_by_their_ids() -> None:
    host = create_request(ContainerSettings(name="a", image="b", labels={}, gpus=("GPU-1", "GPU-2")))["HostConfig"]
    assert host["DeviceRequests"] == [{"Driver": "nvidia", "DeviceIDs": ["GPU-1", "GPU-2"], "Capabilities": [["gpu"]]}]
    assert "DeviceRequests" not in create_request(PLAIN)["HostConfig"]


def test_only_who_asks_is_privileged() -> None:
    host = create_request(ContainerSettings(name="a", image="b", labels={}, privileged=True))["HostConfig"]
    assert host["Privileged"] is True and create_request(PLAIN)["HostConfig"]["Privileged"] is False
