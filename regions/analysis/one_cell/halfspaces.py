"""The halfspaces of one cell, from the network and the domain: exact rows, and rounded ones for users."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regions.complexes import CellComplex
from regions.errors import InvalidInputError
from regions.network.max_units import MaxUnits
from regions.network.patterns import flat_units, unit_places
from regions.rational import ExactNetwork
from regions.showing import Shown

FloatArray = NDArray[np.float64]
Row = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class CellHalfspaces(Shown):
    """A cell as {t : A @ t <= b}, each row with the unit or the domain's side that it comes from.

    Attributes
    ----------
    cell : int
    A : (m, d) float64, rows of length 1, intrinsic coordinates
    b : (m,) float64
    layer, unit : (m,) int32, ReLU layer and unit of a row, -1 for sides of the domain
    side : (m,) int32, side of the domain, -1 for units
    names : tuple of m strings
    irredundant : bool, whether every row is a facet of the cell
    """

    cell: int
    A: FloatArray
    b: FloatArray
    layer: NDArray[np.int32]
    unit: NDArray[np.int32]
    side: NDArray[np.int32]
    names: tuple[str, ...]
    irredundant: bool

    def __post_init__(self) -> None:
        for value in vars(self).values():
            if isinstance(value, np.ndarray):
                value.flags.writeable = False


def cell_halfspaces(complex: CellComplex, cell: int, *, irredundant: bool = True) -> CellHalfspaces:
    """The halfspaces of a cell, in intrinsic coordinates.

    Units whose pre-activation is constant on the cell bound nothing and are left out, exactly.

    Parameters
    ----------
    complex : CellComplex
    cell : int, as in the complex
    irredundant : bool
        Take the rows from the facet table, one for each facet; otherwise all units and sides.

    Returns
    -------
    CellHalfspaces
        `irredundant` is False where that was asked, or where the table lacks facets of the cell.

    Raises
    ------
    InvalidInputError
        If there is no such cell.

    Notes
    -----
    Rows come from exact arithmetic and are rounded once. Cost: 0.7 ms for a cell of 2 x 16 units in the
    plane, 13 ms for one of ACAS Xu (5 inputs, 6 x 50 units).

    Examples
    --------
    >>> from regions import Box, Network, enumerate_cells
    >>> absolute = Network.from_arrays([[[1.0], [-1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.0]])
    >>> cells = enumerate_cells(absolute, Box([-1.0], [2.0]))
    >>> right = cell_halfspaces(cells, int(cells.locate([[1.0]])[0]))
    >>> right.A.ravel().tolist(), right.b.tolist(), right.names
    ([1.0, -1.0], [2.0, 0.0], ('side x0 = 2', 'unit (0, 0)'))
    """
    cell = cell_index(complex, cell)
    exact = ExactNetwork(complex.network, complex.domain)
    planes, complete = bounding_planes(complex, cell, facets_only=irredundant)
    kept, rows = exact_rows(complex, cell, exact, planes)
    unscaled = [row_floats(row) for row in rows]
    A = np.array([row[:-1] for row in unscaled]).reshape(len(rows), complex.dimension)
    b = np.array([row[-1] for row in unscaled])
    lengths = np.linalg.norm(A, axis=1)
    layer, unit, side, names = _origins(complex, kept)
    return CellHalfspaces(
        cell=cell,
        A=-A / lengths[:, None] + 0.0,
        b=b / lengths + 0.0,
        layer=layer,
        unit=unit,
        side=side,
        names=names,
        irredundant=complete,
    )


def cell_index(complex: CellComplex, cell: Any) -> int:
    """The cell's number from 0; raises InvalidInputError."""
    try:
        number = operator.index(cell)
    except TypeError:
        raise InvalidInputError(f"cell is {cell!r}; give the number of a cell, from 0") from None
    if not -complex.n_cells <= number < complex.n_cells:
        raise InvalidInputError(f"cell {number} of {complex.n_cells}; cells are numbered from 0")
    return number % complex.n_cells


def bounding_planes(complex: CellComplex, cell: int, *, facets_only: bool) -> tuple[list[int], bool]:
    """Hyperplanes of a cell: flat numbers of units, -1 - k for side k; and whether each is a facet's.

    Linear units have none. Where candidates of a max unit tie is a plane as `MaxUnits` numbers them.
    """
    table = complex.facets
    if facets_only:
        rows = np.flatnonzero((table.cell_a == cell) | (table.cell_b == cell))
        table_of_units = complex.network.max_units
        unlisted = table_of_units is not None and bool((table.cell_b[rows] == -2).any())
        if rows.size == int(complex.n_facets[cell]) and not unlisted:
            units = flat_units(complex.network.unit_offsets, table.layer[rows], table.unit[rows])
            if table_of_units is not None:
                units = _tie_planes(complex, table_of_units, rows, units)
            planes = np.where(table.side[rows] >= 0, -1 - table.side[rows], units)
            order = np.argsort(planes, kind="stable")
            return planes[order].tolist(), True
    sides = [-1 - k for k in range(complex.domain.n_sides)]
    max_units, pattern = complex.network.max_units, complex.pattern(cell)
    cutting: list[int] = np.flatnonzero(complex.network.cutting).tolist()
    if max_units is not None:
        rivals = [k for k in cutting if max_units.first[k] >= 0 and not pattern[k]]
        cutting = [k for k in cutting if max_units.first[k] < 0]
        cutting += sorted(max_units.plane(max_units.winner(pattern, k), k) for k in rivals)
    return [*sides, *cutting], False


def _tie_planes(
    complex: CellComplex, table: MaxUnits, rows: NDArray[np.int64], units: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Replace candidates of max units, in rows of the facet table, by the planes on which winners tie."""
    planes = units.copy()
    for k in np.flatnonzero((units >= 0) & (table.first[units] >= 0)).tolist():
        pair = [int(cells[rows[k]]) for cells in (complex.facets.cell_a, complex.facets.cell_b)]
        planes[k] = table.plane(*(table.winner(complex.pattern(cell), int(units[k])) for cell in pair))
    return planes


def exact_rows(
    complex: CellComplex, cell: int, exact: ExactNetwork, planes: list[int]
) -> tuple[list[int], list[Row]]:
    """Rows (a_1, ..., a_d, c) of integers with a.t + c >= 0 on the cell, without the constant ones."""
    pattern = complex.pattern(cell)
    kept, rows = [], []
    for plane in planes:
        row = [int(x) for x in exact.plane_row(pattern, plane)]
        if any(row[:-1]):
            sign = 1 if plane < 0 or _is_positive(complex, pattern, plane) else -1
            kept.append(plane)
            rows.append(tuple(sign * x for x in row))
    return kept, rows


def _is_positive(complex: CellComplex, pattern: NDArray[np.bool_], plane: int) -> bool:
    """Whether a unit is active in a pattern; of a plane of a tie, whether the earlier candidate wins."""
    table = complex.network.max_units
    return bool(pattern[plane if table is None or plane < pattern.size else table.rows(plane)[0]])


def row_floats(row: Row) -> list[float]:
    """A row over the power of two that brings its gradient to about 1, rounded once."""
    scale = 1 << max(abs(x).bit_length() for x in row[:-1])
    return [x / scale for x in row]


def _origins(
    complex: CellComplex, planes: list[int]
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32], tuple[str, ...]]:
    number = np.array(planes, dtype=np.int64)
    rivals: dict[int, int] = {}
    if (table := complex.network.max_units) is not None:
        for k in np.flatnonzero(number >= table.n_units).tolist():
            number[k], rivals[k] = table.rows(int(number[k]))
            rivals[k] -= int(number[k])
    is_side = number < 0
    layer, unit = np.full_like(number, -1), np.full_like(number, -1)
    layer[~is_side], unit[~is_side] = unit_places(complex.network.unit_offsets, number[~is_side])
    side = np.where(is_side, -1 - number, -1)
    names = tuple(
        f"side {complex.domain.side_names[k]}"
        if k >= 0
        else f"units ({a}, {u}) and ({a}, {u + rivals[n]})"
        if n in rivals
        else f"unit ({a}, {u})"
        for n, (k, a, u) in enumerate(zip(side.tolist(), layer.tolist(), unit.tolist(), strict=True))
    )
    return layer.astype(np.int32), unit.astype(np.int32), side.astype(np.int32), names
