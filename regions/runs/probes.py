"""About how many cells there are, before or while they are counted: random probes of the tree of the search.

A probe goes down the tree at random and weighs what it finds by the odds of coming there. Estimates stand
beside exact counts, in a type of their own, and never pass for one.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from regions.complexes import Arithmetic
from regions.domain import Domain
from regions.enumeration.homogeneous import searched
from regions.enumeration.limits import check_seconds
from regions.enumeration.planning import plan_search
from regions.enumeration.search import WHOLE, Budget, MakeSearch, Search, Task
from regions.enumeration.threads import compile_search
from regions.errors import InvalidInputError
from regions.inputs import seeded
from regions.kernels.memory.states import Mode
from regions.network.relu_network import Network
from regions.showing import Shown

FloatArray = NDArray[np.float64]

COVERAGE = 0.95
# counted exactly between two draws of a probe: as many as take so long, in seconds, from fewest to most
STRETCH_SECONDS, FEWEST_CELLS, MOST_CELLS = 0.002, 4, 64
STRATA = 512  # subtrees that the tree is cut into first
FIRST_PART, EXACT_PART = 0.125, 0.25  # of the time: for counting, and until the tree is cut up
FEWEST_TOGETHER, MOST_TOGETHER = 2, 16  # probes in a batch: drawn together, spread over all subtrees
PILOT_PROBES, PILOT_PART = 64, 0.25  # at most, and of the time: the odds of the others are learned from them
LEAST_BATCHES = 4
UPWARDS = 1.5  # how much longer intervals are upwards: so they cover nearly as often as they say
# logarithm of how much smaller a subtree is one split further down, as first guessed
FIRST_SHRINK = 0.5


@dataclass(frozen=True)
class CellEstimate(Shown):
    """An estimate of a number of cells, with an interval that is meant to hold it in 95 of 100 cases.

    Attributes
    ----------
    cells : float, the estimate
    low, high : float, the interval; both are `cells` where all cells were counted
    n : int, how many probes were made; 0 where all cells were counted
    """

    cells: float
    low: float
    high: float
    n: int

    @property
    def n_cells(self) -> float:
        """The estimate, by the name that numbers of cells have elsewhere."""
        return self.cells

    def _headline(self) -> str:
        if self.is_exact:
            return f"{self.cells:,.0f} cells, all counted"
        return f"about {self.cells:,.4g} cells, likely {self.low:,.3g} to {self.high:,.3g}, {self.n} probes"

    def _facts(self) -> dict[str, Any]:
        return {"cells": self.cells, "low": self.low, "high": self.high, "probes": self.n}

    @property
    def is_exact(self) -> bool:
        """Whether all cells were counted."""
        return self.n == 0

    def plus(self, counted: int) -> CellEstimate:
        """Return the estimate of a tree whose other cells were counted."""
        return replace(self, cells=self.cells + counted, low=self.low + counted, high=self.high + counted)


class _Draw(NamedTuple):
    """A subtree that a probe went to, how deep it is, and what the probe says is in it."""

    depth: int
    cells: float


@seeded
def estimate_cells(
    network: Network,
    domain: Domain,
    *,
    rng: np.random.Generator,
    seconds: float = 2.0,
    engine: str = "auto",
    arithmetic: Arithmetic = "certified",
) -> CellEstimate:
    """Estimate how many cells a network has on a domain, in so many seconds, with an interval.

    Counting comes first, as a small tree is done so. What is left is cut into some hundred subtrees, those
    nearest the root first; what is counted on the way is exact. Then probes go down from subtrees drawn all
    over the tree: each counts some cells, draws one of the subtrees that are left, by how large subtrees of
    that depth were found to be, and goes on there. What it counts is divided by the odds of its draws, so the
    mean of many probes is the number of cells.

    Parameters
    ----------
    network, domain, engine, arithmetic : as for `count_cells`, but for engine "both"
    rng : seed or numpy Generator
    seconds : how long to probe, compilation not counted; a tree that is counted in the time is exact

    Returns
    -------
    CellEstimate

    Raises
    ------
    InvalidInputError, InvalidDomainError, InvalidNetworkError
        If an argument cannot be used.

    Notes
    -----
    An estimate is no count: its interval failed in 7 of 100 trials on 20 problems with 96 probes each, and
    fails more often if nearly all cells are in few subtrees that no probe meets. One thread works on it.

    References
    ----------
    Knuth, Estimating the efficiency of backtrack programs, 1975, for the probes; Chen, Heuristic sampling: a
    method for predicting the performance of tree searching programs, 1992, for subtrees told apart by what is
    known of their size; Hansen and Hurwitz, On the theory of sampling from finite populations, 1943, for
    drawing them by it.

    Examples
    --------
    >>> import numpy as np
    >>> from regions import Box, Network, estimate_cells
    >>> lines = Network.from_arrays([[[1.0, 0.0], [0.0, 1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.0]])
    >>> estimate_cells(lines, Box([-1.0, -1.0], [1.0, 1.0]), rng=np.random.default_rng(0))
    <CellEstimate: 4 cells, all counted>
    """
    check_seconds(seconds)
    if engine == "both":
        raise InvalidInputError("engine 'both' is for count_cells; an estimate takes one engine")
    network, domain = searched(network, domain, engine)
    plan = plan_search(network, domain, engine, arithmetic, 1, volumes=False)
    compile_search(plan.make, Mode.COUNT)
    return estimate_pending(plan.make, [WHOLE.path], rng, seconds)


def estimate_pending(
    make: MakeSearch, paths: Sequence[bytes], rng: np.random.Generator, seconds: float
) -> CellEstimate:
    """Estimate how many cells are in some disjoint subtrees together."""
    check_seconds(seconds)
    compile_search(make, Mode.COUNT)
    begin = time.perf_counter()
    search = make(Mode.COUNT)
    try:
        cells, pending = 0, sorted(paths)
        if len(pending) == 1:
            first = search.run(Task(pending[0]), Budget(seconds=FIRST_PART * seconds))
            cells, pending = first.cells, [task.path for task in first.remainder]
        stretch = _stretch(search, pending)
        more, pending = _cut_up(search, pending, stretch, end=begin + EXACT_PART * seconds)
        return _Probing(search, pending, rng, stretch).estimate_until(begin + seconds).plus(cells + more)
    finally:
        search.release()


def _stretch(search: Search, paths: list[bytes]) -> int:
    """Return how many cells a probe is to count at a time."""
    if not paths:
        return MOST_CELLS
    begin = time.perf_counter()
    cells = search.run(Task(paths[-1]), Budget(cells=FEWEST_CELLS)).cells
    wanted = cells * STRETCH_SECONDS / (time.perf_counter() - begin)
    return int(min(max(wanted, FEWEST_CELLS), MOST_CELLS))


def _cut_up(
    search: Search, paths: list[bytes], stretch: int, *, end: float = math.inf, enough: int = STRATA
) -> tuple[int, list[bytes]]:
    """Count some cells of subtrees, until enough of these are left, or the time is up; list what is left."""
    cells, pending = 0, paths
    while pending and len(pending) < enough and time.perf_counter() < end:
        nearest = min(range(len(pending)), key=lambda k: len(pending[k]))
        result = search.run(Task(pending.pop(nearest)), Budget(cells=stretch))
        cells += result.cells
        pending += [task.path for task in result.remainder]
    return cells, sorted(pending)


class _Probing:
    """Probes of disjoint subtrees, whose odds are learned from the first of them."""

    def __init__(self, search: Search, paths: list[bytes], rng: np.random.Generator, stretch: int) -> None:
        self.search, self.paths, self.rng, self.stretch = search, paths, rng, stretch
        self.shrink = FIRST_SHRINK
        self.depths = np.array([len(path) for path in paths], np.float64)

    def estimate_until(self, end: float) -> CellEstimate:
        """Probe until the time is up, and some times at least, and return the estimate."""
        if not self.paths:
            return CellEstimate(0.0, 0.0, 0.0, 0)
        begin = time.perf_counter()
        probes = self.learn(begin + PILOT_PART * (end - begin))
        now = time.perf_counter()
        together = (end - now) * probes / ((now - begin) * 2 * LEAST_BATCHES)
        size = int(min(max(together, FEWEST_TOGETHER), MOST_TOGETHER))
        means: list[float] = []
        while len(means) < LEAST_BATCHES or time.perf_counter() < end:
            means.append(self.batch(size))
        return interval_of(np.array(means), size * len(means), len(self.paths))

    def learn(self, end: float = math.inf) -> int:
        """Learn the odds from some probes, at least two; returns how many."""
        draws: list[_Draw] = []
        probes = 0
        while probes < FEWEST_TOGETHER or (probes < PILOT_PROBES and time.perf_counter() < end):
            self.batch(1, draws)
            probes += 1
        self.shrink = _shrink_of(draws, self.shrink)
        return probes

    def batch(self, size: int, draws: list[_Draw] | None = None) -> float:
        """Return an estimate of all subtrees from some of them, drawn by their expected sizes all over."""
        odds = self._odds(self.depths)
        places = (np.arange(size) + self.rng.random()) / size
        chosen = np.minimum(np.searchsorted(np.cumsum(odds), places), len(odds) - 1)
        draws = [] if draws is None else draws
        return float(np.mean([self._probe(self.paths[k], draws) / odds[k] for k in chosen]))

    def _odds(self, depths: FloatArray) -> FloatArray:
        """Return the odds of drawing subtrees, by their depths."""
        sizes = np.exp(-self.shrink * (depths - depths.min()))
        return np.asarray(sizes / sizes.sum())

    def _probe(self, path: bytes, draws: list[_Draw]) -> float:
        """Return an estimate of the cells in a subtree, whose mean is their number."""
        found, weight, at = [], 1.0, Task(path)
        while True:
            result = self.search.run(at, Budget(cells=self.stretch))
            found.append((len(at.path), weight, result.cells))
            if not result.remainder:
                break
            odds = self._odds(np.array([len(task.path) for task in result.remainder], np.float64))
            k = int(np.searchsorted(np.cumsum(odds), self.rng.random()))
            k = min(k, len(odds) - 1)
            at, weight = result.remainder[k], weight / float(odds[k])
        total = 0.0
        for depth, factor, cells in reversed(found):
            total += factor * cells
            draws.append(_Draw(depth, total / factor))
        return total


def _shrink_of(draws: list[_Draw], otherwise: float) -> float:
    """Return how much smaller subtrees were found to be one split further down: a slope of logarithms."""
    depth = np.array([draw.depth for draw in draws], np.float64)
    size = np.log(np.maximum([draw.cells for draw in draws], 1.0))
    spread = float(((depth - depth.mean()) ** 2).sum())
    if spread == 0.0:
        return otherwise
    slope = float(((depth - depth.mean()) * (size - size.mean())).sum()) / spread
    return min(1.0, max(0.0, -slope))


def interval_of(means: FloatArray, probes: int, least: int) -> CellEstimate:
    """Return the mean of independent unbiased estimates, with an interval by Student's t on a log scale.

    Estimates of trees are skewed to the right: most means of few of them are below the truth, and seem sure
    of it. So the interval is longer upwards. There are `least` cells in any case.
    """
    from scipy.special import stdtrit

    mean = max(float(means.mean()), float(least))
    error = float(means.std(ddof=1)) / math.sqrt(means.size)
    reach = float(stdtrit(means.size - 1, 0.5 + COVERAGE / 2)) * error / mean
    low = max(mean * math.exp(-reach), float(least))
    return CellEstimate(mean, low, mean * math.exp(UPWARDS * reach), probes)
