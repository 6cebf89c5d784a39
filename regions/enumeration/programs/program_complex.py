"""A `CellComplex` from the breadth-first search over facets, and the comparison of the two engines.

Up to the dimension that the vertex kernels take, every listed cell is measured by its vertices, and they and
their facets are compared with those of the linear programs; beyond, volumes are left out or sampled.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from regions.complexes import CellComplex, FacetTable, Tolerances
from regions.domain import Domain
from regions.enumeration.compiled_network import CompiledNetwork
from regions.enumeration.facet_join import facet_table, join_outputs, jumps_of
from regions.enumeration.limits import Stop
from regions.enumeration.programs.breadth_first import Listing
from regions.enumeration.programs.cell_facets import CellFacets
from regions.enumeration.vertices.cell_geometry import VertexGeometry
from regions.enumeration.vertices.vertex_search import Output, VertexSearch
from regions.errors import CertificateError, InvalidInputError
from regions.kernels.memory.states import Mode
from regions.network.patterns import flat_units, pack, row_keys, unit_place, unpack
from regions.network.relu_network import Network

FloatArray = NDArray[np.float64]

SAMPLES = 1 << 17  # points of a Monte Carlo estimate of all volumes together
BLOCK = 1 << 14


@dataclass
class Measured:
    """What a `CellComplex` holds beside patterns and witnesses; how volumes of facets differ, if they do."""

    volumes: NDArray[np.float64]
    centroids: NDArray[np.float64]
    n_vertices: NDArray[np.int32]
    n_facets: NDArray[np.int32]
    facets: FacetTable
    kind: str
    errors: NDArray[np.float64] | None = None
    sides_differ: str = ""


def packed_patterns(listing: Listing, network: Network) -> NDArray[np.uint8]:
    """Pack the patterns as in `CellComplex.patterns`."""
    states = np.frombuffer(b"".join(listing.states), np.bool_)
    return pack(states.reshape(len(listing.states), network.n_units))


def neighbour_pairs(listing: Listing) -> set[tuple[int, int]]:
    """List the pairs a < b of listed cells with a common facet, each seen from both sides.

    Raises
    ------
    CertificateError
        If a cell does not see one that sees it.
    """
    count = len(listing.states)
    seen = {
        (i, listing.number[states])
        for i, cell in enumerate(listing.facets)
        for states in cell.neighbours
        if states is not None and listing.number[states] < count
    }
    alone = [(a, b) for a, b in seen if (b, a) not in seen]
    if alone:
        raise CertificateError(
            f"{len(alone)} facets are seen from one side only, e.g. between cells {alone[0]}; please report "
            "this network"
        )
    return {(a, b) for a, b in seen if a < b}


def measure_by_vertices(
    listing: Listing,
    packed: NDArray[np.uint8],
    net: CompiledNetwork,
    domain: Domain,
    tolerances: Tolerances,
    stop: Stop,
) -> Measured | None:
    """Measure volumes, centroids and facets of listed cells by their vertices, and compare the adjacency.

    None if `stop` ends it early: the listing is TRUNCATED then, its cells are kept without volumes.

    Raises
    ------
    CertificateError
        If the vertices give other cells or other neighbours than the linear programs.
    """
    geometry = VertexGeometry(
        net.network, domain, tolerances.vertex_radius, planar=False, certified=net.certified
    )
    outputs = _measure_all(geometry, stop) if listing.complete else _measure(geometry, packed, stop)
    if outputs is None:
        listing.complete = False
        listing.stopped_by = listing.stopped_by or stop.reason(False, 0, None)
        return None
    found = join_outputs(outputs, geometry.net)
    if listing.complete:
        found = _in_order(found, packed)
    table, sides_differ = facet_table(geometry.net, domain, found, listing.complete, tolerances)
    inner = table.interior
    pairs = zip(table.cell_a[inner].tolist(), table.cell_b[inner].tolist(), strict=True)
    by_vertices = {(min(a, b), max(a, b)) for a, b in pairs}
    by_programs = neighbour_pairs(listing)
    if by_vertices != by_programs:
        wrong = sorted(by_vertices ^ by_programs)
        raise CertificateError(
            f"vertices and linear programs disagree on {len(wrong)} pairs of neighbours, e.g. {wrong[0]}; "
            "please report this network"
        )
    return Measured(
        found.volume,
        found.centroid,
        found.n_vertices.astype(np.int32),
        found.n_facets.astype(np.int32),
        table,
        "vertices",
        sides_differ=sides_differ,
    )


def _measure_all(geometry: VertexGeometry, stop: Stop) -> list[Output] | None:
    """Measure all cells in one search: the way to a cell, which costs more than it, is shared."""
    search = VertexSearch(geometry.net, geometry.domain, Mode.COLLECT)
    found = search.run(stop=stop)
    search.release()
    return None if found.remainder else found.parts


def _measure(geometry: VertexGeometry, packed: NDArray[np.uint8], stop: Stop) -> list[Output] | None:
    """Measure some cells, one after the other."""
    outputs: list[Output] = []
    for row in packed:
        if stop.is_set():
            return None
        outputs.append(geometry.measure(row))
    return outputs


def _in_order(found: Output, packed: NDArray[np.uint8]) -> Output:
    """Put cells, with their facets, in the order of these packed patterns.

    Raises
    ------
    CertificateError
        If they are not the same cells.
    """
    patterns = np.ascontiguousarray(found.pattern.view(np.uint8)[:, : packed.shape[1]])
    place = {key: k for k, key in enumerate(row_keys(patterns))}
    wanted = row_keys(packed)
    if len(patterns) != len(wanted) or place.keys() != set(wanted):
        raise CertificateError(
            f"vertices find {len(patterns)} cells, linear programs {len(wanted)}, and not the same ones; "
            "please report this network"
        )
    order = np.array([place[key] for key in wanted])
    counts = found.n_facets[order]
    firsts = np.cumsum(found.n_facets) - found.n_facets
    # the facets of the k-th cell go where those of the cells before it end
    shifts = firsts[order] - (np.cumsum(counts) - counts)
    facets = np.repeat(shifts, counts) + np.arange(counts.sum())
    return Output(
        pattern=found.pattern[order],
        volume=found.volume[order],
        centroid=found.centroid[order],
        n_vertices=found.n_vertices[order],
        n_facets=counts,
        jacobian=found.jacobian[order],
        label=found.label[facets],
        match=found.match[facets],
        measure=found.measure[facets],
        point=found.point,  # of rings only
    )


def without_volumes(
    listing: Listing, packed: NDArray[np.uint8], net: CompiledNetwork, domain: Domain
) -> Measured:
    """Return listed cells with facets as the linear programs found them, with jumps but without volumes."""
    neighbour_pairs(listing)
    count, d = len(listing.states), net.dimension
    rows = [row for i, cell in enumerate(listing.facets) for row in _rows_of_cell(listing, net, i, cell)]
    columns = np.array(rows, np.int64).reshape(-1, 6)
    cell_a, cell_b = np.ascontiguousarray(columns[:, 0]), np.ascontiguousarray(columns[:, 1])
    side, layer, unit, place = (columns[:, k].astype(np.int32) for k in range(2, 6))
    words = np.zeros((count, 8 * max(1, (net.n_units + 63) // 64)), np.uint8)
    words[:, : packed.shape[1]] = packed
    jacobians = output_jacobians(packed, net)
    none = np.zeros(0, np.int64)
    found = Output(
        words.view(np.uint64),
        np.full(count, np.nan),
        np.zeros((count, d)),
        none,
        none,
        jacobians,
        none,
        np.zeros(0, np.uint64),
        np.zeros(0),
        np.zeros((0, 2)),
    )
    table = FacetTable(
        cell_a=cell_a,
        cell_b=cell_b,
        side=side,
        layer=layer,
        unit=unit,
        volume=np.full(len(columns), np.nan),
        jump=jumps_of(net, domain, found, (cell_a, cell_b)),
        place=place,
    )
    n_facets = np.array([len(cell.labels) for cell in listing.facets], np.int32)
    centroids = np.array(listing.witnesses).reshape(count, d)
    return Measured(np.full(count, np.nan), centroids, np.zeros(count, np.int32), n_facets, table, "none")


def facet_witnesses(listing: Listing, table: FacetTable, network: Network, domain: Domain) -> FloatArray:
    """Find a point inside each facet, (m, d): where the way from its cell's witness beyond meets it."""
    count, d = len(table), domain.dimension
    places = [
        {
            (-1, label) if states is None else (listing.number[states], -1): k
            for k, (label, states) in enumerate(zip(cell.labels, cell.neighbours, strict=True))
        }
        for cell in listing.facets
    ]
    unlisted: dict[int, dict[int, list[int]]] = {}
    inner, outer = np.full((count, d), np.nan), np.full((count, d), np.nan)
    named = zip(table.cell_a.tolist(), table.cell_b.tolist(), table.side.tolist(), strict=True)
    for row, (a, b, side) in enumerate(named):
        cell, known = listing.facets[a], places[a]
        if b == -2:  # which of the unlisted neighbours, its unit says
            unit = int(flat_units(network.unit_offsets, table.layer[row], table.unit[row]))
            if a not in unlisted:
                unlisted[a] = _places_of_unlisted(listing, a, network)
            found = unlisted[a][_first_row(network, unit)]
            # of several facets of one max unit the table does not say which one it is
            place = found[0] if len(found) == 1 else None
        else:
            place = known.get((b, -1) if b >= 0 else (-1, -1 - side))
        if place is not None:
            inner[row], outer[row] = cell.witness, cell.points[place]
    points = np.full((count, d), np.nan)
    known_rows = np.isfinite(inner).all(axis=1) & np.isfinite(outer).all(axis=1)
    points[known_rows] = _meeting_points(
        inner[known_rows], outer[known_rows], table, known_rows, network, domain
    )
    return points


