"""Integrals of a normal density over exact points and segments, as `arb` intervals.

Closed forms only: rational up to one exponential and two error functions. Other simplices need
cubature and have no enclosure here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from flint import arb, ctx, fmpq, fmpq_mat
from numpy.typing import ArrayLike

from regions.errors import InvalidInputError
from regions.rational.integer_rows import dyadic_integers

_GUARD_BITS = 64  # short segments are differences of error functions close to each other


class ExactGaussian:
    """The normal density N(mean, cov) of the stored floats, read as dyadic rationals.

    Parameters
    ----------
    mean : (d,) float64
    cov : (d, d) float64, symmetric

    Raises
    ------
    InvalidInputError
        If cov, taken exactly, is not positive definite.

    Examples
    --------
    >>> from regions.rational import bounds
    >>> standard = ExactGaussian([0.0, 0.0], [[1.0, 0.0], [0.0, 1.0]])
    >>> bounds(standard.integral([(0, 0, 1)]))  # 1 / (2 pi)
    (0.15915494309189532, 0.15915494309189535)
    """

    def __init__(self, mean: ArrayLike, cov: ArrayLike) -> None:
        d = np.asarray(mean).size
        self.mean = _rationals(mean)
        matrix = fmpq_mat(d, d, _rationals(cov))
        minors = [fmpq_mat([row[: k + 1] for row in matrix.tolist()[: k + 1]]).det() for k in range(d)]
        if not all(minor > 0 for minor in minors):
            raise InvalidInputError(
                "the covariance of the stored numbers is not positive definite by exact arithmetic; it is "
                "too near to singular for an enclosure"
            )
        self._determinant = minors[-1]
        self._precision = matrix.inv()

    def integral(self, points: Sequence[Sequence[Any]], bits: int = 128) -> arb:
        """Interval around the integral over a point or a segment, in its own dimension (0 or 1).

        Parameters
        ----------
        points : one or two points (x_1, ..., x_d, w); one gives the value of the density there
        bits : int, working precision

        Returns
        -------
        arb

        Raises
        ------
        InvalidInputError
            If there are more than two points.

        Examples
        --------
        >>> from regions.rational import bounds
        >>> segment = [(-1, 0, 1), (1, 0, 1)]  # within one sigma on the first axis, at 0 on the second
        >>> bounds(ExactGaussian([0.0, 0.0], [[1.0, 0.0], [0.0, 4.0]]).integral(segment))
        (0.13617685139963248, 0.1361768513996325)
        """
        if len(points) > 2:
            raise InvalidInputError("a normal density has enclosures on points and segments only")
        shifted = [
            [fmpq(int(x), int(p[-1])) - m for x, m in zip(p[:-1], self.mean, strict=True)] for p in points
        ]
        start = shifted[0]
        c = self._form(start, start)
        with ctx.workprec(bits + _GUARD_BITS):
            scale = ((2 * arb.pi()) ** len(start) * arb(self._determinant)).sqrt()
            if len(points) == 1:
                return (arb(-c) / 2).exp() / scale
            step = [y - x for x, y in zip(start, shifted[1], strict=True)]
            a, b = self._form(step, step), self._form(start, step)
            if a == 0:
                return arb(0)
            # the exponent at start + s step is -(a s^2 + 2 b s + c) / 2, s from 0 to 1
            length = arb(sum((x * x for x in step), fmpq(0))).sqrt()
            peak = (arb(b * b / a - c) / 2).exp()
            return length * peak * (arb.pi() / (2 * arb(a))).sqrt() * _erf_between(a, b) / scale

    def ray_integral(self, start: Sequence[Any], way: Sequence[Any], bits: int = 128) -> arb:
        """Interval around the integral along a ray, the points start + s way with s >= 0.

        Parameters
        ----------
        start : a point (x_1, ..., x_d, w)
        way : d numbers, not all 0
        bits : int, working precision

        Examples
        --------
        >>> from regions.rational import bounds
        >>> bounds(ExactGaussian([0.0, 0.0], [[1.0, 0.0], [0.0, 4.0]]).ray_integral((0, 0, 1), (1, 0)))
        (0.09973557010035816, 0.09973557010035818)
        """
        first = [fmpq(int(x), int(start[-1])) - m for x, m in zip(start[:-1], self.mean, strict=True)]
        step = [fmpq(int(x)) for x in way]
        a, b, c = self._form(step, step), self._form(first, step), self._form(first, first)
        with ctx.workprec(bits + _GUARD_BITS):
            scale = ((2 * arb.pi()) ** len(first) * arb(self._determinant)).sqrt()
            length = arb(sum((x * x for x in step), fmpq(0))).sqrt()
            peak = (arb(b * b / a - c) / 2).exp()
            tail = (arb(b) / (2 * arb(a)).sqrt()).erfc()
            return length * peak * (arb.pi() / (2 * arb(a))).sqrt() * tail / scale

    def _form(self, x: Sequence[fmpq], y: Sequence[fmpq]) -> fmpq:
        d = len(x)
        product = fmpq_mat(1, d, list(x)) * self._precision * fmpq_mat(d, 1, list(y))
        return product[0, 0]


def _erf_between(a: fmpq, b: fmpq) -> arb:
    """erf((a + b) / sqrt(2 a)) - erf(b / sqrt(2 a)), from the tails where both are on one side."""
    root = (2 * arb(a)).sqrt()
    low, high = arb(b) / root, arb(a + b) / root
    if b > 0:
        return low.erfc() - high.erfc()
    if a + b < 0:
        return (-high).erfc() - (-low).erfc()
    return high.erf() - low.erf()


def _rationals(values: ArrayLike) -> list[fmpq]:
    integers, shift = dyadic_integers(values)
    return [fmpq(x, 1 << shift) for x in integers]
