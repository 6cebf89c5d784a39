"""Certified arithmetic: right where floating point is not, and what the certificate says.

The exact laws of `test_laws` run on certified arithmetic too, as it is the default; here are networks
made so that floats fail: rounded multiples of units, cells far below rounding, extreme scales.
"""

from __future__ import annotations

from fractions import Fraction
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from judging import assert_same_combinatorics, pattern_tuples, solve_naively
from networks import problem_of
from strategies import Case, concurrent_fan, examples, nearly_parallel_networks, random_case

from regions import Box, Network, Segment, Slice, count_cells, enumerate_cells, verify
from regions.complexes.cell_complex import CellComplex
from regions.enumeration.compiled_network import balanced, compile_network, vertex_errors
from regions.enumeration.search import WHOLE
from regions.enumeration.threads import run_search
from regions.enumeration.vertices.vertex_search import VertexSearch
from regions.errors import InvalidNetworkError, RegionsError
from regions.kernels.memory.states import Mode, Status

pytestmark = pytest.mark.kernels


@pytest.mark.small
@given(nearly_parallel_networks())
@examples(200, 20)
def test_nearly_parallel_units_come_out_right(case: Case) -> None:
    """Rows that are rounded multiples of one another make cells far narrower than rounding."""
    network, box = problem_of(case)
    truth = solve_naively(network, box)
    assert_same_combinatorics(enumerate_cells(network, box), truth)
    if box.dimension == 2:
        assert_same_combinatorics(enumerate_cells(network, box, engine="cells"), truth)


@pytest.mark.small
@given(nearly_parallel_networks(max_dimension=1), st.integers(0, 2**32 - 1))
@examples(60, 8)
def test_slices_and_segments_of_nearly_parallel_units_come_out_right(case: Case, seed: int) -> None:
    rng = np.random.default_rng(seed)
    lifted = case.weights[0] * rng.choice([-1.0, 0.1, 1.0, 3.0], size=(1, 4))
    network = Network.from_arrays([lifted, *case.weights[1:]], case.biases, case.relu)
    segment = Segment(rng.normal(size=4), rng.normal(size=4))
    assert_same_combinatorics(enumerate_cells(network, segment), solve_naively(network, segment))
    plane = Slice.through(*rng.uniform(-1, 1, size=(3, 4)), margin=0.5)
    assert_same_combinatorics(enumerate_cells(network, plane), solve_naively(network, plane))


THIRDS = ([[[1.0], [1 / 3]], [[1.0, 1.0]]], [[0.1, 0.1 / 3], [0.0]])


def test_float_loses_a_cell_that_certified_finds() -> None:
    """x + 0.1 and its rounded third vanish at two points some 1e-17 apart: three cells, not two."""
    network, box = Network.from_arrays(*THIRDS), Box([-1.0], [1.0])
    roots = {-Fraction(0.1), -Fraction(0.1 / 3) / Fraction(1 / 3)}
    assert len(roots) == 2 and max(roots) - min(roots) < Fraction(1, 10**16)
    assert count_cells(network, box, arithmetic="float").cells == 2
    counted = count_cells(network, box, arithmetic="certified")
    assert counted.cells == len(solve_naively(network, box).patterns) == 3
    assert counted.certificate.proven and counted.certificate.exact_signs > 0


def test_float_says_what_it_does_not_prove() -> None:
    network, box = Network.from_arrays(*THIRDS), Box([-1.0], [1.0])
    found = enumerate_cells(network, box, arithmetic="float")
    assert not found.certificate.proven
    assert "nothing is proven" in found.certificate.statement
    assert found.certificate.exact_signs > 0


@pytest.mark.parametrize("width", [1e-6, 1e-9, 1e-12, 1e-15])
def test_thin_cells_are_found(width: float) -> None:
    """Two parallel lines `width` apart, crossed by two more."""
    normals = [[1.0, 2.0], [1.0, 2.0], [1.0, -1.0], [0.3, 1.0]]
    offsets = [0.1, 0.1 + width, 0.05, -0.2]
    network = Network.from_arrays([normals, [[1.0] * 4]], [offsets, [0.0]])
    box = Box([-1.0, -1.0], [1.0, 1.0])
    assert_same_combinatorics(enumerate_cells(network, box), solve_naively(network, box))


