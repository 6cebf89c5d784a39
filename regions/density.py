"""Probability densities in a domain's intrinsic coordinates: values, samples, integrals over simplices.

Everything that weighs a locus or draws points for an estimator comes from here; which simplices and
which points those are is left to `locus` and `estimators`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import solve_triangular
from scipy.special import erf

from regions.domain import Box, Domain
from regions.errors import InvalidDomainError, InvalidInputError
from regions.simplex_integrals import average_bell, bell_between, fill_with_simplices, simplex_volumes

__all__ = ["Density", "GaussianDensity", "UniformDensity", "from_spec"]

FloatArray = NDArray[np.float64]

_EPS = float(np.finfo(np.float64).eps)
# how far outside its support, relative to its size, a rounded vertex of a facet may lie
_OUTSIDE = 1e-9


@runtime_checkable
class Density(Protocol):
    """What a density must offer; `t` are intrinsic coordinates, always `(n, dimension)`.

    Integrals come as a value and an error: a bound on the rounding where the integral is a closed form,
    else the estimate of the cubature.
    """

    @property
    def dimension(self) -> int:
        """Number of intrinsic coordinates."""

    def pdf(self, t: ArrayLike) -> FloatArray:
        """Values `(n,)` at the points t `(n, d)`."""

    def sample(self, n: int, rng: np.random.Generator) -> FloatArray:
        """Independent points `(n, d)`, the same for the same state of rng."""

    def mass(self, domain: Domain) -> tuple[float, float]:
        """Integral over a domain, and its error."""

    def integrate_simplices(self, simplices: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Integrals `(K,)` over k-simplices `(K, k+1, d)` in k-dimensional measure, and their errors."""

    def describe(self) -> str:
        """One line for reports."""


