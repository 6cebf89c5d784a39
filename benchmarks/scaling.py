"""How counting and listing speed up with threads: measured on the cores there are, simulated beyond.

    python benchmarks/scaling.py prepare FOLDER
    python benchmarks/scaling.py measure FOLDER --csv threads.csv [--workers 1,2,4,8,16] [--seconds 200]
    python benchmarks/scaling.py compare FOLDER --csv executors.csv [--workers 2] [--rounds 5]
    python benchmarks/scaling.py simulate FOLDER --csv simulated.csv [--workers 1,16,64,256,1024]

`prepare` copies the networks that the others need from `REGIONS_REFERENCE_DATA` or `../shared/data` to a
small folder, as .npz files, with `cases.json`. `measure` compiles all kernels first, in parallel, then times
whole calls; it begins no more when its seconds are over. Its columns:

seconds, speedup : the best wall time, and that of one worker over it
cpu : CPU seconds of the process
tasks : subtrees that were given away, and one
locked : CPU milliseconds of the workers' threads outside of compiled code, most of it with Python's lock
serial : milliseconds of the call before and after its workers, joining facets included

`compare` times one thread, and workers of each kind: threads, processes, Dask's on this machine.
All take turns, and the least wall time of the rounds counts; pools and kernels are there before.

`simulate` records a tree as tasks of a millisecond, with their own times, and plays the sharing of `threads`:
a worker that has run dry gets the oldest subtree of the one whose oldest is nearest the root, `--delay`
later; `--lock` milliseconds of each handing over go one after the other. What one thread does alone, before
and after, is not in it.
"""

from __future__ import annotations

import argparse
import csv
import heapq
import json
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from regions import Box, Network, count_cells, enumerate_cells
from regions.enumeration import threads
from regions.enumeration.compile_ahead import warm_up
from regions.enumeration.cores import usable_cores
from regions.enumeration.ledger import Ledger
from regions.enumeration.planning import plan_search
from regions.enumeration.search import WHOLE, Budget, Search, Task
from regions.kernels.memory.states import Mode
from regions.kernels.memory.step_files import NativeStep

