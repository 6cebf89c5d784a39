"""The surface of a signed-distance network: edge subdivision against `decision_boundary`, in the same run.

Edge subdivision (Berzins, ICML 2023: github.com/arturs-berzins/relu_edge_subdivision) is used from outside,
from a folder that holds its code; it needs torch:

    python benchmarks/compare_mesh.py --subdivision relu_edge_subdivision

Both run on one thread in one process, in turn, and the least processor seconds of some rounds are told, as
others may use the machine. Edge subdivision works in float32, pruned; it finds the vertices and edges of the
surface. `decision_boundary` is certified; it finds the polygons too, how they meet, and their areas.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from regions import Box, Network, decision_boundary

HERE = Path(__file__).resolve().parent
DATA = Path(os.environ.get("REGIONS_REFERENCE_DATA", HERE.parents[1] / "shared" / "data"))


def theirs(folder: Path, network: Network, half: float) -> Callable[[], tuple[int, int]]:
    """Return a function that subdivides edges, and returns the surface's numbers of vertices and edges."""
    sys.path.insert(0, str(folder))
    from edge_subdivision import get_e_sv, skeletal_subdivision
    from NN import Net

    model = Net([network.input_dim, *network.widths, 1])
    with torch.no_grad():
        for layer, weight, bias in zip(model.fcs, network.weights, network.biases, strict=True):
            layer.weight.copy_(torch.tensor(weight))
            layer.bias.copy_(torch.tensor(bias))

    def run() -> tuple[int, int]:
        with torch.no_grad():
            _, edges, signs = skeletal_subdivision(
                model, bbox=(-half, half), device=torch.device("cpu"), verbose=False, prune=True
            )
            on_surface = get_e_sv(signs, edges)[:, -1] == 0
        return len(edges[on_surface].unique()), int(on_surface.sum())

    return run


def timed(run: Callable[[], Any]) -> tuple[float, float, Any]:
    """Return the processor and the wall seconds of a call, and what it returned."""
    wall, own = time.perf_counter(), time.process_time()
    found = run()
    return time.process_time() - own, time.perf_counter() - wall, found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--subdivision", type=Path, required=True, help="folder of edge subdivision's code")
    parser.add_argument("--network", type=Path, default=DATA / "public" / "bunny_3_3x16.npz")
    parser.add_argument("--half-width", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    network, half = Network.load(options.network), options.half_width
    box = Box([-half] * 3, [half] * 3)
    subdivide = theirs(options.subdivision, network, half)
    decision_boundary(network, box, max_cells=10, workers=1)  # compiles
    rows: dict[str, list[tuple[float, float]]] = {}
    for _ in range(options.rounds):
        own, wall, (vertices, edges) = timed(subdivide)
        rows.setdefault(f"edge subdivision: {vertices:,} vertices, {edges:,} edges", []).append((own, wall))
        own, wall, boundary = timed(lambda: decision_boundary(network, box, workers=1))
        counts = "{:,} vertices, {:,} edges, {:,} polygons".format(*boundary.f_vector)
        rows.setdefault(f"decision_boundary: {counts}", []).append((own, wall))
        own, wall, mesh = timed(boundary.mesh)
        rows.setdefault(f"mesh(): {len(mesh.triangles):,} triangles", []).append((own, wall))
    for name, times in rows.items():
        best = min(times)
        print(f"{name}: {best[0]:.2f} s of processor time, {best[1]:.2f} s")
    print("load of the machine: {:.1f}, {:.1f}, {:.1f}".format(*os.getloadavg()))


if __name__ == "__main__":
    main()
