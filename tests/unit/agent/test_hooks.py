"""Hooks: what runs before, after and around the containers of an instance. On a real engine and the fake.

Every hook here leaves a line in the volume of the instance, so that the file tells what ran, in which order.
"""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from appliance.engine.container import PAUSE
from appliance.engine.docker import DockerEngine
from appliance.engine.fake import FakeEngine
from appliance.engine.fake_container import Image
from appliance.model.container import Container
from appliance.model.instance import Assignment, PlannedContainer
from appliance.model.service import Hook, Hooks, Volume
from tests.unit.agent.node import FUNCTIONS, IMAGE, NETWORK, Node, eventually, program

MAIN = ("sh", "-c", "echo main >> /data/log; exec sleep 1000")
ENDS = ("sh", "-c", "echo main >> /data/log; exit 0")


def _note(word: str) -> tuple[str, ...]:
    return ("sh", "-c", f"echo {word} >> /data/log")


FAIL = ("sh", "-c", "echo fail >> /data/log; test -e /data/well")
HANG = ("sh", "-c", "echo hang >> /data/log; sleep 1000")
WORDS = ("pre1", "pre2", "up", "down", "post")


@pytest.fixture(params=["fake", "docker"])
def node(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Node]:
    if request.param == "docker":
        made = Node(DockerEngine(request.getfixturevalue("docker_socket")), tmp_path)
    else:
        made = _fake(tmp_path)
    yield made
    made.clean()


PROGRAMS = {
    **FUNCTIONS,
    **{" ".join(_note(word)): program(word) for word in WORDS},
    " ".join(MAIN): program("main", seconds=1000),
    " ".join(ENDS): program("main"),
    " ".join(FAIL): program("fail", unless="well"),
    " ".join(HANG): program("hang", seconds=1000),
}


def _fake(folder: Path) -> Node:
    return Node(FakeEngine({IMAGE: Image("sha256:b")}, PROGRAMS), folder)


def _all(**changed: Hook) -> Hooks:
    """One or two at each moment."""
    return Hooks(
        pre=(changed.get("pre1", Hook(run=_note("pre1"))), changed.get("pre2", Hook(run=_note("pre2")))),
        after_start=(changed.get("up", Hook(run=_note("up"))),),
        before_stop=(changed.get("down", Hook(run=_note("down"))),),
        post=(changed.get("post", Hook(run=_note("post"))),),
    )


def _wanted(hooks: Hooks, command: tuple[str, ...] = MAIN, **spec: object) -> Assignment:
    container = msgspec.structs.replace(Container(image=IMAGE, command=command, volumes={"data": "/data"}), **spec)
    return Assignment(
        instance="shop/web-1",
        service="shop",
        deploy="web",
        index=1,
        revision=1,
        host_network=True,
        containers=(PlannedContainer(name="main", spec=container),),
        volumes={"data": Volume()},
        stop_grace=0.0,
        hooks=hooks,
    )


def _log(node: Node, volumes: str = "volumes") -> list[str]:
    """A program and the hook after its start run side by side: whichever was quicker, the program is named first."""
    file = node.folder / volumes / "shop/web-1/data/log"
    words = file.read_text() if file.exists() else ""
    return (
        words.replace("pre2\nup\nmain\n", "pre2\nmain\nup\n")
        .replace("pre2\nfail\nmain\n", "pre2\nmain\nfail\n")
        .split()
    )


START = ["pre1", "pre2", "main", "up"]
STOP = ["down", "post"]


def test_hooks_run_in_their_order_around_the_containers(node: Node) -> None:
    with node.supervised() as book:
        book.put(_wanted(_all()))
        eventually(lambda: node.state() == "running")
        assert _log(node) == START
        assert [each.name for each in node.reported["shop/web-1"].containers] == ["main"]
        eventually(lambda: node.state() == "running" and node.reported["shop/web-1"].ready)
        book.put(msgspec.structs.replace(_wanted(_all()), desired="stopped"))
        eventually(lambda: node.state() == "stopped")
        assert _log(node) == START + STOP
        book.put(_wanted(_all()))
        eventually(lambda: node.state() == "running")
        assert _log(node) == START + STOP + START
        book.put(msgspec.structs.replace(_wanted(_all()), desired="removed"))
        eventually(lambda: node.state() == "removed")
        assert not (node.folder / "records/shop/web-1.json").exists()
        assert node.engine.list({"appliance.instance": "shop/web-1"}) == []


