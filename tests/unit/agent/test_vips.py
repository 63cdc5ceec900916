"""The node's keeper of virtual addresses: what it brings, what it goes on with, and what it never leaves behind."""

from collections.abc import Sequence
from pathlib import Path

from appliance.agent.assignments import AssignmentBook
from appliance.agent.configured import ConfiguredSidecar
from appliance.agent.standing import Standings
from appliance.agent.vips import VipKeeper
from appliance.engine.container import INSTANCE_LABEL, ROOT_LABEL
from appliance.engine.engine import ContainerSettings, ContainerState
from appliance.engine.fake import FakeEngine
from appliance.engine.fake_container import Image
from appliance.engine.fake_program import PROGRAMS, Process
from appliance.model.instance import Assignment
from appliance.model.vip import Candidate, PlacedVip, VipPlan
from tests.unit.agent.node import alone


def plan(address: str, *others: str) -> VipPlan:
    nodes = tuple(Candidate(node=node, address=f"10.0.0.{n}") for n, node in enumerate(("n1", *others), 1))
    return VipPlan(address=address, length=24, router=1, front="entry", candidates=nodes)


class Host:
    """A host with one interface, whose addresses a test puts there as keepalived would."""

    def __init__(self) -> None:
        self.here: set[tuple[str, str]] = {("eth0", "10.0.0.1")}
        self.guarded: list[tuple[str, ...]] = []

    def place(self, plan: VipPlan) -> PlacedVip | None:
        return PlacedVip(
            address=plan.address,
            length=plan.length,
            router=plan.router,
            front=plan.front,
            interface="eth0",
            device="eth0",
            own="10.0.0.1",
            peers=tuple(each.address for each in plan.candidates[1:]),
            rank=0,
        )

    def guard(self, vips: Sequence[PlacedVip]) -> None:
        self.guarded.append(tuple(vip.address for vip in vips))

    def local(self) -> set[tuple[str, str]]:
        return set(self.here)

    def remove(self, vip: PlacedVip) -> None:
        self.here.discard((vip.device, vip.address))


class World:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.host = Host()
        self.engine = FakeEngine({"a": Image("sha256:a")}, {**PROGRAMS, "check": self._check})
        self.book = AssignmentBook(folder / "assignments")
        self.down = False
        self.told: list[tuple[str, ...]] = []
        self.taken: list[str] = []
        self.keeper = self.again()

    def again(self) -> VipKeeper:
        """As after a restart of the agent."""
        sidecar = ConfiguredSidecar(
            self.engine,
            self.book,
            "r",
            folder=self.folder / "config",
            config="k.conf",
            test=lambda name: ("check", name),
            reload=self._reload,
        )
        standings = Standings(self.folder / "standing", {"entry": lambda: True}, lambda: 0.0)
        name = alone().instance
        state = self.folder / "vips"
        down = lambda: self.down  # noqa: E731
        return VipKeeper(sidecar, name, self._make, self.host, standings, state, down, self.told.append)

    def _make(self, vips: Sequence[PlacedVip]) -> tuple[Assignment, str]:
        return alone(), " ".join(vip.address for vip in vips)

    def _check(self, process: Process) -> int:
        """Refuses what speaks of ``10.0.0.66``."""
        return int("10.0.0.66" in (self.folder / "config" / process.command[1]).read_text())

    def _reload(self, _: ContainerState) -> None:
        self.taken.append((self.folder / "config/k.conf").read_text())

    def run_sidecar(self) -> None:
        labels = {ROOT_LABEL: "r", INSTANCE_LABEL: alone().instance}
        self.engine.create(ContainerSettings(name="c", image="a", labels=labels, command=("sleep", "1000")))
        self.engine.start("c")

    def follow(self, *plans: VipPlan) -> None:
        self.keeper.update(plans)
        self.keeper.cycle()
        self.keeper.look()


def test_the_first_address_brings_the_sidecar_and_the_last_takes_it_along(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.keeper.cycle()
    assert world.book.all() == {} and world.host.guarded == []
    world.follow(plan("10.0.0.50", "n2"))
    assert list(world.book.all()) == [alone().instance]
    world.follow()
    assert world.book.all() == {}
    assert world.host.guarded == [("10.0.0.50",), ()]


def test_a_running_sidecar_takes_another_address_without_a_restart(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.follow(plan("10.0.0.50"))
    world.run_sidecar()
    world.follow(plan("10.0.0.50"), plan("10.0.0.51"))
    assert world.taken == ["10.0.0.50 10.0.0.51"]


def test_after_a_boot_a_node_goes_on_without_a_manager(tmp_path: Path) -> None:
    World(tmp_path).follow(plan("10.0.0.50", "n2"))
    world = World(tmp_path)
    world.keeper.cycle()
    assert (tmp_path / "config/k.conf").read_text() == "10.0.0.50"


def test_managers_are_told_which_addresses_are_here_once_for_each_change(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.follow(plan("10.0.0.50"))
    world.run_sidecar()
    world.host.here.add(("eth0", "10.0.0.50"))
    world.keeper.look()
    world.keeper.look()
    world.host.here.remove(("eth0", "10.0.0.50"))
    world.keeper.look()
    assert world.told == [("10.0.0.50",), ()]


def test_what_a_killed_keepalived_left_is_removed(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.follow(plan("10.0.0.50"))
    world.host.here.add(("eth0", "10.0.0.50"))
    world.keeper.look()
    assert ("eth0", "10.0.0.50") in world.host.here  # nobody says that it does not run
    world.down = True
    world.keeper.look()
    assert world.host.here == {("eth0", "10.0.0.1")}


def test_an_address_that_is_wanted_no_more_is_removed_also_by_a_later_agent(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.follow(plan("10.0.0.50"))
    world.host.here.add(("eth0", "10.0.0.50"))
    world.keeper = world.again()
    world.follow()
    assert world.host.here == {("eth0", "10.0.0.1")}
    world.keeper.look()
    world.host.here.add(("eth0", "10.0.0.50"))  # now it is somebody else's
    world.keeper.look()
    assert ("eth0", "10.0.0.50") in world.host.here


def test_while_keepalived_ends_it_takes_its_addresses_away_itself(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.follow(plan("10.0.0.50"))
    world.run_sidecar()
    world.host.here.add(("eth0", "10.0.0.50"))
    world.follow()
    assert ("eth0", "10.0.0.50") in world.host.here
    world.engine.stop("c", 1.0)
    world.keeper.look()
    assert world.host.here == {("eth0", "10.0.0.1")}


def test_an_address_that_was_never_ours_is_not_touched(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.host.here.add(("eth0", "10.0.0.60"))
    world.follow(plan("10.0.0.50"))
    world.down = True
    world.keeper.look()
    world.follow()
    assert ("eth0", "10.0.0.60") in world.host.here
