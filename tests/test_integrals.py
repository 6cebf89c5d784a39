"""Laws of integrals over cells: closed forms, fractions beside floats, samples, sums over parts."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from networks import cube, network_of, random_network
from scipy.special import gammainc
from strategies import random_case

from regions import (
    Box,
    GaussianDensity,
    GaussianMixtureDensity,
    Network,
    Slice,
    UniformBallDensity,
    UniformDensity,
    WholeSpace,
    enumerate_cells,
    expected_loss,
    integrate,
    restricted,
)
from regions.analysis.cell_integrals import LARGEST_DEGREE, _average_monomial, rule_of_degree
from regions.complexes import CellComplex
from regions.errors import BudgetExceededError, InvalidInputError


def bend(d: int) -> CellComplex:
    """The positive part of x_1 + ... + x_d, on a cube."""
    return enumerate_cells(Network.from_arrays([np.ones((1, d)), [[1.0]]], [[0.0], [0.0]]), cube(d))


def some_cells(d: int, seed: int = 0, outputs: int = 2) -> CellComplex:
    return enumerate_cells(network_of(random_case(d, (4, 3), seed, outputs)), cube(d))


# --- closed forms ---


def test_moments_of_a_bend_are_those_of_a_triangular_law() -> None:
    found = integrate(bend(2), [[1], [2], [3], [0]], exact=True)
    assert found.exact == (Fraction(1, 3), Fraction(1, 3), Fraction(2, 5), Fraction(1))
    assert integrate(bend(2), [[1], [2], [3], [0]]).values == pytest.approx(found.values, rel=1e-13)


@pytest.mark.parametrize("degree", [0, 1, 7, LARGEST_DEGREE])
def test_powers_of_a_line_have_their_integral(degree: int) -> None:
    line = enumerate_cells(Network.from_arrays([[[2.0]]], [[1.0]]), Box([0.0], [1.0]))
    wanted = (3.0 ** (degree + 1) - 1) / (2 * (degree + 1))
    found = integrate(line, [degree])
    assert found.values[0] == pytest.approx(wanted, rel=1e-13)
    assert abs(found.values[0] - wanted) <= found.errors[0] + 1e-16


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_rules_are_exact_for_their_degree_and_not_beyond(k: int) -> None:
    rng = np.random.default_rng(k)
    for degree in (1, 4, 5):
        nodes, weights = rule_of_degree(k, degree)
        assert (weights > 0).all() and weights.sum() == pytest.approx(1.0) and (nodes >= 0).all()
        assert np.allclose(nodes.sum(axis=1), 1.0)
        heights = rng.integers(-3, 4, size=k + 1)
        corners = [[Fraction(int(x))] for x in heights]
        exact = float(_average_monomial(corners, [degree]))
        assert weights @ (nodes @ heights) ** degree == pytest.approx(exact, abs=1e-11 * 3.0**degree)


def bell_moment(k: int) -> float:
    """E max(0, Z)^k of a standard normal Z."""
    return 2.0 ** (k / 2 - 1) * math.gamma((k + 1) / 2) / math.sqrt(math.pi)


def test_normal_moments_on_the_whole_line() -> None:
    cells = enumerate_cells(Network.from_arrays([[[1.0]], [[1.0]]], [[0.0], [0.0]]), WholeSpace(1))
    found = integrate(cells, [[k] for k in range(8)], GaussianDensity([0.0], 1.0))
    wanted = np.array([1.0, *(bell_moment(k) for k in range(1, 8))])
    assert found.method.startswith("Gauss") and (found.errors <= 1e-13 * wanted).all()
    assert (np.abs(found.values - wanted) <= found.errors).all()


def test_normal_moments_of_a_sum_are_those_of_its_law(rng: np.random.Generator) -> None:
    d = 2
    root = rng.normal(size=(d, d)) + 2.0 * np.eye(d)
    cov = 0.3 * root @ root.T / d
    network = Network.from_arrays([np.ones((1, d)), [[1.0]]], [[0.0], [0.0]])
    reach = 9.0 * math.sqrt(float(np.diag(cov).max()))
    cells = enumerate_cells(network, Box([-reach] * d, [reach] * d))
    found = integrate(cells, [[1], [2], [5]], GaussianDensity([0.0] * d, cov))
    spread = math.sqrt(float(cov.sum()))
    wanted = np.array([bell_moment(k) * spread**k for k in (1, 2, 5)])
    assert (np.abs(found.values - wanted) <= found.errors + 1e-14 * wanted).all()  # beyond 9 is less
    assert (found.errors <= 1e-11 * wanted).all()


@pytest.mark.parametrize("d", [1, 3])
def test_normal_moments_of_one_input_in_a_box_are_incomplete_gamma_functions(d: int) -> None:
    reach, stds = 0.7, np.array([0.4, 0.6, 0.8])[:d]
    network = Network.from_arrays([np.eye(1, d), [[1.0]]], [[0.0], [0.0]])
    cells = enumerate_cells(network, Box([-reach] * d, [reach] * d))
    found = integrate(cells, [[1], [2], [5]], GaussianDensity([0.0] * d, stds**2))
    others = math.prod(math.erf(reach / (std * math.sqrt(2.0))) for std in stds[1:])
    share = [gammainc((k + 1) / 2, reach**2 / (2.0 * stds[0] ** 2)) for k in (1, 2, 5)]
    wanted = [bell_moment(k) * stds[0] ** k * part * others for k, part in zip((1, 2, 5), share, strict=True)]
    assert (np.abs(found.values - wanted) <= found.errors + 1e-14 * np.array(wanted)).all()
    assert (found.errors <= 1e-11 * np.array(wanted)).all()


@pytest.mark.parametrize("std", [1e-3, 0.3, 30.0])
def test_normal_moments_and_the_cubature_agree_in_their_errors(std: float) -> None:
    cells = some_cells(2)
    density = GaussianDensity([0.1, -0.2], [std**2, std**2 / 2])
    found = integrate(cells, [[0, 0], [1, 0], [1, 2]], density)
    direct = integrate(
        cells,
        lambda y, t: np.stack([np.ones(len(y)), y[:, 0], y[:, 0] * y[:, 1] ** 2], axis=1),
        density,
        rtol=1e-6,
    )
    assert (np.abs(found.values - direct.values) <= found.errors + direct.errors).all()
    mass, error = density.mass(cells.domain)
    assert abs(found.values[0] - mass) <= found.errors[0] + error


@pytest.mark.parametrize("std", [1e-4, 0.3])
def test_an_integral_under_a_mixture_is_the_sum_over_its_components(std: float) -> None:
    cells, exponents = some_cells(2), [[0, 0], [1, 0], [1, 2]]
    means, weights = [[0.37, -0.21], [-0.8, 0.55], [0.1, 0.1]], np.array([0.2, 0.5, 0.3])
    covs = std**2 * np.array([np.eye(2), np.diag([1.0, 0.25]), [[1.0, 0.5], [0.5, 1.0]]])
    mixture = GaussianMixtureDensity(weights, means, covs)
    parts = [
        integrate(cells, exponents, GaussianDensity(mean, cov)) for mean, cov in zip(means, covs, strict=True)
    ]
    whole = integrate(cells, exponents, mixture)
    wanted = sum(weight * part.values for weight, part in zip(weights, parts, strict=True))
    bound = sum(weight * part.errors for weight, part in zip(weights, parts, strict=True))
    assert "proven" in whole.method and (np.abs(whole.values - wanted) <= whole.errors + bound).all()
    direct = integrate(cells, lambda y, t: np.stack([np.ones(len(y)), y[:, 0]], axis=1), mixture, rtol=1e-6)
    assert (np.abs(direct.values - whole.values[:2]) <= direct.errors + whole.errors[:2]).all()
    inside = restricted(mixture, cells.domain)
    normalised = integrate(cells, exponents, inside)
    assert normalised.values * inside.base_mass == pytest.approx(whole.values, rel=1e-7, abs=1e-12)


def test_a_narrow_mixture_gives_the_values_at_its_means(rng: np.random.Generator) -> None:
    cells = some_cells(2)
    means = rng.uniform(-0.9, 0.9, size=(5, 2))
    narrow = GaussianMixtureDensity(np.ones(5), means, 1e-16)
    found = integrate(cells, lambda y, t: np.exp(y[:, 0]), narrow, rtol=1e-6)
    assert found.values[0] == pytest.approx(np.exp(cells.network.forward(means)[:, 0]).mean(), rel=1e-5)


def test_a_density_that_no_rule_sees_is_not_taken_for_none() -> None:
    with pytest.raises(BudgetExceededError, match="narrow beside the cells"):
        integrate(bend(2), [[1]], UniformBallDensity([0.317, -0.211], 1e-5), rtol=1e-3)


def test_a_domain_that_is_long_beside_the_density_needs_more_simplices() -> None:
    cells, density = bend(2), GaussianDensity([0.0, 0.0], 1e-4)
    assert integrate(cells, [[1]], density).values[0] == pytest.approx(0.01 * bell_moment(1) * math.sqrt(2))
    with pytest.raises(BudgetExceededError, match="max_pieces"):
        integrate(cells, [[1]], density, max_pieces=2)


def test_a_smooth_function_of_an_affine_output() -> None:
    network = Network.from_arrays([[[1.0, 2.0]]], [[0.5]])
    found = integrate(enumerate_cells(network, cube(2)), lambda y, t: np.exp(y[:, 0]))
    wanted = math.exp(0.5) * math.sinh(1) * math.sinh(2) / 2
    assert found.values[0] == pytest.approx(wanted, rel=1e-9)
    assert abs(found.values[0] - wanted) <= found.errors[0]


def test_a_function_may_look_at_the_points() -> None:
    found = integrate(bend(2), lambda y, t: np.stack([y[:, 0] * t[:, 0], t[:, 1] ** 2], axis=1))
    # by symmetry half of (x + y) relu(x + y), and the second moment of a coordinate
    assert found.values == pytest.approx([1 / 6, 1 / 3], rel=1e-12)


# --- laws ---


@pytest.mark.parametrize("d", [1, 2, pytest.param(3, marks=pytest.mark.slow)])
def test_fractions_and_floats_agree(d: int) -> None:
    cells, exponents = some_cells(d), [[1, 0], [0, 2], [1, 1], [2, 1]]
    exact, floats = integrate(cells, exponents, exact=True), integrate(cells, exponents)
    cubature = integrate(
        cells,
        lambda y, t: np.stack([y[:, 0], y[:, 1] ** 2, y[:, 0] * y[:, 1], y[:, 0] ** 2 * y[:, 1]], axis=1),
    )
    for found in (floats, cubature):
        assert found.values == pytest.approx([float(x) for x in exact.exact], rel=1e-10, abs=1e-14)
        assert (np.abs(found.values - exact.values) <= found.errors + np.spacing(exact.values)).all()


def test_the_mean_of_the_square_is_that_of_the_parts() -> None:
    network = network_of(random_case(2, (5, 4), 2, 2))
    density = GaussianDensity([0.2, -0.1], [0.5, 1.0])
    whole = integrate(enumerate_cells(network, cube(2)), [[2, 0]], density).values[0]
    halves = [
        integrate(enumerate_cells(network, Box([-1, low], [1, high])), [[2, 0]], density).values[0]
        for low, high in ((-1.0, 0.3), (0.3, 1.0))
    ]
    assert whole == pytest.approx(sum(halves), rel=1e-8)


def test_a_uniform_density_on_more_than_the_domain_weighs_less() -> None:
    wide = UniformDensity(Box([-2.0, -2.0], [2.0, 2.0]))
    own, other = integrate(bend(2), [[1]], exact=True), integrate(bend(2), [[1]], wide, exact=True)
    assert other.exact[0] * 4 == own.exact[0]
    assert integrate(bend(2), [[1]], wide).values[0] * 4 == pytest.approx(1 / 3, rel=1e-13)


def test_the_expected_loss_on_a_slice_is_that_of_samples() -> None:
    network = random_network(3, (6, 10, 10, 3))
    plane = Slice.around(np.zeros(6), directions=np.eye(6)[:2] + 0.2, half_width=1.0)

    def loss(outputs: np.ndarray, points: np.ndarray) -> np.ndarray:
        top = outputs.max(axis=1)
        return top + np.log(np.exp(outputs - top[:, None]).sum(axis=1)) - outputs[:, 1]

    found = integrate(enumerate_cells(network, plane), loss, rtol=1e-6)
    samples = plane.sample(20_000, np.random.default_rng(1))
    drawn = loss(network.forward(plane.to_input(samples)), samples)
    z = (drawn.mean() - found.values[0]) / (drawn.std() / math.sqrt(len(drawn)))
    assert abs(z) < 4 and found.errors[0] < 1e-5 * found.values[0]
    assert found.to_dict()["exact"] == []


def test_the_expected_loss_of_one_call_is_that_of_samples_and_of_integrate(rng: np.random.Generator) -> None:
    network = random_network(3, (6, 8, 8, 3))
    plane = Slice.around(np.zeros(6), directions=np.eye(6)[:2] + 0.2, half_width=1.0)
    y = network.forward(plane.to_input(plane.sample(20_000, rng)))
    entropy = np.log(np.exp(y - y.max(axis=1)[:, None]).sum(axis=1)) + y.max(axis=1) - y[:, 1]
    drawn = {"cross_entropy": entropy, "zero_one": (y.argmax(axis=1) != 1).astype(float)}
    for loss, values in drawn.items():
        found = expected_loss(network, plane, 1, loss)
        z = (values.mean() - found.value) / (values.std() / math.sqrt(len(values)) + 1e-9)
        assert abs(z) < 4 and found.mass == pytest.approx(1.0) and found.error < 1e-4
    near = expected_loss(network, plane, 1, "zero_one", GaussianDensity([0.0, 0.0], 1e-8))
    winner = network.forward(plane.to_input(np.zeros((1, 2)))).argmax()
    assert near.value == pytest.approx(float(winner != 1), abs=1e-6) and near.mass == pytest.approx(1.0)


# --- what is refused ---


@pytest.mark.parametrize(
    ("label", "loss", "says"), [(2, "zero_one", "label"), (True, "zero_one", "label"), (0, "hinge", "loss")]
)
def test_losses_that_cannot_be_are_refused(label: int, loss: str, says: str) -> None:
    with pytest.raises(InvalidInputError, match=says):
        expected_loss(network_of(random_case(2, (3,), 2, 2)), cube(2), label, loss)  # type: ignore[arg-type]


def test_bad_input_is_refused() -> None:
    cells = some_cells(2)
    for function in ([[1.5, 0]], [[1]], [[-1, 2]], "mean", [[0, LARGEST_DEGREE + 1]], [], None):
        with pytest.raises(InvalidInputError):
            integrate(cells, function)  # type: ignore[arg-type]
    for values in (lambda y, t: y[0], lambda y, t: np.log(y[:, 0] * 0.0), lambda y: y, lambda y, t: "high"):
        with pytest.raises(InvalidInputError, match="function"), np.errstate(divide="ignore"):
            integrate(cells, values)  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="uniform"):
        integrate(cells, [[1, 0]], GaussianDensity([0.0, 0.0], 1.0), exact=True)
    with pytest.raises(InvalidInputError, match="exponents"):
        integrate(cells, lambda y, t: y[:, 0], exact=True)
    for options in ({"rtol": 0.0}, {"rtol": 2.0}, {"max_pieces": -1}, {"max_pieces": 1.5}):
        with pytest.raises(InvalidInputError, match="give a"):
            integrate(cells, [[1, 0]], **options)  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="TRUNCATED"):
        integrate(enumerate_cells(cells.network, cells.domain, max_cells=2), [[1, 0]])
    with pytest.raises(InvalidInputError, match="coordinates"):
        integrate(cells, [[1, 0]], GaussianDensity([0.0], 1.0))
    with pytest.raises(BudgetExceededError, match="max_pieces"):
        integrate(cells, lambda y, t: (t[:, 0] > 0.123).astype(float), max_pieces=50)
