"""The analysis of long trainings: effects paired by seed, corrected verdicts, text that follows numbers."""

from __future__ import annotations

import doctest
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest

# after everything else: the package under test stays the one that is installed
sys.path.append(str(Path(__file__).resolve().parents[1]))

from validation.experiments import long_training, long_training_effects, long_training_tables
from validation.experiments.long_training_effects import (
    JUDGED,
    LC,
    RANK,
    Table,
    effects_of,
    find_effect,
    holm,
    log_slope,
    mean_and_reach,
    pooled,
    rank_and_complexity,
    ratio_of,
    sign_flip_p,
)
from validation.framework import Folder

Row = dict[str, object]
STEPS = (0, 100, 200, 300)
DECAYS = (0.0, 0.1, 1.0)
CONFIG = {"fitted": 100, "late": 200, "learning_rate": 1e-3, "batch": 64, "sigma": 0.05, "near_sigma": 0.005}
CONFIG |= {"relative_sigma": 0.1, "decays": DECAYS, "seeds": 6, "records": STEPS}
CONFIG |= {"architectures": ("4x2", "8x2", "4x2:float32")}


def made_up(
    last: dict[tuple[str, float], float], rank: float = 1.0, architectures: tuple[str, ...] = ("4x2", "8x2")
) -> list[Row]:
    """Local complexity 10 but for a factor at the last step, with a scale and some noise for each seed."""
    rng, rows = np.random.default_rng(5), []
    for name, decay, seed, step in product(architectures, DECAYS, range(6), STEPS):
        sizes, _, precision = name.partition(":")
        width, depth = map(int, sizes.split("x"))
        end = step == STEPS[-1]
        factor = last.get((name, decay), 1.0) if end else 1.0
        lc = 10.0 * (1.0 + 0.3 * seed) * factor * float(np.exp(0.01 * rng.standard_normal()))
        fallen = rank if end and decay > 0.0 else 1.0
        rows.append(
            {"width": width, "depth": depth, "precision": precision or "float64", "decay": decay}
            | {"data": "made up", "seed": seed, "step": step, "loss": 1e-3}
            | {"train_accuracy": 1.0 if step else 0.1, "test_accuracy": 0.9, "tv": lc, "bound": lc}
            | {f"{noise}lc": lc for noise in ("", "near_", "relative_")}
            | {f"{noise}lc_stderr": 0.1 for noise in ("", "near_", "relative_")}
            | {"rank_0": 4.0 * fallen, "rank_1": None, "relative_rank_0": 4.0 * fallen}
            | {"relative_rank_1": None, "cells": 100 + seed, "locus": 1.0, "activation_locus": 1.0}
            | {"plane_lc": lc, "plane_lc_stderr": 0.1, "plane_estimate": lc, "plane_estimate_stderr": 0.1}
        )
    return rows


def test_docstrings_of_the_analysis_run():
    for module in (long_training, long_training_effects, long_training_tables):
        assert doctest.testmod(module).failed == 0


def test_effects_are_ratios_of_networks_of_equal_seeds():
    table = Table(made_up({("4x2", 1.0): 0.5, ("8x2", 1.0): 2.0}))
    effects = effects_of(table, late=200)
    lower, higher, none = (
        find_effect(effects, "weight decay", "lc", *which)
        for which in (("4x2", 1.0), ("8x2", 1.0), ("4x2", 0.1))
    )
    # seeds differ by up to 2.5, and their scale is common to both
    assert lower.low < 0.5 < lower.high < 0.52
    assert (lower.verdict, lower.agreeing) == ("lower", 6)
    assert higher.verdict == "higher"
    assert none.verdict == "undecided"
    assert find_effect(effects, "weight decay", "lc", "4x2", 0.0) is None


def test_only_what_is_judged_is_in_the_family():
    effects = effects_of(Table(made_up({})), late=200)
    judged = [own for own in effects if own.quantity in JUDGED]
    assert [own.adjusted for own in judged] == holm([own.p for own in judged])
    assert {own.verdict for own in effects if own.quantity not in JUDGED} == {"control"}
    assert len(judged) == 2 * 2 * (len(DECAYS) + len(DECAYS) - 1)


def test_effects_do_not_depend_on_the_order_of_rows():
    rows = made_up({("4x2", 1.0): 0.5})
    shuffled = [rows[place] for place in np.random.default_rng(0).permutation(len(rows))]
    assert effects_of(Table(rows), 200) == effects_of(Table(shuffled), 200)


