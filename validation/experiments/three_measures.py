"""Humayun's local complexity, Patel and Montufar's, and the exact locus over the same training run."""

from __future__ import annotations

import math
from itertools import combinations
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from regions import (
    CrossPolytope,
    Estimate,
    Network,
    UniformDensity,
    enumerate_cells,
    from_torch,
    local_complexity,
    locus_volume,
)
from regions.validation.local_complexity import z_score
from validation.experiments.paired_effects import (
    Effect,
    difference_effect,
    draw_effects,
    effect_table,
    judged,
    ratio_effect,
    told_effect,
)
from validation.framework import Check, Experiment, Folder, Pool, case_rng, markdown_table, prose
from validation.network_measures import accuracy, density_of, plane_through_classes
from validation.paper import SectionWithAppendix
from validation.training_data import make_data

__all__ = ["EXPERIMENT", "largest_cosine"]

Row = dict[str, Any]

_DATA = "digits"
_LIMIT = 4.0
# two levels are one if the whole interval of their ratio is so near to 1
_NEAR = 0.05
_DRAWS_OF_DIRECTIONS = 100_000


def run(config: dict[str, Any], folder: Folder, pool: Pool) -> None:
    """Train all seeds at once, then measure every network."""
    networks = pool.map(_train, [config], "training for three measures")[0]
    items = [(config, *one) for one in networks]
    folder.write_csv("records", pool.map(_measure, items, "three measures"))


def _train(config: dict[str, Any]) -> list[tuple[int, int, Network]]:
    from validation.training_runs import TrainingSpec, log_spaced, train

    seeds = tuple(range(config["seeds"]))
    spec = TrainingSpec(_DATA, tuple(config["hidden"]), seeds, config["steps"], weight_decay=config["decay"])
    moments = train(spec, log_spaced(config["steps"], config["records"]))
    return [(seed, moment.step, from_torch(moment.models[seed])) for moment in moments for seed in seeds]


def largest_cosine(dimension: int, directions: int) -> float:
    """Return the mean of max_p |n . v_p| over orthonormal directions v_1, ..., v_P, for a unit vector n.

    A hyperplane at the distance h from x cuts the neighbourhood with the vertices x +- r v_p if h is below r
    times this, so the mean number of hyperplanes cut is 2 r times the mean of it times the density of the
    activation locus, to first order in r.

    Examples
    --------
    >>> round(largest_cosine(2, 2), 3), largest_cosine(1, 1)  # 2 sqrt(2) / pi in the plane
    (0.9, 1.0)
    """
    if dimension == directions == 2:
        return 2.0 * math.sqrt(2.0) / math.pi
    draws = case_rng("largest cosine", dimension).standard_normal((_DRAWS_OF_DIRECTIONS, dimension))
    draws /= np.linalg.norm(draws, axis=1, keepdims=True)
    return float(np.abs(draws[:, :directions]).max(axis=1).mean())


def _measure(item: tuple[dict[str, Any], int, int, Network]) -> Row:
    config, seed, step, network = item
    data = make_data(_DATA, 0)
    density, names = density_of(data, config["bandwidth"]), ("three measures", seed, step)
    row: Row = {
        "seed": seed,
        "step": step,
        "train_accuracy": accuracy(network, data.train_x, data.train_y),
        "test_accuracy": accuracy(network, data.test_x, data.test_y),
    }
    lc = local_complexity(network, density, config["sigma"], config["samples"], case_rng(*names))
    row |= {"lc": lc.mean, "lc_stderr": lc.stderr}
    scale = 2.0 * largest_cosine(network.input_dim, config["directions"])
    for radius in config["radii"]:
        cross = CrossPolytope(radius, config["directions"])
        found = cross.estimate(network, density, case_rng(*names, radius), config["points"])
        row |= {
            f"cut_{radius:g}": found.mean,
            f"cut_{radius:g}_stderr": found.stderr,
            f"density_{radius:g}": found.mean / (scale * radius),
        }
    return row | _on_planes(config, network, seed, names)


def _on_planes(config: dict[str, Any], network: Network, seed: int, names: tuple[Any, ...]) -> Row:
    """The exact loci, mean over planes; on the first one small neighbourhoods beside the exact value."""
    data = make_data(_DATA, 0)
    found: dict[str, list[float]] = {"locus": [], "activation": [], "cells": []}
    for k in range(config["planes"]):
        plane = plane_through_classes(data, config["planes"] * seed + k)
        density, cells = UniformDensity(plane), enumerate_cells(network, plane, workers=1)
        found["locus"].append(locus_volume(cells, density).total)
        found["activation"].append(locus_volume(cells, density, "activation").total)
        found["cells"].append(cells.n_cells)
        if k == 0:
            radius, rng = config["plane_radius"], case_rng(*names, "plane")
            cut = CrossPolytope(radius).estimate(network, density, rng, config["plane_points"], domain=plane)
            scale = 2.0 * radius * largest_cosine(2, 2)
            small = Estimate(cut.mean / scale, cut.stderr / scale, cut.n)
            row = {"plane_exact": found["activation"][0], "plane_cut": small.mean}
            row |= {"plane_cut_stderr": small.stderr}
            row["plane_z"] = z_score(small, Estimate(found["activation"][0], 0.0, 1))
    return {name: float(np.mean(values)) for name, values in found.items()} | row


