"""Laws of the whole space: closed forms of arrangements, brute force without a box, what has an end."""

from __future__ import annotations

import copy
import json
import math
import pickle
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from judging import pattern_tuples
from naive_unbounded import endless_cells, endless_facets
from networks import problem_of
from strategies import Case, examples, rational_networks

from regions import (
    Box,
    CellComplex,
    CroftonLines,
    GaussianDensity,
    GaussianMixtureDensity,
    Network,
    Polyhedron,
    Polytope,
    UniformDensity,
    WholeSpace,
    adjacency_graph,
    cell_halfspaces,
    cell_masses,
    cell_width,
    chebyshev_ball,
    count_cells,
    count_regions,
    enumerate_cells,
    exact_local_complexity,
    exact_value,
    locus_volume,
    output_range,
    project_onto_cell,
    read_graph,
    restricted,
    sum_over_cells,
    verify,
    write_graph,
)
from regions.domain import domain_from_dict
from regions.errors import CertificateError, InvalidDomainError, InvalidInputError, RegionsError
from regions.plotting import plot_cells, plot_graph


def arrangement(normals: Sequence[Sequence[float]], offsets: Sequence[float]) -> Network:
    """Return a network of one layer whose units vanish on hyperplanes n.x + c = 0."""
    return Network.from_arrays([normals, np.ones((1, len(offsets)))], [offsets, [0.0]])


def generic(d: int, m: int, seed: int = 0) -> Network:
    rng = np.random.default_rng([seed, d, m])
    return arrangement(rng.normal(size=(m, d)), rng.normal(size=m))


def deep(d: int, seed: int = 0, width: int = 6) -> Network:
    rng = np.random.default_rng([seed, d])
    shapes = [(width, d), (width, width), (1, width)]
    return Network.from_arrays(
        [rng.normal(size=s) for s in shapes], [0.4 * rng.normal(size=s[0]) for s in shapes]
    )


def rank_of(rows: Sequence[Sequence[Fraction]]) -> int:
    rows, rank = [list(row) for row in rows], 0
    for column in range(len(rows[0]) if rows else 0):
        pivot = next((i for i in range(rank, len(rows)) if rows[i][column]), None)
        if pivot is None:
            continue
        rows[rank], rows[pivot] = rows[pivot], rows[rank]
        for i in range(rank + 1, len(rows)):
            factor = rows[i][column] / rows[rank][column]
            rows[i] = [x - factor * y for x, y in zip(rows[i], rows[rank], strict=True)]
        rank += 1
    return rank


def whitney(normals: Sequence[Sequence[float]], offsets: Sequence[float]) -> tuple[int, int]:
    """Return the numbers of cells, and of bounded ones where the rank is full, by Whitney's theorem."""
    rows = [[Fraction(x) for x in (*a, c)] for a, c in zip(normals, offsets, strict=True)]
    cells, bounded = 1, 1
    for size in range(1, len(rows) + 1):
        for chosen in combinations(rows, size):
            rank = rank_of([row[:-1] for row in chosen])
            if rank == rank_of(chosen):  # they meet
                cells += (-1) ** (size - rank)
                bounded += (-1) ** size
    return cells, abs(bounded)


@pytest.mark.parametrize(
    ("d", "m", "cells"),
    [
        (2, 8, 37),
        (2, 16, 137),
        (3, 8, 93),
        (3, 16, 697),
        (4, 8, 163),
        (5, 8, 219),
        pytest.param(4, 16, 2517, marks=pytest.mark.slow),
        pytest.param(5, 16, 6885, marks=pytest.mark.slow),
    ],
)
def test_generic_hyperplanes_have_the_cells_of_zaslavsky(d: int, m: int, cells: int) -> None:
    assert cells == sum(math.comb(m, j) for j in range(d + 1))
    found = count_cells(generic(d, m), WholeSpace(d))
    assert (found.cells, found.dimension, found.status.name) == (cells, d, "COMPLETE")
    assert found.certificate.proven and found.volume_sum is None


