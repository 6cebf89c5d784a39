"""Laws of the other estimators: what each flawed one estimates instead, in closed form where there is one."""

import math

import numpy as np
import pytest
from networks import cube, random_network
from numpy.testing import assert_allclose
from scipy.special import ndtr

from regions.analysis.locus import locus_volume
from regions.density import GaussianDensity, UniformDensity
from regions.domain import Box, Slice
from regions.enumeration.enumerate import enumerate_cells
from regions.errors import InvalidInputError
from regions.estimators import (
    BoundaryDistance,
    BudgetedEstimator,
    Coarea,
    CroftonLines,
    CrossPolytope,
    DistinctPatterns,
    Estimate,
    FiniteShell,
    OwnNoiseCoarea,
    SampledStateCoarea,
    Target,
    UnnormalisedCoarea,
    local_complexity,
)
from regions.estimators.counts import random_frames
from regions.network.relu_network import Network
from regions.validation.closed_form import one_hidden_layer_local_complexity
from regions.validation.exact_targets import units_in_neighbourhood
from regions.validation.local_complexity import (
    exact_local_complexity,
    z_score,
)


def one_layer():
    """Four units of which the last reaches no output; and Gaussian data."""
    network = random_network(4, (3, 4, 2))
    outgoing = network.weights[1] * [1.0, 1.0, 1.0, 0.0]
    mean, cov = np.array([0.3, -0.2, 0.1]), np.diag([1.0, 0.5, 0.2])
    return Network([network.weights[0], outgoing], network.biases, network.relu), mean, cov


SHIPPED = [
    Coarea(0.1),
    UnnormalisedCoarea(0.1),
    OwnNoiseCoarea(0.1),
    SampledStateCoarea(0.1),
    CroftonLines(),
    FiniteShell(0.1),
    BoundaryDistance(0.1),
    CrossPolytope(0.1),
    DistinctPatterns(),
]


@pytest.mark.parametrize("estimator", SHIPPED, ids=lambda estimator: estimator.name)
def test_every_estimator_has_a_name_a_target_and_refuses_what_does_not_fit(estimator):
    network, density = random_network(0, (2, 4, 3, 1)), UniformDensity(cube(2))
    assert isinstance(estimator, BudgetedEstimator)
    assert isinstance(estimator.target, Target)
    first, again = (estimator.estimate(network, density, np.random.default_rng(3), 50) for _ in range(2))
    assert first == again
    assert first.n == 50
    rng = np.random.default_rng(0)
    with pytest.raises(InvalidInputError, match="n_samples"):
        estimator.estimate(network, density, rng, 1)
    with pytest.raises(InvalidInputError, match="coordinates"):
        estimator.estimate(network, UniformDensity(cube(3)), rng, 10, domain=cube(2))
    with pytest.raises(InvalidInputError, match="inputs"):
        estimator.estimate(network, density, rng, 10, domain=cube(3))


def test_names_differ():
    assert len({estimator.name for estimator in SHIPPED}) == len(SHIPPED)


@pytest.mark.parametrize("kind", ["gradient", "activation"])
def test_the_coarea_object_is_the_function(kind):
    network, density = random_network(0, (2, 4, 3, 1)), GaussianDensity([0.0, 0.0], 1.0)
    function = local_complexity(network, density, 0.2, 300, np.random.default_rng(1), kind=kind)
    assert Coarea(0.2, kind).estimate(network, density, np.random.default_rng(1), 300) == function


def test_the_unnormalised_kernel_has_its_own_closed_form():
    network, mean, cov = one_layer()
    sigma, density = 0.3, GaussianDensity(mean, cov)
    # no biases, and every unit counts
    blank = Network([network.weights[0], np.ones((1, 4))], [np.zeros(4), np.zeros(1)], network.relu)
    closed = sigma * math.sqrt(2 * math.pi) * one_hidden_layer_local_complexity(blank, mean, cov, sigma)
    true = one_hidden_layer_local_complexity(network, mean, cov, sigma)
    estimate = UnnormalisedCoarea(sigma).estimate(network, density, np.random.default_rng(0), 40_000)
    assert abs(estimate.mean - closed) < 4 * estimate.stderr
    assert abs(estimate.mean - true) > 8 * estimate.stderr


