"""`GaussianMixtureDensity`: weighted sums of normal densities, kernel density estimates among them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from regions.density.components import PAIRS, Group, group_components, integrate_groups, log_terms
from regions.density.densities import (
    EPS,
    FloatArray,
    as_count,
    as_floats,
    as_points,
    as_simplices,
    check_dimension,
    check_tolerance,
    mass_by_simplices,
)
from regions.density.gaussian import box_probabilities, check_covariance
from regions.domain import Domain
from regions.errors import InvalidInputError
from regions.inputs import seeded
from regions.showing import Shown

__all__ = ["GaussianMixtureDensity"]


@dataclass(frozen=True, eq=False, init=False)
class GaussianMixtureDensity(Shown):
    """The density sum_j weights_j N(means_j, covs_j), not renormalised to any domain.

    Parameters
    ----------
    weights : (K,) positive numbers; divided by their sum
    means : (K, d) array
    covs : number (variance of all), (K,) variances, a (d, d) matrix for all, or (K, d, d) matrices
    rtol : float in (0, 1), relative tolerance of the cubature (k >= 2 only)
    max_pieces : int, how many pieces the cubature may cut a batch of 16,384 pairs of a simplex and a
        component into, beyond the batch
    label : str, what `describe` says; "" for the number of components

    Raises
    ------
    InvalidInputError : if shapes differ, a number is not finite, a weight is not positive or a covariance
        not positive definite

    Examples
    --------
    >>> mixture = GaussianMixtureDensity([1.0, 3.0], [[-2.0], [2.0]], 1.0)
    >>> mixture.pdf([[-2.0], [2.0]])
    array([0.09983594, 0.29924017])
    """

    weights: FloatArray
    means: FloatArray
    covs: FloatArray
    rtol: float
    max_pieces: int
    label: str
    # one factor that holds for all components, or one for each
    _chols: FloatArray = field(repr=False)

    def __init__(
        self,
        weights: ArrayLike,
        means: ArrayLike,
        covs: ArrayLike,
        *,
        rtol: float = 1e-9,
        max_pieces: int = 1 << 19,
        label: str = "",
    ) -> None:
        shares, centres, spreads = _components(weights, means, covs)
        check_tolerance(rtol, max_pieces)
        matrices = spreads if spreads.ndim == 3 else spreads[None]
        arrays = {
            "weights": shares,
            "means": centres,
            "covs": spreads,
            "_chols": np.linalg.cholesky(matrices),
        }
        for array in arrays.values():
            array.setflags(write=False)
        numbers = {"rtol": float(rtol), "max_pieces": int(max_pieces), "label": label}
        for name, value in {**arrays, **numbers}.items():
            object.__setattr__(self, name, value)

    @classmethod
    def from_data(
        cls,
        points: ArrayLike,
        bandwidth: Literal["scott", "silverman"] | float = "scott",
        *,
        rtol: float = 1e-9,
        max_pieces: int = 1 << 19,
    ) -> GaussianMixtureDensity:
        """Kernel density estimate: a Gaussian around each of N points, of equal weights and covariances.

        The named rules scale the data's covariance (N - 1 in the denominator) by the square of a factor,
        as `scipy.stats.gaussian_kde` does: "scott" N^(-1/(d+4)), "silverman" (N (d+2)/4)^(-1/(d+4)).
        A number h is no factor: every kernel is then N(point, h^2 I), in the units of the points.

        Parameters
        ----------
        points : (N, d) array
        bandwidth : "scott", "silverman" or a positive number
        rtol, max_pieces : as for the class

        Raises
        ------
        InvalidInputError : if the shape is wrong, a number is not finite, the bandwidth is none of these,
            or the data's covariance is not positive definite (a named rule needs that)

        References
        ----------
        Scott, Multivariate Density Estimation (1992), section 6.3; Silverman, Density Estimation for
        Statistics and Data Analysis (1986), section 4.3.2.

        Examples
        --------
        >>> density = GaussianMixtureDensity.from_data([[0.0], [1.0], [5.0]], bandwidth=0.5)
        >>> density.describe()
        'kernel density of 3 points, std 0.5'
        """
        data = _matrix(points, "points")
        count, d = data.shape
        match bandwidth:
            case "scott":
                factor = count ** (-1.0 / (d + 4))
            case "silverman":
                factor = (count * (d + 2) / 4.0) ** (-1.0 / (d + 4))
            case str():
                raise InvalidInputError(
                    f"bandwidth is {bandwidth!r}; expected 'scott', 'silverman' or a positive number"
                )
            case _:
                if not (math.isfinite(bandwidth) and bandwidth > 0.0):
                    raise InvalidInputError(f"bandwidth is {bandwidth!r}; the number must be positive")
                said = f"kernel density of {count} points, std {bandwidth:.6g}"
                square = np.float64(bandwidth) ** 2
                return cls(np.ones(count), data, square, rtol=rtol, max_pieces=max_pieces, label=said)
        cov = _covariance_of_data(data, bandwidth) * factor**2
        said = f"kernel density of {count} points, bandwidth {bandwidth} (factor {factor:.6g})"
        return cls(np.ones(count), data, cov, rtol=rtol, max_pieces=max_pieces, label=said)

    @property
    def dimension(self) -> int:
        """Number of intrinsic coordinates."""
        return int(self.means.shape[1])

    @property
    def n_components(self) -> int:
        """Number K of Gaussians."""
        return len(self.weights)

    def pdf(self, t: ArrayLike) -> FloatArray:
        """Values at points, O(n K d) if the components share their covariance, else O(n K d^2).

        Shapes and errors are those of `Density.pdf`.

        Raises
        ------
        InvalidInputError : also if a value overflows, as it may in hundreds of dimensions

        Examples
        --------
        >>> GaussianMixtureDensity([1.0], [[0.0, 0.0]], 1.0).pdf([[0.0, 0.0]])
        array([0.15915494])
        """
        points = as_points(t, self.dimension)
        values = np.empty(len(points))
        block = max(1, PAIRS // self.n_components)
        for start in range(0, len(points), block):
            part = slice(start, start + block)
            terms = log_terms(self._groups, points[part])
            highest = terms.max(axis=1)
            with np.errstate(over="ignore"):
                values[part] = np.exp(highest) * np.exp(terms - highest[:, None]).sum(axis=1)
        if not np.isfinite(values).all():
            raise InvalidInputError(
                f"the density overflows in {self.dimension} dimensions; widen it, or take "
                "`conditional` or `restricted` on a domain of few dimensions"
            )
        return values

    @seeded
    def sample(self, n: int, rng: np.random.Generator) -> FloatArray:
        """Independent points `(n, d)`, O(n d^2); raises InvalidInputError if n is negative.

        Examples
        --------
        >>> mixture = GaussianMixtureDensity([1.0, 3.0], [[-2.0], [2.0]], 1.0)
        >>> mixture.sample(3, np.random.default_rng(0)).shape
        (3, 1)
        """
        count = as_count(n, rng)
        component = rng.choice(self.n_components, size=count, p=self.weights)
        normal = rng.standard_normal((n, self.dimension))
        if len(self._chols) == 1:
            return self.means[component] + normal @ self._chols[0].T
        return self.means[component] + np.einsum("nij,nj->ni", self._chols[component], normal)

    def mass(self, domain: Domain) -> tuple[float, float]:
        """Probability of a domain, by cubature unless erf gives it.

        That is where the domain is axis-parallel and all covariances are diagonal.

        Arguments, result and errors are those of `Density.mass`.

        Examples
        --------
        >>> from regions.domain import Box
        >>> mixture = GaussianMixtureDensity([1.0, 1.0], [[-1.0], [1.0]], 1.0)
        >>> round(mixture.mass(Box([-1.0], [1.0]))[0], 9)
        0.477249868
        """
        check_dimension(self.dimension, domain)
        variances = np.diagonal(self.covs, axis1=-2, axis2=-1)
        diagonal = np.array_equal(self.covs, variances[..., None] * np.eye(self.dimension))
        if domain.is_axis_parallel and diagonal:
            inside = box_probabilities(domain, self.means, np.sqrt(np.atleast_2d(variances)))
            value = math.fsum((self.weights * inside).tolist())
            return value, 32.0 * (self.dimension + 1) * EPS * value
        return mass_by_simplices(self, domain)

    def integrate_simplices(self, simplices: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Integrals over simplices in k-dimensional measure: those of the Gaussians, weighted and added up.

        Components that are provably below rounding on a simplex, all of them together, are left out there.
        Methods are those of `GaussianDensity` (closed forms for k <= 1, adaptive cubature for k >= 2, which
        stops when every error is at most rtol times the larger of the integral and the batch's mean), but
        on simplices that are small beside the components the sum is integrated at once: then the error is
        at most rtol times the integral, for k = 1 a few roundings. Cost for 1e5 simplices and 300
        components: some seconds.

        Parameters
        ----------
        simplices : (N, k+1, d) vertices in intrinsic coordinates, 0 <= k <= d

        Returns
        -------
        values : (N,) float64, in k-volume per d-volume
        errors : (N,) float64, bounds on the rounding (k <= 1) or estimates of the cubature (k >= 2)

        Raises
        ------
        InvalidInputError : if the shape is wrong or a number is not finite
        BudgetExceededError : if the cubature does not reach rtol within max_pieces

        Examples
        --------
        >>> mixture = GaussianMixtureDensity([1.0, 1.0], [[0.0, 0.0], [9.0, 0.0]], 1.0)
        >>> mixture.integrate_simplices([[[-1.0, 0.0], [1.0, 0.0]]])[0]
        array([0.13617685])
        """
        vertices = as_simplices(simplices, self.dimension)
        return integrate_groups(self._groups, vertices, self.rtol, self.max_pieces)

    def describe(self) -> str:
        """One line for reports.

        Examples
        --------
        >>> GaussianMixtureDensity([1.0, 1.0], [[0.0], [9.0]], 1.0).describe()
        'mixture of 2 gaussians'
        """
        return self.label or f"mixture of {self.n_components} gaussians"

    @cached_property
    def _groups(self) -> list[Group]:
        return group_components(self.weights, self.means, self._chols)


