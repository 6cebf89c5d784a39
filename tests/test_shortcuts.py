"""What makes counting fast may change no number: cells counted unmade, arrays reused.

Listing makes every cell, so it judges the count.
"""

from __future__ import annotations

import functools
import threading
from dataclasses import fields
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import problem_of, share_at_once
from strategies import (
    Case,
    examples,
    float_networks,
    nearly_parallel_networks,
    random_case,
    rational_networks,
)

from regions.complexes.cell_complex import CellComplex
from regions.domain import Box
from regions.enumeration import buffer_pool, compiled_network, threads
from regions.enumeration.enumerate import count_cells, enumerate_cells
from regions.enumeration.ledger import Outcome
from regions.enumeration.search import VOLUME_UNIT, Signs, TaskResult
from regions.enumeration.vertices import vertex_search
from regions.kernels.memory.states import Mode
from regions.network.relu_network import Network

pytestmark = pytest.mark.kernels


def medium(widths: tuple[int, ...], seed: int = 0, dimension: int = 2) -> tuple[Network, Box]:
    return problem_of(random_case(dimension, widths, seed))


def assert_counted_as_made(network: Network, box: Box) -> None:
    """The search that lists makes every cell; its facets need not fit together at the error bounds."""
    radius, planar = 2.0**-44 * float(np.abs(box.vertices).max()), box.dimension == 2
    for arithmetic in ("float", "certified"):
        certified = arithmetic == "certified"
        net = compiled_network.compile_network(
            network, box, radius=radius, certified=certified, planar=planar
        )
        make = functools.partial(vertex_search.VertexSearch, net, box)
        made, counted, measured = (
            sum_of(threads.run_search(make, mode, max_cells=None, workers=1, progress=None))
            for mode in (Mode.COLLECT, Mode.COUNT, Mode.MEASURE)
        )
        assert made.complete and made.cells == sum(len(part.volume) for part in made.parts)
        for block in (counted, measured):
            assert block.complete and block.cells == made.cells
        # a count decides fewer signs than cells have, and the same ones whether it measures or not
        assert counted.certificate == measured.certificate
        assert certified or counted.certificate.exact_signs <= made.certificate.exact_signs
        assert measured.volume / 2**VOLUME_UNIT == pytest.approx(box.volume, rel=1e-12)
        engine = "planar" if planar else "cells"
        assert count_cells(network, box, engine=engine, arithmetic=arithmetic).cells == made.cells


def sum_of(outcome: Outcome) -> TaskResult:
    """All results of an outcome as one."""
    results = outcome.results
    return TaskResult(
        cells=outcome.cells,
        volume=sum(result.volume for result in results),
        certificate=Signs(*map(sum, zip(*(result.certificate for result in results), strict=True))),
        parts=[part for result in results for part in result.parts],
        complete=outcome.complete,
    )


def in_the_plane(case: Case) -> Case:
    """The same network of the first two coordinates, or with one that nothing depends on."""
    first = np.hstack([case.weights[0], np.zeros((len(case.weights[0]), 1))])[:, :2]
    return case._replace(
        weights=[first, *case.weights[1:]], low=[*case.low, -1.0][:2], high=[*case.high, 1.0][:2]
    )


@pytest.mark.small
@given(rational_networks(max_width=6))
@examples(200, 25)
def test_degenerate_last_layers_are_counted_as_they_are_made(case: Case) -> None:
    assert_counted_as_made(*problem_of(in_the_plane(case)))


@pytest.mark.small
@given(float_networks(max_width=8))
@examples(200, 15)
def test_generic_last_layers_are_counted_as_they_are_made(case: Case) -> None:
    assert_counted_as_made(*problem_of(in_the_plane(case)))


@pytest.mark.small
@given(rational_networks(max_dimension=4))
@examples(200, 10)
def test_degenerate_cells_of_polytopes_are_counted_as_they_are_made(case: Case) -> None:
    """Hyperplanes that coincide, are parallel, or meet in a vertex, an edge or a face of one another."""
    assert_counted_as_made(*problem_of(case))


