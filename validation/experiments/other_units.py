"""Leaky ReLUs, maxout and convolutional networks: the same estimators and bounds beside exact values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import multivariate_normal

from regions import (
    Box,
    Coarea,
    Estimate,
    GaussianDensity,
    Network,
    UniformDensity,
    enumerate_cells,
    exact_local_complexity,
    locus_volume,
    region_bounds,
    sum_over_cells,
)
from regions.validation.closed_form import one_hidden_layer_local_complexity
from regions.validation.local_complexity import with_bias_noise, z_score
from validation.experiments.initialisation import log_log_slope
from validation.experiments.paired_effects import Effect, effect_table, judged, ratio_effect
from validation.framework import Check, Experiment, Folder, Pool, Section, case_rng, markdown_table, prose
from validation.network_measures import accuracy, plane_through_classes
from validation.training_data import make_data

__all__ = ["EXPERIMENT", "as_relus", "maxout_local_complexity"]

Row = dict[str, Any]
FloatArray = NDArray[np.float64]

# data of the closed forms, on the whole space
_MEAN, _VARIANCE = 0.2, 0.5
_BIAS_STD = 0.5
_LIMIT = 4.0
# of two sums over the same facets
_ROUNDING = 1e-9
# relative, of normal variables that are constants
_NO_VARIANCE = 1e-12
_MLP, _CHANNELS = (32, 32), (4, 8)
_KINDS = {
    "relu": "ReLU, 64-32-32-10",
    "leaky": "leaky ReLU (0.1), 64-32-32-10",
    "maxout2": "maxout of rank 2, 64-32-32-10",
    "maxout3": "maxout of rank 3, 64-32-32-10",
    "cnn": "CNN, ReLU, average pooling",
    "cnn leaky": "CNN, leaky ReLU (0.1), average pooling",
    "cnn max": "CNN of half as many channels, ReLU, max pooling",
}
_LEAK = 0.1


def run(config: dict[str, Any], folder: Folder, pool: Pool) -> None:
    """Closed forms, both forms of a leaky network, boxes at initialisation, planes through digits."""
    units = [f"leaky {slope:g}" for slope in config["slopes"]] + [f"maxout {k}" for k in config["ranks"]]
    closed = [
        (unit, inputs, config["width"], sigma, config["samples"])
        for unit in units
        for inputs in config["inputs"]
        for sigma in config["sigmas"]
    ]
    folder.write_csv("closed", pool.map(_closed, closed, "one layer in closed form"))
    leaky = [
        (inputs, width, depth, at, sigma, config["draws"])
        for inputs, width, depth in config["leaky_shapes"]
        for at in range(config["leaky_networks"])
        for sigma in config["leaky_sigmas"]
    ]
    folder.write_csv("leaky", pool.map(_leaky, leaky, "leaky networks in two forms"))
    boxes = [
        (rank, width, config["box_depth"], at)
        for rank in (1, *config["box_ranks"])
        for width in config["box_widths"]
        for at in range(config["box_networks"])
    ]
    folder.write_csv("box", pool.map(_box, boxes, "maxout at initialisation"))
    digits = [
        _Digits(
            kind,
            seed,
            config["steps"],
            config["digits_sigma"],
            config["digits_draws"],
            config["samples"] // 10,
        )
        for kind in config["kinds"]
        for seed in range(config["seeds"])
    ]
    rows = pool.map(_digits, digits, "planes through digits")
    folder.write_csv("digits", [row for part in rows for row in part])


def _one_layer(unit: str, inputs: int, width: int) -> Network:
    """One layer of units and one output, normal weights and biases."""
    kind, number = unit.split()
    rng = case_rng("other units", unit, inputs, width)
    rank = int(number) if kind == "maxout" else 1
    weights = math.sqrt(2.0 / inputs) * rng.standard_normal((rank * width, inputs))
    last = rng.standard_normal((1, width))
    biases = [_BIAS_STD * rng.standard_normal(rank * width), np.zeros(1)]
    if kind == "maxout":
        return Network.from_arrays([weights, last], biases, maxima=[rank, None])
    return Network.from_arrays([weights, last], biases, slopes=[float(number), None])


def _closed(item: tuple[str, int, int, float, int]) -> Row:
    unit, inputs, width, sigma, samples = item
    network = _one_layer(unit, inputs, width)
    mean = np.full(inputs, _MEAN)
    if network.max_units is None:
        exact = one_hidden_layer_local_complexity(network, mean, _VARIANCE, sigma)
    else:
        exact = maxout_local_complexity(network, mean, _VARIANCE, sigma)
    density = GaussianDensity(mean, _VARIANCE)
    estimate = Coarea(sigma).estimate(network, density, case_rng("other units, closed", *item), samples)
    return {
        "unit": unit,
        "inputs": inputs,
        "sigma": sigma,
        "exact": exact,
        "estimate": estimate.mean,
        "stderr": estimate.stderr,
        "z": (estimate.mean - exact) / estimate.stderr,
    }


def maxout_local_complexity(network: Network, mean: FloatArray, variance: float, sigma: float) -> float:
    """Local complexity of one layer of max units of equal rank, for Gaussian data on the whole space.

    For candidates i and j of a unit it is |w_i - w_j| times the density of z_i - z_j at 0, times the
    probability that they beat the other candidates there; with the noises all candidates are jointly normal.

    Parameters
    ----------
    network : Network whose first layer has max units of one rank and whose last one sees all of them
    mean : (input_dim,) of the data
    variance : float, of each coordinate of the data
    sigma : float >= 0, of the noise on each candidate's bias

    Examples
    --------
    max(x, -x) is |x|, which bends where x = 0.

    >>> network = Network.from_arrays([[[1.0], [-1.0]], [[1.0]]], [[0.0, 0.0], [0.0]], maxima=[2, None])
    >>> round(maxout_local_complexity(network, np.zeros(1), 1.0, 0.0), 6)  # the density of N(0, 1) at 0
    0.398942
    """
    W, b = network.weights[0], network.biases[0]
    middle, spread = W @ mean + b, variance * W @ W.T + sigma**2 * np.eye(len(b))
    total, rank = 0.0, int(network.maxima[0][0])
    for start in range(0, len(b), rank):
        rows = range(start, start + rank)
        for i, j in combinations(rows, 2):
            others = [k for k in rows if k not in (i, j)]
            # the gap of the two that tie, then what both lead the others by
            D = np.zeros((1 + len(others), len(b)))
            D[:, i], D[0, j] = 1.0, -1.0
            D[range(1, len(D)), others] = -1.0
            m, S = D @ middle, D @ spread @ D.T
            tie = math.exp(-0.5 * m[0] ** 2 / S[0, 0]) / math.sqrt(2.0 * math.pi * S[0, 0])
            ahead = m[1:] - S[1:, 0] * m[0] / S[0, 0]
            left = S[1:, 1:] - np.outer(S[1:, 0], S[1:, 0]) / S[0, 0]
            total += float(np.linalg.norm(W[i] - W[j])) * tie * _all_positive(ahead, left)
    return total


def _all_positive(mean: FloatArray, cov: FloatArray) -> float:
    """Return the probability that all normal variables are above 0; some may not vary."""
    varies = np.diagonal(cov) > _NO_VARIANCE * np.maximum(np.square(mean), 1.0)
    if (mean[~varies] <= 0.0).any():
        return 0.0
    if not varies.any():
        return 1.0
    part = multivariate_normal(-mean[varies], cov[np.ix_(varies, varies)], allow_singular=True, seed=0)
    return float(part.cdf(np.zeros(int(varies.sum()))))


def as_relus(network: Network, slope: float) -> Network:
    """Return a leaky network of equal slopes as one of ReLUs: relu(z) - slope relu(-z), two units for each.

    Examples
    --------
    >>> leaky = Network.from_arrays([[[2.0]], [[1.0]]], [[1.0], [0.0]], slopes=[0.1, None])
    >>> points = np.array([[-3.0], [4.0]])
    >>> bool(np.allclose(as_relus(leaky, 0.1).forward(points), leaky.forward(points)))
    True
    """
    weights, biases = [], []
    for layer, (own, bias) in enumerate(zip(network.weights, network.biases, strict=True)):
        rows = own if layer == 0 else np.concatenate([own, -slope * own], axis=1)
        last = layer == len(network.weights) - 1
        weights.append(rows if last else np.concatenate([rows, -rows]))
        biases.append(bias if last else np.concatenate([bias, -bias]))
    return Network.from_arrays(weights, biases)


def _leaky(item: tuple[int, int, int, int, float, int]) -> Row:
    """Local complexity of one function in both forms, and with one noise for both halves of a unit."""
    inputs, width, depth, at, sigma, draws = item
    rng = case_rng("other units, leaky", *item)
    sizes = [inputs, *[width] * depth, 1]
    weights = [math.sqrt(2.0 / n) * rng.standard_normal((m, n)) for n, m in pairwise(sizes)]
    biases = [_BIAS_STD * rng.standard_normal(m) for m in sizes[1:]]
    native = Network.from_arrays(weights, biases, slopes=[*[_LEAK] * depth, None])
    double, box = as_relus(native, _LEAK), Box(np.full(inputs, -1.0), np.full(inputs, 1.0))
    density = UniformDensity(box)

    def locus(network: Network) -> float:
        return locus_volume(enumerate_cells(network, box, workers=1), density).total

    values: dict[str, list[float]] = {"native": [], "double": []}
    gap = abs(locus(double) - locus(native))
    for _ in range(draws):
        noise = sigma * rng.standard_normal(native.n_units)
        values["native"].append(locus(with_bias_noise(native, noise)))
        values["double"].append(locus(with_bias_noise(double, sigma * rng.standard_normal(double.n_units))))
        both = np.concatenate([np.concatenate([part, -part]) for part in noise.reshape(depth, width)])
        gap = max(gap, abs(locus(with_bias_noise(double, both)) - values["native"][-1]))
    found = {name: Estimate.from_draws(np.array(own)) for name, own in values.items()}
    row: Row = {"inputs": inputs, "width": width, "depth": depth, "network": at, "sigma": sigma}
    for name, estimate in found.items():
        row |= {name: estimate.mean, f"{name}_stderr": estimate.stderr}
    return row | {"same_noise_gap": gap / found["native"].mean}


def _box(item: tuple[int, int, int, int]) -> Row:
    """Cells and locus of a network at initialisation in a square of area 1; rank 1 stands for ReLUs."""
    rank, width, depth, at = item
    rng = case_rng("other units, box", *item)
    gain = 2.0 if rank == 1 else 1.0
    sizes = [2, *[width] * depth, 1]
    weights, biases = [], []
    for layer, (n, m) in enumerate(pairwise(sizes)):
        rows = m if layer == depth else rank * m
        weights.append(math.sqrt(gain / n) * rng.standard_normal((rows, n)))
        biases.append(_BIAS_STD * rng.standard_normal(rows))
    maxima = None if rank == 1 else [*[rank] * depth, None]
    network = Network.from_arrays(weights, biases, maxima=maxima)
    box = Box([-0.5, -0.5], [0.5, 0.5])
    cells = enumerate_cells(network, box, workers=1)
    bounds = {bound.kind: bound.value for bound in region_bounds(network)}
    return {
        "rank": rank,
        "width": width,
        "depth": depth,
        "network": at,
        "units": width * depth,
        "cells": cells.n_cells,
        "locus": locus_volume(cells).total,
        "gradient": float(sum_over_cells(cells, eps=0.01).unit_gradients.max()),
        "upper": float(bounds["upper"]),
        "order": float(bounds["order"]),
    }


@dataclass(frozen=True)
class _Digits:
    kind: str
    seed: int
    steps: int
    sigma: float
    draws: int
    samples: int


def _digits(case: _Digits) -> list[Row]:
    """The plane through one image of each of three classes, before and after training."""
    data = make_data("digits", 0)
    plane = plane_through_classes(data, case.seed)
    density, rows = UniformDensity(plane), []
    for step, network in zip((0, case.steps), _trained(case), strict=True):
        names = ("other units, digits", case.kind, case.seed, step)
        cells = enumerate_cells(network, plane, workers=1)
        exact = exact_local_complexity(
            network, plane, density, case.sigma, case.draws, case_rng(*names), workers=1
        )
        estimate = Coarea(case.sigma).estimate(
            network, density, case_rng(*names, "estimate"), case.samples, domain=plane
        )
        upper = [bound.value for bound in region_bounds(network, 2) if bound.kind == "upper"]
        rows.append(
            {
                "kind": case.kind,
                "seed": case.seed,
                "step": step,
                "units": _bending(network),
                "cells": cells.n_cells,
                "locus": locus_volume(cells, density).total,
                "exact": exact.mean,
                "exact_stderr": exact.stderr,
                "estimate": estimate.mean,
                "estimate_stderr": estimate.stderr,
                "z": z_score(estimate, exact),
                "accuracy": accuracy(network, data.test_x, data.test_y),
                "log10_upper": math.log10(min(upper)),
            }
        )
    return rows


def _bending(network: Network) -> int:
    """Return the number of units that can bend; a max unit is one, whatever its rank."""
    return sum(
        len(bias) if sizes is None else len(sizes)
        for bias, relu, sizes in zip(network.biases, network.relu, network.maxima, strict=True)
        if relu
    )


def _trained(case: _Digits) -> list[Network]:
    """The network at initialisation and after training with Adam."""
    import torch

    torch.set_num_threads(1)
    data, rng = make_data("digits", 0), case_rng("other units, training", case.kind, case.seed)
    torch.manual_seed(int(rng.integers(2**31)))
    model, read = _model(case.kind)
    found = [read()]
    x, y = torch.tensor(data.train_x, dtype=torch.float32), torch.tensor(data.train_y)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for pick in torch.tensor(rng.integers(len(x), size=(case.steps, 64))):
        optimizer.zero_grad(set_to_none=True)
        torch.nn.functional.cross_entropy(model(x[pick]), y[pick]).backward()
        optimizer.step()
    return [*found, read()]


def _model(kind: str) -> tuple[Any, Any]:
    """A module, and a function that reads it as a Network."""
    import torch
    from torch import nn

    from regions import from_torch

    if kind.startswith("maxout"):
        rank = int(kind.removeprefix("maxout"))
        sizes = [64, *_MLP, 10]
        linear = [nn.Linear(n, m * (1 if m == 10 else rank)) for n, m in pairwise(sizes)]

        class Maxout(nn.Module):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return x.unflatten(-1, (-1, rank)).amax(dim=-1)

        layers = [linear[0], Maxout(), linear[1], Maxout(), linear[2]]

        def read() -> Network:
            arrays = [
                [part.detach().double().numpy().copy() for part in (one.weight, one.bias)] for one in linear
            ]
            return Network.from_arrays(*zip(*arrays, strict=True), maxima=[rank, rank, None])

        return nn.Sequential(*layers), read
    act = nn.LeakyReLU(_LEAK) if "leaky" in kind else nn.ReLU()
    if kind.startswith("cnn"):
        # max pooling makes many more cells
        first, second = (n // 2 if kind.endswith("max") else n for n in _CHANNELS)
        pool = nn.MaxPool2d(2) if kind.endswith("max") else nn.AvgPool2d(2)
        model = nn.Sequential(
            nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, first, 3, padding=1), act, pool,
            nn.Conv2d(first, second, 3, padding=1), act, pool, nn.Flatten(), nn.Linear(4 * second, 10),
        )  # fmt: skip
        return model, lambda: from_torch(model[1:], input_shape=(1, 8, 8))
    parts = [part for n, m in pairwise((64, *_MLP)) for part in (nn.Linear(n, m), act)]
    model = nn.Sequential(*parts, nn.Linear(_MLP[-1], 10))
    return model, lambda: from_torch(model)


def report(config: dict[str, Any], folder: Folder) -> Section:
    """The section on other units."""
    closed, leaky, box, digits = (folder.read_csv(name) for name in ("closed", "leaky", "box", "digits"))
    _draw(folder, box)
    effects = judged(_effects(leaky, digits))
    z, summed = [abs(row["z"]) for row in closed], _z_of_sum(digits)
    gap = max(row["same_noise_gap"] for row in leaky)
    return Section(
        question=prose(
            """Do the estimator and the bounds carry over from ReLUs to leaky ReLUs, maxout and convolutional
            networks (the paper's third open question), and does the way in which a unit is written matter?"""
        ),
        method=_method(config, closed, box),
        table="\n\n".join(
            [_closed_table(closed), _digits_table(digits), effect_table("ratio", effects), _box_table(box)]
        ),
        figures=(
            (
                "counts",
                "Exact number of cells in a square of area 1 at initialisation; mean over networks, bars the "
                "standard deviation. Dashed: (K N)^2 C(2 K, 4) / 2 for maxout of rank K, N^2 / 2 for ReLUs",
            ),
        ),
        finding=_finding(closed, effects, box, digits),
        limits=prose(
            f"""The closed forms are for one layer. The constants of the published bounds take C_grad as the
            largest mean of ‖grad z_i‖ of any unit, which is at most theirs, so that their bounds are no
            smaller than those shown. Networks for digits are small ({config["steps"]:,} steps of Adam), three
            classes give the plane, and maxout of rank K has K times the weights."""
        ),
        checks=(
            Check(
                "co-area on leaky and maxout units agrees with closed forms: |z| < 4",
                max(z) < _LIMIT,
                f"largest |z| {max(z):.2f} of {len(z)} cases",
            ),
            Check(
                "co-area on planes of leaky, maxout and convolutional networks: |z| of the sum < 4",
                abs(summed) < _LIMIT,
                f"{len(digits)} networks, z of their sum {summed:+.2f}",
            ),
            Check(
                "a leaky unit as two ReLUs with one noise has the same locus in every draw",
                gap < _ROUNDING,
                f"largest relative difference {gap:.1g} of {len(leaky)} networks and noises",
            ),
            Check(
                "no count exceeds a proven upper bound",
                all(row["cells"] <= row["upper"] for row in box)
                and all(math.log10(row["cells"]) <= row["log10_upper"] for row in digits),
                f"{len(box) + len(digits):,} networks",
            ),
        ),
        headline=_headline(effects, z, summed),
    )


