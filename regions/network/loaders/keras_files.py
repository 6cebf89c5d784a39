"""Keras models in `.keras` and `.h5` files, by their own configuration; Keras itself is not needed.

What layers do is left to `keras_layers`. No code runs: layers are those of the list there, by name.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from regions.errors import InvalidNetworkError
from regions.network.loaders.affine_tensors import AffineTensor, Layering, check_entries
from regions.network.loaders.checks import FloatArray, check_against_source, optional_import, reading
from regions.network.loaders.graph_ends import chosen_output, fixed_value, free_input
from regions.network.loaders.graph_steps import Bend, Step, maxima_first, needed_steps, run_steps
from regions.network.loaders.keras_layers import (
    KERAS_HEADS,
    KERAS_LARGEST,
    KERAS_LAYERS,
    KERAS_RISING,
    KerasLayer,
    activation_of,
)
from regions.network.relu_network import Network

__all__ = ["from_keras_file"]

MOST_BYTES = 1 << 30  # of one entry of a .keras file
_PASSIVE = ("Flatten", "Reshape", "Dropout", "Identity")


def from_keras_file(
    path: Path,
    *,
    output: str | None = None,
    inputs: Mapping[str, Any] | None = None,
    compare: bool = False,
) -> Network:
    """Network of a Sequential or Functional model of Keras 2 or 3.

    A last softmax, sigmoid or tanh is read up to, and the name says so. Batch normalisation rounds each
    weight once, a mean of n values multiplies by the float64 nearest to 1 / n.

    Parameters
    ----------
    path : path of a `.keras` or `.h5` file
    output : name of the output layer to read where there are several
    inputs : values of all inputs but one by the names of their layers, where there are several
    compare : bool, whether the outputs are compared with those of Keras, which then loads the model; a file
        could make it run code

    Raises
    ------
    InvalidNetworkError : if it is no such model, or a layer is not supported
    InvalidInputError : if h5py is not installed, or there are several outputs or inputs and it is not said
        which
    """
    h5py = optional_import("h5py", "keras", f"reading {path.name!r}")
    with reading(str(path)):
        config, weights = _read(h5py, path)
        model = _Model(config, weights, output, inputs or {})
        network = model.network(path.stem)
    if not compare:
        return network
    keras = optional_import("keras", "keras", f"comparing {path.name!r} with Keras")
    original = keras.models.load_model(path, compile=False)

    def forward(x: FloatArray) -> Any:
        y = original.predict(x.astype(np.float32).reshape(-1, *model.shape), verbose=0)
        return np.asarray(y).reshape(len(x), -1)

    return (
        network
        if model.head
        else check_against_source(network, forward, f"the Keras model {path.name}", "float32")
    )


def _read(h5py: Any, path: Path) -> tuple[dict[str, Any], Mapping[str, Sequence[FloatArray]]]:
    """Return a model's configuration, and the arrays of its layers by their names."""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                parts = [_member(archive, name) for name in ("config.json", "model.weights.h5")]
            config = json.loads(parts[0])
            with h5py.File(io.BytesIO(parts[1]), "r") as file:
                return config, _weights_by_kind(h5py, file, config)
        with h5py.File(path, "r") as file:
            if "model_config" not in file.attrs:
                raise InvalidNetworkError(
                    f"{path.name} holds weights only, not the layers; save the model: model.save('net.keras')"
                )
            config = json.loads(file.attrs["model_config"])
            return config, _weights_by_name(h5py, file)
    except (OSError, zipfile.BadZipFile, json.JSONDecodeError, RuntimeError) as error:
        raise InvalidNetworkError(f"{str(path)!r} is no readable Keras model: {error}") from error


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    size = archive.getinfo(name).file_size
    if size > MOST_BYTES:
        raise InvalidNetworkError(f"{name} would expand to {size:,} bytes; at most {MOST_BYTES:,} are read")
    return archive.read(name)


def _array(h5py: Any, group: Any, name: str) -> FloatArray:
    """Read an array that is stored in this file; a link or another file is not followed."""
    *folders, last = [part for part in name.split("/") if part]
    for part in (*folders, last):
        if not isinstance(group.get(part, getlink=True), h5py.HardLink):
            raise InvalidNetworkError(f"{name} is not stored in the file itself")
        group = group[part]
    if not isinstance(group, h5py.Dataset) or group.is_virtual or group.external:
        raise InvalidNetworkError(f"{name} is no array that is stored in the file itself")
    check_entries(f"the array {name}", prod(group.shape))
    if group.dtype.kind != "f" or group.dtype.itemsize > 8:
        raise InvalidNetworkError(f"{name} has numbers of type {group.dtype}; expected are floats")
    return np.asarray(group[()], dtype=np.float64)


