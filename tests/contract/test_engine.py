"""What an engine keeps to: run on a real dockerd and on the fake.

A test that asks for `docker` is about what only a kernel does, or about Docker itself; the fake has no part in it.
"""

import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from appliance.engine.docker import DockerEngine
from appliance.engine.engine import BindMount, ContainerSettings, Engine, EngineEvent, NetworkSettings, PublishedPort
from appliance.engine.fake import FakeEngine
from appliance.engine.fake_container import Image
from appliance.engine.fake_program import PROGRAMS, Process
from appliance.errors import EngineError, EngineUnavailable, NoSuchContainer
from tests.lab.images import docker_archive
from tests.lab.registry import RemoteImage, serving
from tests.lab.waiting import eventually

LABELS = {"appliance.root": "contract"}
SLEEPER = ContainerSettings(
    name="contract-sleeper", image="busybox:lab", labels=LABELS, command=("sleep", "1000"), network="none"
)
NETWORK = NetworkSettings(name="contract", bridge="contract0", subnet="10.98.7.0/24", gateway="10.98.7.1")
HOLDER = replace(
    SLEEPER,
    name="contract-holder",
    network="contract",
    ip="10.98.7.9",
    ports=(PublishedPort(container_port=80, host_port=18999),),
)
SHARER = replace(SLEEPER, name="contract-sharer", network=f"container:{HOLDER.name}")


# -- The programs of these tests: a script for the real engine, and the same as a function for the fake. --

SPEAK = "echo one; echo two >&2; sleep 1; echo three"
FAIL = "echo out; echo err >&2; exit 7"
DAWDLE = "echo begun; sleep 100"
ANSWER = "read x; echo got-$x; exit 3"


def _speak(process: Process) -> None:
    process.print("one")
    process.print("two", "stderr")
    process.wait(1)
    process.print("three")


def _fail(process: Process) -> int:
    process.print("out")
    process.print("err", "stderr")
    return 7


def _dawdle(process: Process) -> None:
    process.print("begun")
    process.wait(100)


def _answer(process: Process) -> int:
    process.print(f"got-{process.read_line().strip()}")
    return 3


FUNCTIONS = {f"sh -c {SPEAK}": _speak, f"sh -c {FAIL}": _fail, f"sh -c {DAWDLE}": _dawdle, f"sh -c {ANSWER}": _answer}


def _sh(script: str) -> tuple[str, ...]:
    return ("sh", "-c", script)


REMOTE = RemoteImage("127.0.0.1:5000", "contract/remote")


def _registry(reference: str) -> Image:
    if reference != REMOTE.reference:
        raise EngineError(f"No {reference}.")
    return Image(REMOTE.id)


@pytest.fixture
def docker(docker_socket: Path) -> Iterator[Engine]:
    made = DockerEngine(docker_socket)
    yield made
    for container in made.list(LABELS):
        made.remove(container.name)
    made.remove_network("contract")


@pytest.fixture(params=["fake", "docker"])
def any_engine(request: pytest.FixtureRequest) -> Engine:
    if request.param == "fake":
        return FakeEngine({"busybox:lab": Image(f"sha256:{'b' * 64}")}, {**PROGRAMS, **FUNCTIONS}, _registry)
    docker: Engine = request.getfixturevalue("docker")
    return docker


@pytest.fixture
def remote(request: pytest.FixtureRequest, any_engine: Engine) -> Iterator[RemoteImage]:
    """An image that the engine's loopback registry has."""
    if isinstance(any_engine, FakeEngine):
        yield REMOTE
    else:
        with serving(request.getfixturevalue("engine").host, 5000, REMOTE):
            yield REMOTE


def _run(engine: Engine, settings: ContainerSettings) -> str:
    engine.create(settings)
    engine.start(settings.name)
    return settings.name


def _finished(engine: Engine, name: str) -> bool:
    state = engine.inspect(name)
    return state is not None and state.state == "exited"


class Collector:
    """Collects events in a thread, until closed."""

    def __init__(self, engine: Engine) -> None:
        self.events: list[EngineEvent] = []
        self._stream = engine.events(LABELS)
        self._thread = threading.Thread(target=self._collect, daemon=True)
        self._thread.start()

    def _collect(self) -> None:
        for event in self._stream:
            self.events.append(event)

    def saw(self, action: str) -> bool:
        return any(event.action == action for event in self.events)

    def close(self) -> None:
        self._stream.close()
        self._thread.join(10)
        assert not self._thread.is_alive(), "the events did not end when they were closed"


