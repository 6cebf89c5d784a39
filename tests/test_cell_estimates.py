"""Laws of estimated numbers of cells: small trees are counted, the intervals of others cover."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from networks import network_on_box

from regions import CellEstimate, count_cells, estimate_cells
from regions.enumeration.planning import plan_search
from regions.enumeration.search import WHOLE, Budget
from regions.errors import InvalidInputError
from regions.kernels.memory.states import Mode
from regions.runs.probes import _cut_up, _Probing, interval_of

PROBLEMS = [
    *((2, widths, seed, "planar") for widths in [(60, 60), (40, 40, 40), (120, 60)] for seed in (0, 1)),
    *((3, widths, seed, "cells") for widths in [(24, 16), (16, 12, 8)] for seed in (0, 1, 2)),
    *((4, (14, 12), seed, "cells") for seed in (0, 1, 2)),
    *((5, (12, 8), seed, "cells") for seed in (0, 1)),
    *((3, (20, 10), seed, "lp") for seed in (0, 1, 2)),
]


def test_what_can_be_counted_in_the_time_is_exact(rng: np.random.Generator) -> None:
    network, box = network_on_box(2, (12, 8))
    found = estimate_cells(network, box, rng=rng, seconds=30.0)
    cells = count_cells(network, box).cells
    assert found == CellEstimate(cells, cells, cells, 0) and found.is_exact


SIZES = {"planar": (1500, 1500), "cells": (300, 300), "lp": (300, 300)}  # more than is counted in the time


@pytest.mark.sweep(1)
@pytest.mark.parametrize("engine", ["planar", "cells", "lp"])
def test_an_estimate_comes_in_time_with_an_interval_around_it(engine: str, rng: np.random.Generator) -> None:
    network, box = network_on_box({"planar": 2, "cells": 4, "lp": 6}[engine], SIZES[engine])
    estimate_cells(network, box, rng=rng, seconds=0.01, engine=engine)  # compiles
    begin = time.thread_time()
    found = estimate_cells(network, box, rng=rng, seconds=0.3, engine=engine)
    assert time.thread_time() - begin < 10.0
    assert found.n > 0 and 256 < found.low < found.cells < found.high


def estimates(case: Any, seeds: int) -> tuple[int, list[CellEstimate]]:
    """The number of cells, and estimates by a fixed number of probes after a little counting."""
    dimension, widths, seed, engine = case
    network, box = network_on_box(dimension, widths, seed)
    plan = plan_search(network, box, engine, "certified", 1, volumes=False)
    search = plan.make(Mode.COUNT)
    exact = search.run().cells
    found = []
    for k in range(seeds):
        first = search.run(WHOLE, Budget(cells=30))
        stretch, enough = (32, 40) if engine != "lp" else (8, 20)
        more, pending = _cut_up(search, [task.path for task in first.remainder], stretch, enough=enough)
        probing = _Probing(search, pending, np.random.default_rng(1000 + k), stretch)
        probing.learn()
        means = np.array([probing.batch(16) for _ in range(6)])
        found.append(interval_of(means, 96, len(pending)).plus(first.cells + more))
    search.release()
    return exact, found


@pytest.mark.slow
def test_intervals_cover() -> None:
    """Nearly as often as they are meant to, 95 of 100 times; estimates are right on average."""
    covered, ratios = [], []
    for case in PROBLEMS:
        exact, found = estimates(case, 8)
        covered.append(sum(one.low <= exact <= one.high for one in found) / len(found))
        ratios.append(np.mean([one.cells for one in found]) / exact)
    assert len(PROBLEMS) >= 20
    assert np.mean(covered) >= 0.9
    assert min(covered) >= 0.6
    assert np.all(np.abs(np.array(ratios) - 1.0) < 0.5)
    assert abs(np.mean(ratios) - 1.0) < 0.1


def test_arguments_are_checked(rng: np.random.Generator) -> None:
    network, box = network_on_box(2, (3, 2))
    for options, says in [({"engine": "both"}, "one engine"), ({"seconds": 0.0}, "above 0")]:
        with pytest.raises(InvalidInputError, match=says):
            estimate_cells(network, box, rng=rng, **options)
