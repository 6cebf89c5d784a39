"""Enumerating and counting cells: run the engine that was chosen, check and report.

The engine is chosen in `planning`; the engines are in `vertices` and `programs`, their threads in `threads`;
what ends a search early is in `limits`; what a result can answer is in `complexes`.
"""

from __future__ import annotations

import logging
import math
from concurrent.futures import Executor
from dataclasses import replace
from os import PathLike
from typing import Any, Unpack, overload

import numpy as np

from regions.complexes import Arithmetic, CellComplex, StoredComplex
from regions.domain import Domain, Unbounded
from regions.enumeration.both_engines import by_both
from regions.enumeration.cell_count import CellCount
from regions.enumeration.executors import Problem, search_tree
from regions.enumeration.facet_join import facet_table, join_outputs, packed_bytes
from regions.enumeration.ledger import Outcome
from regions.enumeration.limits import Limits, Stop, checked_limits, status_of
from regions.enumeration.planning import LARGEST_LISTED_DIMENSION, Plan, plan_search
from regions.enumeration.self_checks import (
    Listed,
    check_samples,
    checked_measures,
    holds_volume,
    most_exact,
    sum_differs,
    sums_up,
    too_many,
)
from regions.enumeration.stored_listing import check_listable
from regions.enumeration.threads import Progress, ready_search, run_search
from regions.enumeration.unbounded_search import count_unbounded, list_unbounded
from regions.errors import InvalidInputError
from regions.kernels.memory.states import Mode
from regions.network.relu_network import Network

__all__ = ["CellCount", "count_cells", "enumerate_cells"]

LOGGER = logging.getLogger(__name__)


def count_cells(
    network: Network,
    domain: Domain,
    *,
    engine: str = "auto",
    arithmetic: Arithmetic = "certified",
    progress: Progress | None = None,
    workers: int | None = None,
    executor: Executor | None = None,
    check_volumes: bool | None = None,
    **limits: Unpack[Limits],
) -> CellCount:
    """Count the cells of a network on a domain, with memory proportional to the depth of the search.

    Parameters
    ----------
    network : Network
    domain : Box, Segment, Slice or Polytope of dimension 1 to 50
    engine : "auto", "planar" (d = 2), "cells" (d <= 12), "lp" or "both"
        Polygons, polytopes by their vertices, or linear programs; auto takes what `cost_model` expects to
        be sooner (vertices up to about d = 5), and vertices where volumes are asked for; "both" runs
        vertices and linear programs and compares them.
    arithmetic : "certified" or "float"
        Certified: a sign that running error bounds leave open is decided in rational arithmetic, so
        the list of cells is a theorem about the stored weights. Float: such a sign is taken for zero.
    max_cells : int, stop after this many cells
    max_seconds : float, stop after this long, compilation not counted
        After either the result is TRUNCATED, holds what was found, and `certificate.stopped_by` names it.
    progress : called about ten times a second with cells found and fraction done
    workers : number of threads, default one per core; the result does not depend on it
    executor : any concurrent.futures.Executor whose workers search instead of threads, such as
        ProcessPoolExecutor() or, on a cluster, `client.get_executor()` of a Dask client
        `workers` are then the orders that are out at once, by default as many as it says it has workers. They
        must have this version of the package. If they are lost for good, the result is TRUNCATED.
    check_volumes : sum the cells' volumes and compare with the domain's
        Default: where it is cheap (d <= 2). In higher dimension it costs several times the count.

    Returns
    -------
    CellCount

    Raises
    ------
    InvalidInputError, InvalidDomainError
        If an argument cannot be used.
    InvalidNetworkError
        If its pre-activations could leave the range of floating point.
    CertificateError
        If the volumes do not sum to the domain's.

    Notes
    -----
    Certified arithmetic costs 0.8 to 2.3 times as much as float on networks in general position, and
    10 to 40 microseconds for each sign or vertex that needs exact arithmetic.

    References
    ----------
    Higham, Accuracy and Stability of Numerical Algorithms, 2002, chapter 3; Shewchuk, Adaptive
    precision floating-point arithmetic, 1997, for filtered predicates.

    Examples
    --------
    >>> from regions import Box, Network, count_cells
    >>> normals, offsets = [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], [0.0, 0.0, 0.5]
    >>> lines = Network.from_arrays([normals, [[1.0, 1.0, 1.0]]], [offsets, [0.0]])
    >>> count_cells(lines, Box([-1.0, -1.0], [1.0, 1.0])).n_cells
    7
    """
    max_cells, max_seconds = checked_limits("count_cells", limits)
    if isinstance(domain, Unbounded) and isinstance(network, Network):
        others: dict[str, Any] = {"arithmetic": arithmetic, "progress": progress, "workers": workers}
        others |= {"check_volumes": check_volumes, "executor": executor}
        return count_unbounded(count_cells, network, domain, engine, others | limits)
    if engine == "both":
        options: dict[str, Any] = {"arithmetic": arithmetic, "workers": workers, "progress": progress}
        options["executor"] = executor
        by_vertices, by_programs = {"check_volumes": check_volumes}, dict[str, Any]()
        return by_both(count_cells, (network, domain), by_vertices, by_programs, options | limits)
    volumes = bool(check_volumes)
    plan = plan_search(network, domain, engine, arithmetic, workers, volumes=volumes)
    if volumes and plan.engine == "lp":
        raise InvalidInputError("engine 'lp' knows no volumes: leave check_volumes out, or use 'cells'")
    if check_volumes is None:
        check_volumes = domain.dimension <= 2 and plan.engine != "lp"
    mode = Mode.MEASURE if check_volumes else Mode.COUNT
    first = ready_search(plan.make, mode)
    with Stop(max_seconds) as stop:
        given = plan, Problem(network, domain, plan.engine, arithmetic, volumes), workers
        outcome = search_tree(given, mode, executor, max_cells, progress, stop, first)
        seconds = stop.seconds
        stop.deliver(outcome.stopped_by)
    return count_of(plan, domain, outcome, check_volumes, seconds)


