"""keepalived's configuration, whole."""

from appliance.model.vip import PlacedVip
from appliance.sidecars.keepalived import config_text, keepalived

WEB = PlacedVip(
    address="10.0.0.50",
    length=24,
    router=7,
    front="entry",
    interface="eth0",
    device="eth0",
    own="10.0.0.1",
    peers=("10.0.0.2", "10.0.0.3"),
    rank=1,
)
ALONE = PlacedVip(
    address="192.168.9.9",
    length=32,
    router=255,
    front="manager",
    interface="eth0",
    device="eth1",
    own="10.0.0.1",
    peers=(),
    rank=0,
)


def test_an_address_is_shared_by_priority_and_standing() -> None:
    assert (
        config_text([WEB])
        == """global_defs {
  vrrp_version 3
  vrrp_garp_master_delay 1
  vrrp_garp_master_repeat 3
  vrrp_garp_master_refresh 1
  vrrp_garp_lower_prio_repeat 1
}
track_file entry {
  file "/standing/entry"
  weight -50
}
vrrp_instance vip-10.0.0.50 {
  state BACKUP
  interface eth0
  virtual_router_id 7
  priority 199
  advert_int 0.1
  unicast_src_ip 10.0.0.1
  check_unicast_src
  unicast_peer {
    10.0.0.2
    10.0.0.3
  }
  track_file {
    entry
  }
  virtual_ipaddress {
    10.0.0.50/24 dev eth0
  }
}
"""
    )


def test_a_node_that_is_alone_holds_its_address_however_well_it_is() -> None:
    text = config_text([ALONE])
    assert "track_file" not in text
    assert "  unicast_peer {\n    127.0.0.1\n  }\n" in text


def test_an_address_on_another_interface_goes_when_that_one_fails() -> None:
    assert "  track_interface {\n    eth1\n  }\n" in config_text([ALONE])


def test_the_sidecar_may_change_addresses_and_nothing_else() -> None:
    made = keepalived(number=3, config="/files/keepalived", standing="/run/vips", vips=[WEB])
    (container,) = made.assignment.containers
    assert made.assignment.instance == "system/keepalived-3"
    assert made.assignment.host_network
    assert container.capabilities == ("NET_ADMIN", "NET_BROADCAST", "NET_RAW")
    assert not container.spec.privileged
    assert [mount.target for mount in container.mounts if not mount.read_only] == ["/standing"]
