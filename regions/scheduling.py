"""Running a walk on several threads: tasks, progress, interrupts, limits.

The tree is cut into subtrees in the order of the walk, so the cells come out in the same order
whatever the number of threads. Keeps what was found when it is interrupted.
"""

from __future__ import annotations

import numbers
import os
import threading
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from regions.domain import Domain
from regions.errors import InvalidInputError
from regions.kernels import state
from regions.walking import NO_LIMIT, WHOLE, Block, Lowered, Task, Walker

Progress = Callable[[int, float], None]

ALONE_STEPS = 1 << 14  # a walk shorter than this is not worth cutting up
TASKS_PER_WORKER = 24
DEEPEST_CUT = 24
SECONDS_BETWEEN_REPORTS = 0.1


@dataclass
class Outcome:
    """Blocks in the order of the walk; `complete` when nothing is missing."""

    blocks: list[Block]
    complete: bool


def worker_count(workers: int | None) -> int:
    """The number of threads to use: as given, or one per core.

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


def run_walk(
    net: Lowered, domain: Domain, mode: int, *, max_cells: int | None, workers: int, progress: Progress | None
) -> Outcome:
    """Walk the whole tree, on one thread if it is small, and stop after `max_cells` cells."""
    limit = NO_LIMIT if max_cells is None else max_cells
    walker = Walker(net, domain, mode)
    if workers > 1:
        walker.start(cell_limit=limit)
        if walker.step(ALONE_STEPS) == state.PAUSED:
            return _run_parallel(net, domain, mode, limit, workers, progress)
    return _run_alone(walker, limit, progress)


def _run_alone(walker: Walker, limit: int, progress: Progress | None) -> Outcome:
    stop = threading.Event()
    result: list[Block] = []
    tally = _Tally()
    failure: list[BaseException] = []

    def work() -> None:
        try:
            result.append(walker.run(WHOLE, limit, stop, tally.report(0)))
        except BaseException as error:  # handed to the caller's thread
            failure.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    while thread.is_alive():
        try:
            thread.join(SECONDS_BETWEEN_REPORTS)
            if progress is not None and thread.is_alive():
                progress(*tally.total())
        except KeyboardInterrupt:
            stop.set()
    if failure:
        raise failure[0]
    return Outcome(result, result[0].complete)


def _cut(net: Lowered, domain: Domain, workers: int) -> list[Task]:
    walker = Walker(net, domain, state.COUNT)
    depth = 6
    tasks = walker.frontier(depth)
    while len(tasks) < TASKS_PER_WORKER * workers and depth < DEEPEST_CUT:
        depth += 2
        tasks = walker.frontier(depth)
    return tasks


def _run_parallel(
    net: Lowered, domain: Domain, mode: int, limit: int, workers: int, progress: Progress | None
) -> Outcome:
    tasks = _cut(net, domain, workers)
    stop = threading.Event()
    tally = _Tally()
    walkers = threading.local()
    done: dict[int, Block] = {}

    def work(number: int) -> Block:
        if not hasattr(walkers, "walker"):
            walkers.walker = Walker(net, domain, mode)
        block: Block = walkers.walker.run(tasks[number], limit, stop, tally.report(number))
        return block

    interrupted = False
    with ThreadPoolExecutor(workers) as pool:
        futures: dict[Future[Block], int] = {pool.submit(work, k): k for k in range(len(tasks))}
        pending = set(futures)
        while pending:
            try:
                finished, pending = wait(pending, SECONDS_BETWEEN_REPORTS, FIRST_COMPLETED)
                for future in finished:
                    done[futures[future]] = future.result()
                if progress is not None:
                    progress(*tally.total())
                if _reached(done, limit):
                    break
            except KeyboardInterrupt:
                interrupted = True
                break
            except BaseException:
                stop.set()
                pool.shutdown(cancel_futures=True)
                raise
        if pending:
            stop.set()
            pool.shutdown(cancel_futures=True)
            for future in pending:
                if not future.cancelled():
                    done[futures[future]] = future.result()
    return _assemble(net, domain, mode, tasks, done, NO_LIMIT if interrupted else limit)


def _reached(done: dict[int, Block], limit: int) -> bool:
    """Whether the finished tasks at the beginning hold more cells than allowed."""
    cells, k = 0, 0
    while k in done and done[k].complete and cells <= limit:
        cells += done[k].cells
        k += 1
    if k in done:
        cells += done[k].cells
    return cells > limit


def _assemble(
    net: Lowered, domain: Domain, mode: int, tasks: list[Task], done: dict[int, Block], limit: int
) -> Outcome:
    """Blocks in order, the first `limit` cells of the walk."""
    blocks: list[Block] = []
    left = limit
    complete = True
    for k, task in enumerate(tasks):
        block = done.get(k)
        if block is None:
            complete = False
            continue
        if block.cells > left:
            block = Walker(net, domain, mode).run(task, left, threading.Event(), lambda cells, part: None)
            blocks.append(block)
            return Outcome(blocks, False)
        left -= block.cells
        blocks.append(block)
        complete = complete and block.complete
    return Outcome(blocks, complete and len(done) == len(tasks))
