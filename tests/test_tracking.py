"""Laws of tracking: records are what the network at that step has, and training does not notice them."""

from __future__ import annotations

import csv
import json
import math
import warnings

import numpy as np
import pytest

from regions import (
    Box,
    Coarea,
    CroftonLines,
    Estimate,
    GaussianDensity,
    History,
    Network,
    Segment,
    UniformDensity,
    count_cells,
    enumerate_cells,
    exact_local_complexity,
    explore,
    from_sklearn,
    from_torch,
    locus_volume,
    log_steps,
    minimal_perturbation,
    sum_over_cells,
    track,
)
from regions.errors import InvalidInputError, InvalidNetworkError
from regions.validation.tracking import QUANTITIES, Record
from regions.validation.tracking.data_distances import DISTANCES, cell_distances, measure_distances

BOX = Box([-1.0, -1.0], [1.0, 1.0])
LINE = Segment([-1.0, -0.9], [1.0, 0.8])


class Walk:
    """A stand-in for a training: a network whose weights walk at random, and all that it was."""

    def __init__(self, widths=(2, 8, 6, 1), seed=0):
        self.rng = np.random.default_rng(seed)
        shapes = list(zip(widths[1:], widths[:-1], strict=True))
        self.weights = [self.rng.normal(size=shape) for shape in shapes]
        self.biases = [0.3 * self.rng.normal(size=shape[0]) for shape in shapes]
        self.past = [self()]

    def __call__(self):
        return Network.from_arrays([w.copy() for w in self.weights], [b.copy() for b in self.biases])

    def step(self):
        for array in (*self.weights, *self.biases):
            array += 0.1 * self.rng.normal(size=array.shape)
        self.past.append(self())


def followed(walk, n, **settings):
    tracker = track(walk, **{"domains": BOX, "every": 1, "rng": np.random.default_rng(0), **settings})
    for _ in range(n):
        walk.step()
        tracker.step()
    return tracker


@pytest.fixture(scope="module")
def moons():
    """Points of two half circles in the plane and their labels."""
    rng = np.random.default_rng(3)
    angle, label = rng.uniform(0.0, np.pi, 120), rng.integers(0, 2, 120)
    upper = np.column_stack([np.cos(angle), np.sin(angle)])
    points = np.where(label[:, None] == 1, np.array([1.0, 0.5]) - upper, upper)
    return points + 0.1 * rng.normal(size=points.shape), label


def test_records_are_the_numbers_of_the_network_at_that_step():
    walk = Walk()
    gaussian = GaussianDensity([0.0, 0.2], 0.5)
    domains = {"box": BOX, "line": LINE}
    densities = {"box": gaussian, "line": UniformDensity(LINE)}
    history = followed(walk, 3, domains=domains, density=densities, eps=0.3).history
    assert history.steps == (0, 1, 2, 3)
    assert history.names == ("box", "line")
    for record in history.records:
        network, domain = walk.past[record.step], domains[record.domain]
        cells = enumerate_cells(network, domain)
        p = densities[record.domain]
        sums = sum_over_cells(cells, p, eps=0.3)
        locus = locus_volume(cells, p)
        assert (record.cells, record.status) == (cells.n_cells, "COMPLETE")
        assert record.locus == locus.total
        assert record.locus_by_layer == tuple(locus.by_layer)
        assert record.activation_locus == locus_volume(cells, p, "activation").total
        assert record.local_rank_by_layer == tuple(sums.local_rank)
        assert record.local_rank == math.fsum(sums.local_rank) / 2
        assert record.total_variation == sums.total_variation
        assert (record.c_grad, record.lipschitz) == (sums.c_bound, max(sums.lipschitz))
        assert record.local_complexity is None
        assert record.seconds > 0.0


