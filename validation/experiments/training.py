"""Local complexity, rank and total variation while classifiers are trained, against the paper's findings."""

from __future__ import annotations

from typing import Any

import numpy as np

from regions import Network, from_torch, local_complexity, track
from validation.experiments.training_findings import (
    FINDINGS,
    LATE_FROM,
    Verdict,
    judge,
    late,
    mean_rank,
    runs_of,
    sanity_checks,
)
from validation.framework import Experiment, Folder, Pool, case_rng, markdown_table, prose
from validation.network_measures import (
    accuracy,
    density_of,
    entry_or_none,
    jacobian_means,
    on_plane,
    paper_bound,
    plane_through_classes,
)
from validation.paper import SectionWithAppendix
from validation.training_data import (
    CLUSTER_INPUTS,
    CLUSTERS,
    CLUSTERS_TRAINED_ON,
    DIGITS_TRAINED_ON,
    SPREAD,
    make_data,
)

__all__ = ["EXPERIMENT"]

Row = dict[str, Any]

_DATA = {"clusters": "Gaussian clusters", "digits": "digits"}
# judged by longer runs, in the section after; but for what only these runs have
_CONTINUED = {"digits": ("scale lowers",)}
# columns for layers, empty where a network has fewer
_MOST_LAYERS = 4


def run(config: dict[str, Any], folder: Folder, pool: Pool) -> None:
    """One row for each network and recorded step."""
    items = [
        {**problem, **setting, "config": {key: config[key] for key in config if key != "problems"}}
        for problem in config["problems"]
        for setting in _settings(problem)
    ]
    parts = pool.map(_train_and_record, items, "training, all seeds of a setting at once")
    folder.write_csv("records", [row for part in parts for row in part])


def _settings(problem: Row) -> list[Row]:
    """Weight decays at the usual scale of initial weights, and scales at one weight decay."""
    found = [{"decay": decay, "scale": 1.0} for decay in problem["decays"]]
    return found + [{"decay": problem["scales_at"], "scale": scale} for scale in problem["scales"]]


def _train_and_record(item: Row) -> list[Row]:
    from validation.training_runs import TrainingSpec, log_spaced, train

    config = item["config"]
    seeds = tuple(range(item["seeds"]))
    spec = TrainingSpec(
        item["data"],
        tuple(item["hidden"]),
        seeds,
        item["steps"],
        batch=config["batch"],
        learning_rate=config["learning_rate"],
        weight_decay=item["decay"],
        init_scale=item["scale"],
    )
    steps = log_spaced(item["steps"], config["records"])
    trackers: list[Any] = []
    rows = []
    for moment in train(spec, steps):
        if not trackers:
            trackers = [_tracker(item, moment.models[seed], seed, steps) for seed in seeds]
        for seed, tracker in zip(seeds, trackers, strict=True):
            tracker_rows = tracker.step(moment.step) if moment.step else tracker.history.of()
            data, network = make_data(item["data"], seed), from_torch(moment.models[seed])
            row = {key: item[key] for key in ("data", "decay", "scale")}
            row |= {"seed": seed, "step": moment.step, "loss": float(moment.loss[seed])}
            row |= {
                "train_accuracy": accuracy(network, data.train_x, data.train_y),
                "test_accuracy": accuracy(network, data.test_x, data.test_y),
            }
            rows.append(row | _on_data(item, network, seed, moment.step) | _on_slice(tracker_rows[-1]))
    return rows


def _tracker(item: Row, model: Any, seed: int, steps: tuple[int, ...]) -> Any:
    """What is exact: everything on the plane through one image, or point, of each of the first classes."""
    config, data = item["config"], make_data(item["data"], seed)
    return track(
        model,
        plane_through_classes(data, seed),
        every=steps,
        rng=case_rng("tracker", item["data"], item["decay"], item["scale"], seed),
        records=(
            "locus", "activation_locus", "local_rank", "total_variation", "local_complexity", "estimates",
        ),
        sigma=config["sigma"],
        eps=config["eps"],
        n_samples=config["samples"],
        n_bias=config["n_bias"],
        workers=1,
    )  # fmt: skip


