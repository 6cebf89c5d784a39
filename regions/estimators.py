"""Stochastic estimates of local complexity, from samples of points and bias noise alone.

They share no code with the enumeration that judges them (`validation` brings the two together), and
take the network as float arrays: nothing here is exact, everything comes with its standard error.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from regions.density import Density
from regions.domain import Domain
from regions.errors import InvalidInputError
from regions.network import Network

__all__ = ["Estimate", "Estimator", "LocusKind", "local_complexity"]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
LocusKind = Literal["gradient", "activation"]

# samples per block of random draws; fixes which number goes where, so changing it changes results
_BLOCK = 1024
# float64 entries that one temporary array may hold
_WORKING_SET = 1 << 21
# from this many columns on, propagating Gram matrices sample by sample beats propagating Jacobians
_MANY_COLUMNS = 48
# goodness is looked up for at most about this many units of a sample
_LOOK_UPS = 64


@dataclass(frozen=True)
class Estimate:
    """A Monte Carlo mean with its standard error.

    Parameters
    ----------
    mean : float
    stderr : float, standard error of the mean; 0 for a value that was not sampled
    n : int, number of independent draws

    Examples
    --------
    >>> Estimate(1.5, 0.1, 100).to_dict()
    {'mean': 1.5, 'stderr': 0.1, 'n': 100}
    """

    mean: float
    stderr: float
    n: int

    @classmethod
    def from_draws(cls, draws: FloatArray) -> Estimate:
        """Mean and standard error of independent draws `(n,)`, n >= 1 (one draw: stderr infinite).

        Examples
        --------
        >>> Estimate.from_draws(np.array([1.0, 3.0]))
        Estimate(mean=2.0, stderr=1.0, n=2)
        """
        n = draws.size
        mean = math.fsum(draws.tolist()) / n
        squares = math.fsum(np.square(draws - mean).tolist())
        return cls(mean, math.sqrt(squares / (n - 1) / n) if n > 1 else math.inf, n)

    def to_dict(self) -> dict[str, float | int]:
        """The three numbers as a plain dictionary."""
        return {"mean": self.mean, "stderr": self.stderr, "n": self.n}


class Estimator(Protocol):
    """Anything that can be called like `local_complexity`, a plain function included."""

    def __call__(
        self,
        network: Network,
        density: Density,
        sigma: float,
        n_samples: int,
        rng: np.random.Generator,
        *,
        domain: Domain | None = None,
        kind: LocusKind = "gradient",
    ) -> Estimate:
        """Estimate the local complexity of that kind at bias noise sigma."""


def local_complexity(
    network: Network,
    density: Density,
    sigma: float,
    n_samples: int,
    rng: np.random.Generator,
    *,
    domain: Domain | None = None,
    kind: LocusKind = "gradient",
) -> Estimate:
    """Local complexity by the co-area formula: mean of sum_i |grad z_i(x)| rho(z_i(x)) 1[i good].

    The points x are drawn from the density, and every unit's bias gets independent noise
    N(0, sigma^2) (output biases get none); z_i is the pre-activation with unit i's own noise left out,
    rho the density of N(0, sigma^2). A unit is good where its gradient jump would not vanish: some
    path of nonzero weights and active units leads from it to an output, in the state that the later
    layers have when unit i puts out 0. With `kind="activation"` the indicator is left out.

    Notes
    -----
    Unbiased for E_b' [ integral of p over the locus of the network with biases b' ]. Fix x -> all noises
    but unit i's own, s. Since z_i does not depend on s, unit i contributes to the locus the set
    {z_i = -s} where its goodness g_i holds; g_i is asked there with unit i putting out 0, hence does not
    depend on s either. By Fubini and the co-area formula, the integral of rho(s) over s of the integral
    of p g_i over {z_i = -s} is the integral of p g_i |grad z_i| rho(-z_i) dx. Two units share a piece of
    locus with probability 0. Using unit i's sampled activation in g_i would correlate it with s: biased.

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
    rng : numpy Generator; the same state gives the same result
    domain : Domain, default the whole input space; samples outside it count as 0, and gradients
        are the intrinsic ones
    kind : "gradient" (nonlinear locus) or "activation" (activation locus)

    Returns
    -------
    Estimate, mean and standard error in (d-1)-volume per d-volume

    Raises
    ------
    InvalidInputError
        If sigma, n_samples or kind is out of range, or density, domain and network do not fit.

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
    check_estimator_arguments(network, density, sigma, n_samples, domain, kind)
    chain = _Chain(network, domain)
    terms = np.zeros(n_samples)
    for start in range(0, n_samples, _BLOCK):
        size = min(_BLOCK, n_samples - start)
        t = density.sample(size, rng)
        noise = sigma * rng.standard_normal((size, network.n_units))
        roulette = rng.random((size, network.n_units))
        inside = np.arange(size) if domain is None else np.flatnonzero(domain.contains(t))
        for part in chain.batches(inside):
            x = t[part] if domain is None else domain.to_input(t[part])
            state = _forward(chain, x, noise[part])
            weights = _coarea_weights(chain, state, sigma)
            if kind == "gradient":
                weights = _keep_good(chain, state, weights, roulette[part])
            terms[start + part] = weights.sum(axis=1)
    return Estimate.from_draws(terms)


