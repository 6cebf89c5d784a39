"""The network as estimators use it: float arrays, batches of samples, norms of gradients.

Values are floats with a bound on their rounding; a sign within it is left to `exact_passes`. Nothing is
shared with the enumeration that judges the estimators.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from regions.density import Density
from regions.domain import Domain
from regions.estimators.exact_passes import ExactPass, ExactPasses
from regions.estimators.products import (
    any_in_rows,
    dense,
    support_of,
    terms_of,
    transposed,
    without_false_entries,
)
from regions.estimators.ties import difference_from_winner, distances_from_bends
from regions.estimators.twins import FAR_BEHIND, Fingerprints
from regions.network.layer_matrices import Matrix, is_sparse
from regions.network.max_units import candidates, states_of_layer, winner_places
from regions.network.relu_network import Network
from regions.network.slopes import activated

__all__ = [
    "Chain",
    "State",
    "forward",
    "gradient_errors",
    "gradient_norms",
    "reach",
    "sampled_blocks",
    "within",
    "working_rows",
]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
_Places = tuple[NDArray[np.intp], NDArray[np.intp]]

# samples per block of random draws; fixes which number goes where, so changing it changes results
_BLOCK = 1024
# float64 entries that one temporary array may hold
_WORKING_SET = 1 << 21
_UNIT_ROUNDOFF = 2.0**-53
# more than what products lose by underflow
_TINY = float(np.finfo(np.float64).tiny)
# from this many columns on, propagating Gram matrices sample by sample beats propagating Jacobians
_MANY_COLUMNS = 48


class Chain:
    """The network as the estimators use it: affine steps between layers of units multiplied out.

    Units have a slope on either side of 0; those whose slopes are equal are linear: they are active
    everywhere, get no noise and belong to no locus. Candidates of max units are units: a winner has slope 1,
    the others 0, and what belongs to the tie of a winner with a loser stands in the loser's place.

    Beside each array stands its `size`, the same with absolute values in every product: what a value can be
    off by rounding is at most `rounding` times the size that is carried along with it.
    """

    def __init__(self, network: Network, domain: Domain | None, spreads: FloatArray | None = None) -> None:
        self.weights: list[Matrix] = []
        self.biases: list[FloatArray] = []
        self.offsets = network.unit_offsets
        self.slopes = [pair for pair, relu in zip(network.slopes, network.relu, strict=True) if relu]
        self.maxima = [sizes for sizes, relu in zip(network.maxima, network.relu, strict=True) if relu]
        self.candidates = [candidates(*pair) for pair in zip(self.maxima, network.widths, strict=True)]
        self.cutting: list[BoolArray] = np.split(network.cutting, self.offsets[1:-1])[: len(self.slopes)]
        self.sizes: list[Matrix] = []
        self.bias_sizes: list[FloatArray] = []
        A, c, size, bias_size = np.eye(0), np.zeros(0), np.eye(0), np.zeros(0)
        steps: list[Matrix] = []
        for weight, bias, relu in zip(network.operators, network.biases, network.relu, strict=True):
            if steps:
                A, c = weight @ A, weight @ c + bias
                size, bias_size = abs(weight) @ size, abs(weight) @ bias_size + np.abs(bias)
            else:
                A, c, size, bias_size = weight, bias, abs(weight), np.abs(bias)
            steps.append(weight)
            if relu:
                self.weights.append(without_false_entries(A, steps, size))
                self.biases.append(c)
                self.sizes.append(transposed(size))
                self.bias_sizes.append(bias_size)
                steps = []
        # a network that ends in a ReLU puts its units out directly
        last = np.ones((1, len(c))) if not steps else without_false_entries(A, steps, size)
        self.output_live: BoolArray = any_in_rows(last.T)
        self.domain = domain
        self.network = network
        # what the noise of each unit is a multiple of; None: of 1
        self.spreads = spreads
        self.transposed = [transposed(weight) for weight in self.weights]
        # (n_in, n_out) 0/1 matrices where some weight is 0; None: every unit reaches every next one
        self.supports = [support_of(weight) for weight in self.transposed]
        self.inputs_seen = any_in_rows(self.weights[0]) if self.weights else np.zeros(0, bool)
        self.first_jacobian = self._first_jacobian(domain)
        self.widest = max((len(bias) for bias in self.biases), default=1)
        # every value is a sum of products that were rounded at most so many times; twice, as sizes are too
        roundings = sum(terms_of(weight) + 4 for weight in network.operators) + network.input_dim + 4
        roundings += sum(pair is not None for pair in (*self.slopes, *self.maxima))
        self.rounding = 2.0 * roundings * _UNIT_ROUNDOFF

    def slopes_of(self, layer: int, active: BoolArray) -> BoolArray | FloatArray:
        """Return the slopes `(S, width)` of a layer's units on their sides; those of ReLUs as bool."""
        pair = self.slopes[layer]
        return active if pair is None else np.where(active, pair[1], pair[0])

    def passing(self, layer: int, active: BoolArray) -> BoolArray:
        """Say which units have a slope on their side, `(S, width)`: of ReLUs the active ones."""
        pair = self.slopes[layer]
        return active if pair is None else np.asarray(self.slopes_of(layer, active) != 0.0)

    def is_active(self, layer: int, values: FloatArray) -> BoolArray:
        """Say which units are above 0, or linear, or the winners of max units, `(S, width)`."""
        return states_of_layer(values, self.slopes[layer], self.maxima[layer])

    def is_open(self, layer: int, values: FloatArray, active: BoolArray, sizes: FloatArray) -> BoolArray:
        """Say which units' states, `(S, width)`, may be rounding alone."""
        distances = np.abs(distances_from_bends(values, active, self.maxima[layer]))
        errors = self.rounding * self.with_winners(layer, sizes, active)
        return within(distances, errors) & self.cutting[layer]

    def with_winners(self, layer: int, sizes: FloatArray, active: BoolArray) -> FloatArray:
        """Return the sizes of what is 0 where units bend: to a candidate's the winner's is added."""
        if (rows := self.maxima[layer]) is None:
            return sizes
        of_winners = np.take_along_axis(sizes, winner_places(active, rows), axis=-1)
        return np.where(self.candidates[layer], sizes + of_winners, sizes)

    def distances(self, values: list[FloatArray], state: State) -> FloatArray:
        """Return how far all units are from where they bend, `(S, n_units)`, by values of them."""
        layers = zip(values, state.active, self.maxima, strict=True)
        return np.concatenate([distances_from_bends(*layer) for layer in layers], axis=1)

    @cached_property
    def unit_starts(self) -> NDArray[np.int64]:
        """Flat numbers of the first rows of all units: an ordinary one has one row, a max unit several."""
        layers = zip(self.maxima, self.biases, strict=True)
        sizes = [np.ones(bias.size, np.int64) if rows is None else rows for rows, bias in layers]
        every = np.concatenate([np.zeros(0, np.int64), *sizes])
        return np.asarray(np.cumsum(every) - every)

    @cached_property
    def noise_factor(self) -> FloatArray:
        """The standard deviation of the noise on what is 0 where a unit bends, over sigma."""
        factor = np.where(np.concatenate([*self.candidates, np.zeros(0, bool)]), math.sqrt(2.0), 1.0)
        return factor if self.spreads is None else factor * self.spreads

    def noise(self, sigma: float, count: int, rng: np.random.Generator) -> FloatArray:
        """Draw bias noise `(count, n_units)`; linear units get none."""
        noise = sigma * rng.standard_normal((count, int(self.offsets[-1])))
        if self.spreads is not None:
            noise *= self.spreads
        return np.where(np.concatenate([*self.cutting, np.zeros(0, bool)]), noise, 0.0)

    def vanishing(self, layer: int, before: BoolArray | None, noise: FloatArray) -> BoolArray:
        """Units `(S, width)` that are 0 as there is nothing to sum up: no bias, noise or active input.

        `before` tells the passing units of the layer before, `(S, width)`; None for the first layer.
        """
        silent = (self.bias_sizes[layer] == 0.0) & (noise == 0.0)
        if before is None:
            return np.asarray(silent & ~self.inputs_seen)
        return np.asarray(silent & ~reach(before, self.supports[layer], silent.shape[1]))

    @cached_property
    def exact(self) -> ExactPasses:
        """The same in exact arithmetic, made when a sign is left open."""
        return ExactPasses(self.network, self.domain)

    def fingerprints(self, noise: FloatArray) -> Fingerprints | None:
        """Return what tells equal candidates of max units; None without such, or where noise parts them."""
        return None if noise.any() else self._fingerprints

    @cached_property
    def _fingerprints(self) -> Fingerprints | None:
        return Fingerprints(self.network) if self.network.max_units is not None else None

    @property
    def depth(self) -> int:
        """Number of ReLU layers."""
        return len(self.weights)

    def units(self, layer: int) -> slice:
        """Flat numbers of the units of a ReLU layer."""
        return slice(int(self.offsets[layer]), int(self.offsets[layer + 1]))

    def _first_jacobian(self, domain: Domain | None) -> FloatArray:
        """Jacobian of the first pre-activations, rotated to at most as many columns as rows."""
        if not self.weights:
            return np.zeros((0, 0))
        jacobian = dense(self.weights[0] if domain is None else self.weights[0] @ domain.basis)
        rows, columns = jacobian.shape
        if columns > rows:
            # J = R^T Q^T with Q orthonormal: norms of rows of any K J are those of K R^T
            jacobian = cast(FloatArray, np.linalg.qr(jacobian.T, mode="r")).T
        return np.ascontiguousarray(jacobian)

    def to_input(self, t: FloatArray) -> FloatArray:
        """Input coordinates of intrinsic points."""
        return t if self.domain is None else self.domain.to_input(t)

    def input_size(self, t: FloatArray) -> FloatArray:
        """Return what `to_input` sums up, in absolute values."""
        if self.domain is None:
            return np.abs(t)
        return np.asarray(np.abs(t) @ np.abs(self.domain.basis).T + np.abs(self.domain.origin))

    @cached_property
    def by_columns(self) -> bool:
        """Whether Jacobians are carried through the layers, and not Gram matrices of their rows."""
        return self.first_jacobian.shape[1] < _MANY_COLUMNS or any(map(is_sparse, self.weights))

    def inside(self, t: FloatArray) -> NDArray[np.int64]:
        """Return the numbers of the points that lie in the domain."""
        return np.arange(len(t)) if self.domain is None else np.flatnonzero(self.domain.contains(t))

    def batches(self, rows: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
        """Row numbers in parts whose temporaries fit the working set."""
        per_sample = self.widest * (self.first_jacobian.shape[1] if self.by_columns else 4)
        size = working_rows(per_sample)
        for start in range(0, len(rows), size):
            yield rows[start : start + size]


@dataclass(frozen=True)
class State:
    """One forward pass of points `(S, d)` with bias noise.

    Parameters
    ----------
    points : (S, d) float64, intrinsic coordinates
    whole_noise : (S, n_units) or (1, n_units) float64
    clean, noisy : per ReLU layer (S, width) pre-activations without and with the units' own noise
    active : per ReLU layer (S, width) bool, whether the latter are above 0, or win, which is exact
    slopes : per ReLU layer (S, width), the units' slopes there; of ReLUs as bool
    out : per ReLU layer (S, width), what the units put out
    noise : the noise of each layer
    sizes : per ReLU layer (S, width), what was summed up in absolute values
    """

    points: FloatArray
    whole_noise: FloatArray
    clean: list[FloatArray]
    noisy: list[FloatArray]
    active: list[BoolArray]
    noise: list[FloatArray]
    sizes: list[FloatArray]
    slopes: list[BoolArray | FloatArray]
    out: list[FloatArray]

    def exact(self, chain: Chain, sample: int, **options: Any) -> ExactPass:
        """Return the pass of one sample in exact arithmetic."""
        noise = self.whole_noise[sample if len(self.whole_noise) > 1 else 0]
        return chain.exact.run(self.points[sample], noise if noise.any() else None, **options)


def within(distances: FloatArray, errors: FloatArray) -> BoolArray:
    """Where a distance from 0 may be rounding alone: at most its error, unless both are exactly 0, or nan."""
    return ~((distances > errors) | ((distances == 0.0) & (errors == 0.0)))


def working_rows(per_row: int) -> int:
    """Return how many rows of so many entries a temporary array may have."""
    return max(1, _WORKING_SET // max(per_row, 1))


def sampled_blocks(
    chain: Chain, density: Density, n_samples: int, rng: np.random.Generator
) -> Iterator[tuple[slice, FloatArray]]:
    """Draw points of the density in blocks: their places among all samples, and the points `(size, d)`."""
    for start in range(0, n_samples, _BLOCK):
        size = min(_BLOCK, n_samples - start)
        yield slice(start, start + size), density.sample(size, rng)


def forward(
    chain: Chain, t: FloatArray, noise: FloatArray, silenced: NDArray[np.intp] | None = None
) -> State:
    """One forward pass of intrinsic points `(S, d)` with bias noise `(S, n_units)` or `(1, n_units)`.

    `silenced` names a unit for each sample, by flat number, that puts out 0 and whose sign is not asked for;
    of a max unit a candidate that ties with the winner: the unit puts out the mean of the two.

    Signs within their rounding error are decided in exact arithmetic, for the samples that have such:
    some tenths of a millisecond each on 3 x 20 units. So a unit that vanishes identically is never active.
    """
    parts = np.split(noise, chain.offsets[1:-1], axis=1) if chain.depth else []
    state = State(t, noise, [], [], [], parts, [], [], [])
    h, size = chain.to_input(t), chain.input_size(t)
    exact: dict[int, ExactPass] = {}
    prints = chain.fingerprints(noise)
    labels = None if prints is None else prints.inputs
    for layer in range(chain.depth):
        clean = h @ chain.transposed[layer] + chain.biases[layer]
        noisy = clean + parts[layer]
        size = size @ chain.sizes[layer] + chain.bias_sizes[layer] + np.abs(parts[layer]) + _TINY
        before = np.asarray(state.slopes[-1] != 0.0) if layer else None
        size = np.where(chain.vanishing(layer, before, parts[layer]), 0.0, size)
        if prints is not None and labels is not None and prints.covers(layer):
            labels = prints.through(layer, labels)
            noisy = np.where(prints.twins(layer, labels), FAR_BEHIND, noisy)
        active = chain.is_active(layer, noisy)
        is_open = chain.is_open(layer, noisy, active, size)
        own, tied = _own_units(chain, layer, silenced)
        is_open[own] = False
        if tied[0].size:
            is_open[tied[0]] &= ~_of_one_unit(chain, layer, tied[1])
        for sample in np.flatnonzero(is_open.any(axis=1)).tolist():
            if sample not in exact:
                options = {} if silenced is None else {"silenced": int(silenced[sample])}
                exact[sample] = state.exact(chain, sample, **options)
        for sample, found in exact.items():
            active[sample] = found.active[layer]
        active[own] = False
        if prints is not None and labels is not None and prints.covers(layer):
            labels = prints.where(layer, labels, active)
        h, slopes = activated(noisy, active, chain.slopes[layer]), chain.slopes_of(layer, active)
        if chain.slopes[layer] is not None:
            h[own], slopes[own] = 0.0, 0.0
        if tied[0].size:
            _put_out_means(chain, layer, tied, active, (h, noisy), size)
        state.clean.append(clean)
        state.noisy.append(noisy)
        state.active.append(active)
        state.sizes.append(size)
        state.slopes.append(slopes)
        state.out.append(h)
        size = np.where(active, size, 0.0) if chain.slopes[layer] is None else np.abs(slopes) * size
    return state


def _own_units(chain: Chain, layer: int, silenced: NDArray[np.intp] | None) -> tuple[_Places, _Places]:
    """Return the samples whose silenced unit is of a layer, and its place; then those of candidates."""
    if silenced is None:
        return (np.zeros(0, np.intp),) * 2, (np.zeros(0, np.intp),) * 2
    units = chain.units(layer)
    sample = np.flatnonzero((silenced >= units.start) & (silenced < units.stop))
    place = silenced[sample] - units.start
    tied = chain.candidates[layer][place]
    return (sample[~tied], place[~tied]), (sample[tied], place[tied])


def _of_one_unit(chain: Chain, layer: int, places: NDArray[np.intp]) -> BoolArray:
    """Say which rows of a layer, `(P, width)`, are candidates of the max units that own the places."""
    sizes = chain.maxima[layer]
    assert sizes is not None  # one is a candidate
    owner = np.repeat(np.arange(sizes.size), sizes)
    return np.asarray(owner == owner[places][:, None])


def _put_out_means(
    chain: Chain,
    layer: int,
    tied: _Places,
    active: BoolArray,
    values: tuple[FloatArray, FloatArray],
    size: FloatArray,
) -> None:
    """Let max units put out the means of their winners' values and those of given candidates."""
    (sample, place), (h, noisy) = tied, values
    sizes = chain.maxima[layer]
    assert sizes is not None
    winner = winner_places(active[sample], sizes)[np.arange(len(sample)), place]
    h[sample, winner] = 0.5 * (noisy[sample, winner] + noisy[sample, place])
    size[sample, winner] += size[sample, place]


def gradient_norms(chain: Chain, slopes: list[BoolArray | FloatArray]) -> FloatArray:
    """|grad z_i| at each sample, `(S, n_units)`, in intrinsic coordinates; 0 for units that never cut.

    In the place of a candidate that loses stands the norm of the difference of the winner's gradient and its.
    """
    norms = np.empty((len(slopes[0]) if slopes else 1, int(chain.offsets[-1])))
    by: Callable[[Chain, list[BoolArray | FloatArray]], Iterator[FloatArray]]
    by = _norms_by_columns if chain.by_columns else _norms_by_gram
    if chain.depth:
        for layer, norm in enumerate(by(chain, slopes)):
            norms[:, chain.units(layer)] = np.where(chain.cutting[layer], norm, 0.0)
    return norms


def gradient_errors(chain: Chain, slopes: list[BoolArray | FloatArray]) -> FloatArray:
    """Return bounds on the rounding in `gradient_norms`, `(S, n_units)`."""
    width = chain.weights[0].shape[1]
    across = np.ones(width) if chain.domain is None else np.abs(chain.domain.basis).sum(axis=1)
    first = across @ chain.sizes[0]
    size = np.broadcast_to(first, (len(slopes[0]), len(first)))
    sizes = [chain.with_winners(0, size, slopes[0] != 0.0)]
    for layer in range(1, chain.depth):
        size = (np.abs(slopes[layer - 1]) * size) @ chain.sizes[layer]
        sizes.append(chain.with_winners(layer, size, slopes[layer] != 0.0))
    # the rotation of the first Jacobian is off by about its entries times the rounding
    rounding = chain.rounding + 8.0 * math.prod(chain.weights[0].shape) * _UNIT_ROUNDOFF
    if not chain.by_columns:
        rounding = math.sqrt(rounding)  # of squares
    return rounding * np.concatenate(sizes, axis=1)


def _norms_by_columns(chain: Chain, slopes: list[BoolArray | FloatArray]) -> Iterator[FloatArray]:
    """Norms of the gradients per layer, by carrying Jacobians as `(S, c, width)`: 2 S c n^2 flops a layer."""
    samples = len(slopes[0])
    first = chain.first_jacobian
    jacobian = np.broadcast_to(first.T, (samples, *first.T.shape))
    if chain.maxima[0] is None:
        yield np.broadcast_to(np.linalg.norm(first, axis=1), (samples, len(first)))
    else:
        yield np.linalg.norm(difference_from_winner(jacobian, slopes[0] != 0.0, chain.maxima[0]), axis=1)
    for layer in range(1, chain.depth):
        gated = jacobian * slopes[layer - 1][:, None, :]
        flat = gated.reshape(-1, gated.shape[2]) @ chain.transposed[layer]
        jacobian = flat.reshape(samples, -1, flat.shape[1])
        bent = difference_from_winner(jacobian, slopes[layer] != 0.0, chain.maxima[layer])
        yield np.sqrt(np.einsum("scm,scm->sm", bent, bent))


def _norms_by_gram(chain: Chain, slopes: list[BoolArray | FloatArray]) -> Iterator[FloatArray]:
    """The same from Gram matrices J J^T of the units that have a slope.

    That takes about 3 n^3 / 4 flops a layer and sample where half of the units are active. Squares cost
    digits: a norm that cancels to 0 comes out as up to 1e-8 of its neighbours.
    """
    samples = len(slopes[0])
    first = chain.first_jacobian @ chain.first_jacobian.T
    norms = [np.empty((samples, len(bias))) for bias in chain.biases]
    norms[0][:] = np.sqrt(np.diag(first))
    for sample in range(samples):
        if chain.maxima[0] is not None:
            ahead = difference_from_winner(chain.first_jacobian.T, slopes[0][sample] != 0.0, chain.maxima[0])
            norms[0][sample] = np.linalg.norm(ahead, axis=0)
        on = np.flatnonzero(slopes[0][sample])
        gram = first[np.ix_(on, on)]
        for layer in range(1, chain.depth):
            weight = chain.transposed[layer][on]
            if chain.slopes[layer - 1] is not None:
                weight = weight * slopes[layer - 1][sample][on, None]
            product = gram @ weight
            if chain.maxima[layer] is None:
                squares = np.einsum("ij,ij->j", product, weight)
            else:
                ahead = difference_from_winner(weight, slopes[layer][sample] != 0.0, chain.maxima[layer])
                squares = np.einsum("ij,ij->j", gram @ ahead, ahead)
            norms[layer][sample] = np.sqrt(np.maximum(squares, 0.0))
            if layer + 1 < chain.depth:
                on = np.flatnonzero(slopes[layer][sample])
                gram = weight[:, on].T @ product[:, on]
    yield from norms


def reach(live: BoolArray, support: Matrix | None, width: int) -> BoolArray:
    """Tell which of the units at the other end of the weights `(n, width)` touch a live unit."""
    if support is None:
        return np.broadcast_to(live.any(axis=1, keepdims=True), (len(live), width))
    touched: BoolArray = live.astype(np.float32) @ support > 0.0
    return touched
