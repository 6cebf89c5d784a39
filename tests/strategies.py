"""Small networks to test with: random ones (hypothesis, and how many), degenerate ones, closed forms."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from hypothesis import settings
from hypothesis import strategies as st

FloatArray = npt.NDArray[np.float64]
SQRT_2 = float(np.sqrt(2.0))  # the usual gain before ReLU: sizes stay as they are from layer to layer


PLAIN_PYTHON = os.environ.get("NUMBA_DISABLE_JIT") == "1"


def examples(compiled: int, plain: int | None = None) -> settings:
    """Ask for so many examples of a law, or for `plain` where kernels run as plain Python.

    `--all --times 2` takes as many, `--all` half of them, the short run six in a hundred, but at least four.
    """
    wanted = plain if PLAIN_PYTHON and plain is not None else compiled
    return settings(max_examples=max(min(wanted, 4), wanted * settings.default.max_examples // 100))


class Case(NamedTuple):
    """A network as arrays and a box to enumerate it on."""

    weights: list[FloatArray]
    biases: list[FloatArray]
    relu: list[bool]
    low: list[float]
    high: list[float]
    slopes: list[FloatArray | None] | None = None

    @property
    def dimension(self) -> int:
        return len(self.low)


_INTEGERS = st.sampled_from([-2.0, -1.0, -1.0, 0.0, 1.0, 1.0, 2.0])
_QUARTERS = st.sampled_from([k / 4 for k in range(-6, 7)])
_OFFSETS = st.sampled_from([-1.0, -0.5, -0.25, 0.0, 0.0, 0.25, 0.5, 1.0])
_BOUNDS = st.sampled_from([(-1.0, 1.0), (-1.0, 1.0), (-1.0, 2.0), (0.0, 1.0), (-0.5, 0.25), (-3.0, 3.0)])


@st.composite
def _rows(draw: st.DrawFn, width: int, fan_in: int, entries: st.SearchStrategy[float]) -> FloatArray:
    """Rows of one layer: new ones, zero ones, and multiples (1, -1, 2, -1/2) of earlier ones."""
    rows: list[list[float]] = []
    for _ in range(width):
        kind = draw(st.sampled_from(["new"] * 9 + ["multiple"] * 2 + ["zero"]))
        if kind == "multiple" and rows:
            factor = draw(st.sampled_from([1.0, -1.0, 2.0, -0.5]))
            rows.append([factor * x for x in draw(st.sampled_from(rows))])
        elif kind == "zero":
            rows.append([0.0] * fan_in)
        else:
            rows.append(draw(st.lists(entries, min_size=fan_in, max_size=fan_in)))
    return np.array(rows) + 0.0


@st.composite
def _widths(draw: st.DrawFn, max_layers: int, max_width: int) -> tuple[int, ...]:
    choices = [w for w in range(1, max_width + 1) for _ in range(w * w)]  # wide ones more often
    count = draw(st.sampled_from(range(1, max_layers + 1)))
    return tuple(draw(st.sampled_from(choices)) for _ in range(count))


@st.composite
def rational_networks(
    draw: st.DrawFn, max_dimension: int = 3, max_layers: int = 3, max_width: int = 4
) -> Case:
    """Small integer or quarter-grid weights: repeated, opposite, parallel, zero, dead units.

    Some have no bias at all, so that every first-layer hyperplane goes through one point;
    some have an affine layer without ReLU in between; boxes have corners on the grid too.

    Examples
    --------
    >>> case = rational_networks().example()  # doctest: +SKIP
    """
    d = draw(st.sampled_from([d for d in range(1, max_dimension + 1) for _ in range(d)]))
    entries = draw(st.sampled_from([_INTEGERS, _QUARTERS]))
    offsets = draw(st.sampled_from([st.just(0.0), _OFFSETS, _OFFSETS]))
    sizes = [*draw(_widths(max_layers, max_width)), draw(st.integers(1, 2))]
    weights, biases, relu = [], [], []
    fan_in = d
    for layer, width in enumerate(sizes):
        weights.append(draw(_rows(width, fan_in, entries)))
        bias = draw(st.lists(offsets, min_size=width, max_size=width))
        if draw(st.sampled_from([True] + [False] * 11)):
            bias[0] = draw(st.sampled_from([-64.0, 64.0]))  # dead or always active
        biases.append(np.array(bias))
        last = layer == len(sizes) - 1
        relu.append(not last and (layer == 0 or draw(st.sampled_from([True] * 7 + [False]))))
        fan_in = width
    bounds = draw(st.lists(_BOUNDS, min_size=d, max_size=d))
    return Case(weights, biases, relu, [b[0] for b in bounds], [b[1] for b in bounds])


_SLOPES = st.sampled_from([0.0, 0.0, 1.0, 1.0, -1.0, 0.5, 0.1, -0.3, 2.0])


@st.composite
def sloped(draw: st.DrawFn, networks: st.SearchStrategy[Case]) -> Case:
    """A case whose units have slopes of their own: leaky, falling, absolute values, dead and linear ones.

    The last layer may be one of units too.
    """
    case = draw(networks)
    relu = [*case.relu[:-1], draw(st.sampled_from([True] + [False] * 5))]
    slopes: list[FloatArray | None] = []
    for bias, units in zip(case.biases, relu, strict=True):
        if not units or draw(st.sampled_from([True] + [False] * 4)):
            slopes.append(None)
            continue
        pairs = [[draw(_SLOPES) for _ in bias] for _ in range(2)]
        linear = [draw(st.sampled_from([True] + [False] * 4)) for _ in bias]
        slopes.append(np.where(linear, pairs[0], pairs))
    return case._replace(relu=relu, slopes=slopes)


@st.composite
def float_networks(draw: st.DrawFn, max_dimension: int = 3, max_layers: int = 3, max_width: int = 4) -> Case:
    """Normally distributed weights: generic with probability one."""
    d = draw(st.sampled_from([d for d in range(1, max_dimension + 1) for _ in range(d)]))
    widths = draw(_widths(max_layers, max_width))
    return random_case(d, widths, draw(st.integers(0, 2**32 - 1)))


def random_arrays(
    rng: np.random.Generator, widths: Sequence[int], gain: float, bias_scale: float
) -> tuple[list[FloatArray], list[FloatArray]]:
    """Normal weights with standard deviation gain / sqrt(inputs of the layer), and normal biases."""
    weights = [gain * rng.normal(size=(n, m)) / np.sqrt(m) for m, n in pairwise(widths)]
    return weights, [bias_scale * rng.normal(size=n) for n in widths[1:]]


def random_case(dimension: int, widths: tuple[int, ...], seed: int, outputs: int = 2) -> Case:
    """A network with normal weights on [-1, 1]^d, the same for the same seed.

    Examples
    --------
    >>> [w.shape for w in random_case(2, (4, 3), seed=0).weights]
    [(4, 2), (3, 4), (2, 3)]
    """
    weights, biases = random_arrays(np.random.default_rng(seed), [dimension, *widths, outputs], 1.0, 0.4)
    relu = [True] * len(widths) + [False]
    return Case(weights, biases, relu, [-1.0] * dimension, [1.0] * dimension)


def chain(*layers: tuple[Any, Any]) -> tuple[list[FloatArray], list[FloatArray], list[bool]]:
    """(weights, biases, relu) of layers (W, b), with a ReLU after all but the last."""
    weights = [np.array(W, dtype=np.float64) for W, _ in layers]
    biases = [np.array(b, dtype=np.float64) for _, b in layers]
    return weights, biases, [True] * (len(layers) - 1) + [False]


def sawtooth(layers: int) -> tuple[list[FloatArray], list[FloatArray], list[bool]]:
    """2 relu(x) - 4 relu(x - 1/2), iterated: 2^layers cells on [0, 1]."""
    first = ([[1], [1]], [0, -0.5])
    again = ([[2, -4], [2, -4]], [0, -0.5])
    return chain(first, *[again] * (layers - 1), ([[2, -4]], [0]))


# Normals and offsets of four lines n.x = c: all crossings inside the unit square and
# different, or all in its centre, two of them its diagonals.
CROSSING_LINES = ([[1, 0], [0, 1], [1, 1], [1, -1]], [0.5, 0.5, 1.125, 0.0625])
CONCURRENT_LINES = ([[1, 0], [0, 1], [1, 1], [1, -1]], [0.5, 0.5, 1.0, 0.0])


def folding(
    p: int, folds: int, lines: tuple[Any, Any]
) -> tuple[list[FloatArray], list[FloatArray], list[bool]]:
    """Both coordinates folded p to one, `folds` times, then lines in the unit square."""
    zigzag = [1.0 if k == 0 else 2.0 * (-1) ** k for k in range(p)]
    knots = np.tile(-np.arange(float(p)), 2)
    merge = np.kron(np.eye(2), [zigzag])
    first = p * np.kron(np.eye(2), np.ones((p, 1)))
    normals = np.array(lines[0], dtype=np.float64)
    layers = [(first, knots)] + [(first @ merge, knots)] * (folds - 1)
    last = (normals @ merge, -np.array(lines[1]))
    return chain(*layers, last, (np.ones((1, len(normals))), [0.0]))


@st.composite
def nearly_parallel_networks(
    draw: st.DrawFn, max_dimension: int = 3, max_layers: int = 3, max_width: int = 5
) -> Case:
    """Rows that are rounded multiples (1/3, 0.7, 1.1, ...) of earlier ones, some a last place off.

    Their hyperplanes are the same but for rounding, so that cells are some 1e-17 wide and many
    vertices can be told apart by exact arithmetic only.
    """
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    d = draw(st.integers(1, max_dimension))
    hidden = draw(st.integers(1, max_layers))
    width = max_width if d < 3 else max_width - 1
    sizes = [d, *(draw(st.integers(1, width)) for _ in range(hidden)), draw(st.integers(1, 2))]
    central = draw(st.sampled_from([True, False, False]))
    weights, biases = [], []
    for m, n in pairwise(sizes):
        whole = draw(st.booleans())
        weight = (
            rng.choice([-2.0, -1.0, 0.0, 1.0, 1.0, 2.0], size=(n, m)) if whole else rng.normal(size=(n, m))
        )
        bias = np.zeros(n) if central else rng.choice([-1.0, -0.5, 0.0, 0.1, 0.3, 0.5, 1.0], size=n)
        for k in range(1, n):
            if rng.random() < 0.4:
                j = int(rng.integers(0, k))
                factor = float(rng.choice([1.0, -1.0, 1 / 3, -1 / 3, 0.7, 1.1, -2.0, 3.0, 0.1]))
                weight[k], bias[k] = weight[j] * factor, bias[j] * factor
                if rng.random() < 0.15:
                    bias[k] = np.nextafter(bias[k], 9.0)
        weights.append(weight)
        biases.append(bias)
    low, high = draw(st.sampled_from([-3.0, -1.0, -0.5, 0.0])), draw(st.sampled_from([0.3, 1.0, 2.0]))
    return Case(weights, biases, [True] * hidden + [False], [low] * d, [high] * d)


def concurrent_fan(lines: int) -> Case:
    """Lines through (1/3, 1/7), which no float can say: they meet there only up to rounding."""
    angles = np.pi * (np.arange(lines) + 0.3) / lines
    normals = np.column_stack([np.cos(angles), np.sin(angles)])
    offsets = -(normals[:, 0] / 3 + normals[:, 1] / 7)
    weights = [normals, np.ones((1, lines))]
    return Case(weights, [offsets, np.zeros(1)], [True, False], [-1.0] * 2, [1.0] * 2)
