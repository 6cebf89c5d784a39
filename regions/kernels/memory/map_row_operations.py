"""What numba makes of the loops in `map_rows`: vector instructions, written out."""

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from regions.kernels.memory.bits import SMALLEST
from regions.kernels.memory.map_rows import BLOCK, ENLARGED, LARGEST_SINGLE, SINGLE_BLOCK

VECTOR = ir.VectorType(ir.DoubleType(), BLOCK)
SINGLES = ir.VectorType(ir.FloatType(), SINGLE_BLOCK)
AHEAD = 6  # units whose columns are asked for before they are needed; `units` has room for them
EIGHT = ir.VectorType(ir.FloatType(), 8)
WORD = ir.IntType(64)
POINTER = types.CPointer(types.float64)
INTEGERS = types.CPointer(types.int64)
WORDS = types.CPointer(types.uint64)
SINGLE_POINTER = types.CPointer(types.float32)


def _constant(number, vector=VECTOR):  # type: ignore[no-untyped-def]
    return ir.Constant(vector, [number] * vector.count)


def _splat(builder, number, vector=VECTOR):  # type: ignore[no-untyped-def]
    undefined = ir.Constant(vector, ir.Undefined)
    one = builder.insert_element(undefined, number, ir.IntType(32)(0))
    lanes = ir.Constant(ir.VectorType(ir.IntType(32), vector.count), [0] * vector.count)
    return builder.shuffle_vector(one, undefined, lanes)


def _place(builder, pointer, at, vector=VECTOR):  # type: ignore[no-untyped-def]
    return builder.bitcast(builder.gep(pointer, [at]), vector.as_pointer())


def _load(builder, pointer, at, vector=VECTOR):  # type: ignore[no-untyped-def]
    return builder.load(_place(builder, pointer, at, vector), align=4)


def _store(builder, value, pointer, at, vector=VECTOR):  # type: ignore[no-untyped-def]
    builder.store(value, _place(builder, pointer, at, vector), align=4)


def _one(builder, pointer, at, vector=VECTOR):  # type: ignore[no-untyped-def]
    return _splat(builder, builder.load(builder.gep(pointer, [at])), vector)


def _called(builder, name, arguments):  # type: ignore[no-untyped-def]
    vector = arguments[0].type
    kind = ir.FunctionType(vector, [vector] * len(arguments))
    suffix = f"v{vector.count}f{64 if vector == VECTOR else 32}"
    return builder.call(
        cgutils.get_or_insert_function(builder.module, kind, f"llvm.{name}.{suffix}"), arguments
    )


def _fma(builder, a, b, c):  # type: ignore[no-untyped-def]
    return _called(builder, "fma", [a, b, c])


def _abs(builder, a):  # type: ignore[no-untyped-def]
    return _called(builder, "fabs", [a])


def _row(builder, at, length, i):  # type: ignore[no-untyped-def]
    """The first entry of row i of the map at `at`."""
    return builder.add(at, builder.mul(length, i))


def _blocks(builder, n, lanes=BLOCK):  # type: ignore[no-untyped-def]
    return cgutils.for_range_slice(builder, WORD(0), n, WORD(lanes), WORD)


def _put_bits(builder, mask, word, lane):  # type: ignore[no-untyped-def]
    """Add the bits of a mask to a word, from bit `lane` on."""
    bits = builder.zext(builder.bitcast(mask, ir.IntType(mask.type.count)), WORD)
    builder.store(builder.or_(builder.load(word), builder.shl(bits, lane)), word)


def _for_words(builder, n, bits, words, above, undecided, lanes, screen):  # type: ignore[no-untyped-def]
    """Screen n units, 64 at a time, in blocks of `lanes`: `screen(k, lane)` fills `above` and `undecided`."""
    with cgutils.for_range_slice(builder, WORD(0), n, WORD(64), WORD) as (first, _):
        builder.store(WORD(0), above)
        builder.store(WORD(0), undecided)
        left = builder.sub(n, first)
        count = builder.select(builder.icmp_signed("<", left, WORD(64)), left, WORD(64))
        with _blocks(builder, count, lanes) as (lane, _):
            screen(builder.add(first, lane), lane)
        inside = builder.lshr(WORD(-1), builder.sub(WORD(64), count))
        at_word = builder.lshr(first, WORD(6))
        for word, place in ((above, at_word), (undecided, builder.add(words, at_word))):
            builder.store(builder.and_(builder.load(word), inside), builder.gep(bits, [place]))


