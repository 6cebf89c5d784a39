"""The paper's findings about training as criteria on records: what counts as reproduced, and what came out.

Functions of the table's rows; training and measuring is left to `training`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import linregress, t

from validation.framework import Check

__all__ = [
    "FINDINGS",
    "LATE_FROM",
    "Finding",
    "Verdict",
    "falls",
    "judge",
    "late",
    "mean_rank",
    "rank_falls",
    "runs_of",
    "sanity_checks",
    "sign_of",
]

Row = dict[str, Any]
Run = list[Row]

# a run is late from the first record with this training accuracy
LATE_FROM = 0.95
_STANDARD_ERRORS = 4.0
# of all runs in question
_MAJORITY = 0.75
_RANK_FALLS_BY = 0.1
_STEADY_WITHIN = 2.0
_LARGEST_Z = 4.0


@dataclass(frozen=True)
class Verdict:
    """What came out on one data set.

    Parameters
    ----------
    reproduced : bool, None where the numbers do not decide
    numbers : str, those that decided
    """

    reproduced: bool | None
    numbers: str

    @property
    def word(self) -> str:
        """For tables."""
        if self.reproduced is None:
            return "undecided"
        return "reproduced" if self.reproduced else "not reproduced"


@dataclass(frozen=True)
class Finding:
    """A finding of the paper, or a statement of ours beside it.

    Parameters
    ----------
    name, title : str
    criterion : str, what counts as reproduced
    judge : of the runs of one data set; None where they cannot tell
    ours : bool, not a statement of the paper: left out where the paper's are counted
    """

    name: str
    title: str
    criterion: str
    judge: Callable[[list[Run]], Verdict | None]
    ours: bool = False


def runs_of(rows: list[Row]) -> dict[tuple[str, float, float, int], Run]:
    """The records of each run, in the order of their steps."""
    runs: dict[tuple[str, float, float, int], Run] = {}
    for row in rows:
        runs.setdefault((row["data"], row["decay"], row["scale"], row["seed"]), []).append(row)
    return {key: sorted(run, key=lambda row: row["step"]) for key, run in runs.items()}


def mean_rank(row: Row) -> float:
    """Local rank, the mean over the layers."""
    ranks = [value for key, value in row.items() if key.startswith("rank_") and value is not None]
    return float(np.mean(ranks))


def judge(rows: list[Row]) -> dict[str, Verdict]:
    """The verdicts on the records of one data set, by the findings' names."""
    runs = list(runs_of(rows).values())
    verdicts = {finding.name: finding.judge(runs) for finding in FINDINGS}
    return {name: verdict for name, verdict in verdicts.items() if verdict is not None}


def late(run: Run) -> Run:
    """The records of a run from when it fits its training set; its last one if it never does.

    Examples
    --------
    >>> run = [{"step": k, "train_accuracy": a} for k, a in enumerate((0.1, 0.96, 0.94, 1.0))]
    >>> [row["step"] for row in late(run)]
    [1, 2, 3]
    """
    first = next((k for k, row in enumerate(run) if row["train_accuracy"] >= LATE_FROM), len(run) - 1)
    return run[first:]


def falls(run: Run, quantity: str = "lc") -> bool:
    """Whether local complexity (or `plane_lc`) ends below its largest late value, beyond standard errors.

    Examples
    --------
    >>> run = [{"train_accuracy": 1.0, "lc": lc, "lc_stderr": 0.1} for lc in (3.0, 5.0, 4.0)]
    >>> falls(run), falls(run[:2])
    (True, False)
    """
    peak, end = max(late(run), key=lambda row: row[quantity]), run[-1]
    error = math.hypot(peak[f"{quantity}_stderr"], end[f"{quantity}_stderr"])
    return bool(peak[quantity] - end[quantity] > _STANDARD_ERRORS * error)


def rank_falls(run: Run) -> bool:
    """Whether the mean rank falls by a tenth between the first late record and the end."""
    return mean_rank(run[-1]) < (1.0 - _RANK_FALLS_BY) * mean_rank(late(run)[0])


def _usual(runs: list[Run]) -> list[Run]:
    return [run for run in runs if run[0]["scale"] == 1.0]


def _decayed(runs: list[Run]) -> list[Run]:
    return [run for run in _usual(runs) if run[0]["decay"] > 0.0]


def _of_runs(runs: list[Run], holds: Callable[[Run], bool]) -> Verdict | None:
    """A finding that a majority of the runs must show; told for each weight decay."""
    if not runs:
        return None
    decays = sorted({run[0]["decay"] for run in runs})
    parts, total = [], 0
    for decay in decays:
        own = [run for run in runs if run[0]["decay"] == decay]
        count = sum(map(holds, own))
        total += count
        parts.append(f"{count} of {len(own)} at {decay:g}")
    return Verdict(total >= _MAJORITY * len(runs), f"runs by weight decay: {', '.join(parts)}")


