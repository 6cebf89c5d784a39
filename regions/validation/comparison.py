"""Judges estimators over many seeds: bias, error against cost, and whether their standard errors are true.

Each is judged by the exact value of what it says it estimates (`counterparts`); a single run beside the
exact value is left to `validation`.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, stdtrit

from regions.density import Density
from regions.domain import Domain
from regions.errors import InvalidInputError
from regions.estimators import BudgetedEstimator, Estimate, FunctionEstimator, Target
from regions.estimators.estimates import BudgetedFunction
from regions.network.relu_network import Network
from regions.reports import finite, heading, read_as, save_json, truncation
from regions.validation.exact_targets import exact_value
from regions.validation.local_complexity import EnumerationOptions, raise_if_truncated, read_estimate, z_score

__all__ = ["Comparison", "ComparisonSettings", "Judgement", "compare_estimators"]

FloatArray = NDArray[np.float64]

# two-sided 95 % of a normal variable
_NINETY_FIVE = 1.959963984540054
_FORMAT = "regions comparison 1"


class ComparisonSettings(EnumerationOptions, total=False):
    """The settings of `compare_estimators`, and those of the enumeration."""

    budgets: Sequence[int]
    n_seeds: int
    n_exact: int
    target: Target


@dataclass(frozen=True)
class Judgement:
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
        """(n_seeds,) differences of single runs from the exact value over both stated standard errors."""
        return np.array([z_score(run, self.exact) for run in self.runs])

    @property
    def coverage(self) -> float:
        """Fraction of the runs whose stated 95 % interval holds the exact value (with its own error)."""
        return float(np.mean(np.abs(self.z_scores) <= _NINETY_FIVE))

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
            "seconds": self.seconds,
            "z_scores": self.z_scores.tolist(),
            "runs": [run.to_dict() for run in self.runs],
        }
        return dict(finite(plain))

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> Judgement:
        """The judgement that `to_dict` gave: its runs, from which all else is computed again.

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


@dataclass(frozen=True)
class Comparison:
    """Estimators judged on one problem.

    Parameters
    ----------
    judgements : tuple of Judgement, in the order of the estimators, then of the budgets
    network, domain, density : str, one line each
    complete : bool, False if Ctrl-C cut it short: estimators, budgets or seeds are missing

    Examples
    --------
    >>> runs = (Estimate(1.0, 0.1, 10), Estimate(1.2, 0.1, 10))
    >>> judgement = Judgement("mine", Target.locus(), Estimate(1.0, 0.0, 1), 10, runs, 0.5)
    >>> print(Comparison((judgement,)).table().splitlines()[-1].split()[:4])
    ['mine', '10', '1.1', '+0.1']
    """

    judgements: tuple[Judgement, ...]
    network: str = ""
    domain: str = ""
    density: str = ""
    complete: bool = True

    def __str__(self) -> str:
        return self.table()

    def of(self, name: str) -> tuple[Judgement, ...]:
        """The judgements of the estimator of that name, one for each budget.

        Raises
        ------
        InvalidInputError : if there is none
        """
        found = tuple(judgement for judgement in self.judgements if judgement.estimator == name)
        if not found:
            names = sorted({judgement.estimator for judgement in self.judgements})
            raise InvalidInputError(f"no estimator {name!r}; there are {', '.join(names) or 'none'}")
        return found

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, strings and lists, ready for JSON."""
        return {
            "format": _FORMAT,
            "network": self.network,
            "domain": self.domain,
            "density": self.density,
            "status": "COMPLETE" if self.complete else "TRUNCATED",
            "judgements": [judgement.to_dict() for judgement in self.judgements],
        }

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the comparison as JSON, every run included.

        Raises
        ------
        InvalidInputError : if the file cannot be written
        """
        save_json(self.to_dict(), path, "comparison")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Comparison:
        """Read what `save` wrote; numbers come back bit for bit.

        Raises
        ------
        InvalidInputError : if the file cannot be read, is of another kind or damaged
        """
        return read_as(cls._from_dict, path, "comparison", _FORMAT)

    @classmethod
    def _from_dict(cls, plain: dict[str, Any]) -> Comparison:
        judgements = tuple(Judgement.from_dict(judgement) for judgement in plain["judgements"])
        network, domain, density = (str(plain[name]) for name in ("network", "domain", "density"))
        return cls(judgements, network, domain, density, complete=plain["status"] == "COMPLETE")

    def table(self) -> str:
        """The comparison as tables in plain text, one for each target, with its exact value above."""
        lines = heading(self.network, self.domain, self.density)
        lines += truncation(self.complete, f"{sum(len(one.runs) for one in self.judgements)} runs")
        width = max((len(judgement.estimator) for judgement in self.judgements), default=0) + 2
        for target in dict.fromkeys(judgement.target for judgement in self.judgements):
            rows = [judgement for judgement in self.judgements if judgement.target == target]
            exact = rows[0].exact
            lines.append(
                f"{target.describe()}: exact {exact.mean:.6g} ± {exact.stderr:.2g} ({exact.n} draws)"
            )
            lines.append(
                f"{'estimator':<{width}}{'budget':>8}{'mean':>11}{'bias':>11}{'95 % interval':>25}{'z':>8}"
                f"{'rmse':>10}{'spread':>10}{'stated':>10}{'covers':>8}{'seconds':>9}"
            )
            lines.extend(_row(judgement, width) for judgement in rows)
        return "\n".join(lines)


