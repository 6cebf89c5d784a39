"""Laws of the pictures: what is drawn is what the complex holds."""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import pairwise

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from grid_complex import GridComplex
from matplotlib.collections import PolyCollection
from networks import random_network

from regions.domain import Box, Segment, Slice
from regions.errors import InvalidInputError
from regions.network.relu_network import Network
from regions.plotting import (
    class_pieces,
    interactive_figure,
    jacobian_norms,
    mark_points,
    plot_cells,
    plot_graph,
    save_figure,
    save_interactive,
)
from regions.plotting.cell_colors import cell_colors, common_colors
from regions.plotting.colors import class_fills, class_palette, tint, value_colors
from regions.plotting.decision import clear_labels
from regions.plotting.output_maps import output_maps
from regions.plotting.pixels import pixel_owners
from regions.plotting.rough_maps import rough_maps
from regions.plotting.solids import back_to_front, cell_faces, clipped, facet_polygons, section
from regions.plotting.space_pictures import plot_space

COLORS = ["pattern", "volume", "jacobian", "layer", "class"]


def segments_of(lines):
    """The segments that `draw_segments` drew, (s, 2, 2)."""
    return np.concatenate([np.asarray(path.vertices) for path in lines.get_paths()]).reshape(-1, 2, 2)


def cells_of_triangles(complex):
    """The cell of each triangle of a complex drawn apart, in the order in which they are drawn."""
    _, row = complex.some_facet_simplices(np.arange(len(complex.facets)))
    a, b = complex.facets.cell_a[row], complex.facets.cell_b[row]
    return np.concatenate([a, b[b >= 0]])


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture
def grid():
    return GridComplex([0.25, 0.5], [0.3, 0.6, 0.9], shift=-0.1)


def enumerated(network, domain, **options):
    from regions.enumeration.enumerate import enumerate_cells

    return enumerate_cells(network, domain, **options)


def areas(points, offsets):
    following = np.arange(1, len(points) + 1)
    following[offsets[1:] - 1] = offsets[:-1]
    x, y = points.T
    return 0.5 * np.add.reduceat(x * y[following] - x[following] * y, offsets[:-1])


def assert_pieces_are_right(complex):
    """Pieces tile each cell, lie in their class, and the boundary has equal best outputs."""
    pieces = class_pieces(complex)
    area = areas(pieces.points, pieces.offsets)
    assert area.min() >= -1e-12
    total = np.bincount(pieces.cell, area, minlength=complex.n_cells)
    assert np.allclose(total, complex.volumes, rtol=1e-9, atol=1e-12)
    center = np.add.reduceat(pieces.points, pieces.offsets[:-1], axis=0)
    center /= np.diff(pieces.offsets)[:, None]
    out = complex.network.forward(complex.domain.to_input(center))
    scores = out if out.shape[1] > 1 else np.column_stack([np.zeros(len(out)), out])
    behind = scores.max(axis=1) - scores[np.arange(len(scores)), pieces.label]
    assert behind.max() < 1e-9
    middle = pieces.boundary.mean(axis=1)
    if len(middle):
        out = complex.network.forward(complex.domain.to_input(middle))
        scores = out if out.shape[1] > 1 else np.column_stack([np.zeros(len(out)), out])
        best = np.sort(scores, axis=1)
        assert np.max(best[:, -1] - best[:, -2]) < 1e-9


@pytest.mark.sweep(4)
@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("color", COLORS)
def test_every_color_draws(grid, color, outputs):
    ax = plot_cells(GridComplex([0.2, 0.5], [0.3], shift=-0.1, outputs=outputs), color)
    ax.figure.canvas.draw()
    assert ax.get_xlim() == (0.0, 1.0) and ax.get_ylim() == (0.0, 1.0)


def test_one_output_and_its_graph_do_not_raise(grid):
    plot_cells(grid).figure.canvas.draw()
    plot_graph(grid).figure.canvas.draw()


@pytest.mark.parametrize("shift", [-0.1, 0.0, 0.3])
def test_zero_level_set_of_a_grid_is_exact(shift):
    assert_pieces_are_right(GridComplex([0.25, 0.5], [0.3, 0.6], shift=shift))


