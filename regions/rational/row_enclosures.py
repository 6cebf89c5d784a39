"""Rows of a large network's maps in fixed point, with proven errors: what exact rows cost much more for.

A whole layer is made at a time, by sparse products of integers, from the layer before it, which is kept per
prefix of the pattern. What the errors leave open, `affine_maps` decides.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from math import ceil, isfinite, log2, prod
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from regions.errors import SolverError
from regions.network.layer_matrices import Matrix, by_non_zeros, is_sparse, most_terms
from regions.network.relu_network import Network
from regions.rational.integer_rows import dot, solve_vertex

__all__ = ["EnclosedRow", "RowEnclosures", "enclosed_point", "enclosed_sign"]

MOST_BYTES = 1 << 26  # of maps that are kept, and of digits of weights
MOST_DIGITS = 5  # of weights: some 130 bits, so that weights of very different sizes are exact
MOST_PLANES = 4  # whose determinants are computed
ENLARGED = 1.0 + 1e-9  # covers the rounding of the bounds themselves
SMALLEST = 1e-300  # covers what underflow can lose of them
Digits = NDArray[np.int64]


class EnclosedRow(NamedTuple):
    """A hyperplane's row divided by `2**power`: each of its entries is at most `error` from the true one."""

    entries: tuple[int, ...]
    error: int
    power: int = 0


class _Map(NamedTuple):
    """Rows as digits, (n, columns, digits), of which the k-th counts `2**(exponent - base * (k + 1))`.

    No entry of row i is farther than `errors[i]` from the true one.
    """

    digits: Digits
    exponent: int
    errors: NDArray[np.float64]


class _Weights(NamedTuple):
    """A matrix as sparse matrices of its digits, its absolute values, and what its digits leave out."""

    digits: list[Matrix]
    exponent: int
    sizes: Matrix
    left_out: float

    @property
    def n_bytes(self) -> int:
        """What the values take; their places are shared."""
        return int(self.sizes.data.nbytes) * (1 + len(self.digits))


