"""Law of public functions: what does not fit is refused, saying what came in and what to give."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import gamma

import regions
from regions import (
    Box,
    CroftonLines,
    CrossPolytope,
    DistinctPatterns,
    FiniteShell,
    GaussianDensity,
    GaussianMixtureDensity,
    Network,
    RestrictedDensity,
    Target,
    UniformBallDensity,
    UniformDensity,
)
from regions.density import from_spec
from regions.errors import InvalidInputError
from regions.estimators import local_complexity
from regions.plotting import interactive_figure, plot_cells, plot_graph

NETWORK = Network.from_arrays([[[1.0, 0.5], [0.2, 1.0]], [[1.0, 1.0]]], [[0.1, 0.0], [0.0]])
BOX = Box([-1.0, -1.0], [1.0, 1.0])
DENSITY = UniformDensity(BOX)
SETTINGS = {"sigma": 0.1, "n_samples": 10, "n_bias": 2}

# functions of network, domain, density and rng
JUDGING = {
    "local_complexity": lambda n, x, p, r: local_complexity(n, p, 0.1, 10, r, domain=x),
    "shells": lambda n, x, p, r: FiniteShell(0.1).estimate(n, p, r, 10, domain=x),
    "crofton": lambda n, x, p, r: CroftonLines().estimate(n, p, r, 10, domain=x),
    "cross": lambda n, x, p, r: CrossPolytope(0.1).estimate(n, p, r, 10, domain=x),
    "patterns": lambda n, x, p, r: DistinctPatterns().estimate(n, p, r, 10, domain=x),
    "exact_local_complexity": lambda n, x, p, r: regions.exact_local_complexity(n, x, p, 0.1, 2, r),
    "exact_value": lambda n, x, p, r: regions.exact_value(Target.locus(), n, x, p, r, 2),
    "validate": lambda n, x, p, r: regions.validate(local_complexity, n, x, p, rng=r, **SETTINGS),
    "compare": lambda n, x, p, r: regions.compare_estimators([CroftonLines()], n, x, p, rng=r, n_seeds=2),
    "inequalities": lambda n, x, p, r: regions.check_inequalities(n, x, p, 0.1, rng=r, eps=0.1),
}
DENSITIES = [
    ("uniform", "density is a str"),
    (lambda t: t, "density is a function"),
    (gamma(2.0), "density is gamma of scipy, whose integrals"),
    (None, "density is a NoneType"),
    (UniformDensity, "density is the class UniformDensity"),
]
GENERATORS = [
    (None, r"rng is None; give a seed such as 0, or numpy.random.default_rng\(0\)"),
    (-1, "rng is -1; give a seed"),
    (True, "rng is True"),
    (0.5, "rng is 0.5"),
    (np.random.RandomState(0), "rng is a RandomState"),
]


@pytest.mark.parametrize("name", JUDGING)
@pytest.mark.parametrize(("value", "says"), DENSITIES)
def test_what_is_no_density_is_refused(name, value, says):
    with pytest.raises(InvalidInputError, match=says):
        JUDGING[name](NETWORK, BOX, value, np.random.default_rng(0))


@pytest.mark.parametrize("name", JUDGING)
@pytest.mark.parametrize(("value", "says"), GENERATORS)
def test_what_is_no_generator_is_refused(name, value, says):
    with pytest.raises(InvalidInputError, match=says):
        JUDGING[name](NETWORK, BOX, DENSITY, value)


@pytest.mark.parametrize("name", JUDGING)
def test_a_seed_stands_for_its_generator(name):
    for seed in (0, np.int64(7)):
        of_seed = JUDGING[name](NETWORK, BOX, DENSITY, seed)
        of_generator = JUDGING[name](NETWORK, BOX, DENSITY, np.random.default_rng(int(seed)))
        for one, other in zip(numbers_in(of_seed), numbers_in(of_generator), strict=True):
            assert one == other


def numbers_in(found):
    """The numbers of a report, without wall times."""
    plain = found.to_dict()
    return [plain.get(name) for name in ("mean", "exact", "estimate", "z", "terms")] + [
        one["bias"] for one in plain.get("judgements", [])
    ]


@pytest.mark.parametrize("name", JUDGING)
def test_what_is_no_network_or_domain_is_refused(name):
    rng = np.random.default_rng(0)
    for value in ([[1.0]], None, "net.npz", Network):
        with pytest.raises(InvalidInputError, match="network is a"):
            JUDGING[name](value, BOX, DENSITY, rng)
    for value in ([-1.0, 1.0], "box", NETWORK):
        with pytest.raises(InvalidInputError, match="domain is a"):
            JUDGING[name](NETWORK, value, DENSITY, rng)


OF_CELLS = {
    "count_regions": regions.count_regions,
    "region_labels": lambda cells: regions.region_labels(cells, "affine"),
    "face_lattice": regions.face_lattice,
    "locus_volume": regions.locus_volume,
    "sum_over_cells": lambda cells: regions.sum_over_cells(cells, eps=0.1),
    "export_graph": lambda cells: regions.export_graph(cells, "graph.csv"),
    "gradient_tail": lambda cells: regions.gradient_tail(cells, eta=0.1),
    "cell_masses": regions.cell_masses,
    "adjacency_graph": regions.adjacency_graph,
    "to_scipy_sparse": regions.to_scipy_sparse,
    "volume_enclosures": regions.volume_enclosures,
    "verify": regions.verify,
    "plot_cells": plot_cells,
    "plot_graph": plot_graph,
    "interactive_figure": interactive_figure,
}


@pytest.mark.parametrize("name", OF_CELLS)
@pytest.mark.parametrize("value", [NETWORK, BOX, "cells.regions", None, regions.CellComplex])
def test_what_is_no_complex_is_refused(name, value):
    if name == "interactive_figure":
        pytest.importorskip("plotly")
    with pytest.raises(InvalidInputError, match=r"takes a CellComplex and got a .*enumerate_cells"):
        OF_CELLS[name](value)


def test_a_network_and_a_box_are_no_cells():
    with pytest.raises(InvalidInputError, match="takes a CellComplex and got a Network"):
        regions.count_regions(NETWORK, BOX)


@pytest.mark.parametrize(("value", "says"), [pair for pair in DENSITIES if pair[0] is not None])
def test_what_is_no_density_is_refused_by_sums_over_cells(value, says):
    cells = regions.enumerate_cells(NETWORK, BOX)
    for function in (
        lambda: regions.locus_volume(cells, value),
        lambda: regions.cell_masses(cells, value),
        lambda: regions.sum_over_cells(cells, value, eps=0.1),
        lambda: regions.gradient_tail(cells, value, eta=0.1),
        lambda: regions.conditional(value, BOX),
        lambda: regions.restricted(value, BOX),
        lambda: RestrictedDensity(value, BOX),
    ):
        with pytest.raises(InvalidInputError, match=says):
            function()


SAMPLED = [
    DENSITY,
    GaussianDensity([0.0, 0.0], 1.0),
    GaussianMixtureDensity([1.0], [[0.0, 0.0]], 1.0),
    UniformBallDensity([0.0, 0.0], 1.0),
    RestrictedDensity(GaussianDensity([0.0, 0.0], 1.0), BOX),
]


@pytest.mark.parametrize("density", SAMPLED, ids=lambda density: type(density).__name__)
def test_densities_draw_from_generators_and_seeds(density):
    assert np.array_equal(density.sample(5, 3), density.sample(5, np.random.default_rng(3)))
    for value, says in GENERATORS:
        with pytest.raises(InvalidInputError, match=says):
            density.sample(3, value)
    for n in (-1, 2.5, True, None):
        with pytest.raises(InvalidInputError, match="n is"):
            density.sample(n, np.random.default_rng(0))


class Tensor:
    """What numpy does with a torch tensor that requires grad."""

    def __array__(self, *_, **__):
        raise RuntimeError("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy()")


@pytest.mark.parametrize("value", [Tensor(), "text", [[1.0], [1.0, 2.0]], object()])
def test_what_is_no_array_of_numbers_is_refused(value):
    cells = regions.enumerate_cells(NETWORK, BOX)
    for function in (
        lambda: GaussianDensity(value, 1.0),
        lambda: GaussianDensity([0.0], value),
        lambda: GaussianMixtureDensity(value, [[0.0]], 1.0),
        lambda: GaussianMixtureDensity([1.0], value, 1.0),
        lambda: GaussianMixtureDensity.from_data(value),
        lambda: UniformBallDensity(value, 1.0),
        lambda: UniformBallDensity([0.0], value),
        lambda: DENSITY.pdf(value),
        lambda: DENSITY.integrate_simplices(value),
        lambda: plot_cells(cells, points=value),
        lambda: regions.gradient_tail(cells, eta=0.1, shift=value),
    ):
        with pytest.raises(InvalidInputError, match="must be numbers, and is a") as raised:
            function()
        assert not isinstance(value, Tensor) or "detach" in str(raised.value)


def test_tensors_that_require_grad_are_taken_without_it():
    torch = pytest.importorskip("torch")
    mean = torch.ones(2, requires_grad=True)
    assert GaussianDensity(mean, 1.0).mean.tolist() == [1.0, 1.0]


def test_cells_are_numbered_by_whole_numbers_from_0():
    cells = regions.enumerate_cells(NETWORK, BOX)
    for i in (3.7, -1, cells.n_cells, True, None, "0"):
        for function in (cells.affine_map, cells.pattern, cells.pattern_hex, cells.vertices):
            with pytest.raises(InvalidInputError, match="give a whole number, cells start at 0"):
                function(i)
    assert cells.affine_map(np.int64(0))[0].shape == (1, 2)


@pytest.mark.parametrize("value", [True, False, 0, -1, 2.0, "3"])
def test_max_cells_is_a_whole_number_from_1(value):
    for function in (regions.count_cells, regions.enumerate_cells):
        with pytest.raises(InvalidInputError, match="max_cells="):
            function(NETWORK, BOX, max_cells=value)


@pytest.mark.parametrize("value", [0.5, True, 1, "10"])
def test_samples_are_counted_by_whole_numbers_from_2(value):
    with pytest.raises(InvalidInputError, match="n_samples is"):
        local_complexity(NETWORK, DENSITY, 0.1, value, np.random.default_rng(0), domain=BOX)


def test_a_density_to_be_named_is_named_by_text():
    with pytest.raises(InvalidInputError, match="density is a UniformDensity; expected 'uniform'"):
        from_spec(DENSITY, BOX)
    with pytest.raises(InvalidInputError, match="domain is a list"):
        UniformDensity([-1.0, 1.0])
