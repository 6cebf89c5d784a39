"""Calls the functions of `kernels.blocks`, which take entries of a table."""

from typing import Any

import numpy as np
from numba import njit

from regions.kernels.memory.blocks import advance, bend, combine, nearest
from regions.kernels.memory.pointers import fp
from regions.kernels.memory.table import ENTRY, HEADER, fill_entry


@njit
def _all(t: Any, count: int, n: int) -> int:
    edges, move, factors, out = fp(t, 0), fp(t, 1), fp(t, 2), fp(t, 3)
    weights, slacks, speeds = fp(t, 4), fp(t, 5), fp(t, 6)
    combine(edges, n, move, count, out, n)
    bend(edges, n, factors, move, count, weights, n)
    row = nearest(slacks, speeds, 0.1, n)
    advance(slacks, speeds, 0.25, n)
    return row


def call_blocks(arrays: Any, count: int, n: int) -> int:
    """Combine, bend, nearest and advance once each; the row of `nearest`."""
    table = np.zeros(HEADER + ENTRY * len(arrays), np.int64)
    for entry, array in enumerate(arrays):
        fill_entry(table, entry, array)
    return int(_all(table, count, n))
