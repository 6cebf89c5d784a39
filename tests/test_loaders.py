"""Laws of the loaders: the same function, the same numbers, and a named reason for every refusal."""

from __future__ import annotations

import importlib.util
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from regions.errors import InvalidInputError, InvalidNetworkError
from regions.network.loaders import from_arrays, from_onnx, from_sklearn, from_torch, load_network
from regions.network.loaders.checks import optional_import
from regions.network.relu_network import Network

needs_torch = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="needs torch")


# ---------------------------------------------------------------- PyTorch


def torch_model(*, dtype: str = "float32") -> Any:
    torch = pytest.importorskip("torch", reason="needs torch")
    torch.manual_seed(0)
    nn = torch.nn
    inner = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Identity())
    model = nn.Sequential(
        nn.Flatten(), nn.Linear(6, 5, bias=False), nn.ReLU(), nn.Dropout(0.5), inner, nn.Linear(4, 2)
    )
    return model.to(getattr(torch, dtype)).eval()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_torch_weights_are_the_same_numbers(dtype: str) -> None:
    model = torch_model(dtype=dtype)
    network = from_torch(model)
    linear = [layer for layer in model.modules() if type(layer).__name__ == "Linear"]
    for layer, weight in zip(linear, network.weights, strict=True):
        np.testing.assert_array_equal(layer.weight.detach().numpy(), weight)
    assert network.relu == (True, True, False)
    assert not network.biases[0].any()


@needs_torch
def test_torch_relu_first_and_relu_twice_are_kept_as_functions() -> None:
    import torch

    model = torch.nn.Sequential(torch.nn.ReLU(), torch.nn.ReLU(), torch.nn.Linear(3, 2), torch.nn.ReLU())
    network = from_torch(model)
    assert network.relu == (True, True)
    np.testing.assert_array_equal(network.weights[0], np.eye(3))


@needs_torch
def test_torch_modules_that_come_twice_are_read_twice() -> None:
    import torch

    torch.manual_seed(0)
    shared, act = torch.nn.Linear(3, 3), torch.nn.LeakyReLU(0.1)
    model = torch.nn.Sequential(shared, act, shared, act, torch.nn.Linear(3, 2))
    network = from_torch(model)
    assert network.widths == (3, 3)
    points = torch.randn(20, 3)
    assert np.allclose(network.forward(points.numpy()), model(points).detach().numpy(), atol=1e-5)


@needs_torch
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_torch_units_with_slopes_are_read_with_the_numbers_they_compute_with(dtype: str) -> None:
    import torch

    nn = torch.nn
    model = nn.Sequential(
        *(nn.Conv2d(1, 3, 2), nn.PReLU(3), nn.Flatten(), nn.Linear(12, 5), nn.LeakyReLU(0.1), nn.PReLU()),
        *(nn.Linear(5, 4), nn.ReLU6(), nn.Linear(4, 4), nn.Hardtanh(-0.3, 0.7), nn.Linear(4, 2)),
    ).to(getattr(torch, dtype))
    with torch.no_grad():
        model[1].weight.copy_(torch.tensor([0.5, -1.5, 0.1]))
    network = from_torch(model, input_shape=(1, 3, 3))
    rows = [None if pair is None else pair[0] for pair in network.slopes if pair is not None]
    np.testing.assert_array_equal(rows[0], np.repeat(model[1].weight.detach().numpy(), 4))
    np.testing.assert_array_equal(rows[1], np.full(5, np.dtype(dtype).type(0.1)))
    x = np.random.default_rng(3).normal(size=(20, 9)).astype(dtype)
    expected = model(torch.as_tensor(x).reshape(-1, 1, 3, 3)).detach().numpy()
    np.testing.assert_allclose(network.forward(x), expected, rtol=1e-4, atol=1e-6)


