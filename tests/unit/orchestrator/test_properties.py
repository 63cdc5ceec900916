"""Random services, wishes and misfortunes, played against nodes that obey late or not at all: what never happens, and
what always does in the end."""

from collections import Counter
from collections.abc import Iterator

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from appliance.model.definition import definition
from appliance.model.instance import Instance, instance_name
from appliance.model.job import Job
from appliance.model.service import Deploy, Move
from appliance.orchestrator.decisions import Alter, Create, Decision, Forget, Renew, StartRun
from appliance.orchestrator.explain import reasons_of
from appliance.orchestrator.ranks import most_unavailable
from appliance.orchestrator.services import decide
from appliance.orchestrator.snapshot import Snapshot
from tests.unit.orchestrator.stage import BAD, Stage, deploy, job, node, spec

NAMES = ("a", "b", "c")
NODES = ("n1", "n2", "n3", "n4")
IMAGES = st.sampled_from(["a:1", "a:2", "a:3", BAD])

KINDS: dict[str, dict[str, object]] = {
    "plain": {},
    "every_node": {"every_node": True},
    "pinned": {"placement": {"node": "n1"}},
    "move_after": {"move_after": 60.0},
}


@st.composite
def services(draw: st.DrawFn) -> list[Deploy | Job]:
    """One to three deploys of up to three ranks, and sometimes a job among them."""
    chosen = draw(st.lists(st.sampled_from(NAMES), min_size=1, unique=True))
    parts: list[Deploy | Job] = [draw(deploys(name)) for name in chosen]
    if draw(st.booleans()):
        parts.append(job("j", draw(st.integers(0, 2)), draw(IMAGES)))
    return parts


@st.composite
def deploys(draw: st.DrawFn, name: str) -> Deploy:
    kind = draw(st.sampled_from(["plain", "plain", "plain", *KINDS]))
    fields = KINDS[kind]
    return deploy(
        name,
        draw(st.integers(0, 2)),
        draw(st.integers(0, 4)),
        draw(IMAGES),
        max_unavailable=draw(st.sampled_from(["25%", "50%", "1", "2"])),
        **fields,
    )