def check_estimator_arguments(
    network: Network, density: Density, sigma: float, n_samples: int, domain: Domain | None, kind: str
) -> None:
    """Raise InvalidInputError unless an estimator can be run with these arguments.

    Examples
    --------
    >>> from regions.density import GaussianDensity
    >>> network = Network.from_arrays([[[1.0]], [[1.0]]], [[0.0], [0.0]])
    >>> check_estimator_arguments(network, GaussianDensity([0.0], 1.0), 1.0, 10, None, "gradient")
    """
    if kind not in ("gradient", "activation"):
        raise InvalidInputError(f"kind is {kind!r}; expected 'gradient' or 'activation'")
    if not (math.isfinite(sigma) and sigma > 0.0):
        raise InvalidInputError(
            f"sigma is {sigma!r}; the co-area form needs bias noise, give a finite number above 0"
        )
    if n_samples < 2:
        raise InvalidInputError(f"n_samples is {n_samples}; a standard error needs at least 2")
    if domain is not None and domain.input_dim != network.input_dim:
        raise InvalidInputError(
            f"{domain.describe()} lies in {domain.input_dim} dimensions, the network has "
            f"{network.input_dim} inputs; give a domain in its input space"
        )
    wanted = network.input_dim if domain is None else domain.dimension
    if density.dimension != wanted:
        raise InvalidInputError(
            f"the density has {density.dimension} coordinates, the points {wanted}; "
            "give a density in the intrinsic coordinates of the domain (none: of the input space)"
        )


