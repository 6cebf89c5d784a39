"""Builds REPORT.md: the sections of the experiments, the checks, and what they were computed on.

A function of the stored tables; no number is written here.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import regions
from validation.framework import (
    Check,
    Experiment,
    Folder,
    Section,
    load_config,
    markdown_table,
    prose,
    read_rows,
    write_rows,
)

__all__ = ["build_report", "forget_run", "record_run", "stored_runs"]

_PACKAGES = ("numpy", "scipy", "numba", "scikit-learn", "torch")
_REFERENCES = """\
- Patel and Montúfar, *On the Local Complexity of Linear Regions in Deep ReLU Networks*, arXiv 2412.18283.
- Hanin and Rolnick, *Complexity of Linear Regions in Deep Networks*, arXiv 1901.09021.
- Hanin and Rolnick, *Deep ReLU Networks Have Surprisingly Few Activation Patterns*, arXiv 1906.00904.
- Humayun, Balestriero and Baraniuk, *Deep Networks Always Grok and Here Is Why*, arXiv 2402.15555.
- Kogan, Jananthan and Kepner, *Complexity of One-Dimensional ReLU DNNs*, arXiv 2512.08091.
- Santaló, *Integral Geometry and Geometric Probability*, chapter 14.
"""


def stored_runs(root: Path) -> dict[str, dict[str, Any]]:
    """What is known of the stored runs, by the experiment's name."""
    path = _runs_path(root)
    return {row["experiment"]: row for row in read_rows(path)} if path.exists() else {}


def record_run(root: Path, name: str, mode: str, workers: int, seconds: float, device: str = "") -> None:
    """Remember that the tables of an experiment were computed just now, by which machine and programs."""
    software = [f"regions {regions.__version__}", f"Python {platform.python_version()}", *_versions()]
    row = {
        "experiment": name,
        "mode": mode,
        "seconds": round(seconds, 1),
        "workers": workers,
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "machine": ", ".join(
            [platform.machine(), f"{os.cpu_count()} cores", platform.system(), *([device] if device else [])]
        ),
        "software": ", ".join(software),
    }
    runs = stored_runs(root) | {name: row}
    write_rows(_runs_path(root), [runs[key] for key in sorted(runs)])


def forget_run(root: Path, name: str) -> None:
    """Forget an experiment whose tables are about to change."""
    runs = stored_runs(root)
    if runs.pop(name, None) is None:
        return
    if runs:
        write_rows(_runs_path(root), [runs[key] for key in sorted(runs)])
    else:
        _runs_path(root).unlink()


def build_report(root: Path, experiments: Sequence[Experiment]) -> tuple[Check, ...]:
    """Write REPORT.md under the root from the tables there, and give all checks.

    Experiments whose tables are not there are named as such; they fail no check.
    """
    runs = stored_runs(root)
    present = [experiment for experiment in experiments if experiment.name in runs]
    absent = [
        f"{experiment.title}{f' ({experiment.obstacle})' if experiment.obstacle else ''}"
        for experiment in experiments
        if experiment.name not in runs
    ]
    sections = {
        experiment.name: experiment.report(
            load_config(experiment.name, runs[experiment.name]["mode"]), Folder(root, experiment.name)
        )
        for experiment in present
    }
    checks = [(experiment, check) for experiment in present for check in sections[experiment.name].checks]
    parts = [
        "# Evidence",
        _abstract(list(sections.values()), [check for _, check in checks], absent, present),
    ]
    for number, experiment in enumerate(present, 1):
        parts.append(_section(number, experiment, sections[experiment.name], Folder(root, experiment.name)))
    parts += ["## Checks", _check_table(checks), "## Machine and programs", _run_table(present, runs)]
    parts += ["## References", _REFERENCES.rstrip()]
    root.mkdir(parents=True, exist_ok=True)
    (root / "REPORT.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    return tuple(check for _, check in checks)


def _abstract(
    sections: Sequence[Section],
    checks: Sequence[Check],
    absent: Sequence[str],
    present: Sequence[Experiment],
) -> str:
    others = [f"`{experiment.command}`" for experiment in present if experiment.command]
    apart = f"; tables that take longer are made by {' and '.join(others)}" if others else ""
    opening = prose(
        f"""What the numbers of this library rest on: every estimator against the exact value of what
        it estimates, and the paper's statements against exact networks.
        {sum(check.passed for check in checks)} of {len(checks)} checks hold.
        `python -m validation` computes all of it again{apart}. Every number below is computed from the tables
        in [results/](results); `python -m validation --report-only` does that part alone."""
    )
    parts = [opening, "\n".join(f"- {section.headline}" for section in sections if section.headline)]
    if absent:
        parts.append("Not run here: " + "; ".join(absent) + ".")
    return "\n\n".join(part for part in parts if part)


def _section(number: int, experiment: Experiment, section: Section, folder: Folder) -> str:
    parts = [
        f"## {number}. {experiment.title}",
        f"**Question.** {section.question}",
        f"**Method.** {section.method}",
        section.table,
    ]
    for name, caption in section.figures:
        path = folder.figure_path(name).relative_to(folder.root).as_posix()
        parts.append(f"![{caption}]({path})\n\n*{caption}*")
    parts += [f"**Finding.** {section.finding}", f"**Limits.** {section.limits}"]
    return "\n\n".join(part for part in parts if part)


def _check_table(checks: Sequence[tuple[Experiment, Check]]) -> str:
    rows = [
        [check.name, "holds" if check.passed else "**FAILS**", check.detail, experiment.name]
        for experiment, check in checks
    ]
    return markdown_table(["what must hold", "", "numbers", "experiment"], rows)


def _run_table(present: Sequence[Experiment], runs: dict[str, dict[str, Any]]) -> str:
    used = [runs[experiment.name] for experiment in present]
    rows = [
        [
            str(run["experiment"]),
            str(run["mode"]),
            f"{run['seconds']:.0f}",
            str(run["workers"]),
            str(run["date"]),
        ]
        for run in used
    ]
    rows.append(["all", "", f"{sum(run['seconds'] for run in used):.0f}", "", ""])
    table = markdown_table(["experiment", "form", "seconds", "processes", "date"], rows)
    machines = sorted({f"{run['machine']}; {run['software']}" for run in used})
    return table + "\n\n" + "\n".join(f"Computed on {machine}." for machine in machines)


def _runs_path(root: Path) -> Path:
    return root / "results" / "runs.csv"


def _versions() -> list[str]:
    found = []
    for package in _PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return found
