"""Do the stated standard errors of the co-area estimator hold: coverage of nominal 95 % intervals."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import binomtest, kstest

from regions import Coarea, Estimate, GaussianDensity, exact_local_complexity
from regions.density import Density
from regions.domain import Domain
from regions.validation.closed_form import one_hidden_layer_local_complexity
from regions.validation.conditioned import sharp_local_complexity
from validation.framework import Check, Experiment, Folder, Pool, Section, case_rng, markdown_table, prose
from validation.problems import NetworkSpec, density_on

__all__ = ["EXPERIMENT"]

FloatArray = NDArray[np.float64]
Case = dict[str, Any]

_NINETY_FIVE = 1.959963984540054
_QUANTILES = np.linspace(0.005, 0.995, 100)
# the exact value may be off by this part of a run's standard error
_NEGLIGIBLE = 0.1
_LOWEST, _HIGHEST = 0.93, 0.97


def run(config: dict[str, Any], folder: Folder, pool: Pool) -> None:
    """Exact values first, then all runs; one row for each case and budget."""
    cases, chunk = config["cases"], config["chunk"]
    truths = pool.map(_truth, cases, "coverage, exact values")
    chunks = [
        (case, budget, range(first, min(first + chunk, n_seeds)))
        for case in cases
        for budget, n_seeds in _budgets(case, config)
        for first in range(0, n_seeds, chunk)
    ]
    parts = iter(pool.map(_runs, chunks, "coverage, runs"))
    rows, quantiles = [], []
    for case, truth in zip(cases, truths, strict=True):
        for budget, n_seeds in _budgets(case, config):
            runs = np.concatenate([next(parts) for _ in range(0, n_seeds, chunk)])
            row, z = _judged(case, budget, truth, runs)
            rows.append(row)
            for level, value in zip(_QUANTILES, np.quantile(z, _QUANTILES), strict=True):
                quantiles.append(
                    {"case": row["case"], "samples": budget, "level": round(level, 6), "z": round(value, 6)}
                )
    folder.write_csv("cases", rows)
    folder.write_csv("quantiles", quantiles)


def _budgets(case: Case, config: dict[str, Any]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Samples and seeds of the small budget, which decides nothing, and of the one that is judged."""
    small = case["samples"] // config["small_part"]
    return (small, config["small_seeds"]), (case["samples"], config["n_seeds"])


def _spec(case: Case) -> NetworkSpec:
    return NetworkSpec(case["family"], case["inputs"], case["width"], case["depth"])


def _setting(case: Case) -> tuple[Domain | None, Density]:
    match case["domain"]:
        case "own":
            domain = _spec(case).domain()
            return domain, density_on(case["density"], domain)
        case "space":
            return None, GaussianDensity(np.full(case["inputs"], 0.2), 0.5)
    raise ValueError(f"unknown domain {case['domain']!r}")


def _name(case: Case) -> str:
    where = " on the whole space" if case["domain"] == "space" else ""
    return f"{_spec(case).name}, {case['density']}{where}, sigma {case['sigma']:g}"


def _truth(case: Case) -> Estimate:
    network = _spec(case).build()
    domain, density = _setting(case)
    sigma = case["sigma"]
    if domain is None:
        mean, cov = np.full(case["inputs"], 0.2), 0.5
        return Estimate(one_hidden_layer_local_complexity(network, mean, cov, sigma), 0.0, 1)
    rng = case_rng("coverage, exact", _name(case))
    if "pairs" in case:
        return sharp_local_complexity(network, domain, sigma, case["pairs"], rng, workers=1)
    return exact_local_complexity(network, domain, density, sigma, case["n_bias"], rng, workers=1)


def _runs(chunk: tuple[Case, int, range]) -> FloatArray:
    """Mean and stated standard error `(S, 2)` of the runs with these seeds."""
    case, budget, seeds = chunk
    network, estimator = _spec(case).build(), Coarea(case["sigma"])
    domain, density = _setting(case)
    runs = [
        estimator.estimate(
            network, density, case_rng("coverage", _name(case), budget, seed), budget, domain=domain
        )
        for seed in seeds
    ]
    return np.array([(one.mean, one.stderr) for one in runs])


def _judged(case: Case, budget: int, truth: Estimate, runs: FloatArray) -> tuple[dict[str, Any], FloatArray]:
    means, stated = runs.T
    z = (means - truth.mean) / stated
    covered = int(np.count_nonzero(np.abs(z) <= _NINETY_FIVE))
    interval = binomtest(covered, len(z)).proportion_ci(0.95, method="exact")
    spread = means.std(ddof=1)
    row = {
        "case": _name(case),
        "dimension": _spec(case).dimension,
        "samples": budget,
        "decides": budget == case["samples"],
        "seeds": len(z),
        "exact": truth.mean,
        "exact_stderr": truth.stderr,
        "bias_draws": truth.n,
        "mean": means.mean(),
        "bias_z": (means.mean() - truth.mean) / math.hypot(spread / math.sqrt(len(z)), truth.stderr),
        "spread": spread,
        "stated": math.sqrt(np.mean(stated**2)),
        "exact_part": truth.stderr / spread,
        "skewness": np.mean(((means - means.mean()) / spread) ** 3),
        "coverage": covered / len(z),
        "coverage_low": interval.low,
        "coverage_high": interval.high,
        "above": int(np.count_nonzero(z > _NINETY_FIVE)),
        "below": int(np.count_nonzero(z < -_NINETY_FIVE)),
        "ks_p": kstest(z, "norm").pvalue,
    }
    return row, z


