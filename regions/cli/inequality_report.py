"""`regions inequalities`: both sides of the published bounds on local complexity, on one domain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from regions.cli.groups import grouped
from regions.cli.problem import (
    NoiseKind,
    NoiseOption,
    Problem,
    ProblemWords,
    answer,
    leave_if_interrupted,
)

if TYPE_CHECKING:
    from regions.validation.inequalities import InequalityReport


@grouped
def inequalities(
    sigma: Annotated[float, typer.Option(help="Standard deviation of the bias noise.")],
    eps: Annotated[
        float, typer.Option(help="Singular values of layer Jacobians above it count towards the local rank.")
    ] = 0.01,
    eta: Annotated[
        float, typer.Option(help="Height up to which pre-activations count in the lower bounds.")
    ] = 1.0,
    bias_draws: Annotated[
        int, typer.Option(help="Bias draws; each is an enumeration for every unit before the last layer.")
    ] = 32,
    noise: NoiseOption = NoiseKind.absolute,
    *,
    problem: ProblemWords,
) -> None:
    """Check corollary 3, theorem 5 and theorem 7 of Patel and Montufar: both sides, slack, every term.

    After --max-seconds what the bias draws give that were done is printed and saved, marked TRUNCATED; after
    Ctrl-C too, with exit code 130.
    """

    def ask(given: Problem) -> InequalityReport:
        from regions.validation.inequalities import check_inequalities

        return check_inequalities(
            given.network,
            given.domain,
            given.density,
            sigma,
            eps=eps,
            eta=eta,
            n_bias=bias_draws,
            rng=given.rng,
            noise=noise.value,  # type: ignore[arg-type]
            **given.options,
        )

    leave_if_interrupted(answer(problem, "both sides", "bias draws", ask), "bias draws")