def _z_of_sum(rows: list[Row]) -> float:
    """The difference of estimates and exact values over all rows; that of one has the spread of few draws."""
    gap = math.fsum(row["estimate"] - row["exact"] for row in rows)
    errors = (math.hypot(row["estimate_stderr"], row["exact_stderr"]) for row in rows)
    return gap / math.sqrt(math.fsum(error**2 for error in errors))


def _method(config: dict[str, Any], closed: list[Row], box: list[Row]) -> str:
    return prose(
        f"""(1) One layer of {config["width"]} units, Gaussian data on the whole space: local complexity in
        closed form. For maxout that is the sum over pairs of candidates of |w_i - w_j| times the density of
        z_i - z_j at 0 times the probability that both beat the others there, a normal orthant.
        {len(closed)} cases, {config["samples"]:,} samples each. (2) Leaky networks (slope {_LEAK:g}) as they
        are, one noise for each unit, and as ReLUs, relu(z) - {_LEAK:g} relu(-z), with a noise for each half:
        {config["draws"]} enumerated draws of the biases. (3) At initialisation (weights of variance
        2 / fan-in for ReLUs, 1 / fan-in for maxout, biases of standard deviation {_BIAS_STD:g}),
        {config["box_networks"]} networks of {config["box_depth"]} layers for each of
        {len({r["width"] for r in box})} widths, in a square of area 1: exact counts beside Hanin and
        Rolnick's (T N)^2 / 2 and Tseran and Montufar's
        (T K N)^2 C(2 K, 4) / 2, T = 2^5 C_grad C_bias, and the exact locus beside
        2 C_grad C_bias C(K, 2) N (for ReLUs C_grad C_bias N). (4) Planes through one digit of each of three
        classes, {config["seeds"]} networks of each kind before and after training: exact counts, exact local
        complexity at sigma {config["digits_sigma"]:g} from {config["digits_draws"]} draws, and its estimate;
        so many give a standard error to some {100 / math.sqrt(2 * (config["digits_draws"] - 1)):.0f} %,
        so the z of all planes of a kind together is judged.
        Ratios are geometric means over networks with 95 % intervals by Student's t; their verdicts are
        corrected together by Holm at 5 %."""
    )


