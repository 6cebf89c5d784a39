"""Laws of what public objects show: short reprs, sound HTML, plain dictionaries, one vocabulary."""

from __future__ import annotations

import dataclasses
import json
from enum import Enum
from xml.etree import ElementTree

import numpy as np
import pytest
from networks import random_network

import regions
from regions import (
    Box,
    Cell,
    CroftonLines,
    Network,
    Polyhedron,
    Polytope,
    Segment,
    Slice,
    UniformDensity,
    WholeSpace,
)
from regions.errors import InvalidInputError
from regions.showing import Shown
from regions.showing.svg_pictures import MOST_LINES, cells_svg, lines_svg
from regions.validation.tracking.history import Record

NETWORK = random_network(3, (2, 7, 5, 3), gain=1.2, bias_scale=0.3)
BOX = Box([-1.0, -2.0], [1.0, 2.0])
LINE = Network.from_arrays([[[1.0], [-1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.0]])


def everything():
    """A name and an object of each kind that people get in hand, large ones where they can be large."""
    cells = regions.enumerate_cells(NETWORK, BOX, workers=1)
    density = UniformDensity(BOX)
    deep = Network.from_arrays([np.eye(64)] * 40, [np.zeros(64)] * 40, name='<deep> & "long" ' * 20)
    exact = regions.exact_value(regions.Target.locus(), NETWORK, BOX, density, 0, 2)
    comparison = regions.compare_estimators([CroftonLines()], NETWORK, BOX, density, rng=0, n_seeds=2)
    records = tuple(Record(k, "box", "COMPLETE", 7 + k, 0.1) for k in range(50))
    found = [
        NETWORK,
        deep,
        BOX,
        Box([0.0] * 784, np.linspace(1.0, 2.0, 784)),
        Box([0.0, 0.0, 0.5], [1.0, 1.0, 0.5]),
        WholeSpace(3),
        Polyhedron([[1.0, 0.0]], [1.0]),
        Segment([0.0, 0.0], [1.0, 1.0]),
        Slice.around(np.zeros(30), (np.eye(30)[0], np.eye(30)[1]), 1.0),
        Polytope([[1.0, 1.0], [-1.0, 0.0], [0.0, -1.0]], [1.0, 0.0, 0.0]),
        cells,
        cells.facets,
        cells[0],
        cells[0].halfspaces,
        cells.certificate,
        cells.tolerances,
        regions.enumerate_cells(LINE, WholeSpace(1)),
        regions.enumerate_cells(NETWORK, BOX, max_cells=2),
        regions.count_cells(NETWORK, BOX),
        regions.locus_volume(cells, density, enclosure=True),
        regions.locus_volume(cells),
        regions.sum_over_cells(cells, eps=0.1),
        regions.gradient_tail(cells, eta=0.1),
        regions.verify(cells),
        regions.count_regions(cells),
        regions.count_regions(cells, "affine"),
        regions.face_lattice(cells),
        regions.chebyshev_ball(cells, 0),
        regions.CellEllipsoid(0, np.zeros(2), np.eye(2), 3.1, regions.SolverReport("highs", 0.0, 0.0)),
        regions.output_range(cells, 0, [1.0, 0.0, 0.0]),
        regions.project_onto_cell(cells, 0, [5.0, 5.0]),
        regions.ball_cells(NETWORK, [0.0, 0.0], 0.5),
        regions.polyline_cells(NETWORK, [[-1.0, 0.0], [1.0, 0.0], [1.0, 1.0]]),
        regions.explore(NETWORK, [0.1, 0.2], max_hops=2),
        regions.minimal_perturbation(NETWORK, [0.1, 0.2], BOX),
        regions.estimate_cells(NETWORK, BOX, rng=0, seconds=0.05),
        exact,
        comparison,
        comparison.judgements[0],
        regions.validate(regions.local_complexity, NETWORK, BOX, density, rng=0, **SMALL),
        regions.check_inequalities(NETWORK, BOX, density, 0.1, rng=0, eps=0.1, n_bias=2),
        regions.History(records, "network", {"box": "Box"}),
        records[0],
        density,
        regions.GaussianDensity([0.0, 0.0], 1.0),
        regions.GaussianMixtureDensity(np.ones(500) / 500, np.zeros((500, 2)), 1.0),
        regions.UniformBallDensity([0.0, 0.0], 1.0),
        regions.restricted(regions.GaussianDensity([0.0, 0.0], 1.0), BOX),
        regions.Target.locus(),
    ]
    return {f"{k} {type(one).__name__}": one for k, one in enumerate(found)}


SMALL = {"sigma": 0.1, "n_samples": 10, "n_bias": 2}


@pytest.fixture(scope="module")
def objects():
    return everything()


def test_a_repr_has_at_most_ten_lines_of_a_hundred_columns(objects):
    for name, one in objects.items():
        lines = repr(one).splitlines()
        assert 1 <= len(lines) <= 10, name
        assert max(map(len, lines)) <= 100, name
        assert type(one).__name__ in lines[0], name


def test_what_a_notebook_shows_is_sound_and_small(objects):
    for name, one in objects.items():
        text = one._repr_html_()
        page = ElementTree.fromstring(text)  # every tag closed, every < and & of a name escaped
        assert page.find("table/tbody/tr") is not None, name
        assert len(text) < 300_000, name
        for picture in page.findall("{http://www.w3.org/2000/svg}svg"):
            assert int(picture.get("width")) <= 240 and int(picture.get("height")) <= 240, name


def test_what_is_flat_has_a_picture(objects):
    drawn = {type(one).__name__ for one in objects.values() if "<svg" in one._repr_html_()}
    assert {"Box", "Slice", "Polytope", "CellComplex", "Cell", "History"} <= drawn
    assert not {"Network", "FacetTable", "Segment", "WholeSpace"} & drawn


def test_dictionaries_are_plain(objects):
    for name, one in objects.items():
        plain = one.to_dict()
        assert plain, name
        json.dumps(plain), name


def test_a_network_and_its_dictionary_are_the_same():
    plain = json.loads(json.dumps(NETWORK.to_dict()))
    assert Network.from_arrays(**plain) == NETWORK
    maxout = Network.from_arrays([np.ones((4, 2)), [[1.0, 2.0]]], [np.arange(4.0), [0.0]], maxima=[2, None])
    again = Network.from_arrays(**maxout.to_dict())
    assert np.array_equal(again.forward([0.3, 0.4]), maxout.forward([0.3, 0.4]))


def test_every_public_class_of_results_shows_itself():
    left_out = {"Tracker", "FunctionEstimator"}  # not results
    for name in regions.__all__:
        one = getattr(regions, name)
        if not isinstance(one, type) or issubclass(one, Exception | Enum) or name in left_out:
            continue
        if hasattr(one, "estimate"):  # an estimator is its few parameters
            continue
        assert issubclass(one, Shown), name
        assert one.__repr__ is not object.__repr__, name


def test_large_arrays_do_not_reach_the_repr():
    big = random_network(0, (64, 32, 32, 10), gain=1.0, bias_scale=0.1)
    assert len(repr(big)) < 100
    cells = regions.enumerate_cells(NETWORK, BOX, workers=1)
    assert len(repr(cells.facets)) < 100


def test_pictures_of_many_cells_stay_small():
    n = 3 * MOST_LINES
    ends = np.random.default_rng(0).uniform(size=(n, 2, 2))
    ring = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    picture = ElementTree.fromstring(lines_svg(ends, ring, "the longest facets"))
    path = picture.findall("{http://www.w3.org/2000/svg}path")[1].get("d")
    assert path.count("M") == MOST_LINES
    lengths = np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1)
    drawn = np.array(path.replace("M", " ").replace("L", " ").split(), float).reshape(-1, 2, 2)
    shortest = np.linalg.norm(drawn[:, 1] - drawn[:, 0], axis=1).min() / 2000
    assert shortest == pytest.approx(np.sort(lengths)[-MOST_LINES], abs=1e-3)


