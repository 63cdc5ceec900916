"""What happened on a node is kept until managers have it, in order, and within bounds."""

from pathlib import Path

import pytest

from appliance.agent.diary import MOST, PAGE, Diary, News, Page


def opened(folder: Path, boot: str = "b1") -> Diary:
    return Diary(folder / "diary.json", boot, now=lambda: "T")


def notes(diary: Diary, *messages: str) -> None:
    for message in messages:
        diary.note("shop/web-1", News("restart", message))


def messages(diary: Diary) -> list[str]:
    return [each.message for each in diary.page().happenings]


def test_what_was_not_taken_in_outlives_the_agent_and_keeps_its_numbers(tmp_path: Path) -> None:
    diary = opened(tmp_path)
    notes(diary, "one", "two")
    diary.taken(diary.page().volume, 1)
    again = opened(tmp_path)
    notes(again, "three")
    assert [(each.number, each.message) for each in again.page().happenings] == [(2, "two"), (3, "three")]
    assert again.page().volume == diary.page().volume


def test_a_page_is_the_oldest_and_the_next_comes_when_it_was_taken(tmp_path: Path) -> None:
    diary = opened(tmp_path)
    told: list[Page] = []
    diary.subscribe(told.append)
    notes(diary, *(str(number) for number in range(PAGE + 5)))
    assert messages(diary)[0] == "0" and len(messages(diary)) == PAGE
    diary.taken(diary.page().volume, PAGE)
    assert messages(diary) == [str(number) for number in range(PAGE, PAGE + 5)]
    assert told[-1] == diary.page()


def test_the_oldest_are_dropped_and_counted_when_nobody_comes_for_them(tmp_path: Path) -> None:
    diary = opened(tmp_path)
    notes(diary, *(str(number) for number in range(MOST + 7)))
    assert diary.page().lost == 7 and messages(diary)[0] == "7"


def test_what_was_taken_of_another_volume_is_no_matter(tmp_path: Path) -> None:
    diary = opened(tmp_path)
    notes(diary, "one")
    diary.taken("other", 1)
    assert messages(diary) == ["one"]


def test_a_start_of_the_node_is_noted_and_one_of_the_agent_is_not(tmp_path: Path) -> None:
    for boot, found in (("b1", []), ("b1", []), ("b2", ["was started anew"])):
        diary = opened(tmp_path, boot)
        diary.start()
        diary.stop()
        assert messages(diary) == found


@pytest.mark.parametrize("damage", [b"", b"\0" * 40, b'{"volume": 3}', b'{"volume": "\xff"}'])
def test_a_damaged_file_is_set_aside_and_a_new_volume_begun(tmp_path: Path, damage: bytes) -> None:
    diary = opened(tmp_path)
    notes(diary, "one")
    (tmp_path / "diary.json").write_bytes(damage)
    again = opened(tmp_path)
    assert messages(again) == [] and again.page().volume != diary.page().volume
    assert (tmp_path / "diary.json.damaged").read_bytes() == damage
