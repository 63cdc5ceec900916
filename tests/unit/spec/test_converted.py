"""The writer of service files, and reading with aliases."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from appliance.errors import SpecInvalid
from appliance.spec.converted import Ours, compact, label, write_service
from appliance.spec.reader import read_service
from appliance.spec.yaml_text import read_yaml

TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], include_characters="\n\t"), max_size=60)


@example("?0")
@example("0b1")
@example("1_0")
@example("~")
@example(":a")
@example("a\n\u2028b")
@settings(deadline=None)
@given(TEXTS)
def test_every_text_reaches_the_container_as_it_was(text: str) -> None:
    container = {"image": "a", "env": {"X": text}, "command": ["echo", text]}
    written = write_service({"service": "shop", "deploys": {"web": {"containers": {"main": container}}}})
    main = read_service(written, "", {}).deploys["web"].containers["main"]
    assert (main.env["X"], main.command, main.templates) == (text, ("echo", text), ())


def test_a_text_of_our_own_keeps_its_references() -> None:
    assert write_service({"a": Ours("${instance.name}"), "b": "${x}"}) == "a: ${instance.name}\n\nb: $${x}\n"


def test_short_parts_stand_on_one_line_and_long_texts_on_several() -> None:
    text = write_service({"a": {"b": {"c": [1, 2]}, "d": "x\ny\n", "e": {"f": "z" * 90}}})
    assert text == f"a:\n  b: {{c: [1, 2]}}\n  d: |\n    x\n    y\n  e:\n    f: {'z' * 90}\n"


def test_fields_that_say_nothing_are_left_out() -> None:
    assert compact({"a": None, "b": "", "c": {}, "d": [], "e": 0, "f": False}) == {"e": 0, "f": False}


def test_any_name_becomes_a_dns_label() -> None:
    assert [label(name) for name in ("My_App.1", "--x--", "ü", "a" * 70)] == ["my-app-1", "x", "", "a" * 63]


def test_aliases_are_put_in_where_they_are_asked_for_with_their_lines() -> None:
    (document,) = read_yaml("x: &x\n  a: 1\ny:\n  <<: *x\n  b: *x\n", "", foreign=True)
    assert document.value == {"x": {"a": 1}, "y": {"a": 1, "b": {"a": 1}}}
    assert (document.line(("y", "b")), document.line(("y", "b", "a")), document.line(("y", "a"))) == (5, 5, 3)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (
            "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
            + "".join(f"{n}: &{n} [{', '.join([f'*{p}'] * 10)}]\n" for p, n in zip("abcdef", "bcdefg", strict=True)),
            "more than 20000 values",
        ),
        ("a0: &a0 []\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 40)), "deeper than 32"),
        ("a: &a [*a]", "nothing before this is called &a"),
        ("a: &a 1\n---\nb: *a", "nothing before this is called &a"),
        ("a: {<<: 3}", "<< merges mappings only"),
    ],
)
def test_aliases_that_stand_for_too_much_or_for_nothing_are_refused(text: str, why: str) -> None:
    with pytest.raises(SpecInvalid) as caught:
        read_yaml(text, "f.yaml", foreign=True)
    assert why in str(caught.value.problems[0])
