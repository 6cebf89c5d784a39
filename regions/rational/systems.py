"""Systems A x <= b of stored floats, decided exactly: strict witnesses, Farkas multipliers, a simplex.

`rows` below are integer rows (a_1, ..., a_d, b), all scaled by one power of two, none of them with
a = 0; answers are `Fraction`s. Choosing candidates in floating point is left to `optimize`.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import lcm
from typing import Any

import numpy as np
from flint import fmpq, fmpq_mat
from numpy.typing import ArrayLike

from regions.errors import BudgetExceededError
from regions.rational.integer_rows import dot, dyadic_integers

Rational = tuple[Fraction, ...]
Rows = list[tuple[int, ...]]


def halfspace_rows(A: ArrayLike, b: ArrayLike) -> Rows:
    """Rows of A x <= b as integers over one common power of two.

    Examples
    --------
    >>> halfspace_rows([[0.5, 1.0]], [0.25])
    [(2, 4, 1)]
    """
    joined = np.column_stack([A, b])
    integers, _ = dyadic_integers(joined)
    width = joined.shape[1]
    return [tuple(integers[k : k + width]) for k in range(0, len(integers), width)]


def inside_all(rows: Rows, point: Sequence[Fraction]) -> bool:
    """Whether a.x < b for every row (b >= 0 for a row of zeros), exactly.

    Examples
    --------
    >>> inside_all([(3, 1)], [Fraction(1, 3)]), inside_all([(4, 1)], [Fraction(1, 5)])
    (False, True)
    """
    common = _common_denominator(point)
    numerators = [int(x * common) for x in point]
    for row in rows:
        slack = row[-1] * common - dot(row[:-1], numerators)
        if slack < 0 or (slack == 0 and any(row[:-1])):
            return False
    return True


def _common_denominator(values: Sequence[Fraction]) -> int:
    return lcm(*(x.denominator for x in values))


def solve_on_support(rows: Rows, support: Sequence[int], values: Sequence[Fraction]) -> list[Fraction] | None:
    """Exact y with y A = 0 near given values on some rows; None if only y = 0 is.

    The last of `support` that depend on the earlier ones keep their values, the others follow.

    Examples
    --------
    >>> solve_on_support([(3, 0, 0), (-1, -1, 0), (0, 2, 0)], [0, 1, 2], [Fraction(1)] * 3)
    [Fraction(2, 3), Fraction(2, 1), Fraction(1, 1)]
    """
    d = len(rows[0]) - 1
    matrix, rank = fmpq_mat(d, len(support), [rows[i][j] for j in range(d) for i in support]).rref()
    if rank == len(support):
        return None
    pivots = [next(k for k in range(len(support)) if matrix[r, k] != 0) for r in range(rank)]
    free = [k for k in range(len(support)) if k not in set(pivots)]
    result = list(values)
    for r, pivot in enumerate(pivots):
        total = fmpq(0)
        for k in free:
            total -= matrix[r, k] * fmpq(values[k].numerator, values[k].denominator)
        result[pivot] = to_fraction(total)
    return result


def balances(rows: Rows, multipliers: Sequence[Fraction], strict: bool) -> bool:
    """Whether y >= 0, y A = 0 and y b < 0; if not `strict`, y b = 0 will do if y > 0 on a row a != 0.

    The first proves A x <= b empty (Farkas), the second that it has no interior points: a point with
    a_i x < b_i on the rows of y would give 0 = y A x < y b <= 0.

    Examples
    --------
    >>> rows = [(1, 0), (-1, 0)]
    >>> balances(rows, [Fraction(1), Fraction(1)], True), balances(rows, [Fraction(1), Fraction(1)], False)
    (False, True)
    """
    if any(y < 0 for y in multipliers):
        return False
    common = _common_denominator(multipliers)
    used = [(int(y * common), row) for y, row in zip(multipliers, rows, strict=True) if y != 0]
    sums = [sum(y * row[j] for y, row in used) for j in range(len(rows[0]))] if used else [0]
    if any(sums[:-1]):
        return False
    return sums[-1] < 0 or (not strict and sums[-1] == 0 and any(any(row[:-1]) for _, row in used))


def decide_interior(
    rows: Rows, start: Sequence[Fraction], max_pivots: int = 100_000
) -> tuple[Rational | None, Rational | None]:
    """A point with a.x < b for all rows, or multipliers that prove that there is none.

    Maximises t subject to a_i x + w_i t <= b_i, t <= 1, w_i = |a_i|_max, in rational arithmetic from
    `start`, by Bland's rule, and stops at the first t > 0. Cost O(m d) rational operations per pivot;
    a pivot of 100 rows in 10 dimensions takes some milliseconds.

    Returns
    -------
    witness, multipliers : one of them None; multipliers one per row, as in `balances`, not strict

    Raises
    ------
    BudgetExceededError
        After `max_pivots` pivots (Bland's rule ends, but may take exponentially many).

    References
    ----------
    Bland, New finite pivoting rules for the simplex method, Math. Oper. Res. 2 (1977).

    Examples
    --------
    >>> decide_interior([(2, 1), (-3, -1)], [Fraction(0)])[0]
    (Fraction(5, 12),)
    >>> decide_interior([(2, 1), (-2, -1)], [Fraction(0)])[1]
    (Fraction(1, 4), Fraction(1, 4))
    """
    d = len(rows[0]) - 1
    lifted = [[*row[:-1], max(map(abs, row[:-1]))] for row in rows] + [[0] * d + [1]]
    right = [row[-1] for row in rows] + [1]
    point = [fmpq(x.numerator, x.denominator) for x in start]
    height = min((right[i] - dot(lifted[i][:d], point)) / fmpq(lifted[i][d]) for i in range(len(right)))
    point.append(height)
    slacks = [fmpq(right[i]) - dot(lifted[i], point) for i in range(len(right))]
    edges = [[fmpq(int(j == p)) for j in range(d + 1)] for p in range(d + 1)]
    active = [-1] * (d + 1)
    for _ in range(max_pivots):
        if point[d] > 0:
            return tuple(to_fraction(x) for x in point[:d]), None
        p = _bland_edge(edges, active)
        if p < 0:
            multipliers = [Fraction(0)] * len(right)
            for row, edge in zip(active, edges, strict=True):
                if row >= 0:
                    multipliers[row] = to_fraction(edge[d])
            return None, tuple(multipliers[:-1])
        sign = 1 if edges[p][d] > 0 else -1
        direction = [sign * x for x in edges[p]]
        speeds = [dot(row, direction) for row in lifted]
        ratios = [(slacks[i] / speed, i) for i, speed in enumerate(speeds) if speed > 0]
        step, row = min(ratios)  # of equal ones the lowest row; t <= 1 is always among them
        slacks = [slack - step * speed for slack, speed in zip(slacks, speeds, strict=True)]
        point = [x + step * y for x, y in zip(point, direction, strict=True)]
        _exchange(edges, lifted[row], p)
        active[p] = row
    raise BudgetExceededError(f"the exact simplex is not done after {max_pivots} pivots; give it more")


def _bland_edge(edges: list[list[Any]], active: list[int]) -> int:
    """Position of the lowest row (artificial ones first) that is left with growing t; -1 if none is."""
    growing = [
        (row, p) for p, row in enumerate(active) if (edges[p][-1] != 0 if row < 0 else edges[p][-1] < 0)
    ]
    return min(growing)[1] if growing else -1


def _exchange(edges: list[list[Any]], row: Sequence[int], p: int) -> None:
    value = dot(row, edges[p])
    edges[p] = [x / value for x in edges[p]]
    for k, edge in enumerate(edges):
        factor = dot(row, edge) if k != p else 0
        if factor != 0:
            edges[k] = [x - factor * y for x, y in zip(edge, edges[p], strict=True)]


def to_fraction(x: Any) -> Fraction:
    """Return a rational number of python-flint as one of Python's."""
    return Fraction(int(x.p), int(x.q))
