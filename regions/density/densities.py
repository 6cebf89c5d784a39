"""What all densities share: the `Density` protocol, argument checks, frames of coordinates.

The densities themselves are in `uniform`, `ball`, `gaussian` and `mixture`; those of a larger input space,
brought onto a domain, in `ambient`.
"""

from __future__ import annotations

import math
import numbers
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from regions.density.integrals.simplex_integrals import fill_with_simplices
from regions.domain import Domain
from regions.errors import InvalidDomainError, InvalidInputError
from regions.inputs import without_tensors

__all__ = [
    "EPS",
    "OUTSIDE",
    "Density",
    "FloatArray",
    "as_count",
    "as_floats",
    "as_points",
    "as_simplices",
    "check_density",
    "check_dimension",
    "check_domain",
    "check_generator",
    "check_inside",
    "check_part",
    "check_tolerance",
    "extent",
    "listing",
    "mass_by_simplices",
    "same_frame",
]

FloatArray = NDArray[np.float64]

EPS = float(np.finfo(np.float64).eps)
# how far outside its support, relative to its size, a rounded vertex of a facet may lie
OUTSIDE = 1e-9


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
        """Values at points.

        Parameters
        ----------
        t : (n, d) intrinsic coordinates

        Returns
        -------
        values : (n,) float64, per unit of d-volume

        Raises
        ------
        InvalidInputError : if t has another shape or holds NaN or infinity
        """

    def sample(self, n: int, rng: np.random.Generator) -> FloatArray:
        """Independent points `(n, d)`, the same for the same state of rng."""

    def mass(self, domain: Domain) -> tuple[float, float]:
        """Integral over a domain, and its error.

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
        """

    def integrate_simplices(self, simplices: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Integrals `(K,)` over k-simplices `(K, k+1, d)` in k-dimensional measure, and their errors."""

    def describe(self) -> str:
        """One line for reports."""


def as_floats(values: ArrayLike, what: str, *, copy: bool = True) -> FloatArray:
    """Numbers as float64, copied; raises InvalidInputError, which says what came in, for anything else.

    Examples
    --------
    >>> as_floats([1, 2], "mean")
    array([1., 2.])
    """
    given = without_tensors(values)
    try:
        return np.array(given, np.float64) if copy else np.asarray(given, np.float64)
    except (TypeError, ValueError, RuntimeError) as error:  # RuntimeError: an array of another library
        raise InvalidInputError(
            f"{what} must be numbers, and is a {type(values).__name__}: {_one_line(error)}"
        ) from error


def check_density(value: object) -> None:
    """Raise InvalidInputError unless a value is a density.

    Examples
    --------
    >>> try:
    ...     check_density("uniform")
    ... except InvalidInputError as error:
    ...     print(str(error)[:17])
    density is a str;
    """
    if isinstance(value, type) or not isinstance(value, Density):
        kind = value.__name__ if isinstance(value, type) else type(value).__name__
        what = "the class" if isinstance(value, type) else "a"
        known = not isinstance(value, type) and callable(getattr(value, "pdf", value))
        lacks = " (it can be evaluated, and not integrated over cells)" if known else ""
        raise InvalidInputError(
            f"density is {what} {kind}{lacks}; give a density such as UniformDensity(domain) or "
            "GaussianDensity(mean, cov), or an object with dimension, pdf, sample, mass, integrate_simplices "
            "and describe"
        )


def check_domain(value: object) -> None:
    """Raise InvalidInputError unless a value is a Domain.

    Examples
    --------
    >>> check_domain([-1.0, 1.0])
    Traceback (most recent call last):
    ...
    regions.errors.InvalidInputError: domain is a list; give a Box, Segment, Slice or Polytope
    """
    if not isinstance(value, Domain):
        raise InvalidInputError(f"domain is a {type(value).__name__}; give a Box, Segment, Slice or Polytope")


def check_generator(rng: object) -> None:
    """Raise InvalidInputError unless random numbers come from a numpy Generator.

    Examples
    --------
    >>> check_generator(None)
    Traceback (most recent call last):
    ...
    regions.errors.InvalidInputError: rng is None; give a seed such as 0, or numpy.random.default_rng(0)
    """
    if not isinstance(rng, np.random.Generator):
        said = repr(rng) if rng is None or isinstance(rng, int | float | str) else f"a {type(rng).__name__}"
        raise InvalidInputError(f"rng is {said}; give a seed such as 0, or numpy.random.default_rng(0)")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def as_points(t: ArrayLike, dimension: int) -> FloatArray:
    """Points `(n, dimension)` as float64; raises InvalidInputError."""
    points = as_floats(t, "points", copy=False)
    if points.ndim != 2 or points.shape[1] != dimension:
        raise InvalidInputError(f"points have shape {points.shape}; expected (n, {dimension})")
    if not np.isfinite(points).all():
        raise InvalidInputError("points hold NaN or infinity; every coordinate must be finite")
    return points


def as_simplices(simplices: ArrayLike, dimension: int) -> FloatArray:
    """Simplices `(K, k+1, dimension)`, k <= dimension, as float64; raises InvalidInputError."""
    vertices = as_floats(simplices, "simplices", copy=False)
    if vertices.ndim != 3 or vertices.shape[2] != dimension or not 1 <= vertices.shape[1] <= dimension + 1:
        raise InvalidInputError(
            f"simplices have shape {vertices.shape}; expected (K, k+1, {dimension}) with k <= {dimension}"
        )
    if not np.isfinite(vertices).all():
        raise InvalidInputError("simplices hold NaN or infinity; every coordinate must be finite")
    return vertices


def as_count(n: int, rng: np.random.Generator) -> int:
    """How many points are wanted of a generator; raises InvalidInputError if negative or no generator."""
    check_generator(rng)
    if isinstance(n, bool) or not isinstance(n, numbers.Integral) or n < 0:
        raise InvalidInputError(f"n is {n!r}; give the number of points, at least 0")
    return int(n)


def extent(domain: Domain) -> float:
    """Longest side of a domain's bounding box."""
    return float(np.ptp(domain.vertices, axis=0).max())


def check_tolerance(rtol: float, max_pieces: int) -> None:
    """Raise InvalidInputError unless a cubature can work with these."""
    if not 0.0 < rtol < 1.0:
        raise InvalidInputError(f"rtol is {rtol!r}; give a number between 0 and 1")
    if max_pieces < 1:
        raise InvalidInputError(f"max_pieces is {max_pieces!r}; give at least 1")


def check_dimension(dimension: int, domain: Domain) -> None:
    """Raise InvalidDomainError unless a domain has that many intrinsic coordinates."""
    if domain.dimension != dimension:
        raise InvalidDomainError(
            f"the density has {dimension} coordinates, {domain.describe()} has {domain.dimension}; "
            "give both in the same intrinsic coordinates"
        )


def check_part(own: Domain, domain: Domain, remedy: str) -> None:
    """Raise InvalidDomainError unless a domain is a part of the one that a density lives on.

    Parameters
    ----------
    own : Domain of the density
    domain : Domain that is integrated over
    remedy : str, what to do instead
    """
    if not same_frame(own, domain):
        raise InvalidDomainError(
            f"the density lives on {own.describe()}, whose coordinates are not those of "
            f"{domain.describe()}; {remedy}"
        )
    if not bool(np.all(own.contains(domain.vertices, OUTSIDE * extent(own)))):
        raise InvalidDomainError(
            f"{domain.describe()} leaves {own.describe()}, where the density lives; {remedy}"
        )


def check_inside(own: Domain, vertices: FloatArray, remedy: str) -> None:
    """Raise InvalidInputError unless simplices `(K, k+1, d)` lie in the domain that a density lives on."""
    inside = np.asarray(own.contains(vertices.reshape(-1, own.dimension), OUTSIDE * extent(own)), dtype=bool)
    if not inside.all():
        first = int(np.argmin(inside)) // vertices.shape[1]
        raise InvalidInputError(f"simplex {first} leaves {own.describe()}, where the density lives; {remedy}")


def mass_by_simplices(density: Density, domain: Domain) -> tuple[float, float]:
    """Integrate a density over the simplices that fill a domain: at most 1, and the error."""
    values, errors = density.integrate_simplices(fill_with_simplices(domain.vertices, domain.volume))
    return min(math.fsum(values.tolist()), 1.0), math.fsum(errors.tolist())


def same_frame(own: Domain, domain: Domain) -> bool:
    """Whether two domains have the same intrinsic coordinates.

    A Box or Polytope that is given in the intrinsic coordinates of a Slice or Segment counts as such.
    """
    if domain.dimension != own.dimension:
        return False
    if domain.input_dim != own.input_dim:
        return own.input_dim == own.dimension
    return np.array_equal(domain.origin, own.origin) and np.array_equal(domain.basis, own.basis)


def listing(numbers: FloatArray) -> str:
    """Numbers in parentheses, for people."""
    return f"({', '.join(f'{number:.6g}' for number in numbers)})"