def test_noise_on_the_own_bias_doubles_its_variance():
    network, mean, cov = one_layer()
    sigma, density = 0.8, GaussianDensity(mean, cov)
    doubled = one_hidden_layer_local_complexity(network, mean, cov, math.sqrt(2) * sigma)
    true = one_hidden_layer_local_complexity(network, mean, cov, sigma)
    estimate = OwnNoiseCoarea(sigma).estimate(network, density, np.random.default_rng(0), 60_000)
    assert abs(estimate.mean - doubled) < 4 * estimate.stderr
    assert abs(estimate.mean - true) > 8 * estimate.stderr


def shut_by_its_own_output(weight):
    """A unit whose activity shuts the last unit (negative weight) or opens it (positive weight)."""
    return Network.from_arrays([[[1.0]], [[weight]], [[1.0]]], [[0.0], [-math.copysign(0.6, weight)], [0.0]])


@pytest.mark.slow
@pytest.mark.parametrize(("weight", "sign"), [(-4.0, -1), (4.0, 1)])
def test_goodness_in_the_sampled_state_is_biased_in_either_direction(weight, sign):
    network, box, sigma = shut_by_its_own_output(weight), Box([-2.0], [2.0]), 0.5
    density, rng = UniformDensity(box), np.random.default_rng(0)
    exact = exact_local_complexity(network, box, density, sigma, 700, rng)
    good = Coarea(sigma).estimate(network, density, rng, 40_000)
    sampled = SampledStateCoarea(sigma).estimate(network, density, rng, 40_000)
    assert abs(z_score(good, exact)) < 4
    assert sign * z_score(sampled, exact) > 5


def test_goodness_in_the_sampled_state_is_right_for_one_hidden_layer():
    network, mean, cov = one_layer()
    density = GaussianDensity(mean, cov)
    right, sampled = (
        cls(0.4).estimate(network, density, np.random.default_rng(2), 500)
        for cls in (Coarea, SampledStateCoarea)
    )
    assert sampled == right


def shell_in_closed_form(network, mean, cov, sigma, eps):
    """Sum over good units of P(|z_i| < eps |w_i|) / (2 eps)."""
    W, b = network.weights[0], network.biases[0]
    good = np.any(network.weights[1] != 0.0, axis=0)
    centre, spread = W @ mean + b, np.sqrt(np.einsum("ij,jk,ik->i", W, cov, W) + sigma**2)
    reach = eps * np.linalg.norm(W, axis=1)
    masses = ndtr((reach - centre) / spread) - ndtr((-reach - centre) / spread)
    return masses[good].sum() / (2 * eps)


@pytest.mark.parametrize("sigma", [0.0, 0.3])
def test_shells_have_their_closed_form_and_tend_to_the_locus(sigma):
    network, mean, cov = one_layer()
    limit = one_hidden_layer_local_complexity(network, mean, cov, sigma)
    misses = []
    for eps in (1.5, 0.5, 0.05):
        estimate = FiniteShell(eps, sigma).estimate(
            network, GaussianDensity(mean, cov), np.random.default_rng(1), 100_000
        )
        closed = shell_in_closed_form(network, mean, cov, sigma, eps)
        assert abs(estimate.mean - closed) < 4 * estimate.stderr
        misses.append((closed - limit, estimate))
    assert abs(misses[0][1].mean - limit) > 8 * misses[0][1].stderr
    assert abs(misses[0][0]) > 4 * abs(misses[1][0]) > 16 * abs(misses[2][0])
    assert abs(misses[2][1].mean - limit) < 4 * misses[2][1].stderr


def test_distance_on_a_line_is_the_length_of_the_union_of_shells():
    # breaks at -0.5, 0 and 0.1
    network = Network.from_arrays([[[2.0], [1.0], [-1.0]], [[1.0, 1.0, 1.0]]], [[1.0, 0.0, 0.1], [0.0]])
    density = UniformDensity(Box([-1.0], [1.0]))
    for eps, union in ((0.02, 0.12), (0.1, 0.5), (0.3, 1.2)):
        rng = np.random.default_rng(0)
        distance = BoundaryDistance(eps).estimate(network, density, rng, 20_000)
        shells = FiniteShell(eps).estimate(network, density, np.random.default_rng(0), 20_000)
        assert abs(distance.mean - 0.5 * union / (2 * eps)) < 4 * distance.stderr
        assert abs(shells.mean - 1.5) < 4 * shells.stderr
        assert distance.mean <= shells.mean


