"""The search itself: cells by hops or by distance from the centre, with facets found on several threads.

Cells are entered in an order that depends on nothing but the network, the centre and the limits.
"""

from __future__ import annotations

import threading
from array import array
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from heapq import heappop, heappush

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import dijkstra

from regions.complexes import StoppedBy
from regions.enumeration.compiled_network import compile_network
from regions.enumeration.cores import worker_count
from regions.enumeration.limits import Limits, Stop, check_seconds, check_whole, refuse_others
from regions.enumeration.programs.cell_facets import CellFacets, FindsFacets
from regions.enumeration.programs.facet_finder import FacetFinder
from regions.errors import InvalidInputError
from regions.exploration import search_frame
from regions.exploration.box_facet_finder import BoxFacetFinder
from regions.exploration.centered_cells import CenteredCells
from regions.exploration.cone_facet_finder import MOST_LISTED_DIRECTIONS, ConeFacetFinder
from regions.exploration.cone_program_finder import ConeProgramFinder
from regions.exploration.search_frame import Frame, exact_start
from regions.network.patterns import pack, unpack
from regions.network.relu_network import Network
from regions.optimize import Projection

FloatArray = NDArray[np.float64]
Progress = Callable[[int, float], None]
Visit = Callable[["Search", int], None]

SECONDS_BETWEEN_LOOKS = 0.1  # at the time and Ctrl-C, while a cell's facets are being found
MOST_EXACT_DIMENSION = 8  # a cell in rational arithmetic takes seconds there, and hours in 64


