"""Hanin and Rolnick in their own protocol: counts, loci and distances as the variance of biases goes to 0."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regions import Network, Segment, Slice, count_cells, enumerate_cells, from_torch, locus_volume
from regions.validation.tracking.data_distances import cell_distances
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
from validation.network_measures import accuracy
from validation.paper import SectionWithAppendix
from validation.training_data import make_data

__all__ = ["EXPERIMENT"]

Row = dict[str, Any]
FloatArray = NDArray[np.float64]

_ROUNDING = 1e-9
_BATCH = 64
# what they say of the growth with the number N of units
_EXPONENTS = {"distance": ("distance", -1), "cells": ("count on planes", 2), "line": ("count on lines", 1)}
# of planes: a fifth beyond their images, and as good as the whole plane
_NEAR, _FAR = 0.2, 100.0


def run(config: dict[str, Any], folder: Folder, pool: Pool) -> None:
    """Initial networks of several sizes and biases, and networks in training."""
    width, depth = config["shape"]
    shapes = [(width, depth, variance) for variance in config["variances"]]
    small = min(v for v in config["variances"] if v > 0.0)
    shapes += [(w, d, small) for w, d in config["shapes"] if (w, d) != (width, depth)]
    items = [(*shape, seed, config) for shape in shapes for seed in range(config["seeds"])]
    folder.write_csv("initial", pool.map(_initial, items, "Hanin and Rolnick, initial networks"))
    trained = [(seed, small, config) for seed in range(config["training_seeds"])]
    rows = pool.map(_training, trained, "Hanin and Rolnick, training")
    folder.write_csv("training", [row for part in rows for row in part])


def _initialised(width: int, depth: int, variance: float, seed: int) -> Network:
    """Normal weights of variance 2 / fan-in, the same for all variances of the biases."""
    rng = case_rng("Hanin and Rolnick", width, depth, seed)
    sizes = [64, *[width] * depth, 10]
    weights = [math.sqrt(2.0 / n) * rng.standard_normal((m, n)) for n, m in pairwise(sizes)]
    biases = [math.sqrt(variance) * rng.standard_normal(m) for m in sizes[1:]]
    return Network.from_arrays(weights, biases)


def _domains(seed: int) -> tuple[Slice, Segment]:
    """The plane through three images and the segment between two, of different classes."""
    data = make_data("digits", 0)
    places = [np.flatnonzero(data.train_y == label)[seed] for label in range(3)]
    images = data.train_x[places]
    return Slice.through(*images, margin=_NEAR), Segment(images[0], images[1])


def _geometry(network: Network, seed: int, points: FloatArray) -> Row:
    plane, segment = _domains(seed)
    cells = enumerate_cells(network, plane, workers=1)
    on_line = enumerate_cells(network, segment, workers=1)
    distances, units = cell_distances(network, points), network.n_units
    return {
        "units": units,
        "cells": cells.n_cells,
        "share": cells.n_cells / (units**2 / 2),
        "locus": locus_volume(cells).total / plane.volume / units,
        "line": on_line.n_cells,
        "line_share": on_line.n_cells / units,
        "distance": float(distances.mean()),
        "distance_units": float(distances.mean()) * units,
        "distance_median": float(np.median(distances)),
    }


def _initial(item: tuple[int, int, float, int, dict[str, Any]]) -> Row:
    width, depth, variance, seed, config = item
    network = _initialised(width, depth, variance, seed)
    points = make_data("digits", 0).test_x[: config["points"]]
    row: Row = {"width": width, "depth": depth, "variance": variance, "seed": seed}
    row |= _geometry(network, seed, points)
    row["far_share"] = _far_share(network, seed)
    # the same by another way: biases s times as large are a domain 1 / s times as large
    row["same"] = True
    if variance > 0.0:
        scale = math.sqrt(variance)
        unit = Network.from_arrays(network.weights, [bias / scale for bias in network.biases])
        other = Slice.through(*(make_data("digits", 0).train_x[_places(seed)] / scale), margin=_NEAR)
        row["same"] = count_cells(unit, other, workers=1).n_cells == row["cells"]
    return row


def _far_share(network: Network, seed: int) -> float:
    """Cells of as good as the whole plane through the images, over N^2 / 2."""
    plane = Slice.through(*make_data("digits", 0).train_x[_places(seed)], margin=_FAR)
    return count_cells(network, plane, workers=1).n_cells / (network.n_units**2 / 2)


def _places(seed: int) -> list[int]:
    data = make_data("digits", 0)
    return [int(np.flatnonzero(data.train_y == label)[seed]) for label in range(3)]


def _training(item: tuple[int, float, dict[str, Any]]) -> list[Row]:
    """Adam at 1e-3 from their initialisation, measured on the way."""
    import torch

    torch.set_num_threads(1)
    seed, variance, config = item
    width, depth = config["shape"]
    data, start = make_data("digits", 0), _initialised(width, depth, variance, seed)
    layers: list[Any] = []
    for weights, biases in zip(start.weights, start.biases, strict=True):
        linear = torch.nn.Linear(weights.shape[1], weights.shape[0], dtype=torch.float64)
        linear.weight.data, linear.bias.data = torch.tensor(weights), torch.tensor(biases)
        layers += [linear, torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers[:-1])
    x, y = torch.tensor(data.train_x), torch.tensor(data.train_y)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    rng = case_rng("Hanin and Rolnick, batches", seed)
    rows, done = [], 0
    for stop in config["steps"]:
        for pick in torch.tensor(rng.integers(len(x), size=(stop - done, _BATCH))):
            optimizer.zero_grad(set_to_none=True)
            torch.nn.functional.cross_entropy(model(x[pick]), y[pick]).backward()
            optimizer.step()
        done, network = stop, from_torch(model)
        row: Row = {"seed": seed, "step": stop, "test_accuracy": accuracy(network, data.test_x, data.test_y)}
        rows.append(row | _geometry(network, seed, data.test_x[: config["points"]]))
    return rows


def report(config: dict[str, Any], folder: Folder) -> SectionWithAppendix:
    """The section on Hanin and Rolnick's protocol."""
    initial, training = folder.read_csv("initial"), folder.read_csv("training")
    effects = judged(_effects(config, initial, training))
    _draw(folder, config, initial, training)
    draw_effects(folder, effects)
    width, depth = config["shape"]
    order = (width * depth) ** 2 / 2
    return SectionWithAppendix(
        question=prose(
            """With He's weights and biases of variance 1e-6, Hanin and Rolnick find about N^2 / 2 cells on
            planes through data and N on lines, a distance of data to the nearest boundary like 1 / N, and all
            this about the same while Adam trains the network. What do exact counts say, as the variance goes
            to 0?"""
        ),
        method=prose(
            f"""Digits; {width} units in each of {depth} layers (N = {width * depth},
            N^2 / 2 = {order:,.0f}), biases of variance {", ".join(f"{v:g}" for v in config["variances"])} on
            the same weights, and other shapes at the smallest that is not 0; {config["seeds"]} seeds, of
            which {config["training_seeds"]} are trained. Exact numbers of cells on the plane through one
            image of each of three classes and on the segment between two, exact length of the locus on the
            plane, and the distance of {config["points"]} test images to the boundary of their cell in all 64
            dimensions, min_i |z_i| / ‖grad z_i‖. Exponents are each seed's slopes of logarithms over all
            shapes."""
        ),
        table="",
        appendix="\n\n".join(
            [
                _table("variance", "variance of biases", [r for r in initial if _is_shape(config, r)]),
                _shape_table(config, initial),
                _table("step", "step", training),
                effect_table("ratio or exponent", effects),
            ]
        ),
        figures=(
            ("forest", "Exact values over what is reported (left), and exponents less theirs (right)"),
            (
                "protocol",
                "Left: cells over N^2 / 2 and, on a line, over N, against the variance of biases; middle: "
                "mean distance to the boundary against N, with the slope -1; right: over training (dashed: "
                "N^2 / 2 cells)",
            ),
        ),
        finding=_finding(config, effects, initial, training),
        limits=prose(
            f"""The published figures are known here by what is reported in words. Counts depend on how far a
            plane reaches: {_NEAR:g} of its size beyond the images, and {_FAR:g} times where the whole plane
            is meant."""
        ),
        checks=(
            Check(
                "biases s times as large have as many cells as a domain 1 / s times as large",
                all(row["same"] for row in initial),
                f"{sum(row['variance'] > 0.0 for row in initial)} networks, "
                f"{sum(not row['same'] for row in initial)} differ",
            ),
        ),
        headline=_headline(config, effects, initial, training),
    )


