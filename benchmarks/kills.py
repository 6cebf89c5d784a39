"""Runs that are killed, shared, repeated and shuffled at random, against counts and listings of one call.

    python benchmarks/kills.py [--rounds 200] [--seed 0] [--csv kills.csv]

Each round draws a network, an engine and a mode. Of three in four a run is made; processes with one to three
threads work on it, with budgets from one step up and leases so short that live workers are taken for dead,
and are killed by SIGKILL at random moments; then others finish it. In the fourth no file keeps the order:
tasks with budgets from one step up are searched in random order, some of them twice, and their results are
entered in another order, some of them twice. A count must be that of one call, with its certificate and exact
volume; a listing must have the cells of one call in their order, and the same bytes in its files.

killed : processes that were killed before they had ended by themselves
twice : tasks that were searched again, or results that came again
"""

from __future__ import annotations

import argparse
import csv
import multiprocessing
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from regions import Box, Network, Run, count_cells, enumerate_cells
from regions.enumeration.ledger import Ledger
from regions.enumeration.planning import plan_search
from regions.enumeration.search import Budget, Task, TaskResult
from regions.enumeration.spool import Spool
from regions.kernels.memory.states import Mode

TREES = [
    ("planar", (2, 16, 12, 1)),
    ("planar", (2, 24, 8, 1)),
    ("cells", (3, 12, 8, 2)),
    ("cells", (4, 9, 7, 1)),
    ("lp", (4, 9, 6, 1)),
    ("lp", (2, 14, 9, 1)),
]
FILES = ("cells.parquet", "facets.parquet")


class Round(NamedTuple):
    """One problem: which engine searches, what for, and what one call finds."""

    network: Network
    box: Box
    engine: str
    mode: str
    expected: Any


class Outcome(NamedTuple):
    """What happened in a round, and whether all is as it should be."""

    cells: int
    tasks: int
    killed: int
    twice: int
    right: bool


def draw(rng: np.random.Generator, folder: Path) -> Round:
    """Draw a problem, and solve it by one call."""
    engine, shape = TREES[int(rng.integers(len(TREES)))]
    weights = [rng.normal(size=(b, a)) / np.sqrt(a) for a, b in pairwise(shape)]
    network = Network.from_arrays(weights, [0.4 * rng.normal(size=len(rows)) for rows in weights])
    box = Box([-1.0] * shape[0], [1.0] * shape[0])
    mode = "list" if engine != "lp" and rng.random() < 0.5 else "count"
    if mode == "count":
        return Round(network, box, engine, mode, count_cells(network, box, engine=engine, workers=1))
    listed = enumerate_cells(network, box, engine=engine, workers=1, output=folder / "expected")
    return Round(network, box, engine, mode, listed)


def work(folder: str, workers: int, steps: int, lease: float) -> None:
    """Do what a process does."""
    Run.open(folder).work(workers=workers, budget=Budget(steps=steps), lease=lease)


def by_run(one: Round, folder: Path, rng: np.random.Generator) -> Outcome:
    """Have processes work on a run, and kill them."""
    run = Run.create(folder / "run", one.network, one.box, engine=one.engine, mode=one.mode)  # type: ignore[arg-type]
    context, killed = multiprocessing.get_context("fork"), 0
    for _ in range(int(rng.integers(1, 4))):
        crew = [
            context.Process(
                target=work,
                args=(str(run.folder), int(rng.integers(1, 4)), int(rng.integers(1, 40)), 0.1),
            )
            for _ in range(int(rng.integers(1, 4)))
        ]
        for process in crew:
            process.start()
        for process in crew:
            process.join(float(rng.choice([0.05, 0.2, 0.6])) * rng.random())
            killed += process.is_alive()
            process.kill()
            process.join()
    again = Run.open(run.folder)
    again.work(workers=int(rng.integers(1, 4)), budget=Budget(steps=int(rng.integers(1, 60))), lease=0.01)
    with closing(sqlite3.connect(run.folder / "run.sqlite")) as base:
        (tasks,) = base.execute("SELECT count(*) FROM tasks").fetchone()
        (named,) = base.execute("SELECT count(*) FROM parts").fetchone()
    left = len(list((run.folder / "parts").glob("*.cells.parquet"))) - named if one.mode == "list" else 0
    if one.mode == "count":
        found = again.result()
        return Outcome(found.cells, tasks, killed, left, is_same_count(found, one.expected))
    merged = again.merge(folder / "merged")
    return Outcome(merged.n_cells, tasks, killed, left, is_same_listing(merged, one.expected))


