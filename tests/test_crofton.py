"""Laws of Crofton lines: unbiased against the exact locus in any dimension, crossings where units are 0."""

import math

import numpy as np
import pytest
from networks import cube, random_network, random_plane
from numpy.testing import assert_allclose

import regions.estimators.forward_passes as chain_module
from regions.analysis.locus import locus_volume
from regions.density import GaussianDensity, UniformDensity
from regions.domain import Box, Polytope, Segment
from regions.enumeration.enumerate import enumerate_cells
from regions.errors import InvalidInputError
from regions.estimators import CroftonLines
from regions.estimators.crofton import _mean_cosine, _random_chords, find_crossings
from regions.estimators.forward_passes import Chain
from regions.network.relu_network import Network
from regions.validation.local_complexity import exact_local_complexity, z_score


def triangle():
    return Polytope([[-1.0, 0.0], [0.0, -1.0], [1.0, 2.0]], [1.0, 1.0, 1.5])


# a last layer of one unit makes goodness matter: activation and gradient locus differ
WIDTHS = [(6, 4, 1), (5, 1, 1), (7, 2), (4, 3, 3, 2), (3, 2, 1, 1), (4, 4, 2), (8, 1)]


@pytest.mark.sweep(6)
@pytest.mark.parametrize("d", [2, 3, 4])
@pytest.mark.parametrize("case", range(len(WIDTHS)))
def test_lines_are_unbiased_for_the_locus_at_the_stored_biases(d, case):
    network, box = random_network(100 * d + case, (d, *WIDTHS[case])), cube(d)
    density = UniformDensity(box)
    cells = enumerate_cells(network, box)
    for kind in ("gradient", "activation"):
        exact = locus_volume(cells, density, kind).total
        estimate = CroftonLines(kind=kind).estimate(network, density, np.random.default_rng(case), 4000)
        assert abs(estimate.mean - exact) <= 4 * estimate.stderr, (kind, estimate, exact)


@pytest.mark.parametrize("make", [lambda: cube(2), lambda: cube(3), triangle, lambda: random_plane(6, 1)])
def test_lines_are_unbiased_under_a_gaussian_density(make):
    domain = make()
    network = random_network(5, (domain.input_dim, 6, 3, 1))
    density = GaussianDensity(0.2 * np.ones(domain.dimension), 0.3)
    exact = locus_volume(enumerate_cells(network, domain), density).total
    estimate = CroftonLines().estimate(network, density, np.random.default_rng(2), 6000, domain=domain)
    assert abs(estimate.mean - exact) < 4 * estimate.stderr, (estimate, exact)
    assert estimate.stderr < 0.05 * exact


@pytest.mark.sweep(1)
@pytest.mark.parametrize("widths", [(2, 6, 4, 1), (2, 5, 1, 1), (3, 4, 3, 2)])
def test_lines_under_bias_noise_are_unbiased_for_local_complexity(widths):
    network, box = random_network(3, widths), cube(widths[0])
    density, rng = UniformDensity(box), np.random.default_rng(4)
    estimate = CroftonLines(0.3).estimate(network, density, rng, 5000)
    exact = exact_local_complexity(network, box, density, 0.3, 150, rng)
    assert abs(z_score(estimate, exact)) < 4, (estimate, exact)


def test_on_a_segment_every_line_is_the_segment():
    network, segment = random_network(1, (3, 8, 5, 1)), Segment([-2.0, 1.0, 0.0], [1.0, -1.0, 2.0])
    density = UniformDensity(segment)
    cells = enumerate_cells(network, segment)
    for kind in ("gradient", "activation"):
        estimate = CroftonLines(kind=kind).estimate(
            network, density, np.random.default_rng(0), 20, domain=segment
        )
        assert_allclose(estimate.mean, locus_volume(cells, density, kind).total, rtol=1e-12)
        assert estimate.stderr < 1e-12