def _weights_by_name(h5py: Any, file: Any) -> dict[str, list[FloatArray]]:
    """The arrays in an `.h5` file, whose groups list them by layer."""
    root = file.get("model_weights", file)
    found = {}
    for layer in (_text(name) for name in root.attrs["layer_names"]):
        group = root[layer]
        found[layer] = [_array(h5py, group, _text(name)) for name in group.attrs["weight_names"]]
    return found


def _weights_by_kind(h5py: Any, file: Any, config: dict[str, Any]) -> dict[str, list[FloatArray]]:
    """The arrays in a `.keras` file, whose groups have the kinds of layers as names, counted."""
    seen: Counter[str] = Counter()
    found = {}
    for layer in config["config"]["layers"]:
        kind = _snake_case(layer["class_name"])
        group = f"layers/{kind}_{seen[kind]}" if seen[kind] else f"layers/{kind}"
        seen[kind] += 1
        names = sorted(file[f"{group}/vars"], key=int) if f"{group}/vars" in file else []
        found[layer["config"]["name"]] = [_array(h5py, file, f"{group}/vars/{name}") for name in names]
    return found


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _snake_case(name: str) -> str:
    """Keras's own way to write the name of a class."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


class _Model:
    """A model's layers as steps on affine tensors."""

    def __init__(
        self,
        config: dict[str, Any],
        weights: Mapping[str, Sequence[FloatArray]],
        output: str | None,
        fixed: Mapping[str, Any],
    ) -> None:
        kind, inner = config["class_name"], config["config"]
        if kind not in ("Sequential", "Functional", "Model"):
            raise InvalidNetworkError(
                f"a Keras model of class {kind} is not supported; Sequential and Functional are"
            )
        self._weights, self._values = weights, dict[str, Any]()
        # input size is known only once the first layer is read
        layers = inner["layers"] if isinstance(inner, dict) else inner
        self._calls = list(_chained(layers) if kind == "Sequential" else _called(layers))
        inputs, outputs = self._ends(kind, inner)
        ends = [{name.partition(":")[0]: name for name in names} for names in (inputs, outputs)]
        free = free_input("the Keras model", list(ends[0]), fixed)
        self._input = ends[0][free]
        self._fixed = {ends[0][name]: value for name, value in fixed.items()}
        chosen, self.remark = chosen_output("the Keras model", list(ends[1]), output)
        self._wanted = ends[1][chosen]
        self.shape = self._input_shape(self._input)
        self.layering = Layering(prod(self.shape), self._values)
        self.head = self._head_before_output()

    def network(self, name: str) -> Network:
        """Run the layers, and return the network of the output."""
        steps = [step for call in self._calls for step in self._steps(*call)]
        needed = [steps[k] for k in needed_steps(steps, [self._wanted])]
        needed, moved = maxima_first(needed, self._wanted)
        for key, value in self._fixed.items():
            numbers = fixed_value(key.partition(":")[0], value, self._input_shape(key), np.float32)
            self._values[key] = self.layering.constant(numbers, "float32")
        self._values[self._input] = self.layering.inputs(self.shape, "float32")
        found = run_steps(needed, self._values, self.layering, self._wanted)
        if not isinstance(found, AffineTensor):
            raise InvalidNetworkError(f"the output of {name} does not depend on the input")
        self._values.clear()
        before = f" (before {self.head})" if self.head else ""
        order = " (maxima taken before what rises)" if moved else ""
        return self.layering.network(found, f"{name}{self.remark}{before}{order}")

    def _steps(self, kind: str, config: dict[str, Any], inputs: list[str], made: str) -> Iterator[Step]:
        """The steps of a layer: an activation that nowhere falls is a step of its own."""
        if kind == "InputLayer":
            return
        where, between = f"{kind} ({config['name']})", f"{made} before its activation"
        name = activation_of(self._layer(kind, config))
        role = "maximum" if kind in KERAS_LARGEST else ""
        if name not in KERAS_RISING:
            yield Step(where, inputs, [made], partial(self._run, kind, config), role)
            return
        if kind != "Activation":
            plain = {**config, "activation": "linear"}
            yield Step(where, inputs, [between], partial(self._run, kind, plain))
            inputs = [between]
        alone = {"name": config["name"], "activation": name}
        yield Step(where, inputs, [made], partial(self._run, "Activation", alone), "rising")

    def _layer(self, kind: str, config: dict[str, Any]) -> KerasLayer:
        return KerasLayer(kind, config["name"], config, self._weights.get(config["name"], ()), self.layering)

    def _run(self, kind: str, config: dict[str, Any], values: list[Any]) -> Sequence[Any] | Bend:
        if kind not in KERAS_LAYERS:
            raise InvalidNetworkError(
                f"layer {kind} ({config['name']}) is not supported; supported are {', '.join(KERAS_LAYERS)}"
            )
        result = KERAS_LAYERS[kind](self._layer(kind, config), values)
        return result if isinstance(result, Bend) else [result]

    def _ends(self, kind: str, inner: Any) -> tuple[list[str], list[str]]:
        if kind == "Sequential":
            return [self._calls[0][2][0] if self._calls[0][2] else self._calls[0][3]], [self._calls[-1][3]]
        return [_names(inner[key]) for key in ("input_layers", "output_layers")]  # type: ignore[return-value]

    def _input_shape(self, name: str) -> tuple[int, ...]:
        """Shape of one sample, from the input layer or the first layer that states it."""
        for _, config, inputs, made in self._calls:
            shape = config.get("batch_shape", config.get("batch_input_shape"))
            if shape is not None and name in (made, *inputs):
                sizes = tuple(shape[1:])
                if not sizes or not all(isinstance(size, int) and size > 0 for size in sizes):
                    raise InvalidNetworkError(
                        f"the input has shape {tuple(shape)}; expected are fixed sizes behind the batch"
                    )
                return sizes
        raise InvalidNetworkError(
            "the Keras model does not say how large its input is; build it and save it again"
        )

    def _head_before_output(self) -> str:
        """Take the monotone function at the end out, if there is one, and return its name."""
        wanted = self._wanted
        while True:
            at = next((k for k, call in enumerate(self._calls) if call[3] == wanted), None)
            if at is None:
                return ""
            kind, config, inputs, made = self._calls[at]
            name = activation_of(self._layer(kind, config))
            if name in KERAS_HEADS:
                plain = {**config, "activation": "linear"}
                self._calls[at] = ("Activation" if kind == "Softmax" else kind, plain, inputs, made)
                return name
            if kind not in _PASSIVE or not inputs:
                return ""
            wanted = inputs[0]


