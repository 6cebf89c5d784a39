"""`regions benchmark`: the score of an estimator on fixed problems, and its row of the leaderboard."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from regions.cli.compare import ESTIMATORS, named_estimator
from regions.cli.interruption import signals
from regions.cli.options import AsJson, writable
from regions.cli.problem import leave_if_interrupted
from regions.cli.session import print_json, print_text, watched
from regions.errors import InvalidInputError

if TYPE_CHECKING:
    from regions.estimators import Estimator

# those whose target is local complexity
NAMES = tuple(name for name in ESTIMATORS if name not in ("cross-polytope", "patterns"))
# half the thickness of shells, for those that need one
_EPS = 0.005


def benchmark(
    estimator: Annotated[
        str,
        typer.Argument(
            metavar="FILE.py|NAME",
            help="A Python file with estimate(network, density, sigma, n_samples, rng, *, domain): "
            f"its code runs, so give only what you trust. Or a shipped one: {', '.join(NAMES)}.",
        ),
    ],
    problems: Annotated[str, typer.Option(metavar="PATTERN", help="Problems to take, as 'he 2*'.")] = "*",
    seeds: Annotated[int, typer.Option(help="Runs on each problem.")] = 40,
    samples: Annotated[
        int, typer.Option(help="Samples of the co-area estimator, whose processor time each run gets.")
    ] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of all random numbers.")] = 0,
    leaderboard: Annotated[
        Path | None, typer.Option(metavar="PAGE.md", help="Also put the row into the table of a page.")
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Also save as JSON.")] = None,
    json: AsJson = False,
) -> None:
    """Score an estimator of local complexity: bias, error at equal time, coverage, against exact values.

    After Ctrl-C the problems that were done are printed and saved, marked TRUNCATED, with exit code 130.
    """
    for path in (leaderboard, output):
        if path is not None:
            writable(path)
    if seed < 0:
        raise InvalidInputError(f"--seed is {seed}; it must be at least 0")
    import numpy as np

    from regions.validation.benchmark import benchmark_problems, score_estimator
    from regions.validation.scorecard import write_row

    chosen = benchmark_problems(problems)
    name, function = _estimator(estimator)
    with watched("problems", "problems") as progress:
        card = score_estimator(
            function,
            rng=np.random.default_rng(seed),
            name=name,
            problems=chosen,
            n_seeds=seeds,
            n_samples=samples,
            progress=progress,
        )
    with signals.after_writing():
        if json:
            print_json({**card.to_dict(), "seed": seed})
        else:
            print_text(card.table())
        if output is not None:
            card.save(output)
        if leaderboard is not None:
            write_row(leaderboard, card.row)
    leave_if_interrupted(card, "problems")


def _estimator(word: str) -> tuple[str, Estimator]:
    """Return the name and the function of a shipped estimator, or those of a file."""
    if word not in NAMES:
        if word.endswith(".py"):
            from regions.validation.benchmark import load_estimator

            return load_estimator(word)
        raise InvalidInputError(f"{word!r} is neither a .py file nor one of {', '.join(NAMES)}")

    def run(network: Any, density: Any, sigma: float, n_samples: int, rng: Any, **where: Any) -> Any:
        own = named_estimator(word, sigma, {}, {"eps": _EPS})
        return own.estimate(network, density, rng, n_samples, **where)

    return named_estimator(word, 1.0, {}, {"eps": _EPS}).name, run  # type: ignore[return-value]
