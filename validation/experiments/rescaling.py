"""Units rescaled without changing the function: local complexity under plain and under relative noise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regions import Coarea, Estimate, Network, enumerate_cells, locus_volume
from regions.estimators import unit_spreads
from regions.validation.local_complexity import with_bias_noise, z_score
from validation.framework import Check, Experiment, Folder, Pool, Section, case_rng, markdown_table, prose
from validation.problems import NetworkSpec, density_on

__all__ = ["EXPERIMENT", "balanced", "rescaled", "squared_norm"]

Row = dict[str, Any]
FloatArray = NDArray[np.float64]

_NINETY_FIVE = 1.959963984540054
_LIMIT = 4.0
# what rounding may do to a mean that should not change at all
_ROUNDING = 1e-9
_BALANCED = "balanced"
_PLAIN, _RELATIVE, _LOCUS = "sigma for every unit", "sigma times each unit's spread", "no noise"
_SWEEPS = 200


@dataclass(frozen=True)
class _Case:
    spec: NetworkSpec
    noise: str
    sigma: float
    factors: tuple[float, ...]
    n_bias: int
    samples: int


def run(config: dict[str, Any], folder: Folder, pool: Pool) -> None:
    """Each network under each kind and size of noise, with all factors."""
    specs = [NetworkSpec(**one) for one in config["networks"]]
    noises = [(_LOCUS, 0.0)]
    noises += [(_PLAIN, sigma) for sigma in config["sigmas"]]
    noises += [(_RELATIVE, sigma) for sigma in config["relative_sigmas"]]
    cases = [
        _Case(spec, noise, sigma, tuple(config["factors"]), config["n_bias"], config["samples"])
        for spec in specs
        for noise, sigma in noises
    ]
    folder.write_csv("cases", [row for rows in pool.map(_rows, cases, "rescaling") for row in rows])


def rescaled(network: Network, layer: int, factors: FloatArray) -> Network:
    """The same function: units of a hidden ReLU layer times factors, undone in the layer behind it.

    Examples
    --------
    >>> network = Network.from_arrays([[[1.0]], [[3.0]]], [[2.0], [0.0]])
    >>> same = rescaled(network, 0, np.array([2.0]))
    >>> same.weights[0], same.weights[1], bool(same.forward([1.0]) == network.forward([1.0]))
    (array([[2.]]), array([[1.5]]), True)
    """
    weights, biases = [np.array(w) for w in network.weights], [np.array(b) for b in network.biases]
    weights[layer] *= factors[:, None]
    biases[layer] *= factors
    weights[layer + 1] /= factors
    return Network(weights, tuple(biases), network.relu, network.name)


def balanced(network: Network) -> Network:
    """The network of the same function whose weights have the least sum of squares under such factors.

    The sum is convex in the logarithms of the factors, and least where each unit's incoming and outgoing
    weights have equal norms; layers are balanced in turn.

    Examples
    --------
    >>> network = Network.from_arrays([[[8.0]], [[2.0]]], [[0.0], [0.0]])
    >>> [float(weight[0, 0]) for weight in balanced(network).weights]
    [4.0, 4.0]
    """
    for _ in range(_SWEEPS):
        for layer in range(network.n_layers - 1):
            ahead = np.linalg.norm(network.weights[layer], axis=1)
            behind = np.linalg.norm(network.weights[layer + 1], axis=0)
            used = (ahead > 0.0) & (behind > 0.0)
            ratio = np.divide(behind, ahead, out=np.ones_like(ahead), where=used)
            network = rescaled(network, layer, np.sqrt(ratio))
    return network


def squared_norm(network: Network) -> float:
    """Sum of the squares of all weights, which weight decay takes."""
    return math.fsum(float(np.square(weight).sum()) for weight in network.weights)


def _variants(network: Network, factors: tuple[float, ...]) -> dict[str, Network]:
    """The network itself, with each factor on its first layer, and balanced."""
    width = network.widths[0]
    found = {"1": network}
    found |= {f"{one:g}": rescaled(network, 0, np.full(width, one)) for one in factors}
    return found | {_BALANCED: balanced(network)}


def _rows(case: _Case) -> list[Row]:
    """All variants under the same noises, so that their differences have little error."""
    network, domain = case.spec.build(), case.spec.domain()
    density = density_on("uniform", domain)
    rng = case_rng("rescaling", case.spec.name, case.noise, case.sigma)
    for_exact, *_ = rng.spawn(2)
    n_draws = case.n_bias if case.sigma else 1
    draws = for_exact.standard_normal((n_draws, network.n_units))
    rows: list[Row] = []
    first: FloatArray | None = None
    for name, variant in _variants(network, case.factors).items():
        scale = unit_spreads(variant, density, domain) if case.noise == _RELATIVE else 1.0
        values = np.array(
            [
                locus_volume(
                    enumerate_cells(with_bias_noise(variant, case.sigma * scale * noise), domain, workers=1),
                    density,
                ).total
                for noise in draws
            ]
        )
        first = values if first is None else first
        mean, stderr = _ratio(values, first)
        exact = Estimate.from_draws(values) if case.sigma else Estimate(float(values[0]), 0.0, 1)
        row = {
            "network": case.spec.name,
            "dimension": case.spec.dimension,
            "noise": case.noise,
            "sigma": case.sigma,
            "factor": name,
            "squared_norm": squared_norm(variant) / squared_norm(network),
            "exact": exact.mean,
            "exact_stderr": exact.stderr,
            "ratio": mean,
            "ratio_stderr": stderr,
            "estimate": None,
            "estimate_stderr": None,
            "z": None,
        }
        if case.sigma:
            stream = case_rng("rescaling, estimate", case.spec.name, case.noise, case.sigma)
            estimator = Coarea(case.sigma, noise="relative" if case.noise == _RELATIVE else "absolute")
            estimate = estimator.estimate(variant, density, stream, case.samples, domain=domain)
            row |= {"estimate": estimate.mean, "estimate_stderr": estimate.stderr}
            row["z"] = z_score(estimate, exact)
        rows.append(row)
    return rows


def _ratio(values: FloatArray, first: FloatArray) -> tuple[float, float]:
    """Ratio of two means over the same draws, and its standard error to first order."""
    ratio = float(values.mean() / first.mean())
    if len(values) == 1:
        return ratio, 0.0
    residual = values - ratio * first
    return ratio, float(residual.std(ddof=1) / math.sqrt(len(values)) / first.mean())


def report(config: dict[str, Any], folder: Folder) -> Section:
    """The section on rescaling."""
    rows = folder.read_csv("cases")
    rows = [{**row, "factor": str(row["factor"])} for row in rows]
    moved = [row for row in rows if row["factor"] != "1"]
    plain = [row for row in moved if row["noise"] == _PLAIN]
    still = [row for row in moved if row["noise"] in (_RELATIVE, _LOCUS)]
    factors = ", ".join(f"{one:g}" for one in config["factors"])
    return Section(
        question=prose(
            """A factor on the weights and bias of a ReLU, undone in the next layer, leaves the function and
            its regions as they are, but changes the weights that decay acts on. Does LC at a fixed sigma feel
            it, and which measure does not?"""
        ),
        method=prose(
            f"""{len({row["network"] for row in rows})} networks under the uniform density, in
            {", ".join(map(str, sorted({row["dimension"] for row in rows})))} dimensions. Variants of one
            function: the first hidden layer times {factors}; and the balanced network, in which each unit's
            incoming and outgoing weights have equal norms, so that the sum of squares is the least that such
            factors give. Exact loci of {config["n_bias"]} draws of the noise, the same for all variants, with
            sigma for every unit (the paper's), with relative noise, and without noise; beside each the
            co-area estimator on {config["samples"]:,} samples."""
        ),
        table=_table(rows),
        finding=_finding(rows, plain, still),
        limits=prose(
            """A spread is taken over the data at the stored biases, so relative noise depends on data and
            training; it is a choice, as sigma is."""
        ),
        checks=_checks(rows, plain, still),
        headline=prose(
            f"""The same function, its units rescaled by up to {_largest(config):g}, has local complexity
            {min(row["ratio"] for row in plain):.2f} to {max(row["ratio"] for row in plain):.2f} times as
            large at fixed sigma; with noise relative to each unit's spread, and in the locus without noise,
            nothing changes (at most {max(abs(row["ratio"] - 1.0) for row in still):.0e})."""
        ),
    )


def _largest(config: dict[str, Any]) -> float:
    return max(max(one, 1.0 / one) for one in config["factors"])


def _told(row: Row) -> str:
    half = _NINETY_FIVE * row["ratio_stderr"]
    return f"{row['ratio']:.3f} ± {half:.3f}" if half > _ROUNDING else f"{row['ratio']:.3f}"


def _table(rows: list[Row]) -> str:
    names = list(dict.fromkeys(row["factor"] for row in rows if row["factor"] != "1"))
    header = [
        "network, sigma for every unit",
        "LC",
        *[f"x {name}" if name != _BALANCED else name for name in names],
    ]
    body = []
    # the others do not change, and are summed up in a sentence
    rows = [row for row in rows if row["noise"] == _PLAIN]
    for key in dict.fromkeys((row["network"], row["noise"], row["sigma"]) for row in rows):
        own = {row["factor"]: row for row in rows if (row["network"], row["noise"], row["sigma"]) == key}
        body.append(
            [f"{key[0]}, {key[2]:g}", f"{own['1']['exact']:.3g}", *[_told(own[name]) for name in names]]
        )
    table = markdown_table(header, body)
    note = """Ratios ± 1.96 standard errors over the same draws; with relative noise and without noise all are
    1.000."""
    return f"{table}\n\n{prose(note)}"


def _moves(row: Row) -> bool:
    """Whether a ratio differs from 1 beyond the limit."""
    return abs(row["ratio"] - 1.0) > _LIMIT * row["ratio_stderr"] + _ROUNDING


def _finding(rows: list[Row], plain: list[Row], still: list[Row]) -> str:
    sentences = []
    for sigma in sorted({row["sigma"] for row in plain}):
        own = [row for row in plain if row["sigma"] == sigma]
        ratios = [row["ratio"] for row in own]
        sentences.append(
            f"""At sigma {sigma:g} LC is {min(ratios):.3f} to {max(ratios):.3f} times that of the network as
            it is, beyond {_LIMIT:g} standard errors in {sum(map(_moves, own))} of {len(own)} cases."""
        )
    level = [row for row in plain if row["factor"] == _BALANCED]
    sentences.append(
        f"""Balancing alone, towards which weight decay pulls (sum of squares x
        {min(row["squared_norm"] for row in level):.2f} to {max(row["squared_norm"] for row in level):.2f}),
        changes it by x {min(row["ratio"] for row in level):.3f} to {max(row["ratio"] for row in level):.3f}.
        So a statement about weight decay at fixed sigma can be one about scale, unless a measure without
        scale agrees."""
    )
    by_noise = {
        noise: max(abs(row["ratio"] - 1.0) for row in still if row["noise"] == noise)
        for noise in (_RELATIVE, _LOCUS)
    }
    sentences.append(
        f"""Relative noise changes it by at most {by_noise[_RELATIVE]:.1e}, the locus without noise by
        {by_noise[_LOCUS]:.1e}: rounding."""
    )
    return prose(" ".join(sentences))


def _checks(rows: list[Row], plain: list[Row], still: list[Row]) -> tuple[Check, ...]:
    worst = max(abs(row["ratio"] - 1.0) for row in still)
    judged = [abs(row["z"]) for row in rows if row["z"] is not None]
    moved = sum(map(_moves, plain))
    return (
        Check(
            "rescaling leaves local complexity under relative noise, and the locus, as they are",
            worst < _ROUNDING,
            f"largest relative change {worst:.1e} of {len(still)} cases",
        ),
        Check(
            f"rescaling changes local complexity at a fixed sigma (|z| > {_LIMIT:g}) somewhere",
            moved > 0,
            f"in {moved} of {len(plain)} cases",
        ),
        Check(
            f"co-area under plain and relative noise: |z| < {_LIMIT:g}",
            max(judged) < _LIMIT,
            f"largest |z| {max(judged):.2f} of {len(judged)} cases",
        ),
    )


EXPERIMENT = Experiment("rescaling", "Rescaling of units", run, report)