def report(config: dict[str, Any], folder: Folder) -> SectionWithAppendix:
    """The section on the three measures."""
    rows = folder.read_csv("records")
    measures = _measures(config)
    runs = _runs(rows)
    effects = judged(_effects(measures, runs))
    _draw(folder, measures, runs)
    draw_effects(folder, effects)
    gaps = [row["plane_cut"] - row["plane_exact"] for row in rows]
    z = math.fsum(gaps) / math.sqrt(math.fsum(row["plane_cut_stderr"] ** 2 for row in rows))
    largest = max(abs(row["plane_z"]) for row in rows)
    width = "-".join(map(str, config["hidden"]))
    return SectionWithAppendix(
        question=prose(
            """Do LC, Humayun's count of the units whose zero set cuts a cross-polytope around a point, and
            the exact locus say the same of one training run?"""
        ),
        method=prose(
            f"""Digits, ReLU layers {width}, AdamW at 1e-3, weight decay {config["decay"]:g},
            {config["steps"]:,} steps, {config["seeds"]} seeds, looked at {len({r["step"] for r in rows})}
            times. On the data (kernel of standard deviation {config["bandwidth"]:g}): LC at sigma
            {config["sigma"]:g}, and the mean number of units that change sign among the
            {2 * config["directions"]} vertices x +- r v of random orthonormal directions v, at
            {config["points"]:,} points. On {config["planes"]} planes through images: the exact locus over the
            area. A zero set of unit normal n at the distance h cuts the neighbourhood where h is below
            r max_v |n . v|, so the count over 2 r E max_v |n . v| tends to the density of the activation
            locus as r goes to 0: in these units all are one quantity, and what remains is smoothing, by
            noise or by the radius. That limit is tested on the first plane, at r =
            {config["plane_radius"]:g} and {config["plane_points"]:,} points. Correlations are Spearman's
            over the records of a run."""
        ),
        table="",
        appendix="\n\n".join([_table(measures, runs), effect_table("over a run", effects)]),
        figures=(
            ("forest", "Changes over the run and levels (left), correlations over a run (right)"),
            (
                "run",
                "One training run (seed 0) and, thin, the other seeds: LC, Humayun's count "
                "in units of locus density, the exact locus on planes; below, cells on a plane and accuracy",
            ),
        ),
        finding=_finding(effects, z, rows),
        limits=prose(
            """One small architecture; the published dynamics are of larger networks and longer runs. Kernel
            and planes are two densities, so levels on planes and elsewhere need not agree. Humayun's count
            has units that influence no output, and at large radius misses zero sets that bend into the
            neighbourhood and out again."""
        ),
        checks=(
            Check(
                "cross-polytopes of small radius count the exact activation locus: |z| of the sum < 4",
                abs(z) < _LIMIT,
                f"{len(rows)} networks, z of their sum {z:+.2f}, largest of one {largest:.2f}",
            ),
        ),
        headline=_headline(effects),
    )


def _measures(config: dict[str, Any]) -> dict[str, str]:
    found = {"lc": f"LC, sigma {config['sigma']:g}"}
    found |= {f"density_{r:g}": f"Humayun, r = {r:g}" for r in config["radii"]}
    return found | {"locus": "exact locus on planes"}


def _runs(rows: list[Row]) -> dict[int, list[Row]]:
    seeds = sorted({row["seed"] for row in rows})
    return {
        seed: sorted((r for r in rows if r["seed"] == seed), key=lambda row: row["step"]) for seed in seeds
    }


