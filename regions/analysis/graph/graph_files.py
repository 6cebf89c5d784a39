"""Graph files that other programs read: GraphML, GEXF, node-link JSON, edge lists, matrices.

Any networkx graph with scalar attributes will do; `adjacency` makes one of a cell complex.
"""

from __future__ import annotations

import csv
import io
import json
import numbers
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO, TypeAlias
from xml.sax.saxutils import escape, quoteattr

import networkx as nx
import numpy as np
from scipy import sparse

from regions.errors import InvalidInputError
from regions.reports import replacing, write_text

__all__ = ["graph_paths", "read_graph", "write_graph"]

Rows: TypeAlias = list[tuple[Any, ...]]

GRAPHML_TYPES = {bool: "boolean", int: "long", float: "double", str: "string"}


def write_graph(graph: nx.Graph, path: str | Path, format: str | None = None) -> tuple[Path, ...]:
    """Write a graph to a file that other programs read.

    Parameters
    ----------
    graph : networkx.Graph with scalar attributes (`adjacency_graph` makes one)
    path : file to write; an existing one is replaced
    format : {"graphml", "gexf", "json", "csv", "parquet", "npz"}, optional
        Default: from the suffix of `path`.  ``graphml``, ``gexf`` and ``json`` (node-link)
        hold everything.  ``csv`` and ``parquet`` are edge lists (columns ``source``,
        ``target`` and the edge attributes) and put the node table beside it, in
        ``<stem>.nodes.csv`` or ``.parquet``.  ``npz`` is the (n, n) adjacency matrix
        weighted by ``facet_volume`` (1.0 where an edge has none), for
        `scipy.sparse.load_npz`; rows in the order of the nodes.

    Returns
    -------
    tuple of Path
        The files written.

    Raises
    ------
    InvalidInputError
        If the format is unknown, or an attribute is not a bool, int, float or str, or (for
        ``parquet``) pyarrow is not installed, or the file cannot be written.

    Examples
    --------
    >>> import tempfile, networkx
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     files = write_graph(networkx.path_graph(3), f"{folder}/path.graphml")
    ...     again = read_graph(files[0])
    >>> again.edges
    EdgeView([(0, 1), (1, 2)])
    """
    files = graph_paths(path, format)
    _WRITERS[format_of(files[0], format, _WRITERS)](graph, *files)
    return files


def graph_paths(path: str | Path, format: str | None = None) -> tuple[Path, ...]:
    """The files that `write_graph` writes; raises InvalidInputError if the format is unknown.

    Examples
    --------
    >>> [file.name for file in graph_paths("edges.csv")]
    ['edges.csv', 'edges.nodes.csv']
    """
    target = Path(path)
    beside = format_of(target, format, _WRITERS) in ("csv", "parquet")
    return (target, _node_table_path(target)) if beside else (target,)


def read_graph(path: str | Path, format: str | None = None) -> nx.Graph:
    """Read back a graph that `write_graph` wrote as graphml, gexf or json.

    Parameters
    ----------
    path : file to read
    format : {"graphml", "gexf", "json"}, optional
        Default: from the suffix of `path`.

    Returns
    -------
    networkx.Graph
        With integer nodes and the attributes that were written.

    Raises
    ------
    InvalidInputError
        If the format is unknown or holds no whole graph, or the file is not of that format.
    FileNotFoundError
        If there is no such file.

    Examples
    --------
    >>> import tempfile, networkx
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     files = write_graph(networkx.cycle_graph(4), f"{folder}/cycle.json")
    ...     read_graph(files[0]).number_of_edges()
    4
    """
    source = Path(path)
    kind = format_of(source, format, _READERS)
    try:
        return _READERS[kind](source)
    except (ElementTree.ParseError, nx.NetworkXError, KeyError, TypeError, ValueError) as error:
        raise InvalidInputError(f"{source} is not a {kind} graph with integer nodes: {error}") from error


def format_of(path: Path, format: str | None, known: Collection[str]) -> str:
    """The format asked for, or the one that the suffix names."""
    kind = (format if format is not None else path.suffix.lstrip(".")).lower()
    if kind not in known:
        said = f"format {format!r}" if format is not None else f"the suffix of {path.name!r}"
        raise InvalidInputError(f"{said} is none of {', '.join(known)}; pass one as format")
    return kind


def _scalar_type(value: object) -> type:
    """The Python scalar type that files use for a value."""
    if type(value) in GRAPHML_TYPES:
        return type(value)
    if isinstance(value, bool | np.bool_):
        return bool
    if isinstance(value, numbers.Integral):
        return int
    if isinstance(value, numbers.Real):
        return float
    if isinstance(value, str):
        return str
    raise InvalidInputError(
        f"a graph attribute is {value!r} of type {type(value).__name__}; "
        "files hold bool, int, float and str: convert it first"
    )


