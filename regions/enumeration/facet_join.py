"""Facet tables: half-facets joined from both sides, the jumps of the Jacobian across them.

It takes what a search found cell by cell; which cells those are is left to `enumerate` and
`program_complex`.
"""

from __future__ import annotations

from functools import partial
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regions.complexes import FacetTable, Tolerances
from regions.domain import Domain
from regions.enumeration.compiled_network import CompiledNetwork
from regions.enumeration.cores import on_threads, shares
from regions.enumeration.vertices.vertex_search import Output
from regions.errors import CertificateError
from regions.kernels.memory.vertex_layout import NETWORK
from regions.kernels.vertices import half_facets as facet_kernels
from regions.network.patterns import packed_size, unpack

HALVES_AT_ONCE = 1 << 18  # for which a thread makes scratch


def join_outputs(outputs: list[Output], net: CompiledNetwork, workers: int = 1) -> Output:
    """Join all output buffers, one after the other; the list is empty then, so that nothing is kept twice."""
    if len(outputs) == 1:
        return outputs.pop()
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
    columns = [list(arrays) for arrays in zip(*outputs, strict=True)]
    parts = min(4 * workers, len(outputs))
    bounds = list(pairwise(len(outputs) * k // parts for k in range(parts + 1)))
    outputs.clear()
    joined = []
    for arrays in columns:
        place = [0, *accumulate(len(array) for array in arrays)]
        target = np.empty((place[-1], *arrays[0].shape[1:]), arrays[0].dtype)
        on_threads(workers, partial(_copy, arrays, target, place), bounds)
        joined.append(target)
        arrays.clear()
    return Output(*joined)


def _copy(arrays: list[NDArray[Any]], target: NDArray[Any], place: list[int], begin: int, end: int) -> None:
    """Copy some arrays of a list to their places in one."""
    for k in range(begin, end):
        target[place[k] : place[k + 1]] = arrays[k]


def packed_bytes(words: NDArray[np.uint64], n_units: int, workers: int = 1) -> NDArray[np.uint8]:
    """Return the bytes of patterns (n, words) that hold units, as a complex keeps them."""
    size = packed_size(n_units)
    packed = np.empty((len(words), size), np.uint8)

    def copy(begin: int, end: int) -> None:
        packed[begin:end] = np.ascontiguousarray(words[begin:end]).view(np.uint8)[:, :size]

    on_threads(workers, copy, shares(len(words), workers))
    return packed


def facet_table(
    net: CompiledNetwork,
    domain: Domain,
    found: Output,
    complete: bool,
    tolerances: Tolerances,
    workers: int = 1,
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
    count = found.label.shape[0]
    number: type[Any] = np.int32 if count < 2**31 else np.int64
    firsts = np.concatenate([[0], np.cumsum(found.n_facets)])
    halves = facet_kernels.Halves(
        found.label, found.measure, np.empty(count, number), np.empty(count, number), firsts
    )
    troubles = _pair(halves, found.match, workers)
    on_threads(
        workers,
        lambda begin, end: facet_kernels.name_cells(firsts, halves.cell_of, begin, end),
        shares(len(firsts) - 1, workers),
    )
    ranges = shares(count, max(workers, count // HALVES_AT_ONCE))
    counted = on_threads(
        workers, lambda begin, end: facet_kernels.count_rows(found.label, halves.mate, begin, end), ranges
    )
    alone = sum(one for _, one in counted)
    sides_alone(alone if complete else 0, troubles, count)
    ends = [0, *accumulate(m for m, _ in counted)]
    rows = _empty_rows(ends[-1])
    starts = net.arrays["unit_starts"]
    starts = starts[np.append(True, np.diff(starts) > 0)]  # affine layers have no units
    table, n_units = net.network.max_units, max(1, net.n_units)
    units = facet_kernels.Units(
        starts,
        np.repeat(np.arange(len(starts) - 1, dtype=np.int32), np.diff(starts)),
        np.full(n_units, -1) if table is None else table.first,
        np.ones(n_units, np.int64) if table is None else table.size,
    )

    def fill(first: int, last: int, begin: int, end: int) -> tuple[int, float, float]:
        part = facet_kernels.Rows._make(column[first:last] for column in rows)
        other_side, earlier = np.empty(last - first), np.empty(last - first + 1, number)
        wrong = facet_kernels.list_facets(halves, found.pattern, units, part, other_side, earlier, begin, end)
        check_sides(wrong)
        return _differing(part.volume, other_side, domain, tolerances)

    differing = on_threads(workers, fill, [(*a, *b) for a, b in zip(pairwise(ends), ranges, strict=True)])
    jump = jumps_of(net, domain, found, (rows.cell_a, rows.cell_b), workers)
    return FacetTable(**rows._asdict(), jump=jump), _say_how(differing)


def sides_alone(alone: int, troubles: int, count: int) -> None:
    """Raise CertificateError if halves have no other one, where all should, or met a third."""
    if alone or troubles:
        raise CertificateError(
            f"{alone} of {count} facets are seen from one side only and {troubles} from more "
            "than two: cells are missing or doubled; please report this network"
        )


def _empty_rows(m: int) -> facet_kernels.Rows:
    """Make the columns of so many facets."""
    return facet_kernels.Rows(
        cell_a=np.empty(m, np.int64),
        cell_b=np.empty(m, np.int64),
        side=np.empty(m, np.int32),
        layer=np.empty(m, np.int32),
        unit=np.empty(m, np.int32),
        volume=np.empty(m),
        place=np.empty(m, np.int32),
    )


def _pair(halves: facet_kernels.Halves, match: NDArray[np.uint64], workers: int) -> int:
    """Find the other half of each half-facet; returns how many met a third one."""
    parts = len(shares(match.shape[0], workers))
    expected = 2 * (match.shape[0] // parts + 1)

    def pair(part: int) -> int:
        size = 1 << max(4, expected.bit_length())
        while True:
            table = np.zeros(size, halves.mate.dtype)
            troubles = int(facet_kernels.pair_halves(match, halves.label, table, halves.mate, part, parts))
            if troubles >= 0:
                return troubles
            size *= 2

    return sum(on_threads(workers, pair, [(part,) for part in range(parts)]))


def jumps_of(
    net: CompiledNetwork,
    domain: Domain,
    found: Output,
    pairs: tuple[NDArray[np.int64], NDArray[np.int64]],
    workers: int = 1,
) -> NDArray[np.float64]:
    """Return the norms of the jumps of the output's Jacobian between pairs of cells (second -1 or -2: nan).

    Only `jacobian` and `pattern` of what was found are read. In certified arithmetic 0.0 means 0.
    """
    cell_a, cell_b = pairs
    jump, uncertain = np.empty(cell_a.shape[0]), np.empty(cell_a.shape[0], np.bool_)
    shared = NETWORK.make(net.arrays)
    shared.dimension, shared.n_layers = net.dimension, net.n_layers
    first = np.ascontiguousarray(net.first[: net.dimension])
    widest = int(net.arrays["widths"].max())

    def measure(begin: int, end: int) -> None:
        a, b, part = cell_a[begin:end], cell_b[begin:end], jump[begin:end]
        scale = np.empty(end - begin)
        facet_kernels.jump_norms(found.jacobian, a, b, part, scale)
        uncertain[begin:end] = (b >= 0) & ~(part > 2.5 * net.jacobian_error)
        room = facet_kernels.Scratch(*(np.zeros((k, widest)) for k in (len(first), len(first), 4)))
        facet_kernels.refine_jumps(shared, first, found.pattern, a, b, part, scale, room)

    rows = cell_a.shape[0]
    on_threads(workers, measure, shares(rows, max(workers, rows // HALVES_AT_ONCE)))
    jump = _rescaled(jump, net.power)
    if net.certified:
        _decide_jumps(net, domain, found, jump, np.flatnonzero(uncertain), cell_a, cell_b)
    return jump


def _rescaled(jump: NDArray[np.float64], power: int) -> NDArray[np.float64]:
    """Multiply jumps by 2**power; what leaves the range of floats becomes the last float inside it."""
    if power == 0:
        return jump
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


def check_sides_of_units(rows: facet_kernels.Rows, found: Output, starts: NDArray[np.int64]) -> None:
    """Check that the second cell of each pair is on the inactive side of the unit, as the first is not."""
    inner = np.flatnonzero(rows.cell_b >= 0)
    unit = starts[rows.layer[inner]] + rows.unit[inner]
    words = found.pattern[rows.cell_b[inner], unit >> 6]
    check_sides(int(np.count_nonzero(words >> (unit & 63).astype(np.uint64) & np.uint64(1))))


def check_sides(wrong: int) -> None:
    """Raise CertificateError if there are facets whose cells are both on one side of the unit."""
    if wrong:
        raise CertificateError(
            "two facets have one key by chance, which happens once in 2**64 pairs: enumerate again; if it "
            "comes back, please report this network"
        )


def compare_both_sides(
    a: NDArray[np.float64], b: NDArray[np.float64], domain: Domain, tolerances: Tolerances
) -> str:
    """Compare the volumes of facets from two sides (negative: there is one only); say how they differ."""
    return _say_how([_differing(a, b, domain, tolerances)])


def _differing(
    a: NDArray[np.float64], b: NDArray[np.float64], domain: Domain, tolerances: Tolerances
) -> tuple[int, float, float]:
    """Return how many facets have different volumes from two sides, and those of the worst."""
    diameter = float(np.linalg.norm(np.ptp(domain.vertices, axis=0)))
    absolute = tolerances.facet_absolute * diameter ** (domain.dimension - 1)
    wrong, worst = facet_kernels.compare_sides(a, b, tolerances.facet_relative, absolute)
    return (wrong, float(a[worst]), float(b[worst])) if wrong else (0, 0.0, 0.0)


def _say_how(differing: list[tuple[int, float, float]]) -> str:
    """Say how facets differ from their two sides; "" if none does."""
    wrong = sum(count for count, _, _ in differing)
    if not wrong:
        return ""
    _, a, b = max(differing, key=lambda each: abs(each[1] - each[2]))
    return (
        f"{wrong} facets have different volumes from their two sides, e.g. {a:.17g} and "
        f"{b:.17g}: the cells do not fit together"
    )
