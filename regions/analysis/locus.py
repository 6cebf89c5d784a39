"""Exact volume of the locus of an enumerated network: facets summed up, plain or weighted by a density.

Takes the facets and their jumps as the cell complex states them; finding them is left to `enumeration`,
integrating a density over a simplex to `density`, averaging over bias noise to `validation`, intervals
that contain the true value to `enclosures`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regions.analysis.arguments import check_complex
from regions.analysis.enclosures import LocusEnclosure, check_enclosable, locus_enclosure
from regions.analysis.exact_sums import ExactSums
from regions.analysis.unbounded_parts import where_mass_is
from regions.complexes import CellComplex, FacetTable, StoredComplex
from regions.density import Density, UniformDensity
from regions.density.densities import check_density
from regions.density.frozen_distributions import with_distributions
from regions.errors import BudgetExceededError, InvalidInputError
from regions.network import LocusKind, check_kind
from regions.network.patterns import flat_units
from regions.showing import Shown

__all__ = ["LocusVolume", "locus_volume"]

FloatArray = NDArray[np.float64]

_EPS = float(np.finfo(np.float64).eps)
ROWS_AT_ONCE = 1 << 13  # facets of a folder that are cut into simplices together


@dataclass(frozen=True, eq=False)
class LocusVolume(Shown):
    """Volume of a locus, in all and by the units that it belongs to.

    Parameters
    ----------
    total : float, in (d-1)-volume, times density if there is one (d = 1: a number of points)
    error : float, rounding and cubature together; not that of the vertices' coordinates
    by_layer : (n_relu_layers,) float64
    by_unit : (n_units,) float64, in flat unit order
    kind : "gradient" or "activation"
    n_facets : int, how many facets were summed
    density : str describing the density, or None for plain volume
    mass : float, mass of the density in the domain; None without density, nan where that integral alone
        exceeded its budget
    normalised : bool, whether everything above is divided by that mass
    is_lower_bound : bool, True on a TRUNCATED complex: facets are missing
    enclosure : LocusEnclosure, intervals that contain the true values, or None if not asked for
    """

    total: float
    error: float
    by_layer: FloatArray
    by_unit: FloatArray
    kind: str
    n_facets: int = 0
    density: str | None = None
    mass: float | None = None
    normalised: bool = False
    is_lower_bound: bool = False
    enclosure: LocusEnclosure | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, lists and strings, ready for JSON.

        Examples
        --------
        >>> LocusVolume(2.0, 0.0, np.array([2.0]), np.array([0.5, 1.5]), "gradient").to_dict()["by_unit"]
        [0.5, 1.5]
        """
        mass = None if self.mass is None or math.isnan(self.mass) else self.mass
        return {
            "kind": self.kind,
            "total": self.total,
            "error": self.error,
            "by_layer": self.by_layer.tolist(),
            "by_unit": self.by_unit.tolist(),
            "n_facets": self.n_facets,
            "density": self.density,
            "mass": mass,
            "normalised": self.normalised,
            "is_lower_bound": self.is_lower_bound,
            "enclosure": None if self.enclosure is None else self.enclosure.to_dict(),
        }

    def _headline(self) -> str:
        least = "at least " if self.is_lower_bound else ""
        weight = "" if self.density is None else f", weighed by {self.density}"
        return f"{least}{self.total:.9g} ± {self.error:.1g}, {self.kind} locus{weight}"

    def _notes(self) -> dict[str, Any]:
        return {"by layer": self.by_layer}

    def _facts(self) -> dict[str, Any]:
        proven = {} if self.enclosure is None else {"proven": self.enclosure.to_dict()["total"]}
        mass = {} if self.mass is None else {"mass": self.mass}
        bound = " (a lower bound)" if self.is_lower_bound else ""
        return {
            "total": f"{self.total:.9g} ± {self.error:.1g}{bound}",
            "kind": self.kind,
            "density": "none: plain volume" if self.density is None else self.density,
            "facets": self.n_facets,
            **{f"layer {k}": float(part) for k, part in enumerate(self.by_layer)},
            "by unit": self.by_unit,
            **mass,
            **proven,
        }


