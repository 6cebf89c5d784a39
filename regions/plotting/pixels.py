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
from PIL import Image

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
    outline = np.zeros(owner.shape, dtype=np.bool_)
    np.not_equal(owner[:, 1:], owner[:, :-1], out=outline[:, 1:])
    outline[1:] |= owner[1:] != owner[:-1]
    # one table of colours, those of outlines behind those of polygons; the last of both is outside of all
    plain = np.concatenate([colors, np.ones((1, 3))])
    ink = _INK * (1.0 - outline.mean())
    shades = np.full((2 * len(plain), 4), 255, dtype=np.uint8)
    shades[:, :3] = np.clip(255.0 * np.concatenate([plain, (1.0 - ink) * plain]) + 0.5, 0, 255)
    owner[owner < 0] = len(colors)
    owner += outline * owner.dtype.type(len(plain))
    image = np.take(shades.view(np.uint32).ravel(), owner).view(np.uint8).reshape(*owner.shape, 4)
    extent = (float(low[0]), float(high[0]), float(low[1]), float(high[1]))
    drawn = _Pixels(ax, origin="lower", extent=extent, interpolation="antialiased", zorder=1)
    drawn.set_data(image)
    drawn.set_clip_path(ax.patch)
    ax.add_image(drawn)
    return drawn


class _Pixels(AxesImage):
    """An image that is shrunk as bytes, once: matplotlib does it with masked floats, before it crops too."""

    def set_data(self, A: Any) -> None:
        self._bytes = A
        super().set_data(A[:1, :1])

    def get_array(self) -> Any:
        return self._bytes

    def draw(self, renderer: Any) -> None:
        if not hasattr(renderer.draw_image, "__wrapped__"):  # by what does nothing, and asks only for room
            super().draw(renderer)

    def make_image(
        self, renderer: Any, magnification: float = 1.0, unsampled: bool = False
    ) -> tuple[Any, float, float, Any]:
        left, right, bottom, top = self.get_extent()
        ends = self.get_transform().transform([[left, bottom], [right, top]])
        low, high = ends.min(axis=0), ends.max(axis=0)
        frame = np.array(self.axes.bbox.extents).reshape(2, 2)
        shown = np.clip([low, high], *frame)
        if not (shown[1] > shown[0]).all():
            return None, 0.0, 0.0, None
        rows, columns = self._bytes.shape[:2]
        box = ((shown - low) * np.array([columns, rows]) / (high - low)).ravel().tolist()
        first, last = np.rint(shown * magnification)
        size = np.maximum(last - first, 1.0).astype(int)
        x_way, y_way = np.where(ends[0] > ends[1], -1, 1)  # of axes that were turned round
        picture = Image.fromarray(np.ascontiguousarray(self._bytes[::y_way, ::x_way]))
        picture = picture.resize((int(size[0]), int(size[1])), Image.Resampling.BOX, box)
        return np.array(picture), float(first[0]), float(first[1]), None


def pixel_owners(polygons: tuple[Floats, Ints], corners: Floats, shape: tuple[int, int]) -> NDArray[np.int32]:
    """Return which polygon holds the middle of each pixel: (rows, columns), -1 outside of the domain.

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
    polygon = np.repeat(np.arange(len(offsets) - 1, dtype=np.int32), np.diff(offsets))
    row = np.concatenate([begin[0], end[0]])
    place = np.concatenate([begin[1], end[1]])
    owner = np.concatenate([polygon[begin[2]], np.full(len(end[0]), -1, dtype=np.int32)])
    column = np.maximum(np.ceil(place - 0.5), 0.0).astype(np.int64)
    pixel = np.where(column < columns, row * columns + column, rows * columns)  # one more, for what is beyond
    found = np.full(rows * columns + 1, -1, dtype=np.int32)
    waiting = np.arange(len(pixel), dtype=np.int32)
    while len(waiting):  # of several that begin in one pixel the last one holds its middle
        found[pixel[waiting]] = waiting
        waiting = waiting[place[waiting] > place[found[pixel[waiting]]]]
    starts = found[: rows * columns : columns]
    starts[starts < 0] = len(owner)
    begun = np.flatnonzero(found[:-1] >= 0)
    owner = np.append(owner, np.int32(-1))[found[begun]]
    return np.repeat(owner, np.diff(begun, append=rows * columns)).reshape(rows, columns)


def _crossings(points: Floats, following: Ints, rows: int) -> tuple[Ints, Floats, Ints]:
    """Return where edges that go down cross the middles of rows: row, place, edge; points in pixels."""
    top, bottom = points[:, 1], points[following, 1]
    first = np.clip(np.ceil(bottom - 0.5), 0, rows).astype(np.int64)
    stop = np.clip(np.ceil(top - 0.5), 0, rows).astype(np.int64)
    down = np.flatnonzero(stop > first)
    count = stop[down] - first[down]
    edge = np.repeat(down, count)
    row = np.arange(len(edge)) + np.repeat(first[down] - np.cumsum(count) + count, count)
    share = (row + 0.5 - bottom[edge]) / (top[edge] - bottom[edge])
    place = points[following[edge], 0] + share * (points[edge, 0] - points[following[edge], 0])
    return row, place, edge


def _ring(corners: Floats) -> Floats:
    """Return the corners of a convex polygon counterclockwise."""
    from_middle = corners - corners.mean(axis=0)
    return np.asarray(corners[np.argsort(np.arctan2(from_middle[:, 1], from_middle[:, 0]))])
