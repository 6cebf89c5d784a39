"""Pictures of a training: the quantities of a `History` against the step, as small multiples.

Draws what was recorded; recording is left to `tracking`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogFormatter, NullFormatter, SymmetricalLogLocator

from regions.errors import InvalidInputError
from regions.plotting.colors import class_palette
from regions.plotting.figure_files import figure_path, save_figure
from regions.plotting.page_parts import draw_grid, ink

if TYPE_CHECKING:
    from regions.validation.tracking import History

_LINES = ("-", "--", ":", "-.")
_MARKERS = "o^sDvP*X"
_LOG_FROM = 20.0
_WIDTH, _HEIGHT = 3.5, 2.5
_NINETY_FIVE = 1.959963984540054
_LOCUS = "locus"
_LONG = 22  # letters of a unit, beyond which they are smaller
_WORDS = {
    "cells": ("cells", "number"),
    _LOCUS: ("locus, weighted by the density", "(d−1)-volume per d-volume"),
    "local_rank": ("local rank", "singular values above eps"),
    "total_variation": ("total variation", "output per input unit"),
    "c_grad": ("largest layer Jacobian (C_grad)", "pre-activation per input unit"),
    "lipschitz": ("Lipschitz constant of the rest", "output per activation unit"),
    "seconds": ("wall time of a record", "s"),
}
_NAMES = {
    "locus": "nonlinear locus",
    "activation_locus": "activation locus",
    "local_complexity": "local complexity, exact",
    "local_rank": "mean over layers",
    "c_grad": "all layers",
    "lipschitz": "largest of all layers",
}


@dataclass(frozen=True)
class _Curve:
    """One quantity in a panel: exact ones are joined, estimates stand alone with error bars."""

    name: str
    label: str
    style: dict[str, Any]
    # a scalar of the training loop is the same for all domains
    shared: bool = False

    @property
    def sampled(self) -> bool:
        """Whether it has error bars."""
        return self.style["linestyle"] == ""


def plot_history(
    history: History,
    quantities: Sequence[str] | None = None,
    *,
    domains: Sequence[str] | None = None,
    path: str | Path | None = None,
) -> Figure:
    """Draw a training: a panel for each quantity against the step, a colour for each domain.

    Exact values are joined by lines, estimates are points with 95 % intervals; what estimates estimate is in
    the same panel. TRUNCATED counts are open triangles: at least so many cells. The axis of the steps is
    logarithmic, but for 0, if the steps are spaced like that; that of the values if they span a factor
    above 20.

    Parameters
    ----------
    history : History, as `tracker.history` or `History.load` gives it
    quantities : names that `history.series` knows, such as "cells", "locus", "local_rank_0", "loss";
        default: all of `history.quantities`
    domains : names of domains; default: all
    path : file to write, optional; the suffix names the format (png, pdf, svg)

    Returns
    -------
    matplotlib Figure

    Raises
    ------
    InvalidInputError
        If there are no records, no such quantity, domain or format.

    Examples
    --------
    >>> from regions.validation.tracking import History, Record
    >>> rows = [Record(step, "box", "COMPLETE", 4 + step, 0.01, total_variation=2.0) for step in range(3)]
    >>> [ax.get_title() for ax in plot_history(History(tuple(rows))).axes]
    ['cells', 'total variation']
    """
    if not history.records:
        raise InvalidInputError("the history holds no records, so there is nothing to draw")
    if path is not None:
        figure_path(path)
    names = list(history.names if domains is None else domains)
    for name in names:
        history.of(name)
    panels = _panels(history, list(history.quantities if quantities is None else quantities))
    columns = min(len(panels), 3)
    rows = -(-len(panels) // columns)
    room = 0.35 if len(names) > 1 else 0.0
    figure, grid = plt.subplots(
        rows, columns, figsize=(_WIDTH * columns, _HEIGHT * rows + room), layout="constrained", squeeze=False
    )
    for ax in grid.flat[len(panels) :]:
        ax.remove()
    colors = {name: tuple(color) for name, color in zip(names, class_palette(len(names)), strict=True)}
    for ax, (kind, curves) in zip(grid.flat, panels.items(), strict=False):
        _draw_panel(ax, history, kind, curves, colors)
    if len(names) > 1:
        handles = [Line2D([], [], color=color, linewidth=2.0, label=name) for name, color in colors.items()]
        figure.legend(
            handles=handles, loc="outside upper center", ncols=min(len(names), 5), frameon=False, fontsize=9
        )
    if path is not None:
        save_figure(figure, path)
    return figure


def _panels(history: History, quantities: list[str]) -> dict[str, list[_Curve]]:
    """The curves of each panel, in the order in which the panels are named first."""
    if not quantities:
        raise InvalidInputError("quantities is empty; name at least one, or leave it out for all")
    labels = {label for record in history.records for label in record.estimates}
    targets = history.settings.get("estimators", {})
    panels: dict[str, list[_Curve]] = {}
    for name in quantities:
        known = any(record.value(name) is not None for record in history.records)
        if not known and name != "cells":
            raise InvalidInputError(
                f"no record has {name!r}; there are {', '.join(history.quantities)}, and single layers such "
                "as local_rank_0"
            )
        target = str(targets.get(name, "")) if name in labels else ""
        kind, label = name, _NAMES.get(name, name)
        layer = re.fullmatch(r"(locus|local_rank|c_grad|lipschitz)_(\d+)", name)
        if name in labels:
            label = f"{name}, estimated"
            kind = _LOCUS if "locus" in target else "cells" if target == "number of cells" else name
        elif layer:
            kind, label = layer[1], f"layer {layer[2]}"
        elif name in ("activation_locus", "local_complexity"):
            kind = _LOCUS
        there = panels.setdefault(kind, [])
        sampled = name in labels or name == "local_complexity"
        rank = sum(curve.sampled == sampled for curve in there)
        shared = any(name in record.scalars for record in history.records)
        there.append(_Curve(name, label, _style(rank, sampled, name in labels), shared))
    return panels


def _style(rank: int, sampled: bool, hollow: bool) -> dict[str, Any]:
    """Line and markers of the k-th curve of its sort in a panel."""
    if not sampled:
        return {"linestyle": _LINES[rank % len(_LINES)], "marker": "o"}
    face = {"markerfacecolor": plt.rcParams["axes.facecolor"]} if hollow else {}
    return {"linestyle": "", "marker": _MARKERS[(rank + 1) % len(_MARKERS)], **face}


def _draw_panel(
    ax: Axes, history: History, kind: str, curves: list[_Curve], colors: dict[str, tuple[float, ...]]
) -> None:
    values = []
    for domain, color in colors.items():
        for curve in curves:
            if curve.shared and domain != next(iter(colors)):
                continue
            if any(record.value(curve.name) is not None for record in history.of(domain)):
                values.append(_draw_curve(ax, history, domain, curve, ink(ax) if curve.shared else color))
        if kind == "cells":
            values.append(_draw_bounds(ax, history, domain, color))
    title, unit = _WORDS.get(kind, (kind, ""))
    ax.set_title(title, fontsize=10)
    ax.set_ylabel(unit, fontsize=9 if len(unit) < _LONG else 7.5)
    ax.set_xlabel("step", fontsize=9)
    ax.tick_params(labelsize=8)
    draw_grid(ax)
    scale_steps(ax, history.steps)
    found = np.concatenate([*values, np.zeros(0)])
    found = found[np.isfinite(found)]
    if found.size and found.min() > 0.0 and found.max() > _LOG_FROM * found.min():
        ax.set_yscale("log")
        ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
        ax.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(1.5, 0.6)))
        ax.tick_params(axis="y", which="minor", labelsize=7)
    if len(curves) > 1:
        handles = [
            Line2D([], [], color=ink(ax), markersize=4, linewidth=1.2, label=curve.label, **curve.style)
            for curve in curves
        ]
        # below the panel, where it hides nothing
        ax.legend(
            handles=handles,
            loc="upper center",
            bbox_to_anchor=(0.5, -0.2),
            ncols=2,
            handlelength=3.2,
            frameon=False,
            fontsize=7,
        )


def _draw_curve(ax: Axes, history: History, domain: str, curve: _Curve, color: Any) -> np.ndarray[Any, Any]:
    """One curve of one domain; gives its values."""
    steps, values, stderr = history.series(curve.name, domain)
    if curve.sampled:
        ax.errorbar(
            steps, values, yerr=_NINETY_FIVE * stderr, color=color, markersize=4, linewidth=1.0, capsize=2,
            alpha=0.85, zorder=3, **curve.style,
        )  # fmt: skip
    else:
        size = 3.0 if len(steps) <= 40 else 0.0
        ax.plot(steps, values, color=color, markersize=size, linewidth=1.3, **curve.style)
    return values


def _draw_bounds(ax: Axes, history: History, domain: str, color: tuple[float, ...]) -> np.ndarray[Any, Any]:
    """Counts that were cut short, as lower bounds."""
    cut = [record for record in history.of(domain) if not record.complete]
    least = np.array([record.cells for record in cut], dtype=np.float64)
    if cut:
        steps = [record.step for record in cut]
        ax.plot(steps, least, "^", markersize=6, markerfacecolor="none", color=color)
        ax.annotate("△ at least", (0.03, 0.95), xycoords="axes fraction", fontsize=7, va="top")
    return least


def scale_steps(ax: Axes, steps: Sequence[float]) -> None:
    """Make the axis of steps logarithmic, with 0 on it, if the gaps between the steps grow with them."""
    at = np.unique(steps)
    gaps = np.diff(at)
    if len(gaps) < 4 or gaps.max() < 8 * gaps.min() or gaps[-1] < 4 * np.median(gaps[:2]):
        return
    first = float(at[at > 0].min())
    ax.set_xscale("symlog", linthresh=first, linscale=0.6)
    ax.xaxis.set_major_locator(SymmetricalLogLocator(base=10.0, linthresh=first))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_xlim(-0.15 * first if at[0] == 0 else 0.9 * first, 1.15 * float(at[-1]))