def _is_shape(config: dict[str, Any], row: Row) -> bool:
    return [row["width"], row["depth"]] == list(config["shape"])


def _of_seed(rows: list[Row], key: str, value: Any, name: str) -> list[float]:
    return [row[name] for row in sorted(rows, key=lambda row: row["seed"]) if row[key] == value]


def _effects(config: dict[str, Any], initial: list[Row], training: list[Row]) -> list[Effect]:
    own = [row for row in initial if _is_shape(config, row)]
    small = min(v for v in config["variances"] if v > 0.0)
    at_small = [row for row in initial if row["variance"] == small]
    effects = [
        ratio_effect(f"cells over N^2 / 2, variance {small:g}", _of_seed(own, "variance", small, "share")),
        ratio_effect(
            f"cells of the whole plane over N^2 / 2, variance {small:g}",
            _of_seed(own, "variance", small, "far_share"),
        ),
        ratio_effect(
            f"cells on a line over N, variance {small:g}", _of_seed(own, "variance", small, "line_share")
        ),
        ratio_effect(
            f"cells, variance {small:g} over {max(config['variances']):g}",
            np.divide(
                _of_seed(own, "variance", small, "cells"),
                _of_seed(own, "variance", max(config["variances"]), "cells"),
            ),
        ),
    ]  # fmt: skip
    for name, (title, predicted) in _EXPONENTS.items():
        slopes = []
        for seed in sorted({row["seed"] for row in at_small}):
            mine = [row for row in at_small if row["seed"] == seed]
            slopes.append(float(slope_of_each(
                np.log([r["units"] for r in mine]), np.log([[r[name] for r in mine]]))[0]))  # fmt: skip
        effects.append(
            difference_effect(f"exponent of the {title} in N less {predicted}", np.array(slopes) - predicted)
        )
    first, last = (pick(row["step"] for row in training) for pick in (min, max))
    titles = {"cells": "cells", "locus": "locus", "line": "cells on a line", "distance": "distance"}
    for name, title in titles.items():
        ratios = np.divide(_of_seed(training, "step", last, name), _of_seed(training, "step", first, name))
        effects.append(ratio_effect(f"training, step {last:,} over {first}: {title}", ratios))
    return effects


