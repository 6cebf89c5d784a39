"""Many linear programs over one set of rows inside a box, each answer with a bound by weak duality.

For many variables, where `solve_lp` would make a row of every bound; HiGHS starts each program from the
basis of the one before.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from regions.errors import InvalidInputError, SolverError
from regions.optimize.highs import HighsAnswer, HighsEnd, HighsModel
from regions.optimize.linear_programs import LPStatus

FloatArray = NDArray[np.float64]

MAX_RESIDUAL = 1e-6  # of a row over its size, and of the gap over the size of the objective's terms


@dataclass(frozen=True, eq=False)
class BoxOptimum:
    """The answer to a linear program over rows inside a box.

    Attributes
    ----------
    status : LPStatus, OPTIMAL or INFEASIBLE
    value : float, c.x at `point`; -inf if infeasible
    upper : float
        A bound of c.x from above on the whole set, by weak duality with `multipliers`, up to the rounding of
        its sums; -inf if infeasible.
    point : (n,) float64, in the box; None if infeasible
    multipliers : (m,) float64, >= 0
        Of the rows; 0 for the row left out. If infeasible they show it: y.b < y A x for all x of the box.
    """

    status: LPStatus
    value: float
    upper: float
    point: FloatArray | None
    multipliers: FloatArray


class BoxPrograms:
    """The set {x : A x <= b, low <= x <= high}, for one program after another.

    Parameters
    ----------
    A : (m, n) float64
    b : (m,) float64, finite
    low, high : (n,) float64, finite
    seconds : float, how long a program may take

    Raises
    ------
    InvalidInputError
        If shapes differ, or a bound is not finite.

    Examples
    --------
    >>> programs = BoxPrograms(np.array([[1.0, 1.0]]), np.array([1.0]), np.zeros(2), np.ones(2))
    >>> found = programs.maximise(np.array([2.0, 1.0]))
    >>> found.value, found.upper, found.point, found.multipliers
    (2.0, 2.0, array([1., 0.]), array([1.]))
    >>> programs.maximise(np.array([2.0, 1.0]), without=0).value
    3.0
    """

    def __init__(
        self, A: FloatArray, b: FloatArray, low: FloatArray, high: FloatArray, *, seconds: float = np.inf
    ) -> None:
        m, n = A.shape
        if b.shape != (m,) or low.shape != (n,) or high.shape != (n,):
            raise InvalidInputError(f"A is {m} x {n}, b has {b.size} numbers, the box {low.size} variables")
        if not all(np.isfinite(values).all() for values in (b, low, high)):
            raise InvalidInputError("b and the box must be finite")
        self.A, self.b, self.low, self.high, self.seconds = A, b, low, high, seconds
        largest = np.abs(A) @ np.maximum(np.abs(low), np.abs(high))
        self._sizes = np.maximum(largest + np.abs(b), np.finfo(float).tiny)
        self._model = HighsModel(A, b, low, high)

    def maximise(self, c: FloatArray, *, without: int | None = None) -> BoxOptimum:
        """Maximise c.x over the set; a row that is left out counts in this program only as not there.

        Raises
        ------
        SolverError
            If no answer passes the check, or the time is up.
        """
        messages = []
        for presolve in (True, False):
            try:
                answer = self._model.maximise(c, presolve=presolve, seconds=self.seconds, without=without)
            except SolverError as error:
                messages.append(str(error))
                continue
            found = None
            match answer.end:
                case HighsEnd.OPTIMAL:
                    found = self._optimal(c, answer, without)
                case HighsEnd.INFEASIBLE:
                    found = self._infeasible(answer, without)
            if found is not None:
                return found
            messages.append(answer.end.value)
        raise SolverError(f"no answer to a program in a box passes its check (HiGHS: {'; '.join(messages)})")

    def _optimal(self, c: FloatArray, answer: HighsAnswer, without: int | None) -> BoxOptimum | None:
        """Return an optimum whose point and bound pass the check, or None."""
        assert answer.point is not None and answer.multipliers is not None
        point = np.clip(answer.point, self.low, self.high)
        multipliers = self._counted(answer.multipliers, without)
        value, upper = float(c @ point), self._upper(c, multipliers)
        excess = (self.A @ point - self.b) / self._sizes
        if without is not None:
            excess[without] = 0.0
        size = float(np.abs(c) @ np.maximum(np.abs(self.low), np.abs(self.high)))
        if not (excess.max(initial=0.0) <= MAX_RESIDUAL and upper - value <= MAX_RESIDUAL * size):
            return None
        return BoxOptimum(LPStatus.OPTIMAL, value, upper, point, multipliers)

    def _infeasible(self, answer: HighsAnswer, without: int | None) -> BoxOptimum | None:
        """Return the multipliers that show that there is no point, or None."""
        if answer.farkas is None:
            return None
        multipliers = self._counted(answer.farkas, without)
        if not self._upper(np.zeros(self.low.size), multipliers) < -MAX_RESIDUAL * float(
            multipliers @ self._sizes
        ):
            return None
        return BoxOptimum(LPStatus.INFEASIBLE, -np.inf, -np.inf, None, multipliers)

    def _counted(self, multipliers: FloatArray, without: int | None) -> FloatArray:
        counted: FloatArray = np.maximum(multipliers, 0.0)
        if without is not None:
            counted[without] = 0.0
        return counted

    def _upper(self, c: FloatArray, multipliers: FloatArray) -> float:
        """Bound c.x from above: c.x = y A x + rest.x <= y.b + the largest value of rest.x in the box."""
        rest = c - self.A.T @ multipliers
        return float(multipliers @ self.b + np.maximum(rest * self.low, rest * self.high).sum())
