"""Where max units bend: at ties of the winner with another candidate.

In the flat numbering of rows, what belongs to the tie of a unit's winner with a loser stands in the loser's
place, so that a unit of k candidates takes k places and not k (k - 1) / 2. No other ties matter: where two
losers are level, the winner is above both.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from regions.network.max_units import Sizes, candidates, winner_places

__all__ = ["difference_from_winner", "distances_from_bends", "leads_at_tie"]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


def difference_from_winner(values: FloatArray, active: BoolArray, sizes: Sizes) -> FloatArray:
    """Return by how much the winner's value exceeds that of each row (..., n); ordinary rows as they are.

    `active` (S, n) may lack axes in the middle that the values (S, ..., n) have.

    Examples
    --------
    >>> difference_from_winner(np.array([3.0, -1.0, 2.0]), np.array([True, False, True]), np.array([1, 2]))
    array([3., 3., 0.])
    """
    if sizes is None:
        return values
    places = winner_places(active, sizes)
    places = places.reshape(places.shape[:-1] + (1,) * (values.ndim - places.ndim) + places.shape[-1:])
    ahead = np.take_along_axis(values, np.broadcast_to(places, values.shape), axis=-1) - values
    return np.where(candidates(sizes, values.shape[-1]), ahead, values)


def distances_from_bends(values: FloatArray, active: BoolArray, sizes: Sizes) -> FloatArray:
    """Return the same with inf for the winners, which do not tie with themselves.

    Examples
    --------
    >>> distances_from_bends(np.array([3.0, -1.0, 2.0]), np.array([True, False, True]), np.array([1, 2]))
    array([ 3.,  3., inf])
    """
    if sizes is None:
        return values
    won = active & candidates(sizes, values.shape[-1])
    return np.where(won, np.inf, difference_from_winner(values, active, sizes))


def leads_at_tie(values: FloatArray, active: BoolArray, sizes: Sizes) -> BoolArray:
    """Say of each loser whether it and the winner, both at the mean of their values, would beat all others.

    True for ordinary rows.

    Examples
    --------
    >>> leads_at_tie(np.array([3.0, 2.0, 0.0]), np.array([True, False, False]), np.array([3]))
    array([ True,  True, False])
    """
    if sizes is None:
        return np.ones(values.shape, bool)
    starts = np.cumsum(sizes) - sizes
    second = np.maximum.reduceat(np.where(active, -np.inf, values), starts, axis=-1)
    second = np.repeat(second, sizes, axis=-1)
    winner = np.take_along_axis(values, winner_places(active, sizes), axis=-1)
    leads = (values == second) | (winner + values >= 2.0 * second)
    return np.asarray(leads | ~candidates(sizes, values.shape[-1]))
