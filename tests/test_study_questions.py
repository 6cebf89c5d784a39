"""What the study's later sections compute by themselves: closed forms, distances, attacks, effects."""

from __future__ import annotations

import doctest
import math
import sys
from pathlib import Path

import numpy as np
import pytest
from networks import maxout, random_network

from regions import Box, Network, cell_halfspaces, enumerate_cells
from regions.validation.tracking.data_distances import cell_distances

# after everything else: the package under test stays the one that is installed
sys.path.append(str(Path(__file__).resolve().parents[1]))

from validation.experiments import (
    hanin_rolnick,
    kernel_regime,
    lower_bounds,
    migration,
    other_units,
    paired_effects,
    robustness,
    three_measures,
)
from validation.experiments.kernel_regime import complexity_by_unit, split
from validation.experiments.other_units import as_relus, maxout_local_complexity
from validation.experiments.paired_effects import difference_effect, judged, ratio_effect
from validation.experiments.robustness import attacked
from validation.experiments.three_measures import largest_cosine

MODULES = (
    hanin_rolnick,
    kernel_regime,
    lower_bounds,
    migration,
    other_units,
    paired_effects,
    robustness,
    three_measures,
)


@pytest.mark.parametrize("module", MODULES)
def test_docstrings_of_these_sections_run(module):
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize("rank", [2, 3, 4])
def test_closed_form_of_maxout_is_the_density_of_its_bends(rank):
    network = maxout(rank, 1, (5,), rank)
    # sigma 0 in one dimension: the normal density, summed over the points where the winner changes
    t = np.linspace(-12.0, 12.0, 400_001)
    heights = network.weights[0] * t + network.biases[0][:, None]
    bends = 0.0
    for unit in heights.reshape(5, rank, -1):
        winner = unit.argmax(axis=0)
        change = t[1:][winner[1:] != winner[:-1]]
        bends += float(np.exp(-0.5 * change**2).sum()) / math.sqrt(2.0 * math.pi)
    assert maxout_local_complexity(network, np.zeros(1), 1.0, 0.0) == pytest.approx(bends, rel=1e-4)


def test_a_leaky_network_as_relus_is_the_same_function():
    plain = random_network(0, (3, 5, 4, 2))
    leaky = Network.from_arrays(plain.weights, plain.biases, slopes=[0.3, 0.3, None])
    points = np.random.default_rng(0).normal(size=(40, 3))
    assert np.allclose(as_relus(leaky, 0.3).forward(points), leaky.forward(points))
    assert not np.allclose(as_relus(leaky, 0.2).forward(points), leaky.forward(points))


def test_distance_to_the_boundary_of_a_cell_is_that_to_its_nearest_halfspace():
    network, rng = random_network(1, (2, 7, 6, 2)), np.random.default_rng(0)
    cells = enumerate_cells(network, Box([-9.0, -9.0], [9.0, 9.0]), workers=1)
    points = rng.normal(size=(8, 2))
    found = cell_distances(network, points)
    for point, own in zip(points, found, strict=True):
        rows = cell_halfspaces(cells, int(cells.locate(point)))
        slack = (rows.b - rows.A @ point)[rows.side < 0]
        assert own == pytest.approx(slack.min(), rel=1e-9)


@pytest.mark.parametrize(("dimension", "directions"), [(2, 2), (3, 2), (5, 5)])
def test_the_largest_cosine_is_that_of_random_frames(dimension, directions):
    rng = np.random.default_rng(0)
    frames = np.linalg.qr(rng.normal(size=(20_000, dimension, directions)))[0]
    drawn = np.abs(frames[:, 0]).max(axis=1)
    error = float(drawn.std() / math.sqrt(len(drawn)))
    assert abs(largest_cosine(dimension, directions) - drawn.mean()) < 6 * error


def test_an_attack_moves_no_point_farther_than_its_radius():
    # a linear classifier: the exact distance is known
    rng = np.random.default_rng(0)
    network = Network.from_arrays([rng.normal(size=(2, 6))], [rng.normal(size=2)])
    points = rng.normal(size=(200, 6))
    labels = network.forward(points).argmax(axis=1)
    gap = network.weights[0][0] - network.weights[0][1]
    outputs = network.forward(points)
    distance = np.abs(outputs[:, 0] - outputs[:, 1]) / np.linalg.norm(gap)
    broken = attacked(network, points, labels, 0.5, 20)
    assert not broken[distance > 0.5].any()
    assert broken[distance < 0.49].all()
    assert broken.any()


def test_copies_of_units_are_the_same_function_at_the_same_cost():
    rng = np.random.default_rng(0)
    layer = (rng.normal(size=(3, 2)), rng.normal(size=3), rng.normal(size=3))
    points = rng.normal(size=(30, 2))
    values = []
    for weights, biases, outgoing in (layer, split(layer, 9)):
        values.append(np.maximum(points @ weights.T + biases, 0.0) @ outgoing)
        assert np.square(weights).sum() == pytest.approx(np.square(layer[0]).sum())
    assert np.allclose(*values)
    # without noise each copy bends where the unit does
    parts = [complexity_by_unit(*one, 0.0).sum() for one in (layer, split(layer, 9))]
    assert parts[1] == pytest.approx(9 * parts[0])


def test_verdicts_are_corrected_for_how_many_there_are():
    rng = np.random.default_rng(0)
    sure = ratio_effect("sure", np.exp(1.0 + 0.1 * rng.normal(size=6)))
    noise = [difference_effect(str(k), rng.normal(size=6)) for k in range(20)]
    found = judged([sure, *noise])
    assert found[0].verdict == "higher"
    assert all(one.adjusted >= one.p for one in found)
    assert sum(one.verdict != "undecided" for one in found[1:]) == 0
    assert judged([ratio_effect("empty", [1.0, math.nan])])[0].verdict == "undecided"