@pytest.mark.slow
def test_estimates_agree_with_the_exact_local_complexity_of_the_same_record():
    walk = Walk(seed=5)
    history = followed(
        walk, 2, records=QUANTITIES, sigma=0.1, n_samples=4000, n_bias=40, estimators=[Coarea(0.1)]
    ).history
    for record in history.records:
        exact, estimate = record.local_complexity, record.estimates["co-area"]
        assert (exact.n, estimate.n) == (40, 4000)
        assert 0.0 < abs(estimate.mean - exact.mean) < 4 * math.hypot(estimate.stderr, exact.stderr)
        again = exact_local_complexity(
            walk.past[record.step], BOX, UniformDensity(BOX), 0.1, 80, np.random.default_rng(9)
        )
        assert abs(again.mean - exact.mean) < 4 * math.hypot(again.stderr, exact.stderr)


def test_the_same_generator_state_gives_the_same_history():
    def numbers(seed):
        history = followed(Walk(), 2, rng=np.random.default_rng(seed)).history
        return [record.estimates for record in history.records]

    assert numbers(0) == numbers(0)
    assert numbers(0) != numbers(1)
    rng = np.random.default_rng(0)
    followed(Walk(), 1, rng=rng)
    assert rng.random() == np.random.default_rng(0).random()


def test_only_what_is_asked_for_is_recorded():
    walk = Walk()
    history = followed(walk, 1, records=("cells",)).history
    assert history.quantities == ("cells",)
    for record in history.records:
        assert record.cells == count_cells(walk.past[record.step], BOX).cells
        assert record.names() == ["cells"]
    locus = followed(Walk(), 1, records=("locus", "c_grad")).history
    assert locus.quantities == ("cells", "locus", "c_grad")
    assert followed(Walk(), 1, records="estimates").history.quantities == ("cells", "co-area")


def test_one_call_records_both_local_complexities_exact_values_and_distances():
    points = [[0.2, 0.1], [-0.6, 0.4], [0.9, -0.8]]
    settings = {"records": "all", "points": points, "n_bias": 2, "n_samples": 50, "radius": 0.1}
    walk = Walk((2, 8, 6, 3))
    history = followed(walk, 1, domains={"box": BOX, "line": LINE}, **settings).history
    assert history.quantities == (
        "cells", "locus", "activation_locus", "local_rank", "total_variation", "c_grad", "lipschitz",
        "local_complexity", "cell_distance", "boundary_distance", "co-area", "cross-polytope sign changes",
    )  # fmt: skip
    assert history.settings["points"] == 3
    for step in (0, 1):
        box, line = (record for record in history.records if record.step == step)
        assert box.cell_distance == line.cell_distance
        assert box.boundary_distance == line.boundary_distance
        assert box.cell_distance.mean > 0.0
        assert box.boundary_distance.mean > 0.0
    # a file from before there were distances
    plain = history.records[0].to_dict()
    del plain["cell_distance"], plain["boundary_distance"]
    assert Record.from_dict(plain).boundary_distance is None
    assert Record.from_dict(history.records[0].to_dict()) == history.records[0]


def test_distances_of_points_are_those_of_searches_around_them():
    network = Walk((2, 6, 5, 3), seed=4)()
    points = np.random.default_rng(1).uniform(-1.0, 1.0, (4, 2))
    assert cell_distances(network, points) == pytest.approx(
        [explore(network, point, max_cells=1).nearest_facet.distance for point in points]
    )
    record = track(network, BOX, every=1, rng=0, records="boundary_distance", points=points).history.records[
        0
    ]
    nearest = [minimal_perturbation(network, point).upper for point in points]
    assert record.boundary_distance.mean == pytest.approx(np.mean(nearest))
    assert record.boundary_distance.n == 4
    assert record.cell_distance is None


