"""The threads of one process that work on a run: each takes a task, searches a while, enters what it found.

What a task has left when its time is up becomes new tasks, so threads and processes share the work through
the file alone. Where threads have no task, others give theirs back early.
"""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from regions.enumeration.limits import Stop
from regions.enumeration.search import Budget, Ending, Task, TaskResult
from regions.enumeration.spool import Spool
from regions.errors import CertificateError
from regions.kernels.memory.states import Mode
from regions.runs.proof import is_frontier
from regions.runs.task_store import TaskStore

ENOUGH_WAITING = 4  # tasks for each thread; where fewer wait, tasks are to give back sooner
SOONER = 0.01  # of the seconds of a task
LEAST_SECONDS = 0.05
SECONDS_BETWEEN_LOOKS = 0.05
SECONDS_TO_ASK = 0.1  # a task that has run for less is not asked to give back
BEATS = 4  # in the time after which a worker that is not heard of is taken for dead

Progress = Callable[[int, float], None]


@dataclass(frozen=True)
class Pace:
    """How long a task is searched before it gives back the rest, and how long a worker may be silent."""

    budget: Budget
    lease: float


class _Asked:
    """Ends a thread's search when the run is to stop, or when its task is to give back."""

    def __init__(self, over: threading.Event) -> None:
        self.over = over
        self.asked = False
        self.depth = 0
        self.since = time.monotonic()

    def is_set(self) -> bool:
        """Tell whether the search is to end."""
        return self.asked or self.over.is_set()


class Runner(Protocol):
    """What a thread searches tasks by: a search of this process, or of an executor's workers."""

    def run(self, task: Task, budget: Budget, stop: Ending) -> TaskResult:
        """Search a task until it is done, the budget is used or `stop` is set."""
        ...

    def twins(self) -> Callable[[], Runner]:
        """Return what makes others like this one."""
        ...

    def release(self) -> None:
        """End this one's life."""


class Shift:
    """The threads of this process on one run, from their first task until none is left or `stop` is set.

    Parameters
    ----------
    path : of the run's file
    first : Runner, of which each thread gets one alike
    mode : Mode, of the searches
    workers : int, how many threads
    pace : Pace
    spool : Spool that cells go to, None where none are listed
    """

    def __init__(
        self,
        path: Path,
        first: Runner,
        mode: Mode,
        workers: int,
        pace: Pace,
        spool: Spool | None = None,
    ) -> None:
        self.path, self.pace, self.mode, self.workers = path, pace, mode, workers
        self.spool = spool
        self.first, self.make = first, first.twins()
        self.name = uuid.uuid4().hex
        self.over = threading.Event()
        self.lock = threading.Lock()
        self.running: dict[int, _Asked] = {}
        self.idle: set[int] = set()
        self.cells = 0
        self.error: BaseException | None = None

    def work(self, stop: Stop, progress: Callable[[int], None] | None) -> None:
        """Work until the run is finished or `stop` is set; what was found by then is in the file."""
        store = TaskStore(self.path)
        threads = [threading.Thread(target=self._run, args=(k,)) for k in range(self.workers)]
        try:
            self._beat(store)
            for thread in threads:
                thread.start()
            self._watch(store, threads, stop, progress)
        finally:
            self.over.set()
            for thread in threads:
                if thread.ident is not None:
                    thread.join()
            store.leave(self.name)
            store.close()
        if self.error is not None:
            raise self.error

    def _watch(
        self,
        store: TaskStore,
        threads: list[threading.Thread],
        stop: Stop,
        progress: Callable[[int], None] | None,
    ) -> None:
        """Say that this process lives, and have tasks given back if threads here or elsewhere have none."""
        beat, others = time.monotonic(), 0
        while any(thread.is_alive() for thread in threads) and not stop.is_set():
            self.over.wait(min(SECONDS_BETWEEN_LOOKS, stop.left() or SECONDS_BETWEEN_LOOKS))
            now = time.monotonic()
            if now - beat >= self.pace.lease / BEATS:
                beat = now
                self._beat(store)
                others = store.threads(but=self.name)[1]
            self._ask(len(self.idle) + others)
            others = 0
            if progress is not None:
                progress(self.cells)

    def _beat(self, store: TaskStore) -> None:
        expires = time.time() + self.pace.lease
        store.beat(self.name, os.getpid(), (self.workers, len(self.idle)), expires)

    def _ask(self, wanted: int) -> None:
        """Have as many tasks given back as threads have none: those nearest the root."""
        if wanted == 0:
            return
        now = time.monotonic()
        with self.lock:
            able = [each for each in self.running.values() if now - each.since >= SECONDS_TO_ASK]
            for each in sorted(able, key=lambda each: each.depth)[:wanted]:
                each.asked = True

    def _run(self, number: int) -> None:
        """Do what one thread does."""
        try:
            store = TaskStore(self.path)
            search = self.first if number == 0 else self.make()
            try:
                while not self.over.is_set() and not self._turn(number, store, search):
                    pass
            finally:
                search.release()
                store.close()
        except BaseException as error:  # it is raised in the caller's thread
            self.error = self.error or error
            self.over.set()

    def _turn(self, number: int, store: TaskStore, search: Runner) -> bool:
        """Take one task and enter what was found in it; returns whether the run is finished."""
        taken = store.take(self.name)
        if taken is None:
            self.idle.add(number)
            self.over.wait(SECONDS_BETWEEN_LOOKS)
            return store.is_finished()
        self.idle.discard(number)
        task, waiting = taken
        ending = _Asked(self.over)
        ending.depth = len(task.path)
        with self.lock:
            self.running[number] = ending
        begin = time.perf_counter()
        result = search.run(task, self._budget(waiting), ending)
        with self.lock:
            del self.running[number]
        if not is_frontier(task.path, [each.path for each in result.remainder]):
            raise CertificateError(
                f"the search of task {task.path.hex() or 'whole'} gave back what it had not left out; its "
                "result is not kept; please report this"
            )
        if store.enter(result, time.perf_counter() - begin):
            with self.lock:
                self.cells += result.cells
        elif self.spool is not None:
            self.spool.remove(result.parts)
        return False

    def _budget(self, waiting: int) -> Budget:
        """Return how long a task may take: not long while there is not enough for all threads."""
        budget = self.pace.budget
        if waiting >= ENOUGH_WAITING * self.workers:
            return budget
        return replace(budget, seconds=min(budget.seconds, max(LEAST_SECONDS, SOONER * budget.seconds)))
