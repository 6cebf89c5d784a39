"""Tensors whose entries are affine functions of one layer's values, and the layers that they are made of.

A graph of operators is read by running it on such tensors. No step rounds: what cannot be merged exactly
becomes an affine layer of its own, and what passes by a layer of units is carried by linear units. What
operators mean is left to the loaders.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array, vstack

from regions.errors import BudgetExceededError, InvalidNetworkError
from regions.network.loaders.checks import FloatArray
from regions.network.relu_network import Network
from regions.network.slopes import UNIT_KINDS

__all__ = ["MOST_ENTRIES", "AffineTensor", "Layering", "check_entries"]

MOST_ENTRIES = 2**27  # non-zeros of one matrix
MOST_ENTRIES_TOGETHER = 2**28
MOST_VALUES = 2**24  # of one tensor on the way
IntArray = NDArray[np.int64]


IDENTITY = UNIT_KINDS["identity"]
Slopes = FloatArray | None  # (2, n), left and right of the breakpoints at 0; None: no units
Sizes = IntArray | None  # rows of each unit, more than one those of a max unit; None: one each


class Rows(NamedTuple):
    """Affine functions `matrix @ h + offset` of a layer's values h."""

    matrix: csr_array
    offset: FloatArray

    def taken(self, index: IntArray) -> Rows:
        """Return the functions of these numbers, in this order."""
        if index.size == self.offset.size and np.array_equal(index, np.arange(index.size)):
            return self
        return Rows(csr_array(self.matrix[index]), self.offset[index])

    def sources(self) -> IntArray | None:
        """Return which value each function is, -1 where it is 0 everywhere; None if some are neither."""
        counts = np.diff(self.matrix.indptr)
        if self.offset.any() or (counts > 1).any() or (self.matrix.data != 1.0).any():
            return None
        sources = np.full(counts.size, -1, np.int64)
        sources[counts == 1] = self.matrix.indices
        return sources

    def constant(self) -> NDArray[np.bool_]:
        """Say which functions do not depend on the values."""
        return np.asarray(np.diff(self.matrix.indptr) == 0)


