"""What a node has taken only rises, and survives what was worth a write."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from appliance.link.fence import Fence
from appliance.model.stamp import Stamp


def test_stamps_rise_and_an_incarnation_weighs_more_than_any_revision(tmp_path: Path) -> None:
    fence = Fence(tmp_path / "fence.json", "c")
    fence.take(Stamp(0, 500))
    fence.take(Stamp(0, 499))
    assert fence.stamp == Stamp(0, 500)
    fence.take(Stamp(1, 3))
    assert fence.stamp == Stamp(1, 3)


def test_what_was_kept_is_known_after_a_restart_and_nothing_else_is(tmp_path: Path) -> None:
    file = tmp_path / "fence.json"
    fence = Fence(file, "c")
    fence.take(Stamp(0, 700))
    fence.keep(Stamp(0, 500))
    fence.keep(Stamp(0, 400))
    assert Fence(file, "c").stamp == Stamp(0, 500)


def test_nothing_is_written_while_nothing_new_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "fence.json"
    fence = Fence(file, "c")
    fence.keep(Stamp(0, 500))
    file.unlink()
    fence.keep(Stamp(0, 500))
    assert not file.exists()


def test_turns_rise_over_restarts_also_when_the_clock_was_set_back_or_the_file_is_lost(tmp_path: Path) -> None:
    file = tmp_path / "fence.json"
    fence = Fence(file, "c", lambda: 1000.0)
    first, second = fence.next_turn(), fence.next_turn()
    fence.keep(Stamp(0, 1))
    assert first < second < Fence(file, "c", lambda: 10.0).next_turn()
    assert second < Fence(tmp_path / "lost.json", "c", lambda: 1010.0).next_turn()


def test_a_slow_disk_keeps_nobody_from_taking_a_picture(tmp_path: Path) -> None:
    fence = Fence(tmp_path / "fence.json", "c")
    pipe = tmp_path / f".fence.json.{os.getpid()}.new"
    os.mkfifo(pipe)  # opening it waits for a reader, as a write does for a disk
    with ThreadPoolExecutor(2) as threads:
        keeping = threads.submit(fence.keep, Stamp(0, 1))
        taking = threads.submit(fence.take, Stamp(0, 2))
        try:
            taking.result(timeout=5)
            assert not keeping.done()
        finally:
            os.close(os.open(pipe, os.O_RDONLY))
            assert isinstance(keeping.exception(), OSError)  # a pipe is not synced
    assert fence.stamp == Stamp(0, 2)


def test_a_damaged_file_holds_nobody_off(tmp_path: Path) -> None:
    file = tmp_path / "fence.json"
    for damage in (b"", b"\xff\x00", b"{}[", b'{"stamp": "x"}'):
        file.write_bytes(damage)
        assert Fence(file, "c").stamp == Stamp()


def test_what_was_kept_of_another_cluster_says_nothing(tmp_path: Path) -> None:
    file = tmp_path / "fence.json"
    Fence(file, "c").keep(Stamp(0, 500))
    assert Fence(file, "another").stamp == Stamp()
