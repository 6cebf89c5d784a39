"""Volumes of the parts of simplices that lie in a ball, with error bounds; arrays in, arrays out.

The ball around the origin turns a simplex into signed cones over its facets, and each facet into signed
cones over its own: two radial integrals are closed forms, what is left is one over (k-2)-faces. That is a
point for k = 2; for k = 3 an integral over edges, cut where they meet the sphere; beyond, adaptive cubature.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regions.density.integrals.simplex_integrals import bisect_longest_edges, embedded_rules, simplex_volumes
from regions.errors import BudgetExceededError

__all__ = ["volumes_in_ball"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_EPS = float(np.finfo(np.float64).eps)
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(14)
# simplices that are decomposed at once, and values of an integrand
_BLOCK = 4096
_CHUNK = 1 << 19
# factor on the error of pieces that cross the sphere; halved pieces showed up to 4
_AT_SPHERE = 8.0


def volumes_in_ball(
    vertices: FloatArray, center: FloatArray, radius: float, rtol: float, max_pieces: int
) -> tuple[FloatArray, FloatArray]:
    """k-volumes of the intersections of k-simplices with a ball.

    Closed forms for k <= 2. For k >= 3 adaptive cubature, until every error is at most rtol times the larger
    of the volume and the mean volume of a block of 4,096 simplices that cross the sphere.

    Parameters
    ----------
    vertices : (N, k+1, d) float64
    center : (d,) float64
    radius : float > 0
    rtol : float
    max_pieces : int, how many pieces the faces of one block may be cut into, beyond the faces

    Returns
    -------
    volumes : (N,) float64; for points (k = 0) 1 in the closed ball, else 0
    errors : (N,) float64, estimates of the rounding (k <= 2), and of the cubature too (k >= 3)

    Raises
    ------
    BudgetExceededError : if the tolerance is not reached within max_pieces

    Examples
    --------
    >>> triangle = np.array([[[0.0, 0.0], [9.0, 0.0], [0.0, 9.0]]])
    >>> volumes_in_ball(triangle, np.zeros(2), 2.0, 1e-9, 1000)[0] / np.pi
    array([1.])
    """
    count, corners, _ = vertices.shape
    k = corners - 1
    scaled = (vertices - center) / radius
    distances = np.linalg.norm(scaled, axis=2)
    inside = np.all(distances <= 1.0, axis=1)
    if k == 0:
        return inside.astype(np.float64), np.zeros(count)
    whole, whole_errors = simplex_volumes(vertices)
    volumes, errors = np.where(inside, (whole, whole_errors + 8.0 * k * _EPS * whole), 0.0)
    centroid = scaled.mean(axis=1)
    reach = np.linalg.norm(scaled - centroid[:, None], axis=2).max(axis=1, initial=0.0)
    far = np.linalg.norm(centroid, axis=1) - reach > 1.0 + 8.0 * _EPS * distances.max(axis=1, initial=0.0)
    crossing = np.flatnonzero(~inside & ~far)
    unit = radius**k
    for start in range(0, len(crossing), _BLOCK):
        rows = crossing[start : start + _BLOCK]
        parts = _on_segments(scaled[rows]) if k == 1 else _by_cones(scaled[rows], rtol, max_pieces)
        # rounding hides on which side of a flat simplex's facet the rest of it lies
        flat = whole[rows] <= 64.0 * whole_errors[rows]
        bound = whole[rows] + whole_errors[rows]
        volumes[rows] = np.minimum(unit * parts[0], whole[rows])
        errors[rows] = np.where(flat, bound, unit * (parts[1] + 4.0 * k * _EPS * parts[0]))
    return volumes, errors


def _on_segments(segments: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Lengths in the unit ball of segments (N, 2, d)."""
    edge = segments[:, 1] - segments[:, 0]
    length = np.linalg.norm(edge, axis=1)
    direction = edge / np.where(length > 0.0, length, 1.0)[:, None]
    foot = -(segments[:, 0] * direction).sum(axis=1)
    height = np.square(segments[:, 0] + foot[:, None] * direction).sum(axis=1)
    blur = 16.0 * _EPS * np.square(segments).sum(axis=2).max(axis=1)
    half, most = np.sqrt(np.maximum(1.0 - height, 0.0)), np.sqrt(np.maximum(1.0 - height + blur, 0.0))
    inside = np.minimum(foot + half, length) - np.maximum(foot - half, 0.0)
    reach = np.abs(foot) + length
    error = np.where(most > 0.0, np.minimum(2.0 * (most - half) + 8.0 * _EPS * reach, length), 0.0)
    return np.where(half > 0.0, np.maximum(inside, 0.0), 0.0), error


