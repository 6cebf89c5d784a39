"""Graph files straight from the facet table, block by block: edge lists, matrices, GraphML.

The files are those that `graph_files` writes of the networkx graph by `adjacency_graph`, but none is made.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import numpy as np

from regions.analysis.arguments import check_complex
from regions.analysis.graph.adjacency import adjacency_graph, edge_columns, graph_attributes, node_columns
from regions.analysis.graph.graph_files import (
    GRAPHML_TYPES,
    format_of,
    graph_paths,
    text_to,
    write_graph,
)
from regions.complexes import CellComplex, FacetTable, StoredComplex
from regions.complexes.listing_files import arrow
from regions.errors import InvalidInputError
from regions.reports import replacing

__all__ = ["export_graph"]

Columns = dict[str, list[Any]]
STREAMED = ("graphml", "csv", "parquet", "npz")


def export_graph(
    cells: CellComplex | StoredComplex, path: str | Path, format: str | None = None
) -> tuple[Path, ...]:
    """Write the adjacency graph of a complex to a file that other programs read.

    The graph is that of `adjacency_graph`, which is not made for it: what is written comes straight from the
    facet table, of a StoredComplex in blocks, so memory does not grow with the number of cells.

    Parameters
    ----------
    cells : CellComplex or StoredComplex
    path : file to write; an existing one is replaced
    format : {"graphml", "csv", "parquet", "npz", "gexf", "json"}, optional
        Default: from the suffix of `path`. They are those of `write_graph`; an ``npz`` holds the matrix by
        its coordinates. ``gexf`` and ``json`` go through networkx, and take a CellComplex only.

    Returns
    -------
    tuple of Path
        The files written.

    Raises
    ------
    InvalidInputError
        If the format is unknown, or needs the graph in memory, or the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from regions import Box, Network, enumerate_cells, read_graph
    >>> line = Network.from_arrays([[[1.0]], [[1.0]]], [[0.0], [0.0]])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     files = export_graph(enumerate_cells(line, Box([-1.0], [3.0])), f"{folder}/line.graphml")
    ...     read_graph(files[0]).number_of_edges()
    1
    """
    if not isinstance(cells, StoredComplex):
        check_complex(cells)
    files = graph_paths(path, format)
    kind = format_of(files[0], format, (*STREAMED, "gexf", "json"))
    if kind not in STREAMED:
        if isinstance(cells, StoredComplex):
            raise InvalidInputError(
                f"{kind} takes a graph in memory: give stored.load(), or write {', '.join(STREAMED)}"
            )
        return write_graph(adjacency_graph(cells), path, format)
    _WRITERS[kind](cells, *files)
    return files


def _nodes(cells: CellComplex | StoredComplex) -> Iterator[Columns]:
    """Return the nodes in blocks: their numbers, and what `adjacency_graph` says of them."""
    first = 0
    for part in cells.cell_blocks() if isinstance(cells, StoredComplex) else [cells]:
        yield {"node": list(range(first, first + part.n_cells)), **node_columns(part)}
        first += part.n_cells


def _facets(cells: CellComplex | StoredComplex) -> Iterator[FacetTable]:
    if isinstance(cells, StoredComplex):
        yield from cells.facet_blocks()
    else:
        yield cells.facets


def _edges(cells: CellComplex | StoredComplex) -> Iterator[Columns]:
    """Return the edges in blocks: the interior facets."""
    volumes = cells.volume_kind == "vertices"
    for facets in _facets(cells):
        yield edge_columns(facets, volumes)


def _rows(columns: Columns) -> Iterator[tuple[Any, ...]]:
    return zip(*columns.values(), strict=True)


def _write_csv(cells: CellComplex | StoredComplex, path: Path, beside: Path) -> None:
    for target, blocks in ((path, _edges(cells)), (beside, _nodes(cells))):
        with text_to(target) as file:
            writer = csv.writer(file, lineterminator="\n")
            for k, columns in enumerate(blocks):
                if k == 0:
                    writer.writerow(columns)
                writer.writerows(_rows(columns))


def _write_parquet(cells: CellComplex | StoredComplex, path: Path, beside: Path) -> None:
    pa, pq = arrow()
    metadata = {name: str(value) for name, value in graph_attributes(cells).items()}
    for target, blocks in ((path, _edges(cells)), (beside, _nodes(cells))):
        with replacing(target, "graph") as file:
            writer = None
            for columns in blocks:
                table = pa.table(columns)
                if writer is None:
                    writer = pq.ParquetWriter(file, table.schema.with_metadata(metadata))
                writer.write_table(table.replace_schema_metadata(metadata))
            if writer is not None:
                writer.close()


def _write_graphml(cells: CellComplex | StoredComplex, path: Path) -> None:
    attributes = graph_attributes(cells)
    scopes = {"graph": attributes, "node": _types(_nodes(cells), 1), "edge": _types(_edges(cells), 2)}
    names = [(scope, name) for scope, values in scopes.items() for name in values]
    keys = {pair: f"d{k}" for k, pair in enumerate(names)}
    with text_to(path) as file:
        file.write(
            '<?xml version="1.0" encoding="utf-8"?>\n'
            '<graphml xmlns="http://graphml.graphdrawing.org/xmlns">\n'
        )
        for (scope, name), key in keys.items():
            kind = GRAPHML_TYPES[type(scopes[scope][name])]
            file.write(f'<key id="{key}" for="{scope}" attr.name={quoteattr(name)} attr.type="{kind}"/>\n')
        file.write('<graph edgedefault="undirected">\n')
        data = [f'<data key="{keys["graph", name]}">' for name in attributes]
        file.write(_filled(data, list(attributes.values())) + "\n")
        for columns in _nodes(cells):
            data = [f'<data key="{keys["node", name]}">' for name in list(columns)[1:]]
            for node, *values in _rows(columns):
                file.write(f'<node id="{node}">{_filled(data, values)}</node>\n')
        for columns in _edges(cells):
            data = [f'<data key="{keys["edge", name]}">' for name in list(columns)[2:]]
            for a, b, *values in _rows(columns):
                file.write(f'<edge source="{a}" target="{b}">{_filled(data, values)}</edge>\n')
        file.write("</graph>\n</graphml>\n")


def _types(blocks: Iterator[Columns], skipped: int) -> dict[str, Any]:
    """Return a value of each attribute, as the first block that has any shows it."""
    for columns in blocks:
        if next(iter(columns.values())):
            return {name: values[0] for name, values in list(columns.items())[skipped:]}
    return {}


def _filled(data: list[str], values: list[Any]) -> str:
    return "".join(f"{opened}{_text(value)}</data>" for opened, value in zip(data, values, strict=True))


def _text(value: Any) -> str:
    """Return how GraphML spells a number or a word."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return escape(value) if isinstance(value, str) else repr(value)


