"""The cells beside a boundary, found without those around which the decision is surely one and the same.

The tree is searched a few splits at a time; what is left then are nodes whose vertices are known, and a node
on which bounds decide is dropped with all its cells. Bounds are left to `vertex_bounds`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from regions.complexes import Arithmetic, Certificate, Completeness, FacetTable
from regions.domain import Domain
from regions.enumeration.facet_join import facet_table, join_outputs, packed_bytes
from regions.enumeration.limits import Stop, status_of
from regions.enumeration.planning import plan_search, vertex_engine
from regions.enumeration.search import WHOLE, Budget, Signs, Task
from regions.enumeration.threads import Progress, compile_search
from regions.enumeration.vertices.vertex_search import Output, VertexSearch
from regions.kernels.memory.states import Mode, Status
from regions.network.patterns import unpack
from regions.network.relu_network import Network

__all__ = ["NearCells", "search_undecided"]

SPLITS = 4  # of one run, after which the nodes that are left are looked at
STEPS = 1 << 12  # of one call

Decided = Callable[[NDArray[np.float64]], bool]


@dataclass(frozen=True, eq=False)
class NearCells:
    """Cells of a network, all those among them on which a decision may change.

    Attributes
    ----------
    patterns : (n, n_units) bool
    facets : FacetTable, of these cells; `cell_b` is -2 where the neighbour was dropped
    status : Completeness
    certificate : Certificate
    dropped : int, subtrees that were left out
    sides_differ : str, how facets differ in volume from their two sides, as floats go; "" if none does
    """

    patterns: NDArray[np.bool_]
    facets: FacetTable
    status: Completeness
    certificate: Certificate
    dropped: int
    sides_differ: str = ""


def search_undecided(
    network: Network,
    domain: Domain,
    decided: Decided,
    *,
    arithmetic: Arithmetic,
    workers: int | None,
    progress: Progress | None,
    limits: tuple[int | None, float | None],
) -> NearCells:
    """List the cells of a network but for subtrees of the search on which something is decided.

    Parameters
    ----------
    network, domain : what is searched, by vertices
    decided : function of a polytope's vertices (nv, d), intrinsic; True: no cell in it is wanted
    arithmetic, workers, progress : as for `enumerate_cells`; the search itself takes one thread
    limits : max_cells and max_seconds

    Returns
    -------
    NearCells

    Raises
    ------
    InvalidInputError, InvalidDomainError, InvalidNetworkError
        If an argument cannot be used.
    """
    max_cells, max_seconds = limits
    plan = plan_search(network, domain, vertex_engine(domain), arithmetic, workers, volumes=True)
    compile_search(plan.make, Mode.COLLECT)
    with Stop(max_seconds) as stop:
        search = cast(VertexSearch, plan.make(Mode.COLLECT))
        walk = _Walk(search, decided, max_cells)
        try:
            walk.search_on(stop, progress)
        except KeyboardInterrupt:
            stop.interrupt()
        search.release()
        complete = not walk.tasks
        stopped_by = stop.reason(complete, walk.cells, max_cells)
        found = join_outputs(walk.parts, plan.net, plan.workers)
        table, differ = facet_table(plan.net, domain, found, False, plan.tolerances, plan.workers)
        packed = packed_bytes(found.pattern, network.n_units, plan.workers)
        stop.deliver(stopped_by)
    return NearCells(
        patterns=unpack(packed, network.n_units),
        facets=table,
        status=status_of(stopped_by),
        certificate=Certificate(
            "certified" if plan.net.certified else "float",
            complete,
            sum(signs.decisions for signs in walk.signs),
            sum(signs.exact_signs for signs in walk.signs),
            sum(signs.exact_positions for signs in walk.signs),
            stopped_by,
        ),
        dropped=walk.dropped,
        sides_differ=differ,
    )


class _Walk:
    """A search of a tree in small runs, from the stack of subtrees that are left."""

    def __init__(self, search: VertexSearch, decided: Decided, max_cells: int | None) -> None:
        self.search, self.decided, self.max_cells = search, decided, max_cells
        self.tasks: list[tuple[Task, float]] = [(WHOLE, 1.0)]
        self.parts: list[Output] = []
        self.signs: list[Signs] = []
        self.cells = self.dropped = 0
        self.done = 0.0

    def search_on(self, stop: Stop, progress: Progress | None) -> None:
        """Search until nothing is left, the limit of cells is reached, or `stop` is set."""
        while self.tasks and not stop.is_set():
            if self.max_cells is not None and self.cells >= self.max_cells:
                return
            self._run(*self.tasks.pop(), stop)
            if progress is not None:
                progress(self.cells, min(1.0, self.done))

    def _run(self, task: Task, share: float, stop: Stop) -> None:
        """Search one subtree for some splits, and put what is left of it on the stack."""
        search = self.search
        search.start(task, budget=Budget(depth=SPLITS))
        if self.max_cells is not None:
            search.memory.cell_limit = self.max_cells - self.cells
        while (status := search.step(STEPS)) in (Status.PAUSED, Status.FLUSH):
            if status == Status.FLUSH:
                search.keep_output()
            elif stop.is_set():  # what this run has found is found again, or not at all
                self.tasks.append((task, share))
                return
        nodes = range(search.memory.n_nodes - 1, search.memory.base - 1, -1)
        left = search.pending() if status == Status.STOPPED else []
        fresh = []
        for at, below in zip(nodes, left, strict=False):
            part = share * 2.0 ** (len(task.path) - len(below.path))
            if self.decided(self._vertices(at)):
                self.dropped += 1
                self.done += part
            else:
                fresh.append((below, part))
        result = search.close(status)
        self.tasks += fresh[::-1]
        if status == Status.LIMIT:
            self.tasks.append((task, share))
        self.done += share - sum(share * 2.0 ** (len(task.path) - len(below.path)) for below in left)
        self.parts += result.parts
        self.signs.append(result.certificate)
        self.cells += result.cells

    def _vertices(self, at: int) -> NDArray[np.float64]:
        """Return the vertices (nv, d) of a node on the stack."""
        memory = self.search.memory
        node = memory.held["nodes"][at]
        first = int(node["first_vertex"])
        ring = memory.held["ring"][first : first + int(node["n_vertices"])]
        return np.ascontiguousarray(memory.held["points"][:, ring].T)
