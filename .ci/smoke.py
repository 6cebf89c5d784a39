"""One use of everything that leans on another package: what must run with the oldest and newest of them.

With engines as arguments it only counts with them. Run all of it as plain Python, and some engines compiled.
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import regions
from regions.cli import main as command


def diamond() -> regions.Network:
    """|x| + |y| cut at 1: each quadrant of [-1, 1]^2 has two cells."""
    first = [[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]
    layers = [first, [[1.0, 1.0, 1.0, 1.0]], [[1.0]]]
    return regions.Network.from_arrays(layers, [[0.0] * 4, [-1.0], [0.0]], name="diamond")


def expect(what: str, found: object, right: object) -> None:
    """End with both values where they differ."""
    if found != right:
        sys.exit(f"{what}: {found}, right is {right}")
    print(f"{what}: {found}")  # noqa: T201


ENGINES = ("planar", "cells", "lp")


def count_with(engines: Sequence[str], network: regions.Network, square: regions.Box) -> None:
    """Count with each of the engines."""
    for engine in engines:
        count = regions.count_cells(network, square, engine=engine)
        expect(f"engine {engine}", (count.n_cells, count.status.name), (8, "COMPLETE"))


def everything_after(network: regions.Network, square: regions.Box, folder: Path) -> None:
    """Graph files, enclosures, the locus, a picture."""
    from regions.plotting import plot_cells, save_figure

    cells = regions.enumerate_cells(network, square)
    graph = regions.adjacency_graph(cells)
    for suffix in ("json", "graphml"):
        regions.write_graph(graph, folder / f"graph.{suffix}")
        again = regions.read_graph(folder / f"graph.{suffix}")
        expect(f"edges in {suffix}", again.number_of_edges(), 8)
    expect("enclosures", len(regions.volume_enclosures(cells)), 8)
    expect("locus", round(regions.locus_volume(cells).total, 12), round(4 * np.sqrt(2.0), 12))
    for color in ("pattern", "class"):
        save_figure(plot_cells(cells, color), folder / f"{color}.png")
    expect("verified", regions.verify(cells).ok, True)


def command_line(network: regions.Network, folder: Path) -> None:
    """Help, a count with options and flags, and an error of usage."""
    network.save(folder / "net.npz")
    box = ["--box", "-1", "1"]
    for words, right in (
        (["--help"], 0),
        (["count", "--help"], 0),
        (["count", str(folder / "net.npz"), *box, "--json"], 0),
        (["enumerate", str(folder / "net.npz"), *box, "-o", str(folder / "cells.regions")], 0),
        (["plot", str(folder / "cells.regions"), "-o", str(folder / "cells.svg")], 0),
        (["count", str(folder / "net.npz"), "--no-such-option"], 2),
    ):
        expect(f"regions {words[0]} ... {words[-1]}", command(words), right)


def foreign_files() -> None:
    """Read one model of each package that is installed."""
    if importlib.util.find_spec("sklearn"):
        from sklearn.neural_network import MLPRegressor

        x = np.linspace(-1.0, 1.0, 20)[:, None]
        model = MLPRegressor(hidden_layer_sizes=(4,), solver="lbfgs", max_iter=50, random_state=0).fit(
            x, abs(x[:, 0])
        )
        expect("scikit-learn", regions.from_sklearn(model).widths, (4,))
    if importlib.util.find_spec("onnx"):
        from onnx import helper, numpy_helper

        layer = numpy_helper.from_array(np.eye(2, 3, dtype=np.float32), "W")
        nodes = [helper.make_node("MatMul", ["x", "W"], ["z"]), helper.make_node("Relu", ["z"], ["y"])]
        ends = [
            helper.make_tensor_value_info(name, 1, ["batch", size]) for name, size in (("x", 2), ("y", 3))
        ]
        graph = helper.make_graph(nodes, "graph", ends[:1], ends[1:], [layer])
        versions = [helper.make_opsetid("", 13)]
        expect("onnx", regions.from_onnx(helper.make_model(graph, opset_imports=versions)).widths, (3,))


def main() -> None:
    """Run every part in a scratch folder, or only the engines that were named."""
    network, square = diamond(), regions.Box([-1.0, -1.0], [1.0, 1.0])
    count_with(sys.argv[1:] or ENGINES, network, square)
    if sys.argv[1:]:
        return
    with tempfile.TemporaryDirectory() as scratch:
        everything_after(network, square, Path(scratch))
        command_line(network, Path(scratch))
    foreign_files()


if __name__ == "__main__":
    main()
