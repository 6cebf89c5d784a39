"""The largest and the least value of an output over a whole domain, exact, with points that attain them.

A value that is attained is a threshold: the cells in which the output is larger are searched, and the best of
their vertices is the next one, until no cell is left. Ranges on one cell are left to `one_cell`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from regions.analysis.properties.box_branching import undecided_boxes
from regions.analysis.properties.exact_forward import exact_outputs, to_inputs
from regions.analysis.properties.linear_relaxations import OutputBounds
from regions.analysis.properties.property_spec import Case, output_polytope
from regions.analysis.properties.violating_pieces import likely_facets
from regions.domain import Domain
from regions.enumeration.threads import Progress
from regions.errors import CertificateError, InvalidDomainError
from regions.network.patterns import distinct_rows, pack, unpack
from regions.network.relu_network import Network
from regions.rational import ExactNetwork, exact_cell, to_fraction
from regions.rational.integer_rows import dot
from regions.showing import Shown

FloatArray = NDArray[np.float64]
Point = tuple[Fraction, ...]

SAMPLES = 4096
SEED = 0  # of the samples that the search begins with; the result does not depend on them
TRIED = 8  # cells whose vertices are looked at before the next threshold
BOXES = 48  # that are bounded before each search


@dataclass(frozen=True, eq=False)
class OutputRange(Shown):
    """The range of an output, or of a combination of outputs, over a domain, for the stored weights.

    Attributes
    ----------
    low, high : Fraction, values that are attained
    low_point, high_point : n0 Fractions, inputs at which they are
    low_bound, high_bound : Fraction, proven: no value is beyond; `low` and `high` where these are exact
    cells : int, how many cells were looked at
    seconds : float
    stopped_by : str, "" unless something ended the search early
    """

    low: Fraction
    high: Fraction
    low_point: Point
    high_point: Point
    low_bound: Fraction
    high_bound: Fraction
    cells: int
    seconds: float
    stopped_by: str = ""

    @property
    def exact(self) -> bool:
        """Whether `low` and `high` are the least and the largest value."""
        return self.low == self.low_bound and self.high == self.high_bound


def network_range(
    network: Network,
    domain: Domain,
    weights: Sequence[Fraction],
    *,
    max_seconds: float | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> OutputRange:
    """Return the range of a combination of outputs over a domain; see `output_range`."""
    if domain.input_dim != network.input_dim or not domain.is_bounded:
        raise InvalidDomainError(
            f"the range of an output needs a bounded domain in {network.input_dim} input dimensions, "
            f"not {domain.describe()}"
        )
    row = np.array([float(w) for w in weights])
    begin = time.perf_counter()
    end = math.inf if max_seconds is None else begin + max_seconds
    climb = _Climb(network, domain, end, workers, progress)
    high, high_point, high_bound = climb.largest(row)
    low, low_point, low_bound = climb.largest(-row)
    return OutputRange(
        low=-low,
        high=high,
        low_point=low_point,
        high_point=high_point,
        low_bound=-low_bound,
        high_bound=high_bound,
        cells=climb.cells,
        seconds=time.perf_counter() - begin,
        stopped_by=climb.stopped_by,
    )


class _Climb:
    """Searches for the largest value of one combination of outputs after the other."""

    def __init__(
        self,
        network: Network,
        domain: Domain,
        end: float,
        workers: int | None,
        progress: Progress | None,
    ) -> None:
        self.network, self.domain, self.end = network, domain, end
        self.workers, self.progress = workers, progress
        self.exact = ExactNetwork(network, domain)
        self.cells, self.stopped_by = 0, ""

    def largest(self, row: FloatArray) -> tuple[Fraction, Point, Fraction]:
        """Return the largest value of row . y, where it is attained, and a bound from above."""
        best, point = self._sampled(row)
        first_only = True
        while True:
            if time.perf_counter() >= self.end:
                self.stopped_by = self.stopped_by or "max_seconds"
            if self.stopped_by:
                return best, point, max(best, self._bound(row))
            patterns = self._above(row, best, first_only)
            better = best
            for tried, pattern in enumerate(patterns):
                value, at = self._best_vertex(row, pattern)
                if value > better:
                    better, point = value, at
                if tried >= TRIED and better > best:
                    break
            if better > best:
                best, first_only = better, True
            elif first_only and len(patterns):
                first_only = False  # near misses only: all cells are looked at
            elif not self.stopped_by:
                return best, point, best

    def _sampled(self, row: FloatArray) -> tuple[Fraction, Point]:
        """Return the exact value at the best of some random points, or at a vertex of its cell."""
        rng = np.random.default_rng(SEED)
        t = np.vstack([self.domain.interior_point(), self.domain.vertices, self.domain.sample(SAMPLES, rng)])
        x = self.domain.to_input(t)
        k = int(np.argmax(self.network.forward(x) @ row))
        try:
            return self._best_vertex(row, self.network.activation_pattern(x[k]))
        except CertificateError:  # a point on a border, whose pattern is that of no cell
            inside = [Fraction(v) for v in self.domain.interior_point().tolist()]
            inputs = to_inputs(self.domain, inside)
            return _combined(row, exact_outputs(self.network, inputs)), inputs

    def _best_vertex(self, row: FloatArray, pattern: NDArray[np.bool_]) -> tuple[Fraction, Point]:
        """Return the largest value on a cell, and the inputs of a vertex that has it."""
        key = pattern.tobytes()
        matrix, offsets = self.exact.output_map(key)
        factors = [Fraction(w) for w in row.tolist()]
        table = matrix.tolist()
        used = [(f, table[k], offsets[k]) for k, f in enumerate(factors) if f]
        slope = [
            sum((f * to_fraction(a[j]) for f, a, _ in used), Fraction(0)) for j in range(self.exact.dimension)
        ]
        start = sum((f * to_fraction(c) for f, _, c in used), Fraction(0))
        scale = math.lcm(start.denominator, *(x.denominator for x in slope))
        whole = [int(x * scale) for x in (*slope, start)]
        cell = exact_cell(self.exact, key, likely_facets(self.exact, pattern))
        best = cell.polytope.vertices[0]
        for vertex in cell.polytope.vertices[1:]:
            if dot(whole, vertex) * best[-1] > dot(whole, best) * vertex[-1]:
                best = vertex
        t = [Fraction(x, best[-1]) for x in best[:-1]]
        return Fraction(dot(whole, best), best[-1] * scale), to_inputs(self.domain, t)

    def _above(self, row: FloatArray, best: Fraction, first_only: bool) -> NDArray[np.bool_]:
        """Return patterns of cells with values above a threshold, or above a float just below it."""
        from regions.enumeration.vertices.pattern_search import list_patterns  # slow to import

        floor = float(best)
        if Fraction(floor) > best:
            floor = math.nextafter(floor, -math.inf)
        case = Case(self.domain, (output_polytope(-row[None, :], [-floor]),))
        near = Network(
            (*self.network.operators, row[None, :]),  # type: ignore[arg-type]
            (*self.network.biases, np.array([-floor])),
            (*self.network.relu, True),
            self.network.name,
            (*self.network.slopes, None),
            (*self.network.maxima, None),
        )
        n_units = self.network.n_units
        found = [np.zeros((0, n_units), np.bool_)]
        for part in undecided_boxes(self.network, case, BOXES).domains:
            left = self.end - time.perf_counter()
            if left <= 0.0:
                self.stopped_by = self.stopped_by or "max_seconds"
                break
            packed, cells, stopped_by = list_patterns(
                near,
                part,
                lambda packed: unpack(packed, n_units + 1)[:, n_units],
                first_only=first_only,
                max_seconds=None if left == math.inf else left,
                workers=self.workers,
                progress=self.progress,
            )
            self.cells += cells
            if len(packed):
                found.append(unpack(packed, n_units + 1)[:, :n_units])
            if stopped_by == "enough":
                break
            self.stopped_by = self.stopped_by or stopped_by
        return unpack(distinct_rows(pack(np.concatenate(found))), n_units)

    def _bound(self, row: FloatArray) -> Fraction:
        """Return a proven bound from above: that of affine relaxations over a box that holds the domain."""
        low, high = self.domain.bounds()
        room = 2.0**-40 * (np.abs(low) + np.abs(high) + (high - low))
        bounds = OutputBounds(self.network, self.domain, row[None, :], np.zeros(1))
        return Fraction(float(bounds((low - room)[None], (high + room)[None]).upper[0, 0]))


def _combined(row: FloatArray, outputs: Sequence[Fraction]) -> Fraction:
    return sum((Fraction(w) * y for w, y in zip(row.tolist(), outputs, strict=True)), Fraction(0))
