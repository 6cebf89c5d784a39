"""Laws of the judge: estimates agree with exact values, reports say what they hold."""

import json
import math

import numpy as np
import pytest
from networks import cube, random_network, random_plane
from numpy.testing import assert_allclose
from scipy.integrate import trapezoid

from regions.analysis.locus import locus_volume
from regions.density import GaussianDensity, UniformDensity
from regions.domain import Box, Segment
from regions.enumeration.enumerate import enumerate_cells
from regions.errors import InvalidInputError
from regions.estimators import Coarea, Estimate, local_complexity
from regions.network.relu_network import Network
from regions.validation.closed_form import one_hidden_layer_local_complexity
from regions.validation.local_complexity import (
    ValidationReport,
    exact_local_complexity,
    validate,
    z_score,
)


def segment_in_five_dimensions():
    return Segment([1.0, 0.0, -1.0, 0.5, 0.0], [-1.0, 1.0, 0.5, 0.0, 1.0])


# a last layer of one or two units makes goodness matter: activation and gradient locus differ
CASES = [
    ((1, 6, 3, 1), lambda: Box([-2.0], [2.0])),
    ((1, 4, 2, 1), lambda: Box([-2.0], [2.0])),
    ((1, 3, 1, 1), lambda: Box([-1.0], [2.0])),
    ((5, 6, 4, 2), segment_in_five_dimensions),
    ((2, 6, 4, 1), lambda: Box([-1.0, -1.0], [1.0, 1.0])),
    ((2, 5, 2, 1), lambda: Box([-1.0, -2.0], [1.0, 1.0])),
    ((2, 4, 3, 3, 2), lambda: Box([-1.0, -1.0], [1.0, 1.0])),
    ((2, 4, 1, 1), lambda: Box([-1.0, -1.0], [1.0, 1.0])),
    ((6, 5, 4, 2), lambda: random_plane(6, 1)),
    ((3, 5, 1, 1), lambda: cube(3)),
    ((3, 4, 3, 2), lambda: cube(3)),
]


HALF = [  # of all: each case with either noise and either kind
    (kind, sigma, case)
    for i, kind in enumerate(["gradient", "activation"])
    for j, sigma in enumerate([0.05, 0.8])
    for case in range(len(CASES))
    if (i + j + case) % 2 == 0
]


@pytest.mark.sweep(3, 9)
@pytest.mark.parametrize(("kind", "sigma", "case"), HALF)
def test_the_estimator_agrees_with_the_exact_value(case, sigma, kind):
    widths, make = CASES[case]
    domain = make()
    network = random_network(100 + case, widths)
    uniform = case % 2 == 0
    centre = domain.vertices.mean(axis=0)
    density = UniformDensity(domain) if uniform else GaussianDensity(centre, 0.6**2)
    report = validate(
        local_complexity,
        network,
        domain,
        density,
        sigma=sigma,
        n_samples=10_000,
        # on a line the count of breaks is a small integer, whose rare changes take more draws to see
        n_bias=200 if domain.dimension == 1 else 30,
        rng=np.random.default_rng(case),
        kind=kind,
    )
    assert abs(report.z) < 4, report.table()


def test_without_noise_the_exact_value_is_the_locus_of_the_stored_biases():
    network, box = random_network(0, (2, 6, 4, 1)), Box([-1.0, -1.0], [1.0, 1.0])
    density, rng = GaussianDensity([0.0, 0.0], 0.5), np.random.default_rng(0)
    for kind in ("gradient", "activation"):
        exact = exact_local_complexity(network, box, density, 0.0, 10, rng, kind=kind)
        total = locus_volume(enumerate_cells(network, box), density, kind).total
        assert exact == Estimate(total, 0.0, 1)


