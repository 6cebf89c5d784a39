"""Pictures to turn and hover over in a browser, with plotly (an optional dependency).

In two dimensions they show the cells, in three the facets; `cell_pictures` draws for paper.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from regions.analysis.arguments import check_complex
from regions.errors import InvalidInputError
from regions.plotting.cell_pictures import intrinsic_points
from regions.plotting.colors import layer_palette, pattern_colors
from regions.plotting.decision import class_pieces
from regions.plotting.shown_part import in_view
from regions.reports import write_text

if TYPE_CHECKING:
    from regions.complexes import CellComplex

_MOST_CELLS = 20_000
_SHADES = 48


def interactive_figure(
    complex: CellComplex,
    *,
    opacity: float = 0.35,
    points: ArrayLike | None = None,
    decision_boundary: bool = False,
) -> Any:
    """Figure to zoom, turn and hover over: cells of a plane, or facets of a space.

    Parameters
    ----------
    complex : CellComplex of dimension 2 (cells coloured by activation pattern, hovering names
        cell, area and pattern) or 3 (facets coloured by the layer of their unit)
    opacity : of the facets in three dimensions, in (0, 1]
    points : (k, input_dim), optional
        Points of the input space to mark, projected onto a slice.
    decision_boundary : bool
        Draw where the largest output changes, or the sign of the only one; in two dimensions only.

    Returns
    -------
    plotly.graph_objects.Figure

    Raises
    ------
    InvalidInputError
        If plotly is not installed, the dimension is another, `opacity` is out of range, `points` do not
        fit, a decision boundary is asked for in three dimensions, or there are more than 20,000 cells,
        which no browser draws.

    Examples
    --------
    >>> from regions import Box, Network, enumerate_cells
    >>> cross = Network.from_arrays([np.eye(2), [[1.0, 1.0]]], [np.zeros(2), np.zeros(1)])
    >>> figure = interactive_figure(enumerate_cells(cross, Box([-1.0, -1.0], [1.0, 1.0])))
    >>> figure.data[-1].type
    'scatter'
    """
    try:
        import plotly.graph_objects as go
    except ImportError as error:
        raise InvalidInputError(
            "interactive figures need plotly, which is not installed: pip install plotly"
        ) from error
    check_complex(complex)
    if not 1 <= complex.n_cells <= _MOST_CELLS:
        raise InvalidInputError(
            f"{complex.n_cells} cells; a browser draws 1 to {_MOST_CELLS}: use plot_cells or a smaller domain"
        )
    if not 0.0 < opacity <= 1.0:
        raise InvalidInputError(f"opacity is {opacity}; it must be in (0, 1]")
    if decision_boundary and complex.dimension == 3:
        raise InvalidInputError("the decision boundary is drawn in two dimensions only: enumerate a Slice")
    complex, note = in_view(complex)
    marked = None if points is None else intrinsic_points(complex, points)
    match complex.dimension:
        case 2:
            figure = _plane(go, complex)
            if decision_boundary:
                _add_boundary(go, figure, complex)
        case 3:
            figure = _space(go, complex, opacity)
        case d:
            raise InvalidInputError(
                f"interactive figures show 2 or 3 dimensions, not {d}: enumerate a Slice or a 3-D Box"
            )
    if marked is not None:
        _add_points(go, figure, marked)
    if note:
        figure.update_layout(title=note)
    return figure


def save_interactive(figure: Any, path: str | Path) -> Path:
    """Write an interactive figure as a page of its own; raises InvalidInputError if it cannot be written."""
    write_text(figure.to_html(), path, "picture")
    return Path(path)


def _add_boundary(go: Any, figure: Any, complex: CellComplex) -> None:
    """Segments of the decision boundary as one line with gaps."""
    segments = class_pieces(complex).boundary
    line = np.concatenate([segments, np.full((len(segments), 1, 2), np.nan)], axis=1).reshape(-1, 2)
    figure.add_trace(
        go.Scatter(
            x=line[:, 0], y=line[:, 1], mode="lines", name="decision boundary",
            line={"color": "black", "width": 2.5}, hoverinfo="skip",
        )
    )  # fmt: skip


def _add_points(go: Any, figure: Any, t: NDArray[np.float64]) -> None:
    """Marked points, named by their place in the list."""
    axes = dict(zip("xyz", t.T, strict=False))
    kind = go.Scatter if t.shape[1] == 2 else go.Scatter3d
    figure.add_trace(
        kind(
            **axes, mode="markers", name="points", hoverinfo="text",
            text=[f"point {k}" for k in range(len(t))],
            marker={"size": 8 if t.shape[1] == 2 else 4, "color": "white",
                    "line": {"color": "black", "width": 1.5}},
        )
    )  # fmt: skip


def _plane(go: Any, complex: CellComplex) -> Any:
    """Cells as filled rings, one trace per shade, and their centroids to hover over."""
    points, offsets = complex.polygons()
    rgb = pattern_colors(complex)
    levels = max(2, round(_SHADES ** (1 / 3)) + 1)
    shade = np.round(rgb * (levels - 1)) / (levels - 1)
    shades, member = np.unique(shade, axis=0, return_inverse=True)
    figure = go.Figure()
    gap = np.full((1, 2), np.nan)
    for k, color in enumerate(shades):
        rings = []
        for i in np.flatnonzero(member.ravel() == k):
            ring = points[offsets[i] : offsets[i + 1]]
            rings += [ring, ring[:1], gap]
        line = np.concatenate(rings)
        figure.add_trace(
            go.Scatter(
                x=line[:, 0], y=line[:, 1], mode="lines", fill="toself", fillcolor=_css(color),
                line={"color": "rgba(0,0,0,0.6)", "width": 0.5}, hoverinfo="skip",
            )
        )  # fmt: skip
    figure.add_trace(
        go.Scatter(
            x=complex.centroids[:, 0], y=complex.centroids[:, 1], mode="markers",
            marker={"size": 8, "color": "rgba(0,0,0,0)"}, hoverinfo="text",
            text=[
                f"cell {i}<br>area {volume:.6g}<br>pattern {complex.pattern_hex(i)}"
                for i, volume in enumerate(complex.volumes)
            ],
        )
    )  # fmt: skip
    figure.update_layout(
        showlegend=False, template="simple_white", margin={"l": 40, "r": 10, "t": 10, "b": 40}
    )
    figure.update_yaxes(scaleanchor="x")
    return figure


def _space(go: Any, complex: CellComplex, opacity: float) -> Any:
    """Facets as triangles, one mesh per layer."""
    triangles, facet = complex.facet_simplices()
    layer = complex.facets.layer[facet]
    n_layers = len(complex.network.widths)
    palette = layer_palette(n_layers)
    figure = go.Figure()
    for k in range(n_layers):
        corners = triangles[layer == k].reshape(-1, 3)
        index = np.arange(len(corners)).reshape(-1, 3)
        figure.add_trace(
            go.Mesh3d(
                x=corners[:, 0], y=corners[:, 1], z=corners[:, 2], i=index[:, 0], j=index[:, 1],
                k=index[:, 2], color=_css(palette[k]), opacity=opacity, name=f"layer {k}",
                showlegend=True, flatshading=True,
            )
        )  # fmt: skip
    figure.update_layout(scene={"aspectmode": "data"}, margin={"l": 0, "r": 0, "t": 10, "b": 0})
    return figure


def _css(color: Any) -> str:
    return "rgb({},{},{})".format(*(round(255 * float(part)) for part in color))
