"""What a newer release has written survives an older one that changes it."""

from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import inspect

from appliance.errors import LocalStateDamaged, NewerState
from appliance.model.cluster import Cluster, Image, User
from appliance.model.identity import NodeIdentity, OwnMember
from appliance.model.instance import Assignment
from appliance.model.node import Disk, NodeFacts, NodeSpec, NodeStatus
from appliance.model.wish import LocalWish
from appliance.store import keys
from appliance.store.codec import decode, encode, rewritten, rewritten_file
from appliance.store.memory import MemoryStore
from appliance.store.mirror import Mirror
from appliance.store.state import Cell, State, Table
from appliance.store.store import Put

Json = Any
"""What a JSON text says, as Python's own values."""
Place = tuple[str | int, ...]

SOME_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=3,
)
UNKNOWN = st.dictionaries(st.sampled_from(("later", "newer", "überdies")), SOME_JSON, max_size=2)

STATE = State(Mirror(MemoryStore(lambda: 0.0), keys.ROOT))
KINDS: dict[str, type[msgspec.Struct]] = {
    "node.json": NodeIdentity,
    "member.json": OwnMember,
    "assignment": Assignment,
    "wish": LocalWish,
}
KINDS |= {name: each._table._kind for name, each in vars(STATE).items() if isinstance(each, Cell)}
KINDS |= {name: each._kind for name, each in vars(STATE).items() if isinstance(each, Table)}
SHAPES = {name: inspect.type_info(kind) for name, kind in KINDS.items()}
IMAGE = Image(reference="web:1", id="sha256:1", pull="web@sha256:2", architecture="amd64", size=1, loaded_at="")


@pytest.mark.parametrize("name", KINDS)
@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data())
def test_what_a_newer_release_added_survives_the_change_of_anything_else(name: str, data: st.DataObject) -> None:
    kind, shape = KINDS[name], SHAPES[name]
    written = data.draw(WRITTEN[name])
    value = decode(encode(written), kind, where=name)
    known = msgspec.json.decode(encode(value))
    places = list(_changeable(shape, known))
    if places:
        place, leaf = data.draw(st.sampled_from(places))
        _set(known, place, data.draw(_as_a_newer_release_writes(leaf)))
    changed = decode(encode(known), kind, where=name)
    after = rewritten(encode(written), changed, where=name)
    assert decode(after, kind, where=name) == changed
    assert sorted(_unknown(shape, msgspec.json.decode(after))) == sorted(_unknown(shape, written))


def test_a_table_keeps_what_it_does_not_know() -> None:
    store = MemoryStore(lambda: 0.0)
    mirror = Mirror(store, keys.ROOT)
    mirror.start()
    try:
        state, user = State(mirror), User(name="li", password="x", created_at="")
        store.commit([Put(keys.USERS + "li", b'{"later":[1],' + encode(user)[1:])])
        assert mirror.wait_for(store.list(keys.ROOT).revision, 5.0)
        known = state.users.get("li")
        assert known == user
        put = state.users.put("li", msgspec.structs.replace(user, roles=("viewer",)))
        assert msgspec.json.decode(put.value) == msgspec.to_builtins(user) | {"roles": ["viewer"], "later": [1]}
    finally:
        mirror.stop()


def test_what_was_deleted_from_a_value_does_not_come_back() -> None:
    node = NodeSpec(id="n-1", name="one", number=1, address="10.0.0.1", labels={"zone": "a", "rack": "1"})
    without = msgspec.structs.replace(node, labels={"zone": "a"})
    after = rewritten(b'{"later":1,' + encode(node)[1:], without, where="")
    assert msgspec.json.decode(after) == msgspec.json.decode(encode(without)) | {"later": 1}


def test_items_of_a_list_keep_what_is_theirs_when_others_go() -> None:
    a, b = (Disk(name=name, medium="ssd", size=1) for name in ("a", "b"))
    facts = NodeFacts(version="", architecture="", cpu=1, memory=1, kernel="", engine="", boot_id="", disks=(a, b))
    status = NodeStatus(id="n-1", state="ready", since="", facts=facts)
    written = msgspec.to_builtins(status)
    for disk in written["facts"]["disks"]:
        disk["later"] = disk["name"]
    one = msgspec.structs.replace(status, facts=msgspec.structs.replace(facts, disks=(b,)))
    disks = msgspec.json.decode(rewritten(encode(written), one, where=""))["facts"]["disks"]
    assert disks == [msgspec.to_builtins(b) | {"later": "b"}]


def test_a_value_of_this_release_is_written_as_ever() -> None:
    again = msgspec.structs.replace(IMAGE, size=2)
    assert rewritten(encode(IMAGE), again, where="") == encode(again)


def test_a_value_of_a_newer_schema_is_named_and_left_alone(tmp_path: Path) -> None:
    newer = b'{"schema":2,' + encode(IMAGE)[1:]
    with pytest.raises(NewerState) as told:
        decode(newer, Image, where="/appliance/images/web:1")
    assert "/appliance/images/web:1" in told.value.what
    assert "upgrade" in told.value.next
    with pytest.raises(NewerState):
        rewritten(newer, IMAGE, where="")
    file = tmp_path / "image.json"
    file.write_bytes(newer)
    with pytest.raises(NewerState):
        rewritten_file(file, IMAGE)


