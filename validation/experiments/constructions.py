"""Questions that small networks answer exactly: the sawtooth, the number of pieces on a line, noise on
weights."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regions import (
    Box,
    Estimate,
    Network,
    UniformDensity,
    count_cells,
    enumerate_cells,
    exact_local_complexity,
    locus_volume,
    sum_over_cells,
)
from regions.validation.local_complexity import with_bias_noise, z_score
from validation.framework import Check, Experiment, Folder, Pool, case_rng, markdown_table, prose
from validation.paper import SectionWithAppendix
from validation.problems import NetworkSpec

__all__ = ["EXPERIMENT", "sawtooth"]

Row = dict[str, Any]
FloatArray = NDArray[np.float64]

_NINETY_FIVE = 1.959963984540054
_LIMIT = 4.0
_EPS = 0.01
_BIAS_SCALE = 0.5


@dataclass(frozen=True)
class _Weights:
    spec: NetworkSpec
    sigma: float
    draws: int


def run(config: dict[str, Any], folder: Folder, pool: Pool) -> None:
    """All three, each a table."""
    teeth = [(layers, config["sawtooth_sigma"], config["sawtooth_draws"]) for layers in config["sawtooth"]]
    folder.write_csv("sawtooth", pool.map(_tooth, teeth, "sawtooth"))
    lines = [
        (width, depth, config["line_networks"], config["window"])
        for width in config["line_widths"]
        for depth in config["line_depths"]
    ]
    folder.write_csv("line", pool.map(_line, lines, "pieces on a line"))
    noises = [
        _Weights(NetworkSpec("he", inputs, width, depth), sigma, config["weight_draws"])
        for inputs, width, depth in config["weight_shapes"]
        for sigma in config["weight_sigmas"]
    ]
    folder.write_csv("weights", pool.map(_weights, noises, "noise on weights"))


def sawtooth(layers: int) -> Network:
    """The tent map 2 relu(x) - 4 relu(x - 1/2), iterated: 2^layers pieces on [0, 1], two units a layer.

    Examples
    --------
    >>> sawtooth(2).forward([[0.0], [0.25], [0.5], [0.75], [1.0]]).ravel().tolist()
    [0.0, 1.0, 0.0, 1.0, 0.0]
    """
    again = np.array([[2.0, -4.0], [2.0, -4.0]])
    weights = [np.ones((2, 1)), *[again] * (layers - 1), np.array([[2.0, -4.0]])]
    return Network.from_arrays(weights, [*[np.array([0.0, -0.5])] * layers, np.zeros(1)])


def _tooth(item: tuple[int, float, int]) -> Row:
    layers, sigma, draws = item
    network, box = sawtooth(layers), Box([0.0], [1.0])
    density = UniformDensity(box)
    cells = enumerate_cells(network, box, workers=1)
    sums = sum_over_cells(cells, density, eps=_EPS)
    noisy = exact_local_complexity(
        network, box, density, sigma, draws, case_rng("sawtooth", layers), workers=1
    )
    return {
        "layers": layers,
        "units": network.n_units,
        "cells": cells.n_cells,
        "locus": locus_volume(cells, density).total,
        "sigma": sigma,
        "lc": noisy.mean,
        "lc_stderr": noisy.stderr,
        "largest_rank": float(sums.local_rank.max()),
        "total_variation": sums.total_variation,
    }


def _line(item: tuple[int, int, int, float]) -> Row:
    """Mean number of pieces of networks at initialisation, normal weights and biases, on a long segment."""
    width, depth, networks, window = item
    counts, outside = [], []
    for at in range(networks):
        rng = case_rng("line", width, depth, at)
        sizes = [1, *[width] * depth, 1]
        weights = [math.sqrt(2.0 / n) * rng.standard_normal((m, n)) for n, m in pairwise(sizes)]
        biases = [_BIAS_SCALE * rng.standard_normal(m) for m in sizes[1:]]
        network = Network.from_arrays(weights, biases)
        counts.append(count_cells(network, Box([-window], [window]), workers=1).n_cells)
        outside.append(count_cells(network, Box([-1.0], [1.0]), workers=1).n_cells)
    found, near = (Estimate.from_draws(np.array(values, dtype=np.float64)) for values in (counts, outside))
    return {
        "width": width,
        "depth": depth,
        "units": width * depth,
        "networks": networks,
        "window": window,
        "cells": found.mean,
        "cells_stderr": found.stderr,
        "cells_near": near.mean,
        "cells_near_stderr": near.stderr,
    }


def _weights(case: _Weights) -> Row:
    """Local complexity with noise on the biases, and on the weights of as large an effect at inputs of size
    1."""
    network, domain = case.spec.build(), case.spec.domain()
    density = UniformDensity(domain)
    rng = case_rng("noise on weights", case.spec.name, case.sigma)
    values: dict[str, list[float]] = {"biases": [], "weights": []}
    for _ in range(case.draws):
        noise = case.sigma * rng.standard_normal(network.n_units)
        weights = [
            weight
            + (case.sigma / math.sqrt(weight.shape[1]) * rng.standard_normal(weight.shape) if relu else 0.0)
            for weight, relu in zip(network.weights, network.relu, strict=True)
        ]
        changed = Network(weights, network.biases, network.relu)
        for name, one in (("biases", with_bias_noise(network, noise)), ("weights", changed)):
            values[name].append(locus_volume(enumerate_cells(one, domain, workers=1), density).total)
    biases, moved = (Estimate.from_draws(np.array(values[name])) for name in ("biases", "weights"))
    plain = locus_volume(enumerate_cells(network, domain, workers=1), density).total
    return {
        "network": case.spec.name,
        "dimension": case.spec.dimension,
        "sigma": case.sigma,
        "draws": case.draws,
        "locus": plain,
        "biases": biases.mean,
        "biases_stderr": biases.stderr,
        "weights": moved.mean,
        "weights_stderr": moved.stderr,
    }


def report(config: dict[str, Any], folder: Folder) -> SectionWithAppendix:
    """The section on these questions."""
    teeth, lines, weights = (folder.read_csv(name) for name in ("sawtooth", "line", "weights"))
    worst = max((abs(_z(row)) for row in weights), default=0.0)
    differences = [row["weights"] / row["biases"] - 1.0 for row in weights]
    last = teeth[-1]
    return SectionWithAppendix(
        question=prose(
            """Can LC be large where the local rank is 1? Has a network of one input as many pieces at
            initialisation as units, whatever its depth? Does noise on the weights give another LC than noise
            on the biases?"""
        ),
        method=prose(
            f"""(1) The tent map iterated L times, two units a layer, on [0, 1], with LC at sigma
            {last["sigma"]:g} over {config["sawtooth_draws"]} draws and ranks above {_EPS:g}. (2) He networks
            of one input with biases of standard deviation {_BIAS_SCALE:g}, {config["line_networks"]} for each
            shape: exact numbers of cells on [-{config["window"]:g}, {config["window"]:g}] and on [-1, 1];
            Kogan, Jananthan and Kepner state N + 1 to leading order for infinite width. (3) He networks under
            the uniform density on [-1, 1]^d: {config["weight_draws"]} loci with noise sigma on every bias,
            and {config["weight_draws"]} independent ones with noise sigma / sqrt(fan-in) on every weight
            before a unit."""
        ),
        table="",
        appendix="\n\n".join((_teeth_table(teeth), _line_table(lines), _weights_table(weights))),
        finding=_finding(teeth, lines, weights, worst),
        limits=prose(
            """Training need not find the sawtooth. Pieces on a line depend on the window and on how biases
            are drawn, and the size of noise on weights on that of a layer's inputs."""
        ),
        checks=(
            Check(
                "the sawtooth of L layers has 2^L cells and 2^L - 1 breakpoints, at rank 1",
                all(
                    row["cells"] == 2 ** row["layers"]
                    and math.isclose(row["locus"], 2 ** row["layers"] - 1)
                    and row["largest_rank"] <= 1.0
                    for row in teeth
                ),
                f"L up to {last['layers']}",
            ),
        ),
        headline=prose(
            f"""The sawtooth has an LC of {_with_half(last["lc"], last["lc_stderr"])} at rank
            {last["largest_rank"]:g} with {last["units"]} units; networks of one input have
            {min(row["cells"] / (row["units"] + 1) for row in lines):.3f} to
            {max(row["cells"] / (row["units"] + 1) for row in lines):.3f} times N + 1 pieces on the long
            segment; noise on weights in place of biases changes LC by {min(differences):+.1%} to
            {max(differences):+.1%}."""
        ),
    )


