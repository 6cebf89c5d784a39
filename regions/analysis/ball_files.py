"""Files of the cells in a ball: those of the complex around it, with the ball, and which cells meet it.

So whatever reads a file of cells reads that complex. Whether they meet the ball, `BallCells.check` tells.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from regions.complexes import CellComplex
from regions.complexes.complex_files import read_words, write_complex
from regions.errors import InvalidInputError
from regions.network.npz_members import read_members

if TYPE_CHECKING:
    from regions.analysis.ball_cells import BallCells

__all__ = ["read_ball", "write_ball"]

NAMES = ("ball_center", "ball_cells", "ball_squares")
NORMS = {"1": 1.0, "2": 2.0, "inf": math.inf}
_BROKEN = (ValueError, KeyError, TypeError, AttributeError, ZeroDivisionError, OverflowError)


def write_ball(found: BallCells, path: str | os.PathLike[str]) -> None:
    """Write a ball, with its complex, to exactly this path.

    Raises
    ------
    InvalidInputError
        If the file cannot be written.
    """
    norm = "inf" if found.norm == math.inf else f"{found.norm:g}"
    text = "\n".join(map(str, found.squared_distances))
    arrays: dict[str, NDArray[Any]] = {
        "ball_center": found.center,
        "ball_cells": found.cells,
        "ball_squares": np.asarray(bytearray(text.encode("ascii")), np.uint8),
    }
    write_complex(found.complex, path, {"ball": {"radius": found.radius, "norm": norm}}, arrays)


def read_ball(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read the attributes of the `BallCells` that `write_ball` wrote.

    Raises
    ------
    InvalidInputError
        If the file is missing, damaged, changed since it was saved, or holds no ball, or if its numbers
        cannot be those of one.
    """
    complex = CellComplex.load(path)
    ball, arrays = read_words(path).get("ball"), read_members(path, lambda name: name in NAMES)
    if not isinstance(ball, dict):
        raise InvalidInputError(
            f"{str(path)!r} holds cells, but not those of a ball: CellComplex.load reads it"
        )
    try:
        center, cells = arrays["ball_center"], arrays["ball_cells"]
        text = arrays["ball_squares"].tobytes().decode("ascii")
        found = {
            "center": center,
            "radius": float(ball["radius"]),
            "norm": NORMS[ball["norm"]],
            "complex": complex,
            "cells": cells,
            "squared_distances": tuple(map(Fraction, text.split())),
        }
        problem = _problem(found)
    except _BROKEN as error:
        problem = f"{type(error).__name__}: {error}"
    if problem:
        raise InvalidInputError(f"{str(path)!r} holds no sound ball: {problem}; find its cells again")
    return found


def _problem(found: dict[str, Any]) -> str:
    """Return what is wrong with a ball whose complex is sound; "" if nothing is."""
    from regions.analysis.ball_cells import ball_domain

    complex, center, cells = found["complex"], found["center"], found["cells"]
    squares: Sequence[Fraction] = found["squared_distances"]
    if center.dtype != np.float64 or cells.dtype != np.int64 or cells.ndim != 1:
        return f"its center is {center.dtype}, its cells are {cells.dtype} {cells.shape}"
    if ball_domain(center, found["radius"], found["norm"]) != complex.domain:
        return f"its cells are of {complex.domain.describe()}, which is not around that ball"
    inside = bool((cells >= 0).all() and (cells < complex.n_cells).all() and (np.diff(cells) > 0).all())
    if not inside or (found["norm"] != 2.0 and len(cells) < complex.n_cells):
        return "the cells that meet it are not numbers of cells, rising"
    if len(squares) != (len(cells) if found["norm"] == 2.0 else 0):
        return f"there are {len(squares)} distances of {len(cells)} cells"
    limit = Fraction(found["radius"]) ** 2
    if not all(0 <= square < limit for square in squares):
        return "a cell that meets it is farther away than its radius"
    return ""
