"""Laws of relative bias noise: rescaling units leaves it as it is, and estimates agree with exact values."""

from __future__ import annotations

import numpy as np
import pytest
from networks import maxout, random_network
from numpy.testing import assert_allclose

from regions.density import GaussianDensity, UniformDensity
from regions.domain import Box
from regions.errors import InvalidInputError
from regions.estimators import (
    Coarea,
    CroftonLines,
    FiniteShell,
    Target,
    UnnormalisedCoarea,
    local_complexity,
    unit_spreads,
)
from regions.network.relu_network import Network
from regions.validation.inequalities import check_inequalities
from regions.validation.local_complexity import ValidationReport, exact_local_complexity, validate, z_score
from regions.validation.tracking import track
from regions.validation.unit_scaling import over_spreads

BOX = Box([-1.0, -1.0], [1.0, 1.0])
UNIFORM = UniformDensity(BOX)


def rescaled(network, factors):
    """The same function: the units of each hidden layer times factors, undone by the next layer."""
    weights, biases = [np.array(w) for w in network.weights], [np.array(b) for b in network.biases]
    start = 0
    for layer, width in enumerate(network.widths):
        own = factors[start : start + width]
        weights[layer] *= own[:, None]
        biases[layer] *= own
        weights[layer + 1] /= own
        start += width
    return Network(weights, biases, network.relu, slopes=network.slopes, maxima=network.maxima)


def pair(seed=0, widths=(2, 5, 4, 1)):
    """A network, and the same function with every unit rescaled by up to a factor of 4."""
    network = random_network(seed, widths)
    factors = 4.0 ** np.random.default_rng(seed).uniform(-1.0, 1.0, network.n_units)
    return network, rescaled(network, factors), factors


def test_spreads_grow_with_their_units():
    network, other, factors = pair()
    assert_allclose(
        unit_spreads(other, UNIFORM, BOX), factors * unit_spreads(network, UNIFORM, BOX), rtol=1e-9
    )


def test_spread_of_a_first_layer_is_that_of_the_density():
    density = GaussianDensity([0.3, -0.2], [0.5, 0.8])
    network = random_network(1, (2, 6, 1))
    found = unit_spreads(network, density)
    wanted = np.sqrt(np.einsum("ij,j,ij->i", network.weights[0], [0.5, 0.8], network.weights[0]))
    assert_allclose(found, wanted, rtol=0.05)


def test_spread_of_a_unit_that_never_varies_is_its_value():
    network = Network.from_arrays([[[0.0], [0.0], [2.0]], [[1.0, 1.0, 1.0]]], [[-3.0, 0.0, 5.0], [0.0]])
    found = unit_spreads(network, UniformDensity(Box([-1.0], [1.0])))
    assert found[:2].tolist() == [3.0, 1.0]
    assert found[2] == pytest.approx(2 / np.sqrt(3), rel=0.05)


def test_rescaling_changes_plain_local_complexity_and_neither_relative_nor_the_locus():
    network, other, _ = pair()
    exact = {}
    for noise in ("absolute", "relative"):
        exact[noise] = [
            exact_local_complexity(one, BOX, UNIFORM, 0.5, 12, np.random.default_rng(3), noise=noise).mean
            for one in (network, other)
        ]
    assert exact["relative"][1] == pytest.approx(exact["relative"][0], rel=1e-9)
    assert abs(exact["absolute"][1] / exact["absolute"][0] - 1.0) > 0.02
    locus = [
        exact_local_complexity(one, BOX, UNIFORM, 0.0, 2, 0, noise="relative").mean
        for one in (network, other)
    ]
    assert locus[1] == pytest.approx(locus[0], rel=1e-9)


@pytest.mark.parametrize(
    "make", [Coarea, CroftonLines, lambda sigma, noise: FiniteShell(0.01, sigma, noise=noise)]
)
def test_rescaling_leaves_estimates_under_relative_noise_as_they_are(make):
    network, other, _ = pair(2)
    relative, plain = (
        [make(0.5, noise=noise).estimate(one, UNIFORM, 5, 400, domain=BOX).mean for one in (network, other)]
        for noise in ("relative", "absolute")
    )
    assert relative[1] == pytest.approx(relative[0], rel=1e-9)
    assert plain[1] != pytest.approx(plain[0], rel=1e-3)


def test_relative_noise_is_plain_noise_where_all_units_spread_by_one():
    network, _, _ = pair(4)
    even = rescaled(network, 1.0 / unit_spreads(network, UNIFORM, BOX))
    exact = [
        exact_local_complexity(one, BOX, UNIFORM, 0.3, 6, np.random.default_rng(0), noise=noise).mean
        for one, noise in ((network, "relative"), (even, "absolute"))
    ]
    assert exact[0] == pytest.approx(exact[1], rel=1e-9)


@pytest.mark.parametrize(
    "network",
    [
        random_network(5, (2, 6, 4, 1)),
        maxout(6, 2, (4, 2), 2),
        Network.from_arrays(
            [np.ones((3, 2)), np.eye(3)], [np.zeros(3), np.ones(3)], [True, True], slopes=[0.1, "abs"]
        ),
    ],
    ids=["relu", "maxout", "units last"],
)
def test_units_over_their_spreads_are_the_same_function_with_spreads_of_one(network):
    even = over_spreads(network, unit_spreads(network, UNIFORM, BOX))
    points = np.random.default_rng(0).normal(size=(40, 2))
    assert_allclose(even.forward(points), network.forward(points), rtol=1e-10, atol=1e-12)
    assert_allclose(unit_spreads(even, UNIFORM, BOX), 1.0, rtol=1e-9)


