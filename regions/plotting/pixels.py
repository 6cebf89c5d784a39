"""Polygons as pixels, for complexes of more cells than a page can hold as paths.

Each pixel gets the colour of the polygon that holds its middle, found for all rows of pixels at once; pixels
between two polygons are darkened. Smaller complexes are drawn as paths by `paths`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_PIXELS = 2400  # along the longer side
_INK = 0.45  # how dark outlines are where there are few of them


def draw_pixels(ax: Axes, polygons: tuple[Floats, Ints], colors: Floats, corners: Floats) -> AxesImage:
    """Draw polygons that tile a convex domain as an image, with their outlines.

    Parameters
    ----------
    ax : matplotlib Axes
    polygons : (K, 2) corners, counterclockwise, polygon after polygon, and (n + 1,) where each begins
    colors : (n, 3) in [0, 1]
    corners : (c, 2) corners of the domain, in any order

    Returns
    -------
    matplotlib AxesImage

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> square = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    >>> draw_pixels(plt.subplots()[1], (square, np.array([0, 4])), np.zeros((1, 3)), square).get_extent()
    (0.0, 1.0, 0.0, 1.0)
    """
    low, high = corners.min(axis=0), corners.max(axis=0)
    sides = high - low
    columns, rows = np.maximum(np.ceil(_PIXELS * sides / sides.max()), 16).astype(int)
    owner = pixel_owners(polygons, corners, (int(rows), int(columns)))
    # with an opaque fourth channel, for matplotlib would add it by slower ways
    shades = np.full((len(colors) + 1, 4), 255, dtype=np.uint8)
    shades[:-1, :3] = np.clip(255.0 * colors + 0.5, 0, 255)
    image = shades[owner]
    outline = np.zeros(owner.shape, dtype=np.bool_)
    outline[:, 1:] |= owner[:, 1:] != owner[:, :-1]
    outline[1:] |= owner[1:] != owner[:-1]
    ink = _INK * (1.0 - outline.mean())
    image[outline, :3] = (image[outline, :3] * (1.0 - ink)).astype(np.uint8)
    extent = (float(low[0]), float(high[0]), float(low[1]), float(high[1]))
    drawn = _Pixels(ax, origin="lower", extent=extent, interpolation="antialiased", zorder=1)
    drawn.set_data(image)
    drawn.set_clip_path(ax.patch)
    ax.add_image(drawn)
    return drawn


class _Pixels(AxesImage):
    """An image that is not resampled where matplotlib only asks for room, as it does before it crops."""

    def draw(self, renderer: Any) -> None:
        if not hasattr(renderer.draw_image, "__wrapped__"):  # by what does nothing
            super().draw(renderer)


def pixel_owners(polygons: tuple[Floats, Ints], corners: Floats, shape: tuple[int, int]) -> Ints:
    """Return which polygon holds the middle of each pixel: (rows, columns) int64, -1 outside of the domain.

    Row 0 is the lowest. In each row a polygon begins where its left side crosses the row, and the next one
    begins where it ends, so beginnings alone are needed; the domain's right side ends the last one.

    Examples
    --------
    >>> halves = np.array([[0, 0], [1, 0], [1, 2], [0, 2], [1, 0], [2, 0], [2, 2], [1, 2]], dtype=float)
    >>> pixel_owners((halves, np.array([0, 4, 8])), halves, (1, 4)).tolist()
    [[0, 0, 1, 1]]
    """
    points, offsets = polygons
    low, high = corners.min(axis=0), corners.max(axis=0)
    rows, columns = shape
    scale = np.array([columns, rows]) / (high - low)
    following = np.arange(1, len(points) + 1)
    following[offsets[1:] - 1] = offsets[:-1]
    ring = _ring(corners)
    begin = _crossings((points - low) * scale, following, rows)
    end = _crossings(((ring - low) * scale)[::-1], np.roll(np.arange(len(ring)), -1), rows)
    polygon = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    row = np.concatenate([begin[0], end[0]])
    place = np.concatenate([begin[1], end[1]])
    owner = np.concatenate([polygon[begin[2]], np.full(len(end[0]), -1)])
    order = np.argsort(place, kind="stable")
    row, place, owner = row[order], place[order], owner[order]
    column = np.maximum(np.ceil(place - 0.5), 0.0).astype(np.int64)
    inside = column < columns
    found = np.full(rows * columns, -2, dtype=np.int64)
    # of several that begin in one pixel the last one holds its middle: the last assignment stays
    found[row[inside] * columns + column[inside]] = owner[inside]
    image = found.reshape(rows, columns)
    last = np.maximum.accumulate(np.where(image > -2, np.arange(columns), 0), axis=1)
    filled = np.take_along_axis(image, last, axis=1)
    return np.where(filled == -2, -1, filled)


def _crossings(points: Floats, following: Ints, rows: int) -> tuple[Ints, Floats, Ints]:
    """Return where edges that go down cross the middles of rows: row, place, edge; points in pixels."""
    top, bottom = points[:, 1], points[following, 1]
    first = np.clip(np.ceil(bottom - 0.5), 0, rows).astype(np.int64)
    stop = np.clip(np.ceil(top - 0.5), 0, rows).astype(np.int64)
    count = np.maximum(stop - first, 0)
    edge = np.repeat(np.arange(len(points)), count)
    begun = np.cumsum(count) - count
    row = np.arange(len(edge)) - begun[edge] + first[edge]
    share = (row + 0.5 - bottom[edge]) / (top[edge] - bottom[edge])
    place = points[following[edge], 0] + share * (points[edge, 0] - points[following[edge], 0])
    return row, place, edge


def _ring(corners: Floats) -> Floats:
    """Return the corners of a convex polygon counterclockwise."""
    from_middle = corners - corners.mean(axis=0)
    return np.asarray(corners[np.argsort(np.arctan2(from_middle[:, 1], from_middle[:, 0]))])
