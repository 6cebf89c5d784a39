"""Laws of sums over cells: closed forms, agreement with sampling, invariance, and the cut simplices."""

import json
import math

import numpy as np
import pytest
from judging import random_complex
from networks import cube, network_on_box, pulled_back, random_plane
from numpy.testing import assert_allclose
from scipy.stats import norm as normal
from strategies import random_case, sawtooth

from regions.analysis.cell_sums import cell_masses, gradient_tail, sum_over_cells
from regions.analysis.cell_sums.jacobians import forward_maps, rest_maps, unpack_states
from regions.analysis.cell_sums.simplex_pieces import cell_pieces, positive_parts
from regions.density import GaussianDensity, UniformDensity
from regions.density.integrals.simplex_integrals import simplex_volumes
from regions.domain import Box, Polytope
from regions.enumeration.enumerate import enumerate_cells
from regions.errors import InvalidDomainError, InvalidInputError
from regions.network.relu_network import Network


def single_unit(w=2.0, b=0.5, v=3.0):
    """v relu(w x + b) on [-1, 1]; with the defaults active on 5/8 of it."""
    return Network.from_arrays([[[w]], [[v]]], [[b], [0.0]])


SAMPLED = [
    (1, (5, 4), 1),
    (2, (6, 4), 2),
    (2, (4, 1, 3), 3),
    (3, (4, 3), 4),
]


@pytest.mark.parametrize("norm", ["frobenius", "spectral"])
def test_a_single_unit_by_hand(norm):
    sums = sum_over_cells(enumerate_cells(single_unit(), cube(1)), eps=0.1, norm=norm)
    assert_allclose(sums.total_variation, 6.0 * 5 / 8, rtol=1e-14)
    assert_allclose([sums.local_rank, sums.unit_gradients, sums.c_grad, sums.lipschitz], [[1], [2], [2], [3]])
    assert sums.not_good_anywhere == sums.not_good[0] == 0.0
    assert sums.mass == 1.0
    assert sum_over_cells(enumerate_cells(single_unit(), cube(1)), eps=2.0).local_rank[0] == 0.0


def test_one_hidden_layer_by_hand():
    # relu(x) + 2 relu(y) - relu(x + 10): quadrants of the square; the third unit is always active
    network = Network.from_arrays(
        [[[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]], [[1.0, 2.0, -1.0]]], [[0.0, 0.0, 10.0], [0.0]]
    )
    sums = sum_over_cells(enumerate_cells(network, cube(2)), eps=1.2)
    # gradients (0, 2), (0, 0), (-1, 2), (-1, 0) on the four quadrants
    assert_allclose(sums.total_variation, (2 + 0 + math.sqrt(5) + 1) / 4, rtol=1e-14)
    # singular values of the layer: sqrt 2 and 1
    assert_allclose(
        [sums.local_rank[0], sums.c_grad[0], sums.lipschitz[0]], [1.0, math.sqrt(2), math.sqrt(6)]
    )
    assert_allclose(sums.unit_gradients, 1.0)


@pytest.mark.parametrize("layers", [1, 3, 5])
def test_the_total_variation_of_a_sawtooth_is_its_slope(layers):
    network = Network.from_arrays(*sawtooth(layers))
    sums = sum_over_cells(enumerate_cells(network, Box([0.0], [1.0])), eps=0.01)
    assert_allclose(sums.total_variation, 2.0**layers, rtol=1e-13)
    # both units of layer l have slope 2^l everywhere (W1 has slope 1)
    assert_allclose(sums.unit_gradients, np.repeat(2.0 ** np.arange(layers), 2), rtol=1e-13)
    assert_allclose(sums.c_grad, math.sqrt(2) * 2.0 ** np.arange(layers), rtol=1e-13)


def test_a_unit_before_a_dead_layer_is_not_good_there():
    # layer 2 is one unit relu(1/2 - relu(x)): dead where x > 1/2, a quarter of [-1, 1]
    network = Network.from_arrays([[[1.0]], [[-1.0]], [[1.0]]], [[0.0], [0.5], [0.0]])
    sums = sum_over_cells(enumerate_cells(network, cube(1)), eps=0.01)
    assert_allclose(sums.not_good, [0.25, 0.0], rtol=1e-14)
    assert_allclose(sums.not_good_anywhere, 0.25, rtol=1e-14)


