"""What the numbers of a complex must satisfy: sums, signs, counts, and agreement of its parts.

Everything here is read off the arrays, in floating point and in little time, each time that a file is
loaded. Whether the cells are those of the network is left to `analysis.verification`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
from numpy.typing import NDArray

from regions.complexes.certificate import Completeness, StoppedBy
from regions.network.patterns import pack, row_keys

if TYPE_CHECKING:
    from regions.complexes.cell_complex import CellComplex

__all__ = ["content_problems"]

ENGINES = ("planar", "cells", "lp")
VOLUME_KINDS = ("vertices", "sampled", "none")
LARGEST_TOLERANCE = 1e-6  # relative, that a stored sum of volumes may ask for
ROUNDING = 2.0**-40  # of what is added up from coordinates, relative to the largest of them
SAMPLED_SUM = 1e-2  # sampled points on a hyperplane may count nowhere


def content_problems(cells: CellComplex) -> Iterator[str]:
    """Tell what is wrong with the numbers of a complex whose arrays have the right types and shapes.

    Patterns are distinct and end with the last unit; volumes, centroids and facets are finite and not
    negative where they are known and nan where they are not; the volumes sum to the domain's; counts of
    facets are those of the facet table, and counts of vertices are possible in the dimension; facets lie
    between cells that differ in the facet's unit; rings have the areas and edges that are listed; and
    status, engine, arithmetic and certificate fit together.

    Cost: some microseconds per cell.
    """
    yield from _words(cells)
    yield from _patterns(cells)
    yield from _volumes(cells)
    yield from _points(cells)
    yield from _counts(cells)
    yield from _facets(cells)
    if cells.rings is not None and cells.n_cells and cells.rings.shape == (cells.n_vertices.sum(), 2):
        yield from _rings(cells)


def _words(c: CellComplex) -> Iterator[str]:
    certificate, tolerances = c.certificate, c.tolerances
    if c.engine not in ENGINES:
        yield f"the engine is {c.engine!r}; known: {', '.join(ENGINES)}"
    if (c.engine == "planar") != (c.rings is not None):
        yield f"engine {c.engine!r} {'without' if c.rings is None else 'with'} rings"
    if (c.engine == "lp") != (c.facets.witness is not None):
        there = "without" if c.facets.witness is None else "with"
        yield f"engine {c.engine!r} {there} witnesses of facets"
    if c.volume_kind not in VOLUME_KINDS or (c.volume_kind != "vertices" and c.engine != "lp"):
        yield f"volume_kind is {c.volume_kind!r} with engine {c.engine!r}"
    if c.arithmetic not in ("certified", "float") or certificate.arithmetic != c.arithmetic:
        yield f"the arithmetic is {c.arithmetic!r}, in the certificate {certificate.arithmetic!r}"
    if certificate.complete is not (c.status is Completeness.COMPLETE):
        yield f"the status is {c.status.value}, the certificate says complete: {certificate.complete}"
    if certificate.stopped_by not in get_args(StoppedBy) or (certificate.stopped_by and certificate.complete):
        yield f"the certificate says stopped by {certificate.stopped_by!r}, complete: {certificate.complete}"
    counts = (certificate.decisions, certificate.exact_signs, certificate.exact_positions)
    if not all(isinstance(count, int) and not isinstance(count, bool) and count >= 0 for count in counts):
        yield f"the certificate counts {counts}; counts are whole and not negative"
    elif certificate.exact_signs > certificate.decisions:
        yield f"the certificate has {counts[1]} open signs of {counts[0]} decisions"
    sizes = (tolerances.vertex_radius, tolerances.facet_relative, tolerances.facet_absolute, c.seconds)
    if not all(math.isfinite(size) and size >= 0.0 for size in sizes):
        yield f"tolerances or seconds are negative or not finite: {sizes}"
    if not 0.0 <= tolerances.volume_sum <= LARGEST_TOLERANCE:
        yield f"the tolerance of the volumes' sum is {tolerances.volume_sum}, more than {LARGEST_TOLERANCE}"


def _patterns(c: CellComplex) -> Iterator[str]:
    twice = c.n_cells - len(set(row_keys(c.patterns)))
    if twice:
        yield f"{twice} patterns are listed twice"
    if not np.array_equal(pack(c.unpacked_patterns()), c.patterns):
        yield "packed patterns have bits set beyond the last unit"
    if not c.n_cells and c.status is Completeness.COMPLETE:
        yield "no cell is listed"


def _volumes(c: CellComplex) -> Iterator[str]:
    if (c.volume_errors is not None) != (c.volume_kind == "sampled"):
        yield f"volumes of kind {c.volume_kind!r} and standard errors do not go together"
    elif c.volume_errors is not None and not (
        c.volume_errors.shape == c.volumes.shape
        and c.volume_errors.dtype == np.float64
        and np.isfinite(c.volume_errors).all()
        and (c.volume_errors > 0.0).all()
    ):
        yield "standard errors of volumes are not one positive number for each cell"
    if c.volume_kind == "none":
        if not np.isnan(c.volumes).all():
            yield "volumes are listed where they are said to be unknown"
        return
    if not (np.isfinite(c.volumes).all() and (c.volumes >= 0.0).all()):
        yield "volumes are negative or not finite"
        return
    total, whole = math.fsum(c.volumes.tolist()), c.domain.volume
    lack = SAMPLED_SUM if c.volume_kind == "sampled" else c.tolerances.volume_sum
    short = c.status is Completeness.COMPLETE and total < whole * (1.0 - lack)
    if short or total > whole * (1.0 + min(c.tolerances.volume_sum, LARGEST_TOLERANCE)):
        yield f"the volumes sum to {total:.15g}, the domain's is {whole:.15g}"


def _points(c: CellComplex) -> Iterator[str]:
    A, b = c.domain.halfspaces
    reach = 1e-9 * (np.abs(A) @ c.domain.extent() + np.abs(b))
    for name, points in (("centroids", c.centroids), ("witnesses", c.witnesses)):
        known = np.isfinite(points).all(axis=1)
        if not known.all() and not (c.engine == "lp" and np.isnan(points[~known]).all()):
            yield f"{name} are not finite"
        for first in range(0, len(points), 1 << 16):  # a box of many inputs has many sides
            block = points[first : first + (1 << 16)]
            with np.errstate(invalid="ignore"):
                outside = (block @ A.T > b + reach).any(axis=1)
            if outside.any():
                yield f"{name} lie outside of the domain, e.g. that of cell {first + int(outside.argmax())}"
                break
    if c.volume_kind == "vertices" and not np.isfinite(c.centroids).all():
        yield "centroids are not finite"
    if c.volume_kind != "vertices" and not np.array_equal(c.centroids, c.witnesses, equal_nan=True):
        yield "centroids without volumes are not the witnesses"


def _counts(c: CellComplex) -> Iterator[str]:
    table, d, n = c.facets, c.dimension, c.n_cells
    rows = np.bincount(table.cell_a, minlength=n) + np.bincount(table.cell_b[table.interior], minlength=n)
    if not np.array_equal(rows, c.n_facets):
        cell = int((rows != c.n_facets).argmax())
        yield f"cell {cell} has {rows[cell]} rows in the facet table and {c.n_facets[cell]} facets"
    nv, nf = c.n_vertices.astype(np.int64), c.n_facets.astype(np.int64)
    if c.volume_kind != "vertices":
        impossible = nv != 0
    elif d == 1:
        impossible = (nv != 2) | (nf != 2)
    elif d == 2:
        impossible = (nv < 3) | (nv != nf)
    else:
        impossible = (nv <= d) | (nf <= d)
        if d == 3:  # Steinitz
            impossible |= (nv > 2 * nf - 4) | (nf > 2 * nv - 4)
    if impossible.any():
        cell = int(impossible.argmax())
        yield f"cell {cell} has {nv[cell]} vertices and {nf[cell]} facets in dimension {d}"


def _facets(c: CellComplex) -> Iterator[str]:
    table = c.facets
    inner, outer = table.interior, table.cell_b == -1
    if c.status is Completeness.COMPLETE and (table.cell_b == -2).any():
        yield "facets of a COMPLETE result lack their second cell"
    if not (
        np.array_equal(table.side >= 0, outer)
        and np.array_equal(table.layer < 0, outer)
        and np.array_equal(table.unit < 0, outer)
    ):
        yield "facets have a side of the domain and a unit, or neither"
        return
    known = table.volume[np.isfinite(table.volume)]
    if c.volume_kind != "vertices":
        if not np.isnan(table.volume).all():
            yield "volumes of facets are listed where they are said to be unknown"
    elif known.size != len(table) or (known < 0.0).any():
        yield "volumes of facets are negative or not finite"
    jumps = table.jump[inner]
    if not (np.isfinite(jumps).all() and (jumps >= 0.0).all() and np.isnan(table.jump[~inner]).all()):
        yield "jumps are negative or not finite between cells, or known beyond them"
    pairs = np.where(outer, table.cell_a, np.minimum(table.cell_a, table.cell_b))
    others = np.where(outer, -1 - table.side, np.maximum(table.cell_a, table.cell_b))
    once = inner | outer
    yield from _repeated(
        np.stack([pairs[once], others[once]], axis=1), "two facets lie between the same cells"
    )
    yield from _repeated(np.stack([table.cell_a, table.place], axis=1), "two facets have one place in a cell")
    flat = c.network.unit_offsets[np.maximum(table.layer, 0)] + table.unit
    byte, bit = flat[inner] >> 3, (flat[inner] & 7).astype(np.uint8)
    first, second = (c.patterns[cell[inner], byte] >> bit & 1 for cell in (table.cell_a, table.cell_b))
    if not (first.astype(bool) & ~second.astype(bool)).all():
        yield "a facet's unit is not active in its first cell and inactive in its second"
    if table.witness is not None and not (
        table.witness.shape == (len(table), c.dimension)
        and table.witness.dtype == np.float64
        and not np.isinf(table.witness).any()
    ):
        yield "witnesses of facets are not one point for each"


def _repeated(rows: NDArray[Any], text: str) -> Iterator[str]:
    """Tell of rows that occur twice."""
    if len(set(row_keys(np.ascontiguousarray(rows)))) < len(rows):
        yield text


def _rings(c: CellComplex) -> Iterator[str]:
    ring, counts = c.rings, c.n_vertices.astype(np.int64)
    assert ring is not None  # by the caller
    if not np.isfinite(ring).all():
        yield "rings are not finite"
        return
    if (counts < 1).any():
        return  # said among the counts
    starts = np.cumsum(counts) - counts
    following = np.arange(1, len(ring) + 1)
    following[starts + counts - 1] = starts
    base = np.repeat(ring[starts], counts, axis=0)
    here, there = ring - base, ring[following] - base
    areas = 0.5 * np.add.reduceat(here[:, 0] * there[:, 1] - here[:, 1] * there[:, 0], starts)
    edges = np.hypot(*(ring[following] - ring).T)
    rounding = ROUNDING * float(c.domain.extent().max())
    slack = 1e-9 * areas + rounding * np.add.reduceat(edges, starts)
    wrong = np.abs(areas - c.volumes) > slack
    if wrong.any():
        cell = int(wrong.argmax())
        yield f"the ring of cell {cell} has area {areas[cell]:.15g}, its volume is {c.volumes[cell]:.15g}"
    table = c.facets
    lengths = edges[starts[table.cell_a] + np.minimum(table.place, counts[table.cell_a] - 1)]
    if (np.abs(lengths - table.volume) > 1e-9 * lengths + rounding).any():
        yield "a facet has not the length of the edge of the ring at its place"
