"""Enumerating and counting cells: choose the engine, run it, check and report.

The walk is in `kernels`, its threads in `scheduling`, what a result can answer in `cell_complex`.
"""

from __future__ import annotations

import math
import numbers
import time
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from regions.cell_complex import CellComplex, Certificate, Completeness, FacetTable, Tolerances
from regions.cost_model import LARGEST_VERTEX_DIMENSION, choose
from regions.domain import Domain
from regions.errors import CertificateError, InvalidDomainError, InvalidInputError
from regions.kernels import facets as facet_kernels
from regions.kernels import listing, state
from regions.lowering import Lowered, lower
from regions.lp_walking import ProgramWalker
from regions.network import Network
from regions.rational import exact_jumps, maps_differ
from regions.scheduling import MakeWalker, Outcome, Progress, run_walk, worker_count
from regions.walking import Output, Walker

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
    seconds : float, wall time
    volume_sum : float or None
        Sum of the cells' volumes in input units, where it was computed.
    certificate : Certificate, how the signs were decided, and what that proves
    """

    cells: int
    status: Completeness
    dimension: int
    engine: str
    engine_reason: str
    arithmetic: str
    seconds: float
    volume_sum: float | None
    certificate: Certificate

    def __int__(self) -> int:
        return self.cells


@dataclass(frozen=True)
class _Plan:
    net: Lowered
    engine: str
    reason: str
    tolerances: Tolerances
    workers: int
    make: MakeWalker


def _plan(
    network: Network,
    domain: Domain,
    engine: str,
    arithmetic: str,
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
    if max_cells is not None and (not isinstance(max_cells, numbers.Integral) or max_cells < 1):
        raise InvalidInputError(f"max_cells={max_cells}; give a whole number from 1, or None for no limit")
    if arithmetic not in ("float", "certified"):
        raise InvalidInputError(f"arithmetic {arithmetic!r}; available: 'certified', 'float'")
    by_vertices = LARGEST_LISTED_DIMENSION if volumes else LARGEST_VERTEX_DIMENSION
    if engine == "auto" and volumes:
        engine = "planar" if d == 2 else "cells"
        shape = "polygons as vertex rings" if d == 2 else "polytopes by vertices and incidence"
        reason = f"d = {d}: {shape}"
    elif engine == "auto":
        engine, reason = choose(d, network.n_units, domain.halfspaces[0].shape[0])
    elif engine in ("planar", "cells", "lp"):
        reason = "as asked"
    else:
        raise InvalidInputError(
            f"engine {engine!r}; available: 'auto', 'planar' (d = 2), 'cells' (d <= {by_vertices}), "
            f"'lp' (d <= {LARGEST_LP_DIMENSION})"
        )
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
        net = lower(network, domain, radius=0.0, certified=certified, planar=False, vertices=False)
        make: MakeWalker = partial(ProgramWalker, net, domain)
        return _Plan(net, engine, reason, Tolerances(vertex_radius=0.0), worker_count(workers), make)
    radius = RADIUS_PER_EXTENT * float(np.abs(domain.vertices).max())
    net = lower(network, domain, radius=radius, certified=certified, planar=engine == "planar")
    make = partial(Walker, net, domain)
    return _Plan(net, engine, reason, Tolerances(vertex_radius=radius), worker_count(workers), make)


def count_cells(
    network: Network,
    domain: Domain,
    *,
    engine: str = "auto",
    arithmetic: str = "certified",
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
    engine : "auto", "planar" (d = 2), "cells" (d <= 12) or "lp"
        Polygons, polytopes by their vertices, or linear programs; auto takes what `cost_model` expects to
        be sooner (vertices up to about d = 5), and vertices where volumes are asked for.
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
    volumes = bool(check_volumes)
    plan = _plan(network, domain, engine, arithmetic, max_cells, workers, volumes=volumes)
    if volumes and plan.engine == "lp":
        raise InvalidInputError("engine 'lp' knows no volumes: leave check_volumes out, or use 'cells'")
    if check_volumes is None:
        check_volumes = domain.dimension <= 2 and plan.engine != "lp"
    mode = state.MEASURE if check_volumes else state.COUNT
    start = time.perf_counter()
    outcome = run_walk(plan.make, mode, max_cells=max_cells, workers=plan.workers, progress=progress)
    seconds = time.perf_counter() - start
    total = math.fsum(block.volume for block in outcome.blocks) if check_volumes else None
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
    arithmetic: str = "certified",
    max_cells: int | None = None,
    progress: Progress | None = None,
    workers: int | None = None,
) -> CellComplex:
    """List the cells of a network on a domain, and the facets between them.

    Parameters are those of `count_cells`. Ctrl-C ends with a valid TRUNCATED result.

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
    plan = _plan(network, domain, engine, arithmetic, max_cells, workers, volumes=True)
    start = time.perf_counter()
    outcome = run_walk(plan.make, state.COLLECT, max_cells=max_cells, workers=plan.workers, progress=progress)
    found = _join([output for block in outcome.blocks for output in block.outputs], plan.net)
    table = _facet_table(plan.net, domain, found, outcome.complete, plan.tolerances)
    _check_volume_sum(math.fsum(found.volume.tolist()), domain, outcome.complete, plan.tolerances)
    width = (network.n_units + 7) // 8
    packed = np.ascontiguousarray(found.pattern).view(np.uint8)[:, :width].copy()
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


