"""Rules for moments of the outputs on simplices: for polynomials, and for polynomials times a normal density.

Both have positive weights. What is left out of the second kind is bounded for each simplex, by how the
integrand grows off the real axis, so that it is rounding that limits it and not an estimate.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import solve_triangular

from regions.density import Density, GaussianDensity, GaussianMixtureDensity, RestrictedDensity
from regions.density.integrals.simplex_integrals import bisect_longest_edges, simplex_volumes
from regions.errors import BudgetExceededError

FloatArray = NDArray[np.float64]
Lifted = Iterable[tuple[FloatArray, NDArray[np.int64], float]]

MOST_DIMENSIONS = 3  # of normal moments: nodes are a grid in so many
_MOST_NODES = (24, 16, 12)  # along an axis, by dimension; longer simplices are halved
_ELLIPSES = np.array([1.5, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 128, 512])  # sums of half axes, of Bernstein's
WIDEST, FARTHEST = (
    3.0,
    9.0,
)  # deviations: longest edge that a cubature begins with, and where it may be longer
_EPS = 2.0**-52
_FAR = 2.0**-80  # of the largest integrand: what is below is bounded, and not refined
_TOGETHER = 1 << 20  # values that are computed at once
_TOO_LONG = "the domain is long beside the density: more simplices are needed than max_pieces, raise it"


def powers(exponents: NDArray[np.int64]) -> Callable[[FloatArray, FloatArray], ArrayLike]:
    """Return the function of monomials of the outputs, (n, outputs) to (n, m)."""

    def monomials(outputs: FloatArray, points: FloatArray) -> FloatArray:
        return np.asarray(np.prod(outputs[:, None, :] ** exponents, axis=2))

    return monomials


@lru_cache
def rule_of_degree(k: int, degree: int) -> tuple[FloatArray, FloatArray]:
    """Return barycentric nodes (P, k+1) and weights of sum 1 that integrate polynomials of a degree exactly.

    A simplex is a cube that is folded together at its ends, so that rules of Gauss and Jacobi for each axis
    make one for it, of positive weights.
    """
    from scipy.special import roots_jacobi

    count = degree // 2 + 1
    axes = [roots_jacobi(count, axis, 0) for axis in range(k)]
    nodes, weights = [], []
    for chosen in itertools.product(range(count), repeat=k):
        rest, weight, point = 1.0, 1.0, []
        for axis in range(k - 1, -1, -1):
            at, part = axes[axis][0][chosen[axis]], axes[axis][1][chosen[axis]]
            share = 0.5 * (1.0 + at)
            point.append(rest * share)
            rest *= 1.0 - share
            weight *= part * 0.5 ** (axis + 1)
        nodes.append([rest, *point])
        weights.append(weight * math.factorial(k))
    return np.array(nodes), np.array(weights)


def normal_parts(density: Density) -> list[tuple[float, GaussianDensity]]:
    """Return the normal densities that a density is a sum of, each with its weight; none of others.

    Of one that is restricted to a domain, those that it has there.

    Examples
    --------
    >>> parts = normal_parts(GaussianMixtureDensity([1.0, 3.0], [[-2.0], [2.0]], 0.25))
    >>> [(weight, part.mean.tolist()) for weight, part in parts]
    [(0.25, [-2.0]), (0.75, [2.0])]
    """
    match density:
        case GaussianDensity():
            return [(1.0, density)]
        case GaussianMixtureDensity():
            covs = np.broadcast_to(density.covs, (density.n_components, *density.covs.shape[-2:]))
            parts = zip(density.weights.tolist(), density.means, covs, strict=True)
            return [(weight, GaussianDensity(mean, cov)) for weight, mean, cov in parts]
        case RestrictedDensity():
            return [(weight / density.base_mass, part) for weight, part in normal_parts(density.base)]
    return []


class NormalMoments:
    """Integrals of monomials of affine outputs times a normal density over simplices, with proven remainders.

    Along each axis of the folded cube the integrand is a polynomial times the exponential of one of degree 2.
    On an ellipse around the axis, of half axes that sum to rho, it is bounded by M; Gauss's rule of n nodes
    then errs by at most 4 M rho^(1 - 2n) / (rho - 1), and over all axes these add up.

    Parameters
    ----------
    exponents : (m, outputs) int64
    density : GaussianDensity, of at most 3 dimensions
    max_pieces : int, how many simplices may be added by halving

    References
    ----------
    Trefethen, Approximation theory and approximation practice (2013), theorems 8.2 and 19.3.
    """

    def __init__(self, exponents: NDArray[np.int64], density: GaussianDensity, max_pieces: int) -> None:
        self.exponents, self.density, self.d = exponents, density, density.dimension
        self.budget = max_pieces
        self._chol = np.linalg.cholesky(density.cov)
        self._cond = float(np.linalg.cond(self._chol))
        logs = np.log(np.diag(self._chol)).sum() + 0.5 * self.d * math.log(2.0 * math.pi)
        self._peak, self._log_peak = math.exp(-float(logs)), -float(logs)
        self._highest = np.zeros(len(exponents))

    def integrate(self, pieces: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the sums of the integrals over some simplices.

        Parameters
        ----------
        pieces : (K, d+1, d + outputs) float64, the outputs at corners behind their coordinates

        Returns
        -------
        values, errors : (m,) float64; errors bound remainder and rounding, not that of the corners

        Raises
        ------
        BudgetExceededError
            If more simplices would have to be added than may be.
        """
        values, errors = [np.zeros(len(self.exponents))], [np.zeros(len(self.exponents))]
        while len(pieces):
            white = self.whitened(pieces[:, :, : self.d])
            counts, remainder = self._nodes(white, pieces[:, :, self.d :])
            ready = counts <= _MOST_NODES[self.d - 1]
            for count in np.unique(counts[ready]).tolist():
                own = counts == count
                found = self._applied(pieces[own], white[own], count)
                values.append(found[0])
                errors.append(found[1] + remainder[own].sum(axis=0))
            self.budget -= int(np.count_nonzero(~ready))
            if self.budget < 0:
                raise BudgetExceededError(_TOO_LONG)
            pieces = bisect_longest_edges(pieces[~ready], white[~ready])
        return (
            np.array([math.fsum(column) for column in np.array(values).T]),
            np.array([math.fsum(column) for column in np.array(errors).T]),
        )

    def whitened(self, points: FloatArray) -> FloatArray:
        """Return points (..., d) in coordinates in which the density is a standard normal one."""
        flat = (points - self.density.mean).reshape(-1, self.d).T
        white = solve_triangular(self._chol, flat, lower=True, check_finite=False)
        return np.asarray(white.T).reshape(points.shape)

    def _nodes(self, white: FloatArray, outputs: FloatArray) -> tuple[NDArray[np.int64], FloatArray]:
        """Return how many nodes each simplex needs along an axis, and the remainders that are left then."""
        length, near = _reach(white)
        sizes, spans = np.abs(outputs).max(axis=1), np.ptp(outputs, axis=1)
        highest = self._peak * np.prod(sizes[:, None, :] ** self.exponents, axis=2)
        highest *= np.exp(-0.5 * near * near)[:, None]  # of the integrand on the simplex, (K, m)
        self._highest = np.maximum(self._highest, highest.max(axis=0))
        with np.errstate(divide="ignore", invalid="ignore"):
            steep = np.where(sizes > 0.0, spans / sizes, 0.0)
        degree = self.exponents.max(axis=0)
        growth = []  # logarithms of 4 d M / (rho - 1), relative to the highest, for each ellipse
        for rho in _ELLIPSES.tolist():
            major, minor = (rho + 1.0 / rho) / 4.0, (rho - 1.0 / rho) / 4.0
            back = np.maximum(near - length * (major - 0.5), 0.0)
            bell = 0.5 * (near * near - back * back) + 0.5 * (length * minor) ** 2
            growth.append(bell + np.log1p(steep * major) @ degree + math.log(4 * self.d / (rho - 1.0)))
        logs, rates = np.array(growth).T, np.log(_ELLIPSES)
        needed = np.ceil(((logs - math.log(_EPS / 8)) / rates + 1.0) / 2.0).min(axis=1)
        counts = np.maximum(needed, 1.0 + np.ceil(self.exponents.sum(axis=1).max() / 4)).astype(np.int64)
        volumes = simplex_volumes(white)[0] * np.prod(np.diag(self._chol))
        far = (highest <= _FAR * self._highest).all(axis=1)
        counts[far] = np.minimum(counts[far], _MOST_NODES[self.d - 1])
        least = (logs - (2 * counts[:, None] - 1) * rates).min(axis=1)
        share = np.where(far, 2.0, np.exp(np.minimum(least, 1.0)))
        return counts, 1.000001 * (volumes * share)[:, None] * highest

    def _applied(self, pieces: FloatArray, white: FloatArray, count: int) -> tuple[FloatArray, FloatArray]:
        """Return the sums of integrals by a rule of so many nodes along an axis, and their rounding."""
        d, degree = self.d, int(self.exponents.sum(axis=1).max())
        nodes, weights = rule_of_degree(d, 2 * (count - 1))
        monomials: Any = powers(self.exponents)
        farthest = np.square(white).sum(axis=2).max(axis=1)
        rounding = _EPS * (48 + 4 * degree + 8 * self._cond * (1.0 + farthest) + abs(self._log_peak))
        values, errors = np.zeros((2, len(self.exponents)))
        step = max(1, _TOGETHER // (len(nodes) * pieces.shape[2]))
        for start in range(0, len(pieces), step):
            part = pieces[start : start + step]
            volumes = simplex_volumes(part[:, :, :d])[0]
            at = (nodes @ part).reshape(-1, part.shape[2])
            bell = self.density.pdf(at[:, :d]).reshape(len(part), -1)
            found = monomials(at[:, d:], at[:, :d]).reshape(len(part), len(nodes), -1)
            values += volumes @ np.einsum("p,kp,kpm->km", weights, bell, found)
            sizes = np.einsum("p,kp,kpm->km", weights, bell, np.abs(found))
            errors += (volumes * rounding[start : start + step]) @ sizes
        return values, errors


def cut_to_bell(pieces: FloatArray, density: GaussianDensity, most: int) -> FloatArray:
    """Return simplices halved until none that is near the mean is long beside the density.

    A rule may miss a bell that lies between its nodes, and two rules may miss it alike.

    Parameters
    ----------
    pieces : (K, d+1, d + ...) float64
    density : GaussianDensity
    most : int, how many simplices may be added

    Raises
    ------
    BudgetExceededError
        If more would have to be added.
    """
    moments = NormalMoments(np.zeros((1, 1), np.int64), density, most)
    ready = []
    while len(pieces):
        white = moments.whitened(pieces[:, :, : density.dimension])
        length, near = _reach(white)
        long = (length > WIDEST) & (near < FARTHEST)
        ready.append(pieces[~long])
        most -= int(long.sum())
        if most < 0:
            raise BudgetExceededError(_TOO_LONG)
        pieces = bisect_longest_edges(pieces[long], white[long])
    return np.concatenate(ready)


def _reach(white: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return bounds of how long simplices are, and of how near to the origin: (K,) each."""
    pairs = np.array(list(itertools.combinations(range(white.shape[1]), 2)))
    edges = white[:, pairs[:, 0]] - white[:, pairs[:, 1]]
    length = 1.000001 * np.sqrt(np.square(edges).sum(axis=2)).max(axis=1)  # a millionth for its rounding
    centre = white.mean(axis=1)
    away = np.sqrt(np.square(white - centre[:, None]).sum(axis=2)).max(axis=1)
    return length, np.maximum(0.999999 * np.linalg.norm(centre, axis=1) - 1.000001 * away, 0.0)