class Points:
    """Points as rows of one array that grows; each is copied in.

    Parameters
    ----------
    rows : (n, d) float64
    """

    def __init__(self, rows: FloatArray) -> None:
        self._rows, self._n = rows, len(rows)

    def append(self, point: FloatArray) -> None:
        if self._n == len(self._rows):
            grown = np.empty((max(64, self._n + self._n // 4), self._rows.shape[1]))
            grown[: self._n] = self._rows
            self._rows = grown
        self._rows[self._n] = point
        self._n += 1

    def __getitem__(self, cell: int) -> FloatArray:
        return np.array(self._rows[cell])

    def all(self) -> FloatArray:
        """(n, d), not a copy."""
        return self._rows[: self._n]


@dataclass
class Search:
    """Cells met so far, which of them have been entered, and what waits.

    A cell is met when a facet of another one leads to it, entered when its own facets are known.

    Attributes
    ----------
    network, frame, certified : what is searched
    max_hops : int or None; cells farther away are met, not entered
    radius : float, in the norm of `around`, inf for none; cells farther away are met, not entered
    by_distance : bool, enter the cells in the order of their distance instead of their hops
    around : CenteredCells, for the distances
    patterns : list of bytes, packed bits of each cell met
    points : Points, a point inside each cell entered, in their order, NaN where none is known
    parents : array of int, for each cell met the place in `entered` of that which met it; -1 at the centre
    hops : array of int, over the cells entered
    distances : dict from cell to its distance, where that was needed
    entered : list of int, cells in order
    undecided : list of int, rows of each cell entered that stayed open
    edges : array of int, three for each facet: two cells and the unit between; twice if seen from both
    stopped_by : what ended the last run early, "" if no cell within the limits was left
    """

    network: Network
    frame: Frame
    certified: bool
    max_hops: int | None
    radius: float
    by_distance: bool
    around: CenteredCells
    patterns: list[bytes] = field(default_factory=list)
    points: Points = field(default_factory=lambda: Points(np.zeros((0, 0))))
    parents: array[int] = field(default_factory=lambda: array("q"))
    hops: array[int] = field(default_factory=lambda: array("q"))
    distances: dict[int, Projection] = field(default_factory=dict)
    entered: list[int] = field(default_factory=list)
    undecided: list[int] = field(default_factory=list)
    edges: array[int] = field(default_factory=lambda: array("q"))
    rows: int = 0
    exact: int = 0
    stopped_by: StoppedBy = ""
    _number: dict[bytes, int] = field(default_factory=dict)
    _waiting: list[tuple[float, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._number = {pattern: cell for cell, pattern in enumerate(self.patterns)}
        self._local = threading.local()
        if not self.patterns:
            self.points = Points(np.zeros((0, self.frame.domain.dimension)))
        done = set(self.entered)
        for cell in range(len(self.patterns)):
            if cell not in done:
                self._wait(cell, 0.0)
        if not self.patterns:
            states = self._facets().pattern_at(self.frame.at) or exact_start(self.frame, self.network)
            self._meet(states, -1, 0, 0.0)

    def _facets(self) -> FindsFacets:
        """Return the finder of facets of the thread that asks."""
        if not hasattr(self._local, "finder"):
            self._local.finder = self._new_finder()
        finder: FindsFacets = self._local.finder
        return finder

    def _new_finder(self) -> FindsFacets:
        domain = self.frame.domain
        if self.frame.whole:
            few = domain.dimension <= MOST_LISTED_DIRECTIONS
            return (
                ConeFacetFinder(self.network, domain) if few else ConeProgramFinder(self.network, self.frame)
            )
        if domain.is_axis_parallel and domain.dimension > search_frame.MOST_DIRECTIONS:
            return BoxFacetFinder(self.network, domain, self.certified)
        compiled = compile_network(
            self.network, domain, radius=0.0, certified=self.certified, planar=False, vertices=False
        )
        return FacetFinder(compiled, domain, sides=False, most_exact=MOST_EXACT_DIMENSION)

    def states(self, cell: int) -> NDArray[np.bool_]:
        """Return the pattern of a cell, `(n_units,)` bool."""
        return unpack(np.frombuffer(self.patterns[cell], np.uint8), self.network.n_units)

    def nearest(self, cell: int) -> Projection:
        """Return the nearest point of a cell met; it is found once."""
        if cell not in self.distances:
            rows = self.around.rows(self.states(cell))
            self.distances[cell] = self.around.nearest(rows, f"cell {cell}")
        return self.distances[cell]

    def _meet(self, states: bytes, parent: int, hops: int, bound: float) -> int:
        """Return the number of a cell; a new one waits to be entered."""
        packed = pack(np.frombuffer(states, np.bool_)).tobytes()
        cell = self._number.setdefault(packed, len(self.patterns))
        if cell == len(self.patterns):
            self.patterns.append(packed)
            self.parents.append(parent)
            self.hops.append(hops)
            self._wait(cell, bound)
        return cell

    def _wait(self, cell: int, bound: float) -> None:
        if self.by_distance and cell in self.distances:
            bound = self.distances[cell].distance
        if self.by_distance or self.max_hops is None or self.hops[cell] <= self.max_hops:
            heappush(self._waiting, (bound if self.by_distance else float(self.hops[cell]), cell))

    def _next(self) -> int | None:
        """Take the cell to enter next from those that wait; None if none is within the limits."""
        while self._waiting:
            key, cell = self._waiting[0]
            if self.by_distance:
                if key > self.radius:
                    return None
                known = cell in self.distances
                distance = self.nearest(cell).distance
                heappop(self._waiting)
                if not known and distance > key:
                    heappush(self._waiting, (distance, cell))
                    continue
                return cell
            heappop(self._waiting)
            if self.radius == np.inf or self.nearest(cell).distance <= self.radius:
                return cell
        return None

    def widen(self) -> None:
        """Go on with all cells, in the order of their hops, whatever their distance."""
        self.radius, self.by_distance, self._waiting = np.inf, False, []
        for cell in set(range(len(self.patterns))) - set(self.entered):
            self._wait(cell, 0.0)

    def next_distance(self) -> float:
        """Bound the distance of all cells that were not entered from below, in a search by distance."""
        return self._waiting[0][0] if self._waiting else np.inf

    def run(
        self, max_cells: int | None, progress: Progress | None, stop: Stop, visit: Visit | None = None
    ) -> None:
        """Enter cells until none is left within the limits, or `max_cells` are entered, or `stop` is set.

        `visit` is called after every cell entered and may lower `radius`.
        """
        complete = False
        futures: dict[int, Future[CellFacets]] = {}
        workers = worker_count(None)
        pool = ThreadPoolExecutor(workers)
        cell: int | None = None
        try:
            while (cell := self._next()) is not None:
                if stop.is_set() or (max_cells is not None and len(self.entered) >= max_cells):
                    break
                ahead = sorted(self._waiting[: 4 * workers])[: 2 * workers] if workers > 1 else []
                for number in (cell, *(other for _, other in ahead)):
                    if number not in futures:
                        futures[number] = pool.submit(self._find_facets, number)
                while not futures[cell].done() and not stop.is_set():
                    wait([futures[cell]], SECONDS_BETWEEN_LOOKS)
                if not futures[cell].done():
                    break
                self._enter(cell, futures.pop(cell).result())
                cell = None
                if visit is not None:
                    visit(self, self.entered[-1])
                if progress is not None:
                    done = len(self.entered)
                    progress(done, done / (max_cells or done + len(self._waiting)))
            complete = cell is None
        except KeyboardInterrupt:
            stop.interrupt()
        finally:
            self.stopped_by = stop.reason(complete, len(self.entered), max_cells)
            if cell is not None and cell not in self.entered[-1:]:
                self._wait(cell, 0.0)  # with its distance, if that is what counts
            pool.shutdown(wait=True, cancel_futures=True)

    def _find_facets(self, cell: int) -> CellFacets:
        """Find the facets of a cell; if rows stay undecided, from a point that its parent's facets give."""
        finder, states, parent = self._facets(), self.states(cell).tobytes(), self.parents[cell]
        if parent < 0:
            found, inner = finder.find(states, self.frame.at), None
            if found.undecided and not self.frame.endless:  # the centre may lie on the domain's border
                inner = self.around.inner_point(self.around.rows(self.states(cell)))
            again = found if inner is None else finder.find(states, self.frame.at + inner)
            return again if again.undecided < found.undecided else found
        found = finder.find(states, np.full(self.frame.domain.dimension, np.nan))
        if found.undecided == 0:
            return found
        before = finder.find(self.states(self.entered[parent]).tobytes(), self.points[parent])
        if states not in before.neighbours:
            return found
        again = finder.find(states, before.points[before.neighbours.index(states)])
        return again if again.undecided < found.undecided else found

    def _enter(self, cell: int, found: CellFacets) -> None:
        """Take up a cell and meet its neighbours."""
        self.entered.append(cell)
        self.undecided.append(found.undecided)
        self.rows += found.rows
        self.exact += found.exact
        self.points.append(found.witness)
        bounds = self._bounds(cell) if self.by_distance else {}
        parent, table = len(self.entered) - 1, self.network.max_units
        here = None if table is None else self.states(cell)
        for unit, states in zip(found.labels, found.neighbours, strict=True):
            if states is not None:
                row = unit if table is None or here is None else table.rival_at(unit, here, states)
                other = self._meet(states, parent, self.hops[cell] + 1, bounds.get(row, 0.0))
                self.edges.extend((cell, other, unit))

    def _bounds(self, cell: int) -> dict[int, float]:
        """Bound the distance of the far side of each unit's hyperplane from below."""
        rows = self.around.rows(self.states(cell))
        clear = np.maximum(self.around.clearances(rows) * (1.0 - 1e-9), 0.0)
        return dict(zip(rows.units.tolist(), clear.tolist(), strict=True))

    def facets(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return pairs of cells, the smaller first, each once and in order, and the unit of each."""
        table = np.array(self.edges, np.int64).reshape(-1, 3)
        table[:, :2].sort(axis=1)
        pairs, at = np.unique(table[:, :2], axis=0, return_index=True)
        return pairs, table[at, 2]

    def recounted_hops(self) -> NDArray[np.int64]:
        """Count the hops from the centre's cell to all cells met, over the cells entered."""
        n = len(self.patterns)
        pairs = self.facets()[0]
        both = np.concatenate([pairs, pairs[:, ::-1]])
        inner = np.zeros(n, np.bool_)
        inner[self.entered] = True
        both = both[inner[both[:, 0]]]
        adjacency = sparse.csr_matrix((np.ones(len(both)), (both[:, 0], both[:, 1])), shape=(n, n))
        steps = dijkstra(adjacency, indices=0, unweighted=True)
        return np.where(np.isfinite(steps), steps, -1.0).astype(np.int64)


class ExplorationLimits(Limits, total=False):
    """How far an exploration goes, beside `Limits`.

    Attributes
    ----------
    max_hops : int from 0, or None for no limit
    radius : float above 0, in input units, or None for no limit
    """

    max_hops: int | None
    radius: float | None


def check_limits(function: str, limits: ExplorationLimits) -> None:
    """Raise an error unless limits are None or as they must be.

    Raises
    ------
    TypeError
        If there are keywords that are no limits.
    InvalidInputError
        If a limit cannot be used.
    """
    refuse_others(function, limits, ExplorationLimits)
    check_whole("max_cells", limits.get("max_cells"), 1)
    check_whole("max_hops", limits.get("max_hops"), 0)
    check_seconds(limits.get("max_seconds"))
    radius = limits.get("radius")
    if radius is not None:
        number = isinstance(radius, int | float | np.number) and not isinstance(radius, bool)
        if not (number and 0.0 < radius < np.inf):
            raise InvalidInputError(
                f"radius={radius!r}; give a finite number above 0, in input units, or None"
            )
