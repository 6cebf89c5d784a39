"""The nearest point of a cell to the centre, Euclidean or in the maximum norm, and what lies between.

Least-distance programs go to non-negative least squares, those that fail its check to cvxpy; programs in
the maximum norm to HiGHS. Every distance comes with a bound from below by weak duality.
"""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import linprog, nnls

from regions.errors import SolverError
from regions.exploration.search_frame import Frame
from regions.network.relu_network import Network

FloatArray = NDArray[np.float64]
LayerMaps = list[tuple[FloatArray, FloatArray]]

GAP = 1e-6  # largest relative difference of a distance and its bound
NOT_OUTSIDE = 1e-12  # how far beyond a row of length 1, relative to its size, the centre counts as inside


class Rows(NamedTuple):
    """A cell as {u : A @ u <= b}, u = t - centre; rows of length 1; units flat, -1 - k for side k."""

    A: FloatArray
    b: FloatArray
    units: NDArray[np.int64]


class Nearest(NamedTuple):
    """A nearest point u (offset from the centre), its distance, and a bound of it from below."""

    u: FloatArray
    distance: float
    lower: float


class Geometry:
    """The cells of a network around a centre, in floating point.

    Parameters
    ----------
    network : Network
    frame : Frame
    norm : 2.0 or inf; for inf without a domain the coordinates are all inputs
    """

    def __init__(self, network: Network, frame: Frame, norm: float = 2.0) -> None:
        self.network, self.frame, self.norm = network, frame, norm
        domain = frame.domain
        self.inputs = norm == np.inf and (frame.free or domain.is_identity)
        self.basis = np.eye(domain.input_dim) if self.inputs else domain.basis
        at = domain.to_input(frame.at)
        self._first = network.weights[0] @ self.basis, network.weights[0] @ at + network.biases[0]
        self._sides = None if frame.free else self._side_rows()

    def _side_rows(self) -> Rows:
        A, b = self.frame.domain.halfspaces
        lengths = np.linalg.norm(A, axis=1)
        slack = np.maximum(b - A @ self.frame.at, 0.0)
        return Rows(A / lengths[:, None], slack / lengths, -1 - np.arange(len(b)))

    def _maps(self, pattern: NDArray[np.bool_]) -> tuple[LayerMaps, tuple[FloatArray, FloatArray]]:
        """The maps of all ReLU layers before their ReLU, and of the output, in offsets."""
        maps, start = [], 0
        A, c = self._first
        for layer, relu in enumerate(self.network.relu):
            if layer:
                weight = self.network.weights[layer]
                A, c = weight @ A, weight @ c + self.network.biases[layer]
            if relu:
                maps.append((A, c))
                on = pattern[start : start + c.size]
                A, c = A * on[:, None], c * on
                start += c.size
        return maps, (A, c)

    def rows(self, pattern: NDArray[np.bool_]) -> Rows:
        """The cell of a pattern; units that are constant on it bound nothing."""
        maps, _ = self._maps(pattern)
        sign = np.where(pattern, -1.0, 1.0)
        A = np.concatenate([a for a, _ in maps]) * sign[:, None]
        b = -np.concatenate([c for _, c in maps]) * sign
        lengths = np.linalg.norm(A, axis=1)
        kept = np.flatnonzero(lengths > 0.0)
        A, b = A[kept] / lengths[kept, None], b[kept] / lengths[kept]
        return Rows(A, b, kept) if self._sides is None else _joined(Rows(A, b, kept), self._sides)

    def output(self, pattern: NDArray[np.bool_]) -> tuple[FloatArray, FloatArray]:
        """(out, d) and (out,): the network on the cell of a pattern, in offsets."""
        return self._maps(pattern)[1]

    def clearances(self, rows: Rows) -> FloatArray:
        """Distance of the centre from each row's hyperplane, negative where it is beyond."""
        if self.norm == 2.0:
            return rows.b
        if self.inputs:
            return rows.b / np.abs(rows.A).sum(axis=1)
        # on a plane only a bound: no shorter than the Euclidean distance over the root of the inputs
        return rows.b / np.where(rows.b > 0.0, np.sqrt(self.basis.shape[0]), 1.0)

    @cached_property
    def far(self) -> float:
        """No point of the domain is farther; without one, all points that near are in the frame."""
        domain = self.frame.domain
        if self.frame.free:
            spread = self.norm == np.inf and domain.dimension < domain.input_dim
            return self.frame.reach / (float(np.sqrt(domain.input_dim)) if spread else 1.0)
        low, high = domain.bounds()
        return float(np.linalg.norm(np.maximum(self.frame.at - low, high - self.frame.at))) * (1.0 + 1e-9)

    def nearest_within(self, rows: Rows, limit: float, what: str) -> Nearest | None:
        """The nearest point of a polytope; None if it is empty or no nearer than a limit.

        Raises
        ------
        SolverError
            If no solver's answer passes the check.
        """
        if self.norm == 2.0:
            if limit <= _lower_bound(rows):
                return None
        elif self._all_beyond(rows, limit):
            return None
        return self.nearest(rows, what)

    def _all_beyond(self, rows: Rows, limit: float) -> bool:
        """Whether duals show that the last row cannot be met within a limit, in the maximum norm."""
        a, b = rows.A[-1], float(rows.b[-1])
        n, d = self.basis.shape
        A, right, bounds = rows.A[:-1], rows.b[:-1], (-limit, limit)
        if not self.inputs:
            A = np.vstack([A, self.basis, -self.basis])
            right, bounds = np.concatenate([right, np.full(2 * n, limit)]), (-self.far, self.far)
        result = linprog(a, A_ub=A, b_ub=right, bounds=[bounds] * d, method="highs")
        if result.status != 0:
            return False
        y = np.maximum(-result.ineqlin.marginals, 0.0)
        least = -float(y @ right) - bounds[1] * float(np.abs(a + y @ A).sum())
        return least > b

    def nearest(self, rows: Rows, what: str) -> Nearest:
        """The nearest point of a cell.

        Raises
        ------
        SolverError
            If no solver's answer passes the check.
        """
        if not (rows.b < -NOT_OUTSIDE * np.abs(rows.b).max(initial=1.0)).any():
            return Nearest(np.zeros(rows.A.shape[1]), 0.0, 0.0)
        found = _euclidean(rows) if self.norm == 2.0 else self._maximum(rows)
        if found is None and self.norm == 2.0:
            found = _euclidean_by_cvxpy(rows)
        if found is None:
            raise SolverError(f"{what}: no solver gave a nearest point that passes the check")
        return found

    def _maximum(self, rows: Rows) -> Nearest | None:
        """Least s with |B u| <= s: one linear program by HiGHS."""
        m, d = rows.A.shape
        n = self.basis.shape[0]
        B = sparse.identity(n, format="csr") if self.inputs else sparse.csr_matrix(self.basis)
        ones = np.ones((n, 1))
        A = sparse.vstack(
            [
                sparse.hstack([sparse.csr_matrix(rows.A), sparse.csr_matrix((m, 1))]),
                sparse.hstack([B, -ones]),
                sparse.hstack([-B, -ones]),
            ]
        ).tocsc()
        bounds = [(None, None)] * d + [(0.0, None)]
        result = linprog(
            np.eye(d + 1)[d],
            A_ub=A,
            b_ub=np.concatenate([rows.b, np.zeros(2 * n)]),
            bounds=bounds,
            method="highs",
        )
        if result.status != 0:
            return None
        u, duals = result.x[:d], np.maximum(-result.ineqlin.marginals, 0.0)
        y, spread = duals[:m], duals[m : m + n] - duals[m + n :]
        pull = -rows.A.T @ y  # the cell has pull . u >= -y . b
        if self.inputs:
            lower = float(-y @ rows.b) / max(float(np.abs(pull).sum()), np.finfo(float).tiny)
        else:
            rest = pull - self.basis.T @ spread
            slip = float(np.abs(rest).sum()) * self.far
            lower = (float(-y @ rows.b) - slip) / max(float(np.abs(spread).sum()), np.finfo(float).tiny)
        offset = u if self.inputs else self.basis @ u
        return _judged(rows, u, float(np.abs(offset).max()), lower)


