"""`UniformDensity`: constant on a box, polytope, slice or segment, and zero outside."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from regions.density.densities import (
    EPS,
    FloatArray,
    as_count,
    as_points,
    as_simplices,
    check_domain,
    check_inside,
    check_part,
)
from regions.density.integrals.simplex_integrals import simplex_volumes
from regions.domain import Domain
from regions.errors import InvalidDomainError
from regions.inputs import seeded
from regions.showing import Shown

__all__ = ["UniformDensity"]


@dataclass(frozen=True, eq=False)
class UniformDensity(Shown):
    """The constant density `1 / volume` on a domain, zero outside.

    Parameters
    ----------
    domain : Domain

    Raises
    ------
    InvalidInputError : if it is no Domain
    InvalidDomainError : if it is unbounded

    Examples
    --------
    >>> from regions.domain import Box
    >>> density = UniformDensity(Box([0.0, 0.0], [2.0, 1.0]))
    >>> density.pdf([[1.0, 0.5], [3.0, 0.5]])
    array([0.5, 0. ])
    """

    domain: Domain

    def __post_init__(self) -> None:
        check_domain(self.domain)
        if not self.domain.is_bounded:
            raise InvalidDomainError(
                f"there is no uniform density on {self.domain.describe()}, whose volume is infinite: give "
                "one of mass 1, such as a GaussianDensity"
            )

    @property
    def dimension(self) -> int:
        """Number of intrinsic coordinates."""
        return int(self.domain.dimension)

    def pdf(self, t: ArrayLike) -> FloatArray:
        """Values at points: `1 / volume` in the closed domain, else 0.

        Shapes and errors are those of `Density.pdf`.

        Examples
        --------
        >>> from regions.domain import Box
        >>> UniformDensity(Box([0.0], [4.0])).pdf([[1.0]])
        array([0.25])
        """
        points = as_points(t, self.dimension)
        inside: NDArray[np.bool_] = self.domain.contains(points)
        return np.where(inside, 1.0 / self.domain.volume, 0.0)

    @seeded
    def sample(self, n: int, rng: np.random.Generator) -> FloatArray:
        """Independent uniform points `(n, d)` of the domain; raises InvalidInputError if n is negative.

        Examples
        --------
        >>> from regions.domain import Box
        >>> UniformDensity(Box([0.0], [4.0])).sample(2, np.random.default_rng(0)).shape
        (2, 1)
        """
        return np.asarray(self.domain.sample(as_count(n, rng), rng), dtype=np.float64)

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
        >>> from regions.domain import Box
        >>> UniformDensity(Box([0.0], [4.0])).mass(Box([1.0], [2.0]))[0]
        0.25
        """
        own = self.domain
        if domain is own:
            return 1.0, 0.0
        check_part(own, domain, "build UniformDensity on the domain that is integrated over")
        value = min(float(domain.volume) / float(own.volume), 1.0)
        return value, 4.0 * EPS * value

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
        >>> from regions.domain import Box
        >>> UniformDensity(Box([0.0, 0.0], [2.0, 1.0])).integrate_simplices([[[0.0, 0.0], [1.0, 1.0]]])[0]
        array([0.70710678])
        """
        vertices = as_simplices(simplices, self.dimension)
        remedy = "enumerate and integrate on that domain, or build UniformDensity on the larger one"
        check_inside(self.domain, vertices, remedy)
        volumes, errors = simplex_volumes(vertices)
        return volumes / self.domain.volume, (errors + 2.0 * EPS * volumes) / self.domain.volume

    def describe(self) -> str:
        """One line for reports."""
        return f"uniform on {self.domain.describe()}"
