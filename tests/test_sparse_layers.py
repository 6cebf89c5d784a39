"""Laws of layers stored by their non-zeros: the same cells, facets, jumps and exact maps as dense ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from max_networks import random_max_case
from networks import box_of, random_plane
from scipy import sparse
from strategies import Case, examples, float_networks, rational_networks, sloped

from regions import Network, Slice, UniformDensity, count_cells, enumerate_cells
from regions.analysis.cell_sums.jacobians import forward_maps, rest_maps
from regions.complexes.cell_complex import CellComplex
from regions.domain import Box, Domain
from regions.estimators import Coarea, CroftonLines, CrossPolytope, DistinctPatterns, FiniteShell
from regions.estimators.forward_passes import Chain
from regions.estimators.products import without_false_entries
from regions.network import layer_matrices
from regions.rational import ExactNetwork, exact_jumps, map_residues
from regions.rational.tree_rows import units_behind


@contextmanager
def by_non_zeros() -> Iterator[None]:
    """Store all matrices by their non-zeros, and take exact maps row by row, however small they are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layer_matrices, "SMALLEST_SPARSE", 1)
        patch.setattr(layer_matrices, "DENSITY", 0)
        patch.setattr(layer_matrices, "MOST_MATRIX_ENTRIES", 0)
        yield


def both_forms(case: Case) -> tuple[Network, Network]:
    """A network with its matrices dense, and the same by their non-zeros."""
    weights = [np.where(w == 0.0, 0.0, w) for w in case.weights]  # no negative zeros
    dense = Network.from_arrays(weights, case.biases, case.relu, slopes=case.slopes)
    with by_non_zeros():
        other = Network.from_arrays(weights, case.biases, case.relu, slopes=case.slopes)
    assert not any(map(sparse.issparse, dense.operators)) and all(map(sparse.issparse, other.operators))
    assert dense == other
    return dense, other


def convolution_of(seed: int, channels: int = 2, length: int = 12) -> Network:
    """A one-dimensional convolutional network with bands of weights of 16 bits."""
    rng = np.random.default_rng(seed)
    numbers = iter(np.round(rng.normal(size=4096) * 2**12) / 2**14)
    weights, width = [], length
    for n in (channels * length, channels * length, 3):
        band = np.abs(np.arange(n)[:, None] % length - np.arange(width) % length) <= 1
        weights.append(np.where(band if n != 3 else True, [[next(numbers) for _ in range(width)]] * n, 0.0))
        width = n
    biases = [np.array([next(numbers) for _ in range(w.shape[0])]) for w in weights]
    return Network.from_arrays(weights, biases)


def assert_same_complexes(one: CellComplex, two: CellComplex) -> None:
    order = [np.lexsort(c.patterns.T) for c in (one, two)]
    np.testing.assert_array_equal(one.patterns[order[0]], two.patterns[order[1]])
    np.testing.assert_allclose(one.volumes[order[0]], two.volumes[order[1]], rtol=1e-9)
    assert len(one.facets) == len(two.facets)
    np.testing.assert_allclose(np.sort(one.facets.jump), np.sort(two.facets.jump), rtol=1e-6, atol=1e-12)


@pytest.mark.kernels
@examples(12)
@given(case=sloped(float_networks()) | rational_networks(max_dimension=2))
@pytest.mark.parametrize("engine", ["cells", "lp"])
def test_cells_facets_and_jumps_do_not_depend_on_how_weights_are_stored(case: Case, engine: str) -> None:
    dense, other = both_forms(case)
    assert_same_complexes(
        enumerate_cells(dense, box_of(case), engine=engine),
        enumerate_cells(other, box_of(case), engine=engine),
    )


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.kernels
def test_a_plane_through_convolutions_has_the_same_cells(seed: int) -> None:
    dense, plane = convolution_of(seed), random_plane(12, seed)
    with by_non_zeros():
        other = Network(dense.operators, dense.biases, dense.relu)
    assert all(map(sparse.issparse, other.operators))
    counts = [count_cells(network, plane, engine="both").cells for network in (dense, other)]
    assert counts[0] == counts[1] > 10
    assert_same_complexes(enumerate_cells(dense, plane), enumerate_cells(other, plane))


