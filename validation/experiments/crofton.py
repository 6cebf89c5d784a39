"""Crofton lines against the exact locus at fixed biases, and what accuracy costs with them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import kstest

from regions import Coarea, CroftonLines, Estimate, enumerate_cells, exact_local_complexity, locus_volume
from regions.validation.local_complexity import z_score
from validation.framework import Check, Experiment, Folder, Pool, case_rng, markdown_table, prose
from validation.intervals import geometric_mean
from validation.paper import SectionWithAppendix
from validation.problems import NetworkSpec, density_on

__all__ = ["EXPERIMENT"]

Row = dict[str, Any]

# a mean and its 95 % interval
_Ratio = tuple[float, float, float]

_LIMIT = 4.0
_FAMILIES = ("he", "torch", "trained", "he")
_DENSITIES = ("uniform", "gaussian")


@dataclass(frozen=True)
class _Case:
    spec: NetworkSpec
    density: str
    lines: int
    samples: int = 0
    sigma: float = 0.0
    n_bias: int = 0


def run(config: dict[str, Any], folder: Folder, pool: Pool) -> None:
    """All networks at their own biases, then some of them with bias noise."""
    specs = [
        (at, _spec(dimension, width, at))
        for dimension, width in zip(config["dimensions"], config["widths"], strict=True)
        for at in range(config["networks"])
    ]
    fixed = [_Case(spec, _DENSITIES[at % 2], config["lines"]) for at, spec in specs]
    folder.write_csv("fixed", pool.map(_against_exact, fixed, "Crofton, fixed biases"))
    noisy = [
        _Case(spec, "uniform", config["cost_lines"], config["samples"], sigma, config["n_bias"])
        for at, spec in specs
        if at < config["cost_networks"]
        for sigma in config["sigmas"]
    ]
    folder.write_csv("cost", [row for rows in pool.map(_cost, noisy, "Crofton, cost") for row in rows])


def _spec(dimension: int, width: int, at: int) -> NetworkSpec:
    """Families in turn, one to three layers."""
    family = _FAMILIES[at % len(_FAMILIES)]
    depth = 1 + at % 3
    return NetworkSpec(family, dimension, width if depth < 3 else max(2 * width // 3, 4), depth, 1.0, at)


def _against_exact(case: _Case) -> Row:
    network, domain = case.spec.build(), case.spec.domain()
    density = density_on(case.density, domain)
    cells = enumerate_cells(network, domain, workers=1)
    exact = locus_volume(cells, density)
    rng = case_rng("crofton", case.spec.name, case.density)
    start = time.process_time()
    estimate = CroftonLines().estimate(network, density, rng, case.lines, domain=domain)
    seconds = time.process_time() - start
    return {
        "network": case.spec.name,
        "dimension": case.spec.dimension,
        "density": case.density,
        "cells": cells.n_cells,
        "exact": exact.total,
        "exact_error": exact.error,
        "estimate": estimate.mean,
        "stderr": estimate.stderr,
        "lines": case.lines,
        "z": z_score(estimate, Estimate(exact.total, 0.0, 1)),
        "seconds": seconds,
    }


def _cost(case: _Case) -> list[Row]:
    """Variance and time of both estimators of the bias average, beside the exact one."""
    network, domain = case.spec.build(), case.spec.domain()
    density = density_on(case.density, domain)
    rng = case_rng("crofton, cost", case.spec.name, case.sigma)
    for_exact, *streams = rng.spawn(3)
    exact = exact_local_complexity(network, domain, density, case.sigma, case.n_bias, for_exact, workers=1)
    rows = []
    estimators = (CroftonLines(case.sigma), case.lines), (Coarea(case.sigma), case.samples)
    for (estimator, draws), stream in zip(estimators, streams, strict=True):
        start = time.process_time()
        estimate = estimator.estimate(network, density, stream, draws, domain=domain)
        seconds = time.process_time() - start
        variance = estimate.stderr**2 * draws / exact.mean**2
        rows.append(
            {
                "network": case.spec.name,
                "dimension": case.spec.dimension,
                "sigma": case.sigma,
                "estimator": estimator.name,
                "exact": exact.mean,
                "exact_stderr": exact.stderr,
                "estimate": estimate.mean,
                "stderr": estimate.stderr,
                "draws": draws,
                "z": z_score(estimate, exact),
                # relative, of one draw; and the seconds that 1 % takes
                "variance": variance,
                "seconds_per_draw": seconds / draws,
                "seconds_for_percent": 1e4 * variance * seconds / draws,
            }
        )
    return rows


def report(config: dict[str, Any], folder: Folder) -> SectionWithAppendix:
    """The section on Crofton's formula."""
    fixed, cost = folder.read_csv("fixed"), folder.read_csv("cost")
    _draw(folder, fixed, cost)
    z = np.array([row["z"] for row in fixed])
    ratios = _ratios(cost)
    dimensions = sorted({row["dimension"] for row in fixed})
    method = prose(
        f"""{len(fixed)} networks, {config["networks"]} each in {", ".join(map(str, dimensions))} dimensions,
        random and trained, one to three layers, half with the uniform and half with a Gaussian density on
        [-1, 1]^d. The exact locus integral at the stored biases (one enumeration; the cubature's error is at
        most {_worst_error(fixed):.0e} of it) is held against {fixed[0]["lines"]:,} random lines. Then lines
        and the co-area estimator, which needs noise, estimate LC of {len({row["network"] for row in cost})}
        of the networks under the uniform density, {len({row["network"] for row in cost}) // len(dimensions)}
        for each dimension; compared are the processor seconds for a standard error of 1 %."""
    )
    return SectionWithAppendix(
        question=prose(
            """Are Crofton lines unbiased for the exact locus in 2, 3 and 4 dimensions, and is a line or a
            sample of the co-area estimator the cheaper way to accuracy?"""
        ),
        method=method,
        table="",
        appendix=_fixed_table(fixed) + "\n\n" + _cost_table(cost),
        figures=(("cost", "z at fixed biases (left); seconds for a standard error of 1 % (right)"),),
        finding=_finding(z, ratios),
        limits=prose(
            """In three or more dimensions the fourth moment of a line's draw is infinite (short chords across
            edges of the box), so its standard error converges slowly. A line's cost grows with its crossings
            and so with the network."""
        ),
        checks=_checks(config, fixed, cost),
        headline=prose(
            f"""Lines agree with the exact locus of all {len(fixed)} networks (largest |z|
            {np.abs(z).max():.2f}); for equal accuracy they take from {_told(min(ratios.values()))} to
            {_told(max(ratios.values()))} times as long as the co-area estimator, by sigma and dimension."""
        ),
    )


