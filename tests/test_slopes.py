"""Units with two slopes: answers are those of the exact oracle, and of a function written otherwise."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from judging import assert_same_combinatorics, pattern_tuples, solve_naively
from networks import problem_of, random_network
from numpy.testing import assert_allclose
from strategies import (
    Case,
    examples,
    float_networks,
    nearly_parallel_networks,
    random_case,
    rational_networks,
    sloped,
)

from regions import (
    Box,
    CellComplex,
    GaussianDensity,
    Network,
    Slice,
    UniformDensity,
    count_cells,
    enumerate_cells,
    sum_over_cells,
    verify,
)
from regions.analysis.enclosures import locus_enclosure, volume_enclosures
from regions.analysis.independent import prove
from regions.analysis.linear_regions import count_regions
from regions.analysis.locus import locus_volume
from regions.analysis.one_cell import cell_halfspaces
from regions.enumeration.compiled_network import compile_network
from regions.enumeration.search import WHOLE
from regions.enumeration.vertices.vertex_search import VertexSearch
from regions.errors import CertificateError, InvalidInputError, InvalidNetworkError
from regions.estimators import Coarea, CroftonLines, CrossPolytope, FiniteShell
from regions.exploration import Exploration, explore, search_frame
from regions.kernels.memory.states import Mode, Status
from regions.plotting.decision import output_maps
from regions.rational import ExactNetwork, bounds
from regions.validation.closed_form import one_hidden_layer_local_complexity
from regions.validation.exact_targets import exact_value
from regions.validation.inequalities import check_inequalities
from regions.validation.local_complexity import exact_local_complexity

KINDS = st.one_of(sloped(rational_networks()), sloped(float_networks()), sloped(nearly_parallel_networks()))


def sloped_network(seed: int, widths: tuple[int, ...]) -> Network:
    """Random weights, and slopes of every sort in every layer but the last, which is affine."""
    network, rng = random_network(seed, widths), np.random.default_rng(seed)
    slopes: list[Any] = []
    for n in network.widths:
        pair = rng.choice([0.0, 1.0, -1.0, 0.25, 0.1, -0.3, 2.0], size=(2, n))
        slopes.append(np.where(rng.random(n) < 0.2, pair[0], pair))
    return Network(network.weights, network.biases, network.relu, "", (*slopes, None))


def with_units(network: Network, slopes: Any) -> Network:
    """The network with these slopes in every layer of units."""
    pairs = [slopes if relu else None for relu in network.relu]
    return Network.from_arrays(network.weights, network.biases, network.relu, slopes=pairs)


def cutting_patterns(found: CellComplex) -> set[bytes]:
    return {row.tobytes() for row in found.unpacked_patterns()[:, found.network.cutting]}


def complex_of_two_layers() -> CellComplex:
    return enumerate_cells(sloped_network(3, (2, 6, 5, 2)), Box([-1.0, -1.0], [1.0, 1.0]))


# What they are


def test_a_unit_puts_out_its_value_times_the_slope_on_its_side() -> None:
    units = Network.from_arrays(
        [np.ones((5, 1))], [np.zeros(5)], [True], slopes=[[[0, 0.5, -1, 1, 3], [1, 1, 1, 1, -2]]]
    )
    assert units.forward([[-2.0], [2.0]]).tolist() == [[0, -1, 2, -2, -6], [2, 2, 2, 2, -4]]
    assert units.activation_pattern([[-2.0], [0.0], [2.0]]).tolist() == [
        [False, False, False, True, False],
        [False, False, False, True, False],
        [True] * 5,
    ]
    assert units.cutting.tolist() == [True, True, True, False, True]
    A, c = units.affine_map([False] * 5)
    assert A.ravel().tolist() == [0, 0.5, -1, 1, 3] and not c.any()
    assert "units with two slopes (1 of them linear)" in units.describe()


def test_relu_slopes_are_those_of_a_relu_network() -> None:
    plain = random_network(0, (2, 4, 3, 1))
    said = with_units(plain, (0.0, 1.0))
    assert said == plain and said.digest() == plain.digest() and said.is_relu
    assert with_units(plain, "relu") == plain
    assert with_units(plain, 0.1) != plain and with_units(plain, 0.1) != with_units(plain, 0.2)
    assert with_units(plain, 0.1) == with_units(plain, (0.1, 1.0))


@pytest.mark.parametrize(
    ("slopes", "words"),
    [
        ([0.1], "one per layer"),
        ([0.1, 0.1], "no units follow"),
        (["gelu", None], "known names"),
        ([[0.1, 0.2, 0.3], None], "shape"),
        ([np.nan, None], "not finite"),
        ([[[0.1, 0.2], [1.0]], None], "array"),
        ([1j, None], "complex"),
        (3, "one per layer"),
    ],
)
def test_slopes_that_are_none_are_refused(slopes: Any, words: str) -> None:
    with pytest.raises(InvalidNetworkError, match=words):
        Network.from_arrays([np.ones((2, 1)), np.ones((1, 2))], [np.zeros(2), np.zeros(1)], slopes=slopes)


def test_files_keep_slopes_and_relu_files_their_bytes(tmp_path: Path) -> None:
    network = sloped_network(1, (2, 4, 3, 1))
    network.save(tmp_path / "sloped.npz")
    assert Network.load(tmp_path / "sloped.npz") == network
    random_network(1, (2, 4, 1)).save(tmp_path / "plain.npz")
    with np.load(tmp_path / "plain.npz") as stored:
        assert stored.files == ["relu", "name", "W0", "W1", "b0", "b1"] and stored["relu"].dtype == np.bool_
    with np.load(tmp_path / "sloped.npz") as stored:
        entries = dict(stored)
    assert entries["relu"].tolist() == [2, 2, 0]  # which releases before this one refuse
    for damage in ({"relu": np.array([2, 1, 0], np.uint8)}, {"relu": np.array([True, True, False])}):
        np.savez(tmp_path / "damaged.npz", **{**entries, **damage})
        with pytest.raises(InvalidNetworkError, match="slopes"):
            Network.load(tmp_path / "damaged.npz")
    del entries["slopes1"]
    np.savez(tmp_path / "damaged.npz", **entries)
    with pytest.raises(InvalidNetworkError, match="slopes"):
        Network.load(tmp_path / "damaged.npz")


def test_files_of_complexes_and_explorations_keep_slopes(tmp_path: Path) -> None:
    cells = complex_of_two_layers()
    cells.save(tmp_path / "cells.npz")
    assert CellComplex.load(tmp_path / "cells.npz").network == cells.network
    found = explore(cells.network, [0.1, 0.2], cells.domain, max_cells=3)
    found.save(tmp_path / "found.npz")
    assert Exploration.load(tmp_path / "found.npz").network == cells.network


@pytest.mark.kernels
@pytest.mark.small
@given(sloped(rational_networks(max_layers=2)))
@examples(60, 8)
def test_saved_lists_are_proven_by_the_independent_check(case: Case) -> None:
    found = enumerate_cells(*problem_of(case))
    with TemporaryDirectory() as folder:
        found.save(Path(folder) / "cells.regions")
        proof = prove(str(Path(folder) / "cells.regions"))
    assert proof.proven and proof.cells == found.n_cells
    assert found.network.digest() in proof.lines[0]


# The cells, by every engine


@pytest.mark.kernels
@pytest.mark.small
@given(KINDS)
@examples(90, 12)
def test_all_engines_agree_with_the_oracle(case: Case) -> None:
    network, box = problem_of(case)
    truth = solve_naively(network, box)
    for engine in ("planar" if box.dimension == 2 else "cells", "lp"):
        found = enumerate_cells(network, box, engine=engine)
        assert_same_combinatorics(found, truth)
        assert count_cells(network, box, engine=engine).cells == len(truth.cells)
        jumps = sorted(facet.jump for facet in truth.facets)
        assert_allclose(sorted(found.facets.jump[found.facets.interior]), jumps, rtol=1e-9)
        assert verify(found).ok
        number = {pattern: i for i, pattern in enumerate(pattern_tuples(found))}
        for cell in truth.cells:
            i = number[cell.pattern]
            volume = float(cell.volume)
            assert found.volumes[i] == pytest.approx(volume, rel=1e-9, abs=1e-14 * box.volume)
            J, c = found.affine_map(i)
            exact = np.array(cell.output, dtype=np.float64)
            assert_allclose(np.column_stack([c, J]), exact, rtol=1e-9, atol=1e-12 * (1 + np.abs(exact).max()))


@pytest.mark.kernels
@pytest.mark.small
@given(sloped(float_networks(max_dimension=1)), st.integers(0, 2**32 - 1))
@examples(60, 8)
def test_slices_agree_with_the_oracle(case: Case, seed: int) -> None:
    rng = np.random.default_rng(seed)
    weights = [rng.normal(size=(len(case.weights[0]), 6)), *case.weights[1:]]
    network = Network.from_arrays(weights, case.biases, case.relu, slopes=case.slopes)
    domain = Slice.through(*rng.uniform(-1, 1, size=(3, 6)), margin=0.5, clip=(-1, 1))
    assert_same_combinatorics(enumerate_cells(network, domain), solve_naively(network, domain))


@pytest.mark.kernels
@pytest.mark.small
@given(KINDS)
@examples(100, 10)
def test_maps_are_within_their_errors(case: Case) -> None:
    """The rows that a search holds for the last layer differ from the exact ones by at most their errors."""
    network, box = problem_of(case)
    net = compile_network(network, box, radius=0.0, certified=True, planar=box.dimension == 2)
    exact = ExactNetwork(network, box)
    search = VertexSearch(net, box, Mode.COUNT)
    last = max(layer for layer, relu in enumerate(network.relu) if relu)
    if last + 1 != net.n_layers:
        return
    offset, d = len(network.widths) - 1, box.dimension
    corners = [[Fraction(x) for x in corner] for corner in box.vertices.tolist()]
    for limit in range(min(count_cells(network, box).cells, 8)):
        search.start(WHOLE, cell_limit=limit)
        while search.step() == Status.PAUSED:
            pass
        memory, top = search.memory, int(search.memory.n_nodes) - 1
        if top < 0 or memory.nodes[top].layer != last:
            continue
        slot = memory.slots[memory.nodes[top].map_slot]
        pattern = _states(net, memory.patterns[top])
        for unit in range(network.widths[-1]):
            row = [Fraction(int(x), 1 << exact.shifts[last]) for x in exact.unit_row(pattern, offset, unit)]
            held = [Fraction(x) for x in slot[: d + 2, unit].tolist()]
            for corner in corners:
                gap = sum((a - b) * x for a, b, x in zip(held, row, [*corner, Fraction(1)], strict=False))
                assert abs(gap) <= held[d + 1]


def _states(net: Any, words: np.ndarray) -> bytes:
    states = np.unpackbits(words.view(np.uint8), bitorder="little")
    starts, units = net.word_start, net.arrays["unit_starts"]
    return b"".join(
        states[64 * starts[k] :][: units[k + 1] - units[k]].tobytes() for k in range(net.n_layers)
    )


@pytest.mark.kernels
@pytest.mark.parametrize("scale", [2.0**-90, 2.0**-30, 2.0**30, 2.0**90])
def test_slopes_of_any_scale_change_nothing(scale: float) -> None:
    plain, box = problem_of(random_case(2, (4, 4), seed=2))
    expected = set(pattern_tuples(enumerate_cells(with_units(plain, (0.5, 1.0)), box)))
    weights = [plain.weights[0], plain.weights[1] / scale, plain.weights[2] / scale]
    network = Network.from_arrays(
        weights, plain.biases, plain.relu, slopes=[(0.5 * scale, scale), (0.5 * scale, scale), None]
    )
    for engine in ("planar", "lp"):
        assert set(pattern_tuples(enumerate_cells(network, box, engine=engine))) == expected


# The same function, written otherwise


@pytest.mark.kernels
@pytest.mark.parametrize("slopes", [0.1, (-1.0, 1.0), (2.0, -3.0), (1.0, 0.0)])
@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_slopes_do_not_matter_to_the_cells_of_one_layer(dimension: int, slopes: Any) -> None:
    network, box = problem_of(random_case(dimension, (6,), seed=dimension))
    cells = enumerate_cells(network, box)
    assert set(pattern_tuples(enumerate_cells(with_units(network, slopes), box))) == set(
        pattern_tuples(cells)
    )


@pytest.mark.kernels
@pytest.mark.small
@given(float_networks(max_layers=2), st.sampled_from([0.25, -1.0, -0.5, 2.0]))
@examples(60, 8)
def test_a_leaky_unit_is_a_linear_one_and_a_relu(case: Case, slope: float) -> None:
    network, box = problem_of(case)
    leaky = with_units(network, slope)
    weights, biases, slopes = [np.array(network.weights[0])], [np.array(network.biases[0])], []
    for weight, bias in zip(network.weights[1:], network.biases[1:], strict=True):
        n = weights[-1].shape[0]
        weights[-1], biases[-1] = np.tile(weights[-1], (2, 1)), np.tile(biases[-1], 2)
        slopes.append(np.repeat([[1.0, 0.0], [1.0, 1.0]], n, axis=1))
        weights.append(np.hstack([weight * slope, weight * (1.0 - slope)]))
        biases.append(np.array(bias))
    written = Network.from_arrays(weights, biases, slopes=[*slopes, None])
    one, other = enumerate_cells(leaky, box), enumerate_cells(written, box)
    assert cutting_patterns(one) == cutting_patterns(other)
    at = other.locate(one.witnesses)
    for i in range(one.n_cells):
        for mine, same in zip(one.affine_map(i), other.affine_map(int(at[i])), strict=True):
            assert_allclose(mine, same, rtol=1e-9, atol=1e-9)


@pytest.mark.kernels
@pytest.mark.parametrize("engine", ["planar", "lp"])
def test_values_that_pass_through_cost_no_cells(engine: str) -> None:
    """A skip past a layer of units adds no cell: h + W relu(V h), with h carried by linear units."""
    rng = np.random.default_rng(4)
    V, W, b = rng.normal(size=(6, 2)), rng.normal(size=(2, 6)), rng.normal(size=6)
    box = Box([-1.0, -1.0], [1.0, 1.0])
    block = np.vstack([V, np.eye(2)]), np.append(b, [0.0, 0.0]), np.hstack([W, np.eye(2)])
    carried = np.array([[0.0] * 6 + [1.0] * 2, [1.0] * 8])
    residual = Network.from_arrays(
        [block[0], block[0] @ block[2], block[2]],
        [block[1], block[1], np.zeros(2)],
        slopes=[carried] * 2 + [None],
    )
    cells = enumerate_cells(residual, box, engine=engine)
    x = h = box.sample(50, rng)
    for _ in range(2):
        h = h + np.maximum(h @ V.T + b, 0.0) @ W.T
    assert_allclose(residual.forward(x), h)
    assert verify(cells).ok
    units = cells.facets.unit[cells.facets.interior]
    assert units.max() < 6  # no facet is that of a linear unit
    assert cells.unpacked_patterns()[:, ~residual.cutting].all()


@pytest.mark.kernels
def test_a_network_of_linear_units_is_one_cell() -> None:
    linear = with_units(random_network(0, (2, 5, 4, 1)), (0.3, 0.3))
    box = Box([-1.0, -1.0], [1.0, 1.0])
    for engine in ("planar", "lp"):
        cells = enumerate_cells(linear, box, engine=engine)
        assert cells.n_cells == 1 and verify(cells).ok and not cells.facets.interior.any()
    with pytest.raises(InvalidInputError, match="not linear"):
        explore(linear, [0.0, 0.0], box)
    assert locus_volume(cells).total == 0.0
    for estimator in (Coarea(0.1), CroftonLines(0.1), FiniteShell(0.1), CrossPolytope(0.1)):
        estimate = estimator.estimate(linear, UniformDensity(box), np.random.default_rng(0), 100, domain=box)
        assert estimate.mean == 0.0


@pytest.mark.kernels
@pytest.mark.parametrize("layers", [1, 2, 3, 6, 9])
@pytest.mark.parametrize("engine", ["cells", "lp"])
def test_sawtooth_of_absolute_values_has_two_to_the_layers_cells(layers: int, engine: str) -> None:
    """h -> 1 - |2 h - 1|, folded again and again: one unit a layer."""
    weights = [[[2.0]]] + [[[-2.0]]] * (layers - 1) + [[[-1.0]]]
    biases = [[-1.0]] + [[1.0]] * (layers - 1) + [[1.0]]
    network = Network.from_arrays(weights, biases, slopes=["abs"] * layers + [None])
    cells = enumerate_cells(network, Box([0.0], [1.0]), engine=engine)
    assert cells.n_cells == 2**layers
    assert set(cells.volumes) == {2.0**-layers}
    assert set(cells.facets.jump[cells.facets.interior]) == {2.0 ** (layers + 1)}


def test_absolute_values_fold_a_square_as_two_relus_do() -> None:
    """|x| in every coordinate, then lines: half the units, the same function."""
    lines = np.array([[1.0, 1.0], [1.0, -1.0], [2.0, 1.0]])
    offsets = np.array([-0.75, 0.125, -1.25])
    folded = Network.from_arrays(
        [np.eye(2), lines, np.ones((1, 3))], [np.zeros(2), offsets, [0.0]], slopes=["abs", None, None]
    )
    both = np.vstack([np.eye(2), -np.eye(2)])
    relus = Network.from_arrays(
        [both, lines @ np.hstack([np.eye(2), np.eye(2)]), np.ones((1, 3))], [np.zeros(4), offsets, [0.0]]
    )
    box = Box([-1.0, -1.0], [1.0, 1.0])
    quarter = count_cells(
        Network.from_arrays([lines, np.ones((1, 3))], [offsets, [0.0]]), Box([0, 0], [1, 1])
    )
    assert count_cells(folded, box).cells == count_cells(relus, box).cells == 4 * quarter.cells


@pytest.mark.kernels
@pytest.mark.small
@given(sloped(float_networks()), st.integers(-3, 3))
@examples(60, 8)
def test_positive_factors_of_units_change_nothing(case: Case, exponent: int) -> None:
    network, box = problem_of(case._replace(relu=[*case.relu[:-1], False], slopes=[*case.slopes[:-1], None]))
    factor = 2.0**exponent
    weights = [factor * network.weights[0], network.weights[1] / factor, *network.weights[2:]]
    biases = [factor * network.biases[0], *network.biases[1:]]
    scaled = Network.from_arrays(weights, biases, network.relu, slopes=network.slopes)
    found, same = enumerate_cells(network, box), enumerate_cells(scaled, box)
    assert pattern_tuples(found) == pattern_tuples(same)
    assert np.array_equal(found.facets.jump, same.facets.jump, equal_nan=True)


@pytest.mark.kernels
def test_turning_a_unit_around_flips_its_state_only() -> None:
    """s(z) = t(-z), where t has the slopes of s with both signs and sides exchanged."""
    network = sloped_network(5, (2, 5, 4, 1))
    turned = Network(
        (-network.weights[0], *network.weights[1:]),
        (-network.biases[0], *network.biases[1:]),
        network.relu,
        "",
        (-network.slopes[0][::-1], *network.slopes[1:]),
    )
    box = Box([-1.0, -1.0], [1.0, 1.0])
    flips = np.zeros(network.n_units, dtype=bool)
    flips[:5] = network.cutting[:5]
    found, other = (enumerate_cells(net, box) for net in (network, turned))
    flipped = {row.tobytes() for row in found.unpacked_patterns() ^ flips}
    assert flipped == {row.tobytes() for row in other.unpacked_patterns()}
    assert locus_volume(found).total == pytest.approx(locus_volume(other).total)


# What is computed from the cells


def test_sums_and_the_locus_are_those_of_the_oracle() -> None:
    cells = complex_of_two_layers()
    truth = solve_naively(cells.network, cells.domain)
    sums = sum_over_cells(cells, eps=1e-9)
    variation = sum(
        float(cell.volume) * np.linalg.norm([[float(x) for x in row[1:]] for row in cell.output])
        for cell in truth.cells
    )
    assert sums.total_variation == pytest.approx(variation / float(truth.volume))
    by_kind = {kind: locus_volume(cells, kind=kind) for kind in ("gradient", "activation")}
    assert by_kind["activation"].total == pytest.approx(sum(facet.volume for facet in truth.facets))
    bent = [facet.volume for facet in truth.facets if facet.squared_jump]
    assert by_kind["gradient"].total == pytest.approx(sum(bent))
    linear = ~cells.network.cutting
    assert linear.any() and not by_kind["activation"].by_unit[linear].any()


def test_the_lipschitz_constant_of_one_layer_is_that_of_its_weights() -> None:
    network = with_units(random_network(2, (2, 4, 3, 1)), (-2.0, 0.5))
    cells = enumerate_cells(network, Box([-1.0, -1.0], [1.0, 1.0]))
    last = cells.unpacked_patterns()[:, 4:]
    rest = [np.linalg.norm(network.weights[2] * np.where(on, 0.5, -2.0) @ network.weights[1]) for on in last]
    sums = sum_over_cells(cells, eps=0.01)
    assert_allclose(sums.lipschitz, [max(rest), np.linalg.norm(network.weights[2])])


def test_enclosures_contain_what_floats_say() -> None:
    cells = complex_of_two_layers()
    for volume, interval in zip(cells.volumes, volume_enclosures(cells), strict=True):
        low, high = bounds(interval)
        assert low * (1 - 1e-9) <= volume <= high * (1 + 1e-9)
    low, high = bounds(locus_enclosure(cells).total)
    assert low * (1 - 1e-9) <= locus_volume(cells).total <= high * (1 + 1e-9)


def test_six_definitions_of_absolute_values() -> None:
    """|x| + |y|: four cells, four maps; |x| - |x| written by two units: two cells and one map."""
    box = Box([-1.0, -1.0], [1.0, 1.0])
    cross = Network.from_arrays([np.eye(2), [[1.0, 1.0]]], [np.zeros(2), [0.0]], slopes=["abs", None])
    names = ("activation", "cell", "convex", "open", "closed", "affine")
    assert [int(count_regions(enumerate_cells(cross, box), name)) for name in names] == [4] * 6
    nothing = Network.from_arrays([[[1.0], [1.0]], [[1.0, -1.0]]], [[0.0, 0.0], [0.0]], slopes=["abs", None])
    line = enumerate_cells(nothing, Box([-1.0], [1.0]))
    assert [int(count_regions(line, name)) for name in names[1:]] == [2, 1, 1, 1, 1]


def test_regions_merge_where_the_oracle_says_that_maps_agree() -> None:
    cells = complex_of_two_layers()
    truth = solve_naively(cells.network, cells.domain)
    assert int(count_regions(cells, "affine")) == len({cell.output for cell in truth.cells})


def test_a_linear_unit_that_is_listed_as_inactive_is_noticed() -> None:
    cells = complex_of_two_layers()
    patterns = cells.patterns.copy()
    unit = int(np.flatnonzero(~cells.network.cutting)[0])
    patterns[0, unit >> 3] &= ~np.uint8(1 << (unit & 7))
    with pytest.raises(CertificateError, match="linear"):
        verify(replace(cells, patterns=patterns))


def test_halfspaces_are_those_of_units_that_cut() -> None:
    cells = complex_of_two_layers()
    every = cell_halfspaces(cells, 0, irredundant=False)
    flat = cells.network.unit_offsets[every.layer[every.unit >= 0]] + every.unit[every.unit >= 0]
    assert cells.network.cutting[flat].all()
    assert (every.A @ cells.witnesses[0] < every.b).all()


def test_pictures_of_classes_use_the_maps_of_the_cells() -> None:
    cells = complex_of_two_layers()
    [(_, _, A, c)] = output_maps(cells)
    for i in range(cells.n_cells):
        J, b = cells.affine_map(i)
        assert_allclose(A[i], J, rtol=1e-9, atol=1e-12)
        assert_allclose(c[i], b, rtol=1e-9, atol=1e-12)


# Around a point


@pytest.mark.parametrize("many", [False, True], ids=["dense programs", "programs in a box"])
@pytest.mark.parametrize("seed", [3, 6])
def test_exploring_finds_the_cells_of_the_enumeration(
    seed: int, many: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if many:
        monkeypatch.setattr(search_frame, "MOST_DIRECTIONS", 1)
    network, box = sloped_network(seed, (2, 6, 5, 2)), Box([-1.0, -1.0], [1.0, 1.0])
    cells = enumerate_cells(network, box)
    center = np.array([0.13, -0.21])
    found = explore(network, center, box, max_cells=None)
    assert found.status.name == "COMPLETE"
    assert {row.tobytes() for row in found.states()} == {row.tobytes() for row in cells.unpacked_patterns()}
    near = explore(network, center, box, max_cells=None, radius=0.4)
    assert {row.tobytes() for row in near.states()} <= {row.tobytes() for row in found.states()}
    assert np.all(np.diff(near.distances().values) >= -1e-9)


# Estimators, beside exact values


@pytest.mark.sweep(1)
@pytest.mark.parametrize("seed", [3, 8])
def test_estimates_are_near_the_exact_values(seed: int) -> None:
    network, box = sloped_network(seed, (2, 5, 4, 2)), Box([-1.0, -1.0], [1.0, 1.0])
    density = UniformDensity(box)
    for kind in ("gradient", "activation"):
        for sigma in (0.0, 0.3):
            rng = np.random.default_rng(seed)
            exact = exact_local_complexity(network, box, density, sigma, 30, rng, kind=kind)
            estimators: list[Any] = [CroftonLines(sigma, kind)]
            estimators += [Coarea(sigma, kind)] if sigma else [FiniteShell(0.01, 0.0, kind)]
            for estimator in estimators:
                estimate = estimator.estimate(network, density, np.random.default_rng(1), 3000, domain=box)
                assert abs(estimate.mean - exact.mean) < 4 * np.hypot(estimate.stderr, exact.stderr)
    exact = exact_value(CrossPolytope(0.3).target, network, box, density, np.random.default_rng(0), 100)
    estimate = CrossPolytope(0.3).estimate(network, density, np.random.default_rng(1), 3000, domain=box)
    assert estimate.mean < exact.mean + 4 * np.hypot(estimate.stderr, exact.stderr)


def test_leaky_units_have_the_local_complexity_of_relus_in_one_layer() -> None:
    """Written by two ReLUs each, with noise of their own, they would have twice that."""
    plain = random_network(3, (2, 6, 1))
    leaky, box = with_units(plain, 0.1), Box([-1.0, -1.0], [1.0, 1.0])
    density = UniformDensity(box)
    values = [
        exact_local_complexity(net, box, density, 0.2, 8, np.random.default_rng(0)).mean
        for net in (plain, leaky)
    ]
    assert values[0] == pytest.approx(values[1], rel=1e-12)
    mean, cov = [0.1, 0.2], 0.7
    closed = one_hidden_layer_local_complexity(leaky, mean, cov, 0.2)
    assert closed == pytest.approx(one_hidden_layer_local_complexity(plain, mean, cov, 0.2))
    estimate = Coarea(0.2).estimate(leaky, GaussianDensity(mean, cov), np.random.default_rng(0), 4000)
    assert abs(estimate.mean - closed) < 4 * estimate.stderr


def test_values_that_pass_through_get_no_noise() -> None:
    network = Network.from_arrays(
        [np.eye(2), [[1.0, 0.0], [1.0, 1.0]], [[1.0, 1.0]]],
        [[0.1, 0.2], [0.0, 0.3], [0.0]],
        slopes=["identity", None, None],
    )
    box = Box([-1.0, -1.0], [1.0, 1.0])
    direct = Network.from_arrays(network.weights, network.biases, [False, True, False])
    density = UniformDensity(box)
    one = Coarea(0.2).estimate(network, density, np.random.default_rng(0), 4000, domain=box)
    two = Coarea(0.2).estimate(direct, density, np.random.default_rng(0), 4000, domain=box)
    assert abs(one.mean - two.mean) < 4 * np.hypot(one.stderr, two.stderr)
    assert count_cells(network, box).cells == count_cells(direct, box).cells


@pytest.mark.sweep(1)
@pytest.mark.parametrize("estimator", [CroftonLines(), FiniteShell(0.05)], ids=lambda e: e.name)
def test_signs_within_rounding_are_those_of_exact_arithmetic(estimator: Any) -> None:
    """A ReLU whose values are far below the rounding of its terms, on values that pass through."""
    box = Box([-1.0, -1.0], [1.0, 1.0])
    network = Network.from_arrays(
        [[[1.0, 0.7], [3.0, 2.1]], [[0.75, -0.25]], [[1.0]]],
        [[0.0, 0.0], [0.0], [0.0]],
        slopes=[(0.1, 0.1), None, None],
    )
    shifted = Network(network.weights, ([0.1, 0.3], [0.0], [0.0]), network.relu, "", network.slopes)
    for net in (network, shifted):
        exactly = [Fraction(a) * 3 == Fraction(b) for a, b in net.weights[0].T.tolist()]
        assert exactly != [True, True]  # so the unit is not 0, and its zero set is where the oracle says
        truth = solve_naively(net, box)
        assert count_cells(net, box).cells == len(truth.cells)
        estimate = estimator.estimate(net, UniformDensity(box), np.random.default_rng(0), 2000, domain=box)
        expected = sum(facet.volume for facet in truth.facets) / 4.0
        assert abs(estimate.mean - expected) <= 4 * estimate.stderr + 1e-12


# The inequalities


def test_the_inequalities_refuse_linear_units() -> None:
    box = Box([-1.0, -1.0], [1.0, 1.0])
    network = Network.from_arrays([np.eye(2), [[1.0, 1.0]]], [[0, 0], [0]], slopes=[[[0, 1], [1, 1]], None])
    with pytest.raises(InvalidInputError, match="linear units"):
        check_inequalities(network, box, UniformDensity(box), 0.1, eps=0.1, rng=np.random.default_rng(0))
