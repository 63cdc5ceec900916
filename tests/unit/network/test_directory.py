"""Who is where: from the state, over the link, onto a node's disk."""

from pathlib import Path

import msgspec

from appliance.link.directory import news
from appliance.model.directory import Directory, Endpoint, Policy, VirtualAddress
from appliance.network.directory import directory
from appliance.network.directory_book import DirectoryBook
from tests.unit.link.cluster_in_memory import ClusterInMemory, seen
from tests.unit.network.test_entry import cluster


def endpoint(instance: str, *, ready: bool = True, ip: str = "10.42.1.2") -> Endpoint:
    return Endpoint(instance=instance, service="s", deploy="web", index=0, ip=ip, node="n1", ready=ready)


def reachable(made: ClusterInMemory) -> ClusterInMemory:
    made.set_node("n1", "ready")
    return made


def test_a_ready_instance_of_a_node_that_is_reached_serves() -> None:
    made = reachable(cluster())
    made.bind("s/web-0", "n1", "10.42.1.2")
    assert not directory(made.state).endpoints["s/web-0"].ready
    made.commit(made.state.instance_status.put("s/web-0", msgspec.structs.replace(seen("s/web-0", "n1"), ready=True)))
    assert directory(made.state).endpoints["s/web-0"].ready
    made.set_node("n1", "unreachable")
    found = directory(made.state).endpoints["s/web-0"]
    assert (found.ready, found.ip) == (False, "10.42.1.2")


def test_an_instance_without_an_address_is_not_listed() -> None:
    made = reachable(cluster())
    made.bind("s/web-0", "n1", "")
    assert directory(made.state).endpoints == {}


def test_deploys_have_their_ports_and_virtual_addresses() -> None:
    made = cluster()
    made.commit(made.state.virtual.put("s/web", VirtualAddress(service="s", deploy="web", ip="10.42.0.1")))
    assert directory(made.state).deploys["s/web"].virtual == "10.42.0.1"


def told(book: DirectoryBook, before: Directory | None, now: Directory) -> None:
    for message in news(before, now):
        book.take(
            full=message.full,
            endpoints=message.endpoints,
            gone=message.gone,
            deploys=message.deploys,
            policies=message.policies,
        )


def test_a_node_that_hears_all_news_knows_what_the_manager_knows(tmp_path: Path) -> None:
    book = DirectoryBook(tmp_path / "directory.json")
    heard: list[Directory] = []
    book.subscribe(heard.append)
    first = Directory(endpoints={"s/web-0": endpoint("s/web-0"), "s/web-1": endpoint("s/web-1", ip="10.42.1.3")})
    second = Directory(endpoints={"s/web-1": endpoint("s/web-1", ready=False)}, policies={"s": Policy(allow=("t",))})
    told(book, None, first)
    told(book, first, second)
    assert heard == [first, second]
    assert DirectoryBook(tmp_path / "directory.json").now == second


def test_what_did_not_change_is_not_told() -> None:
    same = Directory(endpoints={"s/web-0": endpoint("s/web-0")})
    assert news(same, same) == ()


def test_a_node_that_knows_nothing_is_told_even_that_there_is_nothing() -> None:
    assert [message.full for message in news(None, Directory())] == [True]


def test_many_endpoints_come_in_several_messages(tmp_path: Path) -> None:
    many = Directory(endpoints={f"s/web-{n}": endpoint(f"s/web-{n}") for n in range(12_000)})
    assert len(news(None, many)) == 3
    book = DirectoryBook(tmp_path / "directory.json")
    told(book, None, many)
    assert book.now == many


def test_a_damaged_file_is_no_directory(tmp_path: Path) -> None:
    (tmp_path / "directory.json").write_bytes(b'{"endpoints": \xff')
    assert DirectoryBook(tmp_path / "directory.json").now == Directory()
