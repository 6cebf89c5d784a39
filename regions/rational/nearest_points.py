"""The exact distance of a polyhedron from the origin, compared with a radius."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import combinations

from flint import fmpq, fmpq_mat, fmpz_mat

from regions.errors import CertificateError
from regions.rational.integer_rows import Row
from regions.rational.systems import to_fraction

__all__ = ["squared_distance"]


def squared_distance(rows: Sequence[Row], likely: Sequence[int] = ()) -> Fraction:
    """Return the squared Euclidean distance of {u : a.u + c >= 0 for all rows (a, c)} from 0, exactly.

    Parameters
    ----------
    rows : rows (a_1, ..., a_d, c) of integers, a not 0, of a nonempty polyhedron
    likely : rows that may hold with equality at the nearest point; for speed only

    Raises
    ------
    CertificateError
        If there is no nearest point: the polyhedron is empty.

    Notes
    -----
    The nearest point of the polyhedron is the nearest one of where some rows are 0, with multipliers >= 0 of
    these rows, and satisfies all others (Karush, Kuhn and Tucker); whichever rows are tried, a point that
    passes is the nearest. First tried are the likely ones, then all sets of up to d.

    Examples
    --------
    >>> squared_distance([(1, 0, -1), (0, 1, -2), (1, 1, 0)])
    Fraction(5, 1)
    """
    if all(row[-1] >= 0 for row in rows):
        return Fraction(0)
    for chosen in _guesses(rows, likely):
        found = _nearest(rows, chosen)
        if found is not None:
            return found
    raise CertificateError("a polyhedron has no point that is nearest to the origin, so it is empty")


def _guesses(rows: Sequence[Row], likely: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Return sets of rows that may be 0 at the nearest point, the likely ones first."""
    d = len(rows[0]) - 1
    for size in range(min(len(likely), d), 0, -1):
        yield from combinations(likely, size)
    for size in range(1, d + 1):
        yield from combinations(range(len(rows)), size)


def _nearest(rows: Sequence[Row], chosen: Sequence[int]) -> Fraction | None:
    """Return the squared length of the nearest point where some rows are 0, None if it is not that of all."""
    M = fmpz_mat([list(rows[k][:-1]) for k in chosen])
    heights = fmpq_mat(len(chosen), 1, [fmpq(-int(rows[k][-1])) for k in chosen])
    try:
        multipliers = fmpq_mat(M * M.transpose()).solve(heights)
    except ZeroDivisionError:  # dependent rows: fewer will do
        return None
    factors = multipliers.entries()
    if any(y < 0 for y in factors):
        return None
    point = (fmpq_mat(M.transpose()) * multipliers).entries()
    for row in rows:
        if sum((x * int(a) for x, a in zip(point, row, strict=False)), fmpq(int(row[-1]))) < 0:
            return None
    return to_fraction(sum((x * x for x in point), fmpq(0)))
