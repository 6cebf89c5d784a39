"""Laws of the count by linear programs: it is that of the vertices and of exact splitting, cut up or not."""

from __future__ import annotations

import json
import os
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from block_calls import call_blocks
from hypothesis import given
from hypothesis import strategies as st
from naive import naive_complex
from networks import network_on_box, problem_of, share_at_once
from programs import interrupted
from strategies import Case, concurrent_fan, examples, nearly_parallel_networks, rational_networks

from regions import Box, Network, count_cells
from regions.complexes import Completeness
from regions.enumeration.compiled_network import compile_network
from regions.enumeration.programs.program_search import ProgramSearch
from regions.kernels.memory.states import Mode, Status


def count(network: Network, box: Box, **options: Any) -> int:
    found = count_cells(network, box, engine="lp", **options)
    assert found.status is Completeness.COMPLETE and found.engine == "lp" and found.volume_sum is None
    return found.cells


def exact_pattern(network: Network, point: np.ndarray) -> list[bool]:
    """Which units are positive at a point, in rational arithmetic."""
    values, states = [Fraction(x) for x in point.tolist()], []
    for weights, biases, relu in zip(network.weights, network.biases, network.relu, strict=True):
        rows = zip(weights.tolist(), biases.tolist(), strict=True)
        values = [
            sum((Fraction(w) * x for w, x in zip(row, values, strict=True)), Fraction(b)) for row, b in rows
        ]
        if relu:
            states += [value > 0 for value in values]
            values = [max(value, Fraction(0)) for value in values]
    return states


def assert_exact(case: Case) -> None:
    """The patterns are those of exact splitting, each once, with a witness inside."""
    network, box = problem_of(case)
    truth = naive_complex(case.weights, case.biases, case.relu, box.halfspaces, box.origin, box.basis)
    net = compile_network(network, box, radius=0.0, certified=True, planar=False, vertices=False)
    search = ProgramSearch(net, box, Mode.COLLECT)
    search.start()
    outputs = []
    while (status := search.step()) != Status.DONE:
        if status == Status.FLUSH:
            outputs.append(search.take_output())
    outputs += [*search.outputs, search.take_output()]
    patterns = [tuple(row) for output in outputs for row in output.states.tolist()]
    assert len(patterns) == len(set(patterns)) and set(patterns) == set(truth.patterns)
    assert count(network, box, workers=1) == len(patterns)
    for output in outputs:
        for states, witness in zip(output.states, output.witnesses, strict=True):
            if np.isfinite(witness).all():
                assert exact_pattern(network, witness) == states.tolist()


@pytest.mark.kernels
@pytest.mark.small
@examples(80, 8)
@given(rational_networks(max_dimension=4))
def test_degenerate_networks_have_the_cells_of_exact_splitting(case: Case) -> None:
    assert_exact(case)


@pytest.mark.kernels
@pytest.mark.small
@examples(40, 4)
@given(nearly_parallel_networks())
def test_slivers_are_found(case: Case) -> None:
    assert_exact(case)


@pytest.mark.kernels
@pytest.mark.small
@pytest.mark.parametrize("lines", [3, 7])
def test_lines_through_one_point_up_to_rounding(lines: int) -> None:
    assert_exact(concurrent_fan(lines))


@pytest.mark.kernels
@examples(25, 2)
@given(st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_vertices_and_programs_count_the_same(d: int, seed: int) -> None:
    network, box = network_on_box(d, (6, 4, 3), seed)
    assert count(network, box) == count_cells(network, box, engine="cells").cells
    assert count(network, box, arithmetic="float") == count(network, box)


@pytest.fixture
def cut_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes small searches parallel too."""
    share_at_once(monkeypatch)


@pytest.mark.kernels
@pytest.mark.small
@pytest.mark.parametrize(("d", "widths"), [(1, (9, 5)), (3, (5, 4)), (6, (5, 3))])
def test_workers_change_nothing(cut_up: None, d: int, widths: tuple[int, ...]) -> None:
    network, box = network_on_box(d, widths, 0)
    alone, two, three = (count_cells(network, box, engine="lp", workers=n) for n in (1, 2, 3))
    assert alone.cells == two.cells == three.cells > 5
    assert alone.certificate == two.certificate == three.certificate


@pytest.mark.kernels
@pytest.mark.parametrize("workers", [1, 2, 3])
def test_a_limit_truncates(cut_up: None, workers: int) -> None:
    network, box = network_on_box(4, (6, 4), 1)
    n = count(network, box)
    for limit in (1, 2, n // 3, n - 1, n, n + 1):
        found = count_cells(network, box, engine="lp", workers=workers, max_cells=limit)
        expected = Completeness.TRUNCATED if limit < n else Completeness.COMPLETE
        assert (found.cells, found.status) == (min(limit, n), expected)


@pytest.mark.kernels
def test_long_paths_need_no_rational_arithmetic() -> None:
    """A witness that only ever lost slack would be within rounding after forty splits."""
    network, box = network_on_box(16, (24, 24), 3)
    found = count_cells(network, box, engine="lp", max_cells=1_000, workers=1)
    assert found.cells == 1_000 and found.certificate.exact_signs == 0


INTERRUPTED = """
import json
from networks import network_on_box
from regions import count_cells

network, box = network_on_box(10, (60, 60))
count_cells(network, box, engine="lp", max_cells=10)  # compiles
said = []

def ready(cells, done):
    if cells > 2_000 and not said:
        said.append(True)
        print("ready", flush=True)

found = count_cells(network, box, engine="lp", workers={workers}, progress=ready)
print(json.dumps([found.cells, found.status.value]))
"""


@pytest.mark.sweep(1)
@pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_keeps_what_was_found(workers: int) -> None:
    cells, status = json.loads(interrupted(INTERRUPTED.format(workers=workers)))
    assert status == "TRUNCATED" and cells > 2_000


@pytest.mark.kernels
@pytest.mark.small
@pytest.mark.parametrize("count", [1, 3, 10])
@pytest.mark.parametrize("n", [8, 16, 40])
def test_blocks_compute_what_numpy_computes(count: int, n: int) -> None:
    rng = np.random.default_rng(count * n)
    matrix, factors, move = rng.normal(size=(count, n)), rng.normal(size=n), rng.normal(size=count)
    speeds, slacks, out, weights = rng.normal(size=n), rng.uniform(0.1, 1, n), np.empty(n), np.empty(n)
    bent, moved = matrix.copy(), slacks.copy()
    row = call_blocks((bent, move, factors, out, weights, moved, speeds), count, n)
    np.testing.assert_allclose(out, move @ matrix, atol=1e-14)
    np.testing.assert_allclose(bent, matrix - np.outer(move, factors), atol=1e-14)
    np.testing.assert_allclose(weights, 1 / (bent**2).sum(axis=0), rtol=1e-12)
    times = np.where(speeds > 0.1, slacks / np.where(speeds > 0.1, speeds, 1.0), np.inf)
    assert row == (times.argmin() if np.isfinite(times.min()) else -1)
    np.testing.assert_allclose(moved, slacks - 0.25 * speeds, atol=1e-14)


@pytest.mark.kernels
def test_no_row_is_met_where_none_is_approached() -> None:
    zeros = np.zeros(8)
    arrays = (np.zeros((1, 8)), np.zeros(1), zeros, zeros.copy(), zeros.copy(), np.ones(8), -np.ones(8))
    assert call_blocks(arrays, 1, 8) == -1
