"""Volumes of simplices, and averages of the bell exp(-|w|^2 / 2) over them, with error bounds.

The numerical half of `density`: arrays in, arrays out. Segments are a closed form, larger simplices
adaptive cubature; nothing here knows of networks, domains or covariances.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import Delaunay
from scipy.special import erf, erfcx

from regions.errors import BudgetExceededError, CertificateError

__all__ = [
    "average_bell",
    "bell_between",
    "bisect_longest_edges",
    "embedded_rules",
    "fill_with_simplices",
    "simplex_volumes",
]

FloatArray = NDArray[np.float64]

_EPS = float(np.finfo(np.float64).eps)
# order of the cubature rule by k: about 100 points each; higher orders lose digits to their signs
_ORDER = {2: 6, 3: 5, 4: 4, 5: 4}
_HIGHEST_ORDER_BEYOND = 3
# a piece wider than this many standard deviations could hide the bell between the nodes
_WIDEST = 3.0
_CHUNK = 1 << 21
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(14)


def simplex_volumes(vertices: FloatArray) -> tuple[FloatArray, FloatArray]:
    """k-volumes of k-simplices in d dimensions, by QR of their edges; O(K d k^2).

    Parameters
    ----------
    vertices : (K, k+1, d) float64

    Returns
    -------
    volumes : (K,) float64; 1 for points (k = 0)
    errors : (K,) float64, bounds on the rounding (Hadamard's inequality on the edges)

    Examples
    --------
    >>> simplex_volumes(np.array([[[0.0, 0.0], [3.0, 4.0]]]))[0]
    array([5.])
    """
    edges = vertices[:, 1:] - vertices[:, :1]
    k = edges.shape[1]
    if k == 0 or not len(edges):
        return np.ones(len(vertices)), np.zeros(len(vertices))
    lengths = np.linalg.norm(edges, axis=2)
    if k == 1:
        return lengths[:, 0], 4.0 * _EPS * lengths[:, 0]
    triangular = np.linalg.qr(edges.transpose(0, 2, 1), mode="r")
    diagonal = np.abs(np.diagonal(triangular, axis1=1, axis2=2))
    scale = 1.0 / math.factorial(k)
    return scale * diagonal.prod(axis=1), scale * 4.0 * k * k * _EPS * lengths.prod(axis=1)


def fill_with_simplices(vertices: FloatArray, volume: float) -> FloatArray:
    """Simplices that fill the convex hull of its vertices: a fan in 2-D, Delaunay's beyond.

    Parameters
    ----------
    vertices : (nv, d) float64, counterclockwise for d = 2
    volume : float, of the hull, to check the result against

    Returns
    -------
    simplices : (K, d+1, d) float64

    Raises
    ------
    CertificateError : if their volumes do not sum to that of the hull (relative 1e-9)

    Examples
    --------
    >>> fill_with_simplices(np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]), 1.0).shape
    (2, 3, 2)
    """
    match vertices.shape[1]:
        case 1:
            corners = np.array([[int(vertices.argmin()), int(vertices.argmax())]])
        case 2:
            corners = np.array([[0, k, k + 1] for k in range(1, len(vertices) - 1)])
        case _:
            corners = Delaunay(vertices).simplices
    simplices: FloatArray = vertices[corners]
    filled = math.fsum(simplex_volumes(simplices)[0].tolist())
    if abs(filled - volume) > 1e-9 * volume:
        raise CertificateError(
            f"the simplices of a domain have volume {filled!r} instead of {volume!r}; "
            "integrate over a better scaled domain"
        )
    return simplices


def bell_between(start: FloatArray, width: FloatArray) -> FloatArray:
    """Integral of exp(-(r^2 - start^2) / 2) over r from start to start + width, start >= 0.

    The factor exp(start^2 / 2) keeps far tails from underflowing; relative error about 1e-15.

    Parameters
    ----------
    start : (K,) float64, >= 0
    width : (K,) float64, >= 0

    Returns
    -------
    integrals : (K,) float64

    Examples
    --------
    >>> bell_between(np.array([0.0, 30.0]), np.array([np.inf, 1e-3])).round(9)
    array([1.25331414e+00, 9.85149000e-04])
    """
    drop = width * (start + 0.5 * width)
    # a difference of tails only where they differ: otherwise a 14-point Gauss rule has full accuracy
    steep = drop >= 0.5
    reach = np.where(steep, 0.0, width)[:, None] * (0.5 * (1.0 + _NODES))
    smooth = 0.5 * width * (np.exp(-reach * (start[:, None] + 0.5 * reach)) @ _WEIGHTS)
    far = np.exp(-drop) * erfcx((start + width) / math.sqrt(2.0))
    tails = math.sqrt(math.pi / 2.0) * (erfcx(start / math.sqrt(2.0)) - far)
    integrals: FloatArray = np.where(steep, tails, smooth)
    return integrals


def average_bell(
    white: FloatArray,
    volumes: FloatArray,
    rtol: float,
    max_pieces: int,
    *,
    floor: FloatArray | float = 0.0,
) -> tuple[FloatArray, FloatArray]:
    """Averages of exp(-|w|^2 / 2) over k-simplices.

    k <= 1 is a closed form. k >= 2 bisects longest edges until the error of every simplex, times its
    volume, is at most rtol times the largest of its own integral, the mean integral of the batch and a floor.

    Parameters
    ----------
    white : (K, k+1, d) float64 vertices
    volumes : (K,) float64, weights that compare the simplices with each other
    rtol : float
    max_pieces : int, how many pieces may be added to the K simplices
    floor : number or (K,) float64, integrals below which no simplex needs digits of its own

    Returns
    -------
    averages : (K,) float64
    errors : (K,) float64; zero for the closed forms, whose rounding the caller bounds

    Raises
    ------
    BudgetExceededError : if the tolerance is not reached within max_pieces

    References
    ----------
    Grundmann and Moeller, Invariant integration formulas for the n-simplex by combinatorial methods,
    SIAM J. Numer. Anal. 15 (1978), theorem 4.

    Examples
    --------
    >>> triangle = np.array([[[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]])
    >>> average_bell(triangle, np.array([0.5]), 1e-9, 1000)[0].round(9)
    array([0.85112067])
    """
    match white.shape[1] - 1:
        case 0:
            return np.exp(-0.5 * np.square(white[:, 0]).sum(axis=1)), np.zeros(len(white))
        case 1:
            return _average_on_segments(white[:, 0], white[:, 1]), np.zeros(len(white))
        case _:
            return _average_adaptively(white, volumes, rtol, max_pieces, floor)


def _average_on_segments(u: FloatArray, v: FloatArray) -> FloatArray:
    """Closed form on segments from u to v, (K, d) each."""
    edge = v - u
    length = np.linalg.norm(edge, axis=1)
    safe = np.where(length > 0.0, length, 1.0)
    unit = edge / safe[:, None]
    a, b = (u * unit).sum(axis=1), (v * unit).sum(axis=1)
    straddles = (a < 0.0) & (b > 0.0)
    nearest = np.where((np.abs(a) <= np.abs(b))[:, None], u, v)
    start = np.minimum(np.abs(a), np.abs(b))
    one_sided = np.exp(-0.5 * np.square(nearest).sum(axis=1)) * bell_between(start, length)
    foot = np.square(u - a[:, None] * unit).sum(axis=1)
    both = erf(np.maximum(b, 0.0) / math.sqrt(2.0)) + erf(np.maximum(-a, 0.0) / math.sqrt(2.0))
    two_sided = np.exp(-0.5 * foot) * math.sqrt(math.pi / 2.0) * both
    average = np.where(straddles, two_sided, one_sided) / safe
    closed: FloatArray = np.where(length > 0.0, average, np.exp(-0.5 * np.square(u).sum(axis=1)))
    return closed


def _average_adaptively(
    white: FloatArray, volumes: FloatArray, rtol: float, max_pieces: int, floor: FloatArray | float
) -> tuple[FloatArray, FloatArray]:
    count = len(white)
    owner, share = np.arange(count), np.ones(count)
    pieces: FloatArray = white
    values, errors = _apply_rule(pieces)
    while True:
        averages: FloatArray = np.bincount(owner, share * values, count).astype(np.float64)
        spread: FloatArray = np.bincount(owner, share * errors, count).astype(np.float64)
        integrals = volumes * averages
        least = np.maximum(math.fsum(integrals.tolist()) / max(count, 1), floor)
        # below the last two terms a sum of doubles has no digits to give
        target = rtol * np.maximum(integrals, least) + volumes * (1e-290 + 4.0 * _EPS * averages)
        open_owner = volumes * spread > target
        if not open_owner.any():
            return averages, spread
        pieces_of = np.bincount(owner, minlength=count)
        # some piece of an open simplex is above its even part of the target, so every round makes progress
        even = target / pieces_of
        cut = open_owner[owner] & (volumes[owner] * share * errors > 0.5 * even[owner])
        if len(pieces) + int(cut.sum()) > count + max_pieces:
            worst = float((volumes * spread).sum() / max(integrals.sum(), 1e-300))
            raise BudgetExceededError(
                f"cubature of {count} simplices reached a relative error of {worst:.1e}, not {rtol:.1e}, "
                f"with {max_pieces} extra pieces; raise max_pieces or rtol of the density, or widen it"
            )
        children = bisect_longest_edges(pieces[cut])
        new_values, new_errors = _apply_rule(children)
        pieces = np.concatenate([pieces[~cut], children])
        values, errors = np.append(values[~cut], new_values), np.append(errors[~cut], new_errors)
        owner = np.concatenate([owner[~cut], np.tile(owner[cut], 2)])
        share = np.concatenate([share[~cut], np.tile(0.5 * share[cut], 2)])


def bisect_longest_edges(pieces: FloatArray, measured: FloatArray | None = None) -> FloatArray:
    """Both halves of each simplex, cut at the midpoint of its longest edge: first halves, then second.

    Lengths are those in `measured`, the same simplices in other coordinates, if it is given.
    """
    corners = pieces.shape[1]
    pairs = np.array(list(itertools.combinations(range(corners), 2)))
    measured = pieces if measured is None else measured
    edges = measured[:, pairs[:, 0]] - measured[:, pairs[:, 1]]
    longest = pairs[np.square(edges).sum(axis=2).argmax(axis=1)]
    rows = np.arange(len(pieces))
    middle = 0.5 * (pieces[rows, longest[:, 0]] + pieces[rows, longest[:, 1]])
    halves = np.concatenate([pieces, pieces])
    halves[rows, longest[:, 0]] = middle
    halves[rows + len(pieces), longest[:, 1]] = middle
    return halves


def _apply_rule(pieces: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Averages over simplices and their errors, in chunks of bounded memory."""
    k, d = pieces.shape[1] - 1, pieces.shape[2]
    points, high, low = _grundmann_moeller(k, _ORDER.get(k, _HIGHEST_ORDER_BEYOND))
    chunk = max(1, _CHUNK // (len(points) * d))
    values, errors = np.empty(len(pieces)), np.empty(len(pieces))
    for start in range(0, len(pieces), chunk):
        part = pieces[start : start + chunk]
        bell = np.exp(-0.5 * np.square(points @ part).sum(axis=2))
        values[start : start + chunk] = bell @ high
        difference = np.abs(bell @ (high - low))
        errors[start : start + chunk] = difference + 8.0 * _EPS * (bell @ np.abs(high))
    return values, np.where(_is_wide(pieces), np.maximum(errors, _highest_bell(pieces)), errors)


def _is_wide(pieces: FloatArray) -> NDArray[np.bool_]:
    edges = pieces[:, :, None] - pieces[:, None]
    wide: NDArray[np.bool_] = np.square(edges).sum(axis=3).max(axis=(1, 2), initial=0.0) > _WIDEST**2
    return wide


def _highest_bell(pieces: FloatArray) -> FloatArray:
    """Bound on the bell over a simplex, from a ball around its centroid: also bounds the rule's error."""
    centre = pieces.mean(axis=1)
    radius = np.sqrt(np.square(pieces - centre[:, None]).sum(axis=2).max(axis=1, initial=0.0))
    nearest = np.maximum(np.linalg.norm(centre, axis=1) - radius, 0.0)
    highest: FloatArray = np.exp(-0.5 * nearest * nearest)
    return highest


@lru_cache
def embedded_rules(k: int) -> tuple[tuple[FloatArray, FloatArray, FloatArray], ...]:
    """Cubature rules for averages over small k-simplices, k >= 1, the cheapest first.

    Returns
    -------
    rules : tuples of barycentric nodes (P, k+1), weights (P,), and weights of a lower degree on the same
        nodes, to estimate the error by; Gauss and Legendre's for k = 1, Grundmann and Moeller's beyond

    Examples
    --------
    >>> [len(nodes) for nodes, high, low in embedded_rules(2)]
    [20, 84]
    """
    if k > 1:
        orders = sorted({_HIGHEST_ORDER_BEYOND, _ORDER.get(k, _HIGHEST_ORDER_BEYOND)})
        return tuple(_grundmann_moeller(k, order) for order in orders)
    (few, few_weights), (more, more_weights) = (np.polynomial.legendre.leggauss(n) for n in (6, 7))
    at = 0.5 * (1.0 + np.concatenate([more, few]))
    high = 0.5 * np.concatenate([more_weights, np.zeros(6)])
    low = 0.5 * np.concatenate([np.zeros(7), few_weights])
    return ((np.stack([1.0 - at, at], axis=1), high, low),)


@lru_cache
def _grundmann_moeller(k: int, order: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Barycentric nodes `(P, k+1)`, weights of degree 2 order + 1, and of 2 order - 1 on the same nodes."""
    nodes, high, low = [], [], []
    for i in range(order + 1):
        scale = k + 2 * order + 1 - 2 * i
        for beta in _compositions(order - i, k + 1):
            nodes.append([(2 * part + 1) / scale for part in beta])
            high.append(_rule_weight(k, order, i))
            low.append(_rule_weight(k, order - 1, i - 1) if i else 0.0)
    return np.array(nodes), np.array(high), np.array(low)


def _rule_weight(k: int, order: int, i: int) -> float:
    numerator = (-1) ** i * (k + 2 * order + 1 - 2 * i) ** (2 * order + 1) * math.factorial(k)
    return float(Fraction(numerator, 4**order * math.factorial(i) * math.factorial(k + 2 * order + 1 - i)))


def _compositions(total: int, parts: int) -> Iterator[tuple[int, ...]]:
    """All tuples of that many nonnegative integers with that sum."""
    if parts == 1:
        yield (total,)
        return
    for first in range(total + 1):
        for rest in _compositions(total - first, parts - 1):
            yield (first, *rest)
