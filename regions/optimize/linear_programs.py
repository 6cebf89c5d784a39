"""Linear programs: maximise c.x subject to A x <= b, in floating point.

Small problems with a known feasible point go to the simplex of the kernels. The rest, and whatever is
doubtful, goes to HiGHS. Both are checked here by their residuals; `feasibility` decides exactly.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import Literal

import numpy as np
import numpy.typing as npt

from regions.errors import InvalidInputError, SolverError
from regions.kernels.programs import simplex
from regions.optimize.highs import HighsEnd, HighsModel

FloatArray = npt.NDArray[np.float64]

MOST_VARIABLES, MOST_ENTRIES = 50, 50_000  # of A, for the simplex of the kernels


class LPStatus(Enum):
    """How a linear program ended; anything else is a `SolverError`."""

    OPTIMAL = "optimal"
    INFEASIBLE = "infeasible"
    UNBOUNDED = "unbounded"


@dataclass(frozen=True)
class LPTolerances:
    """What the answers of the solvers must keep to; all are relative (see `simplex.residuals`).

    Attributes
    ----------
    pivot : float
        What the simplex takes for 0: slopes, speeds, and slacks relative to their terms.
    residual : float
        The largest primal and dual residual and gap that an answer of the simplex may have.
    highs : float
        The same for HiGHS, whose own tolerances are 1e-9.
    ray : float
        The largest cosine-like speed with which a ray may run into a row and count as parallel to it.
    """

    pivot: float = 1e-11
    residual: float = 1e-9
    highs: float = 1e-7
    ray: float = 1e-12


@dataclass(frozen=True)
class Residuals:
    """The relative errors of a point and multipliers as an optimum; see `simplex.residuals`."""

    primal: float
    dual: float
    gap: float

    @property
    def largest(self) -> float:
        return max(self.primal, self.dual, self.gap)


@dataclass(frozen=True)
class LPSolution:
    """The answer to a linear program.

    Attributes
    ----------
    status : LPStatus
    value : float, c.x at the optimum; inf if unbounded, -inf if infeasible
    point : (d,) float64, an optimal point; a feasible one if unbounded, None if infeasible
    multipliers : (m,) float64, >= 0; y with y A = c if optimal, with y A = 0 and y b < 0 if
        infeasible (rows of bounds included in both), None if unbounded
    bound_multipliers : (d, 2) float64, those of x >= lower and of x <= upper
    ray : (d,) float64 with A ray <= 0 and c.ray > 0 if unbounded, else None
    solver : "simplex" or "highs"
    residuals : Residuals, if optimal
    pivots : int, steps of the solver
    """

    status: LPStatus
    value: float
    point: FloatArray | None
    multipliers: FloatArray | None
    bound_multipliers: FloatArray | None
    ray: FloatArray | None
    solver: Literal["simplex", "highs"]
    residuals: Residuals | None
    pivots: int


@dataclass(frozen=True)
class Problem:
    """A program whose rows are those of A, then those of finite bounds."""

    A: FloatArray
    b: FloatArray
    c: FloatArray
    limits: LPTolerances

    @property
    def sizes(self) -> FloatArray:
        """The largest entry of each row, 1 for a row of zeros."""
        sizes = np.abs(self.A).max(axis=1, initial=0.0)
        return np.where(sizes > 0, sizes, 1.0)

    @property
    def extent(self) -> float:
        """How far from the origin the farthest row is, or 1 if all go through it."""
        return float((np.abs(self.b) / self.sizes).max(initial=0.0)) or 1.0


def solve_lp(
    A: npt.ArrayLike,
    b: npt.ArrayLike,
    c: npt.ArrayLike,
    *,
    interior: npt.ArrayLike | None = None,
    bounds: npt.ArrayLike | None = None,
    tolerances: LPTolerances | None = None,
    seconds: float = np.inf,
) -> LPSolution:
    """Maximise c.x subject to A x <= b (and lower <= x <= upper), in floating point.

    With a feasible point `interior`, at most 50 variables and 50,000 entries the simplex of the kernels
    is asked first: O(m d) per pivot, 1.3 d pivots or so. Every answer is measured against `tolerances`.
    What the simplex leaves doubtful goes to HiGHS; what HiGHS leaves doubtful is an error.

    Parameters
    ----------
    A : (m, d) float64, finite, dense, d >= 1; rows of zeros are allowed
    b : (m,) float64, finite
    c : (d,) float64, finite
    interior : (d,) float64, optional; must satisfy A x <= b, best strictly
    bounds : (d, 2) float64, optional; lower and upper, -inf and inf for none
    tolerances : LPTolerances, optional
    seconds : float, how long HiGHS may take for each of its tries

    Returns
    -------
    LPSolution

    Raises
    ------
    InvalidInputError
        If shapes differ, a number is not finite, or `interior` is not feasible.
    SolverError
        If neither solver gives an answer that passes the checks, or the time is up.

    References
    ----------
    Chvatal, Linear Programming (1983), chapters 5 and 9. Huangfu and Hall, Parallelizing the dual
    revised simplex method, Math. Prog. Comp. 10 (2018), for HiGHS.

    Examples
    --------
    >>> solution = solve_lp([[1.0, 1], [-1, 0], [0, -1]], [1.0, 0, 0], [2.0, 1], interior=[0.2, 0.2])
    >>> solution.status, solution.value, solution.point, solution.multipliers
    (<LPStatus.OPTIMAL: 'optimal'>, 2.0, array([1., 0.]), array([2., 0., 1.]))
    >>> solve_lp([[1.0], [-1.0]], [0.0, -1.0], [1.0]).multipliers
    array([0.5, 0.5])
    """
    problem, bounded = _checked(A, b, c, bounds, tolerances or LPTolerances())
    m = problem.b.shape[0] - int(bounded.sum())
    d = problem.c.shape[0]
    solution = None
    if interior is not None:
        start = finite_array(interior, (d,), "interior")
        if d <= MOST_VARIABLES and problem.A.size <= MOST_ENTRIES:
            solution = _by_simplex(problem, start)
    if solution is None:
        solution = _by_highs(problem, seconds)
    if solution.multipliers is None:
        return solution
    bound_multipliers = np.zeros((d, 2))
    bound_multipliers[bounded] = solution.multipliers[m:]
    return replace(solution, multipliers=solution.multipliers[:m], bound_multipliers=bound_multipliers)


def finite_array(values: npt.ArrayLike, shape: tuple[int, ...], name: str) -> FloatArray:
    array = np.ascontiguousarray(values, dtype=np.float64)
    if array.shape != shape:
        raise InvalidInputError(f"{name} has shape {array.shape}, expected {shape}")
    if not np.isfinite(array).all():
        raise InvalidInputError(f"{name} contains NaN or infinity; all its numbers must be finite")
    return array


def halfspaces(A: npt.ArrayLike, b: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    rows = np.asarray(A, dtype=np.float64)
    if rows.ndim != 2 or rows.shape[1] == 0:
        raise InvalidInputError(f"A has shape {rows.shape}, expected (m, d) with d >= 1")
    return finite_array(rows, rows.shape, "A"), finite_array(b, (rows.shape[0],), "b")


def _checked(
    A: npt.ArrayLike, b: npt.ArrayLike, c: npt.ArrayLike, bounds: npt.ArrayLike | None, limits: LPTolerances
) -> tuple[Problem, npt.NDArray[np.bool_]]:
    """The problem with bounds as rows, and which of the (d, 2) bounds have one."""
    rows, right = halfspaces(A, b)
    d = rows.shape[1]
    objective = finite_array(c, (d,), "c")
    if bounds is None:
        return Problem(rows, right, objective, limits), np.zeros((d, 2), dtype=bool)
    pairs = np.asarray(bounds, dtype=np.float64)
    if pairs.shape != (d, 2):
        raise InvalidInputError(f"bounds has shape {pairs.shape}, expected {(d, 2)}: lower and upper")
    if np.isnan(pairs).any() or (pairs[:, 0] == np.inf).any() or (pairs[:, 1] == -np.inf).any():
        raise InvalidInputError("bounds may be -inf (lower) and inf (upper) for none, but not NaN")
    finite = np.isfinite(pairs)
    signed = np.stack([-np.eye(d), np.eye(d)], axis=1)[finite]
    edges = (pairs * [-1.0, 1.0])[finite]
    return Problem(np.vstack([rows, signed]), np.append(right, edges), objective, limits), finite


def _by_simplex(problem: Problem, start: FloatArray) -> LPSolution | None:
    """Return the answer of the kernels' simplex, or None where it is doubtful."""
    A, b, c = problem.A, problem.b, problem.c
    m, d = A.shape
    point, multipliers, ray = np.empty(d), np.empty(m), np.empty(d)
    limit = 200 + 50 * (m + d)
    status, pivots = simplex.maximise(
        A, b, c, start, problem.limits.pivot, limit, 10 + d, point, multipliers, ray
    )
    match status:
        case simplex.OPTIMAL:
            multipliers = np.maximum(multipliers, 0.0)
            return _optimal(problem, point, multipliers, "simplex", pivots)
        case simplex.UNBOUNDED:
            return _unbounded(problem, point, ray, "simplex", pivots)
        case simplex.PIVOT_LIMIT | simplex.STALLED | simplex.INACCURATE:
            return None
        case simplex.BAD_INPUT:
            excess = (A @ start - b) / problem.sizes
            row = int(np.argmax(excess))
            raise InvalidInputError(
                f"interior is not feasible: it violates row {row} of A x <= b by {excess[row]:.3g} "
                "(rows of bounds come last); leave it out if no feasible point is known"
            )
        case _:
            raise SolverError(f"the simplex kernel ended with the unknown status {status}")


