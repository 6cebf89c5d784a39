"""Laws of units that are no ReLUs and of values that pass by them, from every format: the same function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from test_onnx_graphs import check_values, graph_model, make_node, numbers

from regions import Box, count_cells
from regions.errors import InvalidNetworkError
from regions.network.loaders import from_onnx, from_torch


def behind(kind: str, more: list[str] | None = None, **attributes: Any) -> list[Any]:
    """A layer with a bias, the operator, and a layer behind it."""
    return [
        make_node("Gemm", ["x", "A", "b"], ["z"]),
        make_node(kind, ["z", *(more or [])], ["h"], **attributes),
        make_node("MatMul", ["h", "B"], ["y"]),
    ]


CONSTANTS = {
    "A": numbers(2, 4),
    "b": numbers(4),
    "B": numbers(4, 2),
    "s": numbers(4, seed=3),
    "half": np.float32(0.5),
    "low": np.float32(-0.75),
    "high": np.float32(0.25),
    "each": numbers(4, seed=4),
}
# name: nodes, number of units, of them linear ones
UNITS: dict[str, tuple[list[Any], int, int]] = {
    "leaky": (behind("LeakyRelu", alpha=0.1), 4, 0),
    "one slope each": (behind("PRelu", ["s"]), 4, 0),
    "absolute": (behind("Abs"), 4, 0),
    "clipped": (behind("Clip", ["low", "high"]), 8, 0),
    "clipped from below": (behind("Clip", ["low"]), 4, 0),
    "clipped from above": (behind("Clip", ["", "high"]), 4, 0),
    "hard sigmoid": (behind("HardSigmoid", alpha=0.25, beta=0.5), 8, 0),
    "larger than a constant": (behind("Max", ["each"]), 4, 0),
    "smaller than a constant": (behind("Min", ["each"]), 4, 0),
    "larger of two": (
        [
            make_node("Gemm", ["x", "A", "b"], ["z"]),
            make_node("Gemm", ["x", "A", "s"], ["t"]),
            make_node("Max", ["z", "t"], ["m"]),
            make_node("Min", ["m", "z"], ["y"]),
        ],
        # t and z pass by the first four units, z by the second four
        20,
        12,
    ),
    "skip": (
        [
            make_node("Gemm", ["x", "A", "b"], ["z"]),
            make_node("Relu", ["z"], ["r"]),
            make_node("MatMul", ["r", "B"], ["c"]),
            make_node("Relu", ["c"], ["d"]),
            make_node("Add", ["d", "x"], ["y"]),
        ],
        # the two inputs pass through both layers
        10,
        4,
    ),
    "branches of different depth": (
        [
            make_node("Gemm", ["x", "A", "b"], ["z"]),
            make_node("Relu", ["z"], ["r"]),
            make_node("MatMul", ["r", "B"], ["c"]),
            make_node("LeakyRelu", ["c"], ["d"]),
            make_node("Concat", ["r", "d"], ["y"], axis=1),
        ],
        10,
        4,
    ),
}


@pytest.mark.parametrize("case", UNITS)
def test_units_compute_what_onnx_says(case: str) -> None:
    nodes, units, linear = UNITS[case]
    model = graph_model(nodes, CONSTANTS, (1, 2))
    network = from_onnx(model)
    assert (network.n_units, int((~network.cutting).sum())) == (units, linear)
    check_values(model, network, (1, 2))


def test_a_skip_adds_no_cell() -> None:
    nodes = UNITS["skip"][0]
    box = Box([-1.0, -1.0], [1.0, 1.0])
    bare = [*nodes[:3], make_node("Relu", ["c"], ["y"])]
    with_skip, without = (from_onnx(graph_model(part, CONSTANTS, (1, 2))) for part in (nodes, bare))
    assert count_cells(with_skip, box).cells == count_cells(without, box).cells


def test_empty_ranges_are_refused() -> None:
    with pytest.raises(InvalidNetworkError, match="range is empty"):
        from_onnx(graph_model(behind("Clip", ["high", "low"]), CONSTANTS, (1, 2)))


def test_the_largest_of_three_values_is_what_onnx_says() -> None:
    model = graph_model(behind("Max", ["z", "each"]), CONSTANTS, (1, 2))
    check_values(model, from_onnx(model), (1, 2))


def modules() -> dict[str, Callable[[], Any]]:
    nn = pytest.importorskip("torch", reason="needs torch").nn
    return {
        "LeakyReLU": lambda: nn.LeakyReLU(0.2),
        "PReLU": lambda: nn.PReLU(4),
        "ReLU6": nn.ReLU6,
        "Hardtanh": lambda: nn.Hardtanh(-0.5, 0.25),
    }


@pytest.mark.parametrize("kind", ["LeakyReLU", "PReLU", "ReLU6", "Hardtanh"])
def test_modules_of_pytorch_are_read(kind: str) -> None:
    torch = pytest.importorskip("torch", reason="needs torch")
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), modules()[kind](), torch.nn.Linear(4, 2))
    if kind == "PReLU":
        with torch.no_grad():
            model[1].weight.normal_()
    x = 4 * torch.randn(30, 3)
    actual = from_torch(model).forward(x.numpy())
    np.testing.assert_allclose(actual, model(x).detach().numpy(), rtol=1e-5, atol=1e-5)


def test_residual_blocks_of_pytorch_are_read() -> None:
    torch = pytest.importorskip("torch", reason="needs torch")
    torch.manual_seed(0)

    class Block(torch.nn.Module):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = torch.nn.Linear(3, 5), torch.nn.Linear(5, 3)

        def forward(self, x: Any) -> Any:
            return torch.relu(x + self.b(torch.relu(self.a(x)))) + torch.maximum(x, -x)

    network, x = from_torch(Block()), torch.randn(30, 3)
    torch.manual_seed(0)
    np.testing.assert_allclose(network.forward(x.numpy()), Block()(x).detach().numpy(), rtol=1e-5, atol=1e-5)
