"""Whether what a complex stores of its cells in floats is right: volumes, centroids, rings, facets, jumps.

Compared with the exact cells of `rational`, within what coordinates that are rounded to floats can tell.
Which cells and facets there are, `verification` decides.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regions.complexes import CellComplex
from regions.complexes.geometry import geometry_of
from regions.errors import CertificateError
from regions.rational import ExactCell, ExactFacet, ExactNetwork, dyadic_integers, facet_row

FloatArray = NDArray[np.float64]

POSITION = 2.0**-38  # error of a stored coordinate, relative to the largest coordinate of the domain
ROUNDING = 2.0**-38  # of sums and products of them, relative
BATCH = 4096  # facets that are found again at a time


class StoredSizes:
    """The floats of one complex, to be compared cell by cell with exact ones.

    Every check yields what is wrong, in words. A vertex may be off by `radius`; a volume by radius times the
    surface, and a centroid by what that shifts it. Cells that are thinner have no digits to compare, and pass
    if they are where they should be.
    """

    def __init__(self, complex: CellComplex, exact: ExactNetwork) -> None:
        self.complex, self.exact = complex, exact
        self.dimension = complex.dimension
        self.radius = POSITION * float(complex.domain.extent().max())
        self.known = complex.volume_kind == "vertices"
        starts = np.cumsum(complex.n_vertices) - complex.n_vertices
        self.starts: list[int] = starts.tolist()
        self.reach = _largest_jacobian(complex)
        self.unknown_witnesses = 0
        self.waiting: list[tuple[int, FloatArray]] = []
        self._by_engine = self.known and complex.rings is None and self.dimension > 1

    def cell(self, i: int, cell: ExactCell, places: dict[int, int]) -> Iterator[str]:
        """Compare volume, centroid and ring of cell i; `places` of its own facets, by vertices as bits."""
        if not self.known:
            return
        points = _floats(cell)
        order, volume, centroid = _measure(cell, points)
        low, high = points.min(axis=0), points.max(axis=0)
        sides = high - low + 2.0 * self.radius
        surface = sum(2.0 * float(np.delete(sides, k).prod()) for k in range(self.dimension))
        error = self.radius * surface + ROUNDING * volume
        stored = float(self.complex.volumes[i])
        if not abs(stored - volume) <= error:
            yield f"cell {i} has volume {volume:.12g}, {stored:.12g} is listed"
        listed = self.complex.centroids[i]
        off = np.abs(listed - centroid)
        diameter = float(np.linalg.norm(sides))
        shift = self.radius + diameter * (error / volume if volume > error else 1.0)
        box = np.maximum(low - listed, listed - high)
        if not (off.max() <= shift and box.max() <= self.radius):
            yield f"cell {i} has its centroid at {centroid.tolist()}, {listed.tolist()} is listed"
        if self.complex.rings is not None:
            yield from self._ring(i, points, order, places)

    def _ring(self, i: int, points: FloatArray, order: list[int], places: dict[int, int]) -> Iterator[str]:
        """Compare a ring with the vertices in their order, and the places of facets with its edges."""
        assert self.complex.rings is not None  # by the caller
        n = len(order)
        ring = self.complex.rings[self.starts[i] : self.starts[i] + n]
        if len(ring) < n:
            yield f"cell {i} has {n} vertices, its ring fewer"
            return
        fits = False
        # which way round a cell without any area goes, cannot be told
        for turn in (order, order[::-1]) if _shoelace(points[order]) <= self.radius else (order,):
            for k in range(n):
                around = turn[k:] + turn[:k]
                if not (np.abs(ring - points[around]) <= self.radius).all():
                    continue
                fits = True
                edges = [1 << a | 1 << b for a, b in zip(around, around[1:] + around[:1], strict=True)]
                if all(edges[place] == on for on, place in places.items() if place < n):
                    return
        if not fits:
            yield f"the ring of cell {i} is not that of its vertices"
        else:
            yield f"facets of cell {i} are not at the places that the facet table gives"

    def at_facet(self, rows: list[int], cell: ExactCell, facet: ExactFacet) -> list[int]:
        """Return those of some rows of a cell's facets that lie where a facet does, the surest ones first.

        Ends of an interval have no places, and a witness may be unknown: then any of them may be meant.
        """
        if self.dimension == 1 or not rows:
            return rows
        if not self.known:
            witness = self.complex.facets.witness
            points = np.full((len(rows), self.dimension), np.nan) if witness is None else witness[rows]
            heights = np.abs(points @ (normal := self._normal(cell, facet))[:-1] + normal[-1])
            order = np.argsort(heights, kind="stable")  # nan last
            return [rows[k] for k in order.tolist() if not heights[k] > self.radius]
        corners = _floats(cell)[[k for k in range(len(cell.polytope.vertices)) if facet.on >> k & 1]]
        return [row for row in rows if _same_points(self._corners(row), corners, self.radius)]

    def _corners(self, row: int) -> FloatArray:
        """Return the vertices of a row's facet as its place in its first cell says, each at least once."""
        c = self.complex
        i, place = int(c.facets.cell_a[row]), int(c.facets.place[row])
        if c.rings is None:
            return self._found_again(np.array([row]))[0].reshape(-1, self.dimension)
        ring = c.rings[self.starts[i] : self.starts[i] + int(c.n_vertices[i])]
        return ring.take([place, place + 1], axis=0, mode="wrap")

    def _found_again(self, rows: NDArray[np.int64]) -> tuple[FloatArray, NDArray[np.int64]]:
        """Return simplices of facets, found by their places, and the row of each."""
        c = self.complex
        return geometry_of(c).facet_simplices(c.patterns, rows, c.facets.cell_a[rows], c.facets.place[rows])

    def facet(self, row: int, cell: ExactCell, facet: ExactFacet) -> Iterator[str]:
        """Compare volume and witness of a facet, seen from its first cell."""
        table = self.complex.facets
        normal = self._normal(cell, facet)
        if self.known:
            points = _floats(cell)[[k for k in range(len(cell.polytope.vertices)) if facet.on >> k & 1]]
            simplices = np.array(cell.polytope.simplices(facet.on))
            volume = _projected_volume(_floats(cell)[simplices], normal[:-1])
            k = self.dimension - 1
            diameter = float(np.linalg.norm(np.ptp(points, axis=0))) + 2.0 * self.radius
            error = (2.0 * k * diameter ** (k - 1) * self.radius if k else 0.0) + ROUNDING * volume
            stored = float(table.volume[row])
            if not abs(stored - volume) <= error:
                yield f"row {row} of the facet table: the volume is {volume:.12g}, not {stored:.12g}"
            if self._by_engine:
                self.waiting.append((row, points))
        if table.witness is not None:
            yield from self._facet_witness(row, cell, facet)

    def _normal(self, cell: ExactCell, facet: ExactFacet) -> FloatArray:
        return _unit_row(facet_row(self.exact, cell.pattern, facet))

    def _facet_witness(self, row: int, cell: ExactCell, facet: ExactFacet) -> Iterator[str]:
        """A facet's witness lies on it, up to rounding; it may be unknown where the facet is tiny."""
        assert self.complex.facets.witness is not None  # by the caller
        witness = self.complex.facets.witness[row]
        if not np.isfinite(witness).all():
            self.unknown_witnesses += 1
            return
        height = abs(float(self._normal(cell, facet) @ [*witness, 1.0]))
        if max(height, -self.depth(cell, witness)) > self.radius:
            yield f"row {row} of the facet table: the witness {witness.tolist()} is not on the facet"

    def depth(self, cell: ExactCell, point: FloatArray) -> float:
        """How far a point is from the nearest plane of a cell's facets, negative where it is outside."""
        numbers, shift = dyadic_integers(point)
        return min(
            _height(facet_row(self.exact, cell.pattern, facet), numbers, shift) for facet in cell.facets
        )

    def jump(self, row: int, first: bytes, second: bytes) -> Iterator[str]:
        """A jump is 0.0 exactly where the two affine maps agree, and elsewhere their distance."""
        left, right = (self.exact.output_integers(pattern) for pattern in (first, second))
        stored = float(self.complex.facets.jump[row])
        if (left == right) != (stored == 0.0):
            relation = "agree" if left == right else "differ"
            yield f"row {row} of the facet table: the affine maps {relation}, the jump is {stored}"
            return
        columns = self.dimension + 1
        steps = [x - y for k, (x, y) in enumerate(zip(left, right, strict=True)) if (k + 1) % columns]
        jump = _norm(steps, self.exact.output_shift)
        if not abs(stored - jump) <= ROUNDING * (jump + self.reach) + np.finfo(np.float64).tiny:
            yield f"row {row} of the facet table: the jump is {jump:.12g}, not {stored:.12g}"

    def unchecked(self) -> Iterator[str]:
        """Tell which stored numbers and words are not compared, and how closely the others are."""
        yield f"digits of sizes and points beyond the rounding of coordinates, here {self.radius:.1e}"
        if self.complex.volume_kind == "sampled":
            yield "sampled volumes and their standard errors, but for their sum and signs"
        if not math.isfinite(self.reach):
            yield "sizes of jumps, for which the weights are too large; which of them are 0.0 is checked"
        if self.dimension == 1 or not self.known:
            yield "places of facets, which nothing uses here"
        if self.unknown_witnesses:
            yield f"witnesses of {self.unknown_witnesses} facets, for which no float was found"
        yield (
            "what the enumeration says of itself: arithmetic, what ended it, what it could not check, "
            "numbers of decisions, tolerances, seconds, engine_reason; and the names of network and sides"
        )

    def places(self, *, last: bool) -> Iterator[str]:
        """Find facets again by their places, as integrals over them do, where there are no rings to say it.

        The order of a cell's facets is the engine's own, so it is asked for them, by `CellGeometry`.
        """
        if not self.waiting or (len(self.waiting) < BATCH and not last):
            return
        c, waiting, self.waiting = self.complex, self.waiting, []
        rows = np.array([row for row, _ in waiting])
        try:
            pieces, owners = self._found_again(rows)
        except CertificateError as error:
            yield f"facets cannot be found again: {error}"
            return
        for row, points in waiting:
            corners = pieces[owners == row].reshape(-1, self.dimension)
            if not _same_points(corners, points, self.radius):
                place = c.facets.place[row]
                yield f"row {row} of the facet table: at place {place} of its cell is another facet"


