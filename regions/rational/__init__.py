"""Exact arithmetic: the network as the function of its stored floats, read as dyadic rationals.

Integers throughout (python-flint and Python), one power of two per layer, so hardly any gcd. Knows
networks and domains; lists no cells of its own accord, and nothing here rounds but the filters.
"""

from regions.rational.affine_maps import ExactNetwork
from regions.rational.cell_cones import CellCone, cell_cone
from regions.rational.exact_cells import (
    ExactCell,
    ExactFacet,
    exact_cell,
    facet_row,
    interior_point,
    neighbour_pattern,
    strictly_inside,
)
from regions.rational.exact_facets import SharedFacet, shared_facet
from regions.rational.exact_polytope import RationalPolytope
from regions.rational.gaussian_integrals import ExactGaussian
from regions.rational.gradient_jumps import exact_jumps, maps_differ
from regions.rational.integer_rows import dyadic_integers, primitive, sign_at, solve_vertex
from regions.rational.intervals import (
    bounds,
    cell_volume,
    enclosure,
    facet_volume_enclosure,
    simplex_volume,
    squared_volume,
)
from regions.rational.nearest_points import squared_distance
from regions.rational.residues import map_residues
from regions.rational.systems import (
    balances,
    decide_interior,
    halfspace_rows,
    inside_all,
    solve_on_support,
    to_fraction,
)

__all__ = [
    "CellCone",
    "ExactCell",
    "ExactFacet",
    "ExactGaussian",
    "ExactNetwork",
    "RationalPolytope",
    "SharedFacet",
    "balances",
    "bounds",
    "cell_cone",
    "cell_volume",
    "decide_interior",
    "dyadic_integers",
    "enclosure",
    "exact_cell",
    "exact_jumps",
    "facet_row",
    "facet_volume_enclosure",
    "halfspace_rows",
    "inside_all",
    "interior_point",
    "map_residues",
    "maps_differ",
    "neighbour_pattern",
    "primitive",
    "shared_facet",
    "sign_at",
    "simplex_volume",
    "solve_on_support",
    "solve_vertex",
    "squared_distance",
    "squared_volume",
    "strictly_inside",
    "to_fraction",
]
