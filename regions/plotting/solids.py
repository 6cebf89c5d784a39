"""Cells of three dimensions as polygons: faces, sections by a plane, and what hides what.

There is array work only; drawing is left to `space_pictures` and `interactive`.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from regions.complexes import CellComplex

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_EDGE_ON = 1e-12  # a plane that the view meets at such an angle hides nothing


@dataclass(frozen=True)
class Faces:
    """Convex polygons in space, each of one cell, or of a facet between two.

    Attributes
    ----------
    points : (K, 3) float64, corners in turn, polygon after polygon
    offsets : (p + 1,) int64, polygon k has the corners ``points[offsets[k]:offsets[k + 1]]``
    normals : (p, 3) float64 of length 1; of the face of a cell outwards
    cell : (p,) int64, of a facet the first of its cells
    facet : (p,) int64, row of the facet table, -1 of a section
    """

    points: Floats
    offsets: Ints
    normals: Floats
    cell: Ints
    facet: Ints

    def some(self, keep: NDArray[np.bool_] | Ints) -> Faces:
        """Return some of the polygons, in the order of their numbers."""
        rows = np.flatnonzero(keep) if keep.dtype == np.bool_ else keep
        sizes = np.diff(self.offsets)[rows]
        ends = np.cumsum(sizes)
        within = np.arange(int(sizes.sum())) - np.repeat(ends - sizes, sizes)
        places = np.repeat(self.offsets[rows], sizes) + within
        offsets = np.concatenate([[0], ends]).astype(np.int64)
        return Faces(self.points[places], offsets, self.normals[rows], self.cell[rows], self.facet[rows])

    def moved(self, shifts: Floats) -> Faces:
        """Return the polygons, each moved by the shift (n, 3) of its cell."""
        owner = np.repeat(self.cell, np.diff(self.offsets))
        return Faces(self.points + shifts[owner], self.offsets, self.normals, self.cell, self.facet)

    def polygons(self) -> list[Floats]:
        """Return the corners of each polygon."""
        return np.split(self.points, self.offsets[1:-1])


def facet_polygons(complex: CellComplex) -> Faces:
    """Return every facet of a complex of three dimensions as a polygon, of those between cells one.

    Examples
    --------
    >>> from regions import Box, Network, enumerate_cells
    >>> half = Network.from_arrays([[[1.0, 0.0, 0.0]], [[1.0]]], [[0.0], [0.0]])
    >>> faces = facet_polygons(enumerate_cells(half, Box([-1.0] * 3, [1.0] * 3)))
    >>> np.diff(faces.offsets).min() >= 4, len(faces.cell)
    (np.True_, 11)
    """
    triangles, row = complex.some_facet_simplices(np.arange(len(complex.facets)))
    order = np.argsort(row, kind="stable")
    triangles, row = triangles[order], row[order]
    first = np.flatnonzero(np.diff(row, prepend=-1))
    crosses = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    # the largest triangle of a facet tells its plane best
    sizes = np.linalg.norm(crosses, axis=1)
    best = np.lexsort((-sizes, row))[first]
    normals = crosses[best] / np.maximum(sizes[best], np.finfo(float).tiny)[:, None]
    facet = row[first]
    counts = 3 * np.diff(np.append(first, len(row)))
    faces = _around(triangles.reshape(-1, 3), counts, normals)
    cell = complex.facets.cell_a[facet]
    middles = np.add.reduceat(faces[0], faces[1][:-1], axis=0) / counts[:, None]
    outwards = np.einsum("kd,kd->k", normals, middles - complex.centroids[cell])
    normals = np.where(outwards < 0.0, -1.0, 1.0)[:, None] * normals
    return Faces(*faces, normals, cell, facet)


def cell_faces(complex: CellComplex, facets: Faces) -> Faces:
    """Return the faces of all cells: a facet between two cells is a face of each."""
    b = complex.facets.cell_b[facets.facet]
    inner = facets.some(b >= 0)
    others = complex.facets.cell_b[inner.facet]
    sizes = np.diff(np.concatenate([facets.offsets, facets.offsets[-1] + inner.offsets[1:]]))
    return Faces(
        np.concatenate([facets.points, inner.points]),
        np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        np.concatenate([facets.normals, -inner.normals]),
        np.concatenate([facets.cell, others]),
        np.concatenate([facets.facet, inner.facet]),
    )


def back_to_front(complex: CellComplex, facets: Faces, towards: Floats) -> Ints:
    """Return the place of each cell in an order in which none is hidden by an earlier one.

    Of two cells with a facet between them the one on the viewer's side comes later. The pieces of a space
    that planes cut one after the other always have such an order, and it is right for cells that are shrunk
    or drawn apart too.

    Parameters
    ----------
    towards : (3,) the direction to the viewer, who is far away
    """
    a, b = facets.cell, complex.facets.cell_b[facets.facet]
    towards_b = facets.normals @ towards  # normals point from a to b
    facing = (b >= 0) & (np.abs(towards_b) > _EDGE_ON)
    behind = np.where(towards_b > 0.0, a, b)[facing]
    before = np.where(towards_b > 0.0, b, a)[facing]
    order = np.argsort(behind, kind="stable")
    starts = np.searchsorted(behind[order], np.arange(complex.n_cells + 1))
    fronts = before[order]
    waiting = np.bincount(before, minlength=complex.n_cells)
    depth = complex.centroids @ towards
    ready = [(depth[i], i) for i in np.flatnonzero(waiting == 0).tolist()]
    heapq.heapify(ready)
    place = np.full(complex.n_cells, -1, dtype=np.int64)
    for k in range(complex.n_cells):
        if not ready:  # rounding has made a circle
            left = np.flatnonzero(place < 0)
            ready = [(0.0, int(left[np.argmin(depth[left])]))]
        i = heapq.heappop(ready)[1]
        if place[i] >= 0:
            continue
        place[i] = k
        for j in fronts[starts[i] : starts[i + 1]].tolist():
            waiting[j] -= 1
            if waiting[j] == 0:
                heapq.heappush(ready, (depth[j], j))
    return place


def section(complex: CellComplex, faces: Faces, axis: int, value: float) -> Faces:
    """Return where a plane cuts the cells, given by their faces: polygons whose normal is that axis.

    Parameters
    ----------
    axis : int, the coordinate that is fixed
    value : float, where
    """
    points, offsets = faces.points, faces.offsets
    following = np.arange(1, len(points) + 1)
    following[offsets[1:] - 1] = offsets[:-1]
    height = points[:, axis] - value
    cut = (height >= 0.0) != (height[following] >= 0.0)
    share = height[cut] / (height[cut] - height[following][cut])
    at = points[cut] + share[:, None] * (points[following][cut] - points[cut])
    at[:, axis] = value
    owner = np.repeat(faces.cell, np.diff(offsets))[cut]
    order = np.argsort(owner, kind="stable")
    cell, counts = np.unique(owner, return_counts=True)
    normals = np.zeros((len(cell), 3))
    normals[:, axis] = 1.0
    return Faces(*_around(at[order], counts, normals), normals, cell, np.full(len(cell), -1))


def clipped(faces: Faces, axis: int, value: float, sign: float) -> Faces:
    """Return the parts of polygons where ``sign * (t[axis] - value) <= 0``."""
    points, offsets = faces.points, faces.offsets
    following = np.arange(1, len(points) + 1)
    following[offsets[1:] - 1] = offsets[:-1]
    height = sign * (points[:, axis] - value)
    inside = height <= 0.0
    crosses = inside != inside[following]
    share = height[crosses] / (height[crosses] - height[following][crosses])
    at = points[crosses] + share[:, None] * (points[following][crosses] - points[crosses])
    at[:, axis] = value
    polygon = np.repeat(np.arange(len(faces.cell)), np.diff(offsets))
    corner = np.arange(len(points))
    # a cut comes behind the corner at which its edge begins
    order = np.argsort(np.concatenate([corner[inside], corner[crosses] + 0.5]), kind="stable")
    owner = np.concatenate([polygon[inside], polygon[crosses]])[order]
    kept, counts = np.unique(owner, return_counts=True)
    whole = counts >= 3
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    parts = Faces(
        np.concatenate([points[inside], at])[order],
        offsets,
        faces.normals[kept],
        faces.cell[kept],
        faces.facet[kept],
    )
    return parts.some(whole)


def _around(points: Floats, counts: Ints, normals: Floats) -> tuple[Floats, Ints]:
    """Put the corners of convex polygons in turn around their middles, and return where each begins."""
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    polygon = np.repeat(np.arange(len(counts)), counts)
    away = points - (np.add.reduceat(points, offsets[:-1], axis=0) / counts[:, None])[polygon]
    least = np.abs(normals).argmin(axis=1)
    first = np.cross(normals, np.eye(3)[least])
    second = np.cross(normals, first)
    angle = np.arctan2(
        np.einsum("kd,kd->k", away, second[polygon]), np.einsum("kd,kd->k", away, first[polygon])
    )
    return points[np.lexsort((angle, polygon))], offsets
