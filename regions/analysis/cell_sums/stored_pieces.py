"""Pieces and masses of the cells of a folder, in blocks, so that memory does not grow with their number.

Beyond polygons a cell's pieces stand on its facets, which come in the order of their first cells. So the
masses of all cells are added up in a file of 24 bytes a cell, which is gone in the end.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from regions.analysis.cell_sums.simplex_pieces import (
    CellsFound,
    cell_masses,
    cell_pieces,
    check_filled,
    masses_of_part,
)
from regions.analysis.unbounded_parts import where_mass_is
from regions.complexes import CellComplex, StoredComplex
from regions.density import Density, UniformDensity
from regions.density.integrals.simplex_integrals import simplex_volumes

__all__ = ["Pieces", "masses_in_blocks", "pieces_in_blocks"]

FloatArray = NDArray[np.float64]
Masses = tuple[CellComplex, FloatArray, FloatArray]

_EPS = float(np.finfo(np.float64).eps)


class Pieces(NamedTuple):
    """Some simplices (K, d+1, d) of the cells of a part; `owner` (K,) is the cell of each in it.

    `numbers` are those of the part's cells in the whole, `fraction` is how much is done.
    """

    numbers: NDArray[np.int64]
    part: CellComplex
    simplices: FloatArray
    owner: NDArray[np.int64]
    fraction: float


def pieces_in_blocks(cells: StoredComplex) -> Iterator[Pieces]:
    """Cut the cells of a folder, on a bounded domain, into simplices; those of one cell come scattered."""
    first = 0
    if _in_rows(cells):
        for part in cells.cell_blocks():
            numbers = np.arange(first, first + part.n_cells)
            for simplices, owner, fraction in cell_pieces(part):
                done = (first + fraction * part.n_cells) / cells.n_cells
                yield Pieces(numbers, part, simplices, owner, done)
            first += part.n_cells
        return
    for numbers, part in cells.facets_with_cells():
        for simplices, owner, fraction in cell_pieces(part):
            done = (first + fraction * len(part.facets)) / cells.n_facets
            yield Pieces(numbers, part, simplices, owner, done)
        first += len(part.facets)


def masses_in_blocks(
    cells: StoredComplex, density: Density | None, progress: Callable[[float], None] | None = None
) -> Iterator[Masses]:
    """Read the cells of a folder in blocks, with their masses and the errors of these, as `cell_masses` does.

    Parameters
    ----------
    cells, density : which fit, by `check_complete`
    progress : called with the fraction of the masses that are known, where they come before the first block

    Raises
    ------
    BudgetExceededError : if the cubature does not reach the density's tolerance
    CertificateError : if the simplices do not fill the cells
    """
    shown = where_mass_is(cells, density)
    if isinstance(shown, CellComplex):
        found = CellsFound(shown, *cell_masses(shown, density))
        for part in cells.cell_blocks():
            yield part, *found.of(part)
        found.check()
    elif density is None or isinstance(density, UniformDensity) or _in_rows(cells):
        for part in cells.cell_blocks():
            yield part, *masses_of_part(part, density)
    else:
        yield from _scattered(cells, density, progress)


def _in_rows(cells: StoredComplex) -> bool:
    """Tell whether the pieces of a cell are made of its own row: those of intervals and rings."""
    return cells.dimension == 1 or cells.engine == "planar"


def _scattered(
    cells: StoredComplex, density: Density, progress: Callable[[float], None] | None
) -> Iterator[Masses]:
    """Add up the masses of cells whose pieces come scattered, in a file."""
    if cells.n_cells == 0:
        return
    with tempfile.TemporaryFile() as file:
        file.truncate(24 * cells.n_cells)

        def totals() -> NDArray[np.float64]:
            # mapped anew each time: pages that were touched count as this process's memory until then
            return np.memmap(file, np.float64, "r+", shape=(3, cells.n_cells))

        for numbers, part, simplices, owner, fraction in pieces_in_blocks(cells):
            values, spread = density.integrate_simplices(simplices)
            own, place = np.unique(owner, return_inverse=True)
            columns = values, spread, simplex_volumes(simplices)[0]
            found = [np.bincount(place, column, len(own)) for column in columns]
            totals()[:, numbers[own]] += np.stack(found)
            del part
            if progress is not None:
                progress(fraction)
        first, gap = 0, 0.0
        for part in cells.cell_blocks():
            masses, errors, filled = totals()[:, first : first + part.n_cells]
            gap += float(np.abs(filled - part.volumes).sum())
            yield part, np.array(masses), np.array(errors + 8.0 * _EPS * masses)
            first += part.n_cells
        check_filled(gap, cells)