def count_of(plan: Plan, domain: Domain, outcome: Outcome, check_volumes: bool, seconds: float) -> CellCount:
    """Return what was counted, with its certificate, after comparing the volumes if they were summed.

    Raises
    ------
    CertificateError
        If the volumes do not sum to the domain's.
    """
    arithmetic: Arithmetic = "certified" if plan.net.certified else "float"
    # a volume beyond the range of floats says nothing of the cells; their number is right all the same
    summed = check_volumes and holds_volume(domain)
    total = outcome.volume if summed else None
    certificate = outcome.certificate(arithmetic)
    if total is not None and not sums_up(total, domain, outcome.complete, plan.tolerances):
        total, unchecked = _measured_exactly(total, plan, domain, outcome)
        certificate = replace(certificate, unchecked=unchecked)
    return CellCount(
        n_cells=outcome.cells,
        status=status_of(outcome.stopped_by),
        dimension=domain.dimension,
        engine=plan.engine,
        engine_reason=plan.reason,
        arithmetic=arithmetic,
        seconds=seconds,
        volume_sum=total,
        certificate=certificate,
    )


def _measured_exactly(total: float, plan: Plan, domain: Domain, outcome: Outcome) -> tuple[float | None, str]:
    """Return the exact sum of counted cells' volumes, rounded, or None and why it cannot be had.

    The cells are listed for it, in the order in which they were counted.

    Raises
    ------
    CertificateError
        If the volumes do not sum to the domain's.
    """
    repeatable = outcome.complete or outcome.stopped_by == "max_cells"
    if not repeatable or outcome.cells > most_exact(domain):
        return None, too_many(sum_differs(total, domain), outcome.cells, domain)
    from regions.enumeration.exact_measures import exact_volumes  # slow to import, and rarely needed

    LOGGER.info("floats do not settle the volumes of %d cells: exact arithmetic", outcome.cells)
    listed = run_search(plan.make, Mode.COLLECT, max_cells=outcome.cells, workers=plan.workers, progress=None)
    found = join_outputs([part for result in listed.results for part in result.parts], plan.net)
    packed = packed_bytes(found.pattern, plan.net.n_units)
    volumes = exact_volumes(packed, plan.net.network, domain, outcome.complete)
    return math.fsum(volumes.tolist()), ""


