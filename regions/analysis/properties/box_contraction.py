"""The part of a box where affine functions can all be at most 0, as a smaller box; on many boxes at once.

What is left out is left out by proof: rounding is taken off the constants, and ends are rounded outwards.
Where the functions come from is left to `backward_bounds`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from regions.analysis.properties.backward_bounds import TINY, UNIT

FloatArray = NDArray[np.float64]

STEPS = 8  # towards the best sum of functions


class Contracted(NamedTuple):
    """What is left of B boxes.

    Attributes
    ----------
    low, high : (B, d) float64
    empty : (B,) bool, True where nothing is left
    """

    low: FloatArray
    high: FloatArray
    empty: NDArray[np.bool_]


def weighted_sums(
    low: FloatArray, high: FloatArray, slopes: FloatArray, constant: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return a sum of the functions of each box, with weights from 0, whose least value is large.

    If all functions are at most 0 at a point, so is the sum. Weights by multiplicative steps along a
    subgradient of the least value, which is concave in them.

    Parameters
    ----------
    low, high : (B, d) float64
    slopes, constant : (B, K, d) and (B, K) float64

    Returns
    -------
    slopes, constant : (B, d) and (B,) float64, the sum or something below it

    Examples
    --------
    >>> one = np.ones((1, 1))
    >>> sums = weighted_sums(-one, one, np.array([[[1.0], [-1.0]]]), np.array([[0.5, 0.5]]))
    >>> sums[0].tolist(), sums[1].round(9).tolist()  # t + 1/2 and 1/2 - t are not both negative
    ([[0.0]], [0.5])
    """
    middle, radius = low + (high - low) / 2, (high - low) / 2
    values = constant + np.einsum("bkd,bd->bk", slopes, middle)
    weights = np.full(values.shape, 1.0 / values.shape[1])
    best, kept = np.full(len(low), -np.inf), weights.copy()
    for step in range(STEPS):
        total = np.einsum("bk,bkd->bd", weights, slopes)
        least = (weights * values).sum(axis=1) - (np.abs(total) * radius).sum(axis=1)
        better = least > best
        best, kept[better] = np.where(better, least, best), weights[better]
        ascent = values - np.einsum("bkd,bd->bk", slopes, np.sign(total) * radius)
        ascent = ascent / (np.abs(ascent).max(axis=1, keepdims=True) + TINY)
        weights = weights * np.exp(1.5 / np.sqrt(step + 1.0) * ascent)
        weights /= weights.sum(axis=1, keepdims=True)
    extent = np.maximum(np.abs(low), np.abs(high))
    sizes = np.einsum("bkd,bd->bk", np.abs(slopes), extent) + np.abs(constant)
    lost = 8 * (values.shape[1] + low.shape[1] + 4) * UNIT * (kept * sizes).sum(axis=1) + TINY
    return np.einsum("bk,bkd->bd", kept, slopes), (kept * constant).sum(axis=1) - lost


def contracted(low: FloatArray, high: FloatArray, slopes: FloatArray, constant: FloatArray) -> Contracted:
    """Return a box that holds all points of a box where no function is above 0.

    Parameters
    ----------
    low, high : (B, d) float64
    slopes, constant : (B, K, d) and (B, K) float64

    Examples
    --------
    >>> found = contracted(np.zeros((1, 2)), np.ones((1, 2)), np.array([[[2.0, 1.0]]]), np.array([[-1.0]]))
    >>> found.high.round(9).tolist(), found.empty.tolist()  # 2x + y <= 1
    ([[0.5, 1.0]], [False])
    """
    low, high = low.copy(), high.copy()
    empty = np.zeros(len(low), np.bool_)
    with np.errstate(all="ignore"):
        for slope, offset in zip(np.moveaxis(slopes, 1, 0), constant.T, strict=True):
            # most room that a coordinate has above its better end, where the others are at theirs
            parts = np.minimum(slope * low, slope * high)
            lost = 8 * (low.shape[1] + 4) * UNIT * (np.abs(parts).sum(axis=1) + np.abs(offset)) + TINY
            room = lost - (parts.sum(axis=1) + offset)
            empty |= room < 0.0
            reach = np.maximum(room, 0.0)[:, None] / np.abs(slope)
            reach = reach + 4 * UNIT * reach + TINY
            most = np.where(slope > 0.0, np.nextafter(low + reach, np.inf), np.inf)
            least = np.where(slope < 0.0, np.nextafter(high - reach, -np.inf), -np.inf)
            high, low = np.fmin(high, most), np.fmax(low, least)
            empty |= (low > high).any(axis=1)
    return Contracted(low, high, empty)