def distances_to_segments(points, segments):
    a, b = segments[:, 0], segments[:, 1]
    along = b - a
    s = np.einsum("psd,sd->ps", points[:, None] - a, along) / np.einsum("sd,sd->s", along, along)
    nearest = a + np.clip(s, 0.0, 1.0)[:, :, None] * along
    return np.linalg.norm(points[:, None] - nearest, axis=2).min(axis=1)


def test_distance_is_that_to_the_nearest_facet():
    network, inner, outer = random_network(6, (2, 7, 5, 2)), cube(2), Box([-3.0, -3.0], [3.0, 3.0])
    density, eps, n = UniformDensity(inner), 0.15, 1000
    estimate = BoundaryDistance(eps, kind="activation").estimate(
        network, density, np.random.default_rng(5), n
    )
    points = density.sample(n, np.random.default_rng(5))
    segments, _ = enumerate_cells(network, outer).facet_simplices()
    near = np.count_nonzero(distances_to_segments(points, segments) < eps)
    assert 0 < near < n
    assert_allclose(estimate.mean * 2 * eps * n, near, rtol=1e-12)


@pytest.mark.sweep(3)
@pytest.mark.parametrize("cls", [FiniteShell, BoundaryDistance])
@pytest.mark.parametrize("widths", [(2, 6, 4, 1), (2, 5, 1, 1), (3, 4, 3, 1)])
def test_thin_shells_agree_with_the_locus_of_deep_networks(cls, widths):
    network, box = random_network(8, widths), cube(widths[0])
    density = UniformDensity(box)
    exact = locus_volume(enumerate_cells(network, box), density).total
    estimate = cls(0.001).estimate(network, density, np.random.default_rng(1), 100_000)
    assert abs(estimate.mean - exact) < 4 * estimate.stderr
    thick = BoundaryDistance(0.1).estimate(network, density, np.random.default_rng(1), 20_000)
    assert thick.mean < exact - 8 * thick.stderr


@pytest.mark.parametrize("cls", [FiniteShell, BoundaryDistance])
def test_shells_around_units_that_reach_no_output_count_in_the_activation_locus_only(cls):
    network = Network.from_arrays([[[1.0], [2.0]], [[0.0, 0.0]]], [[0.1, 0.2], [1.0]])
    density = UniformDensity(Box([-1.0], [1.0]))
    rng = np.random.default_rng(0)
    assert cls(0.1).estimate(network, density, rng, 100).mean == 0.0
    assert cls(0.1, kind="activation").estimate(network, density, rng, 100).mean > 0.0


@pytest.mark.parametrize("directions", [0, 1, 2])
def test_sign_changes_never_exceed_the_units_that_meet_the_hull(directions):
    plane = Slice.around(np.zeros(5), directions=np.random.default_rng(1).normal(size=(2, 5)), half_width=1.0)
    network, density = random_network(3, (5, 8, 8, 6, 1)), UniformDensity(plane)
    estimator, rng = CrossPolytope(0.5, directions), np.random.default_rng(4)
    t = density.sample(40, rng)
    frames = random_frames(40, 2, directions or 2, rng)
    missed = 0
    for centre, frame in zip(t, frames, strict=True):
        vertices = np.concatenate([centre + 0.5 * frame, centre - 0.5 * frame])
        patterns = network.activation_pattern(plane.to_input(vertices))
        changed = int((patterns.any(axis=0) & ~patterns.all(axis=0)).sum())
        met = units_in_neighbourhood(network, plane, centre, 0.5 * frame)
        assert changed <= met
        missed += met - changed
    # in one direction too: a zero set of a deep unit may be crossed twice between the ends
    assert missed > 0
    same = np.random.default_rng(4)
    counted = estimator.estimate(network, density, same, 40, domain=plane)
    recomputed = np.random.default_rng(4)
    points, frames = density.sample(40, recomputed), random_frames(40, 2, directions or 2, recomputed)
    expected = []
    for centre, frame in zip(points, frames, strict=True):
        ends = plane.to_input(np.concatenate([centre + 0.5 * frame, centre - 0.5 * frame]))
        patterns = network.activation_pattern(ends)
        expected.append((patterns.any(axis=0) & ~patterns.all(axis=0)).sum())
    assert counted == Estimate.from_draws(np.array(expected, dtype=float))