@pytest.mark.parametrize(("d", "m"), [(1, 5), (2, 8), (3, 6), pytest.param(4, 7, marks=pytest.mark.slow)])
def test_as_many_are_bounded_as_zaslavsky_says(d: int, m: int) -> None:
    cells = enumerate_cells(generic(d, m), WholeSpace(d))
    assert cells.n_cells == sum(math.comb(m, j) for j in range(d + 1))
    assert cells.bounded.sum() == math.comb(m - 1, d)
    # a facet is a cell of the other hyperplanes on one
    assert cells.facets.interior.all()
    assert len(cells.facets) == m * sum(math.comb(m - 1, j) for j in range(d))
    assert np.isfinite(cells.facets.volume).sum() == m * math.comb(m - 2, d - 1)


def braid(n: int, shifts: Sequence[float]) -> Network:
    """Return x_i - x_j = s for i < j in the differences of n coordinates, which are n - 1 coordinates."""
    steps = [[1.0 if i <= k < j else 0.0 for k in range(n - 1)] for i, j in combinations(range(n), 2)]
    return arrangement([a for a in steps for _ in shifts], [-s for _ in steps for s in shifts])


@pytest.mark.parametrize("n", [3, 4])
def test_braid_shi_catalan_and_linial_arrangements(n: int) -> None:
    space = WholeSpace(n - 1)
    catalan = math.comb(2 * n, n) // (n + 1)
    linial = sum(math.comb(n, k) * (k + 1) ** (n - 1) for k in range(n + 1)) // 2**n
    for shifts, wanted in (
        ([0.0], math.factorial(n)),
        ([0.0, 1.0], (n + 1) ** (n - 1)),
        ([-1.0, 0.0, 1.0], math.factorial(n) * catalan),
        ([1.0], linial),
    ):
        assert count_cells(braid(n, shifts), space).cells == wanted


def test_bounded_cells_of_the_shi_arrangement() -> None:
    cells = enumerate_cells(braid(3, [0.0, 1.0]), WholeSpace(2))
    assert (cells.n_cells, cells.bounded.sum()) == (16, 4)  # (n + 1)^(n - 1), (n - 1)^(n - 1)
    assert verify(cells).ok


@pytest.mark.parametrize("d", [2, 3, 4, 5])
def test_central_and_parallel_hyperplanes(d: int) -> None:
    rng = np.random.default_rng(d)
    m = 7
    central = arrangement(rng.normal(size=(m, d)), np.zeros(m))
    assert count_cells(central, WholeSpace(d)).cells == 2 * sum(math.comb(m - 1, j) for j in range(d))
    counts = [1, 3, 2, 1, 2][:d]
    grid = arrangement(
        np.repeat(np.eye(d), counts, axis=0), [float(k) for count in counts for k in range(count)]
    )
    cells = count_cells(grid, WholeSpace(d)).cells
    assert cells == math.prod(count + 1 for count in counts)
    if d < 4:
        listed = enumerate_cells(grid, WholeSpace(d))
        assert listed.n_cells == cells
        assert listed.bounded.sum() == math.prod(count - 1 for count in counts)
        assert verify(listed).ok


@pytest.mark.sweep(5)
@pytest.mark.parametrize("seed", range(30))
def test_degenerate_arrangements_have_the_cells_of_whitney(seed: int) -> None:
    rng = np.random.default_rng(seed)
    d, m = int(rng.integers(1, 4)), int(rng.integers(2, 8))
    rows = np.unique(rng.integers(-1, 2, size=(m, d + 1)), axis=0)
    rows = rows[rows[:, :d].any(axis=1)]
    keys = {tuple(row if next(x for x in row if x) > 0 else -row) for row in rows.tolist() and rows}
    rows = np.array(sorted(keys), dtype=float)
    normals, offsets = rows[:, :d], rows[:, d]
    cells, bounded = whitney(normals.tolist(), offsets.tolist())
    network = arrangement(normals, offsets)
    assert count_cells(network, WholeSpace(d)).cells == cells
    assert count_cells(network, WholeSpace(d), engine="lp").cells == cells
    listed = enumerate_cells(network, WholeSpace(d))
    assert listed.n_cells == cells
    if np.linalg.matrix_rank(normals) == d:
        assert listed.bounded.sum() == bounded
    else:
        assert not listed.bounded.any() and not listed.n_vertices.any()
    # deletion and restriction: the last hyperplane cuts as many cells as there are on it
    deleted = (
        count_cells(arrangement(normals[:-1], offsets[:-1]), WholeSpace(d)).cells if len(rows) > 1 else 1
    )
    on_last = (listed.facets.unit == len(rows) - 1).sum()
    assert cells == deleted + on_last