DATA = Path(os.environ.get("REGIONS_REFERENCE_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
NAMES = ("d2_w256x4", "d4_w32x2", "d5_w16x3", "d8_w16x2", "d3_w32x3")
CASES = [
    ("count", "d5_w16x3", "auto"),
    ("count", "d2_w256x4", "auto"),
    ("count", "d4_w32x2", "auto"),
    ("count", "d4_seeded", "auto"),
    ("count", "acasxu_wide", "auto"),
    ("count", "acasxu", "auto"),
    ("count", "d8_w16x2", "lp"),
    ("list", "d5_w16x3", "auto"),
    ("list", "d4_w32x2", "auto"),
    ("list", "d3_w32x3", "auto"),
    ("list", "d2_w256x4", "auto"),
]


def prepare(folder: Path) -> None:
    """Write the networks and boxes of all cases to a folder."""
    from regions import from_onnx

    folder.mkdir(parents=True, exist_ok=True)
    counts = json.loads((DATA / "counts.json").read_text())
    cases: dict[str, Any] = {}
    for name in NAMES:
        network = Network.load(DATA / "nets" / f"{name}.npz")
        network.save(folder / f"{name}.npz")
        side = 0.5 if name == "d8_w16x2" else 1.0
        cases[name] = [[-side] * network.input_dim, [side] * network.input_dim]
    rng = np.random.default_rng(0)
    widths = (4, 72, 64, 2)
    weights = [rng.normal(size=(n, m)) / np.sqrt(m) for m, n in pairwise(widths)]
    seeded = Network.from_arrays(weights, [0.4 * rng.normal(size=n) for n in widths[1:]])
    seeded.save(folder / "d4_seeded.npz")
    cases["d4_seeded"] = [[-1.0] * 4, [1.0] * 4]
    entry = max(counts["acasxu"], key=lambda entry: entry["cells"])
    from_onnx(DATA / entry["network"]).save(folder / "acasxu.npz")
    cases["acasxu"] = [entry["low"], entry["high"]]
    middle = (np.array(entry["low"]) + entry["high"]) / 2
    reach = (np.array(entry["high"]) - entry["low"]) * 0.85
    cases["acasxu_wide"] = [(middle - reach).tolist(), (middle + reach).tolist()]
    (folder / "cases.json").write_text(json.dumps(cases))


def problem(folder: Path, name: str) -> tuple[Network, Box]:
    """Read a network and its box."""
    low, high = json.loads((folder / "cases.json").read_text())[name]
    return Network.load(folder / f"{name.removesuffix('_wide')}.npz"), Box(low, high)


class Clock:
    """What the workers of a call did: CPU seconds outside of compiled code, tasks, wall time."""

    def __init__(self) -> None:
        self.compiled = threading.local()
        self.outside, self.tasks, self.wall = 0.0, 1, 0.0
        call, run, work, outcome = NativeStep.__call__, threads._Crew._run, threads._Crew.work, Ledger.outcome

        def timed_call(step: NativeStep, *arguments: float) -> int:
            begin = time.thread_time()
            status = call(step, *arguments)
            self.compiled.seconds = getattr(self.compiled, "seconds", 0.0) + time.thread_time() - begin
            return status

        def timed_run(crew: Any, worker: Any) -> None:
            self.compiled.seconds = 0.0
            begin = time.thread_time()
            run(crew, worker)
            self.outside += time.thread_time() - begin - self.compiled.seconds

        def timed_work(crew: Any, *arguments: Any) -> None:
            begin = time.perf_counter()
            work(crew, *arguments)
            self.wall += time.perf_counter() - begin

        def counted(ledger: Ledger, *arguments: Any) -> Any:
            self.tasks = len(ledger.known)
            return outcome(ledger, *arguments)

        NativeStep.__call__ = timed_call  # type: ignore[method-assign]
        threads._Crew._run = timed_run  # type: ignore[method-assign]
        threads._Crew.work = timed_work  # type: ignore[method-assign]
        Ledger.outcome = counted  # type: ignore[method-assign]

    def clear(self) -> None:
        """Begin anew."""
        self.outside, self.tasks, self.wall = 0.0, 1, 0.0


def measure(folder: Path, path: Path, workers: list[int], seconds: float, arithmetic: Any, only: str) -> None:
    """Time all cases with so many workers each, the best of up to three calls."""
    end = time.perf_counter() + seconds
    warm_up()
    print(f"# compiled; {seconds - end + time.perf_counter():.0f} s, {usable_cores()} cores", flush=True)
    clock = Clock()
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        head = "call,network,engine,workers,cells,seconds,speedup,efficiency,cpu,tasks,locked_ms,serial_ms"
        table.writerow(head.split(","))
        for call, name, engine in CASES:
            if only and only not in f"{call} {name} {engine}":
                continue
            try:
                for row in timings(folder, (call, name, engine), workers, end, arithmetic, clock):
                    table.writerow(row)
                    file.flush()
                    print(*row, sep="\t", flush=True)
            except ImportError as error:
                print(f"# {call} {name} {engine} left out: {error}", flush=True)


def timings(
    folder: Path, case: tuple[str, str, str], workers: list[int], end: float, arithmetic: Any, clock: Clock
) -> Iterator[list[Any]]:
    """Yield a row for each number of workers, until the time is over."""
    call, name, engine = case
    network, box = problem(folder, name)
    function: Any = count_cells if call == "count" else enumerate_cells
    options: dict[str, Any] = {"engine": engine, "arithmetic": arithmetic}
    if engine == "lp" and call == "list":
        options["volumes"] = False
    function(network, box, workers=2, max_cells=3_000, **options)  # compiles
    alone = 0.0
    for count in workers:
        best, repeats = [np.inf], 0
        while repeats < 3 and (repeats == 0 or best[0] < 2.0) and time.perf_counter() < end:
            clock.clear()
            cpu, begin = time.process_time(), time.perf_counter()
            found = function(network, box, workers=count, **options)
            wall, cpu = time.perf_counter() - begin, time.process_time() - cpu
            cells = int(found.cells if call == "count" else found.n_cells)
            serial = 1e3 * (wall - clock.wall)
            best = min(best, [wall, cpu, cells, clock.tasks, 1e3 * clock.outside, serial], key=lambda b: b[0])
            repeats += 1
            del found
        if repeats == 0:
            return
        wall, cpu, cells, tasks, locked, serial = best
        alone = wall if count == workers[0] else alone
        speedup = alone / wall * workers[0]
        numbers = [round(wall, 4), round(speedup, 2), round(speedup / count, 3), round(cpu, 3), tasks]
        yield [*case, count, cells, *numbers, round(locked, 1), round(serial, 1)]


def compare(folder: Path, path: Path, workers: int, rounds: int, only: str) -> None:
    """Time all cases that executors take with one thread and with each kind of workers, in turn."""
    warm_up()
    with ExitStack() as pools, path.open("w", newline="") as file:
        kinds: dict[str, dict[str, Any]] = {"one thread": {"workers": 1}, "threads": {"workers": workers}}
        kinds["processes"] = {"executor": pools.enter_context(ProcessPoolExecutor(workers))}
        if find_spec("distributed") is not None:
            from distributed import Client, LocalCluster

            local = LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None)
            client = pools.enter_context(Client(pools.enter_context(local)))
            kinds["dask"] = {"executor": client.get_executor()}
        table = csv.writer(file)
        table.writerow(["call", "network", "engine", "cells", "kind", "workers", "seconds", "speedup"])
        for call, name, engine in CASES:
            if (call == "list" and engine == "lp") or (only and only not in f"{call} {name} {engine}"):
                continue
            network, box = problem(folder, name)
            function: Any = count_cells if call == "count" else enumerate_cells
            best, cells = dict.fromkeys(kinds, np.inf), set()
            for attempt in range(rounds + 1):  # the first one compiles, and sends the network to the workers
                for kind, options in kinds.items():
                    begin = time.perf_counter()
                    found = function(network, box, engine=engine, **options)
                    spent = time.perf_counter() - begin
                    best[kind] = min(best[kind], spent if attempt else np.inf)
                    cells.add(int(found.n_cells))
                    del found
            if len(cells) != 1:
                raise SystemExit(f"{call} {name}: not all found the same number of cells: {sorted(cells)}")
            for kind, seconds in best.items():
                count = 1 if kind == "one thread" else workers
                row = [call, name, engine, *cells, kind, count, round(seconds, 4)]
                table.writerow([*row, round(best["one thread"] / seconds, 2)])
                print(*row, round(best["one thread"] / seconds, 2), sep="\t", flush=True)
            file.flush()


@dataclass
class Node:
    """A recorded task: its own CPU seconds, and the subtrees that it gave back, in the search's order."""

    seconds: float = 0.0
    depth: int = 0
    parts: list[Node] = field(default_factory=list)


def record(search: Search, grain: float) -> tuple[Node, float]:
    """Search a tree by tasks of so many seconds; returns it with their times, and the cost of a start."""
    root, starts = Node(), []
    todo: list[tuple[Node, Task]] = [(root, WHOLE)]
    while todo:
        node, task = todo.pop()
        begin = time.thread_time()
        search.start(task)
        search.step(1)
        starts.append(time.thread_time() - begin)
        begin = time.thread_time()
        result = search.run(task, Budget(seconds=grain))
        node.seconds = max(0.0, time.thread_time() - begin - starts[-1])
        node.depth = len(task.path)
        node.parts = [Node() for _ in result.remainder]
        todo.extend(zip(node.parts, result.remainder, strict=True))
    return root, float(np.mean(starts))


def makespan(root: Node, workers: int, delay: float, lock: float) -> tuple[float, int]:
    """Return the seconds that so many workers take for a recorded tree, and how many subtrees change hands.

    A worker does its tasks depth first; between two of them it gives its oldest to whoever waits.
    """
    stacks: list[list[Node]] = [[] for _ in range(workers)]
    stacks[0] = [root]
    idle = list(range(workers - 1, 0, -1))
    free_lock, stolen, end = 0.0, 0, 0.0
    events = [(0.0, 0)]
    while events:
        now, worker = heapq.heappop(events)
        stack = stacks[worker]
        end = max(end, now)
        while idle:
            able = [k for k in range(workers) if len(stacks[k]) > 1]
            if not able:
                break
            giver = min(able, key=lambda k: stacks[k][0].depth)
            taker = idle.pop()
            free_lock = max(free_lock, now) + lock
            stacks[taker].append(stacks[giver].pop(0))
            stolen += 1
            heapq.heappush(events, (free_lock + delay, taker))
        if stack:
            node = stack.pop()
            stack.extend(reversed(node.parts))
            heapq.heappush(events, (now + node.seconds, worker))
        else:
            idle.append(worker)
    return end, stolen


def simulate(
    folder: Path, path: Path, workers: list[int], grain: float, delay: float, lock: float, only: str
) -> None:
    """Record the trees of the cases that count, and print how long so many workers would take."""
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        head = "network,engine,workers,recorded,longest,seconds,speedup,efficiency,stolen"
        table.writerow(head.split(","))
        for call, name, engine in CASES:
            if call != "count" or (only and only not in f"{call} {name} {engine}"):
                continue
            network, box = problem(folder, name)
            plan = plan_search(network, box, engine, "certified", 1, volumes=False)
            search = plan.make(Mode.COUNT)
            search.run(WHOLE, Budget(seconds=0.2))
            root, start = record(search, grain)
            nodes = list(walk(root))
            work = sum(node.seconds for node in nodes)
            longest = max(node.seconds for node in nodes)
            for count in workers:
                spent, stolen = makespan(root, count, delay + start, lock)
                speedup = work / spent
                row = [name, engine, count, len(nodes), round(longest, 5), round(spent, 4), round(speedup, 2)]
                table.writerow([*row, round(speedup / count, 3), stolen])
                print(*row, round(speedup / count, 3), stolen, sep="\t", flush=True)
                file.flush()


def walk(root: Node) -> Iterator[Node]:
    """Yield all nodes."""
    todo = [root]
    while todo:
        node = todo.pop()
        yield node
        todo.extend(node.parts)


def main() -> None:
    """Do what the words say."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["prepare", "measure", "compare", "simulate"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--csv", type=Path, default=Path("scaling.csv"))
    parser.add_argument("--workers", default="")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=200.0)
    parser.add_argument("--arithmetic", default="certified", choices=["certified", "float"])
    parser.add_argument("--only", default="", help="cases whose name has this in it")
    parser.add_argument("--grain", type=float, default=1.0, help="milliseconds of a recorded task")
    parser.add_argument("--delay", type=float, default=0.2, help="milliseconds until a subtree has arrived")
    parser.add_argument("--lock", type=float, default=0.1, help="milliseconds under the lock for each")
    words = parser.parse_args()
    if words.what == "prepare":
        prepare(words.folder)
    elif words.what == "measure":
        workers = [int(k) for k in (words.workers or "1,2,4,8,16").split(",")]
        measure(words.folder, words.csv, workers, words.seconds, words.arithmetic, words.only)
    elif words.what == "compare":
        compare(words.folder, words.csv, int(words.workers or usable_cores()), words.rounds, words.only)
    else:
        workers = [int(k) for k in (words.workers or "1,16,64,256,1024").split(",")]
        milli = 1e-3
        times = words.grain * milli, words.delay * milli, words.lock * milli
        simulate(words.folder, words.csv, workers, *times, words.only)


if __name__ == "__main__":
    main()
