"""What is proven about A x <= b: strict witnesses, Farkas multipliers, and whether there is an interior.

Linear programs in floating point (`linear_programs`) choose the candidates; rational arithmetic decides
about the stored floats.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from regions.complexes import Arithmetic, check_arithmetic
from regions.errors import InvalidInputError, SolverError
from regions.optimize.linear_programs import LPTolerances, halfspaces, lifted
from regions.rational import balances, decide_interior, halfspace_rows, inside_all, solve_on_support

FloatArray = npt.NDArray[np.float64]
Rational = tuple[Fraction, ...]


@dataclass(frozen=True)
class Decision:
    """Whether {x : A x <= b} has interior points.

    Attributes
    ----------
    interior : bool
    witness : d fractions, an interior point, if there is one
    multipliers : m fractions, y as in `certify_no_interior`, if there is none
    exact : bool, whether witness or multipliers were checked in rational arithmetic
    method : what found them: "float" (the LP's own), "support" (its multipliers, solved again on their
        support) or "rational" (a simplex in rational arithmetic, after all else failed)
    """

    interior: bool
    witness: Rational | None
    multipliers: Rational | None
    exact: bool
    method: Literal["float", "support", "rational"]


def certify_feasible(A: npt.ArrayLike, b: npt.ArrayLike, point: Sequence[Any] | FloatArray) -> bool:
    """Whether a point lies strictly inside A x <= b, decided exactly on the stored floats.

    Rows of zeros need b >= 0 only. Cost O(m d) products of integers.

    Parameters
    ----------
    A : (m, d), b : (m,) float64, finite
    point : d floats or Fractions

    Examples
    --------
    >>> certify_feasible([[3.0]], [1.0], [Fraction(1, 3)]), certify_feasible([[3.0]], [1.0], [1 / 3])
    (False, True)
    """
    rows, right = halfspaces(A, b)
    return _strictly_inside(rows, right, _fractions(point, rows.shape[1], "point"))


def _strictly_inside(A: FloatArray, b: FloatArray, point: Sequence[Fraction]) -> bool:
    """`inside_all`, asked only about the rows that an error bound of the float slack leaves open.

    With x the rounded point, |x - x*| <= u |x*|, the computed slack errs by at most (d + 2) u
    (|A| |x| + |b|), in any order of summation (Higham 2002, eq. 3.5), and by what underflow can lose;
    taken twice as large, for the rounding of the bound itself.
    """
    x = np.array([float(value) for value in point])
    with np.errstate(over="ignore", invalid="ignore"):
        sizes = np.abs(A) @ np.abs(x) + np.abs(b)
        slacks = b - A @ x
        sure = (slacks > (x.shape[0] + 2) * 2.0**-52 * sizes + 2.0**-1000) & (sizes < np.inf)
    open_rows = np.flatnonzero(~sure)
    return not open_rows.size or inside_all(halfspace_rows(A[open_rows], b[open_rows]), point)


def certify_infeasible(
    A: npt.ArrayLike, b: npt.ArrayLike, multipliers: Sequence[Any] | FloatArray
) -> Rational | None:
    """Exact Farkas multipliers (y >= 0, y A = 0, y b < 0) near the given ones; None if none are found.

    Such y prove that A x <= b of the stored floats has no solution. Rounded multipliers are solved again,
    exactly, on the rows where they are positive. None proves nothing.

    Parameters
    ----------
    A : (m, d), b : (m,) float64, finite
    multipliers : m floats or Fractions

    Returns
    -------
    m fractions, or None

    References
    ----------
    Farkas 1902; Schrijver, Theory of Linear and Integer Programming (1986), section 7.3.

    Examples
    --------
    >>> certify_infeasible([[3.0], [-1.0]], [1.0, -1.0], [1 / 3, 1.0])
    (Fraction(1, 3), Fraction(1, 1))
    >>> certify_infeasible([[3.0], [-1.0]], [3.0, -1.0], [1 / 3, 1.0]) is None
    True
    """
    return _certified(A, b, multipliers, strict=True)[0]


def certify_no_interior(
    A: npt.ArrayLike, b: npt.ArrayLike, multipliers: Sequence[Any] | FloatArray
) -> Rational | None:
    """Like `certify_infeasible`, but y b = 0 will do if some row with y_i > 0 is not zero.

    Such y prove that no point has a_i x < b_i for all rows a_i != 0, so that {A x <= b} is empty or flat.

    Examples
    --------
    >>> certify_no_interior([[3.0], [-1.0]], [3.0, -1.0], [1 / 3, 1.0])
    (Fraction(1, 3), Fraction(1, 1))
    """
    return _certified(A, b, multipliers, strict=False)[0]


def _fractions(values: Sequence[Any] | FloatArray, n: int, name: str) -> list[Fraction]:
    if len(values) != n:
        raise InvalidInputError(f"{name} has {len(values)} numbers, expected {n}")
    try:
        return [x if isinstance(x, Fraction) else Fraction(float(x)) for x in values]
    except (OverflowError, ValueError):
        raise InvalidInputError(f"{name} contains NaN or infinity; all its numbers must be finite") from None


def _certified(
    A: npt.ArrayLike, b: npt.ArrayLike, multipliers: Sequence[Any] | FloatArray, strict: bool
) -> tuple[Rational | None, Literal["float", "support"]]:
    """Exact multipliers and whether they are the given ones or were solved again."""
    normals, right = halfspaces(A, b)
    values = _fractions(multipliers, normals.shape[0], "multipliers")
    used = [i for i, y in enumerate(values) if y != 0]
    rows = halfspace_rows(normals[used], right[used]) if used else []
    if not used or balances(rows, [values[i] for i in used], strict):
        return (tuple(values) if used else None), "float"
    weights = np.array([float(values[i]) for i in used]) * np.abs(normals[used]).max(axis=1)
    for least in (0.0, 1e-9 * float(weights.max())):
        support = [int(k) for k in np.argsort(-weights, kind="stable") if weights[k] > least]
        solved = solve_on_support(rows, support, [values[used[k]] for k in support]) if support else None
        if solved is not None and balances([rows[k] for k in support], solved, strict):
            result = [Fraction(0)] * len(values)
            for k, y in zip(support, solved, strict=True):
                result[used[k]] = y
            return tuple(result), "support"
    return None, "support"


def has_interior(
    A: npt.ArrayLike,
    b: npt.ArrayLike,
    *,
    arithmetic: Arithmetic = "certified",
    tolerances: LPTolerances | None = None,
) -> Decision:
    """Whether {x : A x <= b} has interior points; a theorem about the stored floats unless told otherwise.

    One LP in d + 1 variables asks for the point with the largest slack. Its point, or its multipliers, is
    checked in rational arithmetic; where neither passes, a simplex in rational arithmetic decides.

    Parameters
    ----------
    A : (m, d), b : (m,) float64, finite; rows of zeros are allowed
    arithmetic : "certified", or "float" for the LP's answer as it is (slack above its tolerance)
    tolerances : LPTolerances, optional

    Returns
    -------
    Decision

    Raises
    ------
    InvalidInputError
        If shapes differ or a number is not finite.
    SolverError
        With arithmetic "float" only: if no solver gives a usable answer.
    BudgetExceededError
        If the rational simplex is not done after 100,000 pivots.

    Examples
    --------
    >>> decision = has_interior([[1.0], [-1.0]], [1.0, -0.5])
    >>> decision.interior, [float(x) for x in decision.witness], decision.exact
    (True, [0.75], True)
    >>> has_interior([[1.0], [-1.0]], [1.0, -1.0]).multipliers
    (Fraction(1, 2), Fraction(1, 2))
    """
    check_arithmetic(arithmetic)
    certified = arithmetic == "certified"
    rows, right = halfspaces(A, b)
    m, d = rows.shape
    zero = ~rows.any(axis=1)
    if (zero & (right < 0)).any():
        first = int(np.argmax(zero & (right < 0)))
        return Decision(False, None, tuple(Fraction(int(i == first)) for i in range(m)), True, "float")
    if zero.all():
        return Decision(True, (Fraction(0),) * d, None, True, "float")
    limits = tolerances or LPTolerances()
    kept = np.flatnonzero(~zero)
    found = _decide(rows[kept], right[kept], limits, certified)
    if found.multipliers is None:
        return found
    multipliers = [Fraction(0)] * m
    for i, y in zip(kept.tolist(), found.multipliers, strict=True):
        multipliers[i] = y
    return replace(found, multipliers=tuple(multipliers))


def _decide(A: FloatArray, b: FloatArray, limits: LPTolerances, certified: bool) -> Decision:
    """`has_interior` for rows that are not zero."""
    d = A.shape[1]
    start = [Fraction(0)] * d
    try:
        solution, given = lifted(A, b, limits)
        if solution.point is None or solution.multipliers is None:
            raise SolverError(f"an LP that has an optimum ended as {solution.status.value}")
    except SolverError:
        if not certified:
            raise
    else:
        start = [Fraction(x) for x in solution.point[:d].tolist()]
        if not certified:
            inside = solution.value > limits.residual * given.extent
            farkas = tuple(Fraction(y) for y in solution.multipliers[:-1].tolist())
            return Decision(
                inside, tuple(start) if inside else None, None if inside else farkas, False, "float"
            )
        if solution.value > 0 and _strictly_inside(A, b, start):
            return Decision(True, tuple(start), None, True, "float")
        exact, method = _certified(A, b, solution.multipliers[:-1], strict=False)
        if exact is not None:
            return Decision(False, None, exact, True, method)
    witness, multipliers = decide_interior(halfspace_rows(A, b), start)
    return Decision(witness is not None, witness, multipliers, True, "rational")
