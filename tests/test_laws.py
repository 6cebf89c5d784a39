"""Laws of the enumeration: what must hold whichever engine listed the cells.

Judged by the exact oracle `naive`, by closed forms, and by changes that may not matter.
With NUMBA_DISABLE_JIT=1 the same laws run on fewer examples.
"""

from __future__ import annotations

from dataclasses import fields
from fractions import Fraction
from itertools import combinations
from math import comb
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from judging import pattern_tuples, solve_naively
from naive import NaiveComplex, generic_arrangement_count
from networks import network_on_box, problem_of
from strategies import (
    CONCURRENT_LINES,
    CROSSING_LINES,
    Case,
    examples,
    float_networks,
    folding,
    random_case,
    rational_networks,
    sawtooth,
)

from regions.complexes import CellComplex, Completeness
from regions.domain import Box, Segment, Slice
from regions.enumeration.enumerate import count_cells, enumerate_cells
from regions.errors import InvalidDomainError, InvalidInputError
from regions.network.relu_network import Network

pytestmark = pytest.mark.kernels


def assert_same_complex(found: CellComplex, truth: NaiveComplex) -> None:
    """Cell for cell and facet for facet; the tables are matched by activation pattern."""
    patterns = pattern_tuples(found)
    assert len(patterns) == len(set(patterns)) == found.n_cells
    assert set(patterns) == set(truth.patterns)
    assert found.status is Completeness.COMPLETE
    number = {pattern: i for i, pattern in enumerate(truth.patterns)}
    index = [number[pattern] for pattern in patterns]
    assert_same_cells(found, truth, index)
    assert_same_facets(found, truth, index)


def assert_same_cells(found: CellComplex, truth: NaiveComplex, index: list[int]) -> None:
    whole = float(truth.volume)
    for i, j in enumerate(index):
        cell = truth.cells[j]
        size = np.max(np.abs([[float(x) for x in point] for point in cell.vertices]))
        assert found.volumes[i] == pytest.approx(float(cell.volume), rel=1e-9, abs=1e-14 * whole)
        assert found.n_vertices[i] == len(cell.vertices)
        assert found.n_facets[i] == len(cell.polytope.facets)
        corners = np.array(sorted(tuple(map(float, point)) for point in cell.vertices))
        assert_same_points(found.vertices(i), corners, 1e-9 * size)
        ray = (Fraction(1), *map(Fraction, found.witnesses[i].tolist()))
        for row in cell.polytope.facets:
            assert sum(c * x for c, x in zip(row, ray, strict=True)) > 0
        J, c = found.affine_map(i, coordinates="intrinsic")
        exact = np.array([[float(x) for x in row] for row in cell.output])
        scale = 1.0 + np.abs(exact).max()
        assert np.allclose(np.column_stack([c, J]), exact, rtol=1e-9, atol=1e-12 * scale)


def assert_same_points(found: Any, expected: Any, tolerance: float) -> None:
    assert found.shape == expected.shape
    distances = np.abs(found[:, None, :] - expected[None, :, :]).max(axis=2)
    assert np.all(distances.min(axis=0) <= tolerance) and np.all(distances.min(axis=1) <= tolerance)


def assert_same_facets(found: CellComplex, truth: NaiveComplex, index: list[int]) -> None:
    expected = {(facet.a, facet.b): facet for facet in truth.facets}
    assert len(expected) == len(truth.facets)
    table, offsets = found.facets, found.network.unit_offsets
    unpacked = found.unpacked_patterns()
    seen = set()
    for k in np.flatnonzero(table.interior):
        a, b = int(table.cell_a[k]), int(table.cell_b[k])
        pair = (min(index[a], index[b]), max(index[a], index[b]))
        assert pair in expected and pair not in seen
        seen.add(pair)
        facet = expected[pair]
        unit = int(offsets[table.layer[k]] + table.unit[k])
        assert unit in facet.flipped
        assert unpacked[a, unit] and not unpacked[b, unit]
        assert table.side[k] == -1
        assert table.volume[k] == pytest.approx(facet.volume, rel=1e-9, abs=1e-13)
        if facet.squared_jump == 0:
            assert table.jump[k] == 0.0
        else:
            assert table.jump[k] == pytest.approx(facet.jump, rel=1e-9)
    assert seen == set(expected)
    outer = ~np.asarray(table.interior)
    assert np.all(table.cell_b[outer] == -1) and np.all(table.side[outer] >= 0)
    assert np.all(table.unit[outer] == -1) and np.all(np.isnan(table.jump[outer]))
    on_domain = sum(row in truth.domain.facets for cell in truth.cells for row in cell.polytope.facets)
    assert outer.sum() == on_domain


