"""Where densities have their mass: the bounded part of an unbounded domain that stands for all of it."""

from __future__ import annotations

import numpy as np

from regions.density.ball_density import UniformBallDensity
from regions.density.densities import Density, FloatArray, check_density, check_dimension, check_domain
from regions.density.gaussian import GaussianDensity
from regions.density.mixture import GaussianMixtureDensity
from regions.density.restriction import RestrictedDensity
from regions.density.uniform import UniformDensity
from regions.domain import Domain, Unbounded
from regions.errors import InvalidInputError

__all__ = ["part_with_mass"]

DEVIATIONS = 16.0  # a normal variable is farther from its mean with probability 1.3e-57


def part_with_mass(domain: Domain, density: Density) -> Domain:
    """Return the part of an unbounded domain that has a density's mass; a bounded domain itself.

    What is left out has at most 2.6e-57 times d of the mass of each normal component, far below what floats
    add to any sum, and nothing of a density with a bounded support.

    Parameters
    ----------
    domain : Domain
    density : Density in its intrinsic coordinates

    Raises
    ------
    InvalidInputError
        If it is no domain, or is unbounded, and it is not known where the density has its mass.
    InvalidDomainError
        If they have different dimensions, or the domain ends before the density begins.

    Examples
    --------
    >>> from regions.domain import WholeSpace
    >>> part_with_mass(WholeSpace(2), GaussianDensity([1.0, 0.0], 0.25)).describe()
    'Box [-7, 9] x [-8, 8]'
    """
    check_domain(domain)
    if not isinstance(domain, Unbounded):
        return domain
    check_density(density)
    check_dimension(density.dimension, domain)
    low, high = _reach(density)
    return domain.part(low, high)


def _reach(density: Density) -> tuple[FloatArray, FloatArray]:
    match density:
        case GaussianDensity():
            away = DEVIATIONS * np.sqrt(np.diag(density.cov))
            return density.mean - away, density.mean + away
        case GaussianMixtureDensity():
            covs = density.covs if density.covs.ndim == 3 else density.covs[None]
            away = DEVIATIONS * np.sqrt(np.diagonal(covs, axis1=1, axis2=2))
            return (density.means - away).min(axis=0), (density.means + away).max(axis=0)
        case UniformBallDensity():
            return density.center - density.radius, density.center + density.radius
        case UniformDensity() | RestrictedDensity():
            return density.domain.bounds()
        case _:
            raise InvalidInputError(
                f"it is not known where {density.describe()} has its mass: give a bounded domain with it"
            )
