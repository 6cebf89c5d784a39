"""Why ONNX operators are refused that nobody can write as pieces, or whose pieces do not meet."""

from __future__ import annotations

__all__ = ["CURVED", "JUMPING"]

# functions that bend everywhere
CURVED = (
    *("Softsign", "Elu", "Selu", "Celu", "Gelu", "Mish", "Swish", "HardSwish", "Erf", "Exp", "Log", "Pow"),
    *("Sqrt", "Reciprocal", "Sin", "Cos", "LRN", "InstanceNormalization", "LayerNormalization"),
    *(
        "LSTM",
        "GRU",
        "RNN",
        "GroupNormalization",
        "LpNormalization",
        "ReduceL2",
        "ReduceLogSumExp",
        "ai.onnx.ml.Normalizer",
    ),
)
# functions that jump, in which entries are compared or rounded
JUMPING = (
    *("Sign", "Floor", "Ceil", "Round", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Equal", "Mod"),
    *("IsNaN", "IsInf", "QuantizeLinear", "DynamicQuantizeLinear", "NonZero", "ai.onnx.ml.Binarizer"),
    *("ai.onnx.ml.TreeEnsembleClassifier", "ai.onnx.ml.TreeEnsembleRegressor", "ai.onnx.ml.TreeEnsemble"),
)