def _places_of_unlisted(listing: Listing, i: int, network: Network) -> dict[int, list[int]]:
    """Return for each unit, by its first row, which facets of a cell towards unlisted cells are its."""
    places: dict[int, list[int]] = {}
    cell = listing.facets[i]
    for k, (label, states) in enumerate(zip(cell.labels, cell.neighbours, strict=True)):
        if states is not None and listing.number[states] >= len(listing.states):
            places.setdefault(_first_row(network, label), []).append(k)
    return places


def _first_row(network: Network, unit: int) -> int:
    """Return the first candidate of the max unit of a row; a row that is no candidate is by itself."""
    table = network.max_units
    return unit if table is None or table.first[unit] < 0 else int(table.first[unit])


def _meeting_points(
    inner: FloatArray,
    outer: FloatArray,
    table: FacetTable,
    rows: NDArray[np.bool_],
    network: Network,
    domain: Domain,
) -> FloatArray:
    """Find where ways from points on this side to points beyond meet the facets of some rows of the table."""
    count = len(inner)
    side, layer, unit = table.side[rows], table.layer[rows], table.unit[rows]
    A, bound = domain.halfspaces
    ends = [domain.to_input(points) for points in (inner, outer)]
    flat = flat_units(network.unit_offsets, layer, unit)
    rival = _rivals(network, ends, flat)
    heights = []
    for points, inputs in zip((inner, outer), ends, strict=True):
        layers = network.pre_activations(inputs)
        # without units all facets are sides of the domain, and nothing is taken from this column
        parts = [z.reshape(count, z.shape[-1]) for z in layers] or [np.zeros((count, 1))]
        units = np.concatenate([*parts, np.zeros((count, 1))], axis=1)
        slacks = bound[side] - np.einsum("ij,ij->i", A[side], points)
        heights.append(
            np.where(side >= 0, slacks, units[np.arange(count), flat] - units[np.arange(count), rival])
        )
    with np.errstate(invalid="ignore", divide="ignore"):
        part = heights[0] / (heights[0] - heights[1])
    return np.asarray(inner + np.clip(part, 0.0, 1.0)[:, None] * (outer - inner))


