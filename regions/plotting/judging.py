"""Pictures of how estimators were judged: many seeds of a comparison, single runs of validations.

Draws the numbers that `Comparison` and `ValidationReport` hold; judging itself is left to them.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator, SymmetricalLogLocator
from numpy.typing import NDArray

from regions.errors import InvalidInputError
from regions.plotting.colors import class_palette
from regions.plotting.figure_files import figure_path, save_figure
from regions.plotting.page_parts import draw_grid, ink
from regions.reports import truncation

if TYPE_CHECKING:
    from regions.validation.comparison import Comparison, Judgement
    from regions.validation.local_complexity import ValidationReport

Floats = NDArray[np.float64]

_MARKERS = "osD^vP*X<>"
_MOST_TICKS = 6
_NINETY_FIVE = 1.959963984540054
_LARGEST_Z = 5.0
# a bias of so many standard errors is no chance, among dozens of rows either
_SURE = 4.0
_NAME_WIDTH = 26
# width, height of the upper panels, height of a row and of what is around the rows, in inches
_WIDTH, _UPPER, _ROW, _AROUND = 10.0, 3.3, 0.3, 0.95


def plot_comparison(comparison: Comparison, *, path: str | Path | None = None) -> Figure:
    """Draw a comparison: error against samples and seconds, bias, z-scores, coverage.

    Above, the root mean square error (RMSE) against draws and against wall time of a run, where crosses
    mark biases of more than 4 standard errors: the floor that more draws do not get below.
    Below, a row for each estimator and budget: bias with its 95 % interval; the z-scores of the single
    runs over the standard normal density that honest standard errors give; the fraction of runs whose stated
    95 % interval holds the exact value, with its binomial 95 % interval, or, where the exact value is not
    sharp enough to judge that, with what it would be 2 errors to either side.

    Parameters
    ----------
    comparison : Comparison, from `compare_estimators` or `Comparison.load`
    path : file to write, optional; the suffix names the format (png, pdf, svg)

    Returns
    -------
    matplotlib Figure; errors are relative to the exact values, or absolute if one of these is 0

    Raises
    ------
    InvalidInputError
        If the comparison holds no judgement, or there is no such format.

    Examples
    --------
    >>> from regions import Comparison, Judgement
    >>> from regions.estimators import Estimate, Target
    >>> runs = (Estimate(1.0, 0.1, 10), Estimate(1.2, 0.1, 10))
    >>> judgement = Judgement("mine", Target.locus(), Estimate(1.0, 0.0, 1), 10, runs, 0.5)
    >>> len(plot_comparison(Comparison((judgement,))).axes)
    5
    """
    if not comparison.judgements:
        raise InvalidInputError("the comparison holds no judgement, so there is nothing to draw")
    if path is not None:
        figure_path(path)
    rows = list(comparison.judgements)
    names = list(dict.fromkeys(row.estimator for row in rows))
    styles = dict(zip(names, _styles(len(names)), strict=True))
    relative = all(row.exact.mean != 0.0 for row in rows)
    head = _heading(comparison)
    lower = _ROW * len(rows) + _AROUND
    upper = _UPPER + 0.16 * (len(head) + 1)
    figure = plt.figure(figsize=(_WIDTH, upper + lower), layout="constrained")
    above, below = np.ravel(np.asarray(figure.subfigures(2, 1, height_ratios=[upper, lower])))
    above.suptitle("\n".join(head), x=0.01, ha="left", fontsize=8)
    by_draws, by_seconds = above.subplots(1, 2, sharey=True)
    for ax, cost in ((by_draws, "draws of a run"), (by_seconds, "seconds of a run")):
        _draw_errors(ax, rows, styles, cost, relative)
    by_draws.set_ylabel("RMSE / exact value" if relative else "RMSE", fontsize=9)
    above.legend(handles=_legend(styles), loc="outside right center", fontsize=8, frameon=False)
    biases, scores, coverage = below.subplots(1, 3, sharey=True, width_ratios=[1.15, 1.0, 0.85])
    _name_rows(biases, rows)
    _draw_biases(biases, rows, styles, relative)
    _draw_scores(scores, rows, styles)
    _draw_coverage(coverage, rows, styles)
    if path is not None:
        save_figure(figure, path)
    return figure


def plot_validation(
    reports: ValidationReport | Sequence[ValidationReport], *, path: str | Path | None = None
) -> Figure:
    """Draw estimates beside exact values: a row for each report, with 95 % intervals and z.

    Parameters
    ----------
    reports : ValidationReport or several, from `validate` or `ValidationReport.load`
    path : file to write, optional; the suffix names the format (png, pdf, svg)

    Returns
    -------
    matplotlib Figure; differences are relative to the exact values, or absolute if one of these is 0

    Raises
    ------
    InvalidInputError
        If there is no report, or no such format.

    Examples
    --------
    >>> from regions import Estimate, ValidationReport
    >>> exact, estimate = Estimate(1.0, 0.03, 100), Estimate(1.02, 0.04, 1000)
    >>> report = ValidationReport("mine", "gradient", 0.1, exact, estimate, 0.4, 2.0, 0.1)
    >>> plot_validation(report).axes[0].get_yticklabels()[0].get_text()
    'mine, gradient locus, sigma 0.1'
    """
    rows = list(reports) if isinstance(reports, Sequence) else [reports]
    if not rows:
        raise InvalidInputError("there is no report, so there is nothing to draw")
    if path is not None:
        figure_path(path)
    relative = all(row.exact.mean != 0.0 for row in rows)
    figure, ax = plt.subplots(figsize=(7.0, 0.5 * len(rows) + 1.1), layout="constrained")
    blue, orange = class_palette(2)
    for place, row in enumerate(rows):
        unit = abs(row.exact.mean) if relative else 1.0
        half = _NINETY_FIVE * row.exact.stderr / unit
        ax.errorbar(0.0, place - 0.13, xerr=half, fmt="s", color=blue, markersize=5, capsize=3)
        gap = (row.estimate.mean - row.exact.mean) / unit
        half = _NINETY_FIVE * row.estimate.stderr / unit
        ax.errorbar(gap, place + 0.13, xerr=half, fmt="o", color=orange, markersize=5, capsize=3)
    ax.axvline(0.0, color="0.7", linewidth=0.8, zorder=0)
    words = [f"{row.estimator}, {row.kind} locus, sigma {row.sigma:g}" for row in rows]
    ax.set_yticks(range(len(rows)), words, fontsize=8)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    _percent(ax, relative)
    ax.set_xlabel("difference from the exact value" + (", relative" if relative else ""))
    beside = ax.secondary_yaxis("right")
    beside.set_yticks(range(len(rows)), [f"z = {row.z:+.2f}" for row in rows], fontsize=8)
    beside.tick_params(length=0)
    handles = [
        Line2D([], [], color=blue, marker="s", linestyle="", label="exact, with the bias average's error"),
        Line2D([], [], color=orange, marker="o", linestyle="", label="estimate; both with 95 % intervals"),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=2, fontsize=8, frameon=False)
    if path is not None:
        save_figure(figure, path)
    return figure


def _styles(n: int) -> list[dict[str, Any]]:
    """Colour and marker of n estimators."""
    markers = (_MARKERS * (n // len(_MARKERS) + 1))[:n]
    # yellow lines are lost on white paper
    palette = np.delete(class_palette(10), 6, axis=0)[:n] if n < 10 else class_palette(n)
    return [{"color": tuple(color), "marker": mark} for color, mark in zip(palette, markers, strict=True)]


def _heading(comparison: Comparison) -> list[str]:
    """What was compared: the problem, and the exact value of each target."""
    lines = [", ".join(part for part in (comparison.network, comparison.domain, comparison.density) if part)]
    lines += truncation(comparison.complete, f"{sum(len(row.runs) for row in comparison.judgements)} runs")
    seen = {row.target: row.exact for row in comparison.judgements}
    for target, exact in seen.items():
        error = f" ± {exact.stderr:.2g}" if exact.stderr else ""
        lines.append(f"{target.describe()}: exact {exact.mean:.6g}{error}")
    wrapped = (textwrap.wrap(line, 150) for line in lines if line)
    return [part for parts in wrapped for part in parts]


def _legend(styles: dict[str, dict[str, Any]]) -> list[Line2D]:
    handles = [
        Line2D([], [], linewidth=1.2, markersize=5, label=textwrap.fill(name, _NAME_WIDTH), **style)
        for name, style in styles.items()
    ]
    handles.append(
        Line2D([], [], color="0.4", marker="x", linestyle=":", label=f"|bias|, where |z| > {_SURE:g}")
    )
    handles.append(Line2D([], [], color="0.6", linestyle="--", linewidth=0.9, label="slope −1/2"))
    return handles


def _draw_errors(
    ax: Axes, rows: list[Judgement], styles: dict[str, dict[str, Any]], cost: str, relative: bool
) -> None:
    """RMSE against what a run costs, and the biases under it."""
    ends = []
    for name, style in styles.items():
        own = sorted((row for row in rows if row.estimator == name), key=lambda row: row.budget)
        cheap = np.array([row.budget if cost.startswith("draws") else row.seconds for row in own])
        units = np.array([abs(row.exact.mean) if relative else 1.0 for row in own])
        errors = np.array([row.rmse for row in own]) / units
        ax.plot(cheap, errors, linewidth=1.2, markersize=5, **style)
        away = np.array([abs(row.z) > _SURE for row in own])
        biases = np.abs([row.bias for row in own]) / units
        floor = np.where(away, biases, np.nan)
        ax.plot(cheap, floor, ":", marker="x", markersize=5, linewidth=1.0, color=style["color"])
        ends.append((cheap, errors))
    ax.set_xlabel(cost)
    ax.xaxis.label.set_fontsize(9)
    ax.tick_params(which="both", labelsize=8)
    draw_grid(ax)
    costs = np.concatenate([cheap for cheap, _ in ends])
    errors = np.concatenate([values for _, values in ends])
    usable = (errors > 0.0) & (costs > 0.0)
    if usable.any():
        ax.set(xscale="log", yscale="log")
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_minor_formatter(FuncFormatter(_two_or_five))
        budgets = sorted({row.budget for row in rows})
        if cost.startswith("draws") and len(budgets) <= _MOST_TICKS:
            ax.set_xticks(budgets, [f"{budget:,}" for budget in budgets])
            ax.xaxis.set_minor_locator(NullLocator())
    if usable.any() and costs[usable].max() > costs[usable].min():
        low, high = costs[usable].min(), costs[usable].max()
        start = float(np.median(errors[usable] * np.sqrt(costs[usable])))
        line = np.array([low, high])
        ax.plot(line, start / np.sqrt(line), "--", color="0.6", linewidth=0.9, zorder=0)


def _two_or_five(value: float, _: int | None = None) -> str:
    """Return the label of a tick between powers of ten, of which all would not have room."""
    power = math.floor(math.log10(value) + 1e-9)
    digit = round(value / 10.0**power)
    return rf"${digit}\times10^{{{power}}}$" if digit in (2, 5) else ""


def _name_rows(ax: Axes, rows: list[Judgement]) -> None:
    """Names of the rows: the estimator once, the budget always; lines between the estimators."""
    labels = []
    for place, row in enumerate(rows):
        first = place == 0 or rows[place - 1].estimator != row.estimator
        name = textwrap.shorten(row.estimator, 34, placeholder=" …") + "   " if first else ""
        labels.append(f"{name}{row.budget:,} draws")
    ax.set_yticks(range(len(rows)), labels, fontsize=8)
    ax.set_ylim(len(rows) - 0.4, -0.6)


def _separate(ax: Axes, rows: list[Judgement]) -> None:
    for place in range(1, len(rows)):
        if rows[place].estimator != rows[place - 1].estimator:
            ax.axhline(place - 0.5, color=ink(ax), alpha=0.15, linewidth=0.6, zorder=0)
    ax.tick_params(axis="y", length=0)
    ax.tick_params(axis="x", labelsize=8)


def _draw_biases(ax: Axes, rows: list[Judgement], styles: dict[str, dict[str, Any]], relative: bool) -> None:
    halves, reach = [], []
    for place, row in enumerate(rows):
        unit = abs(row.exact.mean) if relative else 1.0
        low, high = (end / unit for end in row.bias_interval)
        bias, half = row.bias / unit, 0.5 * (high - low)
        ax.errorbar(
            bias, place, xerr=half, fmt=styles[row.estimator]["marker"], color=styles[row.estimator]["color"],
            markersize=5, capsize=3, linewidth=1.2,
        )  # fmt: skip
        halves.append(half)
        reach.append(max(abs(low), abs(high)))
    positive = [half for half in halves if 0.0 < half < math.inf]
    narrow = 2.0 * float(np.median(positive)) if positive else 0.0
    most = max((end for end in reach if math.isfinite(end)), default=0.0)
    if narrow and most > 15.0 * narrow:
        threshold = 10.0 ** math.ceil(math.log10(narrow))
        ax.set_xscale("symlog", linthresh=threshold, linscale=1.0)
        ax.xaxis.set_major_locator(SymmetricalLogLocator(base=10.0, linthresh=threshold))
        ax.xaxis.set_minor_formatter(NullFormatter())
    ax.axvline(0.0, color="0.5", linewidth=0.8, zorder=0)
    _percent(ax, relative)
    ax.set_xlabel("bias / exact value, 95 % interval" if relative else "bias, 95 % interval", fontsize=8)
    _separate(ax, rows)


def _draw_scores(ax: Axes, rows: list[Judgement], styles: dict[str, dict[str, Any]]) -> None:
    """z-scores as histograms, each in its row, with the standard normal density."""
    edges = np.arange(-_LARGEST_Z - 0.5, _LARGEST_Z + 0.75, 0.5)
    curve = np.linspace(-_LARGEST_Z, _LARGEST_Z, 201)
    normal = np.exp(-0.5 * curve**2) / math.sqrt(2.0 * math.pi)
    for place, row in enumerate(rows):
        scores = np.nan_to_num(row.z_scores, nan=np.inf)
        inside = np.clip(scores, edges[0] + 0.25, edges[-1] - 0.25)
        density, _ = np.histogram(inside, edges, density=True)
        scale = 0.85 / max(density.max(), normal.max())
        ax.stairs(
            place + 0.42 - scale * density, edges, baseline=place + 0.42, fill=True,
            color=styles[row.estimator]["color"], alpha=0.55,
        )  # fmt: skip
        ax.plot(curve, place + 0.42 - scale * normal, color=ink(ax), linewidth=0.8)
    ax.set_xlim(edges[0], edges[-1])
    ticks = [-_LARGEST_Z, -2.0, 0.0, 2.0, _LARGEST_Z]
    ax.set_xticks(ticks, [f"≤ −{_LARGEST_Z:g}", "−2", "0", "2", f"≥ {_LARGEST_Z:g}"])
    ax.set_xlabel("z of the runs, and N(0, 1)", fontsize=8)
    _separate(ax, rows)


def _draw_coverage(ax: Axes, rows: list[Judgement], styles: dict[str, dict[str, Any]]) -> None:
    for place, row in enumerate(rows):
        low, high = row.coverage_interval
        color = styles[row.estimator]["color"]
        ax.barh(place, row.coverage, height=0.55, color=color, alpha=0.45)
        if not row.coverage_is_judged:
            low, high = row.coverage_range
            ax.text(0.02, place, "not judged", fontsize=6, va="center")
        spread = [[row.coverage - low], [high - row.coverage]]
        ax.errorbar(row.coverage, place, xerr=spread, fmt="none", ecolor=ink(ax), capsize=3, linewidth=1.0)
    ax.axvline(0.95, color=ink(ax), linewidth=0.9, linestyle="--")
    ax.set_xlim(0.0, 1.02)
    ax.set_xticks([0.0, 0.5, 0.95], ["0", "50 %", "95 %"])
    ax.set_xlabel("coverage of stated 95 % intervals", fontsize=8)
    _separate(ax, rows)


def _percent(ax: Axes, relative: bool) -> None:
    """Ticks in per cent, where the axis is relative."""
    if relative:
        ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{100.0 * x:g} %".replace("-", "−")))
