"""Running a search on any `concurrent.futures.Executor`: processes, Dask's workers, MPI's, threads.

Orders go out with some tasks and a budget of seconds; what was not finished comes back as tasks. Results are
entered in a `Ledger`, so that nothing depends on who ran what, how often, or in which order. What ends a
search is decided here, as `threads` does within one process.
"""

from __future__ import annotations

import hashlib
import logging
import pickle
import threading
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Executor, Future, wait
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

from regions.complexes import Arithmetic
from regions.domain import Domain
from regions.enumeration.cores import usable_cores
from regions.enumeration.ledger import Ledger, Outcome
from regions.enumeration.limits import Stop
from regions.enumeration.planning import Plan, plan_search
from regions.enumeration.search import NO_LIMIT, Budget, Search, Task, TaskResult
from regions.enumeration.threads import Progress, compile_search, run_search
from regions.errors import InvalidInputError
from regions.kernels.memory.compiling import kernels_digest
from regions.kernels.memory.states import Mode
from regions.network.relu_network import Network

if TYPE_CHECKING:
    from regions.enumeration.spool import Spool

LOGGER = logging.getLogger(__name__)

SENT_ALONG = 1 << 12  # bytes of a problem that go with every order; a larger one where a worker lacks it
KEPT_PROBLEMS = 4  # in a worker
LEAST_SECONDS, MOST_SECONDS = 0.05, 2.0  # of an order
FIRST_SECONDS = 0.01  # while there are fewer tasks than workers
WAITING = 1  # orders for each worker beside the one in hand, so that none waits for the next
PART_OF_TIME = 10  # an order takes this part of the time so far
MOST_TASKS = 64  # of an order
SECONDS_BETWEEN_REPORTS = 0.1
LOST = ("KilledWorker", "FutureCancelledError")  # what Dask raises for workers that are gone


class Problem(NamedTuple):
    """What a worker makes its plan from."""

    network: Network
    domain: Domain
    engine: str
    arithmetic: Arithmetic
    volumes: bool


class Order(NamedTuple):
    """What is sent to a worker; `payload` is the pickled problem, or None where it is hoped to have it."""

    version: tuple[str, str]
    key: str
    payload: bytes | None
    mode: Mode
    paths: list[bytes]
    seconds: float
    cells: int


class Done(NamedTuple):
    """The result of one task, and the part of the whole tree that it was."""

    result: TaskResult
    part: float


def own_version() -> tuple[str, str]:
    """Return the version of the package and the digest of its kernels, which workers must share."""
    return str(import_module("regions").__version__), kernels_digest()


@dataclass
class _Kept:
    """What a worker keeps: a problem, the plan for it, and searches that are at rest."""

    problem: Problem
    plan: Plan
    idle: dict[Mode, list[Search]] = field(default_factory=dict)


_kept: OrderedDict[str, _Kept] = OrderedDict()
_kept_lock = threading.Lock()


def carry_out(order: Order) -> list[Done] | None:
    """Do what an order says, in a worker: search its tasks one by one until the time is up.

    Returns what was begun; None if the worker lacks the problem, and it was not sent along.

    Raises
    ------
    InvalidInputError
        If the worker has another version of the package.
    """
    own = own_version()
    if tuple(order.version) != own:
        raise InvalidInputError(
            f"a worker has version {own[0]} of the package with kernels {own[1][:12]}, the caller has "
            f"{order.version[0]} with {order.version[1][:12]}: install the same on both"
        )
    kept = _problem_of(order)
    if kept is None:
        return None
    with _kept_lock:
        idle = kept.idle.setdefault(order.mode, [])
        search = idle.pop() if idle else None
    if search is None:
        compile_search(kept.plan.make, order.mode)
        search = kept.plan.make(order.mode)
    found = []
    with Stop(order.seconds) as stop:  # a Ctrl-C that reaches the workers too loses nothing
        for path in order.paths:
            left = stop.left()
            assert left is not None
            result = search.run(Task(path), Budget(cells=order.cells, seconds=left), stop)
            found.append(Done(result, search.progress()[1]))
            if stop.is_set():
                break
    with _kept_lock:
        idle.append(search)
    return found


