"""Cell complexes in folders, read in blocks, so that memory does not grow with the number of cells.

How the files are laid out is said in `listing_files`; sums over facets and cells are left to `analysis`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from regions.complexes.certificate import Arithmetic, Certificate, Completeness, Tolerances
from regions.complexes.complex_arrays import FACET_ARRAYS
from regions.complexes.facet_table import FacetTable
from regions.complexes.listing_files import (
    CELLS,
    FACETS,
    NETWORK,
    CellColumns,
    arrow,
    cell_columns,
    column_array,
    file_digest,
    no_cells,
    read_header,
    row_groups,
)
from regions.domain import Domain, domain_from_dict
from regions.errors import InvalidInputError
from regions.network import Network
from regions.showing import Shown, plain

if TYPE_CHECKING:
    from regions.complexes.cell_complex import CellComplex

__all__ = ["StoredComplex"]


@dataclass(frozen=True, eq=False)
class StoredComplex(Shown):
    """The cells of a network on a domain, and the facets between them, in a folder.

    Made by `enumerate_cells(..., output=FOLDER)` or a run, and opened by `CellComplex.open`. Locus volumes,
    sums over cells and graph files read it in blocks; `load` makes a `CellComplex` of it, if that fits into
    memory. Cells and facets have the numbers that they have there.

    Attributes
    ----------
    folder : Path
    network, domain : what was enumerated
    n_cells, n_facets, n_interior_facets : int; facets on the domain's sides are among the second
    volume_sum : float, of the cells' volumes, in input units, rounded once
    status : Completeness
    engine, engine_reason : str, which engine listed the cells, and why that one
    arithmetic : "certified" or "float"
    tolerances : Tolerances
    certificate : Certificate
    seconds : float, wall time of the enumeration

    Examples
    --------
    >>> import tempfile
    >>> from regions import Box, Network, enumerate_cells, locus_volume
    >>> lines = Network.from_arrays([[[1.0, 0.0], [0.0, 1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.0]])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     box = Box([-1.0, -1.0], [1.0, 1.0])
    ...     stored = enumerate_cells(lines, box, output=f"{folder}/cells")
    ...     stored.n_cells, stored.n_interior_facets, locus_volume(stored).total
    (4, 4, 4.0)
    """

    folder: Path
    network: Network
    domain: Domain
    n_cells: int
    n_facets: int
    n_interior_facets: int
    volume_sum: float
    status: Completeness
    engine: str
    engine_reason: str
    arithmetic: Arithmetic
    tolerances: Tolerances
    certificate: Certificate
    seconds: float
    block: int = field(repr=False)
    files: dict[str, str] = field(repr=False)

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> StoredComplex:
        """Open a folder that `enumerate_cells` or a run made.

        Raises
        ------
        InvalidInputError
            If it holds no finished listing, or one whose files do not belong together.
        """
        place = Path(folder)
        header = read_header(place)
        _, pq = arrow()
        try:
            domain = domain_from_dict(header["domain"])
            found = cls(
                folder=place,
                network=Network.load(place / NETWORK),
                domain=domain,
                n_cells=int(header["n_cells"]),
                n_facets=int(header["n_facets"]),
                n_interior_facets=int(header["n_interior_facets"]),
                volume_sum=float(header["volume_sum"]),
                status=Completeness(header["status"]),
                engine=header["engine"],
                engine_reason=header["engine_reason"],
                arithmetic=header["arithmetic"],
                tolerances=Tolerances(**header["tolerances"]),
                certificate=Certificate(**header["certificate"]),
                seconds=float(header["seconds"]),
                block=int(header["block"]),
                files=dict(header["files"]),
            )
            sizes = [pq.read_metadata(place / name).num_rows for name in (CELLS, FACETS)]
        except Exception as error:  # what a damaged file makes others raise is open-ended
            raise InvalidInputError(f"{str(place)!r} is no readable listing: {error}") from error
        if sizes != [found.n_cells, found.n_facets] or found.network.digest() != header["network"]:
            raise InvalidInputError(f"{str(place)!r} holds files of different listings")
        return found

    def check(self) -> None:
        """Raise InvalidInputError unless every file has the bytes that were written; reads all of them."""
        for name, digest in self.files.items():
            if file_digest(self.folder / name) != digest:
                raise InvalidInputError(
                    f"{str(self.folder / name)!r} is not what was written: it was changed or damaged since"
                )

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers and strings, ready for JSON: the whole, without its cells one by one."""
        return {
            "n_cells": self.n_cells,
            "n_facets": self.n_facets,
            "n_interior_facets": self.n_interior_facets,
            "dimension": self.dimension,
            "status": self.status.value,
            "engine": self.engine,
            "engine_reason": self.engine_reason,
            "arithmetic": self.arithmetic,
            "certificate": self.certificate.to_dict(),
            "seconds": self.seconds,
            "volume_sum": plain(self.volume_sum),
            "network": self.network.describe(),
            "domain": self.domain.describe(),
            "folder": str(self.folder),
        }

    def _headline(self) -> str:
        return (
            f"{self.n_cells:,} cells in {self.dimension}-D, {self.n_facets:,} facets, {self.status.value}, "
            f"engine {self.engine}, {self.arithmetic} arithmetic, in {str(self.folder)!r}"
        )

    def _notes(self) -> dict[str, Any]:
        return {"network": self.network.describe(), "domain": self.domain.describe()}

    def _facts(self) -> dict[str, Any]:
        return {
            **self._notes(),
            "volume": f"{self.volume_sum:.9g} in all",
            "proven": self.certificate.statement,
        }

    @property
    def dimension(self) -> int:
        """Intrinsic dimension d of the domain."""
        return self.domain.dimension

    @property
    def clipped(self) -> None:
        """None: the domain of a listing in a folder is bounded."""
        return None

    def cell_columns(self) -> Iterator[CellColumns]:
        """Read the cells block by block, in order."""
        for table in row_groups(self.folder / CELLS):
            yield cell_columns(table, self.network.n_units, self.dimension)

    def cell_blocks(self) -> Iterator[CellComplex]:
        """Read the cells block by block, each block as a TRUNCATED complex without facets."""
        for cells in self.cell_columns():
            yield self._part(cells, _no_facets())

    def facet_blocks(self) -> Iterator[FacetTable]:
        """Read the facets block by block, in order; cells have their numbers in the whole."""
        for table in row_groups(self.folder / FACETS):
            yield FacetTable(**{name: column_array(table, name) for name in FACET_ARRAYS})

    def facets_with_cells(self) -> Iterator[CellComplex]:
        """Read the facets block by block, each block as a TRUNCATED complex with the cells on both sides.

        Cells have numbers of their own there, in the same order. Of a facet whose second cell is missing,
        only the first is there.
        """
        for table in self.facet_blocks():
            numbers = np.unique(np.concatenate([table.cell_a, table.cell_b[table.cell_b >= 0]]))
            columns = {name: getattr(table, name) for name in FACET_ARRAYS}
            columns["cell_a"] = np.searchsorted(numbers, table.cell_a)
            local = np.searchsorted(numbers, table.cell_b)
            columns["cell_b"] = np.where(table.cell_b >= 0, local, table.cell_b)
            yield self._part(self.take(numbers), FacetTable(**columns))

    def take(self, numbers: NDArray[np.int64]) -> CellColumns:
        """Read some cells, whose numbers are in order."""
        _, pq = arrow()
        parts = []
        with pq.ParquetFile(self.folder / CELLS) as file:
            blocks = np.searchsorted(numbers, self.block * np.arange(file.num_row_groups + 1))
            for k in np.flatnonzero(np.diff(blocks)).tolist():
                chosen = numbers[blocks[k] : blocks[k + 1]] - k * self.block
                table = file.read_row_group(k, use_threads=False).take(chosen)
                parts.append(cell_columns(table, self.network.n_units, self.dimension))
        return self._joined(parts)

    def load(self) -> CellComplex:
        """Read everything into memory, as the complex that `enumerate_cells` without `output` returns.

        Raises
        ------
        InvalidInputError
            If a file is damaged.
        """
        tables = list(self.facet_blocks()) or [_no_facets()]
        facets = {name: np.concatenate([getattr(t, name) for t in tables]) for name in FACET_ARRAYS}
        return self._part(self._joined(list(self.cell_columns())), FacetTable(**facets), whole=True)

    def _joined(self, parts: list[CellColumns]) -> CellColumns:
        """Return cells one after the other."""
        if not parts:
            parts = [no_cells(self.network.n_units, self.dimension, self.engine == "planar")]
        joined: list[Any] = [
            None if each[0] is None else np.concatenate(each) for each in zip(*parts, strict=True)
        ]
        return CellColumns(*joined)

    def _part(self, cells: CellColumns, facets: FacetTable, *, whole: bool = False) -> CellComplex:
        """Return some of the cells as a complex; it is TRUNCATED unless it is the whole."""
        from regions.complexes.cell_complex import CellComplex

        return CellComplex(
            network=self.network,
            domain=self.domain,
            patterns=np.ascontiguousarray(cells.pattern),
            volumes=cells.volume,
            centroids=cells.centroid,
            witnesses=cells.centroid,
            n_vertices=cells.n_vertices,
            n_facets=cells.n_facets,
            facets=facets,
            status=self.status if whole else Completeness.TRUNCATED,
            engine=self.engine,
            engine_reason=self.engine_reason,
            arithmetic=self.arithmetic,
            tolerances=self.tolerances,
            certificate=self.certificate,
            seconds=self.seconds,
            rings=cells.ring,
        )


def _no_facets() -> FacetTable:
    return FacetTable(**{name: np.zeros(0, kind) for name, kind in FACET_ARRAYS.items()})
