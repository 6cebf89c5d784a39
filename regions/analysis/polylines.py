"""Polylines through points of any input dimension: cells and breakpoints, piece by piece.

Each piece is a `Segment`, and its cells are those of an enumeration on it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from regions.analysis.polyline_files import read_polyline, write_polyline
from regions.complexes import Arithmetic, CellComplex, StoppedBy
from regions.domain import Segment
from regions.enumeration import enumerate_cells
from regions.enumeration.limits import Limits, Stop, checked_limits
from regions.errors import InvalidDomainError
from regions.inputs import without_tensors
from regions.network.patterns import row_keys
from regions.network.relu_network import Network
from regions.showing import Shown

__all__ = ["PolylineCells", "polyline_cells"]

FloatArray = NDArray[np.float64]
Progress = Callable[[int, float], None]


@dataclass(frozen=True, eq=False)
class PolylineCells(Shown):
    """The cells of a network along a polyline.

    Attributes
    ----------
    points : (k + 1, n0) float64
    pieces : tuple of CellComplex, one for each of the k pieces, or fewer if it is TRUNCATED
    stopped_by : "max_cells", "max_seconds" or "interrupt", what ended the search early; else ""

    Examples
    --------
    >>> network = Network.from_arrays([[[1.0, 0.0], [0.0, 1.0]], [[1.0, 1.0]]], [[-1.0, -1.0], [0.0]])
    >>> path = polyline_cells(network, [[0.0, 0.0], [2.0, 0.0], [2.0, 4.0]])
    >>> path.counts.tolist(), path.visits, path.distinct
    ([2, 2], 3, 3)
    >>> [breaks.tolist() for breaks in path.breakpoints], path.complete
    ([[1.0], [1.0]], True)
    """

    points: FloatArray
    pieces: tuple[CellComplex, ...]
    stopped_by: StoppedBy = ""

    def _headline(self) -> str:
        return f"{self.visits:,} cells visited on {len(self.pieces):,} pieces, {self.distinct:,} patterns"

    def _facts(self) -> dict[str, Any]:
        return {
            "pieces": len(self.points) - 1,
            "status": f"TRUNCATED ({self.stopped_by})" if self.stopped_by else "COMPLETE",
            "cells of each piece": self.counts,
            "visits": self.visits,
            "distinct patterns": self.distinct,
        }

    @property
    def complete(self) -> bool:
        """Whether all cells of all pieces were found."""
        return not self.stopped_by

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """Number of cells of each piece."""
        return np.array([piece.n_cells for piece in self.pieces], dtype=np.int64)

    @cached_property
    def breakpoints(self) -> tuple[FloatArray, ...]:
        """Lengths from the start of each piece at which it passes from one cell into another, in order."""
        return tuple(np.sort(_places(piece)) for piece in self.pieces)

    @cached_property
    def jumps(self) -> tuple[FloatArray, ...]:
        """Size of the change of the Jacobian along the piece at each breakpoint; 0 where it does not bend."""
        return tuple(
            piece.facets.jump[piece.facets.interior][np.argsort(_places(piece), kind="stable")]
            for piece in self.pieces
        )

    @cached_property
    def patterns(self) -> tuple[NDArray[np.uint8], ...]:
        """The packed patterns of each piece's cells, in the order of the way."""
        return tuple(
            piece.patterns[np.argsort(piece.centroids[:, 0], kind="stable")] for piece in self.pieces
        )

    @cached_property
    def visits(self) -> int:
        """How many cells are visited one after another: a cell that goes on around a corner counts once.

        A cell that is left and entered again counts again.
        """
        keys = [key for patterns in self.patterns for key in row_keys(patterns)]
        return sum(key != before for before, key in zip([None, *keys], keys, strict=False))

    @cached_property
    def distinct(self) -> int:
        """How many different activation patterns there are along the polyline."""
        return len({key for piece in self.pieces for key in row_keys(piece.patterns)})

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything, network included, to one compressed file.

        Raises
        ------
        InvalidInputError
            If the file cannot be written.
        """
        write_polyline(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> PolylineCells:
        """Read what `save` wrote.

        Raises
        ------
        InvalidInputError
            If the file is missing, damaged, changed since it was saved or not such a file, or if its numbers
            cannot be those of cells along a polyline. Whether they are right, `verify` of each piece tells.
        """
        return cls(**read_polyline(path))

    def to_dict(self) -> dict[str, Any]:
        """Return counts and breakpoints as plain numbers and lists."""
        return {
            "pieces": len(self.points) - 1,
            "status": "COMPLETE" if self.complete else "TRUNCATED",
            "stopped_by": self.stopped_by,
            "counts": self.counts.tolist(),
            "breakpoints": [breaks.tolist() for breaks in self.breakpoints],
            "lengths": [piece.domain.volume for piece in self.pieces],
            "visits": self.visits,
            "distinct": self.distinct,
        }


def _places(piece: CellComplex) -> FloatArray:
    """Return where the interior facets of a piece are, in the order of its table."""
    return piece.facet_simplices()[0][:, 0, 0]


def polyline_cells(
    network: Network,
    points: ArrayLike,
    *,
    arithmetic: Arithmetic = "certified",
    progress: Progress | None = None,
    **limits: Unpack[Limits],
) -> PolylineCells:
    """Find the cells along the polyline through points, exactly.

    Parameters
    ----------
    network : Network, of any input dimension
    points : (k + 1, n0) numbers, k >= 1; one after another they differ
    arithmetic : as for `enumerate_cells`
    progress : called after each piece with the cells found so far and the fraction done
    max_cells, max_seconds : of all pieces together; after either, and after Ctrl-C, the result is TRUNCATED

    Raises
    ------
    InvalidDomainError
        If the points do not fit the network, or two that follow each other are the same.

    Notes
    -----
    Cost: an enumeration on a segment for each piece, some milliseconds.

    Examples
    --------
    >>> zigzag = [[0.0], [2.0], [0.0]]
    >>> path = polyline_cells(Network.from_arrays([[[1.0]], [[1.0]]], [[-1.0], [0.0]]), zigzag)
    >>> path.counts.tolist(), path.visits, path.distinct
    ([2, 2], 3, 2)
    """
    corners = np.array(without_tensors(points), dtype=np.float64)
    if corners.ndim != 2 or len(corners) < 2:
        raise InvalidDomainError(
            f"points have shape {corners.shape}; a polyline needs (k + 1, {network.input_dim}) with k >= 1"
        )
    segments = [_segment(corners, k) for k in range(len(corners) - 1)]
    max_cells, max_seconds = checked_limits("polyline_cells", limits)
    pieces: list[CellComplex] = []
    cells = 0
    with Stop(max_seconds) as stop:
        for k, segment in enumerate(segments):
            left = None if max_cells is None else max(max_cells - cells, 1)
            piece = enumerate_cells(
                network, segment, arithmetic=arithmetic, workers=1, max_cells=left, max_seconds=stop.left()
            )
            pieces.append(piece)
            cells += piece.n_cells
            if progress is not None:
                progress(cells, (k + 1) / len(segments))
            full = max_cells is not None and cells >= max_cells
            if piece.certificate.stopped_by or stop.is_set() or full:
                break
        done = len(pieces) == len(segments) and pieces[-1].certificate.complete
        stopped_by = pieces[-1].certificate.stopped_by or stop.reason(done, cells, max_cells)
        stop.deliver(stopped_by)
    return PolylineCells(corners, tuple(pieces), stopped_by)


def _segment(corners: FloatArray, k: int) -> Segment:
    """Return a piece; raise InvalidDomainError, with its number, where it is none."""
    try:
        return Segment(corners[k], corners[k + 1])
    except InvalidDomainError as error:
        raise InvalidDomainError(f"piece {k} of the polyline: {error}") from error
