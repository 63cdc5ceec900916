"""The rules of a node, compared whole."""

from appliance.network.firewall import Chain, chains


def test_the_overlay_is_forwarded_and_only_what_leaves_it_is_masqueraded() -> None:
    assert chains("10.42.0.0/16", 3, "appliance0", "flannel.1") == (
        Chain(
            "filter",
            "APPLIANCE-FORWARD",
            "FORWARD",
            (
                ("-s", "10.42.0.0/16", "-d", "10.42.0.0/16", "-j", "ACCEPT"),
                ("-i", "appliance0", "-s", "10.42.3.0/24", "-j", "ACCEPT"),
                (
                    *("-o", "appliance0", "-d", "10.42.3.0/24"),
                    *("-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED,DNAT", "-j", "ACCEPT"),
                ),
            ),
        ),
        Chain(
            "nat",
            "APPLIANCE-POSTROUTING",
            "POSTROUTING",
            (
                ("-o", "flannel.1", "-j", "RETURN"),
                ("-o", "appliance0", "-j", "RETURN"),
                ("-s", "10.42.3.0/24", "!", "-d", "10.42.0.0/16", "-j", "MASQUERADE"),
            ),
        ),
    )
