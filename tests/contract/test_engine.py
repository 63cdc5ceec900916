"""What an engine keeps to, run on a real dockerd."""

import io
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.engine.docker import DockerEngine
from appliance.engine.engine import BindMount, ContainerSettings, Engine, EngineEvent, NetworkSettings, PublishedPort
from appliance.errors import EngineError, EngineUnavailable, NoSuchContainer
from tests.lab.waiting import eventually

LABELS = {"appliance.root": "contract"}
SLEEPER = ContainerSettings(
    name="contract-sleeper", image="busybox:lab", labels=LABELS, command=("sleep", "1000"), network="none"
)


@pytest.fixture
def docker(docker_socket: Path) -> Iterator[Engine]:
    made = DockerEngine(docker_socket)
    yield made
    for container in made.list(LABELS):
        made.remove(container.name)
    made.remove_network("contract")


def _run(docker: Engine, settings: ContainerSettings) -> str:
    docker.create(settings)
    docker.start(settings.name)
    return settings.name


def _finished(docker: Engine, name: str) -> bool:
    state = docker.inspect(name)
    return state is not None and state.state == "exited"


def test_a_container_goes_from_created_to_running_to_exited_to_gone(docker: Engine) -> None:
    made = docker.create(SLEEPER)
    state = docker.inspect(SLEEPER.name)
    assert state is not None and (state.id, state.state, state.started_at) == (made, "created", "")
    docker.start(SLEEPER.name)
    docker.start(SLEEPER.name)
    state = docker.inspect(SLEEPER.name)
    assert state is not None and state.state == "running" and state.pid > 0 and state.exit_code is None
    docker.stop(SLEEPER.name, 0)
    docker.stop(SLEEPER.name, 0)
    state = docker.inspect(SLEEPER.name)
    assert state is not None and (state.state, state.exit_code) == ("exited", 137)
    docker.remove(SLEEPER.name)
    docker.remove(SLEEPER.name)
    assert docker.inspect(SLEEPER.name) is None


def test_a_create_whose_answer_was_lost_is_found_again(docker: Engine) -> None:
    assert docker.create(SLEEPER) == docker.create(SLEEPER)


def test_the_name_of_a_foreign_container_is_not_taken_over(docker: Engine) -> None:
    docker.create(SLEEPER)
    with pytest.raises(EngineError, match="another container"):
        docker.create(replace(SLEEPER, labels={"appliance.root": "other"}))


def test_only_containers_with_all_labels_are_listed(docker: Engine) -> None:
    docker.create(replace(SLEEPER, labels=LABELS | {"kind": "a"}))
    assert [c.name for c in docker.list(LABELS | {"kind": ""})] == [SLEEPER.name]
    assert [c.name for c in docker.list(LABELS | {"kind": "a"})] == [SLEEPER.name]
    assert docker.list(LABELS | {"kind": "b"}) == []


def test_calls_about_a_missing_container_say_so(docker: Engine) -> None:
    for call in (docker.start, lambda name: docker.stop(name, 0)):
        with pytest.raises(NoSuchContainer, match="contract-missing"):
            call("contract-missing")


def test_an_image_that_is_not_there_is_refused_and_nothing_is_fetched(docker: Engine) -> None:
    assert docker.image_id("contract/none:1") is None
    assert docker.image_id("busybox:lab") is not None
    with pytest.raises(EngineError):
        docker.create(replace(SLEEPER, image="contract/none:1"))


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
    eventually(lambda: _finished(docker, name), timeout=20)
    output = b"".join(data for _, data in docker.logs(name, follow=False, tail=None)).decode().splitlines()
    assert output[:4] == ["from the host", "a=b c", "65534", "web-1"]


def test_logs_are_told_apart_cut_and_followed_to_the_end(docker: Engine) -> None:
    script = "echo one; echo two >&2; sleep 1; echo three"
    name = _run(docker, replace(SLEEPER, command=("sh", "-c", script)))
    followed = list(docker.logs(name, follow=True, tail=None))
    assert [data for stream, data in followed if stream == "stderr"] == [b"two\n"]
    assert b"".join(data for stream, data in followed if stream == "stdout") == b"one\nthree\n"
    assert [data for _, data in docker.logs(name, follow=False, tail=1)] == [b"three\n"]


