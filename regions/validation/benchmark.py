"""The benchmark of estimators of local complexity: its fixed problems, and the score of an estimator on them.

The problems are data files with checksums; exact values were computed once, and only the estimator runs.
Running one problem over many seeds is judged as everywhere, by `judgement`.
"""

from __future__ import annotations

import csv
import hashlib
import importlib.util
import io
import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regions.complexes import StoppedBy
from regions.density import Density, from_spec
from regions.domain import Box, Domain, Slice
from regions.errors import InvalidInputError
from regions.estimators import Coarea, Estimate, Estimator, Target
from regions.inputs import seeded
from regions.network.relu_network import Network
from regions.validation.judgement import Judgement
from regions.validation.scorecard import ProblemScore, Scorecard

__all__ = ["BENCHMARK_FILES", "BenchmarkProblem", "benchmark_problems", "load_estimator", "score_estimator"]

FloatArray = NDArray[np.float64]
_Run = Callable[[np.random.Generator, int], Estimate]

_DATA = Path(__file__).resolve().parents[1] / "data"
_VERSION = "1"
# SHA-256; another file is another benchmark
BENCHMARK_FILES = {
    "benchmark_1_problems.csv": "ec03a02480e98b502e6d17ed27569dac88e8e9debe9dba019845a5195269bf81",
    "benchmark_1_networks.npz": "aed08919b28826741290e1a888d6f6b9c5478e5984d9cdcd46adfa81d251b97a",
}
# a run takes at most this many times the draws of the reference, however cheap its draws are
_MOST_TIMES = 1000


@dataclass(frozen=True, eq=False)
class BenchmarkProblem:
    """A network, a density and a noise, with the exact local complexity.

    Parameters
    ----------
    name : str
    network : Network
    domain : Domain, or None for the whole input space
    density : Density in the intrinsic coordinates of the domain
    sigma : float > 0, standard deviation of the bias noise
    exact : Estimate, whose standard error is that of the bias average; 0 for a closed form
    method : str, how the exact value was found

    Examples
    --------
    >>> problem = benchmark_problems("he 2-16x2*sigma 0.1")[0]
    >>> problem.network.widths, problem.domain.dimension, round(problem.exact.mean, 2)
    ((16, 16), 2, 14.43)
    """

    name: str
    network: Network
    domain: Domain | None
    density: Density
    sigma: float
    exact: Estimate
    method: str


def benchmark_problems(pattern: str = "*") -> tuple[BenchmarkProblem, ...]:
    """Return the problems of the benchmark whose names match a pattern, as of file names.

    Raises
    ------
    InvalidInputError : if no name matches, or a data file is not the one that was published

    Examples
    --------
    >>> len(benchmark_problems()), len(benchmark_problems("digits*"))
    (31, 3)
    """
    listed, arrays = (_checked(name) for name in BENCHMARK_FILES)
    rows = list(csv.DictReader(io.StringIO(listed.decode())))
    chosen = [row for row in rows if fnmatch(row["problem"], pattern)]
    if not chosen:
        names = ", ".join(row["problem"] for row in rows)
        raise InvalidInputError(f"no problem is called {pattern!r}; there are {names}")
    with np.load(io.BytesIO(arrays), allow_pickle=False) as stored:
        networks = {name: _network(name, stored) for name in {row["network"] for row in chosen}}
        return tuple(_problem(row, networks[row["network"]], stored) for row in chosen)


def _checked(name: str) -> bytes:
    """Return the content of a data file, which is the published one."""
    content = (_DATA / name).read_bytes()
    if hashlib.sha256(content).hexdigest() != BENCHMARK_FILES[name]:
        raise InvalidInputError(
            f"{_DATA / name} is not the file of benchmark {_VERSION}: its SHA-256 differs; install again"
        )
    return content


def _network(name: str, stored: Any) -> Network:
    count = sum(key.startswith(f"{name}/W") for key in stored.files)
    weights, biases = ([stored[f"{name}/{letter}{k}"] for k in range(count)] for letter in "Wb")
    return Network.from_arrays(weights, biases, name=name)


