"""Figures of the experiment on errors: z-scores, and error against sigma."""

from __future__ import annotations

from typing import Any

import numpy as np

from validation.framework import Folder

__all__ = ["draw"]

Row = dict[str, Any]


def draw(folder: Folder, rows: list[Row]) -> None:
    """Both."""
    _draw_z(folder, [row for row in rows if row["estimator"] == "co-area"])
    _draw_error(folder, rows)


def _draw_z(folder: Folder, judged: list[Row]) -> None:
    from matplotlib import pyplot as plt

    z = np.array([row["z"] for row in judged])
    reach = max(4.0, float(np.abs(z).max()) + 0.25)
    edges = np.arange(-np.ceil(2 * reach), np.ceil(2 * reach) + 1) / 2
    figure, axis = plt.subplots(layout="constrained", figsize=(5, 3.2))
    axis.hist(z, edges, density=True, color="tab:blue", alpha=0.6, label=f"{len(z)} cases")
    grid = np.linspace(edges[0], edges[-1], 300)
    axis.plot(grid, np.exp(-0.5 * grid**2) / np.sqrt(2.0 * np.pi), color="black", lw=1, label="N(0, 1)")
    axis.set(xlabel="z", ylabel="density")
    axis.legend(fontsize=8)
    folder.save_figure("z", figure)


def _draw_error(folder: Folder, rows: list[Row]) -> None:
    """Co-area by dimension on the left, unbiased estimators on the right."""
    from matplotlib import pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, layout="constrained", figsize=(9, 3.4), sharey=True)
    judged = [row for row in rows if row["estimator"] == "co-area"]
    for dimension in sorted({row["dimension"] for row in judged}):
        own = [row for row in judged if row["dimension"] == dimension]
        _median_line(left, own, f"d = {dimension}")
    for label in ("co-area", "Crofton lines", "finite shells"):
        _median_line(right, [row for row in rows if row["estimator"] == label], label)
    left.set(title="co-area, by dimension", ylabel="relative standard error")
    right.set(title="by estimator")
    for axis in (left, right):
        axis.set(xscale="log", yscale="log", xlabel="sigma")
        axis.legend(fontsize=8)
    folder.save_figure("error", figure)


def _median_line(axis: Any, rows: list[Row], label: str) -> None:
    sigmas = sorted({row["sigma"] for row in rows})
    medians = [np.median([row["spread"] for row in rows if row["sigma"] == sigma]) for sigma in sigmas]
    axis.plot(sigmas, medians, marker="o", ms=3, lw=1, label=label)
