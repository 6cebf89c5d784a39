"""A search that lists patterns alone, keeps those that somebody wants, and can end with the first of them.

It visits the cells that a listing visits, at the price of a count. What is wanted is left to the caller.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regions.domain import Domain
from regions.enumeration.compiled_network import CompiledNetwork
from regions.enumeration.facet_join import packed_bytes
from regions.enumeration.limits import Stop
from regions.enumeration.planning import plan_search, vertex_engine
from regions.enumeration.threads import Progress, compile_search, run_search
from regions.enumeration.vertices.search_arrays import Sizes
from regions.enumeration.vertices.vertex_search import VertexSearch
from regions.kernels.memory.states import Mode
from regions.kernels.vertices.pattern_steps import PATTERN_STEPS
from regions.kernels.vertices.steps import steps_of
from regions.kernels.vertices.wanted_nodes import PER_LAYER, SPARE, drop_unwanted
from regions.network.patterns import distinct_rows, packed_size
from regions.network.relu_network import Network

__all__ = ["PatternSearch", "Wanted", "WantedSearch", "list_patterns", "search_for_wanted"]

Choice = Callable[[NDArray[np.uint8]], NDArray[np.bool_]]

MOST_DOUBLINGS = 400.0  # by how much layers may enlarge what an underflow loses, for the bounds of nodes


class Wanted:
    """Gathers the patterns that are wanted, from any thread.

    Parameters
    ----------
    choose : function of packed patterns (n, bytes), which says which of them are wanted
    first_only : bool, whether the search may end once there are any
    n_units : int, of the network
    """

    def __init__(self, choose: Choice, first_only: bool, n_units: int) -> None:
        self._bytes = packed_size(n_units)
        self._choose, self._first_only = choose, first_only
        self._lock = threading.Lock()
        self._parts: list[NDArray[np.uint8]] = []

    def add(self, packed: NDArray[np.uint8]) -> None:
        """Look at some patterns."""
        chosen = packed[self._choose(packed)]
        if len(chosen):
            with self._lock:
                self._parts.append(chosen)

    @property
    def enough(self) -> bool:
        """Whether the search may end."""
        return self._first_only and bool(self._parts)

    def patterns(self) -> NDArray[np.uint8]:
        """Return the patterns that are wanted, each once, in the order of their bytes."""
        with self._lock:
            return distinct_rows(np.concatenate([np.zeros((0, self._bytes), np.uint8), *self._parts]))


class PatternSearch(VertexSearch):
    """One search of a tree by vertices that shows the patterns of its cells to `Wanted`."""

    def __init__(self, net: CompiledNetwork, domain: Domain, wanted: Wanted, mode: Mode) -> None:
        self.wanted = wanted
        super().__init__(net, domain, mode)

    def _steps(self) -> dict[str, Any]:
        net = self.net
        steps = steps_of(net.planar, Mode.COUNT, net.sloped, net.sparse, net.maxed)
        return {**steps, **PATTERN_STEPS}

    def keep_output(self) -> None:
        """Show what is in the output buffer, and empty it."""
        memory = self.memory
        words = memory.held["out_pattern"][: int(memory.out_cells)]
        self.wanted.add(packed_bytes(words, self.net.n_units))
        memory.out_cells = 0


class WantedSearch(PatternSearch):
    """A `PatternSearch` that leaves out nodes without a wanted cell, as far as bounds show that.

    Wanted are cells in which, for an output, all units of the last layer are inactive that it has a weight
    for.
    """

    def __init__(self, net: CompiledNetwork, domain: Domain, wanted: Wanted, mode: Mode) -> None:
        super().__init__(net, domain, wanted, mode)
        self._make_room()

    def _steps(self) -> dict[str, Any]:
        return {**super()._steps(), "touch_units": drop_unwanted}

    def _grow(self, sizes: Sizes) -> None:
        super()._grow(sizes)
        self._make_room()

    def _make_room(self) -> None:
        """Make the scratch that bounds need, which the step takes as rows of another length."""
        rows, widest = self.memory.held["values"].shape
        stride = -(-widest // 8) * 8
        needed = PER_LAYER * (self.net.n_layers + 1) + 2 * SPARE + 3 * (SPARE + stride)
        if rows * widest < needed * stride:
            self.memory.use({"values": np.zeros((-(-needed * stride // widest), widest))})


def search_for_wanted(net: CompiledNetwork) -> type[PatternSearch]:
    """Return the kind of search that finds the wanted cells of a network soonest, as `WantedSearch` says."""
    arrays = net.arrays
    plain = not (net.sloped or net.sparse or net.maxed) and net.n_layers > 1
    sizes = [float(np.abs(arrays[name]).max(initial=1.0)) for name in ("weights", "biases", "extents")]
    doublings = (net.n_layers + 1) * np.log2(net.widest * sizes[0] + sizes[1]) + np.log2(sizes[2])
    return WantedSearch if plain and doublings <= MOST_DOUBLINGS else PatternSearch


class _Enough(Stop):
    """Ends a search too when enough was found."""

    def __init__(self, wanted: Wanted, max_seconds: float | None) -> None:
        super().__init__(max_seconds)
        self._wanted = wanted

    def is_set(self) -> bool:
        """Tell whether the search is to end."""
        return self._wanted.enough or super().is_set()


def list_patterns(
    network: Network,
    domain: Domain,
    choose: Choice,
    *,
    first_only: bool = False,
    by_outputs: bool = False,
    max_seconds: float | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> tuple[NDArray[np.uint8], int, str]:
    """List the patterns of the cells of a network on a domain that are wanted, in certified arithmetic.

    Parameters
    ----------
    network, domain : what is searched; a domain of at most 12 dimensions
    choose : function of packed patterns (n, bytes) that returns (n,) bool; called from several threads
    first_only : bool, whether the search may end once one is found
    by_outputs : bool, whether only cells are wanted in which, for an output, all units of the last layer are
        inactive that it has a weight for; then parts without one are left out early
    max_seconds, workers, progress : as for `count_cells`

    Returns
    -------
    patterns : (n, bytes) uint8, packed, in the order of their bytes
    cells : int, how many cells were looked at, about
    stopped_by : str, what ended the search early, "" if nothing did

    Raises
    ------
    InvalidDomainError, InvalidInputError, InvalidNetworkError
        As `count_cells`.

    Examples
    --------
    >>> from regions import Box
    >>> net = Network.from_arrays([[[1.0], [1.0]], [[1.0, 1.0]]], [[0.0, -0.5], [0.0]])
    >>> list_patterns(net, Box([-1.0], [1.0]), lambda packed: packed[:, 0] < 3)[0].ravel().tolist()
    [0, 1]
    """
    plan = plan_search(network, domain, vertex_engine(domain), "certified", workers, volumes=False)
    wanted = Wanted(choose, first_only, network.n_units)
    kind = search_for_wanted(plan.net) if by_outputs else PatternSearch
    make = partial(kind, plan.net, domain, wanted)
    compile_search(make, Mode.COLLECT)
    with _Enough(wanted, max_seconds) as stop:
        outcome = run_search(
            make, Mode.COLLECT, max_cells=None, workers=plan.workers, progress=progress, stop=stop
        )
        stopped_by = "" if outcome.complete else "enough" if wanted.enough else outcome.stopped_by
    return wanted.patterns(), outcome.cells, stopped_by
