"""Laws of the co-area estimator: unbiased against exact breakpoints, and every shortcut keeps the value.

The exact side in this file is its own: breakpoints along a segment, tracked piece by piece in numpy.
"""

import math
from itertools import pairwise

import numpy as np
import pytest
from networks import random_network
from numpy.testing import assert_allclose

import regions.estimators.forward_passes as chain_module
import regions.estimators.goodness as goodness
from regions.density import GaussianDensity, UniformDensity
from regions.domain import Box, Segment, Slice
from regions.errors import InvalidInputError
from regions.estimators import Estimate, local_complexity
from regions.network.relu_network import Network


def thinned(network, zero_fraction, rng):
    """The network with that part of its weights set to zero, by chance."""
    weights = [np.where(rng.random(w.shape) < zero_fraction, 0.0, w) for w in network.weights]
    return Network(weights, network.biases, network.relu)


def with_noise(network, noise):
    """The network with `noise (n_units,)` added to the biases of its units."""
    biases, start = [], 0
    for bias, relu in zip(network.biases, network.relu, strict=True):
        biases.append(bias + noise[start : start + bias.size] if relu else bias)
        start += bias.size if relu else 0
    return Network(network.weights, biases, network.relu)


def breakpoints(network, low, high):
    """Exact points of [low, high] where a unit of a 1-input network changes sign."""
    pieces = [(low, high, np.ones((1, 1)), np.zeros(1))]
    found = []
    for weight, bias, relu in zip(network.weights, network.biases, network.relu, strict=True):
        after = []
        for start, end, slope, offset in pieces:
            slopes, offsets = weight @ slope, weight @ offset + bias
            if not relu:
                after.append((start, end, slopes, offsets))
                continue
            with np.errstate(divide="ignore", invalid="ignore"):
                roots = -offsets / slopes[:, 0]
            inner = np.sort(roots[(roots > start) & (roots < end)])
            found.extend(inner)
            ends = [start, *inner, end]
            for a, b in pairwise(ends):
                on = slopes[:, 0] * (0.5 * (a + b)) + offsets > 0
                after.append((a, b, slopes * on[:, None], offsets * on))
        pieces = after
    return np.sort(found)


def slopes_at(network, points):
    patterns = network.activation_pattern(points[:, None])
    return np.array([network.affine_map(pattern)[0].ravel() for pattern in patterns])


def exact_in_one_dimension(network, sigma, n_bias, rng, low, high):
    """Breaks per unit length, all of them and those of the gradient: two estimates over bias draws."""
    draws = np.empty((n_bias, 2))
    for row in draws:
        noisy = with_noise(network, sigma * rng.normal(size=network.n_units))
        breaks = breakpoints(noisy, low, high)
        ends = np.concatenate([[low], breaks, [high]])
        slopes = slopes_at(noisy, 0.5 * (ends[:-1] + ends[1:]))
        jumps = np.abs(np.diff(slopes, axis=0)).sum(axis=1)
        row[:] = len(breaks), np.count_nonzero(jumps > 1e-12)
    draws /= high - low
    return Estimate.from_draws(draws[:, 0]), Estimate.from_draws(draws[:, 1])


def z_score(a, b):
    return (a.mean - b.mean) / math.hypot(a.stderr, b.stderr)


ONE_DIMENSIONAL = [((4, 2), 0.5, 0.7), ((4, 1), 0.5, 0.7), ((3, 1), 1.0, 0.5), ((5, 4, 3), 0.2, 0.5)]


@pytest.mark.sweep(1)
@pytest.mark.parametrize(("widths", "sigma", "bias_scale"), ONE_DIMENSIONAL)
def test_estimate_agrees_with_exact_breakpoints_on_a_segment(widths, sigma, bias_scale):
    rng = np.random.default_rng([*widths, 7])
    network = random_network(rng, (1, *widths, 1), bias_scale=bias_scale)
    domain = Box([-2.0], [2.0])
    activation, gradient = exact_in_one_dimension(network, sigma, 700, rng, -2.0, 2.0)
    for exact, kind in ((activation, "activation"), (gradient, "gradient")):
        estimate = local_complexity(
            network, UniformDensity(domain), sigma, 20_000, rng, domain=domain, kind=kind
        )
        assert abs(z_score(estimate, exact)) < 4, (kind, estimate, exact)


