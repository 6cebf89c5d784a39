"""Cells and locus of networks at initialisation, against Hanin and Rolnick: units^d / d!, and units."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.stats import linregress, t

from regions import Coarea, Network, Segment, UniformDensity, enumerate_cells, locus_volume, sum_over_cells
from regions.domain import Domain
from validation.forest import Line, draw_forest
from validation.framework import Check, Experiment, Folder, Pool, case_rng, markdown_table, prose
from validation.paper import SectionWithAppendix
from validation.problems import cube, digits_images, digits_slice

__all__ = ["EXPERIMENT", "log_log_slope", "sweep_rows"]

Row = dict[str, Any]

# a law counts as reproduced if the whole interval of its exponent is this near, relative to the exponent
_EXPONENT_BAND = 0.2
# and its constant as constant if its mean over seeds varies by no more than this factor along a sweep
_CONSTANT_WITHIN = 2.0
_LARGEST_Z = 4.0
# Jacobians of all cells cost more than the cells; in three dimensions there are too many
_GRADIENTS_UP_TO = 2
_FAMILIES = {"he": "He", "torch": "PyTorch"}
_PLACES = {"box": "box [-1, 1]^d", "digits": "through digits"}


def run(config: dict[str, Any], folder: Folder, pool: Pool) -> None:
    """One row for each network."""
    items = [
        {**case, "family": family, "seed": seed, "bias_std": config["bias_std"], "samples": config["samples"]}
        for case in _cases(config)
        for family in _FAMILIES
        for seed in range(config["seeds"])
    ]
    # the largest first, so that no process is left alone with one of them
    order = sorted(
        range(len(items)), key=lambda at: -((items[at]["width"] * items[at]["depth"]) ** items[at]["d"])
    )
    measured = pool.map(_measure, [items[at] for at in order], "networks at initialisation")
    rows = dict(zip(order, measured, strict=True))
    folder.write_csv("networks", [rows[at] for at in range(len(items))])


def _cases(config: dict[str, Any]) -> list[Row]:
    found = []
    for sweep in config["sweeps"]:
        shapes = [("width", width, sweep["fixed_depth"]) for width in sweep["widths"]]
        shapes += [("depth", sweep["fixed_width"], depth) for depth in sweep["depths"]]
        found += [
            {"place": place, "d": sweep["d"], "sweep": kind, "width": width, "depth": depth}
            for place in sweep["places"]
            for kind, width, depth in shapes
        ]
    return found


def _measure(item: Row) -> Row:
    names = [item[key] for key in ("family", "place", "d", "sweep", "width", "depth", "seed")]
    domain = _domain(item["place"], item["d"], item["seed"])
    widths = [domain.input_dim, *[item["width"]] * item["depth"], 1]
    rng = case_rng("initialisation", *names)
    network, unbiased = _networks(item["family"], widths, item["bias_std"], rng)
    cells = enumerate_cells(network, domain, workers=1)
    locus, uniform = locus_volume(cells), UniformDensity(domain)
    theory = bound = None
    if item["family"] == "he":
        theory = Coarea(item["bias_std"]).estimate(unbiased, uniform, rng, item["samples"], domain=domain)
    if item["d"] <= _GRADIENTS_UP_TO:
        gradients = np.split(sum_over_cells(cells, eps=0.01).unit_gradients, network.unit_offsets[1:-1])
        peaks = _peaks(item["family"], widths, item["bias_std"])
        bound = math.fsum(peak * one.sum() for peak, one in zip(peaks, gradients, strict=True))
    kept = ("sweep", "family", "place", "d", "width", "depth", "seed")
    return {
        **{key: item[key] for key in kept},
        "units": network.n_units,
        "cells": cells.n_cells,
        "locus": locus.total / domain.volume,
        "activation_locus": locus_volume(cells, kind="activation").total / domain.volume,
        "theory": None if theory is None else theory.mean,
        "theory_stderr": None if theory is None else theory.stderr,
        "bound": bound,
    }


def _domain(place: str, dimension: int, seed: int) -> Domain:
    if place == "box":
        return cube(dimension)
    if dimension == 2:
        return digits_slice(seed)
    images, _ = digits_images()
    first, second = case_rng("digits segment", seed).choice(len(images), 2, replace=False)
    return Segment(images[first], images[second])


def _networks(
    family: str, widths: list[int], bias_std: float, rng: np.random.Generator
) -> tuple[Network, Network]:
    """A network as initialised, and the same with all biases 0."""
    weights, biases = [], []
    for fan_in, fan_out in pairwise(widths):
        if family == "he":
            weights.append(math.sqrt(2.0 / fan_in) * rng.standard_normal((fan_out, fan_in)))
            biases.append(bias_std * rng.standard_normal(fan_out))
        else:
            reach = 1.0 / math.sqrt(fan_in)
            weights.append(rng.uniform(-reach, reach, (fan_out, fan_in)))
            biases.append(rng.uniform(-reach, reach, fan_out))
    nothing = [np.zeros_like(bias) for bias in biases]
    return Network.from_arrays(weights, biases), Network.from_arrays(weights, nothing)


def _peaks(family: str, widths: list[int], bias_std: float) -> list[float]:
    """Largest density of the initial bias of each ReLU layer's units."""
    if family == "he":
        return [1.0 / (math.sqrt(2.0 * math.pi) * bias_std)] * (len(widths) - 2)
    return [0.5 * math.sqrt(fan_in) for fan_in in widths[:-2]]


