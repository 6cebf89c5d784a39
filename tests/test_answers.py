"""Laws of all that is read off cells: as a brute force in fractions has it, and by whichever engine lists."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from naive import NaiveCell, NaiveComplex, naive_box, naive_complex
from networks import cube, network_of, random_network
from strategies import random_case

from regions import (
    Box,
    Network,
    compare_networks,
    critical_points,
    decision_boundary,
    enumerate_cells,
    expected_loss,
    image,
    integrate,
    network_statistics,
    persistence,
    preimage,
)

Point = tuple[Fraction, ...]


def naive_of(network: Network, d: int) -> NaiveComplex:
    return naive_complex(network.weights, network.biases, network.relu, naive_box([-1.0] * d, [1.0] * d))


def values_at(cell: NaiveCell, point: Point) -> list[Fraction]:
    return [row[0] + sum(a * x for a, x in zip(row[1:], point, strict=True)) for row in cell.output]


def by_angle(points: tuple[Point, ...] | list[Point], middle: Point) -> list[Point]:
    """Points in the plane in their order around another one."""
    return sorted(points, key=lambda p: math.atan2(p[1] - middle[1], p[0] - middle[0]))


# --- integrals ---


@pytest.mark.parametrize("seed", [0, 1])
def test_moments_are_those_of_brute_force(seed: int) -> None:
    network = network_of(random_case(2, (4, 3), seed))
    wanted = [Fraction(0)] * 4
    for cell in naive_of(network, 2).cells:
        ring = by_angle(cell.vertices, cell.witness)
        for a, b, c in zip([cell.witness] * len(ring), ring, ring[1:] + ring[:1], strict=True):
            area = abs((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])) / 2
            f, g = zip(*(values_at(cell, corner) for corner in (a, b, c)), strict=True)
            products = [sum(x * y for x, y in zip(p, q, strict=True)) for p, q in ((f, f), (f, g))]
            wanted[0] += area * sum(f) / 3
            wanted[1] += area * sum(g) / 3
            wanted[2] += area * (products[0] + sum(f) ** 2) / 12
            wanted[3] += area * (products[1] + sum(f) * sum(g)) / 12
    powers = [[1, 0], [0, 1], [2, 0], [1, 1]]
    cells = enumerate_cells(network, cube(2))
    assert integrate(cells, powers, exact=True).exact == tuple(value / 4 for value in wanted)
    by_programs = enumerate_cells(network, cube(2), engine="lp")
    for listed in (cells, by_programs):
        assert integrate(listed, powers).values == pytest.approx([float(v / 4) for v in wanted], rel=1e-12)


def test_the_zero_one_loss_is_the_volume_of_the_other_classes() -> None:
    case = random_case(2, (4, 3), 3)
    means = network_of(case).forward(cube(2).sample(200, np.random.default_rng(0))).mean(axis=0)
    network = network_of(case._replace(biases=[*case.biases[:-1], case.biases[-1] - means]))
    both = naive_complex(
        [*network.weights, [[-1.0, 1.0]]],
        [*network.biases, [0.0]],
        [*network.relu, True],
        naive_box([-1.0, -1.0], [1.0, 1.0]),
    )
    wrong = sum(cell.volume for cell in both.cells if cell.pattern[-1]) / 4
    assert 0 < wrong < 1
    assert expected_loss(network, cube(2), 0, "zero_one").value == pytest.approx(float(wrong), rel=1e-12)


# --- statistics of units ---


@pytest.mark.parametrize("d", [1, 2])
def test_states_and_rates_of_units_are_those_of_brute_force(d: int) -> None:
    case = random_case(d, (5, 4), 7)
    case.weights[0][0] = 1.0
    case.weights[0][4] = -2.0  # of the same zero set
    biases = [np.array([0.125, 0.2, 9.0, -9.0, -0.25]), *case.biases[1:]]
    network = Network.from_arrays(case.weights, biases)
    naive = naive_of(network, d)
    units = range(network.n_units)
    states = [{cell.pattern[k] for cell in naive.cells} for k in units]
    for engine in ("auto", "lp"):
        found = network_statistics(enumerate_cells(network, cube(d), engine=engine))
        assert found.cells == len(naive.cells)
        assert found.dead == tuple(k for k in units if states[k] == {False})
        assert found.always_active == tuple(k for k in units if states[k] == {True})
        rates = [sum(c.volume for c in naive.cells if c.pattern[k]) / naive.volume for k in units]
        assert found.rates == pytest.approx([float(rate) for rate in rates], rel=1e-12)
        opposite = {
            (i, j)
            for i in units
            for j in range(i)
            if len(states[i]) == len(states[j]) == 2
            and len({cell.pattern[i] ^ cell.pattern[j] for cell in naive.cells}) == 1
        }
        assert (4, 0) in opposite
        assert {(i, j) for group in found.coincident for i in group for j in group if i > j} == opposite


# --- images and preimages ---


def test_images_and_preimages_are_those_of_brute_force() -> None:
    network = network_of(random_case(2, (4, 3), 3))
    cells, naive = enumerate_cells(network, cube(2)), naive_of(network, 2)
    found = image(cells, [1])
    number = {tuple(cells.pattern(k).tolist()): k for k in range(cells.n_cells)}
    for cell in naive.cells:
        ends = [float(values_at(cell, vertex)[1]) for vertex in cell.vertices]
        part = found.parts[number[cell.pattern]]
        assert [part.min(), part.max()] == pytest.approx([min(ends), max(ends)], rel=1e-12, abs=1e-12)
    A, b = [[1.0, -1.0], [-1.0, 0.5]], [0.25, 0.5]
    cut = naive_complex(
        [*network.weights, A],
        [*network.biases, [-x for x in b]],
        [*network.relu, True],
        naive_box([-1.0, -1.0], [1.0, 1.0]),
    )
    inside = preimage(network, cube(2), (A, b))
    assert inside.volume == sum(cell.volume for cell in cut.cells if not any(cell.pattern[-2:])) > 0


# --- topology of sublevel sets ---


def neighbours_of(naive: NaiveComplex) -> dict[Point, dict[Point, int]]:
    """The vertices of a complex in the plane, each with those across an edge, and in how many cells it is."""
    beside: dict[Point, dict[Point, int]] = {}
    for cell in naive.cells:
        ring = by_angle(cell.vertices, cell.witness)
        for p, q in zip(ring, ring[1:] + ring[:1], strict=True):
            for one, other in ((p, q), (q, p)):
                counts = beside.setdefault(one, {})
                counts[other] = counts.get(other, 0) + 1
    return beside


def heights_of(naive: NaiveComplex) -> dict[Point, Fraction]:
    return {vertex: values_at(cell, vertex)[0] for cell in naive.cells for vertex in cell.vertices}


def plane_case(seed: int) -> tuple[Network, NaiveComplex]:
    """A network in the plane whose output is another one at the two ends of each edge."""
    network = random_network(seed, (2, 7, 5, 1))
    naive = naive_of(network, 2)
    heights = heights_of(naive)
    assert all(heights[p] != heights[q] for p, others in neighbours_of(naive).items() for q in others)
    return network, naive


@pytest.mark.parametrize("seed", [6, 8, 11])
def test_components_of_sublevel_sets_merge_as_a_union_of_edges_does(seed: int) -> None:
    network, naive = plane_case(seed)
    beside, heights = neighbours_of(naive), heights_of(naive)
    parent: dict[Point, Point] = {}

    def root(p: Point) -> Point:
        while parent[p] != p:
            p = parent[p]
        return p

    wanted = []
    for vertex in sorted(heights, key=lambda p: heights[p]):
        parent[vertex] = vertex
        for below in {root(other) for other in beside[vertex] if other in parent}:
            low, high = sorted((root(vertex), below), key=lambda p: heights[p])
            parent[high] = low
            if heights[high] < heights[vertex]:
                wanted.append((heights[high], heights[vertex]))
    found = persistence(enumerate_cells(network, cube(2))).pairs[0]
    assert sorted(pair for pair in found if pair[1] is not None) == sorted(wanted)
    assert [birth for birth, death in found if death is None] == [min(heights.values())]


@pytest.mark.parametrize("seed", [6, 8, 11])
def test_indices_of_vertices_are_those_of_the_signs_around_them(seed: int) -> None:
    network, naive = plane_case(seed)
    heights = heights_of(naive)
    wanted = {}
    for vertex, others in neighbours_of(naive).items():
        ring = by_angle(list(others), vertex)
        below = [heights[other] < heights[vertex] for other in ring]
        inner = all(count == 2 for count in others.values())
        if not inner:  # the way around is open on the side of the border
            start = next(k for k, other in enumerate(ring) if others[other] == 1)
            first = ring[start], ring[start - 1]
            start = start if others[first[1]] == 1 else start + 1
            below = below[start:] + below[:start]
        arcs = sum(one and not before for one, before in zip(below, below[-1:] + below[:-1], strict=True))
        if not inner and below[0] and below[-1]:
            arcs += 1  # its two ends do not meet
        if all(below):
            index = [0, 0, 1] if inner else [0, 0, 0]
        else:
            index = [1, 0, 0] if arcs == 0 else [0, arcs - 1, 0]
        if any(index):
            wanted[tuple(float(x) for x in vertex)] = index
    found = critical_points(enumerate_cells(network, cube(2)))
    points = [tuple(point) for point in found.points.tolist()]
    assert dict(zip(points, found.multiplicities.tolist(), strict=True)) == wanted
    assert len(wanted) > 4


# --- engines and arithmetic ---


def test_boundaries_and_differences_are_the_same_in_floats_and_by_proof() -> None:
    network = random_network(5, (2, 8, 8, 3), bias_scale=0.1)
    other = Network.from_arrays([np.round(8 * w) / 8 for w in network.weights], network.biases)
    proven, rounded = (
        decision_boundary(network, cube(2), arithmetic=arithmetic) for arithmetic in ("certified", "float")
    )
    assert proven.n_pieces == rounded.n_pieces > 2 and proven.f_vector == rounded.f_vector
    assert proven.volume_by_pair() == pytest.approx(rounded.volume_by_pair(), rel=1e-12)
    found = [
        compare_networks(network, other, cube(2), arithmetic=arithmetic, workers=workers)
        for arithmetic, workers in (("certified", 1), ("certified", 2), ("float", 1))
    ]
    for one in found[1:]:
        assert one.largest == found[0].largest and one.exact_points == found[0].exact_points
        assert (one.n_cells, one.kept, one.died, one.born) == (
            found[0].n_cells,
            found[0].kept,
            found[0].died,
            found[0].born,
        )
        assert one.disagreement == pytest.approx(found[0].disagreement, rel=1e-12)


def test_sublevel_sets_are_the_same_by_either_engine() -> None:
    network = network_of(random_case(2, (5, 4), 1, 1))
    listed = [enumerate_cells(network, Box([-1, -1], [1, 1]), engine=engine) for engine in ("cells", "lp")]
    first, second = (persistence(cells) for cells in listed)
    assert first.pairs == second.pairs and any(map(len, first.pairs))
    by_height = [
        dict(zip(c.heights, c.multiplicities.tolist(), strict=True)) for c in map(critical_points, listed)
    ]
    assert by_height[0] == by_height[1]