def test_pictures_show_up_as_up():
    low_left = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 3.0]])
    picture = ElementTree.fromstring(cells_svg(low_left, np.array([0, 3])))
    path = picture.find(".//{http://www.w3.org/2000/svg}path").get("d")
    assert path == "M0 2000L667 2000L0 0Z"


def test_cells_are_reached_by_number_slice_and_loop():
    cells = regions.enumerate_cells(NETWORK, BOX, workers=1)
    assert len(cells) == cells.n_cells == len(list(cells))
    assert [cell.index for cell in cells] == list(range(len(cells)))
    assert cells[-1].index == len(cells) - 1 and cells[np.int64(1)].index == 1
    assert [cell.index for cell in cells[1:4]] == [1, 2, 3]
    for wrong in (len(cells), -len(cells) - 1, 0.5, "0", True):
        with pytest.raises(InvalidInputError, match="cell"):
            cells[wrong]


def test_a_cell_is_what_the_complex_says_of_it():
    cells = regions.enumerate_cells(NETWORK, BOX, workers=1)
    table = cells.facets
    for i, cell in enumerate(cells):
        assert isinstance(cell, Cell) and int(np.array(range(len(cells)))[cell]) == i
        assert np.array_equal(cell.pattern, cells.pattern(i)) and cell.volume == cells.volumes[i]
        assert np.array_equal(cell.vertices, cells.vertices(i))
        assert len(cell.facets) == cells.n_facets[i]
        assert set(cell.facets.tolist()) == set(np.flatnonzero((table.cell_a == i) | (table.cell_b == i)))
        assert all(i in cells[j].neighbours for j in cell.neighbours)
        x = cells.domain.to_input(cell.witness)
        assert np.allclose(cell.forward(x), NETWORK(x)) and cells.locate(cell.witness) == i
        A, b = cell.halfspaces.A, cell.halfspaces.b
        assert (A @ cell.witness < b).all() and (b[:, None] + 1e-9 >= A @ cell.vertices.T).all()


