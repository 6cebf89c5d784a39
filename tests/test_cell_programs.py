"""Laws of the convex questions about one cell: closed forms, and the vertices as the other side's witness.

Vertices are rounded to some ulps of the domain's size, so lengths are compared with 1e-13 of it; the
programs' own answers are better than that. Ellipsoids come from an interior-point method: volumes to
1e-6, semi-axes to 1e-3 (the square root of the gap that is allowed).
"""

from __future__ import annotations

import json
import math
from math import factorial, gamma, inf, pi, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from judging import random_complex
from networks import network_on_box
from scipy.optimize import nnls

import regions
from regions import (
    Box,
    Network,
    Polytope,
    Segment,
    Slice,
    cell_halfspaces,
    cell_width,
    chebyshev_ball,
    enumerate_cells,
    inscribed_ellipsoid,
    output_range,
    project_onto_cell,
)
from regions.analysis.one_cell.cell_frame import cell_frame
from regions.complexes.cell_complex import CellComplex
from regions.errors import InvalidInputError, RegionsError, SolverError
from regions.optimize.conic_programs import CONIC, MAX_GAP, MAX_VIOLATION, solve_checked

ROUNDING = 1e-13


def affine(matrix: Any, offset: Any) -> Network:
    return Network.from_arrays([matrix], [offset])


def whole(domain: Any) -> CellComplex:
    """A domain as the one cell of an affine network, whose outputs are the inputs."""
    n = domain.input_dim
    return enumerate_cells(affine(np.eye(n), np.zeros(n)), domain)


def ball_volume(d: int) -> float:
    return pi ** (d / 2) / gamma(d / 2 + 1)


def clipped_slice() -> CellComplex:
    network, _ = network_on_box(7, (14, 10), 3)
    domain = Slice.around(np.full(7, 0.1), np.random.default_rng(0).normal(size=(2, 7)), 2.0, (-1.0, 1.0))
    return enumerate_cells(network, domain)


def degenerate() -> CellComplex:
    """Repeated, opposite, zero and dead units: rows of zeros and facets with several units on them."""
    hidden = [[1.0, 0.0], [2.0, 0.0], [-1.0, 0.0], [0.0, 0.0], [0.0, 1.0], [1.0, 1.0]]
    after = [[1.0, 0.0, 1.0, 0.0, 0.0, -1.0], [1.0, -0.5, 0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0, 1.0, 0.0]]
    return enumerate_cells(
        Network.from_arrays(
            [hidden, after, [[1.0, 1.0, -1.0], [0.0, 1.0, 0.0]]],
            [[0, 0, 0, 0.5, -0.25, -0.5], [0, 0, -0.25], [0, 0]],
        ),
        Box([-1, -1], [1, 1]),
    )


MAKERS: dict[str, Any] = {
    "d=1": lambda: random_complex(1, (12, 12)),
    "d=2": lambda: random_complex(2, (12, 12)),
    "d=3": lambda: random_complex(3, (10, 8), 2),
    "d=4": lambda: random_complex(4, (10, 6), 1),
    "d=5": lambda: random_complex(5, (6, 4)),
    "clipped slice": clipped_slice,
    "degenerate": degenerate,
}


@pytest.fixture(scope="module", params=list(MAKERS))
def cells(request: pytest.FixtureRequest) -> CellComplex:
    return MAKERS[request.param]()


def chosen(cells: CellComplex, n: int = 5) -> list[int]:
    """The smallest, the largest and some other cells."""
    order = np.argsort(cells.volumes)
    return sorted({int(order[k]) for k in np.linspace(0, cells.n_cells - 1, n).astype(int)})


def reports_hold(*answers: Any) -> bool:
    return all(a.report.violation <= MAX_VIOLATION and a.report.gap <= MAX_GAP for a in answers)


def nearest_by_vertices(vertices: np.ndarray, point: np.ndarray) -> np.ndarray:
    """Nearest point of a convex hull, by non-negative least squares on its barycentric coordinates."""
    reach = float(np.abs(vertices - point).max())
    rows = np.vstack([(vertices - point).T / reach, np.full(len(vertices), 1.0)])
    weights, _ = nnls(rows, np.array([*np.zeros(point.size), 1.0]))  # Wolfe's least-norm point
    return weights / weights.sum() @ vertices


