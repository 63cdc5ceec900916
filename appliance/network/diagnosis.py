"""What measurements of the overlay mean, and what to do about it: pure."""

from dataclasses import dataclass

from appliance.model.cluster import OVERLAY_PORT
from appliance.model.measurement import Measurement
from appliance.network.overlay import DEVICE, OVERHEAD


@dataclass(frozen=True)
class Trouble:
    """`what` is wrong between two nodes, and what to do `next`: sentences for people."""

    what: str
    next: str


def troubles(measured: Measurement, here: str, there: str) -> tuple[Trouble, ...]:
    """What is wrong with the way from the node called `here` to the one called `there`; nothing where all is well."""
    found = [
        Trouble(
            f"{here} lacks the {part} to {there}.",
            f"it is put back within seconds; if this stays, see what takes it away: ip monitor all dev {DEVICE}",
        )
        for part in measured.missing
    ]
    if not measured.overlay:
        return (*found, _no_answer(measured, here, there))
    if measured.size < measured.wanted:
        found.append(_too_small(measured, here, there))
    if measured.stream == "silent":
        found.append(
            Trouble(
                f"Echoes from {here} reach {there} through the overlay, TCP connections do not.",
                "the network card may write wrong checksums into vxlan packets; on both nodes: "
                f"ethtool -K {DEVICE} tx-checksum-ip-generic off; else a firewall on {there} drops port 53/tcp",
            )
        )
    return tuple(found)


def _no_answer(measured: Measurement, here: str, there: str) -> Trouble:
    if measured.host is not False:
        return Trouble(
            f"{there} answers {here}, but not through the overlay."
            if measured.host
            else f"{there} does not answer {here} through the overlay.",
            f"let UDP port {OVERLAY_PORT} pass both ways: in the firewalls of {here} and {there}, and in between",
        )
    return Trouble(
        f"{there} does not answer {here} at all.",
        f"see that {there} is on and its network connected; then that the two reach each other's addresses",
    )


def _too_small(measured: Measurement, here: str, there: str) -> Trouble:
    return Trouble(
        f"Packets of more than {measured.size} bytes do not get from {here} to {there}; "
        f"instances send up to {measured.wanted}.",
        f"give the network between them an MTU of {measured.wanted + OVERHEAD}, or the hosts' interfaces one of "
        f"{measured.size + OVERHEAD}: ip link set dev INTERFACE mtu {measured.size + OVERHEAD}",
    )