def same_exact_maps(dense: Network, other: Network, domain: Domain, pattern: Any) -> None:
    matrices = ExactNetwork(dense, domain)
    with by_non_zeros():
        rows = ExactNetwork(other, domain)
        assert rows.shifts == matrices.shifts and rows.output_shift == matrices.output_shift
        without = ExactNetwork(other, domain)
        without.__dict__["tree_rows"] = None  # which most of these networks have
        for layer, width in enumerate(dense.widths):
            for unit in range(width):
                row = matrices.unit_row(pattern, layer, unit)
                assert rows.unit_row(pattern, layer, unit) == row == without.unit_row(pattern, layer, unit)
        assert rows.output_integers(pattern) == matrices.output_integers(pattern)
        np.testing.assert_array_equal(
            rows.unit_floats(bytes(pattern)), matrices.unit_floats(bytes(pattern)), strict=True
        )


@examples(20)
@given(case=sloped(float_networks()))
def test_exact_maps_row_by_row_are_those_of_whole_layers(case: Case) -> None:
    dense, other = both_forms(case)
    rng = np.random.default_rng(dense.n_units)
    for _ in range(3):
        same_exact_maps(dense, other, box_of(case), rng.integers(0, 2, dense.n_units).astype(np.uint8))
    patterns = rng.integers(0, 2, (4, dense.n_units)).astype(np.bool_)
    np.testing.assert_array_equal(
        map_residues(dense, box_of(case), patterns), map_residues(other, box_of(case), patterns)
    )
    with by_non_zeros():
        jumps = exact_jumps(other, box_of(case), patterns[:2], patterns[2:])
    np.testing.assert_array_equal(jumps, exact_jumps(dense, box_of(case), patterns[:2], patterns[2:]))


def test_a_row_of_a_convolution_needs_only_what_it_sees() -> None:
    network = convolution_of(0)
    pattern = np.ones(network.n_units, np.uint8)
    with by_non_zeros():
        exact = ExactNetwork(network, random_plane(12, 0))
        exact.__dict__["tree_rows"] = None
        exact.unit_row(pattern, 1, 0)
    kept = exact._rows._kept  # type: ignore[union-attr]
    assert {layer: len(rows) for (layer, _), rows in kept.items()} == {0: 4, 1: 1}


