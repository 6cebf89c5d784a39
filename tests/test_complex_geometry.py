"""Laws of a complex that need no other enumeration: facets, vertices and volumes fit together.

Tolerances are float arithmetic's: vertices carry some ulps of the domain's size, so distances are
compared with 1e-12 of it, and volumes to 1e-9 relative plus 1e-13 of the domain's diameter to their
power. The absolute part is for slivers: in four dimensions facets of volume 1e-14 are normal, and of
their volume only the absolute error is small (measured on these networks: 7e-17 and 1e-12 relative).
"""

from __future__ import annotations

from math import factorial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from judging import random_complex
from networks import network_on_box

from regions.complexes.cell_complex import CellComplex
from regions.domain import Box, Slice
from regions.enumeration.enumerate import enumerate_cells
from regions.network.relu_network import Network

pytestmark = pytest.mark.kernels

DATA = Path(__file__).parent / "data"


def stored_complex(name: str) -> CellComplex:
    return enumerate_cells(Network.load(DATA / f"{name}.npz"), Box([-1, -1], [1, 1]))


def clipped_slice() -> CellComplex:
    network, _ = network_on_box(7, (14, 10), 3)
    domain = Slice.around(np.zeros(7), np.random.default_rng(0).normal(size=(2, 7)), 2.0, (-1.0, 1.0))
    return enumerate_cells(network, domain)


MAKERS: dict[str, Any] = {
    "d=1": lambda: random_complex(1, (30, 30), 0),
    "d=2": lambda: random_complex(2, (16, 16), 0),
    "d=2, cells": lambda: random_complex(2, (16, 16), 0, engine="cells"),
    "clipped slice": clipped_slice,
    "concurrent lines": lambda: stored_complex("concurrent"),
    "repeated units": lambda: stored_complex("dup"),
    "d=3": lambda: random_complex(3, (12, 10), 2),
    "d=4": lambda: random_complex(4, (10, 6), 1),
    "d=4, slivers": lambda: random_complex(4, (12, 8), 2),
    "d=5": lambda: random_complex(5, (6, 4), 0),
}


class Made(NamedTuple):
    """A complex, and the sizes that its tolerances scale with."""

    cells: CellComplex
    extent: float
    diameter: float

    def close(self, found: Any, expected: Any, power: int) -> bool:
        return np.allclose(found, expected, rtol=1e-9, atol=1e-13 * self.diameter**power)


@pytest.fixture(scope="module", params=list(MAKERS))
def made(request: pytest.FixtureRequest) -> Made:
    cells = MAKERS[request.param]()
    corners = cells.domain.vertices
    return Made(cells, float(np.abs(corners).max()), float(np.linalg.norm(np.ptp(corners, axis=0))))


def unit_rows(cells: CellComplex, i: int) -> tuple[np.ndarray, np.ndarray]:
    """Pre-activations of all units on cell i, flat: (n_units, d) and (n_units,), intrinsic."""
    maps = cells.network.unit_maps(cells.pattern(i))
    a, c = np.concatenate([a for a, _ in maps]), np.concatenate([c for _, c in maps])
    return a @ cells.domain.basis, a @ cells.domain.origin + c


def flat_units(cells: CellComplex) -> np.ndarray:
    """Flat number of each facet's unit; meaningless on the domain's boundary."""
    return cells.network.unit_offsets[cells.facets.layer] + cells.facets.unit


def facet_normals(cells: CellComplex) -> np.ndarray:
    """Unit normals (m, d) of all facets, out of `cell_a`: its active side is where the unit grows."""
    table = cells.facets
    normals = np.array(cells.domain.halfspaces[0][table.side])
    units = flat_units(cells)
    for i in np.unique(table.cell_a[table.interior]):
        rows = np.flatnonzero(table.interior & (table.cell_a == i))
        normals[rows] = -unit_rows(cells, i)[0][units[rows]]
    return normals / np.linalg.norm(normals, axis=1)[:, None]


def test_cells_of_a_facet_differ_at_its_unit_and_the_first_is_active(made: Made) -> None:
    cells, table = made.cells, made.cells.facets
    patterns, units = cells.unpacked_patterns(), flat_units(cells)[table.interior]
    assert np.all(patterns[table.cell_a[table.interior], units])
    assert not np.any(patterns[table.cell_b[table.interior], units])
    assert np.all(table.side[table.interior] == -1) and np.all(table.unit[~table.interior] == -1)


def test_every_facet_of_a_cell_is_in_the_table_once(made: Made) -> None:
    cells, table = made.cells, made.cells.facets
    sides = np.bincount(table.cell_a, minlength=cells.n_cells)
    sides += np.bincount(table.cell_b[table.interior], minlength=cells.n_cells)
    assert np.array_equal(sides, cells.n_facets)
    low, high = (f(table.cell_a, table.cell_b)[table.interior] for f in (np.minimum, np.maximum))
    assert len(set(zip(low.tolist(), high.tolist(), strict=True))) == int(table.interior.sum())
    # two facets of one owner never have the same place
    assert len(set(zip(table.cell_a.tolist(), table.place.tolist(), strict=True))) == len(table)


