"""Betti numbers and Euler characteristics of decision boundaries, decision regions, sublevel sets.

Faces and their incidence are exact, from `analysis.boundaries`; homology is that of `reduction`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regions.analysis.boundaries.boundary_complex import BoundaryComplex
from regions.analysis.boundaries.cut_networks import (
    labels_of_cells,
    network_cut_at_level,
    network_with_winner,
)
from regions.analysis.boundaries.decision_boundaries import checked_level
from regions.analysis.boundaries.exact_pieces import ExactFaces
from regions.analysis.linear_regions.exact_geometry import ExactGeometry
from regions.analysis.topology.reduction import betti_numbers
from regions.complexes import CellComplex, Completeness
from regions.domain import Domain
from regions.enumeration import enumerate_cells
from regions.errors import BudgetExceededError, CertificateError, InvalidDomainError, InvalidInputError
from regions.network.relu_network import Network
from regions.rational import ExactNetwork
from regions.showing import Shown

__all__ = ["LARGEST_DIMENSION", "MAX_CELLS", "Topology", "boundary_topology", "faces_of", "region_topology"]

MAX_CELLS = 20_000
LARGEST_DIMENSION = 6


@dataclass(frozen=True)
class Topology(Shown):
    """What a union of faces is like as a space.

    Attributes
    ----------
    betti : tuple of int, over the field of two elements: components, tunnels, voids, ...
    f_vector : tuple of int, numbers of faces of dimension 0, 1, ...
    """

    betti: tuple[int, ...]
    f_vector: tuple[int, ...]

    @property
    def euler_characteristic(self) -> int:
        """Alternating sum of the numbers of faces, and of the Betti numbers."""
        return sum((-1) ** k * n for k, n in enumerate(self.f_vector))


def boundary_topology(boundary: BoundaryComplex) -> Topology:
    """Return the Betti numbers of a decision boundary or level set.

    Parameters
    ----------
    boundary : BoundaryComplex, COMPLETE

    Raises
    ------
    InvalidInputError
        If it is something else, or TRUNCATED.

    Examples
    --------
    >>> from regions import Box, Network, decision_boundary
    >>> diamond = Network.from_arrays([[[1, 0], [0, 1]], [[1, 1]]], [[0, 0], [0]], slopes=["abs", None])
    >>> boundary_topology(decision_boundary(diamond, Box([-2, -2], [2, 2]), level=1.0)).betti
    (1, 1)
    """
    if not isinstance(boundary, BoundaryComplex):
        raise InvalidInputError(
            f"this takes a BoundaryComplex and got a {type(boundary).__name__}; give what decision_boundary "
            "returns"
        )
    if boundary.status is not Completeness.COMPLETE:
        raise InvalidInputError("the boundary is TRUNCATED: its pieces are not all there are")
    return topology_of(boundary.faces)


def topology_of(faces: ExactFaces) -> Topology:
    """Return the Betti numbers of faces.

    Raises
    ------
    CertificateError
        If the Euler characteristic by faces is not that by Betti numbers.
    """
    found = Topology(betti_numbers(faces.below), faces.f_vector)
    if found.euler_characteristic != sum((-1) ** k * n for k, n in enumerate(found.betti)):
        raise CertificateError(
            f"faces {found.f_vector} and Betti numbers {found.betti} have other Euler characteristics"
        )
    return found


def region_topology(
    network: Network,
    domain: Domain,
    label: int,
    level: float | None = None,
    *,
    max_cells: int = MAX_CELLS,
    max_seconds: float | None = None,
    workers: int | None = None,
    progress: Callable[[int, float], None] | None = None,
) -> Topology:
    """Return the Betti numbers of the region in which one class is decided for.

    It is the closure of its interior: what it has of lower dimension, such as a point at which an output is
    just at the level, does not count.

    Parameters
    ----------
    network : Network
    domain : Box, Segment, Slice or Polytope of dimension 1 to 6
    label : int, the class; of one output 1 for the superlevel set, 0 for the sublevel set
    level : float, of one output only; default 0
    max_cells : int, cells of the network with the decision that may be looked at, some milliseconds each
    max_seconds, workers, progress : as for `enumerate_cells`

    Raises
    ------
    InvalidInputError, InvalidDomainError
        If an argument cannot be used.
    BudgetExceededError
        If there are more cells, or the time is up.

    Examples
    --------
    >>> from regions import Box, Network
    >>> diamond = Network.from_arrays([[[1, 0], [0, 1]], [[1, 1]]], [[0, 0], [0]], slopes=["abs", None])
    >>> box = Box([-2, -2], [2, 2])
    >>> region_topology(diamond, box, 0, 1.0).betti, region_topology(diamond, box, 1, 1.0).betti
    ((1, 0, 0), (1, 1, 0))
    """
    if not isinstance(network, Network):
        raise InvalidInputError(f"network is a {type(network).__name__}; make a Network with from_arrays")
    height = checked_level(network, level)
    classes = max(2, network.output_dim)
    if isinstance(label, bool) or not isinstance(label, int | np.integer) or not 0 <= label < classes:
        raise InvalidInputError(f"label is {label!r}; give one of the classes 0 to {classes - 1}")
    check_domain(domain)
    cut = network_with_winner(network) if height is None else network_cut_at_level(network, height)
    cells = enumerate_cells(
        cut, domain, max_cells=max_cells + 1, max_seconds=max_seconds, workers=workers, progress=progress
    )
    check_size(cells, max_cells)
    labels = labels_of_cells(cells.unpacked_patterns(), network.output_dim)
    return topology_of(faces_of(cells, np.flatnonzero(labels == label))[0])


def check_domain(domain: Any) -> None:
    """Raise InvalidDomainError unless faces of all dimensions can be found on a domain."""
    if isinstance(domain, Domain) and not (domain.is_bounded and domain.dimension <= LARGEST_DIMENSION):
        raise InvalidDomainError(
            f"faces take a bounded domain of 1 to {LARGEST_DIMENSION} dimensions, not {domain.describe()}"
        )


def check_size(cells: CellComplex, max_cells: int) -> None:
    """Raise BudgetExceededError unless cells are all there are, and not too many."""
    if cells.n_cells > max_cells:
        raise BudgetExceededError(
            f"there are more than {max_cells} cells; take a smaller domain or raise max_cells"
        )
    if cells.status is not Completeness.COMPLETE:
        raise BudgetExceededError(
            f"the list of cells was ended early ({cells.certificate.stopped_by}); give it more time"
        )


def faces_of(cells: CellComplex, chosen: NDArray[np.int64]) -> tuple[ExactFaces, ExactGeometry]:
    """Return the faces of some cells, each once, and the exact cells themselves."""
    geometry = ExactGeometry(cells)
    faces = ExactFaces.of_dimension(cells.dimension)
    n_sides = len(ExactNetwork(cells.network, cells.domain).halfspace_rows)
    for i in chosen.tolist():
        faces.add(geometry.cell(i).polytope, n_sides)
    return faces, geometry
