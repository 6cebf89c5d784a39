"""Laws of the search for wanted cells: what bounds leave out has none of them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import problem_of, random_network, share_at_once
from numpy.typing import NDArray
from strategies import Case, examples, rational_networks

from regions.domain import Box
from regions.enumeration.planning import plan_search, vertex_engine
from regions.enumeration.vertices import pattern_search
from regions.enumeration.vertices.pattern_search import (
    PatternSearch,
    WantedSearch,
    list_patterns,
    search_for_wanted,
)
from regions.network.patterns import unpack
from regions.network.relu_network import Network

pytestmark = [pytest.mark.kernels, pytest.mark.small]


def with_conditions(network: Network, rows: Sequence[Sequence[float]], bounds: Sequence[float]) -> Network:
    """Add units that are active where rows times outputs exceed bounds; an output is for two of them."""
    sums = np.eye(len(bounds)) + np.eye(len(bounds), k=1)
    weights = [*network.weights, np.array(rows, dtype=np.float64), sums]
    biases = [*network.biases, -np.array(bounds, dtype=np.float64), np.zeros(len(bounds))]
    return Network.from_arrays(weights, biases, [*network.relu, True, False])


def wanted(network: Network, packed: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Say in which cells all units of the last layer are inactive that some output has a weight for."""
    states = unpack(packed, network.n_units)[:, -network.widths[-1] :]
    return np.array([not (network.weights[-1][:, row] > 0.0).any(axis=1).all() for row in states], np.bool_)


def both_ways(network: Network, box: Box) -> tuple[NDArray[np.uint8], int, int]:
    """Return the wanted cells, which are the same by bounds and without, and how many each looked at."""
    choose = partial(wanted, network)
    all_of_them, many, _ = list_patterns(network, box, choose, workers=1)
    found, few, stopped = list_patterns(network, box, choose, by_outputs=True, workers=1)
    assert not stopped and np.array_equal(found, all_of_them)
    assert few <= many
    return found, few, many


def kind_on(network: Network, box: Box) -> type[PatternSearch]:
    """Return the kind of search for the wanted cells of a network on a box."""
    plan = plan_search(network, box, vertex_engine(box), "certified", 1, volumes=False)
    return search_for_wanted(plan.net)


@examples(300, 12)
@given(rational_networks(max_layers=3), st.data())
def test_bounds_leave_out_no_wanted_cell(case: Case, data: st.DataObject) -> None:
    network, box = problem_of(case)
    numbers = st.sampled_from([-2.0, -1.0, -0.5, 0.0, 0.0, 0.5, 1.0, 2.0])
    count, width = data.draw(st.integers(1, 3)), network.output_dim
    row = st.lists(numbers, min_size=width, max_size=width)
    rows = data.draw(st.lists(row, min_size=count, max_size=count))
    bounds = data.draw(st.lists(numbers, min_size=count, max_size=count))
    conditions = with_conditions(network, rows, bounds)
    assert kind_on(conditions, box) is WantedSearch
    both_ways(conditions, box)


@pytest.mark.parametrize("widths", [(1, 9, 8, 7), (2, 7, 9, 6, 5), (3, 9, 8, 7), (4, 6, 5)])
def test_parts_without_a_wanted_cell_are_left_out_early(widths: tuple[int, ...]) -> None:
    dimension = widths[0]
    rng = np.random.default_rng(dimension)
    network, box = random_network(rng, (*widths, 3)), Box([-1.0] * dimension, [1.0] * dimension)
    values = network(box.sample(2_000, rng))
    rows = rng.normal(size=(3, 3))
    least = np.quantile(values @ rows.T, 0.02, axis=0)  # met in a small part of the box
    found, few, many = both_ways(with_conditions(network, rows, least), box)
    assert 0 < len(found) <= few and 2 * few < many


def test_a_condition_that_no_input_meets_leaves_no_cell() -> None:
    network = with_conditions(random_network(3, (2, 8, 8, 1)), [[1.0], [1.0]], [-100.0, -200.0])
    found, few, many = both_ways(network, Box([-1.0, -1.0], [1.0, 1.0]))
    assert len(found) == few == 0 < many


def test_threads_leave_out_what_one_thread_does(monkeypatch: pytest.MonkeyPatch) -> None:
    share_at_once(monkeypatch)
    network, box = random_network(5, (3, 12, 10, 2)), Box([-1.0] * 3, [1.0] * 3)
    conditions = with_conditions(network, [[1.0, -1.0], [0.5, 1.0]], [-0.5, -0.5])
    one, two = (
        list_patterns(conditions, box, partial(wanted, conditions), by_outputs=True, workers=workers)
        for workers in (1, 2)
    )
    assert len(one[0]) and np.array_equal(one[0], two[0]) and one[1] == two[1]


@pytest.mark.parametrize("factor", [2.0**-160, 2.0**150])
@pytest.mark.parametrize("most", [0.0, pattern_search.MOST_DOUBLINGS])
def test_sizes_of_numbers_decide_how_and_not_what(
    factor: float, most: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = random_network(1, (2, 5, 4, 1))
    scaled = [factor * network.weights[0], network.weights[1] / factor, network.weights[2]]
    biases = [factor * network.biases[0], network.biases[1], network.biases[2]]
    conditions = with_conditions(Network.from_arrays(scaled, biases), [[1.0]], [0.1])
    box = Box([-1.0, -1.0], [1.0, 1.0])
    monkeypatch.setattr(pattern_search, "MOST_DOUBLINGS", most)
    assert most > 0.0 or kind_on(conditions, box) is PatternSearch
    both_ways(conditions, box)


def test_other_units_are_searched_without() -> None:
    leaky = Network.from_arrays([[[1.0], [1.0]], [[1.0, 1.0]]], [[0.0, -0.5], [0.0]], slopes=[0.1, None])
    box = Box([-1.0], [1.0])
    assert kind_on(leaky, box) is PatternSearch
