"""A counterexample in the runtime that a model was made for: its own sums, in its own order and floats."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

import numpy as np

from regions.analysis.properties.exact_forward import is_unsafe
from regions.analysis.properties.property_report import Counterexample
from regions.analysis.properties.property_spec import Property

__all__ = ["unsafe_in_onnxruntime"]


def unsafe_in_onnxruntime(
    path: str | os.PathLike[str], given: Property, found: Counterexample
) -> bool | None:
    """Tell whether onnxruntime, run on the file of a network, gives unsafe outputs at a counterexample.

    Parameters
    ----------
    path : path of the ONNX file that the network was read from
    given : Property
    found : Counterexample, whose `rounded` is fed to the file in the file's own type

    Returns
    -------
    bool or None
        None where onnxruntime is not installed, cannot run the file, or takes inputs of another size.
    """
    try:
        runtime: Any = import_module("onnxruntime")
        session = runtime.InferenceSession(os.fspath(path), providers=["CPUExecutionProvider"])
        wanted = session.get_inputs()[0]
        shape = [size if isinstance(size, int) and size > 0 else 1 for size in wanted.shape]
        kind = np.float64 if "double" in wanted.type else np.float32
        values = found.rounded.astype(kind).reshape(shape)
        outputs = np.asarray(session.run(None, {wanted.name: values})[0], np.float64).ravel()
    except Exception:  # of a program that is not ours, about a file that we have read by ourselves
        return None
    if outputs.size != len(found.outputs):
        return None
    return is_unsafe(given.cases[found.case], outputs)
