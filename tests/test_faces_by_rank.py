"""Laws of volumes where the faces of simple polytopes are found by rank: many facets, many vertices."""

from __future__ import annotations

import numpy as np
import pytest

from regions import CellComplex, Network, Polytope, enumerate_cells, verify
from regions.rational import ExactNetwork, cell_volume, exact_cell

pytestmark = pytest.mark.kernels


def cut_in_three(rng: np.random.Generator, d: int, tangents: int) -> CellComplex:
    """List the cells of two units on a polytope between random tangents of the unit sphere."""
    normals = rng.normal(size=(tangents, d))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    rows = np.vstack([normals, np.eye(d), -np.eye(d)])
    domain = Polytope(rows, [*np.ones(tangents), *np.full(2 * d, 1.5)])
    network = Network.from_arrays([rng.normal(size=(2, d)), [[1.0, 1.0]]], [0.2 * rng.normal(size=2), [0.0]])
    return enumerate_cells(network, domain, engine="cells", workers=1)


@pytest.mark.sweep(4)
@pytest.mark.parametrize("d, tangents", [(3, 70), (3, 20), (4, 12), (5, 6)])
def test_volumes_and_centroids_are_exact_to_rounding(rng: np.random.Generator, d: int, tangents: int) -> None:
    """With 70 tangents the cells have more facets than a word has bits, and are triangulated."""
    cells = cut_in_three(rng, d, tangents)
    exact = ExactNetwork(cells.network, cells.domain)
    true = [float(cell_volume(exact_cell(exact, cells.pattern(i)).polytope)) for i in range(len(cells))]
    np.testing.assert_allclose(cells.volumes, true, rtol=1e-12)
    assert verify(cells).n_cells == cells.n_cells
