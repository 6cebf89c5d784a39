"""A search by linear programs: its memory, its tasks, its questions to rational arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from regions.domain import Domain
from regions.enumeration.compiled_network import CompiledNetwork, rounding
from regions.enumeration.programs.exact_sides import ExactSides
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
from regions.errors import SolverError
from regions.kernels.memory.blocks import BLOCK
from regions.kernels.memory.program_layout import PROGRAM_SEARCH
from regions.kernels.memory.states import THIN_SUBTREE, Mode, Request, Side, Status
from regions.kernels.programs.depth_first_by_programs import search_by_programs
from regions.kernels.programs.witnesses import take_witness
from regions.kernels.vertices.max_winners import set_pairs
from regions.kernels.vertices.steps import adder

STEPS_PER_CALL = 1 << 11  # a second where each is a program of a millisecond
OUT_CELLS = 4096


class ProgramOutput(NamedTuple):
    """Cells found by the search: their patterns, and points strictly inside them."""

    states: NDArray[np.bool_]  # (n, n_units)
    witnesses: NDArray[np.float64]  # (n, d); NaN where no float is inside


def _arrays(net: CompiledNetwork, sides: int, collect: bool) -> dict[str, NDArray[Any]]:
    d, n = net.dimension, net.n_units
    rows, widest = BLOCK * -(-(sides + n + 1) // BLOCK), net.widest
    padded = BLOCK * -(-d // BLOCK)
    i64 = np.int64
    cells = OUT_CELLS if collect else 0
    return {
        "slots": np.zeros((net.n_layers + 1, d + 5, widest)),
        "unrounded": np.zeros(net.n_layers + 1, np.int64),
        "units": np.zeros(widest + 1, i64),
        "columns": np.zeros((d, rows)),
        "right": np.zeros(rows),
        "errors": np.zeros(rows),
        "labels": np.zeros(rows, i64),
        "row_sides": np.zeros(rows, i64),
        "witness": np.zeros(d),
        "witness_slacks": np.zeros(rows),
        "witness_noise": np.zeros(rows),
        "states": np.zeros(n, i64),
        "sides": np.zeros(2, i64),
        "side_points": np.zeros((2, d)),
        "pending": np.zeros(n + 2, PROGRAM_SEARCH.arrays["pending"].dtype),
        "pending_points": np.zeros((n + 2, d)),
        "slacks": np.zeros(rows),
        "noise": np.zeros(rows),
        "speeds": np.zeros(rows),
        "in_basis": np.zeros(rows, i64),
        "basis_edges": np.zeros((d, d)),
        "active_rows": np.zeros(d, i64),
        "block_edges": np.zeros((d, padded)),
        "multipliers": np.zeros(padded),
        "edge_weights": np.zeros(padded),
        "edge_values": np.zeros(padded),
        "row_normal": np.zeros(d),
        "point": np.zeros(d),
        "ray": np.zeros(d),
        "objective": np.zeros(d),
        "out_states": np.zeros((cells, n), i64),
        "out_witness": np.zeros((cells, d)),
        "trail": np.zeros(n + 2, i64),
        "requests": np.zeros(1, i64),
    }


class ProgramSearch:
    """One resumable search by linear programs with its own arrays; one thread uses it at a time.

    Parameters
    ----------
    net : CompiledNetwork
    domain : Domain
    mode : Mode.COUNT, or Mode.COLLECT to list patterns and witnesses
    """

    def __init__(self, net: CompiledNetwork, domain: Domain, mode: Mode) -> None:
        self.net, self.domain, self.mode = net, domain, mode
        self.exact: ExactSides | None = None
        self.n_sides = domain.n_sides
        self.memory = PROGRAM_SEARCH.make({**net.arrays, **_arrays(net, self.n_sides, mode == Mode.COLLECT)})
        self.memory.bind(
            {
                "search": search_by_programs,
                "take_witness": take_witness,
                "add_units": adder(net.sloped, net.sparse),
            }
        )
        if net.maxed:
            self.memory.bind({"set_pairs": set_pairs})
        self.outputs: list[ProgramOutput] = []
        self.task = WHOLE

    def twins(self) -> Callable[[], ProgramSearch]:
        """Return what makes searches like this one, with arrays of their own, while this one is in use."""
        return partial(ProgramSearch, self.net, self.domain, self.mode)

    def release(self) -> None:
        """End this search's life; its arrays are small and go with it."""

    def start(self, task: Task = WHOLE, cell_limit: int = NO_LIMIT, budget: Budget = EVERYTHING) -> None:
        """Take the whole domain in hand, to go to the task's subtree at the next step."""
        net, memory = self.net, self.memory
        a, b = self.domain.halfspaces
        m = self.n_sides
        memory.clear()
        memory.dimension, memory.n_layers = net.dimension, net.n_layers
        memory.certified, memory.central = net.certified, net.central
        self.outputs = []
        memory.gamma_point = rounding(net.dimension + 2)
        memory.underflow = net.underflow
        relus = memory.relus[: net.n_layers]
        memory.relu_layers = int(np.flatnonzero(relus).max(initial=-1)) + 1
        memory.mode = self.mode
        check_length(task, net.n_units)
        path, self.task = task.path, task
        memory.cell_limit, memory.cell_goal = cell_limit, budget.cells
        memory.frontier = len(path) + budget.depth if budget.depth else 0
        memory.prefix_length, memory.started, memory.fresh = len(path), int(not path), 1
        memory.trail[: len(path)] = np.frombuffer(path, np.uint8)
        memory.n_rows = m
        memory.tried = -1
        memory.sides[:] = Side.UNKNOWN
        memory.states[:] = 0
        memory.slots[0, : net.dimension + 2, : net.width[0]] = net.first[: net.dimension + 2]
        exponents = np.frexp(np.abs(a).max(axis=1))[1]
        memory.columns[:, :m] = np.ldexp(a, -exponents[:, None]).T
        memory.right[:m] = np.ldexp(b, -exponents)
        memory.errors[:m] = 0.0
        memory.labels[:m] = -1 - np.arange(m)
        memory.witness[:] = self.domain.interior_point()
        memory.take_witness()

    def step(self, steps: int = STEPS_PER_CALL) -> Status:
        """Search on, answering questions as needed; returns DONE, PAUSED, FLUSH or LIMIT."""
        while True:
            status = Status(self.memory.search(steps))
            if status != Status.ASK:
                return status
            if self.memory.ask_side == THIN_SUBTREE:
                if not self._count_thin_subtree():
                    return Status.LIMIT
            else:
                self._answer()

    def asked(self) -> ExactSides:
        """Return what answers exactly for this search; it is made when it is first asked for."""
        if self.exact is None:
            self.exact = ExactSides(self.net.network, self.domain)
        return self.exact

    def _rows(self) -> list[tuple[int, bool]]:
        """List the unit rows of the polytope in hand: flat unit, and whether it is positive there."""
        last = int(self.memory.n_rows)
        labels = self.memory.labels[self.n_sides : last].tolist()
        sides = self.memory.row_sides[self.n_sides : last].tolist()
        return [(label, side == 1) for label, side in zip(labels, sides, strict=True)]

    def _unit(self) -> int:
        """Return the flat number of the unit in hand, or the plane of the pair that is compared."""
        memory = self.memory
        layer = int(memory.layer)
        if memory.tried >= 0:
            pair = int(memory.pair_starts[layer] + memory.pair - memory.widths[layer])
            return self.net.n_units + pair
        return int(memory.unit_starts[layer] + memory.unit)

    def _pattern(self) -> bytes:
        return self.memory.states.astype(np.bool_).tobytes()

    def _answer(self) -> None:
        """Decide one side of the unit in hand exactly."""
        memory, side = self.memory, self.memory.ask_side
        active = memory.active_rows
        hint = [int(memory.labels[row]) for row in active if row >= 0]
        answer, point = self.asked().decide(
            self._pattern(), self._rows(), (self._unit(), side == 1), memory.witness, hint
        )
        match answer:
            case Side.EMPTY:
                memory.sides[side] = Side.EMPTY
            case Side.INSIDE:
                memory.sides[side] = Side.INSIDE
                memory.side_points[side] = point
            case Side.THIN:
                memory.sides[side] = Side.THIN
            case _:
                raise SolverError(f"exact arithmetic answered {answer!r}")
        self.memory.decisions += 1
        self.memory.doubtful += 1
        self.memory.ask_side = 0

    def _count_thin_subtree(self) -> bool:
        """Count the cells below a side that no float is inside of, in rational arithmetic.

        Returns whether these are all of them; otherwise the limit is reached.
        """
        memory = self.memory
        room = int(memory.cell_limit - memory.cells)
        # one more than there is room for tells whether the limit leaves any out
        patterns, decisions = self.asked().cells_below(self._pattern(), self._rows(), self._unit(), room + 1)
        all_fit = len(patterns) <= room
        patterns = patterns[:room]
        memory.cells += len(patterns)
        memory.decisions += decisions
        memory.doubtful += decisions
        depth = int(memory.depth - memory.prefix_length)
        memory.done_parts += 1 << (40 - min(40, max(0, depth)))
        if self.mode == Mode.COLLECT and patterns:
            self.outputs.append(self.take_output())
            states = np.array([np.frombuffer(pattern, np.bool_) for pattern in patterns])
            self.outputs.append(ProgramOutput(states, np.full((len(patterns), self.net.dimension), np.nan)))
        memory.ask_side = 0
        memory.leaving = 1
        return all_fit

    def take_output(self) -> ProgramOutput:
        """Copy what is in the output buffer, and empty it."""
        n = int(self.memory.out_cells)
        self.memory.out_cells = 0
        states = self.memory.out_states[:n].astype(np.bool_)
        return ProgramOutput(states, self.memory.out_witness[:n].copy())

    def keep_output(self) -> None:
        """Empty the output of cells into what `close` puts in the block."""
        self.outputs.append(self.take_output())

    def progress(self) -> tuple[int, float]:
        """Return the cells found so far, and the part of the whole tree that is done."""
        return self.memory.cells, self.memory.done_parts * 2.0 ** -(40 + self.memory.prefix_length)

    def request(self, what: Request) -> None:
        """Ask the search to give a subtree away or to stop, from any thread; NONE takes that back."""
        self.memory.held["requests"][0] = what

    def waiting(self) -> tuple[int, int]:
        """Return how many subtrees wait, and the splits above the oldest: roughly, from any thread."""
        memory = self.memory
        base, count = memory.base, memory.n_pending
        return max(0, count - base), int(memory.held["pending"]["depth"][base]) + 1 if count > base else 0

    def _task_at(self, at: int) -> Task:
        """Name the subtree of a side that waits: the way to its parent is that of the polytope in hand."""
        entry = self.memory.held["pending"][at]
        above = self.memory.trail[: int(entry["depth"])].astype(np.uint8).tobytes()
        return Task(above + bytes([int(entry["branch"])]))

    def _task_in_hand(self) -> Task:
        return Task(self.memory.trail[: self.memory.depth].astype(np.uint8).tobytes())

    def give(self) -> Task:
        """Take the oldest side that waits off the stack, after GIVE."""
        base = self.memory.base
        self.memory.base = base + 1
        return self._task_at(base)

    def pending(self) -> list[Task]:
        """List the subtrees that are left after STOPPED, in the order of the search."""
        waiting = range(self.memory.n_pending - 1, self.memory.base - 1, -1)
        return [self._task_in_hand(), *(self._task_at(at) for at in waiting)]

    def run(self, task: Task = WHOLE, budget: Budget = EVERYTHING, stop: Ending = NEVER) -> TaskResult:
        """Search a task until it is done, the budget is used or `stop` is set."""
        return run_task(self, task, budget, stop)

    def close(self, status: Status) -> TaskResult:
        """Return what a search found that ended with `status`."""
        memory = self.memory
        check_found(self.task, memory.started)
        return TaskResult(
            path=self.task.path,
            cells=memory.cells,
            certificate=Signs(memory.decisions, memory.doubtful, 0),
            parts=[*self.outputs, self.take_output()] if self.mode == Mode.COLLECT else [],
            remainder=self.pending() if status == Status.STOPPED else [],
            complete=status in (Status.DONE, Status.STOPPED),
            programs=memory.programs,
        )
