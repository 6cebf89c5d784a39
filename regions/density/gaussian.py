"""`GaussianDensity`: a normal density on the whole of the intrinsic coordinates."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import solve_triangular
from scipy.special import erf

from regions.density.densities import (
    EPS,
    FloatArray,
    as_count,
    as_floats,
    as_points,
    as_simplices,
    check_dimension,
    check_tolerance,
    listing,
    mass_by_simplices,
)
from regions.density.integrals.simplex_integrals import (
    average_bell,
    bell_between,
    simplex_volumes,
)
from regions.domain import Domain
from regions.errors import InvalidInputError
from regions.inputs import seeded
from regions.showing import Shown

__all__ = ["GaussianDensity", "box_probabilities", "check_covariance"]


@dataclass(frozen=True, eq=False, init=False)
class GaussianDensity(Shown):
    """The normal density N(mean, cov) on the whole of the intrinsic coordinates, not renormalised.

    Parameters
    ----------
    mean : (d,) array, or a number if cov gives d or d is 1
    cov : variance as a number, (d,) variances, or a symmetric positive definite (d, d) matrix
    rtol : float in (0, 1), relative tolerance of the cubature (k >= 2 only)
    max_pieces : int, how many pieces the cubature may cut one batch of simplices into, beyond the batch

    Raises
    ------
    InvalidInputError : if shapes differ, a number is not finite or cov is not positive definite

    Examples
    --------
    >>> GaussianDensity([0.0, 0.0], 1.0).pdf([[0.0, 0.0]])
    array([0.15915494])
    """

    mean: FloatArray
    cov: FloatArray
    rtol: float
    max_pieces: int
    _chol: FloatArray = field(repr=False)

    def __init__(
        self, mean: ArrayLike, cov: ArrayLike, *, rtol: float = 1e-9, max_pieces: int = 1 << 19
    ) -> None:
        centre, spread = _moments(mean, cov)
        check_tolerance(rtol, max_pieces)
        arrays = {"mean": centre, "cov": spread, "_chol": np.linalg.cholesky(spread)}
        for array in arrays.values():
            array.setflags(write=False)
        for name, value in {**arrays, "rtol": float(rtol), "max_pieces": int(max_pieces)}.items():
            object.__setattr__(self, name, value)

    @property
    def dimension(self) -> int:
        """Number of intrinsic coordinates."""
        return int(self.mean.size)

    @cached_property
    def _log_peak(self) -> float:
        return -0.5 * self.dimension * math.log(2.0 * math.pi) - float(np.log(np.diag(self._chol)).sum())

    @cached_property
    def _condition(self) -> float:
        return float(np.linalg.cond(self._chol))

    def pdf(self, t: ArrayLike) -> FloatArray:
        """Values at points, O(n d^2).

        Shapes and errors are those of `Density.pdf`.

        Examples
        --------
        >>> GaussianDensity([1.0], 4.0).pdf([[1.0]])
        array([0.19947114])
        """
        points = as_points(t, self.dimension)
        values: FloatArray = np.exp(self._log_peak - 0.5 * np.square(self._whiten(points)).sum(axis=1))
        return values

    @seeded
    def sample(self, n: int, rng: np.random.Generator) -> FloatArray:
        """Independent points `(n, d)`, O(n d^2); raises InvalidInputError if n is negative.

        Examples
        --------
        >>> GaussianDensity([0.0, 0.0], [1.0, 4.0]).sample(3, np.random.default_rng(0)).shape
        (3, 2)
        """
        count = as_count(n, rng)
        return self.mean + rng.standard_normal((count, self.dimension)) @ self._chol.T

    def mass(self, domain: Domain) -> tuple[float, float]:
        """Probability of a domain, by cubature unless erf gives it.

        With a diagonal cov it is a product of erf on an axis-parallel domain, and in 1-D it is one always.
        For the cubature a polygon is cut into a fan, a polytope into the Delaunay simplices of its vertices.

        Arguments, result and errors are those of `Density.mass`.

        Examples
        --------
        >>> from regions.domain import Box
        >>> value, error = GaussianDensity([0.0], 1.0).mass(Box([-1.0], [1.0]))
        >>> round(value, 9), error < 1e-14
        (0.682689492, True)
        """
        check_dimension(self.dimension, domain)
        if domain.is_axis_parallel and np.array_equal(self.cov, np.diag(np.diag(self.cov))):
            value = float(box_probabilities(domain, self.mean, np.sqrt(np.diag(self.cov))))
            return value, 32.0 * self.dimension * EPS * value
        return mass_by_simplices(self, domain)

    def integrate_simplices(self, simplices: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Integrals over simplices in k-dimensional measure.

        Points (k = 0) give the value of the density, segments (k = 1) a closed form with erf; k >= 2 is
        adaptive cubature that stops when every error is at most rtol times the larger of the integral
        and the mean integral of the batch.

        Parameters
        ----------
        simplices : (K, k+1, d) vertices in intrinsic coordinates, 0 <= k <= d

        Returns
        -------
        values : (K,) float64, in k-volume per d-volume
        errors : (K,) float64, bounds on the rounding (k <= 1) or estimates of the cubature (k >= 2)

        Raises
        ------
        InvalidInputError : if the shape is wrong or a number is not finite
        BudgetExceededError : if the cubature does not reach rtol within max_pieces

        Examples
        --------
        >>> GaussianDensity([0.0, 0.0], 1.0).integrate_simplices([[[-1.0, 0.0], [1.0, 0.0]]])[0]
        array([0.2723537])
        """
        vertices = as_simplices(simplices, self.dimension)
        count, corners, dimension = vertices.shape
        volumes, volume_errors = simplex_volumes(vertices)
        white = self._whiten(vertices.reshape(-1, dimension)).reshape(count, corners, dimension)
        averages, errors = average_bell(white, volumes, self.rtol, self.max_pieces)
        peak = math.exp(self._log_peak)
        farthest = np.square(white).sum(axis=2).max(axis=1, initial=0.0)
        rounding = EPS * (32.0 + 8.0 * self._condition * (1.0 + farthest) + abs(self._log_peak))
        values = peak * volumes * averages
        return values, peak * (volumes * errors + volume_errors * averages) + rounding * values

    def describe(self) -> str:
        """One line for reports.

        Examples
        --------
        >>> GaussianDensity([0.0, 1.0], 4.0).describe()
        'gaussian, mean (0, 1), std 2'
        """
        variances = np.diag(self.cov)
        if not np.array_equal(self.cov, np.diag(variances)):
            spread = f"full covariance {self.dimension} x {self.dimension}"
        elif np.all(variances == variances[0]):
            spread = f"std {math.sqrt(variances[0]):.6g}"
        else:
            spread = f"std {listing(np.sqrt(variances))}"
        return f"gaussian, mean {listing(self.mean)}, {spread}"

    def _whiten(self, points: FloatArray) -> FloatArray:
        # columns of t - mean solved by the Cholesky factor: |result|^2 is the squared Mahalanobis distance
        white = solve_triangular(self._chol, (points - self.mean).T, lower=True, check_finite=False)
        return np.ascontiguousarray(white.T, dtype=np.float64)