def test_boundary_along_a_facet_is_found():
    # Both are 0 left of x = 0.5 (a tie goes to class 0); right of it output 1 leads.
    grid = GridComplex([0.5], [0.5])
    grid.network = Network.from_arrays(
        [[[1.0, 0.0], [0.0, 1.0]], [[0.25, 0.0], [1.0, 0.0]]], [[-0.5, -0.5], [0.0, 0.0]]
    )
    boundary = class_pieces(grid).boundary
    assert np.allclose(boundary[:, :, 0], 0.5)
    assert np.linalg.norm(np.diff(boundary, axis=1), axis=2).sum() == pytest.approx(1.0)


def test_batched_output_maps_are_the_networks(grid):
    for chunk in (1, 5, 4096):
        for start, stop, A, c in output_maps(grid, chunk):
            for i in range(start, stop):
                expected = grid.affine_map(i)
                assert np.allclose(A[i - start], expected[0])
                assert np.allclose(c[i - start], expected[1])


@pytest.mark.parametrize(("slopes", "single"), [(None, False), (0.25, False), (None, True)])
def test_maps_made_of_those_of_neighbours_are_the_networks(slopes, single):
    given = random_network(3, (2, 12, 12, 12, 3))
    network = Network.from_arrays(given.weights, given.biases, slopes=[slopes, slopes, slopes, None])
    complex = enumerated(network, Slice.spanned([0.1, 0.2], np.eye(2), [-2.0, -2.0], [2.0, 2.0]))
    assert complex.n_cells > 150
    for start, stop, A, c in output_maps(complex, 100, single=single):
        assert A.dtype == (np.float32 if single else np.float64)
        for i in range(start, stop):
            for found, right in zip((A, c), complex.affine_map(i, coordinates="intrinsic"), strict=True):
                assert np.allclose(found[i - start], right, rtol=0, atol=2e-5 if single else 1e-12)


def test_jacobian_norms_are_norms_of_the_maps(grid):
    expected = [np.linalg.norm(grid.affine_map(i)[0]) for i in range(grid.n_cells)]
    assert np.allclose(jacobian_norms(grid), expected)


def test_graph_draws_one_line_per_interior_facet(grid):
    ax = plot_graph(grid)
    drawn = segments_of(ax.collections[0])
    facets = grid.facets
    expected = np.stack([grid.centroids[facets.cell_a], grid.centroids[facets.cell_b]], axis=1)
    assert np.array_equal(drawn, expected)


def test_cells_are_filled_where_they_are(grid):
    ax = plot_cells(grid, decision_boundary=False)
    drawn = sorted(tuple(np.sort(path.vertices.ravel())) for path in ax.collections[0].get_paths())
    points, offsets = grid.polygons()
    rings = [points[a:b] for a, b in pairwise(offsets)]
    assert drawn == sorted(tuple(np.sort(np.vstack([ring, ring[:1]]).ravel())) for ring in rings)
    assert np.array_equal(segments_of(ax.collections[1]), grid.facet_simplices()[0])


def test_points_are_marked_where_they_are(grid):
    ax = plot_cells(grid, points=[[0.2, 0.7]], point_labels=["here"])
    assert np.allclose(ax.lines[0].get_xydata(), [[0.2, 0.7]])
    assert ax.texts[0].get_text() == "here"


def test_images_sit_beside_their_points(grid):
    ax = plot_cells(grid)
    mark_points(ax, [[0.2, 0.7], [0.9, 0.1]], labels=["a", "b"], images=[np.eye(8), np.eye(8)])
    ax.figure.canvas.draw()
    assert len(ax.texts) == 2


def test_given_axes_are_used(grid):
    _, ax = plt.subplots()
    assert plot_cells(grid, ax=ax) is ax and plot_graph(grid, ax=ax) is ax


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"color": "colour"}, "'pattern', 'volume'"),
        ({"cmap": "nope"}, "nope"),
        ({"points": [[1.0, 2.0, 3.0]]}, r"\(k, 2\)"),
        ({"points": [[0.1, 0.2]], "point_labels": ["a", "b"]}, "2 labels"),
        ({"points": [[0.1, 0.2]], "point_classes": [0.5]}, "whole number"),
        ({"points": [[0.1, 0.2]], "point_size": 0.0}, "positive"),
        ({"point_colour": "red"}, "point_colour"),
    ],
)
def test_bad_arguments_say_what_came_in(grid, arguments, says):
    with pytest.raises(InvalidInputError, match=says):
        plot_cells(grid, **arguments)