def test_neighbours_are_those_of_the_adjacency_graph():
    cells = regions.enumerate_cells(NETWORK, BOX, workers=1)
    graph = regions.adjacency_graph(cells)
    for cell in cells:
        assert set(cell.neighbours) == set(graph.neighbors(cell.index))


def test_one_point_has_one_cell_and_several_have_an_array():
    cells = regions.enumerate_cells(NETWORK, BOX, workers=1)
    points = cells.domain.sample(20, 5)
    several = cells.locate(points)
    assert several.shape == (20,)
    assert [cells.locate(point) for point in points] == several.tolist()
    assert type(cells.locate([0.1, 0.2])) is int and cells.locate([9.0, 0.0]) == -1
    assert regions.enumerate_cells(LINE, Box(-1, 1)).locate(0.5) in (0, 1)
    with pytest.raises(InvalidInputError, match=r"shape \(1, 3\); give \(N, 2\)"):
        cells.locate([0.1, 0.2, 0.3])


def test_numbers_of_cells_have_one_name():
    found = regions.count_cells(NETWORK, BOX)
    n = regions.enumerate_cells(NETWORK, BOX).n_cells
    assert found.n_cells == found.cells == int(found) == n
    assert list(range(found))[-1] == n - 1
    for kind in (regions.RunStatus, regions.CellEstimate, regions.BallCells, regions.CellCount):
        named = {field.name for field in dataclasses.fields(kind)} | set(vars(kind))
        assert "n_cells" in named


def test_a_network_is_called_as_a_function():
    x = BOX.sample(5, 0)
    assert np.array_equal(NETWORK(x), NETWORK.forward(x))
