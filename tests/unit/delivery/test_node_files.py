"""The files that make a host a node."""

from pathlib import Path

import pytest

from appliance.delivery import node_files
from appliance.errors import LocalStateDamaged, NotFound
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


@pytest.mark.parametrize("damage", [b"", b"{}", b'{"id": "n-\xff"}'])
def test_a_damaged_identity_is_named_and_is_still_a_node(layout: Layout, damage: bytes) -> None:
    """Who takes it for no node makes a second one beside its data."""
    node_files.write_identity(layout, IDENTITY)
    layout.node_file.write_bytes(damage)
    with pytest.raises(LocalStateDamaged) as damaged:
        node_files.read_identity(layout)
    assert damaged.value.where == str(layout.node_file)
    assert node_files.is_node(layout)
