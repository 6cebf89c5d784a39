"""Estimators on networks with max units agree with the exact oracle, with closed forms, and one another."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from max_networks import MaxCase, fractions_pattern, random_max_case

from regions import Box, Network, Slice, UniformDensity
from regions.density import GaussianDensity
from regions.errors import InvalidNetworkError
from regions.estimators import (
    BoundaryDistance,
    Coarea,
    CroftonLines,
    CrossPolytope,
    DistinctPatterns,
    FiniteShell,
    OwnNoiseCoarea,
    SampledStateCoarea,
    UnnormalisedCoarea,
)
from regions.estimators.crossings import Lines, find_crossings
from regions.estimators.estimates import LocusKind
from regions.estimators.exact_passes import ExactPasses
from regions.estimators.forward_passes import Chain, forward, gradient_norms
from regions.validation.exact_targets import units_in_neighbourhood
from regions.validation.local_complexity import exact_local_complexity

SQUARE = Box([-1.0, -1.0], [1.0, 1.0])
UNIFORM = UniformDensity(SQUARE)
SEEDS = range(12)


def twins_case(seed: int) -> MaxCase:
    """Draw three layers of max units and others; two rows of the first max unit are equal."""
    rng = np.random.default_rng(seed)
    weights = [rng.normal(size=shape) for shape in ((9, 2), (8, 4), (2, 3))]
    biases = [0.5 * rng.normal(size=9), 0.3 * rng.normal(size=8), np.zeros(2)]
    weights[0][1], biases[0][1] = weights[0][0], biases[0][0]
    sizes = [[4, 3, 1, 1], [4, 1, 3], None]
    return MaxCase(
        weights, biases, [True, True, False], sizes, [None] * 3, SQUARE.low.tolist(), SQUARE.high.tolist()
    )


def exact_locus(case: MaxCase, kind: LocusKind) -> float:
    """The locus integral of the uniform density, by brute force."""
    facets = [facet for facet in case.naive().facets if kind == "activation" or facet.jump != 0]
    return math.fsum(float(facet.volume) for facet in facets) / SQUARE.volume


@pytest.mark.sweep(2, 12)
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", ["gradient", "activation"])
def test_lines_and_shells_have_the_locus_of_the_brute_force(seed: int, kind: LocusKind) -> None:
    case, rng = twins_case(seed), np.random.default_rng(1)
    network, locus = case.network(), exact_locus(case, kind)
    lines = CroftonLines(kind=kind).estimate(network, UNIFORM, rng, 600)
    shells = FiniteShell(0.01, kind=kind).estimate(network, UNIFORM, rng, 4000, domain=SQUARE)
    for estimate in (lines, shells):
        assert abs(estimate.mean - locus) < 4 * estimate.stderr < 2 * locus


def test_where_max_units_hide_others_the_locus_is_less() -> None:
    # max(x, y, |x| + |y| + 1) is the last one throughout, and hides where x and y tie
    weights = [[[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]], [[1.0, 0, 0, 0], [0, 0, 1, 0], [0, 1, 0, 1]]]
    slopes = [[[1.0, -1.0, 1.0, -1.0], [1.0] * 4], None]  # x, |x|, y, |y|
    network = Network.from_arrays(
        weights, [np.zeros(4), [0.0, 0.0, 1.0]], [True, True], slopes=slopes, maxima=[None, [3]]
    )
    rng = np.random.default_rng(0)
    for kind in ("gradient", "activation"):
        estimate = CroftonLines(kind=kind).estimate(network, UNIFORM, rng, 1000)  # type: ignore[arg-type]
        assert abs(estimate.mean - 1.0) < 4 * estimate.stderr


def test_two_candidates_have_a_closed_form() -> None:
    rng = np.random.default_rng(3)
    W, b, mean, sigma = rng.normal(size=(2, 3)), rng.normal(size=2), 0.2 * rng.normal(size=3), 0.7
    network = Network.from_arrays([W], [b], maxima=[2])
    apart = W[0] - W[1]
    variance = apart @ apart * 1.5**2 + 2 * sigma**2
    exact = np.linalg.norm(apart) * math.exp(-0.5 * (apart @ mean + b[0] - b[1]) ** 2 / variance)
    exact /= math.sqrt(2 * math.pi * variance)
    density = GaussianDensity(mean, 1.5**2)
    for estimator in (Coarea(sigma), SampledStateCoarea(sigma)):
        estimate = estimator.estimate(network, density, rng, 20_000)
        assert abs(estimate.mean - exact) < 4 * estimate.stderr < 0.1 * exact
    # the difference of the two is noised once more
    noised = OwnNoiseCoarea(sigma).estimate(network, density, rng, 20_000)
    more = Coarea(sigma * math.sqrt(2)).estimate(network, density, rng, 20_000)
    assert abs(noised.mean - more.mean) < 4 * math.hypot(noised.stderr, more.stderr)
    with pytest.raises(InvalidNetworkError, match="takes no max units"):
        UnnormalisedCoarea(sigma).estimate(network, density, rng, 10)


def test_of_three_candidates_only_the_two_on_top_count() -> None:
    # in one dimension: x, -x and a constant c with noise, all biases with noise of their own
    network, sigma, rng = (
        Network.from_arrays([[[1.0], [-1.0], [0.0]]], [[0.0, 0.0, 1.0]], maxima=[3]),
        0.5,
        (np.random.default_rng(0)),
    )
    box = Box([-6.0], [6.0])
    noise = sigma * rng.standard_normal((20_000, 3))
    # the largest of the three bends twice, or once where the constant is below where x and -x tie
    bends = np.where(noise[:, 2] + 1.0 > noise[:, :2].mean(axis=1), 2.0, 1.0) / 12.0
    for estimator in (Coarea(sigma), CroftonLines(sigma)):
        estimate = estimator.estimate(network, UniformDensity(box), rng, 20_000, domain=box)
        error = math.hypot(estimate.stderr, bends.std() / math.sqrt(bends.size))
        assert abs(estimate.mean - bends.mean()) < 4 * error


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_local_complexity_is_the_exact_one(seed: int) -> None:
    network, rng = twins_case(seed).network(), np.random.default_rng(seed)
    for kind in ("gradient", "activation"):
        exact = exact_local_complexity(network, SQUARE, UNIFORM, 0.3, 60, rng, kind=kind)  # type: ignore[arg-type]
        for estimator in (Coarea(0.3, kind), CroftonLines(0.3, kind)):  # type: ignore[arg-type]
            found = estimator.estimate(network, UNIFORM, rng, 4000, domain=SQUARE)
            assert abs(found.mean - exact.mean) < 4 * math.hypot(found.stderr, exact.stderr)


def test_the_nearest_bend_is_as_far_as_said_in_many_dimensions() -> None:
    # 60 inputs: gradients by Gram matrices instead of columns
    rng = np.random.default_rng(0)
    sizes = [[1, 3, 1, 4] * 7, [2] * 30, None]
    weights = [rng.normal(size=shape) for shape in ((63, 60), (60, 28), (1, 30))]
    network = Network.from_arrays(weights, [rng.normal(size=63), rng.normal(size=60), [0.0]], maxima=sizes)
    chain, t = Chain(network, None), rng.normal(size=(5, 60))
    state = forward(chain, t, np.zeros((1, network.n_units)))
    norms = gradient_norms(chain, state.slopes)
    table = network.max_units
    assert table is not None
    for row, x in enumerate(t):
        states = network.activation_pattern(x)
        maps = np.concatenate([A for A, _ in network.unit_maps(states)])
        for unit in range(network.n_units):
            own = maps[unit]
            if table.first[unit] >= 0:
                own = maps[table.winner(states, unit)] - own
            assert abs(norms[row, unit] - np.linalg.norm(own)) < 1e-6


@pytest.mark.sweep(12)
@pytest.mark.parametrize("seed", range(60))
def test_patterns_are_those_of_exact_fractions(seed: int) -> None:
    case = random_max_case(seed)
    network, rng = case.network(), np.random.default_rng(seed)
    t = rng.integers(-2, 3, size=(6, network.input_dim)) * 0.5
    t[3:] += rng.choice([0.0, 1e-17, 0.1], size=(3, 1))
    state = forward(Chain(network, None), t, np.zeros((1, network.n_units)))
    found = np.concatenate(state.active, axis=1)
    exact = ExactPasses(network, None)
    for row, x in enumerate(t):
        expected = fractions_pattern(case, [Fraction(v) for v in x.tolist()])
        assert np.concatenate(exact.run(x).active).tolist() == expected
        # of equal functions the first may stand for all: what is put out is the same
        assert found[row].tolist() == expected


def exact_bends(chain: Chain, lines: Lines, noise: Any) -> list[list[tuple[float, int]]]:
    own = [noise[k] if noise[k].any() else None for k in range(len(noise))]
    ends = zip(lines.low.tolist(), lines.high.tolist(), strict=True)
    rows = zip(lines.points, lines.directions, ends, own, strict=True)
    return [sorted(chain.exact.crossings(*row)) for row in rows]


@pytest.mark.sweep(12)
@pytest.mark.parametrize("seed", range(60))
@pytest.mark.parametrize("sigma", [0.0, 0.1])
def test_bends_along_lines_are_those_of_the_exact_walk(seed: int, sigma: float) -> None:
    network, rng = random_max_case(seed).network(), np.random.default_rng(seed)
    chain, d = Chain(network, None), network.input_dim
    directions = rng.normal(size=(5, d))
    lines = Lines(0.3 * rng.normal(size=(5, d)), directions, np.full(5, -1.0), np.full(5, 1.0))
    noise = chain.noise(sigma, 5, rng) if sigma else np.zeros((5, network.n_units))
    line, at, unit = find_crossings(chain, lines, noise)
    for k, expected in enumerate(exact_bends(chain, lines, noise)):
        found = sorted(zip(at[line == k].tolist(), unit[line == k].tolist(), strict=True))
        assert [u for _, u in found] == [u for _, u in expected]
        assert np.allclose([s for s, _ in found], [s for s, _ in expected], rtol=1e-9, atol=1e-9)


def test_a_second_pooling_needs_no_exact_arithmetic(monkeypatch: pytest.MonkeyPatch) -> None:
    # every winner of the first pooling is a candidate of two windows of the second
    network = Network.from_arrays(
        [
            np.repeat(np.random.default_rng(0).normal(size=(8, 2)), 2, axis=0)[1:-1],
            np.repeat(np.eye(7), 2, 0)[1:-1],
        ],
        [np.zeros(14), np.zeros(12)],
        maxima=[2, 2],
    )
    t = np.random.default_rng(1).uniform(-1.0, 1.0, size=(100, 2))
    exact = [ExactPasses(network, None).run(x).active for x in t]
    monkeypatch.setattr(ExactPasses, "run", None)
    state = forward(Chain(network, None), t, np.zeros((1, network.n_units)))
    for k, active in enumerate(exact):
        for layer in range(2):
            assert (state.active[layer][k] == active[layer]).all()


def test_distinct_patterns_are_the_cells() -> None:
    case = twins_case(1)
    network, cells = case.network(), len(case.naive().cells)
    found = DistinctPatterns().estimate(network, UNIFORM, np.random.default_rng(0), 4000, domain=SQUARE)
    assert cells - 3 <= found.mean <= cells


def test_a_max_unit_counts_once_in_a_neighbourhood() -> None:
    rng, radius = np.random.default_rng(0), 0.3
    W, b = rng.normal(size=(8, 3)), 0.2 * rng.normal(size=8)
    network = Network.from_arrays([W], [b], maxima=[[4, 1, 3]])
    plane = Slice.around(np.zeros(3), np.linalg.qr(rng.normal(size=(3, 2)))[0].T, 1.0)
    found = []
    for t in 0.5 * rng.normal(size=(6, 2)):
        exact = units_in_neighbourhood(network, plane, t, radius * np.eye(2))
        # a fine grid of the neighbourhood sees the same winners and signs
        u, v = np.meshgrid(*[np.linspace(-radius, radius, 101)] * 2)
        grid = np.column_stack([(u + v).ravel(), (u - v).ravel()]) / 2
        z = network.pre_activations(plane.to_input(t + grid))[0]
        seen = [z[:, :4].argmax(axis=1), z[:, 4] > 0, z[:, 5:].argmax(axis=1)]
        assert exact == sum(len(np.unique(own)) > 1 for own in seen)
        found.append(exact)
    assert 0 < sum(found) < 18
    density = UniformDensity(plane)
    estimate = CrossPolytope(radius).estimate(network, density, rng, 200, domain=plane)
    assert 0.0 < estimate.mean < 3.0


def test_the_distance_to_the_boundary_is_that_to_a_tie() -> None:
    # max(x, y): the tie x = y has length 2 sqrt 2 in an area of 4
    network = Network.from_arrays([np.eye(2)], [np.zeros(2)], maxima=[2])
    rng = np.random.default_rng(0)
    estimate = BoundaryDistance(0.01).estimate(network, UNIFORM, rng, 20_000, domain=SQUARE)
    assert abs(estimate.mean - math.sqrt(0.5)) < 4 * estimate.stderr