def test_distances_on_a_boundary_and_without_one():
    tied = Network.from_arrays([[[1.0], [-1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [-1.0]])
    points = np.array([[1.0], [0.25]])
    found = measure_distances(tied, points, frozenset(DISTANCES), lambda _: None)
    assert found["boundary_distance"].mean == pytest.approx(0.375)
    assert found["cell_distance"].mean == 0.625
    flat = Network.from_arrays([[[1.0]], [[0.0], [0.0]]], [[0.0], [1.0, 0.0]])
    nowhere = measure_distances(flat, points, frozenset(["boundary_distance"]), lambda _: None)
    assert nowhere["boundary_distance"].mean == math.inf


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"records": "boundary_distance"}, "give the points whose distances these are"),
        ({"points": [[0.0, 1.0]]}, "at least 2 points"),
        ({"points": [[0.0], [1.0]]}, "points have 1 coordinates, the network has 2 inputs"),
        ({"points": "here"}, "points are not numbers"),
        ({"radius": 0.0}, "radius is 0.0"),
    ],
)
def test_points_that_cannot_be_measured_are_named(settings, says):
    with pytest.raises(InvalidInputError, match=says):
        followed(Walk(), 0, **settings)


def test_steps_are_multiples_or_those_listed():
    def steps(every, n=10, **settings):
        return followed(Walk(), n, every=every, records=("cells",), **settings).history.steps

    assert steps(4) == (0, 4, 8)
    assert steps(np.int64(5)) == (0, 5, 10)
    assert steps([7, 2, 2, 30]) == (2, 7)
    assert steps(log_steps(8, 4)) == (0, 1, 2, 4, 8)
    assert steps(100, start=250, n=60) == (250, 300)
    assert steps([0, 251], start=250, n=3) == (251,)


def test_a_chosen_step_that_was_skipped_is_made_up_for():
    tracker = track(Walk(), BOX, every=10, rng=np.random.default_rng(0), records=("cells",))
    assert tracker(step=7) == ()
    assert [record.step for record in tracker(step=14, loss=2.0)] == [14]
    assert tracker(step=19) == ()
    assert len(tracker(step=45)) == 1
    assert tracker.history.steps == (0, 14, 45)
    assert tracker.record() == ()
    tracker.step()
    assert [record.step for record in tracker.record(loss=0.5)] == [46]
    assert tracker.current_step == 46
    with pytest.raises(InvalidInputError, match="is at step 46 already"):
        tracker.step(46)


def test_log_steps_start_at_zero_and_end_with_the_last():
    assert log_steps(10, 2) == (0, 1, 10)
    steps = log_steps(5000, 30)
    assert (steps[0], steps[-1]) == (0, 5000)
    assert list(steps) == sorted(set(steps))
    with pytest.raises(InvalidInputError, match="total"):
        log_steps(0)


def test_scalars_of_the_loop_stay_with_the_record():
    tracker = track(Walk(), BOX, every=2, rng=np.random.default_rng(0), records=("cells",))
    for k in range(1, 5):
        tracker.step(loss=1.0 / k, accuracy=np.float32(0.5))
    steps, values, stderr = tracker.history.series("loss")
    assert steps.tolist() == [0, 2, 4]
    assert math.isnan(values[0]) and values[1:].tolist() == [0.5, 0.25]
    assert stderr[1:].tolist() == [0.0, 0.0]
    assert tracker.history.quantities == ("cells", "loss", "accuracy")


def test_truncated_records_claim_no_exact_number():
    walk = Walk()
    most = count_cells(walk(), BOX).cells - 1
    record = track(walk, BOX, every=1, rng=np.random.default_rng(0), max_cells=most).history.records[0]
    assert (record.status, record.cells, record.complete) == ("TRUNCATED", most, False)
    exact = [name for name in record.names() if name not in record.estimates]
    assert exact == ["cells"]
    assert record.value("cells") is None
    assert record.locus is record.total_variation is record.local_rank is record.local_complexity is None
    # an estimate needs no list of cells
    full = exact_local_complexity(walk(), BOX, UniformDensity(BOX), 0.05, 50, np.random.default_rng(1))
    estimate = record.estimates["co-area"]
    assert abs(estimate.mean - full.mean) < 4 * math.hypot(estimate.stderr, full.stderr)


def test_a_truncated_count_is_a_lower_bound_in_series_and_table():
    history = followed(Walk(), 1, records=("cells",), max_cells=5).history
    assert np.isnan(history.series("cells").values).all()
    assert ">= 5" in history.table()