def _on_data(item: Row, network: Network, seed: int, step: int) -> Row:
    """Local complexity on the data's density, by the co-area formula; ranks and variation at data points."""
    config = item["config"]
    names = ["training", item["data"], item["decay"], item["scale"], seed, step]
    data = make_data(item["data"], seed)
    density = density_of(data, item.get("bandwidth", 0.0))
    estimate = local_complexity(network, density, config["sigma"], config["samples"], case_rng(*names))
    means = jacobian_means(network, data.train_x[: config["points"]], config["eps"])
    return {
        "lc": estimate.mean,
        "lc_stderr": estimate.stderr,
        "tv": means.variation,
        "bound": paper_bound(network, means.variation, config["sigma"]),
        **{f"rank_{layer}": entry_or_none(means.ranks, layer) for layer in range(_MOST_LAYERS)},
    }


def _on_slice(record: Any) -> Row:
    ranks = record.local_rank_by_layer
    return on_plane(record) | {f"plane_rank_{k}": entry_or_none(ranks, k) for k in range(_MOST_LAYERS)}


def report(config: dict[str, Any], folder: Folder) -> SectionWithAppendix:
    """The section on training."""
    rows = folder.read_csv("records")
    data = [problem["data"] for problem in config["problems"]]
    verdicts = {name: _judged(name, rows) for name in data}
    shown = [name for name in data if name not in _CONTINUED]
    for name in shown:
        _draw(folder, name, [row for row in rows if row["data"] == name])
    caption = (
        "{}: above, LC, rank and TV on the data; below, A over LC, and exact values on a plane through data; "
        "mean over seeds, shaded from smallest to largest"
    )
    return SectionWithAppendix(
        question=prose(
            """The paper reports that LC falls late in training while the local rank falls, that TV over the
            rest's Lipschitz constant follows LC, and that weight decay and larger initial weights lower it.
            Is this so in smaller networks, whose cells and loci on planes are exact?"""
        ),
        method=_method(config, rows),
        table=_verdict_table(verdicts),
        appendix="\n\n".join([_criterion_table(), _number_table(rows)]),
        figures=tuple((f"over_training_{name}", caption.format(_DATA[name])) for name in shown),
        finding=_finding(verdicts, rows),
        limits=_limits(config, rows),
        checks=sanity_checks(rows),
        headline=_headline(verdicts),
    )


def _judged(name: str, rows: list[Row]) -> dict[str, Verdict]:
    """The verdicts on a data set, by findings, that these runs are long enough for."""
    found = judge([row for row in rows if row["data"] == name])
    return {key: own for key, own in found.items() if key in _CONTINUED.get(name, found)}


def _method(config: dict[str, Any], rows: list[Row]) -> str:
    described = {
        "clusters": f"{CLUSTERS} Gaussian clusters of standard deviation {SPREAD:g} in R^{CLUSTER_INPUTS}, "
        f"{CLUSTERS_TRAINED_ON} training points, other centres for each seed",
        "digits": f"digits, {DIGITS_TRAINED_ON:,} training images with kernels of standard deviation "
        "{bandwidth:g}",
    }
    problems = "; ".join(
        f"""{described[p["data"]].format(**p)}, ReLU layers {"-".join(map(str, p["hidden"]))}, {p["seeds"]}
        seeds"""
        for p in config["problems"]
    )
    decays = sorted({row["decay"] for row in rows})
    scaled = sorted({row["scale"] for row in rows if row["scale"] != 1.0})
    return prose(
        f"""Cross-entropy, AdamW at {config["learning_rate"]:g}, batches of {config["batch"]}, decay
        {", ".join(f"{one:g}" for one in decays)} on weights only, {max(row["step"] for row in rows):,} steps;
        {problems}; initial weights of PyTorch, and
        {" and ".join(f"{one:g}" for one in scaled) or "no"} times as large. At {config["records"]} steps,
        evenly spaced in logarithm: LC at sigma {config["sigma"]:g} on the data's density in the whole input
        space ({config["samples"]:,} samples); rank (eps = {config["eps"]:g}) and TV as means over
        {config["points"]} training points; and, by `regions.track`, on the plane through points of three
        classes, the exact count of cells and locus, LC from {config["n_bias"]} draws of the biases, and its
        estimate. A is TV L c_eta / max_l of the product of the spectral norms of W_l to W_L, with
        eta = sigma. Late is from the first record of {LATE_FROM:.0%} training accuracy on. Appendix A
        has what counts as reproduced."""
    )


