"""Choosing the loader for a file by its extension, and refusing to run code unasked."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from regions.errors import InvalidInputError, InvalidNetworkError
from regions.network.loaders.checks import optional_import, reading
from regions.network.loaders.unnamed_layers import (
    from_numbered_arrays,
    from_state_dict,
    has_numbered_arrays,
)
from regions.network.relu_network import Network

__all__ = ["load_network"]

KERAS_SUFFIXES = (".keras", ".h5", ".hdf5")
SAFE_SUFFIXES = (".npz", ".onnx", ".nnet", *KERAS_SUFFIXES)
STATE_SUFFIXES = (".pt", ".pth")
TORCH_SUFFIXES = (*STATE_SUFFIXES, ".pt2")
PICKLE_SUFFIXES = (".joblib", ".pkl", ".pickle")


def load_network(
    path: str | os.PathLike[str],
    allow_code: bool = False,
    *,
    output: str | None = None,
    inputs: Mapping[str, Any] | None = None,
) -> Network:
    """Network stored in a file, of the kind that its extension says.

    `.npz`: arrays `W0, b0, ...`, or `arr_0, arr_1, ...` where their shapes chain; `.onnx`: a graph; `.nnet`:
    text, with the normalisation that the file states; `.keras`, `.h5`: a model of Keras, by its own
    configuration, which is compared with Keras only where that is installed and code is allowed; `.pt`,
    `.pth`: a state_dict of Linear and BatchNorm1d modules in one order, or a pickled PyTorch module; `.pt2`:
    an exported PyTorch program; `.joblib`, `.pkl`, `.pickle`: a scikit-learn model. Where a file does not say
    what stands between its layers, ReLUs are assumed, and the name says so. Modules, programs and
    scikit-learn models can run any code while they are read, with the rights of this process.

    Parameters
    ----------
    path : path of the file
    allow_code : bool, whether files that can run code may be read; only for files you trust
    output : name of the output to read where an ONNX, Keras or PyTorch model has several; default the first
    inputs : values of all its inputs but one by their names: arrays of one sample, or numbers

    Returns
    -------
    network : Network, named after the file unless the file holds a name

    Raises
    ------
    InvalidInputError : if there is no such file, its extension is unknown, it can run code and
        `allow_code` is false, a package that reads it is not installed, or there are several inputs or
        outputs and it is not said which
    InvalidNetworkError : if it holds no supported network

    Examples
    --------
    >>> import tempfile, os
    >>> network = Network.from_arrays([[[1.0]]], [[0.5]])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     network.save(os.path.join(folder, "net.npz"))
    ...     load_network(os.path.join(folder, "net.npz")) == network
    True
    """
    file = Path(path)
    suffix = file.suffix.lower()
    if suffix not in (*SAFE_SUFFIXES, *TORCH_SUFFIXES, *PICKLE_SUFFIXES):
        raise InvalidInputError(
            f"cannot tell from {file.name!r} what it holds; supported are {', '.join(SAFE_SUFFIXES)} and, "
            f"where running code is allowed, {', '.join(TORCH_SUFFIXES + PICKLE_SUFFIXES)}"
        )
    if not file.is_file():
        raise InvalidInputError(f"no network file at {str(file)!r}")
    named = suffix == ".onnx" or suffix in KERAS_SUFFIXES or suffix in TORCH_SUFFIXES
    if not named and (output is not None or inputs):
        raise InvalidInputError(
            f"{file.name!r} has no inputs and outputs with names; ONNX, Keras and PyTorch models do"
        )
    if suffix == ".npz":
        return from_numbered_arrays(file) if has_numbered_arrays(file) else Network.load(file)
    if suffix == ".onnx":
        from regions.network.loaders.onnx_graph import from_onnx  # each format without the others

        return from_onnx(file, output=output, inputs=inputs)
    if suffix == ".nnet":
        from regions.network.loaders.nnet import from_nnet

        return from_nnet(file)
    if suffix in KERAS_SUFFIXES:
        from regions.network.loaders.keras_files import from_keras_file

        compare = allow_code and not inputs and find_spec("keras") is not None
        return from_keras_file(file, output=output, inputs=inputs, compare=compare)
    if not allow_code and (state := _read_tensors(file)) is not None:
        return from_state_dict(state, file.stem)
    if not allow_code:
        raise InvalidInputError(
            f"reading {file.name!r} can run any code that its author put into it; if you trust it, allow "
            f"that (allow_code=True, or --trust-code on the command line), or convert it to .npz or .onnx"
        )
    model = _read_torch(file) if suffix in TORCH_SUFFIXES else _read_pickle(file)
    if suffix in TORCH_SUFFIXES and (state := _state_dict(model)) is not None:
        return from_state_dict(state, file.stem)
    from regions.network.loaders.pytorch import from_torch
    from regions.network.loaders.scikit import from_sklearn

    with reading(str(file)):
        if suffix in TORCH_SUFFIXES:
            return from_torch(model, name=file.stem, output=output, inputs=inputs)
        return from_sklearn(model, name=file.stem)


def _read_tensors(file: Path) -> Mapping[str, Any] | None:
    """The tensors of a state_dict, read without running code; None if the file is or may be anything else."""
    if file.suffix.lower() not in STATE_SUFFIXES or find_spec("torch") is None:
        return None
    torch = optional_import("torch", "torch", f"reading {file.name!r}")
    # in earlier releases a file could run code all the same
    if tuple(int(part) for part in re.findall(r"\d+", torch.__version__)[:2]) < (2, 6):
        return None
    try:
        return _state_dict(torch.load(file, map_location="cpu", weights_only=True))
    except Exception:
        return None


def _state_dict(model: Any) -> Mapping[str, Any] | None:
    """The parameters by name, if that is what was stored, alone or beside other things of a training."""
    if not isinstance(model, Mapping):
        return None
    inner = [model[key] for key in ("state_dict", "model_state_dict", "model") if key in model]
    return _state_dict(inner[0]) if len(inner) == 1 and isinstance(inner[0], Mapping) else model


def _read_torch(file: Path) -> Any:
    torch = optional_import("torch", "torch", f"reading {file.name!r}")
    try:
        if file.suffix.lower() == ".pt2":
            return torch.export.load(file)
        return torch.load(file, map_location="cpu", weights_only=False)  # a scripted module warns, and loads
    except Exception as error:
        raise InvalidNetworkError(
            f"PyTorch cannot read {str(file)!r} ({type(error).__name__}: {error}); expected is a module "
            f"saved by torch.save, or for .pt2 a program saved by torch.export.save"
        ) from error


def _read_pickle(file: Path) -> Any:
    joblib = optional_import("joblib", "sklearn", f"reading {file.name!r}")
    try:
        return joblib.load(file)
    except Exception as error:
        raise InvalidNetworkError(
            f"joblib cannot read {str(file)!r} ({type(error).__name__}: {error}); expected is a "
            f"scikit-learn model saved by joblib.dump or pickle"
        ) from error
