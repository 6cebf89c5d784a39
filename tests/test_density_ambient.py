"""Laws of densities brought onto a domain: conditional on its plane, restricted to it, and named by text."""

import math

import numpy as np
import pytest
from networks import random_covariance
from numpy.testing import assert_allclose

from regions.density import (
    Density,
    GaussianDensity,
    GaussianMixtureDensity,
    RestrictedDensity,
    UniformBallDensity,
    UniformDensity,
    conditional,
    from_spec,
    restricted,
)
from regions.domain import Box, FrameBox, Polytope, Segment, Slice
from regions.errors import BudgetExceededError, InvalidDomainError, InvalidInputError

SLICE = Slice.around([0.2, -0.1, 0.3], ([1.0, 1.0, 0.0], [0.0, 1.0, -1.0]), half_width=0.8)
SEGMENT = Segment([0.5, 0.0, -0.5], [-0.3, 0.4, 0.6])
FRAME = FrameBox(SLICE.origin, SLICE.basis, [-0.5, -0.7], [0.9, 0.3])


def ambient_densities(rng, n=3):
    covs = np.array([random_covariance(rng, n) for _ in range(4)])
    means = 0.5 * rng.normal(size=(4, n))
    rows = np.concatenate([np.eye(n), -np.eye(n), 0.3 * rng.normal(size=(3, n))])
    return [
        GaussianDensity(means[0], covs[0]),
        GaussianMixtureDensity([1.0, 2.0, 3.0, 4.0], means, covs),
        GaussianMixtureDensity([1.0, 2.0, 3.0, 4.0], means, covs[0]),
        UniformBallDensity(0.1 * means[0], 1.3),
        UniformDensity(Box(-0.9 * np.ones(n), 1.1 * np.ones(n))),
        UniformDensity(Polytope(rows, np.ones(len(rows)))),
    ]


@pytest.mark.sweep(3, 10)
@pytest.mark.parametrize("which", range(6))
@pytest.mark.parametrize("domain", [SLICE, SEGMENT, FRAME], ids=["slice", "segment", "frame box"])
def test_conditional_is_the_pdf_on_the_plane_over_its_integral(domain, which):
    density = ambient_densities(np.random.default_rng(1))[which]
    law = conditional(density, domain)
    assert isinstance(law, Density)
    bounded = isinstance(density, UniformDensity | UniformBallDensity)
    reach = 3.0 if bounded else 9.0
    side = np.linspace(-reach, reach, 801 if domain.dimension == 2 else 200_001)
    grid = np.stack(np.meshgrid(*[side] * domain.dimension), axis=-1).reshape(-1, domain.dimension)
    ambient = density.pdf(domain.to_input(grid))
    integral = ambient.sum() * (side[1] - side[0]) ** domain.dimension
    # the border of a uniform density costs the sum some digits
    rtol = 3e-3 if bounded else 1e-7
    assert_allclose(law.pdf(grid[ambient > 0]), ambient[ambient > 0] / integral, rtol=rtol, atol=1e-12)
    assert np.count_nonzero(law.pdf(grid[ambient == 0.0]) > 1e-300) <= 1e-5 * len(grid)


def test_conditional_laws_of_data_in_hundreds_of_dimensions_do_not_underflow():
    rng = np.random.default_rng(2)
    data = rng.random((40, 784))
    domain = Slice.through(data[0], data[1], data[2])
    density = GaussianMixtureDensity.from_data(data, 0.2)
    law = conditional(density, domain)
    assert np.isfinite(law.weights).all()
    assert abs(law.weights.sum() - 1.0) < 1e-12
    # only the three points in the plane count: others are some fifty standard deviations away
    t = domain.to_intrinsic(data[:3])
    assert_allclose(law.pdf(t), [1 / 3 / (2 * math.pi * 0.04)] * 3, rtol=1e-6)
    value, error = law.mass(domain)
    assert 0.5 < value < 1.0
    assert error < 1e-8
    assert restricted(density, domain).mass(domain) == (1.0, 0.0)


@pytest.mark.parametrize("which", range(6))
def test_turned_coordinates_of_the_whole_space_keep_the_pdf(which):
    rng = np.random.default_rng(2)
    turned = FrameBox(
        0.1 * rng.normal(size=3), np.linalg.qr(rng.normal(size=(3, 3)))[0], -np.ones(3), np.ones(3)
    )
    density = ambient_densities(rng)[which]
    points = turned.sample(500, rng)
    law = conditional(density, turned)
    assert_allclose(law.pdf(points), density.pdf(turned.to_input(points)), rtol=1e-9, atol=1e-12)


def test_boxes_and_polytopes_fill_their_plane():
    density = GaussianDensity([0.0, 0.0], 1.0)
    assert conditional(density, Box([0.0, 0.0], [1.0, 1.0])) is density
    assert conditional(density, Polytope([[1, 1], [-1, 0], [0, -1]], [1, 0, 0])) is density


