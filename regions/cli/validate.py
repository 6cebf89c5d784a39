"""`regions validate`: the estimator of local complexity against the exact value, on one domain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from regions.cli.groups import grouped
from regions.cli.options import Kind, KindOption
from regions.cli.problem import (
    NoiseKind,
    NoiseOption,
    Problem,
    ProblemWords,
    answer,
    leave_if_interrupted,
)

if TYPE_CHECKING:
    from regions.validation.local_complexity import ValidationReport


@grouped
def validate(
    sigma: Annotated[float, typer.Option(help="Standard deviation of the bias noise.")],
    samples: Annotated[int, typer.Option(help="Samples of the estimator.")] = 100_000,
    bias_draws: Annotated[
        int, typer.Option(help="Bias draws of the exact value, one enumeration each.")
    ] = 100,
    kind: KindOption = Kind.gradient,
    noise: NoiseOption = NoiseKind.absolute,
    *,
    problem: ProblemWords,
) -> None:
    """Judge the estimator of local complexity by the exact value, with a z-score.

    After --max-seconds what the bias draws give that were done is printed and saved, marked TRUNCATED; after
    Ctrl-C too, with exit code 130.
    """

    def ask(given: Problem) -> ValidationReport:
        from regions.estimators import local_complexity
        from regions.validation.local_complexity import validate as compare

        return compare(
            local_complexity,
            given.network,
            given.domain,
            given.density,
            rng=given.rng,
            sigma=sigma,
            n_samples=samples,
            n_bias=bias_draws,
            kind=kind.value,  # type: ignore[typeddict-item]
            noise=noise.value,  # type: ignore[typeddict-item]
            **given.options,  # type: ignore[typeddict-item]
        )

    leave_if_interrupted(answer(problem, "exact value", "bias draws", ask), "bias draws")
