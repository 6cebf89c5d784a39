"""Judges estimators over many seeds: bias, error against cost, and whether their standard errors are true.

Each is judged by the exact value of what it says it estimates (`exact_targets`); a single run beside the
exact value is left to `local_complexity`.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from regions.complexes import StoppedBy
from regions.density import Density
from regions.density.densities import check_domain
from regions.density.frozen_distributions import with_distributions
from regions.domain import Domain
from regions.errors import InvalidInputError
from regions.estimators import BudgetedEstimator, Estimate, FunctionEstimator, Target
from regions.estimators.estimates import BudgetedFunction, check_objects
from regions.inputs import seeded
from regions.network.relu_network import Network
from regions.reports import heading, read_as, save_json, truncation
from regions.showing import Shown, Tabular, plotter
from regions.validation.draws import Deadline, EnumerationOptions, OutOfTime
from regions.validation.exact_targets import drawn_value
from regions.validation.judgement import Judgement, flat_judgement, lines_of

__all__ = ["Comparison", "ComparisonSettings", "Judgement", "compare_estimators"]

FloatArray = NDArray[np.float64]

# exact values are drawn this many times as often as asked for, at most, if that makes coverage judgeable
_MOST_TIMES = 10
_FORMAT = "regions comparison 1"


class ComparisonSettings(EnumerationOptions, total=False):
    """The settings of `compare_estimators`, and those of the enumeration."""

    budgets: Sequence[int]
    n_seeds: int
    n_exact: int
    most_exact: int
    target: Target


@dataclass(frozen=True)
class Comparison(Shown, Tabular):
    """Estimators judged on one problem.

    Parameters
    ----------
    judgements : tuple of Judgement, in the order of the estimators, then of the budgets
    network, domain, density : str, one line each
    complete : bool, False if estimators, budgets, seeds or draws of exact values are missing
    stopped_by : "interrupt" or "max_seconds", what ended it early; else ""

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
    stopped_by: StoppedBy = ""

    def __str__(self) -> str:
        return self.table()

    def of(self, name: str) -> tuple[Judgement, ...]:
        """Return the judgements of the estimator of that name, one for each budget.

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
            "stopped_by": self.stopped_by,
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
        complete = plain["status"] == "COMPLETE"
        stopped_by = plain.get("stopped_by", "" if complete else "interrupt")  # version 0.1 did not say it
        return cls(judgements, network, domain, density, complete, stopped_by)

    def table(self) -> str:
        """Return the comparison as tables in plain text, one for each target, with its exact value above."""
        lines = heading(self.network, self.domain, self.density)
        runs = sum(len(one.runs) for one in self.judgements)
        lines += truncation(self.complete, f"{runs} runs", self.stopped_by)
        width = max((len(judgement.estimator) for judgement in self.judgements), default=0) + 2
        for target in dict.fromkeys(judgement.target for judgement in self.judgements):
            rows = [judgement for judgement in self.judgements if judgement.target == target]
            lines.extend(lines_of(rows, width))
        return "\n".join(lines)

    def plot(self, *, path: str | os.PathLike[str] | None = None) -> Any:
        """Draw errors, biases and coverage, as `plotting.plot_comparison` does, and return the Figure."""
        return plotter("plot_comparison")(self, path=path)

    def _columns(self) -> dict[str, Any]:
        rows = [flat_judgement(one) for one in self.judgements]
        return {name: [row[name] for row in rows] for name in (rows[0] if rows else ())}

    def _headline(self) -> str:
        names = dict.fromkeys(one.estimator for one in self.judgements)
        status = "" if self.complete else ", TRUNCATED"
        return f"{len(self.judgements)} judgements of {len(names)} estimators ({', '.join(names)}){status}"

    def _notes(self) -> dict[str, Any]:
        return {
            f"{one.estimator}, {one.budget:,}": f"bias {one.bias:+.3g}, z {one.z:+.2f}, RMSE {one.rmse:.3g}"
            for one in self.judgements
        }

    def _facts(self) -> dict[str, Any]:
        words = {name: text for name in ("network", "domain", "density") if (text := getattr(self, name))}
        return words | self._notes()


@with_distributions
@seeded
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
    rng : seed or numpy Generator; every run and every exact value gets an independent stream spawned from it
    budgets : sequence of int, draws of a run (default 1000 alone)
    n_seeds : int >= 2, runs of each estimator at each budget (default 100)
    n_exact : int >= 2, draws of the exact values that are averages (default 200), an enumeration each
    most_exact : int >= n_exact, draws that they may get (default 10 n_exact) where that brings their error to
        a tenth of the standard error that the runs state, below which coverage is judged
    target : Target of the plain functions
    engine, arithmetic, max_cells, workers : as for `exact_value`
    max_seconds : float, for exact values and runs together
    progress : called as progress(runs_done, fraction_done); the exact values take the first half

    Returns
    -------
    Comparison; estimators of equal targets are judged by one and the same exact value. Ctrl-C or max_seconds
        during or after the runs end it with what was found, and `stopped_by` says which; before, there is
        nothing to keep.

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
    check_objects(network, density, domain, rng)
    check_domain(domain)
    budgets, n_seeds, n_exact, most_exact = _checked(settings)
    judged = [_with_target(estimator, settings.get("target")) for estimator in estimators]
    progress = _Span(settings.get("progress"), len(judged) * len(budgets) * n_seeds)
    options = EnumerationOptions(
        **{key: settings[key] for key in EnumerationOptions.__optional_keys__ & settings.keys()}  # type: ignore
    )
    for_exact, for_runs = rng.spawn(2)
    targets = dict.fromkeys(estimator.target for estimator in judged)
    problem = network, domain, density
    deadline = Deadline(options.get("max_seconds"))
    exact: dict[Target, _Exact] = {}
    for place, target in enumerate(targets):
        progress_of_one = progress.of_exact(place, len(targets))
        exact[target] = _Exact(target, problem, for_exact.spawn(1)[0], options, deadline)
        exact[target].draw(n_exact, progress_of_one)
        _raise_if_stopped(deadline)
    judgements: list[Judgement] = []
    for estimator, budget in product(judged, budgets):
        runs: list[Estimate] = []
        seconds = 0.0
        try:
            for _ in range(n_seeds):
                deadline.check()
                (stream,) = for_runs.spawn(1)
                start = time.perf_counter()
                runs.append(_checked_run(estimator, problem, stream, budget))
                seconds += time.perf_counter() - start
                progress.run_done()
        except (KeyboardInterrupt, OutOfTime) as error:
            deadline.ended_by(error)
        if len(runs) > 1:
            given = estimator.name, estimator.target, exact[estimator.target].value
            judgements.append(Judgement(*given, budget, tuple(runs), seconds / len(runs)))
        if deadline.stopped_by:
            break
    if not judgements:
        _raise_if_stopped(deadline)
    if not deadline.stopped_by:
        _sharpen(exact, judgements, most_exact, deadline)
    final = tuple(replace(one, exact=exact[one.target].value) for one in judgements)
    described = network.describe(), domain.describe(), density.describe()
    return Comparison(final, *described, not deadline.stopped_by, deadline.stopped_by)


def _raise_if_stopped(deadline: Deadline) -> None:
    """Raise what ended the draws, if anything did, where a part of them is of no use."""
    if deadline.stopped_by == "max_seconds":
        raise OutOfTime("max_seconds was over before two runs of an estimator were done; give more time")
    if deadline.stopped_by:
        raise KeyboardInterrupt


def _checked_run(
    estimator: BudgetedEstimator,
    problem: tuple[Network, Domain, Density],
    stream: np.random.Generator,
    budget: int,
) -> Estimate:
    network, domain, density = problem
    run = estimator.estimate(network, density, stream, budget, domain=domain)
    if not isinstance(run, Estimate):
        raise InvalidInputError(
            f"{estimator.name} returned a {type(run).__name__}; it must return an Estimate"
        )
    return run


class _Exact:
    """The exact value of a target, which more draws make sharper."""

    def __init__(
        self,
        target: Target,
        problem: tuple[Network, Domain, Density],
        stream: np.random.Generator,
        options: EnumerationOptions,
        deadline: Deadline,
    ) -> None:
        self._target, self._problem, self._stream, self._options = target, problem, stream, options
        self._deadline = deadline
        self._value: Estimate | None = None

    @property
    def value(self) -> Estimate:
        """The value, from all draws so far."""
        assert self._value is not None  # it is drawn before it is asked for
        return self._value

    def draw(self, n: int, progress: Callable[[int, float], None] | None = None) -> None:
        """Draw n more times, at least twice."""
        options = EnumerationOptions(**{**self._options, "progress": progress})  # type: ignore[typeddict-item]
        found = drawn_value(self._target, self._problem, self._stream, max(n, 2), self._deadline, options)
        self._value = found if self._value is None else self._value.pooled(found)


def _sharpen(exact: dict[Target, _Exact], judgements: list[Judgement], most: int, deadline: Deadline) -> None:
    """Draw exact values again where that lets coverage be judged, until the deadline."""
    try:
        for target, one in exact.items():
            rows = [row for row in judgements if row.target == target]
            while True:
                rows = [replace(row, exact=one.value) for row in rows]
                # the error from few draws is itself an estimate, so a little more than it says
                wanted = [math.ceil(1.1 * row.draws_to_judge) for row in rows if row.draws_to_judge < most]
                missing = min(max(wanted, default=0), most) - one.value.n
                if all(row.coverage_is_judged for row in rows) or missing <= 0 or deadline.stopped_by:
                    break
                one.draw(missing)
    except (KeyboardInterrupt, OutOfTime) as error:
        deadline.ended_by(error)


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


def _checked(settings: ComparisonSettings) -> tuple[list[int], int, int, int]:
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
    most_exact = settings.get("most_exact", _MOST_TIMES * n_exact)
    if most_exact < n_exact:
        raise InvalidInputError(f"most_exact is {most_exact}; give at least n_exact, {n_exact}")
    return budgets, n_seeds, n_exact, most_exact


def _with_target(estimator: BudgetedEstimator | BudgetedFunction, target: Target | None) -> BudgetedEstimator:
    if isinstance(estimator, BudgetedEstimator) and isinstance(estimator.target, Target):
        return estimator
    if isinstance(estimator, type | BudgetedEstimator) or not callable(estimator):
        raise InvalidInputError(f"{estimator!r} is neither a function nor an object with a name and a Target")
    if target is None:
        raise InvalidInputError(f"{estimator!r} does not say what it estimates; give target=")
    return FunctionEstimator(estimator, target)
