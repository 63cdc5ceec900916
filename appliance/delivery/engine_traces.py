"""What our engine leaves behind on a host, and how it is taken away again: firewall chains and mounts.

Docker makes chains called DOCKER… and jumps to them, adds rules for its bridges, and sets the policy of FORWARD to
DROP when forwarding was off before (docs.docker.com, "Packet filtering and firewalls"). It leaves all that behind.
"""

import itertools
import json
import logging
import os
import shlex
import subprocess
from pathlib import Path

import msgspec

from appliance.delivery.runtime import EngineRuntime
from appliance.host import mounts
from appliance.host.files import write_atomic
from appliance.host.layout import Layout
from appliance.model.decoding import decode

log = logging.getLogger(__name__)

_FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
_PROGRAMS = ("iptables", "ip6tables")
_TABLES = ("filter", "nat", "raw", "mangle")
_PREFIXES = ("DOCKER",)


class Before(msgspec.Struct, frozen=True, kw_only=True):
    """`forwarding`: as the kernel has it, "" : unknown. `policies` of FORWARD by program."""

    forwarding: str
    policies: dict[str, str]


def remember(layout: Layout, runtime: EngineRuntime) -> None:
    """Before the engine starts for the first time: how the host forwards now."""
    if layout.before_file.exists():
        return
    policies = {program: _policy(runtime, program) for program in _PROGRAMS}
    before = Before(forwarding=_FORWARDING.read_text().strip(), policies=policies)
    write_atomic(layout.before_file, msgspec.json.format(msgspec.json.encode(before)) + b"\n")


def remove(layout: Layout, runtime: EngineRuntime, bridge: str) -> None:
    """After the engine has ended. May be repeated; what others put into the firewall stays."""
    for point in mounts.mounted_below(layout.run / "engine", layout.engine_data):
        mounts.unmount(point)
    before = _before(layout)
    if before is None:
        return
    for program in _PROGRAMS:
        for table in _TABLES:
            _remove_rules(runtime, program, table, bridge)
        if before.policies.get(program):
            _call(runtime, program, "-P", "FORWARD", before.policies[program])
    for family in ("ip", "ip6"):
        for table in _TABLES:
            _remove_if_empty(runtime, family, table)
    if before.forwarding:
        _FORWARDING.write_text(before.forwarding + "\n")
    layout.before_file.unlink()


def _before(layout: Layout) -> Before | None:
    """None where our engine never ran. A damaged file is taken for that of a host that let everything through."""
    try:
        return decode(layout.before_file.read_bytes(), Before)
    except FileNotFoundError:
        return None
    except ValueError as error:
        log.warning("%s does not parse (%s); the host's forwarding is left as it is", layout.before_file, error)
        return Before(forwarding="", policies=dict.fromkeys(_PROGRAMS, "ACCEPT"))


def _remove_rules(runtime: EngineRuntime, program: str, table: str, bridge: str) -> None:
    lines = _call(runtime, program, "-t", table, "-S").splitlines()
    chains = [line.split()[1] for line in lines if line.startswith("-N ") and line.split()[1].startswith(_PREFIXES)]
    for line in lines:
        words = shlex.split(line.replace("\\'", "'"))  # iptables escapes both kinds of quotes, a shell one
        if words[0] == "-A" and words[1] not in chains and _concerns(words, {bridge, *chains}):
            _call(runtime, program, "-t", table, "-D", *words[1:])
    for flag in ("-F", "-X"):
        for chain in chains:
            _call(runtime, program, "-t", table, flag, chain)


def _concerns(rule: list[str], names: set[str]) -> bool:
    """It comes in or goes out by one of the interfaces, or leads to one of the chains; a comment may say anything."""
    return any(flag in ("-i", "-o", "-j", "-g") and name in names for flag, name in itertools.pairwise(rule))


def _remove_if_empty(runtime: EngineRuntime, family: str, table: str) -> None:
    """iptables makes a table and its chains with the first rule, and leaves them behind empty."""
    listed = _call(runtime, "nft", "-j", "list", "table", family, table)
    if not listed:
        return
    objects = json.loads(listed)["nftables"]
    chains = [entry["chain"] for entry in objects if "chain" in entry]
    others = [entry for entry in objects if not {"metainfo", "table", "chain"} & set(entry)]
    if not others and all(chain.get("policy", "accept") == "accept" and "hook" in chain for chain in chains):
        _call(runtime, "nft", "delete", "table", family, table)


def _policy(runtime: EngineRuntime, program: str) -> str:
    for line in _call(runtime, program, "-S", "FORWARD").splitlines():
        if line.startswith("-P FORWARD "):
            return line.split()[2]
    return ""


def _call(runtime: EngineRuntime, program: str, *arguments: str) -> str:
    """What it prints; nothing where it fails, as it does for a family or table that the kernel does not have."""
    command = [str(runtime.programs / program), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | runtime.environment, timeout=20)
    return done.stdout if done.returncode == 0 else ""
