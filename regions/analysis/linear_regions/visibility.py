"""Points of a region of which no two lie in one convex piece: a lower bound of the number of pieces.

A convex piece that holds two points holds the segment between them; so if that leaves the region, the
points are in different pieces, whatever the pieces are.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import networkx as nx

from regions.analysis.linear_regions.exact_geometry import ExactGeometry
from regions.rational import facet_row, interior_point
from regions.rational.integer_rows import dot

MAX_POINTS = 90
NEAR = Fraction(1, 64)

Point = tuple[Fraction, ...]


def invisible_points(geometry: ExactGeometry, cells: Sequence[int], together: set[tuple[int, int]]) -> int:
    """Size of a set of points in a region's cells of which no two see each other within the region.

    Parameters
    ----------
    geometry : ExactGeometry
    cells : the region's cells
    together : pairs of cells that have a convex union of cells around them, so that all their points
        see each other

    Returns
    -------
    n : int, at least 1; the largest clique among the means of the cells and, for small regions, points
        near their vertices
    """
    points = [(i, point) for i in cells for point in _samples(geometry, i, len(cells))][:MAX_POINTS]
    rows = {i: _inward_rows(geometry, i) for i in cells}
    graph = nx.Graph()
    graph.add_nodes_from(range(len(points)))
    for a, (i, p) in enumerate(points):
        for b, (j, q) in enumerate(points[:a]):
            if (i, j) not in together and not _sees(p, q, rows):
                graph.add_edge(a, b)
    return len(nx.max_weight_clique(graph, weight=None)[0])


def _samples(geometry: ExactGeometry, i: int, n_cells: int) -> list[Point]:
    cell = geometry.cell(i)
    *numerators, w = interior_point(cell)
    mean = tuple(Fraction(x, w) for x in numerators)
    vertices = cell.polytope.vertices
    if n_cells * (1 + len(vertices)) > MAX_POINTS:
        return [mean]
    corners = [[Fraction(x, v[-1]) for x in v[:-1]] for v in vertices]
    return [mean] + [
        tuple(x + NEAR * (m - x) for x, m in zip(corner, mean, strict=True)) for corner in corners
    ]


def _inward_rows(geometry: ExactGeometry, i: int) -> list[tuple[int, ...]]:
    cell, exact = geometry.cell(i), geometry.exact
    return [facet_row(exact, cell.pattern, facet) for facet in cell.facets]


def _sees(p: Point, q: Point, rows: dict[int, list[tuple[int, ...]]]) -> bool:
    """Whether the segment from p to q lies in the union of the cells."""
    parts = sorted(part for inward in rows.values() if (part := _part_inside(p, q, inward)) is not None)
    reached = Fraction(0)
    for start, end in parts:
        if start > reached:
            return False
        reached = max(reached, end)
    return reached >= 1


def _part_inside(p: Point, q: Point, inward: Sequence[tuple[int, ...]]) -> tuple[Fraction, Fraction] | None:
    """The parameters in [0, 1] for which p + s (q - p) lies in a closed cell; None if there are none."""
    start, end = Fraction(0), Fraction(1)
    for row in inward:
        at_p, at_q = dot(row, (*p, 1)), dot(row, (*q, 1))
        if at_p < 0 and at_q < 0:
            return None
        if at_p >= 0 and at_q >= 0:
            continue
        crossing = Fraction(at_p) / (at_p - at_q)
        if at_p < 0:
            start = max(start, crossing)
        else:
            end = min(end, crossing)
    return (start, end) if start <= end else None
