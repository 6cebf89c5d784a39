"""Laws of the domains: exact starting polytopes, coordinates that agree, refusals that say why."""

from __future__ import annotations

import json
from fractions import Fraction
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import examples

from regions.domain import Box, Domain, Polytope, Segment, Slice, domain_from_dict
from regions.errors import BudgetExceededError, InvalidDomainError, RegionsError

FloatArray = npt.NDArray[np.float64]


def digit_like(seed: int, n: int = 784) -> FloatArray:
    """Three images with pixels in [0, 1], most of them exactly 0, some exactly 1."""
    rng = np.random.default_rng(seed)
    return np.clip(rng.normal(-0.2, 0.8, size=(3, n)), 0, 1)


def all_domains() -> dict[str, Domain]:
    images = digit_like(0)
    rng = np.random.default_rng(5)
    normals = rng.normal(size=(12, 3))
    return {
        "box 1": Box(-0.1, 0.3),
        "box 2": Box([-1, 0.1], [2, 0.7]),
        "box 3": Box([-1, 0, 2], [1, 1, 5]),
        "box 5": Box(-np.ones(5), np.ones(5)),
        "segment 1": Segment([0.3], [-0.2]),
        "segment 784": Segment(images[0], images[1]),
        "slice": Slice.through(*images),
        "slice clipped": Slice.through(*images, clip=(0, 1)),
        "slice around": Slice.around(images[0] * 0.5 + 0.2, (images[1], images[2]), 0.3, clip=(0, 0.9)),
        "slice pca": Slice.pca(rng.normal(size=(20, 6)), half_width=1.5, clip=(-1, 1)),
        "slice 3": Slice.through(*rng.uniform(-1, 1, size=(4, 6))),
        "slice 3 clipped": Slice.through(*rng.uniform(-1, 1, size=(4, 6)), clip=(-0.9, 0.9)),
        "parallelotope 4": Slice.spanned(images[0], rng.normal(size=(784, 4)), -0.3, 0.7),
        "triangle": Polytope([[1, 1], [-1, 0], [0, -1], [1, 0]], [1, 0, 0, 3]),
        "polytope 3": Polytope(normals, np.ones(12)),
        "cross-polytope": Polytope(
            np.array([[a, b, c] for a in (1, -1) for b in (1, -1) for c in (1, -1)]), [1] * 8
        ),
    }


DOMAINS = all_domains()
each_domain = pytest.mark.parametrize("name", list(DOMAINS))


@each_domain
def test_incidence_says_where_the_vertices_are_tight(name: str) -> None:
    domain = DOMAINS[name]
    A, b = domain.halfspaces
    assert domain.vertices.shape == (len(domain.vertices), domain.dimension)
    assert domain.incidence.shape == (len(domain.vertices), len(b)) == (len(domain.vertices), len(A))
    slack = b - domain.vertices @ A.T
    scale = np.abs(domain.vertices).max() * np.linalg.norm(A, axis=1) + np.abs(b)
    assert np.all(
        np.abs(slack)[domain.incidence] <= 1e-14 * np.broadcast_to(scale, slack.shape)[domain.incidence]
    )
    assert np.all(slack[~domain.incidence] > 0)


@each_domain
def test_every_halfspace_is_a_facet_and_every_vertex_has_d_of_them(name: str) -> None:
    domain = DOMAINS[name]
    assert len(domain.side_names) == len(domain.halfspaces[1]) == len(set(domain.side_names))
    assert np.all(domain.incidence.sum(axis=1) >= domain.dimension)
    for column in domain.incidence.T:
        on_facet = domain.vertices[column]
        assert np.linalg.matrix_rank(on_facet - on_facet[0]) == domain.dimension - 1


