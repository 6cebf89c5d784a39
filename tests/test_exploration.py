"""Local exploration against whole enumerations: cells by hops and by distance, their distances, resuming."""

from __future__ import annotations

from pathlib import Path

import networkx as nx
import numpy as np
import pytest
from networks import random_network

from regions import (
    Box,
    CellComplex,
    Network,
    Polytope,
    Slice,
    WholeSpace,
    adjacency_graph,
    enumerate_cells,
    errors,
    project_onto_cell,
)
from regions.domain import FrameBox, domain_from_dict
from regions.enumeration.compiled_network import compile_network
from regions.enumeration.programs.exact_sides import ExactSides
from regions.enumeration.programs.facet_finder import FacetFinder
from regions.errors import InvalidDomainError
from regions.exploration import Exploration, explore, minimal_perturbation, search_frame
from regions.exploration.box_facet_finder import BoxFacetFinder

INF = float("inf")


def pattern_set(found: Exploration) -> set[bytes]:
    return {row.tobytes() for row in found.states()}


def complex_patterns(cells: CellComplex) -> list[bytes]:
    return [cells.pattern(cell).tobytes() for cell in range(cells.n_cells)]


@pytest.fixture(scope="module", params=[(1, 2), (2, 3)], ids=["plane", "space"])
def listed(request: pytest.FixtureRequest) -> tuple[Network, Box, CellComplex, np.ndarray]:
    seed, d = request.param
    network, box = random_network(seed, (d, 6, 5, 3)), Box([-2.0] * d, [2.0] * d)
    center = np.random.default_rng(seed).uniform(-0.5, 0.5, d)
    return network, box, enumerate_cells(network, box), center


@pytest.fixture(scope="module")
def distances(listed) -> np.ndarray:
    """Euclidean distance of the center from each listed cell."""
    _, _, cells, center = listed
    return np.array([project_onto_cell(cells, cell, center).distance for cell in range(cells.n_cells)])


@pytest.mark.kernels
def test_all_that_can_be_reached_is_the_enumeration(listed) -> None:
    network, box, cells, center = listed
    found = explore(network, center, box, max_cells=None)
    assert found.status.name == "COMPLETE"
    assert found.n_frontier == 0
    assert pattern_set(found) == set(complex_patterns(cells))
    names = complex_patterns(cells)
    true = {frozenset((names[a], names[b])) for a, b in adjacency_graph(cells).edges}
    mine = [row.tobytes() for row in found.states()]
    assert {frozenset((mine[a], mine[b])) for a, b in found.graph.edges} == true
    assert len(found.first) == len(true)


@pytest.mark.parametrize("hops", [0, 1, 3])
def test_hops_are_graph_distances(listed, hops: int) -> None:
    network, box, cells, center = listed
    names = complex_patterns(cells)
    start = int(cells.locate(center[None])[0])
    far = nx.single_source_shortest_path_length(adjacency_graph(cells), start)
    found = explore(network, center, box, max_cells=None, max_hops=hops)
    assert found.status.name == "COMPLETE"
    assert pattern_set(found) == {names[cell] for cell, steps in far.items() if steps <= hops}
    assert found.n_frontier == sum(steps == hops + 1 for steps in far.values())
    every = {row.tobytes(): int(k) for row, k in zip(found.states(slice(None)), found.hops, strict=True)}
    assert every == {names[cell]: steps for cell, steps in far.items() if steps <= hops + 1}


@pytest.mark.sweep(2)
@pytest.mark.parametrize("radius", [0.2, 0.9])
def test_a_ball_holds_the_cells_that_meet_it_in_order(listed, distances, radius: float) -> None:
    network, box, cells, center = listed
    true = dict(zip(complex_patterns(cells), distances.tolist(), strict=True))
    found = explore(network, center, box, max_cells=None, radius=radius)
    assert found.order == "distance"
    assert found.status.name == "COMPLETE"
    assert pattern_set(found) == {name for name, distance in true.items() if distance <= radius}
    measured = found.distances()
    assert (np.diff(measured.values) >= -1e-9).all()
    expected = [true[row.tobytes()] for row in found.states()]
    assert measured.values == pytest.approx(expected, abs=1e-6)
    assert (measured.lower <= measured.values).all()
    assert measured.lower == pytest.approx(measured.values, rel=1e-5, abs=1e-9)
    stepwise = explore(network, center, box, max_cells=None, radius=radius, max_hops=100)
    assert stepwise.order == "hops"
    assert pattern_set(stepwise) == pattern_set(found)


