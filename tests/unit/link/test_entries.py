"""The entry's rules reach the nodes that serve it, once for each change."""

from appliance.link.entries import EntryDispatch
from appliance.link.messages import Entries, FromManager
from appliance.model.entry import EntryRule
from tests.unit.link.cluster_in_memory import ClusterInMemory


class Outbox:
    def __init__(self) -> None:
        self.sent: list[tuple[str, FromManager]] = []

    def connected(self) -> set[str]:
        return {"n1", "n2"}

    def send(self, node_id: str, message: FromManager) -> None:
        self.sent.append((node_id, message))

    def take(self) -> dict[str, FromManager]:
        taken, self.sent = dict(self.sent), []
        return taken


def test_rules_go_to_serving_nodes_and_others_are_told_that_they_have_none() -> None:
    outbox, serving = Outbox(), {"n1"}
    rule = EntryRule(service="s", host="", path="/", backends=())
    dispatch = EntryDispatch(ClusterInMemory(2).state, outbox, lambda _: (rule,), lambda _: serving)
    dispatch.cycle()
    assert outbox.take() == {"n1": Entries(rules=(rule,)), "n2": Entries(rules=())}
    dispatch.cycle()
    assert outbox.take() == {}
    serving.add("n2")
    dispatch.cycle()
    assert outbox.take() == {"n2": Entries(rules=(rule,))}
    dispatch.greet("n1")
    dispatch.cycle()
    assert outbox.take() == {"n1": Entries(rules=(rule,))}
