"""Bad files: whatever the text is, the reader makes a service of it or says what is wrong, and neither takes long.

The bounds are counts and memory, not seconds; Hypothesis' deadline is only there so that a hang is noticed.
"""

import json
import time
import tracemalloc
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import appliance.spec
from appliance.cli.apply import read_spec
from appliance.errors import SpecInvalid, UsageError
from appliance.model.service import Service
from appliance.spec.findings import MOST_PROBLEMS
from appliance.spec.json_schema import json_schema
from appliance.spec.reader import LARGEST_SPEC, read_services
from appliance.spec.source import set_values
from appliance.spec.yaml_text import LARGEST_TEXT

FULL = (Path(appliance.spec.__file__).parent / "examples/full.yaml").read_text()
GENEROUS = settings(deadline=60_000, suppress_health_check=list(HealthCheck))
HANG = 60
"""Seconds of processor time; the slowest of the largest files takes 3 with memory being traced."""
MOST_MEMORY = 32 * 2**20
"""Bytes at a time, for any file up to the largest."""

ONE = "service: shop\ndeploys:\n  web:\n    containers:\n      main:\n        image: shop/web:1\n"
SMALL = ONE + "        env: {A: b}\n    pre:\n      - run: [x]  # first\nconfigs: {a.b: {path: /c, text: d}}\n"
BOMB = "a: &a [x, x]\n" + "".join(
    f"{b}: &{b} [*{a}, *{a}, *{a}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
PORTS = "        ports: {" + ", ".join(f"p{n}: {n}" for n in range(1, 4000)) + "}\n"
NAMES = "".join(f"  a{n}: {{containers: {{main: {{image: x}}}}}}\n" for n in range(900))


def verdict(text: str, given_variables: dict[str, str] | None = None) -> list[Service] | list[str]:
    """Services, or problems as texts. Everything else that the reader might do fails the test."""
    try:
        return read_services(text, "f.yaml", given_variables or {})
    except SpecInvalid as refusal:
        assert 0 < len(refusal.problems) <= 2 * MOST_PROBLEMS
        told = [str(problem) for problem in refusal.problems]
        assert all(len(sentence) < 1500 for sentence in told)
        return told


def refusal_of(text: str) -> str:
    told = verdict(text)
    assert isinstance(told[0], str), "it was accepted"
    return "\n".join(str(sentence) for sentence in told)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (BOMB, "aliases"),
        ("x: " + "{a: " * 5000, "nested deeper"),
        ("[" * 100_000, "nested deeper"),
        ("- " * 50_000, "nested deeper"),
        ("? " * 50_000, "nested deeper"),
        (ONE + "service: b\n", "f.yaml:7: duplicate key 'service'"),
        (ONE + "    rank: 022\n", "022' is not the same number to every program"),
        (ONE + "    rank: 0x10\n", "not the same number"),
        (ONE + "    rank: 1_000\n", "not the same number"),
        (ONE + "    stop_grace: 12:30\n", "'12:30' is not an amount"),
        (ONE + "    volumes: {a: {keep: NO}}\n", "'NO' is neither true nor false"),
        (ONE + "    volumes: {a: {keep: yes}}\n", "'yes' is neither true nor false"),
        (ONE + "    replicas: " + "9" * 5000 + "\n", "is not a whole number"),
        (ONE + "    replicas: 99999999999999999999\n", "out of range"),
        (ONE + "    replicas: -3\n", "-3 is out of range"),
        (ONE + "    replicas: .inf\n", "not a whole number"),
        (ONE + "    replicas: .nan\n", "not a whole number"),
        (ONE + "    stop_grace: 1e999\n", "not an amount"),
        (ONE + "    volumes: {a: {size: " + "9" * 400 + "Ti}}\n", "not an amount"),
        (ONE + "    volumes: {a: {size: 999999999Ti}}\n", "more than 2^60 bytes"),
        (ONE + "    rank: !!python/object/apply:os.system ['true']\n", "tags"),
        (ONE + "    rank: !!int '3'\n", "tags"),
        ("%YAML 1.1\n---\n" + ONE, "directives"),
        (ONE + "    <<: {rank: 1}\n", "merges"),
        (ONE + "    rank: 1\0\n", "U+0000"),
        (ONE.replace("shop/web:1", r'"a\0b"'), "a text cannot hold the NUL"),
        (ONE.replace("shop/web:1", r'"\ud800"'), "half of a character"),
        (ONE.replace("shop/web:1", r'"\Uffffffff"'), "this is not YAML"),
        (ONE.replace("shop/web:1", '"\udcff"'), "U+DCFF"),
        (ONE.replace("service: shop", "service: ѕhop"), "is not a name"),
        (ONE.replace("service: shop", "service: sh\u200bop"), "is not a name"),
        (ONE.replace("service: shop", "service: \ufeffshop"), "is not a name"),
        (ONE + "    replicas: ٣\n", "not a whole number"),
        (ONE.replace("shop/web:1", '"${tag"'), "does not end with }; for a literal write $${tag"),
        (ONE.replace("shop/web:1", '"x${a$b}"'), "for a literal write $${a"),
        (ONE + PORTS, "more than the 1000"),
        ("service: many\ndeploys:\n" + NAMES, "900 deploys and jobs are more than the 200"),
        (
            "service: a\nvariables: {v: " + "x" * 1000 + "}\nconfigs: {c: {path: /c, text: '" + "${v}" * 9000 + "'}}\n",
            "384",
        ),
        ("x: [" + "a," * 100_000 + "]", "more than 20000 values"),
        ("{" + "a: b, " * 50_000 + "}", "there are more problems"),
        ("[a, b]: c\n", "a key must be a text"),
        ("? {a: b}\n: c\n", "a key must be a text"),
        (": x\n", "a key must be a text"),
        ("service: shop\ndeploys: [web]\n", "must be a mapping"),
        ("service: shop\nsecrets: {a: b}\ndeploys: {}\n", "must be a list"),
    ],
)
def test_a_known_trap_is_refused_in_words(text: str, told: str) -> None:
    assert told in refusal_of(text)


