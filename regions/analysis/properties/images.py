"""Which inputs lead to some outputs, exactly; and the outputs of a domain, cell by cell, as polygons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from regions.analysis.arguments import check_bounded, check_complex
from regions.analysis.properties.property_check import check_property
from regions.analysis.properties.property_report import Share
from regions.analysis.properties.property_spec import Property
from regions.analysis.properties.violating_pieces import ViolatingPiece
from regions.complexes import CellComplex
from regions.domain import Domain
from regions.errors import InvalidInputError
from regions.network.relu_network import Network
from regions.showing import Shown

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Preimage(Shown):
    """The inputs of a domain whose outputs lie in a polytope.

    Attributes
    ----------
    pieces : tuple of convex polytopes without common interior, each in one cell, with exact volumes
    share : Share of the domain's volume
    point : n0 Fractions, an input with such an output, None if there is none or none is known
    stopped_by : str, "" unless something ended the search early
    """

    pieces: tuple[ViolatingPiece, ...]
    share: Share
    point: tuple[Fraction, ...] | None
    stopped_by: str = ""

    @property
    def volume(self) -> Fraction:
        """The volume of the pieces, in intrinsic coordinates."""
        return sum((piece.volume for piece in self.pieces), Fraction(0))


def preimage(
    network: Network, domain: Domain, outputs: tuple[ArrayLike, ArrayLike], **options: Any
) -> Preimage:
    """Return the inputs of a domain whose outputs y have A @ y <= b, in rational arithmetic.

    Parameters
    ----------
    network, domain : as for `check_property`
    outputs : (A (k, out), b (k,))
    options : max_seconds, workers, progress, most_boxes, as for `check_property`

    Returns
    -------
    Preimage

    Raises
    ------
    InvalidInputError, InvalidDomainError, InvalidNetworkError
        If an argument cannot be used.

    Examples
    --------
    >>> from regions import Box, Network
    >>> absolute = Network.from_arrays([[[1.0], [-1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.0]])
    >>> found = preimage(absolute, Box([-1.0], [1.0]), ([[1.0], [-1.0]], [0.75, -0.5]))
    >>> len(found.pieces), found.volume  # 1/2 <= |x| <= 3/4
    (2, Fraction(1, 2))
    """
    report = check_property(network, Property([(domain, [outputs])], "preimage"), volume=True, **options)
    assert report.share is not None  # as volumes are asked for
    point = None if report.counterexample is None else report.counterexample.point
    return Preimage(report.pieces, report.share, point, report.stopped_by)


@dataclass(frozen=True, eq=False)
class OutputImage(Shown):
    """The outputs of the cells of a complex, in one or two of the outputs.

    Attributes
    ----------
    outputs : tuple of int, which outputs
    parts : tuple of (k, 1) or (k, 2) float64, one for each cell: the ends of an interval, or the corners of a
        polygon in order; fewer where the image of the cell is flat
        They may overlap: several cells may have the same outputs.
    """

    outputs: tuple[int, ...]
    parts: tuple[FloatArray, ...]

    def bounds(self) -> tuple[FloatArray, FloatArray]:
        """Return the least and the largest value of each of the outputs."""
        corners = np.concatenate(self.parts)
        return corners.min(axis=0), corners.max(axis=0)


def image(complex: CellComplex, outputs: Sequence[int] | None = None) -> OutputImage:
    """Return the outputs of each cell: intervals of one output, or polygons of two.

    Parameters
    ----------
    complex : CellComplex of a bounded domain, of at most 8 dimensions
    outputs : one or two numbers of outputs; default all, if there are no more than two

    Returns
    -------
    OutputImage
        Rounded, from the rounded vertices of the cells.

    Raises
    ------
    InvalidInputError
        If there are no such outputs, or not one or two.

    Examples
    --------
    >>> from regions import Box, Network, enumerate_cells
    >>> net = Network.from_arrays([[[1.0], [-1.0]]], [[0.0, 0.0]], [True])  # (x+, x-)
    >>> [part.tolist() for part in image(enumerate_cells(net, Box([-1.0], [2.0]))).parts]
    [[[0.0, 0.0], [2.0, 0.0]], [[0.0, 0.0], [0.0, 1.0]]]
    """
    check_complex(complex)
    check_bounded(complex, "images")
    size = complex.network.output_dim
    chosen = tuple(range(size)) if outputs is None else tuple(outputs)
    if len(chosen) not in (1, 2) or any(
        not isinstance(k, int | np.integer) or not 0 <= k < size for k in chosen
    ):
        raise InvalidInputError(f"outputs is {list(chosen)}; give one or two of the outputs 0 to {size - 1}")
    parts = []
    for cell in range(complex.n_cells):
        A, c = complex.network.affine_map(complex.pattern(cell))
        x = complex.domain.to_input(complex.vertices(cell))
        parts.append(_hull((x @ A.T + c)[:, list(chosen)]))
    return OutputImage(chosen, tuple(parts))


def _hull(points: FloatArray) -> FloatArray:
    """Return the ends of numbers, or the corners of the convex hull of points in the plane, in order.

    References
    ----------
    Andrew, Another efficient algorithm for convex hulls in two dimensions, Inf. Proc. Letters 9 (1979).
    """
    if points.shape[1] == 1:
        return np.unique(np.array([points.min(axis=0), points.max(axis=0)]), axis=0)
    ordered = np.unique(points, axis=0)
    if len(ordered) < 3:
        return ordered

    def chain(way: FloatArray) -> list[FloatArray]:
        kept: list[FloatArray] = []
        for point in way:
            while len(kept) > 1 and _turn(kept[-2], kept[-1], point) <= 0.0:
                kept.pop()
            kept.append(point)
        return kept[:-1]

    return np.array(chain(ordered) + chain(ordered[::-1]))


def _turn(a: FloatArray, b: FloatArray, c: FloatArray) -> float:
    return float((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]))
