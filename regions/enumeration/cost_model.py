"""Which engine counts a cell sooner: seconds per cell of each, from d, the units and the domain's sides.

The engines by vertices keep those of a polytope, of which a cell in d dimensions has about 2**d, and find
the edges among them; the LP engine solves some programs in d variables for each cell, with a row for each
side and each unit above it that cuts. So one grows exponentially in d, the other like a small power.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple, get_args

from regions.errors import InvalidInputError, check_choice

Engine = Literal["planar", "cells", "lp"]
LARGEST_VERTEX_DIMENSION = 12  # a box has 2**12 corners, and edges are found among pairs of them

# log2 of seconds per cell
PLANAR = (-20.961, -0.116)  # 1, log2(units)
CELLS = (-30.015, 2.39, 0.955, -0.197)  # 1, d, log2(units), d log2(units)
PROGRAMS = (-24.788, 0.935, 1.48, -0.391)  # 1, log2(d), log2(units), log2(units + sides)
FEWEST, MOST = 16, 128  # units of the fit
# seconds more per cell with max units: for one of k rivals, d = 2; and for each row of the network, times d
RIVALS, RIVALS_POWER, RIVALS_BASE = 4e-8, 2.5, 2.0**0.5
ROWS = 2e-6


class Choice(NamedTuple):
    """An engine, and why."""

    engine: str
    reason: str


def seconds_per_cell(engine: str, dimension: int, units: int, sides: int, rivals: int = 1) -> float:
    """Predict the time of counting one cell, on one thread of the machine of the fit.

    Parameters
    ----------
    engine : "planar", "cells" or "lp"
    dimension : d, of the domain
    units : number of units of the network; below 16 counts as 16, beyond 128 as 128
    sides : number of facets of the domain
    rivals : candidates of the largest max unit; 1 where there is none

    Returns
    -------
    float, seconds

    Raises
    ------
    InvalidInputError
        If the engine is none of these, or a number is less than 1.

    Notes
    -----
    Least squares of log2 of the seconds over `benchmarks/results/dimension_sweep.csv`: networks with two
    hidden layers of 8, 16, 32 and 64 units on boxes, d = 2 to 12, certified arithmetic; see
    `benchmarks/dimension_sweep.py`, which prints the coefficients. `cells` (d = 3 to 12) is off by a factor
    of at most 2.1 there, `lp` by 1.8, `planar` (d = 2) by 1.1; whichever engine it names is at most 1.1
    times as slow as the better one. What is compared are rates on one machine, so the machine matters
    little. Depth, and how many units a typical cell sees, are not in it.

    A max unit of k candidates has k (k - 1) / 2 pairs, which the engines by vertices all keep, and the
    programs do not. What it adds was measured by `benchmarks/rivals_sweep.py` on one and four max units of
    4 to 128 candidates, d = 2, 3 and 5: by vertices some `4e-8 k**2.5` seconds a cell in the plane, more by
    the root of 2 for each dimension (off by a factor of up to 3 for k >= 16); by programs some 2e-6 / d for
    each row of the network (up to 5). Where the two differ by more than 2, the faster engine is named for
    k >= 8 and more than 8 cells.

    Examples
    --------
    >>> vertices, programs = (seconds_per_cell(engine, 10, 32, 20) for engine in ("cells", "lp"))
    >>> 10 < vertices / programs < 1000
    True
    """
    if min(dimension, units, sides, rivals) < 1:
        raise InvalidInputError(
            f"dimension {dimension}, units {units}, sides {sides}, rivals {rivals}: each is at least 1"
        )
    check_choice("engine", engine, get_args(Engine))
    more = 0.0
    if rivals > 1:
        pairs = RIVALS * RIVALS_BASE ** (dimension - 2) * rivals**RIVALS_POWER
        more = ROWS / dimension * units if engine == "lp" else pairs
    units = min(max(units, FEWEST), MOST)
    match engine:
        case "planar":
            a, b = PLANAR
            power = a + b * math.log2(units)
        case "cells":
            a, b, c, e = CELLS
            power = a + b * dimension + (c + e * dimension) * math.log2(units)
        case _:
            a, b, c, e = PROGRAMS
            power = a + b * math.log2(dimension) + c * math.log2(units) + e * math.log2(units + sides)
    return 2.0**power + more


def choose(dimension: int, units: int, sides: int, rivals: int = 1) -> Choice:
    """Choose the engine that is expected to count sooner: by vertices, `planar` in the plane, or `lp`.

    Parameters are those of `seconds_per_cell`; a network without units counts as one with one.

    Examples
    --------
    >>> choose(3, 32, 6).engine, choose(8, 32, 16).engine, choose(2, 128, 4, rivals=64).engine
    ('cells', 'lp', 'lp')
    """
    units = max(units, 1)
    if dimension == 2 and rivals == 1:
        return Choice("planar", "d = 2: polygons as vertex rings")
    if dimension > LARGEST_VERTEX_DIMENSION:
        return Choice(
            "lp", f"d = {dimension}: cells have too many vertices beyond {LARGEST_VERTEX_DIMENSION}"
        )
    by_vertices = "planar" if dimension == 2 else "cells"
    vertices, programs = (
        seconds_per_cell(engine, dimension, units, sides, rivals) for engine in (by_vertices, "lp")
    )
    engine = by_vertices if vertices <= programs else "lp"
    expected = f"vertices {1e6 * vertices:.2g}, linear programs {1e6 * programs:.2g} microseconds a cell"
    most = f", a max unit of {rivals} candidates" if rivals > 1 else ""
    return Choice(engine, f"d = {dimension}, {units} units{most}, {sides} sides: expected {expected}")
