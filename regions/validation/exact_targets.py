"""The exact value of whatever an estimator says that it estimates, from the enumeration.

One function for all targets; local complexity itself is left to `validation`, judging to `comparison`.
"""

from __future__ import annotations

from itertools import product
from typing import Unpack

import numpy as np
from numpy.typing import NDArray

from regions.complexes import Completeness
from regions.density import Density
from regions.density.frozen_distributions import with_distributions
from regions.density.reach import part_with_mass
from regions.domain import Domain, Polytope
from regions.enumeration.enumerate import count_cells
from regions.enumeration.limits import interrupts_raised_after
from regions.errors import InvalidInputError
from regions.estimators import Estimate, Target
from regions.estimators.counts import directions_of, random_frames
from regions.estimators.estimates import check_objects
from regions.inputs import seeded
from regions.network.relu_network import Network
from regions.validation.draws import (
    Deadline,
    EnumerationOptions,
    OutOfTime,
    all_cells,
    finished_draws,
    raise_interruption,
)
from regions.validation.local_complexity import drawn_local_complexity

__all__ = ["drawn_value", "exact_value", "units_in_neighbourhood"]

FloatArray = NDArray[np.float64]

# a cross-polytope has 2^P facets
_MAX_DIRECTIONS = 6


@with_distributions
@seeded
def exact_value(
    target: Target,
    network: Network,
    domain: Domain,
    density: Density,
    rng: np.random.Generator,
    n_draws: int,
    **options: Unpack[EnumerationOptions],
) -> Estimate:
    """Exact value of a target; where it is an average, only that is sampled, and its error is reported.

    Parameters
    ----------
    target : Target
    network : Network
    domain : Domain in its input space
    density : Density in the intrinsic coordinates of the domain
    rng : seed or numpy Generator, for biases or neighbourhoods
    n_draws : int >= 2, how many biases or neighbourhoods are drawn where the target is an average; each
        costs an enumeration (not used for the locus at fixed biases nor for the number of cells)
    **options : engine, arithmetic, max_cells, workers and progress, as for `enumerate_cells`; max_seconds,
        for all draws together

    Returns
    -------
    Estimate, with standard error 0 where nothing was drawn; after Ctrl-C or max_seconds that of the draws
        that were done, if there are two, `complete` being False

    Raises
    ------
    InvalidInputError
        If the arguments do not fit, max_cells truncates, or a neighbourhood has over 6 directions.

    Examples
    --------
    >>> from regions.density import UniformDensity
    >>> from regions.domain import Box
    >>> network = Network.from_arrays([[[1.0], [2.0]], [[1.0, 1.0]]], [[0.0, -1.0], [0.0]])
    >>> box, rng = Box([-1.0], [1.0]), np.random.default_rng(0)
    >>> exact_value(Target("number of cells"), network, box, UniformDensity(box), rng, 2)
    Estimate(mean=3.0, stderr=0.0, n=1)
    """
    deadline = Deadline(options.get("max_seconds"))
    return drawn_value(target, (network, domain, density), rng, n_draws, deadline, options)