def least_of_lines(rng: np.random.Generator, n: int) -> Network:
    """A tournament of minima of n = 2^k random lines: min(a, b) is half of a + b - |a - b|, of four units."""
    line, offset = np.round(rng.normal(size=(n, 2)), 3), np.round(rng.normal(size=n), 3)
    weights, biases = [], []
    while n > 1:
        units = np.kron(np.eye(n // 2), [[1.0, 1.0], [-1.0, -1.0], [1.0, -1.0], [-1.0, 1.0]])
        weights.append(units @ line)
        biases.append(units @ offset)
        n //= 2
        line, offset = np.kron(np.eye(n), [[0.5, -0.5, -0.5, -0.5]]), np.zeros(n)
    return Network.from_arrays([*weights, line], [*biases, offset])


def test_rows_kept_by_the_units_behind_them_are_those_of_all_units(rng: np.random.Generator) -> None:
    network, plane = least_of_lines(rng, 16), Box([-1.0, -1.0], [1.0, 1.0])
    assert units_behind(network) is not None
    with by_non_zeros():
        trees, rows = ExactNetwork(network, plane), ExactNetwork(network, plane)
    rows.__dict__["tree_rows"] = None
    assert trees.tree_rows is not None
    for _ in range(4):
        pattern = rng.integers(0, 2, network.n_units).astype(np.uint8)
        for layer, width in enumerate(network.widths):
            for unit in range(width):
                assert trees.unit_row(pattern, layer, unit) == rows.unit_row(pattern, layer, unit)


def test_the_least_of_lines_has_the_cells_of_its_smaller_form(rng: np.random.Generator) -> None:
    network, box = least_of_lines(rng, 16), Box([-3.0, -3.0], [3.0, 3.0])
    found = count_cells(network, box)
    with by_non_zeros():
        trees = count_cells(Network.from_arrays(network.weights, network.biases), box)
    assert trees.n_cells == found.n_cells == count_cells(network, box, engine="lp").n_cells
    assert trees.certificate.exact_signs == found.certificate.exact_signs > 0


def test_kept_rows_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("regions.rational.row_maps.MOST_ROWS", 100)
    network, plane = convolution_of(1), random_plane(12, 1)
    rng = np.random.default_rng(0)
    with by_non_zeros():
        exact = ExactNetwork(network, plane)
        for _ in range(50):
            pattern = rng.integers(0, 2, network.n_units).astype(np.uint8)
            same = exact.output_integers(pattern)
            assert same == ExactNetwork(network, plane).output_integers(pattern)
    assert sum(map(len, exact._rows._kept.values())) < 250  # type: ignore[union-attr]


def assert_same_estimates(dense: Network, other: Network, domain: Domain) -> None:
    for estimator in (
        *(Coarea(0.1), CroftonLines(), CroftonLines(0.1), FiniteShell(0.1)),
        *(DistinctPatterns(), CrossPolytope(0.1)),
    ):
        one, two = (
            estimator.estimate(n, UniformDensity(domain), np.random.default_rng(0), 20, domain=domain)
            for n in (dense, other)
        )
        np.testing.assert_allclose([two.mean, two.stderr], [one.mean, one.stderr], rtol=1e-9)


@examples(6)
@given(case=sloped(float_networks()) | rational_networks(max_dimension=2))
def test_estimates_do_not_depend_on_how_weights_are_stored(case: Case) -> None:
    assert_same_estimates(*both_forms(case), box_of(case))


@pytest.mark.sweep(4)
@pytest.mark.parametrize("seed", range(16))
def test_estimates_and_jacobians_of_max_units_do_not_either(seed: int) -> None:
    case = random_max_case(seed)
    dense, box = case.network(), case.box()
    with by_non_zeros():
        other = case.network()
    assert_same_estimates(dense, other, box)
    states = dense.activation_pattern(box.sample(5, np.random.default_rng(0)))
    for one, two in (
        *zip(*(forward_maps(n, box, states) for n in (dense, other)), strict=True),
        *zip(*(rest_maps(n, states) for n in (dense, other)), strict=True),
    ):
        for a, b in zip(one, two, strict=True):
            np.testing.assert_allclose(b, a, atol=1e-12)


def test_what_cancels_between_layers_is_exactly_zero() -> None:
    # 3 (0.1 x) - 0.3 x is not 0 for the floats 0.1 and 0.3, 4 (0.1 x) - 2 (0.2 x) is; rounding tells neither
    steps = [
        np.array([[0.1], [0.3], [0.2], [0.7]]),
        np.array([[3.0, -1.0, 0, 0], [4.0, 0, -2.0, 0], [0, 0, 0, 1]]),
    ]
    thirds = [
        np.array([[1.0, 1.0], [0.1, 0.2]]),
        np.array([[0.1, -1.0], [0.2, -1.0]]),
        np.array([[3.0, 1.0]]),
    ]
    for parts, zeros in ((steps, 1), (thirds, 0)):
        size = abs(parts[0])
        product = parts[0]
        for part in parts[1:]:
            product, size = part @ product, abs(part) @ size
        expected = without_false_entries(product, parts, size)
        assert (expected == 0.0).sum() == zeros
        rows = [sparse.csr_array(part) for part in parts]
        product, size = rows[0], abs(rows[0])
        for part in rows[1:]:
            product, size = part @ product, abs(part) @ size
        np.testing.assert_array_equal(without_false_entries(product, rows, size).toarray(), expected)


def test_estimators_make_no_large_dense_matrix() -> None:
    # 20,000 inputs: a dense matrix of a layer would have 4e8 entries
    n = 20_000
    shift = sparse.eye_array(n, format="csr") - sparse.eye_array(n, k=1, format="csr")
    last = sparse.csr_array(np.ones((1, n)))
    network = Network.from_arrays([shift, shift, last], [np.full(n, 0.1), np.zeros(n), [0.0]])
    directions = np.linalg.qr(np.random.default_rng(0).normal(size=(n, 2)))[0].T
    plane = Slice.around(np.zeros(n), directions, 1.0)
    chain = Chain(network, plane)
    assert all(map(sparse.issparse, (*chain.weights, *chain.transposed, *chain.sizes, *chain.supports)))
    rng = np.random.default_rng(0)
    estimate = DistinctPatterns().estimate(network, UniformDensity(plane), rng, 3, domain=plane)
    assert estimate.mean == 3.0