def test_four_dimensions_say_what_to_do(grid):
    grid.dimension = 4
    with pytest.raises(InvalidInputError, match="Slice"):
        plot_cells(grid)


@pytest.mark.parametrize("suffix", ["png", "pdf", "svg"])
def test_figures_are_written(grid, tmp_path, suffix):
    path = save_figure(plot_cells(grid), tmp_path / f"cells.{suffix}", dpi=60)
    assert path.stat().st_size > 1000


def test_same_picture_gives_the_same_bytes(grid, tmp_path):
    first = save_figure(plot_cells(grid), tmp_path / "a.png", dpi=60)
    second = save_figure(plot_cells(grid), tmp_path / "b.png", dpi=60)
    assert first.read_bytes() == second.read_bytes()


def test_unknown_figure_format_is_refused(grid, tmp_path):
    with pytest.raises(InvalidInputError, match="png"):
        save_figure(plot_cells(grid), tmp_path / "cells.docx")


def test_interactive_plane_draws_every_cell(grid):
    pytest.importorskip("plotly")
    grid.pattern_hex = lambda i: grid.patterns[i].tobytes().hex()
    figure = interactive_figure(grid)
    assert len(figure.data[-1].x) == grid.n_cells


@pytest.mark.parametrize(("color", "traces"), [("pattern", 1), ("volume", 2), ("layer", 2), ("class", 4)])
def test_interactive_pictures_take_the_options_of_those_on_paper(grid, color, traces):
    pytest.importorskip("plotly")
    grid.pattern_hex = lambda i: grid.patterns[i].tobytes().hex()
    marks = {"points": [[0.2, 0.7], [0.9, 0.1]], "point_classes": [0, 1], "point_labels": ["a", "b"]}
    figure = interactive_figure(grid, color, decision_boundary=color == "class", **marks)
    assert len(figure.data) >= traces + 2
    assert figure.layout.xaxis.title.text == "x<sub>0</sub>"
    said = next(trace.text for trace in figure.data if trace.text is not None and "cell 0" in trace.text[0])
    assert (
        len(said) == grid.n_cells
        and "area" in said[0]
        and "pattern" in said[0]
        and "t<sub>0</sub>" in said[0]
    )
    assert [trace.text[0] for trace in figure.data[-2:]] == ["a", "b"]
    with pytest.raises(InvalidInputError, match="point_images"):
        interactive_figure(grid, point_images=[np.eye(2)])


def test_pages_share_the_script_beside_them(tmp_path):
    pytest.importorskip("plotly")
    grid = GridComplex(np.arange(1, 32) / 32, np.arange(1, 32) / 32)
    grid.pattern_hex = lambda i: grid.patterns[i].tobytes().hex()
    page = save_interactive(interactive_figure(grid, "volume"), tmp_path / "a.html")
    assert grid.n_cells == 1024 and page.stat().st_size < 1_000_000
    assert '<script src="plotly.min.js"' in page.read_text()
    before = (tmp_path / "plotly.min.js").stat()
    assert before.st_size > 1_000_000
    save_interactive(interactive_figure(grid), tmp_path / "b.html")
    assert (tmp_path / "plotly.min.js").stat().st_mtime_ns == before.st_mtime_ns


def test_a_sliver_does_not_set_the_limits_of_the_colours():
    sizes = np.array([1.0, 0.5, 0.2, 1e-12])
    colors, scale = value_colors(sizes, "viridis", sizes)
    assert (scale.norm.vmin, scale.norm.vmax, scale.extend, scale.beyond) == (0.2, 1.0, "min", 1)
    assert np.array_equal(colors[3], colors[2]) and not np.allclose(colors[1], colors[2], atol=0.05)
    ramp = scale.ramp()
    assert np.allclose(colors[0], ramp[-1]) and np.allclose(colors[2], ramp[0])


