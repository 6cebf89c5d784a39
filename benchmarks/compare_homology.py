"""Persistent homology of outputs: our reduction of the faces of cells against gudhi's of simplices.

gudhi is used from outside, as nothing here depends on it:

    pip install gudhi
    python benchmarks/compare_homology.py

Faces are cut into simplices without new vertices, and gudhi gets the ranks of the vertices by their exact
heights, so that nothing is rounded. All pairs of all dimensions must be the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import gudhi
import numpy as np

from regions import Box, Network, enumerate_cells, persistence
from regions.analysis.boundaries.exact_pieces import simplices_of_pieces
from regions.analysis.topology import filtrations
from regions.analysis.topology.reduction import reduced

CASES = ((2, (32, 32, 32)), (2, (64, 64)), (3, (12, 12)), (3, (24, 16)), (4, (8, 6)), (5, (6, 4)))


def random_network(widths: tuple[int, ...]) -> Network:
    """Return a network with He weights."""
    rng = np.random.default_rng(1)
    weights, biases = [], []
    for n, m in pairwise(widths):
        weights.append(rng.normal(size=(m, n)) * np.sqrt(2 / n))
        biases.append(0.3 * rng.normal(size=m))
    return Network.from_arrays(weights, biases)


def timed(run: Callable[..., Any], *arguments: Any) -> tuple[float, Any]:
    """Return the processor seconds of a call, and what it returned."""
    begin = time.process_time()
    found = run(*arguments)
    return time.process_time() - begin, found


def tree_of(simplices: np.ndarray, ranks: dict[int, int]) -> gudhi.SimplexTree:
    """Return gudhi's lower-star filtration of the simplices, by the ranks of their vertices."""
    tree = gudhi.SimplexTree()
    tree.insert_batch(simplices.T.astype(np.int32), np.full(len(simplices), -np.inf))
    for vertex, rank in ranks.items():
        tree.assign_filtration([vertex], float(rank))
    tree.make_filtration_non_decreasing()
    return tree


def main() -> None:
    for d, hidden in CASES:
        cells = enumerate_cells(random_network((d, *hidden, 1)), Box([-1] * d, [1] * d))
        seconds, (faces, heights) = timed(filtrations._heights_of, cells, 0, 20_000)
        order, _ = filtrations._lower_star_order(faces, heights)
        place = {face: n for n, face in enumerate(order)}
        below = [[place[k - 1, part] for part in faces.below[k][number]] for k, number in order]
        ours, _ = timed(reduced, below, [k for k, _ in order])
        simplices, _ = simplices_of_pieces(faces)
        ranked = sorted(range(len(heights)), key=lambda v: (heights[v], v))
        ranks = {vertex: rank for rank, vertex in enumerate(ranked)}
        building, tree = timed(tree_of, simplices, ranks)
        theirs, _ = timed(tree.compute_persistence, 2, 0, True)
        for k, pairs in enumerate(persistence(cells).pairs):
            found = []
            for birth, death in tree.persistence_intervals_in_dimension(k):
                low = heights[ranked[int(birth)]]
                high = None if death == np.inf else heights[ranked[int(death)]]
                found += [] if high is not None and low == high else [(low, high)]
            if sorted(found, key=str) != sorted(pairs, key=str):
                raise SystemExit(f"other pairs of dimension {k}")
        print(
            f"{d}-{'-'.join(map(str, hidden))}-1: {cells.n_cells:,} cells, {len(order):,} faces in "
            f"{seconds:.2f} s, reduced in {ours:.3f} s; {tree.num_simplices():,} simplices, gudhi's tree "
            f"{building:.3f} s, reduction {theirs:.3f} s; the same pairs",
            flush=True,
        )


if __name__ == "__main__":
    main()
