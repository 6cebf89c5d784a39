"""Builds REPORT.md: the sections of the experiments, the checks, and what they were computed on.

A function of the stored tables; no number is written here.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
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
_AUTHORS = "authors"
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
    parts = _Parts()
    checks: list[tuple[Experiment, Check]] = []
    for experiment in present:
        mode = runs[experiment.name]["mode"]
        folder = Folder(root, experiment.name, rough=mode == "quick")
        section = experiment.report(load_config(experiment.name, mode), folder)
        parts.add(experiment.title, section, folder)
        checks += [(experiment, check) for check in section.checks]
    if (published := authors_section(root)) is not None:
        parts.add("Published code, run as it is", published, Folder(root, _AUTHORS))
    opening = _abstract(parts.sections, [check for _, check in checks], absent, present)
    blocks = [f"# {paper.TITLE}", opening, *parts.body()]
    blocks += ["## References", _REFERENCES.rstrip()]
    if appendix := parts.appendix():
        blocks += ["## Appendix A. Tables", appendix]
    blocks += ["## Appendix B. Checks", _check_table(checks)]
    blocks += ["## Appendix C. Machine and programs", _run_table(present, runs)]
    root.mkdir(parents=True, exist_ok=True)
    (root / "REPORT.md").write_text("\n\n".join(blocks) + "\n", encoding="utf-8")
    write_html(root)
    return tuple(check for _, check in checks)


@dataclass
class _Parts:
    """The sections that are there, which get their numbers and those of their figures as they are set."""

    sections: dict[str, Section] = field(default_factory=dict)
    titles: dict[str, str] = field(default_factory=dict)
    folders: dict[str, Folder] = field(default_factory=dict)
    behind: list[str] = field(default_factory=list)
    figures: int = 0

    def add(self, title: str, section: Section, folder: Folder) -> None:
        """Take a section by the name of its folder."""
        name = folder.experiment
        self.sections[name], self.titles[name], self.folders[name] = section, title, folder

    def body(self) -> list[str]:
        """Everything from the notation to the limits."""
        found = [f"## 1. Notation\n\n{paper.paragraphs(paper.NOTATION)}"]
        found.append(f"## 2. Related work\n\n{prose(paper.RELATED_WORK)}")
        numbers: dict[str, str] = {}
        for number, (title, names) in enumerate(paper.ordered(list(self.sections)), 3):
            found.append(f"## {number}. {title}")
            own = [(_DECISIONS, self._decisions(name)) for name in names]
            own = [(head, text) for head, text in own if text]
            numbers |= {name: f"{number}.{at}" for at, name in enumerate(names, len(own) + 1)}
            own += [(self.titles[name], self._section(name)) for name in names]
            found += [f"### {number}.{at} {head}\n\n{text}" for at, (head, text) in enumerate(own, 1)]
        named = [(number, self.sections[name]) for name, number in numbers.items()]
        if told := paper.limits(named):
            found.append(f"## {len(paper.ordered(list(numbers))) + 3}. Limits\n\n{told}")
        return found

    def appendix(self) -> str:
        """The tables that stand behind the text; of a body that is set."""
        return "\n\n".join(self.behind)

    def _decisions(self, name: str) -> str:
        table = paper.decisions_of(self.sections[name])
        return f"{prose(paper.OF_DECISIONS)}\n\n{table}" if table else ""

    def _section(self, name: str) -> str:
        section, folder = self.sections[name], self.folders[name]
        figures = [*forests(folder), *section.figures]
        kept, moved = paper.split_tables(section.table, bool(figures))
        lead = paper.unused_headline(name, section)
        result = f"**{lead}** {section.finding}" if lead else f"**Finding.** {section.finding}"
        parts = [f"*{section.question}*", paper.paragraphs(section.method), result]
        for figure, caption in figures:
            self.figures += 1
            path = folder.figure_path(figure).relative_to(folder.root).as_posix()
            parts.append(f"![Figure {self.figures}]({path})\n\n*Figure {self.figures}. {caption}.*")
        stored = sorted(path.name for path in (folder.root / "results").glob(f"{name}_*.csv"))
        behind = [f"Stored in {', '.join(f'`{one}`' for one in stored)}." if stored else ""]
        behind += [paper.fold(moved), paper.fold(paper.appendix_of(section))]
        self.behind.append("\n\n".join([f"### {self.titles[name]}", *filter(None, behind)]))
        parts.append(kept)
        return "\n\n".join(part for part in parts if part)


def _abstract(
    sections: dict[str, Section],
    checks: Sequence[Check],
    absent: Sequence[str],
    present: Sequence[Experiment],
) -> str:
    others = [f"`{experiment.command}`" for experiment in present if experiment.command]
    apart = f"; tables that take longer are made by {' and '.join(others)}" if others else ""
    opening = prose(
        f"""Local complexity, the density of the nonlinear locus of a ReLU network under the data, is
        estimated in many papers; we know of none that holds its estimates against exact values. Here every
        estimator is held against the value that it means, on networks whose cells are enumerated, and
        published statements about local complexity against exact networks.
        {sum(check.passed for check in checks)} of {len(checks)} checks hold (appendix B). Three results can
        be used as they are."""
    )
    made = prose(
        f"""`python -m validation` computes all of it again{apart}. Every number is computed from the tables
        in [results/](results), which appendix A names; `python -m validation --report-only` does that part
        alone, and sets this text as one page, `REPORT.html`."""
    )
    parts = ["## Abstract", opening, paper.three_results(sections), made]
    if absent:
        parts.append("Not run here: " + "; ".join(absent) + ".")
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
