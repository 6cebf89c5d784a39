"""Runs as folders: a network, a domain, and the file of tasks; made, worked on, looked at and summed up here.

The file is kept by `task_store`, the threads by `run_workers`; what is left is guessed by `probes`.
"""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from regions.complexes import Arithmetic, StoredComplex
from regions.domain import Domain, Unbounded, domain_from_dict
from regions.enumeration.enumerate import CellCount, count_of
from regions.enumeration.executors import Problem, check_executor, slots_of
from regions.enumeration.homogeneous import of_cones, searched
from regions.enumeration.ledger import Outcome
from regions.enumeration.limits import Stop, check_seconds
from regions.enumeration.planning import Plan, plan_search
from regions.enumeration.search import Budget, TaskResult
from regions.enumeration.search_digest import search_digest
from regions.enumeration.spool import Spool
from regions.enumeration.stored_listing import check_listable, new_folder, write_listing
from regions.enumeration.threads import compile_search
from regions.enumeration.unbounded_search import refuse_volumes
from regions.errors import InvalidInputError, check_choice
from regions.inputs import seeded
from regions.kernels.memory.compiling import kernels_digest
from regions.kernels.memory.states import Mode
from regions.network.relu_network import Network
from regions.runs.probes import CellEstimate, estimate_pending
from regions.runs.proof import proven_total
from regions.runs.remote_tasks import RemoteSearch
from regions.runs.run_workers import Pace, Runner, Shift
from regions.runs.task_store import TaskStore
from regions.showing import Shown

TASKS, NETWORK, PARTS = "run.sqlite", "network.npz", "parts"
RunMode = Literal["count", "list"]
LEASE_SECONDS = 20.0
TASK = Budget(seconds=20.0)


@dataclass(frozen=True)
class RunStatus(Shown):
    """How far a run is.

    Attributes
    ----------
    cells : int, in the tasks that are done: at least so many there are, and exactly so many if `finished`
    finished : bool
    waiting, taken, done : int, tasks
    threads : int, of all processes that work on the run now
    seconds : float, in all tasks that are done, of all threads together
    estimate : CellEstimate or None, how many cells there are in all; None if it was not asked for
    """

    cells: int
    finished: bool
    waiting: int
    taken: int
    done: int
    threads: int
    seconds: float
    estimate: CellEstimate | None

    @property
    def n_cells(self) -> int:
        """Number of cells counted so far."""
        return self.cells

    @property
    def rate(self) -> float:
        """Cells per second and thread, so far."""
        return self.cells / self.seconds if self.seconds > 0.0 else 0.0

    @property
    def fraction(self) -> float | None:
        """The part of the cells that is counted, as estimated; None without an estimate."""
        if self.finished:
            return 1.0
        return None if self.estimate is None else min(1.0, self.cells / self.estimate.cells)

    @property
    def seconds_left(self) -> float | None:
        """Seconds left for the threads that work now, as estimated; None if none does, or it is not known."""
        if self.finished:
            return 0.0
        if self.estimate is None or not self.threads or not self.rate:
            return None
        return max(0.0, self.estimate.cells - self.cells) / (self.rate * self.threads)

    def _headline(self) -> str:
        tasks = f"{self.done:,} tasks done, {self.waiting + self.taken:,} left"
        return f"{self.cells:,} cells{'' if self.finished else ' so far'}, {tasks}, {self.threads} threads"

    def _facts(self) -> dict[str, Any]:
        more = {"rate": f"{self.rate:.4g} cells per second and thread", "seconds left": self.seconds_left}
        return {**super()._facts(), **more}


