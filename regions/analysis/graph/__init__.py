"""The adjacency graph of a cell complex: which cells touch, across which unit's facet; its files."""

from regions.analysis.graph.adjacency import adjacency_graph, to_scipy_sparse
from regions.analysis.graph.graph_files import read_graph, write_graph
from regions.analysis.graph.graph_streams import export_graph

__all__ = ["adjacency_graph", "export_graph", "read_graph", "to_scipy_sparse", "write_graph"]
