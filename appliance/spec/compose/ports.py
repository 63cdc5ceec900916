"""`ports` and `expose` of a Compose service as the ports of a container."""

import re

from appliance.spec.converted import compact, label
from appliance.spec.foreign import Part

_SHORT = re.compile(
    r"(?:(?P<ip>\[[^\]]*\]|\d+\.\d+\.\d+\.\d+):)?(?:(?P<published>\d+(?:-\d+)?)?:)?"
    r"(?P<target>\d+(?:-\d+)?)(?:/(?P<protocol>[a-z]+))?"
)
_EVERYWHERE = ("", "0.0.0.0", "[::]", "::")
_LONGEST_RANGE = 100
_NAMES = {("tcp", 80): "http", ("tcp", 443): "https"}


def ports(service: Part) -> dict[str, object]:
    """Name → number, or number and publication."""
    found: dict[str, object] = {}
    for number, entry in service.entries("ports"):
        try:
            _add(found, *(_long(entry) if isinstance(entry, Part) else _short(entry)))
        except ValueError as error:
            service.refuse(str(error), "ports", number)
    for number, text in enumerate(service.texts("expose")):
        try:
            _, target, _, protocol = _short(text)
            _add(found, "", target, "", protocol)
        except ValueError as error:
            service.refuse(str(error), "expose", number)
    if any(isinstance(port, dict) and "publish" in port for port in found.values()):
        service.note("published on the address of the node where an instance runs, not on a host known before", "ports")
    return found


def _short(text: str) -> tuple[str, str, str, str]:
    """Name, target, published and protocol."""
    match = _SHORT.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a port; write it like 8080:80 or 8080:80/udp")
    _refuse_address(match["ip"] or "")
    return "", match["target"], match["published"] or "", match["protocol"] or "tcp"


def _long(port: Part) -> tuple[str, str, str, str]:
    _refuse_address(port.text("host_ip"))
    port.ignore("it is always the node of the instance that publishes a port", "mode")
    port.ignore("it says nothing to the appliance", "app_protocol")
    return port.text("name"), port.text("target"), port.text("published"), port.text("protocol", "tcp")


def _refuse_address(address: str) -> None:
    if address not in _EVERYWHERE:
        raise ValueError(
            f"a port cannot be published on {address} alone: leave the address out, or the port unpublished (other "
            "instances reach it all the same)"
        )


def _add(found: dict[str, object], name: str, target: str, published: str, protocol: str) -> None:
    if protocol not in ("tcp", "udp"):
        raise ValueError(f"the protocol is tcp or udp, not {protocol!r}")
    targets, publishes = _numbers(target), _numbers(published) if published else []
    if publishes and len(publishes) != len(targets):
        raise ValueError(f"{published} are not as many ports as {target}; name the one port to publish")
    for place, number in enumerate(targets):
        key = label(name) or _NAMES.get((protocol, number)) or f"{protocol}-{number}"
        publish = publishes[place] if publishes else None
        if publish is None and any(_same(port, number, protocol) for port in found.values()):
            continue
        while key in found:
            key += "-more"
        plain = publish is None and protocol == "tcp"
        udp = protocol if protocol == "udp" else ""
        found[key] = number if plain else compact({"port": number, "protocol": udp, "publish": publish})


def _same(port: object, number: int, protocol: str) -> bool:
    if isinstance(port, dict):
        return (port["port"], port.get("protocol", "tcp")) == (number, protocol)
    return port == number and protocol == "tcp"


def _numbers(text: str) -> list[int]:
    match = re.fullmatch(r"(\d{1,5})(?:-(\d{1,5}))?", text)
    if match is None:
        raise ValueError(f"{text!r} is not a port")
    first, last = int(match[1]), int(match[2] or match[1])
    if not 1 <= first <= last <= 65535 or last - first >= _LONGEST_RANGE:
        raise ValueError(f"{text!r} is no range of at most {_LONGEST_RANGE} ports")
    return list(range(first, last + 1))