def test_a_plane_that_misses_a_uniform_density_has_no_law():
    far = Slice.around([0.0, 0.0, 5.0], ([1.0, 0.0, 0.0], [0.0, 1.0, 0.0]), half_width=1.0)
    with pytest.raises(InvalidDomainError, match="distance 5"):
        conditional(UniformBallDensity(np.zeros(3), 2.0), far)
    with pytest.raises(InvalidDomainError, match="does not cut"):
        conditional(UniformDensity(Box(-np.ones(3), np.ones(3))), far)
    line = Segment([0.0, 9.0, 0.0], [1.0, 9.0, 1.0])
    with pytest.raises(InvalidDomainError, match="does not cut"):
        conditional(UniformDensity(Box(-np.ones(3), np.ones(3))), line)
    diagonal = Segment([3.0, 0.0], [0.0, 3.0])
    with pytest.raises(InvalidDomainError, match="does not cut"):
        conditional(UniformDensity(Box(-np.ones(2), np.ones(2))), diagonal)


def test_conditional_needs_a_density_of_the_input_space():
    with pytest.raises(InvalidInputError, match="3 input dimensions"):
        conditional(GaussianDensity([0.0, 0.0], 1.0), SLICE)
    with pytest.raises(InvalidInputError, match="RestrictedDensity"):
        conditional(restricted(GaussianDensity(np.zeros(3), 1.0), Box(-np.ones(3), np.ones(3))), SLICE)


@pytest.mark.sweep(4)
@pytest.mark.parametrize("which", range(6))
@pytest.mark.parametrize("domain", [SLICE, SEGMENT], ids=["slice", "segment"])
def test_restricted_is_the_pdf_on_the_domain_over_its_integral(domain, which):
    small = Slice.around(domain.origin, tuple(domain.basis.T), 0.4) if domain is SLICE else domain
    density = ambient_densities(np.random.default_rng(1))[which]
    law = restricted(density, small)
    assert law.mass(small) == (1.0, 0.0)
    rng = np.random.default_rng(3)
    points = small.sample(100_000, rng)
    ambient = density.pdf(small.to_input(points))
    mean, spread = ambient.mean(), ambient.std() / math.sqrt(len(ambient))
    value = law.pdf(points[:1])[0] / ambient[0] * mean
    assert abs(value * small.volume - 1.0) <= 5 * spread / mean + 1e-9
    assert_allclose(law.pdf(points) * ambient[0], ambient * law.pdf(points[:1])[0], rtol=1e-8)
    assert law.pdf([small.vertices.max(axis=0) + 1.0]) == 0.0
    t = law.sample(30_000, rng)
    assert small.contains(t).all()
    weighted = ambient @ points / ambient.sum()
    assert_allclose(t.mean(axis=0), weighted, atol=0.02)


@pytest.mark.parametrize("k", [0, 1, 2])
def test_restricted_integrals_are_shares_of_the_mass_and_carry_its_error(k):
    rng = np.random.default_rng(k)
    domain = Polytope([[1, 1], [-1, 0], [0, -1]], [1, 0, 0])
    base = GaussianMixtureDensity([1.0, 2.0], [[0.0, 0.0], [1.0, 1.0]], 0.2)
    law = restricted(base, domain)
    simplices = domain.sample(5 * (k + 1), rng).reshape(5, k + 1, 2)
    values, errors = law.integrate_simplices(simplices)
    inside, inside_error = base.mass(domain)
    plain, plain_errors = base.integrate_simplices(simplices)
    assert_allclose(values, plain / inside, rtol=1e-14)
    assert np.all(errors >= plain_errors / inside + values * inside_error / inside)
    assert np.all(errors <= 1e-7)


def test_a_restricted_density_stays_on_its_domain():
    box = Box([0.0, 0.0], [1.0, 1.0])
    law = restricted(GaussianDensity([0.0, 0.0], 1.0), box)
    with pytest.raises(InvalidInputError, match="simplex 0 leaves"):
        law.integrate_simplices([[[0.5, 0.5], [1.5, 0.5]]])
    with pytest.raises(InvalidDomainError, match="leaves"):
        law.mass(Box([0.0, 0.0], [2.0, 1.0]))
    with pytest.raises(InvalidDomainError, match="coordinates"):
        law.mass(Slice.around([0.5, 0.5], ([1.0, 1.0], [1.0, -1.0]), half_width=0.1))
    left, right = (law.mass(half) for half in box.split(0, 0.3))
    assert abs(left[0] + right[0] - 1.0) <= left[1] + right[1] + 1e-14


