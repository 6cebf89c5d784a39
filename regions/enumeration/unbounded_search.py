"""Counting and listing the cells of unbounded domains, by searches of bounded ones.

Counted are the cones over the cells, in a box of one dimension more. Listed are the cells in a box so large
that the cones show the same cells and facets; which of them have an end, the cones and exact arithmetic tell.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from regions.complexes import CellComplex, StoppedBy
from regions.complexes.geometry import CellGeometry
from regions.complexes.unbounded_cells import INSIDE, clipped_cells, clipping_facets, with_infinity
from regions.domain import Domain
from regions.domain.unbounded import Unbounded
from regions.enumeration.homogeneous import (
    HomogeneousNetwork,
    check_inputs,
    homogeneous,
    length_scale,
    of_cones,
    searched,
)
from regions.enumeration.limits import Stop, status_of
from regions.enumeration.vertices.cell_geometry import VertexGeometry
from regions.errors import BudgetExceededError, CertificateError, InvalidDomainError, InvalidInputError
from regions.network.patterns import row_keys
from regions.network.relu_network import Network

if TYPE_CHECKING:
    from regions.enumeration.enumerate import CellCount

FIRST_WIDTH = 2.0**10  # of the box that clips, in typical distances of the first hyperplanes
HIDDEN = 2.0**5  # how much wider a box is tried where cells do not show at all
LARGEST_WIDTH = 2.0**40
MOST_LISTED = 7  # inputs: cones have one dimension more, and volumes

List = Callable[..., CellComplex]


def count_unbounded(
    count: Callable[..., CellCount], network: Network, domain: Unbounded, engine: str, options: dict[str, Any]
) -> CellCount:
    """Count the cells of an unbounded domain as cones, by a function that counts cells of bounded ones.

    Parameters
    ----------
    count : `count_cells`
    network, domain, engine : as for it
    options : its other arguments

    Raises
    ------
    InvalidInputError, InvalidDomainError
        If an argument cannot be used.
    """
    if options.pop("check_volumes"):
        refuse_volumes(domain)
    cones, box = searched(network, domain, engine)
    found = count(cones, box, engine=engine, check_volumes=False, **options)
    reason = of_cones(found.engine_reason)
    return replace(found, dimension=domain.dimension, engine_reason=reason, volume_sum=None)


def refuse_volumes(domain: Domain) -> NoReturn:
    """Raise InvalidInputError because the volumes of a domain without end are not summed."""
    raise InvalidInputError(f"{domain.describe()} has an infinite volume: leave check_volumes out")


def list_unbounded(
    list_cells: List, network: Network, domain: Unbounded, engine: str, options: dict[str, Any]
) -> CellComplex:
    """List the cells of an unbounded domain, by a function that lists cells of bounded ones.

    Parameters
    ----------
    list_cells : `enumerate_cells`
    network, domain, engine : as for it
    options : its other arguments

    Raises
    ------
    InvalidInputError, InvalidDomainError
        If an argument cannot be used.
    BudgetExceededError
        If some cells are so much larger than others that no box of floats shows all.
    CertificateError
        If the listings contradict each other.
    """
    check_listed(network, domain)
    if options.pop("volumes", None) not in (None, True):
        raise InvalidInputError("volumes= is for bounded domains: cells of others are listed with vertices")
    max_cells, max_seconds = options.pop("max_cells", None), options.pop("max_seconds", None)
    with Stop(max_seconds) as stop:
        search = _Listing(list_cells, network, domain, engine, options, stop)
        cells = search.run(max_cells)
        stop.deliver(cells.certificate.stopped_by)
    return replace(cells, seconds=stop.seconds)


def check_listed(network: Network, domain: Unbounded) -> None:
    """Raise an error unless the cells of an unbounded domain are listed.

    Raises
    ------
    InvalidInputError, InvalidDomainError
        If the domain is not the network's, or has too many dimensions.
    """
    check_inputs(network, domain)
    if domain.dimension > MOST_LISTED:
        raise InvalidDomainError(
            f"{domain.describe()}: cells of unbounded domains are listed with their vertices, up to "
            f"{MOST_LISTED} dimensions; count them, or list cells and facets by explore(..., max_cells=None)"
        )


@dataclass
class _Listing:
    """A listing under way."""

    list_cells: List
    network: Network
    domain: Unbounded
    engine: str
    options: dict[str, Any]
    stop: Stop

    def run(self, max_cells: int | None) -> CellComplex:
        """List the cells in a box, and again in wider ones until nothing is hidden.

        Out of time or of `max_cells`, cells are missing, but those that are listed are shown as they are.
        """
        scale = length_scale(self.network)
        width = FIRST_WIDTH * scale
        clipped = self._clipped(width, max_cells)
        cones = self._cones(scale, max_cells) if clipped.certificate.complete else None
        stopped_by = clipped.certificate.stopped_by if cones is None else cones.stopped_by
        while (reach := self._hidden(clipped, None if stopped_by else cones)) > 0.0:
            width = max(2.0 * width, 2.0 ** math.ceil(math.log2(2.0 * reach)))
            if width > LARGEST_WIDTH * scale:
                raise BudgetExceededError(
                    f"cells reach as far as {reach:.3g}, where typical distances are {scale:.3g}: no box "
                    "shows all of them in floating point; count the cells, or rescale the network"
                )
            clipped = self._clipped(width, clipped.n_cells if stopped_by else None)
            stopped_by = stopped_by or clipped.certificate.stopped_by
        return self._with_infinity(_truncated(clipped, stopped_by) if stopped_by else clipped)

    def _clipped(self, width: float, max_cells: int | None) -> CellComplex:
        part = self.domain.clipped(width)
        limits = {"max_cells": max_cells, "max_seconds": self.stop.left()}
        return self.list_cells(self.network, part, engine=self.engine, **self.options, **limits)

    def _cones(self, scale: float, max_cells: int | None) -> _Cones:
        wider = homogeneous(self.network)
        limits = {"max_cells": max_cells, "max_seconds": self.stop.left()}
        options = self.options | {"progress": None}
        engine = "lp" if self.engine == "lp" else "auto"
        found = self.list_cells(wider.network, self.domain.cone(scale), engine=engine, **options, **limits)
        return _Cones.of(found, wider)

    def _hidden(self, clipped: CellComplex, cones: _Cones | None) -> float:
        """Return how far cells reach that the box does not show as they are; 0 if there is none."""
        width = float(clipped.domain.extent().max())
        cut = np.flatnonzero(clipped_cells(clipped, self.domain))
        if cones is not None and clipped.certificate.complete:
            if not cones.shown_by(clipped):
                return HIDDEN * width
            reach = cones.reach(clipped.patterns[cut])
            if 2.0 * reach > width:
                return reach
            cut = cut[~cones.open_at(clipped.patterns[cut])]
        reach = _exact_reach(clipped, self.domain, cut)
        return reach if 2.0 * reach > width else 0.0

    def _with_infinity(self, clipped: CellComplex) -> CellComplex:
        endless, counts = _ends(clipped, self.domain)
        cells = with_infinity(clipped, self.domain, endless, counts)
        width = clipped.domain.extent().max()
        reason = f"{clipped.engine_reason}; clipped to {width:g} around 0, where all cells and facets show"
        return replace(cells, engine_reason=reason)


def _truncated(cells: CellComplex, stopped_by: StoppedBy) -> CellComplex:
    certificate = replace(cells.certificate, complete=False, stopped_by=stopped_by)
    return replace(cells, status=status_of(stopped_by), certificate=certificate)


@dataclass
class _Cones:
    """What the cones over all cells tell of them.

    Attributes
    ----------
    found : CellComplex, of the cones
    keys : dict from the packed pattern of a cell to its number
    pairs : set of pairs of numbers, the smaller first: cells with a facet in common
    open : set of numbers: cells with a full-dimensional set of directions
    """

    found: CellComplex
    keys: dict[bytes, int]
    pairs: set[tuple[int, int]]
    open: set[int]

    @classmethod
    def of(cls, found: CellComplex, wider: HomogeneousNetwork) -> _Cones:
        keys = {key: k for k, key in enumerate(row_keys(wider.own_patterns(found.patterns)))}
        if len(keys) < found.n_cells:
            raise CertificateError("two cones have one pattern; please report this network")
        table = found.facets
        A, b = found.domain.halfspaces
        # absent where the domain's sides leave few directions, as those of a strip do
        ground = np.flatnonzero((A[:, -1] < 0.0) & ~A[:, :-1].any(axis=1) & (b == 0.0))
        pairs = _pairs(table.cell_a[table.interior], table.cell_b[table.interior])
        return cls(found, keys, pairs, set(table.cell_a[np.isin(table.side, ground)].tolist()))

    @property
    def stopped_by(self) -> StoppedBy:
        """What ended the listing of the cones early."""
        return self.found.certificate.stopped_by

    @cached_property
    def _geometry(self) -> CellGeometry:
        """Vertices in float arithmetic: exact signs, of which each cone has many at 0, are not needed."""
        found = self.found
        radius, planar = found.tolerances.vertex_radius, found.engine == "planar"
        return VertexGeometry(found.network, found.domain, radius, planar, certified=False)

    def reach(self, patterns: NDArray[np.uint8]) -> float:
        """Return the largest coordinate of the vertices of some cells, as floats go; 0 if there is none."""
        reach = 0.0
        for key in row_keys(patterns):
            cone = self.keys[key]
            try:
                points = self._geometry.vertices(self.found.patterns[cone])
            except CertificateError:  # float arithmetic has lost its way
                points = self.found.vertices(cone)
            points = points[points[:, -1] > 0.0]
            sizes = np.abs(points[:, :-1]).max(axis=1) / points[:, -1]
            reach = max(reach, float(sizes.max(initial=0.0)))
        return reach

    def shown_by(self, clipped: CellComplex) -> bool:
        """Tell whether a clipped complex has the cells and facets of these cones.

        Raises
        ------
        CertificateError
            If it has others.
        """
        number = [self.keys.get(key, -1) for key in row_keys(clipped.patterns)]
        table = clipped.facets
        ours = np.array(number, np.int64)
        pairs = _pairs(ours[table.cell_a[table.interior]], ours[table.cell_b[table.interior]])
        if -1 in number or not pairs <= self.pairs:
            raise CertificateError("a box has cells or facets that no cone has; please report this network")
        return len(number) == len(self.keys) and len(pairs) == len(self.pairs)

    def open_at(self, patterns: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Tell which cells have a full-dimensional set of directions, so are surely unbounded."""
        return np.array([self.keys[key] in self.open for key in row_keys(patterns)], np.bool_)


