"""Cells per second of both engines over the dimension, and the fit of `regions.enumeration.cost_model`.

One family of networks, d -> w -> w -> 1 with weights N(0, 2 / fan-in) and biases N(0, 1/4), seed 100 d + w,
on [-1, 1]^d; certified arithmetic, one thread, CPU time, compiled before. A search ends after --max-cells
cells or --seconds, whichever is first; both engines search the same tree, so they count the same cells.

    python benchmarks/dimension_sweep.py              # d = 2..20: results/dimension_sweep.csv and .png
    python benchmarks/dimension_sweep.py --draw-only  # the picture and the fit again, from the table

The fit, printed at the end, is least squares of log2 of the seconds per cell; its coefficients are those
of `regions/enumeration/cost_model.py`.
"""

from __future__ import annotations

import argparse
import csv
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

from regions import Box, Network
from regions.enumeration.compiled_network import compile_network
from regions.enumeration.cost_model import LARGEST_VERTEX_DIMENSION, seconds_per_cell
from regions.enumeration.programs.program_search import ProgramSearch
from regions.enumeration.vertices.vertex_search import VertexSearch
from regions.kernels.memory.states import Mode, Status

mpl.use("Agg")
import matplotlib.pyplot as plt

RESULTS = Path(__file__).resolve().parent / "results"
WIDTHS = (8, 16, 32, 64)
FIELDS = (
    "dimension",
    "width",
    "units",
    "sides",
    "engine",
    "cells",
    "complete",
    "seconds",
    "cells_per_second",
)
RADIUS = 2.0**-44


def family(d: int, width: int) -> Network:
    """The network of the family."""
    rng = np.random.default_rng(100 * d + width)
    sizes = (d, width, width, 1)
    weights = [rng.normal(size=(b, a)) * np.sqrt(2 / a) for a, b in pairwise(sizes)]
    return Network.from_arrays(weights, [0.5 * rng.normal(size=b) for b in sizes[1:]])


def search_of(engine: str, network: Network) -> Any:
    """A search that counts, over the box."""
    box = Box(-np.ones(network.input_dim), np.ones(network.input_dim))
    if engine == "lp":
        net = compile_network(network, box, radius=0.0, certified=True, planar=False, vertices=False)
        return ProgramSearch(net, box, Mode.COUNT)
    net = compile_network(network, box, radius=RADIUS, certified=True, planar=engine == "planar")
    return VertexSearch(net, box, Mode.COUNT)


def measure(engine: str, network: Network, max_cells: int, seconds: float) -> tuple[int, bool, float]:
    """Cells, whether these are all, and CPU seconds."""
    search = search_of(engine, network)
    search.step(0)
    search.start(cell_limit=max_cells)
    begin = time.process_time()
    while True:
        status = search.step(8 if network.input_dim > 8 and engine != "lp" else 256)
        spent = time.process_time() - begin
        if status != Status.PAUSED or spent > seconds:
            return int(search.memory.cells), status == Status.DONE, spent


def sweep(dimensions: range, max_cells: int, seconds: float) -> list[dict[str, Any]]:
    rows = []
    for d in dimensions:
        for width in WIDTHS:
            network = family(d, width)
            engines = ["lp"] + (["planar", "cells"] if d == 2 else ["cells"])
            for engine in engines:
                if engine == "cells" and d > LARGEST_VERTEX_DIMENSION:
                    continue
                measure(engine, network, 10, 0.0)
                cells, complete, spent = measure(engine, network, max_cells, seconds)
                rate = round(cells / spent, 1)
                values = (d, width, network.n_units, 2 * d, engine, cells, complete, round(spent, 5), rate)
                rows.append(dict(zip(FIELDS, values, strict=True)))
                print(*values, flush=True)
    return rows


def fit(rows: list[dict[str, Any]]) -> dict[str, tuple[list[float], float]]:
    """Coefficients of each engine, and the largest factor between model and measurement."""
    found = {}
    for engine, least in (("planar", 2), ("cells", 3), ("lp", 2)):
        dimensions = range(least, LARGEST_VERTEX_DIMENSION + 1)
        near = [r for r in rows if int(r["dimension"]) in dimensions and int(r["cells"]) >= 50]
        used = [r for r in near if r["engine"] == engine]
        d, n, sides, cells, seconds = (
            np.array([float(r[name]) for r in used])
            for name in ("dimension", "units", "sides", "cells", "seconds")
        )
        ones = np.ones(len(used))
        terms = {
            "planar": [ones, np.log2(n)],
            "cells": [ones, d, np.log2(n), d * np.log2(n)],
            "lp": [ones, np.log2(d), np.log2(n), np.log2(sides + n)],
        }
        matrix, logs = np.column_stack(terms[engine]), np.log2(seconds / cells)
        solution, *_ = np.linalg.lstsq(matrix, logs, rcond=None)
        off = np.abs(matrix @ solution - logs).max()
        found[engine] = ([round(float(x), 3) for x in solution], round(float(2**off), 2))
    return found


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Rates over the dimension, the model's as lines, its crossover as a vertical line."""
    figure, axes = plt.subplots(1, len(WIDTHS), figsize=(15, 3.8), sharey=True, layout="constrained")
    colours = {"planar": "tab:green", "cells": "tab:orange", "lp": "tab:blue"}
    names = {"planar": "polygons (planar)", "cells": "vertices (cells)", "lp": "linear programs (lp)"}
    for ax, width in zip(axes, WIDTHS, strict=True):
        for engine, colour in colours.items():
            used = [r for r in rows if r["engine"] == engine and int(r["width"]) == width]
            d = np.array([int(r["dimension"]) for r in used])
            ax.semilogy(
                d, [float(r["cells_per_second"]) for r in used], "o", color=colour, label=names[engine]
            )
            if engine != "planar":
                lines = np.arange(3 if engine == "cells" else 2, d.max() + 1)
                model = [1 / seconds_per_cell(engine, int(k), 2 * width, 2 * int(k)) for k in lines]
                ax.semilogy(lines, model, "-", color=colour, linewidth=1)
        cross = [
            k
            for k in range(3, LARGEST_VERTEX_DIMENSION + 1)
            if seconds_per_cell("lp", k, 2 * width, 2 * k) < seconds_per_cell("cells", k, 2 * width, 2 * k)
        ]
        if cross:
            ax.axvline(cross[0] - 0.5, color="0.5", linestyle=":", label="predicted crossover")
        ax.set_title(f"widths {width}, {width}")
        ax.set_xlabel("dimension d")
        ax.grid(alpha=0.3)
    axes[0].set_ylabel("cells per second, one thread")
    axes[-1].legend(fontsize=8)
    figure.savefig(path, dpi=130)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--largest", type=int, default=20, help="largest dimension")
    parser.add_argument("--max-cells", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=1.0, help="CPU seconds of one search at most")
    parser.add_argument("--draw-only", action="store_true")
    options = parser.parse_args()
    RESULTS.mkdir(exist_ok=True)
    table = RESULTS / "dimension_sweep.csv"
    if not options.draw_only:
        rows = sweep(range(2, options.largest + 1), options.max_cells, options.seconds)
        with table.open("w", newline="") as file:
            writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for engine, (coefficients, worst) in fit(rows).items():
        print(f"{engine}: {coefficients}, within a factor of {worst}")
    draw(rows, RESULTS / "dimension_sweep.png")


if __name__ == "__main__":
    main()
