"""Running the walk by linear programs: its arrays, its tasks, its questions to rational arithmetic.

Offers what `walking.Walker` offers, so that `scheduling` runs either.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from regions.domain import Domain
from regions.enumeration.compiled_network import Lowered, rounding
from regions.enumeration.programs.exact_sides import ProgramOracle, Side
from regions.enumeration.vertices.vertex_search import NO_LIMIT, WHOLE, Block, Task
from regions.errors import SolverError
from regions.kernels.memory import state
from regions.kernels.memory.blocks import BLOCK
from regions.kernels.memory.table import ENTRY, HEADER, fill_entry
from regions.kernels.programs.program_walk import set_witness, walk_by_programs

STEPS_PER_CALL = 1 << 14
OUT_CELLS = 4096


class ProgramOutput(NamedTuple):
    """Cells found by the walk: their patterns, and points strictly inside them."""

    states: NDArray[np.bool_]  # (n, n_units)
    witnesses: NDArray[np.float64]  # (n, d); NaN where no float is inside


def _arrays(net: Lowered, sides: int, collect: bool) -> dict[int, NDArray[Any]]:
    d, n = net.dimension, net.n_units
    rows, widest = BLOCK * -(-(sides + n + 1) // BLOCK), int(net.width.max())
    padded = BLOCK * -(-d // BLOCK)
    i64 = np.int64
    cells = OUT_CELLS if collect else 0
    return {
        state.REG: np.zeros(state.N_PROGRAM_REGISTERS, i64),
        state.FREG: np.zeros(state.N_FLOAT_REGISTERS),
        state.SLOTS: np.zeros((net.n_layers + 1, d + 5, widest)),
        state.UNITS: np.zeros(widest + 1, i64),
        state.GUIDE: np.zeros(1, i64),
        state.PREFIX: np.zeros(1, i64),
        state.PROGRAM_COLUMNS: np.zeros((d, rows)),
        state.PROGRAM_RIGHT: np.zeros(rows),
        state.PROGRAM_ERRORS: np.zeros(rows),
        state.PROGRAM_LABELS: np.zeros(rows, i64),
        state.PROGRAM_SIDES: np.zeros(rows, i64),
        state.WITNESS: np.zeros(d),
        state.WITNESS_SLACKS: np.zeros(rows),
        state.WITNESS_NOISE: np.zeros(rows),
        state.STATES: np.zeros(n, i64),
        state.SIDES: np.zeros(2, i64),
        state.SIDE_POINTS: np.zeros((2, d)),
        state.PENDING: np.zeros((n + 2, state.N_PENDING_FIELDS), i64),
        state.PENDING_POINTS: np.zeros((n + 2, d)),
        state.TRY_SLACKS: np.zeros(rows),
        state.TRY_NOISE: np.zeros(rows),
        state.SPEEDS: np.zeros(rows),
        state.IN_BASIS: np.zeros(rows, i64),
        state.BASIS_EDGES: np.zeros((d, d)),
        state.ACTIVE_ROWS: np.zeros(d, i64),
        state.BLOCK_EDGES: np.zeros((d, padded)),
        state.MULTIPLIERS: np.zeros(padded),
        state.EDGE_WEIGHTS: np.zeros(padded),
        state.EDGE_VALUES: np.zeros(padded),
        state.ROW_NORMAL: np.zeros(d),
        state.PROGRAM_POINT: np.zeros(d),
        state.PROGRAM_RAY: np.zeros(d),
        state.OBJECTIVE: np.zeros(d),
        state.OUT_STATES: np.zeros((cells, n), i64),
        state.OUT_WITNESS: np.zeros((cells, d)),
        state.OUT_PATH: np.zeros((1024, 2), i64),
    }


class ProgramWalker:
    """One resumable walk by linear programs with its own arrays; one thread uses it at a time.

    Parameters
    ----------
    net : Lowered
    domain : Domain
    mode : state.COUNT, or state.COLLECT to list patterns and witnesses
    """

    def __init__(self, net: Lowered, domain: Domain, mode: int) -> None:
        self.net, self.domain, self.mode = net, domain, mode
        self.oracle: ProgramOracle | None = None
        self.n_sides = domain.n_sides
        table = np.zeros(HEADER + ENTRY * state.N_PROGRAM_ENTRIES, np.int64)
        table[state.DIMENSION], table[state.N_LAYERS] = net.dimension, net.n_layers
        table[state.CERTIFIED] = int(net.certified)
        self.table = table
        self.arrays = {**net.arrays, **_arrays(net, self.n_sides, mode == state.COLLECT)}
        for entry, array in self.arrays.items():
            fill_entry(table, entry, array)
        self.reg = self.arrays[state.REG]
        self.outputs: list[ProgramOutput] = []

    def release(self) -> None:
        """End this walker's life; its arrays are small and go with it."""

    def start(self, task: Task = WHOLE, cell_limit: int = NO_LIMIT, frontier: int = 0) -> None:
        """Take the whole domain in hand."""
        net, arrays, reg = self.net, self.arrays, self.reg
        a, b = self.domain.halfspaces
        m = self.n_sides
        reg[:] = 0
        self.outputs = []
        freg = arrays[state.FREG]
        freg[state.GAMMA_POINT] = rounding(net.dimension + 2)
        freg[state.UNDERFLOW] = net.underflow
        relus = arrays[state.RELUS][: net.n_layers]
        reg[state.LAYERS] = int(np.flatnonzero(relus).max(initial=-1)) + 1
        reg[state.MODE] = self.mode
        reg[state.CELL_LIMIT] = cell_limit
        reg[state.PREFIX_LENGTH] = task.depth
        reg[state.FRONTIER] = frontier
        reg[state.ROWS_NOW] = m
        arrays[state.GUIDE][0] = task.path
        arrays[state.PREFIX][0] = 0
        arrays[state.SIDES][:] = state.UNKNOWN
        arrays[state.STATES][:] = 0
        arrays[state.SLOTS][0, : net.dimension + 2, : net.width[0]] = net.first[: net.dimension + 2]
        exponents = np.frexp(np.abs(a).max(axis=1))[1]
        arrays[state.PROGRAM_COLUMNS][:, :m] = np.ldexp(a, -exponents[:, None]).T
        arrays[state.PROGRAM_RIGHT][:m] = np.ldexp(b, -exponents)
        arrays[state.PROGRAM_ERRORS][:m] = 0.0
        arrays[state.PROGRAM_LABELS][:m] = -1 - np.arange(m)
        set_witness(self.table, self.domain.interior_point())

    def step(self, steps: int = STEPS_PER_CALL) -> int:
        """Walk on; answers questions as needed; returns DONE, PAUSED, FLUSH or LIMIT."""
        while True:
            status = int(walk_by_programs(self.table, steps))
            if status != state.ASK:
                return status
            if self.reg[state.ASK_SIDE] == state.THIN_SUBTREE:
                self._count_thin_subtree()
                if self.reg[state.CELLS] >= self.reg[state.CELL_LIMIT]:
                    return state.LIMIT
            else:
                self._answer()

    def asked(self) -> ProgramOracle:
        """The oracle of this walk, made when it is first asked."""
        if self.oracle is None:
            self.oracle = ProgramOracle(self.net.network, self.domain)
        return self.oracle

    def _rows(self) -> list[tuple[int, bool]]:
        """The unit rows of the polytope in hand: flat unit, and whether it is positive there."""
        last = int(self.reg[state.ROWS_NOW])
        labels = self.arrays[state.PROGRAM_LABELS][self.n_sides : last].tolist()
        sides = self.arrays[state.PROGRAM_SIDES][self.n_sides : last].tolist()
        return [(label, side == 1) for label, side in zip(labels, sides, strict=True)]

    def _unit(self) -> int:
        starts = self.arrays[state.UNIT_STARTS]
        return int(starts[self.reg[state.LAYER_NOW]] + self.reg[state.UNIT_NOW])

    def _pattern(self) -> bytes:
        return self.arrays[state.STATES].astype(np.bool_).tobytes()

    def _answer(self) -> None:
        """Decide one side of the unit in hand exactly."""
        arrays, side = self.arrays, int(self.reg[state.ASK_SIDE])
        active = arrays[state.ACTIVE_ROWS]
        hint = [int(arrays[state.PROGRAM_LABELS][row]) for row in active if row >= 0]
        answer, point = self.asked().decide(
            self._pattern(), self._rows(), (self._unit(), side == 1), arrays[state.WITNESS], hint
        )
        match answer:
            case Side.EMPTY:
                arrays[state.SIDES][side] = state.EMPTY
            case Side.INSIDE:
                arrays[state.SIDES][side] = state.INSIDE
                arrays[state.SIDE_POINTS][side] = point
            case Side.THIN:
                arrays[state.SIDES][side] = state.THIN
            case _:
                raise SolverError(f"the oracle answered {answer!r}")
        self.reg[state.DECISIONS] += 1
        self.reg[state.DOUBTFUL] += 1
        self.reg[state.ASK_SIDE] = 0

    def _count_thin_subtree(self) -> None:
        """All cells below a side that no float is inside of, in rational arithmetic."""
        reg = self.reg
        room = int(reg[state.CELL_LIMIT] - reg[state.CELLS])
        patterns, decisions = self.asked().cells_below(self._pattern(), self._rows(), self._unit(), room)
        reg[state.CELLS] += len(patterns)
        reg[state.DECISIONS] += decisions
        reg[state.DOUBTFUL] += decisions
        depth = int(reg[state.DEPTH_NOW] - reg[state.PREFIX_LENGTH])
        reg[state.DONE_PARTS] += 1 << (40 - min(40, max(0, depth)))
        if self.mode == state.COLLECT and patterns:
            self.outputs.append(self.take_output())
            states = np.array([np.frombuffer(pattern, np.bool_) for pattern in patterns])
            self.outputs.append(ProgramOutput(states, np.full((len(patterns), self.net.dimension), np.nan)))
        reg[state.ASK_SIDE] = 0
        reg[state.LEAVING] = 1

    def take_output(self) -> ProgramOutput:
        """Copy what is in the output buffer, and empty it."""
        n = int(self.reg[state.OUT_CELLS])
        self.reg[state.OUT_CELLS] = 0
        states = self.arrays[state.OUT_STATES][:n].astype(np.bool_)
        return ProgramOutput(states, self.arrays[state.OUT_WITNESS][:n].copy())

    def run(
        self, task: Task, cell_limit: int, stop: threading.Event, report: Callable[[int, float], None]
    ) -> Block:
        """Walk a whole task, until it is done, the limit is reached or `stop` is set."""
        self.start(task, cell_limit)
        share = 2.0 ** -(40 + task.depth)
        while True:
            status = self.step()
            if status == state.FLUSH:
                self.outputs.append(self.take_output())
            report(int(self.reg[state.CELLS]), float(self.reg[state.DONE_PARTS]) * share)
            if status in (state.DONE, state.LIMIT) or stop.is_set():
                return self.close(Block(), status)

    def close(self, block: Block, status: int) -> Block:
        """Complete the block of a walk that ended with `status`."""
        if self.mode == state.COLLECT:
            block.outputs = [*self.outputs, self.take_output()]
        reg = self.reg
        block.cells = int(reg[state.CELLS])
        block.decisions = int(reg[state.DECISIONS])
        block.doubtful = int(reg[state.DOUBTFUL])
        block.programs = int(reg[state.PROGRAMS])
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
                tasks += [Task(int(path), int(k)) for path, k in self.arrays[state.OUT_PATH][:n].tolist()]
                self.reg[state.OUT_CELLS] = 0
            if status == state.DONE:
                return tasks
