"""`regions compare`: estimators over many seeds against the exact value of what each estimates."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from regions.cli.groups import grouped
from regions.cli.options import Kind, KindOption, numbers, writable
from regions.cli.problem import (
    NoiseKind,
    NoiseOption,
    Problem,
    ProblemWords,
    answer,
    leave_if_interrupted,
)
from regions.errors import InvalidInputError

if TYPE_CHECKING:
    from regions.estimators import BudgetedEstimator
    from regions.validation.comparison import Comparison

ESTIMATORS = (
    "coarea",
    "unnormalised",
    "own-noise",
    "sampled-state",
    "crofton",
    "shell",
    "distance",
    "cross-polytope",
    "patterns",
)


@grouped
def compare(
    estimators: Annotated[
        str, typer.Option(metavar="NAME,...", help=f"Estimators to judge: {', '.join(ESTIMATORS)}.")
    ] = "coarea,crofton",
    sigma: Annotated[
        float, typer.Option(help="Standard deviation of the bias noise; 0: the stored biases (not co-area).")
    ] = 0.05,
    eps: Annotated[float, typer.Option(help="Width of the shells of shell and distance.")] = 0.01,
    radius: Annotated[float, typer.Option(help="Radius of the neighbourhoods of cross-polytope.")] = 0.1,
    directions: Annotated[int, typer.Option(help="Their number of directions; 0: all.")] = 0,
    budgets: Annotated[str, typer.Option(metavar="N,...", help="Draws of each run.")] = "1000",
    seeds: Annotated[int, typer.Option(help="Runs of each estimator at each budget.")] = 100,
    exact_draws: Annotated[
        int, typer.Option(help="Draws of exact values that are averages, one enumeration each.")
    ] = 200,
    most_exact_draws: Annotated[
        int | None,
        typer.Option(
            help="Draws that they may get where that lets coverage be judged (default: 10 times as many)."
        ),
    ] = None,
    kind: KindOption = Kind.gradient,
    noise: NoiseOption = NoiseKind.absolute,
    plot: Annotated[
        Path | None, typer.Option("--plot", help="Also draw: .png, .pdf, .svg; biases, errors, z-scores.")
    ] = None,
    *,
    problem: ProblemWords,
) -> None:
    """Judge estimators over many seeds: bias, error against cost, coverage of their standard errors.

    After --max-seconds the runs that were done are printed and saved, marked TRUNCATED; after Ctrl-C too,
    with exit code 130.
    """
    problem.check()
    if plot is not None:
        from regions.plotting.figure_files import figure_path

        figure_path(writable(plot))
    shape = {"eps": eps, "radius": radius, "directions": directions}
    how = {"kind": kind.value, "noise": noise.value}
    judged = [named_estimator(name.strip(), sigma, how, shape) for name in estimators.split(",")]
    effort: dict[str, Any] = {"budgets": _whole(budgets), "n_seeds": seeds, "n_exact": exact_draws}
    if most_exact_draws is not None:
        effort["most_exact"] = most_exact_draws

    def ask(given: Problem) -> Comparison:
        from regions.validation.comparison import compare_estimators

        return compare_estimators(
            judged, given.network, given.domain, given.density, rng=given.rng, **effort, **given.options
        )

    comparison = answer(problem, "exact values, then runs", "runs", ask)
    if plot is not None:
        from regions.plotting import plot_comparison

        plot_comparison(comparison, path=plot)
    leave_if_interrupted(comparison, "runs")


def named_estimator(
    name: str, sigma: float, how: dict[str, Any], numbers: dict[str, Any]
) -> BudgetedEstimator:
    """Return the estimator of a short name, or an error that lists the names."""
    from regions import estimators as known

    if name in ("coarea", "unnormalised", "own-noise", "sampled-state") and sigma == 0.0:
        raise InvalidInputError(
            f"--sigma is 0, and {name} needs bias noise; give --sigma above 0, or leave {name} out"
        )
    match name:
        case "coarea":
            return known.Coarea(sigma, **how)
        case "unnormalised":
            return known.UnnormalisedCoarea(sigma, **how)
        case "own-noise":
            return known.OwnNoiseCoarea(sigma, **how)
        case "sampled-state":
            return known.SampledStateCoarea(sigma, **how)
        case "crofton":
            return known.CroftonLines(sigma, **how)
        case "shell":
            return known.FiniteShell(numbers["eps"], sigma, **how)
        case "distance":
            return known.BoundaryDistance(numbers["eps"], sigma, **how)
        case "cross-polytope":
            return known.CrossPolytope(numbers["radius"], numbers["directions"])
        case "patterns":
            return known.DistinctPatterns()
        case _:
            raise InvalidInputError(
                f"--estimators: there is no estimator {name!r}; choose among {', '.join(ESTIMATORS)}"
            )


def _whole(text: str) -> list[int]:
    """Return the whole numbers of --budgets.

    Examples
    --------
    >>> _whole("100,1e3")
    [100, 1000]
    """
    values = numbers(text, "--budgets")
    # written so that a NaN is no whole number
    if not all(abs(value) < 1e18 and value == round(value) for value in values):
        raise InvalidInputError(f"--budgets: {text!r}; give whole numbers, such as 100,1000")
    return [int(value) for value in values]
