"""Sums over cells and faces of networks with max units: those of single points, in floats and fractions."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from max_networks import fractions_pattern, random_max_case
from numpy.testing import assert_allclose

from regions import Box, Network, UniformDensity, enumerate_cells, sum_over_cells
from regions.analysis.cell_sums.jacobians import forward_maps, rest_maps, unpack_states
from regions.analysis.linear_regions import count_regions
from regions.analysis.linear_regions.exact_geometry import ExactGeometry
from regions.analysis.linear_regions.faces import face_lattice
from regions.analysis.locus import locus_volume
from regions.errors import InvalidNetworkError
from regions.validation.inequalities import check_inequalities
from regions.validation.tracking import track
from regions.validation.tracking.records import QUANTITIES


def centre(geometry: ExactGeometry, face: tuple[int, ...]) -> list[Fraction]:
    points = [[Fraction(x, own[-1]) for x in own[:-1]] for own in (geometry.points[k] for k in face)]
    return [sum(own, Fraction(0)) / len(points) for own in zip(*points, strict=True)]


@pytest.mark.sweep(8, 20)
@pytest.mark.parametrize("seed", range(40))
def test_faces_have_the_patterns_of_their_points(seed: int) -> None:
    case = random_max_case(seed, dimension=2)
    cells = enumerate_cells(case.network(), case.box())
    geometry = ExactGeometry(cells)
    lattice = face_lattice(cells, geometry=geometry)
    seen = set()
    for faces, patterns in zip(lattice.faces, lattice.active, strict=True):
        for face, active in zip(faces, patterns, strict=True):
            expected = fractions_pattern(case, centre(geometry, face))
            assert [bool(active >> k & 1) for k in range(len(expected))] == expected
            seen.add(tuple(expected))
    counts = {
        kind: count_regions(cells, kind)
        for kind in ("activation", "cell", "convex", "open", "closed", "affine")
    }
    assert counts["activation"].upper == len(seen) == lattice.n_activation_patterns
    bounds = [(found.lower, found.upper) for found in counts.values()]
    assert all(b[0] <= a[1] for a, b in pairwise(bounds))


def test_a_tie_is_the_first_ones_and_makes_no_pattern() -> None:
    # of max(x, y, 0) all ties go to an earlier one; relu(max(x, y)) is 0 on lines and not elsewhere
    square = Box([-1.0, -1.0], [1.0, 1.0])
    three = Network.from_arrays([[[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]], [np.zeros(3)], maxima=[3])
    assert count_regions(enumerate_cells(three, square), "activation").upper == 3
    folded = Network.from_arrays(
        [np.eye(2), [[1.0], [-1.0]], [[1.0, 1.0]]], [np.zeros(2), np.zeros(2), [0.0]], maxima=[2, None, None]
    )
    cells = enumerate_cells(folded, square)
    # the winner, times the sign of the maximum; where that is 0 neither unit is active, on two lines
    assert count_regions(cells, "cell").upper == 4
    assert count_regions(cells, "activation").upper == 6


@pytest.mark.sweep(4)
@pytest.mark.parametrize("seed", range(20))
def test_jacobians_and_sums_are_those_of_points(seed: int) -> None:
    case = random_max_case(seed, dimension=2)
    network, box = case.network(), case.box()
    cells = enumerate_cells(network, box)
    sums = sum_over_cells(cells, eps=1e-6)
    assert sums.mass == pytest.approx(1.0)
    states = unpack_states(cells, slice(0, cells.n_cells))
    forward, rest = forward_maps(network, box, states), rest_maps(network, states)
    variation, gradients = 0.0, np.zeros(network.n_units)
    lipschitz = np.zeros(len(network.widths))
    for k, mass in enumerate(sums.cell_mass.tolist()):
        A, _ = network.affine_map(states[k])
        assert_allclose(forward.output[k if len(forward.output) > 1 else 0], A, atol=1e-12)
        variation += mass * float(np.linalg.norm(A))
        rows = np.concatenate([a for a, _ in network.unit_maps(states[k])])
        gradients += mass * np.linalg.norm(rows, axis=1)
        relu = np.flatnonzero(network.relu)
        for layer, G in enumerate(rest.jacobians):
            G = G[k if len(G) > 1 else 0]
            sizes = network.maxima[relu[layer]]
            starts = np.arange(G.shape[1]) if sizes is None else np.cumsum(sizes) - sizes
            lipschitz[layer] = max(lipschitz[layer], float(np.linalg.norm(G[:, starts], 2)))
    assert sums.total_variation == pytest.approx(variation)
    assert_allclose(sums.unit_gradients, gradients, atol=1e-12)
    assert_allclose(sums.lipschitz, lipschitz, atol=1e-12)


def test_what_a_max_unit_puts_out_is_one_number() -> None:
    # 3 max(x, -x): the rest has the Lipschitz constant 3, however many candidates there are
    network = Network.from_arrays([[[1.0], [-1.0], [1.0]], [[3.0]]], [np.zeros(3), [0.0]], maxima=[3, None])
    box = Box([-1.0], [1.0])
    sums = sum_over_cells(enumerate_cells(network, box), UniformDensity(box), eps=0.01)
    assert sums.lipschitz.tolist() == [3.0]
    assert sums.c_grad.tolist() == [pytest.approx(np.sqrt(3.0))]
    assert sums.total_variation == pytest.approx(3.0)
    assert sums.not_good.tolist() == [0.0] * 3


def test_a_training_is_recorded() -> None:
    network, box = random_max_case(3, dimension=2).network(), Box([-1.0, -1.0], [1.0, 1.0])
    rng = np.random.default_rng(0)
    tracker = track(network, box, every=1, rng=rng, records=QUANTITIES, n_bias=2, n_samples=50)
    (record,) = tracker.history.records
    cells = enumerate_cells(network, box)
    assert record.cells == cells.n_cells
    assert record.locus == pytest.approx(locus_volume(cells, UniformDensity(box)).total)
    assert record.local_complexity is not None and record.local_complexity.stderr >= 0.0
    assert list(record.estimates) == ["co-area"]


def test_the_inequalities_say_why_they_are_not_checked() -> None:
    network, box = random_max_case(3, dimension=2).network(), Box([-1.0, -1.0], [1.0, 1.0])
    with pytest.raises(InvalidNetworkError, match="nothing is proven for them"):
        check_inequalities(
            network, box, UniformDensity(box), 0.1, eps=0.1, eta=1.0, n_bias=2, rng=np.random.default_rng(0)
        )