def log_log_slope(x: list[float], y: list[float]) -> tuple[float, float, float]:
    """Slope of log y on log x by least squares, and its 95 % interval (Student's t).

    Examples
    --------
    >>> [round(value, 12) for value in log_log_slope([1.0, 2.0, 4.0], [3.0, 12.0, 48.0])]
    [2.0, 2.0, 2.0]
    """
    fit = linregress(np.log(x), np.log(y))
    reach = float(t.ppf(0.975, len(x) - 2)) * float(fit.stderr)
    return float(fit.slope), float(fit.slope) - reach, float(fit.slope) + reach


def sweep_rows(rows: list[Row]) -> list[Row]:
    """Both laws on each sweep: exponents with intervals, constants with their range, and the verdicts."""
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["place"], row["d"], row["family"], row["sweep"]), []).append(row)
    found = []
    for (place, d, family, sweep), own in groups.items():
        fits: Row = {"place": place, "d": d, "family": family, "sweep": sweep}
        for law, exponent in (("cells", d), ("locus", 1)):
            # a locus that is empty has no logarithm; then the law fails
            positive = [row for row in own if row[law] > 0.0]
            slope, low, high = log_log_slope([r["units"] for r in positive], [r[law] for r in positive])
            ratios = [_ratio(row, law) for row in own]
            means = _by_units(own, ratios)
            near = (1.0 - _EXPONENT_BAND) * exponent <= low and high <= (1.0 + _EXPONENT_BAND) * exponent
            varies = max(means.values()) / min(means.values())
            fits |= {
                f"{law}_slope": slope,
                f"{law}_low": low,
                f"{law}_high": high,
                f"{law}_smallest": min(means.values()),
                f"{law}_largest": max(means.values()),
                f"{law}_varies": varies,
                f"{law}_exponent_holds": near,
                f"{law}_constant_holds": varies <= _CONSTANT_WITHIN,
            }
        found.append(fits)
    return found


def _ratio(row: Row, law: str) -> float:
    predicted = row["units"] ** row["d"] / math.factorial(row["d"]) if law == "cells" else row["units"]
    return float(row[law] / predicted)