def _optimal(
    problem: Problem,
    point: FloatArray,
    multipliers: FloatArray,
    solver: Literal["simplex", "highs"],
    pivots: int,
) -> LPSolution | None:
    """Return an optimum whose residuals pass, or None."""
    *errors, value = simplex.residuals(problem.A, problem.b, problem.c, point, multipliers)
    measured = Residuals(*errors)
    allowed = problem.limits.residual if solver == "simplex" else problem.limits.highs
    if not measured.largest <= allowed:
        return None
    return LPSolution(
        LPStatus.OPTIMAL, float(value), point, multipliers, None, None, solver, measured, int(pivots)
    )


def _unbounded(
    problem: Problem, point: FloatArray, ray: FloatArray, solver: Literal["simplex", "highs"], pivots: int
) -> LPSolution | None:
    """Return a ray that no row stops, from a feasible point, or None."""
    extent = max(problem.extent, float(np.abs(point).max()))
    excess = ((problem.A @ point - problem.b) / problem.sizes).max(initial=0.0)
    speed = (problem.A @ ray / problem.sizes).max(initial=0.0)
    growth = problem.c @ ray
    if not (
        excess <= problem.limits.residual * extent
        and speed <= problem.limits.ray * np.linalg.norm(ray)
        and growth > problem.limits.residual * np.abs(problem.c).max() * np.linalg.norm(ray)
    ):
        return None
    return LPSolution(LPStatus.UNBOUNDED, np.inf, point, None, None, ray, solver, None, int(pivots))


