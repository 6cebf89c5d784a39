"""Laws of the adjacency graph and of its files."""

from __future__ import annotations

import csv
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
from grid_complex import GridComplex
from networks import cube, random_network
from scipy import sparse

from regions.analysis.graph import adjacency_graph, read_graph, to_scipy_sparse, write_graph
from regions.errors import CertificateError, InvalidInputError


@pytest.fixture(scope="module")
def grid():
    return GridComplex([0.25, 0.5], [0.3, 0.6, 0.9])


@pytest.fixture
def graph(grid):
    return adjacency_graph(grid)


def real_complex(seed=0, **options):
    from regions.enumeration.enumerate import enumerate_cells

    return enumerate_cells(random_network(seed, (2, 7, 6, 1)), cube(2), **options)


def test_a_grid_of_cells_gives_the_grid_graph(graph):
    assert nx.is_isomorphic(graph, nx.grid_2d_graph(3, 4))


def test_node_volumes_sum_to_the_domain(graph):
    assert sum(v for _, v in graph.nodes(data="volume")) == pytest.approx(1.0)


def test_node_attributes_are_those_of_the_cells(grid, graph):
    for i in graph:
        node = graph.nodes[i]
        assert (node["centroid_0"], node["centroid_1"]) == tuple(grid.centroids[i])
        assert bytes.fromhex(node["pattern"]) == grid.patterns[i].tobytes()
        assert node["n_facets"] == 4


def test_facets_of_one_unit_sum_to_its_line(grid, graph):
    for unit in range(5):
        total = sum(e["facet_volume"] for _, _, e in graph.edges(data=True) if e["unit"] == unit)
        assert total == pytest.approx(1.0)


def test_graph_says_what_it_is_of(grid, graph):
    assert graph.graph == {
        "status": "COMPLETE",
        "dimension": 2,
        "network": grid.network.describe(),
        "domain": grid.domain.describe(),
    }


@pytest.mark.parametrize("weight", ["facet_volume", "jump", None])
def test_matrix_is_symmetric_and_has_two_entries_per_facet(grid, weight):
    matrix = to_scipy_sparse(grid, weight)
    assert (matrix != matrix.T).nnz == 0
    assert matrix.nnz == 2 * len(grid.facets.cell_a)


def test_matrix_agrees_with_the_graph(grid, graph):
    expected = nx.to_scipy_sparse_array(graph, weight="facet_volume")
    assert abs(to_scipy_sparse(grid) - expected).max() == 0.0


def test_facets_without_jump_stay_in_the_matrix():
    grid = GridComplex([0.5], [0.5])
    grid.facets.jump = np.zeros(4)
    assert to_scipy_sparse(grid, "jump").nnz == 8


def test_unknown_weight_is_refused(grid):
    with pytest.raises(InvalidInputError, match="area"):
        to_scipy_sparse(grid, "area")


def test_two_facets_between_two_cells_are_refused():
    grid = GridComplex([0.5], [0.5])
    grid.facets.cell_a[1], grid.facets.cell_b[1] = grid.facets.cell_a[0], grid.facets.cell_b[0]
    with pytest.raises(CertificateError, match="two facets"):
        adjacency_graph(grid)


@pytest.mark.parametrize("suffix", ["graphml", "gexf", "json"])
def test_files_that_hold_everything_read_back_equal(graph, tmp_path, suffix):
    (path,) = write_graph(graph, tmp_path / f"g.{suffix}")
    again = read_graph(path)
    assert nx.utils.graphs_equal(again, graph)


@pytest.mark.parametrize("suffix", ["graphml", "gexf", "json"])
def test_awkward_text_survives(tmp_path, suffix):
    graph = nx.Graph(network='a "quoted" <net> & ünicode')
    graph.add_node(0, pattern="<&>\"'", volume=1e-300, dead=True)
    graph.add_node(7, pattern="", volume=2.0, dead=False)
    graph.add_edge(0, 7, jump=0.1 + 0.2)
    (path,) = write_graph(graph, tmp_path / f"g.{suffix}")
    assert nx.utils.graphs_equal(read_graph(path), graph)


def test_igraph_finds_the_same_graphml(graph, tmp_path):
    igraph = pytest.importorskip("igraph")
    (path,) = write_graph(graph, tmp_path / "g.graphml")
    read = igraph.Graph.Read_GraphML(str(path))
    assert {name: read[name] for name in graph.graph} == graph.graph
    for name in ("volume", "pattern", "n_facets", "centroid_0", "centroid_1"):
        assert read.vs[name] == [value for _, value in graph.nodes(data=name)]
    pairs = {tuple(sorted(edge)): k for k, edge in enumerate(read.get_edgelist())}
    assert len(pairs) == graph.number_of_edges()
    for a, b, edge in graph.edges(data=True):
        found = read.es[pairs[min(a, b), max(a, b)]]
        assert {name: found[name] for name in edge} == edge


def test_networkx_writers_files_are_read_too(graph, tmp_path):
    nx.write_graphml(graph, tmp_path / "g.graphml")
    assert nx.utils.graphs_equal(read_graph(tmp_path / "g.graphml"), graph)


