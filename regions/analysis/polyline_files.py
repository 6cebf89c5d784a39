"""Files of the cells along a polyline: the network and the points once, and the arrays of all pieces in turn.

Each piece is checked as a complex of its own when it is read; `verify` of the pieces proves them.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
from numpy.typing import NDArray

from regions.complexes import CellComplex, Completeness, StoppedBy
from regions.complexes.complex_arrays import CELL_ARRAYS, FACET_ARRAYS, check_arrays
from regions.complexes.complex_contents import content_problems
from regions.complexes.complex_files import (
    POLYLINE_FORMAT,
    checked_words,
    said_of,
    stored_network,
    words_of,
    write_entries,
)
from regions.complexes.facet_table import FacetTable
from regions.domain import Segment
from regions.errors import InvalidInputError, RegionsError
from regions.network.network_files import to_entries
from regions.network.npz_members import read_members
from regions.network.relu_network import Network

if TYPE_CHECKING:
    from regions.analysis.polylines import PolylineCells

__all__ = ["read_polyline", "write_polyline"]


def write_polyline(found: PolylineCells, path: str | os.PathLike[str]) -> None:
    """Write the cells along a polyline, with the network, to exactly this path.

    Raises
    ------
    InvalidInputError
        If the file cannot be written.
    """
    network, pieces = found.pieces[0].network, found.pieces
    flags, arrays = to_entries(network)
    arrays |= {name: np.concatenate([getattr(piece, name) for piece in pieces]) for name in CELL_ARRAYS}
    arrays |= {
        f"facet_{name}": np.concatenate([getattr(piece.facets, name) for piece in pieces])
        for name in FACET_ARRAYS
    }
    arrays |= {
        "points": found.points,
        "piece_cells": np.array([piece.n_cells for piece in pieces], np.int64),
        "piece_facets": np.array([len(piece.facets) for piece in pieces], np.int64),
    }
    header = {
        "format": POLYLINE_FORMAT,
        "network_name": network.name,
        "relu": flags,
        "stopped_by": found.stopped_by,
        "pieces": [words_of(piece) for piece in pieces],
    }
    write_entries(path, header, arrays, "cells along a polyline")


def read_polyline(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read the attributes of the `PolylineCells` that `write_polyline` wrote.

    Raises
    ------
    InvalidInputError
        If the file is missing, damaged, changed since it was saved or not such a file, or if its numbers
        cannot be those of cells along a polyline.
    """
    file = Path(path)
    if not file.is_file():
        raise InvalidInputError(
            f"no file {str(file)!r}; make one with `regions enumerate NET --polyline DATA.npy -o FILE`"
        )
    try:
        data = read_members(file)
        header = checked_words(data, POLYLINE_FORMAT)
        points, stopped_by = data["points"], str(header["stopped_by"])
        pieces = _pieces(stored_network(header, data), header["pieces"], data)
        _check_end(points, pieces, stopped_by)
    except RegionsError as error:
        raise InvalidInputError(f"{str(file)!r} holds no cells along a polyline: {error}") from error
    except Exception as error:  # what a damaged file makes numpy and zipfile raise is open-ended
        raise InvalidInputError(
            f"{str(file)!r} is no readable file of cells along a polyline ({type(error).__name__}: {error}); "
            "it may be damaged or of another kind"
        ) from error
    return {"points": points, "pieces": pieces, "stopped_by": stopped_by}


def _pieces(
    network: Network, words: list[dict[str, Any]], data: dict[str, NDArray[Any]]
) -> tuple[CellComplex, ...]:
    """Return the pieces, each one checked."""
    points, sizes = data["points"], [data["piece_cells"], data["piece_facets"]]
    if points.dtype != np.float64 or points.ndim != 2 or not 1 <= len(words) < len(points):
        raise InvalidInputError(f"its points are {points.dtype} {points.shape}, for {len(words)} pieces")
    if any(size.dtype != np.int64 or size.shape != (len(words),) or (size < 0).any() for size in sizes):
        raise InvalidInputError("the numbers of cells and facets are not one for each piece")
    ends = [np.concatenate([[0], np.cumsum(size)]) for size in sizes]
    names = [list(CELL_ARRAYS), [f"facet_{name}" for name in FACET_ARRAYS]]
    for group, end in zip(names, ends, strict=True):
        if any(data[name].shape[:1] != (end[-1],) for name in group):
            raise InvalidInputError("arrays have not the length that the pieces have together")
    found = []
    for k, said in enumerate(words):
        (a, b), (c, d) = ends[0][k : k + 2], ends[1][k : k + 2]
        segment = Segment(points[k], points[k + 1])
        cells: dict[str, Any] = {name: data[name][a:b] for name in CELL_ARRAYS}
        facets = {name: data[f"facet_{name}"][c:d] for name in FACET_ARRAYS}
        check_arrays(network, segment, cells, facets, None)
        piece = CellComplex(network, segment, **cells, facets=FacetTable(**facets), **said_of(said))
        for problem in content_problems(piece):
            raise InvalidInputError(f"piece {k}: {problem}")
        found.append(piece)
    return tuple(found)


def _check_end(points: NDArray[np.float64], pieces: tuple[CellComplex, ...], stopped_by: str) -> None:
    """Raise InvalidInputError unless what is missing of a polyline is what its end says."""
    whole = [piece.status is Completeness.COMPLETE for piece in pieces]
    complete = len(pieces) == len(points) - 1 and all(whole)
    if not all(whole[:-1]) or complete is bool(stopped_by) or stopped_by not in get_args(StoppedBy):
        raise InvalidInputError(
            f"{len(pieces)} of {len(points) - 1} pieces, {sum(whole)} of them COMPLETE, and stopped by "
            f"{stopped_by!r}"
        )
