"""`regions plot`: cells of a file, or of a network on a domain, as a picture.

Drawing is left to `plotting`.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from regions.cli.groups import grouped
from regions.cli.interruption import signals
from regions.cli.options import (
    AsJson,
    DomainWords,
    EngineWords,
    ReadingWords,
    numbers,
    read_complex,
    read_points,
    writable,
)
from regions.cli.session import print_facts, print_json, watched
from regions.errors import InvalidInputError

__all__ = ["Color", "plot"]


class Color(StrEnum):
    """What the colours of a picture mean."""

    pattern = "pattern"
    volume = "volume"
    jacobian = "jacobian"
    layer = "layer"
    classes = "class"


@grouped
def plot(
    cells: Annotated[
        Path,
        typer.Argument(metavar="OUT.regions|NET", help="Cells, or with a domain a network; - is stdin."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Picture: .png, .pdf, .svg, or .html.")],
    where: DomainWords,
    how: EngineWords,
    reading: ReadingWords,
    color: Annotated[
        Color | None,
        typer.Option(help="What the colours mean. Default: pattern; of an .html page in 3-D, layer."),
    ] = None,
    points: Annotated[
        Path | None, typer.Option(metavar="P.npy", help="Points of the input space to mark, one per row.")
    ] = None,
    boundary: Annotated[
        bool | None,
        typer.Option(help="Draw the decision boundary. Default: where there is one, on one or two axes."),
    ] = None,
    graph: Annotated[bool, typer.Option("--graph", help="Draw the adjacency graph instead.")] = False,
    cut: Annotated[
        str | None,
        typer.Option(
            metavar="AXIS[=VALUE]",
            help="In 3-D: cut the cells open at a plane; in an .html page a slider has the values.",
        ),
    ] = None,
    dpi: Annotated[int | None, typer.Option(help="Dots per inch (default: 300).")] = None,
    json: AsJson = False,
) -> None:
    """Draw the cells of a slice, a segment, or a box of two or three dimensions; .html: to zoom and turn.

    The cells are those of a file, or, with --box or another domain, of a network: they are listed first.
    """
    html = writable(output).suffix.lower() == ".html"
    if graph:
        given = {"--points": points, "--boundary": boundary, "--color": color, "--cut": cut}
        _refuse(given, "a picture of the graph")
    if html:
        _refuse({"--graph": graph or None, "--dpi": dpi}, "an .html picture")
    from regions import plotting

    if not html:
        plotting.figure_path(output)
    complex = _cells_to_draw(cells, where, how, reading)
    marked = None if points is None else read_points(points, complex.network.input_dim)
    facts = {"file": str(output), "cells": complex.n_cells, "status": complex.status.name}
    if html:
        meaning: Any = None if color is None else color.value
        axis = None if cut is None else _plane(cut, html)[0]
        figure = plotting.interactive_figure(
            complex, meaning, points=marked, decision_boundary=boundary, cut=axis
        )
    elif graph:
        axes = plotting.plot_graph(complex)
    elif cut is not None:
        _refuse({"--points": points, "--boundary": boundary}, "a picture that is cut open")
        shown: Any = (color or Color.pattern).value
        axes = plotting.plot_space(complex, shown, cut=_plane(cut, html))
    else:
        axes = plotting.plot_cells(
            complex, (color or Color.pattern).value, points=marked, decision_boundary=boundary is not False
        )
    with signals.after_writing():
        if json:
            print_json(facts)
        else:
            print_facts(facts)
        if html:
            plotting.save_interactive(figure, output)
        else:
            plotting.save_figure(axes, output, dpi=300 if dpi is None else dpi)


def _plane(words: str, html: bool) -> tuple[int, float]:
    """Return the coordinate and the value of a plane, as typed: 2=0.5, or 2 where a slider has the values."""
    axis, equals, value = words.partition("=")
    if axis not in ("0", "1", "2") or html == bool(equals):
        form = "2: a coordinate, across which a slider moves the plane" if html else "2=0.5"
        raise InvalidInputError(f"--cut {words!r}: give it as {form}")
    return int(axis), numbers(value, "--cut")[0] if equals else 0.0


def _cells_to_draw(path: Path, where: DomainWords, how: EngineWords, reading: ReadingWords) -> Any:
    """Return the cells of a file, or those of a network on a domain if one is named."""
    if where == DomainWords():
        given = {**vars(how), **vars(reading)}
        usual = {**vars(EngineWords()), **vars(ReadingWords())}
        _refuse(
            {f"--{name.replace('_', '-')}": value for name, value in given.items() if value != usual[name]},
            "a file of cells",
        )
        return read_complex(path)
    network = reading.load(path)
    domain = where.build(network)
    from regions.enumeration.enumerate import enumerate_cells

    with watched("enumerating") as progress:
        return enumerate_cells(network, domain, progress=progress, **how.arguments())


def _refuse(given: Mapping[str, object], what: str) -> None:
    """Raise InvalidInputError if an option is given that a kind of picture does not know."""
    names = [name for name, value in given.items() if value is not None]
    if names:
        raise InvalidInputError(f"{what} knows no {', '.join(names)}; leave it out")
