"""Train the digits classifier that ships with the package, and store it with a few test images.

Run `python validation/train_digits.py`; it writes regions/data/digits_64x32x32.npz and prints the
accuracy on the images that training did not see.  Needs scikit-learn, whose bundled 8 x 8 digits
it uses; everything is seeded, but another version of scikit-learn may give other weights.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import sklearn
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

SEED = 0
LARGEST_PIXEL = 16.0
IMAGES_PER_CLASS = 2
TARGET = Path(__file__).parents[1] / "regions" / "data" / "digits_64x32x32.npz"


def main() -> None:
    """Train, print the accuracy, store."""
    digits = load_digits()
    images, labels = digits.data / LARGEST_PIXEL, digits.target
    train_x, test_x, train_y, test_y = train_test_split(
        images, labels, test_size=0.25, random_state=SEED, stratify=labels
    )
    model = MLPClassifier(hidden_layer_sizes=(32, 32), alpha=1e-3, max_iter=2000, random_state=SEED)
    model.fit(train_x, train_y)
    predicted = model.predict(test_x)
    accuracy = float(np.mean(predicted == test_y))

    # Images of the test set that the model gets right, a few of every class.
    chosen = [
        int(i)
        for label in range(10)
        for i in np.flatnonzero((test_y == label) & (predicted == label))[:IMAGES_PER_CLASS]
    ]
    arrays: dict[str, np.ndarray] = {}
    for layer, (weight, bias) in enumerate(zip(model.coefs_, model.intercepts_, strict=True)):
        arrays[f"W{layer}"] = np.ascontiguousarray(weight.T)
        arrays[f"b{layer}"] = bias
    note = f"scikit-learn {sklearn.__version__}, seed {SEED}"
    np.savez_compressed(
        TARGET,
        **arrays,
        name=np.array("digits_64x32x32"),
        images=test_x[chosen],
        labels=test_y[chosen],
        test_accuracy=np.array(accuracy),
        test_images=np.array(len(test_y)),
        trained_with=np.array(note),
    )
    print(f"test accuracy {accuracy:.4f} on {len(test_y)} images ({note}, {model.n_iter_} epochs)")
    print(f"train accuracy {model.score(train_x, train_y):.4f} on {len(train_y)} images")
    print(f"wrote {TARGET} ({TARGET.stat().st_size} bytes)")


if __name__ == "__main__":
    main()