def _by_cones(simplices: FloatArray, rtol: float, max_pieces: int) -> tuple[FloatArray, FloatArray]:
    """Volumes in the unit ball of k-simplices (N, k+1, d), k >= 2."""
    count, corners, dimension = simplices.shape
    k = corners - 1
    first = simplices[:, 0]
    edges = simplices[:, 1:] - first[:, None]
    orthogonal, triangular = np.linalg.qr(edges.transpose(0, 2, 1))
    # the origin of the simplex's own coordinates is the centre's foot in its plane
    along = np.einsum("ndk,nd->nk", orthogonal, first)
    height = np.square(first - np.einsum("ndk,nk->nd", orthogonal, along)).sum(axis=1)
    height = np.zeros(count) if k == dimension else height
    blur = 16.0 * _EPS * np.square(simplices).sum(axis=2).max(axis=1)
    # radius of the ball's section with that plane, and the most that rounding makes of it
    section = np.sqrt(np.maximum(1.0 - height, 0.0))
    most = np.sqrt(np.maximum(1.0 - height + (0.0 if k == dimension else blur), 0.0))
    ball = math.pi ** (0.5 * k) / math.gamma(0.5 * k + 1.0)
    errors: FloatArray = ball * (most**k - section**k)
    volumes = np.zeros(count)
    met = np.flatnonzero(section > 0.0)
    own = np.concatenate([np.zeros((count, 1, k)), triangular.transpose(0, 2, 1)], axis=1) + along[:, None]
    pieces = _faces_of_faces(own[met] / section[met, None, None], section[met] ** k)
    sums, spread = _add_up(pieces, len(met), rtol, max_pieces)
    volumes[met] = np.clip(sums, 0.0, ball * section[met] ** k)
    errors[met] += spread
    return volumes, errors


@dataclass(frozen=True)
class _Pieces:
    """Pieces of (k-2)-faces of k-simplices, each with its facet's and its own distance to the origin.

    Coordinates `at` (P, k-1, k-2) are those around the origin's foot in the face. The integral over the
    simplex `owner` is the sum of weight * average of the integrand; `blur` is the rounding of the weight.
    """

    at: FloatArray
    outer: FloatArray
    inner: FloatArray
    weight: FloatArray
    blur: FloatArray
    owner: IntArray

    def take(self, rows: NDArray[Any]) -> _Pieces:
        """Some of the pieces."""
        return _Pieces(*(getattr(self, part.name)[rows] for part in fields(self)))

    def join(self, other: _Pieces) -> _Pieces:
        """These pieces, then others."""
        names = [part.name for part in fields(self)]
        return _Pieces(*(np.concatenate([getattr(self, name), getattr(other, name)]) for name in names))

    def with_parts(self, at: FloatArray, share: FloatArray | float) -> _Pieces:
        """The same number of pieces that are parts of these."""
        return replace(self, at=at, weight=share * self.weight, blur=share * self.blur)


