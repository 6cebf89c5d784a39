"""Pictures of cell complexes: cells, decision boundaries, adjacency graphs.

The only part of the package that imports matplotlib, and plotly where it is installed.
"""

from regions.plotting.cells import jacobian_norms, mark_points, plot_cells
from regions.plotting.decision import ClassPieces, class_pieces
from regions.plotting.figure_files import save_figure
from regions.plotting.graph import plot_graph
from regions.plotting.interactive import interactive_figure

__all__ = [
    "ClassPieces",
    "class_pieces",
    "interactive_figure",
    "jacobian_norms",
    "mark_points",
    "plot_cells",
    "plot_graph",
    "save_figure",
]
