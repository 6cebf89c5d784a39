"""Listings in folders: parts of cells, as tasks leave them, become the two files of a `StoredComplex`.

Cells are copied in the order of the search and cut into blocks anew, so that no byte of the files of cells
and facets depends on how the tree was cut into tasks, nor on who searched them. Facets are joined by
`facet_files`.
"""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from regions.complexes import Arithmetic, StoredComplex
from regions.complexes.listing_files import (
    BLOCK,
    CELLS,
    CLIPPED,
    FACETS,
    HEADER,
    NETWORK,
    WORK,
    arrow,
    arrow_facets,
    block_writer,
    cell_table,
    facet_schema,
    is_searched,
    no_cells,
)
from regions.complexes.stored_complex import write_stored
from regions.domain import Domain
from regions.enumeration.facet_files import FacetFiles
from regions.enumeration.ledger import Outcome
from regions.enumeration.limits import status_of
from regions.enumeration.planning import Plan
from regions.enumeration.self_checks import (
    check_points,
    holds_volume,
    is_thin,
    rows_in,
    sum_differs,
    sums_up,
    too_many,
)
from regions.enumeration.spool import Spool, StoredPart
from regions.errors import CertificateError, InvalidDomainError, InvalidInputError
from regions.reports import replacing

__all__ = ["check_listable", "new_folder", "write_listing"]


class _Sizes(NamedTuple):
    """How much was written, and how facets differ from their two sides."""

    cells: int
    facets: int
    interior: int
    sides_differ: str


def check_listable(domain: Domain) -> None:
    """Raise InvalidDomainError if the volumes of a domain's cells leave the range of floats."""
    if not holds_volume(domain):
        raise InvalidDomainError(
            f"the domain's volume is {domain.volume:g}: those of its cells are beyond the range of floats; "
            "count the cells, rescale domain and network, or list with engine='lp' and volumes=False"
        )