class Service(RuleBasedStateMachine):
    """Each step of the orchestrator is checked; at the end everything comes right and has to come to rest."""

    def __init__(self) -> None:
        super().__init__()
        self.stage = Stage(nodes={name: node(number) for number, name in enumerate(NODES, 1)})

    @initialize(parts=services(), rounds=st.integers(0, 8))
    def begin(self, parts: list[Deploy | Job], rounds: int) -> None:
        self.stage.apply(spec(*parts, rollout={"tries": 3}))
        self.go_on(rounds)

    @rule(rounds=st.integers(1, 8))
    def go_on(self, rounds: int) -> None:
        """The nodes obey at once."""
        for _ in range(rounds):
            self.decide()
            self.all_obey()

    @rule(parts=services(), policy=st.sampled_from(["rollback", "rollback", "pause"]))
    def apply(self, parts: list[Deploy | Job], policy: str) -> None:
        self.stage.apply(spec(*parts, rollout={"tries": 3, "on_failure": policy}))

    @rule(name=st.sampled_from(NAMES), count=st.integers(0, 4))
    def scale(self, name: str, count: int) -> None:
        self.stage.want(scale={**self.stage.head.scale, name: count})

    @rule(field=st.sampled_from(["halted", "paused"]), value=st.booleans())
    def hold(self, field: str, value: bool) -> None:
        self.stage.want(**{field: value})

    @rule()
    def restart_all(self) -> None:
        self.stage.want(generation=self.stage.head.generation + 1)

    @rule(name=st.sampled_from(NAMES), index=st.integers(0, 3), to=st.sampled_from(["", "n2"]))
    def move(self, name: str, index: int, to: str) -> None:
        moved = instance_name("s", name, index)
        known = self.stage.head.moves.get(moved, Move(number=0))
        home = self.stage.bindings.get(moved, "")
        wish = Move(number=known.number + 1, to="" if to == home else to, away_from=home)
        self.stage.want(moves={**self.stage.head.moves, moved: wish})

    @rule(name=st.sampled_from(NAMES), index=st.integers(0, 3))
    def stop_or_start_one(self, name: str, index: int) -> None:
        one, stopped = instance_name("s", name, index), self.stage.head.stopped
        self.stage.want(stopped=tuple(set(stopped) - {one} if one in stopped else {*stopped, one}))

    @rule(name=st.sampled_from(NODES), field=st.sampled_from(["draining", "evicted"]), value=st.booleans())
    def change_node(self, name: str, field: str, value: bool) -> None:
        self.stage.nodes[name] = msgspec.structs.replace(self.stage.nodes[name], **{field: value})

    @rule(name=st.sampled_from(["n1", "n1", "n2", "n3"]), seconds=st.sampled_from([0.0, 1.0, 100.0]))
    def lose_node(self, name: str, seconds: float) -> None:
        self.stage.away = {**self.stage.away, name: seconds}
        if not seconds:
            del self.stage.away[name]

    @rule(idle=st.sampled_from([0.0, 0.0, 10_000.0]))
    def time_passes(self, idle: float) -> None:
        self.stage.idle = idle

    @rule()
    def bind(self) -> None:
        self.stage.bind()

    @rule(data=st.data())
    def some_obey(self, data: st.DataObject) -> None:
        names = sorted(self.stage.instances)
        if names:
            self.stage.obey(*data.draw(st.lists(st.sampled_from(names), unique=True, min_size=1)))

    def all_obey(self) -> None:
        self.stage.bind()
        self.stage.obey()

    @rule()
    def decide(self) -> None:
        before = self.stage.seen()
        decisions = self.stage.step()
        check(before, self.stage.seen(), decisions)

    @precondition(lambda self: self.stage.revisions)
    @invariant()
    def all_that_waits_is_explained(self) -> None:
        seen = self.stage.seen()
        if self.stage.log and not list(unlike_wished(seen)):
            return
        if not decide(seen):
            assert reasons_of(seen), list(unlike_wished(seen))

    def teardown(self) -> None:
        """Everything comes right, except for images that are bad: then the service comes to rest as it should."""
        stage = self.stage
        if not stage.revisions:
            return
        stage.away, stage.idle = {}, 0.0
        stage.nodes = {name: node(number) for number, name in enumerate(NODES, 1)}
        stage.want(halted=False, paused=False, stopped=())
        self._come_to_rest()
        if stage.rollout and stage.rollout.state == "running":
            stage.idle = 10_000.0
            self._come_to_rest()
        self._is_as_it_should_be()

    def _come_to_rest(self) -> None:
        stage = self.stage
        for _ in range(200):
            before = stage.seen()
            decisions = stage.step()
            check(before, stage.seen(), decisions)
            known = dict(stage.statuses), dict(stage.bindings), dict(stage.runs)
            stage.bind()
            stage.obey()
            if not decisions and _unfailing(known) == _unfailing((stage.statuses, stage.bindings, stage.runs)):
                return
        raise AssertionError(f"it never comes to rest: {stage.log[-4:]}")

    def _is_as_it_should_be(self) -> None:
        """Complete, or back; what fails for itself may go on failing, but is where it should be."""
        seen = self.stage.seen()
        assert seen.rollout is not None and seen.rollout.state in ("done", "failed")
        if seen.rollout.state == "done" or seen.went_back:
            failing = {f"{name} is not ready" for name, status in seen.statuses.items() if status.failures}
            left = set(unlike_wished(seen)) - failing
            # Ranks above one that fails for itself wait with their start, be they made already or not, and say so.
            assert not {each for each in left if not (failing and each.endswith(("is stopped", "is missing")))}


def _unfailing(known: tuple[object, ...]) -> tuple[object, ...]:
    statuses, *rest = known
    assert isinstance(statuses, dict)
    plain = {name: msgspec.structs.replace(each, failures=min(each.failures, 3)) for name, each in statuses.items()}
    return plain, *rest


def check(before: Snapshot, after: Snapshot, decisions: list[Decision]) -> None:
    """What no step may do, whatever happened before it."""
    one_decision_for_each(decisions)
    cut_off_instances_stay(before, decisions)
    ranks_are_not_inverted(before, after, decisions)
    no_more_away_than_allowed(before, after, decisions)
    nothing_changes_without_need(before, after, decisions)


def one_decision_for_each(decisions: list[Decision]) -> None:
    """Two would be two lives of one slot."""
    names = Counter(
        each.instance if isinstance(each, Forget) else each.instance.name
        for each in decisions
        if isinstance(each, Create | Alter | Renew | Forget)
    )
    assert max(names.values(), default=0) <= 1, names


def cut_off_instances_stay(before: Snapshot, decisions: list[Decision]) -> None:
    """Nothing is made anew or forgotten of a node that cannot be reached, unless somebody gave the node up."""
    for each in decisions:
        name = each.instance.name if isinstance(each, Renew) else each.instance if isinstance(each, Forget) else ""
        home = before.bindings.get(name, "")
        if home not in before.unreachable:
            continue
        removed = name in before.statuses and before.statuses[name].state == "removed"
        given_up = before.nodes[home].evicted or before.unreachable[home] >= 60.0
        assert given_up or removed, each


