"""What pictures of cells have around them: axes and their names, legends, colour bars.

What is inside the frame is left to `cell_pictures`, `line_pictures` and `graph_pictures`.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, to_rgb
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from regions.plotting.colors import DARK, ColorScale, layer_palette, luminance, tint

if TYPE_CHECKING:
    from regions.complexes import CellComplex

_LONGEST, _SHORTEST = 4.4, 1.3  # inches of the sides of a frame
_BESIDE, _BELOW = 1.25, 0.4  # inches for names, legends and bars
_FLAT = 0.35
_LIGHTER = 0.45
_FLATTEST = 8.0  # sides of a domain at most so different are drawn to one scale
_LEGEND_AT, _LEGEND_BEHIND_BAR = 1.01, 1.2


def new_axes(complex: CellComplex) -> Axes:
    """Return axes of a new figure that has the shape of the domain.

    Examples
    --------
    >>> from regions import Box, Network, enumerate_cells
    >>> cross = Network.from_arrays([np.eye(2), [[1.0, 1.0]]], [np.zeros(2), np.zeros(1)])
    >>> wide = enumerate_cells(cross, Box([-4.0, -1.0], [4.0, 1.0]))
    >>> new_axes(wide).figure.get_size_inches().round(1).tolist()
    [5.6, 1.7]
    """
    size = (6.0, 3.6) if complex.dimension == 1 else (_LONGEST + _BESIDE, _LONGEST)
    if complex.dimension == 2:
        width, height = _sides(complex)
        if max(width, height) > _FLATTEST * min(width, height):
            width = height = 1.0
        sides = np.maximum(_LONGEST * np.array([width, height]) / max(width, height), _SHORTEST)
        size = (float(sides[0]) + _BESIDE, float(sides[1]) + _BELOW * (sides[1] < _LONGEST))
    return plt.subplots(figsize=size, layout="constrained")[1]


def frame_plane(ax: Axes, complex: CellComplex) -> None:
    """Set limits and names of two axes, to one scale unless the domain is very flat, which is then said."""
    low, high = complex.domain.vertices.min(axis=0), complex.domain.vertices.max(axis=0)
    ax.set_xlim(low[0], high[0])
    ax.set_ylim(low[1], high[1])
    width, height = _sides(complex)
    name_axes(ax, complex, [0, 1])
    if max(width, height) <= _FLATTEST * min(width, height):
        ax.set_aspect("equal")
    else:
        ax.annotate(
            "not to one scale",
            (1.0, 1.01),
            xycoords="axes fraction",
            ha="right",
            va="bottom",
            fontsize=7,
        )


def _sides(complex: CellComplex) -> tuple[float, float]:
    width, height = np.ptp(complex.domain.vertices, axis=0)
    return float(width), float(height)


def name_axes(ax: Axes, complex: CellComplex, axes: Sequence[int]) -> None:
    """Name the axes: inputs of a box, otherwise intrinsic coordinates, which have input units.

    Examples
    --------
    >>> from regions import Box, Network, enumerate_cells
    >>> line = Network.from_arrays([[[1.0]], [[1.0]]], [[0.0], [0.0]])
    >>> _, ax = plt.subplots()
    >>> name_axes(ax, enumerate_cells(line, Box([-1.0], [3.0])), [0])
    >>> ax.get_xlabel()
    '$x_0$'
    """
    names = axis_names(complex, axes)
    ax.set_xlabel(names[0])
    if len(names) > 1:
        ax.set_ylabel(names[1])
    ax.tick_params(labelsize=8)


def axis_names(complex: CellComplex, axes: Sequence[int]) -> list[str]:
    """Return the names of axes in TeX's notation."""
    domain = complex.domain
    if domain.is_identity:
        return [f"$x_{k}$" for k in axes]
    if domain.dimension == 1:
        return ["position along the segment (input units)"]
    return [f"slice coordinate $t_{k}$ (input units)" for k in axes]


