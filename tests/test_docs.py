"""Laws of the documentation: links lead somewhere, and the architecture page names what there is."""

from __future__ import annotations

import configparser
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ARCHITECTURE = ROOT / "docs" / "architecture.md"
# build/ is what `pip install .` leaves behind
PAGES = sorted(
    path
    for path in [*ROOT.glob("*.md"), *ROOT.glob("*/*.md")]
    if not any(part.startswith(".") or part == "build" for part in path.relative_to(ROOT).parts)
)
MODULES = sorted((ROOT / "regions").rglob("*.py"))

LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
PYTHON_FILE = re.compile(r"[\w./]+\.py\b")
PAGE_AND_HEADING = re.compile(r'docs/(\w+\.md)(?:,\s+"([^"]+)")?')
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def without_code(text: str) -> str:
    """The text without its fenced blocks, in which brackets are no links and # is no heading."""
    return re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """Names under which the headings of a page can be linked to, as GitHub makes them."""
    headings = HEADING.findall(without_code(page.read_text()))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_there_are_pages_to_check() -> None:
    names = {path.relative_to(ROOT).as_posix() for path in PAGES}
    pages = ("architecture", "engines", "exactness", "mathematics")
    assert {"README.md", "CONTRIBUTING.md", *(f"docs/{page}.md" for page in pages)} <= names


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_relative_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    for link in LINK.findall(without_code(page.read_text())):
        if "://" in link or link.startswith("mailto:"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link} leads nowhere"
        assert not anchor or anchor in anchors(target), f"{link}: there is no such heading"


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_python_file_that_a_page_names_exists(page: Path) -> None:
    if page.name == "CHANGELOG.md":
        pytest.skip("a changelog also names what is gone")
    files = [path.relative_to(ROOT) for path in ROOT.glob("[!.]*/**/*.py")]
    known = {path.as_posix() for path in files if path.parts[0] != "build"}
    for name in PYTHON_FILE.findall(page.read_text()):
        assert any(f"/{path}".endswith(f"/{name}") for path in known), f"there is no {name}"


@pytest.mark.parametrize("folder", ["regions", "tests"])
def test_every_page_that_the_code_names_exists_with_its_heading(folder: str) -> None:
    for path in sorted((ROOT / folder).rglob("*.py")):
        for page, heading in PAGE_AND_HEADING.findall(path.read_text()):
            target = ROOT / "docs" / page
            assert target.is_file(), f"{path} names {page}"
            titles = HEADING.findall(without_code(target.read_text()))
            assert any(title.startswith(heading) for title in titles), f"{path}: no {heading!r} in {page}"


def test_the_architecture_page_names_every_room_and_every_module() -> None:
    text = ARCHITECTURE.read_text()
    contracts = configparser.ConfigParser()
    contracts.read(ROOT / "setup.cfg")
    rooms = contracts["importlinter:contract:order"]["layers"].split()
    rooms = [room for room in rooms if room.isidentifier()]
    assert len(rooms) >= 16
    titles = {room for title in HEADING.findall(without_code(text)) for room in title.split(", ")}
    for room in rooms:
        assert re.search(rf"│ {room} +│", text), f"the picture lacks {room}"
        assert room in titles, f"no list of the modules of {room}"
    named = {name.removeprefix("regions/") for name in PYTHON_FILE.findall(text)}
    for path in MODULES:
        if not path.name.startswith("__"):
            name = path.relative_to(ROOT / "regions").as_posix()
            assert name in named, f"no line for regions/{name}"


def test_the_architecture_page_says_what_every_dependency_is_for() -> None:
    text = ARCHITECTURE.read_text().partition("## What it stands on")[2]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    wanted = [*project["dependencies"], *(one for extra in extras for one in extra)]
    assert wanted
    for requirement in wanted:
        name = re.split(r"[^\w-]", requirement)[0]
        assert re.search(rf"\b{name}\b", text), f"no line for {name}"
