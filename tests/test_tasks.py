"""Laws of tasks: however a tree is cut up, and in whatever order its parts come, the outcome is the same."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from max_networks import random_max_case
from naive import naive_complex
from networks import box_of, network_of, network_on_box
from strategies import Case, examples, float_networks, nearly_parallel_networks, rational_networks

from regions import Box, Network, count_cells
from regions.enumeration.ledger import Ledger, Outcome
from regions.enumeration.planning import Plan, plan_search
from regions.enumeration.search import (
    EVERYTHING,
    NEVER,
    VOLUME_UNIT,
    WHOLE,
    Budget,
    Search,
    Task,
    TaskResult,
    run_task,
)
from regions.errors import InvalidInputError
from regions.kernels.memory.states import Mode, Request, Status
from regions.kernels.vertices.depth_first import PATIENCE

pytestmark = pytest.mark.kernels


def plan_of(network: Network, box: Box, engine: str) -> Plan:
    return plan_search(network, box, engine, "certified", 1, volumes=engine != "lp")


def engines(dimension: int) -> list[str]:
    return ["planar", "cells", "lp"] if dimension == 2 else ["cells", "lp"]


def random_budget(rng: np.random.Generator) -> Budget:
    return [
        Budget(steps=int(rng.integers(1, 12))),
        Budget(cells=int(rng.integers(1, 9))),
        Budget(depth=int(rng.integers(1, 7))),
        Budget(seconds=1e-9),
        EVERYTHING,
    ][rng.choice(5, p=[0.35, 0.25, 0.2, 0.15, 0.05])]


def in_pieces(plan: Plan, mode: Mode, rng: np.random.Generator) -> Outcome:
    """Search a tree as unreliable workers would: any order, any budgets, results lost and sent again."""
    searches = [plan.make(mode) for _ in range(2)]
    ledger, late = Ledger(), list[TaskResult]()
    while not ledger.is_complete:
        todo = [path for path in ledger.known if path not in ledger.results]
        search = searches[rng.integers(2)]
        result = search.run(Task(todo[rng.integers(len(todo))]), random_budget(rng))
        assert result.complete
        if rng.random() < 0.2:
            late.append(result)  # lost, or so it seems
            continue
        assert ledger.enter(result)
        if late and rng.random() < 0.5:
            ledger.enter(late[rng.integers(len(late))])
        assert not ledger.enter(result)
    for result in late:
        assert not ledger.enter(result)
    for search in searches:
        search.release()
    return ledger.outcome(plan.make, mode)


def content(outcome: Outcome) -> tuple[Any, ...]:
    """All that a result is made of: counts, the exact volume, the bytes of all arrays."""
    results = outcome.results
    parts = [part for result in results for part in result.parts]
    names = parts[0]._fields if parts else ()
    return (
        outcome.cells,
        outcome.complete,
        sum(result.volume for result in results),
        [sum(column) for column in zip(*(result.certificate for result in results), strict=True)],
        {name: b"".join(getattr(part, name).tobytes() for part in parts) for name in names},
    )


def assert_pieces_make_the_whole(network: Network, box: Box, seed: int, exact: int | None = None) -> None:
    rng = np.random.default_rng(seed)
    for engine in engines(box.dimension):
        plan = plan_of(network, box, engine)
        for mode in (Mode.COUNT, Mode.COLLECT) if engine == "lp" else Mode:
            search = plan.make(mode)
            whole = content(Outcome([search.run()], True))
            search.release()
            assert content(in_pieces(plan, mode, rng)) == whole, (engine, mode)
            assert exact is None or whole[0] == exact


@given(rational_networks() | float_networks() | nearly_parallel_networks(), st.integers(0, 2**32 - 1))
@examples(60, 4)
def test_pieces_make_the_whole_to_the_last_byte(case: Case, seed: int) -> None:
    network, box = network_of(case), box_of(case)
    truth = naive_complex(case.weights, case.biases, case.relu, box.halfspaces, box.origin, box.basis)
    assert_pieces_make_the_whole(network, box, seed, len(truth.cells))


@pytest.mark.sweep(4)
@pytest.mark.parametrize("seed", range(40))
def test_pieces_of_trees_with_max_units_make_the_whole(seed: int) -> None:
    case = random_max_case(seed)
    assert_pieces_make_the_whole(case.network(), case.box(), seed, len(case.naive().cells))


@pytest.mark.parametrize("seed", [0, *(pytest.param(k, marks=pytest.mark.slow) for k in range(1, 6))])
@pytest.mark.parametrize(("dimension", "widths"), [(1, (20, 20)), (2, (12, 12)), (3, (8, 6)), (5, (6, 3))])
def test_pieces_of_larger_trees_make_the_whole(dimension: int, widths: tuple[int, ...], seed: int) -> None:
    assert_pieces_make_the_whole(*network_on_box(dimension, widths, seed), seed)


def chain_of(cells: int) -> tuple[Network, Box]:
    """A segment cut by one unit after the other, all in one layer: a tree without bushes."""
    units = cells - 1
    offsets = -(np.arange(units) + 0.5) / units
    return Network.from_arrays([np.ones((units, 1)), np.ones((1, units))], [offsets, [0.0]]), Box(
        [0.0], [1.0]
    )


@pytest.mark.parametrize("engine", ["cells", "lp"])
@pytest.mark.parametrize("depth", [1, 63, 64, 65, 100, 149])
def test_paths_may_be_long(engine: str, depth: int) -> None:
    network, box = chain_of(251)  # counted at once where 64 units or less are left
    search = plan_of(network, box, engine).make(Mode.COUNT)
    ledger = Ledger()
    while not ledger.is_complete:
        todo = [path for path in ledger.known if path not in ledger.results]
        ledger.enter(search.run(Task(todo[0]), Budget(depth=depth)))
    assert max(map(len, ledger.known)) >= depth
    outcome = ledger.outcome(plan_of(network, box, engine).make, Mode.COUNT)
    assert outcome.cells == 251 and outcome.complete
    assert [result.path for result in outcome.results] == sorted(ledger.results)


@pytest.mark.parametrize("engine", ["planar", "cells", "lp"])
def test_what_is_given_away_comes_after_what_is_kept(engine: str) -> None:
    """The oldest subtrees are given away on request, from another thread or not, until none waits."""
    network, box = network_on_box(2, (60, 60))
    plan = plan_of(network, box, engine)
    expected = count_cells(network, box, engine=engine, workers=1).cells
    search = plan.make(Mode.COUNT)
    search.start()
    given: list[bytes] = []
    while True:
        search.request(Request.GIVE)
        status = search.step(PATIENCE + 40)
        if status == Status.DONE:
            break
        if status == Status.GIVE:
            before = search.waiting()
            task = search.give()
            assert len(task.path) == before[1] and search.waiting()[0] == before[0] - 1
            given.append(task.path)
    assert len(given) > 1 and given == sorted(given, reverse=True)
    kept = search.close(status)
    search.request(Request.NONE)
    assert kept.cells + sum(search.run(Task(path)).cells for path in given) == expected


@pytest.mark.small
def test_volumes_are_summed_exactly() -> None:
    network, box = network_on_box(3, (9, 7))
    plan = plan_of(network, box, "cells")
    listed, measured = plan.make(Mode.COLLECT).run(), plan.make(Mode.MEASURE).run()
    volumes = [x for part in listed.parts for x in part.volume.tolist()]
    exact = sum(map(Fraction, volumes))
    assert Fraction(listed.volume, 2**VOLUME_UNIT) == exact
    assert measured.volume / 2**VOLUME_UNIT == pytest.approx(float(exact), rel=1e-12)
    assert Outcome([listed], True).volume == math.fsum(volumes) == float(exact)


@pytest.mark.small
@pytest.mark.parametrize("engine", ["cells", "lp"])
def test_paths_of_other_trees_are_refused(engine: str) -> None:
    network, box = network_on_box(3, (3, 2))
    search = plan_of(network, box, engine).make(Mode.COUNT)
    with pytest.raises(InvalidInputError, match="5 units"):
        search.start(Task(bytes(6)))
    with pytest.raises(InvalidInputError, match="leads to no subtree"):
        run_task(search, Task(bytes(5)), EVERYTHING, NEVER)
    assert search.run().cells == count_cells(network, box).cells


@pytest.mark.small
@pytest.mark.parametrize("options", [{"cells": 0}, {"steps": 0}, {"seconds": 0.0}, {"depth": -1}])
def test_a_budget_lets_a_task_come_on(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError, match="Budget"):
        Budget(**options)


@pytest.mark.small
def test_a_stop_gives_back_what_is_left() -> None:
    class Now:
        def is_set(self) -> bool:
            return True

    network, box = network_on_box(3, (12, 10))
    search: Search = plan_of(network, box, "cells").make(Mode.COUNT)
    first = search.run(WHOLE, EVERYTHING, Now())
    rest = [search.run(task) for task in first.remainder]
    assert first.complete and rest
    assert first.cells + sum(result.cells for result in rest) == search.run().cells
