"""Laws of decision boundaries: closed forms, brute force in fractions, faces that fit, meshes that close."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from max_networks import random_max_case
from naive import NaiveComplex, naive_box, naive_complex
from naive_max import naive_max_complex
from networks import cube, network_of, random_network
from strategies import Case, random_case

from regions import Box, Network, Slice, WholeSpace, count_cells, decision_boundary
from regions.analysis.boundaries import BoundaryComplex, decision_boundaries
from regions.analysis.boundaries.cut_networks import network_with_winner
from regions.analysis.boundaries.exact_pieces import volumes_of_pieces
from regions.analysis.boundaries.pruned_search import search_undecided
from regions.analysis.boundaries.vertex_bounds import VertexBounds
from regions.domain import Domain
from regions.errors import CertificateError, InvalidDomainError, InvalidInputError

LOW, HIGH = [-3.0] * 3, [3.0] * 3


def polygonal_disk(corners: int) -> Network:
    """The largest of so many linear functions, 1 around a polygon about the unit circle."""
    angles = 2 * np.pi * np.arange(corners) / corners
    return Network.from_arrays(
        [np.stack([np.cos(angles), np.sin(angles)], axis=1)], [np.zeros(corners)], maxima=[corners]
    )


def square_torus() -> Network:
    """max(|max(|x|, |y|) - 2|, |z|): 1/2 around a torus with square sections."""
    return Network.from_arrays(
        [np.eye(3), np.eye(3), np.eye(2), np.eye(2)],
        [np.zeros(3), np.zeros(3), np.array([-2.0, 0.0]), np.zeros(2)],
        [True] * 4,
        slopes=["abs", None, "abs", None],
        maxima=[None, [2, 1], None, 2],
    )


def cube_norm(d: int) -> Network:
    return Network.from_arrays(
        [np.eye(d), np.eye(d)], [np.zeros(d)] * 2, [True] * 2, slopes=["abs", None], maxima=[None, d]
    )


def points_of(boundary: BoundaryComplex, piece: int) -> frozenset[tuple[Fraction, ...]]:
    """The exact vertices of a piece."""
    found = (boundary.faces.points[v] for v in boundary.pieces[piece])
    return frozenset(tuple(Fraction(int(x), int(p[-1])) for x in p[:-1]) for p in found)


# --- closed forms ---


@pytest.mark.parametrize("corners", [3, 7, pytest.param(40, marks=pytest.mark.slow)])
def test_a_polygon_has_its_perimeter_and_closes(corners: int) -> None:
    boundary = decision_boundary(polygonal_disk(corners), Box([-3, -3], [3, 3]), level=1.0)
    assert boundary.n_pieces == corners and boundary.n_components == 1 and boundary.is_watertight
    assert boundary.total_volume == pytest.approx(2 * corners * math.tan(math.pi / corners), rel=1e-12)
    assert boundary.f_vector == (corners, corners) and boundary.euler_characteristic == 0
    lengths = np.linalg.norm(boundary.points[[p for _, p in boundary.pieces]], axis=1)
    assert lengths == pytest.approx(1 / math.cos(math.pi / corners), rel=1e-12)


@pytest.mark.parametrize("d", [1, 2, 3, pytest.param(4, marks=pytest.mark.slow)])
def test_the_sphere_of_the_maximum_norm_is_a_cube(d: int) -> None:
    boundary = decision_boundary(cube_norm(d), Box([-2.0] * d, [3.0] * d), level=1.5)
    assert boundary.n_pieces == 2 * d * 2 ** (d - 1)  # each side lies in the orthants that it meets
    assert boundary.total_volume == pytest.approx(2 * d * 3.0 ** (d - 1), rel=1e-12)
    assert boundary.euler_characteristic == 1 + (-1) ** (d - 1) and boundary.is_closed
    assert boundary.n_components == (2 if d == 1 else 1)
    outward = np.array([boundary.points[list(piece)].mean(axis=0) for piece in boundary.pieces])
    assert ((boundary.normals * outward).sum(axis=1) == pytest.approx(1.5, rel=1e-12)) and np.allclose(
        np.abs(boundary.normals).sum(axis=1), 1.0
    )


def test_a_torus_has_one_handle() -> None:
    boundary = decision_boundary(square_torus(), Box(LOW, HIGH), level=0.5)
    mesh = boundary.mesh()
    assert boundary.is_watertight and mesh.is_watertight and boundary.n_components == 1
    assert boundary.euler_characteristic == mesh.euler_characteristic == 0
    assert boundary.total_volume == pytest.approx(64.0) and mesh.area == pytest.approx(64.0)
    assert mesh.enclosed_volume == pytest.approx(16.0)


def test_two_levels_apart_are_two_components_and_far_levels_none() -> None:
    network = square_torus()
    apart = decision_boundary(network, Box(LOW, [3.0, 3.0, 0.0]), level=0.5)  # cut open in the middle
    assert not apart.is_closed and apart.is_manifold and apart.total_volume == pytest.approx(32.0)
    hollow = Network.from_arrays(  # ||x| - 2|, where |.| is the maximum norm
        [np.eye(3), np.eye(3), [[1.0]]],
        [np.zeros(3), np.zeros(3), [-2.0]],
        [True] * 3,
        slopes=["abs", None, "abs"],
        maxima=[None, 3, None],
    )
    shells = decision_boundary(hollow, Box(LOW, HIGH), level=0.5)
    assert shells.n_components == 2 and shells.euler_characteristic == 4 and shells.is_watertight
    assert shells.mesh().enclosed_volume == pytest.approx(5.0**3 - 3.0**3)
    nothing = decision_boundary(network, Box(LOW, HIGH), level=-1.0)
    assert nothing.n_pieces == 0 and nothing.points.shape == (0, 3) and nothing.total_volume == 0.0
    assert nothing.is_watertight and nothing.volume_by_pair() == {} and nothing.n_components == 0


def test_three_classes_meet_in_a_point() -> None:
    third = 2 * np.pi / 3 * np.arange(3)
    network = Network.from_arrays([np.stack([np.cos(third), np.sin(third)], axis=1)], [np.zeros(3)])
    boundary = decision_boundary(network, Box([-4, -1], [4, 1]))
    by_pair = boundary.volume_by_pair()
    assert by_pair[1, 2] == pytest.approx(4.0) and by_pair[0, 1] == pytest.approx(1 / math.sin(np.pi / 3))
    assert boundary.n_components == 1 and not boundary.is_closed and not boundary.is_manifold
    assert sorted(map(len, boundary.pieces_at_ridges)) == [1, 1, 1, 3]
    one = decision_boundary(network, Box([-4, -1], [4, 1]), pairs=[(2, 1)])
    assert one.n_pieces == 1 and one.total_volume == by_pair[1, 2] and one.faces.f_vector == (2, 1)
    assert one.pairs.tolist() == [[1, 2]] and one.points.shape == (2, 2)


def test_a_level_that_is_held_on_a_set_with_an_interior_has_its_border() -> None:
    flat = Network.from_arrays([[[1.0, 0.0]], [[1.0]]], [[0.0], [0.0]])  # 0 for x <= 0
    boundary = decision_boundary(flat, Box([-1, -1], [1, 1]))
    assert boundary.total_volume == 2.0 and not boundary.crosses.any()
    assert boundary.normals.tolist() == [[1.0, 0.0]]
    tie = Network.from_arrays([[[1.0], [-1.0]], [[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]], [[0, 0], [0, 0, 0]])
    assert decision_boundary(tie, Box([-1], [1])).pairs.tolist() == [[0, 1]]  # the first of equals decides


# --- brute force ---


def with_bend(case: Case) -> NaiveComplex:
    """All cells of a network with a unit on its one output, by brute force."""
    relu = [*case.relu[:-1], True]
    return naive_complex(case.weights, case.biases, relu, naive_box(case.low, case.high), slopes=case.slopes)


@pytest.mark.sweep(5)
@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("d", [1, 2, 3])
def test_level_sets_are_those_of_brute_force(d: int, seed: int) -> None:
    case = random_case(d, (4, 3), seed, outputs=1)
    if seed % 2:  # small integers, so that planes meet where they need not
        case = case._replace(
            weights=[np.round(2 * w) for w in case.weights], biases=[np.round(2 * b) / 2 for b in case.biases]
        )
    boundary = decision_boundary(network_of(case), Box(case.low, case.high))
    naive = with_bend(case)
    last = sum(map(len, case.weights)) - 1
    wanted = [facet for facet in naive.facets if last in facet.flipped]
    assert sorted(map(sorted, (points_of(boundary, k) for k in range(boundary.n_pieces)))) == sorted(
        sorted(facet.vertices) for facet in wanted
    )
    assert boundary.total_volume == pytest.approx(sum(facet.volume for facet in wanted), rel=1e-9, abs=1e-12)


@pytest.mark.sweep(4)
@pytest.mark.parametrize("seed", range(24))
def test_class_boundaries_are_those_of_brute_force(seed: int) -> None:
    case = random_max_case(seed, 1 + seed % 3)
    network = Network.from_arrays(
        case.weights, case.biases, case.relu, slopes=case.slopes, maxima=case.maxima
    )
    boundary = decision_boundary(network, case.box())
    decided = replace(case, relu=[*case.relu[:-1], True], maxima=[*case.maxima[:-1], [2]])
    naive = naive_max_complex(
        decided.weights,
        decided.biases,
        decided.relu,
        decided.maxima,
        naive_box(case.low, case.high),
        decided.slopes,
    )
    last = len(naive.cells[0].pattern) - 1
    wanted = [facet for facet in naive.facets if last in facet.flipped]
    assert sorted(map(sorted, (points_of(boundary, k) for k in range(boundary.n_pieces)))) == sorted(
        sorted(facet.vertices) for facet in wanted
    )


# --- laws ---


def small(seed: int, outputs: int, d: int = 2) -> Network:
    """A random network whose outputs are 0 in the mean, so that its decision changes."""
    case = random_case(d, (6, 5), seed, outputs)
    samples = np.random.default_rng(seed).uniform(-1.0, 1.0, size=(200, d))
    means = network_of(case).forward(samples).mean(axis=0)
    return network_of(case._replace(biases=[*case.biases[:-1], case.biases[-1] - means]))


@pytest.mark.parametrize("seed", [0, 1, 3])
def test_a_step_along_the_normal_changes_the_decision(seed: int) -> None:
    network = small(seed, 4)
    boundary = decision_boundary(network, cube(2))
    middles = np.array([boundary.points[list(piece)].mean(axis=0) for piece in boundary.pieces])
    step = 1e-9 * boundary.normals
    for k, side in enumerate((middles - step, middles + step)):
        assert network.forward(side).argmax(axis=1).tolist() == boundary.pairs[:, k].tolist()
    own = network.activation_pattern(middles - step)
    assert own.tolist() == [boundary.pattern(k).tolist() for k in range(boundary.n_pieces)]


def test_the_parts_of_a_domain_have_the_whole_boundary() -> None:
    network = small(5, 3, d=3)
    whole = decision_boundary(network, cube(3)).volume_by_pair()
    parts = [
        decision_boundary(network, Box([-1, -1, low], [1, 1, high])).volume_by_pair()
        for low, high in ((-1.0, 0.125), (0.125, 1.0))
    ]
    assert whole
    for pair, area in whole.items():
        assert area == pytest.approx(sum(part.get(pair, 0.0) for part in parts), rel=1e-9)


def test_a_level_is_that_of_the_output_less_the_level() -> None:
    case = random_case(2, (5, 4), 3, outputs=1)
    moved = case._replace(biases=[*case.biases[:-1], case.biases[-1] - 0.25])
    first = decision_boundary(network_of(case), cube(2), level=0.25)
    second = decision_boundary(network_of(moved), cube(2))
    assert first.total_volume == pytest.approx(second.total_volume, rel=1e-12)
    assert first.n_pieces == second.n_pieces > 0


def test_a_slice_has_the_boundary_of_its_plane() -> None:
    network = small(1, 3, d=5)
    plane = Slice.around(np.zeros(5), directions=np.eye(5)[:2] + 0.1, half_width=1.0)
    boundary = decision_boundary(network, plane)
    along = boundary.points[[list(piece) for piece in boundary.pieces]].mean(axis=1)
    two = np.sort(network.forward(plane.to_input(along)), axis=1)[:, -2:]
    assert boundary.n_pieces > 2 and np.allclose(two[:, 0], two[:, 1], rtol=1e-9, atol=1e-9)


def test_missing_pieces_are_noticed() -> None:
    boundary = decision_boundary(polygonal_disk(5), Box([-3, -3], [3, 3]), level=1.0)
    faces, _ = boundary.faces.part(range(4))
    vertices = [face[0] for face in boundary.faces.faces[0]]
    assert len(vertices) == 5
    broken = replace(
        boundary, faces=faces, pieces=boundary.pieces[:4], pairs=boundary.pairs[:4], volumes=np.ones(4)
    )
    with pytest.raises(CertificateError, match="1 pieces meet"):
        broken.check()
    boundary.check()


def test_a_search_that_is_cut_short_says_so() -> None:
    boundary = decision_boundary(small(2, 3), cube(2), max_cells=20)
    assert boundary.status.value == "TRUNCATED" and not boundary.is_closed
    assert "TRUNCATED" in repr(boundary)


# --- without the cells in which one class wins everywhere ---


@pytest.mark.sweep(2)
@pytest.mark.parametrize("seed", range(9))
def test_a_pruned_search_finds_the_same_pieces(seed: int) -> None:
    d, outputs = 2 + seed % 2, 1 + seed % 3
    network = small(seed, outputs, d)
    if seed % 2:  # units with other slopes than ReLUs are bounded too
        slopes = [np.random.default_rng(seed).normal(size=(2, n)) for n in network.widths]
        network = Network.from_arrays(network.weights, network.biases, slopes=[*slopes, None])
    whole = decision_boundary(network, cube(d), prune=False)
    pruned = decision_boundary(network, cube(d), prune=True)
    assert sorted(map(sorted, (points_of(pruned, k) for k in range(pruned.n_pieces)))) == sorted(
        sorted(points_of(whole, k)) for k in range(whole.n_pieces)
    )
    assert pruned.status.value == "COMPLETE" and pruned.n_components == whole.n_components
    assert pruned.volume_by_pair() == pytest.approx(whole.volume_by_pair(), rel=1e-9)


def test_a_pruned_search_leaves_most_cells_out(monkeypatch: pytest.MonkeyPatch) -> None:
    network = network_of(random_case(2, (24, 24), 7, 2))
    cut = network_with_winner(network)
    bounds = VertexBounds(network, cube(2), None)
    options: Any = {"arithmetic": "certified", "workers": 1, "progress": None}
    near = search_undecided(cut, cube(2), bounds.decided, limits=(None, None), **options)
    cells = count_cells(cut, cube(2)).cells
    assert 0 < len(near.patterns) < cells / 2 and near.dropped > 0 and near.certificate.complete
    monkeypatch.setattr(decision_boundaries, "ALL_CELLS", cells - 1)
    every = decision_boundary(network, cube(2), prune=False)
    assert decision_boundary(network, cube(2)).n_pieces == every.n_pieces > 0
    part = search_undecided(cut, cube(2), bounds.decided, limits=(7, None), **options)
    assert part.status.value == "TRUNCATED" and part.certificate.stopped_by == "max_cells"
    assert 0 < len(part.patterns) <= 7


@pytest.mark.parametrize("seed", range(4))
def test_bounds_on_a_polytope_hold_for_points_inside(seed: int) -> None:
    rng = np.random.default_rng(seed)
    network = random_network(rng, (3, 8, 8, 1))
    if seed % 2:
        slopes = [rng.normal(size=(2, 8)), None, None]
        network = Network.from_arrays(network.weights, network.biases, slopes=slopes)
    corners = rng.uniform(-1, 1, size=(6, 3)) * rng.uniform(0.05, 1.0)
    inside = rng.dirichlet(np.ones(6), size=500) @ corners
    values = network.forward(inside)[:, 0]
    levels = np.linspace(values.min() - 3, values.max() + 3, 41)
    decided = [VertexBounds(network, cube(3), level).decided(corners) for level in levels]
    for level, is_decided in zip(levels, decided, strict=True):
        assert not (is_decided and values.min() < level < values.max())
    assert any(decided)


def test_exact_volumes_are_those_of_the_engine() -> None:
    boundary = decision_boundary(small(0, 1, d=3), cube(3))
    assert volumes_of_pieces(boundary.faces) == pytest.approx(boundary.volumes, rel=1e-9, abs=1e-15)


# --- distances ---


def test_distances_from_a_cube_are_exact() -> None:
    boundary = decision_boundary(cube_norm(3), Box(LOW, HIGH), level=1.0)
    found = boundary.distances([[0.0, 0.0, 0.25], [2.0, 2.0, 2.0], [0.5, 3.0, 1.5], [1.0, 0.0, 0.0]])
    assert found.squared == (Fraction(9, 16), Fraction(3), Fraction(17, 4), Fraction(0))
    assert found.distances.tolist() == [0.75, math.sqrt(3), math.sqrt(4.25), 0.0]
    assert found.nearest[:3].tolist() == [[0.0, 0.0, 1.0], [1.0, 1.0, 1.0], [0.5, 1.0, 1.0]]


def test_distances_are_those_of_the_nearest_edge_by_brute_force() -> None:
    boundary = decision_boundary(small(0, 3), cube(2))
    queries = np.random.default_rng(3).uniform(-1.5, 1.5, size=(30, 2))
    found = boundary.distances(queries)
    for query, square, piece in zip(queries, found.squared, found.pieces.tolist(), strict=True):
        x = tuple(map(Fraction, query.tolist()))
        squares = []
        for k in range(boundary.n_pieces):
            a, b = sorted(points_of(boundary, k))
            edge = [q - p for p, q in zip(a, b, strict=True)]
            along = sum(e * (u - p) for e, u, p in zip(edge, x, a, strict=True))
            share = min(Fraction(1), max(Fraction(0), along / sum(e * e for e in edge)))
            squares.append(sum((u - p - share * e) ** 2 for u, p, e in zip(x, a, edge, strict=True)))
        assert square == min(squares) == squares[piece]


def test_a_point_so_far_from_the_decision_keeps_it() -> None:
    network = small(4, 3)
    points = np.random.default_rng(0).uniform(-0.3, 0.3, size=(20, 2))
    reach = decision_boundary(network, cube(2)).distances(points).distances
    angles = np.linspace(0, 2 * np.pi, 40)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    for point, radius in zip(points, reach, strict=True):
        around = point + min(radius, 0.7) * (1 - 1e-9) * circle
        assert len(set(network.forward(np.vstack([around, point])).argmax(axis=1).tolist())) == 1


# --- meshes and their files ---


@pytest.mark.parametrize(
    "form", ["ply", *(pytest.param(k, marks=pytest.mark.slow) for k in ("obj", "glb", "stl"))]
)
def test_files_hold_the_surface(form: str, tmp_path: Path) -> None:
    trimesh = pytest.importorskip("trimesh")
    mesh = decision_boundary(square_torus(), Box(LOW, HIGH), level=0.5).mesh()
    boundary = decision_boundary(square_torus(), Box(LOW, HIGH), level=0.5)
    boundary.write_mesh(tmp_path / f"torus.{form}")
    read = trimesh.load(tmp_path / f"torus.{form}", force="mesh", process=form == "stl")
    if form == "obj":  # trimesh takes a vertex with several normals apart
        read.merge_vertices(merge_norm=True)
    assert read.is_watertight and read.euler_number == 0 and len(read.faces) == len(mesh.triangles)
    assert read.area == pytest.approx(64.0, rel=1e-6) and read.volume == pytest.approx(16.0, rel=1e-6)
    if form == "ply":
        assert np.array_equal(read.vertices, mesh.points) and np.array_equal(read.faces, mesh.triangles)


def test_an_obj_file_has_every_bit_and_the_normals_of_pieces(tmp_path: Path) -> None:
    boundary = decision_boundary(small(0, 1, d=3), cube(3))
    mesh = boundary.mesh()
    boundary.write_mesh(tmp_path / "net.obj")
    lines = [line.split() for line in (tmp_path / "net.obj").read_text().splitlines()]
    points, normals = (
        [[float(word) for word in words] for kind, *words in lines if kind == wanted]
        for wanted in ("v", "vn")
    )
    faces = [[word.split("//") for word in words] for kind, *words in lines if kind == "f"]
    corners = np.array(faces, dtype=np.int64) - 1
    assert np.array_equal(points, mesh.points) and np.array_equal(corners[..., 0], mesh.triangles)
    assert np.array_equal(np.array(normals)[corners[:, 0, 1]], mesh.normals)
    assert (corners[..., 1] == corners[:, :1, 1]).all() and len(normals) == len(boundary.pieces)


def test_triangles_have_the_normals_of_their_pieces() -> None:
    boundary = decision_boundary(small(0, 1, d=3), cube(3))
    mesh = boundary.mesh()
    a, b, c = (mesh.points[mesh.triangles[:, k]] for k in range(3))
    across = np.cross(b - a, c - a)
    cosines = (across * mesh.normals).sum(axis=1) / np.linalg.norm(across, axis=1)
    assert cosines == pytest.approx(1.0, abs=1e-6) and mesh.area == pytest.approx(boundary.total_volume)
    on_sides = np.abs(np.abs(mesh.points[mesh.boundary]).max(axis=2) - 1.0).max()
    assert len(mesh.boundary) and on_sides < 1e-12 and not len(mesh.irregular)


def test_the_command_writes_and_describes(run: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    path = tmp_path / "torus.npz"
    square_torus().save(path)
    words = ("mesh", path, "--box", "-3", "3", "--level", "0.5", "-o", tmp_path / "torus.ply")
    code, out, _ = run(*words)
    assert code == 0 and "watertight" in out and "1 handle in all; it encloses 16" in out
    code, out, _ = run(*words, "--json")
    facts = json.loads(out)
    assert facts["euler_characteristic"] == 0 and facts["watertight"] and facts["enclosed_volume"] == 16.0
    code, out, _ = run(*words[:3], "-3", "3,3,0", *words[5:])
    assert code == 0 and "not closed" in out


def test_bad_input_is_refused_in_one_line(run: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    one, three, box = small(0, 1), small(0, 3), cube(2)
    cases: list[tuple[Network, Domain, dict[str, object], type[Exception], str]] = [
        (one, box, {"pairs": [(0, 1)]}, InvalidInputError, "give a level"),
        (three, box, {"level": 0.5}, InvalidInputError, "give pairs"),
        (three, box, {"pairs": [(0, 3)]}, InvalidInputError, "classes of 0 to 2"),
        (three, box, {"pairs": [(1, 1)]}, InvalidInputError, "two different classes"),
        (three, box, {"pairs": 5}, InvalidInputError, "give pairs of classes"),
        (one, box, {"level": math.nan}, InvalidInputError, "finite number"),
        (square_torus(), Box(LOW, HIGH), {"prune": True}, InvalidInputError, "max units"),
        (one, box, {"level": "high"}, InvalidInputError, "finite number"),
        (one, WholeSpace(2), {}, InvalidDomainError, "bounded domain"),
        (one, cube(3), {}, InvalidDomainError, "takes 2"),
        ("net", box, {}, InvalidInputError, "make a Network"),  # type: ignore[list-item]
        (one, "box", {}, InvalidInputError, "give a Box"),  # type: ignore[list-item]
    ]
    for network, domain, options, error, words in cases:
        with pytest.raises(error, match=words):
            decision_boundary(network, domain, **options)  # type: ignore[arg-type]
    boundary = decision_boundary(one, box)
    for points in ([[0.0]], [[math.nan, 0.0]], "here"):
        with pytest.raises(InvalidInputError, match="points"):
            boundary.distances(points)
    with pytest.raises(InvalidInputError, match="no piece in the domain"):
        decision_boundary(one, box, level=1e6).distances([[0.0, 0.0]])
    with pytest.raises(InvalidInputError, match="d = 2"):
        boundary.mesh()
    with pytest.raises(InvalidInputError, match="piece 99"):
        boundary.pattern(99)
    for name, words in ((small(0, 1, d=3), ("x.xyz", "none/x.ply")), (one, ("x.ply",))):
        name.save(tmp_path / "n.npz")
        for target in words:
            code, _, err = run("mesh", tmp_path / "n.npz", "--box", "-1", "1", "-o", tmp_path / target)
            assert code == 2 and err.count("\n") == 1 and err.startswith("error:")
    code, _, err = run(
        "mesh", tmp_path / "n.npz", "--box", "-1", "1", "-o", tmp_path / "x.ply", "--pair", "a"
    )
    assert code == 2 and err.startswith("error:")


@pytest.mark.slow
def test_the_rabbit_is_closed(reference_data: Path) -> None:
    path = reference_data / "public" / "bunny_3_3x16.npz"
    if not path.is_file():
        pytest.skip("no public networks beside the reference data")
    boundary = decision_boundary(Network.load(path), Box([-1] * 3, [1] * 3), level=0.0)
    assert boundary.f_vector == (2874, 5748, 2876)
    assert boundary.is_watertight and boundary.mesh().is_watertight and boundary.euler_characteristic == 2


def test_every_corner_of_a_cube_is_one_vertex() -> None:
    boundary = decision_boundary(cube_norm(3), Box(LOW, HIGH), level=1.5)
    corners = {tuple(corner) for corner in product([-1.5, 1.5], repeat=3)}
    assert corners <= {tuple(point) for point in boundary.points.tolist()}
    assert len({tuple(point) for point in boundary.points.tolist()}) == len(boundary.points) == 26