# halfspaces


@pytest.mark.kernels
def test_facet_rows_are_as_many_as_facets_and_touch_d_vertices(cells: CellComplex) -> None:
    for i in chosen(cells):
        rows, vertices = cell_halfspaces(cells, i), cells.vertices(i)
        slack = rows.b - vertices @ rows.A.T
        assert rows.irredundant and rows.b.size == cells.n_facets[i] == len(rows.names)
        assert np.allclose(np.linalg.norm(rows.A, axis=1), 1.0, rtol=1e-14)
        assert slack.min() > -1e-12
        assert np.all((np.abs(slack) < 1e-12).sum(axis=0) >= cells.dimension)


def test_all_rows_hold_the_same_cell_and_none_is_zero(cells: CellComplex) -> None:
    for i in chosen(cells):
        facets, everything = cell_halfspaces(cells, i), cell_halfspaces(cells, i, irredundant=False)
        assert not everything.irredundant and everything.b.size >= facets.b.size
        assert set(facets.names) <= set(everything.names)
        assert np.allclose(np.linalg.norm(everything.A, axis=1), 1.0, rtol=1e-14)
        assert np.min(everything.b - cells.vertices(i) @ everything.A.T) > -1e-12


def test_rows_are_those_of_the_unit_maps(cells: CellComplex) -> None:
    i = chosen(cells)[-1]
    rows, pattern = cell_halfspaces(cells, i, irredundant=False), cells.pattern(i)
    maps = cells.network.unit_maps(pattern)
    for a, b, layer, unit in zip(rows.A, rows.b, rows.layer, rows.unit, strict=True):
        if layer >= 0:
            gradient = maps[layer][0][unit] @ cells.domain.basis
            value = maps[layer][0][unit] @ cells.domain.origin + maps[layer][1][unit]
            sign = 1.0 if pattern[cells.network.unit_offsets[layer] + unit] else -1.0
            expected = sign * np.array([*-gradient, value]) / np.linalg.norm(gradient)
            assert np.allclose([*a, b], expected, rtol=1e-9, atol=1e-12)


def test_units_that_vanish_on_the_cell_are_left_out() -> None:
    cells = degenerate()
    left = int(cells.locate([[-0.5, 0.5]])[0])
    names = cell_halfspaces(cells, left, irredundant=False).names
    assert "unit (0, 3)" not in names  # weight zero
    assert "unit (1, 1)" not in names  # relu(x) - relu(2 x) / 2
    assert "unit (0, 0)" in names


# closed forms


@pytest.mark.parametrize("d", [1, 2, 3, 4, 5])
def test_a_box_has_the_shortest_half_side_and_its_semi_axes(d: int) -> None:
    high = np.arange(1.0, d + 1.0) ** 2
    cells = whole(Box(np.zeros(d), high))
    ball, ellipsoid = chebyshev_ball(cells, 0), inscribed_ellipsoid(cells, 0)
    assert ball.radius == pytest.approx(0.5, rel=1e-9)
    assert ellipsoid.volume == pytest.approx(ball_volume(d) * np.prod(high / 2), rel=1e-6)
    assert np.allclose(ellipsoid.centre, high / 2, rtol=1e-3)
    assert np.allclose(np.linalg.norm(ellipsoid.matrix, axis=0), high[::-1] / 2, rtol=1e-3)
    assert reports_hold(ball, ellipsoid)


@pytest.mark.parametrize("d", [2, 3, 4])
def test_a_simplex_has_its_insphere_and_johns_ellipsoid(d: int) -> None:
    """x >= 0, sum x <= 1: radius 1 / (d + sqrt d); John's is the affine image of the regular one's ball."""
    cells = whole(Polytope(np.vstack([-np.eye(d), np.ones((1, d))]), [*np.zeros(d), 1.0]))
    ball, ellipsoid = chebyshev_ball(cells, 0), inscribed_ellipsoid(cells, 0)
    assert ball.radius == pytest.approx(1 / (d + sqrt(d)), rel=1e-9)
    assert np.allclose(ball.centre, ball.radius, rtol=1e-9)
    # a regular simplex of inradius 1 has volume d^(d/2) (d + 1)^((d + 1)/2) / d!
    share = ball_volume(d) * factorial(d) / (d ** (d / 2) * (d + 1) ** ((d + 1) / 2))
    assert ellipsoid.volume == pytest.approx(share / factorial(d), rel=1e-6)
    assert np.allclose(ellipsoid.centre, 1 / (d + 1), rtol=1e-3)
    assert reports_hold(ball, ellipsoid)