def test_facets_of_a_cell_close_up_and_enclose_its_volume(made: Made) -> None:
    """Minkowski: the normals weighted by facet volumes cancel; the divergence theorem gives the volume."""
    cells, table, d = made.cells, made.cells.facets, made.cells.dimension
    normals = facet_normals(cells)
    points = facet_points(cells)
    sums, volumes = np.zeros((cells.n_cells, d)), np.zeros(cells.n_cells)
    for owner, sign, rows in (
        (table.cell_a, 1.0, np.arange(len(table))),
        (table.cell_b, -1.0, np.flatnonzero(table.interior)),
    ):
        weighted = sign * table.volume[rows, None] * normals[rows]
        np.add.at(sums, owner[rows], weighted)
        heights = points[rows] - cells.centroids[owner[rows]]
        np.add.at(volumes, owner[rows], np.sum(weighted * heights, axis=1) / d)
    assert made.close(sums, 0.0, d - 1)
    assert made.close(volumes, cells.volumes, d)


def facet_points(cells: CellComplex) -> np.ndarray:
    """One point (m, d) of every facet's hyperplane."""
    simplices, facet = cells.facet_simplices()
    points = np.zeros((len(cells.facets), cells.dimension))
    points[facet] = simplices[:, 0]
    a, b = cells.domain.halfspaces
    outer = ~cells.facets.interior
    rows = cells.facets.side[outer]
    points[outer] = a[rows] * (b[rows] / np.sum(a[rows] ** 2, axis=1))[:, None]
    return points


def test_domain_facets_add_up_to_the_sides_of_a_box(made: Made) -> None:
    if not isinstance(made.cells.domain, Box):
        pytest.skip("only boxes know the volumes of their sides")
    table, d = made.cells.facets, made.cells.dimension
    outer = ~table.interior
    sums = np.bincount(table.side[outer], table.volume[outer], minlength=2 * d)
    assert made.close(sums, 2.0 ** (d - 1), d - 1)  # all boxes here are [-1, 1]^d


def test_vertices_of_a_cell_satisfy_its_inequalities(made: Made) -> None:
    cells = made.cells
    chosen = np.random.default_rng(0).permutation(cells.n_cells)[:150]
    for i in chosen:
        vertices, pattern = cells.vertices(i), cells.pattern(i)
        assert vertices.shape == (cells.n_vertices[i], cells.dimension)
        assert np.all(cells.domain.contains(vertices, tolerance=1e-12 * made.extent))
        a, c = unit_rows(cells, i)
        lengths = np.linalg.norm(a, axis=1)
        cut = lengths > 0.0
        heights = ((vertices @ a.T + c) * np.where(pattern, 1.0, -1.0))[:, cut] / lengths[cut]
        assert np.all(heights >= -1e-12 * made.extent)
        # and the witness is inside, away from all of them
        inside = ((cells.witnesses[i] @ a.T + c) * np.where(pattern, 1.0, -1.0))[cut]
        assert np.all(inside > 0.0)


@pytest.mark.sweep(5)
def test_simplices_of_a_facet_make_it_up(made: Made) -> None:
    cells, table, d = made.cells, made.cells.facets, made.cells.dimension
    simplices, facet = cells.facet_simplices()
    assert simplices.shape[1:] == (d, d) and set(facet.tolist()) == set(np.flatnonzero(table.interior))
    edges = simplices[:, 1:] - simplices[:, :1]
    lengths = np.linalg.svd(edges, compute_uv=False) if d > 1 else np.ones((len(facet), 0))
    volumes = np.prod(lengths, axis=1) / factorial(d - 1)
    sums = np.bincount(facet, volumes, minlength=len(table))
    assert made.close(sums[table.interior], table.volume[table.interior], d - 1)
    heights = np.sum((simplices - facet_points(cells)[facet][:, None]) * facet_normals(cells)[facet, None], 2)
    assert np.all(np.abs(heights) <= 1e-12 * made.extent)


def test_facets_without_jump_are_those_between_equal_maps(made: Made) -> None:
    cells, table = made.cells, made.cells.facets
    chosen = np.random.default_rng(1).permutation(np.flatnonzero(table.interior))[:200]
    for k in chosen:
        (a, c), (b, e) = (
            cells.affine_map(i, coordinates="intrinsic") for i in (table.cell_a[k], table.cell_b[k])
        )
        assert np.isclose(np.linalg.norm(a - b), table.jump[k], rtol=1e-9, atol=1e-12 * np.abs(a).max())
        if table.jump[k] == 0.0:
            assert np.allclose(c, e, rtol=1e-12, atol=1e-12)
    assert np.all(np.isnan(table.jump[~table.interior])) and not np.any(np.isnan(table.jump[table.interior]))
