"""Laws of the documentation: links lead somewhere, and the architecture page names what there is."""

from __future__ import annotations

import configparser
import json
import re
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

import regions
from regions import Box, Network, enumerate_cells

ROOT = Path(__file__).resolve().parents[1]
ARCHITECTURE = ROOT / "docs" / "architecture.md"
# build/ is what `.ci/docs` leaves behind
PAGES = sorted(
    path
    for path in [*ROOT.glob("*.md"), *ROOT.glob("*/*.md"), *ROOT.glob("docs/*/*.md")]
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
    pages = (
        "architecture",
        "engines",
        "exactness",
        "mathematics",
        "start",
        "howto/files",
        "tutorials/training",
    )
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


def test_every_python_file_that_a_page_names_exists() -> None:
    files = [path.relative_to(ROOT) for path in ROOT.glob("[!.]*/**/*.py")]
    known = {path.as_posix() for path in files if path.parts[0] != "build"}
    for page in PAGES:
        if page.name == "CHANGELOG.md":  # which also names what is gone
            continue
        for name in PYTHON_FILE.findall(page.read_text()):
            assert any(f"/{path}".endswith(f"/{name}") for path in known), f"{page}: there is no {name}"


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
        if name == project["name"]:  # in the extra that names the others
            continue
        assert re.search(rf"\b{name}\b", text), f"no line for {name}"


def of_docs(name: str):
    """A module of the folder docs."""
    sys.path.insert(0, str(ROOT / "docs"))
    try:
        return __import__(name)
    finally:
        sys.path.pop(0)


def test_the_readmes_first_look_prints_what_it_says(capsys) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    code, said = re.findall(r"```python\n(.*?)```\n\nprints `([^`]*)`", text, re.DOTALL)[0]
    exec(code, {})
    cells, status, volume, length = capsys.readouterr().out.split()
    assert [cells, status] == said.split()[:2]
    assert [float(volume), float(length)] == pytest.approx([float(x) for x in said.split()[2:]], rel=1e-12)


def test_the_commands_of_the_docs_name_options_that_exist(run) -> None:
    text = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    lines = re.findall(r"^regions (run \w+|\w+) ([^#\n]*)", text, re.MULTILINE)
    assert len(lines) >= 20
    helps: dict[str, str] = {}
    for command, rest in lines:
        if command not in helps:
            helps[command] = run(*command.split(), "--help")[1]
        for option in re.findall(r"--[a-z-]+", rest):
            assert option in helps[command], f"regions {command} has no {option}"


def test_the_page_of_files_names_all_that_a_saved_complex_holds(tmp_path) -> None:
    page = (ROOT / "docs" / "howto" / "files.md").read_text(encoding="utf-8")
    named = {
        name
        for cell in re.findall(r"^\| (`[^|]*) \|", page, re.MULTILINE)
        for name in re.findall(r"`(.+?)`", cell)
    }
    named |= {"header", "W{k}", "b{k}", "domain_origin", "domain_basis", "domain_A", "domain_b"}
    absolute = Network.from_arrays([[[1.0, 0.0]], [[1.0]]], [[0.0], [0.0]], slopes=[(-1.0, 1.0), None])
    enumerate_cells(absolute, Box([-1.0, -1.0], [1.0, 1.0])).save(tmp_path / "out.regions")
    with np.load(tmp_path / "out.regions") as stored:
        arrays = {re.sub(r"^(W|b|slopes)\d+", r"\1{k}", name) for name in stored}
        keys = json.loads(str(stored["header"])).keys()
    assert arrays <= named and keys <= named
    assert all(name in page for name in arrays)


def test_the_version_to_cite_is_that_of_the_package() -> None:
    said = re.search(r"^version: (.*)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    assert said and said[1] == regions.__version__


def test_links_of_a_site_are_followed(tmp_path) -> None:
    (tmp_path / "a.html").write_text('<p id="here"><a href="b.html#there">b</a><a href="#here">up</a></p>')
    (tmp_path / "b.html").write_text('<p id="there"><a href="https://elsewhere.example/x">x</a></p>')
    broken_links = of_docs("check_links").broken_links
    assert broken_links(tmp_path) == []
    (tmp_path / "c.html").write_text('<a href="a.html#gone">a</a><img src="none.png">')
    assert broken_links(tmp_path) == [
        "c.html: a.html#gone: there is no such place",
        "c.html: none.png leads nowhere",
    ]


def test_docstrings_become_lists_in_which_nothing_is_markup() -> None:
    docstring = """Return |x| of x*, as `Box` or `other`.

Parameters
----------
x : float, |x| < 1,
    and more
**options : as there

Returns
-------
Box

Examples
--------
>>> abs(-1) | 0
1"""
    assert "\n".join(of_docs("docstrings").to_rst(docstring.splitlines(), {"Box"})).split("\n") == [
        "Return \\|x\\| of x\\*, as :py:obj:`Box <regions.Box>` or ``other``.",
        "",
        "",
        ".. rubric:: Parameters",
        "",
        "- **x**: float, \\|x\\| < 1, and more",
        "- **\\*\\*options**: as there",
        "",
        ".. rubric:: Returns",
        "",
        "- Box",
        "",
        ".. rubric:: Examples",
        "",
        ">>> abs(-1) | 0",
        "1",
        "",
    ]
