"""The small formats inside a Compose file."""

import pytest

from appliance.spec.compose.env_file import read_env_file
from appliance.spec.compose.interpolation import Interpolation
from appliance.spec.compose.order import jobs, ranks
from appliance.spec.foreign_amounts import compose_bytes, go_duration

GIVEN = {"A": "1", "EMPTY": "", "B": "2"}


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("$A ${A} $$A", "1 1 $A"),
        ("${NO-x} ${EMPTY-x} ${EMPTY:-x} ${NO:-}", "x  x "),
        ("${A:+y} ${NO:+y} ${EMPTY+y}${EMPTY:+y}", "y  y"),
        ("${NO:-${B}} ${NO:-{}}", "2 {}"),
        ("${NO}", ""),
        ("100 $ and $1", "100 $ and $1"),
    ],
)
def test_variables_are_put_in(text: str, filled: str) -> None:
    assert Interpolation(GIVEN, "").text(text) == filled


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("${", "not closed"),
        ("${1}", "not a variable"),
        ("${A!}", "not a variable"),
        ("${NO?}", "has to be set"),
        ("${EMPTY:?say ${A}}", "say 1"),
        ("${A:-" * 5000, "inside each other"),
    ],
)
def test_what_is_no_variable_is_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Interpolation(GIVEN, "").text(text)


def test_env_files_are_read_as_compose_reads_them() -> None:
    text = "# note\n\nA=1\nexport B = two # not this\nC='$A#'\nD=\"${A}\\n\"\nE=#\nGIVEN\nMISSING\n"
    found = read_env_file(text, {"GIVEN": "g"})
    assert found == {"A": "1", "B": "two", "C": "$A#", "D": "1\n", "E": "", "GIVEN": "g"}


@pytest.mark.parametrize("text", ["=x", "A='open", "a b", 'A="x" y'])
def test_a_line_that_is_no_variable_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="line 2"):
        read_env_file(f"\n{text}\n", {})


def test_what_a_service_depends_on_has_a_lower_rank() -> None:
    started, completed = "service_started", "service_completed_successfully"
    needs = {"web": {"api": started, "db": started}, "api": {"init": completed}, "init": {"db": started}, "db": {}}
    assert ranks(needs) == {"db": 0, "init": 1, "api": 2, "web": 3}
    assert jobs(needs) == {"init"}


def test_a_circle_is_named() -> None:
    with pytest.raises(ValueError, match=r"in a circle: . → . → ."):
        ranks({"a": {"b": ""}, "b": {"a": ""}})


def test_amounts_become_ours() -> None:
    assert [go_duration(text) for text in ("1m30s", "2h", "1.5s", "10s", "0", "300us")] == [
        "90s", "2h", "1500ms", "10s", "0s", "1ms",
    ]  # fmt: skip
    assert [compose_bytes(text) for text in ("64m", "1gb", "1.5k", "100", "1GiB")] == [
        "64Mi", "1Gi", "1536", "100", "1Gi",
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["", "10", "-1s", "1d", "soon"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        go_duration(text)
