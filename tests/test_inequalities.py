"""Laws of the paper's inequalities: closed forms, the exact local complexity, wrong constants are seen."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from networks import cube, network_on_box, pulled_back, random_plane
from numpy.testing import assert_allclose
from scipy.stats import norm as normal

from regions.density import GaussianDensity, UniformDensity
from regions.domain import Box
from regions.errors import InvalidInputError
from regions.network.relu_network import Network
from regions.validation.inequalities import Inequality, check_inequalities, compare_sides
from regions.validation.local_complexity import exact_local_complexity, with_bias_noise

NAMES = ["corollary 3, upper", "corollary 3, lower", "theorem 5", "theorem 5, lower", "theorem 7"]


def check(network, domain, sigma, seed, *, density=None, eps=0.1, eta=1.0, n_bias=16, **options):
    density = UniformDensity(domain) if density is None else density
    rng = np.random.default_rng(seed)
    return check_inequalities(
        network, domain, density, sigma, eps=eps, eta=eta, n_bias=n_bias, rng=rng, **options
    )


def parallel_units(count):
    """Units relu(+-x) at every sign, on [-1, 1]: |z| <= 1 without noise."""
    signs = np.where(np.arange(count) % 2, 1.0, -1.0)[:, None]
    return Network.from_arrays([signs, np.ones((1, count))], [np.zeros(count), [0.0]])


def test_a_single_unit_by_hand():
    # 3 relu(2 x + b') on [-1, 1]: slope 2, C_1 = 3; breaks at -b'/2, weight 1/2 where |b'| < 2
    sigma, eta, eps = 0.8, 0.9, 0.1
    network = Network.from_arrays([[[2.0]], [[3.0]]], [[0.5], [0.0]])
    report = check(network, cube(1), sigma, 3, eps=eps, eta=eta, n_bias=50)
    noise = sigma * np.random.default_rng(3).standard_normal(50)
    active = np.clip((1.0 + (0.5 + noise) / 2.0) / 2.0, 0.0, 1.0)
    assert_allclose(report.draws.local_complexity, 0.5 * (np.abs(0.5 + noise) < 2.0), atol=1e-14)
    assert_allclose(report.draws.total_variation, 6.0 * active, atol=1e-12)
    # |2 x + 1/2| > 0.9, whatever the unit's own noise: x > 0.2 or x < -0.7
    xi = 2.0 * (0.8 + 0.3) / 2.0
    assert_allclose(report.draws.tail, xi, rtol=1e-12)
    c_bias, c_eta = normal.pdf(0.0, scale=sigma), normal.pdf(eta, scale=sigma)
    assert_allclose([report.c_bias, report.c_eta], [c_bias, c_eta])
    assert_allclose(report["corollary 3, upper"].right, 2.0 * c_bias)
    assert_allclose(report["corollary 3, lower"].left, c_eta * (2.0 - xi))
    assert_allclose(report["theorem 5"].right, c_bias * math.sqrt(4.0 + eps**2))
    assert_allclose(report["theorem 5, lower"].left, c_eta * (eps - xi))
    assert_allclose(report["theorem 7"].left, c_eta * (6.0 * active.mean() / 3.0 - xi))
    assert [one.name for one in report.inequalities] == NAMES
    assert report.holds


@pytest.mark.sweep(2)
@pytest.mark.parametrize("seed", range(10))
def test_the_inequalities_hold_on_random_networks(seed):
    dimension, widths = [(1, (4, 3)), (2, (4, 3)), (2, (5, 1, 2)), (1, (3, 2, 2)), (3, (3, 2))][seed % 5]
    network, domain = network_on_box(dimension, widths, 50 + seed)
    gaussian = seed >= 5 and dimension < 3
    density = GaussianDensity(np.full(dimension, 0.2), 0.6**2) if gaussian else None
    sigma = (0.3, 1.0)[seed % 2]
    report = check(network, domain, sigma, seed, density=density, n_bias=12)
    assert report.holds, report.table()
    for one in report.inequalities:
        assert one.left <= one.right + 4.0 * one.stderr + one.error
        assert_allclose(one.slack, one.right - one.left, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("gaussian", [False, True])
def test_its_local_complexity_is_the_exact_one_of_the_same_draws(gaussian):
    network, domain = network_on_box(2, (4, 3), 8)
    density = GaussianDensity([0.0, 0.1], 0.4) if gaussian else UniformDensity(domain)
    report = check(network, domain, 0.4, 5, density=density, n_bias=6)
    exact = exact_local_complexity(network, domain, density, 0.4, 6, np.random.default_rng(5))
    assert report.terms["LC"] == exact


def test_half_of_c_bias_is_too_little_where_the_bound_is_tight():
    # noise far wider than the pre-activations: rho is nearly C_bias at every point
    report = check(parallel_units(20), cube(1), 5.0, 0, n_bias=80)
    upper = report["corollary 3, upper"]
    assert report.holds
    assert abs(upper.slack) < 0.3 * upper.right
    halved = compare_sides(report.draws, 5.0, eps=0.1, eta=1.0, c_bias=0.5 * report.c_bias)
    assert not halved[0].holds
    assert_allclose(halved[0].right, 0.5 * upper.right)
    assert all(one.holds for one in halved[1:] if one.name.endswith("lower") or one.name == "theorem 7")


def test_half_of_c_bias_breaks_theorem_5_where_cauchy_schwarz_is_an_equality():
    report = check(parallel_units(1), cube(1), 3.0, 1, eps=0.01, n_bias=200)
    halved = compare_sides(report.draws, 3.0, eps=0.01, eta=1.0, c_bias=0.5 * report.c_bias)
    assert report["theorem 5"].holds
    assert not halved[2].holds


def test_a_lower_bound_that_forgets_the_tail_is_seen():
    # sigma small: c_eta with eta = sigma is large, and most of |z| lies beyond eta
    network = parallel_units(20)
    report = check(network, cube(1), 0.1, 2, eta=0.1, n_bias=80)
    assert report.holds
    draws = report.draws
    without = Inequality.compare("no tail", "", report.c_eta * draws.gradient_sum, draws.local_complexity)
    assert not without.holds


def test_goodness_is_judged_with_the_units_own_activation_at_zero():
    # relu(1/2 + noise - relu(x)): whether the first unit is good at activation 0 hangs on the noise alone
    network = Network.from_arrays([[[1.0]], [[-1.0]], [[1.0]]], [[0.3], [0.5], [0.0]])
    report = check(network, cube(1), 1.0, 4, n_bias=40)
    noise = np.random.default_rng(4).standard_normal((40, 2))
    assert_allclose(report.draws.not_good, 0.5 + noise[:, 1] <= 0.0, atol=1e-12)
    assert 0 < np.count_nonzero(report.draws.not_good) < 40


def sampled_not_good(network, x):
    """Units from which no path of active units leads out when they put out 0, counted at every point."""
    count = np.zeros(len(x))
    for unit in range(network.n_units):
        layer = int(np.searchsorted(network.unit_offsets, unit, side="right")) - 1
        mine = unit - network.unit_offsets[layer]
        h, reach = x, None
        for k, (weight, bias) in enumerate(zip(network.weights, network.biases, strict=True)):
            z = h @ weight.T + bias
            reach = None if reach is None else reach @ (weight.T != 0.0)
            if not network.relu[k]:
                break
            left, right = (0.0, 1.0) if network.slopes[k] is None else network.slopes[k]
            slopes = np.where(z > 0.0, right, left)
            h = slopes * z
            if k == layer:
                h[:, mine] = 0.0
                reach = np.zeros(h.shape)
                reach[:, mine] = 1.0
            elif reach is not None:
                reach = reach * (slopes != 0.0)
        count += np.all(reach == 0.0, axis=1)
    return count


SLOPES = {
    "ReLUs": None,
    "leaky": [0.2, 0.2, 0.2, None],
    "some silent": [(3.0, 0.0), [[0.0, -1.0], [1.0, 0.0]], (-2.0, 0.0), None],
}


@pytest.mark.parametrize("slopes", SLOPES)
def test_the_measure_of_points_that_are_not_good_agrees_with_sampling(slopes):
    network, domain = network_on_box(2, (4, 2, 2), 9)
    network = Network.from_arrays(network.weights, network.biases, network.relu, slopes=SLOPES[slopes])
    report = check(network, domain, 0.7, 6, n_bias=6)
    rng, points = np.random.default_rng(6), domain.sample(20_000, np.random.default_rng(0))
    seen = 0
    for measured in report.draws.not_good:
        noisy = with_bias_noise(network, 0.7 * rng.standard_normal(network.n_units))
        count = sampled_not_good(noisy, points)
        assert abs(count.mean() - measured) <= 4.0 * count.std() / math.sqrt(20_000) + 1e-9
        seen += measured > 0.0
    assert seen == 0 if slopes == "leaky" else seen >= 2


@pytest.mark.sweep(1)
@pytest.mark.parametrize("slopes", [0.3, "abs", (2.0, -1.0), (0.0, 5.0)])
def test_units_of_two_slopes_satisfy_the_inequalities(slopes):
    network, domain = network_on_box(2, (5, 4), 3)
    sloped = Network.from_arrays(network.weights, network.biases, network.relu, slopes=[slopes, slopes, None])
    report = check(sloped, domain, 0.4, 1, n_bias=40)
    assert report.holds
    if slopes == "abs":
        assert not report.draws.not_good.any()  # every activation reaches the output
    assert report.draws.local_complexity.min() > 0.0


def test_the_steepest_slope_belongs_to_the_constant_of_theorem_7():
    # one unit x -> s relu(x): TV = s / 2 times what it is for ReLUs, LC is the same
    draws = []
    for slope in (1.0, 100.0):
        network = Network.from_arrays([[[1.0]], [[1.0]]], [[0.0], [0.0]], slopes=[(0.0, slope), None])
        report = check(network, cube(1), 0.5, 0, n_bias=20)
        assert report.holds
        draws.append(report.draws)
    assert_allclose(draws[1].lipschitz, 100.0 * draws[0].lipschitz)
    assert_allclose(draws[1].total_variation, 100.0 * draws[0].total_variation)
    assert_allclose(draws[1].local_complexity, draws[0].local_complexity)
    without = compare_sides(replace(draws[1], lipschitz=draws[0].lipschitz), 0.5, eps=0.1, eta=1.0)
    assert not without[4].holds


def test_the_terms_are_those_of_the_slice():
    network, _ = network_on_box(5, (4, 2), 12)
    domain = random_plane(5, 2)
    pulled, box = pulled_back(network, domain)
    a, b = check(network, domain, 0.5, 7, n_bias=4), check(pulled, box, 0.5, 7, n_bias=4)
    for one, other in zip(a.inequalities, b.inequalities, strict=True):
        assert_allclose([one.left, one.right], [other.left, other.right], rtol=1e-8)


def test_a_mass_below_one_scales_the_uniform_terms():
    # uniform on twice the segment: every integral over [-1, 1] is halved, B and LC too
    network, box = network_on_box(1, (3, 2), 14)
    wide = UniformDensity(Box([-3.0], [1.0]))
    a, b = check(network, box, 0.5, 9), check(network, box, 0.5, 9, density=wide)
    for one, other in zip(a.inequalities, b.inequalities, strict=True):
        assert_allclose([one.left, one.right], [2 * other.left, 2 * other.right], rtol=1e-10)


def test_reports_print_and_go_to_json(tmp_path):
    report = check(parallel_units(2), cube(1), 1.0, 0, n_bias=4)
    report.save(tmp_path / "report.json")
    plain = json.loads((tmp_path / "report.json").read_text())
    assert [one["name"] for one in plain["inequalities"]] == NAMES
    assert plain["terms"]["TV"] == report.terms["TV"].to_dict()
    assert plain["holds"] is True
    table = report.table()
    assert all(name in table for name in [*NAMES, "TV", "LR_0", "xi_eta"])
    assert {line.count("yes") for line in table.splitlines()[5:10]} == {1}
    with pytest.raises(InvalidInputError, match="cannot write"):
        report.save(tmp_path / "none" / "report.json")
    with pytest.raises(InvalidInputError, match="no inequality"):
        report["theorem 8"]


def test_progress_goes_up_to_one():
    seen = []
    check(*network_on_box(2, (3, 2), 1), 0.5, 0, n_bias=3, progress=lambda *at: seen.append(at))
    fractions = [fraction for _, fraction in seen]
    assert fractions == sorted(fractions)
    assert seen[-1] == (3, 1.0)


def test_what_cannot_be_compared_is_refused():
    network, segment = parallel_units(2), cube(1)
    for bad in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(InvalidInputError, match="sigma is"):
            check(network, segment, bad, 0)
        with pytest.raises(InvalidInputError, match="eps is"):
            check(network, segment, 1.0, 0, eps=bad)
    with pytest.raises(InvalidInputError, match="eta is"):
        check(network, segment, 1.0, 0, eta=-1.0)
    with pytest.raises(InvalidInputError, match="n_bias is"):
        check(network, segment, 1.0, 0, n_bias=1)
    with pytest.raises(InvalidInputError, match="no ReLU"):
        check(Network.from_arrays([[[1.0]]], [[0.0]]), segment, 1.0, 0)
    with pytest.raises(InvalidInputError, match="TRUNCATED"):
        check(*network_on_box(2, (6, 4), 13), 0.1, 0, max_cells=3)
    with pytest.raises(InvalidInputError, match="coordinates"):
        check(network, segment, 1.0, 0, density=UniformDensity(cube(2)))


def test_constants_are_the_largest_over_layers():
    # 2, 3 and 5 times x + a large bias: J_1 = 2, J_2 = 6, C_1 = 15, C_2 = 5, nothing ever inactive
    network = Network.from_arrays([[[2.0]], [[3.0]], [[5.0]]], [[50.0], [50.0], [0.0]])
    report = check(network, cube(1), 1.0, 0, eps=0.1, n_bias=3)
    assert_allclose(report["theorem 5"].right, report.c_bias * 2 * math.sqrt(36.0 + 0.01))
    # L TV / max C = 2 * 30 / 15, and every pre-activation is beyond eta: xi = 2 + 6
    assert_allclose(report["theorem 7"].left, report.c_eta * (4.0 - 8.0))
    assert_allclose(report["theorem 5, lower"].left, report.c_eta * (0.2 - 8.0))
