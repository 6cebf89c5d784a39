"""Laws of boxes with fixed inputs: they are boxes of the free ones, in the network with the others folded."""

from __future__ import annotations

import copy
import json
import pickle
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from judging import pattern_tuples
from networks import problem_of
from strategies import Case, examples, rational_networks

import regions
from regions import Box, CellComplex, Network, count_cells, enumerate_cells, explore, locus_volume, verify
from regions.domain import FixedBox, domain_from_dict
from regions.errors import InvalidDomainError

HALVES = [0.0, 0.5, -0.75]  # sums with these do not round in the networks below


def with_fixed_inputs(network: Network, values: list[float], seed: int) -> tuple[Network, list[int]]:
    """Add inputs between those of a network which change its first biases back where they are `values`."""
    rng = np.random.default_rng(seed)
    n = network.input_dim + len(values)
    free = sorted(rng.choice(n, size=network.input_dim, replace=False).tolist())
    fixed = [k for k in range(n) if k not in free]
    first = np.zeros((network.weights[0].shape[0], n))
    first[:, free] = network.weights[0]
    first[:, fixed] = rng.integers(-2, 3, size=(len(first), len(values)))
    biases = [bias.copy() for bias in network.biases]
    moved = [
        sum((Fraction(w) * Fraction(v) for w, v in zip(row, values, strict=True)), Fraction())
        for row in first[:, fixed].tolist()
    ]
    exact = [Fraction(b) - m for b, m in zip(biases[0].tolist(), moved, strict=True)]
    biases[0] = np.array([float(b) for b in exact])
    if [Fraction(b) for b in biases[0].tolist()] != exact:
        biases[0] = network.biases[0].copy()
        first[:, fixed] = 0.0
    return Network.from_arrays([first, *network.weights[1:]], biases, relu=network.relu), free


def box_with(box: Box, free: list[int], n: int, values: list[float]) -> Box:
    low, high = np.empty(n), np.empty(n)
    low[free], high[free] = box.low, box.high
    fixed = [k for k in range(n) if k not in free]
    low[fixed] = high[fixed] = values
    return Box(low, high)


@pytest.mark.kernels
@given(rational_networks(max_dimension=3, max_layers=2, max_width=4))
@examples(60, 6)
def test_fixed_inputs_are_as_good_as_folded(case: Case) -> None:
    network, box = problem_of(case)
    wider, free = with_fixed_inputs(network, HALVES, seed=len(case.weights))
    fixed = box_with(box, free, wider.input_dim, HALVES)
    cells = count_cells(network, box).cells
    for engine in ("cells", "lp"):
        assert count_cells(wider, fixed, engine=engine).cells == cells
    ours, theirs = enumerate_cells(wider, fixed), enumerate_cells(network, box)
    assert sorted(pattern_tuples(ours)) == sorted(pattern_tuples(theirs))
    assert ours.facets.interior.sum() == theirs.facets.interior.sum()
    assert (ours.facets.jump > 0.0).sum() == (theirs.facets.jump > 0.0).sum()


def a_network(seed: int = 3) -> Network:
    rng = np.random.default_rng(seed)
    shapes = [(8, 5), (6, 8), (2, 6)]
    weights = [rng.normal(size=shape) for shape in shapes]
    return Network.from_arrays(weights, [0.3 * rng.normal(size=shape[0]) for shape in shapes])


def a_box() -> Box:
    return Box([-1.0, 0.25, -1.0, 0.5, -1.0], [1.0, 0.25, 1.0, 0.5, 1.0])


def test_a_box_with_fixed_inputs_is_a_box_of_the_free_ones() -> None:
    box = a_box()
    assert isinstance(box, FixedBox) and box.free.tolist() == [0, 2, 4]
    assert (box.dimension, box.input_dim, box.volume) == (3, 5, 8.0)
    t = np.array([0.1, -0.2, 0.3])
    assert box.to_input(t).tolist() == [0.1, 0.25, -0.2, 0.5, 0.3]
    assert box.to_intrinsic(box.to_input(t)).tolist() == t.tolist()
    assert [half.volume for half in box.split(2, 0.5)] == [6.0, 2.0]
    with pytest.raises(InvalidDomainError, match="free inputs are 0, 2, 4"):
        box.split(1, 0.0)
    assert type(Box([0.0], [1.0])) is Box


def test_it_comes_back_from_files_pickles_and_json(tmp_path: Path) -> None:
    box = a_box()
    for again in (
        pickle.loads(pickle.dumps(box)),
        copy.deepcopy(box),
        domain_from_dict(json.loads(json.dumps(box.to_dict()))),
    ):
        assert again == box and isinstance(again, FixedBox) and again.describe() == box.describe()
    cells = enumerate_cells(a_network(), box)
    cells.save(tmp_path / "cells.regions")
    loaded = CellComplex.load(tmp_path / "cells.regions")
    assert loaded.domain == box and loaded.n_cells == cells.n_cells and verify(loaded).ok


