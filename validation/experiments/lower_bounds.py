"""Both sides of corollary 3, theorem 5 and theorem 7 by shape, in up to five dimensions, and against eta."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from regions import UniformDensity, check_inequalities, enumerate_cells, gradient_tail
from regions.validation.local_complexity import with_bias_noise
from validation.experiments.paired_effects import Effect, draw_effects, ratio_effect
from validation.framework import Check, Experiment, Folder, Pool, Section, case_rng, markdown_table, prose
from validation.problems import NetworkSpec

__all__ = ["EXPERIMENT", "best"]

Row = dict[str, Any]

_ROUNDING = 1e-9
# the eta of the paper, in units of pre-activations
_PUBLISHED = 1.0
_LOWER = {"corollary": "corollary 3", "theorem": "theorem 7"}


@dataclass(frozen=True)
class _Case:
    spec: NetworkSpec
    sigma: float
    etas: tuple[float, ...]
    eps: float
    draws: int


def run(config: dict[str, Any], folder: Folder, pool: Pool) -> None:
    """A row for each network, noise and eta."""
    cases = [
        _Case(
            NetworkSpec(family, inputs, width, depth, 1.0, at),
            sigma,
            tuple(sorted({*config["etas"], _PUBLISHED / sigma})),
            config["eps"],
            config["draws"],
        )
        for inputs, width, depth in config["shapes"]
        for family in config["families"]
        for at in range(config["networks"])
        for sigma in config["sigmas"]
    ]
    # the largest first, so that no process is left alone with one of them
    order = sorted(range(len(cases)), key=lambda at: -cases[at].spec.input_dim)
    rows = dict(zip(order, pool.map(_bounds, [cases[at] for at in order], "lower bounds"), strict=True))
    folder.write_csv("etas", [row for at in range(len(cases)) for row in rows[at]])


def _bounds(case: _Case) -> list[Row]:
    """All terms from the same draws; only the tails have to be found again for each eta."""
    network, domain, sigma = case.spec.build(), case.spec.domain(), case.sigma
    density, names = UniformDensity(domain), ("lower bounds", case.spec.name, case.sigma)
    first = case.etas[0] * sigma
    found = check_inequalities(
        network,
        domain,
        density,
        sigma,
        eps=case.eps,
        eta=first,
        n_bias=case.draws,
        rng=case_rng(*names),
        workers=1,
    )
    draws, rng = found.draws, case_rng(*names)
    tails = np.empty((len(case.etas), case.draws))
    for draw in range(case.draws):
        noise = sigma * rng.standard_normal(network.n_units)
        cells = enumerate_cells(with_bias_noise(network, noise), domain, workers=1)
        tails[:, draw] = [
            gradient_tail(cells, density, eta=eta * sigma, shift=noise).total for eta in case.etas
        ]
    peak, lc = found.c_bias, draws.sharper_local_complexity
    steepest = draws.lipschitz.max(axis=1)
    variation = len(draws.widths) * draws.total_variation / np.where(steepest > 0.0, steepest, 1.0)
    lost = peak * draws.not_good * draws.c_grad
    rows = []
    for eta, tail in zip(case.etas, tails, strict=True):
        at_eta = peak * math.exp(-0.5 * eta**2)
        rows.append(
            {
                "network": case.spec.name,
                "family": case.spec.family,
                "dimension": case.spec.dimension,
                "width": case.spec.width,
                "depth": case.spec.depth,
                "sigma": sigma,
                "eta": eta,
                "lc": float(lc.mean()),
                "lc_stderr": float(lc.std(ddof=1)) / math.sqrt(case.draws),
                "corollary_upper": found["corollary 3, upper"].right,
                "theorem_upper": found["theorem 5"].right,
                "tail": float((tail / draws.gradient_sum).mean()),
                "lost": float(lost.mean()),
                "corollary": float((at_eta * (draws.gradient_sum - tail) - lost).mean()),
                "corollary_good": float((at_eta * (draws.gradient_sum - tail)).mean()),
                "theorem": float((at_eta * (variation - tail) - lost).mean()),
                "holds": found.holds,
                "same_tail": abs(tails[0] - draws.tail).max() <= _ROUNDING * draws.gradient_sum.max(),
            }
        )
    return rows


def best(rows: list[Row], name: str) -> Row:
    """The row of the eta at which a lower bound is largest.

    Examples
    --------
    >>> best([{"eta": 0.5, "theorem": -1.0}, {"eta": 1.0, "theorem": 2.0}], "theorem")["eta"]
    1.0
    """
    return max(rows, key=lambda row: row[name])


def _groups(rows: list[Row]) -> dict[tuple[str, float], list[Row]]:
    groups: dict[tuple[str, float], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["network"], row["sigma"]), []).append(row)
    return groups


def report(config: dict[str, Any], folder: Folder) -> Section:
    """The section on lower bounds."""
    rows = folder.read_csv("etas")
    groups = _groups(rows)
    effects = _effects(groups)
    _draw(folder, groups)
    draw_effects(folder, effects)
    slack = [
        (row["lc"] - row["corollary"] + 4.0 * row["lc_stderr"]) / row["lc"] for row in rows if row["lc"] > 0.0
    ]
    return Section(
        question=prose(
            """How tight are the bounds in one to five dimensions, by width, depth and training; and what does
            the choice of eta do to the lower ones, for which the paper takes eta = 1?"""
        ),
        method=prose(
            f"""{len({network for network, _ in groups})} networks, of {", ".join(config["families"])} (the
            last on a wavy function), inputs, width and depth
            {", ".join("-".join(map(str, shape)) for shape in config["shapes"])}, in [-1, 1]^d under the
            uniform density; sigma {", ".join(f"{s:g}" for s in config["sigmas"])}; {config["draws"]} draws of
            the biases, with all terms exact for each and LC with units' own noise averaged exactly. Lower
            bounds at eta = {", ".join(f"{e:g}" for e in config["etas"])} sigma and at the published eta = 1.
            A larger eta loses by c_eta, a smaller one by the tail xi_eta; what is lost to units that are not
            good does not depend on it."""
        ),
        table=_eta_table(rows),
        figures=(
            ("forest", "Upper bounds over LC, and LC over the best lower bound, means over networks"),
            (
                "eta",
                "Lower bounds of corollary 3 (solid) and theorem 7 (dashed) over local complexity against "
                "eta, one line for each network, colours by dimension; dotted: eta = 1",
            ),
        ),
        finding=_finding(groups, effects),
        limits=prose(
            f"""Few units in four and five dimensions, and {config["draws"]} draws: the standard error of LC
            is at most {max(r["lc_stderr"] / r["lc"] for r in rows if r["lc"] > 0.0):.1%} of it. The best
            eta is the best of those listed."""
        ),
        checks=(
            Check(
                "the inequalities hold in every case",
                all(row["holds"] for row in rows),
                f"{len(groups)} networks and noises",
            ),
            Check(
                "corollary 3's lower bound holds at every eta, within 4 standard errors",
                min(slack) >= -_ROUNDING,
                f"{len(rows)} values of eta, smallest relative slack {min(slack):.2g}",
            ),
            Check(
                "tails found again are those of check_inequalities",
                all(row["same_tail"] for row in rows),
                f"{len(groups)} networks and noises",
            ),
        ),
        headline=_headline(groups, effects),
    )


def _at_published(rows: list[Row]) -> Row:
    return min(rows, key=lambda row: abs(row["eta"] * row["sigma"] - _PUBLISHED))


def _effects(groups: dict[tuple[str, float], list[Row]]) -> list[Effect]:
    effects = []
    sigmas = sorted({sigma for _, sigma in groups})
    for sigma in sigmas:
        own = [rows for (_, s), rows in groups.items() if s == sigma]
        for dimension in sorted({rows[0]["dimension"] for rows in own}):
            mine = [rows[0] for rows in own if rows[0]["dimension"] == dimension and rows[0]["lc"] > 0.0]
            for name, title in (("corollary_upper", "corollary 3"), ("theorem_upper", "theorem 5")):
                ratios = [row[name] / row["lc"] for row in mine]
                effects.append(
                    ratio_effect(f"{title}, upper over LC: d = {dimension}, sigma {sigma:g}", ratios)
                )
        lower = [best(rows, "corollary") for rows in own]
        above = [row["lc"] / row["corollary"] for row in lower if row["corollary"] > 0.0]
        if len(above) > 1:
            effects.append(ratio_effect(f"LC over corollary 3's best lower bound, sigma {sigma:g}", above))
    return effects


def _eta_table(rows: list[Row]) -> str:
    header = ["eta / sigma", "cases", "c_eta / C_bias", "tail / sum", "corollary 3, all units good / LC"]
    header += ["corollary 3, lower / LC", "theorem 7 / LC", "above 0: corollary 3", "theorem 7"]
    body = []
    for eta in sorted({row["eta"] for row in rows}):
        own = [row for row in rows if row["eta"] == eta and row["lc"] > 0.0]
        mean = {
            name: float(np.mean([row[name] / row["lc"] for row in own]))
            for name in ("corollary_good", "corollary", "theorem")
        }
        body.append(
            [
                f"{eta:.3g}",
                str(len(own)),
                f"{math.exp(-0.5 * eta**2):.2g}",
                f"{np.mean([row['tail'] for row in own]):.2f}",
                *[f"{value:.3g}" for value in mean.values()],
                *[f"{sum(row[name] > 0.0 for row in own)}" for name in _LOWER],
            ]
        )
    return markdown_table(header, body)


def _finding(groups: dict[tuple[str, float], list[Row]], effects: list[Effect]) -> str:
    sentences = []
    for sigma in sorted({sigma for _, sigma in groups}):
        own = [rows for (_, s), rows in groups.items() if s == sigma]
        top = [best(rows, "corollary") for rows in own]
        told = [row for row in top if row["corollary"] > 0.0]
        published = [_at_published(rows)["corollary"] > 0.0 for rows in own]
        seventh = [best(rows, "theorem")["theorem"] > 0.0 for rows in own]
        name = f"LC over corollary 3's best lower bound, sigma {sigma:g}"
        numbers = next((one.numbers for one in effects if one.name == name), "-")
        upper = " and ".join(
            f"{min(means):.3g} to {max(means):.3g} times LC ({title})"
            for title in ("corollary 3", "theorem 5")
            if (means := [one.middle for one in effects if _is_upper(one, title, sigma)])
        )
        sentences.append(
            f"""At sigma {sigma:g} corollary 3's lower bound is above 0 for {len(told)} of {len(own)} networks
            at the best eta (median {np.median([row["eta"] for row in top]):.3g} sigma), LC then {numbers}
            times as large, and for {sum(published)} at eta = 1; theorem 7's for {sum(seventh)}. Units that
            are not good cost {np.mean([rows[0]["lost"] / rows[0]["lc"] for rows in own]):.2g} times LC in
            the mean. The upper bounds are, in the means of the dimensions, {upper}."""
        )
    return prose(" ".join(sentences))


def _is_upper(one: Effect, title: str, sigma: float) -> bool:
    return one.name.startswith(f"{title}, upper") and one.name.endswith(f", sigma {sigma:g}")


def _headline(groups: dict[tuple[str, float], list[Row]], effects: list[Effect]) -> str:
    own = list(groups.values())
    told = sum(best(rows, "corollary")["corollary"] > 0.0 for rows in own)
    published = sum(_at_published(rows)["corollary"] > 0.0 for rows in own)
    return prose(
        f"""Corollary 3's lower bound says something for {told} of {len(own)} networks and noises at the best
        eta, and for {published} at eta = 1."""
    )


def _draw(folder: Folder, groups: dict[tuple[str, float], list[Row]]) -> None:
    from matplotlib import pyplot as plt

    sigmas = sorted({sigma for _, sigma in groups})
    figure, axes = plt.subplots(
        1, len(sigmas), figsize=(4.4 * len(sigmas), 3.6), squeeze=False, layout="constrained"
    )
    for axis, sigma in zip(axes[0], sigmas, strict=True):
        seen: set[int] = set()
        for (_, s), rows in groups.items():
            if s != sigma:
                continue
            dimension = rows[0]["dimension"]
            etas = [row["eta"] for row in rows]
            label = None if dimension in seen else f"d = {dimension}"
            seen.add(dimension)
            color = f"C{dimension - 1}"
            axis.plot(etas, [r["corollary"] / r["lc"] for r in rows], color=color, lw=0.9, label=label)
            axis.plot(etas, [r["theorem"] / r["lc"] for r in rows], "--", color=color, lw=0.7)
        axis.axvline(_PUBLISHED / sigma, color="k", ls=":")
        axis.axhline(0.0, color="k", lw=0.6)
        axis.set_ylim(-1.0, 1.0)
        axis.set_title(f"sigma {sigma:g}", fontsize=9)
        axis.set_xlabel("eta / sigma")
        axis.grid(alpha=0.3)
    axes[0, 0].set_ylabel("lower bound over LC")
    axes[0, 0].legend(fontsize=7)
    folder.save_figure("eta", figure)


EXPERIMENT = Experiment("lower_bounds", "Bounds in up to five dimensions, and eta", run, report)
