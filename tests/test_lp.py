"""The LP front against HiGHS, its way with doubtful answers, and exact decisions that prove themselves."""

from __future__ import annotations

from fractions import Fraction

import highspy
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from lp_cases import KINDS, Problem, ask_highs, exact_answer, integer_problems, random_problem

from regions.errors import BudgetExceededError, InvalidInputError, RegionsError, SolverError
from regions.kernels.programs import simplex
from regions.optimize import (
    Decision,
    LPSolution,
    LPStatus,
    LPTolerances,
    certify_feasible,
    certify_infeasible,
    certify_no_interior,
    feasibility,
    has_interior,
    linear_programs,
    solve_lp,
)
from regions.rational import decide_interior, halfspace_rows

pytestmark = pytest.mark.kernels

FloatArray = npt.NDArray[np.float64]
SQUARE = np.vstack([np.eye(2), -np.eye(2)])


def check_proof(problem: Problem, solution: LPSolution) -> None:
    """Optimal: equal bounds from both sides; infeasible: Farkas multipliers; unbounded: point and ray."""
    A, b, c = problem
    sizes = np.abs(A).max(axis=1)
    if solution.point is not None:
        reach = max(1.0, float(np.abs(solution.point).max()))
        assert (A @ solution.point - b <= 1e-7 * (sizes * reach + np.abs(b))).all()
    if solution.multipliers is not None:
        target = np.zeros_like(c) if solution.status is LPStatus.INFEASIBLE else c
        weight = max(float((solution.multipliers * sizes).max(initial=0)), float(np.abs(c).max()))
        assert (solution.multipliers >= 0).all()
        np.testing.assert_allclose(solution.multipliers @ A, target, rtol=0, atol=1e-7 * weight)
    match solution.status:
        case LPStatus.OPTIMAL:
            assert solution.multipliers @ b == pytest.approx(solution.value, rel=1e-6, abs=1e-6)
        case LPStatus.INFEASIBLE:
            assert solution.multipliers @ b < 0
        case LPStatus.UNBOUNDED:
            assert (A @ solution.ray <= 1e-11 * sizes).all()
            assert c @ solution.ray > 0


def same_as_highs(problem: Problem, solution: LPSolution) -> str:
    check_proof(problem, solution)
    status, value = ask_highs(problem)
    assert solution.status.value == status
    if status == "optimal":
        assert solution.value == pytest.approx(value, rel=1e-7, abs=1e-7)
    return status


@pytest.mark.sweep(2)
@pytest.mark.parametrize("kind", KINDS)
def test_answers_are_those_of_highs_with_and_without_a_known_point(
    rng: np.random.Generator, kind: str
) -> None:
    solvers = set()
    for _ in range(60):
        problem = random_problem(rng, kind)
        solution = solve_lp(*problem, interior=np.zeros(len(problem.c)))
        same_as_highs(problem, solution)
        solvers.add(solution.solver)
        other = solve_lp(*problem)
        assert other.solver == "highs"
        same_as_highs(problem, other)
    assert "simplex" in solvers


def test_empty_and_shifted_problems_have_the_status_of_highs(rng: np.random.Generator) -> None:
    seen = set()
    for k in range(150):
        A, b, c = random_problem(rng, ("generic", "integer", "redundant")[k % 3])
        b = b - rng.integers(0, 3, len(b)) if k % 2 else b + A @ rng.normal(size=len(c))
        if not ((b < 0) & ~A.any(axis=1)).any():
            problem = Problem(A, b, c)
            seen.add(same_as_highs(problem, solve_lp(*problem)))
    assert seen == {"optimal", "infeasible", "unbounded"}


@given(integer_problems(least_b=-3))
def test_small_integer_problems_are_solved_as_all_vertices_say(problem: Problem) -> None:
    status, value = exact_answer(problem)
    solution = solve_lp(*problem)
    assert solution.status.value == status
    if value is not None:
        assert solution.value == pytest.approx(float(value), abs=1e-9)
    check_proof(problem, solution)


