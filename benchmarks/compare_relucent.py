"""Counting the cells of one network in one box: relucent 1.0 against `count_cells`, in the same run.

relucent (PyPI, AGPL, its linear programs are Gurobi's) is used from outside, in an interpreter of its own
that has it installed; nothing here depends on it:

    python -m venv venv_relucent && venv_relucent/bin/pip install relucent==1.0
    python benchmarks/compare_relucent.py --python venv_relucent/bin/python

The box is [-1, 1]^d: relucent's cells that meet the cube (`cube_mode="intersect"`), found breadth-first
without its final certificate, with as many worker processes as we have threads. Times are wall times
without imports and, for us, without compilation. relucent
also finds which cells touch, our count does not. Numbers of cells must be equal. The table goes to
benchmarks/results/relucent.csv.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import time
from pathlib import Path

import numpy as np

from regions import Box, Network, count_cells

HERE = Path(__file__).resolve().parent
DATA = Path(os.environ.get("REGIONS_REFERENCE_DATA", HERE.parents[1] / "shared" / "data"))
NETWORKS = ("d2_w16x2", "d3_w16x2")
RESULTS = HERE / "results" / "relucent.csv"

THEIRS = """
import json, sys, time
import numpy as np
import relucent

if __name__ == "__main__":
    path, workers = sys.argv[1], int(sys.argv[2])
    arrays = np.load(path)
    n = sum(name.startswith("W") for name in arrays)
    network = relucent.convert([(arrays[f"W{k}"], arrays[f"b{k}"]) for k in range(n)])
    start = np.full((1, arrays["W0"].shape[1]), 0.01)
    begin = time.perf_counter()
    cells = relucent.Complex(network)
    found = cells.bfs(start=start, cube_radius=1.0, cube_mode="intersect", nworkers=workers, verify=False,
                      verbose=0)
    seconds = time.perf_counter() - begin
    print(json.dumps({"cells": len(cells), "seconds": seconds, "complete": bool(found.complete)}))
"""


def theirs(python: str, network: Network, workers: int, timeout: float) -> dict[str, float]:
    """Cells and wall seconds of relucent, or a reason why there are none."""
    folder = HERE / "results"
    path, script = folder / "relucent_network.npz", folder / "relucent_run.py"
    weights = {f"W{k}": w for k, w in enumerate(network.weights)}
    biases = {f"b{k}": b for k, b in enumerate(network.biases)}
    np.savez(path, **weights, **biases)
    script.write_text(THEIRS)
    try:
        ran = subprocess.run(
            [python, str(script), str(path), str(workers)], capture_output=True, text=True, timeout=timeout
        )
    except subprocess.TimeoutExpired:
        return {"error": f"not finished after {timeout:g} s"}
    finally:
        path.unlink()
        script.unlink()
    if ran.returncode:
        return {"error": ran.stderr.strip().splitlines()[-1]}
    return json.loads(ran.stdout.strip().splitlines()[-1])


def ours(network: Network, engine: str, workers: int) -> tuple[int, float, str]:
    """Cells and wall seconds, the best of three."""
    box = Box(-np.ones(network.input_dim), np.ones(network.input_dim))
    count_cells(network, box, engine=engine, max_cells=10)
    best = np.inf
    for _ in range(3):
        start = time.perf_counter()
        found = count_cells(network, box, engine=engine, workers=workers)
        best = min(best, time.perf_counter() - start)
    return found.cells, best, str(found.status)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", required=True, help="interpreter that has relucent")
    parser.add_argument("--networks", nargs="+", default=NETWORKS)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--timeout", type=float, default=600.0, help="seconds for one run of relucent")
    options = parser.parse_args()
    RESULTS.parent.mkdir(exist_ok=True)
    rows = []
    for name in options.networks:
        network = Network.load(DATA / "nets" / f"{name}.npz")
        other = theirs(options.python, network, options.workers, options.timeout)
        for engine in ("auto", "lp"):
            cells, seconds, status = ours(network, engine, options.workers)
            row = {
                "network": name,
                "dimension": network.input_dim,
                "engine": engine,
                "workers": options.workers,
            }
            row |= {"workers": options.workers, "cells": cells, "seconds": f"{seconds:.5f}", "status": status}
            row |= {"relucent_cells": other.get("cells"), "relucent_complete": other.get("complete")}
            row |= {"relucent_seconds": other.get("seconds"), "relucent_error": other.get("error", "")}
            if "seconds" in other:
                row["relucent_seconds"] = f"{other['seconds']:.3f}"
                row["times_relucent"] = f"{other['seconds'] / seconds:.0f}"
            rows.append(row)
            print(row, flush=True)
    with RESULTS.open("w", newline="") as file:
        writer = csv.DictWriter(file, list({key: None for row in rows for key in row}), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
