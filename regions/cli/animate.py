"""`regions animate`: a training as a moving picture, from its checkpoints or its history.

Drawing is left to `plotting`.
"""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import typer

from regions.cli.groups import grouped
from regions.cli.interruption import signals
from regions.cli.options import AsJson, DomainWords, ReadingWords, read_points
from regions.cli.plot_command import Color
from regions.cli.session import print_facts, print_json, watched
from regions.errors import InvalidInputError

__all__ = ["animate"]


@grouped
def animate(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="NET...|HISTORY.json", help="Checkpoints in their order, or a saved history."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Animation: .gif, .html, or .mp4.")],
    where: DomainWords,
    reading: ReadingWords,
    color: Annotated[
        Color | None, typer.Option(help="What the colours of cells mean. Default: class.")
    ] = None,
    points: Annotated[
        Path | None, typer.Option(metavar="P.npy", help="Points of the input space to mark, one per row.")
    ] = None,
    fps: Annotated[int, typer.Option(help="Frames a second.")] = 4,
    json: AsJson = False,
) -> None:
    """Show a training as a moving picture: the cells at each checkpoint, or what a history recorded.

    Steps are the last numbers in the names of the files, where these rise, as in step_0.npz step_100.npz.
    """
    from regions import plotting

    plotting.animation_path(output)
    if [path.suffix.lower() for path in files] == [".json"]:
        if where != DomainWords() or color is not None or points is not None:
            raise InvalidInputError("a history holds no cells: leave out the domain, --color and --points")
        from regions.validation.tracking import History

        history = History.load(files[0])
        movie, frames = plotting.animate_history(history), len(set(history.steps))
    else:
        movie, frames = _cells(files, where, reading, color or Color.classes, points), len(files)
    with signals.after_writing():
        plotting.save_animation(movie, output, fps=fps)
        facts = {"file": str(output), "frames": frames}
        if json:
            print_json(facts)
        else:
            print_facts(facts)


def _cells(
    files: list[Path], where: DomainWords, reading: ReadingWords, color: Color, points: Path | None
) -> Any:
    """Return the animation of the cells of networks in files."""
    from regions.plotting import animate_cells

    networks = [reading.load(path) for path in files]
    domain = where.build(networks[0])
    marked = None if points is None else read_points(points, networks[0].input_dim)
    meaning: Any = color.value
    with watched("enumerating"):
        return animate_cells(networks, domain, meaning, steps=steps_of(files), points=marked)


def steps_of(files: list[Path]) -> list[int] | None:
    """Return the last number in the name of each file, or None unless they rise.

    Examples
    --------
    >>> steps_of([Path("w16_step0.npz"), Path("w16_step100.npz")])
    [0, 100]
    >>> steps_of([Path("after.npz"), Path("before.npz")])
    """
    found = [re.findall(r"\d+", path.stem) for path in files]
    steps = [int(numbers[-1]) for numbers in found if numbers]
    rising = len(steps) == len(files) and all(a < b for a, b in pairwise(steps))
    return steps if rising else None