def _late_fall(runs: list[Run]) -> Verdict | None:
    return _of_runs(_decayed(runs), falls)


def _plane_fall(runs: list[Run]) -> Verdict | None:
    return _of_runs(_decayed(runs), lambda run: falls(run, "plane_lc"))


def _rank_fall(runs: list[Run]) -> Verdict | None:
    return _of_runs(_decayed(runs), rank_falls)


def _both_fall(runs: list[Run]) -> Verdict | None:
    return _of_runs(_decayed(runs), lambda run: falls(run) and rank_falls(run))


def _below_start(runs: list[Run]) -> Verdict | None:
    def lower(run: Run) -> bool:
        error = math.hypot(run[0]["lc_stderr"], run[-1]["lc_stderr"])
        return bool(run[0]["lc"] - run[-1]["lc"] > _STANDARD_ERRORS * error)

    return _of_runs(_decayed(runs), lower)


def spread(values: list[float]) -> float:
    """Largest over smallest.

    Examples
    --------
    >>> spread([2.0, 1.0, 4.0])
    4.0
    """
    return max(values) / min(values)


def _bound_follows(runs: list[Run]) -> Verdict | None:
    """A over LC, and TV over LC, over the late records."""
    own = _usual(runs)
    if not own:
        return None
    scaled = [spread([row["bound"] / row["lc"] for row in late(run)]) for run in own]
    plain = [spread([row["tv"] / row["lc"] for row in late(run)]) for run in own]
    steady = sum(one <= _STEADY_WITHIN for one in scaled)
    return Verdict(
        steady >= _MAJORITY * len(own),
        f"{steady} of {len(own)} runs; late A / LC varies by a factor {np.median(scaled):.3g} (median over "
        f"runs, largest {max(scaled):.3g}), TV / LC by {np.median(plain):.3g}",
    )


def sign_of(low: float, high: float) -> int:
    """Of an interval: 1 above 0, -1 below, 0 if it holds 0.

    Examples
    --------
    >>> sign_of(0.1, 2.0), sign_of(-1.0, 2.0), sign_of(-2.0, -1.0)
    (1, 0, -1)
    """
    return int(low > 0.0) - int(high < 0.0)


def _signed(wanted: int, low: float, high: float) -> bool | None:
    """Whether a difference has the sign that is wanted; None if its interval holds 0."""
    sign = sign_of(low, high)
    return None if sign == 0 else sign == wanted


def paired(first: list[Run], second: list[Run]) -> tuple[float, float, float] | None:
    """Mean over seeds of the final LC of the first less that of the second, and its 95 % interval."""
    ends = [{run[0]["seed"]: run[-1]["lc"] for run in runs} for runs in (first, second)]
    seeds = sorted(ends[0].keys() & ends[1].keys())
    if len(seeds) < 2:
        return None
    gaps = np.array([ends[0][seed] - ends[1][seed] for seed in seeds])
    reach = float(t.ppf(0.975, len(gaps) - 1) * gaps.std(ddof=1) / math.sqrt(len(gaps)))
    return float(gaps.mean()), float(gaps.mean()) - reach, float(gaps.mean()) + reach


def _decay_lowers(runs: list[Run]) -> Verdict | None:
    usual = _usual(runs)
    decays = sorted({run[0]["decay"] for run in usual})
    groups = {decay: [run for run in usual if run[0]["decay"] == decay] for decay in decays}
    if decays[0] != 0.0 or len(decays) < 2:
        return None
    gaps = {decay: paired(groups[decay], groups[0.0]) for decay in decays[1:]}
    told = {decay: gap for decay, gap in gaps.items() if gap is not None}
    if not told:
        return None
    numbers = ", ".join(f"{gap[0]:+.1f} ({gap[1]:+.1f} to {gap[2]:+.1f}) at {d:g}" for d, gap in told.items())
    return Verdict(
        _signed(-1, *told[max(told)][1:]),
        f"final LC less that without decay, with its 95 % interval: {numbers}",
    )


def _logarithm(runs: list[Run]) -> Verdict | None:
    own = _decayed(runs)
    if len({run[0]["decay"] for run in own}) < 3:
        return None
    x = [math.log(1.0 / run[0]["decay"]) for run in own]
    fit = linregress(x, [run[-1]["lc"] for run in own])
    reach = float(t.ppf(0.975, len(x) - 2) * fit.stderr)
    low, high = fit.slope - reach, fit.slope + reach
    return Verdict(
        _signed(1, low, high),
        f"slope {fit.slope:.2f} ({low:.2f} to {high:.2f}), R^2 = {fit.rvalue**2:.3f} over {len(x)} runs",
    )


