"""How well a node is: what one answer changes, and what it does not."""

from pathlib import Path

from appliance.agent.standing import RETURNED, SETTLED, SETTLES_AFTER, UNWELL, Standing, Standings, next_standing


def test_one_bad_answer_is_forgiven_and_two_in_a_row_are_not() -> None:
    well = Standing(SETTLED)
    once = next_standing(well, False, 1.0)
    assert once.value == SETTLED
    assert next_standing(next_standing(once, True, 2.0), False, 3.0).value == SETTLED
    assert next_standing(once, False, 2.0).value == UNWELL


def test_who_comes_back_waits_until_it_counts_as_before() -> None:
    back = next_standing(Standing(UNWELL, bad=5), True, 100.0)
    assert back.value == RETURNED
    assert next_standing(back, True, 100.0 + SETTLES_AFTER - 0.1).value == RETURNED
    assert next_standing(back, True, 100.0 + SETTLES_AFTER).value == SETTLED


def test_a_bad_answer_makes_the_wait_begin_anew() -> None:
    back = Standing(RETURNED, 100.0)
    shaken = next_standing(back, False, 105.0)
    assert next_standing(shaken, True, 100.0 + SETTLES_AFTER).value == RETURNED


class World:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = 0.0
        self.serves = True
        self.standings = self.again()

    def again(self) -> Standings:
        return Standings(self.folder, {"entry": lambda: self.serves}, lambda: self.now)

    def value(self) -> str:
        return (self.folder / "entry").read_text()


def test_after_a_boot_a_node_is_unwell_until_it_has_answered(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.standings.prepare()
    assert world.value() == f"{UNWELL}\n"
    world.standings.ask("entry")
    assert world.value() == f"{RETURNED}\n"


def test_an_agents_restart_changes_nothing(tmp_path: Path) -> None:
    world = World(tmp_path)
    (tmp_path / "entry").write_text("0\n")
    world.standings.prepare()
    world.standings.ask("entry")
    assert world.value() == "0\n"


def test_what_does_not_parse_counts_as_nothing_known(tmp_path: Path) -> None:
    world = World(tmp_path)
    (tmp_path / "entry").write_text("")
    world.standings.prepare()
    assert world.value() == f"{UNWELL}\n"
