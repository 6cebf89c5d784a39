"""Enumerating and counting cells: choose the engine, run it, check and report.

The engines are in `vertices` and `programs`, their threads in `threads`; what a result can answer is in
`complexes`.
"""

from __future__ import annotations

import math
import numbers
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from regions.complexes import Arithmetic, CellComplex, Certificate, Completeness, Tolerances, check_arithmetic
from regions.domain import Domain
from regions.enumeration.compiled_network import CompiledNetwork, compile_network
from regions.enumeration.cost_model import LARGEST_VERTEX_DIMENSION, Engine, choose
from regions.enumeration.facet_join import facet_table, join_outputs
from regions.enumeration.threads import (
    MakeSearch,
    Outcome,
    Progress,
    compile_search,
    run_search,
    worker_count,
)
from regions.enumeration.vertices.vertex_search import VertexSearch
from regions.errors import CertificateError, InvalidDomainError, InvalidInputError, check_choice
from regions.kernels.memory import pattern_lookup
from regions.kernels.memory.states import Mode
from regions.network.patterns import pack, packed_size
from regions.network.relu_network import Network

__all__ = ["CellCount", "count_cells", "enumerate_cells"]

LARGEST_LISTED_DIMENSION = 8  # by vertices: volumes go over the faces of every cell
LARGEST_LP_DIMENSION = 50
RADIUS_PER_EXTENT = 2.0**-44
SAMPLES = 64


@dataclass(frozen=True)
class CellCount:
    """Number of cells of a network on a domain.

    Attributes
    ----------
    cells : int, exact if `status` is COMPLETE, otherwise how many were found
    status : Completeness
    dimension : int
    engine, engine_reason, arithmetic : str
    seconds : float, wall time, without compilation
    volume_sum : float or None; None too where the domain's volume is beyond the range of floats
        Sum of the cells' volumes in input units, where it was computed.
    certificate : Certificate, how the signs were decided, and what that proves
    """

    cells: int
    status: Completeness
    dimension: int
    engine: str
    engine_reason: str
    arithmetic: Arithmetic
    seconds: float
    volume_sum: float | None
    certificate: Certificate

    def __int__(self) -> int:
        return self.cells


@dataclass(frozen=True)
class _Plan:
    net: CompiledNetwork
    engine: str
    reason: str
    tolerances: Tolerances
    workers: int
    make: MakeSearch


def _plan(
    network: Network,
    domain: Domain,
    engine: str,
    arithmetic: Arithmetic,
    max_cells: int | None,
    workers: int | None,
    *,
    volumes: bool,
) -> _Plan:
    """Check the arguments and choose the engine; `volumes`: whether any are asked for."""
    if not isinstance(network, Network):
        raise InvalidInputError(
            f"network is a {type(network).__name__}; make a Network with from_arrays, from_torch, from_onnx, "
            "from_sklearn or load_network"
        )
    if not isinstance(domain, Domain):
        raise InvalidInputError(
            f"domain is a {type(domain).__name__}; give a Box, Segment, Slice or Polytope"
        )
    d = domain.dimension
    check_arithmetic(arithmetic)
    check_choice("engine", engine, ("auto", *get_args(Engine)))
    whole = isinstance(max_cells, numbers.Integral) and not isinstance(max_cells, bool)
    if max_cells is not None and not (whole and max_cells >= 1):
        raise InvalidInputError(f"max_cells={max_cells!r}; give a whole number from 1, or None for no limit")
    by_vertices = LARGEST_LISTED_DIMENSION if volumes else LARGEST_VERTEX_DIMENSION
    if engine == "auto" and volumes and d > LARGEST_LISTED_DIMENSION:
        engine, reason = "lp", f"d = {d}: volumes of cells need too many vertices"
    elif engine == "auto" and volumes:
        engine = _vertex_engine(domain)
        shape = "polygons as vertex rings" if d == 2 else "polytopes by vertices and incidence"
        reason = f"d = {d}: {shape}"
    elif engine == "auto":
        engine, reason = choose(d, network.n_units, domain.n_sides)
    else:
        reason = "as asked"
    if engine == "planar" and d != 2:
        raise InvalidInputError(f"engine 'planar' takes d = 2, the domain has d = {d}; use 'cells' or 'auto'")
    largest = LARGEST_LP_DIMENSION if engine == "lp" else by_vertices
    if d > largest:
        raise InvalidDomainError(
            f"the domain has dimension {d}; engine {engine!r} takes 1 to {largest}: use a slice"
        )
    if domain.input_dim != network.input_dim:
        raise InvalidDomainError(
            f"the domain is in {domain.input_dim} input dimensions, the network takes {network.input_dim}"
        )
    certified = arithmetic == "certified"
    if engine == "lp":
        net = compile_network(network, domain, radius=0.0, certified=certified, planar=False, vertices=False)
        from regions.enumeration.programs.program_search import ProgramSearch  # slow to import

        make: MakeSearch = partial(ProgramSearch, net, domain)
        radius = RADIUS_PER_EXTENT * float(net.arrays["extents"].max())
        return _Plan(net, engine, reason, Tolerances(vertex_radius=radius), worker_count(workers), make)
    radius = RADIUS_PER_EXTENT * float(np.abs(domain.vertices).max())
    net = compile_network(network, domain, radius=radius, certified=certified, planar=engine == "planar")
    make = partial(VertexSearch, net, domain)
    return _Plan(net, engine, reason, Tolerances(vertex_radius=radius), worker_count(workers), make)


