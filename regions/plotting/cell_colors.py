"""Colours of the cells of a complex, by pattern, volume or Jacobian, on paper and in a browser."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from regions.plotting.colors import ColorScale, pattern_colors, value_colors
from regions.plotting.output_maps import CHUNK_CELLS, maps_of_patterns, output_maps
from regions.plotting.rough_maps import CROWDED, rough_maps

if TYPE_CHECKING:
    from regions.complexes import CellComplex

Floats = NDArray[np.float64]

CellColor: TypeAlias = Literal["pattern", "volume", "jacobian", "layer", "class"]

_SMALL = 1e-4  # of the largest norm
_SIZES = ("length", "area", "volume")
_COLOR_MAPS = {"volume": "viridis", "jacobian": "magma"}


class Shades(NamedTuple):
    """Colours of all cells of a complex.

    Attributes
    ----------
    fill : (n, 3) float64 in [0, 1]
    scale : ColorScale of "volume" and "jacobian", else None
    label : str, what the scale measures
    """

    fill: Floats
    scale: ColorScale | None
    label: str


def cell_colors(complex: CellComplex, color: str, cmap: str | None = None) -> Shades:
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
    return common_colors([complex], color, cmap)[0]


def common_colors(complexes: Sequence[CellComplex], color: str, cmap: str | None = None) -> list[Shades]:
    """Return the colours of the cells of several complexes on one scale, as `cell_colors` has them of one.

    Patterns have common colours where the networks have as many units.

    Examples
    --------
    >>> from regions import Box, Network, enumerate_cells
    >>> line = Network.from_arrays([[[1.0]], [[1.0]]], [[0.0], [0.0]])
    >>> two = [enumerate_cells(line, Box([-1.0], [end])) for end in (1.0, 3.0)]
    >>> first, second = common_colors(two, "volume")
    >>> first.scale is second.scale, first.fill[0].tolist() in second.fill.tolist()
    (True, True)
    """
    ends = np.cumsum([complex.n_cells for complex in complexes])[:-1]
    scale, label = None, ""
    if color == "pattern":
        units = [complex.network.n_units for complex in complexes]
        if len(set(units)) == 1:
            fill = pattern_colors(np.concatenate([complex.patterns for complex in complexes]), units[0])
        else:
            fill = np.concatenate(
                [pattern_colors(complex.patterns, complex.network.n_units) for complex in complexes]
            )
    elif color in _COLOR_MAPS:
        sizes = np.concatenate([complex.volumes for complex in complexes])
        values = sizes if color == "volume" else np.concatenate([*map(_norms, complexes)])
        fill, scale = value_colors(values, cmap or _COLOR_MAPS[color], sizes)
        size = _SIZES[complexes[0].dimension - 1]
        label = f"{size} of the cell" if color == "volume" else "norm of the Jacobian (output per input unit)"
    else:
        fill = np.ones((sum(complex.n_cells for complex in complexes), 3))
    return [Shades(part, scale, label) for part in np.split(fill, ends)]


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
    return _norms_by_weights(complex, single=False)


def _norms(complex: CellComplex) -> Floats:
    """Return what `jacobian_norms` does, of crowded complexes with less work, right to 1e-3."""
    if complex.n_cells <= CROWDED or complex.dimension != 2:
        return _norms_by_weights(complex, single=complex.n_cells > CROWDED)
    maps = rough_maps(complex)
    if maps is None:
        return _norms_by_weights(complex, single=True)
    norms = np.linalg.norm(maps.A.reshape(len(maps.A), -1), axis=1)
    # small numbers are what is left of large ones, and a colour shows them on a logarithmic scale
    open_ = np.flatnonzero(maps.doubtful | (norms < _SMALL * norms.max()))
    for start in range(0, len(open_), CHUNK_CELLS):
        cells = open_[start : start + CHUNK_CELLS]
        A, _ = maps_of_patterns(complex, complex.patterns[cells])
        norms[cells] = np.sqrt(np.einsum("kod,kod->k", A, A))
    return norms


def _norms_by_weights(complex: CellComplex, single: bool) -> Floats:
    """Return norms of maps that are products of weights."""
    norms = np.empty(complex.n_cells)
    for start, stop, A, _ in output_maps(complex, single=single):
        norms[start:stop] = np.sqrt(np.einsum("kod,kod->k", A, A))
    return norms