_COLUMNS = {
    "cells": "cells",
    "share": "cells / (N^2 / 2)",
    "far_share": "of the whole plane / (N^2 / 2)",
    "line_share": "on a line / N",
    "locus": "locus / (area N)",
    "distance": "distance",
    "distance_units": "distance times N",
}


def _table(key: str, title: str, rows: list[Row]) -> str:
    accuracy_too = {"test_accuracy": "test accuracy"} if "test_accuracy" in rows[0] else {}
    columns = {name: title for name, title in (_COLUMNS | accuracy_too).items() if name in rows[0]}
    body = []
    for value in dict.fromkeys(row[key] for row in rows):
        own = [row for row in rows if row[key] == value]
        shown = f"{value:,}" if key == "step" else f"{value:g}"
        body.append([shown, *[mean_and_spread(row[name] for row in own) for name in columns]])
    return markdown_table([title, *columns.values()], body)


def _shape_table(config: dict[str, Any], rows: list[Row]) -> str:
    small = min(v for v in config["variances"] if v > 0.0)
    body = []
    for width, depth in sorted({(row["width"], row["depth"]) for row in rows}):
        own = [r for r in rows if (r["width"], r["depth"], r["variance"]) == (width, depth, small)]
        body.append(
            [
                f"{width} x {depth}",
                str(own[0]["units"]),
                *[mean_and_spread(row[name] for row in own) for name in _COLUMNS],
            ]
        )
    return markdown_table([f"width x depth, variance {small:g}", "N", *_COLUMNS.values()], body)


def _finding(config: dict[str, Any], effects: list[Effect], initial: list[Row], training: list[Row]) -> str:
    own = [row for row in initial if _is_shape(config, row)]
    shares = {v: float(np.mean(_of_seed(own, "variance", v, "share"))) for v in config["variances"]}
    told = ", ".join(f"{share:.3g} at {variance:g}" for variance, share in shares.items())
    exponents = ", ".join(
        f"{told_effect(one)} for the {one.name.removeprefix('exponent of the ').partition(' in N')[0]}"
        for one in effects
        if one.name.startswith("exponent")
    )
    changes = ", ".join(
        f"the {one.name.partition(': ')[2]} by x {told_effect(one)}"
        for one in effects
        if one.name.startswith("training") and not one.name.endswith(": cells")
    )
    least, whole, first = effects[0], effects[1], min(config["variances"])
    means = [
        float(np.mean(_of_seed(training, "step", step, "cells"))) for step in {r["step"] for r in training}
    ]
    ends = [row["test_accuracy"] for row in training if row["step"] == max(r["step"] for r in training)]
    return prose(
        f"""Near the images N^2 / 2 is {_beside_one(least)}; on as good as the whole plane the count
        {_differs(whole)}. By the variance of the biases the mean share near the images is {told}; at variance
        {first:g} what is left is the fan of cones that a plane off the origin cuts. Exponents in N less the
        reported ones are {exponents}. Training to a test accuracy of {np.mean(ends):.1%} changes {changes};
        between records the mean count varies by a factor of {max(means) / min(means):.2f}."""
    )