def test_ten_classes_are_apart_for_everybody():
    # OKLab distances of the fills as they are, and as deuteranopes and protanopes see them (Machado 2009)
    views = [
        np.eye(3),
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    ]
    fills = class_fills(10)
    linear = np.where(fills <= 0.04045, fills / 12.92, ((fills + 0.055) / 1.055) ** 2.4)
    to_lms = np.linalg.inv(
        [[4.0767416621, -3.3077115913, 0.2309699292], [-1.2684380046, 2.6097574011, -0.3413193965],
         [-0.0041960863, -0.7034186147, 1.7076147010]]
    )  # fmt: skip
    to_lab = np.linalg.inv(
        [[1.0, 0.3963377774, 0.2158037573], [1.0, -0.1055613458, -0.0638541728],
         [1.0, -0.0894841775, -1.2914855480]]
    )  # fmt: skip
    for view in views:
        seen = np.clip(linear @ np.asarray(view).T, 0.0, 1.0)
        lab = np.cbrt(seen @ to_lms.T) @ to_lab.T
        apart = np.linalg.norm(lab[:, None] - lab[None], axis=2)[np.triu_indices(10, 1)]
        assert apart.min() > 0.09


def test_pixels_belong_to_the_cell_that_holds_their_middle(rng):
    cuts = [np.sort(rng.uniform(0.05, 0.95, k)) for k in (5, 7)]
    grid = GridComplex(*cuts)
    turn = np.array([[0.8, -0.6], [0.6, 0.8]])
    points, offsets = grid.polygons()
    corners = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]) @ turn.T
    owner = pixel_owners((points @ turn.T, offsets), corners, (40, 56))
    low, high = corners.min(axis=0), corners.max(axis=0)
    y, x = np.meshgrid((np.arange(40) + 0.5) / 40, (np.arange(56) + 0.5) / 56, indexing="ij")
    back = (low + np.stack([x, y], axis=-1) * (high - low)) @ turn
    column, row = (np.searchsorted(cut, back[..., k]) for k, cut in enumerate(cuts))
    inside = ((back > 0.0) & (back < 1.0)).all(axis=-1)
    assert np.array_equal(owner, np.where(inside, column * (len(cuts[1]) + 1) + row, -1))


def test_crowded_cells_are_an_image_under_lines(grid, monkeypatch, tmp_path):
    monkeypatch.setattr("regions.plotting.cell_pictures.CROWDED", 5)
    monkeypatch.setattr("regions.plotting.pixels._PIXELS", 300)
    ax = plot_cells(grid, "class")
    (image,) = ax.images
    base = class_fills(2)
    shown = {tuple(color[:3]) for color in image.get_array().reshape(-1, 4)[::997].tolist()}
    assert {tuple(np.floor(255.0 * base[k] + 0.5).astype(int)) for k in (0, 1)} <= shown
    assert len(ax.collections) == 2  # the decision boundary, black on white
    drawn = plt.imread(save_figure(ax, tmp_path / "crowded.png", dpi=60))
    near = np.abs(drawn[:, :, None, :3] - base).max(axis=-1) < 0.02
    assert near[..., 0].mean() > 0.1 and near[..., 1].mean() > 0.1  # of the picture


def rough_cases():
    bent = random_network(3, (2, 10, 10, 10, 3))
    return {
        "three outputs": (bent, Box([-1.0, -1.0], [1.0, 1.0])),
        "one output": (random_network(4, (2, 12, 12, 1)), Box([-2.0, -1.0], [0.5, 1.0])),
        "leaky and absolute": (
            Network.from_arrays(bent.weights, bent.biases, slopes=[0.25, "abs", None, None]),
            Box([-1.0, -1.0], [1.0, 1.0]),
        ),
        "units at the end, with flat parts": (
            Network.from_arrays(bent.weights, bent.biases, [True] * 4),
            Box([-1.0, -1.0], [1.0, 1.0]),
        ),
        "affine layers between": (
            Network.from_arrays(bent.weights, bent.biases, [True, False, True, False]),
            Box([-1.0, -1.0], [1.0, 1.0]),
        ),
        "a plane": (
            random_network(5, (9, 8, 8, 4)),
            Slice.through(*np.random.default_rng(5).normal(size=(3, 9))),
        ),
    }