class ListingOptions(Limits, total=False):
    """Further keywords of `enumerate_cells`; its documentation says what they mean."""

    output: str | PathLike[str] | None


@overload
def enumerate_cells(
    network: Network,
    domain: Domain,
    *,
    engine: str = ...,
    arithmetic: Arithmetic = ...,
    progress: Progress | None = ...,
    workers: int | None = ...,
    executor: Executor | None = ...,
    volumes: bool | np.random.Generator | None = ...,
    **limits: Unpack[Limits],
) -> CellComplex: ...


@overload
def enumerate_cells(
    network: Network,
    domain: Domain,
    *,
    output: str | PathLike[str],
    engine: str = ...,
    arithmetic: Arithmetic = ...,
    progress: Progress | None = ...,
    workers: int | None = ...,
    executor: Executor | None = ...,
    **limits: Unpack[Limits],
) -> StoredComplex: ...


def enumerate_cells(
    network: Network,
    domain: Domain,
    *,
    engine: str = "auto",
    arithmetic: Arithmetic = "certified",
    progress: Progress | None = None,
    workers: int | None = None,
    executor: Executor | None = None,
    volumes: bool | np.random.Generator | None = None,
    **limits: Unpack[ListingOptions],
) -> CellComplex | StoredComplex:
    """List the cells of a network on a domain, and the facets between them.

    Parameters are those of `count_cells`, `max_cells` and `max_seconds` included, and one for engine "lp".
    Ctrl-C ends with a valid TRUNCATED result once the search has begun. One that comes after the last cell is
    too late to change it, and is raised only if less than a second of work is lost by it. Another one, more
    than a second after the first, gives up.

    Parameters
    ----------
    volumes : bool or numpy Generator, engine "lp" only; default: True where d <= 8
        True: from the vertices of each cell, which the vertex kernels find where d <= 8. False: cells
        and facets without volumes, as where time or Ctrl-C leave no time to measure. A Generator: volumes
        of cells by Monte Carlo in any dimension, with standard errors. `volume_kind` of the result says
        which.
    output : a new folder that the cells go to, so that memory does not grow with their number
        Needs pyarrow. The result is a StoredComplex, with the same cells and facets in the same order, by
        engine "lp" without volumes. Unbounded domains are listed in memory first. See docs/listings.md.

    Returns
    -------
    CellComplex, or StoredComplex
        Checked: a COMPLETE one has volumes that sum to the domain's, every interior facet seen from
        both sides with the same volume, and sampled points in listed cells. Its `certificate` says
        how signs were decided and what that proves.

    Raises
    ------
    InvalidInputError, InvalidDomainError
        If an argument cannot be used.
    BudgetExceededError
        With `output`: if `max_seconds` were over before the facets were joined; `join_listing` goes on.
    CertificateError
        If the result fails one of its checks.

    Notes
    -----
    Cost: some microseconds and some hundred bytes per cell for d = 2, growing with the number of
    vertices and faces of a cell.

    Examples
    --------
    >>> from regions import Box, Network, enumerate_cells
    >>> lines = Network.from_arrays([[[1.0, 0.0], [0.0, 1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.0]])
    >>> cells = enumerate_cells(lines, Box([-1.0, -1.0], [1.0, 1.0]))
    >>> cells.n_cells, int(cells.facets.interior.sum()), cells.volume_sum
    (4, 4, 4.0)
    """
    output = limits.pop("output", None)
    max_cells, max_seconds = checked_limits("enumerate_cells", limits)
    if output is not None and (engine == "both" or volumes is not None):
        raise InvalidInputError(
            "output= takes one engine, and no volumes=: cells in a folder have those of their vertices, and "
            "none with engine 'lp'"
        )
    if isinstance(domain, Unbounded) and isinstance(network, Network):
        others: dict[str, Any] = {"arithmetic": arithmetic, "progress": progress, "workers": workers}
        others |= {"volumes": volumes, "executor": executor}
        given = network, domain, engine, others | limits
        if output is None:
            return list_unbounded(enumerate_cells, *given)
        from regions.enumeration.folder_listing import keep_in_folder

        return keep_in_folder(output, lambda: list_unbounded(enumerate_cells, *given))
    if engine == "both":
        options: dict[str, Any] = {"arithmetic": arithmetic, "workers": workers, "progress": progress}
        options["executor"] = executor
        return by_both(enumerate_cells, (network, domain), {}, {"volumes": False}, options | limits)
    plan = plan_search(network, domain, engine, arithmetic, workers, volumes=True)
    if _wants_volumes(plan, domain, False if output is not None else volumes):
        check_listable(domain)
    if plan.engine == "lp" and executor is not None:
        raise InvalidInputError(
            "engine 'lp' lists cells on threads of this process: leave executor out, or use 'cells'"
        )
    problem = Problem(network, domain, plan.engine, arithmetic, True)
    if output is not None:
        from regions.enumeration.folder_listing import list_to_folder

        return list_to_folder(
            plan,
            problem,
            output,
            Limits(max_cells=max_cells, max_seconds=max_seconds),
            workers,
            executor,
            progress,
        )
    if plan.engine == "lp":
        with Stop(max_seconds) as stop:
            from regions.enumeration.programs.listing_by_programs import enumerate_by_facets

            cells = enumerate_by_facets(plan, domain, max_cells, progress, volumes, stop)
            stop.deliver(cells.certificate.stopped_by)
        return cells
    if volumes is not None:
        raise InvalidInputError(
            f"volumes= is for engine 'lp'; engine {plan.engine!r} has the vertices of every cell"
        )
    first = ready_search(plan.make, Mode.COLLECT)
    with Stop(max_seconds) as stop:
        outcome = search_tree(
            (plan, problem, workers), Mode.COLLECT, executor, max_cells, progress, stop, first
        )
        cells = _complex_of(plan, domain, outcome, stop)
        stop.deliver(outcome.stopped_by)
    return cells


