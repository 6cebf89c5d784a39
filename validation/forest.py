"""Forest plots: a value with its interval on each line, from the stored tables, beside where it should lie.

Which sections have one is said here; what their numbers mean, in the experiments.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from validation.framework import Folder
from validation.intervals import geometric_mean

__all__ = ["Line", "draw_forest", "forests", "pooled", "save_forest"]

Row = dict[str, Any]

_NINETY_FIVE = 1.959963984540054


@dataclass(frozen=True)
class Line:
    """One line: what it is of, the value, and its interval; a heading has no value, and what is undecided a
    hollow dot.
    """

    label: str
    value: float = math.nan
    low: float = math.nan
    high: float = math.nan
    decided: bool = True


def pooled(values: Sequence[float], halves: Sequence[float]) -> tuple[float, float, float]:
    """Return the mean of independent values, weighted by their intervals' half widths, and its interval.

    Those without an error count as if they had the least error of the others.

    Examples
    --------
    >>> pooled([0.0, 2.0], [1.0, 1.0])
    (1.0, 0.2928932188134524, 1.7071067811865475)
    """
    widths = np.array(halves, dtype=float)
    least = widths[widths > 0.0].min(initial=math.inf)
    if not math.isfinite(least):
        return float(np.mean(values)), float(np.mean(values)), float(np.mean(values))
    weights = np.maximum(widths, least) ** -2.0
    middle = float(np.average(values, weights=weights))
    half = float(weights.sum()) ** -0.5
    return middle, middle - half, middle + half


def draw_forest(axis: Any, lines: Sequence[Line], truth: float, label: str, *, scale: str = "linear") -> None:
    """Draw the lines from top to bottom, and where the truth, or no effect, is.

    Parameters
    ----------
    axis : of matplotlib
    lines : Line; those without a value are headings
    truth : float
    label : of the values
    scale : "linear", "log" or "symlog"
    """
    height = np.arange(len(lines))[::-1]
    for y, line in zip(height, lines, strict=True):
        if math.isnan(line.value):
            continue
        away = not line.low <= truth <= line.high
        color = "C3" if away else "C0"
        axis.plot([line.low, line.high], [y, y], color=color, lw=1.2)
        axis.plot([line.value], [y], "o", color=color, ms=4, mfc=color if line.decided else "white")
    axis.axvline(truth, color="black", lw=0.7, ls="--")
    if scale == "symlog":
        axis.set_xscale("symlog", linthresh=0.01)
    elif scale == "log":
        axis.set_xscale("log")
    axis.set_yticks(height, [line.label for line in lines], fontsize=7)
    # of axes that share their labels the first has them
    for text, line in zip(axis.get_yticklabels(), lines, strict=False):
        if math.isnan(line.value):
            text.set_fontweight("bold")
    axis.set_ylim(-0.7, len(lines) - 0.3)
    axis.set_xlabel(label, fontsize=8)
    axis.tick_params(axis="x", which="both", labelsize=7)
    axis.grid(axis="x", alpha=0.3)


def forests(folder: Folder) -> list[tuple[str, str]]:
    """Draw the forest plots of an experiment; gives names and captions, as a Section has them."""
    table, make = _FORESTS.get(folder.experiment, ("", None))
    return make(folder) if make is not None and folder.csv_path(table).exists() else []


def save_forest(
    folder: Folder, name: str, lines: Sequence[Line], truth: float, label: str, scale: str
) -> None:
    """Draw one forest plot as a figure of its own; the arguments are those of `draw_forest`."""
    from matplotlib import pyplot as plt

    figure, axis = plt.subplots(layout="constrained", figsize=(7.0, 0.9 + 0.17 * len(lines)))
    draw_forest(axis, lines, truth, label, scale=scale)
    folder.save_figure(name, figure)


def _grouped(rows: Iterable[Row], *keys: str) -> dict[tuple[Any, ...], list[Row]]:
    found: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        found.setdefault(tuple(row[key] for key in keys), []).append(row)
    return found


def _estimators(folder: Folder) -> list[tuple[str, str]]:
    lines: list[Line] = []
    for (name,), own in _grouped(folder.read_csv("cases"), "estimator").items():
        lines.append(Line(name))
        for (sigma,), rows in sorted(_grouped(own, "sigma").items()):
            bias = pooled([one["relative_bias"] for one in rows], [one["relative_bias_half"] for one in rows])
            lines.append(Line(f"sigma {sigma:g}, {len(rows)} cases", *bias))
    save_forest(folder, "forest", lines, 0.0, "estimate over exact value, less 1 (pooled, 95 %)", "symlog")
    return [
        (
            "forest",
            "Relative difference from the exact value, pooled over cases by their errors; linear between "
            "-0.01 and 0.01, logarithmic beyond",
        )
    ]


def _variants(folder: Folder) -> list[tuple[str, str]]:
    rows = [row for row in folder.read_csv("cases") if row["theory"] is not None]
    lines: list[Line] = []
    for (variant,), own in _grouped(rows, "variant").items():
        lines.append(Line(variant))
        for (sigma, deep), some in sorted(
            _grouped([row | {"deep": row["depth"] > 1} for row in own], "sigma", "deep").items()
        ):
            gaps = [one["relative_bias"] - one["theory"] for one in some]
            halves = [
                math.hypot(one["relative_half"], _NINETY_FIVE * (one["theory_stderr"] or 0.0)) for one in some
            ]
            what = f"sigma {sigma:g}, {'deeper' if deep else 'one layer'}, {len(some)} cases"
            lines.append(Line(what, *pooled(gaps, halves)))
    save_forest(
        folder, "forest", lines, 0.0, "relative bias, measured less predicted (pooled, 95 %)", "linear"
    )
    return [("forest", "Measured bias less the predicted one, pooled over cases by their errors")]


def _coverage(folder: Folder) -> list[tuple[str, str]]:
    lines = [
        Line(
            f"{row['case']}, {row['samples']:,} samples",
            row["coverage"], row["coverage_low"], row["coverage_high"],
        )
        for row in folder.read_csv("cases")
    ]  # fmt: skip
    save_forest(folder, "forest", lines, 0.95, "coverage of nominal 95 % intervals", "linear")
    return [
        (
            "forest",
            "Coverage of nominal 95 % intervals, with its own by Clopper and Pearson",
        )
    ]


def _crofton(folder: Folder) -> list[tuple[str, str]]:
    lines: list[Line] = []
    for (dimension, sigma), own in _grouped(folder.read_csv("cost"), "dimension", "sigma").items():
        ratios = []
        for pair in _grouped(own, "network").values():
            by = {row["estimator"]: row["seconds_for_percent"] for row in pair}
            if len(by) == 2 and all(by.values()):
                ratios.append(by["Crofton lines"] / by[next(name for name in by if name != "Crofton lines")])
        if ratios:
            middle, low, high = geometric_mean(ratios)
            what = f"d = {dimension}, sigma {sigma:g}"
            known = math.isfinite(high)
            lines.append(Line(what, middle, low if known else middle, high if known else middle))
    save_forest(folder, "forest", lines, 1.0, "time of lines over that of co-area, for 1 %", "log")
    return [
        (
            "forest",
            "Time of lines over that of the co-area estimator for the same error, means over networks",
        )
    ]


def _inequalities(folder: Folder) -> list[tuple[str, str]]:
    lines: list[Line] = []
    for (name,), own in _grouped(folder.read_csv("sides"), "inequality").items():
        lines.append(Line(name))
        for (decay,), rows in sorted(_grouped(own, "decay").items()):
            ratios = [row["right"] / row["left"] for row in rows if row["left"] > 0.0]
            if ratios:
                what = f"decay {decay:g}, {len(ratios)} of {len(rows)} say something"
                lines.append(Line(what, float(np.median(ratios)), min(ratios), max(ratios)))
    save_forest(
        folder, "forest", lines, 1.0, "larger side over smaller one (median, least to largest)", "log"
    )
    return [
        (
            "forest",
            "Slack of every inequality: the larger side over the smaller one, median over networks, steps "
            "and settings, and from the least to the largest",
        )
    ]


def _rescaling(folder: Folder) -> list[tuple[str, str]]:
    from matplotlib import pyplot as plt

    rows = [row for row in folder.read_csv("cases") if row["noise"].startswith("sigma for")]
    sigmas = sorted({row["sigma"] for row in rows})
    count = len(rows) // max(len(sigmas), 1)
    figure, axes = plt.subplots(
        1, len(sigmas), layout="constrained", figsize=(2.2 + 3.4 * len(sigmas), 0.9 + 0.15 * count),
        squeeze=False, sharey=True,
    )  # fmt: skip
    for axis, sigma in zip(axes[0], sigmas, strict=True):
        lines: list[Line] = []
        for (network,), own in _grouped((row for row in rows if row["sigma"] == sigma), "network").items():
            lines.append(Line(network))
            for row in own:
                if str(row["factor"]) != "1":
                    half = _NINETY_FIVE * row["ratio_stderr"]
                    factor = row["factor"] if row["factor"] == "balanced" else f"x {row['factor']:g}"
                    lines.append(Line(factor, row["ratio"], row["ratio"] - half, row["ratio"] + half))
        draw_forest(axis, lines, 1.0, f"ratio of local complexities, sigma {sigma:g}")
    folder.save_figure("forest", figure)
    return [
        (
            "forest",
            "LC of rescaled networks of the same function over that of the network as it is, at fixed sigma; "
            "under relative noise all ratios are 1",
        )
    ]


def _tightness(folder: Folder) -> list[tuple[str, str]]:
    lines: list[Line] = []
    steps = (
        ("corollary 3 over local complexity", "gradients", "sharp"),
        ("theorem 5 over corollary 3", "ranks", "gradients"),
        ("theorem 5 over local complexity", "ranks", "sharp"),
    )
    rows = folder.read_csv("draws")
    for row in rows:
        row["sharp"] = row["conditioned"] - (row["activation"] - row["lc"])
    grouped = _grouped(rows, "dimension", "sigma")
    for label, above, below in steps:
        lines.append(Line(label))
        for (dimension, sigma), own in sorted(grouped.items()):
            ratios = [
                float(np.mean([row[above] for row in some]) / np.mean([row[below] for row in some]))
                for some in _grouped(own, "network").values()
            ]
            middle, low, high = geometric_mean(ratios)
            known = math.isfinite(high)
            what = f"d = {dimension}, sigma {sigma:g}, {len(ratios)} networks"
            lines.append(Line(what, middle, low if known else middle, high if known else middle))
    save_forest(folder, "forest", lines, 1.0, "factor (geometric mean over networks, 95 %)", "log")
    return [("forest", "What each step of the upper bounds loses")]


def _constructions(folder: Folder) -> list[tuple[str, str]]:
    from matplotlib import pyplot as plt

    saw = folder.read_csv("sawtooth")
    pieces = [
        Line(
            f"{row['width']} x {row['depth']}",
            *(
                (row["cells"] + sign * _NINETY_FIVE * row["cells_stderr"]) / (row["units"] + 1)
                for sign in (0, -1, 1)
            ),
        )
        for row in folder.read_csv("line")
    ]
    noises = []
    for row in folder.read_csv("weights"):
        ratio = row["weights"] / row["biases"] - 1.0
        half = _NINETY_FIVE * math.hypot(row["weights_stderr"], row["biases_stderr"]) / row["biases"]
        noises.append(Line(f"{row['network']}, {row['sigma']:g}", ratio, ratio - half, ratio + half))
    figure, (left, middle, right) = plt.subplots(
        1, 3, layout="constrained", figsize=(11.0, 1.4 + 0.18 * max(len(pieces), len(noises)))
    )
    left.errorbar(
        [row["units"] for row in saw], [row["lc"] for row in saw],
        [_NINETY_FIVE * row["lc_stderr"] for row in saw], fmt="o-", ms=4, label="local complexity",
    )  # fmt: skip
    left.plot([row["units"] for row in saw], [row["largest_rank"] for row in saw], "s-", ms=4, label="rank")
    left.set(yscale="log", xlabel="units of the sawtooth")
    left.set_yscale("log", base=2)
    left.legend(fontsize=8)
    left.grid(alpha=0.3)
    draw_forest(middle, pieces, 1.0, "cells over N + 1")
    draw_forest(right, noises, 0.0, "noise on weights over that on biases, less 1")
    folder.save_figure("forest", figure)
    return [
        (
            "forest",
            "Left: the sawtooth's LC and rank against its units; middle: cells of networks of one input on a "
            "long segment over N + 1 (width x depth); right: LC under noise on weights over that under noise "
            "on biases, less 1 (sigma behind the network)",
        )
    ]


# the table that each needs, and how it is drawn
_FORESTS: dict[str, tuple[str, Callable[[Folder], list[tuple[str, str]]]]] = {
    "estimator_error": ("cases", _estimators),
    "variants": ("cases", _variants),
    "coverage": ("cases", _coverage),
    "crofton": ("cost", _crofton),
    "inequality_slack": ("sides", _inequalities),
    "rescaling": ("cases", _rescaling),
    "tightness": ("draws", _tightness),
    "constructions": ("line", _constructions),
}
