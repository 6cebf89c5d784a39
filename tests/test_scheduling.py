"""Laws of the threads: their number changes no bit, Ctrl-C keeps what was found, memory stays small."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import cube, maxout, network_on_box, share_at_once
from programs import interrupted

from regions.complexes import CellComplex, Completeness
from regions.enumeration import threads
from regions.enumeration.enumerate import count_cells, enumerate_cells
from regions.enumeration.ledger import Ledger
from regions.enumeration.programs.program_search import ProgramSearch
from regions.enumeration.search import NO_LIMIT, Task, TaskResult
from regions.enumeration.vertices.vertex_search import VertexSearch
from regions.kernels.memory.states import Status

CASES = [(1, (20, 20)), (2, (8, 8)), (3, (6, 5)), (4, (6, 3))]


@pytest.fixture
def cut_up(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Makes small searches parallel too; collects the number of tasks of each."""
    numbers: list[int] = []
    outcome = Ledger.outcome

    def spy(ledger: Ledger, *words: Any) -> Any:
        numbers.append(len(ledger.known))
        return outcome(ledger, *words)

    share_at_once(monkeypatch)
    monkeypatch.setattr(Ledger, "outcome", spy)
    return numbers


def arrays_of(cells: CellComplex) -> dict[str, bytes]:
    return {
        f"{type(part).__name__}.{field.name}": value.tobytes()
        for part in (cells, cells.facets)
        for field in fields(part)
        if isinstance(value := getattr(part, field.name), np.ndarray)
    }


@pytest.mark.kernels
@pytest.mark.small
@pytest.mark.parametrize(("dimension", "widths"), CASES)
def test_workers_change_no_bit_of_any_array(
    cut_up: list[int], dimension: int, widths: tuple[int, ...]
) -> None:
    network, box = network_on_box(dimension, widths)
    alone, two, three = (enumerate_cells(network, box, workers=n) for n in (1, 2, 3))
    assert len(cut_up) == 3 and cut_up[0] == 1 and min(cut_up[1:]) > 1
    assert alone.status is two.status is three.status is Completeness.COMPLETE
    assert arrays_of(alone) == arrays_of(two) == arrays_of(three)
    assert alone.certificate == two.certificate == three.certificate
    counts = [count_cells(network, box, workers=n).certificate for n in (1, 2, 3)]
    assert counts[0] == counts[1] == counts[2]
    # counting makes no cells of the last layer, and decides other signs
    assert replace(counts[0], decisions=alone.certificate.decisions) == alone.certificate


