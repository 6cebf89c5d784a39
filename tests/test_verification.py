"""The exact check of a result passes what is right, and fails on any result that was tampered with."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from judging import complex_of
from strategies import CONCURRENT_LINES, Case, examples, folding, random_case, rational_networks

from regions.analysis.verification import verify
from regions.complexes import CellComplex, FacetTable
from regions.domain import Box
from regions.enumeration.enumerate import enumerate_cells
from regions.errors import CertificateError, InvalidInputError
from regions.network.relu_network import Network


@pytest.fixture(scope="module")
def generic() -> CellComplex:
    return complex_of(random_case(2, (8, 8), seed=1))


def folded(folds: int) -> CellComplex:
    """Lines through one point, unfolded so many times."""
    weights, biases, relu = folding(2, folds, CONCURRENT_LINES)
    return enumerate_cells(Network.from_arrays(weights, biases, relu), Box([0, 0], [1, 1]))


@pytest.fixture(scope="module")
def degenerate() -> CellComplex:
    return folded(2)


@pytest.fixture(params=["generic", "degenerate"])
def cells(request: pytest.FixtureRequest) -> CellComplex:
    return request.getfixturevalue(request.param)


def keep_rows(table: FacetTable, keep: Any) -> FacetTable:
    columns = {column.name: getattr(table, column.name) for column in fields(FacetTable)}
    return FacetTable(**{name: None if column is None else column[keep] for name, column in columns.items()})


def with_facets(cells: CellComplex, **columns: Any) -> CellComplex:
    return replace(cells, facets=replace(cells.facets, **columns))


def without_cell(cells: CellComplex, gone: int, *, facets_too: bool) -> CellComplex:
    """A complex that lacks a cell, its facets with it or turned into boundary."""
    keep = np.arange(cells.n_cells) != gone
    table = cells.facets
    a, b = table.cell_a.copy(), table.cell_b.copy()
    rows = a != gone
    if facets_too:
        rows &= b != gone
    n_facets = cells.n_facets.copy()
    for row in np.flatnonzero((a == gone) | (b == gone)):
        for other in {int(a[row]), int(b[row])} - {gone, -1}:
            n_facets[other] -= int(not rows[row])
    b[b == gone] = -1
    a[a > gone] -= 1
    b[b > gone] -= 1
    arrays = {name: getattr(cells, name)[keep] for name in ("patterns", "volumes", "centroids", "witnesses")}
    return replace(
        cells,
        **arrays,
        n_vertices=cells.n_vertices[keep],
        n_facets=n_facets[keep],
        facets=keep_rows(replace(table, cell_a=a, cell_b=b), rows),
        rings=None,
    )


def assert_fails(cells: CellComplex, reason: str) -> None:
    with pytest.raises(CertificateError, match=reason):
        verify(cells)
    report = verify(cells, strict=False)
    assert not report.ok and report.n_failures > 0 and not report.proven


def test_right_results_pass(cells: CellComplex) -> None:
    report = verify(cells)
    assert report.ok and not report.failures
    assert report.cells_checked == cells.n_cells and report.facets_checked == len(cells.facets)
    assert any("no cell is missing" in text for text in report.proven)


@examples(60)
@given(rational_networks())
def test_degenerate_networks_pass(case: Case) -> None:
    assert verify(complex_of(case)).ok


@pytest.mark.sweep(1)
def test_one_cell_removed_fails(cells: CellComplex) -> None:
    for gone in (0, cells.n_cells // 2, cells.n_cells - 1):
        assert_fails(without_cell(cells, gone, facets_too=True), "not listed")
        assert_fails(without_cell(cells, gone, facets_too=False), "not listed")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["generic", "degenerate"])
def test_one_pattern_bit_flipped_fails(name: str) -> None:
    cells = complex_of(random_case(2, (5, 4), seed=1)) if name == "generic" else folded(1)
    for cell in range(0, cells.n_cells, max(1, cells.n_cells // 3)):
        for unit in range(cell % 3, cells.network.n_units, 3):
            patterns = cells.patterns.copy()
            patterns[cell, unit // 8] ^= np.uint8(1 << unit % 8)
            assert not verify(replace(cells, patterns=patterns), strict=False).ok


def test_two_patterns_swapped_fails(cells: CellComplex) -> None:
    patterns = cells.patterns.copy()
    patterns[[0, 1]] = patterns[[1, 0]]
    assert not verify(replace(cells, patterns=patterns), strict=False).ok


def test_a_cell_listed_twice_fails(cells: CellComplex) -> None:
    patterns = cells.patterns.copy()
    patterns[1] = patterns[0]
    assert not verify(replace(cells, patterns=patterns), strict=False).ok


@pytest.mark.sweep(1)
def test_any_facet_dropped_fails(cells: CellComplex) -> None:
    for row in range(0, len(cells.facets), max(1, len(cells.facets) // 3)):
        dropped = replace(cells, facets=keep_rows(cells.facets, np.arange(len(cells.facets)) != row))
        assert_fails(dropped, "0 rows list it")


def test_a_facet_listed_twice_fails(cells: CellComplex) -> None:
    rows = np.append(np.arange(len(cells.facets)), 0)
    assert_fails(replace(cells, facets=keep_rows(cells.facets, rows)), "2 rows list it")


def test_swapped_cells_or_a_wrong_side_fail(cells: CellComplex) -> None:
    row = int(np.flatnonzero(cells.facets.interior)[0])
    a, b = cells.facets.cell_a.copy(), cells.facets.cell_b.copy()
    a[row], b[row] = b[row], a[row]
    assert_fails(with_facets(cells, cell_a=a, cell_b=b), "active side")
    outer = int(np.flatnonzero(~cells.facets.interior)[0])
    side = cells.facets.side.copy()
    side[outer] = (side[outer] + 1) % 4
    assert not verify(with_facets(cells, side=side), strict=False).ok


def test_a_wrong_unit_fails(generic: CellComplex) -> None:
    for row in np.flatnonzero(generic.facets.interior)[:5]:
        unit = generic.facets.unit.copy()
        unit[row] = (unit[row] + 1) % 8
        assert_fails(with_facets(generic, unit=unit), "does not flip")


def test_a_wrong_jump_fails(generic: CellComplex) -> None:
    jump = generic.facets.jump.copy()
    row = int(np.flatnonzero(generic.facets.interior & (jump > 0))[0])
    jump[row] = 0.0
    assert_fails(with_facets(generic, jump=jump), "the affine maps differ")


def test_wrong_vertex_and_facet_numbers_fail(generic: CellComplex) -> None:
    for name in ("n_vertices", "n_facets"):
        counts = getattr(generic, name).copy()
        counts[3] += 1
        assert not verify(replace(generic, **{name: counts}), strict=False).ok


def test_a_witness_that_is_elsewhere_fails(generic: CellComplex) -> None:
    for wrong in (generic.witnesses[5], [np.nan, np.nan]):
        witnesses = generic.witnesses.copy()
        witnesses[2] = wrong
        assert_fails(replace(generic, witnesses=witnesses), "the witness of cell 2")


def test_a_witness_that_only_rounding_puts_outside_is_repaired(generic: CellComplex) -> None:
    witnesses = generic.witnesses.copy()
    for cell in (2, 4):
        corner = generic.vertices(cell)[0]
        witnesses[cell] = corner + 1e-13 * (corner - generic.centroids[cell])
    report = verify(replace(generic, witnesses=witnesses))
    assert report.ok and [repair.cell for repair in report.repairs] == [2, 4]
    assert all(repair.rounded_inside for repair in report.repairs)
    found = generic.locate(np.array([repair.rounded for repair in report.repairs]))
    assert found.tolist() == [2, 4]


def test_listings_by_programs_without_volumes_pass() -> None:
    for options in ({"volumes": False}, {"volumes": np.random.default_rng(0)}, {}):
        report = verify(complex_of(random_case(2, (4, 3), seed=1), engine="lp", **options))
        assert report.ok and any("no cell is missing" in text for text in report.proven)


def test_a_truncated_result_passes_and_claims_no_completeness() -> None:
    part = complex_of(random_case(2, (8, 8), seed=1), max_cells=20)
    report = verify(part)
    assert report.ok and not any("no cell is missing" in text for text in report.proven)
    assert any("completeness is not claimed" in text for text in report.unchecked)


def test_a_sample_says_what_it_did_not_check(generic: CellComplex, rng: np.random.Generator) -> None:
    report = verify(generic, max_cells=5, rng=rng)
    assert report.ok and report.cells_checked == 5
    assert not any("no cell is missing" in text for text in report.proven)
    assert f"{generic.n_cells - 5} cells" in report.unchecked[0]
    with pytest.raises(InvalidInputError):
        verify(generic, max_cells=5)
    with pytest.raises(InvalidInputError):
        verify(generic, max_cells=0, rng=rng)


def test_a_saved_result_verifies(generic: CellComplex, tmp_path: Any) -> None:
    generic.save(tmp_path / "cells.regions")
    assert verify(CellComplex.load(tmp_path / "cells.regions")).ok


def test_progress_ends_with_everything(generic: CellComplex) -> None:
    calls: list[tuple[int, float]] = []
    verify(generic, progress=lambda done, fraction: calls.append((done, fraction)))
    assert calls[-1] == (generic.n_cells, 1.0)
