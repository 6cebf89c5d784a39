"""Laws of judging: coverage is that of the stated interval, and is judged only by a sharp exact value."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from regions import Box, Comparison, Judgement, Network, UniformDensity, ValidationReport, compare_estimators
from regions.errors import InvalidInputError
from regions.estimators import Estimate, Target

SPREAD = 0.5


def judged(exact, runs):
    return Judgement("mine", Target.locus(0.1), exact, 10, tuple(runs), 0.1)


def runs_around(mean, spread, n, seed=0):
    rng = np.random.default_rng(seed)
    return [Estimate(mean + spread * x, spread, 10) for x in rng.standard_normal(n)]


def test_a_biased_estimator_does_not_cover_an_exact_value_of_two_draws():
    # a bias of -16 % that was said to cover 100 %, because the exact value's error was added to each run's
    row = judged(Estimate(1.0, 0.2, 2), runs_around(0.84, 0.01, 200))
    assert row.coverage == 0.0
    assert not row.coverage_is_judged
    assert row.coverage_range[1] > 0.0  # at exact - 2 errors it might cover
    assert "?" in Comparison((row,)).table() and "cannot be judged" in Comparison((row,)).table()


def test_an_error_common_to_all_runs_does_not_make_them_cover():
    truth, runs = 1.0, runs_around(1.0, 0.1, 4000)
    for shift, judgeable in ((0.0, True), (0.1, False)):
        # an exact value that is off by one of its own standard errors, as it is one time in three
        row = judged(Estimate(truth + shift, shift, 100), runs)
        assert row.coverage_is_judged is judgeable
        low, high = row.coverage_range
        # at its true value, which is within 2 errors, the runs cover as they state
        assert low - 0.02 <= 0.95 <= high + 0.02
    assert abs(judged(Estimate(truth, 0.0, 1), runs).coverage - 0.95) < 4 * math.sqrt(0.95 * 0.05 / 4000)


@given(
    st.floats(-3.0, 3.0),
    st.floats(0.0, 3.0),
    st.lists(st.tuples(st.floats(-3.0, 3.0), st.floats(1e-3, 2.0)), min_size=2, max_size=9),
)
def test_coverage_depends_on_the_exact_value_alone_and_lies_in_its_range(mean, error, pairs):
    runs = [Estimate(value, stated, 10) for value, stated in pairs]
    row, sharp = judged(Estimate(mean, error, 50), runs), judged(Estimate(mean, 0.0, 1), runs)
    assert row.coverage == sharp.coverage
    expected = np.mean([abs(run.mean - mean) <= 1.959963984540054 * run.stderr for run in runs])
    assert row.coverage == expected
    assert row.coverage_range[0] <= row.coverage <= row.coverage_range[1]
    assert sharp.coverage_is_judged
    for k in np.linspace(-2.0, 2.0, 9):
        truth = mean + k * error
        within = judged(Estimate(truth, 0.0, 1), runs).coverage
        # rounding may decide about an interval that ends at the very value
        ends = sum(
            math.isclose(abs(run.mean - mean - k * error), 1.959963984540054 * run.stderr) for run in runs
        )
        assert row.coverage_range[0] <= within + ends / len(runs)
        assert row.coverage_range[1] >= within - ends / len(runs)
    assert row.coverage_is_judged == (error <= 0.1 * row.stated)
    if not row.coverage_is_judged:
        enough = Estimate(mean, error * math.sqrt(50 / row.draws_to_judge), math.ceil(row.draws_to_judge))
        assert_allclose(enough.stderr, 0.1 * row.stated, rtol=1e-9)


@given(st.lists(st.floats(-1e3, 1e3), min_size=2), st.lists(st.floats(-1e3, 1e3), min_size=2))
def test_pooled_estimates_are_those_of_all_draws(first, second):
    pooled = Estimate.from_draws(np.array(first)).pooled(Estimate.from_draws(np.array(second)))
    whole = Estimate.from_draws(np.array(first + second))
    assert pooled.n == whole.n
    assert_allclose([pooled.mean, pooled.stderr], [whole.mean, whole.stderr], rtol=1e-9, atol=1e-9)


def compare_with_noisy_truth(monkeypatch, **settings):
    """An honest estimator of 1, judged by an exact value whose draws scatter as much as its runs."""
    asked = []

    def exact_value(target, problem, stream, n, *_):
        asked.append(n)
        return Estimate.from_draws(1.0 + stream.standard_normal(n))

    def honest(network, density, rng, budget, *, domain=None):
        return Estimate(1.0 + SPREAD * rng.standard_normal(), SPREAD, budget)

    monkeypatch.setattr("regions.validation.comparison.drawn_value", exact_value)
    box = Box([-1.0], [1.0])
    problem = Network.from_arrays([[[1.0]], [[1.0]]], [[0.0], [0.0]]), box, UniformDensity(box)
    found = compare_estimators(
        [honest], *problem, rng=np.random.default_rng(1), target=Target.locus(0.1), n_seeds=400, **settings
    )
    return found, asked


def test_exact_values_are_drawn_until_coverage_can_be_judged(monkeypatch):
    found, asked = compare_with_noisy_truth(monkeypatch, n_exact=20, most_exact=1000)
    (row,) = found.judgements
    assert row.coverage_is_judged and row.exact.stderr <= 0.1 * SPREAD
    assert row.exact.n == sum(asked) <= 1000
    assert abs(row.coverage - 0.95) < 4 * math.sqrt(0.95 * 0.05 / 400) + 0.01
    assert "?" not in found.table()
    plain = row.to_dict()
    assert plain["coverage_is_judged"] and plain["coverage_range"] == list(row.coverage_range)


def test_exact_values_that_would_take_too_many_draws_get_none(monkeypatch):
    found, asked = compare_with_noisy_truth(monkeypatch, n_exact=20, most_exact=100)
    assert asked == [20] and not found.judgements[0].coverage_is_judged
    assert "coverage cannot be judged" in found.table() and "draws would do" in found.table()


def test_fewer_draws_than_the_first_are_refused(monkeypatch):
    with pytest.raises(InvalidInputError, match="most_exact is 5; give at least n_exact, 20"):
        compare_with_noisy_truth(monkeypatch, n_exact=20, most_exact=5)


def test_ctrl_c_while_exact_values_are_sharpened_keeps_the_runs(monkeypatch):
    calls = []

    def exact_value(target, problem, stream, n, *_):
        calls.append(n)
        if len(calls) > 1:
            raise KeyboardInterrupt
        return Estimate.from_draws(1.0 + stream.standard_normal(n))

    def honest(network, density, rng, budget, *, domain=None):
        return Estimate(1.0 + SPREAD * rng.standard_normal(), SPREAD, budget)

    monkeypatch.setattr("regions.validation.comparison.drawn_value", exact_value)
    box = Box([-1.0], [1.0])
    problem = Network.from_arrays([[[1.0]], [[1.0]]], [[0.0], [0.0]]), box, UniformDensity(box)
    found = compare_estimators(
        [honest],
        *problem,
        rng=np.random.default_rng(1),
        target=Target.locus(0.1),
        n_seeds=50,
        n_exact=20,
        most_exact=1000,
    )
    assert len(calls) == 2 and not found.complete
    assert len(found.judgements[0].runs) == 50 and found.judgements[0].exact.n == 20


@given(st.floats(0.0, 1.0), st.floats(1e-6, 1.0))
def test_a_validation_says_the_smallest_bias_that_it_could_have_seen(exact_error, error):
    exact, estimate = Estimate(2.0, exact_error, 100), Estimate(2.1, error, 1000)
    report = ValidationReport("mine", "gradient", 0.1, exact, estimate, 0.0, 1.0, 1.0)
    smallest = report.smallest_visible_bias
    assert_allclose(smallest, 4.0 * math.hypot(exact_error, error))
    assert report.to_dict()["smallest_visible_bias"] == smallest
    assert f"{smallest:.3g}, {smallest / 2.0:.2g} of the exact value" in report.table()
