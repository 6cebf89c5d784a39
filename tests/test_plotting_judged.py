"""Laws of the pictures of comparisons and trainings: what is drawn is what the results hold."""

from __future__ import annotations

import math

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest

from regions import Comparison, Estimate, History, Judgement, Target, ValidationReport
from regions.errors import InvalidInputError
from regions.plotting import plot_comparison, plot_history, plot_validation
from regions.validation.tracking import Record, log_steps


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def judged(name, budget, shift=0.0, target=None, exact=2.0, n=30):
    """Runs around the exact value plus a shift, with honest standard errors."""
    rng = np.random.default_rng(budget)
    error = 1.0 / math.sqrt(budget)
    runs = tuple(Estimate(exact + shift + error * rng.standard_normal(), error, budget) for _ in range(n))
    return Judgement(name, target or Target.locus(), Estimate(exact, 0.0, 1), budget, runs, 1e-5 * budget)


@pytest.fixture
def comparison():
    rows = [judged("fair", 10), judged("fair", 1000), judged("skewed", 10, 1.0), judged("skewed", 1000, 1.0)]
    return Comparison(tuple(rows), "a network", "a box", "uniform")


def test_the_comparison_draws_errors_biases_scores_and_coverage(comparison, tmp_path):
    figure = plot_comparison(comparison, path=tmp_path / "out.png")
    by_draws, by_seconds, biases, scores, coverage = figure.axes
    fair, skewed = (comparison.of(name) for name in ("fair", "skewed"))
    drawn = [line for line in by_draws.lines if line.get_linestyle() == "-"]
    for line, rows in zip(drawn, (fair, skewed), strict=True):
        assert np.array_equal(line.get_xdata(), [10, 1000])
        assert np.array_equal(line.get_ydata(), [row.rmse / 2.0 for row in rows])
    seconds = next(line for line in by_seconds.lines if line.get_linestyle() == "-")
    assert np.array_equal(seconds.get_xdata(), [row.seconds for row in fair])
    floors = [line.get_ydata() for line in by_draws.lines if line.get_linestyle() == ":"]
    assert np.isnan(floors[0]).all()
    assert np.array_equal(floors[1], [abs(row.bias) / 2.0 for row in skewed])
    places = [line.get_xdata()[0] for line in biases.lines if line.get_marker() in "os"]
    assert places == [row.bias / 2.0 for row in comparison.judgements]
    assert [bar.get_width() for bar in coverage.patches] == [row.coverage for row in comparison.judgements]
    assert len(scores.patches) == 4
    # all runs are in the histogram, those beyond 5 in its last bins
    top = scores.patches[3].get_data()
    assert np.argmax(np.abs(top.values - top.baseline)) == len(top.values) - 1
    assert (tmp_path / "out.png").stat().st_size > 10_000
    shown = [label.get_text() for label in biases.get_yticklabels()]
    assert shown == ["fair   10 draws", "1,000 draws", "skewed   10 draws", "1,000 draws"]


def test_labels_of_the_comparison_do_not_overlap():
    names = ["co-area, unnormalised, centred at 0, no indicator", "Crofton lines", "distinct patterns"]
    targets = [Target.locus(), Target.locus(), Target("number of cells")]
    rows = [
        judged(name, budget, shift, target)
        for name, target, shift in zip(names, targets, (-1.9, 0.0, 0.1), strict=True)
        for budget in (100, 1000, 10_000)
    ]
    figure = plot_comparison(Comparison(tuple(rows), "net", "box", "p"))
    figure.canvas.draw()
    boxes = []
    for ax in figure.axes:
        ends = sorted(ax.get_ylim())
        ticks = [label for label in ax.get_yticklabels() if ends[0] <= label.get_position()[1] <= ends[1]]
        labels = [*ticks, ax.xaxis.label, ax.yaxis.label]
        boxes += [label.get_window_extent() for label in labels if label.get_visible() and label.get_text()]
    boxes += [text.get_window_extent() for part in figure.subfigs for text in part.texts if text.get_text()]
    overlaps = [
        (k, j) for k in range(len(boxes)) for j in range(k) if boxes[k].width and boxes[k].overlaps(boxes[j])
    ]
    assert overlaps == []
    page = figure.bbox
    assert all(box.x0 >= page.x0 - 1 and box.x1 <= page.x1 + 1 for box in boxes)


def test_a_comparison_comes_from_its_file_to_the_same_picture(comparison, tmp_path):
    comparison.save(tmp_path / "c.json")
    figures = [plot_comparison(one) for one in (comparison, Comparison.load(tmp_path / "c.json"))]
    first, second = ([line.get_xydata() for ax in figure.axes for line in ax.lines] for figure in figures)
    assert all(np.array_equal(a, b, equal_nan=True) for a, b in zip(first, second, strict=True))


@pytest.mark.sweep(1)
@pytest.mark.parametrize("exact", [0.0, 2.0])
def test_values_without_spread_or_of_zero_still_draw(exact):
    runs = (Estimate(1.0, 0.0, 1), Estimate(1.0, 0.0, 1))
    row = Judgement("e", Target.locus(), Estimate(exact, 0.0, 1), 5, runs, 0.0)
    figure = plot_comparison(Comparison((row,), complete=False))
    figure.canvas.draw()
    assert figure.axes[0].get_ylabel() == ("RMSE" if exact == 0.0 else "RMSE / exact value")
    assert "TRUNCATED" in figure.subfigs[0].get_suptitle()