def test_a_field_called_schema_inside_a_value_is_nothing_special() -> None:
    node = NodeSpec(id="n-1", name="one", number=1, address="10.0.0.1", labels={"schema": "9"})
    assert decode(encode(node), NodeSpec, where="") == node


@pytest.mark.parametrize("damage", [b"", b"{}", b"\xff", b"[]"])
def test_what_is_not_readable_is_not_replaced_in_the_store_but_is_on_the_disk(tmp_path: Path, damage: bytes) -> None:
    with pytest.raises(LocalStateDamaged):
        rewritten(damage, IMAGE, where="")
    file = tmp_path / "image.json"
    file.write_bytes(damage)
    assert rewritten_file(file, IMAGE) == rewritten_file(tmp_path / "none.json", IMAGE) == encode(IMAGE)


def test_every_value_of_the_store_is_tried() -> None:
    assert len(KINDS) > 30
    assert KINDS["cluster_cell"] is Cluster


def _as_a_newer_release_writes(shape: inspect.Type) -> st.SearchStrategy[Json]:
    """JSON of a type, in which every object may have fields that nobody knows yet."""
    match shape:
        case inspect.StructType():
            fields = {each.encode_name: _as_a_newer_release_writes(each.type) for each in shape.fields}
            tag = {shape.tag_field: shape.tag} if shape.tag_field else {}
            return st.builds(lambda unknown, known: unknown | known | tag, UNKNOWN, st.fixed_dictionaries(fields))
        case inspect.UnionType():
            return st.one_of(*map(_as_a_newer_release_writes, shape.types))
        case inspect.DictType():
            items = _as_a_newer_release_writes(shape.key_type), _as_a_newer_release_writes(shape.value_type)
            return st.dictionaries(*items, max_size=2)
        case inspect.VarTupleType() | inspect.ListType():
            return st.lists(_as_a_newer_release_writes(shape.item_type), max_size=2)
        case inspect.TupleType():
            return st.tuples(*map(_as_a_newer_release_writes, shape.item_types)).map(list)
        case inspect.FrozenSetType() | inspect.SetType():
            return st.lists(_as_a_newer_release_writes(shape.item_type), max_size=2, unique=True).map(sorted)
        case inspect.LiteralType():
            return st.sampled_from(shape.values)
        case inspect.StrType():
            return st.from_regex(shape.pattern, fullmatch=True) if shape.pattern else st.text(max_size=5)
        case inspect.IntType():
            return st.integers(-(2**53), 2**53)
        case inspect.FloatType():
            return st.floats(allow_nan=False, allow_infinity=False)
        case inspect.BoolType():
            return st.booleans()
        case inspect.BytesType():
            return st.binary(max_size=4).map(lambda raw: b64encode(raw).decode())
        case inspect.NoneType():
            return st.none()
        case _:
            raise AssertionError(f"no JSON is known for {shape}")


WRITTEN = {name: _as_a_newer_release_writes(shape) for name, shape in SHAPES.items()}


def _changeable(shape: inspect.Type, value: Json, place: Place = ()) -> Iterator[tuple[Place, inspect.Type]]:
    """Where a value without parts is, and of which type it may be."""
    if isinstance(shape, inspect.StructType):
        for field in shape.fields:
            yield from _changeable(field.type, value[field.encode_name], (*place, field.encode_name))
    elif isinstance(shape, inspect.DictType):
        for name, item in value.items():
            yield from _changeable(shape.value_type, item, (*place, name))
    elif isinstance(shape, inspect.VarTupleType | inspect.ListType):
        for index, item in enumerate(value):
            yield from _changeable(shape.item_type, item, (*place, index))
    elif isinstance(shape, inspect.StrType | inspect.IntType | inspect.BoolType | inspect.FloatType):
        yield place, shape


def _set(value: Json, place: Place, leaf: Json) -> None:
    for step in place[:-1]:
        value = value[step]
    value[place[-1]] = leaf


def _unknown(shape: inspect.Type, value: Json) -> Iterator[str]:
    """Every field that no struct knows, by its name and what it holds."""
    match shape:
        case inspect.StructType() if isinstance(value, dict):
            known = {field.encode_name: field.type for field in shape.fields}
            for name, item in value.items():
                if name in known:
                    yield from _unknown(known[name], item)
                elif name != shape.tag_field:
                    yield f"{name}: {encode(item).decode()}"
        case inspect.UnionType():
            for one in shape.types:
                if isinstance(one, inspect.StructType) == isinstance(value, dict):
                    yield from _unknown(one, value)
        case inspect.DictType() if isinstance(value, dict):
            for item in value.values():
                yield from _unknown(shape.value_type, item)
        case inspect.VarTupleType() | inspect.ListType() if isinstance(value, list):
            for item in value:
                yield from _unknown(shape.item_type, item)
