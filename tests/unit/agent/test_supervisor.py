"""The supervisor: what is wanted comes to run, keeps running, and goes when it is to go. On a real engine and the fake.

A test that asks for `docker_node` is about time that only a real engine takes, one for `fake_node` steers the engine.
"""

import msgspec

from appliance.engine.container import PAUSE
from appliance.engine.fake import FakeEngine
from appliance.model.container import Container, Health, Probe
from appliance.model.instance import Assignment, PlannedContainer
from appliance.model.service import Volume
from tests.unit.agent.node import IMAGE, NETWORK, Node, alone, eventually, group


def test_an_instance_runs_then_stops_then_goes_with_its_volume(node: Node) -> None:
    wanted = alone()
    with node.supervised() as book:
        book.put(wanted)
        eventually(node.running)
        assert (node.folder / "volumes/shop/web-1/data").is_dir()
        book.put(msgspec.structs.replace(wanted, desired="stopped"))
        eventually(lambda: node.state() == "stopped")
        assert node.find() is not None
        book.put(msgspec.structs.replace(wanted, desired="removed"))
        eventually(lambda: node.state() == "removed")
        assert node.find() is None
        assert not (node.folder / "volumes/shop/web-1").exists()


def test_a_killed_container_runs_again_at_once(node: Node) -> None:
    with node.supervised() as book:
        book.put(alone())
        before = eventually(node.running)
        node.engine.stop(before.name, 0)
        eventually(lambda: (now := node.find()) is not None and now.pid not in (0, before.pid))
        assert eventually(node.running).id == before.id
        eventually(lambda: node.reported["shop/web-1"].restarts == 1)
        [told] = node.told
        assert told.startswith("shop/web-1 main was started again: it had ended with code ")


def test_a_container_that_somebody_removed_is_made_again(node: Node) -> None:
    with node.supervised() as book:
        book.put(alone())
        before = eventually(node.running)
        node.engine.remove(before.name)
        eventually(lambda: node.running().id != before.id)


def test_neither_a_new_supervisor_nor_a_new_revision_touches_what_is_right(node: Node) -> None:
    with node.supervised() as book:
        book.put(alone())
        before = eventually(node.running)
    node.reported.clear()
    with node.supervised() as book:
        eventually(lambda: node.state() == "running")
        book.put(msgspec.structs.replace(alone(), revision=2))
        eventually(lambda: node.reported["shop/web-1"].revision == 2)
        assert node.find() == before


def test_a_new_command_or_a_wished_restart_makes_the_container_anew(node: Node) -> None:
    with node.supervised() as book:
        book.put(alone())
        first = eventually(node.running)
        book.put(alone(("sleep", "2000")))
        eventually(lambda: node.running().id != first.id)
        second = node.running()
        book.put(msgspec.structs.replace(alone(("sleep", "2000")), restart=1))
        eventually(lambda: node.running().id != second.id)


def test_a_container_that_keeps_ending_is_backed_off_and_says_why(node: Node) -> None:
    with node.supervised() as book:
        book.put(alone(("sh", "-c", "exit 3")))
        eventually(lambda: node.state() == "backoff")
        assert "ended with code 3" in node.message()


def test_a_container_that_cannot_start_says_why(node: Node) -> None:
    with node.supervised() as book:
        book.put(alone(("no-such-program",)))
        eventually(lambda: node.state() == "backoff" and "no-such-program" in node.message())
        book.put(alone())
        eventually(node.running)
        eventually(lambda: node.message() == "")


def test_an_instance_is_ready_once_its_probe_passes(node: Node) -> None:
    probe = Probe(exec=("test", "-e", "/data/ready"), every=0.2)
    with node.supervised() as book:
        book.put(alone(health=Health(ready=probe)))
        eventually(lambda: node.state() == "running")
        assert not node.reported["shop/web-1"].ready
        (node.folder / "volumes/shop/web-1/data/ready").touch()
        eventually(lambda: node.reported["shop/web-1"].ready)


def test_a_container_whose_live_probe_fails_is_started_again(node: Node) -> None:
    probe = Probe(exec=("test", "!", "-e", "/data/sick"), every=0.2, failures=2)
    sick = node.folder / "volumes/shop/web-1/data/sick"
    with node.supervised() as book:
        book.put(alone(health=Health(live=probe)))
        first = eventually(node.running)
        sick.touch()
        eventually(lambda: (now := node.find()) is not None and now.started_at != first.started_at)
        sick.unlink()
        eventually(lambda: node.running() and node.reported["shop/web-1"].restarts >= 1)
        assert "main was started again: its health check said no" in node.told[0]


