"""The table of operators that the documentation has, from the lists that the loaders go by.

`python -m regions.network.loaders.operator_table` prints it.
"""

from __future__ import annotations

import sys
from typing import NamedTuple

from regions.network.loaders.keras_activations import ACTIVATIONS, KERAS_HEADS
from regions.network.loaders.keras_layers import KERAS_LAYERS, RANDOM
from regions.network.loaders.onnx_constants import CONSTANT_OPERATORS, RUN_BY_ONNX
from regions.network.loaders.onnx_operators import HEADS, OPERATORS
from regions.network.loaders.pytorch import LAYERS
from regions.network.loaders.scikit import ENSEMBLES
from regions.network.loaders.scikit_steps import JOINED, PROJECTIONS, SCALERS, STEPS
from regions.network.loaders.torch_operators import PADDED, RESAMPLED, TORCH_HEADS, TORCH_OPERATORS

__all__ = ["operator_table"]

EACH = (1, 2, 3)  # axes of images
# of what scikit-learn has, what is no class that a loader lists
SKLEARN_WORDS = (
    *("coefs_", "intercepts_", 'activation="relu"', "clip=True", "what has `get_support`"),
    *("softmax", "logistic", "TransformedTargetRegressor"),
)


def _operations(*kinds: str) -> tuple[str, ...]:
    return tuple(f"keras.ops.{kind}" for kind in kinds)


def _each(kind: str, end: str = "D") -> tuple[str, ...]:
    return tuple(f"{kind}{k}{end}" for k in EACH)


class Row(NamedTuple):
    """The names of one kind of step: in ONNX, of ATen, of layers of Keras and nn.Sequential, others."""

    onnx: tuple[str, ...] = ()
    aten: tuple[str, ...] = ()
    keras: tuple[str, ...] = ()
    sequential: tuple[str, ...] = ()
    sklearn: tuple[str, ...] = ()