def test_bounds_are_rows(rng: np.random.Generator) -> None:
    for _ in range(50):
        A, b, c = random_problem(rng, "generic")
        d = len(c)
        bounds = np.column_stack([-rng.uniform(0.1, 1, d), rng.uniform(0.1, 1, d)])
        bounds[rng.random((d, 2)) < 0.2] *= np.inf
        rows = np.vstack([A, -np.eye(d), np.eye(d)])
        right = np.concatenate([b, -bounds[:, 0], bounds[:, 1]])
        kept = np.isfinite(right)
        one = solve_lp(A, b, c, bounds=bounds, interior=np.zeros(d))
        two = solve_lp(rows[kept], right[kept], c, interior=np.zeros(d))
        assert one.status == two.status
        if one.status is LPStatus.OPTIMAL:
            assert one.value == pytest.approx(two.value, rel=1e-9)
            lower, upper = one.bound_multipliers.T
            np.testing.assert_allclose(one.multipliers @ A + upper - lower, c, atol=1e-9)
            assert (one.bound_multipliers[~np.isfinite(bounds)] == 0).all()


def test_large_problems_go_to_highs(rng: np.random.Generator) -> None:
    d = linear_programs.MOST_VARIABLES + 1
    A = np.vstack([np.eye(d), -np.eye(d)])
    solution = solve_lp(A, np.ones(2 * d), np.ones(d), interior=np.zeros(d))
    assert (solution.solver, solution.value) == ("highs", pytest.approx(d))


