"""Reading networks from elsewhere: arrays, `.npz`, PyTorch, ONNX, `.nnet` and scikit-learn.

Each loader turns its source into a `Network` without rounding a weight (division, means and batch
normalisation are the exceptions, stated in `from_onnx`) and compares it with the source's own forward
pass before returning it.
"""

from regions.network.loaders.arrays import from_arrays
from regions.network.loaders.model_files import load_network
from regions.network.loaders.nnet import from_nnet
from regions.network.loaders.onnx_graph import from_onnx
from regions.network.loaders.pytorch import from_torch
from regions.network.loaders.scikit import from_sklearn

__all__ = ["from_arrays", "from_nnet", "from_onnx", "from_sklearn", "from_torch", "load_network"]