def _scale_lowers(runs: list[Run]) -> Verdict | None:
    large = [run for run in runs if run[0]["scale"] > 1.0]
    if not large:
        return None
    scale, decay = max(run[0]["scale"] for run in large), large[0][0]["decay"]
    large = [run for run in large if run[0]["scale"] == scale]
    gap = paired(large, [run for run in _usual(runs) if run[0]["decay"] == decay])
    if gap is None:
        return None
    return Verdict(
        _signed(-1, *gap[1:]),
        f"final LC at {scale:g} times the initial weights less that at 1, weight decay {decay:g}: "
        f"{gap[0]:+.1f} ({gap[1]:+.1f} to {gap[2]:+.1f})",
    )


FINDINGS = (
    Finding(
        "late fall",
        "LC falls late",
        f"with weight decay, the final LC is below the largest late one by more than {_STANDARD_ERRORS:g} "
        f"standard errors in at least {_MAJORITY:.0%} of the runs.",
        _late_fall,
    ),
    Finding(
        "plane fall",
        "exact LC on a plane falls late",
        "the same with the exact value on the plane, whose standard error is that of the bias draws.",
        _plane_fall,
        ours=True,
    ),
    Finding(
        "below start",
        "LC ends below its value at initialisation",
        "(1) against the first record instead.",
        _below_start,
    ),
    Finding(
        "rank fall",
        "local rank falls late",
        f"with weight decay, the rank averaged over the layers is at the end at least "
        f"{_RANK_FALLS_BY:.0%} below that of the first late record, in at least {_MAJORITY:.0%} of the runs.",
        _rank_fall,
    ),
    Finding("both fall", "LC falls late while local rank falls", "(1) and (4) in the same runs.", _both_fall),
    Finding(
        "bound follows",
        "TV L c_eta / max ‖W_l ... W_L‖ stays in proportion to LC",
        f"the late ratio varies by at most a factor {_STEADY_WITHIN:g} in at least "
        f"{_MAJORITY:.0%} of the runs.",
        _bound_follows,
    ),
    Finding(
        "decay lowers",
        "weight decay lowers the final LC",
        "paired by seed, the final LC at the largest weight decay less that without has a 95 % interval "
        "(Student's t) below 0; undecided if it holds 0.",
        _decay_lowers,
    ),
    Finding(
        "logarithm",
        "final LC grows with log(1 / weight decay)",
        "the slope of a least squares fit over the runs has a 95 % interval above 0, undecided if it "
        "holds 0 (published R^2 of such a "
        "fit: 0.697).",
        _logarithm,
    ),
    Finding(
        "scale lowers",
        "larger initial weights lower the final LC",
        "paired by seed, the difference has a 95 % interval below 0, undecided if it holds 0.",
        _scale_lowers,
    ),
)


def sanity_checks(rows: list[Row]) -> tuple[Check, ...]:
    """What must hold whatever the findings are: the networks learn, and estimates agree with exact values."""
    found = []
    ends = [run[-1]["train_accuracy"] for run in runs_of(rows).values()]
    found.append(
        Check(
            f"every run ends with a training accuracy of at least {LATE_FROM:.0%}",
            min(ends) >= LATE_FROM,
            f"{len(ends)} runs, lowest {min(ends):.1%}",
        )
    )
    for name in dict.fromkeys(row["data"] for row in rows):
        own = [row for row in rows if row["data"] == name]
        gaps = [row["plane_estimate"] - row["plane_lc"] for row in own]
        errors = [math.hypot(row["plane_estimate_stderr"], row["plane_lc_stderr"]) for row in own]
        # records of one run are made with draws of their own, so their errors are independent
        z = math.fsum(gaps) / math.sqrt(math.fsum(error**2 for error in errors))
        found.append(
            Check(
                f"co-area estimates on planes agree with exact local complexity: {name}",
                abs(z) < _LARGEST_Z,
                f"{len(own)} records, z of their sum {z:+.2f}",
            )
        )
    wider = [row["activation_locus"] - row["locus"] for row in rows]
    found.append(
        Check(
            "the activation locus is at least as long as the nonlinear locus",
            min(wider) >= 0.0,
            f"{len(rows)} records, longer in {sum(gap > 0.0 for gap in wider)}",
        )
    )
    return tuple(found)
