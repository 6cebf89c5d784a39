"""`regions validate`: the estimator of local complexity against the exact value, on one domain."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from regions.cli.commands import Kind
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


def validate(
    net: NetworkPath,
    sigma: Annotated[float, typer.Option(help="Standard deviation of the bias noise.")],
    samples: Annotated[int, typer.Option(help="Samples of the estimator.")] = 100_000,
    bias_draws: Annotated[
        int, typer.Option(help="Bias draws of the exact value, one enumeration each.")
    ] = 100,
    seed: Annotated[int, typer.Option(help="Seed of all random numbers.")] = 0,
    kind: Annotated[Kind, typer.Option(help="gradient: facets where the Jacobian jumps.")] = Kind.gradient,
    density: Annotated[
        str,
        typer.Option(
            metavar="uniform|gaussian:...|ball:...|kde:...",
            help="Density of the data, as for `regions locus`.",
        ),
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
    """Judge the estimator of local complexity by the exact value, with a z-score."""
    from regions.network.loaders import load_network

    if output is not None:
        writable(output)
    network = load_network(net, allow_code=trust_code)
    words = DomainWords(box, slice, segment, margin, center, half_width, data, direction_seed, clip)
    domain = words.build(network)
    from regions.density import from_spec

    weight = from_spec(density, domain)
    settings = {"sigma": sigma, "n_samples": samples, "n_bias": bias_draws, "kind": kind.value}
    settings |= EngineWords(engine, arithmetic, max_cells, workers).arguments()
    report = _compare(network, domain, weight, seed, settings)
    if output is not None:
        report.save(output)
    if json:
        print_json({**report.to_dict(), "seed": seed})
    else:
        print_text(report.table())


def _compare(network: Any, domain: Any, density: Any, seed: int, settings: dict[str, Any]) -> Any:
    """The library's estimator against the exact value, with progress."""
    if seed < 0:
        raise InvalidInputError(f"--seed is {seed}; it must be at least 0")
    import numpy as np

    from regions.estimators import local_complexity
    from regions.validation.local_complexity import validate as compare

    rng = np.random.default_rng(seed)
    with watched("exact value", unit="bias draws") as progress:
        return compare(local_complexity, network, domain, density, rng=rng, progress=progress, **settings)
