"""What an enumeration checks about its own result: floats first, rational arithmetic where they cannot tell.

A check fails only where exact arithmetic, or a bound that floats do keep, says so; one that cannot be made is
named in the result's certificate.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from regions.complexes import Arithmetic, CellComplex, FacetTable, Tolerances
from regions.domain import Domain
from regions.errors import CertificateError
from regions.kernels.memory import pattern_lookup
from regions.network.patterns import pack
from regions.network.relu_network import Network

FloatArray = NDArray[np.float64]

SAMPLES = 64
THIN = 2.0**-20  # a vertex's rounding is a 2**-32th of a width this small; the sum is compared to 1e-9
MOST_EXACT = 1 << 14  # cells in the plane whose volumes are added exactly (seconds), half of it per dimension


@dataclass(frozen=True)
class Listed:
    """The packed patterns (n, bytes) of a network's cells on a domain; `complete` if none is missing."""

    network: Network
    domain: Domain
    packed: NDArray[np.uint8]
    complete: bool


def holds_volume(domain: Domain) -> bool:
    """Tell whether the domain's volume is a number that floats hold with all its digits."""
    return sys.float_info.min <= domain.volume < math.inf


def sums_up(total: float, domain: Domain, complete: bool, tolerances: Tolerances) -> bool:
    """Tell whether the cells' volumes sum to the domain's (to no more, if cells are missing) as floats go."""
    excess = total / domain.volume - 1.0
    return excess <= tolerances.volume_sum and not (complete and excess < -tolerances.volume_sum)


def checked_measures(
    volumes: FloatArray,
    table: FacetTable,
    sides_differ: str,
    listed: Listed,
    tolerances: Tolerances,
    total: float | None = None,
) -> tuple[FloatArray, FacetTable, str]:
    """Check that the volumes of cells sum to the domain's, and facets have one volume from both sides.

    Where floats differ, or the domain is so thin that they may agree on what rounding made of it, exact
    arithmetic decides: cells of different patterns are disjoint, so a list is complete if and only if its
    exact volumes sum to the domain's. The exact volumes, rounded, then take the place of those that came in.

    Parameters
    ----------
    volumes : (n,) float64
    table : FacetTable
    sides_differ : str, how the volumes of facets differ from their two sides, as `facet_table` says; or ""
    listed : Listed
    tolerances : Tolerances
    total : float, the exact sum of the volumes, rounded, if it is known

    Returns
    -------
    volumes, table : those that came in, or with exact volumes
    unchecked : str, what could not be checked, or ""

    Raises
    ------
    CertificateError
        If a check fails.
    """
    total = math.fsum(volumes.tolist()) if total is None else total
    trouble = sides_differ
    if not sums_up(total, listed.domain, listed.complete, tolerances):
        trouble = sum_differs(total, listed.domain)
    if not trouble and not is_thin(listed.domain):
        return volumes, table, ""
    if len(volumes) > most_exact(listed.domain):
        return volumes, table, too_many(trouble, len(volumes), listed.domain)
    from regions.enumeration.exact_measures import measure_exactly  # slow to import, and rarely needed

    problem = listed.network, listed.domain
    found = measure_exactly(listed.packed, table, problem, listed.complete)
    return found.cells, replace(table, volume=found.facets), ""


def most_exact(domain: Domain) -> int:
    """Return how many cells are measured exactly at most: some seconds of work."""
    return MOST_EXACT >> domain.dimension


def too_many(trouble: str, cells: int, domain: Domain) -> str:
    """Say that so many cells cannot be measured exactly, of a domain too thin for floats.

    Raises
    ------
    CertificateError
        With the trouble, if the domain is not thin: then floats can tell.
    """
    if not is_thin(domain):
        raise CertificateError(f"{trouble}; please report this network")
    return (
        "that volumes fit together is not checked: the domain is so thin for its distance from 0 that they "
        f"are rounded away, and {cells:,} cells are too many, cut off too early or not in memory, to measure "
        "them exactly"
    )


