"""`configs` and `secrets` of a Compose file."""

from appliance.spec.compose.surroundings import Surroundings
from appliance.spec.converted import label
from appliance.spec.foreign import Part
from appliance.spec.foreign_amounts import file_mode

_OWNER = "files belong to root here; let the mode allow others to read, or run the container as root"


def add_configs(service: Part, to: str, around: Surroundings) -> None:
    """Puts what the service mounts into the configs of ours."""
    for number, entry in service.entries("configs", {"uid": _OWNER, "gid": _OWNER}):
        grant = entry if isinstance(entry, Part) else None
        source = grant.text("source") if grant else str(entry)
        definition = around.configs.get(source)
        if definition is None:
            service.refuse(f"there is no config {source} at the top of the file", "configs", number)
            continue
        text = _text(definition, around)
        path = (grant.text("target") if grant else "") or f"/{source}"
        around.files.add(source, path if path.startswith("/") else f"/{path}", text, _mode(grant), to)


def _text(definition: Part, around: Surroundings) -> str:
    if definition.flag("external"):
        definition.refuse("its text is not in the file: write it as content", "external")
    definition.ignore("the config is called by its name in this file", "name")
    definition.ignore("labels are not kept", "labels")
    if "content" in definition:
        return definition.text("content")
    if "environment" in definition:
        variable = definition.text("environment")
        if variable not in around.environment:
            definition.refuse(f"the variable {variable} is not set", "environment")
        return around.environment.get(variable, "")
    return read_file(definition, "file", around) if "file" in definition else ""


def read_file(part: Part, key: str, around: Surroundings) -> str:
    """The text of the file that `key` names; "" after a problem."""
    path = around.path(part.text(key))
    try:
        return around.read(path)
    except (OSError, UnicodeDecodeError) as error:
        part.refuse(f"{path} cannot be read as text: {error}", key)
        return ""


def _mode(grant: Part | None) -> str:
    try:
        text = grant.text("mode") if grant else ""
        return file_mode(text) if text else ""
    except ValueError as error:
        assert grant is not None
        grant.refuse(str(error), "mode")
        return ""


def secrets(service: Part, around: Surroundings) -> dict[str, str]:
    """Secret of ours → path in the container."""
    found: dict[str, str] = {}
    for number, entry in service.entries("secrets", {"uid": _OWNER, "gid": _OWNER}):
        grant = entry if isinstance(entry, Part) else None
        source = grant.text("source") if grant else str(entry)
        definition = around.secrets.get(source)
        if definition is None:
            service.refuse(f"there is no secret {source} at the top of the file", "secrets", number)
            continue
        if _mode(grant):
            service.note("a secret's file has the mode 0400", "secrets", number)
        name = label(source)
        around.needed_secrets[name] = _value_of(definition, around)
        target = (grant.text("target") if grant else "") or source
        found[name] = target if target.startswith("/") else f"/run/secrets/{target}"
    return found


def _value_of(definition: Part, around: Surroundings) -> str:
    """The words of the shell that give the secret's value to `appliance secret set`."""
    definition.ignore("labels are not kept", "labels")
    name, file, variable = definition.text("name"), definition.text("file"), definition.text("environment")
    if definition.flag("external"):
        return f"its value is in {name or definition.name} of the engine that had it"
    if variable:
        return f"its value is in the variable {variable}"
    return f"its value is in {around.path(file)}" if file else "its value is not in the file"
