"""A decision boundary as an object: its pieces, what they have in common, and what can be asked of them.

Finding them is left to `decision_boundaries`, meshes to `surface_meshes`, distances to `point_distances`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from regions.analysis.boundaries.exact_pieces import ExactFaces
from regions.complexes import Certificate, Completeness
from regions.domain import Domain
from regions.domain.intrinsic import lock_arrays
from regions.errors import CertificateError, InvalidInputError
from regions.network.patterns import unpack
from regions.network.relu_network import Network
from regions.showing import Shown

if TYPE_CHECKING:
    from regions.analysis.boundaries.point_distances import BoundaryDistances
    from regions.analysis.boundaries.surface_meshes import SurfaceMesh

__all__ = ["BoundaryComplex"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class BoundaryComplex(Shown):
    """The set on which a network's decision changes, as flat pieces of dimension d - 1 that meet in faces.

    Which pieces there are, and which faces they share, is exact: vertices are rational points, rounded in
    `points` only. Coordinates are intrinsic.

    Attributes
    ----------
    network, domain : what was asked about
    level : float, of a network of one output, whose decision is whether the output is above it; else None
    points : (n_vertices, d) float64, each rounded once
    pieces : tuple of m tuples, the vertices of each piece; for d = 3 in order around it, counterclockwise
        seen from the second class; for d = 2 with the second class on the left
    pairs : (m, 2) int64, the classes on the two sides, the smaller one first; of a level 0 below and 1 above
    volumes : (m,) float64, (d-1)-volumes in input units
    normals : (m, d) float64 of length 1, from the first class to the second
    patterns : (m, ceil(n_units / 8)) uint8, the network's packed pattern on the side of the first class
    crosses : (m,) bool, whether a piece crosses that cell; else it is a facet of it, beyond which the second
        class begins with another pattern
    status : Completeness, TRUNCATED where a limit or Ctrl-C ended the search: then pieces are missing
    certificate : Certificate, how the signs of the search were decided
    faces : ExactFaces, the vertices, edges, ... of the pieces in rational arithmetic; the pieces come last
    seconds : float, wall time

    Examples
    --------
    >>> from regions import Box, Network, decision_boundary
    >>> diamond = Network.from_arrays(  # |x| + |y|
    ...     [[[1, 0], [-1, 0], [0, 1], [0, -1]], [[1, 1, 1, 1]]], [[0, 0, 0, 0], [0]])
    >>> boundary = decision_boundary(diamond, Box([-2, -2], [2, 2]), level=1.0)
    >>> boundary.n_pieces, boundary.total_volume, boundary.n_components, boundary.is_closed
    (4, 5.656854249492381, 1, True)
    """

    network: Network
    domain: Domain
    level: float | None
    points: FloatArray
    pieces: tuple[tuple[int, ...], ...]
    pairs: IntArray
    volumes: FloatArray
    normals: FloatArray
    patterns: NDArray[np.uint8]
    crosses: NDArray[np.bool_]
    status: Completeness
    certificate: Certificate
    faces: ExactFaces
    seconds: float

    def __post_init__(self) -> None:
        lock_arrays(tuple(vars(self).values()))

    def _headline(self) -> str:
        return (
            f"{self.n_pieces} pieces of dimension {self.dimension - 1} in {self.n_components} components, "
            f"{self.status.value}"
        )

    @property
    def n_pieces(self) -> int:
        """Number of pieces m."""
        return len(self.pieces)

    @property
    def dimension(self) -> int:
        """Dimension d of the domain, one more than that of the pieces."""
        return self.domain.dimension

    @property
    def total_volume(self) -> float:
        """Length (d = 2), area (d = 3) or (d-1)-volume of all pieces, in input units."""
        return float(self.volumes.sum())

    def pattern(self, piece: int) -> NDArray[np.bool_]:
        """Return the activation pattern (n_units,) beside a piece, on the side of its first class."""
        return unpack(self.patterns[self._index(piece)], self.network.n_units)

    def _index(self, piece: int) -> int:
        whole = isinstance(piece, int | np.integer) and not isinstance(piece, bool)
        if not (whole and 0 <= piece < self.n_pieces):
            raise InvalidInputError(f"piece {piece!r} of {self.n_pieces}; give a whole number, from 0")
        return int(piece)

    def volume_by_pair(self) -> dict[tuple[int, int], float]:
        """Return the length or area of the boundary between each two classes that meet."""
        found: dict[tuple[int, int], float] = {}
        for i, j in np.unique(self.pairs, axis=0).tolist():
            between = (self.pairs == (i, j)).all(axis=1)
            found[i, j] = float(self.volumes[between].sum())
        return found

    @cached_property
    def pieces_at_ridges(self) -> tuple[tuple[int, ...], ...]:
        """The pieces that meet in each ridge, a face of dimension d - 2 (in the plane a vertex)."""
        if self.dimension == 1:
            return ()
        meeting: list[list[int]] = [[] for _ in self.faces.faces[-2]]
        for piece, ridges in enumerate(self.faces.below[-1]):
            for ridge in ridges:
                meeting[ridge].append(piece)
        return tuple(map(tuple, meeting))

    @cached_property
    def adjacency(self) -> IntArray:
        """Pairs of pieces that share a ridge, (k, 2) int64, each once, the smaller number first."""
        found = {
            (first, second)
            for pieces in self.pieces_at_ridges
            for place, first in enumerate(pieces)
            for second in pieces[place + 1 :]
        }
        return np.array(sorted(found), np.int64).reshape(-1, 2)

    @cached_property
    def components(self) -> IntArray:
        """The connected component of each piece, (m,) int64, joined through ridges."""
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        m, (a, b) = self.n_pieces, self.adjacency.T
        if not m:
            return np.zeros(0, np.int64)
        graph = coo_array((np.ones(a.size, np.int8), (a, b)), shape=(m, m))
        return np.asarray(connected_components(graph, directed=False)[1], np.int64)

    @property
    def n_components(self) -> int:
        """Number of connected components."""
        return int(self.components.max(initial=-1)) + 1

    @property
    def f_vector(self) -> tuple[int, ...]:
        """Number of faces of dimension 0, ..., d - 1; the last are the pieces."""
        return self.faces.f_vector

    @property
    def euler_characteristic(self) -> int:
        """Alternating sum of the numbers of faces: of a closed surface 2 - 2 genus for each component."""
        return self.faces.euler_characteristic

    @cached_property
    def is_closed(self) -> bool:
        """Whether the boundary is complete, does not leave the domain, and no ridge has one piece only."""
        complete = self.status is Completeness.COMPLETE
        if self.dimension == 1:
            return complete
        return (
            complete and not any(self.faces.sides[-2]) and min(map(len, self.pieces_at_ridges), default=2) > 1
        )

    @cached_property
    def is_manifold(self) -> bool:
        """Whether each ridge inside of the domain has exactly two pieces."""
        if self.dimension == 1:
            return True
        ridges = zip(self.pieces_at_ridges, self.faces.sides[-2], strict=True)
        return all(len(pieces) == 2 for pieces, sides in ridges if not sides)

    @property
    def is_watertight(self) -> bool:
        """Whether it is closed and each ridge has exactly two pieces."""
        return self.is_closed and self.is_manifold

    def check(self) -> None:
        """Raise CertificateError if pieces are missing: around a ridge, one class follows another.

        So of a level, or of two classes, an even number of pieces meet in each ridge inside of the domain;
        among more classes not one alone. `decision_boundary` has done this with all pairs.
        """
        if self.dimension == 1 or self.status is not Completeness.COMPLETE:
            return
        for pieces, sides in zip(self.pieces_at_ridges, self.faces.sides[-2], strict=True):
            classes = {c for piece in pieces for c in self.pairs[piece].tolist()}
            if not sides and (len(pieces) == 1 or (len(classes) == 2 and len(pieces) % 2)):
                raise CertificateError(
                    f"{len(pieces)} pieces meet in a ridge inside of the domain: pieces are missing; please "
                    "report this network"
                )

    def distances(self, points: ArrayLike) -> BoundaryDistances:
        """Return the exact distances of points (N, d), intrinsic, from the boundary, and the nearest points.

        Raises
        ------
        InvalidInputError
            If the points do not fit, or there is no piece.
        """
        from regions.analysis.boundaries.point_distances import boundary_distances

        return boundary_distances(self, points)

    def mesh(self) -> SurfaceMesh:
        """Return the boundary of a 3-D domain as a mesh of triangles.

        Raises
        ------
        InvalidInputError
            If d is not 3.
        """
        from regions.analysis.boundaries.surface_meshes import surface_mesh

        return surface_mesh(self)

    def write_mesh(self, path: str | os.PathLike[str]) -> None:
        """Write the mesh as .ply, .obj, .glb or .stl; see `write_mesh`."""
        from regions.analysis.boundaries.surface_meshes import write_mesh

        write_mesh(self.mesh(), path)

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers that describe the boundary, ready for JSON."""
        return {
            "status": self.status.value,
            "level": self.level,
            "dimension": self.dimension,
            "pieces": self.n_pieces,
            "f_vector": list(self.f_vector),
            "volume": self.total_volume,
            "volume_by_pair": [
                {"classes": list(pair), "volume": volume} for pair, volume in self.volume_by_pair().items()
            ],
            "components": self.n_components,
            "euler_characteristic": self.euler_characteristic,
            "closed": self.is_closed,
            "watertight": self.is_watertight,
            "seconds": self.seconds,
        }