def _z(row: Row) -> float:
    weights, biases = (
        Estimate(row[name], row[f"{name}_stderr"], row["draws"]) for name in ("weights", "biases")
    )
    return z_score(weights, biases)


def _with_half(value: float, stderr: float) -> str:
    return f"{value:.4g} ± {_NINETY_FIVE * stderr:.2g}"


def _teeth_table(rows: list[Row]) -> str:
    header = ["sawtooth, layers", "units", "cells", "breakpoints", "LC", "largest local rank", "TV"]
    return markdown_table(
        header,
        [
            [
                str(row["layers"]),
                str(row["units"]),
                str(row["cells"]),
                f"{row['locus']:g}",
                _with_half(row["lc"], row["lc_stderr"]),
                f"{row['largest_rank']:g}",
                f"{row['total_variation']:g}",
            ]
            for row in rows
        ],
    )


def _line_table(rows: list[Row]) -> str:
    window = rows[0]["window"]
    header = ["one input, width x depth", "N + 1", f"cells on ±{window:g}", "over N + 1", "on ±1"]
    return markdown_table(
        header,
        [
            [
                f"{row['width']} x {row['depth']}",
                str(row["units"] + 1),
                _with_half(row["cells"], row["cells_stderr"]),
                f"{row['cells'] / (row['units'] + 1):.3f}",
                _with_half(row["cells_near"], row["cells_near_stderr"]),
            ]
            for row in rows
        ],
    )