@pytest.mark.parametrize("name", rough_cases())
def test_maps_by_facets_are_the_networks_and_cut_as_these_do(name, monkeypatch):
    complex = enumerated(*rough_cases()[name])
    maps = rough_maps(complex)
    assert not maps.doubtful.any()
    for i in range(complex.n_cells):
        A, c = complex.affine_map(i, coordinates="intrinsic")
        assert np.allclose(maps.A[i].T, A, rtol=0, atol=1e-5 * np.abs(maps.A).max())
        assert np.allclose(maps.c[i], A @ maps.middle + c, rtol=0, atol=1e-5 * np.abs(maps.c).max())
    clear = clear_labels(complex) >= 0
    pieces = class_pieces(complex)
    several = np.unique(pieces.cell, return_counts=True)[1] > 1
    assert not (clear & several).any() and clear.sum() > (name != "units at the end, with flat parts")
    monkeypatch.setattr("regions.plotting.decision.CROWDED", 0)
    assert_pieces_are_right(complex)
    crowded = class_pieces(complex)
    lengths = [np.linalg.norm(np.diff(part.boundary, axis=1), axis=2).sum() for part in (crowded, pieces)]
    assert lengths[0] == pytest.approx(lengths[1], rel=1e-12)
    monkeypatch.setattr("regions.plotting.cell_colors.CROWDED", 0)
    (shades,) = common_colors([complex], "jacobian")
    monkeypatch.undo()
    assert np.allclose(shades.fill, cell_colors(complex, "jacobian").fill, rtol=0, atol=0.02)


def test_cells_whose_jumps_do_not_fit_are_doubtful_and_apart_ones_have_no_rough_maps():
    complex = enumerated(*rough_cases()["three outputs"])
    facets = complex.facets
    middle = np.linalg.norm(complex.centroids, axis=1).argmin()
    wrong = (facets.cell_a == middle) | (facets.cell_b == middle)
    jump = np.where(wrong, 3.0 * facets.jump, facets.jump)
    told = replace(complex, facets=replace(facets, jump=jump))
    maps = rough_maps(told)
    assert maps is None or maps.doubtful[middle]
    assert_pieces_are_right(told)
    alone = replace(complex, facets=replace(facets, cell_b=np.where(wrong, -2, facets.cell_b)))
    assert rough_maps(alone) is None


def test_pixels_follow_axes_that_are_turned_round_or_show_a_part(monkeypatch):
    monkeypatch.setattr("regions.plotting.cell_pictures.CROWDED", 5)
    monkeypatch.setattr("regions.plotting.pixels._PIXELS", 300)
    shown = []
    for turned in (False, True):
        ax = plot_cells(GridComplex([0.2, 0.5], [0.3], shift=-0.1), "volume", decision_boundary=False)
        ax.set(xlim=(0.7, 0.1) if turned else (0.1, 0.7), ylim=(0.9, 0.2) if turned else (0.2, 0.9))
        ax.set_position([0.1, 0.1, 0.6, 0.8])
        ax.figure.canvas.draw()
        (left, bottom), (right, top) = np.rint(ax.get_window_extent().get_points()).astype(int)
        pixels = np.asarray(ax.figure.canvas.buffer_rgba())[::-1][
            bottom + 4 : top - 4, left + 4 : right - 4, :3
        ]
        shown.append(pixels.astype(float))
        plt.close(ax.figure)
    assert shown[0].std() > 20.0
    assert np.abs(shown[0][::-1, ::-1] - shown[1]).mean() < 2.0


def test_lines_are_light_between_dark_cells():
    ax = plot_cells(GridComplex([0.01, 0.02, 0.03], [0.5]), "volume", decision_boundary=False)
    inks = [tuple(lines.get_edgecolor()[0][:3]) for lines in ax.collections[1:3]]
    assert inks == [(0.0, 0.0, 0.0), (1.0, 1.0, 1.0)]


def test_the_bar_of_a_wide_picture_is_as_high_as_the_axes(grid):
    grid.domain = Box([0.0, 0.0], [4.0, 1.0])
    ax = plot_cells(grid, "volume")
    ax.figure.canvas.draw()
    (bar,) = ax.child_axes
    assert bar.get_window_extent().height == pytest.approx(ax.get_window_extent().height, rel=0.02)


@pytest.mark.parametrize("outputs", [1, 2, 5])
def test_class_pieces_of_random_networks_are_exact(outputs):
    for seed in range(5):
        network = random_network(seed, (2, 10, 10, outputs))
        assert_pieces_are_right(enumerated(network, Box([-1.0, -1.0], [1.0, 1.0])))


