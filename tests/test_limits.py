"""Laws of what ends a search early: the number of cells, the time, Ctrl-C; and what it says then."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from networks import network_on_box, share_at_once
from strategies import Case, examples, float_networks, rational_networks

from regions import Box, CellComplex, Network, count_cells, enumerate_cells
from regions.complexes import Completeness
from regions.enumeration import enumerate as enumeration
from regions.enumeration import limits, threads
from regions.enumeration.limits import Stop, interrupts_raised_after
from regions.errors import InvalidInputError


def engines(dimension: int) -> list[str]:
    return ["planar", "cells", "lp"] if dimension == 2 else ["cells", "lp"]


def assert_limits_keep_as_many_cells_as_they_allow(network: Network, box: Box) -> None:
    total = count_cells(network, box, workers=1).cells
    for limit in range(1, total + 2):
        expected = min(limit, total), Completeness.TRUNCATED if limit < total else Completeness.COMPLETE
        for engine in engines(box.dimension):
            counted = count_cells(network, box, engine=engine, max_cells=limit, workers=1)
            listed = enumerate_cells(network, box, engine=engine, max_cells=limit, workers=1)
            assert (counted.cells, counted.status) == expected, (engine, limit)
            assert (listed.n_cells, listed.status) == expected, (engine, limit)


@pytest.mark.kernels
@examples(12, 4)
@given(case=rational_networks() | float_networks(2, 2, 3))
def test_every_limit_means_the_same_to_all_engines(case: Case) -> None:
    network = Network.from_arrays(case.weights, case.biases, case.relu)
    assert_limits_keep_as_many_cells_as_they_allow(network, Box(case.low, case.high))


@pytest.mark.kernels
@pytest.mark.small
def test_a_limit_that_the_last_thin_subtree_fills_leaves_nothing_out() -> None:
    """The zeros 1/3 of two units are one real number and two floats: a cell between them holds no float."""
    network = Network.from_arrays([[[1.0], [3.0]], [[1.0, 1.0]]], [[-1 / 3, -1.0], [0.0]])
    box = Box([0.0], [1.0])
    assert count_cells(network, box, engine="both", max_cells=3).cells == 3
    assert_limits_keep_as_many_cells_as_they_allow(network, box)


@pytest.mark.kernels
@pytest.mark.parametrize("steps", [2, pytest.param(5, marks=pytest.mark.slow)])
def test_thin_subtrees_of_many_cells_are_cut_where_the_limit_says(steps: int) -> None:
    """Parallel lines so close that no float is between them, in the first units and in the last."""
    close = np.nextafter(1.0, 2.0)
    first = [[3.0, 1.0]] + [[3.0 * close, 1.0]] + [[1.0, k / steps] for k in range(steps)]
    network = Network.from_arrays(
        [first, np.ones((1, len(first)))], [[-1.0, -close, *(-1 / 3 for _ in range(steps))], [0.0]]
    )
    assert_limits_keep_as_many_cells_as_they_allow(network, Box([0.0, -0.5], [1.0, 0.5]))


@pytest.mark.parametrize("value", [0, -1.0, float("nan"), float("inf"), True, "3", [1.0]])
def test_time_is_a_number_above_zero(value: Any) -> None:
    network, box = network_on_box(2, (3,))
    for function in (count_cells, enumerate_cells):
        with pytest.raises(InvalidInputError, match="max_seconds="):
            function(network, box, max_seconds=value)
        with pytest.raises(TypeError, match=f"{function.__name__}.*'max_second'"):
            function(network, box, max_second=1.0)  # type: ignore[call-arg]


LARGE = [("planar", 2, (900, 900, 900)), ("cells", 3, (400, 400)), ("lp", 4, (200, 200))]


@pytest.mark.sweep(2, 4)
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(("engine", "dimension", "widths"), LARGE)
def test_time_ends_a_search_and_what_was_found_is_kept(
    engine: str, dimension: int, widths: tuple[int, ...], workers: int
) -> None:
    network, box = network_on_box(dimension, widths)
    options: dict[str, Any] = {"engine": engine, "workers": workers}
    count_cells(network, box, max_cells=100, **options)  # makes the arrays
    start = time.perf_counter()
    counted = count_cells(network, box, max_seconds=0.3, **options)
    listed = enumerate_cells(network, box, max_seconds=0.3, **options)
    assert time.perf_counter() - start < 20.0  # it would take minutes; the machine may be busy
    for found, cells in ((counted, counted.cells), (listed, listed.n_cells)):
        assert cells > 0 and found.status is Completeness.TRUNCATED
        assert found.certificate.stopped_by == "max_seconds" and not found.certificate.proven
        assert "stopped by max_seconds" in found.certificate.statement
        assert found.seconds > 0.2
    active = network.activation_pattern(box.to_input(listed.witnesses))
    assert np.array_equal(active[:100], listed.unpacked_patterns()[:100])


@pytest.mark.parametrize("engine", ["cells", "lp", "both"])
def test_time_enough_changes_nothing(engine: str) -> None:
    network, box = network_on_box(3, (6, 5))
    plain, timed = (
        enumerate_cells(network, box, engine=engine, **more) for more in ({}, {"max_seconds": 600})
    )
    assert timed.status is Completeness.COMPLETE and timed.certificate.stopped_by == ""
    assert np.array_equal(plain.patterns, timed.patterns)
    assert plain.engine_reason == timed.engine_reason


def test_two_engines_are_compared_only_if_time_was_enough() -> None:
    network, box = network_on_box(3, (300, 300))
    found = count_cells(network, box, engine="both", max_seconds=0.2)
    assert found.status is Completeness.TRUNCATED
    assert "nothing is compared" in found.engine_reason


@pytest.mark.parametrize("engine", ["cells", "lp"])
def test_an_interrupt_while_threads_share_the_tree_keeps_what_was_found(
    monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    network, box = network_on_box(3, (300, 300))

    def interrupt(*words: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(threads._Crew, "_look", interrupt)
    found = count_cells(network, box, engine=engine, workers=2)
    assert found.cells > 10 and found.certificate.stopped_by == "interrupt"


@pytest.fixture
def timed_interrupt(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets a time at which Ctrl-C comes, counted from when a search begins; none comes after it has ended."""
    delays: list[float] = []
    enter, leave = Stop.__enter__, Stop.__exit__

    def begin(self: Stop) -> Stop:
        entered = enter(self)
        if delays:
            signal.setitimer(signal.ITIMER_REAL, delays.pop())
        return entered

    def end(self: Stop, *words: Any) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        leave(self, *words)

    monkeypatch.setattr(Stop, "__enter__", begin)
    monkeypatch.setattr(Stop, "__exit__", end)
    monkeypatch.setattr(limits, "IMPATIENT_SECONDS", 0.0)  # a late interrupt is never raised
    before = signal.signal(signal.SIGALRM, lambda number, frame: os.kill(os.getpid(), signal.SIGINT))
    yield delays.append
    signal.setitimer(signal.ITIMER_REAL, 0.0)
    signal.signal(signal.SIGALRM, before)