def test_validations_are_drawn_with_their_z(tmp_path):
    reports = [
        ValidationReport(
            "mine", kind, 0.1, Estimate(2.0, 0.03, 100), Estimate(2.1, 0.04, 1000), 2.0, 2.0, 0.1
        )
        for kind in ("gradient", "activation")
    ]
    figure = plot_validation(reports, path=tmp_path / "v.pdf")
    points = [line.get_xdata()[0] for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert points == pytest.approx([0.05, 0.05])
    assert (tmp_path / "v.pdf").stat().st_size > 1000
    with pytest.raises(InvalidInputError, match="no report"):
        plot_validation([])


def history_of(steps, truncated=()):
    rows = []
    for k, step in enumerate(steps):
        for name in ("box", "line"):
            cut = step in truncated
            rows.append(
                Record(
                    step,
                    name,
                    "TRUNCATED" if cut else "COMPLETE",
                    100 + k,
                    0.01,
                    locus=None if cut else 2.0 + k,
                    local_rank_by_layer=None if cut else (2.0, 1.0),
                    local_complexity=None if cut else Estimate(2.1 + k, 0.1, 8),
                    estimates={"co-area": Estimate(2.2 + k, 0.2, 100), "patterns": Estimate(50.0, 1.0, 9)},
                    scalars={"loss": 10.0 ** (-k)} if k else {},
                )
            )
    targets = {"co-area": "bias-averaged locus integral, sigma 0.1", "patterns": "number of cells"}
    return History(tuple(rows), "net", settings={"estimators": targets})


def test_a_history_has_a_panel_for_each_quantity_with_exact_and_estimate_together(tmp_path):
    history = history_of(range(0, 60, 10))
    figure = plot_history(history, path=tmp_path / "h.png")
    assert [ax.get_title() for ax in figure.axes] == [
        "cells",
        "locus, weighted by the density",
        "local rank",
        "loss",
    ]
    cells, locus, rank, loss = figure.axes
    legend = [text.get_text() for text in locus.get_legend().get_texts()]
    assert legend == ["nonlinear locus", "local complexity, exact", "co-area, estimated"]
    assert [text.get_text() for text in cells.get_legend().get_texts()] == ["cells", "patterns, estimated"]
    assert len(locus.containers) == 4
    joined = [line for line in locus.lines if line.get_linestyle() == "-"]
    for line, domain in zip(joined, ("box", "line"), strict=True):
        steps, values, _ = history.series("locus", domain)
        assert np.array_equal(line.get_xydata(), np.column_stack([steps, values]))
    assert loss.get_yscale() == "log" and len(loss.lines) == 1
    assert rank.get_xscale() == "linear"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["box", "line"]
    assert (tmp_path / "h.png").stat().st_size > 10_000


def test_log_spaced_steps_have_a_logarithmic_axis_with_zero_on_it():
    ax = plot_history(history_of(log_steps(1000, 12)), ["cells"]).axes[0]
    assert ax.get_xscale() == "symlog"
    assert ax.get_xlim()[0] < 0.0
    assert plot_history(history_of(range(12)), ["cells"]).axes[0].get_xscale() == "linear"


def test_truncated_counts_are_marks_of_their_own():
    figure = plot_history(history_of(range(4), truncated=(2,)), ["cells", "locus"], domains=["box"])
    cells, locus = figure.axes
    line, bound = cells.lines
    assert np.isnan(line.get_ydata()[2]) and np.isfinite(line.get_ydata()[[0, 1, 3]]).all()
    assert (bound.get_marker(), bound.get_xydata().tolist()) == ("^", [[2.0, 102.0]])
    assert "at least" in cells.texts[0].get_text()
    assert np.isnan(locus.lines[0].get_ydata()[2])
    all_cut = plot_history(history_of(range(3), truncated=(0, 1, 2)), ["cells"])
    all_cut.canvas.draw()


def test_single_layers_share_a_panel():
    figure = plot_history(history_of(range(3)), ["local_rank", "local_rank_0", "local_rank_1"])
    (ax,) = figure.axes
    legend = [text.get_text() for text in ax.get_legend().get_texts()]
    assert legend == ["mean over layers", "layer 0", "layer 1"]


def test_what_cannot_be_drawn_is_refused_before_it_is(comparison, tmp_path):
    with pytest.raises(InvalidInputError, match="no records"):
        plot_history(History(()))
    history = history_of(range(3))
    with pytest.raises(InvalidInputError, match="no record has 'rank'; there are cells, locus"):
        plot_history(history, ["rank"])
    with pytest.raises(InvalidInputError, match="no domain 'x'"):
        plot_history(history, domains=["x"])
    with pytest.raises(InvalidInputError, match="quantities is empty"):
        plot_history(history, [])
    with pytest.raises(InvalidInputError, match="no judgement"):
        plot_comparison(Comparison(()))
    for draw, given in ((plot_history, history), (plot_comparison, comparison)):
        before = len(plt.get_fignums())
        with pytest.raises(InvalidInputError, match="use a suffix"):
            draw(given, path=tmp_path / "out.xyz")
        assert len(plt.get_fignums()) == before
