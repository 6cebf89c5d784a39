"""Cell complexes in folders, read in blocks, so that memory does not grow with the number of cells.

How the files are laid out is said in `listing_files`; sums over facets and cells are left to `analysis`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from regions.complexes.certificate import Arithmetic, Certificate, Completeness, Tolerances
from regions.complexes.complex_arrays import FACET_ARRAYS
from regions.complexes.complex_words import ComplexWords, problem_of, require_volumes
from regions.complexes.facet_table import FacetTable
from regions.complexes.listing_files import (
    BLOCK,
    CELLS,
    CLIPPED,
    FACETS,
    NETWORK,
    CellColumns,
    arrow,
    arrow_facets,
    block_writer,
    cell_columns,
    cell_table,
    column_array,
    facet_schema,
    file_digest,
    no_cells,
    read_header,
    row_groups,
    write_header,
)
from regions.domain import Domain, domain_from_dict
from regions.errors import InvalidInputError
from regions.network import Network
from regions.reports import replacing
from regions.showing import Shown

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
    volume_kind : "vertices", or "none" where engine "lp" knows no volumes, as in many dimensions
        Volumes are nan then, numbers of vertices 0, and centroids points inside.
    n_unbounded : int, how many cells have no end
    clipped : StoredComplex or None, of an unbounded domain only: the same cells, clipped to a box

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
    volume_kind: str = "vertices"
    n_unbounded: int = 0
    clipped: StoredComplex | None = field(default=None, repr=False)

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
        clipped = cls.open(place / CLIPPED) if (place / CLIPPED).is_dir() else None
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
                volume_sum=_volume_sum(header),
                status=Completeness(header["status"]),
                engine=header["engine"],
                engine_reason=header["engine_reason"],
                arithmetic=header["arithmetic"],
                tolerances=Tolerances(**header["tolerances"]),
                certificate=Certificate(**header["certificate"]),
                seconds=float(header["seconds"]),
                block=int(header["block"]),
                files=dict(header["files"]),
                volume_kind=str(header.get("volume_kind", "vertices")),
                n_unbounded=int(header.get("n_unbounded", 0)),
                clipped=clipped,
            )
            sizes = [pq.read_metadata(place / name).num_rows for name in (CELLS, FACETS)]
        except Exception as error:  # what a damaged file makes others raise is open-ended
            raise InvalidInputError(f"{str(place)!r} is no readable listing: {error}") from error
        fits = clipped is None or (clipped.n_cells, clipped.network.digest()) == (sizes[0], header["network"])
        if (
            sizes != [found.n_cells, found.n_facets]
            or found.network.digest() != header["network"]
            or not fits
            or (clipped is None) != domain.is_bounded
        ):
            raise InvalidInputError(f"{str(place)!r} holds files of different listings")
        return found

    def check(self) -> None:
        """Raise InvalidInputError unless every file has the bytes that were written; reads all of them."""
        for name, digest in self.files.items():
            if file_digest(self.folder / name) != digest:
                raise InvalidInputError(
                    f"{str(self.folder / name)!r} is not what was written: it was changed or damaged since"
                )
        if self.clipped is not None:
            self.clipped.check()

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers and strings, ready for JSON: the whole, without its cells one by one."""
        return {**self._words.numbers(), "folder": str(self.folder)}

    @property
    def _words(self) -> ComplexWords:
        return ComplexWords(self, self.n_facets, self.n_interior_facets, self.n_unbounded)

    def _headline(self) -> str:
        return f"{self._words.headline()}, in {str(self.folder)!r}"

    def _notes(self) -> dict[str, Any]:
        return problem_of(self)

    def _facts(self) -> dict[str, Any]:
        return {**self._words.facts(), "folder": str(self.folder)}

    @property
    def dimension(self) -> int:
        """Intrinsic dimension d of the domain."""
        return self.domain.dimension

    def require_volumes(self, what: str) -> None:
        """Raise InvalidInputError unless the volumes of cells and facets are known from vertices."""
        require_volumes(self, what)

    def cell_columns(self) -> Iterator[CellColumns]:
        """Read the cells block by block, in order."""
        for table in row_groups(self.folder / CELLS):
            yield cell_columns(table, self.network.n_units, self.dimension)

    def cell_blocks(self) -> Iterator[CellComplex]:
        """Read the cells block by block, each block as a TRUNCATED complex without facets."""
        clipped: Iterator[CellComplex | None]
        clipped = repeat(None) if self.clipped is None else self.clipped.cell_blocks()
        for cells, part in zip(self.cell_columns(), clipped, strict=False):
            yield self._part(cells, _no_facets(), clipped=part)

    def facet_blocks(self) -> Iterator[FacetTable]:
        """Read the facets block by block, in order; cells have their numbers in the whole."""
        for table in row_groups(self.folder / FACETS):
            yield FacetTable(**{name: column_array(table, name) for name in FACET_ARRAYS})

    def facets_with_cells(self) -> Iterator[tuple[NDArray[np.int64], CellComplex]]:
        """Read the facets block by block, each block as a TRUNCATED complex with the cells on both sides.

        Of a facet whose second cell is missing, only the first is there.

        Yields
        ------
        numbers : (n,) int64, those of the cells in the whole, rising
        part : CellComplex, in which they are numbered from 0

        Raises
        ------
        InvalidInputError
            If the domain is unbounded: shapes are those of `clipped`.
        """
        if self.clipped is not None:
            raise InvalidInputError("shapes of unbounded cells are those of stored.clipped, in its box")
        for table in self.facet_blocks():
            numbers = np.unique(np.concatenate([table.cell_a, table.cell_b[table.cell_b >= 0]]))
            columns = {name: getattr(table, name) for name in FACET_ARRAYS}
            columns["cell_a"] = np.searchsorted(numbers, table.cell_a)
            local = np.searchsorted(numbers, table.cell_b)
            columns["cell_b"] = np.where(table.cell_b >= 0, local, table.cell_b)
            yield numbers, self._part(self.take(numbers), FacetTable(**columns))

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
        clipped = None if self.clipped is None else self.clipped.load()
        cells = self._joined(list(self.cell_columns()))
        return self._part(cells, FacetTable(**facets), whole=True, clipped=clipped)

    def _joined(self, parts: list[CellColumns]) -> CellColumns:
        """Return cells one after the other."""
        if not parts:
            planar = self.engine == "planar" and self.clipped is None
            parts = [no_cells(self.network.n_units, self.dimension, planar)]
        joined: list[Any] = [
            None if each[0] is None else np.concatenate(each) for each in zip(*parts, strict=True)
        ]
        return CellColumns(*joined)

    def _part(
        self,
        cells: CellColumns,
        facets: FacetTable,
        *,
        whole: bool = False,
        clipped: CellComplex | None = None,
    ) -> CellComplex:
        """Return some of the cells as a complex; it is TRUNCATED unless it is the whole."""
        from regions.complexes.cell_complex import CellComplex

        return CellComplex(
            network=self.network,
            domain=self.domain,
            patterns=np.ascontiguousarray(cells.pattern),
            volumes=cells.volume,
            centroids=cells.centroid,
            witnesses=(cells.centroid if clipped is None else clipped.centroids).copy(),
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
            volume_kind=self.volume_kind,
            clipped=clipped,
        )


