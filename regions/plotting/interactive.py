"""Pictures to turn and hover over in a browser, with plotly (an optional dependency).

In two dimensions they show the cells, in three the facets, or the cells drawn apart. Colours are those of
`cell_pictures`, which draws for paper.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from regions.analysis.arguments import check_complex
from regions.errors import InvalidInputError, check_choice
from regions.plotting.cell_colors import CellColor, cell_colors
from regions.plotting.colors import DARK, ColorScale, class_fills, layer_palette, luminance
from regions.plotting.decision import class_pieces
from regions.plotting.marks import Marks, intrinsic_points, point_fills
from regions.plotting.page_parts import axis_names
from regions.plotting.shown_part import in_view
from regions.plotting.solids import cell_faces, facet_polygons, section
from regions.reports import write_text

if TYPE_CHECKING:
    from regions.complexes import CellComplex

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_MOST_CELLS = 20_000
_SHADES = 64
_MOST_OUTPUTS = 4  # whose maps are shown
_APART = 0.25  # of the way from the middle
_PLANES = 13  # that a slider goes through
_SCRIPT = "plotly.min.js"


def interactive_figure(
    complex: CellComplex,
    color: CellColor | None = None,
    *,
    opacity: float = 0.35,
    points: ArrayLike | None = None,
    decision_boundary: bool | None = None,
    cmap: str | None = None,
    cut: int | None = None,
    **marks: Unpack[Marks],
) -> Any:
    """Figure to zoom, turn and hover over: cells of a plane, or facets or cells of a space.

    Hovering names a cell, its volume, its map and its pattern.

    Parameters
    ----------
    complex : CellComplex of dimension 2 or 3
    color : as for `plot_cells`; default: "pattern" in two dimensions, "layer" in three
        In three dimensions "layer" shows the facets, see-through; "pattern", "volume" and "jacobian" show the
        cells, opaque and drawn apart.
    opacity : of the facets in three dimensions, in (0, 1]
    points : (k, input_dim), optional
        Points of the input space to mark, projected onto a slice.
    decision_boundary : bool, optional
        Draw where the largest output changes, or the sign of the only one; in two dimensions only, where it
        is the default.
    cmap : name of a matplotlib colour map for "volume" and "jacobian", optional
    cut : 0, 1 or 2, optional
        In three dimensions: show the cells on a plane across this coordinate, which a slider moves.
    point_labels, point_classes, point_size : as for `plot_cells`

    Returns
    -------
    plotly.graph_objects.Figure

    Raises
    ------
    InvalidInputError
        If plotly is not installed, the dimension is another, `opacity` is out of range, `points` do not
        fit, a decision boundary or classes are asked for in three dimensions, or there are more than 20,000
        cells, which no browser draws.

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
            "interactive figures need plotly, which is not installed: pip install 'relu-regions[plotly]'"
        ) from error
    check_complex(complex)
    boundary = complex.dimension == 2 if decision_boundary is None else decision_boundary
    _check(complex, opacity, boundary, marks)
    if cut is not None and (complex.dimension != 3 or cut not in range(3)):
        raise InvalidInputError(f"cut is {cut!r}; it names one of three coordinates, 0, 1 or 2")
    color = color or ("layer" if complex.dimension == 3 and cut is None else "pattern")
    check_choice("color", color, get_args(CellColor))
    complex, note = in_view(complex)
    marked = None if points is None else intrinsic_points(complex, points)
    match complex.dimension:
        case 2:
            figure = _plane(go, complex, color, cmap, boundary)
        case 3 if color == "class":
            raise InvalidInputError("classes are drawn in two dimensions only: enumerate a Slice")
        case 3 if cut is not None:
            if color == "layer":
                raise InvalidInputError("a plane cuts cells: take 'pattern', 'volume' or 'jacobian'")
            figure = _moving_plane(go, complex, color, cmap, cut)
        case 3:
            figure = _space(go, complex, opacity) if color == "layer" else _apart(go, complex, color, cmap)
        case d:
            raise InvalidInputError(
                f"interactive figures show 2 or 3 dimensions, not {d}: enumerate a Slice or a 3-D Box"
            )
    if marked is not None:
        _add_points(go, figure, marked, marks)
    if note:
        figure.update_layout(title=note)
    return figure