def _joined(first: Rows, second: Rows) -> Rows:
    return Rows(*(np.concatenate(pair) for pair in zip(first, second, strict=True)))


def with_row(rows: Rows, a: FloatArray, b: float) -> Rows:
    """The part of a cell with a.u <= b, `a` not zero."""
    length = float(np.linalg.norm(a))
    extra = Rows(a[None] / length, np.array([b / length]), np.array([np.iinfo(np.int64).min]))
    return _joined(rows, extra)


def _judged(rows: Rows, u: FloatArray, distance: float, lower: float) -> Nearest | None:
    size = 1.0 + float(np.abs(rows.b).max())
    inside = float((rows.A @ u - rows.b).max(initial=0.0)) <= GAP * min(size, max(distance, 1e-6 * size))
    if not inside or not distance - lower <= GAP * max(distance, 1e-9 * size):
        return None
    return Nearest(u, distance, min(max(lower, 0.0), distance))


def _bound(rows: Rows, multipliers: FloatArray) -> float:
    """Every point of the cell is at least that far: y A u <= y b, so |y A| |u| >= -y b."""
    pull = float(np.linalg.norm(rows.A.T @ multipliers))
    push = float(-multipliers @ rows.b)
    return push / pull if pull > 0.0 else (np.inf if push > 0.0 else 0.0)