@pytest.mark.small
@given(rational_networks())
@examples(120, 20)
def test_degenerate_rational_networks_agree_with_the_oracle(case: Case) -> None:
    network, box = problem_of(case)
    assert_same_complex(enumerate_cells(network, box), solve_naively(network, box))


@pytest.mark.small
@given(float_networks())
@examples(80, 8)
def test_generic_float_networks_agree_with_the_oracle(case: Case) -> None:
    network, box = problem_of(case)
    assert_same_complex(enumerate_cells(network, box), solve_naively(network, box))


@pytest.mark.small
@given(float_networks(max_dimension=1), st.integers(0, 2**32 - 1))
@examples(60, 8)
def test_segments_through_any_input_dimension_agree_with_the_oracle(case: Case, seed: int) -> None:
    rng = np.random.default_rng(seed)
    lifted = rng.normal(size=(len(case.weights[0]), 6))
    network = Network.from_arrays([lifted, *case.weights[1:]], case.biases, case.relu)
    segment = Segment(rng.normal(size=6), rng.normal(size=6))
    assert_same_complex(enumerate_cells(network, segment), solve_naively(network, segment))


@pytest.mark.small
@given(float_networks(max_dimension=1), st.integers(0, 2**32 - 1))
@examples(60, 8)
def test_clipped_slices_agree_with_the_oracle(case: Case, seed: int) -> None:
    rng = np.random.default_rng(seed)
    lifted = rng.normal(size=(len(case.weights[0]), 6))
    network = Network.from_arrays([lifted, *case.weights[1:]], case.biases, case.relu)
    domain = Slice.through(*rng.uniform(-1, 1, size=(3, 6)), margin=0.5, clip=(-1, 1))
    assert_same_complex(enumerate_cells(network, domain), solve_naively(network, domain))


@pytest.mark.sweep(2)
@pytest.mark.parametrize("seed", range(4))
def test_four_dimensional_patterns_agree_with_the_oracle(seed: int) -> None:
    case = random_case(4, (5, 3), seed)
    network, box = problem_of(case)
    assert set(pattern_tuples(enumerate_cells(network, box))) == set(solve_naively(network, box).patterns)


@pytest.mark.small
@given(rational_networks())
@examples(100, 20)
def test_counting_and_listing_agree(case: Case) -> None:
    network, box = problem_of(case)
    counted, listed = count_cells(network, box, check_volumes=True), enumerate_cells(network, box)
    assert (counted.cells, counted.status) == (listed.n_cells, listed.status)
    assert counted.volume_sum == pytest.approx(listed.volume_sum, rel=1e-12)
    assert listed.volume_sum == pytest.approx(box.volume, rel=1e-9)


@pytest.mark.small
@given(rational_networks(max_dimension=2))
@examples(100, 15)
def test_engines_agree_on_a_network_and_the_prism_over_it(case: Case) -> None:
    """A coordinate that nothing depends on turns `cells` (d = 1) into `planar`, and that into `cells`."""
    idle = np.zeros((len(case.weights[0]), 1))
    prism = Network.from_arrays(
        [np.hstack([case.weights[0], idle]), *case.weights[1:]], case.biases, case.relu
    )
    flat = enumerate_cells(*problem_of(case))
    tall = enumerate_cells(prism, Box([*case.low, 0.25], [*case.high, 1.25]))
    assert {flat.engine, tall.engine} == {"planar", "cells"}
    assert volume_by_pattern(tall) == pytest.approx(volume_by_pattern(flat), rel=1e-9, abs=1e-14)
    bends = [np.sort(found.facets.jump[found.facets.interior]) for found in (flat, tall)]
    assert bends[0] == pytest.approx(bends[1], rel=1e-9)