def sum_differs(total: float, domain: Domain) -> str:
    """Say how the sum of volumes differs from the domain's."""
    return (
        f"the cells' volumes sum to {total:.15g}, the domain's is {domain.volume:.15g}: the cells do not "
        "cover the domain exactly once"
    )


def is_thin(domain: Domain) -> bool:
    """Tell whether a domain is so thin, for its distance from 0, that rounded vertices change its volume.

    Examples
    --------
    >>> from regions import Box
    >>> is_thin(Box([0.0, -1.0], [1e-12, 1.0])), is_thin(Box([0.0], [1e-12])), is_thin(Box([1e9], [1e9 + 1]))
    (True, False, True)
    """
    A, b = domain.halfspaces
    lengths = np.linalg.norm(A, axis=1)
    widths = ((b[:, None] - A @ domain.vertices.T) / lengths[:, None]).max(axis=1)
    return bool(widths.min() < THIN * float(np.abs(domain.vertices).max()))


def check_samples(cells: CellComplex) -> None:
    """Check that random points fall in listed cells.

    Where a point falls in none as floats go, its exact pattern decides. In float arithmetic, which may lose
    cells thinner than its tolerances, a point near a hyperplane is passed over.

    Raises
    ------
    CertificateError
        If one is strictly inside of a cell that is not listed.
    """
    check_points(
        cells.network, cells.domain, cells.arithmetic, lambda packed: rows_in(packed, cells.patterns)
    )


def check_points(
    network: Network,
    domain: Domain,
    arithmetic: Arithmetic,
    listed: Callable[[NDArray[np.uint8]], NDArray[np.bool_]],
) -> None:
    """Do what `check_samples` does, given what tells which packed patterns (k, bytes) are listed.

    Raises
    ------
    CertificateError
        If a point is strictly inside of a cell that is not listed.
    """
    points = domain.sample(SAMPLES, np.random.default_rng(0))
    inputs = domain.to_input(points)
    packed = pack(np.atleast_2d(network.activation_pattern(inputs)))
    missing = ~listed(packed)
    for k in np.flatnonzero(missing):
        values = np.concatenate([z.ravel() for z in network.pre_activations(inputs[k : k + 1])])
        near = np.abs(values).min() <= 1e-9 * np.abs(values).max() or network.max_units is not None
        if near and arithmetic == "float":
            continue
        states = _exact_pattern(network, domain, points[k])
        if states is not None and not listed(pack(states[None]))[0]:
            raise CertificateError(
                f"the sampled point {inputs[k].tolist()} lies in no listed cell; please report this network"
            )


def _exact_pattern(network: Network, domain: Domain, point: FloatArray) -> NDArray[np.bool_] | None:
    """Return the pattern of the cell that a point (d,) is strictly inside of; None if there is none."""
    from regions.rational import ExactNetwork, inside_all  # slow to import, and rarely needed

    exact = ExactNetwork(network, domain)
    at = [Fraction(x) for x in point.tolist()]
    states = exact.states_at(at)
    if len(states) < network.n_units:
        return None
    sides = [(*(-int(x) for x in row[:-1]), int(row[-1])) for row in exact.halfspace_rows]
    return np.frombuffer(states, np.bool_) if inside_all(sides, at) else None


def rows_in(rows: NDArray[np.uint8], table: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Tell which rows occur in a table of rows of the same width."""
    if rows.shape[1] == 0:
        return np.full(rows.shape[0], table.shape[0] > 0)
    found = np.empty(rows.shape[0], np.bool_)
    room = np.full(1 << (4 * rows.shape[0]).bit_length(), -1)
    rows, table = np.ascontiguousarray(rows), np.ascontiguousarray(table)
    pattern_lookup.find_rows(rows, table, room, np.empty(rows.shape[0], np.int64), found)
    return found
