"""Keras models in `.keras` and `.h5` files, by their own configuration; Keras itself is not needed.

What layers do is left to `keras_layers`. No code runs: layers are those of the list there, by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from regions.errors import InvalidNetworkError
from regions.network.loaders.affine_tensors import AffineTensor, Layering
from regions.network.loaders.checks import FloatArray, check_against_source, optional_import, reading
from regions.network.loaders.graph_ends import chosen_output, fixed_value, free_input
from regions.network.loaders.graph_steps import Bend, Step, maxima_first, needed_steps, run_steps
from regions.network.loaders.keras_activations import KERAS_HEADS, KERAS_RISING, KerasLayer, activation_of
from regions.network.loaders.keras_arrays import (
    NESTED,
    LayerPath,
    Weights,
    is_operation,
    layers_of,
    read_model,
)
from regions.network.loaders.keras_layers import KERAS_CURVED, KERAS_JUMPING, KERAS_LARGEST, KERAS_LAYERS
from regions.network.relu_network import Network

__all__ = ["from_keras_file"]

HEAD_OPERATIONS = {f"keras.ops.{name.title().replace('_', '')}": name for name in KERAS_HEADS}
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
    output : name of the output layer to read where there are several; default the first
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
        config, weights, version = read_model(h5py, path)
        model = _Model(config, weights, version, output, inputs or {})
        network = model.network(path.stem)
    if not compare:
        return network
    keras = optional_import("keras", "keras", f"comparing {path.name!r} with Keras")
    try:
        original = keras.models.load_model(path, compile=False)
    except Exception as error:
        reason = str(error).strip().split("\n")[0]
        raise InvalidNetworkError(f"Keras itself cannot load {path.name!r}: {reason}") from error

    def forward(x: FloatArray) -> Any:
        y = original.predict(x.astype(np.float32).reshape(-1, *model.shape), verbose=0)
        return np.asarray(y).reshape(len(x), -1)

    return (
        network
        if model.head
        else check_against_source(network, forward, f"the Keras model {path.name}", "float32")
    )


class _Model:
    """A model's layers as steps on affine tensors."""

    def __init__(
        self,
        config: dict[str, Any],
        weights: Weights,
        version: int,
        output: str | None,
        fixed: Mapping[str, Any],
    ) -> None:
        kind, inner = config["class_name"], config["config"]
        self._weights, self._version, self._values = weights, version, dict[str, Any]()
        # input size is known only once the first layer is read
        self._calls = list(_calls_of(kind, inner))
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
        steps = [step for call in self._calls for step in self._steps(call)]
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

    def _steps(self, call: Call) -> Iterator[Step]:
        """The steps of a layer: an activation that nowhere falls is a step of its own."""
        if call.kind == "InputLayer":
            return
        where, between = f"{call.kind} ({call.config['name']})", f"{call.made} before its activation"
        name = activation_of(self._layer(call))
        role = "maximum" if call.kind in KERAS_LARGEST else ""
        if name not in KERAS_RISING:
            yield Step(where, call.inputs, [call.made], partial(self._run, call), role)
            return
        inputs = call.inputs
        if call.kind != "Activation":
            plain = call._replace(config={**call.config, "activation": "linear"})
            yield Step(where, inputs, [between], partial(self._run, plain))
            inputs = [between]
        alone = call._replace(kind="Activation", config={"name": call.config["name"], "activation": name})
        yield Step(where, inputs, [call.made], partial(self._run, alone), "rising")

    def _layer(self, call: Call) -> KerasLayer:
        arrays = self._weights.get(call.path, ())
        return KerasLayer(call.kind, call.config["name"], call.config, arrays, self.layering, self._version)

    def _run(self, call: Call, values: list[Any]) -> Sequence[Any] | Bend:
        if call.kind not in KERAS_LAYERS:
            curved = (*KERAS_CURVED, *HEAD_OPERATIONS)
            reason = "is not piecewise linear" if call.kind in curved else "is not supported"
            reason = "holds code of Python, which is not read" if call.kind == "Lambda" else reason
            reason = "jumps, so it is not continuous" if call.kind in KERAS_JUMPING else reason
            raise InvalidNetworkError(
                f"layer {call.kind} ({call.config['name']}) {reason}; supported are {', '.join(KERAS_LAYERS)}"
            )
        result = KERAS_LAYERS[call.kind](self._layer(call), values)
        return result if isinstance(result, Bend) else [result]

    def _ends(self, kind: str, inner: Any) -> tuple[list[str], list[str]]:
        if kind == "Sequential":
            return [FIRST], [_last_of(inner)]
        return [_names(inner[key]) for key in ("input_layers", "output_layers")]  # type: ignore[return-value]

    def _input_shape(self, name: str) -> tuple[int, ...]:
        """Shape of one sample, from the input layer or the first layer that states it."""
        for call in self._calls:
            shape = call.config.get("batch_shape", call.config.get("batch_input_shape"))
            if shape is not None and name in (call.made, *call.inputs):
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
            at = next((k for k, call in enumerate(self._calls) if call.made == wanted), None)
            if at is None:
                return ""
            call = self._calls[at]
            name = HEAD_OPERATIONS.get(call.kind) or activation_of(self._layer(call))
            if name in KERAS_HEADS:
                plain = {**call.config, "activation": "linear"}
                kind = "Activation" if call.kind in ("Softmax", *HEAD_OPERATIONS) else call.kind
                self._calls[at] = call._replace(kind=kind, config=plain)
                return name
            if call.kind not in _PASSIVE or not call.inputs:
                return ""
            wanted = call.inputs[0]


