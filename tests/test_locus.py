"""Laws of locus volumes, on complexes made by hand: every facet is stated in the test itself."""

import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
from networks import random_network
from numpy.testing import assert_allclose

from regions.analysis.locus import locus_volume
from regions.complexes import CellComplex, Completeness
from regions.density import GaussianDensity, UniformDensity
from regions.density.integrals.simplex_integrals import simplex_volumes
from regions.domain import Box
from regions.enumeration.enumerate import enumerate_cells
from regions.errors import BudgetExceededError, InvalidInputError
from regions.network.relu_network import Network


class HandMade(CellComplex):
    """A complex that holds just what `locus_volume` asks for."""

    def facet_simplices(self):
        return self.simplices


def complex_of(network, domain, simplices, facet, unit_of, jump, status="COMPLETE"):
    """A complex of facets that are stated; its last facet is a domain facet."""
    simplices, facet = np.asarray(simplices, dtype=float), np.asarray(facet)
    count = len(unit_of)
    volume = np.bincount(facet, simplex_volumes(simplices)[0], count)
    layer, unit = np.array(unit_of, dtype=np.int32).reshape(-1, 2).T
    facets = SimpleNamespace(
        interior=np.append(np.ones(count, bool), False),
        jump=np.append(np.asarray(jump, dtype=float), math.nan),
        layer=np.append(layer, np.int32(-1)),
        unit=np.append(unit, np.int32(-1)),
        volume=np.append(volume, 7.0),
    )
    made = object.__new__(HandMade)
    vars(made).update(
        network=network,
        domain=domain,
        status=Completeness[status],
        facets=facets,
        simplices=(simplices, facet),
        volume_kind="vertices",
        patterns=np.zeros((0, 0), np.uint8),
    )
    return made


def cross(status="COMPLETE"):
    """|x| + |y|-like network on a square: the x-axis belongs to unit (0, 0), the y-axis to (1, 1)."""
    rng = np.random.default_rng(0)
    network = Network.from_arrays(
        [rng.normal(size=(1, 2)), rng.normal(size=(3, 1)), rng.normal(size=(1, 3))],
        [np.zeros(1), np.zeros(3), np.zeros(1)],
    )
    square = Box([-1.0, -1.0], [1.0, 1.0])
    arms = [[[-1, 0], [0, 0]], [[0, 0], [1, 0]], [[0, -1], [0, 0]], [[0, 0], [0, 1]]]
    units = [(0, 0), (0, 0), (1, 1), (1, 1)]
    return complex_of(network, square, arms, range(4), units, [1.0, 2.0, 0.0, 0.5], status)


def test_plain_volume_sums_facets_by_unit_and_layer():
    locus = locus_volume(cross(), kind="activation")
    assert locus.total == 4.0
    assert_allclose(locus.by_unit, [2.0, 0.0, 2.0, 0.0])
    assert_allclose(locus.by_layer, [2.0, 2.0])
    assert locus.n_facets == 4
    assert locus.density is locus.mass is None


def test_facets_without_a_jump_are_not_in_the_gradient_locus():
    locus = locus_volume(cross())
    assert locus.kind == "gradient"
    assert locus.total == 3.0
    assert_allclose(locus.by_unit, [2.0, 0.0, 1.0, 0.0])


def test_uniform_density_divides_by_the_volume_of_the_domain():
    cells = cross()
    locus = locus_volume(cells, UniformDensity(cells.domain))
    assert abs(locus.total - 3.0 / 4.0) <= locus.error <= 1e-14
    assert locus.mass == 1.0


def test_gaussian_density_on_axes_is_a_product_of_normal_integrals():
    locus = locus_volume(cross(), GaussianDensity([0.0, 0.0], 0.25), kind="activation")
    arm = 0.5 * math.erf(1 / 0.5 / math.sqrt(2)) / (0.5 * math.sqrt(2 * math.pi))
    assert abs(locus.total - 4 * arm) <= locus.error <= 1e-13
    assert_allclose(locus.by_unit.sum(), locus.total, rtol=1e-15)
    assert_allclose(locus.by_layer.sum(), locus.total, rtol=1e-15)
    assert_allclose(locus.mass, math.erf(2 / math.sqrt(2)) ** 2, rtol=1e-14)


