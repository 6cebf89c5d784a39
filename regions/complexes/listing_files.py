"""Folders of cell complexes that may be larger than memory: their files, columns and header.

Two Parquet files hold the cells and the facets, in blocks of so many cells, each a row group. How they are
made is left to `enumeration`, what can be asked of them to `stored_complex`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from regions.complexes.complex_arrays import FACET_ARRAYS
from regions.complexes.facet_table import FacetTable
from regions.errors import InvalidInputError
from regions.network.patterns import packed_size

LISTING_FORMAT = "regions listing 2"
OLD_FORMATS = ("regions listing 1",)  # which had volumes and bounded domains only
HEADER, NETWORK, CELLS, FACETS = "listing.json", "network.npz", "cells.parquet", "facets.parquet"
CLIPPED = "clipped"  # within the folder of an unbounded domain: the listing in the box that clips
WORK, SEARCHED = "work", "search.json"  # where a search was over, and its facets are not joined yet
BLOCK = 1 << 16  # cells in a row group
COMPRESSION = "zstd"
_CHUNK = 1 << 22


class CellColumns(NamedTuple):
    """Some cells as arrays; `ring` holds the vertices of polygons one after the other, else it is None."""

    pattern: NDArray[np.uint8]
    volume: NDArray[np.float64]
    centroid: NDArray[np.float64]
    n_vertices: NDArray[np.int32]
    n_facets: NDArray[np.int32]
    ring: NDArray[np.float64] | None = None


def no_cells(n_units: int, dimension: int, planar: bool) -> CellColumns:
    """Return the columns of no cell, as they are for a network and a domain."""
    none = np.zeros(0, np.int32)
    return CellColumns(
        np.zeros((0, packed_size(n_units)), np.uint8),
        np.zeros(0),
        np.zeros((0, dimension)),
        none,
        none,
        np.zeros((0, 2)) if planar else None,
    )


def arrow() -> tuple[Any, Any]:
    """Return pyarrow and its Parquet module; raises InvalidInputError where they are not installed."""
    try:
        return import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError as error:
        raise InvalidInputError(
            f"listings in folders need pyarrow, which cannot be imported ({error}); install it with: "
            "pip install 'relu-regions[parquet]'"
        ) from error


def cell_table(cells: CellColumns) -> Any:
    """Return cells as an Arrow table."""
    pa, _ = arrow()
    centroids = {f"centroid_{k}": np.ascontiguousarray(row) for k, row in enumerate(cells.centroid.T)}
    columns = {
        "pattern": bytes_column(cells.pattern),
        "volume": cells.volume,
        **centroids,
        "n_vertices": cells.n_vertices,
        "n_facets": cells.n_facets,
    }
    if cells.ring is not None:
        ends = np.concatenate([[0], np.cumsum(2 * cells.n_vertices, dtype=np.int32)]).astype(np.int32)
        columns["ring"] = pa.ListArray.from_arrays(pa.array(ends), pa.array(cells.ring.ravel()))
    return pa.table(columns)


def cell_columns(table: Any, n_units: int, dimension: int) -> CellColumns:
    """Return the cells of an Arrow table as arrays."""
    ring = None
    if "ring" in table.column_names:
        ring = _whole(table["ring"]).flatten().to_numpy(zero_copy_only=False).reshape(-1, 2)
    centroid = [column_array(table, f"centroid_{k}") for k in range(dimension)]
    return CellColumns(
        column_bytes(table["pattern"])[:, : packed_size(n_units)],
        column_array(table, "volume"),
        np.ascontiguousarray(np.stack(centroid, axis=1)),
        column_array(table, "n_vertices"),
        column_array(table, "n_facets"),
        ring,
    )


def bytes_column(rows: NDArray[np.uint8]) -> Any:
    """Return rows (n, k) of bytes as an Arrow column of one binary value each, at least one byte long."""
    pa, _ = arrow()
    if rows.shape[1] == 0:
        rows = np.zeros((len(rows), 1), np.uint8)
    data = pa.py_buffer(np.ascontiguousarray(rows))
    return pa.Array.from_buffers(pa.binary(rows.shape[1]), len(rows), [None, data])


def column_bytes(column: Any) -> NDArray[np.uint8]:
    """Return the rows of such a column."""
    whole = _whole(column)
    width = whole.type.byte_width
    data = np.frombuffer(whole.buffers()[1], np.uint8, len(whole) * width, whole.offset * width)
    return data.reshape(-1, width)


def column_array(table: Any, name: str) -> NDArray[Any]:
    """Return a column of numbers as an array."""
    return np.asarray(table[name].to_numpy())


def _whole(column: Any) -> Any:
    """Return a column as one Arrow array."""
    whole = column.combine_chunks()
    return whole.chunk(0) if hasattr(whole, "chunk") else whole


def facet_schema() -> Any:
    """Return the schema of the file of facets."""
    pa, _ = arrow()
    return pa.schema([(name, pa.from_numpy_dtype(kind)) for name, kind in FACET_ARRAYS.items()])


def arrow_facets(table: FacetTable) -> Any:
    """Return facets as an Arrow table."""
    pa, _ = arrow()
    schema = facet_schema()
    return pa.table([pa.array(getattr(table, name)) for name in schema.names], schema=schema)


def block_writer(stream: Any, schema: Any) -> Any:
    """Return what writes tables as row groups to an open file."""
    _, pq = arrow()
    return pq.ParquetWriter(
        stream, schema, compression=COMPRESSION, compression_level=1, use_dictionary=False
    )


def write_header(folder: Path, header: dict[str, Any]) -> None:
    """Write the header, with digests of the files that it belongs to; the folder is whole from then on."""
    from regions.reports import write_text

    digests = {name: file_digest(folder / name) for name in (NETWORK, CELLS, FACETS)}
    text = json.dumps({"format": LISTING_FORMAT, **header, "files": digests}, indent=1)
    write_text(text + "\n", folder / HEADER, "listing")


def is_searched(folder: Path) -> bool:
    """Tell whether a folder holds the parts of a search that is over, and no listing yet."""
    return (folder / WORK / SEARCHED).is_file() and not (folder / HEADER).is_file()


def read_header(folder: Path) -> dict[str, Any]:
    """Read the header of a folder.

    Raises
    ------
    InvalidInputError
        If there is none, or of another kind.
    """
    file = folder / HEADER
    if is_searched(folder):
        raise InvalidInputError(
            f"the cells in {str(folder)!r} are found, and their facets are not joined yet: "
            f"`regions join {folder}` goes on"
        )
    if not file.is_file():
        raise InvalidInputError(
            f"{str(folder)!r} holds no finished listing ({HEADER} is missing); `regions enumerate NET "
            "<domain> --folder FOLDER` makes one"
        )
    try:
        header = json.loads(file.read_text(encoding="utf-8"))
        kind = header["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidInputError(f"{str(file)!r} is damaged: {error}") from error
    if kind not in (LISTING_FORMAT, *OLD_FORMATS):
        raise InvalidInputError(f"{str(file)!r} has format {kind!r}; this version reads {LISTING_FORMAT!r}")
    return dict(header)


def file_digest(path: Path) -> str:
    """Return a digest of the bytes of a file.

    Raises
    ------
    InvalidInputError
        If there is no such file.
    """
    state = hashlib.blake2b(digest_size=16)
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                state.update(chunk)
    except OSError as error:
        raise InvalidInputError(f"{str(path)!r} cannot be read: {error.strerror or error}") from error
    return state.hexdigest()


def row_groups(path: Path, columns: list[str] | None = None) -> Iterator[Any]:
    """Read the row groups of a Parquet file one after the other, as Arrow tables.

    Raises
    ------
    InvalidInputError
        If it cannot be read.
    """
    pa, pq = arrow()
    try:
        with pq.ParquetFile(path) as file:
            for k in range(file.num_row_groups):
                yield file.read_row_group(k, columns=columns, use_threads=False)
    except (OSError, pa.ArrowException) as error:
        raise InvalidInputError(f"{str(path)!r} is no readable Parquet file: {error}") from error
