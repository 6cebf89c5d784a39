"""Laws of the cells that meet a ball: exact distances, volumes against samples, counts that grow."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from judging import pattern_tuples
from naive import naive_complex
from networks import problem_of
from strategies import Case, examples, rational_networks

from regions import BallCells, Box, Network, ball_cells, count_cells
from regions.errors import CertificateError, InvalidDomainError, InvalidInputError
from regions.rational import squared_distance

NORMS = [1.0, 2.0, math.inf]


def deep(d: int, seed: int = 0) -> Network:
    rng = np.random.default_rng([seed, d])
    shapes = [(7, d), (6, 7), (1, 6)]
    return Network.from_arrays(
        [rng.normal(size=s) for s in shapes], [0.4 * rng.normal(size=s[0]) for s in shapes]
    )


def in_ball(offsets: np.ndarray, norm: float, radius: float) -> np.ndarray:
    return np.linalg.norm(offsets, ord=norm, axis=1) < radius


@pytest.mark.sweep(1, 5)
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("d", [1, 2, 3])
def test_samples_fall_in_the_cells_in_proportion(d: int, norm: float) -> None:
    rng = np.random.default_rng(d)
    network, center, radius, n = deep(d), np.full(d, 0.1), 0.9, 20_000
    found = ball_cells(network, center, radius, norm=norm)
    offsets = rng.uniform(-radius, radius, size=(n, d))
    offsets = offsets[in_ball(offsets, norm, radius)]
    patterns = network.activation_pattern(center + offsets)
    volumes, errors = found.volumes
    whole = (2 * radius) ** d * {
        math.inf: 1.0,
        1.0: 1 / math.factorial(d),
        2.0: math.pi ** (d / 2) / math.gamma(d / 2 + 1) / 2**d,
    }[norm]
    assert volumes.sum() == pytest.approx(whole, rel=1e-8) and (errors <= 1e-6 * whole).all()
    hits = dict.fromkeys(map(bytes, patterns), 0)
    for pattern in map(bytes, patterns):
        hits[pattern] += 1
    names = [bytes(found.complex.pattern(int(cell))) for cell in found.cells]
    assert set(hits) <= set(names)
    shares = volumes / whole
    counts = np.array([hits.get(name, 0) for name in names])
    z = (counts - len(offsets) * shares) / np.sqrt(len(offsets) * shares * (1 - shares) + 1e-9)
    assert np.abs(z[shares * len(offsets) > 20]).max() < 4.5
    inscribed = {1.0: d**-0.5, 2.0: 1.0, math.inf: 1.0}[norm] * radius
    assert (found.inradii <= (radius if norm == 2.0 else inscribed) * (1 + 1e-6)).all()


@pytest.mark.parametrize("norm", NORMS)
def test_counts_grow_with_the_radius_and_balls_lie_in_each_other(norm: float) -> None:
    network, center = deep(3, seed=2), np.zeros(3)
    counts = [ball_cells(network, center, r, norm=norm).count for r in (0.01, 0.2, 0.5, 1.0, 2.0)]
    assert all(a <= b for a, b in pairwise(counts)) and counts[0] < counts[-1]
    sets = []
    for other in NORMS:  # a ball of norm 1 is in that of norm 2, and that in the one of norm inf
        found = ball_cells(network, center, 0.7, norm=other)
        sets.append({bytes(found.complex.pattern(int(cell))) for cell in found.cells})
    assert sets[0] <= sets[1] <= sets[2]


Corner = tuple[Fraction, ...]


def exact_distance(corners: Sequence[Corner], norm: float) -> Fraction:
    """Return the distance of a polygon from 0, squared in the norm 2, by all its segments between corners.

    In the other norms it is attained where a segment meets an axis, a diagonal, or at a corner.
    """
    best: list[Fraction] = []
    for a, b in combinations(corners, 2):
        step = [y - x for x, y in zip(a, b, strict=True)]
        square = sum(x * x for x in step)
        shares = [Fraction(0), Fraction(1), -sum(x * y for x, y in zip(a, step, strict=True)) / square]
        for i, j in ((1, 0), (0, 1), (1, 1), (1, -1)):  # where i x + j y = 0
            slope = i * step[0] + j * step[1]
            shares += [-(i * a[0] + j * a[1]) / slope] if slope else []
        for share in shares:
            if 0 <= share <= 1:
                x, y = (abs(p + share * q) for p, q in zip(a, step, strict=True))
                best.append(x * x + y * y if norm == 2.0 else x + y if norm == 1.0 else max(x, y))
    return min(best)


@pytest.mark.parametrize("norm", NORMS)
@given(rational_networks(max_dimension=2, max_layers=2, max_width=3))
@examples(30, 4)
def test_a_cell_is_in_the_ball_if_and_only_if_fractions_say_so(norm: float, case: Case) -> None:
    network, _ = problem_of(case)
    assume(network.input_dim == 2)
    center, radius = np.array([0.25, -0.125]), 0.75
    wide = Box(center - 4.0, center + 4.0)  # distances within the radius are those of the whole cells
    truth = naive_complex(network.weights, network.biases, network.relu, wide.halfspaces)
    limit = Fraction(radius) ** (2 if norm == 2.0 else 1)
    wanted, squares = set(), {}
    for cell in truth.cells:
        corners = [
            tuple(Fraction(x, ray[0]) - Fraction(c) for x, c in zip(ray[1:], center.tolist(), strict=True))
            for ray in cell.polytope.vertices
        ]
        inside = all(_at(row, center.tolist()) >= 0 for row in cell.polytope.facets)
        distance = Fraction(0) if inside else exact_distance(corners, norm)
        if distance < limit:
            wanted.add(tuple(cell.pattern))
            squares[tuple(cell.pattern)] = distance
    found = ball_cells(network, center, radius, norm=norm)
    ours = [pattern_tuples(found.complex)[k] for k in found.cells]
    assert set(ours) == wanted and found.count == len(wanted)
    if norm == 2.0:
        assert dict(zip(ours, found.squared_distances, strict=True)) == squares


def _at(row: Sequence[int], point: Sequence[float]) -> Fraction:
    return row[0] + sum((a * Fraction(x) for a, x in zip(row[1:], point, strict=True)), Fraction(0))


def test_a_ball_of_the_maximum_norm_is_a_box() -> None:
    network, center = deep(2), np.array([0.25, -0.5])
    found = ball_cells(network, center, 0.75, norm=math.inf)
    assert found.count == count_cells(network, Box(center - 0.75, center + 0.75)).cells


def test_lines_that_touch_the_ball_are_told_from_those_that_cut_it() -> None:
    """The line 3 x + 4 y = 5 has the distance 1 exactly, and so has the crossing of y = 0.6 and x = 0.8."""
    line = Network.from_arrays([[[3.0, 4.0]], [[1.0]]], [[-5.0], [0.0]])
    above = math.nextafter(1.0, 2.0)
    assert [ball_cells(line, [0.0, 0.0], r).count for r in (math.nextafter(1.0, 0.0), 1.0, above)] == [
        1,
        1,
        2,
    ]
    found = ball_cells(line, [0.0, 0.0], above)
    assert sorted(found.squared_distances) == [0, 1]
    corner = Network.from_arrays([[[1.0, 0.0], [0.0, 1.0]], [[1.0, 1.0]]], [[-0.75, -1.0], [0.0]])
    assert [ball_cells(corner, [0.0, 0.0], r).count for r in (0.75, 1.0, 1.25, 1.2500000001)] == [1, 2, 3, 4]
    assert ball_cells(corner, [0.0, 0.0], 2.0).distance_to_boundary == 0.75
    assert ball_cells(corner, [0.0, 0.0], 0.5).distance_to_boundary == math.inf
    assert ball_cells(corner, [0.75, 0.0], 0.5).distance_to_boundary == 0.0


def farthest_rows(rows: Sequence[Sequence[int]]) -> float:
    """Return the distance by brute force: nearest points of all faces that are inside."""
    floats = np.array(rows, dtype=float)
    best = 0.0 if (floats[:, -1] >= 0).all() else math.inf
    d = floats.shape[1] - 1
    for size in range(1, d + 1):
        for chosen in combinations(floats, size):
            part = np.array(chosen)
            point = np.linalg.lstsq(part[:, :-1], -part[:, -1], rcond=None)[0]
            fits = np.allclose(part[:, :-1] @ point, -part[:, -1], atol=1e-9)
            if fits and (floats[:, :-1] @ point + floats[:, -1] >= -1e-9).all():
                best = min(best, float(point @ point))
    return best


@pytest.mark.parametrize("seed", range(25))
def test_exact_distances_are_those_of_the_nearest_faces(seed: int) -> None:
    rng = np.random.default_rng(seed)
    d, m = int(rng.integers(1, 4)), int(rng.integers(1, 7))
    inside = rng.integers(-4, 5, size=d)
    normals = rng.integers(-3, 4, size=(m, d))
    normals = normals[normals.any(axis=1)]
    if len(normals) == 0:
        normals = np.eye(d, dtype=int)
    rows = [(*map(int, a), int(rng.integers(0, 3) - a @ inside)) for a in normals]
    found = squared_distance(rows)
    assert isinstance(found, Fraction) and float(found) == pytest.approx(farthest_rows(rows), abs=1e-9)
    assert squared_distance(rows, likely=list(range(len(rows)))) == found


def test_an_empty_polyhedron_has_no_distance() -> None:
    with pytest.raises(CertificateError):
        squared_distance([(1, 0, -1), (-1, 0, -1)])


def test_what_cannot_be_used_is_refused() -> None:
    network = deep(2)
    for norm in (3, 0.5, "2"):
        with pytest.raises(InvalidInputError, match="choose 1, 2 or inf"):
            ball_cells(network, [0.0, 0.0], 1.0, norm=norm)  # type: ignore[arg-type]
    for radius in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(InvalidInputError, match="above 0"):
            ball_cells(network, [0.0, 0.0], radius)
    with pytest.raises(InvalidDomainError, match="explore"):
        ball_cells(network, np.zeros(9), 1.0)
    with pytest.raises(InvalidDomainError):
        ball_cells(network, [0.0, 0.0, 0.0], 1.0)
    part = ball_cells(network, [0.0, 0.0], 5.0, max_cells=3)
    assert part.complex.status.name == "TRUNCATED" and part.count <= 3


@pytest.mark.sweep(1)
@pytest.mark.parametrize(("word", "norm"), [("2", 2.0), ("1", 1.0), ("inf", math.inf)])
def test_the_command_line_counts_in_balls(run, tmp_path: Path, word: str, norm: float) -> None:
    deep(2).save(tmp_path / "net.npz")
    np.save(tmp_path / "x.npy", [0.1, 0.1])
    start = ["count", tmp_path / "net.npz", "--ball", tmp_path / "x.npy"]
    found = ball_cells(deep(2), [0.1, 0.1], 0.8, norm=norm)
    code, out, _ = run(*start, "--radius", "0.8", "--norm", word, "--json")
    facts = json.loads(out)
    assert (code, facts["cells"], facts["norm"]) == (0, found.count, word)
    assert len(facts["inradii"]) == len(facts["volumes"]) == found.count
    assert run(*start, "--radius", "0.8", "--norm", word)[0] == 0
    file = tmp_path / "ball.regions"
    code, out, err = run("enumerate", *start[1:], "--radius", "0.8", "--norm", word, "-o", file, "--json")
    assert code == 0 and json.loads(out)["cells"] == found.count
    assert BallCells.load(file).squared_distances == found.squared_distances
    for words in (["locus", file], ["verify", file], ["plot", file, "-o", tmp_path / "ball.png"]):
        assert run(*words)[0] == 0
    if norm == 2.0:
        code, _, err = run("enumerate", *start[1:], "--radius", "0.8", "--folder", tmp_path / "cells")
        assert code == 2 and "give --output FILE" in err and err.count("\n") == 1
        code, out, _ = run("verify", file, "--json")
        assert (code, json.loads(out)["ball"]) == (0, "ok")
        wrong = replace(found, cells=found.cells[1:], squared_distances=found.squared_distances[1:])
        wrong.save(file)
        code, out, _ = run("verify", file)
        assert code == 1 and "cells meet the ball" in out
    for words, says in (
        (start, "go together"),
        (["enumerate", *start[1:], "--radius", "1", "--box", "-1", "1", "-o", file], "without another"),
        ([*start, "--radius", "1", "--norm", "3"], "choose 1, 2, inf"),
        ([*start, "--radius", "1", "--box", "-1", "1"], "without another domain"),
        ([*start, "--radius", "1", "--engine", "lp"], "leave out --engine lp"),
        ([*start, "--radius", "-1"], "above 0"),
    ):
        code, out, err = run(*words)
        assert (code, out) == (2, "") and says in err and err.count("\n") == 1
