"""`decision_boundary`: find the cells in which a decision changes, and the pieces between them.

The network gets one more unit, whose breakpoint is the boundary (`cut_networks`); an engine lists the cells
of that, and the facets across which the decision changes are the pieces.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from regions.analysis.boundaries.boundary_complex import BoundaryComplex
from regions.analysis.boundaries.cut_networks import (
    labels_of_cells,
    network_cut_at_level,
    network_with_winner,
)
from regions.analysis.boundaries.exact_pieces import (
    FoundPieces,
    find_pieces,
    ring_of,
    segment_of,
    volumes_of_pieces,
)
from regions.analysis.boundaries.pruned_search import NearCells, search_undecided
from regions.analysis.boundaries.vertex_bounds import VertexBounds
from regions.complexes import Arithmetic, FacetTable
from regions.domain import Domain
from regions.enumeration import enumerate_cells
from regions.enumeration.limits import Limits, checked_limits
from regions.errors import InvalidDomainError, InvalidInputError
from regions.network.patterns import flat_units, pack
from regions.network.relu_network import Network
from regions.rational import ExactNetwork
from regions.rational.affine_maps import float_row

__all__ = ["checked_level", "decision_boundary"]

LARGEST_DIMENSION = 8
ALL_CELLS = 2_000_000  # so many are listed sooner than any are left out


def decision_boundary(
    network: Network,
    domain: Domain,
    pairs: Iterable[tuple[int, int]] | None = None,
    level: float | None = None,
    *,
    arithmetic: Arithmetic = "certified",
    workers: int | None = None,
    progress: Callable[[int, float], None] | None = None,
    prune: bool | None = None,
    **limits: Unpack[Limits],
) -> BoundaryComplex:
    """Return the set on which a network's decision changes, exactly.

    The decision is the first largest output; of a network of one output, whether it is above a level. Where
    several outputs tie on a set with an interior, the first of them decides there, and the boundary is the
    border of that set.

    Parameters
    ----------
    network : Network
    domain : Box, Segment, Slice or Polytope of dimension 1 to 8
    pairs : pairs of classes, whose common boundary alone is wanted; default all; of several outputs only
    level : float, of one output only; default 0
    arithmetic, workers, progress, max_cells, max_seconds : as for `enumerate_cells`
    prune : bool, whether subtrees of the search are left out where bounds show that the decision is one and
        the same; default: where there are more than 2,000,000 cells. Never with max units in the network.
        All cells take 10 to 40 microseconds each, and memory; a node that is looked at takes a millisecond or
        more, and one thread.

    Returns
    -------
    BoundaryComplex
        Checked: inside of the domain no ridge has one piece only, and of a level, or of two classes, each has
        an even number.

    Raises
    ------
    InvalidInputError, InvalidDomainError
        If an argument cannot be used.
    CertificateError
        If the result fails one of its checks.

    Notes
    -----
    Cost: that of listing the network's cells, and some milliseconds of rational arithmetic for each piece.

    References
    ----------
    Berzins, Polyhedral complex extraction from ReLU networks using edge subdivision, ICML 2023; Grigsby and
    Lindsey, On transversality of bent hyperplane arrangements and the topological expressiveness of ReLU
    neural networks, 2022.

    Examples
    --------
    >>> from regions import Box, Network
    >>> largest = Network.from_arrays([[[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]]], [[0.0, 0.0, 0.0]])
    >>> boundary = decision_boundary(largest, Box([-2.0, -2.0], [2.0, 2.0]))
    >>> {pair: round(length, 6) for pair, length in boundary.volume_by_pair().items()}
    {(0, 1): 2.828427, (0, 2): 2.236068, (1, 2): 2.236068}
    """
    started = time.perf_counter()
    wanted = _checked_pairs(network, pairs)
    height = checked_level(network, level)
    if isinstance(domain, Domain) and not (domain.is_bounded and domain.dimension <= LARGEST_DIMENSION):
        raise InvalidDomainError(
            f"a decision boundary takes a bounded domain of 1 to {LARGEST_DIMENSION} dimensions, not "
            f"{domain.describe()}; give a box or a slice"
        )
    cut = network_with_winner(network) if height is None else network_cut_at_level(network, height)
    near = _cells_beside(
        (network, cut, height),
        domain,
        prune,
        limits,
        arithmetic=arithmetic,
        workers=workers,
        progress=progress,
    )
    labels = labels_of_cells(near.patterns, network.output_dim)
    rows = _rows_between(near.facets, labels)
    found = find_pieces(
        ExactNetwork(cut, domain),
        near.patterns,
        np.stack([near.facets.cell_a[rows], near.facets.cell_b[rows]], axis=1),
        _hints(cut, near.facets, rows),
    )
    seconds = time.perf_counter() - started
    whole = _complex_of((network, domain, height), near, (rows, labels), found, seconds)
    whole.check()
    return whole if wanted is None else _between(whole, wanted)


def _checked_pairs(network: Network, pairs: Any) -> set[tuple[int, int]] | None:
    """Return the pairs of classes that are wanted, the smaller one first; None: all."""
    if not isinstance(network, Network):
        raise InvalidInputError(
            f"network is a {type(network).__name__}; make a Network with from_arrays, from_torch, from_onnx, "
            "from_sklearn or load_network"
        )
    if pairs is None:
        return None
    classes = network.output_dim
    if classes == 1:
        raise InvalidInputError("pairs are of a network of several outputs; this one has one: give a level")
    found = set()
    try:
        listed = [(int(i), int(j)) for i, j in pairs]
    except (TypeError, ValueError):
        raise InvalidInputError(
            f"pairs is {pairs!r}; give pairs of classes such as [(0, 1), (2, 5)]"
        ) from None
    for i, j in listed:
        if not (0 <= i < classes and 0 <= j < classes and i != j):
            raise InvalidInputError(f"pair ({i}, {j}): give two different classes of 0 to {classes - 1}")
        found.add((min(i, j), max(i, j)))
    return found


def checked_level(network: Network, level: Any) -> float | None:
    """Return the level of one output, None of several."""
    if network.output_dim > 1:
        if level is not None:
            raise InvalidInputError(
                f"a level is of a network of one output; this one has {network.output_dim}: give pairs"
            )
        return None
    if level is None:
        return 0.0
    if isinstance(level, bool | str) or not np.isreal(level) or not math.isfinite(level):
        raise InvalidInputError(f"level is {level!r}; give a finite number")
    return float(level)


def _cells_beside(
    networks: tuple[Network, Network, float | None],
    domain: Domain,
    prune: bool | None,
    limits: Limits,
    **options: Any,
) -> NearCells:
    """List cells of the network with a unit more: all, or those on which the decision may change."""
    network, cut, height = networks
    max_cells, max_seconds = checked_limits("decision_boundary", limits)
    bounded = network.max_units is None
    if prune and not bounded:
        raise InvalidInputError("prune takes no network with max units: leave it out")
    if not prune:
        most = max_cells
        if prune is None and bounded and (max_cells is None or max_cells > ALL_CELLS):
            most = ALL_CELLS
        cells = enumerate_cells(cut, domain, max_cells=most, max_seconds=max_seconds, **options)
        if most == max_cells or cells.certificate.stopped_by != "max_cells":
            return NearCells(
                cells.unpacked_patterns(), cells.facets, cells.status, cells.certificate, dropped=0
            )
    decided = VertexBounds(network, domain, height).decided
    return search_undecided(cut, domain, decided, limits=(max_cells, max_seconds), **options)


def _rows_between(table: FacetTable, labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the facets across which the decision changes."""
    inner = np.flatnonzero(table.interior)
    return inner[labels[table.cell_a[inner]] != labels[table.cell_b[inner]]]


