"""Integrals of a normal density of an affine function against Gaussians, over simplices.

The product of both is a bell again, so that the cubature of Gaussians over simplices serves. What the affine
functions are, and what the integrals are for, is left to `conditioned`.
"""

from __future__ import annotations

import math
from typing import TypeGuard

import numpy as np
from numpy.typing import NDArray

from regions.density import Density, GaussianDensity, GaussianMixtureDensity
from regions.density.components import Group, group_components
from regions.density.integrals.simplex_integrals import average_bell, simplex_volumes

__all__ = ["is_gaussian", "weighted_bells"]

FloatArray = NDArray[np.float64]

# triples of a simplex, a unit and a component that are looked at, and of which one cubature is made, at once
_TRIPLES = 1 << 20
_BATCH = 1 << 14
# triples below this part of the tolerance times the mean are left out; their bounds are added to the error
_NEGLIGIBLE = 1e-3


def is_gaussian(density: Density) -> TypeGuard[GaussianDensity | GaussianMixtureDensity]:
    """Whether a density is Gaussian, or a mixture of Gaussians.

    Examples
    --------
    >>> is_gaussian(GaussianDensity([0.0], 1.0))
    True
    """
    return isinstance(density, GaussianDensity | GaussianMixtureDensity)


def weighted_bells(
    simplices: FloatArray,
    heights: FloatArray,
    gradients: FloatArray,
    sigma: float,
    density: GaussianDensity | GaussianMixtureDensity,
) -> tuple[float, float]:
    """Return the sum over simplices and units of the integrals of p |grad z| rho(z), and its error.

    Parameters
    ----------
    simplices : (K, d+1, d) float64
    heights : (K, d+1, n) float64, affine functions z at the corners
    gradients : (K, n, d) float64, of the same
    sigma : float > 0, rho is the density of N(0, sigma^2)
    density : p

    Returns
    -------
    value, error : float, the error an estimate of the cubature's, with a bound on what is left out

    Raises
    ------
    BudgetExceededError : if the cubature does not reach the density's tolerance

    Notes
    -----
    In coordinates u in which a component is N(m, I), let z = alpha u + z_0 and gamma = z(m). Then |u - m|^2 +
    z^2 / sigma^2 = gamma^2 / s^2 + |v|^2 for s^2 = sigma^2 + |alpha|^2 and v = u - u_0 stretched along alpha
    by s / sigma, u_0 = m - gamma alpha / s^2.

    Examples
    --------
    >>> whole = np.array([[[-40.0], [40.0]]])  # z = x, under N(0, 1): the density of N(0, 2) at 0
    >>> value, _ = weighted_bells(whole, whole, np.ones((1, 1, 1)), 1.0, GaussianDensity([0.0], 1.0))
    >>> round(value * math.sqrt(4.0 * math.pi), 9)
    1.0
    """
    volumes = simplex_volumes(simplices)[0]
    slopes = np.linalg.norm(gradients, axis=2)
    simplex, unit = np.nonzero(slopes > 0.0)
    values, errors = [0.0], [0.0]
    for group in _groups(density):
        white = group.whiten(simplices)
        step = max(1, _TRIPLES // len(group.means))
        for start in range(0, len(unit), step):
            own, which = simplex[start : start + step], unit[start : start + step]
            alpha = gradients[own, which] @ group.chol
            base = heights[own, 0, which] - (alpha * white[own, 0]).sum(axis=1)
            scale = volumes[own] * slopes[own, which] / (math.sqrt(2.0 * math.pi) * sigma)
            found = _of_group(group, white[own], (alpha, base, scale), sigma, density)
            values.append(found[0])
            errors.append(found[1])
    return math.fsum(values), math.fsum(errors)


def _groups(density: GaussianDensity | GaussianMixtureDensity) -> list[Group]:
    if isinstance(density, GaussianDensity):
        weights, means, covs = np.ones(1), density.mean[None], density.cov[None]
    else:
        weights, means, covs = density.weights, density.means, density.covs
    chols = np.linalg.cholesky(covs if covs.ndim == 3 else covs[None])
    return group_components(weights, means, np.asarray(chols, dtype=np.float64))


def _of_group(
    group: Group,
    white: FloatArray,
    functions: tuple[FloatArray, FloatArray, FloatArray],
    sigma: float,
    density: GaussianDensity | GaussianMixtureDensity,
) -> tuple[float, float]:
    """Sum over functions `(P,)` on simplices `(P, d+1, d)`, and over a group's components, with its error."""
    alpha, base, scale = functions
    squared = np.square(alpha).sum(axis=1)
    total = sigma**2 + squared
    gamma = alpha @ group.means.T + base[:, None]
    weights = scale[:, None] * np.exp(group.log_peaks - 0.5 * np.square(gamma) / total[:, None])
    # the bell is at most that at the nearest point of a ball around the simplex, where it is not stretched
    middle = white.mean(axis=1)
    radius = np.linalg.norm(white - middle[:, None], axis=2).max(axis=1)
    shift = alpha[:, None] * (gamma / total[:, None])[..., None]
    away = np.linalg.norm(middle[:, None] - group.means + shift, axis=2)
    nearest = np.maximum(away - radius[:, None], 0.0)
    bounds = weights * np.exp(-0.5 * np.square(nearest))
    used = bounds > _NEGLIGIBLE * density.rtol * float(bounds.mean())
    own, which = np.nonzero(used)
    values, errors = [0.0], [float(bounds[~used].sum())]
    for start in range(0, len(own), _BATCH):
        rows, columns = own[start : start + _BATCH], which[start : start + _BATCH]
        v = white[rows] - (group.means[columns] - shift[rows, columns])[:, None]
        along = alpha[rows] / np.sqrt(np.maximum(squared[rows], np.finfo(np.float64).tiny))[:, None]
        more = np.sqrt(total[rows]) / sigma - 1.0
        v = v + (v @ along[..., None]) * (more[:, None] * along)[:, None]
        part = weights[rows, columns]
        averages, spread = average_bell(v, part, density.rtol, density.max_pieces)
        values.append(float((part * averages).sum()))
        errors.append(float((part * spread).sum()))
    return math.fsum(values), math.fsum(errors)
