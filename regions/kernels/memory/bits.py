"""Machine operations that numba does not offer by itself (bit counts, fused multiply-add), and constants.

With `NUMBA_DISABLE_JIT=1` the same names are plain Python functions.
"""

import math
import struct
from typing import Any

import numpy as np

from regions.kernels.memory.compiling import JIT_DISABLED, Operation

ONE = np.uint64(1)
ZERO = np.uint64(0)
SMALLEST = 2.0**-1000  # far above what underflow can lose, far below any length that matters

if JIT_DISABLED:

    def popcount(word: Any) -> int:
        """Number of set bits of a uint64 word."""
        return int(word).bit_count()

    def trailing_zeros(word: Any) -> int:
        """Index of the lowest set bit of a nonzero uint64 word."""
        return (int(word) & -int(word)).bit_length() - 1

    def fma(a: float, b: float, c: float) -> float:
        """a * b + c; compiled it is rounded once, here twice: both within the error bounds."""
        return a * b + c

    def scale_of(x: float) -> float:
        """The power of two, from 2**-900 to 2**900, that brings x > 0 to [0.5, 1) or as near as it can."""
        return math.ldexp(1.0, -max(-900, min(900, math.frexp(x)[1])))

    def float_bits(x: float) -> int:
        """The 64 bits of a float, as an int64."""
        return int(struct.unpack("<q", struct.pack("<d", x))[0])

else:
    _NUMBA = "regions.kernels.memory.bit_operations"
    popcount, trailing_zeros, fma, scale_of, float_bits = (
        Operation(_NUMBA, name) for name in ("popcount", "trailing_zeros", "fma", "scale_of", "float_bits")
    )
