"""The Linux bridge behind the engine's network: made anew, as the engine made it, when somebody deletes it.

The engine makes it once and never looks again. Instances go on running with their ends of the cables, `veth…`, plugged
in nowhere; they are plugged in again.
"""

from pathlib import Path

from appliance.network.iproute import batch, listed


def mend(bridge: str, gateway: str, mtu: int) -> None:
    """`gateway` with its prefix length. Nothing happens to a bridge that is as it should be. Raises ApplianceError."""
    links = listed("ip", "-details", "link", "show")
    present = next((link for link in links if link["ifname"] == bridge), None)
    if present is None:
        ports = [link["ifname"] for link in links if _is_loose(link)]
        batch(
            "ip", [f"link add {bridge} mtu {mtu} type bridge", *(f"link set {port} master {bridge}" for port in ports)]
        )
        # Without its proxy the engine wants both: a published port is also reached from its own container and by
        # 127.0.0.1. The third makes the kernel tell the instances the gateway's new MAC.
        batch("bridge", [f"link set dev {port} hairpin on" for port in ports])
        for setting in ("route_localnet", "arp_notify"):
            Path(f"/proc/sys/net/ipv4/conf/{bridge}/{setting}").write_text("1\n")
    elif "UP" in present["flags"] and gateway in _addresses(bridge):
        return
    added = [] if present is not None and gateway in _addresses(bridge) else [f"address add {gateway} dev {bridge}"]
    batch("ip", [*added, f"link set {bridge} up"])


def _is_loose(link: dict[str, object]) -> bool:
    """A container's cable by the engine's way of naming them, that is plugged in nowhere on this side."""
    return str(link["ifname"]).startswith("veth") and "link_netnsid" in link and "master" not in link


def _addresses(bridge: str) -> list[str]:
    listing = listed("ip", "-4", "address", "show", "dev", bridge)
    return [f"{each['local']}/{each['prefixlen']}" for entry in listing for each in entry.get("addr_info", [])]
