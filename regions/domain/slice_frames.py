"""Frames of slices: orthonormal directions, and which bounds of the inputs are sides of a slice.

What a slice is, and how its points and directions are chosen, is in `slices`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from regions.domain.intrinsic import FloatArray, check_order, float_array
from regions.domain.starting_polytope import exact_polytope
from regions.errors import InvalidDomainError

FLAT_TOLERANCE = (
    1e-12  # relative height of a simplex that still spans as many dimensions as it has directions
)
BOUND_TOLERANCE = 1e-12  # relative to an input's size: bounds closer than this are one side


def orthonormal(vectors: Sequence[FloatArray], what: str) -> FloatArray:
    """Return orthonormal columns (n0, k) that span k vectors, the first j of them the first j vectors.

    Raises
    ------
    InvalidDomainError
        With `what` is wrong, if the vectors are dependent up to rounding, or overflow.

    Examples
    --------
    >>> orthonormal([np.array([0.0, 2.0, 0.0]), np.array([0.0, 1.0, 1.0])], "they are parallel").T.tolist()
    [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    k = len(vectors)
    needed = "a plane" if k == 2 else f"{k} independent directions"
    reach = [float(np.max(np.abs(w))) for w in vectors]
    if not all(np.isfinite(reach)):
        raise InvalidDomainError("the slice's directions overflow; scale the points down")
    if vectors[0].size < k or 0.0 in reach:
        raise InvalidDomainError(f"{what}; a slice needs {needed}")
    # Gram-Schmidt, not Householder: a coordinate that is 0 in all vectors stays exactly 0, so a
    # pixel that is constant on the slice does not cut it when the slice is clipped.
    columns: list[FloatArray] = []
    for vector, size in zip(vectors, reach, strict=True):
        column = vector / size
        length = np.linalg.norm(column)
        if not columns:
            columns.append(column / length)
            continue
        for _ in range(2):
            column = _without(columns, column)
        if np.linalg.norm(column) <= FLAT_TOLERANCE * length:
            raise InvalidDomainError(f"{what}; a slice needs {needed}")
        column = _without(columns, column / np.linalg.norm(column))
        columns.append(column / np.linalg.norm(column))
    return np.stack(columns, axis=1) + 0.0  # no negative zeros


def _without(columns: list[FloatArray], vector: FloatArray) -> FloatArray:
    """Return the vector without its parts along orthonormal columns."""
    for column in columns:
        vector = vector - (column @ vector) * column
    return vector


def cube_sides(half_width: float, dimension: int) -> tuple[FloatArray, FloatArray, tuple[str, ...]]:
    """Return the halfspaces |t_j| <= half_width of k coordinates with their names.

    They are in the order of those of a `Box`: counterclockwise for k = 2.
    """
    h = half_width
    order = [(j, upper) for j in range(dimension) for upper in (False, True)]
    if dimension == 2:
        order = [(1, False), (0, True), (1, True), (0, False)]
    A = np.zeros((2 * dimension, dimension))
    for row, (j, upper) in enumerate(order):
        A[row, j] = 1.0 if upper else -1.0
    names = tuple(f"t{j} = {h if upper else -h:g}" for j, upper in order)
    return A, np.full(2 * dimension, h), names


def clip_halfspaces(
    origin: FloatArray,
    basis: FloatArray,
    half_width: float,
    clip: tuple[npt.ArrayLike, npt.ArrayLike],
) -> tuple[FloatArray, FloatArray, FloatArray, tuple[str, ...]]:
    """Return those halfspaces of low <= origin + basis @ t <= high that may touch the cube.

    Those that clearly miss |t| <= half_width are left out by a float test with a margin far above
    rounding; what remains is decided exactly by `solve`. Also returns how far each may be overstepped
    before it counts as a side of its own.

    Raises
    ------
    InvalidDomainError
        If the clip is no pair of bounds, or misses the whole slice.
    """
    if len(clip) != 2:
        raise InvalidDomainError(f"clip holds {len(clip)} parts; it must be (low, high)")
    bounds = [float_array(part, name) for part, name in zip(clip, ("low", "high"), strict=True)]
    for name, bound in zip(("low", "high"), bounds, strict=True):
        if bound.shape not in ((), origin.shape):
            raise InvalidDomainError(f"clip {name} has shape {bound.shape}; give a number or {origin.shape}")
        if np.any(np.isnan(bound)):
            raise InvalidDomainError(f"clip {name} holds NaN")
    low, high = (np.broadcast_to(bound, origin.shape) for bound in bounds)
    check_order(low, high, "clip box")
    reach = half_width * np.abs(basis).sum(axis=1) * (1 + 1e-9)
    kept, offsets, slack, names = [], [], [], []
    for k in range(origin.size):
        for sign, bound in ((-1.0, low[k]), (1.0, high[k])):
            offset = sign * (bound - origin[k])
            if offset > reach[k] or np.isinf(offset):
                continue
            if offset < 0 and not np.any(basis[k]):
                raise InvalidDomainError(
                    f"the clip is empty: input {k} is {origin[k]:g} on the whole slice, "
                    f"outside [{low[k]:g}, {high[k]:g}]"
                )
            if np.any(basis[k]):
                kept.append(sign * basis[k])
                offsets.append(offset)
                slack.append(BOUND_TOLERANCE * (abs(bound) + abs(origin[k]) + reach[k]))
                names.append(f"x{k} = {bound:g}")
    rows = np.reshape(kept, (-1, basis.shape[1]))
    return rows, np.array(offsets), np.array(slack), tuple(names)


def without_slivers(A: FloatArray, b: FloatArray, slack: FloatArray, half_width: float) -> list[int]:
    """Return the rows of {t : A t <= b}, a part of a cube, that the others do not imply up to `slack`.

    Three images that share black pixels give many bounds on the same line but for rounding, and their exact
    polygon has edges of length 1e-17 there. In the plane the least needed row is dropped as long as
    the corner that replaces it oversteps no given row by more than its slack; in other dimensions a row is
    dropped that a single other one implies in the cube, up to slack.
    """
    return _needed_sides(A, b, slack) if A.shape[1] == 2 else _unlike_rows(A, b, slack, half_width)


def _needed_sides(A: FloatArray, b: FloatArray, slack: FloatArray) -> list[int]:
    ring = list(exact_polytope(A, b).rows)
    while len(ring) > 3:
        candidates = []
        for k in range(len(ring)):
            before, after = ring[k - 1], ring[(k + 1) % len(ring)]
            turn = float(A[before, 0] * A[after, 1] - A[before, 1] * A[after, 0])
            if turn <= 0.0:  # the neighbours do not meet beyond this side
                continue
            x = (b[before] * A[after, 1] - b[after] * A[before, 1]) / turn
            y = (A[before, 0] * b[after] - A[after, 0] * b[before]) / turn
            excess = float(np.max((A @ np.array([x, y]) - b) / slack))
            candidates.append((excess, k))
        excess, k = min(candidates, default=(np.inf, 0))
        if not excess <= 1.0:
            break
        del ring[k]
    return sorted(ring)


def _unlike_rows(A: FloatArray, b: FloatArray, slack: FloatArray, half_width: float) -> list[int]:
    """Return the rows that no row kept before them implies, with a positive factor, in |t| <= half_width.

    A row of larger norm is cleaner, so the rows are gone through in that order.
    """
    squares = np.square(A).sum(axis=1)
    kept: list[int] = []
    for row in np.argsort(-squares, kind="stable").tolist():
        others = np.array(kept, dtype=np.int64)
        factors = A[others] @ A[row] / squares[others]
        rests = np.abs(A[row] - factors[:, None] * A[others]).sum(axis=1) * half_width
        excess = rests - (b[row] - factors * b[others])
        if not np.any((factors > 0.0) & (excess <= slack[row])):
            kept.append(row)
    return sorted(kept)
