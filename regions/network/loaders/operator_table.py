"""The table of operators that the documentation has, from the lists that the loaders go by.

`python -m regions.network.loaders.operator_table` prints it.
"""

from __future__ import annotations

import sys

from regions.network.loaders.onnx_constants import CONSTANT_OPERATORS
from regions.network.loaders.onnx_operators import HEADS, OPERATORS
from regions.network.loaders.pytorch import LAYERS
from regions.network.loaders.scikit import SCALERS
from regions.network.loaders.torch_operators import TORCH_HEADS, TORCH_OPERATORS

__all__ = ["operator_table"]

# one row for each kind of step: ONNX's names, ATen's names, layers of nn.Sequential, others
ROWS: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    "products with matrices": (
        ("Gemm", "MatMul"),
        ("linear", "addmm", "mm", "bmm", "matmul"),
        ("Linear",),
        ("coefs_",),
    ),
    "convolutions": (
        ("Conv", "ConvTranspose"),
        ("conv1d", "conv2d", "conv3d", "convolution", *(f"conv_transpose{k}d" for k in (1, 2, 3))),
        ("Conv2d",),
        (),
    ),
    "averages": (
        ("AveragePool", "GlobalAveragePool", "ReduceMean"),
        (*(f"{kind}avg_pool{k}d" for kind in ("", "adaptive_") for k in (1, 2, 3)), "mean"),
        ("AvgPool2d",),
        (),
    ),
    "sums, constants added": (
        ("Add", "Sub", "Sum", "ReduceSum", "Neg"),
        ("add", "add_", "sub", "sub_", "rsub", "sum", "neg"),
        (),
        ("intercepts_",),
    ),
    "constant factors": (("Mul", "Div"), ("mul", "mul_", "div", "div_"), (), SCALERS),
    "batch normalisation": (
        ("BatchNormalization",),
        ("batch_norm", "_native_batch_norm_legit_no_training"),
        (),
        (),
    ),
    "ReLU": (("Relu",), ("relu", "relu_"), ("ReLU",), ('activation="relu"',)),
    "two slopes": (
        ("LeakyRelu", "PRelu", "Abs"),
        ("leaky_relu", "leaky_relu_", "prelu", "_prelu_kernel", "abs"),
        ("LeakyReLU", "PReLU"),
        (),
    ),
    "clipping": (
        ("Clip", "HardSigmoid"),
        (
            *("clamp", "clamp_", "clamp_min", "clamp_min_", "clamp_max", "clamp_max_"),
            *("hardtanh", "hardtanh_", "relu6", "relu6_"),
        ),
        ("ReLU6", "Hardtanh"),
        (),
    ),
    "the larger or smaller of two": ((), ("maximum", "minimum"), (), ()),
    "the largest or smallest of several": (
        ("Max", "Min", "ReduceMax", "ReduceMin"),
        ("max", "min", "amax", "amin"),
        (),
        (),
    ),
    "max pooling": (
        ("MaxPool", "GlobalMaxPool"),
        tuple(f"max_pool{k}d{more}" for k in (1, 2, 3) for more in ("", "_with_indices")),
        (),
        (),
    ),
    "shapes": (
        ("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Expand", "Shape"),
        (
            *("view", "reshape", "_unsafe_view", "flatten", "squeeze", "unsqueeze", "permute", "transpose"),
            *("t", "numpy_T", "expand", "sym_size"),
        ),
        ("Flatten",),
        (),
    ),
    "parts": (
        ("Slice", "Gather", "Split", "Concat", "Pad"),
        (
            *("slice", "select", "split", "split_with_sizes", "chunk", "unsafe_split", "unsafe_chunk"),
            *("getitem", "cat", "stack", "pad", "constant_pad_nd"),
        ),
        (),
        (),
    ),
    "nothing": (
        ("Identity", "Dropout", "Cast"),
        (
            *("clone", "detach", "detach_", "contiguous", "alias", "lift_fresh_copy", "to", "_to_copy"),
            *("dropout", "dropout_", "feature_dropout", "alpha_dropout"),
        ),
        ("Identity", "Dropout"),
        (),
    ),
    "read up to at the end": (HEADS, TORCH_HEADS, (), ("softmax", "logistic")),
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
    '| | ONNX | `torch.export` (ATen) | `nn.Sequential` | scikit-learn |'
    """
    for column, supported in enumerate(((*OPERATORS, *HEADS), (*TORCH_OPERATORS, *TORCH_HEADS), LAYERS)):
        named = [name for row in ROWS.values() for name in row[column]]
        if sorted(named) != sorted(set(supported)):
            raise ValueError(f"rows and loaders differ in {sorted(set(named) ^ set(supported))}")
    lines = ["| | ONNX | `torch.export` (ATen) | `nn.Sequential` | scikit-learn |", "|---|---|---|---|---|"]
    for kind, row in ROWS.items():
        cells = (", ".join(f"`{name}`" for name in names) for names in row)
        lines.append(f"| {kind} | {' | '.join(cells)} |")
    folded = ", ".join(f"`{name}`" for name in sorted(CONSTANT_OPERATORS))
    return "\n".join(
        [*lines, "", f"On constants alone ONNX may also use {folded}; PyTorch may use anything."]
    )


if __name__ == "__main__":
    sys.stdout.write(operator_table() + "\n")