class Call(NamedTuple):
    """One call of a layer: its kind, settings, the values that it takes and makes, and its path."""

    kind: str
    config: dict[str, Any]
    inputs: list[str]
    made: str
    path: LayerPath


FIRST = "input:0"  # what the first layer of a Sequential takes


def _calls_of(kind: str, inner: Any, path: LayerPath = (), scope: str = "") -> Iterator[Call]:
    """The calls of a model's layers, those of models within it in their places.

    `scope` begins the names of the values of a model within, of which each call has its own.
    """
    layers = layers_of(inner)
    for call in _chained(layers, path) if kind == "Sequential" else _called(layers, path):
        call = call._replace(inputs=[scope + name for name in call.inputs], made=scope + call.made)
        if call.kind in NESTED:
            yield from _called_within(call)
        else:
            yield call


def _called_within(call: Call) -> Iterator[Call]:
    """The calls of a model that is a layer: its inputs are what the layer takes, its output what it makes."""
    scope, model = f"{call.made}/", call.config
    if call.kind == "Sequential":
        starts, (end,) = [FIRST], [_last_of(model)]
    else:
        starts, ends = (_names(model[key]) for key in ("input_layers", "output_layers"))
        if len(ends) != 1:
            raise InvalidNetworkError(
                f"the model {call.config['name']!r} within the model has {len(ends)} outputs; supported is 1"
            )
        end = ends[0]
    renamed = {scope + start: given for start, given in zip(starts, call.inputs, strict=True)}
    renamed[scope + end] = call.made
    for inner in _calls_of(call.kind, model, call.path, scope):  # an input layer tells the input's shape
        yield inner._replace(
            inputs=[renamed.get(name, name) for name in inner.inputs],
            made=renamed.get(inner.made, inner.made),
        )


def _last_of(model: Any) -> str:
    """The name of what a Sequential makes."""
    return f"{layers_of(model)[-1]['config']['name']}:0"


def _chained(layers: Sequence[dict[str, Any]], path: LayerPath) -> Iterator[Call]:
    """The layers of a Sequential: each takes what the one before gives."""
    before = FIRST
    for layer in layers:
        kind, config = layer["class_name"], layer["config"]
        if kind == "InputLayer":
            yield Call(kind, config, [], before, (*path, config["name"]))
            continue
        made = f"{config['name']}:0"
        yield Call(kind, config, [before], made, (*path, config["name"]))
        before = made


def _called(layers: Sequence[dict[str, Any]], path: LayerPath) -> Iterator[Call]:
    """The layers of a Functional model, once for each time that they are called."""
    for layer in layers:
        kind, config = layer["class_name"], layer["config"]
        config = {"name": layer.get("name"), **config}
        own = (*path, config["name"])
        if kind == "InputLayer":
            yield Call(kind, config, [], f"{config['name']}:0", own)
        for number, node in enumerate(layer["inbound_nodes"]):
            if is_operation(layer):
                kind = f"keras.ops.{layer['class_name']}"
                config = {**config, "operands": _operands(node)}
            yield Call(kind, config, list(_sources(node)), f"{config['name']}:{number}", own)


def _operands(node: Any) -> dict[str, Any]:
    """What a call of an operation gives: places and names of arguments, None where values come."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            kind, inner = value.get("class_name"), value.get("config")
            if kind == "__keras_tensor__":
                return None
            if kind in ("__numpy__", "__tensor__") and isinstance(inner, dict):
                return np.asarray(inner["value"], inner["dtype"])
            if kind == "__slice__" and isinstance(inner, dict):
                return slice(*(inner[end] for end in ("start", "stop", "step")))
            if kind == "__ellipsis__":
                return Ellipsis
            raise InvalidNetworkError(f"an operation of Keras takes a {kind}, which is not supported")
        return [plain(part) for part in value] if isinstance(value, list) else value

    places = {str(k): plain(value) for k, value in enumerate(node.get("args", ()))}
    return places | {name: plain(value) for name, value in node.get("kwargs", {}).items()}


def _sources(node: Any) -> Iterator[str]:
    """The values that a call takes, as Keras 3 writes them (tensors in arguments) or Keras 2 (lists)."""
    if isinstance(node, dict):
        if node.get("class_name") == "__keras_tensor__":
            yield _value(node["config"]["keras_history"])
            return
        for part in (*node.get("args", ()), *node.get("kwargs", {}).values()):
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
