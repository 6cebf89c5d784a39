"""The evidence: seeds that belong to names, reports that are functions of tables, failures that show."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
# after everything else: the package under test stays the one that is installed
sys.path.append(str(ROOT))

from validation.__main__ import main  # noqa: E402
from validation.experiments import EXPERIMENTS  # noqa: E402
from validation.framework import (  # noqa: E402
    Check,
    Experiment,
    Folder,
    Pool,
    Section,
    case_rng,
    load_config,
    markdown_table,
)
from validation.report import build_report, record_run  # noqa: E402


def draw(case: str) -> float:
    return float(case_rng("test", case).standard_normal())


def write_mean(config: dict[str, Any], folder: Folder, pool: Pool) -> None:
    folder.write_csv("draws", [{"case": "a", "value": 1.5, "known": True, "missing": None}])


def fail(config: dict[str, Any], folder: Folder, pool: Pool) -> None:
    raise ValueError("no such table")


def section(config: dict[str, Any], folder: Folder) -> Section:
    value = folder.read_csv("draws")[0]["value"]
    check = Check("the value is below 2", value < 2.0, f"it is {value}")
    return Section(
        "How much?", "None.", markdown_table(["x"], [["y"]]), f"It is {value}.", "None.", checks=(check,)
    )


def experiment(run: Any = write_mean) -> Experiment:
    # any configuration will do
    return Experiment(EXPERIMENTS[0].name, "A test", run, section)


@pytest.mark.slow
def test_draws_do_not_depend_on_the_number_of_processes() -> None:
    cases = [f"case {k}" for k in range(7)]
    here = [draw(case) for case in cases]
    lines: list[str] = []
    for workers in (1, 2):
        with Pool(workers, lines.append) as pool:
            assert pool.map(draw, cases, "draws") == here
    assert sum("draws: 7 of 7" in line for line in lines) == 2


def test_streams_of_different_names_differ() -> None:
    names = [("a", "b"), ("ab",), ("a", "b", ""), ("a", 1), ("a", 1.0)]
    assert len({case_rng(*name).integers(1 << 62) for name in names}) == len(names)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    folder = Folder(tmp_path, "one")
    rows = [
        {"text": "a, b", "number": 0.1 + 0.2, "whole": np.int64(3), "truth": np.bool_(False), "none": None},
        {"text": "", "number": np.float64(1e-300), "whole": -1, "truth": True, "none": float("nan")},
    ]
    folder.write_csv("table", rows)
    first, second = folder.read_csv("table")
    assert first == {"text": "a, b", "number": 0.1 + 0.2, "whole": 3, "truth": False, "none": None}
    assert second == {"text": None, "number": 1e-300, "whole": -1, "truth": True, "none": None}


@pytest.mark.parametrize("rows", [[], [{"a": 1}, {"b": 1}]], ids=["empty", "uneven"])
def test_tables_that_are_none_are_refused(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    with pytest.raises(ValueError, match="row"):
        Folder(tmp_path, "one").write_csv("table", rows)


def test_the_report_is_a_function_of_the_tables(tmp_path: Path) -> None:
    one = experiment()
    assert main(["--quick", "--out", str(tmp_path), "--workers", "1"], [one]) == 0
    stored = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert "It is 1.5." in (tmp_path / "REPORT.md").read_text()
    (tmp_path / "REPORT.md").unlink()
    assert main(["--report-only", "--out", str(tmp_path)], [one]) == 0
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == stored


def test_a_failed_check_is_listed_and_gives_exit_code_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = experiment()
    Folder(tmp_path, one.name).write_csv("draws", [{"case": "a", "value": 2.5}])
    record_run(tmp_path, one.name, "quick", 1, 0.1)
    assert main(["--report-only", "--out", str(tmp_path)], [one]) == 1
    assert "FAILED: the value is below 2: it is 2.5" in capsys.readouterr().out
    assert "**FAILS**" in (tmp_path / "REPORT.md").read_text()


def test_an_experiment_that_raises_fails_and_leaves_no_section(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--quick", "--out", str(tmp_path), "--workers", "1"], [experiment(fail)]) == 1
    assert "runs to its end: ValueError: no such table" in capsys.readouterr().out
    assert "Not run here: A test." in (tmp_path / "REPORT.md").read_text()


def test_tables_that_a_command_of_their_own_makes_stay_as_they_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    apart = Experiment(EXPERIMENTS[0].name, "A test", fail, section, command="python -m elsewhere")
    write_mean({}, Folder(tmp_path, apart.name), Pool())
    record_run(tmp_path, apart.name, "full", 3, 0.1)
    stored = (tmp_path / "results" / "runs.csv").read_bytes()
    assert main(["--out", str(tmp_path), "--workers", "1"], [apart]) == 0
    assert (tmp_path / "results" / "runs.csv").read_bytes() == stored
    assert "`python -m elsewhere` makes them" in capsys.readouterr().out
    assert "made by `python -m elsewhere`" in (tmp_path / "REPORT.md").read_text()
    assert main(["--quick", "--out", str(tmp_path), "--workers", "1"], [apart]) == 1


def test_every_experiment_has_a_full_and_a_quick_configuration() -> None:
    for one in EXPERIMENTS:
        assert load_config(one.name, "full").keys() == load_config(one.name, "quick").keys()
    names = {path.stem for path in (ROOT / "validation" / "configs").glob("*.toml")}
    assert names == {one.name for one in EXPERIMENTS}


def test_the_full_configuration_asks_for_what_was_promised() -> None:
    with (ROOT / "validation" / "configs" / "estimator_error.toml").open("rb") as file:
        full = tomllib.load(file)["full"]
    cases = len(full["networks"]) * len(full["densities"]) * len(full["sigmas"])
    assert cases >= full["at_least"] >= 100
    coverage = load_config("coverage", "full")
    assert len(coverage["cases"]) >= 5 and coverage["n_seeds"] >= 1000
    crofton = load_config("crofton", "full")
    assert crofton["dimensions"] == [2, 3, 4] and crofton["networks"] >= 20


@pytest.mark.slow
def test_stored_results_give_the_stored_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its pictures are made and not drawn: that takes half a minute, and no picture is compared."""
    from matplotlib import pyplot as plt
    from PIL import Image

    def close(folder: Folder, name: str, figure: Any) -> None:
        folder.figure_path(name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (1, 1)).save(folder.figure_path(name))
        plt.close(figure)

    monkeypatch.setattr(Folder, "save_figure", close)
    stored = ROOT / "validation"
    if not (stored / "results" / "runs.csv").exists():
        pytest.skip("no stored results")
    for path in (stored / "results").glob("*.csv"):
        (tmp_path / "results").mkdir(exist_ok=True)
        (tmp_path / "results" / path.name).write_bytes(path.read_bytes())
    checks = build_report(tmp_path, EXPERIMENTS)
    assert all(check.passed for check in checks)
    assert (tmp_path / "REPORT.md").read_text() == (stored / "REPORT.md").read_text()


def test_an_unknown_experiment_is_refused_with_the_known_ones() -> None:
    command = [sys.executable, "-m", "validation", "--only", "nothing"]
    done = subprocess.run(command, cwd=ROOT, env=_environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "coverage" in done.stderr


def _environment() -> dict[str, str]:
    import os

    path = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(ROOT)]))
    return {**os.environ, "PYTHONPATH": path}
