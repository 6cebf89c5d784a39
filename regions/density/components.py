"""Sums of weighted Gaussians, worked on together: values at points, integrals over simplices.

The numerical half of `mixture`. Components of one covariance are a `Group`, in whose frame they are round.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.spatial.distance import cdist

from regions.density.densities import EPS, FloatArray
from regions.density.integrals.simplex_integrals import (
    average_bell,
    bisect_longest_edges,
    embedded_rules,
    simplex_volumes,
)

__all__ = ["PAIRS", "Group", "group_components", "integrate_groups", "log_terms"]

BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

# pairs of a point or simplex with a component that are worked on at once
PAIRS = 1 << 19
# a closed form or an adaptive cubature of a pair costs about as much as so many values of a component
_COST_OF_PAIR = {1: 100}
_COST_OF_CUBATURE = 400
# cubature of the sum is tried on simplices up to this many standard deviations across, and those up to
# the second number are cut for it
_CLOSE = 1.0
_CUT_UP_TO = 4.0
# pairs whose cubature shares one budget of pieces
_BATCH = 1 << 14


@dataclass(frozen=True, eq=False)
class Group:
    """Components of one covariance: its Cholesky factor, and means in the frame that it makes round."""

    chol: FloatArray
    centre: FloatArray
    means: FloatArray
    log_peaks: FloatArray
    condition: float

    @cached_property
    def reach(self) -> float:
        """How far the means are from the centre, in standard deviations."""
        return float(np.linalg.norm(self.means, axis=1).max())

    def whiten(self, points: FloatArray) -> FloatArray:
        """Points `(..., d)` in the frame where the covariance is the identity."""
        return _whiten(self.chol, self.centre, points)


def group_components(weights: FloatArray, means: FloatArray, chols: FloatArray) -> list[Group]:
    """Components as groups: one if there is one factor, else one for each component.

    Parameters
    ----------
    weights : (K,) float64
    means : (K, d) float64
    chols : (1, d, d) or (K, d, d) float64, lower Cholesky factors of the covariances
    """
    logs = np.log(weights) - 0.5 * means.shape[1] * math.log(2.0 * math.pi)
    groups = []
    rows = [slice(None)] if len(chols) == 1 else [slice(j, j + 1) for j in range(len(logs))]
    for chol, row in zip(chols, rows, strict=True):
        centre = means[row].mean(axis=0)
        peaks = logs[row] - float(np.log(np.diag(chol)).sum())
        white = _whiten(chol, centre, means[row])
        groups.append(Group(chol, centre, white, peaks, float(np.linalg.cond(chol))))
    return groups


def log_terms(groups: list[Group], points: FloatArray) -> FloatArray:
    """Logarithms `(n, K)` of the weighted components at points `(n, d)`."""
    terms = [
        group.log_peaks - 0.5 * cdist(group.whiten(points), group.means, "sqeuclidean") for group in groups
    ]
    return np.concatenate(terms, axis=1)


def integrate_groups(
    groups: list[Group], vertices: FloatArray, rtol: float, max_pieces: int
) -> tuple[FloatArray, FloatArray]:
    """Integrals of the sum of all components over k-simplices `(N, k+1, d)`, and their errors.

    A component that is provably below rounding on a simplex, together with all others of that kind, is
    left out there. Where most are needed and the simplex is small beside them, one cubature of the sum
    serves all; it is accepted if its error is at most rtol (k = 1: some roundings) times the integral.

    Raises
    ------
    BudgetExceededError : if the adaptive cubature does not reach rtol within max_pieces
    """
    values, errors = np.zeros((2, len(vertices)))
    count = sum(len(group.means) for group in groups)
    block = max(1, PAIRS // count)
    for start in range(0, len(vertices), block):
        part = slice(start, start + block)
        pieces, owner = _bisect_wide(groups, vertices[part])
        for first in range(0, len(pieces), block):
            some = slice(first, first + block)
            found = _integrate_block(groups, pieces[some], rtol, max_pieces)
            for total, terms in zip((values, errors), found, strict=True):
                total[part] += np.bincount(owner[some], terms, len(total[part]))
    return values, errors + (10.0 + count) * EPS * values


def _bisect_wide(groups: list[Group], vertices: FloatArray) -> tuple[FloatArray, IntArray]:
    """Simplices of moderate width cut until one cubature can serve all components, and their owners."""
    pieces, owner = vertices, np.arange(len(vertices))
    if vertices.shape[1] < 3:
        return pieces, owner
    width = _width(groups, pieces)
    still = (width > _CLOSE) & (width <= _CUT_UP_TO)
    still[still] = _is_crowded(groups, pieces[still], _negligible(groups, pieces[still]))
    while still.any():
        halves = bisect_longest_edges(pieces[still])
        new_width = _width(groups, halves)
        pieces = np.concatenate([pieces[~still], halves])
        owner = np.concatenate([owner[~still], np.tile(owner[still], 2)])
        still = np.concatenate([np.zeros(len(pieces) - len(halves), dtype=bool), new_width > _CLOSE])
    return pieces, owner


def _width(groups: list[Group], vertices: FloatArray) -> FloatArray:
    """Twice the largest distance of a vertex to the centroid, in standard deviations of any component."""
    width = np.zeros(len(vertices))
    for group in groups:
        white = group.whiten(vertices)
        from_centre = np.linalg.norm(white - white.mean(axis=1)[:, None], axis=2)
        width = np.maximum(width, 2.0 * from_centre.max(axis=1, initial=0.0))
    return width


def _integrate_block(
    groups: list[Group], vertices: FloatArray, rtol: float, max_pieces: int
) -> tuple[FloatArray, FloatArray]:
    volumes, volume_errors = simplex_volumes(vertices)
    values, errors = np.zeros((2, len(vertices)))
    least = _least_average(groups, vertices)
    negligible = least + math.log(EPS / sum(len(group.means) for group in groups))
    close = np.flatnonzero(_width(groups, vertices) <= _CLOSE)
    close = close[_is_crowded(groups, vertices[close], negligible[close])]
    averages, spread, done = _average_sum(groups, vertices[close], negligible[close], rtol)
    chosen = close[done]
    values[chosen] = volumes[chosen] * averages[done]
    errors[chosen] = volumes[chosen] * spread[done] + volume_errors[chosen] * averages[done]
    rest = np.setdiff1d(np.arange(len(vertices)), chosen)
    for group in groups:
        whole = (vertices[rest], volumes[rest], volume_errors[rest])
        pairs = _integrate_pairs(group, whole, least[rest], negligible[rest], (rtol, max_pieces))
        values[rest] += pairs[0]
        errors[rest] += pairs[1]
    return values, errors


def _least_average(groups: list[Group], vertices: FloatArray) -> FloatArray:
    """Logarithm of a lower bound on the average over each simplex, (N,).

    Jensen's inequality for exp: the average of a bell is at least the bell at the mean square distance.
    """
    least = np.full(len(vertices), -math.inf)
    k = vertices.shape[1] - 1
    for group in groups:
        white = group.whiten(vertices)
        centroid = white.mean(axis=1)
        scatter = np.square(white - centroid[:, None]).sum(axis=(1, 2)) / ((k + 1) * (k + 2))
        square = cdist(centroid, group.means, "sqeuclidean")
        least = np.maximum(least, (group.log_peaks - 0.5 * square).max(axis=1) - 0.5 * scatter)
    return least


def _needed(group: Group, white: FloatArray, negligible: FloatArray) -> BoolArray:
    """Which components (N, K of the group) can be above a logarithm somewhere on simplices."""
    centroid = white.mean(axis=1)
    radius = np.linalg.norm(white - centroid[:, None], axis=2).max(axis=1)
    nearest = np.maximum(cdist(centroid, group.means) - radius[:, None], 0.0)
    needed: BoolArray = group.log_peaks - 0.5 * nearest * nearest > negligible[:, None]
    return needed


def _is_crowded(groups: list[Group], vertices: FloatArray, negligible: FloatArray) -> BoolArray:
    """Simplices with so many components that one cubature of the sum costs less than one for each."""
    k = vertices.shape[1] - 1
    needed = np.zeros(len(vertices))
    if k == 0:
        return needed > 0.0
    for group in groups:
        needed += _needed(group, group.whiten(vertices), negligible).sum(axis=1)
    nodes = len(embedded_rules(k)[0][0])
    count = sum(len(group.means) for group in groups)
    crowded: BoolArray = needed * _COST_OF_PAIR.get(k, _COST_OF_CUBATURE) > nodes * count
    return crowded


def _negligible(groups: list[Group], vertices: FloatArray) -> FloatArray:
    """Logarithm below which all components together are at most a rounding of the average, (N,)."""
    return _least_average(groups, vertices) + math.log(EPS / sum(len(group.means) for group in groups))


def _average_sum(
    groups: list[Group], vertices: FloatArray, negligible: FloatArray, rtol: float
) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Averages of the sum over simplices, errors, and where these are small enough."""
    averages, errors = np.zeros((2, len(vertices)))
    done = np.zeros(len(vertices), dtype=bool)
    if not len(vertices):
        return averages, errors, done
    k = vertices.shape[1] - 1
    allowed = 64.0 * EPS if k == 1 else rtol
    rounding = EPS * (32.0 + _slope(groups, vertices, negligible))
    for nodes, high, low in embedded_rules(k):
        left = np.flatnonzero(~done)
        step = max(1, len(vertices) // len(nodes))
        for start in range(0, len(left), step):
            some = left[start : start + step]
            points = nodes @ vertices[some]
            terms = log_terms(groups, points.reshape(-1, points.shape[2]))
            sums = np.exp(terms).sum(axis=1).reshape(points.shape[:2])
            averages[some] = sums @ high
            difference = np.abs(sums @ (high - low))
            done[some] = difference <= allowed * averages[some]
            errors[some] = difference + rounding[some] * (sums @ np.abs(high))
    return averages, errors, done


def _slope(groups: list[Group], vertices: FloatArray, negligible: FloatArray) -> FloatArray:
    """How much a rounding of the coordinates changes the sum, relative to it."""
    slope = np.zeros(len(vertices))
    for group in groups:
        size = np.linalg.norm(group.whiten(vertices), axis=2).max(axis=1) + group.reach
        farthest = np.sqrt(2.0 * np.maximum(group.log_peaks.max() - negligible, 0.0)) + _CLOSE
        here = 8.0 * group.condition * (1.0 + farthest * size) + np.abs(group.log_peaks).max()
        slope = np.maximum(slope, here)
    return slope


def _integrate_pairs(
    group: Group,
    whole: tuple[FloatArray, FloatArray, FloatArray],
    least: FloatArray,
    negligible: FloatArray,
    cubature: tuple[float, int],
) -> tuple[FloatArray, FloatArray]:
    """Integrals and errors of a group's components, each by itself, added up for each simplex."""
    vertices, volumes, volume_errors = whole
    white = group.whiten(vertices)
    simplex, component = np.nonzero(_needed(group, white, negligible))
    peak = np.exp(group.log_peaks[component])
    moved = white[simplex] - group.means[component][:, None]
    # a component needs no more digits than its part of the simplex's integral
    floor = volumes * np.exp(least) / np.maximum(np.bincount(simplex, minlength=len(vertices)), 1)
    averages, errors = np.zeros((2, len(simplex)))
    for start in range(0, len(simplex), _BATCH):
        part = slice(start, start + _BATCH)
        weights, own = peak[part] * volumes[simplex[part]], floor[simplex[part]]
        averages[part], errors[part] = average_bell(moved[part], weights, *cubature, floor=own)
    farthest = np.linalg.norm(moved, axis=2).max(axis=1, initial=0.0)
    size = np.linalg.norm(white, axis=2).max(axis=1)[simplex] + group.reach
    slope = 8.0 * group.condition * (1.0 + farthest * size)
    rounding = EPS * (32.0 + slope + np.abs(group.log_peaks[component]))
    values = peak * volumes[simplex] * averages
    spread = peak * (volumes[simplex] * errors + volume_errors[simplex] * averages) + rounding * values
    count = len(vertices)
    return (
        np.bincount(simplex, values, count).astype(np.float64),
        np.bincount(simplex, spread, count).astype(np.float64),
    )


def _whiten(chol: FloatArray, centre: FloatArray, points: FloatArray) -> FloatArray:
    flat = (points - centre).reshape(-1, points.shape[-1])
    white = solve_triangular(chol, flat.T, lower=True, check_finite=False)
    return np.ascontiguousarray(white.T, dtype=np.float64).reshape(points.shape)