def test_a_volume_in_memory_lasts_from_the_first_step_to_the_last(tmp_path: Path) -> None:
    """Not on the real engine: it runs on a lab host and does not see what is mounted here."""
    node = _fake(tmp_path)
    wanted = msgspec.structs.replace(_wanted(_all()), volumes={"data": Volume(medium="memory", size=1 << 20)})
    with node.supervised() as book:
        book.put(wanted)
        eventually(lambda: node.state() == "running")
        assert _log(node, "memory") == START
        book.put(msgspec.structs.replace(wanted, desired="stopped"))
        eventually(lambda: node.state() == "stopped")
        assert _log(node, "memory") == START + STOP
        book.put(wanted)
        eventually(lambda: node.state() == "running")
        assert _log(node, "memory") == START, "the next start begins with nothing"
        book.put(msgspec.structs.replace(wanted, desired="removed"))
        eventually(lambda: node.state() == "removed")


def test_an_update_or_a_wished_restart_is_a_stop_and_a_start(node: Node) -> None:
    with node.supervised() as book:
        book.put(_wanted(_all()))
        eventually(lambda: node.state() == "running")
        book.put(msgspec.structs.replace(_wanted(_all()), restart=1))
        eventually(lambda: node.reported["shop/web-1"].restart == 1 and node.state() == "running")
        assert _log(node) == START + STOP + START
        book.put(msgspec.structs.replace(_wanted(_all(), env={"A": "b"}), restart=1, revision=2))
        eventually(lambda: len(_log(node)) == 3 * len(START) + 2 * len(STOP) and node.state() == "running")
        assert _log(node) == START + (STOP + START) * 2


def test_a_container_that_ends_is_started_again_without_hooks(node: Node) -> None:
    with node.supervised() as book:
        book.put(_wanted(_all()))
        eventually(lambda: node.state() == "running")
        before = node.running()
        node.engine.stop(before.name, 0)
        eventually(lambda: node.running().started_at != before.started_at and node.state() == "running")
        assert _log(node) == [*START, "main"]


def test_a_new_agent_repeats_no_hook_while_the_instance_runs(node: Node) -> None:
    with node.supervised() as book:
        book.put(_wanted(_all()))
        eventually(lambda: node.state() == "running")
    node.reported.clear()
    with node.supervised():
        eventually(lambda: node.state() == "running" and node.reported["shop/web-1"].ready)
    assert _log(node) == START


def test_where_nothing_runs_when_the_agent_starts_it_is_a_start_with_its_hooks(node: Node) -> None:
    with node.supervised() as book:
        book.put(_wanted(_all()))
        eventually(lambda: node.state() == "running")
        name = node.running().name
    node.engine.stop(name, 0)
    node.reported.clear()
    with node.supervised():
        eventually(lambda: node.state() == "running")
    assert _log(node) == START + START


def test_a_pre_hook_that_fails_holds_the_start_until_it_succeeds(node: Node) -> None:
    with node.supervised() as book:
        book.put(_wanted(_all(pre2=Hook(run=FAIL))))
        eventually(lambda: node.state() == "backoff" and node.reported["shop/web-1"].failures >= 2)
        assert "pre hook 2" in node.message() and "ended with code 1" in node.message()
        assert node.find() is None
        # For its log; the next try, which may be near, makes it anew.
        eventually(lambda: (kept := node.find("pre.1")) is not None and kept.state == "exited")
        (node.folder / "volumes/shop/web-1/data/well").touch()
        eventually(lambda: node.state() == "running")
        assert "main" in _log(node) and node.message() == ""
        assert node.reported["shop/web-1"].failures == 0


def test_a_failure_that_is_to_be_ignored_is_only_reported(node: Node) -> None:
    with node.supervised() as book:
        book.put(_wanted(_all(pre2=Hook(run=FAIL, on_failure="ignore"))))
        eventually(lambda: node.state() == "running")
        assert _log(node) == ["pre1", "fail", "main", "up"]
        assert "pre hook 2" in node.message() and node.reported["shop/web-1"].failures == 0


def test_a_start_is_given_up_when_what_is_due_after_it_fails(node: Node) -> None:
    with node.supervised() as book:
        book.put(_wanted(_all(up=Hook(run=FAIL))))
        eventually(lambda: len(_log(node)) >= 12)
        assert _log(node)[:12] == ["pre1", "pre2", "main", "fail", "down", "post"] * 2
        assert not node.reported["shop/web-1"].ready
        (node.folder / "volumes/shop/web-1/data/well").touch()
        eventually(lambda: node.state() == "running")


def test_a_hook_that_takes_too_long_is_ended(node: Node) -> None:
    with node.supervised() as book:
        book.put(_wanted(_all(pre1=Hook(run=HANG, timeout=0.3))))
        eventually(lambda: node.state() == "backoff")
        assert "took longer than 0.3 s" in node.message()