def _effects(leaky: list[Row], digits: list[Row]) -> list[Effect]:
    effects = []
    for sigma in sorted({row["sigma"] for row in leaky}):
        ratios = [row["double"] / row["native"] for row in leaky if row["sigma"] == sigma]
        effects.append(ratio_effect(f"LC as two ReLUs over LC of leaky units, sigma {sigma:g}", ratios))
    for kind in dict.fromkeys(row["kind"] for row in digits):
        own = {(row["seed"], row["step"]): row for row in digits if row["kind"] == kind}
        last = max(step for _, step in own)
        for name, title in (("exact", "LC"), ("cells", "cells")):
            ratios = [own[seed, last][name] / own[seed, 0][name] for seed in sorted({s for s, _ in own})]
            effects.append(ratio_effect(f"{_KINDS[kind]}: {title}, trained over initial", ratios))
    return effects


def _closed_table(rows: list[Row]) -> str:
    body = []
    for unit in dict.fromkeys(row["unit"] for row in rows):
        own = [row for row in rows if row["unit"] == unit]
        gaps = [row["estimate"] / row["exact"] - 1.0 for row in own]
        spans = [f"{min(own_):.3g} to {max(own_):.3g}" for own_ in ([r["exact"] for r in own],)]
        body.append(
            [
                unit,
                str(len(own)),
                *spans,
                f"{min(gaps):+.2%} to {max(gaps):+.2%}",
                f"{max(row['stderr'] / row['exact'] for row in own):.2%}",
                f"{max(abs(row['z']) for row in own):.2f}",
            ]
        )
    header = ["one layer", "cases", "LC, closed form", "estimate off by", "largest standard error"]
    return markdown_table([*header, "largest |z|"], body)