def _components(
    weights: ArrayLike, means: ArrayLike, covs: ArrayLike
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Weights `(K,)` that sum to 1, means `(K, d)`, and covariances `(d, d)` or `(K, d, d)`, copied."""
    centres = _matrix(means, "means")
    count, d = centres.shape
    shares, spreads = as_floats(weights, "weights"), as_floats(covs, "covs")
    if shares.shape != (count,) or spreads.shape not in ((), (count,), (d, d), (count, d, d)):
        raise InvalidInputError(
            f"means have shape {centres.shape}, weights {shares.shape} and covs {spreads.shape}; expected "
            "(K, d), (K,), and (), (K,), (d, d) or (K, d, d)"
        )
    if not (np.isfinite(shares).all() and np.isfinite(spreads).all()):
        raise InvalidInputError("weights or covs hold NaN or infinity; every number must be finite")
    if not np.all(shares > 0.0):
        raise InvalidInputError(f"the lowest weight is {shares.min():.6g}; every weight must be positive")
    if spreads.ndim < 2:
        spreads = spreads[..., None, None] * np.eye(d)
    if spreads.ndim == 2:
        return shares / shares.sum(), centres, check_covariance(spreads)
    return shares / shares.sum(), centres, np.array([check_covariance(matrix) for matrix in spreads])


def _matrix(points: ArrayLike, name: str) -> FloatArray:
    """Finite `(K, d)` numbers with K, d >= 1, copied."""
    rows = as_floats(points, name)
    if rows.ndim != 2 or 0 in rows.shape:
        raise InvalidInputError(f"{name} have shape {rows.shape}; expected (K, d), at least one row")
    if not np.isfinite(rows).all():
        raise InvalidInputError(f"{name} hold NaN or infinity; every number must be finite")
    return rows


def _covariance_of_data(data: FloatArray, rule: str) -> FloatArray:
    """Covariance `(d, d)` of data rows; raises InvalidInputError if it has no positive definite one."""
    count, d = data.shape
    cov = np.atleast_2d(np.cov(data.T)) if count > 1 else np.zeros((d, d))
    spectrum = np.linalg.eigvalsh(cov)
    # the computed covariance of data in a plane misses zero by about this
    if not spectrum[0] > 64.0 * d * EPS * spectrum[-1]:
        raise InvalidInputError(
            f"the {count} points have a degenerate covariance (eigenvalues {spectrum[0]:.3g} to "
            f"{spectrum[-1]:.3g}), which the rule {rule!r} cannot scale; give the bandwidth as a number"
        )
    return cov
