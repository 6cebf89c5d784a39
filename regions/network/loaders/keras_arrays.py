"""What a `.keras` or `.h5` file holds: the model's configuration, and the arrays of its layers.

Nothing in it runs, and no link leads to another file.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from regions.errors import InvalidNetworkError
from regions.network.loaders.affine_tensors import check_entries
from regions.network.loaders.checks import FloatArray

__all__ = ["NESTED", "LayerPath", "Weights", "is_operation", "layers_of", "read_model"]

MOST_BYTES = 1 << 30  # of one entry of a .keras file
WRAPPERS = ("TimeDistributed", "SpectralNormalization")
POINTWISE = ("Dense", "EinsumDense", "Activation", "ReLU", "LeakyReLU", "Dropout")
NESTED = ("Sequential", "Functional", "Model")
LayerPath = tuple[str, ...]  # names of the models that a layer is in, and its own
Weights = Mapping[LayerPath, Sequence[FloatArray]]


def read_model(h5py: Any, path: Path) -> tuple[dict[str, Any], Weights, int]:
    """Return a model's configuration, the arrays of its layers, and the version of Keras, 0 if unknown."""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                parts = [_member(archive, name) for name in ("config.json", "model.weights.h5")]
                known = "metadata.json" in archive.namelist()
                about = json.loads(_member(archive, "metadata.json")) if known else {}
            config = json.loads(parts[0])
            _check_kind(config)
            with h5py.File(io.BytesIO(parts[1]), "r") as file:
                weights = _weights_by_kind(h5py, file, layers_of(config["config"]))
            return config, weights, _version(about.get("keras_version"))
        with h5py.File(path, "r") as file:
            if "model_config" not in file.attrs:
                raise InvalidNetworkError(
                    f"{path.name} holds weights only, not the layers; save the model: model.save('net.keras')"
                )
            config = json.loads(file.attrs["model_config"])
            _check_kind(config)
            weights = _weights_by_name(h5py, file, layers_of(config["config"]))
            return config, weights, _version(file.attrs.get("keras_version"))
    except (OSError, zipfile.BadZipFile, json.JSONDecodeError, RuntimeError) as error:
        raise InvalidNetworkError(f"{str(path)!r} is no readable Keras model: {error}") from error


def _check_kind(config: dict[str, Any]) -> None:
    if config["class_name"] not in NESTED:
        raise InvalidNetworkError(
            f"a Keras model of class {config['class_name']} is not supported; Sequential and Functional are"
        )


def _version(text: Any) -> int:
    """The first number of a version of Keras; 0 where it is not stated."""
    found = re.match(r"\d+", _text(text)) if text is not None else None
    return int(found[0]) if found else 0


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


def _weights_by_name(h5py: Any, file: Any, layers: Any) -> Weights:
    """The arrays in an `.h5` file, whose groups list them by layer; those of a model within by its layers."""
    root = file.get("model_weights", file)
    inner = {layer["config"]["name"]: layer for layer in layers if layer["class_name"] in NESTED}
    found: dict[LayerPath, list[FloatArray]] = {}
    for layer in (_text(name) for name in root.attrs["layer_names"]):
        group = root[layer]
        names = [_text(name) for name in group.attrs["weight_names"]]
        names = [name for name in names if not name.partition(":")[0].endswith("/count")]
        named = [(name, _array(h5py, group, name)) for name in names]
        if layer not in inner:
            found[layer,] = [array for _, array in named]
            continue
        for path in _paths_within(inner[layer], (layer,)):
            found[path] = [array for name, array in named if name.split("/")[-2] == path[-1]]
        if sum(len(found[path]) for path in _paths_within(inner[layer], (layer,))) != len(named):
            raise InvalidNetworkError(
                f"the model {layer!r} within the model names its arrays "
                f"{', '.join(name for name, _ in named[:4])}, ..., which are not told apart by its layers; "
                "save the whole as .keras"
            )
    return found


def _paths_within(model: dict[str, Any], path: LayerPath) -> Iterator[LayerPath]:
    """The paths of the layers of a model within a model."""
    for layer in layers_of(model["config"]):
        own = (*path, layer["config"]["name"])
        if layer["class_name"] in NESTED:
            yield from _paths_within(layer, own)
        else:
            yield own


def layers_of(config: Any) -> list[dict[str, Any]]:
    """The layers of a model's configuration."""
    return [_unwrapped(layer) for layer in (config["layers"] if isinstance(config, dict) else config)]


def _weights_by_kind(
    h5py: Any, file: Any, layers: Sequence[dict[str, Any]], root: str = "", path: LayerPath = ()
) -> Weights:
    """The arrays in a `.keras` file, whose groups have the kinds of layers as names, counted."""
    seen: Counter[str] = Counter()
    found: dict[LayerPath, Sequence[FloatArray]] = {}
    for layer in layers:
        if is_operation(layer):
            continue
        kind = _snake_case(layer.get("wrapper", layer["class_name"]))
        group = f"{root}layers/{kind}_{seen[kind]}" if seen[kind] else f"{root}layers/{kind}"
        seen[kind] += 1
        group += "/layer" if "wrapper" in layer else ""
        own = (*path, layer["config"]["name"])
        if layer["class_name"] in NESTED:
            found.update(_weights_by_kind(h5py, file, layers_of(layer["config"]), f"{group}/", own))
            continue
        names = sorted(file[f"{group}/vars"], key=int) if f"{group}/vars" in file else []
        names = names[:2] if kind == "normalization" else names  # the third counts what was seen
        found[own] = [_array(h5py, file, f"{group}/vars/{name}") for name in names]
    return found


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _snake_case(name: str) -> str:
    """Keras's own way to write the name of a class."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def is_operation(layer: dict[str, Any]) -> bool:
    """Whether it is a function of `keras.ops` or an operator of Python, and no layer, which can be trained.

    In an `.h5` file nothing else tells an addition of a number from the layer `Add`.
    """
    if "module" in layer:
        return "ops" in str(layer["module"]).split(".")
    calls = layer.get("inbound_nodes", ())
    return "trainable" not in layer["config"] and any(isinstance(call, dict) for call in calls)


def _unwrapped(layer: dict[str, Any]) -> dict[str, Any]:
    """A layer without what acts in training only, or lets it act on one sample after another.

    Raises
    ------
    InvalidNetworkError
        If it is of a class of one's own, whatever that calls itself.
    """
    kind, module = str(layer["class_name"]), str(layer.get("module") or "keras")
    own = ">" in str(layer.get("registered_name") or "") or module.split(".")[0] not in ("keras", "tf_keras")
    if own and not is_operation(layer):
        raise InvalidNetworkError(
            f"{kind} ({layer['config'].get('name')}) is a class of one's own, from {module}, whose code is "
            "not read; supported are Keras's layers"
        )
    inner = layer["config"].get("layer")
    if kind not in WRAPPERS or inner is None:
        return layer
    inner = _unwrapped(inner)
    if kind == "TimeDistributed" and inner["class_name"] not in POINTWISE:
        raise InvalidNetworkError(
            f"TimeDistributed ({layer['config']['name']}) of {inner['class_name']} is not supported; "
            f"supported are {', '.join(POINTWISE)}"
        )
    config = {**inner["config"], "name": layer["config"]["name"]}
    return {**layer, "class_name": inner["class_name"], "config": config, "wrapper": kind}
