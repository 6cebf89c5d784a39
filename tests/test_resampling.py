"""Laws of images made larger or smaller, and of channels, copies and thresholds: what the sources compute."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from regions.errors import InvalidInputError, InvalidNetworkError
from regions.network.loaders import from_onnx, from_torch
from regions.network.loaders.resampling import interpolated

helper = pytest.importorskip("onnx.helper", reason="needs onnx")
numpy_helper = pytest.importorskip("onnx.numpy_helper", reason="needs onnx")

IMAGE = [1, 2, 4, 5]


def model(kind: str, shape: list[int], inputs: dict[str, Any], opset: int, **attributes: Any) -> Any:
    """One operator behind a ReLU, with constants; a name without value is an input left out.

    A constant `first` comes before the value.
    """
    given = {name: np.asarray(value) for name, value in inputs.items() if value is not None}
    names = [name if name in given else "" for name in inputs]
    nodes = [
        helper.make_node("Relu", ["x"], ["h"]),
        helper.make_node(kind, sorted(["h", *names], key=lambda name: name != "first"), ["y"], **attributes),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", 1, shape)],
        [helper.make_tensor_value_info("y", 1, None)],
        [numpy_helper.from_array(value, name) for name, value in given.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def resized(opset: int, scales: Any = None, sizes: Any = None, **attributes: Any) -> Any:
    given = {
        name: None if x is None else np.array(x, t)
        for name, x, t in (("s", scales, "f4"), ("z", sizes, "i8"))
    }
    region = {"r": np.zeros(0, np.float32)} if opset == 11 else {"r": None}
    if opset == 11 and scales is None:
        given["s"] = np.zeros(0, np.float32)
    return model("Resize", IMAGE, {**region, **given}, opset, **attributes)


RULES = ("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric")


@pytest.mark.parametrize("rule", RULES)
def test_images_are_resized_as_onnxruntime_does(rule: str) -> None:
    # loading compares with onnxruntime, and refuses what differs
    for rounding in ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil"):
        settings = {"coordinate_transformation_mode": rule, "nearest_mode": rounding}
        assert from_onnx(resized(13, [1, 1, 1.5, 0.6], **settings)).output_dim == 2 * 6 * 3
    settings = {"coordinate_transformation_mode": rule, "mode": "linear"}
    assert from_onnx(resized(11, None, [1, 2, 7, 3], **settings)).output_dim == 2 * 7 * 3
    assert from_onnx(resized(19, [1, 1, 1.5, 0.6], **settings)).output_dim == 2 * 6 * 3
    for more in ({}, {"cubic_coeff_a": -0.5, "exclude_outside": 1}):
        cubic = {"coordinate_transformation_mode": rule, "mode": "cubic", **more}
        assert from_onnx(resized(13, [1, 1, 1.5, 0.6], **cubic)).output_dim == 2 * 6 * 3


@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_old_resizing_is_read(mode: str) -> None:
    scales = np.array([1, 1, 2, 3], np.float32)
    for network in (
        from_onnx(model("Upsample", IMAGE, {}, 7, mode=mode, scales=scales.tolist())),
        from_onnx(model("Upsample", IMAGE, {"s": scales}, 9, mode=mode)),
        from_onnx(model("Resize", IMAGE, {"s": scales}, 10, mode=mode)),
    ):
        assert network.output_dim == 6 * 40
    assert (
        from_onnx(model("Resize", IMAGE, {"s": np.array([1, 1, 0.5, 0.6], "f4")}, 10, mode=mode)).output_dim
        == 12
    )


CASES: dict[str, tuple[Any, int]] = {
    "blocks, depth first": (("DepthToSpace", [1, 8, 2, 3], {}, 13, {"blocksize": 2, "mode": "DCR"}), 48),
    "blocks, columns first": (("DepthToSpace", [1, 8, 2, 3], {}, 13, {"blocksize": 2, "mode": "CRD"}), 48),
    "places to channels": (("SpaceToDepth", [1, 3, 4, 6], {}, 13, {"blocksize": 2}), 72),
    "copies": (("Tile", IMAGE, {"r": np.array([1, 2, 1, 2])}, 13, {}), 160),
    "reflected": (("Pad", IMAGE, {"p": np.array([0, 0, 1, 2, 0, 0, 2, 1])}, 13, {"mode": "reflect"}), 112),
    "edges": (("Pad", IMAGE, {}, 7, {"mode": "edge", "pads": [0, 0, 1, 2, 0, 0, 2, 1]}), 112),
    "around": (("Pad", IMAGE, {"p": np.array([0, 0, 1, 2, 0, 0, 2, -1])}, 19, {"mode": "wrap"}), 84),
    "sums of products": (
        (
            "Einsum",
            [2, 4, 5],
            {"w": np.arange(12.0, dtype="f4").reshape(3, 4)},
            13,
            {"equation": "bij,ki->bjk"},
        ),
        15,
    ),
    "the rest of the axes": (
        ("Einsum", IMAGE, {"w": np.arange(15.0, dtype="f4").reshape(3, 5)}, 13, {"equation": "b...c, dc"}),
        24,
    ),
    "a diagonal": (("Einsum", [1, 3, 3], {}, 13, {"equation": "bii->bi"}), 3),
    "by a mask": (("Where", IMAGE, {"first": np.arange(5) % 2 == 0, "o": np.full(1, 2.5, "f4")}, 16, {}), 40),
    "above the diagonal": (("Trilu", IMAGE, {"k": np.array(1)}, 14, {"upper": 1}), 40),
    "below the diagonal": (("Trilu", IMAGE, {"k": np.array(-1)}, 14, {"upper": 0}), 40),
    "entries along an axis": (
        ("GatherElements", IMAGE, {"i": np.array([[[[0, -1], [3, 1]]]])}, 13, {"axis": 2}),
        4,
    ),
    "entries by coordinates": (("GatherND", IMAGE, {"i": np.array([[0, 1, 2, 3], [0, 0, 3, 4]])}, 13, {}), 2),
    "others in place": (
        ("ScatterND", IMAGE, {"i": np.array([[0, 1, 2]]), "u": np.ones((1, 5), "f4")}, 13, {}),
        40,
    ),
    "others along an axis": (
        (
            *("ScatterElements", IMAGE, {"i": np.array([[[[0, -1]]]]), "u": np.full((1, 1, 1, 2), 7, "f4")}),
            *(13, {"axis": 3}),
        ),
        40,
    ),
    "running sums": (
        ("CumSum", IMAGE, {"a": np.array(2)}, 14, {"reverse": 1, "exclusive": 1}),
        40,
    ),
    "sums of sizes": (("ReduceL1", IMAGE, {}, 13, {"axes": [1, 3]}), 4),
    "threshold at 0": (("ThresholdedRelu", IMAGE, {}, 10, {"alpha": 0.0}), 40),
    "towards 0": (("Shrink", IMAGE, {}, 10, {"lambd": 0.25, "bias": 0.25}), 40),
}


@pytest.mark.parametrize("case", CASES)
def test_operators_compute_what_onnxruntime_computes(case: str) -> None:
    (kind, shape, inputs, opset, attributes), outputs = CASES[case]
    assert from_onnx(model(kind, shape, inputs, opset, **attributes)).output_dim == outputs


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (lambda: model("ThresholdedRelu", IMAGE, {}, 10), "jumps from 0 to 1"),
        (lambda: model("Shrink", IMAGE, {}, 10, lambd=0.25), "jumps by 0.25"),
        (lambda: model("Round", IMAGE, {}, 11), "jumps, so it is not continuous"),
        (lambda: resized(18, [1, 1, 0.5, 0.5], mode="linear", antialias=1), "antialiasing"),
        (lambda: resized(13, [1, 1, 2, 2], coordinate_transformation_mode="tf_crop_and_resize"), "tf_crop"),
    ],
)
def test_what_jumps_or_is_not_known_is_refused(made: Callable[[], Any], reason: str) -> None:
    with pytest.raises(InvalidNetworkError, match=reason):
        from_onnx(made())


@pytest.mark.parametrize("classes", [2, 3])
def test_classes_as_scikit_learn_exports_them_are_read_up_to(classes: int) -> None:
    node, rng = helper.make_node, np.random.default_rng(classes)
    arrays = {
        "w": rng.normal(size=(2, classes if classes > 2 else 1)).astype("f4"),
        "one": np.ones(1, "f4"),
        "names": np.arange(classes),
        "flat": np.array([-1]),
    }
    odds = [node("Softmax", ["z"], ["p"])]
    if classes == 2:
        odds = [node("Sigmoid", ["z"], ["s"]), node("Sub", ["one", "s"], ["r"])]
        odds.append(node("Concat", ["r", "s"], ["p"], axis=1))
    nodes = [
        node("Scaler", ["x"], ["c"], offset=[1.0, 2.0], scale=[0.5, 4.0], domain="ai.onnx.ml"),
        node("Relu", ["c"], ["h"]),
        node("MatMul", ["h", "w"], ["z"]),
        *odds,
        node("ArgMax", ["p"], ["k"], axis=1),
        node("ArrayFeatureExtractor", ["names", "k"], ["n"], domain="ai.onnx.ml"),
        node("Reshape", ["n", "flat"], ["label"]),
        node("ZipMap", ["p"], ["odds"], classlabels_int64s=list(range(classes)), domain="ai.onnx.ml"),
    ]
    odds_type = helper.make_map_type_proto(7, helper.make_tensor_type_proto(1, []))
    ends = [
        helper.make_tensor_value_info("label", 7, None),
        helper.make_value_info("odds", helper.make_sequence_type_proto(odds_type)),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", 1, ["n", 2])],
        ends,
        [numpy_helper.from_array(value, name) for name, value in arrays.items()],
    )
    versions = [helper.make_opsetid("", 13), helper.make_opsetid("ai.onnx.ml", 1)]
    made = helper.make_model(graph, opset_imports=versions, ir_version=8)
    label, shares = (from_onnx(made, output=name) for name in ("label", "odds"))
    assert label == shares
    head = "Softmax" if classes > 2 else "Sigmoid"
    assert label.name.endswith(f"(before {head}, ArgMax)") and shares.name.endswith(f"(before {head})")
    x = np.array([[3.0, 2.5]])
    np.testing.assert_allclose(label.forward(x), [[1.0, 2.0]] @ arrays["w"].astype(np.float64))


def test_a_shrunk_value_is_cut_at_both_ends() -> None:
    network = from_onnx(model("Shrink", [1, 1], {}, 10, lambd=0.5, bias=0.5))
    # behind a ReLU only the upper end is inside
    assert network.forward([[-2.0], [0.25], [2.0]]).tolist() == [[0.0], [0.0], [1.5]]


def test_weights_between_two_places_are_exact_where_they_can_be() -> None:
    from regions.network.loaders.affine_tensors import Layering

    layering = Layering(2, {})
    x = interpolated(layering, layering.inputs((1, 2), "float32"), {1: np.array([-1.0, 0.25, 0.75, 3.0])})
    network = layering.network(x, "line")
    assert network.weights[0].tolist() == [[1.0, 0.0], [0.75, 0.25], [0.25, 0.75], [0.0, 1.0]]


def torch_cases() -> dict[str, Callable[[Any, Any], Any]]:
    torch = pytest.importorskip("torch", reason="needs torch")
    nn, F = torch.nn, torch.nn.functional
    return {
        "resized": lambda m, x: torch.cat(
            [
                F.interpolate(m.c(x).relu(), size=(4, 7), mode="nearest"),
                F.interpolate(m.c(x), scale_factor=(2.0, 3.5), mode="nearest-exact")[:, :, :4, :7],
                F.interpolate(m.c(x), size=(4, 7), mode="bilinear"),
                F.interpolate(m.c(x).relu(), size=(4, 7), mode="bilinear", align_corners=True),
                F.interpolate(F.pixel_shuffle(x, 2), scale_factor=(0.6, 0.75), mode="bilinear").repeat(
                    1, 2, 1, 1
                ),
            ],
            1,
        ),
        "around": lambda m, x: torch.cat(
            [m.c(F.pad(x, (1, 2, 2, 1), mode=mode)).relu() for mode in ("reflect", "replicate", "circular")],
            1,
        ),
        "moved": lambda m, x: (
            torch.movedim(torch.roll(torch.flip(nn.ChannelShuffle(2)(x), [2]), (1, 2), (2, 3)), 1, -1)
            .swapaxes(1, 2)
            .relu()[:, :, [1, 0, 1]]
            .unflatten(3, (2, 2))
            .cumsum(3)
        ),
        "bends": lambda m, x: F.hardsigmoid(m.c(x)) + F.threshold(m.c(x), 0.25, 0.25) + F.rrelu(m.c(x)),
        "chosen": lambda m, x: torch.cat(
            [
                torch.where(m.mask, m.c(x).relu(), 0.5),
                m.c(x).masked_fill(m.mask, -1.0).triu(1),
                m.c(x).gather(3, torch.tensor([[[[2, 0, 0], [1, 1, 0]], [[0, 1, 2], [2, 2, 2]]]])).tril(),
                F.interpolate(m.c(x), size=(2, 3), mode="bicubic"),
                F.interpolate(m.c(x), scale_factor=(1.7, 1.3), mode="bicubic", align_corners=True)[
                    :, :, :2, :3
                ],
                torch.einsum("bchw,dc->bdhw", m.c(x).relu(), m.w)[:, :2],
            ],
            1,
        ),
        "folded": lambda m, x: F.fold(
            F.unfold(m.c(x), (2, 2), padding=1).relu(), (2, 3), (2, 2), padding=1
        ).relu(),
        "put in place": lambda m, x: m.doubled(F.unfold(m.c(x), (2, 2), padding=(1, 0)).relu()),
        "sizes": lambda m, x: torch.linalg.vector_norm(m.c(x), 1, dim=(1, 3)) + m.c(x).abs().sum((1, 3)),
        "shrunk": lambda m, x: F.softshrink(m.c(x), 0.3) + F.adaptive_max_pool2d(x, (2, 3))[:, :2],
        "written in simpler ones": lambda m, x: torch.einsum("bchw,dc->bdhw", m.c(x).relu(), m.w),
    }


SLOW = [
    pytest.param(name, marks=pytest.mark.slow) for name in ("resized", "moved", "written in simpler ones")
]


@pytest.mark.parametrize(
    "case", ["around", "bends", "shrunk", "chosen", "put in place", "folded", "sizes", *SLOW]
)
def test_programs_of_pytorch_are_the_same_functions(case: str) -> None:
    torch = pytest.importorskip("torch", reason="needs torch")
    torch.manual_seed(0)
    call = torch_cases()[case]

    class Written(torch.nn.Module):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            super().__init__()
            self.c = torch.nn.Conv2d(4, 2, 3)
            self.w = torch.nn.Parameter(torch.randn(3, 2))
            self.register_buffer("mask", torch.arange(6).reshape(2, 3) % 2 == 0)

        def doubled(self, x: Any) -> Any:
            x = x.clone()
            x[:, 0] = 2.0 * x[:, 1]
            x[:, 2:6, ::2] = 0.25
            return x

        def forward(self, x: Any) -> Any:
            return call(self, x)

    written = Written().eval()
    network = from_torch(written, example_input=torch.zeros(1, 4, 4, 5))
    x = torch.randn(3, 4, 4, 5)
    expected = np.concatenate([written(row[None]).detach().numpy().reshape(1, -1) for row in x])
    np.testing.assert_allclose(network.forward(x.reshape(3, -1).numpy()), expected, rtol=1e-4, atol=1e-5)


def test_ends_of_programs_are_named() -> None:
    torch = pytest.importorskip("torch", reason="needs torch")
    torch.manual_seed(0)

    class Agent(torch.nn.Module):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = torch.nn.Linear(3, 4), torch.nn.Linear(2, 4)

        def forward(self, state: Any, goal: Any) -> Any:
            h = torch.relu(self.a(state) + self.b(goal))
            return {"actor": torch.tanh(h), "critic": h.sum(1, keepdim=True)}

    agent = Agent().eval()
    given = torch.zeros(1, 3), torch.zeros(1, 2)
    network = from_torch(agent, example_input=given, output="critic", inputs={"goal": [0.5, -1.0]})
    assert network.name == "Agent (output 'critic' of 'actor', 'critic')"
    state = torch.randn(5, 3)
    expected = agent(state, torch.tensor([[0.5, -1.0]]))["critic"].detach().numpy()
    np.testing.assert_allclose(network.forward(state.numpy()), expected, rtol=1e-5, atol=1e-6)
    named = from_torch(agent, example_input={"state": given[0], "goal": given[1]}, inputs={"goal": 0.5})
    assert named.name == "Agent (output 'actor' of 'actor', 'critic') (before tanh)"
    with pytest.raises(InvalidInputError, match=r"give one to all but one .*'state', 'goal'"):
        from_torch(agent, example_input=given)
    with pytest.raises(InvalidInputError, match="no output 'value'"):
        from_torch(agent, example_input=given, output="value", inputs={"goal": 0.0})


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*torch.jit")
def test_scripted_and_traced_modules_are_read() -> None:
    torch = pytest.importorskip("torch", reason="needs torch")
    plain = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 1)).eval()
    assert from_torch(torch.jit.script(plain)) == from_torch(plain)
    assert from_torch(torch.jit.trace(plain, torch.zeros(1, 3))) == from_torch(plain)
