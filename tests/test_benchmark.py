"""Laws of the benchmark: its files are the published ones, and a biased estimator scores badly."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from programs import assert_fails_in_one_line

import regions.validation.benchmark as benchmark
from regions.errors import InvalidInputError
from regions.estimators import Coarea, Estimate, local_complexity
from regions.validation.benchmark import benchmark_problems, load_estimator, score_estimator
from regions.validation.closed_form import one_hidden_layer_local_complexity
from regions.validation.local_complexity import exact_local_complexity, z_score
from regions.validation.scorecard import LEADERBOARD_COLUMNS, with_row

FEW = {"n_seeds": 8, "n_samples": 200}
EASY = "he 2-*x1*sigma 1"


def twice(network, density, sigma, n_samples, rng, *, domain=None):
    """An estimate that is twice as large as it should be."""
    found = local_complexity(network, density, sigma, n_samples, rng, domain=domain)
    return 2.0 * found.mean, 2.0 * found.stderr


def test_problems_are_named_once_and_have_values():
    problems = benchmark_problems()
    assert len({one.name for one in problems}) == len(problems) == 31
    for one in problems:
        assert one.exact.mean > 0.0
        assert one.exact.stderr < 0.01 * one.exact.mean
        assert one.domain is None or one.domain.input_dim == one.network.input_dim


@pytest.mark.sweep(3, 16)
@pytest.mark.parametrize("at", range(31))
def test_stored_exact_values_are_those_of_the_enumeration(at):
    one = benchmark_problems()[at]
    if one.domain is None:
        value = one_hidden_layer_local_complexity(one.network, one.density.mean, one.density.cov, one.sigma)
        assert value == pytest.approx(one.exact.mean, rel=1e-12)
        return
    again = exact_local_complexity(one.network, one.domain, one.density, one.sigma, 12, at)
    # few draws, whose standard error may be that of draws that are all alike
    assert abs(z_score(again, one.exact)) < 5 or again.mean == pytest.approx(one.exact.mean, rel=0.02)


def test_a_good_estimator_has_no_bias_and_equals_itself_at_equal_draws(monkeypatch):
    # not by time, which other work disturbs
    monkeypatch.setattr(benchmark, "_affordable", lambda run, rng, n_samples, seconds: n_samples)
    card = score_estimator(local_complexity, rng=1, problems=benchmark_problems("he 2-*sigma 0.1"), **FEW)
    assert (card.estimator, card.answered, card.biased) == ("local_complexity", 5, 0)
    ratio, low, high = card.rmse_ratio
    assert low < ratio < high
    assert 0.3 < ratio < 3.0
    covers, least, most, judged = card.coverage
    assert least <= covers <= most
    assert most > 0.9 or not judged


def test_a_biased_estimator_is_seen():
    card = score_estimator(twice, rng=1, problems=benchmark_problems(EASY), **FEW)
    assert card.biased == card.answered == 1
    assert card.worst_z > 8
    assert card.median_bias == pytest.approx(1.0, abs=0.1)
    assert card.rmse_ratio[0] > 5


def test_runs_get_the_time_of_the_reference():
    def slow(network, density, sigma, n_samples, rng, *, domain=None):
        draws = [
            Coarea(sigma).estimate(network, density, rng, 20, domain=domain).mean for _ in range(n_samples)
        ]
        return Estimate.from_draws(np.array(draws))

    (score,) = score_estimator(
        slow, rng=1, problems=benchmark_problems(EASY), n_seeds=2, n_samples=100
    ).scores
    assert score.judgement.budget < 50


def test_problems_without_an_answer_are_counted_and_named():
    def boxes_only(network, density, sigma, n_samples, rng, *, domain=None):
        if domain is None:
            raise ValueError("no domain")
        return 1.0, 0.1

    card = score_estimator(boxes_only, rng=0, problems=benchmark_problems("he 16*"), **FEW)
    assert (card.answered, card.row[1]) == (0, "0 of 1")
    assert "no answer: ValueError: no domain" in card.table()
    assert math.isnan(card.worst_z)


@pytest.mark.parametrize("wrong", [None, (1.0, -1.0), (math.nan, 1.0), "ab", (1.0, 2.0, 3.0)])
def test_an_answer_that_is_no_estimate_is_an_error(wrong):
    with pytest.raises(InvalidInputError, match="the estimator gives"):
        score_estimator(lambda *given, **where: wrong, rng=0, problems=benchmark_problems(EASY), **FEW)


def test_another_data_file_is_refused(monkeypatch, tmp_path):
    for name in benchmark.BENCHMARK_FILES:
        (tmp_path / name).write_bytes((benchmark._DATA / name).read_bytes() + b"\n")
    monkeypatch.setattr(benchmark, "_DATA", tmp_path)
    with pytest.raises(InvalidInputError, match="is not the file of benchmark 1"):
        benchmark_problems()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("raise RuntimeError('no')", "fails when it is run: RuntimeError: no"),
        ("x = 1", "defines no function estimate"),
    ],
)
def test_files_that_define_no_estimator_are_named(tmp_path, text, says):
    path = tmp_path / "mine.py"
    path.write_text(text)
    with pytest.raises(InvalidInputError, match=says):
        load_estimator(path)


def test_command_scores_a_file_and_puts_its_row_on_a_page(run, tmp_path):
    path, page, saved = tmp_path / "mine.py", tmp_path / "page.md", tmp_path / "score.json"
    path.write_text(
        "from regions.estimators import Coarea\n"
        "NAME = 'mine'\n"
        "def estimate(network, density, sigma, n_samples, rng, *, domain=None):\n"
        "    return Coarea(sigma).estimate(network, density, rng, n_samples, domain=domain)\n"
    )
    page.write_text("| " + " | ".join(LEADERBOARD_COLUMNS) + " |\n|:--|\n")
    few = ["--problems", EASY, "--seeds", "4", "--samples", "100"]
    for _ in range(2):
        code, out, err = run("benchmark", path, *few, "-o", saved, "--leaderboard", page, "--json")
        assert (code, err) == (0, "")
    found = json.loads(out)
    assert (found["estimator"], found["status"], len(found["problems"])) == ("mine", "COMPLETE", 1)
    assert json.loads(saved.read_text())["row"] == found["row"]
    assert page.read_text().count("| mine | 1 of 1 |") == 1
    code, out, _ = run("benchmark", "crofton", "--problems", EASY, "--seeds", "2", "--samples", "50")
    assert code == 0
    assert "estimator: Crofton lines" in out


def test_a_page_without_a_leaderboard_is_an_error():
    with pytest.raises(InvalidInputError, match="no table"):
        with_row("# Title\n", ("mine",))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["patterns"], "neither a .py file nor one of coarea"),
        (["nothing.py"], "no estimator at 'nothing.py'"),
        (["coarea", "--problems", "x*"], "no problem is called 'x*'"),
        (["coarea", "--seeds", "1"], "n_seeds is 1"),
        (["coarea", "--seed", "-1"], "--seed is -1"),
    ],
)
def test_wrong_words_end_in_one_line(run, words, says):
    assert_fails_in_one_line(run("benchmark", *words), says)