@dataclass(frozen=True)
class Run(Shown):
    """A count or a listing that outlives processes: a folder on which any number of them work.

    Made by `Run.create`, and found again by `Run.open`. Whatever is killed, at most the tasks in hand are
    searched again; the result is that of `count_cells`, or of `enumerate_cells`.

    Attributes
    ----------
    folder : Path
    network : Network
    domain : Domain

    Examples
    --------
    >>> import tempfile
    >>> from regions import Box, Network, Run
    >>> lines = Network.from_arrays([[[1.0, 0.0], [0.0, 1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.0]])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     run = Run.create(f"{folder}/lines", lines, Box([-1.0, -1.0], [1.0, 1.0]))
    ...     run.work(workers=1)
    ...     run.result().n_cells
    True
    4
    """

    folder: Path
    network: Network
    domain: Domain
    _header: dict[str, str] = field(repr=False, compare=False)

    def _headline(self) -> str:
        return str(self.folder)

    def _notes(self) -> dict[str, Any]:
        return {"network": self.network.describe(), "domain": self.domain.describe()}

    def _facts(self) -> dict[str, Any]:
        return {"folder": str(self.folder), **self._notes()}

    def to_dict(self) -> dict[str, Any]:
        """Return folder, network and domain in words; `status().to_dict()` says how far the run is."""
        return self._facts()

    @classmethod
    def create(
        cls,
        folder: str | os.PathLike[str],
        network: Network,
        domain: Domain,
        *,
        engine: str = "auto",
        arithmetic: Arithmetic = "certified",
        check_volumes: bool | None = None,
        mode: RunMode = "count",
    ) -> Run:
        """Make the folder of a run, in which nothing is counted yet.

        Parameters
        ----------
        folder : a new one, or an empty one
        network, domain, engine, arithmetic : as for `count_cells`, but for engine "both"
            Of a domain without end the cones over the cells are counted, so it has no mode "list".
        check_volumes : sum the cells' volumes exactly, and compare with the domain's in the end
            Default: where it is cheap (d <= 2). In higher dimension it costs several times the count.
            A listing always does.
        mode : "count", or "list" to keep the cells, for `merge`; by engines with vertices

        Raises
        ------
        InvalidInputError, InvalidDomainError, InvalidNetworkError
            If an argument cannot be used, or the folder holds something.
        """
        check_choice("mode", mode, get_args(RunMode))
        if engine == "both":
            raise InvalidInputError("a run has one engine; engine 'both' is for count_cells")
        check_volumes = _checked_volumes(domain, mode, check_volumes)
        plan = plan_search(
            *searched(network, domain, engine), engine, arithmetic, 1, volumes=bool(check_volumes)
        )
        if check_volumes and plan.engine == "lp":
            raise InvalidInputError(
                "engine 'lp' knows no volumes, which are summed or listed here: use 'cells' (d <= 8), or "
                "count without check_volumes"
            )
        if check_volumes is None:
            check_volumes = domain.dimension <= 2 and plan.engine != "lp"
        place = Path(folder)
        if place.exists() and (not place.is_dir() or any(place.iterdir())):
            raise InvalidInputError(f"{str(place)!r} is there already; `regions run work` goes on with a run")
        place.mkdir(parents=True, exist_ok=True)
        network.save(place / NETWORK)
        if mode == "list":
            (place / PARTS).mkdir()
        facts = {
            "name": uuid.uuid4().hex,
            "version": _version(),
            "kernels": kernels_digest(),
            "searches": search_digest(plan.engine, mode == "list"),
            "network": network.digest(),
            "network_name": network.name,
            "domain": json.dumps(domain.to_dict()),
            "domain_digest": _digest(network, domain),
            "engine": plan.engine,
            "engine_reason": plan.reason if domain.is_bounded else of_cones(plan.reason),
            "arithmetic": arithmetic,
            "check_volumes": str(int(check_volumes)),
            "mode": mode,
        }
        TaskStore.create(place / TASKS, facts).close()
        return cls(place, network, domain, facts)

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> Run:
        """Find a run again.

        Raises
        ------
        InvalidInputError
            If the folder holds no run, or its file is damaged, or the network or the domain is another.
        """
        place = Path(folder)
        with closing(TaskStore(place / TASKS)) as store:
            store.check()
            facts = dict(store.facts)
        try:
            domain = domain_from_dict(json.loads(facts["domain"]))
            digests = facts["network"], facts["domain_digest"]
        except (KeyError, ValueError) as error:
            raise InvalidInputError(f"{str(place)!r} is no whole run: {error}") from error
        network = Network.load(place / NETWORK)
        if network.digest() != digests[0]:
            raise InvalidInputError(f"{str(place / NETWORK)!r} is another network than the run was made for")
        if _digest(network, domain) != digests[1]:
            raise InvalidInputError(
                f"{domain.describe()} is rounded otherwise on this machine than where the run {str(place)!r} "
                "was made; go on there"
            )
        return cls(place, network, domain, facts)

    def work(
        self,
        *,
        workers: int | None = None,
        seconds: float | None = None,
        progress: Callable[[int, float], None] | None = None,
        budget: Budget = TASK,
        lease: float = LEASE_SECONDS,
        executor: Executor | None = None,
    ) -> bool:
        """Count on, until the run is finished, the time is up or Ctrl-C comes; what was found is kept.

        Other processes may do the same at the same time; none has more than one of the tasks.

        Parameters
        ----------
        workers : number of threads, default one per core
        seconds : how long, default to the end
        progress : called some times a second with the cells that this call found, and the part of `seconds`
        budget : how far a task is searched before the rest of it becomes new tasks
        lease : seconds after which a worker that gave no sign is taken for dead, and its tasks are given out
            again; if it lives all the same, its results are as good as the others
        executor : any concurrent.futures.Executor whose workers search instead of threads, as for
            `count_cells`; `workers` are then the tasks that are out at once, each for two seconds at most

        Returns
        -------
        bool, whether the run is finished

        Raises
        ------
        InvalidInputError
            If an argument cannot be used, the run was made by another version of the package, or the workers
            of the executor are lost; what was found by then is kept.
        """
        check_seconds(seconds)
        if not lease > 0.0:
            raise InvalidInputError(f"lease={lease}; give a number of seconds above 0")
        self._check_version()
        plan, mode = self._plan(workers), Mode.MEASURE if self._sums else Mode.COUNT
        if self.mode == "list":
            mode = Mode.COLLECT
            plan = plan.spooled(Spool(self.folder / PARTS, plan.net))
        first, threads = self._runner(plan, mode, executor, workers)
        with Stop(seconds) as stop:
            shift = Shift(self.folder / TASKS, first, mode, threads, Pace(budget, lease), plan.spool)

            def report(cells: int) -> None:
                if progress is not None:
                    progress(cells, min(1.0, stop.seconds / seconds) if seconds else 0.0)

            shift.work(stop, report)
            interrupted = stop.interrupted
        finished = self._finished()
        if interrupted and not finished:
            raise KeyboardInterrupt
        return finished

    @seeded
    def status(self, *, rng: np.random.Generator | None = None, seconds: float = 1.0) -> RunStatus:
        """Say how far the run is; given a generator, also about how many cells there are in all.

        Parameters
        ----------
        rng : seed or numpy Generator for the probes of the pending subtrees, or None for no estimate
        seconds : how long to probe
        """
        with closing(TaskStore(self.folder / TASKS)) as store:
            pending, totals, threads = store.unfinished(), store.totals(), store.threads()[0]
        finished = totals.waiting + totals.taken == 0
        estimate = None
        if finished:
            estimate = CellEstimate(float(totals.cells), float(totals.cells), float(totals.cells), 0)
        elif rng is not None:
            self._check_version()
            plan = self._plan(1)
            estimate = estimate_pending(plan.make, pending, rng, seconds).plus(totals.cells)
        return RunStatus(
            cells=totals.cells,
            finished=finished,
            waiting=totals.waiting,
            taken=totals.taken,
            done=totals.done,
            threads=threads,
            seconds=totals.seconds,
            estimate=estimate,
        )

    def result(self) -> CellCount:
        """Return the count of a finished run, after making sure that its tasks are the whole tree.

        `seconds` are those of all tasks together. If volumes were summed, they are exact sums over the tasks,
        and are compared with the domain's.

        Raises
        ------
        InvalidInputError
            If the run is not finished.
        CertificateError
            If the tasks are not the whole tree, or were changed, or volumes do not sum to the domain's.
        """
        total, seconds = self._proven()
        plan, domain = self._plan(None), self._searched[1]
        found = count_of(plan, domain, Outcome([total], True), self._sums, seconds)
        return replace(found, dimension=self.domain.dimension, engine_reason=self._header["engine_reason"])

    def merge(self, output: str | os.PathLike[str], *, workers: int | None = None) -> StoredComplex:
        """Return the listing of a finished run, made in a new folder after making sure that it is whole.

        Cells and facets are those of `enumerate_cells(..., output=output)`, byte for byte; `seconds` are
        those of all tasks together. The run stays as it is, and can be removed then.

        Parameters
        ----------
        output : a new folder
        workers : number of threads, default one per core

        Raises
        ------
        InvalidInputError
            If the run counts only, is not finished, or a part of it is damaged.
        CertificateError
            If the tasks are not the whole tree, or were changed, or the cells fail a check.
        """
        if self.mode != "list":
            raise InvalidInputError(
                f"the run in {str(self.folder)!r} counts, and has no cells: `regions run result` sums up; "
                "make one with mode 'list'"
            )
        total, seconds = self._proven()
        plan = replace(self._plan(workers), reason=self._header["engine_reason"])
        plan = plan.spooled(Spool(self.folder / PARTS, plan.net))
        with new_folder(output) as place:
            return write_listing(plan, self.domain, Outcome([total], True), place, seconds)

    def _proven(self) -> tuple[TaskResult, float]:
        """Return the sum of all tasks, if they are the whole tree, and the seconds that they took."""
        with closing(TaskStore(self.folder / TASKS)) as store:
            totals = store.totals()
            left = totals.waiting + totals.taken
            if left:
                raise InvalidInputError(
                    f"the run in {str(self.folder)!r} is not finished: {left} tasks are left, {totals.cells} "
                    "cells counted so far; `regions run work` goes on"
                )
            return proven_total(store), totals.seconds

    def _runner(
        self, plan: Plan, mode: Mode, executor: Executor | None, workers: int | None
    ) -> tuple[Runner, int]:
        """Return what searches tasks, and how many at once."""
        if executor is None:
            compile_search(plan.make, mode)
            return plan.make(mode), plan.workers
        check_executor(executor)
        arithmetic: Any = self._header["arithmetic"]
        problem = Problem(*self._searched, self._header["engine"], arithmetic, self._sums)
        return RemoteSearch(problem, mode, executor, plan.spool), slots_of(executor, workers)

    @property
    def mode(self) -> str:
        """What is done: "count" or "list"."""
        return self._header.get("mode", "count")

    @property
    def _sums(self) -> bool:
        return self._header["check_volumes"] == "1"

    def _plan(self, workers: int | None) -> Plan:
        arithmetic: Any = self._header["arithmetic"]
        engine = self._header["engine"]
        return plan_search(*self._searched, engine, arithmetic, workers, volumes=self._sums)

    @cached_property
    def _searched(self) -> tuple[Network, Domain]:
        """What is searched, which must live as long as its plans do."""
        return searched(self.network, self.domain, self._header["engine"])

    def _finished(self) -> bool:
        with closing(TaskStore(self.folder / TASKS)) as store:
            return store.is_finished()

    def _check_version(self) -> None:
        """Raise InvalidInputError where paths could lead elsewhere than where the run was made."""
        made, now = self._header.get("searches"), search_digest(self._header["engine"], self.mode == "list")
        if made is None:  # of a version that noted all kernels instead
            made, now = self._header["kernels"], kernels_digest()
        if made != now:
            raise InvalidInputError(
                f"the run in {str(self.folder)!r} was made by version {self._header['version']} of the "
                f"package with searches {made[:12]}, this is {_version()} with {now[:12]}, in which tasks "
                "may be others: go on with that one"
            )


