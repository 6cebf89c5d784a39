"""Machine operations that numba does not offer by itself (bit counts, fused multiply-add), and constants.

With `NUMBA_DISABLE_JIT=1` the same names are plain Python functions.
"""

from typing import Any

import numpy as np
from numba import config, types
from numba.extending import intrinsic

ONE = np.uint64(1)
ZERO = np.uint64(0)
SMALLEST = 2.0**-1000  # far above what underflow can lose, far below any length that matters

if config.DISABLE_JIT:

    def popcount(word: Any) -> int:
        """Number of set bits of a uint64 word."""
        return int(word).bit_count()

    def trailing_zeros(word: Any) -> int:
        """Index of the lowest set bit of a nonzero uint64 word."""
        return (int(word) & -int(word)).bit_length() - 1

    def fma(a: float, b: float, c: float) -> float:
        """a * b + c; compiled it is rounded once, here twice: both within the error bounds."""
        return a * b + c

else:

    @intrinsic
    def popcount(typingctx, word):  # type: ignore[no-untyped-def]
        """Number of set bits of a uint64 word."""

        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            return builder.ctpop(args[0])

        return types.int64(types.uint64), codegen

    @intrinsic
    def trailing_zeros(typingctx, word):  # type: ignore[no-untyped-def]
        """Index of the lowest set bit of a nonzero uint64 word."""

        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            return builder.cttz(args[0], context.get_constant(types.boolean, True))

        return types.int64(types.uint64), codegen

    @intrinsic
    def fma(typingctx, a, b, c):  # type: ignore[no-untyped-def]
        """a * b + c, rounded once."""

        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            return builder.fma(*args)

        return types.float64(types.float64, types.float64, types.float64), codegen