def _middle(run: list[Row]) -> Row:
    """The record in the middle, in logarithms of steps."""
    return run[(len(run) + 1) // 2]


def _effects(measures: dict[str, str], runs: dict[int, list[Row]]) -> list[Effect]:
    effects = []
    for name, title in measures.items():
        last = [run[-1][name] / run[0][name] for run in runs.values()]
        early = [_middle(run)[name] / run[0][name] for run in runs.values()]
        late = [run[-1][name] / _middle(run)[name] for run in runs.values()]
        step = _middle(next(iter(runs.values())))["step"]
        effects += [ratio_effect(f"{title}: end over start", last)]
        effects += [ratio_effect(f"{title}: step {step:,} over start", early)]
        effects += [ratio_effect(f"{title}: end over step {step:,}", late)]
        if name.startswith("density"):
            # a value for each run: its records are not independent
            levels = [
                math.exp(np.mean([math.log(row[name] / row["lc"]) for row in run])) for run in runs.values()
            ]
            effects += [ratio_effect(f"{title}: over LC, mean over a run", levels)]
    for first, second in combinations(measures, 2):
        found = [
            float(spearmanr([row[first] for row in run], [row[second] for row in run]).statistic)
            for run in runs.values()
        ]
        effects.append(difference_effect(f"correlation of {measures[first]} and {measures[second]}", found))
    return effects


def _table(measures: dict[str, str], runs: dict[int, list[Row]]) -> str:
    first = next(iter(runs.values()))
    places = sorted({0, *np.linspace(0, len(first) - 1, 6).round().astype(int).tolist()})
    header = ["mean over seeds", *[f"step {first[place]['step']:,}" for place in places]]
    titles = measures | {"cells": "cells on a plane", "test_accuracy": "test accuracy"}
    body = [
        [title, *[f"{np.mean([run[place][name] for run in runs.values()]):.3g}" for place in places]]
        for name, title in titles.items()
    ]
    return markdown_table(header, body)


def _finding(effects: list[Effect], z: float, rows: list[Row]) -> str:
    pairs = [one for one in effects if one.name.startswith("correlation")]
    falls = [one for one in effects if one.name.endswith("over start") and ": step" in one.name]
    rises = [one for one in effects if ": end over step" in one.name]
    still = [one for one in rises if one.verdict != "higher"]
    but = "".join(f" (not shown for the {_of(one)}, x {told_effect(one)})" for one in still)
    ends = [one for one in effects if one.name.endswith("end over start")]
    counts = [one.middle for one in ends[1:-1]]
    low = min(pairs, key=lambda one: one.middle)
    shown = sum(one.verdict == "higher" for one in pairs)
    return prose(
        f"""On planes the rescaled count is the exact activation locus: over {len(rows)} networks it differs
        by z = {z:+.2f} in the sum. {sum(one.verdict == "lower" for one in falls)} of {len(falls)} measures
        fall at first, and {sum(one.verdict == "higher" for one in rises)} rise afterwards{but}: the descent
        and ascent that Humayun, Balestriero and Baraniuk report. From start to end LC
        changes by x {told_effect(ends[0])}, the counts by x {min(counts):.3g} to {max(counts):.3g} and the
        exact locus on planes by x {told_effect(ends[-1])}. {shown} of {len(pairs)} pairs of measures
        correlate positively after the correction, least {low.name.removeprefix("correlation of ")},
        {low.numbers}."""
    )


def _of(one: Effect) -> str:
    return one.name.partition(":")[0]


def _one_quantity(effects: list[Effect]) -> str:
    levels = [one for one in effects if one.name.endswith("mean over a run")]
    near = all(one.low > 1.0 - _NEAR and one.high < 1.0 + _NEAR for one in levels)
    if near:
        return f"the two local complexities agree to {_NEAR:.0%}, as one quantity smoothed in two ways"
    return f"the two local complexities differ by more than {_NEAR:.0%} or are not known so well"


def _headline(effects: list[Effect]) -> str:
    levels = [one for one in effects if one.name.endswith("mean over a run")]
    pairs = [one.middle for one in effects if one.name.startswith("correlation")]
    told = ", ".join(f"{one.numbers} at {one.name.partition(':')[0].rpartition(', ')[2]}" for one in levels)
    return prose(
        f"""On digits {_one_quantity(effects)}: Humayun's count over
        2 r E max |n . v| is {told} times Patel and Montúfar's over training, and both correlate with the
        exact locus on planes (rank correlations of all pairs {min(pairs):.2f} to {max(pairs):.2f})."""
    )


def _draw(folder: Folder, measures: dict[str, str], runs: dict[int, list[Row]]) -> None:
    from matplotlib import pyplot as plt

    figure, (top, bottom) = plt.subplots(
        2, 1, figsize=(6.4, 6.0), sharex=True, height_ratios=[2, 1], layout="constrained"
    )
    twin = bottom.twinx()
    for seed, run in runs.items():
        steps = [row["step"] for row in run]
        style = {"lw": 1.8, "marker": "o", "ms": 3} if seed == 0 else {"lw": 0.5, "alpha": 0.5}
        for color, (name, title) in enumerate(measures.items()):
            top.plot(
                steps, [row[name] for row in run], color="k" if name == "locus" else f"C{color}",
                label=title if seed == 0 else None, **style,
            )  # fmt: skip
        bottom.plot(steps, [row["cells"] for row in run], color="C4", **style)
        twin.plot(steps, [row["test_accuracy"] for row in run], color="C5", **style)
    top.set_xscale("symlog", linthresh=1.0)
    top.set_yscale("log")
    top.set_ylabel("density of the locus")
    top.legend(fontsize=8)
    bottom.set_xlabel("step")
    bottom.set_ylabel("cells on a plane", color="C4")
    twin.set_ylabel("test accuracy", color="C5")
    for axis in (top, bottom):
        axis.grid(alpha=0.3)
    folder.save_figure("run", figure)


EXPERIMENT = Experiment(
    "three_measures", "Three local complexities over one training", run, report, needs=("torch",)
)