def _beside_one(effect: Effect) -> str:
    if effect.verdict == "undecided":
        return "not told from the count"
    return "an underestimate" if effect.middle > 1.0 else "an overestimate"


def _differs(effect: Effect) -> str:
    return "is not told from it" if effect.verdict == "undecided" else f"is {effect.verdict} than it"


def _headline(config: dict[str, Any], effects: list[Effect], initial: list[Row], training: list[Row]) -> str:
    named = {one.name: one for one in effects}
    distance = named["exponent of the distance in N less -1"]
    cells = next(one for one in effects if one.name.startswith("training") and one.name.endswith(": cells"))
    return prose(
        f"""At a variance of {min(v for v in config["variances"] if v > 0.0):g} planes have
        {effects[0].numbers} times N^2 / 2 cells near digits and {effects[1].numbers} in all; the exponent of
        the distance in N is {distance.middle - 1.0:.3g} ({distance.low - 1.0:.3g} to
        {distance.high - 1.0:.3g}); training changes the count by a factor of {told_effect(cells)}."""
    )


def _draw(folder: Folder, config: dict[str, Any], initial: list[Row], training: list[Row]) -> None:
    from matplotlib import pyplot as plt

    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(11.0, 3.4), layout="constrained")
    own = [row for row in initial if _is_shape(config, row)]
    variances = sorted(config["variances"])
    least = min(v for v in variances if v > 0.0)
    places = [v if v > 0.0 else 0.01 * least for v in variances]
    shares = {
        "share": "near digits: cells / (N² / 2)",
        "far_share": "whole plane: cells / (N² / 2)",
        "line_share": "line: cells / N",
    }
    for color, (name, title) in enumerate(shares.items()):
        values = [_of_seed(own, "variance", v, name) for v in variances]
        left.errorbar(
            places, [np.mean(v) for v in values], [np.std(v) for v in values],
            fmt="o-", color=f"C{color}", capsize=2, label=title,
        )  # fmt: skip
    left.axhline(1.0, color="k", ls="--", lw=0.8)
    left.set_xscale("log")
    left.set_xlabel("variance of the biases (leftmost: 0)")
    small = [row for row in initial if row["variance"] == least]
    for depth in sorted({row["depth"] for row in small}):
        mine = [row for row in small if row["depth"] == depth]
        places = [row["units"] for row in mine]
        middle.plot(places, [row["distance"] for row in mine], "o", ms=3, label=f"depth {depth}")
    units = np.array(sorted({row["units"] for row in small}), dtype=float)
    scale = float(np.exp(np.mean(np.log([row["distance_units"] for row in small]))))
    middle.plot(units, scale / units, "k--", lw=0.8)
    middle.set_xscale("log")
    middle.set_yscale("log")
    middle.set_xlabel("units N")
    middle.set_ylabel("mean distance to the boundary")
    shares = {name: shares[name] for name in ("share", "line_share")} | {"distance_units": "distance · N"}
    for color, (name, title) in enumerate(shares.items()):
        for seed in sorted({row["seed"] for row in training}):
            mine = [row for row in training if row["seed"] == seed]
            right.plot(
                [r["step"] for r in mine], [r[name] for r in mine], "-", color=f"C{color}", lw=0.8,
                label=title if seed == 0 else None,
            )  # fmt: skip
    right.axhline(1.0, color="k", ls="--", lw=0.8)
    right.set_xscale("symlog", linthresh=1.0)
    right.set_yscale("log")
    right.set_xlabel("step")
    right.set_xlim(left=-0.2)
    for axis in (left, middle, right):
        axis.grid(alpha=0.3)
        axis.legend(fontsize=7)
    folder.save_figure("protocol", figure)


EXPERIMENT = Experiment(
    "hanin_rolnick", "Hanin and Rolnick in their own protocol", run, report, needs=("torch",)
)
