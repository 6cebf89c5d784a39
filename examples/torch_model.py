"""Cells of a PyTorch classifier around a data point: `python examples/torch_model.py` (needs torch).

The network may have any number of inputs; what is enumerated is a plane through its input space.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from regions import Slice, enumerate_cells, from_torch
from regions.plotting import plot_cells, save_figure


def train(data: torch.Tensor, labels: torch.Tensor) -> nn.Sequential:
    """A classifier of two rings in 20 dimensions."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(20, 24), nn.ReLU(), nn.Linear(24, 24), nn.ReLU(), nn.Linear(24, 2))
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(300):
        optimiser.zero_grad()
        nn.functional.cross_entropy(model(data), labels).backward()
        optimiser.step()
    return model.eval()


def main() -> None:
    """Train, convert, look at the plane that holds the rings."""
    rng = np.random.default_rng(0)
    angle, ring = rng.uniform(0.0, 2.0 * np.pi, 400), rng.integers(0, 2, 400)
    circle = (1.0 + ring)[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
    plane = np.linalg.qr(rng.normal(size=(20, 2)))[0]
    data = circle @ plane.T + 0.05 * rng.normal(size=(400, 20))
    model = train(torch.tensor(data, dtype=torch.float32), torch.tensor(ring))

    # The loader compares with the module's own forward pass before it returns.
    network = from_torch(model, name="two rings")
    cells = enumerate_cells(network, Slice.pca(data, half_width=3.0))
    print(f"{cells.n_cells} cells on the plane of the first two principal axes ({cells.status.name})")
    some = [*np.flatnonzero(ring == 0)[:3], *np.flatnonzero(ring == 1)[:3]]
    save_figure(plot_cells(cells, "class", points=data[some]), "two_rings.png")
    print("wrote two_rings.png: the cells by predicted class, six data points, the decision boundary")


if __name__ == "__main__":
    main()