def test_class_pieces_on_a_slice_of_many_inputs_are_exact():
    rng = np.random.default_rng(5)
    network = random_network(5, (20, 16, 16, 4))
    assert_pieces_are_right(enumerated(network, Slice.through(*rng.normal(size=(3, 20)))))


@pytest.mark.sweep(4)
@pytest.mark.parametrize("color", COLORS)
@pytest.mark.parametrize("outputs", [1, 3])
def test_a_segment_draws_the_outputs_and_their_changes(color, outputs):
    network = random_network(2, (3, 8, 8, outputs))
    complex = enumerated(network, Segment([-2.0, 0.0, 1.0], [2.0, 1.0, -1.0]))
    ax = plot_cells(complex, color)
    ax.figure.canvas.draw()
    t = ax.lines[0].get_xdata()
    drawn = ax.lines[0].get_ydata()
    expected = network.forward(complex.domain.to_input(np.asarray(t)[:, None]))[:, 0]
    assert np.allclose(drawn, expected, atol=1e-9)
    plot_graph(complex)


@pytest.mark.parametrize("outputs", [1, 4])
def test_strips_of_a_segment_have_the_colour_of_their_class(outputs):
    network = random_network(4, (3, 10, 10, outputs))
    complex = enumerated(network, Segment([-3.0, 0.0, 1.0], [3.0, 1.0, -1.0]))
    strips = plot_cells(complex, "class").collections[0]
    palette = tint(class_palette(max(outputs, 2)), 0.55)
    for path, color in zip(strips.get_paths(), strips.get_facecolor(), strict=True):
        left, right = path.vertices[:, 0].min(), path.vertices[:, 0].max()
        inside = left + (right - left) * np.array([[0.01], [0.5], [0.99]])
        out = network.forward(complex.domain.to_input(inside))
        label = out.argmax(axis=1) if outputs > 1 else (out[:, 0] > 0).astype(int)
        assert right - left < 1e-9 or np.allclose(palette[label], color[:3])


def test_interactive_space_draws_every_facet_and_every_cell():
    pytest.importorskip("plotly")
    complex = enumerated(random_network(1, (3, 6, 4, 1)), Box([-1.0] * 3, [1.0] * 3))
    triangles = sum(len(mesh.i) for mesh in interactive_figure(complex).data)
    assert triangles == len(complex.facet_simplices()[0])
    # drawn apart, the solids have the volume of the domain: that of a closed surface by its triangles
    mesh = interactive_figure(complex, "volume").data[0]
    corners = np.stack([mesh.x, mesh.y, mesh.z], axis=1).astype(float)
    a, b, c = (corners[np.asarray(mesh[k])] for k in "ijk")
    cell = cells_of_triangles(complex)
    assert len(a) == len(cell)
    moved = 0.25 * complex.centroids
    height = np.abs(np.einsum("kd,kd->k", a - (complex.centroids + moved)[cell], np.cross(b - a, c - a)))
    assert np.allclose(np.bincount(cell, height / 6.0), complex.volumes, rtol=1e-4, atol=1e-6)


def test_a_large_picture_takes_seconds(tmp_path):
    complex = enumerated(random_network(0, (2, 64, 64, 64, 3)), Box([-1.0, -1.0], [1.0, 1.0]))
    start = time.perf_counter()
    save_figure(plot_cells(complex, "class"), tmp_path / "large.png", dpi=150)
    assert time.perf_counter() - start < 30.0


@pytest.fixture(scope="module")
def solid():
    return enumerated(random_network(1, (3, 6, 4, 1)), Box([-1.0] * 3, [1.0] * 3))


def areas_of(faces):
    """Areas of polygons in space, by fans from their first corners."""
    found = []
    for ring in faces.polygons():
        crosses = np.cross(ring[1:-1] - ring[0], ring[2:] - ring[0])
        found.append(0.5 * np.linalg.norm(crosses.sum(axis=0)))
    return np.array(found)