MEDIUM = [(1, (30, 30)), (2, (16, 16)), (3, (12, 10)), (4, (10, 6)), (5, (8, 5))]
each_medium = pytest.mark.parametrize(("dimension", "widths"), MEDIUM)


@pytest.mark.sweep(3)
@each_medium
def test_unit_permutation_keeps_the_count(dimension: int, widths: tuple[int, ...]) -> None:
    network, box = network_on_box(dimension, widths)
    rng = np.random.default_rng(1)
    weights, biases = list(network.weights), list(network.biases)
    for layer in range(len(weights) - 1):
        order = rng.permutation(len(biases[layer]))
        weights[layer], biases[layer] = weights[layer][order], biases[layer][order]
        weights[layer + 1] = weights[layer + 1][:, order]
    permuted = Network.from_arrays(weights, biases)
    assert count_cells(permuted, box).cells == count_cells(network, box).cells


@each_medium
def test_rescaling_units_by_powers_of_two_keeps_the_patterns(dimension: int, widths: tuple[int, ...]) -> None:
    network, box = network_on_box(dimension, widths)
    rng = np.random.default_rng(2)
    weights, biases = list(network.weights), list(network.biases)
    for layer in range(len(weights) - 1):
        factor = 2.0 ** rng.integers(-3, 4, size=len(biases[layer]))
        weights[layer] = weights[layer] * factor[:, None]
        biases[layer] = biases[layer] * factor
        weights[layer + 1] = weights[layer + 1] / factor
    rescaled = enumerate_cells(Network.from_arrays(weights, biases), box)
    assert set(pattern_tuples(rescaled)) == set(pattern_tuples(enumerate_cells(network, box)))


@each_medium
def test_coordinate_permutation_keeps_the_patterns(dimension: int, widths: tuple[int, ...]) -> None:
    network, box = network_on_box(dimension, widths)
    turned = [network.weights[0][:, ::-1], *network.weights[1:]]
    found = enumerate_cells(Network.from_arrays(turned, network.biases), box)
    assert set(pattern_tuples(found)) == set(pattern_tuples(enumerate_cells(network, box)))


@each_medium
def test_splitting_the_box_and_gluing_gives_the_same_cells(dimension: int, widths: tuple[int, ...]) -> None:
    network, box = network_on_box(dimension, widths)
    whole = volume_by_pattern(enumerate_cells(network, box))
    glued: dict[tuple[bool, ...], float] = {}
    for half in box.split(dimension - 1, 0.125):
        for pattern, volume in volume_by_pattern(enumerate_cells(network, half)).items():
            glued[pattern] = glued.get(pattern, 0.0) + volume
    assert glued.keys() == whole.keys()
    for pattern, volume in whole.items():
        assert glued[pattern] == pytest.approx(volume, rel=1e-9, abs=1e-14)


def volume_by_pattern(complex_: CellComplex) -> dict[tuple[bool, ...], float]:
    return dict(zip(pattern_tuples(complex_), complex_.volumes.tolist(), strict=True))


@each_medium
def test_sampled_points_lie_in_the_listed_cell_of_their_pattern(
    dimension: int, widths: tuple[int, ...]
) -> None:
    network, box = network_on_box(dimension, widths)
    found = enumerate_cells(network, box)
    points = box.sample(2000, np.random.default_rng(3))
    cells = found.locate(points)
    assert np.all(cells >= 0)
    assert np.array_equal(found.unpacked_patterns()[cells], network.activation_pattern(points))


@each_medium
def test_every_witness_has_the_pattern_of_its_cell(dimension: int, widths: tuple[int, ...]) -> None:
    network, box = network_on_box(dimension, widths)
    found = enumerate_cells(network, box)
    inputs = box.to_input(found.witnesses)
    assert np.array_equal(network.activation_pattern(inputs), found.unpacked_patterns())


