"""How many cores a process may use, which is how many threads a search takes by default."""

from __future__ import annotations

import numbers
import os
from pathlib import Path

from regions.errors import InvalidInputError

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
