"""Pictures of one-dimensional complexes: the outputs over strips, one for each cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.patches import Patch
from numpy.typing import NDArray

from regions.plotting.cell_colors import Shades
from regions.plotting.colors import class_palette, layer_palette, tint
from regions.plotting.decision import output_maps, scores_of
from regions.plotting.page_parts import colour_bar, layer_legend, legend_beside, name_axes
from regions.plotting.paths import line_style

if TYPE_CHECKING:
    from regions.complexes import CellComplex

Floats = NDArray[np.float64]

_MOST_OUTPUTS = 10
_PALE = 0.55


def draw_line(ax: Axes, complex: CellComplex, color: str, shades: Shades, decision_boundary: bool) -> None:
    """Draw the outputs of a one-dimensional complex over strips in the colours of its cells.

    Strips are pale, so that lines show on them; the colour bar is as pale.
    """
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
        fill, scale, label = shades
        if scale is not None:
            colour_bar(ax, scale, label, _PALE)
        _draw_strips(ax, complex, ends, fill, layered=color == "layer")
    shown = min(complex.network.output_dim, _MOST_OUTPUTS)
    palette = class_palette(max(shown, 2))
    inks = list(palette) if shown > 1 else ["black"]
    lines = [  # with white beside them, for strips may have their colours
        ax.plot(
            ends[order].ravel(),
            values[order, :, k].ravel(),
            color=inks[k],
            lw=1.3,
            zorder=3,
            path_effects=[patheffects.withStroke(linewidth=2.4, foreground="white")],
        )[0]
        for k in range(shown)
    ]
    ax.set_ylabel("output")
    if shown > 1:
        _number_lines(ax, ends[order].ravel(), values[order].reshape(-1, values.shape[2])[:, :shown])
        title = "output; strip:\nthe largest" if color == "class" else "output"
        legend_beside(ax, lines, [str(k) for k in range(shown)], title)
    elif color == "class":
        patches = [Patch(fc=tint(palette[k], _PALE), ec="black", lw=0.4) for k in range(2)]
        legend_beside(ax, patches, ["≤ 0", "> 0"], "output")
    if color == "layer" and complex.network.widths:
        layer_legend(ax, len(complex.network.widths), "breakpoint of")
    if decision_boundary:
        for t in decisions:
            ax.axvline(t, color="black", lw=1.1, ls=(0, (4, 2)), zorder=4)


def _number_lines(ax: Axes, t: Floats, outputs: Floats) -> None:
    """Write on each line the number of its output, for colours of thin lines are hard to tell apart."""
    n = outputs.shape[1]
    for k in range(n):
        # not one above the other where lines are close
        x = t[0] + (0.5 + (3 * k) % n if n % 3 else 0.5 + k) / n * (t[-1] - t[0])
        y = np.interp(x, t, outputs[:, k])
        name = ax.text(x, y, str(k), color="black", fontsize=7, ha="center", va="center", zorder=5)
        name.set_path_effects([patheffects.withStroke(linewidth=1.8, foreground="white")])


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
        PolyCollection(list(corners), facecolors=tint(fill, _PALE), lw=0, zorder=1, transform=across),
        autolim=False,
    )
    layers = complex.facets.layer[breakpoints]
    palette = layer_palette(max(len(complex.network.widths), 1))
    colors = palette[layers] if layered else np.full((len(at), 3), 0.25)
    width, alpha = (1.4, 1.0) if layered else (max(width, 0.3), alpha)
    ax.add_collection(
        LineCollection(
            [[(t, 0.0), (t, 1.0)] for t in at], colors=colors, linewidths=width,
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