class _Chain:
    """The network as the estimator uses it: affine steps between ReLU layers multiplied out."""

    def __init__(self, network: Network, domain: Domain | None) -> None:
        self.weights: list[FloatArray] = []
        self.biases: list[FloatArray] = []
        self.offsets = network.unit_offsets
        A, c = np.eye(0), np.zeros(0)
        fresh = True
        for weight, bias, relu in zip(network.weights, network.biases, network.relu, strict=True):
            A, c = (weight, bias) if fresh else (weight @ A, weight @ c + bias)
            fresh = relu
            if relu:
                self.weights.append(A)
                self.biases.append(c)
        # a network that ends in a ReLU puts its units out directly
        self.output_live: BoolArray = np.ones(len(c), bool) if fresh else np.any(A != 0.0, axis=0)
        self.transposed = [np.ascontiguousarray(weight.T) for weight in self.weights]
        # (n_in, n_out) 0/1 matrices where some weight is 0; None: every unit reaches every next one
        self.supports = [
            None if np.all(weight != 0.0) else np.ascontiguousarray(weight.T != 0.0, dtype=np.float32)
            for weight in self.weights
        ]
        self.first_jacobian = self._first_jacobian(domain)
        self.widest = max((len(bias) for bias in self.biases), default=1)

    @property
    def depth(self) -> int:
        """Number of ReLU layers."""
        return len(self.weights)

    def _first_jacobian(self, domain: Domain | None) -> FloatArray:
        """Jacobian of the first pre-activations, rotated to at most as many columns as rows."""
        if not self.weights:
            return np.zeros((0, 0))
        jacobian = self.weights[0] if domain is None else self.weights[0] @ domain.basis
        rows, columns = jacobian.shape
        if columns > rows:
            # J = R^T Q^T with Q orthonormal: norms of rows of any K J are those of K R^T
            jacobian = cast(FloatArray, np.linalg.qr(jacobian.T, mode="r")).T
        return np.ascontiguousarray(jacobian)

    def batches(self, rows: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
        """Row numbers in parts whose temporaries fit the working set."""
        columns = self.first_jacobian.shape[1]
        per_sample = self.widest * (columns if columns < _MANY_COLUMNS else 4)
        size = max(1, _WORKING_SET // max(per_sample, 1))
        for start in range(0, len(rows), size):
            yield rows[start : start + size]


@dataclass(frozen=True)
class _State:
    """One forward pass: per ReLU layer `(S, width)` pre-activations without and with their own noise."""

    clean: list[FloatArray]
    noisy: list[FloatArray]
    active: list[BoolArray]
    noise: list[FloatArray]


def _forward(chain: _Chain, x: FloatArray, noise: FloatArray) -> _State:
    state = _State([], [], [], np.split(noise, chain.offsets[1:-1], axis=1) if chain.depth else [])
    h = x
    for layer in range(chain.depth):
        clean = h @ chain.transposed[layer] + chain.biases[layer]
        noisy = clean + state.noise[layer]
        active = noisy > 0.0
        h = np.where(active, noisy, 0.0)
        state.clean.append(clean)
        state.noisy.append(noisy)
        state.active.append(active)
    return state


def _coarea_weights(chain: _Chain, state: _State, sigma: float) -> FloatArray:
    """|grad z_i| rho(z_i), `(S, n_units)`."""
    if not chain.depth:
        return np.zeros((1, 0))
    samples = len(state.clean[0])
    weights = np.empty((samples, int(chain.offsets[-1])))
    norms: Callable[[_Chain, list[BoolArray]], Iterator[FloatArray]]
    norms = _norms_by_columns if chain.first_jacobian.shape[1] < _MANY_COLUMNS else _norms_by_gram
    peak = 1.0 / (sigma * math.sqrt(2.0 * math.pi))
    for layer, norm in enumerate(norms(chain, state.active)):
        rho = peak * np.exp(-0.5 * np.square(state.clean[layer] / sigma))
        weights[:, chain.offsets[layer] : chain.offsets[layer + 1]] = norm * rho
    return weights


def _norms_by_columns(chain: _Chain, active: list[BoolArray]) -> Iterator[FloatArray]:
    """Norms of the gradients per layer, by carrying Jacobians as `(S, c, width)`: 2 S c n^2 flops a layer."""
    samples = len(active[0])
    first = chain.first_jacobian
    yield np.broadcast_to(np.linalg.norm(first, axis=1), (samples, len(first)))
    jacobian = np.broadcast_to(first.T, (samples, *first.T.shape))
    for layer in range(1, chain.depth):
        gated = jacobian * active[layer - 1][:, None, :]
        flat = gated.reshape(-1, gated.shape[2]) @ chain.transposed[layer]
        jacobian = flat.reshape(samples, -1, flat.shape[1])
        yield np.sqrt(np.einsum("scm,scm->sm", jacobian, jacobian))


def _norms_by_gram(chain: _Chain, active: list[BoolArray]) -> Iterator[FloatArray]:
    """The same from Gram matrices J J^T of the active units only: about 3 n^3 / 4 flops a layer and sample.

    Squares cost digits: a norm that cancels to 0 comes out as up to 1e-8 of its neighbours.
    """
    samples = len(active[0])
    first = chain.first_jacobian @ chain.first_jacobian.T
    norms = [np.empty((samples, len(bias))) for bias in chain.biases]
    norms[0][:] = np.sqrt(np.diag(first))
    for sample in range(samples):
        on = np.flatnonzero(active[0][sample])
        gram = first[np.ix_(on, on)]
        for layer in range(1, chain.depth):
            weight = chain.transposed[layer][on]
            product = gram @ weight
            squares = np.einsum("ij,ij->j", product, weight)
            norms[layer][sample] = np.sqrt(np.maximum(squares, 0.0))
            if layer + 1 < chain.depth:
                on = np.flatnonzero(active[layer][sample])
                gram = weight[:, on].T @ product[:, on]
    yield from norms


def _keep_good(chain: _Chain, state: _State, weights: FloatArray, roulette: FloatArray) -> FloatArray:
    """The weights times the indicator of goodness, or times an unbiased stand-in for it."""
    kept = np.zeros_like(weights)
    # looked up with probability weights / at_stake, so that at_stake has to weigh the correction
    at_stake = np.maximum(weights, weights.sum(axis=1, keepdims=True) / _LOOK_UPS)
    chosen = roulette * at_stake < weights
    live = np.broadcast_to(chain.output_live, (len(weights), chain.output_live.size))
    for layer in reversed(range(chain.depth)):
        units = slice(chain.offsets[layer], chain.offsets[layer + 1])
        kept[:, units] = np.where(live, weights[:, units], 0.0)
        if layer + 1 < chain.depth:
            # an inactive unit puts out 0 already: there the sampled state is the right one
            sample, unit = np.nonzero(state.active[layer] & chosen[:, units])
            change = _is_good_at_zero(chain, state, layer, sample, unit) * 1.0 - live[sample, unit]
            flat = unit + chain.offsets[layer]
            kept[sample, flat] += change * at_stake[sample, flat]
        if layer:
            support = chain.supports[layer]
            backward = None if support is None else support.T
            live = _reach(state.active[layer] & live, backward, len(chain.biases[layer - 1]))
    return kept


def _is_good_at_zero(
    chain: _Chain, state: _State, layer: int, sample: NDArray[np.intp], unit: NDArray[np.intp]
) -> BoolArray:
    """Goodness `(P,)` of units of one layer, each with its own output set to 0 in the sample given."""
    good = np.empty(len(sample), dtype=bool)
    outgoing = chain.transposed[layer + 1]
    chunk = max(1, _WORKING_SET // chain.widest)
    for start in range(0, len(sample), chunk):
        part = slice(start, start + chunk)
        rows, columns = sample[part], unit[part]
        own = state.noisy[layer][rows, columns]
        z = state.noisy[layer + 1][rows] - own[:, None] * outgoing[columns]
        live = (z > 0.0) & (outgoing[columns] != 0.0)
        for later in range(layer + 2, chain.depth):
            z = np.maximum(z, 0.0) @ chain.transposed[later]
            z += chain.biases[later] + state.noise[later][rows]
            live = (z > 0.0) & _reach(live, chain.supports[later], z.shape[1])
        good[part] = np.any(live & chain.output_live, axis=1)
    return good


def _reach(live: BoolArray, support: NDArray[np.float32] | None, width: int) -> BoolArray:
    """Which of the units at the other end of the weights `(n, width)` touch a live unit."""
    if support is None:
        return np.broadcast_to(live.any(axis=1, keepdims=True), (len(live), width))
    touched: BoolArray = live.astype(np.float32) @ support > 0.0
    return touched