@each_domain
def test_planar_domains_are_counterclockwise_rings(name: str) -> None:
    domain = DOMAINS[name]
    if domain.dimension != 2:
        pytest.skip("only for two dimensions")
    n = len(domain.vertices)
    ring = np.eye(n, dtype=bool) | np.roll(np.eye(n, dtype=bool), 1, axis=0)
    assert np.array_equal(domain.incidence, ring)
    after = np.roll(domain.vertices, -1, axis=0)
    doubled = np.sum(domain.vertices[:, 0] * after[:, 1] - after[:, 0] * domain.vertices[:, 1])
    assert doubled / 2 == pytest.approx(domain.volume, rel=1e-12)
    A, _ = domain.halfspaces
    edges = after - domain.vertices
    assert np.all(A[:, 0] * edges[:, 1] - A[:, 1] * edges[:, 0] > 0)


@each_domain
def test_dictionary_restores_every_bit(name: str) -> None:
    domain = DOMAINS[name]
    copy = domain_from_dict(json.loads(json.dumps(domain.to_dict())))
    assert copy == domain and hash(copy) == hash(domain) and type(copy) is type(domain)
    for field in ("origin", "basis", "vertices", "incidence"):
        assert getattr(copy, field).tobytes() == getattr(domain, field).tobytes()
    for mine, theirs in zip(copy.halfspaces, domain.halfspaces, strict=True):
        assert mine.tobytes() == theirs.tobytes()
    assert copy.side_names == domain.side_names and copy.volume == domain.volume


@each_domain
def test_samples_lie_inside_and_have_the_domain_s_centre(name: str) -> None:
    domain = DOMAINS[name]
    points = domain.sample(4000, np.random.default_rng(1))
    assert points.shape == (4000, domain.dimension)
    assert np.all(domain.contains(points, tolerance=1e-12 * np.abs(domain.vertices).max()))
    again = domain.sample(4000, np.random.default_rng(1))
    assert np.array_equal(points, again)
    spread = np.ptp(domain.vertices, axis=0)
    other = domain.sample(4000, np.random.default_rng(2))
    assert np.all(np.abs(points.mean(axis=0) - other.mean(axis=0)) < 0.05 * spread)


@each_domain
def test_coordinates_go_there_and_back(name: str) -> None:
    domain = DOMAINS[name]
    points = domain.sample(50, np.random.default_rng(3))
    inputs = domain.to_input(points)
    assert inputs.shape == (50, domain.input_dim)
    assert np.allclose(domain.to_intrinsic(inputs), points, rtol=0, atol=1e-12 * (1 + np.abs(inputs).max()))
    assert np.array_equal(domain.to_input(points[7]), domain.to_input(points[7:8])[0])
    assert isinstance(domain.contains(points[7]), bool)
    assert np.allclose(domain.basis.T @ domain.basis, np.eye(domain.dimension), rtol=0, atol=1e-15 * 4)


@each_domain
def test_domains_cannot_be_written_to(name: str) -> None:
    domain = DOMAINS[name]
    for array in (domain.origin, domain.basis, domain.vertices, domain.incidence, *domain.halfspaces):
        with pytest.raises(ValueError, match="read-only"):
            array.flat[0] = 1
    with pytest.raises(AttributeError):
        domain.origin = np.zeros(2)
    assert "\n" not in domain.describe()


@given(
    st.integers(2, 4),
    st.lists(st.lists(st.integers(-3, 3), min_size=4, max_size=4), max_size=6),
    st.lists(st.integers(0, 6), min_size=8, max_size=8),
)
@examples(50)
def test_polytope_vertices_are_the_feasible_solutions_of_d_equations(
    d: int, normals: list[list[int]], bounds: list[int]
) -> None:
    """The origin is inside or on the boundary; a box keeps it bounded."""
    A = np.vstack([np.eye(d), -np.eye(d), *[[row[:d]] for row in normals]])
    b = np.array([2.0] * (2 * d) + [float(x) for x in bounds[: len(normals)]])
    expected = set()
    rows = [[int(x) for x in (*a, c)] for a, c in zip(A.tolist(), b.tolist(), strict=True)]
    for subset in combinations(rows, d):
        point = cramer(subset)
        if point is not None and all(inner(row[:d], point) <= row[d] for row in rows):
            expected.add(point)
    corners = np.array([[float(x) for x in p] for p in expected])
    if np.linalg.matrix_rank(corners - corners[0]) < d:
        with pytest.raises(InvalidDomainError, match="flat"):
            Polytope(A, b)
        return
    polytope = Polytope(A, b)
    assert {tuple(v) for v in polytope.vertices.tolist()} == {tuple(map(float, p)) for p in expected}
    assert polytope == Polytope(np.vstack([A, A[::-1]]), np.concatenate([b, b[::-1]]))