def test_units_that_cancel_are_not_good():
    # h = relu(x) reaches the output as h - h, through weights whose products round
    third = 1.0 / 3.0
    network = Network.from_arrays([[[1.0]], [[third], [third]], [[0.3, -0.3]]], [[0.0], [5.0, 5.0], [0.0]])
    sums = sum_over_cells(enumerate_cells(network, cube(1)), eps=0.01)
    assert_allclose(sums.not_good, [1.0, 0.0, 0.0])


@pytest.mark.sweep(1, 5)
@pytest.mark.parametrize("case", range(len(SAMPLED)))
@pytest.mark.parametrize("gaussian", [False, True])
def test_sums_agree_with_sampled_jacobians(case, gaussian):
    dimension, widths, seed = SAMPLED[case]
    network, domain = network_on_box(dimension, widths, seed)
    eps, eta = 0.4, 0.3
    density = GaussianDensity(np.full(dimension, 0.2), 0.5**2) if gaussian else UniformDensity(domain)
    cells = enumerate_cells(network, domain)
    sums = sum_over_cells(cells, density, eps=eps)
    tail = gradient_tail(cells, density, eta=eta)
    t = density.sample(4000, np.random.default_rng(seed))
    t = t[domain.contains(t)] if gaussian else t
    rows = []
    for pattern, heights in zip(
        network.activation_pattern(t), np.hstack(network.pre_activations(t)), strict=True
    ):
        units = [A for A, _ in network.unit_maps(pattern)]
        slopes = np.concatenate([np.linalg.norm(A, axis=1) for A in units])
        ranks = [np.linalg.matrix_rank(A, tol=eps) for A in units]
        variation = np.linalg.norm(network.affine_map(pattern)[0])
        rows.append([1.0, variation, slopes.sum(), slopes @ (np.abs(heights) > eta), *ranks])
    # points outside the domain count as 0
    draws = np.vstack([rows, np.zeros((4000 - len(rows), len(rows[0])))])
    exact = [sums.mass, sums.total_variation, sums.gradient_sum, tail.total, *sums.local_rank]
    spread = draws.std(axis=0, ddof=1) / math.sqrt(4000)
    off = np.abs(draws.mean(axis=0) - exact)
    assert np.all(off <= 4.0 * spread + 1e-9)
    assert off[1] > 0.0


@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_masses_of_cells_sum_to_that_of_the_domain(dimension):
    cells = random_complex(dimension, (5, 3), 7)
    density = GaussianDensity(np.full(dimension, 0.3), 0.7**2)
    masses, errors = cell_masses(cells, density)
    whole = normal.cdf(0.7 / 0.7) - normal.cdf(-1.3 / 0.7)
    assert np.all(masses > 0.0)
    assert abs(masses.sum() - whole**dimension) <= errors.sum() + 1e-9
    if dimension < 3:
        assert errors.sum() < 1e-8


def test_masses_of_half_spaces_are_normal_probabilities():
    network = Network.from_arrays([[[1.0, 1.0]], [[1.0]]], [[0.5], [0.0]])
    cells = enumerate_cells(network, Box([-30.0, -30.0], [30.0, 30.0]))
    masses = cell_masses(cells, GaussianDensity([0.0, 0.0], 1.0))[0]
    active = unpack_states(cells, slice(0, 2))[:, 0]
    assert_allclose(masses[active], normal.cdf(0.5 / math.sqrt(2)), rtol=1e-8)


@pytest.mark.parametrize("dimension", [2, 3, 4])
def test_the_simplices_fill_every_cell(dimension):
    cells = random_complex(dimension, (4, 2), 11, engine="cells")
    filled = np.zeros(cells.n_cells)
    for simplices, owner, _ in cell_pieces(cells):
        filled += np.bincount(owner, simplex_volumes(simplices)[0], cells.n_cells)
        assert np.all(cells.locate(simplices.mean(axis=1)) == owner)
    assert_allclose(filled, cells.volumes, rtol=1e-9)


