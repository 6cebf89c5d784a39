"""`regions count --polyline`: the cells along a polyline through points."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from regions.cli.options import EngineWords, read_points
from regions.cli.session import cells_in_words, leave_if, print_facts, print_json, watched
from regions.errors import InvalidInputError

if TYPE_CHECKING:
    from regions.network.relu_network import Network

__all__ = ["PolylineOption", "count_along"]

PolylineOption = Annotated[
    Path | None,
    typer.Option(
        metavar="DATA.npy",
        help="The polyline through the points of a file, row by row.",
        rich_help_panel="Domain",
    ),
]


def count_along(
    network: Network, path: Path, how: EngineWords, max_seconds: float | None, json: bool
) -> None:
    """Count the cells along a polyline, and print counts and breakpoints."""
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
    if json:
        print_json({**found.to_dict(), "network": network.describe()})
    else:
        print_facts(
            {
                "network": network.describe(),
                "polyline": f"{len(points) - 1:,} pieces through {path}",
                "visits": cells_in_words(found.visits, found.stopped_by),
                "distinct": f"{found.distinct:,} patterns",
                "cells a piece": f"{found.counts.min():,} to {found.counts.max():,}",
            }
        )
    leave_if(found.stopped_by == "interrupt", "these are the cells that were found")
