"""Laws of the breadth-first search over facets: the same cells and neighbours as exact brute force."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from judging import assert_same_combinatorics, pattern_tuples, solve_naively
from networks import network_of, network_on_box, problem_of
from strategies import Case, examples, nearly_parallel_networks, random_case, rational_networks

from regions import (
    Box,
    CellComplex,
    Network,
    Segment,
    Slice,
    adjacency_graph,
    count_cells,
    enumerate_cells,
    locus_volume,
    sum_over_cells,
    to_scipy_sparse,
    verify,
)
from regions.complexes import Tolerances
from regions.enumeration.compiled_network import CompiledNetwork, compile_network
from regions.enumeration.limits import Stop
from regions.enumeration.programs.breadth_first import Listing, list_cells
from regions.enumeration.programs.exact_sides import ExactSides
from regions.enumeration.programs.facet_finder import FacetFinder
from regions.enumeration.programs.program_complex import (
    Measured,
    compare_complexes,
    measure_by_vertices,
    neighbour_pairs,
    packed_patterns,
)
from regions.errors import CertificateError, InvalidDomainError, InvalidInputError

pytestmark = pytest.mark.kernels


@pytest.mark.small
@given(rational_networks())
@examples(60, 6)
def test_degenerate_networks_come_out_right(case: Case) -> None:
    network, box = problem_of(case)
    truth = solve_naively(network, box)
    assert_same_combinatorics(enumerate_cells(network, box, engine="lp", volumes=False), truth)


@given(nearly_parallel_networks())
@examples(60, 6)
def test_nearly_parallel_units_come_out_right(case: Case) -> None:
    """Cells that hold no float at all are listed, measured by vertices, and have the right neighbours."""
    network, box = problem_of(case)
    truth = solve_naively(network, box)
    assert_same_combinatorics(enumerate_cells(network, box, engine="lp"), truth)


@pytest.mark.parametrize(("dimension", "widths"), [(1, (9, 9)), (2, (10, 10)), (3, (8, 6)), (4, (7, 4))])
def test_it_agrees_with_the_vertices(dimension: int, widths: tuple[int, ...]) -> None:
    network, box = network_on_box(dimension, widths, seed=3)
    both = enumerate_cells(network, box, engine="both")
    by_programs = enumerate_cells(network, box, engine="lp")
    assert "agree" in both.engine_reason and both.n_cells == by_programs.n_cells
    assert by_programs.volume_sum == pytest.approx(box.volume, rel=1e-12)
    assert locus_volume(by_programs).total == pytest.approx(locus_volume(both).total, rel=1e-9)
    assert verify(by_programs).ok


def test_planes_and_segments_in_a_large_input_space() -> None:
    rng = np.random.default_rng(5)
    network = network_of(random_case(30, (12, 8), seed=1))
    for domain in (
        Slice.through(*rng.uniform(-1, 1, size=(3, 30)), margin=0.5),
        Segment(rng.normal(size=30), rng.normal(size=30)),
    ):
        assert "agree" in enumerate_cells(network, domain, engine="both").engine_reason


@pytest.mark.small
def test_the_number_of_threads_changes_nothing() -> None:
    network, box = network_on_box(3, (6, 5), seed=0)
    alone, three = (enumerate_cells(network, box, engine="lp", volumes=False, workers=n) for n in (1, 3))
    assert np.array_equal(alone.patterns, three.patterns)
    assert np.array_equal(alone.witnesses, three.witnesses)
    for name in ("cell_a", "cell_b", "side", "layer", "unit", "place", "jump"):
        assert np.array_equal(getattr(alone.facets, name), getattr(three.facets, name), equal_nan=True)


def test_witnesses_have_the_patterns_of_their_cells() -> None:
    network, box = network_on_box(4, (7, 5), seed=2)
    cells = enumerate_cells(network, box, engine="lp", volumes=False)
    assert np.array_equal(network.activation_pattern(cells.witnesses), cells.unpacked_patterns())


@pytest.mark.parametrize(("dimension", "widths"), [(2, (7, 6)), (4, (7, 5)), (9, (4, 3))])
def test_witnesses_of_facets_are_inside_them(
    dimension: int, widths: tuple[int, ...], tmp_path: object
) -> None:
    """On the facet's hyperplane, and on the right side of all others, by more than rounding."""
    network, box = network_on_box(dimension, widths, seed=6)
    cells = enumerate_cells(network, box, engine="lp")
    table = cells.facets
    assert table.witness.shape == (len(table), dimension) and np.isfinite(table.witness).all()
    values = np.concatenate(
        [z.reshape(len(table), -1) for z in network.pre_activations(table.witness)], axis=1
    )
    flat = network.unit_offsets[np.maximum(table.layer, 0)] + table.unit
    inner = np.flatnonzero(table.side < 0)
    assert np.abs(values[inner, flat[inner]]).max() < 1e-12
    values[inner, flat[inner]] = np.inf
    assert np.abs(values).min() > 1e-12
    states = cells.unpacked_patterns()[table.cell_a]
    states[inner, flat[inner]] = True
    assert np.array_equal(values > 0.0, states)
    A, b = box.halfspaces
    slacks = b - table.witness @ A.T
    sides = np.flatnonzero(table.side >= 0)
    assert np.abs(slacks[sides, table.side[sides]]).max() < 1e-12 and slacks.min() > -1e-12
    cells.save(tmp_path / "cells")
    assert np.array_equal(CellComplex.load(tmp_path / "cells").facets.witness, table.witness)