def _same_points(some: FloatArray, others: FloatArray, radius: float) -> bool:
    """Whether each of some points is near one of the others, and each of those near one of these."""
    near = np.abs(some[:, None] - others[None]).max(axis=2) <= radius
    return bool(some.size and near.any(axis=1).all() and near.any(axis=0).all())


def _floats(cell: ExactCell) -> FloatArray:
    """The vertices, each coordinate rounded once."""
    return np.array([[x / v[-1] for x in v[:-1]] for v in cell.polytope.vertices])


def _measure(cell: ExactCell, points: FloatArray) -> tuple[list[int], float, FloatArray]:
    """Vertices in ring order (d = 2), volume and centroid, from simplices at the first vertex."""
    d = points.shape[1]
    order: list[int] = []
    if d == 2:
        order = _around([facet.on for facet in cell.facets])
        if _shoelace(points[order]) < 0.0:
            order.reverse()
        simplices = np.array([[order[0], a, b] for a, b in pairwise(order[1:])])
    else:
        simplices = np.array(cell.polytope.simplices())
    corners = points[simplices]
    parts = np.abs(np.linalg.det(corners[:, 1:] - corners[:, :1])) / math.factorial(d)
    volume = float(parts.sum())
    middles = (corners - points[0]).mean(axis=1)
    centroid = points[0] + (parts @ middles / volume if volume else middles.mean(axis=0))
    return order, volume, centroid


