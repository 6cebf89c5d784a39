"""Laws of the statistics of units, and of the published bounds: no network has more cells than they allow."""

from __future__ import annotations

import json
from itertools import product
from math import comb, factorial, prod

import numpy as np
import pytest
from networks import network_on_box, random_network

from regions import Box, Network, count_cells, enumerate_cells, network_statistics, region_bounds
from regions.errors import InvalidInputError


def bound(network: Network, name: str, dimension: int | None = None) -> int:
    return next(one.value for one in region_bounds(network, dimension) if one.name == name)


@pytest.mark.parametrize("widths", [(2, 3, 3, 1), (2, 4, 2, 3, 1), (3, 3, 4, 1), (1, 5, 4, 1)])
def test_serras_sum_is_that_over_all_indices(widths: tuple[int, ...]) -> None:
    network, n0, n = random_network(0, widths), widths[0], widths[1:-1]
    total = 0
    for index in product(*(range(k + 1) for k in n)):
        least, allowed = n0, True
        for j, k in zip(index, n, strict=True):
            allowed = allowed and j <= min(least, k)
            least = min(least, k - j)
        total += prod(comb(k, j) for k, j in zip(n, index, strict=True)) if allowed else 0
    assert bound(network, "Serra 2018") == total
    expected, least = 1, n0
    for k in n:
        expected *= sum(comb(k, j) for j in range(min(least, k) + 1))
        least = min(least, k)
    assert bound(network, "Montufar 2017") == expected
    assert total <= expected <= 2 ** sum(n)


def test_one_layer_in_general_position_reaches_the_upper_bounds() -> None:
    network = random_network(5, (2, 6, 1))
    cells = count_cells(network, Box([-1e3, -1e3], [1e3, 1e3])).cells
    assert cells == 22 == bound(network, "Serra 2018") == bound(network, "Montufar 2014")


def test_a_layer_of_max_units_reaches_its_bound() -> None:
    # the largest of three lines, twice, on a line: 1 + 2 * 2 pieces
    weights = [[[-1.0], [0.0], [1.0], [-1.0], [0.0], [1.0]], [[1.0, 1.0]]]
    network = Network.from_arrays(weights, [[-1.0, 0.0, -1.0, -2.0, 0.0, -2.0], [0.0]], maxima=[3, None])
    assert bound(network, "Montufar, Ren, Zhang 2021") == 5 == count_cells(network, Box([-9.0], [9.0])).cells
    assert bound(network, "all patterns") == 9


def test_the_expected_number_of_maxout_cells_is_above_what_initialisations_have() -> None:
    rng, counts = np.random.default_rng(4), []
    for _ in range(5):
        weights = [rng.normal(size=(15, 2)), rng.normal(size=(15, 5)), rng.normal(size=(1, 5))]
        biases = [rng.normal(size=15), rng.normal(size=15), [0.0]]
        network = Network.from_arrays(weights, biases, maxima=[3, 3, None])
        counts.append(count_cells(network, Box([-0.5, -0.5], [0.5, 0.5])).cells)
    expected = bound(network, "Tseran, Montufar 2021")
    assert expected == 30**2 * comb(6, 4) // 2 > np.mean(counts)
    names = [one.name for one in region_bounds(random_network(0, (2, 3, 1)))]
    assert "Tseran, Montufar 2021" not in names
    # regions_formula(c_bias, c_grad, K, N, n_in, 0, 1) of the authors' code, with 2^5 c_bias c_grad = 1
    assert expected == int((3 * 10) ** 2 * comb(3 * 2, 2 * 2) / factorial(2))
    few = Network.from_arrays([np.eye(4)[:2], [[1.0]]], [[0.0, 0.0], [0.0]], maxima=[2, None])
    assert bound(few, "Tseran, Montufar 2021") == 2


@pytest.mark.sweep(2)
@pytest.mark.parametrize("seed", range(8))
def test_no_network_has_more_cells_than_the_bounds_allow(seed: int) -> None:
    network, box = network_on_box(1 + seed % 2, (5, 4, 3), seed)
    cells = count_cells(network, box).cells
    for one in region_bounds(network):
        assert one.kind != "upper" or one.value >= cells
        assert one.slack(cells) == pytest.approx(one.value / cells)


def test_leaky_units_have_no_bound_of_serra_and_slices_have_fewer_inputs() -> None:
    leaky = Network.from_arrays(
        [np.ones((3, 2)), np.ones((1, 3))], [np.arange(3.0), [0.0]], slopes=[0.1, None]
    )
    assert [one.name for one in region_bounds(leaky)] == ["all patterns", "Montufar 2017"]
    network = random_network(0, (4, 5, 1))
    assert bound(network, "Montufar 2017", 1) == 6 < bound(network, "Montufar 2017")
    for wrong in (0, 5):
        with pytest.raises(InvalidInputError, match="dimension is"):
            region_bounds(network, wrong)


def test_rates_are_the_parts_of_the_volume_on_which_units_are_active() -> None:
    network, box = network_on_box(2, (6, 5), 3)
    cells = enumerate_cells(network, box)
    found = network_statistics(cells)
    points = box.sample(20_000, np.random.default_rng(0))
    sampled = network.activation_pattern(points).mean(axis=0)
    assert np.abs(found.rates - sampled).max() < 4 * np.sqrt(0.25 / 20_000)
    assert set(found.dead) == set(np.flatnonzero(found.rates == 0.0).tolist())
    assert found.complete and found.cells == cells.n_cells


def test_kinds_of_units_are_told_apart(tmp_path, run) -> None:
    rows = [[1.0], [-2.0], [1.0], [1.0], [1.0], [1.0]]
    slopes = np.array([[0.0, 0, 0, 0, 0, 1], [1.0, 1, 1, 1, 1, 1]])
    network = Network.from_arrays(
        [rows, [[1.0] * 6]], [[0.0, 0.0, -0.5, 9.0, -9.0, 0.0], [0.0]], slopes=[slopes, None]
    )
    cells = enumerate_cells(network, Box([-1.0], [1.0]))
    found = network_statistics(cells)
    assert (found.dead, found.always_active, found.linear) == ((4,), (3,), (5,))
    assert found.coincident == ((0, 1),)
    cells.save(tmp_path / "c.regions")
    code, out, _ = run("statistics", tmp_path / "c.regions", "--json")
    assert code == 0 and json.loads(out)["coincident"] == [[0, 1]]
    code, out, _ = run("statistics", tmp_path / "c.regions")
    assert code == 0 and "Montufar 2017" in out and "coincident units  0, 1" in out
