"""Laws of the densities: closed forms against quadrature, additivity, self-consistency of errors."""

import math

import numpy as np
import pytest
from networks import random_covariance
from numpy.testing import assert_allclose
from scipy.integrate import dblquad, quad

from regions.density import Density, GaussianDensity, UniformDensity, from_spec
from regions.density.integrals.simplex_integrals import simplex_volumes
from regions.domain import Box, Polytope, Segment, Slice
from regions.errors import BudgetExceededError, InvalidDomainError, InvalidInputError


def random_gaussian(rng, d, **options):
    return GaussianDensity(0.5 * rng.normal(size=d), random_covariance(rng, d), **options)


def split_longest_way(simplices, weight):
    """Cut every simplex at a point of its first edge."""
    first, second = simplices.copy(), simplices.copy()
    cut = (1 - weight) * simplices[:, 0] + weight * simplices[:, 1]
    first[:, 1], second[:, 0] = cut, cut
    return first, second


@pytest.mark.parametrize("d", [1, 2, 3, 6])
def test_gaussian_on_segments_equals_quadrature(d):
    rng = np.random.default_rng(d)
    density = random_gaussian(rng, d)
    segments = rng.normal(size=(20, 2, d)) * np.geomspace(1e-3, 3, 20)[:, None, None]
    values, errors = density.integrate_simplices(segments)
    for (u, v), value, error in zip(segments, values, errors, strict=True):
        expected, _ = quad(
            lambda s, u=u, v=v: density.pdf([u + s * (v - u)])[0], 0, 1, epsabs=0, epsrel=1e-13, limit=200
        )
        expected *= np.linalg.norm(v - u)
        assert abs(value - expected) <= error + 1e-12 * expected
    assert np.all(errors < 1e-12 * values)


def test_gaussian_tails_keep_their_relative_accuracy():
    mpmath = pytest.importorskip("mpmath")
    mpmath.mp.dps = 60
    density = GaussianDensity([0.0], 1.0)
    pairs = [
        (8, 9),
        (-30, -20),
        (37, 37.5),
        (5, 5 + 1e-9),
        (1, 1.0001),
        (-1e-12, 1e-12),
        (3, 50),
        (-9, -8.75),
    ]
    values, errors = density.integrate_simplices(np.array(pairs, dtype=float)[:, :, None])
    for (a, b), value, error in zip(pairs, values, errors, strict=True):
        low, high = (
            sorted(abs(mpmath.mpf(x)) for x in (a, b)) if a * b > 0 else (mpmath.mpf(a), mpmath.mpf(b))
        )
        exact = (mpmath.erfc(low / mpmath.sqrt(2)) - mpmath.erfc(high / mpmath.sqrt(2))) / 2
        # errors grow like the exponent; 1e-14 holds up to about six standard deviations
        assert abs(value - float(exact)) <= min(error, 1e-14 * max(1.0, min(abs(a), abs(b)) ** 2) * value)


def test_gaussian_on_triangles_equals_dblquad():
    rng = np.random.default_rng(5)
    density = random_gaussian(rng, 3)
    triangles = rng.normal(size=(5, 3, 3))
    values, errors = density.integrate_simplices(triangles)
    areas, _ = simplex_volumes(triangles)
    for corner, value, error, area in zip(triangles, values, errors, areas, strict=True):
        e, f = corner[1] - corner[0], corner[2] - corner[0]
        expected, _ = dblquad(
            lambda q, p, c=corner[0], e=e, f=f: density.pdf([c + p * e + q * f])[0],
            0, 1, 0, lambda p: 1 - p, epsabs=0, epsrel=1e-11,
        )  # fmt: skip
        assert abs(value - 2 * area * expected) <= error + 1e-11 * value


@pytest.mark.parametrize(("d", "k"), [(1, 1), (2, 1), (2, 2), (3, 2), (4, 3), (5, 4), (6, 5)])
def test_integrals_add_up_over_a_split(d, k):
    rng = np.random.default_rng(10 * d + k)
    box = Box(-4 * np.ones(d), 4 * np.ones(d))
    simplices = rng.uniform(-1, 1, size=(6, k + 1, d))
    for density in (random_gaussian(rng, d), UniformDensity(box)):
        whole, error = density.integrate_simplices(simplices)
        first, second = (density.integrate_simplices(part) for part in split_longest_way(simplices, 0.3))
        gap = np.abs(first[0] + second[0] - whole)
        assert np.all(gap <= error + first[1] + second[1])
        assert_allclose(first[0] + second[0], whole, rtol=1e-8)


