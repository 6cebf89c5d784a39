"""The volumes of listed cells and of their facets in rational arithmetic, where floats cannot compare them.

Cells come from their patterns alone. Used by the self-checks, for domains so thin or so far from 0 that
rounded vertices change volumes; intervals for whole complexes are in `analysis.enclosures`.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from regions.complexes import FacetTable
from regions.domain import Domain
from regions.errors import CertificateError
from regions.network.patterns import flat_units, row_keys, unpack
from regions.network.relu_network import Network
from regions.rational import (
    ExactCell,
    ExactFacet,
    ExactNetwork,
    cell_volume,
    exact_cell,
    facet_row,
    facet_volume_enclosure,
    to_fraction,
)

FloatArray = NDArray[np.float64]


class Measures(NamedTuple):
    """Exact volumes, rounded to floats: of cells (n,) and of the facets of a table (m,)."""

    cells: FloatArray
    facets: FloatArray


def exact_cells(packed: NDArray[np.uint8], exact: ExactNetwork) -> Iterator[ExactCell]:
    """Find the cells of some patterns, one after the other.

    Raises
    ------
    CertificateError
        If a pattern is listed twice, or has no cell.
    """
    if len(set(row_keys(packed))) < len(packed):
        raise CertificateError("a pattern is listed twice; please report this network")
    for states in unpack(packed, exact.network.n_units):
        yield exact_cell(exact, states)


def checked_sum(volumes: list[Fraction], exact: ExactNetwork, complete: bool) -> FloatArray:
    """Round exact volumes of cells of different patterns, after comparing their sum with the domain's.

    Raises
    ------
    CertificateError
        If it is more, or less although the list is complete.
    """
    expected = to_fraction(cell_volume(exact.domain_polytope))
    total = sum(volumes, Fraction(0))
    if total > expected or (complete and total < expected):
        raise CertificateError(
            f"the cells' exact volumes sum to {float(total / expected):.17g} times the domain's: the cells "
            "do not cover the domain exactly once; please report this network"
        )
    return np.array([float(volume) for volume in volumes])


def exact_volumes(packed: NDArray[np.uint8], network: Network, domain: Domain, complete: bool) -> FloatArray:
    """Return the exact volumes of the cells of some patterns, rounded to floats.

    Raises
    ------
    CertificateError
        If the cells do not cover the domain once, or more than once where the list is not complete.
    """
    exact = ExactNetwork(network, domain)
    return checked_sum([volume_of(cell) for cell in exact_cells(packed, exact)], exact, complete)


def measure_exactly(
    packed: NDArray[np.uint8], table: FacetTable, problem: tuple[Network, Domain], complete: bool
) -> Measures:
    """Measure cells and facets exactly, and compare what both cells of a facet have there.

    Parameters
    ----------
    packed : (n, bytes) uint8, patterns
    table : FacetTable, whose volumes are not read
    problem : the network and the domain
    complete : bool, whether no cell is missing

    Raises
    ------
    CertificateError
        If the cells do not cover the domain as they should, or a facet is not the same from both sides.
    """
    network, domain = problem
    exact = ExactNetwork(network, domain)
    cells = list(exact_cells(packed, exact))
    volumes = checked_sum([volume_of(cell) for cell in cells], exact, complete)
    units = flat_units(network.unit_offsets, table.layer, table.unit)
    facets = np.empty(len(table))
    rows = zip(table.cell_a.tolist(), table.cell_b.tolist(), table.side.tolist(), units.tolist(), strict=True)
    for k, (a, b, side, unit) in enumerate(rows):
        planes = _planes(network, [cells[i].pattern for i in (a, b) if i >= 0], side, unit)
        if network.max_units is not None and b == -2 and network.max_units.first[unit] >= 0:
            facets[k] = table.volume[k]  # which of several facets of a max unit it is, the table does not say
            continue
        first = _facet(cells[a], planes)
        if first is None or (
            b >= 0 and _corners(cells[a], first) != _corners(cells[b], _facet(cells[b], planes))
        ):
            raise CertificateError(
                f"cells {a} and {b} do not have the same facet between them; please report this network"
            )
        row = facet_row(exact, cells[a].pattern, first)
        facets[k] = float(facet_volume_enclosure(cells[a].polytope, first.on, row=row).mid())
    return Measures(volumes, facets)


def volume_of(cell: ExactCell) -> Fraction:
    """Return the exact volume of a cell."""
    return to_fraction(cell_volume(cell.polytope))


def _planes(network: Network, patterns: list[bytes], side: int, unit: int) -> set[int]:
    """Name a facet: -1 - side of the domain, or the unit that flips, of a max unit both winners."""
    if side >= 0:
        return {-1 - side}
    table = network.max_units
    if table is None or table.first[unit] < 0:
        return {unit}
    return {table.winner(pattern, unit) for pattern in patterns}


def _facet(cell: ExactCell, planes: set[int]) -> ExactFacet | None:
    """Return the facet of a cell on which units vanish, or on side -1 - plane of the domain."""
    for facet in cell.facets:
        if planes <= {*facet.units, *(-1 - side for side in facet.sides)}:
            return facet
    return None


def _corners(cell: ExactCell, facet: ExactFacet | None) -> set[tuple[int, ...]]:
    """Return the vertices of a facet, each as coprime integers."""
    if facet is None:
        return set()
    return {
        tuple(int(x) for x in vertex) for i, vertex in enumerate(cell.polytope.vertices) if facet.on >> i & 1
    }
