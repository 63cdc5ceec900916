"""`appliance docs [PAGE]`: the manual of exactly this version, offline."""

import sys
import zipfile

import click

from appliance.cli.output import Format, format_option, show
from appliance.delivery.package import Package
from appliance.errors import NotFound


@click.command("docs")
@click.argument("page", required=False, default="")
@format_option
def command(page: str, output: Format) -> None:
    """Print a page of the manual, or the list of pages."""
    with Package.open() as package, package.manual() as manual:
        names = page_names(manual)
        if not page:
            _list(names, output)
            return
        text = manual.read(f"pages/{find_page(page, names)}.md").decode()
    if output != "table":
        show({"page": page, "text": text}, output)
    elif sys.stdout.isatty():
        click.echo_via_pager(text)
    else:
        click.echo(text)


def page_names(manual: zipfile.ZipFile) -> list[str]:
    """Pages as people name them: ``preflight``, ``adr/0001-…``."""
    return sorted(
        name.removeprefix("pages/").removesuffix(".md")
        for name in manual.namelist()
        if name.startswith("pages/") and name.endswith(".md")
    )


def find_page(page: str, names: list[str]) -> str:
    """Forgives what errors and links add (``preflight/#disk-room``); raises NotFound."""
    wanted = page.partition("#")[0].strip("/").removesuffix(".md")
    for name in (wanted, f"{wanted}/index"):
        if name in names:
            return name
    raise NotFound(f"The manual has no page called {wanted}.", next="see: appliance docs")


def _list(names: list[str], output: Format) -> None:
    if output != "table":
        show(names, output)
        return
    for name in names:
        click.echo(name)
