"""Local complexity, total variation, exact distances to the decision boundary, and attacks beside them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from regions import Network, from_torch, local_complexity, minimal_perturbation
from validation.experiments.paired_effects import (
    Effect,
    difference_effect,
    effect_table,
    judged,
    ratio_effect,
)
from validation.framework import Check, Experiment, Folder, Pool, Section, case_rng, markdown_table, prose
from validation.network_measures import accuracy, density_of, jacobian_means
from validation.training_data import make_data

__all__ = ["EXPERIMENT", "attacked"]

Row = dict[str, Any]
FloatArray = NDArray[np.float64]

_KINDS = {"plain": "plain", "noise": "noise on inputs", "penalty": "penalty on the Jacobian"}
# relative, of distances that solvers find
_SOLVED_TO = 1e-6
_BATCH = 64
_QUANTITIES = {
    "lc": "LC",
    "tv": "TV",
    "scaled_tv": "TV over the mean margin",
    "distance": "mean distance",
}


@dataclass(frozen=True)
class _Training:
    kind: str
    seed: int
    config: dict[str, Any]


def run(config: dict[str, Any], folder: Folder, pool: Pool) -> None:
    """Train, then measure each network; the distances of many points are computed in parts."""
    trainings = [_Training(kind, seed, config) for kind in _KINDS for seed in range(config["seeds"])]
    trained = [one for part in pool.map(_train, trainings, "training for robustness") for one in part]
    parts = [
        (number, network, step == config["steps"][-1], start, config)
        for number, (_, _, step, network) in enumerate(trained)
        for start in range(0, _count(config, step), config["at_once"])
    ]
    points = [row for rows in pool.map(_points, parts, "distances of test points") for row in rows]
    own: list[list[Row]] = [[] for _ in trained]
    for row in points:
        own[row.pop("network")].append(row)
    items = [(*one, config, found) for one, found in zip(trained, own, strict=True)]
    folder.write_csv("networks", pool.map(_measure, items, "robustness"))


def _count(config: dict[str, Any], step: int) -> int:
    return int(config["points_at_end"] if step == config["steps"][-1] else config["points"])


def _train(item: _Training) -> list[tuple[str, int, int, Network]]:
    """Networks at the recorded steps, by Adam."""
    import torch

    torch.set_num_threads(1)
    config, data = item.config, make_data("digits", 0)
    # kinds of one seed share initial weights and minibatches
    rng = case_rng("robustness", item.seed)
    torch.manual_seed(int(rng.integers(2**31)))
    sizes = [data.train_x.shape[1], *config["hidden"], data.outputs]
    layers: list[Any] = []
    for n, m in pairwise(sizes):
        layers += [torch.nn.Linear(n, m), torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers[:-1])
    x, y = torch.tensor(data.train_x, dtype=torch.float32), torch.tensor(data.train_y)
    optimizer = torch.optim.Adam(model.parameters(), lr=config["learning_rate"])
    noise = torch.Generator().manual_seed(item.seed)
    found, done = [], 0
    for stop in config["steps"]:
        for pick in torch.tensor(rng.integers(len(x), size=(stop - done, _BATCH))):
            batch = x[pick]
            if item.kind == "noise":
                batch = batch + config["noise"] * torch.randn(batch.shape, generator=noise)
            batch.requires_grad_(item.kind == "penalty")
            outputs = model(batch)
            loss = torch.nn.functional.cross_entropy(outputs, y[pick])
            if item.kind == "penalty":
                # E |grad (v . N)|^2 over normal v is the squared Frobenius norm of the Jacobian
                seen = (outputs * torch.randn(outputs.shape, generator=noise)).sum()
                (slope,) = torch.autograd.grad(seen, batch, create_graph=True)
                loss = loss + config["penalty"] * slope.square().sum(dim=1).mean()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
        done = stop
        found.append((item.kind, item.seed, stop, from_torch(model)))
    return found


def _points(item: tuple[int, Network, bool, int, dict[str, Any]]) -> list[Row]:
    """The exact distance of a part of the test points, and which attacks succeed."""
    number, network, last, start, config = item
    data = make_data("digits", 0)
    count = config["points_at_end"] if last else config["points"]
    places = range(start, min(start + config["at_once"], count))
    x, y = data.test_x[places], data.test_y[places].astype(np.int64)
    outputs = network.forward(x)
    right = outputs.argmax(axis=1) == y
    rows: list[Row] = [
        {"network": number, "point": place, "right": bool(ok), "lower": 0.0, "upper": 0.0, "complete": True}
        for place, ok in zip(places, right, strict=True)
    ]
    for k in np.flatnonzero(right):
        found = minimal_perturbation(network, x[k], max_cells=config["max_cells"])
        rows[k] |= {"lower": found.lower, "upper": found.upper, "complete": found.status.name == "COMPLETE"}
    for radius in config["radii"]:
        broken = attacked(network, x, y, radius, config["attack_steps"]) | ~right
        for row, fell in zip(rows, broken, strict=True):
            row[f"broken_{radius:g}"] = bool(fell)
    return rows


def attacked(
    network: Network, x: FloatArray, y: NDArray[np.int64], radius: float, steps: int
) -> NDArray[np.bool_]:
    """Return which points projected gradient ascent of the margin misclassifies within a Euclidean radius.

    Examples
    --------
    >>> network = Network.from_arrays([np.eye(2)], [np.zeros(2)])  # the boundary is x_0 = x_1
    >>> points, labels = np.array([[1.0, 0.0], [3.0, 0.0]]), np.array([0, 0])
    >>> attacked(network, points, labels, 1.0, 10).tolist()
    [True, False]
    """
    start, best = x, np.zeros(len(x), dtype=bool)
    own, step = np.arange(len(x)), 2.5 * radius / steps
    for _ in range(steps + 1):
        outputs, slopes = _jacobian(network, x)
        others = outputs.copy()
        others[own, y] = -np.inf
        rival = others.argmax(axis=1)
        best |= outputs[own, rival] > outputs[own, y]
        ascent = slopes[own, rival] - slopes[own, y]
        x = x + step * ascent / np.maximum(np.linalg.norm(ascent, axis=1, keepdims=True), 1e-300)
        away = x - start
        far = np.linalg.norm(away, axis=1, keepdims=True)
        # a hair inside, so that rounding takes no point out
        x = start + away * np.minimum(1.0, radius * (1.0 - 1e-12) / np.maximum(far, 1e-300))
    return best


def _jacobian(network: Network, x: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Outputs `(N, c)` and their gradients `(N, c, d)`."""
    active, masks = x, []
    for weights, biases in zip(network.weights[:-1], network.biases[:-1], strict=True):
        heights = active @ weights.T + biases
        masks.append(heights > 0.0)
        active = np.maximum(heights, 0.0)
    outputs = active @ network.weights[-1].T + network.biases[-1]
    slopes = np.broadcast_to(network.weights[-1], (len(x), *network.weights[-1].shape))
    for weights, mask in zip(network.weights[-2::-1], masks[::-1], strict=True):
        slopes = (slopes * mask[:, None, :]) @ weights
    return outputs, slopes