@pytest.mark.kernels
@given(rational_networks(max_dimension=3, max_layers=2, max_width=3))
@examples(36, 4)
def test_deep_networks_have_the_cells_of_the_brute_force(case: Case) -> None:
    network, box = problem_of(case)
    problem = network.weights, network.biases, network.relu
    truth = endless_cells(*problem)
    ours = enumerate_cells(network, WholeSpace(box.dimension))
    flags = dict(zip(pattern_tuples(ours), ours.bounded.tolist(), strict=True))
    assert flags == {cell.pattern: cell.bounded for cell in truth}
    patterns = pattern_tuples(ours)
    table = ours.facets
    found = {
        (*sorted((patterns[a], patterns[b])), bool(np.isfinite(volume) or box.dimension == 1))
        for a, b, volume in zip(table.cell_a, table.cell_b, table.volume, strict=True)
    }
    assert found == {(f.first, f.second, f.bounded) for f in endless_facets(truth, *problem)}
    assert count_cells(network, WholeSpace(box.dimension)).cells == len(truth)
    assert verify(ours).ok


@pytest.mark.parametrize("d", [1, 2, 3])
def test_boxes_grow_into_the_whole_space(d: int) -> None:
    network = deep(d)
    whole = count_cells(network, WholeSpace(d)).cells
    counts = [count_cells(network, Box([-w] * d, [w] * d)).cells for w in (0.5, 4.0, 2.0**10, 2.0**40)]
    assert all(a <= b for a, b in pairwise(counts)) and counts[0] < whole == counts[-1]
    listed = enumerate_cells(network, WholeSpace(d))
    assert listed.n_cells == whole == count_cells(network, WholeSpace(d), engine="lp").cells
    assert listed.volume_sum == np.inf and listed.clipped is not None
    assert set(pattern_tuples(listed)) == set(pattern_tuples(listed.clipped))
    small = enumerate_cells(network, Box([-64.0] * d, [64.0] * d))
    index = {pattern: k for k, pattern in enumerate(pattern_tuples(listed))}
    touched = set(small.facets.cell_a[small.facets.side >= 0].tolist())
    for k, pattern in enumerate(pattern_tuples(small)):
        if k not in touched:
            assert listed.volumes[index[pattern]] == pytest.approx(small.volumes[k], rel=1e-9)


@pytest.mark.parametrize("d", [1, 2, 3])
def test_rays_lead_out_of_unbounded_cells(d: int) -> None:
    cells = enumerate_cells(deep(d, seed=4), WholeSpace(d))
    for i in range(cells.n_cells):
        rays, planes = cells.rays(i), cell_halfspaces(cells, i)
        assert (len(rays) == 0) is bool(cells.bounded[i])
        assert (planes.A @ rays.T <= 1e-12).all()
        assert len(planes.b) == cells.n_facets[i]
        if len(rays):
            far = cells.witnesses[i] + 1e3 * rays.mean(axis=0)
            assert cells.locate(far[None])[0] in (i, -1) or d > 1
        corners = cells.vertices(i)
        assert len(corners) == cells.n_vertices[i]
        assert (planes.b[:, None] + 1e-6 >= planes.A @ corners.T).all()


