"""`regions inequalities`: both sides of the published bounds on local complexity, on one domain."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from regions.cli.options import (
    ArithmeticOption,
    AsJson,
    BoxOption,
    CenterOption,
    ClipOption,
    DataOption,
    DirectionSeedOption,
    DomainWords,
    EngineOption,
    EngineWords,
    HalfWidthOption,
    MarginOption,
    MaxCellsOption,
    NetworkPath,
    SegmentOption,
    SliceOption,
    TrustCode,
    WorkersOption,
    writable,
)
from regions.cli.session import print_json, print_text, watched
from regions.errors import InvalidInputError


def inequalities(
    net: NetworkPath,
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
    seed: Annotated[int, typer.Option(help="Seed of all random numbers.")] = 0,
    density: Annotated[
        str,
        typer.Option(metavar="uniform|gaussian:...", help="Density of the data, in intrinsic coordinates."),
    ] = "uniform",
    box: BoxOption = None,
    slice: SliceOption = None,
    segment: SegmentOption = None,
    margin: MarginOption = None,
    center: CenterOption = None,
    half_width: HalfWidthOption = None,
    data: DataOption = None,
    direction_seed: DirectionSeedOption = 0,
    clip: ClipOption = None,
    engine: EngineOption = "auto",
    arithmetic: ArithmeticOption = "certified",
    max_cells: MaxCellsOption = None,
    workers: WorkersOption = None,
    trust_code: TrustCode = False,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Also save as JSON.")] = None,
    json: AsJson = False,
) -> None:
    """Check corollary 3, theorem 5 and theorem 7 of Patel and Montufar: both sides, slack, every term."""
    from regions.network.loaders import load_network

    if output is not None:
        writable(output)
    if seed < 0:
        raise InvalidInputError(f"--seed is {seed}; it must be at least 0")
    network = load_network(net, allow_code=trust_code)
    words = DomainWords(box, slice, segment, margin, center, half_width, data, direction_seed, clip)
    domain = words.build(network)
    from regions.density import from_spec

    weight = from_spec(density, domain)
    settings: dict[str, Any] = {"eps": eps, "eta": eta, "n_bias": bias_draws}
    settings |= EngineWords(engine, arithmetic, max_cells, workers).arguments()
    import numpy as np

    from regions.validation.inequalities import check_inequalities

    rng = np.random.default_rng(seed)
    with watched("both sides", unit="bias draws") as progress:
        report = check_inequalities(network, domain, weight, sigma, rng=rng, progress=progress, **settings)
    if output is not None:
        report.save(output)
    if json:
        print_json({**report.to_dict(), "seed": seed})
    else:
        print_text(report.table())
