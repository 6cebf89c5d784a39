"""Densities of the whole input space brought onto a domain: `conditional` and `restricted`.

The two differ in what they are normalised over, the domain's affine plane or the domain itself; whoever
reports an integral says which of them was meant.
"""

from __future__ import annotations

import math

import numpy as np

from regions.density.ball_density import UniformBallDensity
from regions.density.densities import Density, FloatArray, check_density, check_domain, same_frame
from regions.density.frozen_distributions import with_distributions
from regions.density.gaussian import GaussianDensity
from regions.density.mixture import GaussianMixtureDensity
from regions.density.reach import part_with_mass
from regions.density.restriction import RestrictedDensity
from regions.density.uniform import UniformDensity
from regions.domain import Box, Domain, Polytope, Slice
from regions.errors import InvalidDomainError, InvalidInputError

__all__ = ["conditional", "restricted"]


@with_distributions
def conditional(density: Density, domain: Domain) -> Density:
    """Law of x given that x lies in the domain's affine plane, in the domain's intrinsic coordinates.

    With x = origin + basis @ t, and p the given density of the input space, it is
    q(t) = p(origin + basis @ t) / (integral of p(origin + basis @ s) over all s in R^d). The integral is over
    the whole plane, so the mass of q in the domain is below 1; `restricted` is normalised over the domain.

    A Gaussian becomes a Gaussian, a mixture a mixture whose weights are those of the components in the plane
    (in logarithms, as in hundreds of dimensions they underflow), a ball the ball that the plane cuts from
    it, and a uniform law on a Box or Polytope the uniform law on its section with the plane.

    Parameters
    ----------
    density : UniformDensity, UniformBallDensity, GaussianDensity or GaussianMixtureDensity of dimension
        `domain.input_dim`, in input coordinates
    domain : Domain; only its plane matters

    Returns
    -------
    density : Density of dimension `domain.dimension`; components of a mixture whose weight underflows beside
        the largest are left out

    Raises
    ------
    InvalidInputError : if the density is of another kind or dimension
    InvalidDomainError : if the plane misses the support of a uniform density

    References
    ----------
    Anderson, An Introduction to Multivariate Statistical Analysis, theorem 2.5.1.

    Examples
    --------
    >>> from regions.domain import Segment
    >>> line = Segment([3.0, 0.0], [3.0, 1.0])
    >>> conditional(GaussianDensity([0.0, 0.0], [[1.0, 0.5], [0.5, 1.0]]), line).describe()
    'gaussian, mean (1.5), std 0.866025'
    >>> conditional(UniformBallDensity([0.0, 0.0], 5.0), line).describe()
    'uniform on the ball of radius 4 around (0)'
    """
    check_density(density)
    check_domain(domain)
    if density.dimension != domain.input_dim:
        raise InvalidInputError(
            f"the density has {density.dimension} coordinates, {domain.describe()} lies in "
            f"{domain.input_dim} input dimensions; give a density of the input space"
        )
    if domain.is_identity:
        return density
    match density:
        case GaussianDensity():
            means, cov, _ = _normal_in_plane(density.mean[None], density.cov, domain)
            return GaussianDensity(means[0], cov, rtol=density.rtol, max_pieces=density.max_pieces)
        case GaussianMixtureDensity():
            return _mixture_in_plane(density, domain)
        case UniformBallDensity():
            return _ball_in_plane(density, domain)
        case UniformDensity():
            return _uniform_in_plane(density, domain)
        case _:
            raise InvalidInputError(
                f"no conditional law of a {type(density).__name__}; give a Gaussian, a mixture, or a "
                "uniform density of the input space"
            )


@with_distributions
def restricted(density: Density, domain: Domain, *, max_tries: int = 1 << 26) -> Density:
    """The density on the domain itself, zero outside, normalised there: its mass in the domain is 1.

    For a density p of the input space it is q(t) = p(origin + basis @ t) 1[t in domain] / (integral of
    p(origin + basis @ s) over the domain), which is `conditional` cut to the domain; for a density in the
    domain's intrinsic coordinates q(t) = p(t) 1[t in domain] / (integral of p over the domain). A density
    whose dimension is the domain's input dimension is taken as one of the input space.

    Parameters
    ----------
    density : Density in input coordinates (kinds as for `conditional`) or in intrinsic ones (any kind)
    domain : Domain; of an unbounded one the part where the density has its mass is meant (`part_with_mass`)
    max_tries : int, how many points a call of `sample` may draw to find those inside the domain

    Returns
    -------
    density : RestrictedDensity, or UniformDensity on the domain if the density is uniform around it

    Raises
    ------
    InvalidInputError : if the density has another dimension, or a kind that has no conditional law
    InvalidDomainError : if the mass in the domain is 0, or the domain leaves the support of a UniformDensity
    BudgetExceededError : if the cubature of the mass does not reach the density's tolerance

    Examples
    --------
    >>> density = restricted(GaussianDensity([0.0], 1.0), Box([0.0], [1.0]))
    >>> density.pdf([[0.0], [2.0]])
    array([1.16873713, 0.        ])
    """
    check_density(density)
    check_domain(domain)
    own = density
    intrinsic = isinstance(density, UniformDensity) and same_frame(density.domain, domain)
    if not intrinsic and density.dimension == domain.input_dim:
        own = conditional(density, domain)
    elif density.dimension != domain.dimension:
        raise InvalidInputError(
            f"the density has {density.dimension} coordinates, {domain.describe()} has {domain.dimension} of "
            f"its own and {domain.input_dim} in the input space; give a density in one of the two"
        )
    if not domain.is_bounded:
        if not domain.n_sides:  # there is nothing that it leaves out
            return own
        domain = part_with_mass(domain, own)
    if isinstance(own, UniformDensity):
        own.mass(domain)
        return UniformDensity(domain)
    return RestrictedDensity(own, domain, max_tries=max_tries)


