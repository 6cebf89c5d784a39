"""A training as a moving picture: its cells at every checkpoint, or the quantities of its history.

What stands still is drawn by `cell_pictures` and `training`.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import matplotlib.pyplot as plt
import numpy as np
from matplotlib import rc_context
from matplotlib.animation import FFMpegWriter, FuncAnimation, PillowWriter
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from PIL import Image

from regions.enumeration import enumerate_cells
from regions.errors import InvalidInputError
from regions.network.loaders import load_network
from regions.network.relu_network import Network
from regions.plotting.cell_colors import CellColor, common_colors
from regions.plotting.cell_pictures import check_cells, draw_cells
from regions.plotting.marks import Marks, intrinsic_points, mark_points
from regions.plotting.page_parts import draw_grid, ink
from regions.plotting.training import plot_history, scale_steps
from regions.reports import check_writable, replacing
from regions.validation.tracking.tracker import read_model

if TYPE_CHECKING:
    from regions.complexes import CellComplex
    from regions.domain import Domain
    from regions.validation.tracking import History

_SIZE = (8.4, 4.4)
_SHARES = (1.7, 1.0)  # of the width: cells, and their number
_INTERVAL = 250  # milliseconds from frame to frame, where nothing is said
_VEIL = 0.8
_MOST_BYTES = 200.0  # MB of frames in a page
_KINDS = (".gif", ".mp4", ".html")


def animate_cells(
    checkpoints: Sequence[Any],
    domain: Domain,
    color: CellColor = "class",
    *,
    steps: ArrayLike | None = None,
    points: ArrayLike | None = None,
    cmap: str | None = None,
    **marks: Unpack[Marks],
) -> FuncAnimation:
    """Show the cells of a network at the checkpoints of its training, with their number beside them.

    Every frame is enumerated exactly; colours of patterns, volumes and Jacobians are on one scale.

    Parameters
    ----------
    checkpoints : sequence of networks, models that `track` takes, or files that `load_network` reads
    domain : Domain of one or two dimensions, bounded
    color, points, cmap, point_labels, point_classes, point_images, point_size : as for `plot_cells`
    steps : one rising number for each checkpoint; default 0, 1, 2, ...

    Returns
    -------
    matplotlib FuncAnimation
        `save_animation` writes it; in a notebook `HTML(animation.to_jshtml())` plays it.

    Raises
    ------
    InvalidInputError
        If there are no checkpoints, one cannot be read, the steps do not fit or do not rise, or `plot_cells`
        would refuse the cells.

    Examples
    --------
    >>> from regions import Box
    >>> nets = [Network.from_arrays([np.eye(2), [[1.0, k]]], [np.zeros(2), [0.1]]) for k in (-1.0, 1.0)]
    >>> movie = animate_cells(nets, Box([-1.0, -1.0], [1.0, 1.0]), steps=[0, 100])
    >>> [ax.get_title() for ax in movie._fig.axes]
    ['step 0: 4 cells', 'cells']
    >>> movie._draw_was_started = True  # it is not to be played
    """
    if len(checkpoints) == 0:
        raise InvalidInputError("there are no checkpoints, so there is nothing to show")
    at = _checked_steps(steps, len(checkpoints))
    cells = [enumerate_cells(_network(one), domain) for one in checkpoints]
    check_cells(cells[0], color, cmap, marks)
    if cells[0].clipped is not None:
        raise InvalidInputError("frames need one domain with an end: take domain.clipped(half_width)")
    marked = None if points is None else intrinsic_points(cells[0], points)
    shades = common_colors(cells, color, cmap)
    given = {name.removeprefix("point_"): value for name, value in marks.items()}
    figure, (left, right) = plt.subplots(1, 2, figsize=_SIZE, width_ratios=_SHARES, layout="constrained")
    now = _draw_counts(right, at, [one.n_cells for one in cells])

    def draw(k: int) -> list[Any]:
        left.clear()
        left.set_aspect("auto")
        draw_cells(left, cells[k], color, shades[k], True)
        if marked is not None:
            mark_points(left, marked, **given)  # type: ignore[arg-type]
        left.set_title(f"step {at[k]:,}: {_number(cells[k])} cells", fontsize=10)
        now.set_data([at[k]], [cells[k].n_cells])
        return []

    return _movie(figure, draw, len(cells))


def animate_history(
    history: History, quantities: Sequence[str] | None = None, *, domains: Sequence[str] | None = None
) -> FuncAnimation:
    """Show a history step by step: the panels of `plot_history`, unveiled up to the step of the frame.

    Parameters
    ----------
    history, quantities, domains : as for `plot_history`

    Returns
    -------
    matplotlib FuncAnimation

    Raises
    ------
    InvalidInputError
        As `plot_history` does.

    Examples
    --------
    >>> from regions.validation.tracking import History, Record
    >>> rows = [Record(step, "box", "COMPLETE", 4 + step, 0.01, total_variation=2.0) for step in range(3)]
    >>> movie = animate_history(History(tuple(rows)))
    >>> movie._draw_was_started = True  # it is not to be played
    """
    figure = plot_history(history, quantities, domains=domains)
    steps = sorted(set(history.steps))
    veils = []
    for ax in figure.axes:
        low, high = ax.get_xlim()
        ax.set_xlim(low, high)  # which stays
        veil = ax.axvspan(low, high, facecolor=ax.get_facecolor(), alpha=_VEIL, edgecolor="none", zorder=8)
        line = ax.axvline(low, color=ink(ax), linewidth=0.8, zorder=9)
        veils.append((veil, line, high))
    title = figure.supxlabel(f"step {steps[0]:,}", fontsize=10)

    def draw(k: int) -> list[Any]:
        for veil, line, high in veils:
            veil.set_x(steps[k])
            veil.set_width(high - steps[k])
            line.set_xdata([steps[k], steps[k]])
        title.set_text(f"step {steps[k]:,}")
        return []

    return _movie(figure, draw, len(steps))


def save_animation(
    animation: FuncAnimation, path: str | os.PathLike[str], *, fps: int = 4, dpi: int = 120
) -> Path:
    """Write a moving picture: .gif, .mp4 where the program ffmpeg is installed, or .html with buttons.

    Parameters
    ----------
    animation : as `animate_cells` and `animate_history` return it
    path : file to write
    fps : frames a second
    dpi : dots per inch

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    InvalidInputError
        If the suffix is another one, ffmpeg is missing, `fps` or `dpi` is no whole number from 1, or the
        file cannot be written.
    """
    target = animation_path(path)
    for name, number in (("fps", fps), ("dpi", dpi)):
        if not isinstance(number, int | np.integer) or isinstance(number, bool) or number < 1:
            raise InvalidInputError(f"{name} is {number!r}; give a whole number from 1")
    suffix = target.suffix.lower()
    with tempfile.TemporaryDirectory() as folder, rc_context():
        made = Path(folder) / f"movie{suffix}"
        if suffix == ".html":
            plt.rcParams.update({"savefig.dpi": dpi, "animation.embed_limit": _MOST_BYTES})
            made.write_text(_page(animation.to_jshtml(fps=fps), target.stem), encoding="utf-8")
        else:
            writer = _GifWriter(fps=fps) if suffix == ".gif" else FFMpegWriter(fps=fps)
            animation.save(str(made), writer=writer, dpi=dpi)
        with replacing(target, "animation") as stream:
            stream.write(made.read_bytes())
    return target


def animation_path(path: str | os.PathLike[str]) -> Path:
    """Return the path itself, if a moving picture can be written there: to be asked before the work.

    Raises
    ------
    InvalidInputError
        If it has no such suffix, ffmpeg is missing, or the folder is.

    Examples
    --------
    >>> animation_path("training.gif").name
    'training.gif'
    """
    target = Path(path)
    suffix = target.suffix.lower()
    if suffix not in _KINDS:
        raise InvalidInputError(f"cannot write {target.name!r}: use a suffix among {', '.join(_KINDS)}")
    if suffix == ".mp4" and not FFMpegWriter.isAvailable():
        raise InvalidInputError(".mp4 needs the program ffmpeg, which is not installed: use .gif or .html")
    check_writable(target)
    return target


def _network(one: Any) -> Network:
    return load_network(one) if isinstance(one, str | os.PathLike) else read_model(one)


def _checked_steps(steps: ArrayLike | None, n: int) -> list[int | float]:
    """Return the steps of n checkpoints as plain numbers, whole ones as whole ones."""
    if steps is None:
        return list(range(n))
    given = np.asarray(steps, dtype=np.float64)
    if given.shape != (n,):
        raise InvalidInputError(f"steps have shape {given.shape} for {n} checkpoints; give one each")
    if not np.isfinite(given).all() or (np.diff(given) <= 0.0).any():
        raise InvalidInputError("steps do not rise; give checkpoints and steps in the order of the training")
    return [int(step) if step == int(step) else float(step) for step in given]


def _number(cells: CellComplex) -> str:
    least = "" if cells.status.value == "COMPLETE" else "at least "
    return f"{least}{cells.n_cells:,}"


def _draw_counts(ax: Axes, steps: list[int | float], counts: list[int]) -> Any:
    """Draw the number of cells against the step, and return the mark of the frame."""
    ax.plot(steps, counts, color="0.6", linewidth=1.2, zorder=1)
    ax.set_title("cells", fontsize=10)
    ax.set_xlabel("step", fontsize=9)
    ax.tick_params(labelsize=8)
    draw_grid(ax)
    scale_steps(ax, steps)
    return ax.plot(steps[:1], counts[:1], "o", color=ink(ax), markersize=6, zorder=2)[0]


def _movie(figure: Figure, draw: Any, n: int) -> FuncAnimation:
    """Return the frames of a figure, whose parts keep the places that they have in the first one."""
    draw(0)
    figure.canvas.draw()
    figure.set_layout_engine("none")
    return FuncAnimation(figure, draw, frames=n, init_func=list, interval=_INTERVAL, cache_frame_data=False)


class _GifWriter(PillowWriter):
    """Frames of 256 colours each, chosen so that small marks keep theirs."""

    def finish(self) -> None:
        method, dither = Image.Quantize.MAXCOVERAGE, Image.Dither.NONE
        frames = [
            frame.convert("RGB").quantize(256, method=method, dither=dither)
            for frame in self._frames  # type: ignore[attr-defined]
        ]
        pause = round(1000 / self.fps)
        frames[0].save(self.outfile, save_all=True, append_images=frames[1:], duration=pause, loop=0)


def _page(player: str, title: str) -> str:
    """Return a whole page around a player."""
    head = f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>'
    return f"{head}<body>{player}</body></html>\n"
