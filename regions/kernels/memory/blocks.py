"""Loops over short rows of floats in blocks of eight: vector instructions at any length.

numba's loops use vector instructions from sixteen passes on; the rows of a linear program in 4 to 20
variables are about as short as that, and mostly went one number at a time. Lengths here are multiples of
BLOCK: rows are padded. Under `NUMBA_BOUNDSCHECK=1` and `NUMBA_DISABLE_JIT=1` these are plain loops.

Nothing that is computed here is believed: sums may be fused and in any order.
"""

from typing import Any

from regions.kernels.memory.compiling import BOUNDS_CHECKED, JIT_DISABLED, Operation, part

BLOCK = 8

if JIT_DISABLED or BOUNDS_CHECKED:

    @part
    def combine(columns: Any, stride: int, factors: Any, count: int, out: Any, n: int) -> None:
        """out[:n] = sum over j < count of factors[j] * columns[j * stride :][:n]."""
        for i in range(n):
            out[i] = 0.0
        for j in range(count):
            for i in range(n):
                out[i] += columns[j * stride + i] * factors[j]

    @part
    def bend(edges: Any, stride: int, factors: Any, move: Any, count: int, weights: Any, n: int) -> None:
        """edges[j, k] -= factors[k] * move[j], and weights[k] = 1 / |edges[:, k]|^2, for k < n."""
        for k in range(n):
            square = 0.0
            for j in range(count):
                edges[j * stride + k] -= factors[k] * move[j]
                square += edges[j * stride + k] ** 2
            weights[k] = 1.0 / (square + 1e-300)

    @part
    def nearest(slacks: Any, speeds: Any, tolerance: float, n: int) -> int:
        """The row with the least max(slack, 0) / speed of those with speed > tolerance; -1 if none."""
        row, least = -1, 1e300
        for i in range(n):
            if speeds[i] > tolerance:
                at = max(slacks[i], 0.0) / speeds[i]
                if at < least:
                    row, least = i, at
        return row

    @part
    def advance(slacks: Any, speeds: Any, step: float, n: int) -> None:
        """slacks[:n] -= step * speeds[:n]."""
        for i in range(n):
            slacks[i] -= step * speeds[i]

else:
    _NUMBA = "regions.kernels.memory.block_operations"
    combine, bend, nearest, advance = (
        Operation(_NUMBA, name) for name in ("combine", "bend", "nearest", "advance")
    )
