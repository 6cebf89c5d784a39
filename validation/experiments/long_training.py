"""Digits networks trained for a million steps: what local complexity and rank do late, and what decay does.

A GPU makes the table of the full form (`validation.long_training`); here it is analysed.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from validation.experiments.long_training_effects import (
    LC,
    RANK,
    Apart,
    Effect,
    Quantity,
    Table,
    effects_of,
    find_effect,
    log_slope,
    named,
    pooled,
    rank_and_complexity,
    ratio_of,
    single_over_double,
)
from validation.experiments.long_training_figures import draw_effects, draw_trajectories
from validation.experiments.long_training_tables import all_tables, as_before, largest_loss, told
from validation.experiments.training_findings import sanity_checks
from validation.framework import Check, Config, Experiment, Folder, Pool, Section, prose
from validation.long_training import NAME, TABLE, make_table
from validation.training_data import DIGITS_TRAINED_ON

__all__ = ["EXPERIMENT"]

_Ratio = tuple[float, float, float, float]

# a ratio above this is no fall worth the name, a factor below its inverse no large one
_STEADY = 0.9
_COMMAND = "python -m validation.long_training --out validation"


def run(config: Config, folder: Folder, pool: Pool) -> None:
    """Train, measure, and write one row for each network and recorded step."""
    with TemporaryDirectory() as networks:
        failures, _ = make_table(config, folder, pool, Path(networks))
    if failures:
        raise RuntimeError(f"{failures} records could not be measured")


def report(config: Config, folder: Folder) -> Section:
    """The section on long trainings."""
    rows = folder.read_csv(TABLE)
    table = Table(rows)
    effects = effects_of(table, config["late"])
    draw_trajectories(folder, table)
    draw_effects(folder, table, effects, config["late"])
    late = f"{config['late']:,}"
    return Section(
        question=prose(
            """The paper reports that local complexity falls late in training together with the local rank,
            below its value at initialisation, and that weight decay lowers it, in proportion to
            log(1 / weight decay). The runs on digits of the section before end too early to tell. What do
            longer ones say, how large are the effects, and are they effects on the function, or of the scale
            of its weights, or of rounding?"""
        ),
        method=_method(config, table, effects),
        table=all_tables(table, effects, config),
        figures=(
            (
                "trajectories",
                "LC on the data, local rank (mean over layers) and exact cells on a plane against the step: "
                "geometric mean over seeds, shaded the 95 % interval (Student's t of logarithms)",
            ),
            (
                "effects",
                f"Ratios with 95 % intervals. Left: at the end over that without decay, for three kinds of "
                f"noise. Middle and right: at the end over step {late}. Filled: stands after Holm's "
                "correction; black diamonds: over all architectures in double precision",
            ),
        ),
        finding=_finding(config, table, effects),
        limits=_limits(config, table),
        checks=_checks(config, table),
        headline=_headline(config, table),
    )


def _method(config: Config, table: Table, effects: list[Effect]) -> str:
    judged = sum(effect.verdict != "control" for effect in effects)
    return prose(
        f"""`{_COMMAND}` makes the table. Architectures, width x number of ReLU layers:
        {", ".join(table.doubles)} in double precision, and {", ".join(table.singles) or "none"} as control;
        weight decays {", ".join(f"{decay:g}" for decay in table.decays)} (AdamW, on weights and not on
        biases), {len(table.seeds)} seeds each, {table.steps[-1]:,} steps at learning rate
        {config["learning_rate"]:g}, batches of {config["batch"]}, the {DIGITS_TRAINED_ON:,} training images
        and the density of the section before: {len(table.rows):,} records. Networks of one seed have equal
        initial weights and minibatches at all weight decays, so effects are ratios paired by seed: geometric
        means over seeds with 95 % intervals by Student's t of the logarithms. The effect of weight decay is
        the last record over that without decay; the late change is the last record over step
        {config["late"]:,}, a fixed one, as a largest value picked from noisy ones would bring a fall by
        itself. Late changes, effects of decay and those of precision on LC and on the local rank are one
        family of {judged} verdicts, corrected by Holm at 5 %. The family was chosen after trial runs, in
        single precision at one architecture, had shown what there was to see; it was not fixed beforehand, so
        the correction is for the verdicts that are listed and not for the choice of them; where a verdict is
        undecided, the size and the interval still say what is compatible with the data. The p-values are
        those of the t; an exact sign-flip test of {len(table.seeds)} seeds has a smallest p of
        {2.0 ** (1 - len(table.seeds)):.2g}, too large for so many verdicts, and is given for the
        {len(table.decays) - 1} effects over all architectures. Controls, with the same ratios and no
        verdicts: LC with noise of {config["near_sigma"]:g} in place of {config["sigma"]:g}, nearly the locus;
        LC with noise of {config["relative_sigma"]:g} times the spread of each unit over the training data,
        which no rescaling of units changes (W_1 -> s W_1, b_1 -> s b_1, W_2 -> W_2 / s keeps the function and
        changes LC at fixed noise); local rank relative to the largest singular value; and the exact cells and
        locus of the plane. Criteria of the verdicts in the first table are those of the section before, of
        all records of an architecture."""
    )


def _late_change(table: Table, quantity: Quantity, decay: float, late: int) -> _Ratio:
    """Over all architectures in double precision."""
    return ratio_of(pooled(table, quantity, decay, late))


def _finding(config: Config, table: Table, effects: list[Effect]) -> str:
    paragraphs = [
        _on_late_change(config, table, effects),
        _on_decay(table, effects),
        _on_rank(config, table),
        _on_controls(table, effects),
        _on_precision(config, table, effects),
    ]
    return "\n\n".join(prose(own) for own in paragraphs if own)


def _listed(parts: list[str]) -> str:
    return ", ".join(parts)


def _tally(effects: list[Effect], kind: str, quantity: str, table: Table, decay: float) -> str:
    """How many architectures in double precision have which verdict."""
    own = [find_effect(effects, kind, quantity, name, decay) for name in table.doubles]
    words = [effect.verdict for effect in own if effect is not None]
    counted = [f"{word} in {words.count(word)}" for word in ("lower", "higher", "undecided") if word in words]
    return _listed(counted)


def _on_late_change(config: Config, table: Table, effects: list[Effect]) -> str:
    late, end, least = config["late"], table.steps[-1], table.decays[0]
    changes = {decay: _late_change(table, LC, decay, late) for decay in table.decays}
    parts = [
        f"{told(changes[decay])} at {decay:g} ({_tally(effects, 'late change', 'lc', table, decay)})"
        for decay in table.decays[1:]
    ]
    verdict = "A late fall at every weight decay, and none without, is not what is seen here."
    if all(changes[decay][2] < 1.0 for decay in table.decays[1:]) and changes[least][1] > _STEADY:
        verdict = "So the late fall that the paper reports is there with weight decay, and not without."
    return f"""*Late fall.* From step {late:,} to {end:,} LC changes, over all architectures, by
        {_listed(parts)} with weight decay, and without by {told(changes[least])}
        ({_tally(effects, "late change", "lc", table, least)}), the local rank then by
        {told(_late_change(table, RANK, least, late))}. {verdict} Counts in brackets are of the
        {len(table.doubles)} architectures in double precision."""


def _on_decay(table: Table, effects: list[Effect]) -> str:
    parts = []
    for decay in table.decays[1:]:
        logs = pooled(table, LC, decay)
        own = [find_effect(effects, "weight decay", "lc", name, decay) for name in table.doubles]
        each = [effect.ratio for effect in own if effect is not None]
        parts.append(
            f"{told(ratio_of(logs))} at {decay:g} (by architecture {min(each):.2f} to {max(each):.2f}; "
            f"{_tally(effects, 'weight decay', 'lc', table, decay)})"
        )
    slopes = [ratio_of(log_slope(table, LC, name)) for name in table.doubles]
    rising, falling = (sum(own) for own in ([s[1] > 1.0 for s in slopes], [s[2] < 1.0 for s in slopes]))
    ratios = {decay: ratio_of(pooled(table, LC, decay)) for decay in table.decays[1:]}
    lower = [f"{decay:g}" for decay, own in ratios.items() if own[2] < 1.0]
    higher = [f"{decay:g}" for decay, own in ratios.items() if own[1] > 1.0]
    verdict = "The direction is nowhere against the paper's."
    if higher:
        verdict = f"""This contradicts the paper's statement that weight decay lowers LC: over all
            architectures it does so at {_listed(lower) or "no decay"}, and raises LC at {_listed(higher)}."""
    cells = [f"{told(ratio_of(pooled(table, named('cells'), decay)))} at {decay:g}" for decay in ratios]
    moving = [f"{told(_late_change(table, LC, decay, table.steps[-2]))} at {decay:g}" for decay in ratios]
    return f"""*Weight decay.* At the end LC is, over that without decay, {_listed(parts)}. {verdict} The
        paper's law, LC growing with log(1 / weight decay), has the opposite sign in {rising} of {len(slopes)}
        architectures, where LC rises with decay, and its own in {falling} (95 % intervals of slopes fitted
        for each seed). The end is not a limit: from step {table.steps[-2]:,} on LC still changes by
        {_listed(moving)}. Exact cells on the plane, over those without decay, are {_listed(cells)}: what
        decay does to the regions depends on where they are counted."""


def _on_rank(config: Config, table: Table) -> str:
    decays = table.decays[1:]
    last = [rank_and_complexity(table, decay, config["late"], table.steps[-1]) for decay in decays]
    first = [rank_and_complexity(table, decay, config["fitted"], config["late"]) for decay in decays]
    ranks = [f"{told(ratio_of(pooled(table, RANK, decay)))} at {decay:g}" for decay in decays]
    sentences = [f"*Local rank.* The final local rank is, over that without decay, {_listed(ranks)}."]
    if config["fitted"] < config["late"]:
        most = max(first, key=lambda own: own.lc[0])
        sentences.append(
            f"""From step {config["fitted"]:,}, when the networks fit, to {config["late"]:,} the rank falls by
            a tenth in {_sum(first, "fallen")} of {_sum(first, "runs")} runs with decay, and in these LC rises
            by a tenth in {_sum(first, "rises")} and falls by a tenth in {_sum(first, "falls")} (at decay
            {most.decay:g}: rank {told(most.rank)}, LC {told(most.lc)})."""
        )
    if _sum(first, "rises") > _sum(first, "falls"):
        sentences.append("So rank and LC come apart, and a falling rank alone is no sign of a falling LC.")
    sentences.append(
        f"""From step {config["late"]:,} to the end LC falls by a tenth in {_sum(last, "falls")} of the
        {_sum(last, "fallen")} runs whose rank does; at decay {last[0].decay:g} the rank changes by
        {told(last[0].rank)} and LC by {told(last[0].lc)}, at {last[-1].decay:g} by {told(last[-1].rank)} and
        {told(last[-1].lc)}."""
    )
    return " ".join(sentences)


def _sum(rows: list[Apart], name: str) -> int:
    return sum(getattr(row, name) for row in rows)


def _on_controls(table: Table, effects: list[Effect]) -> str:
    plain = [own for own in effects if own.quantity == "lc" and own.kind == "weight decay"]
    plain = [own for own in plain if own.architecture in table.doubles]
    sentences, largest = [], 1.0
    for quantity in (named("relative_lc"), named("near_lc")):
        gaps = []
        for own in plain:
            other = find_effect(effects, "weight decay", quantity.name, own.architecture, own.decay)
            if other is not None:
                gaps.append(other.ratio / own.ratio)
        factors = [max(gap, 1.0 / gap) for gap in gaps]
        largest = max(largest, float(np.median(factors)))
        sentences.append(
            f"{quantity.title}: the effects of weight decay differ by a factor of at most {max(factors):.2f} "
            f"(median {np.median(factors):.2f}) from those on LC"
        )
    relative = [
        f"{told(ratio_of(pooled(table, named('relative_rank'), d)))} at {d:g}" for d in table.decays[1:]
    ]
    verdict = "The scale of the weights under fixed noise makes part of these effects."
    if largest < 1.0 / _STEADY:
        verdict = "So it is not the scale of the weights under fixed noise that makes them."
    return f"""*Rescaling.* {"; ".join(sentences)}. {verdict} Local rank relative to the largest
        singular value, which has no fixed threshold, is over that without decay {_listed(relative)}."""


def _on_precision(config: Config, table: Table, effects: list[Effect]) -> str:
    pairs = [(single, single.partition(":")[0]) for single in table.singles]
    return " ".join(_on_pair(config, table, effects, pair) for pair in pairs if pair[1] in table.doubles)


def _on_pair(config: Config, table: Table, effects: list[Effect], pair: tuple[str, str]) -> str:
    """An architecture in single precision beside the same one in double precision."""
    single, double = pair
    least, end, late = table.decays[0], table.steps[-1], config["late"]
    early, final = (
        ratio_of(single_over_double(table, single, least, step)) for step in (config["fitted"], end)
    )
    changes = [
        ratio_of(np.log(table.values(LC, name, least, end) / table.values(LC, name, least, late)))
        for name in pair
    ]
    losses = [largest_loss(table, name, least, late) for name in pair]
    verdict = ""
    if changes[0][2] < _STEADY < changes[1][1]:
        seems = [
            f"{_of_decay(effects, single, decay)} at {decay:g} in place of "
            f"{_of_decay(effects, double, decay)}"
            for decay in table.decays[1:]
        ]
        verdict = f"""Nothing but the precision differs, so the late fall without decay comes from rounding;
            probably since, with the loss near the rounding of single precision, gradients are zeros and
            noise, which Adam scales up. Beside such runs weight decay seems to raise LC, by {_listed(seems)}:
            controls without decay need double precision."""
    return f"""*Rounding.* Without decay {double} in single precision has {told(early)} of the LC in double
        precision at step {config["fitted"]:,}, and {told(final)} of it at the end; from step {late:,} to the
        end LC changes by {told(changes[0])} in single and by {told(changes[1])} in double precision. The
        largest loss at a record in that time is {losses[0]:.2g} in single and {losses[1]:.2g} in double
        precision. {verdict}"""


def _of_decay(effects: list[Effect], name: str, decay: float) -> str:
    effect = find_effect(effects, "weight decay", "lc", name, decay)
    return "" if effect is None else told((effect.ratio, effect.low, effect.high))


def _headline(config: Config, table: Table) -> str:
    decays = table.decays
    late = [f"{_late_change(table, LC, decay, config['late'])[0]:.2f}" for decay in decays]
    ends = {decay: ratio_of(pooled(table, LC, decay)) for decay in decays[1:]}
    lower = [f"{decay:g}" for decay, own in ends.items() if own[2] < 1.0]
    higher = [f"{decay:g}" for decay, own in ends.items() if own[1] > 1.0]
    apart = [rank_and_complexity(table, decay, config["fitted"], config["late"]) for decay in decays[1:]]
    singles = [f"; {_late_single(table, name, config['late']):.2f} in {name} at 0" for name in table.singles]
    return prose(
        f"""On digits, {len(table.doubles)} architectures for {table.steps[-1]:,} steps in double precision:
        from step {config["late"]:,} to the end local complexity changes by factors of {", ".join(late)} at
        weight decay {", ".join(f"{decay:g}" for decay in decays)}{"".join(singles)}. Its final value over
        that without decay is {", ".join(f"{own[0]:.2f}" for own in ends.values())}: decay lowers it at
        {_listed(lower) or "none"} and raises it at {_listed(higher) or "none"} (95 % intervals). Local rank
        falls by a tenth before step {config["late"]:,} in {_sum(apart, "fallen")} of {_sum(apart, "runs")}
        runs with decay, while local complexity rises by a tenth in {_sum(apart, "rises")} of these."""
    )


def _late_single(table: Table, single: str, late: int) -> float:
    own, before = (table.values(LC, single, table.decays[0], step) for step in (table.steps[-1], late))
    return ratio_of(np.log(own / before))[0]


def _limits(config: Config, table: Table) -> str:
    rows = table.rows
    errors = [
        max(row[f"{own}_stderr"] / row[own] for row in rows) for own in ("lc", "near_lc", "relative_lc")
    ]
    small = [
        np.median([row["loss"] for row in table.at(n, table.decays[0], table.steps[-1])])
        for n in table.doubles
    ]
    return prose(
        f"""One data set of 8 x 8 pixels, one optimizer and one learning rate, widths up to
        {max(row["width"] for row in rows)} and up to {max(row["depth"] for row in rows)} layers; the paper
        trains with 1e-4 on MNIST. {len(table.seeds)} seeds share the images. Without decay the loss ends at
        {min(small):.0e} to {max(small):.0e} (medians of architectures); where gradients are far below Adam's
        epsilon of 1e-8, training has stopped rather than settled. Standard errors of single LC are at most
        {errors[0]:.1%}, with small noise {errors[1]:.1%}, with relative noise {errors[2]:.1%}; they are part
        of the spread over seeds. The plane goes through three training images of different classes and lies
        mostly between them, where LC on the data does not look. Intervals by Student's t suppose that the
        logarithms are roughly normal over seeds; those over all architectures hold for these architectures,
        which differ among themselves more than seeds do. The family of verdicts was chosen after trial runs
        had been seen, so its p-values are no test of hypotheses stated beforehand: sizes and intervals are
        what to quote, and a study that fixes the family first is still to be made."""
    )


def _checks(config: Config, table: Table) -> tuple[Check, ...]:
    count = len(config["architectures"]) * len(config["decays"]) * config["seeds"] * len(config["records"])
    complete = Check(
        "every network of the long training is measured at every record",
        len(table.rows) == count,
        f"{len(table.rows):,} of {count:,} records",
    )
    scaled = [row for name in table.architectures for row in as_before(table, name)]
    return complete, *sanity_checks(scaled)


EXPERIMENT = Experiment(
    NAME,
    "Digits for a million steps",
    run,
    report,
    needs=("torch", "sklearn"),
    command=_COMMAND,
)