@pytest.mark.parametrize("d", [1, 2, 3])
def test_values_and_distances_on_unbounded_cells(d: int) -> None:
    cells, rng = enumerate_cells(deep(d, seed=4, width=4), WholeSpace(d)), np.random.default_rng(d)
    endless = np.flatnonzero(~cells.bounded)[:6]
    assert len(endless) > 1
    for i in endless.tolist():
        corners, rays = cells.vertices(i), cells.rays(i)
        slope, offset = cells.network.affine_map(cells.pattern(i))
        for found, gradient, shift in (
            (output_range(cells, i), slope[0], offset[0]),
            (cell_width(cells, i, [1.0] * d), np.ones(d) / np.sqrt(d), 0.0),
        ):
            grows = rays @ gradient
            for end, point, sign in ((found.low, found.low_point, 1.0), (found.high, found.high_point, -1.0)):
                if (sign * grows < -1e-9).any():
                    assert end == -sign * np.inf and np.isnan(point).all()
                elif (sign * grows > -1e-12).all():
                    assert end == pytest.approx(sign * (sign * (corners @ gradient)).min() + shift, abs=1e-9)
                    assert gradient @ point + shift == pytest.approx(end, abs=1e-9)
        planes, x = cell_halfspaces(cells, i), rng.normal(size=d)
        for norm in (2.0, np.inf):
            near = project_onto_cell(cells, i, x, norm=norm)
            assert np.linalg.norm(near.point - x, ord=norm) == pytest.approx(near.distance, abs=1e-6)
            assert (planes.A @ near.point <= planes.b + 1e-6).all()
            others = (
                corners[rng.integers(len(corners), size=99)] + rng.exponential(size=(99, len(rays))) @ rays
            )
            assert (np.linalg.norm(others - x, ord=norm, axis=1) >= near.distance - 1e-6).all()
    with pytest.raises(InvalidInputError, match="enumerate on a box that holds both"):
        project_onto_cell(cells, int(endless[0]), -1e9 * cells.rays(int(endless[0]))[0])


def test_hyperplanes_without_vertices() -> None:
    cells = enumerate_cells(arrangement([[1.0, 1.0, 0.0]], [0.25]), WholeSpace(3))
    assert (cells.n_cells, cells.bounded.any(), cells.n_vertices.tolist()) == (2, False, [0, 0])
    assert np.isinf(cells.facets.volume).tolist() == [True]
    rays = cells.rays(0)
    assert len(rays) == 5 and np.allclose(np.linalg.norm(rays, axis=1), 1.0)
    assert verify(cells).ok
    one = enumerate_cells(Network.from_arrays([[[1.0, 2.0]]], [[3.0]]), WholeSpace(2))
    assert one.n_cells == 1 and len(one.facets) == 0 and verify(one).ok


def test_far_vertices_widen_the_box() -> None:
    nearly = arrangement([[1.0, 0.0], [1.0, 2.0**-16], [0.0, 1.0]], [0.0, 1.0, 1.0])
    cells = enumerate_cells(nearly, WholeSpace(2))
    assert (cells.n_cells, cells.bounded.sum()) == (7, 1)
    assert cells.clipped is not None and cells.clipped.domain.extent().max() >= 2.0**17
    assert verify(cells).ok
    farther = arrangement([[1.0, 0.0], [1.0, 2.0**-50], [0.0, 1.0]], [0.0, 1.0, 1.0])
    assert count_cells(farther, WholeSpace(2)).cells == 7
    with pytest.raises(RegionsError, match="count the cells, or rescale"):
        enumerate_cells(farther, WholeSpace(2))


def test_files_pickles_and_what_was_changed(tmp_path: Path) -> None:
    cells = enumerate_cells(deep(2), WholeSpace(2))
    cells.save(tmp_path / "cells.regions")
    for again in (CellComplex.load(tmp_path / "cells.regions"), pickle.loads(pickle.dumps(cells))):
        assert again.domain == WholeSpace(2) and np.array_equal(again.volumes, cells.volumes)
        assert np.array_equal(again.n_vertices, cells.n_vertices)
        assert np.array_equal(again.facets.volume, cells.facets.volume)
        assert verify(again).ok
    volumes = cells.volumes.copy()
    volumes[np.flatnonzero(cells.bounded)[0]] = np.inf
    facets = replace(cells.facets, volume=np.where(np.isinf(cells.facets.volume), 1.0, cells.facets.volume))
    for changed in (replace(cells, volumes=volumes), replace(cells, facets=facets)):
        with pytest.raises(CertificateError):
            verify(changed)
    report = verify(cells, max_cells=5, rng=np.random.default_rng(0))
    assert report.ok and report.cells_checked == 5
    assert copy.deepcopy(cells).n_cells == cells.n_cells


