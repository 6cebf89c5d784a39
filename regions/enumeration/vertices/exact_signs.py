"""Exact answers for a search: signs of units at vertices, and positions, that floats cannot vouch for.

It knows the memory of a search and `rational`; what is asked, and when, `kernels` decide.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from flint import fmpz_mat
from numpy.typing import NDArray

from regions.domain import Domain
from regions.enumeration.vertices.error_norms import ErrorNorms, ErrorsOnPath, radius_of
from regions.errors import SolverError
from regions.kernels.memory.bits import SMALLEST
from regions.kernels.memory.layouts import SearchMemory
from regions.network.patterns import unpack
from regions.network.relu_network import Network
from regions.rational import ExactNetwork, sign_at
from regions.rational.integer_rows import Row
from regions.rational.row_enclosures import EnclosedRow, enclosed_point, enclosed_sign

# of a position, as fractions of the domain's largest coordinate, for rows in floats and in fixed point
ENCLOSED_ERRORS = (2.0**-16, 2.0**-45, 2.0**-45)


class ExactSigns:
    """Answers the questions of one search, from the stored weights and the domain.

    A vertex is the common point of the hyperplanes that the search has it on; units before the layer in
    hand have the states of the node's pattern. One thread uses it at a time.

    Parameters
    ----------
    network, domain : as searched
    word_starts : (layers + 1,) first pattern word of each layer
    unit_starts : (layers + 1,) flat number of each layer's first unit
    norms : ErrorNorms, where exact answers take long
    """

    def __init__(
        self,
        network: Network,
        domain: Domain,
        word_starts: NDArray[np.int64],
        unit_starts: NDArray[np.int64],
        norms: ErrorNorms | None = None,
    ) -> None:
        self._norms = norms
        self._network, self._domain = network, domain
        self._word_starts, self._unit_starts = word_starts, unit_starts

    @cached_property
    def _exact(self) -> ExactNetwork:
        return ExactNetwork(self._network, self._domain)

    def answer(self, memory: SearchMemory, planar: bool) -> tuple[int, int]:
        """Answer what the step under way asks; returns how many signs and how many positions.

        Raises
        ------
        SolverError
            If a vertex's hyperplanes do not meet in one point: the search's books are wrong.
        """
        first, last = int(memory.answered), int(memory.asked)
        layer = int(memory.ask_layer)
        key = self._pattern(memory.patterns[int(memory.n_nodes) - 1], layer)
        labels: dict[int, list[int]] = {}
        points: dict[int, Row] = {}
        rows: dict[int, Row] = {}
        signs = 0
        path = self._norms.path(memory) if self._norms is not None and self._exact.encloses else None
        for k, (vertex, unit) in enumerate(memory.questions[first:last].tolist(), first):
            signs += unit >= 0
            if vertex not in labels:
                labels[vertex] = self._labels(memory, vertex, planar)
            plane = None if unit < 0 else self._plane(memory, layer, unit)
            if plane in rows and not any(rows[plane]):  # as it was at another vertex
                memory.answers[k] = 0
                continue
            if path is not None and self._normed(memory, k, path, plane, labels[vertex]):
                continue
            if self._enclosed(memory, k, key, plane, labels[vertex]):
                continue
            if plane is not None:
                if plane not in rows:
                    rows[plane] = self._exact.plane_row(key, plane)
                if not any(rows[plane]):  # identically 0, wherever the vertex is
                    memory.answers[k] = 0
                    continue
            if vertex not in points:
                points[vertex] = self._vertex(key, labels[vertex])
            if plane is None:
                memory.answer_points[k] = _rounded(points[vertex])
            else:
                memory.answers[k] = sign_at(rows[plane], points[vertex])
        memory.answered = last
        memory.asked = 0
        return signs, last - first - signs

    def _normed(
        self, memory: SearchMemory, k: int, path: ErrorsOnPath, plane: int | None, labels: list[int]
    ) -> bool:
        """Answer question k by the search's own maps where their errors from norms allow it."""
        if len(labels) != self._exact.dimension or not all(self._is_row(label) for label in labels):
            return False
        vertex = int(memory.questions[k, 0])
        if plane is None:
            point = memory.held["points"][:, vertex].copy()
            rows = [path.row(label) if label >= 0 else self._side(label) for label in labels]
            parts = [np.array(part) for part in zip(*rows, strict=True)]
            radius = radius_of(point, parts[0], parts[1])
            memory.answer_points[k] = [*point, radius]
            return bool(radius <= memory.largest_error)
        found = [] if not self._is_row(plane) else [path.enclosed(plane)]
        for label in labels:
            row = None if label < 0 else path.enclosed(label)
            if label < 0:
                *a, c = self._exact.halfspace_rows[-1 - label]
                up, down = max(path.power, 0), max(-path.power, 0)
                row = EnclosedRow((*(x << up for x in a), c << down), 0)
            found.append(row)
        known = [row for row in found if row is not None]
        if len(known) <= len(labels):
            return False
        memory.answers[k] = enclosed_sign(known[0], known[1:])
        return bool(memory.answers[k] != 0)

    def _is_row(self, label: int) -> bool:
        """Whether a hyperplane is a side of the domain, or where a unit is 0."""
        return label < self._network.n_units

    def _side(self, label: int) -> tuple[NDArray[np.float64], float]:
        A, b = self._domain.halfspaces
        return np.append(A[-1 - label], -b[-1 - label]), 0.0

    def _enclosed(
        self, memory: SearchMemory, k: int, key: bytes, plane: int | None, labels: list[int]
    ) -> bool:
        """Answer question k where rows with errors can, of rising precision; returns whether they could."""
        for precision in range(self._exact.encloses if len(labels) == self._exact.dimension else 0):
            wanted = labels if plane is None else [plane, *labels]
            rows = [self._exact.enclosed_plane_row(key, label, precision) for label in wanted]
            found = [row for row in rows if row is not None]
            if len(found) < len(rows):
                continue
            if plane is not None:
                memory.answers[k] = enclosed_sign(found[0], found[1:])
                if memory.answers[k] != 0:
                    return True
            else:
                point = enclosed_point(found)
                if point is not None and point[1] <= ENCLOSED_ERRORS[precision] * float(
                    memory.held["extents"].max()
                ):
                    memory.answer_points[k] = [*point[0], point[1]]
                    return True
        return False

    def _plane(self, memory: SearchMemory, layer: int, unit: int) -> int:
        """Return the plane of a unit of a layer, or of a pair of candidates, numbered on after the units."""
        width = int(memory.widths[layer])
        if unit < width:
            return int(self._unit_starts[layer]) + unit
        return int(self._unit_starts[-1]) + int(memory.pair_starts[layer]) + unit - width

    def _pattern(self, words: NDArray[np.uint64], layer: int) -> bytes:
        """Return the states of the units of the layers before `layer`, one byte each."""
        states = unpack(words.view(np.uint8), 64 * words.size)
        counts = np.diff(self._unit_starts[: layer + 1])
        starts = 64 * self._word_starts[:layer]
        parts = [states[a : a + n] for a, n in zip(starts, counts, strict=True)]
        return np.concatenate(parts).tobytes() if parts else b""

    def _labels(self, memory: SearchMemory, vertex: int, planar: bool) -> list[int]:
        """Return the hyperplanes that a vertex lies on."""
        if planar:
            planes = memory.definitions[vertex]
        else:
            words = memory.incidence[vertex]
            bits = unpack(words.view(np.uint8), 64 * words.size)
            planes = memory.edges[memory.ask_facets + np.flatnonzero(bits)]
        labels: list[int] = memory.labels[planes].tolist()
        return labels

    def _vertex(self, key: bytes, labels: list[int]) -> Row:
        """Return the point on hyperplanes, of which there may be more than d."""
        d = self._exact.dimension
        rows: list[Row] = []
        for label in labels:
            row = self._exact.plane_row(key, label)
            taken = [*rows, row]
            if len(labels) > d and fmpz_mat([list(r[:d]) for r in taken]).rank() < len(taken):
                continue
            rows = taken
            if len(rows) == d:
                return self._exact.vertex(rows)
        raise SolverError(f"a vertex in {d} dimensions lies on {len(rows)} independent hyperplanes only")


def _rounded(point: Row) -> list[float]:
    """Round a point (x_1, ..., x_d, w) to floats; also return a bound on how far that moves it."""
    *numerators, w = (int(x) for x in point)
    values = [x / w for x in numerators]  # correctly rounded
    exact = all(
        (ratio := value.as_integer_ratio())[0] * w == x * ratio[1]
        for value, x in zip(values, numerators, strict=True)
    )
    return [*values, 0.0 if exact else 2.0**-52 * max(map(abs, values)) + SMALLEST]
