"""What the upper bounds lose, step by step, by dimension, and what less noisy draws are worth."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regions import UniformDensity, enumerate_cells, locus_volume, sum_over_cells
from regions.validation.conditioned import conditioned_activation_locus
from regions.validation.local_complexity import with_bias_noise
from validation.framework import Check, Experiment, Folder, Pool, case_rng, markdown_table, prose
from validation.intervals import geometric_mean
from validation.paper import SectionWithAppendix
from validation.problems import NetworkSpec

__all__ = ["EXPERIMENT"]

Row = dict[str, Any]
FloatArray = NDArray[np.float64]

# of sums over cells and means of bells
_ROUNDING = 1e-9
# the steps from local complexity to the bound of theorem 5
_STEPS = ("goodness", "density", "rank")


@dataclass(frozen=True)
class _Case:
    spec: NetworkSpec
    sigma: float
    eps: float
    n_pairs: int


def run(config: dict[str, Any], folder: Folder, pool: Pool) -> None:
    """Every network under every noise: each draw and its mirror image, all terms exact."""
    specs = [
        NetworkSpec(family, inputs, width, depth, 1.0, at)
        for inputs, width, depth in config["shapes"]
        for family in config["families"]
        for at in range(config["networks"])
    ]
    cases = [
        _Case(spec, sigma, config["eps"], config["n_pairs"]) for spec in specs for sigma in config["sigmas"]
    ]
    folder.write_csv("draws", [row for rows in pool.map(_draws, cases, "tightness") for row in rows])


def _draws(case: _Case) -> list[Row]:
    """A row for each draw of the biases; those of one pair have opposite noises."""
    network, domain = case.spec.build(), case.spec.domain()
    density = UniformDensity(domain)
    rng = case_rng("tightness", case.spec.name, case.sigma)
    c_bias = 1.0 / (math.sqrt(2.0 * math.pi) * case.sigma)
    widths = np.array(network.widths, dtype=np.float64)
    rows = []
    for pair in range(case.n_pairs):
        noise = case.sigma * rng.standard_normal(network.n_units)
        for sign in (1.0, -1.0):
            cells = enumerate_cells(with_bias_noise(network, sign * noise), domain, workers=1)
            sums = sum_over_cells(cells, density, eps=case.eps)
            squares = sums.c_bound**2 * sums.local_rank + case.eps**2 * widths
            rows.append(
                {
                    "network": case.spec.name,
                    "family": case.spec.family,
                    "dimension": case.spec.dimension,
                    "sigma": case.sigma,
                    "pair": pair,
                    "cells": cells.n_cells,
                    "lc": locus_volume(cells, density).total,
                    "activation": locus_volume(cells, density, "activation").total,
                    "conditioned": conditioned_activation_locus(cells, case.sigma, sign * noise),
                    "gradients": c_bias * sums.gradient_sum,
                    "ranks": c_bias * float(np.sqrt(widths * squares).sum()),
                }
            )
    return rows


@dataclass(frozen=True)
class _Found:
    """What the draws of one network under one noise say."""

    dimension: int
    sigma: float
    factors: dict[str, float]
    gains: dict[str, float]
    least_slack: float


def _found(rows: list[Row]) -> _Found:
    lc, activation, conditioned, gradients, ranks = (
        np.array([row[name] for row in rows])
        for name in ("lc", "activation", "conditioned", "gradients", "ranks")
    )
    sharp = conditioned - (activation - lc)
    means = [float(values.mean()) for values in (sharp, conditioned, gradients, ranks)]
    factors = {name: means[k + 1] / means[k] for k, name in enumerate(_STEPS)}
    return _Found(
        rows[0]["dimension"],
        rows[0]["sigma"],
        factors,
        {
            "pairs of opposite noise": _gain(lc, lc, paired=True),
            "own noise averaged": _gain(lc, sharp, paired=False),
            "both": _gain(lc, sharp, paired=True),
        },
        float(((gradients - sharp) / gradients).min()),
    )


def _gain(plain: FloatArray, other: FloatArray, paired: bool) -> float:
    """Return how many plain draws are worth a draw of the other kind; draws of a pair are neighbours."""
    variance = float(other.reshape(-1, 2).mean(axis=1).var(ddof=1)) * 2.0 if paired else other.var(ddof=1)
    return float(plain.var(ddof=1) / max(variance, 1e-300))


def report(config: dict[str, Any], folder: Folder) -> SectionWithAppendix:
    """The section on tightness."""
    groups: dict[tuple[str, float], list[Row]] = {}
    for row in folder.read_csv("draws"):
        groups.setdefault((row["network"], row["sigma"]), []).append(row)
    found = [_found(rows) for rows in groups.values()]
    least = min(one.least_slack for one in found)
    sigmas = sorted({one.sigma for one in found})
    gains = {
        sigma: geometric_mean([one.gains["both"] for one in found if one.sigma == sigma and _varies(one)])
        for sigma in sigmas
    }
    networks = len({network for network, _ in groups})
    return SectionWithAppendix(
        question=prose(
            """How much larger than local complexity are the upper bounds of corollary 3 and theorem 5, at
            which step is it lost, and how many draws does an exact value take?"""
        ),
        method=prose(
            f"""{networks} random networks of {", ".join(config["families"])} initialisation, in [-1, 1]^d
            under the uniform density, d = {_span(found)}; {config["n_pairs"]} pairs of draws of opposite
            noises, each enumerated. The mean over a unit's own noise, all others as drawn, is exact (the
            integral of ‖grad z_i‖ rho(z_i) over each cell, by B-splines); what is of the activation locus and
            not of the nonlinear one is taken off as drawn. Since rho <= C_bias the bounds then hold for every
            draw, and their slack has no sampling error. The steps are from LC to the activation locus
            (goodness), to C_bias E sum_i ‖grad z_i‖ (the density of the noise at its largest; corollary 3),
            and to theorem 5 (ranks above eps = {config["eps"]:g}). A draw is worth as many plain ones as its
            variance is smaller."""
        ),
        table="",
        appendix=_tables(found),
        finding=_finding(found, sigmas),
        limits=prose(
            f"""Random networks under the uniform density, {len(config["families"]) * config["networks"]} for
            each dimension. A ratio of variances from {2 * config["n_pairs"]} draws is itself known to some
            40 % for a network; the intervals are those over networks."""
        ),
        checks=(
            Check(
                "corollary 3's upper bound holds for every conditioned draw",
                least > -_ROUNDING,
                f"smallest relative slack {least:.2g} of {sum(map(len, groups.values())):,} draws",
            ),
            Check(
                "the activation locus of every draw is at least the nonlinear one",
                all(
                    row["activation"] >= row["lc"] * (1.0 - _ROUNDING)
                    for rows in groups.values()
                    for row in rows
                ),
                f"{sum(map(len, groups.values())):,} draws",
            ),
        ),
        headline=prose(
            f"""With units' own noise averaged exactly, corollary 3's upper bound holds for each of
            {sum(map(len, groups.values())):,} draws, with a relative slack of at least {least:.2g}; in
            pairs of opposite noises such a draw is worth
            {" and ".join(f"{_interval(gain)} plain ones at sigma {s:g}" for s, gain in gains.items())}."""
        ),
    )


def _varies(one: _Found) -> bool:
    """Whether a plain draw has a spread at all: the number of breakpoints on a line may not."""
    return all(0.0 < gain < 1e6 for gain in one.gains.values())


def _span(found: list[_Found]) -> str:
    return f"{min(one.dimension for one in found)} to {max(one.dimension for one in found)}"


def _told(values: list[float]) -> str:
    if not values:
        return "-"
    return _interval(geometric_mean(values))


def _tables(found: list[_Found]) -> str:
    keys = sorted({(one.dimension, one.sigma) for one in found})
    own = {key: [one for one in found if (one.dimension, one.sigma) == key] for key in keys}
    losses = [
        [
            f"d = {d}, sigma {sigma:g}",
            str(len(own[d, sigma])),
            *[_told([one.factors[step] for one in own[d, sigma]]) for step in _STEPS],
            _told([one.factors["goodness"] * one.factors["density"] for one in own[d, sigma]]),
            _told([math.prod(one.factors.values()) for one in own[d, sigma]]),
        ]
        for d, sigma in keys
    ]
    names = list(found[0].gains)
    gains = [
        [
            f"d = {d}, sigma {sigma:g}",
            *[_told([one.gains[name] for one in own[d, sigma] if _varies(one)]) for name in names],
        ]
        for d, sigma in keys
    ]
    header = ["factor lost by", "networks", "goodness", "density at its largest", "ranks for gradients"]
    header += ["corollary 3 over LC", "theorem 5 over LC"]
    first = markdown_table(header, losses)
    return f"{first}\n\n{markdown_table(['a draw is worth so many plain ones', *names], gains)}"


def _interval(of: tuple[float, float, float]) -> str:
    middle, low, high = of
    return f"{middle:.3g} ({low:.3g} to {high:.3g})" if math.isfinite(high) else f"{middle:.3g}"


def _finding(found: list[_Found], sigmas: list[float]) -> str:
    sentences = []
    for sigma in sigmas:
        own = [one for one in found if one.sigma == sigma]
        by_step = {step: geometric_mean([one.factors[step] for one in own]) for step in _STEPS}
        worst = max(by_step, key=lambda step: by_step[step][0])
        steps = ", ".join(f"{step} {_interval(of)}" for step, of in by_step.items())
        sentences.append(f"At sigma {sigma:g} the steps lose factors of {steps}; most by {worst}.")
    return " ".join(sentences)


EXPERIMENT = Experiment("tightness", "Tightness of the upper bounds", run, report)
