"""Laws of the mean over units' own noise: right means of bells, bounds draw by draw, less spread."""

from __future__ import annotations

import math

import numpy as np
import pytest
from networks import cube, random_network
from numpy.testing import assert_allclose
from scipy.stats import norm

from regions.analysis.locus import locus_volume
from regions.density import GaussianDensity, GaussianMixtureDensity, UniformBallDensity, UniformDensity
from regions.domain import Box
from regions.enumeration.enumerate import enumerate_cells
from regions.errors import InvalidInputError
from regions.validation.conditioned import (
    conditioned_activation_locus,
    conditioned_under_gaussians,
    mean_bell,
    sharp_local_complexity,
)
from regions.validation.inequalities import check_inequalities
from regions.validation.local_complexity import exact_local_complexity, with_bias_noise, z_score


@pytest.mark.sweep(2)
@pytest.mark.parametrize("d", [1, 2, 3, 4])
def test_mean_of_a_bell_is_that_over_many_points_of_a_simplex(d):
    rng = np.random.default_rng(d)
    corners = rng.normal(scale=2.0, size=(5, d + 1))
    points = rng.dirichlet(np.ones(d + 1), 50_000)
    for sigma in (0.3, 1.0, 5.0):
        bells = norm.pdf(corners @ points.T, scale=sigma)
        errors = bells.std(axis=1) / math.sqrt(len(points))
        assert np.all(np.abs(mean_bell(corners, sigma) - bells.mean(axis=1)) < 5 * errors + 1e-12)


def test_mean_of_a_bell_on_a_segment_is_in_closed_form():
    low, high = np.array([-3.0, 0.2, -40.0]), np.array([1.0, 0.2 + 1e-9, 55.0])
    wanted = (norm.cdf(high, scale=0.7) - norm.cdf(low, scale=0.7)) / (high - low)
    assert_allclose(mean_bell(np.stack([high, low], axis=1), 0.7), wanted, rtol=1e-6)
    assert_allclose(mean_bell(np.stack([high, low], axis=1)[[0, 2]], 0.7), wanted[[0, 2]], rtol=1e-12)


def test_mean_of_a_bell_is_continuous_where_corners_meet():
    base = np.array([[0.3, -0.8, 0.9, 0.3]])
    apart = base + np.array([[0.0, 0.0, 0.0, 1e-9]])
    assert_allclose(mean_bell(base, 0.5), mean_bell(apart, 0.5), rtol=1e-7)
    assert_allclose(mean_bell(np.full((1, 4), 0.3), 0.5), norm.pdf(0.3, scale=0.5), rtol=1e-12)


def test_parts_of_a_domain_add_up():
    network, whole = random_network(3, (2, 6, 4, 1)), Box([-1.0, -1.0], [1.0, 1.0])
    halves = [Box([-1.0, -1.0], [0.3, 1.0]), Box([0.3, -1.0], [1.0, 1.0])]
    noise = 0.2 * np.random.default_rng(0).standard_normal(network.n_units)
    total, *parts = (
        conditioned_activation_locus(enumerate_cells(network, box), 0.2, noise) * box.volume
        for box in (whole, *halves)
    )
    assert sum(parts) == pytest.approx(total, rel=1e-10)


@pytest.mark.sweep(1)
@pytest.mark.parametrize("kind", ["gradient", "activation"])
@pytest.mark.parametrize(("dimension", "widths"), [(1, (8, 2)), (2, (6, 3))])
def test_less_noise_means_the_same_local_complexity(dimension, widths, kind):
    network, domain = random_network(7, (dimension, *widths, 1)), cube(dimension)
    plain = exact_local_complexity(network, domain, UniformDensity(domain), 0.3, 40, 1, kind=kind)
    sharp = sharp_local_complexity(network, domain, 0.3, 20, 2, kind=kind)
    assert abs(z_score(sharp, plain)) < 4
    assert sharp.stderr < plain.stderr


@pytest.mark.parametrize("sigma", [0.1, 1.0])
def test_upper_bounds_hold_for_every_draw(sigma):
    network, box = random_network(11, (2, 5, 4, 1)), Box([-1.0, -1.0], [1.0, 1.0])
    report = check_inequalities(network, box, UniformDensity(box), sigma, eps=0.1, eta=sigma, n_bias=6, rng=0)
    draws = report.draws
    slack = report.c_bias * draws.gradient_sum - draws.sharper_local_complexity
    assert np.all(slack >= -1e-11 * report.c_bias * draws.gradient_sum)
    assert np.all(draws.activation_locus >= draws.local_complexity)
    plain = report.c_bias * draws.gradient_sum - draws.local_complexity
    assert slack.std() < plain.std()


@pytest.mark.parametrize(
    ("change", "says"), [({"n_pairs": 1}, "n_pairs is 1"), ({"sigma": 0.0}, "sigma"), ({"kind": "x"}, "kind")]
)
def test_wrong_arguments_are_named(change, says):
    given = {"sigma": 0.1, "n_pairs": 2, "rng": 0} | change
    with pytest.raises(InvalidInputError, match=says):
        sharp_local_complexity(random_network(0, (1, 2, 1)), Box([-1.0], [1.0]), **given)