@pytest.mark.parametrize("seed", range(4))
def test_a_triangle_has_area_over_semiperimeter(seed: int) -> None:
    corners = np.random.default_rng(seed).normal(size=(3, 2))
    edges = np.roll(corners, -1, axis=0) - corners
    area = (edges[0, 0] * edges[1, 1] - edges[0, 1] * edges[1, 0]) / 2
    normals = np.sign(area) * np.stack([edges[:, 1], -edges[:, 0]], axis=1)
    ball = chebyshev_ball(whole(Polytope(normals, np.sum(normals * corners, axis=1))), 0)
    lengths = np.linalg.norm(edges, axis=1)
    assert ball.radius == pytest.approx(2 * abs(area) / lengths.sum(), rel=1e-9)
    incentre = np.roll(lengths, -1) @ corners / lengths.sum()  # weight: the opposite side
    assert np.allclose(ball.centre, incentre, atol=1e-9)


def test_a_regular_polygon_has_its_incircle_as_both() -> None:
    angles = 2 * pi * np.arange(7) / 7
    cells = whole(Polytope(np.stack([np.cos(angles), np.sin(angles)], axis=1), np.full(7, 3.0)))
    ball, ellipsoid = chebyshev_ball(cells, 0), inscribed_ellipsoid(cells, 0)
    assert ball.radius == pytest.approx(3.0, rel=1e-9)
    assert ellipsoid.volume == pytest.approx(9 * pi, rel=1e-6)
    assert np.allclose(ellipsoid.matrix.T @ ellipsoid.matrix, 9 * np.eye(2), atol=1e-2)


@pytest.mark.parametrize("away", [1e-12, 1e-6, 1.0, 1e6])
def test_projection_onto_a_box_clips(away: float) -> None:
    cells = whole(Box([0, 0, 0], [1, 2, 3]))
    point = np.array([1.0 + away, 0.5, -away])
    found = project_onto_cell(cells, 0, point)
    outside = point - np.clip(point, 0, [1, 2, 3])
    assert np.allclose(found.point, np.clip(point, 0, [1, 2, 3]), atol=1e-9)
    assert found.distance == pytest.approx(np.linalg.norm(outside), rel=1e-9, abs=1e-15)
    largest = project_onto_cell(cells, 0, point, norm=inf)
    assert largest.distance == pytest.approx(np.abs(outside).max(), rel=1e-9, abs=1e-15)
    assert np.abs(largest.point - point).max() == pytest.approx(largest.distance, rel=1e-9, abs=1e-15)
    assert reports_hold(found, largest)


def test_a_constant_output_has_spread_zero_exactly() -> None:
    third = Network.from_arrays([[[0.1, 0.7], [0.3, 2.1]]], [[0.1, 0.2]])
    cells = enumerate_cells(third, Box([0, 0], [1, 1]))
    weights = [np.array([1.0, 0.0]), np.array([0.0, 0.0])]
    assert output_range(cells, 0, weights[0]).spread > 0.7
    zero = output_range(cells, 0, weights[1])
    assert (zero.low, zero.high, zero.spread, zero.report.solver) == (0.0, 0.0, 0.0, "none")


# against the vertices


@pytest.mark.sweep(3)
def test_ranges_of_outputs_are_those_of_the_vertices(cells: CellComplex) -> None:
    outputs = cells.network.output_dim
    combinations: list[Any] = [0, outputs - 1, -1, np.linspace(-1.0, 2.0, outputs)]
    for i in chosen(cells):
        A, c = cells.affine_map(i, "intrinsic")
        values = cells.vertices(i) @ A.T + c
        for output in combinations:
            found = output_range(cells, i, output)
            y = values[:, output] if isinstance(output, int) else values @ output
            size = np.abs(values).max() + 1.0
            assert found.low == pytest.approx(y.min(), rel=1e-9, abs=ROUNDING * size)
            assert found.high == pytest.approx(y.max(), rel=1e-9, abs=ROUNDING * size)
            assert found.spread == pytest.approx(np.ptp(y), rel=1e-9, abs=ROUNDING * size)
            assert reports_hold(found)


