"""Every estimator against the exact value of its target, over networks, dimensions, densities and noise."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import kstest

from regions import (
    BoundaryDistance,
    Coarea,
    CroftonLines,
    CrossPolytope,
    DistinctPatterns,
    Estimate,
    FiniteShell,
    OwnNoiseCoarea,
    SampledStateCoarea,
    UnnormalisedCoarea,
    enumerate_cells,
    exact_value,
    locus_volume,
)
from regions.estimators import BudgetedEstimator
from regions.validation.local_complexity import with_bias_noise, z_score
from validation import error_figures
from validation.decision_table import decision_grid, decision_table
from validation.framework import Check, Experiment, Folder, Pool, case_rng, markdown_table, prose
from validation.paper import SectionWithAppendix
from validation.problems import NetworkSpec, density_on

__all__ = ["EXPERIMENT"]

Row = dict[str, Any]

_NINETY_FIVE = 1.959963984540054
# samples that errors are quoted for
_PER = 10_000
_LIMIT = 4.0
# estimators whose mean is the exact value, by theory
_UNBIASED = ("co-area", "co-area, activation locus", "Crofton lines")


@dataclass(frozen=True)
class _Case:
    spec: NetworkSpec
    density: str
    sigma: float
    n_bias: int
    samples: int
    samples_others: int
    lines: int
    shell: float

    @property
    def name(self) -> str:
        return f"{self.spec.name}, {self.density}, sigma {self.sigma:g}"


def run(config: dict[str, Any], folder: Folder, pool: Pool) -> None:
    """All estimators of locus integrals case by case, then the two counts."""
    specs = [NetworkSpec(*network) for network in config["networks"]]
    problems = [
        (spec, density)
        for spec in specs
        for density in (*config["densities"], *(config["more"] if spec.dimension <= 2 else ()))
    ]
    cases = [_case(config, *problem, at) for problem in problems for at in range(len(config["sigmas"]))]
    folder.write_csv("cases", [row for rows in pool.map(_judge, cases, "estimator error") for row in rows])
    counted = [(*problem, config) for problem in problems]
    folder.write_csv("counts", [row for rows in pool.map(_count, counted, "counts") for row in rows])


def _case(config: dict[str, Any], spec: NetworkSpec, density: str, at: int) -> _Case:
    draws = "n_bias_line" if spec.dimension == 1 else "n_bias"
    if spec.dimension >= 3 and density != "uniform":
        draws = "n_bias_cubature"
    return _Case(
        spec,
        density,
        config["sigmas"][at],
        config[draws][at],
        config["samples"][at],
        config["samples_others"][at],
        config["lines"],
        config["shell"],
    )


def _judge(case: _Case) -> list[Row]:
    """One row for each estimator."""
    sigma, shell = case.sigma, case.shell
    exact = _exact(case)
    estimators: list[tuple[str, BudgetedEstimator, int]] = [
        ("co-area", Coarea(sigma), case.samples),
        ("co-area, activation locus", Coarea(sigma, "activation"), case.samples),
        ("Crofton lines", CroftonLines(sigma), case.lines),
        ("finite shells", FiniteShell(shell, sigma), case.samples_others),
        ("distance to the boundary", BoundaryDistance(shell, sigma), case.samples_others),
        ("unnormalised, centred at 0", UnnormalisedCoarea(sigma), case.samples_others),
        ("own bias noised", OwnNoiseCoarea(sigma), case.samples_others),
        ("sampled state", SampledStateCoarea(sigma), case.samples_others),
    ]
    network, domain = case.spec.build(), case.spec.domain()
    density = density_on(case.density, domain)
    rows = []
    for label, estimator, budget in estimators:
        rng = case_rng("estimator error", case.name, label)
        start = time.process_time()
        estimate = estimator.estimate(network, density, rng, budget, domain=domain)
        seconds = time.process_time() - start
        rows.append(_row(case, label, exact[estimator.target.kind], estimate, seconds))
    return rows


def _exact(case: _Case) -> dict[str, Estimate]:
    """Both loci from the same bias draws, one enumeration each."""
    network, domain = case.spec.build(), case.spec.domain()
    density = density_on(case.density, domain)
    rng = case_rng("estimator error, exact", case.name)
    kinds = ("gradient", "activation")
    draws = np.empty((case.n_bias, len(kinds)))
    for draw in range(case.n_bias):
        noisy = with_bias_noise(network, case.sigma * rng.standard_normal(network.n_units))
        cells = enumerate_cells(noisy, domain, workers=1)
        for at, kind in enumerate(kinds):
            # most often the two loci are one
            same = at and cells.facets.jump[cells.facets.interior].all()
            draws[draw, at] = draws[draw, 0] if same else locus_volume(cells, density, kind).total
    return {kind: Estimate.from_draws(draws[:, at]) for at, kind in enumerate(kinds)}


def _row(case: _Case, label: str, exact: Estimate, estimate: Estimate, seconds: float) -> Row:
    bias = estimate.mean - exact.mean
    spread = math.hypot(estimate.stderr, exact.stderr)
    per = math.sqrt(estimate.n / _PER)
    return {
        "case": case.name,
        "network": case.spec.name,
        "dimension": case.spec.dimension,
        "width": case.spec.width,
        "depth": case.spec.depth,
        "scale": case.spec.scale,
        "trained": case.spec.trained,
        "density": case.density,
        "sigma": case.sigma,
        "estimator": label,
        "exact": exact.mean,
        "exact_stderr": exact.stderr,
        "bias_draws": exact.n,
        "estimate": estimate.mean,
        "stderr": estimate.stderr,
        "samples": estimate.n,
        "z": z_score(estimate, exact),
        "relative_bias": bias / exact.mean,
        "relative_bias_half": _NINETY_FIVE * spread / exact.mean,
        # of a run of so many samples: its spread, and the bias that more samples do not remove
        "spread": estimate.stderr * per / exact.mean,
        "effective": (estimate.mean / estimate.stderr) ** 2 if estimate.stderr > 0.0 else float(estimate.n),
        "seconds": seconds * _PER / estimate.n,
    }


def _count(item: tuple[NetworkSpec, str, dict[str, Any]]) -> list[Row]:
    """Cross-polytopes and distinct patterns against what they count."""
    spec, density_name, config = item
    network, domain = spec.build(), spec.domain()
    density = density_on(density_name, domain)
    budgets = (config["samples_others"][0], config["pattern_samples"])
    rows = []
    for estimator, budget in zip((CrossPolytope(config["radius"]), DistinctPatterns()), budgets, strict=True):
        rng = case_rng("counts", spec.name, density_name, estimator.name)
        for_exact, for_run = rng.spawn(2)
        draws = config["neighbourhoods"]
        exact = exact_value(estimator.target, network, domain, density, for_exact, draws, workers=1)
        estimate = estimator.estimate(network, density, for_run, budget, domain=domain)
        rows.append(
            {
                "network": spec.name,
                "dimension": spec.dimension,
                "depth": spec.depth,
                "density": density_name,
                "estimator": estimator.name,
                "exact": exact.mean,
                "exact_stderr": exact.stderr,
                "estimate": estimate.mean,
                "stderr": estimate.stderr,
                "samples": budget,
                "z": z_score(estimate, exact),
            }
        )
    return rows


def report(config: dict[str, Any], folder: Folder) -> SectionWithAppendix:
    """The section on errors."""
    rows, counts = folder.read_csv("cases"), folder.read_csv("counts")
    error_figures.draw(folder, rows)
    judged = [row for row in rows if row["estimator"] == "co-area"]
    z = np.array([row["z"] for row in judged])
    normal = kstest(z, "norm")
    n_networks = len({row["network"] for row in judged})
    dimensions = sorted({row["dimension"] for row in judged})
    densities = ", ".join(dict.fromkeys(row["density"] for row in judged))
    method = prose(
        f"""{len(judged)} cases: {n_networks} networks (He and PyTorch initialisation at several scales,
        trained regressors, the digits classifier on planes through images) in {min(dimensions)} to
        {max(dimensions)} dimensions; densities {densities} (those after the first {len(config["densities"])}
        in at most two dimensions; outside the domain they count as 0); sigma from {min(config["sigmas"]):g}
        to {max(config["sigmas"]):g}. The exact value is the mean locus integral of
        {min(row["bias_draws"] for row in judged)} to {max(row["bias_draws"] for row in judged):,} enumerated
        draws of the biases, most of them on a line, where the locus is a few points; each estimator is held
        against that of the locus it means. The co-area estimators take
        {min(row["samples"] for row in judged):,} to {max(row["samples"] for row in judged):,} samples, more
        at small sigma, so that (mean / standard error)^2, the effective number of contributing samples, is at
        least {min(row["effective"] for row in judged):,.0f}; shells have half thickness {config["shell"]:g}.
        No case was left out and no seed was chosen, as both follow from the names of the cases. Cases are
        independent of each other, but the estimators of one case share its exact value."""
    )
    return SectionWithAppendix(
        question=prose(
            """Does each estimator give what it says, and how large is its error against noise, width,
            depth, initial scale, training and dimension?"""
        ),
        method=method,
        table="",
        appendix="\n\n".join(
            [
                decision_table(rows, _PER),
                _estimator_table(rows),
                _dimension_table(rows),
                _shape_table(rows),
                _count_table(counts),
            ]
        ),
        figures=(
            ("z", "z of the co-area estimator in all cases, against N(0, 1)"),
            ("error", f"Relative error of runs of {_PER:,} samples against sigma; medians over networks"),
        ),
        finding=_finding(rows, counts, normal.statistic, normal.pvalue),
        limits=prose(
            """At the largest sigma the exact value's own standard error, from the bias average, dominates z.
            There is one run for each case, with the standard error that the estimator states."""
        ),
        checks=_checks(config, rows),
        decisions=decision_grid(rows, _PER),
        headline=prose(
            f"""The co-area estimator agrees with the exact value, |z| < {_LIMIT:g}, in
            {int(np.sum(np.abs(z) < _LIMIT))} of {len(z)} cases (largest |z| {np.abs(z).max():.2f};
            Kolmogorov-Smirnov against N(0, 1): p = {normal.pvalue:.2f})."""
        ),
    )


def _checks(config: dict[str, Any], rows: list[Row]) -> tuple[Check, ...]:
    checks = []
    for label in _UNBIASED:
        z = [abs(row["z"]) for row in rows if row["estimator"] == label]
        passed = max(z) < _LIMIT and len(z) >= config["at_least"]
        name = f"{label}: |z| < {_LIMIT:g} in each of at least {config['at_least']} cases"
        checks.append(Check(name, passed, f"largest |z| {max(z):.2f} of {len(z)} cases"))
    return tuple(checks)


def _finding(rows: list[Row], counts: list[Row], distance: float, p: float) -> str:
    z = np.array([row["z"] for row in rows if row["estimator"] == "co-area"])
    expected = _expected_largest(len(z))
    parts = [
        f"""The co-area estimator's z has mean {z.mean():+.2f} and standard deviation {z.std(ddof=1):.2f}
        over {len(z)} cases, largest |z| {np.abs(z).max():.2f} (of so many normal variables it is
        {expected:.2f} in the median); Kolmogorov-Smirnov distance {distance:.3f}, p = {p:.2f}. Its relative
        error with {_PER:,} samples is {_errors_by_sigma(rows)} (medians)."""
    ]
    kinds = {"finite shells": "Finite shells", "distance to the boundary": "Distances to the boundary"}
    for label, what in kinds.items():
        own = [row for row in rows if row["estimator"] == label]
        off = sum(abs(row["z"]) >= _LIMIT for row in own)
        worst = max(own, key=lambda row: abs(row["relative_bias"]))
        parts.append(
            f"""{what} are off by |z| >= {_LIMIT:g} in {off} of {len(own)} cases, at most by
            {worst["relative_bias"]:+.1%}."""
        )
    first = [row for row in counts if row["estimator"] == CrossPolytope.name and row["depth"] == 1]
    deeper = [row for row in counts if row["estimator"] == CrossPolytope.name and row["depth"] > 1]
    patterns = [row["estimate"] / row["exact"] for row in counts if row["estimator"] == DistinctPatterns.name]
    if first and deeper:
        parts.append(
            f"""Cross-polytopes count what they should with one hidden layer (largest |z|
            {max(abs(row["z"]) for row in first):.2f} of {len(first)}), and down to
            {min(row["estimate"] / row["exact"] for row in deeper):.1%} of it with more."""
        )
    parts.append(
        f"""Distinct patterns find {min(patterns):.1%} to {max(patterns):.1%} of the cells with
        {counts[-1]["samples"]:,} samples."""
    )
    return prose(" ".join(parts))


def _errors_by_sigma(rows: list[Row]) -> str:
    """The co-area estimator's relative error by sigma, medians over cases, in words."""
    by_sigma: dict[float, list[float]] = {}
    for row in rows:
        if row["estimator"] == "co-area":
            by_sigma.setdefault(row["sigma"], []).append(row["spread"])
    return ", ".join(f"{np.median(own):.2%} at sigma {sigma:g}" for sigma, own in sorted(by_sigma.items()))


