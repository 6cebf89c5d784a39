"""Max units: rows of a layer that compete, of which the largest passes its value on.

A max unit owns consecutive rows of its layer, its candidates. A candidate that wins is active and puts out
its value, the others put out 0; on a tie the first of them wins. So the columns of the next layer are the
same for all candidates of one unit, and a pattern has one bit for each candidate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regions.errors import BudgetExceededError, InvalidNetworkError
from regions.network.layer_matrices import Matrix, identity, is_sparse
from regions.network.slopes import RELU, Slopes, activated, entries_of_layers, put_out, right_of
from regions.showing import Shown

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]
Sizes = IntArray | None  # rows of each unit of a layer, 1 for ordinary units; None: there are no max units

MOST_PAIRS = 2**24  # of candidates, that are listed: 256 MiB


def sizes_of_layers(given: Any, relu: Sequence[bool], widths: Sequence[int]) -> tuple[Sizes, ...]:
    """Return the sizes of the units of all affine layers, None where there are no max units.

    Raises
    ------
    InvalidNetworkError
        If there is not one entry per layer (or none at all), or `checked_sizes` refuses one.

    Examples
    --------
    >>> sizes_of_layers([2, None], [True, False], [4, 1])[0].tolist()
    [2, 2]
    """
    sizes = entries_of_layers("maxima", given, relu)
    return tuple(checked_sizes(k, entry, widths[k]) for k, entry in enumerate(sizes))


def checked_sizes(layer: int, given: Any, width: int) -> Sizes:
    """Return the numbers of rows of a layer's units, (units,) int64, read-only; None where all are 1.

    Parameters
    ----------
    layer : int, for messages
    given : None, a number k for units of k consecutive rows each, or the number of rows of each unit in turn
    width : int, rows of the layer

    Raises
    ------
    InvalidNetworkError
        If it is none of these, or does not use up the rows.

    Examples
    --------
    >>> checked_sizes(0, 3, 6).tolist(), checked_sizes(0, [1, 2], 3).tolist(), checked_sizes(0, 1, 6)
    ([3, 3], [1, 2], None)
    """
    if given is None:
        return None
    sizes = np.asarray(given)
    if sizes.dtype.kind not in "iu" or sizes.ndim > 1 or sizes.size == 0 or (sizes < 1).any():
        raise InvalidNetworkError(
            f"maxima[{layer}] is {given!r}; give the number of rows of each max unit, or one for all of them"
        )
    if sizes.ndim == 0:
        sizes = np.full(max(1, width // int(sizes)), int(sizes))
    if sizes.sum() != width:
        raise InvalidNetworkError(
            f"maxima[{layer}] takes {int(sizes.sum())} rows, but the layer has {width}: every row belongs to "
            "a unit, ordinary ones have a single row"
        )
    if (sizes == 1).all():
        return None
    sizes = sizes.astype(np.int64)
    sizes.setflags(write=False)
    return sizes


def check_slopes(sizes: Sequence[Sizes], slopes: Sequence[Slopes]) -> None:
    """Raise InvalidNetworkError where candidates of a max unit are given slopes: what wins is passed on."""
    for layer, (rows, pair) in enumerate(zip(sizes, slopes, strict=True)):
        if rows is not None and pair is not None:
            owned = pair[:, np.repeat(rows > 1, rows)]
            if (owned[0] != RELU[0]).any() or (owned[1] != RELU[1]).any():
                raise InvalidNetworkError(
                    f"slopes[{layer}] has slopes for candidates of a max unit; give {RELU} for these rows"
                )


def joined_layers(
    weights: tuple[Matrix, ...], biases: tuple[FloatArray, ...], sizes: Sequence[Sizes]
) -> tuple[tuple[Matrix, ...], tuple[FloatArray, ...]]:
    """Return the layers with a column for each candidate; a layer that adds up follows a last max layer.

    The layer after max units may have one column for each unit, or one for each row already.

    Raises
    ------
    InvalidNetworkError
        If it has neither, or the columns of one unit's candidates differ.

    Examples
    --------
    >>> one = np.array([[2.0, 3.0]])
    >>> layers = joined_layers((np.ones((3, 1)), one), (np.zeros(3), np.zeros(1)), [np.array([1, 2]), None])
    >>> layers[0][1].tolist()
    [[2.0, 3.0, 3.0]]
    """
    joined, offsets = list(weights), list(biases)
    for layer, rows in enumerate(sizes):
        if rows is None:
            continue
        if layer + 1 == len(weights):
            joined.append(_repeated(identity(rows.size), rows))
            offsets.append(np.zeros(rows.size))
            offsets[-1].setflags(write=False)
            continue
        columns = weights[layer + 1].shape[1]
        if columns == rows.size:
            joined[layer + 1] = _repeated(weights[layer + 1], rows)
        elif columns == rows.sum():
            starts = np.repeat(np.cumsum(rows) - rows, rows)
            if (weights[layer + 1] != weights[layer + 1][:, starts]).sum():
                raise InvalidNetworkError(
                    f"weights[{layer + 1}] has a column for each row of layer {layer}, but those of the "
                    "candidates of one max unit differ; give one column for each unit"
                )
        else:
            raise InvalidNetworkError(
                f"weights[{layer + 1}] takes {columns} inputs but the units of layer {layer} give {rows.size}"
            )
    return tuple(joined), tuple(offsets)


def _repeated(matrix: Matrix, rows: IntArray) -> Matrix:
    """Return a matrix with each column repeated so often, dense or sparse as it is."""
    if is_sparse(matrix):
        return matrix[:, np.repeat(np.arange(rows.size), rows)]
    return np.repeat(matrix, rows, axis=1)


def winners(values: FloatArray, sizes: IntArray) -> BoolArray:
    """Say which rows (..., n) of a layer are the first largest ones of their units.

    Examples
    --------
    >>> winners(np.array([3.0, 1.0, 2.0, 2.0]), np.array([1, 3])).tolist()
    [True, False, True, False]
    """
    starts = np.cumsum(sizes) - sizes
    largest = values == np.repeat(np.maximum.reduceat(values, starts, axis=-1), sizes, axis=-1)
    before = np.cumsum(largest, axis=-1)
    first = before - np.repeat(before[..., starts] - largest[..., starts], sizes, axis=-1) == 1
    return np.asarray(largest & first)


def candidates(sizes: Sizes, width: int) -> BoolArray:
    """Say which rows of a layer are candidates of max units.

    Examples
    --------
    >>> candidates(np.array([1, 2]), 3).tolist(), candidates(None, 2).tolist()
    ([False, True, True], [False, False])
    """
    return np.zeros(width, bool) if sizes is None else np.repeat(sizes > 1, sizes)


def winner_places(active: BoolArray, sizes: IntArray) -> IntArray:
    """Return for each row (..., n) the place of its unit's winner in the layer; an ordinary row's is its own.

    Examples
    --------
    >>> winner_places(np.array([False, False, True]), np.array([1, 2])).tolist()
    [0, 2, 2]
    """
    places = np.arange(active.shape[-1])
    starts = np.cumsum(sizes) - sizes
    winners = np.maximum.reduceat(np.where(active, places, -1), starts, axis=-1)
    return np.where(candidates(sizes, places.size), np.repeat(winners, sizes, axis=-1), places)


def states_of_layer(values: FloatArray, slopes: Slopes, sizes: Sizes) -> BoolArray:
    """Say which rows (..., n) of a layer are active: right of their breakpoints, or the winners of max units.

    Examples
    --------
    >>> states_of_layer(np.array([3.0, -1.0, -2.0]), None, np.array([1, 2])).tolist()
    [True, True, False]
    """
    right = right_of(values, slopes)
    if sizes is None:
        return right
    return np.where(np.repeat(sizes > 1, sizes), winners(values, sizes), right)


def output_of_layer(values: FloatArray, slopes: Slopes, sizes: Sizes) -> FloatArray:
    """Return what the rows (..., n) of a layer put out: the losers of a max unit 0.

    Examples
    --------
    >>> output_of_layer(np.array([3.0, -1.0, -2.0]), None, np.array([1, 2])).tolist()
    [3.0, -1.0, 0.0]
    """
    if sizes is None:
        return put_out(values, slopes)
    return activated(values, states_of_layer(values, slopes, sizes), slopes)


@dataclass(frozen=True)
class MaxUnits(Shown):
    """The max units of a network, by the flat numbers of their rows.

    Two candidates i < j of one unit make a *pair*: the hyperplane where the difference of their values, i's
    minus j's, is 0. Pairs are numbered layer after layer and unit after unit, (0, 1), (0, 2), ...; as planes
    they are numbered on after the units.

    Attributes
    ----------
    first : (n_units,) int64, first row of the max unit that a row belongs to; -1 for ordinary units
    size : (n_units,) int64, rows of that unit; 1 for ordinary ones
    pair_offsets : (layers + 1,) int64, first pair of each layer of units, and the total
    pair_starts : (n_units,) int64, number of the first pair of a row's unit
    """

    first: IntArray
    size: IntArray
    pair_offsets: IntArray
    pair_starts: IntArray

    @cached_property
    def pairs(self) -> IntArray:
        """The two rows of each pair, `(2, pairs)`.

        Raises
        ------
        BudgetExceededError
            If there are more than 2**24 pairs.
        """
        total = int(self.pair_offsets[-1])
        if total > MOST_PAIRS:
            raise BudgetExceededError(
                f"the max units have {total:,} pairs of candidates, k (k - 1) / 2 for each of k candidates "
                f"(the largest has {int(self.size.max()):,}); a search keeps a row for each, and at most "
                f"{MOST_PAIRS:,} are made: estimators and `explore` in many inputs need none"
            )
        firsts = np.unique(self.first[self.first >= 0])
        of_size = {k: np.stack(np.triu_indices(k, 1)) for k in np.unique(self.size[firsts]).tolist()}
        parts = [of_size[int(self.size[first])] + first for first in firsts.tolist()]
        return np.ascontiguousarray(np.concatenate(parts, axis=1, dtype=np.int64))

    @property
    def n_units(self) -> int:
        """Number of rows of the whole network, ordinary ones included."""
        return self.first.size

    def plane(self, i: int, j: int) -> int:
        """Return the number of the plane on which two candidates of one unit tie.

        Examples
        --------
        >>> table = table_of([np.array([1, 3])])
        >>> table.plane(3, 1), table.pairs.tolist()
        (5, [[1, 1, 2], [2, 3, 3]])
        """
        low, high = (i, j) if i < j else (j, i)
        start, k = int(self.first[low]), int(self.size[low])
        a, b = low - start, high - start
        return self.n_units + int(self.pair_starts[low]) + a * (2 * k - a - 1) // 2 + b - a - 1

    def rows(self, plane: int) -> tuple[int, int]:
        """Return the two candidates of a plane, the earlier one first."""
        i, j = self.pairs[:, plane - self.n_units].tolist()
        return i, j

    def winner(self, states: bytes | Sequence[Any] | NDArray[Any], row: int) -> int:
        """Return the candidate that is active in a pattern, of the max unit that a row belongs to.

        Raises
        ------
        InvalidNetworkError
            If not exactly one of them is.
        """
        start, k = int(self.first[row]), int(self.size[row])
        active = [i for i in range(start, start + k) if states[i]]
        if len(active) != 1:
            raise InvalidNetworkError(f"{len(active)} candidates of the max unit of row {start} are active")
        return active[0]

    def losers(self, states: BoolArray) -> tuple[IntArray, IntArray]:
        """Return the candidates that are inactive in a pattern, and the winner of the max unit of each.

        Examples
        --------
        >>> losers, winners = table_of([np.array([1, 3])]).losers(np.array([True, False, False, True]))
        >>> losers.tolist(), winners.tolist()
        ([1, 2], [3, 3])
        """
        of = np.flatnonzero((self.first >= 0) & states)
        by_first = np.zeros(self.n_units, np.int64)
        by_first[self.first[of]] = of
        losers = np.flatnonzero((self.first >= 0) & ~states)
        return losers, by_first[self.first[losers]]

    def rows_of(self, row: int) -> range:
        """Return the candidates of the max unit that a row belongs to; of an ordinary unit its row alone."""
        start = int(self.first[row])
        return range(row, row + 1) if start < 0 else range(start, start + int(self.size[row]))

    def rival_at(
        self, row: int, here: Sequence[Any] | BoolArray, beyond: bytes | Sequence[Any] | BoolArray
    ) -> int:
        """Return what bends on a facet between two patterns, as seen from the first of them.

        Parameters
        ----------
        row : int, the unit that the facet is booked under; where two candidates tie, one of them
        here, beyond : the patterns on its two sides

        Returns
        -------
        row : int, an ordinary unit itself; else the candidate that wins beyond
        """
        if here[row]:
            return next((k for k in self.rows_of(row) if beyond[k] and not here[k]), row)
        return row


def table_of(sizes: Sequence[Sizes | int]) -> MaxUnits | None:
    """Number the rows and pairs of layers of units, given the sizes of their units, or their widths.

    None where there are no max units at all.
    """
    every = [np.ones(entry, np.int64) if isinstance(entry, int) else entry for entry in sizes]
    if all((rows == 1).all() for rows in every if rows is not None):
        return None
    first, size, starts, offsets = [], [], [], [0]
    row, total = 0, 0
    for rows in every:
        for k in () if rows is None else rows.tolist():
            first += [row if k > 1 else -1] * k
            size += [k] * k
            starts += [total] * k
            row += k
            total += k * (k - 1) // 2
        offsets.append(total)
    arrays = (first, size, offsets, starts)
    return MaxUnits(*(np.ascontiguousarray(np.asarray(array, np.int64)) for array in arrays))


def refuse_max_units(sizes: Sequence[Sizes], what: str) -> None:
    """Raise InvalidNetworkError, saying `what` takes no max units, if a network has any."""
    if any(rows is not None for rows in sizes):
        raise InvalidNetworkError(f"{what} takes no max units (maxout, max pooling) yet")
