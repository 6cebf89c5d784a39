"""Local exploration of networks with max units finds what enumerations find, by each finder of facets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from max_networks import random_max_case
from test_exploration import brute_force_perturbation, complex_patterns, named_facets, pattern_set

from regions import Box, CellComplex, Network, Polyhedron, count_cells, enumerate_cells
from regions.analysis.graph import adjacency_graph
from regions.analysis.one_cell import project_onto_cell
from regions.domain import WholeSpace
from regions.exploration import Exploration, explore, local_search, minimal_perturbation, search_frame
from regions.exploration.box_facet_finder import BoxFacetFinder

INF = float("inf")


def maxout(seed: int, inputs: int = 2, outputs: int = 3) -> Network:
    """Three layers of max units of 1 to 4 candidates."""
    rng = np.random.default_rng(seed)
    sizes = [[3, 1, 4, 2], [2, 3, 1]]
    widths = [10, 6, outputs]
    shapes = zip(widths, (inputs, 4, 3), strict=True)
    weights = [rng.normal(size=shape) for shape in shapes]
    return Network.from_arrays(weights, [0.5 * rng.normal(size=n) for n in widths], maxima=[*sizes, None])


@pytest.fixture(
    scope="module", params=[(1, 2), pytest.param((2, 3), marks=pytest.mark.slow)], ids=["plane", "space"]
)
def listed(request: pytest.FixtureRequest) -> tuple[Network, Box, CellComplex, np.ndarray]:
    seed, d = request.param
    network, box = maxout(seed, d), Box([-2.0] * d, [2.0] * d)
    return network, box, enumerate_cells(network, box), np.random.default_rng(seed).uniform(-0.5, 0.5, d)


def assert_all_found(found: Exploration, cells: CellComplex) -> None:
    names = complex_patterns(cells)
    mine = [row.tobytes() for row in found.states()]
    assert found.status.name == "COMPLETE" and found.undecided.sum() == 0
    assert set(mine) == set(names)
    true = {frozenset((names[a], names[b])) for a, b in adjacency_graph(cells).edges}
    assert {frozenset((mine[a], mine[b])) for a, b in found.graph.edges} == true
    # each facet is that of a unit which the two cells do not share
    states = found.states(slice(None))
    assert (states[found.first, found.flat_units] != states[found.second, found.flat_units]).all()


@pytest.mark.kernels
def test_all_that_can_be_reached_is_the_enumeration(listed) -> None:
    network, box, cells, center = listed
    assert_all_found(explore(network, center, box, max_cells=None), cells)


@pytest.mark.parametrize("arithmetic", ["certified", "float"])
def test_the_finder_for_many_inputs_finds_the_enumeration(listed, arithmetic: str, monkeypatch) -> None:
    network, box, cells, center = listed
    found = explore(network, center, box, max_cells=None)
    monkeypatch.setattr(search_frame, "MOST_DIRECTIONS", 0)
    again = explore(network, center, box, max_cells=None, arithmetic=arithmetic)
    assert_all_found(again, cells)
    assert named_facets(again) == named_facets(found)
    assert np.array_equal(network.activation_pattern(again.witnesses), again.states())


def test_without_a_domain_the_whole_space_is_explored(listed, monkeypatch) -> None:
    network, _, _, center = listed
    cells = enumerate_cells(network, WholeSpace(network.input_dim))
    found = explore(network, center, max_cells=None)
    assert_all_found(found, cells)
    number = {name: k for k, name in enumerate(complex_patterns(cells))}
    own = [number[row.tobytes()] for row in found.states()]
    assert np.array_equal(found.bounded, cells.bounded[own])
    monkeypatch.setattr(local_search, "MOST_LISTED_DIRECTIONS", 0)
    again = explore(network, center, max_cells=None)
    assert_all_found(again, cells)
    assert named_facets(again) == named_facets(found)


def test_half_spaces_are_explored(listed) -> None:
    network, _, _, center = listed
    d = network.input_dim
    half = Polyhedron(np.eye(d)[:1], [float(center[0]) + 0.25])
    assert_all_found(explore(network, center, half, max_cells=None), enumerate_cells(network, half))


def test_very_many_rivals_are_explored_in_a_large_box_and_that_is_said(listed, monkeypatch) -> None:
    network, _, _, center = listed
    monkeypatch.setattr(search_frame, "MOST_RIVALS", network.n_units - 1)
    free = explore(network, center, max_cells=None)
    assert free.status.name == "TRUNCATED" and any("only the box of" in reason for reason in free.reasons)
    assert 1 < free.n_cells <= count_cells(network, WholeSpace(network.input_dim)).cells
    states = free.states(slice(None))
    assert (states[free.first, free.flat_units] != states[free.second, free.flat_units]).all()
    for point, pattern in zip(free.points, free.states(), strict=True):
        known = np.isfinite(point).all()
        assert not known or np.array_equal(network.activation_pattern(point), pattern)
    # who gives the whole space by its name means it
    space = WholeSpace(network.input_dim)
    assert explore(network, center, space, max_cells=None).n_cells == enumerate_cells(network, space).n_cells


@pytest.mark.sweep(4)
@pytest.mark.parametrize("seed", range(20))
def test_both_finders_find_whole_spaces_with_ties(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    d = 1 + seed % 3
    network = random_max_case(seed, dimension=d).network()
    if not network.cutting.any():
        pytest.skip("nothing bends")
    center = np.random.default_rng(seed).uniform(-0.9, 0.9, d)
    expected = enumerate_cells(network, WholeSpace(d))
    for few in (local_search.MOST_LISTED_DIRECTIONS, 0):
        monkeypatch.setattr(local_search, "MOST_LISTED_DIRECTIONS", few)
        found = explore(network, center, max_cells=None)
        assert found.status.name == "COMPLETE" and pattern_set(found) >= set(complex_patterns(expected))
        assert found.n_cells == expected.n_cells and len(found.first) == expected.facets.interior.sum()


@pytest.mark.sweep(5, 20)
@pytest.mark.parametrize("seed", range(40))
def test_ties_of_every_kind_leave_no_cell_out(seed: int) -> None:
    case = random_max_case(seed, dimension=2)
    network, box = case.network(), case.box()
    if not network.cutting.any():
        pytest.skip("nothing bends")
    cells = enumerate_cells(network, box)
    center = np.random.default_rng(seed).uniform(-0.9, 0.9, 2)
    found = explore(network, center, box, max_cells=None)
    assert pattern_set(found) == set(complex_patterns(cells))
    assert len(found.first) == cells.facets.interior.sum()


@pytest.mark.parametrize("norm", [2, INF])
def test_distances_are_projections(listed, norm: float) -> None:
    network, box, cells, center = listed
    number = {name: cell for cell, name in enumerate(complex_patterns(cells))}
    found = explore(network, center, box, max_cells=12)
    for row, distance in zip(found.states(), found.distances(norm).values, strict=True):
        one = project_onto_cell(cells, number[row.tobytes()], center, norm=norm)
        assert distance == pytest.approx(one.distance, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("radius", [0.2, 0.9])
def test_a_ball_holds_the_cells_that_meet_it(listed, radius: float) -> None:
    network, box, cells, center = listed
    names = complex_patterns(cells)
    true = {names[cell]: project_onto_cell(cells, cell, center).distance for cell in range(cells.n_cells)}
    found = explore(network, center, box, max_cells=None, radius=radius)
    assert found.order == "distance" and found.status.name == "COMPLETE"
    assert pattern_set(found) == {name for name, distance in true.items() if distance <= radius}
    start = int(cells.locate(center[None])[0])
    others = [distance for name, distance in true.items() if name != names[start]]
    assert found.nearest_facet is not None
    assert found.nearest_facet.distance == pytest.approx(min(others), abs=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_the_minimal_perturbation_is_the_least_over_all_cells(seed: int) -> None:
    network, box = maxout(seed), Box([-3.0, -3.0], [3.0, 3.0])
    center = np.random.default_rng(seed).uniform(-1.0, 1.0, 2)
    expected = brute_force_perturbation(network, enumerate_cells(network, box), center)
    found = minimal_perturbation(network, center, box)
    assert found.status.name == "COMPLETE"
    assert found.upper == pytest.approx(expected, rel=1e-6)


def test_bounds_of_values_hold_where_winners_are_in_doubt() -> None:
    network, box = maxout(5, 3), Box([-2.0] * 3, [2.0] * 3)
    finder = BoxFacetFinder(network, box, True)
    # in the middle between two winners either may lead, and what is put out is the same
    points = np.random.default_rng(0).uniform(-1.0, 1.0, size=(200, 3))
    values, errors = finder._values(points)
    assert np.array_equal(values > 0.0, network.activation_pattern(points))
    assert (errors < 1e-12).all()
    for row, pattern in enumerate(network.activation_pattern(points[:20])):
        same, _ = finder._values(points[row : row + 1], pattern)
        assert np.allclose(same[0], values[row], atol=1e-12)


def test_explorations_are_written_and_resumed(listed, tmp_path: Path) -> None:
    network, box, cells, center = listed
    part = explore(network, center, box, max_cells=5)
    part.save(tmp_path / "part.npz")
    whole = Exploration.load(tmp_path / "part.npz").resume(max_cells=None)
    assert_all_found(whole, cells)
