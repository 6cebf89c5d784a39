"""Laws of Gaussian mixtures and kernel density estimates: sums of Gaussians, scipy's kernels, errors."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import gaussian_kde

from regions.density import Density, GaussianDensity, GaussianMixtureDensity, UniformDensity
from regions.domain import Box, Polytope, Slice
from regions.errors import InvalidDomainError, InvalidInputError


def random_covariances(rng, count, d):
    factor = rng.normal(size=(count, d, d))
    return 0.3 * (factor @ factor.transpose(0, 2, 1) / d + 0.3 * np.eye(d))


def random_mixture(rng, d, count=5, shared=False):
    covs = random_covariances(rng, count, d)
    means = rng.normal(size=(count, d))
    return GaussianMixtureDensity(0.2 + rng.random(count), means, covs[0] if shared else covs)


def components(mixture):
    covs = np.broadcast_to(mixture.covs, (mixture.n_components, mixture.dimension, mixture.dimension))
    return [GaussianDensity(mean, cov) for mean, cov in zip(mixture.means, covs, strict=True)]


def mixture_integrals(mixture, simplices):
    """Integrals over simplices, their errors, and the sums over the components, which must agree."""
    values, errors = mixture.integrate_simplices(simplices)
    parts = [part.integrate_simplices(simplices) for part in components(mixture)]
    expected = sum(w * value for w, (value, _) in zip(mixture.weights, parts, strict=True))
    slack = sum(w * error for w, (_, error) in zip(mixture.weights, parts, strict=True))
    assert np.all(np.abs(values - expected) <= errors + slack)
    return values, errors, expected


@pytest.mark.sweep(5)
@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize(("d", "k"), [(1, 0), (1, 1), (2, 1), (2, 2), (3, 2), (3, 3)])
def test_integrals_are_weighted_sums_of_those_of_the_components(d, k, shared):
    rng = np.random.default_rng(7 * d + k)
    mixture = random_mixture(rng, d, shared=shared)
    simplices = 2 * rng.normal(size=(10, k + 1, d))
    values, errors, _ = mixture_integrals(mixture, simplices)
    assert np.all(errors <= 1e-8 * values.max())


@pytest.mark.sweep(4)
@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize(
    ("d", "k"), [(1, 1), (2, 1), (2, 2), *(pytest.param(3, k, marks=pytest.mark.slow) for k in (2, 3))]
)
def test_one_cubature_of_all_components_equals_theirs(d, k, shared):
    rng = np.random.default_rng(17 * d + k)
    mixture = random_mixture(rng, d, count=30, shared=shared)
    simplices = rng.normal(size=(40, 1, d)) + rng.normal(size=(40, k + 1, d)) * np.geomspace(
        1e-6, 0.5, 40
    ).reshape(-1, 1, 1)
    values, errors, expected = mixture_integrals(mixture, simplices)
    assert np.all(errors <= (1e-8 if k > 1 else 1e-9) * values)
    assert_allclose(values, expected, rtol=1e-9 if k > 1 else 1e-12)


@pytest.mark.sweep(1)
@pytest.mark.parametrize("shared", [True, False])
def test_left_out_components_do_not_change_an_integral_beyond_its_error(shared):
    mpmath = pytest.importorskip("mpmath")
    rng = np.random.default_rng(3)
    means = np.concatenate([rng.normal(size=(40, 1)), 60 + rng.normal(size=(40, 1)), [[25.0]]])
    covs = [[0.25]] if shared else 0.25 * np.ones(81)[:, None, None]
    mixture = GaussianMixtureDensity(0.1 + rng.random(81), means, covs)
    segments = np.sort(rng.uniform(-5, 65, size=(60, 2, 1)), axis=1)
    values, errors = mixture.integrate_simplices(segments)
    with mpmath.workdps(50):
        for (low,), (high,), value, error in zip(segments[:, 0], segments[:, 1], values, errors, strict=True):
            terms = []
            for weight, mean in zip(mixture.weights, mixture.means[:, 0], strict=True):
                a, b = ((mpmath.mpf(x) - mean) / mpmath.sqrt(0.5) for x in (low, high))
                a, b = (a, b) if a + b > 0 else (-b, -a)
                terms.append(weight * (mpmath.erfc(a) - mpmath.erfc(b)) / 2)
            assert abs(value - float(mpmath.fsum(terms))) <= error <= 1e-9 * max(value, 1e-290)


@pytest.mark.parametrize("d", [1, 2, 5])
@pytest.mark.parametrize("rule", ["scott", "silverman"])
def test_named_bandwidths_are_those_of_scipy(d, rule):
    rng = np.random.default_rng(d)
    data, points = rng.normal(size=(50, d)) @ rng.normal(size=(d, d)), 2 * rng.normal(size=(30, d))
    ours, theirs = GaussianMixtureDensity.from_data(data, rule), gaussian_kde(data.T, rule)
    assert_allclose(ours.covs, theirs.covariance, rtol=1e-12)
    assert_allclose(ours.pdf(points), theirs.pdf(points.T), rtol=1e-9, atol=1e-300)
    assert rule in ours.describe()


def test_a_number_is_the_standard_deviation_of_every_kernel():
    data = np.array([[0.0, 0.0], [1.0, 0.0], [5.0, 0.0]])
    density = GaussianMixtureDensity.from_data(data, 0.3)
    assert_allclose(density.covs, 0.09 * np.eye(2))
    assert_allclose(density.pdf([[1.0, 0.0]])[0], 1 / (3 * 2 * math.pi * 0.09) * (1 + math.exp(-1 / 0.18)))


def test_degenerate_data_needs_a_number():
    rng = np.random.default_rng(0)
    flat = rng.normal(size=(40, 2)) @ np.array([[1.0, 2.0, 0.5], [0.3, -1.0, 0.7]])
    for data in (flat, [[1.0, 2.0]], [[1.0, 1.0], [1.0, 1.0]]):
        with pytest.raises(InvalidInputError, match="give the bandwidth as a number"):
            GaussianMixtureDensity.from_data(data)
        assert GaussianMixtureDensity.from_data(data, 0.5).dimension == np.shape(data)[1]


@pytest.mark.parametrize("shared", [True, False])
def test_pdf_integrates_to_the_mass(shared):
    rng = np.random.default_rng(1)
    mixture = random_mixture(rng, 2, shared=shared)
    edges = np.linspace(-6, 6, 401)
    middle = 0.5 * (edges[1:] + edges[:-1])
    grid = np.stack(np.meshgrid(middle, middle), axis=-1).reshape(-1, 2)
    inside = mixture.mass(Box([-6, -6], [6, 6]))[0]
    assert_allclose(mixture.pdf(grid).sum() * (12 / 400) ** 2, inside, rtol=1e-6)
    assert_allclose(mixture.mass(Box([-90, -90], [90, 90]))[0], 1.0, rtol=1e-8)


def test_mass_of_a_box_equals_that_of_the_same_polytope():
    rng = np.random.default_rng(2)
    for d, covs in [(1, 0.5), (2, 0.1 + rng.random(6)), (3, np.diag([0.1, 0.5, 1.0]))]:
        mixture = GaussianMixtureDensity(np.ones(6), rng.normal(size=(6, d)), covs)
        box = Box(-1 - rng.random(d), 1 + rng.random(d))
        exact, exact_error = mixture.mass(box)
        value, error = mixture.mass(Polytope(*box.halfspaces))
        assert abs(value - exact) <= error + exact_error
        assert exact_error < 1e-13


def test_mass_of_a_slice_is_what_samples_say():
    rng = np.random.default_rng(4)
    domain = Slice.through([0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0])
    mixture = random_mixture(rng, 2)
    value, error = mixture.mass(domain)
    inside = domain.contains(mixture.sample(20_000, rng)).mean()
    assert abs(inside - value) < 5 * math.sqrt(value * (1 - value) / 20_000) + error


@pytest.mark.parametrize("shared", [True, False])
def test_samples_have_the_mean_and_covariance_of_the_mixture(shared):
    rng = np.random.default_rng(5)
    mixture = random_mixture(rng, 3, shared=shared)
    t = mixture.sample(60_000, rng)
    mean = mixture.weights @ mixture.means
    spread = mixture.means - mean
    cov = np.einsum("k,kij->ij", mixture.weights, np.broadcast_to(mixture.covs, (5, 3, 3)))
    cov = cov + np.einsum("k,ki,kj->ij", mixture.weights, spread, spread)
    assert_allclose(t.mean(axis=0), mean, atol=0.03)
    assert_allclose(np.cov(t.T), cov, atol=0.06)


def test_far_values_underflow_only_where_doubles_do():
    mixture = GaussianMixtureDensity([1.0, 1.0], [[0.0], [1.0]], 1.0)
    expected = 0.5 / math.sqrt(2 * math.pi) * math.exp(-0.5 * 37**2)
    assert_allclose(mixture.pdf([[38.0]])[0], expected, rtol=1e-9)
    with pytest.raises(InvalidInputError, match="overflows"):
        GaussianMixtureDensity([1.0], np.zeros((1, 784)), 1e-4).pdf(np.zeros((1, 784)))


def test_mixtures_satisfy_the_protocol_and_equal_weights_do_not_depend_on_scale():
    mixture = GaussianMixtureDensity([2.0, 2.0], [[0.0], [1.0]], [1.0, 4.0])
    assert isinstance(mixture, Density)
    assert_allclose(mixture.weights, [0.5, 0.5])
    assert mixture.describe() == "mixture of 2 gaussians"


@pytest.mark.parametrize(
    ("weights", "means", "covs"),
    [
        ([1.0], [[0.0, 0.0], [1.0, 1.0]], 1.0),
        ([1.0, 0.0], [[0.0], [1.0]], 1.0),
        ([1.0, -1.0], [[0.0], [1.0]], 1.0),
        ([1.0, 1.0], [[0.0], [np.nan]], 1.0),
        ([1.0, 1.0], [[0.0], [1.0]], [1.0, -1.0]),
        ([1.0, 1.0], [[0.0], [1.0]], [1.0, 1.0, 1.0]),
        ([1.0, np.inf], [[0.0], [1.0]], 1.0),
        ([1.0, 1.0], [0.0, 1.0], 1.0),
        ([], np.zeros((0, 2)), 1.0),
        ([1.0], [["a"]], 1.0),
    ],
)
def test_components_that_make_no_mixture_are_refused(weights, means, covs):
    with pytest.raises(InvalidInputError):
        GaussianMixtureDensity(weights, means, covs)


@pytest.mark.parametrize("bandwidth", ["scot", 0.0, -1.0, math.nan, math.inf])
def test_a_bandwidth_that_is_no_rule_and_not_positive_is_refused(bandwidth):
    with pytest.raises(InvalidInputError, match="bandwidth"):
        GaussianMixtureDensity.from_data(np.eye(3), bandwidth)


def test_arguments_of_another_dimension_are_refused():
    mixture = GaussianMixtureDensity([1.0], [[0.0, 0.0]], 1.0)
    with pytest.raises(InvalidDomainError, match="coordinates"):
        mixture.mass(Box([0.0], [1.0]))
    with pytest.raises(InvalidInputError, match=r"\(n, 2\)"):
        mixture.pdf([[0.0]])
    with pytest.raises(InvalidInputError, match="at least 0"):
        mixture.sample(-1, np.random.default_rng(0))


def test_uniform_density_works_on_polytopes_and_slices():
    rng = np.random.default_rng(8)
    triangle = Polytope([[1, 1], [-1, 0], [0, -1]], [1, 0, 0])
    cut = Slice.through([0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], margin=0.5, clip=(-0.1, 1.0))
    for domain in (triangle, cut):
        density = UniformDensity(domain)
        t = density.sample(40_000, rng)
        assert domain.contains(t, 1e-12).all()
        fan = domain.vertices[[[0, i, i + 1] for i in range(1, len(domain.vertices) - 1)]]
        values, errors = density.integrate_simplices(fan)
        assert abs(values.sum() - 1.0) <= errors.sum() + 1e-15 * len(fan)
        centre = values @ fan.mean(axis=1)
        assert_allclose(t.mean(axis=0), centre, atol=5 * t.std() / 200)
        # the share of samples in each part of the fan is its probability
        share = [Polytope(*halfspaces(part)).contains(t).mean() for part in fan]
        assert_allclose(share, values, atol=5 * 0.5 / 200)
        assert_allclose(density.pdf([centre]), 1.0 / domain.volume)
        assert density.mass(domain) == (1.0, 0.0)


def halfspaces(triangle):
    """Rows A t <= b of a counterclockwise triangle."""
    edges = np.roll(triangle, -1, axis=0) - triangle
    normals = np.stack([edges[:, 1], -edges[:, 0]], axis=1)
    return normals, (normals * triangle).sum(axis=1)