def test_holm_rejects_what_its_definition_rejects():
    rng = np.random.default_rng(1)
    for _ in range(20):
        p = rng.random(8) ** 4
        order = np.argsort(p)
        kept = next((k for k, place in enumerate(order) if p[place] * (8 - k) > 0.05), 8)
        rejected = {int(place) for place, own in enumerate(holm(list(p))) if own <= 0.05}
        assert rejected == set(order[:kept].tolist())


def test_intervals_cover_the_mean_as_often_as_they_say():
    rng = np.random.default_rng(2)
    inside = []
    for _ in range(4000):
        mean, reach = mean_and_reach(rng.standard_normal(8))
        inside.append(abs(mean) <= reach)
    # five standard errors of the frequency
    assert abs(np.mean(inside) - 0.95) < 0.0175


def test_p_agrees_with_the_interval_and_with_scipy():
    from scipy.stats import ttest_1samp

    logs = np.random.default_rng(3).standard_normal(8) + 0.8
    _, low, high, p = ratio_of(logs)
    assert p == pytest.approx(ttest_1samp(logs, 0.0).pvalue, rel=1e-10)
    interval = ttest_1samp(logs, 0.0).confidence_interval(0.95)
    np.testing.assert_allclose(np.log([low, high]), interval, rtol=1e-10)


def test_sign_flips_count_what_is_at_least_as_far():
    assert sign_flip_p(np.ones(8)) == 2.0 / 256
    assert sign_flip_p(np.array([1.0, -1.0])) == 1.0


def test_pooled_effects_are_means_over_architectures_in_double_precision():
    names = ("4x2", "8x2", "4x2:float32")
    table = Table(made_up({("4x2", 1.0): 0.5, ("8x2", 1.0): 2.0, ("4x2:float32", 1.0): 9.0}, 1.0, names))
    np.testing.assert_allclose(pooled(table, LC, 1.0), 0.0, atol=0.06)
    np.testing.assert_allclose(pooled(table, LC, 1.0, at=200), 0.0, atol=0.06)
    np.testing.assert_allclose(pooled(table, RANK, 1.0, before=200), 0.0, atol=1e-12)
    np.testing.assert_allclose(log_slope(table, LC, "8x2"), np.log(2.0), atol=0.06)


def test_runs_are_sorted_by_what_rank_and_complexity_do():
    changes = {("4x2", 0.1): 0.5, ("8x2", 0.1): 2.0}
    own = rank_and_complexity(Table(made_up(changes, rank=0.5)), 0.1, 200, 300)
    assert (own.runs, own.fallen, own.falls, own.rises, own.still) == (12, 12, 6, 6, 0)
    assert own.rank[0] == pytest.approx(0.5)
    own = rank_and_complexity(Table(made_up(changes, rank=0.95)), 0.1, 200, 300)
    assert own.fallen == 0


@pytest.mark.sweep(1)
@pytest.mark.parametrize("rounding", [False, True])
@pytest.mark.parametrize("raises", [False, True])
def test_the_text_follows_the_numbers(tmp_path: Path, rounding: bool, raises: bool):
    last = {("4x2", 0.1): 0.7, ("8x2", 0.1): 0.7, ("4x2", 1.0): 0.7, ("8x2", 1.0): 0.7}
    if raises:
        last |= {("4x2", 1.0): 1.5, ("8x2", 1.0): 1.5}
    if rounding:
        last |= {("4x2:float32", 0.0): 0.4}
    folder = Folder(tmp_path, "long_training", rough=True)
    folder.write_csv("records", made_up(last, architectures=("4x2", "8x2", "4x2:float32")))
    section = long_training.report(CONFIG, folder)
    assert ("comes from rounding" in section.finding) is rounding
    assert ("This contradicts the paper" in section.finding) is raises
    assert ("is there with weight decay, and not without" in section.finding) is not raises
    assert all(check.passed for check in section.checks)
    assert all(folder.figure_path(name).exists() for name, _ in section.figures)


@pytest.mark.slow
def test_a_missing_record_fails_the_check(tmp_path: Path):
    config = CONFIG | {"seeds": 7}
    folder = Folder(tmp_path, "long_training", rough=True)
    folder.write_csv("records", made_up({}, architectures=("4x2", "8x2", "4x2:float32")))
    assert not long_training.report(config, folder).checks[0].passed