def test_a_narrow_bell_inside_a_wide_triangle_is_found():
    triangle = np.array([[[-60.0, -50.0], [70.0, -50.0], [0.0, 80.0]]])
    value, error = GaussianDensity([3.0, -4.0], 1.0).integrate_simplices(triangle)
    assert abs(value[0] - 1.0) <= error[0] <= 1e-9


def test_the_cubature_raises_instead_of_missing_its_tolerance():
    triangle = np.array([[[-60.0, -50.0], [70.0, -50.0], [0.0, 80.0]]])
    with pytest.raises(BudgetExceededError, match="max_pieces"):
        GaussianDensity([3.0, -4.0], 1.0, max_pieces=20).integrate_simplices(triangle)


def test_cubature_error_bounds_the_distance_to_a_finer_result():
    rng = np.random.default_rng(3)
    mean, cov = rng.normal(size=3), random_covariance(rng, 3)
    tetrahedra = 2 * rng.normal(size=(8, 4, 3))
    coarse, error = GaussianDensity(mean, cov, rtol=1e-4).integrate_simplices(tetrahedra)
    fine, fine_error = GaussianDensity(mean, cov, rtol=1e-10).integrate_simplices(tetrahedra)
    assert np.all(np.abs(coarse - fine) <= error + fine_error)
    assert error.sum() <= 2e-4 * coarse.sum()


@pytest.mark.parametrize("d", [1, 2, 3])
def test_points_have_the_value_of_the_density(d):
    rng = np.random.default_rng(d)
    points = rng.uniform(-1, 1, size=(5, 1, d))
    for density in (random_gaussian(rng, d), UniformDensity(Box(-np.ones(d), np.ones(d)))):
        assert_allclose(density.integrate_simplices(points)[0], density.pdf(points[:, 0]), rtol=1e-14)


def test_uniform_integrals_are_volume_ratios():
    box = Box([0.0, 0.0, 0.0], [2.0, 3.0, 4.0])
    triangle = np.array([[[0.0, 0.0, 0.0], [2.0, 0.0, 0.0], [0.0, 3.0, 0.0]]])
    values, errors = UniformDensity(box).integrate_simplices(triangle)
    assert abs(values[0] - 3.0 / 24.0) <= errors[0] <= 1e-14


def test_uniform_density_refuses_what_leaves_its_domain():
    density = UniformDensity(Box([0.0, 0.0], [1.0, 1.0]))
    with pytest.raises(InvalidInputError, match="leaves"):
        density.integrate_simplices([[[0.5, 0.5], [1.5, 0.5]]])
    with pytest.raises(InvalidDomainError, match="leaves"):
        density.mass(Box([0.0, 0.0], [2.0, 1.0]))
    with pytest.raises(InvalidDomainError, match="coordinates"):
        density.mass(Slice.around([0.0, 0.0], directions=[[1.0, 1.0], [1.0, -1.0]], half_width=1.0))
    assert density.mass(Box([0.0, 0.0], [0.5, 1.0]))[0] == 0.5


def test_gaussian_mass_of_a_box_equals_that_of_the_same_polytope():
    rng = np.random.default_rng(1)
    for d in (1, 2, 3):
        box = Box(-1 - rng.random(d), 1 + rng.random(d))
        density = GaussianDensity(rng.normal(size=d), 0.5 + rng.random(d))
        exact, exact_error = density.mass(box)
        value, error = density.mass(Polytope(*box.halfspaces))
        assert abs(value - exact) <= error + exact_error
        assert exact_error < 1e-13


def test_gaussian_mass_of_a_far_narrow_box_keeps_its_digits():
    value, _ = GaussianDensity([0.0], 1.0).mass(Box([20.0], [20.0 + 1e-9]))
    peak = math.exp(-200.0) / math.sqrt(2 * math.pi)
    assert_allclose(value, peak * (20.0 + 1e-9 - 20.0), rtol=1e-7)


def test_gaussian_mass_is_what_samples_say():
    rng = np.random.default_rng(4)
    domains = [
        Segment([0.0, 1.0, 0.0], [1.0, -1.0, 2.0]),
        Slice.through([0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]),
        Polytope([[1, 1, 1], [-1, 0, 0], [0, -1, 0], [0, 0, -1]], [1.5, 0.2, 0.3, 0.4]),
    ]
    for domain in domains:
        density = random_gaussian(rng, domain.dimension)
        value, error = density.mass(domain)
        inside = domain.contains(density.sample(20_000, rng)).mean()
        assert abs(inside - value) < 5 * math.sqrt(value * (1 - value) / 20_000) + error


