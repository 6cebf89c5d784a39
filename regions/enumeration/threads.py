"""Running a search on several threads, which share the tree by need; progress, interrupts, limits.

Nothing is cut up beforehand: a worker that has run dry gets the oldest subtree that waits on the stack of
another. Workers stay inside compiled code, without Python's lock, until they are asked for a subtree, or are
done. Results are put in the order of their paths, so nothing depends on who did what. An interrupt keeps what
was found.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue

from regions.enumeration.ledger import Ledger, Outcome
from regions.enumeration.limits import Stop
from regions.enumeration.search import NO_LIMIT, WHOLE, MakeSearch, Search, Task
from regions.kernels.memory.states import Mode, Request, Status

Progress = Callable[[int, float], None]

LOGGER = logging.getLogger(__name__)

ALONE_SECONDS = 0.004  # a search shorter than this is not worth sharing
ALONE_CALL = 256  # steps of its first call
SECONDS_BETWEEN_REPORTS = 0.1


def ready_search(make: MakeSearch, mode: Mode) -> Search:
    """Make a search and compile what it needs, in this thread, where Ctrl-C ends it at once.

    Its time is no search's.
    """
    begin = time.perf_counter()
    search = make(mode)
    search.step(0)
    LOGGER.info("kernels ready after %.3g s", time.perf_counter() - begin)
    return search


def compile_search(make: MakeSearch, mode: Mode) -> None:
    """Compile what a search needs, as `ready_search` does, for whoever makes searches later."""
    ready_search(make, mode).release()


def run_search(
    make: MakeSearch,
    mode: Mode,
    *,
    max_cells: int | None,
    workers: int,
    progress: Progress | None,
    stop: Stop | None = None,
    first: Search | None = None,
) -> Outcome:
    """Search the whole tree, in the caller's thread if it is small, and stop after `max_cells` cells.

    Ctrl-C, or `stop`, ends the search, and what was found by then is the outcome. `first` is a search that
    `make` has made already.
    """
    stop = Stop() if stop is None else stop
    limit = NO_LIMIT if max_cells is None else max_cells
    outcome = Outcome([], False)
    try:
        search = first or make(mode)
        status = _search_alone(search, limit, stop)
        if status == Status.PAUSED and not stop.is_set():
            crew = _Crew(search, limit, workers)
            crew.work(progress, stop)
            outcome = crew.ledger.outcome(make, mode)
        else:
            result = search.close(status)
            search.release()
            outcome = Outcome([result], status == Status.DONE)
    except KeyboardInterrupt:
        stop.interrupt()
    outcome.stopped_by = stop.reason(outcome.complete, outcome.cells, max_cells)
    return outcome


def _search_alone(search: Search, limit: int, stop: Stop) -> Status:
    """Begin to search the whole tree in the caller's thread."""
    search.start(WHOLE, limit)
    begin, steps = time.perf_counter(), ALONE_CALL
    while not stop.is_set():
        status = search.step(steps)
        if status == Status.FLUSH:
            search.keep_output()
        elif status != Status.PAUSED:
            return status
        spent = time.perf_counter() - begin
        if spent >= ALONE_SECONDS:
            break
        if spent < ALONE_SECONDS / 4:
            steps *= 2
    return Status.PAUSED


class _Worker:
    """A thread's search, and where the thread waits for a task while it has none (None: for ever)."""

    def __init__(self, search: Search | None) -> None:
        self.search = search
        self.inbox: SimpleQueue[Task | None] = SimpleQueue()
        self.task: Task | None = None
        self.asked = False  # for a subtree
        self.counts = False  # whether its search's progress is that of its task