def sides(network, noise):
    """Both sides of all inequalities and every term, of the same draws."""
    report = check_inequalities(network, BOX, UNIFORM, 0.4, eps=0.2, eta=0.6, n_bias=4, rng=3, noise=noise)
    assert report.holds
    terms = [one.mean for one in report.terms.values()]
    return np.array(terms + [side for one in report.inequalities for side in (one.left, one.right)]), report


def test_rescaling_leaves_every_term_of_the_inequalities_under_relative_noise_as_it_is():
    network, other, _ = pair(3, (2, 4, 3, 1))
    (relative, report), (again, _) = (sides(one, "relative") for one in (network, other))
    assert_allclose(again, relative, rtol=1e-8, atol=1e-11)
    exact = exact_local_complexity(network, BOX, UNIFORM, 0.4, 4, 3, noise="relative")
    assert report.terms["LC"].mean == pytest.approx(exact.mean, rel=1e-9)
    assert "sigma 0.4 of the spread" in report.table()
    plain, changed = (sides(one, "absolute")[0] for one in (network, other))
    assert np.mean(np.abs(changed / plain - 1.0) > 0.02) > 0.5


def recorded(network, noise):
    """All exact numbers of a record that a scale could change, of the same random numbers."""
    record = track(
        network, BOX, every=1, rng=0, records="all", noise=noise, eps=0.3, n_bias=3, n_samples=300,
        radius=0.1, points=[[0.3, -0.2], [-0.7, 0.4]],
    ).history.records[0]  # fmt: skip
    assert record.local_complexity.n == 3
    layered = (record.local_rank_by_layer, record.c_grad_by_layer, record.lipschitz_by_layer)
    means = (
        record.local_complexity,
        record.cell_distance,
        record.boundary_distance,
        *record.estimates.values(),
    )
    plain = (record.cells, record.locus, record.activation_locus, record.total_variation)
    return np.concatenate([plain, *layered, [one.mean for one in means]])


def test_rescaling_leaves_every_record_under_relative_noise_as_it_is():
    network, other, _ = pair(2, (2, 5, 4, 3))
    relative, again = (recorded(one, "relative") for one in (network, other))
    assert_allclose(again, relative, rtol=1e-8)
    plain, changed = (recorded(one, "absolute") for one in (network, other))
    assert np.count_nonzero(np.abs(changed / plain - 1.0) > 1e-3) >= 4


@pytest.mark.sweep(2)
@pytest.mark.parametrize("kind", ["gradient", "activation"])
@pytest.mark.parametrize(
    "network",
    [random_network(5, (2, 6, 4, 1)), maxout(6, 2, (4, 2), 2)],
    ids=["relu", "maxout"],
)
def test_estimates_under_relative_noise_agree_with_the_exact_value(network, kind):
    exact = exact_local_complexity(network, BOX, UNIFORM, 0.2, 60, 7, kind=kind, noise="relative")
    estimate = local_complexity(network, UNIFORM, 0.2, 4000, 8, domain=BOX, kind=kind, noise="relative")
    assert abs(z_score(estimate, exact)) < 4
    lines = CroftonLines(0.2, kind, "relative").estimate(network, UNIFORM, 9, 2000, domain=BOX)
    assert abs(z_score(lines, exact)) < 4
    assert exact.stderr < 0.08 * exact.mean


def test_validation_says_which_noise_it_was(tmp_path):
    network = random_network(0, (2, 3, 1))
    how = {"sigma": 0.3, "n_samples": 50, "n_bias": 3, "noise": "relative", "rng": 0}
    report = validate(local_complexity, network, BOX, UNIFORM, **how)
    assert "sigma 0.3 of the spread" in report.table()
    report.save(tmp_path / "report.json")
    assert ValidationReport.load(tmp_path / "report.json").noise == "relative"


def test_command_takes_relative_noise(run, tmp_path):
    path = tmp_path / "net.npz"
    random_network(0, (2, 3, 1)).save(path)
    few = ["--budgets", "20", "--seeds", "2", "--exact-draws", "2"]
    code, out, _ = run("compare", path, "--box", "-1", "1", *few, "--noise", "relative", "--sigma", "0.1")
    assert code == 0
    assert "sigma 0.1 of the spread" in out
    few = ["--bias-draws", "2", "--sigma", "0.1", "--noise", "relative"]
    code, out, _ = run("inequalities", path, "--box", "-1", "1", *few)
    assert code == 0
    assert "sigma 0.1 of the spread" in out


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda: Coarea(0.1, noise="twice"), "noise is 'twice'; give 'absolute' or 'relative'"),
        (lambda: CroftonLines(0.1, noise="twice"), "noise is 'twice'"),
        (lambda: FiniteShell(0.1, noise="twice"), "noise is 'twice'"),
        (lambda: UnnormalisedCoarea(0.1, noise="relative"), "has no such"),
        (lambda: Target("number of cells", noise="relative"), "noise is 'relative'"),
        (
            lambda: exact_local_complexity(pair()[0], BOX, UNIFORM, 0.1, 2, 0, noise="twice"),
            "noise is 'twice'",
        ),
        (lambda: track(pair()[0], BOX, every=1, rng=0, noise="twice"), "noise is 'twice'"),
        (
            lambda: check_inequalities(pair()[0], BOX, UNIFORM, 0.1, eps=0.1, rng=0, noise="twice"),
            "noise is 'twice'",
        ),
        (
            lambda: unit_spreads(pair()[0], GaussianDensity([90.0, 0.0], 1.0), BOX),
            "0 of 4,096 points of the density lie in the domain",
        ),
    ],
)
def test_wrong_noise_is_named(wrong, says):
    with pytest.raises(InvalidInputError, match=says):
        wrong()
