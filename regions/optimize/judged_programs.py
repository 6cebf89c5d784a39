"""Programs whose answers a caller measures itself: a largest value on a polytope, a largest ellipsoid in one.

The caller knows a bound of its polytope, which turns any multipliers into a proven gap.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from regions.errors import SolverError
from regions.optimize.conic_programs import CONIC, SolverReport, solve_checked
from regions.optimize.linear_programs import LPStatus, solve_lp

LOGGER = logging.getLogger(__name__)

__all__ = ["largest_ellipsoid", "maximise_judged"]

FloatArray = NDArray[np.float64]
Answer = TypeVar("Answer")


def maximise_judged(
    A: FloatArray,
    b: FloatArray,
    c: FloatArray,
    judge: Callable[[FloatArray, FloatArray], tuple[Answer, float, float]],
    question: str,
) -> tuple[Answer, SolverReport]:
    """Maximise c.x subject to A x <= b, by a simplex method, and by interior points if that is refused.

    Parameters
    ----------
    A : (m, n) float64
    b : (m,) float64
    c : (n,) float64
    judge : takes a point and multipliers >= 0, returns the answer, its violation and its relative gap
    question : str, for the message of the error

    Raises
    ------
    SolverError
        If no solver gives an answer with violation and gap up to 1e-6.

    Examples
    --------
    >>> def judge(x, y):
    ...     return float(x[0]), max(0.0, x[0] - 2.0), 2.0 * y[0] - x[0]
    >>> maximise_judged(np.array([[1.0]]), np.array([2.0]), np.array([1.0]), judge, "largest x")
    (2.0, SolverReport(solver='highs', violation=0.0, gap=0.0))
    """
    try:
        solution = solve_lp(A, b, c)
        if solution.status is not LPStatus.OPTIMAL or solution.point is None or solution.multipliers is None:
            raise SolverError(f"{question}: a program that has an optimum ended as {solution.status.value}")
        answer, violation, gap = judge(solution.point, solution.multipliers)
        return answer, SolverReport.checked(solution.solver, violation, gap, question)
    except SolverError as error:  # the next solver raises if it does no better
        LOGGER.info("cvxpy is asked instead: %s", error)
    import cvxpy

    x = cvxpy.Variable(c.size)
    inside = A @ x <= b
    problem = cvxpy.Problem(cvxpy.Maximize(c @ x), [inside])

    def judged() -> tuple[Answer, float, float]:
        return judge(np.asarray(x.value), np.maximum(inside.dual_value, 0.0))

    return solve_checked(problem, CONIC, judged, question)


def largest_ellipsoid(
    A: FloatArray,
    b: FloatArray,
    judge: Callable[[FloatArray, FloatArray, FloatArray], tuple[Answer, float, float]],
    question: str,
) -> tuple[Answer, SolverReport]:
    """Maximise log det B subject to |B a_i| + a_i.centre <= b_i, an ellipsoid in a polytope.

    Parameters
    ----------
    A : (m, n) float64
    b : (m,) float64
    judge : takes B, (n, n), symmetric, the centre and multipliers >= 0, and returns as above
    question : str, for the message of the error

    Raises
    ------
    SolverError
        If no solver gives an answer with violation and gap up to 1e-6.

    References
    ----------
    Boyd and Vandenberghe, Convex Optimization (2004), section 8.4.2.
    """
    import cvxpy

    n = A.shape[1]
    B: Any = cvxpy.Variable((n, n), PSD=True)
    centre = cvxpy.Variable(n)
    inside = cvxpy.norm(A @ B, axis=1) + A @ centre <= b
    problem = cvxpy.Problem(cvxpy.Maximize(cvxpy.log_det(B)), [inside])

    def judged() -> tuple[Answer, float, float]:
        symmetric = (np.asarray(B.value) + np.asarray(B.value).T) / 2
        return judge(symmetric, np.asarray(centre.value), np.maximum(inside.dual_value, 0.0))

    return solve_checked(problem, CONIC, judged, question)
