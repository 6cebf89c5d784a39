"""Laws of slices of any dimension: they are boxes of the network that is composed with their frame."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from judging import pattern_tuples
from naive import naive_complex

import regions
from regions import (
    Box,
    CellComplex,
    CroftonLines,
    FrameBox,
    GaussianDensity,
    Network,
    Segment,
    Slice,
    UniformDensity,
    adjacency_graph,
    conditional,
    count_cells,
    count_regions,
    enumerate_cells,
    exact_value,
    explore,
    locus_volume,
    verify,
    volume_enclosures,
)
from regions.analysis.enclosures import locus_enclosure
from regions.cli.options import with_each_point
from regions.domain import Domain, domain_from_dict
from regions.domain.starting_polytope import exact_polytope, simplex_volume, triangulate
from regions.errors import InvalidDomainError

DIGITS = Path(regions.__file__).parent / "data" / "digits_64x32x32.npz"


def digits() -> tuple[Network, np.ndarray]:
    with np.load(DIGITS) as stored:
        return Network.load(DIGITS), np.asarray(stored["images"], dtype=np.float64)


def composed(network: Network, domain: Domain) -> Network:
    """Return the network of the intrinsic coordinates, with a rounded first layer."""
    first, bias = network.weights[0], network.biases[0]
    return Network.from_arrays(
        [first @ domain.basis, *network.weights[1:]],
        [first @ domain.origin + bias, *network.biases[1:]],
        relu=network.relu,
    )


def middle_slice(images: np.ndarray, d: int, half_width: float) -> Slice:
    corners = images[: d + 1]
    return Slice.around(corners.mean(axis=0), [x - corners[0] for x in corners[1:]], half_width)


def small_net(n: int, seed: int = 5) -> Network:
    rng = np.random.default_rng(seed)
    shapes = [(7, n), (5, 7), (2, 5)]
    weights = [rng.normal(size=shape) for shape in shapes]
    return Network.from_arrays(weights, [0.3 * rng.normal(size=shape[0]) for shape in shapes])


@pytest.mark.parametrize(("d", "half_width"), [(3, 0.8), (4, 1.0), (5, 0.6), (6, 0.5)])
def test_a_slice_through_digits_is_a_box_of_the_composed_network(d: int, half_width: float) -> None:
    network, images = digits()
    domain = middle_slice(images, d, half_width)
    theirs = enumerate_cells(composed(network, domain), Box([-half_width] * d, [half_width] * d))
    ours = enumerate_cells(network, domain)
    assert ours.n_cells == theirs.n_cells > 4
    assert sorted(pattern_tuples(ours)) == sorted(pattern_tuples(theirs))
    by_pattern = [np.argsort([bytes(row) for row in cells.patterns]) for cells in (ours, theirs)]
    np.testing.assert_allclose(ours.volumes[by_pattern[0]], theirs.volumes[by_pattern[1]], rtol=1e-6)
    assert ours.facets.interior.sum() == theirs.facets.interior.sum()
    assert locus_volume(ours).total == pytest.approx(locus_volume(theirs).total, rel=1e-9)


def test_a_slice_through_four_digits_has_the_cells_of_both_engines() -> None:
    network, images = digits()
    domain = Slice.through(*images[:4], margin=0.0)
    assert domain.dimension == 3 and domain.contains(domain.to_intrinsic(images[:4]), 1e-9).all()
    cells = count_cells(network, domain, check_volumes=True)
    assert cells.cells == count_cells(composed(network, domain), Box(*domain.bounds())).cells > 100
    few = middle_slice(images, 3, 0.3)
    assert count_cells(network, few, engine="both").cells > 1


@pytest.mark.kernels
@pytest.mark.parametrize("d", [1, 2, 3])
def test_slices_have_the_cells_of_the_brute_force(d: int) -> None:
    rng = np.random.default_rng(d)
    weights = [rng.integers(-2, 3, size=(4, 4)) * 1.0, rng.integers(-2, 3, size=(3, 4)) * 1.0]
    biases = [rng.integers(-1, 2, size=4) * 0.5, rng.integers(-1, 2, size=3) * 0.5]
    network = Network.from_arrays([*weights, np.ones((1, 3))], [*biases, [0.0]])
    domain = Slice.spanned([0.25] * 4, rng.integers(-2, 3, size=(4, d)) + np.eye(4)[:, :d], -1.0, 1.5)
    truth = naive_complex(
        network.weights, network.biases, network.relu, domain.halfspaces, domain.origin, domain.basis
    )
    ours = enumerate_cells(network, domain)
    assert sorted(pattern_tuples(ours)) == sorted(tuple(cell.pattern) for cell in truth.cells)
    assert ours.volume_sum == pytest.approx(float(truth.volume), rel=1e-12)


@pytest.mark.parametrize("d", [1, 2, 3, 5, 8])
def test_volumes_are_those_of_the_image(d: int) -> None:
    rng = np.random.default_rng(d)
    G = rng.normal(size=(d + 4, d))
    low, high = -rng.uniform(0.5, 1.0, size=d), rng.uniform(0.5, 1.0, size=d)
    domain = Slice.spanned(rng.normal(size=d + 4), G, low, high)
    factor = np.sqrt(np.linalg.det(G.T @ G))
    assert domain.volume == pytest.approx(np.prod(high - low) * factor, rel=1e-9)
    inside = domain.origin + rng.uniform(low, high, size=(200, d)) @ G.T
    assert domain.contains(domain.to_intrinsic(inside), 1e-9).all()
    assert np.abs(domain.to_input(domain.to_intrinsic(inside)) - inside).max() < 1e-9
    outside = domain.origin + (low + (high - low) * np.where(np.arange(d) == 0, 1.001, 0.5)) @ G.T
    assert not domain.contains(domain.to_intrinsic(outside))
    drawn = domain.sample(4000, rng)
    assert domain.contains(drawn, 1e-9).all()
    shares = np.linalg.lstsq(G, (domain.to_input(drawn) - domain.origin).T, rcond=None)[0].T
    z = (shares.mean(axis=0) - (low + high) / 2) / ((high - low) / np.sqrt(12 * 4000))
    assert np.abs(z).max() < 4.5


@pytest.mark.parametrize("d", [3, 4])
def test_a_parallelotope_has_the_vertices_and_volume_of_the_double_description(d: int) -> None:
    domain = Slice.spanned(np.zeros(6), np.random.default_rng(d).normal(size=(6, d)))
    exact = exact_polytope(*domain.halfspaces)
    assert np.array_equal(domain.vertices, [[float(x) for x in vertex] for vertex in exact.vertices])
    on = [[bool(facet >> i & 1) for facet in exact.facets] for i in range(len(exact.vertices))]
    assert np.array_equal(domain.incidence, on)
    volume = sum((simplex_volume([exact.vertices[i] for i in s]) for s in triangulate(exact)), Fraction())
    assert domain.volume == pytest.approx(float(volume), rel=1e-15)


def test_a_slice_through_two_points_is_a_segment() -> None:
    rng = np.random.default_rng(2)
    network, (a, b) = small_net(6), rng.normal(size=(2, 6))
    line = Slice.through(a, b, margin=0.0)
    assert line.dimension == 1 and line.volume == pytest.approx(np.linalg.norm(b - a), rel=1e-14)
    assert line.describe().startswith("Slice of 6 input dimensions in 1, 2 sides, length")
    ours, theirs = enumerate_cells(network, line), enumerate_cells(network, Segment(a, b))
    assert sorted(pattern_tuples(ours)) == sorted(pattern_tuples(theirs))
    np.testing.assert_allclose(np.sort(ours.volumes), np.sort(theirs.volumes), atol=1e-9)


def test_everything_that_takes_boxes_takes_slices_of_three_dimensions(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    network, points = small_net(5), rng.normal(size=(4, 5))
    domain = Slice.through(*points, clip=(-1.0, 1.0))
    assert domain.dimension == 3 and domain.n_sides > 6
    cells = enumerate_cells(network, domain)
    assert verify(cells).ok
    assert adjacency_graph(cells).number_of_nodes() == cells.n_cells
    assert 1 < int(count_regions(cells, "open")) <= cells.n_cells
    for volume, exact in zip(cells.volumes.tolist(), volume_enclosures(cells), strict=True):
        assert volume == pytest.approx(float(exact), rel=1e-9)
    assert locus_volume(cells).total == pytest.approx(float(locus_enclosure(cells).total), rel=1e-9)
    for density in (
        UniformDensity(domain),
        GaussianDensity(np.zeros(3), 0.3 * np.eye(3)),
        conditional(GaussianDensity(np.zeros(5), np.eye(5)), domain),
    ):
        value = locus_volume(cells, density).total
        estimate = CroftonLines().estimate(network, density, rng, 4000, domain=domain)
        assert abs(estimate.mean - value) < 4.5 * estimate.stderr
        target = CroftonLines().target
        assert exact_value(target, network, domain, density, rng, 1).mean == pytest.approx(value, rel=1e-9)
    found = explore(network, domain.to_input(domain.interior_point()), domain)
    assert found.n_cells == cells.n_cells
    cells.save(tmp_path / "cells.regions")
    assert CellComplex.load(tmp_path / "cells.regions").domain == domain
    done = subprocess.run(
        [sys.executable, "-m", "regions.analysis.independent", tmp_path / "cells.regions"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "domain",
    [
        Slice.through([0, 0, 0, 0.7], [1, 0, 0.3, 0.7], [0, 1, 0, 0.7], [0.5, 0, 1, 0.7], clip=(0, 0.75)),
        Slice.spanned([0, 0, 0], [[1, 2], [0, 0.1], [3, 1]]),
        FrameBox([0, 0, 0], np.eye(3)[:, :2], [-1, -1], [1, 1]),
    ],
)
def test_slices_come_back_from_pickles_and_json(domain: Domain) -> None:
    for again in (
        pickle.loads(pickle.dumps(domain)),
        copy.deepcopy(domain),
        domain_from_dict(json.loads(json.dumps(domain.to_dict()))),
    ):
        assert again == domain and again.volume == domain.volume and again.side_names == domain.side_names


def test_a_clip_in_three_dimensions_counts_each_bound_once() -> None:
    # two inputs that are the same but for rounding make one side
    points = np.array([[0.0, 0, 0, 0], [1, 0, 0, 0.1], [0, 1, 0, 0.2], [0, 0, 1, 0.3]])
    twice = np.concatenate([points, points[:, 3:] * (1 + 1e-15)], axis=1)
    domain = Slice.through(*twice, clip=([-9, -9, -9, -9, -9], [9, 9, 9, 0.4, 0.4]))
    assert domain.n_sides == 7
    with pytest.raises(InvalidDomainError, match="does not meet the inside of the slice's cube"):
        Slice.through(*points, clip=([3, -1, -1, -1], [4, 1, 1, 1]))


REFUSED: dict[str, tuple[Callable[[], Domain], str]] = {
    "one point": (lambda: Slice.through([0.0, 0.0]), "1 points; a slice has 1 to 8 dimensions"),
    "ten points": (lambda: Slice.through(*np.eye(10)), "10 points; a slice has 1 to 8 dimensions"),
    "flat": (lambda: Slice.through([0] * 4, *np.eye(4)[:2], [1, 1, 0, 0]), "span fewer than 3 dimensions"),
    "shapes": (lambda: Slice.through([0, 0], [0, 1, 0], [1, 0], [1, 1]), "the 4 points have shapes"),
    "margin as a point": (lambda: Slice.through([0, 0], [0, 1], [1, 0], 0.5), "the 4 points have shapes"),
    "dependent": (lambda: Slice.around([0] * 3, np.ones((3, 3)), 1.0), "the 3 directions are dependent"),
    "generators": (lambda: Slice.spanned([0] * 3, np.ones((3, 2))), "two generators are parallel"),
    "generator shape": (lambda: Slice.spanned([0] * 3, np.ones((2, 2))), "must be (n0,) and (n0, k)"),
    "bounds": (lambda: Slice.spanned([0] * 3, np.eye(3)[:, :2], [0, 0, 0], 1), "one for each of the 2"),
    "order": (lambda: Slice.spanned([0] * 3, np.eye(3)[:, :2], 1, 1), "low >= high in coordinate 0"),
    "axes": (lambda: Slice.pca(np.eye(4), half_width=1, dimension=9), "dimension is 9"),
    "flat data": (lambda: Slice.pca(np.eye(3), half_width=1, dimension=3), "N >= 4 points"),
    "frame": (lambda: FrameBox([0, 0], [[1, 1], [0, 1]], [0, 0], [1, 1]), "Slice.spanned takes any"),
}


@pytest.mark.parametrize("what", list(REFUSED))
def test_bad_slices_are_refused_with_the_reason(what: str) -> None:
    make, message = REFUSED[what]
    with pytest.raises(InvalidDomainError) as caught:
        make()
    assert message in str(caught.value)


def test_principal_axes_of_any_number() -> None:
    cloud = np.random.default_rng(0).normal(size=(50, 6)) * [5, 4, 3, 0.1, 0.1, 0.1]
    domain = Slice.pca(cloud, half_width=1.0, dimension=3)
    assert domain.dimension == 3
    assert np.abs(domain.basis[:3]).max(axis=1).min() > 0.9


@pytest.mark.parametrize("n_points", [2, 3, 4, 5])
def test_the_command_line_takes_as_many_points(run, tmp_path: Path, n_points: int) -> None:
    rng = np.random.default_rng(n_points)
    network, points = small_net(6), rng.normal(size=(n_points, 6))
    network.save(tmp_path / "net.npz")
    files = [tmp_path / f"x{k}.npy" for k in range(n_points)]
    for file, point in zip(files, points, strict=True):
        np.save(file, point)
    wanted = count_cells(network, Slice.through(*points, margin=0.5)).cells
    for words in (
        ["count", tmp_path / "net.npz", "--slice", *files, "--margin", "0.5", "--json"],
        ["count", "--margin", "0.5", "--json", "--slice", *files, tmp_path / "net.npz"],
    ):
        code, out, _ = run(*words)
        assert code == 0 and json.loads(out)["cells"] == wanted


def test_points_of_a_slice_are_the_words_that_follow_it() -> None:
    assert with_each_point(["count", "NET", "--slice", "a", "b", "--json"]) == [
        *["count", "NET", "--slice", "a", "--slice", "b", "--json"]
    ]
    assert with_each_point(["--slice", "--json", "a", "b"]) == ["--slice", "--json", "a", "b"]
    assert with_each_point(["--slice=a.npy", "b.npy"]) == ["--slice=a.npy", "b.npy"]
