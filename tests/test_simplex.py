"""The kernels' simplex against HiGHS, against all vertices in exact arithmetic, and its bounds of work."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from lp_cases import KINDS, Problem, ask_highs, exact_answer, integer_problems, random_problem

from regions.kernels.programs import simplex

pytestmark = pytest.mark.kernels

FloatArray = npt.NDArray[np.float64]
NAMES = {simplex.OPTIMAL: "optimal", simplex.UNBOUNDED: "unbounded"}


class Answer(NamedTuple):
    status: int
    pivots: int
    point: FloatArray
    multipliers: FloatArray
    ray: FloatArray


def maximise(
    problem: Problem, start: FloatArray | None = None, max_pivots: int = 10_000, max_stall: int = 20
) -> Answer:
    A, b, c = problem
    m, d = A.shape
    point, multipliers, ray = np.full(d, np.nan), np.full(m, np.nan), np.full(d, np.nan)
    begin = np.zeros(d) if start is None else start
    status, pivots = simplex.maximise(A, b, c, begin, 1e-11, max_pivots, max_stall, point, multipliers, ray)
    return Answer(status, pivots, point, multipliers, ray)


def check_proof(problem: Problem, answer: Answer) -> None:
    """Whatever the answer, it carries its own proof: equal bounds from both sides, or a ray."""
    A, b, c = problem
    sizes = np.abs(A).max(axis=1)
    if answer.status == simplex.OPTIMAL:
        size = max(1.0, float(np.abs(answer.point).max()))
        assert (A @ answer.point - b <= 1e-10 * (sizes * size + np.abs(b))).all()
        assert (answer.multipliers * sizes >= -1e-9 * np.abs(c).max()).all()
        np.testing.assert_allclose(answer.multipliers @ A, c, rtol=0, atol=1e-9 * np.abs(c).max(initial=1))
        np.testing.assert_allclose(answer.multipliers @ b, c @ answer.point, rtol=1e-9, atol=1e-9 * size)
    else:
        assert answer.status == simplex.UNBOUNDED
        assert (A @ answer.ray <= 1e-11 * sizes).all()
        assert np.linalg.norm(answer.ray) == pytest.approx(1.0)
        assert c @ answer.ray > 0


@pytest.mark.sweep(2)
@pytest.mark.parametrize("kind", KINDS)
def test_status_and_value_are_those_of_highs(rng: np.random.Generator, kind: str) -> None:
    seen = set()
    for _ in range(200):
        problem = random_problem(rng, kind)
        answer = maximise(problem)
        check_proof(problem, answer)
        status, value = ask_highs(problem)
        assert NAMES[answer.status] == status
        seen.add(status)
        if status == "optimal":
            assert problem.c @ answer.point == pytest.approx(value, rel=1e-7, abs=1e-7)
    assert "optimal" in seen


@pytest.mark.small
@given(integer_problems())
def test_small_integer_problems_are_solved_as_all_vertices_say(problem: Problem) -> None:
    answer = maximise(problem)
    status, value = exact_answer(problem)
    assert NAMES[answer.status] == status
    if value is not None:
        assert problem.c @ answer.point == pytest.approx(float(value), abs=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_blands_rule_alone_gives_the_same_value(rng: np.random.Generator, kind: str) -> None:
    for _ in range(100):
        problem = random_problem(rng, kind)
        usual, bland = maximise(problem), maximise(problem, max_stall=-1)
        check_proof(problem, bland)
        assert usual.status == bland.status
        if usual.status == simplex.OPTIMAL:
            assert problem.c @ usual.point == pytest.approx(problem.c @ bland.point, rel=1e-9, abs=1e-9)


def klee_minty(d: int) -> Problem:
    """The cube that Dantzig's rule walks through all 2^d vertices of; its optimum is 5^d."""
    A = np.array([[2.0 ** (i - j + 1) if j < i else float(i == j) for j in range(d)] for i in range(d)])
    b = 5.0 ** np.arange(1, d + 1)
    c = 2.0 ** np.arange(d - 1, -1, -1)
    return Problem(np.vstack([A, -np.eye(d)]), np.append(b, np.zeros(d)), c)


@pytest.mark.small
@pytest.mark.parametrize("d", range(2, 11))
def test_klee_minty_cubes_take_few_pivots(d: int) -> None:
    problem = klee_minty(d)
    for start in (np.zeros(d), np.full(d, 0.5)):
        answer = maximise(problem, start)
        assert answer.status == simplex.OPTIMAL
        assert problem.c @ answer.point == pytest.approx(5.0**d, rel=1e-12)
        assert answer.pivots <= 4 * d


BEALE = Problem(
    np.vstack([[[0.25, -60, -1 / 25, 9], [0.5, -90, -1 / 50, 3], [0, 0, 1, 0]], -np.eye(4)]),
    np.array([0, 0, 1.0, 0, 0, 0, 0]),
    np.array([0.75, -150, 1 / 50, -6]),
)


@pytest.mark.small
@pytest.mark.parametrize("max_stall", [-1, 0, 1, 3, 100])
def test_beales_cycling_example_ends(max_stall: int) -> None:
    answer = maximise(BEALE, max_pivots=40, max_stall=max_stall)
    assert answer.status == simplex.OPTIMAL
    assert BEALE.c @ answer.point == pytest.approx(0.05, rel=1e-12)