def _measure(item: tuple[str, int, int, Network, dict[str, Any], list[Row]]) -> Row:
    kind, seed, step, network, config, points = item
    data = make_data("digits", 0)
    density, names = density_of(data, config["bandwidth"]), ("robustness", kind, seed, step)
    lc = local_complexity(network, density, config["sigma"], config["samples"], case_rng(*names))
    outputs = np.sort(network.forward(data.test_x), axis=1)
    tv = jacobian_means(network, data.test_x[: config["jacobians"]], 0.01).variation
    right = [row for row in points if row["right"]]
    distances = np.array([row["upper"] for row in right])
    row: Row = {
        "kind": kind,
        "seed": seed,
        "step": step,
        "train_accuracy": accuracy(network, data.train_x, data.train_y),
        "test_accuracy": accuracy(network, data.test_x, data.test_y),
        "lc": lc.mean,
        "lc_stderr": lc.stderr,
        "tv": tv,
        "scaled_tv": tv / float((outputs[:, -1] - outputs[:, -2]).mean()),
        "points": len(points),
        "right": len(right),
        "complete": sum(one["complete"] for one in right),
        "distance": float(distances.mean()),
        **{f"distance_{q}": float(np.quantile(distances, q / 100)) for q in (5, 25, 50, 75, 95)},
        # attacks that succeed nearer than the boundary is: there must be none
        "impossible": sum(
            one[f"broken_{radius:g}"] and one["lower"] > radius * (1.0 + _SOLVED_TO)
            for one in right
            for radius in config["radii"]
        ),
    }
    for radius in config["radii"]:
        # where only bounds are known, the lower one: robust is what is proven
        proven = sum(one["lower"] > radius for one in right) / len(points)
        row |= {f"exact_{radius:g}": proven}
        row |= {f"attack_{radius:g}": sum(not one[f"broken_{radius:g}"] for one in points) / len(points)}
    return row