def compare_estimators(
    estimators: Sequence[BudgetedEstimator | BudgetedFunction],
    network: Network,
    domain: Domain,
    density: Density,
    *,
    rng: np.random.Generator,
    **settings: Unpack[ComparisonSettings],
) -> Comparison:
    """Run estimators over many seeds and budgets, each against the exact value of what it estimates.

    Parameters
    ----------
    estimators : objects with `name`, `target` and `estimate`, as those of `regions.estimators`, or plain
        functions f(network, density, rng, budget, *, domain) -> Estimate, for which `target` is given
    network : Network
    domain : Domain in its input space
    density : Density in the intrinsic coordinates of the domain
    rng : numpy Generator; every run and every exact value gets an independent stream spawned from it
    budgets : sequence of int, draws of a run (default 1000 alone)
    n_seeds : int >= 2, runs of each estimator at each budget (default 100)
    n_exact : int >= 2, draws of the exact values that are averages (default 200), an enumeration each
    target : Target of the plain functions
    engine, arithmetic, max_cells, workers : as for `exact_value`
    progress : called as progress(runs_done, fraction_done); the exact values take the first half

    Returns
    -------
    Comparison; estimators of equal targets are judged by one and the same exact value. Ctrl-C during the runs
        ends it with what was found, `complete` being False; before, there is nothing to keep.

    Raises
    ------
    InvalidInputError
        If a setting is unknown or out of range, a function has no target, an estimator returns no
        Estimate, or the arguments do not fit.

    Examples
    --------
    >>> from regions.density import UniformDensity
    >>> from regions.domain import Box
    >>> from regions.estimators import CroftonLines
    >>> network = Network.from_arrays([[[1.0, 0.0]], [[1.0]]], [[0.3], [0.0]])
    >>> box = Box([-1.0, -1.0], [1.0, 1.0])
    >>> comparison = compare_estimators(
    ...     [CroftonLines()], network, box, UniformDensity(box), rng=np.random.default_rng(0), n_seeds=20
    ... )
    >>> judgement = comparison.judgements[0]
    >>> judgement.exact.mean, abs(judgement.z) < 4
    (0.5, True)
    """
    budgets, n_seeds, n_exact = _checked(settings)
    judged = [_with_target(estimator, settings.get("target")) for estimator in estimators]
    progress = _Span(settings.get("progress"), len(judged) * len(budgets) * n_seeds)
    options = EnumerationOptions(
        **{key: settings[key] for key in EnumerationOptions.__optional_keys__ & settings.keys()}  # type: ignore
    )
    for_exact, for_runs = rng.spawn(2)
    exact = {}
    targets = dict.fromkeys(estimator.target for estimator in judged)
    for place, target in enumerate(targets):
        options["progress"] = progress.of_exact(place, len(targets))
        stream = for_exact.spawn(1)[0]
        exact[target] = exact_value(target, network, domain, density, stream, n_exact, **options)
        raise_if_truncated(exact[target])
    judgements: list[Judgement] = []
    complete = True
    for estimator, budget in product(judged, budgets):
        runs, seconds = [], 0.0
        try:
            for stream in for_runs.spawn(n_seeds):
                start = time.perf_counter()
                run = estimator.estimate(network, density, stream, budget, domain=domain)
                seconds += time.perf_counter() - start
                if not isinstance(run, Estimate):
                    raise InvalidInputError(
                        f"{estimator.name} returned a {type(run).__name__}; it must return an Estimate"
                    )
                runs.append(run)
                progress.run_done()
        except KeyboardInterrupt:
            complete = False
        if len(runs) > 1:
            given = estimator.name, estimator.target, exact[estimator.target]
            judgements.append(Judgement(*given, budget, tuple(runs), seconds / len(runs)))
        if not complete:
            break
    if not judgements and not complete:
        raise KeyboardInterrupt
    told = network.describe(), domain.describe(), density.describe()
    return Comparison(tuple(judgements), *told, complete=complete)


