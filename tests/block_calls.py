"""Calls the functions of `kernels.memory.blocks`, which take arrays of a search as bare addresses."""

from typing import Any

from numba import njit

from regions.kernels.memory.blocks import advance, bend, combine, nearest
from regions.kernels.memory.layouts import Layout, floats

NAMES = ("edges", "move", "factors", "out", "weights", "slacks", "speeds")
AXES = {name: "rows, entries" if name == "edges" else "entries" for name in NAMES}
CALLS = Layout("BlockCalls", {}, {}, {name: floats(axes, "an argument") for name, axes in AXES.items()})


@njit
def _all(calls: Any, count: int, n: int) -> int:
    combine(calls.flat_edges, n, calls.flat_move, count, calls.flat_out, n)
    bend(calls.flat_edges, n, calls.flat_factors, calls.flat_move, count, calls.flat_weights, n)
    row = nearest(calls.flat_slacks, calls.flat_speeds, 0.1, n)
    advance(calls.flat_slacks, calls.flat_speeds, 0.25, n)
    return row


def call_blocks(arrays: Any, count: int, n: int) -> int:
    """Combine, bend, nearest and advance once each; the row of `nearest`."""
    return int(_all(CALLS.make(dict(zip(NAMES, arrays, strict=True))), count, n))
