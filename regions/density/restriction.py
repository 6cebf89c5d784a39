"""`RestrictedDensity`: any density cut to a domain and normalised there."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from regions.density.densities import (
    EPS,
    Density,
    FloatArray,
    as_count,
    as_points,
    as_simplices,
    check_density,
    check_dimension,
    check_domain,
    check_inside,
    check_part,
)
from regions.density.frozen_distributions import as_density
from regions.domain import Domain
from regions.errors import BudgetExceededError, InvalidDomainError, InvalidInputError
from regions.inputs import seeded
from regions.showing import Shown

__all__ = ["RestrictedDensity"]

# points tried at once
_BATCH = 1 << 16


@dataclass(frozen=True, eq=False, init=False)
class RestrictedDensity(Shown):
    """A density p in a domain's intrinsic coordinates, as p(t) 1[t in domain] / (mass of p in the domain).

    Made by `restricted`. The error of that mass is carried into every integral.

    Parameters
    ----------
    base : Density of the domain's dimension
    domain : Domain
    max_tries : int, how many points a call of `sample` may draw from `base` to find those inside

    Attributes
    ----------
    base_mass, base_mass_error : float, the mass of `base` in the domain, and its error

    Raises
    ------
    InvalidDomainError : if the dimensions differ, or the mass of `base` in the domain is not above its error
    BudgetExceededError : if its cubature does not reach the tolerance of `base`

    Examples
    --------
    >>> from regions.density import GaussianDensity
    >>> from regions.domain import Box
    >>> density = RestrictedDensity(GaussianDensity([0.0], 1.0), Box([0.0], [9.0]))
    >>> round(density.base_mass, 9), round(density.mass(Box([0.0], [1.0]))[0], 9)
    (0.5, 0.682689492)
    """

    base: Density
    domain: Domain
    max_tries: int
    base_mass: float = field(init=False)
    base_mass_error: float = field(init=False)

    def __init__(self, base: Density, domain: Domain, *, max_tries: int = 1 << 26) -> None:
        base = as_density(base)
        check_density(base)
        check_domain(domain)
        check_dimension(base.dimension, domain)
        if max_tries < 1:
            raise InvalidInputError(f"max_tries is {max_tries!r}; give at least 1")
        mass, error = base.mass(domain)
        if not mass > error:
            raise InvalidDomainError(
                f"the mass in {domain.describe()} of the density ({base.describe()}) is {mass:.3g}, with an "
                f"error of {error:.3g}; nothing to normalise by: move the domain or widen the density"
            )
        values = {"base": base, "domain": domain, "max_tries": int(max_tries)}
        for name, value in {**values, "base_mass": mass, "base_mass_error": error}.items():
            object.__setattr__(self, name, value)

    @property
    def dimension(self) -> int:
        """Number of intrinsic coordinates."""
        return int(self.domain.dimension)

    def pdf(self, t: ArrayLike) -> FloatArray:
        """Values at points: p over its mass in the closed domain, else 0.

        Shapes and errors are those of `Density.pdf`.

        Examples
        --------
        >>> from regions.density import GaussianDensity
        >>> from regions.domain import Box
        >>> RestrictedDensity(GaussianDensity([0.0], 1.0), Box([0.0], [9.0])).pdf([[0.0], [-1.0]])
        array([0.79788456, 0.        ])
        """
        points = as_points(t, self.dimension)
        values = np.zeros(len(points))
        inside = np.asarray(self.domain.contains(points), dtype=bool)
        values[inside] = self.base.pdf(points[inside]) / self.base_mass
        return values

    @seeded
    def sample(self, n: int, rng: np.random.Generator) -> FloatArray:
        """Independent points `(n, d)`, by rejection: points of `base` are drawn until n are in the domain.

        Raises
        ------
        InvalidInputError : if n is negative
        BudgetExceededError : if about n / base_mass tries are more than max_tries, or turn out to be

        Examples
        --------
        >>> from regions.density import GaussianDensity
        >>> from regions.domain import Box
        >>> density = RestrictedDensity(GaussianDensity([0.0], 1.0), Box([0.0], [9.0]))
        >>> bool(density.sample(100, np.random.default_rng(0)).min() >= 0.0)
        True
        """
        expected = as_count(n, rng) / self.base_mass
        if expected > self.max_tries:
            raise BudgetExceededError(self._too_many(n, expected))
        found: list[FloatArray] = [np.empty((0, self.dimension))]
        missing, tried = int(n), 0
        while missing:
            size = min(_BATCH, int(1.1 * missing / self.base_mass) + 16)
            if tried + size > max(self.max_tries, 2 * _BATCH):
                raise BudgetExceededError(self._too_many(n, expected))
            points = self.base.sample(size, rng)
            found.append(points[self.domain.contains(points)][:missing])
            missing, tried = missing - len(found[-1]), tried + size
        return np.concatenate(found)

    def _too_many(self, n: int, expected: float) -> str:
        return (
            f"{n} points of a density with mass {self.base_mass:.3g} in the domain need about {expected:.3g} "
            f"tries, and max_tries is {self.max_tries}; ask for fewer points, raise max_tries, or move the "
            "domain"
        )

    def mass(self, domain: Domain) -> tuple[float, float]:
        """Probability of a domain that lies in this density's own.

        Parameters
        ----------
        domain : Domain with the same origin and basis, contained in this density's domain

        Returns
        -------
        value, error : float, float; 1 and 0 for the own domain

        Raises
        ------
        InvalidDomainError : if the domain has other coordinates or leaves this density's domain
        BudgetExceededError : if the cubature of `base` does not reach its tolerance
        """
        own = self.domain
        if domain is own or domain == own:
            return 1.0, 0.0
        check_part(own, domain, "restrict it to the domain that is integrated over")
        value, error = self.base.mass(domain)
        share = min(value / self.base_mass, 1.0)
        return share, error / self.base_mass + share * (self._relative_error + 2.0 * EPS)

    @property
    def _relative_error(self) -> float:
        return self.base_mass_error / (self.base_mass - self.base_mass_error)

    def integrate_simplices(self, simplices: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Integrals over simplices: those of `base`, over its mass in the domain.

        Parameters
        ----------
        simplices : (K, k+1, d) vertices in intrinsic coordinates, 0 <= k <= d, all in the domain

        Returns
        -------
        values : (K,) float64, in k-volume per d-volume
        errors : (K,) float64, those of `base` and of its mass

        Raises
        ------
        InvalidInputError : if the shape is wrong, a number is not finite or a vertex is outside the domain
        BudgetExceededError : if the cubature of `base` does not reach its tolerance

        Examples
        --------
        >>> from regions.density import GaussianDensity
        >>> from regions.domain import Box
        >>> density = RestrictedDensity(GaussianDensity([0.0], 1.0), Box([0.0], [9.0]))
        >>> density.integrate_simplices([[[0.0], [1.0]]])[0]
        array([0.68268949])
        """
        vertices = as_simplices(simplices, self.dimension)
        remedy = "enumerate and integrate on that domain, or restrict the density to the larger one"
        check_inside(self.domain, vertices, remedy)
        values, errors = self.base.integrate_simplices(vertices)
        shares = values / self.base_mass
        return shares, errors / self.base_mass + (self._relative_error + 2.0 * EPS) * shares

    def describe(self) -> str:
        """One line for reports."""
        return f"{self.base.describe()}, restricted to {self.domain.describe()} and normalised there"
