"""What numba makes of the loops in `blocks`: vector instructions, written out."""

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from regions.kernels.memory.blocks import BLOCK

VECTOR = ir.VectorType(ir.DoubleType(), BLOCK)
WORDS = ir.VectorType(ir.IntType(64), BLOCK)


def _splat(builder, number, vector=VECTOR):  # type: ignore[no-untyped-def]
    one = builder.insert_element(ir.Constant(vector, ir.Undefined), number, ir.IntType(32)(0))
    mask = ir.Constant(ir.VectorType(ir.IntType(32), BLOCK), [0] * BLOCK)
    return builder.shuffle_vector(one, ir.Constant(vector, ir.Undefined), mask)


def _place(builder, pointer, at):  # type: ignore[no-untyped-def]
    return builder.bitcast(builder.gep(pointer, [at]), VECTOR.as_pointer())


def _load(builder, pointer, at):  # type: ignore[no-untyped-def]
    return builder.load(_place(builder, pointer, at), align=8)


def _store(builder, value, pointer, at):  # type: ignore[no-untyped-def]
    builder.store(value, _place(builder, pointer, at), align=8)


def _one(builder, pointer, at):  # type: ignore[no-untyped-def]
    return _splat(builder, builder.load(builder.gep(pointer, [at])))


def _add_product(builder, a, b, c):  # type: ignore[no-untyped-def]
    kind = ir.FunctionType(VECTOR, [VECTOR] * 3)
    function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.fmuladd.v{BLOCK}f64")
    return builder.call(function, [a, b, c])


def _blocks(builder, n):  # type: ignore[no-untyped-def]
    return cgutils.for_range_slice(builder, n.type(0), n, n.type(BLOCK), n.type)


POINTER = types.CPointer(types.float64)


@intrinsic
def combine(typingctx, columns, stride, factors, count, out, n):  # type: ignore[no-untyped-def]
    """out[:n] = sum over j < count of factors[j] * columns[j * stride :][:n]."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        columns, stride, factors, count, out, n = args
        total = cgutils.alloca_once(builder, VECTOR)
        with _blocks(builder, n) as (at, _):
            builder.store(ir.Constant(VECTOR, [0.0] * BLOCK), total)
            with cgutils.for_range(builder, count) as loop:
                place = builder.add(builder.mul(loop.index, stride), at)
                block = _load(builder, columns, place)
                factor = _one(builder, factors, loop.index)
                builder.store(_add_product(builder, block, factor, builder.load(total)), total)
            _store(builder, builder.load(total), out, at)
        return context.get_dummy_value()

    i64 = types.int64
    return types.void(POINTER, i64, POINTER, i64, POINTER, i64), codegen


@intrinsic
def bend(typingctx, edges, stride, factors, move, count, weights, n):  # type: ignore[no-untyped-def]
    """edges[j, k] -= factors[k] * move[j], and weights[k] = 1 / |edges[:, k]|^2, for k < n."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        edges, stride, factors, move, count, weights, n = args
        square = cgutils.alloca_once(builder, VECTOR)
        with _blocks(builder, n) as (at, _):
            builder.store(ir.Constant(VECTOR, [1e-300] * BLOCK), square)
            minus = builder.fneg(_load(builder, factors, at))
            with cgutils.for_range(builder, count) as loop:
                place = builder.add(builder.mul(loop.index, stride), at)
                block = _load(builder, edges, place)
                block = _add_product(builder, minus, _one(builder, move, loop.index), block)
                _store(builder, block, edges, place)
                builder.store(_add_product(builder, block, block, builder.load(square)), square)
            inverse = builder.fdiv(ir.Constant(VECTOR, [1.0] * BLOCK), builder.load(square))
            _store(builder, inverse, weights, at)
        return context.get_dummy_value()

    i64 = types.int64
    return types.void(POINTER, i64, POINTER, POINTER, i64, POINTER, i64), codegen


@intrinsic
def nearest(typingctx, slacks, speeds, tolerance, n):  # type: ignore[no-untyped-def]
    """The row with the least max(slack, 0) / speed of those with speed > tolerance; -1 if none."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        slacks, speeds, tolerance, n = args
        least = cgutils.alloca_once(builder, VECTOR)
        where = cgutils.alloca_once(builder, WORDS)
        builder.store(ir.Constant(VECTOR, [1e300] * BLOCK), least)
        builder.store(ir.Constant(WORDS, [-1] * BLOCK), where)
        zero = ir.Constant(VECTOR, [0.0] * BLOCK)
        slow = _splat(builder, tolerance)
        with _blocks(builder, n) as (at, _):
            slack = _load(builder, slacks, at)
            slack = builder.select(builder.fcmp_ordered(">", slack, zero), slack, zero)
            speed = _load(builder, speeds, at)
            time = builder.fdiv(slack, speed)
            near = builder.fcmp_ordered("<", time, builder.load(least))
            near = builder.and_(near, builder.fcmp_ordered(">", speed, slow))
            builder.store(builder.select(near, time, builder.load(least)), least)
            here = _splat(builder, at, WORDS)
            builder.store(builder.select(near, here, builder.load(where)), where)
        times, blocks = builder.load(least), builder.load(where)
        row, best = ir.IntType(64)(-1), ir.DoubleType()(1e300)
        for lane in range(BLOCK):
            k = ir.IntType(32)(lane)
            time = builder.extract_element(times, k)
            at = builder.add(builder.extract_element(blocks, k), ir.IntType(64)(lane))
            nearer = builder.fcmp_ordered("<", time, best)
            row, best = builder.select(nearer, at, row), builder.select(nearer, time, best)
        return row

    return types.int64(POINTER, POINTER, types.float64, types.int64), codegen


@intrinsic
def advance(typingctx, slacks, speeds, step, n):  # type: ignore[no-untyped-def]
    """slacks[:n] -= step * speeds[:n]."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        slacks, speeds, step, n = args
        minus = _splat(builder, builder.fneg(step))
        with _blocks(builder, n) as (at, _):
            slack = _add_product(builder, minus, _load(builder, speeds, at), _load(builder, slacks, at))
            _store(builder, slack, slacks, at)
        return context.get_dummy_value()

    return types.void(POINTER, POINTER, types.float64, types.int64), codegen