def test_a_stop_goes_on_whatever_its_hooks_do(node: Node) -> None:
    hooks = _all(down=Hook(run=HANG, timeout=0.3), post=Hook(run=FAIL))
    with node.supervised() as book:
        book.put(_wanted(hooks))
        eventually(lambda: node.state() == "running")
        book.put(msgspec.structs.replace(_wanted(hooks), desired="stopped"))
        eventually(lambda: node.state() == "stopped")
        assert _log(node) == [*START, "hang", "fail"]
        assert "post hook 1" in node.message()


def test_what_is_changed_stops_with_the_hooks_it_was_started_with(node: Node) -> None:
    with node.supervised() as book:
        book.put(_wanted(_all()))
        eventually(lambda: node.state() == "running")
        book.put(_wanted(Hooks(), env={"A": "b"}))
        eventually(lambda: _log(node) == [*START, *STOP, "main"] and node.state() == "running")


def test_hooks_alone_change_without_a_restart(node: Node) -> None:
    with node.supervised() as book:
        book.put(_wanted(_all()))
        eventually(lambda: node.state() == "running")
        changed = msgspec.structs.replace(_wanted(_all(down=Hook(run=_note("up")))), revision=2)
        book.put(changed)
        eventually(lambda: node.reported["shop/web-1"].revision == 2 and node.state() == "running")
        assert _log(node) == START
        book.put(msgspec.structs.replace(changed, desired="stopped"))
        eventually(lambda: node.state() == "stopped")
        assert _log(node) == [*START, "up", "post"]


def test_a_damaged_record_of_what_runs_repeats_nothing(node: Node) -> None:
    with node.supervised() as book:
        book.put(_wanted(_all()))
        eventually(lambda: node.state() == "running")
    for damage in (b"", b"{"):
        (node.folder / "records/shop/web-1.json").write_bytes(damage)
        node.reported.clear()
        with node.supervised():
            eventually(lambda: node.state() == "running" and node.reported["shop/web-1"].ready)
    assert _log(node) == START


def test_a_container_that_is_never_started_again_stays_down_until_somebody_asks(node: Node) -> None:
    wanted = _wanted(Hooks(), ENDS, restart="never")
    with node.supervised() as book:
        book.put(wanted)
        eventually(lambda: node.state() == "stopped")
        assert "stays down" in node.message() and not node.reported["shop/web-1"].ready
    node.reported.clear()
    with node.supervised() as book:
        eventually(lambda: node.state() == "stopped")
        assert _log(node) == ["main"], "neither the end nor a new agent is a reason"
        book.put(msgspec.structs.replace(wanted, desired="stopped"))
        eventually(lambda: node.state() == "stopped" and "stays down" not in node.message())
        book.put(wanted)
        eventually(lambda: _log(node) == ["main", "main"])
        eventually(lambda: node.state() == "stopped")


def test_one_shot_containers_share_the_instances_address(node: Node) -> None:
    node.engine.ensure_network(NETWORK)
    hooks = _all(pre1=Hook(run=FAIL), up=Hook(run=_note("up"), image=IMAGE))
    wanted = msgspec.structs.replace(_wanted(hooks), host_network=False, ip="10.98.9.5")
    with node.supervised() as book:
        book.put(wanted)
        eventually(lambda: node.find("pre.0") is not None and node.state() == "backoff")
        assert node.running(PAUSE).ip == "10.98.9.5" and node.find() is None
        (node.folder / "volumes/shop/web-1/data/well").touch()
        eventually(lambda: node.state() == "running")
        book.put(msgspec.structs.replace(wanted, desired="stopped"))
        eventually(lambda: node.state() == "stopped")
        pause = node.find(PAUSE)
        assert _log(node)[-2:] == STOP and pause is not None and pause.state == "exited"
        book.put(wanted)
        eventually(lambda: node.state() == "running" and node.reported["shop/web-1"].ready)


def test_an_instance_that_gets_hooks_hands_its_address_over(node: Node) -> None:
    node.engine.ensure_network(NETWORK)
    wanted = msgspec.structs.replace(_wanted(Hooks()), host_network=False, ip="10.98.9.5")
    with node.supervised() as book:
        book.put(wanted)
        eventually(lambda: node.running().ip == "10.98.9.5")
        book.put(msgspec.structs.replace(wanted, hooks=_all()))
        # It was not started with a hook before its stop.
        eventually(lambda: _log(node) == ["main", *START] and node.running(PAUSE).ip == "10.98.9.5")
        eventually(lambda: node.reported["shop/web-1"].ready)
        book.put(wanted)
        eventually(lambda: node.running().ip == "10.98.9.5" and node.find(PAUSE) is None)
        assert _log(node)[-3:] == [*STOP, "main"]
