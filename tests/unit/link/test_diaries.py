"""What nodes tell of their time alone comes into the store in order, once, and they hear that it has."""

from collections.abc import Iterator

import pytest

from appliance.link.diaries import REMEMBERED, Diaries, continued
from appliance.link.messages import DiaryPage, DiaryTaken
from appliance.model.diary import Happening, NodeDiary
from tests.unit.link.cluster_in_memory import ClusterInMemory


def page(*numbers: int, volume: str = "v") -> DiaryPage:
    happenings = tuple(
        Happening(number=number, at="", kind="restart", instance="s/web-0", message=str(number)) for number in numbers
    )
    return DiaryPage(volume=volume, lost=0, happenings=happenings)


def numbers(diary: NodeDiary | None) -> list[int]:
    return [each.number for each in diary.happenings] if diary else []


class House:
    def __init__(self) -> None:
        self.cluster = ClusterInMemory(nodes=1)
        self.sent: list[DiaryTaken] = []
        self.diaries = Diaries(self.cluster.state, self.cluster.store, lambda node, taken: self.sent.append(taken))

    def tell(self, node: str, told: DiaryPage) -> float | None:
        self.diaries.heard(node, told)
        return self.diaries.cycle()

    def stored(self) -> NodeDiary | None:
        return self.cluster.state.diaries.get("n1")


@pytest.fixture
def house() -> Iterator[House]:
    house = House()
    yield house
    house.cluster.mirror.stop()


def test_what_is_told_again_is_taken_in_once(house: House) -> None:
    house.tell("n1", page(1, 2))
    house.tell("n1", page(1, 2, 3))
    assert numbers(house.stored()) == [1, 2, 3]
    assert house.sent == [DiaryTaken(volume="v", number=2), DiaryTaken(volume="v", number=3)]


def test_a_manager_that_knows_it_already_says_so_and_writes_nothing(house: House) -> None:
    house.tell("n1", page(1, 2))
    before = house.cluster.mirror.revision
    house.tell("n1", page(1, 2))
    assert house.cluster.mirror.revision == before
    assert house.sent[-1] == DiaryTaken(volume="v", number=2)


def test_what_another_manager_writes_this_moment_is_looked_at_again(house: House) -> None:
    state, store = house.cluster.state, house.cluster.store
    theirs = continued(None, "n1", page(1))
    store.before = lambda: store.commit([state.diaries.put("n1", theirs)])
    assert house.tell("n1", page(1, 2)) is not None
    assert not house.sent
    assert state.copy.wait_for(store.list("").revision, 5)
    assert house.diaries.cycle() is None
    assert numbers(house.stored()) == [1, 2]


def test_a_node_that_nobody_knows_writes_nothing(house: House) -> None:
    house.tell("n9", page(1))
    assert house.cluster.state.diaries.get("n9") is None


def test_a_new_volume_begins_at_one(house: House) -> None:
    house.tell("n1", page(1, 2, 3))
    house.tell("n1", page(1, volume="w"))
    assert numbers(house.stored()) == [1]


def test_little_of_what_is_known_stays_in_the_store() -> None:
    diary = continued(None, "n1", page(*range(1, 60)))
    assert numbers(continued(diary, "n1", page(60))) == list(range(60 - REMEMBERED, 61))