@needs_torch
def test_torch_programs_keep_slopes_and_skips() -> None:
    import torch

    class Block(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.slopes = torch.nn.Conv2d(1, 3, 2), torch.nn.PReLU(3)
            self.inner, self.last = torch.nn.Linear(12, 9), torch.nn.Linear(9, 2)
            with torch.no_grad():
                self.slopes.weight.copy_(torch.tensor([0.5, -1.5, 0.1]))

        def forward(self, x: Any) -> Any:
            h = self.inner(self.slopes(self.conv(x)).flatten(1))
            return self.last((torch.nn.functional.leaky_relu(h, 0.1) + x.flatten(1)).abs())

    block = Block().eval()
    network = from_torch(torch.export.export(block, (torch.zeros(1, 1, 3, 3),)))
    x = np.random.default_rng(3).normal(size=(20, 9)).astype(np.float32)
    expected = block(torch.as_tensor(x).reshape(-1, 1, 3, 3)).detach().numpy()
    np.testing.assert_allclose(network.forward(x), expected, rtol=1e-4, atol=1e-6)
    assert network.n_units - np.count_nonzero(network.cutting) == 18  # the inputs, past two layers


@needs_torch
@pytest.mark.parametrize(
    ("options", "shape"),
    [
        ({}, (2, 5, 6)),
        ({"stride": 2, "padding": 1}, (2, 5, 6)),
        ({"stride": (1, 2), "padding": (0, 2), "dilation": (2, 1)}, (2, 6, 5)),
        ({"groups": 2, "bias": False}, (2, 4, 4)),
    ],
)
def test_torch_convolutions_are_matrices_of_the_same_numbers(options: dict[str, Any], shape: Any) -> None:
    import torch
    from torch import nn

    torch.manual_seed(1)
    first = nn.Conv2d(2, 4, 3, **options)
    size = first(torch.zeros(1, *shape)).numel()
    model = nn.Sequential(first, nn.ReLU(), nn.Flatten(), nn.Linear(size, 3)).double()
    network = from_torch(model, input_shape=shape)
    weights = first.weight.detach().numpy()
    assert network.widths == (size,)
    assert set(network.weights[0].ravel()) - {0.0} == set(weights.ravel())
    x = np.random.default_rng(0).normal(size=(7, *shape))
    expected = model(torch.as_tensor(x)).detach().numpy()
    np.testing.assert_allclose(network.forward(x.reshape(7, -1)), expected, rtol=1e-12, atol=1e-12)
    assert from_torch(torch.export.export(model, (torch.as_tensor(x),))) == network


@needs_torch
def test_torch_average_pooling_weighs_by_the_nearest_float() -> None:
    import torch
    from torch import nn

    torch.manual_seed(2)
    layers = [nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(12, 2)]
    network = from_torch(nn.Sequential(*layers), input_shape=(1, 4, 4))
    assert from_torch(torch.export.export(nn.Sequential(*layers), (torch.zeros(3, 1, 4, 4),))) == network
    assert network.relu == (True, False, False)
    assert set(network.weights[1].ravel()) == {0.0, 0.25}
    with pytest.raises(InvalidNetworkError, match="input_shape"):
        from_torch(nn.Sequential(*layers))
    with pytest.raises(InvalidNetworkError, match="1 channels"):
        from_torch(nn.Sequential(*layers), input_shape=(3, 4, 4))
    with pytest.raises(InvalidNetworkError, match="larger than its image"):
        from_torch(nn.Sequential(nn.Conv2d(1, 1, 5)), input_shape=(1, 4, 4))
    thirds = from_torch(nn.Sequential(nn.Conv2d(1, 1, 1), nn.AvgPool2d(3)), input_shape=(1, 4, 4))
    assert set(thirds.weights[1].ravel()) == {0.0, 1.0 / 9.0}
    with pytest.raises(InvalidNetworkError, match="pads with"):
        from_torch(nn.Sequential(nn.Conv2d(1, 1, 3, padding="same")), input_shape=(1, 4, 4))


@needs_torch
def test_torch_refusals_name_the_layer_and_what_is_supported() -> None:
    import torch
    from torch import nn

    class Twice(nn.Sequential):
        def forward(self, x: Any) -> Any:
            return 2 * super().forward(x)

    refused: list[tuple[Any, str]] = [
        (
            nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.ReLU()),
            r"Tanh at Sequential\.1; supported are Linear, ReLU.*tanh .* is not piecewise linear",
        ),
        (
            nn.Sequential(nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))),
            r"BatchNorm1d at Sequential\.0\.1",
        ),
        (nn.Sequential(nn.Linear(2, 3), nn.Dropout(0.5)), r"model\.eval\(\)"),
        (nn.Sequential(nn.Flatten(0), nn.Linear(2, 3)), "start_dim=0"),
        (nn.Sequential(nn.Linear(2, 3).half()), "float16"),
        (nn.Sequential(nn.Linear(2, 3, device="meta")), "meta"),
        (nn.Sequential(nn.LazyLinear(2)), "lazy"),
        (nn.Sequential(nn.ReLU()), "no Linear layer"),
        (nn.Sequential(nn.Linear(2, 3), nn.Linear(2, 3)), "receives 3 values"),
        (nn.Linear(2, 3).state_dict(), "state_dict"),
        (np.ones(3), "expected is a torch.nn.Module"),
    ]
    assert from_torch(Twice(nn.Linear(2, 3))).output_dim == 3
    for model, reason in refused:
        with pytest.raises(InvalidNetworkError, match=reason):
            from_torch(model)
    hooked = nn.Sequential(nn.Linear(2, 3))
    hooked[0].register_forward_hook(lambda module, given, output: output + 1e-3)
    with pytest.raises(InvalidNetworkError, match="do not compute what its own forward pass computes"):
        from_torch(hooked)
    with torch.no_grad():
        hooked[0].weight[0, 0] = float("nan")
    with pytest.raises(InvalidNetworkError, match="nan"):
        from_torch(hooked)


