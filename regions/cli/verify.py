"""`regions verify`: a saved list of cells is checked again, exactly; or proven by a page of plain Python."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from regions.cli.options import AsJson, ComplexPath, read_complex
from regions.cli.session import print_json, print_text, watched
from regions.cli.standard_input import named_file
from regions.errors import CertificateError, InvalidInputError

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
    with named_file(cells, "cells", ".regions") as file:
        check = _verify_along if _is_polyline(file) else _verify_cells
        ok = check(file, cells, (max_cells, seed), json)
    if not ok:
        raise typer.Exit(_WRONG)


def _is_polyline(file: Path) -> bool:
    from regions.complexes.complex_files import POLYLINE_FORMAT, read_words

    return bool(read_words(file).get("format") == POLYLINE_FORMAT)


def _verify_cells(file: Path, name: Path, draw: tuple[int | None, int], json: bool) -> bool:
    """Check a complex, and which of its cells meet a ball if the file says so; tell whether it is right."""
    import numpy as np

    from regions.analysis.verification import verify as check
    from regions.complexes.complex_files import read_words

    max_cells, seed = draw
    complex, ball = read_complex(file), "ball" in read_words(file)
    with watched("verifying") as progress:
        report = check(
            complex, max_cells=max_cells, rng=np.random.default_rng(seed), progress=progress, strict=False
        )
        wrong = _wrong_in_ball(file) if ball else ""
    if json:
        payload = asdict(report)
        payload["repairs"] = [{"cell": one.cell, "witness": list(one.rounded)} for one in report.repairs]
        print_json({**payload, "file": str(name), **({"ball": wrong or "ok"} if ball else {})})
    else:
        print_text(str(report))
        if ball:
            print_text(f"wrong: {wrong}" if wrong else "proven: which cells meet the ball")
    return report.ok and not wrong


def _wrong_in_ball(file: Path) -> str:
    """Return what is wrong with which cells meet a ball; "" if nothing is."""
    from regions.analysis.ball_cells import BallCells

    try:
        BallCells.load(file).check()
    except CertificateError as error:
        return str(error)
    return ""


def _verify_along(file: Path, name: Path, draw: tuple[int | None, int], json: bool) -> bool:
    """Check each piece of a polyline, print what is proven of all, and tell whether they are right."""
    import numpy as np

    from regions.analysis.polylines import PolylineCells
    from regions.analysis.verification import verify as check

    found, (max_cells, seed) = PolylineCells.load(file), draw
    rng = np.random.default_rng(seed)
    with watched("verifying", unit="pieces") as progress:
        reports = []
        for k, piece in enumerate(found.pieces):
            reports.append(check(piece, max_cells=max_cells, rng=rng, strict=False))
            progress(k + 1, (k + 1) / len(found.pieces))
    failures = [f"piece {k}: {text}" for k, one in enumerate(reports) for text in one.failures]
    ok = all(one.ok for one in reports)
    shared = set.intersection(*(set(one.proven) for one in reports))
    proven = [text for text in reports[0].proven if text in shared]
    if json:
        cells = sum(piece.n_cells for piece in found.pieces)
        facts = {"ok": ok, "pieces": len(reports), "cells": cells, "complete": found.complete}
        print_json({**facts, "failures": failures, "proven": proven, "file": str(name)})
        return ok
    lines = [
        f"{'verified' if ok else 'NOT RIGHT'}: {len(reports):,} pieces, {int(found.counts.sum()):,} cells"
    ]
    lines += [f"wrong: {text}" for text in failures] + [f"proven of each piece: {text}" for text in proven]
    if not found.complete:
        lines.append(f"not proven: that no cell is missing (TRUNCATED: {found.stopped_by})")
    print_text("\n".join(lines))
    return ok


def _prove(path: Path, max_cells: int | None, as_json: bool) -> None:
    """Run the independent check, and print what it says."""
    from regions.analysis import independent

    limit = independent.MOST_CELLS if max_cells is None else max_cells
    try:
        with named_file(path, "cells", ".regions") as file, watched("proving") as progress:
            if _is_polyline(file):
                raise InvalidInputError(
                    f"{path} holds cells along a polyline, and --independent proves those of one domain: "
                    "leave it out, or enumerate on a piece with --segment"
                )
            proof = independent.prove(str(file), limit=limit, progress=progress)
    except independent.NotDecided as error:
        raise InvalidInputError(f"not decided: {error}") from error
    if as_json:
        print_json({**asdict(proof), "file": str(path)})
    else:
        print_text("\n".join(proof.lines))
    if not proof.proven:
        raise typer.Exit(_WRONG)