def _with_spread(values: list[float]) -> str:
    return f"{np.mean(values):.4g} ± {np.std(values, ddof=1) if len(values) > 1 else 0.0:.2g}"


def _digits_table(rows: list[Row]) -> str:
    header = ["planes through digits", "step", "units", "cells", "cells / (units^2 / 2)", "proven bound"]
    header += ["locus", "LC, exact", "LC, estimate", "z of the sum", "test accuracy"]
    body = []
    for kind, step in dict.fromkeys((row["kind"], row["step"]) for row in rows):
        own = [row for row in rows if (row["kind"], row["step"]) == (kind, step)]
        units = own[0]["units"]
        body.append(
            [
                _KINDS[kind],
                f"{step:,}",
                str(units),
                _with_spread([row["cells"] for row in own]),
                f"{np.mean([row['cells'] for row in own]) / (units**2 / 2):.3f}",
                f"10^{own[0]['log10_upper']:.1f}",
                _with_spread([row["locus"] for row in own]),
                _with_spread([row["exact"] for row in own]),
                _with_spread([row["estimate"] for row in own]),
                f"{_z_of_sum(own):+.2f}",
                f"{np.mean([row['accuracy'] for row in own]):.1%}",
            ]
        )
    return markdown_table(header, body)


def _bounds(own: list[Row]) -> tuple[float, float]:
    """The published bounds on the count and on the locus, in a square of area 1."""
    rank, units = own[0]["rank"], own[0]["units"]
    c_bias = 1.0 / (math.sqrt(2.0 * math.pi) * _BIAS_STD)
    c_grad = max(row["gradient"] for row in own)
    locus = c_grad * c_bias * units * (1.0 if rank == 1 else 2.0 * math.comb(rank, 2))
    return (2**5 * c_grad * c_bias) ** 2 * own[0]["order"], locus


