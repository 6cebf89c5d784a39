"""Where units bend along lines, by a walk through the layers.

Each line is cut where units change sign or max units their winner, and each part carries the affine map of
the next layer's pre-activations. A line on which rounding leaves one open is walked in exact arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from regions.estimators.forward_passes import Chain, within
from regions.estimators.ties import distances_from_bends
from regions.estimators.twins import FAR_BEHIND
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

    def without(self, twins: BoolArray) -> _Maps:
        """Return the functions, those that stand back for an equal one far below all others."""
        rest = (np.where(twins, 0.0, part) for part in (self.slope, self.offset_size, self.slope_size))
        return _Maps(np.where(twins, FAR_BEHIND, self.offset), *rest)

    def at(self, places: FloatArray, rounding: float) -> tuple[FloatArray, FloatArray]:
        """Return the values at a place of each part, and bounds on their rounding."""
        s = places[:, None]
        size = self.offset_size + np.abs(s) * self.slope_size
        return self.offset + self.slope * s, 2.0 * rounding * size


def find_crossings(chain: Chain, lines: Lines, noise: FloatArray) -> tuple[IntArray, FloatArray, IntArray]:
    """Find where units bend along chords: line, parameter and flat unit `(K,)` of each crossing.

    That is where units change sign, and where the winners of max units change, each such change once.
    """
    zeros = np.zeros(len(lines.low))
    parts = _Parts(np.arange(len(lines.low)), lines.low, lines.high, zeros, zeros)
    is_open = np.zeros(len(lines.low), dtype=bool)
    found: list[tuple[IntArray, FloatArray, IntArray]] = []
    maps, passing = _input_maps(chain, lines), None
    prints = chain.fingerprints(noise)
    labels = None if prints is None else np.repeat(prints.inputs, len(zeros), axis=0)
    for layer in range(chain.depth):
        units = chain.units(layer)
        maps = maps.through(chain, layer, noise[parts.line, units], passing)
        if prints is not None and labels is not None and prints.covers(layer):
            labels = prints.through(layer, labels)
            maps = maps.without(prints.twins(layer, labels))
        is_open[parts.line[_is_open_at_ends(chain, layer, parts, maps)]] = True
        piece, unit, at, error = _signs_changed(chain, layer, parts, maps)
        if chain.maxima[layer] is not None:
            changes, doubtful = _winners_changed(chain, layer, parts, maps)
            is_open[parts.line[doubtful]] = True
            both = zip((piece, unit, at, error), changes, strict=True)
            piece, unit, at, error = (np.concatenate(pair) for pair in both)
        found.append((parts.line[piece], at, unit + units.start))
        if layer + 1 == chain.depth:
            break
        parent, parts = parts.cut(piece, at, error)
        maps = maps.of(parent)
        values, errors = maps.at(0.5 * (parts.low + parts.high), chain.rounding)
        # the middle is inside the part, and every sign there is beyond rounding
        active = chain.is_active(layer, values)
        unsure = _is_open(chain, layer, values, active, errors).any(axis=1)
        unsure |= ~(parts.high - parts.low > 2.0 * (parts.low_error + parts.high_error))
        is_open[parts.line[unsure]] = True
        if prints is not None and labels is not None and prints.covers(layer):
            labels = prints.where(layer, labels[parent], active)
        passing = chain.passing(layer, active)
        maps = maps.where(active, chain.slopes[layer])
    return _with_exact(chain, lines, noise, found, np.flatnonzero(is_open))


def _signs_changed(
    chain: Chain, layer: int, parts: _Parts, maps: _Maps
) -> tuple[IntArray, IntArray, FloatArray, FloatArray]:
    """Find where units are 0 inside parts of lines: part, unit, parameter and its error `(K,)`."""
    cutting = chain.cutting[layer] & ~chain.candidates[layer]
    with np.errstate(divide="ignore", invalid="ignore"):
        root = -maps.offset / maps.slope
    piece, unit = np.nonzero((root > parts.low[:, None]) & (root < parts.high[:, None]) & cutting)
    at = root[piece, unit]
    size = maps.offset_size[piece, unit] + np.abs(at) * maps.slope_size[piece, unit]
    return piece, unit, at, 2.0 * chain.rounding * size / np.abs(maps.slope[piece, unit])


def _winners_changed(
    chain: Chain, layer: int, parts: _Parts, maps: _Maps
) -> tuple[tuple[IntArray, IntArray, FloatArray, FloatArray], IntArray]:
    """Find where the winners of max units change inside parts of lines, as `_signs_changed`.

    Each with the new winner as its unit, and then the parts on which rounding may have hidden another one.
    """
    sizes = chain.maxima[layer]
    assert sizes is not None
    empty = np.zeros(0, np.intp), np.zeros(0, np.intp), np.zeros(0), np.zeros(0)
    found, unsure = [empty], [np.zeros(0, np.intp)]
    for start, k in zip((np.cumsum(sizes) - sizes).tolist(), sizes.tolist(), strict=True):
        if k == 1:
            continue
        rows = _Maps(*(values[:, start : start + k] for values in vars(maps).values()))
        piece = np.arange(len(parts.line))
        winner = rows.at(parts.low, chain.rounding)[0].argmax(axis=1)
        # from winner to winner along each part, until no other one overtakes before its end
        while piece.size:
            new, at = _overtaking(rows, piece, winner, parts.high[piece])
            goes_on = new >= 0
            piece, winner, new, at = piece[goes_on], winner[goes_on], new[goes_on], at[goes_on]
            error, in_doubt = _at_overtaking(rows.of(piece), winner, new, at, chain.rounding)
            found.append((piece, start + new, at, error))
            unsure.append(piece[in_doubt])
            winner = new
    return tuple(np.concatenate(part) for part in zip(*found, strict=True)), np.concatenate(unsure)  # type: ignore[return-value]


def _overtaking(
    rows: _Maps, piece: IntArray, winner: IntArray, high: FloatArray
) -> tuple[IntArray, FloatArray]:
    """Return which candidate overtakes the winner next, -1 for none before the end of the part, and where."""
    own = np.arange(len(piece))
    offset, slope = rows.offset[piece], rows.slope[piece]
    gain = slope - slope[own, winner][:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        root = (offset[own, winner][:, None] - offset) / gain
    root = np.where(gain > 0.0, root, np.inf)
    new = root.argmin(axis=1)
    return np.where(root[own, new] < high, new, -1), root[own, new]


def _at_overtaking(
    rows: _Maps, winner: IntArray, new: IntArray, at: FloatArray, rounding: float
) -> tuple[FloatArray, BoolArray]:
    """Return the errors of places where candidates overtake winners, and where a third one may be level."""
    own = np.arange(len(at))
    values, errors = rows.at(at, rounding)
    gain = rows.slope[own, new] - rows.slope[own, winner]
    error = (errors[own, winner] + errors[own, new]) / gain
    behind = values[own, winner][:, None] - values
    # what one of the two may gain on the others within the error of the place
    moved = np.abs(rows.slope - rows.slope[own, winner][:, None]) * error[:, None]
    level = ~(behind > errors + errors[own, winner][:, None] + moved)
    level[own, winner] = level[own, new] = False
    return error, np.asarray(level.any(axis=1))


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


def _is_open_at_ends(chain: Chain, layer: int, parts: _Parts, maps: _Maps) -> BoolArray:
    """Parts at whose ends a unit that cuts is 0 within its error: a crossing may be inside or outside."""
    is_open = np.zeros(len(parts.line), dtype=bool)
    for end, end_error in ((parts.low, parts.low_error), (parts.high, parts.high_error)):
        values, errors = maps.at(end, chain.rounding)
        errors = errors + np.abs(maps.slope) * end_error[:, None]
        is_open |= _is_open(chain, layer, values, chain.is_active(layer, values), errors).any(axis=1)
    return is_open


def _is_open(
    chain: Chain, layer: int, values: FloatArray, active: BoolArray, errors: FloatArray
) -> BoolArray:
    """Say which units `(P, width)` bend within the errors of their values."""
    distances = np.abs(distances_from_bends(values, active, chain.maxima[layer]))
    return within(distances, chain.with_winners(layer, errors, active)) & chain.cutting[layer]


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