@pytest.mark.small
def test_the_bound_on_pivots_is_kept_and_the_point_stays_feasible(rng: np.random.Generator) -> None:
    A = rng.normal(size=(60, 6))
    problem = Problem(A, np.ones(60), rng.normal(size=6))
    needed = maximise(problem).pivots
    assert needed >= 6
    values = []
    for limit in range(needed + 1):
        answer = maximise(problem, max_pivots=limit)
        assert (answer.status, answer.pivots) == (simplex.PIVOT_LIMIT, limit)
        assert (A @ answer.point <= 1 + 1e-12).all()
        values.append(problem.c @ answer.point)
    assert values == sorted(values)
    assert maximise(problem, max_pivots=needed + 1).status == simplex.OPTIMAL


@pytest.mark.small
def test_steps_of_length_zero_up_to_the_bound_are_called_a_stall() -> None:
    assert maximise(BEALE, max_pivots=2, max_stall=0).status == simplex.STALLED


@pytest.mark.small
def test_powers_of_two_on_rows_change_no_bit_of_the_point(rng: np.random.Generator) -> None:
    for _ in range(20):
        A, b, c = random_problem(rng, "generic")
        factors = 2.0 ** rng.integers(-30, 30, len(b))
        one, two = maximise(Problem(A, b, c)), maximise(Problem(A * factors[:, None], b * factors, c))
        assert one.status == two.status
        np.testing.assert_array_equal(one.point, two.point)
        np.testing.assert_array_equal(one.multipliers, two.multipliers * factors)


def test_shifting_problem_and_start_shifts_the_optimum(rng: np.random.Generator) -> None:
    for _ in range(100):
        A, b, c = random_problem(rng, "redundant")
        shift = rng.normal(size=len(c))
        one, two = maximise(Problem(A, b, c)), maximise(Problem(A, b + A @ shift, c), shift)
        assert one.status == two.status == simplex.OPTIMAL
        assert c @ one.point == pytest.approx(c @ two.point - c @ shift, rel=1e-10, abs=1e-10)


@pytest.mark.parametrize("d, m", [(30, 120), (30, 300), (20, 400)])
def test_the_largest_problems_are_solved_to_rounding(rng: np.random.Generator, d: int, m: int) -> None:
    for _ in range(10):
        problem = Problem(rng.normal(size=(m, d)), rng.uniform(0.1, 1, m), rng.normal(size=d))
        answer = maximise(problem)
        assert answer.status == simplex.OPTIMAL
        primal, dual, gap, _ = simplex.residuals(*problem, answer.point, np.maximum(answer.multipliers, 0.0))
        assert max(primal, dual, gap) < 1e-12


@pytest.mark.small
def test_an_objective_of_zero_keeps_the_start() -> None:
    start = np.array([0.25, -0.5])
    answer = maximise(Problem(np.eye(2), np.ones(2), np.zeros(2)), start)
    assert (answer.status, answer.pivots) == (simplex.OPTIMAL, 0)
    np.testing.assert_array_equal(answer.point, start)
    np.testing.assert_array_equal(answer.multipliers, 0.0)


@pytest.mark.small
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["A", "b", "c", "start"])
def test_numbers_that_are_not_finite_are_bad_input(where: str, bad: float) -> None:
    arrays = {"A": np.eye(2), "b": np.ones(2), "c": np.ones(2), "start": np.zeros(2)}
    arrays[where].flat[1] = bad
    answer = maximise(Problem(arrays["A"], arrays["b"], arrays["c"]), arrays["start"])
    assert answer.status == simplex.BAD_INPUT


@pytest.mark.small
@pytest.mark.parametrize("c", [np.zeros(2), np.ones(2)])
def test_a_start_outside_and_shapes_that_differ_are_bad_input(c: FloatArray) -> None:
    eye, ones = np.eye(2), np.ones(2)
    assert maximise(Problem(eye, ones, c), np.array([0.0, 1.01])).status == simplex.BAD_INPUT
    assert maximise(Problem(eye, np.ones(3), c)).status == simplex.BAD_INPUT
    assert maximise(Problem(eye, ones, c), np.zeros(3)).status == simplex.BAD_INPUT
    assert maximise(Problem(np.zeros((1, 2)), -np.ones(1), c)).status == simplex.BAD_INPUT


@pytest.mark.small
def test_residuals_see_each_kind_of_fault() -> None:
    A, b, c = np.vstack([np.eye(2), -np.eye(2)]), np.ones(4), np.array([1.0, 2.0])
    good, y = np.array([1.0, 1.0]), np.array([1.0, 2.0, 0, 0])
    assert simplex.residuals(A, b, c, good, y) == (0.0, 0.0, 0.0, 3.0)
    assert simplex.residuals(A, b, c, np.array([1.5, 1.0]), y)[0] == pytest.approx(0.5 / 2.5)
    assert simplex.residuals(A, b, c, good, np.array([1.0, 1.0, 0, 0]))[1] == pytest.approx(1 / 3)
    assert simplex.residuals(A, b, c, good, np.array([1.0, 2.0, 0, -1e-3]))[1] >= 5e-4
    assert simplex.residuals(A, b, c, np.array([0.5, 1.0]), y)[2] == pytest.approx(0.5 / 7.5)
    assert np.isinf(max(simplex.residuals(A, b, c, np.array([np.nan, 1.0]), y)[:3]))
    assert np.isinf(max(simplex.residuals(A, b, c, good, np.array([1.0, np.nan, 0, 0]))[:3]))