def _by_units(
    rows: list[Row], values: list[float], summary: Callable[[list[float]], Any] = np.mean
) -> dict[int, float]:
    grouped: dict[int, list[float]] = {}
    for row, value in zip(rows, values, strict=True):
        grouped.setdefault(row["units"], []).append(value)
    return {units: float(summary(own)) for units, own in sorted(grouped.items())}


def report(config: dict[str, Any], folder: Folder) -> SectionWithAppendix:
    """The section on initialisation."""
    rows = folder.read_csv("networks")
    fits = sweep_rows(rows)
    _draw(folder, rows)
    _draw_exponents(folder, fits)
    return SectionWithAppendix(
        question=prose(
            """Hanin and Rolnick predict about N^d / d! cells on a d-dimensional domain at initialisation, and
            a locus whose density is proportional to N, whatever the depth. Does this hold for exact counts
            and volumes, and does the co-area formula give the constant?"""
        ),
        method=_method(config, rows),
        table="",
        appendix=_table(fits),
        figures=(
            (
                "exponents",
                "Fitted exponents over the predicted ones, d for the count and 1 for the locus; grey: what "
                "counts as reproduced",
            ),
            (
                "laws",
                "Exact count over N^d / d! (top) and exact locus density over N (bottom): mean over "
                "networks, bars the standard deviation from network to network",
            ),
        ),
        finding=_finding(rows, fits),
        limits=_limits(config, rows),
        checks=_checks(rows),
        headline=_headline(fits),
    )


def _method(config: dict[str, Any], rows: list[Row]) -> str:
    return prose(
        f"""{len(rows):,} networks: {config["seeds"]} for each of
        {len({(r["place"], r["d"], r["width"], r["depth"], r["sweep"]) for r in rows})} shapes and two
        initialisations, He (biases of standard deviation {config["bias_std"]:g}) and PyTorch; in boxes of the
        input space, and on segments and planes through images of digits in 64 dimensions (other images for
        other seeds). Cells and (d-1)-volumes are exact. A sweep varies the width or the depth; its exponent
        is the slope of the logarithm against log N over all its networks, with the interval of least squares.
        An exponent counts as reproduced if that interval lies within {_EXPONENT_BAND:.0%} of d (of 1 for the
        locus), a constant if the mean ratio to N^d / d! (to N) varies by at most a factor
        {_CONSTANT_WITHIN:g} along the sweep. For He networks the mean of the locus over the biases is the
        co-area formula, here estimated from {config["samples"]:,} points and noises on the same weights with
        biases 0. For d <= {_GRADIENTS_UP_TO} also Hanin and Rolnick's bound, the largest density of a bias
        times the mean of sum_i ‖grad z_i‖, from exact sums over cells."""
    )


def _verdict(fit: Row, law: str) -> str:
    exponent, constant = fit[f"{law}_exponent_holds"], fit[f"{law}_constant_holds"]
    if exponent and constant:
        return "reproduced"
    return "constant only" if constant else "exponent only" if exponent else "not reproduced"


def _table(fits: list[Row]) -> str:
    header = ["domain", "d", "initialisation", "sweep"]
    header += ["exponent of the count", "count / (N^d / d!)", "law of the count"]
    header += ["exponent of the locus", "locus / N", "law of the locus"]
    body = []
    for fit in fits:
        line = [_PLACES[fit["place"]], str(fit["d"]), _FAMILIES[fit["family"]], fit["sweep"]]
        for law in ("cells", "locus"):
            line += [
                f"{fit[f'{law}_slope']:.2f} ({fit[f'{law}_low']:.2f} to {fit[f'{law}_high']:.2f})",
                f"{fit[f'{law}_smallest']:.3g} to {fit[f'{law}_largest']:.3g}",
                _verdict(fit, law),
            ]
        body.append(line)
    return markdown_table(header, body)


def _tally(fits: list[Row], law: str, sweep: str, family: str) -> str:
    own = [fit for fit in fits if fit["sweep"] == sweep and fit["family"] == family]
    return f"{sum(_verdict(fit, law) == 'reproduced' for fit in own)} of {len(own)}"


