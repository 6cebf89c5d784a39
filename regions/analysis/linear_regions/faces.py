"""The faces of all dimensions of a cell complex: f-vector, Euler characteristic, activation regions."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from operator import and_
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regions.analysis.arguments import check_bounded, check_complex
from regions.analysis.linear_regions.exact_geometry import ExactGeometry
from regions.complexes import CellComplex, Completeness
from regions.errors import BudgetExceededError, CertificateError, InvalidInputError
from regions.network.relu_network import Network
from regions.showing import Shown

REPORTS_PER_SECOND = 10.0


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

    Examples
    --------
    >>> from regions import Box, Network, enumerate_cells
    >>> lines = Network.from_arrays([[[1.0, 0.0], [0.0, 1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.0]])
    >>> lattice = face_lattice(enumerate_cells(lines, Box([-1.0, -1.0], [1.0, 1.0])))
    >>> lattice.f_vector, lattice.euler_characteristic, lattice.n_activation_patterns
    ((9, 12, 4), 1, 4)
    """

    points: NDArray[np.float64]
    faces: tuple[tuple[tuple[int, ...], ...], ...]
    active: tuple[tuple[int, ...], ...]
    zero: tuple[tuple[int, ...], ...]

    @property
    def f_vector(self) -> tuple[int, ...]:
        """Number of faces of dimension 0, ..., d."""
        return tuple(len(faces) for faces in self.faces)

    def _headline(self) -> str:
        return f"{', '.join(f'{n:,}' for n in self.f_vector)} faces of dimension 0 to {len(self.faces) - 1}"

    def _facts(self) -> dict[str, Any]:
        counts = {f"dimension {k}": n for k, n in enumerate(self.f_vector)}
        return {**counts, "Euler characteristic": self.euler_characteristic}

    @property
    def euler_characteristic(self) -> int:
        """Alternating sum of the f-vector; 1, as a convex domain is contractible."""
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
    in its relative interior the sign that it has in the cell: no further arithmetic is needed.

    Parameters
    ----------
    cells : CellComplex, COMPLETE
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
        If the Euler characteristic is not 1: cells are missing or wrong.
    """
    check_complex(cells)
    check_bounded(cells, "faces")
    if cells.status is not Completeness.COMPLETE:
        raise InvalidInputError("faces need a COMPLETE complex, this one is TRUNCATED; enumerate all of it")
    if cells.n_cells > max_cells:
        raise BudgetExceededError(
            f"{cells.n_cells} cells, the face lattice is limited to {max_cells}; use a smaller domain or "
            "raise max_cells"
        )
    known = geometry or ExactGeometry(cells)
    signs: list[dict[tuple[int, ...], tuple[int, int]]] = [{} for _ in range(cells.dimension + 1)]
    last = time.perf_counter()
    for i in range(cells.n_cells):
        _add_faces(known, i, signs)
        now = time.perf_counter()
        if progress is not None and now - last > 1.0 / REPORTS_PER_SECOND:
            last = now
            progress(i + 1, (i + 1) / cells.n_cells)
    lattice = FaceLattice(
        points=np.array([[x / point[-1] for x in point[:-1]] for point in known.points]),
        faces=tuple(tuple(level) for level in signs),
        active=tuple(tuple(active for active, _ in level.values()) for level in signs),
        zero=tuple(tuple(zero for _, zero in level.values()) for level in signs),
    )
    if lattice.euler_characteristic != 1:
        raise CertificateError(
            f"the faces {lattice.f_vector} have Euler characteristic {lattice.euler_characteristic} instead "
            "of 1: cells are missing or wrong"
        )
    return lattice


def _candidates(network: Network) -> list[int]:
    """Return the candidates of each max unit, as bits in flat unit order."""
    if (table := network.max_units) is None:
        return []
    firsts = np.unique(table.first[table.first >= 0]).tolist()
    return [((1 << int(table.size[first])) - 1) << first for first in firsts]


def _add_faces(geometry: ExactGeometry, i: int, signs: list[dict[tuple[int, ...], tuple[int, int]]]) -> None:
    """Put the faces of a cell into the dictionaries by dimension: vertices -> (active, zero) units."""
    cell, numbers = geometry.cell(i), geometry.vertices(i)
    n_sides = len(geometry.exact.halfspace_rows)
    pattern = sum(1 << unit for unit, state in enumerate(cell.pattern) if state)
    always_zero = sum(1 << unit for unit in cell.zero_units)
    rivals = _candidates(geometry.cells.network)
    masks = [mask >> n_sides for mask in cell.polytope.masks]
    for dimension, faces in enumerate(cell.polytope.faces()):
        for face in faces:
            members = [k for k in range(len(masks)) if face >> k & 1]
            key = tuple(sorted(numbers[k] for k in members))
            if key not in signs[dimension]:
                zero = reduce(and_, (masks[k] for k in members)) | always_zero
                active = _with_first_of_ties(pattern & ~zero, zero, rivals)
                signs[dimension][key] = (active, zero)


def _with_first_of_ties(active: int, tied: int, rivals: list[int]) -> int:
    """Return active units, with the first candidate that ties with the winner of a max unit in its place."""
    for candidates in rivals:
        level = candidates & tied
        winner = candidates & active
        if level and level & -level < winner:
            active ^= winner | level & -level
    return active