def report(config: dict[str, Any], folder: Folder) -> Section:
    """The section on robustness."""
    rows = folder.read_csv("networks")
    ends = [row for row in rows if row["step"] == config["steps"][-1]]
    effects = judged(_effects(rows, ends))
    _draw(folder, config, rows, ends)
    impossible = sum(row["impossible"] for row in rows)
    solved, asked = (sum(row[name] for row in rows) for name in ("complete", "right"))
    below = _between(config, rows)
    return Section(
        question=prose(
            """Proposition 6 of the paper says, in a simplified setting, that a small total variation leaves
            no adversarial examples near the data. Are networks of lower local complexity and total variation
            farther from their decision boundary, with distances that are exact and not those of an attack?"""
        ),
        method=prose(
            f"""Digits, ReLU layers {"-".join(map(str, config["hidden"]))}, Adam at
            {config["learning_rate"]:g}, batches of {_BATCH}, {config["seeds"]} seeds, looked at after
            {", ".join(f"{step:,}" for step in config["steps"])} steps; plain, with normal noise
            of standard deviation {config["noise"]:g} on the inputs, and with
            {config["penalty"]:g} times the squared Frobenius norm of the Jacobian added to the loss; kinds of
            one seed share initial weights and minibatches. For {config["points_at_end"]:,} test images at the
            end, and {config["points"]} before, the Euclidean distance to the nearest other prediction, by
            `minimal_perturbation` over all cells in between; of {asked:,} distances asked for {solved:,} are
            exact (the others, after {config["max_cells"]:,} cells, have bounds, of which the lower one counts
            as robust and the upper one enters means). Beside it projected gradient ascent of the margin,
            {config["attack_steps"]} steps, at radii {", ".join(f"{r:g}" for r in config["radii"])}. LC at
            sigma {config["sigma"]:g} on a kernel of standard deviation {config["bandwidth"]:g} around the
            training images; TV is the mean Frobenius norm of the Jacobian at {config["jacobians"]} test
            images. Misclassified images count as not robust and have no distance. Ratios are paired by
            seed; verdicts corrected by Holm."""
        ),
        table="\n\n".join([_table(config, rows), effect_table("ratio or correlation", effects)]),
        figures=(
            (
                "distances",
                "Left: mean exact distance against TV over the mean margin, lines over training; "
                "right: share of test images that are robust, exactly (lines) and under attack (dots)",
            ),
        ),
        finding=_finding(effects, _between(config, ends)),
        limits=prose(
            """Small networks on 8 x 8 digits, Euclidean distances in the whole space (pixels may leave
            [0, 1]). The proposition's setting was not at hand in full; what is tested is its consequence over
            networks that differ in training, which also differ in more than their total variation. The scale
            of the outputs changes TV and no distance, hence TV over the mean margin beside it."""
        ),
        checks=(
            Check(
                "no attack succeeds nearer than the exact distance to the boundary",
                impossible == 0,
                f"{impossible} of {asked * len(config['radii']):,} points and radii",
            ),
            Check(
                "accuracy under attack is at least the exact robust accuracy",
                min(below) >= -1e-12,
                f"smallest difference {min(below):.2g} of {len(below)}",
            ),
        ),
        headline=_headline(config, effects, _between(config, ends), solved),
    )


def _between(config: dict[str, Any], rows: list[Row]) -> list[float]:
    """Accuracy under attack less the share that is proven robust."""
    return [row[f"attack_{r:g}"] - row[f"exact_{r:g}"] for row in rows for r in config["radii"]]


