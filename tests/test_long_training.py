"""Long trainings: networks trained side by side are those trained alone; measures that rescaling keeps."""

from __future__ import annotations

import doctest
import sys
from pathlib import Path

import numpy as np
import pytest

from regions import Network, from_torch

# after everything else: the package under test stays the one that is installed
sys.path.append(str(Path(__file__).resolve().parents[1]))

from validation import network_measures
from validation.network_measures import (
    cross_entropy,
    jacobian_means,
    unit_spreads,
    with_equal_spreads,
)
from validation.problems import random_network

DECAYS = (0.0, 0.3, 1.0)


def trained_together(precision: str, records: tuple[int, ...], seeds: tuple[int, ...] = (3, 5)) -> dict:
    batched = pytest.importorskip("validation.batched_training")
    pytest.importorskip("sklearn")
    found = {}
    schedule = batched.Schedule("digits", DECAYS, seeds, records, batch=16, learning_rate=1e-2)
    batched.train_side_by_side(
        [batched.Architecture(6, 2, precision), batched.Architecture(4, 3, precision)],
        schedule,
        lambda run: found.update({(run.architecture.depth, run.step): run.networks()}),
        device="cpu",
        say=lambda _: None,
    )
    return found


def test_docstrings_of_measures_run():
    assert doctest.testmod(network_measures).failed == 0


def test_networks_trained_side_by_side_are_those_of_the_usual_optimizer():
    pytest.importorskip("torch")
    from validation.training_runs import TrainingSpec, train

    records = (0, 7, 35)
    found = trained_together("float32", records)
    for place, decay in enumerate(DECAYS):
        for depth, hidden in ((2, (6, 6)), (3, (4, 4, 4))):
            spec = TrainingSpec("digits", hidden, (3, 5), 35, 16, 1e-2, decay)
            for moment in train(spec, records):
                weights, biases = found[depth, moment.step]
                for seed, model in enumerate(moment.models):
                    network = from_torch(model)
                    for layer in range(depth + 1):
                        close = {"rtol": 1e-3, "atol": 1e-5} if moment.step else {"rtol": 0.0, "atol": 0.0}
                        np.testing.assert_allclose(
                            weights[layer][place, seed], network.weights[layer], **close
                        )
                        np.testing.assert_allclose(biases[layer][place, seed], network.biases[layer], **close)


