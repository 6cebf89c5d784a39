"""Laws of integrals over cells: closed forms, fractions beside floats, samples, sums over parts."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from networks import cube, network_of, random_network
from strategies import random_case

from regions import (
    Box,
    GaussianDensity,
    Network,
    Slice,
    UniformDensity,
    WholeSpace,
    enumerate_cells,
    integrate,
)
from regions.analysis.cell_integrals import LARGEST_DEGREE, _average_monomial, _rule_of_degree
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
        nodes, weights = _rule_of_degree(k, degree)
        assert (weights > 0).all() and weights.sum() == pytest.approx(1.0) and (nodes >= 0).all()
        assert np.allclose(nodes.sum(axis=1), 1.0)
        heights = rng.integers(-3, 4, size=k + 1)
        corners = [[Fraction(int(x))] for x in heights]
        exact = float(_average_monomial(corners, [degree]))
        assert weights @ (nodes @ heights) ** degree == pytest.approx(exact, abs=1e-11 * 3.0**degree)


def test_normal_moments_on_the_whole_line() -> None:
    cells = enumerate_cells(Network.from_arrays([[[1.0]], [[1.0]]], [[0.0], [0.0]]), WholeSpace(1))
    found = integrate(cells, [[0], [1], [2], [3]], GaussianDensity([0.0], 1.0))
    wanted = [1.0, 1 / math.sqrt(2 * math.pi), 0.5, 2 / math.sqrt(2 * math.pi)]
    assert found.values == pytest.approx(wanted, rel=1e-9) and found.method.startswith("cubature")
    assert (np.abs(found.values - wanted) <= 3 * found.errors + 1e-12).all()


def test_normal_moments_in_the_plane() -> None:
    network = Network.from_arrays([[[1.0, 1.0]], [[1.0]]], [[0.0], [0.0]])
    cells = enumerate_cells(network, Box([-9.0] * 2, [9.0] * 2))
    found = integrate(cells, [[1], [2]], GaussianDensity([0.0, 0.0], 1.0), rtol=1e-8)
    assert found.values == pytest.approx([1 / math.sqrt(math.pi), 1.0], rel=1e-7)


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


# --- what is refused ---


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