def _faces_of_faces(simplices: FloatArray, units: FloatArray) -> _Pieces:
    """All (k-2)-faces of simplices (N, k+1, k), once for each of the facets that they are in."""
    count, corners, k = simplices.shape
    facets, outer = _cone_bases(simplices)
    faces, inner = _cone_bases(facets)
    outer = np.repeat(outer, corners - 1)
    owner = np.repeat(np.arange(count), corners * (corners - 1))
    volumes, errors = simplex_volumes(faces)
    reach = np.square(simplices).sum(axis=2).max(axis=1, initial=0.0)[owner]
    weight = outer * inner * volumes * units[owner] / k
    blur = reach * (16.0 * k * _EPS * volumes + errors) * units[owner] / k
    pieces = _Pieces(faces, np.abs(outer), np.abs(inner), weight, blur, owner)
    return _cut_edges_at_sphere(pieces) if k == 3 else pieces


def _cone_bases(simplices: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Facets of simplices (M, q+1, q) as bases of cones from the origin.

    Returns
    -------
    facets : (M (q+1), q, q-1), in coordinates around the origin's foot in each
    heights : (M (q+1),) distances to the origin, negative where the cone is to be subtracted
    """
    corners, q = simplices.shape[1:]
    keep = np.array([[j for j in range(corners) if j != i] for i in range(corners)])
    facets = simplices[:, keep].reshape(-1, q, q)
    opposite = simplices.reshape(-1, q)
    if q == 1:
        frame = np.ones((len(facets), 1, 1))
    else:
        edges = facets[:, 1:] - facets[:, :1]
        frame = np.linalg.qr(edges.transpose(0, 2, 1), mode="complete")[0]
    normal = frame[:, :, -1]
    offset = (normal * facets[:, 0]).sum(axis=1)
    above = (normal * opposite).sum(axis=1) > offset
    return facets @ frame[:, :, :-1], np.where(above, -offset, offset)


def _cut_edges_at_sphere(pieces: _Pieces) -> _Pieces:
    """Edges cut where they pass the unit sphere: the integrand is smooth on each part."""
    ends = np.sort(pieces.at[:, :, 0], axis=1)
    half = np.sqrt(np.maximum(1.0 - pieces.outer**2 - pieces.inner**2, 0.0))
    low, high = ends[:, 0], ends[:, 1]
    cuts = [low, np.clip(-half, low, high), np.clip(half, low, high), high]
    length = np.where(high > low, high - low, 1.0)
    parts: _Pieces | None = None
    for a, b in pairwise(cuts):
        rows = np.flatnonzero(b > a)
        at = np.stack([a, b], axis=1)[rows, :, None]
        part = pieces.take(rows).with_parts(at, ((b - a) / length)[rows])
        parts = part if parts is None else parts.join(part)
    return pieces if parts is None else parts


def _add_up(pieces: _Pieces, count: int, rtol: float, max_pieces: int) -> tuple[FloatArray, FloatArray]:
    """Integrals over simplices, and their errors, by bisection of the pieces that need it."""
    started = len(pieces.owner)
    averages, differences = _apply_rule(pieces)
    while True:
        terms, misses = pieces.weight * averages, np.abs(pieces.weight) * differences
        sums = np.bincount(pieces.owner, terms, count).astype(np.float64)
        missed = np.bincount(pieces.owner, misses, count).astype(np.float64)
        blur = np.bincount(pieces.owner, pieces.blur * averages, count).astype(np.float64)
        floor = math.fsum(np.abs(sums).tolist()) / max(count, 1)
        target = rtol * np.maximum(np.abs(sums), floor) + blur
        still = missed > target
        if not still.any():
            return sums, missed + blur
        even = target / np.bincount(pieces.owner, minlength=count)
        cut = still[pieces.owner] & (misses > 0.5 * even[pieces.owner])
        if len(cut) + int(cut.sum()) > started + max_pieces:
            worst = float(missed.sum() / max(np.abs(sums).sum(), 1e-300))
            raise BudgetExceededError(
                f"cubature of {count} simplices that cross the sphere reached a relative error of "
                f"{worst:.1e}, not {rtol:.1e}, with {max_pieces} extra pieces; raise max_pieces or rtol of "
                "the density"
            )
        open_pieces = pieces.take(np.flatnonzero(cut))
        halves = open_pieces.join(open_pieces).with_parts(bisect_longest_edges(open_pieces.at), 0.5)
        new_averages, new_differences = _apply_rule(halves)
        pieces = pieces.take(np.flatnonzero(~cut)).join(halves)
        averages = np.append(averages[~cut], new_averages)
        differences = np.append(differences[~cut], new_differences)


def _apply_rule(pieces: _Pieces) -> tuple[FloatArray, FloatArray]:
    """Averages of the integrand over pieces, and their errors."""
    count, _, q = pieces.at.shape
    k = q + 2
    if q == 0:
        return _integrand(k, pieces.inner[:, None], pieces.outer)[:, 0], np.zeros(count)
    nodes, high, low = embedded_rules(q)[-1]
    averages, errors = np.empty(count), np.empty(count)
    step = max(1, _CHUNK // len(nodes))
    for start in range(0, count, step):
        part = slice(start, start + step)
        square = np.square(nodes @ pieces.at[part]).sum(axis=2) + pieces.inner[part, None] ** 2
        values = _integrand(k, np.sqrt(square), pieces.outer[part])
        averages[part] = values @ high
        errors[part] = np.abs(values @ (high - low)) + 4.0 * _EPS * (values @ np.abs(high))
    centre = pieces.at.mean(axis=1)
    width = np.linalg.norm(pieces.at - centre[:, None], axis=2).max(axis=1, initial=0.0)
    middle = np.linalg.norm(centre, axis=1)
    nearest = np.hypot(np.maximum(middle - width, 0.0), pieces.inner)
    farthest = np.hypot(middle + width, pieces.inner)
    border = np.sqrt(np.maximum(1.0 - pieces.outer**2, 0.0))
    # the integrand's second derivative jumps at the sphere: there rules agree better than they should
    errors[(nearest < border) & (border < farthest)] *= _AT_SPHERE if q > 1 else 1.0
    # two rules may agree by chance on a piece that is wide beside its distance to a singularity
    scale = np.where(border > 0.0, np.maximum(nearest, border), np.hypot(nearest, pieces.outer))
    wide = (width > (0.25 if q == 1 else 1.0) * scale) & (farthest > border)
    highest = _integrand(k, nearest[wide, None], pieces.outer[wide])[:, 0]
    errors[wide] = np.maximum(errors[wide], highest)
    return averages, errors


def _integrand(k: int, rho: FloatArray, height: FloatArray) -> FloatArray:
    """Integral of min(1, 1 / r^k) s^(k-2) over s from 0 to rho, over rho^(k-1); r^2 = s^2 + height^2.

    Parameters
    ----------
    rho : (P, n) float64, distances to the foot of the origin in the facet's plane
    height : (P,) float64 >= 0, distance of that plane
    """
    values = np.full(rho.shape, 1.0 / (k - 1))
    border = np.sqrt(np.maximum(1.0 - height * height, 0.0))
    row, column = np.nonzero(rho > border[:, None])
    s, h, start = np.maximum(rho[row, column], 1e-30), height[row], border[row]
    # with s = h tan(theta) the part outside the ball is that of sin(theta)^(k-2) / h
    wide = s - start
    tangent = wide / (h * h + s * start)
    swept = np.arctan(h * tangent)
    per_height = np.where(h > 0.0, swept / np.where(h > 0.0, h, 1.0), tangent)
    match k:
        case 2:
            outside = per_height
        case 3:
            near, far = np.hypot(h, start), np.hypot(h, s)
            outside = wide * (s + start) / ((near + far) * near * far)
        case _:
            theta = np.arctan2(start, h)[:, None] + swept[:, None] * (0.5 * (1.0 + _NODES))
            outside = per_height * (0.5 * (np.sin(theta) ** (k - 2) @ _WEIGHTS))
    values[row, column] = (start / s) ** (k - 1) / (k - 1) + outside / s ** (k - 1)
    return values
