"""Amounts as Compose and Kubernetes write them, in our own notation. ValueError with a whole sentence."""

import re
from decimal import Decimal

_GO_UNITS = {"ns": Decimal("1e-9"), "us": Decimal("1e-6"), "µs": Decimal("1e-6"), "ms": Decimal("1e-3")}
_GO_UNITS |= {"s": Decimal(1), "m": Decimal(60), "h": Decimal(3600)}
_GO_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h))+|0")
_BINARY = {"": 1, "b": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
_KUBERNETES = {"": Decimal(1), "m": Decimal("0.001")}
_KUBERNETES |= {unit: Decimal(1000) ** power for power, unit in enumerate(["k", "M", "G", "T", "P", "E"], 1)}
_KUBERNETES |= {unit: Decimal(1024) ** power for power, unit in enumerate(["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"], 1)}


def go_duration(text: str) -> str:
    """``1m30s`` → ``90s``: the durations of Go, as Compose uses them. A bare number is microseconds there: refused."""
    if not _GO_DURATION.fullmatch(text):
        raise ValueError(f"{text!r} is not a duration; write it like 10s or 1m30s")
    pieces = re.findall(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)", text)
    return seconds(float(sum((Decimal(number) * _GO_UNITS[unit] for number, unit in pieces), Decimal(0))))


def seconds(amount: float) -> str:
    """``90.0`` → ``90s``, ``3600`` → ``1h``."""
    if amount != round(amount):
        return f"{max(round(amount * 1000), 1)}ms"
    whole = round(amount)
    for unit, size in (("h", 3600), ("m", 60)):
        if whole and whole % size == 0:
            return f"{whole // size}{unit}"
    return f"{whole}s"


def compose_bytes(text: str) -> str:
    """``64m`` → ``64Mi``, ``1gb`` → ``1Gi``: Compose counts by 1024 whatever the unit is called."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([bkmgt]?)(?:i?b)?", text.strip().lower())
    if match is None:
        raise ValueError(f"{text!r} is not a size; write it like 64m or 1gb")
    return size(int(Decimal(match[1]) * _BINARY[match[2]]))


def kubernetes_quantity(text: str) -> Decimal:
    """``500m`` → 0.5, ``1Gi`` → 2**30, ``1e3`` → 1000."""
    match = re.fullmatch(r"(\d+(?:\.\d*)?(?:[eE][+-]?\d{1,2})?)([kMGTPE]i?|Ki|m)?", text.strip())
    if match is None or (match[2] or "") not in _KUBERNETES:
        raise ValueError(f"{text!r} is not a quantity; write it like 500m or 1Gi")
    return Decimal(match[1]) * _KUBERNETES[match[2] or ""]


def size(amount: int) -> str:
    """Bytes with the largest unit that divides them."""
    for unit, factor in (("Ti", 2**40), ("Gi", 2**30), ("Mi", 2**20), ("Ki", 2**10)):
        if amount and amount % factor == 0:
            return f"{amount // factor}{unit}"
    return str(amount)


def cores(amount: Decimal) -> str | int:
    """``0.5`` → ``500m``, ``2`` → 2."""
    thousandths = max(round(amount * 1000), 1)
    return f"{thousandths}m" if thousandths % 1000 else thousandths // 1000


def file_mode(text: str) -> str:
    """``0440`` and ``0o440`` are octal, ``288`` is the same in decimal, as both formats take it."""
    octal = re.fullmatch(r"0o?([0-7]{1,4})", text)
    number = int(octal[1], 8) if octal else int(text) if text.isdecimal() and len(text) < 5 else -1
    if not 0 <= number <= 0o7777 or (text.startswith("0") and not octal and number):
        raise ValueError(f"{text!r} is not the mode of a file; write it like 0440")
    return f"0{number:o}"
