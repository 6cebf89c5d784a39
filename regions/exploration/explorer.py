"""`explore`: the cells around a point, in the order of hops or of distance, in any input dimension."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

import numpy as np
from numpy.typing import ArrayLike

from regions.complexes import Arithmetic, check_arithmetic
from regions.enumeration.limits import Stop
from regions.exploration.centered_cells import CenteredCells
from regions.exploration.exploration_result import Exploration, packaged
from regions.exploration.local_search import ExplorationLimits, Progress, Search, check_limits
from regions.exploration.search_frame import check_network, checked_center, frame_of
from regions.network.relu_network import Network

if TYPE_CHECKING:
    from regions.domain import Domain

MAX_CELLS = 1000  # unless something else is asked for


def explore(
    network: Network,
    center: ArrayLike,
    domain: Domain | None = None,
    *,
    arithmetic: Arithmetic = "certified",
    progress: Progress | None = None,
    **limits: Unpack[ExplorationLimits],
) -> Exploration:
    """Find the cells around a point and the facets between them, by hops, or by distance with `radius`.

    Parameters
    ----------
    network : Network, of any input dimension
    center : (n0,) numbers, in a cell: on no unit's zero set
    domain : Domain, optional
        Default: the whole space, or name it; a Polyhedron has no end either. Nothing is cut off: cells are
        what they are without a box, and `Exploration.bounded` tells which of them end. Without a domain the
        directions that count are those of the row space of the first layer's weights, as many as they have
        rank. With more than 2,048 units and candidates of max units a large box is searched, and said to be,
        unless a WholeSpace is given.
    max_cells : int or None, how many cells to enter, that is to find all facets of; default 1000
    max_seconds : float or None, how long to search
    max_hops : int or None, how many facets to cross at most
    radius : float or None, in input units
        Only cells that meet the closed Euclidean ball around the centre; alone, in the order of distance;
        with `max_hops`, in the order of hops, each a step between cells that meet the ball.
    arithmetic : "certified", or "float" for the signs as they come
    progress : called with (cells entered, fraction of `max_cells`)

    Returns
    -------
    Exploration
        COMPLETE if no cell within the limits is left; otherwise TRUNCATED, with `reasons` and its frontier,
        from which `resume` goes on. Ctrl-C ends as a TRUNCATED result. The result does not depend on the
        threads used.

    Raises
    ------
    InvalidInputError, InvalidDomainError
        If an argument cannot be used, or the centre is outside the domain or on the border of cells.
    BudgetExceededError
        If a domain whose sides are not axis-parallel has more than 256 directions.

    Notes
    -----
    A cell costs linear programs in d variables over all units: 0.1 s for d = 64 and 96 units; in boxes of
    more than 256 directions they go to HiGHS, about 1 s for 96 units in [0, 1]^784. Without a box: 0.1 s for
    64 units in 10 directions, 0.5 s for 128 units in 64; in up to 5 all rays of a cell are listed. Keeps 8 d
    bytes for every cell entered and some hundred for every cell of the frontier. In certified arithmetic
    every cell is proven by a point inside, every facet by points on both sides, every other row by
    multipliers; in more than 8 dimensions rows that resist (several units with one hyperplane) are counted
    in `undecided`, never hidden.

    Examples
    --------
    >>> from regions import Network
    >>> network = Network.from_arrays([[[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]], [[1.0, 1.0]]], [[0.5, 0.5], [0.0]])
    >>> found = explore(network, [0.0, 0.0, 0.0], max_hops=1)
    >>> found.status.name, found.n_cells, found.n_frontier, found.hops.tolist()
    ('COMPLETE', 3, 1, [0, 1, 1, 2])
    >>> explore(network, [0.0, 0.0, 0.0]).statement()
    '4 cells around the center (all that can be reached), COMPLETE; 0 cells met beyond them are the frontier.'
    >>> found.nearest_facet.unit, round(found.nearest_facet.distance, 6)
    (0, 0.353553)
    """
    check_arithmetic(arithmetic)
    certified = arithmetic == "certified"
    check_network(network)
    check_limits("explore", limits)
    max_hops, radius = limits.get("max_hops"), limits.get("radius")
    with Stop(limits.get("max_seconds")) as stop:
        point = checked_center(network, center)
        frame = frame_of(network, point, domain, radius or 0.0)
        by_distance = radius is not None and max_hops is None
        limit = np.inf if radius is None else float(radius)
        around = CenteredCells(network, frame)
        search = Search(network, frame, certified, max_hops, limit, by_distance, around)
        search.run(limits.get("max_cells", MAX_CELLS), progress, stop)
        found = packaged(search, point, stop.seconds)
        stop.deliver(found.stopped_by)
    return found
