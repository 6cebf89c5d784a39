"""Boxes of a domain that bounds show to be safe, found by halving; what is left for the list of cells.

Boxes are also cut down to where their outputs may be unsafe. A box is left whole where halving it has shown
little to be safe: a cut makes two of each cell that it meets.
"""

from __future__ import annotations

import heapq
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import count
from math import prod

import numpy as np
from numpy.typing import NDArray

from regions.analysis.properties.box_contraction import Contracted, contracted, weighted_sums
from regions.analysis.properties.linear_relaxations import Bounds, OutputBounds
from regions.analysis.properties.property_spec import Case
from regions.domain import Domain
from regions.enumeration.limits import Stop
from regions.network.relu_network import Network

FloatArray = NDArray[np.float64]
Examine = Callable[[FloatArray], bool]

MOST_BOXES = 512  # bounded in all where cells are listed anyway
BATCH, CHUNK = 128, 32  # boxes that are bounded at a time, and by one thread
WORTH = 0.75  # the part of a box that must be safe for its halves to be taken instead of it
FEW_UNITS = 2  # open units with which a box is left for the list of cells, but for the whole domain


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
class BoxNode:
    """A box in the tree of halves.

    Attributes
    ----------
    low, high : (d,) float64, cut down where bounds allow
    safe : bool, whether it is proven to be safe
    """

    low: FloatArray
    high: FloatArray
    parent: BoxNode | None = None
    safe: bool = False
    halves: tuple[BoxNode, ...] = ()
    whole: float = field(init=False)  # its volume before it was cut down
    score: float = -np.inf  # the least value that bounds leave possible, of the box that it is half of

    def __post_init__(self) -> None:
        self.whole = self.volume

    @property
    def volume(self) -> float:
        """The volume of what it is now."""
        return float(np.prod(self.high - self.low))

    def settled(self) -> bool:
        """Tell whether it or a box around it is safe."""
        node: BoxNode | None = self
        while node is not None:
            if node.safe:
                return True
            node = node.parent
        return False

    def open_volume(self) -> float:
        """Return how much of it is not known to be safe."""
        if self.safe:
            return 0.0
        return sum(half.open_volume() for half in self.halves) if self.halves else self.volume

    def left(self) -> list[BoxNode]:
        """Return the boxes that are left, as large as is sensible."""
        if self.safe:
            return []
        if self.halves and self.open_volume() <= (1.0 - WORTH) * self.volume:
            return [node for half in self.halves for node in half.left()]
        return [self]


