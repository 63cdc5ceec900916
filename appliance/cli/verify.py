"""`appliance verify`."""

import sys
from pathlib import Path

import click

from appliance.cli.output import Format, format_option, show
from appliance.delivery.package import Package, running_file


@click.command("verify")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--sbom", is_flag=True, help="Print the list of packages inside (CycloneDX JSON) instead.")
@format_option
def command(file: Path | None, sbom: bool, output: Format) -> None:
    """Check every byte of FILE (this file, if none is named) against its manifest.

    Exits 1 and names every damaged part if there are any.
    """
    with Package.open(file or running_file()) as package:
        if sbom:
            click.echo(package.sbom())
            return
        package.verify(_draw if sys.stderr.isatty() and output == "table" else None)
        manifest = package.manifest
        if output != "table":
            show({"file": str(package.path), "intact": True, **_summary(package)}, output)
            return
        source = "built from its lock" if manifest.built_from_lock else f"{len(manifest.replaced)} packages not locked"
        click.echo(
            f"{package.path} is intact: appliance {manifest.version} (release {manifest.release}) for "
            f"{manifest.architecture}, {len(manifest.parts)} parts, {manifest.size / 1e6:.1f} MB, {source}."
        )


def _summary(package: Package) -> dict[str, object]:
    """The manifest for scripts, without the images' configs."""
    manifest = package.manifest
    return {
        "version": manifest.version,
        "release": manifest.release,
        "architecture": manifest.architecture,
        "commit": manifest.commit,
        "built_from_lock": manifest.built_from_lock,
        "replaced": list(manifest.replaced),
        "images": [{"name": image.name, "tag": image.tag, "id": image.id} for image in manifest.images],
        "parts": [
            {"name": part.name, "kind": part.kind, "size": part.size, "sha256": part.sha256} for part in manifest.parts
        ],
    }


def _draw(part: str, done: int, total: int) -> None:
    """One line, rewritten; gone when the last part is checked."""
    text = "" if done == total else f"checking {part}  {100 * done // max(total, 1)} %"
    click.echo(f"\r\033[K{text}", nl=False, err=True)
