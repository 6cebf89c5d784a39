"""A digest of the code that decides where the paths of a search lead, for what outlives a process.

Two searches with one digest cut a tree at the same places in the same order, so the results of one may be
joined with those of the other. Another engine's code is not in it, nor what no search needs.
"""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from pathlib import Path

import regions.kernels

__all__ = ["search_digest", "search_files"]

# raised where code that is in no digest (how domains are written, exact arithmetic, the order of units)
# changes where a path leads
SEARCH_FORMAT = 1

_KERNELS = Path(regions.kernels.__file__).parent
_ROOT = _KERNELS.parent
_SHARED = (
    "enumeration/search.py",
    "enumeration/compiled_network.py",
    "enumeration/unrounded_sums.py",
    "domain/starting_polytope.py",
)
_VERTICES = (
    *_SHARED,
    "enumeration/rough_weights.py",
    "enumeration/vertices/search_arrays.py",
    "enumeration/vertices/vertex_search.py",
    "enumeration/vertices/exact_signs.py",
    "enumeration/vertices/error_norms.py",
)
_DRIVERS = {
    "planar": _VERTICES,
    "cells": _VERTICES,
    "lp": (*_SHARED, "enumeration/programs/program_search.py", "enumeration/programs/exact_sides.py"),
}
_LISTING = ("enumeration/spool.py", "enumeration/facet_keys.py")  # what the parts of a listing depend on too


@cache
def search_digest(engine: str, lists: bool = False) -> str:
    """Return a digest of the searches of an engine: "planar", "cells" or "lp".

    It covers the engine's drivers and every kernel that they can reach, without comments and docstrings,
    and `SEARCH_FORMAT`.

    Parameters
    ----------
    engine : str
    lists : bool, whether cells are listed, in parts

    Examples
    --------
    >>> search_digest("planar") == search_digest("cells"), search_digest("cells") == search_digest("lp")
    (True, False)
    """
    state = sha256(f"searches {SEARCH_FORMAT};".encode())
    for file in search_files(engine, lists):
        state.update(f"{file.relative_to(_ROOT).as_posix()};{code_of(_source(file))}".encode())
    return state.hexdigest()


def search_files(engine: str, lists: bool = False) -> list[Path]:
    """Return the files that a digest covers, in order: the drivers, and the kernels that they import."""
    todo = [_ROOT / name for name in (*_DRIVERS[engine], *(_LISTING if lists else ()))]
    found: set[Path] = set()
    while todo:
        file = todo.pop()
        if file not in found:
            found.add(file)
            todo.extend(_imported_kernels(_nodes(_source(file))))
    return sorted(found)


@cache
def _source(file: Path) -> str:
    return file.read_text(encoding="utf-8")


@cache
def _nodes(source: str) -> list[ast.AST]:
    return list(ast.walk(ast.parse(source)))


def _imported_kernels(nodes: list[ast.AST]) -> Iterator[Path]:
    """List the kernel files that a module names: by imports anywhere in it, or as strings."""
    for node in nodes:
        names: list[str] = []
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names = [node.value]  # a module that is imported by its name
        for name in names:
            if name.startswith(f"{regions.kernels.__name__}."):
                file = _ROOT.joinpath(*name.split(".")[1:])
                yield from (
                    path for path in (file.with_suffix(".py"), file / "__init__.py") if path.is_file()
                )


@cache
def code_of(source: str) -> str:
    """Return the lines of a source without comments, docstrings, empty lines and spaces at their ends.

    Examples
    --------
    >>> code_of('def half(x):  # of a number\\n    "Return a half."\\n\\n    return x / 2\\n')
    'def half(x):\\n    return x / 2'
    """
    lines = [line.encode() for line in source.splitlines()]
    spans = [
        (node.lineno, node.col_offset, node.end_lineno or 0, node.end_col_offset or 0)
        for node in _docstrings(_nodes(source))
    ]
    spans += [
        (row, len(token.line[:column].encode()), row, len(token.line.encode()))
        for token in (tokenize.generate_tokens(io.StringIO(source).readline) if "#" in source else ())
        if token.type == tokenize.COMMENT
        for row, column in (token.start,)
    ]
    for first, begin, last, end in spans:
        if first == last:
            line = lines[first - 1]
            lines[first - 1] = line[:begin].ljust(len(line[:end])) + line[end:]
            continue
        lines[first - 1] = lines[first - 1][:begin]
        lines[first : last - 1] = [b""] * (last - 1 - first)
        lines[last - 1] = lines[last - 1][end:].rjust(len(lines[last - 1]))
    return "\n".join(line.decode().rstrip() for line in lines if line.strip())


def _docstrings(nodes: list[ast.AST]) -> Iterator[ast.expr]:
    for node in nodes:
        body = getattr(node, "body", None)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and body:
            first = body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                yield first.value
