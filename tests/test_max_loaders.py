"""Max pooling and largest values from ONNX and PyTorch: the function is the source's, in few cuts."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from regions import Slice, count_cells, verify
from regions.enumeration import enumerate_cells
from regions.errors import InvalidNetworkError
from regions.network.loaders import from_onnx, from_torch
from regions.network.relu_network import Network


def sizes_of(network: Network) -> list[list[int]]:
    """Sizes of the max units of each layer that has any."""
    return [[k for k in sizes.tolist() if k > 1] for sizes in network.maxima if sizes is not None]


class TestOnnx:
    """Each model is compared with its runtime by the loader, and here with the definition."""

    onnx: Any = None

    @pytest.fixture(autouse=True)
    def _onnx(self) -> None:
        type(self).onnx = pytest.importorskip("onnx", reason="needs onnx")

    def read(
        self,
        nodes: list[tuple[str, list[str], list[str], dict[str, Any]]],
        shape: tuple[int, ...],
        **constants: Any,
    ) -> Network:
        helper = self.onnx.helper
        made = [helper.make_node(kind, given, gives, **more) for kind, given, gives, more in nodes]
        ends = [
            helper.make_tensor_value_info("x", 1, shape),
            helper.make_tensor_value_info("y", 1, None),
        ]
        arrays = [self.onnx.numpy_helper.from_array(array, name) for name, array in constants.items()]
        graph = helper.make_graph(made, "graph", ends[:1], ends[1:], arrays)
        opset = [helper.make_opsetid("", 18)]
        return from_onnx(helper.make_model(graph, opset_imports=opset, ir_version=8))

    @pytest.mark.parametrize(
        ("shape", "more", "sizes"),
        [
            ((1, 1, 5), {"kernel_shape": [3], "strides": [2]}, [3, 3]),
            ((1, 2, 4), {"kernel_shape": [2], "pads": [1, 0]}, [2, 2, 2] * 2),
            ((1, 1, 4), {"kernel_shape": [3], "strides": [2], "ceil_mode": 1}, [3, 2]),
            ((1, 1, 5), {"kernel_shape": [2], "dilations": [2]}, [2, 2, 2]),
            ((1, 1, 3, 3), {"kernel_shape": [2, 2]}, [4, 4, 4, 4]),
            ((1, 1, 3, 3), {"kernel_shape": [2, 2], "strides": [2, 2], "auto_pad": "SAME_UPPER"}, [4, 2, 2]),
            ((1, 1, 2, 2, 2), {"kernel_shape": [2, 2, 2]}, [8]),
        ],
    )
    def test_a_window_is_a_max_unit_and_padding_is_no_candidate(
        self, shape: tuple[int, ...], more: dict[str, Any], sizes: list[int]
    ) -> None:
        network = self.read([("MaxPool", ["x"], ["y"], more)], shape)
        assert sizes_of(network) == [sizes]

    def test_what_rises_is_moved_behind_the_maximum(self) -> None:
        nodes = [
            ("Relu", ["x"], ["r"], {}),
            ("LeakyRelu", ["r"], ["l"], {"alpha": 0.25}),
            ("MaxPool", ["l"], ["y"], {"kernel_shape": [2], "strides": [2]}),
        ]
        network = self.read(nodes, (1, 1, 4))
        assert "maxima taken before what rises" in network.describe()
        assert network.widths[0] == 4 and sizes_of(network) == [[2, 2]]
        # two winners, and the ReLU of each; two ReLUs before a maximum would make 5 cells
        box = Slice.around(np.zeros(4), directions=np.eye(4)[:2], half_width=1.0)
        assert count_cells(network, box).cells == 4

    def test_what_falls_or_is_used_elsewhere_stays_where_it_is(self) -> None:
        falling = [
            ("LeakyRelu", ["x"], ["l"], {"alpha": -0.5}),
            ("MaxPool", ["l"], ["y"], {"kernel_shape": [2]}),
        ]
        assert "maxima" not in self.read(falling, (1, 1, 3)).describe()
        shared = [
            ("Relu", ["x"], ["r"], {}),
            ("MaxPool", ["r"], ["p"], {"kernel_shape": [3]}),
            ("ReduceSum", ["r"], ["s"], {"keepdims": 1}),
            ("Add", ["p", "s"], ["y"], {}),
        ]
        network = self.read(shared, (1, 1, 3))
        assert "maxima" not in network.describe() and network.widths[0] == 3

    def test_other_values_pass_by_a_layer_of_max_units(self) -> None:
        nodes = [
            ("MaxPool", ["x"], ["p"], {"kernel_shape": [2]}),
            ("Slice", ["x", "start", "end", "axis"], ["s"], {}),
            ("Add", ["p", "s"], ["y"], {}),
        ]
        where = {name: np.array([k], np.int64) for name, k in (("start", 1), ("end", 4), ("axis", 2))}
        network = self.read(nodes, (1, 1, 4), **where)
        x = np.random.default_rng(0).normal(size=(9, 4))
        np.testing.assert_allclose(network.forward(x), np.maximum(x[:, 1:], x[:, :-1]) + x[:, 1:])
        assert network.n_units - np.count_nonzero(network.cutting) == 3

    @pytest.mark.parametrize(("kind", "best"), [("ReduceMax", np.max), ("ReduceMin", np.min)])
    @pytest.mark.parametrize("axes", [[1], [2], [1, 2]])
    @pytest.mark.parametrize("keep", [0, 1])
    def test_largest_along_axes(
        self, kind: str, best: Callable[..., Any], axes: list[int], keep: int
    ) -> None:
        network = self.read(
            [(kind, ["x", "a"], ["y"], {"keepdims": keep})], (1, 2, 3), a=np.array(axes, np.int64)
        )
        x = np.random.default_rng(0).normal(size=(7, 2, 3))
        expected = best(x, axis=tuple(axes)).reshape(7, -1)
        np.testing.assert_allclose(network.forward(x.reshape(7, 6)), expected)

    @pytest.mark.parametrize(("kind", "best"), [("Max", np.maximum), ("Min", np.minimum)])
    def test_the_largest_of_several_values(self, kind: str, best: Any) -> None:
        nodes = [
            ("Neg", ["x"], ["n"], {}),
            (kind, ["x", "n", "c"], ["y"], {}),
        ]
        network = self.read(nodes, (1, 2), c=np.array([[0.5, -0.25]], np.float32))
        x = np.random.default_rng(0).normal(size=(9, 2))
        np.testing.assert_allclose(network.forward(x), best.reduce([x, -x, np.tile([0.5, -0.25], (9, 1))]))
        assert sizes_of(network) == [[3, 3]]

    def test_global_max_pooling_and_windows_of_padding_only(self) -> None:
        network = self.read([("GlobalMaxPool", ["x"], ["y"], {})], (1, 2, 2, 3))
        assert sizes_of(network) == [[6, 6]]
        with pytest.raises(InvalidNetworkError):
            self.read([("MaxPool", ["x"], ["y"], {"kernel_shape": [1], "pads": [1, 1]})], (1, 1, 3))


def torch_models() -> dict[str, tuple[Callable[[Any], Any], tuple[int, ...]]]:
    return {
        "sequential of images": (
            lambda nn: nn.Sequential(
                nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8, 2)
            ),
            (1, 6, 6),
        ),
        "series": (
            lambda nn: nn.Sequential(
                nn.Conv1d(2, 3, 2), nn.MaxPool1d(3, stride=2, padding=1), nn.LeakyReLU(0.1), nn.Flatten()
            ),
            (2, 7),
        ),
        "ceil": (
            lambda nn: nn.Sequential(
                nn.Conv2d(1, 1, 1), nn.MaxPool2d(2, ceil_mode=True), nn.Flatten(), nn.Linear(4, 1)
            ),
            (1, 3, 3),
        ),
    }


@pytest.mark.sweep(2)
@pytest.mark.parametrize("name", torch_models())
def test_pytorch_pools_alike(name: str) -> None:
    torch = pytest.importorskip("torch", reason="needs torch")
    torch.manual_seed(0)
    make, shape = torch_models()[name]
    model = make(torch.nn).eval()
    network = from_torch(model, input_shape=shape)
    x = np.random.default_rng(0).normal(size=(5, *shape))
    expected = model(torch.as_tensor(x, dtype=torch.float32)).detach().numpy().reshape(5, -1)
    np.testing.assert_allclose(network.forward(x.reshape(5, -1)), expected, rtol=1e-4, atol=1e-5)
    assert sizes_of(network) and network.max_units is not None


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda x: x.amax(dim=1), lambda x: x.max(axis=1, keepdims=True)),
        (lambda x: x.amin(dim=1), lambda x: x.min(axis=1, keepdims=True)),
        (lambda x: x.max(dim=1).values, lambda x: x.max(axis=1, keepdims=True)),
        (lambda x: x.max(-x), lambda x: np.maximum(x, -x)),
    ],
)
def test_largest_values_of_pytorch(call: Callable[[Any], Any], expected: Callable[[Any], Any]) -> None:
    torch = pytest.importorskip("torch", reason="needs torch")

    class Called(torch.nn.Module):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            super().__init__()
            self.a = torch.nn.Linear(3, 3, bias=False)

        def forward(self, x: Any) -> Any:
            return call(self.a(x)).reshape(x.shape[0], -1)

    model = Called().eval()
    with torch.no_grad():
        model.a.weight.copy_(torch.eye(3))
    network = from_torch(model)
    x = np.random.default_rng(0).normal(size=(6, 3))
    np.testing.assert_allclose(network.forward(x), expected(x))


ZOO = Path(os.environ.get("REGIONS_REFERENCE_DATA", Path(__file__).parents[2] / "shared" / "data")) / "zoo"


@pytest.mark.parametrize(
    ("name", "half_width", "cells"),
    [
        ("conv_mp1", 0.2, 49),
        pytest.param("convnet_maxpool", 0.05, 286, marks=pytest.mark.slow),
    ],
)
def test_files_of_others_load_and_have_cells(name: str, half_width: float, cells: int) -> None:
    pytest.importorskip("onnxruntime", reason="needs onnxruntime")
    if not (ZOO / f"{name}.onnx").is_file():
        pytest.skip(f"no {name}.onnx in {ZOO}")
    network = from_onnx(ZOO / f"{name}.onnx")
    center = np.random.default_rng(0).uniform(0, 1, network.input_dim)
    directions = np.random.default_rng(1).normal(size=(2, network.input_dim))
    plane = Slice.around(center, directions=directions, half_width=half_width)
    assert count_cells(network, plane).cells == cells
    assert count_cells(network, plane, engine="lp").cells == cells
    if cells < 100:
        assert verify(enumerate_cells(network, plane)).ok
