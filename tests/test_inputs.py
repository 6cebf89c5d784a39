"""Laws of what people give: tensors with gradients, float32, lists and seeds do what arrays do."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from regions import (
    Box,
    GaussianDensity,
    Network,
    Polytope,
    Segment,
    Slice,
    enumerate_cells,
    explore,
    polyline_cells,
)
from regions.inputs import as_generator, without_tensors

WEIGHTS = [[[1.0, 0.5], [-0.25, 1.0], [0.125, -1.0]], [[1.0, -1.0, 0.5]]]
BIASES = [[0.1, -0.3, 0.2], [0.0]]


def tensor(values, kind="float64"):
    torch = pytest.importorskip("torch")
    return torch.tensor(values, dtype=getattr(torch, kind), requires_grad=True)


def test_networks_of_tensors_are_those_of_arrays():
    plain = Network.from_arrays(WEIGHTS, BIASES)
    assert Network.from_arrays(list(map(tensor, WEIGHTS)), list(map(tensor, BIASES))) == plain
    x = [0.3, 0.7]
    assert np.array_equal(plain(tensor(x)), plain(x))
    assert np.array_equal(plain.activation_pattern(tensor([x, x])), plain.activation_pattern([x, x]))


@pytest.mark.parametrize("kind", ["float32", "float16", "bfloat16"])
def test_tensors_of_few_bits_are_kept_exactly(kind):
    given = tensor([[0.1, -3.7], [1e-3, 5.0]], kind)
    network = Network.from_arrays([given, [[1.0, 1.0]]], [[0.0, 0.0], [0.0]])
    assert network.weights[0].tolist() == given.detach().double().tolist()


def test_domains_of_tensors_are_those_of_lists():
    low, high = [-1.0, -2.0], [1.0, 2.0]
    assert Box(tensor(low), tensor(high)) == Box(low, high)
    assert Segment(tensor(low), tensor(high)) == Segment(low, high)
    corners = np.random.default_rng(0).normal(size=(3, 5)).tolist()
    assert Slice.through(*map(tensor, corners)) == Slice.through(*corners)
    A, b = [[1.0, 1.0], [-1.0, 0.0], [0.0, -1.0]], [1.0, 0.0, 0.0]
    assert Polytope(tensor(A), tensor(b)) == Polytope(A, b)
    assert np.array_equal(Box(low, high).to_input(tensor(low)), low)
    assert GaussianDensity(tensor(low), 2.0).pdf(tensor([low])) == GaussianDensity(low, 2.0).pdf([low])


def test_points_of_tensors_find_what_lists_find():
    network, box = Network.from_arrays(WEIGHTS, BIASES), Box([-1.0, -1.0], [1.0, 1.0])
    cells = enumerate_cells(network, box, workers=1)
    point = [0.25, -0.5]
    assert cells.locate(tensor(point)) == cells.locate(point)
    assert np.array_equal(cells[0].forward(tensor(point)), cells[0].forward(point))
    assert explore(network, tensor(point), max_hops=1).n_cells == explore(network, point, max_hops=1).n_cells
    way = [point, [1.0, 1.0]]
    assert polyline_cells(network, tensor(way)).visits == polyline_cells(network, way).visits


def test_lists_of_tensors_become_lists_of_arrays():
    nested = without_tensors([tensor([1.0, 2.0]), (tensor(3.0), 4.0)])
    assert [part if isinstance(part, list) else part.tolist() for part in nested] == [[1.0, 2.0], [3.0, 4.0]]


def test_what_is_no_tensor_is_left_alone():
    for given in (np.ones(2), [1.0], None, "words", {"a": 1}):
        assert without_tensors(given) is given
    for given in (None, True, -1, 0.5, "0", np.random.default_rng(0)):
        assert as_generator(given) is given


def test_tensors_are_looked_for_only_where_pytorch_is_loaded():
    script = (
        "import sys; from regions import Box, Network; Network.from_arrays([[[1.0]]], [[0.0]]); Box(-1, 1);"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