def drawn_value(
    target: Target,
    problem: tuple[Network, Domain, Density],
    rng: np.random.Generator,
    n_draws: int,
    deadline: Deadline,
    options: EnumerationOptions,
) -> Estimate:
    """Return `exact_value` up to a deadline, which then says what ended it."""
    network, domain, density = problem
    if not isinstance(target, Target):
        raise InvalidInputError(f"target is a {type(target).__name__}; give a Target, as Target.locus()")
    check_objects(network, density, domain, rng)
    whole, domain = domain, part_with_mass(domain, density)
    if "locus" in target.quantity:
        what = (target.sigma, target.kind, target.noise)
        return drawn_local_complexity(problem, what, n_draws, rng, deadline, options)
    if target.quantity == "number of cells":
        with interrupts_raised_after():
            count = count_cells(network, whole, **deadline.options(options))
        if count.certificate.stopped_by == "max_seconds":
            raise OutOfTime(f"max_seconds ended the count after {count.n_cells} cells; give more time")
        deadline.counts(count.seconds)
        deadline.begin()
        _check_complete(count.status, count.n_cells, options.get("max_cells"))
        return Estimate(float(count.n_cells), 0.0, 1)
    if n_draws < 2:
        raise InvalidInputError(f"n_draws is {n_draws}; a standard error needs at least 2 neighbourhoods")
    directions = directions_of(target.n_directions, domain.dimension)
    if density.dimension != domain.dimension:
        raise InvalidInputError(
            f"the density has {density.dimension} coordinates, {domain.describe()} has {domain.dimension}"
        )
    progress = options.get("progress")
    points = density.sample(n_draws, rng)
    arms = target.radius * random_frames(n_draws, domain.dimension, directions, rng)

    def draw(place: FloatArray, _: object) -> int:
        own = deadline.options({**options, "progress": None})
        return units_in_neighbourhood(network, domain, place[0], place[1:], **own)

    places = np.concatenate([points[:, None], arms], axis=1)
    draws, complete = finished_draws(draw, places, n_draws, progress, deadline)
    return Estimate.from_draws(np.array(draws, dtype=np.float64), complete)


def units_in_neighbourhood(
    network: Network, domain: Domain, t: FloatArray, arms: FloatArray, **options: Unpack[EnumerationOptions]
) -> int:
    """How many units' zero sets meet the interior of the convex hull of t +- arms; one enumeration.

    The network is restricted to the span of the arms by an affine step in front, and enumerated on the
    cross-polytope there; the units are those of the interior facets. The hull is not clipped to the
    domain, which gives the coordinates alone.

    Parameters
    ----------
    network : Network
    domain : Domain in its input space
    t : (d,) float64, intrinsic coordinates of the centre
    arms : (P, d) float64, linearly independent, P <= 6
    **options : engine, arithmetic, max_cells and workers, as for `enumerate_cells`

    Raises
    ------
    InvalidInputError : if there are over 6 arms, or max_cells truncates

    Examples
    --------
    >>> from regions.domain import Box
    >>> network = Network.from_arrays([[[1.0, 0.0], [0.0, 1.0]], [[1.0, 1.0]]], [[0.0, -1.0], [0.0]])
    >>> box = Box([-1.0, -1.0], [1.0, 1.0])
    >>> units_in_neighbourhood(network, box, np.array([0.1, 0.0]), 0.5 * np.eye(2))
    1
    """
    count = len(arms)
    if not 1 <= count <= _MAX_DIRECTIONS:
        raise InvalidInputError(
            f"the neighbourhood has {count} directions; its facets are enumerated for 1 to {_MAX_DIRECTIONS}"
        )
    restricted = Network(
        (domain.basis @ arms.T, *network.weights),
        (domain.to_input(t), *network.biases),
        (False, *network.relu),
        slopes=(None, *network.slopes),
        maxima=(None, *network.maxima),
    )
    signs = np.array(list(product((-1.0, 1.0), repeat=count)))
    cells = all_cells(restricted, Polytope(signs, np.ones(len(signs))), **options)
    inner = cells.facets.interior
    flat = restricted.unit_offsets[cells.facets.layer[inner]] + cells.facets.unit[inner]
    if (table := restricted.max_units) is not None:  # candidates of one max unit count as the first of them
        flat = np.where(table.first[flat] >= 0, table.first[flat], flat)
    return len(set(flat.tolist()))


def _check_complete(status: Completeness, cells: int, max_cells: int | None) -> None:
    raise_interruption(status, cells, max_cells)
    if status is not Completeness.COMPLETE:
        raise InvalidInputError(
            f"max_cells is {max_cells} and the enumeration is {status.value} there: raise it or leave it out"
        )
