"""Rows of the tables of a result: naming facets, comparing their two sides, finding patterns."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from regions.kernels.table import I64

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
U8 = NDArray[np.uint8]


@njit(cache=True, nogil=True)
def name_facets(
    first: I64, second: I64, half_cell: I64, offsets: I64, label: I64, starts: I64, cells: I64, names: I32
) -> None:
    """Cells, domain side, layer, unit and place in the first cell of facets given by their halves.

    `offsets` has each cell's first half, `starts` each ReLU layer's first unit and the end. `cells`
    (2, rows) gets -1 on the domain's boundary and -2 where the second half is missing; `names`
    (4, rows) side, layer, unit, place.
    """
    for f in range(cells.shape[1]):
        half = first[f]
        unit = label[half]
        cell = half_cell[half]
        cells[0, f] = cell
        names[3, f] = half - offsets[cell]
        if unit < 0:
            cells[1, f] = -1
            names[0, f] = -1 - unit
            names[1, f] = -1
            names[2, f] = -1
            continue
        cells[1, f] = half_cell[second[f]] if second[f] >= 0 else -2
        layer = 0
        while unit >= starts[layer + 1]:
            layer += 1
        names[0, f] = -1
        names[1, f] = layer
        names[2, f] = unit - starts[layer]


@njit(cache=True, nogil=True)
def compare_sides(measure: F64, first: I64, second: I64, relative: float, absolute: float) -> tuple[int, int]:
    """Number of facets whose halves differ by more than is allowed, and the row of the worst one."""
    wrong, worst, excess = 0, -1, 0.0
    for f in range(first.shape[0]):
        if second[f] < 0:
            continue
        a, b = measure[first[f]], measure[second[f]]
        over = abs(a - b) - (relative * max(a, b) + absolute)
        if not over <= 0.0:
            wrong += 1
            if worst < 0 or over > excess:
                worst, excess = f, over
    return wrong, worst


@njit(cache=True, nogil=True)
def place_of(rows: U8, k: int, mask: int) -> int:
    """Where the search for a row of bytes begins in a table of `mask + 1` places."""
    word = np.uint64(0)
    for i in range(rows.shape[1]):
        word = ((word << np.uint64(7)) | (word >> np.uint64(57))) ^ np.uint64(rows[k, i])
    word ^= (word >> np.uint64(32)) ^ (word >> np.uint64(13))
    return np.int64(word & np.uint64(mask))


@njit(cache=True, nogil=True)
def same_row(a: U8, i: int, b: U8, k: int) -> bool:
    """Whether row i of one array is row k of another."""
    for byte in range(a.shape[1]):
        if a[i, byte] != b[k, byte]:
            return False
    return True


@njit(cache=True, nogil=True)
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
