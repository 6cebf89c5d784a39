"""Reading networks from elsewhere: arrays, `.npz`, PyTorch, ONNX, `.nnet` and scikit-learn.

Each loader turns its source into a `Network` without rounding a weight (division, means and batch
normalisation are the exceptions, stated in `from_onnx`) and compares it with the source's own forward
pass before returning it. Each is imported on first use, as reading one format needs none of the others.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from regions.network.loaders.arrays import from_arrays
    from regions.network.loaders.model_files import load_network
    from regions.network.loaders.nnet import from_nnet
    from regions.network.loaders.onnx_graph import from_onnx
    from regions.network.loaders.pytorch import from_torch
    from regions.network.loaders.scikit import from_sklearn

__all__ = ["from_arrays", "from_nnet", "from_onnx", "from_sklearn", "from_torch", "load_network"]

_MODULE_OF = {
    "from_arrays": "arrays",
    "from_nnet": "nnet",
    "from_onnx": "onnx_graph",
    "from_sklearn": "scikit",
    "from_torch": "pytorch",
    "load_network": "model_files",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
