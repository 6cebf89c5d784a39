"""Where an exploration takes place: the domain given, or all of the space, in the directions that matter.

Unbounded domains are searched as cones, so that nothing is cut off.

Without a domain the cells are cylinders over the kernel of the first layer's weights W. The plane
center + basis @ t with as many orthonormal columns as W has rank meets each of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from flint import fmpz_mat
from numpy.typing import ArrayLike, NDArray

from regions.domain import Box, Domain, FrameBox, Unbounded, WholeSpace
from regions.enumeration.homogeneous import check_inputs
from regions.errors import BudgetExceededError, InvalidDomainError, InvalidInputError
from regions.inputs import without_tensors
from regions.network.patterns import unit_place
from regions.network.relu_network import Network
from regions.rational import ExactNetwork, dyadic_integers
from regions.showing import Shown

FloatArray = NDArray[np.float64]

WIDTH = 100.0  # default half-width of the frame, over the length scale of the problem
CLEAR_RANK = 1e-9  # singular values below this part of the largest are in doubt
MOST_DIRECTIONS = 256  # of dense linear programs; beyond, boxes have programs of their own
MOST_RIVALS = 2048  # units and candidates of a network with max units that is searched whole unasked
OFF_DOMAIN = 1e-9  # how far, relative, the centre may be off a slice


@dataclass(frozen=True, eq=False)
class Frame(Shown):
    """A domain with the centre in its intrinsic coordinates.

    Attributes
    ----------
    domain : Domain
    at : (d,) float64, the centre; the point that is meant is domain.to_input(at)
    free : bool, whether the domain gives coordinates only, and all of the input space is meant
    half_width : float, in input units: how large the problem is; inf if a bounded domain was given
    whole : bool, whether all of an unbounded domain is searched; else only as far as `half_width`
    """

    domain: Domain
    at: FloatArray
    free: bool
    half_width: float
    whole: bool = False

    @property
    def endless(self) -> bool:
        """Whether what is meant is unbounded."""
        return self.free or self.whole

    def describe(self) -> str:
        """Say in one line what is searched."""
        if not (self.free and self.whole):
            return self.domain.describe()
        n, d = self.domain.input_dim, self.domain.dimension
        space = WholeSpace(n).describe()
        return (
            space if d == n else f"{space}, in the {d} direction{'s' if d > 1 else ''} that the network sees"
        )

    @property
    def beyond(self) -> bool:
        """Whether there may be something beyond what is searched."""
        return self.free and not self.whole


def check_network(network: Network) -> None:
    """Raise InvalidInputError unless this is a network that has cells."""
    if not isinstance(network, Network):
        raise InvalidInputError(f"network is a {type(network).__name__}; make a Network, see load_network")
    if not network.cutting.any():
        kind = "unit that is not linear" if network.n_units else "ReLU unit"
        raise InvalidInputError(
            f"the network has no {kind}: it is one affine map, there is nothing to explore"
        )


def checked_center(network: Network, center: ArrayLike) -> FloatArray:
    """Return the centre as (n0,) float64.

    Raises
    ------
    InvalidInputError
        If it has another number of entries, or NaN or infinity.
    """
    try:
        point = np.array(without_tensors(center), dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f"center is not an array of numbers: {error}") from None
    if point.shape != (network.input_dim,):
        raise InvalidInputError(
            f"center has shape {point.shape}; the network takes {network.input_dim} inputs: give "
            f"({network.input_dim},), images flattened"
        )
    if not np.isfinite(point).all():
        raise InvalidInputError(
            f"center holds {point[~np.isfinite(point)][0]}; all its numbers must be finite"
        )
    return point


def frame_of(network: Network, center: FloatArray, domain: Domain | None, radius: float = 0.0) -> Frame:
    """Return the frame of an exploration; one that stands for all inputs holds the ball of a radius.

    Raises
    ------
    InvalidDomainError
        If the domain does not live in the network's input space, or the centre not in the domain.
    BudgetExceededError
        If a domain whose sides are not axis-parallel has more than 256 directions.
    """
    whole = searched_whole(network)
    if isinstance(domain, Unbounded):
        check_inputs(network, domain)
        if not domain.n_sides:
            domain, whole = None, True
    if domain is None:
        frame = _free_frame(network, center, radius, whole)
    else:
        frame = _given_frame(network, center, domain)
    if frame.whole:
        return frame
    d = frame.domain.dimension
    if d > MOST_DIRECTIONS and not frame.domain.is_axis_parallel:
        raise BudgetExceededError(
            f"the domain has {d} directions; cells of domains that are no Box are explored in up to "
            f"{MOST_DIRECTIONS}: take a Box, a smaller Slice, or leave the domain out"
        )
    return frame


def _given_frame(network: Network, center: FloatArray, domain: Domain) -> Frame:
    if domain.input_dim != network.input_dim:
        raise InvalidDomainError(
            f"the domain is in {domain.input_dim} input dimensions, the network takes {network.input_dim}"
        )
    at = center.copy() if domain.is_identity else domain.to_intrinsic(center)
    size = max(1.0, float(np.abs(center).max()))
    off = float(np.abs(domain.to_input(at) - center).max())
    if off > OFF_DOMAIN * size or not domain.contains(at, OFF_DOMAIN * size):
        where = f"{off:.3g} off its plane" if off > OFF_DOMAIN * size else "outside"
        raise InvalidDomainError(f"the center is not in the domain ({domain.describe()}): it is {where}")
    whole = not domain.is_bounded
    return Frame(domain, at, False, _half_width(network, center) if whole else np.inf, whole)


def _free_frame(network: Network, center: FloatArray, radius: float, whole: bool) -> Frame:
    basis = row_space(network.weights[0])
    half = max(_half_width(network, center), 2.0 * radius)
    if basis is None:
        return Frame(Box(center - half, center + half), center, True, half, whole)
    d = basis.shape[1]
    plane = FrameBox(center, basis, np.full(d, -half), np.full(d, half))
    return Frame(plane, np.zeros(d), True, half, whole)


def searched_whole(network: Network) -> bool:
    """Tell whether explorations without a domain are of the whole space: all but those of very many rivals.

    Every candidate of a max unit has a row in the programs over a cone, however far behind it is, so that a
    cell takes a minute; in a large box it takes seconds. Whoever gives the WholeSpace by its name means it.
    """
    return network.max_units is None or network.n_units <= MOST_RIVALS


def _half_width(network: Network, center: FloatArray) -> float:
    """Return a length that is large against the centre and its distances from the first hyperplanes."""
    weight, bias = network.weights[0], network.biases[0]
    lengths = np.linalg.norm(weight, axis=1)
    crossed = lengths > 0.0
    distances = np.abs(weight[crossed] @ center + bias[crossed]) / lengths[crossed]
    typical = float(np.median(distances)) if distances.size else 0.0
    return WIDTH * (max(float(np.linalg.norm(center)), typical) or 1.0)


def row_space(weight: FloatArray) -> FloatArray | None:
    """Return (n, k) orthonormal columns, rounded, that span the rows of a matrix of rank k < n.

    None where k is n or the rank is in doubt; then the inputs themselves serve.
    """
    n = weight.shape[1]
    k = exact_rank(weight)
    if k == 0:
        return np.eye(n)[:, :1]
    if k == n:
        return None
    _, singular, rows = np.linalg.svd(weight, full_matrices=False)
    if singular[k - 1] < CLEAR_RANK * singular[0]:
        return None
    basis: FloatArray = np.ascontiguousarray(rows[:k].T)
    return basis if exact_product_rank(weight, basis) == k else None


def exact_rank(matrix: FloatArray) -> int:
    """Return the rank of a matrix of floats, as the rationals that they are."""
    return int(_integer_matrix(matrix).rank())


def exact_product_rank(left: FloatArray, right: FloatArray) -> int:
    """Return the rank of the exact product of two matrices of floats."""
    return int((_integer_matrix(left) * _integer_matrix(right)).rank())


def _integer_matrix(matrix: FloatArray) -> Any:
    return fmpz_mat(*matrix.shape, dyadic_integers(matrix)[0])


def exact_start(frame: Frame, network: Network) -> bytes:
    """Return the pattern of the cell around the centre, from exact arithmetic.

    Raises
    ------
    InvalidInputError
        If a unit that is not constant around it is 0 there.
    """
    states = ExactNetwork(network, frame.domain).states_at([Fraction(x) for x in frame.at.tolist()])
    if len(states) < network.n_units:
        layer, number = unit_place(network.unit_offsets, len(states))
        raise InvalidInputError(
            f"the center is on the zero set of unit ({layer}, {number}), "
            "between cells, so it has no cell of its own; move it a little to the side that you mean"
        )
    return states
