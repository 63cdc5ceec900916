"""The entry's rules reach the nodes that serve it, once for each change, and its certificates when they change."""

from appliance.link.entries import entry_telling
from appliance.link.messages import Entries, Picture
from appliance.model.entry import EntryRule, HostCertificate
from tests.unit.link.cluster_in_memory import ClusterInMemory, unstamped

NONE = Entries(rules=(), certificates=())


class Outbox:
    def __init__(self) -> None:
        self.sent: list[tuple[str, Picture]] = []

    def followers(self) -> set[str]:
        return {"n1", "n2"}

    def send(self, node_id: str, message: Picture) -> None:
        self.sent.append((node_id, unstamped(message)))

    def take(self) -> dict[str, Picture]:
        taken, self.sent = dict(self.sent), []
        return taken


class World:
    """Two connected nodes, of which the first serves the entry."""

    def __init__(self) -> None:
        self.outbox = Outbox()
        self.serving = {"n1"}
        self.rules: tuple[EntryRule, ...] = (EntryRule(service="s", backends=()),)
        self.certificates: tuple[HostCertificate, ...] = (HostCertificate(host="", chain="c", key="k"),)
        self.dispatch = entry_telling(
            ClusterInMemory(2).state,
            self.outbox,
            lambda _: self.rules,
            lambda _: self.serving,
            lambda _: self.certificates,
        )

    def news(self) -> dict[str, Picture]:
        self.dispatch.cycle()
        return self.outbox.take()

    @property
    def everything(self) -> Entries:
        return Entries(rules=self.rules, certificates=self.certificates)


def test_rules_go_to_serving_nodes_and_others_are_told_that_they_have_none() -> None:
    world = World()
    assert world.news() == {"n1": world.everything, "n2": NONE}
    assert world.news() == {}
    world.serving.add("n2")
    assert world.news() == {"n2": world.everything}
    world.dispatch.greet("n1")
    assert world.news() == {"n1": world.everything}


def test_certificates_go_along_only_when_they_have_changed() -> None:
    world = World()
    world.news()
    world.rules = (EntryRule(service="s", backends=("10.0.0.1:80",)),)
    assert world.news() == {"n1": Entries(rules=world.rules)}
    world.certificates = ()
    assert world.news() == {"n1": world.everything}
    world.serving.clear()
    assert world.news() == {"n1": Entries(rules=())}


def test_a_key_is_in_no_text_of_a_message() -> None:
    assert "k3y" not in repr(Entries(rules=(), certificates=(HostCertificate(host="a", chain="c", key="k3y"),)))