# -- A container's life --


def test_a_container_goes_from_created_to_running_to_exited_to_gone(any_engine: Engine) -> None:
    made = any_engine.create(SLEEPER)
    state = any_engine.inspect(SLEEPER.name)
    assert state is not None and (state.id, state.state, state.started_at) == (made, "created", "")
    any_engine.start(SLEEPER.name)
    any_engine.start(SLEEPER.name)
    state = any_engine.inspect(SLEEPER.name)
    assert state is not None and state.state == "running" and state.pid > 0 and state.exit_code is None
    any_engine.stop(SLEEPER.name, 0)
    any_engine.stop(SLEEPER.name, 0)
    state = any_engine.inspect(SLEEPER.name)
    assert state is not None and (state.state, state.exit_code, state.pid) == ("exited", 137, 0)
    any_engine.remove(SLEEPER.name)
    any_engine.remove(SLEEPER.name)
    assert any_engine.inspect(SLEEPER.name) is None


def test_a_container_started_again_is_the_same_with_later_times(any_engine: Engine) -> None:
    name = _run(any_engine, SLEEPER)
    first = any_engine.inspect(name)
    any_engine.stop(name, 0)
    stopped = any_engine.inspect(name)
    any_engine.start(name)
    second = any_engine.inspect(name)
    assert first is not None and stopped is not None and second is not None
    assert first.created_at < first.started_at < stopped.finished_at < second.started_at
    assert (second.id, second.created_at, second.exit_code) == (first.id, first.created_at, None)
    assert abs(datetime.fromisoformat(second.started_at) - datetime.now(UTC)).total_seconds() < 60


def test_stopping_what_was_never_started_leaves_it_created(any_engine: Engine) -> None:
    any_engine.create(SLEEPER)
    any_engine.stop(SLEEPER.name, 0)
    state = any_engine.inspect(SLEEPER.name)
    assert state is not None and (state.state, state.exit_code) == ("created", None)


def test_a_running_container_is_removed_with_all_that_runs(any_engine: Engine) -> None:
    events = Collector(any_engine)
    any_engine.remove(_run(any_engine, SLEEPER))
    eventually(lambda: events.saw("destroy"), timeout=30)
    assert [e.action for e in events.events if e.action in ("die", "destroy")] == ["die", "destroy"]
    events.close()


def test_who_removes_what_somebody_else_is_removing_waits_for_its_end(any_engine: Engine) -> None:
    name = _run(any_engine, SLEEPER)
    with ThreadPoolExecutor(8) as pool:
        for each in [pool.submit(any_engine.remove, name) for _ in range(8)]:
            each.result()
            assert any_engine.inspect(name) is None


@pytest.mark.parametrize(("command", "code"), [(("true",), 0), (("false",), 1), (_sh("exit 5"), 5)])
def test_what_ends_by_itself_leaves_its_exit_code(any_engine: Engine, command: tuple[str, ...], code: int) -> None:
    name = _run(any_engine, replace(SLEEPER, command=command))
    eventually(lambda: _finished(any_engine, name), timeout=30)
    state = any_engine.inspect(name)
    assert state is not None and state.exit_code == code


def test_an_entrypoint_comes_before_the_command_and_hides_that_of_the_image(any_engine: Engine) -> None:
    both = _run(any_engine, replace(SLEEPER, entrypoint=("sh", "-c"), command=("exit 4",)))
    alone = _run(any_engine, replace(SLEEPER, name="contract-alone", entrypoint=("true",), command=None))
    of_the_image = _run(any_engine, replace(SLEEPER, name="contract-image", command=None))
    eventually(lambda: _finished(any_engine, both) and _finished(any_engine, alone), timeout=30)
    codes = {state.name: state.exit_code for state in any_engine.list(LABELS)}
    assert codes == {both: 4, alone: 0, of_the_image: None}


def test_a_create_whose_answer_was_lost_is_found_again(any_engine: Engine) -> None:
    assert any_engine.create(SLEEPER) == any_engine.create(SLEEPER)


def test_the_name_of_a_foreign_container_is_not_taken_over(any_engine: Engine) -> None:
    any_engine.create(SLEEPER)
    with pytest.raises(EngineError, match="another container"):
        any_engine.create(replace(SLEEPER, labels={"appliance.root": "other"}))


