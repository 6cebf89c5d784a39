"""A search by vertices: its memory, which grows, its tasks, its questions to rational arithmetic.

It knows nothing of results; `enumerate` decides what to do with the cells.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from regions.domain import Domain
from regions.enumeration.buffer_pool import BufferPool, Kept, Sizes
from regions.enumeration.compiled_network import CompiledNetwork, rounding
from regions.enumeration.search import (
    NEVER,
    NO_LIMIT,
    WHOLE,
    Block,
    Ending,
    Report,
    Task,
    list_tasks,
    run_task,
)
from regions.kernels.memory.states import Mode, Status
from regions.kernels.memory.vertex_layout import VERTEX_SEARCH
from regions.kernels.vertices.steps import WHEN_MET, steps_of
from regions.kernels.volumes.simple import lattice_scratch

if TYPE_CHECKING:
    from regions.enumeration.vertices.exact_signs import ExactSigns

STEPS_PER_CALL = 1 << 15
PRODUCTS_PER_CALL = 1 << 30  # at most, so that limits are looked at in large networks too
SLOW_ANSWER = 0.1  # seconds
LARGEST_ERROR = 2.0**-28  # of a vertex's position, as a fraction of the domain's largest coordinate

pool = BufferPool()


def _stacks(net: CompiledNetwork, sizes: Sizes) -> dict[str, NDArray[Any]]:
    """Make the arrays of a search that keep their contents when they grow."""
    d = net.dimension
    widest = int(net.width.max())
    words = max(1, (widest + 63) // 64)
    patterns = max(1, int(net.word_start[-1]))
    vertices = sizes.vertices + 2 * sizes.polytope
    events = sizes.events + 4 * widest
    u64, i64 = np.uint64, np.int64
    return {
        "nodes": np.zeros(sizes.nodes, VERTEX_SEARCH.arrays["nodes"].dtype),
        "candidates": np.zeros((sizes.nodes, words), u64),
        "patterns": np.zeros((sizes.nodes, patterns), u64),
        "keys": np.zeros(sizes.nodes, u64),
        "paths": np.zeros(sizes.nodes, u64),
        "slots": np.zeros((sizes.slots + net.n_layers, d + 5, widest)),
        "points": np.zeros((d, vertices)),
        "radii": np.zeros(vertices),
        "positive": np.zeros((vertices, words), u64),
        "negative": np.zeros((vertices, words), u64),
        "incidence": np.zeros((vertices, sizes.bits), u64),
        "definitions": np.zeros((vertices if net.planar else 0, 2), i64),
        "ring": np.zeros(sizes.ring, i64),
        "edges": np.zeros(sizes.ring, i64),
        "labels": np.zeros(sizes.candidates, i64),
        "rows": np.zeros((sizes.candidates, d + 2)),
        "candidate_units": np.zeros(sizes.candidates + 2 * widest, i64),
        "event_planes": np.zeros(events, i64),
        "event_keys": np.zeros(events, u64),
        "event_before": np.zeros(events, i64),
        "guide": np.zeros(patterns, u64),
        "prefix": np.zeros(1, u64),
    }


def _scratch(net: CompiledNetwork, sizes: Sizes) -> dict[str, NDArray[Any]]:
    """Make the arrays of a search that hold nothing between steps."""
    d = net.dimension
    widest = int(net.width.max())
    words = max(1, (widest + 63) // 64)
    vertices, planes = sizes.polytope, 64 * sizes.bits
    vertex_words = (vertices + 63) // 64
    u64, i64 = np.uint64, np.int64
    return {
        "values": np.zeros((vertices, widest)),
        "unit_values": np.zeros(4 * vertices),
        "unit_row": np.zeros(d + 1),
        "middles": np.zeros(widest),
        "spreads": np.zeros(widest),
        "box": np.zeros((2, d)),
        "units": np.zeros(widest + 1, i64),
        "work": np.zeros(widest + vertices + 8, i64),
        "masks": np.zeros((4, words), u64),
        "pairs": np.zeros((4 * vertices, 2), i64),
        "gathered": np.zeros(4 * vertices, u64),
        "picked": np.zeros(vertices + 1, i64),
        "ranks": np.zeros(planes, i64),
        "system": np.zeros((planes + d + 1, 2 * d)),
        "system_rows": np.zeros(planes + 2, i64),
        "face_points": np.zeros((vertices, d)),
        "face_normals": np.zeros((planes, d)),
        "face_on": np.zeros((planes, vertex_words), u64),
        "face_sets": np.zeros((d + 1, vertex_words), u64),
        "face_below": np.zeros((d + 1, planes, vertex_words), u64),
        "face_counts": np.zeros(d + 1, i64),
        "face_next": np.zeros(d + 1, i64),
        "face_planes": np.zeros((d + 1, planes), i64),
        "face_apex": np.zeros(d + 1, i64),
        "face_maximal": np.zeros(planes, i64),
        "face_pivot": np.zeros(d + 1),
        "face_local": np.zeros((d + 1, vertices, d)),
        "face_total": np.zeros(d + 1),
        "face_moment": np.zeros((d + 1, d)),
        "face_measure": np.zeros(planes),
        "face_centre": np.zeros((planes, d)),
        **lattice_scratch(d, vertices, planes),
    }


def _questions(net: CompiledNetwork, count: int) -> dict[str, NDArray[Any]]:
    """Make room for what a step asks and for the answers."""
    return {
        "questions": np.zeros((count, 2), np.int64),
        "answers": np.zeros(count, np.int64),
        "answer_points": np.zeros((count, net.dimension + 1)),
    }


OUT_CELL_ARRAYS = ("out_pattern", "out_volume", "out_centroid", "out_vertices", "out_facets", "out_jacobian")
OUT_HALF_ARRAYS = ("out_label", "out_match", "out_measure", "out_point")


def _output(net: CompiledNetwork, cells: int, halves: int, outputs: int) -> dict[str, NDArray[Any]]:
    d = net.dimension
    words = max(1, (net.n_units + 63) // 64)
    return {
        "out_pattern": np.zeros((cells, words), np.uint64),
        "out_volume": np.zeros(cells),
        "out_centroid": np.zeros((cells, d)),
        "out_vertices": np.zeros(cells, np.int64),
        "out_facets": np.zeros(cells, np.int64),
        "out_jacobian": np.zeros((cells, outputs * d)),
        "out_label": np.zeros(halves, np.int64),
        "out_match": np.zeros(halves, np.uint64),
        "out_measure": np.zeros(halves),
        "out_point": np.zeros((halves if net.planar else 0, 2)),
    }


class Output(NamedTuple):
    """Finished cells as a structure of arrays; half-facets are listed cell by cell."""

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


class VertexSearch:
    """One resumable search with its own arrays; one thread uses it at a time.

    `release` gives the arrays to later searches; to make them costs as much as some hundred cells.

    Parameters
    ----------
    net : CompiledNetwork
    domain : Domain
    mode : Mode.COUNT, Mode.MEASURE or Mode.COLLECT
    """

    def __init__(self, net: CompiledNetwork, domain: Domain, mode: Mode) -> None:
        self.net = net
        self.domain = domain
        self.mode = mode
        self.exact: ExactSigns | None = None
        self.outputs: list[Output] = []
        n_vertices, n_sides = domain.incidence.shape
        sizes = Sizes()
        while sizes.bits * 64 < n_sides + 8:
            sizes = sizes.with_more_bits()
        while sizes.polytope < 2 * n_vertices + 64:
            sizes = sizes.doubled()
        self.sizes = sizes
        collect = mode == Mode.COLLECT
        widths = (net.width.tobytes(), net.word_start.tobytes())
        self.shape = (mode, sizes, net.dimension, net.certified, net.planar, net.sloped, *widths)
        kept = pool.take(self.shape, net)
        if kept is not None:
            self.sizes, self.memory = kept.sizes, kept.memory
        else:
            outputs = int(net.width[-1]) if collect else 0
            self.memory = VERTEX_SEARCH.make(
                {
                    **_stacks(net, sizes),
                    **_scratch(net, sizes),
                    **_questions(net, 256),
                    **_output(net, 4096, (1 << 16) if collect else 512, outputs),
                }
            )
            self.memory.bind(steps_of(net.planar, mode, net.sloped))
            self.memory.settles_doubts = False
        if kept is None or kept.owner is not net:
            self.memory.use(net.arrays)

    def release(self) -> None:
        """End this search's life; what it gave remains, its arrays go to the next one of the same shape."""
        pool.put(Kept(self.shape, self.net, self.sizes, self.memory))
        del self.memory

    def _grow(self, sizes: Sizes) -> None:
        self.sizes = sizes
        stacks = _stacks(self.net, sizes)
        for name, array in stacks.items():
            before = self.memory.held[name]
            array[tuple(slice(0, n) for n in before.shape)] = before
        self.memory.use({**stacks, **_scratch(self.net, sizes)})

    def start(self, task: Task = WHOLE, cell_limit: int = NO_LIMIT, frontier: int = 0) -> None:
        """Put the domain's polytope on an empty stack."""
        net, domain, memory = self.net, self.domain, self.memory
        d = net.dimension
        vertices = domain.vertices
        a, b = domain.halfspaces
        n, m = vertices.shape[0], a.shape[0]
        memory.clear()
        self.outputs = []
        memory.dimension, memory.n_layers = net.dimension, net.n_layers
        memory.certified, memory.planar, memory.central = net.certified, net.planar, net.central
        self.memory.gamma_point = rounding(d + 2)
        self.memory.vertex_radius = net.radius
        self.memory.largest_error = LARGEST_ERROR * net.arrays["extents"].max()
        self.memory.underflow = net.underflow
        memory.mode = self.mode
        memory.want_map = int(self.mode == Mode.COLLECT)
        memory.cell_limit = cell_limit
        memory.prefix_length = task.depth
        memory.frontier = frontier
        memory.prefix[0] = task.path
        memory.held["nodes"][0] = 0
        node = memory.nodes[0]
        node.layer = -1
        node.n_vertices = node.vertex_top = node.ring_top = n
        node.hyperplanes = m
        node.n_facets = 0 if net.planar else m
        node.last_event = -1
        for stack in (memory.candidates, memory.patterns, memory.keys, memory.paths):
            stack[0] = 0
        memory.slots[0, : d + 3, : net.width[0]] = net.first
        memory.points[:, :n] = vertices.T
        memory.radii[:n] = net.radii
        memory.ring[:n] = np.arange(n)
        memory.labels[:m] = -1 - np.arange(m)
        memory.rows[:m] = np.column_stack([a, -b, np.zeros(m)])
        memory.edges[:m] = np.arange(m)
        if net.planar:
            memory.definitions[:n] = np.nonzero(domain.incidence)[1].reshape(n, 2)
        else:
            inc = memory.incidence
            inc[:n] = 0
            for v, f in zip(*np.nonzero(domain.incidence), strict=True):
                inc[v, f >> 6] |= np.uint64(1 << int(f & 63))
        memory.n_nodes = 1

    def step(self, steps: int = STEPS_PER_CALL) -> Status:
        """Search on, growing arrays and answering as needed; returns DONE, PAUSED, FLUSH or LIMIT."""
        steps = min(steps, max(1, PRODUCTS_PER_CALL // self.net.arrays["weights"].size))
        while True:
            status = Status(self.memory.search(steps))
            if status == Status.GROW:
                self._grow(self.sizes.doubled())
            elif status == Status.GROW_BITS:
                self._grow(self.sizes.with_more_bits())
            elif status == Status.COMPILE:
                self.memory.bind({"triangulate": WHEN_MET["triangulate"]})
            elif status == Status.ASK:
                started = monotonic()
                self._answer()
                if monotonic() - started > SLOW_ANSWER:
                    return Status.PAUSED
            else:
                return status

    def _answer(self) -> None:
        memory = self.memory
        if not memory.settles_doubts:
            # the first doubtful sign: what settles it is compiled now, and the step is done again
            memory.bind({"settle_doubt": WHEN_MET["settle_doubt"]})
            memory.settles_doubts = True
            memory.asked = memory.answered = 0
            return
        if memory.asked > self.memory.questions.shape[0]:
            # ask again, into enough room
            memory.use(_questions(self.net, 2 * memory.asked))
            memory.asked = memory.answered = 0
            return
        if self.exact is None:
            from regions.enumeration.vertices.exact_signs import ExactSigns  # slow to import

            self.exact = ExactSigns(
                self.net.network, self.domain, self.net.word_start, self.net.arrays["unit_starts"]
            )
        signs, positions = self.exact.answer(memory, self.net.planar)
        memory.doubtful += signs
        memory.placed += positions

    def take_output(self) -> Output:
        """Copy what is in the output buffer, and empty it."""
        cells = int(self.memory.out_cells)
        halves = int(self.memory.out_halves)
        taken = Output(
            *(self.memory.held[name][:cells].copy() for name in OUT_CELL_ARRAYS),
            *(self.memory.held[name][:halves].copy() for name in OUT_HALF_ARRAYS),
        )
        if cells == 0:  # a single cell has more facets than the buffer holds
            outputs = self.memory.out_jacobian.shape[1] // self.net.dimension
            size = 2 * self.memory.out_label.shape[0]
            self.memory.use(_output(self.net, self.memory.out_volume.shape[0], size, outputs))
        self.memory.out_cells = 0
        self.memory.out_halves = 0
        return taken

    def keep_output(self) -> None:
        """Empty the output of cells into what `close` puts in the block."""
        self.outputs.append(self.take_output())

    def progress(self) -> tuple[int, float]:
        """Return the cells found so far, and the part of the whole tree that is done."""
        return self.memory.cells, self.memory.done_parts * 2.0**-40

    def run(self, task: Task, cell_limit: int, stop: Ending, report: Report) -> Block:
        """Search a whole task, until it is done, the limit is reached or `stop` is set."""
        status = run_task(self, task, cell_limit, stop, report)
        return self.close(Block(), status)

    def close(self, block: Block, status: Status) -> Block:
        """Complete the block of a search that ended with `status`."""
        if self.mode == Mode.COLLECT and self.memory.out_cells > 0:
            self.keep_output()
        memory = self.memory
        block.outputs = self.outputs
        block.cells = int(memory.cells)
        block.volume = float(memory.volume + memory.volume_lost)
        block.decisions = int(memory.decisions)
        block.doubtful = int(memory.doubtful)
        block.placed = int(memory.placed)
        block.splits = int(memory.splits)
        block.complete = status == Status.DONE
        return block

    def frontier(self, depth: int, stop: Ending = NEVER) -> list[Task]:
        """List subtrees that together make the whole tree, in the order of the search."""
        return list_tasks(self, depth, self._take_tasks, stop)

    def _take_tasks(self) -> list[Task]:
        memory, n = self.memory, self.memory.out_cells
        memory.out_cells = 0
        paths, depths = memory.out_pattern[:n, 0].tolist(), memory.out_vertices[:n].tolist()
        return [Task(path, depth) for path, depth in zip(paths, depths, strict=True)]
