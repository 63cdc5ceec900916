"""The files that make a host a node."""

from pathlib import Path

import msgspec
import pytest

from appliance.delivery import node_files
from appliance.errors import LocalStateDamaged, NewerState, NotFound
from appliance.host.layout import Layout
from appliance.model.identity import NodeIdentity

IDENTITY = NodeIdentity(
    id="n-1",
    name="one",
    number=1,
    address="10.0.0.1",
    roles=("agent",),
    cluster_id="c-1",
    cluster_name="lab",
    network="10.99.0.0/16",
    managers=("10.0.0.1:8444",),
)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path)


def test_a_host_is_a_node_once_its_identity_is_written(layout: Layout) -> None:
    assert not node_files.is_node(layout)
    with pytest.raises(NotFound) as nothing:
        node_files.read_identity(layout)
    assert "appliance join" in nothing.value.next
    node_files.write_identity(layout, IDENTITY)
    assert node_files.is_node(layout)
    assert node_files.read_identity(layout) == IDENTITY


def test_an_identity_keeps_what_a_newer_release_has_added_to_it(layout: Layout) -> None:
    node_files.write_identity(layout, IDENTITY)
    written = msgspec.json.decode(layout.node_file.read_bytes())
    layout.node_file.write_bytes(msgspec.json.encode(written | {"later": {"a": 1}}))
    node_files.change_identity(layout, lambda now: msgspec.structs.replace(now, address="10.0.0.9"))
    assert msgspec.json.decode(layout.node_file.read_bytes()) == written | {"later": {"a": 1}, "address": "10.0.0.9"}


def test_an_identity_of_a_newer_schema_is_named_and_never_replaced(layout: Layout) -> None:
    node_files.write_identity(layout, IDENTITY)
    newer = b'{"schema":2,' + layout.node_file.read_bytes()[1:]
    layout.node_file.write_bytes(newer)
    with pytest.raises(NewerState, match=r"node\.json"):
        node_files.read_identity(layout)
    with pytest.raises(NewerState):
        node_files.write_identity(layout, IDENTITY)
    assert layout.node_file.read_bytes() == newer


@pytest.mark.parametrize("damage", [b"", b"{}", b'{"id": "n-\xff"}'])
def test_a_damaged_identity_is_named_and_is_still_a_node(layout: Layout, damage: bytes) -> None:
    """Who takes it for no node makes a second one beside its data."""
    node_files.write_identity(layout, IDENTITY)
    layout.node_file.write_bytes(damage)
    with pytest.raises(LocalStateDamaged) as damaged:
        node_files.read_identity(layout)
    assert damaged.value.where == str(layout.node_file)
    assert node_files.is_node(layout)