def read_table(path):
    """Rows of a CSV or Parquet file as dictionaries, numbers as numbers."""
    if path.suffix == ".parquet":
        return pytest.importorskip("pyarrow.parquet").read_table(path).to_pylist()
    with path.open(newline="") as file:
        return [
            {k: v if k == "pattern" else float(v) for k, v in row.items()} for row in csv.DictReader(file)
        ]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_edge_list_and_node_table_rebuild_the_graph(graph, tmp_path, suffix):
    edges, nodes = write_graph(graph, tmp_path / f"g.{suffix}")
    again = nx.Graph(**graph.graph)
    again.add_nodes_from((row.pop("node"), row) for row in read_table(nodes))
    again.add_edges_from((row.pop("source"), row.pop("target"), row) for row in read_table(edges))
    assert nx.utils.graphs_equal(again, graph)


def test_parquet_keeps_what_the_graph_is_of(graph, tmp_path):
    pq = pytest.importorskip("pyarrow.parquet")
    edges, _ = write_graph(graph, tmp_path / "g.parquet")
    assert pq.read_schema(edges).metadata[b"status"] == b"COMPLETE"


def test_npz_is_the_matrix(grid, graph, tmp_path):
    (path,) = write_graph(graph, tmp_path / "g.npz")
    assert abs(sparse.load_npz(path) - to_scipy_sparse(grid)).max() == 0.0


def test_format_overrides_the_suffix(graph, tmp_path):
    (path,) = write_graph(graph, tmp_path / "g.dat", "npz")
    assert path == tmp_path / "g.dat"
    assert sparse.load_npz(path).nnz == 2 * graph.number_of_edges()


def test_one_cell_is_one_node_in_every_format(tmp_path):
    graph = nx.Graph(status="COMPLETE")
    graph.add_node(0, volume=1.0)
    for suffix in ("graphml", "gexf", "json", "csv", "parquet", "npz"):
        assert all(path.exists() for path in write_graph(graph, tmp_path / f"g.{suffix}"))


@pytest.mark.parametrize("name", ["g.xyz", "g"])
def test_unknown_suffix_is_refused_with_the_known_ones(graph, tmp_path, name):
    with pytest.raises(InvalidInputError, match="graphml, gexf, json"):
        write_graph(graph, tmp_path / name)


def test_attributes_that_no_file_holds_are_refused(tmp_path):
    graph = nx.Graph()
    graph.add_node(0, centroid=[1.0, 2.0])
    with pytest.raises(InvalidInputError, match="list"):
        write_graph(graph, tmp_path / "g.graphml")


def test_attribute_of_two_types_is_refused(tmp_path):
    graph = nx.Graph()
    graph.add_node(0, volume="large")
    graph.add_node(1, volume=1.0)
    with pytest.raises(InvalidInputError, match="volume"):
        write_graph(graph, tmp_path / "g.graphml")


def test_broken_file_is_refused(tmp_path):
    for suffix in ("graphml", "gexf", "json"):
        path = Path(tmp_path / f"g.{suffix}")
        path.write_text("<not a graph")
        with pytest.raises(InvalidInputError, match=suffix):
            read_graph(path)


def test_missing_file_is_said_to_be_missing(tmp_path):
    for suffix in ("graphml", "gexf", "json"):
        with pytest.raises(FileNotFoundError):
            read_graph(tmp_path / f"none.{suffix}")


def test_real_graph_is_connected_with_one_node_per_cell():
    complex = real_complex()
    graph = adjacency_graph(complex)
    assert graph.number_of_nodes() == complex.n_cells
    assert graph.number_of_edges() == int(complex.facets.interior.sum())
    assert nx.is_connected(graph)


def test_real_neighbours_differ_in_the_unit_of_their_facet():
    complex = real_complex()
    offsets = complex.network.unit_offsets
    for a, b, edge in adjacency_graph(complex).edges(data=True):
        flat = offsets[edge["layer"]] + edge["unit"]
        assert complex.pattern(a)[flat] != complex.pattern(b)[flat]


def test_pattern_attribute_is_the_complexs_own_hex():
    complex = real_complex()
    patterns = nx.get_node_attributes(adjacency_graph(complex), "pattern")
    assert all(patterns[i] == complex.pattern_hex(i) for i in range(complex.n_cells))


def test_degree_counts_the_facets_that_are_not_on_the_box():
    complex = real_complex()
    outer = np.bincount(complex.facets.cell_a[~complex.facets.interior], minlength=complex.n_cells)
    graph = adjacency_graph(complex)
    degree = np.array([graph.degree(i) for i in range(complex.n_cells)])
    assert np.array_equal(degree + outer, complex.n_facets)


def test_truncated_complex_gives_the_graph_of_its_cells():
    complex = real_complex(max_cells=10)
    graph = adjacency_graph(complex)
    assert graph.graph["status"] == "TRUNCATED"
    assert graph.number_of_nodes() == complex.n_cells
