"""`compare_networks`: where and how far two networks differ, from the cells of their common refinement.

On a cell of it both are affine, so the largest difference is at a vertex: floats find the likely ones, and
rational arithmetic decides. The network with both as branches is made in `joint_networks`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from regions.analysis.boundaries.cut_networks import network_with_units
from regions.analysis.boundaries.vertex_bounds import output_margins
from regions.analysis.differences.joint_networks import JointNetwork, joint_network
from regions.complexes import Arithmetic, CellComplex, Completeness
from regions.domain import Domain
from regions.domain.intrinsic import lock_arrays
from regions.enumeration import enumerate_cells
from regions.enumeration.limits import Limits
from regions.errors import BudgetExceededError, InvalidDomainError, InvalidInputError, InvalidNetworkError
from regions.network.patterns import flat_units, pack, row_keys
from regions.network.relu_network import Network
from regions.rational import ExactNetwork, exact_cell
from regions.showing import Shown

__all__ = ["NetworkDifference", "compare_networks"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

LARGEST_DIMENSION = 8


@dataclass(frozen=True, eq=False)
class NetworkDifference(Shown):
    """What is between two networks on a domain.

    Attributes
    ----------
    a, b : Network
    domain : Domain
    largest : tuple of Fraction, for each output the largest |a - b|, exact
        Of a TRUNCATED result the largest on the cells that were found.
    signed : tuple of Fraction, a - b there
    exact_points : tuple of tuples of Fraction, a point for each where it is taken, intrinsic
    patterns_a, patterns_b : (n, bytes) uint8, packed patterns of the two on the cells of the refinement
    volumes : (n,) float64, of these cells, in input units
    class_volumes : {(class of a, class of b): volume}
        The class is the first largest output; of one output, 1 where it is positive.
    status : Completeness
    cells : CellComplex, of the two as one network that also decides their classes
    seconds : float

    Examples
    --------
    >>> from regions import Box, Network, compare_networks
    >>> absolute = Network.from_arrays([[[1.0], [-1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.0]])
    >>> positive = Network.from_arrays([[[1.0]], [[1.0]]], [[0.0], [0.0]])
    >>> found = compare_networks(absolute, positive, Box([-1.0], [3.0]))
    >>> found.largest, found.points.tolist(), found.n_cells, found.disagreement
    ((Fraction(1, 1),), [[-1.0]], 2, 0.25)
    """

    a: Network
    b: Network
    domain: Domain
    largest: tuple[Fraction, ...]
    signed: tuple[Fraction, ...]
    exact_points: tuple[tuple[Fraction, ...], ...]
    patterns_a: NDArray[np.uint8]
    patterns_b: NDArray[np.uint8]
    volumes: FloatArray
    class_volumes: dict[tuple[int, int], float]
    status: Completeness
    cells: CellComplex
    seconds: float

    def __post_init__(self) -> None:
        lock_arrays(tuple(vars(self).values()))

    def _headline(self) -> str:
        largest = max(self.largest, default=Fraction(0))
        return (
            f"at most {float(largest):.6g}, other classes on {self.disagreement:.3%}, "
            f"{self.n_cells} common cells, {self.status.value}"
        )

    @property
    def points(self) -> FloatArray:
        """The points (outputs, d) where the largest differences are taken, intrinsic, rounded."""
        return np.array([[float(x) for x in point] for point in self.exact_points])

    @property
    def n_cells(self) -> int:
        """Number of cells of the common refinement."""
        return len(self.volumes)

    @property
    def disagreement(self) -> float:
        """Share of the listed volume on which the classes differ."""
        total = sum(self.class_volumes.values())
        return (
            sum(volume for (i, j), volume in self.class_volumes.items() if i != j) / total if total else 0.0
        )

    @cached_property
    def _cells_of(self) -> tuple[set[bytes], set[bytes]]:
        return set(row_keys(self.patterns_a)), set(row_keys(self.patterns_b))

    @property
    def n_cells_a(self) -> int:
        """Number of cells of a alone."""
        return len(self._cells_of[0])

    @property
    def n_cells_b(self) -> int:
        """Number of cells of b alone."""
        return len(self._cells_of[1])

    @property
    def comparable(self) -> bool:
        """Whether the units of the two correspond, so that patterns can be compared."""
        return self.a.widths == self.b.widths

    def _by_pattern(self, what: str) -> tuple[set[bytes], set[bytes]]:
        if not self.comparable:
            raise InvalidInputError(
                f"{what} compares patterns, but the units differ: layers of {self.a.widths} and "
                f"{self.b.widths}"
            )
        return self._cells_of

    @property
    def kept(self) -> int:
        """Number of patterns that are cells of both.

        Raises
        ------
        InvalidInputError
            If the two have other numbers of units; `born`, `died` and `unmoved` likewise.
        """
        first, second = self._by_pattern("kept")
        return len(first & second)

    @property
    def died(self) -> int:
        """Number of patterns that are cells of a, and of b no more."""
        first, second = self._by_pattern("died")
        return len(first - second)

    @property
    def born(self) -> int:
        """Number of patterns that are cells of b, and of a not yet."""
        first, second = self._by_pattern("born")
        return len(second - first)

    @property
    def unmoved(self) -> float:
        """Share of the listed volume on which both have the same pattern."""
        self._by_pattern("unmoved")
        same = (self.patterns_a == self.patterns_b).all(axis=1)
        return float(self.volumes[same].sum() / self.volumes.sum())

    def fate(self) -> tuple[str, ...]:
        """Return for each cell of the refinement what happens to its pattern from a to b.

        "same": both have the same pattern there. "moved": another one of b that a has elsewhere. "born": one
        of b that a has nowhere.
        """
        first, _ = self._by_pattern("fate")
        same = (self.patterns_a == self.patterns_b).all(axis=1).tolist()
        return tuple(
            "same" if equal else "moved" if key in first else "born"
            for equal, key in zip(same, row_keys(self.patterns_b), strict=True)
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers, ready for JSON."""
        facts = {
            "status": self.status.value,
            "largest": [float(value) for value in self.largest],
            "largest_exact": [str(value) for value in self.largest],
            "signed": [float(value) for value in self.signed],
            "points": self.points.tolist(),
            "disagreement": self.disagreement,
            "class_volumes": [
                {"a": i, "b": j, "volume": volume} for (i, j), volume in sorted(self.class_volumes.items())
            ],
            "cells": self.n_cells,
            "cells_a": self.n_cells_a,
            "cells_b": self.n_cells_b,
            "seconds": self.seconds,
        }
        if self.comparable:
            facts |= {"kept": self.kept, "died": self.died, "born": self.born, "unmoved": self.unmoved}
        return facts


def compare_networks(
    a: Network,
    b: Network,
    domain: Domain,
    *,
    arithmetic: Arithmetic = "certified",
    workers: int | None = None,
    progress: Callable[[int, float], None] | None = None,
    **limits: Unpack[Limits],
) -> NetworkDifference:
    """Return how far two networks are apart on a domain: the largest difference, other classes, other cells.

    Parameters
    ----------
    a, b : Network, of the same numbers of inputs and outputs
    domain : Box, Segment, Slice or Polytope of dimension 1 to 8
    arithmetic, workers, progress, max_cells, max_seconds : as for `enumerate_cells`

    Returns
    -------
    NetworkDifference

    Raises
    ------
    InvalidNetworkError, InvalidInputError, InvalidDomainError
        If an argument cannot be used.
    BudgetExceededError
        If no cell was found before a limit or Ctrl-C ended the search.

    Notes
    -----
    Cost: that of listing the common refinement, which has at least as many cells as either network, and some
    milliseconds of rational arithmetic for each cell that may hold a largest difference.

    Examples
    --------
    >>> from regions import Box, Network
    >>> fine = Network.from_arrays([[[1.0, 0.25]], [[1.0]]], [[0.0], [0.0]])
    >>> coarse = Network.from_arrays([[[1.0, 0.0]], [[1.0]]], [[0.0], [0.0]])
    >>> found = compare_networks(fine, coarse, Box([-1.0, -1.0], [1.0, 1.0]))
    >>> found.largest[0], found.n_cells, found.kept, found.unmoved
    (Fraction(1, 4), 4, 2, 0.9375)
    """
    started = time.perf_counter()
    _check(a, b, domain)
    joint = joint_network(a, b)
    outputs = a.output_dim
    decided = network_with_units(joint.network, np.zeros(2 * outputs), outputs if outputs > 1 else None)
    cells = enumerate_cells(
        decided, domain, arithmetic=arithmetic, workers=workers, progress=progress, **limits
    )
    if not cells.n_cells:
        raise BudgetExceededError("no cell was found before the search ended; give it more time")
    patterns = cells.unpacked_patterns()
    found = _largest(joint, cells, patterns, outputs)
    before = patterns[:, : joint.network.n_units]
    _, first, of_cell = np.unique(pack(before), axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)
    place = np.empty(order.size, np.int64)
    place[order] = np.arange(order.size)
    chosen = before[first[order]]
    return NetworkDifference(
        a=a,
        b=b,
        domain=domain,
        largest=tuple(abs(value) for value, _ in found),
        signed=tuple(value for value, _ in found),
        exact_points=tuple(point for _, point in found),
        patterns_a=pack(chosen[:, joint.units[0]]),
        patterns_b=pack(chosen[:, joint.units[1]]),
        volumes=np.asarray(np.bincount(place[of_cell.ravel()], cells.volumes, order.size), np.float64),
        class_volumes=_class_volumes(patterns[:, patterns.shape[1] - 2 * outputs :], cells.volumes),
        status=cells.status,
        cells=cells,
        seconds=time.perf_counter() - started,
    )


def _check(a: Network, b: Network, domain: Domain) -> None:
    for network in (a, b):
        if not isinstance(network, Network):
            raise InvalidInputError(
                f"compare_networks takes two networks, not a {type(network).__name__}; make a Network with "
                "from_arrays, from_torch, from_onnx, from_sklearn or load_network"
            )
    if a.output_dim != b.output_dim:
        raise InvalidNetworkError(
            f"the networks have {a.output_dim} and {b.output_dim} outputs; both must have the same"
        )
    if isinstance(domain, Domain) and not (domain.is_bounded and domain.dimension <= LARGEST_DIMENSION):
        raise InvalidDomainError(
            f"a comparison takes a bounded domain of 1 to {LARGEST_DIMENSION} dimensions, not "
            f"{domain.describe()}; give a box or a slice"
        )


def _class_volumes(states: NDArray[np.bool_], volumes: FloatArray) -> dict[tuple[int, int], float]:
    """Return the volume of each pair of classes, from the states (n, 2 outputs) of the deciding units."""
    outputs = states.shape[1] // 2
    sides = [states[:, :outputs], states[:, outputs:]]
    first, second = (
        side[:, 0].astype(np.int64) if outputs == 1 else side.argmax(axis=1).astype(np.int64)
        for side in sides
    )
    found: dict[tuple[int, int], float] = {}
    for i, j in np.unique(np.stack([first, second], axis=1), axis=0).tolist():
        found[i, j] = float(volumes[(first == i) & (second == j)].sum())
    return found


def _largest(
    joint: JointNetwork, cells: CellComplex, patterns: NDArray[np.bool_], outputs: int
) -> list[tuple[Fraction, tuple[Fraction, ...]]]:
    """Return for each output the difference that is largest in size, and a point where it is taken."""
    above = _upper_bounds(joint.network, cells, outputs)
    exact = ExactNetwork(cells.network, cells.domain)
    hints = _units_around(cells)
    return [_exact_largest(exact, patterns, above[:, k], (k, outputs), hints) for k in range(outputs)]


def _upper_bounds(network: Network, cells: CellComplex, outputs: int) -> FloatArray:
    """Return a bound of the difference of each output on each cell, (n, outputs), from its float vertices."""
    margin = output_margins(network, cells.domain)
    slack = margin[:outputs] + margin[outputs:]
    found = np.zeros((cells.n_cells, outputs))
    for i in range(cells.n_cells):
        values = network.forward(cells.domain.to_input(cells.vertices(i)))
        found[i] = np.abs(values[:, :outputs] - values[:, outputs:]).max(axis=0)
    return found * (1.0 + 2.0**-50) + slack


def _units_around(cells: CellComplex) -> list[list[int]]:
    """Return the units on whose breakpoints the facets of each cell lie."""
    table = cells.facets
    around: list[list[int]] = [[] for _ in range(cells.n_cells)]
    rows = np.flatnonzero(table.layer >= 0)
    flat = flat_units(cells.network.unit_offsets, table.layer[rows], table.unit[rows]).tolist()
    for unit, a, b in zip(flat, table.cell_a[rows].tolist(), table.cell_b[rows].tolist(), strict=True):
        around[a].append(unit)
        if b >= 0:
            around[b].append(unit)
    return around


def _exact_largest(
    exact: ExactNetwork,
    patterns: NDArray[np.bool_],
    above: FloatArray,
    which: tuple[int, int],
    hints: list[list[int]],
) -> tuple[Fraction, tuple[Fraction, ...]]:
    """Return the largest difference of one output, from the cells that may hold it, the likeliest first."""
    k, outputs = which
    first = exact.network.n_units - 2 * outputs
    shift = exact.shifts[_last_units(exact.network)]
    best: tuple[Fraction, tuple[Fraction, ...]] | None = None
    for i in np.argsort(-above, kind="stable").tolist():
        if best is not None and Fraction(float(above[i])) <= abs(best[0]):
            break
        pattern = patterns[i]
        rows = (exact.plane_row(pattern, first + k), exact.plane_row(pattern, first + outputs + k))
        row = [int(x - y) for x, y in zip(*rows, strict=True)]
        if best is not None and not any(row[:-1]) and Fraction(abs(row[-1]), 1 << shift) <= abs(best[0]):
            continue
        for vertex in exact_cell(exact, pattern, hints[i]).polytope.vertices:
            height = sum(x * y for x, y in zip(row, vertex, strict=True))
            value = Fraction(height, int(vertex[-1]) << shift)
            if best is None or abs(value) > abs(best[0]):
                best = value, tuple(Fraction(int(x), int(vertex[-1])) for x in vertex[:-1])
    assert best is not None  # a domain has cells
    return best


def _last_units(network: Network) -> int:
    """Return the last affine layer that has units."""
    return max(layer for layer, relu in enumerate(network.relu) if relu)
