"""Boxes of a domain that bounds show to be safe, found by halving; what is left for the list of cells.

A box is left whole where halving it has shown little to be safe: a cut makes two of each cell that it meets.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from math import prod

import numpy as np
from numpy.typing import NDArray

from regions.analysis.properties.linear_relaxations import Bounds, OutputBounds
from regions.analysis.properties.property_spec import Case
from regions.domain import Domain
from regions.network.relu_network import Network

FloatArray = NDArray[np.float64]

MOST_BOXES = 128  # bounded in all; a box costs as much as some ten to a hundred cells
BATCH = 32
WORTH = 0.75  # the part of a box that must be safe for its halves to be taken instead of it


@dataclass(frozen=True)
class Remainder:
    """What bounds leave undecided.

    Attributes
    ----------
    domains : tuple of Domain, which cover all points of the domain that may violate the property
    safe_volume : Fraction, intrinsic volume that is proven safe, outside of these
    boxes : int, how many boxes were bounded
    """

    domains: tuple[Domain, ...]
    safe_volume: Fraction
    boxes: int


@dataclass
class _Node:
    low: FloatArray
    high: FloatArray
    safe: bool = False
    weight: FloatArray = field(default_factory=lambda: np.zeros(0))
    halves: tuple[_Node, ...] = ()

    @property
    def volume(self) -> float:
        return float(np.prod(self.high - self.low))

    def safe_part(self) -> float:
        """Return how much of the volume is safe."""
        if self.safe or not self.halves:
            return self.volume if self.safe else 0.0
        return sum(half.safe_part() for half in self.halves)

    def left(self) -> list[_Node]:
        """Return the boxes that are left, as large as is sensible."""
        if self.safe:
            return []
        if self.halves and self.safe_part() >= WORTH * self.volume:
            return [node for half in self.halves for node in half.left()]
        return [self]


def undecided_boxes(network: Network, case: Case, most_boxes: int = MOST_BOXES) -> Remainder:
    """Return the boxes of a case's domain in which bounds do not exclude unsafe outputs.

    Domains that are no boxes are kept whole, or shown to be safe as a whole.

    Parameters
    ----------
    network : Network
    case : Case
    most_boxes : int, how many boxes may be bounded; 0 for none

    Examples
    --------
    >>> from regions import Box
    >>> from regions.analysis.properties.property_spec import Property
    >>> absolute = Network.from_arrays([[[1.0], [-1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.0]])
    >>> rare = Property([(Box([-1.0], [1.0]), [([[-1.0]], [-0.9375])])]).cases[0]  # |x| >= 15/16
    >>> left = undecided_boxes(absolute, rare)
    >>> [box.describe() for box in left.domains], float(left.safe_volume)
    (['Box [-1, -0.75]', 'Box [0.75, 1]'], 1.5)
    """
    domain = case.domain
    if most_boxes < 1:
        return Remainder((domain,), Fraction(0), 0)
    C = np.concatenate([A for A, _ in case.unsafe])
    c = np.concatenate([b for _, b in case.unsafe])
    ends = np.cumsum([len(b) for _, b in case.unsafe]).tolist()
    bounds = OutputBounds(network, domain, C, c)
    whole = _Node(*_outer_box(domain))
    divisible = domain.sub_box(*domain.bounds()) is not None
    waiting, boxes = [whole], 0
    while waiting and boxes < most_boxes:
        waiting.sort(key=lambda node: -node.volume)
        batch, waiting = waiting[:BATCH], waiting[BATCH:]
        found = bounds(np.array([node.low for node in batch]), np.array([node.high for node in batch]))
        boxes += len(batch)
        for node, safe, weight in zip(batch, _safe(found, ends), found.weight, strict=True):
            node.safe, node.weight = bool(safe), weight
            if not safe and divisible:
                node.halves = _halves(node)
                waiting += node.halves
        if boxes > most_boxes // 4 and whole.safe_part() == 0.0:
            break
    left = whole.left()
    if len(left) == 1 and left[0] is whole:
        return Remainder((domain,), Fraction(0), boxes)
    if not divisible:
        return Remainder((), Fraction(0), boxes)
    taken = sum((_exact_volume(node) for node in left), Fraction(0))
    parts = [domain.sub_box(node.low, node.high) for node in left]
    return Remainder(tuple(part for part in parts if part is not None), _exact_volume(whole) - taken, boxes)


def _safe(found: Bounds, ends: list[int]) -> NDArray[np.bool_]:
    """Say which boxes miss all sets of unsafe outputs: of each set, one halfspace."""
    beyond = found.lower > 0.0
    parts = np.split(beyond, ends[:-1], axis=1)
    return np.logical_and.reduce([part.any(axis=1) for part in parts])


def _outer_box(domain: Domain) -> tuple[FloatArray, FloatArray]:
    """Return a box that holds the domain, which is the domain where that is a box."""
    low, high = domain.bounds()
    if not domain.is_axis_parallel:
        room = 2.0**-40 * (np.abs(low) + np.abs(high) + (high - low))  # vertices are rounded once
        low, high = low - room, high + room
    return np.array(low), np.array(high)


def _halves(node: _Node) -> tuple[_Node, ...]:
    """Halve a box along the coordinate that most open units depend on."""
    wide = node.high > node.low
    middles = node.low + (node.high - node.low) / 2
    able = wide & (middles > node.low) & (middles < node.high)
    if not able.any():
        return ()
    weight = node.weight if (node.weight[able] > 0.0).any() else node.high - node.low
    axis = int(np.argmax(np.where(able, weight, -1.0)))
    high, low = node.high.copy(), node.low.copy()
    high[axis] = low[axis] = middles[axis]
    return _Node(node.low, high), _Node(low, node.high)


def _exact_volume(node: _Node) -> Fraction:
    return prod(
        (Fraction(b) - Fraction(a) for a, b in zip(node.low.tolist(), node.high.tolist(), strict=True)),
        start=Fraction(1),
    )