def test_a_box_that_hides_vertices_is_found_out() -> None:
    cells = enumerate_cells(generic(2, 8), WholeSpace(2))
    from regions.complexes.unbounded_cells import clipping_facets, with_infinity

    small = enumerate_cells(generic(2, 8), Box([-1.0, -1.0], [1.0, 1.0]))
    hidden = with_infinity(small, WholeSpace(2), clipping_facets(small, WholeSpace(2)), small.n_vertices)
    assert hidden.n_cells < cells.n_cells
    with pytest.raises(CertificateError, match=r"not inside the box|volume says otherwise"):
        verify(hidden)


def test_six_definitions_and_the_graph(tmp_path: Path) -> None:
    network = Network.from_arrays(  # relu(relu(x) - y) - relu(x)
        [[[1, 0], [0, 1], [0, -1]], [[1, -1, 1], [1, 0, 0]], [[1, -1]]], [[0, 0, 0], [0, 0], [0]]
    )
    cells = enumerate_cells(network, WholeSpace(2))
    names = ("activation", "cell", "convex", "open", "closed", "affine")
    assert [int(count_regions(cells, name)) for name in names] == [7, 5, 4, 3, 3, 3]
    graph = adjacency_graph(cells)
    assert graph.number_of_nodes() == 5 and graph.nodes[0]["bounded"] is False
    for name in ("g.graphml", "g.gexf", "g.json", "g.csv", "g.npz"):
        write_graph(graph, tmp_path / name)
        if name in ("g.csv", "g.npz"):  # these are written only
            continue
        again = read_graph(tmp_path / name)
        assert again.number_of_edges() == graph.number_of_edges()
        assert float(again.nodes[next(iter(again.nodes))]["volume"]) == np.inf


def test_a_gaussian_weighs_the_whole_space() -> None:
    rng = np.random.default_rng(3)
    network, mean = generic(2, 6), np.array([0.5, -1.0])
    normals, offsets = network.weights[0], network.biases[0]
    cov = np.array([[0.5, 0.2], [0.2, 1.5]])
    density = GaussianDensity(mean, cov)
    cells = enumerate_cells(network, WholeSpace(2))
    variance = np.einsum("ij,jk,ik->i", normals, cov, normals)
    bells = np.exp(-0.5 * (offsets + normals @ mean) ** 2 / variance) / np.sqrt(2 * np.pi * variance)
    wanted = float((np.linalg.norm(normals, axis=1) * bells).sum())
    found = locus_volume(cells, density)
    assert found.total == pytest.approx(wanted, rel=1e-9) and found.mass == pytest.approx(1.0, abs=1e-9)
    assert locus_volume(cells).total == np.inf
    masses, _ = cell_masses(cells, density)
    assert masses.sum() == pytest.approx(1.0, abs=1e-9) and len(masses) == cells.n_cells
    assert sum_over_cells(cells, density, eps=0.01).mass == pytest.approx(1.0, abs=1e-9)
    mixture = GaussianMixtureDensity([0.5, 0.5], [mean, mean], [cov, cov])
    assert locus_volume(cells, mixture).total == pytest.approx(wanted, rel=1e-6)
    exact = exact_local_complexity(network, WholeSpace(2), density, 0.0, 2, rng)
    assert exact.mean == pytest.approx(wanted, rel=1e-9)
    lines = CroftonLines()
    estimate = lines.estimate(network, density, rng, 20_000, domain=WholeSpace(2))
    assert abs(estimate.mean - wanted) < 4.5 * estimate.stderr
    assert exact_value(lines.target, network, WholeSpace(2), density, rng, 2).mean == pytest.approx(wanted)