def _rivals(network: Network, ends: list[FloatArray], flat: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return, of each candidate that wins at one end, the one that wins at the other; else -1."""
    rival, table = np.full(flat.size, -1), network.max_units
    if table is None:
        return rival
    states = [np.atleast_2d(network.activation_pattern(points)) for points in ends]
    for k in np.flatnonzero((flat >= 0) & (table.first[flat] >= 0)).tolist():
        both = [table.winner(active[k], int(flat[k])) for active in states]
        rival[k] = both[0] if both[1] == flat[k] else both[1]
    return rival


def _rows_of_cell(
    listing: Listing, net: CompiledNetwork, i: int, cell: CellFacets
) -> list[tuple[int, int, int, int, int, int]]:
    """List rows (cell_a, cell_b, side, layer, unit, place): the facets that cell `i` puts into the table."""
    offsets = net.network.unit_offsets
    rows = []
    for place, (label, states) in enumerate(zip(cell.labels, cell.neighbours, strict=True)):
        if states is None:
            rows.append((i, -1, -1 - label, -1, -1, place))
            continue
        j = listing.number[states]
        listed = j < len(listing.states)
        layer, unit = unit_place(offsets, label)
        # a facet between two listed cells belongs to that on the active side of its unit
        if not listed or listing.states[i][label] == 1:
            rows.append((i, j if listed else -2, -1, layer, unit, place))
    return rows


def output_jacobians(packed: NDArray[np.uint8], net: CompiledNetwork) -> NDArray[np.float64]:
    """Return the Jacobians of the compiled network's output on cells, flat: (n, d * outputs)."""
    left, right = net.arrays["slopes"][:, : net.n_units]
    states = np.where(unpack(packed, net.n_units), right, left)
    weights, starts = net.arrays["weights"], net.arrays["weight_starts"]
    units = net.arrays["unit_starts"]
    d, count = net.dimension, packed.shape[0]
    parts = [np.zeros((0, d * int(net.width[-1])))]
    for first in range(0, count, BLOCK):
        block = states[first : first + BLOCK]
        maps = np.broadcast_to(net.first[:d], (len(block), d, int(net.width[0])))
        for layer in range(net.n_layers):
            if units[layer + 1] > units[layer]:
                maps = maps * block[:, None, units[layer] : units[layer + 1]]
            shape = (int(net.width[layer]), int(net.width[layer + 1]))
            maps = maps @ weights[starts[layer + 1] : starts[layer + 2]].reshape(shape)
        parts.append(maps.reshape(len(block), -1))
    return np.concatenate(parts)


def sample_volumes(
    measured: Measured, packed: NDArray[np.uint8], network: Network, domain: Domain, rng: np.random.Generator
) -> Measured:
    """Add volumes by Monte Carlo: shares of uniform points, with binomial standard errors."""
    index = {key: i for i, key in enumerate(row_keys(packed))}
    hits = np.zeros(len(packed), np.int64)
    for _ in range(0, SAMPLES, BLOCK):
        active = np.atleast_2d(network.activation_pattern(domain.to_input(domain.sample(BLOCK, rng))))
        for key in row_keys(pack(active)):
            found = index.get(key)
            if found is not None:
                hits[found] += 1
    share = hits / SAMPLES
    errors = domain.volume * np.sqrt(np.maximum(share * (1.0 - share), 1.0 / SAMPLES) / SAMPLES)
    measured.volumes, measured.errors, measured.kind = domain.volume * share, errors, "sampled"
    return measured


def compare_complexes(first: CellComplex, second: CellComplex) -> str:
    """Compare two complexes; returns a line that says that they have the same cells and neighbours.

    Raises
    ------
    CertificateError
        If they have not.
    InvalidInputError
        If one of them is TRUNCATED: which cells it lacks depends on the engine.
    """
    for one in (first, second):
        if one.status.name != "COMPLETE":
            raise InvalidInputError(
                f"engine {one.engine!r} found {one.n_cells} cells and is TRUNCATED: two engines can be "
                "compared on complete results only; raise max_cells or leave it out"
            )
    cells = [{one.pattern_hex(i) for i in range(one.n_cells)} for one in (first, second)]
    pairs = [_named_pairs(one) for one in (first, second)]
    for what, (left, right) in (("cells", cells), ("neighbours", pairs)):
        if left != right:
            raise CertificateError(
                f"engines {first.engine!r} and {second.engine!r} disagree on {len(left ^ right)} {what} of "
                f"{len(left | right)}; please report this network"
            )
    return (
        f"engines {first.engine!r} and {second.engine!r} agree: {len(cells[0])} cells, {len(pairs[0])} pairs "
        "of neighbours"
    )


def _named_pairs(cells: CellComplex) -> set[frozenset[str]]:
    inner = cells.facets.interior
    names = [cells.pattern_hex(i) for i in range(cells.n_cells)]
    pairs = zip(cells.facets.cell_a[inner].tolist(), cells.facets.cell_b[inner].tolist(), strict=True)
    return {frozenset((names[a], names[b])) for a, b in pairs}
