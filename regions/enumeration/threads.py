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

from regions.complexes import StoppedBy
from regions.enumeration.limits import Stop
from regions.enumeration.search import NEVER, NO_LIMIT, WHOLE, Block, MakeSearch, Search, Task
from regions.errors import InvalidInputError
from regions.kernels.memory.states import Mode, Status

Progress = Callable[[int, float], None]

ALONE_STEPS = 1 << 14  # a search shorter than this is not worth cutting up
ALONE_CALL = 1 << 11  # of them until Ctrl-C and the time are looked at
TASKS_PER_WORKER = 24
DEEPEST_CUT = 24
SECONDS_BETWEEN_REPORTS = 0.1


@dataclass
class Outcome:
    """Blocks in the order of the search; `complete` when nothing is missing, else `stopped_by` says why."""

    blocks: list[Block]
    complete: bool
    stopped_by: StoppedBy = ""

    @property
    def cells(self) -> int:
        """Number of cells in all blocks."""
        return sum(block.cells for block in self.blocks)


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
    make: MakeSearch,
    mode: Mode,
    *,
    max_cells: int | None,
    workers: int,
    progress: Progress | None,
    stop: Stop | None = None,
) -> Outcome:
    """Search the whole tree, in the caller's thread if it is small, and stop after `max_cells` cells.

    Ctrl-C, or `stop`, ends the search, and what was found by then is the outcome: what the caller's thread
    found before the tree was cut up, if the threads have not come as far.
    """
    stop = Stop() if stop is None else stop
    limit = NO_LIMIT if max_cells is None else max_cells
    alone = Block()
    try:
        status, alone = _search_alone(make, mode, limit, stop)
        if status in (Status.DONE, Status.LIMIT) or stop.is_set():
            outcome = Outcome([alone], alone.complete)
        else:
            outcome = _search_in_parts(make, mode, limit, workers, progress, stop)
    except KeyboardInterrupt:
        stop.interrupt()
        outcome = Outcome([alone], False)
    if not outcome.complete and alone.cells > outcome.cells:
        outcome = Outcome([alone], False)
    outcome.stopped_by = stop.reason(outcome.complete, outcome.cells, max_cells)
    return outcome


def _search_alone(make: MakeSearch, mode: Mode, limit: int, stop: Stop) -> tuple[Status, Block]:
    """Begin to search the whole tree in the caller's thread."""
    search = make(mode)
    search.start(cell_limit=limit)
    status, left = Status.PAUSED, ALONE_STEPS
    while left > 0 and status == Status.PAUSED and not stop.is_set():
        status = search.step(min(left, ALONE_CALL))
        left -= ALONE_CALL
    block = search.close(Block(), status)
    search.release()
    return status, block


def _search_in_parts(
    make: MakeSearch, mode: Mode, limit: int, workers: int, progress: Progress | None, stop: Stop
) -> Outcome:
    """Search the whole tree by subtrees, on several threads if there are several."""
    tasks, above = _cut(make, mode, workers, stop) if workers > 1 else ([WHOLE], Block())
    if not tasks:  # it was to end before the tree was cut
        return Outcome([], False)
    outcome = _run_tasks(_Work(make, mode, tasks, limit), workers, progress, stop)
    return Outcome([above, *outcome.blocks], outcome.complete)


def _cut(make: MakeSearch, mode: Mode, workers: int, stop: Stop) -> tuple[list[Task], Block]:
    """List subtrees in the order of the search, with a block without cells for the decisions above them."""
    search = make(mode)
    depth = 6
    tasks = search.frontier(depth, stop)
    while len(tasks) < TASKS_PER_WORKER * workers and depth < DEEPEST_CUT and not stop.is_set():
        depth += 2
        tasks = search.frontier(depth, stop)
    above = search.close(Block(), Status.DONE)
    search.release()
    return tasks, above


@dataclass(frozen=True)
class _Work:
    """Subtrees to search, and how many cells are allowed in all."""

    make: MakeSearch
    mode: Mode
    tasks: list[Task]
    limit: int


class _Over:
    """Ends the threads when `stop` does, and when what they do is no longer needed."""

    def __init__(self, stop: Stop) -> None:
        self.over, self.stop = False, stop

    def is_set(self) -> bool:
        return self.over or self.stop.is_set()


def _run_tasks(work: _Work, workers: int, progress: Progress | None, stop: Stop) -> Outcome:
    over = _Over(stop)
    tally = _Tally()
    searches = threading.local()
    made: list[Search] = []
    done: dict[int, Block] = {}
    numbers_of: dict[Future[Block], int] = {}

    def run(number: int) -> Block:
        if not hasattr(searches, "search"):
            searches.search = work.make(work.mode)
            made.append(searches.search)
        block: Block = searches.search.run(work.tasks[number], work.limit, over, tally.report(number))
        return block

    with ThreadPoolExecutor(workers) as pool:
        try:
            numbers_of.update((pool.submit(run, k), k) for k in range(len(work.tasks)))
            pending = set(numbers_of)
            while pending and not _reached(done, work.limit) and not stop.is_set():
                finished, pending = wait(pending, SECONDS_BETWEEN_REPORTS, FIRST_COMPLETED)
                done.update((numbers_of[future], future.result()) for future in finished)
                if progress is not None:
                    progress(*tally.total())
        except KeyboardInterrupt:
            stop.interrupt()  # what is done by now is kept
        finally:
            over.over = True
            pool.shutdown(cancel_futures=True)
    for search in made:
        search.release()
    done.update((k, future.result()) for future, k in numbers_of.items() if not future.cancelled())
    return _assemble(work, done)


def _reached(done: dict[int, Block], limit: int) -> bool:
    """Whether the finished tasks at the beginning hold all cells that are allowed."""
    cells, k = 0, 0
    while k in done and cells < limit:
        cells += done[k].cells
        k += 1
    return cells >= limit


def _assemble(work: _Work, done: dict[int, Block]) -> Outcome:
    """Return blocks in order, with the first cells of the search that the limit allows."""
    blocks: list[Block] = []
    left = work.limit
    complete = True
    for k, task in enumerate(work.tasks):
        block = done.get(k)
        if block is None:
            complete = False
            continue
        if block.cells > left:
            search = work.make(work.mode)
            block = search.run(task, left, NEVER, lambda cells, part: None)
            search.release()
            blocks.append(block)
            return Outcome(blocks, False)
        left -= block.cells
        blocks.append(block)
        complete = complete and block.complete
    return Outcome(blocks, complete)
