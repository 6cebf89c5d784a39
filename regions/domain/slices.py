"""`Slice`: a convex polytope in an affine subspace of the input space; in a plane, a polygon.

How the subspace is chosen (points, directions, principal axes, generators); its frames and clipping are in
`slice_frames`, and the exact polytope comes from `intrinsic.solve`.
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
    halfspace_arrays,
    solve,
    store,
)
from regions.domain.slice_frames import (
    BOUND_TOLERANCE,
    FLAT_TOLERANCE,
    clip_halfspaces,
    cube_sides,
    orthonormal,
    without_slivers,
)
from regions.errors import InvalidDomainError

MOST_DIMENSIONS = 8  # a cube has 2**d vertices
_ORTHONORMAL_TOLERANCE = 1e-9  # on |basis.T @ basis - I|


@dataclass(frozen=True, eq=False, init=False)
class Slice(Domain):
    """A convex polytope in an affine subspace of 1 to 8 dimensions, in a plane a polygon.

    Usually made by `Slice.through`, `Slice.around`, `Slice.pca` or `Slice.spanned`. It is exactly what
    the stored floats say: x = origin + basis @ t for the t with A @ t <= b. In the first three, a
    clip bound becomes a row with a rounded b; bounds that agree to 1e-12 become one side.

    Parameters
    ----------
    origin : (n0,) numbers
    basis : (n0, k) numbers, k from 1 to 8 and at most n0, orthonormal columns (to 1e-9)
    polygon : (A (m, k), b (m,)), the halfspaces A @ t <= b; redundant ones are dropped
    names : m strings, optional, for `side_names`

    Raises
    ------
    InvalidDomainError
        On other shapes, NaN or infinity, a basis that is not orthonormal, or a polytope
        that is empty, unbounded or flat.
    BudgetExceededError
        If the polytope has more than 20,000 vertices.

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
        k = basis.shape[-1] if basis.ndim == 2 else 0
        if (
            origin.ndim != 1
            or basis.shape != (origin.size, k)
            or not 1 <= k <= min(origin.size, MOST_DIMENSIONS)
        ):
            raise InvalidDomainError(
                f"origin has shape {origin.shape} and basis has shape {basis.shape}; a slice needs (n0,) "
                f"and (n0, k) with k from 1 to {MOST_DIMENSIONS} and at most n0"
            )
        error = float(np.max(np.abs(basis.T @ basis - np.eye(k))))
        if not error <= _ORTHONORMAL_TOLERANCE:
            raise InvalidDomainError(
                f"basis.T @ basis differs from the identity by {error:.3g}; use orthonormal "
                "columns, or Slice.around, which makes them"
            )
        A, b = halfspace_arrays(polygon, k)
        shape = solve(A, b, None if names is None else tuple(names))
        store(self, origin=origin, basis=basis, polygon=(shape.A, shape.b))
        store(self, names=shape.side_names, _shape=shape)

    @classmethod
    def through(
        cls,
        *points: npt.ArrayLike,
        margin: float = 0.1,
        clip: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
    ) -> Slice:
        """Take the plane of three points, or the subspace of k + 1, in a square or cube that holds them.

        Parameters
        ----------
        points : 2 to 9 of (n0,) numbers; the first basis vector points from the first to the second
        margin : >= 0; the cube's side is (1 + margin) times the points' largest extent
        clip : (low, high), numbers or (n0,) arrays, optional bounds of the input

        Raises
        ------
        InvalidDomainError
            If the points span fewer than k dimensions (three points: are collinear), or as for `Slice`.

        Examples
        --------
        >>> Slice.through([0, 0, 0], [4, 0, 0], [0, 0, 2]).describe()
        'Slice of 3 input dimensions, 4 sides, area 19.36'
        >>> Slice.through([0, 0, 0, 0], [2, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], margin=0.0).describe()
        'Slice of 4 input dimensions in 3, 6 sides, volume 8'
        """
        _check_count(len(points) - 1, f"{len(points)} points")
        corners = [finite_array(x, f"x{k}") for k, x in enumerate(points)]
        if corners[0].ndim != 1 or any(p.shape != corners[0].shape for p in corners):
            shapes = [p.shape for p in corners]
            count = "three" if len(points) == 3 else len(points)
            raise InvalidDomainError(f"the {count} points have shapes {shapes}; they must be (n0,)")
        if not (np.isfinite(margin) and margin >= 0):
            raise InvalidDomainError(f"margin is {margin}; it must be a number >= 0")
        steps = [corner - corners[0] for corner in corners[1:]]
        flat = f"the {len(points)} points span fewer than {len(steps)} dimensions"
        basis = orthonormal(steps, "the three points are collinear" if len(steps) == 2 else flat)
        inside = np.stack([np.zeros(len(steps)), *(step @ basis for step in steps)])
        low, high = inside.min(axis=0), inside.max(axis=0)
        origin = corners[0] + basis @ ((low + high) / 2)
        half_width = (1.0 + margin) * float(np.max(high - low)) / 2
        return cls._cube(origin, basis, half_width, clip)

    @classmethod
    def around(
        cls,
        center: npt.ArrayLike,
        directions: Sequence[npt.ArrayLike],
        half_width: float,
        clip: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
    ) -> Slice:
        """Take the square or cube |t| <= half_width around a point, along 1 to 8 directions.

        Parameters
        ----------
        center : (n0,) numbers
        directions : (n0,) arrays that span the subspace; orthonormalised in this order
        half_width : > 0, in input units
        clip : (low, high), numbers or (n0,) arrays, optional bounds of the input

        Raises
        ------
        InvalidDomainError
            If the directions are dependent (two: parallel or zero), or as for `Slice`.

        Examples
        --------
        >>> Slice.around([0, 0, 0], ([0, 2, 0], [0, 1, 1]), half_width=0.5).basis.T.tolist()
        [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
        """
        center = finite_array(center, "center")
        _check_count(len(directions), f"directions holds {len(directions)} vectors")
        vectors = [finite_array(v, f"directions[{k}]") for k, v in enumerate(directions)]
        if center.ndim != 1 or any(v.shape != center.shape for v in vectors):
            shapes = [v.shape for v in vectors]
            raise InvalidDomainError(
                f"center has shape {center.shape} and the directions {shapes}; all must be (n0,)"
            )
        return cls._cube(center, orthonormal(vectors, _dependent("directions", vectors)), half_width, clip)

    @classmethod
    def pca(
        cls,
        data: npt.ArrayLike,
        center: npt.ArrayLike | None = None,
        *,
        half_width: float,
        clip: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
        dimension: int = 2,
    ) -> Slice:
        """Take the square or cube around `center` (default: the mean) along the data's first principal axes.

        Parameters
        ----------
        data : (N, n0) numbers, N > dimension
        center, half_width, clip : as for `Slice.around`
        dimension : how many axes, 1 to 8

        Raises
        ------
        InvalidDomainError
            If the data span fewer dimensions, or as for `Slice`.

        Examples
        --------
        >>> cloud = [[0, 3, 0], [0, -3, 0], [1, 0, 0], [-1, 0, 0]]
        >>> Slice.pca(cloud, half_width=2.0).basis.T.round(12).tolist()
        [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]
        """
        cloud, k = finite_array(data, "data"), dimension
        _check_count(k, f"dimension is {k}")
        if cloud.ndim != 2 or cloud.shape[0] < k + 1 or cloud.shape[1] < k:
            raise InvalidDomainError(
                f"data has shape {cloud.shape}; PCA needs (N, n0) with N >= {k + 1} points, n0 >= {k}"
            )
        constant = np.all(cloud == cloud[0], axis=0)
        mean = np.where(constant, cloud[0], cloud.mean(axis=0))
        _, singular, axes = np.linalg.svd(cloud - mean, full_matrices=False)
        axes[:, constant] = 0.0  # exactly: see orthonormal
        if not singular[k - 1] > FLAT_TOLERANCE * singular[0]:
            found = "lie on one line; PCA needs a plane" if k == 2 else f"span fewer than {k} dimensions"
            raise InvalidDomainError(f"all data points {found}")
        signs = [1.0 if axis[np.argmax(np.abs(axis))] > 0 else -1.0 for axis in axes[:k]]
        along = [axis * sign for axis, sign in zip(axes, signs, strict=False)]
        return cls.around(mean if center is None else center, along, half_width, clip)

    @classmethod
    def spanned(
        cls,
        origin: npt.ArrayLike,
        generators: npt.ArrayLike,
        low: npt.ArrayLike = -1.0,
        high: npt.ArrayLike = 1.0,
    ) -> Slice:
        """Take the affine image of a box: all origin + generators @ s with low <= s <= high.

        Its intrinsic coordinates are orthonormal ones, the first along the first generator, in which the box
        is a parallelotope with rounded sides; volumes are those in the input space, sqrt(det(G.T @ G)) times
        the box's. A frame that is orthonormal already is a `FrameBox`, of any dimension.

        Parameters
        ----------
        origin : (n0,) numbers
        generators : (n0, k) numbers, linearly independent columns, k from 1 to 8
        low, high : numbers or (k,)

        Raises
        ------
        InvalidDomainError
            On other shapes, low >= high, or if the generators are dependent.

        Examples
        --------
        >>> parallelogram = Slice.spanned([1, 1, 1], [[2, 1], [0, 1], [0, 0]], low=0, high=1)
        >>> parallelogram.volume, parallelogram.contains(parallelogram.to_intrinsic([2.5, 1.5, 1]))
        (2.0, True)
        >>> parallelogram.side_names
        ('s0 = 0', 's1 = 0', 's0 = 1', 's1 = 1')
        """
        origin, G = finite_array(origin, "origin"), finite_array(generators, "generators")
        if origin.ndim != 1 or G.ndim != 2 or G.shape[0] != origin.size:
            raise InvalidDomainError(
                f"origin has shape {origin.shape} and generators {G.shape}; they must be (n0,) and (n0, k)"
            )
        k = G.shape[1]
        _check_count(k, f"there are {k} generators")
        bounds = [finite_array(bound, name) for bound, name in ((low, "low"), (high, "high"))]
        if any(bound.shape not in ((), (k,)) for bound in bounds):
            raise InvalidDomainError(
                f"low and high have shapes {bounds[0].shape} and {bounds[1].shape}; "
                f"give one number, or one for each of the {k} generators"
            )
        lows, highs = (np.broadcast_to(bound, (k,)) for bound in bounds)
        check_order(lows, highs, "box of the generators")
        basis = orthonormal(list(G.T), _dependent("generators", list(G.T)))
        inverse = np.linalg.inv(basis.T @ G)
        names = [f"s{j} = {bound[j]:g}" for bound in (lows, highs) for j in range(k)]
        return cls(origin, basis, (np.vstack([-inverse, inverse]), np.concatenate([-lows, highs])), names)

    @classmethod
    def _cube(
        cls,
        origin: FloatArray,
        basis: FloatArray,
        half_width: float,
        clip: tuple[npt.ArrayLike, npt.ArrayLike] | None,
    ) -> Slice:
        h, k = float(half_width), basis.shape[1]
        if not (np.isfinite(h) and h > 0):
            raise InvalidDomainError(f"half_width is {half_width}; it must be a number > 0")
        A, b, names = cube_sides(h, k)
        if clip is None:
            return cls(origin, basis, (A, b), names)
        rows, bounds, slack, clip_names = clip_halfspaces(origin, basis, h, clip)
        A, b = np.vstack([A, rows]), np.concatenate([b, bounds])
        slack = np.concatenate([np.full(2 * k, BOUND_TOLERANCE * h), slack])
        try:
            kept = without_slivers(A, b, slack, h)
            return cls(origin, basis, (A[kept], b[kept]), [(names + clip_names)[k] for k in kept])
        except InvalidDomainError as error:
            what = "square" if k == 2 else "cube"
            raise InvalidDomainError(
                f"the clip box does not meet the inside of the slice's {what}: move the "
                f"slice or widen the clip ({error})"
            ) from error

    def describe(self) -> str:
        """Say in one line what this is."""
        sides, n0, k = len(self.side_names), self.input_dim, self.dimension
        size = "area" if k == 2 else "length" if k == 1 else "volume"
        within = "" if k == 2 else f" in {k}"
        return f"Slice of {n0} input dimensions{within}, {sides} sides, {size} {self.volume:.6g}"

    def to_dict(self) -> dict[str, Any]:
        return {
            "kind": "slice",
            "origin": self.origin.tolist(),
            "basis": self.basis.tolist(),
            "polygon": [part.tolist() for part in self.polygon],
            "names": list(self.side_names),
        }


def _check_count(k: int, found: str) -> None:
    """Raise InvalidDomainError unless k is a number of dimensions that slices have."""
    if not 1 <= k <= MOST_DIMENSIONS:
        raise InvalidDomainError(
            f"{found}; a slice has 1 to {MOST_DIMENSIONS} dimensions, through one point more"
        )


def _dependent(what: str, vectors: Sequence[FloatArray]) -> str:
    """Say what is wrong with directions that do not span as many dimensions."""
    if len(vectors) == 2:
        return f"the two {what} are parallel or zero"
    return f"the {len(vectors)} {what} are dependent"