def _complex_of(plan: Plan, domain: Domain, outcome: Outcome, stop: Stop) -> CellComplex:
    """Join what a search with vertices found, and check it."""
    network = plan.net.network
    arithmetic: Arithmetic = "certified" if plan.net.certified else "float"
    parts = [part for result in outcome.results for part in result.parts]
    for result in outcome.results:
        result.parts.clear()
    found = join_outputs(parts, plan.net, plan.workers)
    table, sides_differ = facet_table(
        plan.net, domain, found, outcome.complete, plan.tolerances, plan.workers
    )
    packed = packed_bytes(found.pattern, network.n_units, plan.workers)
    listed = Listed(network, domain, packed, outcome.complete)
    volumes, table, unchecked = checked_measures(
        found.volume, table, sides_differ, listed, plan.tolerances, outcome.volume
    )
    cells = CellComplex(
        network=network,
        domain=domain,
        patterns=packed,
        volumes=volumes,
        centroids=found.centroid,
        witnesses=found.centroid,
        n_vertices=found.n_vertices.astype(np.int32),
        n_facets=found.n_facets.astype(np.int32),
        facets=table,
        status=status_of(outcome.stopped_by),
        engine=plan.engine,
        engine_reason=plan.reason,
        arithmetic=arithmetic,
        tolerances=plan.tolerances,
        certificate=replace(outcome.certificate(arithmetic), unchecked=unchecked),
        seconds=stop.seconds,
        rings=found.point if plan.net.planar else None,
    )
    if outcome.complete:
        check_samples(cells)
    return cells


def _wants_volumes(plan: Plan, domain: Domain, volumes: bool | np.random.Generator | None) -> bool:
    """Tell whether cells are to be listed with their volumes: by default where vertices can be had."""
    unsaid = volumes is None and domain.dimension <= LARGEST_LISTED_DIMENSION
    return plan.engine != "lp" or unsaid or (volumes is not None and volumes is not False)
