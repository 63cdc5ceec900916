"""The other nodes on this node's disk."""

import logging
from pathlib import Path

import pytest

from appliance.model.node import Peer
from appliance.network.peers import PeerFile

PEERS = (Peer(node="n-1", number=1, address="10.0.0.1", vtep_mac="02:00:00:00:00:01"),)


def test_peers_outlive_the_process(tmp_path: Path) -> None:
    PeerFile(tmp_path / "peers.json").write(PEERS)
    assert PeerFile(tmp_path / "peers.json").read() == PEERS


def test_a_node_that_was_never_told_knows_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert PeerFile(tmp_path / "peers.json").read() == ()
    assert not caplog.records, "that is how every node begins"


@pytest.mark.parametrize("damage", [b"", b"{}", b'[{"node": "n-1"}]', b'[{"node": "n-\xff"}]', bytes(100)])
def test_a_damaged_file_names_nobody_and_is_complained_about(
    tmp_path: Path, damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "peers.json"
    file.write_bytes(damage)
    with caplog.at_level(logging.ERROR):
        assert PeerFile(file).read() == ()
    assert str(file) in caplog.text
    PeerFile(file).write(PEERS)
    assert PeerFile(file).read() == PEERS
