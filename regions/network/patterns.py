"""Activation patterns and unit numbers: how both are written, in this one place.

A pattern is the states of all units in flat order, ReLU layer after ReLU layer. Unpacked it is one bool
a unit; packed it is one bit a unit, the first unit the lowest bit of the first byte. Which pattern a
point has, the network says; which patterns are cells, `enumeration`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from regions.errors import InvalidInputError

BoolArray = NDArray[np.bool_]
ByteArray = NDArray[np.uint8]
IntArray = NDArray[np.int64]


def packed_size(n_units: int) -> int:
    """Return the number of bytes of a packed pattern.

    Examples
    --------
    >>> [packed_size(n) for n in (0, 1, 8, 9)]
    [0, 1, 1, 2]
    """
    return (n_units + 7) // 8


def pack(states: ArrayLike) -> ByteArray:
    """Pack states (..., n_units) into bits, (..., ceil(n_units / 8)) uint8.

    Raises
    ------
    InvalidInputError
        If there is no axis of units, or a state is neither 0 nor 1.

    Examples
    --------
    >>> pack([True, False, True])
    array([5], dtype=uint8)
    """
    given = np.asarray(states)
    if given.ndim == 0:
        raise InvalidInputError("a pattern has one state per unit; got a single number")
    return np.packbits(_as_states(given), axis=-1, bitorder="little")


def unpack(packed: ArrayLike, n_units: int) -> BoolArray:
    """Unpack bits (..., k) uint8 into states, (..., n_units) bool; bits beyond the last unit are left out.

    Raises
    ------
    InvalidInputError
        If the numbers are no bytes, or hold fewer bits than there are units.

    Examples
    --------
    >>> unpack(np.array([[5], [4]], np.uint8), 3)
    array([[ True, False,  True],
           [False, False,  True]])
    """
    given = np.asarray(packed)
    if given.dtype != np.uint8 or given.ndim == 0 or given.shape[-1] < packed_size(n_units):
        raise InvalidInputError(
            f"packed patterns are {given.dtype} of shape {given.shape}; expected uint8 with at least "
            f"{packed_size(n_units)} bytes for {n_units} units"
        )
    bits = np.unpackbits(given, axis=-1, count=n_units, bitorder="little")
    return bits.view(np.bool_)


def row_keys(rows: NDArray[Any]) -> list[bytes]:
    """Return the bytes of each row of an (n, k) array, to look patterns up by, packed or not.

    Examples
    --------
    >>> row_keys(np.array([[5, 0], [4, 1]], np.uint8))
    [b'\\x05\\x00', b'\\x04\\x01']
    """
    data, width = rows.tobytes(), rows.shape[1] * rows.itemsize
    return [data[i * width : (i + 1) * width] for i in range(rows.shape[0])]


def distinct_rows(packed: ByteArray) -> ByteArray:
    """Return packed patterns (n, k), each once, in the order of their bytes.

    Examples
    --------
    >>> distinct_rows(np.array([[5, 0], [4, 1], [5, 0]], np.uint8)).tolist()
    [[4, 1], [5, 0]]
    """
    if packed.size == 0:
        return packed[:0]
    keys = np.unique(np.ascontiguousarray(packed).view(f"V{packed.shape[1]}").ravel())
    return keys.view(np.uint8).reshape(-1, packed.shape[1])


def hex_names(packed: ByteArray) -> list[str]:
    """Write packed patterns (n, k) as hexadecimal digits, two a byte, the first byte first.

    Examples
    --------
    >>> hex_names(np.array([[5, 0], [4, 1]], np.uint8))
    ['0500', '0401']
    """
    return [key.hex() for key in row_keys(packed)]


def state_bytes(pattern: bytes | ArrayLike | Sequence[bool]) -> bytes:
    """Return the states of a pattern, one byte (0 or 1) a unit; bytes are taken as they are.

    Examples
    --------
    >>> state_bytes([True, False])
    b'\\x01\\x00'
    """
    return pattern if isinstance(pattern, bytes) else np.asarray(pattern, dtype=np.bool_).tobytes()


def checked_states(pattern: ArrayLike, n_units: int) -> BoolArray:
    """Return an unpacked pattern as (n_units,) bool.

    Raises
    ------
    InvalidInputError
        If it has another shape, or values other than 0 and 1.

    Examples
    --------
    >>> checked_states([1, 0], 2)
    array([ True, False])
    """
    states = np.asarray(pattern)
    if states.shape != (n_units,):
        raise InvalidInputError(
            f"pattern has shape {states.shape}; expected ({n_units},), one state per unit, unpacked"
        )
    return _as_states(states).astype(np.bool_)


def unit_places(unit_offsets: IntArray, flat: ArrayLike) -> tuple[IntArray, IntArray]:
    """Find the ReLU layer, and the number in that layer, of units by their flat numbers.

    Parameters
    ----------
    unit_offsets : (layers + 1,) int64, as `Network.unit_offsets`
    flat : (n,) integers

    Returns
    -------
    layer, unit : (n,) int64 each

    Raises
    ------
    InvalidInputError
        If a number is that of no unit.

    Examples
    --------
    >>> [part.tolist() for part in unit_places(np.array([0, 2, 5]), [1, 2, 4])]
    [[0, 1, 1], [1, 0, 2]]
    """
    number = np.asarray(flat, dtype=np.int64)
    n_units = int(unit_offsets[-1])
    if number.size and not (number.min() >= 0 and number.max() < n_units):
        wrong = number[(number < 0) | (number >= n_units)].ravel()[0]
        raise InvalidInputError(f"there is no unit {wrong}; the network has {n_units}, from 0")
    layer = np.searchsorted(unit_offsets, number, side="right") - 1
    return layer, number - unit_offsets[layer]


def unit_place(unit_offsets: IntArray, flat: int) -> tuple[int, int]:
    """Find the ReLU layer, and the number in that layer, of one unit; see `unit_places`.

    Raises
    ------
    InvalidInputError
        If the number is that of no unit.

    Examples
    --------
    >>> unit_place(np.array([0, 2, 5]), 4)
    (1, 2)
    """
    if not 0 <= flat < unit_offsets[-1]:
        raise InvalidInputError(f"there is no unit {flat}; the network has {unit_offsets[-1]}, from 0")
    layer = bisect_right(unit_offsets, flat) - 1
    return layer, int(flat - unit_offsets[layer])


def flat_units(unit_offsets: IntArray, layer: ArrayLike, unit: ArrayLike) -> IntArray:
    """Number units flat, by ReLU layer and number in it; -1 where the layer is negative.

    Examples
    --------
    >>> flat_units(np.array([0, 2, 5]), [0, 1, -1], [1, 2, -1]).tolist()
    [1, 4, -1]
    """
    layers = np.asarray(layer, dtype=np.int64)
    return np.where(layers < 0, -1, unit_offsets[np.maximum(layers, 0)] + np.asarray(unit, dtype=np.int64))


def _as_states(given: NDArray[Any]) -> NDArray[Any]:
    """Return the array itself if it holds 0 and 1 only; with no entries its type does not matter."""
    if not given.size:
        return given.astype(np.bool_)
    if given.dtype.kind not in "biu" or not (given.dtype == np.bool_ or np.isin(given, (0, 1)).all()):
        raise InvalidInputError(f"pattern ({given.dtype}) must hold only 0/1 or False/True")
    return given