@pytest.mark.slow
def test_goodness_asked_with_the_sampled_own_activation_is_biased():
    # one unit that shuts the last one off when it is active: on its own zero set it does not
    network = Network.from_arrays([[[1.0]], [[-4.0]], [[1.0]]], [[0.0], [0.6], [0.0]])
    rng = np.random.default_rng(0)
    domain, sigma = Box([-2.0], [2.0]), 0.5
    _, exact = exact_in_one_dimension(network, sigma, 4000, rng, -2.0, 2.0)
    good = local_complexity(network, UniformDensity(domain), sigma, 40_000, rng, domain=domain)
    points = rng.uniform(-2, 2, size=(40_000, 1))
    h = points @ network.weights[0].T + sigma * rng.normal(size=(40_000, 1))
    later = np.maximum(h, 0) @ network.weights[1].T + network.biases[1] + sigma * rng.normal(size=h.shape)
    rho = np.exp(-(points**2) / (2 * sigma**2)) / (sigma * math.sqrt(2 * math.pi))
    last = (np.maximum(h, 0) * -4 + 0.6) / sigma
    terms = rho * (later > 0) + 4 * (h > 0) * np.exp(-(last**2) / 2) / (sigma * math.sqrt(2 * math.pi))
    biased = Estimate.from_draws(terms[:, 0])
    assert abs(z_score(good, exact)) < 4
    assert z_score(biased, exact) < -8


def brute_force_terms(network, t, noise, sigma, kind):
    """Terms of one sample, each goodness from a forward pass of its own with the unit's output 0."""
    offsets = network.unit_offsets
    relu_layers = [k for k, relu in enumerate(network.relu) if relu]

    def run(zeroed=None):
        h, clean, states, index = t, [], [], 0
        for k, (weight, bias) in enumerate(zip(network.weights, network.biases, strict=True)):
            h = weight @ h + bias
            if network.relu[k]:
                clean.append(h)
                h = np.maximum(h + noise[offsets[index] : offsets[index + 1]], 0)
                if zeroed is not None and zeroed[0] == index:
                    h[zeroed[1]] = 0.0
                states.append(h > 0)
                index += 1
        return clean, states

    clean, states = run()
    maps = network.unit_maps(np.concatenate(states))
    terms = []
    for layer, k in enumerate(relu_layers):
        for unit in range(len(clean[layer])):
            _, at_zero = run((layer, unit))
            column = np.eye(len(clean[layer]))[:, [unit]]
            seen = layer
            for later in range(k + 1, network.n_layers):
                column = network.weights[later] @ column
                if network.relu[later]:
                    seen += 1
                    column = column * at_zero[seen][:, None]
            good = kind == "activation" or np.any(column != 0.0)
            rho = math.exp(-(clean[layer][unit] ** 2) / (2 * sigma**2)) / (sigma * math.sqrt(2 * math.pi))
            terms.append(np.linalg.norm(maps[layer][0][unit]) * rho * good)
    return np.array(terms)


CASES = [
    ((2, 4, 3, 2), 0.0, None),
    ((3, 5, 2, 2, 1), 0.5, None),
    ((2, 3, 1, 1, 1, 2), 0.0, None),
    ((2, 4, 3, 4, 1), 0.4, (True, False, True, False)),
    ((2, 3, 3, 4), 0.3, (False, True, True)),
]