def test_normalising_divides_by_the_mass_in_the_domain():
    density = GaussianDensity([0.3, 0.0], 1.0)
    plain, divided = (locus_volume(cross(), density, normalise=flag) for flag in (False, True))
    assert_allclose(divided.total * plain.mass, plain.total, rtol=1e-14)
    assert_allclose(divided.by_unit * plain.mass, plain.by_unit, rtol=1e-14)
    assert divided.normalised


def test_a_facet_of_several_simplices_is_counted_once():
    network = Network.from_arrays([[[1.0, 0.0, 0.0]], [[1.0]]], [[0.0], [0.0]])
    cube = Box(-np.ones(3), np.ones(3))
    halves = [[[0, -1, -1], [0, 1, -1], [0, 1, 1]], [[0, -1, -1], [0, 1, 1], [0, -1, 1]]]
    cells = complex_of(network, cube, halves, [0, 0], [(0, 0)], [1.0])
    density = GaussianDensity(np.zeros(3), 1.0)
    locus = locus_volume(cells, density)
    expected = math.erf(1 / math.sqrt(2)) ** 2 / math.sqrt(2 * math.pi)
    assert abs(locus.total - expected) <= locus.error <= 1e-9
    assert locus.n_facets == 1
    assert locus_volume(cells).total == 4.0


def test_points_count_one_each_in_one_dimension():
    network = Network.from_arrays([[[1.0], [1.0]], [[1.0, 1.0]]], [[0.0, -0.5], [0.0]])
    segment = Box([-1.0], [1.0])
    cells = complex_of(network, segment, [[[0.0]], [[0.5]]], [0, 1], [(0, 0), (0, 1)], [1.0, 1.0])
    assert locus_volume(cells).total == 2.0
    density = GaussianDensity([0.0], 1.0)
    locus = locus_volume(cells, density)
    assert_allclose(locus.by_unit, density.pdf([[0.0], [0.5]]), rtol=1e-14)


def test_the_order_of_the_facets_does_not_change_the_sums():
    rng = np.random.default_rng(5)
    network = Network.from_arrays([rng.normal(size=(30, 2)), np.ones((1, 30))], [np.zeros(30), [0.0]])
    square = Box([-2.0, -2.0], [2.0, 2.0])
    segments, units = rng.uniform(-2, 2, size=(3000, 2, 2)), rng.integers(30, size=3000)

    def run(order):
        pairs = np.column_stack([np.zeros(3000, int), units])[order]
        jumps = np.ones(3000)
        return locus_volume(complex_of(network, square, segments[order], range(3000), pairs, jumps))

    first, second = run(np.arange(3000)), run(rng.permutation(3000))
    assert first.total == second.total
    assert np.array_equal(first.by_unit, second.by_unit)


def test_an_empty_locus_has_volume_zero():
    network = Network.from_arrays([[[1.0, 0.0]], [[1.0]]], [[5.0], [0.0]])
    cells = complex_of(network, Box([-1, -1], [1, 1]), np.zeros((0, 2, 2)), np.zeros(0, int), [], [])
    for density in (None, GaussianDensity([0.0, 0.0], 1.0), UniformDensity(cells.domain)):
        locus = locus_volume(cells, density)
        assert locus.total == locus.error == 0.0
        assert locus.by_unit.tolist() == locus.by_layer.tolist() == [0.0]


def test_a_truncated_complex_gives_a_named_lower_bound_or_nothing():
    with pytest.raises(InvalidInputError, match="TRUNCATED"):
        locus_volume(cross("TRUNCATED"))
    bound = locus_volume(cross("TRUNCATED"), allow_truncated=True)
    assert bound.is_lower_bound
    assert bound.to_dict()["is_lower_bound"]
    assert not locus_volume(cross()).is_lower_bound


def test_the_dictionary_survives_json():
    locus = locus_volume(cross(), GaussianDensity([0.0, 0.0], 1.0))
    data = json.loads(json.dumps(locus.to_dict(), allow_nan=False))
    assert data["total"] == locus.total
    assert data["by_layer"] == locus.by_layer.tolist()


