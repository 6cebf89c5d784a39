"""Many polygons and segments as few matplotlib paths.

One path per cell costs matplotlib more than the rest of a picture together; here all that share a
style go into compound paths.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.path import Path
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# Agg renders a path in one piece, so a path must not grow without bound.
_MOST_PER_PATH = 4096
_EXACT_COLORS = 20_000
_SHADES = 31


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


def fill_polygons(ax: Axes, points: Floats, offsets: Ints, colors: Floats, raster: bool) -> PathCollection:
    """Fill disjoint polygons, each in its colour, with no seams between neighbours.

    Parameters
    ----------
    ax : matplotlib Axes
    points : (K, 2) corners, polygon after polygon
    offsets : (n + 1,) polygon i has the corners ``points[offsets[i]:offsets[i + 1]]``
    colors : (n, 3) in [0, 1]; above 20,000 polygons rounded to 32 levels a channel
    raster : keep as pixels in vector formats

    Returns
    -------
    matplotlib PathCollection

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> _, ax = plt.subplots()
    >>> square = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    >>> two = np.concatenate([square, square + 2.0])
    >>> len(fill_polygons(ax, two, np.array([0, 4, 8]), np.zeros((2, 3)), False).get_paths())
    1
    """
    shown = colors if len(colors) <= _EXACT_COLORS else np.round(colors * _SHADES) / _SHADES
    shades, shade = np.unique(shown, axis=0, return_inverse=True)
    shade = shade.ravel()
    order = np.argsort(shade, kind="stable")
    paths, fills = [], []
    for rows in _runs(shade[order]):
        paths.append(_rings(points, offsets, order[rows]))
        fills.append(shades[shade[order[rows[0]]]])
    # A hairline of the same colour hides the seams that anti-aliasing leaves.
    filled = PathCollection(paths, facecolors=fills, edgecolors="face", linewidths=0.25, zorder=1)
    filled.set_rasterized(raster)
    ax.add_collection(filled)
    return filled


def draw_segments(ax: Axes, segments: Floats, color: object, raster: bool, **style: object) -> PathCollection:
    """Draw segments in one colour.

    Parameters
    ----------
    ax : matplotlib Axes
    segments : (s, 2, 2)
    color : any matplotlib colour
    raster : keep as pixels in vector formats
    **style : properties of the collection (linewidth, alpha, zorder, capstyle, transform)

    Returns
    -------
    matplotlib PathCollection

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> _, ax = plt.subplots()
    >>> lines = draw_segments(ax, np.zeros((5, 2, 2)), "black", False, linewidth=0.5)
    >>> len(lines.get_paths()[0].vertices)
    10
    """
    paths = []
    for start in range(0, len(segments), _MOST_PER_PATH):
        corners = segments[start : start + _MOST_PER_PATH].reshape(-1, 2)
        codes = np.full(len(corners), Path.LINETO, dtype=np.uint8)
        codes[::2] = Path.MOVETO
        paths.append(Path(corners, codes))
    lines = PathCollection(paths, facecolors="none", edgecolors=[color])
    lines.set(rasterized=raster, **style)
    ax.add_collection(lines)
    return lines


def _runs(values: Ints) -> Iterator[Ints]:
    """Consecutive positions of equal values, at most _MOST_PER_PATH at a time."""
    if not len(values):
        return
    for block in np.split(np.arange(len(values)), np.flatnonzero(np.diff(values)) + 1):
        for start in range(0, len(block), _MOST_PER_PATH):
            yield block[start : start + _MOST_PER_PATH]


def _rings(points: Floats, offsets: Ints, chosen: Ints) -> Path:
    """A compound path of closed rings."""
    sizes = offsets[chosen + 1] - offsets[chosen]
    ends = np.cumsum(sizes + 1)  # every ring has one vertex more, which closes it
    starts = ends - sizes - 1
    within = np.arange(ends[-1]) - np.repeat(starts, sizes + 1)
    corners = points[
        np.repeat(offsets[chosen], sizes + 1) + np.where(within == np.repeat(sizes, sizes + 1), 0, within)
    ]
    codes = np.full(ends[-1], Path.LINETO, dtype=np.uint8)
    codes[starts], codes[ends - 1] = Path.MOVETO, Path.CLOSEPOLY
    return Path(corners, codes)