def test_series_of_layers_and_of_estimates():
    history = followed(Walk(), 1, estimators={"mine": CroftonLines()}).history
    first = history.records[0]
    assert history.series("local_rank_1").values[0] == first.local_rank_by_layer[1]
    assert history.series("locus_0").values[0] == first.locus_by_layer[0]
    series = history.series("mine")
    assert (series.values[0], series.stderr[0]) == (
        first.estimates["mine"].mean,
        first.estimates["mine"].stderr,
    )
    # the locus at the stored biases is what lines estimate
    assert abs(series.values[0] - first.locus) < 4 * series.stderr[0]
    with pytest.raises(InvalidInputError, match="no record has 'locus_7'; there are cells, locus"):
        history.series("locus_7")


def test_history_comes_back_from_its_file_bit_for_bit(tmp_path):
    walk = Walk()
    tracker = track(
        walk, {"box": BOX, "line": LINE}, every=1, rng=np.random.default_rng(0), records=QUANTITIES, n_bias=2
    )
    walk.step()
    tracker.step(loss=0.1, other=math.nan)
    history = tracker.history
    path = tmp_path / "history.json"
    history.save(path)
    loaded = History.load(path)
    assert loaded.to_dict() == history.to_dict() == json.loads(path.read_text())
    for one, again in zip(history.records, loaded.records, strict=True):
        assert again.scalars.keys() == one.scalars.keys()
        assert again.local_complexity == one.local_complexity
        assert again.estimates == one.estimates
        assert again.local_rank_by_layer == one.local_rank_by_layer
    assert loaded.records[-1].scalars["loss"] == 0.1
    assert math.isnan(loaded.records[-1].scalars["other"])
    assert str(loaded) == str(history)
    assert "loss" in history.table() and "box: box" in history.table().lower()


def test_rows_as_csv_have_a_column_for_each_layer(tmp_path):
    history = followed(Walk(), 1).history
    history.save(tmp_path / "rows.csv")
    with (tmp_path / "rows.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == [0, 1]
    for row, record in zip(rows, history.records, strict=True):
        assert float(row["locus_1"]) == record.locus_by_layer[1]
        assert float(row["co-area stderr"]) == record.estimates["co-area"].stderr


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no JSON"),
        ("[1]", "JSON list"),
        ("{}", "format is None"),
        ('{"format": "regions history 1"}', "lacks 'records'"),
        ('{"format": "regions history 1", "records": [{"step": 1}]}', "lacks 'domain'"),
        ('{"format": "regions history 1", "records": 3}', "damaged"),
    ],
)
def test_damaged_and_foreign_files_are_named(tmp_path, text, says):
    path = tmp_path / "bad.json"
    path.write_text(text)
    with pytest.raises(InvalidInputError, match=says):
        History.load(path)
    with pytest.raises(InvalidInputError, match="cannot read"):
        History.load(tmp_path / "absent.json")
    with pytest.raises(InvalidInputError, match="cannot write"):
        History(()).save(tmp_path / "absent" / "x.csv")


def test_partial_fit_of_scikit_learn_is_followed_from_its_first_step(moons):
    neural = pytest.importorskip("sklearn.neural_network", reason="needs scikit-learn")
    points, labels = moons

    def fresh():
        return neural.MLPClassifier((8, 6), random_state=0, learning_rate_init=0.02)

    model, alone = fresh(), fresh()
    tracker = track(model, Box([-2, -2], [3, 2]), every=5, rng=np.random.default_rng(0))
    assert len(tracker.history) == 0
    networks = {}
    for k in range(1, 11):
        model.partial_fit(points, labels, classes=[0, 1])
        networks[k] = from_sklearn(model)
        tracker.step(loss=model.loss_)
        alone.partial_fit(points, labels, classes=[0, 1])
    # before the first step there are no weights
    assert tracker.history.steps == (1, 5, 10)
    for record in tracker.history.records:
        assert record.cells == count_cells(networks[record.step], Box([-2, -2], [3, 2])).cells
        assert record.scalars["loss"] == pytest.approx(model.loss_curve_[record.step - 1])
    for one, other in zip(model.coefs_, alone.coefs_, strict=True):
        assert (one == other).all()


