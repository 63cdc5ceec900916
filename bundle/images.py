"""Images without an engine: one layer per Debian package, one of our own files, and an OCI config.

Same packages and same recipe, same bytes; images that share a package share its layer.
"""

import gzip
import hashlib
import json
import shutil
import tarfile
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from bundle.archive import LEVEL, add_bytes, deb_tree, folder, link, plain, tar_gz
from bundle.debian import Deb, Wanted
from bundle.workshop import CHECKOUT, Architecture, BuildFailed, cached, digest_of, file_digest

IMAGES = CHECKOUT / "images"
_LAYER_RECIPE = 2
"""Raise when layers come out differently for the same package."""

NEVER = (
    "adduser",
    "base-passwd",
    "debconf",
    "dpkg",
    "init-system-helpers",
    "libpam-modules",
    "libpam-modules-bin",
    "libpam0g",
    "login.defs",
    "lsb-base",
    "mawk",
    "passwd",
    "perl-base",
    "sysvinit-utils",
)
"""Packages that only set a Debian system up; an image is never set up, it is run."""

_DROPPED = (
    "etc/default/",
    "etc/init.d/",
    "etc/logrotate.d/",
    "etc/ufw/",
    "usr/lib/systemd/",
    "usr/share/apport/",
    "usr/share/bash-completion/",
    "usr/share/info/",
    "usr/share/lintian/",
    "usr/share/locale/",
    "usr/share/man/",
    "usr/share/vim/",
    "usr/share/zsh/",
)

_PASSWD = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n"
_GROUP = "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n"
_NSSWITCH = "passwd: files\ngroup: files\nhosts: files dns\n"


@dataclass(frozen=True)
class Recipe:
    """One folder of `images/`: its `recipe.toml` and the files below `files/`."""

    name: str
    packages: tuple[str, ...]
    leave_out: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    user: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[int, ...] = ()
    folders: tuple[str, ...] = ()
    links: Mapping[str, str] = field(default_factory=dict)
    programs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    health: tuple[str, ...] = ()

    @property
    def wanted(self) -> Wanted:
        return Wanted(self.packages, tuple(sorted({*NEVER, *self.leave_out})))

    @property
    def files(self) -> Path:
        return IMAGES / self.name / "files"


@dataclass(frozen=True)
class Layer:
    """A gzip'ed layer in the cache. `diff_id` is the sha256 of the tar inside it."""

    path: Path
    sha256: str
    size: int
    diff_id: str


@dataclass(frozen=True)
class Image:
    """A finished image. `config` is the exact JSON whose sha256 is the image's id."""

    name: str
    tag: str
    config: bytes
    layers: tuple[Layer, ...]
    health: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return hashlib.sha256(self.config).hexdigest()


def recipes() -> list[Recipe]:
    """Every recipe, by name."""
    return [read_recipe(path) for path in sorted(IMAGES.glob("*/recipe.toml"))]


def read_recipe(path: Path) -> Recipe:
    """Parse one recipe; an unknown key is refused, since a misspelt one would silently do nothing."""
    content = tomllib.loads(path.read_text())
    known = set(Recipe.__dataclass_fields__) - {"name"}
    if unknown := sorted(set(content) - known):
        raise BuildFailed(f"{path}: unknown {', '.join(unknown)}.", next=f"known are {', '.join(sorted(known))}")
    lists = {key: tuple(value) for key, value in content.items() if isinstance(value, list)}
    content["programs"] = {name: tuple(links) for name, links in content.get("programs", {}).items()}
    return Recipe(path.parent.name, **{**content, **lists})


def build_image(recipe: Recipe, debs: Sequence[tuple[Deb, Path]], architecture: Architecture, tag: str) -> Image:
    ordered = sorted(debs, key=lambda pair: (pair[0].package != "base-files", pair[0].package))
    layers = [*(deb_layer(deb, path) for deb, path in ordered), own_layer(recipe)]
    if len(layers) > 127:
        raise BuildFailed(f"Image {recipe.name} has {len(layers)} layers; an engine takes 127.", next="leave some out")
    config = image_config(recipe, architecture, [layer.diff_id for layer in layers])
    return Image(f"appliance/{recipe.name}", tag, config, tuple(layers), recipe.health)


def image_config(recipe: Recipe, architecture: Architecture, diff_ids: Sequence[str]) -> bytes:
    """The OCI image config (github.com/opencontainers/image-spec, config.md). Pure.

    `created` is fixed, so an image keeps its id from release to release as long as nothing in it changes.
    """
    env = {"PATH": "/usr/sbin:/usr/bin", **recipe.env}
    config: dict[str, Any] = {
        "Entrypoint": list(recipe.entrypoint) or None,
        "Cmd": list(recipe.cmd) or None,
        "Env": [f"{name}={value}" for name, value in env.items()],
        "User": recipe.user,
        "WorkingDir": "/",
        "ExposedPorts": {f"{port}/tcp": {} for port in recipe.ports},
    }
    content = {
        "architecture": architecture.container,
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": {key: value for key, value in config.items() if value},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{diff_id}" for diff_id in diff_ids]},
        "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "appliance"} for _ in diff_ids],
    }
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()


