"""Small pictures for notebooks, as SVG made of numbers: outlines, cells, lines, curves.

They are sketches, of a few hundred kilobytes at most; pictures for papers are made by `plotting`.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

__all__ = ["MOST_LINES", "MOST_POLYGONS", "cells_svg", "curve_svg", "lines_svg", "outline_svg"]

FloatArray = NDArray[np.float64]

MOST_POLYGONS, MOST_LINES = 1500, 4000
_PIXELS, _LEAST = 240, 48  # of the longer side, and at least of the shorter
_UNITS = 2000  # to which coordinates are rounded, of the longer side
_GOLDEN = 137.50776405003785  # degrees from one hue to the next: neighbours in number look different


class _Frame:
    """The part of the plane that is shown, and how its points become whole numbers, upwards being up."""

    def __init__(self, points: FloatArray) -> None:
        self.low = points.min(axis=0)
        size = points.max(axis=0) - self.low
        longest = float(size.max()) or 1.0
        self.size = np.maximum(size, longest * _LEAST / _PIXELS)
        self.scale = _UNITS / longest

    def __call__(self, points: FloatArray) -> NDArray[np.int64]:
        placed = (points - self.low) * self.scale
        placed[..., 1] = self.size[1] * self.scale - placed[..., 1]
        return np.rint(placed).astype(np.int64)

    def svg(self, shapes: Iterable[str], note: str = "") -> str:
        """Return the picture around its shapes."""
        width, height = (int(side) for side in np.rint(self.size * self.scale))
        pixels = np.rint(_PIXELS * self.size / self.size.max()).astype(int)
        margin = _UNITS // 100
        box = f"{-margin} {-margin} {width + 2 * margin} {height + 2 * margin}"
        title = f"<title>{note}</title>" if note else ""
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{pixels[0]}" height="{pixels[1]}" '
            f'viewBox="{box}" fill="none" stroke="currentColor" stroke-width="{_UNITS // 250}" '
            f'stroke-linejoin="round">{title}{"".join(shapes)}</svg>'
        )


def outline_svg(ring: FloatArray) -> str:
    """Return a polygon by its vertices (n, 2) in order.

    Examples
    --------
    >>> outline_svg(np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])).count("<path")
    1
    """
    frame = _Frame(ring)
    return frame.svg([f'<path fill="#8884" d="{_closed(frame(ring))}"/>'])


def cells_svg(points: FloatArray, offsets: NDArray[np.int64]) -> str:
    """Return polygons as `CellComplex.polygons` gives them, each in a colour of its own.

    Examples
    --------
    >>> square = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    >>> cells_svg(np.concatenate([square, square + [1.0, 0.0]]), np.array([0, 4, 8])).count("<path")
    2
    """
    frame = _Frame(points)
    placed = frame(points)
    shapes = [
        f'<path fill="hsl({i * _GOLDEN % 360.0:.0f} 48% 76%)" d="{_closed(placed[start:end])}"/>'
        for i, (start, end) in enumerate(pairwise(offsets.tolist()))
    ]
    return frame.svg([f'<g stroke="#333">{"".join(shapes)}</g>'])


def lines_svg(segments: FloatArray, ring: FloatArray, note: str = "") -> str:
    """Return segments (n, 2, 2) in the polygon of a ring: the longest ones, where they are many.

    Examples
    --------
    >>> ring = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> lines_svg(np.array([[[0.0, 0.0], [0.5, 0.5]]]), ring).count("M")
    2
    """
    frame = _Frame(ring)
    if len(segments) > MOST_LINES:
        lengths = np.linalg.norm(segments[:, 1] - segments[:, 0], axis=1)
        segments = segments[np.argsort(-lengths, kind="stable")[:MOST_LINES]]
    thin = max(1, _UNITS // 250 - len(segments) // 800)
    ends = frame(segments).reshape(-1, 4)
    path = "".join(f"M{x} {y}L{u} {v}" for x, y, u, v in ends.tolist())
    outline = f'<path d="{_closed(frame(ring))}"/>'
    return frame.svg([outline, f'<path stroke-width="{thin}" d="{path}"/>'], note)


def curve_svg(x: FloatArray, y: FloatArray) -> str:
    """Return a curve through points, scaled to a strip twice as wide as high; nothing of fewer than two.

    Examples
    --------
    >>> curve_svg(np.array([0.0, 1.0, 4.0]), np.array([2.0, np.nan, 3.0])).split("<path")[-1].count("L")
    1
    >>> curve_svg(np.zeros(1), np.zeros(1))
    ''
    """
    known = np.isfinite(x) & np.isfinite(y)
    if np.count_nonzero(known) < 2:
        return ""
    points = np.stack([x[known], y[known]], axis=1)
    low, size = points.min(axis=0), np.ptp(points, axis=0)
    points = (points - low) / np.where(size > 0.0, size, 1.0) * [2.0, 1.0]
    frame = _Frame(np.array([[0.0, 0.0], [2.0, 1.0]]))
    first, *rest = frame(points).tolist()
    path = f"M{first[0]} {first[1]}" + "".join(f"L{u} {v}" for u, v in rest)
    border = _closed(frame(np.array([[0.0, 0.0], [2.0, 0.0], [2.0, 1.0], [0.0, 1.0]])))
    return frame.svg([f'<path stroke-opacity="0.3" d="{border}"/>', f'<path d="{path}"/>'])


def _closed(placed: NDArray[np.int64]) -> str:
    """Return a closed path through whole numbers (n, 2)."""
    return "M" + "L".join(f"{x} {y}" for x, y in placed.tolist()) + "Z"