@with_distributions
def locus_volume(
    complex: CellComplex | StoredComplex,
    density: Density | None = None,
    kind: LocusKind = "gradient",
    *,
    normalise: bool = False,
    allow_truncated: bool = False,
    enclosure: bool = False,
    progress: Callable[[int, float], None] | None = None,
) -> LocusVolume:
    """Volume of the nonlinear locus (or of the activation locus) of an enumerated network.

    The activation locus is every interior facet; the nonlinear locus those across which the gradient
    jumps. Sums are exactly rounded, so they do not depend on the order of the facets.

    Parameters
    ----------
    complex : CellComplex or StoredComplex, COMPLETE unless `allow_truncated`
        Of a StoredComplex facets are read in blocks, so memory does not grow with their number.
    density : Density in the intrinsic coordinates of the complex's domain; None for plain (d-1)-volume
    kind : "gradient" or "activation"
    normalise : divide by the mass of the density in the domain
    allow_truncated : accept a TRUNCATED complex, whose value is then a lower bound, and named so
    enclosure : also compute, in exact arithmetic from the cells' patterns, intervals that contain the
        true volume for the stored weights; a Gaussian density has them for d <= 2, unless normalised
    progress : with `enclosure`, called about ten times a second with cells done and fraction done

    Returns
    -------
    LocusVolume; cost O(m d^2) for m facets, plus the density's integral over their simplices
        An enclosure costs 0.4 ms per cell for d = 2, 1.4 ms for d = 4 and 6 ms for d = 5.

    Raises
    ------
    InvalidInputError
        If the complex is TRUNCATED, the kind is unknown, the density does not fit or has no enclosure,
        or there is nothing to normalise by.
    BudgetExceededError : if the density's cubature does not reach its tolerance
    CertificateError : with `enclosure`, if the listed cells or facets are not those of the network

    Notes
    -----
    On an unbounded domain the plain volume is inf where a facet is unbounded, and an integral is that over
    the part which has the density's mass (`part_with_mass`), listed anew: `n_facets` counts facets there. An
    enclosure with a Gaussian is that over the whole of each facet.

    Volumes are those of intrinsic coordinates. On a Slice or a Segment these refer to the stored basis,
    which is orthonormal up to rounding only; the enclosure is exact in them, so it differs from the
    volume in input coordinates by about the basis's rounding (relative 1e-16 where the library made it).

    References
    ----------
    Patel and Montufar, arXiv 2412.18283, definition of local complexity; docs/mathematics.md, "The locus".

    Examples
    --------
    >>> from regions import Box, Network
    >>> from regions.enumeration import enumerate_cells
    >>> network = Network.from_arrays([[[1.0, 1.0]], [[1.0]]], [[0.0], [0.0]])
    >>> round(locus_volume(enumerate_cells(network, Box([-1, -1], [1, 1]))).total, 12)
    2.828427124746
    >>> locus = locus_volume(enumerate_cells(network, Box([-1, -1], [1, 1])), enclosure=True)
    >>> locus.enclosure.to_dict()["total"]
    [2.82842712474619, 2.8284271247461903]
    """
    _check(complex, density, kind, normalise, allow_truncated)
    if enclosure and isinstance(complex, StoredComplex):
        raise InvalidInputError("enclosures take cells in memory: give stored.load()")
    whole = complex
    if density is not None:
        complex = where_mass_is(complex, density)
    if isinstance(density, UniformDensity):
        whole = complex
    if enclosure and not isinstance(whole, StoredComplex):
        check_enclosable(whole, density, normalise)
    offsets = complex.network.unit_offsets
    sums, spread, n_facets = ExactSums(int(offsets[-1])), ExactSums(1), 0
    for facets, cells in _blocks(complex, density):
        selected = np.array(facets.interior, dtype=bool)
        if kind == "gradient":
            selected &= facets.jump != 0.0
        values, errors = _facet_measures(
            complex.dimension, (facets, cells), density, selected, isinstance(complex, StoredComplex)
        )
        sums.add(flat_units(offsets, facets.layer[selected], facets.unit[selected]), values)
        spread.add(np.zeros(len(errors), np.int64), errors)
        n_facets += len(values)
    by_unit = sums.values()
    by_layer = np.array([sums.total(a, b) for a, b in pairwise(offsets.tolist())])
    total = sums.total()
    error = spread.total() + _EPS * total
    mass = None if density is None else _mass(complex, density, normalise)
    if normalise and mass is not None:
        inside, inside_error = mass
        if not inside > 0.0:
            raise InvalidInputError(f"the density has mass {inside} in the domain; nothing to normalise by")
        error = error / inside + total / inside * (inside_error / inside)
        total, by_unit, by_layer = total / inside, by_unit / inside, by_layer / inside
    for array in (by_unit, by_layer):
        array.setflags(write=False)
    intervals = None
    if enclosure and not isinstance(whole, StoredComplex):
        intervals = locus_enclosure(whole, density, kind, normalise=normalise, progress=progress)
    return LocusVolume(
        total=total,
        error=error,
        by_layer=by_layer,
        by_unit=by_unit,
        kind=kind,
        n_facets=n_facets,
        density=None if density is None else density.describe(),
        mass=None if mass is None else mass[0],
        normalised=normalise,
        is_lower_bound=complex.status.name != "COMPLETE",
        enclosure=intervals,
    )