def _hints(cut: Network, table: FacetTable, rows: NDArray[np.int64]) -> list[list[int]]:
    """Return the units on whose breakpoints the facets of the first cell of each row lie."""
    needed = set(table.cell_a[rows].tolist())
    inner = np.flatnonzero(table.layer >= 0)
    flat = flat_units(cut.unit_offsets, table.layer[inner], table.unit[inner]).tolist()
    units: dict[int, list[int]] = {cell: [] for cell in needed}
    for unit, a, b in zip(flat, table.cell_a[inner].tolist(), table.cell_b[inner].tolist(), strict=True):
        for cell in (a, b):
            if cell in units:
                units[cell].append(unit)
    return [units[cell] for cell in table.cell_a[rows].tolist()]


def _complex_of(
    asked: tuple[Network, Domain, float | None],
    near: NearCells,
    listed: tuple[NDArray[np.int64], NDArray[np.int64]],
    found: FoundPieces,
    seconds: float,
) -> BoundaryComplex:
    """Put the pieces together, in the order in which they were found."""
    (network, domain, level), (rows, labels) = asked, listed
    table, d = near.facets, domain.dimension
    order = np.argsort(found.number)
    rows = rows[order]
    a, b = table.cell_a[rows], table.cell_b[rows]
    falling = labels[a] > labels[b]
    first, second = np.where(falling, b, a), np.where(falling, a, b)
    normals = np.zeros((len(rows), d))
    pieces = []
    for piece, (k, first_has_row) in enumerate(zip(order.tolist(), (~falling).tolist(), strict=True)):
        # the row is positive in cell a; the normal goes to the second class
        row = [-x for x in found.rows[k]] if first_has_row else list(found.rows[k])
        normals[piece] = float_row(row[:-1])
        pieces.append(_in_order(found, piece, row))
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    own = near.patterns[:, : network.n_units]
    points = [[x / point[-1] for x in point[:-1]] for point in found.faces.points]
    return BoundaryComplex(
        network=network,
        domain=domain,
        level=level,
        points=np.array(points).reshape(-1, d),
        pieces=tuple(pieces),
        pairs=np.stack([labels[first], labels[second]], axis=1),
        volumes=volumes_of_pieces(found.faces) if near.sides_differ else table.volume[rows],
        normals=normals / lengths,
        patterns=pack(own[first]),
        crosses=(own[first] == own[second]).all(axis=1),
        status=near.status,
        certificate=near.certificate,
        faces=found.faces,
        seconds=seconds,
    )


