"""Frozen distributions of scipy in the place of densities: the same numbers, wherever a density is taken."""

from __future__ import annotations

import inspect
import math

import numpy as np
import pytest
import scipy.stats
from networks import random_network
from scipy.stats import gaussian_kde, multivariate_normal, norm, truncnorm, uniform

import regions
from regions import Box, InvalidInputError
from regions.density.frozen_distributions import as_density

DATA = np.random.default_rng(7).normal(size=(2, 40))

# of independent coordinates scipy gives the density of each
PRODUCTS = {
    "norm": norm([0.5, -1.0], [1.0, 2.0]),
    "norm of one scale": norm(loc=[0.5, -1.0], scale=0.7),
    "uniform": uniform([-1.0, 0.0], [2.0, 0.5]),
    "truncnorm": truncnorm([-1.0, -2.0], 1.5, loc=[0.0, 1.0], scale=[1.0, 0.5]),
    "one coordinate": norm(2.0, 3.0),
}
JOINT = {
    "multivariate_normal": multivariate_normal([0.5, -1.0], [[2.0, 0.6], [0.6, 1.0]]),
    "of a number": multivariate_normal([0.5, -1.0], 4.0),
    "of a Covariance": multivariate_normal([0.0, 0.0], scipy.stats.Covariance.from_diagonal([1.0, 3.0])),
    "gaussian_kde": gaussian_kde(DATA, "silverman", weights=np.arange(40.0)),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_a_product_has_the_values_of_its_factors(name):
    frozen = PRODUCTS[name]
    density = as_density(frozen)
    points = np.random.default_rng(1).uniform(-2.0, 2.0, (400, density.dimension))
    assert np.allclose(density.pdf(points), np.prod(frozen.pdf(points), axis=1), rtol=1e-12)
    assert (density.pdf(points) > 0.0).sum() > 5


@pytest.mark.parametrize("name", JOINT)
def test_a_joint_law_has_its_values(name):
    frozen = JOINT[name]
    points = np.random.default_rng(1).normal(size=(50, 2))
    joint = frozen.pdf(points.T) if name == "gaussian_kde" else frozen.pdf(points)
    assert np.allclose(as_density(frozen).pdf(points), joint, rtol=1e-12)


@pytest.mark.parametrize("name", PRODUCTS)
def test_masses_of_boxes_are_differences_of_distribution_functions(name):
    frozen = PRODUCTS[name]
    density = as_density(frozen)
    low = np.array([-0.5, 0.1])[: density.dimension]
    high = np.array([0.75, 0.4])[: density.dimension]
    value, error = density.mass(Box(low, high))
    assert abs(value - np.prod(frozen.cdf(high) - frozen.cdf(low))) <= error + 1e-14


@pytest.mark.skipif(not hasattr(scipy.stats, "Mixture"), reason="scipy before 1.15 has no Mixture")
def test_new_distributions_have_their_values():
    from scipy.stats import Mixture, Normal, Uniform

    parts = [Normal(mu=-1.0, sigma=0.5), Normal(mu=2.0, sigma=1.0), Normal()]
    points = np.linspace(-3.0, 4.0, 30)
    for law in (Mixture(parts, weights=[0.25, 0.75, 0.0]), parts[0], parts[2], Uniform(a=-1.0, b=3.0)):
        assert np.allclose(as_density(law).pdf(points[:, None]), law.pdf(points), rtol=1e-12)
    plane = as_density(Normal(mu=[0.0, 1.0], sigma=2.0))
    assert plane.mean.tolist() == [0.0, 1.0] and np.array_equal(plane.cov, 4.0 * np.eye(2))
    with pytest.raises(InvalidInputError, match="not all of its components are Normals"):
        as_density(Mixture([Normal(), Uniform(a=0.0, b=1.0)]))


def test_sums_over_cells_are_those_of_the_density():
    cells = regions.enumerate_cells(random_network(1, (2, 8, 1)), Box([-1.0, -1.0], [1.0, 1.0]))
    frozen, density = norm([0.0, 0.5], 1.0), regions.GaussianDensity([0.0, 0.5], 1.0)
    assert regions.locus_volume(cells, frozen).to_dict() == regions.locus_volume(cells, density).to_dict()
    sums = [regions.sum_over_cells(cells, eps=0.1, density=law).to_dict() for law in (frozen, density)]
    assert sums[0] == sums[1]
    box = uniform([-1.0, -1.0], 2.0)
    masses, _ = regions.cell_masses(cells, box)
    assert math.isclose(masses.sum(), 1.0, rel_tol=1e-12)
    assert np.allclose(masses, cells.volumes / 4.0, rtol=1e-12)


def functions_with_densities():
    """Every public function, and method `estimate`, with an argument `density` that is not a result's."""
    for name in regions.__all__:
        value = getattr(regions, name)
        if inspect.isfunction(value) and "density" in inspect.signature(value).parameters:
            yield pytest.param(value, id=name)
        elif (
            inspect.isclass(value)
            and hasattr(value, "estimate")
            and not getattr(value, "_is_protocol", False)
        ):
            yield pytest.param(value.estimate, id=f"{name}.estimate")


@pytest.mark.parametrize("function", [*functions_with_densities()])
def test_whatever_takes_a_density_takes_distributions(function):
    names = list(inspect.signature(function).parameters)
    others = dict.fromkeys(names[: names.index("density")])
    with pytest.raises(InvalidInputError, match="density is expon of scipy, whose integrals"):
        function(**others, density=scipy.stats.expon())
    with pytest.raises(InvalidInputError, match="density is norm of scipy without its numbers"):
        function(*others.values(), norm)


@pytest.mark.parametrize(
    ("law", "words"),
    [
        (multivariate_normal([0.0, 0.0], [[1.0, 1.0], [1.0, 1.0]], allow_singular=True), "positive definite"),
        (norm(0.0, -1.0), "lowest scale is -1"),
        (norm([[0.0]]), "one for each coordinate"),
        (norm(math.nan, 1.0), "NaN"),
        (truncnorm(-math.inf, 2.0), "finite"),
        (scipy.stats.multivariate_t([0.0, 0.0]), "multivariate_t"),
        (scipy.stats.poisson(3.0), "poisson"),
    ],
)
def test_what_makes_no_density_is_refused_with_what_to_give(law, words):
    with pytest.raises(InvalidInputError, match=words) as refused:
        as_density(law)
    assert "GaussianDensity(mean, cov)" in str(refused.value) and "\n" not in str(refused.value)


def test_restrictions_take_distributions():
    half = regions.RestrictedDensity(norm(), Box([0.0], [9.0]))
    assert math.isclose(half.base_mass, norm.cdf(9.0) - 0.5, rel_tol=1e-12)
    plane = regions.conditional(multivariate_normal([0.0, 0.0], 1.0), regions.Segment([3.0, 0.0], [3.0, 1.0]))
    assert plane.describe() == "gaussian, mean (0), std 1"


def test_what_is_no_distribution_is_left_alone():
    for value in (None, 2.0, math.exp, regions.GaussianDensity([0.0], 1.0)):
        assert as_density(value) is value
