"""Facet tables: half-facets joined from both sides, the jumps of the Jacobian across them.

It takes what a search found cell by cell; which cells those are is left to `enumerate` and
`program_complex`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from regions.complexes import FacetTable, Tolerances
from regions.domain import Domain
from regions.enumeration.compiled_network import CompiledNetwork
from regions.enumeration.vertices.vertex_search import Output
from regions.errors import CertificateError
from regions.kernels.memory.vertex_layout import NETWORK
from regions.kernels.vertices import half_facets as facet_kernels
from regions.network.patterns import unpack


def join_outputs(outputs: list[Output], net: CompiledNetwork) -> Output:
    """Join all output buffers, one after the other."""
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


def facet_table(
    net: CompiledNetwork, domain: Domain, found: Output, complete: bool, tolerances: Tolerances
) -> tuple[FacetTable, str]:
    """Join the half-facets, check that each is seen from both sides, and compute the jumps.

    Returns
    -------
    table : FacetTable
    sides_differ : str, how facets differ in volume from their two sides, as floats go; "" if none does

    Raises
    ------
    CertificateError
        If a facet of a complete result has one side only.
    """
    halves = found.label.shape[0]
    size = 1 << max(4, int(2 * halves).bit_length())
    number: type[Any] = np.int32 if halves < 2**31 else np.int64
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
    starts = net.arrays["unit_starts"]
    starts = starts[np.append(True, np.diff(starts) > 0)]  # affine layers have no units
    table, n_units = net.network.max_units, max(1, net.n_units)
    units = facet_kernels.Units(
        starts,
        np.full(n_units, -1) if table is None else table.first,
        np.ones(n_units, np.int64) if table is None else table.size,
    )
    other_side = np.empty(m)
    facet_kernels.list_facets(
        found.label, mate, found.measure, found.pattern, firsts, units, rows, other_side
    )
    _check_sides_of_units(rows, found, starts)
    facets = FacetTable(**rows._asdict(), jump=jumps_of(net, domain, found, (rows.cell_a, rows.cell_b)))
    return facets, _compare_both_sides(rows.volume, other_side, domain, tolerances)


def jumps_of(
    net: CompiledNetwork, domain: Domain, found: Output, pairs: tuple[NDArray[np.int64], NDArray[np.int64]]
) -> NDArray[np.float64]:
    """Return the norms of the jumps of the output's Jacobian between pairs of cells (second -1 or -2: nan).

    Only `jacobian` and `pattern` of what was found are read. In certified arithmetic 0.0 means 0.
    """
    cell_a, cell_b = pairs
    jump, scale = np.empty(cell_a.shape[0]), np.empty(cell_a.shape[0])
    facet_kernels.jump_norms(found.jacobian, cell_a, cell_b, jump, scale)
    shared = NETWORK.make(net.arrays)
    shared.dimension, shared.n_layers = net.dimension, net.n_layers
    first = np.ascontiguousarray(net.first[: net.dimension])
    certain = jump > 2.5 * net.jacobian_error
    facet_kernels.refine_jumps(shared, first, found.pattern, cell_a, cell_b, jump, scale)
    jump = _rescaled(jump, net.power)
    if net.certified:
        _decide_jumps(net, domain, found, jump, np.flatnonzero((cell_b >= 0) & ~certain), cell_a, cell_b)
    return jump


def _rescaled(jump: NDArray[np.float64], power: int) -> NDArray[np.float64]:
    """Multiply jumps by 2**power; what leaves the range of floats becomes the last float inside it."""
    with np.errstate(over="ignore"):
        scaled = np.ldexp(jump, power)
    limits = np.finfo(np.float64)
    scaled[(jump > 0.0) & (scaled == 0.0)] = limits.smallest_subnormal
    scaled[np.isinf(scaled) & np.isfinite(jump)] = limits.max
    return scaled


def _decide_jumps(
    net: CompiledNetwork,
    domain: Domain,
    found: Output,
    jump: NDArray[np.float64],
    rows: NDArray[np.int64],
    cell_a: NDArray[np.int64],
    cell_b: NDArray[np.int64],
) -> None:
    """Decide exactly which of the listed facets have no jump, and take the exact size where floats are 0."""
    step = 1 << 16
    for at in range(0, rows.size, step):
        part = rows[at : at + step]
        first, second = (
            unpack(found.pattern[cells[part]].view(np.uint8), net.n_units) for cells in (cell_a, cell_b)
        )
        from regions.rational import exact_jumps, maps_differ  # slow to import, and rarely asked

        differ = maps_differ(net.network, domain, first, second)
        open_ = np.flatnonzero(~differ | (jump[part] == 0.0))
        exact = exact_jumps(net.network, domain, first[open_], second[open_])
        jump[part[open_]] = exact


def _check_sides_of_units(rows: facet_kernels.Rows, found: Output, starts: NDArray[np.int64]) -> None:
    """Check that the second cell of each pair is on the inactive side of the unit, as the first is not."""
    inner = np.flatnonzero(rows.cell_b >= 0)
    unit = starts[rows.layer[inner]] + rows.unit[inner]
    words = found.pattern[rows.cell_b[inner], unit >> 6]
    if np.any(words >> (unit & 63).astype(np.uint64) & np.uint64(1)):
        raise CertificateError(
            "two facets have one key by chance, which happens once in 2**64 pairs: enumerate again; if it "
            "comes back, please report this network"
        )


def _compare_both_sides(
    a: NDArray[np.float64], b: NDArray[np.float64], domain: Domain, tolerances: Tolerances
) -> str:
    """Compare the volumes of facets from two sides (negative: there is one only); say how they differ."""
    diameter = float(np.linalg.norm(np.ptp(domain.vertices, axis=0)))
    absolute = tolerances.facet_absolute * diameter ** (domain.dimension - 1)
    wrong, worst = facet_kernels.compare_sides(a, b, tolerances.facet_relative, absolute)
    if not wrong:
        return ""
    return (
        f"{wrong} facets have different volumes from their two sides, e.g. {a[worst]:.17g} and "
        f"{b[worst]:.17g}: the cells do not fit together"
    )
