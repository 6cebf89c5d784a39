"""Speed of counting and listing cells, one thread, compiled; run with `pytest benchmarks`.

Work per cell of a network of width n in d dimensions, counting: (1) entering a layer costs
2 n_active n (d + 2) flops for the next layer's map, shared by all cells of the parent, and n (d + 1)
multiply-adds for the screen; (2) a split costs 2 n (d + 2) flops for the map and some ten loads for
each new vertex and candidate. For d2_w256x4 that is 0.26 Mflop for each of some 140,000 parents: 40
Gflop in all, of which the inner loop does about 25 a second; for d2_w32x3 it is 3 kflop a cell and
branches and loads dominate.

`extra_info` gives cells per second and the ratio to one thread's dgemm rate in the same run
(cells per Gflop of dgemm), which survives a change of machine. Networks come from
`REGIONS_REFERENCE_DATA` or `../shared/data`.
"""

from __future__ import annotations

import json
import os
import time
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from regions import Box, Network, count_cells, enumerate_cells, from_onnx

HERE = Path(__file__).resolve().parent
DATA = Path(os.environ.get("REGIONS_REFERENCE_DATA", HERE.parents[1] / "shared" / "data"))
BOXES = ("d2_w32x3", "d2_w64x4", "d2_w128x4", "d2_w256x4", "d3_w32x3", "d4_w32x2", "d5_w16x3", "d6_w24x1")
FLOORS = {  # cells per second that counting must pass on the machine of the issue, in float arithmetic
    "d2_w32x3": 3e6,
    "d2_w128x4": 4e5,
    "d2_w256x4": 1e5,
    "d3_w32x3": 1e6,
    "d4_w32x2": 1e6,
    "d5_w16x3": 4e5,
    "acasxu": 1.2e5,
}


@cache
def dgemm_rate() -> float:
    """Gflop per second of numpy's matrix product on one thread (512 x 512, best of twenty)."""
    a = np.random.default_rng(0).normal(size=(512, 512))
    best = np.inf
    with threadpool_limits(1):
        for _ in range(20):
            start = time.perf_counter()
            a @ a
            best = min(best, time.perf_counter() - start)
    return 2 * 512**3 / best / 1e9


@cache
def cases() -> dict[str, list[tuple[Network, Box, int]]]:
    path = DATA / "counts.json"
    if not path.is_file():
        pytest.skip(f"no reference networks at {DATA}; set REGIONS_REFERENCE_DATA")
    counts = json.loads(path.read_text())
    found = {}
    for entry in counts["boxes"]:
        network = Network.load(DATA / entry["network"])
        found[Path(entry["network"]).stem] = [(network, Box(entry["low"], entry["high"]), entry["cells"])]
    found["degenerate"] = [
        (Network.load(DATA / entry["network"]), Box(entry["low"], entry["high"]), entry["cells"])
        for entry in counts["degenerate"]
    ]
    found["acasxu"] = [
        (from_onnx(DATA / entry["network"]), Box(entry["low"], entry["high"]), entry["cells"])
        for entry in counts["acasxu"]
    ]
    return found


def record(benchmark, name: str, cells: int) -> None:
    if benchmark.disabled:
        return
    rate = cells / benchmark.stats["min"]
    benchmark.extra_info["cells_per_second"] = round(rate)
    benchmark.extra_info["cells_per_dgemm_gflop"] = round(rate / dgemm_rate())
    if name in FLOORS:
        benchmark.extra_info["over_floor"] = round(rate / FLOORS[name], 2)


@pytest.mark.parametrize("arithmetic", ["float", "certified"])
@pytest.mark.parametrize("name", [*BOXES, "acasxu"])
def test_counting(benchmark, name, arithmetic):
    options = {"workers": 1, "check_volumes": False, "arithmetic": arithmetic}

    def run():
        return [count_cells(net, box, **options).cells for net, box, _ in cases()[name]]

    expected = [cells for _, _, cells in cases()[name]]
    rounds = 50 if sum(expected) < 20_000 else 5
    assert benchmark.pedantic(run, rounds=rounds, warmup_rounds=1) == expected
    record(benchmark, name, sum(expected))


@pytest.mark.parametrize("arithmetic", ["float", "certified"])
@pytest.mark.parametrize("name", [*BOXES[:-1], "acasxu"])
def test_listing(benchmark, name, arithmetic):
    """The whole CellComplex: volumes, facets joined from both sides, jumps, checks."""
    options = {"workers": 1, "arithmetic": arithmetic}

    def run():
        return [enumerate_cells(net, box, **options).n_cells for net, box, _ in cases()[name]]

    expected = [cells for _, _, cells in cases()[name]]
    rounds = 50 if sum(expected) < 20_000 else 2
    assert benchmark.pedantic(run, rounds=rounds, warmup_rounds=1) == expected
    record(benchmark, name, sum(expected))
    if name in FLOORS and not benchmark.disabled:
        benchmark.extra_info["over_floor"] = round(5 * benchmark.extra_info["over_floor"], 2)


@pytest.mark.parametrize("listing", [False, True], ids=["count", "list"])
@pytest.mark.parametrize("name", [*BOXES[:-1], "acasxu", "degenerate"])
def test_certified_overhead(benchmark, name, listing):
    """Certified over float in the same run, in turns; and how many decisions fell through the filter."""

    def seconds(arithmetic):
        start = time.process_time()
        for network, box, cells in cases()[name]:
            if listing:
                found = enumerate_cells(network, box, workers=1, arithmetic=arithmetic)
            else:
                found = count_cells(network, box, workers=1, arithmetic=arithmetic, check_volumes=False)
            assert int(found.n_cells if listing else found.cells) == cells
            certificates.append(found.certificate)
        return time.process_time() - start

    certificates = []
    seconds("certified")
    if benchmark.disabled:
        return
    certificates.clear()
    once = sum(cells for *_, cells in cases()[name]) > 100_000
    turns = [(seconds("float"), seconds("certified")) for _ in range(2 if once else 20)]
    benchmark.pedantic(seconds, args=("certified",), rounds=1)
    exact = sum(c.exact_signs + c.exact_positions for c in certificates if c.arithmetic == "certified")
    decided = sum(c.decisions for c in certificates if c.arithmetic == "certified")
    benchmark.extra_info["certified_over_float"] = round(
        min(certified for _, certified in turns) / min(plain for plain, _ in turns), 2
    )
    benchmark.extra_info["exact_per_million_decisions"] = round(1e6 * exact / decided, 3)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("name", ["d2_w256x4", "d5_w16x3"])
def test_workers(benchmark, name, workers):
    (network, box, cells), *_ = cases()[name]

    def run():
        return count_cells(network, box, workers=workers, check_volumes=False).cells

    assert benchmark.pedantic(run, rounds=5, warmup_rounds=1) == cells