def test_densities_are_restricted_to_what_has_no_end() -> None:
    density = GaussianDensity(np.array([0.5, -1.0]), np.diag([0.5, 1.5]))
    assert restricted(density, WholeSpace(2)) is density
    half = Polyhedron([[1.0, 0.0]], [0.5])  # through the mean, so that it has half of the mass
    cells = enumerate_cells(generic(2, 4), half)
    masses, _ = cell_masses(cells, density)
    assert masses.sum() == pytest.approx(0.5, abs=1e-9)
    shares, _ = cell_masses(cells, restricted(density, half))
    np.testing.assert_allclose(shares, 2.0 * masses, atol=1e-9)
    assert (restricted(density, half).sample(50, np.random.default_rng(0))[:, 0] <= 0.5).all()


def test_what_makes_no_sense_is_refused_in_one_line() -> None:
    cells = enumerate_cells(generic(2, 4), WholeSpace(2))
    unbounded = int(np.flatnonzero(~cells.bounded)[0])
    refused = {
        "uniform": lambda: UniformDensity(WholeSpace(2)),
        "sample": lambda: WholeSpace(2).sample(3, np.random.default_rng(0)),
        "masses": lambda: cell_masses(cells),
        "ball": lambda: chebyshev_ball(cells, unbounded),
        "polygons": cells.polygons,
        "simplices": cells.facet_simplices,
        "volumes": lambda: count_cells(generic(2, 4), WholeSpace(2), check_volumes=True),
        "planar": lambda: count_cells(generic(2, 4), WholeSpace(2), engine="planar"),
        "inputs": lambda: count_cells(generic(2, 4), WholeSpace(3)),
        "many": lambda: enumerate_cells(generic(8, 2), WholeSpace(8)),
        "none": lambda: WholeSpace(0),
    }
    for call in refused.values():
        with pytest.raises((InvalidInputError, InvalidDomainError)) as caught:
            call()
        assert "\n" not in str(caught.value)
    bounded = int(np.flatnonzero(cells.bounded)[0])
    assert chebyshev_ball(cells, bounded).radius > 0.0


def test_limits_leave_cells_that_are_shown_as_they_are() -> None:
    network = deep(2, width=8)
    whole = enumerate_cells(network, WholeSpace(2))
    flags = dict(zip(pattern_tuples(whole), whole.volumes.tolist(), strict=True))
    for limit in (1, 7, whole.n_cells - 1):
        part = enumerate_cells(network, WholeSpace(2), max_cells=limit)
        assert part.status.name == "TRUNCATED" and part.certificate.stopped_by == "max_cells"
        assert part.n_cells == limit
        for pattern, volume in zip(pattern_tuples(part), part.volumes.tolist(), strict=True):
            assert volume == pytest.approx(flags[pattern], rel=1e-6)
    for limit in (whole.n_cells, None):
        assert enumerate_cells(network, WholeSpace(2), max_cells=limit).status.name == "COMPLETE"
    assert count_cells(network, WholeSpace(2), max_cells=3).status.name == "TRUNCATED"


@pytest.mark.sweep(1)
@pytest.mark.parametrize("engine", ["lp", "both", "cells"])
def test_engines_agree_on_the_whole_space(engine: str) -> None:
    network = deep(3, seed=2, width=3)
    one, other = (enumerate_cells(network, WholeSpace(3), engine=e) for e in ("auto", engine))
    assert sorted(pattern_tuples(one)) == sorted(pattern_tuples(other))
    assert one.bounded.sum() == other.bounded.sum() and len(one.facets) == len(other.facets)
    assert count_cells(network, WholeSpace(3), engine=engine).cells == one.n_cells