def test_a_fitted_scikit_learn_model_is_recorded_at_once(moons):
    neural = pytest.importorskip("sklearn.neural_network", reason="needs scikit-learn")
    points, labels = moons
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = neural.MLPClassifier((5,), max_iter=3, random_state=0).fit(points, labels)
    history = track(model, BOX, every=10, rng=np.random.default_rng(0), records="cells").history
    assert history.records[0].cells == count_cells(from_sklearn(model), BOX).cells


def trained(torch, moons, tracked):
    """A torch training with Dropout, tracked or not: its weights, random state, modes, and the tracker."""
    torch.manual_seed(0)
    x = torch.tensor(moons[0], dtype=torch.float32)
    y = torch.tensor(moons[1])
    nn = torch.nn
    model = nn.Sequential(
        nn.Linear(2, 10), nn.ReLU(), nn.Dropout(0.2), nn.Linear(10, 6), nn.ReLU(), nn.Linear(6, 2)
    )
    model[2].train()
    model[3].eval()
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    tracker = None
    if tracked:
        tracker = track(model, {"box": BOX, "line": LINE}, every=4, rng=np.random.default_rng(0))
    networks = {}
    for step in range(1, 9):
        optimiser.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimiser.step()
        if tracker is not None:
            tracker.step(loss=loss)
            modes = [module.training for module in model.modules()]
            networks[step] = from_torch(model.eval())
            for module, mode in zip(model.modules(), modes, strict=True):
                module.training = mode
    state = [parameter.detach().clone() for parameter in model.parameters()]
    grads = [parameter.grad.clone() for parameter in model.parameters()]
    modes = [module.training for module in model.modules()]
    return state, grads, modes, torch.get_rng_state(), tracker, networks


