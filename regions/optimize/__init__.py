"""Linear programs over {x : A x <= b}: in floating point with checked residuals, and exact decisions.

`programs` chooses and checks the solvers (the kernels' simplex, HiGHS); `decisions` proves that a set has
interior points, or none. Which LPs to solve is the business of the engines.
"""

from regions.optimize.feasibility import (
    Decision,
    certify_feasible,
    certify_infeasible,
    certify_no_interior,
    has_interior,
)
from regions.optimize.linear_programs import LPSolution, LPStatus, LPTolerances, Residuals, solve_lp

__all__ = [
    "Decision",
    "LPSolution",
    "LPStatus",
    "LPTolerances",
    "Residuals",
    "certify_feasible",
    "certify_infeasible",
    "certify_no_interior",
    "has_interior",
    "solve_lp",
]
