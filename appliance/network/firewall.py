"""The firewall rules that the overlay needs, as values, and their way into the kernel.

They live in two chains of our own, which built-in chains jump to first: Docker's FORWARD policy is DROP, and what
the overlay carries must be accepted ahead of it. Only what leaves the overlay is masqueraded, so that instances see
each other's own addresses.
"""

import subprocess
from dataclasses import dataclass

from appliance.errors import ApplianceError
from appliance.model.addresses import subnet_of

FORWARD = "APPLIANCE-FORWARD"
POSTROUTING = "APPLIANCE-POSTROUTING"
VRRP = "112"
"""The number of VRRP's IP protocol (RFC 5798)."""
_TIMEOUT = 20.0


@dataclass(frozen=True)
class Chain:
    """A chain of ours, the built-in one that jumps to it, and its rules as iptables arguments."""

    table: str
    name: str
    parent: str
    rules: tuple[tuple[str, ...], ...]


def chains(network: str, number: int, bridge: str, device: str) -> tuple[Chain, ...]:
    """All rules of a node. Pure."""
    subnet = str(subnet_of(network, number))
    forward = (
        ("-s", network, "-d", network, "-j", "ACCEPT"),
        ("-i", bridge, "-s", subnet, "-j", "ACCEPT"),
        ("-o", bridge, "-d", subnet, "-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED,DNAT", "-j", "ACCEPT"),
    )
    leaving = (
        ("-o", device, "-j", "RETURN"),
        ("-o", bridge, "-j", "RETURN"),
        ("-s", subnet, "!", "-d", network, "-j", "MASQUERADE"),
    )
    return (
        Chain("filter", FORWARD, "FORWARD", forward),
        Chain("nat", POSTROUTING, "POSTROUTING", leaving),
    )


class Firewall:
    """Brings chains into the kernel with the program `iptables` found by PATH. Raises ApplianceError where it fails."""

    def apply(self, wanted: tuple[Chain, ...]) -> None:
        """Idempotent; a chain that is right and first is not touched, so no packet meets a half-written one."""
        for chain in wanted:
            self._call(chain.table, "-N", chain.name, check=False)
            if self._rules(chain) != [self._shown(chain, rule) for rule in chain.rules]:
                self._fill(chain)
            if not self._jumps_first(chain):
                self._call(chain.table, "-D", chain.parent, "-j", chain.name, check=False)
                self._call(chain.table, "-I", chain.parent, "1", "-j", chain.name)

    def remove(self, present: tuple[Chain, ...]) -> None:
        """Take the chains and the jumps to them away; missing ones are no error."""
        for chain in present:
            for arguments in (("-D", chain.parent, "-j", chain.name), ("-F", chain.name), ("-X", chain.name)):
                self._call(chain.table, *arguments, check=False)

    def _fill(self, chain: Chain) -> None:
        self._call(chain.table, "-F", chain.name)
        for rule in chain.rules:
            self._call(chain.table, "-A", chain.name, *rule)

    def _rules(self, chain: Chain) -> list[str]:
        """The chain's rules as `iptables -S` prints them."""
        # A host that has names of protocols is shown them.
        listed = self._call(chain.table, "-S", chain.name).replace(" -p vrrp ", f" -p {VRRP} ").splitlines()
        return [line for line in listed if line.startswith("-A ")]

    def _shown(self, chain: Chain, rule: tuple[str, ...]) -> str:
        """`rule` as `iptables -S` would print it: it prints the source, then the destination, then the rest."""
        words, first = list(rule), []
        for option in ("-s", "-d", "-i", "-o"):
            if option in words:
                at = words.index(option)
                begin = at - 1 if at and words[at - 1] == "!" else at
                first += words[begin : at + 2]
                del words[begin : at + 2]
        return " ".join(["-A", chain.name, *first, *words])

    def _jumps_first(self, chain: Chain) -> bool:
        rules = [line for line in self._call(chain.table, "-S", chain.parent).splitlines() if line.startswith("-A ")]
        return bool(rules) and rules[0] == f"-A {chain.parent} -j {chain.name}"

    def _call(self, table: str, *arguments: str, check: bool = True) -> str:
        command = ["iptables", "--wait", "5", "--table", table, *arguments]
        try:
            result = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ApplianceError("The host's firewall cannot be changed.", where="iptables", why=str(error)) from error
        if check and result.returncode:
            raise ApplianceError(
                "The host's firewall refused a rule of the overlay.",
                where=" ".join(command),
                why=result.stderr.strip(),
                next="instances on this node cannot reach other nodes until it is accepted",
            )
        return result.stdout
