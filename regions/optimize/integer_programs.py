"""Programs whose variables are 0 or 1, by HiGHS; every point is checked in integers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from regions.errors import SolverError
from regions.optimize.highs import HighsEnd, HighsModel

__all__ = ["BinarySolution", "BinaryStatus", "minimise_sum"]

NEAR = 1e-5  # how far from 0 or 1 a value of HiGHS may be; its own tolerance is 1e-6


class BinaryStatus(Enum):
    """How a program in zeros and ones ended; anything else is a `SolverError`."""

    OPTIMAL = "optimal"
    FEASIBLE = "a point is known, the time is up"
    INFEASIBLE = "infeasible"
    TIME_LIMIT = "no point is known, the time is up"


@dataclass(frozen=True, eq=False)
class BinarySolution:
    """The answer to a program in zeros and ones.

    Attributes
    ----------
    status : BinaryStatus; that a point is least, or that there is none, is what HiGHS says
    chosen : (n,) bool, checked against the rows; None unless OPTIMAL or FEASIBLE
    """

    status: BinaryStatus
    chosen: NDArray[np.bool_] | None


def minimise_sum(
    A: sparse.sparray, lower: NDArray[np.int64], upper: NDArray[np.int64], *, seconds: float
) -> BinarySolution:
    """Choose as few columns as possible with lower <= A x <= upper, x of zeros and ones.

    Parameters
    ----------
    A : (m, n) sparse, of integers
    lower, upper : (m,) int64
    seconds : float, how long HiGHS may take

    Raises
    ------
    SolverError
        If HiGHS ends in an unknown way, or its point breaks a row.

    Examples
    --------
    >>> rows = sparse.coo_array([[1, 0, 1], [0, 1, 1]])
    >>> minimise_sum(rows, np.ones(2, int), np.ones(2, int), seconds=10.0).chosen.tolist()
    [False, False, True]
    """
    n = A.shape[1]
    model = HighsModel(
        A, upper.astype(np.float64), np.zeros(n), np.ones(n), lower=lower.astype(np.float64), integer=True
    )
    answer = model.maximise(-np.ones(n), seconds=seconds)
    match answer.end:
        case HighsEnd.OPTIMAL:
            status = BinaryStatus.OPTIMAL
        case HighsEnd.TIME_LIMIT:
            status = BinaryStatus.TIME_LIMIT if answer.point is None else BinaryStatus.FEASIBLE
        case HighsEnd.INFEASIBLE | HighsEnd.INFEASIBLE_OR_UNBOUNDED:  # it is bounded by its zeros and ones
            status = BinaryStatus.INFEASIBLE
        case _:
            raise SolverError(f"a program in zeros and ones ended as {answer.end.value}")
    if answer.point is None:
        if status is BinaryStatus.OPTIMAL:
            raise SolverError("HiGHS calls a program in zeros and ones solved and gives no point")
        return BinarySolution(status, None)
    chosen = answer.point > 0.5
    sums = A.astype(np.int64) @ chosen.astype(np.int64)
    if np.abs(answer.point - chosen).max(initial=0.0) > NEAR or ((sums < lower) | (sums > upper)).any():
        raise SolverError("a point of HiGHS breaks a row of its program in zeros and ones")
    return BinarySolution(status, chosen)
