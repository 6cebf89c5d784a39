"""The facet between two cells in rational arithmetic: a section of the domain, cut by units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import and_

import numpy as np

from regions.errors import CertificateError
from regions.network.patterns import state_bytes
from regions.rational.affine_maps import ExactNetwork, Pattern
from regions.rational.exact_cells import OrientedRows, surely_positive
from regions.rational.exact_polytope import RationalPolytope

__all__ = ["SharedFacet", "shared_facet"]

_NO_FACET = "two cells that are listed as neighbours share no facet; please report this network"


@dataclass(frozen=True)
class SharedFacet:
    """The facet between two cells.

    Attributes
    ----------
    row : tuple of d + 1 ints, its hyperplane, positive in the first cell
    polytope : RationalPolytope of dimension d - 1, with points in d dimensions; of its rows, the first are
        the domain's sides, then come the units
    """

    row: tuple[int, ...]
    polytope: RationalPolytope


def shared_facet(exact: ExactNetwork, own: Pattern, other: Pattern, hints: Sequence[int] = ()) -> SharedFacet:
    """Return the facet between the cells of two patterns.

    A unit that changes vanishes on it, so it is what the other units leave of a section of the domain.

    Parameters
    ----------
    exact : ExactNetwork
    own, other : (n_units,) bool
    hints : flat numbers of units that are likely to bound the first cell; for speed only

    Raises
    ------
    CertificateError
        If the cells share no facet.

    Examples
    --------
    >>> from regions import Box, Network
    >>> network = Network.from_arrays([[[1, 0], [0, 1]], [[1, 1]]], [[0, 0], [0]])
    >>> exact = ExactNetwork(network, Box([-1, -1], [2, 2]))
    >>> facet = shared_facet(exact, [True, False], [False, False])
    >>> facet.row, sorted(facet.polytope.vertices)
    ((1, 0, 0), [(0, -1, 1), (0, 0, 1)])
    """
    key = state_bytes(own)
    changed = [k for k, (p, q) in enumerate(zip(key, state_bytes(other), strict=True)) if p != q]
    rows, n_sides = OrientedRows(exact, key), len(exact.halfspace_rows)
    plane = next((unit for unit in changed if any(rows(unit))), -1)
    half = exact.domain_polytope.cut(rows(plane), n_sides + plane) if plane >= 0 else None
    if half is None:
        raise CertificateError(_NO_FACET)
    bit = 1 << (n_sides + plane)
    on = [i for i, mask in enumerate(half.masks) if mask & bit]
    if not on:
        raise CertificateError(_NO_FACET)
    section = RationalPolytope(exact.dimension, [half.vertices[i] for i in on], [half.masks[i] for i in on])
    done = ~exact.network.cutting | rows.winning
    done[plane] = True
    for unit in hints:
        if not done[unit]:
            done[unit] = True
            section = _cut(section, rows(unit), n_sides + unit)
    doubtful = ~surely_positive(section, rows.floats(), rows.orientation) & ~done
    for unit in np.flatnonzero(doubtful).tolist():
        section = _cut(section, rows(unit), n_sides + unit)
    everywhere = reduce(and_, section.masks)
    facet = RationalPolytope(
        exact.dimension - 1, section.vertices, [mask & ~everywhere for mask in section.masks]
    )
    if len(facet.vertices) < exact.dimension:
        raise CertificateError(_NO_FACET)
    return SharedFacet(rows(plane), facet)


def _cut(section: RationalPolytope, row: tuple[int, ...], number: int) -> RationalPolytope:
    """Return the part of a section where a row is >= 0; a row that is 0 on all of it leaves it as it is."""
    part = section.cut(row, number)
    if part is not None:
        return part
    if any(sum(x * y for x, y in zip(row, vertex, strict=True)) for vertex in section.vertices):
        raise CertificateError(_NO_FACET)
    return section
