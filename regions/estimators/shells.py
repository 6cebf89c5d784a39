"""Locus integrals from the distances of random points to the locus: shells of finite thickness.

Distances come from the pre-activations and their gradients at the point alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from regions.density import Density
from regions.estimators.estimates import (
    Estimate,
    LocusKind,
    Target,
    check_above_zero,
    check_noise,
)
from regions.estimators.forward_passes import (
    Chain,
    State,
    forward,
    gradient_errors,
    gradient_norms,
    sampled_blocks,
    within,
)
from regions.estimators.goodness import count_visible, is_good_at_zero
from regions.estimators.sampling import SamplingEstimator
from regions.estimators.spreads import Noise, check_noise_kind
from regions.network import check_kind

__all__ = ["BoundaryDistance", "FiniteShell"]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class FiniteShell(SamplingEstimator):
    """Finite shells: mean number of units whose hyperplane passes within eps, over 2 eps.

    Mean of sum_i 1[|z_i(x)| < eps |grad z_i(x)|] 1[i good at x] / (2 eps): the hyperplane is that of the
    affine map at x, continued beyond its cell; a max unit has those of its winner's ties with the losers,
    good with the mean of both put out. With kind "activation" the second indicator is left out.

    Notes
    -----
    Estimates the locus integral (averaged over bias noise if sigma > 0), with a bias that vanishes as
    eps -> 0: the density is averaged over a shell of thickness 2 eps, hyperplanes are continued beyond
    the facets of a cell, and at the border of the domain a shell loses what lies outside. The variance
    grows as 1 / eps. For one hidden layer and data N(m, S) its mean is the sum over good units of
    P(|z_i| < eps |w_i|) / (2 eps) with z_i ~ N(w_i.m + b_i, w_i.S.w_i + sigma^2).

    Parameters
    ----------
    eps : float > 0, half the thickness, in input units
    sigma : float >= 0, standard deviation of the bias noise
    kind : "gradient" or "activation"
    noise : "absolute" or "relative", as for `local_complexity`

    Raises
    ------
    InvalidInputError : if eps, sigma, kind or noise is out of range

    References
    ----------
    Hanin and Rolnick, arXiv 1906.00904 (distance to the locus); docs/mathematics.md, "Estimators".

    Examples
    --------
    >>> from regions.density import UniformDensity
    >>> from regions.domain import Box
    >>> from regions.network import Network
    >>> network = Network.from_arrays([[[2.0]], [[1.0]]], [[0.0], [0.0]])
    >>> density = UniformDensity(Box([-1.0], [1.0]))
    >>> estimate = FiniteShell(0.1).estimate(network, density, np.random.default_rng(0), 10_000)
    >>> abs(estimate.mean - 0.5) < 4 * estimate.stderr
    True
    """

    eps: float
    sigma: float = 0.0
    kind: LocusKind = "gradient"
    noise: Noise = "absolute"
    name: ClassVar[str] = "finite shells"

    def __post_init__(self) -> None:
        check_above_zero("eps", self.eps)
        check_noise(self.sigma)
        check_kind(self.kind)
        check_noise_kind(self.noise)

    @property
    def target(self) -> Target:
        """The locus integral, averaged over bias noise if sigma > 0."""
        return Target.locus(self.sigma, self.kind, self.noise)

    def _estimate(self, chain: Chain, density: Density, rng: np.random.Generator, budget: int) -> Estimate:
        draws = np.zeros(budget)
        for places, t in sampled_blocks(chain, density, budget, rng):
            noise = chain.noise(self.sigma, len(t), rng)
            for part in chain.batches(chain.inside(t)):
                state = forward(chain, t[part], noise[part])
                draws[places.start + part] = self._count(self._near(chain, state))
        return Estimate.from_samples(draws / (2.0 * self.eps), count_visible(chain, self.kind))

    def _count(self, near: BoolArray) -> FloatArray:
        return np.asarray(near.sum(axis=1), dtype=np.float64)

    def _near(self, chain: Chain, state: State) -> BoolArray:
        """Return the units `(S, n_units)` whose hyperplane passes within eps and that count for the locus."""
        if not chain.depth:
            return np.zeros((1, 0), dtype=bool)
        norms = gradient_norms(chain, state.slopes)
        distances = np.abs(chain.distances(state.noisy, state))
        near = distances < self.eps * norms  # never of units that do not cut: their norm is 0 here
        layers = zip(range(chain.depth), state.sizes, state.active, strict=True)
        errors = chain.rounding * np.concatenate([chain.with_winners(*layer) for layer in layers], axis=1)
        slack = gradient_errors(chain, state.slopes)
        errors += self.eps * slack
        is_open = within(np.abs(distances - self.eps * norms), errors) & np.concatenate(chain.cutting)
        for row in np.flatnonzero(is_open.any(axis=1)).tolist():
            exact = state.exact(chain, row, gradients=True)
            for flat in np.flatnonzero(is_open[row]).tolist():
                of = int(np.searchsorted(chain.offsets, flat, side="right")) - 1
                near[row, flat] = exact.is_within(of, flat - int(chain.offsets[of]), self.eps)
        _leave_out_twins(chain, state, near, norms, slack)
        if self.kind == "gradient":
            for layer in range(chain.depth):
                sample, unit = np.nonzero(near[:, chain.units(layer)])
                good = is_good_at_zero(chain, state, layer, sample, unit)
                near[sample, unit + chain.offsets[layer]] = good
        return near


@dataclass(frozen=True)
class BoundaryDistance(FiniteShell):
    """Distance to the boundary: fraction of points within eps of the locus, over 2 eps.

    The distance is min_i |z_i(x)| / |grad z_i(x)| over the units that are good at x (all units with kind
    "activation", where it is the exact distance to the activation locus, continued beyond the domain).

    Notes
    -----
    Estimates the locus integral (averaged over bias noise if sigma > 0), with a bias that vanishes as
    eps -> 0: a point near two facets counts once, so that shells which overlap are lost and the value
    is low where facets meet or lie closer than 2 eps; the rest as for `FiniteShell`, whose value it never
    exceeds on the same points.

    Parameters
    ----------
    eps : float > 0, in input units
    sigma : float >= 0, standard deviation of the bias noise
    kind : "gradient" or "activation"
    noise : "absolute" or "relative", as for `local_complexity`

    Raises
    ------
    InvalidInputError : if eps, sigma, kind or noise is out of range

    References
    ----------
    Hanin and Rolnick, arXiv 1906.00904, distance from a point to the boundary of its region.

    Examples
    --------
    >>> from regions.density import UniformDensity
    >>> from regions.domain import Box
    >>> from regions.network import Network
    >>> network = Network.from_arrays([[[1.0], [1.0]], [[1.0, 1.0]]], [[0.0, 0.1], [0.0]])
    >>> density = UniformDensity(Box([-1.0], [1.0]))
    >>> estimate = BoundaryDistance(0.1).estimate(network, density, np.random.default_rng(0), 10_000)
    >>> abs(estimate.mean - 0.75) < 4 * estimate.stderr  # the exact integral is 1
    True
    """

    name: ClassVar[str] = "distance to the boundary"

    def _count(self, near: BoolArray) -> FloatArray:
        return np.asarray(near.any(axis=1), dtype=np.float64)


def _leave_out_twins(
    chain: Chain, state: State, near: BoolArray, norms: FloatArray, slack: FloatArray
) -> None:
    """Leave one of those losers of a max unit that are the same affine function around a sample.

    Behind their hyperplane the first of them wins, and the others do not.
    """
    for layer, sizes in enumerate(chain.maxima):
        if sizes is None:
            continue
        own = chain.units(layer)
        starts = np.cumsum(sizes) - sizes
        several = np.add.reduceat(near[:, own] & chain.candidates[layer], starts, axis=1, dtype=np.int64) > 1
        for sample, unit in zip(*np.nonzero(several), strict=True):
            first = own.start + int(starts[unit])
            rivals = first + np.flatnonzero(near[sample, first : first + int(sizes[unit])])
            spread = slack[sample, rivals]
            if not (np.abs(np.diff(np.sort(norms[sample, rivals]))) <= 2.0 * spread.max()).any():
                continue
            exact, seen = state.exact(chain, int(sample), gradients=True), set()
            for flat in rivals.tolist():
                row = tuple(map(int, exact.row(layer, flat - own.start)))
                near[sample, flat] = row not in seen
                seen.add(row)
