"""The rows of a cone over a cell, in floats and in integers, and programs over its known facets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import overload

import numpy as np
from numpy.typing import NDArray

from regions.exploration.cone_proofs import surely_positive
from regions.optimize import BoxPrograms
from regions.rational.exact_cells import OrientedRows

__all__ = ["Cone", "ExactRows", "KnownFacets", "first_met", "is_beyond", "near_pairs"]

FloatArray = NDArray[np.float64]
IntegerRow = tuple[int, ...]

MARGIN = 1e-9  # how much farther, relative, the second row on a ray must be than the first
ALIKE = 1e-9  # rows of length 1 closer than this may be the same
PROJECTED = 8  # directions in which rows are compared
SECONDS = 600.0  # of one program; a row that takes longer stays open


class ExactRows(Sequence[IntegerRow]):
    """Rows in integers, made when they are asked for.

    Parameters
    ----------
    oriented : OrientedRows
    units : whose rows come first
    others : list of integer rows, which follow
    """

    def __init__(self, oriented: OrientedRows, units: list[int], others: list[IntegerRow]) -> None:
        self._oriented, self._units, self._others = oriented, units, others

    def __len__(self) -> int:
        return len(self._units) + len(self._others)

    @overload
    def __getitem__(self, k: int) -> IntegerRow: ...
    @overload
    def __getitem__(self, k: slice) -> list[IntegerRow]: ...
    def __getitem__(self, k: int | slice) -> IntegerRow | list[IntegerRow]:
        if isinstance(k, slice):
            return [self[j] for j in range(*k.indices(len(self)))]
        if not -len(self) <= k < len(self):
            raise IndexError(f"there are {len(self)} rows, not one with number {k}")
        k %= len(self)
        n = len(self._units)
        return self._oriented(self._units[k]) if k < n else self._others[k - n]


@dataclass
class Cone:
    """The cone over a cell: rows of length 1, >= 0 in it.

    Attributes
    ----------
    rows : (m, d + 1) float64: those of `units` (of a candidate that loses in a max unit, what the winner
        leads by), the domain's sides, and s itself
    units : (k,) int64, the unit of each of the first rows
    exact : ExactRows, the m rows in integers
    levels : (m,) int64, how many affine layers there are whose values the row is a function of
    rooms : list of int, for each level a bound on the dimension of the space of all such rows
    alike : for each of `units`, all units with its hyperplane, and the winners that candidates trail there
    zero_units : the units that are 0 on the whole cell
    beyond : set of int, rows of facets
    """

    rows: FloatArray
    units: NDArray[np.int64]
    exact: ExactRows
    levels: NDArray[np.int64]
    rooms: list[int]
    alike: list[tuple[int, ...]]
    zero_units: tuple[int, ...]
    beyond: set[int] = field(default_factory=set)

    @cached_property
    def programs(self) -> BoxPrograms:
        """Programs over the cone, in the cube."""
        return _programs(self.rows)


class KnownFacets:
    """Facets of a cone, with its sides, and programs over these: those known when it was renewed last.

    Parameters
    ----------
    cone : Cone
    deep : (d + 1,) float64, a point surely inside
    """

    def __init__(self, cone: Cone, deep: FloatArray) -> None:
        self.cone, self.deep = cone, deep
        self.renew()

    def renew(self) -> None:
        """Take in the facets that were found since; programs begin from nothing then."""
        others = range(self.cone.units.size, len(self.cone.rows))
        self.numbers = [*sorted(self.cone.beyond), *others]
        self.programs = _programs(self.cone.rows[self.numbers])


def _programs(rows: FloatArray) -> BoxPrograms:
    """Programs over the points of the cube at which rows are >= 0."""
    m, n = rows.shape
    return BoxPrograms(-rows, np.zeros(m), -np.ones(n), np.ones(n), seconds=SECONDS)


def first_met(rows: FloatArray, start: FloatArray, directions: FloatArray) -> list[tuple[int, FloatArray]]:
    """Return for each direction in which one row is met before all others that row, and a point beyond it."""
    slack = rows @ start
    with np.errstate(divide="ignore", invalid="ignore"):
        speed = -directions @ rows.T
        times = np.where(speed > 0.0, slack / speed, np.inf)
    first = times.argmin(axis=1)
    every = np.arange(len(directions))
    at = times[every, first]
    times[every, first] = np.inf
    second = np.minimum(times.min(axis=1), 4.0 * at)
    clear = np.flatnonzero(np.isfinite(at) & (second > at * (1.0 + MARGIN)))
    return [
        (int(first[ray]), start + (0.5 * at[ray] + 0.5 * second[ray]) * directions[ray])
        for ray in clear.tolist()
    ]


def near_pairs(rows: FloatArray) -> list[tuple[int, int]]:
    """Return the pairs of rows of length 1 that are nearly the same, the earlier first.

    Rows that are near each other are near in a few directions.
    """
    from scipy.spatial import cKDTree

    if len(rows) < 2:
        return []
    some = np.random.default_rng(0).normal(size=(rows.shape[1], min(rows.shape[1], PROJECTED)))
    tree = cKDTree(rows @ np.linalg.qr(some)[0])
    pairs = tree.query_pairs(2.0 * np.sqrt(ALIKE), output_type="ndarray")
    return [(int(i), int(k)) for i, k in np.sort(pairs, axis=1).tolist() if rows[i] @ rows[k] > 1.0 - ALIKE]


def is_beyond(rows: FloatArray, row: int, point: FloatArray) -> bool:
    """Prove that a point is beyond one row and inside all others."""
    signed = rows.copy()
    signed[row] *= -1.0
    return bool(surely_positive(signed, point).all())