def save_interactive(figure: Any, path: str | Path) -> Path:
    """Write an interactive figure as a page, and the script beside it that all pages of a folder share.

    A page that is moved without the script takes it from the network.

    Raises
    ------
    InvalidInputError : if a file cannot be written
    """
    from plotly.offline import get_plotlyjs, get_plotlyjs_version

    page = figure.to_html(include_plotlyjs=False)
    elsewhere = f"https://cdn.plot.ly/plotly-{get_plotlyjs_version()}.min.js"
    scripts = (
        f'<script src="{_SCRIPT}" charset="utf-8"></script>\n<script>window.Plotly || '
        f'document.write(\'<script src="{elsewhere}" charset="utf-8"><\\/script>\')</script>\n'
    )
    script = Path(path).with_name(_SCRIPT)
    if not script.exists():
        write_text(get_plotlyjs(), script, "script")
    write_text(page.replace("</head>", scripts + "</head>", 1), path, "picture")
    return Path(path)


def _check(complex: CellComplex, opacity: float, decision_boundary: bool, marks: Marks) -> None:
    if not 1 <= complex.n_cells <= _MOST_CELLS:
        raise InvalidInputError(
            f"{complex.n_cells} cells; a browser draws 1 to {_MOST_CELLS}: use plot_cells or a smaller domain"
        )
    if not 0.0 < opacity <= 1.0:
        raise InvalidInputError(f"opacity is {opacity}; it must be in (0, 1]")
    if decision_boundary and complex.dimension == 3:
        raise InvalidInputError("the decision boundary is drawn in two dimensions only: enumerate a Slice")
    unknown = sorted(marks.keys() - {"point_labels", "point_classes", "point_size"})
    if unknown:
        raise InvalidInputError(f"interactive_figure does not know {unknown[0]}; leave it out")


def _add_boundary(go: Any, figure: Any, segments: Floats) -> None:
    """Segments of the decision boundary as one line with gaps."""
    line = np.concatenate([segments, np.full((len(segments), 1, 2), np.nan)], axis=1).reshape(-1, 2)
    for ink, width in (("white", 4.5), ("black", 2.5)):
        figure.add_trace(
            go.Scatter(
                x=_short(line[:, 0]), y=_short(line[:, 1]), mode="lines", name="decision boundary",
                line={"color": ink, "width": width}, hoverinfo="skip", showlegend=ink == "black",
            )
        )  # fmt: skip


def _add_points(go: Any, figure: Any, t: Floats, marks: Marks) -> None:
    """Marked points, named by their labels or their places in the list."""
    kind = go.Scatter if t.shape[1] == 2 else go.Scatter3d
    labels = marks.get("point_labels")
    if labels is not None and len(labels) != len(t):
        raise InvalidInputError(f"{len(labels)} labels for {len(t)} points; give one each")
    size = float(marks.get("point_size", 5.5)) * (1.5 if t.shape[1] == 2 else 0.8)
    for name, fill, chosen in point_fills(marks.get("point_classes"), len(t)):
        where = np.flatnonzero(chosen).tolist()
        figure.add_trace(
            kind(
                **dict(zip("xyz", t[where].T, strict=False)), mode="markers", name=name, hoverinfo="text",
                text=[f"point {k}" if labels is None else labels[k] for k in where],
                marker={"size": size, "color": _css(fill), "line": {"color": "black", "width": 1.5}},
            )
        )  # fmt: skip