class _Span:
    """Progress of exact values and runs as one: a half each, as neither knows what the other costs."""

    def __init__(self, progress: Callable[[int, float], None] | None, runs: int) -> None:
        self._progress, self._runs, self._done = progress, runs, 0

    def of_exact(self, place: int, count: int) -> Callable[[int, float], None] | None:
        """Progress of one exact value out of several."""
        progress = self._progress
        if progress is None:
            return None
        return lambda _, fraction: progress(0, 0.5 * (place + fraction) / count)

    def run_done(self) -> None:
        """One more run."""
        self._done += 1
        if self._progress is not None:
            self._progress(self._done, 0.5 + 0.5 * self._done / self._runs)


def _checked(settings: ComparisonSettings) -> tuple[list[int], int, int]:
    known = ComparisonSettings.__optional_keys__
    unknown = sorted(settings.keys() - known)
    if unknown:
        raise InvalidInputError(
            f"compare_estimators does not know {', '.join(unknown)}; "
            f"its settings are {', '.join(sorted(known))}"
        )
    budgets = list(settings.get("budgets", (1000,)))
    n_seeds, n_exact = settings.get("n_seeds", 100), settings.get("n_exact", 200)
    if not budgets or min(budgets) < 2:
        raise InvalidInputError(f"budgets are {budgets}; give at least one, each at least 2")
    if n_seeds < 2:
        raise InvalidInputError(f"n_seeds is {n_seeds}; a spread over seeds needs at least 2")
    if n_exact < 2:
        raise InvalidInputError(f"n_exact is {n_exact}; a standard error needs at least 2 draws")
    return budgets, n_seeds, n_exact


def _with_target(estimator: BudgetedEstimator | BudgetedFunction, target: Target | None) -> BudgetedEstimator:
    if isinstance(estimator, BudgetedEstimator) and isinstance(estimator.target, Target):
        return estimator
    if isinstance(estimator, type | BudgetedEstimator) or not callable(estimator):
        raise InvalidInputError(f"{estimator!r} is neither a function nor an object with a name and a Target")
    if target is None:
        raise InvalidInputError(f"{estimator!r} does not say what it estimates; give target=")
    return FunctionEstimator(estimator, target)


def _row(judgement: Judgement, width: int) -> str:
    low, high = judgement.bias_interval
    return (
        f"{judgement.estimator:<{width}}{judgement.budget:>8}{judgement.over_seeds.mean:>11.5g}"
        f"{judgement.bias:>+11.3g}{f'[{low:+.3g}, {high:+.3g}]':>25}{judgement.z:>+8.1f}"
        f"{judgement.rmse:>10.3g}{judgement.spread:>10.3g}{judgement.stated:>10.3g}"
        f"{judgement.coverage:>8.1%}{judgement.seconds:>9.4f}"
    )
