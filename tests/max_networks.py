"""Small networks with max units: random ones with ties of every kind, and max pooling."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from naive import NaiveComplex, naive_box
from naive_max import naive_max_complex

from regions.domain import Box
from regions.network.relu_network import Network


@dataclass(frozen=True)
class MaxCase:
    """A network as `naive_max_complex` takes it, on a box."""

    weights: list[Any]
    biases: list[Any]
    relu: list[bool]
    maxima: list[list[int] | None]
    slopes: list[Any]
    low: list[float]
    high: list[float]

    def network(self) -> Network:
        return Network.from_arrays(
            self.weights, self.biases, self.relu, slopes=self.slopes, maxima=self.maxima
        )

    def box(self) -> Box:
        return Box(self.low, self.high)

    def naive(self) -> NaiveComplex:
        return naive_max_complex(
            self.weights,
            self.biases,
            self.relu,
            self.maxima,
            naive_box(self.low, self.high),
            self.slopes,
        )


def random_max_case(seed: int, dimension: int | None = None) -> MaxCase:
    """Draw up to three layers, at least one with max units; small integers half of the time, so many ties."""
    rng = np.random.default_rng(seed)
    d = int(rng.integers(1, 4)) if dimension is None else dimension
    integers = bool(rng.random() < 0.6)
    depth = int(rng.integers(1, 4))
    maxed = rng.random(depth) < 0.6
    maxed[rng.integers(depth)] = True
    weights, biases, relu, maxima, slopes = [], [], [], [], []
    inputs = d
    for has_max in maxed:
        count = int(rng.integers(1, 4))
        sizes = rng.integers(1, 5 if d < 3 else 4, count) if has_max else np.ones(count, int)
        rows = int(sizes.sum())
        weight = rng.integers(-2, 3, (rows, inputs)) if integers else rng.normal(size=(rows, inputs))
        bias = rng.integers(-1, 2, rows) if integers else rng.normal(size=rows) * 0.5
        _tie(rng, weight, bias)
        weights.append(weight.astype(float))
        biases.append(bias.astype(float))
        relu.append(True)
        maxima.append(sizes.tolist() if has_max else None)
        slopes.append(_slopes(rng, sizes))
        inputs = count
    weights.append(rng.integers(-2, 3, (2, inputs)).astype(float))
    biases.append(np.zeros(2))
    box = ([-1.0] * d, [1.0] * d)
    return MaxCase(weights, biases, [*relu, False], [*maxima, None], [*slopes, None], *box)


def _tie(rng: np.random.Generator, weight: Any, bias: Any) -> None:
    """Make a row a copy, a multiple or zero now and then."""
    for _ in range(int(rng.integers(0, 3))):
        a, b = rng.integers(len(weight), size=2)
        kind = rng.integers(4)
        factor = (1, 2, -1, 0)[kind]
        weight[a], bias[a] = factor * weight[b], factor * bias[b]


def _slopes(rng: np.random.Generator, sizes: Any) -> Any:
    if rng.random() < 0.6:
        return None
    pairs = [
        rng.choice([(0.0, 1.0), (1.0, 1.0), (-1.0, 1.0), (0.25, 1.0)]) if k == 1 else (0.0, 1.0)
        for k in sizes
    ]
    return np.repeat(np.array(pairs), sizes, axis=0).T


def fractions_pattern(case: MaxCase, x: list[Fraction]) -> list[bool]:
    """The activation pattern of a point, in exact fractions."""
    pattern: list[bool] = []
    layers = zip(case.weights, case.biases, case.relu, case.maxima, case.slopes, strict=True)
    for weight, bias, relu, sizes, slopes in layers:
        z = [
            sum((Fraction(w) * v for w, v in zip(row, x, strict=True)), Fraction(offset))
            for row, offset in zip(weight.tolist(), bias.tolist(), strict=True)
        ]
        if not relu:
            continue
        x, at = [], 0
        for k in sizes or [1] * len(z):
            own = z[at : at + k]
            left, right = (0.0, 1.0) if slopes is None else slopes[:, at].tolist()
            if k > 1:
                winner = own.index(max(own))
                pattern += [place == winner for place in range(k)]
                x.append(own[winner])
            else:
                pattern.append(own[0] > 0 or left == right)
                x.append(own[0] * Fraction(right if own[0] > 0 else left))
            at += k
    return pattern


def pooling(inputs: int, window: int, stride: int) -> Network:
    """Max pooling of n inputs, a network of one layer."""
    starts = range(0, inputs - window + 1, stride)
    return _windows([[at + k for k in range(window)] for at in starts], inputs)


def pooling_2d(height: int, width: int) -> Network:
    """Max pooling of an image over windows of 2 x 2, stride 1."""
    places = np.arange(height * width).reshape(height, width)
    return _windows(
        [places[i : i + 2, j : j + 2].ravel() for i in range(height - 1) for j in range(width - 1)],
        height * width,
    )


def _windows(windows: list[Any], inputs: int) -> Network:
    rows = np.eye(inputs)[np.concatenate(windows)]
    return Network.from_arrays([rows], [np.zeros(len(rows))], maxima=[len(windows[0])])