def _expected_largest(n: int) -> float:
    """Median of the largest |z| of n independent normal variables."""
    from scipy.special import ndtri

    return float(ndtri(0.5 + 0.5 * 0.5 ** (1.0 / n)))


def _error(row: Row) -> float:
    """Relative root mean square error of a run of `_PER` samples."""
    return math.hypot(row["spread"], row["relative_bias"] if row["estimator"] not in _UNBIASED else 0.0)


def _estimator_table(rows: list[Row]) -> str:
    cells = []
    for label in dict.fromkeys(row["estimator"] for row in rows):
        own = [row for row in rows if row["estimator"] == label]
        z = np.array([row["z"] for row in own])
        bias = [row["relative_bias"] for row in own]
        cells.append(
            [
                label,
                str(len(own)),
                f"{np.abs(z).max():.3g}",
                str(int(np.sum(np.abs(z) >= _LIMIT))),
                f"{np.median(bias):+.2%}",
                f"{min(bias):+.1%} to {max(bias):+.1%}",
                f"{np.median([_error(row) for row in own]):.2%}",
                f"{1e3 * np.median([row['seconds'] for row in own]):.0f}",
            ]
        )
    header = [
        "estimator",
        "cases",
        "largest \\|z\\|",
        f"\\|z\\| >= {_LIMIT:g}",
        "median bias",
        "range of bias",
    ]
    return markdown_table([*header, f"RMSE at {_PER:,}", f"ms per {_PER:,}"], cells)


