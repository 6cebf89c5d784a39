"""Max units: answers are those of the exact oracle, of closed forms, and of functions written otherwise."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from max_networks import MaxCase, pooling, pooling_2d, random_max_case
from networks import cube, maxout
from numpy.testing import assert_allclose
from scipy.spatial import ConvexHull

from regions import (
    Box,
    CellComplex,
    Network,
    Slice,
    UniformDensity,
    count_cells,
    enumerate_cells,
    verify,
)
from regions.analysis.cell_sums import gradient_tail
from regions.analysis.enclosures import locus_enclosure, volume_enclosures
from regions.analysis.linear_regions import count_regions
from regions.analysis.locus import locus_volume
from regions.analysis.one_cell import cell_halfspaces
from regions.domain import WholeSpace
from regions.errors import BudgetExceededError, InvalidNetworkError, RegionsError
from regions.estimators import DistinctPatterns, UnnormalisedCoarea
from regions.plotting.decision import output_maps
from regions.rational import ExactNetwork, bounds, exact_cell, neighbour_pattern
from regions.validation.local_complexity import exact_local_complexity

SEEDS = [*range(150), 2472]  # the last: two pairs of equal rows, of which either may win


def engines(dimension: int) -> list[str]:
    return ["planar", "cells", "lp"] if dimension == 2 else ["cells", "lp"]


def assert_agrees(cells: CellComplex, case: MaxCase) -> None:
    """Cells, facets, their sizes and jumps are those of the brute force."""
    naive = case.naive()
    number = {pattern: k for k, pattern in enumerate(naive.patterns)}
    patterns = [tuple(row) for row in cells.unpacked_patterns().tolist()]
    assert set(patterns) == set(number) and len(patterns) == len(number)
    own = [number[pattern] for pattern in patterns]
    assert_allclose(cells.volumes, [float(naive.cells[k].volume) for k in own], rtol=1e-9, atol=1e-12)
    table = cells.facets
    flat = cells.network.unit_offsets[np.maximum(table.layer, 0)] + table.unit
    found = {}
    for row in np.flatnonzero(table.interior).tolist():
        a, b = own[table.cell_a[row]], own[table.cell_b[row]]
        found[frozenset((a, b))] = (table.volume[row], table.jump[row])
        # the unit that the facet is booked under wins in the first cell, and not in the second
        assert naive.patterns[a][flat[row]] and not naive.patterns[b][flat[row]]
    expected = {frozenset((f.a, f.b)): (f.volume, f.jump) for f in naive.facets}
    assert found.keys() == expected.keys()
    for pair, sizes in expected.items():
        assert_allclose(found[pair], sizes, rtol=1e-9, atol=1e-12)
        assert (found[pair][1] == 0.0) == (sizes[1] == 0.0)


@pytest.mark.kernels
@pytest.mark.sweep(8, 32)
@pytest.mark.parametrize("seed", SEEDS)
def test_cells_facets_and_jumps_are_those_of_the_brute_force(seed: int) -> None:
    case = random_max_case(seed)
    network, box = case.network(), case.box()
    for engine in engines(box.dimension):
        assert count_cells(network, box, engine=engine).cells == len(case.naive().cells)
        assert_agrees(enumerate_cells(network, box, engine=engine), case)


@pytest.mark.sweep(10, 30)
@pytest.mark.parametrize("seed", range(60))
def test_the_exact_cells_know_their_neighbours(seed: int) -> None:
    case = random_max_case(seed)
    naive = case.naive()
    exact = ExactNetwork(case.network(), case.box())
    beyond = {frozenset((naive.patterns[f.a], naive.patterns[f.b])) for f in naive.facets}
    found = set()
    for cell in naive.cells:
        own = exact_cell(exact, cell.pattern)
        assert {tuple(Fraction(int(x), int(v[-1])) for x in v[:-1]) for v in own.polytope.vertices} == set(
            cell.vertices
        )
        assert exact.states_at(cell.witness) == bytes(cell.pattern)
        for facet in own.facets:
            if not facet.sides:
                other = tuple(map(bool, neighbour_pattern(exact, own, facet)))
                found.add(frozenset((cell.pattern, other)))
    assert found == beyond


WINDOWS = [
    *[(2, 1, n, 2 ** (n - 1)) for n in range(2, 9)],
    *zip([3] * 4, [2] * 4, (3, 5, 7, 9), (3, 9, 27, 81), strict=True),
    *zip([3] * 7, [1] * 7, range(3, 10), (3, 7, 16, 36, 81, 182, 409), strict=True),
    *zip([4] * 6, [1] * 6, range(4, 10), (4, 10, 24, 56, 128, 292), strict=True),
    *zip([4] * 3, [2] * 3, (4, 6, 8), (4, 14, 48), strict=True),
]


@pytest.mark.kernels
@pytest.mark.parametrize(
    ("window", "stride", "inputs", "cells"),
    [pytest.param(*case, marks=pytest.mark.small) if case == (3, 1, 5, 16) else case for case in WINDOWS],
)
def test_pooling_has_as_many_cells_as_choices_of_winners(
    window: int, stride: int, inputs: int, cells: int
) -> None:
    network, box = pooling(inputs, window, stride), cube(inputs)
    assert count_cells(network, box, engine="lp").cells == cells
    if inputs <= 5:
        assert count_cells(network, box, engine="cells").cells == cells


@pytest.mark.kernels
@pytest.mark.parametrize(("height", "width", "cells"), [(2, 2, 4), (2, 3, 14), (2, 4, 48), (3, 3, 150)])
def test_pooling_of_images_too(height: int, width: int, cells: int) -> None:
    assert count_cells(pooling_2d(height, width), cube(height * width), engine="lp").cells == cells


@pytest.mark.kernels
@pytest.mark.slow
@pytest.mark.parametrize(
    ("network", "inputs", "cells"),
    [
        (pooling(6, 3, 1), 6, 36),
        (pooling(7, 3, 1), 7, 81),
        (pooling(8, 4, 2), 8, 48),
        (pooling_2d(2, 4), 8, 48),
    ],
)
def test_pooling_by_vertices_in_more_dimensions(network: Network, inputs: int, cells: int) -> None:
    assert count_cells(network, cube(inputs), engine="cells").cells == cells


def with_two_slopes(network: Network) -> Network:
    """The same function of a maxout network of rank 2: max(a, b) = b + relu(a - b)."""
    weights, biases, slopes = [], [], []
    before = np.eye(network.input_dim)
    for weight, bias, sizes in zip(network.weights, network.biases, network.maxima, strict=True):
        own = weight[:, ::2] if weights else weight  # one column for each unit before
        if sizes is None:
            weights.append(own @ before)
            biases.append(bias)
            slopes.append(None)
            continue
        a, b = own[::2], own[1::2]
        weights.append(np.concatenate([a - b, b]) @ before)
        biases.append(np.concatenate([bias[::2] - bias[1::2], bias[1::2]]))
        slopes.append(np.array([[0.0], [1.0]]).repeat(len(a), 1))
        slopes[-1] = np.concatenate([slopes[-1], np.ones((2, len(b)))], axis=1)
        before = np.concatenate([np.eye(len(a))] * 2, axis=1)
    return Network.from_arrays(weights, biases, [pair is not None for pair in slopes], slopes=slopes)


@pytest.mark.kernels
@pytest.mark.parametrize(("inputs", "widths"), [(2, (20, 20, 20)), (3, (8, 6))])
def test_maxout_of_rank_2_is_a_network_of_units_with_two_slopes(inputs: int, widths: tuple[int, ...]) -> None:
    network, box = maxout(1, inputs, widths, 2), cube(inputs)
    same = with_two_slopes(network)
    points = box.sample(200, np.random.default_rng(0))
    assert_allclose(network.forward(points), same.forward(points), rtol=1e-12, atol=1e-12)
    cells = enumerate_cells(network, box)
    assert cells.n_cells == count_cells(same, box).cells
    other = enumerate_cells(same, box)
    assert_allclose(np.sort(cells.volumes), np.sort(other.volumes), rtol=1e-6, atol=1e-13)
    assert locus_volume(cells).total == pytest.approx(locus_volume(other).total, rel=1e-9)
    # from below: every pattern that is met is listed
    met = np.unique(network.activation_pattern(box.sample(20_000, np.random.default_rng(1))), axis=0)
    listed = {row.tobytes() for row in cells.unpacked_patterns()}
    assert {row.tobytes() for row in met} <= listed and len(met) > len(listed) / 4


def test_the_network_computes_the_maximum_and_names_the_winner() -> None:
    network = Network.from_arrays(
        [[[1.0], [-1.0], [0.5], [2.0]], [[3.0, 1.0]]], [[0, 0, 1, -1], [0.0]], maxima=[[3, 1], None]
    )
    x = np.linspace(-4, 4, 33)[:, None]
    expected = 3 * np.maximum.reduce([x, -x, 0.5 * x + 1]) + np.maximum(2 * x - 1, 0)
    assert_allclose(network.forward(x), expected)
    patterns = network.activation_pattern(x)
    assert (patterns[:, :3].sum(axis=1) == 1).all()
    for k, pattern in enumerate(patterns):
        A, c = network.affine_map(pattern)
        assert_allclose(A @ x[k] + c, network.forward(x)[k])
    assert network.describe() == (
        "network: 1 -> 4 -> 1, 1 ReLU units and 1 max units of 3 candidates in 1 layer"
    )
    # a tie is the first one's
    twice = Network.from_arrays([[[1.0], [1.0]]], [[0.0, 0.0]], maxima=[2])
    assert twice.activation_pattern([0.5]).tolist() == [True, False]
    assert twice.output_dim == 1 and count_cells(twice, cube(1)).cells == 1


def test_networks_are_written_and_read_and_take_part_in_the_digest(tmp_path: Path) -> None:
    network = random_max_case(3).network()
    network.save(tmp_path / "net.npz")
    read = Network.load(tmp_path / "net.npz")
    assert read == network
    weights, biases = [[[1.0], [2.0]]], [[0.0, 0.0]]
    first = Network.from_arrays(weights, biases, [True])
    assert first.digest() != Network.from_arrays(weights, biases, maxima=[2]).digest()


@pytest.mark.parametrize(
    ("maxima", "reason"),
    [
        ([3, None], "takes 3 rows"),
        ([[2, 1], None], "takes 3 rows"),
        ([0, None], "give the number of rows"),
        ([2.0, None], "give the number of rows"),
        ([None, 1, 2], "give one per layer"),
        ([None, 2], "no units follow"),
    ],
)
def test_wrong_sizes_are_refused(maxima: Any, reason: str) -> None:
    with pytest.raises(InvalidNetworkError, match=reason):
        Network.from_arrays(
            [np.ones((4, 1)), np.ones((2, 4))], [np.zeros(4), np.zeros(2)], [True, False], maxima=maxima
        )


def test_what_follows_must_not_tell_candidates_apart() -> None:
    with pytest.raises(InvalidNetworkError, match="candidates of one max unit differ"):
        Network.from_arrays([np.ones((2, 1)), [[1.0, 2.0]]], [np.zeros(2), [0.0]], maxima=[2, None])
    with pytest.raises(InvalidNetworkError, match="slopes for candidates"):
        Network.from_arrays(
            [np.ones((2, 1)), [[1.0]]], [np.zeros(2), [0.0]], slopes=["abs", None], maxima=[2, None]
        )


@pytest.fixture(scope="module")
def planar() -> CellComplex:
    case = random_max_case(1042, 2)
    return enumerate_cells(case.network(), case.box())


@pytest.mark.sweep(2, 8)
@pytest.mark.parametrize("seed", range(40))
def test_a_listing_is_verified_enclosed_saved_and_read(seed: int, tmp_path: Path) -> None:
    case = random_max_case(seed)
    cells = enumerate_cells(case.network(), case.box())
    assert verify(cells).ok
    exact = [cell.volume for cell in sorted(case.naive().cells, key=lambda cell: cell.pattern)]
    order = sorted(range(cells.n_cells), key=lambda k: tuple(cells.unpacked_patterns()[k].tolist()))
    for k, volume in zip(order, exact, strict=True):
        low, high = bounds(volume_enclosures(cells)[k])
        assert low <= volume <= high
    low, high = bounds(locus_enclosure(cells).total)
    assert low <= sum(f.volume for f in case.naive().facets if f.squared_jump) + 1e-9 and high >= low
    assert locus_volume(cells).total == pytest.approx(low, rel=1e-9, abs=1e-12)
    cells.save(tmp_path / "cells.npz")
    again = CellComplex.load(tmp_path / "cells.npz")
    assert np.array_equal(again.patterns, cells.patterns) and again.network == cells.network
    assert verify(again).ok
    for kind in ("cell", "open", "closed", "affine", "convex"):
        assert count_regions(cells, kind).lower <= cells.n_cells


def test_verify_notices_a_wrong_winner(planar: CellComplex) -> None:
    patterns = planar.patterns.copy()
    patterns[0], patterns[1] = planar.patterns[1], planar.patterns[0]
    from dataclasses import replace

    report = verify(replace(planar, patterns=patterns), strict=False)
    assert not report.ok


def test_halfspaces_of_cells_hold_their_points(planar: CellComplex) -> None:
    for cell in range(planar.n_cells):
        for irredundant in (True, False):
            rows = cell_halfspaces(planar, cell, irredundant=irredundant)
            assert (rows.A @ planar.witnesses[cell] < rows.b).all()
            ring = planar.vertices(cell)
            on = np.abs(ring @ rows.A.T - rows.b) < 1e-9
            assert (on.sum(axis=0) >= 2).sum() >= planar.n_facets[cell]


def test_maps_and_pictures_are_those_of_the_function(planar: CellComplex) -> None:
    inside = planar.witnesses
    outputs = planar.network.forward(planar.domain.to_input(inside))
    for first, last, A, c in output_maps(planar):
        values = np.einsum("kij,kj->ki", A, inside[first:last]) + c
        assert_allclose(values, outputs[first:last], atol=1e-12)


def test_local_complexity_averages_over_the_candidates_biases() -> None:
    network, box = maxout(5, 2, (3,), 2), cube(2)
    density = UniformDensity(box)
    still = exact_local_complexity(network, box, density, 0.0, 1, np.random.default_rng(0))
    assert still.mean == pytest.approx(locus_volume(enumerate_cells(network, box), density).total)
    noisy = exact_local_complexity(network, box, density, 0.5, 4, np.random.default_rng(3))
    assert noisy.mean > 0.0 and noisy.stderr > 0.0


@pytest.mark.kernels
def test_a_large_maximum_makes_its_pairs_when_they_are_asked_for() -> None:
    k = 6000
    rng = np.random.default_rng(0)
    network = Network.from_arrays([rng.normal(size=(k, 2))], [np.zeros(k)], maxima=[k])
    table = network.max_units
    assert table is not None and table.plane(k - 2, k - 1) == k + k * (k - 1) // 2 - 1
    # half a million pairs would not be too many, these are
    with pytest.raises(BudgetExceededError, match="17,997,000 pairs of candidates"):
        count_cells(network, cube(2))
    # the largest of random linear functions has a cell for each corner of their convex hull
    density, corners = UniformDensity(cube(2)), len(ConvexHull(network.weights[0]).vertices)
    found = DistinctPatterns().estimate(network, density, rng, 200, domain=cube(2))
    assert corners // 2 < found.mean <= corners
    few = Network.from_arrays([network.weights[0][:40]], [np.zeros(40)], maxima=[40])
    assert count_cells(few, cube(2)).cells == len(ConvexHull(few.weights[0]).vertices)


def test_what_takes_no_max_units_says_so(planar: CellComplex) -> None:
    network, box = planar.network, planar.domain
    density, rng = UniformDensity(box), np.random.default_rng(0)
    asked = [
        lambda: UnnormalisedCoarea(0.1).estimate(network, density, rng, 10, domain=box),
        lambda: gradient_tail(planar, eta=0.1),
    ]
    for ask in asked:
        with pytest.raises(RegionsError, match="no max units"):
            ask()


@pytest.mark.kernels
@pytest.mark.parametrize("arithmetic", ["certified", "float"])
@pytest.mark.parametrize("workers", [1, 2])
def test_threads_and_arithmetic_do_not_change_generic_cells(arithmetic: Any, workers: int) -> None:
    network, box = maxout(2, 2, (12, 8), 3), cube(2)
    one = enumerate_cells(network, box, workers=1)
    other = enumerate_cells(network, box, workers=workers, arithmetic=arithmetic)
    assert np.array_equal(one.patterns, other.patterns)


@pytest.mark.kernels
def test_a_plane_through_many_inputs() -> None:
    network = maxout(4, 6, (8, 5), 3)
    plane = Slice.around(np.zeros(6), directions=np.eye(6)[:2] + 0.25, half_width=1.0)
    cells = enumerate_cells(network, plane)
    assert verify(cells).ok
    assert count_cells(network, plane, engine="lp").cells == cells.n_cells


@pytest.mark.kernels
def test_a_limit_is_a_limit() -> None:
    network, box = maxout(2, 2, (12, 8), 3), cube(2)
    whole = count_cells(network, box).cells
    for engine in ("planar", "lp"):
        assert count_cells(network, box, engine=engine, max_cells=7).cells == 7
        assert count_cells(network, box, engine=engine, max_cells=whole).status.name == "COMPLETE"


def test_the_box_is_a_domain_like_any_other() -> None:
    network = maxout(7, 1, (5, 4), 4)
    line = enumerate_cells(network, Box([-3.0], [3.0]))
    grid = np.linspace(-3, 3, 4001)[:, None]
    changes = (np.diff(network.activation_pattern(grid).astype(int), axis=0) != 0).any(axis=1).sum()
    assert line.n_cells >= changes + 1


def test_a_max_unit_of_all_outputs_cuts_where_the_prediction_changes() -> None:
    rng = np.random.default_rng(8)
    weights, biases = [rng.normal(size=(6, 2)), rng.normal(size=(3, 6))], [rng.normal(size=6), np.zeros(3)]
    scores = Network.from_arrays(weights, biases)
    cells = enumerate_cells(Network.from_arrays(weights, biases, maxima=[None, 3]), cube(2))
    states = cells.unpacked_patterns()
    assert (states[:, 6:].argmax(axis=1) == scores.forward(cells.witnesses).argmax(axis=1)).all()
    below = {row.tobytes() for row in enumerate_cells(scores, cube(2)).unpacked_patterns()}
    assert {row.tobytes() for row in states[:, :6]} == below and cells.n_cells > len(below)


@pytest.mark.kernels
@pytest.mark.parametrize(("window", "stride", "inputs", "cells"), [(2, 1, 3, 4), (3, 2, 5, 9), (3, 1, 4, 7)])
def test_pooling_has_as_many_cells_without_bounds(window: int, stride: int, inputs: int, cells: int) -> None:
    assert count_cells(pooling(inputs, window, stride), WholeSpace(inputs)).cells == cells