def _problem(row: dict[str, str], network: Network, stored: Any) -> BenchmarkProblem:
    n = network.input_dim
    box = Box(np.full(n, -1.0), np.full(n, 1.0))
    domain: Domain = box
    if row["domain"] == "plane":
        parts = {part: stored[f"{row['network']}/{part}"] for part in ("origin", "basis", "A", "b")}
        domain = Slice(parts["origin"], parts["basis"], (parts["A"], parts["b"]))
    return BenchmarkProblem(
        row["problem"],
        network,
        None if row["domain"] == "space" else domain,
        from_spec(row["density"], domain),
        float(row["sigma"]),
        Estimate(float(row["exact"]), float(row["exact_stderr"]), int(row["exact_draws"])),
        row["method"],
    )


def load_estimator(path: str | os.PathLike[str]) -> tuple[str, Estimator]:
    """Run a Python file and return the name and the estimator that it defines.

    The file's code runs with all rights of this process: load only what you trust. It defines
    `estimate(network, density, sigma, n_samples, rng, *, domain)`, which gives an `Estimate` or a pair (mean,
    standard error), and it may define `NAME`, a string.

    Parameters
    ----------
    path : path of a `.py` file

    Raises
    ------
    InvalidInputError : if there is no such file, it fails when it is run, or defines no such function

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "guess.py"
    ...     _ = file.write_text("def estimate(*given, domain=None):\\n    return 1.0, 0.5\\n")
    ...     load_estimator(file)[0]
    'guess'
    """
    file = Path(path)
    if file.suffix != ".py" or not file.is_file():
        raise InvalidInputError(f"no estimator at {str(file)!r}; give the path of a .py file")
    spec = importlib.util.spec_from_file_location(f"benchmarked_{file.stem}", file)
    assert spec is not None and spec.loader is not None  # of a .py file there is one
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise InvalidInputError(f"{file} fails when it is run: {type(error).__name__}: {error}") from error
    function = getattr(module, "estimate", None)
    if not callable(function):
        raise InvalidInputError(
            f"{file} defines no function estimate(network, density, sigma, n_samples, rng, *, domain)"
        )
    return str(getattr(module, "NAME", file.stem)), function


@seeded
def score_estimator(
    estimator: Estimator,
    *,
    rng: np.random.Generator,
    name: str = "",
    problems: Sequence[BenchmarkProblem] | None = None,
    n_seeds: int = 40,
    n_samples: int = 1000,
    progress: Callable[[int, float], None] | None = None,
) -> Scorecard:
    """Score an estimator of local complexity on the benchmark: bias, error at equal cost, and coverage.

    On each problem the co-area estimator runs on `n_samples` samples, and the estimator with as many draws as
    take the same processor time, each with `n_seeds` seeds.

    Parameters
    ----------
    estimator : callable as estimator(network, density, sigma, n_samples, rng, domain=domain), which gives an
        Estimate or a pair (mean, standard error), as `local_complexity` and functions of users' files are
    rng : seed or numpy Generator
    name : str, for the table; by default that of the function
    problems : of `benchmark_problems`, by default all
    n_seeds : int >= 2
    n_samples : int >= 2
    progress : called as progress(problems_done, fraction_done)

    Returns
    -------
    Scorecard; problems on which the estimator raises an error count as not answered. After Ctrl-C it is
        that of the problems that were done, if there is one.

    Raises
    ------
    InvalidInputError : if n_seeds or n_samples is below 2, or the estimator gives neither Estimate nor pair

    Examples
    --------
    >>> from regions.estimators import local_complexity
    >>> easy = benchmark_problems("he 2-16x1*sigma 0.1")
    >>> card = score_estimator(local_complexity, rng=0, problems=easy, n_seeds=10, n_samples=200)
    >>> card.answered, abs(card.worst_z) < 4
    (1, True)
    """
    if n_seeds < 2 or n_samples < 2:
        raise InvalidInputError(f"n_seeds is {n_seeds}, n_samples {n_samples}; each is at least 2")
    chosen = benchmark_problems() if problems is None else tuple(problems)
    label = name or str(getattr(estimator, "__name__", type(estimator).__name__))
    scores: list[ProblemScore] = []
    stopped_by: StoppedBy = ""
    try:
        for at, (problem, stream) in enumerate(zip(chosen, rng.spawn(len(chosen)), strict=True)):
            scores.append(_score(estimator, label, problem, stream, (n_seeds, n_samples)))
            if progress is not None:
                progress(at + 1, (at + 1) / len(chosen))
    except KeyboardInterrupt:
        if not scores:
            raise
        stopped_by = "interrupt"
    return Scorecard(label, _VERSION, tuple(scores), n_seeds, n_samples, stopped_by)


