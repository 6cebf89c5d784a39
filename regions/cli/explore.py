"""`regions explore`: the cells around a point in any dimension, and how far its prediction holds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from regions.cli.groups import grouped
from regions.cli.interruption import signals
from regions.cli.options import (
    ArithmeticOption,
    AsJson,
    AtOption,
    BoxOption,
    ClipOption,
    DomainWords,
    FixOption,
    FreeOption,
    MarginOption,
    MaxSecondsOption,
    NetworkPath,
    ReadingWords,
    SegmentOption,
    SliceOption,
    WholeSpaceOption,
    read_point,
    writable,
)
from regions.cli.session import leave_if, print_facts, print_json, print_text, watched
from regions.errors import InvalidInputError

if TYPE_CHECKING:
    from regions.domain import Domain
    from regions.exploration import Exploration, MinimalPerturbation
    from regions.network.relu_network import Network

_SUFFIXES = (".npz", ".json")


@dataclass(frozen=True)
class PlaceWords:
    """The options that name the domain explored, as typed; without any it is the whole space."""

    box: BoxOption = None
    fix: FixOption = None
    free: FreeOption = None
    at: AtOption = None
    slice: SliceOption = None
    segment: SegmentOption = None
    margin: MarginOption = None
    clip: ClipOption = None
    whole_space: WholeSpaceOption = False

    def build(self, network: Network) -> Domain | None:
        """Return the domain, checked against the network's input; None if no option is given."""
        return None if self == PlaceWords() else DomainWords(**vars(self)).build(network)


@grouped
def explore(
    net: NetworkPath,
    center: Annotated[Path, typer.Option(metavar="X.npy", help="The point; images are flattened.")],
    reading: ReadingWords,
    place: PlaceWords,
    max_cells: Annotated[
        int | None,
        typer.Option(
            help="Cells to find all facets of; the result says TRUNCATED if more are left (default: 1000, "
            "and 10000 for the perturbation)."
        ),
    ] = None,
    max_seconds: MaxSecondsOption = None,
    max_hops: Annotated[int | None, typer.Option(help="Facets to cross at most.")] = None,
    radius: Annotated[
        float | None, typer.Option(help="Only cells that meet this ball around the point, nearest first.")
    ] = None,
    distances: Annotated[
        str | None, typer.Option(metavar="2|inf", help="Also the distance of every cell, in this norm.")
    ] = None,
    perturbation: Annotated[
        str | None, typer.Option(metavar="2|inf", help="Also the smallest step that changes the prediction.")
    ] = None,
    arithmetic: ArithmeticOption = "certified",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Also save: .npz (to load and resume) or .json.")
    ] = None,
    json: AsJson = False,
) -> None:
    """List the cells around a point, in the order of hops, or of distance with --radius.

    Without a domain the whole space is explored. The point lies in the domain that is given. --max-seconds
    holds for the cells, and for the perturbation again.
    Ctrl-C prints and saves what was found, marked TRUNCATED, and exits with 130.
    """
    from regions import exploration

    norm = _norm(distances, "--distances")
    step_norm = _norm(perturbation, "--perturbation")
    if output is not None and writable(output).suffix not in _SUFFIXES:
        raise InvalidInputError(f"{output}: give a name that ends in {' or '.join(_SUFFIXES)}")
    network = reading.load(net)
    point = read_point(center, network.input_dim)
    domain = place.build(network)
    effort: dict[str, Any] = {"max_seconds": max_seconds, "arithmetic": arithmetic}
    if max_cells is not None:
        effort["max_cells"] = max_cells
    with watched("cells around the point") as progress:
        found = exploration.explore(
            network, point, domain, max_hops=max_hops, radius=radius, progress=progress, **effort
        )
    if norm is not None and found.stopped_by != "interrupt":
        with watched("distances") as progress:
            found.distances(norm, progress=progress)
    step = None
    if step_norm is not None and found.stopped_by != "interrupt":
        with watched("smallest change of the prediction") as progress:
            effort |= {"norm": step_norm, "progress": progress}
            step = exploration.minimal_perturbation(network, point, domain, **effort)
    _report(found, step, output, json)
    leave_if(found.stopped_by == "interrupt", "these are the cells that were found")


def _norm(text: str | None, option: str) -> float | None:
    """Return the norm that a word means.

    Examples
    --------
    >>> _norm("2", "--distances"), _norm("inf", "--distances"), _norm(None, "--distances")
    (2.0, inf, None)
    """
    if text is None:
        return None
    if text not in ("2", "inf"):
        raise InvalidInputError(f"{option}: {text!r}; choose 2 or inf")
    return float(text)


def _report(found: Exploration, step: MinimalPerturbation | None, output: Path | None, json: bool) -> None:
    """Print as JSON or for people, and save."""
    payload = found.to_dict() | ({} if step is None else {"perturbation": step.to_dict()})
    from regions.reports import save_json

    with signals.after_writing():
        if json:
            print_json(payload)
        else:
            _print(found, step)
        if output is not None and output.suffix == ".npz":
            found.save(output)
        elif output is not None:
            save_json(payload, output, "exploration")


def _print(found: Exploration, step: MinimalPerturbation | None) -> None:
    """Print what was found, for people."""
    nearest = found.nearest_facet
    facts: dict[str, object] = {
        "network": found.network.describe(),
        "domain": found.frame.describe(),
        "cells": found.statement(),
        "facets": f"{len(found.first):,}",
        "nearest facet": "none"
        if nearest is None
        else f"{nearest.distance:.6g} away, of unit ({nearest.layer}, {nearest.unit})",
        "seconds": f"{found.seconds:.3g}",
    }
    if step is not None:
        words = "L2" if step.norm == 2.0 else "max norm"
        change = "" if step.new_prediction is None else f", from {step.prediction} to {step.new_prediction}"
        exact = f"{step.upper:.6g}{change}"
        bounds = f"between {step.lower:.6g} and {step.upper:.6g}{change}"
        facts[f"smallest change ({words})"] = (
            f"{exact if step.status == 'COMPLETE' else bounds} ({step.status.name}, {step.n_cells:,} cells)"
        )
    print_facts(facts)
    print_text("\n" + found.table())
