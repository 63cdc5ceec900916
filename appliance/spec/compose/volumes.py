"""`volumes` and `tmpfs` of a Compose service."""

import posixpath
import re
from dataclasses import dataclass, field

from appliance.spec.compose.surroundings import Surroundings
from appliance.spec.converted import compact, file_label, label
from appliance.spec.foreign import Part
from appliance.spec.foreign_amounts import compose_bytes

_HARMLESS = frozenset({"rw", "z", "Z", "cached", "delegated", "consistent", "nocopy"})


@dataclass
class Mounts:
    """`volumes` of the deploy, `inside`: name → path in the container, `tmpfs`: path → size."""

    volumes: dict[str, object] = field(default_factory=dict)
    inside: dict[str, str] = field(default_factory=dict)
    tmpfs: dict[str, object] = field(default_factory=dict)


def mounts(service: Part, to: str, around: Surroundings) -> Mounts:
    found = Mounts()
    for number, entry in service.entries("volumes"):
        if isinstance(entry, Part):
            _long(entry, to, around, found)
        else:
            _short(entry, service, number, to, around, found)
    for number, text in enumerate(service.texts("tmpfs")):
        path, _, options = text.partition(":")
        found.tmpfs[path] = _tmpfs_size(options, service, number)
    return found


def _short(text: str, service: Part, number: int, to: str, around: Surroundings, found: Mounts) -> None:
    pieces = text.split(":")
    if len(pieces) > 3:
        service.refuse(f"{text!r} is not SOURCE:TARGET:MODE", "volumes", number)
        return
    source, target = ("", pieces[0]) if len(pieces) == 1 else (pieces[0], pieces[1])
    options = set(pieces[2].split(",")) if len(pieces) == 3 else set()
    for option in sorted(options - _HARMLESS - {"ro"}):
        service.refuse(f"the option {option} of a volume is not supported", "volumes", number)
    mount = _Mount(service, ("volumes", number), source, target, "ro" in options)
    _add(mount, "bind" if re.match(r"[./~]", source) else "volume", to, around, found)


def _long(entry: Part, to: str, around: Surroundings, found: Mounts) -> None:
    kind, source, target = entry.text("type", "volume"), entry.text("source"), entry.text("target")
    entry.ignore("how writes reach other containers is the engine's business here", "consistency")
    bind, volume, tmpfs = entry.part("bind"), entry.part("volume"), entry.part("tmpfs")
    bind.ignore("not needed on the node", "create_host_path", "selinux")
    volume.ignore("a new volume is empty here", "nocopy")
    if kind == "tmpfs":
        size = tmpfs.text("size")
        found.tmpfs[target] = _size(size, tmpfs, "size") if size else ""
    elif kind in ("bind", "volume"):
        _add(_Mount(entry, (), source, target, bool(entry.flag("read_only"))), kind, to, around, found)
    else:
        entry.refuse(f"a mount of the type {kind} is not supported: use volume, bind or tmpfs", "type")


@dataclass(frozen=True)
class _Mount:
    part: Part
    below: tuple[str | int, ...]
    source: str
    target: str
    read_only: bool


def _add(mount: _Mount, kind: str, to: str, around: Surroundings, found: Mounts) -> None:
    if not mount.target.startswith("/"):
        mount.part.refuse(f"{mount.target!r} is not an absolute path in the container", *mount.below)
    elif mount.target in {path.removesuffix(":ro") for path in found.inside.values()}:
        mount.part.refuse(f"something else is mounted at {mount.target} already", *mount.below)
    elif kind == "bind":
        _bind(mount, to, around, found)
    elif mount.source:
        _named(mount, around, found)
    else:
        _inside(found, _unused(label(posixpath.basename(mount.target)) or "data", found), mount, {"keep": False})


def _named(mount: _Mount, around: Surroundings, found: Mounts) -> None:
    definition = around.volumes.get(mount.source)
    if definition is None:
        mount.part.refuse(f"there is no volume {mount.source} at the top of the file", *mount.below)
        return
    service = str(mount.part.path[1])
    owner = around.owners.setdefault(mount.source, service)
    if owner != service:
        mount.part.refuse(
            f"the volume {mount.source} is {owner}'s as well, and here each instance has volumes of its own: put the "
            "containers into one deploy, or use a path of the node",
            *mount.below,
        )
        return
    name = label(mount.source)
    _inside(found, name, mount, {"keep": True})


def _bind(mount: _Mount, to: str, around: Surroundings, found: Mounts) -> None:
    if mount.source.startswith("~"):
        mount.part.refuse("a home folder is not the same on every node; write an absolute path", *mount.below)
        return
    path = around.path(mount.source)
    text = None if mount.source.startswith("/") else _file_text(path, around)
    if text is not None:
        around.files.add(file_label(path), mount.target, text, "", to)
        mount.part.note(f"the text of {path} was taken into the service as a config, read only", *mount.below)
        return
    mount.part.note(f"{path} has to be on every node where an instance may run", *mount.below)
    _inside(found, _unused(label(posixpath.basename(path)) or "root", found), mount, {"path": path})


def _file_text(path: str, around: Surroundings) -> str | None:
    """None for folders, for what is not there, and for what is no text: only a node can have these."""
    try:
        return around.read(path)
    except (OSError, UnicodeDecodeError):
        return None


def _inside(found: Mounts, name: str, mount: _Mount, volume: dict[str, object]) -> None:
    if name in found.inside:
        mount.part.refuse(f"the volume {name} is mounted twice; a container mounts a volume once", *mount.below)
        return
    found.volumes[name] = compact(volume) if volume != {"keep": False} else {}
    found.inside[name] = f"{mount.target}:ro" if mount.read_only else mount.target


def _unused(name: str, found: Mounts) -> str:
    while name in found.inside:
        name += "-more"
    return name


def _tmpfs_size(options: str, service: Part, number: int) -> object:
    size: object = ""
    for option in filter(None, options.split(",")):
        name, _, value = option.partition("=")
        if name == "size":
            size = _size(value, service, "tmpfs", number)
        elif option not in ("rw", "nosuid", "nodev", "noexec", "mode=1777"):
            service.refuse(f"the option {option} of a tmpfs is not supported", "tmpfs", number)
    return size


def _size(text: str, part: Part, *below: str | int) -> object:
    try:
        return compose_bytes(text)
    except ValueError as error:
        part.refuse(str(error), *below)
        return ""