def _check(
    cells: CellComplex | StoredComplex,
    density: Density | None,
    kind: str,
    normalise: bool,
    allow_truncated: bool,
) -> None:
    check_kind(kind)
    if not isinstance(cells, StoredComplex):
        check_complex(cells)
    if density is not None:
        check_density(density)
    if cells.status.name != "COMPLETE" and not allow_truncated:
        raise InvalidInputError(
            f"the complex is {cells.status.name}, facets are missing; enumerate it to the end, or pass "
            "allow_truncated=True for a lower bound"
        )
    if density is not None and density.dimension != cells.dimension:
        raise InvalidInputError(
            f"the density has {density.dimension} coordinates, the complex {cells.dimension}; "
            "give a density in the intrinsic coordinates of its domain"
        )
    if normalise and density is None:
        raise InvalidInputError("normalise=True needs a density; give one, or divide by the volume")


def _blocks(
    complex: CellComplex | StoredComplex, density: Density | None
) -> Iterator[tuple[FacetTable, CellComplex | None]]:
    """Return all facets in blocks, with the cells on both sides where these are needed."""
    if complex.dimension > 1:
        complex.require_volumes("a locus volume")
    if not isinstance(complex, StoredComplex):
        yield complex.facets, complex
    elif density is None:
        for facets in complex.facet_blocks():
            yield facets, None
    else:
        complex.require_volumes("an integral of a density over the locus")
        for _, part in complex.facets_with_cells():
            yield part.facets, part


def _facet_measures(
    d: int,
    block: tuple[FacetTable, CellComplex | None],
    density: Density | None,
    selected: NDArray[np.bool_],
    in_blocks: bool,
) -> tuple[FloatArray, FloatArray]:
    """Measure and error of each selected facet of a block in d dimensions, in the order of the table."""
    facets, cells = block
    if density is None:
        # points, the facets in one dimension, count as 1 each
        volumes = np.ones(int(np.count_nonzero(selected))) if d == 1 else facets.volume[selected]
        return volumes, (0.0 if d == 1 else 4.0 * d * _EPS) * volumes
    assert cells is not None  # by `_blocks`
    count = len(selected)
    summed, spread = np.zeros((2, count))
    for simplices, facet in _selected_simplices(cells, selected, in_blocks):
        values, errors = density.integrate_simplices(simplices)
        # facets have few simplices: bincount adds them in the order given
        summed += np.bincount(facet, values, count)
        spread += np.bincount(facet, errors, count)
    return summed[selected], spread[selected] + 8.0 * _EPS * summed[selected]


def _selected_simplices(
    cells: CellComplex, selected: NDArray[np.bool_], in_blocks: bool
) -> Iterator[tuple[FloatArray, NDArray[np.int64]]]:
    """Cut the selected facets into simplices, with the row of each; all at once, or in blocks."""
    if not in_blocks:  # cubature refines what it gets together, so the error is that of all
        simplices, facet = cells.facet_simplices()
        wanted = selected[facet]
        yield simplices[wanted], facet[wanted]
        return
    rows = np.flatnonzero(selected)
    for first in range(0, len(rows), ROWS_AT_ONCE):
        yield cells.some_facet_simplices(rows[first : first + ROWS_AT_ONCE])


def _mass(
    cells: CellComplex | StoredComplex,
    density: Density,
    needed: bool,
) -> tuple[float, float]:
    try:
        return density.mass(cells.domain)
    except BudgetExceededError:
        if needed:
            raise
        return math.nan, math.nan