@pytest.mark.small
@given(nearly_parallel_networks())
@examples(100, 5)
def test_cells_far_below_rounding_are_counted_as_they_are_made(case: Case) -> None:
    network, box = problem_of(case)
    counted = count_cells(network, box, engine="cells" if box.dimension != 2 else "planar")
    assert counted.cells == enumerate_cells(network, box).n_cells


@pytest.mark.small
@pytest.mark.parametrize(("dimension", "widths"), [(1, (9, 9)), (3, (7, 6)), (4, (5, 5)), (5, (5, 3))])
def test_generic_cells_of_polytopes_are_counted_as_they_are_made(
    dimension: int, widths: tuple[int, ...]
) -> None:
    assert_counted_as_made(*medium(widths, dimension=dimension))


@pytest.mark.parametrize(("d", "planes"), [(1, 60), (3, 28), (3, 29), (4, 17), (5, 12), (6, 9)])
def test_planes_in_general_position_make_as_many_cells_as_they_have_flats(d: int, planes: int) -> None:
    """Buck 1943: the sum of the binomials; up to some number of planes they are counted in one go."""
    rng = np.random.default_rng(planes)
    normals = rng.normal(size=(planes, d))
    network = Network.from_arrays(
        [normals, np.ones((1, planes))], [0.01 * rng.normal(size=planes), np.zeros(1)]
    )
    everything = sum(comb(planes, k) for k in range(d + 1))
    assert count_cells(network, Box([-1e6] * d, [1e6] * d), engine="cells").cells == everything


@given(
    st.integers(0, 2**32 - 1),
    st.integers(2, 9),
    st.integers(0, 2),
    st.sampled_from([0.0, 1e-17, 1e-16, 1e-15, 1e-14, 1e-13, 1e-12, 1e-11, 1e-9]),
)
@examples(120, 12)
def test_lines_almost_through_one_point_are_counted_as_they_are_made(
    seed: int, lines: int, parallel: int, off: float
) -> None:
    """Around the error bounds, where a vertex reads as lying on a line or not."""
    rng = np.random.default_rng(seed)
    normals = rng.normal(size=(lines, 2))
    normals[:parallel] = normals[-1] + off * rng.normal(size=(parallel, 2))
    point = rng.uniform(-0.9, 0.9, size=2)
    if rng.random() < 0.5:
        point[0] = 1.0  # on the boundary of the box
    offsets = -normals @ point + off * rng.normal(size=lines)
    single = Network.from_arrays([normals, np.ones((1, lines))], [offsets, np.zeros(1)])
    box = Box([-1, -1], [1, 1])
    assert_counted_as_made(single, box)
    # the same lines behind a layer that folds the square along a diagonal
    fold = np.array([[1.0, -1.0], [-1.0, 1.0], [1.0, 1.0], [-1.0, -1.0]])
    folded = [fold, normals @ np.array([[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, -1.0]])]
    assert_counted_as_made(
        Network.from_arrays([*folded, np.ones((1, lines))], [np.zeros(4), offsets, np.zeros(1)]), box
    )


@pytest.mark.parametrize("lines", [63, 64, 65, 130])
def test_more_lines_than_a_word_has_bits_are_counted(lines: int) -> None:
    angles = np.pi * (np.arange(lines) + 0.25) / lines
    normals = np.column_stack([np.cos(angles), np.sin(angles)])
    offsets = 1e-2 * np.random.default_rng(lines).normal(size=lines)
    network = Network.from_arrays([normals, np.ones((1, lines))], [offsets, np.zeros(1)])
    everything = 1 + lines + comb(lines, 2)
    assert count_cells(network, Box([-1e4, -1e4], [1e4, 1e4])).cells == everything