def test_faces_of_cells_close_around_their_volumes(solid):
    facets = facet_polygons(solid)
    assert np.allclose(areas_of(facets), solid.facets.volume[facets.facet], atol=1e-9)
    faces = cell_faces(solid, facets)
    heights = np.einsum("kd,kd->k", faces.normals, faces.points[faces.offsets[:-1]])
    by_faces = np.bincount(faces.cell, areas_of(faces) * heights / 3.0)  # divergence theorem
    assert np.allclose(by_faces, solid.volumes, atol=1e-9)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_section_holds_each_cell_where_the_plane_meets_it(solid, axis):
    faces = cell_faces(solid, facet_polygons(solid))
    plane = section(solid, faces, axis, 0.3)
    assert areas_of(plane).sum() == pytest.approx(4.0)
    middles = np.stack([ring.mean(axis=0) for ring in plane.polygons()])
    large = areas_of(plane) > 1e-6
    assert np.array_equal(solid.locate(middles[large]), plane.cell[large])
    kept = clipped(faces, axis, 0.3, 1.0)
    assert kept.points[:, axis].max() <= 0.3
    heights = np.einsum("kd,kd->k", kept.normals, kept.points[kept.offsets[:-1]])
    assert (areas_of(kept) * heights).sum() / 3.0 + 0.3 * 4.0 / 3.0 == pytest.approx(4.0 * 1.3)


def test_no_cell_is_hidden_by_an_earlier_one(solid):
    towards = np.array([0.5, -0.7, 0.5099])
    place = back_to_front(solid, facet_polygons(solid), towards)
    assert sorted(place) == list(range(solid.n_cells))
    # along rays to the viewer the places rise
    rng = np.random.default_rng(0)
    for start in rng.uniform(-1.0, 1.0, size=(40, 3)):
        ray = start + np.linspace(0.0, 3.0, 400)[:, None] * towards
        cells = solid.locate(ray[(np.abs(ray) < 1.0).all(axis=1)])
        assert (np.diff(place[cells]) >= 0).all()


@pytest.mark.parametrize("options", [{}, {"cut": (1, 0.2)}])
@pytest.mark.parametrize("color", ["volume", "layer"])
def test_solids_are_drawn_with_named_axes(solid, color, options):
    ax = plot_space(solid, color, **options)
    names = {text.get_text() for text in ax.texts}
    assert {"$x_0$", "$x_1$", "$x_2$", "-1", "1"} <= names
    (drawn,) = (part for part in ax.collections if isinstance(part, PolyCollection))
    assert len(drawn.get_paths()) == len(drawn.get_facecolors()) > 10
    assert plot_cells(solid, color).collections  # the same by the usual name


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"color": "class"}, "Slice"),
        ({"cut": (2, 3.0)}, "misses the domain"),
        ({"cut": 2}, r"\(2, 0.5\)"),
        ({"apart": -1.0}, "at least 0"),
    ],
)
def test_wrong_views_of_solids_are_refused(solid, options, says):
    with pytest.raises(InvalidInputError, match=says):
        plot_space(solid, **options)


def test_a_slider_moves_a_plane_through_the_cells(solid):
    pytest.importorskip("plotly")
    figure = interactive_figure(solid, "volume", cut=2)
    (slider,) = figure.layout.sliders
    meshes = [trace for trace in figure.data if trace.type == "mesh3d"]
    assert len(slider.steps) == len(meshes) == 13
    assert [trace.visible for trace in meshes].count(True) == 1
    for step, mesh in zip(slider.steps, meshes, strict=True):
        corners = np.stack([mesh.x, mesh.y, mesh.z], axis=1)
        assert np.allclose(corners[:, 2], float(step.label), atol=5e-3)
        a, b, c = (corners[np.asarray(mesh[k])] for k in "ijk")
        assert 0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() == pytest.approx(4.0, rel=1e-4)
        assert sum(step.args[1][: 2 * 13]) == 2


@pytest.mark.parametrize("color", ["volume", "jacobian", "class", "layer", "graph"])
def test_nothing_is_cut_off_where_a_picture_is_not_cropped(color):
    complex = enumerated(random_network(0, (2, 8, 8, 3)), Box([-1.0, -1.0], [1.0, 1.0]))
    ax = plot_graph(complex) if color == "graph" else plot_cells(complex, color)
    figure = ax.figure
    figure.canvas.draw()
    drawn = figure.get_tightbbox()
    assert (drawn.min >= -0.02).all() and (drawn.max <= figure.get_size_inches() + 0.02).all()
    plt.close(figure)
