"""Which units are good at a point: they bend, and a path of nonzero weights and slopes leads to an output.

Whether the unit's own activation is taken as 0 (right, on its own zero set) or as sampled is the
difference between two of the estimators.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from regions.estimators.estimates import LocusKind
from regions.estimators.forward_passes import Chain, State, reach, working_rows
from regions.estimators.products import dense
from regions.estimators.ties import difference_from_winner
from regions.network.slopes import activated

__all__ = ["count_visible", "is_good_at_zero", "keep_good", "sampled_goodness"]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

# goodness is looked up for at most about this many units of a sample
_LOOK_UPS = 64


def sampled_goodness(chain: Chain, state: State) -> BoolArray:
    """Return the goodness `(S, n_units)` in the state as sampled, that of the later layers."""
    good = np.zeros((len(state.active[0]) if chain.depth else 1, int(chain.offsets[-1])), dtype=bool)
    live = np.broadcast_to(chain.output_live, (len(good), chain.output_live.size))
    for layer in reversed(range(chain.depth)):
        good[:, chain.units(layer)] = live & chain.cutting[layer]
        if layer:
            support = chain.supports[layer]
            backward = None if support is None else support.T
            live = reach(
                np.asarray(state.slopes[layer] != 0.0) & live, backward, len(chain.biases[layer - 1])
            )
    return good


def count_visible(chain: Chain, kind: LocusKind) -> int:
    """How many units may belong to the locus: all that cut, or of these the ones that a path leads from."""
    if kind == "activation":
        return sum(int(np.count_nonzero(cuts)) for cuts in chain.cutting)
    count, live = 0, chain.output_live[None]
    for layer in reversed(range(chain.depth)):
        count += int(np.count_nonzero(live & chain.cutting[layer]))
        if layer:
            support = chain.supports[layer]
            live = reach(live, None if support is None else support.T, len(chain.biases[layer - 1]))
    return count


def keep_good(chain: Chain, state: State, weights: FloatArray, roulette: FloatArray) -> FloatArray:
    """Return the weights times the indicator of goodness, or times an unbiased stand-in for it."""
    live = sampled_goodness(chain, state)
    kept = np.where(live, weights, 0.0)
    # looked up with probability weights / at_stake, so that at_stake has to weigh the correction
    at_stake = np.maximum(weights, weights.sum(axis=1, keepdims=True) / _LOOK_UPS)
    chosen = roulette * at_stake < weights
    for layer in range(chain.depth - 1):
        # a unit without a slope on its side puts out 0 already: there the sampled state is the right one
        # (a candidate that loses is looked up, for it wins as well where it ties)
        passing = np.asarray(state.slopes[layer] != 0.0) != chain.candidates[layer]
        passing &= chain.cutting[layer]
        sample, unit = np.nonzero(passing & chosen[:, chain.units(layer)])
        flat = unit + chain.offsets[layer]
        change = is_good_at_zero(chain, state, layer, sample, unit) * 1.0 - live[sample, flat]
        kept[sample, flat] += change * at_stake[sample, flat]
    return kept


def is_good_at_zero(
    chain: Chain, state: State, layer: int, sample: NDArray[np.intp], unit: NDArray[np.intp]
) -> BoolArray:
    """Goodness `(P,)` of units of one layer, each with its own output set to 0 in the sample given.

    Of a max unit a candidate is named: the output is set to the mean of the winner's value and its.
    """
    if layer + 1 == chain.depth:
        return np.asarray(chain.output_live[unit] & chain.cutting[layer][unit])
    good = np.empty(len(sample), dtype=bool)
    outgoing = chain.transposed[layer + 1]
    chunk = working_rows(chain.widest)
    for start in range(0, len(sample), chunk):
        part = slice(start, start + chunk)
        rows, columns = sample[part], unit[part]
        # twice, for the unit's own part is in it and taken away again
        size = 2.0 * state.sizes[layer + 1][rows]
        own = state.out[layer][rows, columns]
        if (sizes := chain.maxima[layer]) is not None:
            ahead = difference_from_winner(state.noisy[layer][rows], state.active[layer][rows], sizes)
            tied = chain.candidates[layer][columns]
            own = np.where(tied, 0.5 * ahead[np.arange(len(rows)), columns], own)
            added = np.where(tied, state.sizes[layer][rows, columns], 0.0)
            size += added[:, None] * dense(chain.sizes[layer + 1][columns])
        leaving = dense(outgoing[columns])
        z = state.noisy[layer + 1][rows] - own[:, None] * leaving
        active = chain.is_active(layer + 1, z)
        is_open = chain.is_open(layer + 1, z, active, size).any(axis=1)
        live = chain.passing(layer + 1, active) & (leaving != 0.0)
        for later in range(layer + 2, chain.depth):
            size = np.abs(chain.slopes_of(later - 1, active)) * size @ chain.sizes[later]
            size += chain.bias_sizes[later]
            z = activated(z, active, chain.slopes[later - 1]) @ chain.transposed[later]
            noise = state.noise[later][rows]
            z += chain.biases[later] + noise
            size += np.abs(noise)
            active = chain.is_active(later, z)
            is_open |= chain.is_open(later, z, active, size).any(axis=1)
            live = chain.passing(later, active) & reach(live, chain.supports[later], z.shape[1])
        good[part] = np.any(live & chain.output_live, axis=1) & chain.cutting[layer][columns]
        for place in np.flatnonzero(is_open & chain.cutting[layer][columns]).tolist():
            good[start + place] = _is_good_exactly(chain, state, layer, int(rows[place]), int(columns[place]))
    return good


def _is_good_exactly(chain: Chain, state: State, layer: int, sample: int, unit: int) -> bool:
    """Goodness of one unit in one sample with its output set to 0, all signs in exact arithmetic."""
    active = state.exact(chain, sample, silenced=int(chain.offsets[layer]) + unit).active
    leaving = dense(chain.transposed[layer + 1][[unit]])
    live = chain.passing(layer + 1, active[layer + 1]) & (leaving != 0.0)
    for later in range(layer + 2, chain.depth):
        live = chain.passing(later, active[later]) & reach(live, chain.supports[later], len(active[later]))
    return bool(np.any(live & chain.output_live))