def legend_beside(ax: Axes, handles: Sequence[Artist], labels: Sequence[str], title: str) -> None:
    """Add a legend outside the frame, where it hides nothing; a second one goes below the first.

    Examples
    --------
    >>> _, ax = plt.subplots()
    >>> legend_beside(ax, [Line2D([], [])], ["layer 0"], "facet of")
    >>> ax.get_legend().get_title().get_text()
    'facet of'
    """
    first = ax.get_legend()
    across = _LEGEND_BEHIND_BAR if ax.child_axes else _LEGEND_AT
    legend = ax.legend(
        handles, labels, title=title, loc="upper left" if first is None else "lower left",
        bbox_to_anchor=(across, 1.0 if first is None else 0.0), borderaxespad=0.0, frameon=False,
        fontsize=8.5, title_fontsize=8.5, handlelength=1.4,
    )  # fmt: skip
    legend.set_in_layout(True)
    if first is not None:
        ax.add_artist(first)


def layer_inks(ax: Axes, n_layers: int) -> NDArray[np.float64]:
    """Return the colours of layers, lighter where the axes are dark.

    Examples
    --------
    >>> with plt.style.context("dark_background"):
    ...     bool((layer_inks(plt.subplots()[1], 2) >= layer_palette(2)).all())
    True
    """
    palette = layer_palette(n_layers)
    return tint(palette, np.linspace(_LIGHTER, 0.0, n_layers)) if is_dark(ax) else palette


def is_dark(ax: Axes) -> bool:
    """Say whether the ground of axes is dark."""
    return float(luminance(np.asarray(to_rgb(ax.get_facecolor())))) < DARK


def ink(ax: Axes) -> Any:
    """Return the colour of lines and curves that are no data: that of the words around the axes.

    Examples
    --------
    >>> with plt.style.context("dark_background"):
    ...     ink(plt.subplots()[1])
    'white'
    """
    return ax.xaxis.label.get_color()


def draw_grid(ax: Axes) -> None:
    """Add a faint grid, on light and on dark ground."""
    ax.grid(which="major", color=ink(ax), alpha=0.1, linewidth=0.6)


def layer_legend(ax: Axes, n_layers: int, title: str) -> None:
    """Add the colours of the layers as a legend."""
    palette = layer_inks(ax, n_layers)
    handles = [Line2D([], [], color=palette[k], lw=1.5) for k in range(n_layers)]
    legend_beside(ax, handles, [f"layer {k}" for k in range(n_layers)], title)


def colour_bar(ax: Axes, scale: ColorScale, label: str, pale: float = 0.0) -> None:
    """Add a bar as high as the axes, whose colours are those of the cells, mixed with white if they are.

    Arrows at its ends stand for cells beyond the limits, and their number is named.
    """
    colors = ListedColormap(tint(scale.ramp(), pale))
    width, height = np.ptp(ax.get_xlim()), np.ptp(ax.get_ylim())
    tall = max(1.0, float(height / width)) if ax.get_aspect() == 1.0 else 1.0
    flat = ax.get_aspect() == 1.0 and height < _FLAT * width
    bar = ax.figure.colorbar(
        ScalarMappable(scale.norm, colors), cax=ax.inset_axes((1.0 + 0.025 * tall, 0.0, 0.035 * tall, 1.0)),
        extend=scale.extend, extendfrac=0.03,
    )  # fmt: skip
    bar.ax.tick_params(labelsize=8)
    bar.ax.tick_params(which="minor", labelsize=7)
    words = [label, f"{scale.beyond:,} cells beyond"][: 1 + bool(scale.beyond)]
    if flat:
        words = [part for word in words for part in textwrap.wrap(word, 18)]
    bar.set_label(("\n" if flat else "; ").join(words), fontsize=8)
    if flat:  # the words are longer than the bar
        bar.ax.yaxis.label.set(rotation=0, ha="left", va="center")