def _worst_error(fixed: list[Row]) -> float:
    """Largest relative error of an exact value; a network may have no locus in the domain."""
    return max(float(row["exact_error"] / row["exact"]) for row in fixed if row["exact"])


def _ratios(cost: list[Row]) -> dict[tuple[int, float], _Ratio]:
    """Crofton's seconds for 1 % over those of the co-area estimator: geometric mean over networks,
    interval."""
    seconds: dict[tuple[int, float], dict[str, list[float]]] = {}
    for row in cost:
        by_name = seconds.setdefault((row["dimension"], row["sigma"]), {})
        by_name.setdefault(row["estimator"], []).append(row["seconds_for_percent"])
    return {
        key: geometric_mean(np.divide(by_name[CroftonLines.name], by_name[Coarea.name]).tolist())
        for key, by_name in seconds.items()
    }


def _checks(config: dict[str, Any], fixed: list[Row], cost: list[Row]) -> tuple[Check, ...]:
    checks = []
    for dimension in config["dimensions"]:
        z = [abs(row["z"]) for row in fixed if row["dimension"] == dimension]
        name = f"Crofton lines unbiased in {dimension} dimensions: |z| < {_LIMIT:g}"
        passed = max(z) < _LIMIT and len(z) >= config["networks"]
        checks.append(Check(name, passed, f"largest |z| {max(z):.2f} of {len(z)} networks"))
    worst = max(abs(row["z"]) for row in cost)
    name = f"both estimators of the bias average agree with the exact one: |z| < {_LIMIT:g}"
    checks.append(Check(name, worst < _LIMIT, f"largest |z| {worst:.2f} of {len(cost)}"))
    return tuple(checks)


def _finding(z: np.ndarray, ratios: dict[tuple[int, float], _Ratio]) -> str:
    normal = kstest(z, "norm")
    text = f"""At fixed biases z has mean {z.mean():+.2f} and standard deviation {z.std(ddof=1):.2f};
        Kolmogorov-Smirnov against N(0, 1): distance {normal.statistic:.3f}, p = {normal.pvalue:.2f}."""
    cheaper = [key for key, (_, _, high) in ratios.items() if high < 1.0]
    dearer = [key for key, (_, low, _) in ratios.items() if low > 1.0]
    for keys, what in ((cheaper, "Lines are cheaper"), (dearer, "The co-area estimator is cheaper")):
        if keys:
            factors = [max(ratios[key][0], 1.0 / ratios[key][0]) for key in keys]
            text += f""" {what} {_where(keys)}, by factors of {min(factors):.1f} to {max(factors):.1f}."""
    equal = [key for key in ratios if key not in cheaper and key not in dearer]
    if equal:
        text += f" The two are equal within noise {_where(equal)}."
    return prose(text)


