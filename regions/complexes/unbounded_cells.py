"""A complex of an unbounded domain, made of one that is clipped to a box: what is infinite, and what is not.

The clipped one holds the shapes; the box is so large that each cell and facet meets its inside, and the
bounded ones lie inside. Finding such a box is left to `enumeration`.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from regions.complexes.facet_table import FacetTable

if TYPE_CHECKING:
    from regions.complexes.cell_complex import CellComplex
    from regions.domain.unbounded import Unbounded


INSIDE = 0.75  # of the clipping box: vertices of cells are in its inner half, others on its border


def clipping_facets(clipped: CellComplex, domain: Unbounded) -> NDArray[np.bool_]:
    """Return which rows of a clipped complex's facet table lie on the box that clips."""
    own = np.append(domain.own_sides(clipped.domain), 0)  # side -1: no side at all
    return np.asarray((clipped.facets.side >= 0) & (own[clipped.facets.side] < 0))


def clipped_cells(clipped: CellComplex, domain: Unbounded) -> NDArray[np.bool_]:
    """Return which cells are clipped: (n,) bool."""
    cut = np.zeros(clipped.n_cells, np.bool_)
    cut[clipped.facets.cell_a[clipping_facets(clipped, domain)]] = True
    return cut


def with_infinity(
    clipped: CellComplex,
    domain: Unbounded,
    endless: NDArray[np.bool_],
    n_vertices: NDArray[np.int32],
) -> CellComplex:
    """Return the complex of an unbounded domain.

    Parameters
    ----------
    clipped : CellComplex, on a part of the domain in which all its cells and facets show
    domain : Unbounded
    endless : (m,) bool, which of the clipped facets are unbounded
    n_vertices : (n,) int32, of the cells themselves

    Returns
    -------
    CellComplex
        With `clipped`; facets on the clipping box are left out.
    """
    kept = ~clipping_facets(clipped, domain)
    table = clipped.facets
    columns: dict[str, Any] = {
        field.name: None if (column := getattr(table, field.name)) is None else column[kept]
        for field in fields(FacetTable)
    }
    own = np.append(domain.own_sides(clipped.domain), -1)
    columns["side"] = own[columns["side"]].astype(np.int32)
    columns["volume"] = np.where(endless[kept], np.inf, columns["volume"])
    columns["place"] = _ranks(columns["cell_a"], columns["place"])
    kept_table = FacetTable(**columns)
    counts = np.bincount(kept_table.cell_a, minlength=clipped.n_cells)
    counts += np.bincount(kept_table.cell_b[kept_table.cell_b >= 0], minlength=clipped.n_cells)
    cut = clipped_cells(clipped, domain)
    return replace(
        clipped,
        domain=domain,
        volumes=np.where(cut, np.inf, clipped.volumes),
        centroids=np.where(cut[:, None], np.nan, clipped.centroids),
        n_vertices=n_vertices,
        n_facets=counts.astype(np.int32),
        facets=kept_table,
        rings=None,
        clipped=clipped,
    )


def _ranks(cells: NDArray[np.int64], places: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return the rank of each place among those of the same cell."""
    order = np.lexsort((places, cells))
    first = np.searchsorted(cells[order], cells[order])
    ranks = np.empty(len(order), np.int32)
    ranks[order] = np.arange(len(order)) - first
    return ranks


def unbounded_arrays(cells: CellComplex) -> dict[str, NDArray[Any]]:
    """Return what a file holds of an unbounded complex beside its clipped one."""
    clipped, domain = cells.clipped, cells.domain
    assert clipped is not None  # by the caller
    endless = clipping_facets(clipped, domain)  # type: ignore[arg-type]
    endless[~endless] = np.isinf(cells.facets.volume)
    return {"facet_endless": endless, "finite_vertices": cells.n_vertices}
