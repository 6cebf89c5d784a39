"""What both engines offer: a resumable depth-first search over the splitting tree, and its tasks.

`threads` runs a `Search` whatever it is made of; `vertices.vertex_search` and `programs.program_search`
are the two kinds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from regions.errors import InvalidInputError
from regions.kernels.memory.states import Mode, Status

NO_LIMIT = 2**62
DEEPEST_TASK = 62  # splits that the path of a task holds, one bit each

Report = Callable[[int, float], None]  # cells so far, fraction done


@dataclass(frozen=True)
class Task:
    """A subtree: the first `depth` splits go the way that the bits of `path` say."""

    path: int = 0
    depth: int = 0


WHOLE = Task()


class Ending(Protocol):
    """Says when a search is to end early; asked after every call of a kernel."""

    def is_set(self) -> bool:
        """Tell whether the search is to end."""
        ...


class _Never:
    def is_set(self) -> bool:
        return False


NEVER = _Never()


@dataclass
class Block:
    """Cells that one task found, in the order of the search; the output buffers that it filled."""

    outputs: list[Any] = field(default_factory=list)
    cells: int = 0
    volume: float = 0.0
    decisions: int = 0
    doubtful: int = 0
    placed: int = 0
    splits: int = 0
    programs: int = 0
    complete: bool = False


class Search(Protocol):
    """One resumable search with its own memory; one thread uses it at a time."""

    def start(self, task: Task = ..., cell_limit: int = ..., frontier: int = ...) -> None:
        """Put the domain's polytope on an empty stack."""

    def step(self, steps: int = ...) -> Status:
        """Search on for at most so many steps; returns DONE, PAUSED, FLUSH or LIMIT."""
        ...

    def run(self, task: Task, cell_limit: int, stop: Ending, report: Report) -> Block:
        """Search a whole task, until it is done, the limit is reached or `stop` is set."""
        ...

    def close(self, block: Block, status: Status) -> Block:
        """Complete the block of a search that ended with `status`."""
        ...

    def frontier(self, depth: int, stop: Ending = ...) -> list[Task]:
        """List subtrees that together make the whole tree, in the order of the search.

        None of them if `stop` was set before all were found.
        """
        ...

    def keep_output(self) -> None:
        """Empty the output of cells into what `close` puts in the block."""

    def progress(self) -> tuple[int, float]:
        """Return the cells found so far, and the part of the whole tree that is done."""
        ...

    def release(self) -> None:
        """End this search's life; what it gave remains."""


MakeSearch = Callable[[Mode], Search]


def list_tasks(search: Search, depth: int, take: Callable[[], list[Task]], stop: Ending) -> list[Task]:
    """List the subtrees at a depth with a search of its own; `take` empties its output of tasks.

    None of them if `stop` is set before all are found.

    Raises
    ------
    InvalidInputError
        If the path of a task of this depth does not fit one word.
    """
    if not 1 <= depth <= DEEPEST_TASK:
        raise InvalidInputError(f"a frontier of depth {depth}; give 1 to {DEEPEST_TASK}")
    search.start(frontier=depth)
    tasks: list[Task] = []
    while True:
        status = search.step()
        if status in (Status.FLUSH, Status.DONE):
            tasks += take()
        if status == Status.DONE:
            return tasks
        if stop.is_set():
            return []


def run_task(search: Search, task: Task, cell_limit: int, stop: Ending, report: Report) -> Status:
    """Search a task until it is done, the limit is reached or `stop` is set, keeping what it outputs."""
    search.start(task, cell_limit)
    while True:
        status = search.step()
        if status == Status.FLUSH:
            search.keep_output()
        report(*search.progress())
        if status in (Status.DONE, Status.LIMIT) or stop.is_set():
            return status
