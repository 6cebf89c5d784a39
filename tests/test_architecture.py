"""Laws of the package as a whole: what importing it costs and shows, and its one-way order."""

from __future__ import annotations

import ast
import configparser
import re
import subprocess
import sys
from collections import Counter
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

import regions

PACKAGE = Path(regions.__file__).parent
CHECKOUT = Path(__file__).resolve().parents[1]
MODULES = sorted(PACKAGE.rglob("*.py"))
ROOMS = sorted({path.relative_to(PACKAGE).parts[0] for path in MODULES})
MAX_MODULE_LINES = 500
MAX_FUNCTION_LINES = 60
MAX_KERNEL_LINES = 120
MAX_ARGUMENTS = 8

HEAVY = (
    "numba",
    "matplotlib",
    "torch",
    "onnx",
    "onnxruntime",
    "h5py",
    "sklearn",
    "cvxpy",
    "plotly",
    "pandas",
    "pyarrow",
    "trimesh",
)


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def loaded_after(statement: str) -> set[str]:
    """Names of the modules that a fresh interpreter has loaded after a statement."""
    code = f"import sys\n{statement}\nprint(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


@pytest.mark.parametrize(
    "statement",
    [
        "import regions",
        "from regions import Network, load_network, from_torch, from_onnx, from_sklearn",
        "from regions import Box, Segment, Slice",
    ],
)
def test_importing_and_reading_networks_loads_nothing_heavy(statement: str) -> None:
    assert not loaded_after(statement) & set(HEAVY)


def test_every_public_name_is_there_and_listed() -> None:
    for name in regions.__all__:
        assert getattr(regions, name) is not None
        assert name in dir(regions)
    assert len(set(regions.__all__)) == len(regions.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'enumerate_regions'"):
        regions.enumerate_regions  # noqa: B018


def test_names_for_type_checkers_are_the_lazy_names() -> None:
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    checked = {
        alias.name: str(node.module).removeprefix("regions.")
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert checked == regions._MODULE_OF


def test_the_installed_version_is_the_packages() -> None:
    try:
        installed = version("relu-regions")
    except PackageNotFoundError:
        pytest.skip("relu-regions is not installed, only on the path")
    assert installed == regions.__version__


def test_the_package_is_marked_as_typed() -> None:
    assert (PACKAGE / "py.typed").is_file()


def in_room(room: str) -> list[Path]:
    return [path for path in MODULES if path.relative_to(PACKAGE).parts[0] == room]


@pytest.mark.parametrize("room", ROOMS)
def test_modules_and_functions_stay_small_and_documented(room: str) -> None:
    for path in in_room(room):
        tree, lines = parsed(path), len(path.read_text().splitlines())
        assert lines <= MAX_MODULE_LINES, f"{path} has {lines} lines"
        assert ast.get_docstring(tree), f"{path} does not open with what it is for"
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                check_size(path, node)


def check_size(path: Path, node: ast.FunctionDef) -> None:
    kernel, where = "kernels" in path.parts, f"{path}:{node.lineno} {node.name}"
    lines = int(node.end_lineno or 0) - _first_statement(node).lineno + 1
    assert lines <= (MAX_KERNEL_LINES if kernel else MAX_FUNCTION_LINES), f"{where} has {lines} lines"
    arguments = [arg.arg for arg in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
    # commands of the command line have an argument for each option
    if "cli" not in path.parts and not kernel:
        own = [name for name in arguments if name not in ("self", "cls")]
        assert len(own) <= MAX_ARGUMENTS, f"{where} has {len(own)} arguments"


def _first_statement(node: ast.FunctionDef) -> ast.stmt:
    """First statement after the docstring, so that documentation does not count as length."""
    documented = ast.get_docstring(node) is not None and len(node.body) > 1
    return node.body[1 if documented else 0]


@pytest.mark.parametrize("room", ROOMS)
def test_documentation_opens_with_a_sentence_on_one_line(room: str) -> None:
    documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    for path in in_room(room):
        for node in ast.walk(parsed(path)):
            text = ast.get_docstring(node) if isinstance(node, documented) else None
            if text is not None:
                assert text.splitlines()[0].endswith((".", "?")), f"{path}: {getattr(node, 'name', '')}"


def test_a_files_name_says_which_file_it_is() -> None:
    names = Counter(path.name for path in MODULES)
    assert {name for name, n in names.items() if n > 1} == {"__init__.py", "__main__.py"}


def test_only_domains_ask_what_kind_of_domain_one_is() -> None:
    kinds = {"Box", "Segment", "Slice", "Polytope"}
    for path in MODULES:
        if path.relative_to(PACKAGE).parts[0] == "domain":
            continue
        for node in ast.walk(parsed(path)):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id == "isinstance"
            ):
                asked = {name.id for name in ast.walk(node.args[1]) if isinstance(name, ast.Name)}
                assert not asked & kinds, f"{path}:{node.lineno}"


def test_every_room_has_its_floor_in_the_order_that_lint_imports_checks() -> None:
    setup = configparser.ConfigParser()
    setup.read(CHECKOUT / "setup.cfg")
    floors = setup["importlinter:contract:order"]["layers"].split()
    rooms = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in MODULES}
    rooms -= {"__init__", "__main__"}  # the latter is what `python -m regions` runs
    assert len(floors) == len(set(floors))
    assert set(floors) == rooms


def test_ci_runs_the_commands_of_the_readme_as_they_stand() -> None:
    blocks = re.findall(r"```\n(.*?)```", (CHECKOUT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert blocks[0] == "pip install . && regions demo\npip install '.[test]' && pytest\n"
    steps = re.findall(
        r"^step (?:'[^']*'|\"[^\"]*\") (.*)$", (CHECKOUT / ".ci/run").read_text(), re.MULTILINE
    )
    functions = {"demo": "regions demo"}  # in a folder of its own
    ran = [functions.get(step, step) for step in steps]
    for command in re.split(r" && |\n", blocks[0].strip()):
        assert command in ran


def test_only_the_command_line_prints() -> None:
    for path in MODULES:
        if "cli" in path.relative_to(PACKAGE).parts[0]:
            continue
        calls = [node for node in ast.walk(parsed(path)) if isinstance(node, ast.Call)]
        assert not [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "print"], (
            path
        )