def test_a_log_that_is_followed_ends_when_it_is_closed(docker: Engine) -> None:
    stream = docker.logs(_run(docker, SLEEPER), follow=True, tail=None)
    reader = threading.Thread(target=lambda: list(stream), daemon=True)
    reader.start()
    stream.close()
    reader.join(10)
    assert not reader.is_alive()


def test_a_command_in_a_container_gives_its_output_and_exit_code(docker: Engine) -> None:
    name = _run(docker, SLEEPER)
    done = docker.execute(name, ("sh", "-c", "echo out; echo err >&2; exit 7"), 10)
    assert done.exit_code == 7
    assert sorted(done.output.splitlines()) == [b"err", b"out"]


def test_a_command_that_takes_too_long_is_given_up(docker: Engine) -> None:
    done = docker.execute(_run(docker, SLEEPER), ("sh", "-c", "echo begun; sleep 100"), 1.0)
    assert done.exit_code is None
    assert done.output == b"begun\n"


@pytest.mark.parametrize("terminal", [False, True])
def test_a_session_carries_input_and_output(docker: Engine, terminal: bool) -> None:
    session = docker.open_exec(_run(docker, SLEEPER), ("sh", "-c", "read x; echo got-$x; exit 3"), terminal=terminal)
    if terminal:
        session.resize(40, 100)
    session.write(b"hello\n")
    output = b""
    while (piece := session.read()) is not None:
        output += piece[1]
    assert b"got-hello" in output
    assert session.exit_code() == 3
    session.close()


def test_events_tell_of_start_and_death(docker: Engine) -> None:
    events = docker.events(LABELS)
    collected: list[EngineEvent] = []

    def collect() -> None:
        for event in events:
            collected.append(event)

    reader = threading.Thread(target=collect, daemon=True)
    reader.start()
    name = _run(docker, replace(SLEEPER, command=("sh", "-c", "exit 5")))
    eventually(lambda: any(e.action == "die" for e in collected), timeout=20)
    assert [e.action for e in collected if e.action in ("start", "die")] == ["start", "die"]
    died = next(e for e in collected if e.action == "die")
    assert (died.name, died.exit_code, died.labels["appliance.root"]) == (name, 5, "contract")
    events.close()
    reader.join(10)
    assert not reader.is_alive()


def test_a_container_keeps_its_fixed_address_over_a_restart_and_a_second_one_shares_it(docker: Engine) -> None:
    network = NetworkSettings(name="contract", bridge="contract0", subnet="10.98.7.0/24", gateway="10.98.7.1")
    docker.ensure_network(network)
    docker.ensure_network(network)
    holder = replace(
        SLEEPER, network="contract", ip="10.98.7.9", ports=(PublishedPort(container_port=80, host_port=18999),)
    )
    name = _run(docker, holder)
    docker.stop(name, 0)
    docker.start(name)
    state = docker.inspect(name)
    assert state is not None and state.ip == "10.98.7.9"
    sharer = _run(docker, replace(SLEEPER, name="contract-sharer", network=f"container:{name}"))
    assert b"10.98.7.9" in docker.execute(sharer, ("ip", "addr"), 10).output


def test_a_network_that_should_differ_is_made_anew_unless_it_is_in_use(docker: Engine) -> None:
    network = NetworkSettings(name="contract", bridge="contract0", subnet="10.98.7.0/24", gateway="10.98.7.1")
    other = replace(network, subnet="10.98.8.0/24", gateway="10.98.8.1")
    docker.ensure_network(network)
    docker.ensure_network(other)
    _run(docker, replace(SLEEPER, network="contract", ip="10.98.8.9"))
    with pytest.raises(EngineError, match="containers use it"):
        docker.ensure_network(network)


def test_an_archive_that_is_none_is_refused_and_a_good_one_is_loaded(docker: Engine) -> None:
    with pytest.raises(EngineError):
        docker.load(io.BytesIO(b"not a tar"))
    empty = io.BytesIO()
    with tarfile.open(fileobj=empty, mode="w") as tar:
        member = tarfile.TarInfo("manifest.json")
        member.size = 2
        tar.addfile(member, io.BytesIO(b"[]"))
    empty.seek(0)
    docker.load(empty)


def test_an_engine_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable) as caught:
        DockerEngine(tmp_path / "none.sock").version()
    assert caught.value.retryable
