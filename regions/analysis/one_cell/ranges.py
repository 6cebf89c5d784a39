"""How far an affine function goes on a cell: range of an output, width in a direction."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from regions.analysis.one_cell.cell_frame import CellFrame, cell_frame
from regions.analysis.one_cell.endless_cells import endless_range, is_endless
from regions.analysis.one_cell.halfspaces import cell_index
from regions.complexes.cell_complex import CellComplex
from regions.domain import Coordinates, Domain, check_coordinates
from regions.errors import InvalidInputError
from regions.inputs import without_tensors
from regions.network.relu_network import Network
from regions.optimize import NO_SOLVER, SolverReport, maximise_judged
from regions.rational import ExactNetwork, to_fraction
from regions.showing import Shown

if TYPE_CHECKING:
    from regions.analysis.properties.output_extremes import OutputRange

FloatArray = NDArray[np.float64]
Progress = Callable[[int, float], None]


@dataclass(frozen=True, eq=False)
class CellRange(Shown):
    """Least and largest value of an affine function on a cell.

    Attributes
    ----------
    cell : int
    low, high : float
    spread : float
        high - low, computed without their cancellation: small cells keep relative accuracy.
    low_point, high_point : (d,) or (n0,) float64, points of the cell with these values
    report : SolverReport, its gap relative to the spread
    """

    cell: int
    low: float
    high: float
    spread: float
    low_point: FloatArray
    high_point: FloatArray
    report: SolverReport


@overload
def output_range(
    complex: CellComplex, cell: int, output: int | ArrayLike = 0, *, coordinates: Coordinates = "intrinsic"
) -> CellRange: ...


@overload
def output_range(
    complex: Network,
    cell: Domain,
    output: int | ArrayLike = 0,
    *,
    max_seconds: float | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> OutputRange: ...


def output_range(
    complex: CellComplex | Network,
    cell: int | Domain,
    output: int | ArrayLike = 0,
    *,
    coordinates: Coordinates = "intrinsic",
    max_seconds: float | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> CellRange | OutputRange:
    """Find the least and largest value of an output, or of a combination, on a cell or over a whole domain.

    `output_range(complex, cell)` solves two linear programs. `output_range(network, domain)` searches the
    cells of the domain for larger values until there are none: the extremes and their points are exact.

    Parameters
    ----------
    complex : CellComplex, or a Network
    cell : int, as in the complex; with a network a bounded domain, of at most 12 dimensions
    output : int, or (out,) finite numbers, the coefficients of a linear combination
    coordinates : "intrinsic" or "input", of the points returned; of a whole domain they are inputs
    max_seconds, workers, progress : as for `count_cells`; with a network only

    Returns
    -------
    CellRange, in units of the output; of a whole domain an OutputRange of rational numbers

    Raises
    ------
    InvalidInputError
        If there is no such cell or output, or the coefficients or coordinates are not as above.
    InvalidDomainError
        If the domain is not the network's, unbounded, or of more than 12 dimensions.
    SolverError
        If no solver's answer passes the check (see `SolverReport`), or the cell is too thin.

    Notes
    -----
    The affine map of a cell is taken in exact arithmetic, so a constant combination has spread 0.0 exactly.
    On an unbounded cell values may be infinite, and have no points (NaN) then; others are exact but for
    rounding. Cost: about 8 ms in the plane, 18 ms on ACAS Xu (5 inputs, 6 x 50 units); over a domain, a few
    times that of counting its cells.

    References
    ----------
    Boyd and Vandenberghe, Convex Optimization (2004), section 4.3.

    Examples
    --------
    >>> from regions import Box, Network, enumerate_cells
    >>> absolute = Network.from_arrays([[[1.0], [-1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.5]])
    >>> cells = enumerate_cells(absolute, Box([-1.0], [2.0]))
    >>> found = output_range(cells, int(cells.locate([[1.0]])[0]))
    >>> round(found.low, 9), round(found.high, 9), found.high_point.round(9).tolist()
    (0.5, 2.5, [2.0])
    >>> whole = output_range(absolute, Box([-1.0], [2.0]))
    >>> whole.low, whole.high, whole.high_point, whole.exact
    (Fraction(1, 2), Fraction(5, 2), (Fraction(2, 1),), True)
    """
    if isinstance(complex, Network):
        return _range_over_domain(complex, cell, output, max_seconds, workers, progress)
    check_coordinates(coordinates)
    weights = _combination(output, complex.network.output_dim)
    cell = cell_index(complex, cell)
    if is_endless(complex, cell):
        exact = ExactNetwork(complex.network, complex.domain)
        return _endless(complex, cell, _output_row(exact, complex.pattern(cell), weights))
    frame = cell_frame(complex, cell)
    row = _output_row(frame.exact, frame.pattern, weights)
    return _range(frame, row, coordinates, "range of an output")


def _range_over_domain(
    network: Network,
    domain: int | Domain,
    output: int | ArrayLike,
    max_seconds: float | None,
    workers: int | None,
    progress: Progress | None,
) -> OutputRange:
    from regions.analysis.properties.output_extremes import network_range  # slow to import
    from regions.enumeration.limits import check_seconds

    if not isinstance(domain, Domain):
        raise InvalidInputError(f"the range of a network needs a domain and got a {type(domain).__name__}")
    check_seconds(max_seconds)
    weights = _combination(output, network.output_dim)
    return network_range(
        network, domain, weights, max_seconds=max_seconds, workers=workers, progress=progress
    )


def cell_width(
    complex: CellComplex, cell: int, direction: ArrayLike, *, coordinates: Coordinates = "intrinsic"
) -> CellRange:
    """Find the width of a cell in a direction: the largest minus the least value of direction . x (two LPs).

    The direction is scaled to length 1, so `spread` is a length in input units.

    Parameters
    ----------
    complex : CellComplex
    cell : int, as in the complex
    direction : (d,) or (n0,) finite numbers, not all zero, in the coordinates coordinates
    coordinates : "intrinsic" or "input", of the direction and of the points returned

    Returns
    -------
    CellRange
        `spread` is the width; `low` and `high` are the positions of the two supporting hyperplanes,
        whose distance is the width where the coordinates are intrinsic.

    Raises
    ------
    InvalidInputError
        If there is no such cell, or the direction or coordinates are not as above.
    SolverError
        If no solver's answer passes the check (see `SolverReport`), or the cell is too thin.

    Notes
    -----
    Cost: as `output_range`.

    References
    ----------
    Boyd and Vandenberghe, Convex Optimization (2004), section 4.3.

    Examples
    --------
    >>> from regions import Box, Network, enumerate_cells
    >>> line = Network.from_arrays([[[1.0, 1.0]], [[1.0]]], [[-1.0], [0.0]])
    >>> cells = enumerate_cells(line, Box([0.0, 0.0], [1.0, 1.0]))
    >>> corner = int(cells.locate([[0.1, 0.1]])[0])
    >>> [round(cell_width(cells, corner, along).spread, 9) for along in ([1, 1], [1, -1])]
    [0.707106781, 1.414213562]
    """
    check_coordinates(coordinates)
    domain = complex.domain
    size = domain.dimension if coordinates == "intrinsic" else domain.input_dim
    given = finite_vector(direction, size, "direction")
    largest = float(np.abs(given).max())
    if largest == 0.0:
        raise InvalidInputError("direction is zero; a width needs a direction")
    unit = given / largest
    unit = unit / np.linalg.norm(unit)
    exact = [Fraction(x) for x in unit.tolist()]
    cell = cell_index(complex, cell)
    if is_endless(complex, cell):
        return _endless(complex, cell, [*exact, Fraction(0)])
    frame = cell_frame(complex, cell)
    if coordinates == "intrinsic":
        return _range(frame, [*exact, Fraction(0)], coordinates, "width in a direction")
    columns = [*domain.basis.T.tolist(), domain.origin.tolist()]
    row = [sum((e * Fraction(x) for e, x in zip(exact, c, strict=True) if x), Fraction(0)) for c in columns]
    return _range(frame, row, coordinates, "width in a direction")


def finite_vector(values: ArrayLike, size: int, name: str) -> FloatArray:
    """Return the values as a fresh (size,) float64 array, or raise InvalidInputError."""
    try:
        array = np.array(without_tensors(values))
    except ValueError as error:
        raise InvalidInputError(f"{name} is not an array of numbers: {error}") from None
    if array.dtype.kind not in "iufb":
        raise InvalidInputError(f"{name} holds {array.dtype}; it must hold real numbers")
    if array.shape != (size,):
        raise InvalidInputError(f"{name} has shape {array.shape}; expected ({size},)")
    if not np.isfinite(array).all():
        raise InvalidInputError(f"{name} holds NaN or infinity; every number must be finite")
    return array.astype(np.float64)


def _combination(output: int | ArrayLike, outputs: int) -> list[Fraction]:
    """Return the coefficients of the outputs, exact."""
    try:
        index = operator.index(output)  # type: ignore[arg-type]
    except TypeError:
        return [Fraction(x) for x in finite_vector(output, outputs, "output").tolist()]
    if not -outputs <= index < outputs:
        raise InvalidInputError(f"output {index} of {outputs}; outputs are numbered from 0")
    return [Fraction(int(k == index % outputs)) for k in range(outputs)]


def _output_row(
    exact: ExactNetwork, pattern: NDArray[np.bool_], weights: Sequence[Fraction]
) -> list[Fraction]:
    """Return a combination of outputs where the network has a pattern, as the row of an affine function."""
    matrix, offsets = exact.output_map(pattern)
    row = [Fraction(0)] * (exact.dimension + 1)
    for weight, gradient, offset in zip(weights, matrix.tolist(), offsets, strict=True):
        if weight:
            terms = (*gradient, offset)
            row = [r + weight * to_fraction(x) for r, x in zip(row, terms, strict=True)]
    return row


def _endless(complex: CellComplex, cell: int, row: Sequence[Fraction]) -> CellRange:
    """Return the range of an affine function on an unbounded cell, whose coordinates are the inputs."""
    (low, low_point), (high, high_point) = endless_range(complex, cell, row)
    return CellRange(cell, low, high, high - low, low_point, high_point, NO_SOLVER)


def _range(frame: CellFrame, row: Sequence[Fraction], coordinates: Coordinates, question: str) -> CellRange:
    value, gradient = frame.linear(row)
    size = float(np.linalg.norm(gradient))
    zero = np.zeros(gradient.size)
    top, bottom, report = zero, zero, NO_SOLVER
    if size > 0.0:
        top, first = _maximise(frame, gradient / size, question)
        bottom, second = _maximise(frame, -gradient / size, question)
        report = first.joined(second)
    return CellRange(
        cell=frame.cell,
        low=value + float(gradient @ bottom),
        high=value + float(gradient @ top),
        spread=float(gradient @ (top - bottom)),
        low_point=frame.point(bottom, coordinates),
        high_point=frame.point(top, coordinates),
        report=report,
    )


def _maximise(frame: CellFrame, c: FloatArray, question: str) -> tuple[FloatArray, SolverReport]:
    """Find a point u of the cell with the largest c.u, which is at least 1 / 2 for |c| = 1."""

    def judge(u: FloatArray, multipliers: FloatArray) -> tuple[FloatArray, float, float]:
        point, violation = frame.draw_in(u)
        reached = float(c @ point)
        bound = frame.support_bound(c, multipliers)
        return point, violation, (bound - reached) / reached if reached > 0.0 else np.inf

    return maximise_judged(frame.R, frame.h, c, judge, f"cell {frame.cell}, {question}")