@intrinsic
def begin_rows(typingctx, maps, at, length, d, biases, first, gamma, lost, n):  # type: ignore[no-untyped-def]
    """Set a map to its biases."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        maps, at, length, d, biases, first, gamma, lost, n = args
        constant = _row(builder, at, length, d)
        error = builder.add(constant, length)
        gammas, losses = _splat(builder, gamma), _splat(builder, lost)
        with cgutils.for_range(builder, d) as loop, _blocks(builder, n) as (k, _):
            _store(builder, _constant(0.0), maps, builder.add(_row(builder, at, length, loop.index), k))
        with _blocks(builder, n) as (k, _):
            bias = _load(builder, biases, builder.add(first, k))
            _store(builder, bias, maps, builder.add(constant, k))
            size = _fma(builder, gammas, _abs(builder, bias), losses)
            _store(builder, size, maps, builder.add(error, k))
        return context.get_dummy_value()

    i64, f64 = types.int64, types.float64
    return types.void(POINTER, i64, i64, i64, POINTER, i64, f64, f64, i64), codegen


def _add_to_rows(builder, maps, rows, weights, start, units, count, n):  # type: ignore[no-untyped-def]
    """Add listed units to some rows in one pass; each is (place of its row, of the other, whether sizes)."""
    with _blocks(builder, n) as (k, _):
        first = builder.add(start, k)
        totals = [cgutils.alloca_once(builder, VECTOR) for _ in rows]
        for total, (_, high, _) in zip(totals, rows, strict=True):
            builder.store(_load(builder, maps, builder.add(high, k)), total)
        with cgutils.for_range(builder, count) as loop:
            unit = builder.load(builder.gep(units, [loop.index]))
            column = _load(builder, weights, builder.add(first, builder.mul(unit, n)))
            for total, (low, _, sizes) in zip(totals, rows, strict=True):
                factor = _one(builder, maps, builder.add(low, unit))
                weight = _abs(builder, column) if sizes else column
                builder.store(_fma(builder, weight, factor, builder.load(total)), total)
        for total, (_, high, _) in zip(totals, rows, strict=True):
            _store(builder, builder.load(total), maps, builder.add(high, k))


@intrinsic
def add_columns(typingctx, maps, low, high, length, d, weights, start, units, count, n):  # type: ignore[no-untyped-def]
    """Add `count` listed units of the map at `low`, times their columns of weights, to that at `high`."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        maps, low, high, length, d, weights, start, units, count, n = args

        def row(i, sizes=False):  # type: ignore[no-untyped-def]
            above = builder.add(i, WORD(1)) if sizes else i
            return _row(builder, low, length, above), _row(builder, high, length, i), sizes

        def add(rows):  # type: ignore[no-untyped-def]
            _add_to_rows(builder, maps, rows, weights, start, units, count, n)

        error = builder.add(d, WORD(1))
        with builder.if_else(builder.icmp_signed("==", d, WORD(2))) as (plane, others):
            with plane:  # as many rows as registers hold
                add([row(WORD(0)), row(WORD(1)), row(WORD(2)), row(WORD(3), True)])
            with others:
                add([row(WORD(0)), row(WORD(1)), row(error, True)])
                with cgutils.for_range_slice(builder, WORD(2), error, WORD(1), WORD) as (i, _):
                    add([row(i)])
        return context.get_dummy_value()

    i64 = types.int64
    return types.void(POINTER, i64, i64, i64, i64, POINTER, i64, INTEGERS, i64, i64), codegen


