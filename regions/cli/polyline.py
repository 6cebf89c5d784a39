"""`--polyline` of `regions count` and `regions enumerate`: the cells along a polyline through points."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from regions.cli.interruption import signals
from regions.cli.options import EngineWords, read_points
from regions.cli.session import (
    cells_in_words,
    leave_if,
    print_facts,
    print_json,
    print_table,
    print_text,
    watched,
)
from regions.errors import InvalidInputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from regions.complexes import CellComplex
    from regions.network.relu_network import Network

__all__ = ["PolylineOption", "count_along"]

MOST_SHOWN = 6  # breakpoints of a piece; --json has all

PolylineOption = Annotated[
    Path | None,
    typer.Option(
        metavar="DATA.npy",
        help="The polyline through the points of a file, row by row.",
        rich_help_panel="Domain",
    ),
]


def _row(piece: int, cells: CellComplex, breaks: NDArray[np.float64]) -> tuple[object, ...]:
    """Return a piece's number, length, number of cells and first breakpoints, for people."""
    shown = [f"{place:.6g}" for place in breaks[:MOST_SHOWN].tolist()]
    rest = ["..."] if len(breaks) > MOST_SHOWN else []
    return piece, f"{cells.domain.volume:.6g}", f"{cells.n_cells:,}", ", ".join(shown + rest)


def count_along(
    network: Network,
    path: Path,
    how: EngineWords,
    max_seconds: float | None,
    json: bool,
    output: Path | None = None,
) -> None:
    """Count the cells along a polyline, print counts and breakpoints, and save them if there is a file."""
    from regions.analysis.polylines import polyline_cells

    if how.engine != "auto":
        raise InvalidInputError(f"--polyline takes the engine of segments; leave out --engine {how.engine}")
    limits: dict[str, Any] = {"max_cells": how.max_cells, "max_seconds": max_seconds}
    points = read_points(path, network.input_dim)
    with watched("along the polyline") as progress:
        found = polyline_cells(
            network,
            points,
            arithmetic=how.arithmetic,  # type: ignore[arg-type]
            progress=progress,
            **limits,
        )
    place = {} if output is None else {"file": str(output)}
    if json:
        print_json({**found.to_dict(), "network": network.describe(), **place})
    else:
        print_facts(
            {
                "network": network.describe(),
                "polyline": f"{len(points) - 1:,} pieces through {path}",
                "visits": cells_in_words(found.visits, found.stopped_by),
                "distinct": f"{found.distinct:,} patterns",
                "cells a piece": f"{found.counts.min():,} to {found.counts.max():,}",
                **place,
            }
        )
        print_text("")
        print_table(
            ["piece", "length", "cells", "breakpoints"],
            list(map(_row, count(), found.pieces, found.breakpoints)),
        )
    if output is not None:
        with signals.after_writing():
            found.save(output)
    leave_if(found.stopped_by == "interrupt", "these are the cells that were found")
