"""How sublevel sets of an output change with the level: persistent homology and critical points.

On each cell the output is affine, so the sublevel set at a height is, up to deformation, made of the faces
whose vertices are all below: the lower-star filtration.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from regions.analysis.arguments import check_complex
from regions.analysis.boundaries.exact_pieces import ExactFaces
from regions.analysis.topology.reduction import reduced
from regions.analysis.topology.spaces import MAX_CELLS, check_domain, check_size, faces_of
from regions.complexes import CellComplex
from regions.domain.intrinsic import lock_arrays
from regions.errors import CertificateError, InvalidInputError
from regions.showing import Shown

__all__ = ["CriticalPoints", "Persistence", "critical_points", "persistence"]


@dataclass(frozen=True)
class Persistence(Shown):
    """When classes of homology of the sublevel sets of an output are born and die, over two elements.

    Attributes
    ----------
    pairs : by dimension, tuples of pairs of Fraction, birth and death
        A death None: the class is the domain's own. Pairs that are born and die at one height are left out.
    """

    pairs: tuple[tuple[tuple[Fraction, Fraction | None], ...], ...]

    def diagram(self, dimension: int) -> NDArray[np.float64]:
        """Return births and deaths of one dimension, (n, 2) float64; inf for what does not die."""
        rows = [(float(b), math.inf if d is None else float(d)) for b, d in self.pairs[dimension]]
        return np.array(rows).reshape(-1, 2)

    def betti(self, height: float | Fraction) -> tuple[int, ...]:
        """Return the Betti numbers of the sublevel set {output <= height}."""
        at = Fraction(height)
        return tuple(
            sum(birth <= at and (death is None or at < death) for birth, death in level)
            for level in self.pairs
        )


@dataclass(frozen=True, eq=False)
class CriticalPoints(Shown):
    """Vertices at which the sublevel sets of an output change, with their indices.

    Attributes
    ----------
    points : (n, d) float64, intrinsic, rounded
    heights : tuple of n Fraction, the output there
    multiplicities : (n, d + 1) int64, how often each has each index: minima 0, saddles between, maxima d
        The domain's border counts as it is: a least value on it is a minimum.
    """

    points: NDArray[np.float64]
    heights: tuple[Fraction, ...]
    multiplicities: NDArray[np.int64]

    def __post_init__(self) -> None:
        lock_arrays(tuple(vars(self).values()))


def persistence(cells: CellComplex, output: int = 0, *, max_cells: int = MAX_CELLS) -> Persistence:
    """Return the persistent homology of the sublevel sets of an output, exactly.

    Parameters
    ----------
    cells : CellComplex, COMPLETE, of a bounded domain of up to 6 dimensions
    output : int
    max_cells : int, some milliseconds each

    Raises
    ------
    InvalidInputError, InvalidDomainError
        If an argument cannot be used.
    BudgetExceededError
        If there are more cells, or the complex is TRUNCATED.

    References
    ----------
    Edelsbrunner and Harer, Computational topology (2010), sections VI.3 and VII.1.

    Examples
    --------
    >>> from regions import Box, Network, enumerate_cells
    >>> wells = Network.from_arrays(  # ||x| - 1|
    ...     [[[1.0]], [[1.0]]], [[0.0], [-1.0]], [True, True], slopes=["abs", "abs"])
    >>> found = persistence(enumerate_cells(wells, Box([-2.0], [3.0])))
    >>> found.diagram(0).tolist(), found.betti(0.5)
    ([[0.0, 1.0], [0.0, inf]], (2, 0))
    """
    faces, heights = _heights_of(cells, output, max_cells)
    order, top = _lower_star_order(faces, heights)
    place = {face: n for n, face in enumerate(order)}
    below = [[place[k - 1, part] for part in faces.below[k][number]] for k, number in order]
    found = reduced(below, [k for k, _ in order])
    pairs: list[list[tuple[Fraction, Fraction | None]]] = [[] for _ in faces.faces]
    for born, dead in found.pairs:
        (k, number), (_, filler) = order[born], order[dead]
        birth, death = heights[top[k][number]], heights[top[k + 1][filler]]
        if birth < death:
            pairs[k].append((birth, death))
    for born in found.unpaired:
        k, number = order[born]
        pairs[k].append((heights[top[k][number]], None))
    return Persistence(tuple(tuple(sorted(level, key=_by_birth)) for level in pairs))


def critical_points(cells: CellComplex, output: int = 0, *, max_cells: int = MAX_CELLS) -> CriticalPoints:
    """Return the vertices at which the sublevel sets of an output change, with their indices.

    A vertex has the index k as often as its lower star has homology of dimension k relative to what was
    there before. Of neighbouring vertices of one height that of the lower number comes first, which may add
    pairs that cancel.

    Parameters, errors and cost are those of `persistence`.

    Returns
    -------
    CriticalPoints, in the order of their heights
        Checked: the alternating sum of all multiplicities is the Euler characteristic of the domain, 1.

    References
    ----------
    Grigsby, Lindsey and Masden, Local and global topological complexity measures of ReLU neural network
    functions, 2022.

    Examples
    --------
    >>> from regions import Box, Network, enumerate_cells
    >>> bowl = Network.from_arrays([[[1, 0], [0, 1]], [[1, 1]]], [[0, 0], [0]], slopes=["abs", None])
    >>> found = critical_points(enumerate_cells(bowl, Box([-1, -1], [1, 1])))
    >>> found.points.tolist(), found.multiplicities.tolist()
    ([[0.0, 0.0]], [[1, 0, 0]])
    """
    faces, heights = _heights_of(cells, output, max_cells)
    order, top = _lower_star_order(faces, heights)
    stars: dict[int, list[tuple[int, int]]] = {}
    for k, number in order:
        stars.setdefault(top[k][number], []).append((k, number))
    kept, multiplicities = [], []
    for vertex in sorted(stars, key=lambda v: (heights[v], v)):
        star = stars[vertex]
        place = {face: n for n, face in enumerate(star)}
        below = [
            [place[k - 1, part] for part in faces.below[k][number] if (k - 1, part) in place]
            for k, number in star
        ]
        left = [star[n][0] for n in reduced(below, [k for k, _ in star]).unpaired]
        if left:
            kept.append(vertex)
            multiplicities.append([left.count(k) for k in range(len(faces.faces))])
    counts = np.array(multiplicities, np.int64)
    total = int((counts * (-1) ** np.arange(counts.shape[1])).sum())
    if total != 1:
        raise CertificateError(
            f"the indices of all critical points sum to {total} instead of 1: cells are missing"
        )
    points = [[x / faces.points[v][-1] for x in faces.points[v][:-1]] for v in kept]
    return CriticalPoints(np.array(points), tuple(heights[v] for v in kept), counts)


def _by_birth(pair: tuple[Fraction, Fraction | None]) -> tuple[Fraction, bool, Fraction]:
    birth, death = pair
    return birth, death is None, Fraction(0) if death is None else death


def _heights_of(cells: CellComplex, output: int, max_cells: int) -> tuple[ExactFaces, list[Fraction]]:
    """Return the faces of all cells, and the output at each vertex."""
    check_complex(cells)
    outputs = cells.network.output_dim
    if isinstance(output, bool) or not isinstance(output, int | np.integer) or not 0 <= output < outputs:
        raise InvalidInputError(f"output is {output!r}; give one of 0 to {outputs - 1}")
    check_domain(cells.domain)
    check_size(cells, max_cells)
    faces, geometry = faces_of(cells, np.arange(cells.n_cells))
    number = {point: v for v, point in enumerate(faces.points)}
    heights: list[Fraction | None] = [None] * len(faces.points)
    columns, shift = cells.dimension + 1, geometry.exact.output_shift
    for i in range(cells.n_cells):
        entries = geometry.exact.output_integers(geometry.patterns[i])
        row = entries[output * columns : (output + 1) * columns]
        for point in geometry.cell(i).polytope.vertices:
            v = number[point]
            if heights[v] is None:
                value = sum(a * x for a, x in zip(row, point, strict=True))
                heights[v] = Fraction(value, int(point[-1]) << shift)
    return faces, [height for height in heights if height is not None]


def _lower_star_order(
    faces: ExactFaces, heights: Sequence[Fraction]
) -> tuple[list[tuple[int, int]], list[list[int]]]:
    """Return faces (dimension, number) in the order in which they come, and each one's highest vertex."""
    rank = {v: n for n, v in enumerate(sorted(range(len(heights)), key=lambda v: (heights[v], v)))}
    top = [[max(face, key=rank.__getitem__) for face in level] for level in faces.faces]
    order = [(k, number) for k, level in enumerate(top) for number in range(len(level))]
    order.sort(key=lambda face: (rank[top[face[0]][face[1]]], face))
    return order, top
