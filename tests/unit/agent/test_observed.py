"""What is known of a node's containers, from the engine's events and from looking."""

import time

from appliance.agent.observed import Observed
from appliance.engine.container import INSTANCE_LABEL, ROOT_LABEL
from appliance.engine.engine import ContainerSettings, EngineEvent
from appliance.engine.fake import FakeEngine
from appliance.engine.fake_container import Image
from tests.unit.agent.node import ROOT

LABELS = {ROOT_LABEL: ROOT, INSTANCE_LABEL: "shop/web-1"}


def test_an_end_is_noticed_although_the_clock_was_set_back_after_the_start() -> None:
    engine = FakeEngine({"a:1": Image("sha256:1")})
    observed = Observed(engine, ROOT, time.monotonic)
    engine.create(ContainerSettings(name="web", image="a:1", command=("sleep", "1000"), labels=LABELS))
    engine.start("web")
    observed.look("shop/web-1", "web")
    engine.stop("web", 0)
    assert observed.happened(EngineEvent("die", "web", LABELS, at=1.0, exit_code=137)) is None
    observed.refresh("shop/web-1")
    assert observed.containers("shop/web-1")["web"].state == "exited"
