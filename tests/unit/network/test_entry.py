"""Which requests from outside go to which instances."""

import msgspec

from appliance.model.container import Container
from appliance.model.entry import EntryRule
from appliance.model.service import Deploy, Entry, Revision, Rollout, Service, ServiceHead
from appliance.network.entry import entry_nodes, entry_rules
from appliance.store import keys
from appliance.store.codec import encode
from appliance.store.store import Put
from tests.unit.link.cluster_in_memory import NOW, ClusterInMemory, seen


def cluster(*entries: Entry, service: str = "s") -> ClusterInMemory:
    """Two nodes, one instance of the deploy ``web`` on the first."""
    made = ClusterInMemory(nodes=2)
    write(made, 1, *entries, service=service)
    made.commit(made.state.services.put(service, ServiceHead(service=service, revision=1)))
    return made


def write(made: ClusterInMemory, number: int, *entries: Entry, service: str = "s") -> None:
    web = Deploy(name="web", containers={"main": Container(image="a:1")})
    spec = Service(name=service, deploys={"web": web}, entry=entries)
    revision = Revision(service=service, number=number, spec=spec, author="me", created_at=NOW)
    made.commit(Put(keys.revision_key(service, number), encode(revision)))


def serve(made: ClusterInMemory, instance: str, ip: str, *, ready: bool = True) -> None:
    made.bind(instance, "n1", ip)
    status = msgspec.structs.replace(seen(instance, "n1"), ready=ready)
    made.commit(made.state.instance_status.put(instance, status))


def test_ready_instances_are_the_backends() -> None:
    made = cluster(Entry(deploy="web", port=80, host="shop.local"))
    serve(made, "s/web-0", "10.42.1.2")
    serve(made, "s/web-1", "10.42.1.3", ready=False)
    serve(made, "s/web-2-0", "10.42.1.4")  # of a deploy called web-2
    rule = EntryRule(service="s", host="shop.local", path="/", backends=("10.42.1.2:80",))
    assert entry_rules(made.state) == (rule,)


def test_an_instance_on_the_hosts_network_is_reached_at_its_nodes_address() -> None:
    made = cluster(Entry(deploy="web", port=80))
    serve(made, "s/web-0", "")
    assert entry_rules(made.state)[0].backends == ("192.0.2.1:80",)


def test_of_two_services_that_want_the_same_the_first_by_name_has_it() -> None:
    made = cluster(Entry(deploy="web", port=80, host="a"))
    write(made, 1, Entry(deploy="web", port=81, host="a"), Entry(deploy="web", port=81, host="b"), service="t")
    made.commit(made.state.services.put("t", ServiceHead(service="t", revision=1)))
    assert [(rule.service, rule.host) for rule in entry_rules(made.state)] == [("s", "a"), ("t", "b")]


def test_a_failed_rollout_leaves_the_entry_of_the_revision_before() -> None:
    made = cluster(Entry(deploy="web", port=80, host="old"))
    write(made, 2, Entry(deploy="web", port=80, host="new"))
    made.commit(made.state.services.put("s", ServiceHead(service="s", revision=2)))
    assert [rule.host for rule in entry_rules(made.state)] == ["new"]
    failed = Rollout(service="s", revision=2, state="failed", previous=1)
    made.commit(made.state.rollouts.put("s", failed))
    assert [rule.host for rule in entry_rules(made.state)] == ["old"]


def test_a_service_that_is_being_deleted_has_no_entry() -> None:
    made = cluster(Entry(deploy="web", port=80))
    made.commit(made.state.services.put("s", ServiceHead(service="s", revision=1, deleted=True)))
    assert entry_rules(made.state) == ()


def test_managers_and_labelled_nodes_serve_the_entry() -> None:
    made = cluster()
    node = made.state.nodes.get("n1")
    assert node is not None
    made.commit(made.state.nodes.put("n1", msgspec.structs.replace(node, roles=("manager", "agent"))))
    assert entry_nodes(made.state) == {"n1"}
    made.label("n2", entry="")
    assert entry_nodes(made.state) == {"n1", "n2"}


def test_rules_for_ports_come_after_those_for_requests() -> None:
    made = cluster(Entry(deploy="web", port=80, tcp=70), Entry(deploy="web", port=81, host="b", sticky=True))
    first, second = entry_rules(made.state)
    assert (first.host, first.sticky, first.name) == ("b", True, "b/")
    assert (second.protocol, second.port, second.name) == ("tcp", 70, "tcp/70")