class RowEnclosures:
    """Rows of a network's layers with bounds of their errors, found layer by layer.

    Parameters
    ----------
    network : Network
    start : (n0, columns) float64, the rows of the inputs, the constant last
    digits : int, number of digits (of up to 26 bits) that are kept of each entry

    Notes
    -----
    Sums of products of digits do not overflow 64 bits: `base` is as large as the longest sum allows.
    Cost: some 25 (5 digits) to 70 nanoseconds for each non-zero weight of the layers that are new.

    Examples
    --------
    >>> network = Network.from_arrays([[[0.5], [1.0]], [[1.0, 3.0]], [[1.0]]], [[0, -1], [0.25], [0]])
    >>> rows = RowEnclosures(network, np.array([[1.0, 0.0]]), 2)
    >>> row = rows.row(1, bytes([1, 0]), 0)  # 0.5 t + 0.25
    >>> row.entries[0] == 2 * row.entries[1], row.error
    (True, 1)
    """

    def __init__(self, network: Network, start: NDArray[np.float64], digits: int) -> None:
        self._network, self._digits = network, digits
        terms = max(*map(most_terms, network.operators), 1)
        self._base = min(26, (62 - ceil(log2(terms * min(digits, MOST_DIGITS)))) // 2 + 1)
        sizes = [bias.size if relu else 0 for bias, relu in zip(network.biases, network.relu, strict=True)]
        self._units_before = np.concatenate([[0], np.cumsum(sizes)]).tolist()
        self._weights: dict[int, _Weights] = {}
        self._maps: OrderedDict[tuple[int, bytes], _Map] = OrderedDict()
        self._held = 0  # bytes of these
        exponent = _exponent(start)
        parts, rest = _split(start, exponent, self._base, digits)
        left = np.full(start.shape[0], _unit(exponent - self._base * digits) if rest else 0.0)
        self._start = _Map(np.stack(parts, axis=-1), exponent, left)

    def row(self, layer: int, pattern: bytes, unit: int) -> EnclosedRow | None:
        """Return the row of a value of an affine layer; None where its error has no bound.

        Parameters
        ----------
        layer : int, affine layer
        pattern : the states of all units before it, one byte each
        unit : int
        """
        found = self._maps.get((layer, pattern[: self._units_before[layer]]))
        if found is None:
            found, unit = self._product(layer, self._inputs(layer, pattern), np.array([unit])), 0
        power = found.exponent - self._base * self._digits
        error = float(np.ldexp(found.errors[unit], -power))
        if not isfinite(error):
            return None
        shifts = [self._base * (self._digits - 1 - k) for k in range(self._digits)]
        entries = found.digits[unit].tolist()
        values = (sum(x << s for x, s in zip(entry, shifts, strict=True)) for entry in entries)
        return EnclosedRow(tuple(values), int(error) + 1, power)

    def difference(self, layer: int, pattern: bytes, unit: int, other: int) -> EnclosedRow | None:
        """Return the row of a unit minus that of another of the same layer."""
        self._values(layer, pattern)  # so that both are over the same power of two
        one, two = self.row(layer, pattern, unit), self.row(layer, pattern, other)
        if one is None or two is None:
            return None
        entries = tuple(a - b for a, b in zip(one.entries, two.entries, strict=True))
        return EnclosedRow(entries, one.error + two.error, one.power)

    def _values(self, layer: int, pattern: bytes) -> _Map:
        """Return the values of an affine layer, which are kept."""
        key = (layer, pattern[: self._units_before[layer]])
        found = self._maps.get(key)
        if found is None:
            found = self._product(layer, self._inputs(layer, pattern), None)
            self._maps[key] = found
            self._held += found.digits.nbytes
            while self._held > MOST_BYTES and len(self._maps) > 1:
                self._held -= self._maps.popitem(last=False)[1].digits.nbytes
        self._maps.move_to_end(key)
        return found

    def _inputs(self, layer: int, pattern: bytes) -> _Map:
        """Return what a layer acts on."""
        if layer == 0:
            return self._start
        values = self._values(layer - 1, pattern)
        if not self._network.relu[layer - 1]:
            return values
        states = np.frombuffer(pattern, np.uint8)[self._units_before[layer - 1] : self._units_before[layer]]
        pair = self._network.slopes[layer - 1]
        factors = (
            (states != 0).astype(np.float64) if pair is None else np.where(states != 0, pair[1], pair[0])
        )
        whole = factors == 1.0
        if (whole | (factors == 0.0)).all():
            return _Map(values.digits * whole[:, None, None], values.exponent, values.errors * whole)
        return self._multiplied(self._as_weights(_diagonal(factors)), values, None)

    def _product(self, layer: int, inputs: _Map, units: NDArray[np.int64] | None) -> _Map:
        """Return the values of a layer, or of some of its units."""
        matrix, bias = self._network.operators[layer], self._network.biases[layer]
        if units is not None:
            matrix, bias = matrix[units], bias[units]
            return self._multiplied(self._as_weights(matrix), inputs, bias)
        weights = self._weights.get(layer)
        if weights is None:
            weights = self._as_weights(matrix)
            held = sum(kept.n_bytes for kept in self._weights.values())
            if held + weights.n_bytes <= MOST_BYTES:
                self._weights[layer] = weights
        return self._multiplied(weights, inputs, bias)

    def _as_weights(self, matrix: Matrix) -> _Weights:
        """Split a matrix into digits."""
        rows = matrix if is_sparse(matrix) else by_non_zeros(matrix)
        exponent = _exponent(rows.data)
        parts, rest = _split(rows.data, exponent, self._base, MOST_DIGITS)
        while len(parts) > 1 and not parts[-1].any():
            parts.pop()
        digits = [type(rows)((part, rows.indices, rows.indptr), rows.shape) for part in parts]
        return _Weights(
            digits, exponent, abs(rows), _unit(exponent - self._base * MOST_DIGITS) if rest else 0.0
        )

    def _multiplied(self, weights: _Weights, inputs: _Map, bias: NDArray[np.float64] | None) -> _Map:
        """Return a matrix times a map, plus a bias.

        Digit s of the products counts `2**(exponent - base * (s + 2))`, so carries come to stand at s = -1
        and -2, and a large bias further to the left.
        """
        base, kept = self._base, self._digits
        n, columns = weights.sizes.shape[0], inputs.digits.shape[1]
        exponent = inputs.exponent + weights.exponent
        if bias is not None and not bias.any():
            bias = None
        more = 0 if bias is None else max(0, -((exponent - _exponent(bias)) // base))
        first = more + 2
        sums = np.zeros((n, columns, first + kept), np.int64)
        for j, part in enumerate(weights.digits[:kept]):
            taken = np.ascontiguousarray(inputs.digits[:, :, : kept - j]).reshape(-1, columns * (kept - j))
            sums[:, :, first + j :] += (part @ taken).reshape(n, columns, kept - j)
        lost = 0.0
        if len(weights.digits) > 1:
            terms = len(weights.digits) * most_terms(weights.sizes)
            lost += terms * _unit(exponent - base * kept - 1)
        if bias is not None:
            parts, rest = _split(bias, exponent + base * more, base, kept + 1 + more)
            sums[:, -1, 1:] += np.stack(parts, axis=-1)
            lost += _unit(exponent - base * (kept + 1)) if rest else 0.0
        _carry(sums, base)
        used = np.flatnonzero(sums.any(axis=(0, 1)))
        top = min(int(used[0]), first) if used.size else first
        exponent -= base * (top - first + 1)
        if sums[:, :, top + kept :].any():
            lost += _unit(exponent - base * kept)
        errors = weights.sizes @ inputs.errors + lost
        if weights.left_out:
            places = type(weights.sizes)(
                (np.ones(weights.sizes.data.size), weights.sizes.indices, weights.sizes.indptr),
                weights.sizes.shape,
            )
            largest = np.abs(inputs.digits[:, :, 0]).max(axis=1) + 1.0
            errors += weights.left_out * _unit(inputs.exponent - base) * (places @ largest)
        digits = np.ascontiguousarray(sums[:, :, top : top + kept])
        return _Map(digits, exponent, errors * ENLARGED + SMALLEST)


def _diagonal(values: NDArray[np.float64]) -> Matrix:
    from scipy.sparse import csr_array

    n = values.size
    return csr_array((values, np.arange(n), np.arange(n + 1)), (n, n))


def _unit(power: int) -> float:
    return float(np.ldexp(1.0, power))


def _exponent(values: NDArray[np.float64]) -> int:
    """Return an e such that no absolute value is above `2**(e - 1)`."""
    return int(np.frexp(np.abs(values).max(initial=0.0))[1]) + 1


def _split(values: NDArray[np.float64], exponent: int, base: int, count: int) -> tuple[list[Digits], bool]:
    """Split floats into digits between -2**(base - 1) and 2**(base - 1); also return whether some is left.

    The k-th digit counts `2**(exponent - base * (k + 1))`; what is left is below 1 of the last one.
    """
    rest = np.ldexp(values, base - exponent)
    inexact = not np.array_equal(np.ldexp(rest, exponent - base), values)
    parts = []
    for _ in range(count):
        digit = np.rint(rest)
        parts.append(digit.astype(np.int64))
        rest = np.ldexp(rest - digit, base)
    return parts, inexact or bool(rest.any())


def _carry(sums: Digits, base: int) -> None:
    """Bring all digits but the first between -2**(base - 1) and 2**(base - 1)."""
    half = 1 << (base - 1)
    for k in range(sums.shape[-1] - 1, 0, -1):
        over = (sums[..., k] + half) >> base
        sums[..., k] -= over << base
        sums[..., k - 1] += over


def _spread(rows: Sequence[EnclosedRow], columns: int) -> int:
    """Bound how far a determinant of so many columns of these rows is from the true one.

    A determinant is linear in each row and at most the product of the rows' sums of absolute values.
    """
    sizes = [sum(map(abs, row.entries[:columns])) for row in rows]
    larger = [size + columns * row.error for size, row in zip(sizes, rows, strict=True)]
    return prod(larger) - prod(sizes)


def enclosed_sign(row: EnclosedRow, planes: Sequence[EnclosedRow]) -> int:
    """Return the sign of a row at the point on d hyperplanes; 0 where the errors leave it open.

    Examples
    --------
    >>> planes = [EnclosedRow((1000, 0, -1000), 1), EnclosedRow((0, 1, 0), 0)]
    >>> enclosed_sign(EnclosedRow((1, 0, -2), 0), planes), enclosed_sign(EnclosedRow((1, 0, -1), 0), planes)
    (-1, 0)
    """
    d = len(planes)
    if d > MOST_PLANES:
        return 0
    try:
        vertex = solve_vertex([plane.entries for plane in planes])
    except SolverError:
        return 0
    value = dot(row.entries, vertex)
    if vertex[-1] <= _spread(planes, d) or abs(value) <= _spread([row, *planes], d + 1):
        return 0
    return 1 if value > 0 else -1


def enclosed_point(planes: Sequence[EnclosedRow]) -> tuple[list[float], float] | None:
    """Return the point on d hyperplanes as floats and a bound of its error; None where there is no bound.

    Examples
    --------
    >>> point, error = enclosed_point([EnclosedRow((3 << 60, 0, -(1 << 60)), 1), EnclosedRow((0, 1, 0), 0)])
    >>> point, error < 1e-15
    ([0.3333333333333333, 0.0], True)
    """
    d = len(planes)
    if d > MOST_PLANES:
        return None
    try:
        *numerators, w = solve_vertex([plane.entries for plane in planes])
    except SolverError:
        return None
    spread = _spread(planes, d + 1)
    if w <= spread:
        return None
    values = [int(x) / int(w) for x in numerators]
    size = max(map(abs, values))
    share = int(spread) / int(w - spread)
    return values, ENLARGED * (share * (1.0 + size) + 2.0**-52 * size) + SMALLEST
