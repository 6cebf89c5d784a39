"""Counting by linear programs, facets of a cell, and the search with HiGHS; run with `pytest benchmarks`.

Work per cell at d = 10 (d10_w12x2): 3 programs of 9 pivots, a pivot 1.4 kflop on 4 kB (see
`kernels/programs/unit_sides`): 38 kflop and, were it one dgemm, a microsecond; rows are too short for that.

The baseline is the same depth-first splitting in plain Python: the node's point gives one side of a unit
for nothing, one program by HiGHS says how far the other reaches, and a side counts as inhabited beyond
1e-9. HiGHS is asked by `scipy.optimize.linprog` (no presolve: faster at this size) and by highspy's own
interface, which scipy carries, with one model whose rows are added and deleted so that it restarts from the
last basis. Both count the first cells of the tree, which must be as many as ours where it is complete.
`extra_info` has cells per second of all three and the ratios, from the same run.
"""

from __future__ import annotations

import os
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import linprog

from regions import Box, Network, count_cells
from regions.enumeration.compiled_network import compile_network
from regions.enumeration.programs.facet_finder import FacetFinder
from regions.enumeration.programs.program_search import ProgramSearch
from regions.kernels.memory.states import Mode

HERE = Path(__file__).resolve().parent
DATA = Path(os.environ.get("REGIONS_REFERENCE_DATA", HERE.parents[1] / "shared" / "data"))
LEAST = 1e-9
FEW_CELLS = 2000  # where nothing is timed


def problem(name: str) -> tuple[Network, Box]:
    path = DATA / "nets" / f"{name}.npz"
    if not path.is_file():
        pytest.skip(f"no reference networks at {DATA}; set REGIONS_REFERENCE_DATA")
    network = Network.load(path)
    return network, Box(-np.ones(network.input_dim), np.ones(network.input_dim))


@pytest.mark.parametrize("arithmetic", ["float", "certified"])
@pytest.mark.parametrize(
    ("name", "max_cells"), [("d4_w16x2", None), ("d8_w16x2", 50_000), ("d10_w12x2", 50_000)]
)
def test_counting(benchmark, name, max_cells, arithmetic):
    network, box = problem(name)
    if benchmark.disabled and max_cells is not None:
        max_cells = FEW_CELLS

    def run():
        return count_cells(
            network, box, engine="lp", arithmetic=arithmetic, max_cells=max_cells, workers=1
        ).cells

    cells = benchmark.pedantic(run, rounds=5, warmup_rounds=1)
    assert cells == (max_cells or 14_615)
    if not benchmark.disabled:
        benchmark.extra_info["cells_per_second"] = round(cells / benchmark.stats["min"])


@pytest.mark.parametrize("name", ["d4_w16x2", "d8_w16x2", "d10_w12x2"])
def test_facets_of_a_cell(benchmark, name):
    """With the cells beyond the facets."""
    network, box = problem(name)
    net = compile_network(network, box, radius=0.0, certified=True, planar=False, vertices=False)
    search = ProgramSearch(net, box, Mode.COLLECT)
    search.start(cell_limit=100)
    search.step()
    cells = search.take_output()
    finder = FacetFinder(net, box)
    pairs = [(row.tobytes(), point) for row, point in zip(cells.states, cells.witnesses, strict=True)]

    def run():
        return [finder.find(*pair) for pair in pairs]

    found = benchmark.pedantic(run, rounds=10, warmup_rounds=1)
    assert all(len(facets.labels) > network.input_dim for facets in found)
    if not benchmark.disabled:
        benchmark.extra_info["cells_per_second"] = round(len(pairs) / benchmark.stats["min"])
        benchmark.extra_info["facets_per_cell"] = round(np.mean([len(f.labels) for f in found]), 1)


class ScipyPrograms:
    """max c.x over rows A x <= b inside a box, by linprog."""

    def __init__(self, box):
        self.rows, self.right = [], []
        self.bounds = np.column_stack([box.low, box.high])

    def push(self, row, right):
        self.rows.append(row)
        self.right.append(right)

    def pop(self, depth):
        del self.rows[depth:], self.right[depth:]

    def maximise(self, c):
        answer = linprog(
            -c,
            A_ub=np.array(self.rows) if self.rows else None,
            b_ub=self.right or None,
            bounds=self.bounds,
            method="highs-ds",
            options={"presolve": False},
        )
        assert answer.status == 0
        return -answer.fun, answer.x