def write_stored(found: StoredComplex) -> StoredComplex:
    """Write the header of a listing whose files are in its folder, and open it; it is whole from then on."""
    names = ("n_cells", "n_facets", "n_interior_facets", "block", "engine", "engine_reason", "arithmetic")
    header = {
        "network": found.network.digest(),
        "domain": found.domain.to_dict(),
        **{name: getattr(found, name) for name in (*names, "seconds", "volume_kind", "n_unbounded")},
        "volume_sum": found.volume_sum if math.isfinite(found.volume_sum) else None,
        "status": found.status.value,
        "tolerances": asdict(found.tolerances),
        "certificate": asdict(found.certificate),
    }
    write_header(found.folder, header)
    return StoredComplex.open(found.folder)


def write_in_blocks(cells: CellComplex, folder: Path) -> StoredComplex:
    """Write a complex that is in memory to a folder that is there."""
    clipped = None
    if cells.clipped is not None:
        (folder / CLIPPED).mkdir()
        clipped = write_in_blocks(cells.clipped, folder / CLIPPED)
    n, ends = cells.n_cells, np.concatenate([[0], np.cumsum(cells.n_vertices)])
    planar = cells.rings is not None
    schema = cell_table(no_cells(cells.network.n_units, cells.dimension, planar)).schema
    with replacing(folder / CELLS, "cells") as stream, block_writer(stream, schema) as writer:
        for first in range(0, n, BLOCK):
            part = slice(first, min(first + BLOCK, n))
            ring = None if cells.rings is None else cells.rings[ends[part.start] : ends[part.stop]]
            columns = CellColumns(
                pattern=cells.patterns[part],
                volume=cells.volumes[part],
                centroid=cells.centroids[part],
                n_vertices=cells.n_vertices[part],
                n_facets=cells.n_facets[part],
                ring=ring,
            )
            table = cell_table(columns)
            writer.write_table(table, row_group_size=len(table))
    with replacing(folder / FACETS, "facets") as stream, block_writer(stream, facet_schema()) as writer:
        for first in range(0, len(cells.facets), BLOCK):
            rows = slice(first, first + BLOCK)
            table = arrow_facets(FacetTable(**{k: getattr(cells.facets, k)[rows] for k in FACET_ARRAYS}))
            writer.write_table(table, row_group_size=len(table))
    cells.network.save(folder / NETWORK)
    words = cells._words
    return write_stored(
        StoredComplex(
            folder=folder,
            network=cells.network,
            domain=cells.domain,
            n_cells=n,
            n_facets=words.n_facets,
            n_interior_facets=words.n_interior,
            volume_sum=cells.volume_sum,
            status=cells.status,
            engine=cells.engine,
            engine_reason=cells.engine_reason,
            arithmetic=cells.arithmetic,
            tolerances=cells.tolerances,
            certificate=cells.certificate,
            seconds=cells.seconds,
            block=BLOCK,
            files={},
            volume_kind=cells.volume_kind,
            n_unbounded=words.n_unbounded,
            clipped=clipped,
        )
    )


def _volume_sum(header: dict[str, Any]) -> float:
    """Return the sum of the volumes of a header, where what is not finite has no number."""
    if header["volume_sum"] is not None:
        return float(header["volume_sum"])
    return math.inf if header["n_unbounded"] else math.nan


def _no_facets() -> FacetTable:
    return FacetTable(**{name: np.zeros(0, kind) for name, kind in FACET_ARRAYS.items()})
