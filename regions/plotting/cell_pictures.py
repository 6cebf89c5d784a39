"""Pictures of cell complexes of one and two dimensions, for papers and notebooks.

Draws what the complex holds; nothing is sampled, so every line in a picture is where the
facet is.  Colours come from `colors`, the exact class regions from `decision`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.lines import Line2D
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from matplotlib.patches import Patch
from numpy.typing import ArrayLike, NDArray

from regions.analysis.arguments import check_complex
from regions.density.densities import as_floats
from regions.errors import InvalidInputError, check_choice
from regions.plotting.colors import (
    class_palette,
    layer_palette,
    pattern_colors,
    pattern_hash,
    tint,
    value_colors,
)
from regions.plotting.decision import ClassPieces, class_pieces, output_maps, scores_of
from regions.plotting.paths import draw_segments, fill_polygons
from regions.plotting.shown_part import in_view

if TYPE_CHECKING:
    from regions.complexes import CellComplex

Floats = NDArray[np.float64]

CellColor: TypeAlias = Literal["pattern", "volume", "jacobian", "layer", "class"]

_RASTER_FROM = 20_000
_LABELS = {"volume": ("length", "area"), "jacobian": "norm of the Jacobian (output per input unit)"}
_COLOR_MAPS = {"volume": "viridis", "jacobian": "magma"}
_MOST_OUTPUTS = 10


def plot_cells(
    complex: CellComplex,
    color: CellColor = "pattern",
    *,
    ax: Axes | None = None,
    points: ArrayLike | None = None,
    point_labels: Sequence[str] | None = None,
    decision_boundary: bool = True,
    cmap: str | None = None,
) -> Axes:
    """Draw the cells of a complex of dimension 2 (polygons) or 1 (the outputs over strips).

    Parameters
    ----------
    complex : CellComplex of dimension 1 or 2
        Of an unbounded domain the part where cells meet is drawn, under a note that says so.
    color : {"pattern", "volume", "jacobian", "layer", "class"}
        ``pattern``: similar activation patterns get similar colours.  ``volume``: area, and
        ``jacobian``: Frobenius norm of the outputs' intrinsic Jacobian, both on a
        logarithmic scale.  ``layer``: facets coloured by the layer of their unit.  ``class``:
        the largest output; with one output, its sign.
    ax : matplotlib Axes, optional
        Default: a new figure.
    points : (k, input_dim), optional
        Points of the input space to mark, projected onto a slice.
    point_labels : k strings, optional
    decision_boundary : bool
        Draw where the largest output changes, or the sign of the only one; not sampled.
    cmap : name of a matplotlib colour map for ``volume`` and ``jacobian``, optional

    Returns
    -------
    matplotlib Axes, with coordinates in input units along the slice or box

    Raises
    ------
    InvalidInputError
        If the complex has more than two dimensions or no cells, `color` or `cmap` is
        unknown, or `points` do not fit the network's input.

    Examples
    --------
    >>> from regions import Box, Network, enumerate_cells
    >>> cross = Network.from_arrays([np.eye(2), [[1.0, 1.0]]], [np.zeros(2), np.zeros(1)])
    >>> axes = plot_cells(enumerate_cells(cross, Box([-1.0, -1.0], [1.0, 1.0])), "volume")
    >>> axes.get_xlabel()
    '$x_0$'
    """
    _check(complex, color, cmap)
    complex, note = in_view(complex)
    marked = None if points is None else intrinsic_points(complex, points)
    if ax is None:
        size = (5.2, 4.4) if complex.dimension == 2 else (6.0, 3.6)
        _, ax = plt.subplots(figsize=size, layout="constrained")
    colormap = cmap or _COLOR_MAPS.get(color, "viridis")
    if complex.dimension == 1:
        _draw_line(ax, complex, color, colormap, decision_boundary)
    else:
        _draw_plane(ax, complex, color, colormap, decision_boundary)
    if marked is not None:
        mark_points(ax, marked, labels=point_labels)
    if note:
        ax.set_title(note, fontsize=8)
    return ax


def mark_points(
    ax: Axes,
    t: ArrayLike,
    *,
    labels: Sequence[str] | None = None,
    images: Sequence[ArrayLike] | None = None,
    image_inches: float = 0.38,
) -> None:
    """Mark points of a plot made by `plot_cells`, with labels or little pictures beside them.

    Parameters
    ----------
    ax : matplotlib Axes
    t : (k, d) intrinsic coordinates, d = 1 or 2
    labels : k strings, optional
    images : k grey images (h, w), dark where large, optional
    image_inches : width of an image on paper

    Raises
    ------
    InvalidInputError
        If there are not k labels or images.

    Examples
    --------
    >>> _, ax = plt.subplots()
    >>> mark_points(ax, [[0.0, 0.0]], labels=["origin"])
    >>> ax.texts[0].get_text()
    'origin'
    """
    where = np.atleast_2d(as_floats(t, "points"))
    for name, given in (("labels", labels), ("images", images)):
        if given is not None and len(given) != len(where):
            raise InvalidInputError(f"{len(given)} {name} for {len(where)} points; give one each")
    if where.shape[1] == 1:
        where = np.column_stack([where[:, 0], np.full(len(where), ax.get_ylim()[0])])
    ax.plot(
        where[:, 0], where[:, 1], "o", color="white", markersize=5.5, markeredgecolor="black",
        markeredgewidth=1.1, zorder=10, clip_on=False,
    )  # fmt: skip
    middle = np.array([np.mean(ax.get_xlim()), np.mean(ax.get_ylim())])
    for k, point in enumerate(where):
        if images is not None:
            _place_image(ax, point, np.asarray(images[k]), middle, image_inches)
            offset = (0.0, -10.0 if point[1] > middle[1] else 10.0)
        else:
            # Towards the middle, so that nothing hangs over the frame.
            offset = (9.0 if point[0] <= middle[0] else -9.0, 6.0 if point[1] <= middle[1] else -6.0)
        if labels is not None:
            side = "center" if images is not None else "left" if offset[0] > 0 else "right"
            text = ax.annotate(labels[k], point, xytext=offset, textcoords="offset points", fontsize=8)
            text.set(ha=side, va="center", zorder=12)
            text.set_bbox({"boxstyle": "round,pad=0.12", "fc": "white", "ec": "none", "alpha": 0.75})


def _place_image(ax: Axes, point: Floats, image: Floats, middle: Floats, inches: float) -> None:
    """A framed picture beside a point, away from the middle where the lines are busiest."""
    half = 36.0 * inches + 8.0
    up = half if point[1] > middle[1] else -half
    box = OffsetImage(image, zoom=72.0 * inches / image.shape[1], cmap="gray_r", interpolation="nearest")
    frame = AnnotationBbox(
        box, (point[0], point[1]), xybox=(0.0, up), boxcoords="offset points", pad=0.1,
        bboxprops={"edgecolor": "black", "linewidth": 0.7}, zorder=11,
    )  # fmt: skip
    ax.add_artist(frame)


def _check(complex: CellComplex, color: str, cmap: str | None) -> None:
    check_complex(complex)
    if complex.dimension > 2:
        raise InvalidInputError(
            f"cells of dimension {complex.dimension} cannot be drawn on paper: enumerate a Slice "
            "(d = 2) or a Segment (d = 1) of this domain, or use plot_graph for the adjacency graph"
        )
    check_choice("color", color, get_args(CellColor))
    if cmap is not None and cmap not in plt.colormaps():
        raise InvalidInputError(f"matplotlib has no colour map {cmap!r}; try viridis or magma")
    if complex.n_cells == 0:
        raise InvalidInputError("the complex holds no cells, so there is nothing to draw")


def intrinsic_points(complex: CellComplex, points: ArrayLike) -> Floats:
    """Points of the input space in intrinsic coordinates, checked."""
    given = np.atleast_2d(as_floats(points, "points"))
    if given.ndim != 2 or given.shape[1] != complex.network.input_dim:
        raise InvalidInputError(
            f"points have shape {given.shape}; give (k, {complex.network.input_dim}), in input coordinates"
        )
    return np.asarray(complex.domain.to_intrinsic(given))


def line_style(n: int) -> tuple[float, float]:
    """Width (points) and opacity of facets so that n cells on one page stay readable.

    Examples
    --------
    >>> line_style(10), line_style(10**6)
    ((0.7, 0.9), (0.08, 0.2))
    """
    crowd = np.sqrt(max(n, 1))
    width, alpha = float(np.clip(14.0 / crowd, 0.08, 0.7)), float(np.clip(34.0 / crowd, 0.2, 0.9))
    return round(width, 3), round(alpha, 3)


def _draw_plane(ax: Axes, complex: CellComplex, color: CellColor, cmap: str, decision_boundary: bool) -> None:
    """Everything of a two-dimensional picture but the marked points."""
    pieces = class_pieces(complex) if color == "class" or decision_boundary else None
    raster = complex.n_cells > _RASTER_FROM
    low, high = complex.domain.vertices.min(axis=0), complex.domain.vertices.max(axis=0)
    ax.set_xlim(low[0], high[0])
    ax.set_ylim(low[1], high[1])
    ax.set_aspect("equal")
    name_axes(ax, complex, [0, 1])
    if color == "class":
        _fill_classes(ax, complex, class_pieces(complex) if pieces is None else pieces, raster)
    elif color != "layer":
        points, offsets = complex.polygons()
        fill_polygons(ax, points, offsets, _cell_colors(ax, complex, color, cmap), raster)
    _draw_facets(ax, complex, color, raster)
    if decision_boundary and pieces is not None:
        # White under black, so that the line stands out from cells of any colour.
        for ink, width, level in (("white", 2.6, 4), ("black", 1.3, 5)):
            draw_segments(ax, pieces.boundary, ink, False, linewidth=width, zorder=level, capstyle="round")


def _fill_classes(ax: Axes, complex: CellComplex, pieces: ClassPieces, raster: bool) -> None:
    """Fill by class, each cell in its own shade so that cells of one class stay visible."""
    base = class_palette(max(complex.network.output_dim, 2))
    shade = 0.30 + 0.32 * pattern_hash(np.ascontiguousarray(complex.patterns))
    fill_polygons(ax, pieces.points, pieces.offsets, tint(base[pieces.label], shade[pieces.cell]), raster)
    _class_legend(ax, complex, np.unique(pieces.label), base)


def _cell_colors(ax: Axes, complex: CellComplex, color: CellColor, cmap: str) -> Floats:
    """RGB of every cell, and the colour bar where the colour is a number."""
    if color == "pattern":
        return pattern_colors(complex)
    values = complex.volumes if color == "volume" else jacobian_norms(complex)
    fill, scale = value_colors(values, cmap)
    name = _LABELS[color]
    label = name if isinstance(name, str) else f"{name[complex.dimension - 1]} of the cell"
    bar = ax.figure.colorbar(ScalarMappable(scale, cmap), ax=ax, label=label, fraction=0.046, pad=0.03)
    bar.ax.tick_params(labelsize=8)
    return fill


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


def _draw_facets(ax: Axes, complex: CellComplex, color: CellColor, raster: bool) -> None:
    """Interior facets: dark hairlines, or coloured by layer with the early layers on top."""
    segments, facet = complex.facet_simplices()
    width, alpha = line_style(complex.n_cells)
    if color != "layer":
        draw_segments(ax, segments, "black", raster, linewidth=width, alpha=0.75 * alpha, zorder=2)
        return
    layer = complex.facets.layer[facet]
    n_layers = len(complex.network.widths)
    palette = layer_palette(n_layers)
    for k in reversed(range(n_layers)):
        # A unit of an early layer bends everything behind it: draw it last and widest.
        weight = max(min(2.2 * width, 1.1) * (1.0 - 0.45 * k / max(n_layers - 1, 1)), 0.1)
        level = 3.0 - k / (n_layers + 1)
        style = {"linewidth": weight, "alpha": max(alpha, 0.6), "zorder": level}
        draw_segments(ax, segments[layer == k], palette[k], raster, **style)
    handles = [Line2D([], [], color=palette[k], lw=1.5) for k in range(n_layers)]
    legend_beside(ax, handles, [f"layer {k}" for k in range(n_layers)], "bends of")


def _class_legend(ax: Axes, complex: CellComplex, classes: NDArray[np.int64], base: Floats) -> None:
    handles = [Patch(fc=tint(base[k], 0.4), ec="black", lw=0.4) for k in classes]
    if complex.network.output_dim == 1:
        legend_beside(ax, handles, ["≤ 0" if k == 0 else "> 0" for k in classes], "output")
    else:
        legend_beside(ax, handles, [str(k) for k in classes], "class")


def legend_beside(ax: Axes, handles: Sequence[Artist], labels: Sequence[str], title: str) -> None:
    """A legend outside the frame, where it hides nothing.

    Examples
    --------
    >>> _, ax = plt.subplots()
    >>> legend_beside(ax, [Line2D([], [])], ["layer 0"], "facet of")
    >>> ax.get_legend().get_title().get_text()
    'facet of'
    """
    ax.legend(
        handles, labels, title=title, loc="upper left", bbox_to_anchor=(1.01, 1.0),
        borderaxespad=0.0, frameon=False, fontsize=8.5, title_fontsize=8.5, handlelength=1.4,
    )  # fmt: skip


def name_axes(ax: Axes, complex: CellComplex, axes: Sequence[int]) -> None:
    """Axis labels: inputs of a box, otherwise intrinsic coordinates, which have input units.

    Examples
    --------
    >>> from regions import Box, Network, enumerate_cells
    >>> line = Network.from_arrays([[[1.0]], [[1.0]]], [[0.0], [0.0]])
    >>> _, ax = plt.subplots()
    >>> name_axes(ax, enumerate_cells(line, Box([-1.0], [3.0])), [0])
    >>> ax.get_xlabel()
    '$x_0$'
    """
    domain = complex.domain
    if domain.is_identity:
        names = [f"$x_{k}$" for k in axes]
    elif domain.dimension == 1:
        names = ["position along the segment (input units)"]
    else:
        names = [f"slice coordinate $t_{k}$ (input units)" for k in axes]
    ax.set_xlabel(names[0])
    if len(names) > 1:
        ax.set_ylabel(names[1])
    ax.tick_params(labelsize=8)


def _draw_line(ax: Axes, complex: CellComplex, color: CellColor, cmap: str, decision_boundary: bool) -> None:
    """The outputs of a one-dimensional complex over strips in the colours of its cells."""
    order = np.argsort(complex.centroids[:, 0])
    half = 0.5 * complex.volumes
    ends = np.stack([complex.centroids[:, 0] - half, complex.centroids[:, 0] + half], axis=1)
    values = np.empty((complex.n_cells, 2, complex.network.output_dim))
    for start, stop, A, c in output_maps(complex):
        t = ends[start:stop]
        values[start:stop] = t[:, :, None] * A[:, None, :, 0] + c[:, None, :]
    domain = complex.domain.vertices[:, 0]
    ax.set_xlim(domain.min(), domain.max())
    name_axes(ax, complex, [0])
    decisions = _line_decisions(ends, scores_of(values.reshape(-1, values.shape[2])))
    if color == "class":
        strips, fill = _class_strips(ends[order], values[order], decisions)
        _draw_strips(ax, complex, strips, fill, layered=False)
    else:
        fill = np.ones((complex.n_cells, 3)) if color == "layer" else _cell_colors(ax, complex, color, cmap)
        _draw_strips(ax, complex, ends, fill, layered=color == "layer")
    shown = min(complex.network.output_dim, _MOST_OUTPUTS)
    palette = class_palette(max(shown, 2))
    lines = [
        ax.plot(ends[order].ravel(), values[order, :, k].ravel(), color=palette[k], lw=1.3, zorder=3)[0]
        for k in range(shown)
    ]
    ax.set_ylabel("output")
    if shown > 1:
        legend_beside(ax, lines, [str(k) for k in range(shown)], "output")
    if decision_boundary:
        for t in decisions:
            ax.axvline(t, color="black", lw=1.1, ls=(0, (4, 2)), zorder=4)


def _class_strips(ends: Floats, values: Floats, decisions: Floats) -> tuple[Floats, Floats]:
    """Strips between neighbouring breakpoints and decisions, (s, 2), and the colour of their class."""
    cuts = np.unique(np.concatenate([ends.ravel(), decisions]))
    middle = 0.5 * (cuts[:-1] + cuts[1:])
    at = np.stack(
        [np.interp(middle, ends.ravel(), column) for column in values.reshape(-1, values.shape[2]).T]
    )
    base = class_palette(max(values.shape[2], 2))
    return np.stack([cuts[:-1], cuts[1:]], axis=1), base[scores_of(at.T).argmax(axis=1)]


def _draw_strips(ax: Axes, complex: CellComplex, ends: Floats, fill: Floats, *, layered: bool) -> None:
    """Background of a one-dimensional picture: coloured strips, breakpoints as hairlines."""
    width, alpha = line_style(complex.n_cells)
    breakpoints = complex.facets.interior
    at = complex.facet_simplices()[0][:, 0, 0]
    corners = np.stack([ends[:, [0, 1, 1, 0]], np.tile([0.0, 0.0, 1.0, 1.0], (len(ends), 1))], 2)
    across = ax.get_xaxis_transform()
    ax.add_collection(
        PolyCollection(list(corners), facecolors=tint(fill, 0.55), lw=0, zorder=1, transform=across),
        autolim=False,
    )
    layers = complex.facets.layer[breakpoints]
    palette = layer_palette(max(len(complex.network.widths), 1))
    colors = palette[layers] if layered else np.full((len(at), 3), 0.25)
    ax.add_collection(
        LineCollection(
            [[(t, 0.0), (t, 1.0)] for t in at], colors=colors, linewidths=max(width, 0.3),
            alpha=alpha, zorder=2, transform=across,
        ),
        autolim=False,
    )  # fmt: skip


def _line_decisions(ends: Floats, scores: Floats) -> Floats:
    """Points where the largest score changes, on cells given by their ends."""
    at_ends = scores.reshape(len(ends), 2, -1)
    found = []
    mixed = np.flatnonzero(at_ends[:, 0].argmax(axis=1) != at_ends[:, 1].argmax(axis=1))
    for k in mixed:
        begin, end = at_ends[k]
        here, place = int(begin.argmax()), 0.0
        while True:
            lead, slope = begin[here] - begin, (end - begin) - (end - begin)[here]
            with np.errstate(divide="ignore", invalid="ignore"):
                meets = np.where(slope > 0.0, lead / slope, np.inf)
            meets[here] = np.inf
            following = int(meets.argmin())
            if not meets[following] <= 1.0:
                break
            # Slopes grow along the upper envelope, so this ends; max against rounding.
            here, place = following, max(place, float(meets[following]))
            found.append(ends[k, 0] + place * (ends[k, 1] - ends[k, 0]))
    return np.asarray(found)