def _box_table(rows: list[Row]) -> str:
    header = [
        "at initialisation",
        "N",
        "cells",
        "order, T = 1",
        "cells / order",
        "bound with T",
        "proven for all",
    ]
    header += ["locus", "bound", "bound / locus"]
    body = []
    for rank, width in dict.fromkeys((row["rank"], row["width"]) for row in rows):
        own = [row for row in rows if (row["rank"], row["width"]) == (rank, width)]
        cells, locus = (float(np.mean([row[name] for row in own])) for name in ("cells", "locus"))
        count_bound, locus_bound = _bounds(own)
        body.append(
            [
                "ReLU" if rank == 1 else f"maxout of rank {rank}",
                str(own[0]["units"]),
                _with_spread([row["cells"] for row in own]),
                f"{own[0]['order']:,.0f}",
                f"{cells / own[0]['order']:.3g}",
                f"{count_bound:.2g}",
                f"{own[0]['upper']:.2g}",
                _with_spread([row["locus"] for row in own]),
                f"{locus_bound:.3g}",
                f"{locus_bound / locus:.3g}",
            ]
        )
    return markdown_table(header, body)


def _slopes(box: list[Row]) -> dict[int, tuple[float, float, float]]:
    return {
        rank: log_log_slope(
            [row["units"] for row in box if row["rank"] == rank],
            [row["cells"] for row in box if row["rank"] == rank],
        )
        for rank in sorted({row["rank"] for row in box})
    }