def test_both_engines_give_the_same_sums():
    network, _ = network_on_box(2, (6, 5), 21)
    density = GaussianDensity([0.1, 0.0], 0.3)
    planar, general = (enumerate_cells(network, cube(2), engine=engine) for engine in ("planar", "cells"))
    a, b = (sum_over_cells(cells, density, eps=0.3) for cells in (planar, general))
    for name in (
        "total_variation",
        "local_rank",
        "unit_gradients",
        "c_grad",
        "lipschitz",
        "not_good",
        "mass",
    ):
        assert_allclose(getattr(a, name), getattr(b, name), rtol=1e-8, atol=1e-12)
    tails = [gradient_tail(cells, density, eta=0.5).by_unit for cells in (planar, general)]
    assert_allclose(*tails, rtol=1e-8)


@pytest.mark.parametrize("dimension", [1, 2, 3, 4, 5])
def test_positive_and_negative_parts_make_up_the_simplex(dimension):
    rng = np.random.default_rng(dimension)
    simplices = rng.normal(size=(200, dimension + 1, dimension))
    heights = rng.normal(size=(200, dimension + 1))
    heights[::7, 0] = 0.0
    volumes = simplex_volumes(simplices)[0]
    halves = []
    for sign in (1.0, -1.0):
        chosen = np.flatnonzero((sign * heights).max(axis=1) > 0.0)
        parts, owner = positive_parts(simplices[chosen], sign * heights[chosen])
        halves.append(np.bincount(chosen[owner], simplex_volumes(parts)[0], 200))
        # the middle of every part is on the positive side
        for part, k in zip(parts, chosen[owner], strict=True):
            weights = np.linalg.solve(
                np.vstack([simplices[k].T, np.ones(dimension + 1)]), [*part.mean(axis=0), 1.0]
            )
            assert sign * weights @ heights[k] > -1e-9
    assert_allclose(halves[0] + halves[1], volumes, rtol=1e-9, atol=1e-12)


def test_the_tail_of_one_unit_by_hand():
    # |2 x + 1/2| > 1 on [-1, 1]: x > 1/4 or x < -3/4, half of it; slope 2
    cells = enumerate_cells(single_unit(), cube(1))
    assert_allclose(gradient_tail(cells, eta=1.0).total, 1.0, rtol=1e-14)
    # |2 x| > 1 once the bias is shifted away
    assert_allclose(gradient_tail(cells, eta=1.0, shift=[0.5]).total, 1.0, rtol=1e-14)
    assert_allclose(gradient_tail(cells, eta=2.0, shift=1.5).total, 2.0 * 0.25, rtol=1e-14)
    tail = gradient_tail(cells, GaussianDensity([0.0], 1.0), eta=1.0)
    assert_allclose(tail.total, 2.0 * (normal.cdf(1) - normal.cdf(0.25) + normal.cdf(-0.75) - normal.cdf(-1)))
    assert 0.0 < tail.error < 1e-13


def test_a_tail_at_height_zero_is_the_whole_sum():
    cells = random_complex(2, (4, 3), 5)
    tail = gradient_tail(cells, eta=0.0)
    assert_allclose(tail.by_unit, sum_over_cells(cells, eps=0.1).unit_gradients, rtol=1e-12)
    assert gradient_tail(cells, eta=100.0).total == 0.0


def test_rotating_the_input_changes_nothing():
    network, _ = network_on_box(2, (5, 4), 31)
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    turned = Network.from_arrays(
        [network.weights[0] @ turn.T, *network.weights[1:]], network.biases, network.relu
    )
    A, b = cube(2).halfspaces
    plain = enumerate_cells(network, cube(2))
    rotated = enumerate_cells(turned, Polytope(A @ turn.T, b))
    mean = np.array([0.3, -0.2])
    for p, q in ((None, None), (GaussianDensity(mean, 0.4), GaussianDensity(turn @ mean, 0.4))):
        a, c = sum_over_cells(plain, p, eps=0.3), sum_over_cells(rotated, q, eps=0.3)
        for name in ("total_variation", "local_rank", "unit_gradients", "c_grad", "lipschitz", "not_good"):
            assert_allclose(getattr(a, name), getattr(c, name), rtol=1e-7, atol=1e-12)


def test_on_a_slice_gradients_are_the_intrinsic_ones():
    network, _ = network_on_box(6, (5, 4), 41)
    domain = random_plane(6, 0)
    a = sum_over_cells(enumerate_cells(network, domain), eps=0.2)
    b = sum_over_cells(enumerate_cells(*pulled_back(network, domain)), eps=0.2)
    assert_allclose(a.total_variation, b.total_variation, rtol=1e-9)
    assert_allclose(a.local_rank, b.local_rank, rtol=1e-9)
    assert_allclose(a.unit_gradients, b.unit_gradients, rtol=1e-9)


