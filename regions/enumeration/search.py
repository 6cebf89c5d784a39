"""What both engines offer: a resumable depth-first search over the splitting tree, cut into tasks.

A task is a subtree, named by the way to it, and may give back what it did not finish. `threads` runs a
`Search` whatever it is made of; `vertices.vertex_search` and `programs.program_search` are the two kinds.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from regions.errors import InvalidInputError
from regions.kernels.memory.states import Mode, Request, Status

NO_LIMIT = 2**62
VOLUME_UNIT = 1074  # volumes are summed in units of 2**-1074, the smallest float
FIRST_STEPS, MOST_STEPS = 64, 1 << 15  # of one call, after which `stop` and the time are looked at
SECONDS_PER_CALL = 0.01


@dataclass(frozen=True)
class Task:
    """A subtree: byte k of `path` says which part was taken at the k-th split on the way to it.

    Parts are numbered in the order in which they are searched, so paths of disjoint subtrees are in the order
    of the search.
    """

    path: bytes = b""


WHOLE = Task()


@dataclass(frozen=True)
class Budget:
    """How far a task is searched at least, before it gives back the rest; by default to its end.

    Attributes
    ----------
    cells, steps : int
    seconds : float
    depth : int, the first subtree so many splits below the task, and all after it, are given back; 0: none
    """

    cells: int = NO_LIMIT
    steps: int = NO_LIMIT
    seconds: float = math.inf
    depth: int = 0

    def __post_init__(self) -> None:
        if self.cells < 1 or self.steps < 1 or not self.seconds > 0.0 or self.depth < 0:
            raise InvalidInputError(f"{self}: give cells and steps from 1, seconds above 0, a depth from 0")


EVERYTHING = Budget()


class Ending(Protocol):
    """Says when a search is to end early; asked after every call of a kernel."""

    def is_set(self) -> bool:
        """Tell whether the search is to end."""
        ...


class _Never:
    def is_set(self) -> bool:
        return False


NEVER = _Never()


class Signs(NamedTuple):
    """How many signs were decided, how many of them exactly, and how many vertices were placed exactly."""

    decisions: int = 0
    exact_signs: int = 0
    exact_positions: int = 0


@dataclass
class TaskResult:
    """What is in a subtree, but for what was given back or away.

    Attributes
    ----------
    path : bytes, of the task
    cells : int
    volume : int, the exact sum of the cells' volumes in units of 2**-1074, where they are summed
    certificate : Signs
    parts : list, the cells in the order of the search, as many as fill a buffer in each
    remainder : list of Task, in the order of the search; all come after the cells
    complete : bool, whether nothing is missing but the remainder and what was given away on the way
    splits, programs : int, the work that it took
    """

    path: bytes = b""
    cells: int = 0
    volume: int = 0
    certificate: Signs = field(default_factory=Signs)
    parts: list[Any] = field(default_factory=list)
    remainder: list[Task] = field(default_factory=list)
    complete: bool = False
    splits: int = 0
    programs: int = 0


class Search(Protocol):
    """One resumable search with its own memory; one thread uses it at a time, but `request` is for others."""

    def start(self, task: Task = ..., cell_limit: int = ..., budget: Budget = ...) -> None:
        """Put the domain's polytope on an empty stack, to go to the task's subtree at the next step."""

    def step(self, steps: int = ...) -> Status:
        """Search on for at most so many steps; returns DONE, PAUSED, FLUSH, LIMIT, GIVE or STOPPED."""
        ...

    def request(self, what: Request) -> None:
        """Ask the search to give a subtree away or to stop, from any thread; NONE takes that back."""

    def give(self) -> Task:
        """Take the oldest subtree that waits off the stack, after GIVE."""
        ...

    def waiting(self) -> tuple[int, int]:
        """Return how many subtrees wait, and the splits above the oldest: roughly, from any thread."""
        ...

    def pending(self) -> list[Task]:
        """List the subtrees that are left after STOPPED, in the order of the search."""
        ...

    def run(self, task: Task = ..., budget: Budget = ..., stop: Ending = ...) -> TaskResult:
        """Search a task until it is done, the budget is used or `stop` is set."""
        ...

    def close(self, status: Status) -> TaskResult:
        """Return what a search found that ended with `status`."""
        ...

    def twins(self) -> Callable[[], Search]:
        """Return what makes searches like this one, with arrays of their own, while this one is in use."""
        ...

    def keep_output(self) -> None:
        """Empty the output of cells into what `close` puts in the result."""

    def progress(self) -> tuple[int, float]:
        """Return the cells found so far, and the part of the whole tree that is done; from any thread."""
        ...

    def release(self) -> None:
        """End this search's life; what it gave remains."""


def check_length(task: Task, n_units: int) -> None:
    """Raise InvalidInputError if a path is longer than any in the tree: each unit is split at most once."""
    if len(task.path) > n_units:
        raise InvalidInputError(
            f"a path of {len(task.path)} splits, but the network has {n_units} units: it is another network's"
        )


def check_found(task: Task, started: int) -> None:
    """Raise InvalidInputError if a search came to its end before it had come to its task."""
    if not started:
        raise InvalidInputError(
            f"the path {task.path.hex()} leads to no subtree: it is another network's or another domain's"
        )


MakeSearch = Callable[[Mode], Search]


def run_task(search: Search, task: Task, budget: Budget, stop: Ending) -> TaskResult:
    """Do what `Search.run` says, with any search.

    The outcome for the whole tree does not depend on budgets: cells, their order, and sums over them are the
    same however it is cut into tasks, once the results are put in the order of their paths.
    """
    search.start(task, NO_LIMIT, budget)
    end = time.perf_counter() + budget.seconds
    left, steps = budget.steps, FIRST_STEPS
    while True:
        begin = time.perf_counter()
        status = search.step(min(steps, left))
        now = time.perf_counter()
        if status == Status.FLUSH:
            search.keep_output()
        elif status == Status.PAUSED:
            left -= min(steps, left)
            if now - begin < SECONDS_PER_CALL:
                steps = min(2 * steps, MOST_STEPS)
        else:
            break
        if left == 0 or now >= end or stop.is_set():
            search.request(Request.STOP)
            left = steps = MOST_STEPS
    search.request(Request.NONE)
    return search.close(status)