def _finding(closed: list[Row], effects: list[Effect], box: list[Row], digits: list[Row]) -> str:
    worst = max(closed, key=lambda row: abs(row["z"]))
    two = [effect for effect in effects if effect.name.startswith("LC as two")]
    slopes = ", ".join(
        f"{'ReLUs' if rank == 1 else f'rank {rank}'} {fit[0]:.2f} ({fit[1]:.2f} to {fit[2]:.2f})"
        for rank, fit in _slopes(box).items()
    )
    groups = [
        [r for r in box if (r["rank"], r["width"]) == key] for key in {(r["rank"], r["width"]) for r in box}
    ]
    over = [
        (_bounds(own)[0] / float(np.mean([r["cells"] for r in own])),
         _bounds(own)[1] / float(np.mean([r["locus"] for r in own])))
        for own in groups
    ]  # fmt: skip
    shares = {
        rank: float(np.mean([row["cells"] / row["order"] for row in box if row["rank"] == rank]))
        for rank in _slopes(box)
    }
    told = ", ".join(
        f"{share:.2g} of it for {'ReLUs' if rank == 1 else f'rank {rank}'}" for rank, share in shares.items()
    )
    doubled = " and ".join(
        f"{one.numbers} times the local complexity at {one.name.rpartition(', ')[2]}" for one in two
    )
    moved = [e for e in effects if e not in two and e.verdict != "undecided"]
    return prose(
        f"""(1) The estimator agrees with the closed forms of leaky units and of maxout (largest |z|
        {abs(worst["z"]):.2f}). (2) One leaky unit written as two ReLUs, each with noise of its own, has
        {doubled}:
        a sum over ReLUs counts such a unit twice, so a unit must be counted as one. (3) The number of cells
        grows with the exponents {slopes} in N, where both orders say 2; the order with T = 1 is an
        overestimate that grows with the rank ({told}). The bounds with their constants are
        {min(o[0] for o in over):.2g} to {max(o[0] for o in over):.2g} times the mean count and
        {min(o[1] for o in over):.3g} to {max(o[1] for o in over):.3g} times the mean locus. (4) On planes
        through digits {len(moved)} of {len(effects) - len(two)} changes by training stand after the
        correction{": " if moved else ""}{"; ".join(f"{one.name} {one.numbers}" for one in moved)}."""
    )