def _pairs(first: NDArray[np.int64], second: NDArray[np.int64]) -> set[tuple[int, int]]:
    both = np.sort(np.stack([first, second], axis=1), axis=1)
    return set(map(tuple, both.tolist()))


def _exact_reach(clipped: CellComplex, domain: Unbounded, cells: NDArray[np.int64]) -> float:
    """Return the largest coordinate of the vertices of some clipped cells; those of bounded ones are all."""
    if cells.size == 0:
        return 0.0
    from regions.rational import ExactNetwork, cell_cone  # slow to import, and rarely needed

    exact = ExactNetwork(clipped.network, domain)
    cones = (cell_cone(exact, clipped.pattern(int(i))) for i in cells)
    return max(cone.reach for cone in cones)


def _ends(clipped: CellComplex, domain: Unbounded) -> tuple[NDArray[np.bool_], NDArray[np.int32]]:
    """Tell which facets of a clipped complex the box cuts, and count the vertices that are not on it."""
    limit = INSIDE * float(clipped.domain.extent().max())
    table, cut = clipped.facets, clipped_cells(clipped, domain)
    counts = clipped.n_vertices.copy()
    for i in np.flatnonzero(cut).tolist():
        counts[i] = int((np.abs(clipped.vertices(i)).max(axis=1) <= limit).sum())
    endless = clipping_facets(clipped, domain)
    if clipped.dimension == 1:
        return endless, counts
    both = cut[table.cell_a] & ((table.cell_b < 0) | cut[np.maximum(table.cell_b, 0)])
    rows = np.flatnonzero(~endless & both)
    simplices, owner = clipped.some_facet_simplices(rows)
    far = np.abs(simplices).max(axis=(1, 2)) > limit
    endless[owner[far]] = True
    return endless, counts
