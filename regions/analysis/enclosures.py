"""Intervals that contain the true volumes: of the cells of a complex, and of its locus.

Cells and facets are computed afresh from the listed patterns, in exact arithmetic; of the complex's
floats nothing is used. Float volumes are in `cell_complex`, their sums over the locus in `locus`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from flint import arb, ctx, fmpq
from numpy.typing import ArrayLike

from regions.analysis.arguments import check_complex
from regions.analysis.endless_ends import CellEnds
from regions.density import Density, GaussianDensity, UniformDensity
from regions.errors import CertificateError, InvalidDomainError, InvalidInputError
from regions.network import LocusKind, check_kind
from regions.network.patterns import flat_units, row_keys
from regions.rational import (
    ExactCell,
    ExactFacet,
    ExactGaussian,
    ExactNetwork,
    bounds,
    cell_volume,
    exact_cell,
    facet_row,
    facet_volume_enclosure,
    map_residues,
    neighbour_pattern,
    sign_at,
)
from regions.showing import Shown

if TYPE_CHECKING:
    from regions.complexes import CellComplex

__all__ = ["LocusEnclosure", "check_enclosable", "locus_enclosure", "volume_enclosures"]

BITS = 128  # of every interval: a relative width of some 1e-38
REPORTS_PER_SECOND = 10.0

Progress = Callable[[int, float], None]
Measure = Callable[[ExactCell, ExactFacet], arb]


@dataclass(frozen=True, eq=False)
class LocusEnclosure(Shown):
    """Intervals that contain the true volume of a locus; `regions.rational.bounds` gives floats.

    Attributes
    ----------
    total : arb
    by_layer : tuple of n_relu_layers arb
    by_unit : tuple of n_units arb, in flat unit order
    n_facets : int, how many facets were summed
    """

    total: arb
    by_layer: tuple[arb, ...]
    by_unit: tuple[arb, ...]
    n_facets: int

    def to_dict(self) -> dict[str, Any]:
        """Pairs [lower, upper] of floats rounded outwards, ready for JSON.

        Examples
        --------
        >>> third = arb(1) / 3
        >>> LocusEnclosure(third, (third,), (third,), 1).to_dict()["total"]
        [0.33333333333333326, 0.33333333333333337]
        """
        return {
            "total": list(bounds(self.total)),
            "by_layer": [list(bounds(part)) for part in self.by_layer],
            "by_unit": [list(bounds(part)) for part in self.by_unit],
            "n_facets": self.n_facets,
        }

    def _facts(self) -> dict[str, Any]:
        return self.to_dict()


def volume_enclosures(
    complex: CellComplex, cells: ArrayLike | None = None, *, progress: Progress | None = None
) -> list[arb]:
    """Intervals that contain the true volumes of cells, for the stored weights.

    A cell is computed from its activation pattern alone, with exact vertices; its volume is then a
    rational number, and the interval is that number's to 128 bits. Where all cells of a COMPLETE complex
    are asked for, their exact sum must be the exact volume of the domain. As cells of different
    patterns are disjoint, that proves that the list is complete.

    Parameters
    ----------
    complex : CellComplex
    cells : cell numbers, in any order; default all
    progress : called about ten times a second with cells done and fraction done

    Returns
    -------
    volumes : list of arb, in intrinsic coordinates
        On a Slice or a Segment these are coordinates in its stored basis, whose columns are orthonormal up
        to rounding only; the measure is Lebesgue's in those coordinates, as everywhere in this library.
        Infinite, exactly, of cells without end; of an unbounded domain nothing can be summed, so that the
        list is complete is left to `verify`.

    Raises
    ------
    InvalidInputError
        If a cell number is none.
    CertificateError
        If a pattern is that of no cell, is listed twice, or the volumes do not sum to the domain's.

    Notes
    -----
    Cost: 0.7 ms per cell for d = 2, 5 for d = 4, 38 for d = 5 (two or three layers).

    Examples
    --------
    >>> from regions import Box, Network, enumerate_cells
    >>> from regions.rational import bounds
    >>> third = Network.from_arrays([[[3.0]], [[1.0]]], [[-1.0], [0.0]])
    >>> [bounds(volume) for volume in volume_enclosures(enumerate_cells(third, Box([0.0], [1.0])))]
    [(0.6666666666666666, 0.6666666666666667), (0.3333333333333333, 0.33333333333333337)]
    """
    check_complex(complex)
    if complex.clipped is not None:
        return _endless_volumes(complex, cells, progress)
    listing = _Listing(complex)
    chosen = listing.choose(cells)
    volumes = [cell_volume(listing.cell(i).polytope) for i in _reported(chosen, progress)]
    if cells is None and complex.status.name == "COMPLETE":
        total, expected = _pairwise_sum(volumes), cell_volume(listing.exact.domain_polytope)
        if total != expected:
            raise CertificateError(
                f"the exact volumes of the cells sum to {float(arb(total)):.17g}, not to the domain's "
                f"{float(arb(expected)):.17g} (less by {float(arb(expected - total)):.3g}): cells are "
                "missing; verify(complex) says where"
            )
    with ctx.workprec(BITS):
        return [arb(volume) for volume in volumes]


def _endless_volumes(complex: CellComplex, cells: ArrayLike | None, progress: Progress | None) -> list[arb]:
    assert complex.clipped is not None  # by the caller
    listing, ends = _Listing(complex.clipped), CellEnds(complex)
    volumes = [ends.volume(listing.cell(i)) for i in _reported(listing.choose(cells), progress)]
    with ctx.workprec(BITS):
        return [arb("inf") if volume is None else arb(volume) for volume in volumes]


def locus_enclosure(
    complex: CellComplex,
    density: Density | None = None,
    kind: LocusKind = "gradient",
    *,
    normalise: bool = False,
    progress: Progress | None = None,
) -> LocusEnclosure:
    """Intervals that contain the true volume of the locus; `locus_volume(..., enclosure=True)` calls this.

    Facets are found from the exact cells. Every cell beyond a facet must be listed, so a COMPLETE
    complex that lacks a cell raises an error instead of giving an interval; of a TRUNCATED one, the
    facets between listed cells are summed. For the gradient locus, the affine maps of the two cells
    are compared exactly. A facet on which several units vanish counts for the one that the facet
    table names.

    Parameters
    ----------
    complex : CellComplex
    density : None, UniformDensity, or GaussianDensity where d <= 2
    kind : "gradient" or "activation"
    normalise : divide by the mass of a UniformDensity in the domain
    progress : called about ten times a second with cells done and fraction done

    Returns
    -------
    LocusEnclosure
        In intrinsic coordinates; see `volume_enclosures`. Of an unbounded domain it is infinite where a facet
        has no end, and finite with a Gaussian, which is integrated to the end of each facet.

    Raises
    ------
    InvalidInputError, InvalidDomainError
        If the kind is unknown, or the density has no enclosure here or is not one of the domain.
    CertificateError
        If the cells or the facet table are not those of the network on the domain.

    Notes
    -----
    Cost: 0.4 ms per cell for d = 2, 0.8 for d = 3, 1.4 for d = 4, 6 for d = 5 (two or three layers).

    Examples
    --------
    >>> from regions import Box, Network, enumerate_cells
    >>> diagonal = Network.from_arrays([[[1.0, 1.0]], [[1.0]]], [[0.0], [0.0]])
    >>> locus_enclosure(enumerate_cells(diagonal, Box([-1, -1], [1, 1]))).to_dict()["total"]
    [2.82842712474619, 2.8284271247461903]
    """
    check_kind(kind)
    check_enclosable(complex, density, normalise)
    ends = None if complex.clipped is None else CellEnds(complex)
    complex = complex if complex.clipped is None else complex.clipped
    listing = _Listing(complex)
    measure, divisor = _weight(listing, density, normalise, ends)
    jumps = _Jumps(listing) if kind == "gradient" else None
    n_units, offsets = complex.network.n_units, complex.network.unit_offsets.tolist()
    by_unit, count = [arb(0)] * n_units, 0
    for i in _reported(listing.choose(None), progress):
        cell = listing.cell(i)
        for facet in cell.facets:
            j = -1 if facet.sides else listing.beyond(i, cell, facet)
            if j <= i or (jumps is not None and not jumps.between(i, j)):
                continue
            unit = listing.owner(i, j, facet)
            count += 1
            with ctx.workprec(BITS):
                by_unit[unit] += measure(cell, facet)
    with ctx.workprec(BITS):
        by_unit = [part / divisor for part in by_unit]
        by_layer = [sum(by_unit[a:b], arb(0)) for a, b in pairwise(offsets)]
        return LocusEnclosure(sum(by_layer, arb(0)), tuple(by_layer), tuple(by_unit), count)


def check_enclosable(complex: CellComplex, density: Density | None, normalise: bool) -> None:
    """Raise InvalidInputError unless an integral with this density over facets has an enclosure here."""
    if isinstance(density, UniformDensity) and complex.clipped is not None:
        raise InvalidInputError(
            f"an enclosure with a uniform density on {density.domain.describe()} is of the cells there: "
            "enumerate on it, or call locus_volume(..., enclosure=True), which does"
        )
    if density is None or isinstance(density, UniformDensity):
        return
    if not isinstance(density, GaussianDensity):
        raise InvalidInputError(
            f"no enclosure with a {type(density).__name__}: leave out enclosure=True, or use no density, "
            "UniformDensity, or GaussianDensity where d <= 2"
        )
    if complex.dimension > 2:
        raise InvalidInputError(
            f"a Gaussian density has enclosures for d <= 2, where integrals over facets are closed forms; "
            f"here d = {complex.dimension}: leave out enclosure=True, or use UniformDensity"
        )
    if normalise:
        raise InvalidInputError(
            "normalise=True has no enclosure with a Gaussian density; leave out one of the two"
        )


class _Listing:
    """The cells that a complex lists, in exact arithmetic on demand."""

    def __init__(self, complex: CellComplex) -> None:
        self.complex = complex
        self.exact = ExactNetwork(complex.network, complex.domain)
        self.patterns = row_keys(complex.unpacked_patterns())
        self.index = {pattern: i for i, pattern in enumerate(self.patterns)}
        if len(self.index) != len(self.patterns):
            raise CertificateError(f"{len(self.patterns) - len(self.index)} patterns are listed twice")
        if not self.patterns and complex.status.name == "COMPLETE":
            raise CertificateError("the complex is called COMPLETE but lists no cell")
        table, offsets = complex.facets, complex.network.unit_offsets
        rows = np.flatnonzero((table.layer >= 0) & (table.unit >= 0) & (table.layer < len(offsets) - 1))
        units = flat_units(offsets, table.layer[rows], table.unit[rows])
        ends = np.concatenate([table.cell_a[rows], table.cell_b[rows]])
        others = np.concatenate([table.cell_b[rows], table.cell_a[rows]])
        order = np.argsort(ends, kind="stable")
        self._starts = np.searchsorted(ends[order], np.arange(len(self.patterns) + 1)).tolist()
        self._units = np.concatenate([units, units])[order].tolist()
        self._others = others[order].tolist()

    def choose(self, cells: ArrayLike | None) -> list[int]:
        """Cell numbers, checked."""
        n = len(self.patterns)
        if cells is None:
            return list(range(n))
        chosen = np.atleast_1d(np.asarray(cells))
        if chosen.size == 0:
            return []
        if chosen.ndim != 1 or chosen.dtype.kind not in "iu" or chosen.min() < 0 or chosen.max() >= n:
            raise InvalidInputError(f"cells must be whole numbers from 0 to {n - 1}, the complex has {n}")
        return [int(i) for i in chosen]

    def cell(self, i: int) -> ExactCell:
        """Cell i from its pattern; raises CertificateError if that has none."""
        hints = self._units[self._starts[i] : self._starts[i + 1]]
        try:
            return exact_cell(self.exact, self.patterns[i], hints)
        except CertificateError as error:
            raise CertificateError(f"cell {i}: {error}") from error

    def beyond(self, i: int, cell: ExactCell, facet: ExactFacet) -> int:
        """The cell beyond an inner facet of cell i, -1 where a TRUNCATED complex does not list it."""
        j = self.index.get(neighbour_pattern(self.exact, cell, facet), -1)
        if j < 0 and self.complex.status.name == "COMPLETE":
            raise CertificateError(
                f"the cell beyond a facet of cell {i} on unit {facet.units[0]} is not listed, though the "
                "complex is called COMPLETE; enumerate it again"
            )
        return j

    def owner(self, i: int, j: int, facet: ExactFacet) -> int:
        """The unit that the facet table names between cells i and j."""
        span = range(self._starts[i], self._starts[i + 1])
        named = [self._units[k] for k in span if self._others[k] == j]
        if len(named) != 1 or named[0] not in facet.units:
            raise CertificateError(
                f"the facet table names units {named} between cells {i} and {j}, where units "
                f"{list(facet.units)} vanish; verify(complex) says what else is wrong"
            )
        return named[0]


class _Jumps:
    """Whether the gradient jumps between two cells, exactly."""

    def __init__(self, listing: _Listing) -> None:
        complex = listing.complex
        self._listing = listing
        self._residues = map_residues(complex.network, complex.domain, complex.unpacked_patterns())

    def between(self, i: int, j: int) -> bool:
        """Maps of neighbours agree on their facet, so they are equal iff their gradients are."""
        if (self._residues[i] != self._residues[j]).any():
            return True
        first, second = (self._listing.patterns[k] for k in (i, j))
        return self._listing.exact.output_integers(first) != self._listing.exact.output_integers(second)


def _weight(
    listing: _Listing, density: Density | None, normalise: bool, ends: CellEnds | None
) -> tuple[Measure, fmpq]:
    """How a facet is measured, and what the sum of the measures is divided by."""
    if isinstance(density, GaussianDensity):
        bell = ExactGaussian(density.mean, density.cov)

        def integral(cell: ExactCell, facet: ExactFacet) -> arb:
            if ends is not None:
                return ends.gaussian(bell, cell, facet, BITS)
            return bell.integral(_points_on(cell, facet), BITS)

        return integral, fmpq(1)

    def volume(cell: ExactCell, facet: ExactFacet) -> arb:
        if ends is not None and ends.ways(cell, facet):
            return arb("inf")
        row = facet_row(listing.exact, cell.pattern, facet)
        return facet_volume_enclosure(cell.polytope, facet.on, BITS, row)

    if not isinstance(density, UniformDensity):
        return volume, fmpq(1)
    inner = listing.exact
    outer = _exact_domain(listing, density)
    return volume, cell_volume((inner if normalise else outer).domain_polytope)


def _exact_domain(listing: _Listing, density: UniformDensity) -> ExactNetwork:
    """The domain that a density is uniform on, which must hold the complex's, exactly."""
    own, domain = density.domain, listing.complex.domain
    if own is domain:
        return listing.exact
    if not (np.array_equal(own.origin, domain.origin) and np.array_equal(own.basis, domain.basis)):
        raise InvalidDomainError(
            f"the density is uniform on {own.describe()}, whose coordinates are not those of "
            f"{domain.describe()}; build UniformDensity on the complex's domain"
        )
    outer = ExactNetwork(listing.complex.network, own)
    corners = listing.exact.domain_polytope.vertices
    if any(sign_at(row, corner) < 0 for row in outer.halfspace_rows for corner in corners):
        raise InvalidDomainError(
            f"{domain.describe()} leaves {own.describe()}, where the uniform density lives; an enclosure "
            "needs it inside exactly: build UniformDensity on the complex's domain"
        )
    return outer


def _points_on(cell: ExactCell, facet: ExactFacet) -> list[tuple[int, ...]]:
    return [point for k, point in enumerate(cell.polytope.vertices) if facet.on >> k & 1]


def _pairwise_sum(values: Sequence[fmpq]) -> fmpq:
    """Exact sum by halves: neighbours in the list share vertices, so denominators stay small."""
    parts: list[Any] = list(values) or [fmpq(0)]
    while len(parts) > 1:
        parts = [sum(parts[k : k + 2], fmpq(0)) for k in range(0, len(parts), 2)]
    return parts[0]


def _reported(chosen: list[int], progress: Progress | None) -> Iterator[int]:
    """The cell numbers one by one, with a report about ten times a second."""
    last = time.perf_counter()
    for done, i in enumerate(chosen):
        yield i
        now = time.perf_counter()
        if progress is not None and now - last > 1.0 / REPORTS_PER_SECOND:
            last = now
            progress(done + 1, (done + 1) / len(chosen))
    if progress is not None:
        progress(len(chosen), 1.0)
