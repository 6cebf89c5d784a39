"""The bounded part of an unbounded complex in which a density has its mass, listed anew."""

from __future__ import annotations

from typing import overload

from regions.complexes import CellComplex, StoredComplex
from regions.density import Density
from regions.density.reach import part_with_mass
from regions.enumeration import enumerate_cells
from regions.errors import InvalidInputError

__all__ = ["where_mass_is"]


@overload
def where_mass_is(cells: CellComplex, density: Density | None) -> CellComplex: ...
@overload
def where_mass_is(
    cells: CellComplex | StoredComplex, density: Density | None
) -> CellComplex | StoredComplex: ...


def where_mass_is(cells: CellComplex | StoredComplex, density: Density | None) -> CellComplex | StoredComplex:
    """Return the cells of the part of the domain that has a density's mass; of a bounded domain, the same.

    The part is listed in memory.

    Raises
    ------
    InvalidInputError
        If the domain is unbounded and there is no density, or its mass may be anywhere.
    """
    if cells.clipped is None:
        return cells
    if density is None:
        raise InvalidInputError(
            f"there is no uniform density on {cells.domain.describe()}: give one of mass 1, such as a "
            "GaussianDensity"
        )
    part = part_with_mass(cells.domain, density)
    return enumerate_cells(cells.network, part, arithmetic=cells.arithmetic)