def test_output_points_reach_the_values_and_the_network_agrees(cells: CellComplex) -> None:
    for i in chosen(cells):
        found = output_range(cells, i, 0, coordinates="input")
        assert found.high_point.shape == (cells.network.input_dim,)
        reached = cells.network.forward(np.array([found.low_point, found.high_point]))[:, 0]
        assert np.allclose(reached, [found.low, found.high], rtol=1e-9, atol=1e-11)


def test_widths_are_those_of_the_vertices(cells: CellComplex, rng: np.random.Generator) -> None:
    for i in chosen(cells):
        direction = rng.normal(size=cells.dimension)
        along = cells.vertices(i) @ (direction / np.linalg.norm(direction))
        found = cell_width(cells, i, 1e3 * direction)
        assert found.spread == pytest.approx(np.ptp(along), rel=1e-9, abs=ROUNDING)
        assert found.low == pytest.approx(along.min(), abs=1e-12)
        across = cell_width(cells, i, cells.domain.basis @ direction, coordinates="input")
        assert across.spread == pytest.approx(found.spread, rel=1e-9)


@pytest.mark.sweep(3)
def test_ball_and_ellipsoid_lie_in_the_cell_and_johns_bounds_hold(cells: CellComplex) -> None:
    d = cells.dimension
    for i in chosen(cells):
        rows = cell_halfspaces(cells, i)
        ball, ellipsoid = chebyshev_ball(cells, i), inscribed_ellipsoid(cells, i)
        assert reports_hold(ball, ellipsoid)
        slack = rows.b - rows.A @ ball.centre
        assert slack.min() == pytest.approx(ball.radius, rel=1e-9, abs=ROUNDING)
        reached = rows.A @ ellipsoid.centre + np.linalg.norm(rows.A @ ellipsoid.matrix, axis=1)
        assert np.all(reached <= rows.b + ROUNDING)
        # John: d times the ellipsoid holds the cell, so volumes differ by d^d at most
        assert ellipsoid.volume <= cells.volumes[i] * (1 + 1e-9)
        assert ellipsoid.volume * d**d >= cells.volumes[i] * (1 - 1e-5)
        assert ball.radius**d * ball_volume(d) <= ellipsoid.volume * (1 + 1e-5)
        axes = np.linalg.norm(ellipsoid.matrix, axis=0)
        assert np.prod(axes) * ball_volume(d) == pytest.approx(ellipsoid.volume, rel=1e-12)
        assert np.all(np.diff(axes) <= 0)
        turned = ellipsoid.matrix / axes
        assert np.allclose(turned.T @ turned, np.eye(d), atol=1e-12)


def test_no_larger_ball_fits(cells: CellComplex, rng: np.random.Generator) -> None:
    """The least slack of any other point of the cell is no larger than the radius."""
    for i in chosen(cells):
        rows, ball = cell_halfspaces(cells, i), chebyshev_ball(cells, i)
        vertices = cells.vertices(i)
        points = rng.dirichlet(np.ones(len(vertices)), size=500) @ vertices
        assert np.min(rows.b - points @ rows.A.T, axis=1).max() <= ball.radius + ROUNDING


@pytest.mark.sweep(3)
def test_nearest_points_are_those_of_the_hull_of_the_vertices(
    cells: CellComplex, rng: np.random.Generator
) -> None:
    for i in chosen(cells):
        vertices = cells.vertices(i)
        for point in cells.domain.sample(3, rng):
            found = project_onto_cell(cells, i, point)
            expected = nearest_by_vertices(vertices, point)
            assert found.distance == pytest.approx(np.linalg.norm(expected - point), rel=1e-7, abs=1e-10)
            assert np.allclose(found.point, expected, atol=1e-6)
            largest = project_onto_cell(cells, i, point, norm=inf)
            assert largest.distance <= found.distance * (1 + 1e-9)
            assert largest.distance * sqrt(cells.dimension) >= found.distance * (1 - 1e-9)
            assert reports_hold(found, largest)


