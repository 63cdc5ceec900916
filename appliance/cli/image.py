"""`appliance image ...`: bring images into the cluster's registry."""

from pathlib import Path
from typing import Any

import click
import msgspec

from appliance.cli.client import Client
from appliance.cli.node_options import root_option
from appliance.cli.output import Format, format_option, show, show_table
from appliance.cli.times import local_time


@click.group("image")
def command() -> None:
    """Load, list and remove images."""


@command.command("load")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@format_option
@root_option
def load(file: Path, output: Format, root: Path) -> None:
    """Load a `docker save` or OCI archive; afterwards any node can run it."""
    from appliance.delivery.images import load_archive

    client = Client(root)
    client.get("health")
    loaded: list[Any] = []
    for image in load_archive(file, tell=lambda line: click.echo(line, err=True)):
        loaded.append(client.post("images", body=msgspec.to_builtins(image)))
        if output == "table":
            click.echo(f"{image.reference}: loaded, {image.size / 2**20:.1f} MiB, {image.id}")
    if output != "table":
        show(loaded, output)


@command.command("ls")
@format_option
@root_option
def list_images(output: Format, root: Path) -> None:
    """List the images that specs may name."""
    rows = Client(root).get("images")
    if output != "table":
        show(rows, output)
        return
    cells = [
        [
            row["reference"],
            "bundle" if row["bundled"] else local_time(row["loaded_at"]),
            "" if row["bundled"] else f"{row['size'] / 2**20:.1f} MiB",
            row.get("id", "")[:19],
        ]
        for row in rows
    ]
    show_table(["IMAGE", "LOADED", "SIZE", "ID"], cells, empty="There are no images.")


@command.command("rm")
@click.argument("image")
@format_option
@root_option
def remove(image: str, output: Format, root: Path) -> None:
    """Forget a loaded image that no service uses."""
    result = Client(root).delete("images", image)
    if output == "table":
        click.echo(f"{image}: removed")
    else:
        show(result, output)