def _headline(fits: list[Row]) -> str:
    kept = [sum(_verdict(fit, law) == "reproduced" for fit in fits) for law in ("cells", "locus")]
    return prose(
        f"""The count follows N^d / d!, in exponent and constant, on {kept[0]} of {len(fits)} sweeps, and the
        density of the locus follows N on {kept[1]}."""
    )


def _finding(rows: list[Row], fits: list[Row]) -> str:
    sentences = []
    for family, title in _FAMILIES.items():
        sentences.append(
            f"""{title}: the count on {_tally(fits, "cells", "width", family)} sweeps over the width and
            {_tally(fits, "cells", "depth", family)} over the depth, the locus on
            {_tally(fits, "locus", "width", family)} and {_tally(fits, "locus", "depth", family)}."""
        )
    worst = max(fits, key=lambda fit: fit["cells_varies"])
    best = min(fits, key=lambda fit: fit["cells_varies"])
    sentences.append(
        f"""The constant of the count varies along a sweep by a factor of {best["cells_varies"]:.2f}
        ({_named(best)}) to {worst["cells_varies"]:.3g} ({_named(worst)})."""
    )
    known = [row for row in rows if row["theory"] is not None]
    if known:
        gaps = _pooled(known)
        largest = max(gaps, key=lambda name: abs(gaps[name][1]))
        sentences.append(
            f"""The co-area formula gives the constant: over {len(known):,} He networks the exact locus
            differs from it by {gaps[largest][0]:+.2%} (z = {gaps[largest][1]:+.2f}) where it differs most
            ({largest})."""
        )
    bounded = [row for row in rows if row["bound"] is not None]
    if bounded:
        used = [row["locus"] / row["bound"] for row in bounded]
        sentences.append(
            f"""Hanin and Rolnick's bound is {1.0 / float(np.mean(used)):.2f} times the mean locus, in the
            mean over {len(bounded):,} networks."""
        )
    return prose(" ".join(sentences))


def _named(fit: Row) -> str:
    return f"{_FAMILIES[fit['family']]}, {fit['sweep']}, d = {fit['d']}, {_PLACES[fit['place']]}"


def _limits(config: dict[str, Any], rows: list[Row]) -> str:
    largest = max(row["units"] for row in rows)
    deep = max(row["units"] for row in rows if row["d"] == max(one["d"] for one in rows))
    return prose(
        f"""At most {largest} units ({deep} in the highest dimension), so that lower orders still bend the
        exponents; the constant depends on the size of the domain beside that of the biases. Networks of one
        sweep that share their images are not wholly independent."""
    )


def _pooled(rows: list[Row]) -> dict[str, tuple[float, float]]:
    """Mean relative difference of the exact locus from theory, and its z, for each place and dimension."""
    shapes: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        shapes.setdefault((row["place"], row["d"], row["width"], row["depth"], row["sweep"]), []).append(row)
    pooled: dict[str, list[float]] = {}
    for (place, d, *_), own in shapes.items():
        scale = float(np.mean([row["theory"] for row in own]))
        gaps = [(row["locus"] - row["theory"]) / scale for row in own]
        pooled.setdefault(f"{_PLACES[place]}, d = {d}", []).extend(gaps)
    return {
        name: (float(np.mean(gaps)), float(np.mean(gaps) / (np.std(gaps, ddof=1) / math.sqrt(len(gaps)))))
        for name, gaps in pooled.items()
    }


