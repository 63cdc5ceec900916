"""The engine's rules for published ports: put back when somebody flushes the firewall, since the engine never looks.

The engine makes them with a container and would only make them again when it is restarted. So they are remembered
while they are there; only those that lead to instances of this node, whatever else the engine or a person has.
"""

import shlex
import subprocess
from ipaddress import IPv4Address, IPv4Network

from appliance.errors import ApplianceError

_CHAIN = "DOCKER"
_TIMEOUT = 20.0


class PublishedPorts:
    """`subnet` is that of the node's instances. The program `iptables` is found by PATH."""

    def __init__(self, subnet: IPv4Network) -> None:
        self._subnet = subnet
        self._known: tuple[str, ...] = ()

    def keep(self) -> None:
        """Remember the rules, or put them back where nothing leads to them any more. Raises ApplianceError."""
        lines = _call("-S").splitlines()
        if leads_to_them(lines):
            self._known = rules_of(lines, self._subnet)
        elif self._known:
            if f"-N {_CHAIN}" not in lines:
                _call("-N", _CHAIN)
            for rule in self._known:
                if rule not in lines:
                    _call(*shlex.split(rule))


def leads_to_them(lines: list[str]) -> bool:
    """Whether what arrives at the host meets the engine's chain, from what `iptables -t nat -S` prints. Pure."""
    return any(line.startswith("-A PREROUTING ") and line.endswith(f"-j {_CHAIN}") for line in lines)


def rules_of(lines: list[str], subnet: IPv4Network) -> tuple[str, ...]:
    """The rules that publish ports of addresses in `subnet`, and the jumps that lead to them. Pure.

    Nothing where no port is published.
    """
    published = [line for line in lines if line.startswith(f"-A {_CHAIN} ") and _target(line) in subnet]
    if not published:
        return ()
    jumps = [line for line in lines if line.startswith("-A ") and line.endswith(f"-j {_CHAIN}")]
    return (*published, *(line for line in lines if _is_hairpin(line, subnet)), *jumps)


def _target(rule: str) -> IPv4Address:
    """Where a rule sends its packets; an address in nobody's network where it sends them nowhere."""
    text = rule.partition("--to-destination ")[2].partition(":")[0]
    return IPv4Address(text or 0)


def _is_hairpin(rule: str, subnet: IPv4Network) -> bool:
    """It lets an instance reach itself by its published port."""
    words = rule.split()
    if words[:2] != ["-A", "POSTROUTING"] or words[2::2][:2] != ["-s", "-d"] or words[3] != words[5]:
        return False
    return IPv4Network(words[3]).subnet_of(subnet)


def _call(*arguments: str) -> str:
    command = ["iptables", "--wait", "5", "--table", "nat", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ApplianceError("The host's firewall cannot be read.", where="iptables", why=str(error)) from error
    if done.returncode:
        raise ApplianceError(
            "The host's firewall refused a rule of a published port.",
            where=" ".join(command),
            why=done.stderr.strip(),
            next="ports of instances of this node cannot be reached from outside until it is accepted",
        )
    return done.stdout