def by_ledger(one: Round, folder: Path, rng: np.random.Generator) -> Outcome:
    """Search tasks in random order, some of them twice, and enter what they found in another."""
    from regions.enumeration.enumerate import count_of
    from regions.enumeration.stored_listing import new_folder, write_listing

    listing = one.mode == "list"
    plan = plan_search(one.network, one.box, one.engine, "certified", 1, volumes=listing)
    sums = not listing and one.expected.volume_sum is not None
    mode = Mode.COLLECT if listing else Mode.MEASURE if sums else Mode.COUNT
    with new_folder(folder / "joined") as place:
        if listing:
            plan = plan.spooled(Spool(place / "work", plan.net))
        ledger, twice = Ledger(), 0
        for result in shuffled(plan.make(mode), rng):
            twice += not ledger.enter(result)
        outcome = ledger.outcome(plan.make, mode)
        tasks = len(ledger.known)
        if listing:
            joined = write_listing(plan, one.box, outcome, place, 0.0)
            return Outcome(joined.n_cells, tasks, 0, twice, is_same_listing(joined, one.expected))
    found = count_of(plan, one.box, outcome, sums, 0.0)
    return Outcome(found.cells, tasks, 0, twice, is_same_count(found, one.expected))


def shuffled(search: Any, rng: np.random.Generator) -> Iterator[TaskResult]:
    """Yield the results of all tasks of a tree, out of order, and some of them again.

    A result comes after the one that gave its task back, as who gives tasks out knows them from there.
    """
    todo, held, entered = [Task()], list[TaskResult](), set[bytes]()
    while todo or held:
        if todo and (not held or rng.random() < 0.6):
            task = todo.pop(int(rng.integers(len(todo))))
            for _ in range(1 + int(rng.random() < 0.2)):
                held.append(search.run(task, Budget(steps=int(rng.integers(1, 40)))))
            continue
        result = held.pop(int(rng.integers(len(held))))
        yield result
        if rng.random() < 0.2:
            yield result
        if result.path not in entered:  # what a task gives back when it is searched again is not wanted
            entered.add(result.path)
            todo += result.remainder
    search.release()


def is_same_count(found: Any, expected: Any) -> bool:
    """Tell whether two counts are the same, but for the time they took."""
    names = ("cells", "status", "engine", "arithmetic", "certificate", "volume_sum")
    return all(getattr(found, name) == getattr(expected, name) for name in names)


def is_same_listing(found: Any, expected: Any) -> bool:
    """Tell whether two folders have the same bytes."""
    same = all((found.folder / name).read_bytes() == (expected.folder / name).read_bytes() for name in FILES)
    return same and found.certificate == expected.certificate


def main() -> int:
    """Do what the words say."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--csv", type=Path, default=Path("kills.csv"))
    options = parser.parse_args()
    begin, rows = time.perf_counter(), []
    with options.csv.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["round", "how", "engine", "mode", *Outcome._fields])
        for k in range(options.rounds):
            rng = np.random.default_rng((options.seed, k))
            folder = Path(tempfile.mkdtemp(prefix="kills"))
            try:
                one = draw(rng, folder)
                how = by_ledger if k % 4 == 3 else by_run
                found = how(one, folder, rng)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
            rows.append(found)
            table.writerow([k, how.__name__, one.engine, one.mode, *found])
            file.flush()
            if not found.right:
                print(f"round {k} is WRONG", flush=True)
    wrong = sum(not row.right for row in rows)
    print(
        f"{len(rows)} rounds, {sum(row.cells for row in rows):,} cells in {sum(row.tasks for row in rows):,} "
        f"tasks, {sum(row.killed for row in rows)} processes killed, {sum(row.twice for row in rows):,} "
        f"results that came again or to nobody; {wrong} rounds wrong; {time.perf_counter() - begin:.0f} s"
    )
    return int(wrong > 0)


if __name__ == "__main__":
    raise SystemExit(main())
