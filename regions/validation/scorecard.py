"""What the benchmark found about one estimator: problem by problem, and as one row of the leaderboard.

Where the judgements come from is left to `benchmark`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import betaincinv, stdtrit

from regions.complexes import StoppedBy
from regions.errors import InvalidInputError
from regions.reports import finite, save_json
from regions.showing import Shown
from regions.validation.judgement import Judgement, flat_judgement

__all__ = ["LEADERBOARD_COLUMNS", "ProblemScore", "Scorecard", "with_row", "write_row"]

_FORMAT = "regions benchmark score 1"
LEADERBOARD_COLUMNS = (
    "estimator",
    "answers",
    "biased",
    "largest \\|z\\|",
    "median bias",
    "RMSE / co-area, equal time",
    "coverage",
    "benchmark",
)
# beyond so many standard errors a mean is taken for biased
_SURE = 4.0


@dataclass(frozen=True)
class ProblemScore:
    """An estimator on one problem, and beside it the co-area estimator at the same processor time.

    Parameters
    ----------
    problem : str
    judgement : Judgement of the estimator, None where it gave no answer
    reference : Judgement of the co-area estimator
    error : str, why there is no answer
    """

    problem: str
    judgement: Judgement | None
    reference: Judgement
    error: str = ""

    @property
    def ratio(self) -> float:
        """RMSE over that of the co-area estimator at the same time; nan where there is none."""
        if self.judgement is None:
            return math.nan
        own, other = (_true_rmse(one) for one in (self.judgement, self.reference))
        return own / other if other > 0.0 else math.nan


def _true_rmse(judgement: Judgement) -> float:
    """Root mean square error of a run, without what the errors of the exact value and of the mean add."""
    spread = judgement.over_seeds.stderr**2 + judgement.exact.stderr**2
    return math.sqrt(judgement.spread**2 + max(judgement.bias**2 - spread, 0.0))


@dataclass(frozen=True)
class Scorecard(Shown):
    """An estimator on the problems of the benchmark.

    Parameters
    ----------
    estimator, version : str, its name, and the version of the benchmark
    scores : tuple of ProblemScore
    n_seeds, n_samples : int, runs on each problem, and samples of the co-area estimator, whose time a run has
    stopped_by : "interrupt", what left out some problems; else ""
    """

    estimator: str
    version: str
    scores: tuple[ProblemScore, ...]
    n_seeds: int
    n_samples: int
    stopped_by: StoppedBy = ""

    @property
    def judgements(self) -> tuple[Judgement, ...]:
        """Those of the problems that were answered."""
        return tuple(one.judgement for one in self.scores if one.judgement is not None)

    @property
    def answered(self) -> int:
        """How many problems have an answer."""
        return len(self.judgements)

    @property
    def biased(self) -> int:
        """On how many of them the mean over seeds is off by more than 4 standard errors."""
        return sum(abs(one.z) > _SURE for one in self.judgements)

    @property
    def worst_z(self) -> float:
        """The largest z of a bias, with its sign; nan without answers."""
        return max((one.z for one in self.judgements), key=abs, default=math.nan)

    @property
    def median_bias(self) -> float:
        """Median over problems of |bias| over the exact value; nan without answers."""
        sizes = [abs(one.bias) / one.exact.mean for one in self.judgements]
        return float(np.median(sizes)) if sizes else math.nan

    @property
    def rmse_ratio(self) -> tuple[float, float, float]:
        """Geometric mean over problems of the ratio of RMSEs at equal time, and its 95 % interval."""
        logs = np.log([one.ratio for one in self.scores if one.ratio > 0.0])
        if len(logs) < 2:
            return (float(np.exp(logs[0])) if len(logs) else math.nan), math.nan, math.nan
        half = float(stdtrit(len(logs) - 1, 0.975)) * float(logs.std(ddof=1)) / math.sqrt(len(logs))
        middle = float(logs.mean())
        return math.exp(middle), math.exp(middle - half), math.exp(middle + half)

    @property
    def coverage(self) -> tuple[float, float, float, int]:
        """Share of the 95 % intervals that hold the exact value, its interval, and of how many problems.

        Of the problems whose exact value is ten times as sharp as what runs state; nan if there is none. The
        interval is that of Clopper and Pearson.
        """
        told = [one for one in self.judgements if one.coverage_is_judged]
        n = sum(len(one.runs) for one in told)
        if not n:
            return math.nan, math.nan, math.nan, 0
        hits = sum(round(one.coverage * len(one.runs)) for one in told)
        low = 0.0 if hits == 0 else float(betaincinv(hits, n - hits + 1, 0.025))
        high = 1.0 if hits == n else float(betaincinv(hits + 1, n - hits, 0.975))
        return hits / n, low, high, len(told)

    @property
    def row(self) -> tuple[str, ...]:
        """One row of the leaderboard, by its columns."""
        ratio, low, high = self.rmse_ratio
        covers, least, most, problems = self.coverage
        n = len(self.scores)
        return (
            self.estimator.replace("|", "/"),
            f"{self.answered} of {n}" + (", TRUNCATED" if self.stopped_by else ""),
            f"{self.biased}",
            f"{abs(self.worst_z):.1f}",
            f"{self.median_bias:.2%}",
            f"{ratio:.2f} ({low:.2f} to {high:.2f})",
            f"{covers:.1%} ({least:.1%} to {most:.1%}; {problems})" if problems else "-",
            f"{self.version}, {self.n_seeds} seeds",
        )

    def table(self) -> str:
        """The score as a table in plain text: a line for each problem, then the row of the leaderboard."""
        width = max((len(one.problem) for one in self.scores), default=0) + 2
        lines = [
            f"benchmark {self.version}: {self.estimator}, {self.n_seeds} seeds, as much time as "
            f"{self.n_samples:,} co-area samples take",
            f"{'problem':<{width}}{'exact':>10}{'draws':>9}{'bias':>10}{'z':>8}{'rmse':>9}{'/ co-area':>11}"
            f"{'covers':>8}",
        ]
        lines += [_line(one, width) for one in self.scores]
        named = zip(LEADERBOARD_COLUMNS, self.row, strict=True)
        lines += [f"{name.replace(chr(92), '')}: {value}" for name, value in named]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings, ready for JSON."""
        rows = [
            {
                "problem": one.problem,
                "error": one.error,
                "rmse_ratio": one.ratio,
                "score": None if one.judgement is None else flat_judgement(one.judgement),
                "reference": flat_judgement(one.reference),
            }
            for one in self.scores
        ]
        return dict(
            finite(
                {
                    "format": _FORMAT,
                    "estimator": self.estimator,
                    "benchmark": self.version,
                    "n_seeds": self.n_seeds,
                    "n_samples": self.n_samples,
                    "status": "TRUNCATED" if self.stopped_by else "COMPLETE",
                    "row": dict(zip(LEADERBOARD_COLUMNS, self.row, strict=True)),
                    "problems": rows,
                }
            )
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the score as JSON; raises InvalidInputError if the file cannot be written."""
        save_json(self.to_dict(), path, "score")


def _line(score: ProblemScore, width: int) -> str:
    own = score.judgement
    if own is None:
        return f"{score.problem:<{width}}{score.reference.exact.mean:>10.5g}  no answer: {score.error}"
    covers = f"{own.coverage:.0%}" if own.coverage_is_judged else "?"
    exact = own.exact.mean
    return (
        f"{score.problem:<{width}}{exact:>10.5g}{own.budget:>9}{own.bias / exact:>+10.2%}{own.z:>+8.1f}"
        f"{_true_rmse(own) / exact:>9.2%}{score.ratio:>11.2f}{covers:>8}"
    )


def with_row(page: str, row: Sequence[str]) -> str:
    """Return a page of markdown with a row in its leaderboard, in the place of one of the same estimator.

    Parameters
    ----------
    page : str, with a table whose first row are the columns of the leaderboard
    row : that of a `Scorecard`

    Raises
    ------
    InvalidInputError : if the page has no such table

    Examples
    --------
    >>> page = "| " + " | ".join(LEADERBOARD_COLUMNS) + " |\\n|:--|\\n| mine | old |\\n\\nEnd."
    >>> print(with_row(page, ["mine", "new"]).split("\\n", 2)[2])
    | mine | new |
    <BLANKLINE>
    End.
    """
    lines = page.split("\n")
    head = "| " + " | ".join(LEADERBOARD_COLUMNS) + " |"
    if head not in lines:
        raise InvalidInputError(f"the page has no table that begins with {head}")
    start = lines.index(head) + 2
    end = next((k for k in range(start, len(lines)) if not lines[k].startswith("|")), len(lines))
    body = [line for line in lines[start:end] if line.split("|")[1].strip() != row[0]]
    return "\n".join([*lines[:start], *body, "| " + " | ".join(row) + " |", *lines[end:]])


def write_row(path: str | os.PathLike[str], row: Sequence[str]) -> None:
    """Put a row into the leaderboard of a page of markdown."""
    file = Path(path)
    file.write_text(with_row(file.read_text(encoding="utf-8"), row), encoding="utf-8")
