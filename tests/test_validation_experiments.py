"""Experiments on training and initialisation: criteria on made-up tables, training loop, small reports."""

from __future__ import annotations

import doctest
import sys
from pathlib import Path

import numpy as np
import pytest

from regions import from_torch

# after everything else: the package under test stays the one that is installed
sys.path.append(str(Path(__file__).resolve().parents[1]))

from validation.experiments import inequality_slack, initialisation, training_findings
from validation.experiments.initialisation import log_log_slope, sweep_rows
from validation.experiments.training_findings import FINDINGS, judge, sanity_checks
from validation.framework import Experiment, Folder

Row = dict[str, object]


def training_row(step: int, lc: float, *, rank: float = 4.0, decay: float = 0.1, **others: object) -> Row:
    row: Row = {"data": "made up", "decay": decay, "scale": 1.0, "seed": 0, "step": step, "loss": 0.1}
    row |= {"train_accuracy": 1.0 if step else 0.1, "lc": lc, "lc_stderr": 0.1, "tv": lc, "bound": lc}
    row |= {"rank_0": rank, "rank_1": None, "locus": 1.0, "activation_locus": 1.0}
    row |= {"plane_lc": lc, "plane_lc_stderr": 0.1, "plane_estimate": lc, "plane_estimate_stderr": 0.1}
    return row | others


def paired_runs(ends: dict[float, list[float]]) -> list[Row]:
    return [
        training_row(step, value, decay=decay, seed=seed)
        for decay, values in ends.items()
        for seed, end in enumerate(values)
        for step, value in ((0, 9.0), (1, 8.0), (2, end))
    ]


def test_docstrings_of_criteria_run():
    for module in (training_findings, initialisation, inequality_slack):
        assert doctest.testmod(module).failed == 0


def test_local_complexity_falls_only_beyond_its_standard_errors():
    for end, reproduced in ((7.5, False), (7.0, True)):
        verdicts = judge(paired_runs({0.1: [end]}))
        assert verdicts["late fall"].reproduced is reproduced
        assert verdicts["plane fall"].reproduced is reproduced


def test_early_values_do_not_count_as_late():
    rows = [training_row(0, 50.0), training_row(1, 8.0), training_row(2, 8.0)]
    assert judge(rows)["late fall"].reproduced is False
    assert judge(rows)["below start"].reproduced is True


def test_rank_falls_by_a_tenth_or_not():
    for last, reproduced in ((9.1, False), (8.9, True)):
        rows = [training_row(step, 8.0, rank=rank) for step, rank in ((0, 2.0), (1, 10.0), (2, last))]
        assert judge(rows)["rank fall"].reproduced is reproduced
        assert judge(rows)["both fall"].reproduced is False


def test_weight_decay_is_judged_by_pairs_of_seeds():
    without = [5.0, 7.0, 9.0]
    lower, higher = [4.0, 6.1, 7.9], [6.0, 8.1, 9.9]
    assert judge(paired_runs({0.0: without, 0.1: lower}))["decay lowers"].reproduced is True
    assert judge(paired_runs({0.0: without, 0.1: higher}))["decay lowers"].reproduced is False
    assert judge(paired_runs({0.0: without, 0.1: [4.0, 9.0, 8.5]}))["decay lowers"].reproduced is None
    assert "decay lowers" not in judge(paired_runs({0.1: without}))


def test_logarithm_of_the_weight_decay_is_fitted():
    decays = [0.01, 0.1, 1.0]
    rows = paired_runs({decay: [3.0 - np.log(decay), 3.01 - np.log(decay)] for decay in decays})
    verdict = judge(rows)["logarithm"]
    assert verdict.reproduced is True
    assert verdict.numbers.startswith("slope 1.00 ")


def test_criteria_are_stated_for_each_finding():
    assert all(finding.criterion.endswith(".") for finding in FINDINGS)
    assert len({finding.name for finding in FINDINGS}) == len(FINDINGS)


def test_checks_of_training_notice_wrong_values():
    rows = paired_runs({0.0: [8.0], 0.1: [8.0]})
    assert all(check.passed for check in sanity_checks(rows))
    wrong = [
        [row | {"plane_estimate": 9.0} for row in rows],
        [row | {"train_accuracy": 0.5} for row in rows],
        [row | {"activation_locus": 0.5} for row in rows],
    ]
    for broken in wrong:
        assert sum(not check.passed for check in sanity_checks(broken)) == 1


