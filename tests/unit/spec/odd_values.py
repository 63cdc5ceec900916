"""Values that no field of a file expects, and their way into an example."""

from typing import Any

ODD: list[object] = [
    None,
    True,
    0,
    -1,
    3.5,
    "",
    " ",
    "x",
    "${",
    "a:b:c:d:e",
    [],
    {},
    [None],
    [{}],
    [[]],
    {"a": {"b": [1]}},
    "9" * 30,
]


def changed(example: Any, path: tuple[str | int, ...], value: object) -> Any:
    part = example
    for step in path[:-1]:
        part = part[step]
    part[path[-1]] = value
    return example