def cramer(rows: Any) -> tuple[Fraction, ...] | None:
    d = len(rows)
    denominator = laplace([row[:d] for row in rows])
    if denominator == 0:
        return None
    columns = ([[*row[:k], row[d], *row[k + 1 : d]] for row in rows] for k in range(d))
    return tuple(Fraction(laplace(matrix), denominator) for matrix in columns)


def laplace(matrix: Any) -> int:
    if not matrix:
        return 1
    minors = ([[*row[:j], *row[j + 1 :]] for row in matrix[1:]] for j in range(len(matrix)))
    return sum(
        (-1) ** j * x * laplace(m) for j, (x, m) in enumerate(zip(matrix[0], minors, strict=True)) if x
    )


def inner(u: Any, v: Any) -> Any:
    return sum(x * y for x, y in zip(u, v, strict=True))


@given(st.integers(0, 2**32 - 1), st.integers(1, 3))
@examples(40)
def test_polytope_volume_does_not_depend_on_how_it_is_cut(seed: int, d: int) -> None:
    rng = np.random.default_rng(seed)
    normal = rng.normal(size=d)
    offset = rng.uniform(-0.9, 0.9) * np.abs(normal).sum()
    A, b = Box([-1] * d, [1] * d).halfspaces
    parts = [Polytope(np.vstack([A, [s * normal]]), [*b, s * offset]) for s in (1.0, -1.0)]
    assert sum(part.volume for part in parts) == pytest.approx(2.0**d, rel=1e-13)


def test_cross_polytope_has_its_volume_and_vertices() -> None:
    cross = DOMAINS["cross-polytope"]
    assert cross.volume == pytest.approx(8 / 6, rel=1e-15)
    assert {tuple(v) for v in cross.vertices.tolist()} == {
        tuple(float(s) if j == k else 0.0 for j in range(3)) for k in range(3) for s in (1, -1)
    }


@pytest.mark.parametrize("d", [1, 2, 3, 6])
def test_box_sides_are_signed_coordinates_with_the_stored_bounds(d: int) -> None:
    low, high = 0.1 - np.arange(d), 0.3 + np.arange(d)
    box = Box(low, high)
    A, b = box.halfspaces
    assert len(A) == 2 * d and len(box.vertices) == 2**d
    for row, bound, name in zip(A, b, box.side_names, strict=True):
        (k,) = np.flatnonzero(row)
        assert (row[k], bound) in ((1.0, high[k]), (-1.0, -low[k]))
        assert name == f"x{k} = {row[k] * bound:g}"
    assert set(np.unique(box.vertices)) <= {*low, *high}
    assert np.array_equal(box.origin, np.zeros(d)) and np.array_equal(box.basis, np.eye(d))


def test_box_agrees_with_the_polytope_of_its_halfspaces() -> None:
    box = Box([-1, 0, 0.25], [1, 0.1, 7])
    polytope = Polytope(*box.halfspaces)
    assert {tuple(v) for v in box.vertices.tolist()} == {tuple(v) for v in polytope.vertices.tolist()}
    assert polytope.volume == pytest.approx(box.volume, rel=1e-15)


def test_split_boxes_share_exactly_the_cut() -> None:
    box = Box([-1, 0, 2], [1, 1, 5])
    left, right = box.split(1, 0.1)
    assert left.high[1] == right.low[1] == 0.1
    assert left.volume + right.volume == pytest.approx(box.volume)
    assert np.array_equal(left.low, box.low) and np.array_equal(right.high, box.high)