def _checks(rows: list[Row]) -> tuple[Check, ...]:
    found = []
    for name, (gap, z) in _pooled([row for row in rows if row["theory"] is not None]).items():
        found.append(
            Check(
                f"mean locus at He initialisation is that of the co-area formula: {name}",
                abs(z) < _LARGEST_Z,
                f"differs by {gap:+.2%}, z = {z:+.2f}",
            )
        )
    shallow = [row for row in rows if row["depth"] == 1]
    most = [sum(math.comb(row["units"], j) for j in range(row["d"] + 1)) for row in shallow]
    if shallow:
        fullest = max(row["cells"] / limit for row, limit in zip(shallow, most, strict=True))
        found.append(
            Check(
                "one hidden layer has at most sum_{j <= d} C(N, j) cells",
                fullest <= 1.0,
                f"{len(shallow)} networks, the fullest has {fullest:.1%} of that",
            )
        )
    slack = [row["bound"] - row["locus"] for row in rows if row["bound"] is not None]
    if slack:
        z = float(np.mean(slack) / (np.std(slack, ddof=1) / math.sqrt(len(slack))))
        found.append(
            Check(
                "mean locus is at most the bound C_bias E sum_i ‖grad z_i‖",
                z > -_LARGEST_Z,
                f"{len(slack)} networks, mean slack {float(np.mean(slack)):.3g}, {z:+.1f} standard errors",
            )
        )
    return tuple(found)


def _draw_exponents(folder: Folder, fits: list[Row]) -> None:
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(
        1, 2, layout="constrained", figsize=(9.0, 1.0 + 0.17 * len(fits)), sharey=True
    )
    laws = {"cells": "count: exponent over d", "locus": "locus: exponent"}
    for axis, (law, label) in zip(axes, laws.items(), strict=True):
        lines = []
        for fit in sorted(fits, key=lambda fit: (fit["family"], fit["sweep"] == "depth")):
            scale = fit["d"] if law == "cells" else 1
            lines.append(
                Line(_named(fit), *(fit[f"{law}_{part}"] / scale for part in ("slope", "low", "high")))
            )
        draw_forest(axis, lines, 1.0, label)
        axis.axvspan(1.0 - _EXPONENT_BAND, 1.0 + _EXPONENT_BAND, color="grey", alpha=0.15)
    folder.save_figure("exponents", figure)


def _draw(folder: Folder, rows: list[Row]) -> None:
    from matplotlib import pyplot as plt

    places = sorted({(row["place"], row["d"]) for row in rows}, key=lambda place: place[::-1])
    figure, axes = plt.subplots(
        2,
        len(places),
        figsize=(3.1 * len(places) + 0.8, 6.2),
        sharex="col",
        squeeze=False,
        layout="constrained",
    )
    styles = {
        ("he", "width"): "C0o-",
        ("he", "depth"): "C0s--",
        ("torch", "width"): "C3o-",
        ("torch", "depth"): "C3s--",
    }
    for column, (place, d) in enumerate(places):
        for (family, sweep), style in styles.items():
            key = (place, d, family, sweep)
            own = [row for row in rows if (row["place"], row["d"], row["family"], row["sweep"]) == key]
            for axis, law in zip(axes[:, column], ("cells", "locus"), strict=True):
                ratios = [_ratio(row, law) for row in own]
                means = _by_units(own, ratios)
                spread = list(_by_units(own, ratios, np.std).values())
                label = f"{_FAMILIES[family]}, {sweep}"
                axis.errorbar(
                    list(means), list(means.values()), spread, fmt=style, ms=4, lw=1, capsize=2, label=label
                )
        axes[0, column].set_title(f"d = {d}, {_PLACES[place]}", fontsize=10)
        axes[1, column].set_xlabel("units N")
        for axis in axes[:, column]:
            axis.set_xscale("log", base=2)
            axis.xaxis.set_major_formatter("{x:.0f}")
            axis.set_ylim(bottom=0.0)
            axis.grid(alpha=0.3)
    axes[0, 0].set_ylabel("cells / (N^d / d!)")
    axes[1, 0].set_ylabel("locus density / N")
    axes[0, 0].legend(fontsize=8)
    folder.save_figure("laws", figure)


EXPERIMENT = Experiment("initialisation", "Count and locus at initialisation", run, report)