def _around(edges: list[int]) -> list[int]:
    """Number the vertices of a polygon along its edges, which are two bits each."""
    ends = [((on & -on).bit_length() - 1, on.bit_length() - 1) for on in edges]
    beside: dict[int, list[int]] = {}
    for a, b in ends:
        beside.setdefault(a, []).append(b)
        beside.setdefault(b, []).append(a)
    order = [ends[0][0], ends[0][1]]
    while len(order) < len(ends):
        a, b = beside[order[-1]]
        order.append(b if a == order[-2] else a)
    return order


def _shoelace(ring: FloatArray) -> float:
    x, y = (ring - ring[0]).T
    return float(0.5 * (x * np.roll(y, -1) - np.roll(x, -1) * y).sum())


def _projected_volume(simplices: FloatArray, normal: FloatArray) -> float:
    """Volume of simplices of d points on one hyperplane: projected along the axis that it is steepest to."""
    d = normal.size
    if d == 1:
        return 1.0
    axis = int(np.abs(normal).argmax())
    flat = np.delete(simplices, axis, axis=2)
    parts = np.abs(np.linalg.det(flat[:, 1:] - flat[:, :1])) / math.factorial(d - 1)
    return float(parts.sum() / abs(normal[axis]))


def _unit_row(row: Sequence[Any]) -> FloatArray:
    """An exact row (a_1, ..., a_d, c) as floats, with |a| = 1."""
    integers = [int(x) for x in row]
    unit = max(map(abs, integers[:-1]))
    floats = np.array([x / unit for x in integers])
    return np.asarray(floats / np.linalg.norm(floats[:-1]))


def _height(row: Sequence[Any], numbers: list[int], shift: int) -> float:
    """Signed distance of a point, integers over 2**shift, from the hyperplane of an exact row."""
    integers = [int(x) for x in row]
    value = sum(a * x for a, x in zip(integers, numbers, strict=False)) + (integers[-1] << shift)
    unit = max(map(abs, integers[:-1]))
    return value / (unit << shift) / float(np.linalg.norm([x / unit for x in integers[:-1]]))


def _norm(steps: list[int], shift: int) -> float:
    """Norm of integers over 2**shift, at most the largest float."""
    excess = max(0, max((abs(x).bit_length() for x in steps), default=0) - 128)
    try:
        return math.ldexp(math.hypot(*(float(x >> excess) for x in steps)), excess - shift)
    except OverflowError:
        return float(np.finfo(np.float64).max)


def _largest_jacobian(c: CellComplex) -> float:
    """A bound of what is added up for an entry of a Jacobian, by absolute values; inf where it overflows."""
    bound = np.abs(c.domain.basis)
    with np.errstate(over="ignore", invalid="ignore"):
        for weight, pair in zip(c.network.weights, c.network.slopes, strict=True):
            bound = np.abs(weight) @ bound
            if pair is not None:
                bound = np.maximum(1.0, np.abs(pair).max(axis=0))[:, None] * bound
        size = float(np.linalg.norm(bound))
    return size if math.isfinite(size) else math.inf
