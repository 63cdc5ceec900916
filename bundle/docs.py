"""The manual of exactly this version: docs/ as a web site with search, and the pages' text for the terminal.

One zip, read in place from the package: `site/` is what a browser sees, `pages/` the Markdown.
"""

import zipfile
from pathlib import Path

from bundle.runtime import Workshop
from bundle.wheels import TOOLS_LOCK, tools
from bundle.workshop import CHECKOUT, cached, digest_of, file_digest, remove

DOCS = CHECKOUT / "docs"
_CONFIG = CHECKOUT / "bundle" / "mkdocs.yml"
_RECIPE = 1


def manual(workshop: Workshop) -> Path:
    """The zip, built anew when a page, the settings or the tools changed."""
    pages = sorted(path for path in DOCS.rglob("*") if path.is_file())
    inputs = [(str(path.relative_to(DOCS)), file_digest(path)) for path in pages]

    def make(place: Path) -> None:
        site = place.with_name(f"{place.name}.site")
        remove(site)
        workshop.run(
            *("-m", "mkdocs", "build", "--quiet", "--config-file", _CONFIG, "--site-dir", site),
            failure="The manual could not be built.",
            paths=[tools(workshop)],
            SOURCE_DATE_EPOCH="0",
            NO_MKDOCS_2_WARNING="1",
        )
        with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(site.rglob("*")):
                if path.is_file() and not path.name.startswith("sitemap.xml"):
                    _add(archive, f"site/{path.relative_to(site)}", path)
            for path in pages:
                if path.suffix == ".md":
                    _add(archive, f"pages/{path.relative_to(DOCS)}", path)
        remove(site)

    key = digest_of(_RECIPE, inputs, _CONFIG.read_text(), TOOLS_LOCK.read_text())
    return cached("manual", f"{key[:24]}.zip", make)


def _add(archive: zipfile.ZipFile, name: str, path: Path) -> None:
    member = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
    member.external_attr = 0o100644 << 16
    member.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(member, path.read_bytes())