def _normal_in_plane(
    means: FloatArray, cov: FloatArray, domain: Domain
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Means (K, d) and covariance (d, d) in the plane, and logarithms (K,) of the integrals over it.

    With L the Cholesky factor, |L^-1 (origin + B t - mean)|^2 is least squares in t.
    """
    d, chol = domain.dimension, np.linalg.cholesky(cov)
    design = np.linalg.solve(chol, domain.basis)
    target = np.linalg.solve(chol, (means - domain.origin).T)
    orthogonal, triangular = np.linalg.qr(design)
    inverse = np.linalg.inv(triangular)
    along = orthogonal.T @ target
    away = np.square(target - orthogonal @ along).sum(axis=0)
    volume = float(np.log(np.abs(np.diag(triangular))).sum() + np.log(np.diag(chol)).sum())
    logs = -0.5 * away - 0.5 * (domain.input_dim - d) * math.log(2.0 * math.pi) - volume
    return (inverse @ along).T, inverse @ inverse.T, logs


def _mixture_in_plane(density: GaussianMixtureDensity, domain: Domain) -> GaussianMixtureDensity:
    if density.covs.ndim == 2:
        means, covs, logs = _normal_in_plane(density.means, density.covs, domain)
    else:
        parts = [
            _normal_in_plane(mean[None], cov, domain)
            for mean, cov in zip(density.means, density.covs, strict=True)
        ]
        means, covs, logs = (np.stack(part) for part in zip(*parts, strict=True))
        means, logs = means[:, 0], logs[:, 0]
    logs = logs + np.log(density.weights)
    weights = np.exp(logs - logs.max())
    kept = weights > 0.0
    return GaussianMixtureDensity(
        weights[kept],
        means[kept],
        covs if covs.ndim == 2 else covs[kept],
        rtol=density.rtol,
        max_pieces=density.max_pieces,
        label=f"conditional {density.describe()}",
    )


def _ball_in_plane(density: UniformBallDensity, domain: Domain) -> UniformBallDensity:
    arm = density.center - domain.origin
    foot = np.linalg.lstsq(domain.basis, arm, rcond=None)[0]
    distance = float(np.linalg.norm(arm - domain.basis @ foot))
    if not distance < density.radius:
        raise InvalidDomainError(
            f"the plane of {domain.describe()} passes the ball's center at distance {distance:.6g}, its "
            f"radius is {density.radius:.6g}; there is no law on the plane: move it or widen the ball"
        )
    section = math.sqrt((density.radius - distance) * (density.radius + distance))
    return UniformBallDensity(foot + 0.0, section, rtol=density.rtol, max_pieces=density.max_pieces)


def _uniform_in_plane(density: UniformDensity, domain: Domain) -> UniformDensity:
    own = density.domain
    if same_frame(own, domain):
        return density
    if not own.is_identity:
        raise InvalidInputError(
            f"no conditional law on {domain.describe()} of a density uniform on {own.describe()}; "
            "give one that is uniform on a Box or Polytope of the input space"
        )
    A, b = own.halfspaces
    rows, room = A @ domain.basis, b - A @ domain.origin
    parallel = ~rows.any(axis=1)
    missed = bool(np.any(room[parallel] < 0.0))
    try:
        if missed:
            raise InvalidDomainError("a side of it is parallel to the plane")
        section = rows[~parallel], room[~parallel]
        return UniformDensity(_section_domain(domain, *section))
    except InvalidDomainError as error:
        raise InvalidDomainError(
            f"the plane of {domain.describe()} does not cut through the inside of {own.describe()}, where "
            f"the density lives ({error}); move the one or widen the other"
        ) from error


def _section_domain(domain: Domain, A: FloatArray, b: FloatArray) -> Domain:
    """The set {t : A t <= b} in the intrinsic coordinates of a domain; it may reach beyond that domain."""
    match domain.dimension:
        case 1:  # a Segment would start at its own end
            ends, upwards = b / A[:, 0], A[:, 0] > 0.0
            return Box([ends[~upwards].max()], [ends[upwards].min()])
        case 2:
            return Slice(domain.origin, domain.basis, (A, b))
        case _:
            return Polytope(A, b)
