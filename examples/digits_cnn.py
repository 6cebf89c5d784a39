"""A convolutional network on a plane through three images: `python examples/digits_cnn.py`.

Trains on scikit-learn's digits for some seconds, counts and draws the cells of the plane with the exact
decision boundary, and judges the estimator of local complexity there. Needs torch and scikit-learn; without
them it says so.
"""

from __future__ import annotations

import sys
from time import perf_counter
from typing import Any

import numpy as np

from regions import Slice, UniformDensity, enumerate_cells, from_torch, local_complexity, validate
from regions.plotting import class_pieces, plot_cells, save_figure


def make_model(nn: Any, channels: int = 4) -> Any:
    """Three times convolution, batch normalisation, ReLU and average pooling, with a skip connection."""

    def block(before: int, after: int) -> list[Any]:
        return [nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU()]

    class Residual(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Sequential(*block(channels, channels), *block(channels, channels)[:2])
            self.relu = nn.ReLU()

        def forward(self, x: Any) -> Any:
            return self.relu(x + self.inner(x))

    return nn.Sequential(
        *block(1, channels),
        nn.AvgPool2d(2),
        Residual(),
        nn.AvgPool2d(2),
        *block(channels, 2 * channels),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(2 * channels, 10),
    )


def train(torch: Any, images: Any, labels: Any) -> Any:
    """Train for ten rounds."""
    torch.manual_seed(0)
    model = make_model(torch.nn)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(10):
        for batch in torch.randperm(len(images)).split(64):
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(model(images[batch]), labels[batch]).backward()
            optimiser.step()
    return model.eval()


def main() -> None:
    """Train, take the plane of a zero, a one and a two, count, draw, judge."""
    try:
        import torch
        from sklearn.datasets import load_digits
    except ImportError as error:
        print(f"this example needs torch and scikit-learn: {error}")
        sys.exit(0)
    digits = load_digits()
    images = torch.tensor(digits.images[:, None] / 16.0, dtype=torch.float32)
    model = train(torch, images, torch.tensor(digits.target))
    with torch.no_grad():
        right = (model(images).argmax(1).numpy() == digits.target).mean()
    network = from_torch(model, name="digits", example_input=images[:1])
    print(f"{network.describe()}; {right:.1%} of the digits are recognised")

    three = digits.images[[0, 1, 2]].reshape(3, -1) / 16.0
    plane = Slice.through(*three)
    start = perf_counter()
    cells = enumerate_cells(network, plane)
    pieces = class_pieces(cells)
    length = float(np.linalg.norm(np.diff(pieces.boundary, axis=1), axis=2).sum())
    print(
        f"{cells.n_cells} cells ({cells.status.name}): {cells.certificate.statement}; "
        f"decision boundary of length {length:.4f}, {perf_counter() - start:.1f} s"
    )
    save_figure(plot_cells(cells, "class", points=three, point_labels=["0", "1", "2"]), "digits_cnn.png")
    print("wrote digits_cnn.png")

    # local complexity in a small square around the zero, by the estimator and exactly
    square = Slice.around(three[0], (three[1] - three[0], three[2] - three[0]), half_width=0.25)
    report = validate(
        local_complexity,
        network,
        square,
        UniformDensity(square),
        rng=np.random.default_rng(0),
        sigma=0.05,
        n_samples=4000,
        n_bias=12,
    )
    print(report.table())


if __name__ == "__main__":
    main()
