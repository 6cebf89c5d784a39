"""The breadth-first search over facets: cells, in any dimension, and which of them touch.

Cells are taken in the order in which they are met, a level at a time, on several threads; the result does
not depend on their number. What makes a `CellComplex` of it is in `program_complex`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from regions.domain import Domain
from regions.enumeration.compiled_network import CompiledNetwork
from regions.enumeration.programs.cell_facets import CellFacets
from regions.enumeration.programs.facet_finder import FacetFinder
from regions.errors import SolverError

Progress = Callable[[int, float], None]

CHUNK = 64  # cells a thread after which Ctrl-C and the limit are checked
SHARE = 16  # of these a thread takes at a time: to hand them over costs as much as a cell
MOST_STARTS = 100


@dataclass
class Listing:
    """Cells whose facets are known, in the order in which they were met.

    Attributes
    ----------
    states : list of bytes, one byte a unit
    witnesses : list of (d,) float64; NaN where no float was found inside
    facets : list of CellFacets, one per cell
    number : dict from pattern to cell; patterns beyond the cells listed are the frontier
    complete : bool
    """

    states: list[bytes] = field(default_factory=list)
    witnesses: list[NDArray[np.float64]] = field(default_factory=list)
    facets: list[CellFacets] = field(default_factory=list)
    number: dict[bytes, int] = field(default_factory=dict)
    complete: bool = False


def first_cell(finder: FacetFinder, domain: Domain) -> tuple[bytes, NDArray[np.float64]]:
    """Find the pattern at some point of the domain that is on no unit's zero set.

    Raises
    ------
    SolverError
        If a hundred points are all on one.
    """
    rng = np.random.default_rng(20241218)
    centre = domain.interior_point()
    for attempt in range(MOST_STARTS):
        point = centre if attempt == 0 else 0.5 * centre + 0.5 * _random_point(domain, rng)
        states = finder.pattern_at(point)
        if states is not None:
            return states, point
    raise SolverError(f"{MOST_STARTS} points of {domain.describe()} are all on the zero set of some unit")


def _random_point(domain: Domain, rng: np.random.Generator) -> NDArray[np.float64]:
    return np.asarray(domain.sample(1, rng)[0])


def list_cells(
    net: CompiledNetwork,
    domain: Domain,
    *,
    max_cells: int | None,
    workers: int,
    progress: Progress | None,
) -> Listing:
    """Search over the facets from one cell to all others, or to the first `max_cells`.

    Ctrl-C ends the search, and what was found by then is the outcome.
    """
    local = threading.local()

    def find(share: list[tuple[bytes, NDArray[np.float64]]]) -> list[CellFacets]:
        if not hasattr(local, "finder"):
            local.finder = FacetFinder(net, domain)
        return [local.finder.find(states, point) for states, point in share]

    listing = Listing()
    limit = max_cells if max_cells is not None else 2**62
    start = first_cell(FacetFinder(net, domain), domain)
    queue = [start]
    listing.number[start[0]] = 0
    try:
        with ThreadPoolExecutor(workers) as pool:
            while queue and len(listing.states) < limit:
                chunk = queue[: min(CHUNK * workers, limit - len(listing.states))]
                queue = queue[len(chunk) :]
                shares = [chunk[at : at + SHARE] for at in range(0, len(chunk), SHARE)]
                for share, found in zip(shares, pool.map(find, shares), strict=True):
                    for (states, _), facets in zip(share, found, strict=True):
                        _enter(listing, states, facets, queue)
                if progress is not None:
                    done = len(listing.states)
                    progress(done, done / (done + len(queue)))
    except KeyboardInterrupt:
        return listing
    listing.complete = not queue
    return listing


def _enter(
    listing: Listing, states: bytes, facets: CellFacets, queue: list[tuple[bytes, NDArray[np.float64]]]
) -> None:
    """List a cell, and put those of its neighbours in the queue that are new."""
    listing.states.append(states)
    listing.witnesses.append(facets.witness)
    listing.facets.append(facets)
    for neighbour, point in zip(facets.neighbours, facets.points, strict=True):
        if neighbour is not None and neighbour not in listing.number:
            listing.number[neighbour] = len(listing.number)
            queue.append((neighbour, point))
