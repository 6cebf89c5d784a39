"""Laws of differences of two networks: closed forms, brute force in fractions, what symmetry asks for."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from max_networks import random_max_case
from naive import NaiveComplex, naive_box, naive_complex
from networks import cube, network_of, random_network
from strategies import random_case

from regions import Box, Network, WholeSpace, compare_networks, count_cells
from regions.analysis.differences import joint_network
from regions.errors import BudgetExceededError, InvalidDomainError, InvalidInputError, InvalidNetworkError


def quantised(network: Network, bits: int) -> Network:
    """The same network with weights of so many bits behind the point."""
    scale = 2.0**bits
    return Network.from_arrays(
        [np.round(w * scale) / scale for w in network.weights],
        [np.round(b * scale) / scale for b in network.biases],
        network.relu,
    )


def pair(seed: int, d: int = 2, outputs: int = 2) -> tuple[Network, Network]:
    network = network_of(random_case(d, (4, 3), seed, outputs))
    return network, quantised(network, 2)


# --- two networks as one ---


@pytest.mark.sweep(4)
@pytest.mark.parametrize("seed", range(12))
def test_branches_are_the_two_networks(seed: int) -> None:
    first, second = random_max_case(seed, 2).network(), random_max_case(seed + 100, 2).network()
    joint = joint_network(first, second)
    points = np.random.default_rng(seed).uniform(-1, 1, size=(50, 2))
    both = np.concatenate([first.forward(points), second.forward(points)], axis=1)
    assert np.allclose(joint.network.forward(points), both, rtol=1e-12, atol=1e-12)
    states = joint.network.activation_pattern(points)
    for network, units in zip((first, second), joint.units, strict=True):
        assert np.array_equal(states[:, units], network.activation_pattern(points))


def test_branches_of_sparse_layers_stay_sparse() -> None:
    from scipy.sparse import csr_array

    from regions.network.layer_matrices import is_sparse

    wide = Network.from_arrays([csr_array(np.eye(300)), np.ones((1, 300))], [np.zeros(300), [0.0]])
    assert is_sparse(wide.operators[0])
    joint = joint_network(wide, wide)
    assert is_sparse(joint.network.operators[0]) and joint.network.widths == (600,)
    point = np.arange(300) / 256 - 0.5  # sums of these are exact in any order
    assert joint.network.forward(point).tolist() == [wide.forward(point)[0]] * 2


# --- closed forms ---


def test_a_network_does_not_differ_from_itself() -> None:
    network, _ = pair(0)
    found = compare_networks(network, network, cube(2))
    cells = count_cells(network, cube(2)).cells
    assert found.largest == (0, 0) and found.disagreement == 0.0 and found.unmoved == 1.0
    assert found.kept == found.n_cells == found.n_cells_a == found.n_cells_b == cells
    assert found.died == found.born == 0 and set(found.fate()) == {"same"}


def test_a_shifted_bend_differs_between_the_two_breakpoints() -> None:
    first = Network.from_arrays([[[1.0]], [[1.0]]], [[0.0], [0.0]])
    second = Network.from_arrays([[[1.0]], [[1.0]]], [[-0.25], [0.0]])
    found = compare_networks(first, second, Box([-1.0], [1.0]))
    assert found.largest == (Fraction(1, 4),) and found.signed == (Fraction(1, 4),)
    assert found.disagreement == found.class_volumes[1, 0] / 2 == 0.125
    assert found.n_cells == 3 and found.unmoved == 0.875 and (found.kept, found.died, found.born) == (2, 0, 0)
    assert sorted(zip(found.fate(), found.volumes, strict=True)) == [
        ("moved", 0.25),
        ("same", 0.75),
        ("same", 1.0),
    ]


def test_the_largest_difference_of_two_planes_is_at_a_corner() -> None:
    first = Network.from_arrays([[[1.0, 2.0, 3.0]]], [[0.5]])
    second = Network.from_arrays([[[0.0, 2.5, 3.0]]], [[0.0]])
    found = compare_networks(first, second, cube(3))
    assert found.largest == (2,) and found.signed == (2,) and found.n_cells == 1
    assert found.points[0, :2].tolist() == [1.0, -1.0]


def test_a_unit_that_is_pruned_takes_its_cells_along() -> None:
    first = Network.from_arrays([np.eye(2), [[1.0, 1.0]]], [[0.0, 0.0], [0.0]])
    second = Network.from_arrays([[[1.0, 0.0], [0.0, 0.0]], [[1.0, 0.0]]], [[0.0, 0.0], [0.0]])
    found = compare_networks(first, second, cube(2))
    assert found.largest == (1,) and found.n_cells == found.n_cells_a == 4 and found.n_cells_b == 2
    assert (found.kept, found.died, found.born) == (2, 2, 0) and found.unmoved == 0.5


def test_networks_of_other_shapes_compare_as_functions() -> None:
    deep = Network.from_arrays([[[1.0], [-1.0]], [[1.0, 1.0]], [[2.0]]], [[0, 0], [-0.5], [0]])
    flat = Network.from_arrays([[[1.0]]], [[0.0]])
    found = compare_networks(deep, flat, Box([-1.0], [1.0]))
    assert found.largest == (2,) and found.exact_points == ((-1,),) and found.n_cells_b == 1
    assert found.disagreement == 0.5  # 2 relu(|x| - 1/2) > 0 against x > 0
    for what in ("kept", "died", "born", "unmoved"):
        with pytest.raises(InvalidInputError, match="units differ"):
            getattr(found, what)


# --- brute force ---


def naive_of_joint(first: Network, second: Network, d: int) -> NaiveComplex:
    """All cells of both networks as one, by brute force, from arrays that are put together here."""
    weights, biases = [], []
    for layer in range(first.n_layers):
        p, q = first.weights[layer], second.weights[layer]
        if layer == 0:
            weights.append(np.vstack([p, q]))
        else:
            rows, columns = p.shape
            both = np.zeros((2 * rows, 2 * columns))
            both[:rows, :columns], both[rows:, columns:] = p, q
            weights.append(both)
        biases.append(np.concatenate([first.biases[layer], second.biases[layer]]))
    return naive_complex(weights, biases, first.relu, naive_box([-1.0] * d, [1.0] * d))


@pytest.mark.sweep(3, 12)
@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("d", [1, 2, 3])
def test_the_largest_difference_is_that_of_brute_force(d: int, seed: int) -> None:
    first, second = pair(seed, d)
    found = compare_networks(first, second, cube(d))
    naive = naive_of_joint(first, second, d)
    for k in range(2):
        best = Fraction(0)
        for cell in naive.cells:
            row = [x - y for x, y in zip(cell.output[k], cell.output[2 + k], strict=True)]
            for vertex in cell.vertices:
                best = max(best, abs(row[0] + sum(a * t for a, t in zip(row[1:], vertex, strict=True))))
        assert found.largest[k] == best
        at = [float(x) for x in found.exact_points[k]]
        assert first.forward(at)[k] - second.forward(at)[k] == pytest.approx(float(found.signed[k]), abs=1e-9)
    assert found.n_cells == len(naive.cells)
    assert sorted(found.volumes) == pytest.approx(
        sorted(float(cell.volume) for cell in naive.cells), rel=1e-9
    )


# --- laws ---


def test_turning_the_two_around_exchanges_birth_and_death() -> None:
    first, second = pair(3)
    there, back = compare_networks(first, second, cube(2)), compare_networks(second, first, cube(2))
    assert there.largest == back.largest and there.signed == tuple(-value for value in back.signed)
    assert (there.born, there.died, there.kept) == (back.died, back.born, back.kept)
    assert there.born + there.died > 0 and there.n_cells == back.n_cells
    assert there.disagreement == pytest.approx(back.disagreement, rel=1e-12)
    assert there.n_cells_a == count_cells(first, cube(2)).cells
    assert there.n_cells_b == count_cells(second, cube(2)).cells


def test_no_sample_differs_by_more_and_classes_differ_as_often() -> None:
    network = random_network(5, (2, 12, 12, 3), bias_scale=0.1)
    coarse = quantised(network, 3)
    found = compare_networks(network, coarse, cube(2))
    points = np.random.default_rng(0).uniform(-1, 1, size=(40_000, 2))
    p, q = network.forward(points), coarse.forward(points)
    assert (np.abs(p - q).max(axis=0) <= np.array([float(x) for x in found.largest]) * (1 + 1e-12)).all()
    assert (np.abs(p - q).max(axis=0) > 0.8 * np.array([float(x) for x in found.largest])).all()
    share = (p.argmax(axis=1) != q.argmax(axis=1)).mean()
    assert 0 < found.disagreement == pytest.approx(share, abs=4.5 * np.sqrt(share / 40_000))
    assert sum(found.class_volumes.values()) == pytest.approx(4.0, rel=1e-9)


def test_differences_add_up_to_those_of_a_third() -> None:
    first, second = pair(1)
    third = quantised(first, 1)
    ends, way = compare_networks(first, third, cube(2)), compare_networks(first, second, cube(2))
    rest = compare_networks(second, third, cube(2))
    for k in range(2):
        assert ends.largest[k] <= way.largest[k] + rest.largest[k]


def test_a_network_with_its_units_in_another_order_is_the_same_function() -> None:
    first, _ = pair(2)
    order = [2, 0, 3, 1]
    turned = Network.from_arrays(
        [first.weights[0][order], first.weights[1][:, order], first.weights[2]],
        [first.biases[0][order], *first.biases[1:]],
    )
    found = compare_networks(first, turned, cube(2))
    assert found.largest == (0, 0) and found.disagreement == 0.0
    assert found.n_cells == found.n_cells_a == found.n_cells_b and found.unmoved < 1.0


def test_what_is_found_in_a_part_is_no_more_than_in_the_whole() -> None:
    first, second = pair(4)
    whole = compare_networks(first, second, cube(2))
    part = compare_networks(first, second, cube(2), max_cells=5)
    assert part.status.value == "TRUNCATED" and "TRUNCATED" in repr(part)
    assert all(p <= q for p, q in zip(part.largest, whole.largest, strict=True))


# --- the command, and what is refused ---


def test_the_command_says_and_writes_it(run: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    first, second = pair(0)
    first.save(tmp_path / "a.npz")
    second.save(tmp_path / "b.npz")
    words = ("difference", tmp_path / "a.npz", tmp_path / "b.npz", "--box", "-1", "1")
    code, out, _ = run(*words)
    assert code == 0 and "largest |a - b|" in out and "born" in out
    code, out, _ = run(*words, "--json")
    facts = json.loads(out)
    found = compare_networks(first, second, cube(2))
    assert facts["largest_exact"] == [str(value) for value in found.largest]
    assert facts["cells"] == found.n_cells and facts["unmoved"] == found.unmoved
    for wrong in (("--engine", "lp"), ("--max-cells", "0")):
        code, _, err = run(*words, *wrong)
        assert code == 2 and err.startswith("error:") and err.count("\n") == 1


def test_bad_input_is_refused() -> None:
    first, second = pair(0)
    with pytest.raises(InvalidNetworkError, match="inputs"):
        compare_networks(first, random_network(0, (3, 4, 2)), cube(2))
    with pytest.raises(InvalidNetworkError, match="outputs"):
        compare_networks(first, random_network(0, (2, 4, 3)), cube(2))
    with pytest.raises(InvalidInputError, match="two networks"):
        compare_networks(first, "other", cube(2))  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="give a Box"):
        compare_networks(first, second, "box")  # type: ignore[arg-type]
    with pytest.raises(InvalidDomainError, match="bounded"):
        compare_networks(first, second, WholeSpace(2))
    with pytest.raises(InvalidDomainError, match="takes 2"):
        compare_networks(first, second, cube(3))
    with pytest.raises(BudgetExceededError, match="more time"):
        compare_networks(first, second, cube(2), max_seconds=1e-9)
