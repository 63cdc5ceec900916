"""What is decided for one instance, without an engine."""

from dataclasses import replace

from appliance.agent.container_step import container_step as step
from appliance.agent.memory import BACKOFF, Memory
from appliance.agent.step import Create, Remove, Seen, Start, Step, Stop, image_of
from appliance.engine.container import CONTAINER_LABEL, DIGEST_LABEL, PAUSE, RESTART_LABEL
from appliance.engine.engine import ContainerSettings, ContainerState


def _settings(name: str, digest: str = "d1", restart: int = 0) -> ContainerSettings:
    return ContainerSettings(
        name=name,
        image="",
        labels={CONTAINER_LABEL: name, DIGEST_LABEL: digest, RESTART_LABEL: str(restart)},
    )


def _seen(settings: ContainerSettings, at: str = "2026-01-01T00:00:00Z") -> ContainerState:
    return ContainerState(
        id="1", name=settings.name, image_id="i", labels=settings.labels, state="running", created_at=at, started_at=at
    )


MAIN, HOLDER = _settings("main"), _settings(PAUSE)
GROUP = (HOLDER, MAIN)
LATER = "2026-01-01T00:00:00.5Z"


def _all(*containers: ContainerState) -> dict[str, ContainerState]:
    return {container.name: container for container in containers}


def test_what_is_missing_is_created_with_the_network_first() -> None:
    assert step("running", GROUP, Seen({}), 0.0) == Step("starting", (Create(HOLDER), Create(MAIN)))


def test_what_is_right_is_left_alone() -> None:
    assert step("running", GROUP, Seen(_all(_seen(HOLDER), _seen(MAIN, LATER))), 0.0) == Step("running")


def test_what_ended_is_started_when_its_pause_is_over() -> None:
    ended = replace(_seen(MAIN), state="exited", exit_code=1)
    seen = Seen(_all(ended), {"main": Memory(2, not_before=5.0)})
    assert step("running", (MAIN,), seen, 4.0) == Step("backoff", wait=5.0)
    assert step("running", (MAIN,), seen, 5.0) == Step("starting", (Start("main"),))


def test_another_digest_or_a_wished_restart_removes_the_old_container() -> None:
    seen = Seen(_all(_seen(MAIN)))
    for changed in (_settings("main", "d2"), _settings("main", restart=1)):
        assert step("running", (changed,), seen, 0.0) == Step(
            "stopping", (Remove("main", anew=True),), needs=(changed,)
        )


def test_a_container_that_left_the_spec_is_removed() -> None:
    seen = Seen(_all(_seen(MAIN), _seen(_settings("old"))))
    assert step("running", (MAIN,), seen, 0.0).actions == (Remove("old", anew=True),)


def test_a_new_network_holder_takes_the_others_with_it() -> None:
    assert step("running", GROUP, Seen(_all(_seen(MAIN))), 0.0).actions == (Remove("main", anew=True),)
    made_anew = Seen(_all(_seen(HOLDER, LATER), _seen(MAIN)))
    assert step("running", GROUP, made_anew, 0.0).actions == (Remove("main", anew=True),)


def test_the_others_are_started_again_after_their_network_holder() -> None:
    holder = replace(_seen(HOLDER), started_at="2026-01-01T00:00:07Z")
    assert step("running", GROUP, Seen(_all(holder, _seen(MAIN, LATER))), 0.0).actions == (Stop("main", again=True),)


def test_a_container_whose_live_probe_fails_is_stopped_to_be_started_again() -> None:
    seen = Seen(_all(_seen(MAIN)), unwell=frozenset({"main"}))
    assert step("running", (MAIN,), seen, 0.0).actions == (Stop("main", again=True),)


def test_stopped_keeps_the_containers_and_removed_does_not() -> None:
    up, down = Seen(_all(_seen(MAIN))), Seen(_all(replace(_seen(MAIN), state="exited", exit_code=0)))
    assert step("stopped", (MAIN,), up, 0.0) == Step("stopping", (Stop("main"),))
    assert step("stopped", (MAIN,), down, 0.0) == Step("stopped")
    assert step("removed", (MAIN,), down, 0.0) == Step("stopping", (Remove("main"),))
    assert step("removed", (MAIN,), Seen({}), 0.0) == Step("removed")


def test_pauses_grow_until_a_container_was_stable_again() -> None:
    memory, pauses = Memory(), []
    for _ in range(10):
        memory = memory.after_end(0.0, lasted=1.0, stable_after=10.0)
        pauses.append(memory.not_before)
    assert pauses == [*BACKOFF, BACKOFF[-1]]
    assert memory.after_end(0.0, lasted=11.0, stable_after=10.0).not_before == 0.0


def test_what_waits_beside_what_is_to_be_done_is_not_forgotten() -> None:
    """The action may be one that has to wait for an image, while the other container's pause runs out."""
    ended = replace(_seen(MAIN), state="exited", exit_code=1)
    seen = Seen(_all(ended), {"main": Memory(2, not_before=5.0)})
    other = _settings("other")
    assert step("running", (MAIN, other), seen, 4.0) == Step("starting", (Create(other),), wait=5.0)


def test_what_ended_stays_down_where_its_policy_says_so() -> None:
    well = Seen(_all(replace(_seen(MAIN), state="exited", exit_code=0)))
    badly = Seen(_all(replace(_seen(MAIN), state="exited", exit_code=4)))
    assert step("running", (MAIN,), well, 0.0, {"main": "on-failure"}).state == "stopped"
    assert step("running", (MAIN,), badly, 0.0, {"main": "on-failure"}).actions == (Start("main"),)
    assert step("running", (MAIN,), badly, 0.0, {"main": "never"}) == Step(
        "stopped", message="main ended with code 4 and stays down"
    )


def test_an_update_waits_for_its_image_while_what_runs_goes_on() -> None:
    changed = _settings("main", "d2")
    failed = Seen(_all(_seen(MAIN)), {image_of("main"): Memory(1, not_before=7.0)})
    assert step("running", (changed,), failed, 5.0) == Step("running", wait=7.0)
    assert step("running", (changed,), failed, 7.0).actions == (Remove("main", anew=True),)