@dataclass(frozen=True, eq=False)
class UniformDensity:
    """The constant density `1 / volume` on a domain, zero outside.

    Parameters
    ----------
    domain : Domain

    Examples
    --------
    >>> density = UniformDensity(Box([0.0, 0.0], [2.0, 1.0]))
    >>> density.pdf([[1.0, 0.5], [3.0, 0.5]])
    array([0.5, 0. ])
    """

    domain: Domain

    @property
    def dimension(self) -> int:
        """Number of intrinsic coordinates."""
        return int(self.domain.dimension)

    def pdf(self, t: ArrayLike) -> FloatArray:
        """Values at points: `1 / volume` in the closed domain, else 0.

        Parameters
        ----------
        t : (n, d) intrinsic coordinates

        Returns
        -------
        values : (n,) float64, per unit of d-volume

        Raises
        ------
        InvalidInputError : if t has another shape or holds NaN or infinity

        Examples
        --------
        >>> UniformDensity(Box([0.0], [4.0])).pdf([[1.0]])
        array([0.25])
        """
        points = _points(t, self.dimension)
        inside: NDArray[np.bool_] = self.domain.contains(points)
        return np.where(inside, 1.0 / self.domain.volume, 0.0)

    def sample(self, n: int, rng: np.random.Generator) -> FloatArray:
        """Independent uniform points `(n, d)` of the domain; raises InvalidInputError if n is negative.

        Examples
        --------
        >>> UniformDensity(Box([0.0], [4.0])).sample(2, np.random.default_rng(0)).shape
        (2, 1)
        """
        return np.asarray(self.domain.sample(_count(n), rng), dtype=np.float64)

    def mass(self, domain: Domain) -> tuple[float, float]:
        """Probability of a domain that lies in this density's own: the ratio of their volumes.

        Parameters
        ----------
        domain : Domain with the same origin and basis, contained in this density's domain

        Returns
        -------
        value, error : float, float (the error bounds the rounding)

        Raises
        ------
        InvalidDomainError : if the domain has other coordinates or leaves this density's domain

        Examples
        --------
        >>> UniformDensity(Box([0.0], [4.0])).mass(Box([1.0], [2.0]))[0]
        0.25
        """
        own = self.domain
        if domain is own:
            return 1.0, 0.0
        same_frame = (
            domain.dimension == own.dimension
            and domain.input_dim == own.input_dim
            and np.array_equal(domain.origin, own.origin)
            and np.array_equal(domain.basis, own.basis)
        )
        if not same_frame:
            raise InvalidDomainError(
                f"the density is uniform on {own.describe()}, whose coordinates are not those of "
                f"{domain.describe()}; build UniformDensity on the domain that is integrated over"
            )
        if not bool(np.all(own.contains(domain.vertices, _OUTSIDE * _extent(own)))):
            raise InvalidDomainError(
                f"{domain.describe()} leaves {own.describe()}, where the uniform density lives; "
                "build UniformDensity on the domain that is integrated over"
            )
        value = min(float(domain.volume) / float(own.volume), 1.0)
        return value, 4.0 * _EPS * value

    def integrate_simplices(self, simplices: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """k-volumes of simplices over the volume of the domain; closed form, O(K d k^2).

        Parameters
        ----------
        simplices : (K, k+1, d) vertices in intrinsic coordinates, 0 <= k <= d, all in the domain

        Returns
        -------
        values : (K,) float64, in k-volume per d-volume (k = 0: the value of the density)
        errors : (K,) float64, bounds on the rounding

        Raises
        ------
        InvalidInputError : if the shape is wrong, a number is not finite or a vertex is outside the domain

        Examples
        --------
        >>> UniformDensity(Box([0.0, 0.0], [2.0, 1.0])).integrate_simplices([[[0.0, 0.0], [1.0, 1.0]]])[0]
        array([0.70710678])
        """
        vertices = _simplices(simplices, self.dimension)
        inside = self.domain.contains(vertices.reshape(-1, self.dimension), _OUTSIDE * _extent(self.domain))
        if not np.all(inside):
            first = int(np.argmin(inside)) // vertices.shape[1]
            raise InvalidInputError(
                f"simplex {first} leaves {self.domain.describe()}, where the uniform density lives; "
                "enumerate and integrate on that domain, or build UniformDensity on the larger one"
            )
        volumes, errors = simplex_volumes(vertices)
        return volumes / self.domain.volume, (errors + 2.0 * _EPS * volumes) / self.domain.volume

    def describe(self) -> str:
        """One line for reports."""
        return f"uniform on {self.domain.describe()}"


@dataclass(frozen=True, eq=False, init=False)
class GaussianDensity:
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
        if not 0.0 < rtol < 1.0:
            raise InvalidInputError(f"rtol is {rtol!r}; give a number between 0 and 1")
        if max_pieces < 1:
            raise InvalidInputError(f"max_pieces is {max_pieces!r}; give at least 1")
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

        Parameters
        ----------
        t : (n, d) intrinsic coordinates

        Returns
        -------
        values : (n,) float64, per unit of d-volume

        Raises
        ------
        InvalidInputError : if t has another shape or holds NaN or infinity

        Examples
        --------
        >>> GaussianDensity([1.0], 4.0).pdf([[1.0]])
        array([0.19947114])
        """
        points = _points(t, self.dimension)
        values: FloatArray = np.exp(self._log_peak - 0.5 * np.square(self._whiten(points)).sum(axis=1))
        return values

    def sample(self, n: int, rng: np.random.Generator) -> FloatArray:
        """Independent points `(n, d)`, O(n d^2); raises InvalidInputError if n is negative.

        Examples
        --------
        >>> GaussianDensity([0.0, 0.0], [1.0, 4.0]).sample(3, np.random.default_rng(0)).shape
        (3, 2)
        """
        return self.mean + rng.standard_normal((_count(n), self.dimension)) @ self._chol.T

    def mass(self, domain: Domain) -> tuple[float, float]:
        """Probability of a domain: erf on boxes with a diagonal cov and in 1-D, else cubature.

        A polygon is cut into a fan, a polytope into the Delaunay simplices of its vertices.

        Parameters
        ----------
        domain : Domain of the same dimension

        Returns
        -------
        value, error : float, float

        Raises
        ------
        InvalidDomainError : if the domain has another dimension
        BudgetExceededError : if the cubature does not reach rtol within max_pieces
        CertificateError : if the simplices do not fill the domain

        Examples
        --------
        >>> value, error = GaussianDensity([0.0], 1.0).mass(Box([-1.0], [1.0]))
        >>> round(value, 9), error < 1e-14
        (0.682689492, True)
        """
        if domain.dimension != self.dimension:
            raise InvalidDomainError(
                f"the density has {self.dimension} coordinates, {domain.describe()} has {domain.dimension}; "
                "give both in the same intrinsic coordinates"
            )
        if isinstance(domain, Box) and np.array_equal(self.cov, np.diag(np.diag(self.cov))):
            value = _box_probability(domain, self.mean, np.sqrt(np.diag(self.cov)))
            return value, 32.0 * self.dimension * _EPS * value
        simplices = fill_with_simplices(domain.vertices, domain.volume)
        values, errors = self.integrate_simplices(simplices)
        value, error = math.fsum(values.tolist()), math.fsum(errors.tolist())
        return min(value, 1.0), error

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
        vertices = _simplices(simplices, self.dimension)
        count, corners, dimension = vertices.shape
        volumes, volume_errors = simplex_volumes(vertices)
        white = self._whiten(vertices.reshape(-1, dimension)).reshape(count, corners, dimension)
        averages, errors = average_bell(white, volumes, self.rtol, self.max_pieces)
        peak = math.exp(self._log_peak)
        farthest = np.square(white).sum(axis=2).max(axis=1, initial=0.0)
        rounding = _EPS * (32.0 + 8.0 * self._condition * (1.0 + farthest) + abs(self._log_peak))
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
            spread = f"std {_listing(np.sqrt(variances))}"
        return f"gaussian, mean {_listing(self.mean)}, {spread}"

    def _whiten(self, points: FloatArray) -> FloatArray:
        # columns of t - mean solved by the Cholesky factor: |result|^2 is the squared Mahalanobis distance
        white = solve_triangular(self._chol, (points - self.mean).T, lower=True, check_finite=False)
        return np.ascontiguousarray(white.T, dtype=np.float64)


def from_spec(spec: str, domain: Domain) -> Density:
    """Density named by a command line: `uniform`, or `gaussian:mean=0,0;std=1`, or `gaussian:cov=1,0,0,2`.

    Parameters
    ----------
    spec : str; keys of a gaussian are `mean` (default 0), and `std` (one or d numbers) or `cov`
        (one, d or d*d numbers, row by row); a single mean holds for every coordinate
    domain : Domain whose intrinsic coordinates, and support if uniform, are meant

    Raises
    ------
    InvalidInputError : if the text is none of these, or its numbers do not fit the domain

    Examples
    --------
    >>> from_spec("gaussian:mean=0;std=2", Box([0.0, 0.0], [1.0, 1.0])).describe()
    'gaussian, mean (0, 0), std 2'
    """
    kind, _, rest = spec.strip().partition(":")
    if kind == "uniform" and not rest:
        return UniformDensity(domain)
    if kind != "gaussian":
        raise InvalidInputError(f"density {spec!r}; expected 'uniform' or 'gaussian:mean=0,0;std=1'")
    numbers: dict[str, FloatArray] = {}
    for part in filter(None, rest.split(";")):
        key, _, text = part.partition("=")
        key = key.strip()
        if key not in ("mean", "std", "cov") or key in numbers:
            raise InvalidInputError(f"density {spec!r}: {part!r}; give each of mean=, std= or cov= once")
        try:
            numbers[key] = np.array([float(word) for word in text.split(",")])
        except ValueError as error:
            raise InvalidInputError(f"density {spec!r}: {part!r} is not a list of numbers") from error
    if ("std" in numbers) == ("cov" in numbers):
        raise InvalidInputError(f"density {spec!r}; give either std= or cov=")
    d = domain.dimension
    mean = _one_per_coordinate(spec, "mean", numbers.get("mean", np.zeros(1)), d)
    if "std" in numbers:
        std = _one_per_coordinate(spec, "std", numbers["std"], d)
        if not np.all(std > 0.0):
            raise InvalidInputError(f"density {spec!r}; every std must be positive")
        return GaussianDensity(mean, std * std)
    cov = numbers["cov"]
    matrix = cov.reshape(d, d) if cov.size == d * d else np.diag(_one_per_coordinate(spec, "cov", cov, d))
    return GaussianDensity(mean, matrix)


def _one_per_coordinate(spec: str, key: str, numbers: FloatArray, d: int) -> FloatArray:
    if numbers.size not in (1, d):
        raise InvalidInputError(f"density {spec!r}: {key} has {numbers.size} numbers; expected 1 or {d}")
    return np.array(np.broadcast_to(numbers, d))


def _moments(mean: ArrayLike, cov: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Mean `(d,)` and positive definite covariance `(d, d)`, copied."""
    try:
        centre = np.atleast_1d(np.array(mean, dtype=np.float64))
        spread = np.array(cov, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f"mean and cov must be arrays of numbers: {error}") from error
    d = max(centre.size, spread.shape[-1] if spread.ndim else 1)
    if centre.ndim != 1 or centre.size not in (1, d) or spread.shape not in ((), (d,), (d, d)):
        raise InvalidInputError(
            f"mean has shape {centre.shape} and cov {spread.shape}; expected (d,) with (), (d,) or (d, d)"
        )
    if not (np.isfinite(centre).all() and np.isfinite(spread).all()):
        raise InvalidInputError("mean or cov holds NaN or infinity; every number must be finite")
    matrix = spread if spread.ndim == 2 else np.diag(np.broadcast_to(spread, d))
    if not np.allclose(matrix, matrix.T, rtol=1e-12, atol=0.0):
        raise InvalidInputError("cov is not symmetric; give a symmetric positive definite matrix")
    matrix = 0.5 * (matrix + matrix.T)
    lowest = float(np.linalg.eigvalsh(matrix)[0])
    if lowest <= d * _EPS * float(np.abs(matrix).max()):
        raise InvalidInputError(
            f"cov has smallest eigenvalue {lowest:.3g}; it must be positive definite beyond rounding"
        )
    return np.array(np.broadcast_to(centre, d)), matrix


def _points(t: ArrayLike, dimension: int) -> FloatArray:
    points = np.asarray(t, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != dimension:
        raise InvalidInputError(f"points have shape {points.shape}; expected (n, {dimension})")
    if not np.isfinite(points).all():
        raise InvalidInputError("points hold NaN or infinity; every coordinate must be finite")
    return points


def _simplices(simplices: ArrayLike, dimension: int) -> FloatArray:
    vertices = np.asarray(simplices, dtype=np.float64)
    if vertices.ndim != 3 or vertices.shape[2] != dimension or not 1 <= vertices.shape[1] <= dimension + 1:
        raise InvalidInputError(
            f"simplices have shape {vertices.shape}; expected (K, k+1, {dimension}) with k <= {dimension}"
        )
    if not np.isfinite(vertices).all():
        raise InvalidInputError("simplices hold NaN or infinity; every coordinate must be finite")
    return vertices


def _count(n: int) -> int:
    if n < 0:
        raise InvalidInputError(f"n is {n}; give the number of points, at least 0")
    return int(n)


def _extent(domain: Domain) -> float:
    return float(np.ptp(domain.vertices, axis=0).max())


def _box_probability(box: Box, mean: FloatArray, std: FloatArray) -> float:
    low, high = (box.vertices.min(axis=0) - mean) / std, (box.vertices.max(axis=0) - mean) / std
    start = np.minimum(np.abs(low), np.abs(high))
    one_sided = np.exp(-0.5 * start * start) / math.sqrt(2.0 * math.pi) * bell_between(start, high - low)
    two_sided = 0.5 * (erf(high / math.sqrt(2.0)) - erf(low / math.sqrt(2.0)))
    return float(np.prod(np.where((low < 0.0) & (high > 0.0), two_sided, one_sided)))


def _listing(numbers: FloatArray) -> str:
    return f"({', '.join(f'{number:.6g}' for number in numbers)})"
