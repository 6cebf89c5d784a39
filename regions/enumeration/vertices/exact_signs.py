"""Exact answers for a search: signs of units at vertices, and positions, that floats cannot vouch for.

It knows the memory of a search and `rational`; what is asked, and when, `kernels` decide.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from flint import fmpz_mat
from numpy.typing import NDArray

from regions.domain import Domain
from regions.errors import SolverError
from regions.kernels.memory.bits import SMALLEST
from regions.kernels.memory.layouts import SearchMemory
from regions.network.patterns import unpack
from regions.network.relu_network import Network
from regions.rational import ExactNetwork, sign_at
from regions.rational.integer_rows import Row


class ExactSigns:
    """Answers the questions of one search, from the stored weights and the domain.

    A vertex is the common point of the hyperplanes that the search has it on; units before the layer in
    hand have the states of the node's pattern. One thread uses it at a time.

    Parameters
    ----------
    network, domain : as searched
    word_starts : (layers + 1,) first pattern word of each layer
    unit_starts : (layers + 1,) flat number of each layer's first unit
    """

    def __init__(
        self,
        network: Network,
        domain: Domain,
        word_starts: NDArray[np.int64],
        unit_starts: NDArray[np.int64],
    ) -> None:
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
        points: dict[int, Row] = {}
        rows: dict[int, Row] = {}
        signs = 0
        for k, (vertex, unit) in enumerate(memory.questions[first:last].tolist(), first):
            if unit >= 0:
                signs += 1
                if unit not in rows:
                    rows[unit] = self._exact.plane_row(key, self._plane(memory, layer, unit))
                if not any(rows[unit]):  # identically 0, wherever the vertex is
                    memory.answers[k] = 0
                    continue
            if vertex not in points:
                points[vertex] = self._vertex(memory, key, vertex, planar)
            if unit < 0:
                memory.answer_points[k] = _rounded(points[vertex])
            else:
                memory.answers[k] = sign_at(rows[unit], points[vertex])
        memory.answered = last
        memory.asked = 0
        return signs, last - first - signs

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

    def _vertex(self, memory: SearchMemory, key: bytes, vertex: int, planar: bool) -> Row:
        d = self._exact.dimension
        if planar:
            planes = memory.definitions[vertex]
        else:
            words = memory.incidence[vertex]
            bits = unpack(words.view(np.uint8), 64 * words.size)
            planes = memory.edges[memory.ask_facets + np.flatnonzero(bits)]
        rows: list[Row] = []
        for label in memory.labels[planes].tolist():
            row = self._exact.plane_row(key, label)
            taken = [*rows, row]
            if len(planes) > d and fmpz_mat([list(r[:d]) for r in taken]).rank() < len(taken):
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