def _status(outcome: Outcome) -> Completeness:
    return Completeness.COMPLETE if outcome.complete else Completeness.TRUNCATED


def _certificate(outcome: Outcome, arithmetic: str) -> Certificate:
    return Certificate(
        arithmetic=arithmetic,
        complete=outcome.complete,
        decisions=sum(block.decisions for block in outcome.blocks),
        exact_signs=sum(block.doubtful for block in outcome.blocks),
        exact_positions=sum(block.placed for block in outcome.blocks),
    )


def _join(outputs: list[Output], net: Lowered) -> Output:
    """All output buffers, one after the other."""
    if len(outputs) == 1:
        return outputs[0]
    if not outputs:
        d, words = net.dimension, max(1, (net.n_units + 63) // 64)
        none = np.zeros(0, np.int64)
        return Output(
            np.zeros((0, words), np.uint64),
            np.zeros(0),
            np.zeros((0, d)),
            none,
            none,
            np.zeros((0, int(net.width[-1]) * d)),
            none,
            np.zeros(0, np.uint64),
            np.zeros(0),
            np.zeros((0, 2)),
        )
    return Output(*(np.concatenate(arrays) for arrays in zip(*outputs, strict=True)))


def _facet_table(
    net: Lowered, domain: Domain, found: Output, complete: bool, tolerances: Tolerances
) -> FacetTable:
    """Join the half-facets, check that each is seen from both sides, and compute the jumps.

    Raises
    ------
    CertificateError
        If a facet of a complete result has one side only, or its two sides differ in volume.
    """
    halves = found.label.shape[0]
    size = 1 << max(4, int(2 * halves).bit_length())
    number = np.int32 if halves < 2**31 else np.int64
    mate = np.empty(halves, number)
    troubles = facet_kernels.pair_halves(found.match, found.label, np.zeros(size, number), mate)
    m, alone = facet_kernels.count_rows(found.label, mate)
    if troubles or (complete and alone):
        raise CertificateError(
            f"{alone} of {halves} facets are seen from one side only and {troubles} from more "
            "than two: cells are missing or doubled; please report this network"
        )
    rows = facet_kernels.Rows(
        cell_a=np.empty(m, np.int64),
        cell_b=np.empty(m, np.int64),
        side=np.empty(m, np.int32),
        layer=np.empty(m, np.int32),
        unit=np.empty(m, np.int32),
        volume=np.empty(m),
        place=np.empty(m, np.int32),
    )
    firsts = np.concatenate([[0], np.cumsum(found.n_facets)])
    starts = net.arrays[state.UNIT_STARTS]
    starts = starts[np.append(True, np.diff(starts) > 0)]  # affine layers have no units
    other_side = np.empty(m)
    facet_kernels.list_facets(
        found.label, mate, found.measure, found.pattern, firsts, starts, rows, other_side
    )
    _check_both_sides(rows.volume, other_side, domain, tolerances)
    return FacetTable(**rows._asdict(), jump=_jumps(net, domain, found, rows.cell_a, rows.cell_b))


def _jumps(
    net: Lowered, domain: Domain, found: Output, cell_a: NDArray[np.int64], cell_b: NDArray[np.int64]
) -> NDArray[np.float64]:
    jump, scale = np.empty(cell_a.shape[0]), np.empty(cell_a.shape[0])
    facet_kernels.jump_norms(found.jacobian, cell_a, cell_b, jump, scale)
    table = Walker.table_of(net)
    first = np.ascontiguousarray(net.first[: net.dimension])
    certain = jump > 2.5 * net.jacobian_error
    facet_kernels.refine_jumps(table, first, found.pattern, cell_a, cell_b, jump, scale)
    np.ldexp(jump, net.power, out=jump)
    if net.certified:
        _decide_jumps(net, domain, found, jump, np.flatnonzero((cell_b >= 0) & ~certain), cell_a, cell_b)
    return jump


def _decide_jumps(
    net: Lowered,
    domain: Domain,
    found: Output,
    jump: NDArray[np.float64],
    rows: NDArray[np.int64],
    cell_a: NDArray[np.int64],
    cell_b: NDArray[np.int64],
) -> None:
    """Decide exactly which of the listed facets have no jump; floats are kept where they are positive."""
    step = 1 << 16
    for at in range(0, rows.size, step):
        part = rows[at : at + step]
        first, second = (
            np.unpackbits(
                found.pattern[cells[part]].view(np.uint8), axis=1, count=net.n_units, bitorder="little"
            ).astype(np.bool_)
            for cells in (cell_a, cell_b)
        )
        differ = maps_differ(net.network, domain, first, second)
        open_ = np.flatnonzero(~differ | (jump[part] == 0.0))
        exact = exact_jumps(net.network, domain, first[open_], second[open_])
        jump[part[open_]] = np.where((exact > 0.0) & (jump[part[open_]] > 0.0), jump[part[open_]], exact)


def _check_both_sides(
    a: NDArray[np.float64], b: NDArray[np.float64], domain: Domain, tolerances: Tolerances
) -> None:
    """Compare the volumes of the facets from their two sides (negative: there is one side only)."""
    diameter = float(np.linalg.norm(np.ptp(domain.vertices, axis=0)))
    absolute = tolerances.facet_absolute * diameter ** (domain.dimension - 1)
    wrong, worst = facet_kernels.compare_sides(a, b, tolerances.facet_relative, absolute)
    if wrong:
        raise CertificateError(
            f"{wrong} facets have different volumes from their two sides, e.g. {a[worst]:.17g} and "
            f"{b[worst]:.17g}; the cells do not fit together; please report this network"
        )


def _check_volume_sum(total: float, domain: Domain, complete: bool, tolerances: Tolerances) -> None:
    excess = total / domain.volume - 1.0
    if excess > tolerances.volume_sum or (complete and excess < -tolerances.volume_sum):
        raise CertificateError(
            f"the cells' volumes sum to {total:.15g}, the domain's is {domain.volume:.15g}: the cells do not "
            "cover the domain exactly once; please report this network"
        )


def _check_samples(cells: CellComplex) -> None:
    """Random points must fall in listed cells, unless they are too near a hyperplane to tell."""
    network, domain = cells.network, cells.domain
    points = domain.sample(SAMPLES, np.random.default_rng(0))
    inputs = domain.to_input(points)
    active = np.atleast_2d(network.activation_pattern(inputs))
    packed = np.packbits(active, axis=1, bitorder="little")
    missing = ~_rows_in(packed, cells.patterns)
    for k in np.flatnonzero(missing):
        values = np.concatenate([z.ravel() for z in network.pre_activations(inputs[k : k + 1])])
        if np.abs(values).min() > 1e-9 * np.abs(values).max():
            raise CertificateError(
                f"the sampled point {inputs[k].tolist()} lies in no listed cell; please report this network"
            )


def _rows_in(rows: NDArray[np.uint8], table: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which rows occur in a table of rows of the same width."""
    if rows.shape[1] == 0:
        return np.full(rows.shape[0], table.shape[0] > 0)
    found = np.empty(rows.shape[0], np.bool_)
    room = np.full(1 << (4 * rows.shape[0]).bit_length(), -1)
    listing.find_rows(rows, table, room, np.empty(rows.shape[0], np.int64), found)
    return found