@pytest.mark.parametrize("batch", ["fixed", "any"])
def test_exported_program_equals_its_module(tmp_path: Path, batch: str) -> None:
    model = torch_model()
    torch = pytest.importorskip("torch", reason="needs torch")
    shapes = ({0: torch.export.Dim("batch")},) if batch == "any" else None
    program = torch.export.export(model, (torch.zeros(3, 2, 3),), dynamic_shapes=shapes)
    assert from_torch(program) == from_torch(model)
    torch.export.save(program, tmp_path / "net.pt2")
    assert load_network(tmp_path / "net.pt2", allow_code=True) == from_torch(model)


@needs_torch
def test_exported_programs_may_branch_and_are_refused_if_they_bend_otherwise() -> None:
    import torch
    from torch import nn

    class Branch(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Linear(3, 3), nn.Linear(3, 3)

        def forward(self, x: Any) -> Any:
            torch.relu(self.one(x))
            return self.two(x)

    class Residual(Branch):
        def forward(self, x: Any) -> Any:
            return x + self.one(x)

    for module in (Residual(), Branch()):
        program = torch.export.export(module, (torch.zeros(2, 3),))
        network, x = from_torch(program), torch.randn(5, 3)
        np.testing.assert_allclose(
            network.forward(x.numpy()), module(x).detach().numpy(), rtol=1e-5, atol=1e-6
        )
        assert network.widths == ()
    for layers, reason in (
        ((nn.Tanh(), nn.ReLU()), "tanh .* not piecewise"),
        ((nn.GELU(),), "gelu .* not piecewise"),
    ):
        with pytest.raises(InvalidNetworkError, match=reason):
            from_torch(torch.export.export(nn.Sequential(nn.Linear(3, 3), *layers), (torch.zeros(2, 3),)))


# ---------------------------------------------------------------- scikit-learn


def fitted(kind: str, outputs: int, **options: Any) -> tuple[Any, np.ndarray]:
    neural = pytest.importorskip("sklearn.neural_network", reason="needs scikit-learn")
    rng = np.random.default_rng(3)
    x = rng.normal(size=(60, 4))
    target = rng.integers(0, outputs, size=60) if kind == "MLPClassifier" else rng.normal(size=(60, outputs))
    model = getattr(neural, kind)(
        hidden_layer_sizes=(6, 5), solver="lbfgs", tol=0.5, max_iter=500, random_state=0, **options
    )
    return model.fit(x, target.ravel() if outputs == 1 else target), x


@pytest.mark.parametrize("classes", [2, 4])
def test_sklearn_classifier_gives_the_logits(classes: int) -> None:
    model, x = fitted("MLPClassifier", classes)
    logits = from_sklearn(model).forward(x)
    expected = model.predict_proba(x)
    if classes == 2:
        np.testing.assert_allclose(1.0 / (1.0 + np.exp(-logits[:, 0])), expected[:, 1], rtol=1e-10)
    else:
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        np.testing.assert_allclose(shares / shares.sum(axis=1, keepdims=True), expected, rtol=1e-10)


@pytest.mark.parametrize("outputs", [1, 3])
def test_sklearn_regressor_gives_its_predictions(outputs: int) -> None:
    model, x = fitted("MLPRegressor", outputs)
    np.testing.assert_allclose(
        from_sklearn(model).forward(x), model.predict(x).reshape(60, outputs), rtol=1e-10
    )


def test_sklearn_loading_leaves_the_model_as_it_was() -> None:
    model, _ = fitted("MLPClassifier", 3)
    before = pickle.dumps(model)
    from_sklearn(model)
    assert pickle.dumps(model) == before


def test_sklearn_refusals_say_what_is_supported() -> None:
    linear = pytest.importorskip("sklearn.linear_model", reason="needs scikit-learn")
    neural = pytest.importorskip("sklearn.neural_network", reason="needs scikit-learn")
    with pytest.raises(InvalidNetworkError, match="supported is activation='relu'"):
        from_sklearn(fitted("MLPRegressor", 1, activation="tanh")[0])
    with pytest.raises(InvalidNetworkError, match="not fitted"):
        from_sklearn(neural.MLPRegressor())
    with pytest.raises(InvalidNetworkError, match="LinearRegression; supported are"):
        from_sklearn(linear.LinearRegression())
    model, _ = fitted("MLPRegressor", 1)
    model.predict = lambda x: np.zeros(len(x))
    with pytest.raises(InvalidNetworkError, match="do not compute"):
        from_sklearn(model)


# ---------------------------------------------------------------- ONNX


def onnx_model(
    nodes: list[tuple[str, list[str], dict[str, Any]]],
    constants: dict[str, np.ndarray],
    shape: tuple[Any, ...] = ("batch", 3),
    element: int = 1,
) -> Any:
    """A chain of operators; "h" among a node's inputs stands for the output of the node before it."""
    onnx = pytest.importorskip("onnx", reason="needs onnx")
    made, value = [], "x"
    for index, (kind, inputs, attributes) in enumerate(nodes):
        names = [value if name == "h" else name for name in inputs]
        made.append(onnx.helper.make_node(kind, names, [f"h{index}"], **attributes))
        value = f"h{index}"
    graph = onnx.helper.make_graph(
        made,
        "chain",
        [onnx.helper.make_tensor_value_info("x", element, shape)],
        [onnx.helper.make_tensor_value_info(value, element, None)],
        [onnx.numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    opset = [onnx.helper.make_opsetid("", 13)]
    return onnx.helper.make_model(graph, opset_imports=opset, ir_version=8)


def random_constants(dtype: str = "float32") -> dict[str, np.ndarray]:
    rng = np.random.default_rng(5)
    shapes = {"W": (3, 4), "V": (4, 3), "A": (4, 2), "b": (4,), "c": (1, 3), "s": (3,), "t": ()}
    constants: dict[str, np.ndarray] = {
        name: np.asarray(rng.normal(size=shape), dtype=dtype) for name, shape in shapes.items()
    }
    constants["zero"], constants["one"] = np.zeros(3, dtype), np.ones(3, dtype)
    constants["flat"] = np.array([-1, 3], dtype=np.int64)
    constants["keep"] = np.array([0, 3, 1], dtype=np.int64)
    constants["column"] = np.array([1, 3, 1], dtype=np.int64)
    return constants


ACCEPTED: dict[str, tuple[list[tuple[str, list[str], dict[str, Any]]], int]] = {
    "Gemm": ([("Gemm", ["h", "W", "b"], {})], 1),
    "Gemm without bias": ([("Gemm", ["h", "W"], {})], 1),
    "Gemm transB": ([("Gemm", ["h", "V", "b"], {"transB": 1})], 1),
    "Gemm transA": (
        [("Reshape", ["h", "turned"], {}), ("Gemm", ["h", "W", "b"], {"transA": 1})],
        1,
    ),
    "Gemm alpha beta": ([("Gemm", ["h", "W", "b"], {"alpha": 0.3, "beta": 1.7})], 2),
    "Gemm scalar bias": ([("Gemm", ["h", "W", "t"], {})], 1),
    "MatMul Add": ([("MatMul", ["h", "W"], {}), ("Add", ["b", "h"], {})], 1),
    "MatMul Add Add": ([("MatMul", ["h", "W"], {}), ("Add", ["h", "b"], {}), ("Add", ["h", "t"], {})], 2),
    "MatMul from the left": ([("Reshape", ["h", "column"], {}), ("MatMul", ["V", "h"], {})], 1),
    "Sub": ([("Sub", ["h", "c"], {}), ("Gemm", ["h", "W", "b"], {})], 2),
    "Sub from constant": ([("Sub", ["c", "h"], {})], 1),
    "doubled": ([("Add", ["h", "h"], {})], 1),
    "Mul": ([("Mul", ["s", "h"], {}), ("Relu", ["h"], {})], 1),
    "Div": ([("Div", ["h", "s"], {})], 1),
    "no-ops": (
        [
            ("Sub", ["h", "zero"], {}),
            ("Mul", ["h", "one"], {}),
            ("Div", ["h", "one"], {}),
            ("Identity", ["h"], {}),
            ("Dropout", ["h"], {}),
            ("Cast", ["h"], {"to": 1}),
            ("Flatten", ["h"], {}),
            ("Reshape", ["h", "flat"], {}),
            ("Reshape", ["h", "keep"], {}),
            ("Flatten", ["h"], {"axis": -2}),
            ("Gemm", ["h", "W", "b"], {}),
        ],
        1,
    ),
    "deep": (
        [
            ("Gemm", ["h", "W", "b"], {}),
            ("Relu", ["h"], {}),
            ("MatMul", ["h", "A"], {}),
            ("Relu", ["h"], {}),
            ("Relu", ["h"], {}),
        ],
        2,
    ),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", ACCEPTED)
def test_onnx_chains_compute_what_the_reference_evaluator_computes(case: str, dtype: str) -> None:
    if case == "no-ops" and dtype == "float64":
        pytest.skip("casts to float32")
    nodes, n_layers = ACCEPTED[case]
    constants = random_constants(dtype) | {"turned": np.array([3, 1], dtype=np.int64)}
    batch = 1 if case in ("Gemm transA", "MatMul from the left") else "batch"
    model = onnx_model(nodes, constants, (batch, 3), 1 if dtype == "float32" else 11)
    network = from_onnx(model)
    assert network.n_layers == n_layers
    from onnx.reference import ReferenceEvaluator

    for x in np.random.default_rng(0).normal(size=(5, 1, 3)).astype(dtype):
        expected = ReferenceEvaluator(model).run(None, {"x": x})[0].ravel()
        np.testing.assert_allclose(network.forward(x[0]), expected, rtol=1e-5, atol=1e-5)


def test_onnx_float32_weights_are_the_same_numbers() -> None:
    constants = random_constants()
    network = from_onnx(onnx_model([("Gemm", ["h", "W", "b"], {})], constants))
    np.testing.assert_array_equal(network.weights[0], constants["W"].T)
    np.testing.assert_array_equal(network.biases[0], constants["b"])


def test_onnx_alpha_and_beta_round_no_weight() -> None:
    constants = random_constants()
    network = from_onnx(onnx_model([("Gemm", ["h", "W", "b"], {"alpha": 0.3, "beta": 1.7})], constants))
    np.testing.assert_array_equal(network.weights[0], np.vstack([constants["W"].T, np.zeros((4, 3))]))
    stated = np.concatenate([np.float32([0.3] * 4), np.float32([1.7] * 4)])
    np.testing.assert_array_equal(network.weights[1].max(axis=0), stated)


def test_onnx_constant_and_transpose_nodes_are_constants() -> None:
    onnx = pytest.importorskip("onnx", reason="needs onnx")
    constants = random_constants()
    value = onnx.numpy_helper.from_array(constants["V"], "value")
    model = onnx_model([("Gemm", ["h", "Wt", "b"], {})], constants)
    del model.graph.node[:]
    for kind, inputs, output, attributes in (
        ("Constant", [], "V2", {"value": value}),
        ("Transpose", ["V2"], "Vt", {"perm": [1, 0]}),
        ("Identity", ["Vt"], "Wt", {}),
        ("Gemm", ["x", "Wt", "b"], "h0", {}),
    ):
        model.graph.node.append(onnx.helper.make_node(kind, inputs, [output], **attributes))
    np.testing.assert_array_equal(from_onnx(model).weights[0], constants["V"])


REFUSED: dict[str, tuple[list[tuple[str, list[str], dict[str, Any]]], str]] = {
    "Sigmoid": (
        [("Gemm", ["h", "W"], {}), ("Sigmoid", ["h"], {}), ("Relu", ["h"], {})],
        "Sigmoid.*supported are Gemm, MatMul",
    ),
    "division by value": ([("Div", ["s", "h"], {})], "divides by the value"),
    "division by zero": ([("Div", ["h", "zero"], {})], "by zero"),
    "wrong width": ([("MatMul", ["h", "A"], {})], "receives 3 values"),
    "broadcast that grows": ([("Add", ["h", "column"], {})], "int64"),
    "outer sum": ([("Add", ["h", "outer"], {})], "does not broadcast to the value's shape"),
    "rounding cast": ([("Cast", ["h"], {"to": 10})], "type number 10"),
    "batch mixed in": ([("Reshape", ["h", "pair"], {})], "batch"),
    "nothing": ([("Identity", ["h"], {})], "no layer that computes"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_onnx_refusals_give_the_reason(case: str) -> None:
    nodes, reason = REFUSED[case]
    more = {"pair": np.array([2, 3], dtype=np.int64), "outer": np.ones((2, 3), dtype=np.float32)}
    with pytest.raises(InvalidNetworkError, match=reason):
        from_onnx(onnx_model(nodes, random_constants() | more))


@pytest.mark.parametrize("shape", [("batch", "n"), (4, "n", 3), ()])
def test_onnx_inputs_without_fixed_sizes_are_refused(shape: tuple[Any, ...]) -> None:
    with pytest.raises(InvalidNetworkError, match="has shape"):
        from_onnx(onnx_model([("Relu", ["h"], {})], {}, shape))


def test_onnx_half_precision_is_refused_by_type() -> None:
    with pytest.raises(InvalidNetworkError, match="supported are float32"):
        from_onnx(onnx_model([("Relu", ["h"], {})], {}, ("batch", 3), element=10))


@pytest.mark.sweep(2)
@pytest.mark.parametrize("part", range(9))
def test_acasxu_reproduces_onnxruntime(reference_data: Path, part: int) -> None:
    runtime = pytest.importorskip("onnxruntime", reason="needs onnxruntime")
    paths = sorted((reference_data / "acasxu").glob("*.onnx"))[part::9]
    assert paths
    x = np.random.default_rng(1).uniform(-0.7, 0.7, size=(50, 5)).astype(np.float32)
    for path in paths:
        network = load_network(path)
        assert (network.input_dim, network.widths, network.output_dim) == (5, (50,) * 6, 5)
        session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        expected = np.array([session.run(None, {"input": row.reshape(1, 1, 1, 5)})[0].ravel() for row in x])
        assert np.abs(network.forward(x) - expected).max() <= 1e-5 * np.abs(expected).max()


# ---------------------------------------------------------------- files


def test_npz_and_onnx_need_no_permission(tmp_path: Path, small_nets: Path) -> None:
    path = small_nets / "d2_w16x2.npz"
    assert load_network(path) == Network.load(path)
    onnx = pytest.importorskip("onnx", reason="needs onnx")
    onnx.save(onnx_model([("Gemm", ["h", "W", "b"], {})], random_constants()), tmp_path / "net.onnx")
    assert load_network(tmp_path / "net.onnx").name == "net"


def test_pickles_run_nothing_without_permission(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
            return Path.touch, (tmp_path / "sprung",)

    for suffix in (".pt", ".pth", ".pt2", ".joblib", ".pkl", ".pickle"):
        path = tmp_path / f"trap{suffix}"
        path.write_bytes(pickle.dumps(Trap()))
        with pytest.raises(InvalidInputError, match="can run any code"):
            load_network(path)
    assert not (tmp_path / "sprung").exists()


def test_pickled_models_load_with_permission(tmp_path: Path) -> None:
    joblib = pytest.importorskip("joblib", reason="needs joblib")
    model, _ = fitted("MLPClassifier", 3)
    joblib.dump(model, tmp_path / "net.joblib")
    (tmp_path / "net.pkl").write_bytes(pickle.dumps(model))
    for name in ("net.joblib", "net.pkl"):
        assert load_network(tmp_path / name, allow_code=True) == from_sklearn(model)


def test_pickled_torch_module_loads_with_permission(tmp_path: Path) -> None:
    model = torch_model()
    torch = pytest.importorskip("torch", reason="needs torch")
    torch.save(model, tmp_path / "net.pt")
    assert load_network(tmp_path / "net.pt", allow_code=True) == from_torch(model)
    torch.save(model.state_dict(), tmp_path / "state.pt")
    assert load_network(tmp_path / "state.pt") == from_torch(model)


@pytest.mark.parametrize("suffix", [".npz", ".onnx", ".pt", ".pt2", ".joblib", ".pkl"])
def test_damaged_files_are_refused(tmp_path: Path, suffix: str) -> None:
    if suffix.startswith(".pt"):
        pytest.importorskip("torch", reason="needs torch")
    path = tmp_path / f"net{suffix}"
    path.write_bytes(b"\x80\x04not a network at all")
    with pytest.raises(InvalidNetworkError):
        load_network(path, allow_code=True)


def test_unknown_and_absent_files_say_so(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"supported are \.npz"):
        load_network(tmp_path / "net.safetensors")
    for name in ("net.npz", "net.onnx", "net.pt"):
        with pytest.raises(InvalidInputError, match="no network file"):
            load_network(tmp_path / name)


def test_a_missing_package_is_named_with_its_extra() -> None:
    with pytest.raises(InvalidInputError, match=r"pip install 'relu-regions\[torch\]'"):
        optional_import("no_such_package", "torch", "reading a PyTorch model")


def test_from_arrays_is_the_network_of_the_arrays() -> None:
    assert from_arrays([[[1.0]]], [[2.0]], name="one") == Network.from_arrays([[[1.0]]], [[2.0]])