def test_a_truncated_list_is_a_prefix_and_says_so() -> None:
    network, box = network_on_box(3, (8, 6), seed=1)
    whole = enumerate_cells(network, box, engine="lp")
    part = enumerate_cells(network, box, engine="lp", max_cells=20)
    assert part.status.name == "TRUNCATED" and part.n_cells == 20 < whole.n_cells
    assert np.array_equal(part.patterns, whole.patterns[:20])
    assert np.any(part.facets.cell_b == -2) and not np.any(whole.facets.cell_b == -2)
    without = enumerate_cells(network, box, engine="lp", max_cells=20, volumes=False)
    assert np.count_nonzero(without.facets.cell_b == -2) == np.count_nonzero(part.facets.cell_b == -2)
    with pytest.raises(InvalidInputError, match="TRUNCATED"):
        compare_complexes(part, whole)


@pytest.mark.parametrize("volumes", [None, False])
def test_ctrl_c_keeps_what_was_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object, volumes: bool | None
) -> None:
    """Interrupted in the first, then in a later step: what is listed is a valid TRUNCATED complex."""
    network, box = network_on_box(3, (8, 6), seed=1)
    whole = enumerate_cells(network, box, engine="lp", workers=1)
    real, calls, allowed = FacetFinder.find, [0], [0]

    def interrupt(self: FacetFinder, *words: object) -> object:
        calls[0] += 1
        if calls[0] > allowed[0]:
            raise KeyboardInterrupt
        return real(self, *words)

    monkeypatch.setattr(FacetFinder, "find", interrupt)
    for allowed[0] in (0, 100):
        calls[0] = 0
        found = enumerate_cells(network, box, engine="lp", workers=1, volumes=volumes)
        assert found.status.name == "TRUNCATED" and found.n_cells <= allowed[0]
        assert np.array_equal(found.patterns, whole.patterns[: found.n_cells])
        found.save(tmp_path / "part")
        assert CellComplex.load(tmp_path / "part").n_cells == found.n_cells
    assert found.n_cells >= 64


def test_ten_dimensions_without_volumes(tmp_path: object) -> None:
    network, box = network_on_box(10, (5, 4), seed=0)
    cells = enumerate_cells(network, box, engine="lp")
    assert cells.volume_kind == "none" and np.isnan(cells.volumes).all()
    assert cells.n_cells == count_cells(network, box, engine="lp").cells
    assert cells.certificate.proven
    graph = adjacency_graph(cells)
    assert graph.number_of_nodes() == cells.n_cells and "volume" not in graph.nodes[0]
    assert to_scipy_sparse(cells, weight="jump").shape == (cells.n_cells,) * 2
    for need in (locus_volume, lambda c: sum_over_cells(c, eps=0.1), to_scipy_sparse):
        with pytest.raises(InvalidInputError, match="volume"):
            need(cells)
    cells.save(tmp_path / "cells")
    assert CellComplex.load(tmp_path / "cells").volume_kind == "none"


def test_sampled_volumes_are_right_within_their_errors() -> None:
    """Where vertices could tell, sampled volumes are compared with theirs."""
    network, box = network_on_box(3, (5, 3), seed=4)
    exact = enumerate_cells(network, box, engine="lp")
    sampled = enumerate_cells(network, box, engine="lp", volumes=np.random.default_rng(0))
    assert sampled.volume_kind == "sampled" and np.array_equal(sampled.patterns, exact.patterns)
    z = (sampled.volumes - exact.volumes) / sampled.volume_errors
    assert np.abs(z).max() < 4.5 and 0.7 < z.std() < 1.3
    many, wide = network_on_box(9, (2,), seed=0)
    with pytest.raises(InvalidInputError, match="give a numpy Generator"):
        enumerate_cells(many, wide, engine="lp", volumes=True)


def test_engines_that_differ_are_refused() -> None:
    network, box = network_on_box(2, (6,), seed=0)
    whole = enumerate_cells(network, box)
    fewer = replace(
        enumerate_cells(network, box, engine="lp"),
        patterns=np.vstack([whole.patterns[1:], whole.patterns[1:2]]),
    )
    with pytest.raises(CertificateError, match="disagree on 1 cells"):
        compare_complexes(whole, fewer)


def test_a_facet_seen_from_one_side_is_refused() -> None:
    network, box = network_on_box(2, (6,), seed=0)
    net = compile_network(network, box, radius=0.0, certified=True, planar=False, vertices=False)
    listing = list_cells(net, box, max_cells=None, workers=1, progress=None)
    assert len(neighbour_pairs(listing)) == int(enumerate_cells(network, box).facets.interior.sum())
    hidden = next(k for k, states in enumerate(listing.facets[0].neighbours) if states is not None)
    listing.facets[0].neighbours[hidden] = None
    with pytest.raises(CertificateError, match="one side"):
        neighbour_pairs(listing)


