"""The authors' own functions, run as they are, from files that the user gives.

`python -m validation --authors FILE [FILE]` reads the published estimator of local complexity (a file that
defines `compute_local_complexity`, as the full analyses of github.com/niketp03/localcomplexity do) and the
published cross-polytope count (`get_intersections_for_samples`, as
github.com/AhmedImtiazPrio/grok-adversarial has it in local_complexity.py). Nothing of theirs is shipped; the
table that came out is, see `authors_table`.
"""

from __future__ import annotations

import ast
import hashlib
import math
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from regions import Coarea, CrossPolytope, Estimate, Network, UniformDensity
from regions.density import Density
from regions.domain import Domain
from regions.errors import InvalidInputError
from regions.estimators import Estimator, UnnormalisedCoarea
from regions.validation.benchmark import BenchmarkProblem, benchmark_problems
from regions.validation.exact_targets import exact_value
from validation.framework import HERE, case_rng, write_rows

__all__ = [
    "TABLE",
    "definitions",
    "measure",
    "published_count",
    "published_estimator",
    "published_value",
]

Row = dict[str, Any]

TABLE = "authors_values.csv"
LOCAL_COMPLEXITY, CROSS_POLYTOPE = "compute_local_complexity", "get_intersections_for_samples"
# problems of the benchmark that their code can be asked: it knows no domain, and hidden layers of one width
_PROBLEMS = ("*uniform, sigma 0.01", "*uniform, sigma 0.1", "*uniform, sigma 1", "*whole space*")
_POINTS, _RADIUS = 200, 0.05
# calls that one estimate of theirs is spread over, for a standard error
_CALLS = 8
# calls of their function, samples of ours, and neighbourhoods that are enumerated
_EFFORT = (60, 100_000, 400)


def measure(
    paths: Sequence[Path], root: Path, *, effort: tuple[int, int, int] = _EFFORT, problems: str = "*"
) -> list[Row]:
    """Ask the functions in the files about the problems of the benchmark, and store the table.

    Parameters
    ----------
    paths : files, each with one of the two functions
    root : folder of `results`
    effort : calls of their function, each with points, and noise where it has any, of its own; samples of our
        estimators; neighbourhoods of the exact count
    problems : str, a pattern of names to choose by
    """
    from fnmatch import fnmatch

    chosen = {one.name: one for pattern in _PROBLEMS for one in benchmark_problems(pattern) if _is_plain(one)}
    own = [one for name, one in chosen.items() if fnmatch(name, problems)]
    rows: list[Row] = []
    for path in paths:
        code = definitions(path)
        if LOCAL_COMPLEXITY in code:
            rows += [_local_complexity_row(code, problem, effort) for problem in own]
        elif CROSS_POLYTOPE in code:
            networks = {problem.network.digest(): problem for problem in own if problem.domain is not None}
            rows += [_cross_polytope_row(code, problem, effort) for problem in networks.values()]
        else:
            raise ValueError(f"{path} defines neither {LOCAL_COMPLEXITY} nor {CROSS_POLYTOPE}")
        for row in rows:
            if "file" not in row:
                row |= _origin(path)
    write_rows(root / "results" / TABLE, rows)
    return rows


