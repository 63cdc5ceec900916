"""Which backup a command means, and the key that opens it: this manager's own, what was given, or what is typed."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from appliance.errors import NotFound, Refused
from appliance.host.layout import Layout
from appliance.model.backup import BackupHeader


def key_options[F: Callable[..., Any]](function: F) -> F:
    """Adds `--key` and `--key-file`, passed as `key` and `key_file`."""
    file = click.option(
        "--key-file", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="A file with it."
    )
    text = click.option("--key", help="The recovery key.  [default: this manager's own, else it is asked for]")
    return text(file(function))


def find_backup(layout: Layout, given: str) -> Path:
    """A path, or the name of a backup on this manager. Raises NotFound."""
    for path in (Path(given), layout.backups / given):
        if path.is_file():
            return path
    raise NotFound(f"There is no file {given}.", next="on a manager: appliance backup ls")


def own_secret(layout: Layout) -> bytes | None:
    """What opens this cluster's backups; None on a host that is no manager."""
    from appliance.security.recovery_key import recovery_secret

    try:
        return recovery_secret(layout.seal_key.read_bytes())
    except FileNotFoundError:
        return None


def secret_for(layout: Layout, header: BackupHeader, key: str | None, key_file: Path | None) -> bytes:
    """Raises Refused where there is no key and nobody to ask."""
    from appliance.security.recovery_key import key_id, parse_recovery_text

    if key or key_file:
        return parse_recovery_text(key or key_file.read_text())  # type: ignore[union-attr]
    own = own_secret(layout)
    if own is not None and key_id(own) == header.key_id:
        return own
    if not sys.stdin.isatty():
        raise Refused(
            "The recovery key of this backup is needed.",
            why=f"it was made by the cluster {header.cluster_name}, whose key is not on this host",
            next="give it with --key, or a file that holds it with --key-file",
            page="backup#the-recovery-key",
        )
    return parse_recovery_text(click.prompt(f"Recovery key of the cluster {header.cluster_name}", err=True))
