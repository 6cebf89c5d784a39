"""Convex programs by cvxpy, with whichever installed solver gives an answer that passes our own check.

The status of a solver decides only whether its answer is looked at. How good that is, the caller computes.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from regions.errors import SolverError
from regions.showing import Shown

LOGGER = logging.getLogger(__name__)

__all__ = ["CONIC", "MAX_GAP", "MAX_VIOLATION", "NO_SOLVER", "SolverReport", "solve_checked"]

MAX_VIOLATION = 1e-6  # of a row of length 1, in a frame where the cell holds the unit ball
MAX_GAP = 1e-6  # relative

_TIGHT = {"tol_gap_abs": 1e-12, "tol_gap_rel": 1e-12, "tol_feas": 1e-12}
_USUAL = {"tol_gap_abs": 1e-8, "tol_gap_rel": 1e-8, "tol_feas": 1e-8}  # said, as cvxpy keeps the last ones
_SCS = {"eps_abs": 1e-9, "eps_rel": 1e-9, "max_iters": 100_000}

Attempt = tuple[str, dict[str, Any]]
CONIC: tuple[Attempt, ...] = (("CLARABEL", _TIGHT), ("CLARABEL", _USUAL), ("SCS", _SCS))

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class SolverReport(Shown):
    """Who solved a problem, and how good the answer is; this is recomputed from the answer in numpy.

    Attributes
    ----------
    solver : str
        "nnls" (non-negative least squares), "highs", or the name of a solver in cvxpy; "none" where the
        answer needs no solver; two joined by "+" if two problems went to different ones.
    violation : float
        How far the solver's point lay outside the cell (rows of length 1, cell at unit size), before it was
        drawn in. The point returned lies in the cell up to rounding. At most 1e-6.
    gap : float
        A proven bound of the value's error by weak duality, with the solver's multipliers. It is relative to
        the value; for distances to the larger of the distance and the narrowest semi-axis of the part of the
        cell in hand, which is about as wide as the distance where that is small. At most 1e-6.
    """

    solver: str
    violation: float
    gap: float

    @classmethod
    def checked(cls, solver: str, violation: float, gap: float, question: str) -> SolverReport:
        """Return the report of an answer that passes the check.

        Raises
        ------
        SolverError
            If violation or gap are too large.
        """
        if not (violation <= MAX_VIOLATION and gap <= MAX_GAP):
            raise _refused(question, f"{solver}: violation {violation:.2g} and gap {gap:.2g}")
        return cls(solver, float(violation), float(gap))

    def joined(self, other: SolverReport) -> SolverReport:
        """Return the report of two problems with one answer: the worse of each."""
        names = dict.fromkeys(name for name in (self.solver, other.solver) if name != "none")
        return SolverReport(
            "+".join(names) or "none", max(self.violation, other.violation), max(self.gap, other.gap)
        )


NO_SOLVER = SolverReport("none", 0.0, 0.0)


def solve_checked(
    problem: Any,
    attempts: tuple[Attempt, ...],
    judge: Callable[[], tuple[Answer, float, float]],
    question: str,
) -> tuple[Answer, SolverReport]:
    """Return the first answer with status optimal that also passes the check.

    Parameters
    ----------
    problem : cvxpy.Problem
    attempts : (solver, options) in order of preference; those not installed are skipped
    judge : reads the variables, returns the answer, its violation and its relative gap
    question : for the message of the error

    Raises
    ------
    SolverError
        If no solver gives such an answer; the message says what each gave.

    Examples
    --------
    >>> import cvxpy
    >>> x = cvxpy.Variable()
    >>> problem = cvxpy.Problem(cvxpy.Minimize(x), [x >= 2.0])
    >>> answer, report = solve_checked(problem, CONIC, lambda: (float(x.value), 0.0, 0.0), "least x")
    >>> round(answer, 6), report.gap
    (2.0, 0.0)
    """
    import cvxpy

    said = []
    installed = set(cvxpy.installed_solvers())
    for name, options in attempts:
        if name not in installed:
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # inaccurate answers are judged below, not warned of
                problem.solve(solver=name, **options)
        except (cvxpy.error.SolverError, ArithmeticError, ValueError) as error:
            said.append(f"{name}: {error}")
            LOGGER.info("the next solver is asked: %s", said[-1])
            continue
        if problem.status != cvxpy.OPTIMAL:
            said.append(f"{name}: status {problem.status}")
            continue
        answer, violation, gap = judge()
        if violation <= MAX_VIOLATION and gap <= MAX_GAP:
            return answer, SolverReport(name.lower(), float(violation), float(gap))
        said.append(f"{name}: optimal, but violation {violation:.2g} and gap {gap:.2g}")
    tried = "; ".join(said) or f"none of {', '.join(dict(attempts))} is installed"
    raise _refused(question, tried)


def _refused(question: str, tried: str) -> SolverError:
    return SolverError(
        f"{question}: no solver gave an answer with violation <= {MAX_VIOLATION:g} and relative gap <= "
        f"{MAX_GAP:g} ({tried})"
    )