def _attribute_types(records: Iterable[Mapping[str, Any]]) -> dict[str, type]:
    """Type of every attribute that occurs; ints and floats under one name become floats."""
    types: dict[str, type] = {}
    for record in records:
        for name, value in record.items():
            found = _scalar_type(value)
            known = types.setdefault(name, found)
            if known is not found:
                if {known, found} != {int, float}:
                    raise InvalidInputError(
                        f"attribute {name!r} is {known.__name__} in one place and "
                        f"{found.__name__} in another; give it one type"
                    )
                types[name] = float
    return types


def _text(value: object, kind: type) -> str:
    """How XML files spell a scalar; `repr` of a float is the shortest that reads back."""
    if kind is float:
        return repr(float(value))  # type: ignore[arg-type]
    if kind is bool:
        return "true" if value else "false"
    return escape(str(value)) if kind is str else str(value)


def _write_graphml(graph: nx.Graph, path: Path) -> None:
    """GraphML in one pass: networkx builds a tree of elements first, ten times slower."""
    scopes = {
        "graph": _attribute_types([graph.graph]),
        "node": _attribute_types(data for _, data in graph.nodes(data=True)),
        "edge": _attribute_types(data for _, _, data in graph.edges(data=True)),
    }
    names = [(scope, name) for scope, types in scopes.items() for name in types]
    keys = {pair: f"d{k}" for k, pair in enumerate(names)}

    def data(scope: str, record: Mapping[str, Any]) -> str:
        types = scopes[scope]
        return "".join(
            f'<data key="{keys[scope, name]}">{_text(value, types[name])}</data>'
            for name, value in record.items()
        )

    with text_to(path) as file:
        file.write(
            '<?xml version="1.0" encoding="utf-8"?>\n'
            '<graphml xmlns="http://graphml.graphdrawing.org/xmlns">\n'
        )
        for (scope, name), key in keys.items():
            kind = GRAPHML_TYPES[scopes[scope][name]]
            file.write(f'<key id="{key}" for="{scope}" attr.name={quoteattr(name)} attr.type="{kind}"/>\n')
        file.write('<graph edgedefault="undirected">\n')
        file.write(data("graph", graph.graph) + "\n")
        file.writelines(
            f"<node id={quoteattr(str(node))}>{data('node', record)}</node>\n"
            for node, record in graph.nodes(data=True)
        )
        file.writelines(
            f"<edge source={quoteattr(str(a))} target={quoteattr(str(b))}>{data('edge', record)}</edge>\n"
            for a, b, record in graph.edges(data=True)
        )
        file.write("</graph>\n</graphml>\n")


def _write_gexf(graph: nx.Graph, path: Path) -> None:
    """GEXF 1.2 in one pass; it has no graph attributes, so they go to the description."""
    node_types = _attribute_types(data for _, data in graph.nodes(data=True))
    edge_types = _attribute_types(data for _, _, data in graph.edges(data=True))
    keys = {pair: k for k, pair in enumerate(_scoped(node_types, edge_types))}

    def declare(file: TextIO, scope: str, types: Mapping[str, type]) -> None:
        file.write(f'<attributes mode="static" class="{scope}">\n')
        for name, kind in types.items():
            spelled = GRAPHML_TYPES[kind]
            file.write(f'<attribute id="{keys[scope, name]}" title={quoteattr(name)} type="{spelled}"/>\n')
        file.write("</attributes>\n")

    def values(scope: str, types: Mapping[str, type], record: Mapping[str, Any]) -> str:
        inner = "".join(
            f'<attvalue for="{keys[scope, name]}" '
            f"value={quoteattr(_text(value, types[name]) if types[name] is not str else value)}/>"
            for name, value in record.items()
        )
        return f"<attvalues>{inner}</attvalues>"

    with text_to(path) as file:
        file.write(
            '<?xml version="1.0" encoding="utf-8"?>\n'
            '<gexf xmlns="http://www.gexf.net/1.2draft" version="1.2">\n'
            f"<meta><description>{escape(json.dumps(graph.graph))}</description></meta>\n"
            '<graph defaultedgetype="undirected" mode="static">\n'
        )
        declare(file, "node", node_types)
        declare(file, "edge", edge_types)
        file.write("<nodes>\n")
        file.writelines(
            f"<node id={quoteattr(str(node))} label={quoteattr(str(node))}>"
            f"{values('node', node_types, record)}</node>\n"
            for node, record in graph.nodes(data=True)
        )
        file.write("</nodes>\n<edges>\n")
        file.writelines(
            f'<edge id="{k}" source={quoteattr(str(a))} target={quoteattr(str(b))}>'
            f"{values('edge', edge_types, record)}</edge>\n"
            for k, (a, b, record) in enumerate(graph.edges(data=True))
        )
        file.write("</edges>\n</graph>\n</gexf>\n")


