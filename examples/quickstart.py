"""Count, list, measure and draw the cells of a small network: `python examples/quickstart.py`."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from regions import Box, Network, adjacency_graph, count_cells, enumerate_cells, locus_volume, write_graph
from regions.plotting import plot_cells, save_figure


def main() -> None:
    """A random network with two inputs, on a square."""
    rng = np.random.default_rng(0)
    widths = (2, 32, 32, 1)
    weights = [rng.normal(size=(m, n)) * np.sqrt(2.0 / n) for n, m in pairwise(widths)]
    biases = [0.3 * rng.normal(size=len(weight)) for weight in weights]
    network = Network.from_arrays(weights, biases, name="quickstart")
    square = Box([-1.0, -1.0], [1.0, 1.0])

    # A count alone keeps no cells and needs little memory.
    count = count_cells(network, square)
    print(f"{count.n_cells} cells ({count.status.name}), engine {count.engine}")

    # The complex knows every cell: volume, centroid, affine map, facets.
    cells = enumerate_cells(network, square)
    largest = int(cells.volumes.argmax())
    A, c = cells.affine_map(largest)
    print(f"largest cell: area {cells.volumes[largest]:.4f}, there f(x) = {A[0].round(3)} @ x + {c[0]:.3f}")

    # The network bends on the facets with a nonzero jump; their total length is exact.
    locus = locus_volume(cells)
    print(f"nonlinear locus: length {locus.total:.6f}, by layer {locus.by_layer.round(4)}")

    graph = adjacency_graph(cells)
    write_graph(graph, "quickstart.graphml")
    save_figure(plot_cells(cells, "pattern"), "quickstart.png")
    print(f"{graph.number_of_edges()} facets between cells; wrote quickstart.graphml and quickstart.png")


if __name__ == "__main__":
    main()