def test_only_containers_with_all_labels_are_listed(any_engine: Engine) -> None:
    any_engine.create(replace(SLEEPER, labels=LABELS | {"kind": "a"}))
    assert [c.name for c in any_engine.list(LABELS | {"kind": ""})] == [SLEEPER.name]
    assert [c.name for c in any_engine.list(LABELS | {"kind": "a"})] == [SLEEPER.name]
    assert any_engine.list(LABELS | {"kind": "b"}) == []


def test_a_list_says_of_each_container_what_inspecting_it_says(any_engine: Engine) -> None:
    _run(any_engine, SLEEPER)
    any_engine.create(replace(SLEEPER, name="contract-created"))
    any_engine.stop(_run(any_engine, replace(SLEEPER, name="contract-ended")), 0)
    listed = {state.name: state for state in any_engine.list(LABELS)}
    assert listed == {name: any_engine.inspect(name) for name in (SLEEPER.name, "contract-created", "contract-ended")}


def test_calls_about_a_missing_container_say_so(any_engine: Engine) -> None:
    calls: tuple[Callable[[str], object], ...] = (
        any_engine.start,
        lambda name: any_engine.stop(name, 0),
        lambda name: any_engine.logs(name, follow=False, tail=None),
        lambda name: any_engine.execute(name, ("true",), 1),
    )
    for call in calls:
        with pytest.raises(NoSuchContainer, match="contract-missing"):
            call("contract-missing")


def test_a_program_that_is_not_there_is_refused_at_the_start_and_remembered(any_engine: Engine) -> None:
    any_engine.create(replace(SLEEPER, command=("no-such-program",)))
    with pytest.raises(EngineError) as caught:
        any_engine.start(SLEEPER.name)
    assert "no-such-program" in caught.value.why
    state = any_engine.inspect(SLEEPER.name)
    assert state is not None and state.state == "created" and "no-such-program" in state.error


def test_events_tell_of_start_and_death(any_engine: Engine) -> None:
    events = Collector(any_engine)
    name = _run(any_engine, replace(SLEEPER, command=_sh("exit 5")))
    eventually(lambda: events.saw("die"), timeout=30)
    assert [e.action for e in events.events if e.action in ("start", "die")] == ["start", "die"]
    died = next(e for e in events.events if e.action == "die")
    assert (died.name, died.exit_code, died.labels["appliance.root"]) == (name, 5, "contract")
    state = any_engine.inspect(name)
    assert state is not None and died.at > datetime.fromisoformat(state.started_at).timestamp()
    events.close()


def test_events_of_other_containers_are_not_told(any_engine: Engine) -> None:
    events = Collector(any_engine)
    other = replace(SLEEPER, name="contract-other", labels={"appliance.root": "other"})
    any_engine.create(other)
    any_engine.remove(other.name)
    any_engine.remove(_run(any_engine, SLEEPER))
    eventually(lambda: events.saw("destroy"), timeout=30)
    assert {event.name for event in events.events} == {SLEEPER.name}
    events.close()


# -- Inside a container --


