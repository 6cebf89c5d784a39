"""Checking a saved cell complex again: exactly, cell by cell, and without the engine that made it.

Uses the network, the domain and exact arithmetic only. What a check proves is said in `Verification`.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regions.analysis.arguments import check_complex
from regions.analysis.stored_sizes import StoredSizes
from regions.analysis.unbounded_verification import beyond_the_box
from regions.complexes import CellComplex, Completeness
from regions.complexes.complex_contents import content_problems
from regions.density.densities import check_generator
from regions.errors import CertificateError, InvalidInputError
from regions.inputs import seeded
from regions.network.patterns import row_keys
from regions.rational import (
    ExactCell,
    ExactFacet,
    ExactNetwork,
    dyadic_integers,
    exact_cell,
    interior_point,
    neighbour_pattern,
    strictly_inside,
)
from regions.showing import Shown

__all__ = ["Repair", "Verification", "verify"]

LISTED_FAILURES = 20
REPORTS_PER_SECOND = 10.0


@dataclass(frozen=True)
class Repair:
    """An exact witness of a cell whose stored one, being rounded, is not strictly inside.

    Attributes
    ----------
    cell : int
    witness : tuple of d Fraction, strictly inside
    rounded : tuple of d float, the nearest floats
    rounded_inside : bool, whether these are strictly inside too; a cell may hold no float point
    """

    cell: int
    witness: tuple[Fraction, ...]
    rounded: tuple[float, ...]
    rounded_inside: bool


@dataclass(frozen=True)
class Verification(Shown):
    """What an exact check of a cell complex found.

    Attributes
    ----------
    ok : bool, whether everything that was looked at holds
    failures : tuple of str, at most 20 of them written out
    n_failures : int
    cells_checked, n_cells : int
    facets_checked, n_facets : int, rows of the facet table
    repairs : tuple of Repair
    proven : tuple of str, what follows for the stored weights on this domain
    unchecked : tuple of str, what was not looked at
    seconds : float, wall time
    """

    ok: bool
    failures: tuple[str, ...]
    n_failures: int
    cells_checked: int
    n_cells: int
    facets_checked: int
    n_facets: int
    repairs: tuple[Repair, ...]
    proven: tuple[str, ...]
    unchecked: tuple[str, ...]
    seconds: float

    def __str__(self) -> str:
        head = (
            f"{'verified' if self.ok else 'FAILED'}: {self.cells_checked} of {self.n_cells} cells, "
            f"{self.facets_checked} of {self.n_facets} facets, {len(self.repairs)} witnesses repaired"
        )
        lines = [head, *(f"failure: {text}" for text in self.failures)]
        if self.n_failures > len(self.failures):
            lines.append(f"... and {self.n_failures - len(self.failures)} more failures")
        lines += [f"proven: {text}" for text in self.proven]
        return "\n".join(lines + [f"not checked: {text}" for text in self.unchecked])

    def _headline(self) -> str:
        what = "verified" if self.ok else "FAILED"
        return (
            f"{what}: {self.cells_checked:,} of {self.n_cells:,} cells, {self.facets_checked:,} of "
            f"{self.n_facets:,} facets, {self.seconds:.3g} s"
        )

    def _notes(self) -> dict[str, Any]:
        return {"failures": self.failures} if self.failures else {}

    def _facts(self) -> dict[str, Any]:
        return {
            "result": self._headline(),
            "failures": "\n".join(self.failures) or "none",
            "witnesses repaired": len(self.repairs),
            "proven": "\n".join(self.proven),
            "not checked": "\n".join(self.unchecked) or "nothing",
        }


@seeded
def verify(
    complex: CellComplex,
    *,
    max_cells: int | None = None,
    rng: np.random.Generator | None = None,
    progress: Callable[[int, float], None] | None = None,
    strict: bool = True,
) -> Verification:
    """Check a cell complex exactly and independently of the engine that made it.

    For every cell, in rational arithmetic: its pattern is that of a full-dimensional set; the stored
    witness is strictly inside (else a better one is found and reported; one that is farther out than
    rounding explains is a failure); the cell's facets are computed afresh; the pattern beyond each facet
    that is not on the domain's boundary is listed; and the facet table has exactly these facets, each
    between the right cells, on a unit that vanishes on it, its first cell on the active side, with
    jump 0.0 where the two affine maps agree and nowhere else. Patterns must be distinct.

    The floats that are stored are compared with the exact cells, within what rounded coordinates can
    tell: volumes of cells and facets, centroids, rings, places of facets, sizes of jumps, witnesses of
    facets. Status, engine, arithmetic and certificate must not contradict each other or the arrays.

    If all cells are checked, that proves the list: patterns are constant inside a cell, so cells
    are disjoint; and any cell is reached from any other through facets, as the domain is convex, so
    a nonempty list that is closed under crossing facets is complete.

    Of an unbounded domain the clipped complex is checked so; besides, that no cell has a vertex outside
    of the box, so that it shows all cells and facets, and that what is listed as unbounded has no end.

    Parameters
    ----------
    complex : CellComplex
    max_cells : int or None
        Check this many cells, drawn at random; the report then says so, and completeness is not proven.
    rng : seed or numpy Generator, needed with max_cells
    progress : called about ten times a second with cells checked and fraction done
    strict : raise if the check fails; otherwise return the report with `ok` False

    Returns
    -------
    Verification

    Raises
    ------
    CertificateError
        If the check fails and `strict` is set; the message lists the failures.
    InvalidInputError
        If max_cells is not positive, or is given without rng.

    Notes
    -----
    Cost: 2.2 ms per cell for d = 2 on 2 x 40 units, more in higher dimension. Places of facets
    are numbers in the engine's own order, so where no rings are stored (all but engine "planar") that
    part alone asks the engine to find the facets again, through `CellGeometry`.

    Examples
    --------
    >>> from regions import Box, Network, enumerate_cells
    >>> lines = Network.from_arrays([[[1.0, 0.0], [0.0, 1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.0]])
    >>> report = verify(enumerate_cells(lines, Box([-1.0, -1.0], [1.0, 1.0])))
    >>> print(report)  # doctest: +ELLIPSIS
    verified: 4 of 4 cells, 12 of 12 facets, 0 witnesses repaired
    proven: every listed pattern is that of a full-dimensional cell, and the cells are disjoint
    proven: no cell is missing: the list is closed under crossing facets and the domain is connected
    proven: the facet table lists every facet once, between the right cells
    proven: volumes, centroids, rings, jumps and witnesses are right, up to rounding
    not checked: digits of sizes and points beyond the rounding of coordinates, here 3.6e-12
    not checked: what the enumeration says of itself: arithmetic, what ended it, ...
    not checked: whether network and domain are those that were meant: they are taken as they are stored, ...
    """
    check_complex(complex)
    start = time.perf_counter()
    chosen = _choose(complex.n_cells, max_cells, rng)
    check = _Check(complex if complex.clipped is None else complex.clipped)
    last = start
    for done, cell in enumerate(chosen.tolist()):
        check.cell(cell)
        now = time.perf_counter()
        if progress is not None and now - last > 1.0 / REPORTS_PER_SECOND:
            last = now
            progress(done, done / len(chosen))
    check.whole(len(chosen))
    report = _report(check, len(chosen), time.perf_counter() - start)
    if complex.clipped is not None:
        report = beyond_the_box(complex, chosen, report)
        report = replace(report, seconds=time.perf_counter() - start)
    if progress is not None:
        progress(len(chosen), 1.0)
    if strict and not report.ok:
        raise CertificateError(str(report))
    return report


def _choose(n: int, max_cells: int | None, rng: np.random.Generator | None) -> NDArray[np.int64]:
    if max_cells is not None and (isinstance(max_cells, bool) or max_cells < 1):
        raise InvalidInputError(f"max_cells={max_cells}; give a whole number from 1, or None for all")
    if max_cells is None or max_cells >= n:
        return np.arange(n)
    if rng is None:
        raise InvalidInputError("max_cells draws cells at random: give rng, e.g. numpy.random.default_rng(0)")
    check_generator(rng)
    return np.sort(rng.choice(n, size=max_cells, replace=False))


@dataclass
class _Check:
    """A check under way: the complex, its indices, what was found."""

    complex: CellComplex
    failures: list[str] = field(default_factory=list)
    n_failures: int = 0
    repairs: list[Repair] = field(default_factory=list)
    towards_unlisted: int = 0

    def __post_init__(self) -> None:
        c = self.complex
        self.exact = ExactNetwork(c.network, c.domain)
        self.sizes = StoredSizes(c, self.exact)
        self.patterns = row_keys(c.unpacked_patterns())
        self.index = {pattern: i for i, pattern in enumerate(self.patterns)}
        table = c.facets
        offsets = c.network.unit_offsets
        inner = np.asarray(table.layer) >= 0
        n_layers = len(offsets) - 1
        bad = inner & ((table.layer >= n_layers) | (table.unit < 0))
        layer = np.where(inner & ~bad, table.layer, 0)
        self.flat_unit = np.where(inner & ~bad, offsets[layer] + table.unit, -1).tolist()
        self.cell_a, self.cell_b = table.cell_a.tolist(), table.cell_b.tolist()
        self.side = table.side.tolist()
        self.rows_of: dict[int, list[int]] = defaultdict(list)
        for row, (a, b) in enumerate(zip(self.cell_a, self.cell_b, strict=True)):
            self.rows_of[a].append(row)
            if b >= 0:
                self.rows_of[b].append(row)
        self.seen = np.zeros(len(table), dtype=np.int64)

    def fail(self, text: str) -> None:
        self.n_failures += 1
        if len(self.failures) < LISTED_FAILURES:
            self.failures.append(text)

    def all(self, texts: Iterable[str]) -> None:
        for text in texts:
            self.fail(text)

    def cell(self, i: int) -> None:
        """Everything about one cell."""
        pattern = self.patterns[i]
        hints = [unit for row in self.rows_of[i] if 0 <= (unit := self.flat_unit[row]) < len(pattern)]
        try:
            cell = exact_cell(self.exact, pattern, hints)
        except CertificateError as error:
            self.fail(f"cell {i}: {error}")
            return
        self.witness(i, cell)
        listed = int(self.complex.n_vertices[i])
        if listed != len(cell.polytope.vertices) and self.complex.volume_kind == "vertices":
            self.fail(f"cell {i} has {len(cell.polytope.vertices)} vertices, {listed} are listed")
        if int(self.complex.n_facets[i]) != len(cell.facets):
            self.fail(f"cell {i} has {len(cell.facets)} facets, {self.complex.n_facets[i]} listed")
        matched: list[int | None] = []
        for facet in cell.facets:
            row = self.side_row(i, facet) if facet.sides else self.inner_row(i, cell, facet, matched)
            matched.append(row)
        found = {row for row in matched if row is not None}
        own = {
            row: facet
            for row, facet in zip(matched, cell.facets, strict=True)
            if row is not None and self.cell_a[row] == i
        }
        for row, facet in own.items():
            self.all(self.sizes.facet(row, cell, facet))
            if self.cell_b[row] >= 0:
                self.all(self.sizes.jump(row, pattern, self.patterns[self.cell_b[row]]))
        places = {facet.on: int(self.complex.facets.place[row]) for row, facet in own.items()}
        self.all(self.sizes.cell(i, cell, places))
        self.all(self.sizes.places(last=False))
        for row in self.rows_of[i]:
            if row not in found:
                self.fail(f"row {row} of the facet table is no facet of cell {i}")
        self.seen[list(found)] += 1

    def witness(self, i: int, cell: ExactCell) -> None:
        """A witness that only rounding puts outside is repaired; one that is elsewhere is a failure."""
        stored = self.complex.witnesses[i]
        known = bool(np.isfinite(stored).all())
        if known and _inside(self.exact, cell, stored):
            return
        *numerators, w = interior_point(cell)
        better = tuple(Fraction(x, w) for x in numerators)
        rounded = tuple(float(x) for x in better)
        exists = _inside(self.exact, cell, np.array(rounded))
        if (exists and not known) or (known and self.sizes.depth(cell, stored) < -self.sizes.radius):
            self.fail(f"the witness of cell {i}, {stored.tolist()}, is not inside of it; {list(rounded)} is")
        self.repairs.append(Repair(i, better, rounded, exists))

    def side_row(self, i: int, facet: ExactFacet) -> int | None:
        """The table's row of a facet on the domain's boundary."""
        side = facet.sides[0]
        rows = [r for r in self.rows_of[i] if self.side[r] == side and self.cell_b[r] == -1]
        if len(rows) != 1:
            self.fail(f"cell {i} has a facet on side {side} of the domain, {len(rows)} rows list it")
            return None
        return rows[0]

    def inner_row(self, i: int, cell: ExactCell, facet: ExactFacet, matched: list[int | None]) -> int | None:
        """The table's row of a facet towards another cell, after all has been checked about it."""
        beyond = neighbour_pattern(self.exact, cell, facet)
        j = self.index.get(beyond)
        if j is None:
            if self.complex.status is Completeness.COMPLETE:
                self.fail(f"cell {i}: the cell beyond its facet on unit {facet.units[0]} is not listed")
                return None
            self.towards_unlisted += 1
            rows = [r for r in self.rows_of[i] if self.cell_b[r] == -2 and self.flat_unit[r] in facet.units]
            if len(rows) > 1:  # of a max unit, which may have several facets here
                rows = self.sizes.at_facet([r for r in rows if r not in matched], cell, facet)[:1]
        else:
            rows = [r for r in self.rows_of[i] if {self.cell_a[r], self.cell_b[r]} == {i, j}]
        if len(rows) != 1:
            other = "an unlisted cell" if j is None else f"cell {j}"
            self.fail(f"cell {i} has a facet towards {other}, {len(rows)} rows list it")
            return None
        self.unit(rows[0], i, facet, beyond, listed=j is not None)
        return rows[0]

    def unit(self, row: int, i: int, facet: ExactFacet, beyond: bytes, *, listed: bool) -> None:
        """The unit of a row vanishes on the facet, flips there, and is active in the first cell."""
        unit, here = self.flat_unit[row], self.patterns[i]
        if unit not in facet.units or here[unit] == beyond[unit]:
            self.fail(f"row {row} of the facet table names unit {unit}, which does not flip on that facet")
        elif listed and bool(here[unit]) != (self.cell_a[row] == i):
            self.fail(f"row {row} of the facet table: its first cell is not on the active side of the unit")
        if self.side[row] != -1:
            self.fail(f"row {row} of the facet table is an interior facet but names side {self.side[row]}")

    def whole(self, n_checked: int) -> None:
        """What concerns the complex as a whole."""
        c = self.complex
        self.all(content_problems(c))
        if not self.n_failures:
            self.all(self.sizes.places(last=True))
        if n_checked == c.n_cells:
            expected = np.where(np.array(self.cell_b, dtype=np.int64) >= 0, 2, 1)
            wrong = np.flatnonzero(self.seen != expected)
            if wrong.size and not self.n_failures:
                self.fail(f"row {wrong[0]} of the facet table was not met from each of its cells")


def _inside(exact: ExactNetwork, cell: ExactCell, point: NDArray[np.float64]) -> bool:
    integers, shift = dyadic_integers(point)
    return strictly_inside(exact, cell, (*integers, 1 << shift))


def _report(check: _Check, n_checked: int, seconds: float) -> Verification:
    c = check.complex
    ok = check.n_failures == 0
    everything = n_checked == c.n_cells
    proven, unchecked = [], []
    if ok and everything:
        proven.append("every listed pattern is that of a full-dimensional cell, and the cells are disjoint")
        if c.status is Completeness.COMPLETE:
            proven.append(
                "no cell is missing: the list is closed under crossing facets and the domain is connected"
            )
        proven.append("the facet table lists every facet once, between the right cells")
        proven.append("volumes, centroids, rings, jumps and witnesses are right, up to rounding")
    elif ok:
        proven.append(
            f"{n_checked} cells drawn at random are cells, their neighbours are listed and their facets right"
        )
    if not everything:
        unchecked.append(f"{c.n_cells - n_checked} cells and whether any cell is missing beyond them")
    if c.status is not Completeness.COMPLETE:
        unchecked.append(
            f"cells beyond {check.towards_unlisted} facets of a TRUNCATED result: completeness is not claimed"
        )
    unchecked += check.sizes.unchecked()
    unchecked.append(
        "whether network and domain are those that were meant: they are taken as they are stored, the "
        f"network with digest {c.network.digest()}"
    )
    return Verification(
        ok=ok,
        failures=tuple(check.failures),
        n_failures=check.n_failures,
        cells_checked=n_checked,
        n_cells=c.n_cells,
        facets_checked=int((check.seen > 0).sum()),
        n_facets=len(c.facets),
        repairs=tuple(check.repairs),
        proven=tuple(proven),
        unchecked=tuple(unchecked),
        seconds=seconds,
    )