@pytest.mark.parametrize("status", [simplex.PIVOT_LIMIT, simplex.STALLED, simplex.INACCURATE])
def test_what_the_simplex_leaves_open_goes_to_highs(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    monkeypatch.setattr(linear_programs.simplex, "maximise", lambda *_: (status, 3))
    solution = solve_lp(SQUARE, np.ones(4), [1.0, 2.0], interior=[0, 0])
    assert (solution.solver, solution.value) == ("highs", pytest.approx(3.0))


@pytest.mark.parametrize("fault", ["point", "multipliers", "ray"])
def test_wrong_answers_of_the_simplex_are_noticed(monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    def wrong(A, b, c, start, *rest):
        point, multipliers, ray = rest[-3:]
        point[:], ray[:] = 1.0, (0.0, 1.0)
        multipliers[:] = 1.0, 2.0, 0.0, 0.0
        if fault == "point":
            point[0] += 1e-6
        if fault == "multipliers":
            multipliers[1] -= 1e-6
        return (simplex.UNBOUNDED if fault == "ray" else simplex.OPTIMAL), 2

    monkeypatch.setattr(linear_programs.simplex, "maximise", wrong)
    solution = solve_lp(SQUARE, np.ones(4), [1.0, 2.0], interior=[0, 0])
    assert (solution.solver, solution.value) == ("highs", pytest.approx(3.0))


@pytest.mark.parametrize("status", ["kUnknown", "kIterationLimit", "kSolveError", "kTimeLimit"])
def test_an_end_of_highs_without_an_answer_raises(monkeypatch: pytest.MonkeyPatch, status: str) -> None:
    end = getattr(highspy.HighsModelStatus, status)
    monkeypatch.setattr(highspy.Highs, "getModelStatus", lambda *_: end)
    with pytest.raises(SolverError, match=r"(?i)" + status.removeprefix("k")[:4]):
        solve_lp(SQUARE, np.ones(4), [1.0, 2.0])


@pytest.mark.parametrize("status", ["kInfeasible", "kUnbounded"])
def test_a_false_status_of_highs_is_not_believed(monkeypatch: pytest.MonkeyPatch, status: str) -> None:
    """As when its presolve called x <= 0 type problems infeasible that are unbounded."""
    end = getattr(highspy.HighsModelStatus, status)
    monkeypatch.setattr(highspy.Highs, "getModelStatus", lambda *_: end)
    with pytest.raises(SolverError, match=r"(?i)highs: " + status.removeprefix("k")):
        solve_lp(SQUARE, np.ones(4), [1.0, 2.0])


def test_an_unknown_status_of_the_simplex_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear_programs.simplex, "maximise", lambda *_: (99, 0))
    with pytest.raises(SolverError, match="unknown status 99"):
        solve_lp(SQUARE, np.ones(4), [1.0, 2.0], interior=[0, 0])


@pytest.mark.small
@pytest.mark.parametrize(
    "change, words",
    [
        ({"A": np.ones(4)}, r"A has shape \(4,\), expected \(m, d\)"),
        ({"A": np.ones((4, 0))}, "with d >= 1"),
        ({"b": np.ones(3)}, r"b has shape \(3,\), expected \(4,\)"),
        ({"c": np.ones(3)}, r"c has shape \(3,\), expected \(2,\)"),
        ({"c": [1.0, np.nan]}, "c contains NaN or infinity"),
        ({"A": np.full((4, 2), np.inf)}, "A contains NaN or infinity"),
        ({"b": [1.0, 1, 1, np.inf]}, "b contains NaN or infinity"),
        ({"interior": [0.0]}, "interior has shape"),
        ({"interior": [0.0, 1.5]}, "violates row 1 of A x <= b by 0.5"),
        ({"bounds": [-1.0, 1.0]}, "bounds has shape"),
        ({"bounds": [[0.0, np.nan], [0.0, 1.0]]}, "not NaN"),
        ({"bounds": [[np.inf, np.inf], [0.0, 1.0]]}, "may be -inf"),
    ],
)
def test_bad_input_is_named(change: dict, words: str) -> None:
    arguments = {"A": SQUARE, "b": np.ones(4), "c": np.ones(2), "interior": [0.0, 0.0], **change}
    with pytest.raises(InvalidInputError, match=words) as raised:
        solve_lp(arguments.pop("A"), arguments.pop("b"), arguments.pop("c"), **arguments)
    assert isinstance(raised.value, RegionsError)


def check_decision(A: FloatArray, b: FloatArray, decision: Decision) -> None:
    """The proof that a decision carries, checked with nothing but fractions."""
    rows = [[Fraction(x) for x in row] for row in np.asarray(A).tolist()]
    right = [Fraction(x) for x in np.asarray(b).tolist()]
    assert decision.exact
    if decision.interior:
        assert decision.multipliers is None
        for row, limit in zip(rows, right, strict=True):
            value = sum(a * x for a, x in zip(row, decision.witness, strict=True))
            assert value < limit or (not any(row) and limit >= 0)
    else:
        assert decision.witness is None
        y = decision.multipliers
        assert len(y) == len(rows) and min(y) >= 0
        assert all(sum(t * row[j] for t, row in zip(y, rows, strict=True)) == 0 for j in range(A.shape[1]))
        total = sum(t * limit for t, limit in zip(y, right, strict=True))
        on_normals = any(t > 0 and any(row) for t, row in zip(y, rows, strict=True))
        assert total < 0 or (total == 0 and on_normals)


@given(integer_problems(least_b=-3))
def test_decisions_prove_themselves_on_small_integers(problem: Problem) -> None:
    check_decision(problem.A, problem.b, has_interior(problem.A, problem.b))


@pytest.mark.parametrize("kind", KINDS)
def test_decisions_prove_themselves_on_random_problems(rng: np.random.Generator, kind: str) -> None:
    answers = set()
    for k in range(60):
        A, b, c = random_problem(rng, kind)
        b = b + A @ rng.normal(size=len(c)) if k % 3 else b - np.abs(rng.normal(size=len(b)))
        decision = has_interior(A, b)
        check_decision(A, b, decision)
        answers.add(decision.interior)
    assert answers == {True, False}


@pytest.mark.parametrize("d", [1, 2, 5, 9])
def test_one_unit_in_the_last_place_decides(rng: np.random.Generator, d: int) -> None:
    """A slab of width 0 is flat; one of the smallest positive width has interior points."""
    for _ in range(5):
        normal, level = rng.normal(size=d), float(rng.normal())
        A = np.vstack([normal, -normal, rng.normal(size=(3 * d, d))])
        b = np.append([level, -level], 10 + A[2:] @ normal * level / (normal @ normal))
        for width, interior in ((0.0, False), (np.inf, True), (-np.inf, False)):
            b[0] = level if width == 0 else np.nextafter(level, width)
            decision = has_interior(A, b)
            assert decision.interior is interior
            check_decision(A, b, decision)
            if not interior:
                assert (certify_infeasible(A, b, decision.multipliers) is None) == (width == 0)


def test_the_rational_simplex_alone_gives_the_same_decisions(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    problems = []
    for k in range(30):
        A, b, c = random_problem(rng, ("integer", "vertex", "generic")[k % 3])
        keep = slice(0, 3 * len(c))
        problems.append((A[keep], b[keep] - (rng.random(len(b[keep])) if k % 2 else 0)))
    usual = [has_interior(A, b) for A, b in problems]

    def fails(*_: object) -> None:
        raise SolverError("out of order")

    monkeypatch.setattr(feasibility, "lifted", fails)
    for (A, b), expected in zip(problems, usual, strict=True):
        decision = has_interior(A, b)
        check_decision(A, b, decision)
        assert decision.interior is expected.interior
    with pytest.raises(SolverError, match="out of order"):
        has_interior(SQUARE, np.ones(4), arithmetic="float")


@pytest.mark.small
def test_the_rational_simplex_keeps_to_its_budget() -> None:
    rows = halfspace_rows(SQUARE, np.array([1.0, 1.0, -1.0, -1.0]))
    with pytest.raises(BudgetExceededError, match="not done after 1 pivots"):
        decide_interior(rows, [Fraction(0)] * 2, max_pivots=1)
    witness, multipliers = decide_interior(rows, [Fraction(0)] * 2)
    check_decision(
        SQUARE, np.array([1.0, 1, -1, -1]), Decision(False, witness, multipliers, True, "rational")
    )


@pytest.mark.small
def test_rows_of_zeros_count_as_what_they_say() -> None:
    A = np.vstack([SQUARE, np.zeros(2)])
    assert has_interior(A, [1, 1, 1, 1, 0.0]).interior
    empty = has_interior(A, [1, 1, 1, 1, -1e-300])
    assert empty.multipliers == (0, 0, 0, 0, 1)
    assert has_interior(np.zeros((1, 3)), [0.0]).witness == (0, 0, 0)
    assert has_interior(np.zeros((0, 3)), []).interior
    assert certify_no_interior(A, [1, 1, 1, 1, 0.0], [0, 0, 0, 0, 1]) is None


@pytest.mark.small
def test_float_decisions_say_that_they_are_not_exact() -> None:
    yes = has_interior(SQUARE, np.ones(4), arithmetic="float")
    no = has_interior(SQUARE, [1, 1, -1, 1 - 3e-10], arithmetic="float")
    assert (yes.interior, yes.exact, no.interior, no.exact) == (True, False, False, False)
    assert len(no.multipliers) == 4 and len(yes.witness) == 2
    with pytest.raises(InvalidInputError, match="choose 'certified' or 'float'"):
        has_interior(SQUARE, np.ones(4), arithmetic="exact")


@pytest.mark.small
def test_points_on_the_boundary_and_beside_it_are_told_apart() -> None:
    A, b = np.array([[3.0, 0.0], [0.0, -1.0]]), np.array([1.0, 0.0])
    third, tiny = Fraction(1, 3), Fraction(1, 10**40)
    assert certify_feasible(A, b, [third - tiny, tiny])
    assert not certify_feasible(A, b, [third, tiny])
    assert not certify_feasible(A, b, [third - tiny, Fraction(0)])
    with pytest.raises(InvalidInputError, match="point has 1 numbers, expected 2"):
        certify_feasible(A, b, [0.0])
    with pytest.raises(InvalidInputError, match="point contains NaN"):
        certify_feasible(A, b, [np.nan, 0.0])


@pytest.mark.parametrize("scale", [1.0, 1e-200, 1e200, 1e-310])
def test_points_next_to_a_row_are_decided_as_fractions_say(rng: np.random.Generator, scale: float) -> None:
    """Levels within a few units in the last place of a.x, so that no float slack can be trusted."""
    answers = set()
    for _ in range(100):
        A, x = rng.normal(size=(2, 4)) * scale, rng.normal(size=4)
        b = A @ x
        b += np.spacing(b) * rng.integers(-2, 6, 2)
        point = [Fraction(value) for value in x.tolist()]
        inside = all(
            sum(Fraction(a) * t for a, t in zip(row, point, strict=True)) < Fraction(limit)
            for row, limit in zip(A.tolist(), b.tolist(), strict=True)
        )
        assert certify_feasible(A, b, x) is inside
        answers.add(inside)
    assert answers == {True, False}


def test_rounded_multipliers_are_repaired_and_false_ones_refused(rng: np.random.Generator) -> None:
    for _ in range(30):
        d = int(rng.integers(1, 9))
        A = rng.normal(size=(d + 1, d))
        y = np.linalg.svd(A.T)[2][-1]
        A *= np.sign(y)[:, None]
        y = np.abs(y)
        b = -rng.uniform(0, 1, d + 1)
        found = certify_infeasible(A, b, y)
        assert found is not None
        check_decision(A, b, Decision(False, None, found, True, "support"))
        np.testing.assert_allclose([float(t) for t in found], y, rtol=1e-9)
        assert certify_infeasible(A, np.abs(b), y) is None
        assert certify_infeasible(A, b, -y) is None
        assert certify_infeasible(A, b, np.zeros(d + 1)) is None


@pytest.mark.small
def test_tolerances_are_those_given() -> None:
    strict = LPTolerances(residual=0.0)
    A, b = SQUARE * 0.1, np.ones(4) * 0.3
    solution = solve_lp(A, b, [1.0, 1 / 3], interior=[0.1, 0.1], tolerances=strict)
    assert solution.solver == "highs" or solution.residuals.largest == 0.0
    assert solution.status is LPStatus.OPTIMAL