def test_bias_draws_do_not_depend_on_their_number_nor_on_workers():
    network, box = random_network(0, (2, 4, 3, 1)), Box([-1.0, -1.0], [1.0, 1.0])
    density = UniformDensity(box)

    def mean(n_bias, **options):
        rng = np.random.default_rng(2)
        return exact_local_complexity(network, box, density, 0.2, n_bias, rng, **options).mean

    assert mean(3) == mean(3, workers=2)
    third = 3 * mean(3) - 2 * mean(2)
    rng = np.random.default_rng(2)
    rng.standard_normal((2, network.n_units))
    noise = np.split(0.2 * rng.standard_normal(network.n_units), network.unit_offsets[1:-1])
    biases = [network.biases[0] + noise[0], network.biases[1] + noise[1], network.biases[2]]
    noisy = Network(network.weights, biases, network.relu)
    assert_allclose(third, locus_volume(enumerate_cells(noisy, box), density).total, rtol=1e-9)


@pytest.mark.slow
def test_exact_value_of_one_hidden_layer_equals_the_closed_form():
    # so wide a box that the Gaussian has no mass outside
    network, box = random_network(3, (2, 3, 1)), Box([-9.0, -9.0], [9.0, 9.0])
    mean, cov = [0.2, -0.1], [[1.0, 0.3], [0.3, 0.6]]
    density, rng = GaussianDensity(mean, cov), np.random.default_rng(0)
    exact = exact_local_complexity(network, box, density, 0.0, 1, rng)
    assert_allclose(exact.mean, one_hidden_layer_local_complexity(network, mean, cov, 0.0), rtol=1e-9)
    noisy = exact_local_complexity(network, box, density, 0.4, 200, rng)
    closed = one_hidden_layer_local_complexity(network, mean, cov, 0.4)
    assert abs(noisy.mean - closed) < 4 * noisy.stderr


@pytest.mark.sweep(2)
@pytest.mark.parametrize("sigma", [0.1, 0.7])
@pytest.mark.parametrize("d", [1, 2])
def test_closed_form_of_one_hidden_layer_equals_quadrature(d, sigma):
    network = random_network(d, (d, 3, 1))
    rng = np.random.default_rng(d)
    factor = rng.normal(size=(d, d))
    mean, cov = rng.normal(size=d), factor @ factor.T + 0.5 * np.eye(d)
    density = GaussianDensity(mean, cov)
    W, b = network.weights[0], network.biases[0]

    # the trapezoidal rule converges faster than any power on Gaussians that have died out at the ends
    reach = 9 * np.sqrt(np.diag(cov))
    axes = [np.linspace(m - r, m + r, 1601) for m, r in zip(mean, reach, strict=True)]
    x = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, d)
    z = (x @ W.T + b) / sigma
    rho = np.exp(-0.5 * z * z) / (sigma * math.sqrt(2 * math.pi))
    values = (density.pdf(x) * (rho @ np.linalg.norm(W, axis=1))).reshape((1601,) * d)
    for axis in reversed(axes):
        values = trapezoid(values, axis)
    assert abs(one_hidden_layer_local_complexity(network, mean, cov, sigma) - values) < 1e-9


def test_closed_form_of_one_hidden_layer_agrees_with_the_estimator():
    network = random_network(4, (5, 8, 2))
    rng = np.random.default_rng(0)
    mean, cov, sigma = rng.normal(size=5), np.diag(rng.random(5) + 0.2), 0.3
    closed = one_hidden_layer_local_complexity(network, mean, cov, sigma)
    estimate = local_complexity(network, GaussianDensity(mean, cov), sigma, 50_000, rng)
    assert abs(estimate.mean - closed) < 4 * estimate.stderr


def test_closed_form_leaves_out_units_that_reach_no_output():
    network = Network.from_arrays([[[1.0], [2.0]], [[1.0, 0.0]]], [[0.0, 0.3], [0.0]])
    alone = Network.from_arrays([[[1.0]], [[1.0]]], [[0.0], [0.0]])
    values = [one_hidden_layer_local_complexity(net, 0.0, 1.0, 0.2) for net in (network, alone)]
    assert values[0] == values[1]


def test_closed_form_refuses_two_hidden_layers():
    with pytest.raises(InvalidInputError, match="one ReLU layer"):
        one_hidden_layer_local_complexity(random_network(0, (1, 2, 2, 1)), 0.0, 1.0, 0.1)


