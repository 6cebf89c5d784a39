"""Bit operations on uint64 words that numba does not offer by itself.

With `NUMBA_DISABLE_JIT=1` the same names are plain Python functions.
"""

from typing import Any

from numba import config, types
from numba.extending import intrinsic

if config.DISABLE_JIT:

    def popcount(word: Any) -> int:
        """Number of set bits of a uint64 word."""
        return int(word).bit_count()

    def trailing_zeros(word: Any) -> int:
        """Index of the lowest set bit of a nonzero uint64 word."""
        return (int(word) & -int(word)).bit_length() - 1

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
