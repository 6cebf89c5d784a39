"""Laws of the estimators' signs: none is taken from rounding, whatever cancels in exact arithmetic."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from regions import Box, Network, Slice, UniformDensity, count_cells
from regions.errors import InvalidInputError
from regions.estimators import (
    BoundaryDistance,
    Coarea,
    CroftonLines,
    CrossPolytope,
    DistinctPatterns,
    FiniteShell,
    UnnormalisedCoarea,
    local_complexity,
)
from regions.estimators.crossings import Lines, find_crossings
from regions.estimators.exact_passes import ExactPasses, exact_zeros
from regions.estimators.forward_passes import Chain, forward, gradient_errors, gradient_norms
from regions.estimators.goodness import is_good_at_zero

SQUARE = Box([-1.0, -1.0], [1.0, 1.0])
DENSITY = UniformDensity(SQUARE)


def vanishing(first_is_relu=True, n=12):
    """Units a (x + 4) + b (y + 4) - (a (x + 4) + b (y + 4)), which are 0 by exact arithmetic alone."""
    a, b = np.random.default_rng(0).normal(size=(2, n))
    first = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
    second = np.stack([a, b, -a, -b], axis=1)
    weights, biases = [first, second, np.ones((1, n))], [np.full(4, 4.0), np.zeros(n), np.zeros(1)]
    return Network.from_arrays(weights, biases, [first_is_relu, True, False])


def hidden_bends(n=12):
    """Units that bend at x = 0 and y = 0, and reach the output through units alone that vanish."""
    a, b = np.random.default_rng(0).normal(size=(2, n))
    twice = np.vstack([np.eye(2), np.eye(2)])
    weights = [np.eye(2), twice, np.stack([a, b, -a, -b], axis=1), np.ones((1, n))]
    return Network.from_arrays(weights, [np.zeros(2), np.full(4, 2.0), np.zeros(n), np.zeros(1)])


def lattice(seed, widths=(2, 6, 6, 1)):
    """Weights and biases that are small multiples of a tenth, so that many sums cancel or coincide."""
    rng = np.random.default_rng(seed)
    shapes = zip(widths[1:], widths[:-1], strict=True)
    weights = [rng.integers(-2, 3, size=shape) * 0.1 for shape in shapes]
    return Network.from_arrays(weights, [rng.integers(-2, 3, size=n) * 0.1 for n in widths[1:]])


def by_fractions(network, x, noise, silenced=-1):
    """Activation pattern and pre-activations of one point of fractions."""
    values, signs, units = list(x), [], []
    for weight, bias, relu in zip(network.weights, network.biases, network.relu, strict=True):
        values = [
            sum(Fraction(w) * v for w, v in zip(row, values, strict=True)) + Fraction(offset)
            for row, offset in zip(weight.tolist(), bias.tolist(), strict=True)
        ]
        if relu:
            values = [v + Fraction(noise[len(signs) + k]) for k, v in enumerate(values)]
            units += values
            first = len(signs)
            signs += [v > 0 for v in values]
            values = [v if v > 0 and first + k != silenced else Fraction(0) for k, v in enumerate(values)]
    return signs, units


def input_of(domain, t):
    point = [Fraction(x) for x in t.tolist()]
    if domain is None:
        return point
    rows = zip(domain.basis.tolist(), domain.origin.tolist(), strict=True)
    return [sum(Fraction(b) * x for b, x in zip(row, point, strict=True)) + Fraction(o) for row, o in rows]


@pytest.mark.parametrize("network", [vanishing(), vanishing(first_is_relu=False)])
def test_units_that_vanish_identically_are_never_seen(network):
    budget = 200
    x = np.random.default_rng(1).uniform(-1.0, 1.0, size=(budget, 2))
    h = x @ network.weights[0].T + 4.0
    assert (h @ network.weights[1].T).any(), "floats alone would see signs here"
    rng = np.random.default_rng(1)
    assert DistinctPatterns().estimate(network, DENSITY, rng, budget).mean == 1.0
    for estimator in (
        CrossPolytope(0.5),
        FiniteShell(0.05),
        FiniteShell(0.05, kind="activation"),
        BoundaryDistance(0.05),
        CroftonLines(),
        CroftonLines(kind="activation"),
    ):
        found = estimator.estimate(network, DENSITY, rng, budget, domain=SQUARE)
        assert (found.mean, found.stderr) == (0.0, np.inf)


def test_a_path_through_units_that_vanish_leads_nowhere():
    network, rng = hidden_bends(), np.random.default_rng(1)
    assert FiniteShell(0.05).estimate(network, DENSITY, rng, 200).mean == 0.0
    activation = FiniteShell(0.05, kind="activation").estimate(network, DENSITY, rng, 1000)
    # two lines of length 2 in an area of 4
    assert abs(activation.mean - 1.0) < 4 * activation.stderr
    assert CroftonLines().estimate(network, DENSITY, rng, 100).mean == 0.0
    lines = CroftonLines(kind="activation").estimate(network, DENSITY, rng, 400)
    assert abs(lines.mean - 1.0) < 4 * lines.stderr


@pytest.mark.parametrize("seed", range(6))
def test_distinct_patterns_never_exceed_the_cells(seed):
    network = lattice(seed)
    cells = count_cells(network, SQUARE).cells
    found = DistinctPatterns().estimate(network, DENSITY, np.random.default_rng(0), 3000, domain=SQUARE)
    assert found.mean <= cells


def problems():
    plane = Slice.around(np.array([0.1, 0.2, 0.3]), np.eye(3)[:2], 1.0)
    for seed in range(5):
        yield lattice(seed), SQUARE
        yield lattice(seed), None
        yield lattice(seed, (3, 5, 5, 2)), plane
    yield vanishing(), SQUARE
    yield vanishing(first_is_relu=False), None
    yield hidden_bends(), SQUARE


@pytest.mark.parametrize("sigma", [0.0, 1e-17, 0.1])
def test_patterns_are_those_of_exact_fractions(sigma):
    rng = np.random.default_rng(0)
    for network, domain in problems():
        chain = Chain(network, domain)
        d = network.input_dim if domain is None else domain.dimension
        t = rng.integers(-4, 5, size=(12, d)) * 0.25 + rng.choice([0.0, 1e-17, 0.1], size=(12, 1))
        noise = sigma * rng.standard_normal((12, network.n_units))
        state = forward(chain, t, noise)
        found, values = (np.concatenate(part, axis=1) for part in (state.active, state.noisy))
        bounds = chain.rounding * np.concatenate(state.sizes, axis=1)
        for row in range(12):
            signs, units = by_fractions(network, input_of(domain, t[row]), noise[row].tolist())
            assert found[row].tolist() == signs
            gaps = [abs(Fraction(v) - u) for v, u in zip(values[row].tolist(), units, strict=True)]
            assert all(gap <= Fraction(b) for gap, b in zip(gaps, bounds[row].tolist(), strict=True))
            exact = chain.exact.run(t[row], noise[row])
            assert np.concatenate(exact.active).tolist() == signs


@pytest.mark.parametrize("d", [2, 60])
def test_the_error_of_gradient_norms_is_within_its_bound(d):
    rng = np.random.default_rng(d)
    weights = [rng.normal(size=s) for s in ((70, d), (9, 70), (5, 9), (1, 5))]
    network = Network.from_arrays(weights, [0.1 * rng.normal(size=len(w)) for w in weights])
    chain = Chain(network, None)
    t = rng.normal(size=(3, d))
    state = forward(chain, t, np.zeros((3, network.n_units)))
    norms, bounds = gradient_norms(chain, state.active), gradient_errors(chain, state.active)
    for row in range(3):
        exact = chain.exact.run(t[row], gradients=True)
        for layer, rows in enumerate(exact.rows):
            values = [np.array([int(g) for g in gradient[1:]], dtype=object) for gradient in rows]
            largest = max(abs(x) for gradient in values for x in gradient) or 1
            scaled = np.array([[float(Fraction(int(x), int(largest))) for x in g] for g in values])
            true, part = np.linalg.norm(scaled, axis=1), norms[row, chain.units(layer)]
            scale = part.max() / true.max()
            allowed = bounds[row, chain.units(layer)] + 1e-12 * part
            assert np.all(np.abs(part - scale * true) <= allowed + 1e-12 * part.max())


def test_goodness_with_the_own_output_silenced_is_that_of_exact_fractions():
    rng = np.random.default_rng(0)
    for network, domain in problems():
        chain = Chain(network, domain)
        d = network.input_dim if domain is None else domain.dimension
        t = rng.integers(-4, 5, size=(6, d)) * 0.25
        state = forward(chain, t, np.zeros((6, network.n_units)))
        for layer in range(chain.depth):
            width = len(chain.biases[layer])
            sample, unit = (part.ravel() for part in np.indices((6, width)))
            found = is_good_at_zero(chain, state, layer, sample, unit).reshape(6, width)
            for row in range(6):
                for k in range(width):
                    expected = good_by_fractions(network, domain, t[row], layer, k)
                    assert found[row, k] == expected


def good_by_fractions(network, domain, t, layer, unit):
    """Whether a path of nonzero weights and active units leads from a unit, silenced, to an output."""
    flat = int(network.unit_offsets[layer]) + unit
    signs, _ = by_fractions(network, input_of(domain, t), [0.0] * network.n_units, flat)
    steps, place = [], -1
    product = None
    for weight, relu in zip(network.weights, network.relu, strict=True):
        exact = np.array([[Fraction(w) for w in row] for row in weight.tolist()], dtype=object)
        product = exact if product is None else exact @ product
        if relu:
            steps.append(product)
            product = None
    live = np.array([k == unit for k in range(len(steps[layer]))])
    for place in range(layer + 1, len(steps)):
        first = int(network.unit_offsets[place])
        reached = np.array(
            [any(w != 0 and on for w, on in zip(row, live, strict=True)) for row in steps[place]]
        )
        live = reached & np.array(signs[first : first + len(reached)])
    if product is None:
        return bool(live.any())
    return any(w != 0 and on for row in product for w, on in zip(row, live, strict=True))


def crossings_by_fractions(network, start, step, ends):
    """Zeros of units inside a line of fractions, by cutting it layer after layer."""
    pieces, found, first = [(*ends, list(zip(start, step, strict=True)))], [], 0
    for weight, bias, relu in zip(network.weights, network.biases, network.relu, strict=True):
        cut = []
        for low, high, rows in pieces:
            values = [
                tuple(
                    sum(Fraction(w) * row[k] for w, row in zip(weights, rows, strict=True))
                    + (Fraction(offset) if k == 0 else 0)
                    for k in range(2)
                )
                for weights, offset in zip(weight.tolist(), bias.tolist(), strict=True)
            ]
            roots = (
                [(-c / a, k) for k, (c, a) in enumerate(values) if a and low < -c / a < high] if relu else []
            )
            found += [(root, first + k) for root, k in roots]
            places = [low, *sorted({root for root, _ in roots}), high]
            for a, b in pairwise(places):
                on = [not relu or c + slope * (a + b) / 2 > 0 for c, slope in values]
                cut.append((a, b, [v if x else (Fraction(0),) * 2 for v, x in zip(values, on, strict=True)]))
        pieces = cut
        first += len(bias) if relu else 0
    return sorted(found)


def test_crossings_are_those_of_exact_fractions():
    rng, seen = np.random.default_rng(0), 0
    for network, domain in problems():
        box = SQUARE if domain is None else domain
        chain, count = Chain(network, box), 5
        # lines through points of a lattice, in its directions, and one in general position
        points = rng.integers(-3, 4, size=(count, 2)) * 0.25
        directions = rng.integers(-1, 2, size=(count, 2)) * 1.0
        directions[0], directions[1:][~directions[1:].any(axis=1)] = rng.normal(size=2), 1.0
        lines = Lines(points, directions, np.full(count, -1.0), np.full(count, 1.0))
        line, at, unit = find_crossings(chain, lines, np.zeros((count, network.n_units)))
        for k in range(count):
            start = input_of(box, points[k])
            step = [
                x - y for x, y in zip(input_of(box, directions[k]), input_of(box, np.zeros(2)), strict=True)
            ]
            expected = crossings_by_fractions(network, start, step, (Fraction(-1), Fraction(1)))
            found = sorted(zip(at[line == k].tolist(), unit[line == k].tolist(), strict=True))
            assert sorted(u for _, u in found) == sorted(u for _, u in expected)
            np.testing.assert_allclose([s for s, _ in found], [float(s) for s, _ in expected], atol=1e-12)
            seen += len(found)
    assert seen > 100


def test_products_that_cancel_are_found_exactly():
    rng = np.random.default_rng(0)
    a = rng.normal(size=(3, 4))
    first, second = np.vstack([a, a]), np.hstack([rng.normal(size=(2, 3))] * 2) * [1, 1, 1, -1, -1, -1]
    assert exact_zeros([first, second]).all()
    assert not exact_zeros([first, np.abs(second)]).any()


def test_an_exact_pass_knows_which_hyperplanes_are_within_a_distance():
    network = Network.from_arrays([[[3.0, 4.0], [0.0, 0.0]], [[1.0, 1.0]]], [[-5.0, 0.0], [0.0]])
    found = ExactPasses(network, None).run(np.zeros(2), gradients=True)
    assert not found.is_within(0, 0, 1.0) and found.is_within(0, 0, 1.0 + 2**-52)
    assert not found.is_within(0, 1, 1.0)  # no gradient, no hyperplane


@pytest.mark.parametrize(
    "make", [Coarea, lambda size: FiniteShell(size), lambda size: CrossPolytope(size), UnnormalisedCoarea]
)
def test_a_result_to_which_no_sample_contributes_is_no_estimate(make):
    """Seen: local complexity 0.0 +- 0.0 at sigma 1e-10, where it is 1.75."""
    network = Network.from_arrays([[[2.0], [1.5]], [[1.0, 1.0]]], [[0.1, 0.3], [0.0]])
    segment = Box([-1.0], [1.0])
    for size in (1e-10, 1e-100):
        found = make(size).estimate(network, UniformDensity(segment), np.random.default_rng(0), 1000)
        assert (found.mean, found.stderr) == (0.0, np.inf)
    found = make(0.05).estimate(network, UniformDensity(segment), np.random.default_rng(0), 1000)
    assert found.mean > 0.0 and np.isfinite(found.stderr)


@pytest.mark.parametrize("sigma", [5e-324, 1e-308])
def test_noise_whose_density_is_beyond_floats_is_refused(sigma):
    network = Network.from_arrays([[[1.0]], [[1.0]]], [[0.0], [0.0]])
    with pytest.raises(InvalidInputError, match="beyond floats"):
        local_complexity(network, UniformDensity(Box([-1.0], [1.0])), sigma, 10, np.random.default_rng(0))


@pytest.mark.parametrize(
    "network",
    [
        Network.from_arrays([[[1.0]]], [[0.0]]),
        Network.from_arrays([[[1.0], [2.0]], [[0.0, 1.0]], [[0.0]]], [[0.0, 0.0], [0.0], [0.0]]),
    ],
)
def test_without_units_that_reach_an_output_nothing_is_to_be_seen(network):
    found = Coarea(0.1).estimate(network, UniformDensity(Box([-1.0], [1.0])), np.random.default_rng(0), 10)
    assert (found.mean, found.stderr) == (0.0, 0.0)


def test_units_without_anything_to_sum_up_need_no_exact_pass(monkeypatch):
    """Pruned units are 0 in floats already."""
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=(6, 2)), rng.normal(size=(5, 6)), rng.normal(size=(4, 5)), np.ones((1, 4))]
    weights[0][2], weights[1][:, 2], weights[1][3] = 0.0, 0.0, 0.0
    biases = [[0.1, 0.2, 0.0, 0.3, -0.1, 0.4], [0.1, -0.2, 0.3, 0.0, 0.1], [0.1, 0.2, -0.1, 0.3], [0.0]]
    network = Network.from_arrays(weights, biases)
    monkeypatch.setattr(ExactPasses, "run", None)
    monkeypatch.setattr(ExactPasses, "crossings", None)
    for estimator in (DistinctPatterns(), FiniteShell(0.01), CrossPolytope(0.1), CroftonLines()):
        assert estimator.estimate(network, DENSITY, rng, 200, domain=SQUARE).mean > 0.0
