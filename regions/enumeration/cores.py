"""The cores that a process may use: how many threads a search takes by default, and loops on threads."""

from __future__ import annotations

import numbers
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

from regions.errors import InvalidInputError

Found = TypeVar("Found")

LEAST_SHARE = 1 << 14  # elements that are worth a thread
_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def worker_count(workers: int | None) -> int:
    """Return the number of threads to use: as given, or one per core that the process may use.

    Raises
    ------
    InvalidInputError
        If it is less than one.
    """
    if workers is None:
        return usable_cores()
    if not isinstance(workers, numbers.Integral) or workers < 1:
        raise InvalidInputError(f"workers={workers}; give a whole number from 1, or None for one per core")
    return int(workers)


def usable_cores() -> int:
    """Return the cores that the process may use: by its affinity, and by its container's share of time."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = _QUOTA.read_text().split()
        share = -(-int(quota) // int(period))
    except (OSError, ValueError):  # no container, or "max": no limit
        return cores
    return max(1, min(cores, share))


def shares(n: int, workers: int) -> list[tuple[int, int]]:
    """Cut range(n) into parts for so many threads, one where it is short.

    Examples
    --------
    >>> shares(10, 4), shares(100_000, 3)
    ([(0, 10)], [(0, 33333), (33333, 66666), (66666, 100000)])
    """
    parts = max(1, min(workers, n // LEAST_SHARE))
    return list(pairwise(n * k // parts for k in range(parts + 1)))


def on_threads(
    workers: int, function: Callable[..., Found], arguments: Sequence[tuple[int, ...]]
) -> list[Found]:
    """Call a function with each of these arguments, on so many threads; returns the results in order."""
    if workers == 1 or len(arguments) == 1:
        return [function(*each) for each in arguments]
    with ThreadPoolExecutor(min(workers, len(arguments))) as pool:
        return list(pool.map(lambda each: function(*each), arguments))