def _plane(go: Any, complex: CellComplex, color: str, cmap: str | None, boundary: bool) -> Any:
    """Cells as filled rings, one trace per shade, and their centroids to hover over."""
    figure = go.Figure()
    pieces = class_pieces(complex) if color == "class" or boundary else None
    scale = None
    if color == "class" and pieces is not None:
        base = class_fills(max(complex.network.output_dim, 2))
        binary = complex.network.output_dim == 1
        for k in np.unique(pieces.label):
            name = ("≤ 0" if k == 0 else "> 0") if binary else f"class {k}"
            rows = np.flatnonzero(pieces.label == k)
            _add_rings(go, figure, (pieces.points, pieces.offsets, rows), base[k], name)
    else:
        points, offsets = complex.polygons()
        fill, scale, label = cell_colors(complex, color, cmap)
        shades, shade = _shades(fill)
        for k, rgb in enumerate(shades):
            rows = np.flatnonzero(shade == k)
            _add_rings(go, figure, (points, offsets, rows), rgb, "")
    if color == "layer":
        _add_facets(go, figure, complex)
    if boundary and pieces is not None:
        _add_boundary(go, figure, pieces.boundary)
    if scale is not None:
        _add_bar(go.Scatter, figure, scale, label)
    # the last, so that it is on top; nobody sees it
    figure.add_trace(
        go.Scatter(
            x=_short(complex.centroids[:, 0]), y=_short(complex.centroids[:, 1]), mode="markers",
            marker={"size": 8, "color": "rgba(0,0,0,0)"}, hoverinfo="text", text=_words(complex),
            showlegend=False,
        )
    )  # fmt: skip
    x, y = (_plain_name(name) for name in axis_names(complex, [0, 1]))
    # above the frame, for a colour bar may be beside it
    legend = {"orientation": "h", "x": 0.0, "y": 1.02, "yanchor": "bottom"}
    figure.update_layout(template="simple_white", margin={"l": 50, "r": 10, "t": 30, "b": 50}, legend=legend)
    figure.update_xaxes(title=x, constrain="domain")
    figure.update_yaxes(title=y, scaleanchor="x", constrain="domain")
    return figure


def _add_rings(go: Any, figure: Any, rings: tuple[Floats, Ints, Ints], fill: Floats, name: str) -> None:
    """Some closed rings as one filled trace; it is in the legend if it has a name."""
    points, offsets, rows = rings
    gap = np.full((1, 2), np.nan)
    parts = []
    for i in rows:
        ring = points[offsets[i] : offsets[i + 1]]
        parts += [ring, ring[:1], gap]
    line = np.concatenate(parts)
    ink = "rgba(255,255,255,0.45)" if float(luminance(fill)) < DARK else "rgba(0,0,0,0.6)"
    figure.add_trace(
        go.Scatter(
            x=_short(line[:, 0]), y=_short(line[:, 1]), mode="lines", fill="toself", fillcolor=_css(fill),
            line={"color": ink, "width": 0.5}, hoverinfo="skip", name=name,
            showlegend=bool(name),
        )
    )  # fmt: skip


def _add_facets(go: Any, figure: Any, complex: CellComplex) -> None:
    """Facets of a plane in the colours of their layers."""
    segments, facet = complex.facet_simplices()
    layer = complex.facets.layer[facet]
    palette = layer_palette(len(complex.network.widths))
    gap = np.full((len(segments), 1, 2), np.nan)
    lines = np.concatenate([segments, gap], axis=1)
    for k in reversed(range(len(palette))):
        line = lines[layer == k].reshape(-1, 2)
        figure.add_trace(
            go.Scatter(
                x=_short(line[:, 0]), y=_short(line[:, 1]), mode="lines", name=f"layer {k}", hoverinfo="skip",
                line={"color": _css(palette[k]), "width": 1.6},
            )
        )  # fmt: skip


def _add_bar(kind: Any, figure: Any, scale: ColorScale, label: str) -> None:
    """The colour bar of a scale, on a trace of some kind that nobody sees."""
    low, high = float(scale.norm.vmin or 0.0), float(scale.norm.vmax or 1.0)
    logarithmic = type(scale.norm).__name__ == "LogNorm"
    ends = [float(np.log10(low)), float(np.log10(high))] if logarithmic else [low, high]
    bar: dict[str, Any] = {"title": {"text": label, "side": "right"}}
    if logarithmic:
        ticks = np.arange(np.ceil(ends[0]), np.floor(ends[1]) + 1)
        bar |= {"tickvals": ticks.tolist(), "ticktext": [f"{10.0**tick:g}" for tick in ticks]}
    ramp = [[k / 15, _css(rgb)] for k, rgb in enumerate(scale.ramp()[::17])]
    marker = {
        "size": 0.1,
        "opacity": 0,
        "color": ends,
        "colorscale": ramp,
        "showscale": True,
        "colorbar": bar,
    }
    nowhere = {axis: [None, None] for axis in ("xyz" if kind.__name__ == "Scatter3d" else "xy")}
    figure.add_trace(kind(**nowhere, mode="markers", marker=marker, showlegend=False))