def _in_order(found: FoundPieces, piece: int, row: list[int]) -> tuple[int, ...]:
    """Return the vertices of a piece, in the order that its dimension has."""
    match len(row) - 1:
        case 2:
            return tuple(segment_of(found.faces, piece, row))
        case 3:
            return tuple(ring_of(found.faces, piece, row))
        case _:
            return found.faces.faces[-1][piece]


def _between(whole: BoundaryComplex, wanted: set[tuple[int, int]]) -> BoundaryComplex:
    """Return the part of a boundary between some pairs of classes."""
    kept = [k for k, pair in enumerate(map(tuple, whole.pairs.tolist())) if pair in wanted]
    faces, vertices = whole.faces.part(kept)
    place = {old: new for new, old in enumerate(vertices)}
    return BoundaryComplex(
        network=whole.network,
        domain=whole.domain,
        level=whole.level,
        points=whole.points[vertices],
        pieces=tuple(tuple(place[v] for v in whole.pieces[k]) for k in kept),
        pairs=whole.pairs[kept],
        volumes=whole.volumes[kept],
        normals=whole.normals[kept],
        patterns=whole.patterns[kept],
        crosses=whole.crosses[kept],
        status=whole.status,
        certificate=whole.certificate,
        faces=faces,
        seconds=whole.seconds,
    )
