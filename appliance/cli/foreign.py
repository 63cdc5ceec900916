"""Other people's files on the command line: which format a text is in, and what it becomes."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from appliance.errors import Problem, SpecInvalid, UsageError

if TYPE_CHECKING:
    from appliance.spec.converted import Converted

Kind = Literal["", "compose", "kubernetes"]
_LARGEST_FILE = 256 * 1024
"""Bytes of a file that becomes a config."""


def kind_of(text: str) -> Kind:
    """The format of a text, by its first keys; "" for a service file of ours. Reads no YAML, which takes long."""
    if re.search(r"^(services|\"services\")\s*:", text, re.MULTILINE) and not re.search(r"^service\s*:", text, re.M):
        return "compose"
    return "kubernetes" if re.search(r"^[\s{-]{0,4}\"?apiVersion\"?\s*:", text, re.MULTILINE) else ""


def compose_service(text: str, file: Path, name: str = "") -> "Converted":
    """What a Compose file makes; without `name` the service is called as the file calls itself, or as its folder."""
    from appliance.spec.compose.convert import convert, project_name

    folder = _folder(file)
    name = name or project_name(text, str(file)) or service_name(folder)
    return convert(text, str(file), name, _environment(folder), folder=str(folder), read=_read)


def kubernetes_service(texts: Mapping[Path, str], name: str = "") -> "Converted":
    """What a set of manifests makes; without `name` the service is called as the folder of the first."""
    from appliance.spec.kubernetes.convert import convert_all

    name = name or service_name(_folder(next(iter(texts))))
    return convert_all([(text, str(file)) for file, text in texts.items()], name)


def service_name(folder: Path) -> str:
    """A folder's name as that of a service. Raises UsageError where there is none."""
    from appliance.spec.converted import label

    found = label(folder.name)
    if not found:
        raise UsageError(f"The folder {folder} has no name for a service.", next="give one with --name")
    return found


def insist(found: "Converted") -> str:
    """The text, or SpecInvalid with all that is not supported. Notes go to standard error."""
    if found.unsupported:
        raise SpecInvalid(list(found.unsupported))
    tell("changed", found.notes)
    return found.text


def tell(word: str, problems: Sequence[Problem]) -> None:
    for problem in problems:
        click.echo(f"{word}: {problem}", err=True)


def _folder(file: Path) -> Path:
    return (Path.cwd() if str(file) == "-" else file.absolute().parent).resolve()


def _environment(folder: Path) -> Mapping[str, str]:
    """That of this command, over the file ``.env`` beside the Compose file."""
    from appliance.spec.compose.env_file import read_env_file

    try:
        return {**read_env_file((folder / ".env").read_text("utf-8"), os.environ), **os.environ}
    except FileNotFoundError:
        return os.environ
    except (OSError, ValueError) as error:
        raise UsageError(f"The file {folder / '.env'} cannot be used.", why=str(error)) from error


def _read(path: str) -> str:
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"{path} is no file")
    if file.stat().st_size > _LARGEST_FILE:
        raise OSError(f"{path} is larger than {_LARGEST_FILE // 1024} KiB")
    return file.read_text("utf-8")
