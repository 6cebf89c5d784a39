"""The adjacency graph of a cell complex, as networkx and as a scipy matrix.

It is built straight from the facet table: what a facet is, and how large, the enumeration has decided, and
nothing is computed again here. Its files are in `graph_files`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import networkx as nx
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from regions.analysis.arguments import check_complex
from regions.errors import CertificateError, InvalidInputError
from regions.network.patterns import hex_names

if TYPE_CHECKING:
    from regions.complexes import CellComplex, FacetTable, StoredComplex

__all__ = ["adjacency_graph", "to_scipy_sparse"]


def adjacency_graph(complex: CellComplex) -> nx.Graph:
    """Adjacency graph of the cells: one node per cell, one edge per interior facet.

    Two cells are convex, so they share at most one facet and a simple graph is enough.  All
    attributes are plain Python scalars, so that every file format can hold them.

    Parameters
    ----------
    complex : CellComplex with n cells in d intrinsic dimensions

    Returns
    -------
    networkx.Graph
        Nodes ``0 .. n - 1`` with ``volume`` (intrinsic units to the power d), ``pattern``
        (hex of the packed activation pattern), ``n_facets`` (domain facets included) and
        ``centroid_0 .. centroid_{d-1}`` (intrinsic coordinates).  Where the domain is unbounded also
        ``bounded``; of unbounded cells the volume is inf, and the centroid a point inside.  Edges
        with ``layer`` and ``unit`` (the unit whose zero set the facet lies on), ``facet_volume``
        (power d - 1) and ``jump`` (norm of the change of the Jacobian; 0.0 where the network is affine
        across the facet); without volumes where the complex has none.  Graph attributes
        ``status``, ``dimension``, ``network``, ``domain``.  A TRUNCATED complex gives the graph
        of the cells that it holds.

    Raises
    ------
    CertificateError
        If the facet table names the same two cells twice.

    Examples
    --------
    >>> from regions import Box, Network, enumerate_cells
    >>> line = Network.from_arrays([[[1.0]], [[1.0]]], [[0.0], [0.0]])
    >>> graph = adjacency_graph(enumerate_cells(line, Box([-1.0], [3.0])))
    >>> sorted(volume for _, volume in graph.nodes(data="volume"))
    [1.0, 3.0]
    >>> [(edge["layer"], edge["unit"], edge["jump"]) for _, _, edge in graph.edges(data=True)]
    [(0, 0, 1.0)]
    """
    check_complex(complex)
    graph = nx.Graph(**graph_attributes(complex))
    nodes = node_columns(complex)
    graph.add_nodes_from(
        enumerate(dict(zip(nodes, row, strict=True)) for row in zip(*nodes.values(), strict=True))
    )
    edges = edge_columns(complex.facets, complex.volume_kind == "vertices")
    names = list(edges)[2:]
    graph.add_edges_from(
        (row[0], row[1], dict(zip(names, row[2:], strict=True))) for row in zip(*edges.values(), strict=True)
    )
    if graph.number_of_edges() != len(edges["source"]):
        raise CertificateError(
            f"the facet table has {len(edges['source'])} interior facets but only "
            f"{graph.number_of_edges()} different pairs of cells: two convex cells cannot share "
            "two facets, so the complex must not be used"
        )
    return graph


def to_scipy_sparse(complex: CellComplex, weight: str | None = "facet_volume") -> sparse.csr_array:
    """Symmetric adjacency matrix of the cells.

    Parameters
    ----------
    complex : CellComplex with n cells
    weight : {"facet_volume", "jump", None}
        What an entry holds; None writes 1.0.  Facets of jump 0.0 are kept as stored zeros,
        so the sparsity pattern is the adjacency for every weight.

    Returns
    -------
    scipy.sparse.csr_array, (n, n) float64, indices sorted

    Raises
    ------
    InvalidInputError
        If `weight` is something else.

    Examples
    --------
    >>> from regions import Box, Network, enumerate_cells
    >>> line = Network.from_arrays([[[1.0]], [[1.0]]], [[0.0], [0.0]])
    >>> to_scipy_sparse(enumerate_cells(line, Box([-1.0], [3.0])), weight=None).toarray()
    array([[0., 1.],
           [1., 0.]])
    """
    check_complex(complex)
    facets = complex.facets
    interior = facets.interior
    a, b = facets.cell_a[interior], facets.cell_b[interior]
    match weight:
        case "facet_volume":
            complex.require_volumes("weight='facet_volume'")
            values = facets.volume[interior]
        case "jump":
            values = facets.jump[interior]
        case None:
            values = np.ones(a.size)
        case _:
            raise InvalidInputError(
                f'weight is {weight!r}; use "facet_volume", "jump" or None (every entry 1.0)'
            )
    rows, columns = np.concatenate([a, b]), np.concatenate([b, a])
    matrix = sparse.coo_array(
        (np.concatenate([values, values]), (rows, columns)), shape=(complex.n_cells,) * 2
    ).tocsr()
    matrix.sort_indices()
    return matrix


def graph_attributes(complex: CellComplex | StoredComplex) -> dict[str, str | int]:
    """Return what is said of the whole graph."""
    return {
        "status": complex.status.name,
        "dimension": int(complex.dimension),
        "network": complex.network.describe(),
        "domain": complex.domain.describe(),
    }


def node_columns(complex: CellComplex) -> dict[str, list[Any]]:
    """Node attributes as columns of Python scalars."""
    columns: dict[str, list[Any]] = {
        "volume": complex.volumes.tolist(),
        "pattern": hex_names(complex.patterns),
        "n_facets": complex.n_facets.tolist(),
    }
    if complex.volume_kind == "none":
        del columns["volume"]
    points = complex.centroids
    if complex.clipped is not None:
        columns["bounded"] = complex.bounded.tolist()
        points = np.where(complex.bounded[:, None], points, complex.witnesses)
    for k in range(complex.dimension):
        columns[f"centroid_{k}"] = points[:, k].tolist()
    return columns


def edge_columns(facets: FacetTable, volumes: bool) -> dict[str, list[Any]]:
    """Interior facets as columns of Python scalars, with their volumes where these are known."""
    interior = facets.interior
    columns: dict[str, NDArray[Any]] = {
        "source": facets.cell_a,
        "target": facets.cell_b,
        "layer": facets.layer,
        "unit": facets.unit,
        "facet_volume": facets.volume,
        "jump": facets.jump,
    }
    if not volumes:
        del columns["facet_volume"]
    return {name: column[interior].tolist() for name, column in columns.items()}
