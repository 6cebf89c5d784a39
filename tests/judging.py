"""What tests of enumerations share: cases as networks and boxes, the exact oracle, comparisons with it."""

from __future__ import annotations

from typing import Any

import numpy as np
from naive import NaiveComplex, naive_complex
from networks import network_on_box, problem_of
from strategies import Case

from regions.complexes.cell_complex import CellComplex
from regions.domain import Domain
from regions.enumeration.enumerate import enumerate_cells
from regions.network.relu_network import Network


def complex_of(case: Case, **options: Any) -> CellComplex:
    return enumerate_cells(*problem_of(case), **options)


def random_complex(dimension: int, widths: tuple[int, ...], seed: int = 0, **options: Any) -> CellComplex:
    return enumerate_cells(*network_on_box(dimension, widths, seed), **options)


def solve_naively(network: Network, domain: Domain) -> NaiveComplex:
    return naive_complex(
        network.weights,
        network.biases,
        network.relu,
        domain.halfspaces,
        domain.origin,
        domain.basis,
        network.slopes,
    )


def pattern_tuples(found: CellComplex) -> list[tuple[bool, ...]]:
    return [tuple(row) for row in np.asarray(found.unpacked_patterns(), dtype=bool).tolist()]


def assert_same_combinatorics(found: CellComplex, truth: NaiveComplex) -> None:
    """Cells, facets, and which facets have a jump; sizes are floats and not compared."""
    patterns = pattern_tuples(found)
    assert len(patterns) == len(set(patterns))
    assert set(patterns) == set(truth.patterns)
    number = {pattern: i for i, pattern in enumerate(truth.patterns)}
    index = [number[pattern] for pattern in patterns]
    table = found.facets
    jumps = {}
    for k in np.flatnonzero(table.interior):
        a, b = index[table.cell_a[k]], index[table.cell_b[k]]
        jumps[min(a, b), max(a, b)] = bool(table.jump[k] > 0.0)
    assert len(jumps) == table.interior.sum()
    assert jumps == {(facet.a, facet.b): facet.squared_jump != 0 for facet in truth.facets}
    assert found.certificate.proven