class BoxBranching:
    """The tree of halves of a domain's box, grown where a case may be violated most.

    Parameters
    ----------
    network : Network
    case : Case
    workers : int, number of threads; default one per core
    examine : function of intrinsic points (n, d), looked at as possible counterexamples; True ends the growth

    Attributes
    ----------
    root : BoxNode
    boxes : int, how many boxes were bounded
    """

    def __init__(
        self, network: Network, case: Case, workers: int | None = None, examine: Examine | None = None
    ) -> None:
        C = np.concatenate([A for A, _ in case.unsafe])
        c = np.concatenate([b for _, b in case.unsafe])
        self._sets = np.split(np.arange(len(c)), np.cumsum([len(b) for _, b in case.unsafe])[:-1])
        self._bounds = OutputBounds(network, case.domain, C, c)
        self._domain, self._examine = case.domain, examine
        self._workers = workers or os.cpu_count() or 1
        self.divisible = case.domain.sub_box(*case.domain.bounds()) is not None
        self.root = BoxNode(*_outer_box(case.domain))
        self._numbers = count()
        self._waiting = [(0.0, next(self._numbers), self.root)]
        self.boxes = 0

    @property
    def grown(self) -> bool:
        """Whether nothing is left to halve."""
        return not self._waiting

    def grow(self, boxes: int, stop: Stop | None = None, show: Callable[[float], None] | None = None) -> bool:
        """Bound so many boxes more, unless something ends it; True if `examine` has ended it.

        `show` is called with the part of the volume that is decided.
        """
        last = self.boxes + boxes
        with ThreadPoolExecutor(self._workers) as pool:
            while self._waiting and self.boxes < last and not (stop is not None and stop.is_set()):
                batch: list[BoxNode] = []
                while self._waiting and len(batch) < BATCH:
                    node = heapq.heappop(self._waiting)[2]
                    if not node.settled():
                        batch.append(node)
                chunks = [batch[k : k + CHUNK] for k in range(0, len(batch), CHUNK)]
                points = [point for found in pool.map(self._bound, chunks) for point in found]
                self.boxes += len(batch)
                if show is not None:
                    show(1.0 - self.root.open_volume() / self.root.whole)
                for node in batch:
                    if not node.safe and node.halves:
                        for half in node.halves:
                            heapq.heappush(self._waiting, (half.score, next(self._numbers), half))
                if self._examine is not None and points and self._examine(np.array(points)):
                    return True
        return False

    def sample(self, n: int, rng: np.random.Generator) -> FloatArray:
        """Return random points (n, d) of the boxes that are not decided yet, as many of each box."""
        nodes = [self._waiting[k][2] for k in rng.integers(len(self._waiting), size=n).tolist()]
        low, high = np.array([node.low for node in nodes]), np.array([node.high for node in nodes])
        return rng.uniform(low, high)

    def settle(self, node: BoxNode) -> None:
        """Take a box for safe, since its cells are."""
        node.safe, node.halves = True, ()

    def left(self) -> list[tuple[BoxNode, Domain]]:
        """Return the boxes that are left, each with the part of the domain in it."""
        if not self.divisible:
            return [(self.root, self._domain)] if self.root.open_volume() > 0.0 else []
        found = []
        for node in self.root.left():
            whole = node is self.root and node.volume == node.whole
            part = self._domain if whole else self._domain.sub_box(*_thick(node, *self._domain.bounds()))
            assert part is not None  # as the domain is a box
            found.append((node, part))
        return found

    def _bound(self, nodes: list[BoxNode]) -> list[FloatArray]:
        """Bound boxes, cut them down and halve them; return points that may be counterexamples."""
        low, high = np.array([node.low for node in nodes]), np.array([node.high for node in nodes])
        bounds = self._bounds(low, high)
        parts, sums = [], []
        for rows in self._sets:
            slopes, constant = bounds.slopes[:, rows], bounds.constant[:, rows]
            total, offset = weighted_sums(low, high, slopes, constant)
            sides, ends = self._sides(len(nodes))  # first, so that the others are of what is inside
            slopes = np.concatenate([sides, slopes, total[:, None]], axis=1)
            constant = np.concatenate([ends, constant, offset[:, None]], axis=1)
            part = contracted(low, high, slopes, constant)
            parts.append(part._replace(empty=part.empty | (bounds.lower[:, rows] > 0.0).any(axis=1)))
            sums.append((total, offset))
        return _cut_and_halve(nodes, bounds, parts, sums, FEW_UNITS if self.divisible else -1)

    def _sides(self, boxes: int) -> tuple[FloatArray, FloatArray]:
        """Return A t - b of a domain that is no box, as functions of each of some boxes."""
        A, b = self._domain.halfspaces
        if self.divisible:
            A, b = A[:0], b[:0]
        return np.broadcast_to(A, (boxes, *A.shape)), np.broadcast_to(-b, (boxes, len(b)))


