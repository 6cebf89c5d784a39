"""Integer rows and points: floats as dyadic rationals, hyperplanes, the point on d of them, signs.

A row (a_1, ..., a_d, c) means a.t + c, a point (x_1, ..., x_d, w) with w > 0 means x / w.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd
from typing import Any

import numpy as np
from flint import fmpz_mat
from numpy.typing import ArrayLike, NDArray

from regions.errors import InvalidInputError, SolverError

Row = tuple[Any, ...]


def dyadic_integers(values: ArrayLike) -> tuple[list[int], int]:
    """Floats as integers over one common power of two.

    Parameters
    ----------
    values : float64 array of any shape, finite

    Returns
    -------
    integers : list of int, in flat order
    shift : int, >= 0, as small as can be; `values == integers / 2**shift` exactly

    Raises
    ------
    InvalidInputError
        If a value is NaN or infinite.

    Examples
    --------
    >>> dyadic_integers([0.75, -3.0])
    ([3, -12], 2)
    """
    flat = np.asarray(values, dtype=np.float64).ravel()
    if not np.isfinite(flat).all():
        raise InvalidInputError("exact arithmetic needs finite numbers")
    shift = dyadic_shift(flat)
    return integers_over(flat, shift), shift


def dyadic_shift(values: ArrayLike) -> int:
    """The shift of `dyadic_integers`: the least s >= 0 such that all values are multiples of 2**-s.

    Examples
    --------
    >>> dyadic_shift([0.75, -3.0])
    2
    """
    fractions, exponents = np.frexp(np.asarray(values, dtype=np.float64).ravel())
    mantissas = np.ldexp(fractions, 53).astype(np.int64)
    nonzero = mantissas != 0
    if not nonzero.any():
        return 0
    zeros = np.frexp((mantissas & -mantissas)[nonzero].astype(np.float64))[1] - 1
    return max(0, int((53 - exponents[nonzero] - zeros).max()))


def integers_over(values: NDArray[np.float64], shift: int) -> list[int]:
    """Floats that are multiples of 2**-shift as integers over 2**shift.

    Examples
    --------
    >>> integers_over(np.array([0.75, -3.0]), 3)
    [6, -24]
    """
    fractions, exponents = np.frexp(values)
    if shift < 1000 and int(exponents.max(initial=0)) + shift < 62:
        whole: list[int] = np.ldexp(values, shift).astype(np.int64).tolist()
        return whole
    lefts = (exponents + (shift - 53)).tolist()
    mantissas = np.ldexp(fractions, 53).astype(np.int64).tolist()
    return [m << e if e >= 0 else m >> -e for m, e in zip(mantissas, lefts, strict=True)]


def primitive(values: Sequence[Any]) -> tuple[int, ...]:
    """The same ray with coprime Python integers.

    Examples
    --------
    >>> primitive((6, -9, 3))
    (2, -3, 1)
    """
    integers = [int(x) for x in values]
    divisor = gcd(*integers)
    return tuple(integers) if divisor <= 1 else tuple(x // divisor for x in integers)


def dot(row: Sequence[Any], point: Sequence[Any]) -> Any:
    """Sum of the products; the row's value at the point, times the point's w."""
    if len(row) == 3:
        return row[0] * point[0] + row[1] * point[1] + row[2] * point[2]
    return sum(x * y for x, y in zip(row, point, strict=True))


def sign_at(row: Sequence[Any], vertex: Sequence[Any]) -> int:
    """Exact sign (-1, 0, 1) of a row at a point.

    Parameters
    ----------
    row : d + 1 integers (a_1, ..., a_d, c)
    vertex : d + 1 integers (x_1, ..., x_d, w), w > 0

    Examples
    --------
    >>> sign_at((1, 1, -1), (1, 1, 2)), sign_at((1, 1, -1), (1, 1, 3))
    (0, -1)
    """
    value = dot(row, vertex)
    return (value > 0) - (value < 0)


def solve_vertex(rows: Sequence[Sequence[Any]]) -> tuple[Any, ...]:
    """The one point on d hyperplanes (Cramer's rule; for d > 4 flint's fraction-free elimination).

    Parameters
    ----------
    rows : d rows of d + 1 integers

    Returns
    -------
    vertex : d + 1 integers (x_1, ..., x_d, w), w > 0, not necessarily coprime

    Raises
    ------
    SolverError
        If the hyperplanes have no or more than one common point.

    Examples
    --------
    >>> solve_vertex([(2, 0, -1), (1, 1, -1)])
    (1, 1, 2)
    """
    d = len(rows)
    if d == 1:
        (a, c) = rows[0]
        point: tuple[Any, ...] = (-c, a)
    elif d == 2:
        (a, b, c), (p, q, r) = rows
        point = (b * r - c * q, c * p - a * r, a * q - b * p)
    elif d <= 4:
        columns = list(zip(*rows, strict=True))
        minors = [
            fmpz_mat(d, d, [x for k in range(d + 1) if k != j for x in columns[k]]).det()
            for j in range(d + 1)
        ]
        point = tuple(x if (d - j) % 2 == 0 else -x for j, x in enumerate(minors))
    else:
        point = _solve_large(rows)
    w = point[-1]
    if w == 0:
        raise SolverError(f"{d} hyperplanes do not meet in exactly one point")
    return point if w > 0 else tuple(-x for x in point)


def _solve_large(rows: Sequence[Sequence[Any]]) -> tuple[Any, ...]:
    d = len(rows)
    reduced, w, _ = fmpz_mat(d, d + 1, [x for row in rows for x in row]).rref()
    if any(reduced[j, j] != w for j in range(d)):
        raise SolverError(f"{d} hyperplanes do not meet in exactly one point")
    divisor = w
    for j in range(d):
        divisor = divisor.gcd(reduced[j, d])
    return (*(-reduced[j, d] // divisor for j in range(d)), w // divisor)
