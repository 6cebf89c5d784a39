"""One estimator at one budget over many seeds: its bias, its error, and whether its standard errors are true.

Running the seeds is left to `comparison`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, stdtrit

from regions.errors import InvalidInputError
from regions.estimators import Estimate, Target
from regions.reports import finite
from regions.showing import Shown
from regions.validation.local_complexity import read_estimate, z_score

__all__ = ["Judgement", "flat_judgement", "lines_of"]

FloatArray = NDArray[np.float64]

# two-sided 95 % of a normal variable
_NINETY_FIVE = 1.959963984540054
# coverage is judged where the exact value's error is at most this part of what the runs state
_NEGLIGIBLE = 0.1


@dataclass(frozen=True)
class Judgement(Shown):
    """One estimator at one budget, over many seeds, beside the exact value.

    Parameters
    ----------
    estimator : str, its name
    target : Target, what it estimates
    exact : Estimate, the exact value of that
    budget : int, draws of each run
    runs : tuple of Estimate, one for each seed (at least 2)
    seconds : float, mean wall time of a run

    Examples
    --------
    >>> runs = (Estimate(1.0, 0.1, 10), Estimate(1.2, 0.1, 10))
    >>> judgement = Judgement("mine", Target.locus(), Estimate(1.0, 0.0, 1), 10, runs, 0.5)
    >>> round(judgement.bias, 3), round(judgement.rmse, 3), judgement.coverage
    (0.1, 0.141, 0.5)
    """

    estimator: str
    target: Target
    exact: Estimate
    budget: int
    runs: tuple[Estimate, ...]
    seconds: float

    @property
    def over_seeds(self) -> Estimate:
        """Mean of the runs with its standard error, from their spread and not from what they state."""
        return Estimate.from_draws(np.array([run.mean for run in self.runs]))

    @property
    def bias(self) -> float:
        """Mean of the runs minus the exact value."""
        return self.over_seeds.mean - self.exact.mean

    @property
    def bias_interval(self) -> tuple[float, float]:
        """95 % confidence interval of the bias: Student's t, with the exact value's error."""
        spread = math.hypot(self.over_seeds.stderr, self.exact.stderr)
        half = float(stdtrit(len(self.runs) - 1, 0.975)) * spread
        return self.bias - half, self.bias + half

    @property
    def z(self) -> float:
        """Bias over its standard error, that of the exact value included."""
        return z_score(self.over_seeds, self.exact)

    @property
    def spread(self) -> float:
        """Standard deviation of the runs."""
        return self.over_seeds.stderr * math.sqrt(len(self.runs))

    @property
    def stated(self) -> float:
        """Root mean square of the standard errors that the runs state; the spread, if they are right."""
        return math.sqrt(math.fsum(run.stderr**2 for run in self.runs) / len(self.runs))

    @property
    def rmse(self) -> float:
        """Root mean square error of a run against the exact value, whose own error is within it."""
        return math.sqrt(math.fsum((run.mean - self.exact.mean) ** 2 for run in self.runs) / len(self.runs))

    @property
    def z_scores(self) -> FloatArray:
        """(n_seeds,) differences of single runs from the exact value, over their own standard errors."""
        sharp = Estimate(self.exact.mean, 0.0, 1)
        return np.array([z_score(run, sharp) for run in self.runs])

    @property
    def coverage(self) -> float:
        """Fraction of the runs whose interval, mean +- 1.96 stated standard errors, holds the exact value.

        It says something of the standard errors only if `coverage_is_judged`.
        """
        return float(np.mean(np.abs(self.z_scores) <= _NINETY_FIVE))

    @property
    def coverage_is_judged(self) -> bool:
        """Whether the exact value's own error is at most a tenth of the standard error that runs state.

        It is common to all runs, so a larger one moves the coverage without any run being at fault.
        """
        return self.exact.stderr <= _NEGLIGIBLE * self.stated

    @property
    def coverage_range(self) -> tuple[float, float]:
        """Lowest and highest coverage of any value within 2 standard errors of the exact one."""
        half = _NINETY_FIVE * np.array([run.stderr for run in self.runs])
        means = np.array([run.mean for run in self.runs])
        starts, ends = np.sort(means - half), np.sort(means + half)
        low, high = (self.exact.mean + k * self.exact.stderr for k in (-2.0, 2.0))
        # coverage changes at the ends of the runs' intervals only
        steps = np.concatenate([starts, np.nextafter(starts, -np.inf), ends, np.nextafter(ends, np.inf)])
        truths = np.append(steps[(steps >= low) & (steps <= high)], [low, high])
        holding = np.searchsorted(starts, truths, side="right") - np.searchsorted(ends, truths, side="left")
        covered = np.append(holding / len(self.runs), self.coverage)
        return float(covered.min()), float(covered.max())

    @property
    def draws_to_judge(self) -> float:
        """How many draws would bring the exact value's error to a tenth of the stated one; may be inf."""
        if self.coverage_is_judged:
            return float(self.exact.n)
        wanted = _NEGLIGIBLE * self.stated
        return self.exact.n * (self.exact.stderr / wanted) ** 2 if wanted > 0.0 else math.inf

    @property
    def coverage_interval(self) -> tuple[float, float]:
        """95 % confidence interval of the coverage, for so many seeds (Clopper and Pearson's)."""
        n = len(self.runs)
        hits = round(self.coverage * n)
        low = 0.0 if hits == 0 else float(betaincinv(hits, n - hits + 1, 0.025))
        high = 1.0 if hits == n else float(betaincinv(hits + 1, n - hits, 0.975))
        return low, high

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings, ready for JSON; what is not finite becomes None."""
        low, high = self.bias_interval
        coverage_low, coverage_high = self.coverage_interval
        plain: dict[str, Any] = {
            "estimator": self.estimator,
            "target": self.target.describe(),
            "target_parameters": asdict(self.target),
            "exact": self.exact.to_dict(),
            "budget": self.budget,
            "n_seeds": len(self.runs),
            "mean": self.over_seeds.mean,
            "bias": self.bias,
            "bias_low": low,
            "bias_high": high,
            "z": self.z,
            "rmse": self.rmse,
            "spread": self.spread,
            "stated_stderr": self.stated,
            "coverage": self.coverage,
            "coverage_low": coverage_low,
            "coverage_high": coverage_high,
            "coverage_is_judged": self.coverage_is_judged,
            "coverage_range": list(self.coverage_range),
            "seconds": self.seconds,
            "z_scores": self.z_scores.tolist(),
            "runs": [run.to_dict() for run in self.runs],
        }
        return dict(finite(plain))

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> Judgement:
        """Return the judgement that `to_dict` gave: its runs, from which all else is computed again.

        Raises
        ------
        InvalidInputError, KeyError, TypeError, ValueError : if something is missing or no number
        """
        runs = tuple(read_estimate(run) for run in plain["runs"])
        if len(runs) < 2:
            raise InvalidInputError(f"{plain['estimator']} has {len(runs)} runs; a spread needs at least 2")
        return cls(
            str(plain["estimator"]),
            Target(**plain["target_parameters"]),
            read_estimate(plain["exact"]),
            int(plain["budget"]),
            runs,
            float(plain["seconds"]),
        )

    def _headline(self) -> str:
        return f"{self.estimator}, {self.budget:,} draws, bias {self.bias:+.3g}, z {self.z:+.2f}"

    def _facts(self) -> dict[str, Any]:
        plain = flat_judgement(self)
        return {name.replace("_", " "): value for name, value in plain.items()}


def flat_judgement(judgement: Judgement) -> dict[str, Any]:
    """Return a judgement as one row of a table: no single runs, the exact value in columns of its own."""
    plain = judgement.to_dict()
    exact = plain.pop("exact")
    least, most = plain.pop("coverage_range")
    for name in ("target_parameters", "z_scores", "runs"):
        del plain[name]
    exact_columns = {"exact": exact["mean"], "exact_stderr": exact["stderr"], "exact_draws": exact["n"]}
    return {**plain, **exact_columns, "coverage_least": least, "coverage_most": most}


def lines_of(rows: Sequence[Judgement], width: int) -> list[str]:
    """Lines of a table: judgements of one target under its exact value, names in so many columns."""
    target, exact = rows[0].target, rows[0].exact
    lines = [
        f"{target.describe()}: exact {exact.mean:.6g} ± {exact.stderr:.2g} ({exact.n} draws)",
        f"{'estimator':<{width}}{'budget':>8}{'mean':>11}{'bias':>11}{'95 % interval':>25}{'z':>8}"
        f"{'rmse':>10}{'spread':>10}{'stated':>10}{'covers':>8}{'at ±2 errors':>18}{'seconds':>9}",
    ]
    return [*lines, *(_row(judgement, width) for judgement in rows), *_not_judged(rows)]


def _not_judged(rows: Sequence[Judgement]) -> list[str]:
    """The line that says of which rows the coverage cannot be judged, and what would help; none if of all."""
    left = [row for row in rows if not row.coverage_is_judged]
    if not left:
        return []
    needed = max(row.draws_to_judge for row in left)
    help = f"; {math.ceil(needed):,} draws would do" if math.isfinite(needed) else ""
    return [
        "?: coverage cannot be judged, as the exact value's error is above a tenth of what the runs state"
        + help
    ]


def _row(judgement: Judgement, width: int) -> str:
    low, high = judgement.bias_interval
    least, most = judgement.coverage_range
    covers = f"{judgement.coverage:.1%}" if judgement.coverage_is_judged else "?"
    between = f"{least:.1%} to {most:.1%}"
    return (
        f"{judgement.estimator:<{width}}{judgement.budget:>8}{judgement.over_seeds.mean:>11.5g}"
        f"{judgement.bias:>+11.3g}{f'[{low:+.3g}, {high:+.3g}]':>25}{judgement.z:>+8.1f}"
        f"{judgement.rmse:>10.3g}{judgement.spread:>10.3g}{judgement.stated:>10.3g}"
        f"{covers:>8}{between:>18}{judgement.seconds:>9.4f}"
    )