def _copy_adding(sizes):  # type: ignore[no-untyped-def]
    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        maps, old, new, weights, start, factor, n = args
        factors = _splat(builder, factor)
        with _blocks(builder, n) as (k, _):
            column = _load(builder, weights, builder.add(start, k))
            weight = _abs(builder, column) if sizes else column
            before = _load(builder, maps, builder.add(old, k))
            _store(builder, _fma(builder, weight, factors, before), maps, builder.add(new, k))
        return context.get_dummy_value()

    i64 = types.int64
    return types.void(POINTER, i64, i64, POINTER, i64, types.float64, i64), codegen


@intrinsic
def copy_adding(typingctx, maps, old, new, weights, start, factor, n):  # type: ignore[no-untyped-def]
    """Set the row at `new` to that at `old` plus `factor` times the weights from `start` on."""
    return _copy_adding(False)


@intrinsic
def copy_adding_sizes(typingctx, maps, old, new, weights, start, factor, n):  # type: ignore[no-untyped-def]
    """Do what `copy_adding` does, with the sizes of the weights."""
    return _copy_adding(True)


def _by_dimension(builder, d, emit):  # type: ignore[no-untyped-def]
    """Write a loop twice: for the plane, where the axes are unrolled, and for any dimension.

    `emit(axes)` writes it; `axes(visit)` writes what `visit` does with each axis.
    """

    def unrolled(visit):  # type: ignore[no-untyped-def]
        for i in range(2):
            visit(WORD(i))

    def looped(visit):  # type: ignore[no-untyped-def]
        with cgutils.for_range(builder, d) as loop:
            visit(loop.index)

    with builder.if_else(builder.icmp_signed("==", d, WORD(2))) as (plane, others):
        with plane:
            emit(unrolled)
        with others:
            emit(looped)


@intrinsic
def pass_errors(typingctx, maps, at, length, d, gamma, extent, n):  # type: ignore[no-untyped-def]
    """Set row d + 2: ENLARGED * error + gamma * |constant| + extent * 1-norm."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        maps, at, length, d, gamma, extent, n = args
        constant = _row(builder, at, length, d)
        error = builder.add(constant, length)
        passed = builder.add(error, length)
        gammas, extents = _splat(builder, gamma), _splat(builder, extent)
        total = cgutils.alloca_once(builder, VECTOR)

        def emit(axes):  # type: ignore[no-untyped-def]
            with _blocks(builder, n) as (k, _):
                size = _abs(builder, _load(builder, maps, builder.add(constant, k)))
                own = builder.fmul(_load(builder, maps, builder.add(error, k)), _constant(ENLARGED))
                builder.store(_fma(builder, gammas, size, own), total)

                def visit(i):  # type: ignore[no-untyped-def]
                    size = _abs(builder, _load(builder, maps, builder.add(_row(builder, at, length, i), k)))
                    builder.store(_fma(builder, extents, size, builder.load(total)), total)

                axes(visit)
                _store(builder, builder.load(total), maps, builder.add(passed, k))

        _by_dimension(builder, d, emit)
        return context.get_dummy_value()

    i64, f64 = types.int64, types.float64
    return types.void(POINTER, i64, i64, i64, f64, f64, i64), codegen


@intrinsic
def screen_rows(typingctx, maps, at, length, d, box, scale, gamma, n, bits, words):  # type: ignore[no-untyped-def]
    """Say which of n units are positive in a whole box (in `bits`), and which may be 0 (`words` behind)."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        maps, at, length, d, box, scale, gamma, n, bits, words = args
        constant = _row(builder, at, length, d)
        error = builder.add(constant, length)
        gammas = _splat(builder, gamma)
        value, size = cgutils.alloca_once(builder, VECTOR), cgutils.alloca_once(builder, VECTOR)
        above, undecided = cgutils.alloca_once(builder, WORD), cgutils.alloca_once(builder, WORD)

        def screen(axes, k, lane):  # type: ignore[no-untyped-def]
            offset = _load(builder, maps, builder.add(constant, k))
            builder.store(offset, value)
            own = builder.fadd(_load(builder, maps, builder.add(error, k)), _constant(SMALLEST))
            builder.store(_fma(builder, gammas, _abs(builder, offset), own), size)

            def visit(i):  # type: ignore[no-untyped-def]
                factor = _load(builder, maps, builder.add(_row(builder, at, length, i), k))
                half = builder.load(builder.gep(box, [builder.add(d, i)]))
                half = _splat(builder, builder.fadd(half, scale))
                builder.store(_fma(builder, factor, _one(builder, box, i), builder.load(value)), value)
                builder.store(_fma(builder, _abs(builder, factor), half, builder.load(size)), size)

            axes(visit)
            bound, found = builder.fmul(builder.load(size), _constant(ENLARGED)), builder.load(value)
            plus = builder.fcmp_ordered(">", found, bound)
            minus = builder.fcmp_ordered("<", found, builder.fneg(bound))
            _put_bits(builder, plus, above, lane)
            _put_bits(builder, builder.not_(builder.or_(plus, minus)), undecided, lane)

        def emit(axes):  # type: ignore[no-untyped-def]
            _for_words(
                builder, n, bits, words, above, undecided, BLOCK, lambda k, lane: screen(axes, k, lane)
            )

        _by_dimension(builder, d, emit)
        return context.get_dummy_value()

    i64, f64 = types.int64, types.float64
    return types.void(POINTER, i64, i64, i64, POINTER, f64, f64, i64, WORDS, i64), codegen