def test_a_container_without_a_ready_check_is_ready_once_it_stayed_up_for_a_second(node: Node) -> None:
    with node.supervised() as book:
        book.put(alone())
        eventually(lambda: node.state() == "running")
        assert not node.reported["shop/web-1"].ready
        eventually(lambda: node.reported["shop/web-1"].ready)


def test_a_container_whose_start_probe_fails_is_started_again(node: Node) -> None:
    probe = Probe(exec=("test", "-e", "/data/up"), every=0.2, failures=2)
    with node.supervised() as book:
        book.put(alone(health=Health(start=probe)))
        first = eventually(node.running)
        eventually(lambda: (now := node.find()) is not None and now.started_at not in ("", first.started_at))
        assert not node.reported["shop/web-1"].ready
        (node.folder / "volumes/shop/web-1/data/up").touch()
        eventually(lambda: node.reported["shop/web-1"].ready)


def test_failures_count_until_the_container_stayed_up_long_enough(node: Node) -> None:
    failing, well = alone(("sh", "-c", "exit 3")), alone()
    spec = msgspec.structs.replace(well.containers[0].spec, stable_after=0.5)
    with node.supervised() as book:
        book.put(failing)
        eventually(lambda: node.state() == "backoff" and node.reported["shop/web-1"].failures >= 3)
        book.put(msgspec.structs.replace(well, containers=(PlannedContainer(name="main", spec=spec),)))
        eventually(lambda: node.state() == "running" and node.reported["shop/web-1"].failures == 0)


def test_leftovers_go_only_after_full_orders(node: Node) -> None:
    with node.supervised() as book:
        book.put(alone())
        eventually(node.running)
    (node.folder / "assignments/shop/web-1.json").write_text("{damaged")
    node.reported.clear()
    with node.supervised() as book:
        assert book.damaged == {"shop/web-1"}
        assert node.find() is not None
        book.apply(full=True, assignments=())
        eventually(lambda: node.find() is None)


def test_many_instances_end_side_by_side(docker_node: Node) -> None:
    """Each takes all of its grace, since `sleep` as the first process does not hear SIGTERM."""
    node = docker_node
    many = [msgspec.structs.replace(alone(index=n), stop_grace=3.0) for n in range(1, 11)]
    with node.supervised() as book:
        book.apply(full=True, assignments=many)
        eventually(lambda: all(node.state(a.instance) == "running" for a in many))
        book.apply(full=True, assignments=())
        eventually(lambda: all(node.state(a.instance) == "stopping" for a in many))
        eventually(lambda: all(node.state(a.instance) == "removed" for a in many))


def test_what_ended_while_the_engine_was_away_runs_again_when_it_is_back(fake_node: Node) -> None:
    node = fake_node
    assert isinstance(node.engine, FakeEngine)
    with node.supervised() as book:
        book.put(alone())
        before = eventually(node.running)
        with node.engine.away():
            node.engine.end(before.name, 9)
        assert eventually(node.running).id == before.id
        assert node.running().started_at != before.started_at


# -- Several containers with one address --


def _all_running(node: Node) -> dict[str, str]:
    """Container → the engine's id."""
    return {name: node.running(name).id for name in (PAUSE, "main", "log")}


def _started(node: Node) -> list[str]:
    """When the pause container was started, then when each of the others."""
    return [node.running(name).started_at for name in (PAUSE, "main", "log")]


def test_containers_of_a_group_share_the_address_that_the_pause_container_holds(node: Node) -> None:
    node.engine.ensure_network(NETWORK)
    with node.supervised() as book:
        book.put(group())
        eventually(lambda: _all_running(node) and node.state() == "running")
        assert [node.running(name).ip for name in (PAUSE, "main", "log")] == ["10.98.9.5", "", ""]
        assert [shown.name for shown in node.reported["shop/web-1"].containers] == ["log", "main"]
        assert node.reported["shop/web-1"].ip == "10.98.9.5"


def test_one_container_of_a_group_is_started_again_alone(node: Node) -> None:
    node.engine.ensure_network(NETWORK)
    with node.supervised() as book:
        book.put(group())
        before = eventually(lambda: _started(node))
        node.engine.stop(node.running("main").name, 0)
        eventually(lambda: node.running("main").started_at != before[1])
        assert [node.running(PAUSE).started_at, node.running("log").started_at] == [before[0], before[2]]


def test_when_the_pause_container_ends_all_are_started_again_after_it(node: Node) -> None:
    node.engine.ensure_network(NETWORK)
    with node.supervised() as book:
        book.put(group())
        ids = eventually(lambda: _all_running(node))
        before = _started(node)
        node.engine.stop(node.running(PAUSE).name, 0)
        eventually(lambda: all(now > then for now, then in zip(_started(node), before, strict=True)))
        pause, *others = _started(node)
        assert all(pause < other for other in others), "they would be in the network of the one that ended"
        assert _all_running(node) == ids


