"""Which subtrees of one tree are known and which are done, so that results may come twice, late, or never.

Whoever runs tasks enters their results here, as `threads` does for its workers. What is entered, and the
outcome, do not depend on who ran what, and in which order.
"""

from __future__ import annotations

import math
from bisect import insort
from dataclasses import dataclass

from regions.complexes import Arithmetic, Certificate, StoppedBy
from regions.enumeration.search import NO_LIMIT, VOLUME_UNIT, WHOLE, MakeSearch, Task, TaskResult
from regions.kernels.memory.states import Mode, Status


@dataclass
class Outcome:
    """Results in the order of the search; `complete` when nothing is missing, else `stopped_by` says why."""

    results: list[TaskResult]
    complete: bool
    stopped_by: StoppedBy = ""

    @property
    def cells(self) -> int:
        """Number of cells in all results."""
        return sum(result.cells for result in self.results)

    @property
    def volume(self) -> float:
        """Exact sum of the cells' volumes, rounded once."""
        try:
            return sum(result.volume for result in self.results) / (1 << VOLUME_UNIT)
        except OverflowError:
            return math.inf

    def certificate(self, arithmetic: Arithmetic) -> Certificate:
        """Return how the signs in all results were decided."""
        decisions, signs, positions = (
            sum(result.certificate[k] for result in self.results) for k in range(3)
        )
        return Certificate(arithmetic, self.complete, decisions, signs, positions, self.stopped_by)


class Ledger:
    """The known subtrees of a tree, which together are all of it, and the results of those that are done.

    The whole tree is known from the start, others from when they are given away or back. The first result
    that comes for a subtree counts; what it gives back is known from then on.

    Parameters
    ----------
    limit : int, how many cells are wanted, the first ones of the search
    """

    def __init__(self, limit: int = NO_LIMIT) -> None:
        self.limit = limit
        self.known = [WHOLE.path]
        self.results: dict[bytes, TaskResult] = {}
        self._paths = {WHOLE.path}
        self._front, self._front_cells = 0, 0  # known subtrees that are done from the first on, their cells
        self._front_is_cut = False  # whether the limit has left cells out of one of them

    def add(self, task: Task) -> None:
        """Note a subtree that was given away by the run of one that is known."""
        insort(self.known, task.path)
        self._paths.add(task.path)

    def enter(self, result: TaskResult) -> bool:
        """Enter a result; returns False, and changes nothing, if that subtree is done, or not known."""
        if result.path in self.results or result.path not in self._paths:
            return False
        self.results[result.path] = result
        for task in result.remainder:
            self.add(task)
        return True

    @property
    def is_complete(self) -> bool:
        """Whether every known subtree is done."""
        return len(self.results) == len(self.known)

    def first(self) -> tuple[int, bytes | None]:
        """Return how many cells are in the first subtrees that are done, and the path of the next, if any."""
        while self._front < len(self.known):
            done = self.results.get(self.known[self._front])
            if done is None:
                return self._front_cells, self.known[self._front]
            self._front_cells += done.cells
            self._front_is_cut = self._front_is_cut or not done.complete
            self._front += 1
        return self._front_cells, None

    def has_enough(self, found: int = 0) -> bool:
        """Tell whether the limit leaves cells out; no more need be searched then.

        As many cells as are allowed do not tell: they may be all there are, though their search is not over.

        Parameters
        ----------
        found : cells found so far in the first subtree that is not done
        """
        return self.first()[0] + found > self.limit or self._front_is_cut

    def outcome(self, make: MakeSearch, mode: Mode) -> Outcome:
        """Return the results in order, with the first cells of the search that the limit allows."""
        ordered: list[TaskResult] = []
        left, complete = self.limit, self.is_complete
        for path in self.known:
            result = self.results.get(path)
            if result is None:
                continue
            if result.cells > left:
                ordered.append(_first_cells(make, mode, Task(path), left))
                return Outcome(ordered, False)
            left -= result.cells
            ordered.append(result)
            complete = complete and result.complete
        return Outcome(ordered, complete)


def _first_cells(make: MakeSearch, mode: Mode, task: Task, limit: int) -> TaskResult:
    """Search a task again, for so many cells."""
    search = make(mode)
    search.start(task, limit)
    while (status := search.step(NO_LIMIT)) in (Status.FLUSH, Status.PAUSED):
        if status == Status.FLUSH:
            search.keep_output()
    result = search.close(status)
    search.release()
    return result
