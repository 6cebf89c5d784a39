"""Linear programs to test with, HiGHS as the judge of floats, and a brute force in exact arithmetic."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st
from scipy.optimize import linprog

FloatArray = npt.NDArray[np.float64]
STATUS = {0: "optimal", 2: "infeasible", 3: "unbounded"}


class Problem(NamedTuple):
    """Maximise c.x subject to A x <= b."""

    A: FloatArray
    b: FloatArray
    c: FloatArray


def random_problem(rng: np.random.Generator, kind: str) -> Problem:
    """Problems that the origin satisfies, some of them unbounded, 1 to 12 variables."""
    d = int(rng.integers(1, 13))
    m = int(rng.integers(1, 8 * d + 4))
    c = rng.normal(size=d)
    A, b = rng.normal(size=(m, d)), rng.uniform(0.1, 1.0, m)
    if kind == "integer":
        A, b = rng.integers(-2, 3, (m, d)).astype(float), rng.integers(0, 3, m).astype(float)
        c = rng.integers(-3, 4, d).astype(float)
    elif kind == "vertex":  # most rows go through the origin
        A, b = rng.integers(-1, 2, (m, d)).astype(float), np.zeros(m)
        b[rng.random(m) < 0.2] = 1.0
    elif kind == "repeated":
        A, b = A[rng.integers(0, m, 2 * m)], np.ones(2 * m)
        A[rng.random(2 * m) < 0.1] = 0.0
    elif kind == "redundant":
        A, b = np.vstack([A, np.eye(d), -np.eye(d)]), np.append(b * 50.0, np.ones(2 * d))
    elif kind == "scaled":
        sizes = 10.0 ** rng.uniform(-6, 6, m)
        A, b = A * sizes[:, None], b * sizes
    return Problem(A, b, c)


KINDS = ("generic", "integer", "vertex", "repeated", "redundant", "scaled")


def ask_highs(problem: Problem) -> tuple[str, float]:
    """Status and value. Presolve stays off: with it HiGHS calls some unbounded problems infeasible."""
    A, b, c = problem
    result = linprog(-c, A_ub=A, b_ub=b, bounds=(None, None), options={"presolve": False})
    return STATUS[result.status], -result.fun if result.status == 0 else np.nan


def _solve(rows: list[list[Fraction]]) -> list[Fraction] | None:
    """The point on d hyperplanes (d + 1 numbers each), by Gauss-Jordan elimination; None if not unique."""
    d = len(rows)
    rows = [list(row) for row in rows]
    for k in range(d):
        pivot = next((i for i in range(k, d) if rows[i][k] != 0), None)
        if pivot is None:
            return None
        rows[k], rows[pivot] = rows[pivot], rows[k]
        rows[k] = [x / rows[k][k] for x in rows[k]]
        for i in range(d):
            if i != k:
                rows[i] = [x - rows[i][k] * y for x, y in zip(rows[i], rows[k], strict=True)]
    return [row[-1] for row in rows]


def best_vertex(problem: Problem, size: int) -> Fraction | None:
    """Largest c.x over A x <= b and |x_j| <= size, over all vertices exactly; None if that is empty."""
    d = len(problem.c)
    box = np.vstack([np.eye(d), -np.eye(d)])
    A, b = np.vstack([problem.A, box]), np.append(problem.b, np.full(2 * d, size))
    rows = [[Fraction(x) for x in (*a, right)] for a, right in zip(A.tolist(), b.tolist(), strict=True)]
    best = None
    for chosen in combinations(rows, d):
        point = _solve(list(chosen))
        if point is None:
            continue
        if all(sum(a * x for a, x in zip(row, point, strict=False)) <= row[-1] for row in rows):
            value = sum(Fraction(a) * x for a, x in zip(problem.c.tolist(), point, strict=True))
            best = value if best is None else max(best, value)
    return best


def exact_answer(problem: Problem) -> tuple[str, Fraction | None]:
    """Status and value of a problem with entries of at most 3 in at most 3 variables."""
    size = 1000  # all vertices are nearer to the origin (Cramer's rule)
    value = best_vertex(problem, size)
    if value is None:
        return "infeasible", None
    growth = best_vertex(Problem(problem.A, np.zeros(len(problem.b)), problem.c), 1)
    assert growth is not None
    return ("unbounded", None) if growth > 0 else ("optimal", value)


@st.composite
def integer_problems(draw: st.DrawFn, least_b: int = 0) -> Problem:
    """Up to 3 variables and 6 rows, entries of at most 3; the origin is feasible if `least_b` is 0."""
    d = draw(st.integers(1, 3))
    m = draw(st.integers(1, 6 if d < 3 else 5))
    entries = st.lists(st.integers(-2, 2), min_size=d, max_size=d)
    A = draw(st.lists(entries, min_size=m, max_size=m))
    b = draw(st.lists(st.integers(least_b, 3), min_size=m, max_size=m))
    return Problem(np.array(A, dtype=float), np.array(b, dtype=float), np.array(draw(entries), dtype=float))
