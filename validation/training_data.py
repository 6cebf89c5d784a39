"""The data sets that networks are trained on in the experiments; training is left to `training_runs`.

Drawn from `case_rng` by name and seed. The digits need scikit-learn.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from validation.framework import case_rng

__all__ = [
    "CLUSTERS",
    "CLUSTERS_TRAINED_ON",
    "CLUSTER_INPUTS",
    "DIGITS_TRAINED_ON",
    "SPREAD",
    "DataSet",
    "make_data",
]

FloatArray = NDArray[np.float64]

CLUSTERS, CLUSTER_INPUTS, CLUSTERS_TRAINED_ON = 10, 100, 500
# of each coordinate; the centres have norm 3, the noise one of about 5
SPREAD = 0.5
_RADIUS = 3.0
DIGITS_TRAINED_ON = 1000
_LARGEST_PIXEL = 16.0


@dataclass(frozen=True)
class DataSet:
    """Points and what they are to be mapped to.

    Parameters
    ----------
    name : str
    train_x, test_x : (N, d) float64
    train_y, test_y : (N,) int64 classes, or (N, 1) float64 values
    centers : (k, d) float64, of the Gaussian clusters that the points were drawn from; None if they were not
    spread : float, standard deviation of these clusters; 0 if there are none
    """

    name: str
    train_x: FloatArray
    train_y: NDArray[np.generic]
    test_x: FloatArray
    test_y: NDArray[np.generic]
    centers: FloatArray | None = None
    spread: float = 0.0

    @property
    def is_classified(self) -> bool:
        """Whether the targets are classes."""
        return self.train_y.ndim == 1

    @property
    def outputs(self) -> int:
        """How many outputs a network for it has."""
        return int(self.train_y.max()) + 1 if self.is_classified else self.train_y.shape[1]


@lru_cache(maxsize=16)
def make_data(name: str, seed: int) -> DataSet:
    """The data set of that name; the digits are split in the same way for every seed.

    Parameters
    ----------
    name : "clusters" (Gaussian clusters in many dimensions, a class each), "plane" (8 clusters of 4 classes
        in R^2), "digits" (8 x 8, scikit-learn) or "wave" (regression on [-1, 1]^2)
    seed : int
    """
    rng = case_rng("data", name, seed)
    match name:
        case "clusters":
            centers = _RADIUS * _directions(CLUSTERS, CLUSTER_INPUTS, rng)
            sizes = (CLUSTERS_TRAINED_ON, 4 * CLUSTERS_TRAINED_ON)
            return _clusters(name, centers, np.arange(CLUSTERS), SPREAD, sizes, rng)
        case "plane":
            angles = 2.0 * np.pi * (np.arange(8) + 0.3) / 8
            radii = np.where(np.arange(8) % 2, 0.75, 0.45)
            centers = radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
            return _clusters(name, centers, np.arange(8) % 4, 0.08, (400, 1000), rng)
        case "digits":
            return _digits()
        case "wave":
            x = rng.uniform(-1.0, 1.0, (1400, 2))
            y = np.sin(3.0 * x[:, :1]) * np.cos(4.0 * x[:, 1:])
            return DataSet(name, x[:400], y[:400], x[400:], y[400:])
        case _:
            raise ValueError(f"unknown data set {name!r}")


def _directions(count: int, dimension: int, rng: np.random.Generator) -> FloatArray:
    vectors = rng.standard_normal((count, dimension))
    unit: FloatArray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


def _clusters(
    name: str,
    centers: FloatArray,
    classes: NDArray[np.int64],
    spread: float,
    sizes: tuple[int, int],
    rng: np.random.Generator,
) -> DataSet:
    parts: list[NDArray[np.generic]] = []
    for size in sizes:
        cluster = rng.integers(len(centers), size=size)
        parts += [
            centers[cluster] + spread * rng.standard_normal((size, centers.shape[1])),
            classes[cluster].astype(np.int64),
        ]
    return DataSet(name, *parts, centers=centers, spread=spread)  # type: ignore[arg-type]


def _digits() -> DataSet:
    from sklearn.datasets import load_digits

    digits = load_digits()
    order = case_rng("digits split").permutation(len(digits.target))
    x, y = digits.data[order] / _LARGEST_PIXEL, digits.target[order].astype(np.int64)
    cut = DIGITS_TRAINED_ON
    return DataSet("digits", x[:cut], y[:cut], x[cut:], y[cut:])
