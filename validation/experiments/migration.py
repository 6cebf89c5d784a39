"""Where the regions are: under the data, in a hole of it, near the decision boundary; feature dimension."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from regions import (
    Box,
    GaussianDensity,
    GaussianMixtureDensity,
    Network,
    UniformBallDensity,
    UniformDensity,
    decision_boundary,
    enumerate_cells,
    from_torch,
    local_complexity,
    locus_volume,
)
from validation.experiments.paired_effects import (
    Effect,
    difference_effect,
    draw_effects,
    effect_table,
    judged,
    ratio_effect,
    slope_of_each,
    told_effect,
)
from validation.framework import (
    Check,
    Experiment,
    Folder,
    Pool,
    case_rng,
    markdown_table,
    mean_and_spread,
    prose,
)
from validation.network_measures import accuracy, jacobian_means
from validation.paper import SectionWithAppendix
from validation.training_data import make_data

__all__ = ["EXPERIMENT", "distances_from_segments"]

Row = dict[str, Any]
FloatArray = NDArray[np.float64]

_LIMIT = 4.0
_EPS = 0.01
_BATCH = 64
_HOLE = 0.25
# points in a row of the grid that area is measured by
_GRID = 60
_CUBATURE = 1e-6


@dataclass(frozen=True)
class _Features:
    dimension: int
    seed: int
    config: dict[str, Any]


def run(config: dict[str, Any], folder: Folder, pool: Pool) -> None:
    """Both parts, each a table."""
    trained = [one for part in pool.map(_train, [config], "training in the plane") for one in part]
    places = [(config, *one) for one in trained]
    folder.write_csv("places", pool.map(_place, places, "where the regions are"))
    features = [
        _Features(dimension, seed, config)
        for dimension in config["dimensions"]
        for seed in range(config["feature_seeds"])
    ]
    folder.write_csv("features", pool.map(_feature, features, "feature dimension"))


def _train(config: dict[str, Any]) -> list[tuple[int, int, Network]]:
    from validation.training_runs import TrainingSpec, log_spaced, train

    seeds = tuple(range(config["seeds"]))
    spec = TrainingSpec(
        "plane", tuple(config["hidden"]), seeds, config["steps"], learning_rate=config["learning_rate"]
    )
    moments = train(spec, log_spaced(config["steps"], config["records"]))
    return [(seed, moment.step, from_torch(moment.models[seed])) for moment in moments for seed in seeds]


def distances_from_segments(points: FloatArray, segments: FloatArray) -> FloatArray:
    """Return the distance of each point `(N, 2)` from the nearest of segments `(m, 2, 2)`.

    Examples
    --------
    >>> segments = np.array([[[0.0, 0.0], [1.0, 0.0]]])
    >>> distances_from_segments(np.array([[0.5, 2.0], [4.0, 4.0]]), segments).tolist()
    [2.0, 5.0]
    """
    nearest = np.full(len(points), np.inf)
    for first, second in segments:
        along = second - first
        share = np.clip((points - first) @ along / (along @ along), 0.0, 1.0)
        nearest = np.minimum(nearest, np.linalg.norm(points - first - share[:, None] * along, axis=1))
    return nearest


def _densities(seed: int, box: Box) -> dict[str, Any]:
    """That of the data, the uniform one on the square, and the uniform one in the hole amid the data."""
    data = make_data("plane", seed)
    assert data.centers is not None
    equal = np.ones(len(data.centers))
    return {
        "data": GaussianMixtureDensity(equal, data.centers, data.spread**2, rtol=_CUBATURE),
        "uniform": UniformDensity(box),
        "hole": UniformBallDensity(np.zeros(2), _HOLE),
    }


def _place(item: tuple[dict[str, Any], int, int, Network]) -> Row:
    config, seed, step, network = item
    data, box = make_data("plane", seed), Box([-1.0, -1.0], [1.0, 1.0])
    cells = enumerate_cells(network, box, workers=1)
    row: Row = {
        "seed": seed,
        "step": step,
        "test_accuracy": accuracy(network, data.test_x, data.test_y),
        "cells": cells.n_cells,
    }
    for name, density in _densities(seed, box).items():
        estimate = local_complexity(
            network, density, config["sigma"], config["samples"], case_rng("migration", seed, step, name),
            domain=box,
        )  # fmt: skip
        row |= {
            f"locus_{name}": locus_volume(cells, density).total,
            f"lc_{name}": estimate.mean,
            f"lc_{name}_stderr": estimate.stderr,
        }
    # with hardly any noise the estimate is that of the locus: the exact value beside it
    rng = case_rng("migration, locus", seed, step)
    near = local_complexity(
        network, _densities(seed, box)["data"], config["near_sigma"], config["samples"], rng, domain=box
    )
    row |= {"near_data": near.mean, "near_data_stderr": near.stderr}
    return row | _by_boundary(network, box, cells)


def _by_boundary(network: Network, box: Box, cells: Any) -> Row:
    """How much more locus and cells there are near the decision boundary than elsewhere."""
    boundary = decision_boundary(network, box, workers=1)
    row: Row = {"boundary": boundary.total_volume}
    names = ("locus_near", "cells_near", "distance_ratio")
    if not boundary.n_pieces:
        return row | dict.fromkeys(names)
    segments = boundary.points[np.array(boundary.pieces)]
    side = (np.arange(_GRID) + 0.5) * 2.0 / _GRID - 1.0
    grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    area = distances_from_segments(grid, segments)
    # a quarter of the area is near
    near = float(np.quantile(area, 0.25))
    ends, facet = cells.facet_simplices()
    shares = (np.arange(4) + 0.5) / 4
    inner = ends[cells.facets.interior[facet] & (cells.facets.jump[facet] > 0.0)]
    parts = inner[:, :1] + shares[None, :, None] * (inner[:, 1:] - inner[:, :1])
    weights = np.repeat(np.linalg.norm(inner[:, 1] - inner[:, 0], axis=1), 4)
    away = distances_from_segments(parts.reshape(-1, 2), segments)
    of_cells = distances_from_segments(cells.centroids, segments)
    return row | {
        "locus_near": float(weights[away <= near].sum() / weights.sum()) / 0.25,
        "cells_near": float(np.mean(of_cells <= near)) / 0.25,
        "distance_ratio": float(np.average(away, weights=weights) / area.mean()),
    }


def _feature(item: _Features) -> Row:
    """A network fitted to a function of some directions of its inputs."""
    import torch

    torch.set_num_threads(1)
    config, inputs = item.config, item.config["inputs"]
    rng = case_rng("features", item.dimension, item.seed)
    directions = np.linalg.qr(rng.standard_normal((inputs, item.dimension)))[0]
    torch.manual_seed(int(rng.integers(2**31)))
    x = rng.standard_normal((config["points"], inputs))
    features = x @ directions
    # of equal size whatever the number of features
    y = np.sin(2.0 * features).sum(axis=1, keepdims=True) / math.sqrt(item.dimension)
    width = config["feature_width"]
    model = torch.nn.Sequential(
        torch.nn.Linear(inputs, width), torch.nn.ReLU(),
        torch.nn.Linear(width, width), torch.nn.ReLU(), torch.nn.Linear(width, 1),
    )  # fmt: skip
    start = from_torch(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=config["decay"])
    points, targets = (torch.tensor(part, dtype=torch.float32) for part in (x, y))
    for pick in torch.tensor(rng.integers(len(x), size=(config["feature_steps"], _BATCH))):
        optimizer.zero_grad(set_to_none=True)
        (model(points[pick]) - targets[pick]).square().mean().backward()
        optimizer.step()
    with torch.no_grad():
        loss = float((model(points) - targets).square().mean() / targets.square().mean())
    row: Row = {"dimension": item.dimension, "seed": item.seed, "loss": loss}
    density = GaussianDensity(np.zeros(inputs), 1.0)
    for name, network in (("start", start), ("end", from_torch(model))):
        stream = case_rng("features", item.dimension, item.seed, name)
        lc = local_complexity(network, density, config["sigma"], config["samples"], stream)
        means = jacobian_means(network, x[: config["jacobians"]], _EPS)
        relative = jacobian_means(network, x[: config["jacobians"]], 0.1)
        row |= {
            f"lc_{name}": lc.mean,
            f"lc_{name}_stderr": lc.stderr,
            f"rank_{name}": float(np.mean(means.ranks)),
            f"relative_rank_{name}": float(np.mean(relative.relative_ranks)),
        }
    return row


def report(config: dict[str, Any], folder: Folder) -> SectionWithAppendix:
    """The section on where the regions are."""
    places, features = folder.read_csv("places"), folder.read_csv("features")
    effects = judged(_effects(places, features))
    _draw(folder, places, features)
    draw_effects(folder, effects)
    gap = math.fsum(row["near_data"] - row["locus_data"] for row in places)
    z = gap / math.sqrt(math.fsum(row["near_data_stderr"] ** 2 for row in places))
    return SectionWithAppendix(
        question=prose(
            """Is LC under the data that under a uniform density, and what of a hole in the data? Do regions
            migrate to the decision boundary while a network is trained, as Humayun, Balestriero and Baraniuk
            report? And is LC lower where the function has fewer features?"""
        ),
        method=prose(
            f"""(1) Eight clusters of four classes in the plane, around a hole of radius {_HOLE:g}; ReLU
            layers {"-".join(map(str, config["hidden"]))}, AdamW at {config["learning_rate"]:g}, no weight
            decay, {config["steps"]:,} steps, {config["seeds"]} seeds. The exact locus on [-1, 1]^2 is
            weighed by the clusters' own mixture, the uniform density, and the uniform density in the hole;
            LC at sigma {config["sigma"]:g} likewise. The decision boundary is found exactly, and near it is
            the nearest quarter of the square. Four times the share of the locus there, and of the cells (by
            centroid), is 1 where they do not care. (2) Functions of k orthonormal directions of N(0, I) in
            R^{config["inputs"]}, the sum of sin(2 x) over the directions at equal variance; two layers of
            {config["feature_width"]} units, AdamW with weight decay {config["decay"]:g},
            {config["feature_steps"]:,} steps, {config["feature_seeds"]} seeds for each of k =
            {", ".join(map(str, config["dimensions"]))}. Ranks have eps = {_EPS:g}, relative ranks a tenth of
            the largest singular value. Correlations are those of single seeds."""
        ),
        table="",
        appendix="\n\n".join(
            [
                _means_by("step", "step", _PLACES, places),
                _means_by("dimension", "features k", _FEATURES, features),
                effect_table("ratio, slope or correlation", effects),
            ]
        ),
        figures=(
            ("forest", "Ratios of densities and shares in the plane (left); with k features (right)"),
            (
                "places",
                "Left: exact locus per area under three densities over training; middle: locus and cells "
                "near the decision boundary over what area gives; right: LC and relative rank of "
                "trained networks against the number of features; means and single seeds",
            ),
        ),
        finding=_finding(effects),
        limits=prose(
            """One problem in the plane and one family of functions, whose difficulty goes with the number of
            features (the loss that is reached is in the appendix). Nearness is measured in the input
            space."""
        ),
        checks=(
            Check(
                "co-area estimates at small noise agree with the exact locus under the data: |z| < 4",
                abs(z) < _LIMIT,
                f"{len(places)} networks, z of their sum {z:+.2f}",
            ),
        ),
        headline=_headline(effects),
    )


def _runs(rows: list[Row]) -> dict[int, list[Row]]:
    seeds = sorted({row["seed"] for row in rows})
    return {s: sorted((r for r in rows if r["seed"] == s), key=lambda row: row["step"]) for s in seeds}


def _effects(places: list[Row], features: list[Row]) -> list[Effect]:
    runs = list(_runs(places).values())
    effects = []
    for name, title in (("locus", "exact locus"), ("lc", "LC")):
        for other in ("uniform", "hole"):
            for place, when in ((0, "start"), (-1, "end")):
                ratios = [run[place][f"{name}_data"] / run[place][f"{name}_{other}"] for run in runs]
                effects.append(ratio_effect(f"{title}, data over {other}, {when}", ratios))
    near = {"locus_near": "locus near the boundary", "cells_near": "cells near the boundary"}
    for name, title in near.items():
        effects.append(ratio_effect(f"{title} over what area gives, end", [run[-1][name] for run in runs]))
        fitted = [next(row for row in run if row["test_accuracy"] >= 0.9) if any(
            row["test_accuracy"] >= 0.9 for row in run) else run[-1] for run in runs]  # fmt: skip
        ratios = [run[-1][name] / first[name] for run, first in zip(runs, fitted, strict=True)]
        effects.append(ratio_effect(f"{title}, end over first record of 90 % accuracy", ratios))
    dimensions = sorted({row["dimension"] for row in features})
    own = {(row["dimension"], row["seed"]): row for row in features}
    seeds = sorted({row["seed"] for row in features})
    for name, title in (("lc", "LC"), ("rank", "rank"), ("relative_rank", "relative rank")):
        values = [[own[k, s][f"{name}_end"] for k in dimensions] for s in seeds]
        slopes = slope_of_each(np.log(dimensions), np.log(values))
        effects.append(
            difference_effect(f"exponent of the trained {title} in the number of features", slopes)
        )
    for name, title in (("rank", "rank"), ("relative_rank", "relative rank")):
        found = [
            float(
                spearmanr(
                    *[[own[k, s][f"{part}_end"] for k in dimensions] for part in ("lc", name)]
                ).statistic
            )
            for s in seeds
        ]
        effects.append(difference_effect(f"correlation of trained LC and {title}", found))
    return effects


_PLACES = {
    "test_accuracy": "test accuracy",
    "cells": "cells",
    "locus_data": "locus, data",
    "locus_uniform": "uniform",
    "locus_hole": "hole",
    "lc_data": "LC, data",
    "lc_uniform": "uniform ",
    "lc_hole": "hole ",
    "locus_near": "locus near the boundary",
    "cells_near": "cells near",
    "distance_ratio": "distance of the locus / of area",
}
_FEATURES = {
    "loss": "loss / variance",
    "lc_start": "LC, start",
    "lc_end": "LC, end",
    "rank_start": "rank, start",
    "rank_end": "rank, end",
    "relative_rank_start": "relative rank, start",
    "relative_rank_end": "relative rank, end",
}


def _means_by(key: str, title: str, columns: dict[str, str], rows: list[Row]) -> str:
    """A table of the means of some columns, with a row for each value of another one."""
    body = []
    for value in sorted({row[key] for row in rows}):
        own = [row for row in rows if row[key] == value]
        body.append([f"{value:,}", *[mean_and_spread(row[name] for row in own) for name in columns]])
    return markdown_table([title, *columns.values()], body)


def _finding(effects: list[Effect]) -> str:
    named = {one.name: one for one in effects}

    def told(name: str) -> str:
        return told_effect(named[name])

    area = "over what area gives, end"
    since = "end over first record of 90 % accuracy"
    moved = [named[f"{what} near the boundary {when}"] for what in ("locus", "cells") for when in (area,)]
    moved += [named[f"{what} near the boundary, {since}"] for what in ("locus", "cells")]
    shown = [one for one in moved if one.verdict == "higher"]
    verdict = "Migration to the boundary is seen" if shown else "No migration to the boundary is seen"
    return prose(
        f"""(1) At the start that ratio is {told("exact locus, data over hole, start")}. Under the data the
        locus ends at {told("exact locus, data over uniform, end")} and LC at
        {told("LC, data over uniform, end")} times that under the uniform density. {verdict}: the quarter of
        area next to the boundary ends with {told(f"locus near the boundary {area}")} times its share of the
        locus and {told(f"cells near the boundary {area}")} of the cells, which is
        {told(f"locus near the boundary, {since}")} and {told(f"cells near the boundary, {since}")} times that
        at 90 % accuracy. (2) The relative rank goes like k to the power
        {told("exponent of the trained relative rank in the number of features")}, the rank above a fixed
        threshold like {told("exponent of the trained rank in the number of features")}. Over k the rank
        correlation of LC with the relative rank is
        {_same(named["correlation of trained LC and relative rank"])}, with the other
        {told("correlation of trained LC and rank")}."""
    )


def _same(effect: Effect) -> str:
    """The numbers of an effect, which may be the same for every network."""
    if effect.low == effect.high:
        return f"{effect.middle:.3g} for each of {effect.count} seeds"
    return told_effect(effect)


def _headline(effects: list[Effect]) -> str:
    named = {one.name: one for one in effects}
    hole = named["exact locus, data over hole, end"]
    lc = named["exponent of the trained LC in the number of features"]
    return prose(
        f"""The exact locus under the data ends at {told_effect(hole)} times that in the hole; with k features
        trained LC goes like k to the power {told_effect(lc)}."""
    )


def _draw(folder: Folder, places: list[Row], features: list[Row]) -> None:
    from matplotlib import pyplot as plt

    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(11.0, 3.4), layout="constrained")
    panels = (
        (left, {"locus_data": "data", "locus_uniform": "uniform", "locus_hole": "hole"}),
        (middle, {"locus_near": "locus", "cells_near": "cells"}),
    )
    runs = _runs(places)
    for axis, names in panels:
        for color, (name, title) in enumerate(names.items()):
            lines = [[math.nan if row[name] is None else row[name] for row in run] for run in runs.values()]
            steps = [row["step"] for row in next(iter(runs.values()))]
            for line in lines:
                axis.plot(steps, line, color=f"C{color}", lw=0.5, alpha=0.5)
            means = [
                np.mean([v for v in own if not math.isnan(v)] or [math.nan])
                for own in zip(*lines, strict=True)
            ]
            axis.plot(steps, means, "o-", color=f"C{color}", ms=3, label=title)
        axis.set_xscale("symlog", linthresh=1.0)
        axis.set_xlabel("step")
    left.set_ylabel("locus per area")
    middle.axhline(1.0, color="k", ls="--", lw=0.8)
    middle.set_ylabel("near the boundary over what area gives")
    dimensions = sorted({row["dimension"] for row in features})
    for color, (name, title) in enumerate((("lc_end", "LC"), ("relative_rank_end", "relative rank"))):
        values = [[row[name] for row in features if row["dimension"] == k] for k in dimensions]
        for k, own in zip(dimensions, values, strict=True):
            right.plot([k] * len(own), own, "o", color=f"C{color}", ms=2, alpha=0.5)
        right.plot(dimensions, [np.mean(own) for own in values], "-", color=f"C{color}", label=title)
    right.set_xscale("log")
    right.set_yscale("log")
    right.set_xlabel("features k")
    for axis in (left, middle, right):
        axis.grid(alpha=0.3)
        axis.legend(fontsize=7)
    folder.save_figure("places", figure)


EXPERIMENT = Experiment(
    "migration", "Holes in the data, migration of regions, number of features", run, report, needs=("torch",)
)
