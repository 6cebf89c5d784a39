"""Tables of the section on long trainings, from the stored table and its effects."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
from numpy.typing import NDArray

from validation.experiments.long_training_effects import (
    LC,
    QUANTITIES,
    RANK,
    Effect,
    Table,
    find_effect,
    log_slope,
    mean_and_reach,
    named,
    pooled,
    rank_and_complexity,
    ratio_of,
    sign_flip_p,
    single_over_double,
)
from validation.experiments.training_findings import FINDINGS, judge
from validation.framework import Config, Row, markdown_table, prose

__all__ = ["as_before", "largest_loss", "summary_table", "tables_behind", "told"]

FloatArray = NDArray[np.float64]


def tables_behind(table: Table, effects: list[Effect], config: Config) -> str:
    """Verdicts, effects over all architectures, values, effects, LC beside rank, precision."""
    found = [
        _verdict_table(table),
        _pooled_table(table, config),
        _value_table(table, config),
        _effect_table(table, effects, config),
        _apart_table(table, config),
        _precision_table(table, effects, config),
    ]
    return "\n\n".join(own for own in found if own)


def summary_table(table: Table, config: Config) -> str:
    """Late changes and effects of weight decay, over all architectures in double precision."""
    late, last = config["late"], table.steps[-2]
    header = [f"{len(table.doubles)} architectures", *[f"decay {decay:g}" for decay in table.decays]]
    changes = [(LC, late), (RANK, late), *([(LC, last)] if last > late else [])]
    body = [
        [
            f"{quantity.title}, end over step {step:,}",
            *[_plain(pooled(table, quantity, decay, step)) for decay in table.decays],
        ]
        for quantity, step in changes
    ]
    names = ("lc", "relative_lc", "near_lc", "rank", "relative_rank", "cells")
    body += [
        [
            f"{named(name).title}, end over that without decay",
            "",
            *[_plain(pooled(table, named(name), decay)) for decay in table.decays[1:]],
        ]
        for name in names
    ]
    return markdown_table(header, body)


def _plain(logs: FloatArray) -> str:
    return told(ratio_of(logs)).removeprefix("x ")


def as_before(table: Table, name: str) -> list[Row]:
    """The rows of an architecture in the form of the table of shorter trainings."""
    return [
        row | {"data": name, "scale": 1.0}
        for decay, step in product(table.decays, table.steps)
        for row in table.at(name, decay, step)
    ]


def _verdict_table(table: Table) -> str:
    verdicts = {name: judge(as_before(table, name)) for name in table.architectures}
    body = [
        [finding.title, *[verdicts[name][finding.name].word for name in table.architectures]]
        for finding in FINDINGS
        if all(finding.name in own for own in verdicts.values())
    ]
    return markdown_table(["statement", *table.architectures], body)


def _value_table(table: Table, config: Config) -> str:
    steps = [step for step in table.steps if step == 0 or step >= config["late"]]
    header = ["network", "decay", *[f"LC, {_step(step)}" for step in steps], f"rank, {config['late']:,}"]
    header += ["rank, end", f"cells, {config['late']:,}", "cells, end", "loss, end", "test accuracy, end"]
    body = []
    for name, decay in product(table.architectures, table.decays):
        ends = table.at(name, decay, steps[-1])
        pairs = [(RANK, ".1f"), (named("cells"), ".0f")]
        body.append(
            [
                name,
                f"{decay:g}",
                *[_mean(table.values(LC, name, decay, step), ".1f") for step in steps],
                *[
                    _mean(table.values(own, name, decay, step), form)
                    for own, form in pairs
                    for step in (config["late"], steps[-1])
                ],
                f"{np.median([row['loss'] for row in ends]):.1e}",
                f"{np.mean([row['test_accuracy'] for row in ends]):.1%}",
            ]
        )
    note = "Means with the half width of their 95 % intervals over seeds; the loss is a median."
    return markdown_table(header, body) + "\n\n" + note


def _step(step: int) -> str:
    return f"step {step:,}" if step else "start"


def _mean(values: FloatArray, form: str) -> str:
    mean, reach = mean_and_reach(values)
    return f"{mean:{form}} ± {reach:{form}}"


def told(ratio: tuple[float, ...]) -> str:
    """A ratio with its interval.

    Examples
    --------
    >>> told((0.5, 0.25, 1.0))
    'x 0.50 (0.25 to 1.00)'
    """
    return f"x {ratio[0]:.2f} ({ratio[1]:.2f} to {ratio[2]:.2f})"


def _cell(effect: Effect | None) -> str:
    if effect is None:
        return ""
    return f"{told((effect.ratio, effect.low, effect.high))}, {effect.agreeing} seeds, {effect.verdict}"


def _effect_table(table: Table, effects: list[Effect], config: Config) -> str:
    late = f"{config['late']:,}"
    header = ["network", "decay", "LC, end / without decay", f"LC, end / step {late}"]
    header += ["rank, end / without decay", f"rank, end / step {late}"]
    columns = list(product(("lc", "rank"), ("weight decay", "late change")))
    body = [
        [name, f"{decay:g}", *[_cell(find_effect(effects, kind, own, name, decay)) for own, kind in columns]]
        for name, decay in product(table.architectures, table.decays)
    ]
    note = prose(
        """Ratios with 95 % intervals, how many seeds lie on the side of the mean, and the verdict after
        Holm's correction."""
    )
    return markdown_table(header, body) + "\n\n" + note


