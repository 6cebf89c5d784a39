"""One table of int64 words stands for all arrays of a walk: address and shape of each.

A numba function that takes dozens of arrays passes some nine words for each of them at every call;
measured, that made the walk 20 times slower and its compilation take 100 seconds. Kernels therefore
take the table and look up the arrays that they use. Whoever fills a table keeps its arrays alive.
"""

import ctypes
from typing import Any

import numpy as np
from numba import carray, config, njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

I64 = NDArray[np.int64]

HEADER = 8  # words before the first entry: scalars
ENTRY = 4  # words of an entry: address, shape (up to three axes)


def fill_entry(table: I64, index: int, array: NDArray[Any]) -> None:
    """Write the address and shape of a C-contiguous array into a table.

    Raises
    ------
    ValueError
        If the array is not C-contiguous or has more than three axes.
    """
    axes = array.ndim
    if not array.flags.c_contiguous or axes > ENTRY - 1:
        raise ValueError(f"entry {index}: shape {array.shape}, contiguous {array.flags.c_contiguous}")
    at = HEADER + ENTRY * index
    address = array.__array_interface__["data"][0]  # .ctypes.data costs ten times as much
    table[at : at + ENTRY] = (address, *array.shape, *(1,) * (ENTRY - 1 - axes))


if config.DISABLE_JIT:

    def bare(table: I64) -> I64:
        """The same table; compiled, one without a reference count."""
        return table

    def _view(table: I64, index: int, axes: int, kind: Any) -> NDArray[Any]:
        at = HEADER + ENTRY * int(index)
        shape = tuple(int(n) for n in table[at + 1 : at + 1 + axes])
        size = int(np.prod(shape))
        if size == 0:
            return np.zeros(shape, kind)
        memory = (kind * size).from_address(int(table[at]))
        return np.ctypeslib.as_array(memory).reshape(shape)

    def f1(table: I64, index: int) -> NDArray[np.float64]:
        """Array `index` of a table: float64, one axis."""
        return _view(table, index, 1, ctypes.c_double)

    def f2(table: I64, index: int) -> NDArray[np.float64]:
        """Array `index` of a table: float64, two axes."""
        return _view(table, index, 2, ctypes.c_double)

    def f3(table: I64, index: int) -> NDArray[np.float64]:
        """Array `index` of a table: float64, three axes."""
        return _view(table, index, 3, ctypes.c_double)

    def i1(table: I64, index: int) -> NDArray[np.int64]:
        """Array `index` of a table: int64, one axis."""
        return _view(table, index, 1, ctypes.c_int64)

    def i2(table: I64, index: int) -> NDArray[np.int64]:
        """Array `index` of a table: int64, two axes."""
        return _view(table, index, 2, ctypes.c_int64)

    def u1(table: I64, index: int) -> NDArray[np.uint64]:
        """Array `index` of a table: uint64, one axis."""
        return _view(table, index, 1, ctypes.c_uint64)

    def u2(table: I64, index: int) -> NDArray[np.uint64]:
        """Array `index` of a table: uint64, two axes."""
        return _view(table, index, 2, ctypes.c_uint64)

    def u3(table: I64, index: int) -> NDArray[np.uint64]:
        """Array `index` of a table: uint64, three axes."""
        return _view(table, index, 3, ctypes.c_uint64)

else:

    @intrinsic
    def float_pointer(typingctx, address):  # type: ignore[no-untyped-def]
        """An address as a pointer to float64."""

        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            return builder.inttoptr(args[0], context.get_value_type(signature.return_type))

        return types.CPointer(types.float64)(types.int64), codegen

    @intrinsic
    def int_pointer(typingctx, address):  # type: ignore[no-untyped-def]
        """An address as a pointer to int64."""

        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            return builder.inttoptr(args[0], context.get_value_type(signature.return_type))

        return types.CPointer(types.int64)(types.int64), codegen

    @intrinsic
    def word_pointer(typingctx, address):  # type: ignore[no-untyped-def]
        """An address as a pointer to uint64."""

        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            return builder.inttoptr(args[0], context.get_value_type(signature.return_type))

        return types.CPointer(types.uint64)(types.int64), codegen

    @njit(cache=True, nogil=True, forceinline=True)
    def bare(table):  # type: ignore[no-untyped-def]
        """The same table without a reference count, which callees would go on counting atomically."""
        return carray(int_pointer(np.int64(table.ctypes.data)), (table.shape[0],))

    @njit(cache=True, nogil=True, forceinline=True)
    def f1(table, index):  # type: ignore[no-untyped-def]
        """Array `index` of a table: float64, one axis."""
        at = HEADER + ENTRY * index
        return carray(float_pointer(table[at]), (table[at + 1],))

    @njit(cache=True, nogil=True, forceinline=True)
    def f2(table, index):  # type: ignore[no-untyped-def]
        """Array `index` of a table: float64, two axes."""
        at = HEADER + ENTRY * index
        return carray(float_pointer(table[at]), (table[at + 1], table[at + 2]))

    @njit(cache=True, nogil=True, forceinline=True)
    def f3(table, index):  # type: ignore[no-untyped-def]
        """Array `index` of a table: float64, three axes."""
        at = HEADER + ENTRY * index
        return carray(float_pointer(table[at]), (table[at + 1], table[at + 2], table[at + 3]))

    @njit(cache=True, nogil=True, forceinline=True)
    def i1(table, index):  # type: ignore[no-untyped-def]
        """Array `index` of a table: int64, one axis."""
        at = HEADER + ENTRY * index
        return carray(int_pointer(table[at]), (table[at + 1],))

    @njit(cache=True, nogil=True, forceinline=True)
    def i2(table, index):  # type: ignore[no-untyped-def]
        """Array `index` of a table: int64, two axes."""
        at = HEADER + ENTRY * index
        return carray(int_pointer(table[at]), (table[at + 1], table[at + 2]))

    @njit(cache=True, nogil=True, forceinline=True)
    def u1(table, index):  # type: ignore[no-untyped-def]
        """Array `index` of a table: uint64, one axis."""
        at = HEADER + ENTRY * index
        return carray(word_pointer(table[at]), (table[at + 1],))

    @njit(cache=True, nogil=True, forceinline=True)
    def u2(table, index):  # type: ignore[no-untyped-def]
        """Array `index` of a table: uint64, two axes."""
        at = HEADER + ENTRY * index
        return carray(word_pointer(table[at]), (table[at + 1], table[at + 2]))

    @njit(cache=True, nogil=True, forceinline=True)
    def u3(table, index):  # type: ignore[no-untyped-def]
        """Array `index` of a table: uint64, three axes."""
        at = HEADER + ENTRY * index
        return carray(word_pointer(table[at]), (table[at + 1], table[at + 2], table[at + 3]))
