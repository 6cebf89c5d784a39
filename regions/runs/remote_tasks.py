"""Tasks of a run on an executor's workers, each in the place of a search by a thread of this process.

The file of tasks stays with this process, which takes tasks, waits for their results and enters them; so
workers on other machines need no access to the folder.
"""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, CancelledError, Executor

from regions.enumeration.executors import (
    LOST,
    MOST_SECONDS,
    SENT_ALONG,
    Done,
    Order,
    Problem,
    carry_out,
    own_version,
)
from regions.enumeration.search import Budget, Ending, Task, TaskResult
from regions.enumeration.spool import Spool
from regions.errors import InvalidInputError
from regions.kernels.memory.states import Mode

__all__ = ["RemoteSearch"]


class RemoteSearch:
    """Searches tasks on an executor, one at a time for each thread that calls it.

    Parameters
    ----------
    problem, mode : what is searched, and what for
    executor : whose workers search
    spool : Spool that cells go to, None where none are listed
    """

    def __init__(self, problem: Problem, mode: Mode, executor: Executor, spool: Spool | None) -> None:
        self.payload = pickle.dumps(problem)
        self.key = hashlib.sha256(self.payload).hexdigest()
        self.version, self.mode, self.executor, self.spool = own_version(), mode, executor, spool

    def twins(self) -> Callable[[], RemoteSearch]:
        """Return what gives other threads this search: it keeps nothing."""
        return lambda: self

    def release(self) -> None:
        """End nothing: the executor is the caller's."""

    def run(self, task: Task, budget: Budget, stop: Ending) -> TaskResult:
        """Have a task searched for two seconds at most, and return what was found.

        Raises
        ------
        InvalidInputError
            If the workers are lost, or have another version of the package.
        """
        seconds = min(budget.seconds, MOST_SECONDS)
        small = len(self.payload) <= SENT_ALONG
        for payload in (self.payload,) if small else (None, self.payload):
            order = Order(self.version, self.key, payload, self.mode, [task.path], seconds, budget.cells)
            found = self._carried_out(order)
            if found is not None:
                break
        if not found:
            raise InvalidInputError(
                "a worker was interrupted before it began; what was found is kept, and the run goes on when "
                "it is worked on again"
            )
        result = found[0].result
        if self.spool is not None:
            result.parts = list(self.spool.store(result.parts))
        return result

    def _carried_out(self, order: Order) -> list[Done] | None:
        try:
            return self.executor.submit(carry_out, order).result()
        except Exception as error:
            if not isinstance(error, BrokenExecutor | CancelledError) and type(error).__name__ not in LOST:
                raise
            raise InvalidInputError(
                f"the workers of the executor are lost ({type(error).__name__}: {error}); what was found is "
                "kept, and the run goes on when it is worked on again"
            ) from error