@pytest.mark.parametrize("d", [2, 3])
def test_in_one_hidden_layer_sign_changes_are_the_hyperplanes_that_meet_the_hull(d):
    network, rng = random_network(2, (d, 9, 1)), np.random.default_rng(3)
    for centre, frame in zip(rng.uniform(-1, 1, (20, d)), random_frames(20, d, d, rng), strict=True):
        # the hull of x +- r v_p lies on both sides of w.x + b = 0 iff |w.x + b| < r max |w.v_p|
        z = network.weights[0] @ centre + network.biases[0]
        expected = np.count_nonzero(np.abs(z) < 0.4 * np.abs(network.weights[0] @ frame.T).max(axis=1))
        assert units_in_neighbourhood(network, cube(d), centre, 0.4 * frame) == expected


@pytest.mark.parametrize(("d", "count"), [(2, 2), (3, 1), (5, 3)])
def test_frames_are_orthonormal_and_have_no_preferred_direction(d, count):
    frames = random_frames(20_000, d, count, np.random.default_rng(0))
    gram = np.einsum("npd,nqd->npq", frames, frames)
    assert_allclose(gram, np.broadcast_to(np.eye(count), gram.shape), atol=1e-12)
    for p in range(count):
        # mean 0, second moments 1 / d
        assert np.all(np.abs(frames[:, p].mean(axis=0)) < 4 / math.sqrt(d * 20_000))
        moments = np.einsum("nd,ne->de", frames[:, p], frames[:, p]) / 20_000
        assert_allclose(moments, np.eye(d) / d, atol=4 / math.sqrt(20_000))


@pytest.mark.parametrize("n", [30, 300])
def test_distinct_patterns_miss_the_cells_that_theory_says(n):
    network, box = random_network(5, (2, 9, 6, 1)), cube(2)
    cells = enumerate_cells(network, box)
    runs = [
        DistinctPatterns().estimate(network, UniformDensity(box), np.random.default_rng(k), n)
        for k in range(200)
    ]
    seen = Estimate.from_draws(np.array([run.mean for run in runs]))
    expected = (1 - (1 - cells.volumes / box.volume) ** n).sum()
    assert abs(seen.mean - expected) < 4 * seen.stderr
    assert seen.mean < cells.n_cells - 8 * seen.stderr
    # Efron and Stein: the jackknife's variance is on average not below the true one (here, by chance)
    spread = seen.stderr * math.sqrt(200)
    assert np.mean([run.stderr**2 for run in runs]) > 0.8 * spread**2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Coarea(0.0), "sigma"),
        (lambda: UnnormalisedCoarea(math.nan), "sigma"),
        (lambda: OwnNoiseCoarea(0.1, "both"), "kind"),
        (lambda: SampledStateCoarea(0.1, "activation"), "indicator"),
        (lambda: FiniteShell(0.0), "eps"),
        (lambda: BoundaryDistance(0.1, -1.0), "sigma"),
        (lambda: BoundaryDistance(0.1, 0.0, "both"), "kind"),
        (lambda: CrossPolytope(-0.1), "radius"),
        (lambda: CrossPolytope(0.1, -1), "n_directions"),
        (lambda: Target("number of regions"), "quantity"),
        (lambda: Target("bias-averaged locus integral"), "sigma"),
        (lambda: Target("locus integral at fixed biases", sigma=0.1), "sigma"),
        (lambda: Target("number of cells", radius=0.1), "neighbourhood"),
        (lambda: Target("number of units that change sign in a neighbourhood"), "radius"),
    ],
)
def test_parameters_out_of_range_are_refused(make, message):
    with pytest.raises(InvalidInputError, match=message):
        make()


def test_more_directions_than_dimensions_are_refused():
    with pytest.raises(InvalidInputError, match="only 2 dimensions"):
        CrossPolytope(0.1, 3).estimate(
            random_network(0, (2, 3, 1)), UniformDensity(cube(2)), np.random.default_rng(0), 10
        )
