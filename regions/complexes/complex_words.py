"""What complexes say of themselves in words and numbers, alike in memory and in folders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from regions.errors import InvalidInputError
from regions.showing import plain

if TYPE_CHECKING:
    from regions.complexes.cell_complex import CellComplex
    from regions.complexes.stored_complex import StoredComplex

__all__ = ["ComplexWords"]


@dataclass(frozen=True)
class ComplexWords:
    """A complex, and the numbers of its facets, of those between cells, and of its unbounded cells."""

    cells: CellComplex | StoredComplex
    n_facets: int
    n_interior: int
    n_unbounded: int

    def numbers(self) -> dict[str, Any]:
        """Return plain numbers and strings, ready for JSON."""
        cells = self.cells
        return {
            "n_cells": cells.n_cells,
            "n_facets": self.n_facets,
            "n_interior_facets": self.n_interior,
            "dimension": cells.dimension,
            "status": cells.status.value,
            "engine": cells.engine,
            "engine_reason": cells.engine_reason,
            "arithmetic": cells.arithmetic,
            "certificate": cells.certificate.to_dict(),
            "seconds": cells.seconds,
            "volume_sum": plain(cells.volume_sum),
            "volume_kind": cells.volume_kind,
            **problem_of(cells),
        }

    def headline(self) -> str:
        """Return a line for a repr."""
        cells = self.cells
        return (
            f"{cells.n_cells:,} cells in {cells.dimension}-D, {self.n_facets:,} facets, "
            f"{cells.status.value}, engine {cells.engine}, {cells.arithmetic} arithmetic"
        )

    def facts(self) -> dict[str, Any]:
        """Return what a table in a notebook says."""
        cells = self.cells
        rest = f", {self.n_unbounded:,} unbounded" if self.n_unbounded else ""
        known = cells.volume_kind != "none"
        return {
            **problem_of(cells),
            "cells": f"{cells.n_cells:,}{rest} ({cells.status.value})",
            "facets": f"{self.n_interior:,} between cells, {self.n_facets - self.n_interior:,} others",
            "volume": f"{cells.volume_sum:.9g} in all" if known else "not known",
            "proven": cells.certificate.statement,
            "engine": f"{cells.engine}, {cells.arithmetic} arithmetic, {cells.seconds:.3g} s",
            "why": cells.engine_reason,
        }


def problem_of(cells: CellComplex | StoredComplex) -> dict[str, Any]:
    """Return what was enumerated, in words."""
    return {"network": cells.network.describe(), "domain": cells.domain.describe()}


def require_volumes(cells: CellComplex | StoredComplex, what: str) -> None:
    """Raise InvalidInputError unless the volumes of cells and facets are known from vertices."""
    if cells.volume_kind != "vertices":
        raise InvalidInputError(
            f"{what} needs the volumes of cells and facets, and these cells (engine {cells.engine!r}, "
            f"d = {cells.dimension}) have none from vertices (volume_kind {cells.volume_kind!r}): "
            "enumerate with engine='cells', or on a slice"
        )