@pytest.mark.small
@given(rational_networks(), st.lists(st.integers(-8, 8), min_size=3, max_size=3))
@examples(60, 10)
def test_dyadic_translation_keeps_the_patterns_and_volumes(case: Case, eighths: list[int]) -> None:
    """Weights, bounds and steps are small dyadic numbers, so that moving does not round."""
    step = np.array(eighths[: case.dimension]) / 8
    biases = [case.biases[0] - case.weights[0] @ step, *case.biases[1:]]
    moved = Network.from_arrays(case.weights, biases, case.relu)
    there = enumerate_cells(moved, Box(case.low + step, case.high + step))
    here = volume_by_pattern(enumerate_cells(*problem_of(case)))
    assert volume_by_pattern(there) == pytest.approx(here, rel=1e-9, abs=1e-14)


@pytest.mark.small
@pytest.mark.parametrize("layers", [1, 2, 3, 6])
def test_sawtooth_has_two_to_the_layers_cells(layers: int) -> None:
    found = enumerate_cells(Network.from_arrays(*sawtooth(layers)), Box(0, 1))
    assert found.n_cells == 2**layers
    assert np.array_equal(found.volumes, np.full(2**layers, 0.5**layers))
    assert np.all(found.facets.jump[found.facets.interior] == 2.0 * 2**layers)


@pytest.mark.parametrize("layers", [18, pytest.param(22, marks=pytest.mark.slow)])
def test_deep_sawtooth_has_two_to_the_layers_cells(layers: int) -> None:
    """No sum rounds in such a network, so no sign is asked of rational arithmetic."""
    found = count_cells(Network.from_arrays(*sawtooth(layers)), Box(0, 1))
    assert found.n_cells == 2**layers
    assert found.certificate.exact_signs == 0


@pytest.mark.small
@pytest.mark.parametrize("piece", [0, 1, 40000, 2**16 - 1])
def test_a_piece_of_a_sawtooth_of_24_layers_asks_for_no_exact_sign(piece: int) -> None:
    """Bounds over all patterns grow by 6 a layer, past 2^53; the maps themselves by 2, and do not round."""
    network, box = Network.from_arrays(*sawtooth(24)), Box(piece * 2.0**-16, (piece + 1) * 2.0**-16)
    found = count_cells(network, box)
    assert found.n_cells == 2**8
    assert found.certificate.exact_signs == 0
    assert count_cells(network, box, engine="lp").n_cells == 2**8


@pytest.mark.small
@pytest.mark.parametrize(("p", "folds", "cells"), [(2, 1, 44), (2, 2, 176), (3, 1, 99)])
def test_folding_multiplies_the_arrangement(p: int, folds: int, cells: int) -> None:
    network = Network.from_arrays(*folding(p, folds, CROSSING_LINES))
    found = enumerate_cells(network, Box([0, 0], [1, 1]))
    assert found.n_cells == cells == p ** (2 * folds) * (1 + 4 + comb(4, 2))


@pytest.mark.small
@pytest.mark.parametrize(("p", "folds"), [(2, 1), (2, 2), (3, 1)])
def test_folding_of_concurrent_lines_has_vertices_on_everything(p: int, folds: int) -> None:
    network, box = Network.from_arrays(*folding(p, folds, CONCURRENT_LINES)), Box([0, 0], [1, 1])
    found = enumerate_cells(network, box)
    assert found.n_cells == p ** (2 * folds) * 8
    assert_same_complex(found, solve_naively(network, box))


def test_large_foldings_count_right() -> None:
    for p, folds in ((2, 5), (4, 2)):
        for lines, cells in ((CROSSING_LINES, 11), (CONCURRENT_LINES, 8)):
            network = Network.from_arrays(*folding(p, folds, lines))
            assert count_cells(network, Box([0, 0], [1, 1])).cells == p ** (2 * folds) * cells


