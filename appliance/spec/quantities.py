"""Amounts as people write them: cores, bytes and durations. Each function raises ValueError with a whole sentence."""

import re

_BYTES = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "": 1.0}
_AMOUNT = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?)\s*([A-Za-z]*)")
_PERCENT = re.compile(r"([0-9]{1,3})\s*%?")


def cpu(value: object) -> int:
    """Thousandths of a core: ``500m`` → 500, ``2`` → 2000, ``0.5`` → 500."""
    number, unit = _split(value, "write cores like 2, 0.5 or 500m")
    if unit not in ("", "m"):
        raise ValueError(f"{shown(value)} is not a number of cores; write it like 2, 0.5 or 500m")
    return round(number if unit == "m" else number * 1000)


def size(value: object) -> int:
    """Bytes: ``512Mi``, ``20Gi``, ``1G``."""
    number, unit = _split(value, "write sizes like 512Mi or 20Gi")
    if unit not in _BYTES:
        units = ", ".join(filter(None, _BYTES))
        raise ValueError(f"{shown(value)} is not a size; write it like 512Mi or 20Gi (units: {units})")
    return round(number * _BYTES[unit])


def duration(value: object) -> float:
    """Seconds: ``500ms``, ``10s``, ``5m``, ``1h``, ``2d``; a bare number is seconds."""
    number, unit = _split(value, "write durations like 500ms, 10s, 5m or 1h")
    if unit not in _SECONDS:
        raise ValueError(f"{shown(value)} is not a duration; write it like 500ms, 10s, 5m or 1h")
    return number * _SECONDS[unit]


def percent(value: object) -> int:
    """``70%`` → 70; the sign may be left out."""
    match = None if isinstance(value, bool) else _PERCENT.fullmatch(str(value).strip())
    if match is None:
        raise ValueError(f"{shown(value)} is not a percentage; write it like 70%")
    return int(match[1])


def shown(value: object) -> str:
    """The value as a message quotes it: never long."""
    text = repr(value) if isinstance(value, str | int | float) or value is None else f"a {type(value).__name__}"
    return text if len(text) <= 80 else f"{text[:60]}…{text[-1]}"


def _split(value: object, hint: str) -> tuple[float, str]:
    match = None
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        match = _AMOUNT.fullmatch(str(value).strip())
    if match is None:
        raise ValueError(f"{shown(value)} is not an amount; {hint}")
    return float(match[1]), match[2]
