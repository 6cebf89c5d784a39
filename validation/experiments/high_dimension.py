"""Locus integrals in 64 and 784 dimensions: lines against planes that are enumerated exactly."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from regions import (
    Box,
    Coarea,
    CroftonLines,
    Estimate,
    GaussianDensity,
    Network,
    Segment,
    Slice,
    UniformDensity,
    enumerate_cells,
    locus_volume,
)
from regions.validation.local_complexity import with_bias_noise, z_score
from validation.framework import Check, Experiment, Folder, Pool, Section, case_rng, markdown_table, prose
from validation.intervals import bootstrap_t, difference, ratio_of_variances, student
from validation.problems import NetworkSpec, training_images

__all__ = ["EXPERIMENT", "mean_projection"]

FloatArray = NDArray[np.float64]
Row = dict[str, Any]

_LIMIT = 4.0
_NINETY_FIVE = 1.959963984540054
_BOOTSTRAP = """\
 For planes in a cube the tails are heavy (kurtosis beside them; that of a normal variable is 3), so no
interval supposes a normal law of the draws: where single draws are at hand, the means have those of the
studentised bootstrap, which follow a lopsided tail, else Student's t over the means of independent batches.
Differences combine the two intervals side by side (Zou and Donner 2008). Variances, on which costs
depend, suffer most from heavy tails: their ratios have intervals from how the variances of independent
batches differ."""
# standard deviations of the Gaussian that are enumerated; beyond is less than rounding
_REACH = 8.5


@dataclass(frozen=True)
class _Task:
    spec: NetworkSpec
    setting: str
    method: str
    sigma: float
    draws: int
    spread: float
    chunk: int

    @property
    def problem(self) -> tuple[str, str, float]:
        """What is estimated, whichever the method."""
        return self.spec.name, self.setting, self.sigma


def mean_projection(dimension: int, k: int) -> float:
    """E |P n| for a unit vector n and P the projection onto a uniform k-plane.

    Examples
    --------
    >>> round(mean_projection(3, 1), 12), mean_projection(2, 2)
    (0.5, 1.0)
    """
    ratio = math.lgamma(0.5 * (k + 1)) - math.lgamma(0.5 * k)
    return math.exp(ratio + math.lgamma(0.5 * dimension) - math.lgamma(0.5 * (dimension + 1)))


def run(config: dict[str, Any], folder: Folder, pool: Pool) -> None:
    """All methods in parts; one row for each problem and method."""
    groups = [
        _Task(NetworkSpec(*network), setting, method, sigma, draws, config["spread"], 0)
        for at, network in enumerate(config["networks"])
        for setting, method, sigma, draws in _plan(config, at)
    ]
    n_chunks = config["chunks"]
    tasks = [
        _Task(one.spec, one.setting, one.method, one.sigma, one.draws // n_chunks, one.spread, chunk)
        for one in groups
        for chunk in range(n_chunks)
    ]
    parts = iter(pool.map(_draw_task, tasks, "high dimension"))
    rows: list[Row] = []
    batches: list[Row] = []
    for group in groups:
        own = [next(parts) for _ in range(n_chunks)]
        rows.append(_row(group, np.concatenate([part[0] for part in own]), own))
        batches += [_batch(group, at, part, group.draws // n_chunks) for at, part in enumerate(own)]
    folder.write_csv("estimates", rows)
    folder.write_csv("batches", batches)


def _batch(task: _Task, at: int, part: tuple[FloatArray, float, float], draws: int) -> Row:
    """What one of the independent batches says: mean and variance of its draws, and seconds."""
    values, seconds, _ = part
    whole = bool(values[0, 1])
    return {
        "network": task.spec.name,
        "setting": task.setting,
        "sigma": task.sigma,
        "method": task.method,
        "batch": at,
        "draws": draws,
        "mean": float(values[:, 0].mean()),
        "variance": float(values[0, 1] ** 2 * draws if whole else values[:, 0].var(ddof=1)),
        "seconds": seconds,
    }


def _plan(config: dict[str, Any], at: int) -> list[tuple[str, str, float, int]]:
    """Setting, method, sigma and draws; planes in a cube of many dimensions are left out, see the report."""
    sigma = config["sigma"]
    plan = [
        ("Gaussian", method, noise, config[draws])
        for noise in (0.0, sigma)
        for method, draws in (("lines", "lines"), ("planes", "planes"))
    ]
    plan.append(("Gaussian", "co-area", sigma, config["samples"][at]))
    if config["networks"][at][1] <= config["cube_planes_up_to"]:
        plan.append(("cube", "planes", 0.0, config["cube_planes"]))
        plan.append(("cube", "lines", 0.0, config["cube_lines"][at]))
    plan.append(("cube", "lines", sigma, config["cube_lines"][at]))
    plan.append(("cube", "co-area", sigma, config["samples"][at]))
    return plan


def _draw_task(task: _Task) -> tuple[FloatArray, float, float]:
    """Independent draws or, of an estimator that keeps them to itself, mean and stderr; seconds, cells."""
    network = task.spec.build()
    rng = case_rng("high dimension", *task.problem, task.method, task.chunk)
    start = time.process_time()
    if (task.setting, task.method) in (("cube", "lines"), ("cube", "co-area"), ("Gaussian", "co-area")):
        estimate = _whole_run(task, network, rng)
        draws, size = np.array([[estimate.mean, estimate.stderr]]), math.nan
    else:
        one = {"lines": _gaussian_line, "planes": _gaussian_plane}[task.method]
        one = _cube_plane if task.setting == "cube" else one
        found = [one(task, network, rng) for _ in range(task.draws)]
        draws, size = np.array([[value, 0.0] for value, _ in found]), float(np.mean([n for _, n in found]))
    return draws, time.process_time() - start, size


def _whole_run(task: _Task, network: Network, rng: np.random.Generator) -> Estimate:
    """One run of an estimator of the library in full dimension."""
    estimator = CroftonLines(task.sigma) if task.method == "lines" else Coarea(task.sigma)
    if task.setting == "cube":
        box = Box(np.zeros(network.input_dim), np.ones(network.input_dim))
        return estimator.estimate(network, UniformDensity(box), rng, task.draws, domain=box)
    density = GaussianDensity(_image(task), task.spread**2)
    return estimator.estimate(network, density, rng, task.draws)


def _image(task: _Task) -> FloatArray:
    """An image that the classifier was not trained on."""
    return np.asarray(training_images(task.spec.input_dim)[0][-1])


def _gaussian_plane(task: _Task, network: Network, rng: np.random.Generator) -> tuple[float, float]:
    """Exact locus of one random plane, weighted by the Gaussian within it."""
    centre, frame = _flat(task, network, rng, 2)
    plane = Slice.around(centre, (frame[:, 0], frame[:, 1]), _REACH * task.spread)
    cells = enumerate_cells(_noisy(task, network, rng), plane, workers=1)
    total = locus_volume(cells, GaussianDensity(np.zeros(2), task.spread**2)).total
    return total / mean_projection(network.input_dim, 2), cells.n_cells


def _gaussian_line(task: _Task, network: Network, rng: np.random.Generator) -> tuple[float, float]:
    """Crossings of one random line, by the line walk of the estimator and not by the enumeration."""
    centre, frame = _flat(task, network, rng, 1)
    step = _REACH * task.spread * frame[:, 0]
    segment = Segment(centre - step, centre + step)
    density = GaussianDensity(segment.to_intrinsic(centre[None])[0], task.spread**2)
    noisy = _noisy(task, network, rng)
    total = CroftonLines().estimate(noisy, density, rng, 2, domain=segment).mean
    return total / mean_projection(network.input_dim, 1), math.nan


def _flat(task: _Task, network: Network, rng: np.random.Generator, k: int) -> tuple[FloatArray, FloatArray]:
    """A uniform k-frame, and the point of a Gaussian flat in its direction that is nearest to the mean."""
    frame = np.linalg.qr(rng.standard_normal((network.input_dim, k)))[0]
    offset = task.spread * rng.standard_normal(network.input_dim)
    return _image(task) + offset - frame @ (frame.T @ offset), frame


def _cube_plane(task: _Task, network: Network, rng: np.random.Generator) -> tuple[float, float]:
    """Exact length of the locus per area, on a random plane through a uniform point of the cube."""
    d = network.input_dim
    frame = np.linalg.qr(rng.standard_normal((d, 2)))[0]
    plane = Slice.around(rng.random(d), (frame[:, 0], frame[:, 1]), 2.0 * math.sqrt(d), clip=(0.0, 1.0))
    cells = enumerate_cells(_noisy(task, network, rng), plane, workers=1)
    return locus_volume(cells, UniformDensity(plane)).total / mean_projection(d, 2), cells.n_cells


def _noisy(task: _Task, network: Network, rng: np.random.Generator) -> Network:
    if task.sigma == 0.0:
        return network
    return with_bias_noise(network, task.sigma * rng.standard_normal(network.n_units))


def _row(task: _Task, draws: FloatArray, parts: list[tuple[FloatArray, float, float]]) -> Row:
    n_draws = len(parts) * (task.draws // len(parts))
    kurtosis = low = high = math.nan
    if np.any(draws[:, 1]):
        # means of equally many draws each
        mean, stderr = float(draws[:, 0].mean()), float(np.linalg.norm(draws[:, 1])) / len(draws)
        low, high = student(draws[:, 0])
    else:
        estimate = Estimate.from_draws(draws[:, 0])
        mean, stderr = estimate.mean, estimate.stderr
        kurtosis = float(stats.kurtosis(draws[:, 0], fisher=False))
        low, high = bootstrap_t(
            draws[:, 0], case_rng("high dimension, bootstrap", *task.problem, task.method)
        )
    return {
        "network": task.spec.name,
        "inputs": task.spec.input_dim,
        "setting": task.setting,
        "sigma": task.sigma,
        "method": task.method,
        "mean": mean,
        "stderr": stderr,
        "kurtosis": kurtosis,
        "low": low,
        "high": high,
        "draws": n_draws,
        "cells": np.mean([part[2] for part in parts]),
        "seconds": math.fsum(part[1] for part in parts),
    }


def report(config: dict[str, Any], folder: Folder) -> Section:
    """The section on many inputs."""
    rows = folder.read_csv("estimates")
    # tables from before batches were kept have none
    batches = folder.read_csv("batches") if folder.csv_path("batches").exists() else []
    pairs = _pairs(rows)
    _draw(folder, rows)
    worst = max(abs(z) for *_, z in pairs)
    exact_pairs = [one for one in pairs if {one[0]["method"], one[1]["method"]} == {"lines", "planes"}]
    inputs = sorted({row["inputs"] for row in rows})
    method = prose(
        f"""Classifiers of digits with {" and ".join(map(str, inputs))} inputs, trained by scikit-learn. A
        piece of locus with unit normal n meets the translates of a k-plane of direction L, of which y in
        the orthogonal complement of L says which, in pieces of (k - 1)-volume such that the integral over
        y is |P_L n| times its (d - 1)-volume (co-area formula); the mean over uniform L is a(d, k) = E
        |P_L n| = G((k+1)/2) G(d/2) / (G(k/2) G((d+1)/2)), G the gamma function, k = 1 being Crofton's
        lines. If p is the Gaussian N(m, s^2 I), it is the product of its densities along L and along y,
        so: draw L uniformly and y from N(m, s^2 I); then the locus integral within the k-plane under N(m,
        s^2 I_k) has the expectation a(d, k) times the locus integral in d dimensions. If p is uniform on
        the cube, draw the plane through a uniform point: its translates then have density proportional to
        the area of their section, and the length of the locus per area has the expectation a(d, 2) times
        the integral. Both are identities, for k = 1 and 2 alike. Planes are enumerated exactly; crossings
        on lines are found by the estimator's own walk, in other code. The Gaussian has s =
        {config["spread"]:g} and stands on an image that was not trained on; the cube is [0, 1]^d. With
        bias noise each line, plane or sample has its own, and the co-area estimator in all d dimensions
        is the third witness.{_BOOTSTRAP if any(row.get("low") is not None for row in rows) else ""}"""
    )
    return Section(
        question=prose(
            f"""Do lines, exact planes and the co-area estimator agree where nothing can be enumerated, in
            {" and ".join(map(str, inputs))} dimensions?"""
        ),
        method=method,
        table=_table(rows) + "\n\n" + _pair_table(pairs),
        figures=(("values", "Locus integrals by method, with 95 % intervals, relative to their mean"),),
        finding=_finding(rows, batches, pairs, worst),
        limits=prose(
            f"""Sections of a cube through uniform points get short in many dimensions, as some coordinate
            is always near its bound, and their weights, one over length or area, spread widely; with more
            than {config["cube_planes_up_to"]} inputs planes of the cube are therefore left out. Seconds
            are of one process; planes and Gaussian lines pay the overhead of one call each."""
        ),
        checks=(
            Check(
                f"lines, planes and co-area agree in high dimension: |z| < {_LIMIT:g}",
                worst < _LIMIT and len({one[0]["inputs"] for one in exact_pairs}) == len(inputs),
                f"largest |z| {worst:.2f} of {len(pairs)} pairs",
            ),
        ),
        headline=prose(
            f"""In {" and ".join(map(str, inputs))} dimensions Crofton lines, exactly enumerated planes
            and the co-area estimator differ by at most |z| = {worst:.2f} over {len(pairs)} pairs of
            {len(rows)} independent estimates."""
        ),
    )


def _pairs(rows: list[Row]) -> list[tuple[Row, Row, float]]:
    """Two methods of one problem, and their z."""

    def estimate(row: Row) -> Estimate:
        return Estimate(row["mean"], row["stderr"], row["draws"])

    return [
        (one, other, z_score(estimate(one), estimate(other)))
        for own in _problems(rows)
        for one, other in combinations(own, 2)
    ]


def _finding(rows: list[Row], batches: list[Row], pairs: list[tuple[Row, Row, float]], worst: float) -> str:
    verdict = "agree" if worst < _LIMIT else "do not agree"
    text = f"""The methods {verdict}: largest |z| {worst:.2f} over {len(pairs)} pairs. Pairs of one problem
    share
        their estimates; of {len(rows)} independent ones for {_groups(rows)} problems the weighted squares of
        the differences from the problem's mean sum up to {_heterogeneity(rows):.1f} where
        {len(rows) - _groups(rows)} are expected (chi squared, p = {_p_value(rows):.2f})."""
    outside = sum(not _is_equal(one, other) for one, other, _ in pairs)
    text += f""" {len(pairs) - outside} of the {len(pairs)} pairs are equal within noise, their 95 % interval
        having 0 in it."""
    return prose(f"{text} {_costs(rows, batches)}")


def _costs(rows: list[Row], batches: list[Row]) -> str:
    """What a plane is worth in lines, and how much longer both take than the co-area estimator."""
    told: list[str] = []
    for inputs in sorted({row["inputs"] for row in rows}):
        own = [r for r in rows if (r["inputs"], r["setting"]) == (inputs, "Gaussian") and r["sigma"] > 0.0]
        found = {row["method"]: _Cost.of(row, batches) for row in own}
        told.append(
            f"""with {inputs} inputs a plane is worth {_times(found["lines"], found["planes"], False)} lines
            in variance; for equal accuracy lines take {_times(found["lines"], found["co-area"])} and planes
            {_times(found["planes"], found["co-area"])} times as long as the co-area estimator"""
        )
    return f"Under the Gaussian and bias noise, {'; '.join(told)}."


@dataclass(frozen=True)
class _Cost:
    """Variances of a draw in independent batches, and the seconds that a draw takes."""

    variances: list[float]
    seconds: float

    @classmethod
    def of(cls, row: Row, batches: list[Row]) -> _Cost:
        names = ("network", "setting", "sigma", "method")
        own = [one["variance"] for one in batches if all(one[name] == row[name] for name in names)]
        return cls(own or [row["stderr"] ** 2 * row["draws"]], row["seconds"] / row["draws"])


def _times(one: _Cost, other: _Cost, timed: bool = True) -> str:
    """The ratio of variances, or of variance times seconds, with its interval where there are batches."""
    factor = one.seconds / other.seconds if timed else 1.0
    if min(len(one.variances), len(other.variances)) < 2:
        return f"{factor * one.variances[0] / other.variances[0]:.2g}"
    middle, low, high = ratio_of_variances(one.variances, other.variances, factor)
    equal = ", equal within noise" if low <= 1.0 <= high else ""
    return f"{middle:.2g} ({low:.2g} to {high:.2g}{equal})"


def _problems(rows: list[Row]) -> list[list[Row]]:
    """The estimates of each problem."""
    problems: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        problems.setdefault((row["network"], row["setting"], row["sigma"]), []).append(row)
    return list(problems.values())


def _groups(rows: list[Row]) -> int:
    return len(_problems(rows))


def _heterogeneity(rows: list[Row]) -> float:
    """Cochran's Q over all problems: squared differences from the weighted mean, in standard errors."""
    total = 0.0
    for own in _problems(rows):
        means = np.array([row["mean"] for row in own])
        weights = np.array([row["stderr"] ** -2.0 for row in own])
        total += float((weights * (means - np.average(means, weights=weights)) ** 2).sum())
    return total


