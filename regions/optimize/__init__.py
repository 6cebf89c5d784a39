"""The one door to every linear, quadratic, conic and integer program; each answer is checked here.

Modules, from the lowest: `highs` and `conic_programs` know the solvers; `linear_programs`, `box_programs`,
`integer_programs`, `judged_programs` and `projections` choose one and check its answer; `hulls` gives points
whose place is all that is asked. `feasibility` proves
in rational arithmetic; it is there for users of this room, and the rest of the package does not call it.
"""

from regions.optimize.box_programs import BoxOptimum, BoxPrograms
from regions.optimize.choices import Norm
from regions.optimize.conic_programs import MAX_GAP, MAX_VIOLATION, NO_SOLVER, SolverReport
from regions.optimize.feasibility import (
    Decision,
    certify_feasible,
    certify_infeasible,
    certify_no_interior,
    has_interior,
)
from regions.optimize.hulls import nearest_in_hull
from regions.optimize.integer_programs import BinarySolution, BinaryStatus, minimise_sum
from regions.optimize.judged_programs import largest_ellipsoid, maximise_judged
from regions.optimize.linear_programs import LPSolution, LPStatus, LPTolerances, Residuals, solve_lp
from regions.optimize.projections import Polyhedron, Projection, ProjectionStatus, Scales, project

__all__ = [
    "BinarySolution",
    "BinaryStatus",
    "BoxOptimum",
    "BoxPrograms",
    "Decision",
    "LPSolution",
    "LPStatus",
    "LPTolerances",
    "MAX_GAP",
    "MAX_VIOLATION",
    "NO_SOLVER",
    "Norm",
    "Polyhedron",
    "Projection",
    "ProjectionStatus",
    "Residuals",
    "Scales",
    "SolverReport",
    "certify_feasible",
    "certify_infeasible",
    "certify_no_interior",
    "has_interior",
    "largest_ellipsoid",
    "maximise_judged",
    "minimise_sum",
    "nearest_in_hull",
    "project",
    "solve_lp",
]