@pytest.mark.parametrize("lines", [3, 8, 20])
def test_a_fan_of_lines_through_a_point_that_is_no_float(lines: int) -> None:
    """Lines that meet in (1/3, 1/7) up to rounding: the tiny cells around it are all there."""
    network, box = problem_of(concurrent_fan(lines))
    assert_same_combinatorics(enumerate_cells(network, box), solve_naively(network, box))


def scaled(case: Case, factors: list[float]) -> Network:
    """Layer l's pre-activations multiplied by the product of the first l factors, exactly."""
    total, weights, biases = 1.0, [], []
    for weight, bias, factor in zip(case.weights, case.biases, factors, strict=True):
        total *= factor
        weights.append(weight * factor)
        biases.append(bias * total)
    return Network.from_arrays(weights, biases, case.relu)


@pytest.mark.parametrize("exponent", [-500, -300, 300, 500])
@pytest.mark.parametrize("dimension", [2, 3])
def test_extreme_scales_change_nothing(dimension: int, exponent: int) -> None:
    """Weights times 2**-500 (1e-150) or 2**500, and back in the layer after."""
    case = random_case(dimension, (6, 5), seed=3)
    box = Box(case.low, case.high)
    plain = enumerate_cells(scaled(case, [1.0, 1.0, 1.0]), box)
    large = enumerate_cells(scaled(case, [2.0**exponent, 2.0**-exponent, 1.0]), box)
    assert pattern_tuples(large) == pattern_tuples(plain)
    inner = plain.facets.interior
    assert np.array_equal(large.facets.jump[inner], plain.facets.jump[inner])


def test_tiny_weights_in_every_layer() -> None:
    """1e-150 twice: products near 1e-300, which floating point could not hold for a third layer."""
    case = random_case(2, (6, 5), seed=4)
    box = Box(case.low, case.high)
    weights = [w * 1e-150 for w in case.weights[:2]] + [case.weights[2]]
    biases = [case.biases[0] * 1e-150, case.biases[1] * 1e-300, case.biases[2] * 1e-300]
    network = Network.from_arrays(weights, biases, case.relu)
    assert_same_combinatorics(enumerate_cells(network, box), solve_naively(network, box))


def test_scales_that_do_not_fit_are_refused() -> None:
    huge = Network.from_arrays([[[1e200]], [[1e200]], [[1.0]]], [[0.0], [1.0], [0.0]])
    with pytest.raises(InvalidNetworkError, match="rescale"):
        count_cells(huge, Box([-1.0], [1.0]))
    wide = Network.from_arrays([[[1.0]], [[1.0]]], [[0.0], [0.0]])
    with pytest.raises(RegionsError, match="floating point ends"):
        count_cells(wide, Box([-1e305], [1e305]))


def test_balancing_is_exact() -> None:
    weights, biases = (
        [np.array([[3e200, 1e190]]), np.array([[1e-180]])],
        [np.array([1e199]), np.array([1e20])],
    )
    new_weights, new_biases, power = balanced(weights, biases)
    first = int(np.frexp(3e200)[1])
    assert np.array_equal(np.ldexp(new_weights[0], first), weights[0])
    assert np.array_equal(np.ldexp(new_biases[1], power), biases[1])
    assert max(np.abs(w).max() for w in new_weights) < 1.0


def test_zeros_that_do_not_round_need_no_exact_arithmetic() -> None:
    """A central arrangement in a box with the origin as a corner: every zero there is exact in floats."""
    rng = np.random.default_rng(5)
    normals = rng.integers(-4, 5, size=(12, 3)).astype(float)
    network = Network.from_arrays([normals, np.ones((1, 12))], [np.zeros(12), [0.0]])
    found = count_cells(network, Box([0.0] * 3, [1.0] * 3))
    assert found.certificate.exact_signs == found.certificate.exact_positions == 0
    assert found.cells == len(solve_naively(network, Box([0.0] * 3, [1.0] * 3)).patterns)


@pytest.mark.parametrize(
    ("dimension", "widths"), [(2, (24, 24, 24)), (3, (16, 16)), (4, (12, 12)), (5, (9, 8))]
)
def test_generic_networks_hardly_ever_need_exact_arithmetic(dimension: int, widths: tuple[int, ...]) -> None:
    case = random_case(dimension, widths, seed=1)
    network, box = problem_of(case)
    certified = enumerate_cells(network, box)
    plain = enumerate_cells(network, box, arithmetic="float")
    assert np.array_equal(certified.patterns, plain.patterns)
    asked = certified.certificate.exact_signs + certified.certificate.exact_positions
    assert asked * 100_000 <= certified.certificate.decisions