def _verdict_table(verdicts: dict[str, dict[str, Verdict]]) -> str:
    """The verdicts on data whose runs are long enough; those on other data are told in the text."""
    tables = []
    for name, own in verdicts.items():
        if name not in _CONTINUED:
            body = [
                [f"({number}) {finding.title}", own[finding.name].word, own[finding.name].numbers]
                for number, finding in enumerate(FINDINGS, 1)
                if finding.name in own
            ]
            header = [f"statement, on {_DATA[name]}", "verdict", "numbers that decided"]
            tables.append(markdown_table(header, body))
    return "\n\n".join(tables)


def _criterion_table() -> str:
    body = [
        [f"({number}) {finding.title}", finding.criterion.rstrip(".")]
        for number, finding in enumerate(FINDINGS, 1)
    ]
    return markdown_table(["statement", "counts as reproduced if"], body)


def _number_table(rows: list[Row]) -> str:
    header = [
        "data", "weight decay", "initial scale", "seeds", "LC, start", "LC, largest late", "LC, end",
        "rank by layer, start", "rank by layer, end", "TV, end", "cells on the plane, start", "end",
        "test accuracy",
    ]  # fmt: skip
    body = []
    for (data, decay, scale), runs in _by_setting(rows).items():
        fitted = [late(run) for run in runs]
        body.append(
            [
                _DATA[data],
                f"{decay:g}",
                f"{scale:g}",
                str(len(runs)),
                _mean([run[0]["lc"] for run in runs]),
                _mean([max(row["lc"] for row in run) for run in fitted]),
                _mean([run[-1]["lc"] for run in runs]),
                _ranks([run[0] for run in runs]),
                _ranks([run[-1] for run in runs]),
                _mean([run[-1]["tv"] for run in runs]),
                _mean([run[0]["cells"] for run in runs], ".0f"),
                _mean([run[-1]["cells"] for run in runs], ".0f"),
                f"{np.mean([run[-1]['test_accuracy'] for run in runs]):.1%}",
            ]
        )
    return markdown_table(header, body)


def _mean(values: list[float], form: str = ".1f") -> str:
    """Mean, and standard deviation over seeds."""
    return f"{np.mean(values):{form}} ± {np.std(values, ddof=1) if len(values) > 1 else 0.0:{form}}"


def _ranks(rows: list[Row]) -> str:
    layers = [layer for layer in range(_MOST_LAYERS) if rows[0][f"rank_{layer}"] is not None]
    return " / ".join(f"{np.mean([row[f'rank_{layer}'] for row in rows]):.1f}" for layer in layers)


def _by_setting(rows: list[Row]) -> dict[tuple[str, float, float], list[list[Row]]]:
    grouped: dict[tuple[str, float, float], list[list[Row]]] = {}
    for own in runs_of(rows).values():
        grouped.setdefault((own[0]["data"], own[0]["decay"], own[0]["scale"]), []).append(own)
    return grouped


def _finding(verdicts: dict[str, dict[str, Verdict]], rows: list[Row]) -> str:
    sentences = []
    for name, own in verdicts.items():
        if name in _CONTINUED:
            said = "; ".join(
                f"statement ({number}) is {own[finding.name].word} on them, {own[finding.name].numbers}"
                for number, finding in enumerate(FINDINGS, 1)
                if finding.name in own
            )
            sentences.append(
                f"""On {_DATA[name]} these runs end before the late phase, and the next section judges longer
                ones{f"; {said}" if said else ""}."""
            )
            continue
        settings = {
            decay: runs
            for (data, decay, scale), runs in _by_setting(rows).items()
            if data == name and scale == 1.0
        }
        for decay in (min(settings), max(settings)):
            runs = settings[decay]
            fitted, ends = [late(run)[0] for run in runs], [run[-1] for run in runs]
            sentences.append(
                f"""From the first late record to the end, at weight decay {decay:g}, LC on the data goes from
                {_mean([row["lc"] for row in fitted])} to {_mean([row["lc"] for row in ends])}, the rank from
                {_mean(list(map(mean_rank, fitted)))} to {_mean(list(map(mean_rank, ends)))} and the exact
                cells on the plane from {_mean([row["cells"] for row in fitted], ".0f")} to
                {_mean([row["cells"] for row in ends], ".0f")}."""
            )
    sentences.append("Numbers after ± are standard deviations over seeds.")
    return prose(" ".join(sentences))


