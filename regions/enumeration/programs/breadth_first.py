"""The breadth-first search over facets: cells, in any dimension, and which of them touch.

Cells are taken in the order in which they are met, a level at a time, on several threads; the result does
not depend on their number. What makes a `CellComplex` of it is in `program_complex`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from regions.complexes import StoppedBy
from regions.domain import Domain
from regions.enumeration.compiled_network import CompiledNetwork
from regions.enumeration.limits import Stop
from regions.enumeration.programs.cell_facets import CellFacets
from regions.enumeration.programs.facet_finder import FacetFinder

Progress = Callable[[int, float], None]

CHUNK = 64  # cells a thread after which the limit is checked
SHARE = 16  # of these a thread takes at a time: to hand them over costs as much as a cell
SECONDS_BETWEEN_LOOKS = 0.1  # at the time and Ctrl-C
MOST_STARTS = 20


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
    stopped_by : what ended the search early, "" if it is complete
    """

    states: list[bytes] = field(default_factory=list)
    witnesses: list[NDArray[np.float64]] = field(default_factory=list)
    facets: list[CellFacets] = field(default_factory=list)
    number: dict[bytes, int] = field(default_factory=dict)
    complete: bool = False
    stopped_by: StoppedBy = ""

    @property
    def count(self) -> int:
        """How many cells are listed."""
        return len(self.states)

    @property
    def met(self) -> int:
        """How many cells were met, listed or not."""
        return len(self.number)

    def meet(self, states: bytes) -> bool:
        """Note a cell; tells whether it is new."""
        new = len(self.number)
        return self.number.setdefault(states, new) == new

    def take(self, states: bytes, facets: CellFacets) -> None:
        """List a cell."""
        self.states.append(states)
        self.witnesses.append(facets.witness)
        self.facets.append(facets)


class Lists(Protocol):
    """What a search puts its cells into: a `Listing`, or one in files."""

    complete: bool
    stopped_by: StoppedBy

    @property
    def count(self) -> int:
        """How many cells are listed."""
        ...

    @property
    def met(self) -> int:
        """How many cells were met, listed or not."""
        ...

    def meet(self, states: bytes) -> bool:
        """Note a cell; tells whether it is new."""
        ...

    def take(self, states: bytes, facets: CellFacets) -> None:
        """List a cell."""
        ...


def first_cell(finder: FacetFinder, domain: Domain) -> tuple[bytes, NDArray[np.float64]]:
    """Find the pattern at some point of the domain that is on no unit's zero set, and the point.

    Where a domain holds few floats, as one of some units in the last place, a rational point is taken; its
    coordinates are NaN.
    """
    rng = np.random.default_rng(20241218)
    centre = domain.interior_point()
    for attempt in range(MOST_STARTS):
        point = centre if attempt == 0 else 0.5 * centre + 0.5 * _random_point(domain, rng)
        states = finder.pattern_at(point)
        if states is not None:
            return states, point
    return finder.pattern_somewhere(rng), np.full(domain.dimension, np.nan)


def _random_point(domain: Domain, rng: np.random.Generator) -> NDArray[np.float64]:
    return np.asarray(domain.sample(1, rng)[0])


def list_cells(
    net: CompiledNetwork,
    domain: Domain,
    *,
    max_cells: int | None,
    workers: int,
    progress: Progress | None,
    stop: Stop | None = None,
) -> Listing:
    """Search over the facets from one cell to all others, or to the first `max_cells`.

    Ctrl-C, or `stop`, ends the search, and what was found by then is the outcome.
    """
    listing = Listing()
    list_into(listing, net, domain, (max_cells, workers), progress, Stop() if stop is None else stop)
    return listing


def list_into(
    listing: Lists,
    net: CompiledNetwork,
    domain: Domain,
    limits: tuple[int | None, int],
    progress: Progress | None,
    stop: Stop,
) -> None:
    """Do the same, and put what is found into a listing; `limits`: `max_cells`, and the number of threads."""
    max_cells, workers = limits
    local = threading.local()

    def find(share: list[tuple[bytes, NDArray[np.float64]]]) -> list[CellFacets]:
        if not hasattr(local, "finder"):
            local.finder = FacetFinder(net, domain)
        return [local.finder.find(states, point) for states, point in share]

    limit = max_cells if max_cells is not None else 2**62
    start = first_cell(FacetFinder(net, domain), domain)
    queue = [start]
    listing.meet(start[0])
    with ThreadPoolExecutor(workers) as pool:
        try:
            while queue and listing.count < limit and not stop.is_set():
                chunk = queue[: min(CHUNK * workers, limit - listing.count)]
                del queue[: len(chunk)]
                shares = [chunk[at : at + SHARE] for at in range(0, len(chunk), SHARE)]
                futures = [pool.submit(find, share) for share in shares]
                for share, future in zip(shares, futures, strict=True):
                    if not finished_in_time(future, stop):
                        break
                    for (states, _), facets in zip(share, future.result(), strict=True):
                        _enter(listing, states, facets, queue)
                if progress is not None:
                    progress(listing.count, listing.count / (listing.count + len(queue)))
        except KeyboardInterrupt:
            stop.interrupt()
        finally:
            pool.shutdown(cancel_futures=True)
    listing.complete = listing.count == listing.met
    listing.stopped_by = stop.reason(listing.complete, listing.count, max_cells)


def finished_in_time(future: Future[list[CellFacets]], stop: Stop) -> bool:
    """Wait until the facets of some cells are found, or until the search is to end; tells which."""
    while not future.done() and not stop.is_set():
        wait([future], SECONDS_BETWEEN_LOOKS)
    return future.done()


def _enter(
    listing: Lists, states: bytes, facets: CellFacets, queue: list[tuple[bytes, NDArray[np.float64]]]
) -> None:
    """List a cell, and put those of its neighbours in the queue that are new."""
    listing.take(states, facets)
    for neighbour, point in zip(facets.neighbours, facets.points, strict=True):
        if neighbour is not None and listing.meet(neighbour):
            queue.append((neighbour, point))
