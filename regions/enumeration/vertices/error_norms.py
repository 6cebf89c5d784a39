"""Tighter errors of the maps of a large network, by the Euclidean norms of its layers.

The kernels carry errors on by the weights' absolute values, so that bounds of them grow with every layer by
the sums of these. All errors of a layer together grow by its matrix's spectral norm, which is much less where
weights have both signs; where a search asks for exact answers, bounds from that are put in their place first.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from regions.enumeration.compiled_network import LARGEST_EXPONENT, CompiledNetwork, rounding
from regions.kernels.memory.layouts import SearchMemory
from regions.network.layer_matrices import Matrix, is_sparse, most_terms, values_of, with_values
from regions.network.relu_network import Network
from regions.rational.float_rows import in_integers
from regions.rational.row_enclosures import EnclosedRow

__all__ = ["ErrorNorms", "ErrorsOnPath", "radius_of", "spectral_bound"]

FloatArray = NDArray[np.float64]

ENLARGED = 1.0 + 1e-8  # covers the rounding of the bounds themselves
SMALLEST = 1e-280  # covers what underflow can lose of them
MOST_WORK = 2e9  # of one factorisation
POWER_STEPS = 40
MARGINS = (1.01, 1.1, 1.5)  # over what the power method has found
BETTER = 0.5  # bounds are put in place where some asked for become less than so many of what they were


class _Norms:
    """Bounds of the spectral norms of a network's matrices and of their absolute values, found once."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.found: dict[int, tuple[float, float]] = {}

    def of(self, network: Network, layer: int) -> tuple[float, float]:
        with self.lock:
            if layer not in self.found:
                matrix = network.operators[layer]
                self.found[layer] = spectral_bound(matrix), _absolute_bound(matrix)
            return self.found[layer]


_known: weakref.WeakKeyDictionary[Network, _Norms] = weakref.WeakKeyDictionary()


class ErrorNorms:
    """Tightens the errors of maps of a network on a domain, in the memory of a search.

    The error of a map is the sum of those of its coefficients, times the domain's largest coordinate,
    and of its constant. With the vectors e of a layer's errors, those of the next layer are W e' plus
    what its sums round, where e' has the errors that reach it, each times at most the largest slope. So
    are their norms, with that of W; and one of them is at most the norm of its row of W times that of e'.

    Parameters
    ----------
    net : CompiledNetwork
    """

    def __init__(self, net: CompiledNetwork) -> None:
        self._net = net
        network = net.network
        self._norms = _known.setdefault(network, _Norms())
        self._row_norms: dict[int, FloatArray] = {}
        self.extent = float(net.arrays["extents"].max())
        exponents = [int(np.frexp(np.abs(values_of(w)).max(initial=0.0))[1]) for w in network.operators]
        # else the kernels have other weights
        self.serves = max(map(abs, exponents)) <= LARGEST_EXPONENT

    def tighten(self, memory: SearchMemory) -> bool:
        """Tighten the errors of the layer that a node is about to enter; returns whether it is to try again.

        Only there: errors of a layer that nodes wait in would then depend on what was searched before them.
        """
        layer = int(memory.ask_layer)
        path = self.path(memory)
        if path is None or path.inside or layer == 0:
            return False
        errors = path.rows(layer)[self._net.dimension + 1]
        found = path.errors(layer)
        asked = memory.questions[: int(memory.asked), 1]
        asked = asked[(asked >= 0) & (asked < errors.size)]
        places = asked if asked.size else np.arange(errors.size)
        better = bool((found[places] < BETTER * errors[places]).any())
        if better:
            np.minimum(errors, found, out=errors)
        return better

    def path(self, memory: SearchMemory) -> ErrorsOnPath | None:
        """Return the maps on the way to a node that asks, with their errors; None if they are not found.

        On the way to a node its layer's map is followed by those of the next layer: one for the node, and one
        for each node of the layer that waits below it on the stack.
        """
        top, layer = int(memory.n_nodes) - 1, int(memory.ask_layer)
        nodes = memory.held["nodes"]
        waiting = np.bincount(nodes["layer"][:top] + 1, minlength=layer + 2)[1:]
        slots = [0]
        for k in range(layer):
            slots.append(slots[-1] + 1 + int(waiting[k]))
        inside = int(nodes[top]["layer"]) == layer
        true = int(nodes[top]["map_slot" if inside else "next_slot"])
        if not self.serves or slots[layer] != true:
            return None
        return ErrorsOnPath(self, self._net, memory.held["slots"], slots, inside)

    def of(self, layer: int) -> tuple[float, float]:
        """Return bounds of the spectral norms of a layer's matrix and of its absolute values."""
        return self._norms.of(self._net.network, layer)

    def of_rows(self, layer: int) -> FloatArray:
        """Return bounds of the norms of a matrix's rows."""
        if layer not in self._row_norms:
            matrix = self._net.network.operators[layer]
            squares = with_values(matrix, values_of(matrix) ** 2)
            self._row_norms[layer] = np.sqrt(np.asarray(squares.sum(axis=1)).ravel()) * ENLARGED + SMALLEST
        return self._row_norms[layer]