def _version() -> str:
    """Return the version of the package, whose own module stands above this room."""
    return str(import_module("regions").__version__)


def _checked_volumes(domain: Domain, mode: str, check_volumes: bool | None) -> bool | None:
    """Return whether volumes are to be summed; None where it is left to the dimension and the engine.

    Raises
    ------
    InvalidInputError, InvalidDomainError
        If the mode or the domain has it otherwise.
    """
    if isinstance(domain, Unbounded):
        if mode == "list":
            raise InvalidInputError(
                f"a run counts the cells of {domain.describe()}, as cones: list them by enumerate_cells, "
                "which finds a box that shows them all, or by a run on domain.clipped(half_width)"
            )
        if check_volumes:
            refuse_volumes(domain)
        return False
    if mode == "count":
        return check_volumes
    check_listable(domain)
    if check_volumes is False:
        raise InvalidInputError("a listing has its volumes: leave check_volumes out")
    return True


def _digest(network: Network, domain: Domain) -> str:
    """Return a digest of the arrays that a search starts from."""
    state = hashlib.sha256(json.dumps(domain.to_dict()).encode())
    domain = searched(network, domain, "auto")[1]
    A, b = domain.halfspaces
    for array in (domain.origin, domain.basis, A, b):
        state.update(np.ascontiguousarray(array).astype("<f8").tobytes())
    return state.hexdigest()