def keeps(name: str) -> bool:
    """Whether a package's file goes into its layer: documentation and start-up files of a Debian system do not."""
    if name.startswith("usr/share/doc/"):
        return name.endswith("/copyright")
    return not name.startswith(_DROPPED)


def deb_layer(deb: Deb, path: Path) -> Layer:
    """The layer of one package."""

    def make(place: Path) -> None:
        with deb_tree(path) as tree, _layer(place) as layer:
            for member in tree:
                content = tree.extractfile(member) if member.isfile() else None
                plain(member)
                if member.name in ("", ".") or (not member.isdir() and not keeps(member.name)):
                    continue
                if member.isdir() and not keeps(f"{member.name}/x"):
                    continue
                if member.isdir() and member.name in ("bin", "sbin", "lib", "lib64"):
                    raise BuildFailed(f"{deb.package} is not merged into /usr and would hide {member.name}.")
                layer.addfile(member, content)

    return _finished(cached("layers", digest_of("deb", _LAYER_RECIPE, LEVEL, deb.sha256), make))


def own_layer(recipe: Recipe) -> Layer:
    """Accounts, folders, links and own files of an image; comes last, so it wins over the packages'."""
    files = sorted(path for path in recipe.files.rglob("*") if path.is_file()) if recipe.files.exists() else []
    inputs = {str(path.relative_to(recipe.files)): file_digest(path) for path in files}
    programs = {name: list(links) for name, links in recipe.programs.items()}
    key = digest_of(
        "own", _LAYER_RECIPE, LEVEL, inputs, recipe.folders, dict(recipe.links), programs, _PASSWD, _GROUP, _NSSWITCH
    )

    def make(place: Path) -> None:
        with _layer(place) as layer:
            layer.addfile(folder("etc"))
            for name, text in (("passwd", _PASSWD), ("group", _GROUP), ("nsswitch.conf", _NSSWITCH)):
                add_bytes(layer, f"etc/{name}", text.encode())
            for entry in recipe.folders:
                name, _, mode = entry.partition(":")
                layer.addfile(folder(name.strip("/"), int(mode or "755", 8)))
            for name, target in recipe.links.items():
                layer.addfile(link(name.strip("/"), target))
            for program, names in recipe.programs.items():
                for name in names:
                    layer.addfile(link(f"usr/bin/{name}", program))
            for path in files:
                executable = path.stat().st_mode & 0o100
                content = path.read_bytes()
                add_bytes(layer, str(path.relative_to(recipe.files)), content, 0o755 if executable else 0o644)

    return _finished(cached("layers", key, make))


def _layer(place: Path) -> Any:
    place.mkdir()
    return tar_gz(place / "layer.tar.gz")


def _finished(place: Path) -> Layer:
    """Describe a layer folder of the cache; the description is written once, since it takes reading everything."""
    note = place / "layer.json"
    packed = place / "layer.tar.gz"
    if not note.exists():
        with gzip.open(packed) as stream:
            diff_id = hashlib.file_digest(stream, "sha256").hexdigest()
        content = {"sha256": file_digest(packed), "size": packed.stat().st_size, "diff_id": diff_id}
        draft = note.with_suffix(".new")
        draft.write_text(json.dumps(content))
        draft.rename(note)
    return Layer(packed, **json.loads(note.read_text()))


def added_images(archives: Iterable[Path]) -> list[Image]:
    """Images out of `docker save` archives, which a site builder adds to the package."""
    return [image for archive in archives for image in _read_archive(archive)]


def _read_archive(archive: Path) -> list[Image]:
    images = []
    try:
        with tarfile.open(archive) as tar:
            for entry in json.loads(_member(tar, "manifest.json").read()):
                config = _member(tar, entry["Config"]).read()
                diff_ids = [text.removeprefix("sha256:") for text in json.loads(config)["rootfs"]["diff_ids"]]
                pairs = zip(entry["Layers"], diff_ids, strict=True)
                layers = tuple(_added_layer(_member(tar, path), diff_id) for path, diff_id in pairs)
                for reference in entry["RepoTags"]:
                    name, _, tag = reference.rpartition(":")
                    images.append(Image(name, tag, config, layers))
    except (tarfile.TarError, KeyError, ValueError) as error:
        raise BuildFailed(f"{archive} is not an archive made by `docker save`: {error}") from error
    return images


def _member(tar: tarfile.TarFile, name: str) -> BinaryIO:
    stream = tar.extractfile(name)
    if stream is None:
        raise KeyError(f"{name} is not a file")
    return stream  # type: ignore[return-value]


def _added_layer(stream: BinaryIO, diff_id: str) -> Layer:
    def make(place: Path) -> None:
        place.mkdir()
        packed = stream.read(2) == b"\x1f\x8b"
        stream.seek(0)
        with (place / "layer.tar.gz").open("wb") as out:
            if packed:
                shutil.copyfileobj(stream, out)
            else:
                with gzip.GzipFile(filename="", mode="wb", fileobj=out, compresslevel=LEVEL, mtime=0) as squeezed:
                    shutil.copyfileobj(stream, squeezed)

    layer = _finished(cached("layers", digest_of("added", _LAYER_RECIPE, LEVEL, diff_id), make))
    if layer.diff_id != diff_id:
        raise ValueError(f"layer {diff_id} has other content than its image says")
    return layer
