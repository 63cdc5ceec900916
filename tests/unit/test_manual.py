"""The manual as a whole: each page has its place, each link leads somewhere, and so does each page an error names."""

import ast
import re
from pathlib import Path

from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = {str(path.relative_to(DOCS)): path.read_text() for path in sorted(DOCS.rglob("*.md"))}


def anchors(text: str) -> set[str]:
    """The ids that the web manual gives to headings (Python-Markdown's `toc` extension)."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    titles = re.findall(r"^#+ (.+)$", prose, flags=re.MULTILINE)
    return {re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", title).strip().lower()) for title in titles}


def places(nav: object) -> list[str]:
    if isinstance(nav, str):
        return [nav]
    assert isinstance(nav, list | dict)
    return [page for part in (nav.values() if isinstance(nav, dict) else nav) for page in places(part)]


def leads_nowhere(page: str, anchor: str) -> bool:
    return page not in PAGES or bool(anchor and anchor not in anchors(PAGES[page]))


def pages_named_by_errors() -> set[tuple[str, str]]:
    """(file, page) of every `page="…"` in the product."""
    found = set()
    for file in (ROOT / "appliance").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.keyword) and node.arg == "page" and isinstance(node.value, ast.Constant):
                found.add((str(file.relative_to(ROOT)), str(node.value.value)))
    return {(file, page) for file, page in found if page}


def test_every_page_has_one_place_in_the_navigation() -> None:
    nav = YAML(typ="safe").load(ROOT / "bundle/mkdocs.yml")["nav"]
    assert sorted(places(nav)) == sorted(PAGES)


def test_every_page_is_reached_from_the_first() -> None:
    linked = set(re.findall(r"\]\(([\w-]+\.md)", PAGES["index.md"]))
    assert linked == {page for page in PAGES if "/" not in page} - {"index.md"}


def test_every_link_leads_to_a_page_and_a_heading() -> None:
    broken = []
    for name, text in PAGES.items():
        for page, anchor in re.findall(r"\]\(([\w/.-]*?\.md)?(?:#([\w-]+))?\)", text):
            target = (DOCS / name).parent / page if page else DOCS / name
            if leads_nowhere(str(target.resolve().relative_to(DOCS)), anchor):
                broken.append(f"{name}: {page}#{anchor}")
    assert broken == []


def test_every_page_that_an_error_names_exists() -> None:
    named = pages_named_by_errors()
    assert len(named) > 5
    parted = [(file, *page.partition("#")) for file, page in sorted(named)]
    assert [(file, page) for file, page, _, anchor in parted if leads_nowhere(f"{page.strip('/')}.md", anchor)] == []
