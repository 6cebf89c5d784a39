"""The six counts: published examples, an oracle in fractions, and the order that they always have."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations, pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from judging import complex_of
from naive import NaiveComplex, naive_complex
from networks import box_of, network_on_box
from strategies import (
    CONCURRENT_LINES,
    Case,
    chain,
    examples,
    float_networks,
    folding,
    random_case,
    rational_networks,
    sawtooth,
)

from regions import count_regions, enumerate_cells
from regions.analysis.linear_regions import (
    DEFINITIONS,
    LinearRegions,
    RegionCount,
    face_lattice,
    region_labels,
)
from regions.domain import Box
from regions.errors import BudgetExceededError, InvalidInputError
from regions.network.relu_network import Network

DESCENDING = ("activation", "cell", "convex", "open", "closed", "affine")


def row(layers: Any, low: Any, high: Any) -> list[str]:
    """The six counts, from activation to affine."""
    regions = LinearRegions(enumerate_cells(Network.from_arrays(*layers), Box(low, high)))
    return [str(regions.count(definition)) for definition in DESCENDING]


SIGNS = [[1, 0], [-1, 0], [0, 1], [0, -1], [1, 1]]  # relu of these gives x, y and relu(x + y)
MINIMA = [[1, -1, 0, 0, -1], [0, 0, 1, -1, -1]]  # of those: min(x, -y) and min(-x, y)
# the table of docs/mathematics.md, "Six definitions": counts from activation to affine, None for none
TABLE = {
    "relu(relu(x)-y)-relu(x)": (
        chain(([[1, 0], [0, 1], [0, -1]], [0, 0, 0]), ([[1, -1, 1], [1, 0, 0]], [0, 0]), ([[1, -1]], [0])),
        [7, 5, 4, 3, 3, 3],
    ),
    "relu(x)-relu(x)": (chain(([[1, 0], [1, 0]], [0, 0]), ([[1, -1]], [0])), [None, 2, 1, 1, 1, 1]),
    "relu(x)-2relu(x-1)+relu(x-2)": (
        chain(([[1, 0], [1, 0], [1, 0]], [0, -1, -2]), ([[1, -2, 1]], [0])),
        [4, 4, 4, 4, 4, 3],
    ),
    "relu(min(x,-y))+relu(min(-x,y))": (
        chain((SIGNS, [0] * 5), (MINIMA, [0, 0]), ([[1, 1]], [0])),
        [None, None, None, 6, 5, 5],
    ),
}


@pytest.mark.parametrize("name", TABLE)
@pytest.mark.parametrize("half_width", [3.0, 2.5])
def test_the_table_of_published_examples(name: str, half_width: float) -> None:
    layers, expected = TABLE[name]
    box = Box([-half_width] * 2, [half_width] * 2)
    cells = enumerate_cells(Network.from_arrays(*layers), box)
    counts = [count_regions(cells, definition) for definition in DESCENDING]
    assert [count.exact for count in counts] == [True] * 6
    for count, number in zip(counts, expected, strict=True):
        assert number is None or int(count) == number
    assert sorted(map(int, counts), reverse=True) == list(map(int, counts))


def test_a_reflex_region_takes_two_convex_pieces() -> None:
    # relu(min(x, y)) = relu(x - relu(x - y)) is zero on three quadrants
    layers = chain(([[1, 0], [-1, 0], [1, -1]], [0, 0, 0]), ([[1, -1, -1]], [0]), ([[1]], [0]))
    assert row(layers, [-1, -1], [1, 1])[2:] == ["4", "3", "3", "3"]


@pytest.mark.parametrize("layers", [1, 3, 5])
def test_all_definitions_agree_on_the_sawtooth_but_for_its_repeated_maps(layers: int) -> None:
    counts = row(sawtooth(layers), [0], [1])
    assert counts[1:5] == [str(2**layers)] * 4
    assert counts[5] == str(2**layers)  # every piece has an intercept of its own


def fractions_pattern(case: Case, point: Any) -> tuple[bool, ...]:
    values, pattern = [Fraction(x) for x in point], []
    for weight, bias, relu in zip(case.weights, case.biases, case.relu, strict=True):
        values = [
            sum((Fraction(w) * x for w, x in zip(r, values, strict=True)), Fraction(b))
            for r, b in zip(weight.tolist(), bias.tolist(), strict=True)
        ]
        if relu:
            pattern += [z > 0 for z in values]
            values = [max(z, Fraction(0)) for z in values]
    return tuple(pattern)


def mean(points: Any) -> tuple[Fraction, ...]:
    return tuple(sum(column, Fraction(0)) / len(points) for column in zip(*points, strict=True))


def naive_activation_count(case: Case, truth: NaiveComplex) -> int:
    """Patterns at a point inside every face: vertices, middles of edges, facets and cells (d <= 3)."""
    patterns = set()
    for cell in truth.cells:
        points = list(cell.vertices) + [cell.witness]
        points += [mean(pair) for pair in combinations(cell.vertices, 2)]
        for rays in cell.polytope.facets.values():
            points.append(mean([tuple(Fraction(x, r[0]) for x in r[1:]) for r in rays]))
        patterns |= {fractions_pattern(case, point) for point in points}
    return len(patterns)


def components(n: int, pairs: Any) -> list[int]:
    label = list(range(n))
    for a, b in pairs:
        old, new = label[a], label[b]
        label = [new if x == old else x for x in label]
    return label


def naive_counts(truth: NaiveComplex) -> dict[str, int]:
    maps = [cell.output for cell in truth.cells]
    n = len(maps)
    across = [(f.a, f.b) for f in truth.facets if maps[f.a] == maps[f.b]]
    points = [set(cell.vertices) for cell in truth.cells]
    touching = [(a, b) for a, b in combinations(range(n), 2) if maps[a] == maps[b] and points[a] & points[b]]
    return {
        "cell": n,
        "open": len(set(components(n, across))),
        "closed": len(set(components(n, touching))),
        "affine": len(set(maps)),
    }


@examples(12)
@given(rational_networks())
def test_counts_are_those_of_the_oracle_and_never_increase(case: Case) -> None:
    truth = naive_complex(case.weights, case.biases, case.relu, box_of(case).halfspaces)
    regions = LinearRegions(complex_of(case))
    for definition, expected in naive_counts(truth).items():
        assert int(regions.count(definition)) == expected
    assert int(regions.count("activation")) == naive_activation_count(case, truth)
    counts = [regions.count(definition) for definition in DESCENDING]
    for larger, smaller in pairwise(counts):
        assert larger.lower >= smaller.lower and larger.upper >= smaller.upper
    assert regions.faces.euler_characteristic == 1


@examples(20)
@given(float_networks(max_dimension=3))
def test_generic_faces_satisfy_euler_and_all_counts_are_in_order(case: Case) -> None:
    regions = LinearRegions(complex_of(case))
    assert regions.faces.euler_characteristic == 1
    assert regions.faces.f_vector[-1] == regions.cells.n_cells
    facets = len(regions.cells.facets)
    assert case.dimension == 1 or regions.faces.f_vector[-2] == facets
    counts = [regions.count(definition) for definition in DESCENDING]
    assert all(a.lower >= b.lower for a, b in pairwise(counts))


@examples(60)
@given(rational_networks(max_dimension=2))
def test_the_partitions_refine_each_other_and_are_numbered_by_first_cell(case: Case) -> None:
    regions = LinearRegions(complex_of(case))
    chain_of = [regions.labels(name) for name in DESCENDING[1:]]
    for fine, coarse in pairwise(chain_of):
        assert len(set(zip(fine.tolist(), coarse.tolist(), strict=True))) == len(set(fine.tolist()))
    for labels in chain_of:
        first = [int(np.flatnonzero(labels == k)[0]) for k in range(int(labels.max()) + 1)]
        assert first == sorted(first) and first[0] == 0


def test_convex_labels_are_convex_and_no_fewer_than_the_upper_bound() -> None:
    weights, biases, relu = folding(2, 2, CONCURRENT_LINES)
    weights[-1] = np.array([[1.0, 1.0, 0.0, 0.0]])
    cells = enumerate_cells(Network.from_arrays(weights, biases, relu), Box([0, 0], [1, 1]))
    regions = LinearRegions(cells)
    labels, count = regions.labels("convex"), regions.count("convex")
    assert labels.max() + 1 == count.upper
    for k in range(count.upper):
        points = np.concatenate([cells.vertices(i) for i in np.flatnonzero(labels == k)])
        volume = cells.volumes[labels == k].sum()
        assert hull_area(points) == pytest.approx(volume, rel=1e-9)


def hull_area(points: Any) -> float:
    from scipy.spatial import ConvexHull

    return float(ConvexHull(points).volume)


def test_the_generic_network_has_one_region_per_cell() -> None:
    cells = complex_of(random_case(2, (8, 8), seed=1))
    assert int(count_regions(cells)) == cells.n_cells
    dead = [i for i in range(cells.n_cells) if not cells.pattern(i)[8:].any()]
    assert int(count_regions(cells, "affine")) == cells.n_cells - max(0, len(dead) - 1)


def test_the_faces_of_an_arrangement_of_lines() -> None:
    # four lines through one point inside a square: 8 cells around it
    lines = [[1, 0], [0, 1], [1, 1], [1, -1]]
    cells = enumerate_cells(
        Network.from_arrays(*chain((lines, [0] * 4), ([[1] * 4], [0]))), Box([-1, -2], [1, 2])
    )
    lattice = face_lattice(cells)
    assert lattice.f_vector == (1 + 8 + 4, 8 + 12, 8)
    assert lattice.points.shape == (13, 2)
    centre = lattice.faces[0][[z.bit_count() for z in lattice.zero[0]].index(4)]
    assert lattice.points[centre[0]].tolist() == [0.0, 0.0]


def test_what_cannot_be_counted_is_refused() -> None:
    network, box = network_on_box(2, (8, 8), seed=1)
    part, whole = enumerate_cells(network, box, max_cells=5), enumerate_cells(network, box)
    with pytest.raises(InvalidInputError, match="TRUNCATED"):
        count_regions(part)
    with pytest.raises(InvalidInputError, match="TRUNCATED"):
        face_lattice(part)
    with pytest.raises(BudgetExceededError):
        face_lattice(whole, max_cells=3)
    with pytest.raises(InvalidInputError, match="choose '"):
        count_regions(whole, "linear")
    with pytest.raises(InvalidInputError, match="no partition"):
        region_labels(whole, "activation")
    with pytest.raises(InvalidInputError):
        int(RegionCount("convex", 1, 2))
    assert set(DEFINITIONS) == set(DESCENDING)
