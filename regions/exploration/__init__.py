"""Local exploration in any dimension: the cells around a point, their distances, other predictions.

It runs on the facets of one cell at a time (`cell_facets`); nothing here lists vertices or whole domains.
Modules, from the lowest: `search_frame`, `centered_cells`, `box_facet_finder`, `local_search`,
`exploration_files`, `exploration_result`, then `explorer` and `perturbation` side by side.
"""

from regions.exploration.exploration_result import CellDistances, Exploration, NearestFacet
from regions.exploration.explorer import explore
from regions.exploration.perturbation import MinimalPerturbation, minimal_perturbation

__all__ = [
    "CellDistances",
    "Exploration",
    "MinimalPerturbation",
    "NearestFacet",
    "explore",
    "minimal_perturbation",
]