class ErrorsOnPath:
    """The maps of the layers on the way to a node, with errors from norms.

    `inside` says that the node is in the last of the layers, else it is about to enter it.
    """

    def __init__(
        self, norms: ErrorNorms, net: CompiledNetwork, maps: FloatArray, slots: list[int], inside: bool
    ) -> None:
        self._norms, self._net, self._maps, self._slots = norms, net, maps, slots
        self.inside = inside
        self._reached: list[tuple[float, float]] = []  # norms of errors and of sizes that reach each layer

    def rows(self, layer: int) -> FloatArray:
        """Return a layer's map in the search's memory: rows coefficients, constant, errors."""
        return self._maps[self._slots[layer], : self._net.dimension + 2, : self._net.width[layer]]

    def errors(self, layer: int) -> FloatArray:
        """Bound the errors of a layer's values, from 1 on."""
        reached, sizes = self._reaching(layer)
        gamma = self._net.arrays["roundings"][layer]
        found = self._norms.of_rows(layer) * (reached + gamma * sizes)
        found += gamma * np.abs(self._net.network.biases[layer])
        return np.asarray(found * ENLARGED + SMALLEST)

    def row(self, unit: int) -> tuple[FloatArray, float]:
        """Return a unit's row (d + 1,), and the error that it has in the domain."""
        starts, d = self._net.arrays["unit_starts"], self._net.dimension
        layer = int(np.searchsorted(starts, unit, "right")) - 1
        rows, place = self.rows(layer), unit - int(starts[layer])
        error = float(rows[d + 1, place])
        if layer:
            error = min(error, float(self.errors(layer)[place]))
        return rows[: d + 1, place].copy(), error

    def enclosed(self, unit: int) -> EnclosedRow | None:
        """Return a unit's row with an error, coefficients times the power of two above the extent."""
        row, error = self.row(unit)
        row[:-1] = np.ldexp(row[:-1], self.power)
        return in_integers(row, 2.0 * error * ENLARGED + SMALLEST)

    @property
    def power(self) -> int:
        """The power of two above the domain's largest coordinate."""
        return int(np.frexp(self._norms.extent)[1])

    def _reaching(self, layer: int) -> tuple[float, float]:
        """Bound the norms of the errors and of the sizes of what a layer acts on."""
        d, net, norms = self._net.dimension, self._net, self._norms
        while len(self._reached) < layer:
            k = len(self._reached)  # the layer below
            rows = self.rows(k)
            lengths = np.linalg.norm(rows, axis=1) * ENLARGED
            norm = float(np.sqrt(d + 1.0)) * float(lengths[d + 1])
            if k:
                errors, sizes = self._reached[k - 1]
                whole, absolute = norms.of(k)
                bias = net.network.biases[k]
                gamma = net.arrays["roundings"][k]
                own = gamma * (absolute * sizes + float(np.linalg.norm(bias)))
                norm = min(norm, whole * errors + own + SMALLEST * bias.size)
            pair = net.network.slopes[k]
            steepest = 1.0 if pair is None else float(np.abs(pair).max())
            size = norms.extent * float(lengths[:d].sum()) + float(lengths[d])
            self._reached.append((steepest * norm * ENLARGED, steepest * size * ENLARGED))
        return self._reached[layer - 1]


def radius_of(point: FloatArray, rows: FloatArray, errors: FloatArray) -> float:
    """Bound how far a point is from where d hyperplanes meet, whose rows have errors; inf: no bound.

    The kernels' `error_bounds` say why.

    Examples
    --------
    >>> rows = np.array([[1.0, 0.0, -1.0], [0.0, 2.0, -1.0]])
    >>> 0.01 <= radius_of(np.array([1.0, 0.5]), rows, np.array([0.01, 0.02])) < 0.0101
    True
    """
    A, d = rows[:, :-1], rows.shape[0]
    gamma = rounding(d + 2)
    try:
        B = np.linalg.inv(A)
    except np.linalg.LinAlgError:
        return float("inf")
    size = np.abs(A) @ np.abs(point) + np.abs(rows[:, -1])
    distance = (np.abs(A @ point + rows[:, -1]) + gamma * size + errors) * ENLARGED + SMALLEST
    off = np.abs(np.eye(d) - B @ A) + 2.0 * gamma * (np.abs(B) @ np.abs(A) + np.eye(d))
    worst, reach = float(off.sum(axis=1).max()), float((np.abs(B) @ distance).max())
    return reach * ENLARGED / (1.0 - ENLARGED * worst) + SMALLEST if worst < 0.5 else float("inf")


