"""A manager's certificates follow its address, its authority stays."""

import time
from pathlib import Path

from appliance.delivery import pki
from appliance.host.layout import Layout
from appliance.security.ca import addresses_of


def test_certificates_are_made_anew_for_another_address(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    authority = pki.make_cluster_keys(layout, "lab", "n-1", "192.0.2.1", time.time())
    assert pki.page_is_for(layout, "192.0.2.1")
    assert not pki.page_is_for(layout, "192.0.2.2")
    pki.issue_for_address(layout, "n-1", "192.0.2.2", "", time.time())
    assert pki.page_is_for(layout, "192.0.2.2")
    assert addresses_of((layout.pki / "etcd/etcd.crt").read_bytes()) == ["192.0.2.2", "127.0.0.1"]
    assert pki.read_authority(layout) == authority


def test_a_node_without_a_page_has_nothing_to_follow(tmp_path: Path) -> None:
    assert pki.page_is_for(Layout(tmp_path), "192.0.2.1")
