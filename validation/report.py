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
from validation import paper
from validation.authors_table import authors_section
from validation.fingerprint import fingerprint, tables_digest
from validation.forest import forests
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
from validation.typeset import write_html

__all__ = ["build_report", "forget_run", "record_run", "stored_runs"]

_DECISIONS = "Which estimator, how many samples, for 1 %"
_OF_DECISIONS = """\
    What takes least time for a standard error of 1 %, by dimension, noise and depth: from the runs of the
    next section, of small networks on one core. The smaller the noise, the rarer and larger the terms of the
    co-area formula; lines do not feel it. Where the interval of the ratio of times holds 1, take either."""
_PACKAGES = ("numpy", "scipy", "numba", "scikit-learn", "torch")
_REFERENCES = """\
- Patel and Montúfar, *On the Local Complexity of Linear Regions in Deep ReLU Networks*, arXiv 2412.18283.
- Hanin and Rolnick, *Complexity of Linear Regions in Deep Networks*, arXiv 1901.09021.
- Hanin and Rolnick, *Deep ReLU Networks Have Surprisingly Few Activation Patterns*, arXiv 1906.00904.
- Humayun, Balestriero and Baraniuk, *Deep Networks Always Grok and Here Is Why*, arXiv 2402.15555.
- Tseran and Montúfar, *On the Expected Complexity of Maxout Networks*, arXiv 2107.00379.
- Kogan, Jananthan and Kepner, *Complexity of One-Dimensional ReLU DNNs*, arXiv 2512.08091.
- Santaló, *Integral Geometry and Geometric Probability*, chapter 14.
"""


def stored_runs(root: Path) -> dict[str, dict[str, Any]]:
    """What is known of the stored runs, by the experiment's name."""
    path = _runs_path(root)
    return {row["experiment"]: row for row in read_rows(path)} if path.exists() else {}


def record_run(
    root: Path, name: str, mode: str, workers: int, seconds: float, device: str = "", digest: str = ""
) -> None:
    """Remember that the tables of an experiment were computed just now, by which machine and programs.

    The digest is what `unchanged` compares, of code and configuration; without one the tables are never
    reused.
    """
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
        "digest": digest,
        "tables": tables_digest(root, name) if digest else "",
    }
    _write_runs(root, stored_runs(root) | {name: row})


def unchanged(root: Path, experiment: Experiment, mode: str) -> bool:
    """Tell whether the stored tables are what `run` would compute: code, configuration and files as they
    were.
    """
    row = stored_runs(root).get(experiment.name)
    if row is None or row["mode"] != mode or not row.get("digest"):
        return False
    if row["tables"] != tables_digest(root, experiment.name):
        return False
    return bool(row["digest"] == fingerprint(experiment, mode))


def forget_run(root: Path, name: str) -> None:
    """Forget an experiment whose tables are about to change."""
    runs = stored_runs(root)
    if runs.pop(name, None) is None:
        return
    if runs:
        _write_runs(root, runs)
    else:
        _runs_path(root).unlink()


def _write_runs(root: Path, runs: dict[str, dict[str, Any]]) -> None:
    """Write what is known of the runs; those of before there were digests have none."""
    without = {"digest": "", "tables": ""}
    write_rows(_runs_path(root), [without | runs[key] for key in sorted(runs)])


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
    folders = {one.name: Folder(root, one.name, rough=runs[one.name]["mode"] == "quick") for one in present}
    sections = {
        experiment.name: experiment.report(
            load_config(experiment.name, runs[experiment.name]["mode"]), folders[experiment.name]
        )
        for experiment in present
    }
    checks = [(experiment, check) for experiment in present for check in sections[experiment.name].checks]
    code, sentence = authors_section(root)
    parts = [
        f"# {paper.TITLE}",
        _abstract(sections, {"variants": sentence}, [check for _, check in checks], absent, present),
    ]
    bodies = [("Notation", paper.NOTATION.rstrip()), ("Related work", paper.RELATED_WORK.rstrip())]
    decisions = []
    for experiment in present:
        section = sections[experiment.name]
        table, lifted = paper.lift_decision_table(section.table)
        decisions += [lifted] if lifted else []
        bodies.append((experiment.title, _section(section, table, folders[experiment.name])))
    if decisions:
        bodies.insert(2, (_DECISIONS, "\n\n".join([prose(_OF_DECISIONS), *decisions])))
    if code:
        bodies.append(("Published code, run as it is", code))
    named = [(experiment.title, sections[experiment.name]) for experiment in present]
    bodies.append(("Limits", paper.limits(named)))
    parts += [f"## {number}. {title}\n\n{body}" for number, (title, body) in enumerate(bodies, 1)]
    parts += ["## Checks", _check_table(checks), "## Machine and programs", _run_table(present, runs)]
    parts += ["## References", _REFERENCES.rstrip()]
    root.mkdir(parents=True, exist_ok=True)
    (root / "REPORT.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    write_html(root)
    return tuple(check for _, check in checks)


def _abstract(
    sections: dict[str, Section],
    more: dict[str, str],
    checks: Sequence[Check],
    absent: Sequence[str],
    present: Sequence[Experiment],
) -> str:
    others = [f"`{experiment.command}`" for experiment in present if experiment.command]
    apart = f"; tables that take longer are made by {' and '.join(others)}" if others else ""
    opening = prose(
        f"""Local complexity, the density of the nonlinear locus of a network under the data, is estimated in
        many
        papers and was never held against its exact value. Here it is: every estimator against the value that
        it means, on networks that are enumerated, and the published statements about it against exact
        networks. {sum(check.passed for check in checks)} of {len(checks)} checks hold. Three results can be
        used as they are."""
    )
    made = prose(
        f"""`python -m validation` computes all of it again{apart}. Every number below is computed from the
        tables
        in [results/](results); `python -m validation --report-only` does that part alone, and sets this text
        as one page with its pictures, `REPORT.html`."""
    )
    parts = ["## Abstract", opening, paper.three_results(sections, more)]
    rest = paper.others(sections)
    parts += [f"Beside these:\n\n{rest}" if rest else "", made]
    if absent:
        parts.append("Not run here: " + "; ".join(absent) + ".")
    return "\n\n".join(part for part in parts if part)


def _section(section: Section, table: str, folder: Folder) -> str:
    drawn = forests(folder)
    figures = [*drawn, *section.figures]
    parts = [f"*{section.question}*", paper.paragraphs(section.method)]
    for name, caption in figures:
        path = folder.figure_path(name).relative_to(folder.root).as_posix()
        parts.append(f"![{caption}]({path})\n\n*{caption}*")
    parts += [paper.fold(table, bool(figures)), f"**Finding.** {section.finding}"]
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
