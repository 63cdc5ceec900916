"""Nodes are told who is where when they say hello, and then of changes only."""

from appliance.link.directory import directory_telling
from appliance.link.messages import DirectoryNews
from appliance.model.directory import Directory, Endpoint
from tests.unit.link.cluster_in_memory import ClusterInMemory
from tests.unit.link.test_entries import Outbox


def endpoint(*, ready: bool) -> Endpoint:
    return Endpoint(instance="s/web-0", service="s", deploy="web", index=0, ip="10.42.1.2", node="n1", ready=ready)


def test_everything_comes_after_a_hello_and_afterwards_what_changed() -> None:
    outbox = Outbox()
    now = [Directory(endpoints={"s/web-0": endpoint(ready=False)})]
    dispatch = directory_telling(ClusterInMemory(2).state, outbox, lambda _: now[0])
    dispatch.cycle()
    first = DirectoryNews(full=True, endpoints=(endpoint(ready=False),), deploys={}, policies={})
    assert outbox.take() == {"n1": first, "n2": first}
    dispatch.cycle()
    assert outbox.take() == {}
    now[0] = Directory(endpoints={"s/web-0": endpoint(ready=True)})
    dispatch.cycle()
    change = DirectoryNews(full=False, endpoints=(endpoint(ready=True),))
    assert outbox.take() == {"n1": change, "n2": change}
    dispatch.greet("n2")
    dispatch.cycle()
    assert [message.full for message in outbox.take().values() if isinstance(message, DirectoryNews)] == [True]