def _problem_of(order: Order) -> _Kept | None:
    """Return what is kept of an order's problem, made from its payload if need be."""
    with _kept_lock:
        kept = _kept.get(order.key)
        if kept is None and order.payload is not None:
            problem: Problem = pickle.loads(order.payload)
            plan = plan_search(*problem[:4], 1, volumes=problem.volumes)
            kept = _kept[order.key] = _Kept(problem, plan)
            while len(_kept) > KEPT_PROBLEMS:
                _kept.popitem(last=False)
        if kept is not None:
            _kept.move_to_end(order.key)
    return kept


def slots_of(executor: Executor, workers: int | None) -> int:
    """Return how many orders are to be out at once: as given, or one for each worker that there is."""
    if workers is not None:
        return workers
    known = getattr(executor, "_max_workers", None)
    client = getattr(executor, "_client", None)
    if client is not None and hasattr(client, "nthreads"):
        known = sum(client.nthreads().values())
    return known if isinstance(known, int) and known > 0 else usable_cores()


def check_executor(executor: object) -> None:
    """Raise InvalidInputError unless an object has the methods of an executor that are needed."""
    if not callable(getattr(executor, "submit", None)):
        raise InvalidInputError(
            f"executor is a {type(executor).__name__}; give a concurrent.futures.Executor, such as "
            "ProcessPoolExecutor() or, for Dask, client.get_executor()"
        )


def search_tree(
    given: tuple[Plan, Problem, int | None],
    mode: Mode,
    executor: Executor | None,
    max_cells: int | None,
    progress: Progress | None,
    stop: Stop,
    first: Search | None = None,
) -> Outcome:
    """Search the whole tree, on threads or on an executor; `first` is a search that was made for it."""
    plan, problem, workers = given
    if executor is None:
        return run_search(
            plan.make,
            mode,
            max_cells=max_cells,
            workers=plan.workers,
            progress=progress,
            stop=stop,
            first=first,
        )
    if first is not None:
        first.release()
    check_executor(executor)
    limits = max_cells, workers
    return run_on_executor(plan, problem, mode, executor, limits=limits, progress=progress, stop=stop)


def run_on_executor(
    plan: Plan,
    problem: Problem,
    mode: Mode,
    executor: Executor,
    *,
    limits: tuple[int | None, int | None],
    progress: Progress | None,
    stop: Stop,
) -> Outcome:
    """Search the whole tree on an executor, and stop after `max_cells` cells.

    Ctrl-C, or `stop`, ends the search when the orders that are out have come back, which takes two seconds at
    most; what was found is the outcome. So it is if workers are lost for good.

    Parameters
    ----------
    limits : max_cells, and how many orders are to be out at once; None: no limit, and by the executor
    """
    max_cells, workers = limits
    office = _Office(problem, mode, executor, max_cells, slots_of(executor, workers))
    office.spool = plan.spool
    try:
        office.work(progress, stop)
    except KeyboardInterrupt:
        stop.interrupt()
    outcome = office.ledger.outcome(plan.make, mode)
    outcome.stopped_by = stop.reason(outcome.complete, outcome.cells, max_cells)
    if office.lost and outcome.stopped_by == "interrupt" and not stop.interrupted:
        outcome.stopped_by = "lost_workers"
    return outcome


