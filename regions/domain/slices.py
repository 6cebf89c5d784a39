"""`Slice`: a convex polygon in a plane through an input space of any dimension.

How the plane is chosen (three points, two directions, principal axes) and how it is
clipped to input bounds; the exact polygon itself comes from `intrinsic.solve`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from regions.domain.intrinsic import (
    Domain,
    FloatArray,
    check_order,
    finite_array,
    float_array,
    halfspace_arrays,
    solve,
    store,
)
from regions.domain.starting_polytope import exact_polytope
from regions.errors import InvalidDomainError

_ORTHONORMAL_TOLERANCE = 1e-9  # on |basis.T @ basis - I|
_COLLINEAR_TOLERANCE = 1e-12  # relative height of a triangle that still spans a plane
_BOUND_TOLERANCE = 1e-12  # relative to an input's size: bounds closer than this are one side


@dataclass(frozen=True, eq=False, init=False)
class Slice(Domain):
    """A convex polygon in a two-dimensional plane of the input space.

    Usually made by `Slice.through`, `Slice.around` or `Slice.pca`. It is exactly what the
    stored floats say: x = origin + basis @ t for the t with A @ t <= b. In those three, a
    clip bound becomes a row with a rounded b; bounds that agree to 1e-12 become one side.

    Parameters
    ----------
    origin : (n0,) numbers, n0 >= 2
    basis : (n0, 2) numbers, orthonormal columns (to 1e-9)
    polygon : (A (m, 2), b (m,)), the halfspaces A @ t <= b; redundant ones are dropped
    names : m strings, optional, for `side_names`

    Raises
    ------
    InvalidDomainError
        On other shapes, NaN or infinity, a basis that is not orthonormal, or a polygon
        that is empty, unbounded or flat.

    Examples
    --------
    >>> data = Slice.through([0, 0, 0], [1, 0, 0], [0, 1, 0], margin=0.0, clip=(0, 0.75))
    >>> data.volume, data.to_intrinsic([0.5, 0.5, 0]).tolist(), data.side_names
    (0.5625, [0.0, 0.0], ('t1 = -0.5', 'x0 = 0.75', 'x1 = 0.75', 't0 = -0.5'))
    """

    origin: FloatArray
    basis: FloatArray
    polygon: tuple[FloatArray, FloatArray]
    names: tuple[str, ...]

    def __init__(
        self,
        origin: npt.ArrayLike,
        basis: npt.ArrayLike,
        polygon: tuple[npt.ArrayLike, npt.ArrayLike],
        names: Sequence[str] | None = None,
    ) -> None:
        origin = finite_array(origin, "origin")
        basis = finite_array(basis, "basis")
        if origin.ndim != 1 or basis.shape != (origin.size, 2) or origin.size < 2:
            raise InvalidDomainError(
                f"origin has shape {origin.shape} and basis has shape {basis.shape}; "
                "a slice needs (n0,) and (n0, 2) with n0 >= 2"
            )
        error = float(np.max(np.abs(basis.T @ basis - np.eye(2))))
        if not error <= _ORTHONORMAL_TOLERANCE:
            raise InvalidDomainError(
                f"basis.T @ basis differs from the identity by {error:.3g}; use orthonormal "
                "columns, or Slice.around, which makes them"
            )
        A, b = halfspace_arrays(polygon, 2)
        shape = solve(A, b, None if names is None else tuple(names))
        store(self, origin=origin, basis=basis, polygon=(shape.A, shape.b))
        store(self, names=shape.side_names, _shape=shape)

    @classmethod
    def through(
        cls,
        x0: npt.ArrayLike,
        x1: npt.ArrayLike,
        x2: npt.ArrayLike,
        margin: float = 0.1,
        clip: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
    ) -> Slice:
        """Take the plane of three points, in a square that holds them.

        Parameters
        ----------
        x0, x1, x2 : (n0,) numbers; the first basis vector points from x0 to x1
        margin : >= 0; the square's side is (1 + margin) times the points' larger extent
        clip : (low, high), numbers or (n0,) arrays, optional bounds of the input

        Raises
        ------
        InvalidDomainError
            If the points are collinear, or as for `Slice`.

        Examples
        --------
        >>> Slice.through([0, 0, 0], [4, 0, 0], [0, 0, 2]).describe()
        'Slice of 3 input dimensions, 4 sides, area 19.36'
        """
        points = [finite_array(x, f"x{k}") for k, x in enumerate((x0, x1, x2))]
        if points[0].ndim != 1 or any(p.shape != points[0].shape for p in points):
            shapes = [p.shape for p in points]
            raise InvalidDomainError(f"the three points have shapes {shapes}; they must be (n0,)")
        if not (np.isfinite(margin) and margin >= 0):
            raise InvalidDomainError(f"margin is {margin}; it must be a number >= 0")
        steps = points[1] - points[0], points[2] - points[0]
        basis = _orthonormal(*steps, what="the three points are collinear")
        planar = np.stack([np.zeros(2), steps[0] @ basis, steps[1] @ basis])
        low, high = planar.min(axis=0), planar.max(axis=0)
        origin = points[0] + basis @ ((low + high) / 2)
        half_width = (1.0 + margin) * float(np.max(high - low)) / 2
        return cls._square(origin, basis, half_width, clip)

    @classmethod
    def around(
        cls,
        center: npt.ArrayLike,
        directions: tuple[npt.ArrayLike, npt.ArrayLike],
        half_width: float,
        clip: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
    ) -> Slice:
        """Take the square |t0|, |t1| <= half_width around a point, along two directions.

        Parameters
        ----------
        center : (n0,) numbers
        directions : two (n0,) arrays that span the plane; orthonormalised in this order
        half_width : > 0, in input units
        clip : (low, high), numbers or (n0,) arrays, optional bounds of the input

        Raises
        ------
        InvalidDomainError
            If the directions are parallel or zero, or as for `Slice`.

        Examples
        --------
        >>> Slice.around([0, 0, 0], ([0, 2, 0], [0, 1, 1]), half_width=0.5).basis.T.tolist()
        [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
        """
        center = finite_array(center, "center")
        if len(directions) != 2:
            raise InvalidDomainError(f"directions holds {len(directions)} vectors; give two")
        pair = [finite_array(v, f"directions[{k}]") for k, v in enumerate(directions)]
        if center.ndim != 1 or any(v.shape != center.shape for v in pair):
            shapes = [v.shape for v in pair]
            raise InvalidDomainError(
                f"center has shape {center.shape} and the directions {shapes}; all must be (n0,)"
            )
        basis = _orthonormal(pair[0], pair[1], what="the two directions are parallel or zero")
        return cls._square(center, basis, half_width, clip)

    @classmethod
    def pca(
        cls,
        data: npt.ArrayLike,
        center: npt.ArrayLike | None = None,
        *,
        half_width: float,
        clip: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
    ) -> Slice:
        """Take the square around `center` (default: the mean) along the data's first two principal axes.

        Parameters
        ----------
        data : (N, n0) numbers, N >= 3
        center, half_width, clip : as for `Slice.around`

        Raises
        ------
        InvalidDomainError
            If the data do not span two dimensions, or as for `Slice`.

        Examples
        --------
        >>> cloud = [[0, 3, 0], [0, -3, 0], [1, 0, 0], [-1, 0, 0]]
        >>> Slice.pca(cloud, half_width=2.0).basis.T.round(12).tolist()
        [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]
        """
        cloud = finite_array(data, "data")
        if cloud.ndim != 2 or cloud.shape[0] < 3 or cloud.shape[1] < 2:
            raise InvalidDomainError(
                f"data has shape {cloud.shape}; PCA needs (N, n0) with N >= 3 points, n0 >= 2"
            )
        constant = np.all(cloud == cloud[0], axis=0)
        mean = np.where(constant, cloud[0], cloud.mean(axis=0))
        _, singular, axes = np.linalg.svd(cloud - mean, full_matrices=False)
        axes[:, constant] = 0.0  # exactly: see _orthonormal
        if singular[1] <= _COLLINEAR_TOLERANCE * singular[0]:
            raise InvalidDomainError("all data points lie on one line; PCA needs a plane")
        signs = [1.0 if axis[np.argmax(np.abs(axis))] > 0 else -1.0 for axis in axes[:2]]
        pair = (axes[0] * signs[0], axes[1] * signs[1])
        return cls.around(mean if center is None else center, pair, half_width, clip)

    @classmethod
    def _square(
        cls,
        origin: FloatArray,
        basis: FloatArray,
        half_width: float,
        clip: tuple[npt.ArrayLike, npt.ArrayLike] | None,
    ) -> Slice:
        h = float(half_width)
        if not (np.isfinite(h) and h > 0):
            raise InvalidDomainError(f"half_width is {half_width}; it must be a number > 0")
        A = np.array([[0.0, -1.0], [1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
        b = np.full(4, h)
        names = (f"t1 = {-h:g}", f"t0 = {h:g}", f"t1 = {h:g}", f"t0 = {-h:g}")
        if clip is None:
            return cls(origin, basis, (A, b), names)
        rows, bounds, slack, clip_names = _clip_halfspaces(origin, basis, h, clip)
        A, b = np.vstack([A, rows]), np.concatenate([b, bounds])
        slack = np.concatenate([np.full(4, _BOUND_TOLERANCE * h), slack])
        try:
            kept = _without_slivers(A, b, slack)
            return cls(origin, basis, (A[kept], b[kept]), [(names + clip_names)[k] for k in kept])
        except InvalidDomainError as error:
            raise InvalidDomainError(
                "the clip box does not meet the inside of the slice's square: move the "
                f"slice or widen the clip ({error})"
            ) from error

    def describe(self) -> str:
        """Say in one line what this is."""
        sides = len(self.side_names)
        n0 = self.input_dim
        return f"Slice of {n0} input dimensions, {sides} sides, area {self.volume:.6g}"

    def to_dict(self) -> dict[str, Any]:
        return {
            "kind": "slice",
            "origin": self.origin.tolist(),
            "basis": self.basis.tolist(),
            "polygon": [part.tolist() for part in self.polygon],
            "names": list(self.side_names),
        }


def _orthonormal(u: FloatArray, v: FloatArray, what: str) -> FloatArray:
    """Return orthonormal (n0, 2) columns that span u and v, the first one along u."""
    reach = [float(np.max(np.abs(w))) for w in (u, v)]
    if not all(np.isfinite(reach)):
        raise InvalidDomainError("the slice's directions overflow; scale the points down")
    if u.size < 2 or 0.0 in reach:
        raise InvalidDomainError(f"{what}; a slice needs a plane")
    # Gram-Schmidt, not Householder: a coordinate that is 0 in u and v stays exactly 0, so a
    # pixel that is constant on the slice does not cut it when the slice is clipped.
    first = u / reach[0]
    first = first / np.linalg.norm(first)
    second = v / reach[1]
    length = np.linalg.norm(second)
    for _ in range(2):
        second = second - (first @ second) * first
    if np.linalg.norm(second) <= _COLLINEAR_TOLERANCE * length:
        raise InvalidDomainError(f"{what}; a slice needs a plane")
    second = second / np.linalg.norm(second)
    second = second - (first @ second) * first
    return np.stack([first, second / np.linalg.norm(second)], axis=1) + 0.0  # no negative zeros


def _clip_halfspaces(
    origin: FloatArray,
    basis: FloatArray,
    half_width: float,
    clip: tuple[npt.ArrayLike, npt.ArrayLike],
) -> tuple[FloatArray, FloatArray, FloatArray, tuple[str, ...]]:
    """Return those halfspaces of low <= origin + basis @ t <= high that may touch the square.

    Those that clearly miss |t0|, |t1| <= half_width are left out by a float test with a
    margin far above rounding; what remains is decided exactly by `solve`. Also returns how
    far each may be overstepped before it counts as a side of its own.
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
                slack.append(_BOUND_TOLERANCE * (abs(bound) + abs(origin[k]) + reach[k]))
                names.append(f"x{k} = {bound:g}")
    return np.reshape(kept, (-1, 2)), np.array(offsets), np.array(slack), tuple(names)


def _without_slivers(A: FloatArray, b: FloatArray, slack: FloatArray) -> list[int]:
    """Return the rows of a polygon {t : A t <= b} that the others do not imply up to `slack`.

    Three images that share black pixels give many bounds on the same line but for rounding,
    and their exact polygon has edges of length 1e-17 there. The least needed row is dropped,
    as long as the corner that replaces it oversteps no given row by more than its slack.
    """
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
