"""Laws of executors: whoever searches, no bit changes; what is lost is done again, or the result says so."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import fields
from itertools import pairwise
from multiprocessing import get_context
from typing import Any

import numpy as np
import pytest
from networks import network_on_box

from regions import Box, Network
from regions.complexes import CellComplex, Completeness
from regions.enumeration import executors
from regions.enumeration.enumerate import count_cells, enumerate_cells
from regions.errors import InvalidInputError

CASES = [(1, (20, 20)), (2, (8, 8)), (3, (6, 5)), (4, (6, 3))]


@pytest.fixture(scope="module", params=["threads", "processes", pytest.param("dask", marks=pytest.mark.slow)])
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    if request.param == "threads":
        with ThreadPoolExecutor(2) as pool:
            yield pool
    elif request.param == "processes":
        with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
            yield pool
    else:
        distributed = pytest.importorskip("distributed")
        with (
            distributed.LocalCluster(
                n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
            ) as cluster,
            distributed.Client(cluster) as client,
        ):
            yield client.get_executor()


@pytest.fixture
def small_orders(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes small searches take many orders."""
    monkeypatch.setattr(executors, "LEAST_SECONDS", 1e-4)
    monkeypatch.setattr(executors, "PART_OF_TIME", 1e9)


class Unreliable(Executor):
    """Does orders at once; loses some answers, and lets others come twice, from a worker that forgets."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng, self.sent, self.without = rng, 0, 0

    def submit(self, function: Any, /, *words: Any, **named: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.sent += 1
        if self.rng.random() < 0.3:
            executors._kept.clear()
        self.without += words[0].payload is None
        found = function(*words, **named)
        if found is not None and self.rng.random() < 0.3:
            found = found[: self.rng.integers(len(found) + 1)]
            found = [*found, *found]
        future.set_result(found)
        return future


def arrays_of(cells: CellComplex) -> dict[str, bytes]:
    return {
        f"{type(part).__name__}.{field.name}": value.tobytes()
        for part in (cells, cells.facets)
        for field in fields(part)
        if isinstance(value := getattr(part, field.name), np.ndarray)
    }


@pytest.mark.parametrize(
    ("dimension", "widths"),
    [*(pytest.param(*case, marks=pytest.mark.slow) for case in CASES[:-1]), CASES[-1]],
)
def test_an_executor_changes_no_bit(
    executor: Executor, small_orders: None, dimension: int, widths: tuple[int, ...]
) -> None:
    network, box = network_on_box(dimension, widths)
    alone, away = enumerate_cells(network, box), enumerate_cells(network, box, executor=executor)
    assert arrays_of(alone) == arrays_of(away)
    assert alone.certificate == away.certificate
    one, other = count_cells(network, box), count_cells(network, box, executor=executor)
    assert (one.cells, one.volume_sum, one.certificate) == (other.cells, other.volume_sum, other.certificate)


@pytest.mark.slow
def test_linear_programs_count_the_same_on_an_executor(executor: Executor, small_orders: None) -> None:
    network, box = network_on_box(3, (7, 5))
    assert (
        count_cells(network, box, engine="lp", executor=executor).cells
        == count_cells(network, box, engine="cells").cells
    )


@pytest.mark.slow
@pytest.mark.parametrize("limit", [1, 17, 60])
def test_max_cells_takes_the_first_cells_of_the_search(
    executor: Executor, small_orders: None, limit: int
) -> None:
    network, box = network_on_box(2, (20, 20))
    first = enumerate_cells(network, box, max_cells=limit)
    away = enumerate_cells(network, box, max_cells=limit, executor=executor)
    assert arrays_of(first) == arrays_of(away)
    assert away.certificate.stopped_by == first.certificate.stopped_by == "max_cells"


def test_answers_that_are_lost_or_come_twice_change_nothing(
    small_orders: None, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    monkeypatch.setattr(executors, "SENT_ALONG", 0)
    monkeypatch.setattr(executors, "LEAST_SECONDS", 1e-9)
    network, box = network_on_box(2, (20, 20))
    unreliable = Unreliable(rng)
    away = enumerate_cells(network, box, executor=unreliable, workers=3)
    assert arrays_of(away) == arrays_of(enumerate_cells(network, box))
    assert unreliable.sent > 20 and 0 < unreliable.without < unreliable.sent


def large() -> tuple[Network, Box]:
    """Return a problem of some seconds."""
    rng = np.random.default_rng(0)
    widths = (5, 36, 32, 2)
    weights = [rng.normal(size=(n, m)) / np.sqrt(m) for m, n in pairwise(widths)]
    network = Network.from_arrays(weights, [0.4 * rng.normal(size=n) for n in widths[1:]])
    return network, Box([-1.0] * 5, [1.0] * 5)


@pytest.mark.slow
def test_max_seconds_keeps_what_was_found(executor: Executor) -> None:
    begin = time.perf_counter()
    found = count_cells(*large(), max_seconds=0.7, executor=executor)
    assert found.certificate.stopped_by == "max_seconds"
    assert found.status is Completeness.TRUNCATED and found.cells > 0
    assert time.perf_counter() - begin < 30.0


@pytest.mark.slow
def test_workers_that_are_lost_leave_what_was_found() -> None:
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        count_cells(*large(), max_cells=1000, executor=pool)  # starts the workers

        victims = list(pool._processes)[:1]

        def kill(cells: int, part: float) -> None:
            if cells > 1000 and victims:
                os.kill(victims.pop(), signal.SIGKILL)

        found = count_cells(*large(), executor=pool, progress=kill)
    assert found.certificate.stopped_by == "lost_workers"
    assert found.status is Completeness.TRUNCATED and found.cells > 1000


def test_an_interrupt_keeps_what_was_found() -> None:
    with ThreadPoolExecutor(1) as pool:
        count_cells(*large(), max_cells=1000, executor=pool)
        timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        found = count_cells(*large(), executor=pool)
        timer.join()
    assert found.certificate.stopped_by == "interrupt"
    assert found.cells > 0


def test_a_worker_of_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Elsewhere(Executor):
        def submit(self, function: Any, /, *words: Any, **named: Any) -> Future[Any]:
            future: Future[Any] = Future()
            try:
                function(words[0]._replace(version=("0.0.1", words[0].version[1])))
            except InvalidInputError as error:
                future.set_exception(error)
            return future

    with pytest.raises(InvalidInputError, match=r"worker has version .* caller has 0\.0\.1"):
        count_cells(*network_on_box(2, (4, 4)), executor=Elsewhere())


def test_what_is_no_executor_is_refused() -> None:
    network, box = network_on_box(2, (4, 4))
    with pytest.raises(InvalidInputError, match="executor is a str"):
        count_cells(network, box, executor="dask")  # type: ignore[arg-type]
    with ThreadPoolExecutor(1) as pool, pytest.raises(InvalidInputError, match="leave executor out"):
        enumerate_cells(network, box, engine="lp", executor=pool)
