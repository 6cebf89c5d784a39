"""Laws of the one door to the solvers: what they may print, when they raise, and that answers are checked."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import highspy
import numpy as np
import pytest
from scipy import sparse

import regions
from regions.errors import InvalidInputError, SolverError
from regions.optimize import (
    BinaryStatus,
    BoxPrograms,
    LPStatus,
    Norm,
    Polyhedron,
    Projection,
    ProjectionStatus,
    Scales,
    box_programs,
    integer_programs,
    minimise_sum,
    project,
    projections,
    solve_lp,
)
from regions.optimize.highs import HighsAnswer, HighsEnd, HighsModel

PACKAGE = Path(regions.__file__).parent
NORMS = list(Norm)
SCALES = Scales(1e-9, 1e-6, 1.0)


def test_only_this_room_knows_a_solver() -> None:
    for path in PACKAGE.rglob("*.py"):
        if path.is_relative_to(PACKAGE / "optimize"):
            continue
        text = path.read_text()
        if not re.search("highspy|cvxpy|scipy", text):
            continue
        for node in ast.walk(ast.parse(text)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names += [f"{node.module}.{alias.name}" for alias in node.names]
            for name in names:
                assert name.split(".")[0] not in ("highspy", "cvxpy") and "scipy.optimize" not in name, path


@pytest.mark.parametrize("room", ["optimize", "exploration"])
def test_no_two_modules_of_a_room_import_each_other(room: str) -> None:
    """Imports inside functions count too."""
    names = {path.stem for path in (PACKAGE / room).glob("*.py")} - {"__init__"}
    uses: dict[str, set[str]] = {}
    for name in names:
        tree = ast.parse((PACKAGE / room / f"{name}.py").read_text())
        modules = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        found = {m.rsplit(".", 1)[-1] for m in modules if m.startswith(f"regions.{room}.")}
        found |= {
            alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node.module == f"regions.{room}"
            for alias in node.names
        }
        uses[name] = found & names
    while uses:
        lowest = {name for name, used in uses.items() if not used & uses.keys()}
        assert lowest, f"a circle among {sorted(uses)}"
        uses = {name: used for name, used in uses.items() if name not in lowest}


# silence

ALL_DOORS = """
import numpy as np
from scipy import sparse
from regions.optimize import *
square = np.vstack([np.eye(2), -np.eye(2)])
solve_lp(square, np.ones(4), [1.0, 2.0])
BoxPrograms(square, np.ones(4), -np.ones(2), np.ones(2)).maximise(np.ones(2))
minimise_sum(sparse.coo_array(np.eye(2, dtype=int)), np.ones(2, int), np.ones(2, int), seconds=9.0)
scales = Scales(1e-9, 1e-6, 1.0)
for norm in Norm:
    project(Polyhedron(-np.eye(2), np.array([-3.0, -4.0]), norm, scales), "corner")
judge = lambda x, y: (x, 0.0, 0.0)
maximise_judged(square, np.ones(4), np.ones(2), judge, "corner")
largest_ellipsoid(square, np.ones(4), lambda B, c, y: (B, 0.0, 0.0), "square")
"""


def test_no_solver_prints() -> None:
    """In a new process, as HiGHS shows its banner once in each."""
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    run = subprocess.run(
        [sys.executable, "-c", ALL_DOORS], capture_output=True, text=True, check=True, env=environment
    )
    assert (run.stdout, run.stderr) == ("", "")


def test_highs_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    model = HighsModel(np.eye(2), np.ones(2), np.zeros(2), np.ones(2))
    assert model.maximise(np.ones(2)).end is HighsEnd.OPTIMAL
    assert capfd.readouterr() == ("", "")


# time and ends


def hard(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return rng.normal(size=(60, 40)), rng.uniform(1.0, 2.0, 60)


def test_no_time_is_an_error_and_no_answer(rng: np.random.Generator) -> None:
    A, b = hard(rng)
    c = A[:5].sum(axis=0)
    with pytest.raises(SolverError, match="time limit"):
        solve_lp(A, b, c, seconds=0.0)
    with pytest.raises(SolverError, match="time limit"):
        BoxPrograms(A, b, -np.ones(40), np.ones(40), seconds=0.0).maximise(c)


def test_each_program_has_its_own_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock of a model of HiGHS runs on, so that the limit must too."""
    model = HighsModel(np.eye(2), np.ones(2), np.zeros(2), np.ones(2))
    limits: list[float] = []
    real = highspy.Highs.setOptionValue

    def noted(self: Any, option: str, value: Any) -> Any:
        if option == "time_limit":
            limits.append(value)
        return real(self, option, value)

    monkeypatch.setattr(highspy.Highs, "setOptionValue", noted)
    for clock in (0.0, 100.0):
        monkeypatch.setattr(highspy.Highs, "getRunTime", lambda _, clock=clock: clock)
        model.maximise(np.ones(2), seconds=7.0)
    assert limits == [7.0, 107.0]


