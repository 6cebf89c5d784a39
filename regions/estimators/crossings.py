"""Where units change sign along lines, by a walk through the layers.

Each line is cut where units change sign, and each part carries the affine map of the next layer's
pre-activations. A line on which rounding leaves a sign open is walked in exact arithmetic instead.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from regions.estimators.forward_passes import Chain, within
from regions.network.slopes import Slopes, activated

__all__ = ["Lines", "find_crossings"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]
BoolArray = NDArray[np.bool_]

# more than what products lose by underflow
_TINY = float(np.finfo(np.float64).tiny)


@dataclass(frozen=True)
class Lines:
    """Chords: points `(S, d)` and unit directions `(S, d)`, and the parameters `(S,)` of their ends."""

    points: FloatArray
    directions: FloatArray
    low: FloatArray
    high: FloatArray

    def part(self, rows: slice) -> Lines:
        """Some of the chords."""
        return Lines(self.points[rows], self.directions[rows], self.low[rows], self.high[rows])


@dataclass(frozen=True)
class _Parts:
    """Parts of lines: their line, and their ends `(P,)` with bounds on the errors of these."""

    line: IntArray
    low: FloatArray
    high: FloatArray
    low_error: FloatArray
    high_error: FloatArray

    def cut(self, piece: IntArray, at: FloatArray, error: FloatArray) -> tuple[IntArray, _Parts]:
        """Return the parts cut at places of some of them, and which part each of the new ones is of."""
        order = np.lexsort((at, piece))
        piece, at, error = piece[order], at[order], error[order]
        parent = np.repeat(np.arange(len(self.line)), 1 + np.bincount(piece, minlength=len(self.line)))
        low, high = self.low[parent], self.high[parent]
        low_error, high_error = self.low_error[parent], self.high_error[parent]
        # root k ends the part that has k roots and `piece` earlier pieces in front of it
        before = np.arange(len(at)) + piece
        high[before], low[before + 1] = at, at
        high_error[before], low_error[before + 1] = error, error
        return parent, _Parts(self.line[parent], low, high, low_error, high_error)


@dataclass(frozen=True)
class _Maps:
    """Affine functions offset + s slope on parts of lines, (P, width) each, beside their sizes."""

    offset: FloatArray
    slope: FloatArray
    offset_size: FloatArray
    slope_size: FloatArray

    def through(self, chain: Chain, layer: int, noise: FloatArray, passing: BoolArray | None) -> _Maps:
        """Return the pre-activations of the next layer, where these units of the one before have a slope."""
        offset_size = self.offset_size @ chain.sizes[layer] + chain.bias_sizes[layer] + np.abs(noise) + _TINY
        slope_size = self.slope_size @ chain.sizes[layer] + _TINY
        nothing = chain.vanishing(layer, passing, noise)
        return _Maps(
            self.offset @ chain.transposed[layer] + chain.biases[layer] + noise,
            self.slope @ chain.transposed[layer],
            np.where(nothing, 0.0, offset_size),
            np.where(nothing, 0.0, slope_size),
        )

    def of(self, parent: IntArray) -> _Maps:
        """Return the functions of the part that each new part is of."""
        return _Maps(*(part[parent] for part in vars(self).values()))

    def where(self, active: BoolArray, pair: Slopes) -> _Maps:
        """Return the functions times the slopes of the units: right of 0 where they are active."""
        sizes = None if pair is None else np.abs(pair)
        return _Maps(
            activated(self.offset, active, pair),
            activated(self.slope, active, pair),
            activated(self.offset_size, active, sizes),
            activated(self.slope_size, active, sizes),
        )

    def at(self, places: FloatArray, rounding: float) -> tuple[FloatArray, FloatArray]:
        """Return the values at a place of each part, and bounds on their rounding."""
        s = places[:, None]
        size = self.offset_size + np.abs(s) * self.slope_size
        return self.offset + self.slope * s, 2.0 * rounding * size


def find_crossings(chain: Chain, lines: Lines, noise: FloatArray) -> tuple[IntArray, FloatArray, IntArray]:
    """Find where units change sign along chords: line, parameter and flat unit `(K,)` of each crossing."""
    zeros = np.zeros(len(lines.low))
    parts = _Parts(np.arange(len(lines.low)), lines.low, lines.high, zeros, zeros)
    is_open = np.zeros(len(lines.low), dtype=bool)
    found: list[tuple[IntArray, FloatArray, IntArray]] = []
    maps, passing = _input_maps(chain, lines), None
    for layer in range(chain.depth):
        units = chain.units(layer)
        cutting = chain.cutting[layer]
        maps = maps.through(chain, layer, noise[parts.line, units], passing)
        is_open[parts.line[_is_open_at_ends(chain, parts, maps, cutting)]] = True
        with np.errstate(divide="ignore", invalid="ignore"):
            root = -maps.offset / maps.slope
        piece, unit = np.nonzero((root > parts.low[:, None]) & (root < parts.high[:, None]) & cutting)
        at = root[piece, unit]
        found.append((parts.line[piece], at, unit + units.start))
        if layer + 1 == chain.depth:
            break
        size = maps.offset_size[piece, unit] + np.abs(at) * maps.slope_size[piece, unit]
        error = 2.0 * chain.rounding * size / np.abs(maps.slope[piece, unit])
        parent, parts = parts.cut(piece, at, error)
        maps = maps.of(parent)
        values, errors = maps.at(0.5 * (parts.low + parts.high), chain.rounding)
        # the middle is inside the part, and every sign there is beyond rounding
        unsure = (within(np.abs(values), errors) & cutting).any(axis=1)
        unsure |= ~(parts.high - parts.low > 2.0 * (parts.low_error + parts.high_error))
        is_open[parts.line[unsure]] = True
        active = chain.is_active(layer, values)
        passing = chain.passing(layer, active)
        maps = maps.where(active, chain.slopes[layer])
    return _with_exact(chain, lines, noise, found, np.flatnonzero(is_open))


def _input_maps(chain: Chain, lines: Lines) -> _Maps:
    """Return the lines in input coordinates."""
    domain = chain.domain
    if domain is None:
        return _Maps(lines.points, lines.directions, np.abs(lines.points), np.abs(lines.directions))
    return _Maps(
        chain.to_input(lines.points),
        lines.directions @ domain.basis.T,
        chain.input_size(lines.points),
        np.abs(lines.directions) @ np.abs(domain.basis).T,
    )


def _is_open_at_ends(chain: Chain, parts: _Parts, maps: _Maps, cutting: BoolArray) -> BoolArray:
    """Parts at whose ends a unit that cuts is 0 within its error: a crossing may be inside or outside."""
    is_open = np.zeros(len(parts.line), dtype=bool)
    for end, end_error in ((parts.low, parts.low_error), (parts.high, parts.high_error)):
        values, errors = maps.at(end, chain.rounding)
        errors = errors + np.abs(maps.slope) * end_error[:, None]
        is_open |= (within(np.abs(values), errors) & cutting).any(axis=1)
    return is_open


def _with_exact(
    chain: Chain,
    lines: Lines,
    noise: FloatArray,
    found: list[tuple[IntArray, FloatArray, IntArray]],
    is_open: IntArray,
) -> tuple[IntArray, FloatArray, IntArray]:
    """Return all crossings, those of open lines found anew in exact arithmetic."""
    if not found:
        return np.zeros(0, np.intp), np.zeros(0), np.zeros(0, np.intp)
    line, at, unit = (np.concatenate(parts) for parts in zip(*found, strict=True))
    kept = ~np.isin(line, is_open)
    exact = [(line[kept], at[kept], unit[kept])]
    for k in is_open.tolist():
        own = noise[k] if noise[k].any() else None
        ends = float(lines.low[k]), float(lines.high[k])
        crossings = chain.exact.crossings(lines.points[k], lines.directions[k], ends, own)
        places, units = np.array([s for s, _ in crossings]), np.array([u for _, u in crossings], np.intp)
        exact.append((np.full(len(crossings), k), places, units))
    return tuple(np.concatenate(parts) for parts in zip(*exact, strict=True))  # type: ignore[return-value]
