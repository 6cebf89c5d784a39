"""Parts of a listing that go to files as they are found, so that a search keeps none of them in memory.

A task has two Parquet files, cells and half-facets, each row group of one having its facets in the same of
the other. They are written beside their names and take these once they are whole. What becomes of them is
left to `stored_listing`.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from regions.complexes.listing_files import (
    CellColumns,
    arrow,
    bytes_column,
    cell_columns,
    cell_table,
    column_array,
    column_bytes,
)
from regions.enumeration.compiled_network import CompiledNetwork
from regions.enumeration.vertices.vertex_search import Output
from regions.errors import InvalidInputError
from regions.network.patterns import packed_size

ROWS = 1 << 16  # cells, or half-facets over 8, that are kept until a row group is written
SECONDS_TO_JOIN = 1.0, 8e-6, 3e-6  # in all, for a cell, for a half-facet


class StoredPart(NamedTuple):
    """The name of a task's two files, and how many cells and half-facets they hold."""

    name: str
    cells: int
    halves: int

    def __str__(self) -> str:
        return f"{self.name}:{self.cells}:{self.halves}"

    @classmethod
    def parse(cls, text: str) -> StoredPart:
        """Return what `str` made a text of."""
        name, cells, halves = text.split(":")
        return cls(name, int(cells), int(halves))


class Batch(NamedTuple):
    """Some cells of a part, the Jacobians (n, outputs * d) on them, and their half-facets, cell by cell."""

    cells: CellColumns
    jacobian: NDArray[np.float64]
    label: NDArray[np.int64]
    match: NDArray[np.uint64]
    measure: NDArray[np.float64]


class Spool:
    """A folder that the parts of one listing go to.

    Parameters
    ----------
    folder : which must be there
    net : CompiledNetwork, whose cells they are
    """

    def __init__(self, folder: Path, net: CompiledNetwork) -> None:
        arrow()  # it is wanted now, and not after the first cells
        self.cells, self.halves = 0, 0
        self._lock = threading.Lock()
        self.folder, self.planar = folder, net.planar
        self.n_units, self.dimension = net.n_units, net.dimension

    def note(self, cells: int, halves: int) -> None:
        """Note that some cells came, with so many half-facets."""
        with self._lock:
            self.cells += cells
            self.halves += halves

    def seconds_to_join(self) -> float:
        """Return about how long it takes to join what came so far, rather too much than too little."""
        return SECONDS_TO_JOIN[0] + SECONDS_TO_JOIN[1] * self.cells + SECONDS_TO_JOIN[2] * self.halves

    def begin(self) -> Sink:
        """Return what takes the cells of one task."""
        return Sink(self)

    def store(self, outputs: Sequence[Output]) -> list[StoredPart]:
        """Write the cells of one task that came from elsewhere."""
        sink = self.begin()
        for output in outputs:
            sink.append(output)
        return sink.close()

    def files(self, name: str) -> tuple[Path, Path]:
        """Return the two files of a part."""
        return self.folder / f"{name}.cells.parquet", self.folder / f"{name}.halves.parquet"

    def remove(self, parts: Sequence[StoredPart]) -> None:
        """Remove parts that nobody needs."""
        for part in parts:
            for file in self.files(part.name):
                file.unlink(missing_ok=True)

    def read(self, part: StoredPart) -> Iterator[Batch]:
        """Read a part, batch by batch.

        Raises
        ------
        InvalidInputError
            If it is missing, damaged, or not as it was written.
        """
        pa, pq = arrow()
        found = [0, 0]
        try:
            with ExitStack() as stack:
                cells, halves = (
                    stack.enter_context(pq.ParquetFile(file, page_checksum_verification=True))
                    for file in self.files(part.name)
                )
                for k in range(cells.num_row_groups):
                    batch = self._batch(cells.read_row_group(k), halves.read_row_group(k))
                    found[0] += len(batch.cells.volume)
                    found[1] += len(batch.label)
                    if int(batch.cells.n_facets.sum()) != len(batch.label):
                        raise InvalidInputError(f"part {part.name} of the listing is damaged")
                    yield batch
        except (OSError, pa.ArrowException) as error:
            raise InvalidInputError(f"part {part.name} of the listing cannot be read: {error}") from error
        if found != [part.cells, part.halves]:
            raise InvalidInputError(f"part {part.name} of the listing is not as it was written")

    def _batch(self, cells: Any, halves: Any) -> Batch:
        return Batch(
            cell_columns(cells, self.n_units, self.dimension),
            column_bytes(cells["jacobian"]).view(np.float64),
            column_array(halves, "label"),
            column_array(halves, "match"),
            column_array(halves, "measure"),
        )


class Sink:
    """Takes the cells of one task, as a list does, and writes them when there are enough."""

    def __init__(self, spool: Spool) -> None:
        self.spool, self.name = spool, uuid.uuid4().hex
        self.kept: list[Output] = []
        self.writers: list[Any] = []
        self.waiting, self.cells, self.halves = 0, 0, 0

    def append(self, output: Output) -> None:
        """Take some cells."""
        self.kept.append(output)
        self.spool.note(len(output.volume), len(output.label))
        self.waiting += max(len(output.volume), len(output.label) // 8)
        if self.waiting >= ROWS:
            self._write()

    def close(self) -> list[StoredPart]:
        """Write the rest, and let the files take their names; returns the one part, or none."""
        self._write()
        if not self.writers:
            return []
        for writer, file in zip(self.writers, self.spool.files(self.name), strict=True):
            writer.close()
            _beside(file).rename(file)
        return [StoredPart(self.name, self.cells, self.halves)]

    def _write(self) -> None:
        """Write what waits as one row group."""
        kept, self.kept, self.waiting = self.kept, [], 0
        if not any(len(output.volume) for output in kept):
            return
        whole = Output(*(np.concatenate(arrays) for arrays in zip(*kept, strict=True)))
        _, pq = arrow()
        tables = self._tables(whole)
        if not self.writers:
            files = map(_beside, self.spool.files(self.name))
            self.writers = [
                pq.ParquetWriter(
                    file, table.schema, compression="none", use_dictionary=False, write_page_checksum=True
                )
                for file, table in zip(files, tables, strict=True)
            ]
        for writer, table in zip(self.writers, tables, strict=True):
            writer.write_table(table, row_group_size=max(1, len(table)))
        self.cells += len(whole.volume)
        self.halves += len(whole.label)

    def _tables(self, found: Output) -> tuple[Any, Any]:
        pa, _ = arrow()
        size = packed_size(self.spool.n_units)
        columns = CellColumns(
            np.ascontiguousarray(found.pattern).view(np.uint8)[:, :size],
            found.volume,
            found.centroid,
            found.n_vertices.astype(np.int32),
            found.n_facets.astype(np.int32),
            found.point if self.spool.planar else None,
        )
        cells = cell_table(columns)
        jacobian = np.ascontiguousarray(found.jacobian).view(np.uint8)
        cells = cells.append_column("jacobian", bytes_column(jacobian))
        halves = pa.table({"label": found.label, "match": found.match, "measure": found.measure})
        return cells, halves


def _beside(file: Path) -> Path:
    """Return where a file is written before it takes its name."""
    return file.with_name(f".{file.name}.part")
