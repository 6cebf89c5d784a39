"""Bounds of a network's outputs on a polytope that is known by its vertices.

Every value is kept between two affine functions, which are known by what they are at the vertices; a unit
that bends on the polytope is put between a chord and a tangent. Rounding is covered by a margin that holds on
the whole domain.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from regions.domain import Domain
from regions.network.relu_network import Network
from regions.network.slopes import RELU

__all__ = ["VertexBounds", "output_margins"]

FloatArray = NDArray[np.float64]

_PLACES = 2.0**-26  # of the largest coordinate: above what the engine allows a vertex to be off
_EPS = 2.0**-52


def output_margins(network: Network, domain: Domain) -> FloatArray:
    """Return how far outputs at computed vertices may be from those at the true ones, (outputs,).

    Rounding of the forward pass, in any order of its sums, and the places of vertices, by absolute values of
    all weights.

    Examples
    --------
    >>> from regions import Box
    >>> margins = output_margins(Network.from_arrays([[[1.0], [2.0]]], [[0.0, 0.0]]), Box([-1.0], [1.0]))
    >>> bool((margins > 0.0).all()), bool((margins < 1e-7).all())
    (True, True)
    """
    extent = domain.extent()
    basis = np.abs(domain.basis)
    size = np.abs(domain.origin) + basis @ extent
    moved = basis @ np.full(extent.size, _PLACES * float(extent.max()))
    steps = extent.size + 2
    for weight, bias, pair in zip(network.operators, network.biases, network.slopes, strict=True):
        size, moved = abs(weight) @ size + np.abs(bias), abs(weight) @ moved
        steps += weight.shape[1] + 3
        if pair is not None:
            steepest = np.maximum(1.0, np.abs(pair).max(axis=0))
            size, moved = size * steepest, moved * steepest
    return np.asarray(1.01 * (moved + _EPS * steps * size) + 2.0**-1000)


class VertexBounds:
    """Tells on which polytopes a decision cannot change.

    Parameters
    ----------
    network : Network, without max units
    domain : Domain, which the polytopes are in
    level : float, of one output; None: the largest of several outputs decides

    Examples
    --------
    >>> from regions import Box
    >>> bend = Network.from_arrays([[[1.0], [-1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.0]])
    >>> bounds = VertexBounds(bend, Box([-4.0], [4.0]), 1.0)
    >>> [bounds.decided(np.array(ends)) for ends in ([[-0.5], [0.5]], [[0.5], [2.0]], [[1.5], [4.0]])]
    [True, False, True]
    """

    def __init__(self, network: Network, domain: Domain, level: float | None) -> None:
        self.domain, self.level = domain, level
        self._layers = list(zip(network.operators, network.biases, network.relu, network.slopes, strict=True))
        # a relaxation may double what it bounds at each layer; so much more than rounding costs nothing
        factor = 4.0 ** len(self._layers)
        margins = output_margins(network, domain)
        self._margin = factor * (float(margins[0]) if level is not None else 2.0 * float(margins.max()))

    def decided(self, points: FloatArray) -> bool:
        """Return whether the decision is surely one and the same on a polytope of vertices (nv, d)."""
        low, high = self._outputs(self.domain.to_input(points))
        if self.level is not None:
            return bool(low.min() - self.level > self._margin or high.max() - self.level < -self._margin)
        winner = int((low + high).sum(axis=0).argmax())
        lead = low[:, [winner]] - np.delete(high, winner, axis=1)
        return bool(lead.min() > self._margin)

    def _outputs(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return affine bounds of what decides, from below and above, at each vertex: (nv, outputs)."""
        low, high = points, points
        for weight, bias, relu, pair in self._layers:
            if low is high:
                low = high = low @ weight.T + bias
            else:
                positive, negative = np.maximum(weight, 0.0), np.minimum(weight, 0.0)
                low, high = (
                    low @ positive.T + high @ negative.T + bias,
                    high @ positive.T + low @ negative.T + bias,
                )
            if relu:
                low, high = _relaxed(low, high, pair)
        return low, high


def _relaxed(low: FloatArray, high: FloatArray, pair: FloatArray | None) -> tuple[FloatArray, FloatArray]:
    """Return affine bounds of what units put out, from those of what they are given."""
    left, right = np.array([RELU]).T if pair is None else pair
    least, most = low.min(axis=0), high.max(axis=0)
    bends = (least < 0.0) & (most > 0.0) & (left != right)
    slope = np.where(most <= 0.0, left, right) + np.zeros_like(least)
    with np.errstate(divide="ignore", invalid="ignore"):
        chord = np.where(bends, (right * most - left * least) / (most - least), slope)
    # at the lower end; a chord of a convex unit lies above, of a concave one below
    offset = np.where(bends, left * least - chord * least, 0.0)
    tangent = np.where(bends, np.where(most > -least, right, left), slope)
    convex = np.broadcast_to(right >= left, least.shape)
    upper_slope, upper_offset = np.where(convex, chord, tangent), np.where(convex, offset, 0.0)
    lower_slope, lower_offset = np.where(convex, tangent, chord), np.where(convex, 0.0, offset)
    below = np.where(lower_slope >= 0.0, low, high) * lower_slope + lower_offset
    above = np.where(upper_slope >= 0.0, high, low) * upper_slope + upper_offset
    return below, above
