"""Locus integrals by Crofton's formula: random lines, and the exact crossings along each of them.

The lines are drawn here; where units change sign along them is left to `crossings`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from regions.density import Density, UniformDensity
from regions.domain import Domain
from regions.errors import InvalidInputError
from regions.estimators.crossings import Lines, find_crossings
from regions.estimators.estimates import (
    Estimate,
    LocusKind,
    Target,
    check_noise,
)
from regions.estimators.forward_passes import Chain, forward, working_rows
from regions.estimators.goodness import count_visible, sampled_goodness
from regions.estimators.sampling import SamplingEstimator
from regions.estimators.spreads import Noise, check_noise_kind
from regions.network import check_kind

__all__ = ["CroftonLines"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

# lines per block of random draws; fixes which number goes where, so changing it changes results
_BLOCK = 1024


@dataclass(frozen=True)
class CroftonLines(SamplingEstimator):
    """Crofton lines: the density summed over the crossings of random lines with the locus.

    A line goes through a uniform point of the domain in a uniform direction u. With L the length of its
    chord in the domain of volume V, its draw is V / (c_d L) times the sum of p over the crossings of the
    chord with the locus, c_d = E |n . u| = Gamma(d/2) / (sqrt(pi) Gamma((d+1)/2)). A crossing of unit i
    belongs to the nonlinear locus if i is good there: some path of nonzero weights and active units
    leads from it to an output.

    Estimates the locus integral at the stored biases (sigma = 0), or its average over bias noise, with
    noise of its own for each line (sigma > 0); both without bias, in any dimension.

    Notes
    -----
    The lines of direction u have density L / V on the hyperplane normal to u, which the weight V / L
    undoes; for a facet with normal n the lines of direction u that meet it have measure |n . u| dH, and c_d
    is the mean of |n . u|. At a crossing z_i = 0, so the states of the units behind are those of unit i
    putting out 0, as goodness asks. Crossings are zeros of affine functions, exact up to rounding of
    their places; whether there is one is never taken from rounding. Zero sets that coincide, of units
    with proportional maps, count once for each unit;
    goodness is structural, as in `local_complexity`. Short chords across an edge of the domain make the
    fourth moment infinite for d >= 3: the standard error is sound, but converges slowly.

    Cost for H layers of width n: the line is cut into about as many parts as it has crossings, K, and
    each part costs 2 H n^2 twice (offset and slope), so about 4 K H n^2 flops a line.

    Parameters
    ----------
    sigma : float >= 0, standard deviation of the bias noise
    kind : "gradient" or "activation"
    noise : "absolute" or "relative", as for `local_complexity`

    Raises
    ------
    InvalidInputError : if sigma, kind or noise is out of range; of `estimate`, also if there is no domain

    References
    ----------
    Santalo, Integral Geometry and Geometric Probability, section 14.4; docs/mathematics.md, "Estimators".

    Examples
    --------
    >>> from regions.domain import Box
    >>> from regions.network import Network
    >>> box = Box([-1.0, -1.0], [1.0, 1.0])
    >>> network = Network.from_arrays([[[1.0, 0.0]], [[1.0]]], [[0.3], [0.0]])
    >>> estimate = CroftonLines().estimate(network, UniformDensity(box), np.random.default_rng(0), 2000)
    >>> abs(estimate.mean - 0.5) < 4 * estimate.stderr
    True
    """

    sigma: float = 0.0
    kind: LocusKind = "gradient"
    noise: Noise = "absolute"
    name: ClassVar[str] = "Crofton lines"

    def __post_init__(self) -> None:
        check_noise(self.sigma)
        check_kind(self.kind)
        check_noise_kind(self.noise)

    @property
    def target(self) -> Target:
        """The locus integral, averaged over bias noise if sigma > 0."""
        return Target.locus(self.sigma, self.kind, self.noise)

    def _domain(self, density: Density, domain: Domain | None) -> Domain:
        """Return the domain that lines are drawn in; without one, that of a uniform density."""
        if domain is None and isinstance(density, UniformDensity):
            domain = density.domain
        if domain is None:
            raise InvalidInputError("domain is None; Crofton lines need a bounded domain, give one")
        return domain

    def _estimate(self, chain: Chain, density: Density, rng: np.random.Generator, budget: int) -> Estimate:
        domain = chain.domain
        assert domain is not None  # see `_domain`
        draws = np.zeros(budget)
        for start in range(0, budget, _BLOCK):
            size = min(_BLOCK, budget - start)
            lines = _random_chords(domain, size, rng)
            noise = chain.noise(self.sigma, size, rng)
            weight = domain.volume / (_mean_cosine(domain.dimension) * (lines.high - lines.low))
            # a line has at most some n_units parts, each with a map of the widest layer
            rows = working_rows(chain.widest * (int(chain.offsets[-1]) + 1))
            for first in range(0, size, rows):
                part = slice(first, min(first + rows, size))
                sums = self._sums(chain, density, lines.part(part), noise[part])
                draws[start : start + size][part] = weight[part] * sums
        return Estimate.from_samples(draws, count_visible(chain, self.kind))

    def _sums(self, chain: Chain, density: Density, lines: Lines, noise: FloatArray) -> FloatArray:
        """Return the sum of the density over the crossings that count, for each line `(S,)`."""
        line, at, unit = find_crossings(chain, lines, noise)
        t = lines.points[line] + at[:, None] * lines.directions[line]
        if self.kind == "gradient" and len(line):
            good = np.empty(len(line), dtype=bool)
            rows = working_rows(int(chain.offsets[-1]))
            for start in range(0, len(line), rows):
                part = slice(start, start + rows)
                state = forward(chain, t[part], noise[line[part]], unit[part])
                of_all = sampled_goodness(chain, state)
                good[part] = of_all[np.arange(len(of_all)), unit[part]]
            line, t = line[good], t[good]
        sums = np.bincount(line, weights=density.pdf(t), minlength=len(lines.low))
        return np.asarray(sums, dtype=np.float64)


def _random_chords(domain: Domain, n: int, rng: np.random.Generator) -> Lines:
    """Draw chords of the domain through uniform points in uniform directions."""
    points = domain.sample(n, rng)
    directions = rng.standard_normal(points.shape)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    A, b = domain.halfspaces
    # rounding may put a point on the border just outside
    slack = np.maximum(b - points @ A.T, 0.0)
    rate = directions @ A.T
    with np.errstate(divide="ignore", invalid="ignore"):
        reach = slack / rate
    high = np.where(rate > 0.0, reach, math.inf).min(axis=1)
    low = np.where(rate < 0.0, reach, -math.inf).max(axis=1)
    return Lines(points, directions, low, high)


def _mean_cosine(dimension: int) -> float:
    """E |n . u| for a unit vector n and u uniform on the sphere in `dimension` dimensions."""
    log = math.lgamma(0.5 * dimension) - math.lgamma(0.5 * (dimension + 1))
    return math.exp(log) / math.sqrt(math.pi)