@pytest.mark.parametrize("dimension", [2, 3])
def test_workers_and_files_keep_the_certificate(dimension: int, tmp_path: object) -> None:
    case = random_case(dimension, (14, 12), seed=2)
    network, box = problem_of(case)
    one, four = (enumerate_cells(network, box, workers=n) for n in (1, 4))
    assert one.certificate == four.certificate
    file = tmp_path / "cells.regions"
    one.save(file)
    again = CellComplex.load(file)
    assert again.certificate == one.certificate
    assert np.array_equal(again.vertices(3), one.vertices(3))


def test_a_truncated_result_claims_no_completeness() -> None:
    network, box = problem_of(random_case(2, (12, 12), seed=2))
    found = enumerate_cells(network, box, max_cells=5)
    assert not found.certificate.proven
    assert "others are missing" in found.certificate.statement


def test_a_certified_result_passes_the_independent_check() -> None:
    network, box = problem_of(concurrent_fan(6))
    assert verify(enumerate_cells(network, box)).ok


@pytest.mark.small
@given(nearly_parallel_networks())
@examples(100, 10)
def test_every_radius_holds(case: Case) -> None:
    """The search's vertices are within their radii of the exact ones, at every cell."""
    network, box = problem_of(case)
    net = compile_network(network, box, radius=0.0, certified=True, planar=box.dimension == 2)
    truth = {cell.pattern: cell for cell in solve_naively(network, box).cells}
    search = VertexSearch(net, box, Mode.COUNT)
    for limit in range(min(len(truth), 12)):
        search.start(WHOLE, cell_limit=limit)
        while search.step() == Status.PAUSED:
            pass
        top = int(search.memory.n_nodes) - 1
        node = search.memory.nodes[top]
        if top < 0 or (node.n_candidates > 0 and search.memory.candidates[top].any()):
            continue  # two cells counted at once
        ring = search.memory.ring[node.first_vertex :][: node.n_vertices]
        vertices = truth[_pattern(net, search.memory.patterns[top])].vertices
        for v in ring:
            point = [Fraction(x) for x in search.memory.points[:, v].tolist()]
            radius = Fraction(search.memory.radii[v].item())
            distance = min(max(abs(x - y) for x, y in zip(point, w, strict=True)) for w in vertices)
            assert distance <= radius


def _pattern(net: object, words: np.ndarray) -> tuple[bool, ...]:
    states = np.unpackbits(words.view(np.uint8), bitorder="little")
    starts, units = net.word_start, net.arrays["unit_starts"]
    parts = [
        states[64 * starts[k] :][: units[k + 1] - units[k]].astype(bool).tolist() for k in range(net.n_layers)
    ]
    return tuple(x for part in parts for x in part)


def test_a_slices_vertices_have_honest_errors() -> None:
    rng = np.random.default_rng(0)
    plane = Slice.through(*rng.uniform(-1, 1, size=(3, 6)), margin=0.3, clip=(-1, 1))
    errors = vertex_errors(plane)
    assert 0.0 < errors.max() < 1e-14
    assert not vertex_errors(Segment(rng.normal(size=6), rng.normal(size=6))).any()


def test_many_questions_at_once_make_room() -> None:
    """A unit's zero set through a vertex that floats cannot place, 600 times."""
    count = 600
    fan = concurrent_fan(2)
    a, b = fan.weights[0], fan.biases[0]
    mix = np.random.default_rng(1).integers(1, 9, size=(count, 2)).astype(float)
    weights = [np.vstack([a, mix @ a]), np.ones((1, count + 2))]
    network = Network.from_arrays(weights, [np.concatenate([b, mix @ b]), [0.0]])
    box = Box(fan.low, fan.high)
    net = compile_network(network, box, radius=0.0, certified=True, planar=True)
    outcome = run_search(partial(VertexSearch, net, box), Mode.COUNT, max_cells=300, workers=1, progress=None)
    assert outcome.cells == 300
    assert sum(result.certificate.exact_signs for result in outcome.results) > 300