@pytest.mark.parametrize("away", [1e-12, 1e-9, 1e-5])
def test_points_close_to_a_corner_keep_relative_accuracy(cells: CellComplex, away: float) -> None:
    """Beyond a facet's plane by much less than the cell is wide, but by a known distance at least."""
    i = chosen(cells)[-1]
    rows, corner = cell_halfspaces(cells, i), cells.vertices(i)[0]
    point = corner + away * rows.A[np.argmin(rows.b - rows.A @ corner)]
    beyond = np.max(rows.A @ point - rows.b)
    found, largest = project_onto_cell(cells, i, point), project_onto_cell(cells, i, point, norm=inf)
    assert beyond - 1e-15 <= found.distance <= away + 1e-15
    assert found.distance / sqrt(cells.dimension) - 1e-15 <= largest.distance <= found.distance + 1e-15
    assert reports_hold(found, largest)


def test_a_point_of_the_cell_is_its_own_projection(cells: CellComplex) -> None:
    for i in chosen(cells):
        for norm in (2, inf):
            found = project_onto_cell(cells, i, cells.witnesses[i], norm=norm)
            assert found.distance == 0.0 and np.array_equal(found.point, cells.witnesses[i])


# coordinates of the input


def test_projection_of_an_input_off_the_slice_counts_its_distance_from_the_plane(
    rng: np.random.Generator,
) -> None:
    cells = clipped_slice()
    basis, origin = cells.domain.basis, cells.domain.origin
    for i in chosen(cells, 3):
        x = rng.normal(size=7)
        found = project_onto_cell(cells, i, x, coordinates="input")
        inside = project_onto_cell(cells, i, cells.domain.to_intrinsic(x))
        height = np.linalg.norm(x - origin - basis @ (basis.T @ (x - origin)))
        assert found.distance == pytest.approx(np.hypot(height, inside.distance), rel=1e-9)
        assert np.linalg.norm(found.point - x) == pytest.approx(found.distance, rel=1e-9)
        above = origin + basis @ cells.witnesses[i]
        up = np.linalg.svd(basis)[0][:, 2]
        assert project_onto_cell(cells, i, above + 0.5 * up, coordinates="input").distance == pytest.approx(
            0.5
        )


def test_projection_in_the_maximum_norm_of_inputs_is_no_worse_than_any_point(
    rng: np.random.Generator,
) -> None:
    cells = clipped_slice()
    for i in chosen(cells, 3):
        x, vertices = rng.normal(size=7), cells.vertices(i)
        found = project_onto_cell(cells, i, x, norm=inf, coordinates="input")
        tried = cells.domain.to_input(rng.dirichlet(np.full(len(vertices), 0.5), size=3000) @ vertices)
        assert np.abs(found.point - x).max() == pytest.approx(found.distance, rel=1e-9)
        assert np.abs(tried - x).max(axis=1).min() >= found.distance * (1 - 1e-9)


def test_centres_and_axes_in_input_coordinates_are_images_of_the_intrinsic_ones() -> None:
    cells = clipped_slice()
    i = chosen(cells)[2]
    for ask in (chebyshev_ball, inscribed_ellipsoid):
        inner, outer = ask(cells, i), ask(cells, i, coordinates="input")
        assert np.allclose(cells.domain.to_input(inner.centre), outer.centre, atol=1e-14)
    assert np.allclose(cells.domain.basis @ inner.matrix, outer.matrix, rtol=1e-12, atol=1e-14)


def test_a_segment_has_the_half_length_as_radius_and_volume() -> None:
    fold = Network.from_arrays([[[1.0, 0.0]], [[1.0]]], [[-1.0], [0.0]])
    cells = enumerate_cells(fold, Segment([0, 0], [3, 4]))
    beyond = int(cells.locate([[4.0]])[0])  # from t = 5/3 to 5
    assert chebyshev_ball(cells, beyond).radius == pytest.approx(5 / 3, rel=1e-12)
    assert inscribed_ellipsoid(cells, beyond).volume == pytest.approx(10 / 3, rel=1e-6)
    assert np.allclose(chebyshev_ball(cells, beyond, coordinates="input").centre, [2.0, 8 / 3])