def _pooled_table(table: Table, config: Config) -> str:
    header = ["over that without decay", *[f"decay {decay:g}" for decay in table.decays[1:]]]
    body = []
    for step in table.steps[:-1]:
        if step >= config["late"]:
            logs = [pooled(table, LC, decay, at=step) for decay in table.decays[1:]]
            body.append([f"LC, step {step:,}", *[told(ratio_of(own)) for own in logs]])
    for quantity in QUANTITIES:
        logs = [pooled(table, quantity, decay) for decay in table.decays[1:]]
        cells = [f"{told(ratio_of(own))}, p = {sign_flip_p(own):.2g}" for own in logs]
        body.append([f"{quantity.title}, end", *cells])
    note = prose(
        """Geometric means over all architectures in double precision, then over seeds; networks of one seed
        share their minibatches, so seeds are what is independent. p by exact sign flips, not corrected."""
    )
    slopes = "; ".join(f"{name} {told(ratio_of(log_slope(table, LC, name)))}" for name in table.doubles)
    slope = prose(
        f"""A tenfold weight decay, fitted for each seed where there is any, multiplies the final LC by:
        {slopes}."""
    )
    return "\n\n".join([markdown_table(header, body), note, slope])


def _phases(table: Table, config: Config) -> list[tuple[int, int]]:
    steps = [config["fitted"], config["late"], table.steps[-1]]
    return [(begin, end) for begin, end in pairwise(steps) if begin < end]


def _apart_table(table: Table, config: Config) -> str:
    header = [
        "steps", "decay", "LC", "local rank", "runs whose rank falls by a tenth",
        "of these LC falls by a tenth", "LC rises by a tenth", "neither",
    ]  # fmt: skip
    body = []
    for begin, end in _phases(table, config):
        for decay in table.decays:
            own = rank_and_complexity(table, decay, begin, end)
            counts = [f"{own.fallen} of {own.runs}", *map(str, (own.falls, own.rises, own.still))]
            body.append([f"{begin:,} to {end:,}", f"{decay:g}", told(own.lc), told(own.rank), *counts])
    return markdown_table(header, body)


def _precision_table(table: Table, effects: list[Effect], config: Config) -> str:
    pairs = [(name, name.partition(":")[0]) for name in table.singles]
    steps = [step for step in table.steps if step >= config["fitted"]]
    header = ["LC, single over double precision", "decay", *[_step(step) for step in steps], "verdict, end"]
    header += ["largest late loss, single", "double"]
    body = []
    for (single, double), decay in product(pairs, table.decays):
        if double not in table.doubles:
            continue
        effect = find_effect(effects, "precision", "lc", single, decay)
        cells = [told(ratio_of(single_over_double(table, single, decay, step))) for step in steps]
        losses = [largest_loss(table, name, decay, config["late"]) for name in (single, double)]
        verdict = effect.verdict if effect is not None else ""
        body.append([single, f"{decay:g}", *cells, verdict, *[f"{loss:.2g}" for loss in losses]])
    return markdown_table(header, body) if body else ""


def largest_loss(table: Table, name: str, decay: float, late: int) -> float:
    """Of all seeds and all records from a step on."""
    return max(row["loss"] for step in table.steps if step >= late for row in table.at(name, decay, step))
