"""Boundaries in space as meshes of triangles, and their files.

Triangles share what their pieces share: no vertex is joined to another by its coordinates. PLY and OBJ are
written here, with every bit and the pieces' normals; the other formats are left to trimesh, which is imported
for them only.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from regions.analysis.boundaries.exact_pieces import simplices_of_pieces
from regions.domain.intrinsic import lock_arrays
from regions.errors import CertificateError, InvalidInputError
from regions.network.loaders.checks import optional_import
from regions.reports import check_writable, replacing
from regions.showing import Shown

if TYPE_CHECKING:
    from regions.analysis.boundaries.boundary_complex import BoundaryComplex

__all__ = ["FORMATS", "SurfaceMesh", "surface_mesh", "write_mesh"]

FORMATS = ("ply", "obj", "glb", "stl")
_OWN = ("ply", "obj")


@dataclass(frozen=True, eq=False)
class SurfaceMesh(Shown):
    """A surface of triangles in space, with normals that are those of its flat pieces.

    Attributes
    ----------
    points : (n, 3) float64, intrinsic
    triangles : (t, 3) int64, counterclockwise seen from the second class (of a level: from above it)
    normals : (t, 3) float64, of the piece of each triangle
    pieces : (t,) int64, the piece that each triangle is a part of
    boundary : (e, 2) int64, edges of one triangle only, in its direction: where the surface leaves the domain
    irregular : (e, 2) int64, edges of more than two triangles

    Examples
    --------
    >>> from regions import Box, Network, decision_boundary
    >>> ball = Network.from_arrays(  # |x| + |y| + |z|
    ...     [[[1, 0, 0], [0, 1, 0], [0, 0, 1]], [[1, 1, 1]]], [[0, 0, 0], [0]], slopes=["abs", None])
    >>> mesh = decision_boundary(ball, Box([-2, -2, -2], [2, 2, 2]), level=1.0).mesh()
    >>> mesh.is_watertight, mesh.euler_characteristic, mesh.area, mesh.enclosed_volume
    (True, 2, 6.928203230275509, 1.3333333333333333)
    """

    points: NDArray[np.float64]
    triangles: NDArray[np.int64]
    normals: NDArray[np.float64]
    pieces: NDArray[np.int64]
    boundary: NDArray[np.int64]
    irregular: NDArray[np.int64]

    def __post_init__(self) -> None:
        lock_arrays(tuple(vars(self).values()))

    @property
    def is_watertight(self) -> bool:
        """Whether each edge belongs to exactly two triangles."""
        return not (len(self.boundary) or len(self.irregular))

    @cached_property
    def euler_characteristic(self) -> int:
        """Vertices less edges plus triangles; of a watertight surface the same as 2 - 2 genus, summed."""
        edges = np.unique(np.sort(_directed_edges(self.triangles), axis=1), axis=0)
        return len(np.unique(self.triangles)) - len(edges) + len(self.triangles)

    @cached_property
    def area(self) -> float:
        """Sum of the triangles' areas, from the rounded points."""
        a, b, c = (self.points[self.triangles[:, k]] for k in range(3))
        return float(0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1).sum())

    @cached_property
    def enclosed_volume(self) -> float:
        """Volume on the side of the first class (of a level: below it); nan unless watertight."""
        if not self.is_watertight:
            return float("nan")
        middle = self.points.mean(axis=0) if len(self.points) else np.zeros(3)
        a, b, c = (self.points[self.triangles[:, k]] - middle for k in range(3))
        return float(np.einsum("td,td->t", a, np.cross(b, c)).sum() / 6.0)


def surface_mesh(boundary: BoundaryComplex) -> SurfaceMesh:
    """Return a boundary in space as triangles.

    Raises
    ------
    InvalidInputError
        If d is not 3.
    CertificateError
        If triangles do not follow each other around an edge as the sides of a surface do.
    """
    if boundary.dimension != 3:
        raise InvalidInputError(
            f"a mesh is the boundary of a 3-D domain, this one has d = {boundary.dimension}; take a slice"
        )
    triangles, pieces = simplices_of_pieces(boundary.faces)
    triangles = _turned(triangles, pieces, boundary)
    edges = _directed_edges(triangles)
    pairs, place, count = np.unique(np.sort(edges, axis=1), axis=0, return_inverse=True, return_counts=True)
    forward = np.bincount(place.ravel(), edges[:, 0] < edges[:, 1], len(pairs)).astype(np.int64)
    two_classes = len(np.unique(boundary.pairs, axis=0)) == 1
    if two_classes and ((count % 2 == 0) & (2 * forward != count)).any():
        raise CertificateError("two triangles run along an edge in the same direction; please report this")
    lonely = count[place.ravel()] == 1
    return SurfaceMesh(
        points=boundary.points.copy(),
        triangles=triangles,
        normals=boundary.normals[pieces],
        pieces=pieces,
        boundary=edges[lonely],
        irregular=pairs[count > 2],
    )


