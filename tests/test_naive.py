"""The brute-force oracle against closed forms: what everything else is judged by."""

from __future__ import annotations

from fractions import Fraction
from math import comb, prod
from typing import Any

import pytest
from hypothesis import given
from naive import NaiveComplex, generic_arrangement_count, naive_box, naive_complex
from strategies import (
    CONCURRENT_LINES,
    CROSSING_LINES,
    Case,
    chain,
    examples,
    float_networks,
    folding,
    random_case,
    rational_networks,
    sawtooth,
)


def solve(case: Case) -> NaiveComplex:
    return naive_complex(case.weights, case.biases, case.relu, naive_box(case.low, case.high))


def open_regions(complex_: NaiveComplex) -> int:
    """Components of the cells joined across facets where the output does not bend."""
    root = list(range(len(complex_.cells)))

    def find(i: int) -> int:
        while root[i] != i:
            i = root[i]
        return i

    for facet in complex_.facets:
        if facet.squared_jump == 0:
            root[find(facet.a)] = find(facet.b)
    return len({find(i) for i in root})


def affine_regions(complex_: NaiveComplex) -> int:
    return len({cell.output for cell in complex_.cells})


@pytest.mark.parametrize("layers", [1, 2, 3, 5])
def test_sawtooth_has_two_to_the_layers_cells(layers: int) -> None:
    found = naive_complex(*sawtooth(layers), naive_box([0], [1]))
    assert len(found.cells) == 2**layers
    assert {cell.volume for cell in found.cells} == {Fraction(1, 2**layers)}
    assert all(facet.squared_jump == (2 * 2**layers) ** 2 for facet in found.facets)


@pytest.mark.parametrize(("p", "folds", "cells"), [(2, 1, 44), (2, 2, 176), (3, 1, 99)])
def test_folding_multiplies_the_arrangement(p: int, folds: int, cells: int) -> None:
    found = naive_complex(*folding(p, folds, CROSSING_LINES), naive_box([0, 0], [1, 1]))
    assert len(found.cells) == cells == p ** (2 * folds) * (1 + 4 + comb(4, 2))


def test_folding_of_concurrent_lines_has_vertices_on_everything() -> None:
    found = naive_complex(*folding(2, 2, CONCURRENT_LINES), naive_box([0, 0], [1, 1]))
    assert len(found.cells) == 16 * 8


@pytest.mark.parametrize(("dimension", "width"), [(1, 7), (2, 8), (3, 6)])
@pytest.mark.parametrize("seed", range(5))
def test_generic_arrangements_have_as_many_cells_as_crossings_plus_one(
    dimension: int, width: int, seed: int
) -> None:
    case = random_case(dimension, (width,), seed)
    offsets = [-Fraction(b) for b in case.biases[0]]
    expected = generic_arrangement_count(case.weights[0].tolist(), offsets, case.low, case.high)
    assert len(solve(case).cells) == expected


def test_all_crossings_inside_gives_the_sum_of_binomials() -> None:
    case = random_case(3, (6,), seed=3)
    wide = naive_complex(case.weights, case.biases, case.relu, naive_box([-1000] * 3, [1000] * 3))
    assert len(wide.cells) == sum(comb(6, j) for j in range(4))


TABLE: list[tuple[str, Any, Any, int, int | None, int]] = [
    (
        "relu(relu(x) - y) - relu(x)",
        chain(([[1, 0], [0, 1], [0, -1]], [0] * 3), ([[1, -1, 1], [1, 0, 0]], [0] * 2), ([[1, -1]], [0])),
        naive_box([-1, -1], [1, 1]),
        5,
        3,
        3,
    ),
    ("relu(x) - relu(x)", chain(([[1], [1]], [0, 0]), ([[1, -1]], [0])), naive_box([-1], [1]), 2, 1, 1),
    (
        "relu(x) - 2 relu(x - 1) + relu(x - 2)",
        chain(([[1], [1], [1]], [0, -1, -2]), ([[1, -2, 1]], [0])),
        naive_box([-1], [3]),
        4,
        4,
        3,
    ),
    (
        "relu(min(x, -y)) + relu(min(-x, y))",
        chain(
            ([[1, 0], [-1, 0], [1, 1], [-1, -1]], [0] * 4),
            ([[1, -1, -1, 0], [-1, 1, 0, -1]], [0] * 2),
            ([[1, 1]], [0]),
        ),
        naive_box([-1, -1], [1, 1]),
        6,
        6,
        5,
    ),
]


@pytest.mark.parametrize(("name", "network", "box", "proper", "opened", "affine"), TABLE)
def test_published_networks_have_their_region_counts(
    name: str, network: Any, box: Any, proper: int, opened: int, affine: int
) -> None:
    weights, biases, relu = network
    found = naive_complex(weights, biases, relu, box)
    assert (len(found.cells), open_regions(found), affine_regions(found)) == (proper, opened, affine)


@given(rational_networks())
@examples(60)
def test_cells_tile_the_box_of_degenerate_networks(case: Case) -> None:
    check_complex(case, solve(case))


@given(float_networks())
@examples(30)
def test_cells_tile_the_box_of_generic_networks(case: Case) -> None:
    check_complex(case, solve(case))


def check_complex(case: Case, found: NaiveComplex) -> None:
    assert len(set(found.patterns)) == len(found.cells)
    sides = zip(case.low, case.high, strict=True)
    assert found.volume == prod(Fraction(b) - Fraction(a) for a, b in sides)
    for cell in found.cells:
        pattern, value = forward(case, cell.witness)
        assert pattern == cell.pattern
        assert value == [at(row, cell.witness) for row in cell.output]
    for facet in found.facets:
        assert facet.flipped
        first, second = found.cells[facet.a].output, found.cells[facet.b].output
        for point in facet.vertices:
            assert [at(row, point) for row in first] == [at(row, point) for row in second]


def at(row: Any, point: Any) -> Fraction:
    return row[0] + sum((a * x for a, x in zip(row[1:], point, strict=True)), Fraction(0))


def forward(case: Case, point: Any) -> tuple[tuple[bool, ...], list[Fraction]]:
    pattern: list[bool] = []
    values = list(point)
    for weight, bias, relu in zip(case.weights, case.biases, case.relu, strict=True):
        rows = [[Fraction(b), *map(Fraction, w)] for w, b in zip(weight, bias, strict=True)]
        values = [at(row, values) for row in rows]
        if relu:
            pattern += [value > 0 for value in values]
            values = [max(value, Fraction(0)) for value in values]
    return tuple(pattern), values
