"""What numba makes of the machine operations in `bits`."""

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import intrinsic


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


@intrinsic
def scale_of(typingctx, x):  # type: ignore[no-untyped-def]
    """The power of two, from 2**-900 to 2**900, that brings x > 0 to [0.5, 1) or as near as it can."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        word, kind = ir.IntType(64), args[0].type
        stored = builder.lshr(builder.bitcast(args[0], word), word(52))  # of 2**(stored - 1023) <= x
        for sign, end in (("<", word(1022 - 900)), (">", word(1022 + 900))):
            stored = builder.select(builder.icmp_unsigned(sign, stored, end), end, stored)
        return builder.bitcast(builder.shl(builder.sub(word(1023 + 1022), stored), word(52)), kind)

    return types.float64(types.float64), codegen


@intrinsic
def float_bits(typingctx, x):  # type: ignore[no-untyped-def]
    """The 64 bits of a float, as an int64."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        return builder.bitcast(args[0], ir.IntType(64))

    return types.int64(types.float64), codegen
