"""A one-way network: a host's kernel drops, and counts, what the host itself begins towards addresses it may not call.

Counted is the first packet of every TCP connection and of every other conversation (UDP, so also 53 and 123, and ICMP)
that a process on the host begins, containers in the host's own network included. Not counted: answers; vxlan between
the nodes and what instances send, for that is the users' traffic; and what a test sends from the host as a visitor.
"""

import re
import subprocess
from collections.abc import Iterable

TABLE = "lab_one_way"
VXLAN_PORT = 8472
VISITOR_GROUP = 4242
"""Group of the processes by which a test plays somebody who uses services from the host."""
VISITOR = ("setpriv", f"--regid={VISITOR_GROUP}", "--clear-groups")
"""What makes one of the command behind it."""


def forbid(namespace: str, addresses: Iterable[str], *, echoes: bool = True, alone: bool = False) -> None:
    """From here on nothing on the host may begin to talk to `addresses`.

    `echoes`: requests for an echo (ping) are counted too, else only dropped. `alone`: all other rules of the host go
    with the same stroke.
    """
    to = f"ip daddr {{ {', '.join(addresses)} }}"
    rules = f"""{"flush ruleset" if alone else ""}
table inet {TABLE} {{
    chain begun {{
        type filter hook output priority -300; policy accept;
        udp dport {VXLAN_PORT} accept
        meta skgid {VISITOR_GROUP} accept
        {to} tcp flags & (syn | ack) == syn counter drop
    }}
    chain begun_otherwise {{
        type filter hook output priority -100; policy accept;
        udp dport {VXLAN_PORT} accept
        meta skgid {VISITOR_GROUP} accept
        {"" if echoes else f"{to} icmp type echo-request drop"}
        {to} meta l4proto != tcp ct state new counter drop
    }}
}}
"""
    _nft(namespace, "-f", "-", input=rules)


def dropped(namespace: str) -> int:
    """How many packets were dropped so far."""
    listing = _nft(namespace, "list", "table", "inet", TABLE)
    return sum(int(packets) for packets in re.findall(r"counter packets (\d+)", listing))


def _nft(namespace: str, *arguments: str, input: str | None = None) -> str:
    command = ["ip", "netns", "exec", namespace, "nft", *arguments]
    result = subprocess.run(command, input=input, capture_output=True, text=True)
    if result.returncode:
        raise RuntimeError(f"nft {' '.join(arguments)} in {namespace} ended with {result.returncode}: {result.stderr}")
    return result.stdout