def test_one_network_in_double_precision_is_that_of_autograd_and_adamw():
    torch = pytest.importorskip("torch")
    from validation.framework import case_rng
    from validation.training_data import make_data

    found = trained_together("float64", (0, 40))
    data = make_data("digits", 0)
    x = torch.tensor(data.train_x.astype(np.float32).astype(np.float64))
    y = torch.tensor(data.train_y)
    weights, biases = (
        [torch.tensor(own[1, 1], requires_grad=True) for own in arrays] for arrays in found[2, 0]
    )
    groups = [{"params": weights, "weight_decay": DECAYS[1]}, {"params": biases, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1e-2)
    picks = case_rng("batches", "digits", 5).integers(len(y), size=(40, 16))
    for pick in torch.tensor(picks):
        active = x[pick]
        for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
            active = torch.relu(active @ weight.T + bias)
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(active @ weights[-1].T + biases[-1], y[pick]).backward()
        optimizer.step()
    for own, together in zip([*weights, *biases], [*found[2, 40][0], *found[2, 40][1]], strict=True):
        np.testing.assert_allclose(together[1, 1], own.detach().numpy(), rtol=1e-9, atol=1e-12)


def test_a_seed_does_not_depend_on_those_beside_it():
    both, alone = (trained_together("float64", (20,), seeds)[3, 20] for seeds in ((3, 5), (5,)))
    np.testing.assert_allclose(both[0][2][:, 1], alone[0][2][:, 0], rtol=1e-9)
    assert not np.allclose(both[0][2][:, 0], both[0][2][:, 1])


def test_minibatches_are_drawn_once_and_do_not_depend_on_the_chunks():
    torch = pytest.importorskip("torch")
    from validation.batched_training import Batches, Schedule
    from validation.framework import case_rng

    schedule = Schedule("digits", (0.0,), (0, 2), (0, 20_000), batch=3)
    batches = Batches(schedule, 1000, torch.device("cpu"))
    late = batches.chunk(19_900, 100)
    expected = case_rng("batches", "digits", 2).integers(1000, size=(20_000, 3))
    np.testing.assert_array_equal(late[:, 1].numpy(), expected[19_900:])
    np.testing.assert_array_equal(batches.chunk(50, 50)[:, 1].numpy(), expected[50:100])
    batches.drop_before(10_000)
    np.testing.assert_array_equal(batches.chunk(10_000, 50)[:, 1].numpy(), expected[10_000:10_050])


def test_training_that_runs_out_of_time_gives_what_it_reached():
    batched = pytest.importorskip("validation.batched_training")
    pytest.importorskip("sklearn")
    found = []
    schedule = batched.Schedule("digits", (0.0,), (0,), (0, 1_000_000), batch=4)
    steps = batched.train_side_by_side(
        [batched.Architecture(3, 1)],
        schedule,
        lambda run: found.append(run.step),
        device="cpu",
        seconds=0.3,
        say=lambda _: None,
    )
    # on a busy machine it may not get beyond its start
    assert found == sorted({0, steps["3x1"]})
    assert found[-1] < 1_000_000


@pytest.mark.parametrize("name", ["48", "48x", "0x3", "48x3:float16"])
def test_names_of_architectures_are_checked(name: str):
    batched = pytest.importorskip("validation.batched_training")
    with pytest.raises(ValueError):
        batched.Architecture.of(name)


def rescaled(network: Network, rng: np.random.Generator) -> Network:
    """The same function with units of other scales."""
    factors = [2.0 ** rng.integers(-4, 5, len(own)) for own in network.biases[:-1]]
    before, weights, biases = np.ones(network.input_dim), [], []
    for layer, own in enumerate([*factors, np.ones(len(network.biases[-1]))]):
        weights.append(network.weights[layer] * own[:, None] / before)
        biases.append(network.biases[layer] * own)
        before = own
    return Network.from_arrays(weights, biases)


def test_equal_spreads_undo_a_rescaling_and_keep_the_function():
    rng = np.random.default_rng(0)
    network = random_network([3, 7, 5, 2], rng)
    other, points = rescaled(network, rng), rng.standard_normal((50, 3))
    one, two = (with_equal_spreads(each, points) for each in (network, other))
    np.testing.assert_allclose(np.concatenate(unit_spreads(one, points)), 1.0, rtol=1e-12)
    np.testing.assert_allclose(one.forward(points), network.forward(points), rtol=1e-10, atol=1e-12)
    for layer in range(3):
        np.testing.assert_allclose(one.weights[layer], two.weights[layer], rtol=1e-10)
        np.testing.assert_allclose(one.biases[layer], two.biases[layer], rtol=1e-10)


def test_a_unit_without_spread_stays_as_it_is():
    network = Network.from_arrays(
        [np.array([[1e-320, 0.0], [1.0, 2.0]]), np.ones((1, 2))], [np.array([0.3, 0.1]), np.zeros(1)]
    )
    points = np.random.default_rng(1).standard_normal((20, 2))
    same = with_equal_spreads(network, points)
    assert same.biases[0][0] == 0.3
    np.testing.assert_allclose(same.forward(points), network.forward(points), rtol=1e-12)


def test_relative_ranks_do_not_change_with_the_scale_of_a_layer():
    rng = np.random.default_rng(2)
    network, points = random_network([6, 5, 4, 2], rng), rng.standard_normal((9, 6))
    small = Network.from_arrays([1e-4 * own for own in network.weights], [1e-4 * b for b in network.biases])
    small = Network.from_arrays(small.weights, [b * 1e-4**k for k, b in enumerate(small.biases)])
    whole, tiny = (jacobian_means(each, points, 1e-2) for each in (network, small))
    assert tiny.relative_ranks == whole.relative_ranks
    assert tiny.ranks == (0.0, 0.0)


def test_cross_entropy_is_exact_far_below_the_rounding_of_one():
    network = Network.from_arrays([np.eye(2)], [np.zeros(2)])
    x = np.array([[50.0, 0.0], [0.0, 1.0]])
    expected = 0.5 * (np.exp(-50.0) + np.log1p(np.exp(-1.0)))
    assert cross_entropy(network, x, np.array([0, 1])) == pytest.approx(expected, rel=1e-14)
    assert cross_entropy(network, x[:1], np.array([0])) == pytest.approx(np.exp(-50.0), rel=1e-12)
