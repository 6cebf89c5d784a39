"""Laws of the mean over units' own noise: right means of bells, bounds draw by draw, less spread."""

from __future__ import annotations

import math

import numpy as np
import pytest
from networks import cube, random_network
from numpy.testing import assert_allclose
from scipy.stats import norm

from regions.density import UniformDensity
from regions.domain import Box
from regions.enumeration.enumerate import enumerate_cells
from regions.errors import InvalidInputError
from regions.validation.conditioned import (
    conditioned_activation_locus,
    mean_bell,
    sharp_local_complexity,
)
from regions.validation.inequalities import check_inequalities
from regions.validation.local_complexity import exact_local_complexity, z_score


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
