"""Cells in folders on the command line: how they are named, opened and summed up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from regions.cli.options import read_complex
from regions.cli.session import leave_if
from regions.errors import InvalidInputError

if TYPE_CHECKING:
    from regions.complexes import CellComplex, StoredComplex

__all__ = [
    "CellsPath",
    "FileOption",
    "FolderOption",
    "check_place",
    "interior_facets",
    "joined_later",
    "open_cells",
    "unbounded_cells",
]

FileOption = Annotated[Path | None, typer.Option("--output", "-o", help="File for the cells, OUT.regions.")]
FolderOption = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", help="Or a new folder for them, as Parquet files: memory does not grow with the cells."
    ),
]
CellsPath = Annotated[
    Path,
    typer.Argument(
        metavar="OUT.regions|DIR", help="Cells written by `regions enumerate -o` or `--folder`, or by a run."
    ),
]


def check_place(output: Path | None, folder: Path | None) -> None:
    """Raise InvalidInputError unless cells have one place to go to, where a file can be written."""
    if (output is None) == (folder is None):
        raise InvalidInputError(
            "say where the cells go: --output FILE, or --folder DIR if they may be too many for memory"
        )
    if output is not None:
        from regions.reports import check_writable

        check_writable(output)


def open_cells(path: Path) -> CellComplex | StoredComplex:
    """Return the cells of a file, in memory, or those of a folder, which stay there."""
    if path.is_dir():
        from regions.complexes import CellComplex

        return CellComplex.open(path)
    return read_complex(path)


@contextmanager
def joined_later(folder: Path | None) -> Iterator[None]:
    """Say how to go on, where Ctrl-C ends the joining of facets in a folder."""
    try:
        yield
    except KeyboardInterrupt:
        from regions.complexes.listing_files import is_searched

        if folder is not None and is_searched(folder):
            leave_if(True, f"the cells are found and kept; `regions join {folder}` goes on")
        raise


def interior_facets(cells: Any) -> int:
    """Return how many facets are between two cells."""
    stored = getattr(cells, "n_interior_facets", None)
    return int(cells.facets.interior.sum()) if stored is None else int(stored)


def unbounded_cells(cells: Any) -> int:
    """Return how many cells have no end."""
    stored = getattr(cells, "n_unbounded", None)
    return int((~cells.bounded).sum()) if stored is None else int(stored)
