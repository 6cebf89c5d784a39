"""Colours of the cells of a complex, by pattern, volume or Jacobian, on paper and in a browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from regions.plotting.colors import ColorScale, pattern_colors, value_colors
from regions.plotting.decision import output_maps

if TYPE_CHECKING:
    from regions.complexes import CellComplex

Floats = NDArray[np.float64]

_SIZES = ("length", "area", "volume")
_COLOR_MAPS = {"volume": "viridis", "jacobian": "magma"}


def cell_colors(
    complex: CellComplex, color: str, cmap: str | None = None
) -> tuple[Floats, ColorScale | None, str]:
    """Return RGB of every cell, and of "volume" and "jacobian" the scale and its name.

    Cells are white where the colour is not theirs ("layer", "class").

    Examples
    --------
    >>> from regions import Box, Network, enumerate_cells
    >>> line = Network.from_arrays([[[1.0]], [[1.0]]], [[0.0], [0.0]])
    >>> fill, scale, label = cell_colors(enumerate_cells(line, Box([-1.0], [3.0])), "volume")
    >>> fill.shape, label
    ((2, 3), 'length of the cell')
    """
    if color == "pattern":
        return pattern_colors(complex), None, ""
    if color not in _COLOR_MAPS:
        return np.ones((complex.n_cells, 3)), None, ""
    values = complex.volumes if color == "volume" else jacobian_norms(complex)
    fill, scale = value_colors(values, cmap or _COLOR_MAPS[color], complex.volumes)
    if color == "volume":
        return fill, scale, f"{_SIZES[complex.dimension - 1]} of the cell"
    return fill, scale, "norm of the Jacobian (output per input unit)"


def jacobian_norms(complex: CellComplex) -> Floats:
    """Frobenius norm of the outputs' intrinsic Jacobian on each cell.

    Parameters
    ----------
    complex : CellComplex with n cells

    Returns
    -------
    (n,) float64, in output units per input unit

    Examples
    --------
    >>> from regions import Box, Network, enumerate_cells
    >>> line = Network.from_arrays([[[1.0]], [[2.0]]], [[0.0], [0.0]])
    >>> sorted(jacobian_norms(enumerate_cells(line, Box([-1.0], [3.0]))))
    [np.float64(0.0), np.float64(2.0)]
    """
    norms = np.empty(complex.n_cells)
    for start, stop, A, _ in output_maps(complex):
        norms[start:stop] = np.sqrt(np.einsum("kod,kod->k", A, A))
    return norms