def _score(
    estimator: Estimator,
    label: str,
    problem: BenchmarkProblem,
    rng: np.random.Generator,
    effort: tuple[int, int],
) -> ProblemScore:
    """Judge the estimator and the co-area one on a problem, at the same processor time."""
    n_seeds, n_samples = effort
    for_reference, for_pilot, for_runs = rng.spawn(3)
    coarea = Coarea(problem.sigma)

    def reference(stream: np.random.Generator, budget: int) -> Estimate:
        return coarea.estimate(problem.network, problem.density, stream, budget, domain=problem.domain)

    def candidate(stream: np.random.Generator, budget: int) -> Estimate:
        found: Any = estimator(
            problem.network, problem.density, problem.sigma, budget, stream, domain=problem.domain
        )
        return _as_estimate(found, budget)

    target = Target.locus(problem.sigma)
    beside = _judged(reference, coarea.name, target, problem.exact, for_reference, (n_seeds, n_samples))
    try:
        budget = _affordable(candidate, for_pilot, n_samples, beside.seconds)
        own = _judged(candidate, label, target, problem.exact, for_runs, (n_seeds, budget))
    except _WrongAnswer:
        raise
    except Exception as error:
        return ProblemScore(problem.name, None, beside, f"{type(error).__name__}: {error}")
    return ProblemScore(problem.name, own, beside)


class _WrongAnswer(InvalidInputError):
    """What an estimator gives is no estimate: a mistake in it, and no problem that it cannot answer."""


def _as_estimate(found: Any, budget: int) -> Estimate:
    if isinstance(found, Estimate):
        return found
    try:
        mean, stderr = (float(number) for number in found)
    except (TypeError, ValueError) as error:
        raise _WrongAnswer(
            f"the estimator gives a {type(found).__name__}; give an Estimate or a pair (mean, standard error)"
        ) from error
    if not (math.isfinite(mean) and stderr >= 0.0):
        raise _WrongAnswer(f"the estimator gives mean {mean} and standard error {stderr}")
    return Estimate(mean, stderr, budget)


def _judged(
    run: _Run,
    name: str,
    target: Target,
    exact: Estimate,
    rng: np.random.Generator,
    effort: tuple[int, int],
) -> Judgement:
    """Judge so many seeds of a run with so many draws; its seconds are the mean processor time."""
    n_seeds, budget = effort
    begin = time.process_time()
    runs = tuple(run(stream, budget) for stream in rng.spawn(n_seeds))
    return Judgement(name, target, exact, budget, runs, (time.process_time() - begin) / n_seeds)


def _affordable(run: _Run, rng: np.random.Generator, n_samples: int, seconds: float) -> int:
    """Return how many draws a run has in that time, by a pilot run, and one with what it says."""
    run(rng, 2)  # what it imports and compiles does not count
    budget = n_samples
    for _ in range(2):
        begin = time.process_time()
        run(rng, budget)
        taken = max(time.process_time() - begin, 1e-6)
        budget = min(max(round(budget * seconds / taken), 2), _MOST_TIMES * n_samples)
    return budget
