"""Laws of reading ONNX graphs: whatever is affine between ReLUs is the function that onnx says it is."""

from __future__ import annotations

import json
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regions import Box, count_cells
from regions.cli.application import run
from regions.errors import BudgetExceededError, InvalidInputError, InvalidNetworkError, RegionsError
from regions.network.loaders import from_onnx, load_network
from regions.network.relu_network import Network

onnx = pytest.importorskip("onnx", reason="needs onnx")
make_node = onnx.helper.make_node


def graph_model(
    nodes: list[Any],
    constants: dict[str, np.ndarray],
    shape: tuple[Any, ...],
    outputs: tuple[str, ...] = ("y",),
    *,
    opset: int = 15,
    element: int = 1,
) -> Any:
    graph = onnx.helper.make_graph(
        nodes,
        "graph",
        [onnx.helper.make_tensor_value_info("x", element, shape)],
        [onnx.helper.make_tensor_value_info(output, element, None) for output in outputs],
        [onnx.numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)], ir_version=8)


def check_values(model: Any, network: Network, shape: tuple[int, ...], dtype: str = "float32") -> None:
    """Compare with onnx's reference evaluator on inputs that the loader did not use."""
    from onnx.reference import ReferenceEvaluator

    for x in np.random.default_rng(11).normal(size=(4, *shape)).astype(dtype):
        expected = np.ravel(ReferenceEvaluator(model).run(None, {"x": x})[0])
        actual = network.forward(x.ravel())
        assert np.abs(actual - expected).max() <= 1e-4 * max(np.abs(expected).max(), 1.0)


def numbers(*shape: int, seed: int = 0, dtype: str = "float32") -> np.ndarray:
    return np.random.default_rng((seed, *shape)).normal(size=shape).astype(dtype)