def test_a_scalar_means_what_it_means_in_yaml_1_2() -> None:
    text = ONE + "        env: {A: NO, B: 12:30, C: 2026-01-02, D: on, E: 42, F: true, G: '022', H: +5}\n"
    (service,) = read_services(text, "", {})
    env = service.deploys["web"].containers["main"].env
    assert env == {"A": "NO", "B": "12:30", "C": "2026-01-02", "D": "on", "E": "42", "F": "true", "G": "022", "H": "5"}


def test_a_byte_order_mark_in_front_is_no_part_of_the_file() -> None:
    (service,) = read_services("\ufeff" + ONE, "", {})
    assert service.name == "shop"


@pytest.mark.parametrize("content", [b"\xff\xfe", b"service: \xc3\x28\n", b"\xed\xa0\x80"])
def test_bytes_that_are_not_utf8_are_refused_by_the_command(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "shop.yaml"
    file.write_bytes(content)
    with pytest.raises(UsageError):
        read_spec(file)


LARGEST = {
    "one text": "x: '" + "y" * (LARGEST_TEXT - 10) + "'",
    "numbers": "x: [" + "1," * 150_000 + "]",
    "keys": "\n".join(f"k{n}: {{}}" for n in range(40_000))[:LARGEST_TEXT],
    "flow mappings": "x: [" + "{a: 1}," * 50_000 + "]",
    "containers": "service: a\ndeploys:\n"
    + "".join(
        f"  d{n}:\n    containers: {{" + ", ".join(f"c{m}: {{image: x}}" for m in range(25)) + "}\n" for n in range(180)
    ),
    "wrong keys": "service: a\n" + "\n".join(f"k{n}: {'v' * 30}" for n in range(9_500)),
    "long wrong name": "service: " + "x" * (LARGEST_TEXT - 50) + "\ndeploys: {}\n",
    "references": "service: a\nconfigs: {c: {path: /c, text: '" + "${nothing}" * 30_000 + "'}}\n",
    "dollars": "service: a\nconfigs: {c: {path: /c, text: '" + "$" * 300_000 + "'}}\n",
    "open references": "service: a\nconfigs: {c: {path: /c, text: '" + "${" * 150_000 + "'}}\n",
    "words": ONE.replace("shop/web:1", 'x\n        command: "' + "a\\\\ '" * 60_000 + '"'),
    "cron": "service: a\njobs: {j: {type: normal, schedule: '" + "1/1" * 50_000 + " * * * *', container: {image: x}}}",
    "query": ONE
    + "    autoscale: {min: 1, max: 2, metric: {target: 1, port: 1, query: 'a{"
    + 'a="b",' * 40_000
    + "'}}\n",
    "path": ONE + "        tmpfs: ['" + "/a" * 150_000 + "']\n",
    "indentation": "\n".join(" " * n + "a:" for n in range(800)),
    "comments": "# x\n" * 90_000 + ONE,
    "quotes": "x: '" + "''" * 150_000 + "'",
    "escapes": 'x: "' + "\\n" * 150_000 + '"',
    "anchors": "x: [" + "&a b," * 60_000 + "]",
    "documents": "---\n" * 90_000,
    "tags": "x: [" + "!!str a," * 40_000 + "]",
}


@pytest.mark.parametrize("text", LARGEST.values(), ids=LARGEST.keys())
def test_the_largest_files_take_little_memory_and_time(text: str) -> None:
    assert len(text) <= LARGEST_TEXT
    started = time.process_time()
    tracemalloc.start()
    try:
        verdict(text)
        assert time.process_time() - started < HANG
        assert tracemalloc.get_traced_memory()[1] < MOST_MEMORY
    finally:
        tracemalloc.stop()


@GENEROUS
@given(st.text(max_size=300))
def test_any_text_is_read_or_refused(text: str) -> None:
    verdict(text)


@GENEROUS
@given(st.lists(st.sampled_from(list("\n  :-[]{},&*!|>'\"%@`#?a1~$\t\0\ufeff\x85\u2028")), max_size=80).map("".join))
def test_any_yaml_like_text_is_read_or_refused(text: str) -> None:
    verdict(text)


LINES = FULL.splitlines(keepends=True)


@st.composite
def mutations(draw: st.DrawFn) -> str:
    """The full example after a few accidents: lines lost, doubled or moved, characters changed, ends missing."""
    lines = list(LINES)
    for _ in range(draw(st.integers(1, 4))):
        at, other = (draw(st.integers(0, len(lines) - 1)) for _ in range(2))
        match draw(st.sampled_from(["lose", "double", "move", "indent", "spoil", "cut"])):
            case "lose":
                lines[at] = ""
            case "double":
                lines.insert(at, lines[other])
            case "move":
                lines[at], lines[other] = lines[other], lines[at]
            case "indent":
                lines[at] = draw(st.sampled_from(["  ", "\t", "- "])) + lines[at]
            case "spoil":
                column = draw(st.integers(0, len(lines[at])))
                lines[at] = lines[at][:column] + draw(st.text(max_size=3)) + lines[at][column:]
            case _:
                lines[at] = lines[at][: draw(st.integers(0, len(lines[at])))]
    return "".join(lines)


@GENEROUS
@given(mutations())
def test_a_damaged_example_is_read_or_refused(text: str) -> None:
    verdict(text)


SCHEMA = json_schema()
FIELDS = sorted({name for part in (SCHEMA, *SCHEMA["$defs"].values()) for name in part["properties"]})
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(
        ["web", "main", "shop", "${tag}", "${instance.name}", "$", "10%", "5s", "1Gi", "/x", "web/http", "*"]
    ),
    st.sampled_from(["every-node", "host", "0 3 * * *", "UTC", "0440", "SIGINT", "once", "memory", "int", "choice"]),
)
NAME_OR_FIELD = st.one_of(st.sampled_from(FIELDS), st.sampled_from(["web", "main", "http", "data", "tag"]))


