"""What each step of a scikit-learn pipeline does to an affine tensor of shape (1, columns).

`STEPS` is the list of what is supported, from which the documentation's table is made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regions.errors import InvalidNetworkError
from regions.network.loaders import bends
from regions.network.loaders.affine_operators import matrix_product
from regions.network.loaders.affine_tensors import AffineTensor, Layering
from regions.network.loaders.checks import FloatArray
from regions.network.loaders.graph_steps import Bend

__all__ = ["JOINED", "PROJECTIONS", "SCALERS", "STEPS", "back", "parts_of", "refused", "transformed"]

Apply = Callable[[Layering, Any, AffineTensor], AffineTensor | Bend]

# what stands side by side in these is transformed on its own
JOINED = ("ColumnTransformer", "FeatureUnion")
CURVED = (
    *("Normalizer", "PowerTransformer", "PolynomialFeatures", "SplineTransformer", "KernelPCA", "Nystroem"),
    *("RBFSampler", "KernelCenterer", "Isomap"),
)
JUMPING = ("Binarizer", "KBinsDiscretizer", "OneHotEncoder", "OrdinalEncoder", "KMeans")


def transformed(layering: Layering, step: Any, x: AffineTensor) -> AffineTensor | Bend:
    """Apply a fitted step.

    Raises
    ------
    InvalidNetworkError
        If it is not fitted, or has a setting that is not supported.
    """
    kind = type(step).__name__
    return STEPS[kind](layering, step, x) if kind in STEPS else _chosen(layering, step, x)


def refused(kind: str) -> str:
    """Say why a step is not read."""
    reason = "is not piecewise linear" if kind in CURVED else "jumps" if kind in JUMPING else "is not known"
    return (
        f"the pipeline has a {kind}, which {reason}; supported are {', '.join((*STEPS, *JOINED))} and what "
        "chooses columns"
    )


def _fitted(step: Any, name: str) -> Any:
    if not hasattr(step, name):
        raise InvalidNetworkError(
            f"the {type(step).__name__} of the pipeline is not fitted; call its fit(X, y) first"
        )
    return getattr(step, name)


def _shift_and_scale(step: Any) -> tuple[FloatArray | None, FloatArray | None, FloatArray | None]:
    """What a scaler adds, then multiplies by, then adds; None for nothing."""
    kind, scale = type(step).__name__, _fitted(step, "scale_")
    scale = None if scale is None else np.asarray(scale, np.float64)
    if kind == "MinMaxScaler":
        return None, scale, np.asarray(step.min_, np.float64)
    centre = None
    if kind == "StandardScaler" and step.with_mean:
        centre = step.mean_
    elif kind == "RobustScaler":
        centre = step.center_
    shift = None if centre is None else 0.0 - np.asarray(centre, np.float64)
    return shift, None if scale is None else 1.0 / scale, None


def _scaled(layering: Layering, step: Any, x: AffineTensor) -> AffineTensor | Bend:
    before, factor, after = _shift_and_scale(step)
    x = x if before is None else layering.shifted(x, before)
    x = x if factor is None else layering.scaled(x, factor)
    x = x if after is None else layering.shifted(x, after)
    if not getattr(step, "clip", False):
        return x
    low, high = getattr(step, "feature_range", (-1.0, 1.0))
    return bends.clipped(layering, x, float(low), float(high))


def _projected(layering: Layering, step: Any, x: AffineTensor) -> AffineTensor:
    """What multiplies by its components, with a mean taken off first where there is one."""
    components = _fitted(step, "components_")
    components = np.asarray(components.toarray() if hasattr(components, "toarray") else components)
    mean = getattr(step, "mean_", None)
    if mean is not None:
        x = layering.shifted(x, 0.0 - np.asarray(mean, np.float64))
    y = matrix_product(layering, x, components.astype(np.float64).T)
    if "PCA" in type(step).__name__ and step.whiten:
        variance = np.asarray(step.explained_variance_, np.float64)
        deviation = np.maximum(np.sqrt(variance), np.finfo(np.float64).eps)
        y = layering.scaled(y, 1.0 / deviation)
    return y


def _discriminants(layering: Layering, step: Any, x: AffineTensor) -> AffineTensor:
    """Linear discriminants, of the mean where the solver takes it off."""
    directions = np.asarray(_fitted(step, "scalings_"), np.float64)
    if step.solver == "svd":
        x = layering.shifted(x, 0.0 - np.asarray(step.xbar_, np.float64))
    return matrix_product(layering, x, directions[:, : step._max_components])


def _chosen(layering: Layering, step: Any, x: AffineTensor) -> AffineTensor:
    """Some of the columns."""
    places: NDArray[np.int64] = np.flatnonzero(step.get_support())
    return x.moved(x.index[:, places])


def _imputed(layering: Layering, step: Any, x: AffineTensor) -> AffineTensor:
    """Numbers stay as they are where missing ones would be filled in; columns without any are left out."""
    kind, missing = type(step).__name__, step.missing_values
    if not (isinstance(missing, float) and np.isnan(missing)) or step.add_indicator:
        raise InvalidNetworkError(
            f"the pipeline has a {kind} for {missing!r} or with indicators; supported is filling in NaN"
        )
    if kind == "SimpleImputer" and not step.keep_empty_features:
        known = ~np.isnan(np.asarray(_fitted(step, "statistics_"), np.float64))
        return x.moved(x.index[:, np.flatnonzero(known)])
    return x


def _of_function(layering: Layering, step: Any, x: AffineTensor) -> AffineTensor:
    if step.func is not None:
        raise InvalidNetworkError(
            "the pipeline has a FunctionTransformer with a function of its own, which cannot be read; "
            "supported is one without"
        )
    return x


SCALERS = ("StandardScaler", "MinMaxScaler", "MaxAbsScaler", "RobustScaler")
PROJECTIONS = (
    *("PCA", "IncrementalPCA", "TruncatedSVD", "FastICA"),
    *("GaussianRandomProjection", "SparseRandomProjection"),
)
STEPS: dict[str, Apply] = {
    **dict.fromkeys(SCALERS, _scaled),
    **dict.fromkeys(PROJECTIONS, _projected),
    "LinearDiscriminantAnalysis": _discriminants,
    "SimpleImputer": _imputed,
    "FunctionTransformer": _of_function,
}


def back(layering: Layering, transformer: Any, y: AffineTensor) -> AffineTensor:
    """Undo what was done to a target: the inverse of a scaler, or of nothing.

    Raises
    ------
    InvalidNetworkError
        If it is neither.
    """
    kind = type(transformer).__name__
    if kind == "FunctionTransformer" and transformer.func is None and transformer.inverse_func is None:
        return y
    if kind not in SCALERS:
        raise InvalidNetworkError(
            f"the target is transformed by a {kind}, which is not known to be piecewise linear; supported "
            f"are {', '.join(SCALERS)}"
        )
    before, factor, after = _shift_and_scale(transformer)
    y = y if after is None else layering.shifted(y, 0.0 - after)
    scale = transformer.scale_
    if factor is not None:
        factor = 1.0 / np.asarray(scale) if kind == "MinMaxScaler" else np.asarray(scale, np.float64)
        y = layering.scaled(y, factor)
    return y if before is None else layering.shifted(y, 0.0 - before)


def parts_of(step: Any) -> Iterator[tuple[Any, NDArray[np.int64] | None]]:
    """The parts that stand side by side, None for what passes, and their columns, None for all.

    Raises
    ------
    InvalidNetworkError
        If weights are given to them, or it is not fitted.
    """
    kind = type(step).__name__
    if step.transformer_weights:
        raise InvalidNetworkError(f"the {kind} of the pipeline has weights; supported is none")
    if kind == "FeatureUnion":
        for _, part in step.transformer_list:
            if not (isinstance(part, str) and part == "drop"):
                yield (None if isinstance(part, str) or part is None else part), None
        return
    names = [str(name) for name in getattr(step, "feature_names_in_", ())]
    width = int(_fitted(step, "n_features_in_"))
    for _, part, columns in _fitted(step, "transformers_"):
        places = _places(columns, names, width)
        if not (isinstance(part, str) and part == "drop") and places.size:
            yield (None if isinstance(part, str) else part), places


def _places(columns: Any, names: list[str], width: int) -> NDArray[np.int64]:
    """Numbers of columns that are given by names, numbers, a mask or a slice."""
    if isinstance(columns, str):
        columns = [columns]
    if isinstance(columns, slice):
        ends = [
            names.index(end) + shift if isinstance(end, str) else end
            for end, shift in ((columns.start, 0), (columns.stop, 1))
        ]
        return np.arange(width)[slice(ends[0], ends[1], columns.step)]
    given = np.atleast_1d(np.asarray(columns))
    if given.dtype.kind in "OU":
        return np.array([names.index(str(name)) for name in given], np.int64)
    return np.asarray(np.flatnonzero(given) if given.dtype.kind == "b" else given % width, np.int64)