@pytest.mark.parametrize("end", ["kUnknown", "kSolveError", "kInterrupt"])
def test_an_unknown_end_raises_at_every_door(monkeypatch: pytest.MonkeyPatch, end: str) -> None:
    status = getattr(highspy.HighsModelStatus, end)
    monkeypatch.setattr(highspy.Highs, "getModelStatus", lambda *_: status)
    square = np.vstack([np.eye(2), -np.eye(2)])
    with pytest.raises(SolverError, match="HiGHS"):
        solve_lp(square, np.ones(4), np.ones(2))
    with pytest.raises(SolverError, match="HiGHS"):
        BoxPrograms(square, np.ones(4), -np.ones(2), np.ones(2)).maximise(np.ones(2))
    with pytest.raises(SolverError, match="HiGHS"):
        minimise_sum(sparse.coo_array(np.eye(2, dtype=int)), np.ones(2, int), np.ones(2, int), seconds=9.0)


# programs in a box


def test_programs_in_a_box_are_those_with_bounds(rng: np.random.Generator) -> None:
    for _ in range(10):
        m, n = int(rng.integers(1, 12)), int(rng.integers(1, 8))
        A, b = rng.normal(size=(m, n)), rng.uniform(0.1, 1.0, m)
        low, high = -rng.uniform(0.1, 2.0, n), rng.uniform(0.1, 2.0, n)
        programs = BoxPrograms(A, b, low, high)
        for without in (None, *range(m)):
            c = rng.normal(size=n) if without is None else A[without]
            kept = np.arange(m) != without
            expected = solve_lp(A[kept], b[kept], c, bounds=np.column_stack([low, high]))
            found = programs.maximise(c, without=without)
            assert found.value == pytest.approx(expected.value, rel=1e-9, abs=1e-9)
            assert found.value - 1e-9 <= found.upper == pytest.approx(found.value, rel=1e-9, abs=1e-9)
            assert (A[kept] @ found.point <= b[kept] + 1e-9).all()
            assert ((low <= found.point) & (found.point <= high)).all()
            assert (found.multipliers >= 0.0).all() and (without is None or found.multipliers[without] == 0.0)


def test_the_bound_holds_at_every_point_of_the_set(rng: np.random.Generator) -> None:
    A, b = rng.normal(size=(7, 4)), rng.uniform(0.5, 1.0, 7)
    programs = BoxPrograms(A, b, -np.ones(4), np.ones(4))
    points = rng.uniform(-1.0, 1.0, size=(20_000, 4))
    points = points[(points @ A.T <= b).all(axis=1)]
    assert len(points) > 100
    for c in rng.normal(size=(5, 4)):
        assert (points @ c).max() <= programs.maximise(c).upper + 1e-12


def test_an_empty_box_is_shown_empty() -> None:
    programs = BoxPrograms(
        np.array([[1.0, 1.0], [-1.0, -1.0]]), np.array([0.5, -3.0]), np.zeros(2), np.ones(2)
    )
    found = programs.maximise(np.ones(2))
    assert (found.status, found.point, found.upper) == (LPStatus.INFEASIBLE, None, -np.inf)
    y = found.multipliers  # y A x <= y b < the least value of y A x in the box
    assert y @ programs.b < np.minimum(y @ programs.A, 0.0).sum()
    assert programs.maximise(np.ones(2), without=1).value == pytest.approx(0.5)


