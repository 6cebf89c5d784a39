"""Laws of the distributions: what is advised can be installed, and the index shows no dead links."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
EXTRAS = PROJECT["optional-dependencies"]
TEXTS = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "docs/*.py", "regions/**/*.py", ".ci/*", "examples/*.py")
    for path in ROOT.glob(pattern)
    if path.is_file() and not {"build", "reference"} & set(path.relative_to(ROOT).parts)
)
ADVICE = re.compile(r"pip install (?:-e )?'?(relu-regions|\.)\[([\w,{}]+)\]")
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
# modules whose distributions have other names
DISTRIBUTIONS = {"sklearn": "scikit-learn", "distributed": "dask"}
# Keras brings no backend; whoever asks for a comparison with it has both
WITHOUT_EXTRA = {"keras"}


def test_every_installation_that_is_advised_names_an_extra_there_is() -> None:
    found = [(path, *match) for path in TEXTS for match in ADVICE.findall(path.read_text(encoding="utf-8"))]
    assert len(found) >= 10
    for path, name, extras in found:
        assert name in (".", PROJECT["name"]), path
        for extra in extras.split(","):
            assert extra in EXTRAS or extra == "{extra}", f"{path} advises [{extra}]"


def test_messages_advise_nothing_but_extras() -> None:
    for path in sorted((ROOT / "regions").rglob("*.py")):
        for words in re.findall(r"pip install [^\n\"`]*", path.read_text(encoding="utf-8")):
            assert ADVICE.match(words), f"{path}: {words}"


def needed() -> Iterator[tuple[Path, str, str]]:
    """Give each module that is imported with advice, and the extra that is advised."""
    for path in sorted((ROOT / "regions").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        for module, extra in re.findall(r'(?<!>>> )optional_(?:import|package)\("([\w.]+)", "(\w+)"', text):
            yield path, module.partition(".")[0], extra


def test_an_extra_that_is_advised_brings_what_is_missing() -> None:
    calls = list(needed())
    assert len(calls) >= 10
    for path, module, extra in calls:
        names = {re.split(r"[^\w-]", requirement)[0] for requirement in EXTRAS[extra]}
        alone = module in WITHOUT_EXTRA or module == "onnxruntime"  # asked for where it may be missing
        assert alone or DISTRIBUTIONS.get(module, module) in names, f"{path}: {module} is not in [{extra}]"


def test_the_extra_of_all_holds_every_extra_of_users() -> None:
    (everything,) = EXTRAS["all"]
    named = set(re.search(r"\[(.*)\]", everything)[1].split(","))
    assert everything.startswith(PROJECT["name"])
    assert named == EXTRAS.keys() - {"all", "docs", "test", "dev"}


@pytest.fixture(scope="module")
def readmes() -> tuple[str, str]:
    """The README in the repository, and as the package index gets it."""
    text = shown = (ROOT / "README.md").read_text(encoding="utf-8")
    for one in PYPROJECT["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]["substitutions"]:
        assert re.search(one["pattern"], shown), one
        shown = re.sub(one["pattern"], one["replacement"], shown)
    return text, shown


def test_on_the_index_no_link_of_the_readme_is_dead(readmes: tuple[str, str]) -> None:
    text, shown = readmes
    assert not [link for link in LINK.findall(shown) if "://" not in link]
    for page in LINK.findall(text):
        assert page.endswith(".png") or f"`{page}`" in shown


def test_on_the_index_nothing_else_of_the_readme_is_lost(readmes: tuple[str, str]) -> None:
    text, shown = readmes
    without = re.sub(r"^!\[.*\n\n\*[^*]*\*\n\n", "", text, flags=re.MULTILINE)
    words = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", re.sub(r"```.*?```", "", without, flags=re.DOTALL))
    assert all(word.rstrip(",.") in shown for word in words.split())
    assert re.findall(r"```.*?```", text, re.DOTALL) == re.findall(r"```.*?```", shown, re.DOTALL)