@pytest.mark.parametrize("widths", [(9,), (8, 7), (5, 6, 5)])
def test_counting_stops_at_every_limit(widths: tuple[int, ...]) -> None:
    network, box = medium(widths)
    total = enumerate_cells(network, box).n_cells
    for limit in range(1, total + 2):
        counted = count_cells(network, box, max_cells=limit, workers=1)
        listed = enumerate_cells(network, box, max_cells=limit, workers=1)
        assert counted.cells == listed.n_cells == min(limit, total)
        assert counted.status is listed.status


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_subtrees_that_end_in_the_last_layer_are_counted(
    workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, box = medium((6, 24))
    total = enumerate_cells(network, box).n_cells
    share_at_once(monkeypatch)
    assert count_cells(network, box, workers=workers).cells == total


@pytest.mark.parametrize(
    ("dimension", "widths"),
    [(2, (12,)), (2, (16, 16)), (2, (12, 12, 12)), (3, (9,)), (3, (8, 8)), (4, (6, 6))],
)
def test_small_stacks_change_nothing(
    dimension: int, widths: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    network, box = medium(widths, dimension=dimension)
    expected = [count_cells(network, box).cells, enumerate_cells(network, box).n_cells]
    tiny = functools.partial(buffer_pool.Sizes, nodes=4, slots=4, vertices=8, ring=32, candidates=8, events=8)
    monkeypatch.setattr(vertex_search, "Sizes", tiny)
    monkeypatch.setattr(vertex_search, "pool", buffer_pool.BufferPool())
    assert [count_cells(network, box).cells, enumerate_cells(network, box).n_cells] == expected


def bytes_of(found: CellComplex) -> dict[str, bytes]:
    arrays = {field.name: getattr(found, field.name) for field in fields(found)}
    arrays |= {"facets." + field.name: getattr(found.facets, field.name) for field in fields(found.facets)}
    return {name: array.tobytes() for name, array in arrays.items() if isinstance(array, np.ndarray)}


def without_reuse(network: Network, box: Box, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    with monkeypatch.context() as patch:
        patch.setattr(vertex_search, "pool", buffer_pool.BufferPool())
        patch.setattr(compiled_network, "recent", buffer_pool.Recent())
        return bytes_of(enumerate_cells(network, box, workers=1))


@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_reused_arrays_give_the_same_bytes(dimension: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks of one shape take turns; the results stay what they were."""
    problems = [medium((12, 9, 7), seed, dimension) for seed in range(3)]
    expected = [without_reuse(*each, monkeypatch) for each in problems]
    kept = [enumerate_cells(*each, workers=1) for _ in range(3) for each in problems]
    cells = [found.n_cells for found in kept[:3]]
    for _ in range(2):
        assert [count_cells(*each, workers=1, max_cells=5).cells for each in problems] == [5] * 3
        assert [enumerate_cells(*each, workers=1, max_cells=5).n_cells for each in problems] == [5] * 3
        assert [count_cells(*each, workers=1).cells for each in problems] == cells
    assert [bytes_of(found) for found in kept] == expected * 3
    assert [bytes_of(enumerate_cells(*each, workers=1)) for each in problems] == expected


def test_threads_do_not_share_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    problems = [medium((14, 12), seed) for seed in range(2)]
    expected = [without_reuse(*each, monkeypatch) for each in problems]
    wrong: list[int] = []

    def repeat(k: int) -> None:
        for _ in range(30):
            if bytes_of(enumerate_cells(*problems[k], workers=1)) != expected[k]:
                wrong.append(k)  # noqa: PERF401

    threads = [threading.Thread(target=repeat, args=(k,)) for k in (0, 1, 0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_search_that_failed_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    network, box = medium((16, 16, 16))
    expected = without_reuse(network, box, monkeypatch)

    def fail(cells: int, done: float) -> None:
        raise ArithmeticError

    with monkeypatch.context() as patch:
        share_at_once(patch)
        patch.setattr(threads, "SECONDS_BETWEEN_REPORTS", 0.0)
        for workers in (1, 2):
            with pytest.raises(ArithmeticError):
                enumerate_cells(network, box, workers=workers, progress=fail)
    assert bytes_of(enumerate_cells(network, box, workers=1)) == expected


@pytest.mark.small
def test_what_is_remembered_of_a_network_dies_with_it() -> None:
    recent: buffer_pool.Recent[str] = buffer_pool.Recent()
    network, box = medium((3,))
    recent.keep(network, box, 1, "made", 10)
    assert recent.find(network, box, 1) == "made"
    assert recent.find(network, box, 2) is None and recent.find(medium((3,))[0], box, 1) is None
    del network
    other, _ = medium((4,))
    recent.keep(other, box, 1, "other", 10)
    assert len(recent.entries) == 1
    recent.keep(other, box, 2, "large", buffer_pool.LARGEST_KEPT + 1)
    assert recent.find(other, box, 2) is None
