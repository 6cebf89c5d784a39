"""Two versions of the package side by side: `python benchmarks/race.py BEFORE AFTER [NAME ...]`.

BEFORE and AFTER are folders that hold a package `regions` each. Both versions run in processes of their own,
which take turns at every task, so that whoever else uses the machine slows both; what is compared is the
least CPU time of several rounds. Kernels are compiled before the first round, into caches of their own.
Networks come from `REGIONS_REFERENCE_DATA` or `../shared/data`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import gettempdir
from typing import Any

HERE = Path(__file__).resolve().parent
DATA = Path(os.environ.get("REGIONS_REFERENCE_DATA", HERE.parents[1] / "shared" / "data"))
BOXES = ("d2_w16x2", "d2_w32x3", "d2_w64x4", "d2_w128x4", "d2_w256x4", "d3_w32x3", "d4_w32x2", "d5_w16x3")
NAMES = (*BOXES, "d6_w24x1", "acasxu", "degenerate", "sawtooth", "d10_w12x2")


def problems(name: str) -> list[tuple[Any, Any]]:
    """Return the networks and boxes of a task."""
    from regions import Box, Network, load_network

    if name == "sawtooth":
        again, first = ([[2.0, -4.0]] * 2, [0.0, -0.5]), ([[1.0], [1.0]], [0.0, -0.5])
        layers = [first, *[again] * 15, ([[2.0, -4.0]], [0.0])]
        return [(Network.from_arrays([w for w, _ in layers], [b for _, b in layers]), Box([0.0], [1.0]))]
    if name == "d10_w12x2":
        return [(load_network(DATA / "nets" / f"{name}.npz"), Box([-0.3] * 10, [0.3] * 10))]
    counts = json.loads((DATA / "counts.json").read_text())
    group = name if name in counts else "boxes"
    entries = [e for e in counts[group] if group == name or Path(e["network"]).stem == name][:4]
    return [(load_network(DATA / e["network"]), Box(e["low"], e["high"])) for e in entries]


def serve() -> None:
    """Answer each line `name arithmetic` by the cells and the CPU seconds of one count."""
    from regions import count_cells

    kept: dict[str, list[tuple[Any, Any]]] = {}
    for line in sys.stdin:
        name, arithmetic = line.split()
        if name not in kept:
            kept[name] = problems(name)
        cells, best = 0, 1e9
        for _ in range(3):
            start = time.process_time()
            cells = sum(count_cells(n, box, workers=1, arithmetic=arithmetic).cells for n, box in kept[name])
            best = min(best, time.process_time() - start)
            if best > 0.3:
                break
        print(cells, best, flush=True)


def start(tree: Path) -> Callable[[str], tuple[int, float]]:
    """Start the version in a folder; returns what runs a task there."""
    cache = Path(gettempdir()) / "regions-race" / tree.resolve().as_posix().strip("/").replace("/", "-")
    environment = {**os.environ, "PYTHONPATH": str(tree.resolve()), "NUMBA_CACHE_DIR": str(cache)}
    process = subprocess.Popen(
        [sys.executable, str(HERE / "race.py"), "--serve"],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def run(task: str) -> tuple[int, float]:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(task + "\n")
        process.stdin.flush()
        cells, seconds = process.stdout.readline().split()
        return int(cells), float(seconds)

    return run


def main() -> None:
    """Print a table of CPU milliseconds, their ratio, and the time of one cell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("names", nargs="*", default=NAMES)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    runners = [start(options.before), start(options.after)]
    print("| count | cells | before, ms | after, ms | before / after | certified / float | ns a cell |")
    print("|---|---|---|---|---|---|---|")
    for name in options.names:
        for run in runners:
            run(f"{name} certified"), run(f"{name} float")
        best = [1e9] * 4
        cells: set[int] = set()
        for _ in range(options.rounds):
            for k, run in enumerate(runners):
                for j, arithmetic in enumerate(("certified", "float")):
                    found, seconds = run(f"{name} {arithmetic}")
                    cells |= {found} if arithmetic == "certified" else set()
                    best[2 * k + j] = min(best[2 * k + j], seconds)
        if len(cells) != 1:
            raise SystemExit(f"{name}: the two versions count {sorted(cells)} cells")
        before, _, after, floats = best
        total = cells.pop()
        print(
            f"| {name} | {total:,} | {1e3 * before:.2f} | {1e3 * after:.2f} | {before / after:.2f} "
            f"| {after / floats:.2f} | {1e9 * after / total:,.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    serve() if sys.argv[1:] == ["--serve"] else main()
