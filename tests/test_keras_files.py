"""Keras files are read without Keras: outputs are those of Keras 3, and what cannot be read says why."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from regions import InvalidInputError, InvalidNetworkError, Network, RegionsError, load_network
from regions.network.loaders.keras_files import from_keras_file
from regions.network.loaders.keras_layers import KERAS_LAYERS

h5py = pytest.importorskip("h5py", reason="needs h5py")
FOLDER = Path(__file__).parent / "data" / "keras"


def after_head(network: Network, outputs: Any) -> Any:
    """Outputs as the model gives them, behind the function that was read up to."""
    if "before softmax" in network.name:
        powers = np.exp(outputs - outputs.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)
    return outputs


FILES = [
    *("cnn.keras", "conv1d.h5", "more.h5", "causal.keras", "shared.keras"),
    *("within.keras", "within.h5", "rare.keras", "rare.h5", "operations.keras", "operations.h5"),
]


@pytest.mark.parametrize("file", FILES)
def test_outputs_are_those_that_keras_gave(file: str) -> None:
    network = from_keras_file(FOLDER / file, output="first" if "shared" in file else None)
    stored = np.load((FOLDER / file).with_suffix(".npz"))
    found = after_head(network, network.forward(stored["x"]))
    np.testing.assert_allclose(found, stored["y"], rtol=0, atol=2e-6 * np.abs(stored["y"]).max())


def keras_2_file(path: Path, config: dict[str, Any], weights: dict[str, list[Any]]) -> Path:
    """An `.h5` file as Keras 2 wrote it."""
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(config)
        root = file.create_group("model_weights")
        root.attrs["layer_names"] = [name.encode() for name in weights]
        for layer, arrays in weights.items():
            group = root.create_group(layer)
            names = [f"{layer}/{k}:0" for k in range(len(arrays))]
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name, array in zip(names, arrays, strict=True):
                group.create_dataset(name, data=np.asarray(array, np.float32))
    return path


def layer(kind: str, name: str, inputs: list[str] | None = None, **config: Any) -> dict[str, Any]:
    inbound = [] if inputs is None else [[[one, 0, 0, {}] for one in inputs]]
    return {"class_name": kind, "config": {"name": name, **config}, "name": name, "inbound_nodes": inbound}


def functional(layers: list[dict[str, Any]], outputs: list[str], inputs: tuple[str, ...] = ("x",)) -> Any:
    ends = {"input_layers": [[name, 0, 0] for name in inputs], "output_layers": [[n, 0, 0] for n in outputs]}
    return {"class_name": "Model", "config": {"name": "net", "layers": layers, **ends}}


def test_a_residual_model_of_keras_2_is_read(tmp_path: Path) -> None:
    layers = [
        layer("InputLayer", "x", batch_input_shape=[None, 3]),
        layer("Dense", "d", ["x"], units=3, activation="relu", use_bias=True),
        layer("Add", "a", ["x", "d"]),
        layer("LeakyReLU", "l", ["a"], alpha=0.5),
        layer("Dense", "o", ["l"], units=2, activation="softmax", use_bias=False),
    ]
    rng = np.random.default_rng(0)
    W, b, V = (rng.normal(size=shape).astype(np.float32).astype(float) for shape in ((3, 3), 3, (3, 2)))
    file = keras_2_file(tmp_path / "net.h5", functional(layers, ["o"]), {"d": [W, b], "o": [V]})
    network = load_network(file)
    x = rng.normal(size=(9, 3))
    h = x + np.maximum(x @ W + b, 0.0)
    np.testing.assert_allclose(network.forward(x), np.where(h > 0, h, 0.5 * h) @ V, rtol=1e-12)
    assert network.name == "net (before softmax)"


@pytest.mark.parametrize("version", [b"2.15.0", b"3.4.1"])
def test_a_hard_sigmoid_is_that_of_the_version_that_wrote_the_file(version: bytes, tmp_path: Path) -> None:
    layers = [
        layer("Dense", "d", units=2, batch_input_shape=[None, 2], use_bias=False),
        layer("Activation", "h", activation="hard_sigmoid"),
        layer("Dense", "o", units=1, use_bias=False),
    ]
    config = {"class_name": "Sequential", "config": {"name": "net", "layers": layers}}
    file = keras_2_file(tmp_path / "net.h5", config, {"d": [np.eye(2)], "o": [[[1.0], [2.0]]]})
    with pytest.raises(InvalidNetworkError, match="does not say which wrote it"):
        load_network(file)
    with h5py.File(file, "a") as opened:
        opened.attrs["keras_version"] = version
    x = np.random.default_rng(0).normal(scale=3.0, size=(20, 2))
    slope = 1 / 5 if version.startswith(b"2") else 1 / 6
    expected = np.clip(x * slope + 0.5, 0.0, 1.0) @ [[1.0], [2.0]]
    np.testing.assert_allclose(load_network(file).forward(x), expected, rtol=1e-6)


def test_a_number_that_is_added_is_no_layer_of_sums(tmp_path: Path) -> None:
    """In an `.h5` file of Keras 3 `x + 3` and the layer `Add` have the same name."""
    history = {"class_name": "__keras_tensor__", "config": {"keras_history": ["x", 0, 0]}}
    x = layer("InputLayer", "x", batch_shape=[None, 2])
    shifted = {"class_name": "Add", "config": {"name": "a"}, "name": "a"}
    shifted["inbound_nodes"] = [{"args": [history, 3.0], "kwargs": {}}]
    network = load_network(keras_2_file(tmp_path / "net.h5", functional([x, shifted], ["a"]), {}))
    assert network.forward(np.array([[1.0, -2.0]])).tolist() == [[4.0, 1.0]]


SEQUENTIAL = [layer("Dense", "d", units=2, batch_input_shape=[None, 2], use_bias=False)]
X = layer("InputLayer", "x", batch_input_shape=[None, 2])
REFUSED: dict[str, tuple[Any, str]] = {
    "a layer that nobody knows": ([*SEQUENTIAL, layer("Resizing", "f")], r"Resizing \(f\) is not supported"),
    "a layer with code": ([*SEQUENTIAL, layer("Lambda", "f")], r"Lambda \(f\) holds code of Python"),
    "a curved layer": ([*SEQUENTIAL, layer("ELU", "f")], r"ELU \(f\) is not piecewise linear"),
    "a layer that jumps": ([*SEQUENTIAL, layer("ThresholdedReLU", "f")], "jumps, so it is not continuous"),
    "a class of one's own": (
        [*SEQUENTIAL, {**layer("ReLU", "f"), "module": "mine", "registered_name": "mine>ReLU"}],
        "a class of one's own, from mine",
    ),
    "a curved activation": (
        [*SEQUENTIAL, layer("Activation", "f", activation="gelu"), layer("ReLU", "r")],
        "'gelu' of Activation .* is not piecewise linear",
    ),
    "a softmax on the way": (
        [*SEQUENTIAL, layer("Softmax", "f"), layer("ReLU", "r")],
        "'softmax' of Softmax",
    ),
    "no size of the input": ([layer("Dense", "d", units=2)], "how large its input is"),
    "an open size": (
        [layer("Dense", "d", batch_input_shape=[None, None], units=2)],
        "fixed sizes behind the batch",
    ),
    "fewer arrays than settings": (
        [{**SEQUENTIAL[0], "config": {**SEQUENTIAL[0]["config"], "use_bias": True}}],
        "1 stored arrays",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_read_is_refused_with_the_reason(case: str, tmp_path: Path) -> None:
    layers, reason = REFUSED[case]
    config = {"class_name": "Sequential", "config": {"name": "net", "layers": layers}}
    with pytest.raises(InvalidNetworkError, match=reason):
        load_network(keras_2_file(tmp_path / "net.h5", config, {"d": [np.eye(2)]}))


def test_links_to_other_files_are_not_followed(tmp_path: Path) -> None:
    config = {"class_name": "Sequential", "config": {"name": "net", "layers": SEQUENTIAL}}
    file = keras_2_file(tmp_path / "net.h5", config, {"d": [np.eye(2)]})
    keras_2_file(tmp_path / "other.h5", config, {"d": [np.eye(2)]})
    with h5py.File(file, "a") as opened:
        del opened["model_weights/d/d/0:0"]
        opened["model_weights/d/d/0:0"] = h5py.ExternalLink("other.h5", "model_weights/d/d/0:0")
    with pytest.raises(InvalidNetworkError, match="not stored in the file itself"):
        load_network(file)


def test_weights_alone_are_no_model(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "weights.h5", "w") as file:
        file.create_dataset("kernel", data=np.eye(2))
    with pytest.raises(InvalidNetworkError, match="holds weights only"):
        load_network(tmp_path / "weights.h5")


@pytest.mark.parametrize("file", ["cnn.keras", "conv1d.h5"])
@pytest.mark.parametrize("seed", range(6))
def test_damaged_files_give_an_error_or_a_network(file: str, seed: int, tmp_path: Path) -> None:
    data = bytearray((FOLDER / file).read_bytes())
    rng = np.random.default_rng(seed)
    for at in rng.integers(0, len(data), 30):
        data[at] = rng.integers(0, 256)
    (tmp_path / file).write_bytes(bytes(data[: len(data) - 1000 * (seed % 2)]))
    with suppress(RegionsError):
        assert load_network(tmp_path / file).input_dim > 0


def rewritten(folder: Path, change: Callable[[Any], None]) -> Path:
    """A copy of a `.keras` file with another configuration."""
    with zipfile.ZipFile(FOLDER / "cnn.keras") as archive, zipfile.ZipFile(folder / "net.keras", "w") as copy:
        config = json.loads(archive.read("config.json"))
        change(config)
        copy.writestr("config.json", json.dumps(config))
        copy.writestr("model.weights.h5", archive.read("model.weights.h5"))
    return folder / "net.keras"


@pytest.mark.parametrize(
    "change",
    [
        lambda config: config.pop("config"),
        lambda config: config.update(class_name="Mystery"),
        lambda config: config["config"]["layers"].pop(),
        lambda config: config["config"]["layers"][2]["config"].update(strides=[1, 2, 3]),
        lambda config: config["config"]["layers"][2]["config"].update(padding="odd"),
        lambda config: config["config"]["layers"][6].update(inbound_nodes=[]),
    ],
)
def test_configurations_that_do_not_fit_are_refused(change: Callable[[Any], None], tmp_path: Path) -> None:
    with pytest.raises(InvalidNetworkError):
        load_network(rewritten(tmp_path, change))


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_the_largest_values_are_max_units(padding: str, tmp_path: Path) -> None:
    pool = {"pool_size": [2, 2], "strides": [2, 2], "padding": padding}
    layers = [
        layer("InputLayer", "x", batch_input_shape=[None, 3, 5, 2]),
        layer("Conv2D", "c", ["x"], filters=2, kernel_size=[1, 1], activation="relu", use_bias=True),
        layer("MaxPooling2D", "p", ["c"], **pool),
        layer("GlobalMaxPooling2D", "g", ["p"]),
        layer("Dense", "d", ["g"], units=2, use_bias=False),
        layer("Maximum", "m", ["g", "d", "d"]),
    ]
    rng = np.random.default_rng(0)
    K, b, V = (rng.normal(size=shape).astype(np.float32).astype(float) for shape in ((1, 1, 2, 2), 2, (2, 2)))
    network = load_network(
        keras_2_file(tmp_path / "net.h5", functional(layers, ["m"]), {"c": [K, b], "d": [V]})
    )
    x = rng.normal(size=(9, 3, 5, 2))
    h = np.maximum(np.einsum("nijc,cf->nijf", x, K[0, 0]) + b, 0.0)
    h = h if padding == "same" else h[:, :2, :4]
    best = h.max(axis=(1, 2))
    np.testing.assert_allclose(network.forward(x.reshape(9, -1)), np.maximum(best, best @ V), rtol=1e-12)
    # windows at the border hold fewer places; ReLUs come behind both poolings
    windows = [4, 4, 2, 2, 2] if padding == "same" else [4, 4]
    first = next(sizes for sizes in network.maxima if sizes is not None)
    assert sorted(k for k in first.tolist() if k > 1) == sorted(windows * 2)
    assert "maxima taken before what rises" in network.name
    assert network.n_units < 100


def test_averages_copies_and_images_between_places(tmp_path: Path) -> None:
    layers = [
        layer("InputLayer", "x", batch_input_shape=[None, 4]),
        layer("Activation", "h", ["x"], activation="hard_tanh"),
        layer("Average", "a", ["x", "h"]),
        layer("RepeatVector", "r", ["a"], n=2),
        layer("Reshape", "image", ["r"], target_shape=[2, 4, 1]),
        layer("UpSampling2D", "y", ["image"], size=[1, 2], interpolation="bilinear"),
    ]
    network = from_keras_file(keras_2_file(tmp_path / "net.h5", functional(layers, ["y"]), {}))
    x = np.array([[-3.0, 0.5, 1.5, 8.0]])
    mean = (x[0] + np.clip(x[0], -1.0, 1.0)) / 2
    # twice as long: a quarter of a place to the left and to the right of each, at the ends the last one
    between = np.interp(np.arange(8) / 2 - 0.25, np.arange(4), mean)
    np.testing.assert_allclose(network.forward(x)[0], np.tile(between, 2), atol=1e-6)


def test_outputs_are_named() -> None:
    second = from_keras_file(FOLDER / "shared.keras", output="second")
    assert second.output_dim == 3 and "(before tanh)" in second.name
    assert load_network(FOLDER / "shared.keras", output="second") == second
    assert "output 'first' of 'first', 'second'" in load_network(FOLDER / "shared.keras").name
    with pytest.raises(InvalidInputError, match="no output 'third'; its outputs are 'first', 'second'"):
        from_keras_file(FOLDER / "shared.keras", output="third")


def kinds_in(config: Any) -> set[str]:
    """The kinds of layers of a model, those within others too, and its operations."""
    found = set()
    for one in config["layers"]:
        found |= {one["class_name"], f"keras.ops.{one['class_name']}"}
        found |= kinds_in(one["config"]) if "layers" in one["config"] else set()
    return found


def test_every_layer_that_moves_or_averages_is_tried() -> None:
    used = set()
    for file in FOLDER.glob("*.keras"):
        with zipfile.ZipFile(file) as archive:
            used |= kinds_in(json.loads(archive.read("config.json"))["config"])
    for file in FOLDER.glob("*.h5"):
        with h5py.File(file) as opened:
            used |= kinds_in(json.loads(opened.attrs["model_config"])["config"])
    # the same code as a kind that is tried
    alike = (
        "3D",
        "Dropout",
        "Noise",
        "Regularization",
        "Identity",
        "Random",
        ".Abs",
        ".Amax",
        ".Amin",
        ".Divide",
    )
    written = {"MaxPooling1D", "MaxPooling2D", "GlobalMaxPooling1D", "GlobalMaxPooling2D"}  # by hand, above
    written |= {"Average", "RepeatVector"}
    left = {kind for kind in KERAS_LAYERS if not any(word in kind for word in alike)} - used - written
    assert left <= {"GlobalAveragePooling2D", "DepthwiseConv1D", "SeparableConv1D", "ZeroPadding1D"} | {
        "Cropping1D",
        "UpSampling1D",
    }, left
