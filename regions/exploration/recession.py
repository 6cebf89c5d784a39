"""Whether cells of an unbounded domain are bounded: by the directions that lead out of the cones over them.

Linear programs propose, and rational arithmetic proves: a direction that no row forbids, or rows whose sum
with factors above 0 is 0, which forbid all (Stiemke's theorem).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from flint import fmpz_mat
from numpy.typing import NDArray
from scipy.linalg import qr

from regions.errors import SolverError
from regions.exploration.cone_program_finder import ConeProgramFinder
from regions.exploration.cone_proofs import follows, follows_exactly, surely_positive
from regions.exploration.cone_rows import Cone
from regions.exploration.search_frame import Frame
from regions.network.relu_network import Network
from regions.optimize import BoxPrograms
from regions.rational import dyadic_integers
from regions.rational.affine_maps import float_row

FloatArray = NDArray[np.float64]

NOTHING = 1e-7  # of a program whose variables are of size 1


def bounded_cells(network: Network, frame: Frame, patterns: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Tell which cells are bounded, as sets of inputs.

    Parameters
    ----------
    network, frame : of the exploration
    patterns : (n, n_units) bool

    Raises
    ------
    SolverError
        If neither can be proven of a cell.
    """
    if not frame.whole:
        return np.full(len(patterns), not frame.free)
    if frame.domain.dimension < network.input_dim:  # inputs that no unit sees go on
        return np.zeros(len(patterns), np.bool_)
    finder = ConeProgramFinder(network, frame)
    return np.array([is_bounded(finder.cone(row.tobytes()), k) for k, row in enumerate(patterns)], np.bool_)


def is_bounded(cone: Cone, cell: int) -> bool:
    """Tell whether the cell under a cone is bounded; its number is for the message.

    Raises
    ------
    SolverError
        If neither can be proven.
    """
    rows = cone.rows[:-1, :-1]
    m, d = rows.shape
    exact = [row[:-1] for row in cone.exact[:-1]]
    if m <= d or fmpz_mat([list(row) for row in exact]).rank() < d:  # d rows are as good as none
        return False
    # each row's share of a direction, as large as 1, counts for its being forbidden by nothing
    A = np.column_stack([-rows, np.eye(m)])
    low = np.concatenate([-np.ones(d), np.zeros(m)])
    programs = BoxPrograms(A, np.zeros(m), low, np.ones(d + m))
    found = programs.maximise(np.concatenate([np.zeros(d), np.ones(m)]))
    assert found.point is not None  # 0 is one
    if found.value <= NOTHING * m:
        if _closed(rows, exact, found.multipliers):
            return True
    elif _leads_out(rows, exact, found.point[:d], found.point[d:] > NOTHING):
        return False
    raise SolverError(f"whether cell {cell} is bounded cannot be told in floating point")


def _closed(rows: FloatArray, exact: list[tuple[int, ...]], factors: FloatArray) -> bool:
    """Prove that a sum of all rows with factors above 0 is 0: some are given, those of a basis follow."""
    m, d = rows.shape
    basis = qr(rows.T, mode="r", pivoting=True)[1][:d]
    others = np.setdiff1d(np.arange(m), basis).tolist()
    # the factors are those of rows of another length
    lengths = np.linalg.norm(rows, axis=1) / [np.linalg.norm(float_row(row)) for row in exact]
    shares = np.maximum(factors[others], NOTHING) * lengths[others]
    target = [-x for x in _sum_of([exact[k] for k in others], shares)]
    if not any(target):
        return False
    return follows(rows[basis], float_row(target)) or follows_exactly(
        [exact[k] for k in basis.tolist()], target
    )


def _leads_out(
    rows: FloatArray, exact: list[tuple[int, ...]], direction: FloatArray, along: NDArray[np.bool_]
) -> bool:
    """Prove that some rows grow in a direction, and the others stay as they are."""
    if along.all():
        return bool(surely_positive(rows, direction).all())
    still = [list(exact[k]) for k in np.flatnonzero(~along).tolist()]
    null, rank = fmpz_mat(still).nullspace()
    if int(rank) == 0:
        return False
    columns = [[int(null[i, j]) for i in range(direction.size)] for j in range(int(rank))]
    floats = np.array([float_row(column) for column in columns]).T
    moved = _sum_of(columns, np.linalg.lstsq(floats, direction, rcond=None)[0])
    return all(sum(a * x for a, x in zip(exact[k], moved, strict=True)) > 0 for k in np.flatnonzero(along))


def _sum_of(rows: Sequence[Sequence[int]], shares: FloatArray) -> list[int]:
    """Return the sum of integer rows, each scaled as by `float_row`, times floats; over some power of two."""
    factors, _ = dyadic_integers(shares)
    bits = [max(abs(x).bit_length() for x in row) for row in rows]
    most = max(bits, default=0)
    scaled = [factor << (most - own) for factor, own in zip(factors, bits, strict=True)]
    return [sum(f * x for f, x in zip(scaled, column, strict=True)) for column in zip(*rows, strict=True)]
