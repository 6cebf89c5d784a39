"""Laws of what every domain says about itself: bounds, extent, sides, an interior point, its coordinates."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import examples

from regions.domain import Box, Domain, FrameBox, Polytope, Segment, Slice

FloatArray = npt.NDArray[np.float64]
KINDS = ("box", "grid box", "frame box", "segment", "square slice", "clipped slice", "simplex", "cut box")


def orthonormal(rng: np.random.Generator, n: int, d: int) -> FloatArray:
    return np.linalg.qr(rng.normal(size=(n, d)))[0]


def made(kind: str, d: int, seed: int) -> Domain:
    """A domain of a kind; slices have two dimensions and segments one, whatever d is."""
    rng = np.random.default_rng(seed)
    centre, half = rng.normal(size=d), rng.uniform(0.1, 2.0, size=d)
    n = d + int(rng.integers(1, 4))
    images = rng.normal(size=(3, n + 1))
    match kind:
        case "box":
            return Box(centre - half, centre + half)
        case "grid box":
            low = rng.integers(-3, 3, size=d)
            return Box(low, low + rng.integers(1, 4, size=d))
        case "frame box":
            return FrameBox(rng.normal(size=n), orthonormal(rng, n, d), centre - half, centre + half)
        case "segment":
            return Segment(*images[:2])
        case "square slice":
            return Slice.around(images[0], (images[1], images[2]), float(half[0]))
        case "clipped slice":
            return Slice.through(*images, margin=0.5, clip=(images.min(axis=0), images.max(axis=0)))
        case "simplex":
            A = np.vstack([-np.eye(d), np.ones((1, d))])
            return Polytope(A, [*(-centre), float(centre.sum() + half[0])])
        case _:
            A, b = Box(centre - half, centre + half).halfspaces
            normal = rng.normal(size=d)
            return Polytope(np.vstack([A, normal]), [*b, float(normal @ (centre + 0.3 * half))])


@st.composite
def domains(draw: st.DrawFn) -> Domain:
    return made(draw(st.sampled_from(KINDS)), draw(st.integers(1, 4)), draw(st.integers(0, 2**32 - 1)))


def slacks(domain: Domain, t: FloatArray) -> list[Fraction]:
    """How far a point is from each side, exactly (in units of the side's row)."""
    A, b = domain.halfspaces
    point = [Fraction(x) for x in t.tolist()]
    return [
        Fraction(c) - sum((Fraction(a) * x for a, x in zip(row, point, strict=True)), Fraction(0))
        for row, c in zip(A.tolist(), b.tolist(), strict=True)
    ]


@given(domains())
@examples(60)
def test_the_number_of_sides_is_that_of_the_halfspaces_and_of_their_names(domain: Domain) -> None:
    A, b = domain.halfspaces
    assert domain.n_sides == len(A) == len(b) == len(domain.side_names)


@given(domains())
@examples(60)
def test_bounds_hold_all_of_the_domain_and_are_attained(domain: Domain) -> None:
    low, high = domain.bounds()
    assert low.shape == high.shape == (domain.dimension,)
    assert np.array_equal(low, domain.vertices.min(axis=0))
    assert np.array_equal(high, domain.vertices.max(axis=0))
    points = domain.sample(200, np.random.default_rng(0))
    room = 1e-13 * domain.extent()
    assert np.all(points >= low - room) and np.all(points <= high + room)


@given(domains())
@examples(60)
def test_the_extent_is_the_largest_coordinate_of_a_vertex(domain: Domain) -> None:
    assert domain.extent().shape == (domain.dimension,)
    assert np.array_equal(domain.extent(), np.abs(domain.vertices).max(axis=0))


@given(domains())
@examples(60)
def test_the_interior_point_is_strictly_inside_every_side(domain: Domain) -> None:
    point = domain.interior_point()
    assert point.shape == (domain.dimension,)
    assert min(slacks(domain, point)) > 0
    assert np.array_equal(point, domain.interior_point())


@given(domains())
@examples(60)
def test_a_domain_is_the_identity_where_no_point_moves(domain: Domain) -> None:
    d = domain.dimension
    simplex = np.vstack([np.zeros(d), np.eye(d)])  # an affine map that leaves these alone is the identity
    inputs = domain.to_input(simplex)
    assert domain.is_identity == (inputs.shape == simplex.shape and np.array_equal(inputs, simplex))
    if domain.is_identity:
        points = domain.sample(20, np.random.default_rng(0))
        assert np.array_equal(domain.to_input(points), points)
        assert np.array_equal(domain.to_intrinsic(points), points)


@given(domains())
@examples(60)
def test_the_corners_of_the_bounds_are_vertices_exactly_of_axis_parallel_domains(domain: Domain) -> None:
    corners = set(product(*zip(*(bound.tolist() for bound in domain.bounds()), strict=True)))
    vertices = {tuple(vertex) for vertex in domain.vertices.tolist()}
    # exactly: the stored vertices lie on the stored sides, to the bit
    exact = all(
        [slack == 0 for slack in slacks(domain, vertex)] == tight.tolist()
        for vertex, tight in zip(domain.vertices, domain.incidence, strict=True)
    )
    assert domain.is_axis_parallel == (vertices == corners and exact)


@pytest.mark.parametrize(
    ("kind", "identity", "parallel"),
    [
        ("box", True, True),
        ("grid box", True, True),
        ("frame box", False, True),
        ("segment", False, True),
        ("square slice", False, True),
        ("clipped slice", False, False),
        ("simplex", True, False),
        ("cut box", True, False),
    ],
)
def test_each_kind_has_its_coordinates(kind: str, identity: bool, parallel: bool) -> None:
    domain = made(kind, 3, seed=1)
    assert (domain.is_identity, domain.is_axis_parallel) == (identity, parallel)


def test_a_box_of_scaled_sides_does_not_pass_for_exact() -> None:
    """3 t <= 1 ends at 1/3, which is no float."""
    scaled = Polytope([[3.0], [-1.0]], [1.0, 0.0])
    assert scaled.bounds()[1][0] == 1 / 3 and not scaled.is_axis_parallel
    assert Polytope([[1.0], [-1.0]], [1.0, 0.0]).is_axis_parallel


def test_large_boxes_say_everything_without_their_vertices() -> None:
    box = Box(-np.ones(784), 2.0 * np.ones(784))
    assert box.n_sides == 1568 and box.is_identity and box.is_axis_parallel
    assert np.array_equal(box.extent(), np.full(784, 2.0))
    assert box.contains(box.interior_point()) and np.all(np.abs(box.interior_point() - 0.5) < 0.2)