def _where(keys: list[tuple[int, float]]) -> str:
    dimensions: dict[float, list[str]] = {}
    for dimension, sigma in keys:
        dimensions.setdefault(sigma, []).append(str(dimension))
    return " and ".join(f"at sigma {sigma:g} in d = {', '.join(own)}" for sigma, own in dimensions.items())


def _told(ratio: _Ratio) -> str:
    """A ratio and its interval, if there are networks enough for one."""
    middle, low, high = ratio
    return f"{middle:.3g} ({low:.3g} to {high:.3g})" if high < np.inf else f"{middle:.3g}"


def _fixed_table(fixed: list[Row]) -> str:
    cells = []
    for dimension in sorted({row["dimension"] for row in fixed}):
        for density in _DENSITIES:
            own = [row for row in fixed if (row["dimension"], row["density"]) == (dimension, density)]
            z = np.array([row["z"] for row in own])
            cells.append(
                [
                    f"d = {dimension}, {density}",
                    str(len(own)),
                    f"{min(row['cells'] for row in own)} to {max(row['cells'] for row in own)}",
                    f"{np.abs(z).max():.2f}",
                    f"{z.mean():+.2f}",
                    f"{np.median([row['stderr'] / row['exact'] for row in own if row['exact']]):.2%}",
                ]
            )
    header = ["fixed biases", "networks", "cells", "largest \\|z\\|", "mean z", "median relative stderr"]
    return markdown_table(header, cells)


def _cost_table(cost: list[Row]) -> str:
    cells = []
    for dimension, sigma in sorted({(row["dimension"], row["sigma"]) for row in cost}):
        own = [row for row in cost if (row["dimension"], row["sigma"]) == (dimension, sigma)]
        by_name = {
            name: [row for row in own if row["estimator"] == name]
            for name in (CroftonLines.name, Coarea.name)
        }

        def median(name: str, key: str, of: dict[str, list[Row]] = by_name) -> float:
            return float(np.median([row[key] for row in of[name]]))

        cells.append(
            [
                f"d = {dimension}, sigma {sigma:g}",
                *[f"{median(name, 'variance'):.3g}" for name in by_name],
                *[f"{1e6 * median(name, 'seconds_per_draw'):.2g}" for name in by_name],
                *[f"{median(name, 'seconds_for_percent'):.3g}" for name in by_name],
                _told(_ratios(own)[dimension, sigma]),
            ]
        )
    header = ["bias average"]
    for what in ("relative variance of a", "microseconds per", "seconds for 1 %,"):
        header += [f"{what} line", f"{what} sample"]
    return markdown_table([*header, "ratio of these"], cells)


def _draw(folder: Folder, fixed: list[Row], cost: list[Row]) -> None:
    from matplotlib import pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, layout="constrained", figsize=(9, 3.4))
    dimensions = sorted({row["dimension"] for row in fixed})
    for at, dimension in enumerate(dimensions):
        z = [row["z"] for row in fixed if row["dimension"] == dimension]
        left.plot(np.linspace(at - 0.3, at + 0.3, len(z)), z, "o", ms=3)
    left.axhspan(-_LIMIT, _LIMIT, color="grey", alpha=0.1)
    left.axhline(0.0, color="black", lw=0.6)
    left.set_xticks(range(len(dimensions)), [f"d = {dimension}" for dimension in dimensions])
    left.set_ylabel("z")
    for dimension, color in zip(dimensions, ("tab:blue", "tab:orange", "tab:green"), strict=False):
        for name, style in ((CroftonLines.name, "--"), (Coarea.name, "-")):
            own = [row for row in cost if (row["dimension"], row["estimator"]) == (dimension, name)]
            sigmas = sorted({row["sigma"] for row in own})
            seconds = [
                np.median([row["seconds_for_percent"] for row in own if row["sigma"] == sigma])
                for sigma in sigmas
            ]
            right.plot(
                sigmas, seconds, style, marker="o", ms=3, color=color, label=f"{name}, d = {dimension}"
            )
    right.set(xscale="log", yscale="log", xlabel="sigma", ylabel="seconds for 1 %")
    right.legend(fontsize=7)
    folder.save_figure("cost", figure)


EXPERIMENT = Experiment("crofton", "Crofton lines", run, report)