def definitions(path: Path) -> dict[str, Any]:
    """Return what a file defines: its functions and classes, compiled as they stand, and what it imports.

    All else at its top level is left out, as downloads and trainings are; a module that is not installed too
    (but for a progress bar, which is replaced by none). The definitions are run with all rights of this
    process: give only a file that you trust.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    module = ModuleType(f"published_{path.stem}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # where torch.jit looks for the source
    code = vars(module)
    code["tqdm"] = lambda items, **_: items
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            try:
                exec(compile(ast.Module([node], []), str(path), "exec"), code)
            except ImportError:
                continue
    kept = [one for one in tree.body if isinstance(one, ast.FunctionDef | ast.ClassDef)]
    exec(compile(ast.Module(kept, []), str(path), "exec"), code)
    return code


def published_value(
    code: dict[str, Any],
    problem: BenchmarkProblem,
    rng: np.random.Generator,
    calls: int,
    points: int = _POINTS,
) -> Estimate:
    """Return the mean of their local complexity over calls, each of points and a noise of its own."""
    import torch

    network = problem.network
    config = SimpleNamespace(
        input_dim=network.input_dim,
        hidden_dim=network.widths[0],
        output_dim=network.output_dim,
        n_layers=len(network.widths),
        input_weights_init_scale=1,
        output_weights_init_scale=1,
        sigma=problem.sigma,
        n_iters_LC=1,
    )
    torch.manual_seed(int(rng.integers(1 << 31)))
    values = []
    with _on_this_machine(), _quiet():
        model = code["MLP"](config.input_dim, config.hidden_dim, config.output_dim, config.n_layers)
        with torch.no_grad():
            affine = [*model.layers, model.output_layer]
            for layer, weight, bias in zip(affine, network.weights, network.biases, strict=True):
                layer.weight.copy_(torch.tensor(weight))
                layer.bias.copy_(torch.tensor(bias))
        for _ in range(calls):
            batch = torch.tensor(problem.density.sample(points, rng), dtype=torch.float32)
            values.append(float(code[LOCAL_COMPLEXITY](model, [(batch, torch.zeros(points))], config)))
    return Estimate.from_draws(np.array(values))


def published_estimator(path: Path) -> Estimator:
    """Return the published local complexity as an estimator that `regions benchmark` can score.

    Its draws are points, in a few calls, each with a noise of its own. It answers where points are those of
    the input space, all of them inside of the domain, and layers have one width; else it raises
    InvalidInputError.
    """
    code = definitions(path)

    def estimate(
        network: Network,
        density: Density,
        sigma: float,
        n_samples: int,
        rng: np.random.Generator,
        *,
        domain: Domain | None = None,
    ) -> Estimate:
        problem = BenchmarkProblem("", network, domain, density, sigma, Estimate(0.0, 0.0, 1), "")
        if not _is_plain(problem) or not (domain is None or isinstance(density, UniformDensity)):
            raise InvalidInputError("the published code knows no domain, and hidden layers of one width only")
        calls = min(_CALLS, max(n_samples // 2, 2))
        return published_value(code, problem, rng, calls, max(n_samples // calls, 1))

    return estimate


def published_count(code: dict[str, Any], problem: BenchmarkProblem, calls: int, radius: float) -> Estimate:
    """Return the mean of their count over calls, with all directions, of a frame of its own each."""
    import torch

    network, buffer = problem.network, {}
    weights, biases = ([torch.tensor(one) for one in part] for part in (network.weights, network.biases))
    names = [f"layer {k}" for k in range(len(network.widths))]

    def forward(x: Any) -> Any:
        h = x.to(torch.float64)
        for name, weight, bias in zip(names, weights, biases, strict=False):
            buffer[name] = h @ weight.T + bias
            h = torch.relu(buffer[name])
        return h

    rng = case_rng("authors", "cross-polytope", problem.name)
    torch.manual_seed(int(rng.integers(1 << 31)))
    params = {"n": 2 * network.input_dim, "r": radius, "seed": None}
    values = []
    with _on_this_machine(), _quiet():
        for _ in range(calls):
            points = torch.tensor(problem.density.sample(_POINTS, rng), dtype=torch.float32)
            counts, _shares = code[CROSS_POLYTOPE](
                points,
                SimpleNamespace(forward=forward),
                names,
                buffer,
                sampler=code["get_ortho_hull_around_samples"],
                sampler_params=params,
                batch_size=_POINTS,
            )
            values.append(float(counts.sum(dim=1).mean()))
    return Estimate.from_draws(np.array(values))


def _is_plain(problem: BenchmarkProblem) -> bool:
    """Tell whether it is one of units in layers of one width, whose points are those of the input space."""
    network = problem.network
    return len(set(network.widths)) == 1 and problem.density.dimension == network.input_dim


def _local_complexity_row(
    code: dict[str, Any], problem: BenchmarkProblem, effort: tuple[int, int, int]
) -> Row:
    """Their value, ours of the same thing, and what it is meant for."""
    theirs = published_value(code, problem, case_rng("authors", problem.name), effort[0])
    rng = case_rng("authors", "ours", problem.name)
    same, right = (
        estimator.estimate(problem.network, problem.density, rng, effort[1], domain=problem.domain)
        for estimator in (UnnormalisedCoarea(problem.sigma), Coarea(problem.sigma))
    )
    return _row("local complexity", problem, problem.sigma, (theirs, same, right, problem.exact))


def _cross_polytope_row(code: dict[str, Any], problem: BenchmarkProblem, effort: tuple[int, int, int]) -> Row:
    """Their count, ours, and the units that meet the neighbourhood."""
    theirs = published_count(code, problem, effort[0], _RADIUS)
    rng = case_rng("authors", "cross-polytope", "ours", problem.name)
    estimator = CrossPolytope(_RADIUS)
    assert problem.domain is not None
    ours = estimator.estimate(problem.network, problem.density, rng, effort[1] // 4, domain=problem.domain)
    where = (problem.network, problem.domain, problem.density)
    exact = exact_value(estimator.target, *where, rng, effort[2], workers=1)
    return _row("cross-polytope count", problem, _RADIUS, (theirs, ours, ours, exact))


def _row(what: str, problem: BenchmarkProblem, size: float, values: tuple[Estimate, ...]) -> Row:
    row: Row = {"what": what, "problem": problem.name.rpartition(", sigma")[0], "size": size}
    if what == "local complexity":
        row["normalised"] = values[0].mean / (size * math.sqrt(2.0 * math.pi))
    else:
        row["normalised"] = values[0].mean
    for name, one in zip(("theirs", "same", "right", "exact"), values, strict=True):
        row |= {name: one.mean, f"{name}_stderr": one.stderr}
    return row


def _origin(path: Path) -> Row:
    """The file by its digest, and its repository, commit and date where it lies in one."""

    def git(*words: str) -> str:
        command = ["git", "-C", str(path.resolve().parent), *words]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except OSError:
            return ""
        return done.stdout.strip() if done.returncode == 0 else ""

    return {
        "file": path.name,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "repository": git("remote", "get-url", "origin"),
        "commit": git("log", "-1", "--format=%H", "--", path.name),
        "date": git("log", "-1", "--format=%cs", "--", path.name),
    }


@contextmanager
def _on_this_machine() -> Iterator[None]:
    """Let code that asks for a CUDA device run without one, where there is none."""
    import torch

    if torch.cuda.is_available():
        yield
        return
    kept = [(torch.Tensor, "cuda"), (torch.nn.Module, "cuda"), (torch.Tensor, "to"), (torch.nn.Module, "to")]
    originals = [getattr(owner, name) for owner, name in kept]

    def stay(self: Any, *_: Any, **__: Any) -> Any:
        return self

    def moved(original: Callable[..., Any]) -> Callable[..., Any]:
        def to(self: Any, *places: Any, **named: Any) -> Any:
            return self if places and str(places[0]).startswith("cuda") else original(self, *places, **named)

        return to

    try:
        for (owner, name), original in zip(kept, originals, strict=True):
            setattr(owner, name, stay if name == "cuda" else moved(original))
        yield
    finally:
        for (owner, name), original in zip(kept, originals, strict=True):
            setattr(owner, name, original)


@contextmanager
def _quiet() -> Iterator[None]:
    """Say nothing of a pinned memory that is not there."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def main(paths: Sequence[Path], root: Path = HERE) -> int:
    """Store the table and say where."""
    rows = measure(paths, root)
    print(f"{len(rows)} rows: {root / 'results' / TABLE}", flush=True)
    return 0