@pytest.mark.parametrize("fault", ["point", "multipliers", "farkas"])
def test_wrong_answers_in_a_box_are_noticed(monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    answers = {
        "point": HighsAnswer(HighsEnd.OPTIMAL, np.array([1.0, 1.0]), np.array([1.0]), None, 0),
        "multipliers": HighsAnswer(HighsEnd.OPTIMAL, np.array([1.0, 0.0]), np.array([0.5]), None, 0),
        "farkas": HighsAnswer(HighsEnd.INFEASIBLE, None, None, np.array([1.0]), 0),
    }
    monkeypatch.setattr(box_programs.HighsModel, "maximise", lambda *_, **__: answers[fault])
    programs = BoxPrograms(np.array([[1.0, 1.0]]), np.array([1.0]), np.zeros(2), np.ones(2))
    with pytest.raises(SolverError, match="passes its check"):
        programs.maximise(np.array([2.0, 1.0]))


def test_a_box_must_be_finite() -> None:
    with pytest.raises(InvalidInputError, match="finite"):
        BoxPrograms(np.eye(2), np.ones(2), -np.ones(2), np.array([1.0, np.inf]))
    with pytest.raises(InvalidInputError, match="b has 3 numbers"):
        BoxPrograms(np.eye(2), np.ones(3), -np.ones(2), np.ones(2))


# zeros and ones


def test_least_choices_are_those_of_all_choices(rng: np.random.Generator) -> None:
    statuses = set()
    for _ in range(25):
        m, n = int(rng.integers(1, 5)), int(rng.integers(1, 8))
        A = rng.integers(0, 2, size=(m, n))
        lower = rng.integers(0, 3, m)
        upper = lower + rng.integers(0, 2, m)
        every = np.array(list(product((0, 1), repeat=n)))
        fits = ((every @ A.T >= lower) & (every @ A.T <= upper)).all(axis=1)
        found = minimise_sum(sparse.coo_array(A), lower, upper, seconds=60.0)
        statuses.add(found.status)
        if fits.any():
            assert found.status is BinaryStatus.OPTIMAL and found.chosen is not None
            assert found.chosen.sum() == every[fits].sum(axis=1).min()
            assert ((A @ found.chosen >= lower) & (A @ found.chosen <= upper)).all()
        else:
            assert (found.status, found.chosen) == (BinaryStatus.INFEASIBLE, None)
    assert statuses == {BinaryStatus.OPTIMAL, BinaryStatus.INFEASIBLE}


@pytest.mark.parametrize("point", [[0.5, 0.5], [1.0, 1.0], [0.0, 0.0]])
def test_a_choice_that_breaks_a_row_is_noticed(monkeypatch: pytest.MonkeyPatch, point: list[float]) -> None:
    answer = HighsAnswer(HighsEnd.OPTIMAL, np.array(point), None, None, 0)
    monkeypatch.setattr(integer_programs.HighsModel, "maximise", lambda *_, **__: answer)
    with pytest.raises(SolverError, match="breaks a row"):
        minimise_sum(sparse.coo_array([[1, 1]]), np.ones(1, int), np.ones(1, int), seconds=1.0)


def test_a_choice_without_time_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for point, status in ((None, BinaryStatus.TIME_LIMIT), (np.array([1.0, 0.0]), BinaryStatus.FEASIBLE)):
        answer = HighsAnswer(HighsEnd.TIME_LIMIT, point, None, None, 0)
        monkeypatch.setattr(integer_programs.HighsModel, "maximise", lambda *_, answer=answer, **__: answer)
        found = minimise_sum(sparse.coo_array([[1, 1]]), np.ones(1, int), np.ones(1, int), seconds=1.0)
        assert found.status is status and (found.chosen is None) == (point is None)


# projections


def random_polyhedron(rng: np.random.Generator, norm: Norm, d: int) -> Polyhedron:
    """A polytope around a point that is not 0, most often away from 0."""
    A = np.vstack([np.eye(d), -np.eye(d), rng.normal(size=(3 * d, d))])
    A /= np.linalg.norm(A, axis=1)[:, None]
    return Polyhedron(A, A @ rng.normal(size=d) + rng.uniform(0.05, 0.6, len(A)), norm, SCALES)


def in_a_frame(rng: np.random.Generator, given: Polyhedron, inside: np.ndarray) -> Polyhedron:
    """The same set and distances in coordinates u' = T^-1 (u - inside), with 0 inside, in one more input."""
    d = given.A.shape[1]
    T = rng.normal(size=(d, d)) + 2.0 * np.eye(d)
    A, b = given.A @ T, given.b - given.A @ inside
    lengths = np.linalg.norm(A, axis=1)
    G = np.vstack([T, np.zeros((1, d))])
    vertex_bound = 4.0 * np.sqrt(d) * np.linalg.norm(np.linalg.inv(T), ord=2)
    return Polyhedron(
        A / lengths[:, None],
        b / lengths,
        given.norm,
        Scales(float(np.linalg.svd(T, compute_uv=False)[-1]), 1.0, 1.0),
        G=G,
        q=np.append(-inside, 0.0),
        radius=vertex_bound,
        centred=True,
    )


def centre_of(given: Polyhedron) -> np.ndarray:
    d = given.A.shape[1]
    solution = solve_lp(np.column_stack([given.A, np.ones(len(given.b))]), given.b, np.eye(d + 1)[d])
    assert solution.point is not None and solution.value > 0.0
    return solution.point[:d]


def checked(given: Polyhedron, found: Projection) -> Projection:
    assert found.status is ProjectionStatus.NEAREST and found.passes
    assert (given.A @ found.point <= given.b + 1e-6).all()
    assert given.distance(found.point) == found.distance
    assert (
        0.0
        <= found.lower
        <= found.distance
        <= found.lower + 1e-6 * max(found.distance, given.scales.resolution)
    )
    return found


@pytest.mark.parametrize("norm", NORMS)
def test_a_projection_is_the_same_in_any_coordinates(rng: np.random.Generator, norm: Norm) -> None:
    """As an exploration asks (offsets from the point) and as one cell does (a frame of the cell)."""
    solvers = set()
    for k in range(30):
        given = random_polyhedron(rng, norm, 1 + k % 5)
        framed = in_a_frame(rng, given, centre_of(given))
        found, other = checked(given, project(given, "offsets")), checked(framed, project(framed, "frame"))
        assert found.distance == pytest.approx(other.distance, rel=1e-9, abs=1e-9)
        solvers |= {found.solver, other.solver}
    assert ("nnls" if norm is Norm.EUCLIDEAN else "highs") in solvers


def test_no_point_of_the_set_is_nearer_than_the_bound(rng: np.random.Generator) -> None:
    for norm in NORMS:
        given = random_polyhedron(rng, norm, 3)
        found = checked(given, project(given, "offsets"))
        points = centre_of(given) + rng.uniform(-0.6, 0.6, size=(20_000, 3))
        points = points[(points @ given.A.T <= given.b).all(axis=1)]
        assert len(points) > 50
        assert np.linalg.norm(points, ord=norm.value, axis=1).min() >= found.lower - 1e-12


@pytest.mark.parametrize("norm", NORMS)
def test_a_limit_hides_no_point_that_is_nearer(rng: np.random.Generator, norm: Norm) -> None:
    beyond = 0
    for _ in range(20):
        given = random_polyhedron(rng, norm, 3)
        distance = project(given, "offsets").distance
        assert project(given, "offsets", within=distance * 1.01 + 1e-6).distance == pytest.approx(distance)
        found = project(given, "offsets", within=0.9 * distance)
        beyond += found.status is ProjectionStatus.BEYOND
        assert found.status is ProjectionStatus.BEYOND or found.distance == pytest.approx(distance)
    assert beyond > 0


@pytest.mark.parametrize("norm", NORMS)
def test_an_empty_set_is_beyond_every_limit_and_has_no_nearest_point(norm: Norm) -> None:
    empty = Polyhedron(np.array([[1.0, 0.0], [-1.0, 0.0]]), np.array([-2.0, 1.0]), norm, SCALES)
    assert project(empty, "nothing", within=100.0).status is ProjectionStatus.BEYOND
    try:
        assert project(empty, "nothing").status is ProjectionStatus.BEYOND
    except SolverError as error:
        assert "nothing" in str(error)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("framed", [False, True])
def test_what_the_first_solver_leaves_open_goes_to_the_next(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch, norm: Norm, framed: bool
) -> None:
    given = random_polyhedron(rng, norm, 3)
    while not (given.b < -0.1).any():
        given = random_polyhedron(rng, norm, 3)
    asked = in_a_frame(rng, given, centre_of(given)) if framed else given
    usual = project(asked, "usual")

    def fails(*_: object, **__: object) -> None:
        raise SolverError("out of order") if norm is Norm.MAXIMUM else RuntimeError("too many steps")

    monkeypatch.setattr(projections, "HighsModel" if norm is Norm.MAXIMUM else "nnls", fails)
    found = checked(asked, project(asked, "interior points"))
    assert (usual.solver, found.solver) == ("highs" if norm is Norm.MAXIMUM else "nnls", "clarabel")
    assert found.distance == pytest.approx(usual.distance, rel=1e-6)


def test_wrong_weights_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    corner = Polyhedron(-np.eye(2), np.array([-3.0, -4.0]), Norm.EUCLIDEAN, SCALES)
    monkeypatch.setattr(projections, "nnls", lambda *_: (np.array([1.0, 0.0]), 0.0))
    found = project(corner, "corner")
    assert (found.solver, found.distance) == ("clarabel", pytest.approx(5.0))


# choices


@pytest.mark.parametrize("order", [1, "2", None, [2], -np.inf])
def test_other_norms_are_refused(order: object) -> None:
    with pytest.raises(InvalidInputError, match="choose 2 or inf"):
        Norm.of(order)


def test_choices_are_read_as_they_are_written() -> None:
    assert [Norm.of(float(norm.word)) for norm in Norm] == NORMS
    assert Norm.of(np.float64(2)) is Norm.EUCLIDEAN
