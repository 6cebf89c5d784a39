"""Checks of what the analyses of a cell complex are given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from regions.errors import InvalidInputError

if TYPE_CHECKING:
    from regions.complexes import CellComplex

__all__ = ["check_bounded", "check_complex"]

_PARTS = ("network", "domain", "patterns", "facets", "status")


def check_complex(value: object) -> None:
    """Raise InvalidInputError unless a value is a cell complex, or has the parts of one.

    Examples
    --------
    >>> try:
    ...     check_complex("cells.regions")
    ... except InvalidInputError as error:
    ...     print(str(error)[:39])
    this takes a CellComplex and got a str;
    """
    if isinstance(value, type) or not all(hasattr(value, part) for part in _PARTS):
        raise InvalidInputError(
            f"this takes a CellComplex and got a {type(value).__name__}; give what "
            "enumerate_cells(network, domain) returns, or CellComplex.load(file)"
        )


def check_bounded(cells: CellComplex, what: str) -> None:
    """Raise InvalidInputError if the domain of a complex is unbounded."""
    if cells.clipped is not None:
        raise InvalidInputError(
            f"{what} take a bounded domain, not {cells.domain.describe()}: give complex.clipped, on "
            f"{cells.clipped.domain.describe()}, or enumerate on a domain of your choice"
        )