# small and thin cells


@pytest.mark.parametrize("width", [1e-3, 1e-8, 1e-12, 1e-15])
def test_a_rotated_needle_keeps_relative_accuracy(width: float) -> None:
    """Between two parallel lines at a slope, 1 / sqrt(1.36) apart times a bias difference."""
    direction = np.array([0.6, 1.0])
    cells = enumerate_cells(
        Network.from_arrays([[direction, direction], [[1.0, -1.0]]], [[-0.5, -0.5 - width], [0.0]]),
        Box([0, 0], [1, 1]),
    )
    gap = (0.5 + width) - 0.5  # of the stored biases
    needle = int(np.argmin(cells.volumes))
    apart, length = gap / np.linalg.norm(direction), np.hypot(5 / 6, 0.5)
    assert chebyshev_ball(cells, needle).radius == pytest.approx(apart / 2, rel=1e-9)
    across = cell_width(cells, needle, direction).spread
    assert across == pytest.approx(
        apart, rel=1e-9, abs=2e-16
    )  # the direction is rounded, and the needle long
    assert output_range(cells, needle).spread == pytest.approx(gap, rel=1e-9)
    ellipsoid = inscribed_ellipsoid(cells, needle)
    assert 0.6 < ellipsoid.volume / (length * apart) < 0.79
    axes = np.linalg.norm(ellipsoid.matrix, axis=0)
    assert axes[1] == pytest.approx(apart / 2, rel=max(2 * width, 2e-3))


@pytest.mark.parametrize("size", [1e-6, 1e-12, 1e-14])
def test_a_tiny_simplex_far_from_zero_is_the_scaled_one(size: float) -> None:
    corner = np.array([0.75, 0.5, 0.25])
    rows = np.vstack([np.eye(3), -np.ones((1, 3))])
    bias = np.array([*-corner, corner.sum() + size])
    stored = bias[3] - corner.sum()  # what is left of the size after rounding
    cells = enumerate_cells(
        Network.from_arrays([rows, np.ones((1, 4))], [bias, [0.0]]), Box([0, 0, 0], [1, 1, 1])
    )
    tiny = int(np.argmin(cells.volumes))
    assert cells.pattern(tiny).all()
    assert chebyshev_ball(cells, tiny).radius == pytest.approx(stored / (3 + sqrt(3)), rel=1e-9)
    share = ball_volume(3) * 6 / (3**1.5 * 16)
    assert inscribed_ellipsoid(cells, tiny).volume == pytest.approx(share * stored**3 / 6, rel=1e-6)
    assert cell_width(cells, tiny, [1, 0, 0]).spread == pytest.approx(stored, rel=1e-9)
    distance = project_onto_cell(cells, tiny, corner - [stored, 0, 0]).distance
    # the point given is rounded
    assert distance == pytest.approx(stored, rel=1e-9, abs=2e-16)


def test_the_frame_holds_half_a_unit_ball_and_reaches_no_farther_than_it_says(cells: CellComplex) -> None:
    for i in chosen(cells):
        frame = cell_frame(cells, i)
        origin = np.array([float(x) for x in frame.origin])
        corners = np.linalg.solve(frame.T, (cells.vertices(i) - origin).T).T
        assert frame.h.min() >= 0.5
        assert np.linalg.norm(corners, axis=1).max() <= frame.outer_radius * (1 + 1e-6)


@pytest.mark.slow
def test_cells_of_acas_xu(reference_data: Path) -> None:
    pytest.importorskip("onnx")
    entry = json.loads((reference_data / "counts.json").read_text())["acasxu"][0]
    network = regions.load_network(reference_data / entry["network"])
    cells = enumerate_cells(network, Box(entry["low"], entry["high"]), max_cells=3000)
    for i in chosen(cells, 3):
        vertices, rows = cells.vertices(i), cell_halfspaces(cells, i)
        A, c = cells.affine_map(i)
        y = (vertices @ A.T + c)[:, 0]
        found = output_range(cells, i, 0)
        assert (found.low, found.high) == pytest.approx((y.min(), y.max()), rel=1e-9, abs=1e-12)
        assert found.spread == pytest.approx(np.ptp(y), rel=1e-6, abs=1e-13)
        ball, ellipsoid = chebyshev_ball(cells, i), inscribed_ellipsoid(cells, i)
        assert np.min(rows.b - rows.A @ ball.centre) == pytest.approx(ball.radius, rel=1e-9, abs=ROUNDING)
        assert ball.radius**5 * ball_volume(5) <= ellipsoid.volume * (1 + 1e-5)
        assert ellipsoid.volume <= cells.volumes[i] * (1 + 1e-6)
        assert reports_hold(found, ball, ellipsoid)