def report(config: dict[str, Any], folder: Folder) -> Section:
    """The section on coverage."""
    rows = folder.read_csv("cases")
    _draw(folder, rows, folder.read_csv("quantiles"))
    decisive = [row for row in rows if row["decides"]]
    covered = [row["coverage"] for row in decisive]
    method = prose(
        f"""{len(decisive)} problems in different dimensions, with different networks, densities and noise.
        The exact value is known to {_NEGLIGIBLE:g} of a run's standard error, or in closed form; counted are
        the independent runs whose mean plus or minus 1.96 stated standard errors holds it, at two budgets, of
        which the smaller may be too small for the central limit theorem."""
    )
    limits = prose(
        f"""{len(decisive)} problems are not all problems: the smaller sigma, the more samples an interval
        needs."""
    )
    headline = prose(
        f"""It does where samples are many: nominal 95 % intervals cover the exact value in
        {min(covered):.1%} to {max(covered):.1%} of {decisive[0]["seeds"]:,} runs of each of {len(decisive)}
        problems."""
    )
    return Section(
        question="Does the standard error that the co-area estimator states mean what it says?",
        method=method,
        table=_table(rows),
        figures=(
            (
                "quantiles",
                "Quantiles of (run - exact) / stated standard error, less those of N(0, 1), at both budgets",
            ),
        ),
        finding=_finding(rows),
        limits=limits,
        checks=tuple(_check(row) for row in decisive),
        headline=headline,
    )


def _check(row: dict[str, Any]) -> Check:
    detail = prose(
        f"""{row["coverage"]:.1%} of {row["seeds"]:,} seeds; exact value known to {row["exact_part"]:.3f}
        of a run's standard error"""
    )
    passed = _LOWEST <= row["coverage"] <= _HIGHEST and row["exact_part"] <= _NEGLIGIBLE
    name = f"coverage of 95 % intervals within [{_LOWEST:.0%}, {_HIGHEST:.0%}]: {row['case']}"
    return Check(name, passed and row["seeds"] >= 1000, detail)


def _finding(rows: list[dict[str, Any]]) -> str:
    small = [row for row in rows if not row["decides"]]
    low = [row for row in small if row["coverage_high"] < 0.95]
    worst = min(small, key=lambda row: row["coverage"])
    text = prose(
        f"""At the smaller budgets coverage is significantly below 95 % in {len(low)} of {len(small)} cases,
        lowest {worst["coverage"]:.1%} ({worst["coverage_low"]:.1%} to {worst["coverage_high"]:.1%};
        {worst["case"]}, {worst["samples"]:,} samples, skewness of the mean {worst["skewness"]:+.2f})."""
    )
    below, above = sum(row["below"] for row in small), sum(row["above"] for row in small)
    if below > above and binomtest(below, below + above).pvalue < 0.01:
        text += " " + prose(
            f"""A run that by chance meets few large terms puts both its mean and its standard error too
            low: of the misses at the smaller budgets {below:,} lie below the exact value, {above:,}
            above."""
        )
    return text


def _table(rows: list[dict[str, Any]]) -> str:
    header = ["case", "samples", "seeds", "exact", "bias z", "spread / stated", "skewness", "coverage"]
    cells = [
        [
            row["case"],
            f"{row['samples']:,}",
            f"{row['seeds']:,}",
            f"{row['exact']:.5g} ± {row['exact_stderr']:.1g}",
            f"{row['bias_z']:+.2f}",
            f"{row['spread'] / row['stated']:.3f}",
            f"{row['skewness']:+.2f}",
            f"{row['coverage']:.1%}",
            f"{row['coverage_low']:.1%} to {row['coverage_high']:.1%}",
        ]
        for row in rows
    ]
    return markdown_table([*header, "95 % interval"], cells)


def _draw(folder: Folder, rows: list[dict[str, Any]], quantiles: list[dict[str, Any]]) -> None:
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 2, layout="constrained", figsize=(9, 3.6), sharey=True)
    for axis, decides in zip(axes, (False, True), strict=True):
        for row in rows:
            if row["decides"] is decides:
                key = row["case"], row["samples"]
                own = [one for one in quantiles if (one["case"], one["samples"]) == key]
                normal = ndtri([one["level"] for one in own])
                label = f"d = {row['dimension']}, {row['samples']:,} samples, {row['coverage']:.1%}"
                axis.plot(normal, [one["z"] for one in own] - normal, label=label, lw=1)
        axis.axhline(0.0, color="black", lw=0.6)
        axis.set(xlabel="quantile of N(0, 1)", title="larger budget" if decides else "smaller budget")
        axis.legend(fontsize=7)
    axes[0].set_ylabel("excess of the quantile of z")
    folder.save_figure("quantiles", figure)


EXPERIMENT = Experiment("coverage", "Coverage of the stated intervals", run, report)
