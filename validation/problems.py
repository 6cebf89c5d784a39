"""The networks, domains and densities of the experiments, by short specifications that travel to processes.

Everything is seeded by the specification itself (`framework.case_rng`), so a name is a network.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import regions
from regions import (
    Box,
    GaussianDensity,
    GaussianMixtureDensity,
    Network,
    Slice,
    UniformBallDensity,
    UniformDensity,
    from_sklearn,
)
from regions.density import Density
from regions.domain import Domain
from validation.framework import case_rng

__all__ = [
    "NetworkSpec",
    "cube",
    "density_on",
    "digits_images",
    "digits_slice",
    "random_network",
    "training_images",
]

FloatArray = NDArray[np.float64]

_DIGITS = Path(regions.__file__).parent / "data" / "digits_64x32x32.npz"
_TRAINING_POINTS = 400
_EPOCHS = 60
# far below the standard errors that anything here is compared at
_CUBATURE_RTOL = 1e-6


@dataclass(frozen=True)
class NetworkSpec:
    """A network by name: random, trained, or the digits classifier that ships with the package.

    Parameters
    ----------
    family : "he" (normal weights of variance 2 / fan-in, biases N(0, 0.5^2)), "torch" (uniform weights
        and biases, +-1 / sqrt(fan-in)), "trained" (a scikit-learn regressor), "classifier" (of digits,
        trained by scikit-learn on 8 x 8 images or on these enlarged to 28 x 28), "digits" (the shipped one)
    input_dim, width, depth : int, depth counts ReLU layers
    scale : float, factor on the initial weights and biases ("he", "torch")
    index : int, which of many; for "digits", which plane
    """

    family: str
    input_dim: int
    width: int
    depth: int
    scale: float = 1.0
    index: int = 0

    @property
    def name(self) -> str:
        """One word for tables."""
        if self.family == "digits":
            return f"digits 64-32-32-10 plane {self.index}"
        if self.family == "classifier":
            return f"classifier {self.input_dim}-{self.width}x{self.depth}-10"
        scale = "" if self.scale == 1.0 else f" x{self.scale:g}"
        return f"{self.family}{scale} {self.input_dim}-{self.width}x{self.depth}-1 #{self.index}"

    @property
    def dimension(self) -> int:
        """Of its domain."""
        return 2 if self.family == "digits" else self.input_dim

    @property
    def trained(self) -> bool:
        """Whether it is more than an initialisation."""
        return self.family in ("trained", "classifier", "digits")

    def build(self) -> Network:
        """The network; trained ones are trained once per process."""
        return _build(self)

    def domain(self) -> Domain:
        """The cube [-1, 1]^d; for digits the plane through the images that `index` picks."""
        return digits_slice(self.index) if self.family == "digits" else cube(self.input_dim)


@lru_cache(maxsize=64)
def _build(spec: NetworkSpec) -> Network:
    widths = [spec.input_dim, *[spec.width] * spec.depth, 1]
    match spec.family:
        case "he" | "torch":
            return random_network(
                widths, case_rng("network", spec.name), family=spec.family, scale=spec.scale
            )
        case "trained":
            return _trained(spec)
        case "classifier":
            return _classifier(spec)
        case "digits":
            return Network.load(_DIGITS)
        case _:
            raise ValueError(f"unknown family {spec.family!r}")


def random_network(
    widths: list[int], rng: np.random.Generator, *, family: str = "he", scale: float = 1.0
) -> Network:
    """A network at initialisation; widths from inputs to outputs, ReLU between all layers."""
    weights, biases = [], []
    for fan_in, fan_out in pairwise(widths):
        if family == "he":
            weights.append(scale * math.sqrt(2.0 / fan_in) * rng.standard_normal((fan_out, fan_in)))
            biases.append(scale * 0.5 * rng.standard_normal(fan_out))
        else:
            bound = scale / math.sqrt(fan_in)
            weights.append(rng.uniform(-bound, bound, (fan_out, fan_in)))
            biases.append(rng.uniform(-bound, bound, fan_out))
    return Network.from_arrays(weights, biases)


def _trained(spec: NetworkSpec) -> Network:
    """Fitted to a wavy function on [-1, 1]^d by L-BFGS, which bends the network where the function does."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPRegressor

    rng = case_rng("training data", spec.name)
    x = rng.uniform(-1.0, 1.0, (_TRAINING_POINTS, spec.input_dim))
    wave = rng.standard_normal((spec.input_dim, 2)) * 3.0 / math.sqrt(spec.input_dim)
    y = np.sin(x @ wave).sum(axis=1)
    model = MLPRegressor(
        hidden_layer_sizes=(spec.width,) * spec.depth,
        solver="lbfgs",
        max_iter=300,
        random_state=spec.index,
    )
    with warnings.catch_warnings():
        # stopped after a fixed number of steps, so that every machine stops at the same one
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(x, y)
    return from_sklearn(model, name=spec.name)