def _p_value(rows: list[Row]) -> float:
    from scipy.special import chdtrc

    return float(chdtrc(len(rows) - _groups(rows), _heterogeneity(rows)))


def _table(rows: list[Row]) -> str:
    cells = [
        [
            f"{row['inputs']} inputs, {row['setting']}, sigma {row['sigma']:g}: {row['method']}",
            f"{row['draws']:,}",
            f"{row['mean']:.4g} ({_interval(row)[0]:.4g} to {_interval(row)[1]:.4g}){_tails(row)}",
            "" if row["cells"] is None else f"{row['cells']:.1f}",
            f"{row['seconds']:.1f}",
            f"{row['stderr'] ** 2 * row['seconds'] / row['mean'] ** 2:.2g}",
        ]
        for row in rows
    ]
    header = ["problem: method", "draws", "locus integral", "cells per plane", "seconds"]
    return markdown_table([*header, "relative variance x seconds"], cells)


def _interval(row: Row) -> tuple[float, float]:
    """The 95 % interval: the studentised bootstrap's where draws were at hand, else by the standard error."""
    if row.get("low") is not None:
        return row["low"], row["high"]
    half = _NINETY_FIVE * row["stderr"]
    return row["mean"] - half, row["mean"] + half


def _tails(row: Row) -> str:
    return "" if row.get("kurtosis") is None else f", kurtosis {row['kurtosis']:.3g}"