def measured_by_vertices(listing: Listing, net: CompiledNetwork, box: Box) -> Measured | None:
    packed = packed_patterns(listing, net.network)
    return measure_by_vertices(listing, packed, net, box, Tolerances(vertex_radius=2.0**-44), Stop())


@pytest.mark.parametrize(("dimension", "widths"), [(1, (5, 4)), (2, (6, 5)), (3, (6, 3))])
def test_all_cells_are_measured_alike_at_once_and_one_by_one(dimension: int, widths: tuple[int, ...]) -> None:
    network, box = network_on_box(dimension, widths, seed=2)
    net = compile_network(network, box, radius=2.0**-44, certified=True, planar=False)
    listing = list_cells(net, box, max_cells=None, workers=1, progress=None)
    at_once = measure_by_vertices(
        listing, packed_patterns(listing, network), net, box, Tolerances(vertex_radius=2.0**-44), Stop()
    )
    listing.complete = False
    one_by_one = measure_by_vertices(
        listing, packed_patterns(listing, network), net, box, Tolerances(vertex_radius=2.0**-44), Stop()
    )
    assert at_once is not None and one_by_one is not None
    for name in ("volumes", "centroids", "n_vertices", "n_facets"):
        np.testing.assert_array_equal(getattr(at_once, name), getattr(one_by_one, name))
    for name in ("cell_a", "cell_b", "side", "layer", "unit", "volume", "jump", "place"):
        np.testing.assert_array_equal(getattr(at_once.facets, name), getattr(one_by_one.facets, name))


def test_a_listing_that_lacks_a_cell_is_refused() -> None:
    network, box = network_on_box(2, (6,), seed=0)
    net = compile_network(network, box, radius=2.0**-44, certified=True, planar=False)
    listing = list_cells(net, box, max_cells=None, workers=1, progress=None)
    for part in (listing.states, listing.witnesses, listing.facets):
        part.pop()
    with pytest.raises(CertificateError, match="not the same ones"):
        measure_by_vertices(
            listing, packed_patterns(listing, network), net, box, Tolerances(vertex_radius=2.0**-44), Stop()
        )


@pytest.mark.small
@given(rational_networks(max_dimension=2, max_layers=2, max_width=3))
@examples(40, 5)
def test_rays_and_programs_find_the_facets_of_rational_arithmetic(case: Case) -> None:
    network, box = problem_of(case)
    net = compile_network(network, box, radius=0.0, certified=True, planar=False, vertices=False)
    finder, oracle = FacetFinder(net, box), ExactSides(network, box)
    listing = list_cells(net, box, max_cells=12, workers=1, progress=None)
    for states, witness in zip(listing.states, listing.witnesses, strict=True):
        found, exact = finder.find(states, witness), oracle.facets(states, witness)
        assert dict(zip(found.labels, found.neighbours, strict=True)) == dict(
            zip(exact.labels, exact.neighbours, strict=True)
        )


def test_duplicate_units_flip_together() -> None:
    """x and 2 x have one zero set: its facet has the lower unit's name, and both states change."""
    network = Network.from_arrays([[[1.0, 0.0], [2.0, 0.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.0]])
    cells = enumerate_cells(network, Box([-1.0, -1.0], [1.0, 1.0]), engine="lp")
    assert sorted(pattern_tuples(cells)) == [(False, False), (True, True)]
    inner = cells.facets.interior
    assert cells.facets.unit[inner].tolist() == [0]
    assert cells.certificate.exact_signs > 0


def test_a_point_on_a_border_is_in_no_cell() -> None:
    network, box = Network.from_arrays([[[3.0]], [[1.0]]], [[-1.0], [0.0]]), Box([-1.0], [1.0])
    oracle = ExactSides(network, box)
    assert oracle.pattern_at([Fraction(1, 3)]) is None
    assert oracle.pattern_at([Fraction(1, 3) + Fraction(1, 10**30)]) == b"\1"


def test_wrong_use_says_what_to_do() -> None:
    network, box = network_on_box(2, (4,), seed=0)
    with pytest.raises(InvalidInputError, match="engine 'lp'"):
        enumerate_cells(network, box, volumes=False)
    with pytest.raises(InvalidInputError, match="check_volumes"):
        count_cells(network, box, engine="lp", check_volumes=True)
    many = network_of(random_case(51, (2,), seed=0))
    with pytest.raises(InvalidDomainError, match="1 to 50"):
        count_cells(many, Box([-1.0] * 51, [1.0] * 51), engine="lp")


def test_float_arithmetic_agrees_in_general_position() -> None:
    network, box = network_on_box(3, (8, 6), seed=7)
    certified, floats = (
        enumerate_cells(network, box, engine="lp", arithmetic=a) for a in ("certified", "float")
    )
    assert set(pattern_tuples(certified)) == set(pattern_tuples(floats))
    assert not floats.certificate.proven
