"""Exploration without a box: Zaslavsky's numbers, the enumerations, proofs, which cells have an end."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from judging import pattern_tuples
from networks import random_network

from regions import (
    Box,
    Exploration,
    Network,
    Polyhedron,
    WholeSpace,
    count_cells,
    enumerate_cells,
    explore,
    minimal_perturbation,
)
from regions.exploration import endless_margins, local_search
from regions.exploration.cone_program_finder import ConeProgramFinder
from regions.exploration.cone_proofs import follows, follows_exactly
from regions.exploration.cone_rows import near_pairs
from regions.exploration.search_frame import frame_of
from regions.rational import ExactNetwork, cell_cone

Endless = WholeSpace | Polyhedron
ALL_BY_PROGRAMS = {"programs": 0, "rays": 9}  # the most directions in which all extreme rays are listed


def arrangement(normals: np.ndarray, offsets: np.ndarray) -> Network:
    return Network.from_arrays([normals, np.ones((1, len(offsets)))], [offsets, [0.0]])


def generic(d: int, m: int, central: bool = False) -> Network:
    rng = np.random.default_rng([d, m])
    return arrangement(rng.normal(size=(m, d)), np.zeros(m) if central else rng.normal(size=m))


def somewhere(d: int) -> np.ndarray:
    return np.linspace(0.013, 0.031, d)


def flags(found: Exploration) -> dict[tuple[bool, ...], bool]:
    return dict(zip(map(tuple, found.states().tolist()), found.bounded.tolist(), strict=True))


def agrees_with_the_enumeration(
    network: Network, domain: WholeSpace | Polyhedron, center: np.ndarray
) -> None:
    cells = enumerate_cells(network, domain)
    found = explore(network, center, domain, max_cells=None)
    assert (found.status.name, found.n_frontier, found.reasons) == ("COMPLETE", 0, [])
    assert flags(found) == dict(zip(pattern_tuples(cells), cells.bounded.tolist(), strict=True))
    assert len(found.first) == cells.facets.interior.sum()


@pytest.mark.parametrize(
    ("d", "m"), [(6, 6), *(pytest.param(*case, marks=pytest.mark.slow) for case in ((6, 8), (8, 8)))]
)
def test_generic_hyperplanes_in_many_dimensions_have_the_cells_of_zaslavsky(d: int, m: int) -> None:
    found = explore(generic(d, m), somewhere(d), max_cells=None)
    assert (found.n_cells, found.status.name) == (sum(math.comb(m, j) for j in range(d + 1)), "COMPLETE")
    assert found.bounded.sum() == math.comb(m - 1, d)
    assert len(found.first) == m * sum(math.comb(m - 1, j) for j in range(d))


@pytest.mark.slow
def test_central_hyperplanes_have_half_as_many_and_none_that_ends() -> None:
    d, m = 6, 7
    found = explore(generic(d, m, central=True), somewhere(d), max_cells=None)
    assert found.n_cells == 2 * sum(math.comb(m - 1, j) for j in range(d)) and not found.bounded.any()


def some_problems() -> Iterator[tuple[str, Network, Endless, np.ndarray]]:
    for d, shape in ((1, (3, 3)), (2, (3, 3)), (3, (4, 2))):
        network = random_network(d, (d, *shape, 1))
        yield f"deep in {d}", network, WholeSpace(d), somewhere(d)
    grid = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [-2.0, 0.0], [1.0, 1.0]])
    parallel = arrangement(grid, np.array([0.0, 1.0, 0.0, 1.0, 0.0]))
    yield "parallel, and three through a point", parallel, WholeSpace(2), np.array([0.25, 0.125])
    twins = arrangement(np.array([[1.0, 2.0], [-2.0, -4.0], [0.0, 1.0]]), np.array([1.0, -2.0, 0.5]))
    yield "one line twice", twins, WholeSpace(2), somewhere(2)
    wedge = Polyhedron([[-1.0, 0.25], [0.5, -1.0]], [0.5, 0.25])
    yield "a wedge", random_network(8, (2, 4, 3, 1)), wedge, np.array([0.5, 0.5])
    strip = Polyhedron([[1.0, 0.0], [-1.0, 0.0]], [1.0, 1.0])
    yield "a strip along a line of the network", parallel, strip, np.array([0.25, 0.125])
    orthant = Polyhedron(-np.eye(3), np.zeros(3))
    yield "an orthant", arrangement(np.ones((1, 3)), np.array([-1.0])), orthant, np.full(3, 0.125)


PROBLEMS = {name: case for name, *case in some_problems()}


@pytest.mark.sweep(8)
@pytest.mark.parametrize("finder", list(ALL_BY_PROGRAMS))
@pytest.mark.parametrize("name", list(PROBLEMS))
def test_both_finders_give_the_cells_and_ends_of_the_enumeration(name: str, finder: str, monkeypatch) -> None:
    monkeypatch.setattr(local_search, "MOST_LISTED_DIRECTIONS", ALL_BY_PROGRAMS[finder])
    agrees_with_the_enumeration(*PROBLEMS[name])


@pytest.mark.sweep(2)
@pytest.mark.parametrize("seed", range(20))
def test_degenerate_arrangements_by_programs(seed: int, monkeypatch) -> None:
    monkeypatch.setattr(local_search, "MOST_LISTED_DIRECTIONS", 0)
    rng = np.random.default_rng(seed)
    d, m = int(rng.integers(2, 4)), int(rng.integers(3, 6))
    rows = rng.integers(-1, 2, size=(m, d + 1)).astype(float)
    rows = rows[rows[:, :d].any(axis=1)]
    agrees_with_the_enumeration(arrangement(rows[:, :d], rows[:, d]), WholeSpace(d), somewhere(d))


def test_a_cell_of_seven_directions_has_the_facets_of_its_extreme_rays() -> None:
    network, center = random_network(12, (9, 7, 5, 3)), np.random.default_rng(3).normal(size=9)
    frame = frame_of(network, center, None)
    finder, exact = ConeProgramFinder(network, frame), ExactNetwork(network, frame.domain)
    assert frame.domain.dimension == 7
    pattern = finder.pattern_at(frame.at)
    for states in [pattern, finder.find(pattern, frame.at).neighbours[-1]]:
        found = finder.find(states, frame.at)
        units = sorted(group[0] for group in cell_cone(exact, states, sides=False).facets())
        assert (found.labels, found.undecided, found.exact) == (units, 0, 0)
        assert network.activation_pattern(frame.domain.to_input(found.witness)).tobytes() == states


def test_what_is_searched_is_said_in_words() -> None:
    few, center = arrangement(np.eye(5)[:2], np.array([0.25, -0.5])), somewhere(5)
    words = "the whole space of 5 inputs, in the 2 directions that the network sees"
    assert frame_of(few, center, None).describe() == words
    assert explore(few, center, WholeSpace(5)).to_dict()["domain"] == words
    every = arrangement(np.eye(2), np.array([0.25, -0.5]))
    assert frame_of(every, somewhere(2), None).describe() == "the whole space of 2 inputs"
    box = Box([-1.0, -1.0], [1.0, 1.0])
    assert frame_of(every, somewhere(2), box).describe() == box.describe()


def test_all_of_the_space_is_seen_through_many_inputs() -> None:
    """In 24 directions; a box around the center cannot have more cells around it than there are."""
    network, center = random_network(4, (60, 24, 6, 3)), np.random.default_rng(4).normal(size=60)
    found = explore(network, center, max_cells=None, max_hops=0)
    assert (found.status.name, found.frame.domain.dimension, found.undecided.sum()) == ("COMPLETE", 24, 0)
    assert not found.bounded.any()  # 36 inputs are free
    boxed = explore(network, center, found.frame.domain, max_cells=None, max_hops=0)
    assert set(boxed.flat_units.tolist()) <= set(found.flat_units.tolist())
    assert found.n_frontier >= 24


def test_they_are_resumed_from_files_as_if_nothing_had_been(tmp_path: Path) -> None:
    _, network, wedge, center = next(case for case in some_problems() if case[0] == "a wedge")
    whole = explore(network, center, wedge, max_cells=None)
    part = explore(network, center, wedge, max_cells=3)
    assert part.status.name == "TRUNCATED" and whole.n_cells > 3
    part.save(tmp_path / "part.npz")
    again = Exploration.load(tmp_path / "part.npz")
    assert again.frame.domain == wedge and again.frame.whole
    rest = again.resume()
    assert rest.status.name == "COMPLETE" and np.array_equal(rest.patterns, whole.patterns)
    near = explore(network, center, wedge, max_cells=None, radius=0.5)
    assert near.status.name == "COMPLETE" and near.n_cells <= whole.n_cells
    step = minimal_perturbation(network, center, wedge)
    assert step.point is None or wedge.contains(step.point, 1e-6)


def one_sided(d: int, out: int) -> Network:
    """A network whose output 0 is the largest everywhere: its weights on what is not negative are."""
    rng = np.random.default_rng([d, out])
    last = rng.normal(size=(out, 3))
    last[0] = last.max(axis=0) + 0.1
    weights = [rng.normal(size=(4, d)), rng.normal(size=(3, 4)), last if out > 1 else np.abs(last)]
    biases = [rng.normal(size=4), rng.normal(size=3), np.append(5.0, np.zeros(out - 1))]
    return Network.from_arrays(weights, biases)


@pytest.mark.parametrize(
    ("d", "out", "norm"),
    [
        (1, 1, 2),
        (2, 3, 2),
        pytest.param(2, 3, math.inf, marks=pytest.mark.slow),
        pytest.param(7, 3, 2, marks=pytest.mark.slow),
    ],
)
def test_that_nothing_else_is_predicted_anywhere_is_proven(
    d: int, out: int, norm: float, monkeypatch
) -> None:
    network, center = one_sided(d, out), somewhere(d)
    n_cells = count_cells(network, WholeSpace(d)).n_cells
    for most in ALL_BY_PROGRAMS.values() if d < 6 else (0,):
        monkeypatch.setattr(endless_margins, "MOST_LISTED_DIRECTIONS", most)
        found = minimal_perturbation(network, center, norm=norm)
        assert (found.status.name, found.lower, found.upper, found.point) == (
            "COMPLETE",
            math.inf,
            math.inf,
            None,
        )
        assert found.n_cells == n_cells
    half = Polyhedron([np.ones(d)], [1.0])
    assert minimal_perturbation(network, center, half, norm=norm).lower == math.inf
    part = minimal_perturbation(network, center, norm=norm, max_cells=n_cells - 1)
    assert part.status.name == "TRUNCATED" and part.lower < part.upper == math.inf


@pytest.mark.parametrize("most", [0, 9])
def test_another_prediction_beyond_the_reach_of_numbers_is_found(most: int, monkeypatch) -> None:
    monkeypatch.setattr(endless_margins, "MOST_LISTED_DIRECTIONS", most)
    network = Network.from_arrays([np.eye(2), [[0.0, 0.0], [1.0, 0.0]]], [[0.5, 0.5], [1000.0, 0.0]])
    found = minimal_perturbation(network, [0.0, 0.25])
    assert (found.status.name, found.new_prediction) == ("COMPLETE", 1)
    assert found.upper == pytest.approx(999.5) and found.lower == pytest.approx(999.5)
    left = minimal_perturbation(network, [0.0, 0.25], Polyhedron([[1.0, 0.0]], [999.0]))
    assert (left.status.name, left.lower) == ("COMPLETE", math.inf)


def test_cells_of_a_bounded_domain_are_bounded() -> None:
    network = random_network(2, (2, 3, 1))
    assert explore(network, [0.1, 0.2], Box([-1.0, -1.0], [1.0, 1.0])).bounded.all()


def factors_of(rows: np.ndarray, target: np.ndarray) -> list[Fraction] | None:
    """Solve y rows = target in fractions, rows square; None where they are dependent."""
    n = len(rows)
    system = [[Fraction(int(x)) for x in (*rows[:, i], target[i])] for i in range(n)]
    for k in range(n):
        pivot = next((i for i in range(k, n) if system[i][k]), None)
        if pivot is None:
            return None
        system[k], system[pivot] = system[pivot], system[k]
        system[k] = [x / system[k][k] for x in system[k]]
        for i in range(n):
            if i != k:
                system[i] = [x - system[i][k] * y for x, y in zip(system[i], system[k], strict=True)]
    return [row[-1] for row in system]


def test_sums_of_rows_are_proven_if_and_only_if_they_are_sums() -> None:
    rng = np.random.default_rng(0)
    proven = 0
    for _ in range(300):
        n = int(rng.integers(1, 5))
        rows, target = rng.integers(-3, 4, size=(n, n)), rng.integers(-3, 4, size=n)
        if rng.random() < 0.7:
            target = rng.integers(0, 4, size=n) @ rows
        factors = factors_of(rows, target)
        positive = factors is not None and min(factors) > 0
        assert follows_exactly(rows.tolist(), target.tolist()) is positive
        shown = follows(rows.astype(float), target.astype(float))
        assert shown is positive or not shown  # floats may not tell, and never err
        proven += shown
    assert proven > 60


def test_nearly_dependent_rows_prove_nothing() -> None:
    for gap in (2.0**-52, 2.0**-45):
        rows = np.array([[1.0, 1.0], [1.0, 1.0 + gap]])
        assert not follows(rows, np.array([2.0, 2.0 + gap / 2]))
    assert follows(np.array([[1.0, 1.0], [1.0, 1.0 + 2.0**-20]]), np.array([2.0, 2.0 + 2.0**-20]))
    assert not follows(np.array([[1.0, 0.0], [2.0, 0.0]]), np.array([3.0, 0.0]))


def test_a_sum_in_a_plane_of_space_is_told_in_integers() -> None:
    rows = [(1, 0, 2), (0, 1, 1)]
    for i, j in combinations(range(-1, 3), 2):
        target = [i * x + j * y for x, y in zip(*rows, strict=True)]
        assert follows_exactly(rows, target) is (i > 0 and j > 0)
    assert not follows_exactly(rows, [1, 1, 4])


@pytest.mark.parametrize("columns", [1, 2, 9, 60])
def test_rows_that_are_nearly_the_same_are_found_without_all_products(columns: int) -> None:
    rng = np.random.default_rng(columns)
    rows = rng.normal(size=(80, columns))
    rows[rng.integers(80, size=30)] = rows[rng.integers(80, size=30)]
    rows += 1e-5 * rng.normal(size=rows.shape) * (rng.random((80, 1)) < 0.3)
    rows /= np.linalg.norm(rows, axis=1)[:, None]
    near = np.argwhere(np.triu(rows @ rows.T > 1.0 - 1e-9, 1))
    assert len(near) and sorted(near_pairs(rows)) == [tuple(pair) for pair in near.tolist()]


def test_programs_over_known_facets_find_those_of_all_rows(monkeypatch) -> None:
    """In six directions with more rows than facets, the facets are those that programs over all rows find."""
    network = generic(6, 24)
    frame = frame_of(network, somewhere(6), None)
    finder = ConeProgramFinder(network, frame)
    pattern = finder.pattern_at(frame.at)
    assert pattern is not None
    found = finder.find(pattern, frame.at)
    monkeypatch.setattr(ConeProgramFinder, "_is_decided_by_facets", lambda *_: False)
    again = finder.find(pattern, frame.at)
    assert found.labels == again.labels and found.neighbours == again.neighbours
    assert found.undecided == again.undecided == 0 and 0 < len(found.labels) < 24
