"""`regions difference`: how far two networks are apart on a domain, exactly."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from regions.cli.groups import grouped
from regions.cli.options import AsJson, DomainWords, EngineWords, MaxSecondsOption, NetworkPath, ReadingWords
from regions.cli.session import cells_in_words, leave_if, print_facts, print_json, print_table, watched
from regions.errors import InvalidInputError

if TYPE_CHECKING:
    from regions.analysis.differences import NetworkDifference

__all__ = ["difference"]


@grouped
def difference(
    net: NetworkPath,
    other: Annotated[Path, typer.Argument(metavar="NET2", help="The network to compare it with.")],
    where: DomainWords,
    how: EngineWords,
    reading: ReadingWords,
    max_seconds: MaxSecondsOption = None,
    json: AsJson = False,
) -> None:
    """Say how far two networks are apart: the largest difference of each output, where their classes differ.

    For networks of the same layers, as before and after a step of training, also which patterns are kept,
    died or were born. After --max-seconds or Ctrl-C the result holds for the cells that were found.
    """
    from regions.analysis.differences import compare_networks

    if how.engine != "auto":
        raise InvalidInputError(f"difference chooses the engine itself; leave out --engine {how.engine}")
    first, second = reading.load(net), reading.load(other)
    domain = where.build(first)
    with watched("common cells") as progress:
        found = compare_networks(
            first,
            second,
            domain,
            arithmetic=how.arithmetic,  # type: ignore[arg-type]
            workers=how.workers,
            progress=progress,
            max_cells=how.max_cells,
            max_seconds=max_seconds,
        )
    stopped_by = found.cells.certificate.stopped_by
    if json:
        print_json(found.to_dict() | {"networks": [first.describe(), second.describe()]})
    else:
        _print(found, stopped_by)
    leave_if(stopped_by == "interrupt", "this holds for the cells that were found")


def _print(found: NetworkDifference, stopped_by: str) -> None:
    """Print the result for people."""
    facts: dict[str, object] = {
        "network": found.a.describe(),
        "compared with": found.b.describe(),
        "domain": found.domain.describe(),
        "common cells": cells_in_words(found.n_cells, stopped_by),
        "cells alone": f"{found.n_cells_a:,} and {found.n_cells_b:,}",
        "other classes": f"{found.disagreement:.6%} of the domain",
    }
    if found.comparable:
        facts["patterns"] = f"{found.kept:,} kept, {found.died:,} died, {found.born:,} born"
        facts["unmoved"] = f"{found.unmoved:.6%} of the domain has the same pattern in both"
    facts["proven"] = found.cells.certificate.statement
    print_facts(facts)
    rows = [
        (k, f"{float(value):.9g}", f"{float(signed):+.9g}", ", ".join(f"{float(x):.6g}" for x in point))
        for k, (value, signed, point) in enumerate(
            zip(found.largest, found.signed, found.exact_points, strict=True)
        )
    ]
    print_table(["output", "largest |a - b|", "a - b there", "at"], rows, words=(3,))
