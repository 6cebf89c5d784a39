"""Convex questions about one cell of a complex: inscribed ball and ellipsoid, projection, ranges, width.

Solved by cvxpy, judged here: answers are recomputed in numpy and carry a proven duality gap. A cell is
brought to unit size in exact arithmetic first (`frame`), so small and thin ones keep relative accuracy.
"""

from regions.cell_programs.distances import CellProjection, project_onto_cell
from regions.cell_programs.halfspaces import CellHalfspaces, cell_halfspaces
from regions.cell_programs.inscribed import CellBall, CellEllipsoid, chebyshev_ball, inscribed_ellipsoid
from regions.cell_programs.ranges import CellRange, cell_width, output_range
from regions.cell_programs.solving import SolverReport

__all__ = [
    "CellBall",
    "CellEllipsoid",
    "CellHalfspaces",
    "CellProjection",
    "CellRange",
    "SolverReport",
    "cell_halfspaces",
    "cell_width",
    "chebyshev_ball",
    "inscribed_ellipsoid",
    "output_range",
    "project_onto_cell",
]
