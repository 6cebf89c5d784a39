"""What the tables of an experiment depend on, as one digest: the code in its reach, and its configuration.

Found by reading the source, not by running it: from `run` on, name by name, and of the kernels module by
module, as numba compiles whole ones. Seeds follow from names in the code and the configuration
(`framework.case_rng`), so they are in the digest too. Comments, docstrings, pictures and the command line are
not.
"""

from __future__ import annotations

import ast
import hashlib
import io
import json
import tokenize
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import regions
from validation.framework import HERE, Config, Experiment, load_config

__all__ = ["fingerprint", "reached_code", "tables_digest"]

_PACKAGE = Path(regions.__file__).resolve().parent
_ROOTS = {"regions": _PACKAGE, "validation": HERE}
_DATA = _PACKAGE / "data"
# no number comes from there
_ASIDE = ("regions.plotting", "regions.showing", "regions.cli")


def fingerprint(experiment: Experiment, mode: str, config: Config | None = None) -> str:
    """Return the digest of what an experiment's tables depend on; equal ones promise equal tables.

    Other versions of Python and of libraries may round otherwise; they are named in the table of runs.
    """
    given = load_config(experiment.name, mode) if config is None else config
    run = experiment.run
    parts = [json.dumps(given, sort_keys=True), *reached_code(run.__module__, run.__name__)]
    return hashlib.sha256("\x1e".join(parts).encode()).hexdigest()


def tables_digest(root: Path, name: str) -> str:
    """Return the digest of the stored tables of an experiment, "" if there are none."""
    paths = sorted((root / "results").glob(f"{name}_*.csv"))
    parts = [f"{path.name}\x1f{hashlib.sha256(path.read_bytes()).hexdigest()}" for path in paths]
    return hashlib.sha256("\x1e".join(parts).encode()).hexdigest() if parts else ""


def reached_code(module: str, name: str) -> list[str]:
    """Return the pieces of source that a function can reach, in a fixed order, each with where it stands.

    Parameters
    ----------
    module, name : of the function
    """
    found: dict[tuple[str, str], str] = {}
    wanted = [(module, name)]
    while wanted:
        place = wanted.pop()
        if place in found:
            continue
        own, word = place
        aside = own.startswith(_ASIDE) or own.partition(".")[0] not in _ROOTS
        if aside or (file := _file(own)) is None:
            continue
        source = _source(file)
        if own.startswith("regions.kernels") or word == "*":
            found[place], found[own, "*"] = "", source.text
            wanted += source.imports
            continue
        found[place] = "\n".join(source.statements.get(word, []))
        wanted += source.bound.get(word, [])
        found[own, ""] = source.loose
        wanted += [(own, used) for used in source.uses(word) if used in source.statements]
        wanted += [target for used in source.uses(word) for target in source.bound.get(used, ())]
    return [f"{own}\x1f{word}\x1f{text}" for (own, word), text in sorted(found.items()) if text]


class _Source:
    """A module's source: its statements by the names that they define, what is imported, and what is used."""

    def __init__(self, file: Path) -> None:
        text = file.read_text(encoding="utf-8")
        package = _dotted(file) if file.name == "__init__.py" else _dotted(file).rpartition(".")[0]
        tree = ast.parse(text)
        tree.body = [node for node in tree.body if not _is_for_type_checkers(node)]
        lines = _bare_lines(text, tree)
        self.statements: dict[str, list[str]] = {}
        self.bound: dict[str, list[tuple[str, str]]] = {}
        self.imports: list[tuple[str, str]] = []
        self._uses: dict[str, set[str]] = {"": set()}
        loose: list[str] = []
        for node in tree.body:
            own = "\n".join(lines[_first_line(node) - 1 : node.end_lineno])
            if isinstance(node, ast.Import | ast.ImportFrom):
                for alias, target in _targets(node, package):
                    self.bound.setdefault(alias, []).append(target)
                continue
            names = list(_defined(node))
            for name in names:
                self.statements.setdefault(name, []).append(own)
                self._uses.setdefault(name, set()).update(_used(node))
            if not names and not _is_docstring(node):
                loose.append(own)
                self._uses[""].update(_used(node))
        for node in ast.walk(tree):
            if isinstance(node, ast.Import | ast.ImportFrom):
                targets = list(_targets(node, package))
                self.imports += [target for _, target in targets]
                if node not in tree.body:  # inside of a function: whatever uses the name
                    for alias, target in targets:
                        self.bound.setdefault(alias, []).append(target)
        data = [one.value for one in ast.walk(tree) if isinstance(one, ast.Constant)]
        stored = [_DATA / one for one in data if isinstance(one, str) and one.endswith((".npz", ".csv"))]
        digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in stored if path.is_file()]
        self.text = "\n".join([*filter(None, lines), *digests])
        self.loose = "\n".join([*loose, *digests])

    def uses(self, name: str) -> set[str]:
        """Return the names that the statements of a name, and those of no name, use."""
        return self._uses.get(name, set()) | self._uses[""]


@cache
def _source(file: Path) -> _Source:
    return _Source(file)


@cache
def _file(module: str) -> Path | None:
    """Return the file of a module of ours, None if there is none of that name."""
    root, _, rest = module.partition(".")
    path = _ROOTS[root].joinpath(*rest.split(".")) if rest else _ROOTS[root]
    for file in (path.with_suffix(".py"), path / "__init__.py"):
        if file.is_file():
            return file
    return None


def _dotted(file: Path) -> str:
    """Return the name of the module in a file."""
    for root, folder in _ROOTS.items():
        if file.is_relative_to(folder):
            parts = file.relative_to(folder).with_suffix("").parts
            return ".".join([root, *(part for part in parts if part != "__init__")])
    raise ValueError(f"{file} is no module of ours")


def _targets(node: ast.Import | ast.ImportFrom, package: str) -> Iterator[tuple[str, tuple[str, str]]]:
    """Give what an import binds, and the module and name that it stands for; "*" is the whole module."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield alias.asname or alias.name.partition(".")[0], (alias.name, "*")
        return
    module = node.module or ""
    if node.level:
        above = package.rsplit(".", node.level - 1)[0] if node.level > 1 else package
        module = f"{above}.{module}" if module else above
    if module.partition(".")[0] not in _ROOTS:
        return
    for alias in node.names:
        bound = alias.asname or alias.name
        if module == "regions" and alias.name in regions._MODULE_OF:
            yield bound, (f"regions.{regions._MODULE_OF[alias.name]}", alias.name)
        elif _file(f"{module}.{alias.name}") is not None:
            yield bound, (f"{module}.{alias.name}", "*")
        else:
            yield bound, (module, alias.name)


def _defined(node: ast.stmt) -> Iterator[str]:
    """Give the names that a statement at the top of a module defines."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Assign | ast.AnnAssign):
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            for part in ast.walk(target):
                if isinstance(part, ast.Name):
                    yield part.id


def _used(node: ast.AST) -> set[str]:
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}


def _first_line(node: ast.stmt) -> int:
    decorators: Iterable[Any] = getattr(node, "decorator_list", ())
    return min([node.lineno, *(one.lineno for one in decorators)])


def _is_for_type_checkers(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _is_docstring(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _bare_lines(text: str, tree: ast.Module) -> list[str]:
    """Return the lines without comments and docstrings; those that are left empty are empty strings."""
    lines = text.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and node.body:
            first = node.body[0]
            if _is_docstring(first):
                for row in range(first.lineno, int(first.end_lineno or first.lineno) + 1):
                    lines[row - 1] = ""
    return [line.rstrip() for line in lines]