Call = tuple[str, dict[str, Any], list[str], str]


def _chained(layers: Sequence[dict[str, Any]]) -> Iterator[Call]:
    """The layers of a Sequential: each takes what the one before gives."""
    before = "input:0"
    for layer in layers:
        kind, config = layer["class_name"], layer["config"]
        if kind == "InputLayer":
            yield kind, config, [], before
            continue
        made = f"{config['name']}:0"
        yield kind, config, [before], made
        before = made


def _called(layers: Sequence[dict[str, Any]]) -> Iterator[Call]:
    """The layers of a Functional model, once for each time that they are called."""
    for layer in layers:
        kind, config = layer["class_name"], layer["config"]
        config = {"name": layer.get("name"), **config}
        if kind == "InputLayer":
            yield kind, config, [], f"{config['name']}:0"
        for number, node in enumerate(layer["inbound_nodes"]):
            yield kind, config, list(_sources(node)), f"{config['name']}:{number}"


def _sources(node: Any) -> Iterator[str]:
    """The values that a call takes, as Keras 3 writes them (tensors in arguments) or Keras 2 (lists)."""
    if isinstance(node, dict):
        if node.get("class_name") == "__keras_tensor__":
            yield _value(node["config"]["keras_history"])
            return
        for part in node.get("args", ()):
            yield from _sources(part)
    elif isinstance(node, list):
        if len(node) >= 3 and isinstance(node[0], str):
            yield _value(node)
            return
        for part in node:
            yield from _sources(part)


def _value(history: Sequence[Any]) -> str:
    return f"{history[0]}:{history[1]}"


def _names(ends: Any) -> list[str]:
    """Names of inputs or outputs, given as one history, a list of them, or a dictionary."""
    if isinstance(ends, dict):
        return [name for part in ends.values() for name in _names(part)]
    if ends and isinstance(ends[0], str):
        return [_value(ends)]
    return [name for part in ends for name in _names(part)]