# what cannot be answered


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda c: chebyshev_ball(c, 99), "cell 99 of"),
        (lambda c: cell_halfspaces(c, 1.5), "give the number of a cell"),
        (lambda c: chebyshev_ball(c, 0, coordinates="polar"), "choose 'input' or 'intrinsic'"),
        (lambda c: inscribed_ellipsoid(c, 0, coordinates=""), "choose 'input' or 'intrinsic'"),
        (lambda c: output_range(c, 0, 7), "output 7 of 2"),
        (lambda c: output_range(c, 0, [1.0]), r"output has shape \(1,\); expected \(2,\)"),
        (lambda c: output_range(c, 0, [1.0, np.nan]), "NaN or infinity"),
        (lambda c: output_range(c, 0, "first"), "must hold real numbers"),
        (lambda c: cell_width(c, 0, [0.0, 0.0]), "direction is zero"),
        (lambda c: cell_width(c, 0, [1.0, 0.0, 0.0]), "direction has shape"),
        (lambda c: project_onto_cell(c, 0, [np.inf, 0.0]), "NaN or infinity"),
        (lambda c: project_onto_cell(c, 0, [[0.0], [0.0, 1.0]]), "not an array of numbers"),
        (lambda c: project_onto_cell(c, 0, [0.0, 0.0], norm=1), "choose 2 or inf"),
    ],
)
def test_bad_input_is_named(ask: Any, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        ask(degenerate())


def test_an_answer_that_fails_the_check_goes_to_the_next_solver_and_then_raises() -> None:
    import cvxpy

    x = cvxpy.Variable()
    problem = cvxpy.Problem(cvxpy.Minimize(x), [x >= 2.0])
    tried: list[float] = []

    def judge_second_time() -> tuple[float, float, float]:
        tried.append(float(x.value))
        return float(x.value), 0.0, 0.0 if len(tried) > 1 else 1.0

    answer, report = solve_checked(problem, CONIC, judge_second_time, "least x")
    assert answer == pytest.approx(2.0) and len(tried) == 2 and report.solver == "clarabel"
    with pytest.raises(SolverError, match=r"least x: no solver.*gap 0\.5"):
        solve_checked(problem, CONIC, lambda: (0.0, 0.0, 0.5), "least x")


def test_an_unbounded_problem_raises_and_says_each_status() -> None:
    import cvxpy

    x = cvxpy.Variable()
    problem = cvxpy.Problem(cvxpy.Minimize(x), [x <= 2.0])
    with pytest.raises(SolverError, match="status unbounded") as caught:
        solve_checked(problem, CONIC, lambda: (0.0, 0.0, 0.0), "least x")
    assert isinstance(caught.value, RegionsError)


@pytest.mark.parametrize("norm", [2, math.inf])
def test_a_point_beside_a_sliver_is_not_in_it(norm: float) -> None:
    """Between x + y = -0.1 and its rounded third: some 1e-17 wide, where floats tell no distance."""
    network = Network.from_arrays([[[1.0, 1.0], [1 / 3, 1 / 3]], [[1.0, 1.0]]], [[0.1, 0.1 / 3], [0.0]])
    cells = enumerate_cells(network, Box([-1.0, -1.0], [1.0, 1.0]))
    thin = int(np.argmin(cells.volumes))
    assert cells.n_cells == 3 and cells.volumes[thin] < 1e-15
    for point in ([1.0, 1.0], [0.3, 0.2], [-0.05, -0.04]):
        expected = (sum(point) + 0.1) / (math.sqrt(2.0) if norm == 2 else 2.0)
        assert project_onto_cell(cells, thin, point, norm=norm).distance == pytest.approx(expected, rel=1e-6)
