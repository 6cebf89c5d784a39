"""Laws of checks of networks with max units: what is TRUNCATED, whole spaces, and the independent proof."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from max_networks import MaxCase, pooling, random_max_case

from regions import Box, CellComplex, Network, Polyhedron, WholeSpace, count_cells, enumerate_cells, verify
from regions.analysis.independent import Proof, prove

SEEDS = range(24)


def truncated(case: MaxCase, **options: Any) -> CellComplex | None:
    """About half of the cells; None where there is one only."""
    network, box = case.network(), case.box()
    cells = count_cells(network, box).cells
    return enumerate_cells(network, box, max_cells=cells // 2, **options) if cells > 1 else None


def proof_of(cells: CellComplex, folder: Path) -> Proof:
    cells.save(folder / "cells.regions")
    return prove(str(folder / "cells.regions"))


@pytest.mark.sweep(6, 30)
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("options", [{}, {"engine": "lp"}, {"engine": "lp", "volumes": False}])
def test_a_truncated_list_is_verified(seed: int, options: dict[str, Any]) -> None:
    cells = truncated(random_max_case(seed), **options)
    if cells is not None:
        assert cells.status.name == "TRUNCATED"
        report = verify(cells)
        assert report.ok and report.facets_checked == len(cells.facets)


def unlisted_twins(cells: CellComplex) -> list[tuple[int, int]]:
    """Pairs of rows of one cell towards unlisted cells on one max unit."""
    table = cells.facets
    rows: dict[tuple[int, ...], list[int]] = {}
    for row in np.flatnonzero(table.cell_b == -2).tolist():
        rows.setdefault((table.cell_a[row], table.layer[row], table.unit[row]), []).append(row)
    return [(same[0], same[1]) for same in rows.values() if len(same) > 1]


@pytest.mark.parametrize("dimension", [2, 3])
def test_facets_of_one_max_unit_are_told_apart(dimension: int) -> None:
    rng = np.random.default_rng(3)
    network = Network.from_arrays([rng.normal(size=(8, dimension))], [0.1 * rng.normal(size=8)], maxima=[8])
    cells = enumerate_cells(network, Box([-1.0] * dimension, [1.0] * dimension), max_cells=1)
    twins = unlisted_twins(cells)
    assert twins and verify(cells).ok
    for name in ("volume", "place"):
        column = getattr(cells.facets, name).copy()
        column[list(twins[0])] = column[list(twins[0])[::-1]]
        wrong = replace(cells, facets=replace(cells.facets, **{name: column}))
        assert not verify(wrong, strict=False).ok, name


@pytest.mark.sweep(8)
@pytest.mark.parametrize("seed", SEEDS)
def test_whole_spaces_are_listed_and_verified(seed: int) -> None:
    case = random_max_case(seed, dimension=1 + seed % 3)
    network, space = case.network(), WholeSpace(1 + seed % 3)
    cells = enumerate_cells(network, space)
    assert cells.status.name == "COMPLETE" and cells.n_cells == count_cells(network, space).cells
    assert verify(cells).ok
    if cells.n_cells > 1:
        assert verify(enumerate_cells(network, space, max_cells=cells.n_cells // 2)).ok


@pytest.mark.sweep(1)
@pytest.mark.parametrize("seed", range(6))
def test_half_spaces_are_too(seed: int) -> None:
    network = random_max_case(seed, dimension=2).network()
    half = Polyhedron([[1.0, 0.5]], [0.25])
    cells = enumerate_cells(network, half)
    assert cells.n_cells == count_cells(network, half).cells and verify(cells).ok


def test_a_facet_wrongly_unbounded_is_noticed() -> None:
    cells = enumerate_cells(pooling(2, 2, 1), WholeSpace(2))
    assert cells.n_cells == 2 and verify(cells).ok
    wrong = replace(cells, facets=replace(cells.facets, volume=np.ones(len(cells.facets))))
    assert not verify(wrong, strict=False).ok


@pytest.mark.sweep(8)
@pytest.mark.parametrize("seed", SEEDS)
def test_lists_are_proven_independently(tmp_path: Path, seed: int) -> None:
    case = random_max_case(seed)
    cells = enumerate_cells(case.network(), case.box())
    proof = proof_of(cells, tmp_path)
    assert proof.proven and f"exactly these {cells.n_cells} cells" in proof.lines[-1]
    assert cells.network.digest() in proof.lines[0]
    if cells.n_cells > 1:
        rest = truncated(case)
        assert rest is not None
        assert "not proven: completeness" in proof_of(rest, tmp_path).lines[-1]


def test_wrong_winners_are_refuted(tmp_path: Path) -> None:
    # the candidates x, x and -x: the second one never wins
    layers = [[[1.0], [1.0], [-1.0]], [[1.0]]], [[0.0] * 3, [0.0]]
    network = Network.from_arrays(*layers, maxima=[3, None])
    cells = enumerate_cells(network, Box([-1.0], [1.0]))
    assert sorted(cells.patterns[:, 0].tolist()) == [1, 4] and proof_of(cells, tmp_path).proven
    for pattern, words in ((2, "tied everywhere"), (0, "no winner"), (5, "no winner"), (1, "listed twice")):
        patterns = cells.patterns.copy()
        patterns[patterns == 4] = pattern
        if pattern == 2:
            patterns = np.where(cells.patterns == 1, 2, cells.patterns).astype(np.uint8)
        proof = proof_of(replace(cells, patterns=patterns), tmp_path)
        assert not proof.proven and words in proof.lines[-1]