LISTED: list[tuple[Callable[..., Any], dict[str, Any]]] = [
    (enumerate_cells, {"engine": "cells"}),
    (enumerate_cells, {"engine": "lp"}),
    (enumerate_cells, {"engine": "lp", "volumes": False}),
    (count_cells, {"engine": "cells", "check_volumes": True}),
    (count_cells, {"engine": "lp"}),
]


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(("function", "options"), LISTED)
@pytest.mark.parametrize("moments", [4, pytest.param(20, marks=pytest.mark.slow)])
def test_an_interrupt_at_any_moment_of_a_search_gives_a_valid_result(
    monkeypatch: pytest.MonkeyPatch,
    timed_interrupt: Callable[[float], None],
    function: Callable[..., Any],
    options: dict[str, Any],
    workers: int,
    moments: int,
) -> None:
    share_at_once(monkeypatch)
    network, box = network_on_box(3, (12, 8))
    whole = function(network, box, workers=workers, **options)
    rng = np.random.default_rng(workers)
    for _ in range(moments):
        timed_interrupt(rng.uniform(0.0, 1.1) * whole.seconds + 1e-5)
        found = function(network, box, workers=workers, **options)  # no KeyboardInterrupt
        part = found.status is Completeness.TRUNCATED
        assert found.certificate.stopped_by == ("interrupt" if part else "")
        if isinstance(found, CellComplex):
            names = {whole.pattern_hex(i) for i in range(whole.n_cells)}
            some = [found.pattern_hex(i) for i in range(found.n_cells)]
            assert len(set(some)) == len(some) and names.issuperset(some)
            assert part == (len(some) < len(names) or found.volume_kind != whole.volume_kind)
        else:
            assert part == (found.cells < whole.cells)


def test_a_late_interrupt_of_short_work_comes_out_and_handlers_come_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network, box = network_on_box(2, (3,))
    before = signal.getsignal(signal.SIGINT)
    real = enumeration.check_samples

    def late(cells: CellComplex) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        real(cells)

    monkeypatch.setattr(enumeration, "check_samples", late)
    with pytest.raises(KeyboardInterrupt):
        enumerate_cells(network, box)
    monkeypatch.setattr(limits, "IMPATIENT_SECONDS", 0.0)
    assert enumerate_cells(network, box).status is Completeness.COMPLETE
    assert signal.getsignal(signal.SIGINT) is before


def test_searches_inside_of_searches_share_an_interrupt() -> None:
    with pytest.raises(KeyboardInterrupt), interrupts_raised_after():
        with Stop() as within:
            os.kill(os.getpid(), signal.SIGINT)
        assert within.interrupted
    with interrupts_raised_after(), Stop():
        pass
    with Stop() as outer:
        with Stop() as inner:
            os.kill(os.getpid(), signal.SIGINT)
        assert inner.interrupted and outer.interrupted
        with Stop() as later:
            assert later.is_set()
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)


def test_a_second_interrupt_is_the_same_at_once_and_gives_up_later(monkeypatch: pytest.MonkeyPatch) -> None:
    with Stop() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.interrupted
        monkeypatch.setattr(limits, "IMPATIENT_SECONDS", 0.0)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