def undecided_boxes(
    network: Network, case: Case, most_boxes: int = MOST_BOXES, workers: int | None = None
) -> Remainder:
    """Return the boxes of a case's domain in which bounds do not exclude unsafe outputs.

    Domains that are no boxes are kept whole, or shown to be safe as a whole.

    Parameters
    ----------
    network : Network
    case : Case
    most_boxes : int, how many boxes may be bounded, about; 0 for none
    workers : int, number of threads; default one per core

    Examples
    --------
    >>> from regions import Box
    >>> from regions.analysis.properties.property_spec import Property
    >>> absolute = Network.from_arrays([[[1.0], [-1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.0]])
    >>> rare = Property([(Box([-1.0], [1.0]), [([[-1.0]], [-0.9375])])]).cases[0]  # |x| >= 15/16
    >>> left = undecided_boxes(absolute, rare)
    >>> [box.describe() for box in left.domains], round(float(left.safe_volume), 9)
    (['Box [-1, -0.9375]', 'Box [0.9375, 1]'], 1.875)
    """
    domain = case.domain
    if most_boxes < 1:
        return Remainder((domain,), Fraction(0), 0)
    branching = BoxBranching(network, case, workers)
    branching.grow(max(1, most_boxes // 4))
    if branching.root.open_volume() < branching.root.whole:  # else nothing was safe
        branching.grow(most_boxes - branching.boxes)
    parts = tuple(part for _, part in branching.left())
    if parts == (domain,) or not branching.divisible:
        return Remainder(parts, Fraction(0), branching.boxes)
    taken = sum((exact_volume(*part.bounds()) for part in parts), Fraction(0))
    return Remainder(parts, exact_volume(*domain.bounds()) - taken, branching.boxes)


def _outer_box(domain: Domain) -> tuple[FloatArray, FloatArray]:
    """Return a box that holds the domain, which is the domain where that is a box."""
    low, high = domain.bounds()
    if not domain.is_axis_parallel:
        room = 2.0**-40 * (np.abs(low) + np.abs(high) + (high - low))  # vertices are rounded once
        low, high = low - room, high + room
    return np.array(low), np.array(high)


def _cut_and_halve(
    nodes: list[BoxNode],
    bounds: Bounds,
    parts: list[Contracted],
    sums: list[tuple[FloatArray, FloatArray]],
    few_units: int,
) -> list[FloatArray]:
    """Cut boxes down to the parts that are left for any set of unsafe outputs, and halve them.

    Returns points where the sums of functions below are least, and middles of boxes.
    """
    empty = np.array([part.empty for part in parts])
    low = np.min([np.where(one.empty[:, None], np.inf, one.low) for one in parts], axis=0)
    high = np.max([np.where(one.empty[:, None], -np.inf, one.high) for one in parts], axis=0)
    points: list[FloatArray] = []
    for k, node in enumerate(nodes):
        if empty[:, k].all():
            node.safe = True
            continue
        node.low, node.high = low[k], high[k]
        ends = [np.where(slopes[k] > 0.0, low[k], high[k]) for slopes, _ in sums]
        values = [
            np.inf if empty[j, k] else float(offset[k] + slopes[k] @ ends[j])
            for j, (slopes, offset) in enumerate(sums)
        ]
        worst = int(np.argmin(values))
        points += [ends[worst], low[k] + (high[k] - low[k]) / 2]
        if node.parent is None or bounds.open_units[k] > few_units:
            node.halves = _halves(node, sums[worst][0][k], bounds.weight[k], values[worst])
    return points


def _halves(node: BoxNode, slopes: FloatArray, weight: FloatArray, score: float) -> tuple[BoxNode, ...]:
    """Halve a box along the coordinate that the bound and open units depend on most, half each."""
    width = node.high - node.low
    middles = node.low + width / 2
    able = (middles > node.low) & (middles < node.high)
    if not able.any():
        return ()
    shares = np.zeros_like(width)
    for kind in (np.abs(slopes) * width, weight):
        total = float(kind[able].sum())
        if 0.0 < total < np.inf:
            shares += kind / total
    if not (shares[able] > 0.0).any():
        shares = width
    axis = int(np.argmax(np.where(able, shares, -1.0)))
    high, low = node.high.copy(), node.low.copy()
    high[axis] = low[axis] = middles[axis]
    return (
        BoxNode(node.low, high, parent=node, score=score),
        BoxNode(low, node.high, parent=node, score=score),
    )


def _thick(node: BoxNode, low: FloatArray, high: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the ends of a box of some width in every coordinate, inside of the ends of all."""
    room = np.where(node.high - node.low > 2.0**-30 * (high - low), 0.0, 2.0**-30 * (high - low))
    return np.maximum(low, node.low - room), np.minimum(high, node.high + room)


def exact_volume(low: FloatArray, high: FloatArray) -> Fraction:
    """Return the volume of a box."""
    ends = zip(low.tolist(), high.tolist(), strict=True)
    return prod((Fraction(b) - Fraction(a) for a, b in ends), start=Fraction(1))
