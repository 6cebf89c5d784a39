"""What a picture shows of a complex: all of it, or of an unbounded domain the part where the cells meet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from regions.enumeration import enumerate_cells

if TYPE_CHECKING:
    from regions.complexes import CellComplex

_SHOWN = 0.9  # of the cells' vertices
_MARGIN = 1.25
_MOST_CELLS = 4096  # whose vertices are looked at


def in_view(complex: CellComplex) -> tuple[CellComplex, str]:
    """Return the cells to draw, and a note if they are clipped.

    Of an unbounded domain these are the cells in a box that holds nine tenths of all vertices, listed anew.

    Examples
    --------
    >>> from regions import Network, WholeSpace
    >>> cross = Network.from_arrays([np.eye(2), [[1.0, 1.0]]], [np.zeros(2), np.zeros(1)])
    >>> in_view(enumerate_cells(cross, WholeSpace(2)))[1]
    'clipped to 1 around 0; cells go on beyond'
    """
    if complex.clipped is None:
        return complex, ""
    chosen = range(min(complex.n_cells, _MOST_CELLS))
    points = np.concatenate([np.zeros((1, complex.dimension)), *(complex.vertices(i) for i in chosen)])
    sizes = np.abs(points).max(axis=1)
    width = _MARGIN * float(np.quantile(sizes[sizes > 0.0], _SHOWN)) if sizes.any() else 1.0
    part = complex.domain.clipped(width)  # type: ignore[attr-defined]
    shown = enumerate_cells(complex.network, part, arithmetic=complex.arithmetic)
    return shown, f"clipped to {width:.3g} around 0; cells go on beyond"