@contextmanager
def new_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Make a folder for a listing; what is in it is removed again if none comes to be.

    If the search is over, and noted by `joining`, what ends the joining early leaves the parts, unless they
    are wrong.

    Raises
    ------
    InvalidInputError
        If it is there and not empty, or cannot be made.
    """
    place = Path(path)
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise InvalidInputError(f"{str(place)!r} is there already and not empty; give a new folder")
    try:
        (place / WORK).mkdir(parents=True)
    except OSError as error:
        raise InvalidInputError(f"{str(place)!r} cannot be made: {error.strerror}") from error
    wrong = False
    try:
        yield place
    except (CertificateError, InvalidInputError):
        wrong = True
        raise
    finally:
        if wrong or not is_searched(place):
            shutil.rmtree(place / WORK, ignore_errors=True)
        if not (place / HEADER).exists() and not (place / WORK).exists():
            for name in (CELLS, FACETS, NETWORK):
                (place / name).unlink(missing_ok=True)
            shutil.rmtree(place / CLIPPED, ignore_errors=True)


def never() -> None:
    """End nothing: the `check` of a joining without limits."""


def write_listing(
    plan: Plan,
    domain: Domain,
    outcome: Outcome,
    place: Path,
    seconds: float,
    *,
    volume_kind: str = "vertices",
    check: Callable[[], None] = never,
) -> StoredComplex:
    """Make the files of a listing of what tasks left in parts, and check it.

    Parameters
    ----------
    plan : Plan, with the spool that the parts are in
    domain : Domain
    outcome : Outcome, whose results name the parts
    place : a folder by `new_folder`
    seconds : of the search
    volume_kind : "vertices", or "none" if the parts know no volumes
    check : called now and then; what it raises ends the joining

    Raises
    ------
    CertificateError
        If the result fails one of its checks.
    InvalidInputError
        If a part is missing or damaged.
    """
    spool, network = plan.spool, plan.net.network
    assert spool is not None
    arithmetic: Arithmetic = "certified" if plan.net.certified else "float"
    parts = [part for result in outcome.results for part in result.parts]
    measured = volume_kind == "vertices"
    sizes = _write_files(plan, domain, (spool, parts), (outcome.complete, measured), place, check)
    unchecked = _unchecked(outcome, domain, plan, sizes) if measured else ""
    network.save(place / NETWORK)
    if outcome.complete:
        check_points(network, domain, arithmetic, lambda rows: _listed(rows, place, plan))
    check()
    return write_stored(
        StoredComplex(
            folder=place,
            network=network,
            domain=domain,
            n_cells=sizes.cells,
            n_facets=sizes.facets,
            n_interior_facets=sizes.interior,
            volume_sum=outcome.volume if measured else math.nan,
            status=status_of(outcome.stopped_by),
            engine=plan.engine,
            engine_reason=plan.reason,
            arithmetic=arithmetic,
            tolerances=plan.tolerances,
            certificate=replace(outcome.certificate(arithmetic), unchecked=unchecked),
            seconds=seconds,
            block=BLOCK,
            files={},
            volume_kind=volume_kind,
        )
    )


def _write_files(
    plan: Plan,
    domain: Domain,
    source: tuple[Spool, list[StoredPart]],
    kind: tuple[bool, bool],
    place: Path,
    check: Callable[[], None],
) -> _Sizes:
    """Write cells and facets; `kind`: whether the listing is complete, and whether it knows volumes."""
    net, (spool, parts), (complete, measured) = plan.net, source, kind
    expected = sum(part.cells for part in parts), sum(part.halves for part in parts)
    with _scratch(place / WORK / "join") as scratch:
        joining = FacetFiles(scratch, net, domain, expected, plan.workers, check)
        schema = cell_table(no_cells(net.n_units, net.dimension, net.planar)).schema
        with replacing(place / CELLS, "cells") as stream, block_writer(stream, schema) as writer:
            blocks = _Blocks(writer)
            for part in parts:
                for batch in spool.read(part):
                    joining.add(batch)
                    blocks.add(cell_table(batch.cells))
            blocks.close()
        joining.join(complete)
        facets, interior, trouble = 0, 0, ""
        with replacing(place / FACETS, "facets") as stream, block_writer(stream, facet_schema()) as writer:
            for table, sides_differ in joining.blocks(plan.tolerances):
                known = table if measured else replace(table, volume=np.full(len(table), np.nan))
                writer.write_table(arrow_facets(known), row_group_size=len(table))
                facets += len(table)
                interior += int(table.interior.sum())
                trouble = trouble or sides_differ
    return _Sizes(expected[0], facets, interior, trouble)


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """Make an empty folder, and remove it in the end."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Blocks:
    """Writes cells in row groups of `BLOCK`, however they come."""

    def __init__(self, writer: Any) -> None:
        self.writer = writer
        self.kept: list[Any] = []
        self.rows = 0

    def add(self, table: Any) -> None:
        """Take the next cells."""
        self.kept.append(table)
        self.rows += len(table)
        while self.rows >= BLOCK:
            self._write()

    def close(self) -> None:
        """Write the last ones."""
        if self.rows:
            self._write()

    def _write(self) -> None:
        pa, _ = arrow()
        whole = pa.concat_tables(self.kept).combine_chunks()
        # copied, so that equal rows are equal bytes wherever they were cut
        block = pa.concat_tables([whole.slice(0, BLOCK)]).combine_chunks()
        self.writer.write_table(block, row_group_size=BLOCK)
        rest = whole.slice(BLOCK)
        self.kept, self.rows = [rest] if len(rest) else [], len(rest)


def _unchecked(outcome: Outcome, domain: Domain, plan: Plan, sizes: _Sizes) -> str:
    """Check the volumes; return what could not be checked.

    Raises
    ------
    CertificateError
        If they do not fit together.
    """
    trouble = sizes.sides_differ
    if not sums_up(outcome.volume, domain, outcome.complete, plan.tolerances):
        trouble = sum_differs(outcome.volume, domain)
    if not trouble and not is_thin(domain):
        return ""
    return too_many(trouble, sizes.cells, domain)


def _listed(rows: NDArray[np.uint8], place: Path, plan: Plan) -> NDArray[np.bool_]:
    """Tell which packed patterns are those of listed cells."""
    from regions.complexes.listing_files import column_bytes, row_groups

    found = np.zeros(len(rows), np.bool_)
    for table in row_groups(place / CELLS, ["pattern"]):
        listed = column_bytes(table["pattern"])[:, : rows.shape[1]]
        found |= rows_in(rows, np.ascontiguousarray(listed))
        if found.all():
            break
    return found
