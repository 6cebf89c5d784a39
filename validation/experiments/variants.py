"""The published variants of the co-area estimator: how far each is off, and how far theory says it is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regions import (
    Coarea,
    Estimate,
    GaussianDensity,
    Network,
    OwnNoiseCoarea,
    SampledStateCoarea,
    UnnormalisedCoarea,
    enumerate_cells,
    locus_volume,
)
from regions.density import Density
from regions.domain import Domain
from regions.estimators import LocusKind
from regions.validation.closed_form import one_hidden_layer_local_complexity
from regions.validation.local_complexity import with_bias_noise
from validation.framework import Check, Experiment, Folder, Pool, Section, case_rng, markdown_table, prose
from validation.problems import NetworkSpec, density_on

__all__ = ["EXPERIMENT"]

FloatArray = NDArray[np.float64]
Row = dict[str, Any]

_VARIANTS = {
    "unnormalised, centred at 0": UnnormalisedCoarea,
    "own bias noised": OwnNoiseCoarea,
    "sampled state": SampledStateCoarea,
}
_LIMIT = 4.0
# a bias of so many standard errors must show beyond the limit, but for a four-sigma event
_EXPECTED = 8.0
_NINETY_FIVE = 1.959963984540054
# data of the closed form, on the whole space
_MEAN, _VARIANCE = 0.2, 0.5


@dataclass(frozen=True)
class _Case:
    spec: NetworkSpec
    density: str
    sigma: float
    samples: int
    runs: int = 1
    n_bias: int = 0

    @property
    def name(self) -> str:
        return f"{self.spec.name}, {self.density}, sigma {self.sigma:g}"


def run(config: dict[str, Any], folder: Folder, pool: Pool) -> None:
    """One hidden layer against the closed forms, deeper networks against exact averages."""
    one_layer = [
        _Case(NetworkSpec(*network), "gaussian on the whole space", sigma, config["samples"])
        for network in config["one_layer"]
        for sigma in config["sigmas_one_layer"]
    ]
    deep = [
        _Case(NetworkSpec(*network), density, sigma, config["samples_deep"], config["runs"], config["n_bias"])
        for network in config["deep"]
        for density in config["densities_deep"]
        for sigma in config["sigmas_deep"]
    ]
    parts = pool.map(_one_layer, one_layer, "variants, one layer") + pool.map(_deep, deep, "variants, deeper")
    folder.write_csv("cases", [row for rows in parts for row in rows])


def _one_layer(case: _Case) -> list[Row]:
    """Each variant beside the closed form of what it estimates, and of local complexity."""
    network, sigma = case.spec.build(), case.sigma
    d = network.input_dim
    density = GaussianDensity(np.full(d, _MEAN), _VARIANCE)

    def closed(of: Network, noise: float) -> float:
        return one_hidden_layer_local_complexity(of, np.full(d, _MEAN), _VARIANCE, noise)

    unbiased = Network(network.weights, tuple(0.0 * bias for bias in network.biases), network.relu)
    theory = {
        "unnormalised, centred at 0": sigma * math.sqrt(2.0 * math.pi) * closed(unbiased, sigma),
        "own bias noised": closed(network, math.sqrt(2.0) * sigma),
        "sampled state": closed(network, sigma),
    }
    exact = closed(network, sigma)
    rows = []
    for label, variant in _VARIANTS.items():
        rng = case_rng("variants", case.name, label)
        estimate = variant(sigma).estimate(network, density, rng, case.samples)
        measured = Estimate(estimate.mean - exact, estimate.stderr, estimate.n)
        rows.append(_row(case, label, exact, measured, Estimate(theory[label] - exact, 0.0, 1)))
    return rows


def _deep(case: _Case) -> list[Row]:
    """Each variant minus the co-area estimator on the same samples, beside the exact difference."""
    network, domain = case.spec.build(), case.spec.domain()
    density = density_on(case.density, domain)
    exact, theory = _exact_differences(case, network, domain, density)

    def runs(estimator: Coarea) -> FloatArray:
        streams = [case_rng("variants, run", case.name, k) for k in range(case.runs)]
        return np.array(
            [estimator.estimate(network, density, rng, case.samples, domain=domain).mean for rng in streams]
        )

    reference = runs(Coarea(case.sigma))
    rows = []
    for label, variant in _VARIANTS.items():
        measured = Estimate.from_draws(runs(variant(case.sigma)) - reference)
        rows.append(_row(case, label, exact.mean, measured, theory.get(label)))
    return rows


def _exact_differences(
    case: _Case, network: Network, domain: Domain, density: Density
) -> tuple[Estimate, dict[str, Estimate]]:
    """Local complexity, and what the first two variants estimate minus it, from the same bias draws."""
    rng = case_rng("variants, exact", case.name)
    biases = np.concatenate([bias for bias, relu in zip(network.biases, network.relu, strict=True) if relu])
    value, wide, centred = (np.empty(case.n_bias) for _ in range(3))
    for draw in range(case.n_bias):
        noise = case.sigma * rng.standard_normal(network.n_units)
        value[draw] = _by_unit(network, noise, domain, density, "gradient").sum()
        for sums, own, kind in (
            # each unit by itself: only its own noise differs
            (wide, math.sqrt(2.0) * noise, "gradient"),
            (centred, noise - biases, "activation"),
        ):
            changed = [np.where(np.arange(network.n_units) == i, own, noise) for i in range(network.n_units)]
            each = [_by_unit(network, one, domain, density, kind)[i] for i, one in enumerate(changed)]
            sums[draw] = math.fsum(each)
    factor = case.sigma * math.sqrt(2.0 * math.pi)
    theory = {
        "unnormalised, centred at 0": Estimate.from_draws(factor * centred - value),
        "own bias noised": Estimate.from_draws(wide - value),
    }
    return Estimate.from_draws(value), theory


def _by_unit(
    network: Network, noise: FloatArray, domain: Domain, density: Density, kind: LocusKind
) -> FloatArray:
    cells = enumerate_cells(with_bias_noise(network, noise), domain, workers=1)
    return np.asarray(locus_volume(cells, density, kind).by_unit)


def _row(case: _Case, label: str, exact: float, measured: Estimate, theory: Estimate | None) -> Row:
    spread = None if theory is None else math.hypot(measured.stderr, theory.stderr)
    return {
        "case": case.name,
        "network": case.spec.name,
        "depth": case.spec.depth,
        "sigma": case.sigma,
        "variant": label,
        "exact": exact,
        "relative_bias": measured.mean / exact,
        "relative_half": _NINETY_FIVE * measured.stderr / exact,
        "z": measured.mean / measured.stderr if measured.stderr > 0.0 else 0.0,
        "theory": None if theory is None else theory.mean / exact,
        "theory_stderr": None if theory is None else theory.stderr / exact,
        "z_theory": None if theory is None else (measured.mean - theory.mean) / spread,
    }


def report(config: dict[str, Any], folder: Folder) -> Section:
    """The section on variants."""
    rows = folder.read_csv("cases")
    _draw(folder, rows)
    known = [row for row in rows if row["theory"] is not None]
    clear = [row for row in known if _visible(row)]
    method = prose(
        f"""With one hidden layer of weights w_i and biases b_i and data N(m, S) on the whole space all is in
        closed form: LC is the sum of |w_i| N(-b_i; w_i.m, w_i.S.w_i + sigma^2). The unnormalised variant,
        centred at 0, gives sigma sqrt(2 pi) times that with all b_i = 0; the variant with its own bias noised
        gives it at sigma sqrt(2); the variant that asks for goodness in the sampled state is right. With more
        layers, on [-1, 1]^d, the first two are averages over {config["n_bias"]} bias draws of exact loci, in
        which one unit at a time has other noise of its own (twice the variance; centred at -b_i). The
        variants run on the very samples of the co-area estimator, so that the difference has less noise than
        either. A bias counts as predicted to be visible where the prediction, less {_LIMIT:g} of its standard
        errors, is at least {_EXPECTED:g} standard errors of the measurement."""
    )
    return Section(
        question=prose(
            """How far off are the variants of the co-area estimator that are found in published code, and
            is it what theory says?"""
        ),
        method=method,
        table=_table(rows),
        figures=(
            ("bias", "Relative bias against sigma: measured (dots), theory (crosses); dotted: the factor"),
        ),
        finding=_finding(rows, known, clear),
        limits=prose(
            """The sampled state has no prediction behind more than one layer; its bias is measured only.
            Where a bias changes its sign with sigma it may be invisible."""
        ),
        checks=_checks(rows, known, clear),
        headline=_headline(rows),
    )


def _visible(row: Row) -> bool:
    """Whether the predicted bias, less `_LIMIT` of its own standard errors, is still clear of the noise."""
    least = abs(row["theory"]) - _LIMIT * row["theory_stderr"]
    return bool(least >= _EXPECTED * row["relative_half"] / _NINETY_FIVE)


def _checks(rows: list[Row], known: list[Row], clear: list[Row]) -> tuple[Check, ...]:
    worst = max(abs(row["z_theory"]) for row in known)
    checks = [
        Check(
            f"variants estimate what theory says: |z| < {_LIMIT:g}",
            worst < _LIMIT,
            f"largest |z| {worst:.2f} of {len(known)} cases",
        )
    ]
    for label in _VARIANTS:
        own = [row for row in clear if row["variant"] == label]
        if own:
            least = min(abs(row["z"]) for row in own)
            name = f"{label}: bias significant (|z| > {_LIMIT:g}) where theory says that it is visible"
            checks.append(Check(name, least > _LIMIT, f"smallest |z| {least:.1f} of {len(own)} cases"))
    sampled = [row for row in rows if row["variant"] == "sampled state"]
    flat = max(abs(row["z"]) for row in sampled if row["depth"] == 1)
    deep = [row for row in sampled if row["depth"] > 1]
    largest = max(abs(row["z"]) for row in deep)
    seen = sum(abs(row["z"]) > _LIMIT for row in deep)
    name = f"sampled state: no bias with one hidden layer (|z| < {_LIMIT:g}), some with more"
    detail = (
        f"largest |z| {flat:.2f} with one; {largest:.1f} with more, beyond it in {seen} of {len(deep)} cases"
    )
    checks.append(Check(name, flat < _LIMIT and seen > 0, detail))
    return tuple(checks)


def _finding(rows: list[Row], known: list[Row], clear: list[Row]) -> str:
    parts = []
    for label in _VARIANTS:
        own = [row for row in rows if row["variant"] == label]
        seen = [row for row in own if abs(row["z"]) > _LIMIT]
        worst = max(seen or own, key=lambda row: abs(row["relative_bias"]))
        predicted = sum(row["variant"] == label for row in clear)
        text = f'"{label}" in {len(seen)} of {len(own)} cases'
        text += f" (theory calls for {predicted})" if predicted else ""
        parts.append(f"{text}, at most {worst['relative_bias']:+.1%}")
    worst_z = max(abs(row["z_theory"]) for row in known)
    agree = (
        f"""Measured and predicted bias agree in all {len(known)} cases that have a prediction, largest
        |z| {worst_z:.2f}."""
        if worst_z < _LIMIT
        else f"Measured and predicted bias differ somewhere by |z| = {worst_z:.2f}."
    )
    return prose(f"A bias at |z| > {_LIMIT:g} is seen of {'; '.join(parts)}. {agree}")


def _headline(rows: list[Row]) -> str:
    least = min(row["sigma"] for row in rows)
    first, second, _ = _VARIANTS
    small = [row["relative_bias"] for row in rows if row["variant"] == first and row["sigma"] == least]
    own = [row["relative_bias"] for row in rows if row["variant"] == second]
    worst = max(abs(row["z_theory"]) for row in rows if row["theory"] is not None)
    return prose(
        f"""The published unnormalised variant is off by {np.median(small):+.1%} at sigma {least:g}
        (median), noising a unit's own bias by {min(own):+.1%} to {max(own):+.1%}; measured and predicted
        bias differ by at most |z| = {worst:.2f}."""
    )


def _table(rows: list[Row]) -> str:
    cells = []
    for label in _VARIANTS:
        for deep in (False, True):
            for sigma in sorted({row["sigma"] for row in rows if (row["depth"] > 1) is deep}):
                own = [
                    row
                    for row in rows
                    if (row["variant"], row["depth"] > 1, row["sigma"]) == (label, deep, sigma)
                ]
                theory = [row["theory"] for row in own if row["theory"] is not None]
                off = [abs(row["z_theory"]) for row in own if row["theory"] is not None]
                bias = [row["relative_bias"] for row in own]
                cells.append(
                    [
                        f"{label}, {'deeper' if deep else 'one layer'}",
                        f"{sigma:g}",
                        str(len(own)),
                        f"{min(bias):+.2%} to {max(bias):+.2%}",
                        f"{min(theory):+.2%} to {max(theory):+.2%}" if theory else "",
                        f"{max(off):.2f}" if off else "",
                        str(sum(abs(row["z"]) > _LIMIT for row in own)),
                    ]
                )
    header = ["variant", "sigma", "cases", "relative bias", "by theory", "largest \\|z\\| to theory"]
    return markdown_table([*header, f"\\|z\\| > {_LIMIT:g}"], cells)


def _draw(folder: Folder, rows: list[Row]) -> None:
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, len(_VARIANTS), layout="constrained", figsize=(11, 3.4))
    for axis, label in zip(axes, _VARIANTS, strict=True):
        own = [row for row in rows if row["variant"] == label]
        # dots of equal sigma are spread a little, in the order of the cases
        where = np.array([row["sigma"] for row in own]) * np.exp(np.linspace(-0.25, 0.25, len(own)))
        measured, half = (np.array([row[key] for row in own]) for key in ("relative_bias", "relative_half"))
        deep = np.array([row["depth"] > 1 for row in own])
        for chosen, name in ((~deep, "one layer"), (deep, "deeper")):
            axis.errorbar(where[chosen], measured[chosen], half[chosen], fmt="o", ms=3, lw=0.7, label=name)
        known = np.array([row["theory"] is not None for row in own])
        theory = [row["theory"] for row in own if row["theory"] is not None]
        axis.plot(where[known], theory, "x", color="black", ms=4, mew=0.7, label="theory")
        if label.startswith("unnormalised"):
            grid = np.geomspace(where.min(), where.max(), 100)
            axis.plot(grid, grid * math.sqrt(2.0 * math.pi) - 1.0, ":", color="grey", lw=1)
        axis.axhline(0.0, color="black", lw=0.6)
        axis.set(xscale="log", xlabel="sigma", title=label)
        axis.legend(fontsize=7)
    axes[0].set_ylabel("relative bias")
    folder.save_figure("bias", figure)


EXPERIMENT = Experiment("variants", "The published variants", run, report)