@pytest.mark.parametrize(("widths", "zeros", "relu"), CASES)
@pytest.mark.parametrize("kind", ["gradient", "activation"])
def test_terms_equal_one_forward_pass_per_unit(monkeypatch, widths, zeros, relu, kind):
    rng = np.random.default_rng([*widths, 3])
    network = thinned(random_network(rng, widths, relu=relu), zeros, rng)
    sigma, n = 0.8, 60
    monkeypatch.setattr(goodness, "_LOOK_UPS", 10**12)
    seen = {}
    monkeypatch.setattr(Estimate, "from_draws", classmethod(lambda cls, draws: seen.update(draws=draws)))
    density = GaussianDensity(np.zeros(widths[0]), 1.0)
    local_complexity(network, density, sigma, n, np.random.default_rng(5), kind=kind)
    same = np.random.default_rng(5)
    t = density.sample(n, same)
    noise = sigma * same.standard_normal((n, network.n_units))
    expected = [brute_force_terms(network, t[k], noise[k], sigma, kind).sum() for k in range(n)]
    assert_allclose(seen["draws"], expected, rtol=1e-9, atol=1e-12)


def test_looking_up_few_units_keeps_the_mean(monkeypatch):
    rng = np.random.default_rng(11)
    network = random_network(rng, (2, 6, 2, 2, 1), bias_scale=0.3)
    density = GaussianDensity([0.0, 0.0], 1.0)

    def draws(look_ups):
        monkeypatch.setattr(goodness, "_LOOK_UPS", look_ups)
        seen = []
        with monkeypatch.context() as patch:
            patch.setattr(Estimate, "from_draws", classmethod(lambda cls, terms: seen.append(terms)))
            local_complexity(network, density, 0.5, 40_000, np.random.default_rng(1))
        return seen[0]

    exact, few = draws(10**12), draws(2)
    assert np.count_nonzero(exact != few) > 1000
    difference = Estimate.from_draws(few - exact)
    assert abs(difference.mean) < 4 * difference.stderr


@pytest.mark.parametrize("zeros", [0.0, 0.5])
def test_gradient_norms_by_columns_by_gram_and_by_unit_maps_are_equal(zeros):
    rng = np.random.default_rng(2)
    network = thinned(random_network(rng, (60, 9, 7, 8, 3)), zeros, rng)
    x = rng.normal(size=(20, 60))
    chain = chain_module.Chain(network, None)
    assert chain.first_jacobian.shape == (9, 9)
    state = chain_module.forward(chain, x, np.zeros((20, network.n_units)))
    by_columns = list(chain_module._norms_by_columns(chain, state.active))
    by_gram = list(chain_module._norms_by_gram(chain, state.active))
    for layer in range(3):
        expected = [
            np.linalg.norm(network.unit_maps(pattern)[layer][0], axis=1)
            for pattern in network.activation_pattern(x)
        ]
        assert_allclose(by_columns[layer], expected, rtol=1e-11, atol=1e-12)
        assert_allclose(by_gram[layer], expected, rtol=1e-11, atol=1e-7)


@pytest.mark.parametrize("dimension", [2, 60])
def test_the_batch_size_does_not_change_the_result(monkeypatch, dimension):
    rng = np.random.default_rng(3)
    network = random_network(rng, (dimension, 70, 60, 5))
    density = GaussianDensity(np.zeros(dimension), 1.0)
    whole = local_complexity(network, density, 0.3, 1500, np.random.default_rng(9))
    monkeypatch.setattr(chain_module, "_WORKING_SET", 1 << 12)
    parts = local_complexity(network, density, 0.3, 1500, np.random.default_rng(9))
    assert_allclose([parts.mean, parts.stderr], [whole.mean, whole.stderr], rtol=1e-12)


def test_the_same_generator_state_gives_the_same_estimate():
    network = random_network(np.random.default_rng(0), (2, 5, 4, 1))
    density = GaussianDensity([0.0, 0.0], 1.0)
    first, again, other = (
        local_complexity(network, density, 0.1, 500, np.random.default_rng(seed)) for seed in (4, 4, 5)
    )
    assert first == again
    assert first != other


