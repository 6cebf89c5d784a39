"""Laws of the comparison: it finds the bias, spread and coverage put in, and the flaws that are there."""

import json
import math

import numpy as np
import pytest
from networks import random_network
from numpy.testing import assert_allclose

from regions.analysis.locus import locus_volume
from regions.density import GaussianDensity, UniformDensity
from regions.domain import Box
from regions.enumeration.enumerate import count_cells, enumerate_cells
from regions.errors import InvalidInputError
from regions.estimators import (
    BoundaryDistance,
    Coarea,
    CroftonLines,
    CrossPolytope,
    DistinctPatterns,
    Estimate,
    FunctionEstimator,
    Target,
    UnnormalisedCoarea,
)
from regions.validation.comparison import Comparison, Judgement, compare_estimators
from regions.validation.exact_targets import exact_value, units_in_neighbourhood
from regions.validation.local_complexity import exact_local_complexity


@pytest.fixture
def problem():
    box = Box([-1.0, -1.0], [1.0, 1.0])
    return random_network(0, (2, 6, 4, 1)), box, UniformDensity(box)


def test_what_is_put_in_comes_out(problem):
    network, box, density = problem
    exact = locus_volume(enumerate_cells(network, box), density).total

    def skewed(network, density, rng, budget, *, domain=None):
        """Bias 0.3, true spread 1 / sqrt(budget), and a standard error stated at half of it."""
        spread = 1 / math.sqrt(budget)
        return Estimate(exact + 0.3 + spread * rng.standard_normal(), 0.5 * spread, budget)

    comparison = compare_estimators(
        [skewed],
        network,
        box,
        density,
        rng=np.random.default_rng(1),
        target=Target.locus(),
        budgets=(4, 400),
        n_seeds=1000,
    )
    few, many = comparison.judgements
    assert few.exact == Estimate(exact, 0.0, 1)
    assert (few.estimator, few.budget, many.budget) == ("skewed", 4, 400)
    for judgement, spread in ((few, 0.5), (many, 0.05)):
        assert_allclose(judgement.spread, spread, rtol=0.1)
        assert_allclose(judgement.stated, 0.5 * spread, rtol=1e-12)
        assert abs(judgement.bias - 0.3) < 4 * spread / math.sqrt(1000)
        assert_allclose(judgement.rmse, math.hypot(0.3, spread), rtol=0.1)
        low, high = judgement.bias_interval
        assert low < judgement.bias < high
        assert_allclose(high - low, 2 * 1.9623 * spread / math.sqrt(1000), rtol=0.1)
        assert judgement.z > 15
    # |0.3 + 0.5 xi| < 1.96 * 0.25 has probability 0.591
    assert abs(few.coverage - 0.591) < 4 * math.sqrt(0.591 * 0.409 / 1000)
    assert many.coverage == 0.0


def test_unbiased_estimators_cover_and_flawed_ones_do_not(problem):
    network, box, density = problem
    comparison = compare_estimators(
        [CroftonLines(), BoundaryDistance(0.1), DistinctPatterns()],
        network,
        box,
        density,
        rng=np.random.default_rng(2),
        budgets=(400,),
        n_seeds=200,
    )
    lines, distance, patterns = comparison.judgements
    assert abs(lines.z) < 4
    assert abs(lines.coverage - 0.95) < 4 * math.sqrt(0.95 * 0.05 / 200)
    assert abs(lines.z_scores.mean()) < 4 / math.sqrt(200)
    assert_allclose(lines.stated, lines.spread, rtol=0.2)
    assert distance.bias_interval[1] < 0.0
    assert distance.coverage < 0.5
    assert patterns.bias_interval[1] < 0.0
    assert patterns.exact.mean == count_cells(network, box).cells