def _moments(mean: ArrayLike, cov: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Mean `(d,)` and positive definite covariance `(d, d)`, copied."""
    centre, spread = np.atleast_1d(as_floats(mean, "mean")), as_floats(cov, "cov")
    d = max(centre.size, spread.shape[-1] if spread.ndim else 1)
    if centre.ndim != 1 or centre.size not in (1, d) or spread.shape not in ((), (d,), (d, d)):
        raise InvalidInputError(
            f"mean has shape {centre.shape} and cov {spread.shape}; expected (d,) with (), (d,) or (d, d)"
        )
    if not (np.isfinite(centre).all() and np.isfinite(spread).all()):
        raise InvalidInputError("mean or cov holds NaN or infinity; every number must be finite")
    matrix = spread if spread.ndim == 2 else np.diag(np.broadcast_to(spread, d))
    return np.array(np.broadcast_to(centre, d)), check_covariance(matrix)


def check_covariance(matrix: FloatArray) -> FloatArray:
    """A finite `(d, d)` matrix made exactly symmetric; raises InvalidInputError unless positive definite."""
    if not np.allclose(matrix, matrix.T, rtol=1e-12, atol=0.0):
        raise InvalidInputError("cov is not symmetric; give a symmetric positive definite matrix")
    matrix = 0.5 * (matrix + matrix.T)
    lowest = float(np.linalg.eigvalsh(matrix)[0])
    if lowest <= len(matrix) * EPS * float(np.abs(matrix).max()):
        raise InvalidInputError(
            f"cov has smallest eigenvalue {lowest:.3g}; it must be positive definite beyond rounding"
        )
    return matrix


def box_probabilities(domain: Domain, means: FloatArray, stds: FloatArray) -> FloatArray:
    """Probabilities `(...)` of an axis-parallel domain under independent normal laws, (..., d) each."""
    low, high = ((bound - means) / stds for bound in domain.bounds())
    start = np.minimum(np.abs(low), np.abs(high))
    between = bell_between(start.ravel(), (high - low).ravel()).reshape(start.shape)
    one_sided = np.exp(-0.5 * start * start) / math.sqrt(2.0 * math.pi) * between
    two_sided = 0.5 * (erf(high / math.sqrt(2.0)) - erf(low / math.sqrt(2.0)))
    return np.asarray(np.prod(np.where((low < 0.0) & (high > 0.0), two_sided, one_sided), axis=-1))
