"""Local exploration in any dimension: the cells around a point, their distances, the nearest change of mind.

Runs on the facets of one cell at a time (`lp_facets`); nothing here lists vertices or whole domains.
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
