"""Entries of a walk's table as plain pointers: flat, and without the check for a negative index.

numba lets an index count from the end, which costs three instructions at each access; in loops that do
little else but look up indices this is a third of the time. Under `NUMBA_BOUNDSCHECK=1` and
`NUMBA_DISABLE_JIT=1` these are checked flat arrays.
"""

from typing import Any

from numba import carray, config, njit

from regions.kernels.memory.table import ENTRY, HEADER, I64, f1, i1, u1

if config.DISABLE_JIT:

    def _flat(table: I64, index: int, view: Any) -> Any:
        """All axes of an entry as one."""
        at = HEADER + ENTRY * index
        whole = table.copy()
        whole[at + 1] = table[at + 1] * table[at + 2] * table[at + 3]
        return view(whole, index)

    def fp(table: I64, index: int) -> Any:
        """Entry `index` of a table, flat: float64."""
        return _flat(table, index, f1)

    def ip(table: I64, index: int) -> Any:
        """Entry `index` of a table, flat: int64."""
        return _flat(table, index, i1)

    def wp(table: I64, index: int) -> Any:
        """Entry `index` of a table, flat: uint64."""
        return _flat(table, index, u1)

else:
    from regions.kernels.memory.table import float_pointer, int_pointer, word_pointer

    CHECKED = bool(config.BOUNDSCHECK)

    @njit(cache=True, nogil=True, forceinline=True)
    def _size(table, index):  # type: ignore[no-untyped-def]
        at = HEADER + ENTRY * index
        return table[at + 1] * table[at + 2] * table[at + 3]

    @njit(cache=True, nogil=True, forceinline=True)
    def fp(table, index):  # type: ignore[no-untyped-def]
        """Entry `index` of a table as a pointer to float64."""
        pointer = float_pointer(table[HEADER + ENTRY * index])
        if CHECKED:
            return carray(pointer, (_size(table, index),))
        else:
            return pointer

    @njit(cache=True, nogil=True, forceinline=True)
    def ip(table, index):  # type: ignore[no-untyped-def]
        """Entry `index` of a table as a pointer to int64."""
        pointer = int_pointer(table[HEADER + ENTRY * index])
        if CHECKED:
            return carray(pointer, (_size(table, index),))
        else:
            return pointer

    @njit(cache=True, nogil=True, forceinline=True)
    def wp(table, index):  # type: ignore[no-untyped-def]
        """Entry `index` of a table as a pointer to uint64."""
        pointer = word_pointer(table[HEADER + ENTRY * index])
        if CHECKED:
            return carray(pointer, (_size(table, index),))
        else:
            return pointer