def _turned(
    triangles: NDArray[np.int64], pieces: NDArray[np.int64], boundary: BoundaryComplex
) -> NDArray[np.int64]:
    """Turn triangles so that they run around as their pieces do."""
    turned = triangles.copy()
    for t, (corners, piece) in enumerate(zip(triangles.tolist(), pieces.tolist(), strict=True)):
        ring = boundary.pieces[piece]
        a, b, c = (ring.index(v) for v in corners)
        if not (a < b < c or b < c < a or c < a < b):
            turned[t] = turned[t, [0, 2, 1]]
    return turned


def _directed_edges(triangles: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([triangles[:, [k, (k + 1) % 3]] for k in range(3)])


def write_mesh(mesh: SurfaceMesh, path: str | os.PathLike[str]) -> None:
    """Write a mesh as PLY, OBJ, glTF (.glb) or STL, by the suffix.

    PLY and OBJ have the vertices with every bit of them, and the normals of the pieces. The other formats are
    written by trimesh (extra `mesh`), with single precision: glTF without normals, which by its definition
    means that triangles are flat, and STL without common vertices.

    Parameters
    ----------
    mesh : SurfaceMesh
    path : path of the file

    Raises
    ------
    InvalidInputError
        If the suffix is another one, the file cannot be written, the mesh is empty, or trimesh is missing.
    """
    target = Path(path)
    check_format(target)
    if not len(mesh.triangles):
        raise InvalidInputError("the boundary has no piece in the domain: there is no mesh to write")
    form = target.suffix[1:].lower()
    content = _by_trimesh(mesh, form) if form not in _OWN else _ply(mesh) if form == "ply" else _obj(mesh)
    with replacing(target, "mesh") as stream:
        stream.write(content)


def check_format(path: Path) -> None:
    """Raise InvalidInputError unless a mesh can be written to a path."""
    if path.suffix[1:].lower() not in FORMATS:
        raise InvalidInputError(f"{path}: meshes are written as .{', .'.join(FORMATS)}")
    if path.suffix[1:].lower() not in _OWN:
        optional_import("trimesh", "mesh", f"a mesh as {path.suffix.lower()}")
    check_writable(path)


def _ply(mesh: SurfaceMesh) -> bytes:
    """Return a binary PLY; trimesh would round the vertices to single precision."""
    triangle = np.dtype([("count", "u1"), ("corners", "<i4", 3), ("normal", "<f8", 3)])
    faces = np.zeros(len(mesh.triangles), triangle)
    faces["count"], faces["corners"], faces["normal"] = 3, mesh.triangles, mesh.normals
    lines = ["ply", "format binary_little_endian 1.0", "comment exact boundary of a ReLU network"]
    lines += [f"element vertex {len(mesh.points)}", *(f"property double {axis}" for axis in "xyz")]
    lines += [f"element face {len(faces)}", "property list uchar int vertex_indices"]
    lines += [*(f"property double n{axis}" for axis in "xyz"), "end_header\n"]
    return "\n".join(lines).encode() + mesh.points.astype("<f8").tobytes() + faces.tobytes()


def _obj(mesh: SurfaceMesh) -> bytes:
    """Return a text of lines, with one normal for each piece; trimesh knows only normals of vertices."""
    _, first, own = np.unique(mesh.pieces, return_index=True, return_inverse=True)
    lines = ["# exact boundary of a ReLU network"]
    lines += ["v " + " ".join(map(repr, point)) for point in mesh.points.tolist()]
    lines += ["vn " + " ".join(map(repr, normal)) for normal in mesh.normals[first].tolist()]
    for corners, normal in zip((mesh.triangles + 1).tolist(), (own.ravel() + 1).tolist(), strict=True):
        lines.append("f " + " ".join(f"{corner}//{normal}" for corner in corners))
    return ("\n".join(lines) + "\n").encode()


def _by_trimesh(mesh: SurfaceMesh, form: str) -> bytes:
    trimesh = optional_import("trimesh", "mesh", f"a mesh as .{form}")
    surface = trimesh.Trimesh(mesh.points, mesh.triangles, process=False, validate=False)
    return bytes(surface.export(file_type=form))