def whole(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


# name: nodes, constants, shape of the input, layers
CASES: dict[str, tuple[list[Any], dict[str, np.ndarray], tuple[int, ...], int]] = {
    "branches add up": (
        [
            make_node("MatMul", ["x", "A"], ["a"]),
            make_node("MatMul", ["x", "B"], ["b"]),
            make_node("Add", ["a", "b"], ["s"]),
            make_node("Relu", ["s"], ["y"]),
        ],
        # quarters: the sums of the weights are exact, so the branches become one layer
        {"A": np.round(4 * numbers(3, 4)) / 4, "B": np.round(4 * numbers(3, 4, seed=1)) / 4},
        (1, 3),
        1,
    ),
    "branches that bend are one layer": (
        [
            make_node("Slice", ["x", "zero", "two", "one"], ["p"]),
            make_node("MatMul", ["p", "A"], ["a"]),
            make_node("Relu", ["a"], ["ra"]),
            make_node("MatMul", ["x", "B"], ["b"]),
            make_node("Relu", ["b"], ["rb"]),
            make_node("Concat", ["ra", "rb"], ["c"], axis=1),
            make_node("Sub", ["c", "t"], ["d"]),
            make_node("MatMul", ["d", "C"], ["y"]),
        ],
        {
            "A": numbers(2, 3),
            "B": numbers(3, 2),
            "C": numbers(5, 2),
            "t": numbers(5),
            "zero": whole(0),
            "one": whole(1),
            "two": whole(2),
        },
        (1, 3),
        3,
    ),
    "a skip past a unit": (
        [make_node("Relu", ["x"], ["r"]), make_node("Add", ["r", "x"], ["y"])],
        {},
        (1, 3),
        2,
    ),
    "residual blocks, a branch deeper than the other": (
        [
            make_node("Conv", ["x", "W"], ["h"], pads=[1, 1, 1, 1]),
            make_node("Relu", ["h"], ["a"]),
            make_node("Conv", ["a", "V"], ["b"], pads=[1, 1, 1, 1]),
            make_node("Add", ["b", "x"], ["c"]),
            make_node("LeakyRelu", ["c"], ["d"], alpha=0.2),
            make_node("Relu", ["x"], ["e"]),
            make_node("Concat", ["d", "e"], ["y"], axis=1),
        ],
        {"W": numbers(3, 2, 3, 3), "V": numbers(2, 3, 3, 3, seed=1)},
        (1, 2, 3, 3),
        2,
    ),
    "units with slopes": (
        [
            make_node("MatMul", ["x", "A"], ["a"]),
            make_node("PRelu", ["a", "slope"], ["b"]),
            make_node("LeakyRelu", ["b"], ["c"]),
            make_node("Abs", ["c"], ["d"]),
            make_node("Relu", ["d"], ["e"]),
            make_node("MatMul", ["e", "B"], ["y"]),
        ],
        {"A": numbers(3, 4), "B": numbers(4, 2), "slope": numbers(4)},
        (1, 3),
        4,
    ),
    "split, gather, concat": (
        [
            make_node("Split", ["x", "parts"], ["p", "q"], axis=1),
            make_node("Gather", ["q", "order"], ["g"], axis=1),
            make_node("Concat", ["g", "p", "k"], ["c"], axis=1),
            make_node("Relu", ["c"], ["y"]),
        ],
        {"parts": whole(2, 3), "order": whole(2, 0, -2, 0), "k": numbers(1, 2)},
        (1, 5),
        1,
    ),
    "gathered twice, then weighed": (
        [make_node("Gather", ["x", "order"], ["g"], axis=1), make_node("MatMul", ["g", "A"], ["y"])],
        {"order": whole(0, 1, 1, 0), "A": numbers(4, 2)},
        (1, 2),
        2,
    ),
    "shape chain": (
        [
            make_node("Shape", ["x"], ["s"]),
            make_node("Gather", ["s", "first"], ["n"], axis=0),
            make_node("Unsqueeze", ["n", "axis"], ["u"]),
            make_node("Concat", ["u", "rest"], ["t"], axis=0),
            make_node("Reshape", ["x", "t"], ["f"]),
            make_node("MatMul", ["f", "A"], ["z"]),
            make_node("Relu", ["z"], ["y"]),
        ],
        {"first": np.array(0), "axis": whole(0), "rest": whole(-1), "A": numbers(12, 3)},
        (1, 3, 4),
        1,
    ),
    "constants of constants": (
        [
            make_node("Transpose", ["A"], ["At"]),
            make_node("Mul", ["At", "two"], ["A2"]),
            make_node("Sqrt", ["v"], ["r"]),
            make_node("MatMul", ["x", "A2"], ["z"]),
            make_node("Div", ["z", "r"], ["y"]),
        ],
        {"A": numbers(4, 3), "two": np.float32(2.0), "v": np.float32([4.0, 4.0, 1.0, 0.25])},
        (1, 3),
        1,
    ),
    "transpose and stacks of matrices": (
        [
            make_node("Transpose", ["x"], ["t"], perm=[0, 2, 1]),
            make_node("MatMul", ["t", "A"], ["z"]),
            make_node("MatMul", ["B", "z"], ["y"]),
        ],
        {"A": numbers(3, 2), "B": numbers(5, 4)},
        (1, 3, 4),
        2,
    ),
    "pad and average": (
        [
            make_node("Pad", ["x", "pads", "fill"], ["p"]),
            make_node("AveragePool", ["p"], ["y"], kernel_shape=[2, 2]),
        ],
        {"pads": whole(0, 0, 1, 0, 0, 0, 0, 1), "fill": np.float32(0.5)},
        (1, 2, 3, 3),
        2,
    ),
    "batch normalisation behind a convolution": (
        [
            make_node("Conv", ["x", "W"], ["z"]),
            make_node("BatchNormalization", ["z", "g", "b", "m", "v"], ["n"]),
            make_node("Relu", ["n"], ["y"]),
        ],
        {
            "W": numbers(2, 1, 2, 2),
            "g": numbers(2),
            "b": numbers(2, seed=1),
            "m": numbers(2, seed=2),
            "v": np.float32([0.5, 2.0]),
        },
        (1, 1, 3, 3),
        1,
    ),
    "means and sums": (
        [
            make_node("GlobalAveragePool", ["x"], ["m"]),
            make_node("ReduceSum", ["x", "axes"], ["s"], keepdims=1),
            make_node("ReduceMean", ["x"], ["a"], axes=[1, 2], keepdims=0),
            make_node("Flatten", ["m"], ["fm"]),
            make_node("Flatten", ["s"], ["fs"]),
            make_node("Concat", ["fm", "fs", "a"], ["y"], axis=1),
        ],
        {"axes": whole(1, 3)},
        (1, 2, 2, 3),
        1,
    ),
    "squeeze, negate, expand": (
        [
            make_node("Unsqueeze", ["x", "axis"], ["u"]),
            make_node("Expand", ["u", "shape"], ["e"]),
            make_node("Neg", ["e"], ["n"]),
            make_node("Relu", ["n"], ["r"]),
            make_node("Squeeze", ["r", "none"], ["y"]),
        ],
        {"axis": whole(1), "shape": whole(1, 2, 3), "none": whole(0)},
        (1, 3),
        1,
    ),
    "ReLU by other names": (
        [
            make_node("MatMul", ["x", "A"], ["a"]),
            make_node("Max", ["a", "zero"], ["r"]),
            make_node("MatMul", ["r", "B"], ["b"]),
            make_node("Clip", ["b", "zero"], ["y"]),
        ],
        {"A": numbers(3, 4), "B": numbers(4, 2), "zero": np.float32(0.0)},
        (1, 3),
        2,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_affine_graphs_compute_what_onnx_says(case: str) -> None:
    nodes, constants, shape, layers = CASES[case]
    model = graph_model(nodes, constants, shape)
    network = from_onnx(model)
    assert network.n_layers == layers
    check_values(model, network, shape)


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[Any, tuple[int, ...]]:
    axes = draw(st.integers(1, 3))
    groups = draw(st.integers(1, 2))
    channels, share = groups * draw(st.integers(1, 2)), draw(st.integers(1, 2))

    def sizes(low: int, high: int, count: int) -> list[int]:
        return draw(st.lists(st.integers(low, high), min_size=count, max_size=count))

    kernel, stride, dilation = sizes(1, 3, axes), sizes(1, 3, axes), sizes(1, 2, axes)
    lengths = [length + d * (k - 1) for length, d, k in zip(sizes(1, 3, axes), dilation, kernel, strict=True)]
    options: dict[str, Any] = {"strides": stride, "dilations": dilation}
    kind = draw(st.sampled_from(["Conv", "ConvTranspose", "AveragePool"]))
    if kind == "AveragePool":
        if draw(st.booleans()):
            pads = [draw(st.integers(0, k - 1)) for k in kernel * 2]
            options |= {"pads": pads, "count_include_pad": draw(st.integers(0, 1))}
        options.pop("dilations")
        node = make_node(kind, ["x"], ["y"], kernel_shape=kernel, **options)
        return graph_model([node], {}, (1, channels, *lengths)), (1, channels, *lengths)
    if kind == "Conv" and draw(st.booleans()):
        options["auto_pad"] = draw(st.sampled_from(["SAME_UPPER", "SAME_LOWER", "VALID"]))
    else:
        options["pads"] = sizes(0, 1, 2 * axes) if kind == "Conv" else [0] * (2 * axes)
    if kind == "ConvTranspose":
        options["output_padding"] = [
            draw(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, dilation, strict=True)
        ]
    shape = (channels, share) if kind == "ConvTranspose" else (groups * share, channels // groups)
    constants = {"W": numbers(*shape, *kernel), "b": numbers(groups * share)}
    node = make_node(kind, ["x", "W", "b"], ["y"], group=groups, **options)
    return graph_model([node], constants, (1, channels, *lengths)), (1, channels, *lengths)


@given(convolutions())
def test_convolutions_and_averages_are_what_onnxruntime_computes(case: tuple[Any, tuple[int, ...]]) -> None:
    runtime = pytest.importorskip("onnxruntime", reason="needs onnxruntime")
    model, shape = case
    options = runtime.SessionOptions()
    options.log_severity_level = 4
    session = runtime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
    x = np.random.default_rng(5).normal(size=shape).astype(np.float32)
    try:
        expected = session.run(None, {"x": x})[0].ravel()
    except Exception:
        # what onnxruntime does not run cannot be checked, and is not read
        with pytest.raises(InvalidNetworkError):
            from_onnx(model)
        return
    if np.array_equal(expected, x.ravel()):  # such as a convolution of one by one with weight 1
        with pytest.raises(InvalidNetworkError, match="no layer that computes anything"):
            from_onnx(model)
        return
    network = from_onnx(model)
    np.testing.assert_allclose(network.forward(x.ravel()), expected, rtol=1e-4, atol=1e-4)


def test_convolution_weights_are_the_same_numbers() -> None:
    W = numbers(4, 2, 2, 2)
    node = make_node("Conv", ["x", "W"], ["y"], group=2, pads=[1, 0, 0, 1], strides=[1, 2])
    network = from_onnx(graph_model([node], {"W": W}, (1, 4, 3, 3)))
    assert set(network.weights[0].ravel()) - {0.0} == set(W.astype(np.float64).ravel())


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_no_step_on_the_way_rounds(seed: int) -> None:
    """The network's value at a rational point, in exact arithmetic, is the graph's."""
    rng = np.random.default_rng(seed)
    A, B, c, s = (rng.normal(size=shape) for shape in ((3, 4), (3, 4), (4,), (4,)))
    nodes = [
        make_node("MatMul", ["x", "A"], ["a"]),
        make_node("MatMul", ["x", "B"], ["b"]),
        make_node("Mul", ["a", "s"], ["as"]),
        make_node("Sub", ["as", "b"], ["d"]),
        make_node("Add", ["d", "c"], ["e"]),
        make_node("Add", ["e", "c"], ["y"]),
    ]
    model = graph_model(nodes, {"A": A, "B": B, "c": c, "s": s}, (1, 3), element=11)
    network = from_onnx(model)
    x = [Fraction(int(number), 7) for number in rng.integers(-20, 20, 3)]

    def exact(matrix: np.ndarray, vector: list[Fraction]) -> list[Fraction]:
        return [
            sum((Fraction(w) * v for w, v in zip(row, vector, strict=True)), Fraction()) for row in matrix
        ]

    value = x
    for weight, bias in zip(network.weights, network.biases, strict=True):
        value = [z + Fraction(b) for z, b in zip(exact(weight, value), bias, strict=True)]
    a, b = exact(A.T, x), exact(B.T, x)
    assert value == [p * Fraction(f) - q + 2 * Fraction(t) for p, q, f, t in zip(a, b, s, c, strict=True)]


@pytest.mark.parametrize("head", ["Softmax", "LogSoftmax", "Sigmoid", "Tanh", "ArgMax", "ArgMin", "Hardmax"])
def test_a_last_monotone_function_is_read_up_to_and_named(head: str) -> None:
    nodes = [
        make_node("Gemm", ["x", "A"], ["z"]),
        make_node(head, ["z"], ["p"]),
        make_node("Identity", ["p"], ["y"]),
    ]
    network = from_onnx(graph_model(nodes, {"A": numbers(3, 4)}, (1, 3)), name="net")
    assert network.name == f"net (before {head})"
    np.testing.assert_array_equal(network.weights[0], numbers(3, 4).T)


@pytest.mark.parametrize("factor", [2.0, -2.0])
def test_a_last_tanh_may_be_scaled_by_a_number_above_0(factor: float) -> None:
    node = make_node
    nodes = [node("Relu", ["x"], ["h"]), node("Gemm", ["h", "w"], ["z"]), node("Tanh", ["z"], ["t"])]
    nodes.append(node("Mul", ["t", "f"], ["y"]))
    model = graph_model(nodes, {"w": numbers(3, 2), "f": np.array([factor], np.float32)}, (1, 3))
    if factor > 0.0:
        assert from_onnx(model).name.endswith("(before Tanh)")
    else:
        with pytest.raises(InvalidNetworkError, match=r"Tanh .* is not piecewise linear"):
            from_onnx(model)


def test_other_operators_on_constants_are_run_by_the_onnx_package() -> None:
    node = make_node
    nodes = [node("Gemm", ["a", "w"], ["g"]), node("Sin", ["g"], ["s"]), node("Add", ["x", "s"], ["z"])]
    nodes.append(node("Relu", ["z"], ["y"]))
    w = numbers(3, 3)
    network = from_onnx(graph_model(nodes, {"w": w, "a": np.ones((1, 3), np.float32)}, (3,)))
    expected = np.maximum(np.sin(w.sum(axis=0)), 0.0)
    np.testing.assert_allclose(network.forward(np.zeros((1, 3)))[0], expected, rtol=1e-6)
    drawn = [node("RandomNormal", [], ["r"], shape=[1, 3]), node("Add", ["x", "r"], ["y"])]
    with pytest.raises(InvalidNetworkError, match=r"RandomNormal .* is not supported"):
        from_onnx(graph_model(drawn, {}, (3,)))


def test_an_argmax_behind_a_softmax_is_read_up_to_both() -> None:
    nodes = [
        make_node("Gemm", ["x", "A"], ["z"]),
        make_node("Softmax", ["z"], ["p"], axis=1),
        make_node("ArgMax", ["p"], ["k"], axis=1, keepdims=0),
        make_node("Cast", ["k"], ["y"], to=1),
    ]
    network = from_onnx(graph_model(nodes, {"A": numbers(3, 4)}, (1, 3)), name="net")
    assert network.name == "net (before Softmax, ArgMax)"
    np.testing.assert_array_equal(network.weights[0], numbers(3, 4).T)
    # a choice on the way is none at the end
    nodes[1:] = [
        make_node("ArgMax", ["z"], ["k"], axis=1, keepdims=0),
        make_node("Cast", ["k"], ["c"], to=1),
        make_node("Relu", ["c"], ["y"]),
    ]
    with pytest.raises(InvalidNetworkError, match=r"ArgMax \(k\) is not piecewise linear"):
        from_onnx(graph_model(nodes, {"A": numbers(3, 4)}, (1, 3)))


def test_outputs_are_chosen_by_name() -> None:
    nodes = [make_node("Gemm", ["x", "A"], ["actor"]), make_node("Gemm", ["x", "B"], ["critic"])]
    model = graph_model(nodes, {"A": numbers(3, 4), "B": numbers(3, 1)}, (1, 3), ("actor", "critic"))
    assert from_onnx(model).output_dim == 4
    assert "output 'actor' of 'actor', 'critic'" in from_onnx(model).name
    critic = from_onnx(model, output="critic")
    assert critic.output_dim == 1
    assert "output 'critic' of 'actor', 'critic'" in critic.name
    with pytest.raises(InvalidInputError, match="no output 'value'; its outputs are 'actor', 'critic'"):
        from_onnx(model, output="value")


def two_inputs() -> Any:
    """relu(concatenation of x and goal) @ B, where goal has two values."""
    nodes = [
        make_node("Concat", ["x", "goal"], ["both"], axis=1),
        make_node("Gemm", ["both", "A"], ["z"]),
        make_node("Relu", ["z"], ["h"]),
        make_node("MatMul", ["h", "B"], ["p"]),
        make_node("Add", ["p", "goal"], ["y"]),
    ]
    model = graph_model(nodes, {"A": numbers(5, 4), "B": numbers(4, 2)}, (1, 3))
    model.graph.input.append(onnx.helper.make_tensor_value_info("goal", 1, ["batch", 2]))
    return model


def test_inputs_are_given_by_name(tmp_path: Path) -> None:
    model, goal = two_inputs(), np.array([0.25, -1.5])
    onnx.save(model, tmp_path / "net.onnx")
    network = load_network(tmp_path / "net.onnx", inputs={"goal": goal})
    x = np.random.default_rng(0).normal(size=(7, 3))
    both = np.hstack([x, np.broadcast_to(goal, (7, 2))])
    expected = np.maximum(both @ numbers(5, 4), 0.0) @ numbers(4, 2) + goal
    np.testing.assert_allclose(network.forward(x), expected, rtol=1e-6)
    assert from_onnx(model, inputs={"goal": 0.25}).input_dim == 3
    assert from_onnx(model, inputs={"x": [1.0, 0.0, 2.0]}).input_dim == 2
    for wrong, reason in (
        ({}, "2 inputs, of which 2 have no value.*'x', 'goal'"),
        ({"x": 0.0, "goal": 0.0}, "2 inputs, of which 0 have no value"),
        ({"aim": 0.0}, "no input 'aim'; its inputs are 'x', 'goal'"),
        ({"goal": [1.0, 2.0, 3.0]}, r"'goal' has shape \(3,\); expected is \(1, 2\)"),
        ({"goal": np.nan}, "not finite"),
        ({"goal": "far"}, "no array of numbers"),
    ):
        with pytest.raises(InvalidInputError, match=reason):
            from_onnx(model, inputs=wrong)


def test_the_command_line_names_inputs_and_outputs(tmp_path: Path, capsys: Any) -> None:
    model = two_inputs()
    model.graph.node.append(make_node("Gemm", ["h", "B"], ["other"]))
    model.graph.output.append(onnx.helper.make_tensor_value_info("other", 1, None))
    onnx.save(model, tmp_path / "net.onnx")
    np.save(tmp_path / "goal.npy", np.array([0.25, -1.5]))

    def counted(*words: str) -> tuple[int, str]:
        code = run(["count", str(tmp_path / "net.onnx"), "--box", "-1", "1", "--json", *words])
        said = capsys.readouterr()
        return code, said.out or said.err

    code, text = counted("--output-name", "other", "--input", "goal=0.25,-1.5")
    assert code == 0 and counted("--output-name", "other", "--input", f"goal={tmp_path}/goal.npy")[0] == 0
    expected = from_onnx(model, output="other", inputs={"goal": [0.25, -1.5]})
    assert json.loads(text)["cells"] == count_cells(expected, Box([-1.0] * 3, [1.0] * 3)).cells
    for words, reason in (
        (("--output-name", "other"), "of which 2 have no value"),
        (("--output-name", "other", "--input", "goal"), "give NAME=VALUE"),
        (("--output-name", "other", "--input", "goal=far"), "no number"),
    ):
        code, text = counted(*words)
        assert code == 2 and reason in " ".join(text.split()), text


def test_a_fixed_batch_is_read_as_one_sample() -> None:
    nodes = [
        make_node("Reshape", ["x", "flat"], ["f"]),
        make_node("Gemm", ["f", "A"], ["z"]),
        make_node("Relu", ["z"], ["y"]),
    ]
    model = graph_model(nodes, {"A": numbers(6, 4), "flat": whole(5, 6)}, (5, 2, 3))
    np.testing.assert_array_equal(from_onnx(model).weights[0], numbers(6, 4).T)


def test_what_mixes_a_fixed_batch_is_refused() -> None:
    nodes = [make_node("ReduceMean", ["x"], ["m"], axes=[0], keepdims=1), make_node("Add", ["x", "m"], ["y"])]
    with pytest.raises(InvalidNetworkError, match="do not compute"):
        from_onnx(graph_model(nodes, {}, (4, 3)))


def test_nodes_that_lead_nowhere_are_left_out() -> None:
    nodes = [
        make_node("Gemm", ["x", "A"], ["z"]),
        make_node("Sigmoid", ["z"], ["unused"]),
        make_node("Relu", ["z"], ["y"]),
    ]
    assert from_onnx(graph_model(nodes, {"A": numbers(3, 4)}, (1, 3))).widths == (4,)


@pytest.mark.parametrize("opset", [4, 6])
def test_old_versions_of_operators_are_read(opset: int) -> None:
    nodes = [
        make_node("Reshape", ["x"], ["f"], shape=[1, 6])
        if opset < 5
        else make_node("Identity", ["x"], ["f"]),
        make_node("MatMul", ["f", "A"], ["z"]),
        make_node("Dropout", ["z"], ["d"], is_test=1),
        make_node("Relu", ["d"], ["y"]),
    ]
    shape = (1, 2, 3) if opset < 5 else (1, 6)
    network = from_onnx(graph_model(nodes, {"A": numbers(6, 4)}, shape, opset=opset))
    np.testing.assert_array_equal(network.weights[0], numbers(6, 4).T)


REFUSED: dict[str, tuple[list[Any], dict[str, np.ndarray], str]] = {
    "product": ([make_node("Mul", ["x", "x"], ["y"])], {}, "not piecewise linear"),
    "curved": (
        [make_node("Tanh", ["x"], ["t"]), make_node("Relu", ["t"], ["y"])],
        {},
        "Tanh .* is not piecewise linear",
    ),
    "constant output": ([make_node("Identity", ["A"], ["y"])], {"A": numbers(3, 4)}, "does not depend"),
    "training": (
        [make_node("BatchNormalization", ["x", *"gbmv"], ["y"], training_mode=1)],
        {name: np.ones(3, np.float32) for name in "gbmv"},
        "training mode|malformed",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_read_is_refused_with_the_reason(case: str) -> None:
    nodes, constants, reason = REFUSED[case]
    with pytest.raises(InvalidNetworkError, match=reason):
        from_onnx(graph_model(nodes, constants, (1, 3)))


def too_large(case: str) -> Any:
    match case:
        case "more inputs than memory":
            return graph_model([make_node("Relu", ["x"], ["y"])], {}, (1, 10**12))
        case "a constant of shape alone":
            nodes = [make_node("ConstantOfShape", ["s"], ["c"]), make_node("Add", ["x", "c"], ["y"])]
            return graph_model(nodes, {"s": whole(10**6, 10**6)}, (1, 3))
        case "an expansion":
            return graph_model(
                [make_node("Expand", ["x", "s"], ["y"])], {"s": whole(10**6, 10**6, 3)}, (1, 3)
            )
        case "doubled again and again":
            names = ["x", *(f"h{k}" for k in range(59)), "y"]
            nodes = [make_node("Concat", [a, a], [b], axis=1) for a, b in pairwise(names)]
            return graph_model(nodes, {}, (1, 3))
        case _:
            node = make_node("AveragePool", ["x"], ["y"], kernel_shape=[10**4] * 2, pads=[10**4 - 1] * 4)
            return graph_model([node], {}, (1, 1, 3, 3))


@pytest.mark.parametrize(
    "case",
    [
        "more inputs than memory",
        "a constant of shape alone",
        "an expansion",
        "doubled again and again",
        "a large window",
    ],
)
def test_what_would_not_fit_into_memory_is_refused_with_the_numbers(case: str) -> None:
    with pytest.raises(BudgetExceededError, match=r"[0-9,]{8,} entries"):
        from_onnx(too_large(case))


@pytest.mark.slow
def test_many_values_that_are_kept_apart_need_no_dense_matrix() -> None:
    network = from_onnx(graph_model([make_node("Relu", ["x"], ["y"])], {}, (1, 10**5)))
    assert network.n_units == network.operators[0].nnz == 10**5
    with pytest.raises(BudgetExceededError, match="10,000,000,000 entries"):
        _ = network.weights[0]


def test_malformed_models_are_refused() -> None:
    good = graph_model([make_node("MatMul", ["x", "A"], ["y"])], {"A": numbers(3, 4)}, (1, 3))
    assert from_onnx(good).output_dim == 4

    def broken(change: Any) -> Any:
        model = onnx.ModelProto()
        model.CopyFrom(good)
        change(model.graph)
        return model

    for change in (
        lambda graph: graph.node[0].input.pop(),
        lambda graph: graph.node[0].input.__setitem__(1, "B"),
        lambda graph: graph.initializer[0].dims.__setitem__(0, 10**6),
        lambda graph: graph.initializer[0].dims.append(-1),
        lambda graph: graph.initializer[0].ClearField("raw_data"),
        lambda graph: graph.node[0].ClearField("op_type"),
        lambda graph: graph.node.append(make_node("Cast", ["y"], ["z"])),
        lambda graph: graph.input[0].type.tensor_type.ClearField("elem_type"),
    ):
        with pytest.raises(RegionsError):
            from_onnx(broken(change))


def test_three_thousand_relus_in_a_row_are_one() -> None:
    names = ["x", *(f"h{k}" for k in range(2999)), "y"]
    nodes = [make_node("Relu", [a], [b]) for a, b in pairwise(names)]
    assert from_onnx(graph_model(nodes, {}, (1, 2))).widths == (2,)


def test_weights_in_a_file_beside_are_read_and_its_length_is_checked(tmp_path: Path) -> None:
    model = graph_model([make_node("MatMul", ["x", "A"], ["y"])], {"A": numbers(30, 40)}, (1, 30))
    path = tmp_path / "net.onnx"
    onnx.save(model, path, save_as_external_data=True, location="net.weights", size_threshold=0)
    np.testing.assert_array_equal(load_network(path).weights[0], numbers(30, 40).T)
    beside = tmp_path / "net.weights"
    beside.write_bytes(beside.read_bytes()[:1000])
    with pytest.raises(InvalidNetworkError, match=r"4,800 bytes, but 'net.weights' holds 1,000"):
        load_network(path)
    beside.unlink()
    with pytest.raises(InvalidNetworkError, match="no file beside"):
        load_network(path)


@pytest.mark.parametrize("kind", ["Add", "Mul", "Sub"])
def test_axes_of_a_second_operand_before_version_7_are_named_as_the_reason(kind: str, tmp_path: Path) -> None:
    infos = [onnx.helper.make_tensor_value_info(*info) for info in (("x", 1, [1, 3, 2, 2]), ("c", 1, [3]))]
    nodes = [
        onnx.helper.make_node(kind, ["x", "c"], ["a"], axis=1, broadcast=1),
        onnx.helper.make_node("Relu", ["a"], ["b"]),
        onnx.helper.make_node("Flatten", ["b"], ["y"]),
    ]
    constant = onnx.numpy_helper.from_array(np.array([1, 2, 4], np.float32), "c")
    output = onnx.helper.make_tensor_value_info("y", 1, [1, 12])
    graph = onnx.helper.make_graph(nodes, "old", infos, [output], [constant])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 6)], ir_version=3)
    with pytest.raises(InvalidNetworkError, match=r"version below 7.*axis=1.*opset 7 or later"):
        from_onnx(model)
