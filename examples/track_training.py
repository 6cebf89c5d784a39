"""What training does to the cells of a network: `python examples/track_training.py` (needs scikit-learn).

A small classifier of two half moons, trained by `partial_fit`; a PyTorch loop calls `tracker.step()` after
`optimizer.step()` in the same way.  Ctrl-C keeps what was recorded.
"""

from __future__ import annotations

import numpy as np

from regions import Box, Coarea, CroftonLines, Segment, log_steps, track
from regions.plotting import plot_history
from regions.validation.tracking import QUANTITIES


def moons(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Points of two interleaved half circles, with noise, and which of them they belong to."""
    angle, label = rng.uniform(0.0, np.pi, n), rng.integers(0, 2, n)
    arc = np.column_stack([np.cos(angle), np.sin(angle)])
    points = np.where(label[:, None] == 1, [1.0, 0.5] - arc, arc)
    return points + 0.15 * rng.normal(size=points.shape), label


def main() -> None:
    """Train, record, draw."""
    try:
        from sklearn.neural_network import MLPClassifier
    except ImportError:
        print("skipped: this example needs scikit-learn; pip install 'relu-regions[sklearn]'")
        return
    points, labels = moons(400, np.random.default_rng(0))
    model = MLPClassifier((16, 16), learning_rate_init=0.02, batch_size=100, random_state=0)
    box = Box([-1.5, -1.0], [2.5, 1.5])
    # the straight way from the middle of one moon to that of the other
    across = Segment([0.0, 1.0], [1.0, -0.5])
    tracker = track(
        model,
        {"box": box, "across": across},
        every=log_steps(300, 16),
        rng=np.random.default_rng(1),
        records=QUANTITIES,
        estimators=[Coarea(0.05), CroftonLines(0.05)],
    )
    try:
        for _ in range(300):
            model.partial_fit(points, labels, classes=[0, 1])
            tracker.step(loss=model.loss_, accuracy=model.score(points, labels))
    except KeyboardInterrupt:
        print("stopped; what was recorded is kept")
    history = tracker.history
    print(history.table())
    steps, cells, _ = history.series("cells", "box")
    print(f"\nfrom {cells[0]:.0f} cells after step {steps[0]} to {cells[-1]:.0f} after step {steps[-1]}")
    history.save("training.json")
    plot_history(history, path="training.png")
    print("wrote training.json and training.png")


if __name__ == "__main__":
    main()