@intrinsic
def squares_of_errors(typingctx, maps, at, length, share, extent, n):  # type: ignore[no-untyped-def]
    """Sum (error + share * (|constant| + extent * 1-norm))**2 over the n units of a map of two axes."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        maps, at, length, share, extent, n = args
        shares, extents = _splat(builder, share), _splat(builder, extent)
        total = cgutils.alloca_once(builder, VECTOR)
        builder.store(_constant(0.0), total)
        words = ir.VectorType(WORD, BLOCK)
        lanes = ir.Constant(words, list(range(BLOCK)))
        with _blocks(builder, n) as (k, _):
            x, y, constant, error = (
                _load(builder, maps, builder.add(_row(builder, at, length, WORD(i)), k)) for i in range(4)
            )
            norm = builder.fadd(_abs(builder, x), _abs(builder, y))
            size = _fma(builder, shares, _fma(builder, extents, norm, _abs(builder, constant)), error)
            left = _splat(builder, builder.sub(n, k), words)
            inside = builder.icmp_signed("<", lanes, left)
            size = builder.select(inside, size, _constant(0.0))
            builder.store(_fma(builder, size, size, builder.load(total)), total)
        parts = builder.load(total)
        result = ir.DoubleType()(0.0)
        for lane in range(BLOCK):
            result = builder.fadd(result, builder.extract_element(parts, ir.IntType(32)(lane)))
        return result

    i64, f64 = types.int64, types.float64
    return types.float64(POINTER, i64, i64, f64, f64, i64), codegen


@intrinsic
def begin_single_rows(typingctx, maps, at, length, biases):  # type: ignore[no-untyped-def]
    """Set a map in single precision, of two coordinates, to the biases: rows of `length`."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        maps, at, length, biases = args
        with _blocks(builder, length, SINGLE_BLOCK) as (k, _):
            for i in range(2):
                row = builder.add(_row(builder, at, length, WORD(i)), k)
                _store(builder, _constant(0.0, SINGLES), maps, row, SINGLES)
            row = builder.add(_row(builder, at, length, WORD(2)), k)
            _store(builder, _load(builder, biases, k, SINGLES), maps, row, SINGLES)
        return context.get_dummy_value()

    i64 = types.int64
    return types.void(SINGLE_POINTER, i64, i64, SINGLE_POINTER), codegen


def _prefetch(builder, weights, units, u, length, k):  # type: ignore[no-untyped-def]
    """Ask for a column's block early: which units are listed is nothing that a processor could guess."""
    unit = builder.load(builder.gep(units, [u]))
    byte = ir.IntType(8).as_pointer()
    flag = ir.IntType(32)
    kind = ir.FunctionType(ir.VoidType(), [byte, flag, flag, flag])
    function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
    first = builder.add(builder.mul(unit, length), k)
    for line in range(0, SINGLE_BLOCK, 16):
        place = builder.gep(weights, [builder.add(first, WORD(line))])
        builder.call(function, [builder.bitcast(place, byte), flag(0), flag(3), flag(1)])


