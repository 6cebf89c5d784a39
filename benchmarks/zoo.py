"""Real model files: does each load, does it equal its runtime, how many cells has a plane or a box, how soon?

    python benchmarks/zoo.py FOLDER [--only PART] [--into docs/zoo.md] [--patience 10]

prints a row for each file of the folder. A file is read in a process of its own, whose largest memory is
shown. Inputs of more than eight dimensions are cut by a plane, whose size is halved until the count ends in
some seconds; the search by vertices (certified) and the one by linear programs must find as many cells.
Times are CPU seconds of one thread; `--patience` makes the limits longer where other programs run beside it.
"""

from __future__ import annotations

import argparse
import gzip
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np

from regions import Box, Network, RegionsError, Slice, count_cells, load_network
from regions.domain import Domain

BOXES = {"tll_8": 2.0, "rl_cartpole": 0.2, "rl_lunarlander": 0.02}  # whose counts are known from elsewhere
MOST_CELLS = 3000
SECONDS = 20.0
BEGIN, END = "<!-- zoo: begin -->", "<!-- zoo: end -->"
HEADER = (
    "| file | what it is | domain | cells | vertices, s | programs, s | memory, MB |\n" + "|---" * 7 + "|"
)


def unpacked(path: Path, folder: Path) -> Path:
    """Return the file itself, or what is in it if it is compressed."""
    if path.suffix != ".gz":
        return path
    target = folder / path.stem
    target.write_bytes(gzip.decompress(path.read_bytes()))
    return target


def runtime_difference(network: Network, path: Path) -> float | None:
    """Return the largest relative difference from onnxruntime at random inputs; None for other formats."""
    if path.suffix != ".onnx":
        return None
    import onnxruntime

    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    given = session.get_inputs()[0]
    shape = [size if isinstance(size, int) and size > 0 else 1 for size in given.shape]
    worst = 0.0
    for x in np.random.default_rng(7).uniform(-1.0, 1.0, (5, network.input_dim)).astype(np.float32):
        expected = session.run(None, {given.name: x.reshape(shape)})[0].ravel()
        found = network.forward(x)
        if expected.size == found.size and "(before" not in network.name:
            worst = max(worst, float(np.abs(found - expected).max() / max(1.0, np.abs(expected).max())))
    return worst


def domains(network: Network, path: Path) -> Any:
    """Yield domains, each smaller than the one before, with their names."""
    d = network.input_dim
    known = BOXES.get(path.stem)
    if known is not None:
        yield f"[-{known:g}, {known:g}]^{d}", Box([-known] * d, [known] * d)
        return
    rng = np.random.default_rng(0)
    centre, pair = rng.random(d), rng.normal(size=(2, d))
    for k in range(-8, 40):
        size = 2.0**-k
        if d == 1:
            yield f"[-{size:g}, {size:g}]", Box([-size], [size])
        elif d == 2:
            yield f"[-{size:g}, {size:g}]^2", Box([-size] * 2, [size] * 2)
        else:
            yield f"plane, side 2^{1 - k}", Slice.around(centre, pair, half_width=size)


def measured(network: Network, path: Path, patience: float) -> dict[str, Any]:
    """Count the cells on the largest domain that ends in time, by both engines."""
    chosen: tuple[str, Domain] | None = None
    for name, domain in domains(network, path):
        count = count_cells(
            network, domain, max_cells=MOST_CELLS, max_seconds=patience * SECONDS / 4, workers=1
        )
        if count.status.name == "COMPLETE":
            chosen = name, domain
            break
    if chosen is None:
        return {"domain": "none small enough", "cells": None}
    name, domain = chosen
    engine = "planar" if domain.dimension == 2 else "cells"
    start = process_time()
    count = count_cells(network, domain, engine=engine, workers=1)
    vertices = process_time() - start
    count_cells(network, domain, engine="lp", max_cells=2)  # kernels are compiled now
    start = process_time()
    other = count_cells(network, domain, engine="lp", max_seconds=3 * patience * SECONDS, workers=1)
    programs = process_time() - start
    done = other.status.name == "COMPLETE"
    if done and other.cells != count.cells:
        raise AssertionError(f"{path}: {count.cells} cells by vertices, {other.cells} by programs")
    return {
        "domain": name,
        "cells": count.cells,
        "vertices": vertices,
        "programs": programs if done else None,
    }


def row_of(path: Path, patience: float) -> dict[str, Any]:
    """Read one file and measure it."""
    with tempfile.TemporaryDirectory() as folder:
        file = unpacked(path, Path(folder))
        try:
            network = load_network(file)
        except RegionsError as error:
            return {
                "file": path.name,
                "refused": str(error).replace(folder, "").replace(str(path.parent), ""),
            }
        difference = runtime_difference(network, file)
        if difference is not None and difference > 1e-4:
            raise AssertionError(f"{path}: differs from its runtime by {difference}")
        layers = len(network.widths)
        what = (
            f"{network.input_dim:,} inputs, {network.n_units:,} units in {layers} layer{'s' * (layers != 1)}"
        )
        facts = measured(network, file, patience)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return {"file": path.name, "what": what, **facts, "memory": memory}


def line_of(row: dict[str, Any]) -> str:
    """Return a row as markdown."""
    if "refused" in row:
        return f"| `{row['file']}` | refused: {row['refused'].partition('; supported')[0]} | | | | | |"
    times = [f"{row[key]:.2f}" if row.get(key) is not None else "-" for key in ("vertices", "programs")]
    cells = "-" if row["cells"] is None else f"{row['cells']:,}"
    parts = (f"`{row['file']}`", row["what"], row["domain"], cells, *times, str(row["memory"]))
    return f"| {' | '.join(parts)} |"


def main() -> None:
    """Read each file in a process of its own and print its row."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", default="", help="files whose names have this part")
    parser.add_argument("--into", type=Path, help="file whose table is replaced")
    parser.add_argument("--patience", type=float, default=1.0, help="factor of the limits in seconds")
    parser.add_argument("--row", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.row:
        print(json.dumps(row_of(given.folder, given.patience)))
        return
    files = sorted(p for p in given.folder.iterdir() if p.suffix != ".md" and given.only in p.name)
    lines = [HEADER]
    print(HEADER)
    for path in files:
        command = [sys.executable, __file__, "--row", str(path), "--patience", str(given.patience)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{path.name}: {done.stderr}")
        lines.append(line_of(json.loads(done.stdout.splitlines()[-1])))
        print(lines[-1], flush=True)
    if given.into is not None:
        before, rest = given.into.read_text().split(BEGIN)
        after = rest.split(END)[1]
        given.into.write_text(f"{before}{BEGIN}\n" + "\n".join(lines) + f"\n{END}{after}")


if __name__ == "__main__":
    main()
