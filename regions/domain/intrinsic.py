"""What all domains share: the `Domain` interface, the starting polytope, argument checks.

Each domain is x = origin + basis @ t for the t of a polytope {t : A t <= b}; its exact
vertices come from `exact_polytope`. The kinds of domain are in `shapes` and `slices`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from math import fsum
from typing import Any, Literal, NamedTuple, TypeVar, get_args

import numpy as np
import numpy.typing as npt

from regions.domain.starting_polytope import exact_polytope, parallelotope, simplex_volume, triangulate
from regions.errors import InvalidDomainError, check_choice
from regions.inputs import seeded, without_tensors
from regions.showing import Shown
from regions.showing.svg_pictures import outline_svg

FloatArray = npt.NDArray[np.float64]
Coordinates = Literal["input", "intrinsic"]
BoolArray = npt.NDArray[np.bool_]
_AnyArray = TypeVar("_AnyArray", bound=npt.NDArray[Any])


class StartingPolytope(NamedTuple):
    """What a `Domain` shows of its polytope, and a triangulation to sample from."""

    A: FloatArray
    b: FloatArray
    vertices: FloatArray
    incidence: BoolArray
    volume: float
    side_names: tuple[str, ...]
    simplices: npt.NDArray[np.int64]
    simplex_volumes: FloatArray
    edges: FloatArray | None = None  # (d, d), of a parallelotope, from its first vertex; it has no simplices


class Domain(Shown):
    """What every domain offers; make one with `Box`, `Segment`, `Slice`, `Polytope` or `WholeSpace`.

    Attributes
    ----------
    origin : (n0,) float64, input coordinates of t = 0
    basis : (n0, d) float64, x = origin + basis @ t

    Examples
    --------
    >>> from regions.domain import Box
    >>> box = Box([0, 0], [2, 1])
    >>> box.dimension, box.input_dim, box.volume, box.to_input([1, 1]).tolist()
    (2, 2, 2.0, [1.0, 1.0])
    """

    origin: FloatArray
    basis: FloatArray
    _shape: StartingPolytope

    @property
    def dimension(self) -> int:
        """Intrinsic dimension d."""
        return int(self.basis.shape[1])

    @property
    def input_dim(self) -> int:
        """Dimension n0 of the input space that the domain lies in."""
        return int(self.basis.shape[0])

    @cached_property
    def halfspaces(self) -> tuple[FloatArray, FloatArray]:
        """The irredundant halfspaces A @ t <= b, as (A (m, d), b (m,))."""
        return self._shape.A, self._shape.b

    @cached_property
    def vertices(self) -> FloatArray:
        """The vertices (nv, d), intrinsic, rounded from the exact ones; counterclockwise for d = 2."""
        return self._shape.vertices

    @cached_property
    def incidence(self) -> BoolArray:
        """Whether vertex i lies on the boundary of halfspace k, exactly: (nv, m) bool."""
        return self._shape.incidence

    @cached_property
    def volume(self) -> float:
        """The d-dimensional volume, in intrinsic units."""
        return self._shape.volume

    @cached_property
    def side_names(self) -> tuple[str, ...]:
        """A name for each of the m halfspaces, for people."""
        return self._shape.side_names

    @cached_property
    def n_sides(self) -> int:
        """The number m of halfspaces that bound the domain."""
        return len(self.halfspaces[1])

    @property
    def is_bounded(self) -> bool:
        """Whether the domain has a finite volume; `WholeSpace` and `Polyhedron` have not."""
        return True

    @cached_property
    def is_identity(self) -> bool:
        """Whether the intrinsic coordinates are the inputs themselves, so that `to_input` moves no point."""
        d = self.dimension
        return d == self.input_dim and not self.origin.any() and np.array_equal(self.basis, np.eye(d))

    @cached_property
    def is_axis_parallel(self) -> bool:
        """Whether the domain is {t : low <= t <= high}, exactly, for the floats that `bounds()` gives.

        Then its sides are bounds of single intrinsic coordinates, and its vertices are not rounded.
        """
        sizes = np.abs(self.halfspaces[0])
        return bool(np.all(np.count_nonzero(sizes, axis=1) == 1) and np.all(sizes.max(axis=1) == 1.0))

    def bounds(self) -> tuple[FloatArray, FloatArray]:
        """Return the least and the largest value of each intrinsic coordinate, low (d,) and high (d,).

        Rounded with the vertices; exact where the domain is axis-parallel.
        """
        return self.vertices.min(axis=0), self.vertices.max(axis=0)

    def sub_box(self, low: FloatArray, high: FloatArray) -> Domain | None:
        """Return the part with low <= t <= high, inside of the domain; None where the domain is no box."""
        return None

    def extent(self) -> FloatArray:
        """Return the largest absolute value (d,) of each intrinsic coordinate, as exact as `bounds()`."""
        low, high = self.bounds()
        return np.maximum(np.abs(low), np.abs(high))

    def interior_point(self) -> FloatArray:
        """Return an intrinsic point (d,) that is strictly inside and on no hyperplane of symmetry.

        It is a mean of the vertices with uneven weights, so that a domain which is thinner than the
        rounding of its vertices may lose it.
        """
        weights = 1.0 + 0.3 * np.sin(np.arange(self.vertices.shape[0]) + 1.0)
        return np.asarray(weights @ self.vertices / weights.sum())

    def to_input(self, t: npt.ArrayLike) -> FloatArray:
        """Return the input coordinates (N, n0) or (n0,) of intrinsic points (N, d) or (d,)."""
        points = _points(t, self.dimension, "t")
        return np.asarray(self.origin + points @ self.basis.T)

    def to_intrinsic(self, x: npt.ArrayLike) -> FloatArray:
        """Project input points (N, n0) or (n0,) to intrinsic coordinates (N, d) or (d,)."""
        points = _points(x, self.input_dim, "x")
        return np.asarray((points - self.origin) @ self.basis)

    def contains(self, t: npt.ArrayLike, tolerance: float = 0.0) -> Any:
        """Say whether intrinsic points lie in the domain: a bool for (d,), bool (N,) for (N, d).

        `tolerance` is the distance, in intrinsic units, that a point may lie outside
        each halfspace.
        """
        A, b = self.halfspaces
        reach = b + tolerance * np.linalg.norm(A, axis=1)
        inside = np.all(_points(t, self.dimension, "t") @ A.T <= reach, axis=-1)
        return bool(inside) if inside.ndim == 0 else inside

    @seeded
    def sample(self, n: int, rng: np.random.Generator) -> FloatArray:
        """Draw n independent uniform points, (n, d) intrinsic."""
        shape = self._shape
        if shape.edges is not None:
            return np.asarray(shape.vertices[0] + rng.random((n, self.dimension)) @ shape.edges)
        weights = shape.simplex_volumes / shape.simplex_volumes.sum()
        corners = shape.vertices[shape.simplices[rng.choice(len(weights), size=n, p=weights)]]
        barycentric = rng.dirichlet(np.ones(self.dimension + 1), size=n)
        return np.asarray(np.einsum("ni,nid->nd", barycentric, corners))

    def describe(self) -> str:
        """Say in one line what this is."""
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        """Describe the domain by numbers, lists and strings; `domain_from_dict` restores every bit."""
        raise NotImplementedError

    def _facts(self) -> dict[str, Any]:
        return {
            "dimension": f"{self.dimension}, in {self.input_dim} inputs",
            "sides": self.n_sides,
            "volume": self.volume,
        }

    def _picture(self) -> str:
        return outline_svg(self.vertices) if self.dimension == 2 and self.is_bounded else ""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Domain) and self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash((type(self).__name__, self.input_dim, self.dimension))

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        # copied and pickled arrays come back writable
        vars(self).update(state)
        lock_arrays(tuple(state.values()))


def check_coordinates(coordinates: str) -> None:
    """Raise InvalidInputError unless a string names the coordinates that points are given in."""
    check_choice("coordinates", coordinates, get_args(Coordinates))


def solve(A: FloatArray, b: FloatArray, names: tuple[str, ...] | None) -> StartingPolytope:
    """Solve {t : A t <= b} for its irredundant rows, its vertices with exact incidence, and its volume.

    Raises
    ------
    InvalidDomainError
        If it is empty, unbounded or flat, or if there are not as many names as rows.

    Examples
    --------
    >>> interval = solve(np.array([[1.0], [-1.0], [1.0]]), np.array([2.0, 0.0, 5.0]), None)
    >>> interval.A.ravel().tolist(), interval.volume, interval.side_names
    ([1.0, -1.0], 2.0, ('halfspace 0', 'halfspace 1'))
    """
    if names is not None and len(names) != len(b):
        raise InvalidDomainError(f"{len(names)} side names for {len(b)} halfspaces")
    edges = None
    skew = parallelotope(A, b) if A.shape[1] > 2 else None
    simplices: list[tuple[int, ...]] = []
    volumes = []
    if skew is not None:  # as many simplices as d! are not wanted
        exact, volumes = skew.polytope, [skew.volume]
    else:
        exact = exact_polytope(A, b)
        simplices = triangulate(exact)
        volumes = [simplex_volume([exact.vertices[i] for i in simplex]) for simplex in simplices]
    try:
        vertices = np.array([[float(x) for x in vertex] for vertex in exact.vertices])
        volume = fsum(float(v) for v in volumes)
        if skew is not None:
            edges = read_only(np.array([[float(x) for x in edge] for edge in skew.edges]))
    except OverflowError:
        raise InvalidDomainError("the polytope reaches beyond the largest float; scale it down") from None
    rows = list(exact.rows)
    kept = [f"halfspace {k}" if names is None else names[row] for k, row in enumerate(rows)]
    masks = [[bool(facet >> i & 1) for facet in exact.facets] for i in range(len(vertices))]
    return StartingPolytope(
        A=read_only(A[rows]),
        b=read_only(b[rows]),
        vertices=read_only(vertices),
        incidence=read_only(np.array(masks, dtype=bool)),
        volume=volume,
        side_names=tuple(kept),
        simplices=read_only(np.array(simplices, dtype=np.int64)),
        simplex_volumes=read_only(np.array([float(v) for v in volumes])),
        edges=edges,
    )


def read_only(array: _AnyArray) -> _AnyArray:
    """Return the array itself, C-contiguous and locked against writing."""
    array = np.ascontiguousarray(array)  # type: ignore[assignment]
    array.setflags(write=False)
    return array


def lock_arrays(value: Any) -> None:
    """Make an array, or all arrays in nested tuples, read-only.

    Examples
    --------
    >>> array = np.zeros(2)
    >>> lock_arrays(("name", (array,)))
    >>> array.flags.writeable
    False
    """
    if isinstance(value, np.ndarray):
        value.setflags(write=False)
    elif isinstance(value, tuple):
        for part in value:
            lock_arrays(part)


def store(domain: Domain, **attributes: Any) -> None:
    """Set attributes of a frozen domain while it is being made; arrays become read-only."""
    for name, value in attributes.items():
        locked = read_only(value) if isinstance(value, np.ndarray) else value
        object.__setattr__(domain, name, locked)


def finite_array(values: npt.ArrayLike, name: str) -> FloatArray:
    """Return a fresh float64 copy of `values`, all finite.

    Raises
    ------
    InvalidDomainError
        If they are not numbers, or hold NaN or infinity.

    Examples
    --------
    >>> finite_array([1, 2], "low")
    array([1., 2.])
    """
    array = float_array(values, name)
    if not np.all(np.isfinite(array)):
        where = np.argwhere(~np.isfinite(array))[0].tolist()
        raise InvalidDomainError(
            f"{name} holds {array[tuple(where)]} at index {where}; every number must be finite"
        )
    return array


def float_array(values: npt.ArrayLike, name: str) -> FloatArray:
    """Return a fresh float64 copy, which may be infinite; raise InvalidDomainError if they are no numbers."""
    try:
        array = np.array(without_tensors(values))
    except ValueError as error:
        raise InvalidDomainError(f"{name} is not an array of numbers: {error}") from None
    if array.dtype.kind not in "iufb":
        raise InvalidDomainError(f"{name} holds {array.dtype}; it must hold real numbers")
    return array.astype(np.float64)


def check_order(low: FloatArray, high: FloatArray, what: str, *, strict: bool = True) -> None:
    """Raise InvalidDomainError unless low < high in every coordinate, or low <= high if not `strict`."""
    wrong = low >= high if strict else low > high
    if np.any(wrong):
        k = int(np.argmax(wrong))
        sign = ">=" if strict else ">"
        raise InvalidDomainError(
            f"low {sign} high in coordinate {k} of the {what}: {low[k]} {sign} {high[k]}"
        )


def halfspace_arrays(
    polygon: tuple[npt.ArrayLike, npt.ArrayLike], dimension: int | None
) -> tuple[FloatArray, FloatArray]:
    """Return (A (m, d), b (m,)) cast and checked; raise InvalidDomainError where they do not fit."""
    if len(polygon) != 2:
        raise InvalidDomainError(f"expected a pair (A, b) of halfspaces, got {len(polygon)} parts")
    A, b = finite_array(polygon[0], "A"), finite_array(polygon[1], "b")
    if A.ndim != 2 or b.shape != A.shape[:1] or A.shape[1] != (dimension or A.shape[1]):
        wanted = "(m, d)" if dimension is None else f"(m, {dimension})"
        raise InvalidDomainError(
            f"A has shape {A.shape} and b has shape {b.shape}; they must be {wanted} and (m,)"
        )
    if A.size == 0:
        raise InvalidDomainError(f"A has shape {A.shape}: without halfspaces it is unbounded")
    return A, b


def _points(values: npt.ArrayLike, dimension: int, name: str) -> FloatArray:
    points = np.asarray(without_tensors(values), dtype=np.float64)
    if points.ndim not in (1, 2) or points.shape[-1] != dimension:
        raise InvalidDomainError(
            f"{name} has shape {points.shape}; it must be ({dimension},) or (N, {dimension})"
        )
    return points
