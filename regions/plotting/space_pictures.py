"""Pictures of complexes of three dimensions: opaque cells drawn apart or cut open, or facets by layer.

What hides what is decided exactly, by `solids`; drawing is in parallel projection, on ordinary axes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast, get_args

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from regions.analysis.arguments import check_complex
from regions.errors import InvalidInputError, check_choice
from regions.plotting.cell_colors import CellColor, cell_colors
from regions.plotting.colors import DARK, layer_palette, luminance
from regions.plotting.page_parts import axis_names, colour_bar, ink, layer_legend
from regions.plotting.shown_part import in_view
from regions.plotting.solids import Faces, back_to_front, cell_faces, clipped, facet_polygons, section

if TYPE_CHECKING:
    from regions.complexes import CellComplex

Floats = NDArray[np.float64]

APART = 0.25  # of the way from the middle
_LIGHT = np.array([0.35, -0.45, 0.82])  # from the left above
_SHADE = 0.45  # how much darker faces are that see no light
_INKS = np.array([[0.0, 0.0, 0.0, 0.6], [1.0, 1.0, 1.0, 0.6]])  # around light faces, and dark ones
_SEE_THROUGH = 0.55
_RASTER_FROM = 5_000
_MARGIN, _TICK = 0.16, 0.02  # of the size of the picture


def plot_space(
    complex: CellComplex,
    color: CellColor = "pattern",
    *,
    ax: Axes | None = None,
    cut: tuple[int, float] | None = None,
    view: tuple[float, float] = (24.0, -58.0),
    apart: float = APART,
    cmap: str | None = None,
) -> Axes:
    """Draw the cells of a complex of three dimensions, opaque: drawn apart, or cut open by a plane.

    Parameters
    ----------
    complex : CellComplex of dimension 3
    color : {"pattern", "volume", "jacobian", "layer"}
        As for `plot_cells`; "layer" draws the facets between cells, see-through, in the colours of their
        layers.
    ax : matplotlib Axes, optional
        Ordinary ones, whose ticks are taken away. Default: a new figure.
    cut : (axis, value), optional
        Take away what is in front of the plane where this coordinate has this value; cells then are in
        their places.
    view : height of the viewer above the ground and way around it, in degrees, as matplotlib has them
    apart : float >= 0, how far cells are moved from the middle, of their way from it, where nothing is cut;
        the ticks of the axes are moved as the cells are
    cmap : name of a matplotlib colour map for "volume" and "jacobian", optional

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InvalidInputError
        If the dimension is another, there are no cells, the plane misses the domain, or a word is unknown.

    Examples
    --------
    >>> from regions import Box, Network, enumerate_cells
    >>> corner = Network.from_arrays([np.eye(3), [[1.0] * 3]], [np.zeros(3), [0.0]])
    >>> cells = enumerate_cells(corner, Box([-1.0] * 3, [1.0] * 3))
    >>> ax = plot_space(cells, "volume", cut=(2, 0.5))
    >>> sorted(text.get_text() for text in ax.texts if "$" in text.get_text())
    ['$x_0$', '$x_1$', '$x_2$']
    """
    _check(complex, color, cut, apart, cmap)
    complex, note = in_view(complex)
    frame = _View(complex, view, 0.0 if cut is not None or color == "layer" else apart)
    facets = facet_polygons(complex)
    if ax is None:
        ax = plt.subplots(figsize=(5.6, 4.8), layout="constrained")[1]
    frame.draw_axes(ax, axis_names(complex, [0, 1, 2]))
    raster = complex.n_cells > _RASTER_FROM
    if color == "layer":
        _draw_layers(ax, frame, complex, facets, cut, raster)
        layer_legend(ax, len(complex.network.widths), "bends of")
    else:
        fill, scale, label = cell_colors(complex, color, cmap)
        faces = cell_faces(complex, facets)
        if cut is None:
            shifts = apart * (complex.centroids - frame.middle)
            place = back_to_front(complex, facets, frame.towards)
            shown = faces.moved(shifts)
            shown = shown.some(np.argsort(place[shown.cell], kind="stable"))
        else:
            shown = _cut_open(complex, facets, faces, cut, frame.towards)
        _draw_faces(ax, frame, shown.some(_facing(shown, frame.towards)), fill, raster)
        if scale is not None:
            colour_bar(ax, scale, label)
    if note:
        ax.set_title(note, fontsize=8)
    return ax


def _check(
    complex: CellComplex, color: str, cut: tuple[int, float] | None, apart: float, cmap: str | None
) -> None:
    check_complex(complex)
    check_choice("color", color, get_args(CellColor))
    if complex.dimension != 3:
        raise InvalidInputError(f"plot_space draws 3 dimensions, not {complex.dimension}: take plot_cells")
    if color == "class":
        raise InvalidInputError("classes are drawn in two dimensions only: enumerate a Slice")
    if cmap is not None and cmap not in plt.colormaps():
        raise InvalidInputError(f"matplotlib has no colour map {cmap!r}; try viridis or magma")
    if complex.n_cells == 0:
        raise InvalidInputError("the complex holds no cells, so there is nothing to draw")
    complex.require_volumes("a picture")
    if not apart >= 0.0:
        raise InvalidInputError(f"apart is {apart}; give a number, at least 0")
    if cut is not None:
        check_cut(complex, cut)


def check_cut(complex: CellComplex, cut: tuple[int, float]) -> None:
    """Raise InvalidInputError unless a plane, by coordinate and value, goes through the domain."""
    try:
        axis, value = cut
        known = int(axis) in range(3)
    except (TypeError, ValueError):
        known = False
    if not known:
        raise InvalidInputError(f"cut is {cut!r}; give a coordinate of 0, 1, 2 and its value, as in (2, 0.5)")
    low, high = complex.domain.vertices[:, int(axis)].min(), complex.domain.vertices[:, int(axis)].max()
    if complex.clipped is None and not low < float(value) <= high:
        raise InvalidInputError(
            f"the plane at {value} misses the domain: coordinate {axis} is from {low:.6g} to {high:.6g}"
        )


class _View:
    """Where the viewer stands, and where points of the space are on the page."""

    def __init__(self, complex: CellComplex, view: tuple[float, float], apart: float) -> None:
        up, around = np.deg2rad(view)
        self.towards = np.array([np.cos(up) * np.cos(around), np.cos(up) * np.sin(around), np.sin(up)])
        right = np.array([-np.sin(around), np.cos(around), 0.0])
        self._page = np.stack([right, np.cross(self.towards, right)], axis=1)
        corners = complex.domain.vertices
        self.low, self.high = corners.min(axis=0), corners.max(axis=0)
        self.middle = corners.mean(axis=0)
        self._factor = 1.0 + apart

    def __call__(self, points: Floats) -> Floats:
        """Return points (..., 3) on the page, (..., 2)."""
        return np.asarray(points @ self._page)

    def at(self, points: Floats) -> Floats:
        """Return where points of the space are drawn, apart from the middle as the cells are."""
        return self.middle + self._factor * (points - self.middle)

    def draw_axes(self, ax: Axes, names: list[str]) -> None:
        """Draw the box around the domain, with ticks and names along three of its edges."""
        shares = np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)], dtype=np.float64)
        corners = self.at(self.low + shares * (self.high - self.low))
        placed = self(corners)
        size = float(np.ptp(placed, axis=0).max())
        hidden = int((corners @ self.towards).argmin())
        lines = [
            placed[[i, i ^ bit]]
            for i in range(8)
            for bit in (1, 2, 4)
            if not i & bit and hidden in (i, i ^ bit)
        ]
        ax.add_collection(LineCollection(lines, colors="0.75", linewidths=0.6, zorder=0.5))
        centre = placed.mean(axis=0)
        for axis in range(3):
            bit = 4 >> axis
            edges = [(i, i | bit) for i in range(8) if not i & bit]
            # the one farthest out: below for those on the ground, to the left for the one that stands
            outer = min(edges, key=lambda edge: placed[list(edge)].mean(axis=0) @ _OUT[axis])
            self._draw_ticks(ax, axis, shares[outer[0]], centre, size, names[axis])
        low, high = placed.min(axis=0), placed.max(axis=0)
        ax.set_xlim(low[0] - _MARGIN * size, high[0] + 0.02 * size)
        ax.set_ylim(low[1] - _MARGIN * size, high[1] + 0.02 * size)
        ax.set_aspect("equal")
        ax.set_axis_off()

    def _draw_ticks(
        self, ax: Axes, axis: int, corner: Floats, centre: Floats, size: float, name: str
    ) -> None:
        """Draw one edge of the box with its ticks and its name; `corner` tells which, in shares."""
        ends = np.stack([self.low, self.low]) + corner * (self.high - self.low)
        ends[0, axis], ends[1, axis] = self.low[axis], self.high[axis]
        line = self(self.at(ends))
        along = (line[1] - line[0]) / max(float(np.linalg.norm(line[1] - line[0])), 1e-300)
        out = np.array([-along[1], along[0]])
        out *= np.sign(out @ (line.mean(axis=0) - centre)) or 1.0
        ax.plot(*line.T, color=ink(ax), alpha=0.8, linewidth=0.8, zorder=0.6)
        side = "center" if abs(out[0]) < 0.3 else "right" if out[0] < 0.0 else "left"
        ticks = MaxNLocator(4).tick_values(self.low[axis], self.high[axis])
        for tick in ticks[(ticks >= self.low[axis]) & (ticks <= self.high[axis])]:
            point = ends[0].copy()
            point[axis] = tick
            start = self(self.at(point))
            ax.plot(
                *np.stack([start, start + _TICK * size * out]).T,
                color=ink(ax),
                alpha=0.8,
                linewidth=0.8,
                zorder=0.6,
            )
            x, y = (start + 2.0 * _TICK * size * out).tolist()
            ax.text(x, y, f"{tick:g}", fontsize=7, ha=side, va="center")
        x, y = (line.mean(axis=0) + 6.0 * _TICK * size * out).tolist()
        ax.text(x, y, name, fontsize=9, ha="center", va="center")


_OUT = (np.array([0.0, 1.0]), np.array([0.0, 1.0]), np.array([1.0, 0.0]))


def _facing(faces: Faces, towards: Floats) -> NDArray[np.bool_]:
    """Return which faces look towards the viewer."""
    return np.asarray(faces.normals @ towards > 0.0)


def _cut_open(
    complex: CellComplex, facets: Faces, faces: Faces, cut: tuple[int, float], towards: Floats
) -> Faces:
    """Return what is seen of the cells behind a plane: the domain's sides, and the section."""
    axis, value = int(cut[0]), float(cut[1])
    sign = 1.0 if towards[axis] >= 0.0 else -1.0
    outside = clipped(facets.some(complex.facets.cell_b[facets.facet] < 0), axis, value, sign)
    inside = section(complex, faces, axis, value)
    sizes = np.diff(np.concatenate([outside.offsets, outside.offsets[-1] + inside.offsets[1:]]))
    return Faces(
        np.concatenate([outside.points, inside.points]),
        np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        np.concatenate([outside.normals, sign * inside.normals]),
        np.concatenate([outside.cell, inside.cell]),
        np.concatenate([outside.facet, inside.facet]),
    )