class _Office:
    """Gives out orders and enters what comes back."""

    def __init__(
        self, problem: Problem, mode: Mode, executor: Executor, max_cells: int | None, slots: int
    ) -> None:
        self.payload = pickle.dumps(problem)
        self.key = hashlib.sha256(self.payload).hexdigest()
        self.version, self.mode, self.executor, self.slots = own_version(), mode, executor, slots
        self.ledger = Ledger(NO_LIMIT if max_cells is None else max_cells)
        self.todo = list(self.ledger.known)
        self.out: dict[Future[list[Done] | None], list[bytes]] = {}
        self.cells, self.part = 0, 0.0
        self.lost = False
        self.spool: Spool | None = None

    def work(self, progress: Progress | None, stop: Stop) -> None:
        """Search the tree to its end, or until `stop` is set, the limit is reached or workers are lost."""
        try:
            while not (self.ledger.is_complete or self.lost or stop.is_set() or self._has_enough()):
                self._give_out(stop)
                pause = min(SECONDS_BETWEEN_REPORTS, stop.left() or SECONDS_BETWEEN_REPORTS)
                done, _ = wait(self.out, pause, FIRST_COMPLETED)
                for future in done:
                    self._take_in(future, stop)
                if progress is not None and not stop.is_set():
                    progress(self.cells, min(1.0, self.part))
        finally:
            for future in self.out:
                future.cancel()
        if stop.is_set() and not self.lost:
            done, _ = wait(self.out, MOST_SECONDS + SECONDS_BETWEEN_REPORTS)
            for future in done:
                self._take_in(future, stop)

    def _has_enough(self) -> bool:
        return self.ledger.limit != NO_LIMIT and self.ledger.has_enough()

    def _give_out(self, stop: Stop) -> None:
        """Fill the slots that are free, each with its share of half the tasks, the largest subtrees first."""
        free = (1 + WAITING) * self.slots - len(self.out)
        if free <= 0 or not self.todo:
            return
        first = self.ledger.limit != NO_LIMIT  # the first cells of the search are wanted
        self.todo.sort(key=lambda path: (0 if first else len(path), path))
        free = min(free, len(self.todo))
        share = max(1, min(MOST_TASKS, len(self.todo) // (2 * self.slots)))
        taken, self.todo = self.todo[: share * free], self.todo[share * free :]
        for k in range(free):
            self._send(taken[k::free], stop, len(self.payload) <= SENT_ALONG)

    def _send(self, paths: list[bytes], stop: Stop, with_payload: bool) -> None:
        few = len(self.todo) + len(self.out) < self.slots
        least = min(FIRST_SECONDS, LEAST_SECONDS) if few else LEAST_SECONDS
        seconds = min(MOST_SECONDS, max(least, stop.seconds / PART_OF_TIME))
        seconds = min(seconds, stop.left() or seconds)
        payload = self.payload if with_payload else None
        order = Order(self.version, self.key, payload, self.mode, paths, seconds, self.ledger.limit)
        try:
            self.out[self.executor.submit(carry_out, order)] = paths
        except BrokenExecutor as error:
            self._lose(error)

    def _lose(self, error: BaseException, *, stopped: bool = False) -> None:
        """Go on without workers, as they are lost for good, unless the search was stopped anyway."""
        self.lost = not stopped
        if self.lost:
            LOGGER.warning("workers are lost (%s: %s); what was found is kept", type(error).__name__, error)

    def _take_in(self, future: Future[list[Done] | None], stop: Stop) -> None:
        """Enter what an order has found; what it has not begun is to be done as before."""
        paths = self.out.pop(future)
        try:
            found = future.result(timeout=0)
        except (BrokenExecutor, CancelledError) as error:
            self._lose(error, stopped=stop.is_set())
            return
        except KeyboardInterrupt:  # of the worker, before its search began
            found = []
        except Exception as error:
            if type(error).__name__ not in LOST:
                raise
            self._lose(error, stopped=stop.is_set())
            return
        if found is None:
            self._send(paths, stop, True)
            return
        begun: set[bytes] = set()
        for result, part in found:
            begun.add(result.path)
            if self.ledger.enter(result):
                if self.spool is not None:
                    result.parts = list(self.spool.store(result.parts))
                self.cells, self.part = self.cells + result.cells, self.part + part
                self.todo += _paths(result.remainder)
        self.todo += [path for path in paths if path not in begun]


def _paths(tasks: Sequence[Task]) -> list[bytes]:
    return [task.path for task in tasks]
