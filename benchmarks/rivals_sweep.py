"""Microseconds per cell of both engines for max units of more and more candidates, and what is expected.

One layer of one or four max units of 4 to 128 candidates with normal weights, on [-1, 1]^d for d = 2, 3 and
5; certified arithmetic, one thread, CPU time, compiled before.

    python benchmarks/rivals_sweep.py
"""

from __future__ import annotations

from itertools import product
from time import process_time

import numpy as np

from regions import Box, Network, count_cells
from regions.enumeration.cost_model import choose, seconds_per_cell

CELLS, SECONDS = 20_000, 4.0


def maxout(d: int, candidates: int, units: int) -> Network:
    """A layer of max units."""
    rng = np.random.default_rng(d * candidates + units)
    rows = candidates * units
    weights = [rng.normal(size=(rows, d)), rng.normal(size=(1, units))]
    return Network.from_arrays(weights, [0.3 * rng.normal(size=rows), [0.0]], maxima=[candidates, None])


def microseconds(network: Network, box: Box, engine: str) -> tuple[int, float]:
    """Count with an engine; returns the cells, and the time per cell."""
    count_cells(network, box, engine=engine, workers=1, max_cells=2)
    start = process_time()
    found = count_cells(network, box, engine=engine, workers=1, max_cells=CELLS, max_seconds=SECONDS)
    return found.cells, 1e6 * (process_time() - start) / found.cells


def main() -> None:
    """Print a row for each network."""
    print("| d | units | candidates | cells | vertices | expected | programs | expected | auto takes |")
    print("|---" * 9 + "|")
    for d, units, candidates in product((2, 3, 5), (1, 4), (4, 8, 16, 32, 64, 128)):
        network, box = maxout(d, candidates, units), Box([-1.0] * d, [1.0] * d)
        row = [str(d), str(units), str(candidates)]
        for engine in ("planar" if d == 2 else "cells", "lp"):
            cells, time = microseconds(network, box, engine)
            expected = 1e6 * seconds_per_cell(engine, d, network.n_units, 2 * d, candidates)
            row += [str(cells)] * (engine != "lp") + [f"{time:.0f}", f"{expected:.0f}"]
        taken = choose(d, network.n_units, 2 * d, candidates).engine
        print(f"| {' | '.join([*row, taken])} |", flush=True)


if __name__ == "__main__":
    main()
