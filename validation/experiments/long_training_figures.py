"""Figures of the long trainings: values against the step, and effects with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np

from validation.experiments.long_training_effects import (
    QUANTITIES,
    Effect,
    Quantity,
    Table,
    mean_and_reach,
    pooled,
    ratio_of,
)
from validation.framework import Folder

__all__ = ["draw_effects", "draw_trajectories"]

# of Okabe and Ito, told apart by all eyes, with the shapes of markers beside them
_COLOURS = ("#000000", "#56B4E9", "#009E73", "#E69F00", "#D55E00", "#CC79A7")
_SINGLE = "0.45"
_MARKERS = ("o", "s", "^", "D", "v", "P")
_DRAWN = ("lc", "rank", "cells")
_NOISES = (
    ("lc", "o", "fixed noise"),
    ("relative_lc", "s", "relative noise"),
    ("near_lc", "^", "small noise"),
)
# of a step of 0 on the logarithmic axis, beside the first one
_START = 0.3


def draw_trajectories(folder: Folder, table: Table) -> None:
    """LC, rank and cells of every architecture against the step."""
    from matplotlib import pyplot as plt

    rows = [own for own in QUANTITIES if own.name in _DRAWN]
    columns = table.architectures
    figure, axes = plt.subplots(
        len(rows),
        len(columns),
        figsize=(2.7 * len(columns), 2.5 * len(rows)),
        sharex=True,
        layout="constrained",
        squeeze=False,
    )
    first = min(step for step in table.steps if step > 0)
    steps = np.array([step or _START * first for step in table.steps], dtype=np.float64)
    for (row, quantity), (column, name) in product(enumerate(rows), enumerate(columns)):
        axis = axes[row, column]
        for decay, colour, marker in zip(table.decays, _COLOURS, _MARKERS, strict=False):
            _trajectory(axis, table, quantity, name, decay, steps, colour, marker)
        axis.set(xscale="log", yscale="log")
        axis.grid(alpha=0.3, which="major")
        axis.tick_params(labelsize=8)
        _plain_ticks(axis)
        if row == 0:
            axis.set_title(name, fontsize=10)
        if column == 0:
            axis.set_ylabel(quantity.title, fontsize=9)
    for axis in axes[-1]:
        axis.set_xticks(
            [steps[0], *(step for step in steps[1:] if np.log10(step) % 1 == 0)],
            ["0", *(f"$10^{{{np.log10(step):.0f}}}$" for step in steps[1:] if np.log10(step) % 1 == 0)],
        )
        axis.minorticks_off()
        axis.set_xlabel("step", fontsize=9)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), fontsize=9)
    folder.save_figure("trajectories", figure)


def _trajectory(
    axis: Any,
    table: Table,
    quantity: Quantity,
    name: str,
    decay: float,
    steps: Any,
    colour: str,
    marker: str,
) -> None:
    logs = [np.log(table.values(quantity, name, decay, step)) for step in table.steps]
    mean, reach = np.transpose([mean_and_reach(own) for own in logs])
    axis.plot(
        steps, np.exp(mean), color=colour, marker=marker, ms=3.5, lw=1.2, label=f"weight decay {decay:g}"
    )
    axis.fill_between(steps, np.exp(mean - reach), np.exp(mean + reach), color=colour, alpha=0.15, lw=0)


def _plain_ticks(axis: Any) -> None:
    """Numbers such as 20 and 50 in place of powers, where an axis spans few decades."""
    from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

    axis.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.yaxis.set_major_formatter(ScalarFormatter())
    axis.yaxis.set_minor_formatter(NullFormatter())


def draw_effects(folder: Folder, table: Table, effects: Sequence[Effect], late: int) -> None:
    """Ratios with intervals: what weight decay does to LC, and late changes of LC and rank."""
    from matplotlib import pyplot as plt

    panels = [
        ("weight decay", _NOISES, "LC, end / without decay"),
        ("late change", _NOISES[:1], f"LC, end / step {late:,}"),
        ("late change", (("rank", "o", ""),), f"local rank, end / step {late:,}"),
    ]
    lines = [(decay, name) for decay in table.decays for name in (*table.architectures, "all")]
    figure, axes = plt.subplots(
        1, len(panels), figsize=(11.5, 0.24 * len(lines) + 1.2), sharey=True, layout="constrained"
    )
    for axis, (kind, series, title) in zip(axes, panels, strict=True):
        for place, (decay, name) in enumerate(lines):
            if name == "all":
                _draw_all(axis, table, kind, series[0][0], decay, late, place)
                continue
            _draw_series(axis, effects, kind, series, name, decay, place, table)
        axis.axvline(1.0, color="black", lw=0.8)
        axis.set(xscale="log", title=title)
        axis.title.set_fontsize(10)
        axis.grid(alpha=0.3, axis="x", which="major")
        for edge in range(len(table.decays) - 1):
            axis.axhline((edge + 1) * (len(table.architectures) + 1) - 0.5, color="0.6", lw=0.6)
        _plain_ratios(axis)
    axes[0].set_yticks(range(len(lines)), [_label(decay, name) for decay, name in lines], fontsize=8)
    axes[0].set_ylim(len(lines) - 0.4, -0.6)
    _legend(axes[0])
    folder.save_figure("effects", figure)


def _label(decay: float, name: str) -> str:
    return f"all in double, decay {decay:g}" if name == "all" else f"{name}, {decay:g}"


def _draw_series(
    axis: Any,
    effects: Sequence[Effect],
    kind: str,
    series: Sequence[tuple[str, str, str]],
    name: str,
    decay: float,
    place: int,
    table: Table,
) -> None:
    colour = _SINGLE if name in table.singles else _COLOURS[1 + table.doubles.index(name) % 5]
    for shift, (quantity, marker, _) in enumerate(series):
        key = (kind, quantity, name, decay)
        for own in effects:
            if (own.kind, own.quantity, own.architecture, own.decay) != key:
                continue
            stands = own.verdict in ("lower", "higher")
            axis.errorbar(
                own.ratio,
                place + 0.22 * (shift - (len(series) - 1) / 2),
                xerr=[[own.ratio - own.low], [own.high - own.ratio]],
                fmt=marker,
                ms=4.5 if shift == 0 else 3,
                lw=1.2 if shift == 0 else 0.6,
                color=colour,
                mfc=colour if stands else "white",
            )


def _draw_all(axis: Any, table: Table, kind: str, quantity: str, decay: float, late: int, place: int) -> None:
    own = next(each for each in QUANTITIES if each.name == quantity)
    if kind == "weight decay" and decay == table.decays[0]:
        return
    before = late if kind == "late change" else None
    ratio, low, high, _ = ratio_of(pooled(table, own, decay, before))
    axis.errorbar(ratio, place, xerr=[[ratio - low], [high - ratio]], fmt="D", ms=5, lw=1.4, color="black")


def _plain_ratios(axis: Any) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter

    axis.xaxis.set_major_locator(FixedLocator([0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0]))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.tick_params(axis="x", labelsize=8)


def _legend(axis: Any) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color="0.3", marker=marker, mfc="white", ls="", ms=4, label=label)
        for _, marker, label in _NOISES
    ]
    axis.legend(handles=handles, fontsize=7, loc="upper right")
