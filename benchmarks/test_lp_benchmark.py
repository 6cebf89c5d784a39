"""Linear programs per second, one thread: the kernels' simplex and the front, against HiGHS by scipy.

Random problems max c.x, A x <= b, normal A and c, b uniform in [0.1, 1], so that the origin is interior.
A pivot costs 2 m d flops for the ray and some 10 m + 6 d^2 for the rest; about 1.3 d pivots are taken, so
d = 10, m = 100 is some 13 pivots of 4 kflop: 50 kflop, some 20 microseconds. HiGHS is asked by
`scipy.optimize.linprog` one LP at a time, as a library without its own solver would; most of its
time for small LPs is spent around the simplex, not in it.

`extra_info` gives LPs per second and the ratio to HiGHS in the same run. `pytest benchmarks`.
"""

from __future__ import annotations

import time

import numpy as np
import pytest
from numba import njit
from scipy.optimize import linprog

from regions.kernels.programs.simplex import OPTIMAL, maximise
from regions.optimize import has_interior, solve_lp

SIZES = [(d, factor * d) for d in (2, 3, 4, 6, 8, 10, 12, 16, 20) for factor in (4, 10)]
N_PROBLEMS = 200
N_HIGHS = 20


@njit(nogil=True)
def maximise_all(A, b, c, values):
    """Values of all problems, inf where unbounded; the number of pivots."""
    n, m, d = A.shape
    point, multipliers, ray, start = np.empty(d), np.empty(m), np.empty(d), np.zeros(d)
    total = 0
    for k in range(n):
        status, pivots = maximise(
            A[k], b[k], c[k], start, 1e-11, 200 + 50 * (m + d), 10 + d, point, multipliers, ray
        )
        values[k] = np.dot(c[k], point) if status == OPTIMAL else np.inf
        total += pivots
    return total


def problems(d, m):
    rng = np.random.default_rng(1000 * d + m)
    A = rng.normal(size=(N_PROBLEMS, m, d))
    return A, rng.uniform(0.1, 1, (N_PROBLEMS, m)), rng.normal(size=(N_PROBLEMS, d))


def highs(benchmark, A, b, c):
    """Values of the first problems by HiGHS (inf where not optimal), and seconds per problem.

    Each problem counts with the best of five times, so that a busy machine does not flatter us. Where
    nothing is timed, once is enough.
    """
    values, seconds = np.empty(N_HIGHS), np.full(N_HIGHS, np.inf)
    for _ in range(1 if benchmark.disabled else 5):
        for k in range(N_HIGHS):
            start = time.perf_counter()
            answer = linprog(-c[k], A_ub=A[k], b_ub=b[k], bounds=(None, None), method="highs")
            seconds[k] = min(seconds[k], time.perf_counter() - start)
            values[k] = -answer.fun if answer.status == 0 else np.inf
    return values, float(seconds.mean())


def record(benchmark, count, per_highs):
    if benchmark.disabled:
        return
    seconds = benchmark.stats["min"] / count
    benchmark.extra_info["lps_per_second"] = round(1 / seconds)
    benchmark.extra_info["highs_lps_per_second"] = round(1 / per_highs)
    benchmark.extra_info["times_highs"] = round(per_highs / seconds, 1)


@pytest.mark.parametrize("d, m", SIZES)
def test_simplex(benchmark, d, m):
    A, b, c = problems(d, m)
    values = np.empty(N_PROBLEMS)
    # where nothing is timed the loop is not compiled
    run = maximise_all.py_func if benchmark.disabled else maximise_all
    pivots = benchmark.pedantic(run, (A, b, c, values), rounds=10, warmup_rounds=1)
    expected, per_highs = highs(benchmark, A, b, c)
    np.testing.assert_allclose(values[:N_HIGHS], expected, rtol=1e-7)
    record(benchmark, N_PROBLEMS, per_highs)
    benchmark.extra_info["pivots_per_lp"] = round(pivots / N_PROBLEMS, 1)


@pytest.mark.parametrize("d, m", SIZES)
def test_front(benchmark, d, m):
    """`solve_lp`: casts, checks of the input, residuals of the answer; Python around one kernel call."""
    A, b, c = problems(d, m)
    origin = np.zeros(d)

    def run():
        return [solve_lp(A[k], b[k], c[k], interior=origin) for k in range(N_HIGHS)]

    found = benchmark.pedantic(run, rounds=10, warmup_rounds=1)
    expected, per_highs = highs(benchmark, A, b, c)
    np.testing.assert_allclose([solution.value for solution in found], expected, rtol=1e-7)
    record(benchmark, N_HIGHS, per_highs)
    benchmark.extra_info["by_simplex"] = sum(solution.solver == "simplex" for solution in found)


@pytest.mark.parametrize("interior", [True, False], ids=["interior", "none"])
@pytest.mark.parametrize("d, m", [size for size in SIZES if size[0] in (2, 4, 8, 12, 20)])
def test_has_interior(benchmark, d, m, interior):
    """With its exact check; against one LP by HiGHS without any check. `none`: one row pushed too far."""
    A, b, c = problems(d, m)
    b = b + A @ np.full(d, 0.1)
    if not interior:
        A[:, 0] = -A[:, 1]
        b[:, 0] = -b[:, 1] - 0.01

    def run():
        return [has_interior(A[k], b[k]) for k in range(N_HIGHS)]

    found = benchmark.pedantic(run, rounds=5, warmup_rounds=1)
    assert all(decision.exact and decision.interior is interior for decision in found)
    if not benchmark.disabled:
        _, per_highs = highs(benchmark, A, b, c)
        record(benchmark, N_HIGHS, per_highs)
        benchmark.extra_info["rational"] = sum(decision.method == "rational" for decision in found)