def test_no_mass_is_an_error_and_little_mass_is_not_sampled_for_ever():
    box = Box([0.0, 0.0], [1.0, 1.0])
    with pytest.raises(InvalidDomainError, match="nothing to normalise by"):
        restricted(GaussianDensity([90.0, 0.0], 1.0), box)
    with pytest.raises(InvalidDomainError, match="nothing to normalise by"):
        restricted(UniformBallDensity([9.0, 0.0], 1.0), box)
    rare = restricted(GaussianDensity([6.0, 6.0], 1.0), box)
    with pytest.raises(BudgetExceededError, match="max_tries"):
        rare.sample(10_000, np.random.default_rng(0))
    few = restricted(GaussianDensity([1.0, 1.0], 1.0), box, max_tries=20)
    with pytest.raises(BudgetExceededError, match="max_tries is 20"):
        few.sample(10, np.random.default_rng(0))


def test_intrinsic_densities_are_restricted_as_they_are():
    law = restricted(GaussianDensity([0.1, 0.0], 0.5), SLICE)
    assert_allclose(law.pdf([[0.0, 0.0]]) * law.base_mass, GaussianDensity([0.1, 0.0], 0.5).pdf([[0.0, 0.0]]))
    assert isinstance(restricted(UniformDensity(SLICE), SLICE), UniformDensity)
    with pytest.raises(InvalidInputError, match="give a density in one of the two"):
        restricted(GaussianDensity(np.zeros(4), 1.0), SLICE)


def test_a_uniform_density_that_ends_inside_the_domain_is_refused():
    wide = Slice.around([0.0, 0.0, 0.0], ([1.0, 0.0, 0.0], [0.0, 1.0, 0.0]), half_width=2.0)
    density = UniformDensity(Box(-np.ones(3), np.ones(3)))
    assert_allclose(conditional(density, wide).pdf([[0.9, -0.9], [1.1, 0.0]]), [0.25, 0.0])
    with pytest.raises(InvalidDomainError, match="leaves"):
        restricted(density, wide)


def test_spec_names_balls_and_kernel_densities(tmp_path):
    box = Box([0.0, 0.0], [1.0, 2.0])
    ball = from_spec("ball:center=1,2;radius=3", box)
    assert (ball.center.tolist(), ball.radius) == ([1.0, 2.0], 3.0)
    assert from_spec("ball:radius=1", box).center.tolist() == [0.0, 0.0]
    assert from_spec("ball:radius=1;on=restricted", box).mass(box) == (1.0, 0.0)
    assert isinstance(from_spec("gaussian:std=1;on=restricted", SLICE), RestrictedDensity)
    rng = np.random.default_rng(0)
    points, inputs = tmp_path / "points.npy", tmp_path / "inputs.npy"
    np.save(points, rng.normal(size=(20, 2)))
    np.save(inputs, rng.normal(size=(20, 3)))
    for rule in ("scott", "silverman", "0.3"):
        kernels = from_spec(f"kde:{points};bandwidth={rule}", SLICE)
        expected = GaussianMixtureDensity.from_data(np.load(points), float(rule) if rule == "0.3" else rule)
        assert_allclose(kernels.pdf([[0.1, 0.2]]), expected.pdf([[0.1, 0.2]]))
    ambient = GaussianMixtureDensity.from_data(np.load(inputs))
    for word, meaning in (("conditional", conditional), ("restricted", restricted)):
        named = from_spec(f"kde:{inputs};on={word}", SLICE)
        assert_allclose(named.pdf([[0.1, 0.2]]), meaning(ambient, SLICE).pdf([[0.1, 0.2]]))
    with pytest.raises(InvalidInputError, match="add on=conditional"):
        from_spec(f"kde:{inputs}", SLICE)
    with pytest.raises(InvalidInputError, match=r"\(N, 1\) intrinsic"):
        from_spec(f"kde:{points}", Box([0.0], [1.0]))
    with pytest.raises(InvalidInputError, match="input space"):
        from_spec(f"kde:{points};on=conditional", SLICE)
    (tmp_path / "text.npy").write_text("no array")
    for name in ("absent.npy", "text.npy"):
        with pytest.raises(InvalidInputError, match="cannot read"):
            from_spec(f"kde:{tmp_path / name}", SLICE)
    with pytest.raises(InvalidInputError, match="expected scott"):
        from_spec(f"kde:{points};bandwidth=wide", SLICE)


@pytest.mark.parametrize(
    "spec",
    ["ball", "ball:radius=0", "ball:radius=x", "ball:center=1,2,3;radius=1", "ball:radius=1,2", "kde", "kde:",
     "ball:radius=1;on=plane", "gaussian:std=1;on=conditional", "ball:radius=1;std=2",
     "uniform:on=restricted"],
)  # fmt: skip
def test_spec_that_names_no_density_is_refused(spec):
    with pytest.raises(InvalidInputError, match="density"):
        from_spec(spec, Box([0.0, 0.0], [1.0, 2.0]))