def test_under_bias_noise_one_exact_value_judges_all(problem):
    network, box, density = problem
    estimators = [Coarea(0.05), UnnormalisedCoarea(0.05), CroftonLines(0.05)]
    comparison = compare_estimators(
        estimators, network, box, density, rng=np.random.default_rng(3), n_seeds=40, n_exact=60, most_exact=60
    )
    coarea, unnormalised, lines = comparison.judgements
    assert coarea.exact is unnormalised.exact is lines.exact
    assert coarea.exact.n == 60
    assert abs(coarea.z) < 4
    assert abs(lines.z) < 4
    # at small sigma the missing factor 1 / (sigma sqrt(2 pi)) is what counts
    assert unnormalised.bias_interval[1] < -0.5 * coarea.exact.mean


def test_the_error_falls_with_the_budget_as_a_root(problem):
    network, box, density = problem
    comparison = compare_estimators(
        [CroftonLines()], network, box, density, rng=np.random.default_rng(4), budgets=(50, 800), n_seeds=120
    )
    few, many = comparison.of("Crofton lines")
    assert_allclose(few.rmse / many.rmse, 4.0, rtol=0.25)
    assert min(few.seconds, many.seconds) > 0.0


def test_the_same_generator_state_gives_the_same_runs(problem):
    network, box, density = problem

    def runs(seed):
        comparison = compare_estimators(
            [Coarea(0.2)], network, box, density, rng=np.random.default_rng(seed), n_seeds=5, n_exact=3
        )
        return comparison.judgements[0].runs, comparison.judgements[0].exact

    first, again, other = runs(0), runs(0), runs(1)
    assert first == again
    assert first != other
    assert len(set(first[0])) == 5


def small_comparison(problem, **options):
    estimators = [CroftonLines(), CrossPolytope(0.2)]
    return compare_estimators(estimators, *problem, rng=np.random.default_rng(5), **options)


def test_the_comparison_saves_and_prints_what_it_says(problem, tmp_path):
    network, _, _ = problem
    comparison = small_comparison(problem, budgets=(50,), n_seeds=10, n_exact=10)
    comparison.save(tmp_path / "comparison.json")
    data = json.loads((tmp_path / "comparison.json").read_text())
    assert data == comparison.to_dict()
    assert data["network"] == network.describe()
    for plain, judgement in zip(data["judgements"], comparison.judgements, strict=True):
        assert plain["estimator"] == judgement.estimator
        assert plain["bias"] == judgement.bias == plain["mean"] - judgement.exact.mean
        assert (plain["bias_low"], plain["bias_high"]) == judgement.bias_interval
        assert plain["coverage"] == np.mean(np.abs(plain["z_scores"]) <= 1.959963984540054)
        assert plain["n_seeds"] == len(plain["z_scores"]) == 10
    table = str(comparison)
    assert "locus integral at fixed biases, gradient locus: exact" in table
    assert f"{comparison.judgements[1].over_seeds.mean:.5g}" in table
    assert "radius 0.2, all directions" in table
    with pytest.raises(InvalidInputError, match="cannot write"):
        comparison.save(tmp_path / "absent" / "comparison.json")
    with pytest.raises(InvalidInputError, match="there are Crofton lines, cross-polytope"):
        comparison.of("mine")


def test_a_saved_comparison_comes_back_bit_for_bit(problem, tmp_path):
    comparison = small_comparison(problem, budgets=(20, 50), n_seeds=4, n_exact=4)
    comparison.save(tmp_path / "comparison.json")
    assert Comparison.load(tmp_path / "comparison.json") == comparison


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda data: data.pop("format"), "format is None"),
        (lambda data: data.pop("judgements"), "lacks 'judgements'"),
        (lambda data: data["judgements"][0].pop("runs"), "lacks 'runs'"),
        (lambda data: data["judgements"][0].update(runs=[]), "0 runs"),
        (lambda data: data["judgements"][0].update(runs=[3, 4]), "damaged"),
        (lambda data: data["judgements"][0]["runs"][0].update(mean="much"), "damaged"),
        (lambda data: data["judgements"][0]["target_parameters"].update(quantity="beauty"), "beauty"),
        (lambda data: data["judgements"][0]["target_parameters"].update(colour=1), "damaged"),
    ],
)
def test_damaged_comparisons_are_named(tmp_path, change, says):
    runs = (Estimate(1.0, 0.1, 5), Estimate(1.2, 0.1, 5))
    data = Comparison((Judgement("e", Target.locus(), Estimate(2.0, 0.0, 1), 5, runs, 0.0),)).to_dict()
    change(data)
    path = tmp_path / "comparison.json"
    path.write_text(json.dumps(data))
    with pytest.raises(InvalidInputError, match=says):
        Comparison.load(path)
    path.write_text(path.read_text()[:-5])
    with pytest.raises(InvalidInputError, match="no JSON"):
        Comparison.load(path)
    with pytest.raises(InvalidInputError, match="cannot read"):
        Comparison.load(tmp_path / "absent.json")


