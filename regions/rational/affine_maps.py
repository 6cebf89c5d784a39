"""The network's affine maps as integers: one fixed power of two per layer, whatever the pattern.

So two patterns' maps are compared integer by integer. Maps are kept per prefix of the pattern.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from fractions import Fraction
from functools import cached_property
from itertools import accumulate
from typing import Any, cast

import numpy as np
from flint import fmpq, fmpq_mat, fmpz, fmpz_mat
from numpy.typing import NDArray

from regions.domain import Domain
from regions.domain.starting_polytope import exact_polytope
from regions.errors import InvalidDomainError, InvalidInputError
from regions.network.layer_matrices import are_large
from regions.network.max_units import MaxUnits
from regions.network.patterns import state_bytes, unit_place
from regions.network.relu_network import Network
from regions.rational.exact_polytope import RationalPolytope
from regions.rational.float_rows import FloatRows
from regions.rational.integer_layers import integer_layers
from regions.rational.integer_rows import Row, dyadic_integers, primitive, solve_vertex
from regions.rational.row_enclosures import EnclosedRow, RowEnclosures
from regions.rational.row_maps import RowMaps
from regions.rational.tree_rows import TreeRows, units_behind

Pattern = NDArray[np.bool_] | bytes
ENCLOSED_DIGITS = (5, 8)  # of rows with errors, where floats leave a question open, and then the first ones
FEW_UNITS = 200  # of which whole layers as matrices are found sooner than row after row
_EXACT_BITS = 1000  # integers up to here are converted to floats directly


class ExactNetwork:
    """A network on a domain in exact arithmetic, in the domain's intrinsic coordinates.

    Every stored float (weights, biases, origin, basis, halfspaces) is the dyadic rational that it
    is. Rows are integers; the row of affine layer l means the integers divided by `2**shifts[l]`, the
    same for every pattern. A pattern is `(n_units,) bool` in flat unit order, or the bytes of such an
    array; only the units of the layers before the one asked for are read, so it may be shorter.

    Parameters
    ----------
    network, domain : what is computed with
    cache_size : int, number of prefixes whose maps are kept (least recently used goes first)

    Raises
    ------
    InvalidDomainError
        If the domain does not live in the network's input space.

    Notes
    -----
    Cost on 3 x 50 units, d = 2: 3 microseconds for a row whose prefix is kept, up to 200 for a new
    prefix per layer; 1 microsecond for a vertex, 2 for a sign. Networks of more than 2**22 weights, zeros
    included, go by their non-zeros, and only by those that the row asked for depends on (`RowMaps`).

    Examples
    --------
    >>> from regions import Box, Network
    >>> network = Network.from_arrays([[[0.5], [1.0]], [[1.0, 3.0]], [[1.0]]], [[0, -1], [0.25], [0]])
    >>> exact = ExactNetwork(network, Box([-2.0], [2.0]))
    >>> [int(x) for x in exact.unit_row([True, False], 1, 0)], exact.shifts[1]  # 0.5 t + 0.25
    ([4, 2], 3)
    """

    def __init__(self, network: Network, domain: Domain, cache_size: int = 1024) -> None:
        if domain.input_dim != network.input_dim:
            raise InvalidDomainError(
                f"the domain is in {domain.input_dim} input dimensions, the network takes {network.input_dim}"
            )
        self.network = network
        self.domain = domain
        self.dimension = domain.dimension
        sizes = [b.size if relu else 0 for b, relu in zip(network.biases, network.relu, strict=True)]
        self._units_before = [0, *accumulate(sizes)]
        self._layer_of = [k for k, relu in enumerate(network.relu) if relu]
        self._cache_size = max(cache_size, 2 * len(sizes) + 4)
        self._inputs: OrderedDict[tuple[int, bytes], Any] = OrderedDict()
        self._maps: OrderedDict[tuple[int, bytes], Any] = OrderedDict()
        self._float_maps: OrderedDict[tuple[int, bytes], NDArray[np.float64]] = OrderedDict()
        self._rows: RowMaps | None = None
        self._lower()

    @cached_property
    def _start(self) -> NDArray[np.float64]:
        """The rows of the inputs, the constant last in each."""
        return np.column_stack([self.domain.basis, self.domain.origin])

    def _row_maps(self) -> RowMaps:
        return RowMaps(self.network, *dyadic_integers(self._start), self.dimension + 1)

    def _lower(self) -> None:
        """Note the powers of two of inputs and values."""
        if are_large(self.network.operators):
            self._rows = self._row_maps()
            return
        start, shift = dyadic_integers(self._start)
        self._integers = integers = integer_layers(self.network)
        self.__dict__.update(input_shifts=[shift], shifts=[], _slopes={})
        for layer, own in enumerate(integers.shifts):
            self.shifts.append(self.input_shifts[-1] + own)
            self.input_shifts.append(self.shifts[-1])
            if layer in integers.slopes:
                left, right, own = integers.slopes[layer]
                self._slopes[layer] = left, right
                self.input_shifts[-1] += own
        last = [0] * self.dimension + [1 << shift]
        self._inputs_of_first = fmpz_mat(self.network.input_dim + 1, self.dimension + 1, start + last)

    @cached_property
    def input_shifts(self) -> list[int]:
        """The powers of two under what goes into each layer."""
        return cast(RowMaps, self._rows).input_shifts

    @cached_property
    def shifts(self) -> list[int]:
        """The powers of two under the values of each layer."""
        return cast(RowMaps, self._rows).shifts

    @cached_property
    def _slopes(self) -> dict[int, tuple[list[int], list[int]]]:
        return cast(RowMaps, self._rows).slopes

    def _bytes(self, pattern: Pattern | Sequence[bool], needed: int) -> bytes:
        key = state_bytes(pattern)
        if len(key) < needed:
            raise InvalidInputError(f"the pattern has {len(key)} units; this needs the first {needed}")
        return key

    def _keep(self, cache: OrderedDict[tuple[int, bytes], Any], key: tuple[int, bytes], value: Any) -> Any:
        cache[key] = value
        if len(cache) > self._cache_size:
            cache.popitem(last=False)
        return value

    def _input(self, layer: int, pattern: bytes) -> Any:
        """What an affine layer acts on: (inputs + 1, d + 1) integers, the last row for the constant."""
        if layer == 0:
            return self._inputs_of_first
        below = layer - 1
        if not self.network.relu[below]:
            return self._values(below, pattern)
        key = (layer, pattern[: self._units_before[layer]])
        found = self._inputs.get(key)
        if found is not None:
            self._inputs.move_to_end(key)
            return found
        if below in self._slopes:
            rows = self._activated(below, pattern)
            rows.append([0] * self.dimension + [1 << self.input_shifts[layer]])
            return self._keep(self._inputs, key, fmpz_mat(rows))
        inputs = fmpz_mat(self._values(below, pattern))
        states = pattern[self._units_before[below] : self._units_before[layer]]
        for unit, state in enumerate(states):
            if not state:
                for j in range(self.dimension + 1):
                    inputs[unit, j] = 0
        return self._keep(self._inputs, key, inputs)

    def _activated(self, layer: int, pattern: bytes) -> list[list[Any]]:
        """Rows of what affine layer `layer` puts out, over `2**input_shifts[layer + 1]`."""
        rows: list[list[Any]] = self._map(layer, pattern).tolist()
        if not self.network.relu[layer]:
            return rows
        states = pattern[self._units_before[layer] : self._units_before[layer + 1]]
        if layer not in self._slopes:
            zero = [0] * (self.dimension + 1)
            return [row if state else zero for row, state in zip(rows, states, strict=True)]
        left, right = self._slopes[layer]
        factors = [b if state else a for a, b, state in zip(left, right, states, strict=True)]
        return [[factor * x for x in row] for row, factor in zip(rows, factors, strict=True)]

    def _map(self, layer: int, pattern: bytes) -> Any:
        """Values of an affine layer: (width, d + 1) fmpz_mat."""
        n = self.network.biases[layer].size
        if self._rows is not None:
            return fmpz_mat([list(row) for row in self._rows.rows(layer, pattern, np.arange(n))])
        return fmpz_mat(self._values(layer, pattern).tolist()[:n])

    def _values(self, layer: int, pattern: bytes) -> Any:
        """Values of an affine layer of a smaller network, and the row of the constant below them."""
        key = (layer, pattern[: self._units_before[layer]])
        found = self._maps.get(key)
        if found is not None:
            self._maps.move_to_end(key)
            return found
        return self._keep(self._maps, key, self._integers.matrix(layer) * self._input(layer, pattern))

    def unit_row(self, pattern: Pattern | Sequence[bool], layer: int, unit: int) -> Row:
        """Exact pre-activation of a unit where the layers before have this pattern.

        Parameters
        ----------
        pattern : bool, at least all units before `layer`
        layer : int, ReLU layer, counted from 0
        unit : int

        Returns
        -------
        row : d + 1 fmpz (a_1, ..., a_d, c), `z(t) = (a.t + c) / 2**s` with the shift s of its affine layer

        Raises
        ------
        InvalidInputError
            If the pattern is too short.
        """
        affine = self._layer_of[layer]
        key = self._bytes(pattern, self._units_before[affine])
        if self.tree_rows is not None:
            return tuple(map(fmpz, self.tree_rows.row(affine, np.frombuffer(key, np.uint8), unit)))
        if self._rows is not None:
            return tuple(map(fmpz, self._rows.rows(affine, key, np.array([unit]))[0]))
        if affine == 0:
            known = self._values(0, b"")
        else:
            known = self._maps.get((affine, key[: self._units_before[affine]]))
        if known is not None:
            return tuple(known[unit, j] for j in range(self.dimension + 1))
        return tuple((self._integers.row(affine, unit) * self._input(affine, key)).entries())

    def output_integers(self, pattern: Pattern | Sequence[bool]) -> tuple[int, ...]:
        """The output map as one tuple of integers: equal for two patterns iff the maps are equal."""
        key = self._bytes(pattern, self._units_before[-1])
        return tuple(int(x) for x in self._output(key).entries())

    def _output(self, key: bytes) -> Any:
        last = self.network.n_layers - 1
        if not self.network.relu[last]:
            return self._map(last, key)
        return fmpz_mat(self._activated(last, key))

    @cached_property
    def _table(self) -> MaxUnits:
        return cast(MaxUnits, self.network.max_units)

    @property
    def output_shift(self) -> int:
        """The power of two under the integers of the output map."""
        return self.input_shifts[-1]

    def output_map(self, pattern: Pattern | Sequence[bool]) -> tuple[fmpq_mat, list[fmpq]]:
        """The exact output `A t + c` where the network has this pattern.

        Returns
        -------
        A : (out, d) fmpq_mat
        c : list of out fmpq

        Examples
        --------
        >>> from regions import Box, Network
        >>> exact = ExactNetwork(Network.from_arrays([[[0.1]]], [[3.0]]), Box([0.0], [1.0]))
        >>> exact.output_map([])
        ([3602879701896397/36028797018963968], [3])
        """
        rows = self._output(self._bytes(pattern, self._units_before[-1])).tolist()
        unit = fmpz(1) << self.output_shift
        matrix = fmpq_mat(len(rows), self.dimension, [fmpq(x, unit) for row in rows for x in row[:-1]])
        return matrix, [fmpq(row[-1], unit) for row in rows]

    @cached_property
    def halfspace_rows(self) -> list[tuple[int, ...]]:
        """The domain's sides as rows that are >= 0 inside, in the order of `domain.halfspaces`.

        Examples
        --------
        >>> from regions import Box, Network
        >>> network = Network.from_arrays([[[1.0]]], [[0.0]])
        >>> ExactNetwork(network, Box([-0.5], [2.0])).halfspace_rows
        [(2, 1), (-1, 2)]
        """
        A, b = self.domain.halfspaces
        integers, _ = dyadic_integers(np.column_stack([-A, b]))
        width = self.dimension + 1
        return [primitive(integers[k : k + width]) for k in range(0, len(integers), width)]

    @cached_property
    def domain_polytope(self) -> RationalPolytope:
        """The domain with exact vertices; its facets are rows 0, ..., m - 1."""
        polytope = exact_polytope(*self.domain.halfspaces)
        masks = [0] * len(polytope.vertices)
        for row, facet in zip(polytope.rows, polytope.facets, strict=True):
            for i in range(len(masks)):
                masks[i] |= (facet >> i & 1) << row
        vertices = []
        for vertex in polytope.vertices:
            w = 1
            for x in vertex:
                w *= x.denominator
            vertices.append(primitive([*(x.numerator * (w // x.denominator) for x in vertex), w]))
        return RationalPolytope(self.dimension, vertices, masks)

    def plane_row(self, pattern: Pattern | Sequence[bool], plane: int) -> Row:
        """The row of a hyperplane: flat unit number, or -1 - k for side k of the domain.

        Where two candidates of a max unit tie, `MaxUnits` numbers the plane: the earlier one's value minus
        the later one's.
        """
        if plane < 0:
            return self.halfspace_rows[-1 - plane]
        if plane >= self.network.n_units:
            i, j = self._table.rows(plane)
            return tuple(
                a - b for a, b in zip(self.plane_row(pattern, i), self.plane_row(pattern, j), strict=True)
            )
        return self.unit_row(pattern, *unit_place(self.network.unit_offsets, plane))

    @cached_property
    def _enclosures(self) -> list[FloatRows | RowEnclosures]:
        fixed = [RowEnclosures(self.network, self._start, digits) for digits in ENCLOSED_DIGITS]
        return [FloatRows(self.network, self._start), *fixed]

    @cached_property
    def tree_rows(self) -> TreeRows | None:
        """The rows of a network of many units in which values depend on few of them; None for others."""
        if self._rows is None and self.network.n_units < FEW_UNITS:
            return None
        behind = units_behind(self.network)
        return None if behind is None else TreeRows(self.network, self._rows or self._row_maps(), behind)

    @property
    def encloses(self) -> int:
        """How many precisions `enclosed_plane_row` has; 0 where exact rows are cheap."""
        return 0 if self._rows is None or self.tree_rows is not None else 1 + len(ENCLOSED_DIGITS)

    def enclosed_plane_row(self, pattern: bytes, plane: int, precision: int) -> EnclosedRow | None:
        """The row that `plane_row` has, with an error; None where there is no bound of it."""
        if plane < 0:
            return EnclosedRow(self.halfspace_rows[-1 - plane], 0)
        rows, offsets = self._enclosures[precision], self.network.unit_offsets
        if plane < self.network.n_units:
            layer, unit = unit_place(offsets, plane)
            return rows.row(self._layer_of[layer], pattern, unit)
        (layer, i), (_, j) = (unit_place(offsets, row) for row in self._table.rows(plane))
        return rows.difference(self._layer_of[layer], pattern, i, j)

    def states_at(self, point: Sequence[Fraction]) -> bytes:
        """The states of the units around a point (d,), up to the first unit on whose zero set it lies.

        They are all units' where the point is inside of a cell. Units that are constant around it, and
        linear ones, have a state everywhere.

        Examples
        --------
        >>> from regions import Box, Network
        >>> network = Network.from_arrays([[[1.0], [1.0], [0.0]]], [[0.0, -1.0, 0.0]], [True])
        >>> exact = ExactNetwork(network, Box([-2.0], [2.0]))
        >>> list(exact.states_at([Fraction(1, 3)])), list(exact.states_at([Fraction(1)]))
        ([1, 0, 0], [1])
        """
        states, table = b"", self.network.max_units
        for unit, cuts in enumerate(self.network.cutting.tolist()):
            if table is not None and table.first[unit] >= 0:
                if unit == table.first[unit]:
                    states += self._winner_at(states, range(unit, unit + int(table.size[unit])), point)
                if len(states) <= unit:
                    break
                continue
            active = True
            if cuts:
                *a, c = (int(x) for x in self.plane_row(states, unit))
                value = sum((k * x for k, x in zip(a, point, strict=True)), Fraction(c))
                if value == 0 and any(a):
                    break
                active = value > 0
            states += b"\1" if active else b"\0"
        return states

    def _winner_at(self, states: bytes, rows: range, point: Sequence[Fraction]) -> bytes:
        """The states of the candidates of a max unit around a point; none where others tie only there."""
        maps = [[int(x) for x in self.plane_row(states, row)] for row in rows]
        values = [sum((k * x for k, x in zip(a, point, strict=True)), Fraction(c)) for *a, c in maps]
        best = values.index(max(values))
        if any(value == values[best] and a != maps[best] for value, a in zip(values, maps, strict=True)):
            return b""
        return bytes(int(k == best) for k in range(len(rows)))

    def vertex(self, rows: Sequence[Sequence[Any]]) -> Row:
        """The point on d hyperplanes, as integers (x_1, ..., x_d, w) with w > 0; see `solve_vertex`."""
        return solve_vertex(rows)

    def unit_floats(self, pattern: bytes) -> NDArray[np.float64]:
        """Rows of all units as floats, (n_units, d + 1), for filters.

        Each row is scaled by a power of two; entries are rounded once, relative 2**-53, absolute 2**-990
        of the largest in the layer.
        """
        parts = []
        for affine in self._layer_of:
            key = (affine, pattern[: self._units_before[affine]])
            found = self._float_maps.get(key)
            if found is None:
                found = self._keep(self._float_maps, key, _floats(self._map(affine, pattern)))
            parts.append(found)
        return np.concatenate(parts) if parts else np.zeros((0, self.dimension + 1))


def float_row(row: Sequence[int]) -> NDArray[np.float64]:
    """A row of integers as floats, over a power of two that brings the largest to about 1."""
    bits = max(abs(x).bit_length() for x in row)
    excess = max(0, bits - _EXACT_BITS)
    return np.ldexp(np.array([float(x >> excess) for x in row]), excess - bits)


def _floats(matrix: Any) -> NDArray[np.float64]:
    """Entries of an integer matrix as floats, over one power of two that brings the largest to about 1."""
    integers = [int(x) for x in matrix.entries()]
    bits = max(x.bit_length() for x in integers)
    if bits > _EXACT_BITS:
        excess = bits - _EXACT_BITS
        integers, bits = [x >> excess for x in integers], _EXACT_BITS
    array = np.array([float(x) for x in integers])
    return np.ldexp(array, -bits).reshape(matrix.nrows(), matrix.ncols())