def _effects(rows: list[Row], ends: list[Row]) -> list[Effect]:
    by = {(row["kind"], row["seed"]): row for row in ends}
    seeds = sorted({row["seed"] for row in ends})
    effects = [
        ratio_effect(
            f"{_KINDS[kind]} over plain: {title}",
            [by[kind, seed][name] / by["plain", seed][name] for seed in seeds],
        )
        for kind in _KINDS
        if kind != "plain"
        for name, title in _QUANTITIES.items()
    ]
    first = min(row["step"] for row in rows)
    start = {(row["kind"], row["seed"]): row for row in rows if row["step"] == first}
    effects += [
        ratio_effect(
            f"plain, last record over first: {title}",
            [by["plain", seed][name] / start["plain", seed][name] for seed in seeds],
        )
        for name, title in _QUANTITIES.items()
    ]
    for name in ("lc", "tv", "scaled_tv"):
        # over the records and kinds of one seed, so that seeds stay independent
        found = []
        for seed in seeds:
            own = [row for row in rows if row["seed"] == seed]
            found.append(float(spearmanr([r[name] for r in own], [r["distance"] for r in own]).statistic))
        effects.append(difference_effect(f"correlation of {_QUANTITIES[name]} and mean distance", found))
    return effects


def _table(config: dict[str, Any], rows: list[Row]) -> str:
    radii = config["radii"]
    header = ["networks", "step", "test accuracy", "LC", "TV", "TV / margin", "mean distance", "5 % to 95 %"]
    header += [f"robust at {r:g}: exact, attacked" for r in radii]
    body = []
    for kind in _KINDS:
        for step in config["steps"]:
            own = [row for row in rows if (row["kind"], row["step"]) == (kind, step)]
            mean = {name: float(np.mean([row[name] for row in own])) for name in own[0] if name != "kind"}
            body.append(
                [
                    _KINDS[kind],
                    f"{step:,}",
                    f"{mean['test_accuracy']:.1%}",
                    f"{mean['lc']:.3g}",
                    f"{mean['tv']:.3g}",
                    f"{mean['scaled_tv']:.3g}",
                    f"{mean['distance']:.3f}",
                    f"{mean['distance_5']:.2f} to {mean['distance_95']:.2f}",
                    *[f"{mean[f'exact_{r:g}']:.1%}, {mean[f'attack_{r:g}']:.1%}" for r in radii],
                ]
            )
    return markdown_table(header, body)


def _finding(effects: list[Effect], below: list[float]) -> str:
    told = "; ".join(f"{one.name} {one.numbers}, {one.verdict}" for one in effects)
    return prose(
        f"""{told[0].upper()}{told[1:]}. At the end the attack leaves up to {max(below):.1%}
        (mean {np.mean(below):.2%}) of the images standing that are not proven robust."""
    )


def _headline(config: dict[str, Any], effects: list[Effect], below: list[float], solved: int) -> str:
    named = {one.name: one for one in effects}
    own = named["correlation of TV over the mean margin and mean distance"]
    lc = named["correlation of LC and mean distance"]
    return prose(
        f"""Over training and regularisation the mean of {solved:,} exact distances to the decision boundary
        has a rank correlation of {own.numbers} with total variation over the margin, and {lc.numbers} with
        local complexity; an attack of {config["attack_steps"]} steps leaves up to {max(below):.1%} of the
        images standing that are not proven robust."""
    )


def _draw(folder: Folder, config: dict[str, Any], rows: list[Row], ends: list[Row]) -> None:
    from matplotlib import pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(9.0, 3.6), layout="constrained")
    for color, (kind, title) in enumerate(_KINDS.items()):
        for seed in sorted({row["seed"] for row in rows}):
            own = [row for row in rows if (row["kind"], row["seed"]) == (kind, seed)]
            left.plot(
                [row["scaled_tv"] for row in own], [row["distance"] for row in own],
                "o-", color=f"C{color}", ms=3, lw=0.7, label=title if seed == 0 else None,
            )  # fmt: skip
        last = [row for row in ends if row["kind"] == kind]
        exact, attack = (
            [float(np.mean([row[f"{name}_{r:g}"] for row in last])) for r in config["radii"]]
            for name in ("exact", "attack")
        )
        right.plot(config["radii"], exact, "-", color=f"C{color}", label=title)
        right.plot(config["radii"], attack, "o", color=f"C{color}", mfc="none")
    left.set_xlabel("TV over the mean margin")
    left.set_ylabel("mean distance to the decision boundary")
    left.set_xscale("log")
    right.set_xlabel("radius")
    right.set_ylabel("robust test images")
    for axis in (left, right):
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8)
    folder.save_figure("distances", figure)


EXPERIMENT = Experiment(
    "robustness", "Robustness: exact distances to the decision boundary", run, report, needs=("torch",)
)