def test_distances_in_the_maximum_norm_are_projections(listed) -> None:
    network, box, cells, center = listed
    names = complex_patterns(cells)
    found = explore(network, center, box, max_cells=12)
    number = {name: cell for cell, name in enumerate(names)}
    expected = [
        project_onto_cell(cells, number[row.tobytes()], center, norm=INF).distance for row in found.states()
    ]
    assert found.distances(INF).values == pytest.approx(expected, abs=1e-6)


@pytest.mark.sweep(2)
@pytest.mark.parametrize("norm", [2, INF])
def test_one_cell_and_an_exploration_project_alike(listed, norm: float) -> None:
    """One asks from a frame of the cell in exact arithmetic, the other in offsets from the center."""
    network, box, cells, center = listed
    number = {name: cell for cell, name in enumerate(complex_patterns(cells))}
    found = explore(network, center, box, max_cells=40)
    distances = found.distances(norm)
    for row, distance, bound in zip(found.states(), distances.values, distances.lower, strict=True):
        one = project_onto_cell(cells, number[row.tobytes()], center, norm=norm)
        assert distance == pytest.approx(one.distance, rel=1e-9, abs=1e-12)
        assert bound <= one.distance * (1.0 + 1e-9)


@pytest.mark.kernels
def test_all_finders_give_one_record_of_the_facets(listed) -> None:
    """Rays and small programs, programs in a box, and rational arithmetic: the same units, the same cells."""
    network, box, cells, _ = listed
    lowered = compile_network(network, box, radius=0.0, certified=True, planar=False, vertices=False)
    finders = [FacetFinder(lowered, box, sides=False), BoxFacetFinder(network, box, True)]
    with_sides, oracle = FacetFinder(lowered, box), ExactSides(network, box)
    for cell in range(0, cells.n_cells, max(1, cells.n_cells // 8)):
        pattern, witness = cells.pattern(cell).tobytes(), cells.witnesses[cell]
        exact = oracle.facets(pattern, witness)
        expected = dict(zip(exact.labels, exact.neighbours, strict=True))
        inner = {label: states for label, states in expected.items() if states is not None}
        for finder in (*finders, with_sides):
            found = finder.find(pattern, witness)
            assert found.undecided == 0
            names = dict(zip(found.labels, found.neighbours, strict=True))
            assert names == (expected if finder is with_sides else inner)
            for states, point in zip(found.neighbours, found.points, strict=True):
                assert states is None or network.activation_pattern(point).tobytes() == states
            nowhere = finder.find(pattern, np.full(box.dimension, np.nan))
            assert dict(zip(nowhere.labels, nowhere.neighbours, strict=True)) == names


def test_no_domain_is_the_whole_space(listed) -> None:
    network, _, _, center = listed
    whole = WholeSpace(network.input_dim)
    cells = enumerate_cells(network, whole)
    for domain in (None, whole):
        free = explore(network, center, domain, max_cells=None)
        assert pattern_set(free) == set(complex_patterns(cells))
        assert (free.status.name, free.stopped_by, free.reasons) == ("COMPLETE", "", [])
        assert len(free.first) == cells.facets.interior.sum()
        states = free.states()
        for point, pattern in zip(free.points, states, strict=True):
            known = np.isfinite(point).all()
            assert not known or np.array_equal(network.activation_pattern(point), pattern)
    with pytest.raises(InvalidDomainError, match="the network takes"):
        explore(network, center, WholeSpace(network.input_dim + 1))


def test_a_box_of_many_directions_stands_for_the_whole_space(listed, monkeypatch) -> None:
    monkeypatch.setattr(search_frame, "searched_whole", lambda network: False)
    network, _, _, center = listed
    free = explore(network, center, max_cells=None)
    half = free.frame.half_width
    cells = enumerate_cells(network, Box(center - half, center + half))
    assert pattern_set(free) == set(complex_patterns(cells))
    assert free.status.name == "TRUNCATED" and free.stopped_by == ""
    (reason,) = free.reasons
    assert f"only the box of {half:.3g} to either side of the center was searched" in reason
    assert reason in free.statement()


THREE_LINES = Network.from_arrays(
    [[[0.0, 1.0], [1.0, 0.0], [-1 / 1024, 1.0]], [[1.0, 1.0, 1.0]]], [[0.0, 0.0, -1.0], [0.0]]
)


@pytest.mark.parametrize("center", [[0.1, 0.1], [2000.0, 1.0]])
def test_cells_far_away_are_found_without_a_domain(center, monkeypatch) -> None:
    """The lines y = 0, x = 0 and y = x / 1024 + 1 have 7 cells, one of them beyond x = -1024."""
    found = explore(THREE_LINES, center, max_cells=None)
    assert (found.n_cells, found.status.name, found.n_frontier) == (7, "COMPLETE", 0)
    with monkeypatch.context() as patch:
        patch.setattr(search_frame, "searched_whole", lambda network: False)
        boxed = explore(THREE_LINES, center, max_cells=None)
    assert boxed.n_cells == (6 if center == [0.1, 0.1] else 7)
    assert boxed.status.name == "TRUNCATED" and boxed.n_frontier == 0
    domain = Box([-5000.0, -5000.0], [5000.0, 5000.0])
    inside = explore(THREE_LINES, center, domain, max_cells=None)
    assert (inside.n_cells, inside.status.name, inside.reasons) == (7, "COMPLETE", [])


@pytest.mark.parametrize("radius", [0.05, 1.0, 900.0, 1100.0, 3000.0])
@pytest.mark.parametrize("center", [[0.1, 0.1], [2000.0, 1.0]])
def test_the_box_that_is_searched_holds_the_ball_that_is_asked_for(center, radius: float) -> None:
    """So the cells of a ball are complete without a domain, and those within some hops of them."""
    domain = Box([-1e5, -1e5], [1e5, 1e5])
    free = explore(THREE_LINES, center, max_cells=None, radius=radius)
    assert free.status.name == "COMPLETE"
    assert pattern_set(free) == pattern_set(explore(THREE_LINES, center, domain, radius=radius))
    stepwise = explore(THREE_LINES, center, max_cells=None, radius=radius, max_hops=9)
    assert stepwise.status.name == "COMPLETE"
    assert pattern_set(stepwise) == pattern_set(free)


def test_what_ended_an_exploration_is_said_and_stored(listed, tmp_path: Path) -> None:
    network, box, _, center = listed
    few = explore(network, center, box, max_cells=3)
    assert few.stopped_by == "max_cells" and few.reasons == ["max_cells ended the search"]
    short = explore(network, center, box, max_cells=None, max_seconds=1e-6)
    assert (short.stopped_by, short.n_cells) == ("max_seconds", 0) or short.n_cells > 0
    assert "max_seconds ended the search" in short.statement()
    for found in (few, short):
        found.save(tmp_path / "found.npz")
        back = Exploration.load(tmp_path / "found.npz")
        assert (back.stopped_by, back.reasons) == (found.stopped_by, found.reasons)
    assert pattern_set(short.resume(max_seconds=600)) == set(complex_patterns(listed[2]))
    step = minimal_perturbation(network, center, box, max_seconds=1e-6)
    assert step.status.name == "TRUNCATED" and step.lower <= step.upper


def test_inputs_that_no_unit_sees_change_nothing() -> None:
    """Seven inputs seen through a plane: the cells are those of the network on the plane."""
    drawn = random_network(4, (2, 6, 5, 3))
    # short fractions, so that the product below is exact and has rank 2
    plane = Network.from_arrays([np.round(weight * 1024) / 1024 for weight in drawn.weights], drawn.biases)
    look = 0.5 * np.array([[1, 1, 1, 1, 0, 0, 0], [1, -1, 1, -1, 0, 0, 0]])
    network = Network.from_arrays([plane.weights[0] @ look, *plane.weights[1:]], plane.biases)
    center = np.random.default_rng(5).normal(size=7)
    wide = explore(network, center, max_cells=None, radius=0.8)
    flat = explore(plane, look @ center, max_cells=None, radius=0.8)
    assert wide.frame.domain.dimension == 2
    assert pattern_set(wide) == pattern_set(flat)
    assert wide.distances().values == pytest.approx(flat.distances().values, abs=1e-9)
    assert wide.nearest_facet is not None
    assert flat.nearest_facet is not None
    assert wide.nearest_facet.unit == flat.nearest_facet.unit
    assert wide.nearest_facet.distance == pytest.approx(flat.nearest_facet.distance)
    # the maximum norm sees all inputs: the bound that the Euclidean distance gives, and a grid of one segment
    highest = wide.distances(INF).values
    assert (highest <= wide.distances().values + 1e-9).all()
    assert (highest * np.sqrt(7.0) >= wide.distances().values - 1e-9).all()


@pytest.mark.sweep(1)
def test_the_nearest_facet_is_the_nearest_other_cell(listed, distances) -> None:
    network, box, cells, center = listed
    found = explore(network, center, box, max_cells=1)
    others = np.delete(distances, int(cells.locate(center[None])[0]))
    assert found.nearest_facet is not None
    assert found.nearest_facet.distance == pytest.approx(others.min(), abs=1e-6)


@pytest.mark.sweep(3)
@pytest.mark.parametrize("limits", [{}, {"max_hops": 4}, {"radius": 1.1}], ids=["free", "hops", "ball"])
def test_resuming_is_one_long_run(listed, limits, tmp_path: Path) -> None:
    network, box, _, center = listed
    whole = explore(network, center, box, max_cells=30, **limits)
    part = explore(network, center, box, max_cells=7, **limits)
    assert part.status.name == "TRUNCATED"
    assert part.n_cells == 7
    assert part.n_frontier > 0
    part.save(tmp_path / "part.npz")
    for again in (part.resume(max_cells=30), Exploration.load(tmp_path / "part.npz").resume(max_cells=30)):
        assert again.status == whole.status
        for name in ("patterns", "points", "hops", "first", "second", "flat_units", "undecided"):
            assert np.array_equal(getattr(again, name), getattr(whole, name)), name


def test_a_larger_limit_goes_on_from_the_frontier(listed) -> None:
    network, box, _, center = listed
    near = explore(network, center, box, max_cells=None, max_hops=1)
    assert near.status.name == "COMPLETE"
    farther = near.resume(max_hops=2)
    assert pattern_set(farther) == pattern_set(explore(network, center, box, max_cells=None, max_hops=2))
    ball = explore(network, center, box, max_cells=None, radius=0.3).resume(radius=0.7)
    assert pattern_set(ball) == pattern_set(explore(network, center, box, max_cells=None, radius=0.7))
    for change in ({"max_hops": 0}, {"radius": 2.0}, {"max_cells": 0}):
        with pytest.raises(errors.InvalidInputError):
            near.resume(**change)


def test_saved_explorations_come_back_bit_for_bit(tmp_path: Path) -> None:
    network = random_network(8, (9, 5, 4, 3))
    found = explore(network, np.zeros(9), max_cells=20)
    file = tmp_path / "found.npz"
    found.save(file)
    back = Exploration.load(file)
    assert back.network == network
    assert back.frame.domain == found.frame.domain
    assert np.array_equal(back.points, found.points)
    assert back.statement() == found.statement()
    assert back.to_dict() == found.to_dict()
    assert domain_from_dict(found.frame.domain.to_dict()) == found.frame.domain
    (tmp_path / "other.npz").write_bytes(b"no archive")
    with np.load(file) as stored:
        fields = dict(stored)
    fields["header"] = np.array(str(fields["header"]).replace('"hops"', '"letters"', 1))
    np.savez(tmp_path / "order.npz", **fields)
    for wrong in (tmp_path / "missing.npz", tmp_path / "other.npz", tmp_path / "order.npz"):
        with pytest.raises(errors.InvalidInputError, match="cannot read"):
            Exploration.load(wrong)


@pytest.mark.kernels
def test_degenerate_networks_agree_with_the_vertex_engine() -> None:
    rng = np.random.default_rng(11)
    first = rng.integers(-2, 3, size=(6, 2)).astype(float)
    first[3], first[4], first[5] = first[0], -2.0 * first[1], 0.0
    network = Network.from_arrays(
        [first, rng.integers(-2, 3, size=(4, 6)).astype(float), [[1.0, -1.0, 1.0, 1.0]]],
        [[0.0, 0.5, 0.0, 0.0, -1.0, -1.0], [0.0, 0.0, 1.0, -1.0], [0.0]],
    )
    box = Box([-2.0, -2.0], [2.0, 2.0])
    cells = enumerate_cells(network, box)
    found = explore(network, [0.613, 0.271], box, max_cells=None)
    assert found.status.name == "COMPLETE"
    assert found.exact_rows > 0
    assert pattern_set(found) == set(complex_patterns(cells))
    assert len(found.first) == adjacency_graph(cells).number_of_edges()


def test_other_domains_are_explored_in_their_plane() -> None:
    network = random_network(3, (4, 6, 5, 3))
    plane = Slice(np.zeros(4), np.eye(4)[:, :2], (np.vstack([np.eye(2), -np.eye(2)]), np.ones(4)))
    found = explore(network, [0.1, 0.2, 0.0, 0.0], plane, max_cells=None)
    assert pattern_set(found) == set(complex_patterns(enumerate_cells(network, plane)))
    assert found.distances(INF).values.min() == 0.0
    triangle = Polytope([[1, 1], [-1, 0], [0, -1]], [1, 1, 1])
    flat = random_network(3, (2, 6, 5, 3))
    inside = explore(flat, [0.1, 0.2], triangle, max_cells=None)
    assert pattern_set(inside) == set(complex_patterns(enumerate_cells(flat, triangle)))


def brute_force_perturbation(network: Network, cells: CellComplex, center: np.ndarray) -> float:
    """The least distance of the parts of polygons where another output is as large."""
    own = int(network.forward(center).argmax())
    best = INF
    for cell in range(cells.n_cells):
        A, c = network.affine_map(cells.pattern(cell))
        ring = cells.vertices(cell)
        for other in range(network.output_dim):
            if other == own:
                continue
            values = ring @ (A[other] - A[own]) + c[other] - c[own]
            kept = []  # the part of the polygon where the other output is as large
            for k in range(len(ring)):
                p, q, v, w = ring[k - 1], ring[k], values[k - 1], values[k]
                if v * w < 0.0:
                    kept.append(p + (q - p) * (v / (v - w)))
                if w >= 0.0:
                    kept.append(q)
            for k in range(len(kept) if len(kept) > 1 else 0):
                p, step = kept[k - 1], kept[k] - kept[k - 1]
                length = float(step @ step)
                share = np.clip((center - p) @ step / length, 0.0, 1.0) if length > 0.0 else 0.0
                best = min(best, float(np.linalg.norm(p + share * step - center)))
    return best


@pytest.mark.sweep(2)
@pytest.mark.parametrize("seed", range(4))
def test_the_minimal_perturbation_is_the_least_over_all_cells(seed: int) -> None:
    network, box = random_network(seed, (2, 6, 5, 3)), Box([-3.0, -3.0], [3.0, 3.0])
    center = np.random.default_rng(seed).uniform(-1.0, 1.0, 2)
    expected = brute_force_perturbation(network, enumerate_cells(network, box), center)
    found = minimal_perturbation(network, center, box)
    assert found.status.name == "COMPLETE"
    assert found.upper == pytest.approx(expected, rel=1e-6)
    assert found.lower == pytest.approx(found.upper, rel=1e-5)
    if np.isfinite(expected):
        assert found.point is not None
        assert int(network.forward(found.point).argmax()) == found.new_prediction != found.prediction
        assert float(np.linalg.norm(found.point - center)) == pytest.approx(expected, rel=1e-4)
    highest = minimal_perturbation(network, center, box, norm=INF)
    assert highest.status.name == "COMPLETE"
    assert highest.upper <= found.upper * (1.0 + 1e-9)
    if np.isfinite(expected):
        assert highest.upper >= found.upper / np.sqrt(2.0) - 1e-9
        steps = highest.upper * (1.0 - 1e-6) * np.random.default_rng(0).uniform(-1.0, 1.0, size=(4000, 2))
        assert (network.forward(center + steps).argmax(axis=1) == found.prediction).all()


@pytest.mark.parametrize("norm", [2, INF])
def test_a_unit_that_is_all_but_constant_changes_no_distance(norm: float) -> None:
    """A unit of which training has left weights of 1e-14 has its hyperplane 1e13 away, beyond all others."""
    network, box = random_network(1, (2, 5, 3)), Box([-2.0, -2.0], [2.0, 2.0])
    more = Network.from_arrays(
        [np.vstack([network.weights[0], [1e-14, -2e-14]]), np.pad(network.weights[1], ((0, 0), (0, 1)))],
        [np.append(network.biases[0], 0.125), network.biases[1]],
    )
    center = np.array([0.3, -0.2])
    one, other = (minimal_perturbation(net, center, box, norm=norm) for net in (network, more))
    assert one.status.name == other.status.name == "COMPLETE" and one.n_cells == other.n_cells
    assert other.upper == pytest.approx(one.upper, rel=1e-9)
    assert other.lower == pytest.approx(one.lower, rel=1e-6) and other.lower > 0.0
    assert other.new_prediction == one.new_prediction != one.prediction
    near, far = (explore(net, center, box, radius=1.0).distances(norm) for net in (network, more))
    assert np.sort(far.values) == pytest.approx(np.sort(near.values), rel=1e-9, abs=1e-12)


def test_an_image_with_black_pixels_has_its_cell_in_the_cube_of_all_images() -> None:
    from importlib.resources import files

    stored = files("regions").joinpath("data/digits_64x32x32.npz")
    network, image = Network.load(stored), np.load(stored)["images"][6]
    assert (image == 0.0).any()
    found = minimal_perturbation(network, image, Box([0.0] * 64, [1.0] * 64), max_cells=3)
    assert found.undecided_rows == 0 and found.n_cells == 3
    assert 0.0 < found.lower < found.upper < 0.25 and found.new_prediction != found.prediction


def test_a_perturbation_cut_short_is_a_pair_of_bounds() -> None:
    network = random_network(6, (12, 16, 8, 3))
    center = np.random.default_rng(2).normal(size=12)
    whole = minimal_perturbation(network, center, max_cells=None)
    part = minimal_perturbation(network, center, max_cells=2)
    assert whole.status.name == "COMPLETE"
    assert part.status.name == ("TRUNCATED" if whole.n_cells > 2 else "COMPLETE")
    assert part.lower <= whole.upper * (1.0 + 1e-9)
    assert part.upper >= whole.upper * (1.0 - 1e-9)


@pytest.mark.kernels
def test_many_inputs_are_explored_in_as_many_directions_as_units() -> None:
    network = random_network(9, (784, 20, 10, 10))
    center = np.random.default_rng(9).uniform(0.0, 1.0, 784)
    found = explore(network, center, max_cells=60)
    assert found.frame.domain.dimension == 20
    assert found.status.name == "TRUNCATED"
    assert "TRUNCATED" in found.statement()
    assert found.n_cells == 60
    assert found.undecided.sum() == 0
    assert np.array_equal(network.activation_pattern(found.witnesses), found.states())
    assert len(pattern_set(found)) == 60
    # across each facet one unit changes and, generically, nothing before it
    every = found.states(slice(None))
    flips = every[found.first] != every[found.second]
    assert flips[np.arange(len(flips)), found.flat_units].all()
    assert np.isfinite(found.distances().values).all()


@pytest.mark.sweep(2)
@pytest.mark.parametrize("arithmetic", ["certified", "float"])
@pytest.mark.slow
def test_the_finder_for_many_inputs_finds_the_enumeration(listed, arithmetic: str, monkeypatch) -> None:
    network, box, cells, center = listed
    monkeypatch.setattr(search_frame, "MOST_DIRECTIONS", 0)
    names = complex_patterns(cells)
    true = {frozenset((names[a], names[b])) for a, b in adjacency_graph(cells).edges}
    for start in (center, box.high, np.append(center[:-1], box.low[-1])):
        found = explore(network, start, box, max_cells=None, arithmetic=arithmetic)
        assert found.status.name == "COMPLETE"
        assert found.undecided.sum() == 0
        assert np.array_equal(network.activation_pattern(found.witnesses), found.states())
        mine = [row.tobytes() for row in found.states()]
        assert set(mine) == set(names)
        assert {frozenset((mine[a], mine[b])) for a, b in found.graph.edges} == true


def named_facets(found: Exploration) -> set[tuple[frozenset[bytes], int]]:
    every = [row.tobytes() for row in found.states(slice(None))]
    ends = zip(found.first.tolist(), found.second.tolist(), found.flat_units.tolist(), strict=True)
    return {(frozenset((every[a], every[b])), unit) for a, b, unit in ends}


def test_both_finders_agree_without_a_domain(monkeypatch) -> None:
    network, center = random_network(12, (9, 7, 5, 3)), np.random.default_rng(3).normal(size=9)
    monkeypatch.setattr(search_frame, "searched_whole", lambda network: False)
    found = explore(network, center, max_cells=None, max_hops=1)
    monkeypatch.setattr(search_frame, "MOST_DIRECTIONS", 0)
    again = explore(network, center, max_cells=None, max_hops=1)
    assert found.reasons == again.reasons and len(found.reasons) == 1 and found.stopped_by == ""
    assert pattern_set(found) == pattern_set(again)
    assert named_facets(found) == named_facets(again)


def test_twins_are_undecided_in_many_inputs_too(monkeypatch) -> None:
    network = random_network(7, (3, 4, 2, 2))
    first, bias = network.weights[0].copy(), network.biases[0].copy()
    first[3], bias[3] = first[0], bias[0]
    twins = Network.from_arrays([first, *network.weights[1:]], [bias, *network.biases[1:]])
    monkeypatch.setattr(search_frame, "MOST_DIRECTIONS", 0)
    found = explore(twins, [0.1, 0.2, 0.3], Box(-np.ones(3) * 3, np.ones(3) * 3), max_cells=None)
    assert found.undecided.sum() > 0
    assert found.status.name == "TRUNCATED"


def test_images_of_300_pixels_are_explored_in_their_box() -> None:
    network = random_network(13, (300, 12, 6, 4))
    box = Box(np.zeros(300), np.ones(300))
    image = np.clip(np.random.default_rng(4).normal(0.3, 0.5, 300), 0.0, 1.0)
    assert (image == 0.0).any()
    found = explore(network, image, box, max_cells=4)
    assert found.n_cells == 4
    assert found.undecided.sum() == 0
    assert np.array_equal(found.states()[0], network.activation_pattern(image))
    assert np.array_equal(network.activation_pattern(found.witnesses), found.states())
    assert ((found.witnesses > 0.0) & (found.witnesses < 1.0)).all()
    assert found.n_frontier > 4


def test_a_center_on_the_border_of_the_domain_has_its_cell(listed) -> None:
    network, box, cells, _ = listed
    found = explore(network, box.high, box, max_cells=None)
    assert pattern_set(found) == set(complex_patterns(cells))
    assert np.array_equal(found.states()[0], network.activation_pattern(box.high))


def test_rows_left_undecided_are_counted_and_nothing_is_complete(monkeypatch) -> None:
    """Twins in ten dimensions: no ray tells them apart, and rational arithmetic would take too long."""
    monkeypatch.setattr(search_frame, "searched_whole", lambda network: False)
    network = random_network(7, (10, 10, 2, 2))
    first = network.weights[0].copy()
    first[3] = first[0]
    biases = [network.biases[0].copy(), *network.biases[1:]]
    biases[0][3] = biases[0][0]
    twins = Network.from_arrays([first, *network.weights[1:]], biases)
    center = np.random.default_rng(1).normal(size=10)
    found = explore(twins, center, max_cells=None, max_hops=1)
    assert found.undecided.sum() > 0
    assert found.status.name == "TRUNCATED"
    assert "undecided" in found.statement()
    clear = explore(network, center, max_cells=None, max_hops=1)
    assert clear.undecided.sum() == 0
    assert len(clear.reasons) == 1 and len(found.reasons) == 2
    step = minimal_perturbation(twins, center, max_cells=3)
    assert step.status.name == "TRUNCATED"
    assert step.undecided_rows > 0
    assert step.lower <= step.upper


def test_where_nothing_changes_the_bounds_are_infinite() -> None:
    network = Network.from_arrays([np.eye(2), [[1.0, 1.0], [0.0, 0.0]]], [[0.5, 0.5], [1.0, 0.0]])
    box = minimal_perturbation(network, [0.0, 0.0], Box([-1.0, -1.0], [1.0, 1.0]))
    assert (box.status.name, box.lower, box.upper, box.point) == ("COMPLETE", INF, INF, None)
    free = minimal_perturbation(network, [0.0, 0.0])
    assert (free.status.name, free.lower, free.upper, free.n_cells) == ("COMPLETE", INF, INF, 4)
    part = minimal_perturbation(network, [0.0, 0.0], max_cells=3)  # beyond 50 something else may be predicted
    assert (part.status.name, part.upper, part.n_cells) == ("TRUNCATED", INF, 3)
    assert part.lower == pytest.approx(np.sqrt(0.5))  # the fourth cell's distance


def test_float_arithmetic_finds_the_same_generic_cells(listed) -> None:
    network, box, cells, center = listed
    found = explore(network, center, box, max_cells=None, arithmetic="float")
    assert found.arithmetic == "float"
    assert pattern_set(found) == set(complex_patterns(cells))


def test_ctrl_c_keeps_what_was_found(listed) -> None:
    network, box, _, center = listed

    def interrupt(done: int, fraction: float) -> None:
        assert 0.0 <= fraction <= 1.0
        if done == 5:
            raise KeyboardInterrupt

    found = explore(network, center, box, max_cells=None, progress=interrupt)
    assert found.status.name == "TRUNCATED"
    assert found.n_cells == 5
    again = found.resume()
    whole = explore(network, center, box, max_cells=None)
    assert np.array_equal(again.patterns, whole.patterns)


def test_what_cannot_be_used_is_an_error(monkeypatch) -> None:
    network, box = random_network(1, (2, 6, 5, 3)), Box([-1.0, -1.0], [1.0, 1.0])
    for center in ([0.0], [[0.0, 0.0]], [0.0, np.nan], ["a", "b"]):
        with pytest.raises(errors.InvalidInputError, match="center"):
            explore(network, center, box)
    with pytest.raises(errors.InvalidDomainError, match="not in the domain"):
        explore(network, [3.0, 0.0], box)
    with pytest.raises(errors.InvalidDomainError, match="input dimensions"):
        explore(network, [0.0, 0.0], Box([-1.0], [1.0]))
    for limits in (
        {"max_cells": 0},
        {"max_hops": -1},
        {"radius": 0.0},
        {"radius": np.inf},
        {"max_seconds": 0.0},
        {"max_seconds": True},
        {"max_seconds": np.nan},
        {"arithmetic": "fast"},
    ):
        with pytest.raises(errors.InvalidInputError):
            explore(network, [0.0, 0.0], box, **limits)
    with pytest.raises(TypeError, match="'cells'"):
        explore(network, [0.0, 0.0], box, cells=3)
    monkeypatch.setattr(search_frame, "MOST_DIRECTIONS", 8)
    simplex = Polytope(np.vstack([np.eye(9), -np.ones((1, 9))]), np.ones(10))
    with pytest.raises(errors.BudgetExceededError, match="leave the domain out"):
        explore(random_network(2, (9, 4, 3)), np.zeros(9), simplex)
    cross = Network.from_arrays([[[1.0, 0.0], [0.0, 1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.0]])
    with pytest.raises(errors.InvalidInputError, match=r"zero set of unit \(0, 1\)"):
        explore(cross, [0.5, 0.0])
    with pytest.raises(errors.InvalidInputError, match="tie"):
        minimal_perturbation(cross, [-1.0, -1.0])
    with pytest.raises(errors.InvalidInputError, match="no ReLU"):
        explore(Network.from_arrays([[[1.0]]], [[0.0]]), [0.0])
    with pytest.raises(errors.InvalidInputError, match="norm"):
        explore(network, [0.0, 0.0], box, max_cells=1).distances(1)


@pytest.mark.parametrize("norm", [2, INF])
def test_turned_coordinates_of_the_domain_change_no_distance(norm: float) -> None:
    """A square given as a slice of two inputs, in turned coordinates, and as a polytope of the inputs."""
    turned = Slice.around([0.1, 0.2], ([1.0, 0.5], [-0.5, 1.0]), 0.4)
    A, b = turned.halfspaces
    plain = Polytope(A @ turned.basis.T, b + A @ (turned.basis.T @ turned.origin))
    center = turned.to_input([0.39, 0.3])  # near a side, so that the nearest points of cells are on it
    for seed in range(4):
        network = random_network(seed, (2, 5, 1))
        found = [explore(network, center, domain, max_cells=None) for domain in (turned, plain)]
        values = [
            dict(zip((row.tobytes() for row in one.states()), one.distances(norm).values, strict=True))
            for one in found
        ]
        assert values[0].keys() == values[1].keys()
        assert [values[0][key] for key in values[1]] == pytest.approx(list(values[1].values()), abs=1e-9)


def test_a_frame_box_checks_its_basis() -> None:
    with pytest.raises(errors.InvalidDomainError, match="orthonormal"):
        FrameBox([0.0, 0.0], [[1.0], [1.0]], [-1.0], [1.0])
    with pytest.raises(errors.InvalidDomainError, match="shapes"):
        FrameBox([0.0], [[1.0], [1.0]], [-1.0], [1.0])
