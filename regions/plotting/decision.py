"""Where a network's decision changes inside each cell of a planar complex, exactly.

On a cell every output is affine, so the class regions inside it are convex polygons and the
decision boundary is made of straight segments: cells are clipped by output differences, many
at once. There is array work only; drawing is left to `cell_pictures`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from regions.plotting.output_maps import CHUNK_CELLS, maps_of_patterns, output_maps
from regions.plotting.rough_maps import CROWDED, ROUGH, RoughMaps, rough_maps

if TYPE_CHECKING:
    from regions.complexes import CellComplex

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_SINGLE = 1e-4  # of the values: more than the roundings of float32 make of them in any network that was tried


@dataclass(frozen=True)
class ClassPieces:
    """Partition of a planar complex into convex pieces with one cell and one class each.

    Attributes
    ----------
    points : (K, 2) float64, corners of the pieces in counterclockwise order, intrinsic
    offsets : (p + 1,) int64, piece k has the corners ``points[offsets[k]:offsets[k + 1]]``
    cell : (p,) int64
    label : (p,) int64, index of the largest output; with one output, 1 where it is positive
    boundary : (s, 2, 2) float64, segments on which the largest output changes
    """

    points: Floats
    offsets: Ints
    cell: Ints
    label: Ints
    boundary: Floats


@dataclass(frozen=True)
class _Polygons:
    """Ragged polygons: corners with their scores, and what the edge leaving each corner is.

    ``edge`` is -1 on an edge of the cell and j on the line where class j takes over.
    """

    points: Floats  # (K, 2)
    scores: Floats  # (K, classes)
    edge: Ints  # (K,)
    offsets: Ints  # (p + 1,)
    cell: Ints  # (p,)


def scores_of(outputs: Floats) -> Floats:
    """Scores whose argmax is the class: the outputs, or (0, output) when there is one.

    Examples
    --------
    >>> scores_of(np.array([[2.0], [-1.0]])).argmax(axis=1)
    array([1, 0])
    """
    if outputs.shape[1] > 1:
        return outputs
    return np.concatenate([np.zeros_like(outputs), outputs], axis=1)


def class_pieces(complex: CellComplex) -> ClassPieces:
    """Cut every cell of a planar complex where the largest output changes.

    Parameters
    ----------
    complex : CellComplex of dimension 2

    Returns
    -------
    ClassPieces
        The pieces tile the cells.  Ties over a whole cell go to the smaller class; the
        arithmetic is float64.  Of more than 20,000 cells those are cut in which rough maps leave it open
        whether one class leads.

    Examples
    --------
    >>> from regions import Box, Network, enumerate_cells
    >>> net = Network.from_arrays([np.eye(2), [[1.0, -1.0]]], [np.zeros(2), np.zeros(1)])
    >>> pieces = class_pieces(enumerate_cells(net, Box([-1.0, -1.0], [1.0, 1.0])))
    >>> float(np.linalg.norm(np.diff(pieces.boundary, axis=1), axis=2).max().round(12))
    1.414213562373
    """
    points, offsets = complex.polygons()
    n = complex.n_cells
    labels = clear_labels(complex) if n > CROWDED else np.full(n, -1, dtype=np.int64)
    clear = np.flatnonzero(labels >= 0)
    found = [(points[_corners_of(offsets, clear)], np.diff(offsets)[clear], clear, labels[clear])]
    boundary: list[Floats] = []
    unclear = np.flatnonzero(labels < 0)
    for start in range(0, len(unclear), CHUNK_CELLS):
        cells = unclear[start : start + CHUNK_CELLS]
        block = _block(complex, cells)
        uniform, label = _uniform_labels(block)
        labels[cells[uniform]] = label[uniform]
        parts = [(label[uniform], _select(block, uniform))]
        for k, pieces in _split_by_class(_select(block, ~uniform)):
            parts.append((np.full(pieces.cell.size, k, dtype=np.int64), pieces))
            boundary.append(_edges_above(pieces, k))
        found += [(part.points, np.diff(part.offsets), part.cell, own) for own, part in parts]
    boundary.append(_boundary_on_facets(complex, labels))
    corners, sizes, cell, label = (np.concatenate(column) for column in zip(*found, strict=True))
    ends = np.concatenate([[0], np.cumsum(sizes)])
    return ClassPieces(corners, ends, cell, label, np.concatenate(boundary))


def clear_labels(complex: CellComplex) -> Ints:
    """Return the class of each cell that has one by a margin, -1 of others: (n,) int64.

    The margin is larger than what the roundings of the maps that are compared can make.

    Examples
    --------
    >>> from regions import Box, Network, enumerate_cells
    >>> net = Network.from_arrays([np.eye(2), [[1.0, -1.0]]], [np.zeros(2), np.zeros(1)])
    >>> sorted(clear_labels(enumerate_cells(net, Box([-1.0, -1.0], [1.0, 1.0]))).tolist())
    [-1, -1, -1, -1]
    """
    points, offsets = complex.polygons()
    away = points - np.repeat(complex.centroids, np.diff(offsets), axis=0)
    radius = np.sqrt(np.maximum.reduceat((away * away).sum(axis=1), offsets[:-1]))
    labels = np.full(complex.n_cells, -1, dtype=np.int64)
    maps = rough_maps(complex)
    middle = np.zeros(2) if maps is None else maps.middle
    share = _SINGLE if maps is None else ROUGH
    for start, stop, A, c in output_maps(complex, single=True) if maps is None else _blocks(maps):
        if A.shape[1] == 1:
            A, c = np.concatenate([np.zeros_like(A), A], axis=1), scores_of(c)
        centre = complex.centroids[start:stop] - middle
        margin = share * (
            np.abs(c).max() + np.abs(A).sum(axis=2).max() * (np.abs(centre).max() + radius.max())
        )
        scores = np.einsum("kod,kd->ko", A, centre) + c
        best = scores.argmax(axis=1)
        rows = np.arange(stop - start)
        steepness = np.linalg.norm(A - A[rows, best][:, None], axis=2)
        lead = scores[rows, best][:, None] - scores - radius[start:stop, None] * steepness
        lead[rows, best] = np.inf
        labels[start:stop] = np.where(lead.min(axis=1) > margin, best, -1)
    if maps is not None:
        labels[maps.doubtful] = -1
    return labels


def _blocks(maps: RoughMaps) -> Iterator[tuple[int, int, Any, Any]]:
    """Yield first and last cell, slopes and values in the middle, as `output_maps` does of values at 0."""
    for start in range(0, len(maps.c), CHUNK_CELLS):
        stop = min(start + CHUNK_CELLS, len(maps.c))
        yield start, stop, maps.A[start:stop].transpose(0, 2, 1), maps.c[start:stop]


def _corners_of(offsets: Ints, cells: Ints) -> Ints:
    """Return which corners cells have, cell after cell."""
    sizes = offsets[cells + 1] - offsets[cells]
    return np.arange(sizes.sum()) + np.repeat(offsets[cells] - np.cumsum(sizes) + sizes, sizes)


def _block(complex: CellComplex, cells: Ints) -> _Polygons:
    """Return cells with the scores at their corners."""
    points, offsets = complex.polygons()
    sizes = offsets[cells + 1] - offsets[cells]
    corners = points[_corners_of(offsets, cells)]
    A, c = maps_of_patterns(complex, complex.patterns[cells])
    owner = np.repeat(np.arange(len(cells)), sizes)
    scores = scores_of(np.einsum("kod,kd->ko", A[owner], corners) + c[owner])
    edges = np.full(len(corners), -1, dtype=np.int64)
    return _Polygons(corners, scores, edges, np.concatenate([[0], np.cumsum(sizes)]), cells)


def _uniform_labels(block: _Polygons) -> tuple[Bools, Ints]:
    """Which cells have one class at all corners, hence everywhere, and that class."""
    best = block.scores == block.scores.max(axis=1, keepdims=True)
    everywhere: Bools = np.logical_and.reduceat(best, block.offsets[:-1], axis=0)
    return np.asarray(everywhere.any(axis=1)), everywhere.argmax(axis=1)


def _select(block: _Polygons, keep: Bools) -> _Polygons:
    """The polygons for which `keep` holds."""
    sizes = np.diff(block.offsets)
    corner = np.repeat(keep, sizes)
    return _Polygons(
        block.points[corner],
        block.scores[corner],
        block.edge[corner],
        np.concatenate([[0], np.cumsum(sizes[keep])]),
        block.cell[keep],
    )


def _split_by_class(mixed: _Polygons) -> Iterator[tuple[int, _Polygons]]:
    """For every class the parts of the polygons in which it has the largest score."""
    if mixed.cell.size == 0:
        return
    possible = _possible_classes(mixed)
    classes = np.flatnonzero(possible.any(axis=0))
    for k in classes:
        part = _select(mixed, possible[:, k])
        for j in classes:
            if j != k and part.cell.size:
                part = _clip(part, int(k), int(j))
        if part.cell.size:
            yield int(k), part


def _possible_classes(mixed: _Polygons) -> Bools:
    """(cells, classes): False where one class beats another at every corner of a cell."""
    starts = mixed.offsets[:-1]
    scores = mixed.scores
    wins = scores == scores.max(axis=1, keepdims=True)
    winners = np.flatnonzero(wins.any(axis=0))
    possible = np.ones((mixed.cell.size, scores.shape[1]), dtype=np.bool_)
    for j in winners:
        lead = np.maximum.reduceat(scores - scores[:, j : j + 1], starts, axis=0)
        possible &= lead >= 0.0
    return possible


def _clip(block: _Polygons, k: int, j: int) -> _Polygons:
    """The parts of convex polygons where score k is at least score j (Sutherland-Hodgman)."""
    value = block.scores[:, k] - block.scores[:, j]
    starts = block.offsets[:-1]
    tie = np.logical_and.reduceat(value == 0.0, starts)
    alive = np.logical_or.reduceat(value > 0.0, starts) | (tie if k < j else False)
    if not alive.all():
        value = value[np.repeat(alive, np.diff(block.offsets))]
        block = _select(block, alive)
    inside = value >= 0.0 if k < j else value > 0.0
    following = np.arange(1, value.size + 1)
    following[block.offsets[1:] - 1] = block.offsets[:-1]
    crosses = inside != inside[following]
    if not crosses.any():
        return block
    emitted = inside.astype(np.int64) + crosses
    place = np.cumsum(emitted) - emitted
    at_corner, at_cut = place[inside], (place + inside)[crosses]
    share = (value / np.where(crosses, value - value[following], 1.0))[crosses, None]

    def emit(column: Floats) -> Floats:
        out = np.empty((int(emitted.sum()), column.shape[1]))
        out[at_corner] = column[inside]
        begin, end = column[crosses], column[following][crosses]
        out[at_cut] = begin + share * (end - begin)
        return out

    edge = np.empty(int(emitted.sum()), dtype=np.int64)
    edge[at_corner] = block.edge[inside]
    edge[at_cut] = np.where(inside[crosses], j, block.edge[crosses])
    sizes = np.add.reduceat(emitted, block.offsets[:-1])
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    return _Polygons(emit(block.points), emit(block.scores), edge, offsets, block.cell)


def _edges_above(pieces: _Polygons, k: int) -> Floats:
    """(s, 2, 2) edges towards a class above k: every boundary segment from one side only."""
    following = np.arange(1, pieces.edge.size + 1)
    following[pieces.offsets[1:] - 1] = pieces.offsets[:-1]
    mine = pieces.edge > k
    return np.stack([pieces.points[mine], pieces.points[following[mine]]], axis=1)


def _boundary_on_facets(complex: CellComplex, labels: Ints) -> Floats:
    """(s, 2, 2) interior facets between cells of one class each, where these differ."""
    facets = complex.facets
    simplices, facet = complex.facet_simplices()
    a, b = labels[facets.cell_a[facet]], labels[facets.cell_b[facet]]
    return simplices[(a != b) & (a >= 0) & (b >= 0)]