def test_when_the_pause_container_is_gone_all_are_made_anew(node: Node) -> None:
    node.engine.ensure_network(NETWORK)
    with node.supervised() as book:
        book.put(group())
        before = eventually(lambda: _all_running(node))
        node.engine.remove(node.running(PAUSE).name)
        eventually(lambda: not set(_all_running(node).values()) & set(before.values()))
        assert node.running(PAUSE).ip == "10.98.9.5"


def test_a_group_that_becomes_one_container_keeps_the_address(node: Node) -> None:
    node.engine.ensure_network(NETWORK)
    single = PlannedContainer(name="main", spec=Container(image=IMAGE, command=("sleep", "1000")))
    with node.supervised() as book:
        book.put(group())
        eventually(lambda: _all_running(node))
        book.put(group(single))
        eventually(lambda: node.running("main").ip == "10.98.9.5")
        assert node.find(PAUSE) is None and node.find("log") is None


def test_a_volume_in_memory_is_shared_by_a_group_and_empty_after_each_start_from_nothing(fake_node: Node) -> None:
    containers = tuple(
        msgspec.structs.replace(each, spec=msgspec.structs.replace(each.spec, volumes={"fast": "/fast"}))
        for each in group().containers
    )
    wanted = msgspec.structs.replace(group(*containers), volumes={"fast": Volume(medium="memory", size=1 << 20)})
    note = fake_node.folder / "memory/shop/web-1/fast/note"
    fake_node.engine.ensure_network(NETWORK)
    with fake_node.supervised() as book:
        book.put(wanted)
        first = eventually(fake_node.running)
        eventually(lambda: fake_node.running("log"))
        note.write_text("from the first run")
        fake_node.engine.stop(first.name, 0)
        eventually(lambda: fake_node.running().started_at > first.started_at)
        assert note.exists(), "the other container still runs"
        book.put(msgspec.structs.replace(wanted, desired="stopped"))
        eventually(lambda: fake_node.state() == "stopped")
        book.put(wanted)
        eventually(fake_node.running)
        assert note.parent.is_mount() and not note.exists()
        book.put(msgspec.structs.replace(wanted, desired="removed"))
        eventually(lambda: fake_node.state() == "removed")
        assert not note.parent.exists()


# -- Ranks after a start of the node --


def _ranked(rank: int) -> Assignment:
    return msgspec.structs.replace(alone(index=rank), rank=rank)


def test_what_is_found_on_the_disk_starts_by_rank(fake_node: Node) -> None:
    with fake_node.supervised() as book:
        for rank in (1, 2):
            book.put(_ranked(rank))
        eventually(lambda: all(fake_node.state(f"shop/web-{n}") == "running" for n in (1, 2)))
        names = [fake_node.running(instance=f"shop/web-{n}").name for n in (1, 2)]
    for name in names:
        fake_node.engine.stop(name, 0)
    fake_node.reported.clear()
    with fake_node.supervised() as book:
        eventually(lambda: fake_node.state("shop/web-1") == fake_node.state("shop/web-2") == "waiting")
        assert "still to run here" in fake_node.message("shop/web-1")
        book.apply(full=True, assignments=[_ranked(1), _ranked(2)])
        eventually(lambda: "lower ranks" in fake_node.message("shop/web-1"))
        assert fake_node.message("shop/web-2") == "waiting for lower ranks: shop/web-1"
        book.put(_ranked(3))
        eventually(lambda: fake_node.state("shop/web-3") == "running")
        fake_node.open_gates({})
        eventually(lambda: fake_node.running(instance="shop/web-2"))
        first, second = (fake_node.running(instance=f"shop/web-{n}").started_at for n in (1, 2))
        assert first < second


def test_an_evicted_node_that_comes_back_with_its_power_starts_nothing_that_lives_elsewhere_now(
    fake_node: Node,
) -> None:
    with fake_node.supervised() as book:
        book.put(alone())
        before = eventually(fake_node.running)
    fake_node.engine.stop(before.name, 0)
    fake_node.reported.clear()
    with fake_node.supervised() as book:
        eventually(lambda: fake_node.state() == "waiting")
        book.apply(full=True, assignments=[])
        eventually(lambda: fake_node.state() == "removed")
    assert not fake_node.told, "it was started again"


def test_what_crashes_waits_for_no_rank(fake_node: Node) -> None:
    with fake_node.supervised() as book:
        book.put(_ranked(2))
        before = eventually(lambda: fake_node.running(instance="shop/web-2"))
    with fake_node.supervised():
        eventually(lambda: fake_node.state("shop/web-2") == "running")
        fake_node.engine.stop(before.name, 0)
        eventually(lambda: fake_node.running(instance="shop/web-2").started_at != before.started_at)