class AffineTensor:
    """An array of affine functions of the values of the last layer of a `Layering`.

    `index` has the tensor's shape and numbers its functions, so moving entries around moves integers.
    A new layer changes `rows` and `index` in place, but never the entries that the tensor stands for.
    """

    __slots__ = ("dtype", "index", "rows")

    def __init__(self, rows: Rows, index: IntArray, dtype: str) -> None:
        self.rows, self.index, self.dtype = rows, index, dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the tensor."""
        return tuple(self.index.shape)

    def moved(self, index: IntArray) -> AffineTensor:
        """Return a tensor of the same functions at other places."""
        return AffineTensor(self.rows, np.asarray(index, np.int64), self.dtype)

    def flat(self) -> Rows:
        """Return one function for each entry, in row-major order."""
        return self.rows.taken(self.index.ravel())


class Layering:
    """The layers so far, and the tensors that are functions of the last one.

    Parameters
    ----------
    input_dim : number of inputs
    live : the tensors that are still needed, by name; the reader of a graph keeps it up to date
    """

    def __init__(self, input_dim: int, live: Mapping[str, Any]) -> None:
        self.input_dim = self.width = input_dim
        self.live = live
        self._layers: list[tuple[Rows, Slopes, Sizes]] = []
        self._held: list[AffineTensor] = []
        self._entries = self._spent = 0

    def inputs(self, shape: tuple[int, ...], dtype: str) -> AffineTensor:
        """Return the inputs as a tensor of this shape."""
        check_entries("the input", self.input_dim, MOST_VALUES)
        return AffineTensor(_identity(self.input_dim), np.arange(self.input_dim).reshape(shape), dtype)

    def constant(self, value: NDArray[Any], dtype: str) -> AffineTensor:
        """Return a tensor that does not depend on the inputs."""
        check_entries("a constant", value.size, MOST_VALUES)
        empty = csr_array((value.size, self.width), dtype=np.float64)
        index = np.arange(value.size).reshape(value.shape)
        return AffineTensor(Rows(empty, value.astype(np.float64).ravel()), index, dtype)

    @contextmanager
    def holding(self, *tensors: AffineTensor) -> Iterator[None]:
        """Keep tensors that have no name yet up to date while others are made."""
        self._held += tensors
        try:
            yield
        finally:
            del self._held[len(self._held) - len(tensors) :]

    def spend(self, entries: int) -> None:
        """Count what was made on the way; raise BudgetExceededError where a graph does not end to grow."""
        self._spent += entries
        if self._spent > MOST_ENTRIES_TOGETHER:
            raise BudgetExceededError(
                f"the operators make more than {MOST_ENTRIES_TOGETHER:,} numbers on the way to the output"
            )

    def linear(self, x: AffineTensor, operator: csr_array, shape: tuple[int, ...]) -> AffineTensor:
        """Return `operator @ x` for x flattened row by row, as a tensor of this shape."""
        places = self._places(x)
        if places is None:
            self.separate(x)
            places = np.arange(x.index.size)  # operands come first in a new layer
        given = coo_array(operator)
        columns = places[given.coords[1]]
        kept = columns >= 0
        matrix = csr_array(
            (given.data[kept], (given.coords[0][kept], columns[kept])), (operator.shape[0], self.width)
        )
        return self._result(Rows(matrix, np.zeros(operator.shape[0])), shape, x.dtype)

    def scaled(self, x: AffineTensor, factor: FloatArray) -> AffineTensor:
        """Return x times factors, which broadcast to its shape."""
        factors = np.broadcast_to(factor, x.shape).ravel()
        if (factors == 1.0).all():
            return x
        if self._sources(x) is None and not _scales_exactly(x.flat(), factors):
            self.separate(x)
        return self._result(_times(x.flat(), factors), x.shape, x.dtype)

    def shifted(self, x: AffineTensor, constant: FloatArray) -> AffineTensor:
        """Return x plus a constant, which broadcasts to its shape."""
        summand = np.broadcast_to(constant, x.shape).ravel()
        if not summand.any():
            return x
        if (x.flat().offset[summand != 0.0] != 0.0).any():
            self.separate(x)
        rows = x.flat()
        return self._result(Rows(rows.matrix, rows.offset + summand), x.shape, x.dtype)

    def rounded(self, x: AffineTensor, factor: FloatArray, constant: FloatArray) -> AffineTensor:
        """Return factor * x + constant, of x's shape, with every weight and offset rounded to float64."""
        factors, summand = (np.broadcast_to(part, x.shape).ravel() for part in (factor, constant))
        rows = _times(x.flat(), factors)
        return self._result(Rows(rows.matrix, rows.offset + summand), x.shape, x.dtype)

    def added(self, x: AffineTensor, y: AffineTensor) -> AffineTensor:
        """Return x + y, of shapes that broadcast."""
        x, y = (tensor.moved(index) for tensor, index in zip((x, y), _broadcast(x, y), strict=True))
        if not _adds_exactly(x.flat(), y.flat()):
            self.separate(x, y)
        a, b = x.flat(), y.flat()
        return self._result(Rows(csr_array(a.matrix + b.matrix), a.offset + b.offset), x.shape, x.dtype)

    def joined(self, parts: Sequence[AffineTensor]) -> tuple[Rows, list[IntArray]]:
        """Return the functions of several tensors in one list, and the tensors' indices into it."""
        starts = np.concatenate([[0], np.cumsum([part.rows.offset.size for part in parts])])
        matrix = csr_array(vstack([part.rows.matrix for part in parts], format="csr"))
        rows = Rows(matrix, np.concatenate([part.rows.offset for part in parts]))
        return rows, [part.index + start for part, start in zip(parts, starts, strict=False)]

    def separate(self, *operands: AffineTensor) -> None:
        """Append an affine layer whose first values are the entries of the operands, one after another."""
        self._append([operand.flat() for operand in operands], operands)

    def activate(
        self,
        operands: Sequence[AffineTensor],
        slopes: Sequence[tuple[Any, Any]],
        sizes: Sequence[Sizes] = (),
    ) -> None:
        """Replace tensors by what units make of their entries: one layer for all of them.

        A unit has a slope left and one right of 0, given for all entries of a tensor or for each. A tensor
        with sizes lists the candidates of max units, one unit after the other, and becomes a list of their
        values. Other tensors that are still needed pass through the layer as units of equal slopes, which
        never cut.
        """
        pairs = [
            np.stack([np.broadcast_to(np.asarray(side, np.float64), operand.shape).ravel() for side in pair])
            for operand, pair in zip(operands, slopes, strict=True)
        ]
        self._append(
            [operand.flat() for operand in operands],
            operands,
            np.concatenate(pairs, axis=1),
            sizes=sizes or [None] * len(operands),
        )

    def is_positive(self, x: AffineTensor) -> bool:
        """Whether a ReLU changes nothing, as the entries are values of ReLUs or the like, or zeros."""
        sources = self._sources(x)
        if sources is None or not self._layers or (slopes := self._layers[-1][1]) is None:
            return False
        positive = (slopes[0] <= 0.0) & (slopes[1] >= 0.0)
        if (sizes := self._layers[-1][2]) is not None:
            positive = positive[np.cumsum(sizes) - sizes] & (sizes == 1)
        return bool(positive[sources[sources >= 0]].all())

    def network(self, output: AffineTensor, name: str) -> Network:
        """Return the network that computes the entries of the output, row by row."""
        places = self._places(output)
        if not (self._layers and places is not None and np.array_equal(places, np.arange(self.width))):
            if not self._layers and places is not None:
                raise InvalidNetworkError(f"{name} has no layer that computes anything")
            self._append([output.flat()], [output], alone=True)
        return Network.from_arrays(
            [rows.matrix for rows, *_ in self._layers],
            [rows.offset for rows, *_ in self._layers],
            [slopes is not None for _, slopes, _ in self._layers],
            name=name,
            slopes=[slopes for _, slopes, _ in self._layers],
            maxima=[sizes for *_, sizes in self._layers],
        )

    def _append(
        self,
        parts: list[Rows],
        operands: Sequence[AffineTensor],
        slopes: Slopes = None,
        *,
        alone: bool = False,
        sizes: Sequence[Sizes] = (),
    ) -> None:
        """Append a layer, and write the operands and all tensors that are still needed in its values."""
        counts = [operand.index.size for operand in operands]
        counts = [
            n if own is None else own.size
            for n, own in zip(counts, sizes or [None] * len(counts), strict=True)
        ]
        mine = {id(operand) for operand in operands}
        others = [] if alone else [other for other in self._tensors() if id(other) not in mine]
        # where the new layer has the functions of each list; those of operands, if not bent, serve all
        places = {id(tensor.rows): np.full(tensor.rows.offset.size, -1) for tensor in [*operands, *others]}
        start = 0
        for operand in operands:
            numbers = operand.index.ravel()
            if slopes is None:
                places[id(operand.rows)][numbers[::-1]] = np.arange(start, start + numbers.size)[::-1]
            start += numbers.size
        start = sum(counts)
        for rows, used in _used_rows(others):
            place = places[id(rows)]
            carried = used[(place[used] < 0) & ~rows.constant()[used]]
            if slopes is not None:
                through = np.broadcast_to(np.array(IDENTITY)[:, None], (2, carried.size))
                slopes = np.concatenate([slopes, through], axis=1)
            place[carried] = np.arange(start, start + carried.size)
            parts = [*parts, rows.taken(carried)]
            start += carried.size
        matrix = csr_array(vstack([part.matrix for part in parts], format="csr"))
        self._check_size(matrix.shape[0], int(matrix.nnz))
        units = _sizes_of_layer(sizes, counts, start)
        self._layers.append((Rows(matrix, np.concatenate([part.offset for part in parts])), slopes, units))
        self.width = start
        renewed = {
            key: _renewed(rows, places[key], start)
            for key, rows in {id(o.rows): o.rows for o in others}.items()
        }
        for other in others:
            other.rows = renewed[id(other.rows)]
        whole, start = _identity(start), 0
        for operand, count in zip(operands, counts, strict=True):
            index = np.arange(start, start + count)
            operand.index = index.reshape(operand.shape) if count == operand.index.size else index
            operand.rows, start = whole, start + count

    def _tensors(self) -> Iterable[AffineTensor]:
        return list(_affine([*self.live.values(), *self._held]))

    def _sources(self, x: AffineTensor) -> IntArray | None:
        """Return which value of the last layer each entry is, -1 for zeros; None if some are neither."""
        sources = x.rows.sources()
        return x.flat().sources() if sources is None else sources[x.index.ravel()]

    def _places(self, x: AffineTensor) -> IntArray | None:
        """Return the same as `_sources`, but None also if a value appears twice, for that needs sums."""
        sources = self._sources(x)
        if sources is None:
            return None
        real = sources[sources >= 0]
        return sources if np.unique(real).size == real.size else None

    def _result(self, rows: Rows, shape: tuple[int, ...], dtype: str) -> AffineTensor:
        check_entries("a tensor", rows.offset.size, MOST_VALUES)
        self.spend(int(rows.matrix.nnz))
        return AffineTensor(rows, np.arange(rows.offset.size).reshape(shape), dtype)

    def _check_size(self, size: int, entries: int) -> None:
        check_entries(f"layer {len(self._layers)}", size, MOST_VALUES)
        self._entries += entries
        if entries > MOST_ENTRIES or self._entries > MOST_ENTRIES_TOGETHER:
            raise BudgetExceededError(
                f"layer {len(self._layers)} maps {self.width:,} values to {size:,} by {entries:,} weights "
                f"that are not 0 ({self._entries:,} with the layers before); at most {MOST_ENTRIES:,} in one "
                f"layer and {MOST_ENTRIES_TOGETHER:,} in all are read"
            )