@pytest.mark.parametrize("d", [1, 2, 4])
def test_samples_have_the_stated_mean_and_covariance(d):
    rng = np.random.default_rng(d)
    density = random_gaussian(rng, d)
    t = density.sample(40_000, rng)
    assert_allclose(t.mean(axis=0), density.mean, atol=0.05)
    assert_allclose(np.cov(t.T).reshape(d, d), density.cov, atol=0.08)


def test_uniform_samples_lie_inside_and_have_its_centre():
    box = Box([0.0, -1.0], [1.0, 3.0])
    t = UniformDensity(box).sample(20_000, np.random.default_rng(0))
    assert box.contains(t).all()
    assert_allclose(t.mean(axis=0), [0.5, 1.0], atol=0.05)


def test_pdf_integrates_to_the_mass():
    density = GaussianDensity([0.2, -0.1], [[1.0, 0.4], [0.4, 0.7]])
    box = Box([-1.0, -2.0], [2.0, 1.0])
    expected, _ = dblquad(lambda y, x: density.pdf([[x, y]])[0], -1, 2, -2, 1, epsabs=1e-11)
    value, error = density.mass(box)
    assert abs(value - expected) <= error + 1e-10


def test_densities_satisfy_the_protocol():
    assert isinstance(GaussianDensity([0.0], 1.0), Density)
    assert isinstance(UniformDensity(Box([0.0], [1.0])), Density)


@pytest.mark.parametrize(
    ("mean", "cov"),
    [
        ([0.0, 0.0], -1.0),
        ([0.0, 0.0], [1.0, 0.0]),
        ([0.0, 0.0], [[1.0, 2.0], [2.0, 1.0]]),
        ([0.0, 0.0], [[1.0, 0.5], [0.2, 1.0]]),
        ([0.0, 0.0], [1.0, 1.0, 1.0]),
        ([0.0, np.nan], 1.0),
        (["a"], 1.0),
    ],
)
def test_a_covariance_that_is_not_positive_definite_is_refused(mean, cov):
    with pytest.raises(InvalidInputError):
        GaussianDensity(mean, cov)


def test_points_and_simplices_of_the_wrong_shape_are_refused():
    density = GaussianDensity([0.0, 0.0], 1.0)
    with pytest.raises(InvalidInputError, match=r"\(n, 2\)"):
        density.pdf([[1.0, 2.0, 3.0]])
    with pytest.raises(InvalidInputError, match="k <= 2"):
        density.integrate_simplices(np.zeros((1, 4, 2)))
    with pytest.raises(InvalidInputError, match="NaN"):
        density.pdf([[np.nan, 0.0]])
    with pytest.raises(InvalidInputError, match="at least 0"):
        density.sample(-1, np.random.default_rng(0))
    with pytest.raises(InvalidDomainError, match="coordinates"):
        density.mass(Box([0.0], [1.0]))


def test_no_simplices_have_no_integrals():
    for d, k in [(2, 1), (3, 2)]:
        values, errors = GaussianDensity(np.zeros(d), 1.0).integrate_simplices(np.zeros((0, k + 1, d)))
        assert values.shape == errors.shape == (0,)


def test_spec_names_a_density():
    box = Box([0.0, 0.0], [1.0, 2.0])
    assert from_spec("uniform", box).pdf([[0.5, 0.5]])[0] == 0.5
    gaussian = from_spec("gaussian:mean=1,2;cov=1,0.5,0.5,2", box)
    assert_allclose(gaussian.mean, [1, 2])
    assert_allclose(gaussian.cov, [[1, 0.5], [0.5, 2]])
    assert_allclose(from_spec("gaussian:std=2", box).cov, 4 * np.eye(2))
    assert_allclose(from_spec("gaussian:mean=0,0;std=1,3", box).cov, np.diag([1.0, 9.0]))


@pytest.mark.parametrize(
    "spec",
    ["", "normal", "uniform:std=1", "gaussian", "gaussian:mean=0", "gaussian:std=1;cov=1", "gaussian:std=x",
     "gaussian:mean=1,2,3;std=1", "gaussian:std=0", "gaussian:sd=1", "gaussian:std=1;std=2"],
)  # fmt: skip
def test_spec_that_names_no_density_is_refused(spec):
    with pytest.raises(InvalidInputError, match="density"):
        from_spec(spec, Box([0.0, 0.0], [1.0, 2.0]))