def test_what_a_container_is_made_of_arrives_inside(docker: Engine, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("from the host")
    script = "cat /greeting; echo; echo $NAME; id -u; hostname"
    settings = replace(
        SLEEPER,
        entrypoint=("sh", "-c"),
        command=(script,),
        env={"NAME": "a=b c"},
        user="65534",
        hostname="web-1",
        memory=64 * 1024 * 1024,
        mounts=(BindMount(str(tmp_path / "file"), "/greeting", read_only=True),),
    )
    name = _run(docker, settings)
    eventually(lambda: _finished(docker, name), timeout=30)
    output = b"".join(data for _, data in docker.logs(name, follow=False, tail=None)).decode().splitlines()
    assert output[:4] == ["from the host", "a=b c", "65534", "web-1"]


INSIDE = """
df -k /scratch /dev/shm | awk 'NR > 1 {print $6, $2}'
pwd
test -c /dev/kmsg && echo device
ip link set lo mtu 1400 && echo capable
touch /here 2>/dev/null || echo read-only
touch /data/here 2>/dev/null || echo not written
touch /scratch/here && echo written
"""


def test_file_systems_devices_and_rights_arrive_inside(docker: Engine, tmp_path: Path) -> None:
    settings = replace(
        SLEEPER,
        command=_sh(INSIDE),
        mounts=(BindMount(str(tmp_path), "/data", read_only=True),),
        tmpfs={"/scratch": 1 << 20},
        shm=2 << 20,
        workdir="/etc",
        devices=("/dev/kmsg",),
        capabilities=("NET_ADMIN",),
        read_only=True,
    )
    name = _run(docker, settings)
    eventually(lambda: _finished(docker, name), timeout=30)
    output = b"".join(data for stream, data in docker.logs(name, follow=False, tail=None) if stream == "stdout")
    lines = ["/scratch 1024", "/dev/shm 2048", "/etc", "device", "capable", "read-only", "not written", "written"]
    assert output.decode().splitlines() == lines


def test_what_was_not_asked_for_is_not_given(docker: Engine) -> None:
    script = "ip link set lo mtu 1400 || test -e /dev/kmsg || exit 9"
    name = _run(docker, replace(SLEEPER, command=_sh(script)))
    eventually(lambda: _finished(docker, name), timeout=30)
    state = docker.inspect(name)
    assert state is not None and state.exit_code == 9


def test_a_stop_sends_the_signal_that_was_asked_for(docker: Engine) -> None:
    script = "trap 'exit 3' INT; echo ready; while true; do sleep 0.1; done"
    name = _run(docker, replace(SLEEPER, command=_sh(script), stop_signal="SIGINT"))
    eventually(lambda: list(docker.logs(name, follow=False, tail=None)), timeout=30)
    docker.stop(name, 10)
    state = docker.inspect(name)
    assert state is not None and state.exit_code == 3


def test_nothing_is_made_in_the_place_of_a_file_that_is_missing(docker: Engine, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="refused") as caught:
        docker.create(replace(SLEEPER, mounts=(BindMount(str(tmp_path / "gone"), "/gone"),)))
    assert str(tmp_path / "gone") in caught.value.why and not (tmp_path / "gone").exists()


def test_gpus_are_asked_of_their_driver_by_id(docker: Engine) -> None:
    """This machine has none: the engine says that it has no such driver."""
    with pytest.raises(EngineError) as caught:
        _run(docker, replace(SLEEPER, gpus=("GPU-4b71",)))
    assert "nvidia" in caught.value.why


def test_logs_are_told_apart_cut_and_followed_to_the_end(any_engine: Engine) -> None:
    name = _run(any_engine, replace(SLEEPER, command=_sh(SPEAK)))
    followed = list(any_engine.logs(name, follow=True, tail=None))
    assert [data for stream, data in followed if stream == "stderr"] == [b"two\n"]
    assert b"".join(data for stream, data in followed if stream == "stdout") == b"one\nthree\n"
    assert [data for _, data in any_engine.logs(name, follow=False, tail=1)] == [b"three\n"]
    assert list(any_engine.logs(name, follow=False, tail=0)) == []


def test_a_log_holds_every_run_of_its_container_with_times_if_asked(any_engine: Engine) -> None:
    name = _run(any_engine, replace(SLEEPER, command=_sh(FAIL)))
    eventually(lambda: _finished(any_engine, name), timeout=30)
    first = any_engine.inspect(name)
    assert first is not None
    any_engine.start(name)
    eventually(lambda: _finished(any_engine, name), timeout=30)
    lines = [data.split() for _, data in any_engine.logs(name, follow=False, tail=None, timestamps=True)]
    assert sorted(text for _, text in lines) == [b"err", b"err", b"out", b"out"]
    assert [at.decode() > first.finished_at for at, _ in lines] == [False, False, True, True]


def test_a_log_that_is_followed_ends_when_it_is_closed(any_engine: Engine) -> None:
    stream = any_engine.logs(_run(any_engine, SLEEPER), follow=True, tail=None)
    reader = threading.Thread(target=lambda: list(stream), daemon=True)
    reader.start()
    stream.close()
    reader.join(10)
    assert not reader.is_alive()


def test_a_command_in_a_container_gives_its_output_and_exit_code(any_engine: Engine) -> None:
    name = _run(any_engine, SLEEPER)
    done = any_engine.execute(name, _sh(FAIL), 10)
    assert done.exit_code == 7
    assert sorted(done.output.splitlines()) == [b"err", b"out"]


def test_a_command_that_takes_too_long_is_given_up(any_engine: Engine) -> None:
    done = any_engine.execute(_run(any_engine, SLEEPER), _sh(DAWDLE), 1.0)
    assert done.exit_code is None
    assert done.output == b"begun\n"


def test_a_command_that_is_not_there_says_so_in_its_output(any_engine: Engine) -> None:
    done = any_engine.execute(_run(any_engine, SLEEPER), ("no-such-program",), 10)
    assert done.exit_code in (126, 127) and b"no-such-program" in done.output


def test_a_command_needs_a_running_container_and_ends_with_it(any_engine: Engine) -> None:
    name = _run(any_engine, SLEEPER)
    session = any_engine.open_exec(name, _sh(DAWDLE), terminal=False)
    assert session.read() == ("stdout", b"begun\n")
    any_engine.stop(name, 0)
    assert session.read() is None
    assert session.exit_code() == 137
    session.close()
    with pytest.raises(EngineError, match=name):
        any_engine.execute(name, ("true",), 10)


@pytest.mark.parametrize("terminal", [False, True])
def test_a_session_carries_input_and_output(any_engine: Engine, terminal: bool) -> None:
    session = any_engine.open_exec(_run(any_engine, SLEEPER), _sh(ANSWER), terminal=terminal)
    if terminal:
        session.resize(40, 100)
    session.write(b"hello\n")
    output = b""
    while (piece := session.read()) is not None:
        output += piece[1]
    assert b"got-hello" in output
    assert session.exit_code() == 3
    session.close()


def test_the_end_of_the_input_reaches_the_command(any_engine: Engine) -> None:
    session = any_engine.open_exec(_run(any_engine, SLEEPER), _sh(ANSWER), terminal=False)
    session.close_input()
    assert session.read() == ("stdout", b"got-\n")
    session.close()


# -- Networks --


def test_a_container_keeps_its_fixed_address_over_a_restart(any_engine: Engine) -> None:
    any_engine.ensure_network(NETWORK)
    any_engine.ensure_network(NETWORK)
    name = _run(any_engine, HOLDER)
    any_engine.stop(name, 0)
    any_engine.start(name)
    state = any_engine.inspect(name)
    assert state is not None and state.ip == "10.98.7.9"


def test_a_second_container_has_the_address_of_the_one_whose_network_it_shares(docker: Engine) -> None:
    docker.ensure_network(NETWORK)
    _run(docker, HOLDER)
    assert b"10.98.7.9" in docker.execute(_run(docker, SHARER), ("ip", "addr"), 10).output


def test_a_network_is_shared_with_a_running_container_only(any_engine: Engine) -> None:
    any_engine.ensure_network(NETWORK)
    any_engine.create(HOLDER)
    any_engine.create(SHARER)
    with pytest.raises(EngineError, match=SHARER.name):
        any_engine.start(SHARER.name)
    any_engine.start(HOLDER.name)
    any_engine.start(SHARER.name)
    any_engine.stop(HOLDER.name, 0)
    state = any_engine.inspect(SHARER.name)
    assert state is not None and state.state == "running"


def test_a_network_is_shared_with_that_very_container_not_with_the_next_of_its_name(any_engine: Engine) -> None:
    any_engine.ensure_network(NETWORK)
    _run(any_engine, HOLDER)
    any_engine.create(SHARER)
    any_engine.remove(HOLDER.name)
    _run(any_engine, HOLDER)
    with pytest.raises(EngineError, match=SHARER.name):
        any_engine.start(SHARER.name)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(replace(HOLDER, ports=()), id="address"),
        pytest.param(replace(HOLDER, ip=""), id="port"),
        pytest.param(replace(HOLDER, ip="10.99.7.9", ports=()), id="outside"),
        pytest.param(replace(HOLDER, network="contract-missing"), id="network"),
    ],
)
def test_what_cannot_be_attached_is_refused_at_the_start(any_engine: Engine, other: ContainerSettings) -> None:
    any_engine.ensure_network(NETWORK)
    _run(any_engine, HOLDER)
    any_engine.create(replace(other, name="contract-other"))
    with pytest.raises(EngineError) as caught:
        any_engine.start("contract-other")
    state = any_engine.inspect("contract-other")
    assert state is not None and (state.state, state.error) == ("created", caught.value.why)