def test_large_boxes_work_until_their_vertices_are_asked_for() -> None:
    box = Box(np.zeros(784), np.ones(784))
    assert box.dimension == 784 and len(box.side_names) == 1568 and box.volume == 1.0
    assert np.all(box.contains(box.sample(3, np.random.default_rng(0))))
    with pytest.raises(BudgetExceededError, match="784 dimensions"):
        _ = box.vertices
    with pytest.raises(BudgetExceededError):
        _ = box.incidence


def test_segment_parameter_is_arc_length_from_a() -> None:
    a, b = digit_like(3)[:2]
    segment = Segment(a, b)
    length = float(np.linalg.norm(b - a))
    assert segment.volume == pytest.approx(length, rel=1e-15)
    assert np.array_equal(segment.to_input([0.0]), a)
    assert np.allclose(segment.to_input([segment.volume]), b, rtol=0, atol=1e-13)
    assert np.array_equal(np.sort(segment.vertices.ravel()), [0.0, segment.volume])


@pytest.mark.parametrize("scale", [1e-200, 1e-3, 1e200])
def test_tiny_and_huge_segments_keep_their_length(scale: float) -> None:
    assert Segment([0, 0], [3 * scale, 4 * scale]).volume == pytest.approx(5 * scale)


@pytest.mark.parametrize("margin", [0.0, 0.1, 2.0])
def test_slice_through_holds_its_points_in_a_square(margin: float) -> None:
    points = np.random.default_rng(0).normal(size=(3, 20))
    domain = Slice.through(*points, margin=margin)
    t = domain.to_intrinsic(points)
    assert np.allclose(domain.to_input(t), points, rtol=0, atol=1e-13)
    assert np.all(domain.contains(t, tolerance=1e-13))
    extent = np.ptp(t, axis=0).max()
    assert domain.volume == pytest.approx(((1 + margin) * extent) ** 2, rel=1e-12)
    assert np.ptp(domain.vertices, axis=0) == pytest.approx([(1 + margin) * extent] * 2, rel=1e-12)
    first = points[1] - points[0]
    assert np.allclose(domain.basis[:, 0], first / np.linalg.norm(first), rtol=0, atol=1e-15)


@pytest.mark.sweep(6)
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("margin", [0.0, 0.1, 5.0])
def test_clipping_keeps_exactly_the_square_s_part_in_the_input_box(seed: int, margin: float) -> None:
    images = digit_like(seed)
    whole = Slice.through(*images, margin=margin)
    clipped = Slice.through(*images, margin=margin, clip=(0, np.ones(784)))
    assert np.all(clipped.contains(clipped.to_intrinsic(images), tolerance=1e-12))
    points = whole.sample(3000, np.random.default_rng(seed))
    inputs = whole.to_input(points)
    inside = np.all((inputs >= -1e-12) & (inputs <= 1 + 1e-12), axis=1)
    assert np.array_equal(clipped.contains(points, tolerance=1e-11), inside)
    corners = clipped.to_input(clipped.vertices)
    assert corners.min() > -1e-12 and corners.max() < 1 + 1e-12


def test_constant_pixels_do_not_clip_a_slice() -> None:
    images = digit_like(1)
    images[:, :5], images[:, 5:9] = 0.0, 1.0
    domain = Slice.through(*images, clip=(0, 1))
    assert not np.any(domain.basis[:9])
    cloud = np.concatenate([images, digit_like(2), digit_like(4)])
    cloud[:, :5] = 0.0
    plane = Slice.pca(cloud, half_width=0.05, clip=(0, 1))
    assert not np.any(plane.basis[:5]) and not np.any(plane.origin[:5])


def test_a_clip_that_touches_a_corner_or_a_side_is_redundant() -> None:
    square = Slice.around([0, 0, 0], ([1, 0, 0], [0, 1, 0]), 1.0)
    touched = Slice.around([0, 0, 0], ([1, 0, 0], [0, 1, 0]), 1.0, clip=([-1, -5, -1], [1, 1, 1]))
    assert np.array_equal(touched.vertices, square.vertices)
    diagonal = np.array([[0.0, -1], [1, 0], [0, 1], [-1, 0], [1, 1]]), np.array([1.0, 1, 1, 1, 2])
    assert len(Slice([0, 0], np.eye(2), diagonal).vertices) == 4