def test_volumes_and_the_locus_are_those_of_the_free_inputs() -> None:
    network, box = a_network(), a_box()
    folded = Network.from_arrays(
        [network.weights[0][:, [0, 2, 4]], *network.weights[1:]],
        [network.biases[0] + network.weights[0][:, [1, 3]] @ np.array([0.25, 0.5]), *network.biases[1:]],
    )
    ours = enumerate_cells(network, box)
    theirs = enumerate_cells(folded, Box([-1.0] * 3, [1.0] * 3))
    assert ours.n_cells == theirs.n_cells
    np.testing.assert_allclose(np.sort(ours.volumes), np.sort(theirs.volumes), rtol=1e-9)
    assert locus_volume(ours).total == pytest.approx(locus_volume(theirs).total, rel=1e-12)


def test_it_is_explored_in_its_free_inputs() -> None:
    network, box = a_network(), a_box()
    found = explore(network, box.to_input(np.zeros(3)), domain=box)
    assert found.n_cells == count_cells(network, box).cells


def test_few_free_pixels_of_an_image() -> None:
    rng = np.random.default_rng(0)
    network = Network.from_arrays(
        [rng.normal(size=(12, 784)) / 28, rng.normal(size=(10, 12))], [np.zeros(12), np.zeros(10)]
    )
    image = rng.uniform(size=784)
    low, high = image.copy(), image.copy()
    free = [3, 17, 400]
    low[free], high[free] = -20.0, 20.0
    count = count_cells(network, Box(low, high))
    folded = Network.from_arrays(
        [network.weights[0][:, free], network.weights[1]],
        [np.delete(network.weights[0], free, axis=1) @ np.delete(image, free), np.zeros(10)],
    )
    assert count.cells == count_cells(folded, Box([-20.0] * 3, [20.0] * 3)).cells > 20


def digits_of_784_pixels() -> tuple[Network, np.ndarray]:
    """Return the network of 8 x 8 digits on images of 28 x 28 pixels, by averages of blocks, and such images.

    A pixel has the weights of its block over 16, so nothing is rounded.
    """
    path = Path(regions.__file__).parent / "data" / "digits_64x32x32.npz"
    network = Network.load(path)
    with np.load(path) as stored:
        images = np.asarray(stored["images"], dtype=np.float64)
    across = (np.arange(28) + 2) // 4
    block = (8 * across[:, None] + across).ravel()
    first = network.weights[0][:, block] / 16.0
    wide = Network.from_arrays([first, *network.weights[1:]], network.biases, relu=network.relu)
    return wide, images[:, block]


@pytest.mark.sweep(3)
@pytest.mark.parametrize(("d", "half_width"), [(2, 40.0), (3, 30.0), (4, 20.0), (5, 16.0), (6, 12.0)])
def test_a_box_with_few_free_pixels_of_a_digit_is_a_box_of_the_folded_network(
    d: int, half_width: float
) -> None:
    network, images = digits_of_784_pixels()
    image, free = images[d], np.array([300, 325, 410, 436, 518, 240])[:d]
    low, high = image.copy(), image.copy()
    low[free] -= half_width
    high[free] += half_width
    rest = np.setdiff1d(np.arange(784), free)
    biases = [
        float(sum((Fraction(w) * Fraction(x) for w, x in zip(row, image[rest].tolist(), strict=True)), b))
        for row, b in zip(
            network.weights[0][:, rest].tolist(), map(Fraction, network.biases[0].tolist()), strict=True
        )
    ]
    folded = Network.from_arrays(
        [network.weights[0][:, free], *network.weights[1:]], [biases, *network.biases[1:]], relu=network.relu
    )
    ours = enumerate_cells(network, Box(low, high))
    theirs = enumerate_cells(folded, Box(low[free], high[free]))
    assert (ours.dimension, ours.domain.input_dim) == (d, 784) and ours.n_cells == theirs.n_cells > 5
    order = [np.lexsort(cells.patterns.T) for cells in (ours, theirs)]
    assert np.array_equal(ours.patterns[order[0]], theirs.patterns[order[1]])
    np.testing.assert_allclose(ours.volumes[order[0]], theirs.volumes[order[1]], rtol=1e-6)
    assert locus_volume(ours).total == pytest.approx(locus_volume(theirs).total, rel=1e-9)
    assert count_cells(network, Box(low, high), engine="lp").cells == ours.n_cells


def test_the_command_line_fixes_inputs(run, tmp_path: Path) -> None:
    network = a_network()
    network.save(tmp_path / "net.npz")
    np.save(tmp_path / "x.npy", [9.0, 0.25, 9.0, 0.5, 9.0])
    wanted = count_cells(network, a_box()).cells
    start = ["count", tmp_path / "net.npz", "--box", "-1", "1", "--json"]
    for words in (["--fix", "1=0.25,3=0.5"], ["--free", "0,2,4", "--at", tmp_path / "x.npy"]):
        code, out, _ = run(*start, *words)
        assert code == 0 and json.loads(out)["cells"] == wanted
    for words, says in (
        (["--fix", "7=1"], "each of the inputs 0 to 4 once"),
        (["--fix", "1=1,1=2"], "each of the inputs 0 to 4 once"),
        (["--fix", "1"], "INPUT=VALUE"),
        (["--fix", "1=x"], "no number"),
        (["--free", "0,2"], "--free goes with --box and --at"),
        (["--at", tmp_path / "x.npy"], "--at goes with --box and --free"),
        (["--fix", "0=0,1=0,2=0,3=0,4=0"], "low == high in every coordinate"),
    ):
        code, out, err = run(*start, *words)
        assert code == 2 and says in json.loads(out)["error"] and says in err and err.count("\n") == 1