def clusters(d, rtol=1e-7):
    means = np.random.default_rng(d).normal(scale=0.4, size=(3, d))
    return GaussianMixtureDensity([1.0, 2.0, 1.0], means, [0.02, 0.1, 0.05], rtol=rtol)


def weighted_slopes(network, noise, sigma, points):
    """The sum of |grad z_i| rho(z_i - s_i) at points, by a forward pass of values and Jacobians."""
    values, jacobians = (
        points,
        np.broadcast_to(np.eye(points.shape[1]), (len(points), *[points.shape[1]] * 2)),
    )
    total, first = np.zeros(len(points)), 0
    for weights, biases in zip(network.weights[:-1], network.biases[:-1], strict=True):
        heights, jacobians = values @ weights.T + biases, weights @ jacobians
        own = noise[first : first + len(biases)]
        total += (np.linalg.norm(jacobians, axis=2) * norm.pdf(heights - own, scale=sigma)).sum(axis=1)
        values, jacobians = np.maximum(heights, 0.0), jacobians * (heights > 0.0)[:, :, None]
        first += len(biases)
    return total


@pytest.mark.parametrize(("dimension", "widths"), [(1, (6, 4)), (2, (6, 4)), (3, (4, 2))])
def test_mean_over_own_noise_under_clusters_is_that_over_many_points(dimension, widths):
    rng, sigma, domain = np.random.default_rng(1), 0.2, cube(dimension)
    network = random_network(3, (dimension, *widths, 1))
    noise = sigma * rng.standard_normal(network.n_units)
    noisy, density = with_bias_noise(network, noise), clusters(dimension, 1e-5)
    value, error = conditioned_under_gaussians(enumerate_cells(noisy, domain), sigma, noise, density)
    points = density.sample(40_000, rng)
    inside = np.all(np.abs(points) <= 1.0, axis=1)
    draws = np.where(inside, weighted_slopes(noisy, noise, sigma, points), 0.0)
    assert 0.0 <= error < 1e-4 * value
    assert abs(value - draws.mean()) < 5 * draws.std() / math.sqrt(len(draws))


@pytest.mark.parametrize("dimension", [1, 2])
def test_a_very_wide_gaussian_is_as_good_as_uniform(dimension):
    network, domain = random_network(5, (dimension, 5, 3, 1)), cube(dimension)
    noise = 0.3 * np.random.default_rng(0).standard_normal(network.n_units)
    cells = enumerate_cells(with_bias_noise(network, noise), domain)
    wide = GaussianDensity(np.zeros(dimension), 1e10)
    peak = float(wide.pdf(np.zeros((1, dimension)))[0])
    found = conditioned_activation_locus(cells, 0.3, noise, wide) / peak / domain.volume
    assert found == pytest.approx(conditioned_activation_locus(cells, 0.3, noise), rel=1e-8)


def test_upper_bounds_hold_for_every_draw_under_clusters():
    network, box = random_network(11, (2, 5, 4, 1)), Box([-1.0, -1.0], [1.0, 1.0])
    report = check_inequalities(network, box, clusters(2), 0.3, eps=0.1, eta=0.3, n_bias=12, rng=0)
    draws = report.draws
    slack = report.c_bias * draws.gradient_sum - draws.sharper_local_complexity
    assert np.all(slack > -draws.error(report.c_bias))
    plain = report.c_bias * draws.gradient_sum - draws.local_complexity
    assert slack.std() < plain.std()
    gap = draws.sharper_local_complexity - draws.local_complexity
    assert abs(gap.mean()) < 5 * gap.std(ddof=1) / math.sqrt(len(gap))


def test_antithetic_draws_are_of_opposite_noise_and_judged_by_pairs():
    network, box = random_network(2, (1, 6, 1)), Box([-1.0], [1.0])
    given = {"eps": 0.1, "eta": 0.3, "rng": 4}
    paired = check_inequalities(network, box, UniformDensity(box), 0.3, n_bias=8, antithetic=True, **given)
    plain = check_inequalities(network, box, UniformDensity(box), 0.3, n_bias=4, **given)
    np.testing.assert_array_equal(paired.draws.local_complexity[::2], plain.draws.local_complexity)
    # the draws are noise, -noise, noise, -noise: the second of a pair by hand
    first = 0.3 * np.random.default_rng(4).standard_normal(network.n_units)
    other = enumerate_cells(with_bias_noise(network, -first), box)
    assert paired.draws.local_complexity[1] == locus_volume(other, UniformDensity(box)).total
    means = paired.draws.sharper_local_complexity.reshape(-1, 2).mean(axis=1)
    term = paired.terms["LC, conditioned"]
    assert term.n == 4 and term.mean == pytest.approx(means.mean())
    assert term.stderr == pytest.approx(means.std(ddof=1) / 2.0)
    assert paired["corollary 3, upper"].left == pytest.approx(means.mean())
    with pytest.raises(InvalidInputError, match="pairs"):
        check_inequalities(network, box, UniformDensity(box), 0.3, n_bias=5, antithetic=True, **given)


def test_densities_without_a_mean_over_own_noise_are_refused():
    cells = enumerate_cells(random_network(0, (2, 3, 1)), cube(2))
    with pytest.raises(InvalidInputError, match="not known"):
        conditioned_activation_locus(cells, 0.1, [0.0], UniformBallDensity([0.0, 0.0], 0.5))
