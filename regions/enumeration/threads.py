"""Running a search on several threads: tasks, progress, interrupts, limits.

The tree is cut into subtrees in the order of the search, so the cells come out in the same order
whatever the number of threads. An interrupt keeps what was found.
"""

from __future__ import annotations

import numbers
import os
import threading
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from regions.enumeration.search import NO_LIMIT, WHOLE, Block, MakeSearch, Search, Task
from regions.errors import InvalidInputError
from regions.kernels.memory.states import Mode, Status

Progress = Callable[[int, float], None]

ALONE_STEPS = 1 << 14  # a search shorter than this is not worth cutting up
TASKS_PER_WORKER = 24
DEEPEST_CUT = 24
SECONDS_BETWEEN_REPORTS = 0.1


@dataclass
class Outcome:
    """Blocks in the order of the search; `complete` when nothing is missing."""

    blocks: list[Block]
    complete: bool


def worker_count(workers: int | None) -> int:
    """Return the number of threads to use: as given, or one per core.

    Raises
    ------
    InvalidInputError
        If it is less than one.
    """
    if workers is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not isinstance(workers, numbers.Integral) or workers < 1:
        raise InvalidInputError(f"workers={workers}; give a whole number from 1, or None for one per core")
    return int(workers)


class _Tally:
    """Cells and fraction done, over all tasks, for the progress report."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.parts: dict[int, tuple[int, float]] = {}

    def report(self, task: int) -> Progress:
        def update(cells: int, fraction: float) -> None:
            with self.lock:
                self.parts[task] = (cells, fraction)

        return update

    def total(self) -> tuple[int, float]:
        with self.lock:
            values = list(self.parts.values())
        return sum(c for c, _ in values), min(1.0, sum(f for _, f in values))


def compile_search(make: MakeSearch, mode: Mode) -> None:
    """Compile what a search needs, in this thread, where Ctrl-C ends it at once; its time is no search's."""
    search = make(mode)
    search.step(0)
    search.release()


def run_search(
    make: MakeSearch, mode: Mode, *, max_cells: int | None, workers: int, progress: Progress | None
) -> Outcome:
    """Search the whole tree, in the caller's thread if it is small, and stop after `max_cells` cells.

    Ctrl-C ends the search, and what was found by then is the outcome.
    """
    limit = NO_LIMIT if max_cells is None else max_cells
    search = make(mode)
    try:
        search.start(cell_limit=limit)
        status = search.step(ALONE_STEPS)
        if status in (Status.DONE, Status.LIMIT):
            block = search.close(Block(), status)
            search.release()
            return Outcome([block], block.complete)
        search.release()
        tasks, above = _cut(make, mode, workers) if workers > 1 else ([WHOLE], Block())
    except KeyboardInterrupt:
        return Outcome([], complete=False)
    outcome = _run_tasks(make, mode, tasks, limit, workers, progress)
    return Outcome([above, *outcome.blocks], outcome.complete)


def _cut(make: MakeSearch, mode: Mode, workers: int) -> tuple[list[Task], Block]:
    """List subtrees in the order of the search, with a block without cells for the decisions above them."""
    search = make(mode)
    depth = 6
    tasks = search.frontier(depth)
    while len(tasks) < TASKS_PER_WORKER * workers and depth < DEEPEST_CUT:
        depth += 2
        tasks = search.frontier(depth)
    above = search.close(Block(), Status.DONE)
    search.release()
    return tasks, above


def _run_tasks(
    make: MakeSearch,
    mode: Mode,
    tasks: list[Task],
    limit: int,
    workers: int,
    progress: Progress | None,
) -> Outcome:
    stop = threading.Event()
    tally = _Tally()
    searches = threading.local()
    made: list[Search] = []
    done: dict[int, Block] = {}
    numbers_of: dict[Future[Block], int] = {}

    def work(number: int) -> Block:
        if not hasattr(searches, "search"):
            searches.search = make(mode)
            made.append(searches.search)
        block: Block = searches.search.run(tasks[number], limit, stop, tally.report(number))
        return block

    with ThreadPoolExecutor(workers) as pool:
        try:
            numbers_of.update((pool.submit(work, k), k) for k in range(len(tasks)))
            pending = set(numbers_of)
            while pending and not _reached(done, limit):
                finished, pending = wait(pending, SECONDS_BETWEEN_REPORTS, FIRST_COMPLETED)
                done.update((numbers_of[future], future.result()) for future in finished)
                if progress is not None:
                    progress(*tally.total())
        except KeyboardInterrupt:
            pass  # what is done by now is kept
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)
    for search in made:
        search.release()
    done.update((k, future.result()) for future, k in numbers_of.items() if not future.cancelled())
    return _assemble(make, mode, tasks, done, limit)


def _reached(done: dict[int, Block], limit: int) -> bool:
    """Whether the finished tasks at the beginning hold all cells that are allowed."""
    cells, k = 0, 0
    while k in done and cells < limit:
        cells += done[k].cells
        k += 1
    return cells >= limit


def _assemble(make: MakeSearch, mode: Mode, tasks: list[Task], done: dict[int, Block], limit: int) -> Outcome:
    """Return blocks in order, with the first `limit` cells of the search."""
    blocks: list[Block] = []
    left = limit
    complete = True
    for k, task in enumerate(tasks):
        block = done.get(k)
        if block is None:
            complete = False
            continue
        if block.cells > left:
            search = make(mode)
            block = search.run(task, left, threading.Event(), lambda cells, part: None)
            search.release()
            blocks.append(block)
            return Outcome(blocks, False)
        left -= block.cells
        blocks.append(block)
        complete = complete and block.complete
    return Outcome(blocks, complete and len(done) == len(tasks))