def ranks_are_not_inverted(before: Snapshot, after: Snapshot, decisions: list[Decision]) -> None:
    """Nothing is made, updated or started while a lower rank is incomplete; nothing stops before a higher rank has."""
    for each in decisions:
        if isinstance(each, Create | Alter) and not after.went_back:
            old = before.instances.get(each.instance.name)
            grows = old is None or old.revision != each.instance.revision
            grows |= old is not None and (old.desired, each.instance.desired) == ("stopped", "running")
            if grows:
                slot = after.slots.get(each.instance.name)
                assert_lower_ranks_serve(before, after, slot.deploy.rank if slot else after.rank_of(each.instance))
        if isinstance(each, StartRun) and after.target is not None:
            assert_lower_ranks_serve(before, after, after.target.spec.jobs[each.job].rank)
        if isinstance(each, Alter) and each.instance.desired == "stopped":
            old = before.instances[each.instance.name]
            if old.desired == "running" and each.instance.name not in after.head.stopped:
                assert_higher_ranks_have_stopped(before, old)


def assert_lower_ranks_serve(before: Snapshot, after: Snapshot, rank: int) -> None:
    for slot in after.slots.values():
        if slot.deploy.rank < rank and slot.name not in after.head.stopped:
            lower = before.instances[slot.name]
            assert before.is_ready(lower), (slot.name, rank)
            assert after.is_current(lower)
            assert lower.generation == after.head.generation


def assert_higher_ranks_have_stopped(before: Snapshot, instance: Instance) -> None:
    rank = before.rank_of(instance)
    for other in before.deployed.values():
        if before.rank_of(other) > rank and other.desired == "running":
            assert before.is_stopped(other) or other.generation > instance.generation, (other.name, instance.name)


def no_more_away_than_allowed(before: Snapshot, after: Snapshot, decisions: list[Decision]) -> None:
    """By updates and drains of instances that served; what people ask of single instances is theirs."""
    taken: Counter[str] = Counter()
    for each in decisions:
        if isinstance(each, Alter):
            old = before.instances[each.instance.name]
            moved = old.name in after.head.moves and after.head.moves[old.name].number > old.move
            leaves = each.instance.desired == "removed" and old.name in after.slots and not moved
            if before.is_ready(old) and (each.instance.revision != old.revision or leaves):
                taken[old.deploy] += 1
    for name, count in taken.items():
        places = [slot for slot in after.slots.values() if slot.deploy.name == name]
        wanted = [slot.name for slot in places if slot.name not in after.head.stopped]
        most = most_unavailable(places[0].deploy.max_unavailable, len(wanted))
        serving = sum(before.is_ready(one) for slot in wanted if (one := before.instances.get(slot)))
        away = 0 if after.went_back else len(wanted) - serving
        assert count + away <= max(most, away), (name, count, away, most)


def nothing_changes_without_need(before: Snapshot, after: Snapshot, decisions: list[Decision]) -> None:
    """An instance whose definition is the same keeps its revision: its container is never made anew for another's."""
    for each in decisions:
        if isinstance(each, Alter) and each.instance.revision != before.instances[each.instance.name].revision:
            old, new = before.instances[each.instance.name], each.instance
            earlier, later = before.revisions[old.revision], after.revisions[new.revision]
            assert definition(earlier, old.deploy) != definition(later, new.deploy)


def unlike_wished(seen: Snapshot) -> Iterator[str]:
    """Found independently of the orchestrator's own rules."""
    if seen.target is None:
        return
    held = seen.head.halted
    for slot in seen.slots.values():
        instance = seen.instances.get(slot.name)
        wished = "stopped" if held or slot.name in seen.head.stopped else "running"
        if instance is None:
            yield from () if held else (f"{slot.name} is missing",)
        elif not held and definition(seen.revisions[instance.revision], instance.deploy) != definition(
            seen.target, instance.deploy
        ):
            yield f"{slot.name} is outdated"
        elif instance.desired != wished:
            yield f"{slot.name} is {instance.desired}"
        elif wished == "running" and not seen.is_ready(instance):
            yield f"{slot.name} is not ready"
    yield from (f"{name} is too much" for name in seen.deployed if name not in seen.slots)


TestService = Service.TestCase
TestService.settings = settings(
    max_examples=200,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
