"""What tests of enumerations share: cases as networks and boxes, the exact oracle, comparisons with it."""

from __future__ import annotations

import os

import numpy as np
from hypothesis import settings
from naive import NaiveComplex, naive_complex
from strategies import Case

from regions.complexes.cell_complex import CellComplex
from regions.domain import Box, Domain
from regions.network.relu_network import Network

PLAIN_PYTHON = os.environ.get("NUMBA_DISABLE_JIT") == "1"


def examples(compiled: int, plain: int) -> settings:
    """Number of examples, compiled and as plain Python."""
    return settings(max_examples=plain if PLAIN_PYTHON else compiled, deadline=None)


def network_of(case: Case) -> Network:
    return Network.from_arrays(case.weights, case.biases, case.relu)


def box_of(case: Case) -> Box:
    return Box(case.low, case.high)


def problem_of(case: Case) -> tuple[Network, Box]:
    return network_of(case), box_of(case)


def solve_naively(network: Network, domain: Domain) -> NaiveComplex:
    return naive_complex(
        network.weights, network.biases, network.relu, domain.halfspaces, domain.origin, domain.basis
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
