"""Running the kernels' walk: growing stacks, exact answers, cutting into tasks.

Knows nothing of results; `enumeration` and `cell_complex` decide what to do with the cells.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from regions.domain import Domain
from regions.enumeration.buffer_pool import Memory, Shelf, Sizes
from regions.enumeration.compiled_network import Lowered, rounding
from regions.enumeration.vertices.exact_signs import Oracle
from regions.kernels.memory import state
from regions.kernels.memory.table import ENTRY, HEADER, fill_entry
from regions.kernels.vertices.depth_first import walk
from regions.kernels.volumes.simple import lattice_scratch

STEPS_PER_CALL = 1 << 15
LARGEST_ERROR = 2.0**-28  # of a vertex's position, as a fraction of the domain's largest coordinate

shelf = Shelf()


def _stacks(net: Lowered, sizes: Sizes) -> dict[int, NDArray[Any]]:
    """Arrays of the walk that keep their contents when they grow."""
    d = net.dimension
    widest = int(net.width.max())
    words = max(1, (widest + 63) // 64)
    patterns = max(1, int(net.word_start[-1]))
    vertices = sizes.vertices + 2 * sizes.polytope
    events = sizes.events + 4 * widest
    u64, i64 = np.uint64, np.int64
    return {
        state.REG: np.zeros(state.N_REGISTERS, i64),
        state.FREG: np.zeros(state.N_FLOAT_REGISTERS),
        state.NODES: np.zeros((sizes.nodes, state.N_FIELDS), i64),
        state.CANDS: np.zeros((sizes.nodes, words), u64),
        state.PATS: np.zeros((sizes.nodes, patterns), u64),
        state.KEYS: np.zeros(sizes.nodes, u64),
        state.PATHS: np.zeros(sizes.nodes, u64),
        state.SLOTS: np.zeros((sizes.slots + net.n_layers, d + 5, widest)),
        state.POINTS: np.zeros((d, vertices)),
        state.RADII: np.zeros(vertices),
        state.POS: np.zeros((vertices, words), u64),
        state.NEG: np.zeros((vertices, words), u64),
        state.INC: np.zeros((vertices, sizes.bits), u64),
        state.DEFINITIONS: np.zeros((vertices if net.planar else 0, 2), i64),
        state.RING: np.zeros(sizes.ring, i64),
        state.EDGES: np.zeros(sizes.ring, i64),
        state.LABELS: np.zeros(sizes.candidates, i64),
        state.ROWS_OF: np.zeros((sizes.candidates, d + 2)),
        state.CUT_UNITS: np.zeros(sizes.candidates + 2 * widest, i64),
        state.EVENT_PLANES: np.zeros(events, i64),
        state.EVENT_KEYS: np.zeros(events, u64),
        state.EVENT_BEFORE: np.zeros(events, i64),
        state.GUIDE: np.zeros(patterns, u64),
        state.PREFIX: np.zeros(1, u64),
    }


def _scratch(net: Lowered, sizes: Sizes) -> dict[int, NDArray[Any]]:
    """Arrays of the walk that hold nothing between steps."""
    d = net.dimension
    widest = int(net.width.max())
    words = max(1, (widest + 63) // 64)
    vertices, planes = sizes.polytope, 64 * sizes.bits
    vertex_words = (vertices + 63) // 64
    u64, i64 = np.uint64, np.int64
    return {
        state.VALUES: np.zeros((vertices, widest)),
        state.LINE: np.zeros(4 * vertices),
        state.MIDDLES: np.zeros(widest),
        state.SPREADS: np.zeros(widest),
        state.BOX: np.zeros((2, d)),
        state.UNITS: np.zeros(widest + 1, i64),
        state.WORK: np.zeros(widest + vertices + 8, i64),
        state.MASKS: np.zeros((4, words), u64),
        state.PAIRS: np.zeros((4 * vertices, 2), i64),
        state.GATHER: np.zeros(4 * vertices, u64),
        state.PICKED: np.zeros(vertices + 1, i64),
        state.RANKS: np.zeros(planes, i64),
        state.SYSTEM: np.zeros((planes + d + 1, 2 * d)),
        state.SYSTEM_ROWS: np.zeros(planes + 2, i64),
        state.FACE_POINTS: np.zeros((vertices, d)),
        state.FACE_NORMALS: np.zeros((planes, d)),
        state.FACE_ON: np.zeros((planes, vertex_words), u64),
        state.FACE_SETS: np.zeros((d + 1, vertex_words), u64),
        state.FACE_BELOW: np.zeros((d + 1, planes, vertex_words), u64),
        state.FACE_COUNTS: np.zeros(d + 1, i64),
        state.FACE_NEXT: np.zeros(d + 1, i64),
        state.FACE_PLANES: np.zeros((d + 1, planes), i64),
        state.FACE_APEX: np.zeros(d + 1, i64),
        state.FACE_MAXIMAL: np.zeros(planes, i64),
        state.FACE_PIVOT: np.zeros(d + 1),
        state.FACE_LOCAL: np.zeros((d + 1, vertices, d)),
        state.FACE_TOTAL: np.zeros(d + 1),
        state.FACE_MOMENT: np.zeros((d + 1, d)),
        state.FACE_MEASURE: np.zeros(planes),
        state.FACE_CENTRE: np.zeros((planes, d)),
        **lattice_scratch(d, vertices, planes),
    }


def _questions(net: Lowered, count: int) -> dict[int, NDArray[Any]]:
    """Room for what a step asks and for the answers."""
    return {
        state.QUESTIONS: np.zeros((count, 2), np.int64),
        state.ANSWERS: np.zeros(count, np.int64),
        state.ANSWER_POINTS: np.zeros((count, net.dimension + 1)),
    }


def _header(net: Lowered) -> NDArray[np.int64]:
    table = np.zeros(HEADER + ENTRY * state.N_ENTRIES, np.int64)
    table[state.DIMENSION] = net.dimension
    table[state.N_LAYERS] = net.n_layers
    table[state.CERTIFIED] = int(net.certified)
    table[state.PLANAR] = int(net.planar)
    table[state.CENTRAL] = int(net.central)
    return table


OUT_CELL_ARRAYS = (
    state.OUT_PATTERN,
    state.OUT_VOLUME,
    state.OUT_CENTROID,
    state.OUT_VERTICES,
    state.OUT_FACETS,
    state.OUT_JACOBIAN,
)
OUT_HALF_ARRAYS = (state.OUT_LABEL, state.OUT_MATCH, state.OUT_MEASURE, state.OUT_POINT)


def _output(net: Lowered, cells: int, halves: int, outputs: int) -> dict[int, NDArray[Any]]:
    d = net.dimension
    words = max(1, (net.n_units + 63) // 64)
    return {
        state.OUT_PATTERN: np.zeros((cells, words), np.uint64),
        state.OUT_VOLUME: np.zeros(cells),
        state.OUT_CENTROID: np.zeros((cells, d)),
        state.OUT_VERTICES: np.zeros(cells, np.int64),
        state.OUT_FACETS: np.zeros(cells, np.int64),
        state.OUT_JACOBIAN: np.zeros((cells, outputs * d)),
        state.OUT_LABEL: np.zeros(halves, np.int64),
        state.OUT_MATCH: np.zeros(halves, np.uint64),
        state.OUT_MEASURE: np.zeros(halves),
        state.OUT_POINT: np.zeros((halves if net.planar else 0, 2)),
    }


class Output(NamedTuple):
    """Finished cells, structure of arrays; half-facets are listed cell by cell."""

    pattern: NDArray[np.uint64]
    volume: NDArray[np.float64]
    centroid: NDArray[np.float64]
    n_vertices: NDArray[np.int64]
    n_facets: NDArray[np.int64]
    jacobian: NDArray[np.float64]
    label: NDArray[np.int64]
    match: NDArray[np.uint64]
    measure: NDArray[np.float64]
    point: NDArray[np.float64]


@dataclass
class Block:
    """Cells that one task found, in the order of the walk; the output buffers that it filled."""

    outputs: list[Any] = field(default_factory=list)
    cells: int = 0
    volume: float = 0.0
    decisions: int = 0
    doubtful: int = 0
    placed: int = 0
    splits: int = 0
    programs: int = 0
    complete: bool = False


@dataclass(frozen=True)
class Task:
    """A subtree: the first `depth` splits go the way that the bits of `path` say."""

    path: int = 0
    depth: int = 0


WHOLE = Task()
NO_LIMIT = 2**62


class Walker:
    """One resumable walk with its own arrays; one thread uses it at a time.

    `release` gives the arrays to later walkers; to make them costs as much as some hundred cells.

    Parameters
    ----------
    net : Lowered
    domain : Domain
    mode : state.COUNT, state.MEASURE or state.COLLECT
    """

    def __init__(self, net: Lowered, domain: Domain, mode: int) -> None:
        self.net = net
        self.domain = domain
        self.mode = mode
        self.oracle: Oracle | None = None
        n_vertices, n_sides = domain.incidence.shape
        sizes = Sizes()
        while sizes.bits * 64 < n_sides + 8:
            sizes = sizes.with_more_bits()
        while sizes.polytope < 2 * n_vertices + 64:
            sizes = sizes.doubled()
        self.sizes = sizes
        collect = mode == state.COLLECT
        widths = (net.width.tobytes(), net.word_start.tobytes())
        self.shape = (collect, sizes, net.dimension, net.certified, net.planar, *widths)
        memory = shelf.take(self.shape, net)
        if memory is not None:
            self.sizes, self.table, self.arrays = memory.sizes, memory.table, memory.arrays
            if memory.owner is not net:
                self.table[:HEADER] = _header(net)[:HEADER]
                self._use(net.arrays)
        else:
            self.table = _header(net)
            self.arrays = {}
            self._use(net.arrays)
            self._use(_stacks(net, sizes))
            self._use(_scratch(net, sizes))
            self._use(_questions(net, 256))
            outputs = int(net.width[-1]) if collect else 0
            self._use(_output(net, 4096, (1 << 16) if collect else 512, outputs))
        self.reg = self.arrays[state.REG]
        self.freg = self.arrays[state.FREG]

    def release(self) -> None:
        """End this walker's life; what it gave remains, its arrays go to the next of the same shape."""
        memory = Memory(self.shape, self.net, self.sizes, self.table, self.arrays)
        del self.table, self.arrays, self.reg, self.freg
        shelf.put(memory)

    @staticmethod
    def table_of(net: Lowered) -> NDArray[np.int64]:
        """A table with the network's entries only; `net` keeps the arrays alive."""
        table = _header(net)
        for entry, array in net.arrays.items():
            fill_entry(table, entry, array)
        return table

    def _use(self, arrays: dict[int, NDArray[Any]]) -> None:
        for entry, array in arrays.items():
            self.arrays[entry] = array
            fill_entry(self.table, entry, array)

    def _grow(self, sizes: Sizes) -> None:
        self.sizes = sizes
        stacks = _stacks(self.net, sizes)
        for entry, array in stacks.items():
            before = self.arrays[entry]
            array[tuple(slice(0, n) for n in before.shape)] = before
        self._use(stacks)
        self._use(_scratch(self.net, sizes))
        self.reg = self.arrays[state.REG]
        self.freg = self.arrays[state.FREG]

    def start(self, task: Task = WHOLE, cell_limit: int = NO_LIMIT, frontier: int = 0) -> None:
        """Put the domain's polytope on an empty stack."""
        net, domain, arrays = self.net, self.domain, self.arrays
        d = net.dimension
        vertices = domain.vertices
        a, b = domain.halfspaces
        n, m = vertices.shape[0], a.shape[0]
        reg, node = self.reg, arrays[state.NODES][0]
        reg[:] = 0
        self.freg[:] = 0.0
        self.freg[state.GAMMA_POINT] = rounding(d + 2)
        self.freg[state.RADIUS] = net.radius
        self.freg[state.LARGEST_ERROR] = LARGEST_ERROR * net.arrays[state.EXTENTS].max()
        self.freg[state.UNDERFLOW] = net.underflow
        reg[state.MODE] = self.mode
        reg[state.WANT_MAP] = int(self.mode == state.COLLECT)
        reg[state.CELL_LIMIT] = cell_limit
        reg[state.PREFIX_LENGTH] = task.depth
        reg[state.FRONTIER] = frontier
        arrays[state.PREFIX][0] = task.path
        node[:] = 0
        node[state.LAYER] = -1
        node[state.N_VERTICES] = node[state.VERTEX_TOP] = node[state.RING_TOP] = n
        node[state.HYPERPLANES] = m
        node[state.N_FACETS] = 0 if net.planar else m
        node[state.EVENTS] = -1
        for entry in (state.CANDS, state.PATS, state.KEYS, state.PATHS):
            arrays[entry][0] = 0
        arrays[state.SLOTS][0, : d + 3, : net.width[0]] = net.first
        arrays[state.POINTS][:, :n] = vertices.T
        arrays[state.RADII][:n] = net.radii
        arrays[state.RING][:n] = np.arange(n)
        arrays[state.LABELS][:m] = -1 - np.arange(m)
        arrays[state.ROWS_OF][:m] = np.column_stack([a, -b, np.zeros(m)])
        arrays[state.EDGES][:m] = np.arange(m)
        if net.planar:
            arrays[state.DEFINITIONS][:n] = np.nonzero(domain.incidence)[1].reshape(n, 2)
        else:
            inc = arrays[state.INC]
            inc[:n] = 0
            for v, f in zip(*np.nonzero(domain.incidence), strict=True):
                inc[v, f >> 6] |= np.uint64(1 << int(f & 63))
        reg[state.SP] = 1

    def step(self, steps: int = STEPS_PER_CALL) -> int:
        """Walk on; grows arrays and answers questions as needed; returns DONE, PAUSED, FLUSH or LIMIT."""
        while True:
            status = int(walk(self.table, steps))
            if status == state.GROW:
                self._grow(self.sizes.doubled())
            elif status == state.GROW_BITS:
                self._grow(self.sizes.with_more_bits())
            elif status == state.ASK:
                self._answer()
            else:
                return status

    def _answer(self) -> None:
        reg = self.reg
        if reg[state.ASKED] > self.arrays[state.QUESTIONS].shape[0]:
            # ask again, into enough room
            self._use(_questions(self.net, 2 * int(reg[state.ASKED])))
            reg[state.ASKED] = reg[state.ANSWERED] = 0
            return
        if self.oracle is None:
            self.oracle = Oracle(
                self.net.network, self.domain, self.net.word_start, self.net.arrays[state.UNIT_STARTS]
            )
        signs, positions = self.oracle.answer(self.arrays, self.net.planar)
        reg[state.DOUBTFUL] += signs
        reg[state.PLACED] += positions

    def take_output(self) -> Output:
        """Copy what is in the output buffer, and empty it."""
        cells = int(self.reg[state.OUT_CELLS])
        halves = int(self.reg[state.OUT_HALVES])
        taken = Output(
            *(self.arrays[entry][:cells].copy() for entry in OUT_CELL_ARRAYS),
            *(self.arrays[entry][:halves].copy() for entry in OUT_HALF_ARRAYS),
        )
        if cells == 0:  # a single cell has more facets than the buffer holds
            outputs = self.arrays[state.OUT_JACOBIAN].shape[1] // self.net.dimension
            size = 2 * self.arrays[state.OUT_LABEL].shape[0]
            self._use(_output(self.net, self.arrays[state.OUT_VOLUME].shape[0], size, outputs))
        self.reg[state.OUT_CELLS] = 0
        self.reg[state.OUT_HALVES] = 0
        return taken

    def run(
        self,
        task: Task,
        cell_limit: int,
        stop: threading.Event,
        report: Callable[[int, float], None],
    ) -> Block:
        """Walk a whole task, until it is done, the limit is reached or `stop` is set."""
        self.start(task, cell_limit)
        block = Block()
        while True:
            status = self.step()
            if status == state.FLUSH:
                block.outputs.append(self.take_output())
            report(int(self.reg[state.CELLS]), float(self.reg[state.DONE_PARTS]) * 2.0**-40)
            if status in (state.DONE, state.LIMIT) or stop.is_set():
                break
        return self.close(block, status)

    def close(self, block: Block, status: int) -> Block:
        """Complete the block of a walk that ended with `status`."""
        if self.mode == state.COLLECT and self.reg[state.OUT_CELLS] > 0:
            block.outputs.append(self.take_output())
        reg, freg = self.reg, self.freg
        block.cells = int(reg[state.CELLS])
        block.volume = float(freg[state.VOLUME] + freg[state.VOLUME_LOST])
        block.decisions = int(reg[state.DECISIONS])
        block.doubtful = int(reg[state.DOUBTFUL])
        block.placed = int(reg[state.PLACED])
        block.splits = int(reg[state.SPLITS])
        block.complete = status == state.DONE
        return block

    def frontier(self, depth: int) -> list[Task]:
        """Subtrees that together make the whole tree, in the order of the walk."""
        self.start(frontier=depth)
        tasks: list[Task] = []
        while True:
            status = self.step()
            if status in (state.FLUSH, state.DONE):
                n = int(self.reg[state.OUT_CELLS])
                paths = self.arrays[state.OUT_PATTERN][:n, 0]
                depths = self.arrays[state.OUT_VERTICES][:n]
                tasks += [Task(int(p), int(k)) for p, k in zip(paths, depths, strict=True)]
                self.reg[state.OUT_CELLS] = 0
            if status == state.DONE:
                return tasks
