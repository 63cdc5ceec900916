"""Which stable address each deploy has: decided once, kept until the deploy is gone from its service. Pure."""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from appliance.model.addresses import virtual_addresses
from appliance.model.directory import VirtualAddress
from appliance.model.service import Deploy, Service


@dataclass(frozen=True, slots=True)
class Change:
    """`given` are new, `freed` and `without` are names (``shop/web``); for the latter no address was left."""

    given: tuple[VirtualAddress, ...] = ()
    freed: tuple[str, ...] = ()
    without: tuple[str, ...] = ()


def change(wanted: Collection[str], kept: Collection[str], known: Mapping[str, VirtualAddress], network: str) -> Change:
    """`wanted` are to have an address; those of `kept` do not lose the one they have.

    The search starts at a place that follows from the name, so that a deploy which comes back has the address that it
    had, and one that was freed is rarely taken by another while somebody may still remember it.
    """
    addresses = virtual_addresses(network)
    freed = tuple(name for name in known if name not in wanted and name not in kept)
    taken = {each.ip for name, each in known.items() if name not in freed}
    given, without = [], []
    for name in sorted(set(wanted) - set(known)):
        start = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4]) % len(addresses)
        ip = next((each for each in addresses[start:] + addresses[:start] if each not in taken), "")
        if ip:
            taken.add(ip)
            service, _, deploy = name.partition("/")
            given.append(VirtualAddress(service=service, deploy=deploy, ip=ip))
        else:
            without.append(name)
    return Change(tuple(given), freed, tuple(without))


def deploys_with_address(spec: Service) -> set[str]:
    """Names (``shop/web``) of the deploys that others can connect to in the overlay."""
    return {f"{spec.name}/{deploy.name}" for deploy in spec.deploys.values() if has_address(deploy)}


def has_address(deploy: Deploy) -> bool:
    return not deploy.host_network and any(container.ports for container in deploy.containers.values())