def _absolute_bound(matrix: Matrix) -> float:
    """Bound the spectral norm of a matrix's absolute values, by the largest sums of rows and columns."""
    sizes = abs(matrix)
    rows, columns = (float(np.asarray(sizes.sum(axis=axis)).max()) for axis in (0, 1))
    return float(np.sqrt(rows * columns)) * ENLARGED + SMALLEST


def spectral_bound(matrix: Matrix) -> float:
    """Bound the spectral norm of a matrix from above, proven in floating point.

    With G the product of W and its transpose, s I - G is positive definite if its Cholesky factorisation ends
    (up to its rounding), so that the norm's square is at most s. Where that takes long, it is at most the
    largest sum of sizes in a row of G.

    References
    ----------
    Rump, Verification of positive definiteness, BIT 46, 2006; Higham 2002, theorem 10.5.

    Examples
    --------
    >>> bound = spectral_bound(np.array([[3.0, 4.0], [4.0, -3.0]]))
    >>> 5.0 <= bound < 5.1
    True
    """
    W: Matrix = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    W = W.tocsr() if is_sparse(matrix) else np.asarray(W)
    G = W @ W.T
    size = float(_absolute_bound(W) ** 2)  # at least the norm of |W| |W'|
    computed = rounding(most_terms(W) + 2) * size
    crude = float(np.asarray(abs(G).sum(axis=1)).max(initial=0.0))
    best = min(crude + computed, size)
    tried = _in_bands(G.tocsr(), best) if is_sparse(W) else _whole(G, best)
    if tried is not None:
        best = min(best, tried + computed)
    return float(np.sqrt(best)) * ENLARGED + SMALLEST


def _in_bands(G: Matrix, crude: float) -> float | None:
    """Bound the largest eigenvalue of a symmetric matrix by Cholesky factorisations of it in narrow bands."""
    from scipy.linalg import cholesky_banded
    from scipy.sparse.csgraph import reverse_cuthill_mckee

    n = G.shape[0]
    order = reverse_cuthill_mckee(G, symmetric_mode=True)
    places = np.empty(n, np.int64)
    places[order] = np.arange(n)
    entries = G.tocoo()
    row, column = places[entries.row], places[entries.col]
    band = int(np.abs(row - column).max(initial=0))
    if n * float(band + 1) ** 2 > MOST_WORK:
        return None
    below = row >= column
    bands = np.zeros((band + 1, n))
    bands[row[below] - column[below], column[below]] = -entries.data[below]

    def factorise(s: float) -> float:
        shifted = bands.copy()
        shifted[0] += s
        cholesky_banded(shifted, overwrite_ab=True, lower=True, check_finite=False)
        return float(np.abs(bands[0] + s).sum())

    return _shifted(G, factorise, band, crude)


def _whole(G: FloatArray, crude: float) -> float | None:
    """Bound the largest eigenvalue of a symmetric matrix by Cholesky factorisations of all of it."""
    from scipy.linalg import cholesky

    n = len(G)
    if float(n) ** 3 > MOST_WORK:
        return None

    def factorise(s: float) -> float:
        shifted = -G
        shifted.flat[:: n + 1] += s
        diagonal = float(np.abs(shifted.diagonal()).sum())
        cholesky(shifted, lower=True, overwrite_a=True, check_finite=False)
        return diagonal

    return _shifted(G, factorise, n - 1, crude)


def _shifted(G: Matrix, factorise: Callable[[float], float], band: int, crude: float) -> float | None:
    """Find an s for which s I - G has a Cholesky factorisation; bound the largest eigenvalue by it.

    `factorise` returns the sum of the sizes of the diagonal of s I - G, or raises LinAlgError.
    """
    from scipy.linalg import LinAlgError

    vector = np.random.default_rng(0).random(G.shape[0])
    for _ in range(POWER_STEPS):
        vector = G @ vector
        vector /= np.linalg.norm(vector) or 1.0
    largest = float(np.linalg.norm(G @ vector))
    for margin in MARGINS:
        s = margin * largest
        if not 0.0 < s < crude:
            return None
        try:
            diagonal = factorise(s)
        except LinAlgError:
            continue
        # its rounding, and that of the diagonal
        return s + rounding(band + 4) * 2.0 * diagonal + 4.0 * 2.0**-53 * s
    return None
