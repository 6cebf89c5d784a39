"""`regions count --definition`: linear regions by each of the six definitions, from a full list of cells."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

from regions.cli.session import (
    cells_in_words,
    leave_if,
    print_facts,
    print_json,
    print_table,
    watched,
)
from regions.errors import BudgetExceededError, InvalidInputError

if TYPE_CHECKING:
    from regions.analysis.linear_regions import LinearRegions
    from regions.complexes import CellComplex
    from regions.domain import Domain
    from regions.network.relu_network import Network

Bounds = tuple[int, int | None]  # upper None: not computed


class Definition(StrEnum):
    """What counts as a linear region."""

    activation = "activation"
    cell = "cell"
    convex = "convex"
    open = "open"
    closed = "closed"
    affine = "affine"
    all = "all"


def count_definitions(
    network: Network, domain: Domain, wanted: Definition, options: dict[str, Any], as_json: bool
) -> None:
    """Enumerate the cells, count them by the definitions wanted, and print the counts.

    Raises
    ------
    InvalidInputError
        If `--max-cells` or `--max-seconds` cut the list of cells short.
    BudgetExceededError
        If "activation" alone is wanted of too many cells.
    """
    from regions.analysis.linear_regions import DEFINITIONS, LinearRegions
    from regions.enumeration.enumerate import enumerate_cells

    with watched("enumerating") as progress:
        complex = enumerate_cells(network, domain, progress=progress, **options)
    _refuse_truncated(complex)
    names = list(DEFINITIONS) if wanted is Definition.all else [wanted.value]
    with watched("faces") as progress:
        regions = LinearRegions(complex, progress=progress)
        counts = {name: _bounds(regions, name, strict=len(names) == 1) for name in names}
    facts: dict[str, Any] = {
        "network": network.describe(),
        "domain": domain.describe(),
        "cells": complex.n_cells,
        "engine": complex.engine,
        "arithmetic": complex.arithmetic,
        "seconds": complex.seconds,
    }
    if as_json:
        values = {name: _for_json(bounds) for name, bounds in counts.items()}
        extra = {"status": complex.status.name, "dimension": complex.dimension}
        print_json({"regions": values, **facts, **extra})
        return
    listing = f"{complex.engine}, {complex.arithmetic} arithmetic, {complex.seconds:.3g} s"
    print_facts({name: facts[name] for name in ("network", "domain")} | {"engine": listing})
    rows = [(name, _in_words(bounds), DEFINITIONS[name]) for name, bounds in counts.items()]
    print_table(["definition", "regions", "meaning"], rows, words=(0, 2))


def _refuse_truncated(complex: CellComplex) -> None:
    """Leave with what was found if the enumeration was interrupted; an error if it was limited."""
    stopped_by = complex.certificate.stopped_by
    cells = cells_in_words(complex.n_cells, stopped_by)
    leave_if(stopped_by == "interrupt", f"cells {cells}; no regions counted")
    if complex.status != "COMPLETE":
        raise InvalidInputError(
            f"the list of cells was cut short ({cells}), and regions are counted in a full list only: raise "
            "the limit or leave it out, or use a smaller domain"
        )


def _bounds(regions: LinearRegions, name: str, *, strict: bool) -> Bounds:
    """Return the bounds of a count; no upper one where it takes too many faces, unless that is all."""
    try:
        found = regions.count(name)
    except BudgetExceededError as error:
        if strict:
            raise BudgetExceededError(
                f"the {name} count needs all faces of {regions.cells.n_cells:,} cells, which is too many; "
                "use a smaller domain, or --definition all, which gives a lower bound of it"
            ) from error
        return regions.cells.n_cells, None
    return found.lower, found.upper


def _for_json(bounds: Bounds) -> Any:
    lower, upper = bounds
    return lower if lower == upper else {"lower": lower, "upper": upper}


def _in_words(bounds: Bounds) -> str:
    """Return a count in words.

    Examples
    --------
    >>> _in_words((7, 7)), _in_words((3, 5)), _in_words((20001, None))
    ('7', '3 to 5', 'at least 20,001')
    """
    lower, upper = bounds
    if upper is None:
        return f"at least {lower:,}"
    return f"{lower:,}" if lower == upper else f"{lower:,} to {upper:,}"