@pytest.mark.kernels
@pytest.mark.parametrize(("dimension", "widths"), CASES)
def test_workers_do_not_change_which_cells_a_limit_keeps(
    cut_up: list[int], dimension: int, widths: tuple[int, ...]
) -> None:
    network, box = network_on_box(dimension, widths)
    full = enumerate_cells(network, box, workers=1)
    n = full.n_cells
    for limit in (1, 2, n // 3, n - 1, n, n + 1):
        kept = [enumerate_cells(network, box, workers=k, max_cells=limit) for k in (1, 2, 3)]
        assert {cells.n_cells for cells in kept} == {min(limit, n)}
        expected = Completeness.TRUNCATED if limit < n else Completeness.COMPLETE
        assert {cells.status for cells in kept} == {expected}
        assert arrays_of(kept[0]) == arrays_of(kept[1]) == arrays_of(kept[2])
        assert kept[1].patterns.tobytes() == full.patterns[:limit].tobytes()
        counts = [count_cells(network, box, workers=k, max_cells=limit) for k in (1, 2, 3)]
        assert {(c.cells, c.status) for c in counts} == {(min(limit, n), expected)}
    assert cut_up


@pytest.mark.parametrize(("engine", "dimension"), [("planar", 2), ("cells", 3), ("lp", 2)])
def test_a_limit_that_is_looked_at_after_the_last_cell_leaves_nothing_out(
    engine: str, dimension: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last cell of all is found some steps before its search is over."""
    kind = ProgramSearch if engine == "lp" else VertexSearch
    step, look, crews = kind.step, threads._Crew._look, list[threads._Crew]()

    def step_and_look(search: Any, steps: int = NO_LIMIT) -> Status:
        status = step(search, min(steps, 1) if crews else steps)
        for crew in crews:
            look(crew)
        return status

    def note(crew: threads._Crew, *words: Any) -> None:
        crews.append(crew)
        work(crew, *words)

    work = threads._Crew.work
    network, box = maxout(2, dimension, (8, 6), 3), cube(dimension)  # whose search ends in empty subtrees
    n = count_cells(network, box, engine=engine, workers=1).cells
    share_at_once(monkeypatch)
    monkeypatch.setattr(kind, "step", step_and_look)
    monkeypatch.setattr(threads._Crew, "work", note)
    for limit, expected in ((n, Completeness.COMPLETE), (n - 1, Completeness.TRUNCATED)):
        crews.clear()
        found = count_cells(network, box, engine=engine, workers=2, max_cells=limit)
        assert crews and (found.cells, found.status) == (limit, expected)


def test_as_many_cells_as_allowed_are_not_known_to_be_enough() -> None:
    ledger = Ledger(5)
    ledger.add(Task(b"\x01"))
    assert not ledger.has_enough(5) and ledger.has_enough(6)
    ledger.enter(TaskResult(b"", 5, complete=True))
    assert not ledger.has_enough() and ledger.has_enough(1)
    ledger.enter(TaskResult(b"\x01", 0, complete=False))
    assert ledger.has_enough()


@pytest.mark.kernels
def test_a_limit_stops_all_threads_soon() -> None:
    """A search of a hundred tasks whose first ones fill the limit must not do the others."""
    network, box = network_on_box(3, (200, 200))
    count_cells(network, box, workers=2, max_cells=10)
    start = time.perf_counter()
    found = count_cells(network, box, workers=2, max_cells=30_000)
    assert (found.cells, found.status) == (30_000, Completeness.TRUNCATED)
    assert time.perf_counter() - start < 5.0


@pytest.mark.kernels
@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_of_the_progress_callback_ends_all_threads(workers: int) -> None:
    def fail(cells: int, done: float) -> None:
        raise LookupError("from the callback")

    network, box = network_on_box(3, (400, 400))
    before = threading.active_count()
    with pytest.raises(LookupError, match="from the callback"):
        count_cells(network, box, workers=workers, progress=fail)
    assert threading.active_count() == before


INTERRUPTED = """
import json, sys
from networks import cube, maxout, network_on_box, share_at_once
from regions import Box, count_cells, enumerate_cells

network, box = network_on_box({dimension}, {widths})
small = Box(0.001 * box.low, 0.001 * box.high)
enumerate_cells(network, small)  # compiles

said = []

def ready(cells, done):
    if cells > 20_000 and not said:  # once, as the interrupt may come in the middle of a second time
        said.append(True)
        print("ready", flush=True)

if "{call}" == "count":
    found = count_cells(network, box, workers={workers}, progress=ready)
    print(json.dumps([found.cells, found.status.value, found.volume_sum]))
else:
    found = enumerate_cells(network, box, workers={workers}, progress=ready)
    found.save(sys.argv[1])
    print(json.dumps([found.n_cells, found.status.value, found.volume_sum]))
"""


@pytest.mark.sweep(1)
@pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
@pytest.mark.parametrize(
    ("call", "dimension", "widths", "workers"),
    [("count", 2, (500, 500, 500, 500), 2), ("enumerate", 2, (500, 500, 500, 500), 2)]
    + [("count", 3, (400, 400), 1), ("enumerate", 3, (400, 400), 1)],
)
def test_ctrl_c_keeps_what_was_found(
    tmp_path: Path, call: str, dimension: int, widths: tuple[int, ...], workers: int
) -> None:
    script = INTERRUPTED.format(call=call, dimension=dimension, widths=widths, workers=workers)
    path = tmp_path / "part.regions"
    cells, status, volume = json.loads(interrupted(script, str(path)))
    assert status == "TRUNCATED" and cells > 20_000
    if call == "enumerate":
        again = CellComplex.load(path)
        assert (again.n_cells, again.status) == (cells, Completeness.TRUNCATED)
        assert 0.0 < again.volume_sum == volume < again.domain.volume
        assert np.any(again.facets.cell_b == -2) and again.facets.cell_b.min() >= -2
        a, b = again.facets.cell_a[again.facets.interior], again.facets.cell_b[again.facets.interior]
        units = again.network.unit_offsets[again.facets.layer] + again.facets.unit
        patterns = again.unpacked_patterns()
        assert np.all(patterns[a, units[again.facets.interior]])
        assert not np.any(patterns[b, units[again.facets.interior]])


@pytest.mark.kernels
@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_before_the_first_cell_gives_an_empty_truncated_result(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, workers: int
) -> None:
    network, box = network_on_box(2, (6, 5))
    real = VertexSearch.step

    def interrupt(self: Any, steps: int = 0) -> int:
        if steps == threads.ALONE_CALL:
            raise KeyboardInterrupt
        return real(self, steps)

    monkeypatch.setattr(VertexSearch, "step", interrupt)
    found = enumerate_cells(network, box, workers=workers)
    assert (found.n_cells, found.status, found.volume_sum) == (0, Completeness.TRUNCATED, 0.0)
    found.save(tmp_path / "empty.regions")
    assert CellComplex.load(tmp_path / "empty.regions").n_cells == 0
    counted = count_cells(network, box, workers=workers, check_volumes=True)
    assert (counted.cells, counted.status, counted.volume_sum) == (0, Completeness.TRUNCATED, 0.0)


MEMORY = """
import sys
from networks import cube, maxout, network_on_box, share_at_once
from regions import count_cells

def count(dimension, widths, **options):
    return count_cells(*network_on_box(dimension, widths), **options).cells

if sys.argv[1] == "compile":
    count(2, (3,)), count(3, (3,), check_volumes=True)
else:
    print(count(4, (72, 40)), count(2, (1200, 1200)), count(3, (180, 96), check_volumes=True))
    # not getrusage: its maximum includes the process that started this one
    status = dict(line.split(":", 1) for line in open("/proc/self/status"))
    print(int(status["VmHWM"].split()[0]) // 1_000)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak from /proc")
def test_counting_a_million_cells_takes_less_than_500_megabytes() -> None:
    def run(word: str) -> list[int]:
        done = subprocess.run(
            [sys.executable, "-c", MEMORY, word],
            capture_output=True,
            text=True,
            check=True,
        )
        return [int(number) for number in done.stdout.split()]

    run("compile")  # in another process, as compiling needs memory of its own
    *cells, megabytes = run("count")
    assert min(cells) > 1_000_000
    assert 50 < megabytes < 500