def made_up_networks(exponent: float, prefactor: float = 0.5) -> list[Row]:
    rng = np.random.default_rng(0)
    return [
        {
            "sweep": "width",
            "family": "he",
            "place": "box",
            "d": 2,
            "width": units // 2,
            "depth": 2,
            "seed": seed,
            "units": units,
            "cells": prefactor * units**exponent * np.exp(0.01 * rng.standard_normal()),
            "locus": 0.3 * units * np.exp(0.01 * rng.standard_normal()),
            "activation_locus": 0.3 * units,
            "theory": 0.3 * units,
            "theory_stderr": 0.01,
            "bound": 0.4 * units,
        }
        for units in (16, 32, 64)
        for seed in range(4)
    ]


def test_slope_of_a_power_is_its_exponent():
    slope, low, high = log_log_slope([2.0, 4.0, 8.0, 16.0], [4.1, 15.9, 64.2, 255.0])
    assert low < 2.0 < high
    assert slope == pytest.approx(2.0, abs=0.02)


def test_law_of_the_count_is_told_from_other_powers():
    (square,), (line,) = (sweep_rows(made_up_networks(power)) for power in (2.0, 1.0))
    assert square["cells_exponent_holds"]
    assert square["cells_constant_holds"]
    assert square["locus_exponent_holds"]
    assert not line["cells_exponent_holds"]
    assert not line["cells_constant_holds"]


def test_report_on_initialisation_is_made_from_its_table_alone(tmp_path: Path):
    folder = Folder(tmp_path, "initialisation", rough=True)
    folder.write_csv("networks", made_up_networks(2.0))
    config = {"seeds": 4, "bias_std": 0.5, "samples": 100}
    section = initialisation.report(config, folder)
    assert "| reproduced |" in section.appendix
    assert [check.passed for check in section.checks] == [True, True]
    assert all(folder.figure_path(name).exists() for name, _ in section.figures)


def test_report_on_inequalities_names_violations(tmp_path: Path):
    names = ("corollary 3, upper", "corollary 3, lower", "theorem 5", "theorem 5, lower", "theorem 7")
    rows = [
        {
            "data": "wave", "decay": 0.0, "seed": 0, "step": step, "loss": 0.1, "sigma": 0.1, "eta": 1.0,
            "eps": 0.1, "widths": "4", "lc": 1.0, "lc_stderr": 0.1, "tv": 1.0, "inequality": name,
            "left": 1.0, "right": 2.0, "slack": 1.0, "stderr": 0.1, "error": 0.0, "holds": True,
            "draws": 4, "least": 0.9, "low": 1.9, "high": 2.1,
        }
        for step in (0, 10)
        for name in names
    ]  # fmt: skip
    config = {"n_bias": 2, "steps": 10, "decays": [0.0], "batch": 64, "learning_rate": 1e-3}
    config |= {"problems": [{"data": "wave", "hidden": [4], "seeds": 1}]}
    config |= {"settings": [{"sigma": 0.1, "eta": 1.0, "eps": 0.1}]}
    folder = Folder(tmp_path, "inequality_slack")
    for holds in (True, False):
        rows[3] |= {"holds": holds, "slack": 1.0 if holds else -1.0}
        folder.write_csv("sides", rows)
        section = inequality_slack.report(config, folder)
        assert section.checks[0].passed is holds
        assert ("fail" in section.headline) is not holds
        assert section.checks[1].passed
    assert "2 (1.9 to 2.1)" in section.table
    rows[0] |= {"least": -0.1}
    folder.write_csv("sides", rows)
    assert not inequality_slack.report(config, folder).checks[1].passed


def test_an_experiment_says_which_packages_it_lacks():
    def nothing(*_: object) -> None:
        return None

    assert Experiment("a", "A", nothing, nothing, needs=("numpy",)).obstacle == ""  # type: ignore[arg-type]
    lacking = Experiment("a", "A", nothing, nothing, needs=("no_such_package",))  # type: ignore[arg-type]
    assert lacking.obstacle == "needs no_such_package, which is not installed"


def test_seeds_trained_together_are_those_trained_alone():
    pytest.importorskip("torch")
    from validation.training_runs import TrainingSpec, train

    def final_weights(seeds: tuple[int, ...]) -> list[np.ndarray]:
        *_, last = train(TrainingSpec("wave", (4, 4), seeds, 20, batch=8), (0, 20))
        return [from_torch(model).weights[1] for model in last.models]

    together, alone = final_weights((3, 5)), final_weights((5,))
    assert not np.array_equal(together[0], together[1])
    np.testing.assert_allclose(together[1], alone[0], rtol=1e-4, atol=1e-6)


def test_training_lowers_the_loss_and_stops_where_asked():
    pytest.importorskip("torch")
    from validation.training_runs import TrainingSpec, log_spaced, train

    moments = list(train(TrainingSpec("plane", (8,), (0,), 200, learning_rate=1e-2), log_spaced(200, 4)))
    assert [moment.step for moment in moments] == [0, 1, 14, 200]
    assert moments[-1].loss[0] < 0.6 * moments[0].loss[0]