def _sizes_of_layer(sizes: Sequence[Sizes], counts: Sequence[int], width: int) -> Sizes:
    """Return the sizes of all units of a layer, of the operands' first; None if none is a max unit."""
    if all(own is None for own in sizes):
        return None
    parts = [np.ones(n, np.int64) if own is None else own for n, own in zip(counts, sizes, strict=True)]
    return np.concatenate([*parts, np.ones(width - sum(counts), np.int64)])


def _affine(values: Iterable[Any]) -> Iterator[AffineTensor]:
    """The affine tensors among values, and in lists of them."""
    for value in values:
        if isinstance(value, AffineTensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from _affine(value)


def check_entries(what: str, entries: int, most: int = MOST_ENTRIES) -> None:
    """Raise BudgetExceededError if something would have more entries than fit into memory."""
    if entries > most:
        raise BudgetExceededError(f"{what} would have {entries:,} entries; at most {most:,} are read")


def check_shape(what: str, shape: Iterable[int]) -> None:
    """Raise BudgetExceededError if a tensor of this shape would not fit into memory."""
    check_entries(what, prod(int(size) for size in shape), MOST_VALUES)


def _identity(size: int) -> Rows:
    one = csr_array((np.ones(size), np.arange(size), np.arange(size + 1)), (size, size))
    return Rows(one, np.zeros(size))


def _times(rows: Rows, factors: FloatArray) -> Rows:
    matrix = rows.matrix.copy()
    matrix.data = matrix.data * np.repeat(factors, np.diff(matrix.indptr))
    matrix.eliminate_zeros()
    return Rows(matrix, np.where(rows.offset == 0.0, 0.0, rows.offset * factors))


def _scales_exactly(rows: Rows, factors: FloatArray) -> bool:
    """Whether multiplying the functions rounds nothing: by powers of two, within the range of floats."""
    if not (np.abs(np.frexp(factors)[0]) == 0.5).all():
        return False
    scaled = _times(rows, factors)
    back = _times(scaled, 1.0 / factors)
    return bool((back.offset == rows.offset).all()) and np.array_equal(back.matrix.data, rows.matrix.data)


def _broadcast(x: AffineTensor, y: AffineTensor) -> tuple[IntArray, IntArray]:
    try:
        check_shape("a sum", np.broadcast_shapes(x.shape, y.shape))
        return tuple(np.broadcast_arrays(x.index, y.index))  # type: ignore[return-value]
    except ValueError as error:
        raise InvalidNetworkError(f"values of shapes {x.shape} and {y.shape} do not broadcast") from error


def _adds_exactly(a: Rows, b: Rows) -> bool:
    """Whether no entry of the sum of two lists of functions is rounded."""
    keys = []
    for rows in (a, b):
        rows.matrix.sum_duplicates()
        places = np.repeat(np.arange(rows.offset.size), np.diff(rows.matrix.indptr))
        keys.append(places * np.int64(rows.matrix.shape[1]) + rows.matrix.indices)
    _, at_a, at_b = np.intersect1d(keys[0], keys[1], assume_unique=True, return_indices=True)
    return _sums_exactly(a.matrix.data[at_a], b.matrix.data[at_b]) and _sums_exactly(a.offset, b.offset)


def _sums_exactly(a: FloatArray, b: FloatArray) -> bool:
    """Knuth's two-sum: whether no sum of two floats is rounded."""
    total = a + b
    other = total - a
    return not ((a - (total - other)) + (b - other)).any()


def _used_rows(tensors: Iterable[AffineTensor]) -> list[tuple[Rows, IntArray]]:
    """Return each list of functions once, with the numbers of those that some tensor uses."""
    used: dict[int, tuple[Rows, list[IntArray]]] = {}
    for tensor in tensors:
        used.setdefault(id(tensor.rows), (tensor.rows, []))[1].append(tensor.index.ravel())
    return [(rows, np.unique(np.concatenate(index))) for rows, index in used.values()]


def _renewed(rows: Rows, places: IntArray, width: int) -> Rows:
    """Return the functions as values of a new layer, which has them at these places, or else as constants."""
    there = np.flatnonzero(places >= 0)
    matrix = csr_array((np.ones(there.size), (there, places[there])), (places.size, width))
    return Rows(matrix, np.where(places < 0, rows.offset, 0.0))
