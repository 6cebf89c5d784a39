"""`regions verify`: a saved list of cells is checked again, exactly; or proven by a page of plain Python."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from regions.cli.options import AsJson, ComplexPath, read_complex
from regions.cli.session import print_json, print_text, watched
from regions.cli.standard_input import named_file
from regions.errors import InvalidInputError

_WRONG = 1


def verify(
    cells: ComplexPath,
    independent: Annotated[
        bool,
        typer.Option(
            "--independent",
            help="Prove completeness by Python's standard library alone (analysis/independent.py, which also "
            "runs by itself): from exact volumes for d <= 3, from matching facets for d <= 6; some "
            "milliseconds per cell.",
        ),
    ] = False,
    max_cells: Annotated[
        int | None,
        typer.Option(
            help="Check this many cells, drawn at random; with --independent, refuse files that have more "
            "(default: 100000)."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the draw.")] = 0,
    json: AsJson = False,
) -> None:
    """Check a list of cells again in exact arithmetic, without the engine that made it.

    Says what is proven, what failed, and what was not looked at. Exits with 1 if the list is not right.
    """
    if independent:
        _prove(cells, max_cells, json)
        return
    import numpy as np

    from regions.analysis.verification import verify as check

    complex = read_complex(cells)
    with watched("verifying") as progress:
        report = check(
            complex, max_cells=max_cells, rng=np.random.default_rng(seed), progress=progress, strict=False
        )
    if json:
        payload = asdict(report)
        payload["repairs"] = [{"cell": one.cell, "witness": list(one.rounded)} for one in report.repairs]
        print_json({**payload, "file": str(cells)})
    else:
        print_text(str(report))
    if not report.ok:
        raise typer.Exit(_WRONG)


def _prove(path: Path, max_cells: int | None, as_json: bool) -> None:
    """Run the independent check, and print what it says."""
    from regions.analysis import independent

    limit = independent.MOST_CELLS if max_cells is None else max_cells
    try:
        with named_file(path, "cells", ".regions") as file, watched("proving") as progress:
            proof = independent.prove(str(file), limit=limit, progress=progress)
    except independent.NotDecided as error:
        raise InvalidInputError(f"not decided: {error}") from error
    if as_json:
        print_json({**asdict(proof), "file": str(path)})
    else:
        print_text("\n".join(proof.lines))
    if not proof.proven:
        raise typer.Exit(_WRONG)
