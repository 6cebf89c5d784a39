"""scikit-learn's multilayer perceptrons with ReLU activation, alone or behind scalers of their inputs."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regions.errors import InvalidNetworkError
from regions.network.loaders.chain import Chain
from regions.network.loaders.checks import FloatArray, check_against_source, optional_import
from regions.network.relu_network import Network

__all__ = ["from_sklearn"]

SCALERS = ("StandardScaler", "MinMaxScaler", "MaxAbsScaler")


def from_sklearn(model: Any, *, name: str = "") -> Network:
    """Network of a fitted `MLPClassifier` or `MLPRegressor` with `activation="relu"`, alone or in a pipeline.

    A pipeline may scale the inputs by StandardScaler, MinMaxScaler or MaxAbsScaler: they become layers of
    their own, where a division multiplies by the float64 nearest to 1 / scale. Of a search, such as
    GridSearchCV, the best estimator is read. The outputs are the logits: the values before a classifier's
    softmax or logistic function, which are not piecewise affine. For two classes there is one logit, of
    `classes_[1]`.

    Parameters
    ----------
    model : fitted MLPClassifier or MLPRegressor, a Pipeline that ends in one, or a search over them
    name : str, for reports; default the class name

    Returns
    -------
    network : Network

    Raises
    ------
    InvalidNetworkError : if the model is of another kind, not fitted, has another activation, or does
        not compute what its weights say
    InvalidInputError : if scikit-learn is not installed

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.neural_network import MLPRegressor
    >>> x = np.linspace(-1.0, 1.0, 20)[:, None]
    >>> model = MLPRegressor(hidden_layer_sizes=(4,), solver="lbfgs", tol=1.0, random_state=0)
    >>> network = from_sklearn(model.fit(x, abs(x[:, 0])))
    >>> bool(np.allclose(network.forward(x)[:, 0], model.predict(x)))
    True
    """
    neural = optional_import("sklearn.neural_network", "sklearn", "reading a scikit-learn model")
    scalers, perceptron = _parts(model)
    kind = type(perceptron).__name__
    if not isinstance(perceptron, neural.MLPClassifier | neural.MLPRegressor):
        raise InvalidNetworkError(
            f"cannot read a {type(perceptron).__module__}.{kind}; supported are scikit-learn's MLPClassifier "
            f"and MLPRegressor, pipelines that scale their inputs, and searches over them"
        )
    if perceptron.activation != "relu":
        raise InvalidNetworkError(
            f"the {kind} has activation={perceptron.activation!r}; supported is activation='relu'"
        )
    if not hasattr(perceptron, "coefs_"):
        raise InvalidNetworkError(f"the {kind} is not fitted; call its fit(X, y) first")
    weights = [np.asarray(coefficients, np.float64).T for coefficients in perceptron.coefs_]
    chain = Chain(weights[0].shape[1])
    for scaler in scalers:
        _append_scaler(chain, scaler)
    for layer, (weight, bias) in enumerate(zip(weights, perceptron.intercepts_, strict=True)):
        chain.affine(weight, np.asarray(bias, np.float64))
        if layer < len(weights) - 1:
            chain.relu()
    dtype = "float64" if perceptron.coefs_[0].dtype == np.float64 else "float32"

    def forward(x: FloatArray) -> NDArray[Any]:
        value: NDArray[Any] = x.astype(dtype)
        with warnings.catch_warnings():
            # fitted on a table, they warn about missing column names
            warnings.simplefilter("ignore", UserWarning)
            for scaler in scalers:
                value = np.asarray(scaler.transform(value))
            return _logits(perceptron, value)

    return check_against_source(chain.network(name or type(model).__name__), forward, f"the {kind}", dtype)


def _parts(model: Any) -> tuple[list[Any], Any]:
    """The steps before the last one and the last one, of pipelines in searches in pipelines."""
    scalers: list[Any] = []
    while True:
        if hasattr(model, "best_estimator_"):
            model = model.best_estimator_
        elif hasattr(model, "steps") and hasattr(model, "named_steps"):
            steps = [step for _, step in model.steps if step is not None and step != "passthrough"]
            if not steps:
                return scalers, model
            scalers, model = scalers + steps[:-1], steps[-1]
        else:
            return scalers, model


def _append_scaler(chain: Chain, scaler: Any) -> None:
    """Append what a scaler does to each input."""
    kind = type(scaler).__name__
    clips = bool(getattr(scaler, "clip", False))
    if kind not in SCALERS or clips:
        raise InvalidNetworkError(
            f"the pipeline has a {kind}{' that clips' if clips else ''} before the perceptron; supported are "
            f"{', '.join(SCALERS)}, without clipping"
        )
    if not hasattr(scaler, "scale_"):
        raise InvalidNetworkError(f"the {kind} of the pipeline is not fitted; call its fit(X, y) first")
    scale = np.ones(chain.width) if scaler.scale_ is None else np.asarray(scaler.scale_, np.float64)
    if kind == "StandardScaler" and scaler.with_mean:
        chain.shift(0.0 - np.asarray(scaler.mean_, np.float64))
    chain.scale(scale if kind == "MinMaxScaler" else 1.0 / scale)
    if kind == "MinMaxScaler":
        chain.shift(np.asarray(scaler.min_, np.float64))


def _logits(model: Any, x: NDArray[Any]) -> NDArray[Any]:
    """The model's own forward pass with its last nonlinearity switched off in a shallow copy."""
    bare = copy.copy(model)
    bare.out_activation_ = "identity"
    if hasattr(bare, "predict_proba"):
        # one logit comes back as the two columns 1 - z and z
        columns = np.asarray(bare.predict_proba(x))
        return columns[:, 1:] if model.n_outputs_ == 1 else columns
    return np.asarray(bare.predict(x)).reshape(len(x), -1)