@pytest.mark.parametrize(("dimension", "width"), [(1, 40), (2, 24), (3, 14)])
@pytest.mark.parametrize("seed", range(4))
def test_generic_arrangements_have_one_cell_per_crossing_in_the_box(
    dimension: int, width: int, seed: int
) -> None:
    case = random_case(dimension, (width,), seed)
    offsets = [-Fraction(b) for b in case.biases[0].tolist()]
    expected = generic_arrangement_count(case.weights[0].tolist(), offsets, case.low, case.high)
    assert count_cells(*problem_of(case)).cells == expected


@pytest.mark.parametrize(("dimension", "width"), [(2, 30), (3, 16), (4, 12), (5, 10), (6, 9), (7, 9), (8, 9)])
def test_all_crossings_inside_gives_the_sum_of_binomials(dimension: int, width: int) -> None:
    rng = np.random.default_rng(dimension)
    case = random_case(dimension, (width,), 7)
    normals = rng.normal(size=(width, dimension))
    normals /= np.linalg.norm(normals, axis=1)[:, None]
    network = Network.from_arrays([normals, *case.weights[1:]], [1e-3 * case.biases[0], *case.biases[1:]])
    reach = 1.5 * furthest_crossing(normals, network.biases[0])
    box = Box([-reach] * dimension, [reach] * dimension)
    expected = sum(comb(width, j) for j in range(dimension + 1))
    assert count_cells(network, box).cells == expected


def furthest_crossing(normals: Any, biases: Any) -> float:
    """Largest coordinate of the common points of d of the hyperplanes."""
    width, dimension = normals.shape
    subsets = np.array(list(combinations(range(width), dimension)))
    crossings = np.linalg.solve(normals[subsets], -biases[subsets][..., None])
    return float(np.abs(crossings).max())


