"""Laws of interruption: Ctrl-C and SIGTERM keep what was done, name it so, and never show a traceback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from regions import (
    Box,
    Network,
    UniformDensity,
    check_inequalities,
    compare_estimators,
    exact_local_complexity,
    validate,
)
from regions.cli import main
from regions.cli.interruption import Signals
from regions.errors import InvalidInputError
from regions.estimators import CroftonLines, CrossPolytope, DistinctPatterns, local_complexity
from regions.validation import local_complexity as validation
from regions.validation.comparison import Comparison
from regions.validation.draws import finished_draws
from regions.validation.local_complexity import ValidationReport

BOX = Box([-1.0, -1.0], [1.0, 1.0])
DENSITY = UniformDensity(BOX)


def network():
    weights = [np.array([[1.0, 0.5], [-0.5, 1.0]]), np.array([[1.0, -2.0], [1.0, 1.0]]), np.ones((1, 2))]
    return Network.from_arrays(weights, [[0.1, 0.2], [0.3, -0.1], [0.0]])


def interrupt_after(monkeypatch, enumerations, interrupt):
    """Have the enumeration after so many others call `interrupt`; in the modules that judge."""
    real, left = validation.all_cells, [enumerations]

    def cells(*arguments, **options):
        left[0] -= 1
        if left[0] < 0:
            interrupt()
        return real(*arguments, **options)

    for name in ("local_complexity", "inequality_draws"):
        monkeypatch.setattr(f"regions.validation.{name}.all_cells", cells)


def raise_interrupt():
    raise KeyboardInterrupt


@pytest.mark.parametrize("done", [0, 1, 2, 3, 5])
def test_draws_that_were_done_are_kept_if_there_are_two(done):
    def draw(noise, _):
        if noise == done:
            raise KeyboardInterrupt
        return noise

    if done < 2:
        with pytest.raises(KeyboardInterrupt):
            finished_draws(draw, range(5), 5, None)
    else:
        assert finished_draws(draw, range(5), 5, None) == (list(range(done)), done == 5)


@pytest.mark.parametrize("done", [2, 4])
def test_an_interrupted_exact_value_is_that_of_fewer_draws(monkeypatch, done):
    problem = network(), BOX, DENSITY, 0.2
    fewer = exact_local_complexity(*problem, done, np.random.default_rng(0))
    interrupt_after(monkeypatch, done, raise_interrupt)
    found = exact_local_complexity(*problem, 6, np.random.default_rng(0))
    assert (found.mean, found.stderr, found.n) == (fewer.mean, fewer.stderr, done)
    assert fewer.complete and not found.complete
    assert "TRUNCATED" in repr(found) and found.to_dict()["status"] == "TRUNCATED"
    assert "TRUNCATED" not in repr(fewer) and "status" not in fewer.to_dict()


def test_an_interrupted_validation_says_so_and_comes_back(monkeypatch, tmp_path):
    interrupt_after(monkeypatch, 3, raise_interrupt)
    rng = np.random.default_rng(0)
    settings = {"sigma": 0.2, "n_samples": 50, "n_bias": 6}
    report = validate(local_complexity, network(), BOX, DENSITY, rng=rng, **settings)
    assert not report.complete and report.exact.n == 3
    assert "TRUNCATED: cut short by Ctrl-C after 3 bias draws" in report.table()
    report.save(tmp_path / "report.json")
    assert json.loads((tmp_path / "report.json").read_text())["status"] == "TRUNCATED"
    assert ValidationReport.load(tmp_path / "report.json") == report


def test_interrupted_inequalities_are_those_of_fewer_draws(monkeypatch):
    problem, options = (network(), BOX, DENSITY, 0.3), {"eps": 0.01}
    fewer = check_inequalities(*problem, n_bias=2, rng=np.random.default_rng(0), **options)
    # an enumeration for the locus, and at most one for each unit of the first layer
    interrupt_after(monkeypatch, 7, raise_interrupt)
    found = check_inequalities(*problem, n_bias=6, rng=np.random.default_rng(0), **options)
    assert 2 <= found.n_bias < 6 and not found.complete
    assert "TRUNCATED" in found.table() and found.to_dict()["status"] == "TRUNCATED"
    if found.n_bias == 2:
        assert found.inequalities == fewer.inequalities


@pytest.mark.parametrize("command", ["validate", "inequalities"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_print_and_save_the_draws_done(monkeypatch, capsys, tmp_path, command, number):
    net, saved = tmp_path / "net.npz", tmp_path / "out.json"
    network().save(net)

    def twice():
        os.kill(os.getpid(), number)
        pytest.fail("the first signal ends the draws")

    interrupt_after(monkeypatch, 7, twice)
    before = signal.getsignal(number)
    words = [command, net, "--box", "-1", "1", "--sigma", "0.2", "--bias-draws", "12", "-o", saved, "--json"]
    assert main([str(word) for word in words]) == 130
    out, err = capsys.readouterr()
    assert json.loads(out)["status"] == json.loads(saved.read_text())["status"] == "TRUNCATED"
    assert err == "interrupted: these are the bias draws that were done\n"
    assert signal.getsignal(number) == before


def test_a_second_signal_soon_after_the_first_is_the_same():
    taken = Signals()
    with taken.taken():
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
        assert taken.happened


def test_a_second_signal_long_after_the_first_ends_what_goes_on(monkeypatch):
    clock = iter([10.0, 12.0])
    monkeypatch.setattr("regions.cli.interruption.time.monotonic", lambda: next(clock))
    with Signals().taken():
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                os.kill(os.getpid(), signal.SIGINT)


def test_a_signal_waits_until_a_file_is_written(capsys):
    taken, written = Signals(), []
    with taken.taken(), pytest.raises(KeyboardInterrupt), taken.after_writing():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        written.append("all of it")
    assert written == ["all of it"]
    assert capsys.readouterr().err == "writing the result first; Ctrl-C again gives it up\n"


@pytest.mark.sweep(2)
@pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
@pytest.mark.parametrize("module", ["typer", "rich.console", "llvmlite", "numba", "regions.enumeration"])
def test_an_interrupt_during_imports_is_one_line(tmp_path, module):
    network().save(tmp_path / "net.npz")
    script = (
        "import os, signal, sys\n"
        "class Finder:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name == {module!r}:\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Finder())\n"
        "from regions.cli import main\n"
        f"sys.exit(main(['count', {str(tmp_path / 'net.npz')!r}, '--box', '-1', '1']))\n"
    )
    nothing_kept = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), "NUMBA_DISABLE_JIT": "0"}
    run = subprocess.run([sys.executable, "-c", script], env=nothing_kept, capture_output=True, text=True)
    assert run.returncode == 130
    assert run.stdout == "" and run.stderr.count("\n") == 1 and "interrupted" in run.stderr


def slowly(monkeypatch, seconds):
    """Have every enumeration take so long, in the modules that judge."""
    real = validation.all_cells

    def cells(*arguments, **options):
        time.sleep(seconds)
        return real(*arguments, **options)

    for name in ("local_complexity", "inequality_draws", "exact_targets"):
        monkeypatch.setattr(f"regions.validation.{name}.all_cells", cells)


def test_a_time_limit_keeps_the_draws_done(monkeypatch, tmp_path):
    slowly(monkeypatch, 0.02)
    options = {"sigma": 0.2, "n_samples": 50, "n_bias": 10_000, "max_seconds": 1.0}
    report = validate(local_complexity, network(), BOX, DENSITY, rng=np.random.default_rng(0), **options)
    assert 2 <= report.exact.n < 100 and report.stopped_by == "max_seconds" and not report.complete
    assert f"TRUNCATED: cut short by max_seconds after {report.exact.n} bias draws" in report.table()
    report.save(tmp_path / "report.json")
    assert ValidationReport.load(tmp_path / "report.json") == report
    # the draws that were done are those of a shorter run
    options |= {"n_bias": report.exact.n, "max_seconds": None}
    again = validate(local_complexity, network(), BOX, DENSITY, rng=np.random.default_rng(0), **options)
    assert again.stopped_by == "" and (again.exact.mean, again.z) == (report.exact.mean, report.z)


def test_a_time_limit_keeps_the_draws_of_inequalities(monkeypatch):
    slowly(monkeypatch, 0.005)
    problem, options = (network(), BOX, DENSITY, 0.3), {"eps": 0.01}
    found = check_inequalities(
        *problem, n_bias=10_000, rng=np.random.default_rng(0), max_seconds=1.0, **options
    )
    assert 2 <= found.n_bias < 100 and found.stopped_by == "max_seconds" and not found.complete
    assert found.to_dict()["stopped_by"] == "max_seconds" and "cut short by max_seconds" in found.table()
    fewer = check_inequalities(*problem, n_bias=found.n_bias, rng=np.random.default_rng(0), **options)
    assert found.inequalities == fewer.inequalities and fewer.complete


@pytest.mark.sweep(1)
@pytest.mark.parametrize("targets", ["locus", "number of cells", "neighbourhoods"])
def test_a_time_limit_keeps_the_runs_done(monkeypatch, tmp_path, targets):
    ready = {
        "locus": CroftonLines(),
        "number of cells": DistinctPatterns(),
        "neighbourhoods": CrossPolytope(0.1),
    }
    judged = [ready[targets]]
    settings = {"n_seeds": 20_000, "n_exact": 3, "budgets": (2,), "max_seconds": 0.7}
    found = compare_estimators(judged, network(), BOX, DENSITY, rng=np.random.default_rng(0), **settings)
    (judgement,) = found.judgements
    runs = len(judgement.runs)
    assert 2 <= runs < 20_000 and found.stopped_by == "max_seconds" and not found.complete
    assert f"cut short by max_seconds after {runs} runs" in found.table()
    found.save(tmp_path / "found.json")
    assert Comparison.load(tmp_path / "found.json") == found


def test_a_time_limit_that_leaves_nothing_is_an_error_with_the_reason(monkeypatch):
    slowly(monkeypatch, 0.05)
    rng = np.random.default_rng(0)
    short = {"max_seconds": 1e-4}
    with pytest.raises(InvalidInputError, match=r"max_seconds.*give more time"):
        validate(
            local_complexity, network(), BOX, DENSITY, rng=rng, sigma=0.2, n_samples=50, n_bias=6, **short
        )
    with pytest.raises(InvalidInputError, match=r"max_seconds.*give more time"):
        check_inequalities(network(), BOX, DENSITY, 0.3, eps=0.01, n_bias=6, rng=rng, **short)
    with pytest.raises(InvalidInputError, match=r"max_seconds.*give more time"):
        compare_estimators([CrossPolytope(0.1)], network(), BOX, DENSITY, rng=rng, **short)
    with pytest.raises(InvalidInputError, match="max_seconds=0"):
        exact_local_complexity(network(), BOX, DENSITY, 0.2, 6, rng, max_seconds=0)


@pytest.mark.sweep(1)
@pytest.mark.parametrize("command", ["validate", "inequalities", "compare"])
def test_max_seconds_prints_and_saves_the_draws_done(monkeypatch, capsys, tmp_path, command):
    net, saved = tmp_path / "net.npz", tmp_path / "out.json"
    network().save(net)
    slowly(monkeypatch, 0.01)
    words = [
        command,
        net,
        "--box",
        "-1",
        "1",
        "--sigma",
        "0.2",
        "--max-seconds",
        "2",
        "-o",
        saved,
        "--json",
    ]
    words += (
        ["--seeds", 20000, "--budgets", "2", "--exact-draws", "3", "--estimators", "crofton"]
        if command == "compare"
        else ["--bias-draws", "10000"]
    )
    assert main([str(word) for word in words]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    for plain in (json.loads(out), json.loads(saved.read_text())):
        assert (plain["status"], plain["stopped_by"]) == ("TRUNCATED", "max_seconds")
