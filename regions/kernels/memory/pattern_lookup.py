"""Finding rows of bytes, such as packed patterns, in a table of them."""

import numpy as np
from numpy.typing import NDArray

from regions.kernels.memory.compiling import part
from regions.kernels.memory.entries import entry
from regions.kernels.memory.layouts import I64

U8 = NDArray[np.uint8]


@part
def place_of(rows: U8, k: int, mask: int) -> int:
    """Where the search for a row of bytes begins in a table of `mask + 1` places."""
    word = np.uint64(0)
    for i in range(rows.shape[1]):
        word = ((word << np.uint64(7)) | (word >> np.uint64(57))) ^ np.uint64(rows[k, i])
    word ^= (word >> np.uint64(32)) ^ (word >> np.uint64(13))
    return np.int64(word & np.uint64(mask))


@part
def same_row(a: U8, i: int, b: U8, k: int) -> bool:
    """Whether row i of one array is row k of another."""
    for byte in range(a.shape[1]):
        if a[i, byte] != b[k, byte]:
            return False
    return True


@entry
def find_rows(wanted: U8, rows: U8, table: I64, model: I64, found: NDArray[np.bool_]) -> None:
    """Which of the rows that are wanted occur among others, compared byte by byte.

    `table` is scratch: a power of two of entries, at least twice as many as are wanted, all -1;
    `model` (wanted,) as well: the first row that is the same.
    """
    mask = table.shape[0] - 1
    for k in range(wanted.shape[0]):
        at = place_of(wanted, k, mask)
        while table[at] >= 0 and not same_row(wanted, table[at], wanted, k):
            at = (at + 1) & mask
        if table[at] < 0:
            table[at] = k
        model[k] = table[at]
        found[k] = False
    for i in range(rows.shape[0]):
        at = place_of(rows, i, mask)
        while table[at] >= 0:
            if same_row(wanted, table[at], rows, i):
                found[table[at]] = True
                break
            at = (at + 1) & mask
    for k in range(wanted.shape[0]):
        found[k] = found[model[k]]
