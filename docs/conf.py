"""How Sphinx builds the site from this folder: `.ci/docs OUT`, or `sphinx-build -W docs OUT`.

`pip install '.[docs]'` brings what is needed. Notebooks are executed; the pages of the reference are made
from the docstrings of whatever is public.
"""

from __future__ import annotations

import inspect
import os
import sys
from pathlib import Path

import regions
from regions import plotting

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import notebook_kernels  # noqa: E402
from docstrings import to_rst  # noqa: E402

project = "relu-regions"
author = "the relu-regions maintainers"
copyright = "2026, the relu-regions maintainers"
version = release = regions.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc"]
exclude_patterns = ["build", "**/.ipynb_checkpoints"]
language = "en"

# notebooks
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_in_temp = True
nb_execution_timeout = 120
nb_merge_streams = True
os.environ["MATPLOTLIBRC"] = str(HERE / "matplotlibrc")
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")  # notebooks are small, and waiting threads cost as much as working ones
os.environ.pop("MPLBACKEND", None)  # a backend named there would leave notebooks without pictures
wait_for_kernels = notebook_kernels.provide()

# pages
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 4
suppress_warnings = ["myst.header"]  # REPORT.md skips a level

smartquotes = False  # which reads all text once more

# reference
autodoc_typehints = "none"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
add_module_names = False

html_theme = "pydata_sphinx_theme"
html_title = f"relu-regions {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_theme_options = {
    "logo": {"text": "relu-regions"},
    "navbar_end": ["theme-switcher"],
    "navigation_with_keys": False,
    "show_nav_level": 1,
    "show_toc_level": 2,
    "header_links_before_dropdown": 6,
    "footer_start": ["copyright"],
    "footer_end": [],
}

# files of the repository that are pages here
PAGES = {
    "../CONTRIBUTING.md": "contributing.md",
    "../CHANGELOG.md": "changelog.md",
    "../validation/REPORT.md": "evidence.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "validation/REPORT.md": "evidence.md",
    "docs/": "",
    "figures/": "../validation/figures/",
}
COPIES = {"contributing": "CONTRIBUTING.md", "changelog": "CHANGELOG.md", "evidence": "validation/REPORT.md"}

ROOMS = {
    "network": "Networks",
    "domain": "Domains",
    "enumeration": "Counting and listing",
    "complexes": "Cells",
    "runs": "Long counts, and how many cells to expect",
    "analysis": "Questions about cells",
    "exploration": "Around a point",
    "density": "Densities",
    "estimators": "Estimators",
    "validation": "Judging, and following a training",
    "plotting": "Pictures",
    "errors": "Errors",
}


def rooms() -> dict[str, list[str]]:
    """Public names by room: those of `regions.__all__`, pictures and errors."""
    found: dict[str, list[str]] = {room: [] for room in ROOMS}
    for name in regions.__all__:
        value = getattr(regions, name)
        if name in regions._MODULE_OF:
            room = regions._MODULE_OF[name].partition(".")[0]
        elif isinstance(value, type):
            room = "errors"
        else:
            continue
        found.setdefault(room, []).append(f"regions.{name}")
    found["plotting"] = [f"regions.plotting.{name}" for name in plotting.__all__]
    return found


def write_reference() -> None:
    """Write a page for each room, with all its public names and their docstrings, and a page of pages."""
    HERE.joinpath("reference").mkdir(exist_ok=True)
    pages = {room: names for room, names in rooms().items() if names}
    lines = ["API reference", "=============", "", "Everything public, by what it is for.", ""]
    for room, names in pages.items():
        title = ROOMS.get(room, room.capitalize())
        page = [title, "=" * len(title), ""]
        page += [f"- :py:obj:`~{name}`: {first_sentence(name)}" for name in names] + [""]
        for name in names:
            short = name.rpartition(".")[2]
            page += [short, "-" * len(short), "", f".. py:currentmodule:: {name.rpartition('.')[0]}", ""]
            kind = "class" if isinstance(value_of(name), type) else "function"
            page += [f".. auto{kind}:: {name}", *["   :members:"] * (kind == "class"), ""]
        write(HERE / "reference" / f"{room}.rst", page)
        lines += [f":doc:`{title} <{room}>`", f"    {', '.join(f':py:obj:`~{name}`' for name in names)}", ""]
    lines += [".. toctree::", "   :hidden:", "", *(f"   {room}" for room in pages)]
    write(HERE / "reference" / "index.rst", lines)


def value_of(name: str) -> object:
    """Return what a public name means."""
    return getattr(plotting if name.startswith("regions.plotting.") else regions, name.rpartition(".")[2])


def first_sentence(name: str) -> str:
    """Return the first sentence of the docstring behind a public name."""
    words = (inspect.getdoc(value_of(name)) or "").partition("\n\n")[0].split("\n")
    return " ".join(to_rst([" ".join(words)], PUBLIC)).strip()


def write(page: Path, lines: list[str]) -> None:
    """Write a page, if it is another one than there is."""
    text = "\n".join(lines) + "\n"
    if not page.exists() or page.read_text() != text:
        page.write_text(text)


def lead_to_pages(text: str) -> str:
    """Make links to files of the repository links to the pages that show them."""
    text = text.replace("[results/](results)", "`validation/results`")
    for target, page in PAGES.items():
        text = text.replace(f"]({target}", f"]({page}")
    return text


PUBLIC = {*regions.__all__, *(f"plotting.{name}" for name in plotting.__all__)}
write_reference()


def read_source(app, docname, source) -> None:
    """Put files of the repository in the place of the pages that stand for them, and mend links."""
    text = (HERE.parent / COPIES[docname]).read_text() if docname in COPIES else source[0]
    source[0] = lead_to_pages(text)


def read_docstring(app, what, name, obj, options, lines) -> None:
    """Make reStructuredText of a docstring."""
    lines[:] = to_rst(lines, PUBLIC)


def setup(app) -> None:
    """Hook the rewritings in, and the kernels of the notebooks."""
    app.connect("env-before-read-docs", lambda *_: wait_for_kernels())
    app.connect("source-read", read_source)
    app.connect("autodoc-process-docstring", read_docstring)
