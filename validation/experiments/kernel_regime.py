"""One hidden layer, all in closed form: training in the kernel regime, and the representation cost."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regions import Network
from regions.validation.closed_form import one_hidden_layer_local_complexity
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
from validation.paper import SectionWithAppendix

__all__ = ["EXPERIMENT", "complexity_by_unit", "split"]

Row = dict[str, Any]
FloatArray = NDArray[np.float64]
Layer = tuple[FloatArray, FloatArray, FloatArray]

_SCALINGS = {"kernel": "1 / sqrt(m)", "mean field": "1 / m"}
_ROUNDING = 1e-9
_RATE, _WEIGHT_DECAY_RATE = 0.2, 3e-3


def run(config: dict[str, Any], folder: Folder, pool: Pool) -> None:
    """A sweep over widths in both scalings, networks of known cost, and training with weight decay."""
    sweep = [
        (scaling, width, seed, config)
        for width in sorted(config["widths"], reverse=True)
        for scaling in _SCALINGS
        for seed in range(config["seeds"])
    ]
    folder.write_csv("widths", pool.map(_trained, sweep, "kernel regime"))
    known = [(knots, at, config) for knots in config["knots"] for at in range(config["functions"])]
    folder.write_csv("cost", [row for rows in pool.map(_known, known, "known cost") for row in rows])
    decayed = [(seed, config) for seed in range(config["decay_seeds"])]
    folder.write_csv("decay", [row for rows in pool.map(_decayed, decayed, "weight decay") for row in rows])


def complexity_by_unit(
    weights: FloatArray, biases: FloatArray, outgoing: FloatArray, sigma: float
) -> FloatArray:
    """Return each unit's part of local complexity, for data N(0, I) on the whole space.

    Examples
    --------
    >>> round(float(complexity_by_unit(np.ones((1, 1)), np.zeros(1), np.ones(1), 0.0)[0]), 6)
    0.398942
    """
    variance = np.square(weights).sum(axis=1) + sigma**2
    bells = np.exp(-0.5 * biases**2 / variance) / np.sqrt(2.0 * math.pi * variance)
    return np.asarray(np.linalg.norm(weights, axis=1) * bells * (outgoing != 0.0))


def _closed(weights: FloatArray, biases: FloatArray, outgoing: FloatArray, sigma: float) -> float:
    network = Network.from_arrays([weights, outgoing[None, :]], [biases, np.zeros(1)])
    return one_hidden_layer_local_complexity(network, np.zeros(weights.shape[1]), 1.0, sigma)


def _trained(item: tuple[str, int, int, dict[str, Any]]) -> Row:
    """Full-batch gradient descent of the squared error, every scaling at its own rate of order 1."""
    scaling, width, seed, config = item
    rng = case_rng("kernel regime, data", seed)
    x = rng.standard_normal((config["points"], config["inputs"]))
    y = np.sin(2.0 * x[:, 0]) + 0.5 * x[:, 1] ** 2
    rng = case_rng("kernel regime", width, seed)
    W, b = rng.standard_normal((width, config["inputs"])), rng.standard_normal(width)
    a = rng.standard_normal(width)
    factor = 1.0 / (math.sqrt(width) if scaling == "kernel" else width)
    rate = _RATE / (width * factor**2)
    # an output of 0 at first, so that both scalings begin with the same errors
    shift = factor * np.maximum(x @ W.T + b, 0.0) @ a
    start, before, first = complexity_by_unit(W, b, a, config["sigma"]), W.copy(), float(np.mean(y**2))
    for _ in range(config["steps"]):
        heights = x @ W.T + b
        active = np.maximum(heights, 0.0)
        error = (factor * active @ a - shift - y) / len(x)
        back = factor * error[:, None] * (heights > 0.0) * a
        a = a - rate * factor * error @ active
        W, b = W - rate * back.T @ x, b - rate * back.sum(axis=0)
    loss = float(np.mean((factor * np.maximum(x @ W.T + b, 0.0) @ a - shift - y) ** 2))
    end = complexity_by_unit(W, b, a, config["sigma"])
    return {
        "scaling": scaling,
        "width": width,
        "seed": seed,
        "loss_start": first,
        "loss_end": loss,
        "lc_start": float(start.sum()),
        "lc_end": float(end.sum()),
        "lc_end_closed": _closed(W, b, a, config["sigma"]),
        "change": abs(float(end.sum() / start.sum()) - 1.0),
        "change_by_unit": float(np.abs(end - start).sum() / start.sum()),
        "moved": float(np.linalg.norm(W - before) / np.linalg.norm(before)),
    }


def split(layer: Layer, copies: int) -> Layer:
    """Return a layer of so many copies of each unit that together are the unit, at the same cost.

    Examples
    --------
    >>> weights, biases, outgoing = split((np.ones((1, 1)), np.zeros(1), np.ones(1)), 4)
    >>> weights.ravel().tolist(), float(np.abs(weights.ravel() * outgoing).sum())
    ([0.5, 0.5, 0.5, 0.5], 1.0)
    """
    weights, biases, outgoing = layer
    part = 1.0 / math.sqrt(copies)
    return (
        part * np.repeat(weights, copies, axis=0),
        part * np.repeat(biases, copies),
        part * np.repeat(outgoing, copies),
    )


def _known(item: tuple[int, int, dict[str, Any]]) -> list[Row]:
    """Forms of one function of one input, whose cost is the total change of its slope."""
    knots, at, config = item
    rng = case_rng("known cost", knots, at)
    places, sides = rng.standard_normal(knots), rng.choice([-1.0, 1.0], knots)
    changes = rng.standard_normal(knots)
    half = np.sqrt(np.abs(changes))
    # one unit for each knot, as long before as behind: the least sum of squares of all weights
    balanced: Layer = ((half * sides)[:, None], -half * sides * places, np.sign(changes) * half)
    forms = {"balanced": balanced}
    for factor in config["factors"]:
        W, b, a = balanced
        forms[f"rescaled by {factor:g}"] = (factor * W, factor * b, a / factor)
    forms |= {f"split in {copies}": split(balanced, copies) for copies in config["copies"]}
    cost, sigma = float(np.abs(changes).sum()), config["sigma"]
    peak = 1.0 / (math.sqrt(2.0 * math.pi) * sigma)
    return [
        {
            "knots": knots,
            "function": at,
            "form": name,
            "units": len(a),
            "cost": cost,
            "half_square": 0.5 * float((W**2).sum() + (a**2).sum()),
            "lc": float(complexity_by_unit(W, b, a, sigma).sum()),
            "lc_closed": _closed(W, b, a, sigma),
            "bound": peak * math.sqrt(len(a)) * float(np.linalg.norm(W)),
            "bound_by_cost": peak * math.sqrt(len(a) * cost),
        }
        for name, (W, b, a) in forms.items()
    ]


def _decayed(item: tuple[int, dict[str, Any]]) -> list[Row]:
    """Networks of one seed, one for each weight decay, fitted to a function of known cost, by Adam."""
    seed, config = item
    rng, sigma = case_rng("known cost, trained", seed), config["sigma"]
    x = np.linspace(-2.0, 2.0, config["samples"])
    places, changes = np.sort(rng.uniform(-1.2, 1.2, 4)), np.array([1.5, -2.0, -1.0, 2.5])
    y = np.maximum(x[:, None] - places, 0.0) @ changes
    decays, width = np.array(config["decays"])[:, None], config["decay_width"]
    W, b, a = (np.tile(rng.standard_normal(width), (len(decays), 1)) for _ in range(3))
    state = [np.zeros((2, *W.shape)) for _ in range(3)]
    start = float(complexity_by_unit(W[0][:, None], b[0], a[0], sigma).sum())
    for step in range(1, config["decay_steps"] + 1):
        heights = W[:, None, :] * x[:, None] + b[:, None, :]
        active = np.maximum(heights, 0.0)
        error = (np.einsum("knm,km->kn", active, a) - y) / len(x)
        back = error[:, :, None] * (heights > 0.0) * a[:, None, :]
        slopes = [np.einsum("knm,n->km", back, x) + decays * W, back.sum(axis=1)]
        slopes.append(np.einsum("kn,knm->km", error, active) + decays * a)
        # from half of the steps on the rate falls to 0, so that the minimum itself is reached
        rate = _WEIGHT_DECAY_RATE * min(1.0, 2.0 * (1.0 - step / config["decay_steps"]))
        W, b, a = (_adam(*one, rate, step) for one in zip((W, b, a), slopes, state, strict=True))
    active = np.maximum(W[:, None, :] * x[:, None] + b[:, None, :], 0.0)
    loss = np.square(np.einsum("knm,km->kn", active, a) - y).mean(axis=1)
    cost = float(np.abs(changes).sum())
    return [
        {
            "seed": seed,
            "decay": float(decay),
            "loss": float(loss[k]),
            "cost": cost,
            "half_square": 0.5 * float((W[k] ** 2).sum() + (a[k] ** 2).sum()),
            "lc_start": start,
            "lc": float(complexity_by_unit(W[k][:, None], b[k], a[k], sigma).sum()),
            "bound": math.sqrt(width) * float(np.linalg.norm(W[k])) / (math.sqrt(2.0 * math.pi) * sigma),
        }
        for k, decay in enumerate(decays[:, 0])
    ]


def _adam(value: FloatArray, slope: FloatArray, state: FloatArray, rate: float, step: int) -> FloatArray:
    state[0] = 0.9 * state[0] + 0.1 * slope
    state[1] = 0.999 * state[1] + 0.001 * slope**2
    mean, square = state[0] / (1.0 - 0.9**step), state[1] / (1.0 - 0.999**step)
    return np.asarray(value - rate * mean / (np.sqrt(square) + 1e-12))


def report(config: dict[str, Any], folder: Folder) -> SectionWithAppendix:
    """The section on the kernel regime and the representation cost."""
    widths, cost, decay = (folder.read_csv(name) for name in ("widths", "cost", "decay"))
    effects = judged(_effects(widths, cost, decay))
    _draw(folder, widths, decay)
    draw_effects(folder, effects)
    return SectionWithAppendix(
        question=prose(
            """Proposition 17: in the kernel regime of two-layer networks LC stays near its initial value.
            Propositions 8 and 9: the representation cost, the least norm of parameters that give a function,
            bounds LC, and with weight decay lambda the final LC goes like log(1 / lambda). How near, how
            sharp, and does the cost alone do it?"""
        ),
        method=prose(
            f"""One hidden layer of m units; data N(0, I) on the whole space, sigma {config["sigma"]:g}, all
            LC in closed form. (1) {config["points"]} points in R^{config["inputs"]}, squared error,
            full-batch gradient descent for {config["steps"]:,} steps, m from {min(config["widths"]):,} to
            {max(config["widths"]):,}, {config["seeds"]} seeds: output times 1 / sqrt(m) (kernel regime),
            and as a control times 1 / m at a rate m times as large (mean field). (2) {config["functions"]}
            functions of one input for each of {", ".join(map(str, config["knots"]))} knots, whose cost is
            the sum of the changes of slope: half the least sum of squares of all weights, as biases are
            free. The balanced form has that cost; beside it stand forms with units rescaled, or split into
            copies that share weights and cost. As the published constants were not at hand, the bound is LC
            <= C_bias sum_i ‖w_i‖ <= C_bias sqrt(m) ‖W_1‖_F. (3) {config["decay_width"]} units fitted to a
            function of 4 knots with weight decay in the loss, {config["decay_seeds"]} seeds."""
        ),
        table="",
        appendix="\n\n".join(
            [
                _width_table(widths),
                _cost_table(cost),
                _decay_table(decay),
                effect_table("ratio, exponent or slope", effects),
            ]
        ),
        figures=(
            ("forest", "The same function in other forms (left), exponents and slopes (right)"),
            (
                "regimes",
                "Left: relative change of LC by training against m, one dot for each network, lines through "
                "geometric means; right: final LC against weight decay",
            ),
        ),
        finding=_finding(effects, cost, decay),
        limits=prose(
            """One hidden layer and one data set for each seed; the bound is ours. Gradient descent ends after
            a fixed number of steps."""
        ),
        checks=_checks(widths, cost, decay),
        headline=_headline(config, effects, cost),
    )


def _checks(widths: list[Row], cost: list[Row], decay: list[Row]) -> tuple[Check, ...]:
    gaps = [abs(r["lc_end_closed"] / r["lc_end"] - 1.0) for r in widths]
    gaps += [abs(row["lc_closed"] / row["lc"] - 1.0) for row in cost]
    tight = [row["bound"] / row["lc"] for row in (*cost, *decay)]
    return (
        Check(
            "units' parts sum up to the closed form of local complexity",
            max(gaps) < _ROUNDING,
            f"largest relative difference {max(gaps):.1g} of {len(gaps)} networks",
        ),
        Check(
            "local complexity is at most C_bias sqrt(m) times the norm of the first layer",
            min(tight) >= 1.0 - _ROUNDING,
            f"smallest ratio {min(tight):.4f} of {len(tight)} networks",
        ),
        Check(
            "the cost is the least half sum of squares of the forms of a function",
            all(row["half_square"] >= row["cost"] * (1.0 - _ROUNDING) for row in cost),
            f"{len(cost)} networks",
        ),
    )


def _by_width(rows: list[Row], scaling: str, name: str) -> tuple[list[int], FloatArray]:
    """The widths, and for each seed the values of the widths."""
    own = {(row["width"], row["seed"]): row[name] for row in rows if row["scaling"] == scaling}
    widths, seeds = sorted({w for w, _ in own}), sorted({s for _, s in own})
    return widths, np.array([[own[w, s] for w in widths] for s in seeds])


def _effects(widths: list[Row], cost: list[Row], decay: list[Row]) -> list[Effect]:
    effects = []
    for scaling in _SCALINGS:
        for name, title in (("change", "change of LC"), ("change_by_unit", "mean change of a unit's part")):
            sizes, values = _by_width(widths, scaling, name)
            slopes = slope_of_each(np.log(sizes), np.log(np.maximum(values, 1e-16)))
            effects.append(difference_effect(f"{scaling}: exponent of the {title} in m", slopes))
    base = {(row["knots"], row["function"]): row["lc"] for row in cost if row["form"] == "balanced"}
    for form in dict.fromkeys(row["form"] for row in cost if row["form"] != "balanced"):
        ratios = [row["lc"] / base[row["knots"], row["function"]] for row in cost if row["form"] == form]
        effects.append(ratio_effect(f"same function, {form}: LC over that of the balanced form", ratios))
    decays = sorted({row["decay"] for row in decay})
    seeds = sorted({row["seed"] for row in decay})
    own = {(row["seed"], row["decay"]): row for row in decay}
    values = [[own[seed, lam]["lc"] for lam in decays] for seed in seeds]
    slopes = slope_of_each(np.log(1.0 / np.array(decays)), values)
    effects.append(difference_effect("slope of the final LC in log(1 / weight decay)", slopes))
    ends = [own[s, decays[0]]["half_square"] / own[s, decays[0]]["cost"] for s in seeds]
    effects.append(ratio_effect(f"half the squared norm over the cost, weight decay {decays[0]:g}", ends))
    return effects


def _width_table(rows: list[Row]) -> str:
    header = ["scaling", "m", "loss, start", "loss, end", "weights moved", "LC / m, start", "change of LC"]
    body = []
    for scaling, title in _SCALINGS.items():
        for width in sorted({row["width"] for row in rows}):
            own = [row for row in rows if (row["scaling"], row["width"]) == (scaling, width)]
            body.append(
                [
                    f"{scaling}, {title}",
                    f"{width:,}",
                    mean_and_spread([row["loss_start"] for row in own]),
                    f"{np.exp(np.mean(np.log([row['loss_end'] for row in own]))):.2g}",
                    mean_and_spread([row["moved"] for row in own]),
                    mean_and_spread([row["lc_start"] / width for row in own]),
                    mean_and_spread([row["change"] for row in own]),
                    mean_and_spread([row["change_by_unit"] for row in own]),
                ]
            )
    return markdown_table([*header, "mean change of a unit's part"], body)


def _cost_table(rows: list[Row]) -> str:
    header = ["form of the same function", "units for each knot", "half squared norm / cost", "LC / balanced"]
    header += ["bound / LC", "bound by the cost / LC"]
    base = {(row["knots"], row["function"]): row["lc"] for row in rows if row["form"] == "balanced"}
    body = []
    for form in dict.fromkeys(row["form"] for row in rows):
        own = [row for row in rows if row["form"] == form]
        body.append(
            [
                form,
                f"{own[0]['units'] / own[0]['knots']:g}",
                mean_and_spread([row["half_square"] / row["cost"] for row in own]),
                mean_and_spread([row["lc"] / base[row["knots"], row["function"]] for row in own]),
                mean_and_spread([row["bound"] / row["lc"] for row in own]),
                mean_and_spread([row["bound_by_cost"] / row["lc"] for row in own]),
            ]
        )
    return markdown_table(header, body)


def _decay_table(rows: list[Row]) -> str:
    header = ["weight decay", "loss", "half squared norm / cost", "LC, start", "LC, end", "bound / LC"]
    body = []
    for lam in sorted({row["decay"] for row in rows}):
        own = [row for row in rows if row["decay"] == lam]
        body.append(
            [
                f"{lam:g}",
                f"{np.mean([row['loss'] for row in own]):.2g}",
                mean_and_spread([row["half_square"] / row["cost"] for row in own]),
                mean_and_spread([row["lc_start"] for row in own]),
                mean_and_spread([row["lc"] for row in own]),
                mean_and_spread([row["bound"] / row["lc"] for row in own]),
            ]
        )
    return markdown_table(header, body)


def _finding(effects: list[Effect], cost: list[Row], decay: list[Row]) -> str:
    named = {one.name: one for one in effects}
    unit = named["kernel: exponent of the mean change of a unit's part in m"]
    control = named["mean field: exponent of the mean change of a unit's part in m"]
    splits = [one for one in effects if "split" in one.name]
    scaled = [one for one in effects if "rescaled" in one.name]
    slope = next(one for one in effects if one.name.startswith("slope of the final"))
    most = max((row for row in cost if "split" in row["form"]), key=lambda row: row["units"] / row["knots"])
    last = [row["bound"] / row["lc"] for row in cost if row["form"] == most["form"]]
    ratio = effects[-1]
    told = ", ".join(f"{one.numbers} {_form(one)}" for one in splits)
    rescaled = " and ".join(f"{one.numbers} {_form(one)}" for one in scaled)
    return prose(
        f"""(1) The change of single units' parts goes like m to the power {told_effect(unit)}, and in the
        mean-field control {told_effect(control)}; in the sum most of it cancels. (2) Over the balanced form
        LC is, at equal cost, {told}; at other norms, {rescaled}. With the most copies the bound with sqrt(m)
        is within a factor {np.mean(last):.3g} of LC. (3) With the smallest weight decay half the squared norm
        ends at {ratio.numbers} times the cost, and the final LC has a slope of {slope.numbers} in
        log(1 / lambda): {_logarithm(slope)}."""
    )


def _form(one: Effect) -> str:
    return one.name.partition(":")[0].removeprefix("same function, ")


def _logarithm(slope: Effect) -> str:
    if slope.verdict == "higher":
        return "it grows with log(1 / lambda), as the paper reports"
    return "it falls with log(1 / lambda), against the paper" if slope.verdict == "lower" else "undecided"


def _headline(config: dict[str, Any], effects: list[Effect], cost: list[Row]) -> str:
    named = {one.name: one for one in effects}
    whole = named["kernel: exponent of the change of LC in m"]
    splits = [one for one in effects if "split" in one.name]
    most = max(splits, key=lambda one: one.middle)
    return prose(
        f"""The relative change of LC by training goes like m to the power {told_effect(whole)} in the kernel
        regime (m to {max(config["widths"]):,}); at one cost the same function has up to {most.numbers} times
        the LC, so that no bound by the cost can do without the number of units."""
    )


def _draw(folder: Folder, widths: list[Row], decay: list[Row]) -> None:
    from matplotlib import pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(9.0, 3.6), layout="constrained")
    for color, scaling in enumerate(_SCALINGS):
        for name, marker, title in (("change", "o", "LC"), ("change_by_unit", "s", "units")):
            sizes, values = _by_width(widths, scaling, name)
            style = {"color": f"C{color}", "marker": marker, "ms": 3}
            left.plot(sizes, values.T, ls="", alpha=0.4, **style)
            left.plot(sizes, np.exp(np.log(np.maximum(values, 1e-16)).mean(axis=0)), **style,
                      ls="-" if name == "change" else "--", label=f"{scaling}, {title}")  # fmt: skip
    for seed in sorted({row["seed"] for row in decay}):
        own = sorted((r for r in decay if r["seed"] == seed), key=lambda row: row["decay"])
        right.plot([r["decay"] for r in own], [r["lc"] for r in own], "o-", color="C2", ms=3, lw=0.8)
    left.set_xlabel("width m")
    left.set_ylabel("relative change by training")
    left.set_xscale("log")
    left.set_yscale("log")
    left.legend(fontsize=7)
    right.set_xlabel("weight decay")
    right.set_ylabel("final local complexity")
    right.set_xscale("log")
    for axis in (left, right):
        axis.grid(alpha=0.3)
    folder.save_figure("regimes", figure)


EXPERIMENT = Experiment("kernel_regime", "Kernel regime and representation cost", run, report)
