"""Laws of what ends a search early: the number of cells, the time, Ctrl-C; and what it says then."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from strategies import Case, examples, float_networks, rational_networks

from regions import Box, Network, count_cells, enumerate_cells
from regions.complexes import Completeness

pytestmark = pytest.mark.small


def engines(dimension: int) -> list[str]:
    return ["planar", "cells", "lp"] if dimension == 2 else ["cells", "lp"]


def assert_limits_keep_as_many_cells_as_they_allow(network: Network, box: Box) -> None:
    total = count_cells(network, box, workers=1).cells
    for limit in range(1, total + 2):
        expected = min(limit, total), Completeness.TRUNCATED if limit < total else Completeness.COMPLETE
        for engine in engines(box.dimension):
            counted = count_cells(network, box, engine=engine, max_cells=limit, workers=1)
            listed = enumerate_cells(network, box, engine=engine, max_cells=limit, workers=1)
            assert (counted.cells, counted.status) == expected, (engine, limit)
            assert (listed.n_cells, listed.status) == expected, (engine, limit)


@pytest.mark.kernels
@examples(60, 10)
@given(case=rational_networks() | float_networks(2, 2, 3))
def test_every_limit_means_the_same_to_all_engines(case: Case) -> None:
    network = Network.from_arrays(case.weights, case.biases, case.relu)
    assert_limits_keep_as_many_cells_as_they_allow(network, Box(case.low, case.high))


@pytest.mark.kernels
def test_a_limit_that_the_last_thin_subtree_fills_leaves_nothing_out() -> None:
    """The zeros 1/3 of two units are one real number and two floats: a cell between them holds no float."""
    network = Network.from_arrays([[[1.0], [3.0]], [[1.0, 1.0]]], [[-1 / 3, -1.0], [0.0]])
    box = Box([0.0], [1.0])
    assert count_cells(network, box, engine="both", max_cells=3).cells == 3
    assert_limits_keep_as_many_cells_as_they_allow(network, box)


@pytest.mark.kernels
@pytest.mark.parametrize("steps", [2, 7])
def test_thin_subtrees_of_many_cells_are_cut_where_the_limit_says(steps: int) -> None:
    """Parallel lines so close that no float is between them, in the first units and in the last."""
    close = np.nextafter(1.0, 2.0)
    first = [[3.0, 1.0]] + [[3.0 * close, 1.0]] + [[1.0, k / steps] for k in range(steps)]
    network = Network.from_arrays(
        [first, np.ones((1, len(first)))], [[-1.0, -close, *(-1 / 3 for _ in range(steps))], [0.0]]
    )
    assert_limits_keep_as_many_cells_as_they_allow(network, Box([0.0, -0.5], [1.0, 0.5]))
