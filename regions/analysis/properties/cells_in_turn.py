"""The cells of a network on a box one after the other, each as the search finds it: with vertices and facets.

So nothing has to be found again for the few cells that somebody wants. What is done with them is left to
`certified_volumes`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regions.domain import Domain
from regions.enumeration.planning import plan_search
from regions.enumeration.search import NO_LIMIT
from regions.enumeration.threads import compile_search
from regions.enumeration.vertices.pattern_search import Wanted, search_for_wanted
from regions.kernels.memory.states import Mode, Status
from regions.network.patterns import unpack
from regions.network.relu_network import Network

__all__ = ["FoundCell", "cells_in_turn", "found_cell"]

STEPS = 1 << 14  # of one call, after which somebody may end the search
TOGETHER = 256  # cells that are handed over at a time, at least
RARE = 64  # one wanted cell among so many is worth a stop at each


@dataclass(frozen=True, eq=False)
class FoundCell:
    """What a search knows of a cell.

    Attributes
    ----------
    points : (n, d) float64, the vertices, intrinsic
    radii : (n,) float64, bounds of their errors
    incidence : (n, words) uint64, bits: which facets, by their places in `rows`, hold a vertex
    rows : (m, d + 2) float64, of the facets: normal, constant, and a bound of their error
    """

    points: NDArray[np.float64]
    radii: NDArray[np.float64]
    incidence: NDArray[np.uint64]
    rows: NDArray[np.float64]


def found_cell(held: dict[str, NDArray[Any]], top: int) -> FoundCell:
    """Return what a search's arrays hold of the node `top` of its stack."""
    node = held["nodes"][top]
    first, count = int(node["first_vertex"]), int(node["n_vertices"])
    first_facet, n_facets = int(node["first_facet"]), int(node["n_facets"])
    ring = held["ring"][first : first + count]
    planes = held["edges"][first_facet : first_facet + n_facets]
    return FoundCell(
        held["points"][:, ring].T, held["radii"][ring], held["incidence"][ring], held["rows"][planes]
    )


def cells_in_turn(
    network: Network,
    domain: Domain,
    sets: Sequence[Sequence[int]],
    over: Callable[[int, float], bool],
) -> Iterator[tuple[list[FoundCell], NDArray[np.uint8]]]:
    """Yield the cells in which all units of one of some sets are inactive, many at a time.

    Parameters
    ----------
    network, domain : what is searched, in certified arithmetic, on one thread; a box
    sets : numbers of units of the last layer, counted from its first; the network has an output for each set,
        with a weight for each of its units and no other
    over : called with the cells looked at and the part of the search that is done; True ends it

    Yields
    ------
    list of FoundCell, and their packed patterns (n, bytes); where such cells are rare, the patterns alone

    Notes
    -----
    To stop at a cell takes some 15 microseconds, to find it again by its pattern 700: so the search stops at
    each cell while one in `RARE` is wanted.
    """
    turns = _Turns(network, domain, sets)
    while True:
        status = turns.search.step(STEPS)
        if status == Status.LIMIT:  # a cell is ready, and those before are listed
            if len(turns.found) >= TOGETHER:
                yield from turns.listed()
            turns.look()
            continue
        if status != Status.PAUSED:
            yield from turns.listed()
        if over(*turns.progress()) or status == Status.DONE:
            break
    yield from turns.listed()
    turns.search.release()


class _Turns:
    """A search that stops at each cell, or lists patterns, and what of them is wanted."""

    def __init__(self, network: Network, domain: Domain, sets: Sequence[Sequence[int]]) -> None:
        plan = plan_search(network, domain, "cells", "certified", 1, volumes=False)
        self._packed: list[NDArray[np.uint8]] = []
        make = partial(search_for_wanted(plan.net), plan.net, domain, _Listed(self._packed, network.n_units))
        compile_search(make, Mode.COLLECT)
        last = plan.net.n_layers - 1
        self._words = slice(int(plan.net.word_start[last]), int(plan.net.word_start[last + 1]))
        self._masks = [sum(1 << unit for unit in units) for units in sets]
        self._sets, self._n_units = sets, network.n_units
        self._first_unit = network.n_units - network.widths[-1]
        self.search = make(Mode.COLLECT)
        self.search.start(cell_limit=0)
        self.found: list[FoundCell] = []
        self._places: list[int] = []  # of these among the patterns to be listed next
        self._seen = 0  # how many of these have been looked at

    def progress(self) -> tuple[int, float]:
        """Return the cells looked at, and the part of the search that is done."""
        cells, done = self.search.progress()
        return int(cells), float(done)

    def look(self) -> None:
        """Look at the cell that is ready, and let the search go on to the next one."""
        memory = self.search.memory
        top = int(memory.n_nodes) - 1
        words = memory.held["patterns"][top, self._words].tolist()
        states = sum(word << (64 * k) for k, word in enumerate(words))
        if any(not states & mask for mask in self._masks):
            self.found.append(found_cell(memory.held, top))
            self._places.append(self._seen)
        self._seen += 1
        memory.cell_limit = memory.cells + 1

    def listed(self) -> Iterator[tuple[list[FoundCell], NDArray[np.uint8]]]:
        """Yield what is wanted of the patterns listed since the last time, and choose how to go on."""
        self.search.keep_output()
        block = np.concatenate(self._packed)
        self._packed.clear()
        n = len(block)
        places = [place for place in self._places if place < n]  # the cell that is ready is not listed yet
        if places:
            yield self.found[: len(places)], block[places]
        unseen = block[self._seen :]
        states = unpack(unseen, self._n_units)[:, self._first_unit :]
        inactive = [~states[:, list(units)].any(axis=1) for units in self._sets]
        wanted = unseen[np.logical_or.reduce(inactive)]
        if len(wanted):
            yield [], wanted
        self.found = self.found[len(places) :]
        self._places = [place - n for place in self._places[len(places) :]]
        self._seen = max(0, self._seen - n)
        if n:
            often = RARE * (len(places) + len(wanted)) > n
            memory = self.search.memory
            memory.cell_limit = memory.cells + self._seen if often else NO_LIMIT


class _Listed(Wanted):
    """Takes up all patterns, in the order in which they come."""

    def __init__(self, packed: list[NDArray[np.uint8]], n_units: int) -> None:
        super().__init__(lambda one: np.ones(len(one), np.bool_), False, n_units)
        self._packed = packed

    def add(self, packed: NDArray[np.uint8]) -> None:
        """Take up some patterns."""
        self._packed.append(packed)