def test_unbounded_polytopes_are_parts_of_the_whole_space() -> None:
    network = deep(2, seed=1)
    rows = np.array([[-1.0, 0.25], [0.5, -1.0], [-1.0, -1.0]])
    wedge = Polyhedron(rows, [0.5, 0.25, 9.0])
    assert wedge.n_sides == 2 and wedge.contains(wedge.interior_point())
    assert domain_from_dict(json.loads(json.dumps(wedge.to_dict()))) == wedge
    cells = enumerate_cells(network, wedge)
    far = Polytope([*rows, [1.0, 0.0], [0.0, 1.0]], [0.5, 0.25, 9.0, 2.0**30, 2.0**30])
    assert cells.n_cells == count_cells(network, wedge).cells == count_cells(network, far).cells
    assert verify(cells).ok and set(cells.facets.side.tolist()) == {-1, 0, 1}
    whole = set(pattern_tuples(enumerate_cells(network, WholeSpace(2))))
    assert set(pattern_tuples(cells)) <= whole
    for A, b, says in (
        ([[1.0, 0.0], [-1.0, 0.0]], [-1.0, 0.0], "empty"),
        ([[1.0, 0.0], [-1.0, 0.0]], [0.0, 0.0], "flat"),
        ([[1.0], [-1.0]], [1.0, 1.0], "bounded: take Polytope"),
        ([[0.0, 0.0]], [1.0], "take WholeSpace"),
    ):
        with pytest.raises(InvalidDomainError, match=says):
            Polyhedron(A, b)


def test_a_strip_goes_on_in_one_direction_only() -> None:
    strip = Polyhedron([[1.0, 0.0], [-1.0, 0.0]], [1.0, 1.0])
    network = arrangement([[1.0, 0.0], [0.0, 1.0], [-2.0, 0.0], [1.0, 1.0]], [0.0, 0.0, 1.0, 0.0])
    cells = enumerate_cells(network, strip)
    assert cells.n_cells == count_cells(network, strip).cells == 9
    ends = dict(zip(pattern_tuples(cells), cells.bounded.tolist(), strict=True))
    box = enumerate_cells(network, Box([-1.0, -64.0], [1.0, 64.0]))
    touched = set(box.facets.cell_a[np.isin(box.facets.side, [0, 2])].tolist())  # below and above
    assert ends == {pattern: k not in touched for k, pattern in enumerate(pattern_tuples(box))}
    assert verify(cells).ok


def test_pictures_are_clipped_with_a_note() -> None:
    cells = enumerate_cells(deep(2), WholeSpace(2))
    for axes in (plot_cells(cells), plot_graph(cells)):
        assert axes.get_title().startswith("clipped to")
    line = enumerate_cells(deep(1), WholeSpace(1))
    assert plot_cells(line).get_title().startswith("clipped to")


def test_the_command_line_takes_the_whole_space(run, tmp_path: Path) -> None:
    deep(2).save(tmp_path / "net.npz")
    wanted = count_cells(deep(2), WholeSpace(2)).cells
    file = tmp_path / "cells.regions"
    code, out, _ = run("count", tmp_path / "net.npz", "--whole-space", "--json")
    assert code == 0 and json.loads(out)["cells"] == wanted
    assert run("count", tmp_path / "net.npz", "--whole-space")[0] == 0
    code, out, _ = run("enumerate", tmp_path / "net.npz", "--whole-space", "-o", file, "--json")
    facts = json.loads(out)
    assert (facts["cells"], facts["volume_sum"]) == (wanted, None) and facts["bounded_cells"] < wanted
    for words in (
        ["verify", file],
        ["graph", file, "-o", tmp_path / "g.graphml"],
        ["locus", file, "--density", "gaussian:mean=0,0;std=1"],
        ["locus", file],
        ["locus", file, "--enclosure", "--density", "gaussian:mean=0,0;std=1"],
        ["info", tmp_path / "net.npz", "--whole-space", "--seconds", "0.2"],
        ["plot", file, "-o", tmp_path / "p.png"],
        ["count", tmp_path / "net.npz", "--whole-space", "--definition", "all"],
        ["verify", file, "--independent"],
    ):
        code, out, err = run(*words)
        assert code == 0, err
    code, _, err = run("validate", tmp_path / "net.npz", "--whole-space", "--sigma", "0.1")
    assert code == 2 and "no uniform density" in err and err.count("\n") == 1
    code, _, err = run("count", tmp_path / "net.npz", "--whole-space", "--box", "-1", "1")
    assert code == 2 and "--box and --whole-space" in err