def test_the_report_saves_what_it_says(tmp_path):
    def constant(network, density, sigma, n_samples, rng, *, domain=None, kind="gradient"):
        return Estimate(1.25, 0.0, n_samples)

    network, box = random_network(0, (2, 3, 1)), Box([-1.0, -1.0], [1.0, 1.0])
    seen = []
    report = validate(
        constant,
        network,
        box,
        UniformDensity(box),
        sigma=0.1,
        n_samples=5,
        n_bias=3,
        rng=np.random.default_rng(0),
        progress=lambda draws, fraction: seen.append((draws, fraction)),
    )
    report.save(tmp_path / "report.json")
    data = json.loads((tmp_path / "report.json").read_text())
    assert data["estimate"] == {"mean": 1.25, "stderr": 0.0, "n": 5}
    assert data["exact"]["n"] == 3
    assert data["z"] == report.z == z_score(report.estimate, report.exact)
    assert data["kind"] == "gradient"
    assert data["sigma"] == 0.1
    assert set(data["seconds"]) == {"exact", "estimate"}
    assert data["estimator"] == "constant"
    assert "1.25" in report.table()
    assert seen[-1] == (3, 1.0)
    assert seen == sorted(seen)


def test_a_report_with_an_infinite_z_is_still_json(tmp_path):
    report = ValidationReport("e", "gradient", 0.0, Estimate(1, 0, 1), Estimate(2, 0, 1), math.inf, 0.0, 0.0)
    report.save(tmp_path / "report.json")
    assert json.loads((tmp_path / "report.json").read_text())["z"] is None
    with pytest.raises(InvalidInputError, match="cannot write"):
        report.save(tmp_path / "absent" / "report.json")


def test_z_is_guarded_where_nothing_was_sampled():
    assert z_score(Estimate(1.0, 0.0, 1), Estimate(1.0 + 1e-15, 0.0, 1)) == 0.0
    assert z_score(Estimate(1.0, 0.0, 1), Estimate(2.0, 0.0, 1)) == -math.inf
    assert z_score(Estimate(2.0, 0.0, 1), Estimate(1.0, 0.5, 9)) == 2.0


def test_settings_that_do_not_fit_are_refused():
    network, box = random_network(0, (2, 3, 1)), Box([-1.0, -1.0], [1.0, 1.0])
    density, rng = UniformDensity(box), np.random.default_rng(0)
    with pytest.raises(InvalidInputError, match="needs n_bias, n_samples"):
        validate(local_complexity, network, box, density, rng=rng, sigma=0.1)
    with pytest.raises(InvalidInputError, match=r"^validate does not know samples; its settings"):
        validate(
            local_complexity, network, box, density, rng=rng, sigma=0.1, n_samples=9, n_bias=3, samples=1
        )
    with pytest.raises(InvalidInputError, match="compare_estimators judges objects"):
        validate(Coarea(0.1), network, box, density, rng=rng, sigma=0.1, n_samples=9, n_bias=3)
    with pytest.raises(InvalidInputError, match="must return an Estimate"):
        validate(lambda *a, **k: 1.0, network, box, density, rng=rng, sigma=0.1, n_samples=9, n_bias=3)
    for sigma, n_bias, kind in [(-1.0, 5, "gradient"), (0.1, 1, "gradient"), (0.1, 5, "other")]:
        with pytest.raises(InvalidInputError):
            exact_local_complexity(network, box, density, sigma, n_bias, rng, kind=kind)


def test_a_saved_report_comes_back_and_damage_is_named(tmp_path):
    exact, estimate = Estimate(1.0, 0.03, 100), Estimate(1.02, 0.04, 1000)
    report = ValidationReport(
        "mine", "gradient", 0.1, exact, estimate, z_score(estimate, exact), 2.0, 0.1, "net"
    )
    report.save(tmp_path / "report.json")
    assert ValidationReport.load(tmp_path / "report.json") == report
    text = (tmp_path / "report.json").read_text()
    (tmp_path / "report.json").write_text(text.replace('"sigma"', '"stigma"'))
    with pytest.raises(InvalidInputError, match="lacks 'sigma'"):
        ValidationReport.load(tmp_path / "report.json")