def _space(go: Any, complex: CellComplex, opacity: float) -> Any:
    """Facets as triangles, one mesh per layer."""
    triangles, facet = complex.facet_simplices()
    layer = complex.facets.layer[facet]
    palette = layer_palette(len(complex.network.widths))
    figure = go.Figure()
    for k, rgb in enumerate(palette):
        figure.add_trace(
            go.Mesh3d(
                **_mesh(triangles[layer == k]), color=_css(rgb), opacity=opacity, name=f"layer {k}",
                showlegend=True, flatshading=True, hoverinfo="name",
            )
        )  # fmt: skip
    return _with_axes(figure, complex)


def _apart(go: Any, complex: CellComplex, color: str, cmap: str | None) -> Any:
    """Cells as opaque solids, each moved away from the middle, and their centroids to hover over."""
    fill, scale, label = cell_colors(complex, color, cmap)
    shades, shade = _shades(fill)
    triangles, row = complex.some_facet_simplices(np.arange(len(complex.facets)))
    a, b = complex.facets.cell_a[row], complex.facets.cell_b[row]
    both = b >= 0
    cell = np.concatenate([a, b[both]])
    corners = np.concatenate([triangles, triangles[both]])
    moved = _APART * (complex.centroids - complex.domain.vertices.mean(axis=0))
    ramp = [[k / max(len(shades) - 1, 1), _css(rgb)] for k, rgb in enumerate(shades)]
    figure = go.Figure(
        go.Mesh3d(
            **_mesh(corners + moved[cell][:, None, :]), intensity=shade[cell].astype(np.float32),
            intensitymode="cell", cmin=0, cmax=max(len(shades) - 1, 1), colorscale=ramp, showscale=False,
            flatshading=True, hoverinfo="skip",
        )
    )  # fmt: skip
    if scale is not None:
        _add_bar(go.Scatter3d, figure, scale, label)
    places = complex.centroids + moved
    figure.add_trace(
        go.Scatter3d(
            x=_short(places[:, 0]), y=_short(places[:, 1]), z=_short(places[:, 2]), mode="markers",
            marker={"size": 6, "color": "rgba(0,0,0,0)"}, hoverinfo="text", text=_words(complex),
            showlegend=False,
        )
    )  # fmt: skip
    return _with_axes(figure, complex)