def _half_of_difference(row: Row) -> float:
    spread = math.hypot(row["weights_stderr"], row["biases_stderr"])
    return float(_NINETY_FIVE * spread / row["biases"])


def _weights_table(rows: list[Row]) -> str:
    header = ["network, sigma", "locus without noise", "noise on biases", "on weights", "difference", "z"]
    return markdown_table(
        header,
        [
            [
                f"{row['network']}, {row['sigma']:g}",
                f"{row['locus']:.4g}",
                _with_half(row["biases"], row["biases_stderr"]),
                _with_half(row["weights"], row["weights_stderr"]),
                f"{row['weights'] / row['biases'] - 1.0:+.1%} ± {_half_of_difference(row):.1%}",
                f"{_z(row):+.1f}",
            ]
            for row in rows
        ],
    )


def _finding(teeth: list[Row], lines: list[Row], weights: list[Row], worst: float) -> str:
    last = teeth[-1]
    ratios = {row["depth"]: [] for row in lines}
    for row in lines:
        ratios[row["depth"]].append(row["cells"] / (row["units"] + 1))
    by_depth = ", ".join(f"{np.mean(values):.3f} at depth {depth}" for depth, values in ratios.items())
    seen = sum(abs(_z(row)) > _LIMIT for row in weights)
    most = max(weights, key=lambda row: abs(row["weights"] / row["biases"] - 1.0))
    return prose(
        f"""(1) With {last["layers"]} layers the map has {last["cells"]} cells: a low rank bounds nothing by
        itself, and theorem 5 holds here through C_grad, which doubles with each layer. LC is above the locus
        even at so small a sigma, as units that bend at one point without noise, at the folds of the layers
        before, bend at two with it. (2) Cells over N + 1, mean over widths: {by_depth}. (3) Noise on weights
        and on biases differ beyond {_LIMIT:g} standard errors in {seen} of {len(weights)} cases (largest |z|
        {worst:.1f}), most for {most["network"]} at sigma {most["sigma"]:g}, by
        {most["weights"] / most["biases"] - 1.0:+.1%} ± {_half_of_difference(most):.1%}."""
    )


EXPERIMENT = Experiment("constructions", "Rank one, one input, noise on weights", run, report)
