"""Pictures of cell complexes of one and two dimensions, for papers and notebooks.

Draws what the complex holds; nothing is sampled, so every line in a picture is where the
facet is.  Colours come from `cell_colors`, the exact class regions from `decision`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack, get_args

import matplotlib.pyplot as plt
import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from numpy.typing import ArrayLike, NDArray

from regions.analysis.arguments import check_complex
from regions.errors import InvalidInputError, check_choice
from regions.plotting.cell_colors import CellColor, Shades, cell_colors
from regions.plotting.colors import DARK, class_fills, luminance
from regions.plotting.decision import ClassPieces, class_pieces
from regions.plotting.line_pictures import draw_line
from regions.plotting.marks import Marks, intrinsic_points, mark_points
from regions.plotting.page_parts import (
    colour_bar,
    frame_plane,
    layer_inks,
    layer_legend,
    legend_beside,
    new_axes,
)
from regions.plotting.paths import draw_segments, fill_polygons, line_style
from regions.plotting.pixels import draw_pixels
from regions.plotting.rough_maps import CROWDED
from regions.plotting.shown_part import in_view
from regions.plotting.space_pictures import plot_space

if TYPE_CHECKING:
    from regions.complexes import CellComplex

Floats = NDArray[np.float64]

_LEAST_NAMED = 0.01  # of the picture: classes whose number has room
_ROOM = 2.0


def plot_cells(
    complex: CellComplex,
    color: CellColor = "pattern",
    *,
    ax: Axes | None = None,
    points: ArrayLike | None = None,
    decision_boundary: bool = True,
    cmap: str | None = None,
    **marks: Unpack[Marks],
) -> Axes:
    """Draw the cells of a complex: polygons in dimension 2, the outputs over strips in 1, solids in 3.

    Parameters
    ----------
    complex : CellComplex of dimension 1, 2 or 3
        Of three dimensions `plot_space` draws it, which has more to choose; points are not marked there.
        Of an unbounded domain the part where cells meet is drawn, under a note that says so. Of more than
        20,000 cells the fill is an image, as sharp as it can be printed; lines of decisions stay lines.
    color : {"pattern", "volume", "jacobian", "layer", "class"}
        ``pattern``: similar activation patterns get similar colours.  ``volume``: area, and
        ``jacobian``: Frobenius norm of the outputs' intrinsic Jacobian, both on a
        logarithmic scale whose limits are those of cells that can be seen; the bar says how many cells are
        beyond.  ``layer``: facets coloured by the layer of their unit.  ``class``: the largest
        output, whose number stands on it; with one output, its sign.
    ax : matplotlib Axes, optional
        Default: a new figure.
    points : (k, input_dim), optional
        Points of the input space to mark, projected onto a slice.
    decision_boundary : bool
        Draw where the largest output changes, or the sign of the only one; not sampled.
    cmap : name of a matplotlib colour map for ``volume`` and ``jacobian``, optional
    point_labels : k strings, optional
    point_classes : (k,) int, optional, classes whose colours the points have
    point_images : k grey images, optional, dark where large, drawn beside the points
    point_size : float, diameter of the points (default 5.5)

    Returns
    -------
    matplotlib Axes, with coordinates in input units along the slice or box

    Raises
    ------
    InvalidInputError
        If the complex has more than three dimensions or no cells, `color` or `cmap` is
        unknown, or `points` do not fit the network's input.

    Examples
    --------
    >>> from regions import Box, Network, enumerate_cells
    >>> cross = Network.from_arrays([np.eye(2), [[1.0, 1.0]]], [np.zeros(2), np.zeros(1)])
    >>> axes = plot_cells(enumerate_cells(cross, Box([-1.0, -1.0], [1.0, 1.0])), "volume")
    >>> axes.get_xlabel()
    '$x_0$'
    """
    check_complex(complex)
    if complex.dimension == 3:
        if points is not None:
            raise InvalidInputError("points in three dimensions would be hidden: take interactive_figure")
        return plot_space(complex, color, ax=ax, cmap=cmap)
    check_cells(complex, color, cmap, marks)
    complex, note = in_view(complex)
    marked = None if points is None else intrinsic_points(complex, points)
    if ax is None:
        ax = new_axes(complex)
    draw_cells(ax, complex, color, cell_colors(complex, color, cmap), decision_boundary)
    if marked is not None:
        given = {name.removeprefix("point_"): value for name, value in marks.items()}
        mark_points(ax, marked, **given)  # type: ignore[arg-type]
    if note:
        ax.set_title(note, fontsize=8)
    return ax


def check_cells(complex: CellComplex, color: str, cmap: str | None, marks: Marks) -> None:
    """Raise InvalidInputError unless cells can be drawn so."""
    check_complex(complex)
    if complex.dimension > 2:
        raise InvalidInputError(
            f"cells of dimension {complex.dimension} are not drawn here: enumerate a Slice (d = 2) or a "
            "Segment (d = 1) of this domain, or use plot_graph for the adjacency graph"
        )
    check_choice("color", color, get_args(CellColor))
    if cmap is not None and cmap not in plt.colormaps():
        raise InvalidInputError(f"matplotlib has no colour map {cmap!r}; try viridis or magma")
    unknown = sorted(marks.keys() - Marks.__annotations__.keys())
    if unknown:
        raise InvalidInputError(
            f"plot_cells does not know {unknown[0]}; of points it takes {', '.join(Marks.__annotations__)}"
        )
    if complex.n_cells == 0:
        raise InvalidInputError("the complex holds no cells, so there is nothing to draw")


def draw_cells(ax: Axes, complex: CellComplex, color: str, shades: Shades, decision_boundary: bool) -> None:
    """Draw everything of a picture of one or two dimensions but the marked points, in colours that are known.

    Examples
    --------
    >>> from regions import Box, Network, enumerate_cells
    >>> line = Network.from_arrays([[[1.0]], [[1.0]]], [[0.0], [0.0]])
    >>> cells = enumerate_cells(line, Box([-1.0], [3.0]))
    >>> _, ax = plt.subplots()
    >>> draw_cells(ax, cells, "volume", cell_colors(cells, "volume"), False)
    >>> len(ax.lines)
    1
    """
    if complex.dimension == 1:
        draw_line(ax, complex, color, shades, decision_boundary)
        return
    fill, scale, label = shades
    crowded = complex.n_cells > CROWDED
    needed = color == "class" or decision_boundary
    pieces = class_pieces(complex) if needed else None
    frame_plane(ax, complex)
    if color == "class" and pieces is not None:
        _fill_classes(ax, complex, pieces)
    elif color != "layer":
        points, offsets = complex.polygons()
        _fill(ax, complex, points, offsets, fill)
        if not crowded:
            _draw_facets(ax, complex, fill)
        if scale is not None:
            colour_bar(ax, scale, label)
    if color == "layer":
        _draw_layers(ax, complex)
    if decision_boundary and pieces is not None:
        # White under black, so that the line stands out from cells of any colour.
        for ink, width, level in (("white", 2.6, 4), ("black", 1.3, 5)):
            draw_segments(ax, pieces.boundary, ink, False, linewidth=width, zorder=level, capstyle="round")


def _fill(ax: Axes, complex: CellComplex, points: Floats, offsets: NDArray[np.int64], fill: Floats) -> None:
    """Fill polygons, with vector paths or, where there are too many, as an image with their outlines."""
    if complex.n_cells > CROWDED:
        draw_pixels(ax, (points, offsets), fill, complex.domain.vertices)
    else:
        fill_polygons(ax, points, offsets, fill, False)


def _fill_classes(ax: Axes, complex: CellComplex, pieces: ClassPieces) -> None:
    """Fill by class, and write its number on each class."""
    base = class_fills(max(complex.network.output_dim, 2))
    fill = base[pieces.label]
    _fill(ax, complex, pieces.points, pieces.offsets, fill)
    if complex.n_cells <= CROWDED:
        _draw_facets(ax, complex, np.ones((complex.n_cells, 3)))
    classes = np.unique(pieces.label)
    handles = [Patch(fc=tuple(base[k]), ec="black", lw=0.4) for k in classes]
    if complex.network.output_dim == 1:
        legend_beside(ax, handles, ["≤ 0" if k == 0 else "> 0" for k in classes], "output")
        return
    legend_beside(ax, handles, [str(k) for k in classes], "class")
    areas = _areas(pieces)
    middles = np.add.reduceat(pieces.points, pieces.offsets[:-1]) / np.diff(pieces.offsets)[:, None]
    for k in classes:
        own = np.flatnonzero(pieces.label == k)
        weights = areas[own]
        if weights.sum() > _LEAST_NAMED * areas.sum():
            # on a piece near the middle of all of them, large ones first
            away = np.linalg.norm(middles[own] - np.average(middles[own], axis=0, weights=weights), axis=1)
            x, y = middles[own[(away - _ROOM * np.sqrt(weights)).argmin()]].tolist()
            name = ax.text(x, y, str(k), color="black", fontsize=9, ha="center", va="center", zorder=6)
            name.set_path_effects([patheffects.withStroke(linewidth=2.0, foreground="white")])


def _areas(pieces: ClassPieces) -> Floats:
    """Areas of the pieces."""
    following = np.arange(1, len(pieces.points) + 1)
    following[pieces.offsets[1:] - 1] = pieces.offsets[:-1]
    x, y = pieces.points.T
    return np.asarray(0.5 * np.add.reduceat(x * y[following] - x[following] * y, pieces.offsets[:-1]))


def _draw_facets(ax: Axes, complex: CellComplex, fill: Floats) -> None:
    """Interior facets as hairlines: dark, but light between dark cells."""
    segments, facet = complex.facet_simplices()
    width, alpha = line_style(complex.n_cells)
    a, b = complex.facets.cell_a[facet], complex.facets.cell_b[facet]
    light = luminance(fill)
    dark = 0.5 * (light[a] + light[b]) < DARK
    style = {"linewidth": width, "zorder": 2}
    draw_segments(ax, segments[~dark], "black", False, alpha=0.75 * alpha, **style)
    if dark.any():
        draw_segments(ax, segments[dark], "white", False, alpha=0.6 * alpha, **style)


def _draw_layers(ax: Axes, complex: CellComplex) -> None:
    """Interior facets in the colours of their layers, with the early layers on top."""
    segments, facet = complex.facet_simplices()
    width, alpha = line_style(complex.n_cells)
    layer = complex.facets.layer[facet]
    n_layers = len(complex.network.widths)
    palette = layer_inks(ax, n_layers)
    raster = complex.n_cells > CROWDED
    for k in reversed(range(n_layers)):
        # A unit of an early layer bends everything behind it: draw it last and widest.
        weight = max(min(2.2 * width, 1.1) * (1.0 - 0.45 * k / max(n_layers - 1, 1)), 0.1)
        level = 3.0 - k / (n_layers + 1)
        style = {"linewidth": weight, "alpha": max(alpha, 0.6), "zorder": level}
        draw_segments(ax, segments[layer == k], palette[k], raster, **style)
    layer_legend(ax, n_layers, "bends of")