def later(part: dict[str, Any], depth: int) -> st.SearchStrategy[Any]:
    return st.deferred(lambda: shaped(part, depth))


def shaped(part: dict[str, Any], depth: int) -> st.SearchStrategy[Any]:
    """Values that mostly have the shape that the schema asks for, and now and then any other."""
    if "$ref" in part:
        part = SCHEMA["$defs"][part["$ref"].rsplit("/", 1)[1]]
    if depth <= 0:
        return SCALARS
    options = part.get("anyOf") or part.get("oneOf")
    if options and "properties" not in part:
        return st.one_of(SCALARS, *[later(option, depth) for option in options])
    if part.get("type") == "array":
        return st.lists(later(part["items"], depth - 1), max_size=3)
    if "properties" in part:
        known = {name: later(one, depth - 1) for name, one in part["properties"].items()}
        required = {name: known.pop(name) for name in part.get("required", ())}
        return st.fixed_dictionaries(required, optional=known)
    if part.get("type") == "object":
        items = later(part["additionalProperties"], depth - 1)
        return st.dictionaries(st.one_of(NAME_OR_FIELD, st.text(max_size=4)), items, max_size=3)
    if "enum" in part:
        return st.sampled_from(part["enum"])
    return SCALARS


TREES = shaped(SCHEMA, 7)


@GENEROUS
@given(TREES, st.dictionaries(st.sampled_from(["tag", "x", "\ud800"]), st.text(max_size=5), max_size=2))
def test_any_tree_of_the_schemas_fields_is_read_or_refused(tree: object, variables: dict[str, str]) -> None:
    verdict(json.dumps(tree), variables)


STEPS = st.one_of(st.sampled_from([*FIELDS, "web", "main", "0", "1", "9", '"a.b"', "", "a.b"]), st.text(max_size=4))
PATHS = st.lists(STEPS, min_size=1, max_size=6).map(".".join)


@GENEROUS
@given(st.dictionaries(PATHS, st.one_of(st.text(max_size=12), SCALARS.map(str)), max_size=3))
def test_any_value_at_any_path_is_put_in_or_refused(values: dict[str, str]) -> None:
    try:
        verdict(set_values(SMALL, "f.yaml", values))
    except SpecInvalid as refusal:
        assert refusal.problems


def test_what_is_accepted_fits_into_the_store() -> None:
    deploys = "".join(f"  d{n}: {{containers: {{main: {{image: x}}}}}}\n" for n in range(200))
    (service,) = read_services("service: a\ndeploys:\n" + deploys, "", {})
    assert len(msgspec.json.encode(service)) < LARGEST_SPEC
    assert "of the store" in refusal_of(LARGEST["containers"])