def test_slice_names_its_sides_after_what_bounds_it() -> None:
    domain = Slice.around([0.5, 0.5, 0.5], ([1, 0, 0], [0, 1, 0]), 1.0, clip=([0, -9, 0], [9, 1, 1]))
    assert domain.side_names == ("t1 = -1", "t0 = 1", "x1 = 1", "x0 = 0")


def test_pca_spans_the_directions_of_largest_variance() -> None:
    rng = np.random.default_rng(0)
    cloud = rng.normal(size=(500, 5)) * [0.1, 3.0, 0.1, 5.0, 0.1] + 7
    domain = Slice.pca(cloud, half_width=1.0)
    assert np.abs(domain.basis[3, 0]) > 0.99 and np.abs(domain.basis[1, 1]) > 0.99
    assert np.allclose(domain.origin, cloud.mean(axis=0))
    assert np.array_equal(Slice.pca(cloud, center=np.zeros(5), half_width=1.0).origin, np.zeros(5))


NAN = float("nan")
THREE = ([0, 0, 0], [1, 0, 0], [0, 1, 0])
E3 = np.eye(3)
REFUSED: dict[str, tuple[Any, str]] = {
    "low above high": (lambda: Box([0, 1], [1, 0]), "low > high in coordinate 1"),
    "all inputs fixed": (lambda: Box([0, 1], [0, 1]), "low == high in every coordinate"),
    "nan bound": (lambda: Box([0, NAN], [1, 1]), "low holds nan at index"),
    "infinite bound": (lambda: Box([0, 0], [1, np.inf]), "high holds inf at index"),
    "unequal bounds": (lambda: Box([0], [1, 2]), "one low and one high"),
    "no coordinates": (lambda: Box([], []), "one low and one high"),
    "matrix bounds": (lambda: Box([[0]], [[1]]), "one low and one high"),
    "ragged bounds": (lambda: Box([0, [1]], [1, 1]), "low is not an array of numbers"),
    "words": (lambda: Box(["a"], ["b"]), "must hold real numbers"),
    "complex": (lambda: Box([1j], [2]), "must hold real numbers"),
    "too wide": (lambda: Box([-1.5e308], [1.5e308]), "wider than the largest float"),
    "split outside": (lambda: Box([0], [1]).split(0, 1.0), "not strictly between"),
    "split axis": (lambda: Box([0], [1]).split(1, 0.5), "axis is 1"),
    "same ends": (lambda: Segment([1, 2], [1, 2]), "same point"),
    "unequal ends": (lambda: Segment([1, 2], [1]), "two points"),
    "nan end": (lambda: Segment([1, 2], [1, NAN]), "b holds nan"),
    "infinite length": (lambda: Segment([-1.5e308], [1.5e308]), "longer than the largest float"),
    "collinear": (lambda: Slice.through([0, 0, 0], [1, 2, 3], [2, 4, 6]), "collinear"),
    "nearly collinear": (lambda: Slice.through([0.1, 0.3], [0.4, 0.7], [0.7, 1.1]), "collinear"),
    "twice the same": (lambda: Slice.through([0, 0], [0, 0], [1, 0]), "collinear"),
    "point lengths": (lambda: Slice.through([0, 0], [0, 1], [1, 0, 0]), "three points have shapes"),
    "negative margin": (lambda: Slice.through(*THREE, margin=-0.1), "margin is -0.1"),
    "nan point": (lambda: Slice.through([NAN, 0], [0, 1], [1, 0]), "x0 holds nan"),
    "one input": (lambda: Slice.through([0], [1], [2]), "collinear"),
    "zero direction": (lambda: Slice.around([0, 0], ([0, 0], [1, 0]), 1), "parallel or zero"),
    "parallel": (lambda: Slice.around([0, 0], ([1, 1], [-2, -2]), 1), "parallel or zero"),
    "nine directions": (lambda: Slice.around(np.zeros(9), np.eye(9), 1), "holds 9 vectors"),
    "direction length": (lambda: Slice.around([0, 0], ([1, 1, 0], [0, 1, 0]), 1), "all must be"),
    "half width": (lambda: Slice.around([0, 0], ([1, 1], [0, 1]), 0), "half_width is 0"),
    "flat data": (lambda: Slice.pca([[0, 0], [1, 1], [2, 2]], half_width=1), "on one line"),
    "two data points": (lambda: Slice.pca([[0, 0], [1, 1]], half_width=1), "N >= 3"),
    "clip misses": (lambda: Slice.through(*THREE, clip=(3, 4)), "clip is empty: input 2"),
    "clip misses the square": (lambda: Slice.through(*THREE, clip=([3, -1, -1], [4, 1, 1])), "does not meet"),
    "clip touches": (lambda: Slice.through(*THREE, margin=0, clip=([1, -1, -1], [2, 1, 1])), "does not meet"),
    "clip order": (lambda: Slice.through(*THREE, clip=(1, [2, 1, 3])), "low >= high in coordinate 1"),
    "clip nan": (lambda: Slice.through(*THREE, clip=(0, NAN)), "clip high holds NaN"),
    "clip shape": (lambda: Slice.through(*THREE, clip=(0, [1, 1])), "clip high has shape"),
    "clip parts": (lambda: Slice.through(*THREE, clip=(0, 1, 2)), "clip holds 3 parts"),
    "skew basis": (lambda: Slice([0, 0], [[1, 1], [0, 1]], Box([0, 0], [1, 1]).halfspaces), "orthonormal"),
    "basis shape": (lambda: Slice([0, 0], [[1, 0]], Box([0, 0], [1, 1]).halfspaces), "a slice needs"),
    "polygon shape": (lambda: Slice([0, 0], np.eye(2), ([[1, 0, 0]], [1])), "must be (m, 2)"),
    "empty polytope": (lambda: Polytope([[1, 0], [-1, 0], [0, 1], [0, -1]], [-1, 0, 1, 1]), "empty"),
    "empty line": (lambda: Polytope([[1, 0], [-1, 0]], [-1, 0]), "empty"),
    "flat polytope": (lambda: Polytope([[1, 0], [-1, 0], [0, 1], [0, -1]], [1, -1, 1, 1]), "flat"),
    "point": (lambda: Polytope([[1, 1], [-1, 0], [0, -1]], [0, 0, 0]), "flat"),
    "unbounded": (lambda: Polytope([[1, 0], [-1, 0], [0, 1]], [1, 1, 1]), "unbounded in direction"),
    "whole line": (lambda: Polytope([[1, 0], [-1, 0]], [1, 1]), "unbounded: A has rank 1"),
    "no rows": (lambda: Polytope(np.zeros((0, 2)), []), "without halfspaces"),
    "zero row": (lambda: Polytope([[0.0], [1], [-1]], [-1, 1, 1]), "empty: a zero row"),
    "row count": (lambda: Polytope([[1, 0]], [1, 2]), "must be (m, d) and (m,)"),
    "unknown kind": (lambda: domain_from_dict({"kind": "ball"}), "unknown kind of domain 'ball'"),
    "missing entry": (lambda: domain_from_dict({"kind": "box", "low": [0]}), "no entry 'high'"),
    "points": (lambda: Box([0, 0], [1, 1]).contains([1, 2, 3]), "t has shape"),
    "inputs": (lambda: Box([0, 0], [1, 1]).to_intrinsic([[1, 2, 3]]), "x has shape"),
}


@pytest.mark.parametrize("what", list(REFUSED))
def test_bad_domains_are_refused_with_the_reason(what: str) -> None:
    make, message = REFUSED[what]
    with pytest.raises(InvalidDomainError) as caught:
        make()
    assert message in str(caught.value)
    assert isinstance(caught.value, RegionsError) and isinstance(caught.value, ValueError)


def test_one_sided_clips_may_be_infinite() -> None:
    clipped = Slice.through(*THREE, margin=0, clip=(-np.inf, [0.5, np.inf, np.inf]))
    assert clipped.volume == pytest.approx(0.5)
