"""Laws of properties: verdicts and shares are those of a brute force in fractions; bad input is refused."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pytest
from naive import naive_box, naive_complex
from networks import random_network
from programs import assert_fails_in_one_line

from regions import (
    Box,
    FrameBox,
    Network,
    Polytope,
    Property,
    Slice,
    Verdict,
    check_property,
    enumerate_cells,
    image,
    load_network,
    output_range,
    preimage,
    volume_enclosures,
)
from regions.analysis.properties import cells_in_turn
from regions.analysis.properties.backward_bounds import lines_of
from regions.analysis.properties.box_branching import BoxBranching, undecided_boxes
from regions.analysis.properties.box_contraction import contracted, weighted_sums
from regions.analysis.properties.certified_volumes import CertifiedVolumes
from regions.analysis.properties.counterexamples import Judge
from regions.analysis.properties.exact_forward import exact_outputs, is_inside
from regions.analysis.properties.linear_relaxations import OutputBounds
from regions.analysis.properties.property_spec import Case, output_polytope
from regions.analysis.properties.vnnlib_files import parse_vnnlib
from regions.errors import InvalidDomainError, InvalidInputError
from regions.kernels.volumes.interval_volumes import measure_simple_polytopes
from regions.rational import bounds

ABSOLUTE = Network.from_arrays([[[1.0], [-1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.0]])
LINE = Box([-1.0], [1.0])


def integer_network(rng: np.random.Generator, widths: tuple[int, ...]) -> Network:
    """A network of small integers, whose cells touch each other and the domain in degenerate ways."""
    shapes = list(zip(widths[1:], widths[:-1], strict=True))
    weights = [rng.integers(-2, 3, size=shape).astype(float) for shape in shapes]
    return Network.from_arrays(weights, [rng.integers(-1, 2, size=n).astype(float) for n, _ in shapes])


def brute_force(network: Network, box: Box, unsafe) -> tuple[Fraction, list[Fraction], bool]:
    """The violating share, that of each disjunct, and whether any point violates: the closed set."""
    A = np.concatenate([rows for rows, _ in unsafe])
    b = np.concatenate([bounds for _, bounds in unsafe])
    weights, biases = [*network.weights, A], [*network.biases, -b]
    found = naive_complex(weights, biases, [*network.relu, True], naive_box(box.low, box.high))
    ends = np.cumsum([0, *(len(bounds) for _, bounds in unsafe)]) - len(b)
    volumes, total, touched = [Fraction(0)] * len(unsafe), Fraction(0), False
    for cell in found.cells:
        states = cell.pattern[-len(b) :]
        inside = [not any(states[len(b) + i : len(b) + j]) for i, j in pairwise(ends)]
        total += cell.volume if any(inside) else 0
        volumes = [v + (cell.volume if one else 0) for v, one in zip(volumes, inside, strict=True)]
        touched = touched or any(_unsafe_at(network, vertex, unsafe) for vertex in cell.vertices)
    return total / found.volume, [v / found.volume for v in volumes], touched


def _unsafe_at(network: Network, x, unsafe) -> bool:
    y = exact_outputs(network, x)
    return any(
        all(
            sum(Fraction(a) * v for a, v in zip(row, y, strict=True)) <= Fraction(c)
            for row, c in zip(np.asarray(A).tolist(), np.asarray(b).tolist(), strict=True)
        )
        for A, b in unsafe
    )


def random_unsafe(rng: np.random.Generator, outputs: int, integers: bool):
    """One to three sets of unsafe outputs, of one or two halfspaces each."""
    sets = []
    for _ in range(rng.integers(1, 4)):
        k = int(rng.integers(1, 3))
        if integers:
            A, b = rng.integers(-1, 2, size=(k, outputs)), rng.integers(-1, 2, size=k)
        else:
            A, b = rng.normal(size=(k, outputs)), rng.normal(size=k) - 0.3
        sets.append((A.astype(float), b.astype(float)))
    return sets


@pytest.mark.sweep(8, 20)
@pytest.mark.parametrize("seed", range(40))
def test_verdict_and_shares_are_those_of_brute_force(seed: int) -> None:
    rng = np.random.default_rng(seed)
    d, integers = 1 + seed % 2, seed % 4 < 2
    widths = (d, 3, 2, 2) if d == 2 else (d, 4, 3, 2)
    network = integer_network(rng, widths) if integers else random_network(rng, widths)
    box, unsafe = Box([-1.0] * d, [1.0] * d), random_unsafe(rng, 2, integers)
    share, parts, touched = brute_force(network, box, unsafe)
    for most_boxes in (0, 24):
        quick = check_property(network, (box, unsafe), most_boxes=most_boxes, workers=1)
        assert quick.verdict == (Verdict.VIOLATED if touched else Verdict.HOLDS)
        report = check_property(network, (box, unsafe), volume=True, most_boxes=most_boxes, workers=1)
        assert report.verdict == quick.verdict
        assert report.share is not None and report.share.exact and report.share.low == share
        assert [one.low for one in report.by_disjunct[0]] == parts
        around = check_property(network, (box, unsafe), volume="interval", most_boxes=most_boxes, workers=1)
        assert around.verdict == quick.verdict and around.share.high - around.share.low < 1e-6
        assert around.share.low <= share <= around.share.high
        for one, part in zip(around.by_disjunct[0], parts, strict=True):
            assert one.low <= part <= one.high
        if touched:
            assert _unsafe_at(network, quick.counterexample.point, unsafe)
            assert is_inside(box, quick.counterexample.point)


def test_in_three_dimensions_pieces_lie_where_they_should() -> None:
    network = random_network(8, (3, 5, 4, 3))
    box = Box([-1.0] * 3, [1.0] * 3)
    unsafe = [(np.array([[1.0, -1.0, 0.0], [0.0, -1.0, 1.0]]), np.zeros(2))]  # output 1 is the largest
    share, _, touched = brute_force(network, box, unsafe)
    report = check_property(network, (box, unsafe), volume=True, workers=1)
    assert (report.verdict == Verdict.VIOLATED) == touched
    assert report.share.low == share == sum(piece.volume for piece in report.pieces) / 8
    for piece in report.pieces:
        middle = piece.vertices.mean(axis=0)
        y = network.forward(middle)
        assert y[1] == y.max()
        A, b = piece.halfspaces
        assert (A @ middle < b).all() and (A @ piece.vertices.T - b[:, None]).max() < 1e-12
        assert (network.activation_pattern(middle) == piece.pattern).all()
    ball = report.ball
    middle = np.array([float(x) for x in ball.centre])
    directions = np.random.default_rng(0).normal(size=(500, 3))
    shell = middle + 0.999999 * ball.radius * directions / np.linalg.norm(directions, axis=1)[:, None]
    assert (network.forward(shell).argmax(axis=1) == 1).all()


def test_the_ball_is_the_largest_of_a_known_set() -> None:
    # |x| + |y| >= 1 in [-1, 1]^2: four triangles with legs of length 1
    network = Network.from_arrays([[[1, 0], [-1, 0], [0, 1], [0, -1]], [[1.0] * 4]], [[0.0] * 4, [0.0]])
    report = check_property(network, (Box([-1, -1], [1, 1]), [([[-1.0]], [-1.0])]), volume=True)
    assert report.share.low == Fraction(1, 2) and len(report.pieces) == 4
    assert 0.0 <= 1 / (2 + np.sqrt(2)) - report.ball.radius < 1e-9


@pytest.mark.parametrize("d", [1, 2, 3])
def test_a_ball_may_reach_over_several_cells(d: int) -> None:
    # the sum of |x_i| is at most 1: a piece in each orthant, and a ball of radius 1 / sqrt(d) over all
    rows = np.vstack([np.eye(d), -np.eye(d)])
    network = Network.from_arrays([rows, np.ones((1, 2 * d))], [np.zeros(2 * d), [0.0]])
    ball = check_property(network, (Box([-2.0] * d, [2.0] * d), [([[1.0]], [1.0])]), volume=True).ball
    assert ball.radius <= 1.0 / np.sqrt(d) <= ball.upper
    assert ball.upper - ball.radius < 2e-3


def test_a_ball_in_what_is_not_convex_lies_in_its_widest_corner() -> None:
    # |x| + |y| >= 1 in [-2, 2]^2: no farther than the corner of the square from the side of the diamond
    network = Network.from_arrays([[[1, 0], [-1, 0], [0, 1], [0, -1]], [[1.0] * 4]], [[0.0] * 4, [0.0]])
    ball = check_property(network, (Box([-2, -2], [2, 2]), [([[-1.0]], [-1.0])]), volume=True).ball
    assert ball.radius <= 3 / (2 + np.sqrt(2)) <= ball.upper < 1.001 * ball.radius


@pytest.mark.parametrize("d", [1, 3, pytest.param(5, marks=pytest.mark.slow)])
def test_certified_volumes_contain_the_exact_ones(d: int) -> None:
    network, box = random_network(d, (d, 4, 3, 1)), Box([-1.0] * d, [1.0] * d)
    cells = enumerate_cells(network, box)
    low, high = CertifiedVolumes(network, box).bounds(cells.patterns)
    assert low.sum() <= box.volume <= high.sum() < (1.0 + 1e-6) * low.sum()
    some = list(range(0, cells.n_cells, 1 + cells.n_cells // 12))
    for k, exact in zip(some, volume_enclosures(cells, some), strict=True):
        assert low[k] <= bounds(exact)[1] and high[k] >= bounds(exact)[0]


@pytest.mark.kernels
@pytest.mark.small
@pytest.mark.parametrize("d", [1, 2, 3, 5])
def test_intervals_hold_the_volumes_of_boxes_and_simplices(d: int) -> None:
    corners = np.array(list(product((0, 1), repeat=d)))
    sides = np.arange(1, d + 1) / 4.0  # of the box; and the simplex x_i >= 0, sum x_i <= 1
    incidence = [[sum(1 << (2 * i + side) for i, side in enumerate(corner))] for corner in corners.tolist()]
    incidence += [[((1 << d + 1) - 1) & ~(1 << left)] for left in range(d, -1, -1)]
    rows = [
        [*(sign * unit), shift, 1e-12]
        for unit, side in zip(np.eye(d), sides, strict=True)
        for sign, shift in ((-1, 0), (1, -side))
    ]
    rows += [[*-unit, 0.0, 1e-12] for unit in np.eye(d)] + [[*np.ones(d), -1.0, 1e-12]]
    points = np.vstack([corners * sides, np.zeros(d), np.eye(d)[::-1]])
    bounds = np.zeros((2, 2))
    measure_simple_polytopes(
        np.array([0, 2**d, 2**d + d + 1]),
        np.array([0, 2 * d, 3 * d + 1]),
        np.array(incidence, np.uint64),
        points,
        np.full(len(points), 1e-11),
        np.array(rows),
        0.1,
        bounds,
    )
    for (low, high), volume in zip(bounds.T, (sides.prod(), 1.0 / math.factorial(d)), strict=True):
        assert low <= volume <= high < (1.0 + 1e-7) * low
    measure_simple_polytopes(
        np.array([0, 2**d]),
        np.array([0, 2 * d]),
        np.array(incidence[: 2**d], np.uint64) & np.uint64(2**64 - 2),
        points,
        np.zeros(len(points)),
        np.array(rows),
        0.1,
        bounds[:, :1],
    )
    assert bounds[:, 0].tolist() == [0.0, math.inf]  # one facet is missing


@pytest.mark.parametrize(("rare", "together"), [(0, 1), (1, 2), (64, 3), (10_000, 256)])
def test_violating_cells_are_the_same_by_stops_and_by_patterns(
    rare: int, together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, box = random_network(8, (3, 5, 4, 3)), Box([-1.0] * 3, [1.0] * 3)
    unsafe = [(np.array([[1.0, -1.0, 0.0], [0.0, -1.0, 1.0]]), np.zeros(2)), ([[1.0, 0.0, 0.0]], [-1.0])]
    exact = check_property(network, (box, unsafe), volume=True, workers=1)
    monkeypatch.setattr(cells_in_turn, "RARE", rare)
    monkeypatch.setattr(cells_in_turn, "TOGETHER", together)
    found = check_property(network, (box, unsafe), volume="interval", workers=1, most_boxes=0)
    assert found.violating_cells == exact.violating_cells > 5
    assert found.share.low <= exact.share.low <= found.share.high < (1 + Fraction(1, 10**6)) * found.share.low
    for one, other in zip(found.by_disjunct[0], exact.by_disjunct[0], strict=True):
        assert one.low <= other.low <= one.high


def test_intervals_of_shares_take_polytopes_and_touching_sets() -> None:
    triangle = Polytope([[1, 1], [-1, 0], [0, -1]], [1, 0, 0])
    network = Network.from_arrays([np.eye(2), [[1.0, 1.0]]], [np.zeros(2), [0.0]])
    report = check_property(network, (triangle, [([[-1.0]], [-0.5])]), volume="interval")
    assert report.share.low <= Fraction(3, 4) <= report.share.high < Fraction(3, 4) + Fraction(1, 1000)
    touched = check_property(ABSOLUTE, (LINE, [([[1.0]], [0.0])]), volume="interval")
    assert touched.verdict == Verdict.VIOLATED and (touched.share.low, touched.share.high) == (0, 0)
    with pytest.raises(InvalidInputError, match="interval"):
        check_property(ABSOLUTE, (LINE, [([[1.0]], [0.0])]), volume="exact")


@pytest.mark.parametrize("volume", [False, True])
def test_a_set_that_is_only_touched_is_a_violation_of_share_zero(volume: bool) -> None:
    report = check_property(ABSOLUTE, (LINE, [([[1.0]], [0.0])]), volume=volume)  # |x| <= 0
    assert report.verdict == Verdict.VIOLATED and report.counterexample.point == (0,)
    assert not volume or (report.share.low, report.share.high) == (0, 0)


def test_a_set_that_is_missed_by_a_hair_is_not_violated() -> None:
    report = check_property(ABSOLUTE, (LINE, [([[1.0]], [-(2.0**-60)])]), volume=True)
    assert report.verdict == Verdict.HOLDS and report.counterexample is None
    assert report.share.exact and report.share.low == 0


def test_fixed_inputs_and_frames_count_the_volume_of_what_is_free() -> None:
    network = Network.from_arrays([np.eye(3), [[1.0, 1.0, 1.0]]], [np.zeros(3), [0.0]])
    high = [([[-1.0]], [-1.5])]  # x + y + z >= 3/2 where all are positive
    fixed = check_property(network, (Box([0, 0.5, 0], [1, 0.5, 1]), high), volume=True)
    framed = FrameBox([0, 0.5, 0], [[1.0, 0], [0, 0], [0, 1.0]], [0, 0], [1, 1])
    assert fixed.share.low == check_property(network, (framed, high), volume=True).share.low == Fraction(1, 2)
    assert fixed.counterexample.point[1] == Fraction(1, 2)


def test_polytopes_and_slices_are_searched_whole() -> None:
    triangle = Polytope([[1, 1], [-1, 0], [0, -1]], [1, 0, 0])
    network = Network.from_arrays([np.eye(2), [[1.0, 1.0]]], [np.zeros(2), [0.0]])
    report = check_property(network, (triangle, [([[-1.0]], [-0.5])]), volume=True)
    assert report.share.low == Fraction(3, 4)
    assert check_property(network, (triangle, [([[-1.0]], [-1.25])])).verdict == Verdict.HOLDS
    plane = Slice.around([0.0, 0.0, 0.0], ([1, 0, 0], [0, 1, 0]), half_width=1.0)
    three = Network.from_arrays([np.eye(3), [[1.0, 1.0, 1.0]]], [np.zeros(3), [0.0]])
    assert check_property(three, (plane, [([[-1.0]], [-1.0])]), volume=True).share.low == Fraction(1, 8)


def test_max_units_and_slopes_are_units_too() -> None:
    maxout = Network.from_arrays([[[1.0], [-1.0], [0.5]]], [[0.0, 0.0, 1.0]], maxima=[3])
    report = check_property(maxout, (Box([-3.0], [3.0]), [([[-1.0]], [-2.0])]), volume=True)  # max >= 2
    assert report.share.low == Fraction(1, 3)
    leaky = Network.from_arrays([[[1.0]], [[1.0]]], [[0.0], [0.0]], slopes=[0.5, None])
    report = check_property(leaky, (LINE, [([[1.0]], [-0.25])]), volume=True)  # x <= -1/2
    assert report.share.low == Fraction(1, 4)
    assert exact_outputs(maxout, [Fraction(-3)]) == (3,) and exact_outputs(leaky, [Fraction(-1)]) == (-0.5,)


def test_time_that_is_up_leaves_the_verdict_open_and_the_share_an_interval() -> None:
    network, box = random_network(0, (3, 6, 6, 1), gain=0.3), Box([-1] * 3, [1] * 3)
    unsafe = [([[1.0]], [float(network.forward(np.zeros((1, 3)))[0, 0]) - 50.0])]
    report = check_property(network, (box, unsafe), max_seconds=1e-9, most_boxes=0)
    assert report.verdict == Verdict.UNKNOWN and report.stopped_by == "max_seconds"
    open_ = check_property(network, (box, unsafe), max_seconds=1e-9, most_boxes=0, volume=True)
    assert (open_.share.low, open_.share.high) == (0, 1) and report.answer == "unknown"
    open_ = check_property(network, (box, unsafe), max_seconds=1e-9, most_boxes=0, volume="interval")
    assert (open_.share.low, open_.share.high) == (0, 1)


def test_bounds_hold_for_all_kinds_of_units_and_domains(rng: np.random.Generator) -> None:
    shapes = [((6, 2), (6, 6), (2, 6)), ((6, 2), (6, 6), (2, 6)), ((6, 2), (6, 6), (2, 3))]
    kinds = [{}, {"slopes": [rng.normal(size=(2, 6)), "abs", None]}, {"maxima": [None, 2, None]}]
    for trial in range(12):
        weights = [rng.normal(size=shape) for shape in shapes[trial % 3]]
        network = Network.from_arrays(weights, [rng.normal(size=len(w)) for w in weights], **kinds[trial % 3])
        domain = Box([-1, -1], [1, 1]) if trial % 2 else Slice.around([0.1, 0.3], ([1, 2], [1, -1]), 1.0)
        low = rng.uniform(-1, 0.5, size=(8, 2))
        high = low + rng.uniform(0, 0.5, size=(8, 2)) * 10.0 ** rng.integers(-3, 1, size=(8, 1))
        C, c = rng.normal(size=(3, 2)), rng.normal(size=3)
        found = OutputBounds(network, domain, C, c)(low, high)
        for box in range(8):
            t = rng.uniform(low[box], high[box], size=(100, 2))
            values = network.forward(domain.to_input(t)) @ C.T - c
            assert (values.min(axis=0) >= found.lower[box] - 1e-13).all()
            assert (values.max(axis=0) <= found.upper[box] + 1e-13).all()
            exact = [sum(Fraction(x) for x in row) for row in found.lower - found.upper]
            assert all(difference <= 0 for difference in exact)


def test_functions_below_outputs_are_below_in_rational_arithmetic(rng: np.random.Generator) -> None:
    for trial in range(4):
        network = random_network(trial, (2, 6, 6, 2))
        low = rng.uniform(-1, 0.5, size=(3, 2))
        high = low + rng.uniform(0, 0.5, size=(3, 2)) * 10.0 ** rng.integers(-12, 1, size=(3, 1))
        C, c = rng.normal(size=(2, 2)), rng.normal(size=2)
        found = OutputBounds(network, Box([-1, -1], [1, 1]), C, c)(low, high)
        for box in range(3):
            for corner in ((low[box]), (high[box]), (low[box] + high[box]) / 2):
                t = [Fraction(x) for x in corner.tolist()]
                y = exact_outputs(network, t)
                for k in range(2):
                    value = sum(Fraction(a) * v for a, v in zip(C[k].tolist(), y, strict=True)) - Fraction(
                        c[k]
                    )
                    slopes = found.slopes[box, k].tolist()
                    below = sum(Fraction(a) * x for a, x in zip(slopes, t, strict=True))
                    assert below + Fraction(found.constant[box, k]) <= value
                    assert Fraction(found.lower[box, k]) <= value <= Fraction(found.upper[box, k])


def test_units_are_between_their_lines(rng: np.random.Generator) -> None:
    slopes = np.array([[0.0, 0.1, -1.0, 2.0, 1.0], [1.0, 1.0, 1.0, -0.5, 1.0]])
    least = rng.normal(size=(200, 5))
    most = least + rng.exponential(size=(200, 5))
    lines = lines_of(least, most, slopes)
    for share in (0.0, 0.3, 1.0):
        z = np.clip(least + share * (most - least), least, most)
        value = np.where(z > 0.0, slopes[1], slopes[0]) * z
        assert (lines.lower_slope * z + lines.lower_offset <= value + 1e-15).all()
        assert (value <= lines.upper_slope * z + lines.upper_offset + 1e-15).all()


def test_boxes_are_cut_down_to_what_holds_all_their_points_below_zero(rng: np.random.Generator) -> None:
    low, high = -rng.random((400, 3)), rng.random((400, 3))
    slopes, constant = rng.normal(size=(400, 2, 3)), rng.normal(size=(400, 2))
    total, offset = weighted_sums(low, high, slopes, constant)
    found = contracted(
        low, high, np.append(slopes, total[:, None], axis=1), np.append(constant, offset[:, None], axis=1)
    )
    t = rng.uniform(low, high, size=(300, 400, 3))
    below = (np.einsum("nbd,bkd->nbk", t, slopes) + constant).max(axis=2) <= 0.0
    inside = ((t >= found.low) & (t <= found.high)).all(axis=2) & ~found.empty
    assert (inside | ~below).all()
    shrunk = np.prod(found.high - found.low, axis=1) < 0.9 * np.prod(high - low, axis=1)
    assert found.empty.any() and (shrunk & ~found.empty).sum() > 50


def test_bounds_alone_decide_what_is_far_from_violated(rng: np.random.Generator) -> None:
    network, box = random_network(5, (4, 12, 12, 3)), Box([-1] * 4, [1] * 4)
    y = network.forward(rng.uniform(-1, 1, size=(20_000, 4)))[:, 0]
    far = output_polytope([[1.0, 0.0, 0.0]], [float(y.min() - 0.25 * np.ptp(y))])
    branching = BoxBranching(network, Case(box, (far,)), workers=1)
    assert not branching.grow(2000) and branching.grown and branching.left() == []
    assert check_property(network, (box, [far])).verdict == Verdict.HOLDS
    pair = output_polytope([[1.0, 0, 0], [-1.0, 0, 0]], [-1e6, -1e6])  # both cannot be
    one = BoxBranching(network, Case(box, (pair,)), workers=1)
    assert not one.grow(1) and one.left() == []


def test_a_violation_in_one_corner_is_found_by_descent() -> None:
    d = 9  # a share of 1e-12 of the box, which samples miss
    network = Network.from_arrays([np.eye(d), np.ones((1, d))], [np.zeros(d), [0.0]])
    box, unsafe = Box([-1] * d, [1] * d), [(-np.ones((1, 1)), [-(d - 0.5)])]
    judge = Judge(network, Case(box, (output_polytope(*unsafe[0]),)), 0)
    assert judge.examine(np.full((1, d), 0.25), descend=True)
    assert sum(judge.found.point) >= d - 0.5
    assert check_property(network, (box, unsafe)).cells == 0


def test_safe_boxes_and_what_is_left_cover_the_domain() -> None:
    case = Case(LINE, (output_polytope([[-1.0]], [-0.875]),))
    left = undecided_boxes(ABSOLUTE, case)
    sizes = [Fraction(float(box.high[0])) - Fraction(float(box.low[0])) for box in left.domains]
    assert left.safe_volume + sum(sizes) == 2 and float(sum(sizes)) == pytest.approx(0.25)
    assert sorted((box.low[0] <= -1.0, box.high[0] >= 1.0) for box in left.domains) == [
        (False, True),
        (True, False),
    ]
    assert undecided_boxes(ABSOLUTE, case, 0).domains == (LINE,)


def test_a_box_that_is_not_along_the_axes_may_be_safe_as_a_whole() -> None:
    diamond = Polytope([[1, 1], [1, -1], [-1, 1], [-1, -1]], [1.0] * 4)
    network = Network.from_arrays([[[1, 0], [-1, 0], [0, 1], [0, -1]], [[1.0] * 4]], [[0.0] * 4, [0.0]])
    branching = BoxBranching(network, Case(diamond, (output_polytope([[-1.0]], [-1.5]),)), workers=1)
    assert not branching.grow(400) and branching.left() == []  # |x| + |y| >= 3/2 is outside
    assert check_property(network, (diamond, [([[-1.0]], [-1.0])])).verdict == Verdict.VIOLATED


TWO_SIDED = """; a comment
(declare-const X_0 Real) (declare-const Y_0 Real)
(assert (<= X_0 1.0)) (assert (>= X_0 -1))
(assert (or (and (<= Y_0 0.25) (>= Y_0 0.125)) (>= (* 2 Y_0) 1.5)))
"""


def test_a_file_of_two_disjuncts_is_read_and_decided(tmp_path: Path) -> None:
    (tmp_path / "two.vnnlib").write_text(TWO_SIDED)
    report = check_property(ABSOLUTE, tmp_path / "two.vnnlib", volume=True)
    assert report.share.low == Fraction(3, 8)
    assert [share.low for share in report.by_disjunct[0]] == [Fraction(1, 8), Fraction(1, 4)]


def test_disjoint_inputs_are_cases_and_empty_ones_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "cases.vnnlib").write_text(
        "(declare-const X_0 Real)(declare-const Y_0 Real)"
        "(assert (or (and (>= X_0 -1) (<= X_0 -0.5)) (and (>= X_0 0.5) (<= X_0 1))"
        " (and (>= X_0 3) (<= X_0 2))))"
        "(assert (>= Y_0 0.75))"
    )
    given = Property.load(tmp_path / "cases.vnnlib", ABSOLUTE)
    assert sorted(case.domain.low[0] for case in given.cases) == [-1.0, 0.5]
    assert check_property(ABSOLUTE, given, volume=True).share.low == Fraction(1, 2)
    (tmp_path / "none.vnnlib").write_text(
        "(declare-const X_0 Real)(declare-const Y_0 Real)(assert (>= X_0 1))(assert (<= X_0 0))"
    )
    assert check_property(ABSOLUTE, tmp_path / "none.vnnlib").verdict == Verdict.HOLDS


def test_terms_may_be_sums_and_products_with_constants() -> None:
    text = "(declare-const X_0 Real)(declare-const Y_0 Real)(declare-const Y_1 Real)"
    found = parse_vnnlib(text + "(assert (<= (+ (* 2 Y_0) (- Y_1) 1e-1) (- (* Y_0 0.5) (- 3) X_0)))")
    (one,) = found.cases[0]
    assert one.terms == (("X", 0, 1), ("Y", 0, Fraction(3, 2)), ("Y", 1, -1))
    assert one.bound == Fraction(29, 10)


HEAD = "(declare-const X_0 Real)(declare-const Y_0 Real)(assert (<= X_0 1))(assert (>= X_0 0))"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (HEAD + "(assert (< Y_0 0))", "formulas are made of and, or, <= and >="),
        (HEAD + "(assert (<= Y_1 0))", "Y_1 is not declared"),
        (HEAD + "(assert (<= (* Y_0 Y_0) 0))", "is not linear"),
        (HEAD + "(assert (<= Y_0 zero))", "neither a number nor a variable"),
        (HEAD + "(assert (<= Y_0 0)", "is not closed"),
        (HEAD + "(assert (<= Y_0 0)))", "closed that was not opened"),
        (HEAD + "(assert (<= Y_0))", "must compare two terms"),
        (HEAD + "(assert)", "must hold one formula"),
        (HEAD + "(vnnlib-version 2.0)", "no command of VNN-LIB 1.0"),
        (HEAD + "(declare-const Y_0 Real)", "declared twice"),
        (HEAD + "(declare-const Y_2 Real)", "without gaps"),
        (HEAD + "(declare-const Z_0 Real)", "inputs are X_0"),
        (HEAD + "(assert (<= Y_0 X_0))", "mixes inputs and outputs"),
        ("(declare-const X_0 Real)(assert (<= X_0 1))", "no output Y_0"),
        ("(declare-const X_0 Real)(declare-const Y_0 Real)(assert (<= X_0 1))", "has no lower bound"),
        (HEAD + "(assert (>= X_0 1))(assert (<= Y_0 0))", "the box is a point"),
        (HEAD + "(declare-const X_1 Real)(assert (<= Y_0 0))", "2 inputs and 1 outputs"),
    ],
)
def test_what_is_no_property_is_refused_in_one_line(tmp_path: Path, run, text: str, says: str) -> None:
    ABSOLUTE.save(tmp_path / "net.npz")
    (tmp_path / "bad.vnnlib").write_text(text)
    assert_fails_in_one_line(run("property", tmp_path / "net.npz", tmp_path / "bad.vnnlib"), says)
    with pytest.raises((InvalidInputError, InvalidDomainError), match=r"bad\.vnnlib"):
        check_property(ABSOLUTE, tmp_path / "bad.vnnlib")


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        (7, "give a Property"),
        ((LINE, []), "needs a set"),
        ((LINE, [([[1.0, 2.0]], [0.0])]), "about 2 outputs"),
        ((LINE, [([[1.0]], [0.0, 1.0])]), "must be"),
        ((LINE, [([[np.nan]], [0.0])]), "NaN"),
        (("line", [([[1.0]], [0.0])]), "bounded domain"),
        ((Box([0, 0], [1, 1]), [([[1.0]], [0.0])]), "2 input dimensions"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(spec, says: str) -> None:
    with pytest.raises((InvalidInputError, InvalidDomainError), match=says):
        check_property(ABSOLUTE, spec)


def test_the_command_exits_by_verdict_and_writes_a_witness(tmp_path: Path, run) -> None:
    ABSOLUTE.save(tmp_path / "net.npz")
    (tmp_path / "two.vnnlib").write_text(TWO_SIDED)
    (tmp_path / "never.vnnlib").write_text(HEAD + "(assert (<= Y_0 -1))")
    words = ["property", tmp_path / "net.npz", tmp_path / "two.vnnlib", "--volume"]
    code, out, _ = run(*words, "--witness", tmp_path / "w.txt", "-o", tmp_path / "r.json", "--json")
    assert code == 1 and json.loads(out)["share_exact"] == "3/8"
    saved = json.loads((tmp_path / "r.json").read_text())
    assert sum(Fraction(piece["volume"]) for piece in saved["violating_pieces"]) == Fraction(3, 4)
    first, second, third = (tmp_path / "w.txt").read_text().splitlines()
    assert first == "sat" and second.startswith("((X_0 ") and third.startswith("(Y_0 ")
    x, y = float(second[6:-1]), float(third[5:-2])
    assert y == abs(x) and (0.125 <= y <= 0.25 or y >= 0.75)
    code, out, _ = run("property", tmp_path / "net.npz", tmp_path / "two.vnnlib", "--share", "--json")
    low, high = json.loads(out)["share"]
    assert code == 1 and low <= 0.375 <= high < low + 1e-9 and json.loads(out)["violating_cells"] == 2
    code, out, _ = run("property", tmp_path / "net.npz", tmp_path / "never.vnnlib")
    assert code == 0 and out.startswith("unsat\n")


@pytest.mark.sweep(5)
@pytest.mark.parametrize("seed", range(20))
def test_the_range_over_a_domain_is_that_of_all_vertices(seed: int) -> None:
    rng = np.random.default_rng(seed)
    d, row = 1 + seed % 2, rng.integers(-2, 3, size=2).astype(float)
    network = (integer_network if seed % 4 < 2 else random_network)(rng, (d, 4, 3, 2))
    box = Box([-1.0] * d, [1.0] * d)
    cells = naive_complex(network.weights, network.biases, network.relu, naive_box(box.low, box.high)).cells
    values = [
        sum(Fraction(w) * y for w, y in zip(row.tolist(), exact_outputs(network, vertex), strict=True))
        for cell in cells
        for vertex in cell.vertices
    ]
    found = output_range(network, box, row, workers=1)
    assert found.exact and (found.low, found.high) == (min(values), max(values))
    for point, value in ((found.low_point, found.low), (found.high_point, found.high)):
        outputs = exact_outputs(network, point)
        assert is_inside(box, point)
        assert value == sum(Fraction(w) * y for w, y in zip(row.tolist(), outputs, strict=True))


def test_a_range_that_is_cut_short_has_proven_bounds() -> None:
    network = random_network(0, (3, 6, 6, 1))
    found = output_range(network, Box([-1] * 3, [1] * 3), max_seconds=1e-9)
    assert not found.exact and found.stopped_by == "max_seconds"
    values = network.forward(np.random.default_rng(0).uniform(-1, 1, size=(1000, 3)))
    assert found.low_bound <= found.low <= found.high <= found.high_bound
    assert float(found.low_bound) <= values.min() and values.max() <= float(found.high_bound)


def test_the_preimage_of_a_band_and_the_image_of_its_cells() -> None:
    found = preimage(ABSOLUTE, LINE, ([[1.0], [-1.0]], [0.75, -0.5]))
    assert found.volume == Fraction(1, 2) == 2 * found.share.low and len(found.pieces) == 2
    network = random_network(2, (2, 6, 5, 2))
    cells = enumerate_cells(network, Box([-1, -1], [1, 1]))
    found_image = image(cells)
    t = np.random.default_rng(0).uniform(-1, 1, size=(300, 2))
    for point, cell in zip(t, cells.locate(t), strict=True):
        polygon, y = found_image.parts[cell], network.forward(point)
        side, way = np.roll(polygon, -1, axis=0) - polygon, y - polygon
        assert (side[:, 0] * way[:, 1] - side[:, 1] * way[:, 0] >= -1e-9).all()  # counterclockwise
    low, high = image(cells, [1]).bounds()
    exact = output_range(network, cells.domain, 1)
    assert low[0] == pytest.approx(float(exact.low)) and high[0] == pytest.approx(float(exact.high))
    with pytest.raises(InvalidInputError, match="one or two"):
        image(cells, [0, 2])


def test_pieces_are_drawn_where_they_are() -> None:
    from regions.plotting import plot_pieces

    network = random_network(8, (3, 5, 4, 3))
    section = Box([-1, 0.25, -1], [1, 0.25, 1])
    unsafe = [(np.array([[1.0, -1.0, 0.0], [0.0, -1.0, 1.0]]), np.zeros(2))]
    pieces = check_property(network, (section, unsafe), volume=True).pieces
    (drawn,) = plot_pieces(pieces).collections
    for t in section.sample(100, np.random.default_rng(1)):
        inside = any(path.contains_point(t, radius=1e-9) for path in drawn.get_paths())
        assert inside == (network.forward(section.to_input(t)).argmax() == 1)
    whole = check_property(network, (Box([-1] * 3, [1] * 3), unsafe), volume=True, max_seconds=None).pieces
    with pytest.raises(InvalidInputError, match="fix all inputs but two"):
        plot_pieces(whole)


@pytest.mark.parametrize(
    ("domain", "says"),
    [(3, "needs a domain"), (Box([0, 0], [1, 1]), "1 input dimensions")],
)
def test_ranges_of_what_does_not_fit_are_refused(domain, says: str) -> None:
    with pytest.raises((InvalidInputError, InvalidDomainError), match=says):
        output_range(ABSOLUTE, domain)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "number", "answer"),
    [("1_1", 3, "unsat"), ("1_7", 3, "sat"), ("1_9", 4, "sat"), ("2_1", 2, "sat")],
)
def test_known_verdicts_of_acas_xu(reference_data: Path, name: str, number: int, answer: str) -> None:
    pytest.importorskip("onnx")
    folder = reference_data / "acasxu"
    network = load_network(folder / f"ACASXU_run2a_{name}_batch_2000.onnx")
    report = check_property(network, folder / "properties" / f"prop_{number}.vnnlib")
    assert report.answer == answer
    assert answer == "unsat" or (report.counterexample.float64 and report.counterexample.float32)


def test_the_page_has_the_table_of_the_stored_answers() -> None:
    from validation.acas import instances, published, read_table, shares, summary

    rows = read_table()
    assert rows and all(row["published"] in ("", row["answer"]) for row in rows)
    assert all(row["published"] == published(row["network"], int(row["property"])) for row in rows)
    page = (Path(__file__).resolve().parents[1] / "docs" / "properties.md").read_text()
    table = page.partition("<!-- acas: begin -->")[2].partition("<!-- acas: end -->")[0]
    assert table.strip() == summary(rows)
    table = page.partition("<!-- shares: begin -->")[2].partition("<!-- shares: end -->")[0]
    assert table.strip() == shares(rows)
    for row in rows:
        if row["answer"] == "unsat" or row["z"]:
            assert float(row["share_low"] or 0) <= float(row["share_high"] or 0)
            assert not row["z"] or abs(float(row["z"])) < 4
    assert len(list(instances(["1_1", "4_5"], [1, 5, 10]))) == 4