@pytest.mark.parametrize(("hits", "n"), [(0, 20), (19, 20), (20, 20), (57, 60)])
def test_the_interval_of_the_coverage_has_its_binomial_tails(hits, n):
    from scipy.stats import binomtest

    runs = tuple(Estimate(2.0 if k < hits else 9.0, 0.1, 5) for k in range(n))
    judgement = Judgement("e", Target.locus(), Estimate(2.0, 0.0, 1), 5, runs, 0.0)
    known = binomtest(hits, n).proportion_ci(0.95)
    assert_allclose(judgement.coverage_interval, (known.low, known.high), rtol=1e-12)
    assert judgement.to_dict()["coverage_low"] == judgement.coverage_interval[0]


def test_progress_spans_exact_values_and_runs(problem):
    network, box, density = problem
    seen = []
    compare_estimators(
        [Coarea(0.1), CroftonLines()],
        network,
        box,
        density,
        rng=np.random.default_rng(0),
        budgets=(10, 20),
        n_seeds=3,
        n_exact=4,
        progress=lambda runs, fraction: seen.append((runs, fraction)),
    )
    assert seen == sorted(seen)
    assert max(fraction for runs, fraction in seen if runs == 0) == 0.5
    assert [runs for runs, _ in seen if runs] == list(range(1, 13))
    assert seen[-1] == (12, 1.0)


def interrupting(after):
    """An estimator that is interrupted in the run after so many."""
    runs = []

    def impatient(network, density, rng, budget, *, domain=None):
        if len(runs) == after:
            raise KeyboardInterrupt
        runs.append(budget)
        return Estimate(1.0, 0.1, budget)

    return impatient


@pytest.mark.parametrize(("after", "found"), [(5, [5]), (11, [10]), (13, [10, 3])])
def test_ctrl_c_during_the_runs_keeps_those_that_were_done(problem, tmp_path, after, found):
    network, box, density = problem
    settings = {"target": Target.locus(), "budgets": (5, 7), "n_seeds": 10}
    rng = np.random.default_rng(0)
    comparison = compare_estimators([interrupting(after)], network, box, density, rng=rng, **settings)
    assert [len(judgement.runs) for judgement in comparison.judgements] == found
    assert not comparison.complete
    assert comparison.to_dict()["status"] == "TRUNCATED"
    assert f"TRUNCATED: cut short by Ctrl-C after {sum(found)} runs" in comparison.table()
    comparison.save(tmp_path / "part.json")
    assert Comparison.load(tmp_path / "part.json") == comparison


def test_ctrl_c_before_there_is_a_result_is_passed_on(problem, monkeypatch):
    from regions.validation import draws

    network, box, density = problem
    with pytest.raises(KeyboardInterrupt):
        compare_estimators(
            [interrupting(1)], network, box, density, rng=np.random.default_rng(0), target=Target.locus()
        )
    # an enumeration takes Ctrl-C for a reason to end TRUNCATED
    monkeypatch.setattr(draws, "enumerate_cells", lambda *given, **_: enumerate_cells(*given, max_cells=3))
    with pytest.raises(KeyboardInterrupt):
        compare_estimators([CroftonLines()], network, box, density, rng=np.random.default_rng(0))