class HighspyPrograms:
    """The same by HiGHS' own interface, one model, warm."""

    def __init__(self, box):
        highs = pytest.importorskip("scipy.optimize._highspy._core")
        self.highs = highs._Highs()
        self.highs.setOptionValue("output_flag", False)
        self.highs.setOptionValue("presolve", "off")
        d = box.dimension
        for low, high in zip(box.low, box.high, strict=True):
            self.highs.addVar(float(low), float(high))
        self.indices = np.arange(d, dtype=np.int32)
        self.depth = 0

    def push(self, row, right):
        self.highs.addRow(-np.inf, float(right), len(row), self.indices, row)
        self.depth += 1

    def pop(self, depth):
        if depth < self.depth:
            gone = np.arange(depth, self.depth, dtype=np.int32)
            self.highs.deleteRows(len(gone), gone)
            self.depth = depth

    def maximise(self, c):
        self.highs.changeColsCost(len(c), self.indices, -c)
        self.highs.run()
        return -self.highs.getInfo().objective_function_value, np.array(self.highs.getSolution().col_value)


def count_plainly(network, box, programs, max_cells):
    """Depth-first splitting; cells, and programs solved."""
    weights, biases = network.weights[:-1], network.biases[:-1]
    cells, solved = 0, 0
    start = 0.5 * (box.low + box.high) + 0.01 * np.sin(1.0 + np.arange(box.dimension))
    stack = [(0, 0, (weights[0], biases[0]), (), start, None, 0)]
    while stack:
        layer, unit, (A, c), states, point, row, depth = stack.pop()
        programs.pop(depth)
        if row is not None:
            programs.push(*row)
            depth += 1
        while True:
            if unit == len(c):
                if layer + 1 == len(weights):
                    cells += 1
                    break
                active = np.array(states, dtype=bool)
                W = weights[layer + 1][:, active]
                A, c = W @ A[active], W @ c[active] + biases[layer + 1]
                layer, unit, states = layer + 1, 0, ()
                continue
            height = A[unit] @ point + c[unit]
            side = 1.0 if height > 0 else -1.0
            norm = np.linalg.norm(A[unit])
            if norm > 0:
                goal = -side * A[unit] / norm
                constant = -side * c[unit] / norm
                best, beyond = programs.maximise(goal)
                solved += 1
                best += constant
                if best > LEAST:
                    deep = abs(height) / norm
                    other = point + 0.5 * (1 + deep / (deep + best)) * (beyond - point)
                    flipped = (*states, side < 0)
                    stack.append((layer, unit + 1, (A, c), flipped, other, (-goal, constant), depth))
                    programs.push(goal, -constant)
                    depth += 1
            states = (*states, side > 0)
            unit += 1
        if cells == max_cells:
            break
    return cells, solved


@pytest.mark.parametrize("programs", [ScipyPrograms, HighspyPrograms])
def test_the_baseline_counts_right(programs):
    network, box = problem("d3_w16x2")
    assert count_plainly(network, box, programs(box), 60)[0] == 60
    rng = np.random.default_rng(0)
    sizes = (3, 6, 4, 1)
    weights = [rng.normal(size=(b, a)) for a, b in pairwise(sizes)]
    network = Network.from_arrays(weights, [0.3 * rng.normal(size=b) for b in sizes[1:]])
    box = Box(-np.ones(3), np.ones(3))
    expected = count_cells(network, box, engine="lp").cells
    assert count_plainly(network, box, programs(box), None)[0] == expected > 50


@pytest.mark.parametrize("name", ["d10_w12x2"])
def test_against_highs(benchmark, name):
    network, box = problem(name)
    cells, ours = (10, FEW_CELLS) if benchmark.disabled else (300, 50_000)

    def run():
        return count_cells(network, box, engine="lp", max_cells=ours, workers=1).cells

    assert benchmark.pedantic(run, rounds=5, warmup_rounds=1) == ours
    for label, programs in (("scipy", ScipyPrograms), ("highspy", HighspyPrograms)):
        rates, solved = [], 0
        for _ in range(1 if benchmark.disabled else 3):
            start = time.perf_counter()
            found, solved = count_plainly(network, box, programs(box), cells)
            rates.append(found / (time.perf_counter() - start))
        assert found == cells
        if not benchmark.disabled:
            rate = ours / benchmark.stats["min"]
            benchmark.extra_info["cells_per_second"] = round(rate)
            benchmark.extra_info[f"{label}_cells_per_second"] = round(max(rates), 1)
            benchmark.extra_info[f"{label}_programs_per_cell"] = round(solved / found, 2)
            benchmark.extra_info[f"times_{label}"] = round(rate / max(rates))
            print(f"\nd = 10: {rate:,.0f} cells/s, {label} {max(rates):,.1f}: {rate / max(rates):,.0f} times")
