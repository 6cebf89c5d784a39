"""Vertices, simplices and halfspaces of cells, which complexes do not store: what is asked, and of whom.

A complex knows no engine. Whoever can find a cell again offers `CellGeometry`; the modules named here are
imported when the first vertex is asked for, so that reading and checking a complex loads no engine.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from regions.complexes.cell_complex import CellComplex

_PROVIDER = "regions.enumeration.vertices.cell_geometry"
_HALFSPACES = "regions.analysis.one_cell"


class CellGeometry(Protocol):
    """What finds a listed cell again, by its packed pattern."""

    def vertices(self, packed: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Return the vertices of a cell, (nv, d) intrinsic."""
        ...

    def facet_simplices(
        self,
        patterns: NDArray[np.uint8],
        rows: NDArray[np.int64],
        cells: NDArray[np.int64],
        places: NDArray[np.int32],
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Cut facets, given by cell and place in it, into simplices (K, d, d), with the row of each."""
        ...


def geometry_of(cells: CellComplex) -> CellGeometry:
    """Return the geometry of the cells of a complex, from the engine that offers it."""
    geometry: CellGeometry = import_module(_PROVIDER).geometry_of_complex(cells)
    return geometry


def halfspaces_of(cells: CellComplex, i: int) -> Any:
    """Return the halfspaces of cell i, from the analysis of single cells."""
    return import_module(_HALFSPACES).cell_halfspaces(cells, i)
