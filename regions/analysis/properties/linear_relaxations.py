"""Bounds of affine functions of a network's outputs over many boxes at once, proven in floating point.

Every value is kept between two affine functions of the box's coordinates, layer by layer. Whatever rounding
may have lost is taken off the constant of the lower function, and put onto that of the upper one.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from regions.analysis.properties.backward_bounds import TINY, UNIT, Backward, Lines, lines_of
from regions.domain import Domain
from regions.network.max_units import Sizes
from regions.network.relu_network import Network
from regions.network.slopes import RELU, Slopes

FloatArray = NDArray[np.float64]


class Bounds(NamedTuple):
    """What is known of K functions on each of B boxes.

    Attributes
    ----------
    lower, upper : (B, K) float64, proven
    open_units : (B,) int64, units whose side the bounds leave open
    weight : (B, d) float64, how much each coordinate of the box has to do with that
    slopes, constant : (B, K, d) and (B, K) float64; slopes . t + constant is below the function on the box
    """

    lower: FloatArray
    upper: FloatArray
    open_units: NDArray[np.int64]
    weight: FloatArray
    slopes: FloatArray
    constant: FloatArray


class _Layer(NamedTuple):
    matrix: Any
    positive: Any  # the matrix with 0 for negative entries, dense or sparse
    negative: Any
    bias: FloatArray
    units: bool
    slopes: Slopes
    sizes: Sizes
    rounding: float  # bound of the relative error of a row's products, twice over


class _Range(NamedTuple):
    """Values as pairs of affine functions of s in [-1, 1]^d: (n, B, d + 1), the constant last."""

    lower: FloatArray
    upper: FloatArray


class OutputBounds:
    """Bounds of C @ y - c over boxes in the intrinsic coordinates of a domain.

    Parameters
    ----------
    network : Network
    domain : Domain
    C : (K, out) float64
    c : (K,) float64

    References
    ----------
    Weng et al., Towards fast computation of certified robustness for ReLU networks (2018), section 3.3; Wang
    et al., Efficient formal safety analysis of neural networks (2018), section 3.

    Examples
    --------
    >>> from regions import Box, Network
    >>> net = Network.from_arrays([[[1.0], [-1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.0]])  # |x|
    >>> bounds = OutputBounds(net, Box([-1.0], [1.0]), np.eye(1), np.zeros(1))
    >>> found = bounds(np.array([[0.5], [-1.0]]), np.array([[1.0], [1.0]]))
    >>> (found.lower.round(9) + 0.0).tolist(), found.upper.round(9).tolist(), found.open_units.tolist()
    ([[0.5], [0.0]], [[1.0], [1.0]], [0, 2])
    """

    def __init__(self, network: Network, domain: Domain, C: FloatArray, c: FloatArray) -> None:
        d = domain.dimension
        self.backward = all(sizes is None for sizes in network.maxima)
        self.layers = []
        if not domain.is_identity:
            self.layers.append(_layer(domain.basis, domain.origin, d, False, None, None))
        for k, (matrix, bias) in enumerate(zip(network.operators, network.biases, strict=True)):
            units = network.relu[k], network.slopes[k], network.maxima[k]
            self.layers.append(_layer(matrix, bias, d, *units))
        self.layers.append(_layer(C, -c, d, False, None, None))

    def __call__(self, low: FloatArray, high: FloatArray) -> Bounds:
        """Return the bounds on the boxes low <= t <= high, (B, d) each."""
        with np.errstate(all="ignore"):
            return self._bounds(low, high)

    def _bounds(self, low: FloatArray, high: FloatArray) -> Bounds:
        boxes, d = low.shape
        middle = low + (high - low) / 2
        radius = np.maximum(high - middle, middle - low)
        radius = radius + np.spacing(radius) + TINY
        start = np.zeros((d, boxes, d + 1))
        start[np.arange(d), :, np.arange(d)] = radius.T
        start[:, :, d] = middle.T
        values = _Range(start, start.copy())
        back = Backward(low, high) if self.backward else None
        open_units, weight = np.zeros(boxes, np.int64), np.zeros((boxes, d))
        for layer in self.layers[:-1]:
            values = _affine(layer, values)
            ends = _ends(values) if layer.units else None
            if ends is not None:
                if back is not None:
                    ends = _closer(layer, ends, back)
                values, undecided, part = _activated(layer, values, ends)
                open_units += undecided
                weight += part
            if back is not None:
                back.append(layer.matrix, layer.bias, None if ends is None else _lines(layer, ends))
        last = self.layers[-1]
        values = _affine(last, values)
        lower, upper = (
            _known(_extremes(values.lower)[0].T, -np.inf),
            _known(_extremes(values.upper)[1].T, np.inf),
        )
        slopes, constant = np.zeros((*lower.shape, d)), lower
        if back is not None:
            box = np.repeat(np.arange(boxes), len(last.bias))
            found = back.below(np.tile(last.matrix, (boxes, 1)), np.tile(last.bias, boxes), box)
            slopes, constant = found.slopes.reshape(slopes.shape), found.constant.reshape(lower.shape)
            lower = np.maximum(lower, found.least.reshape(lower.shape))
        return Bounds(lower, upper, open_units, np.nan_to_num(weight), slopes, constant)


def _known(bounds: FloatArray, otherwise: float) -> FloatArray:
    return np.where(np.isnan(bounds), otherwise, bounds)


def _layer(matrix: Any, bias: FloatArray, d: int, units: bool, slopes: Slopes, sizes: Sizes) -> _Layer:
    terms = matrix.shape[1]
    return _Layer(
        matrix,
        abs(matrix) / 2 + matrix / 2,  # exact: halves, and sums of equal numbers
        matrix / 2 - abs(matrix) / 2,
        bias,
        units,
        slopes,
        sizes,
        2 * (terms + d + 16) * UNIT,
    )


def _product(matrix: Any, values: FloatArray) -> FloatArray:
    n, *rest = values.shape
    return np.asarray(matrix @ values.reshape(n, -1)).reshape(-1, *rest)


def _affine(layer: _Layer, values: _Range) -> _Range:
    """Return what an affine layer makes of a range.

    A sum of n products errs by at most n u times the sum of their absolute values (Higham 2002, eq. 3.5);
    these are summed over all coefficients, since |s| <= 1.
    """
    low, high = values
    lower = _product(layer.positive, low) + _product(layer.negative, high)
    upper = _product(layer.positive, high) + _product(layer.negative, low)
    lower[:, :, -1] += layer.bias[:, None]
    upper[:, :, -1] += layer.bias[:, None]
    sizes = np.maximum(np.abs(low).sum(axis=2), np.abs(high).sum(axis=2))
    lost = _product(layer.positive, sizes) - _product(layer.negative, sizes) + np.abs(layer.bias)[:, None]
    return _shifted(lower, upper, layer.rounding * lost)


def _shifted(lower: FloatArray, upper: FloatArray, lost: FloatArray) -> _Range:
    """Return the range whose functions are so much farther apart, on either side."""
    lower[:, :, -1] -= lost + TINY
    upper[:, :, -1] += lost + TINY
    return _Range(lower, upper)


def _extremes(functions: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return bounds (n, B) of the least and of the largest values of affine functions on [-1, 1]^d."""
    spread = np.abs(functions[:, :, :-1]).sum(axis=2)
    constant = functions[:, :, -1]
    lost = (functions.shape[2] + 4) * UNIT * (spread + np.abs(constant)) + TINY
    return constant - spread - lost, constant + spread + lost


class _Ends(NamedTuple):
    """Bounds of the least and largest values of the two functions of a range, (n, B) each.

    `least` and `most` are also bounds of what lies between the functions.
    """

    least: FloatArray
    most_of_lower: FloatArray
    least_of_upper: FloatArray
    most: FloatArray


def _ends(values: _Range) -> _Ends:
    return _Ends(*_extremes(values.lower), *_extremes(values.upper))


def _bends(layer: _Layer, ends: _Ends) -> NDArray[np.bool_]:
    """Say which units are open, (n, B); candidates of max units are none."""
    cut = (ends.least < 0.0) & (ends.most > 0.0)
    if layer.slopes is not None:
        cut &= (layer.slopes[0] != layer.slopes[1])[:, None]
    if layer.sizes is not None:
        cut[np.repeat(layer.sizes > 1, layer.sizes)] = False
    return cut


def _closer(layer: _Layer, ends: _Ends, back: Backward) -> _Ends:
    """Return closer bounds of the values of units that are open, each carried back to the inputs."""
    unit, box = np.nonzero(_bends(layer, ends))
    rows, bias = layer.matrix[unit], layer.bias[unit]
    rows = rows if isinstance(rows, np.ndarray) else rows.toarray()
    least, most = ends.least.copy(), ends.most.copy()
    least[unit, box] = np.maximum(least[unit, box], back.below(rows, bias, box).least)
    most[unit, box] = np.minimum(most[unit, box], -back.below(-rows, -bias, box).least)
    return ends._replace(least=least, most=most, least_of_upper=np.maximum(ends.least_of_upper, least))


def _lines(layer: _Layer, ends: _Ends) -> Lines:
    return lines_of(ends.least.T, ends.most.T, layer.slopes)


def _activated(layer: _Layer, values: _Range, ends: _Ends) -> tuple[_Range, NDArray[np.int64], FloatArray]:
    """Return what units make of a range, how many of them are open, and the weight of the coordinates."""
    least, _, _, most = ends
    cut = _bends(layer, ends)
    slopes = layer.slopes
    gap = np.where(cut, -least * most / (most - least), 0.0)
    share = np.abs(values.upper[:, :, :-1]) + np.abs(values.lower[:, :, :-1])
    total = share.sum(axis=2)
    part = np.einsum("nb,nbk->bk", np.where(total > 0.0, gap / total, 0.0), share)
    positive = _positive_part(values, ends)
    found = positive if slopes is None else _sloped(values, positive, slopes)
    undecided = cut.sum(axis=0)
    if layer.sizes is not None:
        undecided = undecided + _maxima(layer.sizes, values, found, least, most)
    return found, undecided, part


def _positive_part(values: _Range, ends: _Ends) -> _Range:
    """Return a range of the positive parts.

    Below: the lower function times a number in [0, 1], 0 or 1 here. Above: the chord of the positive part
    between the extremes of the upper function, where that changes sign.
    """
    least, most_of_lower, least_of_upper, most = ends
    keep = (most_of_lower > -least) & (most > 0.0)
    lower = np.where(keep[:, :, None], values.lower, 0.0)
    sure = least >= 0.0
    lower[sure] = values.lower[sure]
    zero, whole = most <= 0.0, least_of_upper >= 0.0
    chord = ~(zero | whole)
    slope = np.where(chord, most / (most - least_of_upper), whole.astype(np.float64))
    slope = np.clip(slope, 0.0, 1.0)
    upper = values.upper * slope[:, :, None]
    # at least max(0, z) at both ends of the interval, so in between, as the positive part is convex
    raised = np.maximum((1.0 - slope) * most, -slope * least_of_upper)
    sizes = np.abs(values.upper).sum(axis=2) + np.abs(most) + np.abs(least_of_upper)
    upper[:, :, -1] += np.where(chord, raised + 8 * UNIT * values.upper.shape[2] * sizes + TINY, 0.0)
    return _Range(lower, upper)


def _sloped(values: _Range, positive: _Range, slopes: FloatArray) -> _Range:
    """Return a range of a z + (b - a) max(0, z), for units of the slopes a and b."""
    left, jump = slopes[0][:, None, None], (slopes[1] - slopes[0])[:, None, None]
    lower = np.where(left >= 0.0, left * values.lower, left * values.upper)
    upper = np.where(left >= 0.0, left * values.upper, left * values.lower)
    lower = lower + np.where(jump >= 0.0, jump * positive.lower, jump * positive.upper)
    upper = upper + np.where(jump >= 0.0, jump * positive.upper, jump * positive.lower)
    of_values = np.maximum(np.abs(values.lower).sum(axis=2), np.abs(values.upper).sum(axis=2))
    of_positive = np.maximum(np.abs(positive.lower).sum(axis=2), np.abs(positive.upper).sum(axis=2))
    sizes = np.abs(left[:, :, 0]) * of_values + np.abs(jump[:, :, 0]) * of_positive
    plain = (slopes[0] == RELU[0]) & (slopes[1] == RELU[1])
    lower[plain], upper[plain] = positive.lower[plain], positive.upper[plain]
    return _shifted(lower, upper, 8 * (lower.shape[2] + 4) * UNIT * sizes)


def _maxima(
    sizes: NDArray[np.int64], values: _Range, found: _Range, least: FloatArray, most: FloatArray
) -> NDArray[np.int64]:
    """Put the ranges of max units into the first rows of their candidates, 0 into the others.

    The next layer has the same column for all rows of one unit. Returns how many units are open.
    """
    undecided = np.zeros(least.shape[1], np.int64)
    first = 0
    for size in sizes.tolist():
        rows = slice(first, first + size)
        if size > 1:
            low, high = least[rows], most[rows]
            best = low.argmax(axis=0)
            boxes = np.arange(best.size)
            others = high.copy()
            others[best, boxes] = -np.inf
            won = others.max(axis=0) <= low[best, boxes]
            lower = values.lower[first + best, boxes]
            upper = np.where(won[:, None], values.upper[first + best, boxes], 0.0)
            upper[:, -1] = np.where(won, upper[:, -1], high.max(axis=0))
            found.lower[rows], found.upper[rows] = 0.0, 0.0
            found.lower[first], found.upper[first] = lower, upper
            undecided += ~won
        first += size
    return undecided