def _by_highs(problem: Problem, seconds: float) -> LPSolution:
    """Ask HiGHS, first with presolve, which has been seen to call unbounded problems infeasible."""
    # rows, lengths and the objective are scaled by powers of two: the tolerances of HiGHS are absolute
    rows = np.ldexp(1.0, -np.frexp(problem.sizes)[1])
    length = float(np.ldexp(1.0, int(np.frexp(problem.extent)[1])))
    height = float(np.ldexp(1.0, int(np.frexp(np.abs(problem.c).max() or 1.0)[1])))
    free = np.full(problem.c.size, np.inf)
    model = HighsModel(problem.A * rows[:, None], problem.b * rows / length, -free, free)
    messages = []
    for presolve in (True, False):
        try:
            answer = model.maximise(problem.c / height, presolve=presolve, seconds=seconds)
        except SolverError as error:
            messages.append(str(error))
            continue
        solution = None
        match answer.end:
            case HighsEnd.OPTIMAL if answer.point is not None and answer.multipliers is not None:
                multipliers = np.maximum(answer.multipliers * rows * height, 0.0)
                solution = _optimal(problem, answer.point * length, multipliers, "highs", answer.steps)
            case HighsEnd.INFEASIBLE:
                solution = _proven_infeasible(problem)
            case HighsEnd.UNBOUNDED:
                solution = _proven_unbounded(problem)
        if solution is not None:
            return solution
        messages.append(answer.end.value)
    raise SolverError(
        f"no solver gives an answer that passes its checks (HiGHS: {'; '.join(messages)}); rescale the "
        "problem, loosen `tolerances`, or ask `has_interior`, which decides exactly"
    )


def lifted(A: FloatArray, b: FloatArray, limits: LPTolerances) -> tuple[LPSolution, Problem]:
    """Maximise t subject to a_i x + |a_i|_max t <= b_i and t <= extent, the last row.

    This program is feasible and bounded.
    """
    given = Problem(A, b, np.zeros(A.shape[1]), limits)
    sizes, extent = given.sizes, given.extent
    m, d = A.shape
    rows = np.zeros((m + 1, d + 1))
    rows[:m, :d], rows[:m, d], rows[m, d] = A, sizes, 1.0
    start = np.zeros(d + 1)
    start[d] = (b / sizes).min(initial=0.0) - extent
    solution = solve_lp(rows, np.append(b, extent), np.eye(d + 1)[d], interior=start, tolerances=limits)
    return solution, given


def _proven_infeasible(problem: Problem) -> LPSolution | None:
    """Return Farkas multipliers y >= 0, y A = 0, y b < 0, up to rounding, or None."""
    solution, given = lifted(problem.A, problem.b, problem.limits)
    if solution.multipliers is None or not solution.value < -problem.limits.residual * given.extent:
        return None
    farkas = solution.multipliers[:-1]
    return LPSolution(LPStatus.INFEASIBLE, -np.inf, None, farkas, None, None, "highs", None, solution.pivots)


def _proven_unbounded(problem: Problem) -> LPSolution | None:
    """Find a feasible point and a ray by two LPs that have optima, or None."""
    A, c, d = problem.A, problem.c, problem.c.shape[0]
    feasible, given = lifted(A, problem.b, problem.limits)
    if feasible.point is None or not feasible.value >= -problem.limits.residual * given.extent:
        return None
    directions = solve_lp(
        A,
        np.zeros(A.shape[0]),
        c,
        interior=np.zeros(d),
        bounds=np.tile([-1.0, 1.0], (d, 1)),
        tolerances=problem.limits,
    )
    if directions.point is None:
        return None
    return _unbounded(problem, feasible.point[:d], directions.point, "highs", directions.pivots)
