"""Local complexity by the co-area formula, and the published variants of it that miss.

The right one is `local_complexity`. Each variant differs from it in one or two named places, and says what
its value is instead.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from regions.density import Density
from regions.density.frozen_distributions import with_distributions
from regions.domain import Domain
from regions.errors import InvalidInputError
from regions.estimators.estimates import (
    Estimate,
    LocusKind,
    Target,
    check_above_zero,
)
from regions.estimators.forward_passes import Chain, State, forward, gradient_norms, sampled_blocks
from regions.estimators.goodness import count_visible, keep_good, sampled_goodness
from regions.estimators.sampling import SamplingEstimator
from regions.estimators.spreads import Noise, check_noise_kind
from regions.estimators.ties import leads_at_tie
from regions.inputs import seeded
from regions.network import check_kind
from regions.network.relu_network import Network

__all__ = ["Coarea", "OwnNoiseCoarea", "SampledStateCoarea", "UnnormalisedCoarea", "local_complexity"]

FloatArray = NDArray[np.float64]
_LEAST_SIGMA = 1e-300
# (chain, state, roulette) -> terms (S, n_units)
_Terms = Callable[[Chain, State, FloatArray], FloatArray]


@with_distributions
@seeded
def local_complexity(
    network: Network,
    density: Density,
    sigma: float,
    n_samples: int,
    rng: np.random.Generator,
    *,
    domain: Domain | None = None,
    kind: LocusKind = "gradient",
    noise: Noise = "absolute",
) -> Estimate:
    """Local complexity by the co-area formula: mean of sum_i |grad z_i(x)| rho(z_i(x)) 1[i good].

    The points x are drawn from the density, and every unit's bias gets independent noise
    N(0, sigma^2) (output biases and linear units get none); z_i is the pre-activation with unit i's own noise
    left out, rho the density of N(0, sigma^2), and linear units have no term. A unit is good where its
    gradient jump would not vanish: some path of nonzero weights and units with a slope (of ReLUs the active
    ones) leads from it to an output, in the state that the later layers have when unit i puts out 0. With
    `kind="activation"` the indicator is left out.

    Notes
    -----
    Unbiased for E_b' [ integral of p over the locus of the network with biases b' ]. Fix x -> all noises
    but unit i's own, s. Since z_i does not depend on s, unit i contributes to the locus the set
    {z_i = -s} where its goodness g_i holds; g_i is asked there with unit i putting out 0, hence does not
    depend on s either. By Fubini and the co-area formula, the integral of rho(s) over s of the integral
    of p g_i over {z_i = -s} is the integral of p g_i |grad z_i| rho(-z_i) dx. Two units share a piece of
    locus with probability 0. Using unit i's sampled activation in g_i would correlate it with s: biased.

    A max unit has a term for each candidate k that loses to the winner w at x, in the sampled state:
    |grad (z_w - z_k)| times the density of N(0, 2 sigma^2) at z_w - z_k, where w and k, both at the mean
    of their values with noise, beat all other candidates, and that mean is what the unit puts out for the
    goodness. It is unbiased too: the difference of two noises is independent of their mean, hence of which
    others the two beat; and a pair that is on top at its mean has the sampled winner in it.

    Goodness is structural: products of nonzero weights whose sum cancels to exactly 0 (duplicate units
    of opposite outgoing weights; measure zero among all weights) still count as good. Where a term is
    below 1/64 of the sample's sum, its goodness is that of the sampled state, corrected by Russian
    roulette: looked up with probability 64 times its part of the sum, and the difference weighted by the
    inverse. That keeps the mean, and adds at most 1/64 of the sum's mean square to the variance.

    Cost for H layers of width n and c = min(d, n) columns, in flops per sample: the forward pass; for
    the gradients 2 H c n^2, or 3 H n^3 / 4 at c >= 48 and half the units active; for goodness about
    128 H n^2 at most. With 784-200x4-10 that is some 20 million: 10,000 samples took 6 s on two cores.

    Parameters
    ----------
    network : Network
    density : Density in the intrinsic coordinates of the domain
    sigma : float > 0, standard deviation of the bias noise
    n_samples : int >= 2
    rng : seed or numpy Generator; the same state gives the same result
    domain : Domain, default the whole input space; samples outside it count as 0, and gradients
        are the intrinsic ones
    kind : "gradient" (nonlinear locus) or "activation" (activation locus)
    noise : "absolute", of standard deviation sigma for every unit, or "relative", sigma times each unit's
        spread over the data (`unit_spreads`), which no rescaling of units changes

    Returns
    -------
    Estimate, mean and standard error in (d-1)-volume per d-volume; the latter is infinite if no sample was
        near enough to any unit's zero set to contribute, as for sigma far below its distance

    Raises
    ------
    InvalidInputError
        If sigma, n_samples, kind or noise is out of range, or density, domain and network do not fit.

    References
    ----------
    Patel and Montufar, On the Local Complexity of Linear Regions in Deep ReLU Networks, arXiv
    2412.18283, theorem 2; Hanin and Rolnick, arXiv 1901.09021, section 3.

    Examples
    --------
    >>> from regions.density import GaussianDensity
    >>> network = Network.from_arrays([[[1.0]], [[1.0]]], [[0.0], [0.0]])
    >>> rng = np.random.default_rng(0)
    >>> estimate = local_complexity(network, GaussianDensity([0.0], 1.0), 1.0, 10_000, rng)
    >>> abs(estimate.mean - 1 / math.sqrt(4 * math.pi)) < 4 * estimate.stderr
    True
    """
    return Coarea(sigma, kind, noise).estimate(network, density, rng, n_samples, domain=domain)


def _sums_of_terms(
    terms: _Terms, chain: Chain, density: Density, sigma: float, n_samples: int, rng: np.random.Generator
) -> FloatArray:
    """Return the sums `(n_samples,)` of the terms at points with bias noises; 0 outside the domain."""
    sums = np.zeros(n_samples)
    for places, t in sampled_blocks(chain, density, n_samples, rng):
        noise = chain.noise(sigma, len(t), rng)
        roulette = rng.random(noise.shape)
        for part in chain.batches(chain.inside(t)):
            state = forward(chain, t[part], noise[part])
            sums[places.start + part] = terms(chain, state, roulette[part]).sum(axis=1)
    return sums


def _bell(arguments: FloatArray, sigma: float | FloatArray, peak: float | None = None) -> FloatArray:
    """Return the density of N(0, sigma^2), or a bell of that shape and another peak, `(S, n_units)`."""
    with np.errstate(over="ignore"):
        bell: FloatArray = np.exp(-0.5 * np.square(arguments / sigma))
    return bell * (1.0 / (sigma * math.sqrt(2.0 * math.pi)) if peak is None else peak)


def _weights(chain: Chain, state: State, values: list[FloatArray], sigma: float) -> FloatArray:
    """Return |grad| times the density of the noise that lets each unit bend at a sample, `(S, n_units)`.

    That is by what the values of the units lack: a unit's own noise puts its bend there, or the noises of two
    candidates of a max unit do, of which that with a loser counts where both would beat all others.
    """
    if not chain.depth:
        return np.zeros((1, 0))
    weights = gradient_norms(chain, state.slopes)
    weights *= _bell(chain.distances(values, state), sigma * chain.noise_factor)
    layers = zip(state.noisy, state.active, chain.maxima, strict=True)
    return np.where(np.concatenate([leads_at_tie(*layer) for layer in layers], axis=1), weights, 0.0)


@dataclass(frozen=True)
class Coarea(SamplingEstimator):
    """The co-area estimator: `local_complexity` as an object with a name and a target.

    Estimates the bias-averaged locus integral, without bias.

    Parameters
    ----------
    sigma : float > 0, standard deviation of the bias noise
    kind : "gradient" or "activation"
    noise : "absolute" or "relative", as for `local_complexity`

    Raises
    ------
    InvalidInputError : if sigma, kind or noise is out of range

    Examples
    --------
    >>> from regions.density import GaussianDensity
    >>> network = Network.from_arrays([[[1.0]], [[1.0]]], [[0.0], [0.0]])
    >>> estimator = Coarea(1.0)
    >>> estimate = estimator.estimate(
    ...     network, GaussianDensity([0.0], 1.0), np.random.default_rng(0), 10_000
    ... )
    >>> abs(estimate.mean - 1 / math.sqrt(4 * math.pi)) < 4 * estimate.stderr
    True
    """

    sigma: float
    kind: LocusKind = "gradient"
    noise: Noise = "absolute"
    name: ClassVar[str] = "co-area"

    def __post_init__(self) -> None:
        check_above_zero("sigma", self.sigma)
        if self.sigma < _LEAST_SIGMA:
            raise InvalidInputError(
                f"sigma is {self.sigma!r}; the density of such noise is beyond floats, give at least "
                f"{_LEAST_SIGMA}"
            )
        check_kind(self.kind)
        check_noise_kind(self.noise)

    @property
    def target(self) -> Target:
        """The bias-averaged locus integral at this sigma."""
        return Target.locus(self.sigma, self.kind, self.noise)

    def _estimate(self, chain: Chain, density: Density, rng: np.random.Generator, budget: int) -> Estimate:
        sums = _sums_of_terms(self._terms, chain, density, self.sigma, budget, rng)
        return Estimate.from_samples(sums, count_visible(chain, self.kind))

    def _terms(self, chain: Chain, state: State, roulette: FloatArray) -> FloatArray:
        weights = _weights(chain, state, state.clean, self.sigma)
        return keep_good(chain, state, weights, roulette) if self.kind == "gradient" else weights


@dataclass(frozen=True)
class UnnormalisedCoarea(Coarea):
    """Published variant: unnormalised kernel centred at zero, without indicator.

    Mean of sum_i |grad z_i(x)| exp(-(z_i(x) - b_i)^2 / (2 sigma^2)): b_i is the unit's own trained bias
    (with affine steps before it multiplied out), later taken away again, so each bell stands at 0.

    Notes
    -----
    It is offered as local complexity, so that is its target. What it estimates without bias is
    sigma sqrt(2 pi) times the activation locus's bias average with unit i's own noise centred at -b_i,
    all other biases as trained. Its bias has three parts: the factor sigma sqrt(2 pi), which is 0.025 at
    sigma = 0.01; the trained biases ignored; and the units that are not good. For one hidden layer and
    Gaussian data it is sigma sqrt(2 pi) sum_i |w_i| N(0; w_i.mean, w_i.cov.w_i + sigma^2).

    The published code draws the noise of hidden layers once for all points; here every point has its
    own, which keeps the mean and makes the standard error an honest one.

    References
    ----------
    The implementation published with Patel and Montufar, arXiv 2412.18283; docs/mathematics.md, "Estimators".

    Examples
    --------
    >>> from regions.density import GaussianDensity
    >>> network = Network.from_arrays([[[1.0]], [[1.0]]], [[7.0], [0.0]])
    >>> estimate = UnnormalisedCoarea(1.0).estimate(
    ...     network, GaussianDensity([0.0], 1.0), np.random.default_rng(0), 10_000
    ... )
    >>> abs(estimate.mean - math.sqrt(1 / 2)) < 4 * estimate.stderr
    True
    """

    name: ClassVar[str] = "co-area, unnormalised, centred at 0, no indicator"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.noise != "absolute":
            raise InvalidInputError(
                f"noise is {self.noise!r}; the published variant {self.name!r} has no such"
            )

    def _terms(self, chain: Chain, state: State, roulette: FloatArray) -> FloatArray:
        chain.network.refuse_max_units(f"the published variant {self.name!r}")
        if not chain.depth:
            return np.zeros((1, 0))
        centred = [clean - bias for clean, bias in zip(state.clean, chain.biases, strict=True)]
        return gradient_norms(chain, state.slopes) * _bell(np.concatenate(centred, axis=1), self.sigma, 1.0)


@dataclass(frozen=True)
class OwnNoiseCoarea(Coarea):
    """Published variant: own bias noised, and the density evaluated at the noised value.

    Mean of sum_i |grad z_i(x)| rho(z_i(x) + s_i) 1[i good], s_i the unit's own noise N(0, sigma^2) and rho
    the density of N(0, sigma^2); everything else as in `local_complexity`.

    Notes
    -----
    The average of rho(z + s) over s is the density of N(0, 2 sigma^2): what it estimates without bias is
    local complexity with every unit's own noise of variance 2 sigma^2, and that of the units before
    and behind it of variance sigma^2. For one hidden layer this is the closed form at sigma sqrt(2).
    The bias vanishes with sigma, and is small wherever the locus is spread evenly over many sigma.

    References
    ----------
    docs/mathematics.md, "Estimators": a third-party implementation of arXiv 2412.18283.

    Examples
    --------
    >>> from regions.density import GaussianDensity
    >>> network = Network.from_arrays([[[1.0]], [[1.0]]], [[0.0], [0.0]])
    >>> estimate = OwnNoiseCoarea(1.0).estimate(
    ...     network, GaussianDensity([0.0], 1.0), np.random.default_rng(0), 10_000
    ... )
    >>> abs(estimate.mean - 1 / math.sqrt(2 * math.pi * 3)) < 4 * estimate.stderr
    True
    """

    name: ClassVar[str] = "co-area, own bias noised"

    def _terms(self, chain: Chain, state: State, roulette: FloatArray) -> FloatArray:
        weights = _weights(chain, state, state.noisy, self.sigma)
        return keep_good(chain, state, weights, roulette) if self.kind == "gradient" else weights


@dataclass(frozen=True)
class SampledStateCoarea(Coarea):
    """Variant: the indicator asked with the unit's own sampled activation instead of 0.

    Mean of sum_i |grad z_i(x)| rho(z_i(x)) 1[i good in the sampled state]: a path of active units leads
    from i to an output in the forward pass as sampled, where unit i puts out max(z_i + s_i, 0).

    Notes
    -----
    On its own zero set a unit puts out 0, so the indicator is asked in the wrong state wherever the unit
    is active. The bias is O(sigma) relative, as an output within some sigma of 0 changes later states
    only near their zero sets, has either sign, and is 0 for one hidden layer. With kind "activation"
    there is no indicator, so that is refused.

    References
    ----------
    docs/mathematics.md, "Estimators".

    Examples
    --------
    >>> from regions.density import GaussianDensity
    >>> network = Network.from_arrays([[[1.0]], [[1.0]]], [[0.0], [0.0]])
    >>> estimate = SampledStateCoarea(1.0).estimate(
    ...     network, GaussianDensity([0.0], 1.0), np.random.default_rng(0), 10_000
    ... )
    >>> abs(estimate.mean - 1 / math.sqrt(4 * math.pi)) < 4 * estimate.stderr
    True
    """

    name: ClassVar[str] = "co-area, indicator in the sampled state"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kind != "gradient":
            raise InvalidInputError(f"kind is {self.kind!r}; only the gradient locus has an indicator")

    def _terms(self, chain: Chain, state: State, roulette: FloatArray) -> FloatArray:
        weights = _weights(chain, state, state.clean, self.sigma)
        return np.where(sampled_goodness(chain, state), weights, 0.0)