@lru_cache(maxsize=4)
def training_images(inputs: int) -> tuple[FloatArray, NDArray[np.int64]]:
    """scikit-learn's digits in [0, 1], `(1797, inputs)` with 64 or 784 inputs, and their labels."""
    from scipy.ndimage import zoom
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = digits.data / digits.data.max()
    if inputs != images.shape[1]:
        factor = math.isqrt(inputs) / math.isqrt(images.shape[1])
        squares = images.reshape(len(images), 8, 8)
        large = zoom(squares, (1, factor, factor), order=1, grid_mode=True, mode="nearest")
        images = large.reshape(len(images), inputs)
    return images, digits.target


def _classifier(spec: NetworkSpec) -> Network:
    """Trained by Adam for a fixed number of epochs on the first three quarters of the digits."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    images, labels = training_images(spec.input_dim)
    part = 3 * len(images) // 4
    model = MLPClassifier(
        hidden_layer_sizes=(spec.width,) * spec.depth,
        alpha=1e-3,
        max_iter=_EPOCHS,
        random_state=spec.index,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(images[:part], labels[:part])
    return from_sklearn(model, name=spec.name)


def cube(dimension: int, half_width: float = 1.0) -> Box:
    """The box [-h, h]^d."""
    return Box(np.full(dimension, -half_width), np.full(dimension, half_width))


def digits_images() -> tuple[FloatArray, NDArray[np.int64]]:
    """Test images `(20, 64)` of the shipped digits classifier, two of each class, and their labels."""
    with np.load(_DIGITS) as stored:
        return stored["images"], stored["labels"]


def digits_slice(index: int) -> Slice:
    """The plane through three images of the shipped digits classifier that `index` picks."""
    images, _ = digits_images()
    chosen = case_rng("digits slice", index).choice(len(images), 3, replace=False)
    return Slice.through(*images[chosen], margin=0.2)


def density_on(kind: str, domain: Domain) -> Density:
    """A density on a domain of half widths h around c.

    "uniform" on the domain; "gaussian" N(c + 0.2 h, (h/2)^2); "mixture" of three narrower ones, of different
    weights; "ball" uniform on a ball off centre that reaches beyond the domain.
    """
    low, high = domain.vertices.min(axis=0), domain.vertices.max(axis=0)
    centre, half = (low + high) / 2, (high - low) / 2
    match kind:
        case "uniform":
            return UniformDensity(domain)
        case "gaussian":
            return GaussianDensity(centre + 0.2 * half, (0.5 * half) ** 2, rtol=_CUBATURE_RTOL)
        case "mixture":
            means = centre + np.array([[-0.5], [0.1], [0.6]]) * half
            cov = np.diag((0.25 * half) ** 2)
            return GaussianMixtureDensity([0.5, 0.3, 0.2], means, cov, rtol=_CUBATURE_RTOL)
        case "ball":
            return UniformBallDensity(centre + 0.4 * half, 0.8 * float(half.min()), rtol=_CUBATURE_RTOL)
        case _:
            raise ValueError(f"unknown density {kind!r}")
