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
from validation.experiments.long_training_tables import (
    as_before,
    largest_loss,
    summary_table,
    tables_behind,
    told,
)
from validation.experiments.training_findings import sanity_checks
from validation.framework import Check, Config, Experiment, Folder, Pool, prose
from validation.long_training import NAME, TABLE, make_table
from validation.paper import SectionWithAppendix

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


def report(config: Config, folder: Folder) -> SectionWithAppendix:
    """The section on long trainings."""
    rows = folder.read_csv(TABLE)
    table = Table(rows)
    effects = effects_of(table, config["late"])
    draw_trajectories(folder, table)
    draw_effects(folder, table, effects, config["late"])
    late = f"{config['late']:,}"
    return SectionWithAppendix(
        question=prose(
            """What do runs say that are long enough for the late phase, how large are the effects, and are
            they effects on the function, of the scale of its weights, or of rounding?"""
        ),
        method=_method(config, table, effects),
        table=summary_table(table, config),
        appendix=tables_behind(table, effects, config),
        figures=(
            (
                "trajectories",
                "LC on the data, rank and exact cells on a plane against the step: geometric mean over "
                "seeds, shaded its interval",
            ),
            (
                "effects",
                f"Left: LC at the end over that without decay, for three kinds of noise; middle and right: "
                f"at the end over step {late}; black diamonds: over all architectures in double precision",
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
        f"""Architectures (width x number of ReLU layers): {", ".join(table.doubles)} in double precision, and
        {", ".join(table.singles) or "none"} as control; weight decays
        {", ".join(f"{decay:g}" for decay in table.decays)}, {len(table.seeds)} seeds each,
        {table.steps[-1]:,} steps; optimizer, images, density and criteria are those of the section before.
        The effect of weight decay is the ratio of the last record to that without decay; the late change, its
        ratio to the record of step {config["late"]:,}, a fixed one, as the largest of noisy values would
        bring a fall by itself. These ratios for LC and the rank, and those of single over double precision,
        are one family of {judged} verdicts. It was chosen after trial runs had been seen, so the correction
        is for the verdicts that are listed and not for their choice: sizes and intervals are what to quote.
        Seeds are what is replicated (an exact sign-flip test of {len(table.seeds)}, whose smallest p is
        {2.0 ** (1 - len(table.seeds)):.2g}, is in appendix A). Controls: LC with noise of
        {config["near_sigma"]:g} in place of {config["sigma"]:g}, nearly the locus, and with relative noise of
        {config["relative_sigma"]:g} spreads; rank relative to the largest singular value; exact cells on the
        plane."""
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


def _counts(effects: list[Effect], kind: str, table: Table, word: str) -> str:
    """In how many architectures in double precision a verdict on LC stands, by weight decay."""
    counts = []
    for decay in table.decays[1:]:
        own = [find_effect(effects, kind, "lc", name, decay) for name in table.doubles]
        counts.append(sum(effect is not None and effect.verdict == word for effect in own))
    return f"{_listed([str(count) for count in counts])} of {len(table.doubles)}"


def _on_late_change(config: Config, table: Table, effects: list[Effect]) -> str:
    late, end, least = config["late"], table.steps[-1], table.decays[0]
    changes = {decay: _late_change(table, LC, decay, late) for decay in table.decays}
    verdict = "A late fall at every weight decay, and none without, is not what is seen here."
    if all(changes[decay][2] < 1.0 for decay in table.decays[1:]) and changes[least][1] > _STEADY:
        but = f", but for {1.0 - changes[least][0]:.0%}" if changes[least][2] < 1.0 else ""
        verdict = f"So the late fall that the paper reports is there with weight decay, and not without{but}."
    return f"""*Late fall.* From step {late:,} to {end:,} LC changes as in the first row of the table
        ("lower" after the correction in {_counts(effects, "late change", table, "lower")} architectures, by
        weight decay), and without decay by {told(changes[least])}, the rank then by
        {told(_late_change(table, RANK, least, late))}. {verdict}"""


def _on_decay(table: Table, effects: list[Effect]) -> str:
    ranges = []
    for decay in table.decays[1:]:
        own = [find_effect(effects, "weight decay", "lc", name, decay) for name in table.doubles]
        each = [effect.ratio for effect in own if effect is not None]
        ranges.append(f"{min(each):.2f} to {max(each):.2f} at {decay:g}")
    slopes = [ratio_of(log_slope(table, LC, name)) for name in table.doubles]
    rising, falling = (sum(own) for own in ([s[1] > 1.0 for s in slopes], [s[2] < 1.0 for s in slopes]))
    ratios = {decay: ratio_of(pooled(table, LC, decay)) for decay in table.decays[1:]}
    lower = [f"{decay:g}" for decay, own in ratios.items() if own[2] < 1.0]
    higher = [f"{decay:g}" for decay, own in ratios.items() if own[1] > 1.0]
    verdict = "The direction is nowhere against the paper's."
    if higher:
        verdict = "This contradicts the paper, for which weight decay lowers LC."
    return f"""*Weight decay.* At the end LC is, over all architectures, below that without decay at
        {_listed(lower) or "no decay"} and above it at {_listed(higher) or "none"} (table). {verdict} Single
        architectures have {_listed(ranges)} ("lower" in {_counts(effects, "weight decay", table, "lower")},
        "higher" in {_counts(effects, "weight decay", table, "higher")}). A law in log(1 / weight decay) has
        the opposite sign in {rising} of {len(slopes)} architectures, and the paper's in {falling}.
        {_still_changing(table)} {_on_cells(table)}"""


def _excludes_one(ratio: _Ratio) -> int:
    """1 for an interval above 1, -1 for one below, else 0."""
    return int(ratio[1] > 1.0) - int(ratio[2] < 1.0)


def _still_changing(table: Table) -> str:
    before = table.steps[-2]
    changes = {decay: _late_change(table, LC, decay, before) for decay in table.decays[1:]}
    moving = [f"{told(own)} at {decay:g}" for decay, own in changes.items() if _excludes_one(own)]
    return f"The end is no limit: from step {before:,} on LC changes by {_listed(moving)}." if moving else ""


def _on_cells(table: Table) -> str:
    """Where the exact cells on the plane go the other way than LC on the data."""
    opposite = []
    for decay in table.decays[1:]:
        lc, cells = (ratio_of(pooled(table, quantity, decay)) for quantity in (LC, named("cells")))
        if _excludes_one(lc) * _excludes_one(cells) < 0:
            opposite.append(f"{told(cells)} at {decay:g}")
    if not opposite:
        return ""
    return f"""Exact cells on the plane go the other way, {_listed(opposite)}: what decay does to regions
        depends on where they are counted."""


def _on_rank(config: Config, table: Table) -> str:
    decays = table.decays[1:]
    last = [rank_and_complexity(table, decay, config["late"], table.steps[-1]) for decay in decays]
    first = [rank_and_complexity(table, decay, config["fitted"], config["late"]) for decay in decays]
    sentences = ["*Local rank.*"]
    if config["fitted"] < config["late"]:
        most = max(first, key=lambda own: own.lc[0])
        sentences.append(
            f"""From step {config["fitted"]:,}, when the networks fit, to {config["late"]:,} the rank falls by
            a tenth in {_sum(first, "fallen")} of {_sum(first, "runs")} runs with decay, and in these LC rises
            by a tenth in {_sum(first, "rises")} and falls by a tenth in {_sum(first, "falls")} (at decay
            {most.decay:g}: rank {told(most.rank)}, LC {told(most.lc)})."""
        )
    if _sum(first, "rises") > _sum(first, "falls"):
        sentences.append("So they come apart, and a falling rank alone is no sign of a falling LC.")
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
        sentences.append(f"at most {max(factors):.2f} (median {np.median(factors):.2f}) for {quantity.title}")
    verdict = "The scale of the weights under fixed noise makes part of these effects."
    if largest < 1.0 / _STEADY:
        verdict = "So it is not the scale of the weights under fixed noise that makes them."
    relative = [ratio_of(pooled(table, named("relative_rank"), decay)) for decay in table.decays[1:]]
    falls = ""
    if all(own[2] < 1.0 for own in relative):
        falls = " The rank that has no fixed threshold, relative to the largest singular value, falls too."
    return f"""*Scale.* The effects of weight decay differ from those on LC by a factor of
        {_listed(sentences)}. {verdict}{falls}"""


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
        most = max(table.decays[1:], key=lambda decay: _of_decay(effects, single, decay))
        verdict = f"""Nothing but the precision differs, so the late fall without decay comes from rounding
            (a likely way, not tested: Adam scales up gradients that are rounding noise). Beside such runs
            weight decay seems to raise LC by up to {_of_decay(effects, single, most)}, at {most:g}, in place
            of {_of_decay(effects, double, most)}: controls without decay need double precision."""
    return f"""*Rounding.* Without decay {double} in single precision has {told(early)} of the LC in double
        precision at step {config["fitted"]:,}, and {told(final)} of it at the end; from step {late:,} to the
        end LC changes by {told(changes[0])} in single and by {told(changes[1])} in double precision, with a
        largest loss at a record of {losses[0]:.2g} and {losses[1]:.2g}. {verdict}"""


def _of_decay(effects: list[Effect], name: str, decay: float) -> str:
    effect = find_effect(effects, "weight decay", "lc", name, decay)
    return "" if effect is None else told((effect.ratio, effect.low, effect.high))


def _headline(config: Config, table: Table) -> str:
    decays = table.decays
    late = [f"{told(_late_change(table, LC, decay, config['late']))} at {decay:g}" for decay in decays[1:]]
    ends = {decay: ratio_of(pooled(table, LC, decay)) for decay in decays[1:]}
    lower = [f"{decay:g}" for decay, own in ends.items() if own[2] < 1.0]
    higher = [f"{decay:g}" for decay, own in ends.items() if own[1] > 1.0]
    apart = [rank_and_complexity(table, decay, config["fitted"], config["late"]) for decay in decays[1:]]
    return prose(
        f"""On digits ({len(table.doubles)} architectures, {table.steps[-1]:,} steps, double precision) LC
        changes from step {config["late"]:,} to the end by {_listed(late)} with weight decay, and by
        {told(_late_change(table, LC, decays[0], config["late"]))} without. Over that without decay it ends at
        {_listed([f"{told(own)} at {decay:g}" for decay, own in ends.items()])}: decay lowers it at
        {_listed(lower) or "none"} and raises it at {_listed(higher) or "none"}. The rank falls by a tenth
        before step {config["late"]:,} in {_sum(apart, "fallen")} of {_sum(apart, "runs")} runs with decay,
        while LC rises by a tenth in {_sum(apart, "rises")} of these."""
    )


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
        f"""One data set, one optimizer and one learning rate, widths up to
        {max(row["width"] for row in rows)} and up to {max(row["depth"] for row in rows)} layers. Without
        decay the loss ends at {min(small):.0e} to {max(small):.0e} (medians of architectures), where
        training has stopped rather than settled. Standard errors of single LC are at most {errors[0]:.1%},
        with small noise {errors[1]:.1%}, with relative noise {errors[2]:.1%}. The plane lies mostly between
        its three images. Intervals over all architectures hold for these, which differ among themselves
        more than seeds do. A study that fixes its verdicts beforehand is still to be made."""
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
