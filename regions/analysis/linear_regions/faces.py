"""The faces of all dimensions of a cell complex: f-vector, Euler characteristic, activation regions."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import and_
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regions.analysis.arguments import check_complex
from regions.analysis.linear_regions.endless_geometry import EndlessGeometry
from regions.analysis.linear_regions.exact_geometry import ExactGeometry
from regions.complexes import CellComplex, Completeness
from regions.errors import BudgetExceededError, CertificateError, InvalidInputError
from regions.network.relu_network import Network
from regions.rational import ExactCell
from regions.showing import Shown

REPORTS_PER_SECOND = 10.0
Signs = list[dict[tuple[int, ...], tuple[int, int]]]  # by dimension: vertices -> (active, zero) units


@dataclass(frozen=True, eq=False)
class FaceLattice(Shown):
    """All faces of a complete complex, those on the domain's boundary included; none is counted twice.

    Attributes
    ----------
    points : (f_0, d) float64, the vertices, rounded from exact ones
    faces : d + 1 tuples, by dimension; a face is the sorted tuple of its vertices' numbers
    active, zero : d + 1 tuples of int, for each face which units are > 0 and which are exactly 0 in
        its relative interior, as bits in flat unit order; the others are < 0. Of a max unit's candidates the
        first of the largest is active, and those are zero that tie with the winner of a cell around it
    rays : (k, d) float64, of an unbounded domain: the directions in which edges go on, rounded, of length 1
        In a face, the number `len(points) + j` means ray j: the face holds the points plus all multiples >= 0
        of its rays. Where cells hold lines, a point stands for the lines through it.
    at_infinity : d tuples, of an unbounded domain: by dimension, the faces in which others end at infinity
        They have rays only, an edge's end is one of dimension 0, and they are none of `faces`.

    Examples
    --------
    >>> from regions import Box, Network, enumerate_cells
    >>> lines = Network.from_arrays([[[1.0, 0.0], [0.0, 1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.0]])
    >>> lattice = face_lattice(enumerate_cells(lines, Box([-1.0, -1.0], [1.0, 1.0])))
    >>> lattice.f_vector, lattice.euler_characteristic, lattice.n_activation_patterns
    ((9, 12, 4), 1, 4)
    >>> from regions.domain import WholeSpace
    >>> endless = face_lattice(enumerate_cells(lines, WholeSpace(2)))
    >>> endless.f_vector, sorted(endless.rays.tolist()), [len(faces) for faces in endless.at_infinity]
    ((1, 4, 4), [[-1.0, 0.0], [0.0, -1.0], [0.0, 1.0], [1.0, 0.0]], [4, 4])
    """

    points: NDArray[np.float64]
    faces: tuple[tuple[tuple[int, ...], ...], ...]
    active: tuple[tuple[int, ...], ...]
    zero: tuple[tuple[int, ...], ...]
    rays: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 0)))
    at_infinity: tuple[tuple[tuple[int, ...], ...], ...] = ()

    @property
    def f_vector(self) -> tuple[int, ...]:
        """Number of faces of dimension 0, ..., d."""
        return tuple(len(faces) for faces in self.faces)

    def _headline(self) -> str:
        return f"{', '.join(f'{n:,}' for n in self.f_vector)} faces of dimension 0 to {len(self.faces) - 1}"

    def _facts(self) -> dict[str, Any]:
        counts = {f"dimension {k}": n for k, n in enumerate(self.f_vector)}
        counts |= {f"dimension {k}, at infinity": len(faces) for k, faces in enumerate(self.at_infinity)}
        return {**counts, "Euler characteristic": self.euler_characteristic}

    @property
    def euler_characteristic(self) -> int:
        """Alternating sum of the f-vector; 1 on a bounded domain, and (-1)^d on the whole space."""
        return sum((-1) ** k * n for k, n in enumerate(self.f_vector))

    @property
    def n_activation_patterns(self) -> int:
        """Number of activation patterns (units > 0) realised at any point of the closed domain (R1).

        Max units are on their first largest candidate, also where several tie.
        """
        return len({pattern for patterns in self.active for pattern in patterns})


def face_lattice(
    cells: CellComplex,
    *,
    max_cells: int = 20_000,
    geometry: ExactGeometry | None = None,
    progress: Callable[[int, float], None] | None = None,
) -> FaceLattice:
    """The faces of a complete complex, found exactly.

    A face is the intersection of facets of a cell; as cells meet in common faces, equal vertex sets
    mean equal faces. A unit vanishes on a face iff it does at all its vertices, and elsewhere has
    in its relative interior the sign that it has in the cell: no further arithmetic is needed. A cell
    without end is a polytope with vertices at infinity.

    Parameters
    ----------
    cells : CellComplex, COMPLETE; of any domain
    max_cells : int
    geometry : exact cells, if they have been computed already
    progress : called about ten times a second with cells done and fraction done

    Raises
    ------
    InvalidInputError
        If the complex is TRUNCATED.
    BudgetExceededError
        If it has more than max_cells cells. Cost: about 1 ms per cell for d = 2, 3 ms for d = 3.
    CertificateError
        If the Euler characteristic is not that of the domain: cells are missing or wrong.
    """
    check_complex(cells)
    if cells.status is not Completeness.COMPLETE:
        raise InvalidInputError("faces need a COMPLETE complex, this one is TRUNCATED; enumerate all of it")
    if cells.n_cells > max_cells:
        raise BudgetExceededError(
            f"{cells.n_cells} cells, the face lattice is limited to {max_cells}; use a smaller domain or "
            "raise max_cells"
        )
    if cells.clipped is not None:
        return _endless_lattice(cells, progress)
    known = geometry or ExactGeometry(cells)
    signs: Signs = [{} for _ in range(cells.dimension + 1)]
    n_sides, rivals = len(known.exact.halfspace_rows), _candidates(cells.network)
    for i in _reported(cells.n_cells, progress):
        _add_faces(known.cell(i), known.vertices(i), n_sides, rivals, signs)
    return _checked(_lattice(known.points, signs), 1)


def _reported(n: int, progress: Callable[[int, float], None] | None) -> Iterator[int]:
    """Return the numbers of cells one by one, with a report about ten times a second."""
    last = time.perf_counter()
    for i in range(n):
        yield i
        now = time.perf_counter()
        if progress is not None and now - last > 1.0 / REPORTS_PER_SECOND:
            last = now
            progress(i + 1, (i + 1) / n)


def _lattice(points: Sequence[tuple[int, ...]], signs: Signs) -> FaceLattice:
    return FaceLattice(
        points=np.array([[x / point[-1] for x in point[:-1]] for point in points]),
        faces=tuple(tuple(level) for level in signs),
        active=tuple(tuple(active for active, _ in level.values()) for level in signs),
        zero=tuple(tuple(zero for _, zero in level.values()) for level in signs),
    )


def _checked(lattice: FaceLattice, expected: int) -> FaceLattice:
    """Return a lattice; raise CertificateError unless it has the Euler characteristic of its domain."""
    if lattice.euler_characteristic != expected:
        raise CertificateError(
            f"the faces {lattice.f_vector} have Euler characteristic {lattice.euler_characteristic} instead "
            f"of {expected}: cells are missing or wrong"
        )
    return lattice


def _endless_lattice(cells: CellComplex, progress: Callable[[int, float], None] | None) -> FaceLattice:
    """Return the faces of a complex whose cells may have no end, with those at infinity told apart."""
    geometry, d = EndlessGeometry(cells), cells.dimension
    signs: Signs = [{} for _ in range(d + 1)]
    n_sides, rivals = len(geometry.exact.halfspace_rows), _candidates(cells.network)
    for i in _reported(cells.n_cells, progress):
        cell, numbers = geometry.section(i)
        _add_faces(cell, numbers, n_sides, rivals, signs[geometry.n_lines :])
    n = len(geometry.points)
    renumbered = [
        {tuple(sorted(k if k >= 0 else n - 1 - k for k in key)): face for key, face in level.items()}
        for level in signs
    ]
    finite = [{key: face for key, face in level.items() if key[0] < n} for level in renumbered]
    ends = tuple(tuple(key for key in level if key[0] >= n) for level in renumbered[:-1])
    lattice = replace(_lattice(geometry.points, finite), rays=geometry.rays, at_infinity=ends)
    lattice = _checked(lattice, geometry.euler_characteristic)
    # with its ends at infinity a convex set is a ball; lines of n dimensions end in a sphere of n - 1
    sphere = 1 - (-1) ** geometry.n_lines
    outer = sphere + sum((-1) ** k * len(faces) for k, faces in enumerate(ends))
    whole = lattice.euler_characteristic + outer
    if whole != 1:
        raise CertificateError(
            f"the faces with those at infinity have Euler characteristic {whole} instead of 1: cells are "
            "missing or wrong"
        )
    return lattice


def _candidates(network: Network) -> list[int]:
    """Return the candidates of each max unit, as bits in flat unit order."""
    if (table := network.max_units) is None:
        return []
    firsts = np.unique(table.first[table.first >= 0]).tolist()
    return [((1 << int(table.size[first])) - 1) << first for first in firsts]


def _add_faces(
    cell: ExactCell, numbers: Sequence[int], n_sides: int, rivals: list[int], signs: Signs
) -> None:
    """Put the faces of a cell, whose vertices have numbers, into the dictionaries by dimension."""
    pattern = sum(1 << unit for unit, state in enumerate(cell.pattern) if state)
    always_zero = sum(1 << unit for unit in cell.zero_units)
    masks = [mask >> n_sides for mask in cell.polytope.masks]
    for faces, known in zip(cell.polytope.faces(), signs, strict=True):
        for face in faces:
            members = [k for k in range(len(masks)) if face >> k & 1]
            key = tuple(sorted(numbers[k] for k in members))
            if key not in known:
                zero = reduce(and_, (masks[k] for k in members)) | always_zero
                known[key] = (_with_first_of_ties(pattern & ~zero, zero, rivals), zero)


def _with_first_of_ties(active: int, tied: int, rivals: list[int]) -> int:
    """Return active units, with the first candidate that ties with the winner of a max unit in its place."""
    for candidates in rivals:
        level = candidates & tied
        winner = candidates & active
        if level and level & -level < winner:
            active ^= winner | level & -level
    return active