def test_batched_maps_are_those_of_the_network_cell_by_cell():
    network = Network.from_arrays(
        *(lambda case: (case.weights, case.biases))(random_case(3, (4, 5, 3), 2)), [True, False, True, False]
    )
    cells = enumerate_cells(network, cube(3))
    states = cells.unpacked_patterns()
    maps, rest = forward_maps(network, cells.domain, states), rest_maps(network, states)
    for i, pattern in enumerate(states):
        assert_allclose(maps.output[i], network.affine_map(pattern)[0], atol=1e-14)
        units = network.unit_maps(pattern)
        for layer, (A, c) in enumerate(units):
            row = min(i, len(maps.jacobians[layer]) - 1)
            assert_allclose(maps.jacobians[layer][row], A, atol=1e-14)
            assert_allclose(maps.offsets[layer][row], c, atol=1e-14)
            on = pattern[network.unit_offsets[layer] : network.unit_offsets[layer + 1]]
            G = rest.jacobians[layer][min(i, len(rest.jacobians[layer]) - 1)]
            assert_allclose((G * on) @ A, network.affine_map(pattern)[0], atol=1e-13)


def test_small_blocks_give_the_same_sums(monkeypatch):
    cells = random_complex(2, (6, 4), 13)
    before, tail = sum_over_cells(cells, eps=0.2), gradient_tail(cells, eta=0.5)
    monkeypatch.setattr("regions.analysis.cell_sums.jacobians._WORKING_SET", 1)
    monkeypatch.setattr("regions.analysis.cell_sums.sums._WORKING_SET", 1)
    monkeypatch.setattr("regions.analysis.cell_sums.simplex_pieces._BLOCK", 3)
    seen = []
    after = sum_over_cells(cells, eps=0.2, progress=lambda done, fraction: seen.append((done, fraction)))
    assert_allclose(after.unit_gradients, before.unit_gradients, rtol=1e-13)
    assert np.array_equal(after.cell_ranks, before.cell_ranks)
    assert [done for done, _ in seen] == list(range(1, cells.n_cells + 1))
    assert seen[-1][1] == 1.0
    assert_allclose(gradient_tail(cells, eta=0.5).by_unit, tail.by_unit, rtol=1e-12)


def test_sums_go_to_json():
    sums = sum_over_cells(enumerate_cells(single_unit(), cube(1)), eps=0.1)
    plain = json.loads(json.dumps(sums.to_dict()))
    assert plain["total_variation"] == sums.total_variation
    assert "cell_mass" not in plain
    with pytest.raises(ValueError, match="read-only"):
        sums.local_rank[0] = 0.0


def test_what_cannot_be_summed_is_refused():
    network, _ = network_on_box(2, (6, 4), 13)
    cells = enumerate_cells(network, cube(2))
    cut = enumerate_cells(network, cube(2), max_cells=3)
    for bad in (math.nan, -1.0, math.inf):
        with pytest.raises(InvalidInputError, match="eps is"):
            sum_over_cells(cells, eps=bad)
        with pytest.raises(InvalidInputError, match="eta is"):
            gradient_tail(cells, eta=bad)
    with pytest.raises(InvalidInputError, match="norm is"):
        sum_over_cells(cells, eps=0.1, norm="nuclear")
    with pytest.raises(InvalidInputError, match="shift has shape"):
        gradient_tail(cells, eta=1.0, shift=[1.0, 2.0])
    for call in (
        lambda: sum_over_cells(cut, eps=0.1),
        lambda: gradient_tail(cut, eta=0.1),
        lambda: cell_masses(cut),
    ):
        with pytest.raises(InvalidInputError, match="TRUNCATED"):
            call()
    with pytest.raises(InvalidInputError, match="coordinates"):
        sum_over_cells(cells, GaussianDensity([0.0], 1.0), eps=0.1)
    with pytest.raises(InvalidDomainError):
        sum_over_cells(cells, UniformDensity(Box([0.0, 0.0], [1.0, 1.0])), eps=0.1)