@contextmanager
def text_to(path: Path) -> Iterator[TextIO]:
    """A text file that takes its name once it is whole; lines end in a line feed on every system."""
    with replacing(path, "graph") as stream:
        text = io.TextIOWrapper(stream, encoding="utf-8", newline="")
        yield text
        text.flush()
        text.detach()


def _scoped(node_types: Iterable[str], edge_types: Iterable[str]) -> Iterator[tuple[str, str]]:
    """All attribute names of a GEXF file, nodes first."""
    yield from (("node", name) for name in node_types)
    yield from (("edge", name) for name in edge_types)


def _write_json(graph: nx.Graph, path: Path) -> None:
    """Node-link JSON as networkx and d3 read it."""
    text = json.dumps(nx.node_link_data(graph, edges="edges"), default=_plain)
    write_text(text + "\n", path, "graph")


def _plain(value: object) -> object:
    """A numpy scalar as the Python one, for JSON."""
    return _scalar_type(value)(value)


def _tables(graph: nx.Graph) -> tuple[list[str], Rows, list[str], Rows]:
    """Edge and node tables: names of the columns and rows, None where nothing is stored."""
    edge_names = list(_attribute_types(data for _, _, data in graph.edges(data=True)))
    node_names = list(_attribute_types(data for _, data in graph.nodes(data=True)))
    edges: Rows = [(a, b, *map(data.get, edge_names)) for a, b, data in graph.edges(data=True)]
    nodes: Rows = [(node, *map(data.get, node_names)) for node, data in graph.nodes(data=True)]
    return ["source", "target", *edge_names], edges, ["node", *node_names], nodes


def _node_table_path(path: Path) -> Path:
    """Where the node table goes that belongs to the edge list `path`."""
    return path.with_name(f"{path.stem}.nodes{path.suffix}")


def _write_csv(graph: nx.Graph, path: Path, beside: Path) -> None:
    """Edge list and node table as CSV with a header line."""
    edge_names, edges, node_names, nodes = _tables(graph)
    for target, names, rows in ((path, edge_names, edges), (beside, node_names, nodes)):
        with text_to(target) as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(names)
            writer.writerows(rows)


def _write_parquet(graph: nx.Graph, path: Path, beside: Path) -> None:
    """Edge list and node table as Parquet; the graph attributes are schema metadata."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise InvalidInputError(
            "Parquet needs pyarrow, which is not installed: "
            "pip install 'relu-regions[parquet]', or write csv, graphml, json or npz"
        ) from error
    edge_names, edges, node_names, nodes = _tables(graph)
    metadata = {name: str(value) for name, value in graph.graph.items()}
    for target, names, rows in ((path, edge_names, edges), (beside, node_names, nodes)):
        columns = list(zip(*rows, strict=True)) if rows else [() for _ in names]
        table = pa.table({name: list(c) for name, c in zip(names, columns, strict=True)})
        with replacing(target, "graph") as file:
            pq.write_table(table.replace_schema_metadata(metadata), file)


def _write_npz(graph: nx.Graph, path: Path) -> None:
    """Adjacency matrix weighted by facet volume, for `scipy.sparse.load_npz`."""
    if graph.number_of_nodes() == 0:
        raise InvalidInputError("the graph has no nodes, so it has no adjacency matrix")
    matrix = nx.to_scipy_sparse_array(graph, weight="facet_volume", dtype=np.float64)
    # Through an open file, as scipy appends .npz to a path that does not end in it.
    with replacing(path, "graph") as file:
        sparse.save_npz(file, matrix)


def _read_graphml(path: Path) -> nx.Graph:
    graph = nx.read_graphml(path, node_type=int)
    for empty in ("node_default", "edge_default"):  # networkx's own, not in the file
        graph.graph.pop(empty, None)
    return graph


def _read_gexf(path: Path) -> nx.Graph:
    """GEXF without the labels and edge numbers that the format itself asks for."""
    graph = nx.read_gexf(path, node_type=int)
    for _, record in graph.nodes(data=True):
        record.pop("label", None)
    for _, _, record in graph.edges(data=True):
        record.pop("id", None)
    graph.graph.clear()
    for _, element in ElementTree.iterparse(path):
        if element.tag.endswith("}description"):
            graph.graph.update(json.loads(element.text or "{}"))
            break
    return graph


def _read_json(path: Path) -> nx.Graph:
    return nx.node_link_graph(json.loads(path.read_text(encoding="utf-8")), edges="edges")


_WRITERS: dict[str, Callable[..., None]] = {
    "graphml": _write_graphml,
    "gexf": _write_gexf,
    "json": _write_json,
    "csv": _write_csv,
    "parquet": _write_parquet,
    "npz": _write_npz,
}

_READERS: dict[str, Callable[[Path], nx.Graph]] = {
    "graphml": _read_graphml,
    "gexf": _read_gexf,
    "json": _read_json,
}
