"""Laws of uniform balls: closed forms, additivity, isometries, samples, stated errors."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import ortho_group

from regions.density import Density, UniformBallDensity
from regions.density.integrals.simplex_integrals import simplex_volumes
from regions.domain import Box, Polytope, Segment, Slice
from regions.errors import BudgetExceededError, InvalidDomainError, InvalidInputError

# looser where the cubature is slow, as the docstring says
RTOL = {4: 1e-3}


def unit_ball(d):
    return math.pi ** (d / 2) / math.gamma(d / 2 + 1)


def ball(d, k, shift=0.1, radius=1.0):
    return UniformBallDensity(np.full(d, shift), radius, rtol=RTOL.get(k, 1e-9))


def halves(simplices, weight):
    first, second = simplices.copy(), simplices.copy()
    cut = (1 - weight) * simplices[:, 0] + weight * simplices[:, 1]
    first[:, 1], second[:, 0] = cut, cut
    return first, second


@pytest.mark.parametrize(
    ("d", "k", "count"),
    [(1, 1, 300), (2, 1, 300), (2, 2, 300), (3, 2, 300), (3, 3, 200), (5, 3, 200), (4, 4, 4), (5, 4, 4)],
)
def test_integrals_add_up_over_a_split(d, k, count):
    simplices = 1.2 * np.random.default_rng(10 * d + k).normal(size=(count, k + 1, d))
    density = ball(d, k)
    whole, error = density.integrate_simplices(simplices)
    parts = [density.integrate_simplices(part) for part in halves(simplices, 0.3)]
    gap = np.abs(parts[0][0] + parts[1][0] - whole)
    assert np.all(gap <= error + parts[0][1] + parts[1][1])
    full = simplex_volumes(simplices)[0] * density.height
    assert np.count_nonzero((whole > 0) & (whole < full)) > count // 3


@pytest.mark.parametrize(("d", "k"), [(1, 1), (2, 2), (3, 2), (3, 3), (4, 3)])
def test_a_simplex_around_the_ball_holds_its_section(d, k):
    corners = np.zeros((1, k + 1, d))
    corners[0, :, :k] = np.concatenate([np.full((1, k), -9.0), 60 * np.eye(k) - 9.0])
    center = np.full(d, 0.2)
    away = math.sqrt(d - k) * 0.2
    value, error = UniformBallDensity(center, 2.0).integrate_simplices(corners)
    expected = unit_ball(k) * (4.0 - away**2) ** (k / 2) / (unit_ball(d) * 2.0**d)
    assert abs(value[0] - expected) <= error[0] <= 1e-8 * expected


@pytest.mark.parametrize(("d", "k"), [(1, 0), (2, 1), (2, 2), (3, 2), (3, 3)])
def test_simplices_inside_have_their_volume_and_those_outside_none(d, k):
    rng = np.random.default_rng(d + k)
    simplices = rng.uniform(-0.5, 0.5, size=(20, k + 1, d))
    density = UniformBallDensity(np.zeros(d), 1.0)
    values, errors = density.integrate_simplices(simplices)
    assert np.all(np.abs(values * unit_ball(d) - simplex_volumes(simplices)[0]) <= errors * unit_ball(d))
    assert not np.any(density.integrate_simplices(simplices + 3.0)[0])


def test_the_part_of_a_triangle_in_a_disc_is_the_area_of_a_circular_segment():
    height = 0.3
    triangle = np.array([[[-5.0, height], [5.0, height], [0.0, 20.0]]])
    expected = math.acos(height) - height * math.sqrt(1 - height**2)
    value, error = UniformBallDensity([0.0, 0.0], 1.0).integrate_simplices(triangle)
    assert abs(value[0] * math.pi - expected) <= math.pi * error[0] <= 1e-11


def test_the_part_of_a_tetrahedron_in_a_ball_is_the_volume_of_a_cap():
    height = 0.3
    base = np.array([[-30.0, -20.0], [30.0, -20.0], [0.0, 40.0]])
    corners = np.concatenate([np.column_stack([base, np.full(3, height)]), [[0.0, 0.0, 60.0]]])
    expected = math.pi * (1 - height) ** 2 * (2 + height) / 3
    density = UniformBallDensity(np.zeros(3), 1.0)
    value, error = density.integrate_simplices(corners[None])
    assert abs(value[0] - expected * density.height) <= error[0] <= 1e-9


@pytest.mark.parametrize(("d", "k"), [(2, 1), (2, 2), (3, 2), (3, 3), (4, 3)])
def test_isometries_and_units_keep_the_mass(d, k):
    rng = np.random.default_rng(d * 10 + k)
    simplices, center = rng.normal(size=(100, k + 1, d)), 0.3 * rng.normal(size=d)
    turn, shift = ortho_group.rvs(d, random_state=3), rng.normal(size=d)
    values, errors = UniformBallDensity(center, 0.9).integrate_simplices(simplices)
    moved = UniformBallDensity(7.0 * (turn @ center + shift), 6.3)
    images, more_errors = moved.integrate_simplices(7.0 * (simplices @ turn.T + shift))
    unit = 7.0 ** (k - d)
    assert np.all(np.abs(images - unit * values) <= 2 * (more_errors + unit * errors) + 1e-13 * values.max())


@pytest.mark.parametrize("k", [2, 3])
def test_stated_errors_bound_the_distance_to_a_finer_result(k):
    simplices = 1.5 * np.random.default_rng(k).normal(size=(500, k + 1, k + 1))
    center = np.full(k + 1, 0.1)
    coarse, error = UniformBallDensity(center, 1.0, rtol=1e-3).integrate_simplices(simplices)
    fine, fine_error = UniformBallDensity(center, 1.0, rtol=1e-12).integrate_simplices(simplices)
    assert np.all(np.abs(coarse - fine) <= error + fine_error)


def test_thin_and_flat_simplices_stay_within_their_errors():
    rng = np.random.default_rng(5)
    for k in (2, 3):
        simplices = 1.2 * rng.normal(size=(200, k + 1, k))
        simplices[:, -1] = simplices[:, :-1].mean(axis=1) + 1e-9 * rng.normal(size=(200, k))
        simplices[::10, -1] = simplices[::10, 0]
        values, errors = ball(k, k).integrate_simplices(simplices)
        volumes, volume_errors = simplex_volumes(simplices)
        height = ball(k, k).height
        assert np.all(values <= height * (volumes + volume_errors) + errors)
        assert np.all(errors <= 1e-12)


def test_a_tangent_segment_has_a_small_integral_and_says_how_uncertain():
    values, errors = UniformBallDensity([0.0, 0.0], 1.0).integrate_simplices([[[-1.0, 1.0], [1.0, 1.0]]])
    assert values[0] <= errors[0] <= 1e-6


def test_mass_is_what_samples_say():
    rng = np.random.default_rng(4)
    domains = [
        Box([-1.0], [0.3]),
        Segment([0.0, 1.0, 0.0], [1.0, -1.0, 2.0]),
        Slice.through([0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]),
        Polytope([[1, 1, 1], [-1, 0, 0], [0, -1, 0], [0, 0, -1]], [0.5, 0.2, 0.3, 0.4]),
    ]
    for domain in domains:
        density = UniformBallDensity(np.full(domain.dimension, 0.1), 0.9)
        value, error = density.mass(domain)
        inside = domain.contains(density.sample(20_000, rng)).mean()
        assert abs(inside - value) < 5 * math.sqrt(value * (1 - value) / 20_000) + error


def test_mass_is_one_where_the_domain_holds_the_ball():
    assert UniformBallDensity(np.zeros(30), 1.0).mass(Box(-np.ones(30), np.ones(30)))[0] == 1.0
    assert UniformBallDensity([0.0], 1.0).mass(Box([5.0], [6.0]))[0] == 0.0


@pytest.mark.parametrize("d", [1, 2, 5])
def test_samples_are_uniform(d):
    density = UniformBallDensity(np.arange(d), 2.0)
    t = density.sample(40_000, np.random.default_rng(d))
    assert np.all(density.pdf(t) > 0.0)
    assert_allclose(t.mean(axis=0), np.arange(d), atol=0.05)
    assert_allclose(np.cov(t.T).reshape(d, d), 4.0 / (d + 2) * np.eye(d), atol=0.05)
    assert_allclose(density.pdf(np.arange(d)[None]), 1 / (unit_ball(d) * 2.0**d))


def test_the_cubature_raises_instead_of_missing_its_tolerance():
    simplices = np.random.default_rng(0).normal(size=(20, 5, 4))
    with pytest.raises(BudgetExceededError, match="max_pieces or rtol"):
        UniformBallDensity(np.zeros(4), 1.0, max_pieces=1000).integrate_simplices(simplices)


@pytest.mark.parametrize(
    ("center", "radius"),
    [([0], 0), ([0], -1.0), ([0], math.nan), ([np.nan], 1.0), ([], 1.0), ([[0.0]], 1.0), (["a"], 1.0)],
)
def test_what_is_no_ball_is_refused(center, radius):
    with pytest.raises(InvalidInputError):
        UniformBallDensity(center, radius)


def test_arguments_of_another_dimension_are_refused():
    density = UniformBallDensity([0.0, 0.0], 1.0)
    assert isinstance(density, Density)
    with pytest.raises(InvalidDomainError, match="coordinates"):
        density.mass(Box([0.0], [1.0]))
    with pytest.raises(InvalidInputError, match=r"\(n, 2\)"):
        density.pdf([[0.0]])
    with pytest.raises(InvalidInputError, match="range of floats"):
        UniformBallDensity(np.zeros(784), 1.0).pdf(np.zeros((1, 784)))
    for k in (1, 2):
        values, errors = density.integrate_simplices(np.zeros((0, k + 1, 2)))
        assert values.shape == errors.shape == (0,)