def _pair_table(pairs: list[tuple[Row, Row, float]]) -> str:
    cells = [
        [
            f"{one['inputs']} inputs, {one['setting']}, sigma {one['sigma']:g}",
            f"{one['method']} - {other['method']}",
            _gap(one, other),
            f"{z:+.2f}",
            "equal within noise" if _is_equal(one, other) else "apart",
        ]
        for one, other, z in pairs
    ]
    return markdown_table(["problem", "pair", "difference, 95 % interval", "z", "verdict"], cells)


def _difference(one: Row, other: Row) -> tuple[float, float, float]:
    return difference((one["mean"], *_interval(one)), (other["mean"], *_interval(other)))


def _is_equal(one: Row, other: Row) -> bool:
    """Whether two estimates of one problem are equal within noise."""
    _, low, high = _difference(one, other)
    return low <= 0.0 <= high


def _gap(one: Row, other: Row) -> str:
    middle, low, high = (value / other["mean"] for value in _difference(one, other))
    return f"{middle:+.2%} ({low:+.2%} to {high:+.2%})"


def _draw(folder: Folder, rows: list[Row]) -> None:
    from matplotlib import pyplot as plt

    problems = list(dict.fromkeys((row["inputs"], row["setting"], row["sigma"]) for row in rows))
    figure, axis = plt.subplots(layout="constrained", figsize=(7, 0.45 * len(problems) + 1.2))
    for method, shift in (("lines", 0.15), ("planes", 0.0), ("co-area", -0.15)):
        own = [row for row in rows if row["method"] == method]
        where = [problems.index((row["inputs"], row["setting"], row["sigma"])) + shift for row in own]
        scale = [_centre(rows, row) for row in own]
        value = [row["mean"] / centre for row, centre in zip(own, scale, strict=True)]
        ends = [_interval(row) for row in own]
        sides = [
            ((row["mean"] - low) / centre, (high - row["mean"]) / centre)
            for row, (low, high), centre in zip(own, ends, scale, strict=True)
        ]
        axis.errorbar(value, where, xerr=np.array(sides).T, fmt="o", ms=4, lw=1, label=method)
    labels = [f"{inputs} inputs, {setting}, sigma {sigma:g}" for inputs, setting, sigma in problems]
    axis.set_yticks(range(len(problems)), labels, fontsize=8)
    axis.axvline(1.0, color="black", lw=0.6)
    axis.set_xlabel("relative to the most precise of the methods")
    axis.legend(fontsize=8)
    folder.save_figure("values", figure)


def _centre(rows: list[Row], row: Row) -> float:
    key = row["network"], row["setting"], row["sigma"]
    own = [one for one in rows if (one["network"], one["setting"], one["sigma"]) == key]
    return float(min(own, key=lambda one: one["stderr"])["mean"])


EXPERIMENT = Experiment("high_dimension", "Sixty-four and 784 dimensions", run, report)
