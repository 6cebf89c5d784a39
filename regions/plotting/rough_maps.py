"""The maps of all cells of a large planar complex, from one of them and from what changes at facets.

Where one unit bends, the maps of two neighbours differ by a product: of what the rest of the network makes of
the unit, a column, and of the unit's own function, which is 0 on the facet. The size of the product is the
jump that the facet table has, its direction is the facet's normal, so only the column's direction is left to
find. One of a late layer takes few operations, and a tree that prefers late layers reaches all cells. The
sums round: whoever needs the map of a cell itself takes it from `output_maps`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree

from regions.network.slopes import slopes_at
from regions.plotting.output_maps import maps_of_patterns

if TYPE_CHECKING:
    from regions.complexes import CellComplex

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Singles = NDArray[np.float32]

CROWDED = 20_000  # cells, above which pictures are made of pixels, and rough maps sort out what is certain
ROUGH = 1e-5  # of the largest slope and value: maps that differ more where they were compared are not given
_MOST_NUMBERS = 1 << 25
_ROWS = 8192
_COMPARED = 64
_SHORT = 1e-7  # of the domain: facets whose ends do not tell their direction well


class RoughMaps(NamedTuple):
    """The outputs on cell i at x are ``(x - middle) @ A[i] + c[i]``, but for roundings.

    Attributes
    ----------
    A : (n, 2, out) float32
    c : (n, out) float32
    middle : (2,) float64, intrinsic
    doubtful : (n,) bool, cells at whose facets slopes do not differ by the jump that is known
    """

    A: Singles
    c: Singles
    middle: Floats
    doubtful: NDArray[np.bool_]


class _Tree(NamedTuple):
    """A tree of all cells, in an order in which each comes after its parent, the root first."""

    order: Ints  # (n,) cells
    parent: Ints  # (n - 1,) where in the order the parent of each is, but of the root's; ascending
    row: Ints  # (n - 1,) the facet between the two


_KEPT: WeakKeyDictionary[CellComplex, RoughMaps | None] = (
    WeakKeyDictionary()
)  # colours and lines ask for them


def rough_maps(complex: CellComplex) -> RoughMaps | None:
    """Return the maps of all cells, a step from cell to cell; None where that is not possible.

    It is possible for a connected complex of two dimensions, with the rings of its cells, of a network with
    dense matrices and no max units. Some cells are compared with the products of their weights, and no maps
    are given where these differ.

    Examples
    --------
    >>> from regions import Box, Network, enumerate_cells
    >>> cross = Network.from_arrays([np.eye(2), [[1.0, 2.0]]], [np.zeros(2), np.ones(1)])
    >>> maps = rough_maps(enumerate_cells(cross, Box([-1.0, -1.0], [1.0, 1.0])))
    >>> sorted(maps.A[:, :, 0].tolist()), maps.c.ravel().tolist()
    ([[0.0, 0.0], [0.0, 2.0], [1.0, 0.0], [1.0, 2.0]], [1.0, 1.0, 1.0, 1.0])
    """
    if complex not in _KEPT:
        with np.errstate(all="ignore"):  # what leaves float32 agrees with nothing it is compared with
            _KEPT[complex] = _maps_by_facets(complex)
    return _KEPT[complex]


def _maps_by_facets(complex: CellComplex) -> RoughMaps | None:
    network, n = complex.network, complex.n_cells
    dense = all(isinstance(weight, np.ndarray) for weight in network.operators)
    known = complex.rings is not None and dense and network.max_units is None
    if not known or 3 * n * network.output_dim > _MOST_NUMBERS:
        return None
    tree = _tree(complex)
    if tree is None:
        return None
    corners = complex.domain.vertices
    middle = 0.5 * (corners.min(axis=0) + corners.max(axis=0))
    steps = _steps(complex, tree, middle)
    sums = np.empty(steps.shape)
    sums[0] = _exact(complex, tree.order[:1], middle)[0]
    begin, end = 0, 1
    while end < n:
        begin, end = end, 1 + int(np.searchsorted(tree.parent, end))
        np.add(sums[tree.parent[begin - 1 : end - 1]], steps[begin:end], out=sums[begin:end])
    found = np.empty(sums.shape, dtype=np.float32)
    found[tree.order] = sums
    some = np.unique(np.linspace(0, n - 1, _COMPARED).astype(np.int64))
    allowed = ROUGH * np.abs(found).max(axis=(0, 2))[:, None]
    if not (np.abs(_exact(complex, some, middle) - found[some]) <= allowed).all():
        return None
    return RoughMaps(found[:, :2], found[:, 2], middle, _doubtful(complex, tree, found[:, :2]))


def _doubtful(complex: CellComplex, tree: _Tree, A: Singles) -> NDArray[np.bool_]:
    """Return which cells are at a facet where slopes do not differ by the jump of the facet table."""
    facets = complex.facets
    beside = facets.interior.copy()
    beside[tree.row] = False
    rows = np.flatnonzero(beside)
    a, b = facets.cell_a[rows], facets.cell_b[rows]
    flat = A.reshape(len(A), -1)
    apart = flat[a]
    apart -= flat[b]
    jump = np.sqrt(np.einsum("fk,fk->f", apart, apart))
    wrong = ~(np.abs(jump - facets.jump[rows]) <= ROUGH * np.abs(flat).max())
    doubtful = np.zeros(len(A), dtype=np.bool_)
    doubtful[a[wrong]] = doubtful[b[wrong]] = True
    return doubtful


def _exact(complex: CellComplex, cells: Ints, middle: Floats) -> Floats:
    """Return slopes and values in the middle, (k, 3, out), of cells by the products of their weights."""
    A, c = maps_of_patterns(complex, complex.patterns[cells])
    return np.concatenate([A.transpose(0, 2, 1), (A @ middle + c)[:, None]], axis=1)


def _tree(complex: CellComplex) -> _Tree | None:
    """Return a tree by facets of late layers, not short if possible; None if cells are not connected."""
    facets, n = complex.facets, complex.n_cells
    rows = np.flatnonzero(facets.interior)
    a, b = facets.cell_a[rows], facets.cell_b[rows]
    n_layers = len(complex.network.widths)
    short = facets.volume[rows] < _SHORT * float(np.ptp(complex.domain.vertices, axis=0).max())
    cost = (n_layers - facets.layer[rows]) + n_layers * short
    weight = (cost * len(rows) + np.arange(len(rows))).astype(np.float64)  # which tells the row
    edges = minimum_spanning_tree(coo_array((weight, (a, b)), shape=(n, n)).tocsr()).tocoo()
    order, parent_of = breadth_first_order(edges, 0, directed=False)
    if len(order) < n:
        return None
    order = order.astype(np.int64)
    child = np.where(parent_of[edges.row] == edges.col, edges.row, edges.col)
    row_of = np.empty(n, dtype=np.int64)
    row_of[child] = rows[edges.data.astype(np.int64) % len(rows)]
    place = np.empty(n, dtype=np.int64)
    place[order] = np.arange(n)
    return _Tree(order, place[parent_of[order[1:]]], row_of[order[1:]])


def _steps(complex: CellComplex, tree: _Tree, middle: Floats) -> Singles:
    """Return what slopes and value in the middle of a cell have more than its parent's: (n, 3, out)."""
    facets, cells = complex.facets, tree.order[1:]
    segments, _ = complex.some_facet_simplices(tree.row)
    along = segments[:, 1] - segments[:, 0]
    # towards the active side, which is left of the way from corner to corner
    length = np.hypot(along[:, 0], along[:, 1])
    towards = middle - segments[:, 0]
    plane = np.empty((len(cells), 3))
    plane[:, 0], plane[:, 1] = -along[:, 1], along[:, 0]
    plane[:, 2] = along[:, 0] * towards[:, 1] - along[:, 1] * towards[:, 0]
    jump = facets.jump[tree.row] / np.where(length > 0.0, length, 1.0)
    plane *= np.where(facets.cell_a[tree.row] == cells, jump, -jump)[:, None]
    found = np.zeros((len(cells) + 1, 3, complex.network.output_dim), dtype=np.float32)
    weights = [weight.astype(np.float32) for weight in complex.network.operators]
    for layer in range(len(complex.network.widths)):
        own = np.flatnonzero(facets.layer[tree.row] == layer)
        for start in range(0, len(own), _ROWS):
            some = own[start : start + _ROWS]
            column = _columns(complex, weights, layer, facets.unit[tree.row[some]], cells[some])
            size = np.sqrt(np.einsum("ko,ko->k", column, column))
            column /= np.where(size > 0.0, size, 1.0)[:, None]
            found[some + 1] = plane[some, :, None] * column[:, None, :]
    return found


def _columns(
    complex: CellComplex, weights: list[Singles], layer: int, units: NDArray[np.int32], cells: Ints
) -> Singles:
    """Return how outputs change with what units of a layer put out, on cells beside them: (k, out)."""
    network = complex.network
    at = int(np.flatnonzero(network.relu)[layer])
    pair = network.slopes[at]
    bend = np.ones((len(units), 1), np.float32)
    if pair is not None:
        bend = np.sign(pair[1, units] - pair[0, units]).astype(np.float32)[:, None]
    if at + 1 == network.n_layers:
        return np.eye(network.output_dim, dtype=np.float32)[units] * bend
    first = int(network.unit_offsets[layer + 1])
    bits = np.unpackbits(complex.patterns[cells, first // 8 :], axis=1, bitorder="little").view(np.bool_)
    bits = bits[:, first % 8 :]
    column = np.ascontiguousarray(weights[at + 1].T)[units]
    column *= bend
    for k in range(at + 1, network.n_layers):
        if k > at + 1:
            column = column @ weights[k].T
        if network.relu[k]:
            width = column.shape[1]
            own, bits, pair = bits[:, :width], bits[:, width:], network.slopes[k]
            column *= own if pair is None else slopes_at(pair, own)
    return column
