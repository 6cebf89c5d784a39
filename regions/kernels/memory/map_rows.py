"""Loops over the rows of a layer's affine map in blocks of units: the search's own vector instructions.

numba's loops over several arrays ask at run time whether these overlap, and keep nothing in registers
between them. Rows are as long as a multiple of BLOCK, in single precision of SINGLE_BLOCK: what stands
behind the last unit is never used. Under `NUMBA_BOUNDSCHECK=1` and `NUMBA_DISABLE_JIT=1` these are plain
loops. All arithmetic is plain IEEE; fused products round once less than the bounds allow for.

A map is given by the flat array of all maps, the place of its first entry and the length of its rows: the
rows 0 to d - 1 are coefficients, then constant, error, error passed on.
"""

from typing import Any

import numpy as np

from regions.kernels.memory.bits import ONE, SMALLEST, ZERO
from regions.kernels.memory.compiling import BOUNDS_CHECKED, JIT_DISABLED, Operation, part

BLOCK = 8
SINGLE_BLOCK = 32
LARGEST_SINGLE = 1e30  # beyond it, numbers of single precision may have overflowed on the way
ENLARGED = 1.000000001  # covers the rounding of the bounds themselves

if JIT_DISABLED or BOUNDS_CHECKED:

    @part
    def begin_rows(
        maps: Any, at: int, length: int, d: int, biases: Any, first: int, gamma: float, lost: float, n: int
    ) -> None:
        """Set a map to its biases."""
        for k in range(n):
            for i in range(d):
                maps[at + i * length + k] = 0.0
            maps[at + d * length + k] = biases[first + k]
            maps[at + (d + 1) * length + k] = gamma * abs(biases[first + k]) + lost

    @part
    def add_columns(
        maps: Any,
        low: int,
        high: int,
        length: int,
        d: int,
        weights: Any,
        start: int,
        units: Any,
        count: int,
        n: int,
    ) -> None:
        """Add `count` listed units of the map at `low`, times their columns of weights, to that at `high`.

        The error row takes the sizes of the weights times what a unit passes on.
        """
        for u in range(count):
            unit = units[u]
            for k in range(n):
                weight = weights[start + unit * n + k]
                for i in range(d + 1):
                    maps[high + i * length + k] += weight * maps[low + i * length + unit]
                maps[high + (d + 1) * length + k] += abs(weight) * maps[low + (d + 2) * length + unit]

    @part
    def copy_adding(maps: Any, old: int, new: int, weights: Any, start: int, factor: float, n: int) -> None:
        """Set the row at `new` to that at `old` plus `factor` times the weights from `start` on."""
        for k in range(n):
            maps[new + k] = maps[old + k] + weights[start + k] * factor

    @part
    def copy_adding_sizes(
        maps: Any, old: int, new: int, weights: Any, start: int, factor: float, n: int
    ) -> None:
        """Do what `copy_adding` does, with the sizes of the weights."""
        for k in range(n):
            maps[new + k] = maps[old + k] + abs(weights[start + k]) * factor

    @part
    def pass_errors(maps: Any, at: int, length: int, d: int, gamma: float, extent: float, n: int) -> None:
        """Set row d + 2: ENLARGED * error + gamma * |constant| + extent * 1-norm."""
        for k in range(n):
            passed = maps[at + (d + 1) * length + k] * ENLARGED + gamma * abs(maps[at + d * length + k])
            for i in range(d):
                passed += extent * abs(maps[at + i * length + k])
            maps[at + (d + 2) * length + k] = passed

    @part
    def screen_rows(
        maps: Any,
        at: int,
        length: int,
        d: int,
        box: Any,
        scale: float,
        gamma: float,
        n: int,
        bits: Any,
        words: int,
    ) -> None:
        """Say which of n units are positive in a whole box (in `bits`), and which may be 0 (`words` behind).

        `box` has the d coordinates of the middle, and then the d half-widths.
        """
        for w in range((n + 63) >> 6):
            bits[w] = ZERO
            bits[words + w] = ZERO
        for k in range(n):
            value = maps[at + d * length + k]
            size = gamma * abs(value) + maps[at + (d + 1) * length + k] + SMALLEST
            for i in range(d):
                factor = maps[at + i * length + k]
                value += factor * box[i]
                size += abs(factor) * (box[d + i] + scale)
            one = ONE << np.uint64(k & 63)
            if not abs(value) > ENLARGED * size:
                bits[words + (k >> 6)] |= one
            elif value > 0.0:
                bits[k >> 6] |= one

    @part
    def squares_of_errors(maps: Any, at: int, length: int, share: float, extent: float, n: int) -> float:
        """Sum (error + share * (|constant| + extent * 1-norm))**2 over the n units of a map of two axes."""
        total = 0.0
        for k in range(n):
            norm = abs(maps[at + k]) + abs(maps[at + length + k])
            size = abs(maps[at + 2 * length + k]) + extent * norm
            total += (maps[at + 3 * length + k] + share * size) ** 2
        return total

    @part
    def begin_single_rows(maps: Any, at: int, length: int, biases: Any) -> None:
        """Set a map in single precision, of two coordinates, to the biases: rows of `length`."""
        for k in range(length):
            maps[at + k] = 0.0
            maps[at + length + k] = 0.0
            maps[at + 2 * length + k] = biases[k]

    @part
    def add_single_columns(
        maps: Any, old: int, new: int, length: int, factors: Any, weights: Any, units: Any, count: int
    ) -> None:
        """Set the map at `new`, in single precision, to that at `old` plus listed units times `factors`.

        The maps are of two coordinates; each unit has three factors, one for a row.
        """
        for k in range(length):
            for i in range(3):
                total = maps[old + i * length + k]
                for u in range(count):
                    total += weights[units[u] * length + k] * factors[3 * u + i]
                maps[new + i * length + k] = total

    @part
    def screen_single_rows(
        maps: Any, at: int, length: int, norms: Any, box: Any, spread: float, n: int, bits: Any, words: int
    ) -> None:
        """Do what `screen_rows` does for a map in single precision, of two coordinates.

        Its bound is `sum_i |row_i| box[2 + i]` plus `spread` times a unit's entry of `norms`, and with the
        entries of `box` in single precision.
        """
        for w in range((n + 63) >> 6):
            bits[w] = ZERO
            bits[words + w] = ZERO
        for k in range(n):
            x, y = maps[at + k], maps[at + length + k]
            value = maps[at + 2 * length + k] + x * box[0] + y * box[1]
            size = np.float32(spread) * norms[k] + abs(x) * box[2] + abs(y) * box[3]
            one = ONE << np.uint64(k & 63)
            if not size < abs(value) < LARGEST_SINGLE:
                bits[words + (k >> 6)] |= one
            elif value > 0.0:
                bits[k >> 6] |= one

else:
    _NUMBA = "regions.kernels.memory.map_row_operations"
    begin_rows, add_columns, copy_adding, copy_adding_sizes, pass_errors, screen_rows = (
        Operation(_NUMBA, name)
        for name in (
            "begin_rows",
            "add_columns",
            "copy_adding",
            "copy_adding_sizes",
            "pass_errors",
            "screen_rows",
        )
    )
    squares_of_errors, begin_single_rows, add_single_columns, screen_single_rows = (
        Operation(_NUMBA, name)
        for name in ("squares_of_errors", "begin_single_rows", "add_single_columns", "screen_single_rows")
    )