@intrinsic
def add_single_columns(typingctx, maps, old, new, length, factors, weights, units, count):  # type: ignore[no-untyped-def]
    """Set the map at `new`, in single precision, to that at `old` plus listed units times `factors`."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        maps, old, new, length, factors, weights, units, count = args
        parts = range(0, SINGLE_BLOCK, EIGHT.count)
        # three rows of a block in registers, and one part of a column at a time: as many as there are
        totals = [[cgutils.alloca_once(builder, EIGHT) for _ in range(3)] for _ in parts]

        def places(at, k):  # type: ignore[no-untyped-def]
            for part, row in zip(parts, totals, strict=True):
                for i, total in enumerate(row):
                    place = builder.add(_row(builder, at, length, WORD(i)), builder.add(k, WORD(part)))
                    yield total, place

        with _blocks(builder, length, SINGLE_BLOCK) as (k, _):
            for total, place in places(old, k):
                builder.store(_load(builder, maps, place, EIGHT), total)
            with cgutils.for_range(builder, count) as loop:
                unit = builder.load(builder.gep(units, [loop.index]))
                column = builder.add(builder.mul(unit, length), k)
                first = builder.mul(loop.index, WORD(3))
                _prefetch(builder, weights, units, builder.add(loop.index, WORD(AHEAD)), length, k)
                spread = [_one(builder, factors, builder.add(first, WORD(i)), EIGHT) for i in range(3)]
                for part, row in zip(parts, totals, strict=True):
                    weight = _load(builder, weights, builder.add(column, WORD(part)), EIGHT)
                    for factor, total in zip(spread, row, strict=True):
                        builder.store(_fma(builder, weight, factor, builder.load(total)), total)
            for total, place in places(new, k):
                _store(builder, builder.load(total), maps, place, EIGHT)
        return context.get_dummy_value()

    i64, single = types.int64, SINGLE_POINTER
    return types.void(single, i64, i64, i64, single, single, INTEGERS, i64), codegen


@intrinsic
def screen_single_rows(typingctx, maps, at, length, norms, box, spread, n, bits, words):  # type: ignore[no-untyped-def]
    """Do what `screen_rows` does for a map in single precision, of two coordinates."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        maps, at, length, norms, box, spread, n, bits, words = args
        single = ir.FloatType()
        spreads = _splat(builder, builder.fptrunc(spread, single), SINGLES)
        sides = [_splat(builder, builder.load(builder.gep(box, [WORD(i)])), SINGLES) for i in range(4)]
        above, undecided = cgutils.alloca_once(builder, WORD), cgutils.alloca_once(builder, WORD)

        def screen(k, lane):  # type: ignore[no-untyped-def]
            x, y, value = (
                _load(builder, maps, builder.add(_row(builder, at, length, WORD(i)), k), SINGLES)
                for i in range(3)
            )
            value = _fma(builder, y, sides[1], _fma(builder, x, sides[0], value))
            size = builder.fmul(spreads, _load(builder, norms, k, SINGLES))
            size = _fma(builder, _abs(builder, x), sides[2], size)
            size = _fma(builder, _abs(builder, y), sides[3], size)
            sure = builder.fcmp_ordered(">", _abs(builder, value), size)
            finite = builder.fcmp_ordered("<", _abs(builder, value), _constant(LARGEST_SINGLE, SINGLES))
            sure = builder.and_(sure, finite)
            plus = builder.fcmp_ordered(">", value, _constant(0.0, SINGLES))
            _put_bits(builder, builder.and_(sure, plus), above, lane)
            _put_bits(builder, builder.not_(sure), undecided, lane)

        _for_words(builder, n, bits, words, above, undecided, SINGLE_BLOCK, screen)
        return context.get_dummy_value()

    i64, single = types.int64, SINGLE_POINTER
    return types.void(single, i64, i64, single, single, types.float64, i64, WORDS, i64), codegen