def _draw_faces(ax: Axes, frame: _View, faces: Faces, fill: Floats, raster: bool) -> None:
    """Draw faces in their order, darker where they look away from the light."""
    lit = np.clip(faces.normals @ (_LIGHT / np.linalg.norm(_LIGHT)), 0.0, 1.0)
    colors = fill[faces.cell] * (1.0 - _SHADE * (1.0 - lit))[:, None]
    dark = luminance(colors) < DARK
    ink = np.where(dark[:, None], _INKS[1], _INKS[0])
    drawn = PolyCollection(
        [frame(polygon) for polygon in faces.polygons()], facecolors=colors, edgecolors=ink, linewidths=0.35,
        zorder=2, joinstyle="round",
    )  # fmt: skip
    drawn.set_rasterized(raster)
    ax.add_collection(drawn)


def _draw_layers(
    ax: Axes, frame: _View, complex: CellComplex, facets: Faces, cut: tuple[int, float] | None, raster: bool
) -> None:
    """Draw the facets between cells, see-through, those behind first."""
    b = complex.facets.cell_b[facets.facet]
    place = back_to_front(complex, facets, frame.towards)
    inner = facets.some(b >= 0)
    if cut is not None:
        axis, value = int(cut[0]), float(cut[1])
        inner = clipped(inner, axis, value, 1.0 if frame.towards[axis] >= 0.0 else -1.0)
    # a facet comes before the cell in front of it
    front = np.maximum(place[inner.cell], place[complex.facets.cell_b[inner.facet]])
    inner = inner.some(np.argsort(front, kind="stable"))
    colors = layer_palette(len(complex.network.widths))[complex.facets.layer[inner.facet]]
    lit = 1.0 - 0.5 * _SHADE * (1.0 - np.abs(inner.normals @ (_LIGHT / np.linalg.norm(_LIGHT))))
    shaded = np.column_stack([colors * lit[:, None], np.full(len(colors), _SEE_THROUGH)])
    drawn = PolyCollection(
        [frame(polygon) for polygon in inner.polygons()], facecolors=cast("list[Floats]", shaded),
        edgecolors=np.column_stack([0.5 * colors, np.full(len(colors), 0.6)]), linewidths=0.3, zorder=2,
    )  # fmt: skip
    drawn.set_rasterized(raster)
    ax.add_collection(drawn)