def test_values_that_are_not_finite_are_json(tmp_path):
    runs = (Estimate(1.0, 0.0, 1), Estimate(1.0, 0.0, 1))
    comparison = Comparison((Judgement("e", Target.locus(), Estimate(2.0, 0.0, 1), 5, runs, 0.0),))
    comparison.save(tmp_path / "comparison.json")
    plain = json.loads((tmp_path / "comparison.json").read_text())["judgements"][0]
    assert plain["z"] is None
    assert plain["z_scores"] == [None, None]
    assert plain["coverage"] == 0.0


@pytest.mark.parametrize("kind", ["gradient", "activation"])
def test_counterparts_of_the_locus_are_the_exact_functions(problem, kind):
    network, box, density = problem
    fixed = exact_value(Target.locus(kind=kind), network, box, density, np.random.default_rng(0), 5)
    assert fixed == Estimate(locus_volume(enumerate_cells(network, box), density, kind).total, 0.0, 1)
    noisy = exact_value(Target.locus(0.1, kind), network, box, density, np.random.default_rng(0), 5)
    rng = np.random.default_rng(0)
    assert noisy == exact_local_complexity(network, box, density, 0.1, 5, rng, kind=kind)


@pytest.mark.slow
def test_sign_changes_are_unbiased_for_one_hidden_layer_only():
    box = Box([-1.0, -1.0], [1.0, 1.0])
    density = UniformDensity(box)

    def judged(widths):
        network = random_network(3, widths)
        settings = {"rng": np.random.default_rng(6), "budgets": (300,), "n_seeds": 30, "n_exact": 400}
        return compare_estimators([CrossPolytope(1.5, 1)], network, box, density, **settings).judgements[0]

    assert abs(judged((2, 8, 1)).z) < 4
    # a zero set that bends is crossed twice between the ends
    assert judged((2, 10, 10, 10, 1)).z < -4


def test_settings_that_do_not_fit_are_refused(problem):
    network, box, density = problem
    lines = [CroftonLines()]

    def refused(match, estimators=lines, density=density, **settings):
        with pytest.raises(InvalidInputError, match=match):
            compare_estimators(estimators, network, box, density, rng=np.random.default_rng(0), **settings)

    refused("does not know seeds", seeds=3)
    refused("budgets", budgets=())
    refused("budgets", budgets=(1,))
    refused("n_seeds", n_seeds=1)
    refused("n_exact", n_exact=1)
    refused("does not say what it estimates", [lambda *a, **k: Estimate(1.0, 0.0, 1)])
    refused("neither a function", [CroftonLines])
    refused("neither a function", ["Crofton lines"])
    refused("must return an Estimate", [FunctionEstimator(lambda *a, **k: 1.0, Target.locus())])
    refused("coordinates", density=GaussianDensity([0.0], 1.0))
    refused("coordinates", [CrossPolytope(0.1)], density=GaussianDensity([0.0], 1.0))
    refused("truncates|TRUNCATED|max_cells", [DistinctPatterns()], max_cells=3)
    refused("max_cells", [CrossPolytope(2.0)], max_cells=1)
    refused("only 2 dimensions", [CrossPolytope(0.1, 3)])


def test_neighbourhoods_of_too_many_directions_are_refused():
    network = random_network(0, (7, 4, 1))
    box = Box(-np.ones(7), np.ones(7))
    with pytest.raises(InvalidInputError, match="7 directions"):
        units_in_neighbourhood(network, box, np.zeros(7), np.eye(7))
    target = CrossPolytope(0.1).target
    with pytest.raises(InvalidInputError, match="n_draws"):
        exact_value(target, network, box, UniformDensity(box), np.random.default_rng(0), 1)


def test_progress_of_neighbourhoods_ends_at_all(problem):
    network, box, density = problem
    seen = []
    exact_value(
        CrossPolytope(0.2).target,
        network,
        box,
        density,
        np.random.default_rng(0),
        4,
        progress=lambda draws, fraction: seen.append((draws, fraction)),
    )
    assert seen == [(1, 0.25), (2, 0.5), (3, 0.75), (4, 1.0)]
