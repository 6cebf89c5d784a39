"""Laws of the intervals that the study states: they cover under heavy tails, where a normal one need not."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from validation.intervals import bootstrap_t, difference, ratio_of_means, ratio_of_variances, student

# 1.5 percentage points below 95 % are what so lopsided tails leave; 3 standard errors of the count are added
_COVERS = 0.935


def lopsided(rng, shape):
    """Draws of mean 1 with the kurtosis of planes in a cube, some 23: a gamma law of shape 0.3."""
    return rng.gamma(0.3, 1.0 / 0.3, shape)


def share(hits):
    hits = np.asarray(hits)
    return hits.mean() + 3.0 * math.sqrt(0.05 * 0.95 / len(hits))


def test_the_law_has_heavy_tails():
    assert float(stats.gamma(0.3).stats(moments="k")) + 3.0 == pytest.approx(23.0)


def test_the_studentised_bootstrap_covers_where_a_normal_interval_does_not():
    rng = np.random.default_rng(0)
    draws = lopsided(rng, (600, 30))
    found = [bootstrap_t(own, rng, 400) for own in draws]
    assert share([low <= 1.0 <= high for low, high in found]) > _COVERS
    half = 1.96 * draws.std(axis=1, ddof=1) / math.sqrt(draws.shape[1])
    normal = np.abs(draws.mean(axis=1) - 1.0) <= half
    assert share(normal) < 0.935
    assert np.mean([low <= 1.0 <= high for low, high in found]) > normal.mean()


def test_student_covers_for_means_of_batches():
    draws = lopsided(np.random.default_rng(1), (2000, 16, 125)).mean(axis=2)
    assert share([low <= 1.0 <= high for low, high in map(student, draws)]) > _COVERS


def test_the_ratio_of_variances_covers_under_heavy_tails():
    rng = np.random.default_rng(2)
    hits = []
    for _ in range(1500):
        top = 2.0 * lopsided(rng, (16, 125))
        bottom = rng.standard_normal((16, 125))
        _, low, high = ratio_of_variances(top.var(axis=1, ddof=1), bottom.var(axis=1, ddof=1))
        hits.append(low <= 4.0 / 0.3 <= high)
    assert share(hits) > _COVERS


def test_the_ratio_of_means_uses_that_both_are_drawn_together():
    rng = np.random.default_rng(3)
    common = rng.normal(10.0, 3.0, (2000, 6))
    top, bottom = 2.0 * common + rng.normal(0.0, 0.1, common.shape), common
    found = [ratio_of_means(*pair) for pair in zip(top, bottom, strict=True)]
    assert share([low <= 2.0 <= high for _, low, high in found]) > _COVERS
    assert np.median([high / low for _, low, high in found]) < 1.05


def test_the_difference_of_two_lopsided_means_covers():
    rng = np.random.default_rng(4)
    hits = []
    for one, other in zip(lopsided(rng, (400, 100)), rng.normal(3.0, 1.0, (400, 100)), strict=True):
        intervals = [(float(own.mean()), *bootstrap_t(own, rng, 400)) for own in (one, other)]
        _, low, high = difference(*intervals)
        hits.append(low <= -2.0 <= high)
    assert share(hits) > _COVERS
