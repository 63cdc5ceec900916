"""`extends`: a service that starts from another one of the same file (compose-spec, "extends" and 13-merge)."""

from collections.abc import Mapping

from appliance.spec.foreign import Source

_LONGEST = 20
_REPLACED = ("command", "entrypoint", "test")


def extended(services: Mapping[str, object], source: Source) -> dict[str, object]:
    """The services with what they extend put in. What cannot be is named, and stays in the service as it is."""
    return {name: _extended(name, services, source, ()) for name in services}


def _extended(name: str, services: Mapping[str, object], source: Source, seen: tuple[str, ...]) -> object:
    value = services[name]
    if not isinstance(value, dict) or "extends" not in value:
        return value
    wish = value["extends"]
    base = str(wish.get("service") if isinstance(wish, dict) else wish)
    more = ", ".join(sorted(set(wish) - {"service"})) if isinstance(wish, dict) else ""
    if more or base not in services or name in seen or len(seen) > _LONGEST:
        why = f"only a service of the same file can be extended, and not in a circle{f' (not: {more})' if more else ''}"
        source.findings.unsupported.append(source.problem(("services", name, "extends"), why))
        return {key: item for key, item in value.items() if key != "extends"}
    parent = _extended(base, services, source, (*seen, name))
    return merged(parent, {key: item for key, item in value.items() if key != "extends"})


def merged(below: object, above: object) -> object:
    """Mappings are merged, lists joined, everything else replaced; a command is one thing and replaced as well."""
    if isinstance(below, dict) and isinstance(above, list):
        return merged(below, _mapping(above))
    if isinstance(below, list) and isinstance(above, dict):
        return merged(_mapping(below), above)
    if isinstance(below, dict) and isinstance(above, dict):
        shared = {key for key in below if key in above and key not in _REPLACED}
        return {**below, **above, **{key: merged(below[key], above[key]) for key in shared}}
    if isinstance(below, list) and isinstance(above, list):
        return [*below, *(item for item in above if item not in below)]
    return above


def _mapping(entries: list[object]) -> dict[str, object]:
    """``[NAME=TEXT, NAME]`` as ``{NAME: TEXT, NAME: null}``, which is the same wherever Compose takes both."""
    pairs = [str(entry).partition("=") for entry in entries]
    return {name: text if equals else None for name, equals, text in pairs}
