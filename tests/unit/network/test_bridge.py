"""The engine's network of a node."""

from appliance.engine.engine import NetworkSettings
from appliance.engine.fake import FakeEngine
from appliance.network.bridge import Bridge


class NotingEngine(FakeEngine):
    def __init__(self) -> None:
        super().__init__({})
        self.asked: list[NetworkSettings] = []

    def ensure_network(self, settings: NetworkSettings) -> None:
        self.asked.append(settings)
        super().ensure_network(settings)


def test_the_network_has_the_nodes_part_of_the_overlay_and_follows_the_hosts_mtu() -> None:
    engine, mtu = NotingEngine(), iter([1450, 8950])
    mended: list[tuple[str, str, int]] = []
    bridge = Bridge(
        engine,
        "10.42.0.0/16",
        7,
        lambda: next(mtu),
        mend=lambda *given: mended.append(given),
        keep_published=lambda: None,
    )
    bridge.cycle()
    bridge.cycle()
    assert engine.asked[0] == NetworkSettings(
        name="appliance", bridge="appliance0", subnet="10.42.7.0/24", gateway="10.42.7.1", mtu=1450
    )
    assert engine.asked[1].mtu == 8950
    assert mended == [("appliance0", "10.42.7.1/24", 1450), ("appliance0", "10.42.7.1/24", 8950)]
