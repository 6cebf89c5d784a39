"""HiGHS, in the one module that knows highspy: a model that keeps its basis from one program to the next.

Nothing is judged here: points and multipliers are those of HiGHS. An end that this module does not know is
an error, and HiGHS never writes to standard output.
"""

from __future__ import annotations

from enum import Enum
from functools import cache
from typing import Any, NamedTuple

import highspy
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from regions.errors import SolverError

FloatArray = NDArray[np.float64]

TOLERANCE = 1e-9  # of HiGHS for primal and dual feasibility; its smallest is 1e-10


class HighsEnd(Enum):
    """How HiGHS ended; every other end raises `SolverError`."""

    OPTIMAL = "optimal"
    INFEASIBLE = "infeasible"
    UNBOUNDED = "unbounded"
    INFEASIBLE_OR_UNBOUNDED = "infeasible or unbounded"
    TIME_LIMIT = "time limit reached"


class HighsAnswer(NamedTuple):
    """What HiGHS says about a program: maximise c.x subject to rows and bounds.

    `point` and `multipliers` (of the rows, >= 0 where only the upper side counts) are None unless the end is
    OPTIMAL, but a program with integers has a point and no multipliers, and may have one at TIME_LIMIT.
    `farkas` are multipliers that HiGHS takes for a proof of INFEASIBLE, if it gives any.
    """

    end: HighsEnd
    point: FloatArray | None
    multipliers: FloatArray | None
    farkas: FloatArray | None
    steps: int


class _Silent(highspy.Highs):
    """A `highspy.Highs` without its callbacks: switching them on writes a banner to standard output."""

    def __init__(self) -> None:
        super(highspy.Highs, self).__init__()
        self.setOptionValue("output_flag", False)


@cache
def _known_ends() -> dict[Any, HighsEnd]:
    status = highspy.HighsModelStatus
    return {
        status.kOptimal: HighsEnd.OPTIMAL,
        status.kModelEmpty: HighsEnd.OPTIMAL,
        status.kInfeasible: HighsEnd.INFEASIBLE,
        status.kUnbounded: HighsEnd.UNBOUNDED,
        status.kUnboundedOrInfeasible: HighsEnd.INFEASIBLE_OR_UNBOUNDED,
        status.kTimeLimit: HighsEnd.TIME_LIMIT,
    }


class HighsModel:
    """Rows lower <= A x <= upper with low <= x <= high, for one program or for many, one after another.

    A later program starts from the basis at which the one before it ended. One thread uses a model at a time.

    Parameters
    ----------
    A : (m, n) float64, dense or sparse
    upper : (m,) float64, inf for none
    low, high : (n,) float64, -inf and inf for none
    lower : (m,) float64, optional; default: none
    integer : bool, whether every x is an integer
    """

    def __init__(
        self,
        A: Any,
        upper: FloatArray,
        low: FloatArray,
        high: FloatArray,
        *,
        lower: FloatArray | None = None,
        integer: bool = False,
    ) -> None:
        rows = sparse.csr_matrix(A)
        m, n = rows.shape
        program = highspy.HighsLp()
        program.num_col_, program.num_row_ = n, m
        program.col_cost_, program.col_lower_, program.col_upper_ = np.zeros(n), low, high
        program.row_lower_, program.row_upper_ = np.full(m, -np.inf) if lower is None else lower, upper
        program.sense_ = highspy.ObjSense.kMaximize
        program.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        program.a_matrix_.start_, program.a_matrix_.index_ = rows.indptr, rows.indices
        program.a_matrix_.value_ = rows.data
        if integer:
            program.integrality_ = [highspy.HighsVarType.kInteger] * n
        self._integer, self._upper = integer, upper
        self._columns = np.arange(n, dtype=np.int32)
        self._model = _Silent()
        self._set("primal_feasibility_tolerance", TOLERANCE)
        self._set("dual_feasibility_tolerance", TOLERANCE)
        if self._model.passModel(program) == highspy.HighsStatus.kError:
            raise SolverError(f"HiGHS does not take the program of {m} rows and {n} variables")

    def maximise(
        self, c: FloatArray, *, presolve: bool = True, seconds: float = np.inf, without: int | None = None
    ) -> HighsAnswer:
        """Maximise c.x from where the last program ended.

        Parameters
        ----------
        c : (n,) float64
        presolve : bool; without it HiGHS starts from nothing, so that a second try is a different one
        seconds : float, how long this program may take
        without : int, optional; a row that does not count in this program

        Raises
        ------
        SolverError
            If HiGHS ends in another way than those of `HighsEnd`.
        """
        self._set("presolve", "choose" if presolve else "off")
        # the clock of a model runs on from one program to the next
        self._set("time_limit", self._model.getRunTime() + seconds)
        if not presolve:
            self._model.clearSolver()
        self._model.changeColsCost(c.size, self._columns, c)
        if without is None:
            return self._run()
        self._model.changeRowBounds(without, -np.inf, np.inf)
        try:
            return self._run()
        finally:
            self._model.changeRowBounds(without, -np.inf, float(self._upper[without]))

    def _run(self) -> HighsAnswer:
        model = self._model
        model.run()
        status = model.getModelStatus()
        end = _known_ends().get(status)
        if end is None:
            raise SolverError(f"HiGHS ended with the status {model.modelStatusToString(status)!r}")
        info = model.getInfo()
        steps = max(0, int(info.simplex_iteration_count))
        solution = model.getSolution()
        if end is HighsEnd.OPTIMAL and not self._integer:
            return HighsAnswer(end, np.array(solution.col_value), np.array(solution.row_dual), None, steps)
        if self._integer and solution.value_valid and end in (HighsEnd.OPTIMAL, HighsEnd.TIME_LIMIT):
            return HighsAnswer(end, np.array(solution.col_value), None, None, steps)
        farkas = None
        if end is HighsEnd.INFEASIBLE and not self._integer:
            _, known, ray = model.getDualRay()
            farkas = np.abs(ray) if known else None
        return HighsAnswer(end, None, None, farkas, steps)

    def _set(self, option: str, value: float | str) -> None:
        if self._model.setOptionValue(option, value) == highspy.HighsStatus.kError:
            raise SolverError(f"HiGHS does not take the option {option} = {value!r}")