def _dimension_table(rows: list[Row]) -> str:
    """The co-area estimator by dimension and sigma."""
    judged = [row for row in rows if row["estimator"] == "co-area"]
    sigmas = sorted({row["sigma"] for row in judged})
    cells = []
    groups = dict.fromkeys((row["network"].startswith("digits"), row["dimension"]) for row in judged)
    for digits, dimension in sorted(groups):
        line = ["digits, planes" if digits else f"d = {dimension}"]
        for sigma in sigmas:
            own = [
                row
                for row in judged
                if (row["network"].startswith("digits"), row["dimension"], row["sigma"])
                == (digits, dimension, sigma)
            ]
            error = np.median([row["spread"] for row in own])
            line.append(f"{max(abs(row['z']) for row in own):.2f} of {len(own)}, {error:.2%}")
        cells.append(line)
    return markdown_table(
        ["co-area: largest \\|z\\|, RMSE", *[f"sigma {sigma:g}" for sigma in sigmas]], cells
    )


def _shape_table(rows: list[Row]) -> str:
    """The co-area estimator's error network by network."""
    judged = [row for row in rows if row["estimator"] == "co-area"]
    sigmas = sorted({row["sigma"] for row in judged})
    cells = []
    for network in dict.fromkeys(row["network"] for row in judged):
        own = [row for row in judged if row["network"] == network and row["density"] == "uniform"]
        by_sigma = {row["sigma"]: row for row in own}
        cells.append(
            [
                network,
                f"{own[0]['exact']:.3g}",
                *[f"{by_sigma[sigma]['spread']:.2%}" for sigma in sigmas],
                f"{1e3 * own[0]['seconds']:.0f}",
            ]
        )
    header = ["network, uniform density", f"LC at sigma {sigmas[0]:g}"]
    errors = [f"RMSE, sigma {sigma:g}" for sigma in sigmas]
    return markdown_table([*header, *errors, f"ms per {_PER:,}"], cells)


def _count_table(counts: list[Row]) -> str:
    cells = []
    for label in dict.fromkeys(row["estimator"] for row in counts):
        for depth in sorted({row["depth"] for row in counts}):
            own = [row for row in counts if row["estimator"] == label and row["depth"] == depth]
            ratio = [row["estimate"] / row["exact"] for row in own]
            cells.append(
                [
                    f"{label}, {depth} layer{'s' if depth > 1 else ''}",
                    str(len(own)),
                    f"{max(abs(row['z']) for row in own):.3g}" if "cross" in label else "",
                    f"{min(ratio):.1%} to {max(ratio):.1%}",
                ]
            )
    return markdown_table(["count", "cases", "largest \\|z\\|", "of the exact value"], cells)


EXPERIMENT = Experiment("estimator_error", "Estimators against exact values", run, report)
