"""Colours of cells: of a pattern, of a number, of a class, of a layer.

Numbers in, RGBA out; which colours go where on a page is decided in `cell_pictures`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import matplotlib
import numpy as np
from matplotlib.colors import LogNorm, Normalize, to_rgb
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import eigh

from regions.network.patterns import unpack

Floats = NDArray[np.float64]
Bytes = NDArray[np.uint8]

# Okabe-Ito, ordered so that the first few differ most, with grey, violet and brown.
_QUALITATIVE = (
    "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9",
    "#D55E00", "#F0E442", "#8C8C8C", "#6B4C9A", "#8B5E3C",
)  # fmt: skip

# Areas: made pale, 0.1 apart in OKLab, also for deuteranopes and protanopes; black lines show on all.
_FILLS = (
    "#6794FF", "#E6BF99", "#D678A0", "#A0A809", "#B7FCFF",
    "#5C57C6", "#FBF663", "#A86100", "#A83974", "#01D2FC",
)  # fmt: skip

# Lines of up to three layers: from dark to light, 0.22 apart in OKLab for each of these readers.
_LAYERS = ("#16386B", "#C2571A", "#EEB83F")

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

DARK = 0.35  # colours of less luminance have light lines around them
_SAMPLE = 512
_ROWS = 8192  # at a time, so that they stay in the cache
_DECADE = 20.0
_UNSEEN = 1e-6  # of the whole: less than a pixel
_MANY, _BEYOND = 100, 0.01


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


def class_fills(n: int) -> Floats:
    """RGB of n classes as areas: ten that colour-blind readers tell apart, black lines visible on each.

    Examples
    --------
    >>> class_fills(10).shape, bool((luminance(class_fills(10)) > 0.3).all())
    ((10, 3), True)
    """
    if n <= len(_FILLS):
        return tint(np.array([to_rgb(color) for color in _FILLS[:n]]), 0.2)
    return tint(class_palette(n), 0.25)


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
        return np.array([to_rgb(color) for color in _LAYERS[:n]])
    return np.asarray(matplotlib.colormaps["plasma"](np.linspace(0.0, 0.85, n)))[:, :3]


def pattern_colors(patterns: Bytes, n_units: int) -> Floats:
    """RGB of packed activation patterns: similar patterns get similar colours.

    The first two principal components of the patterns, each spread evenly by rank, are hue
    and chroma in OKLab, the third is lightness; a small jitter from the pattern's bytes keeps
    neighbours apart.

    Parameters
    ----------
    patterns : (n, ceil(n_units / 8)) uint8, as a complex keeps them
    n_units : int

    Returns
    -------
    (n, 3) float64 in [0, 1]

    Examples
    --------
    >>> pattern_colors(np.array([[0], [1]], dtype=np.uint8), 2).shape
    (2, 3)
    """
    patterns = np.ascontiguousarray(patterns)
    n = len(patterns)
    axes = np.zeros((n, 3), dtype=np.float32)
    if n_units and n > 1:
        components = _principal_components(unpack(patterns[:: max(1, n // _SAMPLE)], n_units))
        for start in range(0, n, _ROWS):
            axes[start : start + _ROWS] = _sums_of_bits(patterns[start : start + _ROWS], components)
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
    padded = np.zeros((len(patterns), -(-patterns.shape[1] // 8) * 8), dtype=np.uint8)
    padded[:, : patterns.shape[1]] = patterns
    words = padded.view("<u8")
    for start in range(0, len(words), _ROWS):
        own = state[start : start + _ROWS]
        for word in np.ascontiguousarray(words[start : start + _ROWS].T):
            own ^= word
            own *= np.uint64(0x100000001B3)
    state ^= state >> np.uint64(31)
    state *= np.uint64(0x9E3779B97F4A7C15)
    return (state >> np.uint64(11)).astype(np.float64) * 2.0**-53


@dataclass(frozen=True)
class ColorScale:
    """How numbers became colours.

    Attributes
    ----------
    norm : matplotlib Normalize, with the limits
    cmap : str
    extend : "neither", "min", "max" or "both", at which ends there are numbers beyond the limits
    beyond : int, how many
    """

    norm: Normalize
    cmap: str
    extend: Literal["neither", "min", "max", "both"]
    beyond: int

    def ramp(self) -> Floats:
        """Return the colours of the bar from its low end to its high end, (256, 3)."""
        return np.asarray(matplotlib.colormaps[self.cmap](np.linspace(0.0, 1.0, 256)))[:, :3]


def value_colors(values: ArrayLike, cmap: str, sizes: ArrayLike | None = None) -> tuple[Floats, ColorScale]:
    """Return RGB of numbers, and the scale: logarithmic if they span more than a decade or so.

    The limits are those of cells that can be seen: what is smaller than a millionth of the whole may be
    beyond them, and of many cells the lowest and highest on a percent of the whole each.

    Parameters
    ----------
    values : (n,) nonnegative numbers; on a logarithmic scale zeros take the colour of its low end
    cmap : name of a matplotlib colour map
    sizes : (n,) volumes of the cells; default: all the same

    Returns
    -------
    colors : (n, 3) float64
    scale : ColorScale

    Examples
    --------
    >>> _, scale = value_colors([0.01, 1.0, 1e-9], "viridis", [0.01, 1.0, 1e-9])
    >>> type(scale.norm).__name__, scale.norm.vmin, scale.norm.vmax, scale.extend, scale.beyond
    ('LogNorm', 0.01, 1.0, 'min', 1)
    """
    numbers = np.asarray(values, dtype=np.float64)
    low, high = _limits(numbers, np.ones_like(numbers) if sizes is None else np.asarray(sizes))
    if high <= low * (1.0 + 1e-9):
        low, high = 0.5 * low, 1.5 * high
    norm: Normalize = LogNorm(low, high) if high > _DECADE * low else Normalize(low, high)
    below, above = int((numbers < low).sum()), int((numbers > high).sum())
    ends = ("neither", "min", "max", "both")[bool(below) + 2 * bool(above)]
    scale = ColorScale(norm, cmap, ends, below + above)  # type: ignore[arg-type]
    shares = np.asarray(norm(np.clip(numbers, low, high)))
    return np.asarray(matplotlib.colormaps[cmap](shares))[:, :3], scale


def _limits(numbers: Floats, sizes: Floats) -> tuple[float, float]:
    """Return the limits of a scale: those of the positive numbers of cells that can be seen."""
    known = (numbers > 0.0) & np.isfinite(numbers)
    seen = known & (sizes > _UNSEEN * float(sizes[np.isfinite(sizes)].sum()))
    if known.sum() > _MANY:
        order = np.flatnonzero(known)[np.argsort(numbers[known], kind="stable")]
        share = np.cumsum(sizes[order]) / sizes[order].sum()
        low, high = numbers[order[np.searchsorted(share, [_BEYOND, 1.0 - _BEYOND])]]
        return float(low), float(high)
    if not seen.any():
        seen = known
    return (float(numbers[seen].min()), float(numbers[seen].max())) if seen.any() else (0.5, 2.0)


def luminance(colors: Floats) -> Floats:
    """Return how light colours are, 0 to 1, as the eye weighs their channels.

    Examples
    --------
    >>> luminance(np.array([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]])).round(3).tolist()
    [0.0, 1.0]
    """
    return np.asarray(colors @ np.array([0.2126, 0.7152, 0.0722]))


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
    roots = lab @ _LAB_TO_LMS.T
    linear = np.clip((roots * roots * roots) @ _LMS_TO_RGB.T, 0.0, 1.0)
    low = linear <= 0.0031308
    return np.where(low, 12.92 * linear, 1.055 * np.maximum(linear, 1e-12) ** (1 / 2.4) - 0.055)


def _principal_components(sample: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the first three principal components of patterns, (n_units, 3).

    Examples
    --------
    >>> _principal_components(np.eye(9, dtype=np.bool_)).shape
    (9, 3)
    """
    rows = sample.astype(np.float32)
    rows -= rows.mean(axis=0)
    _, vectors = eigh(rows @ rows.T, subset_by_index=[max(len(rows) - 3, 0), len(rows) - 1])
    parts = rows.T @ vectors[:, ::-1]
    parts /= np.maximum(np.linalg.norm(parts, axis=0), 1e-12)
    parts *= np.where(parts.sum(axis=0) < 0.0, -1.0, 1.0)
    return np.pad(parts, ((0, 0), (0, 3 - parts.shape[1]))).astype(np.float32)


def _sums_of_bits(patterns: Bytes, rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the sum of the rows of the active units of each pattern, a byte at a time.

    Examples
    --------
    >>> _sums_of_bits(np.array([[5]], dtype=np.uint8), np.eye(3, dtype=np.float32))
    array([[1., 0., 1.]], dtype=float32)
    """
    bits = unpack(np.arange(256, dtype=np.uint8)[:, None], 8).astype(np.float32)
    padded = np.zeros((8 * patterns.shape[1], 4), dtype=np.float32)  # of 16 bytes, that numpy moves as one
    padded[: len(rows), : rows.shape[1]] = rows
    tables = (bits @ padded.reshape(-1, 8, 4)).view(np.complex128)[..., 0]
    sums = np.zeros((len(patterns), 4), dtype=np.float32)
    for table, column in zip(tables, np.ascontiguousarray(patterns.T), strict=True):
        sums += table.take(column)[:, None].view(np.float32)
    return sums[:, : rows.shape[1]]


def _even(values: NDArray[np.floating[Any]]) -> Floats:
    """Ranks spread over [0, 1]; equal values keep one rank."""
    unique, inverse = np.unique(values.round(4), return_inverse=True)
    return inverse / max(unique.size - 1, 1)