def test_torch_training_is_the_same_with_and_without(moons):
    torch = pytest.importorskip("torch", reason="needs torch")
    *alone, state, _, _ = trained(torch, moons, tracked=False)
    *together, tracked_state, tracker, networks = trained(torch, moons, tracked=True)
    for one, other in zip(alone[:2], together[:2], strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    assert alone[2] == together[2] == [True, True, True, True, False, True, True]
    assert torch.equal(state, tracked_state)
    history = tracker.history
    assert history.steps == (0, 4, 8)
    assert history.network.endswith("2 -> 10 -> 6 -> 2, 16 ReLU units in 2 layers")
    for record in history.of("box")[1:]:
        cells = enumerate_cells(networks[record.step], BOX)
        assert record.cells == cells.n_cells
        assert record.locus == locus_volume(cells, UniformDensity(BOX)).total
        assert record.scalars["loss"] > 0.0


def test_errors_of_lowering_name_the_step_and_keep_what_was_recorded():
    walk = Walk()
    tracker = track(walk, BOX, every=1, rng=np.random.default_rng(0), records="cells")
    walk.step()
    tracker.step()
    walk.weights[0][0, 0] = math.nan
    with pytest.raises(InvalidNetworkError, match=r"step 2: .*(finite|nan)"):
        tracker.step()
    assert tracker.history.steps == (0, 1)
    walk.weights[0][0, 0] = 0.0
    assert [record.step for record in tracker.step()] == [3]


def test_ctrl_c_ends_the_training_and_keeps_the_records():
    walk = Walk()
    pressed = []

    def press(step, fraction):
        if step == 2 and not pressed:
            pressed.append(fraction)
            raise KeyboardInterrupt

    tracker = track(
        walk, BOX, every=1, rng=np.random.default_rng(0), records=QUANTITIES, n_bias=3, progress=press
    )
    with pytest.raises(KeyboardInterrupt):
        for _ in range(5):
            walk.step()
            tracker.step()
    assert pressed
    assert tracker.history.steps == (0, 1)


def test_an_interrupted_enumeration_is_ctrl_c_and_no_record(monkeypatch):
    from regions.validation.tracking import records

    walk = Walk()
    tracker = track(walk, BOX, every=1, rng=np.random.default_rng(0), records="locus")
    monkeypatch.setattr(
        records, "enumerate_cells", lambda network, domain, **_: enumerate_cells(network, domain, max_cells=3)
    )
    with pytest.raises(KeyboardInterrupt):
        tracker.step()
    assert tracker.history.steps == (0,)


def test_progress_of_a_record_grows_to_one():
    seen = []
    followed(
        Walk((2, 40, 40, 1)),
        1,
        domains={"a": BOX, "b": BOX},
        records=QUANTITIES,
        n_bias=4,
        progress=lambda step, fraction: seen.append((step, fraction)),
    )
    assert seen == sorted(seen)
    assert {step for step, _ in seen} == {0, 1}
    assert all(0.0 <= fraction <= 1.0 for _, fraction in seen)
    assert seen[-1] == (1, 1.0)


def test_arguments_that_do_not_fit_are_refused():
    def refused(match, model=None, domains=BOX, **settings):
        given = {"every": 1, "rng": np.random.default_rng(0), "records": "cells", **settings}
        with pytest.raises(InvalidInputError, match=match):
            track(Walk() if model is None else model, domains, **given)

    refused("does not know budget", budget=3)
    refused("records cannot hold cell", records=("cell", "locus"))
    refused("sigma", sigma=0.0)
    refused("eps", eps=-1.0)
    refused("n_samples", n_samples=1)
    refused("every is 0", every=0)
    refused("every is True", every=True)
    refused("every is 1.5", every=1.5)
    refused("every", every=[])
    refused("every", every=[0.5])
    refused("every", every=[-1, 4])
    refused("domains is", domains={})
    refused("give a Domain", domains={"a": 3})
    refused("lies in 3 dimensions", domains=Box([0] * 3, [1] * 3))
    refused("has 1 coordinates", density=GaussianDensity([0.0], 1.0))
    refused("has the names b", domains={"a": BOX}, density={"b": UniformDensity(BOX)})
    refused("give a Density", density=3.0)
    refused("numpy Generator", rng=None)
    refused("start", start=-1)
    refused("cannot track a builtins.int", model=3)
    refused("gave a function, no model", model=lambda: lambda: 3)
    refused("two estimators", estimators=[Coarea(0.1), Coarea(0.2)])
    refused("cannot be called 'locus'", estimators={"locus": Coarea(0.1)})
    refused("is no estimator", estimators=[Coarea])
    tracker = track(Walk(), BOX, every=1, rng=np.random.default_rng(0), records="cells")
    with pytest.raises(InvalidInputError, match="single numbers"):
        tracker.step(loss="low")
    with pytest.raises(InvalidInputError, match="cannot be called 'cells'"):
        tracker.step(cells=3)
    with pytest.raises(InvalidInputError, match="no domain 'x'; there are domain"):
        tracker.history.of("x")


def test_a_network_without_units_has_one_cell_and_no_locus():
    record = track(
        Network.from_arrays([[[1.0, 2.0]]], [[0.0]]), BOX, every=1, rng=np.random.default_rng(0)
    ).history.records[0]
    assert (record.cells, record.locus, record.local_rank, record.c_grad) == (1, 0.0, 0.0, 0.0)
    assert record.estimates["co-area"] == Estimate(0.0, 0.0, 2000)
    assert record.total_variation == pytest.approx(math.sqrt(5.0), rel=1e-12)


def test_records_name_their_domain_in_the_history():
    one, two = Record(0, "a", "COMPLETE", 3, 0.0), Record(0, "b", "COMPLETE", 4, 0.0)
    history = History((one, two))
    assert history.of("b") == (two,)
    with pytest.raises(InvalidInputError, match="name one of the 2 domains: a, b"):
        history.series("cells")