def _headline(verdicts: dict[str, dict[str, Verdict]]) -> str:
    parts = []
    for name, verdict in verdicts.items():
        if name in _CONTINUED:
            continue
        own = {f.title: verdict[f.name] for f in FINDINGS if f.name in verdict and not f.ours}
        failed = [title for title, one in own.items() if one.reproduced is False]
        unsure = [title for title, one in own.items() if one.reproduced is None]
        parts.append(
            f"""{sum(one.reproduced is True for one in own.values())} of {len(own)} on {_DATA[name]}; not
            reproduced: {", ".join(failed) or "none"}; undecided: {", ".join(unsure) or "none"}"""
        )
    return prose(f"""Reproduced are, of the paper's findings, {"; ".join(parts)}.""")


def _limits(config: dict[str, Any], rows: list[Row]) -> str:
    longest = max(row["step"] for row in rows)
    least = min(row["decay"] for row in rows)
    ends = [run[-1]["loss"] for run in runs_of(rows).values() if run[0]["decay"] == least]
    return prose(
        f"""At most {longest:,} steps, at a larger rate than the paper's 1e-4 with up to a million steps;
        clusters whose published centres and spread are not known to us; and weight decays above the paper's,
        added after a trial run at the paper's had shown little change. LC on the data is an estimate
        (standard error at most {max(row["lc_stderr"] / row["lc"] for row in rows):.1%}). Training is in
        single precision, whose rounding moves networks that lose little: at weight decay {least:g} the last
        loss has a median of {np.median(ends):.1e}."""
    )


def _draw(folder: Folder, name: str, rows: list[Row]) -> None:
    from matplotlib import pyplot as plt

    groups = list(_by_setting(rows).items())
    panels = [
        ("LC on the data", lambda row: row["lc"]),
        ("mean local rank", mean_rank),
        ("TV at data points", lambda row: row["tv"]),
        ("TV / LC", lambda row: row["tv"] / row["lc"]),
        ("A / LC, A = TV L c_eta / max ‖W_l ... W_L‖", lambda row: row["bound"] / row["lc"]),
        ("exact LC on the plane", lambda row: row["plane_lc"]),
        ("exact locus on the plane, density", lambda row: row["locus"]),
        ("exact cells on the plane", lambda row: row["cells"]),
    ]
    figure, axes = plt.subplots(2, 4, figsize=(15.5, 6.4), sharex=True, layout="constrained")
    for at, ((_, decay, scale), runs) in enumerate(groups):
        label = f"weight decay {decay:g}" + ("" if scale == 1.0 else f", initial weights x {scale:g}")
        steps = [row["step"] for row in runs[0]]
        for axis, (title, value) in zip(axes.flat, panels, strict=True):
            values = np.array([[value(row) for row in run] for run in runs])
            style = "-" if scale == 1.0 else "--"
            axis.plot(
                steps, values.mean(axis=0), style, color=f"C{at}", marker="o", ms=3, lw=1.3, label=label
            )
            axis.fill_between(steps, values.min(axis=0), values.max(axis=0), color=f"C{at}", alpha=0.12, lw=0)
            axis.set_title(title, fontsize=10)
    for axis in axes.flat:
        axis.set_xscale("symlog", linthresh=1.0)
        axis.grid(alpha=0.3)
    for axis in (axes[0, 2], axes[0, 3], axes[1, 0]):
        axis.set_yscale("log")
    for axis in axes[1]:
        axis.set_xlabel("step")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=9)
    folder.save_figure(f"over_training_{name}", figure)


EXPERIMENT = Experiment(
    "training",
    "Local complexity, rank and total variation",
    run,
    report,
    needs=("torch", "sklearn"),
)
