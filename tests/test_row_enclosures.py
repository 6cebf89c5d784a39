"""Laws of rows in fixed point: the exact row is inside, and a sign or a point that they give is proven."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from max_networks import random_max_case
from networks import box_of, network_of, random_plane
from strategies import Case, examples, float_networks, rational_networks, sloped

from regions import Network, count_cells
from regions.domain import Domain
from regions.enumeration.vertices import exact_signs, vertex_search
from regions.enumeration.vertices.error_norms import ErrorNorms, ErrorsOnPath, radius_of, spectral_bound
from regions.network import layer_matrices
from regions.rational import ExactNetwork, row_enclosures, solve_vertex, tree_rows
from regions.rational.float_rows import FloatRows
from regions.rational.integer_rows import dot
from regions.rational.row_enclosures import EnclosedRow, RowEnclosures, enclosed_point, enclosed_sign


def all_planes(network: Network) -> range:
    table = network.max_units
    return range(network.n_units + (0 if table is None else table.pairs.shape[1]))


def assert_encloses(network: Network, domain: Domain, digits: int, seed: int) -> None:
    """Every row is within its error of the exact one, for some patterns; without digits those in floats."""
    exact = ExactNetwork(network, domain)
    start = np.column_stack([domain.basis, domain.origin])
    rows = RowEnclosures(network, start, digits) if digits else FloatRows(network, start)
    affine = [k for k, relu in enumerate(network.relu) if relu]
    rng = np.random.default_rng(seed)
    for _ in range(3):
        pattern = rng.integers(0, 2, network.n_units).astype(np.uint8).tobytes()
        for layer, width in enumerate(network.widths):
            shift = exact.shifts[affine[layer]]
            for unit in range(width):
                row = rows.row(affine[layer], pattern, unit)
                if row is None and not digits:  # of numbers beyond 2**40
                    continue
                assert row is not None
                scale = Fraction(2) ** row.power
                true = exact.unit_row(pattern, layer, unit)
                for entry, number in zip(row.entries, true, strict=True):
                    assert abs(entry * scale - Fraction(int(number), 1 << shift)) <= row.error * scale


@examples(40)
@given(
    case=sloped(float_networks()) | rational_networks(),
    digits=st.sampled_from([0, 1, 2, 5, 8]),
    seed=st.integers(0, 9),
)
def test_the_exact_row_is_inside(case: Case, digits: int, seed: int) -> None:
    assert_encloses(network_of(case), box_of(case), digits, seed)


@pytest.mark.parametrize("power", [-320, -60, 0, 60, 320])
@pytest.mark.parametrize("digits", [2, 5])
def test_the_exact_row_is_inside_at_any_size(power: int, digits: int) -> None:
    rng = np.random.default_rng(power % 97)
    weights = [
        rng.normal(size=shape) * 2.0 ** rng.integers(-40, 40, shape) for shape in ((4, 5), (5, 4), (2, 5))
    ]
    biases = [np.ldexp(rng.normal(size=len(w)), k * power) for w, k in zip(weights, (1, -1, 0), strict=True)]
    weights[0] *= 2.0**power
    network = Network.from_arrays(weights, biases)
    assert_encloses(network, random_plane(5, 1), digits, 0)


@pytest.mark.parametrize("seed", range(6))
def test_differences_of_candidates_are_those_of_max_units(seed: int) -> None:
    case = random_max_case(seed)
    network, box = case.network(), case.box()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layer_matrices, "MOST_MATRIX_ENTRIES", 0)
        exact = ExactNetwork(network, box)
    pattern = np.random.default_rng(seed).integers(0, 2, network.n_units).astype(np.uint8).tobytes()
    assert exact.encloses > 0
    for plane in all_planes(network):
        true = [int(x) for x in exact.plane_row(pattern, plane)]
        row = exact.enclosed_plane_row(pattern, plane, 0)
        assert row is not None
        largest = max(range(len(true)), key=lambda k: abs(true[k]))
        if true[largest] == 0:
            assert all(abs(entry) <= row.error for entry in row.entries)
            continue
        scale = Fraction(true[largest], row.entries[largest])
        scale = Fraction(2) ** round(np.log2(float(scale)))  # the power of two between the two scales
        for entry, number in zip(row.entries, true, strict=True):
            assert abs(entry * scale - number) <= row.error * scale


ROWS = st.lists(st.integers(-40, 40), min_size=3, max_size=3)


@examples(200)
@given(
    rows=st.lists(ROWS, min_size=3, max_size=3), errors=st.lists(st.integers(0, 3), min_size=3, max_size=3)
)
def test_a_sign_holds_for_all_rows_within_the_errors(rows: list[list[int]], errors: list[int]) -> None:
    enclosed = [EnclosedRow(tuple(row), error) for row, error in zip(rows, errors, strict=True)]
    sign = enclosed_sign(enclosed[0], enclosed[1:])
    point = enclosed_point(enclosed[1:])
    rng = np.random.default_rng(sum(map(sum, rows)) % 1000)
    for _ in range(20 if sign or point else 0):
        moved = [
            [8 * x + int(k) for x, k in zip(row, rng.integers(-8 * e, 8 * e + 1, 3), strict=True)]
            for row, e in zip(rows, errors, strict=True)
        ]
        vertex = solve_vertex(moved[1:])
        value = dot(moved[0], vertex)
        assert not sign or (value > 0) - (value < 0) == sign
        if point is not None:
            for x, y in zip(vertex, point[0], strict=False):
                assert abs(Fraction(int(x), int(vertex[-1])) - Fraction(y)) <= Fraction(point[1])


def test_parallel_planes_leave_everything_open() -> None:
    one, two = EnclosedRow((3, 0, 1), 0), EnclosedRow((6, 0, 5), 0)
    assert enclosed_sign(one, [one, two]) == 0 and enclosed_point([one, two]) is None


def deep(seed: int, width: int = 4, layers: int = 5) -> Network:
    """A network whose error bounds grow quickly."""
    rng = np.random.default_rng(seed)
    shapes = [(width, 12), *[(width, width)] * (layers - 1), (1, width)]
    return Network.from_arrays(
        [rng.normal(size=s) for s in shapes], [0.3 * rng.normal(size=s[0]) for s in shapes]
    )


@pytest.mark.sweep(1)
@pytest.mark.parametrize("seed", range(3))
def test_cells_do_not_depend_on_how_open_questions_are_answered(
    monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    network, plane = deep(seed), random_plane(12, seed)
    expected = count_cells(network, plane).cells
    monkeypatch.setattr(layer_matrices, "MOST_MATRIX_ENTRIES", 0)
    monkeypatch.setattr(tree_rows, "MOST_TERMS", 0)  # else exact rows are taken at once
    asked: list[tuple[Any, bool]] = []
    original = exact_signs.ExactSigns._enclosed

    def enclosed(self: Any, memory: Any, k: int, key: bytes, plane: int | None, labels: list[int]) -> bool:
        found = original(self, memory, k, key, plane, labels)
        asked.append((plane, found))
        return found

    monkeypatch.setattr(exact_signs.ExactSigns, "_enclosed", enclosed)
    monkeypatch.setattr(FloatRows, "_found", lambda *_: None)
    monkeypatch.setattr(ErrorNorms, "path", lambda *_: None)
    for largest, precisions in product((2.0**-60, 2.0**-12), ((5, 8), (1,))):
        monkeypatch.setattr("regions.rational.affine_maps.ENCLOSED_DIGITS", precisions)
        monkeypatch.setattr(vertex_search, "LARGEST_WHERE_EXACT_IS_SLOW", largest)
        asked.clear()
        again = Network(network.operators, network.biases, network.relu)
        assert count_cells(again, plane).cells == expected > 10
        if largest < 2.0**-50:
            assert asked and all(found for _, found in asked) is (precisions[0] > 2)


@pytest.mark.parametrize("seed", range(3))
def test_norms_and_floats_answer_and_leave_the_cells_as_they_are(
    monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    network, plane = deep(seed, layers=12), random_plane(12, seed)
    expected = count_cells(network, plane).cells
    monkeypatch.setattr(layer_matrices, "MOST_MATRIX_ENTRIES", 0)
    monkeypatch.setattr(tree_rows, "MOST_TERMS", 0)  # else exact rows are taken at once
    monkeypatch.setattr(vertex_search, "LARGEST_WHERE_EXACT_IS_SLOW", 2.0**-44)
    met = {"tightened": 0, "rows": 0}
    original, found = ErrorsOnPath.errors, FloatRows._found

    def errors(self: ErrorsOnPath, layer: int) -> Any:
        result = original(self, layer)
        # never below what a float may be off: the exact row is within
        assert (result > 0.0).all()
        met["tightened"] += 1
        return result

    def row(self: FloatRows, *given: Any) -> Any:
        met["rows"] += 1
        return found(self, *given)

    monkeypatch.setattr(ErrorsOnPath, "errors", errors)
    monkeypatch.setattr(FloatRows, "_found", row)
    again = Network(network.operators, network.biases, network.relu)
    assert count_cells(again, plane).cells == expected
    assert met["tightened"] and met["rows"]


@examples(60)
@given(
    n=st.integers(1, 12), m=st.integers(1, 12), seed=st.integers(0, 999), power=st.sampled_from([-30, 0, 30])
)
def test_norms_are_bounds_and_good_ones(n: int, m: int, seed: int, power: int) -> None:
    rng = np.random.default_rng(seed)
    matrix = np.ldexp(rng.normal(size=(n, m)) * (rng.random((n, m)) < 0.7), power)
    bound = spectral_bound(matrix)
    # the exact product of a unit vector of small integers is at most the bound
    for x in rng.integers(-9, 10, (5, m)):
        image = [sum(Fraction(a) * int(b) for a, b in zip(row, x, strict=True)) for row in matrix.tolist()]
        assert sum(y * y for y in image) <= Fraction(bound) ** 2 * int(x @ x)
    true = float(np.linalg.norm(matrix, 2))
    assert true <= bound <= 1.6 * true + 1e-270


@examples(60)
@given(seed=st.integers(0, 999), d=st.integers(1, 4))
def test_radii_hold_for_all_rows_within_the_errors(seed: int, d: int) -> None:
    rng = np.random.default_rng(seed)
    rows, errors = rng.integers(-9, 10, (d, d + 1)).astype(np.float64), rng.random(d) / 64
    point = rng.normal(size=d)
    radius = radius_of(point, rows, errors)
    if not np.isfinite(radius):
        return
    # an error of a row, all of it in the constant
    moved = rows.copy()
    moved[:, -1] += errors * rng.choice([-1.0, 1.0], d)
    *vertex, w = solve_vertex([[int(x * 2**60) for x in row] for row in moved.tolist()])
    for x, y in zip(vertex, point.tolist(), strict=True):
        assert abs(Fraction(int(x), int(w)) - Fraction(y)) <= Fraction(radius)


def test_kept_maps_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_enclosures, "MOST_BYTES", 4000)
    network, plane = deep(0), random_plane(12, 0)
    start = np.column_stack([plane.basis, plane.origin])
    limited = RowEnclosures(network, start, 5)
    rng = np.random.default_rng(0)
    for _ in range(10):
        pattern = rng.integers(0, 2, network.n_units).astype(np.uint8).tobytes()
        assert limited.row(4, pattern, 3) == RowEnclosures(network, start, 5).row(4, pattern, 3)
    assert sum(kept.digits.nbytes for kept in limited._maps.values()) <= 4000
