"""Compiling the kernels before they are needed, several at once: for images, clusters and CI.

Each step of a search is compiled on its own, so processes share the work by steps; what Python calls
is compiled by small problems, run once for each engine.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from itertools import product
from typing import Any, get_args

import numpy as np

from regions.domain import Box
from regions.enumeration.cores import worker_count
from regions.enumeration.cost_model import Engine
from regions.enumeration.enumerate import count_cells, enumerate_cells
from regions.errors import InvalidInputError, check_choice
from regions.kernels.memory.compiling import cache_problems
from regions.kernels.memory.layouts import address_of
from regions.kernels.memory.states import Mode
from regions.kernels.memory.vertex_layout import VERTEX_SEARCH
from regions.kernels.vertices.pattern_steps import PATTERN_STEPS
from regions.kernels.vertices.steps import MEASURERS, ROUGH, WHEN_MET, steps_of
from regions.kernels.vertices.wanted_nodes import drop_unwanted
from regions.network import Network
from regions.optimize.linear_programs import solve_lp

__all__ = ["Warmed", "warm_up"]


@dataclass(frozen=True)
class Warmed:
    """One part of the work: what was compiled, and the seconds that it took in its process."""

    name: str
    seconds: float


def warm_up(
    engines: list[str] | None = None,
    *,
    workers: int | None = None,
    report: Callable[[Warmed], None] | None = None,
) -> list[Warmed]:
    """Compile the kernels of some engines in parallel processes, and keep them for later ones.

    What is kept already is only loaded, so a second call takes seconds.

    Parameters
    ----------
    engines : "planar" (d = 2), "cells" (vertices, any d) and "lp"; default all
    workers : number of processes, default one per core
    report : called with each part when it is done

    Returns
    -------
    list of Warmed, in the order in which they were done

    Raises
    ------
    InvalidInputError
        If an engine is unknown, or if what is compiled cannot be kept.

    Notes
    -----
    Some 20 to 100 CPU seconds an engine where nothing is kept.

    Examples
    --------
    >>> warm_up(["spheres"])
    Traceback (most recent call last):
    ...
    regions.errors.InvalidInputError: engine is 'spheres'; choose 'planar', 'cells' or 'lp'
    """
    known = get_args(Engine)
    chosen = list(known if engines is None else engines)
    for engine in chosen:
        check_choice("engine", engine, known)
    done: list[Warmed] = []
    count = worker_count(workers)
    # a fresh interpreter each: numba's compiler must not be forked in the middle of its work
    with ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("spawn")) as pool:
        steps = {name: engine for engine in chosen for name in _steps(engine)}
        # twice: what steps and problems have in common is compiled by the steps
        for jobs in (
            [pool.submit(_compile_step, engine, name) for name, engine in steps.items()],
            [pool.submit(_run_problem, engine, listed) for engine in chosen for listed in (False, True)]
            + [pool.submit(_solve_a_program)],
        ):
            for part in _finished(jobs):
                done.append(part)
                if report is not None:
                    report(part)
    return done


def _finished(jobs: list[Future[tuple[Warmed, list[str]]]]) -> Iterator[Warmed]:
    for job in as_completed(jobs):
        part, problems = job.result()
        if problems:
            raise InvalidInputError(
                f"compiled kernels cannot be kept ({problems[0]}); name a folder that can be written in "
                "the environment variable NUMBA_CACHE_DIR"
            )
        yield part


def _steps(engine: str) -> dict[str, tuple[str, Any]]:
    """Map the names of kernels that are steps, in any mode, to the names of the steps and the kernels."""
    if engine == "lp":
        return {}
    planar = engine == "planar"
    found = {kernel.__name__: (name, kernel) for name, kernel in WHEN_MET.items()}
    if planar:
        del found["triangulate"]
        found |= {kernel.__name__: (name, kernel) for name, kernel in ROUGH.items()}
    else:
        found |= {kernel.__name__: ("measure_simple", kernel) for kernel in MEASURERS.values()}
    patterns = {**PATTERN_STEPS, "touch_units": drop_unwanted}
    found |= {kernel.__name__: (name, kernel) for name, kernel in patterns.items()}
    for mode, kinds in product(Mode, product((False, True), repeat=3)):
        steps = steps_of(planar, mode, *kinds)
        found |= {kernel.__name__: (name, kernel) for name, kernel in steps.items()}
    return found


def _compile_step(engine: str, kernel: str) -> tuple[Warmed, list[str]]:
    start = time.perf_counter()
    name, dispatcher = _steps(engine)[kernel]
    address_of(dispatcher, VERTEX_SEARCH, name)
    return Warmed(kernel, time.perf_counter() - start), cache_problems()


def _run_problem(engine: str, listed: bool) -> tuple[Warmed, list[str]]:
    """Count, or list, the cells of a small network with an engine."""
    start = time.perf_counter()
    d = 2 if engine == "planar" else 3
    network, box = _problem(d), Box([-1.0] * d, [1.0] * d)
    if listed:
        cells = enumerate_cells(network, box, engine=engine, workers=1)
        cells.facet_simplices()
    else:
        count_cells(network, box, engine=engine, workers=1)
    what = f"engine {engine}, {'listing' if listed else 'counting'}"
    return Warmed(what, time.perf_counter() - start), cache_problems()


def _solve_a_program() -> tuple[Warmed, list[str]]:
    """Solve one linear program, which all but the simplest domains ask for."""
    start = time.perf_counter()
    solve_lp(np.eye(2), np.ones(2), np.ones(2), interior=np.zeros(2))
    return Warmed("linear programs", time.perf_counter() - start), cache_problems()


def _problem(d: int) -> Network:
    rng = np.random.default_rng(0)
    shapes = [(4, d), (4, 4), (1, 4)]
    return Network.from_arrays(
        [rng.normal(size=shape) for shape in shapes], [0.1 * rng.normal(size=k) for k, _ in shapes]
    )
