"""The six counts and the partitions behind them; each definition is in `DEFINITIONS`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from regions.analysis.arguments import check_complex
from regions.analysis.linear_regions.convex_pieces import ConvexPartition, convex_partition
from regions.analysis.linear_regions.exact_geometry import ExactGeometry
from regions.analysis.linear_regions.faces import FaceLattice, face_lattice
from regions.analysis.linear_regions.merging import Labels, affine_classes, closed_components, open_components
from regions.complexes import CellComplex, Completeness
from regions.errors import InvalidInputError, check_choice
from regions.showing import Shown

DEFINITIONS = {
    "activation": "activation patterns (units > 0) at any point, also on lower-dimensional sets",
    "cell": "activation patterns with a full-dimensional set of points",
    "convex": "smallest number of polyhedra in a polyhedral complex on which the network is affine",
    "open": "components of the open sets where the network is affine: cells merged across facets",
    "closed": "components of cells with the same affine map that have any point in common",
    "affine": "different affine maps",
}


@dataclass(frozen=True)
class RegionCount(Shown):
    """A number of linear regions, by a named definition.

    Attributes
    ----------
    definition : str, a key of `DEFINITIONS`
    lower, upper : int, proven bounds; equal where the count is exact

    Examples
    --------
    >>> int(RegionCount("open", 3, 3)), str(RegionCount("convex", 3, 5))
    (3, '3..5')
    """

    definition: str
    lower: int
    upper: int

    @property
    def exact(self) -> bool:
        """Whether the count is known."""
        return self.lower == self.upper

    def __int__(self) -> int:
        if not self.exact:
            raise InvalidInputError(
                f"the {self.definition} count is only known to lie in {self}; use lower and upper"
            )
        return self.lower

    def __str__(self) -> str:
        return str(self.lower) if self.exact else f"{self.lower}..{self.upper}"

    def _headline(self) -> str:
        return f"{self} linear regions, {DEFINITIONS[self.definition]}"

    def _facts(self) -> dict[str, Any]:
        exact = "yes" if self.exact else "no: bounds are proven"
        return {"definition": self.definition, "lower": self.lower, "upper": self.upper, "exact": exact}


class LinearRegions:
    """All six counts of one complex; what several of them need is computed once.

    Parameters
    ----------
    cells : CellComplex, COMPLETE
    progress : called about ten times a second with cells and fraction done while faces are listed, which
        is what takes long in most cases

    Raises
    ------
    InvalidInputError
        If the complex is TRUNCATED.

    Examples
    --------
    >>> from regions import Box, Network, enumerate_cells
    >>> network = Network.from_arrays(  # relu(relu(x) - y) - relu(x)
    ...     [[[1, 0], [0, 1], [0, -1]], [[1, -1, 1], [1, 0, 0]], [[1, -1]]], [[0, 0, 0], [0, 0], [0]])
    >>> regions = LinearRegions(enumerate_cells(network, Box([-1, -1], [1, 1])))
    >>> {name: str(regions.count(name)) for name in DEFINITIONS}
    {'activation': '7', 'cell': '5', 'convex': '4', 'open': '3', 'closed': '3', 'affine': '3'}
    """

    def __init__(self, cells: CellComplex, *, progress: Callable[[int, float], None] | None = None) -> None:
        check_complex(cells)
        if cells.status is not Completeness.COMPLETE:
            raise InvalidInputError(
                "the complex is TRUNCATED: its cells are not all there are, so no definition can be counted"
            )
        # cells have the same neighbours at every face inside the box that clips them
        self.cells = cells if cells.clipped is None else cells.clipped
        self._progress = progress

    @cached_property
    def _geometry(self) -> ExactGeometry:
        return ExactGeometry(self.cells)

    @cached_property
    def faces(self) -> FaceLattice:
        """The face lattice; raises BudgetExceededError beyond moderate size."""
        return face_lattice(self.cells, geometry=self._geometry, progress=self._progress)

    @cached_property
    def _affine(self) -> Labels:
        return affine_classes(self.cells, self._geometry)

    @cached_property
    def _open(self) -> Labels:
        return open_components(self.cells, self._affine)

    @cached_property
    def _closed(self) -> Labels:
        return closed_components(self._affine, self._open, self._geometry)

    @cached_property
    def _convex(self) -> ConvexPartition:
        return convex_partition(self._open, self._geometry)

    def labels(self, definition: str) -> Labels:
        """The region that each cell belongs to, (n_cells,) int64, numbered by first occurrence.

        For "convex" the smallest partition that was found, whether or not it is proven smallest.

        Raises
        ------
        InvalidInputError
            If the definition is unknown, or "activation", whose regions are not unions of cells.
        """
        check_choice("definition", definition, DEFINITIONS)
        if definition == "activation":
            raise InvalidInputError(
                "definition 'activation' has no partition of the cells: its regions are faces of them; "
                "choose another"
            )
        match definition:
            case "cell":
                return np.arange(self.cells.n_cells)
            case "convex":
                return self._convex.labels
            case "open":
                return self._open
            case "closed":
                return self._closed
            case _:
                return self._affine

    def count(self, definition: str) -> RegionCount:
        """The number of linear regions by a definition.

        Raises
        ------
        InvalidInputError
            If the definition is unknown.
        BudgetExceededError
            If the definition is "activation" and the complex too large for its faces.
        """
        check_choice("definition", definition, DEFINITIONS)
        if definition == "activation":
            n = self.faces.n_activation_patterns
            return RegionCount(definition, n, n)
        if definition == "convex":
            return RegionCount(definition, self._convex.lower, self._convex.upper)
        labels = self.labels(definition)
        n = int(labels.max()) + 1 if labels.size else 0
        return RegionCount(definition, n, n)


def count_regions(cells: CellComplex, definition: str = "cell") -> RegionCount:
    """Number of linear regions of a network on a domain, by one of six definitions, exactly.

    Parameters
    ----------
    cells : CellComplex, COMPLETE
    definition : "activation", "cell", "convex", "open", "closed" or "affine"
        The counts never increase in this order. "convex" is hard in general; where it is not found
        exactly the result carries proven bounds.

    Returns
    -------
    RegionCount

    Raises
    ------
    InvalidInputError
        If the complex is TRUNCATED or the definition unknown.
    BudgetExceededError
        For "activation" on more than 20,000 cells.

    References
    ----------
    Stargalla, Hertrich, Reichman, The computational complexity of counting linear regions in ReLU
    neural networks, arXiv 2505.16716.

    Examples
    --------
    >>> from regions import Box, Network, enumerate_cells
    >>> nothing = Network.from_arrays([[[1.0], [1.0]], [[1.0, -1.0]]], [[0.0, 0.0], [0.0]])
    >>> cells = enumerate_cells(nothing, Box([-1.0], [1.0]))
    >>> int(count_regions(cells)), int(count_regions(cells, "affine"))
    (2, 1)
    """
    return LinearRegions(cells).count(definition)


def region_labels(cells: CellComplex, definition: str) -> Labels:
    """The linear region that each cell belongs to; see `LinearRegions.labels`.

    Examples
    --------
    >>> from regions import Box, Network, enumerate_cells
    >>> bump = Network.from_arrays([[[1.0], [1.0], [1.0]], [[1.0, -2.0, 1.0]]], [[0, -1, -2], [0]])
    >>> cells = enumerate_cells(bump, Box([-1.0], [3.0]))
    >>> sorted(region_labels(cells, "affine").tolist()), sorted(region_labels(cells, "closed").tolist())
    ([0, 0, 1, 2], [0, 1, 2, 3])
    """
    return LinearRegions(cells).labels(definition)
