"""The affine maps of all cells of a complex, many at once.

Neighbours in the list of a depth-first search differ in few units, and so their maps are made of each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from regions.network.patterns import unpack
from regions.network.slopes import Slopes, slopes_at

if TYPE_CHECKING:
    from regions.complexes import CellComplex

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

CHUNK_CELLS = 4096
_FEW = 4  # units: a run that differs from the one before it in more is computed from its layer's inputs


def output_maps(
    complex: CellComplex, chunk: int = CHUNK_CELLS, *, single: bool = False
) -> Iterator[tuple[int, int, Floats, Floats]]:
    """Affine maps of the outputs in intrinsic coordinates, for runs of consecutive cells.

    Consecutive cells of a depth-first enumeration share the patterns of their first layers,
    and such a run is carried through these layers once. Where two runs differ in few units of a layer, what
    the units add is added to the map of the first.

    Parameters
    ----------
    complex : CellComplex in d dimensions
    chunk : cells per step; bounds the memory
    single : whether to compute in float32, in half of the time

    Yields
    ------
    start, stop : int, the cells of this step
    A : (stop - start, out, d) float64, or float32 if `single`
    c : (stop - start, out) likewise

    Examples
    --------
    >>> from regions import Box, Network, enumerate_cells
    >>> net = Network.from_arrays([[[1.0]], [[2.0]]], [[0.0], [1.0]])
    >>> [(start, stop, A, c)] = output_maps(enumerate_cells(net, Box([-1.0], [3.0])))
    >>> sorted(A[:, 0, 0])
    [np.float64(0.0), np.float64(2.0)]
    """
    for start in range(0, complex.n_cells, chunk):
        stop = min(start + chunk, complex.n_cells)
        yield start, stop, *maps_of_patterns(complex, complex.patterns[start:stop], single=single)


def maps_of_patterns(
    complex: CellComplex, patterns: NDArray[np.uint8], *, single: bool = False
) -> tuple[Floats, Floats]:
    """Return the affine maps of cells by their packed patterns, as `output_maps` yields them.

    Examples
    --------
    >>> from regions import Box, Network, enumerate_cells
    >>> net = Network.from_arrays([[[1.0]], [[2.0]]], [[0.0], [1.0]])
    >>> A, c = maps_of_patterns(enumerate_cells(net, Box([-1.0], [3.0])), np.array([[1]], np.uint8))
    >>> A.tolist(), c.tolist()
    ([[[2.0]]], [[1.0]])
    """
    network, domain = complex.network, complex.domain
    offsets = network.unit_offsets
    kind: Any = np.float32 if single else np.float64
    weights = [weight.astype(kind, copy=False) for weight in network.operators]
    bits = unpack(np.ascontiguousarray(patterns), network.n_units)
    # One affine map per run of cells: d rows of coefficients and one of constants.
    maps = np.concatenate([domain.basis.T, domain.origin[None, :]])[None, :, :].astype(kind)
    runs, layer = np.zeros(1, dtype=np.int64), 0
    units: tuple[Bools, Ints, Slopes] | None = None  # states and parents of the units that come next
    for weight, bias, relu, pair in zip(weights, network.biases, network.relu, network.slopes, strict=True):
        maps = _times(maps, weight) if units is None else _behind_units(maps, weight, *units)
        maps[:, -1, :] += bias
        units = None
        if relu:
            own = bits[:, offsets[layer] : offsets[layer + 1]]
            runs, parent = _refine_runs(runs, own)
            units = own[runs], parent, pair
            layer += 1
    if units is not None:
        states, parent, pair = units
        maps = _through_units(maps[parent], states, pair)
    maps = maps[np.searchsorted(runs, np.arange(len(bits)), side="right") - 1]
    return maps[:, :-1, :].transpose(0, 2, 1), maps[:, -1, :]


def _through_units(maps: Floats, states: Bools, pair: Slopes) -> Floats:
    """Change maps, one for each row of states, to those behind the units, and return them."""
    maps *= states[:, None, :] if pair is None else slopes_at(pair, states)[:, None, :]
    return maps


def _times(maps: Floats, weight: Any) -> Floats:
    """Return the maps behind a layer: one large product, for numpy multiplies small ones one by one."""
    return np.asarray((maps.reshape(-1, weight.shape[1]) @ weight.T).reshape(len(maps), -1, weight.shape[0]))


def _behind_units(maps: Floats, weight: Any, states: Bools, parent: Ints, pair: Slopes) -> Floats:
    """Return what a layer makes of units: of each run its states on the map of its parent.

    A run that has the parent of the run before it, and differs from it in few units, is that one and what
    these units add.
    """
    flipped = states[1:] != states[:-1]
    count = np.count_nonzero(flipped, axis=1)
    near = np.zeros(len(states), dtype=np.bool_)
    near[1:] = (parent[1:] == parent[:-1]) & (count <= _FEW)
    if not isinstance(weight, np.ndarray) or not near.any():
        return _times(_through_units(maps[parent], states, pair), weight)
    far = np.flatnonzero(~near)
    found = np.empty((len(states), maps.shape[1], weight.shape[0]), dtype=maps.dtype)
    found[far] = _times(_through_units(maps[parent[far]], states[far], pair), weight)
    rows = np.flatnonzero(near)
    run, unit = np.nonzero(flipped[rows - 1])
    run = rows[run]
    jump = np.ones(len(unit)) if pair is None else pair[1, unit] - pair[0, unit]
    jump = np.where(states[run, unit], jump, -jump).astype(maps.dtype)
    step = maps[parent[run], :, unit] * jump[:, None]
    turn = np.arange(len(run)) - np.searchsorted(run, run)  # which of the units of its run
    columns = np.ascontiguousarray(weight.T)
    for k in range(_FEW):
        now = np.flatnonzero(turn == k)
        part = step[now, :, None] * columns[unit[now], None, :]
        if k == 0:
            found[run[now]] = part
        else:
            found[run[now]] += part
    # from the first of each family on: the second ones, the third ones, ...
    place = np.arange(len(states)) - far[np.searchsorted(far, np.arange(len(states)), side="right") - 1]
    order = np.argsort(place, kind="stable")
    ends = np.searchsorted(place[order], np.arange(1, place.max() + 2))
    for begin, end in pairwise(ends):
        found[order[begin:end]] += found[order[begin:end] - 1]
    return found


def _refine_runs(runs: Ints, bits: Bools) -> tuple[Ints, Ints]:
    """Split runs of rows where `bits` changes: new starts, and the old run of each."""
    new = np.zeros(bits.shape[0], dtype=np.bool_)
    new[runs] = True
    new[1:] |= (bits[1:] != bits[:-1]).any(axis=1)
    starts = np.flatnonzero(new)
    return starts, np.searchsorted(runs, starts, side="right") - 1
