"""Laws of exact arithmetic: the same numbers as Fractions give, for any size of the weights."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from flint import fmpq, fmpz_mat
from hypothesis import given
from hypothesis import strategies as st
from naive import naive_complex
from networks import box_of, network_of, problem_of
from strategies import Case, examples, float_networks, random_case, rational_networks

from regions.domain import Box, Domain, Slice
from regions.errors import CertificateError, InvalidDomainError, InvalidInputError, SolverError
from regions.network.relu_network import Network
from regions.rational import (
    ExactNetwork,
    bounds,
    cell_volume,
    dyadic_integers,
    enclosure,
    exact_cell,
    facet_volume_enclosure,
    interior_point,
    map_residues,
    neighbour_pattern,
    primitive,
    sign_at,
    solve_vertex,
    squared_volume,
    strictly_inside,
)
from regions.rational.integer_rows import dot

finite = st.floats(allow_nan=False, allow_infinity=False)


def fractions_of(network: Network, domain: Domain, pattern: Any) -> tuple[list[Any], Any]:
    """Maps of the ReLU layers and of the output, rows (a_1, ..., a_d, c) of Fractions."""
    values = [[Fraction(x) for x in (*row, c)] for row, c in zip(domain.basis, domain.origin, strict=True)]
    unit, layers = 0, []
    for weight, bias, relu in zip(network.weights, network.biases, network.relu, strict=True):
        new = []
        for row, shift in zip(weight.tolist(), bias.tolist(), strict=True):
            pairs = list(zip(map(Fraction, row), values, strict=True))
            total = [sum((x * r[j] for x, r in pairs), Fraction(0)) for j in range(len(values[0]))]
            new.append([*total[:-1], total[-1] + Fraction(shift)])
        values = new
        if relu:
            layers.append(values)
            on = pattern[unit : unit + len(values)]
            unit += len(values)
            values = [[x * int(s) for x in row] for row, s in zip(values, on, strict=True)]
    return layers, values


def assert_same_maps(network: Network, domain: Domain, pattern: Any) -> None:
    exact = ExactNetwork(network, domain)
    layers, output = fractions_of(network, domain, pattern)
    for again in range(2):  # row by row, and from the map of the layer once that is kept
        for layer, (affine, rows) in enumerate(zip(np.flatnonzero(network.relu), layers, strict=True)):
            unit = Fraction(1, 1 << exact.shifts[affine])
            for k, row in enumerate(rows):
                assert [int(x) * unit for x in exact.unit_row(pattern, layer, k)] == row, again
        exact.output_map(pattern)
    matrix, constants = exact.output_map(pattern)
    found = [[*row, c] for row, c in zip(matrix.tolist(), constants, strict=True)]
    assert [[Fraction(int(x.p), int(x.q)) for x in row] for row in found] == output


@given(st.lists(finite, min_size=1, max_size=6))
def test_dyadic_integers_are_the_floats_with_the_least_shift(values: list[float]) -> None:
    integers, shift = dyadic_integers(values)
    assert [Fraction(x, 1 << shift) for x in integers] == [Fraction(x) for x in values]
    assert shift == 0 or any(x % 2 for x in integers)


def test_dyadic_integers_refuse_what_is_no_number() -> None:
    with pytest.raises(InvalidInputError):
        dyadic_integers([1.0, np.nan])


@given(rational_networks() | float_networks(), st.integers(0, 2**32 - 1))
def test_maps_are_those_of_fractions(case: Case, seed: int) -> None:
    network = network_of(case)
    pattern = np.random.default_rng(seed).random(network.n_units) < 0.5
    assert_same_maps(network, box_of(case), pattern)


@pytest.mark.parametrize("scale", [1e-150, 1e150, 5e-324])
def test_maps_are_exact_for_extreme_weights(scale: float) -> None:
    case = random_case(2, (3, 3), seed=3)
    weights = [case.weights[0] * scale, case.weights[1], case.weights[2]]
    weights[1][0] /= 1e150
    network = Network.from_arrays(weights, [b * scale for b in case.biases], case.relu)
    assert_same_maps(network, Box([-1, -1], [1e100, 1e-200]), [True, False, True, True, True, False])


def test_maps_on_a_slice_are_exact_in_its_stored_basis(rng: np.random.Generator) -> None:
    case = random_case(6, (4, 4), seed=1)
    corners = rng.normal(size=(3, 6))
    assert_same_maps(network_of(case), Slice.through(*corners), rng.random(8) < 0.5)


def test_a_relu_after_the_last_layer_cuts_the_output(rng: np.random.Generator) -> None:
    case = random_case(2, (3,), seed=5)
    network = Network.from_arrays(case.weights, case.biases, [True, True])
    assert_same_maps(network, Box([-1, -1], [1, 1]), [True, False, True, True, False])


def test_a_small_cache_gives_the_same_rows(rng: np.random.Generator) -> None:
    network = network_of(random_case(2, (5, 5, 5), seed=8))
    domain = Box([-1, -1], [1, 1])
    large, small = ExactNetwork(network, domain), ExactNetwork(network, domain, cache_size=1)
    for pattern in rng.random((60, 15)) < 0.5:
        assert large.unit_row(pattern, 2, 1) == small.unit_row(pattern, 2, 1)
        assert large.output_integers(pattern) == small.output_integers(pattern)


def test_short_patterns_and_foreign_domains_are_refused() -> None:
    network = network_of(random_case(2, (3, 3), seed=0))
    with pytest.raises(InvalidDomainError):
        ExactNetwork(network, Box([0.0], [1.0]))
    with pytest.raises(InvalidInputError):
        ExactNetwork(network, Box([0, 0], [1, 1])).unit_row([True], 1, 0)


@examples(200)
@given(st.integers(1, 6), st.integers(0, 2**32 - 1), st.sampled_from([2, 60, 600]))
def test_a_vertex_lies_on_its_hyperplanes(d: int, seed: int, bits: int) -> None:
    rng = np.random.default_rng(seed)
    rows = [
        [int(x) * 2 ** int(rng.integers(bits)) for x in rng.integers(-3, 4, size=d + 1)] for _ in range(d)
    ]
    try:
        vertex = solve_vertex(rows)
    except SolverError:
        assert fmpz_mat([row[:d] for row in rows]).det() == 0
        return
    assert vertex[-1] > 0
    assert all(dot(row, vertex) == 0 for row in rows)


@pytest.mark.parametrize("d", [1, 2, 3, 4, 5])
def test_parallel_hyperplanes_have_no_vertex(d: int) -> None:
    rows = [[1] * d + [k] for k in range(d)] if d > 1 else [[0, 1]]
    with pytest.raises(SolverError):
        solve_vertex(rows)


def test_the_sign_of_a_unit_at_a_vertex_is_that_of_fractions(rng: np.random.Generator) -> None:
    network = network_of(random_case(3, (6, 6), seed=4))
    domain = Box([-1, -1, -1], [1, 1, 1])
    exact = ExactNetwork(network, domain)
    pattern = rng.random(12) < 0.5
    layers, _ = fractions_of(network, domain, pattern)
    rows = [row for layer in layers for row in layer]
    for planes in combinations([-1, -3, 0, 2, 7, 9], 3):
        try:
            point = exact.vertex([exact.plane_row(pattern, plane) for plane in planes])
        except SolverError:
            continue
        t = [Fraction(int(x), int(point[-1])) for x in point[:-1]]
        for unit in (1, 7, 11):
            value = sum((a * x for a, x in zip(rows[unit], t, strict=False)), rows[unit][-1])
            sign = sign_at(exact.unit_row(pattern, unit // 6, unit % 6), point)
            assert sign == (value > 0) - (value < 0)
            assert unit not in planes or sign == 0


@examples(100)
@given(rational_networks())
def test_exact_cells_are_those_of_the_oracle(case: Case) -> None:
    network, box = problem_of(case)
    truth = naive_complex(network.weights, network.biases, network.relu, box.halfspaces)
    exact = ExactNetwork(network, box)
    listed = set(truth.patterns)
    beyond = {(f.a, f.b): f for f in truth.facets}
    index = {pattern: k for k, pattern in enumerate(truth.patterns)}
    for i, expected in enumerate(truth.cells):
        cell = exact_cell(exact, list(expected.pattern))
        found = {tuple(Fraction(x, v[-1]) for x in v[:-1]) for v in cell.polytope.vertices}
        assert found == set(expected.vertices)
        assert len(cell.facets) == len(expected.polytope.facets)
        volume = cell_volume(cell.polytope)
        assert Fraction(int(volume.p), int(volume.q)) == expected.volume
        assert strictly_inside(exact, cell, interior_point(cell))
        assert not strictly_inside(exact, cell, cell.polytope.vertices[0])
        for facet in cell.facets:
            if facet.sides:
                continue
            pattern = tuple(bool(x) for x in neighbour_pattern(exact, cell, facet))
            assert pattern in listed
            pair = tuple(sorted((i, index[pattern])))
            low, high = bounds(facet_volume_enclosure(cell.polytope, facet.on))
            assert Fraction(low) ** 2 <= beyond[pair].squared_volume <= Fraction(high) ** 2
            row = exact.plane_row(cell.pattern, facet.units[0])
            low, high = bounds(facet_volume_enclosure(cell.polytope, facet.on, row=row))
            assert Fraction(low) ** 2 <= beyond[pair].squared_volume <= Fraction(high) ** 2
    for pattern in {tuple(not x for x in p) for p in listed} - listed:
        with pytest.raises(CertificateError):
            exact_cell(exact, list(pattern))


def test_hints_do_not_change_a_cell(rng: np.random.Generator) -> None:
    network = network_of(random_case(3, (8, 8), seed=2))
    exact = ExactNetwork(network, Box([-1] * 3, [1] * 3))
    for point in rng.uniform(-1, 1, size=(20, 3)):
        pattern = network.activation_pattern(point)
        plain = exact_cell(exact, pattern)
        hinted = exact_cell(exact, pattern, rng.permutation(16).tolist())
        assert set(plain.polytope.vertices) == set(hinted.polytope.vertices)
        assert {f.units for f in plain.facets} == {f.units for f in hinted.facets}


def test_faces_of_a_cube_satisfy_euler() -> None:
    network = Network.from_arrays([[[1.0] * 4], [[1.0]]], [[9.0], [0.0]])
    exact = ExactNetwork(network, Box([0] * 4, [1] * 4))
    cell = exact_cell(exact, [True])
    assert [len(faces) for faces in cell.polytope.faces()] == [16, 32, 24, 8, 1]
    assert cell_volume(cell.polytope) == 1


@given(float_networks(max_dimension=2), st.integers(0, 2**32 - 1))
def test_residues_are_those_of_the_integer_maps(case: Case, seed: int) -> None:
    network, domain = problem_of(case)
    patterns = np.random.default_rng(seed).random((6, network.n_units)) < 0.5
    exact = ExactNetwork(network, domain)
    integers = [exact.output_integers(p) for p in patterns]
    residues = map_residues(network, domain, patterns)
    for a, b in combinations(range(6), 2):
        same = integers[a] == integers[b]
        assert same == np.array_equal(residues[a], residues[b])


def test_enclosures_contain_the_value_and_are_tight() -> None:
    third = enclosure([fmpq(1, 3)] * 3)
    assert bounds(third) == (1.0, 1.0)
    low, high = bounds(enclosure([fmpq(1, 3)]))
    assert Fraction(low) <= Fraction(1, 3) <= Fraction(high)
    assert high == np.nextafter(low, 1.0)
    assert squared_volume([(0, 0, 0, 1), (1, 0, 0, 1), (0, 1, 0, 1)]) == fmpq(1, 4)
    assert squared_volume([(1, 2, 3)]) == 1


def test_primitive_keeps_the_sign_and_sign_at_is_exact() -> None:
    assert primitive((-4, 0, 6)) == (-2, 0, 3)
    huge = 10**40
    assert sign_at((huge, -huge - 1), (1, 1)) == -1
