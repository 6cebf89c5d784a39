"""Laws of topology: spaces whose Betti numbers are known, two ways to Euler's characteristic, Morse's sum."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from networks import cube, network_of
from strategies import random_case
from test_boundaries import cube_norm, polygonal_disk, small, square_torus

from regions import (
    Box,
    Network,
    WholeSpace,
    boundary_topology,
    critical_points,
    decision_boundary,
    enumerate_cells,
    persistence,
    region_topology,
)
from regions.analysis.topology.reduction import betti_numbers, reduced
from regions.errors import BudgetExceededError, InvalidDomainError, InvalidInputError

SPACE = Box([-3.0] * 3, [3.0] * 3)


def ring(inner: float, outer: float, d: int) -> Network:
    """| |x| - (inner + outer) / 2 | for the maximum norm: at most half the width in a ring."""
    return Network.from_arrays(
        [np.eye(d), np.eye(d), [[1.0]]],
        [np.zeros(d), np.zeros(d), [-(inner + outer) / 2]],
        [True] * 3,
        slopes=["abs", None, "abs"],
        maxima=[None, d, None],
    )


# --- known spaces ---


@pytest.mark.parametrize(
    ("network", "level", "d", "boundary", "below", "above"),
    [
        (polygonal_disk(5), 1.0, 2, (1, 1), (1, 0, 0), (1, 1, 0)),  # a circle, a disk, what is around it
        (ring(1, 2, 2), 0.5, 2, (2, 2), (1, 1, 0), (2, 1, 0)),  # an annulus
        (cube_norm(3), 1.0, 3, (1, 0, 1), (1, 0, 0, 0), (1, 0, 1, 0)),  # a sphere and a ball
        pytest.param(
            ring(1, 2, 3), 0.5, 3, (2, 0, 2), (1, 0, 1, 0), (2, 0, 1, 0), marks=pytest.mark.slow
        ),  # a shell
        (square_torus(), 0.5, 3, (1, 2, 1), (1, 1, 0, 0), (1, 1, 1, 0)),  # a torus, solid and around it
    ],
    ids=["disk", "annulus", "ball", "shell", "torus"],
)
def test_known_spaces_have_their_betti_numbers(
    network: Network,
    level: float,
    d: int,
    boundary: tuple[int, ...],
    below: tuple[int, ...],
    above: tuple[int, ...],
) -> None:
    box = Box([-3.0] * d, [3.0] * d)
    found = boundary_topology(decision_boundary(network, box, level=level))
    assert found.betti == boundary
    assert found.euler_characteristic == sum((-1) ** k * n for k, n in enumerate(boundary))
    assert region_topology(network, box, 0, level).betti == below
    assert region_topology(network, box, 1, level).betti == above


def test_regions_of_classes_are_sectors() -> None:
    third = 2 * np.pi / 3 * np.arange(3)
    network = Network.from_arrays([np.stack([np.cos(third), np.sin(third)], axis=1)], [np.zeros(3)])
    for label in range(3):
        assert region_topology(network, cube(2), label).betti == (1, 0, 0)
    assert boundary_topology(decision_boundary(network, cube(2))).betti == (1, 0)
    nobody = Network.from_arrays([np.eye(2)], [[9.0, 0.0]])
    assert region_topology(nobody, cube(2), 1).betti == (0, 0, 0)


def test_a_cross_is_one_curve_without_loops() -> None:
    saddle = Network.from_arrays([np.eye(2), [[1.0, -1.0]]], [[0.0, 0.0], [0.0]], slopes=["abs", None])
    cross = decision_boundary(saddle, cube(2))  # |x| = |y|
    assert boundary_topology(cross).betti == (1, 0) and not cross.is_manifold
    assert region_topology(saddle, cube(2), 1).betti == (1, 0, 0)  # both sides touch in the origin


# --- persistence and critical points ---


def test_two_wells_merge_at_the_pass() -> None:
    found = persistence(enumerate_cells(ring(0.5, 1.5, 1), Box([-2.0], [3.0])))
    assert found.pairs == (((Fraction(0), Fraction(1)), (Fraction(0), None)), ())
    assert found.betti(-1.0) == (0, 0) and found.betti(0.5) == (2, 0) and found.betti(1.0) == (1, 0)


def test_a_hollow_is_born_and_filled() -> None:
    cells = enumerate_cells(ring(1, 2, 2), Box([-3.0] * 2, [3.0] * 2))
    found = persistence(cells)
    assert (
        found.pairs[0] == ((0, None),) and found.pairs[1] == ((0, Fraction(3, 2)),) and found.pairs[2] == ()
    )
    assert found.diagram(0).tolist() == [[0.0, math.inf]] and found.diagram(2).shape == (0, 2)


@pytest.mark.parametrize("seed", range(3))
def test_betti_numbers_of_sublevel_sets_are_those_of_persistence(seed: int) -> None:
    network = small(seed, 1)
    found = persistence(enumerate_cells(network, cube(2)))
    births = sorted({float(b) for level in found.pairs for b, _ in level})
    for height in np.linspace(births[0] + 1e-3, births[-1] + 0.2, 4):
        assert region_topology(network, cube(2), 0, float(height)).betti == found.betti(float(height))


@pytest.mark.parametrize("seed", range(3))
def test_critical_points_obey_morse(seed: int) -> None:
    cells = enumerate_cells(small(seed, 2), cube(2))
    for output in range(2):
        points, found = critical_points(cells, output), persistence(cells, output)
        counts = points.multiplicities.sum(axis=0)
        assert (counts * [1, -1, 1]).sum() == 1
        finite = [sum(d is not None for _, d in level) for level in found.pairs]
        # no two vertices have one height here: each pair takes a critical point at either end
        assert counts.tolist() == [finite[0] + 1, finite[0] + finite[1], finite[1] + finite[2]]
        values = cells.network.forward(points.points)[:, output]
        assert values == pytest.approx([float(h) for h in points.heights], abs=1e-9)
        assert list(points.heights) == sorted(points.heights)
        lowest = cells.network.forward(np.random.default_rng(0).uniform(-1, 1, size=(2000, 2)))[
            :, output
        ].min()
        assert float(points.heights[0]) <= lowest + 1e-12


# --- the reduction ---


def rank(rows: list[int]) -> int:
    """Rank over two elements of rows as bits."""
    found: dict[int, int] = {}
    for row in rows:
        while row and row.bit_length() in found:
            row ^= found[row.bit_length()]
        if row:
            found[row.bit_length()] = row
    return len(found)


@pytest.mark.parametrize("seed", range(6))
def test_betti_numbers_are_ranks(seed: int) -> None:
    rng = np.random.default_rng(seed)
    triangles = {tuple(sorted(rng.choice(7, 3, replace=False).tolist())) for _ in range(9)}
    edges = sorted({(t[i], t[j]) for t in triangles for i, j in ((0, 1), (0, 2), (1, 2))})
    number = {edge: k for k, edge in enumerate(edges)}
    levels = [
        [()] * 7,
        edges,
        [tuple(number[t[i], t[j]] for i, j in ((0, 1), (0, 2), (1, 2))) for t in sorted(triangles)],
    ]
    ranks = [0, *(rank([sum(1 << face for face in row) for row in level]) for level in levels[1:]), 0]
    wanted = tuple(len(level) - ranks[k] - ranks[k + 1] for k, level in enumerate(levels))
    assert betti_numbers(levels) == wanted


def test_pairs_do_not_share_faces() -> None:
    corners = list(product((0, 1), repeat=3))
    edges = [
        (i, j)
        for j in range(8)
        for i in range(j)
        if sum(a != b for a, b in zip(corners[i], corners[j], strict=True)) == 1
    ]
    found = reduced([()] * 8 + edges, [0] * 8 + [1] * len(edges))
    used = [face for pair in found.pairs for face in pair] + found.unpaired
    assert sorted(used) == list(range(20)) and len(found.pairs) == 7  # a graph with 12 - 7 loops
    assert sum(face >= 8 for face in found.unpaired) == 5


# --- laws, and what is refused ---


def test_both_sides_and_the_border_make_up_the_box() -> None:
    network = small(0, 1)
    above, below = (region_topology(network, cube(2), label) for label in (1, 0))
    border = boundary_topology(decision_boundary(network, cube(2)))
    # inclusion and exclusion; the box has characteristic 1
    assert above.euler_characteristic + below.euler_characteristic - border.euler_characteristic == 1


def test_bad_input_is_refused() -> None:
    one, three = small(0, 1), small(0, 3)
    cells = enumerate_cells(one, cube(2))
    for label in (2, -1, 0.5, True):
        with pytest.raises(InvalidInputError, match="label"):
            region_topology(one, cube(2), label)  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="give pairs"):
        region_topology(three, cube(2), 0, 0.5)
    with pytest.raises(InvalidInputError, match="make a Network"):
        region_topology("net", cube(2), 0)  # type: ignore[arg-type]
    with pytest.raises(InvalidDomainError, match="bounded"):
        region_topology(one, WholeSpace(2), 0)
    with pytest.raises(BudgetExceededError, match="more than 3 cells"):
        region_topology(one, cube(2), 0, max_cells=3)
    with pytest.raises(InvalidInputError, match="decision_boundary"):
        boundary_topology(cells)  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="TRUNCATED"):
        boundary_topology(decision_boundary(one, cube(2), max_cells=2))
    for function in (persistence, critical_points):
        with pytest.raises(InvalidInputError, match="output"):
            function(cells, 1)
        with pytest.raises(InvalidInputError, match="CellComplex"):
            function(one)  # type: ignore[arg-type]
        with pytest.raises(BudgetExceededError, match="ended early"):
            function(enumerate_cells(network_of(random_case(2, (4, 3), 0, 1)), cube(2), max_cells=2))
        with pytest.raises(BudgetExceededError, match="more than 2"):
            function(cells, max_cells=2)