ROWS: dict[str, Row] = {
    "products with matrices": Row(
        ("Gemm", "MatMul"),
        ("linear", "addmm", "mm", "bmm", "matmul"),
        ("Dense",),
        ("Linear",),
        ("coefs_", *PROJECTIONS, "LinearDiscriminantAnalysis"),
    ),
    "sums of products by indices": Row(("Einsum",), ("einsum",), ("EinsumDense",)),
    "convolutions": Row(
        ("Conv", "ConvTranspose"),
        (*_each("conv", "d"), "convolution", *_each("conv_transpose", "d")),
        (
            *(*_each("Conv"), "DepthwiseConv1D", "DepthwiseConv2D", "SeparableConv1D", "SeparableConv2D"),
            *_each("Conv", "DTranspose"),
        ),
        ("Conv2d",),
    ),
    "averages": Row(
        ("AveragePool", "GlobalAveragePool", "ReduceMean", "Mean"),
        (*_each("avg_pool", "d"), *_each("adaptive_avg_pool", "d"), "mean"),
        (*_each("AveragePooling"), *_each("GlobalAveragePooling"), "Average", *_operations("Mean")),
        ("AvgPool2d",),
        ("VotingRegressor", "BaggingRegressor"),
    ),
    "sums, constants added": Row(
        ("Add", "Sub", "Sum", "ReduceSum", "CumSum", "Neg"),
        ("add", "add_", "sub", "sub_", "rsub", "sum", "cumsum", "neg"),
        ("Add", "Subtract", *_operations("Add", "Subtract", "Negative", "Sum")),
        (),
        ("intercepts_",),
    ),
    "constant factors": Row(
        ("Mul", "Div", "ai.onnx.ml.Scaler"),
        ("mul", "mul_", "div", "div_"),
        ("Rescaling", *_operations("Multiply", "Divide", "TrueDivide")),
        (),
        (*SCALERS, "TransformedTargetRegressor"),
    ),
    "normalisation by stored numbers": Row(
        ("BatchNormalization",),
        ("batch_norm", "_native_batch_norm_legit_no_training", "instance_norm"),
        ("BatchNormalization", "Normalization"),
    ),
    "ReLU": Row(
        ("Relu",), ("relu", "relu_"), ("ReLU", *_operations("Relu")), ("ReLU",), ('activation="relu"',)
    ),
    "two slopes": Row(
        ("LeakyRelu", "PRelu", "Abs"),
        ("leaky_relu", "leaky_relu_", "prelu", "_prelu_kernel", "rrelu", "abs"),
        ("LeakyReLU", "PReLU", *_operations("LeakyRelu", "Abs", "Absolute")),
        ("LeakyReLU", "PReLU"),
    ),
    "clipping": Row(
        ("Clip", "HardSigmoid"),
        (
            *("clamp", "clamp_", "clamp_min", "clamp_min_", "clamp_max", "clamp_max_", "clip"),
            *("hardtanh", "hardtanh_", "relu6", "relu6_", "hardsigmoid", "hardsigmoid_"),
        ),
        _operations("Relu6", "Clip"),
        ("ReLU6", "Hardtanh"),
        ("clip=True",),
    ),
    "thresholds, where they do not jump": Row(
        ("ThresholdedRelu", "Shrink"), ("threshold", "threshold_", "softshrink")
    ),
    "sums of absolute values": Row(("ReduceL1",), ("linalg_vector_norm",)),
    "activations by their names": Row(keras=("Activation", *ACTIVATIONS)),
    "the larger or smaller of two": Row(
        (), ("maximum", "minimum"), ("Maximum", "Minimum", *_operations("Maximum", "Minimum"))
    ),
    "the largest or smallest of several": Row(
        ("Max", "Min", "ReduceMax", "ReduceMin"),
        ("max", "min", "amax", "amin"),
        _operations("Max", "Min", "Amax", "Amin"),
    ),
    "max pooling": Row(
        ("MaxPool", "GlobalMaxPool"),
        (*_each("max_pool", "d"), *_each("max_pool", "d_with_indices"), *_each("adaptive_max_pool", "d")),
        (*_each("MaxPooling"), *_each("GlobalMaxPooling")),
    ),
    "images made larger or smaller": Row(("Resize", "Upsample"), RESAMPLED, _each("UpSampling")),
    "channels and places exchanged": Row(
        ("DepthToSpace", "SpaceToDepth"), ("pixel_shuffle", "pixel_unshuffle", "channel_shuffle")
    ),
    "shapes": Row(
        ("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Expand", "Tile", "Shape"),
        (
            *("view", "reshape", "_unsafe_view", "flatten", "squeeze", "unsqueeze", "permute", "transpose"),
            *("t", "numpy_T", "unflatten", "expand", "repeat", "tile", "sym_size"),
        ),
        (
            *("Flatten", "Reshape", "Permute", "RepeatVector"),
            *_operations("Reshape", "Transpose", "Squeeze", "ExpandDims"),
        ),
        ("Flatten",),
    ),
    "chosen or put in place by constants": Row(
        ("Where", "Trilu", "GatherElements", "GatherND", "ScatterElements", "ScatterND"),
        (
            *("where", "masked_fill", "masked_fill_", "tril", "triu", "gather"),
            *("select_scatter", "slice_scatter", "copy", "fill"),
        ),
        (),
        (),
        ("what has `get_support`",),
    ),
    "parts": Row(
        ("Slice", "Gather", "Split", "Concat", "Pad"),
        (
            *("slice", "select", "split", "split_with_sizes", "chunk", "unsafe_split", "unsafe_chunk"),
            *("getitem", "unbind", "index_select", "index", "_unsafe_index", "cat", "stack", "flip", "roll"),
            *("pad", "constant_pad_nd", "im2col", "col2im", *PADDED),
        ),
        (
            *("Concatenate", *_each("ZeroPadding"), *_each("Cropping")),
            *_operations("GetItem", "Concatenate", "Stack"),
        ),
        (),
        (*JOINED, "MultiOutputRegressor"),
    ),
    "nothing": Row(
        ("Identity", "Dropout", "Cast"),
        (
            *("clone", "detach", "detach_", "contiguous", "alias", "lift_fresh_copy", "to", "_to_copy"),
            *("dropout", "dropout_", "feature_dropout", "alpha_dropout"),
        ),
        (
            *("Dropout", *_each("SpatialDropout"), "GaussianDropout", "GaussianNoise", "AlphaDropout"),
            *("ActivityRegularization", "Identity", *RANDOM),
        ),
        ("Identity", "Dropout"),
        ("SimpleImputer", "FunctionTransformer"),
    ),
    "read up to at the end": Row(HEADS, TORCH_HEADS, ("Softmax", *KERAS_HEADS), (), ("softmax", "logistic")),
}


def operator_table() -> str:
    """Return the table as Markdown, and the line on constants.

    Raises
    ------
    ValueError
        If an operator that a loader supports has no row, or a row names one that it does not.

    Examples
    --------
    >>> operator_table().splitlines()[0]
    '| | ONNX | `torch.export` (ATen) | Keras | `nn.Sequential` | scikit-learn |'
    """
    lists = (
        (*OPERATORS, *HEADS),
        (*TORCH_OPERATORS, *TORCH_HEADS),
        (*KERAS_LAYERS, *KERAS_HEADS, *ACTIVATIONS),
        LAYERS,
        (*STEPS, *JOINED, *ENSEMBLES, *SKLEARN_WORDS),
    )
    for column, supported in enumerate(lists):
        named = [name for row in ROWS.values() for name in row[column]]
        if sorted(named) != sorted(set(supported)):
            raise ValueError(f"rows and loaders differ in {sorted(set(named) ^ set(supported))}")
    lines = [
        "| | ONNX | `torch.export` (ATen) | Keras | `nn.Sequential` | scikit-learn |",
        "|---|---|---|---|---|---|",
    ]
    for kind, row in ROWS.items():
        cells = (", ".join(f"`{name}`" for name in names) for names in row)
        lines.append(f"| {kind} | {' | '.join(cells)} |")
    folded = ", ".join(f"`{name}`" for name in sorted((*CONSTANT_OPERATORS, *RUN_BY_ONNX)))
    constants = f"On constants alone ONNX may also use {folded}; PyTorch may use anything."
    return "\n".join([*lines, "", constants])


if __name__ == "__main__":
    sys.stdout.write(operator_table() + "\n")