def test_the_address_and_the_port_of_what_ended_are_free(any_engine: Engine) -> None:
    any_engine.ensure_network(NETWORK)
    any_engine.stop(_run(any_engine, HOLDER), 0)
    assert _run(any_engine, replace(HOLDER, name="contract-next"))


def test_containers_without_a_fixed_address_get_different_ones(any_engine: Engine) -> None:
    any_engine.ensure_network(NETWORK)
    names = [_run(any_engine, replace(SLEEPER, name=f"contract-{n}", network="contract")) for n in range(2)]
    found = {state.ip for name in names if (state := any_engine.inspect(name)) is not None}
    assert len(found) == 2 and NETWORK.gateway not in found and all(ip.startswith("10.98.7.") for ip in found)


def test_a_network_that_should_differ_is_made_anew_unless_it_is_in_use(any_engine: Engine) -> None:
    any_engine.ensure_network(NETWORK)
    any_engine.ensure_network(replace(NETWORK, subnet="10.98.8.0/24", gateway="10.98.8.1"))
    name = _run(any_engine, replace(SLEEPER, network="contract", ip="10.98.8.9"))
    with pytest.raises(EngineError, match="containers use it"):
        any_engine.ensure_network(NETWORK)
    with pytest.raises(EngineError, match="contract"):
        any_engine.remove_network("contract")
    any_engine.remove(name)
    any_engine.remove_network("contract")
    any_engine.remove_network("contract")


