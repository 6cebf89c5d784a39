"""All cells of the reference networks in 8 and 10 dimensions, by both engines where that ends.

    python benchmarks/count_reference.py            # d10_w12x2 and d8_w16x2 by programs, d8 by vertices

Writes one row for each search to benchmarks/results/lp_counts.csv: box [-1, 1]^d, certified arithmetic; a
search stops at --seconds of wall time and is then TRUNCATED. COMPLETE counts of one network must be equal.
"""

from __future__ import annotations

import argparse
import csv
import os
import time
from pathlib import Path

import numpy as np

from regions import Box, Network, count_cells

HERE = Path(__file__).resolve().parent
DATA = Path(os.environ.get("REGIONS_REFERENCE_DATA", HERE.parents[1] / "shared" / "data"))
RESULTS = HERE / "results" / "lp_counts.csv"
SEARCHES = (("d10_w12x2", "lp"), ("d8_w16x2", "lp"), ("d8_w16x2", "cells"))


def count(name: str, engine: str, workers: int, seconds: float) -> dict[str, object]:
    network = Network.load(DATA / "nets" / f"{name}.npz")
    d = network.input_dim
    box = Box(-np.ones(d), np.ones(d))
    count_cells(network, box, engine=engine, max_cells=10)
    start = time.perf_counter()

    def interrupt(cells: int, done: float) -> None:
        if time.perf_counter() - start > seconds:
            raise TimeoutError(f"{cells} cells, {100 * done:.1f} % of the tree")

    row: dict[str, object] = {"network": name, "engine": engine, "workers": workers}
    try:
        found = count_cells(network, box, engine=engine, workers=workers, progress=interrupt)
    except TimeoutError as error:
        return row | {"cells": "", "status": f"stopped after {seconds:g} s: {error}"}
    spent = time.perf_counter() - start
    certificate = found.certificate
    return row | {
        "cells": found.cells,
        "status": found.status.value,
        "seconds": round(spent, 1),
        "cells_per_second": round(found.cells / spent),
        "decisions": certificate.decisions,
        "exact_signs": certificate.exact_signs,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=300.0, help="wall time of one search at most")
    options = parser.parse_args()
    RESULTS.parent.mkdir(exist_ok=True)
    rows = []
    for name, engine in SEARCHES:
        rows.append(count(name, engine, options.workers, options.seconds))
        print(rows[-1], flush=True)
    with RESULTS.open("w", newline="") as file:
        writer = csv.DictWriter(file, list({key: None for row in rows for key in row}), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
