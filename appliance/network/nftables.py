"""Tables of the kernel's nftables, by the program `nft` found by PATH."""

import subprocess

from appliance.errors import ApplianceError

_TIMEOUT = 20.0


def load(text: str) -> None:
    """Do all of it in one step, or nothing. Raises ApplianceError."""
    done = _nft("--file", "-", given=text)
    if done.returncode:
        raise ApplianceError(
            "The kernel refused our table of stable addresses and isolation.",
            where="nft",
            why=" ".join(done.stderr.split())[:300],
            next="see that it has nftables with nat: modprobe nft_chain_nat nft_numgen nft_masq nft_reject_ipv4",
        )


def listing(family: str, table: str) -> str:
    """A table as `nft` prints it, without counters; "" where there is none. Raises ApplianceError."""
    return _nft("--stateless", "list", "table", family, table).stdout


def remove(family: str, table: str) -> None:
    """It is no error when there is none, or no nftables."""
    try:
        _nft("delete", "table", family, table)
    except ApplianceError:
        return


def _nft(*arguments: str, given: str = "") -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(["nft", *arguments], input=given, capture_output=True, text=True, timeout=_TIMEOUT)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ApplianceError(
            "Stable addresses and isolation cannot be set up on this node.", where="nft", why=str(error)
        ) from error