# -- Images --


def test_an_image_that_is_not_there_is_refused_and_nothing_is_fetched(any_engine: Engine) -> None:
    assert any_engine.image_id("contract/none:1") is None
    with pytest.raises(EngineError):
        any_engine.create(replace(SLEEPER, image="contract/none:1"))


def test_an_image_is_found_by_its_name_and_by_its_id(any_engine: Engine) -> None:
    found = any_engine.image_id("busybox:lab")
    assert found is not None and any_engine.image_id(found) == found
    state = any_engine.inspect(_run(any_engine, replace(SLEEPER, image=found)))
    assert state is not None and state.image_id == found


def test_an_archive_that_is_none_is_refused(any_engine: Engine) -> None:
    with pytest.raises(EngineError):
        any_engine.load(io.BytesIO(b"not a tar"))
    empty = io.BytesIO()
    with tarfile.open(fileobj=empty, mode="w") as tar:
        member = tarfile.TarInfo("manifest.json")
        member.size = 2
        tar.addfile(member, io.BytesIO(b"[]"))
    empty.seek(0)
    any_engine.load(empty)


def test_a_loaded_image_has_the_id_of_its_config_and_runs_its_command(any_engine: Engine, tmp_path: Path) -> None:
    path = docker_archive(tmp_path / "image.tar", "contract/loaded:1", command=("sh", "-c", "exit 6"))
    with tarfile.open(path) as tar:
        manifest = tar.extractfile("manifest.json")
        assert manifest is not None
        config = tar.extractfile(json.load(manifest)[0]["Config"])
        assert config is not None
        expected = f"sha256:{hashlib.sha256(config.read()).hexdigest()}"
    told: list[str] = []
    with path.open("rb") as archive:
        any_engine.load(archive, told.append)
    assert any_engine.image_id("contract/loaded:1") == expected
    assert any("contract/loaded:1" in line for line in told)
    name = _run(any_engine, replace(SLEEPER, image="contract/loaded:1", command=None))
    eventually(lambda: _finished(any_engine, name), timeout=30)
    state = any_engine.inspect(name)
    assert state is not None and (state.image_id, state.exit_code) == (expected, 6)


def test_a_pulled_image_is_found_by_what_was_pulled_and_by_its_id(any_engine: Engine, remote: RemoteImage) -> None:
    any_engine.pull(remote.reference)
    any_engine.pull(remote.reference)
    assert any_engine.image_id(remote.reference) == remote.id
    assert any_engine.image_id(remote.id) == remote.id
    any_engine.create(replace(SLEEPER, image=remote.id))


def test_what_the_registry_does_not_have_is_refused(any_engine: Engine, remote: RemoteImage) -> None:
    missing = f"{remote.reference.partition('@')[0]}@sha256:{'0' * 64}"
    with pytest.raises(EngineError):
        any_engine.pull(missing)
    assert any_engine.image_id(missing) is None


def test_without_a_registry_nothing_is_pulled(any_engine: Engine) -> None:
    with pytest.raises(EngineError):
        any_engine.pull(f"127.0.0.1:1/contract/none@sha256:{'0' * 64}")


def test_an_engine_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable) as caught:
        DockerEngine(tmp_path / "none.sock").version()
    assert caught.value.retryable
