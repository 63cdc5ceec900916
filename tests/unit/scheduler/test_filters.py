"""Each filter turns away whom it should, and says so."""

import pytest

from appliance.model.node import Gpu, Reserve
from appliance.model.service import Placement
from appliance.scheduler.fleet import Fleet
from appliance.scheduler.need import Need
from appliance.scheduler.room import Room, choose_gpus
from tests.unit.scheduler.fleets import GIB, fleet, near, need, place, reason, room, settle

A100, T4 = Gpu(id="GPU-a", model="NVIDIA A100-SXM4-80GB"), Gpu(id="GPU-t", model="Tesla T4")


def with_neighbour(deploy: str) -> Fleet:
    among = fleet(room(1, labels={"rack": "r1"}), room(2, labels={"rack": "r1"}), room(3))
    settle(among, need(deploy), 1)
    return among


@pytest.mark.parametrize(
    ("wish", "node", "sentence"),
    [
        (need(node="n2"), room(1), "is not n2, where it has to be"),
        (need(placement=Placement(node="n9")), room(1), "is not n9, where it has to be"),
        (need(), room(1, evicted=True), "is evicted"),
        (need(), room(1, state="unreachable"), "is not ready"),
        (need(placement=Placement(tolerate=("not-ready",))), room(1, state="unreachable"), "is not ready"),
        (need(placement=Placement(tolerate=("*",))), room(1, state="joining"), "is not ready"),
        (need(), room(1, cordoned=True), "is cordoned"),
        (need(), room(1, draining=True), "is cordoned"),
        (need(avoid="n1"), room(1), "is the node that it moves away from"),
        (need(), room(1, taints={"gpu": ""}), "has taints that it does not tolerate"),
        (need(architectures=frozenset({"aarch64"})), room(1), "is not aarch64, which it is for"),
        (need(architectures=frozenset()), room(1), "is of no architecture that all its images are for"),
        (need(architectures=frozenset({"x86_64"})), room(1, facts=False), "is not x86_64, which it is for"),
        (need(placement=Placement(require={"disk": ("ssd", "nvme")})), room(1), "lacks the label disk=ssd|nvme"),
        (need(near=near("s/db")), room(1), "is not near s/db"),
        (need(devices=frozenset({"/dev/ttyUSB0"})), room(1), "lacks the device /dev/ttyUSB0"),
        (need(cpu=4001), room(1), "has less than 4.001 cores free"),
        (need(cpu=4000), room(1, reserve=Reserve(cpu=1)), "has less than 4 cores free"),
        (need(memory=8 * GIB), room(1), "has less than 8 GiB of memory free"),
        (need(memory=GIB), room(1, facts=False), "has less than 1 GiB of memory free"),
        (need(memory=7 * GIB), room(1, reserve=Reserve(memory=2 * GIB)), "has less than 7 GiB of memory free"),
        (need(gpus=((1, ""),)), room(1), "has too few free GPUs for 1"),
        (
            need(gpus=((1, "A100"), (1, "A100"))),
            room(1, gpus=(A100, T4)),
            "has too few free GPUs for 1 A100 and 1 A100",
        ),
        (need(storage=(("nvme", 0),)), room(1), "has no room for volumes of nvme"),
        (need(storage=(("ssd", 2 * GIB),)), room(1, storage={"ssd": GIB}), "has no room for volumes of 2 GiB of ssd"),
        (need(), room(1, addresses=0), "has no address left"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_node_is_turned_away_with_a_sentence(wish: Need, node: Room, sentence: str) -> None:
    assert reason(place(wish, 1, fleet(node))) == f"1 of 1 node {sentence}"


@pytest.mark.parametrize(
    ("wish", "node"),
    [
        (need(placement=Placement(tolerate=("not-ready",))), room(1, state="joining", facts=False)),
        (need(every_node=True), room(1, cordoned=True, draining=True)),
        (need(placement=Placement(tolerate=("team=a", "gpu"))), room(1, taints={"gpu": "x", "team": "a"})),
        (need(architectures=frozenset({"x86_64", "aarch64"})), room(1)),
        (need(placement=Placement(require={"disk": ("ssd", "nvme")})), room(1, labels={"disk": "nvme"})),
        (need(devices=frozenset({"/dev/a"})), room(1, devices=("/dev/a", "/dev/b"))),
        (need(memory=7 * GIB), room(1)),
        (need(memory=8 * GIB, cpu=4000), room(1, reserve=Reserve(memory=0, cpu=0))),
        (need(storage=(("ssd", GIB),)), room(1, storage={"ssd": GIB})),
        (need(), room(1, cpu=0, memory=0)),
    ],
)
def test_a_node_that_will_do_is_taken(wish: Need, node: Room) -> None:
    assert len(place(wish, 1, fleet(node)).placed) == 1


def test_near_and_away_by_node_and_by_label() -> None:
    assert {each.binding.node for each in place(need(near=near("s/db")), 3, with_neighbour("s/db")).placed} == {"n1"}
    by_rack = place(need(near=near("s/db", "rack")), 3, with_neighbour("s/db"))
    assert {each.binding.node for each in by_rack.placed} == {"n1", "n2"}
    assert {each.binding.node for each in place(need(away=near("s/db")), 4, with_neighbour("s/db")).placed} == {
        "n2",
        "n3",
    }
    away = place(need(away=near("s/db", "rack")), 2, with_neighbour("s/db"))
    assert {each.binding.node for each in away.placed} == {"n3"}, "a node without the label shares no place"


def test_so_many_on_a_node_and_no_more() -> None:
    outcome = place(need(placement=Placement(most_per_node=2)), 5, fleet(room(1), room(2)))
    assert (len(outcome.placed), reason(outcome)) == (4, "2 of 2 nodes have 2 instances of it already")


def test_gpus_are_given_by_name_once_and_named_in_the_binding() -> None:
    among = fleet(room(1, gpus=(A100, T4)))
    bound = place(need(gpus=((1, ""), (1, "a100"))), 1, among).placed[0].binding
    assert bound.gpus == ("GPU-t", "GPU-a")
    assert place(need("s/more", gpus=((1, ""),)), 1, among).refusals


def test_the_longest_model_chooses_first() -> None:
    small, large = Gpu(id="1", model="A100-SXM4-80GB"), Gpu(id="2", model="A100-PCIE-40GB")
    assert choose_gpus([small, large], [(1, "A100"), (1, "A100-SXM4-80GB")]) == ("2", "1")
