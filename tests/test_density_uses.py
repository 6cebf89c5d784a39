"""Every consumer of a density takes every density: exact values against estimators, sums against the mass."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from networks import cube, random_network
from numpy.testing import assert_allclose

import regions
from regions import (
    BoundaryDistance,
    Box,
    Coarea,
    CroftonLines,
    CrossPolytope,
    DistinctPatterns,
    FiniteShell,
    GaussianMixtureDensity,
    Slice,
    UniformBallDensity,
    UniformDensity,
    cell_masses,
    check_inequalities,
    conditional,
    enumerate_cells,
    exact_local_complexity,
    exact_value,
    gradient_tail,
    load_network,
    local_complexity,
    locus_volume,
    restricted,
    sum_over_cells,
)
from regions.cli import main
from regions.density import from_spec
from regions.errors import InvalidInputError

DIGITS = Path(regions.__file__).parent / "data" / "digits_64x32x32.npz"


BOX = cube(2)


def small_network(widths=(2, 6, 5, 2)):
    return random_network(0, widths, gain=1.0, bias_scale=0.3)


def densities(name):
    data = 0.6 * np.random.default_rng(5).normal(size=(40, 2))
    kernels = GaussianMixtureDensity.from_data(data, "scott")
    ball = UniformBallDensity([0.3, 0.2], 0.9)
    return {
        "kde": kernels,
        "ball": ball,
        "restricted kde": restricted(kernels, BOX),
        "restricted ball": restricted(ball, BOX),
    }[name]


names = pytest.mark.parametrize("name", ["kde", "ball", "restricted kde", "restricted ball"])
some_names = pytest.mark.parametrize("name", [pytest.param("kde", marks=pytest.mark.slow), "restricted ball"])


@pytest.mark.sweep(2)
@names
def test_the_cells_share_the_mass_of_the_domain(name):
    density, cells = densities(name), enumerate_cells(small_network(), BOX)
    inside, inside_error = density.mass(BOX)
    masses, errors = cell_masses(cells, density)
    assert abs(masses.sum() - inside) <= errors.sum() + inside_error + 1e-14
    sums = sum_over_cells(cells, density, eps=0.01)
    assert abs(sums.mass - inside) <= sums.mass_error + inside_error + 1e-14
    # with height 0 the tail is the whole integral of the gradients
    tail = gradient_tail(cells, density, eta=0.0)
    assert abs(tail.total - sums.unit_gradients.sum()) <= tail.error + 1e-7 * tail.total


@pytest.mark.sweep(2)
@names
def test_the_weighted_locus_is_what_a_fine_grid_of_points_on_it_says(name):
    density, cells = densities(name), enumerate_cells(small_network(), BOX)
    simplices, facet = cells.facet_simplices()
    wanted = (cells.facets.interior & (cells.facets.jump != 0.0))[facet]
    steps = (np.arange(4000) + 0.5) / 4000
    points = simplices[wanted, :1] + steps[:, None] * (simplices[wanted, 1:] - simplices[wanted, :1])
    lengths = np.linalg.norm(simplices[wanted, 1] - simplices[wanted, 0], axis=1)
    values = density.pdf(points.reshape(-1, 2)).reshape(len(points), -1).mean(axis=1)
    locus = locus_volume(cells, density)
    assert_allclose(locus.total, values @ lengths, rtol=1e-3 if "ball" in name else 1e-6)
    # the cubatures of the facets and of the mass have a relative tolerance of 1e-9 each
    assert locus.error < 2e-9 * locus.total
    assert locus.density == density.describe()


@pytest.mark.sweep(2)
@names
def test_coarea_estimates_agree_with_the_exact_value(name):
    density, network = densities(name), small_network()
    exact = exact_local_complexity(network, BOX, density, 0.3, 15, np.random.default_rng(1))
    estimate = local_complexity(network, density, 0.3, 40_000, np.random.default_rng(2), domain=BOX)
    assert abs(estimate.mean - exact.mean) < 4 * math.hypot(estimate.stderr, exact.stderr)


@some_names
def test_every_estimator_takes_it_and_meets_its_exact_value(name):
    density, network = densities(name), small_network()
    for estimator in (Coarea(0.3), CroftonLines(), CroftonLines(0.3), DistinctPatterns(), CrossPolytope(0.2)):
        exact = exact_value(estimator.target, network, BOX, density, np.random.default_rng(3), 30)
        estimate = estimator.estimate(network, density, np.random.default_rng(4), 2000, domain=BOX)
        if not isinstance(estimator, DistinctPatterns):  # biased by design
            assert abs(estimate.mean - exact.mean) < 4 * math.hypot(estimate.stderr, exact.stderr)
    for estimator in (FiniteShell(0.01), BoundaryDistance(0.01)):
        estimate = estimator.estimate(network, density, np.random.default_rng(4), 2000, domain=BOX)
        assert math.isfinite(estimate.mean)


@some_names
def test_the_inequalities_hold_under_it(name):
    density, network = densities(name), small_network(widths=(2, 4, 3, 1))
    rng = np.random.default_rng(0)
    report = check_inequalities(network, BOX, density, 0.3, eps=0.01, n_bias=4, rng=rng)
    assert report.density == density.describe()
    assert report.holds


def test_a_conditional_mixture_on_a_slice_through_digits():
    network = load_network(DIGITS)
    with np.load(DIGITS) as stored:
        images = stored["images"]
    domain = Slice.through(*images[:3])
    ambient = GaussianMixtureDensity.from_data(images, 0.6 * images.max())
    law = conditional(ambient, domain)
    value, error = law.mass(domain)
    assert error < 1e-7
    assert 0.0 < value < 1.0
    sure = restricted(ambient, domain)
    assert sure.mass(domain) == (1.0, 0.0)
    complex = enumerate_cells(network, domain)
    plain, whole = locus_volume(complex, law), locus_volume(complex, sure)
    assert_allclose(whole.total, plain.total / value, rtol=1e-9)
    assert_allclose(locus_volume(complex, law, normalise=True).total, whole.total, rtol=1e-9)
    sigma = 0.2
    exact = exact_local_complexity(network, domain, sure, sigma, 4, np.random.default_rng(1))
    estimate = local_complexity(network, sure, sigma, 20_000, np.random.default_rng(2), domain=domain)
    assert abs(estimate.mean - exact.mean) < 4 * math.hypot(estimate.stderr, exact.stderr)


def test_a_uniform_box_of_inputs_is_uniform_on_a_slice_inside_it():
    network = small_network(widths=(4, 6, 3))
    domain = Slice.around(np.zeros(4), ([1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0]), half_width=0.5)
    law = conditional(UniformDensity(Box(-np.ones(4), np.ones(4))), domain)
    cells = enumerate_cells(network, domain)
    inside, _ = law.mass(domain)
    assert_allclose(inside, 1.0 / (2 * math.sqrt(2)) ** 2)
    assert_allclose(cell_masses(cells, law)[0].sum(), inside)
    assert_allclose(locus_volume(cells, law).total, locus_volume(cells).total / 8.0)


@names
def test_enclosures_are_refused_with_what_to_do(name):
    cells = enumerate_cells(small_network(), BOX)
    with pytest.raises(InvalidInputError, match="leave out enclosure=True"):
        locus_volume(cells, densities(name), enclosure=True)


def test_the_command_line_weighs_a_locus_by_balls_and_kernels(tmp_path, capsys):
    path = str(tmp_path / "cells.regions")
    cells = enumerate_cells(small_network(), BOX)
    cells.save(path)
    np.save(tmp_path / "points.npy", np.random.default_rng(0).normal(size=(30, 2)))
    for spec in ("ball:radius=0.5", f"kde:{tmp_path / 'points.npy'};bandwidth=0.4;on=restricted"):
        assert main(["locus", path, "--density", spec, "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert_allclose(found["total"], locus_volume(cells, from_spec(spec, BOX)).total, rtol=1e-12)
    assert "restricted to Box" in found["density"]
    assert main(["locus", path, "--density", "kde:absent.npy"]) == 2
    assert "cannot read absent.npy" in capsys.readouterr().err
