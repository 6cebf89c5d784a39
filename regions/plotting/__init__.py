"""Pictures: cells, decision boundaries, graphs; estimators judged; a training, still or moving.

The only part of the package that imports matplotlib, and plotly where it is installed.
"""

from regions.plotting.animations import animate_cells, animate_history, animation_path, save_animation
from regions.plotting.cell_colors import jacobian_norms
from regions.plotting.cell_pictures import plot_cells
from regions.plotting.decision import ClassPieces, class_pieces
from regions.plotting.figure_files import figure_path, save_figure
from regions.plotting.graph_pictures import plot_graph
from regions.plotting.interactive import interactive_figure, save_interactive
from regions.plotting.judging import plot_comparison, plot_validation
from regions.plotting.marks import mark_points
from regions.plotting.piece_pictures import plot_pieces
from regions.plotting.space_pictures import plot_space
from regions.plotting.training import plot_history

__all__ = [
    "ClassPieces",
    "animate_cells",
    "animate_history",
    "animation_path",
    "class_pieces",
    "figure_path",
    "interactive_figure",
    "jacobian_norms",
    "mark_points",
    "plot_cells",
    "plot_comparison",
    "plot_graph",
    "plot_history",
    "plot_pieces",
    "plot_space",
    "plot_validation",
    "save_animation",
    "save_figure",
    "save_interactive",
]