@pytest.mark.parametrize("relu", [None, (True, False, True, False)])
def test_between_two_crossings_nothing_changes_and_at_one_just_its_unit(relu):
    network = random_network(7, (3, 9, 8, 7, 2), relu=relu)
    box = cube(3)
    rng = np.random.default_rng(1)
    lines = _random_chords(box, 40, rng)
    line, at, unit = find_crossings(Chain(network, box), lines, np.zeros((40, network.n_units)))
    seen = 0
    for k in range(40):
        mine = np.flatnonzero(line == k)
        mine = mine[np.argsort(at[mine])]
        ends = np.concatenate([[lines.low[k]], at[mine], [lines.high[k]]])
        assert np.all(np.diff(ends) > 0.0)
        # patterns at both ends of each part: just inside, so that all of it has been looked at
        inner = np.concatenate([0.999 * ends[:-1] + 0.001 * ends[1:], 0.001 * ends[:-1] + 0.999 * ends[1:]])
        points = lines.points[k] + inner[:, None] * lines.directions[k]
        first, last = np.split(network.activation_pattern(points), 2)
        assert np.array_equal(first, last)
        changes = last[:-1] != first[1:]
        assert np.array_equal(changes, np.eye(network.n_units, dtype=bool)[unit[mine]])
        seen += len(mine)
    assert seen > 200


@pytest.mark.parametrize("d", [1, 2, 3, 4, 7])
def test_the_factor_is_the_mean_cosine(d):
    directions = np.random.default_rng(0).normal(size=(200_000, d))
    cosine = np.abs(directions[:, 0]) / np.linalg.norm(directions, axis=1)
    assert abs(cosine.mean() - _mean_cosine(d)) <= 4 * cosine.std() / math.sqrt(len(cosine)) + 1e-12


def test_chords_end_on_the_border():
    domain = triangle()
    lines = _random_chords(domain, 200, np.random.default_rng(0))
    A, b = domain.halfspaces
    for ends in (lines.low, lines.high):
        slack = b - (lines.points + ends[:, None] * lines.directions) @ A.T
        assert_allclose(slack.min(axis=1), 0.0, atol=1e-12)
    assert np.all(lines.low <= 0.0)
    assert np.all(lines.high >= 0.0)


def test_the_batch_size_does_not_change_the_result(monkeypatch):
    network, box = random_network(2, (2, 20, 15, 3)), cube(2)
    whole = CroftonLines(0.1).estimate(network, UniformDensity(box), np.random.default_rng(0), 300)
    monkeypatch.setattr(chain_module, "_WORKING_SET", 1 << 11)
    parts = CroftonLines(0.1).estimate(network, UniformDensity(box), np.random.default_rng(0), 300)
    assert_allclose([parts.mean, parts.stderr], [whole.mean, whole.stderr], rtol=1e-12)


def test_units_that_reach_no_output_are_crossed_in_the_activation_locus_only():
    network, box = (
        Network.from_arrays([[[1.0], [2.0]], [[0.0, 0.0]]], [[0.1, 0.2], [1.0]]),
        Box([-1.0], [1.0]),
    )
    rng = np.random.default_rng(0)
    assert CroftonLines().estimate(network, UniformDensity(box), rng, 10).mean == 0.0
    crossed = CroftonLines(kind="activation").estimate(network, UniformDensity(box), rng, 10)
    assert_allclose(crossed.mean, 1.0, rtol=1e-12)


def test_a_network_without_units_is_never_crossed():
    network, box = Network.from_arrays([[[1.0, 2.0]]], [[0.0]]), cube(2)
    assert CroftonLines().estimate(network, UniformDensity(box), np.random.default_rng(0), 10).mean == 0.0


def test_arguments_that_do_not_fit_are_refused():
    network, box = random_network(0, (2, 3, 1)), cube(2)
    rng = np.random.default_rng(0)
    with pytest.raises(InvalidInputError, match="bounded domain"):
        CroftonLines().estimate(network, GaussianDensity([0.0, 0.0], 1.0), rng, 10)
    with pytest.raises(InvalidInputError, match="n_samples"):
        CroftonLines().estimate(network, UniformDensity(box), rng, 1)
    with pytest.raises(InvalidInputError, match="coordinates"):
        CroftonLines().estimate(network, UniformDensity(cube(3)), rng, 10, domain=box)
    with pytest.raises(InvalidInputError, match="sigma"):
        CroftonLines(-0.1)
    with pytest.raises(InvalidInputError, match="kind"):
        CroftonLines(kind="both")