def _moving_plane(go: Any, complex: CellComplex, color: str, cmap: str | None, axis: int) -> Any:
    """Draw the cells on planes across one coordinate, of which a slider shows one."""
    fill, scale, label = cell_colors(complex, color, cmap)
    shades, shade = _shades(fill)
    ramp = [[k / max(len(shades) - 1, 1), _css(rgb)] for k, rgb in enumerate(shades)]
    faces = cell_faces(complex, facet_polygons(complex))
    low, high = complex.domain.vertices[:, axis].min(), complex.domain.vertices[:, axis].max()
    values = np.linspace(low, high, _PLANES + 2)[1:-1]
    figure = go.Figure()
    for k, value in enumerate(values):
        plane = section(complex, faces, axis, float(value))
        counts = np.diff(plane.offsets)
        # a fan from the first corner of each polygon
        fans = np.repeat(np.arange(len(counts)), counts - 2)
        turn = np.arange(len(fans)) - np.repeat(np.cumsum(counts - 2) - (counts - 2), counts - 2)
        i = plane.offsets[fans]
        gap = np.full((1, 3), np.nan)
        line = np.concatenate([part for ring in plane.polygons() for part in (ring, ring[:1], gap)])
        shown = k == _PLANES // 2
        figure.add_trace(
            go.Mesh3d(
                **dict(zip("xyz", _short(plane.points).T, strict=True)),
                **dict(zip("ijk", (i, i + turn + 1, i + turn + 2), strict=True)),
                intensity=shade[plane.cell[fans]].astype(np.float32), intensitymode="cell", cmin=0,
                cmax=max(len(shades) - 1, 1), colorscale=ramp, showscale=False, flatshading=True,
                lighting={"ambient": 1.0, "diffuse": 0.0}, hoverinfo="skip", visible=shown,
            )
        )  # fmt: skip
        figure.add_trace(
            go.Scatter3d(
                **dict(zip("xyz", _short(line).T, strict=True)), mode="lines", visible=shown,
                line={"color": "black", "width": 1.5}, hoverinfo="skip", showlegend=False,
            )
        )  # fmt: skip
    if scale is not None:
        _add_bar(go.Scatter3d, figure, scale, label)
    rest = [True] * (len(figure.data) - 2 * _PLANES)
    steps = [
        {
            "method": "restyle",
            "label": f"{value:.3g}",
            "args": ["visible", [j // 2 == k for j in range(2 * _PLANES)] + rest],
        }
        for k, value in enumerate(values)
    ]
    name = _plain_name(axis_names(complex, [0, 1, 2])[axis])
    figure.update_layout(
        sliders=[{"active": _PLANES // 2, "steps": steps, "currentvalue": {"prefix": f"{name} = "}}]
    )
    bounds = complex.domain.vertices
    ranges = {
        f"{one}axis": {"range": [float(bounds[:, k].min()), float(bounds[:, k].max())]}
        for k, one in enumerate("xyz")
    }
    return _with_axes(figure, complex).update_layout(scene=ranges)


def _with_axes(figure: Any, complex: CellComplex) -> Any:
    """Name the axes of a space, and draw it to one scale."""
    names = [_plain_name(name) for name in axis_names(complex, [0, 1, 2])]
    scene: dict[str, Any] = {f"{axis}axis": {"title": name} for axis, name in zip("xyz", names, strict=True)}
    figure.update_layout(scene={"aspectmode": "data", **scene}, margin={"l": 0, "r": 0, "t": 30, "b": 0})
    return figure


def _mesh(triangles: Floats) -> dict[str, Any]:
    """Triangles as plotly has them: corners, each once, and three numbers of corners for each triangle."""
    corners, number = np.unique(_short(triangles.reshape(-1, 3)), axis=0, return_inverse=True)
    index = number.reshape(-1, 3).astype(np.int32)
    return {"x": corners[:, 0], "y": corners[:, 1], "z": corners[:, 2]} | dict(
        zip("ijk", index.T, strict=True)
    )


def _words(complex: CellComplex) -> list[str]:
    """What hovering says of each cell."""
    size = ("length", "area", "volume")[complex.dimension - 1]
    found = []
    for i, volume in enumerate(complex.volumes):
        A, c = complex.affine_map(i, coordinates="intrinsic")
        rows = [
            f"{' '.join(f'{w:+.3g} t<sub>{k}</sub>' for k, w in enumerate(row))} {shift:+.3g}"
            for row, shift in zip(A[:_MOST_OUTPUTS], c, strict=False)
        ]
        more = "<br>…" if len(A) > _MOST_OUTPUTS else ""
        found.append(
            f"cell {i}<br>{size} {volume:.6g}<br>{'<br>'.join(rows)}{more}<br>"
            f"pattern {complex.pattern_hex(i)}"
        )
    return found


def _shades(colors: Floats) -> tuple[Floats, Ints]:
    """Colours rounded to so few that each can be a trace, and which one each cell has."""
    shades, shade = np.unique(colors, axis=0, return_inverse=True)
    levels = 16
    while len(shades) > _SHADES and levels > 1:
        shades, shade = np.unique(np.round(colors * levels) / levels, axis=0, return_inverse=True)
        levels -= 1
    return shades, shade.ravel().astype(np.int64)


def _short(numbers: Floats) -> NDArray[np.float32]:
    """Numbers in the few bytes that a screen can show."""
    return numbers.astype(np.float32)


def _plain_name(name: str) -> str:
    """The name of an axis in HTML."""
    return name.replace("$x_", "x<sub>").replace("$t_", "t<sub>").replace("$", "</sub>")


def _css(color: Any) -> str:
    if isinstance(color, str):
        return color
    return "rgb({},{},{})".format(*(round(255 * float(part)) for part in color))
