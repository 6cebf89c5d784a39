"""Entries of a walk's table as plain pointers: flat, and without the check for a negative index.

numba lets an index count from the end, which costs three instructions at each access; in loops that do
little else but look up indices this is a third of the time. Under `NUMBA_BOUNDSCHECK=1` and
`NUMBA_DISABLE_JIT=1` these are the checked arrays of `table`.
"""

from numba import config, njit, types
from numba.extending import intrinsic

from regions.kernels.table import ENTRY, HEADER, f1, i1, u1

if config.DISABLE_JIT or config.BOUNDSCHECK:
    fp, ip, wp = f1, i1, u1
else:

    @intrinsic
    def _floats(typingctx, address):  # type: ignore[no-untyped-def]
        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            return builder.inttoptr(args[0], context.get_value_type(signature.return_type))

        return types.CPointer(types.float64)(types.int64), codegen

    @intrinsic
    def _ints(typingctx, address):  # type: ignore[no-untyped-def]
        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            return builder.inttoptr(args[0], context.get_value_type(signature.return_type))

        return types.CPointer(types.int64)(types.int64), codegen

    @intrinsic
    def _words(typingctx, address):  # type: ignore[no-untyped-def]
        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            return builder.inttoptr(args[0], context.get_value_type(signature.return_type))

        return types.CPointer(types.uint64)(types.int64), codegen

    @njit(cache=True, nogil=True, forceinline=True)
    def fp(table, index):  # type: ignore[no-untyped-def]
        """Entry `index` of a table as a pointer to float64."""
        return _floats(table[HEADER + ENTRY * index])

    @njit(cache=True, nogil=True, forceinline=True)
    def ip(table, index):  # type: ignore[no-untyped-def]
        """Entry `index` of a table as a pointer to int64."""
        return _ints(table[HEADER + ENTRY * index])

    @njit(cache=True, nogil=True, forceinline=True)
    def wp(table, index):  # type: ignore[no-untyped-def]
        """Entry `index` of a table as a pointer to uint64."""
        return _words(table[HEADER + ENTRY * index])
