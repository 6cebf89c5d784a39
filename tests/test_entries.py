"""Laws of the kernels that Python calls: compiled ones answer as Python does, for all types they take."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numba import config

from regions.enumeration.cores import on_threads
from regions.kernels.memory.pattern_lookup import find_rows
from regions.kernels.vertices import half_facets
from regions.kernels.vertices.half_facets import (
    Halves,
    Rows,
    Units,
    compare_sides,
    count_rows,
    list_facets,
    name_cells,
    pair_halves,
)

pytestmark = [
    pytest.mark.kernels,
    pytest.mark.skipif(config.DISABLE_JIT, reason="compares compiled kernels with Python"),
]
KEYS = np.array([7, 8, 7, 9, 8, 5], np.uint64) * np.uint64(
    0x9E3779B97F4A7C15
)  # one facet each, 9 and 5 alone
LABELS = np.array([0, 1, 0, 2, 1, -1])  # units; one side of the domain
FIRSTS = np.array([0, 2, 4, 6])  # of three cells
PATTERNS = np.array([[0b011], [0b010], [0b001]], np.uint64)


def join(call: Any, number: type) -> list[Any]:
    """All that the join of half-facets does with the kernels, as `call` calls them."""
    halves = Halves(LABELS, np.arange(6.0), np.empty(6, number), np.empty(6, number), FIRSTS)
    told = [call(pair_halves, KEYS, LABELS, np.zeros(16, number), halves.mate, 0, 1)]
    told.append(call(name_cells, FIRSTS, halves.cell_of, 0, 3))
    told.append(call(count_rows, LABELS, halves.mate, 0, 6))
    units = Units(np.array([0, 2, 3]), np.array([0, 0, 1], np.int32), np.full(3, -1), np.ones(3, np.int64))
    n = told[-1][0]
    kinds = (np.int64, np.int64, np.int32, np.int32, np.int32, np.float64, np.int32)
    rows = Rows(*(np.zeros(n, kind) for kind in kinds))
    other, earlier = np.zeros(n), np.zeros(n + 1, number)
    told.append(call(list_facets, halves, PATTERNS, units, rows, other, earlier, 0, 6))
    told.append(call(compare_sides, rows.volume, other, 0.5, 0))  # a whole number is one, too
    told.append(call(compare_sides, rows.volume, other, 0.5, 0.0))
    return [*told, *(array.tolist() for array in (*halves, *rows, other))]


@pytest.mark.parametrize("number", [np.int32, np.int64])
def test_compiled_kernels_answer_as_python_does(number: type, monkeypatch: pytest.MonkeyPatch) -> None:
    found = join(lambda kernel, *arguments: kernel(*arguments), number)
    for name in ("is_active", "winner_of"):  # what these call, once they are compiled
        monkeypatch.setattr(half_facets, name, getattr(half_facets, name).py_func)
    assert found == join(lambda kernel, *arguments: kernel.py_func(*arguments), number)
    assert found[:5] == [0, None, (4, 1), 0, (2, 0)]
    assert [type(one) for one in found[:3]] == [int, type(None), tuple]


def test_threads_that_begin_with_the_same_kernel_get_the_same_answers() -> None:
    rows = np.arange(400, dtype=np.uint8).reshape(-1, 4)

    def find(k: int) -> list[bool]:
        found, table = np.zeros(3, np.bool_), np.full(8, -1)
        find_rows(rows[k : k + 3] ^ np.uint8([[0], [1], [0]]), rows, table, np.zeros(3, np.int64), found)
        return found.tolist()

    assert on_threads(4, find, [(k,) for k in range(90)]) == [[True, False, True]] * 90


def test_an_array_that_is_not_contiguous_is_refused() -> None:
    with pytest.raises(ValueError, match="contiguous"):
        count_rows(np.zeros(8, np.int64)[::2], np.zeros(4, np.int32), 0, 4)


@pytest.mark.skipif(not config.BOUNDSCHECK, reason="needs NUMBA_BOUNDSCHECK=1")
def test_indices_out_of_bounds_are_errors_where_they_are_checked() -> None:
    with pytest.raises(IndexError, match="count_rows"):
        count_rows(np.zeros(4, np.int64), np.zeros(4, np.int32), 0, 5)
