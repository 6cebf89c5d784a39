"""Laws of `regions compare` and `regions inequalities`: what they print, save and draw, and how they fail."""

from __future__ import annotations

import json

import pytest
from networks import random_network
from programs import assert_fails_in_one_line

from regions import Comparison
from regions.cli.compare import ESTIMATORS

BOX = ["--box", "-1", "1"]
SHORT = ["--budgets", "40,80", "--seeds", "6", "--exact-draws", "4"]


@pytest.fixture
def net(tmp_path):
    """A file with a random network of two inputs."""
    path = tmp_path / "small.npz"
    random_network(0, (2, 6, 5, 1)).save(path)
    return str(path)


def test_compare_prints_saves_and_draws_the_same_judgements(run, net, tmp_path):
    saved, drawn = tmp_path / "out.json", tmp_path / "out.png"
    words = ["compare", net, *BOX, *SHORT, "--sigma", "0.1", "--seed", "3"]
    code, out, err = run(*words, "-o", saved, "--plot", drawn, "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert (found["status"], found["seed"]) == ("COMPLETE", 3)
    rows = [(row["estimator"], row["budget"], row["n_seeds"]) for row in found["judgements"]]
    assert rows == [(name, budget, 6) for name in ("co-area", "Crofton lines") for budget in (40, 80)]
    assert {row["exact"]["mean"] for row in found["judgements"]} == {found["judgements"][0]["exact"]["mean"]}
    comparison = Comparison.load(saved)
    assert [row.bias for row in comparison.judgements] == [row["bias"] for row in found["judgements"]]
    assert drawn.read_bytes().startswith(b"\x89PNG")
    code, again, _ = run(*words)
    assert code == 0
    # all but the seconds at the end of a row
    ours = [line[:-9] for line in comparison.table().splitlines()]
    assert [line[:-9] for line in again.rstrip("\n").splitlines()] == ours


def test_every_estimator_has_a_short_name(run, net):
    words = ["compare", net, *BOX, "--estimators", ",".join(ESTIMATORS), "--budgets", "20", "--seeds", "2"]
    code, out, _ = run(*words, "--exact-draws", "2", "--radius", "0.2", "--directions", "1", "--json")
    assert code == 0
    judgements = json.loads(out)["judgements"]
    assert len({row["estimator"] for row in judgements}) == len(ESTIMATORS) == 9
    assert any("radius 0.2, 1 direction" in row["target"] for row in judgements)


def test_without_noise_the_stored_biases_are_the_target(run, net):
    words = ["compare", net, *BOX, *SHORT, "--sigma", "0", "--estimators", "crofton, shell"]
    code, out, _ = run(*words, "--kind", "activation", "--json")
    assert code == 0
    targets = {row["target"] for row in json.loads(out)["judgements"]}
    assert targets == {"locus integral at fixed biases, activation locus"}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--estimators", "coarea,croft"], "no estimator 'croft'; choose among coarea, unnormalised"),
        (["--estimators", ""], "no estimator ''"),
        (["--sigma", "0"], "coarea needs bias noise"),
        (["--sigma", "-1"], "sigma"),
        (["--budgets", "10,x"], "--budgets: '10,x'"),
        (["--budgets", "10.5"], "whole numbers"),
        (["--budgets", "inf"], "whole numbers"),
        (["--budgets", "nan"], "whole numbers"),
        (["--budgets", "1"], "budgets"),
        (["--seeds", "1"], "n_seeds is 1"),
        (["--exact-draws", "1"], "n_exact is 1"),
        (["--seed", "-1"], "--seed is -1"),
        (["--estimators", "shell", "--eps", "0"], "eps"),
        (["--estimators", "sampled-state", "--kind", "activation"], "only the gradient locus"),
        (["--plot", "out.xyz"], "use a suffix"),
        (["-o", "absent/out.json"], "there is no folder absent"),
        (["--density", "cauchy"], "cauchy"),
        (["--max-cells", "2"], "max_cells is 2"),
    ],
)
def test_mistakes_in_compare_are_answered_in_one_line(run, net, words, says):
    assert_fails_in_one_line(run("compare", net, *BOX, *words), says)


def test_ctrl_c_prints_and_saves_the_runs_that_were_done(run, net, tmp_path, monkeypatch):
    from regions.estimators import CroftonLines

    true, calls = CroftonLines.estimate, []

    def impatient(self, *given, **named):
        calls.append(given)
        if len(calls) > 8:
            raise KeyboardInterrupt
        return true(self, *given, **named)

    monkeypatch.setattr(CroftonLines, "estimate", impatient)
    words = ["compare", net, *BOX, *SHORT, "--estimators", "crofton", "--sigma", "0"]
    code, out, err = run(*words, "-o", tmp_path / "part.json", "--json")
    assert code == 130
    assert err.startswith("interrupted") and err.count("\n") == 1
    found = json.loads(out)
    assert (found["status"], [row["n_seeds"] for row in found["judgements"]]) == ("TRUNCATED", [6, 2])
    assert not Comparison.load(tmp_path / "part.json").complete


@pytest.mark.parametrize("command", ["compare", "inequalities", "validate"])
def test_ctrl_c_during_exact_values_leaves_nothing_and_says_so(run, net, tmp_path, monkeypatch, command):
    from regions.enumeration.enumerate import enumerate_cells
    from regions.validation import draws

    cut = lambda *given, **_: enumerate_cells(*given, max_cells=2)  # noqa: E731
    monkeypatch.setattr(draws, "enumerate_cells", cut)
    code, out, err = run(command, net, *BOX, "--sigma", "0.1", "-o", tmp_path / "none.json")
    assert (code, out) == (130, "")
    assert err.startswith("interrupted") and err.count("\n") == 1
    assert not (tmp_path / "none.json").exists()


def test_inequalities_print_save_and_repeat(run, net, tmp_path):
    words = ["inequalities", net, *BOX, "--sigma", "0.3", "--eps", "0.1", "--bias-draws", "3", "--seed", "2"]
    code, out, _ = run(*words, "-o", tmp_path / "out.json", "--json")
    assert code == 0
    found = json.loads(out)
    assert found["holds"] is True and len(found["inequalities"]) == 5
    assert (found["n_bias"], found["eps"], found["seed"]) == (3, 0.1, 2)
    saved = json.loads((tmp_path / "out.json").read_text())
    assert saved["inequalities"] == found["inequalities"]
    code, table, _ = run(*words)
    assert code == 0
    assert "theorem 7" in table and f"{found['terms']['LC']['mean']:.5g}" in table


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--sigma", "0"], "sigma"),
        (["--sigma", "0.1", "--eps", "0"], "eps"),
        (["--sigma", "0.1", "--eta", "-1"], "eta"),
        (["--sigma", "0.1", "--bias-draws", "1"], "n_bias is 1"),
        (["--sigma", "0.1", "--seed", "-2"], "--seed is -2"),
        (["--sigma", "0.1", "-o", "absent/x.json"], "there is no folder absent"),
        ([], "--sigma"),
        (["--sigma", "0.1", "--max-cells", "2"], "max_cells is 2"),
    ],
)
def test_mistakes_in_inequalities_are_answered_in_one_line(run, net, words, says):
    assert_fails_in_one_line(run("inequalities", net, *BOX, *words), says)
