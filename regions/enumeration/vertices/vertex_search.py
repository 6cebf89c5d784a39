"""A search by vertices: its memory, which grows, its tasks, its questions to rational arithmetic.

It knows nothing of results; `enumerate` decides what to do with the cells.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from copy import copy
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from regions.domain import Domain
from regions.enumeration.buffer_pool import BufferPool, Kept, Sizes
from regions.enumeration.compiled_network import CompiledNetwork, rounding
from regions.enumeration.search import (
    EVERYTHING,
    NEVER,
    NO_LIMIT,
    WHOLE,
    Budget,
    Ending,
    Signs,
    Task,
    TaskResult,
    check_found,
    check_length,
    run_task,
)
from regions.enumeration.vertices.search_arrays import (
    OUT_CELL_ARRAYS,
    OUT_HALF_ARRAYS,
    output_of,
    questions_of,
    scratch_of,
    stacks_of,
)
from regions.kernels.memory.layouts import SearchMemory
from regions.kernels.memory.states import Mode, Request, Status
from regions.kernels.memory.vertex_layout import VERTEX_SEARCH
from regions.kernels.vertices.steps import WHEN_MET, steps_of
from regions.network.layer_matrices import are_large

if TYPE_CHECKING:
    from regions.enumeration.spool import Sink, Spool
    from regions.enumeration.vertices.error_norms import ErrorNorms
    from regions.enumeration.vertices.exact_signs import ExactSigns

STEPS_PER_CALL = 1 << 15
VOLUME_LIMBS = 70  # of 32 bits, from the smallest float to the sum of 2**62 of the largest
PRODUCTS_PER_CALL = 1 << 30  # at most, so that limits are looked at in large networks too
SLOW_ANSWER = 0.1  # seconds
LARGEST_ERROR = 2.0**-16  # of a vertex's position, as a fraction of the domain's largest coordinate
LARGEST_WHERE_EXACT_IS_SLOW = 2.0**-8  # only signs that are open ask for what takes so long

STATUSES = tuple(Status)  # by their numbers
CONSTANT_TABLES = {"ranks_below"}  # of the arrays that a search makes

pool = BufferPool()


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


class _Root(NamedTuple):
    """What every task of a search starts from."""

    registers: NDArray[np.int64]
    arrays: dict[str, NDArray[Any]]
    node: NDArray[Any]


class _ExactAnswers:
    """Exact answers for the searches of one network on one domain.

    What they need is made at the first question, once for all threads: a thousand units take 0.2 s.
    """

    def __init__(self, net: CompiledNetwork, domain: Domain) -> None:
        self.net, self.domain = net, domain
        self.lock = threading.Lock()
        self.signs: ExactSigns | None = None
        self.large = are_large(net.network.operators)
        self.norms: ErrorNorms | None = None

    def tighten(self, memory: SearchMemory) -> bool:
        """Tighten errors where exact answers take long; returns whether the step is to be done again."""
        if not self.large:
            return False
        with self.lock:
            if self.norms is None:
                from regions.enumeration.vertices.error_norms import ErrorNorms

                self.norms = ErrorNorms(self.net)
            return self.norms.tighten(memory)

    def answer(self, memory: SearchMemory) -> tuple[int, int]:
        """Answer what a step asks; returns how many signs and how many positions."""
        with self.lock:
            if self.signs is None:
                from regions.enumeration.vertices.exact_signs import ExactSigns  # slow to import

                net = self.net
                starts = net.word_start, net.arrays["unit_starts"]
                self.signs = ExactSigns(net.network, self.domain, *starts, self.norms)
            return self.signs.answer(memory, self.net.planar)


class VertexSearch:
    """One resumable search with its own arrays; one thread uses it at a time.

    `release` gives the arrays to later searches; to make them costs as much as some hundred cells.

    Parameters
    ----------
    net : CompiledNetwork
    domain : Domain
    mode : Mode.COUNT, Mode.MEASURE or Mode.COLLECT
    spool : Spool that the cells of each task go to, or None, to keep them
    """

    def __init__(self, net: CompiledNetwork, domain: Domain, mode: Mode, spool: Spool | None = None) -> None:
        self.net = net
        self.spool = spool
        self.domain = domain
        self.mode = mode
        self.exact = _ExactAnswers(net, domain)
        self.task = WHOLE
        self.outputs: list[Output] | Sink = []
        n_vertices, n_sides = domain.incidence.shape
        sizes = Sizes()
        while sizes.bits * 64 < n_sides + 8:
            sizes = sizes.with_more_bits()
        while sizes.polytope < 2 * n_vertices + 64:
            sizes = sizes.doubled()
        self.sizes = sizes
        collect = mode == Mode.COLLECT
        widths = tuple(a.tobytes() for a in (net.width, net.word_start, net.arrays["maxed"]))
        kind = (type(self), mode, sizes, net.dimension, net.certified, net.planar, net.sloped, net.sparse)
        self.shape = (*kind, bool(net.rough), *widths)
        kept = pool.take(self.shape, net)
        if kept is not None:
            self.sizes, self.memory = kept.sizes, kept.memory
        else:
            outputs = int(net.width[-1]) if collect else 0
            self.memory = VERTEX_SEARCH.make(
                {
                    **stacks_of(net, sizes),
                    **scratch_of(net, sizes),
                    **questions_of(net, 256),
                    **output_of(net, 4096, (1 << 16) if collect else 512, outputs),
                    "volume_sum": np.zeros(VOLUME_LIMBS, np.int64),
                    "requests": np.zeros(1, np.int64),
                }
            )
            self.memory.bind(self._steps())
            self.memory.settles_doubts = False
        if kept is None or kept.owner is not net:
            self.memory.use(net.arrays | net.rough)
            self.memory.root = self._prepare()
        self._root: _Root = self.memory.root
        self.request(Request.NONE)

    def _steps(self) -> dict[str, Any]:
        """Return the kernels that this search is made of."""
        net = self.net
        rough = bool(net.rough)
        return steps_of(net.planar, self.mode, net.sloped, net.sparse, net.maxed, net.dimension, rough)

    def twins(self) -> Callable[[], VertexSearch]:
        """Return what makes searches like this one, with arrays of their own, while this one is in use."""
        sizes, settles = self.sizes, self.memory.settles_doubts
        # what a blueprint makes is 0, so twins share all that is not
        tables = CONSTANT_TABLES & self.memory.held.keys()
        blueprint = self.memory.blueprint(self.net.arrays.keys() | self.net.rough.keys() | tables)

        def make() -> VertexSearch:
            twin = copy(self)
            kept = pool.take(self.shape, self.net)
            if kept is None:
                twin.sizes, twin.memory = sizes, blueprint.make()
                twin.memory.settles_doubts = settles
            else:
                twin.sizes, twin.memory = kept.sizes, kept.memory
                if kept.owner is not self.net:
                    twin.memory.use(self.net.arrays | self.net.rough)
            twin.memory.root = self._root
            twin.request(Request.NONE)
            twin.outputs, twin.task = [], WHOLE
            return twin

        return make

    def release(self) -> None:
        """End this search's life; what it gave remains, its arrays go to the next one of the same shape."""
        pool.put(Kept(self.shape, self.net, self.sizes, self.memory))
        del self.memory

    def _grow(self, sizes: Sizes) -> None:
        self.sizes = sizes
        stacks = stacks_of(self.net, sizes)
        for name, array in stacks.items():
            before = self.memory.held[name]
            array[tuple(slice(0, n) for n in before.shape)] = before
        self.memory.use({**stacks, **scratch_of(self.net, sizes)})

    def _prepare(self) -> _Root:
        """Return what every task starts from: the registers, the domain's polytope, its node."""
        net, domain, memory = self.net, self.domain, self.memory
        d = net.dimension
        a, b = domain.halfspaces
        n, m = domain.vertices.shape[0], a.shape[0]
        arrays = {
            "points": np.ascontiguousarray(domain.vertices.T),
            "radii": net.radii,
            "ring": np.arange(n),
            "labels": -1 - np.arange(m),
            "rows": np.column_stack([a, -b, np.zeros(m)]),
            "edges": np.arange(m),
        }
        if net.planar:
            arrays["definitions"] = np.nonzero(domain.incidence)[1].reshape(n, 2)
        else:
            bits = np.zeros((n, -(-m // 64) * 64), np.bool_)
            bits[:, :m] = domain.incidence
            arrays["incidence"] = np.packbits(bits, axis=1, bitorder="little").view(np.uint64)
        memory.clear()
        memory.dimension, memory.n_layers = d, net.n_layers
        memory.certified, memory.planar, memory.central = net.certified, net.planar, net.central
        memory.gamma_point = rounding(d + 2)
        memory.vertex_radius = net.radius
        largest_error = LARGEST_WHERE_EXACT_IS_SLOW if self.exact.large else LARGEST_ERROR
        memory.largest_error = largest_error * net.arrays["extents"].max()
        memory.underflow = net.underflow
        memory.mode = self.mode
        memory.rough = int(bool(net.rough) and self.mode != Mode.COLLECT)
        memory.want_map = int(self.mode == Mode.COLLECT)
        memory.n_nodes = memory.fresh = 1
        node = np.zeros(1, memory.held["nodes"].dtype)
        node["layer"] = node["last_event"] = -1
        node["n_vertices"] = node["vertex_top"] = node["ring_top"] = n
        node["hyperplanes"] = m
        node["n_facets"] = 0 if net.planar else m
        return _Root(memory.registers(), arrays, node)

    def start(self, task: Task = WHOLE, cell_limit: int = NO_LIMIT, budget: Budget = EVERYTHING) -> None:
        """Put the domain's polytope on an empty stack, to go to the task's subtree at the next step."""
        net, memory, path = self.net, self.memory, task.path
        held = memory.held
        memory.set_registers(self._root.registers)
        self.outputs, self.task = [] if self.spool is None else self.spool.begin(), task
        memory.cell_limit, memory.cell_goal = cell_limit, budget.cells
        memory.frontier = len(path) + budget.depth if budget.depth else 0
        memory.prefix_length, memory.started = len(path), int(not path)
        check_length(task, net.n_units)
        held["trail"][: len(path)] = np.frombuffer(path, np.uint8)
        held["volume_sum"][:] = 0
        held["nodes"][:1] = self._root.node
        held["candidates"][0] = held["patterns"][0] = held["keys"][0] = 0
        held["slots"][0, : net.dimension + 3, : net.width[0]] = net.first
        for name, array in self._root.arrays.items():
            if name == "points":
                held[name][:, : array.shape[1]] = array
            elif name == "incidence":  # which may have grown since, in both directions
                held[name][: array.shape[0]] = 0
                held[name][: array.shape[0], : array.shape[1]] = array
            else:
                held[name][: array.shape[0], ...] = array

    def step(self, steps: int = STEPS_PER_CALL) -> Status:
        """Search on, growing arrays and answering as needed; returns what `Search.step` says."""
        steps = min(steps, max(1, PRODUCTS_PER_CALL // self.net.arrays["weights"].size))
        while True:
            status = STATUSES[self.memory.search(steps)]
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
            memory.use(questions_of(self.net, 2 * memory.asked))
            memory.asked = memory.answered = 0
            return
        if memory.answered == 0 and self.exact.tighten(memory):
            memory.asked = 0
            return
        signs, positions = self.exact.answer(memory)
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
            self.memory.use(output_of(self.net, self.memory.out_volume.shape[0], size, outputs))
        self.memory.out_cells = 0
        self.memory.out_halves = 0
        return taken

    def keep_output(self) -> None:
        """Empty the output of cells into what `close` puts in the block."""
        self.outputs.append(self.take_output())

    def progress(self) -> tuple[int, float]:
        """Return the cells found so far, and the part of the whole tree that is done."""
        return self.memory.cells, self.memory.done_parts * 2.0**-40

    def request(self, what: Request) -> None:
        """Ask the search to give a subtree away or to stop, from any thread; NONE takes that back."""
        self.memory.held["requests"][0] = what

    def waiting(self) -> tuple[int, int]:
        """Return how many subtrees wait, and the splits above the oldest: roughly, from any thread."""
        memory = self.memory
        base, top = memory.base, memory.n_nodes - 1
        return max(0, top - base), int(memory.held["nodes"]["depth"][base]) if top > base else 0

    def _task_at(self, at: int) -> Task:
        """Name the subtree of a node that a split left: the way to its parent is that of the node in hand."""
        node = self.memory.held["nodes"][at]
        depth = int(node["depth"])
        if depth == 0:
            return WHOLE
        above = self.memory.held["trail"][: depth - 1].astype(np.uint8).tobytes()
        return Task(above + bytes([int(node["branch"])]))

    def give(self) -> Task:
        """Take the oldest subtree that waits off the stack, after GIVE."""
        base = self.memory.base
        self.memory.base = base + 1
        return self._task_at(base)

    def pending(self) -> list[Task]:
        """List the subtrees that are left after STOPPED, in the order of the search."""
        return [self._task_at(at) for at in range(self.memory.n_nodes - 1, self.memory.base - 1, -1)]

    def run(self, task: Task = WHOLE, budget: Budget = EVERYTHING, stop: Ending = NEVER) -> TaskResult:
        """Search a task until it is done, the budget is used or `stop` is set."""
        return run_task(self, task, budget, stop)

    def close(self, status: Status) -> TaskResult:
        """Return what a search found that ended with `status`."""
        if self.mode == Mode.COLLECT and self.memory.out_cells > 0:
            self.keep_output()
        memory = self.memory
        check_found(self.task, memory.started)
        limbs = memory.held["volume_sum"].tolist()
        return TaskResult(
            path=self.task.path,
            cells=memory.cells,
            volume=sum(limb << (32 * k) for k, limb in enumerate(limbs) if limb),
            certificate=Signs(memory.decisions, memory.doubtful, memory.placed),
            parts=self.outputs if isinstance(self.outputs, list) else self.outputs.close(),
            remainder=self.pending() if status == Status.STOPPED else [],
            complete=status in (Status.DONE, Status.STOPPED),
            splits=memory.splits,
        )