def count_cells(
    network: Network,
    domain: Domain,
    *,
    engine: str = "auto",
    arithmetic: Arithmetic = "certified",
    max_cells: int | None = None,
    progress: Progress | None = None,
    workers: int | None = None,
    check_volumes: bool | None = None,
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
    max_cells : stop after this many cells; the result is then TRUNCATED
    progress : called about ten times a second with cells found and fraction done
    workers : number of threads, default one per core; the result does not depend on it
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
    Certified arithmetic costs 1.0 to 1.7 times as much as float on networks in general position, and
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
    >>> count_cells(lines, Box([-1.0, -1.0], [1.0, 1.0])).cells
    7
    """
    if engine == "both":
        options: dict[str, Any] = {"arithmetic": arithmetic, "max_cells": max_cells, "workers": workers}
        options["progress"] = progress
        first, second = _by_both(count_cells, network, domain, {"check_volumes": check_volumes}, {}, options)
        return replace(first, engine_reason=_compare_counts(first, second))
    volumes = bool(check_volumes)
    plan = _plan(network, domain, engine, arithmetic, max_cells, workers, volumes=volumes)
    if volumes and plan.engine == "lp":
        raise InvalidInputError("engine 'lp' knows no volumes: leave check_volumes out, or use 'cells'")
    if check_volumes is None:
        check_volumes = domain.dimension <= 2 and plan.engine != "lp"
    mode = Mode.MEASURE if check_volumes else Mode.COUNT
    compile_search(plan.make, mode)
    start = time.perf_counter()
    outcome = run_search(plan.make, mode, max_cells=max_cells, workers=plan.workers, progress=progress)
    seconds = time.perf_counter() - start
    # a volume beyond the range of floats says nothing of the cells; their number is right all the same
    summed = check_volumes and _holds_volume(domain)
    total = math.fsum(block.volume for block in outcome.blocks) if summed else None
    if total is not None:
        _check_volume_sum(total, domain, outcome.complete, plan.tolerances)
    return CellCount(
        cells=sum(block.cells for block in outcome.blocks),
        status=_status(outcome),
        dimension=domain.dimension,
        engine=plan.engine,
        engine_reason=plan.reason,
        arithmetic=arithmetic,
        seconds=seconds,
        volume_sum=total,
        certificate=_certificate(outcome, arithmetic),
    )


def enumerate_cells(
    network: Network,
    domain: Domain,
    *,
    engine: str = "auto",
    arithmetic: Arithmetic = "certified",
    max_cells: int | None = None,
    progress: Progress | None = None,
    workers: int | None = None,
    volumes: bool | np.random.Generator | None = None,
) -> CellComplex:
    """List the cells of a network on a domain, and the facets between them.

    Parameters are those of `count_cells`, and one for engine "lp". Ctrl-C ends with a valid TRUNCATED result.

    Parameters
    ----------
    volumes : bool or numpy Generator, engine "lp" only; default: True where d <= 8
        True: from the vertices of each cell, which the vertex kernels find where d <= 8. False: cells
        and facets without volumes. A Generator: volumes of cells by Monte Carlo in any dimension, with
        standard errors. `volume_kind` of the result says which.

    Returns
    -------
    CellComplex
        Checked: a COMPLETE one has volumes that sum to the domain's, every interior facet seen from
        both sides with the same volume, and sampled points in listed cells. Its `certificate` says
        how signs were decided and what that proves.

    Raises
    ------
    InvalidInputError, InvalidDomainError
        If an argument cannot be used.
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
    if engine == "both":
        from regions.enumeration.programs.program_complex import compare_complexes

        options: dict[str, Any] = {"arithmetic": arithmetic, "max_cells": max_cells, "workers": workers}
        options["progress"] = progress
        first, second = _by_both(enumerate_cells, network, domain, {}, {"volumes": False}, options)
        return replace(first, engine_reason=compare_complexes(first, second))
    plan = _plan(network, domain, engine, arithmetic, max_cells, workers, volumes=True)
    if _wants_volumes(plan, domain, volumes) and not _holds_volume(domain):
        raise InvalidDomainError(
            f"the domain's volume is {domain.volume:g}: those of its cells are beyond the range of floats; "
            "count the cells, rescale domain and network, or list with engine='lp' and volumes=False"
        )
    if plan.engine == "lp":
        return _enumerate_by_facets(plan, domain, max_cells, progress, volumes)
    if volumes is not None:
        raise InvalidInputError(
            f"volumes= is for engine 'lp'; engine {plan.engine!r} has the vertices of every cell"
        )
    compile_search(plan.make, Mode.COLLECT)
    start = time.perf_counter()
    outcome = run_search(
        plan.make, Mode.COLLECT, max_cells=max_cells, workers=plan.workers, progress=progress
    )
    found = join_outputs([output for block in outcome.blocks for output in block.outputs], plan.net)
    table = facet_table(plan.net, domain, found, outcome.complete, plan.tolerances)
    _check_volume_sum(math.fsum(found.volume.tolist()), domain, outcome.complete, plan.tolerances)
    packed = np.ascontiguousarray(found.pattern).view(np.uint8)[:, : packed_size(network.n_units)].copy()
    cells = CellComplex(
        network=network,
        domain=domain,
        patterns=packed,
        volumes=found.volume,
        centroids=found.centroid,
        witnesses=found.centroid.copy(),
        n_vertices=found.n_vertices.astype(np.int32),
        n_facets=found.n_facets.astype(np.int32),
        facets=table,
        status=_status(outcome),
        engine=plan.engine,
        engine_reason=plan.reason,
        arithmetic=arithmetic,
        tolerances=plan.tolerances,
        certificate=_certificate(outcome, arithmetic),
        seconds=time.perf_counter() - start,
        rings=found.point if plan.net.planar else None,
    )
    if outcome.complete:
        _check_samples(cells)
    return cells


def _vertex_engine(domain: Domain) -> str:
    return "planar" if isinstance(domain, Domain) and domain.dimension == 2 else "cells"


def _compare_counts(first: CellCount, second: CellCount) -> str:
    """Return a line that says that two engines count the same; raises CertificateError if they do not."""
    if first.cells != second.cells or first.status is not second.status:
        raise CertificateError(
            f"engine {first.engine!r} counts {first.cells} cells ({first.status.value}), engine "
            f"{second.engine!r} {second.cells} ({second.status.value}); please report this network"
        )
    return f"engines {first.engine!r} and {second.engine!r} agree: {first.cells} cells"


Found = TypeVar("Found", "CellCount", CellComplex)


def _by_both(
    run: Callable[..., Found],
    network: Network,
    domain: Domain,
    by_vertices: dict[str, Any],
    by_programs: dict[str, Any],
    options: dict[str, Any],
) -> tuple[Found, Found]:
    """Run by vertices, and again by linear programs."""
    first = run(network, domain, engine=_vertex_engine(domain), **by_vertices, **options)
    return first, run(network, domain, engine="lp", **by_programs, **options)


def _enumerate_by_facets(
    plan: _Plan,
    domain: Domain,
    max_cells: int | None,
    progress: Progress | None,
    volumes: bool | np.random.Generator | None,
) -> CellComplex:
    """Do `enumerate_cells` by the breadth-first search over facets."""
    from regions.enumeration.programs import program_complex as by_programs  # slow to import
    from regions.enumeration.programs.breadth_first import list_cells

    d, network = domain.dimension, plan.net.network
    if volumes is True and d > LARGEST_LISTED_DIMENSION:
        raise InvalidInputError(
            f"volumes=True with d = {d}: vertices are found up to {LARGEST_LISTED_DIMENSION} dimensions; "
            "give a numpy Generator to sample volumes, or leave them out"
        )
    start = time.perf_counter()
    listed = list_cells(plan.net, domain, max_cells=max_cells, workers=plan.workers, progress=progress)
    packed = by_programs.packed_patterns(listed, network)
    if volumes is True or (volumes is None and d <= LARGEST_LISTED_DIMENSION):
        measured = by_programs.measure_by_vertices(listed, packed, plan.net, domain, plan.tolerances)
        _check_volume_sum(math.fsum(measured.volumes.tolist()), domain, listed.complete, plan.tolerances)
    else:
        measured = by_programs.without_volumes(listed, packed, plan.net, domain)
    if isinstance(volumes, np.random.Generator):
        measured = by_programs.sample_volumes(measured, packed, network, domain, volumes)
    witnesses = np.array(listed.witnesses).reshape(len(packed), d)
    unknown = np.isnan(witnesses).any(axis=1)  # no float is inside of these cells
    witnesses[unknown] = measured.centroids[unknown]
    arithmetic: Arithmetic = "certified" if plan.net.certified else "float"
    cells = CellComplex(
        network=network,
        domain=domain,
        patterns=packed,
        volumes=measured.volumes,
        centroids=measured.centroids,
        witnesses=witnesses,
        n_vertices=measured.n_vertices,
        n_facets=measured.n_facets,
        facets=replace(
            measured.facets, witness=by_programs.facet_witnesses(listed, measured.facets, network, domain)
        ),
        status=Completeness.COMPLETE if listed.complete else Completeness.TRUNCATED,
        engine="lp",
        engine_reason=plan.reason,
        arithmetic=arithmetic,
        tolerances=plan.tolerances,
        certificate=Certificate(
            arithmetic=arithmetic,
            complete=listed.complete,
            decisions=sum(cell.rows for cell in listed.facets),
            exact_signs=sum(cell.exact for cell in listed.facets),
            exact_positions=0,
        ),
        seconds=time.perf_counter() - start,
        volume_kind=measured.kind,
        volume_errors=measured.errors,
    )
    if listed.complete:
        _check_samples(cells)
    return cells


def _status(outcome: Outcome) -> Completeness:
    return Completeness.COMPLETE if outcome.complete else Completeness.TRUNCATED


def _certificate(outcome: Outcome, arithmetic: Arithmetic) -> Certificate:
    return Certificate(
        arithmetic=arithmetic,
        complete=outcome.complete,
        decisions=sum(block.decisions for block in outcome.blocks),
        exact_signs=sum(block.doubtful for block in outcome.blocks),
        exact_positions=sum(block.placed for block in outcome.blocks),
    )


def _wants_volumes(plan: _Plan, domain: Domain, volumes: bool | np.random.Generator | None) -> bool:
    """Tell whether cells are to be listed with their volumes: by default where vertices can be had."""
    unsaid = volumes is None and domain.dimension <= LARGEST_LISTED_DIMENSION
    return plan.engine != "lp" or unsaid or (volumes is not None and volumes is not False)


def _holds_volume(domain: Domain) -> bool:
    """Tell whether the domain's volume is a number that floats hold with all its digits."""
    return sys.float_info.min <= domain.volume < math.inf


def _check_volume_sum(total: float, domain: Domain, complete: bool, tolerances: Tolerances) -> None:
    excess = total / domain.volume - 1.0
    if excess > tolerances.volume_sum or (complete and excess < -tolerances.volume_sum):
        raise CertificateError(
            f"the cells' volumes sum to {total:.15g}, the domain's is {domain.volume:.15g}: the cells do not "
            "cover the domain exactly once; please report this network"
        )


def _check_samples(cells: CellComplex) -> None:
    """Check that random points fall in listed cells, unless they are too near a hyperplane to tell."""
    network, domain = cells.network, cells.domain
    points = domain.sample(SAMPLES, np.random.default_rng(0))
    inputs = domain.to_input(points)
    active = np.atleast_2d(network.activation_pattern(inputs))
    packed = pack(active)
    missing = ~_rows_in(packed, cells.patterns)
    for k in np.flatnonzero(missing):
        values = np.concatenate([z.ravel() for z in network.pre_activations(inputs[k : k + 1])])
        if np.abs(values).min() > 1e-9 * np.abs(values).max():
            raise CertificateError(
                f"the sampled point {inputs[k].tolist()} lies in no listed cell; please report this network"
            )


def _rows_in(rows: NDArray[np.uint8], table: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Tell which rows occur in a table of rows of the same width."""
    if rows.shape[1] == 0:
        return np.full(rows.shape[0], table.shape[0] > 0)
    found = np.empty(rows.shape[0], np.bool_)
    room = np.full(1 << (4 * rows.shape[0]).bit_length(), -1)
    pattern_lookup.find_rows(rows, table, room, np.empty(rows.shape[0], np.int64), found)
    return found