def _headline(effects: list[Effect], z: list[float], summed: float) -> str:
    two = [effect for effect in effects if effect.name.startswith("LC as two")]
    return prose(
        f"""On leaky ReLUs and maxout the co-area estimator agrees with closed forms in
        {sum(one < _LIMIT for one in z)} of {len(z)} cases, and on planes of these and convolutional networks
        with exact values (z of the sum {summed:+.2f}); a leaky unit written as two ReLUs counts
        {min(e.middle for e in two):.2f} to {max(e.middle for e in two):.2f} times."""
    )


def _draw(folder: Folder, rows: list[Row]) -> None:
    from matplotlib import pyplot as plt

    figure, axis = plt.subplots(figsize=(5.2, 3.8), layout="constrained")
    for color, rank in enumerate(sorted({row["rank"] for row in rows})):
        own = [row for row in rows if row["rank"] == rank]
        units = sorted({row["units"] for row in own})
        counts = [[row["cells"] for row in own if row["units"] == n] for n in units]
        title = "ReLU" if rank == 1 else f"maxout of rank {rank}"
        axis.errorbar(
            units, [np.mean(c) for c in counts], [np.std(c) for c in counts],
            fmt="o-", color=f"C{color}", capsize=2, label=title,
        )  # fmt: skip
        orders = [next(row["order"] for row in own if row["units"] == n) for n in units]
        axis.plot(units, orders, "--", color=f"C{color}", lw=1)
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_xlabel("units N")
    axis.set_ylabel("cells")
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8)
    folder.save_figure("counts", figure)


EXPERIMENT = Experiment("other_units", "Leaky ReLUs, maxout, convolutions", run, report, needs=("torch",))
