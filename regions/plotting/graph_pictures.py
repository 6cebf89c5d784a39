"""Picture of the adjacency graph, each cell at its centroid.

Takes the edges straight from the facet table; graphs for other programs come from `regions.graph`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from regions.analysis.arguments import check_complex
from regions.errors import InvalidInputError
from regions.plotting.page_parts import is_dark, layer_inks, layer_legend, name_axes, new_axes
from regions.plotting.paths import draw_segments, line_style
from regions.plotting.shown_part import in_view

if TYPE_CHECKING:
    from regions.complexes import CellComplex

_RASTER_FROM = 20_000


def plot_graph(complex: CellComplex, *, ax: Axes | None = None, axes: tuple[int, int] = (0, 1)) -> Axes:
    """Draw the adjacency graph: cells as dots at their centroids, facets as lines.

    Lines have the colour of the layer of the facet's unit; dots grow with the cell's volume.

    Parameters
    ----------
    complex : CellComplex of any dimension d
    ax : matplotlib Axes, optional
        Default: a new figure.
    axes : the two intrinsic coordinates to draw if d > 2; for d = 1 the cells are drawn in a
        row, the layer upwards

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InvalidInputError
        If the complex holds no cells or `axes` are not two different coordinates of it.

    Examples
    --------
    >>> from regions import Box, Network, enumerate_cells
    >>> cross = Network.from_arrays([np.eye(2), [[1.0, 1.0]]], [np.zeros(2), np.zeros(1)])
    >>> drawn = plot_graph(enumerate_cells(cross, Box([-1.0, -1.0], [1.0, 1.0])))
    >>> len(drawn.collections)  # one of lines for the only layer, one of dots
    2
    """
    check_complex(complex)
    if complex.n_cells == 0:
        raise InvalidInputError("the complex holds no cells, so there is nothing to draw")
    complex, note = in_view(complex)
    places = _places(complex, axes)
    if ax is None:
        ax = new_axes(complex)
    facets = complex.facets
    inner = facets.interior
    lines = np.stack([places[facets.cell_a[inner]], places[facets.cell_b[inner]]], axis=1)
    n_layers = max(len(complex.network.widths), 1)
    palette = layer_inks(ax, n_layers)
    width, alpha = line_style(complex.n_cells)
    raster = complex.n_cells > _RASTER_FROM
    style = {"linewidth": max(1.4 * width, 0.1), "alpha": max(alpha, 0.4), "zorder": 2}
    for k in range(n_layers):
        draw_segments(ax, lines[facets.layer[inner] == k], palette[k], raster, **style)
    known = complex.volume_kind != "none"
    share = np.sqrt(complex.volumes / complex.volumes.max()) if known else np.full(complex.n_cells, 0.3)
    size = float(np.clip(900.0 / np.sqrt(complex.n_cells), 0.5, 60.0))
    ink = "#DDDDDD" if is_dark(ax) else "#222222"
    sizes = size * (0.05 + 0.95 * share)
    x, y = places.T
    ax.scatter(x, y, s=sizes, color=ink, linewidths=0, alpha=0.85, zorder=3, rasterized=raster)
    _frame(ax, complex, axes)
    if n_layers > 1:
        layer_legend(ax, n_layers, "facet of")
    if note:
        ax.set_title(note, fontsize=8)
    return ax


def _places(complex: CellComplex, axes: tuple[int, int]) -> NDArray[np.float64]:
    """Where each cell is drawn, (n, 2)."""
    if complex.dimension == 1:
        return np.column_stack([complex.centroids[:, 0], np.zeros(complex.n_cells)])
    chosen = sorted({*axes} & {*range(complex.dimension)})
    if len(axes) != 2 or len(chosen) != 2:
        raise InvalidInputError(
            f"axes are {axes}; name two different coordinates of 0 .. {complex.dimension - 1}"
        )
    return np.asarray(complex.centroids[:, list(axes)])


def _frame(ax: Axes, complex: CellComplex, axes: tuple[int, int]) -> None:
    """Limits and labels of the domain."""
    low, high = complex.domain.vertices.min(axis=0), complex.domain.vertices.max(axis=0)
    ax.set_xlim(low[axes[0]], high[axes[0]])
    if complex.dimension == 1:
        ax.set_yticks([])
    else:
        ax.set_ylim(low[axes[1]], high[axes[1]])
    if complex.dimension == 2:
        ax.set_aspect("equal")
    name_axes(ax, complex, axes if complex.dimension > 1 else (0,))