def _write_npz(cells: CellComplex | StoredComplex, path: Path) -> None:
    """Write the symmetric matrix by coordinates, for `scipy.sparse.load_npz`: all (a, b), then all (b, a)."""
    volumes = cells.volume_kind == "vertices"
    edges = sum(int(facets.interior.sum()) for facets in _facets(cells))
    if not cells.n_cells:
        raise InvalidInputError("the graph has no nodes, so it has no adjacency matrix")
    index = np.dtype(np.int32 if cells.n_cells < 2**31 else np.int64)
    weight = "volume" if volumes else None
    members = {
        "row": (index, ("cell_a", "cell_b")),
        "col": (index, ("cell_b", "cell_a")),
        "data": (np.dtype(np.float64), (weight, weight)),
    }
    with replacing(path, "graph") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in (("format", np.array(b"coo")), ("shape", np.array([cells.n_cells] * 2))):
            with archive.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
        for name, (dtype, sides) in members.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                head = io.BytesIO()
                np.lib.format.write_array_header_1_0(
                    head, {"descr": dtype.str, "fortran_order": False, "shape": (2 * edges,)}
                )
                member.write(head.getvalue())
                for side in sides:
                    for facets in _facets(cells):
                        inner = facets.interior
                        values = np.ones(len(facets)) if side is None else getattr(facets, side)
                        member.write(np.ascontiguousarray(values[inner], dtype).tobytes())


_WRITERS: dict[str, Callable[..., None]] = {
    "graphml": _write_graphml,
    "csv": _write_csv,
    "parquet": _write_parquet,
    "npz": _write_npz,
}