def test_a_mass_out_of_reach_is_not_needed_unless_it_divides():
    cells = cross()
    density = GaussianDensity([0.0, 0.0], [[1e-6, 5e-7], [5e-7, 1e-6]], max_pieces=8)
    locus = locus_volume(cells, density)
    assert math.isnan(locus.mass)
    assert locus.to_dict()["mass"] is None
    with pytest.raises(BudgetExceededError):
        locus_volume(cells, density, normalise=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "both"}, "kind"),
        ({"density": GaussianDensity([0.0], 1.0)}, "coordinates"),
        ({"normalise": True}, "density"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(arguments, message):
    with pytest.raises(InvalidInputError, match=message):
        locus_volume(cross(), **arguments)


@pytest.mark.sweep(3)
@pytest.mark.parametrize("kind", ["gradient", "activation"])
@pytest.mark.parametrize("d", [1, 2, 3, 4])
def test_a_box_cut_in_two_has_the_locus_of_its_halves(d, kind):
    network, density = random_network(d, (d, 5, 3, 1), bias_scale=0.3), GaussianDensity(0.2 * np.ones(d), 0.7)
    low, high, middle = -np.ones(d), np.ones(d), 0.1
    left, right = np.array(high), np.array(low)
    left[0] = right[0] = middle
    whole, first, second = (
        enumerate_cells(network, box) for box in (Box(low, high), Box(low, left), Box(right, high))
    )
    for p in (None, density):
        parts = [locus_volume(cells, p, kind) for cells in (whole, first, second)]
        assert_allclose(parts[0].by_unit, parts[1].by_unit + parts[2].by_unit, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("d", [2, 3])
def test_turning_input_and_weights_together_keeps_a_radial_locus(d):
    rng = np.random.default_rng(d)
    network = random_network(d, (d, 5, 3, 2), bias_scale=0.3)
    turn, _ = np.linalg.qr(rng.normal(size=(d, d)))
    turned = Network.from_arrays([network.weights[0] @ turn, *network.weights[1:]], list(network.biases))
    density, box = GaussianDensity(np.zeros(d), 0.15), Box(-3 * np.ones(d), 3 * np.ones(d))
    # the box does not turn with it, but holds all the mass but 1e-13 or so
    first, second = (locus_volume(enumerate_cells(net, box), density) for net in (network, turned))
    assert_allclose(first.by_unit, second.by_unit, rtol=1e-8, atol=1e-9)


def test_permuting_units_permutes_their_volumes():
    network, box = random_network(1, (2, 6, 4, 1), bias_scale=0.3), Box([-1.0, -1.0], [1.0, 1.0])
    order = np.random.default_rng(0).permutation(6)
    w, b = network.weights, network.biases
    permuted = Network([w[0][order], w[1][:, order], w[2]], [b[0][order], b[1], b[2]], network.relu)
    first, second = (locus_volume(enumerate_cells(net, box)) for net in (network, permuted))
    assert_allclose(second.by_unit[:6], first.by_unit[order], rtol=1e-12)
    assert_allclose(second.by_unit[6:], first.by_unit[6:], rtol=1e-12)


def test_the_gradient_locus_is_part_of_the_activation_locus():
    # with one unit in the last layer, first-layer facets vanish where that unit is inactive
    network, box = random_network(7, (2, 4, 1, 1), bias_scale=0.3), Box([-1.0, -1.0], [1.0, 1.0])
    cells = enumerate_cells(network, box)
    gradient, activation = (locus_volume(cells, kind=kind) for kind in ("gradient", "activation"))
    assert np.all(gradient.by_unit <= activation.by_unit)
    assert gradient.total < activation.total


def test_a_hyperplane_through_a_box_has_its_known_section():
    # the plane x + y + z = 0 cuts the cube in a regular hexagon of side sqrt 2
    network = Network.from_arrays([[[1.0, 1.0, 1.0]], [[1.0]]], [[0.0], [0.0]])
    locus = locus_volume(enumerate_cells(network, Box(-np.ones(3), np.ones(3))))
    assert_allclose(locus.total, 3 * math.sqrt(3), rtol=1e-12)