def _multipliers(rows: Rows) -> FloatArray | None:
    """Those of least |u|, by non-negative least squares, or of there being no point."""
    E = np.vstack([-rows.A.T, rows.b / rows.b.min()])
    target = np.zeros(E.shape[0])
    target[-1] = 1.0
    try:
        found: FloatArray = nnls(E, target)[0]
    except RuntimeError:
        return None
    return found


def _lower_bound(rows: Rows) -> float:
    """A bound of the least |u| from below; inf where multipliers show that there is no point."""
    if not (rows.b < 0.0).any():
        return 0.0
    multipliers = _multipliers(rows)
    return 0.0 if multipliers is None else _bound(rows, multipliers)


def _euclidean(rows: Rows) -> Nearest | None:
    """Least |u|, as non-negative least squares.

    Lawson and Hanson, Solving Least Squares Problems (1974), chapter 23.
    """
    multipliers = _multipliers(rows)
    if multipliers is None:
        return None
    active = np.flatnonzero(multipliers > 0.0)
    if active.size == 0:
        return None
    u: FloatArray = np.asarray(np.linalg.lstsq(rows.A[active], rows.b[active], rcond=None)[0], np.float64)
    return _judged(rows, u, float(np.linalg.norm(u)), _bound(rows, multipliers))


def _euclidean_by_cvxpy(rows: Rows) -> Nearest | None:
    import cvxpy

    scale = float(-rows.b.min())
    u = cvxpy.Variable(rows.A.shape[1])
    inside = rows.A @ u <= rows.b / scale
    problem = cvxpy.Problem(cvxpy.Minimize(cvxpy.sum_squares(u) / 2), [inside])
    try:
        problem.solve(solver="CLARABEL", tol_gap_abs=1e-12, tol_gap_rel=1e-12, tol_feas=1e-12)
    except (cvxpy.error.SolverError, ArithmeticError, ValueError):
        return None
    if problem.status != cvxpy.OPTIMAL:
        return None
    point = scale * np.asarray(u.value)
    return _judged(
        rows, point, float(np.linalg.norm(point)), _bound(rows, np.maximum(inside.dual_value, 0.0))
    )