@each_medium
def test_truncated_results_hold_exactly_max_cells_of_the_full_ones(
    dimension: int, widths: tuple[int, ...]
) -> None:
    network, box = network_on_box(dimension, widths)
    full = enumerate_cells(network, box)
    known = volume_by_pattern(full)
    for max_cells in (1, 2, full.n_cells // 2, full.n_cells - 1):
        part = enumerate_cells(network, box, max_cells=max_cells)
        assert (part.n_cells, part.status) == (max_cells, Completeness.TRUNCATED)
        found = volume_by_pattern(part)
        assert len(found) == max_cells and found.keys() <= known.keys()
        assert found == pytest.approx({pattern: known[pattern] for pattern in found}, rel=1e-12)
        assert part.facets.cell_b.min() >= -2 and np.any(part.facets.cell_b == -2)
        assert np.all(part.facets.cell_a < max_cells) and np.all(part.facets.cell_b < max_cells)
        counted = count_cells(network, box, max_cells=max_cells)
        assert (counted.cells, counted.status) == (max_cells, Completeness.TRUNCATED)
    enough = enumerate_cells(network, box, max_cells=full.n_cells + 1)
    assert (enough.n_cells, enough.status) == (full.n_cells, Completeness.COMPLETE)


@pytest.mark.parametrize(
    ("dimension", "widths"), [(1, (60, 60)), (2, (24, 24, 24)), (3, (14, 12)), (4, (10, 8))]
)
@pytest.mark.parametrize("max_cells", [None, 500])
def test_number_of_workers_does_not_change_any_array(
    dimension: int, widths: tuple[int, ...], max_cells: int | None
) -> None:
    network, box = network_on_box(dimension, widths)
    alone, *others = [enumerate_cells(network, box, workers=n, max_cells=max_cells) for n in (1, 2, 3)]
    for other in others:
        for name in ("patterns", "volumes", "centroids", "witnesses", "n_vertices", "n_facets"):
            assert getattr(other, name).tobytes() == getattr(alone, name).tobytes(), name
        for field in fields(alone.facets):
            mine, theirs = getattr(alone.facets, field.name), getattr(other.facets, field.name)
            if isinstance(mine, np.ndarray):
                assert mine.tobytes() == theirs.tobytes(), field.name
        assert other.volume_sum == alone.volume_sum and other.status is alone.status


def test_number_of_workers_does_not_change_the_count() -> None:
    network, box = network_on_box(2, (40, 40, 40))
    results = [count_cells(network, box, workers=n) for n in (1, 2, 3)]
    assert len({(r.cells, r.status, r.volume_sum) for r in results}) == 1


def test_progress_never_goes_back_and_ends_within_the_whole() -> None:
    network, box = network_on_box(2, (40, 40, 40))
    seen: list[tuple[int, float]] = []
    total = count_cells(network, box, progress=lambda cells, done: seen.append((cells, done))).cells
    assert all(0 <= cells <= total and 0.0 <= done <= 1.0 + 1e-9 for cells, done in seen)
    assert seen == sorted(seen)


@pytest.mark.small
def test_networks_without_a_cut_have_one_cell() -> None:
    dead = Network.from_arrays([[[1.0, 1.0]], [[1.0]]], [[-9.0], [0.0]])
    zero = Network.from_arrays([np.zeros((3, 2)), np.ones((1, 3))], [np.zeros(3), [0.0]])
    linear = Network.from_arrays([[[1.0, 2.0]]], [[3.0]])
    box = Box([-1, -1], [1, 1])
    for network in (dead, zero, linear):
        found = enumerate_cells(network, box)
        assert found.n_cells == count_cells(network, box).cells == 1
        assert not np.any(found.unpacked_patterns()) and found.volumes[0] == 4.0
        assert not np.any(found.facets.interior) and len(found.facets.cell_a) == 4


NETWORK, BOX = network_on_box(2, (3,))
REFUSED: dict[str, tuple[Any, type[Exception]]] = {
    "input dimension": ((NETWORK, Box([0] * 3, [1] * 3), {}), InvalidDomainError),
    "max_cells 0": ((NETWORK, BOX, {"max_cells": 0}), InvalidInputError),
    "max_cells negative": ((NETWORK, BOX, {"max_cells": -3}), InvalidInputError),
    "max_cells fraction": ((NETWORK, BOX, {"max_cells": 2.5}), InvalidInputError),
    "engine": ((NETWORK, BOX, {"engine": "magic"}), InvalidInputError),
    "arithmetic": ((NETWORK, BOX, {"arithmetic": "vague"}), InvalidInputError),
    "workers 0": ((NETWORK, BOX, {"workers": 0}), InvalidInputError),
    "not a domain": ((NETWORK, ([-1, -1], [1, 1]), {}), InvalidInputError),
    "not a network": (("network.npz", BOX, {}), InvalidInputError),
}


@pytest.mark.small
@pytest.mark.parametrize("what", list(REFUSED))
@pytest.mark.parametrize("call", [enumerate_cells, count_cells])
def test_bad_input_is_refused(what: str, call: Any) -> None:
    (network, domain, options), error = REFUSED[what]
    with pytest.raises(error):
        call(network, domain, **options)


@pytest.mark.small
@pytest.mark.parametrize("dimension", [1, 3])
def test_planar_engine_refuses_other_dimensions(dimension: int) -> None:
    network, box = network_on_box(dimension, (3,))
    with pytest.raises(InvalidInputError, match="planar"):
        count_cells(network, box, engine="planar")


@pytest.mark.small
@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_auto_is_the_engine_that_it_names(dimension: int) -> None:
    network, box = network_on_box(dimension, (5, 4))
    chosen = enumerate_cells(network, box)
    asked = enumerate_cells(network, box, engine=chosen.engine)
    assert chosen.engine_reason and asked.patterns.tobytes() == chosen.patterns.tobytes()


def test_boxes_beyond_the_engines_are_refused() -> None:
    network, box = network_on_box(51, (3,))
    with pytest.raises((InvalidInputError, InvalidDomainError), match="1 to 50"):
        count_cells(network, box)
    with pytest.raises((InvalidInputError, InvalidDomainError), match="1 to 12"):
        count_cells(*network_on_box(40, (3,)), engine="cells")
