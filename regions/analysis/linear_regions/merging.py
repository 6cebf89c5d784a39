"""Cells with the same affine map, and their components through facets or through any common point."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from regions.analysis.linear_regions.exact_geometry import ExactGeometry
from regions.complexes import CellComplex
from regions.rational import map_residues

Labels = NDArray[np.int64]


def by_first_occurrence(labels: NDArray[Any]) -> Labels:
    """The same partition, numbered 0, 1, ... in the order of first occurrence.

    Examples
    --------
    >>> by_first_occurrence(np.array([7, 3, 7, 5])).tolist()
    [0, 1, 0, 2]
    """
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.empty(first.size, np.int64)
    rank[np.argsort(first)] = np.arange(first.size)
    return rank[inverse.ravel()]


def affine_classes(cells: CellComplex, geometry: ExactGeometry) -> Labels:
    """Label of each cell's affine map on the domain, equal iff the maps are equal, exactly.

    Different residues modulo a prime prove maps different; only where residues agree are the exact
    maps compared. Cost: a matrix product per layer, plus some 100 microseconds per cell whose
    residues another cell shares.

    Returns
    -------
    labels : (n,) int64, numbered by first occurrence
    """
    residues = map_residues(cells.network, cells.domain, cells.unpacked_patterns())
    _, groups, sizes = np.unique(residues, axis=0, return_inverse=True, return_counts=True)
    labels = groups.astype(np.int64).ravel()
    first: dict[int, tuple[int, ...]] = {}
    others: dict[tuple[int, tuple[int, ...]], int] = {}
    for i in np.flatnonzero(sizes[labels] > 1).tolist():
        group = int(labels[i])
        integers = geometry.exact.output_integers(geometry.patterns[i])
        if first.setdefault(group, integers) != integers:
            labels[i] = others.setdefault((group, integers), len(sizes) + len(others))
    return by_first_occurrence(labels)


def open_components(cells: CellComplex, classes: Labels) -> Labels:
    """Components of cells joined through facets between equal maps, (n,) int64."""
    table = cells.facets
    a, b = table.cell_a[table.interior], table.cell_b[table.interior]
    same = classes[a] == classes[b]
    return _components(cells.n_cells, a[same], b[same])


def closed_components(classes: Labels, opens: Labels, geometry: ExactGeometry) -> Labels:
    """Components of cells of equal maps that have any point in common, (n,) int64.

    Cells meet in common faces, so two that meet have a common vertex. Exact vertices are computed
    only for maps that have more than one open component.
    """
    pairs = np.unique(np.stack([classes, opens], axis=1), axis=0)
    several = np.bincount(pairs[:, 0]) > 1
    members = np.flatnonzero(several[classes]) if classes.size else np.zeros(0, np.int64)
    holder: dict[tuple[int, int], int] = {}
    left, right = [], []
    for i in members.tolist():
        for vertex in geometry.vertices(i):
            other = holder.setdefault((int(classes[i]), vertex), i)
            if other != i:
                left.append(other)
                right.append(i)
    chain = np.unique(opens, return_index=True)[1][opens]  # first cell of each open component
    a = np.concatenate([np.arange(classes.size), np.array(left, np.int64)])
    b = np.concatenate([chain, np.array(right, np.int64)])
    return _components(classes.size, a, b)


def _components(n: int, a: Labels, b: Labels) -> Labels:
    graph = coo_array((np.ones(a.size, np.int8), (a, b)), shape=(n, n))
    return by_first_occurrence(connected_components(graph, directed=False)[1])
