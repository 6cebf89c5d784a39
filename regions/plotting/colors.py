"""Colours of cells: of a pattern, of a number, of a class, of a layer.

Numbers in, RGBA out; which colours go where on a page is decided in `cells`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib
import numpy as np
from matplotlib.colors import LogNorm, Normalize, to_rgb
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import eigh

from regions.network.patterns import unpack

if TYPE_CHECKING:
    from regions.complexes import CellComplex

Floats = NDArray[np.float64]
Bytes = NDArray[np.uint8]

# Okabe-Ito, ordered so that the first few differ most, with grey, violet and brown.
_QUALITATIVE = (
    "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9",
    "#D55E00", "#F0E442", "#8C8C8C", "#6B4C9A", "#8B5E3C",
)  # fmt: skip

# OKLab to linear sRGB: B. Ottosson, "A perceptual color space for image processing" (2020).
_LAB_TO_LMS = np.array(
    [[1.0, 0.3963377774, 0.2158037573],
     [1.0, -0.1055613458, -0.0638541728],
     [1.0, -0.0894841775, -1.2914855480]]
)  # fmt: skip
_LMS_TO_RGB = np.array(
    [[4.0767416621, -3.3077115913, 0.2309699292],
     [-1.2684380046, 2.6097574011, -0.3413193965],
     [-0.0041960863, -0.7034186147, 1.7076147010]]
)  # fmt: skip

_SAMPLE = 4096
_DECADE = 20.0


def class_palette(n: int) -> Floats:
    """RGB of n classes, safe for colour-blind readers up to ten.

    Parameters
    ----------
    n : number of classes

    Returns
    -------
    (n, 3) float64 in [0, 1]

    Examples
    --------
    >>> class_palette(3).shape
    (3, 3)
    """
    if n <= len(_QUALITATIVE):
        return np.array([to_rgb(color) for color in _QUALITATIVE[:n]])
    hue = 2.0 * np.pi * np.arange(n) / n
    lightness = np.where(np.arange(n) % 2 == 0, 0.72, 0.58)
    return oklab_to_rgb(np.stack([lightness, 0.13 * np.cos(hue), 0.13 * np.sin(hue)], axis=1))


def layer_palette(n: int) -> Floats:
    """RGB of n layers, dark to light, none too pale for a thin line on white.

    Parameters
    ----------
    n : number of layers

    Returns
    -------
    (n, 3) float64 in [0, 1]

    Examples
    --------
    >>> layer_palette(2).shape
    (2, 3)
    """
    if n <= 3:
        return np.array([to_rgb(color) for color in ("#35618f", "#d1495b", "#e8a33d")[:n]])
    return np.asarray(matplotlib.colormaps["plasma"](np.linspace(0.0, 0.85, n)))[:, :3]


def pattern_colors(complex: CellComplex) -> Floats:
    """RGB of the cells by activation pattern: similar patterns get similar colours.

    The first two principal components of the patterns, each spread evenly by rank, are hue
    and chroma in OKLab, the third is lightness; a small jitter from the pattern's bytes keeps
    neighbours apart.

    Parameters
    ----------
    complex : CellComplex with n cells

    Returns
    -------
    (n, 3) float64 in [0, 1]

    Examples
    --------
    >>> from regions import Box, Network, enumerate_cells
    >>> line = Network.from_arrays([[[1.0]], [[1.0]]], [[0.0], [0.0]])
    >>> pattern_colors(enumerate_cells(line, Box([-1.0], [3.0]))).shape
    (2, 3)
    """
    n, n_units = complex.n_cells, complex.network.n_units
    patterns = np.ascontiguousarray(complex.patterns)
    axes = np.zeros((n, 3))
    step = max(1, n // _SAMPLE)
    sample = _signs(patterns[::step], n_units)
    if n_units and len(sample) > 1:
        center = sample.mean(axis=0)
        spread = (sample - center).T @ (sample - center)
        top = max(n_units - 3, 0)
        _, components = eigh(spread, subset_by_index=[top, n_units - 1])
        components = components[:, ::-1] * np.where(components[:, ::-1].sum(axis=0) < 0.0, -1.0, 1.0)
        for start in range(0, n, 65536):
            rows = _signs(patterns[start : start + 65536], n_units)
            axes[start : start + len(rows), : components.shape[1]] = rows @ components
    even = np.stack([_even(axes[:, k]) for k in range(3)], axis=1)
    jitter = pattern_hash(patterns) - 0.5
    lab = np.empty((n, 3))
    lab[:, 0] = 0.76 + 0.16 * (even[:, 2] - 0.5) + 0.07 * jitter
    lab[:, 1] = 0.24 * (even[:, 0] - 0.5)
    lab[:, 2] = 0.24 * (even[:, 1] - 0.5)
    return oklab_to_rgb(lab)


def pattern_hash(patterns: Bytes) -> Floats:
    """A number in [0, 1) from each row of bytes, the same on every machine.

    Parameters
    ----------
    patterns : (n, k) uint8

    Returns
    -------
    (n,) float64

    Examples
    --------
    >>> bool(np.ptp(pattern_hash(np.array([[1, 2], [2, 1]], dtype=np.uint8))) > 0)
    True
    """
    state = np.full(patterns.shape[0], 0xCBF29CE484222325, dtype=np.uint64)
    for column in patterns.T:
        state = (state ^ column) * np.uint64(0x100000001B3)
    state ^= state >> np.uint64(31)
    state *= np.uint64(0x9E3779B97F4A7C15)
    return (state >> np.uint64(11)).astype(np.float64) * 2.0**-53


def value_colors(values: ArrayLike, cmap: str) -> tuple[Floats, Normalize]:
    """RGB of positive numbers, and the scale: logarithmic if they span more than a decade or so.

    Parameters
    ----------
    values : (n,) nonnegative numbers; on a logarithmic scale zeros take the colour of its low end
    cmap : name of a matplotlib colour map

    Returns
    -------
    colors : (n, 3) float64
    scale : matplotlib Normalize

    Examples
    --------
    >>> _, scale = value_colors([0.01, 1.0], "viridis")
    >>> type(scale).__name__, scale.vmin, scale.vmax
    ('LogNorm', 0.01, 1.0)
    """
    numbers = np.asarray(values, dtype=np.float64)
    positive = numbers[numbers > 0.0]
    low, high = (float(positive.min()), float(positive.max())) if positive.size else (0.5, 2.0)
    # Slivers of no area would take most of the scale, so it starts at the smallest percent.
    if positive.size > 100:
        low = min(float(np.quantile(positive, 0.01)), high)
    if high <= low * (1.0 + 1e-9):
        low, high = 0.5 * low, 1.5 * high
    scale: Normalize = LogNorm(low, high) if high > _DECADE * low else Normalize(low, high)
    shares = np.asarray(scale(np.clip(numbers, low, high)))
    return np.asarray(matplotlib.colormaps[cmap](shares))[:, :3], scale


def tint(colors: Floats, amount: ArrayLike) -> Floats:
    """Mix colours with white: 0 leaves them, 1 is white.

    Examples
    --------
    >>> tint(np.zeros((1, 3)), 0.25)
    array([[0.25, 0.25, 0.25]])
    """
    share = np.asarray(amount, dtype=np.float64)
    share = share[:, None] if share.ndim else share
    return colors + (1.0 - colors) * share


def oklab_to_rgb(lab: Floats) -> Floats:
    """OKLab to gamma-encoded sRGB, clipped to the displayable range.

    Examples
    --------
    >>> oklab_to_rgb(np.array([[1.0, 0.0, 0.0]])).round(3)
    array([[1., 1., 1.]])
    """
    linear = np.clip((lab @ _LAB_TO_LMS.T) ** 3 @ _LMS_TO_RGB.T, 0.0, 1.0)
    low = linear <= 0.0031308
    return np.where(low, 12.92 * linear, 1.055 * np.maximum(linear, 1e-12) ** (1 / 2.4) - 0.055)


def _signs(patterns: Bytes, n_units: int) -> NDArray[np.float32]:
    return unpack(patterns, n_units).astype(np.float32)


def _even(values: Floats) -> Floats:
    """Ranks spread over [0, 1]; equal values keep one rank."""
    unique, inverse = np.unique(values.round(9), return_inverse=True)
    return inverse / max(unique.size - 1, 1)
