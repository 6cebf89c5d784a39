"""`--ball` of `regions count` and `regions enumerate`: the cells that meet a ball around a point."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from regions.cli.interruption import signals
from regions.cli.options import EngineWords, read_point
from regions.cli.session import cells_in_words, leave_if, print_facts, print_json, watched
from regions.errors import InvalidInputError

if TYPE_CHECKING:
    from regions.analysis.ball_cells import BallCells
    from regions.complexes import CellComplex
    from regions.domain import Domain
    from regions.network.relu_network import Network

__all__ = ["BallWords", "count_in_ball", "in_ball"]

_PANEL = "Domain"
_NORMS = {"1": 1.0, "2": 2.0, "inf": float("inf")}


@dataclass(frozen=True)
class BallWords:
    """The options that name a ball, as typed."""

    ball: Annotated[
        Path | None,
        typer.Option(
            metavar="X.npy", help="The cells that meet a ball around a point.", rich_help_panel=_PANEL
        ),
    ] = None
    radius: Annotated[float | None, typer.Option(help="With --ball: its radius.", rich_help_panel=_PANEL)] = (
        None
    )
    norm: Annotated[
        str, typer.Option(metavar="1|2|inf", help="With --ball: its norm.", rich_help_panel=_PANEL)
    ] = "2"

    def check(self) -> None:
        """Raise InvalidInputError unless the options go together."""
        if (self.ball is None) != (self.radius is None):
            raise InvalidInputError("--ball X.npy and --radius R go together")
        if self.norm not in _NORMS:
            raise InvalidInputError(f"--norm: {self.norm!r}; choose {', '.join(_NORMS)}")

    def domain(self, network: Network) -> Domain:
        """Return the ball as a domain, which one of norm 1 or inf is."""
        from regions.analysis.ball_cells import ball_domain

        self.check()
        assert self.ball is not None and self.radius is not None  # by the check, and by who asks
        if self.norm == "2":
            raise InvalidInputError(
                "a ball of norm 2 is no polytope, so its cells go to a file: give --output FILE in place of "
                "--folder, or list the box around it with --norm inf"
            )
        return ball_domain(read_point(self.ball, network.input_dim), self.radius, _NORMS[self.norm])


def in_ball(words: BallWords, network: Network, complex: CellComplex) -> BallCells:
    """Return the cells of a ball of norm 1 or inf as what they are, to be saved with it."""
    import numpy as np

    from regions.analysis.ball_cells import BallCells

    assert words.ball is not None and words.radius is not None  # by BallWords.check
    center = read_point(words.ball, network.input_dim)
    return BallCells(center, words.radius, _NORMS[words.norm], complex, np.arange(complex.n_cells))


def count_in_ball(
    network: Network,
    words: BallWords,
    how: EngineWords,
    max_seconds: float | None,
    json: bool,
    output: Path | None = None,
) -> None:
    """Count the cells that meet a ball, print what can be said of them, and save them if there is a file."""
    from regions.analysis.ball_cells import ball_cells

    if how.engine != "auto":
        raise InvalidInputError(
            f"--ball takes the engine that lists with vertices; leave out --engine {how.engine}"
        )
    assert words.ball is not None and words.radius is not None  # by BallWords.check
    limits: dict[str, Any] = {"max_cells": how.max_cells, "max_seconds": max_seconds}
    point = read_point(words.ball, network.input_dim)
    with watched("cells in the ball") as progress:
        found = ball_cells(
            network,
            point,
            words.radius,
            norm=_NORMS[words.norm],
            arithmetic=how.arithmetic,  # type: ignore[arg-type]
            progress=progress,
            **limits,
        )
    place = {} if output is None else {"file": str(output)}
    facts = {**found.to_dict(), "network": network.describe(), **place}
    stopped_by = found.complex.certificate.stopped_by
    if json:
        print_json(facts)
    else:
        nearest, inside = facts["distance_to_boundary"], [*facts["volumes"], 0.0]
        inradii = facts["inradii"] or [0.0]
        print_facts(
            {
                "network": network.describe(),
                "ball": f"radius {found.radius:g} around {words.ball}, norm {words.norm}",
                "cells": cells_in_words(found.count, stopped_by),
                "volumes inside": f"{sum(inside):.9g} in all, the largest {max(inside):.6g}",
                "inradii": f"{min(inradii):.6g} to {max(inradii):.6g}",
                "nearest border": "beyond the ball" if nearest is None else f"{nearest:.6g} from the center",
                "proven": found.complex.certificate.statement,
                **place,
            }
        )
    if output is not None:
        with signals.after_writing():
            found.save(output)
    leave_if(stopped_by == "interrupt", "these are the cells that were found")
