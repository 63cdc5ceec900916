"""Reads one number out of Prometheus' text format. Pure.

Format: prometheus.io/docs/instrumenting/exposition_formats, "Text-based format".
"""

import re

_LABELS = re.compile(r'\s*([A-Za-z_][A-Za-z0-9_]*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*(?:,|$)')
_SAMPLE = re.compile(r"([A-Za-z_:][A-Za-z0-9_:]*)\s*(?:\{(.*)\})?\s+(\S+)(?:\s+-?\d+)?\s*")
_QUERY = re.compile(r"\s*([A-Za-z_:][A-Za-z0-9_:]*)\s*(?:\{(.*)\})?\s*")


def sum_of(text: str, query: str) -> float | None:
    """Sum of the samples that match ``name`` or ``name{label="value"}``; None when none does.

    ValueError when the query is not of that form.
    """
    asked = _QUERY.fullmatch(query)
    if asked is None:
        raise ValueError(f'{query!r} is not a query: write it like name or name{{label="value"}}')
    labels = labels_in(asked[2] or "")
    found: list[float] = []
    for line in text.splitlines():
        sample = None if line.startswith("#") else _SAMPLE.fullmatch(line)
        if sample is None or sample[1] != asked[1]:
            continue
        if labels.items() <= labels_in(sample[2] or "").items():
            found.append(float(sample[3]))
    return sum(found) if found else None


def labels_in(text: str) -> dict[str, str]:
    """``a="1",b="2"`` as a mapping; ValueError when it is not of that form."""
    labels: dict[str, str] = {}
    place = 0
    while place < len(text.rstrip()):
        match = _LABELS.match(text, place)
        if match is None:
            raise ValueError(f"{text!r} is not a list of labels")
        labels[match[1]] = re.sub(r"\\(.)", lambda found: {"n": "\n"}.get(found[1], found[1]), match[2])
        place = match.end()
    return labels
