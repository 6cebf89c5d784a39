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
from regions.enumeration.threads import compile_search
from regions.enumeration.vertices.pattern_search import PatternSearch, Wanted
from regions.kernels.memory.states import Mode, Status
from regions.network.relu_network import Network

__all__ = ["FoundCell", "cells_in_turn", "found_cell"]

STEPS = 1 << 14  # of one call, after which somebody may end the search


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
    together: int,
    over: Callable[[int, float], bool],
) -> Iterator[tuple[list[FoundCell], NDArray[np.uint8]]]:
    """Yield the cells in which all units of one of some sets are inactive, many at a time.

    Parameters
    ----------
    network, domain : what is searched, in certified arithmetic, on one thread; a box
    sets : numbers of units of the last layer, counted from its first
    together : int, how many cells at a time
    over : called with the cells looked at and the part of the search that is done; True ends it

    Yields
    ------
    list of FoundCell, and their packed patterns (n, bytes)
    """
    masks = [sum(1 << unit for unit in units) for units in sets]
    plan = plan_search(network, domain, "cells", "certified", 1, volumes=False)
    packed: list[NDArray[np.uint8]] = []
    wanted = _Listed(packed, network.n_units)
    make = partial(PatternSearch, plan.net, domain, wanted)
    compile_search(make, Mode.COLLECT)
    search = make(Mode.COLLECT)
    search.start(cell_limit=0)
    memory = search.memory
    last = len(network.operators) - 1
    first_word, end_word = (int(plan.net.word_start[k]) for k in (last, last + 1))
    found: list[FoundCell] = []
    chosen: list[int] = []  # their places among all that were listed since the last block
    before = 0
    while (status := search.step(STEPS)) != Status.DONE:
        if status == Status.LIMIT:  # a cell is ready, and those before are listed
            if len(found) >= together:
                search.keep_output()
                yield found, np.concatenate(packed)[chosen]
                found, chosen, before = [], [], 0
                packed.clear()
            words = memory.held["patterns"][int(memory.n_nodes) - 1, first_word:end_word].tolist()
            states = sum(word << (64 * k) for k, word in enumerate(words))
            if any(not states & mask for mask in masks):
                found.append(found_cell(memory.held, int(memory.n_nodes) - 1))
                chosen.append(before + int(memory.out_cells))
            memory.cell_limit = memory.cells + 1
            continue
        if status == Status.FLUSH:
            before += int(memory.out_cells)
            search.keep_output()
        if over(int(memory.cells), float(search.progress()[1])):
            break
    cells, ended = int(memory.cells), status != Status.DONE
    search.keep_output()
    search.release()
    if found:
        listed = np.concatenate(packed)
        whole = [place for place in chosen if place < len(listed)]  # where it was ended, one may be missing
        yield found[: len(whole)], listed[whole]
    if not ended:
        over(cells, 1.0)


class _Listed(Wanted):
    """Takes up all patterns, in the order in which they come."""

    def __init__(self, packed: list[NDArray[np.uint8]], n_units: int) -> None:
        super().__init__(lambda one: np.ones(len(one), np.bool_), False, n_units)
        self._packed = packed

    def add(self, packed: NDArray[np.uint8]) -> None:
        self._packed.append(packed)