class _Crew:
    """Workers that share one tree.

    `lock` guards what follows it; `tasks` are the subtrees that were given away and that nobody has taken.
    """

    def __init__(self, search: Search, limit: int, workers: int) -> None:
        self.make = search.twins()
        self.workers = [_Worker(search)] + [_Worker(None) for _ in range(workers - 1)]
        self.ended = threading.Event()
        self.lock = threading.Lock()
        self.over = False
        self.error: BaseException | None = None
        self.ledger = Ledger(limit)
        self.tasks: list[Task] = []
        self.idle: list[_Worker] = []
        self.done, self.done_part = 0, 0.0  # for the progress report
        self.workers[0].task = WHOLE
        self.workers[0].counts = True

    def work(self, progress: Progress | None, stop: Stop) -> None:
        """Search the tree, from the first worker's search on, to its end or until `stop` is set."""
        first = self.workers[0].search
        assert first is not None
        for _ in range(min(len(self.workers) - 1, first.waiting()[0])):
            self._take_from(self.workers[0])
        threads = [threading.Thread(target=self._run, args=(worker,)) for worker in self.workers]
        try:
            for thread in threads:
                thread.start()
            while not self.ended.wait(min(SECONDS_BETWEEN_REPORTS, stop.left() or math.inf)):
                if stop.is_set():
                    break
                self._look()
                if progress is not None:
                    progress(*self.progress())
            if progress is not None and not stop.is_set():
                progress(*self.progress())
        except KeyboardInterrupt:
            stop.interrupt()  # what is done by now is kept
        finally:
            with self.lock:
                self._end()
            for thread in threads:
                if thread.ident is not None:
                    thread.join()
            for worker in self.workers:
                if worker.search is not None:
                    worker.search.release()
        if self.error is not None:
            raise self.error

    def progress(self) -> tuple[int, float]:
        """Return the cells found so far, and the part of the tree that is done."""
        with self.lock:
            cells, part = self.done, self.done_part
            for worker in self.workers:
                if worker.counts and worker.search is not None:
                    more, parts = worker.search.progress()
                    cells, part = cells + more, part + parts
        return cells, min(1.0, part)

    def _run(self, worker: _Worker) -> None:
        """Do what one thread does."""
        try:
            search = worker.search
            if search is None:
                search = worker.search = self.make()
            else:
                self._finish(worker, self._walk(worker, search))
            while (task := self._next(worker)) is not None:
                search.start(task, self.ledger.limit)
                worker.counts = True
                self._finish(worker, self._walk(worker, search))
        except BaseException as error:  # it is raised in the caller's thread
            with self.lock:
                self.error = self.error or error
                self._end()

    def _walk(self, worker: _Worker, search: Search) -> Status:
        """Search on to the end of a worker's task, and give subtrees away on the way."""
        while True:
            status = search.step(NO_LIMIT)
            if status == Status.FLUSH:
                search.keep_output()
            elif status == Status.GIVE:
                with self.lock:
                    self._take_from(worker)
                    self._ask()
            elif status != Status.PAUSED:
                return status

    def _take_from(self, worker: _Worker) -> None:
        """Take the oldest subtree that waits on a worker's stack, for one that has none."""
        search = worker.search
        assert search is not None
        task = search.give()
        self.ledger.add(task)
        worker.asked = False
        search.request(Request.STOP if self.over else Request.NONE)
        if self.idle and not self.over:
            taker = self.idle.pop()
            taker.task = task
            taker.inbox.put(task)
        else:
            self.tasks.append(task)

    def _finish(self, worker: _Worker, status: Status) -> None:
        """Keep what a worker found in its task."""
        search = worker.search
        assert search is not None
        result = search.close(status)
        cells, part = search.progress()
        with self.lock:
            self.ledger.enter(result)
            worker.task, worker.asked, worker.counts = None, False, False
            self.done, self.done_part = self.done + cells, self.done_part + part
            search.request(Request.STOP if self.over else Request.NONE)
            self._check_limit()

    def _next(self, worker: _Worker) -> Task | None:
        """Return the next task of a worker; wait until another gives one away; None if there will be none."""
        with self.lock:
            if self.over:
                return None
            if self.tasks:
                worker.task = min(self.tasks, key=lambda task: task.path)
                self.tasks.remove(worker.task)
                return worker.task
            self.idle.append(worker)
            if not any(other.task is not None for other in self.workers):
                self._end()
                return None
            self._ask()
        return worker.inbox.get()

    def _ask(self, again: bool = False) -> None:
        """Ask workers for as many subtrees as others wait for: those whose oldest is nearest the root.

        `again`: count no one who was asked before and has not answered.
        """
        wanted = len(self.idle) - len(self.tasks) - (0 if again else sum(each.asked for each in self.workers))
        if wanted <= 0 or self.over:
            return
        able: list[tuple[bool, int, int, _Worker]] = []
        for worker in self.workers:
            if worker.task is not None and worker.search is not None and not worker.asked:
                waiting, depth = worker.search.waiting()
                able.append((waiting == 0, depth, len(able), worker))
        for _, _, _, worker in sorted(able)[:wanted]:
            worker.asked = True
            worker.search.request(Request.GIVE)  # type: ignore[union-attr]

    def _look(self) -> None:
        """Do what is due at times: end where the limit is reached, ask again where none has given."""
        with self.lock:
            self._check_limit()
            self._ask(again=True)

    def _check_limit(self) -> None:
        """End if the first subtrees of the tree hold more cells than are allowed."""
        if self.ledger.limit == NO_LIMIT:
            return
        found, (_, path) = 0, self.ledger.first()
        for worker in self.workers:
            if worker.counts and worker.task is not None and worker.task.path == path:
                found = worker.search.progress()[0]  # type: ignore[union-attr]
        if self.ledger.has_enough(found):
            self._end()

    def _end(self) -> None:
        """Ask all threads to end."""
        if self.over:
            return
        self.over = True
        for worker in self.workers:
            if worker.search is not None:
                worker.search.request(Request.STOP)
        for worker in self.idle:
            worker.inbox.put(None)
        self.ended.set()
