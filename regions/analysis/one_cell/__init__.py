"""Convex questions about one cell of a complex: inscribed ball and ellipsoid, projection, ranges, width.

The solvers are those of `optimize`; every answer carries a proven duality gap. A cell is brought to unit size
in exact arithmetic first (`cell_frame`), so that small and thin ones keep relative accuracy.
"""

from regions.analysis.one_cell.distances import CellProjection, project_onto_cell
from regions.analysis.one_cell.halfspaces import CellHalfspaces, cell_halfspaces
from regions.analysis.one_cell.inscribed import CellBall, CellEllipsoid, chebyshev_ball, inscribed_ellipsoid
from regions.analysis.one_cell.ranges import CellRange, cell_width, output_range
from regions.optimize import SolverReport

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