def test_a_slice_equals_the_network_restricted_to_it():
    rng = np.random.default_rng(6)
    network = random_network(rng, (7, 8, 6, 2))
    plane = Slice.around(rng.normal(size=7), directions=rng.normal(size=(2, 7)), half_width=1.5)
    weights = [network.weights[0] @ plane.basis, *network.weights[1:]]
    biases = [network.biases[0] + network.weights[0] @ plane.origin, *network.biases[1:]]
    restricted = Network(weights, biases, network.relu)
    density = GaussianDensity([0.0, 0.0], 0.5)
    on_slice = local_complexity(network, density, 0.2, 3000, np.random.default_rng(1), domain=plane)
    box = Box(plane.vertices.min(axis=0), plane.vertices.max(axis=0))
    in_plane = local_complexity(restricted, density, 0.2, 3000, np.random.default_rng(1), domain=box)
    assert_allclose(on_slice.mean, in_plane.mean, rtol=1e-9)


def test_affine_steps_without_relu_equal_their_product():
    rng = np.random.default_rng(8)
    network = random_network(rng, (3, 4, 6, 5, 2), relu=(False, True, False, False))
    w, b = network.weights, network.biases
    merged = Network([w[1] @ w[0], w[3] @ w[2]], [w[1] @ b[0] + b[1], w[3] @ b[2] + b[3]], (True, False))
    density = GaussianDensity(np.zeros(3), 1.0)
    one, other = (
        local_complexity(net, density, 0.3, 400, np.random.default_rng(1)) for net in (network, merged)
    )
    assert_allclose(one.mean, other.mean, rtol=1e-10)


def test_samples_outside_the_domain_count_as_zero():
    # |grad z| rho(z) is constant in t[1], so halving the box there halves the estimate's mean
    network = Network.from_arrays([[[1.0, 0.0]], [[1.0]]], [[0.0], [0.0]])
    whole = Box([-3.0, -1.0], [3.0, 1.0])
    density = UniformDensity(whole)
    rng = np.random.default_rng(0)
    full = local_complexity(network, density, 0.5, 40_000, rng, domain=whole)
    half = local_complexity(network, density, 0.5, 40_000, rng, domain=Box([-3.0, 0.0], [3.0, 1.0]))
    assert abs(half.mean - 0.5 * full.mean) < 4 * math.hypot(half.stderr, 0.5 * full.stderr)


def test_units_that_reach_no_output_are_in_the_activation_locus_only():
    network = Network.from_arrays([[[1.0], [2.0]], [[0.0, 0.0]]], [[0.1, 0.2], [1.0]])
    density = GaussianDensity([0.0], 1.0)
    rng = np.random.default_rng(0)
    assert local_complexity(network, density, 0.5, 100, rng, kind="gradient").mean == 0.0
    assert local_complexity(network, density, 0.5, 100, rng, kind="activation").mean > 0.1


def test_a_network_without_units_has_no_locus():
    network = Network.from_arrays([[[1.0, 2.0]]], [[0.0]])
    estimate = local_complexity(network, GaussianDensity([0.0, 0.0], 1.0), 1.0, 10, np.random.default_rng(0))
    assert estimate == Estimate(0.0, 0.0, 10)


def test_the_standard_error_covers_the_spread_over_seeds():
    network = random_network(np.random.default_rng(1), (1, 4, 3, 1))
    domain = Segment([-1.0], [1.5])
    density = UniformDensity(domain)
    runs = [
        local_complexity(network, density, 0.3, 400, np.random.default_rng(k), domain=domain)
        for k in range(200)
    ]
    spread = np.std([run.mean for run in runs], ddof=1)
    assert_allclose(np.mean([run.stderr for run in runs]), spread, rtol=0.2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sigma": 0.0}, "sigma"),
        ({"sigma": math.nan}, "sigma"),
        ({"n_samples": 1}, "n_samples"),
        ({"kind": "both"}, "kind"),
        ({"density": GaussianDensity([0.0], 1.0)}, "coordinates"),
        ({"domain": Box([0.0], [1.0])}, "inputs"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(change, message):
    given = {
        "network": random_network(np.random.default_rng(0), (2, 3, 1)),
        "density": GaussianDensity([0.0, 0.0], 1.0),
        "sigma": 0.1,
        "n_samples": 10,
        "rng": np.random.default_rng(0),
    }
    with pytest.raises(InvalidInputError, match=message):
        local_complexity(**{**given, **change})
