"""Changes to the text of a service file."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import appliance.spec
from appliance.errors import SpecInvalid
from appliance.spec.reader import read_service
from appliance.spec.source import set_values
from appliance.spec.yaml_text import read_yaml

EXAMPLES = sorted((Path(appliance.spec.__file__).parent / "examples").glob("*.yaml"))
TEXT = """\
# The shop.
service: shop   # its name
variables: {tag: "1.4"}
configs:
  app.conf: {path: /etc/app.conf, text: a}
deploys:
  web:
    replicas: 3   # as many as zones
    pre:
    - run: [/bin/check]
    - run: [/bin/second]
    containers:
      main:
        image: "shop/web:${tag}"
"""


def after(**values: str) -> str:
    """The text after values at paths; two underscores stand for a point."""
    return set_values(TEXT, "f.yaml", {path.replace("__", "."): value for path, value in values.items()})


def problem(path: str, value: str = "1") -> str:
    with pytest.raises(SpecInvalid) as caught:
        set_values(TEXT, "f.yaml", {path: value})
    return str(caught.value.problems[0])


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda path: path.name)
def test_without_a_change_the_text_stays_as_it_is(file: Path) -> None:
    old = [line.split() for line in file.read_text().splitlines()]
    assert [line.split() for line in set_values(file.read_text(), "", {}).splitlines()] == old


def test_a_value_is_replaced_and_everything_else_stays() -> None:
    assert after(deploys__web__replicas="5") == TEXT.replace("replicas: 3 ", "replicas: 5 ")


def test_a_value_is_added_with_the_mappings_on_its_way() -> None:
    text = after(deploys__web__placement__require__zone="a", deploys__web__containers__main__health__live__tcp="80")
    web = read_service(text.replace("${tag}", "1"), "", {}).deploys["web"]
    live = web.containers["main"].health.live
    assert (web.placement.require, live and live.tcp) == ({"zone": ("a",)}, 80)


def test_a_field_without_a_value_can_become_a_mapping() -> None:
    assert set_values("deploys:\n  web:\n", "", {"deploys.web.rank": "1"}) == "deploys:\n  web:\n    rank: 1\n"


def test_items_of_lists_have_numbers_and_the_next_one_adds_an_item() -> None:
    text = after(deploys__web__pre__1__run="[/bin/other, -x]", deploys__web__pre__2="{run: /bin/third}")
    pre = read_service(text, "", {}).deploys["web"].hooks.pre
    assert [hook.run for hook in pre] == [("/bin/check",), ("/bin/other", "-x"), ("/bin/third",)]
    assert "    - run: [/bin/check]\n" in text


def test_a_name_with_points_is_found_or_quoted() -> None:
    text = set_values(TEXT, "", {"configs.app.conf.text": "b", 'configs."x.y".path': "/y", 'configs."x.y".text': "c"})
    configs = read_service(text, "", {}).configs
    assert (configs["app.conf"].text, configs["x.y"].path) == ("b", "/y")


@pytest.mark.parametrize(
    ("value", "meaning"),
    [
        ("4", 4),
        ("true", True),
        ("[a, 1]", ["a", 1]),
        ("{a: b}", {"a": "b"}),
        ("'4'", "4"),
        ("", ""),
        ("a: b", "a: b"),
        ("- a", "- a"),
        ("*all", "*all"),
        ("[open", "[open"),
        ("?0", "?0"),
        ("0b1", "0b1"),
        ("2026-01-02", "2026-01-02"),
        ("one\ntwo\n", "one\ntwo\n"),
        ("shop/web:${tag}", "shop/web:${tag}"),
    ],
)
def test_a_value_is_a_scalar_or_a_flow_collection_or_else_a_text(value: str, meaning: object) -> None:
    (document,) = read_yaml(after(variables__x=value), "")
    assert isinstance(document.value, dict)
    assert document.value["variables"]["x"] == meaning


def test_a_path_that_leads_nowhere_is_named() -> None:
    assert problem("service.x.y") == "f.yaml: service.x.y: service is not a mapping or a list, so it cannot hold x.y"
    assert "deploys.web.pre is a list with 2 items, counted from 0; 7 is none" in problem("deploys.web.pre.7.run")
    assert "this is no path" in problem("..")


def test_all_wrong_paths_are_named_at_once() -> None:
    with pytest.raises(SpecInvalid) as caught:
        after(service__a="1", service__b="2")
    assert len(caught.value.problems) == 2


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20))
def test_any_text_as_a_config_reads_back_as_itself(text: str) -> None:
    quoted = "'" + text.replace("'", "''") + "'"
    (document,) = read_yaml(set_values(TEXT, "", {"variables.x": quoted}), "")
    assert isinstance(document.value, dict)
    assert document.value["variables"]["x"] == text
